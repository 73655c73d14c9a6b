// What a role may do, where a page has to know before it asks: buttons for those who may. The server decides again
// (src/policy/permission.def), so that a role that is missing here only hides a button.

export type Deed = 'kick' | 'ban' | 'credential' | 'audit' | 'see-people' | 'change-people' | 'change-service-accounts';

const MAY: Record<Deed, readonly string[]> = {
  kick: ['administrator', 'operator', 'provisioner', 'device-controller'],
  ban: ['administrator', 'operator', 'provisioner'],
  credential: ['administrator', 'operator', 'provisioner'],
  audit: ['administrator', 'auditor'],
  'see-people': ['administrator', 'auditor'],
  'change-people': ['administrator'],
  'change-service-accounts': ['administrator'],
};

export function may(role: string | undefined, deed: Deed): boolean {
  return role !== undefined && MAY[deed].includes(role);
}
