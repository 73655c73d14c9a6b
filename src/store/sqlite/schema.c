/* The schema, as numbered migrations: the rows of version N bring a database from N - 1 to N. A row
 * that was released never changes; what changes comes as new rows. */
#include "store/sqlite/sqlite_internal.h"
#include <stdio.h>

static const char directory_1[] =
    /* Who: each tenant with its names in the dialects. */
    "CREATE TABLE tenants("
    "  number INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  name TEXT NOT NULL UNIQUE,"
    "  google_project TEXT NOT NULL UNIQUE,"
    "  azure_hub TEXT NOT NULL UNIQUE,"
    "  aws_account TEXT NOT NULL UNIQUE,"
    "  policy TEXT NOT NULL DEFAULT '',"
    "  policy_etag TEXT NOT NULL DEFAULT '',"
    "  created_at_ms INTEGER NOT NULL) STRICT;"

    "CREATE TABLE registries("
    "  number INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  tenant INTEGER NOT NULL REFERENCES tenants,"
    "  name TEXT NOT NULL,"
    "  location TEXT NOT NULL,"
    "  state_topic TEXT NOT NULL,"
    "  mqtt_enabled INTEGER NOT NULL,"
    "  http_enabled INTEGER NOT NULL,"
    "  log_level INTEGER NOT NULL,"
    "  policy TEXT NOT NULL DEFAULT '',"
    "  policy_etag TEXT NOT NULL DEFAULT '',"
    "  created_at_ms INTEGER NOT NULL,"
    "  UNIQUE(tenant, name)) STRICT;"
    "CREATE TABLE routes("
    "  registry INTEGER NOT NULL REFERENCES registries ON DELETE CASCADE,"
    "  position INTEGER NOT NULL,"
    "  channel TEXT NOT NULL,"
    "  topic TEXT NOT NULL,"
    "  PRIMARY KEY(registry, position)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE certificates("
    "  registry INTEGER NOT NULL REFERENCES registries ON DELETE CASCADE,"
    "  position INTEGER NOT NULL,"
    "  pem TEXT NOT NULL,"
    "  PRIMARY KEY(registry, position)) STRICT, WITHOUT ROWID;"

    /* The tenant is repeated so that one index gives a tenant's devices in the order of pages. */
    "CREATE TABLE devices("
    "  number INTEGER PRIMARY KEY,"
    "  registry INTEGER NOT NULL REFERENCES registries,"
    "  tenant INTEGER NOT NULL,"
    "  id TEXT NOT NULL,"
    "  blocked INTEGER NOT NULL,"
    "  log_level INTEGER NOT NULL,"
    "  is_gateway INTEGER NOT NULL,"
    "  gateway_auth INTEGER NOT NULL,"
    "  created_at_ms INTEGER NOT NULL,"
    "  UNIQUE(registry, id)) STRICT;"
    "CREATE INDEX devices_of_tenant ON devices(tenant, registry, id);"
    "CREATE TABLE retired(number INTEGER PRIMARY KEY) STRICT;" /* of deleted devices, never given
                                                                  again */
    "CREATE TABLE credentials("
    "  device INTEGER NOT NULL REFERENCES devices ON DELETE CASCADE,"
    "  position INTEGER NOT NULL,"
    "  id TEXT NOT NULL,"
    "  format INTEGER NOT NULL,"
    "  pem TEXT NOT NULL,"
    "  fingerprint TEXT NOT NULL,"
    "  expires_at_ms INTEGER NOT NULL,"
    "  created_at_ms INTEGER NOT NULL,"
    "  PRIMARY KEY(device, position)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE attributes("
    "  device INTEGER NOT NULL REFERENCES devices ON DELETE CASCADE,"
    "  key TEXT NOT NULL,"
    "  value TEXT NOT NULL,"
    "  PRIMARY KEY(device, key)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE bindings("
    "  gateway INTEGER NOT NULL REFERENCES devices,"
    "  device INTEGER NOT NULL REFERENCES devices,"
    "  PRIMARY KEY(gateway, device)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX bindings_of_device ON bindings(device);"
    "CREATE TABLE configs("
    "  device INTEGER NOT NULL REFERENCES devices ON DELETE CASCADE,"
    "  version INTEGER NOT NULL,"
    "  updated_at_ms INTEGER NOT NULL,"
    "  acknowledged_at_ms INTEGER NOT NULL,"
    "  data BLOB NOT NULL,"
    "  PRIMARY KEY(device, version)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE states("
    "  device INTEGER NOT NULL REFERENCES devices ON DELETE CASCADE,"
    "  sequence INTEGER NOT NULL,"
    "  updated_at_ms INTEGER NOT NULL,"
    "  data BLOB NOT NULL,"
    "  PRIMARY KEY(device, sequence)) STRICT, WITHOUT ROWID;"
    /* What changes with every message stays out of the devices' rows, in narrow ones of its own. */
    "CREATE TABLE activity("
    "  device INTEGER PRIMARY KEY REFERENCES devices ON DELETE CASCADE,"
    "  heartbeat_ms INTEGER NOT NULL,"
    "  event_ms INTEGER NOT NULL,"
    "  state_ms INTEGER NOT NULL,"
    "  config_ack_ms INTEGER NOT NULL,"
    "  config_send_ms INTEGER NOT NULL,"
    "  error_ms INTEGER NOT NULL,"
    "  error_code INTEGER NOT NULL,"
    "  error_message TEXT NOT NULL) STRICT;";

static const char services_1[] =
    "CREATE TABLE operators("
    "  number INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  name TEXT NOT NULL UNIQUE,"
    "  password_hash TEXT NOT NULL,"
    "  role TEXT NOT NULL,"
    "  tenant INTEGER REFERENCES tenants ON DELETE CASCADE," /* NULL: all */
    "  disabled INTEGER NOT NULL,"
    "  created_at_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX operators_of_tenant ON operators(tenant);"
    "CREATE TABLE sign_ins("
    "  hash BLOB PRIMARY KEY NOT NULL,"
    "  operator INTEGER NOT NULL REFERENCES operators ON DELETE CASCADE,"
    "  created_at_ms INTEGER NOT NULL,"
    "  seen_at_ms INTEGER NOT NULL,"
    "  expires_at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX sign_ins_of_operator ON sign_ins(operator);"
    "CREATE TABLE tokens("
    "  hash BLOB PRIMARY KEY NOT NULL,"
    "  role TEXT NOT NULL,"
    "  member TEXT NOT NULL,"
    "  tenant INTEGER REFERENCES tenants ON DELETE CASCADE," /* NULL: all */
    "  created_at_ms INTEGER NOT NULL,"
    "  expires_at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX tokens_of_tenant ON tokens(tenant);"

    "CREATE TABLE topics("
    "  number INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  tenant INTEGER NOT NULL REFERENCES tenants,"
    "  name TEXT NOT NULL,"
    "  settings TEXT NOT NULL,"
    "  created_at_ms INTEGER NOT NULL,"
    "  UNIQUE(tenant, name)) STRICT;"
    "CREATE TABLE subscriptions("
    "  number INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  tenant INTEGER NOT NULL REFERENCES tenants,"
    "  topic INTEGER REFERENCES topics ON DELETE SET NULL," /* NULL: deleted */
    "  topic_name TEXT NOT NULL,"
    "  name TEXT NOT NULL,"
    "  ack_deadline_s INTEGER NOT NULL,"
    "  retention_s INTEGER NOT NULL,"
    "  first_offset INTEGER NOT NULL,"
    "  settings TEXT NOT NULL,"
    "  created_at_ms INTEGER NOT NULL,"
    "  UNIQUE(tenant, name)) STRICT;"
    "CREATE INDEX subscriptions_of_topic ON subscriptions(topic);"
    "CREATE TABLE documents("
    "  kind TEXT NOT NULL,"
    "  tenant INTEGER NOT NULL REFERENCES tenants ON DELETE CASCADE,"
    "  name TEXT NOT NULL,"
    "  json TEXT NOT NULL,"
    "  updated_at_ms INTEGER NOT NULL,"
    "  PRIMARY KEY(kind, tenant, name)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX documents_of_tenant ON documents(tenant);"
    "CREATE TABLE meta(key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) STRICT, WITHOUT ROWID;";

static const char history_1[] =
    /* Names, not numbers: an entry outlives its device, and refusals name what does not exist. */
    "CREATE TABLE trail("
    "  sequence INTEGER PRIMARY KEY,"
    "  at_ms INTEGER NOT NULL,"
    "  device INTEGER NOT NULL,"
    "  tenant TEXT NOT NULL,"
    "  registry TEXT NOT NULL,"
    "  device_id TEXT NOT NULL,"
    "  kind INTEGER NOT NULL,"
    "  reason TEXT NOT NULL,"
    "  detail TEXT NOT NULL,"
    "  address TEXT NOT NULL) STRICT;"
    "CREATE INDEX trail_of_device ON trail(device);"
    "CREATE INDEX trail_of_tenant ON trail(tenant);"
    "CREATE INDEX trail_of_kind ON trail(kind);"
    "CREATE TABLE blocks("
    "  number INTEGER PRIMARY KEY,"
    "  device INTEGER NOT NULL,"
    "  first_ms INTEGER NOT NULL,"
    "  last_ms INTEGER NOT NULL,"
    "  count INTEGER NOT NULL,"
    "  bytes BLOB NOT NULL) STRICT;"
    "CREATE INDEX blocks_of_device ON blocks(device, last_ms, first_ms);"
    "CREATE INDEX blocks_by_end ON blocks(last_ms);";

static const char policies_2[] =
    "CREATE TABLE policies("
    "  number INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  tenant INTEGER NOT NULL REFERENCES tenants ON DELETE CASCADE,"
    "  name TEXT NOT NULL,"
    "  document TEXT NOT NULL,"
    "  etag TEXT NOT NULL,"
    "  version INTEGER NOT NULL,"
    "  created_at_ms INTEGER NOT NULL,"
    "  updated_at_ms INTEGER NOT NULL,"
    "  UNIQUE(tenant, name)) STRICT;"
    /* Of registry and device one is set, or none: then it is the whole tenant. What is deleted
     * takes its attachments along; a policy does not. */
    "CREATE TABLE policy_attachments("
    "  number INTEGER PRIMARY KEY,"
    "  policy INTEGER NOT NULL REFERENCES policies,"
    "  tenant INTEGER NOT NULL REFERENCES tenants ON DELETE CASCADE,"
    "  registry INTEGER REFERENCES registries ON DELETE CASCADE,"
    "  device INTEGER REFERENCES devices ON DELETE CASCADE) STRICT;"
    "CREATE INDEX attachments_of_policy ON policy_attachments(policy);"
    "CREATE INDEX attachments_in_tenant ON policy_attachments(tenant);"
    "CREATE UNIQUE INDEX attachments_of_tenant ON policy_attachments(tenant, policy) "
    "  WHERE registry IS NULL AND device IS NULL;"
    "CREATE UNIQUE INDEX attachments_of_registry ON policy_attachments(registry, policy) "
    "  WHERE registry IS NOT NULL;"
    "CREATE UNIQUE INDEX attachments_of_device ON policy_attachments(device, policy) "
    "  WHERE device IS NOT NULL;";

static const char bans_3[] =
    "ALTER TABLE devices ADD COLUMN banned_until_ms INTEGER NOT NULL DEFAULT 0;";

static const char data_keys_4[] = "CREATE TABLE data_keys("
                                  "  tenant INTEGER NOT NULL REFERENCES tenants ON DELETE CASCADE,"
                                  "  number INTEGER NOT NULL,"
                                  "  sealed BLOB NOT NULL,"
                                  "  created_at_ms INTEGER NOT NULL,"
                                  "  PRIMARY KEY(tenant, number)) STRICT, WITHOUT ROWID;";

static const char spent_5[] =
    /* Digests of the ids of used assertions and revoked tokens, until they would have expired. */
    "CREATE TABLE spent("
    "  hash BLOB PRIMARY KEY NOT NULL,"
    "  expires_at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX spent_by_end ON spent(expires_at_ms);";

static const char groups_6[] =
    "CREATE TABLE device_groups("
    "  number INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  tenant INTEGER NOT NULL REFERENCES tenants ON DELETE CASCADE,"
    "  name TEXT NOT NULL,"
    "  created_at_ms INTEGER NOT NULL,"
    "  UNIQUE(tenant, name)) STRICT;"
    "CREATE TABLE device_group_members("
    "  device_group INTEGER NOT NULL REFERENCES device_groups ON DELETE CASCADE,"
    "  device INTEGER NOT NULL REFERENCES devices ON DELETE CASCADE,"
    "  PRIMARY KEY(device_group, device)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX groups_of_device ON device_group_members(device);"
    /* A policy's target may be a group, or of a device one credential: it holds for connections
     * that it proved. */
    "ALTER TABLE policy_attachments ADD COLUMN device_group INTEGER REFERENCES device_groups "
    "  ON DELETE CASCADE;"
    "ALTER TABLE policy_attachments ADD COLUMN credential TEXT NOT NULL DEFAULT '';"
    "DROP INDEX attachments_of_tenant;"
    "CREATE UNIQUE INDEX attachments_of_tenant ON policy_attachments(tenant, policy) "
    "  WHERE registry IS NULL AND device IS NULL AND device_group IS NULL;"
    "DROP INDEX attachments_of_device;"
    "CREATE UNIQUE INDEX attachments_of_device ON policy_attachments(device, credential, policy) "
    "  WHERE device IS NOT NULL;"
    "CREATE UNIQUE INDEX attachments_of_group ON policy_attachments(device_group, policy) "
    "  WHERE device_group IS NOT NULL;";

static const char trust_7[] =
    /* CAs whose certificates prove devices; without a registry the tenant's own issuing CA. */
    "CREATE TABLE anchors("
    "  number INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  tenant INTEGER NOT NULL REFERENCES tenants ON DELETE CASCADE,"
    "  registry INTEGER REFERENCES registries ON DELETE CASCADE,"
    "  fingerprint TEXT NOT NULL,"
    "  pem TEXT NOT NULL,"
    "  state INTEGER NOT NULL,"
    "  code TEXT NOT NULL,"
    "  key BLOB NOT NULL,"
    "  crl_url TEXT NOT NULL,"
    "  crl_number INTEGER NOT NULL DEFAULT 0,"
    "  crl_next_ms INTEGER NOT NULL DEFAULT 0,"
    "  crl_read_ms INTEGER NOT NULL DEFAULT 0,"
    "  created_at_ms INTEGER NOT NULL,"
    "  verified_at_ms INTEGER NOT NULL) STRICT;"
    "CREATE UNIQUE INDEX anchors_of_tenant ON anchors(tenant, coalesce(registry, 0), fingerprint);"
    "CREATE INDEX anchors_of_registry ON anchors(registry);"
    "CREATE INDEX anchors_fetched ON anchors(crl_url) WHERE crl_url > '';"
    /* `listed`: it came with a CRL and goes with the next one that leaves it out. */
    "CREATE TABLE revocations("
    "  anchor INTEGER NOT NULL REFERENCES anchors ON DELETE CASCADE,"
    "  serial TEXT NOT NULL,"
    "  listed INTEGER NOT NULL,"
    "  reason INTEGER NOT NULL,"
    "  at_ms INTEGER NOT NULL,"
    "  PRIMARY KEY(anchor, serial)) STRICT, WITHOUT ROWID;"
    /* A certificate outlives the device that it was issued to. */
    "CREATE TABLE issued("
    "  anchor INTEGER NOT NULL REFERENCES anchors ON DELETE CASCADE,"
    "  serial TEXT NOT NULL,"
    "  device INTEGER NOT NULL,"
    "  pem TEXT NOT NULL,"
    "  not_before_ms INTEGER NOT NULL,"
    "  not_after_ms INTEGER NOT NULL,"
    "  issued_at_ms INTEGER NOT NULL,"
    "  PRIMARY KEY(anchor, serial)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX issued_by_time ON issued(anchor, issued_at_ms);"
    "CREATE INDEX issued_to_device ON issued(device, issued_at_ms);"
    "CREATE TABLE enrolments("
    "  hash BLOB PRIMARY KEY NOT NULL,"
    "  device INTEGER NOT NULL REFERENCES devices ON DELETE CASCADE,"
    "  created_at_ms INTEGER NOT NULL,"
    "  expires_at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX enrolments_of_device ON enrolments(device);";

static const char roles_8[] =
    /* Roles made of permissions; without a tenant for the whole house. */
    "CREATE TABLE roles("
    "  number INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  tenant INTEGER REFERENCES tenants ON DELETE CASCADE,"
    "  name TEXT NOT NULL,"
    "  title TEXT NOT NULL,"
    "  permissions TEXT NOT NULL,"
    "  etag TEXT NOT NULL,"
    "  created_at_ms INTEGER NOT NULL,"
    "  updated_at_ms INTEGER NOT NULL) STRICT;"
    "CREATE UNIQUE INDEX roles_by_name ON roles(coalesce(tenant, 0), name);"
    "CREATE INDEX roles_of_tenant ON roles(tenant);"
    /* The bindings of a group or of a device; those of tenants and registries stand with them. */
    "CREATE TABLE grants("
    "  number INTEGER PRIMARY KEY,"
    "  tenant INTEGER NOT NULL REFERENCES tenants ON DELETE CASCADE,"
    "  device_group INTEGER REFERENCES device_groups ON DELETE CASCADE,"
    "  device INTEGER REFERENCES devices ON DELETE CASCADE,"
    "  policy TEXT NOT NULL,"
    "  etag TEXT NOT NULL,"
    "  CHECK((device_group IS NULL) <> (device IS NULL))) STRICT;"
    "CREATE INDEX grants_of_tenant ON grants(tenant);"
    "CREATE UNIQUE INDEX grants_of_group ON grants(device_group);"
    "CREATE UNIQUE INDEX grants_of_device ON grants(device);";

static const char credentials_9[] =
    "ALTER TABLE credentials ADD COLUMN mark TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE credentials ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE credentials ADD COLUMN valid_from_ms INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX credentials_by_fingerprint ON credentials(fingerprint) WHERE fingerprint > '';"
    "CREATE INDEX credentials_by_mark ON credentials(mark) WHERE mark > '';"
    /* What changes with every sign-in stays out of the credentials' rows. */
    "CREATE TABLE credential_uses("
    "  device INTEGER NOT NULL REFERENCES devices ON DELETE CASCADE,"
    "  credential TEXT NOT NULL,"
    "  at_ms INTEGER NOT NULL,"
    "  PRIMARY KEY(device, credential)) STRICT, WITHOUT ROWID;"
    /* An enrolment token stays in its device's list after its use, until it expires. */
    "ALTER TABLE enrolments ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE enrolments ADD COLUMN used_at_ms INTEGER NOT NULL DEFAULT 0;";

/* Which gateway a device was last attached by, and where the life of a registry's devices is told.
 */
static const char gateways_10[] =
    "CREATE TABLE gateway_uses("
    "  device INTEGER PRIMARY KEY REFERENCES devices ON DELETE CASCADE,"
    "  gateway INTEGER NOT NULL,"
    "  at_ms INTEGER NOT NULL) STRICT;"
    "ALTER TABLE registries ADD COLUMN activity_topic TEXT NOT NULL DEFAULT '';";

static const char tenants_11[] =
    "ALTER TABLE tenants ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0;";

/* Certificates by CAs that proved a device, with their own dates. */
static const char certificate_uses_12[] =
    "CREATE TABLE certificate_uses("
    "  device INTEGER NOT NULL REFERENCES devices ON DELETE CASCADE,"
    "  anchor INTEGER NOT NULL REFERENCES anchors ON DELETE CASCADE,"
    "  serial TEXT NOT NULL,"
    "  not_before_ms INTEGER NOT NULL,"
    "  not_after_ms INTEGER NOT NULL,"
    "  first_ms INTEGER NOT NULL,"
    "  at_ms INTEGER NOT NULL,"
    "  PRIMARY KEY(device, anchor, serial)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX certificate_uses_of_anchor ON certificate_uses(anchor);";

/* Symmetric keys that were stored before there were marks; they get theirs at the next start. */
static const char unmarked_13[] =
    "CREATE INDEX credentials_unmarked ON credentials(device, id) WHERE format = 6 AND mark = '';";

/* Programs that sign their own tokens, and what was given to them for such a one. */
static const char service_accounts_14[] =
    "CREATE TABLE service_accounts("
    "  number INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  tenant INTEGER NOT NULL REFERENCES tenants ON DELETE CASCADE,"
    "  email TEXT NOT NULL UNIQUE,"
    "  title TEXT NOT NULL,"
    "  disabled INTEGER NOT NULL,"
    "  created_at_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX service_accounts_of_tenant ON service_accounts(tenant, email);"
    "CREATE TABLE service_keys("
    "  number INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  account INTEGER NOT NULL REFERENCES service_accounts ON DELETE CASCADE,"
    "  id TEXT NOT NULL,"
    "  public_key TEXT NOT NULL,"
    "  disabled INTEGER NOT NULL,"
    "  created_at_ms INTEGER NOT NULL,"
    "  expires_at_ms INTEGER NOT NULL,"
    "  last_used_at_ms INTEGER NOT NULL DEFAULT 0,"
    "  UNIQUE(account, id)) STRICT;"
    "ALTER TABLE tokens ADD COLUMN service_key INTEGER REFERENCES service_keys ON DELETE CASCADE;"
    "CREATE INDEX tokens_of_service_key ON tokens(service_key) WHERE service_key IS NOT NULL;";

static const char audit_15[] =
    /* Rows are only added, and go only below a checkpoint. */
    "CREATE TABLE audit("
    "  seq INTEGER PRIMARY KEY,"
    "  at_ms INTEGER NOT NULL,"
    "  tenant TEXT NOT NULL,"
    "  method TEXT NOT NULL,"
    "  face TEXT NOT NULL,"
    "  action TEXT NOT NULL,"
    "  object TEXT NOT NULL,"
    "  actor BLOB NOT NULL,"
    "  source BLOB NOT NULL,"
    "  subject BLOB NOT NULL,"
    "  detail BLOB NOT NULL,"
    "  result INTEGER NOT NULL,"
    "  code INTEGER NOT NULL,"
    "  hash BLOB NOT NULL) STRICT;"
    /* Who stands behind a pseudonym: not part of the chain, so that it can be forgotten. */
    "CREATE TABLE audit_names("
    "  text TEXT PRIMARY KEY NOT NULL,"
    "  salt BLOB NOT NULL,"
    "  pseudonym BLOB NOT NULL UNIQUE,"
    "  last_seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE audit_checkpoints("
    "  seq INTEGER PRIMARY KEY,"
    "  at_ms INTEGER NOT NULL,"
    "  hash BLOB NOT NULL,"
    "  root BLOB NOT NULL,"
    "  frontier BLOB NOT NULL,"
    "  key_id TEXT NOT NULL,"
    "  signature BLOB NOT NULL) STRICT;";

/* The bindings that hold in every tenant: one row. */
static const char house_16[] = "CREATE TABLE house("
                               "  one INTEGER PRIMARY KEY CHECK(one = 1),"
                               "  policy TEXT NOT NULL,"
                               "  etag TEXT NOT NULL) STRICT;"
                               "INSERT INTO house VALUES(1, '', '');";

/* Where a CA's responder is, and what it said: asked again at `due_ms`. */
static const char ocsp_17[] = "ALTER TABLE anchors ADD COLUMN ocsp_url TEXT NOT NULL DEFAULT '';"
                              "CREATE TABLE ocsp_answers("
                              "  anchor INTEGER NOT NULL REFERENCES anchors ON DELETE CASCADE,"
                              "  serial TEXT NOT NULL,"
                              "  good_until_ms INTEGER NOT NULL,"
                              "  due_ms INTEGER NOT NULL,"
                              "  not_after_ms INTEGER NOT NULL,"
                              "  PRIMARY KEY(anchor, serial)) STRICT, WITHOUT ROWID;"
                              "CREATE INDEX ocsp_answers_due ON ocsp_answers(due_ms);";

/* Devices that have not been heard of for the time that an alert gives them. */
static const char absences_18[] =
    "CREATE TABLE absences("
    "  device INTEGER PRIMARY KEY REFERENCES devices ON DELETE CASCADE,"
    "  tenant INTEGER NOT NULL REFERENCES tenants ON DELETE CASCADE,"
    "  since_ms INTEGER NOT NULL,"
    "  state INTEGER NOT NULL) STRICT;"
    "CREATE INDEX absences_of_tenant ON absences(tenant, since_ms);"
    "CREATE INDEX absences_by_time ON absences(since_ms);";

/* What a topic keeps, how a subscription delivers, who may use either, and snapshots. */
static const char pubsub_19[] =
    "ALTER TABLE topics ADD COLUMN retention_s INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE topics ADD COLUMN policy TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE subscriptions ADD COLUMN rules TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE subscriptions ADD COLUMN policy TEXT NOT NULL DEFAULT '';"
    "CREATE TABLE snapshots("
    "  number INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  tenant INTEGER NOT NULL REFERENCES tenants ON DELETE CASCADE,"
    "  topic INTEGER REFERENCES topics ON DELETE SET NULL," /* NULL: deleted */
    "  topic_name TEXT NOT NULL,"
    "  name TEXT NOT NULL,"
    "  settings TEXT NOT NULL,"
    "  from_offset INTEGER NOT NULL,"
    "  expires_at_ms INTEGER NOT NULL,"
    "  state BLOB NOT NULL,"
    "  UNIQUE(tenant, name)) STRICT;"
    "CREATE INDEX snapshots_of_topic ON snapshots(topic);";

/* Second factors, what a session has proved, tokens of operators, and who they are elsewhere. */
static const char people_20[] =
    "ALTER TABLE operators ADD COLUMN email TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE operators ADD COLUMN provider TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE operators ADD COLUMN subject TEXT NOT NULL DEFAULT '';"
    "CREATE UNIQUE INDEX operators_by_email ON operators(email) WHERE email > '';"
    "CREATE UNIQUE INDEX operators_by_subject ON operators(provider, subject) WHERE subject > '';"
    "CREATE TABLE factors("
    "  number INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  operator INTEGER NOT NULL REFERENCES operators ON DELETE CASCADE,"
    "  kind INTEGER NOT NULL,"
    "  label TEXT NOT NULL,"
    "  confirmed INTEGER NOT NULL,"
    "  secret BLOB NOT NULL,"
    "  credential BLOB NOT NULL,"
    "  counter INTEGER NOT NULL,"
    "  created_at_ms INTEGER NOT NULL,"
    "  used_at_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX factors_of_operator ON factors(operator);"
    "CREATE UNIQUE INDEX factors_by_credential ON factors(credential) WHERE credential > x'';"
    /* Sessions of before have shown a password, when they began. */
    "ALTER TABLE sign_ins ADD COLUMN stage INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE sign_ins ADD COLUMN method TEXT NOT NULL DEFAULT 'password';"
    "ALTER TABLE sign_ins ADD COLUMN proved_at_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE sign_ins ADD COLUMN address TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE sign_ins ADD COLUMN agent TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE sign_ins ADD COLUMN challenge BLOB NOT NULL DEFAULT x'';"
    "ALTER TABLE tokens ADD COLUMN operator INTEGER REFERENCES operators ON DELETE CASCADE;"
    "ALTER TABLE tokens ADD COLUMN label TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE tokens ADD COLUMN permissions TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE tokens ADD COLUMN used_at_ms INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX tokens_of_operator ON tokens(operator);";

static const struct {
    int version; /* rising */
    const char *text;
} migrations[] = {
    {1, directory_1},   {1, services_1},
    {1, history_1},     {2, policies_2},
    {3, bans_3},        {4, data_keys_4},
    {5, spent_5},       {6, groups_6},
    {7, trust_7},       {8, roles_8},
    {9, credentials_9}, {10, gateways_10},
    {11, tenants_11},   {12, certificate_uses_12},
    {13, unmarked_13},  {14, service_accounts_14},
    {15, audit_15},     {16, house_16},
    {17, ocsp_17},      {18, absences_18},
    {19, pubsub_19},    {20, people_20},
};

enum { VERSION = 20 }; /* of the last row */

enum { USER_VERSION };
static const char *const sql[] = {
    [USER_VERSION] = "PRAGMA user_version",
};

/* Brings the database from `version` to the newest, in one transaction. */
static enum gh_error_code migrate(struct gh_link *link, int64_t version, struct gh_error *error)
{
    char stamp[128];
    snprintf(stamp, sizeof stamp, "PRAGMA application_id=%d; PRAGMA user_version=%d",
             GH_STORE_APPLICATION_ID, (int)VERSION);
    enum gh_error_code code = gh_link_run(link, "BEGIN IMMEDIATE", error);
    for (size_t i = 0; code == GH_OK && i < GH_COUNT(migrations); i++)
        if (migrations[i].version > version)
            code = gh_link_run(link, migrations[i].text, error);
    if (code == GH_OK)
        code = gh_link_run(link, stamp, error);
    if (code == GH_OK)
        code = gh_link_run(link, "COMMIT", error);
    if (code != GH_OK && !sqlite3_get_autocommit(link->db))
        sqlite3_exec(link->db, "ROLLBACK", NULL, NULL, NULL);
    return code;
}

enum gh_error_code gh_schema_create(struct gh_link *link, struct gh_error *error)
{
    return migrate(link, 0, error);
}

enum gh_error_code gh_schema_update(struct gh_link *link, struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[USER_VERSION]);
    int64_t version = gh_sql_next(&q) ? gh_sql_int(&q) : 0;
    enum gh_error_code code = gh_sql_close(&q, error);
    if (code != GH_OK)
        return code;
    if (version < 1)
        return gh_error_set(error, GH_ERROR_STORE_CORRUPT, "%s: there is no schema version",
                            link->store->path);
    if (version > VERSION)
        return gh_error_set(error, GH_ERROR_STORE_NEWER, "%s: schema %lld, this program knows %d",
                            link->store->path, (long long)version, VERSION);
    return version == VERSION ? GH_OK : migrate(link, version, error);
}
