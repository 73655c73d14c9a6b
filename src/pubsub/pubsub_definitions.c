/* What topics, subscriptions and snapshots do alike: names, keys, texts, answers and lists. */
#include "pubsub/pubsub_internal.h"
#include <stdlib.h>
#include <string.h>

static bool name_byte(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || (byte != 0 && strchr("-_.~+%", byte) != NULL);
}

bool gh_pubsub_name_valid(struct gh_slice name)
{
    if (name.size < GH_PUBSUB_NAME_MIN || name.size > GH_PUBSUB_NAME_MAX)
        return false;
    uint8_t first = name.data[0] | 0x20;
    if (first < 'a' || first > 'z' || gh_slice_starts(name, GH_SLICE("goog")))
        return false;
    for (size_t i = 0; i < name.size; i++)
        if (!name_byte(name.data[i]))
            return false;
    return true;
}

struct gh_slice gh_pubsub_name_key(int64_t tenant, struct gh_slice name,
                                   uint8_t out[GH_PUBSUB_KEY_MAX])
{
    struct gh_buffer key = gh_buffer_fixed(out, GH_PUBSUB_KEY_MAX);
    gh_buffer_u64(&key, (uint64_t)tenant);
    gh_buffer_put(&key,
                  name); /* a name that is too long is none: the key without it finds nothing */
    return gh_buffer_slice(&key);
}

struct gh_slice gh_pubsub_number_key(const uint32_t *number)
{
    return gh_slice(number, sizeof *number);
}

bool gh_pubsub_copy(struct gh_slice from, struct gh_slice *out)
{
    *out = gh_slice(NULL, 0);
    if (from.size == 0)
        return true;
    uint8_t *bytes = malloc(from.size);
    if (bytes == NULL)
        return false;
    memcpy(bytes, from.data, from.size);
    *out = gh_slice(bytes, from.size);
    return true;
}

void gh_pubsub_uncopy(struct gh_slice slice)
{
    free((void *)(uintptr_t)slice.data);
}

static struct gh_slice *text_at(const struct gh_pubsub_kind *kind, void *what, size_t index)
{
    return (struct gh_slice *)(void *)((char *)what + kind->texts[index]);
}

static const struct gh_slice *text_of(const struct gh_pubsub_kind *kind, const void *what,
                                      size_t index)
{
    return (const struct gh_slice *)(const void *)((const char *)what + kind->texts[index]);
}

bool gh_pubsub_texts_copy(const struct gh_pubsub_kind *kind, const void *from, void *out)
{
    for (size_t i = 0; i < kind->texts_count; i++)
        *text_at(kind, out, i) = gh_slice(NULL, 0);
    for (size_t i = 0; i < kind->texts_count; i++) {
        if (gh_pubsub_copy(*text_of(kind, from, i), text_at(kind, out, i)))
            continue;
        gh_pubsub_texts_free(kind, out);
        return false;
    }
    return true;
}

void gh_pubsub_texts_free(const struct gh_pubsub_kind *kind, void *what)
{
    for (size_t i = 0; i < kind->texts_count; i++)
        gh_pubsub_uncopy(*text_of(kind, what, i));
}

enum gh_error_code gh_pubsub_give(const struct gh_pubsub_kind *kind, const void *what,
                                  struct gh_arena *arena, void *out, struct gh_error *error)
{
    if (out == NULL)
        return GH_OK;
    memcpy(out, what, kind->size);
    for (size_t i = 0; i < kind->texts_count; i++)
        if (!gh_arena_copy(arena, *text_of(kind, what, i), text_at(kind, out, i)))
            return gh_error_set(error, GH_ERROR_MEMORY, "no memory for an answer");
    return GH_OK;
}

enum gh_error_code gh_pubsub_name_check(const struct gh_pubsub_kind *kind, struct gh_slice name,
                                        struct gh_error *error)
{
    return gh_pubsub_name_valid(name)
               ? GH_OK
               : gh_error_set(error, GH_ERROR_INVALID,
                              "a %s's name has %d to %d letters, digits or -_.~+%%, begins with a "
                              "letter and not with \"goog\"",
                              kind->noun, GH_PUBSUB_NAME_MIN, GH_PUBSUB_NAME_MAX);
}

enum gh_error_code gh_pubsub_none(const struct gh_pubsub_kind *kind, struct gh_slice name,
                                  struct gh_error *error)
{
    struct gh_slice shown = gh_slice_sub(name, 0, GH_PUBSUB_NAME_MAX);
    return gh_error_set(error, GH_ERROR_NOT_FOUND, "%s %.*s does not exist", kind->noun,
                        GH_PRINT(shown));
}

void *gh_pubsub_named(const struct gh_map *table, int64_t tenant, struct gh_slice name)
{
    uint8_t key[GH_PUBSUB_KEY_MAX];
    return gh_map_get(table, gh_pubsub_name_key(tenant, name, key));
}

enum gh_error_code gh_pubsub_get(struct gh_pubsub *ps, const struct gh_pubsub_kind *kind,
                                 const struct gh_map *table, int64_t tenant, struct gh_slice name,
                                 struct gh_arena *arena, void *out, struct gh_error *error)
{
    pthread_rwlock_rdlock(&ps->names);
    const void *what = gh_pubsub_named(table, tenant, name);
    enum gh_error_code code = what == NULL ? gh_pubsub_none(kind, name, error)
                                           : gh_pubsub_give(kind, what, arena, out, error);
    pthread_rwlock_unlock(&ps->names);
    return code;
}

/* ---- lists */

struct found {
    struct gh_slice name;
    const void *what;
};

static int by_name(const void *a, const void *b)
{
    return gh_slice_compare(((const struct found *)a)->name, ((const struct found *)b)->name);
}

static bool is_in(const struct gh_pubsub_kind *kind, const struct gh_pubsub_part *part,
                  const void *what)
{
    const int64_t *tenant = (const void *)((const char *)what + kind->tenant);
    return *tenant == part->tenant && gh_slice_compare(*text_of(kind, what, 0), part->after) > 0 &&
           (part->topic.size == 0 || kind->is_of(what, part->topic));
}

/* Those of the table that are in the part or behind it, by name, in `all`; returns how many. */
static size_t find(const struct gh_pubsub_kind *kind, const struct gh_map *table,
                   const struct gh_pubsub_part *part, struct found *all)
{
    struct gh_slice key;
    size_t count = 0;
    void *what;
    for (size_t at = 0; gh_map_next(table, &at, &key, &what);)
        if (is_in(kind, part, what))
            all[count++] = (struct found){*text_of(kind, what, 0), what};
    qsort(all, count, sizeof *all, by_name);
    return count;
}

enum gh_error_code gh_pubsub_list(struct gh_pubsub *ps, const struct gh_pubsub_kind *kind,
                                  const struct gh_map *table, const struct gh_pubsub_part *part,
                                  struct gh_arena *arena, void **out, size_t *count,
                                  struct gh_error *error)
{
    enum gh_error_code code = GH_OK;
    *count = 0;
    pthread_rwlock_rdlock(&ps->names);
    struct found *all = malloc((table->count + 1) * sizeof *all);
    size_t found = all == NULL ? 0 : find(kind, table, part, all);
    found = found < part->limit ? found : part->limit;
    char *list = gh_arena_array(arena, found + 1, kind->size);
    if (all == NULL || list == NULL)
        code = gh_error_set(error, GH_ERROR_MEMORY, "no memory for a list of %ss", kind->noun);
    for (; code == GH_OK && *count < found; ++*count)
        code = gh_pubsub_give(kind, all[*count].what, arena, list + *count * kind->size, error);
    pthread_rwlock_unlock(&ps->names);
    free(all);
    *out = list;
    return code;
}

void gh_pubsub_exchange(struct gh_pubsub *ps, const struct gh_pubsub_kind *kind, void *what,
                        void *other)
{
    char *a = what, *b = other;
    pthread_mutex_lock(&ps->lock);
    pthread_rwlock_wrlock(&ps->names);
    for (size_t i = 0; i < kind->size; i++) {
        char byte = a[i];
        a[i] = b[i];
        b[i] = byte;
    }
    pthread_rwlock_unlock(&ps->names);
    pthread_mutex_unlock(&ps->lock);
}
