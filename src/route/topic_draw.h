/* Random topics for the tests of this room: few different levels, so that filters and topics meet,
 * share beginnings and end in each other; empty levels, `$`, names around the sizes where the
 * tree's tags end, and sometimes as many levels as there may be. Seeded, so that a failure comes
 * again. */
#ifndef GH_ROUTE_TOPIC_DRAW_H
#define GH_ROUTE_TOPIC_DRAW_H

#include "base/buffer.h"
#include "wire/mqtt/topic.h"
#include <stdlib.h>

/* Knuth's MMIX constants; the high half is good enough. */
static inline uint32_t draw(uint64_t *seed, uint32_t below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33) % below;
}

static inline void draw_level(uint64_t *seed, struct gh_buffer *out)
{
    static const char *const names[] = {
        "a",         "b",    "a",    "b",    "",   "c!", "c",  "hall-12", "hall-123", "hall-1234",
        "hall-1235", "$SYS", "temp", "\x01", "t0", "t1", "t2", "t3",      "commands", "commands-2"};
    gh_buffer_put(out, gh_slice_text(names[draw(seed, GH_COUNT(names))]));
}

/* Into `out`, cleared before: a valid name, or a valid filter when `wild`. */
static inline void draw_topic(uint64_t *seed, bool wild, struct gh_buffer *out)
{
    bool (*valid)(struct gh_slice) = wild ? gh_mqtt_filter_valid : gh_mqtt_topic_valid;
    do {
        uint32_t levels = draw(seed, 100) == 0 ? GH_MQTT_TOPIC_LEVELS_MAX : 1 + draw(seed, 5);
        gh_buffer_clear(out);
        for (uint32_t i = 0; i < levels; i++) {
            uint32_t kind = wild ? draw(seed, 8) : 8;
            if (i > 0)
                gh_buffer_u8(out, '/');
            if (kind <= 1)
                gh_buffer_u8(out, '+');
            else if (kind == 2 && (i + 1 == levels || levels < 6)) {
                gh_buffer_u8(out, '#');
                break;
            } else
                draw_level(seed, out);
        }
    } while (!valid(gh_buffer_slice(out)));
}
#endif
