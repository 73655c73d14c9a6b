/* The vectors program: runs published test vectors through the code that serves, and prints a
 * table. This header is what its files share: a set (one row of the table) and how a case is
 * judged.
 *
 * A case that the house must decide is right or wrong. A case about something that the house does
 * not do (another algorithm, another format) is unsupported as long as it was refused: whatever is
 * invalid and gets accepted is wrong, unsupported or not. Why is counted for each set and printed
 * below the table, which docs/vectors.md keeps. Threads: one. */
#ifndef GH_VECTORS_H
#define GH_VECTORS_H

#include "base/buffer.h"
#include "crypto/key.h"
#include <jansson.h>

enum { VECTORS_REASONS_MAX = 16 };

struct set {
    char name[96];
    size_t total, right, unsupported, wrong;
    struct {
        const char *why; /* static */
        size_t count;
    } reasons[VECTORS_REASONS_MAX]; /* of the unsupported ones; the first without a text ends */
};

enum expectation { EXPECT_REJECT, EXPECT_ACCEPT, EXPECT_EITHER };
enum answer { ANSWER_REJECT, ANSWER_ACCEPT, ANSWER_UNSUPPORTED };

/* Counts one case; a wrong one is also printed with `id` and `why`. */
void vectors_judge(struct set *set, const char *id, const char *why, enum expectation expected,
                   enum answer answer);
/* ANSWER_UNSUPPORTED, for the case that is judged next; `why` is static text. */
enum answer vectors_unsupported(const char *why);
/* Counts cases that nothing was asked about. */
void vectors_skip(struct set *set, size_t count);

/* Each takes a whole file and fills the row. False when the file is not of that format. */
bool vectors_wycheproof(struct set *set, const json_t *file);
bool vectors_google_tokens(struct set *set, const json_t *file);
bool vectors_google_registration(struct set *set, const json_t *file);
bool vectors_device_policy(struct set *set, const json_t *file);
bool vectors_limbo(struct set *set, const json_t *file); /* limbo.c */

/* wycheproof.c: text of a member; empty when it is absent. Hex into bytes; false for anything else.
 */
struct gh_slice vectors_text(const json_t *object, const char *key);
bool vectors_hex(struct gh_slice hex, struct gh_buffer *out);

/* jwk.c: the key that verifies `token` (compact JWS), out of a JWK or a JWK set (RFC 7517), opened
 * by gh_key_open from the PEM that it stands for. NULL: the rules refuse it; `*unsupported` says
 * of which algorithm it is when only because the house does not do that, else it is NULL. */
struct gh_key *vectors_jwk(const json_t *jwk, struct gh_slice kid, const char **unsupported);
#endif
