/* How subscriptions deliver: filters, order, pauses, dead letters, seeking, snapshots, expiry. */
#include "pubsub/pubsub_testbed.h"
#include <sched.h>

static void make(struct bed *bed, struct gh_subscription what)
{
    struct gh_error error = {0};
    what.tenant = bed->tenant;
    what.topic = GH_SLICE("telemetry");
    if (!CHECK("a subscription",
               gh_pubsub_subscription_create(bed->ps, &what, &bed->arena, NULL, &error) == GH_OK))
        fprintf(stderr, "  %s\n", error.text);
}

static void change(struct bed *bed, struct gh_subscription what, unsigned fields)
{
    what.tenant = bed->tenant;
    CHECK("changed",
          gh_pubsub_subscription_update(bed->ps, &what, fields, &bed->arena, NULL, NULL) == GH_OK);
}

/* One message: its data, its ordering key, and the attribute kind. */
static void say(struct bed *bed, const char *data, const char *key, const char *kind)
{
    struct gh_message_attribute attribute = {GH_SLICE("kind"), gh_slice_text(kind)};
    struct gh_message message = {.data = gh_slice_text(data),
                                 .attributes = &attribute,
                                 .attributes_count = 1,
                                 .ordering_key = gh_slice_text(key)};
    uint64_t id;
    CHECK("published", gh_pubsub_publish_wait(bed->ps, bed->tenant, GH_SLICE("telemetry"), &message,
                                              1, &id, NULL) == GH_OK);
}

static void nack_all(struct bed *bed, const char *name, const struct gh_pull *pulled)
{
    struct gh_slice ids[16];
    for (size_t i = 0; i < pulled->count; i++)
        ids[i] = gh_slice_text(pulled->messages[i].ack_id);
    CHECK("given back", gh_pubsub_modify_deadline_wait(bed->ps, bed->tenant, gh_slice_text(name),
                                                       ids, pulled->count, 0, NULL) == GH_OK);
}

/* Pulls everything, acknowledges it, and says what it was. */
static const char *drain(struct bed *bed, const char *name)
{
    static char text[1024];
    size_t used = 0;
    text[0] = '\0';
    for (size_t count = 1; count > 0;) {
        struct gh_pull got = pull(bed, name, 100);
        count = got.count;
        for (size_t i = 0; i < count; i++)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%.*s",
                                     used == 0 ? "" : " ", GH_PRINT(got.messages[i].message.data));
        if (count > 0)
            CHECK("acknowledged", ack_all(bed, name, &got) == GH_OK);
        gh_pull_release(&got);
    }
    return text;
}

static enum gh_error_code seek(struct bed *bed, const char *name, const char *snapshot,
                               int64_t at_ms)
{
    return gh_pubsub_seek_wait(bed->ps, bed->tenant, gh_slice_text(name), gh_slice_text(snapshot),
                               at_ms, NULL);
}

static void check_filter(struct bed *bed)
{
    make(bed, (struct gh_subscription){.name = GH_SLICE("filtered"),
                                       .filter = GH_SLICE("attributes.kind = \"hot\"")});
    say(bed, "a", "", "hot");
    say(bed, "b", "", "cold");
    restart(bed);
    say(bed, "c", "", "cold");
    say(bed, "d", "", "hot");
    CHECK("only what its filter lets pass", !strcmp(drain(bed, "filtered"), "a d"));
}

static void check_order(struct bed *bed)
{
    make(bed, (struct gh_subscription){.name = GH_SLICE("ordered"), .is_ordered = true});
    for (int i = 0; i < 6; i++)
        say(bed, (char[]){(char)('a' + i), 0}, i % 2 ? "odd" : "even", "x");
    struct gh_pull first = pull(bed, "ordered", 3), none = pull(bed, "ordered", 10);
    CHECK("a batch", first.count == 3);
    CHECK("no key in two batches", none.count == 0);
    CHECK("its end before its begin", ack_text(bed, "ordered", first.messages[2].ack_id) == GH_OK);
    nack_all(bed, "ordered", &(struct gh_pull){.messages = first.messages, .count = 1});
    gh_pull_release(&none);
    none = pull(bed, "ordered", 10);
    CHECK("the rest of the key follows what failed",
          none.count == 3 && gh_slice_equal(none.messages[0].message.data, GH_SLICE("a")) &&
              gh_slice_equal(none.messages[1].message.data, GH_SLICE("c")) &&
              gh_slice_equal(none.messages[2].message.data, GH_SLICE("e")) &&
              none.messages[0].attempt == 2 && none.messages[1].attempt == 1);
    CHECK("ahead of its turn", ack_text(bed, "ordered", none.messages[2].ack_id) == GH_OK);
    CHECK("all in one call", ack_all(bed, "ordered", &none) == GH_OK);
    gh_pull_release(&first);
    gh_pull_release(&none);
    restart(bed);
    CHECK("after a restart in order", !strcmp(drain(bed, "ordered"), "b d f"));
}

static void note_end(void *context, struct gh_letter *letter)
{
    _Atomic bool *ended = context;
    (void)letter;
    *ended = true;
}

/* A pull that is over as soon as it begins, of a subscription that has handed out some of what it
 * knows and is behind: it knows enough to read no further. */
static void check_behind(struct bed *bed, const char *name, bool only_waits)
{
    enum { SOME = 1000, LOOKS_MAX = 100000 };
    struct gh_pull taken = pull(bed, name, SOME);
    _Atomic bool ended = false;
    struct gh_pull idle = {
        .messages_max = 1, .only_waits = only_waits, .reply = note_end, .reply_context = &ended};
    uint64_t first = looks;
    CHECK("some are out", taken.count == SOME);
    CHECK("begins",
          gh_pubsub_pull(bed->ps, bed->tenant, gh_slice_text(name), &idle, NULL) == GH_OK);
    while (!ended && looks - first < LOOKS_MAX)
        sched_yield();
    if (!CHECK("it ends, and the thread has rest", ended))
        gh_pubsub_pull_cancel(bed->ps, &idle);
    while (!ended)
        sched_yield();
    CHECK("with nothing", idle.result == GH_OK && idle.count == 0);
    gh_pull_release(&idle);
    gh_pull_release(&taken);
}

static void check_rest(struct bed *bed)
{
    enum { MORE_THAN_IT_READS = 6000 };
    make(bed, (struct gh_subscription){.name = GH_SLICE("free")});
    make(bed, (struct gh_subscription){.name = GH_SLICE("chained"), .is_ordered = true});
    publish_many(bed, "telemetry", 0, MORE_THAN_IT_READS);
    check_behind(bed, "free", true);
    check_behind(bed, "chained", false); /* all are of one key, and some of it are out */
}

static void check_pauses(struct bed *bed)
{
    make(bed, (struct gh_subscription){
                  .name = GH_SLICE("paused"), .backoff_min_ms = 10000, .backoff_max_ms = 15000});
    say(bed, "a", "", "x");
    static const int64_t pauses_s[] = {10, 15, 15};
    for (size_t i = 0; i < GH_COUNT(pauses_s); i++) {
        struct gh_pull got = pull(bed, "paused", 10);
        CHECK("delivered", got.count == 1 && got.messages[0].attempt == i + 1);
        nack_all(bed, "paused", &got);
        gh_pull_release(&got);
        pass_s(bed, pauses_s[i] - 1);
        CHECK("not yet", !strcmp(pull_text(bed, "paused"), ""));
        pass_s(bed, 1);
    }
    CHECK("then", !strcmp(drain(bed, "paused"), "a"));
}

static void check_dead_letters(struct bed *bed)
{
    topic(bed, "graveyard");
    subscription(bed, "mourner", "graveyard");
    make(bed, (struct gh_subscription){.name = GH_SLICE("strict"),
                                       .dead_letter_topic = GH_SLICE("graveyard"),
                                       .dead_letter_project = GH_SLICE("acme"),
                                       .attempts_max = 5});
    say(bed, "sick", "key", "x");
    say(bed, "well", "", "x");
    for (uint32_t attempt = 1; attempt <= 5; attempt++) {
        struct gh_pull got = pull(bed, "strict", 1);
        CHECK("delivered", got.count == 1 && got.messages[0].attempt == attempt &&
                               gh_slice_equal(got.messages[0].message.data, GH_SLICE("sick")));
        if (attempt == 3)
            restart(bed);
        else
            nack_all(bed, "strict", &got);
        gh_pull_release(&got);
        if (attempt == 3) { /* the lease was lost with the server, which is nobody's failure */
            got = pull(bed, "strict", 1);
            CHECK("its failures are remembered", got.count == 1 && got.messages[0].attempt == 3);
            nack_all(bed, "strict", &got);
            gh_pull_release(&got);
        }
    }
    struct gh_pull letters = {.messages_max = 10, .wait_ms = 30000};
    CHECK("pulled",
          gh_pubsub_pull_wait(bed->ps, bed->tenant, GH_SLICE("mourner"), &letters, NULL) == GH_OK);
    REQUIRE("a dead letter", letters.count == 1);
    const struct gh_message *letter = &letters.messages[0].message;
    CHECK("whole",
          gh_slice_equal(letter->data, GH_SLICE("sick")) &&
              gh_slice_equal(letter->ordering_key, GH_SLICE("key")) &&
              gh_slice_equal(gh_message_attribute(letter, GH_SLICE("kind")), GH_SLICE("x")));
    static const char *const facts[][2] = {
        {"CloudPubSubDeadLetterSourceDeliveryCount", "5"},
        {"CloudPubSubDeadLetterSourceSubscription", "strict"},
        {"CloudPubSubDeadLetterSourceSubscriptionProject", "acme"},
    };
    for (size_t i = 0; i < GH_COUNT(facts); i++)
        CHECK(facts[i][0], gh_slice_equal(gh_message_attribute(letter, gh_slice_text(facts[i][0])),
                                          gh_slice_text(facts[i][1])));
    CHECK(
        "when it was published",
        gh_message_attribute(letter, GH_SLICE("CloudPubSubDeadLetterSourceTopicPublishTime")).size >
            0);
    gh_pull_release(&letters);
    CHECK("it is gone from its own subscription", !strcmp(drain(bed, "strict"), "well"));
    CHECK("the topic goes",
          gh_pubsub_topic_delete(bed->ps, bed->tenant, GH_SLICE("graveyard"), NULL) == GH_OK);
    say(bed, "sick", "", "x");
    for (uint32_t attempt = 1; attempt <= 5; attempt++) {
        struct gh_pull got = pull(bed, "strict", 1);
        CHECK("delivered", got.count == 1);
        nack_all(bed, "strict", &got);
        gh_pull_release(&got);
    }
    CHECK("it rests", !strcmp(drain(bed, "strict"), ""));
    pass_s(bed, 11);
    CHECK("without a topic to go to it lives on", !strcmp(drain(bed, "strict"), "sick"));
}

static void check_seek(struct bed *bed)
{
    make(bed, (struct gh_subscription){.name = GH_SLICE("plain")});
    make(bed, (struct gh_subscription){.name = GH_SLICE("keeping"), .retains_acked = true});
    say(bed, "a", "", "x");
    pass_s(bed, 60);
    int64_t middle_ms = utc_ms;
    say(bed, "b", "", "x");
    say(bed, "c", "", "x");
    CHECK("all", !strcmp(drain(bed, "keeping"), "a b c"));
    CHECK("back in time", seek(bed, "keeping", "", middle_ms) == GH_OK);
    CHECK("what was retained comes again", !strcmp(drain(bed, "keeping"), "b c"));
    CHECK("back further than there is", seek(bed, "keeping", "", 1) == GH_OK);
    restart(bed);
    CHECK("also after a restart", !strcmp(drain(bed, "keeping"), "a b c"));
    CHECK("forward", seek(bed, "plain", "", middle_ms) == GH_OK);
    CHECK("what came before counts as acknowledged", !strcmp(drain(bed, "plain"), "b c"));
    CHECK("back", seek(bed, "plain", "", 1) == GH_OK);
    CHECK("brings nothing that was not retained", !strcmp(drain(bed, "plain"), ""));
    CHECK("into the future", seek(bed, "keeping", "", utc_ms + 3600000) == GH_OK);
    CHECK("is to the end", !strcmp(drain(bed, "keeping"), ""));
    CHECK("the topic keeps",
          gh_pubsub_topic_update(bed->ps,
                                 &(struct gh_topic){.tenant = bed->tenant,
                                                    .name = GH_SLICE("telemetry"),
                                                    .retention_ms = GH_PUBSUB_RETENTION_MIN_MS},
                                 GH_TOPIC_RETENTION, &bed->arena, NULL, NULL) == GH_OK);
    make(bed, (struct gh_subscription){.name = GH_SLICE("late")});
    CHECK("a late one",
          !strcmp(drain(bed, "late"), "") && seek(bed, "late", "", middle_ms) == GH_OK);
    CHECK("sees what was before it", !strcmp(drain(bed, "late"), "b c"));
    CHECK("no such subscription", seek(bed, "nobody", "", 1) == GH_ERROR_NOT_FOUND);
}

static void check_snapshots(struct bed *bed)
{
    struct gh_snapshot what = {.tenant = bed->tenant, .name = GH_SLICE("snap")}, out, *list;
    struct gh_slice none = {0};
    size_t count;
    char path[1024];
    make(bed, (struct gh_subscription){.name = GH_SLICE("source")});
    make(bed, (struct gh_subscription){.name = GH_SLICE("other")});
    say(bed, "a", "", "x");
    say(bed, "b", "", "x");
    struct gh_pull got = pull(bed, "source", 1);
    CHECK("one is acknowledged", ack_all(bed, "source", &got) == GH_OK);
    gh_pull_release(&got);
    pass_s(bed, 60);
    CHECK("a snapshot", gh_pubsub_snapshot_create(bed->ps, &what, GH_SLICE("source"), &bed->arena,
                                                  &out, NULL) == GH_OK &&
                            gh_slice_equal(out.topic, GH_SLICE("telemetry")) &&
                            out.expires_at_ms == utc_ms - 60000 + GH_PUBSUB_SNAPSHOT_MS);
    CHECK("not twice", gh_pubsub_snapshot_create(bed->ps, &what, GH_SLICE("source"), &bed->arena,
                                                 &out, NULL) == GH_ERROR_EXISTS);
    say(bed, "c", "", "x");
    CHECK("the rest", !strcmp(drain(bed, "source"), "b c"));
    restart(bed);
    CHECK("sought", seek(bed, "source", "snap", 0) == GH_OK);
    gh_pubsub_close(bed->ps);
    snprintf(path, sizeof path, "%s/log/subscriptions.state", bed->folder);
    CHECK("the checkpoint goes", unlink(path) == 0);
    start(bed); /* from the journal alone */
    CHECK("what it held, and what came after", !strcmp(drain(bed, "source"), "b c"));
    CHECK("another subscription", seek(bed, "other", "snap", 0) == GH_OK);
    CHECK("has the same", !strcmp(drain(bed, "other"), "b c"));
    CHECK("listed", gh_pubsub_snapshot_list(bed->ps, bed->tenant, GH_SLICE("telemetry"), none, 10,
                                            &bed->arena, &list, &count, NULL) == GH_OK &&
                        count == 1);
    what.expires_at_ms = utc_ms + 1000;
    CHECK("its end is moved", gh_pubsub_snapshot_update(bed->ps, &what, GH_SNAPSHOT_EXPIRY,
                                                        &bed->arena, &out, NULL) == GH_OK &&
                                  out.expires_at_ms == utc_ms + 1000);
    CHECK("no such", seek(bed, "source", "nothing", 0) == GH_ERROR_NOT_FOUND);
    CHECK("deleted", gh_pubsub_snapshot_delete(bed->ps, bed->tenant, what.name, NULL) == GH_OK &&
                         gh_pubsub_snapshot_get(bed->ps, bed->tenant, what.name, &bed->arena, &out,
                                                NULL) == GH_ERROR_NOT_FOUND);
    say(bed, "old", "", "x");
    pass_s(bed, 7 * 24 * 3600 - 1800);
    CHECK("one that would end within the hour is refused",
          gh_pubsub_snapshot_create(bed->ps, &what, GH_SLICE("source"), &bed->arena, &out, NULL) ==
              GH_ERROR_PRECONDITION);
}

/* Whether the subscription goes by itself: it is looked for once a minute. */
static bool is_gone(struct bed *bed, const char *name)
{
    struct gh_subscription out;
    for (int i = 0; i < 200; i++) {
        struct gh_pull got = {.messages_max = 1};
        enum gh_error_code code = gh_pubsub_subscription_get(
            bed->ps, bed->tenant, gh_slice_text(name), &bed->arena, &out, NULL);
        if (code == GH_ERROR_NOT_FOUND)
            return true;
        pass_s(bed, 61);
        (void)!gh_pubsub_pull_wait(bed->ps, bed->tenant, GH_SLICE("forever"), &got, NULL);
        gh_pull_release(&got);
    }
    return false;
}

static void check_ends(struct bed *bed)
{
    make(bed, (struct gh_subscription){.name = GH_SLICE("forever")});
    make(bed, (struct gh_subscription){.name = GH_SLICE("brief"),
                                       .expires_after_ms = GH_PUBSUB_EXPIRY_MIN_MS});
    pass_s(bed, 23 * 3600);
    CHECK("a pull is a sign of life", !strcmp(drain(bed, "brief"), ""));
    restart(bed);
    pass_s(bed, 23 * 3600);
    struct gh_subscription out;
    CHECK("it lives", gh_pubsub_subscription_get(bed->ps, bed->tenant, GH_SLICE("brief"),
                                                 &bed->arena, &out, NULL) == GH_OK);
    pass_s(bed, 2 * 3600);
    CHECK("a day without one ends it", is_gone(bed, "brief"));
    say(bed, "a", "", "x");
    change(bed, (struct gh_subscription){.name = GH_SLICE("forever"), .is_detached = true},
           GH_SUBSCRIPTION_DETACHED);
    for (int round = 0; round < 2; round++) {
        struct gh_pull got = {.messages_max = 1};
        CHECK("a detached one is not pulled from",
              gh_pubsub_pull_wait(bed->ps, bed->tenant, GH_SLICE("forever"), &got, NULL) ==
                  GH_ERROR_PRECONDITION);
        gh_pull_release(&got);
        restart(bed);
    }
}

static void check_refused(struct bed *bed)
{
    static const struct {
        const char *claim;
        struct gh_subscription what;
    } rows[] = {
        {"four attempts", {.dead_letter_topic = GH_SLICE_INIT("telemetry"), .attempts_max = 4}},
        {"101 attempts", {.dead_letter_topic = GH_SLICE_INIT("telemetry"), .attempts_max = 101}},
        {"a pause of eleven minutes", {.backoff_min_ms = 10, .backoff_max_ms = 660000}},
        {"a minimum above the maximum", {.backoff_min_ms = 20000, .backoff_max_ms = 10000}},
        {"a life of an hour", {.expires_after_ms = 3600000}},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        struct gh_subscription what = rows[i].what;
        what.tenant = bed->tenant;
        what.name = GH_SLICE("refused");
        what.topic = GH_SLICE("telemetry");
        CHECK(rows[i].claim, gh_pubsub_subscription_create(bed->ps, &what, &bed->arena, NULL,
                                                           NULL) == GH_ERROR_INVALID);
    }
}

int main(void)
{
    static void (*const checks[])(struct bed * bed) = {
        check_filter, check_order,     check_rest, check_pauses, check_dead_letters,
        check_seek,   check_snapshots, check_ends, check_refused};
    for (size_t i = 0; i < GH_COUNT(checks); i++) {
        struct bed *bed = bed_open();
        topic(bed, "telemetry");
        checks[i](bed);
        bed_close(bed);
    }
    return check_report();
}
