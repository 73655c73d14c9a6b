#include "wire/base64.h"
#include <assert.h>

static const char alphabets[][65] = {
    [GH_BASE64_STANDARD] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    [GH_BASE64_URL_NOPAD] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

/* -1 for what is in no alphabet. */
static int digit_value(uint8_t c, enum gh_base64_reading reading)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-' || (c == '+' && reading == GH_BASE64_ANY))
        return 62;
    if (c == '_' || (c == '/' && reading == GH_BASE64_ANY))
        return 63;
    return -1;
}

/* Drops complete padding; padding that does not fill up to four is left in place, where it is no
 * digit. */
static struct gh_slice without_padding(struct gh_slice text)
{
    size_t size = text.size;
    if (size == 0 || size % 4 != 0 || text.data[size - 1] != '=')
        return text;
    return gh_slice_sub(text, 0, text.data[size - 2] == '=' ? size - 2 : size - 1);
}

bool gh_base64_decode(struct gh_slice text, enum gh_base64_reading reading, struct gh_buffer *out)
{
    uint32_t bits = 0;
    unsigned bits_count = 0;
    size_t written = 0;

    assert(out != NULL);
    if (reading == GH_BASE64_ANY)
        text = without_padding(text);
    if (text.size % 4 == 1)
        return false;
    uint8_t *to = gh_buffer_reserve(out, text.size / 4 * 3 + text.size % 4);
    if (to == NULL)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        int value = digit_value(text.data[i], reading);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        bits_count += 6;
        if (bits_count >= 8) {
            bits_count -= 8;
            to[written++] = (uint8_t)(bits >> bits_count);
        }
    }
    if (reading == GH_BASE64_STRICT_URL && (bits & ((1u << bits_count) - 1)) != 0)
        return false;
    gh_buffer_commit(out, written);
    return true;
}

bool gh_base64_encode(struct gh_slice bytes, enum gh_base64_writing writing, struct gh_buffer *out)
{
    const char *alphabet = alphabets[writing];
    size_t written = 0;
    uint8_t *to = gh_buffer_reserve(out, (bytes.size + 2) / 3 * 4);

    if (to == NULL)
        return false;
    for (size_t i = 0; i < bytes.size; i += 3) {
        struct gh_slice three = gh_slice_sub(bytes, i, 3);
        uint32_t bits = (uint32_t)three.data[0] << 16;
        bits |= three.size > 1 ? (uint32_t)three.data[1] << 8 : 0;
        bits |= three.size > 2 ? three.data[2] : 0;
        for (unsigned k = 0; k < 4; k++) {
            if (k <= three.size)
                to[written++] = (uint8_t)alphabet[bits >> (18 - 6 * k) & 63];
            else if (writing == GH_BASE64_STANDARD)
                to[written++] = '=';
        }
    }
    gh_buffer_commit(out, written);
    return true;
}
