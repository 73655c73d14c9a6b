#include "io/stream_internal.h"
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

void stream_note(struct stream *stream, uint32_t events)
{
    bool failed = (events & (EPOLLERR | EPOLLHUP)) != 0;
    bool in = failed || (events & (EPOLLIN | EPOLLRDHUP)) != 0;
    bool out = failed || (events & EPOLLOUT) != 0;

    stream->hung_up |= failed || (events & EPOLLRDHUP) != 0;
    if (stream->crossed)
        in = out = true;
    stream->crossed = false;
    stream->readable |= in;
    stream->writable |= out;
}

static enum gh_tls_status read_plain(int fd, void *block, size_t size, size_t *got)
{
    ssize_t count;

    do
        count = recv(fd, block, size, 0);
    while (count < 0 && errno == EINTR);
    *got = count > 0 ? (size_t)count : 0;
    if (count > 0)
        return GH_TLS_OK;
    if (count == 0)
        return GH_TLS_END;
    return errno == EAGAIN || errno == EWOULDBLOCK ? GH_TLS_WANT_READ : GH_TLS_FAILED;
}

static enum gh_tls_status write_plain(int fd, struct gh_slice bytes, size_t *sent)
{
    ssize_t count;

    do
        count = send(fd, bytes.data, bytes.size, MSG_NOSIGNAL);
    while (count < 0 && errno == EINTR);
    *sent = count > 0 ? (size_t)count : 0;
    if (count >= 0)
        return GH_TLS_OK;
    return errno == EAGAIN || errno == EWOULDBLOCK ? GH_TLS_WANT_WRITE : GH_TLS_FAILED;
}

/* A read that brings less than there was room for has emptied the socket (epoll(7)): the attempt
 * that would say so is saved. */
static bool is_emptied(const struct stream *stream, size_t got, size_t size)
{
    bool is_drained = stream->tls != NULL ? gh_tls_is_drained(stream->tls) : got < size;
    return is_drained && !stream->hung_up;
}

bool stream_read(struct stream *stream, uint8_t *block, size_t size, size_t *got)
{
    *got = 0;
    while (*got < size && stream->readable && !stream->ended) {
        size_t count;
        enum gh_tls_status status =
            stream->tls != NULL ? gh_tls_read(stream->tls, block + *got, size - *got, &count)
                                : read_plain(stream->fd, block + *got, size - *got, &count);
        *got += count;
        switch (status) {
        case GH_TLS_OK:
            if (is_emptied(stream, *got, size))
                stream->readable = false;
            break;
        case GH_TLS_WANT_WRITE:
            stream->crossed = true;
            stream->writable = false;
            stream->readable = false;
            break;
        case GH_TLS_WANT_READ:
            stream->readable = false;
            break;
        case GH_TLS_END:
            stream->ended = true;
            break;
        case GH_TLS_FAILED:
            return false;
        }
    }
    return true;
}

bool stream_peek(struct stream *stream, uint8_t *block, size_t size, size_t *got)
{
    ssize_t count;

    do
        count = recv(stream->fd, block, size, MSG_PEEK);
    while (count < 0 && errno == EINTR);
    *got = count > 0 ? (size_t)count : 0;
    return count > 0 || (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
}

bool stream_skip(struct stream *stream, uint8_t *block, size_t size)
{
    size_t got;
    return read_plain(stream->fd, block, size, &got) == GH_TLS_OK && got == size;
}

bool stream_write(struct stream *stream, struct gh_slice bytes, size_t *sent)
{
    *sent = 0;
    while (*sent < bytes.size && stream->writable) {
        size_t count;
        struct gh_slice rest = gh_slice_sub(bytes, *sent, bytes.size);
        enum gh_tls_status status = stream->tls != NULL ? gh_tls_write(stream->tls, rest, &count)
                                                        : write_plain(stream->fd, rest, &count);
        *sent += count;
        switch (status) {
        case GH_TLS_OK:
            break;
        case GH_TLS_WANT_READ:
            stream->crossed = true;
            stream->readable = false;
            stream->writable = false;
            break;
        case GH_TLS_WANT_WRITE:
            stream->writable = false;
            break;
        case GH_TLS_END:
        case GH_TLS_FAILED:
            return false;
        }
    }
    return true;
}

void stream_discard(struct stream *stream, uint8_t *block, size_t size)
{
    size_t got, total = 0;

    while (stream->readable && !stream->ended && total < size) {
        switch (read_plain(stream->fd, block, size, &got)) {
        case GH_TLS_OK:
            total += got;
            break;
        case GH_TLS_WANT_READ:
            stream->readable = false;
            break;
        default:
            stream->ended = true;
        }
    }
}

void stream_shakes(struct stream *stream)
{
    stream->readable = stream->writable = false;
}

void stream_shaken(struct stream *stream, enum gh_tls_status status)
{
    stream->readable |= status != GH_TLS_WANT_READ;
    stream->writable |= status != GH_TLS_WANT_WRITE;
    stream->shake_writes = status == GH_TLS_WANT_WRITE;
}

enum gh_tls_status stream_handshake(struct stream *stream, struct gh_error *error)
{
    stream_shakes(stream);
    enum gh_tls_status status = gh_tls_handshake(stream->tls, error);
    stream_shaken(stream, status);
    return status;
}

void stream_finish(struct stream *stream)
{
    if (stream->tls != NULL)
        gh_tls_shutdown(stream->tls);
    if (!stream->ended) /* else it is closed next, which sends the FIN */
        (void)shutdown(stream->fd, SHUT_WR);
}

void stream_close(struct stream *stream)
{
    if (stream->tls != NULL)
        gh_tls_close(stream->tls);
    close(stream->fd);
}
