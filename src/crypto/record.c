#include "crypto/record.h"
#include "base/cursor.h"
#include "base/secret.h"
#include "base/slots.h"
#include "crypto/openssl_internal.h"
#include <assert.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_MAX = 32,
    IV_BYTES = 12,
    TAG_BYTES = 16,
    KEY_UPDATE = 24, /* HandshakeType */
    KEY_UPDATE_BYTES = 5,
    USER_CANCELED = 90,
    FATAL = 2,
    WARNING = 1,
    VERSION = 0x0303, /* legacy_record_version, to be ignored (§5.1) */
};

/* Far below 2^24.5 full records, the limit of AES-GCM (§5.5). */
static const uint64_t renewal_count = 1u << 23;

static const struct suite {
    const char *name, *cipher;
    enum gh_digest hash;
    unsigned number;
    uint8_t key_bytes;
} suites[] = {
    [GH_RECORD_AES_128_GCM_SHA256] = {"TLS_AES_128_GCM_SHA256", "AES-128-GCM", GH_DIGEST_SHA256,
                                      0x1301, 16},
    [GH_RECORD_AES_256_GCM_SHA384] = {"TLS_AES_256_GCM_SHA384", "AES-256-GCM", GH_DIGEST_SHA384,
                                      0x1302, 32},
    [GH_RECORD_CHACHA20_POLY1305_SHA256] = {"TLS_CHACHA20_POLY1305_SHA256", "ChaCha20-Poly1305",
                                            GH_DIGEST_SHA256, 0x1303, 32},
};
static_assert(GH_COUNT(suites) == GH_RECORD_SUITE_COUNT, "one for each");

enum way { READS, WRITES, WAYS };

struct direction {
    uint64_t count; /* the sequence number of the next record */
    uint8_t secret[GH_RECORD_SECRET_MAX], key[KEY_MAX], iv[IV_BYTES];
};

struct gh_record {
    struct direction ways[WAYS];
    uint16_t text_max;
    uint8_t suite;
    uint8_t idle;         /* records in a row that brought no data */
    uint8_t message_size; /* of a handshake message that comes in pieces */
    uint8_t message[KEY_UPDATE_BYTES];
    bool owes_update : 1, asks_update : 1;
};

/* The context of a way and suite, and the key that it holds: the next record is mostly of the same
 * connection. */
struct tool {
    EVP_CIPHER_CTX *context;
    bool has_key;
    uint8_t key[KEY_MAX];
};

struct gh_record_desk {
    struct tool tools[GH_RECORD_SUITE_COUNT][WAYS];
};

bool gh_record_suite_find(unsigned number, enum gh_record_suite *out)
{
    for (size_t i = 0; i < GH_COUNT(suites); i++)
        if (suites[i].number == number) {
            *out = (enum gh_record_suite)i;
            return true;
        }
    return false;
}

const char *gh_record_suite_name(enum gh_record_suite suite)
{
    return suites[suite].name;
}

enum gh_digest gh_record_suite_hash(enum gh_record_suite suite)
{
    return suites[suite].hash;
}

/* ---- the desk */

static bool tool_open(struct tool *tool, const char *name, enum way way)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(gh_library(), name, NULL);
    tool->context = EVP_CIPHER_CTX_new();
    bool done = cipher != NULL && tool->context != NULL &&
                EVP_CipherInit_ex2(tool->context, cipher, NULL, NULL, way == WRITES, NULL) == 1;
    EVP_CIPHER_free(cipher);
    return done;
}

struct gh_record_desk *gh_record_desk_open(void)
{
    struct gh_record_desk *desk = calloc(1, sizeof *desk);
    bool done = desk != NULL;
    for (size_t i = 0; done && i < GH_COUNT(suites); i++)
        done = tool_open(&desk->tools[i][READS], suites[i].cipher, READS) &&
               tool_open(&desk->tools[i][WRITES], suites[i].cipher, WRITES);
    if (done)
        return desk;
    ERR_clear_error();
    gh_record_desk_close(desk);
    return NULL;
}

void gh_record_desk_close(struct gh_record_desk *desk)
{
    if (desk == NULL)
        return;
    for (size_t i = 0; i < GH_COUNT(suites); i++)
        for (size_t way = 0; way < WAYS; way++)
            EVP_CIPHER_CTX_free(desk->tools[i][way].context);
    gh_secret_wipe(desk, sizeof *desk);
    free(desk);
}

/* ---- keys */

static bool expand(const struct suite *suite, const uint8_t *secret, struct gh_slice label,
                   uint8_t *out, size_t size)
{
    return gh_schedule_expand(suite->hash, gh_slice(secret, gh_digest_bytes(suite->hash)), label,
                              (struct gh_slice){0}, out, size);
}

/* The key and IV of the secret (§7.3). */
static bool derive(const struct suite *suite, struct direction *way)
{
    return expand(suite, way->secret, GH_SLICE("key"), way->key, suite->key_bytes) &&
           expand(suite, way->secret, GH_SLICE("iv"), way->iv, sizeof way->iv);
}

/* The next generation (§7.2). */
static bool renew(const struct gh_record *record, struct direction *way)
{
    const struct suite *suite = &suites[record->suite];
    way->count = 0;
    return expand(suite, way->secret, GH_SLICE("traffic upd"), way->secret,
                  gh_digest_bytes(suite->hash)) &&
           derive(suite, way);
}

struct gh_record *gh_record_open(const struct gh_record_keys *keys)
{
    const struct suite *suite = &suites[keys->suite];
    size_t bytes = gh_digest_bytes(suite->hash);
    struct gh_record *record = gh_slot_take(sizeof *record);

    assert(keys->text_max > 0 && keys->text_max <= GH_RECORD_TEXT_MAX);
    if (record == NULL)
        return NULL;
    record->suite = (uint8_t)keys->suite;
    record->text_max = (uint16_t)keys->text_max;
    record->ways[READS].count = keys->read_count;
    record->ways[WRITES].count = keys->write_count;
    memcpy(record->ways[READS].secret, keys->read_secret, bytes);
    memcpy(record->ways[WRITES].secret, keys->write_secret, bytes);
    if (derive(suite, &record->ways[READS]) && derive(suite, &record->ways[WRITES]))
        return record;
    ERR_clear_error();
    gh_record_close(record);
    return NULL;
}

void gh_record_close(struct gh_record *record)
{
    if (record == NULL)
        return;
    gh_slot_give(record, sizeof *record); /* wiped */
}

size_t gh_record_text_max(const struct gh_record *record)
{
    return record->text_max;
}

enum gh_record_suite gh_record_suite_of(const struct gh_record *record)
{
    return (enum gh_record_suite)record->suite;
}

/* ---- one record */

/* The context with the key and the nonce of the way's next record (§5.3) and its head as additional
 * data; NULL when OpenSSL fails. */
static EVP_CIPHER_CTX *prepare(const struct gh_record *record, struct gh_record_desk *desk,
                               enum way way, const uint8_t head[GH_RECORD_HEAD_BYTES])
{
    struct tool *tool = &desk->tools[record->suite][way];
    const struct direction *from = &record->ways[way];
    uint8_t nonce[IV_BYTES];
    int size;

    memcpy(nonce, from->iv, sizeof nonce);
    for (size_t i = 0; i < sizeof from->count; i++)
        nonce[sizeof nonce - 1 - i] ^= (uint8_t)(from->count >> (8 * i));
    bool is_held = tool->has_key && memcmp(tool->key, from->key, sizeof tool->key) == 0;
    tool->has_key = EVP_CipherInit_ex2(tool->context, NULL, is_held ? NULL : from->key, nonce,
                                       way == WRITES, NULL) == 1 &&
                    EVP_CipherUpdate(tool->context, NULL, &size, head, GH_RECORD_HEAD_BYTES) == 1;
    if (tool->has_key && !is_held)
        memcpy(tool->key, from->key, sizeof tool->key);
    return tool->has_key ? tool->context : NULL;
}

/* In place; the tag is behind the `size` bytes. */
static bool open_bytes(struct gh_record *record, struct gh_record_desk *desk,
                       const uint8_t head[GH_RECORD_HEAD_BYTES], uint8_t *bytes, size_t size)
{
    EVP_CIPHER_CTX *context = prepare(record, desk, READS, head);
    int done;
    bool is_genuine =
        context != NULL && EVP_DecryptUpdate(context, bytes, &done, bytes, (int)size) == 1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, bytes + size) == 1 &&
        EVP_DecryptFinal_ex(context, bytes + size, &done) == 1;
    if (!is_genuine)
        ERR_clear_error();
    return is_genuine;
}

static bool seal(struct gh_record *record, struct gh_record_desk *desk, enum gh_record_type type,
                 struct gh_slice text, struct gh_buffer *out)
{
    struct direction *way = &record->ways[WRITES];
    const uint8_t last = (uint8_t)type;
    size_t sealed = text.size + 1 + TAG_BYTES;
    int done;

    assert(text.size <= GH_RECORD_TEXT_MAX);
    uint8_t *to = gh_buffer_reserve(out, GH_RECORD_HEAD_BYTES + sealed);
    if (to == NULL || way->count == UINT64_MAX)
        return false;
    struct gh_buffer head = gh_buffer_fixed(to, GH_RECORD_HEAD_BYTES);
    gh_buffer_u8(&head, GH_RECORD_DATA);
    gh_buffer_u16(&head, VERSION);
    gh_buffer_u16(&head, (uint16_t)sealed);
    EVP_CIPHER_CTX *context = prepare(record, desk, WRITES, to);
    to += GH_RECORD_HEAD_BYTES;
    if (context == NULL ||
        (text.size > 0 && EVP_EncryptUpdate(context, to, &done, text.data, (int)text.size) != 1) ||
        EVP_EncryptUpdate(context, to + text.size, &done, &last, 1) != 1 ||
        EVP_EncryptFinal_ex(context, to + text.size + 1, &done) != 1 ||
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, to + text.size + 1) != 1) {
        ERR_clear_error();
        return false;
    }
    way->count++;
    gh_buffer_commit(out, GH_RECORD_HEAD_BYTES + sealed);
    return true;
}

/* ---- reading */

static enum gh_record_status broken(struct gh_record_opened *out, enum gh_record_alert alert)
{
    out->alert = alert;
    return GH_RECORD_BROKEN;
}

static enum gh_record_status read_alert(struct gh_slice text, struct gh_record_opened *out)
{
    if (text.size != 2)
        return broken(out, GH_RECORD_DECODE_ERROR);
    if (text.data[1] == GH_RECORD_CLOSE_NOTIFY)
        return GH_RECORD_END;
    return text.data[1] == USER_CANCELED ? GH_RECORD_IDLE : broken(out, GH_RECORD_NO_ALERT);
}

/* KeyUpdate alone may come, perhaps in pieces; the key changes behind it, so it ends its record. */
static enum gh_record_status read_handshake(struct gh_record *record, struct gh_slice text,
                                            struct gh_record_opened *out)
{
    static const uint8_t head[] = {KEY_UPDATE, 0, 0, 1};
    size_t size = KEY_UPDATE_BYTES - record->message_size;

    if (text.size == 0 || text.size > size)
        return broken(out, GH_RECORD_UNEXPECTED_MESSAGE);
    memcpy(record->message + record->message_size, text.data, text.size);
    record->message_size = (uint8_t)(record->message_size + text.size);
    size = record->message_size < sizeof head ? record->message_size : sizeof head;
    if (memcmp(record->message, head, size) != 0)
        return broken(out, record->message[0] == KEY_UPDATE ? GH_RECORD_DECODE_ERROR
                                                            : GH_RECORD_UNEXPECTED_MESSAGE);
    if (record->message_size < KEY_UPDATE_BYTES)
        return GH_RECORD_IDLE;
    if (record->message[KEY_UPDATE_BYTES - 1] > 1)
        return broken(out, GH_RECORD_ILLEGAL_PARAMETER);
    record->owes_update |= record->message[KEY_UPDATE_BYTES - 1] == 1;
    record->message_size = 0;
    return renew(record, &record->ways[READS]) ? GH_RECORD_IDLE
                                               : broken(out, GH_RECORD_INTERNAL_ERROR);
}

/* The content of a record that is genuine. */
static enum gh_record_status read_content(struct gh_record *record, uint8_t type,
                                          struct gh_slice text, struct gh_record_opened *out)
{
    enum gh_record_status status = GH_RECORD_IDLE;

    if (record->message_size > 0 && type != GH_RECORD_HANDSHAKE)
        return broken(out, GH_RECORD_UNEXPECTED_MESSAGE); /* within a message (§5.1) */
    if (type == GH_RECORD_ALERT)
        status = read_alert(text, out);
    else if (type == GH_RECORD_HANDSHAKE)
        status = read_handshake(record, text, out);
    else if (type != GH_RECORD_DATA)
        return broken(out, GH_RECORD_UNEXPECTED_MESSAGE);
    else if (text.size > 0) {
        record->idle = 0;
        out->text = text;
        return GH_RECORD_TEXT;
    }
    if (status == GH_RECORD_IDLE && ++record->idle > GH_RECORD_IDLE_MAX)
        return broken(out, GH_RECORD_UNEXPECTED_MESSAGE);
    return status;
}

enum gh_record_status gh_record_read(struct gh_record *record, struct gh_record_desk *desk,
                                     uint8_t *bytes, size_t size, struct gh_record_opened *out)
{
    struct gh_cursor at = gh_cursor(gh_slice(bytes, size));
    uint8_t type;
    uint16_t version, length;

    *out = (struct gh_record_opened){.alert = GH_RECORD_NO_ALERT};
    if (!gh_cursor_u8(&at, &type) || !gh_cursor_u16(&at, &version) || !gh_cursor_u16(&at, &length))
        return GH_RECORD_MORE;
    if (type != GH_RECORD_DATA)
        return broken(out, GH_RECORD_UNEXPECTED_MESSAGE);
    if (length > GH_RECORD_BYTES_MAX - GH_RECORD_HEAD_BYTES)
        return broken(out, GH_RECORD_OVERFLOW);
    if (length < 1 + TAG_BYTES)
        return broken(out, GH_RECORD_BAD_RECORD_MAC);
    if (size - GH_RECORD_HEAD_BYTES < length)
        return GH_RECORD_MORE;
    out->size = (size_t)GH_RECORD_HEAD_BYTES + length;
    size_t inner = (size_t)length - TAG_BYTES;
    uint8_t *text = bytes + GH_RECORD_HEAD_BYTES;
    if (record->ways[READS].count == UINT64_MAX || !open_bytes(record, desk, bytes, text, inner))
        return broken(out, GH_RECORD_BAD_RECORD_MAC);
    record->ways[READS].count++;
    if (inner > GH_RECORD_TEXT_MAX + 1)
        return broken(out, GH_RECORD_OVERFLOW);
    while (inner > 0 && text[inner - 1] == 0) /* padding */
        inner--;
    if (inner == 0)
        return broken(out, GH_RECORD_UNEXPECTED_MESSAGE);
    return read_content(record, text[inner - 1], gh_slice(text, inner - 1), out);
}

/* ---- writing */

static bool write_update(struct gh_record *record, struct gh_record_desk *desk,
                         struct gh_buffer *out)
{
    const uint8_t message[KEY_UPDATE_BYTES] = {KEY_UPDATE, 0, 0, 1, record->asks_update};
    record->owes_update = record->asks_update = false;
    return seal(record, desk, GH_RECORD_HANDSHAKE, gh_slice(message, sizeof message), out) &&
           renew(record, &record->ways[WRITES]);
}

bool gh_record_write(struct gh_record *record, struct gh_record_desk *desk,
                     enum gh_record_type type, struct gh_slice text, struct gh_buffer *out)
{
    if ((record->owes_update || record->ways[WRITES].count >= renewal_count) &&
        !write_update(record, desk, out))
        return false;
    return seal(record, desk, type, text, out);
}

bool gh_record_write_alert(struct gh_record *record, struct gh_record_desk *desk,
                           enum gh_record_alert alert, struct gh_buffer *out)
{
    const uint8_t content[] = {alert == GH_RECORD_CLOSE_NOTIFY ? WARNING : FATAL, (uint8_t)alert};
    return gh_record_write(record, desk, GH_RECORD_ALERT, gh_slice(content, sizeof content), out);
}

void gh_record_renew(struct gh_record *record, bool asks)
{
    record->owes_update = true;
    record->asks_update |= asks;
}
