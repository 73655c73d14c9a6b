/* The times of activity, gathered in memory: one short lock per note, one transaction per second
 * for all devices that did something. Sixteen shards keep loops out of each other's way. */
#include "base/log.h"
#include "base/time.h"
#include "registry/directory_internal.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH_MAX = 1024, /* devices in one transaction: other writers wait for it, tens of ms */
    PERIOD_MS = 1000, /* between flushes */
    DUTY = 20, /* a flush that took t is followed by DUTY * t of rest: at most 5 % of a core */
};

struct entry {
    uint64_t device;
    int64_t at_ms[GH_ACTIVITY_COUNT];
    int error_code;
    uint8_t message_size;
    bool dirty;
    char *message; /* GH_ACTIVITY_MESSAGE_MAX bytes, made at the first error */
};

static struct gh_slice key_of(const uint64_t *device)
{
    return gh_slice(device, sizeof *device);
}

static struct gh_activity_shard *shard_of(struct gh_activity_table *table, uint64_t device)
{
    return &table->shards[device % GH_ACTIVITY_SHARDS]; /* numbers are random */
}

static void entry_free(struct entry *entry)
{
    free(entry->message);
    free(entry);
}

/* The device's entry, made when there is none; NULL without memory. The shard is locked. */
static struct entry *entry_of(struct gh_activity_shard *shard, uint64_t device)
{
    struct entry *entry = gh_map_get(&shard->entries, key_of(&device));
    if (entry != NULL)
        return entry;
    entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return NULL;
    entry->device = device;
    if (!gh_map_put(&shard->entries, key_of(&device), entry, NULL)) {
        entry_free(entry);
        return NULL;
    }
    return entry;
}

static void message_keep(struct entry *entry, int code, struct gh_slice message)
{
    if (entry->message == NULL)
        entry->message = malloc(GH_ACTIVITY_MESSAGE_MAX);
    size_t size = entry->message == NULL ? 0 : message.size;
    if (size > GH_ACTIVITY_MESSAGE_MAX)
        for (size = GH_ACTIVITY_MESSAGE_MAX; size > 0 && (message.data[size] & 0xc0) == 0x80;)
            size--; /* not inside a character of UTF-8 */
    if (size > 0)
        memcpy(entry->message, message.data, size);
    entry->message_size = (uint8_t)size;
    entry->error_code = code;
}

static_assert(GH_ACTIVITY_MESSAGE_MAX <= UINT8_MAX, "the size of a message fits its byte");

void gh_activity_note(struct gh_activity_table *table, uint64_t device, enum gh_activity what,
                      int64_t utc_ms, int code, struct gh_slice message)
{
    assert(what < GH_ACTIVITY_COUNT);
    struct gh_activity_shard *shard = shard_of(table, device);
    pthread_mutex_lock(&shard->lock);
    struct entry *entry = entry_of(shard, device);
    if (entry != NULL && utc_ms >= entry->at_ms[what]) {
        entry->at_ms[what] = utc_ms;
        entry->dirty = true;
        if (what == GH_ACTIVITY_ERROR)
            message_keep(entry, code, message);
    }
    pthread_mutex_unlock(&shard->lock);
}

/* --- flushing --- */

/* Of as many as wait when the flush begins, and BATCH_MAX at most: a block that is freed is wiped,
 * so that one of the largest size would cost its pages in every second in which little happens. */
struct batch {
    size_t count, capacity;
    char (*messages)[GH_ACTIVITY_MESSAGE_MAX]; /* behind the rows */
    struct gh_activity_times rows[];
};

/* NULL without memory. */
static struct batch *batch_open(size_t capacity)
{
    struct batch *batch;
    batch = malloc(sizeof *batch + capacity * (sizeof batch->rows[0] + GH_ACTIVITY_MESSAGE_MAX));
    if (batch == NULL)
        return NULL;
    batch->count = 0;
    batch->capacity = capacity;
    batch->messages = (void *)&batch->rows[capacity];
    return batch;
}

/* What waits to be written: times of devices and uses of credentials. */
struct waiting {
    size_t times, uses;
};

static struct waiting count_waiting(struct gh_activity_table *table)
{
    struct waiting waiting = {0};
    for (size_t i = 0; i < GH_ACTIVITY_SHARDS; i++) {
        pthread_mutex_lock(&table->shards[i].lock);
        waiting.times += table->shards[i].entries.count;
        waiting.uses += table->shards[i].uses.count;
        pthread_mutex_unlock(&table->shards[i].lock);
    }
    return waiting;
}

static void take(struct batch *batch, struct entry *entry)
{
    struct gh_activity_times *row = &batch->rows[batch->count];
    *row = (struct gh_activity_times){.device = entry->device, .error_code = entry->error_code};
    memcpy(row->at_ms, entry->at_ms, sizeof row->at_ms);
    if (entry->message_size > 0)
        memcpy(batch->messages[batch->count], entry->message, entry->message_size);
    row->error_message = gh_slice(batch->messages[batch->count], entry->message_size);
    entry->dirty = false;
    batch->count++;
}

/* Fills the batch from `*shard` on. */
static void gather(struct gh_activity_table *table, struct batch *batch, size_t *shard)
{
    batch->count = 0;
    for (; *shard < GH_ACTIVITY_SHARDS; ++*shard) {
        size_t at = 0;
        struct gh_slice key;
        void *value;
        pthread_mutex_lock(&table->shards[*shard].lock);
        while (batch->count < batch->capacity &&
               gh_map_next(&table->shards[*shard].entries, &at, &key, &value))
            if (((struct entry *)value)->dirty)
                take(batch, value);
        pthread_mutex_unlock(&table->shards[*shard].lock);
        if (batch->count == batch->capacity)
            return;
    }
}

/* After a commit the entries that have not changed since are removed, after a failure all are dirty
 * again. */
static void settle(struct gh_activity_table *table, const struct batch *batch, bool committed)
{
    pthread_rwlock_wrlock(&table->removal);
    for (size_t i = 0; i < batch->count; i++) {
        struct gh_activity_shard *shard = shard_of(table, batch->rows[i].device);
        pthread_mutex_lock(&shard->lock);
        struct entry *entry = gh_map_get(&shard->entries, key_of(&batch->rows[i].device));
        if (entry != NULL && !committed) {
            entry->dirty = true;
        } else if (entry != NULL && !entry->dirty) {
            gh_map_remove(&shard->entries, key_of(&batch->rows[i].device));
            entry_free(entry);
        }
        pthread_mutex_unlock(&shard->lock);
    }
    pthread_rwlock_unlock(&table->removal);
}

/* In the order of the table, so that neighbours share pages. */
static int by_device(const void *a, const void *b)
{
    uint64_t first = ((const struct gh_activity_times *)a)->device;
    uint64_t second = ((const struct gh_activity_times *)b)->device;
    return (first > second) - (first < second);
}

static enum gh_error_code flush_times(struct gh_activity_table *table, size_t waiting,
                                      struct gh_error *error)
{
    enum gh_error_code code = GH_OK;
    struct batch *batch = batch_open(waiting < BATCH_MAX ? waiting : BATCH_MAX);
    if (batch == NULL)
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory to write activity times");
    size_t shard = 0, written = 0; /* what comes meanwhile may wait for the next flush */
    while (code == GH_OK && written < waiting) {
        gather(table, batch, &shard);
        if (batch->count == 0)
            break;
        written += batch->count;
        qsort(batch->rows, batch->count, sizeof batch->rows[0], by_device);
        code = gh_store_activity_put(table->store, batch->rows, batch->count, error);
        settle(table, batch, code == GH_OK);
    }
    free(batch);
    return code;
}

enum gh_error_code gh_activity_flush(struct gh_activity_table *table, struct gh_error *error)
{
    enum gh_error_code code = GH_OK;
    pthread_mutex_lock(&table->flushing);
    struct waiting waiting = count_waiting(table);
    if (waiting.times > 0)
        code = flush_times(table, waiting.times, error);
    if (code == GH_OK && waiting.uses > 0)
        code = gh_uses_flush(table, waiting.uses, error);
    pthread_mutex_unlock(&table->flushing);
    return code;
}

/* Waits for the period or the end; true at the end. */
static bool rest(struct gh_activity_table *table, int64_t wait_ns)
{
    int64_t until = gh_time_monotonic_ns() + wait_ns;
    struct timespec at = {.tv_sec = until / GH_SECOND_NS, .tv_nsec = until % GH_SECOND_NS};
    pthread_mutex_lock(&table->wake_lock);
    while (!table->stopping && pthread_cond_timedwait(&table->wake, &table->wake_lock, &at) == 0)
        continue;
    bool stopping = table->stopping;
    pthread_mutex_unlock(&table->wake_lock);
    return stopping;
}

static void *run(void *context)
{
    struct gh_activity_table *table = context;
    int64_t wait_ns = PERIOD_MS * GH_MS_NS;
    bool failing = false;
    while (!rest(table, wait_ns)) {
        struct gh_error error;
        char line[GH_ERROR_LINE_MAX];
        int64_t began_ns = gh_time_monotonic_ns();
        enum gh_error_code code = gh_activity_flush(table, &error);
        gh_store_tidy(table->store);
        gh_recent_rest(table->recent); /* before the heap is trimmed */
        (void)gh_store_rest(table->store);
        if (code != GH_OK && !failing)
            gh_log(GH_LOG_WARN, "registry", "activity times stay in memory: %s",
                   gh_error_line(&error, line));
        failing = code != GH_OK;
        int64_t took_ns = gh_time_monotonic_ns() - began_ns;
        wait_ns = took_ns * DUTY > PERIOD_MS * GH_MS_NS ? took_ns * DUTY : PERIOD_MS * GH_MS_NS;
    }
    return NULL;
}

/* --- reading --- */

void gh_activity_read_begin(struct gh_activity_table *table)
{
    pthread_rwlock_rdlock(&table->removal);
}

void gh_activity_read_end(struct gh_activity_table *table)
{
    pthread_rwlock_unlock(&table->removal);
}

static void raise_to(int64_t *time_ms, int64_t noted_ms)
{
    if (noted_ms > *time_ms)
        *time_ms = noted_ms;
}

bool gh_activity_lay_over(struct gh_activity_table *table, struct gh_arena *arena,
                          struct gh_device *device)
{
    struct entry seen = {0};
    char message[GH_ACTIVITY_MESSAGE_MAX];
    struct gh_activity_shard *shard = shard_of(table, device->number);
    pthread_mutex_lock(&shard->lock);
    const struct entry *entry = gh_map_get(&shard->entries, key_of(&device->number));
    if (entry != NULL) {
        seen = *entry;
        if (entry->message_size > 0)
            memcpy(message, entry->message, entry->message_size);
    }
    pthread_mutex_unlock(&shard->lock);

    gh_uses_lay_over(table, device);
    raise_to(&device->last_heartbeat_ms, seen.at_ms[GH_ACTIVITY_HEARTBEAT]);
    raise_to(&device->last_event_ms, seen.at_ms[GH_ACTIVITY_EVENT]);
    raise_to(&device->last_state_ms, seen.at_ms[GH_ACTIVITY_STATE]);
    raise_to(&device->last_config_ack_ms, seen.at_ms[GH_ACTIVITY_CONFIG_ACK]);
    raise_to(&device->last_config_send_ms, seen.at_ms[GH_ACTIVITY_CONFIG_SEND]);
    if (seen.at_ms[GH_ACTIVITY_ERROR] == 0 || seen.at_ms[GH_ACTIVITY_ERROR] < device->last_error_ms)
        return true;
    device->last_error_ms = seen.at_ms[GH_ACTIVITY_ERROR];
    device->last_error_code = seen.error_code;
    return gh_arena_copy(arena, gh_slice(message, seen.message_size), &device->last_error_message);
}

/* --- opening --- */

static void locks_init(struct gh_activity_table *table)
{
    pthread_rwlockattr_t
        prefer_writer; /* readers come without end, and the writer's part is short */
    pthread_rwlockattr_init(&prefer_writer);
    pthread_rwlockattr_setkind_np(&prefer_writer, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&table->removal, &prefer_writer);
    pthread_rwlockattr_destroy(&prefer_writer);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&table->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&table->flushing, NULL);
    pthread_mutex_init(&table->wake_lock, NULL);
}

static void deinit(struct gh_activity_table *table)
{
    for (size_t i = 0; i < GH_ACTIVITY_SHARDS; i++) {
        size_t at = 0;
        struct gh_slice key;
        void *value;
        while (gh_map_next(&table->shards[i].entries, &at, &key, &value))
            entry_free(value);
        gh_map_deinit(&table->shards[i].entries);
        gh_uses_deinit(&table->shards[i]);
        pthread_mutex_destroy(&table->shards[i].lock);
    }
    pthread_mutex_destroy(&table->wake_lock);
    pthread_mutex_destroy(&table->flushing);
    pthread_cond_destroy(&table->wake);
    pthread_rwlock_destroy(&table->removal);
}

bool gh_activity_open(struct gh_activity_table *table, struct gh_store *store,
                      struct gh_recent *recent, struct gh_error *error)
{
    *table = (struct gh_activity_table){.store = store, .recent = recent};
    locks_init(table);
    for (size_t i = 0; i < GH_ACTIVITY_SHARDS; i++) {
        pthread_mutex_init(&table->shards[i].lock, NULL);
        gh_map_init(&table->shards[i].entries);
        gh_map_init(&table->shards[i].uses);
    }
    if (pthread_create(&table->thread, NULL, run, table) == 0)
        return true;
    deinit(table);
    gh_error_set(error, GH_ERROR_MEMORY, "no thread for activity times");
    return false;
}

void gh_activity_close(struct gh_activity_table *table)
{
    struct gh_error error;
    char line[GH_ERROR_LINE_MAX];
    pthread_mutex_lock(&table->wake_lock);
    table->stopping = true;
    pthread_cond_signal(&table->wake);
    pthread_mutex_unlock(&table->wake_lock);
    pthread_join(table->thread, NULL);
    if (gh_activity_flush(table, &error) != GH_OK)
        gh_log(GH_LOG_WARN, "registry", "activity times are lost: %s", gh_error_line(&error, line));
    deinit(table);
}
