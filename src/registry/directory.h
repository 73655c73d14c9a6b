/* Directory: tenants, registries, devices, their credentials, attributes, configs and states, under
 * the rules of registry/limits.h. It validates, asks the store, and tells the watch after a commit.
 * Not here: who may call (policy/), who a device is (identity/), what is connected (route/), rates
 * (the dialects).
 *
 * A function that returned GH_OK has made its change durable. Every function blocks for the time of
 * its SQL (workers only, not loops), but for gh_directory_note and gh_directory_note_error. Memory:
 * results live in the caller's arena; at its ceiling a call fails with MEMORY. Threads: any.
 *
 * Common results: INVALID and RANGE (the field is in the text), NOT_FOUND, EXISTS, CONFLICT,
 * PRECONDITION, LIMIT, MEMORY, and the store's STORE_WRITE, STORE_CORRUPT, UNAVAILABLE. */
#ifndef GH_REGISTRY_DIRECTORY_H
#define GH_REGISTRY_DIRECTORY_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "registry/limits.h"
#include "store/records.h"
#include "store/store.h"

struct gh_directory;

enum gh_device_change {
    GH_DEVICE_CHANGE_BLOCKED,     /* blocked now */
    GH_DEVICE_CHANGE_UNBLOCKED,   /* may connect again */
    GH_DEVICE_CHANGE_DELETED,     /* gone, with all that belonged to it */
    GH_DEVICE_CHANGE_CREDENTIALS, /* one was removed, replaced or given another expiry */
    GH_DEVICE_CHANGE_CONFIG,      /* there is a new config version */
    GH_DEVICE_CHANGE_SETTINGS,    /* log level, attributes or gateway binding */
    GH_DEVICE_CHANGE_BANNED,      /* banned now */
    GH_DEVICE_CHANGE_UNBOUND,     /* from a gateway */
};

/* Told after a commit, on the thread that made the change; must not block or call the directory for
 * long. */
struct gh_directory_watch {
    void (*device_changed)(void *context, uint64_t device, enum gh_device_change what);
    /* Routes, log level, certificates, MQTT or HTTP switched: sessions of the registry look again.
     */
    void (*registry_changed)(void *context, int64_t registry);
    /* What devices may do has changed: a policy, an attachment, or the attributes that a policy may
     * mention. With `device` not 0 it is that one device (tenant and registry may be 0 then), else
     * all of `registry`, or with `registry` 0 all of `tenant`. Live sessions read
     * gh_directory_policy_effective again and compile anew. */
    void (*policies_changed)(void *context, int64_t tenant, int64_t registry, uint64_t device);
    /* Disabled now: all its sessions are to end. */
    void (*tenant_disabled)(void *context, int64_t tenant);
    /* A CA or certificates under it were revoked: sessions of the registry (0: of all the
     * tenant's) whose credential `refused` says yes to are to end. */
    void (*credentials_refused)(void *context, int64_t tenant, int64_t registry,
                                bool (*refused)(void *asked, struct gh_slice credential),
                                void *asked);
};

/* `watch` and its functions may be NULL; the table and `store` outlive the directory. Starts the
 * thread that flushes activity times. NULL with `error` filled on failure. */
GH_MUST_USE struct gh_directory *gh_directory_open(struct gh_store *store,
                                                   const struct gh_directory_watch *watch,
                                                   void *context, struct gh_error *error);
/* Flushes the activity times. */
void gh_directory_close(struct gh_directory *directory);
/* Password credentials from now on; before any other thread calls. Without them (registry/
 * password.h) a password credential is refused with PRECONDITION. The value outlives the directory.
 */
struct gh_device_passwords;
void gh_directory_use_passwords(struct gh_directory *directory,
                                struct gh_device_passwords *passwords);
/* NULL when there are none. */
struct gh_device_passwords *gh_directory_passwords(const struct gh_directory *directory);
struct gh_sealing *gh_directory_sealing(const struct gh_directory *directory); /* or NULL */

/* Symmetric keys from now on; before any other thread calls. Without it (registry/sealing.h) such a
 * credential is refused with PRECONDITION. The value outlives the directory. */
struct gh_sealing;
void gh_directory_use_sealing(struct gh_directory *directory, struct gh_sealing *sealing);

/* --- tenants -------------------------------------------------------------------------------------
 */

/* Takes name and the three dialect names (empty: as the name) from `tenant`, fills the rest. */
GH_MUST_USE enum gh_error_code gh_directory_tenant_create(struct gh_directory *directory,
                                                          struct gh_tenant *tenant,
                                                          struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_directory_tenant_get(struct gh_directory *directory,
                                                       int64_t number, struct gh_arena *arena,
                                                       struct gh_tenant *out,
                                                       struct gh_error *error);
GH_MUST_USE enum gh_error_code
gh_directory_tenant_find(struct gh_directory *directory, struct gh_slice name,
                         struct gh_arena *arena, struct gh_tenant *out, struct gh_error *error);
/* By the project's id, or by the tenant's number in decimal. */
GH_MUST_USE enum gh_error_code gh_directory_tenant_find_google(struct gh_directory *directory,
                                                               struct gh_slice project,
                                                               struct gh_arena *arena,
                                                               struct gh_tenant *out,
                                                               struct gh_error *error);
/* All of them, by name. */
GH_MUST_USE enum gh_error_code gh_directory_tenant_list(struct gh_directory *directory,
                                                        struct gh_arena *arena,
                                                        struct gh_tenant **out, size_t *count,
                                                        struct gh_error *error);
/* With its data keys, so that what was sealed for it stays closed wherever a copy is left.
 * PRECONDITION while it has registries or topics. */
GH_MUST_USE enum gh_error_code gh_directory_tenant_delete(struct gh_directory *directory,
                                                          int64_t number, struct gh_error *error);
/* A disabled tenant keeps everything and lets nobody in: neither its devices nor operators, tokens
 * and members whose rights are its own. */
GH_MUST_USE enum gh_error_code gh_directory_tenant_disable(struct gh_directory *directory,
                                                           int64_t number, bool disabled,
                                                           struct gh_error *error);
/* Replaces the policy. `etag_before`: when not empty, CONFLICT unless it is the current one ("-":
 * unless there is none yet).
 * `*etag` lives in the arena; an empty policy removes it. */
GH_MUST_USE enum gh_error_code
gh_directory_tenant_policy_set(struct gh_directory *directory, int64_t number,
                               struct gh_slice policy, struct gh_slice etag_before,
                               struct gh_arena *arena, struct gh_slice *etag,
                               struct gh_error *error);

/* The bindings that hold in every tenant. */
GH_MUST_USE enum gh_error_code gh_directory_house_policy_get(struct gh_directory *directory,
                                                             struct gh_arena *arena,
                                                             struct gh_slice *policy,
                                                             struct gh_slice *etag,
                                                             struct gh_error *error);
/* As gh_directory_tenant_policy_set. */
GH_MUST_USE enum gh_error_code
gh_directory_house_policy_set(struct gh_directory *directory, struct gh_slice policy,
                              struct gh_slice etag_before, struct gh_arena *arena,
                              struct gh_slice *etag, struct gh_error *error);

/* --- registries ----------------------------------------------------------------------------------
 */

/* Takes tenant, name, location and all settings from `registry`; fills number and created_at_ms. */
GH_MUST_USE enum gh_error_code gh_directory_registry_create(struct gh_directory *directory,
                                                            struct gh_registry *registry,
                                                            struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_directory_registry_get(struct gh_directory *directory,
                                                         int64_t number, struct gh_arena *arena,
                                                         struct gh_registry *out,
                                                         struct gh_error *error);
/* An empty location matches any, here and in a registry that was made without one. */
GH_MUST_USE enum gh_error_code
gh_directory_registry_find(struct gh_directory *directory, int64_t tenant, struct gh_slice name,
                           struct gh_slice location, struct gh_arena *arena,
                           struct gh_registry *out, struct gh_error *error);
/* Writes the `fields` (bits of gh_registry_fields, at least one) from `change`; `*out` (may be
 * NULL) is the registry after it. */
GH_MUST_USE enum gh_error_code
gh_directory_registry_update(struct gh_directory *directory, int64_t number, unsigned fields,
                             const struct gh_registry *change, struct gh_arena *arena,
                             struct gh_registry *out, struct gh_error *error);
/* PRECONDITION while it has devices. */
GH_MUST_USE enum gh_error_code gh_directory_registry_delete(struct gh_directory *directory,
                                                            int64_t number, struct gh_error *error);
/* By tenant and name. `*next` is empty at the end. */
GH_MUST_USE enum gh_error_code
gh_directory_registry_list(struct gh_directory *directory, const struct gh_registry_query *query,
                           struct gh_arena *arena, struct gh_registry **out, size_t *count,
                           struct gh_slice *next, struct gh_error *error);
/* As gh_directory_tenant_policy_set. */
GH_MUST_USE enum gh_error_code
gh_directory_registry_policy_set(struct gh_directory *directory, int64_t number,
                                 struct gh_slice policy, struct gh_slice etag_before,
                                 struct gh_arena *arena, struct gh_slice *etag,
                                 struct gh_error *error);

/* --- devices -------------------------------------------------------------------------------------
 */

/* A key or secret is one device's alone, in the whole fleet (a short password: in its tenant):
 * EXISTS for one that another device has. `shares_keys` lets a key be shared inside its tenant.
 * `keeps_number`: with the number, config version and state that it has; EXISTS when the number was
 * ever given.
 *
 * Takes registry (number), id, blocked, log_level, credentials (format, pem, expires_at_ms),
 * attributes, gateway settings and config.data (version 1, may be empty) from `device`; fills
 * number, tenant, created_at_ms, config and the credentials' id, fingerprint and created_at_ms
 * (those slices live in `arena`). */
GH_MUST_USE enum gh_error_code gh_directory_device_create(struct gh_directory *directory,
                                                          struct gh_device *device,
                                                          struct gh_arena *arena,
                                                          struct gh_error *error);
/* Many in one commit, at most 10,000: all are created or none. `*failed` (may be NULL) is the index
 * of the one refused. */
GH_MUST_USE enum gh_error_code gh_directory_device_create_all(struct gh_directory *directory,
                                                              struct gh_device *devices,
                                                              size_t count, struct gh_arena *arena,
                                                              size_t *failed,
                                                              struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_directory_device_get(struct gh_directory *directory,
                                                       uint64_t number, struct gh_arena *arena,
                                                       struct gh_device *out,
                                                       struct gh_error *error);
/* `id_or_number`: decimal digits are the number. An empty location matches any. */
GH_MUST_USE enum gh_error_code
gh_directory_device_find(struct gh_directory *directory, int64_t tenant,
                         struct gh_slice registry_name, struct gh_slice location,
                         struct gh_slice id_or_number, struct gh_arena *arena,
                         struct gh_device *out, struct gh_error *error);
/* Writes the `fields` (bits of gh_device_fields, at least one) from `change`; `*out` (may be NULL)
 * is the device after it. Credentials and attributes are replaced as a whole; a credential whose
 * PEM stays keeps its id and creation time, and unless it says otherwise its state. */
GH_MUST_USE enum gh_error_code
gh_directory_device_update(struct gh_directory *directory, uint64_t number, unsigned fields,
                           const struct gh_device *change, struct gh_arena *arena,
                           struct gh_device *out, struct gh_error *error);
/* With its documents and telemetry blocks. PRECONDITION for a gateway with bound devices and for a
 * bound device. */
GH_MUST_USE enum gh_error_code gh_directory_device_delete(struct gh_directory *directory,
                                                          uint64_t number, struct gh_error *error);
/* Whether a credential proves its device now. */
enum gh_credential_state {
    GH_CREDENTIAL_ENABLED,
    GH_CREDENTIAL_DISABLED,
    GH_CREDENTIAL_NOT_YET_VALID,
    GH_CREDENTIAL_EXPIRED,
    GH_CREDENTIAL_STATE_COUNT,
};
enum gh_credential_state gh_credential_state(const struct gh_credential *credential,
                                             int64_t now_ms);
/* The number of another device that has the key or secret of `credential`, or 0: after a call that
 * said EXISTS, for a caller who may know. */
GH_MUST_USE enum gh_error_code
gh_directory_credential_holder(struct gh_directory *directory, uint64_t device,
                               const struct gh_credential *credential, uint64_t *holder,
                               struct gh_error *error);
/* A device read again after a call that made symmetric keys lacks them; this brings them over from
 * the one that was created, to be shown this once. (gh_directory_device_update does it itself.) */
void gh_directory_show_new_keys(const struct gh_device *made, struct gh_device *read);
/* Appends the key of a symmetric credential of the device, as bytes, to `out`, which is the
 * caller's to wipe. KEYS when it cannot be opened. */
GH_MUST_USE enum gh_error_code gh_directory_symmetric_key(struct gh_directory *directory,
                                                          const struct gh_device *device,
                                                          const struct gh_credential *credential,
                                                          struct gh_buffer *out,
                                                          struct gh_error *error);
/* By registry and id. `*next` is empty at the end; INVALID for a token made by another query. */
GH_MUST_USE enum gh_error_code
gh_directory_device_list(struct gh_directory *directory, const struct gh_device_query *query,
                         struct gh_arena *arena, struct gh_device **out, size_t *count,
                         struct gh_slice *next, struct gh_error *error);
/* How many devices the query means, page and parts ignored. */
GH_MUST_USE enum gh_error_code gh_directory_device_count(struct gh_directory *directory,
                                                         const struct gh_device_query *query,
                                                         uint64_t *count, struct gh_error *error);

/* A gateway and a device of one registry; both calls may be repeated. INVALID when `gateway` is
 * none or `device` is one; LIMIT when one of them has as many of the other as `limits` allow. */
GH_MUST_USE enum gh_error_code gh_directory_gateway_bind(struct gh_directory *directory,
                                                         uint64_t gateway, uint64_t device,
                                                         const struct gh_gateway_limits *limits,
                                                         struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_directory_gateway_unbind(struct gh_directory *directory,
                                                           uint64_t gateway, uint64_t device,
                                                           struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_directory_gateway_bound(struct gh_directory *directory,
                                                          uint64_t gateway, uint64_t device,
                                                          bool *bound, struct gh_error *error);

/* The device was attached by that gateway at that time. */
GH_MUST_USE enum gh_error_code gh_directory_gateway_used(struct gh_directory *directory,
                                                         uint64_t device, uint64_t gateway,
                                                         int64_t utc_ms, struct gh_error *error);

/* --- policies: what devices may do (policy/statement.h reads the documents; whoever puts one
 * checks it there first)
 * ------------------------------------------------------------------------------ */

/* Creates or replaces the policy `name` of the tenant. `etag_before`: when not empty, CONFLICT
 * unless it is the current one ("*": it must exist). INVALID for a name or size that breaks
 * registry/limits.h, LIMIT at GH_POLICIES_MAX. `*out` (may be NULL) is the row after it. */
GH_MUST_USE enum gh_error_code
gh_directory_policy_put(struct gh_directory *directory, int64_t tenant, struct gh_slice name,
                        struct gh_slice document, struct gh_slice etag_before,
                        struct gh_arena *arena, struct gh_policy_row *out, struct gh_error *error);
GH_MUST_USE enum gh_error_code
gh_directory_policy_get(struct gh_directory *directory, int64_t tenant, struct gh_slice name,
                        struct gh_arena *arena, struct gh_policy_row *out, struct gh_error *error);
/* All of the tenant, by name; the documents are left out. */
GH_MUST_USE enum gh_error_code gh_directory_policy_list(struct gh_directory *directory,
                                                        int64_t tenant, struct gh_arena *arena,
                                                        struct gh_policy_row **out, size_t *count,
                                                        struct gh_error *error);
/* PRECONDITION while it is attached. */
GH_MUST_USE enum gh_error_code gh_directory_policy_delete(struct gh_directory *directory,
                                                          int64_t tenant, struct gh_slice name,
                                                          struct gh_error *error);
/* The policy then concerns all devices of the target; may be repeated. NOT_FOUND for a policy,
 * registry or device that the tenant does not have, LIMIT at GH_POLICIES_OF_TARGET_MAX. */
GH_MUST_USE enum gh_error_code gh_directory_policy_attach(struct gh_directory *directory,
                                                          struct gh_slice name,
                                                          const struct gh_policy_target *target,
                                                          struct gh_error *error);
/* NOT_FOUND when it is not attached there. */
GH_MUST_USE enum gh_error_code gh_directory_policy_detach(struct gh_directory *directory,
                                                          struct gh_slice name,
                                                          const struct gh_policy_target *target,
                                                          struct gh_error *error);
/* Where the policy is attached: the tenant first, then registries, then devices, by their names. */
GH_MUST_USE enum gh_error_code gh_directory_policy_targets(struct gh_directory *directory,
                                                           int64_t tenant, struct gh_slice name,
                                                           struct gh_arena *arena,
                                                           struct gh_policy_target **out,
                                                           size_t *count, struct gh_error *error);
/* The policies that concern the target, with their documents, each once, by name: those of the
 * tenant, of the registry (when not 0), and with a device (when not 0) its own, those of its groups
 * and those of the credential (when one is named). */
GH_MUST_USE enum gh_error_code gh_directory_policy_effective(struct gh_directory *directory,
                                                             const struct gh_policy_target *target,
                                                             struct gh_arena *arena,
                                                             struct gh_policy_row **out,
                                                             size_t *count, struct gh_error *error);

/* --- groups: devices of a tenant that policies are attached to together ------------------------
 */

/* INVALID for a name that breaks registry/limits.h, EXISTS, LIMIT at GH_GROUPS_MAX. */
GH_MUST_USE enum gh_error_code gh_directory_group_create(struct gh_directory *directory,
                                                         int64_t tenant, struct gh_slice name,
                                                         struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_directory_group_find(struct gh_directory *directory,
                                                       int64_t tenant, struct gh_slice name,
                                                       struct gh_arena *arena,
                                                       struct gh_device_group *out,
                                                       struct gh_error *error);
/* All of the tenant, by name. */
GH_MUST_USE enum gh_error_code gh_directory_group_list(struct gh_directory *directory,
                                                       int64_t tenant, struct gh_arena *arena,
                                                       struct gh_device_group **out, size_t *count,
                                                       struct gh_error *error);
/* What was attached to the group no longer holds for its devices. */
GH_MUST_USE enum gh_error_code gh_directory_group_delete(struct gh_directory *directory,
                                                         const struct gh_device_group *group,
                                                         struct gh_error *error);
/* Group and device are of one tenant. May be repeated; LIMIT at GH_GROUPS_OF_DEVICE_MAX. */
GH_MUST_USE enum gh_error_code gh_directory_group_add(struct gh_directory *directory,
                                                      const struct gh_device_group *group,
                                                      uint64_t device, struct gh_error *error);
/* NOT_FOUND when it is not a member. */
GH_MUST_USE enum gh_error_code gh_directory_group_remove(struct gh_directory *directory,
                                                         const struct gh_device_group *group,
                                                         uint64_t device, struct gh_error *error);
/* By the devices' numbers, at most `limit` of them behind `after` (0: from the first). */
GH_MUST_USE enum gh_error_code gh_directory_group_members(struct gh_directory *directory,
                                                          const struct gh_device_group *group,
                                                          uint64_t after, size_t limit,
                                                          struct gh_arena *arena,
                                                          struct gh_device_group_member **out,
                                                          size_t *count, struct gh_error *error);

/* --- roles and bindings: what people and programs may do (policy/permission.h decides; whoever
 * puts a role or bindings checks them there first)
 * ------------------------------------------------------------------------------ */

/* Takes tenant (0: the house), name, title and permissions from `role`. `*made` (may be NULL): it
 * was not there before. `etag_before`: when not empty, CONFLICT unless it is the current one. */
GH_MUST_USE enum gh_error_code gh_directory_role_put(struct gh_directory *directory,
                                                     const struct gh_custom_role *role,
                                                     struct gh_slice etag_before, bool *made,
                                                     struct gh_error *error);
/* Those of the tenant, then those of the house (`tenant` 0: these alone), by name. */
GH_MUST_USE enum gh_error_code gh_directory_role_list(struct gh_directory *directory,
                                                      int64_t tenant, struct gh_arena *arena,
                                                      struct gh_custom_role **out, size_t *count,
                                                      struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_directory_role_get(struct gh_directory *directory, int64_t tenant,
                                                     struct gh_slice name, struct gh_arena *arena,
                                                     struct gh_custom_role *out,
                                                     struct gh_error *error);
/* PRECONDITION while a binding gives it, or a valid token or an operator has it. */
GH_MUST_USE enum gh_error_code gh_directory_role_delete(struct gh_directory *directory,
                                                        int64_t tenant, struct gh_slice name,
                                                        struct gh_error *error);

/* The bindings of a group or a device, named in `row`; policy and etag are empty without any. */
GH_MUST_USE enum gh_error_code gh_directory_grant_get(struct gh_directory *directory,
                                                      struct gh_grant_row *row,
                                                      struct gh_arena *arena,
                                                      struct gh_error *error);
/* Replaces them; as gh_directory_tenant_policy_set. */
GH_MUST_USE enum gh_error_code gh_directory_grant_set(struct gh_directory *directory,
                                                      const struct gh_grant_row *row,
                                                      struct gh_slice etag_before,
                                                      struct gh_arena *arena, struct gh_slice *etag,
                                                      struct gh_error *error);
/* Those of the groups that the device is in, then its own. */
GH_MUST_USE enum gh_error_code gh_directory_grants_of_device(struct gh_directory *directory,
                                                             uint64_t device,
                                                             struct gh_arena *arena,
                                                             struct gh_grant_row **out,
                                                             size_t *count, struct gh_error *error);

/* --- documents -----------------------------------------------------------------------------------
 */

/* A new config version. `if_version`: 0 always writes, else CONFLICT unless it is the current
 * version.
 * `*out` (may be NULL) is the new version, its data borrowed from `data`. */
GH_MUST_USE enum gh_error_code gh_directory_config_set(struct gh_directory *directory,
                                                       uint64_t device, struct gh_slice data,
                                                       int64_t if_version, struct gh_config *out,
                                                       struct gh_error *error);
/* Newest first, at most `limit` (0: all kept). */
GH_MUST_USE enum gh_error_code gh_directory_config_list(struct gh_directory *directory,
                                                        uint64_t device, size_t limit,
                                                        struct gh_arena *arena,
                                                        struct gh_config **out, size_t *count,
                                                        struct gh_error *error);
/* The device has `version`; the first acknowledgement of a version sets its time. Also notes
 * CONFIG_ACK. */
GH_MUST_USE enum gh_error_code gh_directory_config_acknowledged(struct gh_directory *directory,
                                                                uint64_t device, int64_t version,
                                                                int64_t utc_ms,
                                                                struct gh_error *error);
/* Also notes STATE. */
GH_MUST_USE enum gh_error_code gh_directory_state_set(struct gh_directory *directory,
                                                      uint64_t device, struct gh_slice data,
                                                      int64_t utc_ms, struct gh_error *error);
/* Newest first, at most `limit` (0: all kept). */
GH_MUST_USE enum gh_error_code gh_directory_state_list(struct gh_directory *directory,
                                                       uint64_t device, size_t limit,
                                                       struct gh_arena *arena,
                                                       struct gh_state **out, size_t *count,
                                                       struct gh_error *error);

/* --- sign-ins ------------------------------------------------------------------------------------
 * The rows that tell who a device is and what it may do, as deciding about it needs them: without
 * times of activity and documents, and remembered for a while (registry/recent.h), true as of this
 * call all the same. With `at_once` nothing is read that is not remembered: UNAVAILABLE instead, so
 * that a loop may call. Other results as of the calls they stand for. */

/* By name, or by Google's project. */
GH_MUST_USE enum gh_error_code gh_directory_sign_in_tenant(struct gh_directory *directory,
                                                           bool by_project, struct gh_slice name,
                                                           bool at_once, struct gh_arena *arena,
                                                           struct gh_tenant *out,
                                                           struct gh_error *error);
GH_MUST_USE enum gh_error_code
gh_directory_sign_in_registry(struct gh_directory *directory, int64_t tenant, struct gh_slice name,
                              struct gh_slice location, bool at_once, struct gh_arena *arena,
                              struct gh_registry *out, struct gh_error *error);
/* Tenant and registry as the two calls above gave them. Without `at_once` the device is always read
 * from the database: a refusal takes the same time whether it signed in lately or not. */
GH_MUST_USE enum gh_error_code
gh_directory_sign_in_device(struct gh_directory *directory, const struct gh_tenant *tenant,
                            const struct gh_registry *registry, struct gh_slice id_or_number,
                            bool at_once, struct gh_arena *arena, struct gh_device *out,
                            struct gh_error *error);
/* As gh_directory_policy_effective: names and documents. */
GH_MUST_USE enum gh_error_code gh_directory_sign_in_policies(struct gh_directory *directory,
                                                             const struct gh_policy_target *target,
                                                             bool at_once, struct gh_arena *arena,
                                                             struct gh_policy_row **out,
                                                             size_t *count, struct gh_error *error);

/* --- activity ------------------------------------------------------------------------------------
 */

/* The device did this at that time. Cheap, from loops: kept in memory, in the database within about
 * a second (a crash loses that second), exact in every read at once. Without memory the note is
 * dropped. */
void gh_directory_note(struct gh_directory *directory, uint64_t device, enum gh_activity what,
                       int64_t utc_ms);
/* A credential proved its device; as gh_directory_note. `anchor` and `serial` are read out of its
 * id; the dates are those of a certificate by a CA. One that is neither a record of the device nor
 * such a certificate is dropped when it is written. */
void gh_directory_note_use(struct gh_directory *directory, const struct gh_credential_use *use);
/* The device has shown this secret, a password or symmetric key: it gets its mark if it was stored
 * before there were any. */
void gh_directory_mark_used(struct gh_directory *directory, const struct gh_device *device,
                            const struct gh_credential *credential, struct gh_slice secret);
/* The same for all symmetric keys: at start, after passwords and sealing are in use. Those that
 * cannot be opened are logged and passed over. */
GH_MUST_USE enum gh_error_code gh_directory_mark_symmetric(struct gh_directory *directory,
                                                           struct gh_error *error);
/* The last error of the device; `code` is gRPC's number, `message` is cut at 255 bytes and copied.
 */
void gh_directory_note_error(struct gh_directory *directory, uint64_t device, int code,
                             struct gh_slice message, int64_t utc_ms);
/* Writes what is noted now; for tests and shutdown. */
GH_MUST_USE enum gh_error_code gh_directory_flush(struct gh_directory *directory,
                                                  struct gh_error *error);
#endif
