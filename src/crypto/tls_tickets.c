/* Resumption of a server's connections: OpenSSL checks what a client shows, by its own rules and
 * with our keys; the tickets that are given are made here, when the connection's keys have been
 * taken over. OpenSSL's way to make them costs more than a signature. */
#include "base/secret.h"
#include "crypto/openssl_internal.h"
#include "crypto/tls_internal.h"
#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

enum {
    NEW_SESSION_TICKET = 4, /* HandshakeType */
    HEAD_BYTES = 4,
    PSK_DHE_KE = 1,
    EVIDENCE_BYTES_MAX = GH_TICKET_CHAIN_BYTES_MAX + 64,
    SESSION_BYTES_MAX = EVIDENCE_BYTES_MAX + 512,
    MESSAGE_BYTES_MAX = SESSION_BYTES_MAX + 256,
};
static_assert((int)MESSAGE_BYTES_MAX <= (int)GH_RECORD_TEXT_MAX, "it is sent in one record");

/* What a ticket is good for: any server context of ours (RFC 8446 does not tell servers apart). */
static const unsigned char purpose[] = "gatehouse";

static struct tls_shaking *shaking_of(const SSL *ssl)
{
    const struct gh_tls *tls = SSL_get_app_data(ssl);
    return tls == NULL ? NULL : tls->shaking;
}

/* ---- what is shown */

static bool offers_ecdhe(SSL *ssl)
{
    const unsigned char *modes;
    size_t size;
    return SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_psk_kex_modes, &modes, &size) == 1 &&
           size > 1 && memchr(modes + 1, PSK_DHE_KE, size - 1) != NULL;
}

/* A session of small records (RFC 6066 §4) cannot be resumed from what is in our tickets. */
static bool wants_small_records(SSL *ssl)
{
    const unsigned char *value;
    size_t size;
    return SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_max_fragment_length, &value, &size) == 1;
}

/* Without the option OpenSSL would give tickets of its own to TLS 1.2; with it none are looked at.
 */
static int see_hello(SSL *ssl, int *alert, void *context)
{
    struct tls_shaking *shaking = shaking_of(ssl);
    (void)alert, (void)context;
    if (shaking == NULL || shaking->tickets == NULL)
        return SSL_CLIENT_HELLO_SUCCESS;
    const unsigned char *value;
    size_t size;
    shaking->takes_ticket = offers_ecdhe(ssl) && !wants_small_records(ssl);
    if (shaking->takes_ticket &&
        SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_psk, &value, &size) == 1)
        SSL_clear_options(ssl, SSL_OP_NO_TICKET);
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* 1: here is the key; 0: none, so a full handshake. */
static int give_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                    EVP_MAC_CTX *mac, int seals)
{
    const struct tls_shaking *shaking = shaking_of(ssl);
    struct gh_ticket_key key;
    if (seals != 0 || shaking == NULL || !gh_tickets_find(shaking->tickets, name, &key))
        return 0;
    EVP_CIPHER *method = EVP_CIPHER_fetch(gh_library(), "AES-256-CBC", NULL);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac, sizeof key.mac),
        OSSL_PARAM_construct_end()};
    bool done = method != NULL && EVP_MAC_CTX_set_params(mac, params) == 1 &&
                EVP_DecryptInit_ex2(cipher, method, key.cipher, iv, NULL) == 1;
    EVP_CIPHER_free(method);
    gh_secret_wipe(&key, sizeof key);
    return done;
}

static bool evidence_of(SSL_SESSION *session, struct gh_slice chain[GH_TICKET_CHAIN_MAX],
                        struct gh_evidence *out)
{
    void *data = NULL;
    size_t size = 0;
    return SSL_SESSION_get0_ticket_appdata(session, &data, &size) == 1 &&
           gh_evidence_read(gh_slice(data, size), chain, out);
}

bool tls_tickets_evidence(const SSL *ssl, struct gh_slice chain[GH_TICKET_CHAIN_MAX],
                          struct gh_evidence *out)
{
    return evidence_of(SSL_get_session(ssl), chain, out);
}

/* Whether what OpenSSL has opened may be used, or a full handshake is due. */
static SSL_TICKET_RETURN judge(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                               size_t name_size, SSL_TICKET_STATUS status, void *context)
{
    const struct tls_shaking *shaking = shaking_of(ssl);
    struct gh_slice chain[GH_TICKET_CHAIN_MAX];
    struct gh_evidence evidence;
    (void)name, (void)name_size, (void)context;
    bool good = (status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW) &&
                shaking != NULL && shaking->tickets != NULL &&
                evidence_of(session, chain, &evidence) &&
                gh_tickets_left_s(shaking->tickets, evidence.proved_at_s) > 0;
    return good ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_IGNORE;
}

bool tls_tickets_watch(SSL_CTX *native)
{
    SSL_CTX_set_client_hello_cb(native, see_hello, NULL);
    return SSL_CTX_set_session_id_context(native, purpose, sizeof purpose - 1) == 1 &&
           SSL_CTX_set_tlsext_ticket_key_evp_cb(native, give_key) == 1 &&
           SSL_CTX_set_session_ticket_cb(native, NULL, judge, NULL) == 1;
}

/* ---- what is given */

/* Of this connection. */
static bool print_evidence(const struct gh_tls *tls, struct gh_buffer *out, int64_t *left_s)
{
    struct gh_slice chain[GH_TICKET_CHAIN_MAX];
    struct gh_tickets *tickets = tls->shaking->tickets;
    struct gh_evidence evidence = {gh_tickets_now_s(tickets), tls->shown->chain, tls->shown->count};
    if (SSL_session_reused(tls->native) == 1 &&
        !tls_tickets_evidence(tls->native, chain, &evidence))
        return false;
    *left_s = gh_tickets_left_s(tickets, evidence.proved_at_s);
    return *left_s > 0 && gh_evidence_print(&evidence, out);
}

/* What OpenSSL is to find in the ticket: its own form of a session. */
static bool print_session(SSL *ssl, struct gh_slice key, struct gh_slice evidence, int64_t left_s,
                          struct gh_buffer *out)
{
    SSL_SESSION *session = SSL_SESSION_new();
    bool made = session != NULL && SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1 &&
                SSL_SESSION_set_cipher(session, SSL_get_current_cipher(ssl)) == 1 &&
                SSL_SESSION_set1_master_key(session, key.data, key.size) == 1 &&
                SSL_SESSION_set1_id_context(session, purpose, sizeof purpose - 1) == 1 &&
                SSL_SESSION_set1_ticket_appdata(session, evidence.data, evidence.size) == 1 &&
                SSL_SESSION_set_timeout(session, (long)left_s) == 1;
    int size = made ? i2d_SSL_SESSION(session, NULL) : 0;
    unsigned char *to = size > 0 ? gh_buffer_reserve(out, (size_t)size) : NULL;
    bool done = to != NULL && i2d_SSL_SESSION(session, &to) == size;
    if (done)
        gh_buffer_commit(out, (size_t)size);
    SSL_SESSION_free(session);
    ERR_clear_error();
    return done;
}

/* The key that the next handshake is to prove (RFC 8446 §4.6.1). A connection gives one ticket, so
 * its nonce need not tell it from others. */
static bool derive_key(const struct gh_tls *tls, const uint8_t nonce[1], uint8_t *out, size_t *size)
{
    const struct gh_schedule_secrets *secrets = &tls->shaking->secrets;
    enum gh_digest hash = gh_record_suite_hash(gh_record_suite_of(tls->record));
    struct gh_slice secret = gh_slice(secrets->of[GH_SCHEDULE_RESUMPTION].bytes,
                                      secrets->of[GH_SCHEDULE_RESUMPTION].size);
    *size = gh_digest_bytes(hash);
    return secret.size == *size &&
           gh_schedule_expand(hash, secret, GH_SLICE("resumption"), gh_slice(nonce, 1), out, *size);
}

/* The whole message, its length still to be written. */
static bool print_message(struct gh_tls *tls, struct gh_buffer *session, struct gh_buffer *out)
{
    static const uint8_t nonce[1] = {0};
    GH_UNINITIALIZED uint8_t block[EVIDENCE_BYTES_MAX];
    uint8_t key[GH_SCHEDULE_SECRET_MAX], age_add[4];
    struct gh_buffer evidence = gh_buffer_fixed(block, sizeof block), ticket;
    size_t key_size;
    int64_t left_s = 0;

    bool done = print_evidence(tls, &evidence, &left_s) && derive_key(tls, nonce, key, &key_size) &&
                print_session(tls->native, gh_slice(key, key_size), gh_buffer_slice(&evidence),
                              left_s, session);
    gh_secret_wipe(key, sizeof key);
    gh_random(age_add, sizeof age_add);
    gh_buffer_init(&ticket, MESSAGE_BYTES_MAX);
    done = done && gh_tickets_seal(tls->shaking->tickets, gh_buffer_slice(session), &ticket);
    gh_buffer_u32(out, (uint32_t)NEW_SESSION_TICKET << 24);
    gh_buffer_u32(out, (uint32_t)left_s);
    gh_buffer_put(out, gh_slice(age_add, sizeof age_add));
    gh_buffer_u8(out, sizeof nonce);
    gh_buffer_put(out, gh_slice(nonce, sizeof nonce));
    gh_buffer_put16(out, gh_buffer_slice(&ticket));
    gh_buffer_u16(out, 0); /* extensions: no early data */
    gh_buffer_deinit(&ticket);
    return done && !out->overflow;
}

void tls_tickets_make(struct gh_tls *tls)
{
    struct gh_buffer session, message;
    if (tls->shaking->tickets == NULL || !tls->shaking->takes_ticket)
        return;
    gh_buffer_init(&session, SESSION_BYTES_MAX);
    gh_buffer_init(&message, MESSAGE_BYTES_MAX);
    bool done = print_message(tls, &session, &message);
    tls->ticket = done ? malloc(sizeof *tls->ticket + message.size) : NULL;
    if (tls->ticket != NULL) {
        size_t body = message.size - HEAD_BYTES;
        tls->ticket->size = message.size;
        memcpy(tls->ticket->bytes, message.data, message.size);
        for (size_t i = 1; i < HEAD_BYTES; i++)
            tls->ticket->bytes[i] = (uint8_t)(body >> (8 * (HEAD_BYTES - 1 - i)));
    }
    if (session.data != NULL)
        gh_secret_wipe(session.data, session.capacity);
    gh_buffer_deinit(&session);
    gh_buffer_deinit(&message);
}
