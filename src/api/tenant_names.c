#include "api/tenant_names_internal.h"
#include "base/map.h"
#include "registry/directory.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_BYTES_MAX = 16 * 1024 * 1024 };

struct tenant_names {
    pthread_mutex_t lock;
    struct gh_map by_number; /* to a gh_slice in a block of its own */
};

static struct gh_slice key_of(const int64_t *number)
{
    return gh_slice(number, sizeof *number);
}

void tenant_names_add(struct tenant_names *names, int64_t number, struct gh_slice name)
{
    struct gh_slice *entry = malloc(sizeof *entry + name.size);
    void *before = NULL;
    if (entry == NULL)
        return;
    uint8_t *bytes = (uint8_t *)(entry + 1);
    memcpy(bytes, name.data, name.size);
    *entry = gh_slice(bytes, name.size);
    pthread_mutex_lock(&names->lock);
    if (!gh_map_put(&names->by_number, key_of(&number), entry, &before))
        before = entry;
    pthread_mutex_unlock(&names->lock);
    free(before); /* a number is never used again, so nobody holds another name of it */
}

struct tenant_names *tenant_names_open(struct gh_directory *directory)
{
    struct tenant_names *names = calloc(1, sizeof *names);
    struct gh_tenant *tenants;
    struct gh_arena arena;
    size_t count = 0;
    if (names == NULL)
        return NULL;
    pthread_mutex_init(&names->lock, NULL);
    gh_map_init(&names->by_number);
    gh_arena_init(&arena, LIST_BYTES_MAX);
    if (gh_directory_tenant_list(directory, &arena, &tenants, &count, NULL) == GH_OK)
        for (size_t i = 0; i < count; i++)
            tenant_names_add(names, tenants[i].number, tenants[i].name);
    gh_arena_deinit(&arena);
    return names;
}

void tenant_names_close(struct tenant_names *names)
{
    struct gh_slice key;
    size_t at = 0;
    if (names == NULL)
        return;
    for (void *entry; gh_map_next(&names->by_number, &at, &key, &entry);)
        free(entry);
    gh_map_deinit(&names->by_number);
    pthread_mutex_destroy(&names->lock);
    free(names);
}

struct gh_slice tenant_names_get(struct tenant_names *names, int64_t number)
{
    pthread_mutex_lock(&names->lock);
    const struct gh_slice *entry = gh_map_get(&names->by_number, key_of(&number));
    struct gh_slice name = entry != NULL ? *entry : (struct gh_slice){0};
    pthread_mutex_unlock(&names->lock);
    return name;
}
