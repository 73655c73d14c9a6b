/* Framing: what stands between the bytes of a stream and those of the protocol that is spoken on
 * it, once gh_conn_upgrade has put it there. The protocol sees its own bytes only and appends its
 * own bytes only; it does not know. The connection calls, in this order of a turn: `read` with what
 * has arrived, then, when everything that is framed has been written, `head` for all that the
 * protocol has appended since, so that a turn's output is one frame; at the end `finish`.
 *
 * The output queue of such a connection holds bytes of the wire first (`framed`), then bytes of the
 * protocol. A framing that answers by itself says so through gh_framing_say, between frames.
 *
 * Memory: given to the connection by gh_conn_upgrade, which ends it by `close`. Threads: the
 * loop's. */
#ifndef GH_IO_FRAMING_H
#define GH_IO_FRAMING_H

#include "base/buffer.h"

enum { GH_FRAMING_HEAD_MAX = 16 };

enum gh_framing_status {
    GH_FRAMING_OPEN,
    GH_FRAMING_ENDED,  /* the peer will send no more */
    GH_FRAMING_BROKEN, /* the peer broke the rules and has been told; `why` is set */
};

enum gh_framing_end {
    GH_FRAMING_NORMAL,
    GH_FRAMING_GOING_AWAY,   /* the server stops */
    GH_FRAMING_UNACCEPTABLE, /* what came is not the protocol that was agreed */
};

struct gh_protocol;

struct gh_framing {
    const struct gh_framing_kind *kind;
    const char *why; /* static text */
    size_t framed;   /* bytes at the front of the output queue that are the wire's */
    bool is_finished;
    /* The connection's: what is to be spoken next, while the upgrade is under way. */
    const struct gh_protocol *next;
    void *next_context;
};

struct gh_framing_kind {
    const char *name;
    /* Takes all `*size` bytes; moves the protocol's among them to the front and says how many. */
    enum gh_framing_status (*read)(struct gh_framing *framing, uint8_t *bytes, size_t *size,
                                   struct gh_buffer *out);
    /* What goes before `size` bytes of the protocol. */
    size_t (*head)(struct gh_framing *framing, size_t size, uint8_t out[GH_FRAMING_HEAD_MAX]);
    /* The last words. Not called after BROKEN. */
    void (*finish)(struct gh_framing *framing, enum gh_framing_end end, struct gh_buffer *out);
    void (*close)(struct gh_framing *framing);
};

/* Frames what the protocol has appended. What comes after the last words is dropped. */
void gh_framing_wrap(struct gh_framing *framing, struct gh_buffer *out);
/* Appends bytes of the wire, after wrapping what the protocol said before. */
void gh_framing_say(struct gh_framing *framing, struct gh_buffer *out, struct gh_slice bytes);
/* `finish`, once. */
void gh_framing_finish(struct gh_framing *framing, enum gh_framing_end end, struct gh_buffer *out);
#endif
