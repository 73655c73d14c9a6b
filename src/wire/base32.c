#include "wire/base32.h"

bool gh_base32_encode(struct gh_slice bytes, struct gh_buffer *out)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint32_t pending = 0;
    unsigned bits = 0;

    for (size_t i = 0; i < bytes.size; i++) {
        pending = (pending << 8 | bytes.data[i]) & 0xfffu; /* at most 4 bits were left over */
        bits += 8;
        for (; bits >= 5; bits -= 5)
            (void)gh_buffer_u8(out, (uint8_t)letters[pending >> (bits - 5) & 31u]);
    }
    if (bits > 0)
        (void)gh_buffer_u8(out, (uint8_t)letters[pending << (5 - bits) & 31u]);
    return !out->overflow;
}
