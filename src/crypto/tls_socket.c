/* The socket as OpenSSL sees it in a handshake that is to be taken over: a BIO that reads ahead.
 * The record layer asks for five bytes and then for as many as these say, and a client's last
 * flight has up to five records: each question would be a system call. What has come behind the
 * handshake is not OpenSSL's, and is handed on. */
#include "crypto/tls_internal.h"
#include <errno.h>
#include <openssl/bio.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* A client's flight with a certificate of P-256; longer ones are read in several pieces. */
enum { AHEAD_BYTES = 2048 };

struct ahead {
    size_t at, end;
    uint8_t bytes[AHEAD_BYTES];
};

struct tls_socket {
    int fd;
    bool looks_ahead, has_ended;
    struct ahead *ahead; /* NULL: nothing is held */
};

static ssize_t receive(int fd, void *block, size_t size)
{
    ssize_t got;
    do
        got = recv(fd, block, size, 0);
    while (got < 0 && errno == EINTR);
    return got;
}

static void drop_ahead(struct tls_socket *socket)
{
    free(socket->ahead);
    socket->ahead = NULL;
}

static ssize_t look_ahead(struct tls_socket *socket)
{
    if ((socket->ahead = malloc(sizeof *socket->ahead)) == NULL)
        return -1; /* errno is ENOMEM */
    ssize_t got = receive(socket->fd, socket->ahead->bytes, AHEAD_BYTES);
    int error = errno; /* which says whether to ask again */
    socket->ahead->at = 0;
    socket->ahead->end = got > 0 ? (size_t)got : 0;
    if (got <= 0)
        drop_ahead(socket);
    errno = error;
    return got;
}

static int take_ahead(struct tls_socket *socket, char *block, size_t size)
{
    struct ahead *ahead = socket->ahead;
    size_t part = ahead->end - ahead->at < size ? ahead->end - ahead->at : size;
    memcpy(block, ahead->bytes + ahead->at, part);
    ahead->at += part;
    if (ahead->at == ahead->end)
        drop_ahead(socket);
    return (int)part;
}

/* As BIO_read: what it read, 0 at the end, below 0 when it is to be asked again or has failed. */
static int read_socket(BIO *bio, char *block, int size)
{
    struct tls_socket *socket = BIO_get_data(bio);
    ssize_t got = 0;

    BIO_clear_retry_flags(bio);
    if (socket->ahead == NULL && socket->looks_ahead && size < AHEAD_BYTES)
        got = look_ahead(socket);
    else if (socket->ahead == NULL)
        got = receive(socket->fd, block, (size_t)size);
    if (socket->ahead != NULL)
        return take_ahead(socket, block, (size_t)size);
    socket->has_ended = got == 0;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        BIO_set_retry_read(bio);
    return (int)got;
}

static int write_socket(BIO *bio, const char *block, int size)
{
    struct tls_socket *socket = BIO_get_data(bio);
    ssize_t sent;

    BIO_clear_retry_flags(bio);
    do
        sent = send(socket->fd, block, (size_t)size, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        BIO_set_retry_write(bio);
    return (int)sent;
}

static long control(BIO *bio, int what, long number, void *pointer)
{
    const struct tls_socket *socket = BIO_get_data(bio);
    (void)number, (void)pointer;
    switch (what) {
    case BIO_CTRL_FLUSH:
        return 1; /* nothing is kept that was to be sent */
    case BIO_CTRL_EOF:
        return socket->has_ended;
    default:
        return 0;
    }
}

static int destroy(BIO *bio)
{
    struct tls_socket *socket = BIO_get_data(bio);
    if (socket != NULL)
        drop_ahead(socket);
    free(socket);
    return 1;
}

/* Made once in a process and never freed. */
static struct {
    pthread_once_t once;
    BIO_METHOD *method;
} kind = {.once = PTHREAD_ONCE_INIT};

static void make_kind(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "gatehouse");
    if (method != NULL && BIO_meth_set_read(method, read_socket) == 1 &&
        BIO_meth_set_write(method, write_socket) == 1 && BIO_meth_set_ctrl(method, control) == 1 &&
        BIO_meth_set_destroy(method, destroy) == 1)
        kind.method = method;
}

bool tls_socket_attach(SSL *ssl, int fd)
{
    (void)pthread_once(&kind.once, make_kind);
    BIO *bio = kind.method == NULL ? NULL : BIO_new(kind.method);
    struct tls_socket *socket = bio == NULL ? NULL : calloc(1, sizeof *socket);
    if (socket == NULL) {
        BIO_free(bio);
        return false;
    }
    socket->fd = fd;
    socket->looks_ahead = true;
    BIO_set_data(bio, socket);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    return true;
}

struct gh_slice tls_socket_held(const SSL *ssl)
{
    const struct tls_socket *socket = BIO_get_data(SSL_get_rbio(ssl));
    return socket->ahead == NULL ? (struct gh_slice){0}
                                 : gh_slice(socket->ahead->bytes + socket->ahead->at,
                                            socket->ahead->end - socket->ahead->at);
}

void tls_socket_look_no_further(SSL *ssl)
{
    ((struct tls_socket *)BIO_get_data(SSL_get_rbio(ssl)))->looks_ahead = false;
}
