#include "crypto/ticket.h"
#include "base/cursor.h"
#include "base/secret.h"
#include "crypto/openssl_internal.h"
#include "crypto/schedule.h"
#include <assert.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEYS = 4, /* the one that seals, and those whose tickets may still be good */
    EVIDENCE_VERSION = 1,
    MAC_BYTES = 32,
};

struct place {
    struct gh_secret *key; /* a gh_ticket_key; NULL: none */
    int64_t from_s;
};

struct gh_tickets {
    int64_t life_s;
    int64_t (*utc_ms)(void);
    pthread_mutex_t lock;
    struct place places[KEYS]; /* the newest first */
};

struct gh_tickets *gh_tickets_open(int64_t life_s, int64_t (*utc_ms)(void))
{
    struct gh_tickets *tickets = calloc(1, sizeof *tickets);
    assert(life_s > 0);
    if (tickets == NULL)
        return NULL;
    tickets->life_s = life_s;
    tickets->utc_ms = utc_ms;
    pthread_mutex_init(&tickets->lock, NULL);
    return tickets;
}

void gh_tickets_close(struct gh_tickets *tickets)
{
    if (tickets == NULL)
        return;
    for (size_t i = 0; i < KEYS; i++)
        gh_secret_close(tickets->places[i].key);
    pthread_mutex_destroy(&tickets->lock);
    free(tickets);
}

int64_t gh_tickets_now_s(const struct gh_tickets *tickets)
{
    return tickets->utc_ms() / 1000;
}

int64_t gh_tickets_left_s(const struct gh_tickets *tickets, int64_t proved_at_s)
{
    int64_t now_s = gh_tickets_now_s(tickets);
    if (proved_at_s > now_s || proved_at_s <= now_s - tickets->life_s)
        return 0; /* what is to come proves nothing either: the clock was set back */
    return proved_at_s + tickets->life_s - now_s;
}

/* ---- keys */

static void copy_key(const struct place *place, struct gh_ticket_key *out)
{
    struct gh_slice bytes = gh_secret_bytes(place->key);
    assert(bytes.size == sizeof *out);
    memcpy(out, bytes.data, sizeof *out);
}

/* Puts a fresh one first. */
static bool renew(struct gh_tickets *tickets, int64_t now_s)
{
    struct gh_ticket_key key;
    gh_random(&key, sizeof key);
    struct gh_secret *fresh = gh_secret_open(gh_slice((const uint8_t *)&key, sizeof key));
    gh_secret_wipe(&key, sizeof key);
    if (fresh == NULL)
        return false;
    gh_secret_close(tickets->places[KEYS - 1].key);
    memmove(&tickets->places[1], &tickets->places[0], (KEYS - 1) * sizeof tickets->places[0]);
    tickets->places[0] = (struct place){fresh, now_s};
    return true;
}

/* Forgets those whose tickets have all run out: each has sealed for half a life. */
static void forget(struct gh_tickets *tickets, int64_t now_s)
{
    for (size_t i = 1; i < KEYS; i++) {
        struct place *place = &tickets->places[i];
        if (place->key == NULL || now_s - place->from_s <= tickets->life_s + tickets->life_s / 2)
            continue;
        gh_secret_close(place->key);
        *place = (struct place){0};
    }
}

bool gh_tickets_current(struct gh_tickets *tickets, struct gh_ticket_key *out)
{
    int64_t now_s = gh_tickets_now_s(tickets);
    pthread_mutex_lock(&tickets->lock);
    const struct place *first = &tickets->places[0];
    bool done = first->key != NULL && now_s >= first->from_s &&
                now_s - first->from_s <= tickets->life_s / 2;
    if (!done)
        done = renew(tickets, now_s);
    if (done)
        copy_key(first, out);
    forget(tickets, now_s);
    pthread_mutex_unlock(&tickets->lock);
    return done;
}

bool gh_tickets_find(struct gh_tickets *tickets, const uint8_t name[GH_TICKET_NAME_BYTES],
                     struct gh_ticket_key *out)
{
    bool found = false;
    pthread_mutex_lock(&tickets->lock);
    forget(tickets, gh_tickets_now_s(tickets));
    for (size_t i = 0; i < KEYS && !found; i++) {
        const struct place *place = &tickets->places[i];
        found = place->key != NULL &&
                memcmp(gh_secret_bytes(place->key).data, name, GH_TICKET_NAME_BYTES) == 0;
        if (found)
            copy_key(place, out);
    }
    pthread_mutex_unlock(&tickets->lock);
    return found;
}

static_assert(offsetof(struct gh_ticket_key, name) == 0,
              "gh_tickets_find compares the first bytes");

/* ---- the envelope */

static bool encrypt(const struct gh_ticket_key *key, const uint8_t iv[GH_TICKET_IV_BYTES],
                    struct gh_slice text, struct gh_buffer *out)
{
    int first = 0, last = 0;
    uint8_t *to =
        text.size > INT16_MAX ? NULL : gh_buffer_reserve(out, text.size + EVP_MAX_BLOCK_LENGTH);
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(gh_library(), "AES-256-CBC", NULL);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    bool done = to != NULL && cipher != NULL && context != NULL &&
                EVP_EncryptInit_ex2(context, cipher, key->cipher, iv, NULL) == 1 &&
                EVP_EncryptUpdate(context, to, &first, text.data, (int)text.size) == 1 &&
                EVP_EncryptFinal_ex(context, to + first, &last) == 1;
    if (done)
        gh_buffer_commit(out, (size_t)(first + last));
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(cipher);
    ERR_clear_error();
    return done;
}

bool gh_tickets_seal(struct gh_tickets *tickets, struct gh_slice text, struct gh_buffer *out)
{
    uint8_t iv[GH_TICKET_IV_BYTES], mac[MAC_BYTES];
    struct gh_ticket_key key;
    size_t begin = out->size;

    if (!gh_tickets_current(tickets, &key))
        return false;
    gh_random(iv, sizeof iv);
    gh_buffer_put(out, gh_slice(key.name, sizeof key.name));
    gh_buffer_put(out, gh_slice(iv, sizeof iv));
    bool done = encrypt(&key, iv, text, out);
    if (done) {
        gh_hmac_sha256(gh_slice(key.mac, sizeof key.mac),
                       gh_slice_sub(gh_buffer_slice(out), begin, out->size - begin), mac);
        done = gh_buffer_put(out, gh_slice(mac, sizeof mac));
    }
    gh_secret_wipe(&key, sizeof key);
    return done;
}

/* ---- evidence: version, when, how many certificates, each with its length */

bool gh_evidence_print(const struct gh_evidence *evidence, struct gh_buffer *out)
{
    size_t bytes = 0;
    for (size_t i = 0; i < evidence->count; i++)
        bytes += evidence->chain[i].size;
    if (evidence->count > GH_TICKET_CHAIN_MAX || bytes > GH_TICKET_CHAIN_BYTES_MAX)
        return false;
    gh_buffer_u8(out, EVIDENCE_VERSION);
    gh_buffer_u64(out, (uint64_t)evidence->proved_at_s);
    gh_buffer_u8(out, (uint8_t)evidence->count);
    for (size_t i = 0; i < evidence->count; i++)
        gh_buffer_put16(out, evidence->chain[i]);
    return !out->overflow;
}

bool gh_evidence_read(struct gh_slice bytes, struct gh_slice chain[GH_TICKET_CHAIN_MAX],
                      struct gh_evidence *out)
{
    struct gh_cursor at = gh_cursor(bytes);
    uint8_t version, count;
    uint64_t proved_at_s;

    if (!gh_cursor_u8(&at, &version) || version != EVIDENCE_VERSION ||
        !gh_cursor_u64(&at, &proved_at_s) || proved_at_s > INT64_MAX ||
        !gh_cursor_u8(&at, &count) || count > GH_TICKET_CHAIN_MAX)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!gh_cursor_take16(&at, &chain[i]) || chain[i].size == 0)
            return false;
    *out = (struct gh_evidence){(int64_t)proved_at_s, chain, count};
    return gh_cursor_left(&at) == 0;
}
