#include "base/cursor.h"

struct gh_cursor gh_cursor(struct gh_slice in)
{
    return (struct gh_cursor){in};
}

bool gh_cursor_u32(struct gh_cursor *at, uint32_t *out)
{
    uint64_t value;
    if (!gh_cursor_number(at, sizeof *out, &value))
        return false;
    *out = (uint32_t)value;
    return true;
}

bool gh_cursor_u64(struct gh_cursor *at, uint64_t *out)
{
    return gh_cursor_number(at, sizeof *out, out);
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
