#include "base/time.h"
#include "dialect/google/message_internal.h"
#include "wire/base64.h"
#include <math.h>
#include <string.h>

enum { FIELD_NAME_PRINT_MAX = 64, DURATION_FRACTION_DIGITS_MAX = 9, BYTES_MAX = 10 * 1000 * 1000 };

/* ---- names and enums ---- */

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

bool google_name_equal(struct gh_slice given, const char *camel)
{
    size_t at = 0;
    for (; *camel != '\0'; camel++) {
        if (at < given.size && given.data[at] == (uint8_t)*camel) {
            at++;
        } else if (is_upper(*camel) && at + 1 < given.size && given.data[at] == '_' &&
                   given.data[at + 1] == (uint8_t)(*camel - 'A' + 'a')) {
            at += 2;
        } else {
            return false;
        }
    }
    return at == given.size;
}

const char *google_enum_name(const struct google_enum *values, int number)
{
    for (size_t i = 0; i < values->count; i++) {
        if (values->values[i].number == number)
            return values->values[i].name;
    }
    return NULL;
}

bool google_enum_read(const struct google_enum *values, struct gh_slice text, int *out)
{
    uint64_t number;
    bool is_number = gh_slice_to_u64(text, &number);
    for (size_t i = 0; i < values->count; i++) {
        if (is_number ? number == (uint64_t)values->values[i].number
                      : gh_slice_equal(text, gh_slice_text(values->values[i].name))) {
            *out = values->values[i].number;
            return true;
        }
    }
    return false;
}

/* ---- reading one value ---- */

static bool read_int64(json_t *in, int64_t *out)
{
    if (json_is_integer(in)) {
        *out = json_integer_value(in);
        return true;
    }
    if (json_is_real(in)) { /* 1.0 and 1e3 are integers to protobuf */
        double value = json_real_value(in);
        if (!(fabs(value) < 9007199254740992.0) || value != trunc(value))
            return false;
        *out = (int64_t)value;
        return true;
    }
    struct gh_slice text = gh_json_slice(in);
    bool negative = text.size > 1 && text.data[0] == '-';
    uint64_t magnitude;
    if (!json_is_string(in) ||
        !gh_slice_to_u64(gh_slice_sub(text, negative ? 1 : 0, text.size), &magnitude) ||
        magnitude > INT64_MAX)
        return false;
    *out = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return true;
}

static json_t *read_number(const struct google_field *field, json_t *in)
{
    int64_t value;
    (void)field;
    return read_int64(in, &value) ? json_integer(value) : NULL;
}

static json_t *read_enum(const struct google_field *field, json_t *in)
{
    int number;
    if (json_is_string(in))
        return google_enum_read(field->values, gh_json_slice(in), &number) ? json_integer(number)
                                                                           : NULL;
    if (!json_is_integer(in) || json_integer_value(in) < 0 || json_integer_value(in) > INT32_MAX ||
        google_enum_name(field->values, (int)json_integer_value(in)) == NULL)
        return NULL;
    return json_integer(json_integer_value(in));
}

static json_t *read_string(const struct google_field *field, json_t *in)
{
    (void)field;
    return json_is_string(in) ? json_copy(in) : NULL;
}

static json_t *read_bool(const struct google_field *field, json_t *in)
{
    (void)field;
    return json_is_boolean(in) ? json_boolean(json_is_true(in)) : NULL;
}

static json_t *read_bytes(const struct google_field *field, json_t *in)
{
    struct gh_buffer bytes;
    json_t *out = NULL;
    (void)field;
    gh_buffer_init(&bytes, BYTES_MAX);
    if (json_is_string(in) && gh_base64_decode(gh_json_slice(in), GH_BASE64_ANY, &bytes))
        out = json_stringn_nocheck(bytes.size == 0 ? "" : (const char *)bytes.data, bytes.size);
    gh_buffer_deinit(&bytes);
    return out;
}

static json_t *read_time(const struct google_field *field, json_t *in)
{
    int64_t utc_ms;
    (void)field;
    return json_is_string(in) && gh_time_parse(gh_json_slice(in), &utc_ms) ? json_integer(utc_ms)
                                                                           : NULL;
}

/* "600s", "1.5s": seconds with up to nine fraction digits. */
static json_t *read_duration(const struct google_field *field, json_t *in)
{
    struct gh_slice text = gh_json_slice(in), whole;
    uint64_t seconds, fraction_ms = 0;
    (void)field;
    if (!json_is_string(in) || !gh_slice_ends(text, GH_SLICE("s")))
        return NULL;
    text = gh_slice_sub(text, 0, text.size - 1);
    bool has_fraction = gh_slice_find(text, '.') != text.size;
    whole = gh_slice_split(&text, '.');
    if (!gh_slice_to_u64(whole, &seconds) || seconds > UINT64_C(315576000000)) /* 10,000 years */
        return NULL;
    if (has_fraction && (text.size == 0 || text.size > DURATION_FRACTION_DIGITS_MAX ||
                         !gh_slice_to_u64(text, &fraction_ms)))
        return NULL;
    for (size_t digits = text.size; digits < 3 && has_fraction; digits++)
        fraction_ms *= 10;
    for (size_t digits = text.size; digits > 3; digits--)
        fraction_ms /= 10;
    return json_integer((json_int_t)(seconds * 1000 + fraction_ms));
}

static json_t *read_text_map(const struct google_field *field, json_t *in)
{
    const char *key;
    json_t *value;
    (void)field;
    if (!json_is_object(in))
        return NULL;
    json_object_foreach(in, key, value)
    {
        if (!json_is_string(value))
            return NULL;
    }
    return json_copy(in);
}

static const struct {
    json_t *(*read)(const struct google_field *field, json_t *in);
    const char *what;
} readers[] = {
    [GOOGLE_STRING] = {read_string, "text"},
    [GOOGLE_BYTES] = {read_bytes, "base64 text"},
    [GOOGLE_BOOL] = {read_bool, "true or false"},
    [GOOGLE_NUMBER] = {read_number, "an integer"},
    [GOOGLE_ENUM] = {read_enum, "a value of its enum"},
    [GOOGLE_TIME] = {read_time, "an RFC 3339 time"},
    [GOOGLE_DURATION] = {read_duration, "a duration like \"600s\""},
    [GOOGLE_TEXT_MAP] = {read_text_map, "an object of texts"},
};

/* ---- reading a message ---- */

static bool is_empty(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return json_object_size(value) == 0;
    case JSON_ARRAY:
        return json_array_size(value) == 0;
    case JSON_STRING:
        return json_string_length(value) == 0;
    case JSON_INTEGER:
        return json_integer_value(value) == 0;
    case JSON_REAL:
        return false;
    default:
        return !json_is_true(value);
    }
}

static json_t *read_nested(const struct google_field *field, json_t *in, struct gh_error *error)
{
    struct gh_error inner;
    if (!json_is_object(in)) {
        gh_error_set(error, GH_ERROR_INVALID, "%s: it must be an object", field->name);
        return NULL;
    }
    json_t *out = google_message_read(field->message, in, &inner);
    if (out == NULL)
        gh_error_set(error, inner.code, "%s.%s", field->name, inner.text);
    return out;
}

static json_t *read_value(const struct google_field *field, json_t *in, struct gh_error *error)
{
    if (field->type == GOOGLE_MESSAGE)
        return read_nested(field, in, error);
    json_t *out = readers[field->type].read(field, in);
    if (out == NULL)
        gh_error_set(error, GH_ERROR_INVALID, "%s: it must be %s", field->name,
                     readers[field->type].what);
    return out;
}

static json_t *read_list(const struct google_field *field, json_t *in, struct gh_error *error)
{
    size_t i;
    json_t *each, *list;
    if (!json_is_array(in)) {
        gh_error_set(error, GH_ERROR_INVALID, "%s: it must be a list", field->name);
        return NULL;
    }
    list = json_array();
    json_array_foreach(in, i, each)
    {
        json_t *value = read_value(field, each, error);
        if (value == NULL || json_array_append_new(list, value) != 0) {
            if (value != NULL)
                gh_error_set(error, GH_ERROR_MEMORY, "%s", field->name);
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

const struct google_field *google_field_find(const struct google_message *message,
                                             struct gh_slice name)
{
    for (size_t i = 0; i < message->count; i++) {
        if (google_name_equal(name, message->fields[i].name))
            return &message->fields[i];
    }
    return NULL;
}

static bool read_member(const struct google_message *message, struct gh_slice name, json_t *in,
                        json_t *out, struct gh_error *error)
{
    const struct google_field *field = google_field_find(message, name);
    if (field == NULL) {
        gh_error_set(error, GH_ERROR_INVALID, "%.*s: there is no such field",
                     GH_PRINT(gh_slice_sub(name, 0, FIELD_NAME_PRINT_MAX)));
        return false;
    }
    if (json_object_get(out, field->name) != NULL) {
        gh_error_set(error, GH_ERROR_INVALID, "%s: given in both spellings", field->name);
        return false;
    }
    if (json_is_null(in) || field->output)
        return true;
    if (field->type == GOOGLE_REFUSED) {
        if (!is_empty(in))
            gh_error_set(error, GH_ERROR_UNSUPPORTED, "%s", field->name);
        return is_empty(in);
    }
    json_t *value = field->repeated ? read_list(field, in, error) : read_value(field, in, error);
    if (value == NULL)
        return false;
    if (json_object_set_new(out, field->name, value) != 0) {
        gh_error_set(error, GH_ERROR_MEMORY, "%s", field->name);
        return false;
    }
    return true;
}

json_t *google_message_read(const struct google_message *message, json_t *in,
                            struct gh_error *error)
{
    const char *name;
    json_t *value;
    if (!json_is_object(in)) {
        gh_error_set(error, GH_ERROR_INVALID, "the body must be a JSON object");
        return NULL;
    }
    json_t *out = json_object();
    json_object_foreach(in, name, value)
    {
        if (!read_member(message, gh_slice_text(name), value, out, error)) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

/* ---- writing ---- */

static void put(json_t *object, const char *key, json_t *value, bool *failed)
{
    if (value == NULL || json_object_set_new(object, key, value) != 0)
        *failed = true;
}

void google_put_text(json_t *object, const char *key, struct gh_slice text, bool *failed)
{
    if (text.size != 0)
        put(object, key, gh_json_new_text(text), failed);
}

void google_put_bytes(json_t *object, const char *key, struct gh_slice bytes, bool *failed)
{
    struct gh_buffer text;
    if (bytes.size == 0)
        return;
    gh_buffer_init(&text, bytes.size / 3 * 4 + 4);
    if (gh_base64_encode(bytes, GH_BASE64_STANDARD, &text))
        put(object, key, json_stringn_nocheck((const char *)text.data, text.size), failed);
    else
        *failed = true;
    gh_buffer_deinit(&text);
}

void google_put_bool(json_t *object, const char *key, bool value, bool *failed)
{
    if (value)
        put(object, key, json_true(), failed);
}

void google_put_int64(json_t *object, const char *key, int64_t value, bool *failed)
{
    if (value != 0)
        put(object, key, json_sprintf("%lld", (long long)value), failed);
}

void google_put_int32(json_t *object, const char *key, int value, bool *failed)
{
    if (value != 0)
        put(object, key, json_integer(value), failed);
}

void google_put_time(json_t *object, const char *key, int64_t utc_ms, bool *failed)
{
    char text[GH_TIME_TEXT_MAX];
    if (utc_ms != 0)
        put(object, key, json_string(gh_time_print(utc_ms, text)), failed);
}

void google_put_seconds(json_t *object, const char *key, int64_t seconds, bool *failed)
{
    if (seconds != 0)
        put(object, key, json_sprintf("%llds", (long long)seconds), failed);
}

void google_put_enum(json_t *object, const char *key, const struct google_enum *values, int number,
                     bool *failed)
{
    const char *name = google_enum_name(values, number);
    if (number != 0 && name != NULL)
        put(object, key, json_string(name), failed);
}

void google_put_value(json_t *object, const char *key, json_t *value, bool *failed)
{
    if (value != NULL && json_object_size(value) == 0 && json_array_size(value) == 0)
        json_decref(value);
    else
        put(object, key, value, failed);
}

void google_append(json_t *list, json_t *value, bool *failed)
{
    if (value == NULL || json_array_append_new(list, value) != 0)
        *failed = true;
}
