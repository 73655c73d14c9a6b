/* What the tree does when malloc fails, at each of its calls in turn: the module is compiled into
 * this program with a malloc that can be told to. */
#include <stdbool.h>
#include <stdlib.h>

static long calls_left = -1; /* negative: as many as it likes */

static bool refused(void)
{
    return calls_left >= 0 && calls_left-- == 0;
}

static void *failing_malloc(size_t size)
{
    return refused() ? NULL : malloc(size);
}

static void *failing_calloc(size_t count, size_t size)
{
    return refused() ? NULL : calloc(count, size);
}

#define malloc failing_malloc
#define calloc failing_calloc
#include "route/topic_node.c"
#include "route/topic_tree.c"
#undef malloc
#undef calloc

#include "route/topic_draw.h"
#include "tests/check.h"

struct probe {
    struct gh_topic_entry entry;
    struct gh_buffer filter;
    unsigned seen;
};

enum { PROBES = 64 };

static void seen(void *context, struct gh_topic_entry *entry)
{
    ((struct probe *)entry)->seen++; /* the first member */
    ++*(size_t *)context;
}

/* A refused add has changed nothing: neither the count nor the memory nor who is found. */
static void check_refusals(struct gh_topic_tree *tree, struct probe *probe)
{
    size_t count = gh_topic_tree_count(tree), bytes = gh_topic_tree_bytes(tree);
    bool added = false;
    for (long calls = 0; !added; calls++) {
        calls_left = calls;
        added = gh_topic_tree_add(tree, gh_buffer_slice(&probe->filter), &probe->entry);
        calls_left = -1;
        if (added)
            break;
        CHECK("an add that is refused leaves all as it was",
              gh_topic_tree_count(tree) == count && gh_topic_tree_bytes(tree) == bytes &&
                  !gh_topic_entry_added(&probe->entry));
        REQUIRE("it is not refused for ever", calls < 10);
    }
}

static void check_found(const struct gh_topic_tree *tree, struct probe *probes,
                        struct gh_slice topic)
{
    size_t visits = 0, wrong = 0;
    for (size_t i = 0; i < PROBES; i++)
        probes[i].seen = 0;
    gh_topic_tree_match(tree, topic, seen, &visits);
    for (size_t i = 0; i < PROBES; i++)
        wrong +=
            probes[i].seen != (gh_topic_entry_added(&probes[i].entry) &&
                               gh_mqtt_filter_matches(gh_buffer_slice(&probes[i].filter), topic));
    CHECK("matching is right", wrong == 0);
}

int main(void)
{
    static struct probe probes[PROBES];
    struct gh_topic_tree tree;
    struct gh_buffer topic;
    uint64_t seed = 7;

    gh_topic_tree_init(&tree);
    gh_buffer_init(&topic, GH_MQTT_TOPIC_BYTES_MAX);
    for (size_t i = 0; i < PROBES; i++)
        gh_buffer_init(&probes[i].filter, GH_MQTT_TOPIC_BYTES_MAX);
    for (size_t i = 0; i < 20000; i++) {
        struct probe *probe = &probes[draw(&seed, i / 500 % 2 == 0 ? PROBES : PROBES / 8)];
        if (gh_topic_entry_added(&probe->entry)) {
            calls_left = draw(&seed, 3); /* removing joins nodes, and does without when it must */
            CHECK("removing does not fail",
                  gh_topic_tree_remove(&tree, gh_buffer_slice(&probe->filter), &probe->entry));
            calls_left = -1;
        } else {
            draw_topic(&seed, true, &probe->filter);
            check_refusals(&tree, probe);
        }
        draw_topic(&seed, false, &topic);
        check_found(&tree, probes, gh_buffer_slice(&topic));
    }
    for (size_t i = 0; i < PROBES; i++) {
        calls_left = 0;
        gh_topic_tree_remove(&tree, gh_buffer_slice(&probes[i].filter), &probes[i].entry);
        calls_left = -1;
        gh_buffer_deinit(&probes[i].filter);
    }
    CHECK("all memory is given back", gh_topic_tree_bytes(&tree) == 0);
    gh_buffer_deinit(&topic);
    gh_topic_tree_deinit(&tree);
    return check_report();
}
