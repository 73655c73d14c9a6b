/* Times noted by many threads while others read and flush: a reader never sees a time go back. */
#include "registry/directory_internal.h"
#include "tests/check.h"
#include <sched.h>
#include <stdio.h>

enum { DEVICES = 8, NOTERS = 3, ROUNDS = 4000, FLUSHES = 40 };

static struct gh_directory *directory;
static uint64_t numbers[DEVICES];
static _Atomic int64_t noted[DEVICES]; /* what a read must show at least */
static atomic_bool end;
static atomic_uint wrong;

static void *note_on(void *context)
{
    (void)context;
    for (int64_t i = 1; i <= ROUNDS; i++) {
        size_t at = (size_t)i % DEVICES;
        gh_directory_note(directory, numbers[at], GH_ACTIVITY_EVENT, i);
        if (i % 16 == 0)
            gh_directory_note_error(directory, numbers[at], (int)i, GH_SLICE("no topic"), i);
        int64_t before = atomic_load(&noted[at]);
        while (before < i && !atomic_compare_exchange_weak(&noted[at], &before, i))
            continue;
    }
    return NULL;
}

static void *read_on(void *context)
{
    struct gh_arena arena;
    gh_arena_init(&arena, 1 << 20);
    while (!atomic_load(&end)) {
        struct gh_device device, *list;
        struct gh_slice next;
        size_t count;
        int64_t least[DEVICES];
        for (size_t i = 0; i < DEVICES; i++)
            least[i] = atomic_load(&noted[i]);
        for (size_t i = 0; i < DEVICES; i++)
            if (gh_directory_device_get(directory, numbers[i], &arena, &device, NULL) != GH_OK ||
                device.last_event_ms < least[i] ||
                device.last_error_code != (int)device.last_error_ms)
                atomic_fetch_add(&wrong, 1);
        struct gh_device_query query = {.page_size = DEVICES};
        if (gh_directory_device_list(directory, &query, &arena, &list, &count, &next, NULL) !=
            GH_OK)
            atomic_fetch_add(&wrong, 1);
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < DEVICES; j++)
                if (list[i].number == numbers[j] && list[i].last_event_ms < least[j])
                    atomic_fetch_add(&wrong, 1);
        gh_arena_reset(&arena);
    }
    gh_arena_deinit(&arena);
    return context;
}

static void *flush_once(void *context)
{
    return gh_directory_flush(directory, NULL) == GH_OK ? NULL : context;
}

/* The worst moment: a reader has read the row as it was, then a flush commits, then the reader
 * looks into the memory. What was noted must still be there. */
static void keeps_what_a_reader_may_miss(struct gh_store *store)
{
    enum { YIELDS = 2000 };
    struct gh_arena arena;
    struct gh_device before, stored;
    pthread_t flusher;
    void *failed;
    gh_arena_init(&arena, 64 << 20);
    gh_directory_note(directory, numbers[0], GH_ACTIVITY_HEARTBEAT, 500);
    gh_activity_read_begin(&directory->activity);
    REQUIRE("read", gh_store_device_get(store, numbers[0], &arena, &before, NULL) == GH_OK);
    REQUIRE("a thread", pthread_create(&flusher, NULL, flush_once, directory) == 0);
    do
        REQUIRE("read", gh_store_device_get(store, numbers[0], &arena, &stored, NULL) == GH_OK);
    while (stored.last_heartbeat_ms != 500);
    for (int i = 0; i < YIELDS; i++)
        sched_yield(); /* the flusher has every chance to remove it now */
    CHECK("the row was read before the commit", before.last_heartbeat_ms == 0);
    CHECK("the note is laid over it", gh_activity_lay_over(&directory->activity, &arena, &before) &&
                                          before.last_heartbeat_ms == 500);
    gh_activity_read_end(&directory->activity);
    pthread_join(flusher, &failed);
    CHECK("the flush went well", failed == NULL);
    gh_arena_deinit(&arena);
}

int main(void)
{
    struct gh_error error;
    struct gh_arena arena;
    pthread_t noters[NOTERS], reader;
    gh_arena_init(&arena, 1 << 20);
    struct gh_store *store = gh_store_open(check_folder(), GH_STORE_CREATE, &error);
    REQUIRE("the store opens", store != NULL);
    directory = gh_directory_open(store, NULL, NULL, &error);
    REQUIRE("the directory opens", directory != NULL);
    struct gh_tenant tenant = {.name = GH_SLICE("demo")};
    REQUIRE("a tenant", gh_directory_tenant_create(directory, &tenant, &error) == GH_OK);
    struct gh_registry registry = {.tenant = tenant.number, .name = GH_SLICE("reg")};
    REQUIRE("a registry", gh_directory_registry_create(directory, &registry, &error) == GH_OK);
    for (int i = 0; i < DEVICES; i++) {
        char id[16];
        snprintf(id, sizeof id, "dev-%d", i);
        struct gh_device device = {.registry = registry.number, .id = gh_slice_text(id)};
        REQUIRE("a device",
                gh_directory_device_create(directory, &device, &arena, &error) == GH_OK);
        numbers[i] = device.number;
    }
    keeps_what_a_reader_may_miss(store);
    REQUIRE("a thread", pthread_create(&reader, NULL, read_on, NULL) == 0);
    for (int i = 0; i < NOTERS; i++)
        REQUIRE("a thread", pthread_create(&noters[i], NULL, note_on, NULL) == 0);
    for (int i = 0; i < FLUSHES; i++)
        CHECK("flushed", gh_directory_flush(directory, &error) == GH_OK);
    for (int i = 0; i < NOTERS; i++)
        pthread_join(noters[i], NULL);
    CHECK("flushed", gh_directory_flush(directory, &error) == GH_OK);
    atomic_store(&end, true);
    pthread_join(reader, NULL);
    CHECK("no read missed a time", atomic_load(&wrong) == 0);
    size_t left = 0;
    for (size_t i = 0; i < GH_ACTIVITY_SHARDS; i++)
        left += directory->activity.shards[i].entries.count;
    CHECK("what is written leaves the memory", left == 0);
    for (size_t i = 0; i < DEVICES; i++) {
        struct gh_device device;
        CHECK("the last time is stored",
              gh_store_device_get(store, numbers[i], &arena, &device, &error) == GH_OK &&
                  device.last_event_ms == atomic_load(&noted[i]));
    }
    gh_directory_close(directory);
    gh_store_close(store);
    gh_arena_deinit(&arena);
    return check_report();
}
