/* Seeking: the journal is told where a subscription goes on, and once that is on disk its delivery
 * begins there. What was acknowledged at the same time counts when its record stands behind the
 * seek's. */
#include "pubsub/pubsub_internal.h"
#include "pubsub/waiter.h"
#include "store/store.h"
#include <assert.h>
#include <stddef.h>

enum { SEEK_BYTES = 64 };

/* One call; its caller waits, so that it lives on his stack. */
struct seeking {
    struct gh_letter inbound;
    struct gh_append append;
    struct gh_letter done;
    struct gh_pubsub *owner;
    struct gh_waiter waiter;
    uint32_t subscription;
    int64_t at_ms;
    struct gh_slice state; /* of a snapshot; empty: to a time */
    struct gh_buffer record;
    enum gh_error_code result;
};

static void seek_end(struct seeking *seeking, enum gh_error_code result)
{
    seeking->result = result;
    gh_pubsub_call_end(seeking->owner);
    gh_waiter_reply(&seeking->waiter, &seeking->done); /* the caller's from here on */
}

static struct gh_pubsub_subscription *subscription_of(const struct seeking *seeking)
{
    return gh_map_get(&seeking->owner->subscriptions_by_number,
                      gh_pubsub_number_key(&seeking->subscription));
}

/* As a replay of the journal would. */
static bool apply(struct gh_pubsub *ps, struct gh_pubsub_subscription *subscription,
                  struct gh_slice record)
{
    struct gh_journal_seek seek;
    struct gh_cursor at;
    subscription->live = false; /* it reads on from where it now is */
    if (gh_journal_seek_read(record, &seek))
        return gh_delivery_seek(&subscription->delivery, seek.from, seek.again_from);
    return gh_journal_state_open(record, &at) &&
           gh_pubsub_state_read(ps, &at, GH_CHECKPOINT_FORMAT, subscription);
}

/* The record is durable, or failed. On the service thread, under `lock`. */
static void seek_written(struct gh_letter *letter)
{
    struct seeking *seeking =
        (struct seeking *)(void *)((char *)letter - offsetof(struct seeking, append.done));
    struct gh_pubsub *ps = seeking->owner;
    struct gh_pubsub_subscription *subscription = subscription_of(seeking);
    enum gh_error_code result = seeking->append.result;
    ps->acks_under_way--;
    if (result == GH_OK) {
        ps->replay_from = seeking->append.offset + 1;
        ps->changed = true;
        if (subscription == NULL)
            result = GH_ERROR_NOT_FOUND;
        else if (!apply(ps, subscription, gh_buffer_slice(&seeking->record)))
            result = GH_ERROR_MEMORY;
    }
    seek_end(seeking, result);
}

/* From where on acknowledged messages can come back; UINT64_MAX: none can. */
static uint64_t retained_from(struct gh_pubsub *ps,
                              const struct gh_pubsub_subscription *subscription)
{
    const struct gh_subscription *what = &subscription->what;
    const struct gh_pubsub_topic *topic =
        gh_map_get(&ps->topics_by_number, gh_pubsub_number_key(&what->topic_number));
    int64_t now_ms = gh_pubsub_now_ms(ps);
    uint64_t from = UINT64_MAX;
    if (what->retains_acked) {
        from = gh_log_offset_at(ps->log, now_ms - what->retention_ms);
        from = from < subscription->first_offset ? subscription->first_offset : from;
    }
    if (topic != NULL && topic->topic.retention_ms != 0) {
        uint64_t kept = gh_log_offset_at(ps->log, now_ms - topic->topic.retention_ms);
        from = kept < from ? kept : from;
    }
    return from;
}

static bool time_write(struct seeking *seeking, const struct gh_pubsub_subscription *subscription)
{
    struct gh_pubsub *ps = seeking->owner;
    uint64_t from = gh_log_offset_at(ps->log, seeking->at_ms);
    uint64_t again_from = retained_from(ps, subscription);
    again_from = again_from < from ? from : again_from;
    return gh_journal_seek_write(&(struct gh_journal_seek){.subscription = seeking->subscription,
                                                           .from = from,
                                                           .again_from = again_from},
                                 &seeking->record);
}

/* A snapshot's state, as this subscription's. */
static bool state_write(struct seeking *seeking)
{
    struct gh_checkpoint_subscription head;
    struct gh_cursor at;
    if (!gh_journal_state_open(seeking->state, &at) ||
        !gh_checkpoint_subscription_read(&at, GH_CHECKPOINT_FORMAT, &head))
        return false;
    head.number = seeking->subscription;
    head.active_at_ms = (uint64_t)gh_pubsub_now_ms(seeking->owner);
    gh_journal_state_begin(&seeking->record);
    gh_checkpoint_subscription(&seeking->record, &head);
    return gh_buffer_put(&seeking->record, at.rest);
}

static void seek_open(struct gh_letter *letter)
{
    struct seeking *seeking =
        (struct seeking *)(void *)((char *)letter - offsetof(struct seeking, inbound));
    struct gh_pubsub *ps = seeking->owner;
    struct gh_pubsub_subscription *subscription = subscription_of(seeking);
    if (subscription == NULL) {
        seek_end(seeking, GH_ERROR_NOT_FOUND);
        return;
    }
    if (subscription->live)
        gh_delivery_read_to(&subscription->delivery, ps->read_to);
    bool written =
        seeking->state.size > 0 ? state_write(seeking) : time_write(seeking, subscription);
    seeking->append = (struct gh_append){.done.open = seek_written,
                                         .reply = gh_pubsub_send,
                                         .reply_context = ps,
                                         .tag = GH_PUBSUB_JOURNAL_TAG,
                                         .body = gh_buffer_slice(&seeking->record)};
    if (!written)
        seek_end(seeking, GH_ERROR_MEMORY);
    else if (!gh_log_append(ps->log, &seeking->append))
        seek_end(seeking, GH_ERROR_UNAVAILABLE);
    else
        ps->acks_under_way++;
}

/* The snapshot's state, when it is of the subscription's topic. */
static enum gh_error_code state_get(struct gh_pubsub *ps, int64_t tenant,
                                    struct gh_slice subscription, struct gh_slice name,
                                    struct gh_arena *arena, struct gh_slice *out,
                                    struct gh_error *error)
{
    struct gh_snapshot snapshot;
    struct gh_subscription what;
    enum gh_error_code code = gh_pubsub_snapshot_get(ps, tenant, name, arena, &snapshot, error);
    if (code == GH_OK)
        code = gh_pubsub_subscription_get(ps, tenant, subscription, arena, &what, error);
    if (code == GH_OK && what.topic_number != snapshot.topic_number)
        code = gh_error_set(error, GH_ERROR_INVALID, "snapshot %.*s is of another topic",
                            GH_PRINT(name));
    return code == GH_OK ? gh_store_snapshot_state(ps->store, snapshot.number, arena, out, error)
                         : code;
}

enum gh_error_code gh_pubsub_seek_wait(struct gh_pubsub *ps, int64_t tenant,
                                       struct gh_slice subscription, struct gh_slice snapshot,
                                       int64_t at_ms, struct gh_error *error)
{
    struct seeking seeking = {.owner = ps, .at_ms = at_ms, .inbound.open = seek_open};
    struct gh_error mine = {0};
    struct gh_arena arena;
    gh_arena_init(&arena, GH_PUBSUB_STATE_BYTES_MAX + (1 << 20));
    if (snapshot.size > 0)
        (void)!state_get(ps, tenant, subscription, snapshot, &arena, &seeking.state, &mine);
    if (mine.code == GH_OK)
        seeking.subscription = gh_pubsub_call_begin(ps, tenant, subscription, &mine);
    if (mine.code == GH_OK) {
        gh_buffer_init(&seeking.record, seeking.state.size + SEEK_BYTES);
        gh_waiter_init(&seeking.waiter);
        gh_pubsub_send(ps, &seeking.inbound);
        gh_waiter_wait(&seeking.waiter, 1);
        gh_buffer_deinit(&seeking.record);
        if (seeking.result != GH_OK)
            gh_error_set(&mine, seeking.result, "the seek could not be stored");
    }
    gh_arena_deinit(&arena);
    if (mine.code != GH_OK && error != NULL)
        *error = mine;
    return mine.code;
}
