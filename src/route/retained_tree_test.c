#include "route/retained_tree.h"
#include "route/topic_draw.h"
#include "tests/check.h"
#include <stdio.h>
#include <string.h>

/* A retained message. */
struct probe {
    struct gh_buffer topic;
    bool there;
    unsigned seen;
};

struct visits {
    size_t count, stop_after;
    char text[256];
};

static bool note(void *context, struct gh_slice topic, void *value)
{
    struct visits *visits = context;
    (void)value;
    snprintf(visits->text + strlen(visits->text), sizeof visits->text - strlen(visits->text),
             "%.*s ", GH_PRINT(topic));
    return true;
}

/* Every walk is over these, added in this order. `/` sorts before all other bytes. */
static const char *const topics[] = {
    "b/2/x", "a",   "$SYS/uptime", "a/1/x", "a/1/x/deep", "a/2/x", "a!/1/x", "/",
    "b",     "a/1", "a/2/y",       "/a",    "a//x",       "a/3",   "%",      "$SYS",
};

static const struct {
    const char *filter, *after, *wanted;
} walks[] = {
    {"#", "", "/ /a % a a//x a/1 a/1/x a/1/x/deep a/2/x a/2/y a/3 a!/1/x b b/2/x "},
    {"a/#", "", "a a//x a/1 a/1/x a/1/x/deep a/2/x a/2/y a/3 "},
    {"a/+", "", "a/1 a/3 "},
    {"a/+/x", "", "a//x a/1/x a/2/x "},
    {"+/+/x", "", "a//x a/1/x a/2/x a!/1/x b/2/x "},
    {"+/2/+", "", "a/2/x a/2/y b/2/x "},
    {"+/2/#", "", "a/2/x a/2/y b/2/x "},
    {"+/1/#", "", "a/1 a/1/x a/1/x/deep a!/1/x "},
    {"+/+", "", "/ /a a/1 a/3 "},
    {"+", "", "% a b "},
    {"/+", "", "/ /a "},
    {"+/", "", "/ "},
    {"$SYS/#", "", "$SYS $SYS/uptime "},
    {"$SYS/+", "", "$SYS/uptime "},
    {"+/uptime", "", ""},
    {"a/1/x", "", "a/1/x "},
    {"a/4", "", ""},
    {"z/#", "", ""},
    {"a/#", "a/1/x", "a/1/x/deep a/2/x a/2/y a/3 "},
    {"a/#", "a/1/x/gone", "a/2/x a/2/y a/3 "},
    {"a/+/x", "a//x", "a/1/x a/2/x "},
    {"a/+/x", "a/1/x/deep", "a/2/x "},
    {"a/+/x", "a/2/x", ""},
    {"a/#", "b", ""},
    {"b/#", "a/1", "b b/2/x "},
    {"+/#", "$SYS", "% a a//x a/1 a/1/x a/1/x/deep a/2/x a/2/y a/3 a!/1/x b b/2/x "},
    {"#", "b/2/x", ""},
};

static void fill(struct gh_retained_tree *tree, char *values)
{
    gh_retained_tree_init(tree);
    for (size_t i = 0; i < GH_COUNT(topics); i++)
        REQUIRE(topics[i], gh_retained_tree_put(tree, gh_slice_text(topics[i]), &values[i], NULL));
}

static void check_walks(void)
{
    static char values[GH_COUNT(topics)];
    struct gh_retained_tree tree;
    fill(&tree, values);
    for (size_t i = 0; i < GH_COUNT(walks); i++) {
        /* As many looks at a time as there are, then one: where a walk stops makes no difference.
         */
        for (size_t looks = GH_COUNT(topics); looks > 0; looks = looks > 1 ? 1 : 0) {
            struct visits visits = {0};
            struct gh_slice after = gh_slice_text(walks[i].after);
            size_t calls = 0;
            do {
                after = gh_retained_tree_walk(&tree, gh_slice_text(walks[i].filter), after, looks,
                                              note, &visits);
            } while (after.size > 0 && ++calls < 100);
            if (!CHECK(walks[i].filter, strcmp(visits.text, walks[i].wanted) == 0))
                fprintf(stderr, "after '%s' wanted: %s\nvisited: %s\n", walks[i].after,
                        walks[i].wanted, visits.text);
        }
    }
    gh_retained_tree_deinit(&tree);
}

static void check_map(void)
{
    static char values[GH_COUNT(topics)], other;
    struct gh_retained_tree tree;
    void *before = &other;
    size_t popped = 0;

    fill(&tree, values);
    for (size_t i = 0; i < GH_COUNT(topics); i++)
        CHECK(topics[i], gh_retained_tree_get(&tree, gh_slice_text(topics[i])) == &values[i]);
    CHECK("topics are counted", gh_retained_tree_count(&tree) == GH_COUNT(topics));
    CHECK("a beginning is not there", gh_retained_tree_get(&tree, GH_SLICE("$S")) == NULL);
    CHECK("a longer one is not there", gh_retained_tree_get(&tree, GH_SLICE("a/3/")) == NULL);
    CHECK("replaced",
          gh_retained_tree_put(&tree, GH_SLICE("a/3"), &other, &before) && before == &values[13]);
    CHECK("and counted once", gh_retained_tree_count(&tree) == GH_COUNT(topics));
    CHECK("a new one has none before",
          gh_retained_tree_put(&tree, GH_SLICE("new"), &other, &before) && before == NULL);
    CHECK("removed", gh_retained_tree_remove(&tree, GH_SLICE("a/3")) == &other);
    CHECK("not twice", gh_retained_tree_remove(&tree, GH_SLICE("a/3")) == NULL);
    while (gh_retained_tree_pop(&tree) != NULL)
        popped++;
    CHECK("all come out", popped == GH_COUNT(topics));
    CHECK("nothing stays",
          gh_retained_tree_count(&tree) == 0 && gh_retained_tree_bytes(&tree) == 0);
    gh_retained_tree_deinit(&tree);
}

static bool count(void *context, struct gh_slice topic, void *value)
{
    struct visits *visits = context;
    struct probe *probe = value;
    probe->seen += 1 + 1000u * !gh_slice_equal(topic, gh_buffer_slice(&probe->topic));
    return ++visits->count != visits->stop_after;
}

/* A walk over many topics looks at few when its filter says where. */
static void check_jumps(void)
{
    enum { HALLS = 100, SENSORS = 100 };
    static struct probe probe;
    struct gh_retained_tree tree;
    struct visits visits = {0};
    char topic[64];

    gh_retained_tree_init(&tree);
    for (int i = 0; i < HALLS * SENSORS; i++) {
        int size = snprintf(topic, sizeof topic, "hall/%d/sensor/%d", i / SENSORS, i % SENSORS);
        REQUIRE("added", gh_retained_tree_put(&tree, gh_slice(topic, (size_t)size), &probe, NULL));
    }
    struct gh_slice after = gh_retained_tree_walk(
        &tree, GH_SLICE("hall/42/sensor/#"), (struct gh_slice){0}, SENSORS + 1, count, &visits);
    CHECK("a literal beginning is jumped to", visits.count == SENSORS && after.size == 0);
    visits.count = 0;
    after = gh_retained_tree_walk(&tree, GH_SLICE("hall/+/sensor/7"), (struct gh_slice){0},
                                  3 * HALLS + 1, count, &visits);
    CHECK("what cannot match is jumped over", visits.count == HALLS && after.size == 0);
    size_t calls = 0;
    visits.count = 0;
    do {
        after = gh_retained_tree_walk(&tree, GH_SLICE("hall/+/sensor/7"), after, 1, count, &visits);
    } while (++calls, after.size > 0);
    CHECK("in small pieces too", visits.count == HALLS && calls <= 3 * HALLS + 1);
    gh_retained_tree_deinit(&tree);
}

enum { PROBES = 128 };

static void change(struct gh_retained_tree *tree, struct probe *probes, uint64_t *seed,
                   struct gh_buffer *topic)
{
    struct probe *probe = &probes[draw(seed, PROBES)];
    if (probe->there) {
        probe->there = false;
        CHECK("removed", gh_retained_tree_remove(tree, gh_buffer_slice(&probe->topic)) == probe);
        return;
    }
    draw_topic(seed, false, topic);
    struct probe *now = gh_retained_tree_get(tree, gh_buffer_slice(topic));
    size_t same = 0;
    for (size_t i = 0; i < PROBES; i++)
        same += probes[i].there &&
                gh_slice_equal(gh_buffer_slice(&probes[i].topic), gh_buffer_slice(topic));
    CHECK("it is found when it is there", same == (now != NULL));
    if (now != NULL)
        return;
    gh_buffer_clear(&probe->topic);
    gh_buffer_put(&probe->topic, gh_buffer_slice(topic));
    probe->there = true;
    REQUIRE("added", gh_retained_tree_put(tree, gh_buffer_slice(&probe->topic), probe, NULL));
}

/* A walk in pieces, with changes between: whoever was there all the time and matches was visited
 * once, whoever matches at no time never, the others at most once. */
static void check_random_walk(struct gh_retained_tree *tree, struct probe *probes, uint64_t *seed,
                              struct gh_buffer *filter, struct gh_buffer *scratch)
{
    struct gh_buffer after;
    struct gh_slice at = {0};
    bool stayed[PROBES];
    size_t wrong = 0;

    gh_buffer_init(&after, GH_MQTT_TOPIC_BYTES_MAX);
    for (size_t i = 0; i < PROBES; i++) {
        stayed[i] = probes[i].there;
        probes[i].seen = 0;
    }
    draw_topic(seed, true, filter);
    for (;;) {
        struct visits visits = {.stop_after = draw(seed, 4)};
        at = gh_retained_tree_walk(tree, gh_buffer_slice(filter), at, 1 + draw(seed, 40), count,
                                   &visits);
        if (at.size == 0)
            break;
        gh_buffer_clear(&after);
        gh_buffer_put(&after, at);
        at = gh_buffer_slice(&after);
        for (uint32_t changes = draw(seed, 3); changes > 0; changes--) {
            change(tree, probes, seed, scratch);
            for (size_t i = 0; i < PROBES; i++)
                if (!probes[i].there) {
                    stayed[i] = false;
                    probes[i].seen = 0; /* its place may be another's now */
                }
        }
    }
    for (size_t i = 0; i < PROBES; i++) {
        if (!probes[i].there)
            continue;
        bool matches =
            gh_mqtt_filter_matches(gh_buffer_slice(filter), gh_buffer_slice(&probes[i].topic));
        wrong += stayed[i] ? probes[i].seen != matches : probes[i].seen > matches;
    }
    if (!CHECK("each that stayed and matches is visited once", wrong == 0))
        fprintf(stderr, "filter %.*s\n", GH_PRINT(gh_buffer_slice(filter)));
    gh_buffer_deinit(&after);
}

static void check_random(uint64_t seed)
{
    static struct probe probes[PROBES];
    struct gh_retained_tree tree;
    struct gh_buffer filter, scratch;

    gh_retained_tree_init(&tree);
    gh_buffer_init(&filter, GH_MQTT_TOPIC_BYTES_MAX);
    gh_buffer_init(&scratch, GH_MQTT_TOPIC_BYTES_MAX);
    for (size_t i = 0; i < PROBES; i++) {
        memset(&probes[i], 0, sizeof probes[i]);
        gh_buffer_init(&probes[i].topic, GH_MQTT_TOPIC_BYTES_MAX);
    }
    for (size_t i = 0; i < 30000; i++) {
        if (i % 3000 < 2000)
            change(&tree, probes, &seed, &scratch);
        check_random_walk(&tree, probes, &seed, &filter, &scratch);
    }
    for (size_t i = 0; i < PROBES; i++)
        gh_buffer_deinit(&probes[i].topic);
    gh_buffer_deinit(&filter);
    gh_buffer_deinit(&scratch);
    gh_retained_tree_deinit(&tree);
}

int main(void)
{
    check_map();
    check_walks();
    check_jumps();
    check_random(1);
    check_random(20240229);
    return check_report();
}
