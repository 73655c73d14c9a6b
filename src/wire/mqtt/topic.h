/* MQTT topics: validity of topic names and topic filters, and whether a filter matches a name
 * (MQTT 3.1.1 §4.7, MQTT 5.0 §4.7 and §4.8). Only syntax; who may use a topic is policy, what it
 * means is the dialect. Nothing is copied and nothing recurses. Threads: any. */
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
/* A filter to subscribe with: the same, but `+` may be a whole level and `#` the whole last one.
 * One that begins with `$share/` is a shared subscription's and must be whole as such; in 3.1.1
 * too, where many servers offer them without a standard that says so. */
bool gh_mqtt_filter_valid(struct gh_slice filter);
/* Takes `$share/NAME/FILTER` apart. False when `filter` is no shared subscription, or a wrong one:
 * the name has at least one byte and none of `/`, `+`, `#`, and a valid filter follows
 * [MQTT-4.8.2-1] [MQTT-4.8.2-2]. */
bool gh_mqtt_share_split(struct gh_slice filter, struct gh_slice *name, struct gh_slice *inner);
/* Separators + 1; "/a" has two levels, of which the first is empty. */
size_t gh_mqtt_topic_levels(struct gh_slice topic);

/* Both are valid, and the filter of a shared subscription is its inner one. A leading wildcard does
 * not match a name that begins with `$` [MQTT-4.7.2-1]; `a/#` matches `a` too. */
bool gh_mqtt_filter_matches(struct gh_slice filter, struct gh_slice name);
#endif
