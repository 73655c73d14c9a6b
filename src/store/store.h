/* Store: what Gatehouse remembers outside the message log, in one SQLite database DIR/registry.db
 * (WAL, synchronous=FULL). Typed functions over the records of store/records.h; all SQL is in
 * store/sqlite/. It keeps no rules but keys and references: names and limits are checked by
 * registry/directory.h, which is what the rooms above use for tenants, registries and devices
 * (store/registry.h). This header is for the rest: operators, tokens, topics, documents, trail
 * rows, telemetry blocks, meta values.
 *
 * A write that returned GH_OK is durable. Writes of several threads at once share one commit. Every
 * function blocks (disk); none may be called from a loop. A full disk gives STORE_WRITE and heals
 * by itself when space is there; damage gives STORE_CORRUPT and nothing is overwritten. Memory:
 * what is read lives in the caller's arena. Threads: any. */
#ifndef GH_STORE_STORE_H
#define GH_STORE_STORE_H

#include "base/arena.h"
#include "base/error.h"
#include "store/records.h"

struct gh_store;

enum gh_store_mode {
    GH_STORE_EXISTING, /* STORE_OPEN when there is no database */
    GH_STORE_CREATE,   /* made when there is none */
};

/* Opens DIR/registry.db and takes DIR/registry.lock, so that one process at a time owns it
 * (IN_USE, after a wait of GH_LOCK_WAIT_MS). Brings an older schema up to date; refuses a newer one
 * (STORE_NEWER) and whatever is damaged or not ours (STORE_CORRUPT). NULL with `error` filled on
 * failure. */
GH_MUST_USE struct gh_store *gh_store_open(const char *folder, enum gh_store_mode mode,
                                           struct gh_error *error);
/* No other call may be running. */
void gh_store_close(struct gh_store *store);

/* --- meta: small values by name ------------------------------------------------------------------
 */
GH_MUST_USE enum gh_error_code gh_store_meta_put(struct gh_store *store, struct gh_slice key,
                                                 struct gh_slice value, struct gh_error *error);
/* NOT_FOUND when it was never put. */
GH_MUST_USE enum gh_error_code gh_store_meta_get(struct gh_store *store, struct gh_slice key,
                                                 struct gh_arena *arena, struct gh_slice *out,
                                                 struct gh_error *error);

/* --- operators -----------------------------------------------------------------------------------
 */
/* Fills `number`. EXISTS when the name is taken. */
GH_MUST_USE enum gh_error_code gh_store_operator_create(struct gh_store *store,
                                                        struct gh_operator_row *row,
                                                        struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_operator_find(struct gh_store *store, struct gh_slice name,
                                                      struct gh_arena *arena,
                                                      struct gh_operator_row *out,
                                                      struct gh_error *error);
/* By name. */
GH_MUST_USE enum gh_error_code gh_store_operator_list(struct gh_store *store,
                                                      struct gh_arena *arena,
                                                      struct gh_operator_row **out, size_t *count,
                                                      struct gh_error *error);
/* Writes everything but number, name and created_at_ms of the operator `row->number`; its sign-ins
 * end. EXISTS when the e-mail address or the subject is another's. */
GH_MUST_USE enum gh_error_code gh_store_operator_update(struct gh_store *store,
                                                        const struct gh_operator_row *row,
                                                        struct gh_error *error);
/* Only another form of the same password; its sign-ins stay. CONFLICT when the one that is stored
 * is not `before` any more. */
GH_MUST_USE enum gh_error_code gh_store_operator_rehash(struct gh_store *store, int64_t number,
                                                        struct gh_slice before,
                                                        struct gh_slice after,
                                                        struct gh_error *error);
/* By subject of an outside provider, or by e-mail address where `provider` is empty. */
GH_MUST_USE enum gh_error_code
gh_store_operator_find_outside(struct gh_store *store, struct gh_slice provider,
                               struct gh_slice subject_or_email, struct gh_arena *arena,
                               struct gh_operator_row *out, struct gh_error *error);
/* With its sign-ins, factors and tokens. */
GH_MUST_USE enum gh_error_code gh_store_operator_delete(struct gh_store *store, int64_t number,
                                                        struct gh_error *error);

/* --- operators' sign-ins -------------------------------------------------------------------------
 */
GH_MUST_USE enum gh_error_code gh_store_sign_in_create(struct gh_store *store,
                                                       const struct gh_sign_in_row *row,
                                                       struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_sign_in_find(struct gh_store *store, struct gh_slice hash,
                                                     struct gh_arena *arena,
                                                     struct gh_sign_in_row *out,
                                                     struct gh_error *error);
/* Moves seen_at_ms forward. */
GH_MUST_USE enum gh_error_code gh_store_sign_in_seen(struct gh_store *store, struct gh_slice hash,
                                                     int64_t seen_at_ms, struct gh_error *error);
/* NOT_FOUND when there is none. */
GH_MUST_USE enum gh_error_code gh_store_sign_in_delete(struct gh_store *store, struct gh_slice hash,
                                                       struct gh_error *error);

/* The row in place of the one of `before`, in one write; NOT_FOUND when that one is gone. */
GH_MUST_USE enum gh_error_code gh_store_sign_in_replace(struct gh_store *store,
                                                        struct gh_slice before,
                                                        const struct gh_sign_in_row *row,
                                                        struct gh_error *error);
/* Of one operator, the newest first. */
GH_MUST_USE enum gh_error_code
gh_store_sign_in_list(struct gh_store *store, int64_t operator_number, struct gh_arena *arena,
                      struct gh_sign_in_row **out, size_t *count, struct gh_error *error);
/* All of one operator but the one of `but` (empty: all). */
GH_MUST_USE enum gh_error_code gh_store_sign_in_clear(struct gh_store *store,
                                                      int64_t operator_number, struct gh_slice but,
                                                      struct gh_error *error);
/* What a WebAuthn ceremony of this session has to sign; empty: none is under way. */
GH_MUST_USE enum gh_error_code gh_store_sign_in_challenge(struct gh_store *store,
                                                          struct gh_slice hash,
                                                          struct gh_slice challenge,
                                                          struct gh_error *error);

/* --- second factors ------------------------------------------------------------------------------
 */
/* Fills `number`. EXISTS when the credential is registered already. */
GH_MUST_USE enum gh_error_code
gh_store_factor_create(struct gh_store *store, struct gh_factor_row *row, struct gh_error *error);
/* Of one operator, by number. */
GH_MUST_USE enum gh_error_code gh_store_factor_list(struct gh_store *store, int64_t operator_number,
                                                    struct gh_arena *arena,
                                                    struct gh_factor_row **out, size_t *count,
                                                    struct gh_error *error);
/* It has worked, with this counter, which must be above the one that is stored (or both 0: a key
 * that does not count); it is confirmed from now on. CONFLICT otherwise: somebody was faster with
 * the same proof. */
GH_MUST_USE enum gh_error_code gh_store_factor_use(struct gh_store *store, int64_t number,
                                                   int64_t counter, int64_t at_ms,
                                                   struct gh_error *error);
/* NOT_FOUND when the operator has none of this number. */
GH_MUST_USE enum gh_error_code gh_store_factor_delete(struct gh_store *store,
                                                      int64_t operator_number, int64_t number,
                                                      struct gh_error *error);
/* All of the kind (0: of every kind) of an operator go, and these come. */
GH_MUST_USE enum gh_error_code gh_store_factor_replace(struct gh_store *store,
                                                       int64_t operator_number, int kind,
                                                       struct gh_factor_row *rows, size_t count,
                                                       struct gh_error *error);

/* --- bearer tokens -------------------------------------------------------------------------------
 */
GH_MUST_USE enum gh_error_code gh_store_token_create(struct gh_store *store,
                                                     const struct gh_token_row *row,
                                                     struct gh_error *error);
/* NOT_FOUND also while the service account or key that it was given for is disabled. */
GH_MUST_USE enum gh_error_code gh_store_token_find(struct gh_store *store, struct gh_slice hash,
                                                   struct gh_arena *arena, struct gh_token_row *out,
                                                   struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_token_list(struct gh_store *store, struct gh_arena *arena,
                                                   struct gh_token_row **out, size_t *count,
                                                   struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_token_delete(struct gh_store *store, struct gh_slice hash,
                                                     struct gh_error *error);
/* Moves used_at_ms forward. */
GH_MUST_USE enum gh_error_code gh_store_token_used(struct gh_store *store, struct gh_slice hash,
                                                   int64_t at_ms, struct gh_error *error);
/* --- spent ids: what may be used once, or no more (the ids of assertions and of revoked tokens)
 * ----
 */
/* Remembers `hash` (GH_TOKEN_HASH_BYTES) until `expires_at_ms`. EXISTS when it is there already. */
GH_MUST_USE enum gh_error_code gh_store_spent_put(struct gh_store *store, struct gh_slice hash,
                                                  int64_t expires_at_ms, struct gh_error *error);
/* NOT_FOUND when it is not there. */
GH_MUST_USE enum gh_error_code gh_store_spent_find(struct gh_store *store, struct gh_slice hash,
                                                   struct gh_error *error);

/* Removes tokens, spent ids and sign-ins that have expired at `now_ms`, and sign-ins not seen since
 * `idle_before_ms`. */
GH_MUST_USE enum gh_error_code gh_store_expire(struct gh_store *store, int64_t now_ms,
                                               int64_t idle_before_ms, struct gh_error *error);

/* --- topics and subscriptions --------------------------------------------------------------------
 */
/* Fills `number`. NOT_FOUND without the tenant, EXISTS when the name is taken. */
GH_MUST_USE enum gh_error_code
gh_store_topic_create(struct gh_store *store, struct gh_topic_row *row, struct gh_error *error);
/* Writes settings, retention_s and policy of `row->number`. */
GH_MUST_USE enum gh_error_code gh_store_topic_update(struct gh_store *store,
                                                     const struct gh_topic_row *row,
                                                     struct gh_error *error);
/* Its subscriptions and snapshots stay, with topic 0. */
GH_MUST_USE enum gh_error_code gh_store_topic_delete(struct gh_store *store, int64_t number,
                                                     struct gh_error *error);
/* All, by number. */
GH_MUST_USE enum gh_error_code gh_store_topic_list(struct gh_store *store, struct gh_arena *arena,
                                                   struct gh_topic_row **out, size_t *count,
                                                   struct gh_error *error);
/* Fills `number`. NOT_FOUND without the topic, EXISTS when the name is taken in the tenant. */
GH_MUST_USE enum gh_error_code gh_store_subscription_create(struct gh_store *store,
                                                            struct gh_subscription_row *row,
                                                            struct gh_error *error);
/* Writes ack_deadline_s, retention_s, settings, rules and policy of `row->number`. */
GH_MUST_USE enum gh_error_code gh_store_subscription_update(struct gh_store *store,
                                                            const struct gh_subscription_row *row,
                                                            struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_subscription_delete(struct gh_store *store, int64_t number,
                                                            struct gh_error *error);
/* All, by number. */
GH_MUST_USE enum gh_error_code gh_store_subscription_list(struct gh_store *store,
                                                          struct gh_arena *arena,
                                                          struct gh_subscription_row **out,
                                                          size_t *count, struct gh_error *error);

/* Fills `number`. NOT_FOUND without tenant or topic, EXISTS when the name is taken in the tenant.
 */
GH_MUST_USE enum gh_error_code gh_store_snapshot_create(struct gh_store *store,
                                                        struct gh_snapshot_row *row,
                                                        struct gh_slice state,
                                                        struct gh_error *error);
/* Writes settings and expires_at_ms of `row->number`. */
GH_MUST_USE enum gh_error_code gh_store_snapshot_update(struct gh_store *store,
                                                        const struct gh_snapshot_row *row,
                                                        struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_snapshot_delete(struct gh_store *store, int64_t number,
                                                        struct gh_error *error);
/* All, by number, without their states. */
GH_MUST_USE enum gh_error_code gh_store_snapshot_list(struct gh_store *store,
                                                      struct gh_arena *arena,
                                                      struct gh_snapshot_row **out, size_t *count,
                                                      struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_snapshot_state(struct gh_store *store, int64_t number,
                                                       struct gh_arena *arena, struct gh_slice *out,
                                                       struct gh_error *error);

/* --- documents -----------------------------------------------------------------------------------
 */
/* Creates or replaces. NOT_FOUND without the tenant. */
GH_MUST_USE enum gh_error_code gh_store_document_put(struct gh_store *store,
                                                     const struct gh_document_row *row,
                                                     struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_document_get(struct gh_store *store, int64_t tenant,
                                                     struct gh_slice kind, struct gh_slice name,
                                                     struct gh_arena *arena,
                                                     struct gh_document_row *out,
                                                     struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_document_delete(struct gh_store *store, int64_t tenant,
                                                        struct gh_slice kind, struct gh_slice name,
                                                        struct gh_error *error);
/* Of one kind, of one tenant or (0) of all, by tenant and name. */
GH_MUST_USE enum gh_error_code gh_store_document_list(struct gh_store *store, int64_t tenant,
                                                      struct gh_slice kind, struct gh_arena *arena,
                                                      struct gh_document_row **out, size_t *count,
                                                      struct gh_error *error);

/* --- trail rows (observe/trail.h is the face)
 * ----------------------------------------------------- */
/* Appends all in one commit, keeping their sequences; past entries per device and in all are
 * trimmed. */
GH_MUST_USE enum gh_error_code gh_store_trail_append(struct gh_store *store,
                                                     const struct gh_trail_entry *entries,
                                                     size_t count, struct gh_error *error);
/* Newest first. */
GH_MUST_USE enum gh_error_code gh_store_trail_list(struct gh_store *store,
                                                   const struct gh_trail_filter *filter,
                                                   struct gh_arena *arena,
                                                   struct gh_trail_entry **out, size_t *count,
                                                   struct gh_error *error);
/* The highest sequence stored, 0 when there is none. */
GH_MUST_USE enum gh_error_code gh_store_trail_last(struct gh_store *store, int64_t *sequence,
                                                   struct gh_error *error);

/* --- telemetry blocks (observe/telemetry.h is the face)
 * -------------------------------------------- */
/* All blocks and the log offset up to which everything is sealed, in one commit. */
GH_MUST_USE enum gh_error_code gh_store_blocks_put(struct gh_store *store,
                                                   const struct gh_block_row *blocks, size_t count,
                                                   uint64_t sealed_offset, struct gh_error *error);
/* 0 when nothing was ever sealed. */
GH_MUST_USE enum gh_error_code gh_store_blocks_sealed(struct gh_store *store, uint64_t *offset,
                                                      struct gh_error *error);
/* The blocks of `device` that touch [from, to), newest (by last_ms) first, at most `limit` of them
 * that end before or at `last_ms_max` (INT64_MAX: any); the bytes are read too. */
GH_MUST_USE enum gh_error_code
gh_store_blocks_list(struct gh_store *store, uint64_t device, int64_t from_ms, int64_t to_ms,
                     int64_t last_ms_max, size_t limit, struct gh_arena *arena,
                     struct gh_block_row **out, size_t *count, struct gh_error *error);
/* One at a time, newest first, bytes borrowed during the call of `visit`; it returns false to stop.
 * The store must not be called from `visit`. */
GH_MUST_USE enum gh_error_code
gh_store_blocks_each(struct gh_store *store, uint64_t device, int64_t from_ms, int64_t to_ms,
                     bool (*visit)(void *context, const struct gh_block_row *block), void *context,
                     struct gh_error *error);
/* Retention: removes blocks that ended before `before_ms`, a bounded number per call; `*removed` 0:
 * done. */
GH_MUST_USE enum gh_error_code gh_store_blocks_trim(struct gh_store *store, int64_t before_ms,
                                                    size_t *removed, struct gh_error *error);
#endif
