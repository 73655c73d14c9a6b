/* Verifying an audit trail, wherever its rows come from: every hash is taken again, from the first
 * row to the last, and compared with the row's own, with the signed checkpoints beside the rows and
 * with those that were exported. It names the first row that is not as it was written:
 *
 *     changed     its hash is not that of its fields and of the row before it
 *     missing     its number is not there, and rows behind it are
 *     truncated   a signed checkpoint speaks of it, and the trail ends before it
 *     rewritten   rows since the last checkpoint that still holds fit each other, and do not fit
 * the next one unsigned    a checkpoint is not signed by the key
 *
 * Rows may begin behind a cut: then the checkpoint at the cut has to hold, and a row has to tell of
 * the cut. Threads: one at a time. */
#ifndef GH_AUDIT_VERIFY_H
#define GH_AUDIT_VERIFY_H

#include "audit/checkpoint.h"

/* Pages, oldest first, behind `after`; an empty page is the end. What they yield lives in the
 * arena, which the verifier resets between pages. */
struct gh_audit_pages {
    void *context;
    enum gh_error_code (*rows)(void *context, int64_t after, struct gh_arena *arena,
                               struct gh_audit_entry **out, size_t *count, struct gh_error *error);
    enum gh_error_code (*checkpoints)(void *context, int64_t after, struct gh_arena *arena,
                                      struct gh_audit_checkpoint **out, size_t *count,
                                      struct gh_error *error);
};
/* Of a store; the context is the gh_store. */
extern const struct gh_audit_pages gh_audit_store_pages;

enum gh_audit_fault {
    GH_AUDIT_WHOLE,
    GH_AUDIT_CHANGED,
    GH_AUDIT_MISSING,
    GH_AUDIT_TRUNCATED,
    GH_AUDIT_REWRITTEN,
    GH_AUDIT_UNSIGNED,
};

struct gh_audit_verdict {
    enum gh_audit_fault fault;
    int64_t bad_first, bad_last; /* the rows that are not as they were; 0 when whole */
    int64_t first, last;         /* the rows that are there and hold */
    int64_t checked;             /* the newest row that a signed checkpoint vouches for */
    size_t checkpoints;          /* that held */
    char text[256];              /* a sentence for persons */
};

/* `exported` (may be NULL) are checkpoints that were kept elsewhere, by rising numbers. GH_OK when
 * the trail could be read to its end or to its fault, whatever the verdict is. */
GH_MUST_USE enum gh_error_code gh_audit_verify(const struct gh_audit_pages *pages,
                                               const struct gh_key *key,
                                               const struct gh_audit_checkpoint *exported,
                                               size_t exported_count, struct gh_audit_verdict *out,
                                               struct gh_error *error);

/* "whole", "changed": the spelling of the API. */
const char *gh_audit_fault_name(enum gh_audit_fault fault);

/* The chain and the tree, row by row: what gh_audit_verify and the maker of checkpoints share. */
struct gh_audit_follow {
    int64_t seq; /* of the last row that held */
    struct gh_merkle_hash hash;
    struct gh_merkle tree;
};
/* Begins behind a checkpoint, or with NULL at the first row. False when its frontier does not give
 * its root. */
GH_MUST_USE bool gh_audit_follow_from(struct gh_audit_follow *follow,
                                      const struct gh_audit_checkpoint *checkpoint);
/* WHOLE when the row comes next and holds; then it counts. */
enum gh_audit_fault gh_audit_follow_row(struct gh_audit_follow *follow,
                                        const struct gh_audit_entry *entry);

/* The object of the row that tells of a cut: "audit/rows/1-1000". */
enum { GH_AUDIT_CUT_OBJECT_MAX = 48 };
char *gh_audit_cut_object(int64_t seq, char out[GH_AUDIT_CUT_OBJECT_MAX]);
#define GH_AUDIT_CUT_ACTION "audit.cut"
#endif
