/* Retained messages of the broker: kept, replaced, cleared, walked to new subscriptions. */
#include "route/broker_rig_internal.h"

static struct rig rig;
static struct client alice, bob;

static const struct gh_detach quietly = {0};

static void begin(void)
{
    rig_init(&rig, check_folder(), 1);
    rig_open(&rig);
    client_init(&alice, &rig, "alice", 0);
    client_init(&bob, &rig, "bob", 1);
}

static void end(void)
{
    struct client *all[] = {&alice, &bob};
    for (size_t i = 0; i < GH_COUNT(all); i++) {
        if (all[i]->attachment != NULL)
            client_detach(all[i], quietly);
        client_deinit(all[i]);
    }
    rig_close(&rig);
}

static uint8_t subscribe(struct client *client, const char *filter, uint8_t qos, uint8_t handling)
{
    struct gh_broker_filter asked = {
        .filter = gh_slice(filter, strlen(filter)), .qos = qos, .retain_handling = handling};
    return client_change(client, &asked, false);
}

static void test_qualities(void)
{
    static const struct {
        uint8_t published, subscribed;
        uint32_t expiry_s;
        const char *seen;
    } rows[] = {
        {0, 0, 60, "a/b=x q0 r"}, {0, 2, 60, "a/b=x q0 r"}, {1, 0, 0, "a/b=x q0 r"},
        {1, 1, 0, "a/b=x q1 r"},  {1, 2, 60, "a/b=x q1 r"}, {2, 1, 60, "a/b=x q1 r"},
        {2, 2, 0, "a/b=x q2 r"},  {2, 2, 60, "a/b=x q2 r"},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        begin();
        bob.connect.expiry_s = rows[i].expiry_s;
        CHECK("new", !client_connect(&alice) && !client_connect(&bob));
        CHECK("kept", client_retain(&alice, "a/b", "x", rows[i].published) != GH_BROKER_FAILED);
        CHECK("kept", client_retain(&alice, "b", "y", rows[i].published) != GH_BROKER_FAILED);
        CHECK("subscribed", client_subscribe(&bob, "a/+", rows[i].subscribed) <= 2);
        client_saw(&bob, rows[i].seen, rows[i].seen, NULL);
        RIG_AWAIT(&rig, "acknowledged", gh_broker_status(rig.broker).queued == 0);
        end();
    }
}

static void test_handling(void)
{
    begin();
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    CHECK("kept", client_retain(&alice, "a", "x", 1) != GH_BROKER_FAILED);
    CHECK("never", subscribe(&bob, "a", 1, 2) == 1);
    CHECK("shared", subscribe(&bob, "$share/g/a", 1, 0) == 1);
    CHECK("not as it is there", subscribe(&bob, "a", 1, 1) == 1);
    rig_settle(&rig);
    CHECK("nothing", bob.seen_count == 0);
    CHECK("always", subscribe(&bob, "a", 1, 0) == 1);
    client_saw(&bob, "always", "a=x q1 r", NULL);
    CHECK("left", client_unsubscribe(&bob, "a"));
    CHECK("as it is new", subscribe(&bob, "a", 1, 1) == 1);
    client_saw(&bob, "as it is new", "a=x q1 r", NULL);
    end();
}

static void test_replaced_cleared(void)
{
    struct gh_broker_publish publish = rig_publish("t/2", "y", 1);
    begin();
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    CHECK("kept", client_retain(&alice, "t/1", "1", 1) != GH_BROKER_FAILED);
    CHECK("kept", client_retain(&alice, "t/2", "2", 1) != GH_BROKER_FAILED);
    CHECK("kept", client_retain(&alice, "t/3", "3", 2) != GH_BROKER_FAILED);
    CHECK("replaced", client_retain(&alice, "t/1", "one", 1) != GH_BROKER_FAILED);
    CHECK("cleared", client_retain(&alice, "t/3", "", 1) != GH_BROKER_FAILED);
    CHECK("not kept", client_put(&alice, &publish) != GH_BROKER_FAILED);
    CHECK("subscribed", client_subscribe(&bob, "t/#", 1) == 1);
    client_saw(&bob, "what is there", "t/1=one q1 r", "t/2=2 q1 r", NULL);
    CHECK("cleared", client_retain(&alice, "t/2", "", 1) == GH_BROKER_POSTED);
    client_saw(&bob, "an empty one goes on to who is there", "t/2= q1", NULL);
    client_detach(&alice, quietly);
    client_detach(&bob, (struct gh_detach){.has_expiry = true, .expiry_s = 0});
    rig_close(&rig);
    rig_open(&rig);
    CHECK("after a restart", gh_broker_status(rig.broker).retained == 1);
    CHECK("new", !client_connect(&bob));
    CHECK("subscribed", client_subscribe(&bob, "#", 0) == 0);
    client_saw(&bob, "the same", "t/1=one q0 r", NULL);
    end();
}

static void test_expiry(void)
{
    struct gh_broker_publish publish = rig_publish("t", "y", 1);
    publish.retain = publish.has_expiry = true;
    publish.expiry_s = 10;
    begin();
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    CHECK("kept", client_put(&alice, &publish) != GH_BROKER_FAILED);
    CHECK("subscribed", client_subscribe(&bob, "t", 1) == 1);
    client_saw(&bob, "in time", "t=y q1 r", NULL);
    rig_ahead_ms += 11 * 1000;
    CHECK("subscribed", client_subscribe(&bob, "t", 1) == 1);
    rig_settle(&rig);
    CHECK("too late", bob.seen_count == 0);
    end();
}

struct walking {
    struct client *client;
    bool walks;
};

static void look_at_walk(void *context)
{
    struct walking *walking = context;
    struct session *session = walking->client->attachment->session;
    gh_latch_take(&session->lock);
    walking->walks = session->inbox->walks != NULL || session_lane_count(session) > 0 ||
                     session->inbox->queue.count > 0;
    gh_latch_give(&session->lock);
}

/* A thousand of them to a taker who takes one at a time, while some are replaced and cleared: each
 * that stays comes exactly once. */
static void test_slow_taker(uint8_t qos, uint32_t expiry_s, bool reconnects)
{
    enum { COUNT = 1000, CHANGED = 100 };
    static unsigned seen[COUNT];
    char topic[32];
    memset(seen, 0, sizeof seen);
    begin();
    bob.connect.expiry_s = expiry_s;
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(topic, sizeof topic, "many/%u", i);
        CHECK("kept", client_retain(&alice, topic, "x", qos > 0) != GH_BROKER_FAILED);
    }
    bob.idle = true;
    CHECK("subscribed", client_subscribe(&bob, "many/+", qos) == qos);
    bob.window = 1;
    client_wake(&bob);
    for (unsigned i = 0; i < CHANGED; i++) {
        snprintf(topic, sizeof topic, "many/%u", i * 7);
        CHECK("changed", client_retain(&alice, topic, i % 2 == 0 ? "" : "y", 0) < GH_BROKER_QUOTA);
        if (reconnects && i % 10 == 0) {
            client_detach(&bob, quietly);
            CHECK("back", client_connect(&bob));
        }
    }
    struct walking walking = {.client = &bob};
    do {
        rig_on(&rig, bob.loop, look_at_walk, &walking);
    } while (walking.walks);
    client_lock(&bob);
    for (size_t i = 0; i < bob.seen_count; i++) {
        unsigned number;
        char *mark = strstr(bob.seen[i], " r");
        if (sscanf(bob.seen[i], "many/%u=", &number) == 1 && number < COUNT && mark != NULL &&
            strstr(bob.seen[i], " d") == NULL)
            seen[number]++;
    }
    client_unlock(&bob);
    for (unsigned i = 0; i < COUNT; i++) {
        bool changed = i % 7 == 0 && i / 7 < CHANGED;
        CHECK("each that stays, once", changed ? seen[i] <= 1 : seen[i] == 1);
    }
    end();
}

/* A message that went to many does not keep their list. */
static void test_trimmed(void)
{
    enum { SUBSCRIBERS = 100 };
    static struct client many[SUBSCRIBERS];
    static char names[SUBSCRIBERS][16];
    begin();
    CHECK("new", !client_connect(&alice));
    for (size_t i = 0; i < SUBSCRIBERS; i++) {
        snprintf(names[i], sizeof names[i], "many%zu", i);
        client_init(&many[i], &rig, names[i], i % RIG_LOOPS);
        CHECK("new", !client_connect(&many[i]));
        CHECK("subscribed", client_subscribe(&many[i], "t", 1) == 1);
    }
    CHECK("kept", client_retain(&alice, "t", "x", 1) == GH_BROKER_POSTED);
    for (size_t i = 0; i < SUBSCRIBERS; i++)
        client_saw(&many[i], "it reaches all", "t=x q1", NULL);
    struct space *space = space_of(rig.broker, 7);
    pthread_mutex_lock(&space->retained_lock);
    const struct retained *there = gh_retained_tree_get(&space->retained, GH_SLICE("t"));
    bool small = there != NULL && there->offset > 0 && there->message->capacity < 200;
    pthread_mutex_unlock(&space->retained_lock);
    CHECK("what is kept is small", small);
    CHECK("new", !client_connect(&bob));
    CHECK("subscribed", client_subscribe(&bob, "t", 1) == 1);
    client_saw(&bob, "and whole", "t=x q1 r", NULL);
    for (size_t i = 0; i < SUBSCRIBERS; i++) {
        client_detach(&many[i], quietly);
        client_deinit(&many[i]);
    }
    end();
}

static void test_unsubscribed_while_walking(void)
{
    char topic[32];
    begin();
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    for (unsigned i = 0; i < 200; i++) {
        snprintf(topic, sizeof topic, "many/%u", i);
        CHECK("kept", client_retain(&alice, topic, "x", 1) != GH_BROKER_FAILED);
    }
    bob.keeps = true;
    CHECK("subscribed", client_subscribe(&bob, "many/+", 1) == 1);
    RIG_AWAIT(&rig, "some come", bob.seen_count == 20);
    CHECK("no more", client_unsubscribe(&bob, "many/+"));
    rig_settle(&rig);
    CHECK("but those in the queue", gh_broker_status(rig.broker).queued < 150);
    CHECK("the walk has ended", bob.attachment->session->inbox->walks == NULL);
    end();
}

int main(void)
{
    test_qualities();
    test_handling();
    test_replaced_cleared();
    test_expiry();
    test_slow_taker(0, 0, false);
    test_slow_taker(1, 60, false);
    test_slow_taker(2, 0, false);
    test_slow_taker(1, 60, true);
    test_trimmed();
    test_unsubscribed_while_walking();
    return check_report();
}
