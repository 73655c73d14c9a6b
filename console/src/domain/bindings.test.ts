import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Binding, Condition, Role } from '../api/types';
import {
  chainOf, conditionOf, conditionWords, emptyDraft, givable, grantsOf, memberWords, permits, placePath, placeWords, withGrant, withoutGrant,
} from './bindings';

const night: Condition = { hours: '22:00-06:00', weekdays: ['mon', 'sun'] };
const all: Binding[] = [
  { role: 'viewer', members: ['user:bob', 'user:anna'] },
  { role: 'viewer', members: ['user:anna'], condition: night },
  { role: 'auditor', members: ['user:anna'] },
];

for (const [place, path, words, above] of [
  [{ tenant: '', registry: '' }, '', 'the whole house', 0],
  [{ tenant: 'acme', registry: '' }, '/tenants/acme', 'tenant acme', 1],
  [{ tenant: 'acme', registry: 'a b' }, '/tenants/acme/registries/a%20b', 'registry a b of acme', 2],
] as const)
  test(`${words} has its path and what holds above it`, () => {
    assert.equal(placePath(place), path);
    assert.equal(placeWords(place), words);
    assert.deepEqual([chainOf(place)[0], chainOf(place).length], [place, above + 1]);
  });

test('bindings are read by member, and what stands twice once', () =>
  assert.deepEqual(grantsOf([...all, { role: 'viewer', members: ['user:bob'] }]).map(({ member, role, condition }) => [member, role, condition !== undefined]), [
    ['user:anna', 'auditor', false], ['user:anna', 'viewer', false], ['user:anna', 'viewer', true], ['user:bob', 'viewer', false],
  ]));

test('a grant joins the binding of its role and condition, whatever the order of its parts', () => {
  const grant = { member: 'user:cleo', role: 'viewer', condition: { weekdays: ['mon', 'sun'], hours: '22:00-06:00' } as Condition };
  assert.deepEqual(withGrant(all, grant)?.map(({ members }) => members.length), [2, 2, 1]);
  assert.deepEqual(withGrant(all, { member: 'user:cleo', role: 'metrics' })?.at(-1), { role: 'metrics', members: ['user:cleo'] });
  assert.equal(withGrant(all, { member: 'user:anna', role: 'auditor' }), null);
});

test('one grant goes and no other; a binding for nobody goes with it', () => {
  assert.deepEqual(withoutGrant(all, { member: 'user:anna', role: 'viewer' }).map(({ members }) => members), [['user:bob'], ['user:anna'], ['user:anna']]);
  assert.deepEqual(withoutGrant(all, { member: 'user:anna', role: 'viewer', condition: night }), [all[0], all[2]]);
  assert.equal(all[0]?.members.length, 2);
});

for (const [condition, lines] of [
  [night, ['on Monday, Sunday, from 22:00 to 06:00 UTC of the next day']],
  [{ hours: '06:00-18:30' }, ['each day, from 06:00 to 18:30 UTC']],
  [{ weekdays: ['tue'] }, ['on Tuesday']],
  [{ from: '2026-12-01T00:00:00Z', until: '2027-01-01T00:00:00Z' }, ['not before 2026-12-01 00:00:00 UTC', 'until 2027-01-01 00:00:00 UTC']],
  [{ sources: ['10.0.0.0/8', '2001:db8::/32'], title: 'office' }, ['asked from 10.0.0.0/8 or 2001:db8::/32']],
] as [Condition, string[]][])
  test(`a condition in words: ${lines[0]}`, () => assert.deepEqual(conditionWords(condition), lines));

test('what is filled in is the condition; nothing is none', () => {
  assert.equal(conditionOf(emptyDraft()), undefined);
  assert.deepEqual(conditionOf({ title: ' office ', from: '2026-12-01T08:00', until: '', hoursFrom: '06:00', hoursTo: '18:30', weekdays: ['sun', 'mon'], sources: '10.0.0.0/8, ::1' }), {
    title: 'office', from: '2026-12-01T08:00:00.000Z', hours: '06:00-18:30', weekdays: ['mon', 'sun'], sources: ['10.0.0.0/8', '::1'],
  });
});

test('a member has a kind and a name', () => {
  assert.deepEqual(memberWords('device:acme/plant/pump-1'), { kind: 'Device', name: 'acme/plant/pump-1' });
  assert.deepEqual(memberWords('user:a:b'), { kind: 'User', name: 'a:b' });
  assert.deepEqual(memberWords('other:x'), { kind: 'Member', name: 'other:x' });
});

test('only roles whose permissions one has oneself may be given', () => {
  const role = (name: string, ...permissions: string[]): Role => ({ name, of: 'gatehouse', title: '', permissions });
  const roles = [role('all', 'a', 'b', 'c'), role('some', 'a', 'b'), role('one', 'b'), role('other', 'c')];
  assert.deepEqual(givable(roles, 'some').map(({ name }) => name), ['some', 'one']);
  assert.ok(permits(roles, 'one', 'b') && !permits(roles, 'one', 'a') && !permits(roles, undefined, 'a') && !permits(roles, 'none', 'a'));
});
