/* WebSocket framing, the server's side (RFC 6455 §5): takes the frames off the front of a stream,
 * unmasks them in place, and writes the heads of frames that are sent. Data is a stream here: where
 * a message begins and ends means nothing to MQTT [MQTT-6.0.0-2], so nothing of a message is kept
 * and a message has no limit; a frame has one. Control frames are answered: a ping by its pong, a
 * close by a close.
 *
 * Refused, each with its close code: frames that are not masked, reserved bits and opcodes,
 * fragments out of order, control frames that are fragmented or long, lengths not in their shortest
 * form (1002); text (1003); close reasons that are not UTF-8 (1007); frames above the limit (1009).
 * Not here: the opening handshake (io/websocket.h).
 *
 * No I/O. Memory: the caller's, and a small block only while a control frame is incomplete.
 * Threads: one at a time. */
#ifndef GH_WIRE_WEBSOCKET_H
#define GH_WIRE_WEBSOCKET_H

#include "base/buffer.h"

enum {
    GH_WEBSOCKET_HEAD_MAX = 10,          /* of a frame that is sent, which is never masked */
    GH_WEBSOCKET_HEAD_RECEIVED_MAX = 14, /* with its mask */
    GH_WEBSOCKET_CONTROL_MAX = 125,      /* payload of a control frame */
};

enum gh_websocket_opcode {
    GH_WEBSOCKET_CONTINUATION = 0x0,
    GH_WEBSOCKET_TEXT = 0x1,
    GH_WEBSOCKET_BINARY = 0x2,
    GH_WEBSOCKET_CLOSE = 0x8,
    GH_WEBSOCKET_PING = 0x9,
    GH_WEBSOCKET_PONG = 0xa,
};

/* RFC 6455 §7.4.1 */
enum gh_websocket_code {
    GH_WEBSOCKET_NORMAL = 1000,
    GH_WEBSOCKET_GOING_AWAY = 1001,
    GH_WEBSOCKET_PROTOCOL_ERROR = 1002,
    GH_WEBSOCKET_UNSUPPORTED = 1003,
    GH_WEBSOCKET_INVALID = 1007,
    GH_WEBSOCKET_TOO_BIG = 1009,
};

enum gh_websocket_status {
    GH_WEBSOCKET_OPEN,
    GH_WEBSOCKET_ENDED,   /* the peer has sent its close frame; the answer is written */
    GH_WEBSOCKET_REFUSED, /* the close frame with `code` is written; `why` says it to a log */
};

struct gh_websocket {
    uint64_t frame_max;       /* bytes of payload in one frame */
    uint64_t left;            /* of the payload that has begun */
    struct gh_buffer control; /* payload of a control frame that has begun */
    const char *why;          /* static text */
    enum gh_websocket_status status;
    uint16_t code;
    uint8_t head[GH_WEBSOCKET_HEAD_RECEIVED_MAX], head_size; /* of a head that has begun */
    uint8_t mask[4], mask_at;
    uint8_t opcode; /* of the frame that has begun */
    bool in_payload, in_message, is_final;
};

void gh_websocket_init(struct gh_websocket *socket, uint64_t frame_max);
void gh_websocket_deinit(struct gh_websocket *socket);

/* Takes all `size` bytes. The payload of data frames among them is moved to the front of `bytes`;
 * `*data_size` says how much that is. Pongs and the close frame are appended to `answers`. What
 * comes before a close or a refusal still counts; what comes after it, in this call or a later one,
 * is passed over. */
enum gh_websocket_status gh_websocket_read(struct gh_websocket *socket, uint8_t *bytes, size_t size,
                                           size_t *data_size, struct gh_buffer *answers);

/* The head of a final, unmasked frame. Returns its bytes. */
size_t gh_websocket_head(enum gh_websocket_opcode opcode, uint64_t payload_size,
                         uint8_t out[GH_WEBSOCKET_HEAD_MAX]);
/* A close frame without a reason. */
bool gh_websocket_write_close(struct gh_buffer *out, uint16_t code);
#endif
