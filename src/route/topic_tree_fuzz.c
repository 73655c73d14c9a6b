/* Any bytes as a sequence of operations on a topic tree and a retained tree, with
 * gh_mqtt_filter_matches as the oracle of both. Lines: `+` FILTER subscribes, `-` FILTER ends the
 * oldest such subscription, `=` TOPIC retains, `!` TOPIC clears, `<` FILTER walks in steps whose
 * size is the line's, anything else is a topic to be matched. */
#include "route/retained_tree.h"
#include "route/topic_tree.h"
#include "wire/mqtt/topic.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ITEMS_MAX = 128 };

struct item {
    struct gh_topic_entry entry;
    struct gh_slice text; /* of the input; empty: this place is free */
    unsigned seen;
};

struct world {
    struct gh_topic_tree tree;
    struct gh_retained_tree retained;
    struct item filters[ITEMS_MAX], topics[ITEMS_MAX];
};

static struct item *find(struct item *items, struct gh_slice text)
{
    for (size_t i = 0; i < ITEMS_MAX; i++)
        if (gh_slice_equal(items[i].text, text))
            return &items[i];
    return NULL;
}

static void subscribe(struct world *world, struct gh_slice filter)
{
    struct item *item = find(world->filters, (struct gh_slice){0});
    if (item == NULL || !gh_mqtt_filter_valid(filter))
        return;
    item->text = filter;
    assert(gh_topic_tree_add(&world->tree, filter, &item->entry));
}

static void unsubscribe(struct world *world, struct gh_slice filter)
{
    struct item *item = filter.size == 0 ? NULL : find(world->filters, filter);
    if (item == NULL)
        return;
    assert(gh_topic_tree_remove(&world->tree, filter, &item->entry));
    assert(!gh_topic_tree_remove(&world->tree, filter, &item->entry));
    item->text = (struct gh_slice){0};
}

static void retain(struct world *world, struct gh_slice topic)
{
    struct item *item = gh_mqtt_topic_valid(topic) ? find(world->topics, topic) : NULL;
    void *before;
    if (item == NULL)
        item = find(world->topics, (struct gh_slice){0});
    if (item == NULL || !gh_mqtt_topic_valid(topic))
        return;
    assert(gh_retained_tree_put(&world->retained, topic, item, &before));
    assert(before == (item->text.size > 0 ? item : NULL));
    item->text = topic;
}

static void clear(struct world *world, struct gh_slice topic)
{
    struct item *item = topic.size == 0 ? NULL : find(world->topics, topic);
    assert(gh_retained_tree_get(&world->retained, topic) == item);
    assert(gh_retained_tree_remove(&world->retained, topic) == item);
    if (item != NULL)
        item->text = (struct gh_slice){0};
}

static bool visit_topic(void *context, struct gh_slice topic, void *value)
{
    struct item *item = value;
    (void)context;
    assert(gh_slice_equal(topic, item->text));
    item->seen++;
    return true;
}

static void walk(struct world *world, struct gh_slice filter)
{
    struct gh_slice after = {0};
    if (!gh_mqtt_filter_valid(filter))
        return;
    for (size_t i = 0; i < ITEMS_MAX; i++)
        world->topics[i].seen = 0;
    do {
        after =
            gh_retained_tree_walk(&world->retained, filter, after, filter.size, visit_topic, NULL);
    } while (after.size > 0);
    for (size_t i = 0; i < ITEMS_MAX; i++) {
        struct item *item = &world->topics[i];
        assert(item->seen == (item->text.size > 0 && gh_mqtt_filter_matches(filter, item->text)));
    }
}

static void visit_entry(void *context, struct gh_topic_entry *entry)
{
    struct item *item = (struct item *)entry; /* the first member */
    (void)context;
    item->seen++;
}

static void match(struct world *world, struct gh_slice topic)
{
    if (!gh_mqtt_topic_valid(topic))
        return;
    for (size_t i = 0; i < ITEMS_MAX; i++)
        world->filters[i].seen = 0;
    gh_topic_tree_match(&world->tree, topic, visit_entry, NULL);
    for (size_t i = 0; i < ITEMS_MAX; i++) {
        struct item *item = &world->filters[i];
        assert(item->seen == (item->text.size > 0 && gh_mqtt_filter_matches(item->text, topic)));
    }
}

static const struct {
    uint8_t sign;
    void (*run)(struct world *world, struct gh_slice text);
} operations[] = {
    {'+', subscribe}, {'-', unsubscribe}, {'=', retain}, {'!', clear}, {'<', walk},
};

static void run_line(struct world *world, struct gh_slice line)
{
    for (size_t i = 0; i < GH_COUNT(operations); i++)
        if (line.size > 0 && line.data[0] == operations[i].sign) {
            operations[i].run(world, gh_slice_sub(line, 1, line.size));
            return;
        }
    match(world, line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world world;
    struct gh_slice rest = gh_slice(data, size);

    memset(&world, 0, sizeof world);
    gh_topic_tree_init(&world.tree);
    gh_retained_tree_init(&world.retained);
    while (rest.size > 0)
        run_line(&world, gh_slice_split(&rest, '\n'));
    for (size_t i = 0; i < ITEMS_MAX; i++)
        unsubscribe(&world, world.filters[i].text);
    assert(gh_topic_tree_count(&world.tree) == 0);
    assert(gh_topic_tree_bytes(&world.tree) == 0);
    gh_topic_tree_deinit(&world.tree);
    gh_retained_tree_deinit(&world.retained);
    return 0;
}
