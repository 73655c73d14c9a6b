/* Followers: consumers that read all topics at their own pace. */
#include "base/time.h"
#include "pubsub/pubsub_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <time.h>

struct gh_follower {
    struct gh_pubsub *owner;
    struct gh_log_reader *reader;
    struct gh_log_hold *hold;
    bool woken; /* under the owner's grown_lock */
    struct gh_message_attribute attributes[GH_MESSAGE_ATTRIBUTES_MAX];
    uint8_t topic[GH_PUBSUB_NAME_MAX]; /* a copy: the topic may be deleted meanwhile */
};

struct gh_follower *gh_follower_open(struct gh_pubsub *ps, const char *name, uint64_t from)
{
    struct gh_follower *follower = calloc(1, sizeof *follower);
    if (follower == NULL)
        return NULL;
    follower->owner = ps;
    follower->reader = gh_log_reader_open(ps->log);
    follower->hold = gh_log_hold_open(ps->log, name, from);
    if (follower->reader == NULL || follower->hold == NULL) {
        gh_follower_close(follower);
        return NULL;
    }
    gh_log_reader_seek(follower->reader, from);
    return follower;
}

void gh_follower_close(struct gh_follower *follower)
{
    if (follower == NULL)
        return;
    gh_log_reader_close(follower->reader);
    gh_log_hold_close(follower->hold);
    free(follower);
}

uint64_t gh_follower_at(const struct gh_follower *follower)
{
    return gh_log_reader_offset(follower->reader);
}

void gh_follower_hold(struct gh_follower *follower, uint64_t from)
{
    gh_log_hold_move(follower->hold, from);
}

/* Tenant and name of the record's topic, as long as it is there. */
static void topic_of(struct gh_follower *follower, uint32_t number, struct gh_tapped *out)
{
    struct gh_pubsub *ps = follower->owner;
    struct gh_buffer name = gh_buffer_fixed(follower->topic, sizeof follower->topic);
    pthread_rwlock_rdlock(&ps->names);
    const struct gh_pubsub_topic *topic =
        gh_map_get(&ps->topics_by_number, gh_pubsub_number_key(&number));
    if (topic != NULL) {
        gh_buffer_put(&name, topic->topic.name);
        out->tenant = topic->topic.tenant;
    }
    pthread_rwlock_unlock(&ps->names);
    out->topic = gh_buffer_slice(&name);
}

enum gh_log_read gh_follower_next(struct gh_follower *follower, struct gh_tapped *out)
{
    struct gh_log_record record;
    for (;;) {
        enum gh_log_read step = gh_log_reader_next(follower->reader, GH_LOG_ANY_TAG, &record);
        if (step != GH_LOG_READ_RECORD)
            return step;
        *out = (struct gh_tapped){.id = record.offset, .at_ms = record.at_ms};
        if (record.tag == GH_PUBSUB_JOURNAL_TAG ||
            !gh_message_decode(record.body, follower->attributes, &out->message))
            continue;
        topic_of(follower, record.tag, out);
        return GH_LOG_READ_RECORD;
    }
}

void gh_follower_wait(struct gh_follower *follower, int64_t timeout_ms)
{
    struct gh_pubsub *ps = follower->owner;
    int64_t until_ns = gh_time_monotonic_ns() + timeout_ms * GH_MS_NS;
    struct timespec until = {.tv_sec = until_ns / GH_SECOND_NS, .tv_nsec = until_ns % GH_SECOND_NS};
    int waited = 0;
    pthread_mutex_lock(&ps->grown_lock);
    while (!follower->woken && waited != ETIMEDOUT &&
           gh_log_next(ps->log) <= gh_follower_at(follower))
        waited = pthread_cond_timedwait(&ps->grown, &ps->grown_lock, &until);
    follower->woken = false;
    pthread_mutex_unlock(&ps->grown_lock);
}

void gh_follower_wake(struct gh_follower *follower)
{
    struct gh_pubsub *ps = follower->owner;
    pthread_mutex_lock(&ps->grown_lock);
    follower->woken = true;
    pthread_cond_broadcast(&ps->grown);
    pthread_mutex_unlock(&ps->grown_lock);
}
