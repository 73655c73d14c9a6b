/* Both ends in one thread over a socket pair. The hostile ends are OpenSSL's own, with rules of
 * their own. */
#include "base/time.h"
#include "crypto/authority.h"
#include "crypto/certificate.h"
#include "crypto/key.h"
#include "crypto/ticket.h"
#include "crypto/tls.h"
#include "tests/check.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PEM_MAX = 8192, STEPS_MAX = 100 };

struct pki {
    struct gh_buffer ca, certificate, expired, key, other_ca, other_key;
};

static struct pki pki;

static void make_root(struct gh_buffer *ca, struct gh_buffer *key, int64_t now_s)
{
    struct gh_validity validity = {now_s - 30 * 86400, now_s + 86400};
    gh_buffer_init(ca, PEM_MAX);
    gh_buffer_init(key, PEM_MAX);
    REQUIRE("a root", gh_authority_create(GH_SLICE("Test root"), validity, key, ca, NULL) == GH_OK);
}

static void issue(const struct gh_authority *authority, struct gh_slice public_key,
                  struct gh_validity validity, struct gh_buffer *out)
{
    struct gh_slice names[] = {GH_SLICE("gate.example"), GH_SLICE("*.wild.example"),
                               GH_SLICE("127.0.0.1"), GH_SLICE("::1")};
    struct gh_leaf leaf = {.common_name = GH_SLICE("gate.example"),
                           .public_key_pem = public_key,
                           .names = names,
                           .names_count = GH_COUNT(names),
                           .validity = validity};
    struct gh_error error = {0};
    gh_buffer_init(out, PEM_MAX);
    if (gh_authority_issue(authority, &leaf, out, &error) != GH_OK)
        printf("%s\n", error.text);
    REQUIRE("a leaf", out->size > 0);
}

static void make_pki(void)
{
    int64_t now_s = gh_time_utc_ms() / 1000;
    struct gh_buffer ca_key, other_ca_key, public_key;

    make_root(&pki.ca, &ca_key, now_s);
    make_root(&pki.other_ca, &other_ca_key, now_s);
    gh_buffer_init(&pki.key, PEM_MAX);
    gh_buffer_init(&pki.other_key, PEM_MAX);
    gh_buffer_init(&public_key, PEM_MAX);
    struct gh_private_key *key = gh_private_key_generate(GH_KEY_P256, NULL);
    struct gh_private_key *other = gh_private_key_generate(GH_KEY_P256, NULL);
    REQUIRE("keys", key != NULL && other != NULL && gh_private_key_print(key, &pki.key) &&
                        gh_private_key_print(other, &pki.other_key) &&
                        gh_private_key_print_public(key, &public_key));
    struct gh_authority *authority =
        gh_authority_open(gh_buffer_slice(&pki.ca), gh_buffer_slice(&ca_key), NULL);
    REQUIRE("an authority", authority != NULL);
    issue(authority, gh_buffer_slice(&public_key), (struct gh_validity){now_s - 60, now_s + 3600},
          &pki.certificate);
    issue(authority, gh_buffer_slice(&public_key), (struct gh_validity){now_s - 7200, now_s - 3600},
          &pki.expired);
    gh_authority_close(authority);
    gh_private_key_close(key);
    gh_private_key_close(other);
    gh_buffer_deinit(&ca_key);
    gh_buffer_deinit(&other_ca_key);
    gh_buffer_deinit(&public_key);
}

static void free_pki(void)
{
    struct gh_buffer *all[] = {&pki.ca,  &pki.certificate, &pki.expired,
                               &pki.key, &pki.other_ca,    &pki.other_key};
    for (size_t i = 0; i < GH_COUNT(all); i++)
        gh_buffer_deinit(all[i]);
}

static struct gh_slice of(const struct gh_buffer *buffer)
{
    return gh_buffer_slice(buffer);
}

/* Of the servers; NULL: OpenSSL keeps their connections. */
static struct gh_tls_desk *desk;

struct pair {
    int fds[2];
    struct gh_tls *server, *client;
};

static void pair_open(struct pair *pair, struct gh_tls_context *server,
                      struct gh_tls_context *client, const char *name)
{
    REQUIRE("sockets", socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair->fds) == 0);
    pair->server = gh_tls_open(server, desk, pair->fds[0], NULL);
    pair->client = client == NULL ? NULL : gh_tls_open(client, NULL, pair->fds[1], name);
    REQUIRE("both ends", pair->server != NULL && (client == NULL) == (pair->client == NULL));
}

static void pair_close(struct pair *pair)
{
    gh_tls_close(pair->server);
    if (pair->client != NULL)
        gh_tls_close(pair->client);
    close(pair->fds[0]);
    close(pair->fds[1]);
}

static bool is_waiting(enum gh_tls_status status)
{
    return status == GH_TLS_WANT_READ || status == GH_TLS_WANT_WRITE;
}

/* True when both ends say so; `error` is the client's. */
static bool shake(struct pair *pair, struct gh_error *error)
{
    enum gh_tls_status server = GH_TLS_WANT_READ, client = GH_TLS_WANT_WRITE;
    for (int i = 0; i < STEPS_MAX && (is_waiting(server) || is_waiting(client)); i++) {
        if (is_waiting(client))
            client = gh_tls_handshake(pair->client, error);
        if (is_waiting(server))
            server = gh_tls_handshake(pair->server, NULL);
    }
    return server == GH_TLS_OK && client == GH_TLS_OK;
}

static const struct {
    const char *claim, *name;
    bool knows_root, is_expired, connects;
    const char *words;
} trust[] = {
    {"a name", "gate.example", true, false, true, ""},
    {"a wildcard", "a.wild.example", true, false, true, ""},
    {"an IPv4 address", "127.0.0.1", true, false, true, ""},
    {"an IPv6 address", "::1", true, false, true, ""},
    {"another name", "other.example", true, false, false, "hostname mismatch"},
    {"a name below", "a.gate.example", true, false, false, "hostname mismatch"},
    {"two labels under a wildcard", "a.b.wild.example", true, false, false, "hostname mismatch"},
    {"another address", "127.0.0.2", true, false, false, "IP address mismatch"},
    {"an unknown root", "gate.example", false, false, false, "certificate"},
    {"an expired leaf", "gate.example", true, true, false, "expired"},
};

static void each_trust(void)
{
    for (size_t i = 0; i < GH_COUNT(trust); i++) {
        struct gh_tls_context *server = gh_tls_server_open(
            of(trust[i].is_expired ? &pki.expired : &pki.certificate), of(&pki.key), NULL);
        struct gh_tls_context *client =
            gh_tls_client_open(of(trust[i].knows_root ? &pki.ca : &pki.other_ca), NULL);
        struct gh_error error = {0};
        struct pair pair;
        REQUIRE("contexts", server != NULL && client != NULL);
        pair_open(&pair, server, client, trust[i].name);
        gh_tls_context_unref(server); /* connections keep what they need */
        gh_tls_context_unref(client);
        CHECK(trust[i].claim, shake(&pair, &error) == trust[i].connects);
        if (!trust[i].connects) {
            CHECK(trust[i].claim, error.code == GH_ERROR_TLS);
            if (!CHECK(trust[i].claim, strstr(error.text, trust[i].words) != NULL))
                printf("%s\n", error.text);
        }
        pair_close(&pair);
    }
}

static void contexts(void)
{
    const struct {
        const char *claim;
        struct gh_slice certificate, key;
    } rows[] = {
        {"no certificate", GH_SLICE(""), of(&pki.key)},
        {"no PEM", GH_SLICE("hello"), of(&pki.key)},
        {"half a certificate", gh_slice_sub(of(&pki.certificate), 0, 200), of(&pki.key)},
        {"no key", of(&pki.certificate), GH_SLICE("")},
        {"a certificate as key", of(&pki.certificate), of(&pki.certificate)},
        {"the key of another", of(&pki.certificate), of(&pki.other_key)},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        struct gh_error error = {0};
        CHECK(rows[i].claim, gh_tls_server_open(rows[i].certificate, rows[i].key, &error) == NULL);
        CHECK(rows[i].claim, error.code == GH_ERROR_TLS && error.text[0] != '\0');
        CHECK("OpenSSL's queue is left empty", ERR_peek_error() == 0);
    }
    struct gh_error error = {0};
    CHECK("no trust anchor",
          gh_tls_client_open(GH_SLICE("nothing"), &error) == NULL && error.code == GH_ERROR_TLS);
    struct gh_tls_context *system_wide = gh_tls_client_open(GH_SLICE(""), &error);
    CHECK("the system's anchors", system_wide != NULL);
    gh_tls_context_unref(system_wide);
    gh_tls_context_unref(NULL);
}

/* One end writes until the socket is full, the other reads it all. */
static void bytes(void)
{
    static uint8_t sent[300000], got[300000];
    struct gh_tls_context *server = gh_tls_server_open(of(&pki.certificate), of(&pki.key), NULL);
    struct gh_tls_context *client = gh_tls_client_open(of(&pki.ca), NULL);
    struct pair pair;
    size_t written = 0, read = 0, count;

    pair_open(&pair, server, client, "gate.example");
    REQUIRE("shaken", shake(&pair, NULL));
    CHECK("1.3 among ourselves", strcmp(gh_tls_version(pair.server), "TLSv1.3") == 0);
    CHECK("SNI", gh_slice_equal(gh_tls_server_name(pair.server), GH_SLICE("gate.example")));
    CHECK("no ALPN", gh_tls_alpn(pair.server).size == 0);
    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (uint8_t)(i * 7 + i / 251);
    CHECK("nothing to read yet",
          gh_tls_read(pair.client, got, sizeof got, &count) == GH_TLS_WANT_READ);
    for (int i = 0; i < 10000 && read < sizeof sent; i++) {
        if (written < sizeof sent) {
            /* A copy elsewhere: the memory may move between two attempts. */
            uint8_t moved[5000];
            size_t size =
                sizeof sent - written < sizeof moved ? sizeof sent - written : sizeof moved;
            memcpy(moved, sent + written, size);
            enum gh_tls_status status = gh_tls_write(pair.server, gh_slice(moved, size), &count);
            CHECK("written or waiting", status == GH_TLS_OK || status == GH_TLS_WANT_WRITE);
            written += count;
            if (status == GH_TLS_OK)
                continue;
        }
        enum gh_tls_status status = gh_tls_read(pair.client, got + read, sizeof got - read, &count);
        CHECK("read or waiting", status == GH_TLS_OK || status == GH_TLS_WANT_READ);
        read += count;
    }
    CHECK("all of it, in order", read == sizeof sent && memcmp(sent, got, sizeof sent) == 0);
    gh_tls_shutdown(pair.server);
    CHECK("close_notify", gh_tls_read(pair.client, got, 1, &count) == GH_TLS_END);
    CHECK("the other direction lives on",
          gh_tls_write(pair.client, GH_SLICE("bye"), &count) == GH_TLS_OK && count == 3);
    close(pair.fds[1]);
    pair.fds[1] = dup(0);
    CHECK("it arrives", gh_tls_read(pair.server, got, 8, &count) == GH_TLS_OK && count == 3);
    CHECK("a socket that is just closed", gh_tls_read(pair.server, got, 8, &count) == GH_TLS_END);
    pair_close(&pair);
    gh_tls_context_unref(server);
    gh_tls_context_unref(client);
}

/* Clients by OpenSSL that offer one thing alone. */
static const struct {
    const char *claim;
    int version_min, version_max;
    const char *ciphers, *suites, *groups;
    bool connects;
} offers[] = {
    {"TLS 1.3", TLS1_3_VERSION, 0, NULL, NULL, NULL, true},
    {"TLS 1.2 with forward secrecy", TLS1_2_VERSION, TLS1_2_VERSION,
     "ECDHE-ECDSA-AES128-GCM-SHA256", NULL, NULL, true},
    {"TLS 1.2 with ChaCha20", TLS1_2_VERSION, TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305", NULL,
     NULL, true},
    {"P-256 alone", TLS1_2_VERSION, 0, NULL, NULL, "P-256", true},
    {"CBC", TLS1_2_VERSION, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256", NULL, NULL, false},
    {"no forward secrecy", TLS1_2_VERSION, TLS1_2_VERSION, "AES128-GCM-SHA256", NULL, NULL, false},
    {"finite-field DH", TLS1_2_VERSION, TLS1_2_VERSION, "DHE-RSA-AES128-GCM-SHA256", NULL, NULL,
     false},
    {"TLS 1.1", TLS1_1_VERSION, TLS1_1_VERSION, "ALL:@SECLEVEL=0", NULL, NULL, false},
    {"a group that is not ours", TLS1_2_VERSION, 0, NULL, NULL, "P-521", false},
    {"CCM", TLS1_3_VERSION, 0, NULL, "TLS_AES_128_CCM_SHA256", NULL, false},
};

static SSL *native_client(size_t i, int fd)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (offers[i].version_max == TLS1_1_VERSION)
        SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_min_proto_version(context, offers[i].version_min);
    SSL_CTX_set_max_proto_version(context, offers[i].version_max);
    if (offers[i].ciphers != NULL)
        REQUIRE(offers[i].claim, SSL_CTX_set_cipher_list(context, offers[i].ciphers) == 1);
    if (offers[i].suites != NULL)
        REQUIRE(offers[i].claim, SSL_CTX_set_ciphersuites(context, offers[i].suites) == 1);
    if (offers[i].groups != NULL)
        REQUIRE(offers[i].claim, SSL_CTX_set1_groups_list(context, offers[i].groups) == 1);
    SSL *ssl = SSL_new(context);
    SSL_CTX_free(context);
    SSL_set_fd(ssl, fd);
    SSL_set_connect_state(ssl);
    return ssl;
}

static bool shake_native(struct gh_tls *server, SSL *client)
{
    enum gh_tls_status status = GH_TLS_WANT_READ;
    int done = 0;
    for (int i = 0; i < STEPS_MAX && (is_waiting(status) || done != 1); i++) {
        ERR_clear_error();
        done = SSL_do_handshake(client);
        if (is_waiting(status))
            status = gh_tls_handshake(server, NULL);
        if (status == GH_TLS_FAILED)
            break;
    }
    ERR_clear_error();
    return done == 1 && status == GH_TLS_OK;
}

static void each_offer(void)
{
    struct gh_tls_context *server = gh_tls_server_open(of(&pki.certificate), of(&pki.key), NULL);
    for (size_t i = 0; i < GH_COUNT(offers); i++) {
        struct pair pair;
        pair_open(&pair, server, NULL, NULL);
        SSL *client = native_client(i, pair.fds[1]);
        bool connects = shake_native(pair.server, client);
        CHECK(offers[i].claim, connects == offers[i].connects);
        if (connects) {
            CHECK("nothing to resume", !SSL_SESSION_has_ticket(SSL_get_session(client)));
            size_t got;
            uint8_t byte;
            CHECK("no ticket behind the handshake",
                  recv(pair.fds[1], &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN);
            if (SSL_version(client) == TLS1_2_VERSION) {
                CHECK("the client asks to renegotiate",
                      SSL_renegotiate(client) == 1 && SSL_do_handshake(client) != 0);
                CHECK("and is not obeyed", gh_tls_read(pair.server, &byte, 1, &got) != GH_TLS_OK);
            }
        }
        SSL_free(client);
        pair_close(&pair);
    }
    gh_tls_context_unref(server);
}

static const struct {
    const char *claim, *offered, *chosen;
    size_t size;
} alpns[] = {
    {"http/1.1", "\x08http/1.1", "http/1.1", 9},
    {"mqtt", "\x04mqtt", "mqtt", 5},
    {"the client's first", "\x02h2\x04mqtt\x08http/1.1", "mqtt", 17},
    {"h2 comes last", "\x02h2\x08http/1.1", "http/1.1", 12},
    {"h2 alone", "\x02h2", "h2", 3},
    {"h2 among strangers", "\x08grpc-exp\x02h2", "h2", 12},
    {"neither is no refusal", "\x0ex-amzn-mqtt-ca", "", 15},
};

static void each_alpn(void)
{
    struct gh_tls_context *server = gh_tls_server_open(of(&pki.certificate), of(&pki.key), NULL);
    for (size_t i = 0; i < GH_COUNT(alpns); i++) {
        struct pair pair;
        pair_open(&pair, server, NULL, NULL);
        SSL *client = native_client(0, pair.fds[1]);
        SSL_set_alpn_protos(client, (const unsigned char *)alpns[i].offered,
                            (unsigned)alpns[i].size);
        CHECK(alpns[i].claim, shake_native(pair.server, client));
        CHECK(alpns[i].claim,
              gh_slice_equal(gh_tls_alpn(pair.server), gh_slice_text(alpns[i].chosen)));
        SSL_free(client);
        pair_close(&pair);
    }
    gh_tls_context_unref(server);
}

/* Whatever comes instead of a handshake is refused with words, and nothing of it stays behind. */
static void garbage(void)
{
    static const char *const texts[] = {"GET / HTTP/1.1\r\n\r\n", "\x10\x0c\x04MQTT....",
                                        "\x16\x03\x01\xff\xff.........",
                                        "\x80\x09\x01\x03\x01......"};
    struct gh_tls_context *server = gh_tls_server_open(of(&pki.certificate), of(&pki.key), NULL);
    for (size_t i = 0; i < GH_COUNT(texts); i++) {
        struct gh_error error = {0};
        struct pair pair;
        pair_open(&pair, server, NULL, NULL);
        CHECK("sent", write(pair.fds[1], texts[i], strlen(texts[i])) > 0);
        CHECK("refused", gh_tls_handshake(pair.server, &error) == GH_TLS_FAILED);
        CHECK("with words", error.code == GH_ERROR_TLS && error.text[0] != '\0');
        CHECK("OpenSSL's queue is left empty", ERR_peek_error() == 0);
        pair_close(&pair);
    }
    gh_tls_context_unref(server);
}

/* ---- OpenSSL's client against a server that keeps keys alone */

static const struct {
    const char *claim, *suite;
    int fragment; /* RFC 6066 §4; 0: not asked for */
    size_t size;  /* of what is sent at a time */
} talks[] = {
    {"AES-128-GCM", "TLS_AES_128_GCM_SHA256", 0, 100},
    {"AES-256-GCM", "TLS_AES_256_GCM_SHA384", 0, 40000},
    {"ChaCha20-Poly1305", "TLS_CHACHA20_POLY1305_SHA256", 0, 16384},
    {"records of 512 bytes", "TLS_AES_128_GCM_SHA256", TLSEXT_max_fragment_length_512, 5000},
};

static SSL *talker(size_t i, int fd)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    REQUIRE(talks[i].claim, SSL_CTX_set_ciphersuites(context, talks[i].suite) == 1);
    if (talks[i].fragment != 0)
        REQUIRE(talks[i].claim,
                SSL_CTX_set_tlsext_max_fragment_length(context, (uint8_t)talks[i].fragment) == 1);
    SSL *ssl = SSL_new(context);
    SSL_CTX_free(context);
    SSL_set_fd(ssl, fd);
    SSL_set_connect_state(ssl);
    return ssl;
}

/* Sends `size` bytes from the client and has the server send them back; it reads into a block of
 * odd size, so that records are handed out in pieces. */
static bool echo(struct pair *pair, SSL *client, size_t size)
{
    static uint8_t sent[65536], seen[65536], back[65536];
    size_t written = 0, read = 0, returned = 0, got = 0, count;
    for (size_t i = 0; i < size; i++)
        sent[i] = (uint8_t)(i * 31 + size);
    for (int i = 0; i < 100000 && got < size; i++) {
        if (written < size && SSL_write_ex(client, sent + written, size - written, &count) == 1)
            written += count;
        size_t room = size - read < 777 ? size - read : 777;
        if (room > 0 && gh_tls_read(pair->server, seen + read, room, &count) == GH_TLS_OK)
            read += count;
        if (returned < read &&
            gh_tls_write(pair->server, gh_slice(seen + returned, read - returned), &count) ==
                GH_TLS_OK)
            returned += count;
        if (SSL_read_ex(client, back + got, size - got, &count) == 1)
            got += count;
        ERR_clear_error();
    }
    return got == size && memcmp(sent, back, size) == 0;
}

static void each_talk(void)
{
    struct gh_tls_context *server = gh_tls_server_open(of(&pki.certificate), of(&pki.key), NULL);
    for (size_t i = 0; i < GH_COUNT(talks); i++) {
        uint8_t byte;
        size_t count;
        struct pair pair;
        pair_open(&pair, server, NULL, NULL);
        SSL *client = talker(i, pair.fds[1]);
        REQUIRE(talks[i].claim, shake_native(pair.server, client));
        CHECK("one suite", strcmp(gh_tls_cipher(pair.server), talks[i].suite) == 0);
        CHECK("one version", strcmp(gh_tls_version(pair.server), "TLSv1.3") == 0);
        CHECK("nobody has shown anything", !gh_tls_has_peer_certificate(pair.server) &&
                                               gh_tls_server_name(pair.server).size == 0);
        for (int round = 0; round < 6; round++) {
            int kind = round % 2 == 0 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED;
            CHECK("new keys", SSL_key_update(client, kind) == 1);
            CHECK(talks[i].claim, echo(&pair, client, talks[i].size + (size_t)round));
        }
        CHECK("close_notify of the client", SSL_shutdown(client) == 0);
        CHECK("ends the reading", gh_tls_read(pair.server, &byte, 1, &count) == GH_TLS_END);
        gh_tls_shutdown(pair.server);
        CHECK("close_notify of the server", SSL_shutdown(client) == 1);
        SSL_free(client);
        pair_close(&pair);
    }
    gh_tls_context_unref(server);
}

/* A connection that stays OpenSSL's has long records again, though its handshake had short ones. */
static void left_to_openssl(void)
{
    enum { LONGEST = 16384 };
    static uint8_t text[LONGEST], seen[LONGEST];
    struct gh_tls_context *server = gh_tls_server_open(of(&pki.certificate), of(&pki.key), NULL);
    size_t count;
    struct pair pair;
    pair_open(&pair, server, NULL, NULL);
    SSL *client = talker(0, pair.fds[1]);
    REQUIRE("TLS 1.2", SSL_set_max_proto_version(client, TLS1_2_VERSION) == 1);
    for (int i = 0; i < 2; i++) {
        (void)SSL_do_handshake(client);
        (void)!gh_tls_handshake(pair.server, NULL);
    }
    CHECK("shaken", SSL_do_handshake(client) == 1);
    CHECK("a long text is sent",
          gh_tls_write(pair.server, gh_slice(text, sizeof text), &count) == GH_TLS_OK &&
              count == sizeof text);
    CHECK("as one record", SSL_read(client, seen, sizeof seen) == LONGEST);
    SSL_free(client);
    pair_close(&pair);
    gh_tls_context_unref(server);
}

/* What the client sends right behind its Finished is the first that is read. */
static void eager(void)
{
    struct gh_tls_context *server = gh_tls_server_open(of(&pki.certificate), of(&pki.key), NULL);
    uint8_t block[64];
    size_t count;
    struct pair pair;
    pair_open(&pair, server, NULL, NULL);
    SSL *client = talker(0, pair.fds[1]);
    (void)SSL_do_handshake(client);
    CHECK("the flight", gh_tls_handshake(pair.server, NULL) == GH_TLS_WANT_READ);
    CHECK("Finished and text", SSL_do_handshake(client) == 1 && SSL_write(client, "hello", 5) == 5);
    CHECK("shaken", gh_tls_handshake(pair.server, NULL) == GH_TLS_OK);
    CHECK("the text", gh_tls_read(pair.server, block, sizeof block, &count) == GH_TLS_OK &&
                          gh_slice_equal(gh_slice(block, count), GH_SLICE("hello")));
    CHECK("no more", gh_tls_read(pair.server, block, sizeof block, &count) == GH_TLS_WANT_READ);
    CHECK("new keys and nothing behind them",
          SSL_key_update(client, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(client) == 1);
    CHECK("no text", gh_tls_read(pair.server, block, sizeof block, &count) == GH_TLS_WANT_READ);
    CHECK("text under them",
          SSL_write(client, "again", 5) == 5 &&
              gh_tls_read(pair.server, block, sizeof block, &count) == GH_TLS_OK);
    CHECK("the answer", gh_tls_write(pair.server, GH_SLICE("yes"), &count) == GH_TLS_OK &&
                            SSL_read(client, block, sizeof block) == 3);
    SSL_free(client);
    pair_close(&pair);
    gh_tls_context_unref(server);
}

/* A record that somebody has changed ends both sides. */
static void tampered(void)
{
    struct gh_tls_context *server = gh_tls_server_open(of(&pki.certificate), of(&pki.key), NULL);
    static const uint8_t record[] = {23,  3,   3,   0,   20,  'x', 'x', 'x', 'x',
                                     'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x',
                                     'x', 'x', 'x', 'x', 'x', 'x', 'x'};
    uint8_t block[64];
    size_t count;
    struct pair pair;
    pair_open(&pair, server, NULL, NULL);
    SSL *client = talker(0, pair.fds[1]);
    REQUIRE("shaken", shake_native(pair.server, client));
    CHECK("sent", write(pair.fds[1], record, sizeof record) == (ssize_t)sizeof record);
    CHECK("refused", gh_tls_read(pair.server, block, sizeof block, &count) == GH_TLS_FAILED);
    CHECK("for ever", gh_tls_read(pair.server, block, sizeof block, &count) == GH_TLS_FAILED &&
                          gh_tls_write(pair.server, GH_SLICE("x"), &count) == GH_TLS_FAILED);
    CHECK("the client is told",
          SSL_read(client, block, sizeof block) <= 0 &&
              ERR_GET_REASON(ERR_peek_error()) == SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
    ERR_clear_error();
    SSL_free(client);
    pair_close(&pair);
    gh_tls_context_unref(server);
}

/* The certificates of a client are there after OpenSSL is gone. */
static void shown(void)
{
    struct gh_tls_context *server = gh_tls_server_open(of(&pki.certificate), of(&pki.key), NULL);
    struct gh_tls_context *client = gh_tls_client_open(of(&pki.ca), NULL);
    struct gh_slice chain[4];
    size_t count;
    struct gh_arena arena;
    struct pair pair;
    REQUIRE("it shows one",
            gh_tls_client_present(client, of(&pki.certificate), of(&pki.key), NULL));
    pair_open(&pair, server, client, "gate.example");
    REQUIRE("shaken", shake(&pair, NULL));
    gh_arena_init(&arena, 16384);
    CHECK("there is one", gh_tls_has_peer_certificate(pair.server));
    CHECK("the chain",
          gh_tls_peer_chain(pair.server, GH_COUNT(chain), &arena, chain, &count) && count > 0);
    struct gh_certificate *leaf = gh_certificate_open(of(&pki.certificate), NULL),
                          *read = gh_certificate_open_der(chain[0], NULL);
    CHECK("is what it showed", read != NULL && gh_certificate_equal(leaf, read));
    CHECK("no room for it", !gh_tls_peer_chain(pair.server, 0, &arena, chain, &count));
    CHECK("SNI", gh_slice_equal(gh_tls_server_name(pair.server), GH_SLICE("gate.example")));
    gh_certificate_close(leaf);
    gh_certificate_close(read);
    gh_arena_deinit(&arena);
    pair_close(&pair);
    gh_tls_context_unref(server);
    gh_tls_context_unref(client);
}

/* ---- connections that are resumed */

static int64_t test_now_s;

static int64_t test_clock_ms(void)
{
    return test_now_s * 1000;
}

enum { TICKET_LIFE_S = 1000 };

/* What the client was given last. */
static SSL_SESSION *given;

static int take_ticket(SSL *client, SSL_SESSION *session)
{
    (void)client;
    SSL_SESSION_free(given);
    given = session;
    return 1;
}

static SSL_CTX *rememberer(bool shows)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, take_ticket);
    BIO *certificate = BIO_new_mem_buf(pki.certificate.data, (int)pki.certificate.size),
        *key = BIO_new_mem_buf(pki.key.data, (int)pki.key.size);
    X509 *leaf = PEM_read_bio_X509(certificate, NULL, NULL, NULL);
    EVP_PKEY *own = PEM_read_bio_PrivateKey(key, NULL, NULL, NULL);
    REQUIRE("a certificate", !shows || (SSL_CTX_use_certificate(context, leaf) == 1 &&
                                        SSL_CTX_use_PrivateKey(context, own) == 1));
    X509_free(leaf);
    EVP_PKEY_free(own);
    BIO_free(certificate);
    BIO_free(key);
    return context;
}

struct outcome {
    bool shaken, resumed, shown, talked, is_given;
};

/* The leaf that the server sees is the client's. */
static bool is_shown(const struct pair *pair)
{
    struct gh_slice chain[4];
    size_t count;
    struct gh_arena arena;
    gh_arena_init(&arena, 16384);
    struct gh_certificate *leaf = gh_certificate_open(of(&pki.certificate), NULL), *read = NULL;
    if (gh_tls_peer_chain(pair->server, GH_COUNT(chain), &arena, chain, &count) && count == 1)
        read = gh_certificate_open_der(chain[0], NULL);
    bool same = read != NULL && gh_certificate_equal(leaf, read);
    gh_certificate_close(leaf);
    gh_certificate_close(read);
    gh_arena_deinit(&arena);
    return same && gh_tls_has_peer_certificate(pair->server);
}

/* A connection that offers `ticket` (NULL: none), says something, and ends in order. */
static struct outcome visit(struct gh_tls_context *server, SSL_CTX *context, SSL_SESSION *ticket)
{
    struct pair pair;
    pair_open(&pair, server, NULL, NULL);
    SSL *client = SSL_new(context);
    SSL_set_fd(client, pair.fds[1]);
    SSL_set_connect_state(client);
    if (ticket != NULL) { /* a copy: OpenSSL's client shows one ticket once */
        SSL_SESSION *copy = SSL_SESSION_dup(ticket);
        REQUIRE("a ticket to show", SSL_set_session(client, copy) == 1);
        SSL_SESSION_free(copy);
    }
    SSL_SESSION_free(given);
    given = NULL;
    struct outcome outcome = {.shaken = shake_native(pair.server, client)};
    if (outcome.shaken) {
        outcome.resumed = gh_tls_is_resumed(pair.server);
        CHECK("both sides say the same", outcome.resumed == (SSL_session_reused(client) == 1));
        outcome.shown = is_shown(&pair);
        outcome.talked = echo(&pair, client, 3000);
        outcome.talked &=
            SSL_version(client) == TLS1_2_VERSION ||
            (SSL_key_update(client, SSL_KEY_UPDATE_REQUESTED) == 1 && echo(&pair, client, 40000));
        SSL_shutdown(client);
    }
    outcome.is_given = given != NULL;
    SSL_free(client);
    pair_close(&pair);
    return outcome;
}

static SSL_SESSION *keep_given(void)
{
    SSL_SESSION *kept = given;
    given = NULL;
    return kept;
}

static struct gh_tls_context *resuming_server(struct gh_tickets *tickets)
{
    struct gh_tls_context *server = gh_tls_server_open(of(&pki.certificate), of(&pki.key), NULL);
    REQUIRE("a server", server != NULL && gh_tls_server_resume(server, tickets));
    return server;
}

static void resumed(bool shows)
{
    struct gh_tickets *tickets = gh_tickets_open(TICKET_LIFE_S, test_clock_ms),
                      *others = gh_tickets_open(TICKET_LIFE_S, test_clock_ms);
    struct gh_tls_context *server = resuming_server(tickets), *renewed = resuming_server(tickets),
                          *restarted = resuming_server(others);
    SSL_CTX *client = rememberer(shows);
    test_now_s = 50000;

    struct outcome first = visit(server, client, NULL);
    CHECK("a full handshake", first.shaken && !first.resumed && first.talked && first.is_given);
    CHECK("shows what there is", first.shown == shows);
    SSL_SESSION *ticket = keep_given();
    struct outcome second = visit(server, client, ticket);
    CHECK("a resumed one", second.shaken && second.resumed && second.talked);
    CHECK("shows the same", second.shown == shows);
    CHECK("and gives another", second.is_given);
    SSL_SESSION *next = keep_given();
    CHECK("with a certificate that was renewed", visit(renewed, client, ticket).resumed);

    struct outcome elsewhere = visit(restarted, client, ticket);
    CHECK("after a restart a full one",
          elsewhere.shaken && !elsewhere.resumed && elsewhere.talked && elsewhere.shown == shows);
    test_now_s += TICKET_LIFE_S - 1;
    CHECK("as long as a ticket is good", visit(server, client, ticket).resumed);
    test_now_s += 1;
    struct outcome late = visit(server, client, ticket);
    CHECK("and no longer", late.shaken && !late.resumed && late.talked && late.is_given);
    CHECK("a ticket that was got by one is no younger", !visit(server, client, next).resumed);

    SSL_SESSION_free(ticket);
    SSL_SESSION_free(next);
    SSL_SESSION_free(keep_given());
    SSL_CTX_free(client);
    gh_tls_context_unref(server);
    gh_tls_context_unref(renewed);
    gh_tls_context_unref(restarted);
    gh_tickets_close(tickets);
    gh_tickets_close(others);
}

/* The same ticket with the byte `at` that place changed. */
static SSL_SESSION *changed(const SSL_SESSION *session, size_t at)
{
    const unsigned char *ticket;
    unsigned char *der = NULL, *found;
    size_t size;
    SSL_SESSION_get0_ticket(session, &ticket, &size);
    int der_size = i2d_SSL_SESSION(session, &der);
    found = memmem(der, (size_t)der_size, ticket, size);
    REQUIRE("the ticket is in it", found != NULL && at < size);
    found[at] ^= 1;
    const unsigned char *from = der;
    SSL_SESSION *made = d2i_SSL_SESSION(NULL, &from, der_size);
    OPENSSL_free(der);
    return made;
}

static void forged(void)
{
    struct gh_tickets *tickets = gh_tickets_open(TICKET_LIFE_S, test_clock_ms);
    struct gh_tls_context *server = resuming_server(tickets);
    SSL_CTX *client = rememberer(true);
    const unsigned char *bytes;
    size_t size;
    (void)visit(server, client, NULL);
    SSL_SESSION *ticket = keep_given();
    SSL_SESSION_get0_ticket(ticket, &bytes, &size);
    for (size_t at = 0; at < size; at += at < 100 || at + 40 > size ? 1 : 37) {
        SSL_SESSION *other = changed(ticket, at);
        struct outcome outcome = visit(server, client, other);
        CHECK("a forged ticket is none", outcome.shaken && !outcome.resumed && outcome.shown);
        SSL_SESSION_free(other);
    }
    CHECK("the right one is", visit(server, client, ticket).resumed);
    SSL_SESSION_free(ticket);
    SSL_SESSION_free(keep_given());
    SSL_CTX_free(client);
    gh_tls_context_unref(server);
    gh_tickets_close(tickets);
}

/* Who gets none. */
static void unresumed(void)
{
    struct gh_tickets *tickets = gh_tickets_open(TICKET_LIFE_S, test_clock_ms);
    struct gh_tls_context *server = resuming_server(tickets);
    struct gh_tls_desk *own = desk;
    SSL_CTX *client = rememberer(true);
    struct pair pair;

    SSL_CTX_set_tlsext_max_fragment_length(client, TLSEXT_max_fragment_length_1024);
    struct outcome small = visit(server, client, NULL);
    CHECK("small records", small.shaken && small.talked && !small.is_given);
    SSL_CTX_set_tlsext_max_fragment_length(client, TLSEXT_max_fragment_length_DISABLED);
    desk = NULL;
    struct outcome kept = visit(server, client, NULL);
    CHECK("a connection of OpenSSL's", kept.shaken && kept.talked && !kept.is_given);
    desk = own;
    SSL_CTX_set_max_proto_version(client, TLS1_2_VERSION);
    struct outcome old = visit(server, client, NULL);
    CHECK("TLS 1.2", old.shaken && old.talked && !old.resumed);
    CHECK("has nothing to resume by", given == NULL || !SSL_SESSION_has_ticket(given));
    SSL_CTX_set_max_proto_version(client, 0);

    pair_open(&pair, server, NULL, NULL);
    SSL *silent = SSL_new(client);
    SSL_set_fd(silent, pair.fds[1]);
    SSL_set_connect_state(silent);
    REQUIRE("shaken", shake_native(pair.server, silent));
    uint8_t byte;
    CHECK("whom nothing is said to",
          recv(pair.fds[1], &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN);
    SSL_free(silent);
    pair_close(&pair);

    SSL_SESSION_free(keep_given());
    SSL_CTX_free(client);
    gh_tls_context_unref(server);
    gh_tickets_close(tickets);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    make_pki();
    contexts();
    for (int with_desk = 0; with_desk < 2; with_desk++) {
        desk = with_desk == 0 ? NULL : gh_tls_desk_open();
        each_trust();
        bytes();
        each_offer();
        each_alpn();
        garbage();
        each_talk();
        left_to_openssl();
        eager();
        tampered();
        shown();
    }
    resumed(false);
    resumed(true);
    forged();
    unresumed();
    gh_tls_desk_close(desk);
    free_pki();
    return check_report();
}
