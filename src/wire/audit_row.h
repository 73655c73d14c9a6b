/* The canonical form of a row of the audit trail: the bytes that its hashes are taken over
 * (docs/decisions/0012-audit-encoding.md). Every row has exactly one form, whatever database it
 * rests in: a fixed order of fields, each with its length, numbers big-endian:
 *
 *     u8 version 1, u64 seq, u64 at_ms, u8 result, u16 code,
 *     text16 tenant, method, face, action, object, actor, source, subject, detail
 *
 * No I/O and no hashing (crypto/merkle.h does that). Memory: slices are borrowed. Threads: any. */
#ifndef GH_WIRE_AUDIT_ROW_H
#define GH_WIRE_AUDIT_ROW_H

#include "base/buffer.h"

enum {
    GH_AUDIT_PSEUDONYM_BYTES = 32, /* SHA-256 of a salt and the text */
    GH_AUDIT_DETAIL_BYTES = 32,    /* HMAC-SHA-256 of what was sent */
    GH_AUDIT_NAME_MAX = 255,       /* tenant */
    GH_AUDIT_WORD_MAX = 32,        /* method, face */
    GH_AUDIT_ACTION_MAX = 128,
    GH_AUDIT_OBJECT_MAX = 1024,
    GH_AUDIT_ROW_BYTES_MAX = 2048, /* more than all of them together */
};

/* What became of it. The numbers are part of the canonical form. */
enum gh_audit_result {
    GH_AUDIT_DONE = 0,
    GH_AUDIT_REFUSED = 1, /* the caller is not known, or may not */
    GH_AUDIT_FAILED = 2,  /* allowed, and not done: `code` says why */
    GH_AUDIT_BEGUN = 3,   /* allowed and set going; the row was durable before the effect */
    GH_AUDIT_RESULTS
};

struct gh_audit_row {
    int64_t seq;            /* from 1, without gaps */
    int64_t at_ms;          /* UTC */
    struct gh_slice tenant; /* its name; empty: the house */
    struct gh_slice method; /* how the actor proved itself: "session", "token", "socket" … */
    struct gh_slice face;   /* where it was asked: "api", "google", "grpc", "est", "oauth" … */
    struct gh_slice action; /* "devices.create" */
    struct gh_slice object; /* the path of what it was done to */
    /* Persons, as pseudonyms of GH_AUDIT_PSEUDONYM_BYTES, or empty: who did it, from which
     * address, and to whom. */
    struct gh_slice actor, source, subject;
    struct gh_slice detail; /* GH_AUDIT_DETAIL_BYTES over what was sent, or empty */
    enum gh_audit_result result;
    int code; /* enum gh_error_code; 0 when it was done */
};

/* "done", "refused": the spelling of the API; "unknown" for none. */
const char *gh_audit_result_name(enum gh_audit_result result);
GH_MUST_USE bool gh_audit_result_parse(struct gh_slice name, enum gh_audit_result *out);

/* Whether every field is within its bound: what the store takes, and what a verifier accepts. */
GH_MUST_USE bool gh_audit_row_valid(const struct gh_audit_row *row);
/* Appends the canonical form of a valid row; GH_AUDIT_ROW_BYTES_MAX always suffice. */
void gh_audit_row_encode(const struct gh_audit_row *row, struct gh_buffer *out);

/* The name of an action from how it is asked for: the pattern of a path
 * ("/api/v1/tenants/{t}/limits") and the method of HTTP. The collection and the verb:
 * "devices.create", "devices.ban", "limits.put", "devices.modifyCloudToDeviceConfig". Returns
 * `out`. */
char *gh_audit_action(struct gh_slice http_method, struct gh_slice pattern,
                      char out[GH_AUDIT_ACTION_MAX]);
#endif
