/* The input is three parts with a zero byte between them: an action's letter, a filter and a
 * document. What reach says to be possible must be allowed by the code that decides. */
#include "policy/reach.h"
#include "wire/mqtt/topic.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void holds(const struct gh_statements *statements, enum gh_device_action action,
                  struct gh_slice topics, const struct gh_reach *reach)
{
    struct gh_slice group, inner = reach->filter;
    if (reach->answer != GH_REACH_POSSIBLE ||
        gh_mqtt_topic_levels(reach->topic) > GH_MQTT_TOPIC_LEVELS_MAX)
        return;
    if (!gh_mqtt_topic_valid(reach->topic) ||
        !gh_statements_allow(statements, action, reach->topic, NULL))
        abort();
    if (topics.size > 0 && !gh_mqtt_filter_matches(topics, reach->topic))
        abort();
    if (action == GH_DEVICE_ACTION_PUBLISH)
        return;
    if (gh_mqtt_topic_levels(inner) > GH_MQTT_TOPIC_LEVELS_MAX)
        return;
    if (gh_slice_starts(inner, GH_SLICE("$share/")) &&
        !gh_mqtt_share_split(reach->filter, &group, &inner))
        abort();
    if (!gh_mqtt_filter_valid(reach->filter) || !gh_mqtt_filter_matches(inner, reach->topic) ||
        !gh_statements_allow(statements, GH_DEVICE_ACTION_SUBSCRIBE, reach->filter, NULL))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gh_reach_bypasses found;
    struct gh_slice rest = gh_slice(data, size);
    struct gh_slice letter = gh_slice_split(&rest, '\0'), topics = gh_slice_split(&rest, '\0');
    struct gh_statement_variables values = {.tenant = GH_SLICE("acme"),
                                            .registry = GH_SLICE("plant"),
                                            .device = GH_SLICE("pump-1"),
                                            .client = GH_SLICE("pump+1")};
    struct gh_statement_document document = {GH_SLICE("p"), rest};
    enum gh_device_action action =
        gh_slice_equal(letter, GH_SLICE("p")) ? GH_DEVICE_ACTION_PUBLISH : GH_DEVICE_ACTION_RECEIVE;
    struct gh_error error = {0};
    struct gh_reach reach;
    struct gh_arena arena;
    struct gh_statements *statements = gh_statements_compile(&document, 1, &values, &error);
    if (statements == NULL)
        return 0;
    gh_arena_init(&arena, 1 << 22);
    if (!gh_slice_starts(topics, GH_SLICE("$share/")) &&
        gh_statements_reach(statements, action, topics, &arena, &reach, &error) == GH_OK)
        holds(statements, action, topics, &reach);
    if (gh_statements_bypasses(statements, &arena, &found, &error) == GH_OK)
        for (size_t i = 0; i < found.count; i++)
            holds(
                statements, GH_DEVICE_ACTION_RECEIVE, (struct gh_slice){0},
                &(struct gh_reach){GH_REACH_POSSIBLE, found.items[i].topic, found.items[i].filter});
    gh_arena_deinit(&arena);
    gh_statements_unref(statements);
    return 0;
}
