/* The broker at work: who gets what, in which order, how often. */
#include "route/broker_rig_internal.h"

enum { SUBSCRIBED_QUOTA = 0x97 };

static struct rig rig;
static struct client alice, bob, carol;

static const struct gh_detach quietly = {0};

static void begin(void)
{
    rig_init(&rig, check_folder(), 1);
    rig_open(&rig);
    client_init(&alice, &rig, "alice", 0);
    client_init(&bob, &rig, "bob", 1);
    client_init(&carol, &rig, "carol", 0);
}

static void end(void)
{
    struct client *all[] = {&alice, &bob, &carol};
    for (size_t i = 0; i < GH_COUNT(all); i++) {
        if (all[i]->attachment != NULL)
            client_detach(all[i], quietly);
        client_deinit(all[i]);
    }
    rig_close(&rig);
}

/* --- every quality, to every kind of session, on the same loop and on another */

static void test_qualities(void)
{
    static const struct {
        uint8_t publish, subscribe;
        uint32_t expiry_s; /* of the subscriber */
        size_t loop;
        const char *seen;
        enum gh_broker_posted posted;
    } rows[] = {
        {0, 0, 0, 0, "t=x q0", GH_BROKER_POSTED},  {0, 0, 60, 1, "t=x q0", GH_BROKER_POSTED},
        {1, 0, 60, 1, "t=x q0", GH_BROKER_POSTED}, {0, 2, 60, 0, "t=x q0", GH_BROKER_POSTED},
        {1, 1, 0, 0, "t=x q1", GH_BROKER_POSTED},  {1, 1, 0, 1, "t=x q1", GH_BROKER_POSTED},
        {1, 2, 60, 0, "t=x q1", GH_BROKER_POSTED}, {1, 1, 60, 1, "t=x q1", GH_BROKER_POSTED},
        {2, 1, 60, 1, "t=x q1", GH_BROKER_POSTED}, {2, 2, 0, 0, "t=x q2", GH_BROKER_POSTED},
        {2, 2, 0, 1, "t=x q2", GH_BROKER_POSTED},  {2, 2, 60, 0, "t=x q2", GH_BROKER_POSTED},
        {2, 2, 60, 1, "t=x q2", GH_BROKER_POSTED},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        char claim[64];
        snprintf(claim, sizeof claim, "row %zu: %s", i, rows[i].seen);
        begin();
        bob.loop = rows[i].loop;
        bob.connect.expiry_s = rows[i].expiry_s;
        CHECK(claim, !client_connect(&alice) && !client_connect(&bob));
        CHECK(claim, client_subscribe(&bob, "t", rows[i].subscribe) == rows[i].subscribe);
        CHECK(claim, client_publish(&alice, "t", "x", rows[i].publish) == rows[i].posted);
        client_saw(&bob, claim, rows[i].seen, NULL);
        CHECK(claim, client_publish(&alice, "u", "x", rows[i].publish) == GH_BROKER_NOBODY ||
                         rows[i].publish == 2);
        RIG_AWAIT(&rig, claim, gh_broker_status(rig.broker).queued == 0);
        end();
    }
}

static void test_order(void)
{
    enum { COUNT = 500 };
    char text[32];
    begin();
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    CHECK("subscribed", client_subscribe(&bob, "#", 2) == 2);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(text, sizeof text, "%u", i);
        struct gh_broker_publish publish = rig_publish("t", text, (uint8_t)(1 + i % 2));
        publish.packet_id = (uint16_t)(i + 1);
        struct client_publish call = {.client = &alice, .publish = publish};
        rig_on(&rig, 0, client_run_publish, &call);
        CHECK("pending", call.posted == GH_BROKER_PENDING);
    }
    RIG_AWAIT(&rig, "all are answered", alice.stored == COUNT);
    RIG_AWAIT(&rig, "all arrive", bob.seen_count == COUNT);
    client_lock(&bob);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(text, sizeof text, "t=%u q%u", i, 1 + i % 2);
        CHECK("in the order of their publisher", strcmp(bob.seen[i], text) == 0);
    }
    client_unlock(&bob);
    end();
}

static void test_offline(void)
{
    begin();
    rig.broker->limits.bodies_max = 2;
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    CHECK("subscribed", client_subscribe(&bob, "t", 2) == 2);
    client_detach(&bob, quietly);
    CHECK("q0", client_publish(&alice, "t", "zero", 0) == GH_BROKER_POSTED);
    CHECK("q1", client_publish(&alice, "t", "one", 1) == GH_BROKER_POSTED);
    CHECK("q2", client_publish(&alice, "t", "two", 2) == GH_BROKER_POSTED);
    CHECK("queued", gh_broker_status(rig.broker).queued == 2);
    rig_settle(&rig);
    bob.loop = 0; /* on another loop than before */
    CHECK("it is still there", client_connect(&bob));
    client_saw(&bob, "from disk, in order, QoS 0 is lost", "t=one q1", "t=two q2", NULL);
    CHECK("live again", client_publish(&alice, "t", "three", 1) == GH_BROKER_POSTED);
    client_saw(&bob, "live again", "t=three q1", NULL);
    end();
}

static void test_fetch_many(void)
{
    enum { COUNT = 300 };
    char text[32];
    begin();
    rig.broker->limits.bodies_max = 10;
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    CHECK("subscribed", client_subscribe(&bob, "#", 1) == 1);
    bob.idle = true;
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(text, sizeof text, "%u", i);
        CHECK("stored", client_publish(&alice, "t", text, 1) == GH_BROKER_POSTED);
    }
    rig_settle(&rig);
    client_wake(&bob);
    RIG_AWAIT(&rig, "all arrive", bob.seen_count == COUNT);
    client_lock(&bob);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(text, sizeof text, "t=%u q1", i);
        CHECK("those with bodies and those from disk, in order", !strcmp(bob.seen[i], text));
    }
    client_unlock(&bob);
    RIG_AWAIT(&rig, "nothing is left", gh_broker_status(rig.broker).queued == 0);
    end();
}

/* --- subscriptions */

static void test_overlap(void)
{
    struct gh_broker_filter filter = {
        .filter = GH_SLICE("a/+"), .qos = 2, .identifier = 5, .retain_as_published = true};
    begin();
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    CHECK("one", client_subscribe(&bob, "a/#", 0) == 0);
    CHECK("two", client_change(&bob, &filter, false) == 2);
    CHECK("three", client_subscribe(&bob, "a/b", 1) == 1);
    CHECK("sent", client_publish(&alice, "a/b", "x", 2) == GH_BROKER_POSTED);
    client_saw(&bob, "once, at the highest QoS, with the identifier", "a/b=x q2 i5", NULL);
    filter.filter = GH_SLICE("#");
    filter.identifier = 9;
    CHECK("four", client_change(&bob, &filter, false) == 2);
    CHECK("sent", client_retain(&alice, "a/b", "x", 1) == GH_BROKER_POSTED);
    client_saw(&bob, "all identifiers; retain as published", "a/b=x q1 r i9 i5", NULL);
    CHECK("gone", client_unsubscribe(&bob, "a/+") && client_unsubscribe(&bob, "#"));
    CHECK("it was not there", !client_unsubscribe(&bob, "#"));
    CHECK("sent", client_publish(&alice, "a/b", "y", 2) == GH_BROKER_POSTED);
    client_saw(&bob, "what is left of them", "a/b=y q1", NULL);
    CHECK("replaced", client_subscribe(&bob, "a/b", 0) == 0);
    CHECK("sent", client_publish(&alice, "a/b", "z", 2) == GH_BROKER_POSTED);
    client_saw(&bob, "replaced, with what is retained", "a/b=x q0 r", "a/b=z q0", NULL);
    CHECK("gone", client_unsubscribe(&bob, "a/b") && client_unsubscribe(&bob, "a/#"));
    CHECK("sent", client_publish(&alice, "a/b", "z", 1) == GH_BROKER_NOBODY);
    CHECK("none", gh_broker_status(rig.broker).subscriptions == 0);
    end();
}

static void test_no_local(void)
{
    struct gh_broker_filter filter = {.filter = GH_SLICE("t"), .qos = 1, .no_local = true};
    begin();
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    CHECK("subscribed", client_change(&alice, &filter, false) == 1);
    CHECK("subscribed", client_change(&bob, &filter, false) == 1);
    CHECK("sent", client_publish(&alice, "t", "x", 1) == GH_BROKER_POSTED);
    client_saw(&bob, "who did not send it", "t=x q1", NULL);
    CHECK("sent", client_publish(&bob, "t", "y", 1) == GH_BROKER_POSTED);
    client_saw(&alice, "not its own", "t=y q1", NULL);
    end();
}

static void test_tenants(void)
{
    begin();
    bob.connect.tenant = 8;
    carol.connect.device = 2;
    carol.connect.client_id = bob.connect.client_id;
    CHECK("new", !client_connect(&alice) && !client_connect(&bob) && !client_connect(&carol));
    CHECK("subscribed", client_subscribe(&bob, "#", 1) == 1);
    CHECK("subscribed", client_subscribe(&carol, "#", 1) == 1);
    CHECK("sent", client_publish(&alice, "t", "x", 1) == GH_BROKER_POSTED);
    client_saw(&carol, "a client id of another device is another session", "t=x q1", NULL);
    rig_settle(&rig);
    CHECK("another tenant sees nothing", bob.seen_count == 0);
    end();
}

/* --- shared subscriptions */

static void test_shared(void)
{
    begin();
    CHECK("new", !client_connect(&alice) && !client_connect(&bob) && !client_connect(&carol));
    CHECK("member", client_subscribe(&bob, "$share/g/t/+", 1) == 1);
    CHECK("member", client_subscribe(&carol, "$share/g/t/+", 2) == 2);
    for (unsigned i = 0; i < 4; i++)
        CHECK("sent", client_publish(&alice, "t/1", "x", 1) == GH_BROKER_POSTED);
    client_saw(&bob, "every other one", "t/1=x q1", "t/1=x q1", NULL);
    client_saw(&carol, "every other one", "t/1=x q1", "t/1=x q1", NULL);
    client_detach(&bob, quietly);
    for (unsigned i = 0; i < 2; i++)
        CHECK("sent", client_publish(&alice, "t/1", "y", 2) == GH_BROKER_POSTED);
    client_saw(&carol, "who is there gets all", "t/1=y q2", "t/1=y q2", NULL);
    RIG_AWAIT(&rig, "all is done", gh_broker_status(rig.broker).queued == 0);
    client_detach(&carol, quietly);
    CHECK("sent", client_publish(&alice, "t/1", "z", 1) == GH_BROKER_POSTED);
    CHECK("sent", client_publish(&alice, "t/1", "z", 1) == GH_BROKER_POSTED);
    CHECK("nobody is there: it waits", gh_broker_status(rig.broker).queued == 2);
    CHECK("back", client_connect(&bob));
    client_saw(&bob, "its part", "t/1=z q1", NULL);
    CHECK("left", client_unsubscribe(&bob, "$share/g/t/+"));
    client_detach(&bob, quietly);
    CHECK("back", client_connect(&carol));
    client_saw(&carol, "its part", "t/1=z q1", NULL);
    CHECK("left", client_unsubscribe(&carol, "$share/g/t/+"));
    CHECK("nobody", client_publish(&alice, "t/1", "z", 1) == GH_BROKER_NOBODY);
    end();
}

static void test_shared_passed_on(void)
{
    begin();
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    CHECK("member", client_subscribe(&bob, "$share/g/#", 2) == 2);
    bob.keeps = true;
    CHECK("sent", client_publish(&alice, "t", "one", 1) == GH_BROKER_POSTED);
    CHECK("sent", client_publish(&alice, "t", "two", 2) == GH_BROKER_POSTED);
    RIG_AWAIT(&rig, "has them", bob.seen_count == 2);
    client_detach(&bob, quietly);
    CHECK("sent", client_publish(&alice, "u", "three", 1) == GH_BROKER_POSTED);
    CHECK("new", !client_connect(&carol));
    CHECK("member", client_subscribe(&carol, "$share/g/#", 1) == 1);
    rig_settle(&rig);
    bob.connect.clean_start = true;
    CHECK("begins anew", !client_connect(&bob));
    client_saw(&carol, "QoS 1 goes to who is left, QoS 2 must not", "t=one q1", "u=three q1", NULL);
    RIG_AWAIT(&rig, "nothing is left", gh_broker_status(rig.broker).queued == 0);
    end();
}

/* --- bounds */

static void test_full(void)
{
    begin();
    rig.broker->limits.queue_bytes_max = 10;
    CHECK("new", !client_connect(&alice));
    bob.window = 0;
    CHECK("new", !client_connect(&bob));
    CHECK("subscribed", client_subscribe(&bob, "t", 1) == 1);
    CHECK("six bytes", client_publish(&alice, "t", "123456", 1) == GH_BROKER_POSTED);
    CHECK("too many bytes", client_publish(&alice, "t", "12345", 1) == GH_BROKER_POSTED);
    CHECK("four fit", client_publish(&alice, "t", "1234", 1) == GH_BROKER_POSTED);
    size_t dropped = gh_attachment_dropped(bob.attachment);
    CHECK("the newest is dropped and counted", dropped == 1);
    CHECK("once", gh_attachment_dropped(bob.attachment) == 0);
    bob.window = 10;
    client_wake(&bob);
    client_saw(&bob, "the others arrive", "t=123456 q1", "t=1234 q1", NULL);
    end();

    begin();
    rig.broker->limits.queue_messages_max = 3;
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    CHECK("subscribed", client_subscribe(&bob, "t", 1) == 1);
    client_detach(&bob, quietly);
    for (unsigned i = 0; i < 5; i++)
        CHECK("sent", client_publish(&alice, "t", "x", 1) == GH_BROKER_POSTED);
    CHECK("three wait", gh_broker_status(rig.broker).queued == 3);
    end();

    begin();
    rig.broker->limits.lane_messages_max = 2;
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    CHECK("subscribed", client_subscribe(&bob, "t", 1) == 1);
    bob.idle = true;
    CHECK("sent", client_publish(&alice, "t", "1", 0) == GH_BROKER_POSTED);
    CHECK("sent", client_publish(&alice, "t", "2", 0) == GH_BROKER_POSTED);
    CHECK("sent", client_publish(&alice, "t", "3", 0) == GH_BROKER_POSTED);
    client_wake(&bob);
    client_saw(&bob, "a full lane drops the newest", "t=1 q0", "t=2 q0", NULL);
    end();
}

static void test_limits(void)
{
    begin();
    rig.broker->limits.subscriptions_max = 2;
    rig.broker->limits.sessions_max = 2;
    rig.broker->limits.retained_messages_max = 1;
    rig.broker->limits.retained_bytes_max = 20;
    CHECK("new", !client_connect(&alice));
    CHECK("one", client_subscribe(&alice, "a", 0) == 0);
    CHECK("two", client_subscribe(&alice, "b", 0) == 0);
    CHECK("not three", client_subscribe(&alice, "c", 0) == SUBSCRIBED_QUOTA);
    CHECK("but a known one", client_subscribe(&alice, "b", 1) == 1);
    CHECK("two sessions", !client_connect(&bob));
    client_ask(&carol);
    RIG_AWAIT(&rig, "answered", carol.answers == 1);
    CHECK("not three", carol.result == GH_ERROR_LIMIT);
    client_detach(&carol, quietly);
    carol.connect.tenant = 9;
    CHECK("of one tenant", !client_connect(&carol));
    CHECK("a retained one", client_retain(&alice, "r", "x", 1) == GH_BROKER_NOBODY ||
                                gh_broker_status(rig.broker).retained == 1);
    CHECK("not two", client_retain(&alice, "s", "x", 1) == GH_BROKER_QUOTA);
    CHECK("but another in its place", client_retain(&alice, "r", "yy", 1) != GH_BROKER_QUOTA);
    CHECK("not a large one",
          client_retain(&alice, "r", "12345678901234567890", 1) == GH_BROKER_QUOTA);
    CHECK("none", client_retain(&alice, "r", "", 1) != GH_BROKER_QUOTA);
    CHECK("now another", client_retain(&alice, "s", "x", 1) != GH_BROKER_QUOTA);
    CHECK("counted", gh_broker_status(rig.broker).retained == 1);
    end();
}

/* A packet id follows from the sequence number: a message keeps it over connections. */
static void test_packet_ids(void)
{
    begin();
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    CHECK("subscribed", client_subscribe(&bob, "t", 2) == 2);
    bob.keeps = true;
    CHECK("sent", client_publish(&alice, "t", "1", 2) == GH_BROKER_POSTED);
    CHECK("sent", client_publish(&alice, "t", "2", 1) == GH_BROKER_POSTED);
    client_saw(&bob, "sent", "t=1 q2", "t=2 q1", NULL);
    uint64_t first = bob.tokens[0], second = bob.tokens[1];
    client_detach(&bob, quietly);
    CHECK("back", client_connect(&bob));
    client_saw(&bob, "sent again, marked", "t=1 q2 d", "t=2 q1 d", NULL);
    CHECK("with the same ids", bob.tokens[0] == first && bob.tokens[1] == second);
    client_detach(&bob, quietly);
    bob.keeps = false;
    CHECK("back", client_connect(&bob));
    client_saw(&bob, "until they are acknowledged", "t=1 q2 d", "t=2 q1 d", NULL);
    RIG_AWAIT(&rig, "done", gh_broker_status(rig.broker).queued == 0);
    end();
}

/* An id that is still in use with an older message is not given to a newer one. */
static void test_packet_id_in_use(void)
{
    begin();
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    CHECK("subscribed", client_subscribe(&bob, "t", 1) == 1);
    struct session *session = bob.attachment->session;
    bob.keeps = true;
    CHECK("sent", client_publish(&alice, "t", "1", 1) == GH_BROKER_POSTED);
    client_saw(&bob, "sent", "t=1 q1", NULL);
    gh_latch_take(&session->lock); /* as if 119,999 others had come and gone */
    bool resumed = gh_queue_resume(&session->inbox->queue, 2 * BROKER_PACKET_IDS + 1);
    gh_latch_give(&session->lock);
    CHECK("later", resumed);
    CHECK("sent", client_publish(&alice, "t", "2", 1) == GH_BROKER_POSTED);
    rig_settle(&rig);
    CHECK("it waits", bob.seen_count == 0);
    bob.keeps = false;
    struct client_detach again = {&bob, quietly};
    rig_on(&rig, 1, client_run_detach, &again);
    CHECK("back", client_connect(&bob));
    client_saw(&bob, "until the older is done with", "t=1 q1 d", "t=2 q1", NULL);
    end();
}

static void test_relaxed(void)
{
    const struct gh_slice filters[] = {GH_SLICE("fast/#")};
    begin();
    CHECK("relaxed", gh_broker_relax(rig.broker, 7, filters, 1));
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    CHECK("subscribed", client_subscribe(&bob, "#", 1) == 1);
    disk_hold(&rig.disk, true);
    CHECK("answered at once", client_publish(&alice, "fast/t", "1", 1) == GH_BROKER_POSTED);
    client_saw(&bob, "and sent before it is safe", "fast/t=1 q1", NULL);
    struct client_publish call = {.client = &alice, .publish = rig_publish("slow", "2", 1)};
    rig_on(&rig, 0, client_run_publish, &call);
    CHECK("others wait for the disk", call.posted == GH_BROKER_PENDING);
    rig_settle(&rig);
    CHECK("and so do their receivers", bob.seen_count == 0 && alice.stored == 0);
    disk_hold(&rig.disk, false);
    client_saw(&bob, "then it is sent", "slow=2 q1", NULL);
    RIG_AWAIT(&rig, "and answered", alice.stored == 1);
    CHECK("not relaxed", gh_broker_relax(rig.broker, 7, NULL, 0));
    CHECK("safe", client_publish(&alice, "fast/t", "1", 1) == GH_BROKER_POSTED);
    CHECK("waited for", alice.stored == 2);
    end();
}

static void test_expiry(void)
{
    struct gh_broker_publish publish = rig_publish("t", "x", 1);
    publish.has_expiry = true;
    publish.expiry_s = 5;
    begin();
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    CHECK("subscribed", client_subscribe(&bob, "#", 1) == 1);
    client_detach(&bob, quietly);
    CHECK("sent", client_put(&alice, &publish) == GH_BROKER_POSTED);
    publish.topic = GH_SLICE("u");
    publish.expiry_s = 500;
    CHECK("sent", client_put(&alice, &publish) == GH_BROKER_POSTED);
    rig_ahead_ms += 6000;
    CHECK("back", client_connect(&bob));
    client_saw(&bob, "what has expired is not sent", "u=x q1", NULL);
    RIG_AWAIT(&rig, "and gone", gh_broker_status(rig.broker).queued == 0);
    end();
}

/* Subscriptions change while messages fly: nothing but what the subscription of the moment asks. */
static void test_changes_in_flight(void)
{
    enum { ROUNDS = 200 };
    begin();
    CHECK("new", !client_connect(&alice) && !client_connect(&bob) && !client_connect(&carol));
    CHECK("subscribed", client_subscribe(&carol, "#", 1) == 1);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct client_publish call = {.client = &alice, .publish = rig_publish("t/a", "x", 1)};
        rig_on(&rig, 0, client_run_publish, &call);
        if (i % 2 == 0)
            CHECK("subscribed", client_subscribe(&bob, "t/+", 1) == 1);
        else
            CHECK("unsubscribed", client_unsubscribe(&bob, "t/+"));
    }
    RIG_AWAIT(&rig, "who stays gets all", carol.seen_count == ROUNDS);
    RIG_AWAIT(&rig, "nothing is left", gh_broker_status(rig.broker).queued == 0);
    CHECK("who comes and goes gets some", bob.seen_count <= ROUNDS && bob.seen_count > 0);
    end();
}

int main(void)
{
    test_qualities();
    test_order();
    test_offline();
    test_fetch_many();
    test_overlap();
    test_no_local();
    test_tenants();
    test_shared();
    test_shared_passed_on();
    test_full();
    test_limits();
    test_packet_ids();
    test_packet_id_in_use();
    test_relaxed();
    test_expiry();
    test_changes_in_flight();
    return check_report();
}
