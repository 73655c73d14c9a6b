// The native API as the console reads it (/api/v1). Times are RFC 3339 in UTC; null means never.

export interface Operator {
  name: string;
  role: string;
}

export type FactorKind = 'totp' | 'webauthn' | 'recovery';

export interface Session {
  operator: Operator;
  expires_at: string | null;
  stage?: 'whole' | 'second-factor' | 'enrol';
  factors?: FactorKind[];
  recovery_codes?: string[]; // with the first second factor
}

export interface Factor {
  id: string;
  kind: FactorKind;
  label: string;
  confirmed: boolean;
  created_at: string | null;
  last_used_at: string | null;
}

export interface Account {
  name: string;
  role: string;
  email: string;
  has_password: boolean;
  factors: Factor[];
  recovery_codes_left: number;
}

export interface OwnSession {
  id: string;
  current: boolean;
  method: string;
  address: string;
  agent: string;
  created_at: string | null;
  seen_at: string | null;
}

export interface Token {
  id: string;
  label: string;
  permissions: string[];
  created_at: string | null;
  expires_at: string | null;
  last_used_at: string | null;
}

export interface Person {
  name: string;
  role: string;
  tenant: string;
  email: string;
  disabled: boolean;
  created_at: string | null;
}

export interface Role {
  name: string;
  of: 'gatehouse' | 'tenant' | 'house';
  title: string;
  permissions: string[];
}

export type Weekday = 'mon' | 'tue' | 'wed' | 'thu' | 'fri' | 'sat' | 'sun';

/** When, and from where, a binding holds: all of it must. */
export interface Condition {
  title?: string;
  from?: string;
  until?: string; // no longer part of the window
  hours?: string; // 22:00-06:00 goes over midnight
  weekdays?: Weekday[];
  sources?: string[];
}

export interface Binding {
  role: string;
  members: string[];
  condition?: Condition;
}

/** All that is bound in one place; an etag that is no longer the current one is refused. */
export interface Bindings {
  bindings: Binding[];
  etag: string;
}

/** A program of a tenant that signs its own tokens, and its keys. */
export interface ServiceAccount {
  email: string;
  title: string;
  disabled: boolean;
  member: string;
  created_at: string;
}

export interface ServiceKey {
  id: string;
  state: 'enabled' | 'disabled' | 'expired';
  expires_at: string | null;
  last_used_at: string | null;
  created_at: string;
}

export interface Status {
  version: string;
  started_at: string;
  now: string;
  devices: number;
  connected: number;
  messages_received: number;
  messages_stored: number;
  log_bytes: number;
}

/** What everybody may know of the built-in CA. */
export interface Authority {
  root_online: boolean;
  warning: string | null;
  root_pem: string;
  /** The root, the intermediate CA, then those before it that are good. */
  certificates: {
    role: 'root' | 'intermediate';
    subject: string;
    issuer: string;
    key: string;
    signature_algorithm: string;
    fingerprint: string;
    not_after: string;
  }[];
  /** Of the list of the root; absent or empty while there is none. */
  crl_base64: string;
  crl_number?: number;
  crl_this_update?: string;
  crl_next_update: string | null;
  crl_revoked?: number;
}

export interface Tenant {
  name: string;
}

export interface Registry {
  tenant: string;
  name: string;
  location: string;
  device_count?: number;
}

export interface Credential {
  id: string;
  kind: string;
  form: string;
  fingerprint: string | null;
  state: string;
  valid_from: string | null;
  expires_at: string | null;
  last_used_at: string | null;
  created_at: string | null;
}

export interface Connection {
  state: 'connected' | 'disconnected';
  since: string | null;
  address: string | null;
  dialect: string | null;
  credential: string | null;
  expires_at: string | null;
}

/** A connection that is there, or a session that is kept for a client that is away. */
export interface LiveConnection {
  tenant: string;
  registry: string;
  device: string;
  client_id: string;
  state: 'connected' | 'offline';
  address?: string;
  since?: string | null;
  mqtt?: string;
  dialect?: string;
  transport?: string;
  credential?: string;
  expires_at?: string | null;
  // Only where the dialect has MQTT's own sessions:
  stored?: boolean;
  session_expiry_s?: number | null;
  away_since?: string | null;
  subscriptions_count?: number;
  subscriptions?: Subscription[];
  queued?: number;
  queued_bytes?: number;
  in_flight?: number;
  dropped?: number;
}

export interface Subscription {
  filter: string;
  qos: number;
  no_local?: boolean;
  retain_as_published?: boolean;
  identifier?: number;
}

export interface ConnectionPage {
  connections: LiveConnection[];
  next_page_token?: string | null;
}

export interface Refusal {
  at: string;
  reason: string;
  detail: string | null;
  address: string | null;
}

export interface FleetRefusal extends Refusal {
  tenant: string | null;
  registry: string | null;
  device: string | null;
}

/** What names a device: the three parts of its address. */
export interface DeviceName {
  tenant: string;
  registry: string;
  id: string;
}

export interface Device extends DeviceName {
  number: string;
  blocked: boolean;
  ban: { until: string | null } | null; // until null: until it is lifted
  attributes: Record<string, string>;
  credentials: Credential[];
  connection: Connection;
  last_refusal: Refusal | null;
  last_event_at: string | null;
  last_state_at: string | null;
  last_heartbeat_at: string | null;
  created_at: string | null;
  config: { version: number | string; updated_at: string | null; acknowledged_at: string | null } | null;
  state: { updated_at: string | null } | null;
}

export interface DevicePage {
  devices: Device[];
  next_page_token?: string | null;
  total?: number;
}

export interface LogEntry {
  at: string;
  kind: string;
  reason: string | null;
  detail: string | null;
  address: string | null;
}

export interface TelemetryRecord {
  at: string;
  channel: string;
  data: unknown;
  data_base64?: string;
}

/** A version of a device's configuration, or a state that it reported. */
export interface DocumentVersion {
  version: number | string;
  updated_at: string | null;
  acknowledged_at?: string | null;
  data?: unknown;
  data_base64?: string;
}

export type Range = readonly [number, number];

export interface Climate {
  temperature_c?: number | null;
  humidity_pct?: number | null;
  co2_ppm?: number | null;
  pm25_ugm3?: number | null;
}

export type Quantity = keyof Climate;

export interface Probe extends Climate {
  device: string;
  kind: string;
  ok: boolean;
  at: string | null;
}

export interface Equipment {
  device: string;
  kind: string;
  ok: boolean;
  commanded: number | null;
  reported: number | null;
  stages: number | null;
  power_w: number | null;
  since: string | null;
}

export interface Alarm {
  kind: string;
  text: string;
  since: string | null;
}

export interface Zone {
  tenant: string;
  zone: string;
  name: string;
  season: string;
  mode: string;
  site_time: string | null;
  speed: number;
  band: Partial<Record<Quantity, Range>>;
  reading: (Climate & { at?: string | null }) | null;
  outdoor: Climate | null;
  probes: Probe[];
  equipment: Equipment[];
  alarms: Alarm[];
  updated_at: string | null;
}

/** The live stream's events. */
export interface TelemetryEvent extends TelemetryRecord {
  tenant: string;
  registry: string;
  device: string;
}

export interface ConnectionEvent {
  tenant: string;
  registry: string;
  device: string;
  state: string;
  at: string;
  reason: string | null;
  detail: string | null;
  address: string | null;
}

export interface AuditRow {
  seq: number;
  at: string;
  tenant: string;
  method: string;
  face: string;
  action: string;
  object: string;
  actor: string | null;
  actor_id: string;
  source: string | null;
  source_id: string;
  subject: string | null;
  subject_id: string;
  result: 'done' | 'refused' | 'failed' | 'begun';
  code: number;
  detail: string;
  hash: string;
}

export interface AuditVerdict {
  verdict: string;
  text: string;
  first: number;
  last: number;
  bad_first: number;
  bad_last: number;
  signed_seq: number;
  checkpoints: number;
  trail: { writable: boolean; signed_seq: number; signed_at: string | null; exported_seq: number; broken_seq: number };
}

export type DeviceAction = 'connect' | 'publish' | 'subscribe' | 'receive' | 'retain';

export interface Policy {
  name: string;
  version: number;
  updated_at: string | null;
  document: unknown;
}

export interface PolicyDecision {
  allowed: boolean;
  outcome: string;
  action: DeviceAction;
  resource: string;
  policy: string | null;
  statement: number | null;
  sid: string | null;
}

export interface AccessDecision {
  allowed: boolean;
  permission: string;
  why: string;
}
