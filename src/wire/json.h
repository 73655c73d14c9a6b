/* JSON: strict reading and compact writing over jansson (RFC 8259), the house's JSON. A text is
 * refused when it is too large, nested deeper than GH_JSON_DEPTH_MAX (checked before jansson
 * recurses), is not UTF-8, names a member twice, holds \u0000, a lone surrogate, or an integer
 * beyond 64 bits, or has anything after its value. A scalar is a value too. Rooms use `json_t`
 * directly; the typed getters below save them the same three checks and the same error text. A
 * member that is null counts as absent.
 *
 * Memory: json_t is reference-counted (json_decref); slices out of getters borrow from the value.
 * Threads: any, one at a time for each value. */
#ifndef GH_WIRE_JSON_H
#define GH_WIRE_JSON_H

#include "base/buffer.h"
#include "base/error.h"
#include <jansson.h>

enum {
    GH_JSON_DEPTH_MAX = 32,
    GH_JSON_BYTES_MAX = 8 << 20, /* of gh_json_read */
};

/* Given to the caller; NULL with GH_ERROR_INVALID (what and where: line, column; never the text
 * itself) or GH_ERROR_MEMORY. */
GH_MUST_USE json_t *gh_json_read(struct gh_slice text, struct gh_error *error);
/* The same with a size limit of its own. */
GH_MUST_USE json_t *gh_json_read_limited(struct gh_slice text, size_t bytes_max,
                                         struct gh_error *error);

/* Lookup that forgives: true when `object` is an object whose member `key` has that type; otherwise
 * false, and `*out` is as before, so that it can hold the default. Arrays and objects are borrowed.
 */
bool gh_json_text(const json_t *object, const char *key, struct gh_slice *out);
bool gh_json_u64(const json_t *object, const char *key, uint64_t *out);
bool gh_json_i64(const json_t *object, const char *key, int64_t *out);
bool gh_json_bool(const json_t *object, const char *key, bool *out);
bool gh_json_number(const json_t *object, const char *key, double *out); /* integers too */
bool gh_json_array(const json_t *object, const char *key, json_t **out);
bool gh_json_object(const json_t *object, const char *key, json_t **out);

/* Lookup for requests: false with GH_ERROR_INVALID naming the member when it has another type or,
 * with GH_JSON_REQUIRED, is absent. Absent and optional is true and leaves `*out` as before. */
enum gh_json_rule {
    GH_JSON_OPTIONAL = 0,
    GH_JSON_REQUIRED = 1,
    GH_JSON_OR_TEXT =
        2, /* integers also as decimal text, as protobuf's JSON writes 64-bit numbers */
};
GH_MUST_USE bool gh_json_get_text(const json_t *object, const char *key, unsigned rule,
                                  struct gh_slice *out, struct gh_error *error);
GH_MUST_USE bool gh_json_get_u64(const json_t *object, const char *key, unsigned rule,
                                 uint64_t *out, struct gh_error *error);
GH_MUST_USE bool gh_json_get_i64(const json_t *object, const char *key, unsigned rule, int64_t *out,
                                 struct gh_error *error);
GH_MUST_USE bool gh_json_get_bool(const json_t *object, const char *key, unsigned rule, bool *out,
                                  struct gh_error *error);
GH_MUST_USE bool gh_json_get_number(const json_t *object, const char *key, unsigned rule,
                                    double *out, struct gh_error *error);
GH_MUST_USE bool gh_json_get_array(const json_t *object, const char *key, unsigned rule,
                                   json_t **out, struct gh_error *error);
GH_MUST_USE bool gh_json_get_object(const json_t *object, const char *key, unsigned rule,
                                    json_t **out, struct gh_error *error);

/* Whether `value` is an object whose members are all among `keys`; otherwise GH_ERROR_INVALID
 * naming one. */
GH_MUST_USE bool gh_json_only(const json_t *value, const char *const keys[], size_t count,
                              struct gh_error *error);

/* A new string, given to the caller; NULL when it is not UTF-8 or there is no memory. */
json_t *gh_json_new_text(struct gh_slice text);
/* The text of a string value; empty for any other. Borrowed. */
struct gh_slice gh_json_slice(const json_t *value);

/* Appends `value` without white space, members in their order, real numbers in the shortest form
 * that reads back as the same number. False, and `out` is marked overflown, when it does not fit,
 * is nested deeper than 2 * GH_JSON_DEPTH_MAX, or is NULL (json_pack without memory). */
bool gh_json_write(const json_t *value, struct gh_buffer *out);
#endif
