#include "wire/cbor.h"

enum {
    DIRECT_MAX = 23, /* values up to it stand in the first byte */
    TAG = 6,
};

/* The number behind the first byte: in it, or in 1, 2, 4 or 8 bytes after it. */
static bool read_value(struct gh_cursor *at, unsigned extra, uint64_t *out)
{
    uint8_t byte;

    *out = extra;
    if (extra <= DIRECT_MAX)
        return true;
    if (extra > 27) /* reserved, or of indefinite length */
        return false;
    *out = 0;
    for (unsigned left = 1u << (extra - 24); left > 0; left--) {
        if (!gh_cursor_u8(at, &byte))
            return false;
        *out = *out << 8 | byte;
    }
    return true;
}

bool gh_cbor_read(struct gh_cursor *at, struct gh_cbor_item *out)
{
    uint8_t first;

    *out = (struct gh_cbor_item){0};
    if (!gh_cursor_u8(at, &first))
        return false;
    unsigned kind = first >> 5, extra = first & 0x1fu;
    if (kind == TAG || (kind == GH_CBOR_SIMPLE && extra > DIRECT_MAX) ||
        !read_value(at, extra, &out->value))
        return false;
    out->kind = (enum gh_cbor_kind)kind;
    if (kind == GH_CBOR_BYTES || kind == GH_CBOR_TEXT)
        return out->value <= gh_cursor_left(at) &&
               gh_cursor_take(at, (size_t)out->value, &out->bytes);
    /* Each item takes a byte at least, each pair two. */
    if (kind == GH_CBOR_ARRAY || kind == GH_CBOR_MAP)
        return out->value <= gh_cursor_left(at) / (kind == GH_CBOR_MAP ? 2 : 1);
    return true;
}

bool gh_cbor_skip(struct gh_cursor *at)
{
    uint64_t left[GH_CBOR_DEPTH_MAX]; /* items still to come, of each level */
    size_t depth = 0;
    struct gh_cbor_item item;

    left[0] = 1;
    for (;;) {
        while (left[depth] == 0) {
            if (depth == 0)
                return true;
            depth--;
        }
        left[depth]--;
        if (!gh_cbor_read(at, &item))
            return false;
        bool nests = item.kind == GH_CBOR_ARRAY || item.kind == GH_CBOR_MAP;
        if (!nests)
            continue;
        if (++depth == GH_CBOR_DEPTH_MAX)
            return false;
        left[depth] = item.kind == GH_CBOR_MAP ? 2 * item.value : item.value;
    }
}

bool gh_cbor_integer(const struct gh_cbor_item *item, int64_t *out)
{
    if (item->kind > GH_CBOR_NEGATIVE || item->value > INT64_MAX)
        return false;
    *out = item->kind == GH_CBOR_UNSIGNED ? (int64_t)item->value : -1 - (int64_t)item->value;
    return true;
}
