#include "wire/json.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WRITE_DEPTH_MAX = 2 * GH_JSON_DEPTH_MAX };

/* Why jansson refused. Its own texts quote the input, which may hold a password. */
static const char *const refusals[] = {
    [json_error_unknown] = "is not JSON",
    [json_error_out_of_memory] = "no memory",
    [json_error_stack_overflow] = "is nested too deep",
    [json_error_invalid_utf8] = "is not UTF-8",
    [json_error_premature_end_of_input] = "ends too early",
    [json_error_end_of_input_expected] = "goes on after the value",
    [json_error_invalid_syntax] = "is not JSON",
    [json_error_duplicate_key] = "names a member twice",
    [json_error_numeric_overflow] = "has a number out of range",
    [json_error_null_byte_in_key] = "has a NUL in a name",
    [json_error_null_character] = "has a NUL in a text",
};

/* Depth of brackets outside strings; over-counts nothing that jansson would accept. */
static bool too_deep(struct gh_slice text)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '[' || c == '{')) {
            if (++depth > GH_JSON_DEPTH_MAX)
                return true;
        } else if (!in_string && (c == ']' || c == '}') && depth > 0)
            depth--;
    }
    return false;
}

json_t *gh_json_read_limited(struct gh_slice text, size_t bytes_max, struct gh_error *error)
{
    json_error_t why;

    if (text.size > bytes_max) {
        gh_error_set(error, GH_ERROR_INVALID, "JSON of %zu bytes is too large (at most %zu)",
                     text.size, bytes_max);
        return NULL;
    }
    if (too_deep(text)) {
        gh_error_set(error, GH_ERROR_INVALID, "JSON is nested deeper than %d", GH_JSON_DEPTH_MAX);
        return NULL;
    }
    json_t *value = json_loadb(text.size == 0 ? "" : (const char *)text.data, text.size,
                               JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (value != NULL)
        return value;
    enum json_error_code code = json_error_code(&why);
    bool known = (size_t)code < GH_COUNT(refusals) && refusals[code] != NULL;
    gh_error_set(error, code == json_error_out_of_memory ? GH_ERROR_MEMORY : GH_ERROR_INVALID,
                 "JSON %s (line %d, column %d)", refusals[known ? code : json_error_unknown],
                 why.line, why.column);
    return NULL;
}

json_t *gh_json_read(struct gh_slice text, struct gh_error *error)
{
    return gh_json_read_limited(text, GH_JSON_BYTES_MAX, error);
}

/* Members. Each type has one test-and-take function; the getters differ only in what they make of a
 * no. */

static const json_t *member(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key); /* NULL for what is no object */
    return json_is_null(value) ? NULL : value;
}

static bool text_to_i64(struct gh_slice text, int64_t *out)
{
    bool negative = text.size != 0 && text.data[0] == '-';
    uint64_t size, limit = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    if (!gh_slice_to_u64(gh_slice_sub(text, negative ? 1 : 0, text.size), &size) || size > limit)
        return false;
    *out = negative ? (int64_t)(0 - size) : (int64_t)size;
    return true;
}

static bool take_text(const json_t *value, unsigned rule, void *out)
{
    (void)rule;
    if (!json_is_string(value))
        return false;
    *(struct gh_slice *)out = gh_json_slice(value);
    return true;
}

static bool take_u64(const json_t *value, unsigned rule, void *out)
{
    if (json_is_string(value) && (rule & GH_JSON_OR_TEXT) != 0)
        return gh_slice_to_u64(gh_json_slice(value), out);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *(uint64_t *)out = (uint64_t)json_integer_value(value);
    return true;
}

static bool take_i64(const json_t *value, unsigned rule, void *out)
{
    if (json_is_string(value) && (rule & GH_JSON_OR_TEXT) != 0)
        return text_to_i64(gh_json_slice(value), out);
    if (!json_is_integer(value))
        return false;
    *(int64_t *)out = json_integer_value(value);
    return true;
}

static bool take_bool(const json_t *value, unsigned rule, void *out)
{
    (void)rule;
    if (!json_is_boolean(value))
        return false;
    *(bool *)out = json_is_true(value);
    return true;
}

static bool take_number(const json_t *value, unsigned rule, void *out)
{
    (void)rule;
    if (!json_is_number(value) || !isfinite(json_number_value(value)))
        return false;
    *(double *)out = json_number_value(value);
    return true;
}

static bool take_array(const json_t *value, unsigned rule, void *out)
{
    (void)rule;
    if (!json_is_array(value))
        return false;
    *(json_t **)out = (json_t *)(uintptr_t)value;
    return true;
}

static bool take_object(const json_t *value, unsigned rule, void *out)
{
    (void)rule;
    if (!json_is_object(value))
        return false;
    *(json_t **)out = (json_t *)(uintptr_t)value;
    return true;
}

struct kind {
    bool (*take)(const json_t *value, unsigned rule, void *out);
    const char *name;
};
static const struct kind kind_text = {take_text, "a text"};
static const struct kind kind_u64 = {take_u64, "a whole number from 0"};
static const struct kind kind_i64 = {take_i64, "a whole number"};
static const struct kind kind_bool = {take_bool, "true or false"};
static const struct kind kind_number = {take_number, "a number"};
static const struct kind kind_array = {take_array, "a list"};
static const struct kind kind_object = {take_object, "an object"};

static bool look(const struct kind *kind, const json_t *object, const char *key, void *out)
{
    const json_t *value = member(object, key);
    return value != NULL && kind->take(value, GH_JSON_OPTIONAL, out);
}

static bool get(const struct kind *kind, const json_t *object, const char *key, unsigned rule,
                void *out, struct gh_error *error)
{
    if (!json_is_object(object)) {
        gh_error_set(error, GH_ERROR_INVALID, "an object with \"%s\" is expected", key);
        return false;
    }
    const json_t *value = member(object, key);
    if (value == NULL && (rule & GH_JSON_REQUIRED) != 0)
        gh_error_set(error, GH_ERROR_INVALID, "\"%s\" is missing", key);
    else if (value != NULL && !kind->take(value, rule, out))
        gh_error_set(error, GH_ERROR_INVALID, "\"%s\" is not %s", key, kind->name);
    else
        return true;
    return false;
}

bool gh_json_text(const json_t *object, const char *key, struct gh_slice *out)
{
    return look(&kind_text, object, key, out);
}

bool gh_json_u64(const json_t *object, const char *key, uint64_t *out)
{
    return look(&kind_u64, object, key, out);
}

bool gh_json_i64(const json_t *object, const char *key, int64_t *out)
{
    return look(&kind_i64, object, key, out);
}

bool gh_json_bool(const json_t *object, const char *key, bool *out)
{
    return look(&kind_bool, object, key, out);
}

bool gh_json_number(const json_t *object, const char *key, double *out)
{
    return look(&kind_number, object, key, out);
}

bool gh_json_array(const json_t *object, const char *key, json_t **out)
{
    return look(&kind_array, object, key, out);
}

bool gh_json_object(const json_t *object, const char *key, json_t **out)
{
    return look(&kind_object, object, key, out);
}

bool gh_json_get_text(const json_t *object, const char *key, unsigned rule, struct gh_slice *out,
                      struct gh_error *error)
{
    return get(&kind_text, object, key, rule, out, error);
}

bool gh_json_get_u64(const json_t *object, const char *key, unsigned rule, uint64_t *out,
                     struct gh_error *error)
{
    return get(&kind_u64, object, key, rule, out, error);
}

bool gh_json_get_i64(const json_t *object, const char *key, unsigned rule, int64_t *out,
                     struct gh_error *error)
{
    return get(&kind_i64, object, key, rule, out, error);
}

bool gh_json_get_bool(const json_t *object, const char *key, unsigned rule, bool *out,
                      struct gh_error *error)
{
    return get(&kind_bool, object, key, rule, out, error);
}

bool gh_json_get_number(const json_t *object, const char *key, unsigned rule, double *out,
                        struct gh_error *error)
{
    return get(&kind_number, object, key, rule, out, error);
}

bool gh_json_get_array(const json_t *object, const char *key, unsigned rule, json_t **out,
                       struct gh_error *error)
{
    return get(&kind_array, object, key, rule, out, error);
}

bool gh_json_get_object(const json_t *object, const char *key, unsigned rule, json_t **out,
                        struct gh_error *error)
{
    return get(&kind_object, object, key, rule, out, error);
}

bool gh_json_only(const json_t *value, const char *const keys[], size_t count,
                  struct gh_error *error)
{
    const char *key;
    json_t *each;

    if (!json_is_object(value)) {
        gh_error_set(error, GH_ERROR_INVALID, "an object is expected");
        return false;
    }
    json_object_foreach((json_t *)(uintptr_t)value, key, each)
    {
        size_t i = 0;
        while (i < count && strcmp(keys[i], key) != 0)
            i++;
        if (i == count) {
            gh_error_set(error, GH_ERROR_INVALID, "\"%.100s\" is not known here", key);
            return false;
        }
    }
    return true;
}

json_t *gh_json_new_text(struct gh_slice text)
{
    return json_stringn(text.size == 0 ? "" : (const char *)text.data, text.size);
}

struct gh_slice gh_json_slice(const json_t *value)
{
    return json_is_string(value) ? gh_slice(json_string_value(value), json_string_length(value))
                                 : gh_slice(NULL, 0);
}

/* Writing. jansson's own writer prints 20.1 as 20.100000000000001, hence this one. */

static void write_text(struct gh_slice text, struct gh_buffer *out)
{
    static const char escapes[128] = {['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
                                      ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't'};
    size_t plain = 0; /* start of what needs no escape */

    gh_buffer_u8(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        char escape = c < 128 ? escapes[c] : '\0';
        if (escape == '\0' && c >= 0x20 && c != 0x7f)
            continue;
        gh_buffer_put(out, gh_slice_sub(text, plain, i - plain));
        if (escape != '\0')
            gh_buffer_print(out, "\\%c", escape);
        else
            gh_buffer_print(out, "\\u%04x", c);
        plain = i + 1;
    }
    gh_buffer_put(out, gh_slice_sub(text, plain, text.size - plain));
    gh_buffer_u8(out, '"');
}

static void write_real(double number, struct gh_buffer *out)
{
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    gh_buffer_put(out, gh_slice_text(text));
    if (strpbrk(text, ".e") == NULL) /* stays a real number for whoever reads it back */
        gh_buffer_put(out, GH_SLICE(".0"));
}

static void write_value(const json_t *value, unsigned depth, struct gh_buffer *out);

static void write_array(const json_t *value, unsigned depth, struct gh_buffer *out)
{
    gh_buffer_u8(out, '[');
    for (size_t i = 0; i < json_array_size(value) && !out->overflow; i++) {
        if (i != 0)
            gh_buffer_u8(out, ',');
        write_value(json_array_get(value, i), depth + 1, out);
    }
    gh_buffer_u8(out, ']');
}

static void write_object(const json_t *value, unsigned depth, struct gh_buffer *out)
{
    json_t *object = (json_t *)(uintptr_t)value;
    const char *separator = "{";

    for (void *at = json_object_iter(object); at != NULL && !out->overflow;
         at = json_object_iter_next(object, at)) {
        gh_buffer_put(out, gh_slice_text(separator));
        write_text(gh_slice_text(json_object_iter_key(at)), out);
        gh_buffer_u8(out, ':');
        write_value(json_object_iter_value(at), depth + 1, out);
        separator = ",";
    }
    gh_buffer_put(out, separator[0] == '{' ? GH_SLICE("{}") : GH_SLICE("}"));
}

static void write_value(const json_t *value, unsigned depth, struct gh_buffer *out)
{
    if (value == NULL || depth > WRITE_DEPTH_MAX) {
        out->overflow = true;
        return;
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        write_object(value, depth, out);
        break;
    case JSON_ARRAY:
        write_array(value, depth, out);
        break;
    case JSON_STRING:
        write_text(gh_json_slice(value), out);
        break;
    case JSON_INTEGER:
        gh_buffer_print(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        write_real(json_real_value(value), out);
        break;
    case JSON_TRUE:
        gh_buffer_put(out, GH_SLICE("true"));
        break;
    case JSON_FALSE:
        gh_buffer_put(out, GH_SLICE("false"));
        break;
    case JSON_NULL:
        gh_buffer_put(out, GH_SLICE("null"));
        break;
    }
}

bool gh_json_write(const json_t *value, struct gh_buffer *out)
{
    assert(out != NULL);
    write_value(value, 1, out);
    return !out->overflow;
}
