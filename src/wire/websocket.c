#include "wire/websocket.h"
#include "base/cursor.h"
#include "wire/utf8.h"
#include <assert.h>
#include <string.h>

enum {
    FINAL = 0x80,
    RESERVED = 0x70,
    OPCODE = 0x0f,
    MASKED = 0x80,
    LENGTH = 0x7f,
    LENGTH_16 = 126, /* two bytes of length follow */
    LENGTH_64 = 127, /* eight bytes follow */
    FIRST_BYTES = 2,
    MASK_BYTES = 4,
};

void gh_websocket_init(struct gh_websocket *socket, uint64_t frame_max)
{
    *socket = (struct gh_websocket){.frame_max = frame_max};
    gh_buffer_init(&socket->control, GH_WEBSOCKET_CONTROL_MAX);
}

void gh_websocket_deinit(struct gh_websocket *socket)
{
    gh_buffer_deinit(&socket->control);
}

/* ---- writing */

size_t gh_websocket_head(enum gh_websocket_opcode opcode, uint64_t payload_size,
                         uint8_t out[GH_WEBSOCKET_HEAD_MAX])
{
    struct gh_buffer head = gh_buffer_fixed(out, GH_WEBSOCKET_HEAD_MAX);

    gh_buffer_u8(&head, (uint8_t)(FINAL | opcode));
    if (payload_size < LENGTH_16) {
        gh_buffer_u8(&head, (uint8_t)payload_size);
    } else if (payload_size <= UINT16_MAX) {
        gh_buffer_u8(&head, LENGTH_16);
        gh_buffer_u16(&head, (uint16_t)payload_size);
    } else {
        gh_buffer_u8(&head, LENGTH_64);
        gh_buffer_u64(&head, payload_size);
    }
    assert(!head.overflow);
    return head.size;
}

static bool write_frame(struct gh_buffer *out, enum gh_websocket_opcode opcode,
                        struct gh_slice payload)
{
    uint8_t head[GH_WEBSOCKET_HEAD_MAX];
    size_t size = gh_websocket_head(opcode, payload.size, head);
    return gh_buffer_put(out, gh_slice(head, size)) && gh_buffer_put(out, payload);
}

bool gh_websocket_write_close(struct gh_buffer *out, uint16_t code)
{
    uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
    return write_frame(out, GH_WEBSOCKET_CLOSE, gh_slice(payload, sizeof payload));
}

/* ---- refusing */

static void refuse(struct gh_websocket *socket, struct gh_buffer *answers, uint16_t code,
                   const char *why)
{
    socket->status = GH_WEBSOCKET_REFUSED;
    socket->code = code;
    socket->why = why;
    gh_websocket_write_close(answers, code);
}

/* ---- heads */

static bool is_control(uint8_t opcode)
{
    return (opcode & 0x08u) != 0;
}

struct verdict {
    uint16_t code; /* 0: good */
    const char *why;
};

/* What the first two bytes say (§5.2, §5.4, §5.5), before the length and the mask are there. */
static struct verdict judge_first(const struct gh_websocket *socket)
{
    uint8_t first = socket->head[0], second = socket->head[1], opcode = first & OPCODE;

    if ((first & RESERVED) != 0)
        return (struct verdict){GH_WEBSOCKET_PROTOCOL_ERROR, "a reserved bit"};
    if ((second & MASKED) == 0)
        return (struct verdict){GH_WEBSOCKET_PROTOCOL_ERROR, "a frame that is not masked"};
    if (opcode > GH_WEBSOCKET_PONG || (opcode > GH_WEBSOCKET_BINARY && opcode < GH_WEBSOCKET_CLOSE))
        return (struct verdict){GH_WEBSOCKET_PROTOCOL_ERROR, "a reserved opcode"};
    if (is_control(opcode) &&
        ((first & FINAL) == 0 || (second & LENGTH) > GH_WEBSOCKET_CONTROL_MAX))
        return (struct verdict){GH_WEBSOCKET_PROTOCOL_ERROR, "a long or fragmented control frame"};
    if (!is_control(opcode) && (opcode == GH_WEBSOCKET_CONTINUATION) != socket->in_message)
        return (struct verdict){GH_WEBSOCKET_PROTOCOL_ERROR, "a fragment out of order"};
    if (opcode == GH_WEBSOCKET_TEXT)
        return (struct verdict){GH_WEBSOCKET_UNSUPPORTED, "a text message"};
    return (struct verdict){0};
}

static size_t length_bytes(const struct gh_websocket *socket)
{
    uint8_t length = socket->head[1] & LENGTH;
    return length == LENGTH_16 ? 2 : length == LENGTH_64 ? 8 : 0;
}

/* The whole head is there. */
static struct verdict judge_length(struct gh_websocket *socket)
{
    struct gh_cursor at = gh_cursor(gh_slice(socket->head, socket->head_size));
    struct gh_slice skipped, mask;
    uint64_t length = socket->head[1] & LENGTH, shortest = 0;
    uint16_t length_16 = 0;
    bool is_whole = gh_cursor_take(&at, FIRST_BYTES, &skipped);

    if (length == LENGTH_16) {
        is_whole &= gh_cursor_u16(&at, &length_16);
        length = length_16;
        shortest = LENGTH_16;
    } else if (length == LENGTH_64) {
        is_whole &= gh_cursor_u64(&at, &length);
        shortest = UINT16_MAX + 1;
    }
    is_whole &= gh_cursor_take(&at, MASK_BYTES, &mask);
    assert(is_whole);
    if (length < shortest || length > INT64_MAX)
        return (struct verdict){GH_WEBSOCKET_PROTOCOL_ERROR, "a length not in its shortest form"};
    if (length > socket->frame_max)
        return (struct verdict){GH_WEBSOCKET_TOO_BIG, "a frame above the limit"};
    socket->left = length;
    memcpy(socket->mask, mask.data, MASK_BYTES);
    return (struct verdict){0};
}

/* Takes bytes of a head; what was taken. */
static size_t read_head(struct gh_websocket *socket, struct gh_slice bytes,
                        struct gh_buffer *answers)
{
    size_t wanted = FIRST_BYTES, taken = 0;
    struct verdict verdict = {0};

    if (socket->head_size >= FIRST_BYTES)
        wanted = FIRST_BYTES + length_bytes(socket) + MASK_BYTES;
    while (socket->head_size < wanted && taken < bytes.size)
        socket->head[socket->head_size++] = bytes.data[taken++];
    if (socket->head_size < wanted)
        return taken;
    verdict = wanted == FIRST_BYTES ? judge_first(socket) : judge_length(socket);
    if (verdict.code != 0) {
        refuse(socket, answers, verdict.code, verdict.why);
    } else if (wanted > FIRST_BYTES) {
        socket->opcode = socket->head[0] & OPCODE;
        socket->is_final = (socket->head[0] & FINAL) != 0;
        socket->head_size = socket->mask_at = 0;
        socket->in_payload = true;
    }
    return taken;
}

/* ---- payloads */

/* `to` is `from` or lies before it. Eight bytes at a time: all of a device's data goes through. */
static void unmask(struct gh_websocket *socket, uint8_t *to, const uint8_t *from, size_t size)
{
    uint8_t mask[8];
    uint64_t wide, word;
    size_t i = 0;

    for (size_t k = 0; k < sizeof mask; k++)
        mask[k] = socket->mask[(socket->mask_at + k) % MASK_BYTES];
    memcpy(&wide, mask, sizeof wide);
    for (; i + sizeof word <= size; i += sizeof word) {
        memcpy(&word, from + i, sizeof word);
        word ^= wide;
        memcpy(to + i, &word, sizeof word);
    }
    for (; i < size; i++)
        to[i] = from[i] ^ mask[i % MASK_BYTES];
    socket->mask_at = (uint8_t)((socket->mask_at + size) % MASK_BYTES);
}

/* §7.4: codes that may stand in a frame. */
static bool code_is_sendable(uint16_t code)
{
    return (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) ||
           (code >= 3000 && code <= 4999);
}

static void end_close(struct gh_websocket *socket, struct gh_slice payload,
                      struct gh_buffer *answers)
{
    struct gh_cursor at = gh_cursor(payload);
    uint16_t code = 0;

    if (payload.size > 0 && (!gh_cursor_u16(&at, &code) || !code_is_sendable(code))) {
        refuse(socket, answers, GH_WEBSOCKET_PROTOCOL_ERROR, "a malformed close frame");
    } else if (!gh_utf8_valid(at.rest)) {
        refuse(socket, answers, GH_WEBSOCKET_INVALID, "a close reason that is not UTF-8");
    } else {
        socket->status = GH_WEBSOCKET_ENDED;
        socket->code = code;
        write_frame(answers, GH_WEBSOCKET_CLOSE, gh_slice_sub(payload, 0, sizeof code));
    }
}

/* The payload is complete. */
static void end_frame(struct gh_websocket *socket, struct gh_buffer *answers)
{
    struct gh_slice payload = gh_buffer_slice(&socket->control);

    socket->in_payload = false;
    if (!is_control(socket->opcode))
        socket->in_message = !socket->is_final;
    else if (socket->opcode == GH_WEBSOCKET_PING)
        write_frame(answers, GH_WEBSOCKET_PONG, payload);
    else if (socket->opcode == GH_WEBSOCKET_CLOSE)
        end_close(socket, payload, answers);
    gh_buffer_release(&socket->control);
}

/* A control frame's payload is kept until it is whole, because its answer repeats it. */
static void keep_control(struct gh_websocket *socket, const uint8_t *from, size_t size)
{
    uint8_t *to = gh_buffer_reserve(&socket->control, size);
    if (to == NULL) { /* no memory; the size was checked with the head */
        socket->status = GH_WEBSOCKET_REFUSED;
        socket->why = "no memory for a control frame";
        return;
    }
    unmask(socket, to, from, size);
    gh_buffer_commit(&socket->control, size);
}

enum gh_websocket_status gh_websocket_read(struct gh_websocket *socket, uint8_t *bytes, size_t size,
                                           size_t *data_size, struct gh_buffer *answers)
{
    size_t at = 0;

    *data_size = 0;
    while (socket->status == GH_WEBSOCKET_OPEN && (at < size || socket->in_payload)) {
        if (!socket->in_payload) {
            at += read_head(socket, gh_slice(bytes + at, size - at), answers);
            continue;
        }
        size_t part = socket->left < size - at ? (size_t)socket->left : size - at;
        if (is_control(socket->opcode)) {
            keep_control(socket, bytes + at, part);
        } else {
            unmask(socket, bytes + *data_size, bytes + at, part);
            *data_size += part;
        }
        at += part;
        socket->left -= part;
        if (socket->left > 0)
            break;
        if (socket->status == GH_WEBSOCKET_OPEN)
            end_frame(socket, answers);
    }
    return socket->status;
}
