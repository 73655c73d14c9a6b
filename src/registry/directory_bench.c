/* What the directory does per second on a new database: creates one by one and in thousands, finds,
 * config and state writes, lists, searches, notes and their flush. directory_bench FOLDER DEVICES
 * THREADS Prints one JSON line. FOLDER is empty or new; it keeps the database for a look at it. */
#include "base/time.h"
#include "registry/directory.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { BATCH = 1000, ARENA_BYTES = 64 << 20, PAGE = 100, THREADS_MAX = 64 };

static struct gh_directory *directory;
static int64_t registry_number, tenant_number;
static uint64_t *numbers;
static size_t devices_count;

static void must(enum gh_error_code code, const struct gh_error *error)
{
    if (code == GH_OK)
        return;
    fprintf(stderr, "%s\n", error->text);
    exit(1);
}

static double seconds_since(int64_t begun_ns)
{
    return (double)(gh_time_monotonic_ns() - begun_ns) / 1e9;
}

static void create_thousands(void)
{
    static struct gh_device devices[BATCH];
    static struct gh_attribute attributes[BATCH][2];
    static char ids[BATCH][32], halls[BATCH][32];
    struct gh_arena arena;
    struct gh_error error;
    gh_arena_init(&arena, ARENA_BYTES);
    for (size_t done = 0; done < devices_count; done += BATCH) {
        for (size_t i = 0; i < BATCH; i++) {
            snprintf(ids[i], sizeof ids[i], "device-%08zu", done + i);
            snprintf(halls[i], sizeof halls[i], "hall-%zu", (done + i) % 1000);
            attributes[i][0] = (struct gh_attribute){GH_SLICE("hall"), gh_slice_text(halls[i])};
            attributes[i][1] = (struct gh_attribute){GH_SLICE("kind"), GH_SLICE("climate")};
            devices[i] = (struct gh_device){.registry = registry_number,
                                            .id = gh_slice_text(ids[i]),
                                            .attributes = attributes[i],
                                            .attributes_count = 2};
        }
        must(gh_directory_device_create_all(directory, devices, BATCH, &arena, NULL, &error),
             &error);
        for (size_t i = 0; i < BATCH; i++)
            numbers[done + i] = devices[i].number;
        gh_arena_reset(&arena);
    }
    gh_arena_deinit(&arena);
}

/* --- work of several threads: each does `count` of one kind --- */

struct worker {
    pthread_t thread;
    size_t number, count;
    void (*one)(struct gh_arena *arena, size_t number, size_t at);
};

static void one_create(struct gh_arena *arena, size_t number, size_t at)
{
    static atomic_size_t made;
    char id[48];
    struct gh_error error;
    (void)number, (void)at;
    snprintf(id, sizeof id, "single-%zu", atomic_fetch_add(&made, 1));
    struct gh_device device = {.registry = registry_number, .id = gh_slice_text(id)};
    must(gh_directory_device_create(directory, &device, arena, &error), &error);
}

static size_t any_device(size_t number, size_t at)
{
    return (number * 7919 + at * 104729) % devices_count;
}

static void one_find(struct gh_arena *arena, size_t number, size_t at)
{
    char id[48];
    struct gh_error error;
    struct gh_device device;
    snprintf(id, sizeof id, "device-%08zu", any_device(number, at));
    must(gh_directory_device_find(directory, tenant_number, GH_SLICE("bench"), (struct gh_slice){0},
                                  gh_slice_text(id), arena, &device, &error),
         &error);
}

static void one_config(struct gh_arena *arena, size_t number, size_t at)
{
    struct gh_error error;
    (void)arena;
    must(gh_directory_config_set(directory, numbers[any_device(number, at)],
                                 GH_SLICE("{\"setpoint\":21.5}"), 0, NULL, &error),
         &error);
}

static void one_state(struct gh_arena *arena, size_t number, size_t at)
{
    struct gh_error error;
    (void)arena;
    must(gh_directory_state_set(directory, numbers[any_device(number, at)],
                                GH_SLICE("{\"level\":1,\"stages\":2}"), 1, &error),
         &error);
}

static void one_note(struct gh_arena *arena, size_t number, size_t at)
{
    (void)arena;
    gh_directory_note(directory, numbers[any_device(number, at)], GH_ACTIVITY_EVENT,
                      (int64_t)at + 1);
}

static void *work(void *context)
{
    struct worker *worker = context;
    struct gh_arena arena;
    gh_arena_init(&arena, ARENA_BYTES);
    for (size_t i = 0; i < worker->count; i++) {
        worker->one(&arena, worker->number, i);
        gh_arena_reset(&arena);
    }
    gh_arena_deinit(&arena);
    return NULL;
}

static double per_second(size_t threads, size_t count,
                         void (*one)(struct gh_arena *, size_t, size_t))
{
    struct worker workers[THREADS_MAX];
    int64_t begun_ns = gh_time_monotonic_ns();
    for (size_t i = 0; i < threads; i++) {
        workers[i] = (struct worker){.number = i, .count = count / threads, .one = one};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            exit(1);
    }
    for (size_t i = 0; i < threads; i++)
        pthread_join(workers[i].thread, NULL);
    return (double)(count / threads * threads) / seconds_since(begun_ns);
}

static bool keep_few(void *context, uint64_t device)
{
    (void)context;
    return device % 1000 == 0;
}

/* Milliseconds of one page of a query, the slowest of a walk over `pages` pages. */
static double page_ms(struct gh_device_query query, int pages)
{
    struct gh_arena arena, kept;
    struct gh_error error;
    struct gh_slice next = {0};
    double slowest = 0;
    gh_arena_init(&arena, ARENA_BYTES);
    gh_arena_init(&kept, ARENA_BYTES);
    query.page_size = PAGE;
    query.parts = GH_DEVICE_PART_CREDENTIALS | GH_DEVICE_PART_ATTRIBUTES;
    for (int i = 0; i < pages; i++) {
        struct gh_device *list;
        size_t count;
        int64_t begun_ns = gh_time_monotonic_ns();
        query.page_token = next;
        must(gh_directory_device_list(directory, &query, &arena, &list, &count, &next, &error),
             &error);
        double took_ms = seconds_since(begun_ns) * 1e3;
        slowest = took_ms > slowest ? took_ms : slowest;
        if (next.size == 0 || !gh_arena_copy(&kept, next, &next))
            break;
        gh_arena_reset(&arena);
    }
    gh_arena_deinit(&arena);
    gh_arena_deinit(&kept);
    return slowest;
}

static double count_ms(struct gh_device_query query)
{
    struct gh_error error;
    uint64_t total;
    int64_t begun_ns = gh_time_monotonic_ns();
    must(gh_directory_device_count(directory, &query, &total, &error), &error);
    return seconds_since(begun_ns) * 1e3;
}

static void report_lists(void)
{
    struct gh_device_query all = {0}, tenant = {.tenant = tenant_number},
                           registry = {.registry = registry_number};
    struct gh_device_query text = {.text = GH_SLICE("hall-77")},
                           nothing = {.text = GH_SLICE("nowhere")};
    struct gh_device_query few = {.keep = keep_few};
    printf("\"page_ms\":{\"all\":%.2f,\"tenant\":%.2f,\"registry\":%.2f,\"text\":%.2f,\"nothing\":%"
           ".2f,\"kept\":%.2f},",
           page_ms(all, 20), page_ms(tenant, 20), page_ms(registry, 20), page_ms(text, 3),
           page_ms(nothing, 1), page_ms(few, 1));
    printf("\"count_ms\":{\"all\":%.2f,\"registry\":%.2f,\"text\":%.2f,\"kept\":%.2f},",
           count_ms(all), count_ms(registry), count_ms(text), count_ms(few));
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: directory_bench FOLDER DEVICES THREADS\n");
        return 2;
    }
    size_t threads = strtoul(argv[3], NULL, 10);
    devices_count = strtoul(argv[2], NULL, 10) / BATCH * BATCH;
    numbers = calloc(devices_count, sizeof *numbers);
    struct gh_error error;
    mkdir(argv[1], 0700);
    struct gh_store *store = gh_store_open(argv[1], GH_STORE_CREATE, &error);
    directory = store == NULL ? NULL : gh_directory_open(store, NULL, NULL, &error);
    if (directory == NULL || devices_count == 0 || threads == 0 || threads > THREADS_MAX ||
        numbers == NULL) {
        fprintf(stderr, "%s\n",
                directory == NULL ? error.text : "devices: 1000 or more; threads: 1 to 64");
        return 1;
    }
    struct gh_tenant tenant = {.name = GH_SLICE("bench")};
    must(gh_directory_tenant_create(directory, &tenant, &error), &error);
    struct gh_registry registry = {.tenant = tenant_number = tenant.number,
                                   .name = GH_SLICE("bench")};
    must(gh_directory_registry_create(directory, &registry, &error), &error);
    registry_number = registry.number;

    int64_t begun_ns = gh_time_monotonic_ns();
    create_thousands();
    printf("{\"bench\":\"directory\",\"devices\":%zu,\"threads\":%zu,\"per_s\":{\"creates_by_"
           "thousands\":%.0f,",
           devices_count, threads, (double)devices_count / seconds_since(begun_ns));
    printf("\"creates\":%.0f,", per_second(threads, 2000 * threads, one_create));
    printf("\"creates_one_thread\":%.0f,", per_second(1, 1000, one_create));
    printf("\"finds\":%.0f,", per_second(threads, 20000, one_find));
    printf("\"finds_one_thread\":%.0f,", per_second(1, 20000, one_find));
    printf("\"configs\":%.0f,", per_second(threads, 2000 * threads, one_config));
    printf("\"states\":%.0f,", per_second(threads, 2000 * threads, one_state));
    printf("\"notes\":%.0f},", per_second(threads, 10 * devices_count, one_note));
    begun_ns = gh_time_monotonic_ns();
    must(gh_directory_flush(directory, &error), &error);
    printf("\"flush_s\":%.2f,", seconds_since(begun_ns));
    report_lists();
    gh_directory_close(directory);
    gh_store_close(store);
    begun_ns = gh_time_monotonic_ns();
    store = gh_store_open(argv[1], GH_STORE_EXISTING, &error);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("\"reopen_ms\":%.0f,\"resident_kib\":%ld}\n", seconds_since(begun_ns) * 1e3,
           usage.ru_maxrss);
    gh_store_close(store);
    free(numbers);
    return store == NULL;
}
