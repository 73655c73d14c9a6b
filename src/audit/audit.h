/* The operators' audit trail: who did what, to what, from where, and what became of it; one row for
 * each deed, refused ones too, in a chain of hashes that cannot be bent without being seen. Not the
 * trail of what happened to devices (observe/trail.h). docs/operate/audit.md is for operators,
 * docs/decisions/0012-audit-encoding.md has the bytes.
 *
 * A deed is told in one of three ways. RIDE: its row is part of the first transaction in which the
 * deed changes the database, so that neither stands without the other and both cost one commit; a
 * deed that changes nothing there has its row written, durably, before it is answered. One that
 * failed after it had changed something leaves a second row that says so. AHEAD: the row is durable
 * before the deed begins, with the result "begun": for effects that are not in the database.
 *
 * LAST: nothing rides, the row is written before the answer; for deeds whose caller becomes known
 * on the way, such as signing in.
 *
 * A trail that cannot be written refuses every deed with AUDIT (503), and takes them again by
 * itself once it can. Devices do not notice: nothing that they do goes through here.
 *
 * A thread of its own makes checkpoints, signed by a key that this process does not hold, and
 * brings them out of the house: to a file that is only appended to, to syslog, to a web hook. It
 * follows the chain as it goes: rows that do not fit are never signed. Threads: any, but no loop
 * (deeds wait for the disk). */
#ifndef GH_AUDIT_AUDIT_H
#define GH_AUDIT_AUDIT_H

#include "audit/verify.h"
#include "base/metric.h"

struct gh_audit;

enum {
    GH_AUDIT_SIGNATURE_BYTES = 64,
    GH_AUDIT_ROWS_OF_CHECKPOINT = 1000,
    GH_AUDIT_SECONDS_OF_CHECKPOINT = 60,
    /* Rows of deeds that nobody known has asked for and that were not done, in a minute; what is
     * over is counted, and a row tells how many (action "audit.overflow"): a stranger must not be
     * able to fill the disk. */
    GH_AUDIT_STRANGERS_PER_MINUTE = 600,
};

/* Signs what gh_audit_checkpoint_message says of the checkpoint. */
struct gh_audit_signer {
    void *context;
    enum gh_error_code (*sign)(void *context, const struct gh_audit_checkpoint *checkpoint,
                               uint8_t out[GH_AUDIT_SIGNATURE_BYTES], struct gh_error *error);
};

struct gh_audit_options {
    struct gh_store *store;
    struct gh_audit_signer signer;
    struct gh_slice public_key_pem; /* of the signer */
    struct gh_slice detail_key;     /* of the HMAC over what was sent; empty: no such field */
    const char *folder;             /* for checkpoints.jsonl and key.pem; NULL: no file */
    const char *webhook;            /* https://…; NULL or empty: none */
    const char *webhook_ca;         /* its trust anchors, PEM; NULL or empty: the system's */
    bool syslog;
    int rows_of_checkpoint, seconds_of_checkpoint; /* 0: as above */
    int keep_days;                                 /* 0: for ever */
    struct gh_metrics *metrics;                    /* may be NULL */
    int64_t (*utc_ms)(void);
};

/* The store and the metrics outlive it; texts are copied. NULL with `error` on failure. */
GH_MUST_USE struct gh_audit *gh_audit_open(const struct gh_audit_options *options,
                                           struct gh_error *error);
/* Makes a last checkpoint. NULL is fine. */
void gh_audit_close(struct gh_audit *audit);

/* --- deeds --- */

enum gh_audit_mode { GH_AUDIT_RIDE, GH_AUDIT_AHEAD, GH_AUDIT_LAST };

struct gh_audit_deed {
    struct gh_audit *audit; /* NULL: nothing is written, for tests of single rooms */
    struct gh_audit_note note;
    uint8_t detail[GH_AUDIT_DETAIL_BYTES];
    bool riding, written; /* the row waits for a write; it is there */
    bool paused;          /* it will wait again */
    bool ended;
};

/* `note` is borrowed until the end, but for its time, result and code; `sent` is what the caller
 * sent, of which only a keyed digest is kept. */
void gh_audit_deed_init(struct gh_audit_deed *deed, struct gh_audit *audit,
                        const struct gh_audit_note *note, struct gh_slice sent);
/* Before the deed, on the thread that does it. AUDIT when the trail cannot be written: then nothing
 * may be done. Not for refused callers: their deed only ends. One that began as LAST may go on as
 * RIDE once its caller is known. */
GH_MUST_USE enum gh_error_code gh_audit_begin(struct gh_audit_deed *deed, enum gh_audit_mode mode,
                                              struct gh_error *error);
/* A deed that goes on on another thread: pause on this one, resume on that. In between nothing
 * rides.
 */
void gh_audit_pause(struct gh_audit_deed *deed);
void gh_audit_resume(struct gh_audit_deed *deed);
/* After it, and before it is answered, on the same thread: `code` is what became of it. Returns
 * `code`, or AUDIT (with `error`) when it could not be told. Called again it does nothing. */
GH_MUST_USE enum gh_error_code gh_audit_end(struct gh_audit_deed *deed, enum gh_error_code code,
                                            struct gh_error *error);
/* The row was written by whoever did the deed (gh_audit_cut): nothing is added. */
void gh_audit_told(struct gh_audit_deed *deed);
/* A row of the server's own: "system" did `action` to `object`. A failure is a line of the log. */
void gh_audit_tell(struct gh_audit *audit, const char *action, const char *object);

/* --- reading --- */

struct gh_audit_state {
    bool writable;      /* the last attempt went well */
    int64_t signed_seq; /* of the newest checkpoint; 0: none yet */
    int64_t signed_at_ms;
    int64_t exported_seq; /* of the newest in the file */
    int64_t broken_seq;   /* the row at which signing stopped, 0: none */
    enum gh_audit_fault broken;
};
void gh_audit_state(struct gh_audit *audit, struct gh_audit_state *out);
/* The key that signs, as PEM and as it verifies; borrowed. */
struct gh_slice gh_audit_key_pem(const struct gh_audit *audit);
const struct gh_key *gh_audit_key(const struct gh_audit *audit);

/* Makes a checkpoint of what there is now. */
GH_MUST_USE enum gh_error_code gh_audit_checkpoint(struct gh_audit *audit, struct gh_error *error);
/* Removes the rows up to the newest checkpoint at or before the row `seq`; that one is in `*cut`, 0
 * when there is none. Leaves a row of its own. */
GH_MUST_USE enum gh_error_code gh_audit_cut(struct gh_audit *audit, int64_t seq,
                                            const struct gh_audit_note *who, int64_t *cut,
                                            struct gh_error *error);

/* A proof that the row `seq` belongs to the newest checkpoint: PRECONDITION when that one does not
 * cover it yet, NOT_FOUND when the row is not there. `checkpoint` and `entry` live in the arena. */
struct gh_audit_proof {
    struct gh_audit_entry entry;
    struct gh_audit_checkpoint checkpoint;
    struct gh_merkle_path path;
};
GH_MUST_USE enum gh_error_code gh_audit_prove(struct gh_store *store, int64_t seq,
                                              struct gh_arena *arena, struct gh_audit_proof *out,
                                              struct gh_error *error);
json_t *gh_audit_proof_to_json(const struct gh_audit_proof *proof);
/* Reads a proof and holds it against the key: GH_OK when the row is what was signed, PRECONDITION
 * when it is not, INVALID for what is no proof. */
GH_MUST_USE enum gh_error_code gh_audit_proof_check(const json_t *proof, const struct gh_key *key,
                                                    struct gh_arena *arena,
                                                    struct gh_audit_entry *out,
                                                    struct gh_error *error);
#endif
