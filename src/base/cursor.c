#include "base/cursor.h"

struct gh_cursor gh_cursor(struct gh_slice in)
{
    return (struct gh_cursor){in};
}

bool gh_cursor_take(struct gh_cursor *at, size_t size, struct gh_slice *out)
{
    if (size > at->rest.size)
        return false;
    *out = gh_slice_sub(at->rest, 0, size);
    at->rest = gh_slice_sub(at->rest, size, at->rest.size - size);
    return true;
}

static bool take_number(struct gh_cursor *at, size_t size, uint64_t *out)
{
    struct gh_slice bytes;
    uint64_t value = 0;
    if (!gh_cursor_take(at, size, &bytes))
        return false;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | bytes.data[i];
    *out = value;
    return true;
}

bool gh_cursor_u8(struct gh_cursor *at, uint8_t *out)
{
    uint64_t value;
    if (!take_number(at, 1, &value))
        return false;
    *out = (uint8_t)value;
    return true;
}

bool gh_cursor_u16(struct gh_cursor *at, uint16_t *out)
{
    uint64_t value;
    if (!take_number(at, 2, &value))
        return false;
    *out = (uint16_t)value;
    return true;
}

bool gh_cursor_u32(struct gh_cursor *at, uint32_t *out)
{
    uint64_t value;
    if (!take_number(at, 4, &value))
        return false;
    *out = (uint32_t)value;
    return true;
}

bool gh_cursor_u64(struct gh_cursor *at, uint64_t *out)
{
    return take_number(at, 8, out);
}

bool gh_cursor_take16(struct gh_cursor *at, struct gh_slice *out)
{
    struct gh_cursor ahead = *at;
    uint16_t size;
    if (!gh_cursor_u16(&ahead, &size) || !gh_cursor_take(&ahead, size, out))
        return false;
    *at = ahead;
    return true;
}

bool gh_cursor_take32(struct gh_cursor *at, struct gh_slice *out)
{
    struct gh_cursor ahead = *at;
    uint32_t size;
    if (!gh_cursor_u32(&ahead, &size) || !gh_cursor_take(&ahead, size, out))
        return false;
    *at = ahead;
    return true;
}
