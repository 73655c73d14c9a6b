#include "base/time.h"
#include "dialect/google/protobuf_internal.h"
#include "google.pb-c.h"
#include "wire/base64.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 64, NS_PER_MS = 1000 * 1000, NS_PER_S = 1000 * NS_PER_MS };

/* Years 1 to 9999, as protobuf's description of a Timestamp has it. */
static const int64_t first_s = INT64_C(-62135596800), last_s = INT64_C(253402300799);

struct path {
    struct gh_arena *arena;
    struct gh_error *error;
};

static void *refuse(const struct path *path, enum gh_error_code code, const char *name,
                    const char *why)
{
    gh_error_set(path->error, code, "%s: %s", name, why);
    return NULL;
}

/* "device_num_ids" to "deviceNumIds". */
static const char *camel(const char *name, char out[NAME_MAX_BYTES])
{
    size_t at = 0;
    for (; *name != '\0'; name++) {
        bool is_joint = *name == '_' && name[1] >= 'a' && name[1] <= 'z';
        assert(at + 1 < NAME_MAX_BYTES); /* our own names */
        out[at++] = is_joint ? (char)(*++name - 'a' + 'A') : *name;
    }
    out[at] = '\0';
    return out;
}

/* A field's value in its struct, and the number of values of a repeated one before it. */
static void *member_of(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (uint8_t *)(uintptr_t)message + field->offset;
}

static size_t *count_of(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (size_t *)(void *)((uint8_t *)(uintptr_t)message + field->quantifier_offset);
}

/* What the fields of `google.proto` are made of. */
static size_t size_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_ENUM:
        return sizeof(int32_t);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
        return sizeof(int64_t);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    default:
        abort(); /* not among them */
    }
}

/* ---- reading */

static json_t *read_message(const struct path *path, const ProtobufCMessage *message);

static json_t *read_time(const struct path *path, const ProtobufCMessage *message)
{
    const Google__Timestamp *time = (const void *)message;
    char text[GH_TIME_TEXT_MAX];
    if (time->seconds < first_s || time->seconds > last_s || time->nanos < 0 ||
        time->nanos >= NS_PER_S)
        return refuse(path, GH_ERROR_INVALID, "a time", "it must lie in the years 1 to 9999");
    return json_string(gh_time_print(time->seconds * 1000 + time->nanos / NS_PER_MS, text));
}

static json_t *read_duration(const struct path *path, const ProtobufCMessage *message)
{
    const Google__Duration *duration = (const void *)message;
    if (duration->seconds < 0 || duration->seconds > last_s || duration->nanos < 0 ||
        duration->nanos >= NS_PER_S)
        return refuse(path, GH_ERROR_INVALID, "a duration", "it must not be negative");
    return duration->nanos == 0
               ? json_sprintf("%llds", (long long)duration->seconds)
               : json_sprintf("%lld.%09ds", (long long)duration->seconds, (int)duration->nanos);
}

static json_t *read_mask(const struct path *path, const ProtobufCMessage *message)
{
    const Google__FieldMask *mask = (const void *)message;
    struct gh_buffer text;
    gh_buffer_init(&text, GH_JSON_BYTES_MAX);
    for (size_t i = 0; i < mask->n_paths; i++)
        gh_buffer_print(&text, "%s%s", i == 0 ? "" : ",", mask->paths[i]);
    json_t *out = text.overflow ? NULL : gh_json_new_text(gh_buffer_slice(&text));
    gh_buffer_deinit(&text);
    return out != NULL ? out : refuse(path, GH_ERROR_INVALID, "a mask", "it must be UTF-8");
}

static json_t *read_bytes(const ProtobufCBinaryData *bytes)
{
    struct gh_buffer text;
    json_t *out = NULL;
    gh_buffer_init(&text, bytes->len / 3 * 4 + 8);
    if (gh_base64_encode(gh_slice(bytes->data, bytes->len), GH_BASE64_STANDARD, &text))
        out = gh_json_new_text(gh_buffer_slice(&text));
    gh_buffer_deinit(&text);
    return out;
}

/* An enum's number that has no name stays a number: the reader of the document refuses it. */
static json_t *read_enum(const ProtobufCFieldDescriptor *field, int number)
{
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value(field->descriptor, number);
    return value != NULL ? json_string(value->name) : json_integer(number);
}

static json_t *read_nested(const struct path *path, const ProtobufCMessage *message)
{
    static const struct {
        const ProtobufCMessageDescriptor *type;
        json_t *(*read)(const struct path *path, const ProtobufCMessage *message);
    } known[] = {
        {&google__timestamp__descriptor, read_time},
        {&google__duration__descriptor, read_duration},
        {&google__field_mask__descriptor, read_mask},
    };
    for (size_t i = 0; i < GH_COUNT(known); i++) {
        if (known[i].type == message->descriptor)
            return known[i].read(path, message);
    }
    return read_message(path, message);
}

static json_t *read_value(const struct path *path, const ProtobufCFieldDescriptor *field,
                          const void *at)
{
    json_t *out;
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
        return json_integer(*(const int32_t *)at);
    case PROTOBUF_C_TYPE_ENUM:
        return read_enum(field, *(const int *)at);
    case PROTOBUF_C_TYPE_INT64:
        return json_sprintf("%lld", (long long)*(const int64_t *)at);
    case PROTOBUF_C_TYPE_UINT64:
        return json_sprintf("%llu", (unsigned long long)*(const uint64_t *)at);
    case PROTOBUF_C_TYPE_BOOL:
        return json_boolean(*(const protobuf_c_boolean *)at);
    case PROTOBUF_C_TYPE_BYTES:
        return read_bytes(at);
    case PROTOBUF_C_TYPE_STRING:
        out = gh_json_new_text(gh_slice_text(*(char *const *)at));
        return out != NULL ? out : refuse(path, GH_ERROR_INVALID, field->name, "it must be UTF-8");
    default:
        return read_nested(path, *(const ProtobufCMessage *const *)at);
    }
}

/* A map on the wire: of two pairs with one key the last counts. */
static json_t *read_map(const struct path *path, const ProtobufCFieldDescriptor *field,
                        Google__TextEntry *const *entries, size_t count)
{
    json_t *out = json_object();
    for (size_t i = 0; i < count; i++) {
        json_t *value = gh_json_new_text(gh_slice_text(entries[i]->value));
        if (json_object_set_new(out, entries[i]->key, value) == 0)
            continue;
        json_decref(out);
        return refuse(path, GH_ERROR_INVALID, field->name, "it must be UTF-8");
    }
    return out;
}

static json_t *read_list(const struct path *path, const ProtobufCFieldDescriptor *field,
                         const uint8_t *values, size_t count)
{
    json_t *out = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *value = read_value(path, field, values + i * size_of(field->type));
        if (value != NULL && json_array_append_new(out, value) == 0)
            continue;
        json_decref(out);
        return NULL;
    }
    return out;
}

static bool is_default(const ProtobufCFieldDescriptor *field, const void *at)
{
    static const uint8_t zeros[sizeof(ProtobufCBinaryData)];
    if (field->type == PROTOBUF_C_TYPE_STRING)
        return **(const char *const *)at == '\0';
    if (field->type == PROTOBUF_C_TYPE_BYTES)
        return ((const ProtobufCBinaryData *)at)->len == 0;
    return memcmp(at, zeros, size_of(field->type)) == 0;
}

static json_t *read_field(const struct path *path, const ProtobufCMessage *message,
                          const ProtobufCFieldDescriptor *field)
{
    void *at = member_of(message, field);
    if (field->label != PROTOBUF_C_LABEL_REPEATED)
        return read_value(path, field, at);
    size_t count = *count_of(message, field);
    void *values = *(void **)at;
    return field->descriptor == &google__text_entry__descriptor
               ? read_map(path, field, values, count)
               : read_list(path, field, values, count);
}

static json_t *read_message(const struct path *path, const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    char name[NAME_MAX_BYTES];
    json_t *out;

    if (message->n_unknown_fields != 0) {
        gh_error_set(path->error, GH_ERROR_UNSUPPORTED, "field %u of %s",
                     message->unknown_fields[0].tag, type->short_name);
        return NULL;
    }
    out = json_object();
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        bool is_repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
        if (is_repeated ? *count_of(message, field) == 0
                        : is_default(field, member_of(message, field)))
            continue;
        json_t *value = read_field(path, message, field);
        if (value != NULL && json_object_set_new(out, camel(field->name, name), value) == 0)
            continue;
        json_decref(out);
        return NULL;
    }
    return out;
}

static void *take_memory(void *arena, size_t size)
{
    return gh_arena_alloc(arena, size);
}

/* The arena's end is theirs. */
static void leave_memory(void *arena, void *block)
{
    (void)arena, (void)block;
}

json_t *google_protobuf_read(const ProtobufCMessageDescriptor *type, struct gh_slice bytes,
                             struct gh_arena *arena, struct gh_error *error)
{
    ProtobufCAllocator memory = {take_memory, leave_memory, arena};
    const struct path path = {arena, error};
    if (!google_protobuf_texts_whole(type, bytes))
        return refuse(&path, GH_ERROR_INVALID, type->short_name, "a text holds a NUL");
    gh_error_set(error, GH_ERROR_MEMORY, "%s", type->short_name); /* unless it is told better */
    ProtobufCMessage *message = protobuf_c_message_unpack(type, &memory, bytes.size, bytes.data);
    if (message == NULL)
        return arena->size_max - arena->used < bytes.size
                   ? refuse(&path, GH_ERROR_LIMIT, type->short_name, "it is too large")
                   : refuse(&path, GH_ERROR_INVALID, type->short_name,
                            "it is malformed or too large");
    return read_message(&path, message);
}

/* ---- writing */

static bool write_message(const struct path *path, ProtobufCMessage *message, json_t *object);

static bool write_int64(json_t *value, int64_t *out)
{
    const char *text = json_string_value(value);
    char *end = NULL;
    if (json_is_integer(value)) {
        *out = json_integer_value(value);
        return true;
    }
    /* The server's own digits; the two halves of unsigned numbers are one in 64 bits. */
    if (text != NULL)
        *out =
            text[0] == '-' ? (int64_t)strtoll(text, &end, 10) : (int64_t)strtoull(text, &end, 10);
    return end != NULL && *end == '\0';
}

static bool write_int32(const struct path *path, const ProtobufCFieldDescriptor *field,
                        json_t *value, void *out)
{
    (void)path, (void)field;
    *(int32_t *)out = (int32_t)json_integer_value(value);
    return json_is_integer(value);
}

static bool write_enum(const struct path *path, const ProtobufCFieldDescriptor *field,
                       json_t *value, void *out)
{
    (void)path;
    const ProtobufCEnumValue *found = json_is_string(value)
                                          ? protobuf_c_enum_descriptor_get_value_by_name(
                                                field->descriptor, json_string_value(value))
                                          : NULL;
    if (found != NULL)
        *(int *)out = found->value;
    return found != NULL;
}

static bool write_any64(const struct path *path, const ProtobufCFieldDescriptor *field,
                        json_t *value, void *out)
{
    (void)path, (void)field;
    return write_int64(value, out);
}

static bool write_bool(const struct path *path, const ProtobufCFieldDescriptor *field,
                       json_t *value, void *out)
{
    (void)path, (void)field;
    *(protobuf_c_boolean *)out = json_is_true(value);
    return json_is_boolean(value);
}

static bool write_text(const struct path *path, const ProtobufCFieldDescriptor *field,
                       json_t *value, void *out)
{
    (void)path, (void)field;
    *(char **)out = (char *)(uintptr_t)json_string_value(value); /* borrowed until it is packed */
    return json_is_string(value);
}

static bool write_bytes(const struct path *path, const ProtobufCFieldDescriptor *field,
                        json_t *value, void *out)
{
    ProtobufCBinaryData *bytes = out;
    struct gh_slice text = gh_json_slice(value);
    uint8_t *block = gh_arena_alloc(path->arena, text.size + 1);
    struct gh_buffer decoded = gh_buffer_fixed(block, text.size);
    (void)field;
    if (block == NULL || !json_is_string(value) || !gh_base64_decode(text, GH_BASE64_ANY, &decoded))
        return false;
    *bytes = (ProtobufCBinaryData){.len = decoded.size, .data = block};
    return true;
}

static bool write_time(json_t *value, ProtobufCMessage *message)
{
    Google__Timestamp *time = (void *)message;
    int64_t utc_ms;
    if (!json_is_string(value) || !gh_time_parse(gh_json_slice(value), &utc_ms))
        return false;
    int64_t part_ms = (utc_ms % 1000 + 1000) % 1000;
    time->seconds = (utc_ms - part_ms) / 1000;
    time->nanos = (int32_t)part_ms * NS_PER_MS;
    return true;
}

/* The server's own: whole seconds. */
static bool write_duration(json_t *value, ProtobufCMessage *message)
{
    Google__Duration *duration = (void *)message;
    struct gh_slice text = gh_json_slice(value);
    uint64_t seconds;
    if (!gh_slice_ends(text, GH_SLICE("s")) ||
        !gh_slice_to_u64(gh_slice_sub(text, 0, text.size - 1), &seconds))
        return false;
    duration->seconds = (int64_t)seconds;
    return true;
}

static bool write_nested(const struct path *path, const ProtobufCFieldDescriptor *field,
                         json_t *value, void *out)
{
    const ProtobufCMessageDescriptor *type = field->descriptor;
    ProtobufCMessage *message = gh_arena_alloc(path->arena, type->sizeof_message);
    if (message == NULL)
        return false;
    type->message_init(message);
    *(ProtobufCMessage **)out = message;
    if (type == &google__timestamp__descriptor)
        return write_time(value, message);
    if (type == &google__duration__descriptor)
        return write_duration(value, message);
    return write_message(path, message, value);
}

typedef bool value_writer(const struct path *path, const ProtobufCFieldDescriptor *field,
                          json_t *value, void *out);
static value_writer *const writers[] = {
    [PROTOBUF_C_TYPE_INT32] = write_int32, [PROTOBUF_C_TYPE_ENUM] = write_enum,
    [PROTOBUF_C_TYPE_INT64] = write_any64, [PROTOBUF_C_TYPE_UINT64] = write_any64,
    [PROTOBUF_C_TYPE_BOOL] = write_bool,   [PROTOBUF_C_TYPE_STRING] = write_text,
    [PROTOBUF_C_TYPE_BYTES] = write_bytes, [PROTOBUF_C_TYPE_MESSAGE] = write_nested,
};

static bool write_map(const struct path *path, json_t *value, Google__TextEntry **entries)
{
    const char *key;
    json_t *text;
    size_t count = 0;
    json_object_foreach(value, key, text)
    {
        Google__TextEntry *entry = gh_arena_alloc(path->arena, sizeof *entry);
        if (entry == NULL || !json_is_string(text))
            return false;
        google__text_entry__init(entry);
        entry->key = (char *)(uintptr_t)key;
        entry->value = (char *)(uintptr_t)json_string_value(text);
        entries[count++] = entry;
    }
    return true;
}

static bool write_list(const struct path *path, ProtobufCMessage *message,
                       const ProtobufCFieldDescriptor *field, json_t *value)
{
    bool is_map = field->descriptor == &google__text_entry__descriptor;
    size_t count = is_map ? json_object_size(value) : json_array_size(value);
    size_t size = size_of(field->type);
    uint8_t *values = gh_arena_array(path->arena, count + 1, size);
    if (values == NULL || !(is_map ? json_is_object(value) : json_is_array(value)))
        return false;
    *count_of(message, field) = count;
    *(void **)member_of(message, field) = values;
    if (is_map)
        return write_map(path, value, (Google__TextEntry **)(void *)values);
    for (size_t i = 0; i < count; i++) {
        if (!writers[field->type](path, field, json_array_get(value, i), values + i * size))
            return false;
    }
    return true;
}

static bool write_message(const struct path *path, ProtobufCMessage *message, json_t *object)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    char name[NAME_MAX_BYTES];
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        json_t *value = json_object_get(object, camel(field->name, name));
        bool done = value == NULL || json_is_null(value);
        if (!done)
            done = field->label == PROTOBUF_C_LABEL_REPEATED
                       ? write_list(path, message, field, value)
                       : writers[field->type](path, field, value, member_of(message, field));
        if (!done && path->arena->size_max - path->arena->used < json_string_length(value))
            return refuse(path, GH_ERROR_LIMIT, name, "the answer is too large") != NULL;
        if (!done)
            return refuse(path, GH_ERROR_INTERNAL, name, "it does not fit its field") != NULL;
    }
    return true;
}

enum gh_error_code google_protobuf_write(const ProtobufCMessageDescriptor *type, json_t *object,
                                         struct gh_arena *arena, struct gh_slice *out,
                                         struct gh_error *error)
{
    const struct path path = {arena, error};
    ProtobufCMessage *message = gh_arena_alloc(arena, type->sizeof_message);
    if (message == NULL)
        return gh_error_set(error, GH_ERROR_LIMIT, "%s", type->short_name);
    type->message_init(message);
    if (!write_message(&path, message, object))
        return error->code;
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = gh_arena_alloc(arena, size + 1);
    if (bytes == NULL)
        return gh_error_set(error, GH_ERROR_LIMIT, "%s: the answer is too large", type->short_name);
    *out = gh_slice(bytes, protobuf_c_message_pack(message, bytes));
    return GH_OK;
}
