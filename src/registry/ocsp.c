/* What is known of certificates by CAs that have a responder. It is asked by somebody else
 * (programs/gatehoused/ocsps.h), who finds here what is due and brings what came. */
#include "crypto/ocsp.h"
#include "registry/anchors.h"
#include "registry/directory_internal.h"

enum {
    AGAIN_MS = 10 * 1000,      /* after no answer, or one that does not know the certificate */
    UNSAID_LIFE_MS = 86400000, /* of a certificate whose end nobody told */
    AHEAD = 10,                /* asked anew when a tenth of an answer's life is left */
};

enum gh_error_code gh_directory_ocsp_good(struct gh_directory *directory,
                                          const struct gh_anchor *anchor, struct gh_slice serial,
                                          int64_t not_after_ms, int64_t now_ms, bool *good,
                                          struct gh_error *error)
{
    struct gh_ocsp_row row;
    struct gh_error missing = {0};
    enum gh_error_code code =
        gh_store_ocsp_find(directory->store, anchor->number, serial, &row, &missing);
    *good = code == GH_OK && row.good_until_ms > now_ms;
    if (code == GH_OK)
        return GH_OK;
    if (code != GH_ERROR_NOT_FOUND)
        return gh_error_set(error, code, "%s", missing.text);
    row = (struct gh_ocsp_row){.anchor = anchor->number,
                               .serial = serial,
                               .due_ms = now_ms,
                               .not_after_ms =
                                   not_after_ms != 0 ? not_after_ms : now_ms + UNSAID_LIFE_MS};
    return gh_store_ocsp_put(directory->store, &row, error);
}

enum gh_error_code gh_directory_ocsp_due(struct gh_directory *directory, int64_t now_ms,
                                         size_t limit, struct gh_arena *arena,
                                         struct gh_ocsp_row **out, size_t *count,
                                         struct gh_error *error)
{
    return gh_store_ocsp_due(directory->store, now_ms, limit, arena, out, count, error);
}

static enum gh_error_code revoke(struct gh_directory *directory, const struct gh_ocsp_row *row,
                                 const struct gh_ocsp_answer *answer, struct gh_error *error)
{
    struct gh_arena arena;
    struct gh_anchor anchor;
    gh_arena_init(&arena, 1 << 20);
    enum gh_error_code code =
        gh_store_anchor_get(directory->store, row->anchor, &arena, &anchor, error);
    if (code == GH_OK)
        code =
            gh_directory_certificate_revoke(directory, &anchor, row->serial, answer->reason, error);
    if (code == GH_OK || code == GH_ERROR_EXISTS)
        code = gh_store_ocsp_delete(directory->store, row->anchor, row->serial, error);
    gh_arena_deinit(&arena);
    return code;
}

enum gh_error_code gh_directory_ocsp_said(struct gh_directory *directory,
                                          const struct gh_ocsp_row *row,
                                          const struct gh_ocsp_answer *answer, int64_t now_ms,
                                          struct gh_error *error)
{
    struct gh_ocsp_row kept = *row;
    if (answer != NULL && answer->status == GH_OCSP_REVOKED)
        return revoke(directory, row, answer, error);
    if (row->not_after_ms < now_ms)
        return gh_store_ocsp_delete(directory->store, row->anchor, row->serial, error);
    kept.due_ms = now_ms + AGAIN_MS;
    if (answer != NULL && answer->status == GH_OCSP_GOOD) {
        kept.good_until_ms = (answer->validity.to_s + GH_OCSP_SKEW_S) * 1000;
        int64_t life_ms = answer->validity.to_s * 1000 - now_ms;
        if (life_ms - life_ms / AHEAD > AGAIN_MS)
            kept.due_ms = now_ms + life_ms - life_ms / AHEAD;
    }
    return gh_store_ocsp_put(directory->store, &kept, error);
}
