/* Deeds: how their rows are written, and what happens when they cannot be. */
#include "audit/audit_internal.h"
#include "base/log.h"
#include "base/time.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MINUTE_MS = 60 * 1000 };

static bool copy_options(struct gh_audit *audit, const struct gh_audit_options *options,
                         struct gh_error *error)
{
    audit->store = options->store;
    audit->signer = options->signer;
    audit->metrics = options->metrics;
    audit->utc_ms = options->utc_ms;
    audit->syslog = options->syslog;
    audit->keep_days = options->keep_days;
    audit->rows_of_checkpoint =
        options->rows_of_checkpoint > 0 ? options->rows_of_checkpoint : GH_AUDIT_ROWS_OF_CHECKPOINT;
    audit->seconds_of_checkpoint = options->seconds_of_checkpoint > 0
                                       ? options->seconds_of_checkpoint
                                       : GH_AUDIT_SECONDS_OF_CHECKPOINT;
    snprintf(audit->folder, sizeof audit->folder, "%s",
             options->folder == NULL ? "" : options->folder);
    snprintf(audit->webhook, sizeof audit->webhook, "%s",
             options->webhook == NULL ? "" : options->webhook);
    snprintf(audit->webhook_ca, sizeof audit->webhook_ca, "%s",
             options->webhook_ca == NULL ? "" : options->webhook_ca);
    gh_buffer_init(&audit->key_pem, GH_KEY_PEM_MAX);
    gh_buffer_put(&audit->key_pem, options->public_key_pem);
    audit->key = gh_key_open(options->public_key_pem, error);
    if (audit->key == NULL)
        return false;
    if (options->detail_key.size > 0)
        audit->detail_key = gh_secret_open(options->detail_key);
    if (!gh_key_fingerprint(audit->key, audit->key_id) ||
        (options->detail_key.size > 0 && audit->detail_key == NULL)) {
        gh_error_set(error, GH_ERROR_MEMORY, "the keys of the audit trail");
        return false;
    }
    return true;
}

struct gh_audit *gh_audit_open(const struct gh_audit_options *options, struct gh_error *error)
{
    struct gh_audit *audit = calloc(1, sizeof *audit);
    if (audit == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "the audit trail");
        return NULL;
    }
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&audit->lock, NULL);
    pthread_mutex_init(&audit->signing, NULL);
    pthread_cond_init(&audit->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    audit->writable = true;
    bool good = copy_options(audit, options, error) && audit_signing_open(audit, error) &&
                audit_export_open(audit, error);
    if (good) {
        audit->started = pthread_create(&audit->thread, NULL, audit_signing_run, audit) == 0;
        if (!audit->started)
            gh_error_set(error, GH_ERROR_MEMORY, "cannot start a thread");
    }
    if (!audit->started) {
        gh_audit_close(audit);
        return NULL;
    }
    return audit;
}

void gh_audit_close(struct gh_audit *audit)
{
    if (audit == NULL)
        return;
    pthread_mutex_lock(&audit->lock);
    audit->stopping = true;
    pthread_cond_signal(&audit->wake);
    pthread_mutex_unlock(&audit->lock);
    if (audit->started)
        pthread_join(audit->thread, NULL);
    gh_key_close(audit->key);
    gh_secret_close(audit->detail_key);
    gh_buffer_deinit(&audit->key_pem);
    pthread_cond_destroy(&audit->wake);
    pthread_mutex_destroy(&audit->signing);
    pthread_mutex_destroy(&audit->lock);
    free(audit);
}

struct gh_slice gh_audit_key_pem(const struct gh_audit *audit)
{
    return gh_buffer_slice(&audit->key_pem);
}

const struct gh_key *gh_audit_key(const struct gh_audit *audit)
{
    return audit->key;
}

void gh_audit_state(struct gh_audit *audit, struct gh_audit_state *out)
{
    pthread_mutex_lock(&audit->lock);
    *out = audit->state;
    out->writable = audit->writable;
    pthread_mutex_unlock(&audit->lock);
}

/* --- whether the trail can be written --- */

static void set_writable(struct gh_audit *audit, bool writable, const struct gh_error *why)
{
    pthread_mutex_lock(&audit->lock);
    bool was = audit->writable;
    audit->writable = writable;
    pthread_mutex_unlock(&audit->lock);
    if (was && !writable)
        gh_log(GH_LOG_ERROR, "audit", "changes are refused, the audit trail cannot be written: %s",
               why->text);
    if (!was && writable)
        gh_log(GH_LOG_INFO, "audit", "the audit trail can be written again");
}

static enum gh_error_code unwritable(struct gh_error *error, const struct gh_error *why)
{
    return gh_error_set(error, GH_ERROR_AUDIT, "the audit trail cannot be written: %.400s",
                        why->text);
}

enum gh_error_code audit_write(struct gh_audit *audit, const struct gh_audit_note *note,
                               struct gh_error *error)
{
    struct gh_error why = {0};
    enum gh_error_code code = gh_store_audit_append(audit->store, note, NULL, &why);
    gh_metric_add(audit->metrics,
                  code == GH_OK ? GH_METRIC_audit_rows_total : GH_METRIC_audit_failures_total, 1);
    set_writable(audit, code == GH_OK, &why);
    return code == GH_OK ? GH_OK : unwritable(error, &why);
}

bool audit_writable(struct gh_audit *audit, struct gh_error *error)
{
    struct gh_error why = {0};
    pthread_mutex_lock(&audit->lock);
    bool writable = audit->writable;
    pthread_mutex_unlock(&audit->lock);
    if (writable)
        return true;
    /* A small write at the same place; the row itself may not be written yet. */
    writable =
        gh_store_meta_put(audit->store, GH_SLICE("audit.probe"), GH_SLICE("1"), &why) == GH_OK;
    set_writable(audit, writable, &why);
    if (!writable)
        (void)unwritable(error, &why);
    return writable;
}

/* --- deeds --- */

void gh_audit_deed_init(struct gh_audit_deed *deed, struct gh_audit *audit,
                        const struct gh_audit_note *note, struct gh_slice sent)
{
    *deed = (struct gh_audit_deed){.audit = audit, .note = *note};
    if (audit == NULL)
        return;
    deed->note.at_ms = audit->utc_ms();
    deed->note.detail = (struct gh_slice){0};
    if (audit->detail_key != NULL && sent.size > 0) {
        gh_hmac_sha256(gh_secret_bytes(audit->detail_key), sent, deed->detail);
        deed->note.detail = gh_slice(deed->detail, sizeof deed->detail);
    }
}

enum gh_error_code gh_audit_begin(struct gh_audit_deed *deed, enum gh_audit_mode mode,
                                  struct gh_error *error)
{
    if (deed->audit == NULL)
        return GH_OK;
    if (!audit_writable(deed->audit, error)) {
        deed->ended = true; /* it is not done, and cannot be told */
        return GH_ERROR_AUDIT;
    }
    if (mode == GH_AUDIT_AHEAD) {
        deed->note.result = GH_AUDIT_BEGUN;
        enum gh_error_code code = audit_write(deed->audit, &deed->note, error);
        deed->written = code == GH_OK;
        deed->ended = true; /* the row says all that there will be said */
        return code;
    }
    deed->note.result = GH_AUDIT_DONE;
    deed->riding = mode == GH_AUDIT_RIDE;
    if (deed->riding)
        gh_store_audit_ride(deed->audit->store, &deed->note);
    return GH_OK;
}

/* Whether a write took the row along; it waits no more. */
static void alight(struct gh_audit_deed *deed)
{
    if (deed->riding)
        deed->written = gh_store_audit_alight(deed->audit->store) != 0;
    deed->riding = false;
}

void gh_audit_pause(struct gh_audit_deed *deed)
{
    deed->paused = deed->riding;
    alight(deed);
}

void gh_audit_resume(struct gh_audit_deed *deed)
{
    deed->riding = deed->paused && !deed->written;
    deed->paused = false;
    if (deed->riding)
        gh_store_audit_ride(deed->audit->store, &deed->note);
}

void gh_audit_told(struct gh_audit_deed *deed)
{
    assert(!deed->riding);
    deed->ended = true;
}

static enum gh_audit_result result_of(enum gh_error_code code)
{
    return code == GH_OK ? GH_AUDIT_DONE
           : code == GH_ERROR_UNAUTHENTICATED || code == GH_ERROR_DENIED ||
                   code == GH_ERROR_PROOF_NEEDED
               ? GH_AUDIT_REFUSED
               : GH_AUDIT_FAILED;
}

/* Tells how many were left out in the minute that is over. */
static void tell_uncounted(struct gh_audit *audit, int64_t uncounted)
{
    char object[64];
    snprintf(object, sizeof object, "audit/refusals/%" PRId64, uncounted);
    gh_audit_tell(audit, "audit.overflow", object);
}

/* Whether a refused stranger still gets a row of his own. */
static bool take_stranger(struct gh_audit *audit, int64_t now_ms)
{
    int64_t left_out = 0;
    pthread_mutex_lock(&audit->lock);
    if (audit->minute != now_ms / MINUTE_MS) {
        left_out = audit->uncounted;
        audit->minute = now_ms / MINUTE_MS;
        audit->strangers = audit->uncounted = 0;
    }
    bool taken = audit->strangers < GH_AUDIT_STRANGERS_PER_MINUTE;
    audit->strangers += taken;
    audit->uncounted += !taken;
    pthread_mutex_unlock(&audit->lock);
    if (left_out > 0)
        tell_uncounted(audit, left_out);
    return taken;
}

enum gh_error_code gh_audit_end(struct gh_audit_deed *deed, enum gh_error_code code,
                                struct gh_error *error)
{
    struct gh_audit *audit = deed->audit;
    if (audit == NULL || deed->ended)
        return code;
    deed->ended = true;
    alight(deed);
    if (deed->written) {
        gh_metric_add(audit->metrics, GH_METRIC_audit_rows_total, 1);
        set_writable(audit, true, NULL);
        if (code == GH_OK)
            return GH_OK;
    }
    deed->note.result = result_of(code);
    deed->note.code = (int)code;
    if (deed->note.result != GH_AUDIT_DONE && deed->note.actor.size == 0 &&
        !take_stranger(audit, deed->note.at_ms))
        return code;
    struct gh_error why = {0};
    enum gh_error_code written = audit_write(audit, &deed->note, &why);
    if (written == GH_OK)
        return code;
    *error = why;
    return written;
}

void gh_audit_tell(struct gh_audit *audit, const char *action, const char *object)
{
    struct gh_error error = {0};
    if (audit == NULL)
        return;
    const struct gh_audit_note note = {.at_ms = audit->utc_ms(),
                                       .method = GH_SLICE("system"),
                                       .face = GH_SLICE("server"),
                                       .action = gh_slice_text(action),
                                       .object = gh_slice_text(object),
                                       .result = GH_AUDIT_DONE};
    if (audit_write(audit, &note, &error) != GH_OK)
        gh_log(GH_LOG_ERROR, "audit", "%s %s has no row: %s", action, object, error.text);
}
