#include "wire/http/query.h"
#include "wire/http/path.h"
#include <string.h>

/* '+' is a space in a query, and only there; it is replaced before the escapes, so that %2B stays a
 * plus. */
static bool decode(struct gh_slice encoded, struct gh_arena *arena, struct gh_slice *out)
{
    if (gh_slice_find(encoded, '+') == encoded.size)
        return gh_path_decode(encoded, arena, out);
    uint8_t *spaced = gh_arena_alloc(arena, encoded.size);
    if (spaced == NULL)
        return false;
    for (size_t i = 0; i < encoded.size; i++)
        spaced[i] = encoded.data[i] == '+' ? ' ' : encoded.data[i];
    return gh_path_decode(gh_slice(spaced, encoded.size), arena, out);
}

bool gh_query_next(struct gh_slice *rest, struct gh_arena *arena, struct gh_slice *name,
                   struct gh_slice *value)
{
    while (rest->size > 0) {
        struct gh_slice pair = gh_slice_split(rest, '&');
        struct gh_slice raw_name = gh_slice_split(&pair, '=');
        if (decode(raw_name, arena, name) && decode(pair, arena, value) && name->size > 0)
            return true;
    }
    return false;
}

bool gh_query_each(struct gh_slice *rest, const char *name, struct gh_arena *arena,
                   struct gh_slice *out)
{
    struct gh_slice found, wanted = gh_slice_text(name);

    while (gh_query_next(rest, arena, &found, out))
        if (gh_slice_equal(found, wanted))
            return true;
    return false;
}

bool gh_query_get(struct gh_slice query, const char *name, struct gh_arena *arena,
                  struct gh_slice *out)
{
    return gh_query_each(&query, name, arena, out);
}
