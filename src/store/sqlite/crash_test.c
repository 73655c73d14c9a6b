/* Kill -9: a child writes and reports each change once its call returned; it is killed at a random
 * moment, and all that it reported must be there when the database is opened again. Each round goes
 * on with the same database. */
#include "store/registry.h"
#include "tests/check.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 25, THREADS = 4, ROUND_MS_MAX = 60 };

/* What the child says: "device `number` of thread t has config version v". */
struct report {
    uint64_t device;
    int64_t version;
};

struct writer {
    struct gh_store *store;
    int64_t registry;
    int round, number, pipe;
};

static void say(int pipe, struct report report)
{
    if (write(pipe, &report, sizeof report) != sizeof report)
        _exit(2);
}

/* Creates devices and changes their configs until it is killed. */
static void *write_on(void *context)
{
    const struct writer *writer = context;
    for (int i = 0;; i++) {
        char id[64];
        size_t failed;
        bool taken;
        struct gh_error error;
        snprintf(id, sizeof id, "d%d-%d-%d", writer->round, writer->number, i);
        struct gh_device device = {
            .number =
                (uint64_t)(writer->round * THREADS + writer->number + 1) << 32 | (unsigned)(i + 1),
            .registry = writer->registry,
            .id = gh_slice_text(id),
            .config.data = gh_slice_text(id)};
        if (gh_store_devices_create(writer->store, &device, 1, &failed, &taken, &error) != GH_OK)
            _exit(3);
        say(writer->pipe, (struct report){device.number, 1});
        for (int64_t version = 2; version <= 3; version++) {
            int64_t got;
            if (gh_store_config_set(writer->store, device.number, gh_slice_text(id), 0, 1, &got,
                                    &error) != GH_OK ||
                got != version)
                _exit(4);
            say(writer->pipe, (struct report){device.number, version});
        }
    }
    return NULL;
}

static void child_run(const char *folder, int64_t registry, int round, int pipe)
{
    struct gh_error error;
    struct writer writers[THREADS];
    pthread_t threads[THREADS];
    struct gh_store *store = gh_store_open(folder, GH_STORE_EXISTING, &error);
    if (store == NULL)
        _exit(5);
    for (int i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){store, registry, round, i, pipe};
        if (pthread_create(&threads[i], NULL, write_on, &writers[i]) != 0)
            _exit(6);
    }
    pthread_join(threads[0], NULL);
}

/* Kills the child when its time is over, at least one report is there, and it is in the middle of
 * things. */
static size_t reports_until_killed(pid_t child, int from, struct report *reports, size_t max,
                                   int after_ms)
{
    size_t size = 0, size_max = max * sizeof *reports;
    ssize_t got = read(from, reports, size_max);
    REQUIRE("the child works", got > 0);
    size += (size_t)got;
    /* Reads on for a while instead of sleeping: the moment of the kill is what the test is about.
     */
    struct pollfd never = {.fd = -1};
    poll(&never, 1, after_ms);
    kill(child, SIGKILL);
    while ((got = read(from, (char *)reports + size, size_max - size)) > 0)
        size += (size_t)got;
    int status;
    REQUIRE("the child was killed", waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    return size / sizeof *reports;
}

static void all_is_there(const char *folder, const struct report *reports, size_t count)
{
    struct gh_error error;
    struct gh_arena arena;
    gh_arena_init(&arena, 1 << 20);
    struct gh_store *store = gh_store_open(folder, GH_STORE_EXISTING, &error);
    REQUIRE("the database opens after the kill", store != NULL);
    for (size_t i = 0; i < count; i++) {
        struct gh_device device;
        bool found =
            gh_store_device_get(store, reports[i].device, &arena, &device, &error) == GH_OK;
        CHECK("what was acknowledged is there", found &&
                                                    device.config.version >= reports[i].version &&
                                                    gh_slice_equal(device.config.data, device.id));
        gh_arena_reset(&arena);
    }
    gh_store_close(store);
    gh_arena_deinit(&arena);
}

int main(void)
{
    static struct report reports[200000];
    const char *folder = check_folder();
    struct gh_error error;
    struct gh_tenant tenant = {.name = GH_SLICE("t"),
                               .google_project = GH_SLICE("t"),
                               .azure_hub = GH_SLICE("t"),
                               .aws_account = GH_SLICE("t")};
    struct gh_registry registry = {.name = GH_SLICE("reg")};
    struct gh_store *store = gh_store_open(folder, GH_STORE_CREATE, &error);
    REQUIRE("the store opens",
            store != NULL && gh_store_tenant_create(store, &tenant, &error) == GH_OK);
    registry.tenant = tenant.number;
    REQUIRE("a registry", gh_store_registry_create(store, &registry, &error) == GH_OK);
    gh_store_close(store);

    size_t count = 0;
    unsigned seed = 20251124; /* of the moments; the system's own timing is random beside it */
    for (int round = 0; round < ROUNDS; round++) {
        int ends[2];
        REQUIRE("a pipe", pipe(ends) == 0);
        pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            child_run(folder, registry.number, round, ends[1]);
        }
        close(ends[1]);
        seed = seed * 1103515245 + 12345;
        count += reports_until_killed(child, ends[0], reports + count, GH_COUNT(reports) - count,
                                      (int)(seed >> 16) % ROUND_MS_MAX);
        close(ends[0]);
        all_is_there(folder, reports, count);
    }
    printf("%d kills, %zu acknowledged changes\n", ROUNDS, count);
    return check_report();
}
