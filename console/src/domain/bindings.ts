// Who is given which role where: bindings as rows to read, and the bindings after a change.

import { apiPath } from '../api/client';
import type { Binding, Condition, Role, Weekday } from '../api/types';
import { fromUtcInput, parseTime, utc } from './time';

/** The whole house, a tenant, or a registry of a tenant. */
export interface Place {
  tenant: string; // empty: the whole house
  registry: string; // empty: the whole tenant
}

export const placePath = ({ tenant, registry }: Place): string =>
  tenant === '' ? '' : registry === '' ? apiPath('tenants', tenant) : apiPath('tenants', tenant, 'registries', registry);

export const placeWords = ({ tenant, registry }: Place): string =>
  tenant === '' ? 'the whole house' : registry === '' ? `tenant ${tenant}` : `registry ${registry} of ${tenant}`;

/** The place itself and those above it, whose bindings hold in it too; the nearest first. */
export function chainOf({ tenant, registry }: Place): Place[] {
  const house = { tenant: '', registry: '' };
  if (tenant === '') return [house];
  return registry === '' ? [{ tenant, registry }, house] : [{ tenant, registry }, { tenant, registry: '' }, house];
}

/** One role of one member. */
export interface Grant {
  member: string;
  role: string;
  condition?: Condition | undefined;
}

/** A grant for each member of each binding, once: by member, then by role. */
export function grantsOf(bindings: readonly Binding[]): Grant[] {
  const grants = bindings.flatMap(({ role, members, condition }) => members.map((member): Grant => ({ member, role, condition })));
  return [...new Map(grants.map((grant) => [grantKey(grant), grant])).values()].sort((a, b) => order(a.member, b.member) || order(a.role, b.role));
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Conditions are the same when they say the same, in whatever order. */
const conditionKey = (condition: Condition | undefined): string =>
  condition ? JSON.stringify(Object.entries(condition).sort(([a], [b]) => order(a, b))) : '';

export const grantKey = ({ member, role, condition }: Grant): string => JSON.stringify([member, role, conditionKey(condition)]);

const isOf = (binding: Binding, grant: Grant): boolean =>
  binding.role === grant.role && conditionKey(binding.condition) === conditionKey(grant.condition);

/** With the grant: in the binding of its role and condition, or in a new one. Null: it stands there already. */
export function withGrant(bindings: readonly Binding[], grant: Grant): Binding[] | null {
  const { member, role, condition } = grant;
  const found = bindings.find((binding) => isOf(binding, grant));
  if (!found) return [...bindings, { role, members: [member], ...(condition ? { condition } : {}) }];
  if (found.members.includes(member)) return null;
  return bindings.map((binding) => (binding === found ? { ...found, members: [...found.members, member] } : binding));
}

/** Without the grant, and without a binding that is left for nobody. */
export const withoutGrant = (bindings: readonly Binding[], grant: Grant): Binding[] =>
  bindings
    .map((binding) => (isOf(binding, grant) ? { ...binding, members: binding.members.filter((member) => member !== grant.member) } : binding))
    .filter(({ members }) => members.length > 0);

// --- in words ---

export const MEMBER_KINDS: readonly { kind: string; title: string; example: string }[] = [
  { kind: 'user', title: 'User', example: 'mary@example.org' },
  { kind: 'serviceAccount', title: 'Service account', example: 'reports' },
  { kind: 'group', title: 'Group', example: 'operations@example.org' },
  { kind: 'domain', title: 'Domain', example: 'example.org' },
  { kind: 'device', title: 'Device', example: 'TENANT/REGISTRY/DEVICE' },
];

/** "user:mary" is the user "mary". */
export function memberWords(member: string): { kind: string; name: string } {
  const at = member.indexOf(':');
  const kind = MEMBER_KINDS.find((item) => item.kind === member.slice(0, at));
  return kind ? { kind: kind.title, name: member.slice(at + 1) } : { kind: 'Member', name: member };
}

export const WEEKDAYS: readonly { day: Weekday; title: string }[] = [
  { day: 'mon', title: 'Monday' },
  { day: 'tue', title: 'Tuesday' },
  { day: 'wed', title: 'Wednesday' },
  { day: 'thu', title: 'Thursday' },
  { day: 'fri', title: 'Friday' },
  { day: 'sat', title: 'Saturday' },
  { day: 'sun', title: 'Sunday' },
];

const weekday = (day: string): string => WEEKDAYS.find((item) => item.day === day)?.title ?? day;

function moment(text: string): string {
  const ms = parseTime(text);
  return ms === null ? text : utc(ms);
}

function hoursWords(hours: string): string {
  const [from = '', to = ''] = hours.split('-');
  return `from ${from} to ${to} UTC${to < from ? ' of the next day' : ''}`;
}

/** What has to hold, each part of it a line; none: always. */
export function conditionWords({ from, until, hours, weekdays, sources }: Condition): string[] {
  const lines: string[] = [];
  if (from) lines.push(`not before ${moment(from)}`);
  if (until) lines.push(`until ${moment(until)}`);
  if (weekdays?.length || hours)
    lines.push([weekdays?.length ? `on ${weekdays.map(weekday).join(', ')}` : 'each day', ...(hours ? [hoursWords(hours)] : [])].join(', '));
  if (sources?.length) lines.push(`asked from ${sources.join(' or ')}`);
  return lines;
}

// --- what a person fills in ---

export interface ConditionDraft {
  title: string;
  from: string;
  until: string;
  hoursFrom: string;
  hoursTo: string;
  weekdays: Weekday[];
  sources: string;
}

export const emptyDraft = (): ConditionDraft => ({ title: '', from: '', until: '', hoursFrom: '', hoursTo: '', weekdays: [], sources: '' });

const time = (text: string): string | undefined => {
  const ms = fromUtcInput(text);
  return ms === null ? undefined : new Date(ms).toISOString();
};

/** The condition of what was filled in; undefined when nothing was. */
export function conditionOf(draft: ConditionDraft): Condition | undefined {
  const title = draft.title.trim();
  const from = time(draft.from);
  const until = time(draft.until);
  const sources = draft.sources.split(/[\s,]+/).filter((part) => part !== '');
  const condition: Condition = {
    ...(title ? { title } : {}),
    ...(from ? { from } : {}),
    ...(until ? { until } : {}),
    ...(draft.hoursFrom && draft.hoursTo ? { hours: `${draft.hoursFrom}-${draft.hoursTo}` } : {}),
    ...(draft.weekdays.length > 0 ? { weekdays: WEEKDAYS.map(({ day }) => day).filter((day) => draft.weekdays.includes(day)) } : {}),
    ...(sources.length > 0 ? { sources } : {}),
  };
  return Object.keys(condition).length > 0 ? condition : undefined;
}

// --- who may ---

const permissionsOf = (roles: readonly Role[], role: string | undefined): readonly string[] => roles.find(({ name }) => name === role)?.permissions ?? [];

export const permits = (roles: readonly Role[], role: string | undefined, permission: string): boolean => permissionsOf(roles, role).includes(permission);

/** Nobody gives what he has not himself. */
export function givable(roles: readonly Role[], own: string | undefined): Role[] {
  const mine = new Set(permissionsOf(roles, own));
  return roles.filter(({ permissions }) => permissions.every((permission) => mine.has(permission)));
}
