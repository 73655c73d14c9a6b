#include "pubsub/pubsub_testbed.h"

static void check_names(void)
{
    static const struct {
        const char *name;
        bool valid;
    } cases[] = {{"abc", true},      {"ab", false},   {"Telemetry-1_a.b~c+d%e", true},
                 {"1abc", false},    {"-abc", false}, {"goog-x", false},
                 {"a b", false},     {"a/b", false},  {"a\xc3\xa9z", false},
                 {"abc\x01", false}, {"", false},     {"googlish", false},
                 {"Google", true}};
    for (size_t i = 0; i < GH_COUNT(cases); i++)
        CHECK(cases[i].name, gh_pubsub_name_valid(gh_slice_text(cases[i].name)) == cases[i].valid);
    char name[256];
    memset(name, 'a', sizeof name);
    CHECK("255 are allowed", gh_pubsub_name_valid(gh_slice(name, 255)));
    CHECK("256 are not", !gh_pubsub_name_valid(gh_slice(name, 256)));
}

static void check_definitions(void)
{
    struct bed *bed = bed_open();
    struct gh_topic *topics, one;
    struct gh_subscription *subscriptions, sub;
    struct gh_slice none = {0};
    size_t count;

    topic(bed, "telemetry");
    topic(bed, "state");
    CHECK("a name is taken once",
          gh_pubsub_topic_create(bed->ps, bed->tenant, GH_SLICE("state"), none, &bed->arena, NULL,
                                 NULL) == GH_ERROR_EXISTS);
    CHECK("but in another tenant it is free",
          gh_pubsub_topic_create(bed->ps, bed->other_tenant, GH_SLICE("state"), none, &bed->arena,
                                 NULL, NULL) == GH_OK);
    CHECK("a bad name", gh_pubsub_topic_create(bed->ps, bed->tenant, GH_SLICE("x"), none,
                                               &bed->arena, NULL, NULL) == GH_ERROR_INVALID);
    for (int round = 0; round < 2; round++) {
        CHECK("a list of the tenant's, by name",
              gh_pubsub_topic_list(bed->ps, bed->tenant, none, 10, &bed->arena, &topics, &count,
                                   NULL) == GH_OK &&
                  count == 2 && gh_slice_equal(topics[0].name, GH_SLICE("state")));
        CHECK("after a name", gh_pubsub_topic_list(bed->ps, bed->tenant, GH_SLICE("state"), 10,
                                                   &bed->arena, &topics, &count, NULL) == GH_OK &&
                                  count == 1);
        CHECK("get", gh_pubsub_topic_get(bed->ps, bed->tenant, GH_SLICE("telemetry"), &bed->arena,
                                         &one, NULL) == GH_OK &&
                         gh_slice_equal(one.settings, GH_SLICE("{}")));
        restart(bed);
    }
    struct gh_subscription what = {.tenant = bed->tenant,
                                   .name = GH_SLICE("climate"),
                                   .topic = GH_SLICE("telemetry"),
                                   .ack_deadline_s = 9};
    CHECK("a deadline too short", gh_pubsub_subscription_create(bed->ps, &what, &bed->arena, NULL,
                                                                NULL) == GH_ERROR_INVALID);
    what.ack_deadline_s = 0;
    what.filter = GH_SLICE("attributes");
    CHECK("a filter that is none", gh_pubsub_subscription_create(bed->ps, &what, &bed->arena, NULL,
                                                                 NULL) == GH_ERROR_INVALID);
    what.filter = none;
    what.retention_ms = 1000;
    CHECK("a retention too short", gh_pubsub_subscription_create(bed->ps, &what, &bed->arena, NULL,
                                                                 NULL) == GH_ERROR_INVALID);
    what.retention_ms = 0;
    what.topic = GH_SLICE("nowhere");
    CHECK("no topic", gh_pubsub_subscription_create(bed->ps, &what, &bed->arena, NULL, NULL) ==
                          GH_ERROR_NOT_FOUND);
    what.topic = GH_SLICE("telemetry");
    CHECK("made", gh_pubsub_subscription_create(bed->ps, &what, &bed->arena, &sub, NULL) == GH_OK &&
                      sub.ack_deadline_s == 10 &&
                      sub.retention_ms == GH_PUBSUB_RETENTION_DEFAULT_MS);
    what.ack_deadline_s = 60;
    CHECK("changed", gh_pubsub_subscription_update(bed->ps, &what, GH_SUBSCRIPTION_DEADLINE,
                                                   &bed->arena, &sub, NULL) == GH_OK &&
                         sub.ack_deadline_s == 60);
    CHECK("topic deleted",
          gh_pubsub_topic_delete(bed->ps, bed->tenant, GH_SLICE("telemetry"), NULL) == GH_OK);
    for (int round = 0; round < 2; round++) {
        CHECK("the subscription says so",
              gh_pubsub_subscription_list(bed->ps, bed->tenant, none, none, 10, &bed->arena,
                                          &subscriptions, &count, NULL) == GH_OK &&
                  count == 1 && subscriptions[0].ack_deadline_s == 60 &&
                  gh_slice_equal(subscriptions[0].topic, GH_SLICE(GH_PUBSUB_DELETED_TOPIC)));
        CHECK("nothing goes to a deleted topic",
              gh_pubsub_publish_wait(bed->ps, bed->tenant, GH_SLICE("telemetry"),
                                     &(struct gh_message){.data = GH_SLICE("x")}, 1, &(uint64_t){0},
                                     NULL) == GH_ERROR_NOT_FOUND);
        restart(bed);
    }
    CHECK("deleted", gh_pubsub_subscription_delete(bed->ps, bed->tenant, what.name, NULL) == GH_OK);
    CHECK("twice", gh_pubsub_subscription_delete(bed->ps, bed->tenant, what.name, NULL) ==
                       GH_ERROR_NOT_FOUND);
    bed_close(bed);
}

static void check_deliver(void)
{
    struct bed *bed = bed_open();
    topic(bed, "telemetry");
    topic(bed, "other");
    publish(bed, "telemetry", "before");
    subscription(bed, "one", "telemetry");
    subscription(bed, "two", "telemetry");
    subscription(bed, "none", "other");
    uint64_t a = publish(bed, "telemetry", "a");
    publish(bed, "telemetry", "b");

    struct gh_pull got = pull(bed, "one", 10);
    CHECK("what was published after it was made", got.count == 2);
    CHECK("whole",
          got.messages[0].id == a && got.messages[0].attempt == 1 &&
              gh_slice_equal(got.messages[0].message.data, GH_SLICE("a")) &&
              gh_slice_equal(got.messages[0].message.ordering_key, GH_SLICE("key")) &&
              gh_slice_equal(gh_message_attribute(&got.messages[0].message, GH_SLICE("deviceId")),
                             GH_SLICE("d1")) &&
              got.messages[0].at_ms == utc_ms);
    CHECK("leased messages are not given again", !strcmp(pull_text(bed, "one"), ""));
    CHECK("each subscription has its own", !strcmp(pull_text(bed, "two"), "a b"));
    CHECK("another topic's does not", !strcmp(pull_text(bed, "none"), ""));
    CHECK("acknowledged out of order", ack_text(bed, "one", got.messages[1].ack_id) == GH_OK);
    pass_s(bed, 11);
    CHECK("past the deadline the other comes again", !strcmp(pull_text(bed, "one"), "a"));
    CHECK("a late acknowledgement counts", ack_text(bed, "one", got.messages[0].ack_id) == GH_OK);
    CHECK("twice is fine", ack_text(bed, "one", got.messages[0].ack_id) == GH_OK);
    pass_s(bed, 11);
    CHECK("then none is left", !strcmp(pull_text(bed, "one"), ""));
    CHECK("and the other subscription has both still", !strcmp(pull_text(bed, "two"), "a b"));
    gh_pull_release(&got);
    bed_close(bed);
}

static void check_deadlines(void)
{
    struct bed *bed = bed_open();
    topic(bed, "telemetry");
    subscription(bed, "one", "telemetry");
    publish(bed, "telemetry", "a");
    struct gh_pull got = pull(bed, "one", 10);
    REQUIRE("a message", got.count == 1);
    struct gh_slice id = gh_slice_text(got.messages[0].ack_id), name = GH_SLICE("one");
    CHECK("a deadline too long", gh_pubsub_modify_deadline_wait(bed->ps, bed->tenant, name, &id, 1,
                                                                601, NULL) == GH_ERROR_INVALID);
    CHECK("extended",
          gh_pubsub_modify_deadline_wait(bed->ps, bed->tenant, name, &id, 1, 60, NULL) == GH_OK);
    pass_s(bed, 59);
    CHECK("still leased", !strcmp(pull_text(bed, "one"), ""));
    pass_s(bed, 2);
    struct gh_pull again = pull(bed, "one", 10);
    CHECK("then not", again.count == 1 && again.messages[0].attempt == 2);
    CHECK("an old ackId does not move the new lease",
          gh_pubsub_modify_deadline_wait(bed->ps, bed->tenant, name, &id, 1, 0, NULL) == GH_OK &&
              !strcmp(pull_text(bed, "one"), ""));
    struct gh_slice new_id = gh_slice_text(again.messages[0].ack_id);
    CHECK("a nack",
          gh_pubsub_modify_deadline_wait(bed->ps, bed->tenant, name, &new_id, 1, 0, NULL) == GH_OK);
    gh_pull_release(&again);
    again = pull(bed, "one", 10);
    CHECK("gives it back at once", again.count == 1 && again.messages[0].attempt == 3);
    gh_pull_release(&again);
    gh_pull_release(&got);
    bed_close(bed);
}

static void check_ack_ids(void)
{
    struct bed *bed = bed_open();
    topic(bed, "telemetry");
    subscription(bed, "one", "telemetry");
    subscription(bed, "two", "telemetry");
    publish(bed, "telemetry", "a");
    struct gh_pull got = pull(bed, "one", 10);
    REQUIRE("a message", got.count == 1);
    char id[GH_PUBSUB_ACK_ID_BYTES + 2];
    snprintf(id, sizeof id, "%s", got.messages[0].ack_id);
    CHECK("of another subscription", ack_text(bed, "two", id) == GH_ERROR_INVALID);
    CHECK("empty", ack_text(bed, "one", "") == GH_ERROR_INVALID);
    CHECK("nonsense", ack_text(bed, "one", "projects/x/ack") == GH_ERROR_INVALID);
    for (size_t i = 0; i < GH_PUBSUB_ACK_ID_BYTES; i++) {
        char before = id[i];
        id[i] = before == '0' ? '1' : '0';
        CHECK("one digit changed", ack_text(bed, "one", id) == GH_ERROR_INVALID);
        id[i] = before;
    }
    id[GH_PUBSUB_ACK_ID_BYTES - 1] = '\0';
    CHECK("cut", ack_text(bed, "one", id) == GH_ERROR_INVALID);
    CHECK("no ids", gh_pubsub_acknowledge_wait(bed->ps, bed->tenant, GH_SLICE("one"), NULL, 0,
                                               NULL) == GH_ERROR_INVALID);
    restart(bed);
    CHECK("after a restart it is still good",
          ack_text(bed, "one", got.messages[0].ack_id) == GH_OK);
    CHECK("and did its work", !strcmp(pull_text(bed, "one"), ""));
    CHECK("no such subscription",
          ack_text(bed, "three", got.messages[0].ack_id) == GH_ERROR_NOT_FOUND);
    gh_pull_release(&got);
    bed_close(bed);
}

static void check_restart(void)
{
    struct bed *bed = bed_open();
    char path[1024];
    topic(bed, "telemetry");
    subscription(bed, "one", "telemetry");
    publish_many(bed, "telemetry", 0, 1000);
    struct gh_pull got = pull(bed, "one", 600);
    CHECK("600", got.count == 600);
    CHECK("acknowledged", ack_all(bed, "one", &got) == GH_OK);
    gh_pull_release(&got);
    snprintf(path, sizeof path, "%s/log/subscriptions.state", bed->folder);
    for (int round = 0; round < 3; round++) {
        restart(bed);
        got = pull(bed, "one", 1000);
        CHECK("what was not acknowledged is there", got.count == 400);
        CHECK("from the first on",
              got.count > 0 && gh_slice_equal(got.messages[0].message.data, GH_SLICE("600")));
        gh_pull_release(&got);
        gh_pubsub_close(bed->ps);
        if (round == 0) /* then from the journal alone */
            CHECK("the checkpoint goes", unlink(path) == 0);
        if (round == 1) { /* and with half of it */
            struct stat about;
            CHECK("cut", stat(path, &about) == 0 && truncate(path, about.st_size / 2) == 0);
        }
        start(bed);
    }
    struct gh_subscription_backlog backlog;
    CHECK("backlog", gh_pubsub_subscription_backlog(bed->ps, bed->tenant, GH_SLICE("one"), &backlog,
                                                    NULL) == GH_OK &&
                         backlog.acked_to <= 601);
    publish(bed, "telemetry", "last");
    CHECK("topic deleted",
          gh_pubsub_topic_delete(bed->ps, bed->tenant, GH_SLICE("telemetry"), NULL) == GH_OK);
    restart(bed);
    got = pull(bed, "one", 1000);
    CHECK("messages of a deleted topic are still delivered", got.count == 401);
    gh_pull_release(&got);
    gh_pubsub_close(bed->ps);
    CHECK("its state is lost", unlink(path) == 0);
    start(bed);
    CHECK("then nothing is delivered rather than another topic's messages",
          !strcmp(pull_text(bed, "one"), ""));
    bed_close(bed);
}

/* More than a subscription keeps in memory. */
static void check_backlog(void)
{
    enum { MANY = 20000 };
    struct bed *bed = bed_open();
    static bool seen[MANY];
    topic(bed, "telemetry");
    topic(bed, "noise");
    subscription(bed, "one", "telemetry");
    memset(seen, 0, sizeof seen);
    for (unsigned i = 0; i < MANY; i += 1000) {
        publish_many(bed, "telemetry", i, 1000);
        publish_many(bed, "noise", i, 500);
    }
    size_t count = 0;
    for (int round = 0; count < MANY && round < 1000; round++) {
        struct gh_pull got = pull(bed, "one", 1000);
        for (size_t i = 0; i < got.count; i++) {
            unsigned number =
                (unsigned)strtoul((const char *)got.messages[i].message.data.data, NULL, 10);
            char text[16];
            int size = snprintf(text, sizeof text, "%zu", count);
            CHECK("in order",
                  gh_slice_equal(got.messages[i].message.data, gh_slice(text, (size_t)size)));
            (void)number;
            count++;
        }
        if (round % 3 != 0)
            CHECK("acknowledged", ack_all(bed, "one", &got) == GH_OK);
        gh_pull_release(&got);
        if (round == 7) {
            restart(bed); /* those of rounds 0, 3 and 6 come again */
            struct gh_pull first = pull(bed, "one", 1000);
            CHECK("the unacknowledged come first",
                  first.count == 1000 &&
                      gh_slice_equal(first.messages[0].message.data, GH_SLICE("0")));
            CHECK("acknowledged", ack_all(bed, "one", &first) == GH_OK);
            gh_pull_release(&first);
            for (int more = 0; more < 2; more++) {
                first = pull(bed, "one", 1000);
                CHECK("and again", first.count == 1000 && ack_all(bed, "one", &first) == GH_OK);
                gh_pull_release(&first);
            }
        }
    }
    CHECK("all", count == MANY);
    bed_close(bed);
}

struct answer {
    struct gh_waiter waiter;
    struct gh_pull pull;
};

static void pull_begin(struct bed *bed, const char *name, struct answer *answer, int64_t wait_ms)
{
    gh_waiter_init(&answer->waiter);
    answer->pull = (struct gh_pull){.reply = gh_waiter_reply,
                                    .reply_context = &answer->waiter,
                                    .messages_max = 10,
                                    .wait_ms = wait_ms};
    CHECK("a pull begins",
          gh_pubsub_pull(bed->ps, bed->tenant, gh_slice_text(name), &answer->pull, NULL) == GH_OK);
}

static void check_waiting(void)
{
    struct bed *bed = bed_open();
    static struct answer first, second, third;
    topic(bed, "telemetry");
    subscription(bed, "one", "telemetry");

    pull_begin(bed, "one", &first, 30000);
    pull_begin(bed, "one", &second, 30000);
    publish(bed, "telemetry", "a");
    gh_waiter_wait(&first.waiter, 1);
    CHECK("a message ends the oldest wait", first.pull.result == GH_OK && first.pull.count == 1);
    pass_s(bed, 11); /* its lease runs out, which ends the second */
    gh_waiter_wait(&second.waiter, 1);
    CHECK("so does one that comes again",
          second.pull.count == 1 && second.pull.messages[0].attempt == 2);
    CHECK("acknowledged", ack_all(bed, "one", &second.pull) == GH_OK);
    gh_pull_release(&first.pull);
    gh_pull_release(&second.pull);

    pull_begin(bed, "one", &first, 30000);
    pass_s(bed, 31);
    gh_waiter_wait(&first.waiter, 1);
    CHECK("time ends a wait", first.pull.result == GH_OK && first.pull.count == 0);
    gh_pull_release(&first.pull);

    pull_begin(bed, "one", &first, 30000);
    pull_begin(bed, "one", &second, 30000);
    gh_pubsub_pull_cancel(bed->ps, &second.pull);
    gh_waiter_wait(&second.waiter, 1);
    CHECK("cancelled", second.pull.result == GH_OK && second.pull.count == 0);
    gh_pull_release(&second.pull);
    CHECK("deleted",
          gh_pubsub_subscription_delete(bed->ps, bed->tenant, GH_SLICE("one"), NULL) == GH_OK);
    gh_waiter_wait(&first.waiter, 1);
    CHECK("a deleted subscription ends a wait", first.pull.result == GH_ERROR_NOT_FOUND);
    gh_pull_release(&first.pull);

    subscription(bed, "two", "telemetry");
    pull_begin(bed, "two", &third, 30000);
    gh_pubsub_close(bed->ps);
    CHECK("closing ends a wait",
          third.waiter.count == 1 && third.pull.result == GH_ERROR_UNAVAILABLE);
    gh_pull_release(&third.pull);
    start(bed);
    bed_close(bed);
}

static void check_limits(void)
{
    struct bed *bed = bed_open();
    static uint8_t large[GH_MESSAGE_BYTES_MAX];
    static struct gh_message messages[GH_MESSAGES_PER_PUBLISH_MAX + 1];
    static uint64_t ids[GH_MESSAGES_PER_PUBLISH_MAX + 1];
    struct gh_slice name = GH_SLICE("telemetry");
    topic(bed, "telemetry");
    subscription(bed, "one", "telemetry");
    for (size_t i = 0; i < GH_COUNT(messages); i++)
        messages[i].data = GH_SLICE("x");
    CHECK("1,001 messages",
          gh_pubsub_publish_wait(bed->ps, bed->tenant, name, messages, GH_COUNT(messages), ids,
                                 NULL) == GH_ERROR_INVALID);
    CHECK("none", gh_pubsub_publish_wait(bed->ps, bed->tenant, name, messages, 0, ids, NULL) ==
                      GH_ERROR_INVALID);
    messages[0].data = gh_slice(large, sizeof large);
    CHECK("10 MB and a byte", gh_pubsub_publish_wait(bed->ps, bed->tenant, name, messages, 2, ids,
                                                     NULL) == GH_ERROR_INVALID);
    messages[1].data = gh_slice(NULL, 0);
    CHECK("an empty message", gh_pubsub_publish_wait(bed->ps, bed->tenant, name, messages + 1, 1,
                                                     ids, NULL) == GH_ERROR_INVALID);
    CHECK("10 MB",
          gh_pubsub_publish_wait(bed->ps, bed->tenant, name, messages, 1, ids, NULL) == GH_OK);
    CHECK("in another tenant there is no such topic",
          gh_pubsub_publish_wait(bed->ps, bed->other_tenant, name, messages + 2, 1, ids, NULL) ==
              GH_ERROR_NOT_FOUND);
    publish(bed, "telemetry", "small");
    struct gh_pull got = {.messages_max = 10, .bytes_max = 1000};
    CHECK("a message larger than asked for is given alone",
          gh_pubsub_pull_wait(bed->ps, bed->tenant, GH_SLICE("one"), &got, NULL) == GH_OK &&
              got.count == 1 && got.messages[0].message.data.size == sizeof large);
    gh_pull_release(&got);
    CHECK("then the next", !strcmp(pull_text(bed, "one"), "small"));
    bed_close(bed);
}

static void check_retention(void)
{
    struct bed *bed = bed_open();
    struct gh_subscription what = {.tenant = bed->tenant,
                                   .name = GH_SLICE("short"),
                                   .topic = GH_SLICE("telemetry"),
                                   .retention_ms = GH_PUBSUB_RETENTION_MIN_MS};
    topic(bed, "telemetry");
    CHECK("made", gh_pubsub_subscription_create(bed->ps, &what, &bed->arena, NULL, NULL) == GH_OK);
    publish(bed, "telemetry", "old");
    pass_s(bed, 599);
    publish(bed, "telemetry", "young");
    CHECK("both", !strcmp(pull_text(bed, "short"), "old young"));
    pass_s(bed, 30);
    CHECK("past its retention a message is not delivered",
          !strcmp(pull_text(bed, "short"), "young"));
    bed_close(bed);
}

static void check_full(void)
{
    struct bed *bed = bed_open();
    topic(bed, "telemetry");
    subscription(bed, "one", "telemetry");
    publish(bed, "telemetry", "a");
    struct gh_pull got = pull(bed, "one", 10);
    REQUIRE("a message", got.count == 1);
    disk_set(&bed->disk, INT64_MAX / 2, 1, 0);
    CHECK("an acknowledgement that cannot be stored fails",
          ack_all(bed, "one", &got) == GH_ERROR_LOG_FULL);
    disk_set(&bed->disk, INT64_MAX / 2, 1, 0);
    struct gh_message message = {.data = GH_SLICE("x")};
    CHECK("so does a publish",
          gh_pubsub_publish_wait(bed->ps, bed->tenant, GH_SLICE("telemetry"), &message, 1,
                                 &(uint64_t){0}, NULL) == GH_ERROR_LOG_FULL);
    disk_set(&bed->disk, INT64_MAX / 2, 0, 0);
    pass_s(bed, 11);
    CHECK("the message comes again", !strcmp(pull_text(bed, "one"), "a"));
    CHECK("and can be acknowledged", ack_all(bed, "one", &got) == GH_OK);
    gh_pull_release(&got);
    bed_close(bed);
}

static _Atomic unsigned taps_seen;
static _Atomic uint64_t taps_last;

static void tapped(void *context, const struct gh_tapped *message)
{
    const struct bed *bed = context;
    if (message->tenant == bed->tenant && gh_slice_equal(message->topic, GH_SLICE("telemetry")) &&
        message->message.data.size > 0 && message->id > taps_last)
        taps_seen++;
    taps_last = message->id;
}

static void check_taps(void)
{
    struct bed *bed = bed_open();
    struct gh_tapped message;
    uint64_t from = 0;
    topic(bed, "telemetry");
    publish(bed, "telemetry", "before");
    taps_seen = 0;
    struct gh_tap *tap = gh_pubsub_tap(bed->ps, tapped, bed, &from);
    uint64_t id = publish(bed, "telemetry", "a");
    CHECK("seen before the publisher hears of it", taps_seen == 1 && taps_last == id && from == id);
    publish_many(bed, "telemetry", 0, 100);
    CHECK("all", taps_seen == 101);
    gh_pubsub_untap(tap);
    publish(bed, "telemetry", "after");
    CHECK("none after", taps_seen == 101);

    struct gh_follower *follower = gh_follower_open(bed->ps, "a test", 1);
    unsigned count = 0;
    while (gh_follower_next(follower, &message) == GH_LOG_READ_RECORD)
        count += gh_slice_equal(message.topic, GH_SLICE("telemetry"));
    CHECK("a follower reads all",
          count == 103 && gh_follower_at(follower) == gh_pubsub_next(bed->ps));
    publish(bed, "telemetry", "more");
    gh_follower_wait(follower, 60000);
    CHECK("and waits for more", gh_follower_next(follower, &message) == GH_LOG_READ_RECORD);
    gh_follower_wake(follower);
    gh_follower_wait(follower, 60000);
    CHECK("or is woken", gh_follower_next(follower, &message) == GH_LOG_READ_END);
    gh_follower_close(follower);
    bed_close(bed);
}

int main(void)
{
    check_names();
    check_definitions();
    check_deliver();
    check_deadlines();
    check_ack_ids();
    check_restart();
    check_backlog();
    check_waiting();
    check_limits();
    check_retention();
    check_full();
    check_taps();
    return check_report();
}
