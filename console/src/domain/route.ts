// Addresses of the console's pages, and back.

import type { DeviceName } from '../api/types';

export type DeviceTab = 'overview' | 'telemetry' | 'log' | 'configuration' | 'commands' | 'rights';

export const DEVICE_TABS: readonly { tab: DeviceTab; title: string }[] = [
  { tab: 'overview', title: 'Overview' },
  { tab: 'telemetry', title: 'Telemetry' },
  { tab: 'log', title: 'Connections' },
  { tab: 'configuration', title: 'Configuration' },
  { tab: 'commands', title: 'Commands' },
  { tab: 'rights', title: 'Rights' },
];

export type Route =
  | { page: 'warehouse' }
  | { page: 'hall'; tenant: string; zone: string }
  | { page: 'devices' }
  | { page: 'connections' }
  | { page: 'device'; name: DeviceName; tab: DeviceTab }
  | { page: 'refusals' }
  | { page: 'audit' }
  | { page: 'system' }
  | { page: 'authority' }
  | { page: 'people' }
  | { page: 'members' }
  | { page: 'serviceAccounts' }
  | { page: 'account' }
  | { page: 'unknown' };

export function routeOf(path: string): Route {
  const parts = split(path);
  if (parts === null) return { page: 'unknown' };
  const [head, a, b, c, d] = parts;
  if (parts.length === 0) return { page: 'warehouse' };
  if (head === 'halls' && a && b && parts.length === 3) return { page: 'hall', tenant: a, zone: b };
  if (head === 'devices' && parts.length === 1) return { page: 'devices' };
  if (head === 'devices' && a && b && c && parts.length <= 5) {
    const tab = DEVICE_TABS.find((item) => item.tab === (d ?? 'overview'))?.tab;
    if (tab) return { page: 'device', name: { tenant: a, registry: b, id: c }, tab };
  }
  if (head === 'connections' && parts.length === 1) return { page: 'connections' };
  if (head === 'refusals' && parts.length === 1) return { page: 'refusals' };
  if (head === 'audit' && parts.length === 1) return { page: 'audit' };
  if (head === 'system' && parts.length === 1) return { page: 'system' };
  if (head === 'ca' && parts.length === 1) return { page: 'authority' };
  if (head === 'people' && parts.length === 1) return { page: 'people' };
  if (head === 'members' && parts.length === 1) return { page: 'members' };
  if (head === 'service-accounts' && parts.length === 1) return { page: 'serviceAccounts' };
  if (head === 'account' && parts.length === 1) return { page: 'account' };
  return { page: 'unknown' };
}

function split(path: string): string[] | null {
  try {
    return path.split('/').filter((part) => part !== '').map(decodeURIComponent);
  } catch {
    return null;
  }
}

export function devicePath(name: DeviceName, tab: DeviceTab = 'overview'): string {
  const base = '/devices/' + [name.tenant, name.registry, name.id].map(encodeURIComponent).join('/');
  return tab === 'overview' ? base : `${base}/${tab}`;
}

/** How the server is doing, and what makes its certificates. */
export const SYSTEM_TABS: readonly { href: string; title: string }[] = [
  { href: '/system', title: 'Server' },
  { href: '/ca', title: 'Built-in CA' },
];

/** People sign in; members have what bindings give; some of them are programs with keys. */
export const PEOPLE_TABS: readonly { href: string; title: string }[] = [
  { href: '/people', title: 'Who may sign in' },
  { href: '/members', title: 'Members and bindings' },
  { href: '/service-accounts', title: 'Service accounts' },
];

export function hallPath(tenant: string, zone: string): string {
  return `/halls/${encodeURIComponent(tenant)}/${encodeURIComponent(zone)}`;
}

export function pageTitle(route: Route): string {
  if (route.page === 'hall') return route.zone;
  if (route.page === 'device') return route.name.id;
  return { warehouse: 'Warehouse', devices: 'Devices', connections: 'Connections', refusals: 'Refusals', audit: 'Audit', system: 'System', authority: 'Built-in CA', people: 'People', members: 'Members', serviceAccounts: 'Service accounts', account: 'My account', unknown: 'Not found' }[
    route.page
  ];
}
