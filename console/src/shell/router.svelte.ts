// Which page is shown: the address bar is the truth.

import { routeOf, type Route } from '../domain/route';

export const router = $state<{ path: string; search: string; route: Route }>(here());

function here(): { path: string; search: string; route: Route } {
  const { pathname, search } = location;
  return { path: pathname, search, route: routeOf(pathname) };
}

function follow(): void {
  Object.assign(router, here());
}

export function go(to: string, how: 'push' | 'replace' = 'push'): void {
  if (how === 'push') history.pushState(null, '', to);
  else history.replaceState(null, '', to);
  follow();
}

/** Lets the links of the page change the page without loading it again. */
export function followLinks(): () => void {
  const click = (event: MouseEvent): void => {
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    const link = (event.target as Element | null)?.closest('a[href]');
    if (!plain || event.defaultPrevented || !(link instanceof HTMLAnchorElement)) return;
    if (link.origin !== location.origin || link.target || link.hasAttribute('download')) return;
    if (link.pathname === location.pathname && link.hash) return;
    event.preventDefault();
    go(link.pathname + link.search);
    if (!link.closest('[data-keep-scroll]')) scrollTo(0, 0);
  };
  document.addEventListener('click', click);
  window.addEventListener('popstate', follow);
  return () => {
    document.removeEventListener('click', click);
    window.removeEventListener('popstate', follow);
  };
}
