#include "wire/http/path.h"
#include <assert.h>

static int digit_of(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

bool gh_path_decode(struct gh_slice encoded, struct gh_arena *arena, struct gh_slice *out)
{
    size_t first = gh_slice_find(encoded, '%'), size = 0;

    if (first == encoded.size) {
        *out = encoded;
        return true;
    }
    uint8_t *to = gh_arena_alloc(arena, encoded.size);
    if (to == NULL)
        return false;
    for (size_t i = 0; i < encoded.size; i++) {
        if (encoded.data[i] != '%') {
            to[size++] = encoded.data[i];
            continue;
        }
        if (encoded.size - i < 3)
            return false;
        int high = digit_of(encoded.data[i + 1]), low = digit_of(encoded.data[i + 2]);
        if (high < 0 || low < 0 || (high == 0 && low == 0))
            return false;
        to[size++] = (uint8_t)(high << 4 | low);
        i += 2;
    }
    *out = gh_slice(to, size);
    return true;
}

/* One segment of a pattern: "literal", "{name}", "{name}:verb" or "{name*}". */
struct part {
    bool captures, takes_rest;
    struct gh_slice literal; /* the whole segment, or ":verb" behind the capture */
};

static struct part part_of(struct gh_slice segment)
{
    size_t end = gh_slice_find(segment, '}');

    if (segment.size == 0 || segment.data[0] != '{' || end == segment.size)
        return (struct part){.literal = segment};
    return (struct part){.captures = true,
                         .takes_rest = segment.data[end - 1] == '*',
                         .literal = gh_slice_sub(segment, end + 1, segment.size)};
}

static bool match_part(const struct part *part, struct gh_slice raw, struct gh_slice *capture,
                       struct gh_arena *arena)
{
    struct gh_slice decoded;

    if (!part->captures)
        return gh_path_decode(raw, arena, &decoded) && gh_slice_equal(decoded, part->literal);
    if (!gh_slice_ends(raw, part->literal))
        return false;
    raw.size -= part->literal.size;
    return (raw.size > 0 || part->takes_rest) && gh_path_decode(raw, arena, capture);
}

bool gh_path_match(const char *pattern, struct gh_slice raw_path, struct gh_slice captures[],
                   size_t max, struct gh_arena *arena)
{
    struct gh_slice wanted = gh_slice_text(pattern), rest = raw_path;
    size_t count = 0;

    for (;;) {
        bool wanted_ends = gh_slice_find(wanted, '/') == wanted.size;
        bool rest_ends = gh_slice_find(rest, '/') == rest.size;
        struct part part = part_of(gh_slice_split(&wanted, '/'));
        assert(!part.captures || count < max);
        if (part.takes_rest)
            return match_part(&part, rest, &captures[count], arena);
        struct gh_slice raw = gh_slice_split(&rest, '/');
        if (wanted_ends != rest_ends) /* the path is longer or shorter */
            return false;
        if (!match_part(&part, raw, part.captures ? &captures[count] : NULL, arena))
            return false;
        count += part.captures;
        if (wanted_ends)
            return true;
    }
}
