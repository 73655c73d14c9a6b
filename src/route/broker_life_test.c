/* Sessions of the broker: taken over, expired, forgotten; wills; what the operator sees. */
#include "route/broker_rig_internal.h"

static struct rig rig;
static struct client alice, bob, again, third;

static const struct gh_detach quietly = {0};
static const struct gh_detach with_will = {.will = true};

static void begin(void)
{
    rig_init(&rig, check_folder(), 1);
    rig_open(&rig);
    client_init(&alice, &rig, "alice", 0);
    client_init(&bob, &rig, "bob", 1);
    client_init(&again, &rig, "bob", 1);
    client_init(&third, &rig, "bob", 0);
}

static void end(void)
{
    struct client *all[] = {&alice, &bob, &again, &third};
    for (size_t i = 0; i < GH_COUNT(all); i++) {
        if (all[i]->attachment != NULL)
            client_detach(all[i], quietly);
        client_deinit(all[i]);
    }
    rig_close(&rig);
}

static void test_takeover(void)
{
    static const struct {
        const char *claim;
        size_t from, to;
        bool clean;
        uint32_t expiry_s;
        bool present;
    } rows[] = {
        {"on the same loop", 1, 1, false, 60, true},
        {"across loops", 1, 0, false, 60, true},
        {"a clean start on the same loop", 0, 0, true, 60, false},
        {"a clean start across loops", 0, 1, true, 60, false},
        {"one that ends with its connection", 0, 1, false, 0, false},
        {"the same, on the same loop", 1, 1, false, 0, false},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        const char *claim = rows[i].claim;
        begin();
        bob.loop = rows[i].from;
        again.loop = rows[i].to;
        bob.connect.expiry_s = rows[i].expiry_s;
        again.connect.clean_start = rows[i].clean;
        CHECK(claim, !client_connect(&alice) && !client_connect(&bob));
        CHECK(claim, client_subscribe(&bob, "t", 1) == 1);
        bob.keeps = true;
        CHECK(claim, client_publish(&alice, "t", "1", 1) == GH_BROKER_POSTED);
        client_saw(&bob, claim, "t=1 q1", NULL);
        CHECK(claim, client_connect(&again) == rows[i].present);
        CHECK(claim, bob.leaves == 1 && bob.attachment == NULL);
        if (rows[i].present)
            client_saw(&again, claim, "t=1 q1 d", NULL);
        else
            CHECK(claim, client_subscribe(&again, "t", 1) == 1);
        CHECK(claim, client_publish(&alice, "t", "2", 1) == GH_BROKER_POSTED);
        client_saw(&again, claim, "t=2 q1", NULL);
        CHECK(claim, gh_broker_status(rig.broker).sessions == 2);
        CHECK(claim, gh_broker_status(rig.broker).connected == 2);
        end();
    }
}

static void test_takeover_waits(void)
{
    begin();
    bob.stays = true;
    CHECK("new", !client_connect(&bob));
    client_ask(&again);
    client_ask(&third);
    RIG_AWAIT(&rig, "the first is asked, twice", bob.leaves == 2);
    RIG_AWAIT(&rig, "the second loses to the third", again.answers == 1);
    CHECK("as a conflict", again.result == GH_ERROR_CONFLICT && third.answers == 0);
    client_detach(&again, quietly);
    client_detach(&bob, quietly);
    RIG_AWAIT(&rig, "the third has it", third.answers == 1);
    CHECK("the session is there", third.result == GH_OK && third.present);
    end();

    begin();
    bob.stays = true;
    CHECK("new", !client_connect(&bob));
    client_ask(&third); /* across loops */
    RIG_AWAIT(&rig, "the first is asked", bob.leaves == 1);
    client_detach(&third, quietly);
    client_detach(&bob, quietly);
    rig_settle(&rig);
    CHECK("who gave up hears nothing", third.answers == 0);
    CHECK("the session waits", client_connect(&again));
    CHECK("one", gh_broker_status(rig.broker).sessions == 1);
    end();
}

/* Many connections of one client id come at once, from both loops; some begin anew, some give up.
 * In the end one has it, and all others have been told to go. */
static void test_takeover_storm(void)
{
    enum { CLIENTS = 8, ROUNDS = 60 };
    static struct client clients[CLIENTS];
    uint64_t random = 42;
    begin();
    for (size_t i = 0; i < CLIENTS; i++)
        client_init(&clients[i], &rig, "storm", i % RIG_LOOPS);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < CLIENTS; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            struct client *client = &clients[(random >> 33) % CLIENTS];
            client->connect.clean_start = (random >> 40) % 4 == 0;
            client->connect.expiry_s = (random >> 44) % 3 == 0 ? 0 : 60;
            if (client->attachment != NULL)
                client_detach(client, quietly);
            client_ask(client);
            if ((random >> 50) % 8 == 0)
                client_detach(client, quietly);
        }
        if (round % 16 == 0)
            gh_broker_forget(rig.broker, 1);
    }
    struct client last;
    client_init(&last, &rig, "storm", 1);
    (void)client_connect(&last);
    rig_settle(&rig);
    for (size_t i = 0; i < CLIENTS; i++) {
        if (clients[i].attachment != NULL) {
            CHECK("who is left has been refused", !clients[i].attached);
            client_detach(&clients[i], quietly);
        }
        client_deinit(&clients[i]);
    }
    CHECK("one has it", gh_broker_status(rig.broker).connected == 1);
    CHECK("one session", gh_broker_status(rig.broker).sessions == 1);
    client_detach(&last, (struct gh_detach){.has_expiry = true, .expiry_s = 0});
    CHECK("it has ended", gh_broker_status(rig.broker).sessions == 0);
    client_deinit(&last);
    end();
}

static void test_expiry(void)
{
    begin();
    rig.broker->limits.expiry_max_s = 3600;
    bob.connect.expiry_s = 1;
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    CHECK("subscribed", client_subscribe(&bob, "t", 1) == 1);
    client_detach(&bob, quietly);
    CHECK("sent", client_publish(&alice, "t", "1", 1) == GH_BROKER_POSTED);
    CHECK("it waits", gh_broker_status(rig.broker).queued == 1);
    RIG_AWAIT(&rig, "it has expired, with all it had",
              gh_broker_status(rig.broker).sessions == 1 &&
                  gh_broker_status(rig.broker).subscriptions == 0 &&
                  gh_broker_status(rig.broker).queued == 0);
    CHECK("a new one", !client_connect(&bob));
    client_detach(&bob, (struct gh_detach){.has_expiry = true, .expiry_s = 0});
    CHECK("ended by its DISCONNECT", gh_broker_status(rig.broker).sessions == 1);
    bob.connect.expiry_s = UINT32_MAX;
    CHECK("a new one", !client_connect(&bob));
    CHECK("not longer than the bound", bob.attachment->session->expiry_s == 3600);
    end();
}

/* --- wills */

static void set_will(struct client *client, uint32_t delay_s, uint32_t expiry_s)
{
    client->connect.expiry_s = expiry_s;
    client->connect.has_will = true;
    client->connect.will = (struct gh_journal_will){
        .topic = GH_SLICE("will"), .payload = GH_SLICE("gone"), .qos = 1, .delay_s = delay_s};
}

static void test_wills(void)
{
    static const struct {
        const char *claim;
        uint32_t delay_s, expiry_s;
        bool will, back, seen;
    } rows[] = {
        {"at once", 0, 60, true, false, true},
        {"not after a DISCONNECT", 0, 60, false, false, false},
        {"after its delay", 1, 60, true, false, true},
        {"not when it is back before", 1, 60, true, true, false},
        {"at the end of the session", 60, 1, true, false, true},
        {"of a session that ends with its connection", 60, 0, true, false, true},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        const char *claim = rows[i].claim;
        begin();
        set_will(&bob, rows[i].delay_s, rows[i].expiry_s);
        CHECK(claim, !client_connect(&alice) && !client_connect(&bob));
        CHECK(claim, client_subscribe(&alice, "will", 1) == 1);
        client_detach(&bob, (struct gh_detach){.will = rows[i].will});
        if (rows[i].back) {
            CHECK(claim, client_connect(&again));
            client_detach(&again, with_will);
        }
        if (rows[i].seen)
            client_saw(&alice, claim, "will=gone q1", NULL);
        else
            rig_settle(&rig);
        CHECK(claim, alice.seen_count == 0);
        end();
    }
}

static void test_will_over_restart(void)
{
    begin();
    set_will(&bob, 30, 600);
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    CHECK("subscribed", client_subscribe(&alice, "will", 1) == 1);
    client_detach(&bob, with_will);
    client_detach(&alice, quietly);
    rig_close(&rig);
    rig_ahead_ms += 29 * 1000;
    rig_open(&rig);
    CHECK("back", client_connect(&alice));
    rig_settle(&rig);
    CHECK("it is not time", alice.seen_count == 0);
    client_detach(&alice, quietly);
    rig_close(&rig);
    rig_ahead_ms += 2 * 1000;
    rig_open(&rig);
    CHECK("back", client_connect(&alice));
    client_saw(&alice, "it waited over two restarts", "will=gone q1", NULL);
    client_detach(&alice, quietly);
    rig_settle(&rig);
    rig_close(&rig);
    rig_ahead_ms += 3600 * 1000;
    rig_open(&rig);
    CHECK("back", client_connect(&alice));
    RIG_AWAIT(&rig, "the other session ends", gh_broker_status(rig.broker).sessions == 1);
    rig_settle(&rig);
    CHECK("once", alice.seen_count == 0);
    end();
}

/* --- exactly once over a restart of the server */

static void restart(void)
{
    rig_await_ends(&rig);
    rig_close(&rig);
    rig_open(&rig);
}

struct client_ack {
    struct client *client;
    uint64_t token;
};

static void pubrec_stored(void *context, uint64_t token, bool stored)
{
    struct client *client = context;
    (void)token;
    client_lock(client);
    client->stored += stored;
    client_unlock(client);
}

/* PUBREC comes, and then the connection ends. */
static void run_pubrec_only(void *context)
{
    const struct client_ack *ack = context;
    gh_attachment_pubrec(ack->client->attachment, ack->token, pubrec_stored, ack->client);
}

struct client_taken {
    struct client *client;
    size_t count;
    unsigned sum;
};

static void run_taken(void *context)
{
    struct client_taken *taken = context;
    const uint16_t *list = gh_attachment_received(taken->client->attachment, &taken->count);
    taken->sum = 0;
    for (size_t i = 0; i < taken->count; i++)
        taken->sum += list[i];
}

static void test_exactly_once_sending(void)
{
    begin();
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    CHECK("subscribed", client_subscribe(&bob, "t", 2) == 2);
    bob.keeps = true;
    CHECK("sent", client_publish(&alice, "t", "1", 2) == GH_BROKER_POSTED);
    CHECK("sent", client_publish(&alice, "t", "2", 2) == GH_BROKER_POSTED);
    client_saw(&bob, "both go out", "t=1 q2", "t=2 q2", NULL);
    uint64_t first = bob.tokens[0], second = bob.tokens[1];
    rig_settle(&rig);
    bob.keeps = false;
    struct client_ack ack = {&bob, first};
    rig_on(&rig, bob.loop, run_pubrec_only, &ack);
    RIG_AWAIT(&rig, "its PUBREC is safe", bob.stored == 1);
    client_detach(&bob, quietly);
    client_detach(&alice, quietly);
    restart();
    bob.keeps = true;
    CHECK("back", client_connect(&bob));
    client_saw(&bob, "PUBREL for the one, the other again", "release #1", "t=2 q2 d", NULL);
    CHECK("with the numbers they had", bob.tokens[0] == first && bob.tokens[1] == second);
    client_detach(&bob, quietly);
    bob.keeps = false;
    CHECK("back", client_connect(&bob));
    client_saw(&bob, "until it is over", "release #1", "t=2 q2 d", NULL);
    RIG_AWAIT(&rig, "it is over", gh_broker_status(rig.broker).queued == 0);
    client_detach(&bob, quietly);
    restart();
    CHECK("back", client_connect(&bob));
    rig_settle(&rig);
    CHECK("for good", bob.seen_count == 0);
    end();
}

static void test_exactly_once_taking(void)
{
    struct gh_broker_publish publish = rig_publish("nobody", "x", 2);
    publish.packet_id = 77;
    begin();
    CHECK("new", !client_connect(&alice));
    CHECK("taken, although nobody subscribes", client_put(&alice, &publish) == GH_BROKER_POSTED);
    publish.packet_id = 78;
    CHECK("taken", client_put(&alice, &publish) == GH_BROKER_POSTED);
    client_detach(&alice, quietly);
    restart();
    CHECK("back", client_connect(&alice));
    struct client_taken taken = {.client = &alice};
    rig_on(&rig, alice.loop, run_taken, &taken);
    CHECK("both are known", taken.count == 2 && taken.sum == 77 + 78);
    rig_on(&rig, alice.loop, client_run_release, &alice);
    RIG_AWAIT(&rig, "released", alice.synced == 2);
    client_detach(&alice, quietly);
    restart();
    CHECK("back", client_connect(&alice));
    rig_on(&rig, alice.loop, run_taken, &taken);
    CHECK("none is", taken.count == 0);
    end();
}

/* --- forgotten devices, and what the operator sees */

static void test_forget(void)
{
    begin();
    alice.connect.device = 2;
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    third.connect.client_id = GH_SLICE("third");
    CHECK("new", !client_connect(&third));
    client_detach(&third, quietly);
    CHECK("three", gh_broker_status(rig.broker).sessions == 3);
    gh_broker_forget(rig.broker, 1);
    RIG_AWAIT(&rig, "without a connection: at once", gh_broker_status(rig.broker).sessions == 2);
    rig_settle(&rig);
    client_detach(&bob, quietly);
    RIG_AWAIT(&rig, "with one: with it", gh_broker_status(rig.broker).sessions == 1);
    client_detach(&alice, quietly);
    rig_close(&rig);
    rig_open(&rig);
    CHECK("for ever", gh_broker_status(rig.broker).sessions == 1);
    end();
}

static void note_view(void *context, const struct gh_broker_view *view)
{
    char *out = context;
    size_t size = strlen(out);
    snprintf(out + size, 512 - size, "%.*s:%d%d q%zu+%zu f%zu l%zu s%zu%s%.*s;",
             GH_PRINT(view->client_id), view->connected, view->stored, view->queued,
             view->queued_bytes, view->inflight, view->lane, view->subscriptions_count,
             view->subscriptions_count > 0 ? "=" : "",
             view->subscriptions_count > 0 ? (int)view->subscriptions[0].filter.size : 0,
             view->subscriptions_count > 0 ? (const char *)view->subscriptions[0].filter.data : "");
}

static void test_views(void)
{
    char text[512] = "";
    begin();
    bob.connect.device = 2;
    bob.keeps = true;
    bob.window = 1;
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    CHECK("subscribed", client_subscribe(&bob, "t/#", 1) == 1);
    CHECK("sent", client_publish(&alice, "t/1", "12345", 1) == GH_BROKER_POSTED);
    CHECK("sent", client_publish(&alice, "t/1", "123", 1) == GH_BROKER_POSTED);
    RIG_AWAIT(&rig, "one goes out", bob.seen_count == 1);
    rig_settle(&rig);
    gh_broker_each(rig.broker, 2, note_view, text);
    CHECK("all of it", strcmp(text, "bob:11 q2+8 f1 l0 s1=t/#;") == 0);
    text[0] = '\0';
    client_detach(&bob, quietly);
    gh_broker_each(rig.broker, 0, note_view, text);
    CHECK("of all devices", strstr(text, "alice:11 q0+0") != NULL && strstr(text, "bob:01 q2+8"));
    struct gh_broker_status status = gh_broker_status(rig.broker);
    CHECK("counted", status.sessions == 2 && status.connected == 1 && status.subscriptions == 1);
    CHECK("counted", status.queued == 2 && status.journal_bytes > 0);
    end();
}

/* So many that the roster is hung anew: each is found by its name, and none when it has ended. */
static void test_crowd(void)
{
    enum { CROWD = 300 };
    static struct client crowd[CROWD];
    static char names[CROWD][16];
    begin();
    for (size_t i = 0; i < CROWD; i++) {
        snprintf(names[i], sizeof names[i], "client %zu", i / 2);
        client_init(&crowd[i], &rig, names[i], i % 2);
        crowd[i].connect.device = 1 + i % 2; /* the same name of two devices */
        crowd[i].connect.expiry_s = 0;
        CHECK("new", !client_connect(&crowd[i]));
    }
    CHECK("all", gh_broker_status(rig.broker).sessions == CROWD);
    for (size_t i = 0; i < CROWD; i++)
        CHECK("found", gh_broker_has(rig.broker, 1 + i % 2, gh_slice_text(names[i])));
    CHECK("not of another", !gh_broker_has(rig.broker, 3, gh_slice_text(names[0])));
    for (size_t i = 0; i < CROWD; i++)
        client_detach(&crowd[i], quietly);
    CHECK("none", gh_broker_status(rig.broker).sessions == 0 && rig.broker->roster.count == 0);
    for (size_t i = 0; i < CROWD; i++) {
        CHECK("not found", !gh_broker_has(rig.broker, 1 + i % 2, gh_slice_text(names[i])));
        client_deinit(&crowd[i]);
    }
    end();
}

/* What only those have that subscribe or stay. */
static void test_inboxes(void)
{
    static const struct {
        const char *claim;
        uint32_t expiry_s;
        bool subscribes;
        struct gh_detach detach;
        bool has_inbox, stays;
    } rows[] = {
        {"one that says nothing has none", 0, false, {0}, false, false},
        {"one that subscribes", 0, true, {0}, true, false},
        {"one that is stored", 60, false, {0}, true, true},
        {"one that is to stay after all",
         0,
         false,
         {.has_expiry = true, .expiry_s = 60},
         false,
         true},
        {"one that is not to stay after all",
         60,
         false,
         {.has_expiry = true, .expiry_s = 0},
         true,
         false},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        const char *claim = rows[i].claim;
        begin();
        alice.connect.expiry_s = 0;
        bob.connect.expiry_s = rows[i].expiry_s;
        CHECK(claim, !client_connect(&bob) && !client_connect(&alice));
        if (rows[i].subscribes)
            CHECK(claim, client_subscribe(&bob, "t", 1) == 1);
        for (uint8_t qos = 0; qos <= 2; qos++)
            CHECK(claim,
                  client_publish(&bob, "nobody", "1", qos) ==
                      (qos == 2 && rows[i].expiry_s > 0 ? GH_BROKER_POSTED : GH_BROKER_NOBODY));
        CHECK(claim, !client_unsubscribe(&bob, "another"));
        CHECK(claim, (bob.attachment->session->inbox != NULL) == rows[i].has_inbox);
        CHECK(claim, rig.broker->by_number.count == rows[i].has_inbox);
        client_detach(&bob, rows[i].detach);
        rig_await_ends(&rig);
        CHECK(claim, gh_broker_status(rig.broker).sessions == 1 + (size_t)rows[i].stays);
        CHECK(claim, rig.broker->by_number.count == rows[i].stays);
        CHECK(claim, client_connect(&again) == rows[i].stays);
        end();
    }
}

int main(void)
{
    test_takeover();
    test_inboxes();
    test_crowd();
    test_takeover_waits();
    test_takeover_storm();
    test_expiry();
    test_wills();
    test_will_over_restart();
    test_exactly_once_sending();
    test_exactly_once_taking();
    test_forget();
    test_views();
    return check_report();
}
