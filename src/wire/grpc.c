#include "wire/grpc.h"

enum { TIMEOUT_DIGITS_MAX = 8 };

enum gh_grpc_read gh_grpc_message_read(struct gh_slice in, size_t body_max, struct gh_slice *out,
                                       size_t *size)
{
    if (in.size > 0 && in.data[0] > 1)
        return GH_GRPC_MALFORMED;
    if (in.size > 0 && in.data[0] == 1)
        return GH_GRPC_COMPRESSED;
    if (in.size < GH_GRPC_PREFIX_BYTES)
        return GH_GRPC_MORE;
    size_t body = (size_t)in.data[1] << 24 | (size_t)in.data[2] << 16 | (size_t)in.data[3] << 8 |
                  (size_t)in.data[4];
    if (body > body_max)
        return GH_GRPC_TOO_LARGE;
    if (in.size - GH_GRPC_PREFIX_BYTES < body)
        return GH_GRPC_MORE;
    *out = gh_slice_sub(in, GH_GRPC_PREFIX_BYTES, body);
    *size = GH_GRPC_PREFIX_BYTES + body;
    return GH_GRPC_MESSAGE;
}

bool gh_grpc_message_write(struct gh_buffer *out, struct gh_slice body)
{
    if (out->overflow || body.size > UINT32_MAX ||
        out->size_max - out->size < GH_GRPC_PREFIX_BYTES ||
        out->size_max - out->size - GH_GRPC_PREFIX_BYTES < body.size)
        return false;
    size_t before = out->size;
    gh_buffer_u8(out, 0);
    if (gh_buffer_put32(out, body))
        return true;
    out->size = before; /* no memory now; what stood there stays whole */
    out->overflow = false;
    return false;
}

bool gh_grpc_timeout_read(struct gh_slice text, int64_t *out_ns)
{
    static const struct {
        uint8_t unit;
        int64_t ns;
    } units[] = {
        {'H', INT64_C(3600000000000)}, {'M', INT64_C(60000000000)}, {'S', INT64_C(1000000000)},
        {'m', INT64_C(1000000)},       {'u', INT64_C(1000)},        {'n', INT64_C(1)},
    };
    uint64_t count;
    if (text.size < 2 || text.size > TIMEOUT_DIGITS_MAX + 1 ||
        !gh_slice_to_u64(gh_slice_sub(text, 0, text.size - 1), &count))
        return false;
    for (size_t i = 0; i < GH_COUNT(units); i++) {
        if (text.data[text.size - 1] != units[i].unit)
            continue;
        /* 99,999,999 hours are more than the clock counts: that is no deadline at all. */
        *out_ns = (int64_t)count > INT64_MAX / 2 / units[i].ns ? INT64_MAX / 2
                                                               : (int64_t)count * units[i].ns;
        return true;
    }
    return false;
}

void gh_grpc_text_write(struct gh_buffer *out, struct gh_slice text)
{
    text = gh_slice_sub(text, 0, GH_GRPC_STATUS_TEXT_MAX);
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (byte >= 0x20 && byte <= 0x7e && byte != '%')
            gh_buffer_u8(out, byte);
        else
            gh_buffer_print(out, "%%%02X", byte);
    }
}
