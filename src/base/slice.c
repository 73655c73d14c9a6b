#include "base/slice.h"
#include <assert.h>
#include <string.h>

struct gh_slice gh_slice(const void *data, size_t size)
{
    assert(data != NULL || size == 0);
    return (struct gh_slice){data, size};
}

struct gh_slice gh_slice_text(const char *text)
{
    return (struct gh_slice){(const uint8_t *)text, text == NULL ? 0 : strlen(text)};
}

bool gh_slice_equal(struct gh_slice a, struct gh_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

int gh_slice_compare(struct gh_slice a, struct gh_slice b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    if (order != 0 || a.size == b.size)
        return order;
    return a.size < b.size ? -1 : 1;
}

bool gh_slice_starts(struct gh_slice whole, struct gh_slice prefix)
{
    return whole.size >= prefix.size && gh_slice_equal(gh_slice_sub(whole, 0, prefix.size), prefix);
}

bool gh_slice_ends(struct gh_slice whole, struct gh_slice suffix)
{
    return whole.size >= suffix.size &&
           gh_slice_equal(gh_slice_sub(whole, whole.size - suffix.size, suffix.size), suffix);
}

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20u) : byte;
}

bool gh_slice_equal_nocase(struct gh_slice a, struct gh_slice b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++)
        if (lower(a.data[i]) != lower(b.data[i]))
            return false;
    return true;
}

struct gh_slice gh_slice_sub(struct gh_slice whole, size_t from, size_t size)
{
    if (from > whole.size)
        from = whole.size;
    if (size > whole.size - from)
        size = whole.size - from;
    return (struct gh_slice){size == 0 ? NULL : whole.data + from, size};
}

size_t gh_slice_find(struct gh_slice whole, uint8_t byte)
{
    const uint8_t *found = whole.size == 0 ? NULL : memchr(whole.data, byte, whole.size);
    return found == NULL ? whole.size : (size_t)(found - whole.data);
}

struct gh_slice gh_slice_split(struct gh_slice *rest, uint8_t separator)
{
    size_t at = gh_slice_find(*rest, separator);
    struct gh_slice part = gh_slice_sub(*rest, 0, at);
    *rest = gh_slice_sub(*rest, at + 1, rest->size);
    return part;
}

bool gh_slice_to_u64(struct gh_slice text, uint64_t *out)
{
    uint64_t value = 0;
    if (text.size == 0)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' ||
            __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.data[i] - '0'), &value))
            return false;
    }
    *out = value;
    return true;
}
