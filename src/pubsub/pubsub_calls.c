/* The calls of consumers: pull, acknowledge, modify the deadline. What they change is changed on
 * the service thread, to which they travel as letters; here are the checks before and the answers
 * after. */
#include "base/hash.h"
#include "base/time.h"
#include "pubsub/pubsub_internal.h"
#include "pubsub/waiter.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { PULL_BYTES = 8 * 1024 * 1024, ACK_SIGNED_BYTES = 16, ACK_BYTES = 24, ACK_IDS_MAX = 100000 };

static_assert(2 * ACK_BYTES == GH_PUBSUB_ACK_ID_BYTES, "hex");

void gh_pubsub_ack_id_write(const struct gh_pubsub *ps, uint32_t subscription, uint64_t offset,
                            uint32_t attempt, char out[GH_PUBSUB_ACK_ID_BYTES + 1])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[ACK_BYTES];
    struct gh_buffer to = gh_buffer_fixed(bytes, sizeof bytes);
    gh_buffer_u32(&to, subscription);
    gh_buffer_u64(&to, offset);
    gh_buffer_u32(&to, attempt);
    gh_buffer_u64(&to, gh_hash_sip(ps->ack_key, gh_slice(bytes, ACK_SIGNED_BYTES)));
    for (size_t i = 0; i < ACK_BYTES; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[GH_PUBSUB_ACK_ID_BYTES] = '\0';
}

static int hex_value(uint8_t digit)
{
    return digit >= '0' && digit <= '9'   ? digit - '0'
           : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                                          : -1;
}

bool gh_pubsub_ack_id_read(const struct gh_pubsub *ps, uint32_t subscription, struct gh_slice text,
                           uint64_t *offset, uint32_t *attempt)
{
    uint8_t bytes[ACK_BYTES];
    uint32_t number;
    uint64_t check;
    if (text.size != GH_PUBSUB_ACK_ID_BYTES)
        return false;
    for (size_t i = 0; i < ACK_BYTES; i++) {
        int high = hex_value(text.data[2 * i]), low = hex_value(text.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    struct gh_cursor at = gh_cursor(gh_slice(bytes, sizeof bytes));
    return gh_cursor_u32(&at, &number) && gh_cursor_u64(&at, offset) &&
           gh_cursor_u32(&at, attempt) && gh_cursor_u64(&at, &check) && number == subscription &&
           check == gh_hash_sip(ps->ack_key, gh_slice(bytes, ACK_SIGNED_BYTES));
}

uint32_t gh_pubsub_call_begin(struct gh_pubsub *ps, int64_t tenant, struct gh_slice name,
                              struct gh_error *error)
{
    uint32_t number = 0;
    bool is_detached = false;
    pthread_rwlock_rdlock(&ps->names);
    const struct gh_pubsub_subscription *subscription =
        gh_pubsub_subscription_named(ps, tenant, name);
    if (subscription != NULL) {
        number = subscription->what.number;
        is_detached = subscription->what.is_detached;
    }
    pthread_rwlock_unlock(&ps->names);
    if (is_detached) {
        gh_error_set(error, GH_ERROR_PRECONDITION, "subscription %.*s is detached from its topic",
                     GH_PRINT(name));
        return 0;
    }
    if (number == 0) {
        gh_error_set(error, GH_ERROR_NOT_FOUND, "subscription %.*s does not exist",
                     name.size > GH_PUBSUB_NAME_MAX ? GH_PUBSUB_NAME_MAX : (int)name.size,
                     (const char *)name.data);
        return 0;
    }
    if (atomic_fetch_add(&ps->calls, 1) >= GH_PUBSUB_CALLS_MAX || atomic_load(&ps->closing)) {
        gh_pubsub_call_end(ps);
        gh_error_set(error, GH_ERROR_UNAVAILABLE, "too many calls to subscriptions are under way");
        return 0;
    }
    return number;
}

void gh_pubsub_call_end(struct gh_pubsub *ps)
{
    atomic_fetch_sub(&ps->calls, 1);
}

enum gh_error_code gh_pubsub_pull(struct gh_pubsub *ps, int64_t tenant,
                                  struct gh_slice subscription, struct gh_pull *pull,
                                  struct gh_error *error)
{
    struct gh_error mine = {0};
    size_t bytes_max = pull->bytes_max == 0 ? PULL_BYTES : pull->bytes_max;
    int64_t wait_ms =
        pull->wait_ms < GH_PUBSUB_WAIT_MAX_S * 1000 ? pull->wait_ms : GH_PUBSUB_WAIT_MAX_S * 1000;
    if (pull->messages_max == 0 || wait_ms < 0)
        return gh_error_set(error, GH_ERROR_INVALID, "a pull asks for at least one message");
    pull->subscription = gh_pubsub_call_begin(ps, tenant, subscription, &mine);
    if (pull->subscription == 0) {
        if (error != NULL)
            *error = mine;
        return mine.code;
    }
    pull->messages_max =
        pull->messages_max < GH_PUBSUB_PULL_MAX ? pull->messages_max : GH_PUBSUB_PULL_MAX;
    pull->bytes_max = bytes_max < SIZE_MAX / 4 ? bytes_max : SIZE_MAX / 4;
    pull->until_ns = gh_pubsub_now_ns(ps) + wait_ms * GH_MS_NS;
    pull->wait_ms = wait_ms;
    pull->result = GH_OK;
    pull->messages = NULL;
    pull->count = 0;
    pull->next = NULL;
    pull->owner = ps;
    atomic_store(&pull->cancelled, false);
    gh_arena_init(&pull->arena, pull->bytes_max + GH_MESSAGE_BYTES_MAX + (1 << 20));
    pull->inbound.open = gh_pubsub_pull_open;
    gh_pubsub_send(ps, &pull->inbound);
    return GH_OK;
}

void gh_pubsub_pull_cancel(struct gh_pubsub *ps, struct gh_pull *pull)
{
    atomic_store(&pull->cancelled, true);
    gh_pubsub_ring(ps);
}

void gh_pull_release(struct gh_pull *pull)
{
    gh_arena_deinit(&pull->arena);
    pull->messages = NULL;
    pull->count = 0;
}

void gh_pubsub_pull_end(struct gh_pubsub *ps, struct gh_pull *pull, enum gh_error_code result)
{
    pull->result = result;
    gh_pubsub_call_end(ps);
    pull->reply(pull->reply_context, &pull->done); /* the pull is its caller's from here on */
}

enum gh_error_code gh_pubsub_pull_wait(struct gh_pubsub *ps, int64_t tenant,
                                       struct gh_slice subscription, struct gh_pull *pull,
                                       struct gh_error *error)
{
    struct gh_waiter waiter;
    gh_waiter_init(&waiter);
    pull->reply = gh_waiter_reply;
    pull->reply_context = &waiter;
    gh_arena_init(&pull->arena, 0); /* so that release is right also when the pull is refused */
    enum gh_error_code code = gh_pubsub_pull(ps, tenant, subscription, pull, error);
    if (code != GH_OK)
        return code;
    gh_waiter_wait(&waiter, 1);
    if (pull->result != GH_OK)
        gh_error_set(error, pull->result, "subscription %.*s: the pull was ended",
                     GH_PRINT(subscription));
    return pull->result;
}

struct ack_item {
    uint64_t offset;
    uint32_t attempt;
};

/* One acknowledge or modify call on its way to the service thread and, for an acknowledgement, to
 * the log and back. */
struct gh_ack_work {
    struct gh_letter inbound;
    struct gh_append append;
    struct gh_acknowledge *call; /* NULL: nobody waits for it */
    struct gh_pubsub *owner;
    uint32_t subscription;
    int64_t deadline_s; /* -1: acknowledge */
    struct gh_buffer record;
    uint64_t *written; /* offsets in the record, ascending */
    size_t written_count, written_capacity;
    size_t count;
    struct ack_item items[];
};

static void ack_end(struct gh_ack_work *work, enum gh_error_code result)
{
    struct gh_acknowledge *call = work->call;
    gh_pubsub_call_end(work->owner);
    gh_buffer_deinit(&work->record);
    free(work->written);
    free(work);
    if (call == NULL)
        return;
    call->work = NULL;
    call->result = result;
    call->reply(call->reply_context, &call->done); /* the call is its caller's from here on */
}

static struct gh_delivery *delivery_of(struct gh_pubsub *ps, uint32_t number)
{
    struct gh_pubsub_subscription *subscription =
        gh_map_get(&ps->subscriptions_by_number, gh_pubsub_number_key(&number));
    if (subscription != NULL && subscription->live)
        gh_delivery_read_to(&subscription->delivery, ps->read_to);
    return subscription == NULL ? NULL : &subscription->delivery;
}

/* The journal record is durable, or failed. On the service thread. */
static void ack_written(struct gh_letter *letter)
{
    struct gh_append *append =
        (struct gh_append *)((char *)letter - offsetof(struct gh_append, done));
    struct gh_ack_work *work =
        (struct gh_ack_work *)((char *)append - offsetof(struct gh_ack_work, append));
    struct gh_pubsub *ps = work->owner;
    struct gh_delivery *delivery = delivery_of(ps, work->subscription);

    ps->acks_under_way--;
    for (size_t i = 0; delivery != NULL && i < work->written_count; i++) {
        if (append->result == GH_OK)
            (void)!gh_delivery_ack_done(delivery, work->written[i]);
        else
            gh_delivery_ack_failed(delivery, work->written[i]);
    }
    if (append->result == GH_OK) {
        ps->replay_from = append->offset + 1; /* they come back in the order of the log */
        ps->journalled += work->written_count;
        ps->changed = true;
    }
    ack_end(work, append->result);
}

/* What has begun is taken back. */
static void ack_give_up(struct gh_ack_work *work, struct gh_delivery *delivery,
                        enum gh_error_code result)
{
    for (size_t i = 0; i < work->written_count; i++)
        gh_delivery_ack_failed(delivery, work->written[i]);
    ack_end(work, result);
}

static bool ack_note(struct gh_ack_work *work, uint64_t offset)
{
    if (work->written_count == work->written_capacity) {
        size_t capacity = work->written_capacity == 0 ? work->count : 2 * work->written_capacity;
        uint64_t *written = reallocarray(work->written, capacity, sizeof *written);
        if (written == NULL)
            return false;
        work->written = written;
        work->written_capacity = capacity;
    }
    work->written[work->written_count++] = offset;
    return true;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Writes the journal record of what was noted. On the service thread. */
static void ack_write(struct gh_ack_work *work, struct gh_delivery *delivery)
{
    struct gh_pubsub *ps = work->owner;
    size_t count = 0;
    if (work->written_count == 0) {
        ack_end(work, GH_OK);
        return;
    }
    qsort(work->written, work->written_count, sizeof *work->written, by_number);
    for (size_t i = 0; i < work->written_count; i++) /* one may have been begun twice */
        if (i == 0 || work->written[i] != work->written[count - 1])
            work->written[count++] = work->written[i];
    work->written_count = count;
    gh_buffer_init(&work->record, 16 + 10 * count);
    bool encoded = gh_journal_ack_write(work->subscription, work->written, count, &work->record);
    work->append = (struct gh_append){.done.open = ack_written,
                                      .reply = gh_pubsub_send,
                                      .reply_context = ps,
                                      .tag = GH_PUBSUB_JOURNAL_TAG,
                                      .body = gh_buffer_slice(&work->record)};
    if (encoded && gh_log_append(ps->log, &work->append))
        ps->acks_under_way++;
    else
        ack_give_up(work, delivery, GH_ERROR_UNAVAILABLE);
}

/* Notes what is not acknowledged yet, and what was ahead of it. On the service thread. */
static void ack_begin(struct gh_ack_work *work, struct gh_delivery *delivery)
{
    for (size_t i = 0; i < work->count; i++) {
        uint64_t offset = work->items[i].offset;
        bool begun = gh_delivery_ack_begin(delivery, offset), noted = true;
        while (begun && noted) {
            noted = ack_note(work, offset);
            begun = gh_delivery_ack_next(delivery, offset, &offset);
        }
        if (!noted) {
            gh_delivery_ack_failed(delivery, offset);
            ack_give_up(work, delivery, GH_ERROR_MEMORY);
            return;
        }
    }
    ack_write(work, delivery);
}

void gh_pubsub_ack_one(struct gh_pubsub *ps, uint32_t subscription, uint64_t offset)
{
    struct gh_delivery *delivery = delivery_of(ps, subscription);
    struct gh_ack_work *work =
        delivery == NULL ? NULL : calloc(1, sizeof *work + sizeof *work->items);
    if (work == NULL) {
        if (delivery != NULL)
            gh_delivery_ack_failed(delivery, offset);
        return;
    }
    *work = (struct gh_ack_work){.owner = ps, .subscription = subscription, .count = 1};
    atomic_fetch_add(&ps->calls, 1);
    if (ack_note(work, offset))
        ack_write(work, delivery);
    else
        ack_give_up(work, delivery, GH_ERROR_MEMORY);
}

static void ack_open(struct gh_letter *letter)
{
    struct gh_ack_work *work =
        (struct gh_ack_work *)((char *)letter - offsetof(struct gh_ack_work, inbound));
    struct gh_pubsub *ps = work->owner;
    struct gh_delivery *delivery = delivery_of(ps, work->subscription);

    if (delivery == NULL) {
        ack_end(work, GH_ERROR_NOT_FOUND);
    } else if (work->deadline_s < 0) {
        ack_begin(work, delivery);
    } else {
        int64_t now_ns = gh_pubsub_now_ns(ps);
        for (size_t i = 0; i < work->count; i++) {
            const struct ack_item *item = &work->items[i];
            if (work->deadline_s == 0)
                (void)gh_delivery_nack(delivery, item->offset, item->attempt, now_ns);
            else
                (void)gh_delivery_extend(delivery, item->offset, item->attempt,
                                         now_ns + work->deadline_s * GH_SECOND_NS);
        }
        ack_end(work, GH_OK);
    }
}

static int by_offset(const void *a, const void *b)
{
    uint64_t x = ((const struct ack_item *)a)->offset, y = ((const struct ack_item *)b)->offset;
    return (x > y) - (x < y);
}

/* Reads the ackIds, in ascending order and each offset once. False: one of them is not right. */
static bool ack_ids_read(const struct gh_pubsub *ps, struct gh_ack_work *work,
                         const struct gh_slice *ack_ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!gh_pubsub_ack_id_read(ps, work->subscription, ack_ids[i], &work->items[i].offset,
                                   &work->items[i].attempt))
            return false;
    qsort(work->items, count, sizeof *work->items, by_offset);
    work->count = 1;
    for (size_t i = 1; i < count; i++) {
        struct ack_item *last = &work->items[work->count - 1];
        if (work->items[i].offset != last->offset)
            work->items[work->count++] = work->items[i];
        else if (work->items[i].attempt > last->attempt)
            last->attempt = work->items[i].attempt;
    }
    return true;
}

static enum gh_error_code ack_send(struct gh_pubsub *ps, int64_t tenant,
                                   struct gh_slice subscription, const struct gh_slice *ack_ids,
                                   size_t count, int64_t deadline_s, struct gh_acknowledge *call,
                                   struct gh_error *error)
{
    struct gh_error mine = {0};
    if (count == 0 || count > ACK_IDS_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "there are 1 to %d ackIds in a call",
                            ACK_IDS_MAX);
    struct gh_ack_work *work = calloc(1, sizeof *work + count * sizeof *work->items);
    if (work == NULL)
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory for %zu ackIds", count);
    work->subscription = gh_pubsub_call_begin(ps, tenant, subscription, &mine);
    if (work->subscription != 0 && !ack_ids_read(ps, work, ack_ids, count)) {
        gh_pubsub_call_end(ps);
        gh_error_set(&mine, GH_ERROR_INVALID, "subscription %.*s: an ackId is not one of its own",
                     GH_PRINT(subscription));
    }
    if (mine.code != GH_OK) {
        free(work);
        if (error != NULL)
            *error = mine;
        return mine.code;
    }
    work->inbound.open = ack_open;
    work->call = call;
    work->owner = ps;
    work->deadline_s = deadline_s;
    call->work = work;
    gh_pubsub_send(ps, &work->inbound);
    return GH_OK;
}

enum gh_error_code gh_pubsub_acknowledge(struct gh_pubsub *ps, int64_t tenant,
                                         struct gh_slice subscription,
                                         const struct gh_slice *ack_ids, size_t count,
                                         struct gh_acknowledge *call, struct gh_error *error)
{
    return ack_send(ps, tenant, subscription, ack_ids, count, -1, call, error);
}

enum gh_error_code gh_pubsub_modify_deadline(struct gh_pubsub *ps, int64_t tenant,
                                             struct gh_slice subscription,
                                             const struct gh_slice *ack_ids, size_t count,
                                             uint32_t deadline_s, struct gh_acknowledge *call,
                                             struct gh_error *error)
{
    if (deadline_s > GH_PUBSUB_DEADLINE_MAX_S)
        return gh_error_set(error, GH_ERROR_INVALID, "an ack deadline is at most %d seconds",
                            GH_PUBSUB_DEADLINE_MAX_S);
    return ack_send(ps, tenant, subscription, ack_ids, count, deadline_s, call, error);
}

/* Waits for a call that was sent with `code`. */
static enum gh_error_code ack_wait(struct gh_waiter *waiter, const struct gh_acknowledge *call,
                                   enum gh_error_code code, struct gh_error *error)
{
    if (code != GH_OK)
        return code;
    gh_waiter_wait(waiter, 1);
    if (call->result != GH_OK)
        gh_error_set(error, call->result, "the acknowledgement could not be stored");
    return call->result;
}

enum gh_error_code gh_pubsub_acknowledge_wait(struct gh_pubsub *ps, int64_t tenant,
                                              struct gh_slice subscription,
                                              const struct gh_slice *ack_ids, size_t count,
                                              struct gh_error *error)
{
    struct gh_waiter waiter;
    struct gh_acknowledge call = {.reply = gh_waiter_reply, .reply_context = &waiter};
    gh_waiter_init(&waiter);
    return ack_wait(&waiter, &call,
                    gh_pubsub_acknowledge(ps, tenant, subscription, ack_ids, count, &call, error),
                    error);
}

enum gh_error_code gh_pubsub_modify_deadline_wait(struct gh_pubsub *ps, int64_t tenant,
                                                  struct gh_slice subscription,
                                                  const struct gh_slice *ack_ids, size_t count,
                                                  uint32_t deadline_s, struct gh_error *error)
{
    struct gh_waiter waiter;
    struct gh_acknowledge call = {.reply = gh_waiter_reply, .reply_context = &waiter};
    gh_waiter_init(&waiter);
    return ack_wait(&waiter, &call,
                    gh_pubsub_modify_deadline(ps, tenant, subscription, ack_ids, count, deadline_s,
                                              &call, error),
                    error);
}
