/* The state of a broker as text, for tests that compare it before and after a restart: everything
 * that is to survive, in an order that does not depend on chance. The broker has stopped, or its
 * loops are not at work on it. Where bodies and records are is left out, and so is whether a
 * message has been sent: after a restart the broker cannot always know. Tests only. */
#ifndef GH_ROUTE_BROKER_DUMP_INTERNAL_H
#define GH_ROUTE_BROKER_DUMP_INTERNAL_H

#include "route/broker_internal.h"
#include "tests/check.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static inline int dump_by_key(const void *a, const void *b)
{
    const struct session *first = *(struct session *const *)a, *second = *(void *const *)b;
    return gh_slice_compare(session_key(first), session_key(second));
}

static inline int dump_by_filter(const void *a, const void *b)
{
    const struct subscription *first = *(struct subscription *const *)a;
    const struct subscription *second = *(struct subscription *const *)b;
    return gh_slice_compare(first->filter, second->filter);
}

static inline int dump_by_id(const void *a, const void *b)
{
    return (int)((const struct taken *)a)->packet_id - (int)((const struct taken *)b)->packet_id;
}

static inline void dump_subscriptions(const struct session *session, struct gh_buffer *out)
{
    size_t count = 0;
    struct subscription **list = calloc(session->inbox->subscriptions_count + 1, sizeof *list);
    REQUIRE("memory", list != NULL);
    for (struct subscription *s = session->inbox->subscriptions; s != NULL; s = s->next)
        list[count++] = s;
    qsort(list, count, sizeof *list, dump_by_filter);
    for (size_t i = 0; i < count; i++)
        gh_buffer_print(out, "  %.*s options %u identifier %u\n", GH_PRINT(list[i]->filter),
                        subscription_options(list[i]), list[i]->identifier);
    free(list);
}

static inline void dump_session(struct session *session, struct gh_buffer *out)
{
    uint64_t sequence = 0;
    gh_buffer_print(out,
                    "session %" PRIu64 " tenant %" PRId64 " device %" PRIu64
                    " %.*s expiry %u detached %" PRId64 " next %" PRIu64 " bytes %zu\n",
                    session->inbox->number, session->space->tenant, session_device(session),
                    GH_PRINT(session_client(session)), session->expiry_s,
                    session->inbox->detached_at_ms, session->inbox->queue.tail,
                    session->inbox->queue_bytes);
    if (session->will != NULL)
        gh_buffer_print(out, "  will %.*s=%.*s q%u at %" PRId64 "\n",
                        GH_PRINT(session->will->will.topic), GH_PRINT(session->will->will.payload),
                        session->will->will.qos, session->will->at_ms);
    dump_subscriptions(session, out);
    for (struct gh_queue_entry *entry;
         (entry = gh_queue_next(&session->inbox->queue, &sequence)) != NULL; sequence++)
        gh_buffer_print(out, "  %" PRIu64 ": q%u size %u flags %u%s%s\n", sequence, entry->qos,
                        entry->size, entry->flags & (GH_TARGET_RETAIN | GH_TARGET_SHARED),
                        entry->state == GH_QUEUE_RECEIVED ? " received" : "",
                        entry->state == GH_QUEUE_WAITING ? " waiting" : "");
    if (session->inbox->taken_count > 1)
        qsort(session->inbox->taken, session->inbox->taken_count, sizeof *session->inbox->taken,
              dump_by_id);
    for (size_t i = 0; i < session->inbox->taken_count; i++)
        gh_buffer_print(out, "  taken %u\n", session->inbox->taken[i].packet_id);
}

static inline bool dump_retained(void *context, struct gh_slice topic, void *value)
{
    const struct gh_route_message *message = ((struct retained *)value)->message;
    gh_buffer_print(context, "retained %.*s=%.*s q%u at %" PRId64 " until %" PRId64 "\n",
                    GH_PRINT(topic), GH_PRINT(message->payload), message->qos,
                    message->published_at_ms, message->expires_at_ms);
    return true;
}

static inline void dump_list(void *context, struct session *session)
{
    struct session ***end = context;
    *(*end)++ = session;
}

static inline void broker_dump(struct gh_broker *broker, struct gh_buffer *out)
{
    size_t at = 0, count = 0;
    struct gh_slice key;
    struct session **list = calloc(broker->roster.count + 1, sizeof *list), **end = list;
    REQUIRE("memory", list != NULL);
    pthread_mutex_lock(&broker->lock);
    roster_each(&broker->roster, dump_list, &end);
    pthread_mutex_unlock(&broker->lock);
    count = (size_t)(end - list);
    qsort(list, count, sizeof(struct session *), dump_by_key);
    for (size_t i = 0; i < count; i++) {
        gh_latch_take(&list[i]->lock);
        dump_session(list[i], out);
        gh_latch_give(&list[i]->lock);
    }
    free(list);
    at = 0;
    for (void *value; gh_map_next(&broker->spaces, &at, &key, &value);) {
        struct space *space = value;
        pthread_mutex_lock(&space->retained_lock);
        (void)gh_retained_tree_walk(&space->retained, GH_SLICE("#"), gh_slice(NULL, 0), SIZE_MAX,
                                    dump_retained, out);
        pthread_mutex_unlock(&space->retained_lock);
    }
}
#endif
