/* Protobuf's JSON mapping (the "JSON format" page of proto3) as Google's clients speak it, driven
 * by tables: a `google_message` lists the fields of a request, and reading makes a plain value of
 * it in which every later reader finds one form only: names in lowerCamelCase (both spellings are
 * taken), null and output-only fields gone, unknown fields refused; 64-bit numbers, enums and
 * durations (in milliseconds) as integers; times as milliseconds since 1970; bytes decoded, in a
 * string value that need not be UTF-8. Writing leaves out what has its default value. Memory:
 * values are the caller's. Threads: any. */
#ifndef GH_DIALECT_GOOGLE_MESSAGE_INTERNAL_H
#define GH_DIALECT_GOOGLE_MESSAGE_INTERNAL_H

#include "base/error.h"
#include "wire/json.h"

enum google_type {
    GOOGLE_STRING,
    GOOGLE_BYTES,
    GOOGLE_BOOL,
    GOOGLE_NUMBER, /* int32, int64, uint64 below 2^63 */
    GOOGLE_ENUM,
    GOOGLE_TIME,
    GOOGLE_DURATION,
    GOOGLE_MESSAGE,
    GOOGLE_TEXT_MAP, /* map<string, string> */
    GOOGLE_REFUSED,  /* known but not served: refused unless empty */
};

struct google_enum_value {
    const char *name;
    int number;
};
struct google_enum {
    const struct google_enum_value *values;
    size_t count;
};

struct google_message;
struct google_field {
    const char *name; /* lowerCamelCase */
    enum google_type type;
    bool repeated;
    bool output;                          /* the server's to fill: taken and dropped */
    const struct google_enum *values;     /* of ENUM */
    const struct google_message *message; /* of MESSAGE */
};
struct google_message {
    const struct google_field *fields;
    size_t count;
};
#define GOOGLE_FIELDS(table)                                                                       \
    {                                                                                              \
        .fields = (table), .count = GH_COUNT(table)                                                \
    }
#define GOOGLE_VALUES(table)                                                                       \
    {                                                                                              \
        .values = (table), .count = GH_COUNT(table)                                                \
    }

/* True when `given` is `camel`, or its snake_case spelling. */
bool google_name_equal(struct gh_slice given, const char *camel);

/* The field of that name, in either spelling; NULL when there is none. */
const struct google_field *google_field_find(const struct google_message *message,
                                             struct gh_slice name);

/* A new value; NULL with GH_ERROR_INVALID naming the field, UNSUPPORTED or MEMORY. */
GH_MUST_USE json_t *google_message_read(const struct google_message *message, json_t *in,
                                        struct gh_error *error);

/* A number or a name of the enum, as text (of a query). */
GH_MUST_USE bool google_enum_read(const struct google_enum *values, struct gh_slice text, int *out);
/* Static; NULL when the enum does not have it. */
const char *google_enum_name(const struct google_enum *values, int number);

/* Writers of one member. What has its default value is left out: an empty text, 0, false, an empty
 * list or object. Each sets `*failed` when there is no memory or a text is not UTF-8, and leaves it
 * otherwise, so that a run of them is checked once. */
void google_put_text(json_t *object, const char *key, struct gh_slice text, bool *failed);
void google_put_bytes(json_t *object, const char *key, struct gh_slice bytes, bool *failed);
void google_put_bool(json_t *object, const char *key, bool value, bool *failed);
void google_put_int64(json_t *object, const char *key, int64_t value, bool *failed); /* as text */
void google_put_int32(json_t *object, const char *key, int value, bool *failed);
void google_put_time(json_t *object, const char *key, int64_t utc_ms, bool *failed); /* 0: never */
void google_put_seconds(json_t *object, const char *key, int64_t seconds,
                        bool *failed); /* a duration */
void google_put_enum(json_t *object, const char *key, const struct google_enum *values, int number,
                     bool *failed);
/* Takes `value`, an object, an array, or NULL for want of memory; empty ones are left out. */
void google_put_value(json_t *object, const char *key, json_t *value, bool *failed);
/* The same for a list. */
void google_append(json_t *list, json_t *value, bool *failed);
#endif
