/* Checkpoints: the thread that follows the chain and has signed what holds; and what is cut. */
#include "audit/audit_internal.h"
#include "base/log.h"
#include "base/time.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

enum {
    ARENA_MAX = 16 * 1024 * 1024,
    LOOK_MS = 500, /* between two looks at what was added */
    CUT_EVERY_S = 3600,
    DAY_MS = 86400 * 1000,
};

/* Goes on behind the newest checkpoint, if that one holds. */
bool audit_signing_open(struct gh_audit *audit, struct gh_error *error)
{
    struct gh_audit_checkpoint newest;
    struct gh_arena arena;
    gh_arena_init(&arena, ARENA_MAX);
    enum gh_error_code code =
        gh_store_audit_checkpoint_at(audit->store, INT64_MAX, &arena, &newest, error);
    if (code == GH_OK) {
        audit->state.signed_seq = newest.seq;
        audit->sent_seq[AUDIT_WAY_SYSLOG] = audit->sent_seq[AUDIT_WAY_HOOK] = newest.seq;
        audit->state.signed_at_ms = newest.at_ms;
        if (!gh_audit_checkpoint_signed(&newest, audit->key) ||
            !gh_audit_follow_from(&audit->follow, &newest)) {
            gh_log(GH_LOG_ERROR, "audit",
                   "the checkpoint at row %" PRId64 " is not ours: no further ones are signed",
                   newest.seq);
            audit->state.broken = GH_AUDIT_UNSIGNED;
            audit->state.broken_seq = newest.seq;
        }
    }
    gh_arena_deinit(&arena);
    return code == GH_OK || code == GH_ERROR_NOT_FOUND;
}

static void set_broken(struct gh_audit *audit, enum gh_audit_fault fault, int64_t seq)
{
    gh_log(GH_LOG_ERROR, "audit",
           "row %" PRId64 " of the audit trail is %s: nothing is signed any "
           "more; see `gatehouse audit verify`",
           seq, gh_audit_fault_name(fault));
    gh_metric_add(audit->metrics, GH_METRIC_audit_broken, 1);
    pthread_mutex_lock(&audit->lock);
    audit->state.broken = fault;
    audit->state.broken_seq = seq;
    pthread_mutex_unlock(&audit->lock);
}

static bool is_broken(struct gh_audit *audit)
{
    pthread_mutex_lock(&audit->lock);
    bool broken = audit->state.broken_seq != 0;
    pthread_mutex_unlock(&audit->lock);
    return broken;
}

/* Follows the chain to its end. `*fault` is what was met at the row behind `follow->seq`. */
static enum gh_error_code follow_all(struct gh_audit *audit, struct gh_audit_follow *follow,
                                     enum gh_audit_fault *fault, struct gh_error *error)
{
    struct gh_arena arena;
    struct gh_audit_entry *rows;
    size_t count = 0;
    enum gh_error_code code;
    gh_arena_init(&arena, ARENA_MAX);
    *fault = GH_AUDIT_WHOLE;
    do {
        gh_arena_reset(&arena);
        code = gh_audit_store_pages.rows(audit->store, follow->seq, &arena, &rows, &count, error);
        for (size_t i = 0; code == GH_OK && *fault == GH_AUDIT_WHOLE && i < count; i++)
            *fault = gh_audit_follow_row(follow, &rows[i]);
    } while (code == GH_OK && *fault == GH_AUDIT_WHOLE && count > 0);
    gh_arena_deinit(&arena);
    return code;
}

static enum gh_error_code
sign_and_keep(struct gh_audit *audit, const struct gh_audit_follow *follow, struct gh_error *error)
{
    uint8_t signature[GH_AUDIT_SIGNATURE_BYTES];
    struct gh_audit_checkpoint checkpoint = {.seq = follow->seq,
                                             .at_ms = audit->utc_ms(),
                                             .hash = follow->hash,
                                             .root = gh_merkle_root(&follow->tree),
                                             .frontier = gh_merkle_frontier(&follow->tree),
                                             .key_id = gh_slice_text(audit->key_id)};
    enum gh_error_code code =
        audit->signer.sign(audit->signer.context, &checkpoint, signature, error);
    checkpoint.signature = gh_slice(signature, sizeof signature);
    if (code == GH_OK && !gh_audit_checkpoint_signed(&checkpoint, audit->key))
        code = gh_error_set(error, GH_ERROR_KEYS, "the signature is not by the key that was named");
    if (code == GH_OK)
        code = gh_store_audit_checkpoint_put(audit->store, &checkpoint, error);
    if (code != GH_OK)
        return code;
    gh_metric_add(audit->metrics, GH_METRIC_audit_checkpoints_total, 1);
    pthread_mutex_lock(&audit->lock);
    audit->state.signed_seq = checkpoint.seq;
    audit->state.signed_at_ms = checkpoint.at_ms;
    pthread_mutex_unlock(&audit->lock);
    return GH_OK;
}

/* `signing` is held. */
static enum gh_error_code make_checkpoint(struct gh_audit *audit, struct gh_error *error)
{
    struct gh_audit_follow follow = audit->follow;
    enum gh_audit_fault fault;
    if (is_broken(audit))
        return gh_error_set(error, GH_ERROR_PRECONDITION,
                            "the audit trail does not hold; see `gatehouse audit verify`");
    enum gh_error_code code = follow_all(audit, &follow, &fault, error);
    if (code == GH_OK && fault != GH_AUDIT_WHOLE) {
        set_broken(audit, fault, follow.seq + 1);
        return gh_error_set(error, GH_ERROR_PRECONDITION, "row %" PRId64 " is %s", follow.seq + 1,
                            gh_audit_fault_name(fault));
    }
    if (code == GH_OK && follow.seq > audit->follow.seq)
        code = sign_and_keep(audit, &follow, error);
    if (code != GH_OK)
        return code;
    audit->follow = follow;
    audit->waiting_since_ns = 0;
    return GH_OK;
}

enum gh_error_code gh_audit_checkpoint(struct gh_audit *audit, struct gh_error *error)
{
    pthread_mutex_lock(&audit->signing);
    enum gh_error_code code = make_checkpoint(audit, error);
    if (code == GH_OK)
        audit_export(audit);
    pthread_mutex_unlock(&audit->signing);
    return code;
}

/* --- cutting --- */

enum gh_error_code gh_audit_cut(struct gh_audit *audit, int64_t seq,
                                const struct gh_audit_note *who, int64_t *cut,
                                struct gh_error *error)
{
    struct gh_audit_checkpoint at;
    struct gh_audit_note note = *who;
    struct gh_arena arena;
    char object[GH_AUDIT_CUT_OBJECT_MAX];
    *cut = 0;
    gh_arena_init(&arena, ARENA_MAX);
    pthread_mutex_lock(&audit->signing);
    enum gh_error_code code = gh_store_audit_checkpoint_at(audit->store, seq, &arena, &at, error);
    if (code == GH_OK) {
        note.at_ms = audit->utc_ms();
        note.action = GH_SLICE(GH_AUDIT_CUT_ACTION);
        note.object = gh_slice_text(gh_audit_cut_object(at.seq, object));
        note.result = GH_AUDIT_DONE;
        code = gh_store_audit_cut(audit->store, at.seq, &note, error);
    }
    if (code == GH_OK)
        *cut = at.seq;
    pthread_mutex_unlock(&audit->signing);
    gh_arena_deinit(&arena);
    return code == GH_ERROR_NOT_FOUND ? GH_OK : code;
}

/* The last row that is older than the days that are kept; 0: none. */
static int64_t too_old(struct gh_audit *audit, struct gh_arena *arena)
{
    struct gh_audit_entry *entry;
    struct gh_error error;
    size_t count;
    const struct gh_audit_filter filter = {
        .to_ms = audit->utc_ms() - (int64_t)audit->keep_days * DAY_MS, .result = -1, .limit = 1};
    return gh_store_audit_list(audit->store, &filter, arena, &entry, &count, &error) == GH_OK &&
                   count == 1
               ? entry->row.seq
               : 0;
}

static void cut_old(struct gh_audit *audit)
{
    static const struct gh_audit_note who = {.method = GH_SLICE_INIT("system"),
                                             .face = GH_SLICE_INIT("server")};
    struct gh_error error = {0};
    struct gh_arena arena;
    int64_t first, last, cut = 0, seq;
    gh_arena_init(&arena, ARENA_MAX);
    seq = too_old(audit, &arena);
    if (seq > 0 && gh_store_audit_ends(audit->store, &first, &last, &error) == GH_OK &&
        seq >= first) {
        if (gh_audit_cut(audit, seq, &who, &cut, &error) != GH_OK)
            gh_log(GH_LOG_WARN, "audit", "old rows were not removed: %s", error.text);
        else if (cut > 0)
            gh_log(GH_LOG_INFO, "audit", "the rows up to %" PRId64 " were removed", cut);
    }
    gh_arena_deinit(&arena);
}

/* --- the thread --- */

/* Whether rows wait for a checkpoint for long enough, or are enough. */
static bool checkpoint_is_due(struct gh_audit *audit)
{
    int64_t first, last, now_ns = gh_time_monotonic_ns();
    struct gh_error error;
    if (is_broken(audit) || gh_store_audit_ends(audit->store, &first, &last, &error) != GH_OK ||
        last <= audit->follow.seq)
        return false;
    if (audit->waiting_since_ns == 0)
        audit->waiting_since_ns = now_ns;
    return last - audit->follow.seq >= audit->rows_of_checkpoint ||
           now_ns - audit->waiting_since_ns >= audit->seconds_of_checkpoint * GH_SECOND_NS;
}

/* True when it is to end. */
static bool wait_a_little(struct gh_audit *audit)
{
    int64_t at_ns = gh_time_monotonic_ns() + LOOK_MS * GH_MS_NS;
    struct timespec at = {.tv_sec = at_ns / GH_SECOND_NS, .tv_nsec = at_ns % GH_SECOND_NS};
    pthread_mutex_lock(&audit->lock);
    if (!audit->stopping)
        pthread_cond_timedwait(&audit->wake, &audit->lock, &at);
    bool stopping = audit->stopping;
    pthread_mutex_unlock(&audit->lock);
    return stopping;
}

void *audit_signing_run(void *context)
{
    struct gh_audit *audit = context;
    struct gh_error error = {0};
    int64_t cut_ns = 0;
    bool stopping, failing = false;
    prctl(PR_SET_NAME, "audit");
    do {
        stopping = wait_a_little(audit);
        pthread_mutex_lock(&audit->signing);
        bool due = checkpoint_is_due(audit) || (stopping && !is_broken(audit));
        bool failed = due && make_checkpoint(audit, &error) != GH_OK;
        audit_export(audit);
        pthread_mutex_unlock(&audit->signing);
        if (failed && !failing)
            gh_log(GH_LOG_WARN, "audit", "a checkpoint was not made: %s", error.text);
        failing = due ? failed : failing;
        if (audit->keep_days > 0 && !stopping && gh_time_monotonic_ns() >= cut_ns) {
            cut_ns = gh_time_monotonic_ns() + CUT_EVERY_S * GH_SECOND_NS;
            cut_old(audit);
        }
    } while (!stopping);
    return NULL;
}
