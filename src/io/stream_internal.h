/* The bytes of one connection, plain or TLS alike: non-blocking reads and writes with what epoll
 * has told so far. Edge-triggered: `readable` and `writable` are true until an attempt says
 * otherwise. */
#ifndef GH_IO_STREAM_INTERNAL_H
#define GH_IO_STREAM_INTERNAL_H

#include "base/slice.h"
#include "crypto/tls.h"

struct stream {
    struct gh_tls *tls; /* NULL: plain */
    int fd;
    bool readable : 1, writable : 1;
    bool crossed : 1; /* TLS reads wait for writing, or writes for reading: either is for both */
    bool shake_writes : 1; /* the handshake waits for writing, else for reading */
    bool answered : 1;     /* the handshake's last step sent all that a server has to say */
    bool hung_up : 1;      /* epoll told of an end, which a short read does not show */
    bool ended : 1;        /* the peer will send no more */
};

/* Notes what epoll said. */
void stream_note(struct stream *stream, uint32_t events);
/* Fills `block` as far as there is something; the bytes read. False when the stream has failed. */
GH_MUST_USE bool stream_read(struct stream *stream, uint8_t *block, size_t size, size_t *got);
/* What has arrived at the socket without taking it; `got` 0: nothing yet. False at the end
 * or when the stream has failed. */
GH_MUST_USE bool stream_peek(struct stream *stream, uint8_t *block, size_t size, size_t *got);
/* Takes `size` bytes that were seen. */
GH_MUST_USE bool stream_skip(struct stream *stream, uint8_t *block, size_t size);
/* Writes as much as goes; false when the stream has failed. */
GH_MUST_USE bool stream_write(struct stream *stream, struct gh_slice bytes, size_t *sent);
/* Throws away what arrives, up to `size` bytes. */
void stream_discard(struct stream *stream, uint8_t *block, size_t size);
/* The two halves of stream_handshake, around a gh_tls_handshake elsewhere: what epoll tells in
 * between stays noted. A wrong guess costs an attempt. */
void stream_shakes(struct stream *stream);
void stream_shaken(struct stream *stream, enum gh_tls_status status);
enum gh_tls_status stream_handshake(struct stream *stream, struct gh_error *error);
/* close_notify, and FIN unless the peer has ended too: then closing sends it. Reading goes on. */
void stream_finish(struct stream *stream);
void stream_close(struct stream *stream);
#endif
