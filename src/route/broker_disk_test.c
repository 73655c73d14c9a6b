/* The broker's journal on a disk that fills up, and its cleaner: what cannot be written is not
 * acknowledged, and everything goes on when there is space; the journal stays near the size of what
 * is alive in it. */
#include "base/log.h"
#include "route/broker_dump_internal.h"
#include "route/broker_rig_internal.h"

static struct rig rig;
static struct client alice, bob, carol;

static const struct gh_detach quietly = {0};

static void begin(void)
{
    rig_init(&rig, check_folder(), 1);
    client_init(&alice, &rig, "alice", 0);
    client_init(&bob, &rig, "bob", 1);
    client_init(&carol, &rig, "carol", 0);
}

static void detach_all(void)
{
    struct client *all[] = {&alice, &bob, &carol};
    for (size_t i = 0; i < GH_COUNT(all); i++)
        if (all[i]->attachment != NULL)
            client_detach(all[i], quietly);
    rig_settle(&rig);
}

static void end(void)
{
    detach_all();
    client_deinit(&alice);
    client_deinit(&bob);
    client_deinit(&carol);
    rig_close(&rig);
}

/* Ends the server and begins it again; everything is as it was. */
static void restart(const char *claim)
{
    struct gh_buffer before, after;
    gh_buffer_init(&before, SIZE_MAX / 2);
    gh_buffer_init(&after, SIZE_MAX / 2);
    detach_all();
    rig_stop(&rig);
    broker_dump(rig.broker, &before);
    rig_free(&rig);
    rig_open(&rig);
    broker_dump(rig.broker, &after);
    if (!CHECK(claim, gh_slice_equal(gh_buffer_slice(&before), gh_buffer_slice(&after))))
        fprintf(stderr, "before:\n%.*safter:\n%.*s", GH_PRINT(gh_buffer_slice(&before)),
                GH_PRINT(gh_buffer_slice(&after)));
    gh_buffer_deinit(&before);
    gh_buffer_deinit(&after);
}

static enum gh_broker_posted publish_until(struct client *client, enum gh_broker_posted wanted)
{
    enum gh_broker_posted posted = GH_BROKER_NOBODY;
    int64_t end_ns = gh_time_monotonic_ns() + RIG_PATIENCE_MS * GH_MS_NS;
    while (posted != wanted && gh_time_monotonic_ns() < end_ns)
        posted = client_publish(client, "t", "0123456789", 1);
    return posted;
}

static void test_full_disk(void)
{
    begin();
    rig_open(&rig);
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    CHECK("subscribed", client_subscribe(&bob, "t", 2) == 2);
    client_detach(&bob, quietly);
    rig_settle(&rig);
    CHECK("sent", client_publish(&alice, "t", "before", 1) == GH_BROKER_POSTED);
    disk_set(&rig.disk, 0, 0, 0);
    CHECK("full", publish_until(&alice, GH_BROKER_FAILED) == GH_BROKER_FAILED);
    size_t queued = gh_broker_status(rig.broker).queued;
    CHECK("refused", client_publish(&alice, "t", "refused", 2) == GH_BROKER_FAILED);
    CHECK("what was refused is not there", gh_broker_status(rig.broker).queued == queued);
    CHECK("QoS 0 goes on", client_publish(&alice, "t", "zero", 0) == GH_BROKER_POSTED);
    client_ask(&carol);
    RIG_AWAIT(&rig, "a session that cannot be stored", carol.answers == 1);
    CHECK("is refused", carol.result == GH_ERROR_LOG_FULL);
    client_detach(&carol, quietly);
    unsigned failed = alice.sync_failed;
    CHECK("a subscription", client_subscribe(&alice, "u", 1) == 1);
    CHECK("is not safe", alice.sync_failed == failed + 1);
    CHECK("nor the next", client_subscribe(&alice, "v", 1) == 1);
    CHECK("is not safe", alice.sync_failed == failed + 2);
    failed = alice.sync_failed;
    CHECK("nothing changes", !client_unsubscribe(&alice, "not there"));
    CHECK("but what changed before is not safe yet", alice.sync_failed == failed + 1);
    CHECK("one is given up", client_unsubscribe(&alice, "u"));
    disk_set(&rig.disk, INT64_MAX / 2, 0, 0);
    CHECK("space again", publish_until(&alice, GH_BROKER_POSTED) == GH_BROKER_POSTED);
    failed = alice.sync_failed;
    CHECK("a subscription", client_subscribe(&alice, "w", 1) == 1);
    CHECK("is safe, with those before", alice.sync_failed == failed);
    restart("what could not be written at first is there");
    CHECK("back", client_connect(&bob));
    RIG_AWAIT(&rig, "all that was acknowledged", gh_broker_status(rig.broker).queued == 0);
    for (size_t i = 0; i < bob.seen_count; i++)
        CHECK("not what was refused", strstr(bob.seen[i], "refused") == NULL);
    CHECK("the first", bob.seen_count > 0 && strcmp(bob.seen[0], "t=before q1") == 0);
    end();
}

/* A member of a group ends while nothing can be written: what it had is passed on later. */
static void test_pass_on_later(void)
{
    begin();
    rig_open(&rig);
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    CHECK("member", client_subscribe(&bob, "$share/g/t", 1) == 1);
    bob.keeps = true;
    CHECK("sent", client_publish(&alice, "t", "1", 1) == GH_BROKER_POSTED);
    client_saw(&bob, "it has it", "t=1 q1", NULL);
    CHECK("member", client_subscribe(&alice, "$share/g/t", 1) == 1);
    disk_set(&rig.disk, 0, 0, 0);
    CHECK("full", publish_until(&alice, GH_BROKER_FAILED) == GH_BROKER_FAILED);
    client_lock(&alice);
    alice.seen_count = 0; /* of what filled the disk */
    client_unlock(&alice);
    client_detach(&bob, (struct gh_detach){.has_expiry = true, .expiry_s = 0});
    rig_settle(&rig);
    CHECK("it has not ended for good", rig_any_ending(&rig));
    disk_set(&rig.disk, INT64_MAX / 2, 0, 0);
    rig_await_ends(&rig);
    bool there = false;
    client_lock(&alice);
    for (size_t i = 0; i < alice.seen_count; i++)
        there |= strcmp(alice.seen[i], "t=1 q1") == 0;
    client_unlock(&alice);
    CHECK("the other has it", there);
    end();
}

static void run_subscribe_flush(void *context)
{
    struct client_subscribe *call = context;
    client_run_subscribe(call);
    port_flush(call->client->attachment->port);
}

/* Of two changes under way the first fails and the second does not: they are written again in their
 * order. */
static void test_first_fails(void)
{
    struct client_subscribe call = {.client = &alice,
                                    .filter = {.filter = GH_SLICE("u"), .qos = 1}};
    begin();
    rig_open(&rig);
    CHECK("new", !client_connect(&alice));
    disk_hold(&rig.disk, true);
    rig_on(&rig, alice.loop, run_subscribe_flush, &call);
    disk_await_sync(&rig.disk);
    call.removes = true;
    rig_on(&rig, alice.loop, run_subscribe_flush, &call);
    disk_set(&rig.disk, INT64_MAX / 2, 0, 1);
    disk_hold(&rig.disk, false);
    RIG_AWAIT(&rig, "neither is safe", alice.sync_failed + alice.synced == 2);
    CHECK("neither is safe", alice.sync_failed == 2);
    CHECK("another", client_subscribe(&alice, "v", 1) == 1);
    restart("subscribed and unsubscribed again");
    CHECK("one subscription", gh_broker_status(rig.broker).subscriptions == 1);
    end();
}

/* Single failures of writes and syncs between good ones: changes keep their order. */
static void test_stutter(void)
{
    enum { ROUNDS = 100 };
    begin();
    rig_open(&rig);
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (i % 3 == 0)
            disk_set(&rig.disk, INT64_MAX / 2, i % 2, 1);
        if (i % 2 == 0)
            (void)client_subscribe(&alice, "u", 1);
        else
            (void)client_unsubscribe(&alice, "u");
        (void)client_retain(&bob, "r", i % 4 == 0 ? "" : "x", 1);
    }
    CHECK("the last", client_retain(&bob, "r", "y", 1) != GH_BROKER_FAILED);
    CHECK("the last", client_subscribe(&alice, "v", 1) == 1);
    restart("the journal tells the same");
    CHECK("one subscription", gh_broker_status(rig.broker).subscriptions == 1);
    end();
}

/* --- the cleaner */

static void set_eager(void)
{
    rig.options.clean_slack_bytes = 32 * 1024;
    rig.options.clean_period_ms = 1;
    rig.options.log.segment_bytes = 16 * 1024;
}

/* A hundred times what is alive comes and goes; a little of everything stays from the first moment
 * to the last. */
static void test_churn(void)
{
    enum { ROUNDS = 3000, BOUND = 4 * 32 * 1024 };
    uint64_t highest = 0;
    char topic[32], payload[500];
    memset(payload, 'x', sizeof payload - 1);
    payload[sizeof payload - 1] = '\0';
    begin();
    set_eager();
    rig_open(&rig);
    CHECK("new", !client_connect(&alice) && !client_connect(&bob) && !client_connect(&carol));
    CHECK("subscribed", client_subscribe(&bob, "t/#", 2) == 2);
    CHECK("subscribed", client_subscribe(&carol, "t/0", 2) == 2);
    CHECK("stays", client_retain(&alice, "t/0", "stays", 1) == GH_BROKER_POSTED);
    client_detach(&carol, quietly);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct gh_broker_publish publish;
        snprintf(topic, sizeof topic, "t/%u", 1 + i % 10);
        publish = rig_publish(topic, payload, (uint8_t)(1 + i % 2));
        publish.retain = i % 10 == 3;
        publish.packet_id = (uint16_t)(1 + i % 60000);
        CHECK("sent", client_put(&alice, &publish) == GH_BROKER_POSTED);
        if (publish.qos == 2)
            rig_on(&rig, alice.loop, client_run_release, &alice);
        uint64_t bytes = gh_broker_status(rig.broker).journal_bytes;
        highest = bytes > highest ? bytes : highest;
        if (i == ROUNDS / 2)
            restart("in the middle");
        if (i == ROUNDS / 2)
            CHECK("back", client_connect(&alice) && client_connect(&bob));
    }
    int64_t end_ns = gh_time_monotonic_ns() + RIG_PATIENCE_MS * GH_MS_NS;
    while (gh_broker_status(rig.broker).journal_bytes > BOUND && gh_time_monotonic_ns() < end_ns)
        rig_settle(&rig);
    CHECK("the journal is small", gh_broker_status(rig.broker).journal_bytes <= BOUND);
    fprintf(stderr, "%u messages of %zu bytes: the journal had %" PRIu64 " at most\n", ROUNDS,
            sizeof payload, highest);
    restart("at the end");
    CHECK("two retained ones", gh_broker_status(rig.broker).retained == 2);
    CHECK("back", client_connect(&carol));
    client_saw(&carol, "what waited from the first moment on", "t/0=stays q1", NULL);
    end();
}

/* Much that is alive: the cleaner does not copy it round and round. */
static void test_rests(void)
{
    enum { RETAINED = 400 };
    char topic[32], payload[200];
    memset(payload, 'x', sizeof payload - 1);
    payload[sizeof payload - 1] = '\0';
    begin();
    set_eager();
    rig.options.clean_slack_bytes = 1024;
    rig_open(&rig);
    CHECK("new", !client_connect(&alice));
    for (unsigned i = 0; i < RETAINED; i++) {
        snprintf(topic, sizeof topic, "t/%u", i);
        CHECK("kept", client_retain(&alice, topic, payload, 1) != GH_BROKER_FAILED);
    }
    for (unsigned i = 0; i < 100; i++)
        rig_settle(&rig);
    uint64_t next = gh_log_next(rig.broker->log);
    pthread_mutex_lock(&rig.lock);
    for (unsigned i = 0; i < 50; i++)
        rig_tick(&rig);
    pthread_mutex_unlock(&rig.lock);
    CHECK("little is written when nothing changes", gh_log_next(rig.broker->log) - next < RETAINED);
    restart("all of it");
    CHECK("all of it", gh_broker_status(rig.broker).retained == RETAINED);
    end();
}

int main(void)
{
    gh_log_set_level(GH_LOG_ERROR);
    test_full_disk();
    test_pass_on_later();
    test_first_fails();
    test_stutter();
    test_churn();
    test_rests();
    return check_report();
}
