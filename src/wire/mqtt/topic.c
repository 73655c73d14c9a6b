#include "wire/mqtt/topic.h"
#include "wire/utf8.h"

/* Levels from the left. A name has one level more than separators, so that "a/" has two: the walk
 * keeps apart "nothing left" and "one empty level left". */
struct levels {
    struct gh_slice rest;
    bool more;
};

static struct levels levels_of(struct gh_slice topic)
{
    return (struct levels){topic, true};
}

static struct gh_slice next_level(struct levels *at)
{
    size_t size = gh_slice_find(at->rest, '/');
    struct gh_slice level = gh_slice_sub(at->rest, 0, size);
    at->more = size < at->rest.size;
    at->rest = gh_slice_sub(at->rest, size + (at->more ? 1 : 0), at->rest.size);
    return level;
}

static bool is(struct gh_slice level, uint8_t wildcard)
{
    return level.size == 1 && level.data[0] == wildcard;
}

static bool has_wildcard(struct gh_slice text)
{
    return gh_slice_find(text, '+') < text.size || gh_slice_find(text, '#') < text.size;
}

static bool valid(struct gh_slice topic)
{
    return topic.size != 0 && topic.size <= GH_MQTT_TOPIC_BYTES_MAX &&
           gh_mqtt_topic_levels(topic) <= GH_MQTT_TOPIC_LEVELS_MAX && gh_utf8_valid_mqtt(topic);
}

bool gh_mqtt_topic_valid(struct gh_slice name)
{
    return valid(name) && !has_wildcard(name);
}

/* A filter that is not looked at as a shared one. */
static bool plain_filter_valid(struct gh_slice filter)
{
    struct levels at = levels_of(filter);
    if (!valid(filter))
        return false;
    while (at.more) {
        struct gh_slice level = next_level(&at);
        if (is(level, '#') ? at.more : !is(level, '+') && has_wildcard(level))
            return false; /* [MQTT-4.7.1-2], [MQTT-4.7.1-3] */
    }
    return true;
}

static bool is_shared(struct gh_slice filter)
{
    return gh_slice_starts(filter, GH_SLICE("$share/"));
}

bool gh_mqtt_share_split(struct gh_slice filter, struct gh_slice *name, struct gh_slice *inner)
{
    struct levels at = levels_of(filter);

    if (!is_shared(filter) || !valid(filter))
        return false;
    next_level(&at);
    *name = next_level(&at);
    *inner = at.rest;
    return name->size != 0 && !has_wildcard(*name) && plain_filter_valid(*inner);
}

bool gh_mqtt_filter_valid(struct gh_slice filter)
{
    struct gh_slice name, inner;
    return is_shared(filter) ? gh_mqtt_share_split(filter, &name, &inner)
                             : plain_filter_valid(filter);
}

size_t gh_mqtt_topic_levels(struct gh_slice topic)
{
    size_t count = 1;
    for (size_t i = 0; i < topic.size; i++)
        count += topic.data[i] == '/';
    return count;
}

bool gh_mqtt_filter_matches(struct gh_slice filter, struct gh_slice name)
{
    struct levels wanted = levels_of(filter), there = levels_of(name);

    if (gh_slice_starts(name, GH_SLICE("$")) && !gh_slice_starts(filter, GH_SLICE("$")))
        return false;
    while (wanted.more) {
        struct gh_slice want = next_level(&wanted);
        if (is(want, '#'))
            return true;
        if (!there.more)
            return false;
        struct gh_slice level = next_level(&there);
        if (!is(want, '+') && !gh_slice_equal(want, level))
            return false;
    }
    return !there.more;
}
