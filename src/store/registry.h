/* The store's half of the directory: tenants, registries, devices and their documents as rows.
 * Called by registry/ alone, which checks every value first and owns the rules; here are keys,
 * references, versions and order. The promises of store/store.h (durable on GH_OK, blocking, any
 * thread, arenas) hold. */
#ifndef GH_STORE_REGISTRY_H
#define GH_STORE_REGISTRY_H

#include "store/store.h"

/* Rises with each commit that may have changed what a device's sign-in reads: tenants, registries,
 * devices, their credentials and attributes, policies, groups. It has risen when the call that made
 * the change returns, on whatever thread. So what was read after this number was taken is still
 * true as long as the number is the same, but for changes whose caller has not been answered yet.
 * The lock of the folder sees to it that no other process writes. Never blocks. */
uint64_t gh_store_generation(struct gh_store *store);

/* --- tenants --- */
/* Fills `number`. EXISTS when one of the four names is taken. */
GH_MUST_USE enum gh_error_code gh_store_tenant_create(struct gh_store *store, struct gh_tenant *row,
                                                      struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_tenant_get(struct gh_store *store, int64_t number,
                                                   struct gh_arena *arena, struct gh_tenant *out,
                                                   struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_tenant_find(struct gh_store *store, struct gh_slice name,
                                                    struct gh_arena *arena, struct gh_tenant *out,
                                                    struct gh_error *error);
GH_MUST_USE enum gh_error_code
gh_store_tenant_find_google(struct gh_store *store, struct gh_slice project, struct gh_arena *arena,
                            struct gh_tenant *out, struct gh_error *error);
/* By name. */
GH_MUST_USE enum gh_error_code gh_store_tenant_list(struct gh_store *store, struct gh_arena *arena,
                                                    struct gh_tenant **out, size_t *count,
                                                    struct gh_error *error);
/* PRECONDITION while it has registries, topics or subscriptions; its documents, tokens and
 * operators go with it. */
GH_MUST_USE enum gh_error_code gh_store_tenant_delete(struct gh_store *store, int64_t number,
                                                      struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_tenant_disable(struct gh_store *store, int64_t number,
                                                       bool disabled, struct gh_error *error);
/* CONFLICT when `etag_before` is not empty and not the current one; "-": when there is one. */
GH_MUST_USE enum gh_error_code gh_store_tenant_policy_set(struct gh_store *store, int64_t number,
                                                          struct gh_slice policy,
                                                          struct gh_slice etag,
                                                          struct gh_slice etag_before,
                                                          struct gh_error *error);

/* The bindings that hold in every tenant. */
GH_MUST_USE enum gh_error_code
gh_store_house_policy_get(struct gh_store *store, struct gh_arena *arena, struct gh_slice *policy,
                          struct gh_slice *etag, struct gh_error *error);
/* As gh_store_tenant_policy_set. */
GH_MUST_USE enum gh_error_code
gh_store_house_policy_set(struct gh_store *store, struct gh_slice policy, struct gh_slice etag,
                          struct gh_slice etag_before, struct gh_error *error);

/* --- registries --- */
GH_MUST_USE enum gh_error_code
gh_store_registry_create(struct gh_store *store, struct gh_registry *row, struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_registry_get(struct gh_store *store, int64_t number,
                                                     struct gh_arena *arena,
                                                     struct gh_registry *out,
                                                     struct gh_error *error);
/* An empty location matches any. */
GH_MUST_USE enum gh_error_code
gh_store_registry_find(struct gh_store *store, int64_t tenant, struct gh_slice name,
                       struct gh_slice location, struct gh_arena *arena, struct gh_registry *out,
                       struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_registry_update(struct gh_store *store, int64_t number,
                                                        unsigned fields,
                                                        const struct gh_registry *change,
                                                        struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_registry_delete(struct gh_store *store, int64_t number,
                                                        struct gh_error *error);
/* By tenant and name, those after (after_tenant, after_name); `*more` says whether others follow.
 */
GH_MUST_USE enum gh_error_code
gh_store_registry_list(struct gh_store *store, const struct gh_registry_query *query,
                       int64_t after_tenant, struct gh_slice after_name, struct gh_arena *arena,
                       struct gh_registry **out, size_t *count, bool *more, struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_registry_policy_set(struct gh_store *store, int64_t number,
                                                            struct gh_slice policy,
                                                            struct gh_slice etag,
                                                            struct gh_slice etag_before,
                                                            struct gh_error *error);

/* --- data keys of tenants; deleting a tenant deletes its keys --- */
/* NOT_FOUND without the tenant, EXISTS when the number is taken. */
GH_MUST_USE enum gh_error_code gh_store_data_key_create(struct gh_store *store,
                                                        const struct gh_data_key_row *row,
                                                        struct gh_error *error);
/* `number` 0: the newest. NOT_FOUND when there is none. */
GH_MUST_USE enum gh_error_code gh_store_data_key_get(struct gh_store *store, int64_t tenant,
                                                     uint32_t number, struct gh_arena *arena,
                                                     struct gh_data_key_row *out,
                                                     struct gh_error *error);
/* Of all tenants, by tenant and number. */
GH_MUST_USE enum gh_error_code gh_store_data_key_list(struct gh_store *store,
                                                      struct gh_arena *arena,
                                                      struct gh_data_key_row **out, size_t *count,
                                                      struct gh_error *error);
/* Writes `sealed` of each; one commit. */
GH_MUST_USE enum gh_error_code gh_store_data_keys_update(struct gh_store *store,
                                                         const struct gh_data_key_row *rows,
                                                         size_t count, struct gh_error *error);
/* What is sealed of a tenant, by device, then its CAs. */
GH_MUST_USE enum gh_error_code gh_store_sealed_list(struct gh_store *store, int64_t tenant,
                                                    struct gh_arena *arena,
                                                    struct gh_sealed_row **out, size_t *count,
                                                    struct gh_error *error);
/* Adds `key`, writes the text of each row, and removes the tenant's older keys; one commit. */
GH_MUST_USE enum gh_error_code gh_store_data_key_replace(struct gh_store *store,
                                                         const struct gh_data_key_row *key,
                                                         const struct gh_sealed_row *rows,
                                                         size_t count, struct gh_error *error);

/* --- devices --- */
/* At most 10,000 at once. All in one commit or none; `*failed` is the index of the one refused. The
 * caller made `number`; EXISTS for a
 * key or secret of another device, and with
 * `*number_taken` when that was ever used, so that another can be drawn. Fills tenant and config.
 */
GH_MUST_USE enum gh_error_code gh_store_devices_create(struct gh_store *store,
                                                       struct gh_device *rows, size_t count,
                                                       size_t *failed, bool *number_taken,
                                                       struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_device_get(struct gh_store *store, uint64_t number,
                                                   struct gh_arena *arena, struct gh_device *out,
                                                   struct gh_error *error);
/* By id, or by `number` when that is not 0; inside the registry named. An empty location matches
 * any. */
GH_MUST_USE enum gh_error_code gh_store_device_find(struct gh_store *store, int64_t tenant,
                                                    struct gh_slice registry_name,
                                                    struct gh_slice location, struct gh_slice id,
                                                    uint64_t number, struct gh_arena *arena,
                                                    struct gh_device *out, struct gh_error *error);
/* What a sign-in asks of a device, by id or number within the registry: its row, credentials and
 * attributes; neither documents nor times, nor what is its tenant's and registry's but their
 * numbers. */
GH_MUST_USE enum gh_error_code gh_store_device_sign_in(struct gh_store *store, int64_t registry,
                                                       struct gh_slice id, uint64_t number,
                                                       struct gh_arena *arena,
                                                       struct gh_device *out,
                                                       struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_device_update(struct gh_store *store, uint64_t number,
                                                      unsigned fields,
                                                      const struct gh_device *change,
                                                      struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_device_delete(struct gh_store *store, uint64_t number,
                                                      struct gh_error *error);
/* By registry and id, those after (after_registry, after_id). A page ends early when it has taken a
 * quarter of what the arena has left, never before its first device. */
GH_MUST_USE enum gh_error_code
gh_store_device_list(struct gh_store *store, const struct gh_device_query *query,
                     int64_t after_registry, struct gh_slice after_id, struct gh_arena *arena,
                     struct gh_device **out, size_t *count, bool *more, struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_device_count(struct gh_store *store,
                                                     const struct gh_device_query *query,
                                                     uint64_t *count, struct gh_error *error);

/* Counted and bound in one transaction: LIMIT, however many bind at once. */
GH_MUST_USE enum gh_error_code gh_store_gateway_bind(struct gh_store *store, uint64_t gateway,
                                                     uint64_t device,
                                                     const struct gh_gateway_limits *limits,
                                                     struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_gateway_unbind(struct gh_store *store, uint64_t gateway,
                                                       uint64_t device, struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_gateway_bound(struct gh_store *store, uint64_t gateway,
                                                      uint64_t device, bool *bound,
                                                      struct gh_error *error);
/* The device was attached by the gateway. */
GH_MUST_USE enum gh_error_code gh_store_gateway_used(struct gh_store *store, uint64_t device,
                                                     uint64_t gateway, int64_t at_ms,
                                                     struct gh_error *error);

/* --- policies --- */
/* Creates (version 1) or replaces `row` by its tenant and name. CONFLICT when `etag_before` is not
 * empty and not the current one ("*": any), LIMIT for one more than `policies_max`, NOT_FOUND
 * without the tenant. */
GH_MUST_USE enum gh_error_code gh_store_policy_put(struct gh_store *store,
                                                   const struct gh_policy_row *row,
                                                   struct gh_slice etag_before, size_t policies_max,
                                                   struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_policy_get(struct gh_store *store, int64_t tenant,
                                                   struct gh_slice name, struct gh_arena *arena,
                                                   struct gh_policy_row *out,
                                                   struct gh_error *error);
/* By name, without documents. */
GH_MUST_USE enum gh_error_code gh_store_policy_list(struct gh_store *store, int64_t tenant,
                                                    struct gh_arena *arena,
                                                    struct gh_policy_row **out, size_t *count,
                                                    struct gh_error *error);
/* PRECONDITION while it is attached. */
GH_MUST_USE enum gh_error_code gh_store_policy_delete(struct gh_store *store, int64_t tenant,
                                                      struct gh_slice name, struct gh_error *error);
/* LIMIT for one more than `attached_max` at the target. */
GH_MUST_USE enum gh_error_code gh_store_policy_attach(struct gh_store *store, struct gh_slice name,
                                                      const struct gh_policy_target *target,
                                                      size_t attached_max, struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_policy_detach(struct gh_store *store, struct gh_slice name,
                                                      const struct gh_policy_target *target,
                                                      struct gh_error *error);
/* The tenant first, then registries, then devices, by names. */
GH_MUST_USE enum gh_error_code gh_store_policy_targets(struct gh_store *store, int64_t tenant,
                                                       struct gh_slice name, struct gh_arena *arena,
                                                       struct gh_policy_target **out, size_t *count,
                                                       struct gh_error *error);
/* Each once, by name. */
GH_MUST_USE enum gh_error_code gh_store_policy_effective(struct gh_store *store,
                                                         const struct gh_policy_target *target,
                                                         struct gh_arena *arena,
                                                         struct gh_policy_row **out, size_t *count,
                                                         struct gh_error *error);
/* Whether any device of the tenant may have policies of its own: by itself, its groups, or a
 * credential. */
GH_MUST_USE enum gh_error_code gh_store_policy_personal(struct gh_store *store, int64_t tenant,
                                                        bool *personal, struct gh_error *error);

/* --- groups of devices --- */
/* EXISTS for a name that is taken, LIMIT for one more than `groups_max`. */
GH_MUST_USE enum gh_error_code gh_store_group_create(struct gh_store *store,
                                                     struct gh_device_group *group,
                                                     size_t groups_max, struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_group_find(struct gh_store *store, int64_t tenant,
                                                   struct gh_slice name, struct gh_arena *arena,
                                                   struct gh_device_group *out,
                                                   struct gh_error *error);
/* By name. */
GH_MUST_USE enum gh_error_code gh_store_group_list(struct gh_store *store, int64_t tenant,
                                                   struct gh_arena *arena,
                                                   struct gh_device_group **out, size_t *count,
                                                   struct gh_error *error);
/* With its memberships and attachments. */
GH_MUST_USE enum gh_error_code gh_store_group_delete(struct gh_store *store, int64_t number,
                                                     struct gh_error *error);
/* May be repeated. LIMIT for one more than `groups_max` groups of the device. The caller knows that
 * both are of one tenant. */
GH_MUST_USE enum gh_error_code gh_store_group_add(struct gh_store *store, int64_t group,
                                                  uint64_t device, size_t groups_max,
                                                  struct gh_error *error);
/* NOT_FOUND when it is not a member. */
GH_MUST_USE enum gh_error_code gh_store_group_remove(struct gh_store *store, int64_t group,
                                                     uint64_t device, struct gh_error *error);
/* By number of the device, at most `limit` that are greater than `after`. */
GH_MUST_USE enum gh_error_code gh_store_group_members(struct gh_store *store, int64_t group,
                                                      uint64_t after, size_t limit,
                                                      struct gh_arena *arena,
                                                      struct gh_device_group_member **out,
                                                      size_t *count, struct gh_error *error);

/* --- custom roles, and bindings of groups and devices --- */
/* Creates or replaces `row` by its tenant and name. CONFLICT when `etag_before` is not empty and
 * not the current one, LIMIT for one more than `roles_max`, NOT_FOUND without the tenant. */
GH_MUST_USE enum gh_error_code gh_store_role_put(struct gh_store *store,
                                                 const struct gh_custom_role *row,
                                                 struct gh_slice etag_before, size_t roles_max,
                                                 bool *made, struct gh_error *error);
/* Those of the tenant, then those of the house (`tenant` 0: these alone), by name. */
GH_MUST_USE enum gh_error_code gh_store_role_list(struct gh_store *store, int64_t tenant,
                                                  struct gh_arena *arena,
                                                  struct gh_custom_role **out, size_t *count,
                                                  struct gh_error *error);
/* PRECONDITION while a binding gives it, or a token (that is still valid) or an operator has it. */
GH_MUST_USE enum gh_error_code gh_store_role_delete(struct gh_store *store, int64_t tenant,
                                                    struct gh_slice name, int64_t now_ms,
                                                    struct gh_error *error);
/* An empty policy removes it. CONFLICT as for a tenant's. */
GH_MUST_USE enum gh_error_code gh_store_grant_set(struct gh_store *store,
                                                  const struct gh_grant_row *row,
                                                  struct gh_slice etag_before,
                                                  struct gh_error *error);
/* Of the group or device in `row`; policy and etag are empty without one. */
GH_MUST_USE enum gh_error_code gh_store_grant_get(struct gh_store *store, struct gh_grant_row *row,
                                                  struct gh_arena *arena, struct gh_error *error);
/* Those of the groups that it is in, then its own. */
GH_MUST_USE enum gh_error_code gh_store_grants_of_device(struct gh_store *store, uint64_t device,
                                                         struct gh_arena *arena,
                                                         struct gh_grant_row **out, size_t *count,
                                                         struct gh_error *error);

/* --- documents of devices --- */
GH_MUST_USE enum gh_error_code gh_store_config_set(struct gh_store *store, uint64_t device,
                                                   struct gh_slice data, int64_t if_version,
                                                   int64_t utc_ms, int64_t *version,
                                                   struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_config_list(struct gh_store *store, uint64_t device,
                                                    size_t limit, struct gh_arena *arena,
                                                    struct gh_config **out, size_t *count,
                                                    struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_config_acknowledged(struct gh_store *store, uint64_t device,
                                                            int64_t version, int64_t utc_ms,
                                                            struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_state_set(struct gh_store *store, uint64_t device,
                                                  struct gh_slice data, int64_t utc_ms,
                                                  struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_state_list(struct gh_store *store, uint64_t device,
                                                   size_t limit, struct gh_arena *arena,
                                                   struct gh_state **out, size_t *count,
                                                   struct gh_error *error);

/* Raises the times of each device; devices that are gone are skipped. One commit. */
GH_MUST_USE enum gh_error_code gh_store_activity_put(struct gh_store *store,
                                                     const struct gh_activity_times *rows,
                                                     size_t count, struct gh_error *error);
/* Raises the time of last use of each credential; those that are gone are skipped. Of certificates
 * by CAs the newest GH_CERTIFICATE_USES_MAX of a device are remembered. One commit. */
GH_MUST_USE enum gh_error_code gh_store_credential_uses_put(struct gh_store *store,
                                                            const struct gh_credential_use *rows,
                                                            size_t count, struct gh_error *error);
/* Symmetric keys without a mark, by device and id, those after `after`. */
GH_MUST_USE enum gh_error_code gh_store_credential_unmarked(struct gh_store *store,
                                                            const struct gh_credential_mark *after,
                                                            size_t limit, struct gh_arena *arena,
                                                            struct gh_credential_mark **out,
                                                            size_t *count, struct gh_error *error);
/* Writes each where there is none. One commit. */
GH_MUST_USE enum gh_error_code gh_store_credential_marks_put(struct gh_store *store,
                                                             const struct gh_credential_mark *rows,
                                                             size_t count, struct gh_error *error);
/* Another device that has a credential with this fingerprint, or with this mark: its number, or 0.
 */
GH_MUST_USE enum gh_error_code gh_store_credential_holder(struct gh_store *store, uint64_t device,
                                                          const struct gh_credential *credential,
                                                          uint64_t *holder, struct gh_error *error);

/* Housekeeping for a quiet moment: after deletions the write-ahead log is emptied, so that erased
 * rows leave the disk. Cheap when there is nothing to do. */
void gh_store_tidy(struct gh_store *store);
/* The same for memory, called about once a second: when much was read or written and then little
 * for a while, the connections of readers are closed, the writer's pages are dropped, and the
 * system gets the free pages of the heap. True when that was done. The next reads open what they
 * need again. */
bool gh_store_rest(struct gh_store *store);
#endif
