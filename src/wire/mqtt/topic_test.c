#include "tests/check.h"
#include "wire/mqtt/topic.h"
#include <string.h>

/* MQTT 3.1.1 §4.7, its examples first. */
static const struct {
    struct gh_slice topic;
    bool name, filter;
} validity[] = {
    {GH_SLICE_INIT("sport/tennis/player1"), true, true},
    {GH_SLICE_INIT("/finance"), true, true},
    {GH_SLICE_INIT("/"), true, true},
    {GH_SLICE_INIT("a//b/"), true, true},
    {GH_SLICE_INIT("Accounts payable"), true, true},
    {GH_SLICE_INIT("$SYS/a"), true, true},
    {GH_SLICE_INIT("\xc3\xa9"), true, true},
    {GH_SLICE_INIT("#"), false, true},
    {GH_SLICE_INIT("sport/tennis/#"), false, true},
    {GH_SLICE_INIT("+"), false, true},
    {GH_SLICE_INIT("+/tennis/#"), false, true},
    {GH_SLICE_INIT("sport/+/player1"), false, true},
    {GH_SLICE_INIT("/+"), false, true},
    {GH_SLICE_INIT("sport/tennis#"), false, false},
    {GH_SLICE_INIT("sport/tennis/#/ranking"), false, false},
    {GH_SLICE_INIT("#/"), false, false},
    {GH_SLICE_INIT("##"), false, false},
    {GH_SLICE_INIT("sport+"), false, false},
    {GH_SLICE_INIT("+a/b"), false, false},
    {GH_SLICE_INIT("a/+#"), false, false},
    {GH_SLICE_INIT(""), false, false},
    {GH_SLICE_INIT("a\0b"), false, false},
    {GH_SLICE_INIT("a\xff"), false, false},
    {GH_SLICE_INIT("$share/g/a"), true, true},
    {GH_SLICE_INIT("$share/g/+/#"), false, true},
    {GH_SLICE_INIT("$share/g/a#"), false, false},
    {GH_SLICE_INIT("$share/g/"), true, false},
    {GH_SLICE_INIT("$share/g"), true, false},
    {GH_SLICE_INIT("$share/"), true, false},
    {GH_SLICE_INIT("$share//a"), true, false},
    {GH_SLICE_INIT("$share/+/a"), false, false},
    {GH_SLICE_INIT("$share/g#/a"), false, false},
    {GH_SLICE_INIT("$share"), true, true},
    {GH_SLICE_INIT("$shared/g"), true, true},
    {GH_SLICE_INIT("$SHARE//a"), true, true},
};

/* MQTT 5.0 §4.8.2. */
static const struct {
    const char *filter, *name, *inner; /* no name: no shared subscription */
} shares[] = {
    {"$share/consumer1/sport/tennis/+", "consumer1", "sport/tennis/+"},
    {"$share/consumer1//finance", "consumer1", "/finance"},
    {"$share/g/#", "g", "#"},
    {"$share/g//", "g", "/"},
    {"$share/g/$share/h/a", "g", "$share/h/a"}, /* taken apart once */
    {"$share/g/", NULL, NULL},
    {"$share//a", NULL, NULL},
    {"$share/#/a", NULL, NULL},
    {"$share/g+/a", NULL, NULL},
    {"$share/g/a/#/b", NULL, NULL},
    {"$share", NULL, NULL},
    {"share/g/a", NULL, NULL},
    {"sport/tennis", NULL, NULL},
};

static void shares_are_split(void)
{
    for (size_t i = 0; i < GH_COUNT(shares); i++) {
        struct gh_slice name, inner;
        bool split = gh_mqtt_share_split(gh_slice_text(shares[i].filter), &name, &inner);
        CHECK(shares[i].filter, split == (shares[i].name != NULL));
        if (split)
            CHECK(shares[i].filter, gh_slice_equal(name, gh_slice_text(shares[i].name)) &&
                                        gh_slice_equal(inner, gh_slice_text(shares[i].inner)));
    }
}

static const struct {
    const char *filter, *name;
    bool matches;
} matching[] = {
    {"sport/tennis/player1/#", "sport/tennis/player1", true},
    {"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
    {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
    {"sport/tennis/player1/#", "sport/tennis/player10", false},
    {"sport/#", "sport", true},
    {"#", "a", true},
    {"#", "/a/b", true},
    {"sport/tennis/+", "sport/tennis/player1", true},
    {"sport/tennis/+", "sport/tennis/player1/ranking", false},
    {"sport/+", "sport", false},
    {"sport/+", "sport/", true},
    {"+/+", "/finance", true},
    {"/+", "/finance", true},
    {"+", "/finance", false},
    {"+", "finance", true},
    {"+/a/#", "x/a", true},
    {"+/a/#", "x/b", false},
    {"a", "a", true},
    {"a", "A", false},
    {"a", "a/", false},
    {"a/", "a", false},
    {"a/b", "a/b/c", false},
    {"a/b/c", "a/b", false},
    {"a//b", "a//b", true},
    {"a/+/b", "a//b", true},
    {"a//b", "a/x/b", false},
    {"#", "$SYS/a", false},
    {"+/monitor/Clients", "$SYS/monitor/Clients", false},
    {"$SYS/#", "$SYS/a/b", true},
    {"$SYS/monitor/+", "$SYS/monitor/Clients", true},
    {"a/#", "a/$SYS", true},
    {"/devices/d/commands/#", "/devices/d/commands", true},
    {"/devices/d/commands/#", "/devices/d/commands/a/b", true},
    {"/devices/d/commands/#", "/devices/e/commands", false},
};

static void levels_are_bounded(void)
{
    uint8_t topic[2 * GH_MQTT_TOPIC_LEVELS_MAX];
    for (size_t i = 0; i < sizeof topic; i++)
        topic[i] = i % 2 == 0 ? 'a' : '/';
    struct gh_slice just = gh_slice(topic, sizeof topic - 1), over = gh_slice(topic, sizeof topic);
    CHECK("128 levels", gh_mqtt_topic_levels(just) == GH_MQTT_TOPIC_LEVELS_MAX);
    CHECK("128 levels pass", gh_mqtt_topic_valid(just) && gh_mqtt_filter_valid(just));
    CHECK("129 do not", !gh_mqtt_topic_valid(over) && !gh_mqtt_filter_valid(over));

    static uint8_t large[GH_MQTT_TOPIC_BYTES_MAX + 1];
    memset(large, 'x', sizeof large);
    CHECK("65535 bytes pass", gh_mqtt_topic_valid(gh_slice(large, GH_MQTT_TOPIC_BYTES_MAX)));
    CHECK("65536 do not", !gh_mqtt_topic_valid(gh_slice(large, sizeof large)));
}

int main(void)
{
    for (size_t i = 0; i < GH_COUNT(validity); i++) {
        char claim[64];
        memcpy(claim, validity[i].topic.data, validity[i].topic.size);
        claim[validity[i].topic.size] = '\0';
        CHECK(claim, gh_mqtt_topic_valid(validity[i].topic) == validity[i].name);
        CHECK(claim, gh_mqtt_filter_valid(validity[i].topic) == validity[i].filter);
    }
    for (size_t i = 0; i < GH_COUNT(matching); i++) {
        struct gh_slice filter = gh_slice_text(matching[i].filter);
        struct gh_slice name = gh_slice_text(matching[i].name);
        CHECK(matching[i].filter, gh_mqtt_filter_matches(filter, name) == matching[i].matches);
        CHECK(matching[i].filter, gh_mqtt_filter_valid(filter) && gh_mqtt_topic_valid(name));
    }
    shares_are_split();
    levels_are_bounded();
    return check_report();
}
