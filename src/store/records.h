/* Records: the plain values that the store keeps and the rooms above pass around: tenants,
 * registries, devices with their credentials and documents, operators, tokens, topics, trail
 * entries, telemetry blocks. No behaviour and no rules live here: registry/directory.h says what is
 * allowed, store/store.h remembers.
 *
 * Memory: every slice in a record that was read lives in the arena of the call that read it; in a
 * record that is written it is borrowed for the call. Times are UTC milliseconds, 0 means never.
 * Threads: any. */
#ifndef GH_STORE_RECORDS_H
#define GH_STORE_RECORDS_H

#include "base/slice.h"

enum {
    GH_DEVICE_CREDENTIALS_MAX = 3,
    GH_REGISTRY_CERTIFICATES_MAX = 10,
    GH_REGISTRY_ROUTES_MAX = 10,
    GH_DEVICE_HISTORY_MAX = 10, /* configs and states kept per device */
    GH_TOKEN_HASH_BYTES = 32,   /* SHA-256 of a bearer token or session cookie */
};

/* `banned_until_ms` of a ban that only ends when it is lifted. */
#define GH_DEVICE_BANNED_FOR_EVER INT64_MAX

struct gh_tenant {
    int64_t number; /* from 1, never reused */
    struct gh_slice name;
    struct gh_slice google_project, azure_hub, aws_account; /* the names in the three dialects */
    struct gh_slice policy, policy_etag; /* grants on the whole tenant, JSON; empty: none */
    bool disabled; /* nothing and nobody of it is let in until it is enabled again */
    int64_t created_at_ms;
};

/* How much of a device's life is logged; a device's level overrides its registry's unless DEFAULT.
 */
enum gh_device_log {
    GH_DEVICE_LOG_DEFAULT = 0,
    GH_DEVICE_LOG_NONE = 10,
    GH_DEVICE_LOG_ERROR = 20,
    GH_DEVICE_LOG_INFO = 30,
    GH_DEVICE_LOG_DEBUG = 40,
};

/* Events whose channel is `channel` or below it go to `topic`; an empty channel catches all and is
 * last. */
struct gh_route {
    struct gh_slice channel, topic;
};

struct gh_registry {
    int64_t number; /* from 1, never reused */
    int64_t tenant;
    struct gh_slice tenant_name, google_project; /* read only: the tenant's */
    struct gh_slice name, location;
    struct gh_route *routes;
    size_t routes_count;
    struct gh_slice state_topic;    /* empty: state changes are not published */
    struct gh_slice activity_topic; /* where its devices' activity is told; empty: nowhere */
    bool mqtt_enabled, http_enabled;
    int log_level; /* enum gh_device_log */
    struct gh_slice
        certificates[GH_REGISTRY_CERTIFICATES_MAX]; /* PEM; who may sign device certificates */
    size_t certificates_count;
    struct gh_slice policy, policy_etag; /* grants on this registry, JSON; empty: none */
    int64_t created_at_ms;
};

enum gh_credential_format {
    GH_CREDENTIAL_RSA_X509_PEM = 1,
    GH_CREDENTIAL_ES256_PEM = 2,
    GH_CREDENTIAL_RSA_PEM = 3,
    GH_CREDENTIAL_ES256_X509_PEM = 4,
    GH_CREDENTIAL_PASSWORD = 5,
    GH_CREDENTIAL_SYMMETRIC = 6, /* HMAC-SHA-256 key of 16 to 64 bytes, kept sealed */
};

struct gh_credential {
    struct gh_slice
        id; /* unique in its device, stable as long as the key stays; made by the directory */
    enum gh_credential_format format;
    struct gh_slice pem; /* of a password: the text of registry/password.h; of a symmetric key: its
                          * seal (registry/sealing.h); both never shown to anybody */
    struct gh_slice fingerprint; /* SHA-256 of the SubjectPublicKeyInfo, 64 hex digits; made by the
                                  * directory; empty for a password or symmetric key */
    struct gh_slice secret; /* PASSWORD, to the directory only: the secret to be stored in place of
                             * `pem`; never kept, and empty in every answer. SYMMETRIC: the key in
                             * base64; empty to the directory: make one; in the answer to the
                             * call that made it, and never again */
    struct gh_slice mark;   /* made by the directory: equal for equal secrets, so that one is found
                             * again on another device; empty for a key, whose fingerprint does it */
    bool says_state; /* to the directory only: `disabled` and valid_from_ms are said; otherwise one
                      * that stays stays as it is */
    bool disabled;   /* proves nothing until it is enabled again */
    int64_t valid_from_ms; /* 0: since ever */
    int64_t expires_at_ms; /* 0: never */
    int64_t created_at_ms;
    int64_t last_used_ms; /* read only: when it last proved the device */
};

/* A credential proved its device. */
struct gh_credential_use {
    uint64_t device;
    struct gh_slice credential; /* its id */
    int64_t at_ms;
    /* Of a certificate by a CA, which is no record of the device: which one, and its dates. */
    int64_t anchor; /* to the store; 0: it is a record */
    struct gh_slice serial;
    int64_t not_before_ms, not_after_ms;
};

/* The mark of a secret that was stored without one. */
struct gh_credential_mark {
    uint64_t device;
    int64_t tenant;                     /* read only */
    struct gh_slice credential, sealed; /* its id; as stored, read only */
    struct gh_slice mark;               /* empty: none is written */
};
enum { GH_CREDENTIAL_ID_MAX = 128 };

struct gh_attribute {
    struct gh_slice key, value;
};

/* What a gateway must show to speak for a device; with NONE it may speak for nobody. */
enum gh_gateway_auth {
    GH_GATEWAY_AUTH_NONE = 0,
    GH_GATEWAY_AUTH_ASSOCIATION = 1, /* that the device is bound to it */
    GH_GATEWAY_AUTH_TOKEN = 2,       /* a token of the device */
    GH_GATEWAY_AUTH_BOTH = 3,
};

/* One version of what the cloud wants of a device. */
struct gh_config {
    int64_t version; /* from 1 */
    int64_t updated_at_ms, acknowledged_at_ms;
    struct gh_slice data;
};

/* One report of a device about itself. */
struct gh_state {
    bool present;
    int64_t updated_at_ms;
    struct gh_slice data;
};

struct gh_device {
    uint64_t number; /* random, 1 to 2^63-1, never reused */
    int64_t registry, tenant;
    struct gh_slice tenant_name, google_project, registry_name, location; /* read only */
    bool tenant_disabled;                                                 /* read only */
    struct gh_slice id;
    bool blocked;
    int64_t banned_until_ms; /* may not connect before; 0: is not banned */
    int log_level;           /* enum gh_device_log */
    struct gh_credential credentials[GH_DEVICE_CREDENTIALS_MAX];
    size_t credentials_count;
    bool shares_keys;  /* to the directory only: a key of it may be that of another device of the
                        * same tenant, as Google IoT Core let it */
    bool keeps_number; /* to the directory only: a new device has its number from elsewhere */
    struct gh_attribute *attributes; /* in the order of their keys */
    size_t attributes_count;
    bool is_gateway;
    int gateway_auth; /* enum gh_gateway_auth */
    int64_t last_heartbeat_ms, last_event_ms, last_state_ms, last_config_ack_ms,
        last_config_send_ms;
    int64_t last_gateway_ms;      /* when a gateway attached it */
    struct gh_slice last_gateway; /* which, by its id; empty when it is gone */
    int64_t last_error_ms;
    int last_error_code; /* gRPC number */
    struct gh_slice last_error_message;
    int64_t created_at_ms;
    struct gh_config config; /* the newest; always there */
    struct gh_state state;   /* the newest */
};

/* A key under which secrets of one tenant are sealed, itself sealed (registry/sealing.h). */
struct gh_data_key_row {
    int64_t tenant;
    uint32_t number; /* from 1, rising within the tenant */
    struct gh_slice sealed;
    int64_t created_at_ms;
};

/* A secret that is kept sealed, as it stands in its row: a symmetric key of a device, or the key of
 * a tenant's issuing CA. */
struct gh_sealed_row {
    uint64_t device;            /* 0: of a CA */
    int64_t anchor;             /* 0: of a device */
    struct gh_slice credential; /* its id; the fingerprint of the CA */
    struct gh_slice text;
};

/* What devices may do, as a document in the grammar of policy/statement.h. */
struct gh_policy_row {
    int64_t number; /* from 1, never reused */
    int64_t tenant;
    struct gh_slice name, document;
    int64_t version;      /* from 1, one more with each replacement */
    struct gh_slice etag; /* changes with each replacement; made by the directory */
    int64_t created_at_ms, updated_at_ms;
    int64_t attachments; /* read only: to how many targets it is attached */
};

/* Where a policy is attached: to a device, else to a group, else to all of a registry, else to all
 * of the tenant. */
struct gh_policy_target {
    int64_t tenant;
    int64_t registry;                         /* 0: the tenant as a whole */
    uint64_t device;                          /* 0: the registry as a whole */
    struct gh_slice registry_name, device_id; /* read only */
    struct gh_slice credential; /* beside a device: only what this one of its credentials proved */
    bool credential_of_ca;      /* the directory says: it is that of a certificate under a CA */
    int64_t group;              /* of devices */
    struct gh_slice group_name; /* read only */
};

/* A role made of permissions, of a tenant or for the whole house. */
struct gh_custom_role {
    int64_t number; /* from 1, never reused */
    int64_t tenant; /* 0: the house's */
    struct gh_slice name, title;
    struct gh_slice
        permissions;      /* "devices.get devices.list": spellings of policy/permission.def */
    struct gh_slice etag; /* changes with each replacement; made by the directory */
    int64_t created_at_ms, updated_at_ms;
};

/* The bindings of a group of devices or of one device (those of tenants and registries stand in
 * their own records). */
struct gh_grant_row {
    int64_t tenant;
    int64_t group;              /* 0: of `device` */
    uint64_t device;            /* 0: of `group` */
    struct gh_slice group_name; /* read only */
    struct gh_slice policy, etag;
};

/* Devices of a tenant that policies are attached to together. */
struct gh_device_group {
    int64_t number; /* from 1, never reused */
    int64_t tenant;
    struct gh_slice name;
    int64_t created_at_ms;
    int64_t members; /* read only */
};
struct gh_device_group_member {
    uint64_t device;
    struct gh_slice registry_name, device_id;
};

/* What an update writes. */
enum gh_registry_fields {
    GH_REGISTRY_ROUTES = 1,
    GH_REGISTRY_STATE_TOPIC = 2,
    GH_REGISTRY_MQTT = 4,
    GH_REGISTRY_HTTP = 8,
    GH_REGISTRY_LOG_LEVEL = 16,
    GH_REGISTRY_CERTIFICATES = 32,
    GH_REGISTRY_ACTIVITY_TOPIC = 64,
};

enum gh_device_fields {
    GH_DEVICE_BLOCKED = 1,
    GH_DEVICE_CREDENTIALS = 2,
    GH_DEVICE_ATTRIBUTES = 4,
    GH_DEVICE_LOG_LEVEL = 8,
    GH_DEVICE_GATEWAY_AUTH = 16,
    GH_DEVICE_BAN = 32, /* banned_until_ms */
};

struct gh_registry_query {
    int64_t tenant;             /* 0: all */
    struct gh_slice location;   /* empty: all */
    size_t page_size;           /* 1 to 10,000 */
    struct gh_slice page_token; /* empty: from the beginning */
};

/* Which parts of a device a list reads, beside names, flags and times. */
enum gh_device_parts {
    GH_DEVICE_PART_CREDENTIALS = 1,
    GH_DEVICE_PART_ATTRIBUTES = 2,
    GH_DEVICE_PART_CONFIG = 4, /* the data; version and times are always read */
    GH_DEVICE_PART_STATE = 8,  /* the data; presence and time are always read */
    GH_DEVICE_PART_ALL = 15,
};

enum gh_gateway_filter { GH_GATEWAY_ANY, GH_GATEWAY_ONLY, GH_GATEWAY_NONE };

/* Which devices a list or count means; all conditions given must hold. */
struct gh_device_query {
    int64_t tenant;   /* 0: all */
    int64_t registry; /* 0: all of the tenant */
    struct gh_slice
        text; /* part of the id or of an attribute's key or value, ASCII case ignored; empty: all */
    const struct gh_slice *ids; /* with `numbers`: only these; needs `registry` */
    size_t ids_count;
    const uint64_t *numbers;
    size_t numbers_count;
    enum gh_gateway_filter gateway;
    uint64_t bound_to;    /* bound to this gateway; 0: any */
    uint64_t gateways_of; /* gateways to which this device is bound; 0: any */
    /* The rest of the system's word on a device (connected or not); NULL: all. Called while the
     * list is read, on the calling thread; it must not call the directory or the store. */
    bool (*keep)(void *context, uint64_t device);
    void *keep_context;
    unsigned parts;   /* enum gh_device_parts, for the list */
    size_t page_size; /* 1 to 10,000; a page may be shorter (arena) and still have a next one */
    struct gh_slice page_token; /* empty: from the beginning */
};

/* What one binding more may not exceed; 0: no limit. */
struct gh_gateway_limits {
    size_t devices_max;  /* bound to one gateway */
    size_t gateways_max; /* of one device */
};

struct gh_operator_row {
    int64_t number;
    struct gh_slice name;
    struct gh_slice password_hash; /* what identity/operator.h stores; empty: none, by the outside
                                      provider only */
    struct gh_slice role;
    int64_t tenant; /* 0: all */
    bool disabled;
    int64_t created_at_ms;
    struct gh_slice email;             /* by which an outside provider may name them, or empty */
    struct gh_slice provider, subject; /* issuer and `sub` there; empty: not linked */
};

enum gh_factor_kind {
    GH_FACTOR_TOTP = 1,
    GH_FACTOR_WEBAUTHN = 2,
    GH_FACTOR_RECOVERY = 3, /* one code */
};

/* What an operator proves himself with beside the password. */
struct gh_factor_row {
    int64_t number; /* from 1, never reused */
    int64_t operator_number;
    enum gh_factor_kind kind;
    struct gh_slice label;
    bool confirmed;             /* has worked once; before that it proves nothing */
    struct gh_slice secret;     /* TOTP: its seal; WebAuthn: COSE key; recovery: its digest */
    struct gh_slice credential; /* WebAuthn: the credential's id; else empty */
    int64_t counter;            /* TOTP: the last step accepted; WebAuthn: signCount */
    int64_t created_at_ms, used_at_ms;
};

struct gh_token_row {
    struct gh_slice hash; /* GH_TOKEN_HASH_BYTES */
    struct gh_slice role, member;
    int64_t tenant; /* 0: all */
    int64_t created_at_ms, expires_at_ms;
    int64_t service_key; /* given for a token by this key of a service account, with which it goes;
                            0: not */
    int64_t operator_number;     /* whose it is; 0: nobody's, it stands for itself */
    struct gh_slice label;       /* what its owner calls it */
    struct gh_slice permissions; /* those it is limited to, by name, a space between; empty: all */
    int64_t used_at_ms;          /* 0: never */
    /* Read only: the operator's. */
    struct gh_slice operator_name, operator_role;
    int64_t operator_tenant;
    bool operator_disabled;
};

/* How far a sign-in has come. */
enum gh_sign_in_stage {
    GH_SIGN_IN_WHOLE = 0,
    GH_SIGN_IN_NEEDS_FACTOR = 1, /* the second factor is still to be shown */
    GH_SIGN_IN_MUST_ENROL = 2,   /* one is demanded, and there is none yet */
};

/* An operator's sign-in; operator_name, role, tenant and disabled are read only: the operator's. */
struct gh_sign_in_row {
    struct gh_slice hash; /* GH_TOKEN_HASH_BYTES */
    int64_t operator_number;
    struct gh_slice operator_name, role;
    int64_t tenant;
    bool operator_disabled;
    int64_t created_at_ms, seen_at_ms, expires_at_ms;
    enum gh_sign_in_stage stage;
    struct gh_slice method; /* "password", "password+totp" … */
    int64_t proved_at_ms;   /* when the person last showed a proof */
    struct gh_slice address, agent;
    struct gh_slice challenge; /* of a WebAuthn ceremony under way, or empty; read only */
};

struct gh_topic_row {
    int64_t number; /* from 1, never reused */
    int64_t tenant;
    struct gh_slice name;
    struct gh_slice settings; /* JSON of the caller's */
    int64_t created_at_ms;
    int64_t retention_s; /* 0: what its subscriptions need */
    struct gh_slice policy;
};

struct gh_subscription_row {
    int64_t number; /* from 1, never reused */
    int64_t tenant;
    int64_t topic; /* 0: its topic was deleted */
    struct gh_slice topic_name;
    struct gh_slice name;
    int64_t ack_deadline_s, retention_s;
    uint64_t first_offset;    /* of the log, when it was created */
    struct gh_slice settings; /* JSON of the caller's */
    int64_t created_at_ms;
    struct gh_slice rules; /* how it delivers: JSON of pubsub/rules.h */
    struct gh_slice policy;
};

/* What a subscription had not finished with at a moment. */
struct gh_snapshot_row {
    int64_t number; /* from 1, never reused */
    int64_t tenant;
    int64_t topic; /* 0: its topic was deleted */
    struct gh_slice topic_name, name;
    struct gh_slice settings; /* JSON of the caller's */
    uint64_t from_offset;     /* of the log; what is needed begins there */
    int64_t expires_at_ms;
};

/* A JSON document of a tenant: zones and what else the API keeps by kind and name. */
struct gh_document_row {
    int64_t tenant;
    struct gh_slice kind, name, json;
    int64_t updated_at_ms;
};

enum gh_trail_kind {
    GH_TRAIL_CONNECT = 1,
    GH_TRAIL_DISCONNECT,
    GH_TRAIL_REFUSAL,
    GH_TRAIL_PUBLISH_DENIED,
    GH_TRAIL_SUBSCRIBE_DENIED,
    GH_TRAIL_CONFIG_SENT,
    GH_TRAIL_CONFIG_ACK,
    GH_TRAIL_COMMAND,
    GH_TRAIL_OPERATOR,
    GH_TRAIL_PUBLISH,
    GH_TRAIL_SUBSCRIBE,
    GH_TRAIL_HEARTBEAT,
    GH_TRAIL_TOKEN,  /* an access token was given or taken back */
    GH_TRAIL_ATTACH, /* a gateway speaks for the device from now on */
    GH_TRAIL_DETACH, /* and no more */
    GH_TRAIL_ALERT,  /* it has been away for long, or is back (observe/absence.h) */
    GH_TRAIL_KIND_END
};

/* What happened to a device or because of it. */
struct gh_trail_entry {
    int64_t sequence; /* rising, made by the trail */
    int64_t at_ms;
    uint64_t device; /* 0: unknown */
    struct gh_slice tenant, registry, device_id;
    enum gh_trail_kind kind;
    struct gh_slice reason; /* stable name, "TOKEN_EXPIRED"; may be empty */
    struct gh_slice detail, address;
};

struct gh_trail_filter {
    uint64_t device;        /* 0: any */
    struct gh_slice tenant; /* empty: any */
    unsigned kinds;         /* bits 1u << kind; 0: any */
    int64_t from_ms, to_ms; /* [from, to); to 0: no end */
    int64_t before;         /* only sequences below this; 0: any (paging) */
    size_t limit;           /* 1 to 10,000 */
};

/* A sealed block of telemetry: `count` records of one device, opaque to the store. */
struct gh_block_row {
    int64_t number; /* made by the store */
    uint64_t device;
    int64_t first_ms, last_ms;
    uint64_t count;
    struct gh_slice bytes;
};

/* Times of a device that are gathered in memory and flushed together; 0 leaves the stored one
 * alone. */
enum gh_activity {
    GH_ACTIVITY_HEARTBEAT,
    GH_ACTIVITY_EVENT,
    GH_ACTIVITY_STATE,
    GH_ACTIVITY_CONFIG_ACK,
    GH_ACTIVITY_CONFIG_SEND,
    GH_ACTIVITY_ERROR,
    GH_ACTIVITY_COUNT
};

struct gh_activity_times {
    uint64_t device;
    int64_t at_ms[GH_ACTIVITY_COUNT];
    int error_code;
    struct gh_slice error_message;
};
#endif
