#include "audit/checkpoint.h"
#include "base/time.h"
#include <string.h>

static const char digits[] = "0123456789abcdef";

static void put_hex(struct gh_buffer *out, struct gh_slice bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        gh_buffer_u8(out, (uint8_t)digits[bytes.data[i] >> 4]);
        gh_buffer_u8(out, (uint8_t)digits[bytes.data[i] & 15]);
    }
}

static struct gh_slice bytes_of(const struct gh_merkle_hash *hash)
{
    return gh_slice(hash->bytes, sizeof hash->bytes);
}

void gh_audit_checkpoint_message(const struct gh_audit_checkpoint *checkpoint,
                                 struct gh_buffer *out)
{
    gh_buffer_print(out, "gatehouse audit checkpoint 1\n%lld\n%lld\n", (long long)checkpoint->seq,
                    (long long)checkpoint->at_ms);
    put_hex(out, bytes_of(&checkpoint->hash));
    gh_buffer_print(out, "\n");
    put_hex(out, bytes_of(&checkpoint->root));
    gh_buffer_print(out, "\n");
}

bool gh_audit_checkpoint_signed(const struct gh_audit_checkpoint *checkpoint,
                                const struct gh_key *key)
{
    uint8_t block[GH_AUDIT_MESSAGE_MAX];
    struct gh_buffer message = gh_buffer_fixed(block, sizeof block);
    gh_audit_checkpoint_message(checkpoint, &message);
    return !message.overflow &&
           gh_key_verify_es256(key, gh_buffer_slice(&message), checkpoint->signature);
}

/* --- hex --- */

json_t *gh_audit_hex(struct gh_slice bytes)
{
    struct gh_buffer text;
    gh_buffer_init(&text, 2 * bytes.size + 1);
    put_hex(&text, bytes);
    json_t *value = gh_json_new_text(gh_buffer_slice(&text));
    gh_buffer_deinit(&text);
    return value;
}

static int nibble(char digit)
{
    const char *at = digit == '\0' ? NULL : strchr(digits, digit);
    return at == NULL ? -1 : (int)(at - digits);
}

bool gh_audit_unhex(const json_t *object, const char *name, size_t size, struct gh_arena *arena,
                    struct gh_slice *out)
{
    const json_t *member = json_object_get(object, name);
    const char *text = json_string_value(member);
    size_t length = json_string_length(member), bytes = length / 2;
    *out = (struct gh_slice){0};
    if (length == 0)
        return member == NULL || text != NULL;
    uint8_t *block = gh_arena_alloc(arena, bytes + 1);
    if (block == NULL || length % 2 != 0 || (size != 0 && bytes != size))
        return false;
    for (size_t i = 0; i < bytes; i++) {
        int high = nibble(text[2 * i]), low = nibble(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        block[i] = (uint8_t)(high << 4 | low);
    }
    *out = gh_slice(block, bytes);
    return true;
}

static bool read_hash(const json_t *value, const char *name, struct gh_arena *arena,
                      struct gh_merkle_hash *out)
{
    struct gh_slice bytes;
    if (!gh_audit_unhex(value, name, sizeof out->bytes, arena, &bytes) || bytes.size == 0)
        return false;
    memcpy(out->bytes, bytes.data, sizeof out->bytes);
    return true;
}

/* --- checkpoints --- */

json_t *gh_audit_checkpoint_to_json(const struct gh_audit_checkpoint *checkpoint, bool whole)
{
    char at[GH_TIME_TEXT_MAX];
    json_t *value = json_pack(
        "{s:I, s:s, s:I, s:o, s:o, s:o, s:o}", "seq", (json_int_t)checkpoint->seq, "at",
        gh_time_print(checkpoint->at_ms, at), "at_ms", (json_int_t)checkpoint->at_ms, "hash",
        gh_audit_hex(bytes_of(&checkpoint->hash)), "root",
        gh_audit_hex(bytes_of(&checkpoint->root)), "key_id", gh_json_new_text(checkpoint->key_id),
        "signature", gh_audit_hex(checkpoint->signature));
    if (value != NULL && whole)
        json_object_set_new(value, "frontier", gh_audit_hex(checkpoint->frontier));
    return value;
}

static bool read_number(const json_t *value, const char *name, int64_t *out)
{
    const json_t *member = json_object_get(value, name);
    *out = (int64_t)json_integer_value(member);
    return json_is_integer(member) && *out >= 0;
}

/* A copy of a member that is text; null and nothing are empty. */
static bool read_text(const json_t *value, const char *name, struct gh_arena *arena,
                      struct gh_slice *out)
{
    const json_t *member = json_object_get(value, name);
    struct gh_slice text = gh_slice(json_string_value(member), json_string_length(member));
    return gh_arena_copy(arena, text, out);
}

enum gh_error_code gh_audit_checkpoint_from_json(const json_t *value, struct gh_arena *arena,
                                                 struct gh_audit_checkpoint *out,
                                                 struct gh_error *error)
{
    *out = (struct gh_audit_checkpoint){0};
    return read_number(value, "seq", &out->seq) && read_number(value, "at_ms", &out->at_ms) &&
                   read_hash(value, "hash", arena, &out->hash) &&
                   read_hash(value, "root", arena, &out->root) &&
                   gh_audit_unhex(value, "frontier", 0, arena, &out->frontier) &&
                   gh_audit_unhex(value, "signature", 0, arena, &out->signature) &&
                   read_text(value, "key_id", arena, &out->key_id)
               ? GH_OK
               : gh_error_set(error, GH_ERROR_INVALID, "this is no checkpoint of an audit trail");
}

static size_t count_lines(struct gh_slice text)
{
    size_t lines = 0;
    for (size_t i = 0; i < text.size; i++)
        lines += text.data[i] == '\n';
    return lines;
}

enum gh_error_code gh_audit_checkpoint_lines(struct gh_slice text, struct gh_arena *arena,
                                             struct gh_audit_checkpoint **out, size_t *count,
                                             struct gh_error *error)
{
    size_t lines = count_lines(text);
    struct gh_audit_checkpoint *rows = gh_arena_array(arena, lines + 1, sizeof *rows);
    *count = 0;
    *out = rows;
    if (rows == NULL)
        return gh_error_set(error, GH_ERROR_MEMORY, "the checkpoints do not fit the memory");
    for (size_t line = 1; line <= lines; line++) {
        json_t *value = gh_json_read(gh_slice_split(&text, '\n'), error);
        enum gh_error_code code =
            value == NULL ? GH_ERROR_INVALID
                          : gh_audit_checkpoint_from_json(value, arena, &rows[*count], error);
        json_decref(value);
        if (code != GH_OK)
            return gh_error_set(error, GH_ERROR_INVALID, "line %zu is no checkpoint", line);
        if (*count > 0 && rows[*count].seq <= rows[*count - 1].seq)
            return gh_error_set(error, GH_ERROR_INVALID,
                                "line %zu is a checkpoint of a row before that of line %zu", line,
                                line - 1);
        ++*count;
    }
    return GH_OK;
}

/* --- rows --- */

static json_t *name_or_null(struct gh_slice name)
{
    return name.size == 0 ? json_null() : gh_json_new_text(name);
}

json_t *gh_audit_entry_to_json(const struct gh_audit_entry *entry)
{
    const struct gh_audit_row *row = &entry->row;
    char at[GH_TIME_TEXT_MAX];
    json_t *value =
        json_pack("{s:I, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:s, s:i}", "seq", (json_int_t)row->seq,
                  "at", gh_time_print(row->at_ms, at), "at_ms", (json_int_t)row->at_ms, "tenant",
                  gh_json_new_text(row->tenant), "method", gh_json_new_text(row->method), "face",
                  gh_json_new_text(row->face), "action", gh_json_new_text(row->action), "object",
                  gh_json_new_text(row->object), "result", gh_audit_result_name(row->result),
                  "code", row->code);
    json_t *more = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "actor", name_or_null(entry->actor_name),
        "actor_id", gh_audit_hex(row->actor), "source", name_or_null(entry->source_name),
        "source_id", gh_audit_hex(row->source), "subject", name_or_null(entry->subject_name),
        "subject_id", gh_audit_hex(row->subject), "detail", gh_audit_hex(row->detail), "hash",
        gh_audit_hex(bytes_of(&entry->hash)));
    if (value != NULL && (more == NULL || json_object_update(value, more) != 0)) {
        json_decref(value);
        value = NULL;
    }
    json_decref(more);
    return value;
}

static bool read_result(const json_t *value, struct gh_audit_row *row)
{
    const json_t *code = json_object_get(value, "code");
    row->code = (int)json_integer_value(code);
    return json_is_integer(code) &&
           gh_audit_result_parse(gh_slice_text(json_string_value(json_object_get(value, "result"))),
                                 &row->result);
}

enum gh_error_code gh_audit_entry_from_json(const json_t *value, struct gh_arena *arena,
                                            struct gh_audit_entry *out, struct gh_error *error)
{
    struct gh_audit_row *row = &out->row;
    *out = (struct gh_audit_entry){0};
    bool good = read_number(value, "seq", &row->seq) && read_number(value, "at_ms", &row->at_ms) &&
                read_result(value, row) && read_text(value, "tenant", arena, &row->tenant) &&
                read_text(value, "method", arena, &row->method) &&
                read_text(value, "face", arena, &row->face) &&
                read_text(value, "action", arena, &row->action) &&
                read_text(value, "object", arena, &row->object) &&
                gh_audit_unhex(value, "actor_id", 0, arena, &row->actor) &&
                gh_audit_unhex(value, "source_id", 0, arena, &row->source) &&
                gh_audit_unhex(value, "subject_id", 0, arena, &row->subject) &&
                gh_audit_unhex(value, "detail", 0, arena, &row->detail) &&
                read_hash(value, "hash", arena, &out->hash) &&
                read_text(value, "actor", arena, &out->actor_name) &&
                read_text(value, "source", arena, &out->source_name) &&
                read_text(value, "subject", arena, &out->subject_name);
    return good ? GH_OK : gh_error_set(error, GH_ERROR_INVALID, "this is no row of an audit trail");
}
