#include "route/topic_draw.h"
#include "route/topic_tree.h"
#include "tests/check.h"
#include <stdio.h>
#include <string.h>

/* A subscription. */
struct probe {
    struct gh_topic_entry entry;
    struct gh_buffer filter;
    unsigned seen;
};

static void visit(void *context, struct gh_topic_entry *entry)
{
    struct probe *probe = (struct probe *)entry; /* the first member */
    probe->seen++;
    ++*(size_t *)context;
}

/* Examples of MQTT 5.0 §4.7.1 to §4.7.3. */
static const struct {
    const char *filter, *topic;
    bool matches;
} examples[] = {
    {"sport/tennis/player1/#", "sport/tennis/player1", true},
    {"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
    {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
    {"sport/tennis/player1/#", "sport/tennis/player2", false},
    {"sport/#", "sport", true},
    {"#", "sport/tennis", true},
    {"#", "/", true},
    {"sport/tennis/+", "sport/tennis/player1", true},
    {"sport/tennis/+", "sport/tennis/player1/ranking", false},
    {"sport/+", "sport", false},
    {"sport/+", "sport/", true},
    {"+", "sport", true},
    {"+", "/finance", false},
    {"+/tennis/#", "sport/tennis", true},
    {"+/tennis/#", "sport/tennis/x/y", true},
    {"sport/+/player1", "sport/tennis/player1", true},
    {"sport/+/player1", "sport/tennis/player2", false},
    {"+/+", "/finance", true},
    {"/+", "/finance", true},
    {"+/", "sport/", true},
    {"+/", "sport", false},
    {"#", "$SYS/monitor/Clients", false},
    {"+/monitor/Clients", "$SYS/monitor/Clients", false},
    {"$SYS/#", "$SYS/monitor/Clients", true},
    {"$SYS/#", "$SYS", true},
    {"$SYS/monitor/+", "$SYS/monitor/Clients", true},
    {"a/+", "a/$SYS", true},
    {"a/#", "a/$SYS", true},
    {"ACCOUNTS", "Accounts", false},
    {"ab", "abc", false},
    {"abc", "ab", false},
    {"a/b", "a/bc", false},
    {"a/bc", "a/b", false},
    {"a//b", "a//b", true},
    {"a/+/b", "a//b", true},
    {"a//b", "a/b", false},
    {"hall-123/x", "hall-124/x", false},
    {"hall-123", "hall-1234", false},
};

static void check_examples(void)
{
    char claim[128];
    for (size_t i = 0; i < GH_COUNT(examples); i++) {
        struct gh_topic_tree tree;
        struct probe probe = {0};
        struct gh_slice filter = gh_slice_text(examples[i].filter);
        size_t visits = 0;
        snprintf(claim, sizeof claim, "%s %s %s", examples[i].filter,
                 examples[i].matches ? "matches" : "does not match", examples[i].topic);
        gh_topic_tree_init(&tree);
        REQUIRE(claim, gh_topic_tree_add(&tree, filter, &probe.entry));
        gh_topic_tree_match(&tree, gh_slice_text(examples[i].topic), visit, &visits);
        CHECK(claim, visits == examples[i].matches);
        CHECK(claim, gh_topic_tree_remove(&tree, filter, &probe.entry));
        CHECK("an empty tree has no memory", gh_topic_tree_bytes(&tree) == 0);
        gh_topic_tree_deinit(&tree);
    }
    for (size_t i = 0; i < GH_COUNT(examples); i++) /* the table agrees with the oracle below */
        CHECK(examples[i].filter,
              gh_mqtt_filter_matches(gh_slice_text(examples[i].filter),
                                     gh_slice_text(examples[i].topic)) == examples[i].matches);
}

/* The same row in one tree with all the others. */
static void check_examples_together(void)
{
    static struct probe probes[GH_COUNT(examples)];
    struct gh_topic_tree tree;
    size_t visits = 0;
    gh_topic_tree_init(&tree);
    for (size_t i = 0; i < GH_COUNT(examples); i++)
        REQUIRE("added",
                gh_topic_tree_add(&tree, gh_slice_text(examples[i].filter), &probes[i].entry));
    CHECK("entries are counted", gh_topic_tree_count(&tree) == GH_COUNT(examples));
    for (size_t i = 0; i < GH_COUNT(examples); i++) {
        probes[i].seen = 0;
        gh_topic_tree_match(&tree, gh_slice_text(examples[i].topic), visit, &visits);
        CHECK(examples[i].filter, probes[i].seen == examples[i].matches);
    }
    gh_topic_tree_deinit(&tree);
}

/* What the header says about shape: branches are cut and joined again. */
static void check_pruning(void)
{
    struct gh_topic_tree tree;
    struct probe long_one = {0}, twig = {0}, other = {0};
    struct gh_slice topic = GH_SLICE("a/b/c/d");
    size_t visits = 0;

    gh_topic_tree_init(&tree);
    CHECK("an empty tree matches nothing", gh_topic_tree_match(&tree, topic, visit, &visits) == 0);
    CHECK("not there", !gh_topic_tree_remove(&tree, topic, &long_one.entry));
    REQUIRE("added", gh_topic_tree_add(&tree, GH_SLICE("a/b/+/d"), &long_one.entry));
    size_t bytes = gh_topic_tree_bytes(&tree);
    CHECK("one filter is one node", gh_topic_tree_match(&tree, topic, visit, &visits) == 2);
    REQUIRE("added", gh_topic_tree_add(&tree, GH_SLICE("a/b"), &twig.entry));
    REQUIRE("added", gh_topic_tree_add(&tree, GH_SLICE("a/b/c/x"), &other.entry));
    CHECK("not under this filter", !gh_topic_tree_remove(&tree, GH_SLICE("a"), &twig.entry));
    CHECK("removed", gh_topic_tree_remove(&tree, GH_SLICE("a/b"), &twig.entry));
    CHECK("not twice", !gh_topic_tree_remove(&tree, GH_SLICE("a/b"), &twig.entry));
    CHECK("a fork stays", gh_topic_tree_match(&tree, topic, visit, &visits) == 4);
    CHECK("removed", gh_topic_tree_remove(&tree, GH_SLICE("a/b/c/x"), &other.entry));
    CHECK("a path without forks is one node again",
          gh_topic_tree_match(&tree, topic, visit, &visits) == 2);
    CHECK("and takes what it took", gh_topic_tree_bytes(&tree) == bytes);
    CHECK("each match visited the one entry", visits == 3 && long_one.seen == 3);
    gh_topic_tree_deinit(&tree);
}

/* Ten thousand under one filter, and ten thousand filters beside each other, come and go. */
static void check_crowds(void)
{
    enum { CROWD = 10000 };
    static struct probe crowd[CROWD], row[CROWD];
    struct gh_topic_tree tree;
    size_t visits = 0;
    char name[32];

    gh_topic_tree_init(&tree);
    for (size_t i = 0; i < CROWD; i++) {
        snprintf(name, sizeof name, "devices/d%zu/up", i);
        REQUIRE("added", gh_topic_tree_add(&tree, GH_SLICE("devices/+/up"), &crowd[i].entry));
        REQUIRE("added", gh_topic_tree_add(&tree, gh_slice_text(name), &row[i].entry));
    }
    gh_topic_tree_match(&tree, GH_SLICE("devices/d4711/up"), visit, &visits);
    CHECK("the crowd and the one", visits == CROWD + 1 && row[4711].seen == 1);
    for (size_t i = 0; i < CROWD; i++) { /* from the middle, the ends, in no order of the list */
        size_t at = i * 7919 % CROWD;
        snprintf(name, sizeof name, "devices/d%zu/up", at);
        if (!gh_topic_tree_remove(&tree, gh_slice_text(name), &row[at].entry) ||
            !gh_topic_tree_remove(&tree, GH_SLICE("devices/+/up"), &crowd[at].entry))
            CHECK(name, false);
        if (i == CROWD - 10)
            CHECK("a table gives back what it no longer needs", gh_topic_tree_bytes(&tree) < 2048);
    }
    CHECK("all gone", gh_topic_tree_count(&tree) == 0 && gh_topic_tree_bytes(&tree) == 0);
    gh_topic_tree_deinit(&tree);
}

/* The bound on the cost: all paths of + and literal that twelve levels allow, none of which ends.
 */
static void check_cost(void)
{
    enum { LEVELS = 12, FILTERS = 1 << LEVELS };
    static struct probe probes[FILTERS];
    struct gh_topic_tree tree;
    struct gh_slice topic = GH_SLICE("a/a/a/a/a/a/a/a/a/a/a/a");
    size_t visits = 0;

    gh_topic_tree_init(&tree);
    for (size_t i = 0; i < FILTERS; i++) {
        char filter[2 * LEVELS + 2];
        for (size_t bit = 0; bit < LEVELS; bit++) {
            filter[2 * bit] = (i >> bit & 1) != 0 ? '+' : 'a';
            filter[2 * bit + 1] = '/';
        }
        filter[2 * LEVELS] = 'z';
        REQUIRE("added",
                gh_topic_tree_add(&tree, gh_slice(filter, sizeof filter - 1), &probes[i].entry));
    }
    size_t touched = gh_topic_tree_match(&tree, topic, visit, &visits);
    CHECK("nothing matches", visits == 0);
    CHECK("less than two nodes for a filter", touched > FILTERS / 2 && touched < 2 * FILTERS);
    gh_topic_tree_deinit(&tree);
}

static void check_topic(const struct gh_topic_tree *tree, struct probe *probes, size_t count,
                        struct gh_slice topic, const char *claim)
{
    size_t visits = 0, wanted = 0, wrong = 0;
    for (size_t i = 0; i < count; i++)
        probes[i].seen = 0;
    gh_topic_tree_match(tree, topic, visit, &visits);
    for (size_t i = 0; i < count; i++) {
        bool matches = gh_topic_entry_added(&probes[i].entry) &&
                       gh_mqtt_filter_matches(gh_buffer_slice(&probes[i].filter), topic);
        wanted += matches;
        wrong += probes[i].seen != matches;
    }
    if (!CHECK(claim, wrong == 0 && visits == wanted))
        fprintf(stderr, "topic %.*s\n", GH_PRINT(topic));
}

/* Adds, removes and matches interleaved, against gh_mqtt_filter_matches on every filter. */
static void check_random(uint64_t seed)
{
    enum { PROBES = 96, STEPS = 100000 };
    static struct probe probes[PROBES];
    struct gh_topic_tree tree;
    struct gh_buffer topic;
    char claim[64];
    size_t live = 0;

    snprintf(claim, sizeof claim, "as the oracle says, seed %llu", (unsigned long long)seed);
    gh_topic_tree_init(&tree);
    gh_buffer_init(&topic, GH_MQTT_TOPIC_BYTES_MAX);
    for (size_t i = 0; i < PROBES; i++) {
        memset(&probes[i], 0, sizeof probes[i]);
        gh_buffer_init(&probes[i].filter, GH_MQTT_TOPIC_BYTES_MAX);
    }
    for (size_t i = 0; i < STEPS; i++) {
        struct probe *probe = &probes[draw(&seed, i / 1000 % 2 == 0 ? PROBES : PROBES / 8)];
        if (gh_topic_entry_added(&probe->entry)) {
            live--;
            CHECK(claim,
                  gh_topic_tree_remove(&tree, gh_buffer_slice(&probe->filter), &probe->entry));
        } else if (i % 4000 < 3000) {
            live++;
            draw_topic(&seed, true, &probe->filter);
            REQUIRE(claim,
                    gh_topic_tree_add(&tree, gh_buffer_slice(&probe->filter), &probe->entry));
        }
        CHECK(claim, gh_topic_tree_count(&tree) == live);
        draw_topic(&seed, false, &topic);
        check_topic(&tree, probes, PROBES, gh_buffer_slice(&topic), claim);
    }
    for (size_t i = 0; i < PROBES; i++) {
        gh_topic_tree_remove(&tree, gh_buffer_slice(&probes[i].filter), &probes[i].entry);
        gh_buffer_deinit(&probes[i].filter);
    }
    CHECK(claim, gh_topic_tree_count(&tree) == 0 && gh_topic_tree_bytes(&tree) == 0);
    gh_buffer_deinit(&topic);
    gh_topic_tree_deinit(&tree);
}

int main(void)
{
    check_examples();
    check_examples_together();
    check_pruning();
    check_crowds();
    check_cost();
    check_random(1);
    check_random(20240229);
    return check_report();
}
