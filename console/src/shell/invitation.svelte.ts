// An invitation to choose a password, from the address /invitation#NAME:SECRET. What stands behind # is not sent to the server with
// the page, and is taken out of the address and the history at once.

export interface Invited {
  name: string;
  secret: string;
}

function read(): Invited | null {
  const [, name, secret] = /^#([^:]+):([\w-]+)$/.exec(location.hash) ?? [];
  if (location.pathname !== '/invitation' || !name || !secret) return null;
  history.replaceState(null, '', '/');
  return { name: decodeURIComponent(name), secret };
}

export const invitation = $state<{ now: Invited | null }>({ now: read() });
