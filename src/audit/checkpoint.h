/* Checkpoints of the audit trail in words that others can check: what is signed, and the line of
 * JSON in which they leave the house. What is signed is text, so that any tool can repeat it:
 *
 *     gatehouse audit checkpoint 1\n
 *     SEQ\n AT_MS\n HASH (hex)\n ROOT (hex)\n
 *
 * signed with ES256, r||s. No I/O. Memory: what is read lives in the caller's arena. Threads: any.
 */
#ifndef GH_AUDIT_CHECKPOINT_H
#define GH_AUDIT_CHECKPOINT_H

#include "crypto/key.h"
#include "store/audit.h"
#include "wire/json.h"

enum { GH_AUDIT_MESSAGE_MAX = 256, GH_AUDIT_LINE_MAX = 1024 };

/* Appends what is signed. */
void gh_audit_checkpoint_message(const struct gh_audit_checkpoint *checkpoint,
                                 struct gh_buffer *out);
GH_MUST_USE bool gh_audit_checkpoint_signed(const struct gh_audit_checkpoint *checkpoint,
                                            const struct gh_key *key);

/* A new reference; the frontier, which only the database needs, is in it when `whole`. */
json_t *gh_audit_checkpoint_to_json(const struct gh_audit_checkpoint *checkpoint, bool whole);
/* INVALID for what is no checkpoint. */
GH_MUST_USE enum gh_error_code gh_audit_checkpoint_from_json(const json_t *value,
                                                             struct gh_arena *arena,
                                                             struct gh_audit_checkpoint *out,
                                                             struct gh_error *error);
/* A file of such lines, as it was exported: all of them, by rising numbers. A last line that was
 * not written to its end is left out. */
GH_MUST_USE enum gh_error_code gh_audit_checkpoint_lines(struct gh_slice text,
                                                         struct gh_arena *arena,
                                                         struct gh_audit_checkpoint **out,
                                                         size_t *count, struct gh_error *error);

/* A row, with its hash and the names of its persons: the spelling of the API and of exports. All
 * fields of the canonical form are in it, so that a reader can take the hashes again. */
json_t *gh_audit_entry_to_json(const struct gh_audit_entry *entry);
GH_MUST_USE enum gh_error_code gh_audit_entry_from_json(const json_t *value, struct gh_arena *arena,
                                                        struct gh_audit_entry *out,
                                                        struct gh_error *error);

/* Hex of any bytes; a new reference. */
json_t *gh_audit_hex(struct gh_slice bytes);
/* The bytes of a member that is hex; empty when it is not there. False when it is no hex, or not
 * `size` bytes (0: any). */
GH_MUST_USE bool gh_audit_unhex(const json_t *object, const char *name, size_t size,
                                struct gh_arena *arena, struct gh_slice *out);
#endif
