/* kill -9 at random moments between publishing, pulling, acknowledging and seeking. A child tells
 * on a pipe what was answered; after its death everything that was published and not acknowledged
 * is delivered, and nothing whose acknowledgement was answered. A seek that was answered undoes
 * acknowledgements: to the beginning all of them, to a snapshot those that came after it. */
#include "pubsub/pubsub.h"
#include "store/registry.h"
#include "store/store.h"
#include "tests/check.h"
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KILLS = 30, SEED = 4711, IDS_MAX = 1 << 20 };

static const struct gh_slice topic = GH_SLICE_INIT("telemetry"), name = GH_SLICE_INIT("climate"),
                             snapshot = GH_SLICE_INIT("snapshot");

struct house {
    struct gh_store *store;
    struct gh_pubsub *ps;
};

static struct house house_open(const char *folder)
{
    struct gh_error error = {0};
    struct house house = {.store = gh_store_open(folder, GH_STORE_CREATE, &error)};
    struct gh_pubsub_options options = {
        .folder = folder, .store = house.store, .log = {.segment_bytes = 64 * 1024}};
    if (house.store != NULL)
        house.ps = gh_pubsub_open(&options, &error);
    if (house.ps == NULL)
        fprintf(stderr, "%s\n", error.text);
    return house;
}

static void house_close(struct house *house)
{
    gh_pubsub_close(house->ps);
    gh_store_close(house->store);
}

static int64_t furnish(struct house *house)
{
    struct gh_arena arena;
    struct gh_error error;
    struct gh_slice text = GH_SLICE("demo-tenant");
    struct gh_tenant tenant = {
        .name = text, .google_project = text, .azure_hub = text, .aws_account = text};
    gh_arena_init(&arena, 1 << 20);
    CHECK("a tenant", gh_store_tenant_create(house->store, &tenant, &error) == GH_OK);
    CHECK("a topic", gh_pubsub_topic_create(house->ps, tenant.number, topic, gh_slice(NULL, 0),
                                            &arena, NULL, NULL) == GH_OK);
    struct gh_subscription what = {
        .tenant = tenant.number, .name = name, .topic = topic, .retains_acked = true};
    CHECK("a subscription",
          gh_pubsub_subscription_create(house->ps, &what, &arena, NULL, NULL) == GH_OK);
    gh_arena_deinit(&arena);
    return tenant.number;
}

static uint64_t next_random(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return *random >> 33;
}

enum what {
    PUBLISHED = 1, /* of an id, in this order */
    ACKNOWLEDGING,
    ACKNOWLEDGED,
    SNAPPED, /* of the subscription */
    SEEKING,
    SOUGHT,
};
enum { TO_BEGINNING, TO_SNAPSHOT };

static void tell(int pipe, enum what what, uint64_t id)
{
    uint64_t report[2] = {what, id};
    if (write(pipe, report, sizeof report) != sizeof report)
        _exit(4);
}

static void publish_some(struct house *house, int64_t tenant, int pipe, uint64_t *random)
{
    struct gh_message messages[20];
    uint64_t ids[20];
    size_t count = 1 + next_random(random) % 20;
    for (size_t i = 0; i < count; i++)
        messages[i] = (struct gh_message){.data = GH_SLICE("reading")};
    if (gh_pubsub_publish_wait(house->ps, tenant, topic, messages, count, ids, NULL) != GH_OK)
        _exit(5);
    for (size_t i = 0; i < count; i++)
        tell(pipe, PUBLISHED, ids[i]);
}

static void acknowledge_some(struct house *house, int64_t tenant, int pipe, uint64_t *random)
{
    struct gh_pull pull = {.messages_max = 1 + next_random(random) % 30};
    struct gh_slice acks[30];
    uint64_t ids[30];
    size_t count = 0;
    if (gh_pubsub_pull_wait(house->ps, tenant, name, &pull, NULL) != GH_OK)
        _exit(6);
    for (size_t i = 0; i < pull.count; i++)
        if (next_random(random) % 4 != 0) {
            ids[count] = pull.messages[i].id;
            acks[count++] = gh_slice_text(pull.messages[i].ack_id);
        }
    for (size_t i = 0; i < count; i++)
        tell(pipe, ACKNOWLEDGING, ids[i]);
    if (count > 0 &&
        gh_pubsub_acknowledge_wait(house->ps, tenant, name, acks, count, NULL) != GH_OK)
        _exit(7);
    for (size_t i = 0; i < count; i++)
        tell(pipe, ACKNOWLEDGED, ids[i]);
    gh_pull_release(&pull);
}

static void snap(struct house *house, int64_t tenant, int pipe)
{
    struct gh_snapshot what = {.tenant = tenant, .name = snapshot}, made;
    struct gh_arena arena;
    gh_arena_init(&arena, 1 << 20);
    (void)!gh_pubsub_snapshot_delete(house->ps, tenant, snapshot, NULL);
    if (gh_pubsub_snapshot_create(house->ps, &what, name, &arena, &made, NULL) != GH_OK)
        _exit(8);
    tell(pipe, SNAPPED, 0);
    gh_arena_deinit(&arena);
}

static void seek(struct house *house, int64_t tenant, int pipe, uint64_t where)
{
    struct gh_slice to = where == TO_SNAPSHOT ? snapshot : gh_slice(NULL, 0);
    tell(pipe, SEEKING, where);
    if (gh_pubsub_seek_wait(house->ps, tenant, name, to, 1, NULL) != GH_OK)
        _exit(9);
    tell(pipe, SOUGHT, where);
}

static _Noreturn void child_run(const char *folder, int64_t tenant, int pipe, uint64_t random)
{
    struct house house = house_open(folder);
    if (house.ps == NULL)
        _exit(2);
    snap(&house, tenant, pipe);
    for (;;) {
        publish_some(&house, tenant, pipe, &random);
        acknowledge_some(&house, tenant, pipe, &random);
        uint64_t chance = next_random(&random) % 24;
        if (chance < 2)
            seek(&house, tenant, pipe, chance);
        else if (chance == 2)
            snap(&house, tenant, pipe);
    }
}

struct history {
    uint8_t told[IDS_MAX];    /* enum what, the last of an id; 0: nothing */
    uint8_t snapped[IDS_MAX]; /* the same when the snapshot was made */
    uint64_t count, highest, seeks;
};

/* What a seek says of ids that were acknowledged: either while it is under way, then undone. */
static void sought(struct history *history, enum what what, uint64_t where)
{
    for (uint64_t id = 1; id <= history->highest; id++) {
        bool stays = where == TO_SNAPSHOT && history->snapped[id] == ACKNOWLEDGED;
        if (history->told[id] < ACKNOWLEDGING || stays)
            continue;
        history->told[id] = what == SOUGHT ? PUBLISHED : ACKNOWLEDGING;
    }
    history->seeks += what == SOUGHT;
}

static void note(struct history *history, enum what what, uint64_t id)
{
    history->count++;
    if (what == SNAPPED) {
        memcpy(history->snapped, history->told, sizeof history->snapped);
    } else if (what == SEEKING || what == SOUGHT) {
        sought(history, what, id);
    } else {
        REQUIRE("within the test", id < IDS_MAX);
        history->told[id] = (uint8_t)what;
        history->highest = id > history->highest ? id : history->highest;
    }
}

static void live_and_die(const char *folder, int64_t tenant, uint64_t *random,
                         struct history *history)
{
    int pipes[2];
    uint64_t report[2], moment = next_random(random) % 800;
    REQUIRE("a pipe", pipe(pipes) == 0);
    pid_t child = fork();
    REQUIRE("a child", child >= 0);
    if (child == 0) {
        close(pipes[0]);
        child_run(folder, tenant, pipes[1], *random);
    }
    close(pipes[1]);
    for (uint64_t seen = 0; read(pipes[0], report, sizeof report) == sizeof report; seen++) {
        note(history, (enum what)report[0], report[1]);
        if (seen == moment)
            kill(child, SIGKILL);
    }
    int status = 0;
    CHECK("the child is gone", waitpid(child, &status, 0) == child);
    CHECK("by our hand", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(pipes[0]);
}

static void look(const char *folder, int64_t tenant, struct history *history, int kill)
{
    static bool seen[IDS_MAX];
    char claim[96];
    struct house house = house_open(folder);
    REQUIRE("opens after kill -9", house.ps != NULL);
    memset(seen, 0, sizeof seen);
    snprintf(claim, sizeof claim, "after kill %d, seed %d", kill, SEED);
    for (size_t got = 1; got > 0;) {
        struct gh_pull pull = {.messages_max = 1000};
        CHECK(claim, gh_pubsub_pull_wait(house.ps, tenant, name, &pull, NULL) == GH_OK);
        got = pull.count;
        for (size_t i = 0; i < got; i++) {
            CHECK(claim, pull.messages[i].id < IDS_MAX && !seen[pull.messages[i].id]);
            seen[pull.messages[i].id] = true;
        }
        gh_pull_release(&pull);
    }
    for (uint64_t id = 1; id <= history->highest; id++) {
        if (history->told[id] == ACKNOWLEDGED)
            CHECK(claim, !seen[id]);
        else if (history->told[id] == PUBLISHED)
            CHECK(claim, seen[id]);
        else if (history->told[id] == ACKNOWLEDGING) /* either; from now on it stays so */
            history->told[id] = seen[id] ? PUBLISHED : ACKNOWLEDGED;
    }
    house_close(&house);
}

int main(void)
{
    static struct history history;
    const char *folder = check_folder();
    uint64_t random = SEED;
    struct house house = house_open(folder);
    REQUIRE("opens", house.ps != NULL);
    int64_t tenant = furnish(&house);
    house_close(&house);
    for (int kill = 0; kill < KILLS; kill++) {
        live_and_die(folder, tenant, &random, &history);
        look(folder, tenant, &history, kill);
    }
    CHECK("there was something to lose", history.count > KILLS * 100 && history.seeks > 0);
    return check_report();
}
