/* The store's half of the audit trail (audit/audit.h is the face): rows that are only ever added,
 * each tied to the one before it by a hash; the names behind the pseudonyms of its persons; and
 * signed checkpoints. A row is either written by itself or rides on the next write of the calling
 * thread, so that it and the change that it tells of are one transaction. The promises of
 * store/store.h hold. */
#ifndef GH_STORE_AUDIT_H
#define GH_STORE_AUDIT_H

#include "crypto/merkle.h"
#include "store/store.h"
#include "wire/audit_row.h"

/* What is told. Persons by name: the store puts their pseudonyms in their place. Borrowed. */
struct gh_audit_note {
    int64_t at_ms;
    struct gh_slice tenant, method, face, action, object;
    struct gh_slice actor, source, subject; /* plain names; empty: none */
    struct gh_slice detail;                 /* GH_AUDIT_DETAIL_BYTES, or empty */
    enum gh_audit_result result;
    int code;
};

/* A row as it rests. A name is empty once it was forgotten. */
struct gh_audit_entry {
    struct gh_audit_row row;
    struct gh_merkle_hash hash;
    struct gh_slice actor_name, source_name, subject_name;
};

/* Adds a row, by itself. `*seq` may be NULL. Texts past their bounds are cut. */
GH_MUST_USE enum gh_error_code gh_store_audit_append(struct gh_store *store,
                                                     const struct gh_audit_note *note, int64_t *seq,
                                                     struct gh_error *error);

/* Lets the row ride on the next write of this thread that succeeds: both are there, or neither.
 * `note` is borrowed until gh_store_audit_alight. One at a time per thread. */
void gh_store_audit_ride(struct gh_store *store, const struct gh_audit_note *note);
/* Ends that. The number of the row, 0 when no write took it along. */
int64_t gh_store_audit_alight(struct gh_store *store);

/* Which rows are wanted. Numbers of 0 and empty texts ask nothing. */
struct gh_audit_filter {
    int64_t after, before; /* seq, both excluded */
    int64_t from_ms, to_ms;
    struct gh_slice tenant, actor, action, object; /* actor: the name; action and object: how they
                                                      begin */
    int result;                                    /* enum gh_audit_result; -1: any */
    bool oldest_first;
    size_t limit;
};
GH_MUST_USE enum gh_error_code gh_store_audit_list(struct gh_store *store,
                                                   const struct gh_audit_filter *filter,
                                                   struct gh_arena *arena,
                                                   struct gh_audit_entry **out, size_t *count,
                                                   struct gh_error *error);
/* The first and the last row; both 0 when there is none. */
GH_MUST_USE enum gh_error_code gh_store_audit_ends(struct gh_store *store, int64_t *first,
                                                   int64_t *last, struct gh_error *error);

/* A signed statement about all rows up to `seq`. */
struct gh_audit_checkpoint {
    int64_t seq, at_ms;
    struct gh_merkle_hash hash, root; /* of the row `seq`; over the rows 1 to `seq` */
    struct gh_slice frontier;         /* of that tree (crypto/merkle.h) */
    struct gh_slice key_id;           /* of the key that signed */
    struct gh_slice signature;
};
GH_MUST_USE enum gh_error_code gh_store_audit_checkpoint_put(struct gh_store *store,
                                                             const struct gh_audit_checkpoint *row,
                                                             struct gh_error *error);
/* Oldest first, those behind `after`. */
GH_MUST_USE enum gh_error_code gh_store_audit_checkpoint_list(struct gh_store *store, int64_t after,
                                                              size_t limit, struct gh_arena *arena,
                                                              struct gh_audit_checkpoint **out,
                                                              size_t *count,
                                                              struct gh_error *error);
/* The newest at or before `seq`; NOT_FOUND when there is none. */
GH_MUST_USE enum gh_error_code gh_store_audit_checkpoint_at(struct gh_store *store, int64_t seq,
                                                            struct gh_arena *arena,
                                                            struct gh_audit_checkpoint *out,
                                                            struct gh_error *error);

/* Removes the rows up to the checkpoint `seq`, the checkpoints before it and the names that only
 * those rows used, and adds `note`, in one transaction. NOT_FOUND when no checkpoint stands there.
 */
GH_MUST_USE enum gh_error_code gh_store_audit_cut(struct gh_store *store, int64_t seq,
                                                  const struct gh_audit_note *note,
                                                  struct gh_error *error);
/* Removes a name: its pseudonym can be tied to it no more, and the rows stay as they are. `note` is
 * added in the same transaction. NOT_FOUND for a name that is not there. */
GH_MUST_USE enum gh_error_code gh_store_audit_forget(struct gh_store *store, struct gh_slice name,
                                                     const struct gh_audit_note *note,
                                                     struct gh_error *error);
#endif
