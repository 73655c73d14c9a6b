#include "crypto/tls.h"
#include "base/slots.h"
#include "crypto/openssl_internal.h"
#include "crypto/tls_internal.h"
#include <arpa/inet.h>
#include <assert.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define CIPHERS_TLS12 "ECDHE+AESGCM:ECDHE+CHACHA20"
#define CIPHERS_TLS13 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define GROUPS "X25519:P-256"

enum {
    SECURITY_LEVEL = 2, /* 112 bits: RSA and DH of 2048 bits at least, no SHA-1 signatures */
    CHAIN_MAX = 8,      /* certificates in a server's chain file */
    CLIENT_CHAIN_BYTES_MAX = 32 * 1024,
};

struct gh_tls_context {
    SSL_CTX *native;
    bool is_server;
    struct gh_slice staple;        /* its own block, or empty */
    struct gh_tickets *tickets;    /* of a server; NULL: nothing is resumed */
    _Atomic(SSL_SESSION *) ticket; /* of a client that resumes: the newest, or NULL */
    atomic_size_t references;
};

/* The newest line of OpenSSL's queue, which is left empty. */
static const char *reason_text(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return text == NULL ? "no reason given" : text;
}

/* Without it OpenSSL would ask for a password on the terminal. */
static int no_password(char *block, int size, int writing, void *context)
{
    (void)block, (void)size, (void)writing, (void)context;
    return -1;
}

static BIO *bio_over(struct gh_slice bytes)
{
    return bytes.size > INT_MAX ? NULL : BIO_new_mem_buf(bytes.data, (int)bytes.size);
}

/* Leaf first, then the certificates that lead to the root. */
static bool use_chain(SSL_CTX *native, struct gh_slice pem)
{
    BIO *bio = bio_over(pem);
    X509 *leaf = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, no_password, NULL);
    bool done = leaf != NULL && SSL_CTX_use_certificate(native, leaf) == 1;

    for (int i = 0; done && i <= CHAIN_MAX; i++) {
        X509 *next = PEM_read_bio_X509(bio, NULL, no_password, NULL);
        if (next == NULL)
            break; /* the end, or text that is no certificate */
        done = i < CHAIN_MAX && SSL_CTX_add1_chain_cert(native, next) == 1;
        X509_free(next);
    }
    X509_free(leaf);
    BIO_free(bio);
    return done;
}

static bool use_key(SSL_CTX *native, struct gh_slice pem)
{
    BIO *bio = bio_over(pem);
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    bool done = key != NULL && SSL_CTX_use_PrivateKey(native, key) == 1;

    EVP_PKEY_free(key);
    BIO_free(bio);
    return done;
}

static bool trust(SSL_CTX *native, struct gh_slice pem)
{
    X509_STORE *store = SSL_CTX_get_cert_store(native);
    size_t count = 0;

    if (pem.size == 0)
        return SSL_CTX_set_default_verify_paths(native) == 1;
    BIO *bio = bio_over(pem);
    for (X509 *anchor; bio != NULL && (anchor = PEM_read_bio_X509(bio, NULL, no_password, NULL));) {
        count += X509_STORE_add_cert(store, anchor) == 1;
        X509_free(anchor);
    }
    BIO_free(bio);
    return count > 0;
}

/* Picks mqtt or http/1.1, in the client's order, when it offers one; h2 when it offers that and
 * neither of them, as gRPC's clients do: browsers and curl offer both, and keep HTTP/1.1. An offer
 * of none of the three is not refused: some device SDKs name protocols of their own cloud, and the
 * first byte decides anyway. */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *size,
                       const unsigned char *offered, unsigned offered_size, void *context)
{
    struct gh_slice rest = gh_slice(offered, offered_size), chosen = {0};
    (void)ssl, (void)context;
    while (rest.size > 0) {
        struct gh_slice name = gh_slice_sub(rest, 1, rest.data[0]);
        rest = gh_slice_sub(rest, 1 + name.size, rest.size);
        if (gh_slice_equal(name, GH_SLICE("h2")))
            chosen = name;
        if (!gh_slice_equal(name, GH_SLICE("mqtt")) && !gh_slice_equal(name, GH_SLICE("http/1.1")))
            continue;
        chosen = name;
        break;
    }
    if (chosen.size == 0)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen.data;
    *size = (unsigned char)chosen.size;
    return SSL_TLSEXT_ERR_OK;
}

/* Every chain passes the handshake; gh_tls_peer_chain hands it to whoever decides. */
static int take_any_chain(X509_STORE_CTX *chain, void *context)
{
    (void)chain, (void)context;
    return 1;
}

static void ask_for_certificate(SSL_CTX *native)
{
    SSL_CTX_set_verify(native, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(native, take_any_chain, NULL);
    SSL_CTX_set_max_cert_list(native, CLIENT_CHAIN_BYTES_MAX);
}

static bool set_rules(SSL_CTX *native, bool is_server)
{
    SSL_CTX_set_security_level(native, SECURITY_LEVEL);
    /* An end without close_notify reads as END: MQTT and HTTP know themselves whether they were
     * cut. */
    SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(native, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                 SSL_MODE_RELEASE_BUFFERS);
    /* One system call for a record's header and its body; the reader asks until WANT_READ. */
    SSL_CTX_set_read_ahead(native, 1);
    SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
    /* The tickets of libssl hold the leaf as an object that is made anew five times for each, and
     * are records under keys that are about to be ours: those that servers give are
     * tls_tickets.c's. */
    bool done = SSL_CTX_set_num_tickets(native, 0) == 1 &&
                SSL_CTX_set_max_early_data(native, 0) == 1 &&
                SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION) == 1 &&
                SSL_CTX_set_cipher_list(native, CIPHERS_TLS12) == 1 &&
                SSL_CTX_set_ciphersuites(native, CIPHERS_TLS13) == 1 &&
                SSL_CTX_set1_groups_list(native, GROUPS) == 1;
    if (is_server) {
        SSL_CTX_set_alpn_select_cb(native, choose_alpn, NULL);
        ask_for_certificate(native);
    } else
        SSL_CTX_set_verify(native, SSL_VERIFY_PEER, NULL);
    return done;
}

static struct gh_tls_context *context_open(bool is_server, struct gh_error *error)
{
    struct gh_tls_context *context = calloc(1, sizeof *context);
    SSL_CTX *native =
        SSL_CTX_new_ex(gh_library(), NULL, is_server ? TLS_server_method() : TLS_client_method());

    if (context == NULL || native == NULL || !set_rules(native, is_server)) {
        gh_error_set(error, GH_ERROR_TLS, "TLS cannot be set up: %s", reason_text());
        SSL_CTX_free(native);
        free(context);
        return NULL;
    }
    *context = (struct gh_tls_context){.native = native, .is_server = is_server, .references = 1};
    return context;
}

static bool present(struct gh_tls_context *context, struct gh_slice cert_pem,
                    struct gh_slice key_pem, struct gh_error *error)
{
    const char *what = NULL;

    if (!use_chain(context->native, cert_pem))
        what = "certificate chain";
    else if (!use_key(context->native, key_pem))
        what = "private key";
    else if (SSL_CTX_check_private_key(context->native) != 1)
        what = "private key for this certificate";
    if (what != NULL) {
        gh_error_set(error, GH_ERROR_TLS, "no usable %s: %s", what, reason_text());
        return false;
    }
    ERR_clear_error(); /* reading a chain ends with "no start line" */
    return true;
}

struct gh_tls_context *gh_tls_server_open(struct gh_slice cert_pem, struct gh_slice key_pem,
                                          struct gh_error *error)
{
    struct gh_tls_context *context = context_open(true, error);

    if (context == NULL || present(context, cert_pem, key_pem, error))
        return context;
    gh_tls_context_unref(context);
    return NULL;
}

static int hand_staple(SSL *ssl, void *given)
{
    const struct gh_tls_context *context = given;
    unsigned char *copy = OPENSSL_memdup(context->staple.data, context->staple.size);
    if (copy == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    (void)SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)context->staple.size);
    return SSL_TLSEXT_ERR_OK;
}

bool gh_tls_server_staple(struct gh_tls_context *context, struct gh_slice answer)
{
    uint8_t *copy = malloc(answer.size + 1);
    if (copy == NULL)
        return false;
    memcpy(copy, answer.data, answer.size);
    context->staple = gh_slice(copy, answer.size);
    (void)SSL_CTX_set_tlsext_status_cb(context->native, hand_staple);
    (void)SSL_CTX_set_tlsext_status_arg(context->native, context);
    return true;
}

bool gh_tls_server_resume(struct gh_tls_context *context, struct gh_tickets *tickets)
{
    assert(context->is_server);
    context->tickets = tickets;
    return tls_tickets_watch(context->native);
}

struct gh_tls_context *gh_tls_client_open(struct gh_slice ca_pem, struct gh_error *error)
{
    struct gh_tls_context *context = context_open(false, error);

    if (context == NULL)
        return NULL;
    if (!trust(context->native, ca_pem)) {
        gh_error_set(error, GH_ERROR_TLS, "no usable trust anchor: %s", reason_text());
        gh_tls_context_unref(context);
        return NULL;
    }
    ERR_clear_error();
    return context;
}

bool gh_tls_client_present(struct gh_tls_context *context, struct gh_slice cert_pem,
                           struct gh_slice key_pem, struct gh_error *error)
{
    return present(context, cert_pem, key_pem, error);
}

/* Takes the session over. */
static int keep_ticket(SSL *ssl, SSL_SESSION *session)
{
    struct gh_tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    SSL_SESSION_free(atomic_exchange(&context->ticket, session));
    return 1;
}

void gh_tls_client_resume(struct gh_tls_context *context)
{
    SSL_CTX_set_app_data(context->native, context);
    SSL_CTX_set_session_cache_mode(context->native,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_clear_options(context->native, SSL_OP_NO_TICKET);
    SSL_CTX_sess_set_new_cb(context->native, keep_ticket);
}

/* It goes back when no newer one has come meanwhile: servers take one more than once. */
static bool show_ticket(SSL *ssl, struct gh_tls_context *context)
{
    SSL_SESSION *none = NULL, *ticket = atomic_exchange(&context->ticket, NULL);
    bool done = ticket == NULL || SSL_set_session(ssl, ticket) == 1;
    if (ticket != NULL && !atomic_compare_exchange_strong(&context->ticket, &none, ticket))
        SSL_SESSION_free(ticket);
    return done;
}

struct gh_tls_context *gh_tls_context_ref(struct gh_tls_context *context)
{
    atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    return context;
}

void gh_tls_context_unref(struct gh_tls_context *context)
{
    if (context == NULL ||
        atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) != 1)
        return;
    SSL_SESSION_free(context->ticket);
    SSL_CTX_free(context->native);
    free((void *)(uintptr_t)context->staple.data);
    free(context);
}

static bool expect_name(SSL *ssl, const char *name)
{
    unsigned char address[sizeof(struct in6_addr)];

    if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

static void drop_unopened(struct gh_tls *tls, SSL *ssl)
{
    SSL_free(ssl);
    gh_slot_give(tls, sizeof *tls);
    ERR_clear_error();
}

struct gh_tls *gh_tls_open(struct gh_tls_context *context, struct gh_tls_desk *desk, int fd,
                           const char *server_name)
{
    struct gh_tls *tls = gh_slot_take(sizeof *tls);
    SSL *ssl = tls == NULL ? NULL : SSL_new(context->native);

    assert(context->is_server == (server_name == NULL));
    if (ssl == NULL || SSL_set_app_data(ssl, tls) != 1 ||
        (server_name != NULL && !(expect_name(ssl, server_name) && show_ticket(ssl, context)))) {
        drop_unopened(tls, ssl);
        return NULL;
    }
    *tls = (struct gh_tls){.native = ssl, .desk = context->is_server ? desk : NULL, .fd = fd};
    if (tls->desk != NULL && !tls_keys_begin(tls, context->tickets))
        tls->desk = NULL; /* OpenSSL does without that memory */
    if (tls->desk == NULL && SSL_set_fd(ssl, fd) != 1) {
        drop_unopened(tls, ssl);
        return NULL;
    }
    if (context->is_server)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    return tls;
}

void gh_tls_close(struct gh_tls *tls)
{
    SSL_free(tls->native);
    tls_keys_free(tls);
    gh_slot_give(tls, sizeof *tls);
}

static enum gh_tls_status status_of(const SSL *ssl, int result)
{
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_NONE:
        return GH_TLS_OK;
    case SSL_ERROR_WANT_READ:
        return GH_TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return GH_TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return GH_TLS_END;
    default:
        return GH_TLS_FAILED;
    }
}

enum gh_tls_status gh_tls_handshake(struct gh_tls *tls, struct gh_error *error)
{
    SSL *ssl = tls->native;

    if (ssl == NULL)
        return GH_TLS_OK; /* it is long done */
    ERR_clear_error();
    struct gh_schedule_secrets *before =
        gh_schedule_listen(tls->shaking == NULL ? NULL : &tls->shaking->secrets);
    enum gh_tls_status status = status_of(ssl, SSL_do_handshake(ssl));
    (void)gh_schedule_listen(before);
    if (status == GH_TLS_OK && !tls_keys_take(tls)) {
        gh_error_set(error, GH_ERROR_MEMORY, "a resumed connection");
        return GH_TLS_FAILED;
    }
    if (status == GH_TLS_END)
        status = GH_TLS_FAILED;
    if (status != GH_TLS_FAILED) {
        tls_keys_rest(tls);
        return status;
    }
    long verdict = SSL_is_server(ssl) == 1 ? X509_V_OK : SSL_get_verify_result(ssl);
    if (verdict != X509_V_OK)
        gh_error_set(error, GH_ERROR_TLS, "the certificate was refused: %s",
                     X509_verify_cert_error_string(verdict));
    else if (ERR_peek_last_error() == 0)
        gh_error_set(error, GH_ERROR_TLS, "the peer closed the connection in the handshake");
    else
        gh_error_set(error, GH_ERROR_TLS, "handshake: %s", reason_text());
    ERR_clear_error();
    return GH_TLS_FAILED;
}

/* Both application secrets are derived with the server's Finished. */
bool gh_tls_has_answered(const struct gh_tls *tls)
{
    return tls->shaking != NULL && tls->shaking->secrets.of[GH_SCHEDULE_SERVER_TRAFFIC].size > 0;
}

enum gh_tls_status gh_tls_read(struct gh_tls *tls, void *block, size_t size, size_t *got)
{
    SSL *ssl = tls->native;

    if (ssl == NULL)
        return tls_keys_read(tls, block, size, got);
    *got = 0;
    ERR_clear_error();
    enum gh_tls_status status = status_of(ssl, SSL_read_ex(ssl, block, size, got));
    if (status == GH_TLS_FAILED)
        ERR_clear_error();
    return status;
}

enum gh_tls_status gh_tls_write(struct gh_tls *tls, struct gh_slice bytes, size_t *sent)
{
    SSL *ssl = tls->native;

    assert(bytes.size > 0);
    if (ssl == NULL)
        return tls_keys_write(tls, bytes, sent);
    *sent = 0;
    ERR_clear_error();
    enum gh_tls_status status = status_of(ssl, SSL_write_ex(ssl, bytes.data, bytes.size, sent));
    if (status == GH_TLS_FAILED)
        ERR_clear_error();
    return status;
}

void gh_tls_shutdown(struct gh_tls *tls)
{
    SSL *ssl = tls->native;

    if (ssl == NULL) {
        tls_keys_shutdown(tls);
        return;
    }
    if (SSL_is_init_finished(ssl))
        (void)SSL_shutdown(ssl); /* the peer's close_notify is not waited for */
    ERR_clear_error();
}

bool gh_tls_is_drained(const struct gh_tls *tls)
{
    return tls->native == NULL && tls->is_drained;
}

bool gh_tls_is_resumed(const struct gh_tls *tls)
{
    return tls->native == NULL ? tls->is_resumed : SSL_session_reused(tls->native) == 1;
}

bool gh_tls_has_peer_certificate(const struct gh_tls *tls)
{
    return tls->native == NULL ? tls_keys_has_peer_certificate(tls)
                               : SSL_get0_peer_certificate(tls->native) != NULL;
}

static bool copy_der(X509 *certificate, struct gh_arena *arena, struct gh_slice *out)
{
    unsigned char *der = NULL;
    int size = i2d_X509(certificate, &der);
    bool copied = size > 0 && gh_arena_copy(arena, gh_slice(der, (size_t)size), out);
    OPENSSL_free(der);
    return copied;
}

bool gh_tls_peer_chain(const struct gh_tls *tls, size_t max, struct gh_arena *arena,
                       struct gh_slice *out, size_t *count)
{
    if (tls->native == NULL)
        return tls_keys_peer_chain(tls, max, arena, out, count);
    X509 *leaf = SSL_get0_peer_certificate(tls->native);
    /* On a server the chain is without the leaf. */
    STACK_OF(X509) *rest = SSL_get_peer_cert_chain(tls->native);
    *count = 0;
    if (leaf == NULL)
        return true;
    if (max == 0 || sk_X509_num(rest) >= (int)max || !copy_der(leaf, arena, &out[(*count)++]))
        return false;
    for (int i = 0; i < sk_X509_num(rest); i++)
        if (!copy_der(sk_X509_value(rest, i), arena, &out[(*count)++]))
            return false;
    return true;
}

struct gh_slice gh_tls_server_name(const struct gh_tls *tls)
{
    if (tls->native == NULL)
        return tls_keys_server_name(tls);
    return gh_slice_text(SSL_get_servername(tls->native, TLSEXT_NAMETYPE_host_name));
}

struct gh_slice gh_tls_alpn(const struct gh_tls *tls)
{
    const unsigned char *name;
    unsigned size;

    if (tls->native == NULL)
        return gh_slice_text(tls->alpn);
    SSL_get0_alpn_selected(tls->native, &name, &size);
    return gh_slice(name, size);
}

const char *gh_tls_version(const struct gh_tls *tls)
{
    return tls->native == NULL ? "TLSv1.3" : SSL_get_version(tls->native);
}

const char *gh_tls_cipher(const struct gh_tls *tls)
{
    return tls->native == NULL ? gh_record_suite_name(gh_record_suite_of(tls->record))
                               : SSL_get_cipher_name(tls->native);
}
