/* A connection after its handshake, without OpenSSL's state: keys, what the client showed, and,
 * only while something is on its way, the bytes of that.
 *
 * How the keys come here. Both application_traffic_secret_0 are derived by crypto/schedule.h, also
 * for OpenSSL, and told to whoever listens. While a server of TLS 1.3 shakes hands, OpenSSL takes
 * no more than the record that it needs from what was read ahead (tls_socket.c), so that behind the
 * client's Finished nothing of what follows is in its hands; and it has sent nothing under the new
 * keys, because tickets are made here (tls_tickets.c): both sides begin at record 0. */
#include "base/secret.h"
#include "crypto/openssl_internal.h"
#include "crypto/tls_internal.h"
#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    READ_BYTES_MAX = 64 * 1024, /* at a time */
    SEND_BYTES_MAX = 80 * 1024, /* sealed */
    ALERT_BYTES_MAX = GH_RECORD_OVERHEAD_MAX + 2,
    FLIGHT_BYTES = 4096, /* of a handshake's records: a chain of two certificates in one */
};

struct gh_tls_desk {
    struct gh_record_desk *records;
    uint8_t in[READ_BYTES_MAX + GH_RECORD_BYTES_MAX], out[SEND_BYTES_MAX];
};

struct tls_rest {
    size_t at, text_end, size; /* text that was opened, then records that were not */
    uint8_t bytes[];
};

struct tls_unsent {
    size_t at, size, text_size; /* `text_size` bytes of text are sent when all of it is */
    uint8_t bytes[];
};

struct gh_tls_desk *gh_tls_desk_open(void)
{
    struct gh_tls_desk *desk = malloc(sizeof *desk);
    if (desk != NULL && (desk->records = gh_record_desk_open()) != NULL)
        return desk;
    free(desk);
    return NULL;
}

void gh_tls_desk_close(struct gh_tls_desk *desk)
{
    if (desk == NULL)
        return;
    gh_record_desk_close(desk->records);
    gh_secret_wipe(desk->in, sizeof desk->in);
    free(desk);
}

/* Keeps text that had no room, and the records behind it. */
static bool keep(struct gh_tls *tls, struct gh_slice text, struct gh_slice records)
{
    if (text.size + records.size == 0)
        return true;
    tls->rest = malloc(sizeof *tls->rest + text.size + records.size);
    if (tls->rest == NULL)
        return false;
    tls->rest->at = 0;
    tls->rest->text_end = text.size;
    tls->rest->size = text.size + records.size;
    if (text.size > 0)
        memcpy(tls->rest->bytes, text.data, text.size);
    if (records.size > 0)
        memcpy(tls->rest->bytes + text.size, records.data, records.size);
    return true;
}

/* ---- taking over */

/* OpenSSL makes and frees a buffer for each record that it writes or reads when it is to keep none,
 * and one for the longest record where a flight has some kilobytes: in a handshake it keeps its
 * buffers for a step, and a small one to write. */
static void begin_step_buffers(SSL *ssl)
{
    SSL_clear_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_set_max_send_fragment(ssl, FLIGHT_BYTES);
}

/* The longest record lowers what a text is split into with it, but does not raise it again. */
static void end_step_buffers(SSL *ssl)
{
    SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_set_max_send_fragment(ssl, GH_RECORD_TEXT_MAX);
    (void)SSL_set_split_send_fragment(ssl, GH_RECORD_TEXT_MAX);
    (void)SSL_free_buffers(ssl);
}

bool tls_keys_begin(struct gh_tls *tls, struct gh_tickets *tickets)
{
    tls->shaking = calloc(1, sizeof *tls->shaking);
    if (tls->shaking == NULL || !tls_socket_attach(tls->native, tls->fd)) {
        free(tls->shaking);
        tls->shaking = NULL;
        return false;
    }
    tls->shaking->tickets = tickets;
    SSL_set_read_ahead(tls->native, 0);
    begin_step_buffers(tls->native);
    return true;
}

void tls_keys_rest(struct gh_tls *tls)
{
    if (tls->shaking != NULL)
        (void)SSL_free_buffers(tls->native); /* what is half read or unsent stays */
}

static void leave_to_openssl(SSL *ssl)
{
    tls_socket_look_no_further(ssl);
    end_step_buffers(ssl);
    SSL_set_read_ahead(ssl, 1);
}

static void forget_shaking(struct gh_tls *tls)
{
    if (tls->shaking != NULL)
        gh_secret_wipe(tls->shaking, sizeof *tls->shaking);
    free(tls->shaking);
    tls->shaking = NULL;
}

/* Of those that the server chooses from. */
static const char *alpn_of(const SSL *ssl)
{
    static const char *const names[] = {"mqtt", "http/1.1", "h2"};
    const unsigned char *name;
    unsigned size;

    SSL_get0_alpn_selected(ssl, &name, &size);
    for (size_t i = 0; i < GH_COUNT(names); i++)
        if (gh_slice_equal(gh_slice(name, size), gh_slice_text(names[i])))
            return names[i];
    return "";
}

/* Room for `count` certificates of `bytes` in all, and the server name in its place; where the
 * certificates go. NULL without memory. */
static unsigned char *open_shown(struct gh_tls *tls, size_t count, size_t bytes)
{
    const struct gh_slice name =
        gh_slice_text(SSL_get_servername(tls->native, TLSEXT_NAMETYPE_host_name));
    tls->shown =
        malloc(sizeof *tls->shown + count * sizeof tls->shown->chain[0] + bytes + name.size);
    if (tls->shown == NULL)
        return NULL;
    unsigned char *to = (unsigned char *)&tls->shown->chain[count];
    tls->shown->count = count;
    tls->shown->server_name = gh_slice(to, name.size);
    if (name.size > 0)
        memcpy(to, name.data, name.size);
    return to + name.size;
}

/* Of a full handshake. */
static bool copy_shown(struct gh_tls *tls)
{
    X509 *leaf = SSL_get0_peer_certificate(tls->native);
    STACK_OF(X509) *others = SSL_get_peer_cert_chain(tls->native);
    int count = leaf == NULL ? 0 : 1 + (others == NULL ? 0 : sk_X509_num(others));
    size_t bytes = 0;

    for (int i = 0; i < count; i++)
        bytes += (size_t)i2d_X509(i == 0 ? leaf : sk_X509_value(others, i - 1), NULL);
    unsigned char *to = open_shown(tls, (size_t)count, bytes);
    for (int i = 0; to != NULL && i < count; i++) {
        unsigned char *from = to; /* i2d_X509 moves `to` */
        int size = i2d_X509(i == 0 ? leaf : sk_X509_value(others, i - 1), &to);
        tls->shown->chain[i] = gh_slice(from, (size_t)size);
    }
    if (to != NULL && count > 0) /* it is judged next */
        gh_x509_remember(tls->shown->chain[0], leaf);
    return to != NULL;
}

/* Of a resumed one: what its ticket says was shown in the full one. */
static bool copy_evidence(struct gh_tls *tls)
{
    struct gh_slice chain[GH_TICKET_CHAIN_MAX];
    struct gh_evidence evidence;
    size_t bytes = 0;

    if (!tls_tickets_evidence(tls->native, chain, &evidence))
        return false;
    for (size_t i = 0; i < evidence.count; i++)
        bytes += chain[i].size;
    unsigned char *to = open_shown(tls, evidence.count, bytes);
    for (size_t i = 0; to != NULL && i < evidence.count; to += chain[i++].size) {
        memcpy(to, chain[i].data, chain[i].size);
        tls->shown->chain[i] = gh_slice(to, chain[i].size);
    }
    return to != NULL;
}

/* Most connections show nothing and name nobody. */
static void drop_empty_shown(struct gh_tls *tls)
{
    if (tls->shown->count > 0 || tls->shown->server_name.size > 0)
        return;
    free(tls->shown);
    tls->shown = NULL;
}

/* Clients with little memory ask for smaller records (RFC 6066 §4). */
static size_t text_max_of(const SSL *ssl)
{
    unsigned code = SSL_SESSION_get_max_fragment_length(SSL_get_session(ssl));
    return code == TLSEXT_max_fragment_length_DISABLED ? GH_RECORD_TEXT_MAX : (size_t)256 << code;
}

static bool copy_keys(struct gh_tls *tls)
{
    const struct gh_schedule_secrets *secrets = &tls->shaking->secrets;
    const SSL_CIPHER *cipher = SSL_get_current_cipher(tls->native);
    struct gh_record_keys keys = {.read_secret = secrets->of[GH_SCHEDULE_CLIENT_TRAFFIC].bytes,
                                  .write_secret = secrets->of[GH_SCHEDULE_SERVER_TRAFFIC].bytes,
                                  .text_max = text_max_of(tls->native)};

    if (cipher == NULL || !gh_record_suite_find(SSL_CIPHER_get_protocol_id(cipher), &keys.suite))
        return false;
    size_t bytes = gh_digest_bytes(gh_record_suite_hash(keys.suite));
    if (secrets->of[GH_SCHEDULE_CLIENT_TRAFFIC].size != bytes ||
        secrets->of[GH_SCHEDULE_SERVER_TRAFFIC].size != bytes)
        return false;
    tls->record = gh_record_open(&keys);
    return tls->record != NULL;
}

bool tls_keys_take(struct gh_tls *tls)
{
    if (tls->shaking == NULL)
        return true;
    bool is_resumed = SSL_session_reused(tls->native) == 1;
    bool taken = SSL_version(tls->native) == TLS1_3_VERSION && !SSL_has_pending(tls->native) &&
                 copy_keys(tls) && (is_resumed ? copy_evidence(tls) : copy_shown(tls)) &&
                 keep(tls, (struct gh_slice){0}, tls_socket_held(tls->native));
    if (taken)
        tls_tickets_make(tls);
    forget_shaking(tls);
    if (!taken) {
        gh_record_close(tls->record);
        tls->record = NULL;
        leave_to_openssl(tls->native);
        return !is_resumed;
    }
    drop_empty_shown(tls);
    tls->alpn = alpn_of(tls->native);
    tls->is_resumed = is_resumed;
    SSL_free(tls->native);
    tls->native = NULL;
    return true;
}

void tls_keys_free(struct gh_tls *tls)
{
    forget_shaking(tls);
    gh_record_close(tls->record);
    free(tls->shown);
    free(tls->ticket);
    free(tls->rest);
    free(tls->unsent);
}

/* ---- reading */

/* Hands out text that was opened before. */
static size_t hand_out(struct gh_tls *tls, uint8_t *block, size_t size)
{
    struct tls_rest *rest = tls->rest;
    size_t part = rest->text_end - rest->at < size ? rest->text_end - rest->at : size;

    memcpy(block, rest->bytes + rest->at, part);
    rest->at += part;
    if (rest->at == rest->size) {
        free(rest);
        tls->rest = NULL;
    }
    return part;
}

/* Records that have come before and are not whole, or had no room: they are first. */
static size_t take_back(struct gh_tls *tls, uint8_t *to)
{
    struct tls_rest *rest = tls->rest;
    if (rest == NULL)
        return 0;
    size_t size = rest->size - rest->at;
    memcpy(to, rest->bytes + rest->at, size);
    free(rest);
    tls->rest = NULL;
    return size;
}

/* Nothing more can be said: the peer is told why if the socket takes that at once. */
static void give_up(struct gh_tls *tls, enum gh_record_alert alert)
{
    uint8_t block[ALERT_BYTES_MAX];
    struct gh_buffer out = gh_buffer_fixed(block, sizeof block);

    tls->is_broken = alert != GH_RECORD_CLOSE_NOTIFY;
    if (alert != GH_RECORD_NO_ALERT && tls->unsent == NULL &&
        gh_record_write_alert(tls->record, tls->desk->records, alert, &out))
        (void)!send(tls->fd, out.data, out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Opens the records in `*in`, which it moves behind them, until one has no room in `block`. */
static enum gh_record_status open_all(struct gh_tls *tls, struct gh_slice *in, uint8_t *block,
                                      size_t size, size_t *got, struct gh_slice *left)
{
    enum gh_record_status status = GH_RECORD_TEXT;

    while (*got < size && (status == GH_RECORD_TEXT || status == GH_RECORD_IDLE)) {
        struct gh_record_opened opened;
        status = gh_record_read(tls->record, tls->desk->records, (uint8_t *)(uintptr_t)in->data,
                                in->size, &opened);
        *in = gh_slice_sub(*in, opened.size, in->size);
        if (status == GH_RECORD_TEXT) {
            size_t part = opened.text.size < size - *got ? opened.text.size : size - *got;
            memcpy(block + *got, opened.text.data, part);
            *got += part;
            *left = gh_slice_sub(opened.text, part, opened.text.size);
        }
        if (status == GH_RECORD_BROKEN)
            give_up(tls, opened.alert);
    }
    tls->has_ended |= status == GH_RECORD_END;
    return status;
}

static enum gh_tls_status receive(struct gh_tls *tls, uint8_t *to, size_t room, size_t *count)
{
    ssize_t got;
    do
        got = recv(tls->fd, to, room, 0);
    while (got < 0 && errno == EINTR);
    *count = got > 0 ? (size_t)got : 0;
    tls->is_drained = got > 0 && (size_t)got < room;
    tls->has_ended |= got == 0;
    if (got > 0)
        return GH_TLS_OK;
    return got == 0                                  ? GH_TLS_END
           : errno == EAGAIN || errno == EWOULDBLOCK ? GH_TLS_WANT_READ
                                                     : GH_TLS_FAILED;
}

enum gh_tls_status tls_keys_read(struct gh_tls *tls, uint8_t *block, size_t size, size_t *got)
{
    uint8_t *in = tls->desk->in;
    struct gh_slice records, left = {0};
    enum gh_tls_status status = GH_TLS_OK;
    enum gh_record_status opened = GH_RECORD_MORE;

    *got = 0;
    if (tls->rest != NULL && tls->rest->at < tls->rest->text_end) {
        *got = hand_out(tls, block, size);
        return GH_TLS_OK;
    }
    if (tls->is_broken || tls->has_ended)
        return tls->is_broken ? GH_TLS_FAILED : GH_TLS_END;
    tls->is_drained = false;
    records = gh_slice(in, take_back(tls, in));
    size_t used = records.size;
    if (records.size > 0)
        opened = open_all(tls, &records, block, size, got, &left);
    while (*got == 0 && opened <= GH_RECORD_IDLE && status == GH_TLS_OK) {
        /* A piece of a record goes to the front, so that a whole one always has room. */
        size_t room = size < READ_BYTES_MAX ? size + GH_RECORD_BYTES_MAX : READ_BYTES_MAX, count;
        if (records.size > 0)
            memmove(in, records.data, records.size);
        if (room > sizeof tls->desk->in - records.size)
            room = sizeof tls->desk->in - records.size;
        status = receive(tls, in + records.size, room, &count);
        records = gh_slice(in, records.size + count);
        used = records.size > used ? records.size : used;
        if (status == GH_TLS_OK)
            opened = open_all(tls, &records, block, size, got, &left);
    }
    tls->is_drained &= opened == GH_RECORD_MORE;
    if (tls->is_broken || tls->has_ended)
        records.size = 0;
    if (!keep(tls, left, records))
        give_up(tls, GH_RECORD_INTERNAL_ERROR);
    memset(in, 0, used); /* text was opened there: a password, that no later dump shall hold */
    if (*got > 0)
        return GH_TLS_OK;
    if (tls->is_broken)
        return GH_TLS_FAILED;
    return tls->has_ended ? GH_TLS_END : status;
}

/* ---- writing */

/* OK when all of `bytes` is on its way, WANT_WRITE when the rest is kept. */
static enum gh_tls_status transmit(struct gh_tls *tls, struct gh_slice bytes, size_t *done)
{
    ssize_t count;
    do
        count = send(tls->fd, bytes.data, bytes.size, MSG_NOSIGNAL);
    while (count < 0 && errno == EINTR);
    if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        return GH_TLS_FAILED;
    *done = count > 0 ? (size_t)count : 0;
    return *done == bytes.size ? GH_TLS_OK : GH_TLS_WANT_WRITE;
}

static enum gh_tls_status write_unsent(struct gh_tls *tls, size_t *sent)
{
    struct tls_unsent *unsent = tls->unsent;
    size_t done;
    enum gh_tls_status status =
        transmit(tls, gh_slice(unsent->bytes + unsent->at, unsent->size - unsent->at), &done);

    if (status == GH_TLS_WANT_WRITE)
        unsent->at += done;
    if (status != GH_TLS_OK)
        return status;
    *sent = unsent->text_size;
    free(unsent);
    tls->unsent = NULL;
    return GH_TLS_OK;
}

static bool keep_unsent(struct gh_tls *tls, struct gh_slice bytes, size_t text_size)
{
    tls->unsent = malloc(sizeof *tls->unsent + bytes.size);
    if (tls->unsent == NULL)
        return false;
    *tls->unsent = (struct tls_unsent){.size = bytes.size, .text_size = text_size};
    memcpy(tls->unsent->bytes, bytes.data, bytes.size);
    return true;
}

/* The ticket shares a write with the first text: to send it alone would cost a system call and a
 * packet, and who is sent away without a word gets none. */
static bool put_ticket(struct gh_tls *tls, struct gh_buffer *out)
{
    struct tls_ticket *ticket = tls->ticket;
    if (ticket == NULL)
        return true;
    bool done = gh_record_write(tls->record, tls->desk->records, GH_RECORD_HANDSHAKE,
                                gh_slice(ticket->bytes, ticket->size), out);
    free(ticket);
    tls->ticket = NULL;
    return done;
}

enum gh_tls_status tls_keys_write(struct gh_tls *tls, struct gh_slice bytes, size_t *sent)
{
    struct gh_buffer out = gh_buffer_fixed(tls->desk->out, sizeof tls->desk->out);
    size_t max = gh_record_text_max(tls->record), text_size = 0, done;

    *sent = 0;
    if (tls->is_broken)
        return GH_TLS_FAILED;
    if (tls->unsent != NULL)
        return write_unsent(tls, sent);
    if (!put_ticket(tls, &out)) {
        tls->is_broken = true;
        return GH_TLS_FAILED;
    }
    while (text_size < bytes.size) {
        struct gh_slice text = gh_slice_sub(bytes, text_size, max);
        if (text.size + GH_RECORD_OVERHEAD_MAX > sizeof tls->desk->out - out.size)
            break;
        if (!gh_record_write(tls->record, tls->desk->records, GH_RECORD_DATA, text, &out)) {
            tls->is_broken = true;
            return GH_TLS_FAILED;
        }
        text_size += text.size;
    }
    enum gh_tls_status status = transmit(tls, gh_buffer_slice(&out), &done);
    if (status == GH_TLS_OK)
        *sent = text_size;
    else if (status == GH_TLS_FAILED ||
             !keep_unsent(tls, gh_slice_sub(gh_buffer_slice(&out), done, out.size), text_size)) {
        tls->is_broken = true;
        return GH_TLS_FAILED;
    }
    return status;
}

void tls_keys_shutdown(struct gh_tls *tls)
{
    if (!tls->is_broken)
        give_up(tls, GH_RECORD_CLOSE_NOTIFY);
}

/* ---- what the handshake said */

bool tls_keys_has_peer_certificate(const struct gh_tls *tls)
{
    return tls->shown != NULL && tls->shown->count > 0;
}

bool tls_keys_peer_chain(const struct gh_tls *tls, size_t max, struct gh_arena *arena,
                         struct gh_slice *out, size_t *count)
{
    *count = 0;
    if (tls->shown == NULL)
        return true;
    if (tls->shown->count > max)
        return false;
    for (; *count < tls->shown->count; (*count)++)
        if (!gh_arena_copy(arena, tls->shown->chain[*count], &out[*count]))
            return false;
    return true;
}

struct gh_slice tls_keys_server_name(const struct gh_tls *tls)
{
    return tls->shown == NULL ? (struct gh_slice){0} : tls->shown->server_name;
}
