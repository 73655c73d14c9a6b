/* What the files of the audit room share. */
#ifndef GH_AUDIT_AUDIT_INTERNAL_H
#define GH_AUDIT_AUDIT_INTERNAL_H

#include "audit/audit.h"
#include "base/secret.h"
#include <limits.h>
#include <pthread.h>

/* Where checkpoints leave the house. */
enum audit_way { AUDIT_WAY_FILE, AUDIT_WAY_SYSLOG, AUDIT_WAY_HOOK, AUDIT_WAYS };

struct gh_audit {
    struct gh_store *store;
    struct gh_audit_signer signer;
    struct gh_metrics *metrics;
    int64_t (*utc_ms)(void);
    struct gh_secret *detail_key; /* NULL: none */
    struct gh_buffer key_pem;
    struct gh_key *key;
    char key_id[GH_SHA256_HEX_MAX];
    char folder[PATH_MAX], webhook[1024], webhook_ca[PATH_MAX];
    bool syslog;
    int rows_of_checkpoint, seconds_of_checkpoint, keep_days;

    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;
    bool stopping, writable;
    struct gh_audit_state state;
    int64_t minute, strangers, uncounted; /* rows of strangers in this minute; those left out */

    pthread_mutex_t signing; /* one checkpoint at a time; guards what follows */
    struct gh_audit_follow follow;
    int64_t
        waiting_since_ns; /* when rows without a checkpoint were first seen; 0: there are none */
    int64_t sent_seq[AUDIT_WAYS]; /* the newest checkpoint that each has */
};

/* Whether deeds may be done; tries again when the last attempt failed. */
GH_MUST_USE bool audit_writable(struct gh_audit *audit, struct gh_error *error);
/* One row, at once; AUDIT when it could not be written, which is remembered. */
GH_MUST_USE enum gh_error_code audit_write(struct gh_audit *audit, const struct gh_audit_note *note,
                                           struct gh_error *error);

/* --- export.c: checkpoints out of the house; with `signing` held. A failure is a line of the log
 * and tried again. */
/* The newest checkpoint in the file, from its last line; writes key.pem. */
GH_MUST_USE bool audit_export_open(struct gh_audit *audit, struct gh_error *error);
void audit_export(struct gh_audit *audit);

/* --- signing.c: the thread */
GH_MUST_USE bool audit_signing_open(struct gh_audit *audit, struct gh_error *error);
void *audit_signing_run(void *audit);
#endif
