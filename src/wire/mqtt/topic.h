/* MQTT topics: validity of topic names and topic filters, and whether a filter matches a name
 * (MQTT 3.1.1 §4.7). Only syntax; who may use a topic is policy, what it means is the dialect.
 * Nothing is copied and nothing recurses. Threads: any. */
#ifndef GH_WIRE_MQTT_TOPIC_H
#define GH_WIRE_MQTT_TOPIC_H

#include "base/slice.h"

enum {
    GH_MQTT_TOPIC_BYTES_MAX = 65535, /* [MQTT-4.7.3-3] */
    GH_MQTT_TOPIC_LEVELS_MAX = 128,  /* ours: bounds the depth of every tree over topics */
};

/* A name to publish to: 1 to 65535 bytes of UTF-8 without U+0000 and wildcards,
 * GH_MQTT_TOPIC_LEVELS_MAX levels at most. */
bool gh_mqtt_topic_valid(struct gh_slice name);
/* A filter to subscribe with: the same, but `+` may be a whole level and `#` the whole last one. */
bool gh_mqtt_filter_valid(struct gh_slice filter);
/* Separators + 1; "/a" has two levels, of which the first is empty. */
size_t gh_mqtt_topic_levels(struct gh_slice topic);

/* Both are valid. A leading wildcard does not match a name that begins with `$` [MQTT-4.7.2-1];
 * `a/#` matches `a` too. */
bool gh_mqtt_filter_matches(struct gh_slice filter, struct gh_slice name);
#endif
