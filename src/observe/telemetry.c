#include "observe/telemetry.h"
#include "base/log.h"
#include "base/time.h"
#include "observe/block.h"
#include "observe/telemetry_internal.h"
#include "store/store.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    TAIL_BYTES = 64 * 1024 * 1024,
    TURN_RECORDS = 256,  /* added under one taking of the lock */
    COMMIT_BLOCKS = 256, /* sealed in one transaction: other writers of the store get their turn */
    BLOCKS_BYTES_MAX = 64 * 1024 * 1024,
    WAIT_MS = 1000,
    SEAL_WAIT_S = 60,
    NODE_COST = 16, /* of the allocator */
};
#define SEAL_AFTER_MS (INT64_C(10) * 60 * 1000)
#define AGE_MAX_MS (INT64_C(90) * 24 * 3600 * 1000)
#define TRIM_EVERY_NS (600 * GH_SECOND_NS)

struct gh_slice gh_telemetry_key(const uint64_t *device)
{
    return gh_slice(device, sizeof *device);
}

struct gh_telemetry_record gh_telemetry_record_of(const struct gh_telemetry_node *node)
{
    return (struct gh_telemetry_record){
        .at_ms = node->at_ms,
        .id = node->id,
        .channel = gh_slice(node->bytes, node->channel_bytes),
        .payload = gh_slice(node->bytes + node->channel_bytes, node->payload_bytes)};
}

static int64_t now_ms(const struct gh_telemetry *telemetry)
{
    const struct gh_telemetry_options *options = &telemetry->options;
    return options->utc_ms == NULL ? gh_time_utc_ms() : options->utc_ms(options->utc_context);
}

static size_t node_bytes(const struct gh_telemetry_node *node)
{
    return sizeof *node + node->channel_bytes + node->payload_bytes + NODE_COST;
}

static void tail_init(struct gh_telemetry_tail *tail)
{
    *tail = (struct gh_telemetry_tail){.bytes = 0};
    gh_map_init(&tail->series);
}

static void tail_free(struct gh_telemetry_tail *tail)
{
    struct gh_slice key;
    void *value;
    for (size_t at = 0; gh_map_next(&tail->series, &at, &key, &value);) {
        struct gh_telemetry_series *series = value;
        for (struct gh_telemetry_node *node = series->oldest, *newer; node != NULL; node = newer) {
            newer = node->newer;
            free(node);
        }
        free(series);
    }
    gh_map_deinit(&tail->series);
}

static struct gh_telemetry_series *series_of(struct gh_telemetry_tail *tail, uint64_t device)
{
    struct gh_telemetry_series *series = gh_map_get(&tail->series, gh_telemetry_key(&device));
    if (series != NULL)
        return series;
    series = calloc(1, sizeof *series);
    if (series == NULL)
        return NULL;
    series->device = device;
    if (!gh_map_put(&tail->series, gh_telemetry_key(&device), series, NULL)) {
        free(series);
        return NULL;
    }
    tail->bytes += sizeof *series + 64; /* and its place in the map */
    return series;
}

/* False: no memory. */
static bool tail_add(struct gh_telemetry_tail *tail, const struct gh_tapped *tapped)
{
    const struct gh_message *message = &tapped->message;
    size_t size = message->channel.size + message->data.size;
    struct gh_telemetry_series *series = series_of(tail, message->device);
    struct gh_telemetry_node *node = series == NULL ? NULL : malloc(sizeof *node + size);
    if (node == NULL)
        return false;
    *node = (struct gh_telemetry_node){.older = series->newest,
                                       .at_ms = tapped->at_ms,
                                       .id = tapped->id,
                                       .channel_bytes = (uint32_t)message->channel.size,
                                       .payload_bytes = (uint32_t)message->data.size};
    struct gh_buffer bytes = gh_buffer_fixed(node->bytes, size);
    gh_buffer_put(&bytes, message->channel);
    gh_buffer_put(&bytes, message->data);
    if (series->newest == NULL)
        series->oldest = node;
    else
        series->newest->newer = node;
    series->newest = node;
    tail->bytes += node_bytes(node);
    return true;
}

/* Blocks on their way into the store. Their bytes are taken out of `bytes` when all have been
 * written, as the buffer moves while it grows. */
struct batch {
    struct gh_telemetry *telemetry;
    struct gh_buffer bytes;
    struct gh_block_row rows[COMMIT_BLOCKS];
    size_t starts[COMMIT_BLOCKS];
    size_t count;
    struct gh_telemetry_record records[GH_BLOCK_RECORDS_MAX];
    struct gh_error error;
};

/* Until the last batch the mark stays where it was: after a crash in between the records are read
 * from the log once more and some stand in two blocks, which queries see by their time and id. */
static bool batch_commit(struct batch *batch, uint64_t sealed_to)
{
    for (size_t i = 0; i < batch->count; i++) {
        size_t end = i + 1 < batch->count ? batch->starts[i + 1] : batch->bytes.size;
        batch->rows[i].bytes =
            gh_slice(batch->bytes.data + batch->starts[i], end - batch->starts[i]);
    }
    bool stored = gh_store_blocks_put(batch->telemetry->options.store, batch->rows, batch->count,
                                      sealed_to, &batch->error) == GH_OK;
    batch->count = 0;
    gh_buffer_clear(&batch->bytes);
    return stored;
}

/* One block from `node` on; leaves `*node` behind it. */
static bool block_add(struct batch *batch, uint64_t device, const struct gh_telemetry_node **node)
{
    size_t count = 0, bytes = 0;
    for (; *node != NULL && count < GH_BLOCK_RECORDS_MAX; *node = (*node)->newer) {
        if (count > 0 && (bytes + (*node)->payload_bytes > GH_BLOCK_TARGET_BYTES ||
                          (*node)->at_ms < batch->records[count - 1].at_ms))
            break; /* times ascend within a block, also when the clock stepped back */
        bytes += (*node)->payload_bytes;
        batch->records[count++] = gh_telemetry_record_of(*node);
    }
    batch->starts[batch->count] = batch->bytes.size;
    batch->rows[batch->count] = (struct gh_block_row){.device = device,
                                                      .first_ms = batch->records[0].at_ms,
                                                      .last_ms = batch->records[count - 1].at_ms,
                                                      .count = count};
    batch->count++;
    if (gh_block_seal(batch->records, count, &batch->bytes))
        return true;
    gh_error_set(&batch->error, GH_ERROR_MEMORY, "no memory to seal telemetry");
    return false;
}

static int by_device(const void *a, const void *b)
{
    uint64_t x = (*(struct gh_telemetry_series *const *)a)->device;
    uint64_t y = (*(struct gh_telemetry_series *const *)b)->device;
    return (x > y) - (x < y);
}

/* All of `sealing` into the store, by device, so that the table's pages are met in their order.
 * Reads it without the lock: nobody changes it while it is sealed. */
static bool blocks_store(struct batch *batch)
{
    struct gh_telemetry *telemetry = batch->telemetry;
    struct gh_map *map = &telemetry->sealing.series;
    struct gh_telemetry_series **all = calloc(map->count + 1, sizeof(struct gh_telemetry_series *));
    struct gh_slice key;
    size_t count = 0;
    void *value;
    bool good = all != NULL;

    if (!good)
        gh_error_set(&batch->error, GH_ERROR_MEMORY, "no memory to seal telemetry");
    for (size_t at = 0; good && gh_map_next(map, &at, &key, &value);)
        all[count++] = value;
    if (count > 0)
        qsort(all, count, sizeof(struct gh_telemetry_series *), by_device);
    for (size_t i = 0; good && i < count; i++)
        for (const struct gh_telemetry_node *node = all[i]->oldest; good && node != NULL;) {
            good = block_add(batch, all[i]->device, &node);
            if (good && (batch->count == COMMIT_BLOCKS || batch->bytes.size > BLOCKS_BYTES_MAX / 2))
                good = batch_commit(batch, telemetry->sealed_to);
        }
    free(all);
    return good && batch_commit(batch, telemetry->sealing_to);
}

/* Moves what is in memory into the store. On failure it stays in `sealing` and is tried again. */
static void seal(struct gh_telemetry *telemetry)
{
    struct batch *batch = calloc(1, sizeof *batch);
    struct gh_error error = {.code = GH_ERROR_MEMORY, .text = "no memory to seal telemetry"};
    struct gh_telemetry_tail sealed = {0};

    pthread_mutex_lock(&telemetry->lock);
    if (telemetry->sealing_to == 0) {
        struct gh_telemetry_tail empty = telemetry->sealing;
        telemetry->sealing = telemetry->young;
        telemetry->sealing_to = telemetry->read_to;
        telemetry->young = empty;
    }
    pthread_mutex_unlock(&telemetry->lock);

    bool stored = batch != NULL;
    if (stored) {
        batch->telemetry = telemetry;
        gh_buffer_init(&batch->bytes, BLOCKS_BYTES_MAX);
        stored = blocks_store(batch);
        error = batch->error;
        gh_buffer_deinit(&batch->bytes);
    }
    free(batch);
    pthread_mutex_lock(&telemetry->lock);
    if (stored) {
        sealed = telemetry->sealing;
        tail_init(&telemetry->sealing);
        telemetry->sealed_to = telemetry->sealing_to;
        telemetry->sealing_to = 0;
        telemetry->retry_at_ns = 0;
        telemetry->sealed_at_ms = now_ms(telemetry);
    } else {
        if (telemetry->retry_at_ns == 0)
            gh_log(GH_LOG_ERROR, "telemetry", "sealing failed and is repeated: %s", error.text);
        telemetry->retry_at_ns = gh_time_monotonic_ns() + GH_SECOND_NS;
        telemetry->failures++;
        telemetry->failure = error;
    }
    pthread_cond_broadcast(&telemetry->moved);
    pthread_mutex_unlock(&telemetry->lock);
    if (stored) {
        tail_free(&sealed);
        gh_follower_hold(telemetry->follower, telemetry->sealed_to);
    }
}

/* Reads on in the log. False: there is nothing more now. */
static bool read_some(struct gh_telemetry *telemetry)
{
    struct gh_tapped tapped;
    enum gh_log_read step = GH_LOG_READ_RECORD;
    pthread_mutex_lock(&telemetry->lock);
    for (int i = 0; i < TURN_RECORDS && step == GH_LOG_READ_RECORD; i++) {
        step = gh_follower_next(telemetry->follower, &tapped);
        if (step != GH_LOG_READ_RECORD || tapped.message.device == 0)
            continue;
        while (
            !tail_add(&telemetry->young, &tapped)) { /* waits for memory: nothing may be left out */
            pthread_mutex_unlock(&telemetry->lock);
            if (atomic_load(&telemetry->closing))
                return false;
            seal(telemetry);
            gh_follower_wait(telemetry->follower, WAIT_MS);
            pthread_mutex_lock(&telemetry->lock);
        }
    }
    telemetry->read_to = gh_follower_at(telemetry->follower);
    pthread_cond_broadcast(&telemetry->moved);
    pthread_mutex_unlock(&telemetry->lock);
    return step == GH_LOG_READ_RECORD;
}

static bool seal_is_due(struct gh_telemetry *telemetry)
{
    const struct gh_telemetry_options *options = &telemetry->options;
    if (telemetry->retry_at_ns != 0)
        return gh_time_monotonic_ns() >= telemetry->retry_at_ns;
    pthread_mutex_lock(&telemetry->lock);
    bool due = telemetry->young.bytes >= options->tail_bytes_max / 2 ||
               (telemetry->seal_wanted > telemetry->sealed_to &&
                telemetry->read_to >= telemetry->seal_wanted) ||
               (telemetry->read_to > telemetry->sealed_to && /* also without records: the mark
                                                                lets old segments of the log go */
                now_ms(telemetry) - telemetry->sealed_at_ms >= options->seal_after_ms);
    pthread_mutex_unlock(&telemetry->lock);
    return due;
}

static void trim(struct gh_telemetry *telemetry)
{
    struct gh_error error;
    size_t removed = 1;
    if (gh_time_monotonic_ns() < telemetry->trim_at_ns)
        return;
    telemetry->trim_at_ns = gh_time_monotonic_ns() + TRIM_EVERY_NS;
    while (removed > 0 && !atomic_load(&telemetry->closing))
        if (gh_store_blocks_trim(telemetry->options.store,
                                 now_ms(telemetry) - telemetry->options.age_max_ms, &removed,
                                 &error) != GH_OK)
            removed = 0;
}

static void *run(void *context)
{
    struct gh_telemetry *telemetry = context;
    while (!atomic_load(&telemetry->closing)) {
        bool full =
            telemetry->young.bytes + telemetry->sealing.bytes >= telemetry->options.tail_bytes_max;
        bool more = !full && read_some(telemetry);
        if (seal_is_due(telemetry))
            seal(telemetry);
        trim(telemetry);
        if (full)
            gh_follower_wait(telemetry->follower, WAIT_MS / 10);
        else if (!more)
            gh_follower_wait(telemetry->follower, WAIT_MS);
    }
    return NULL;
}

static void telemetry_free(struct gh_telemetry *telemetry)
{
    gh_follower_close(telemetry->follower);
    tail_free(&telemetry->young);
    tail_free(&telemetry->sealing);
    pthread_mutex_destroy(&telemetry->lock);
    pthread_cond_destroy(&telemetry->moved);
    free(telemetry);
}

static struct gh_telemetry *telemetry_new(const struct gh_telemetry_options *options)
{
    pthread_condattr_t monotonic;
    struct gh_telemetry *telemetry = calloc(1, sizeof *telemetry);
    if (telemetry == NULL)
        return NULL;
    telemetry->options = *options;
    if (options->tail_bytes_max == 0)
        telemetry->options.tail_bytes_max = TAIL_BYTES;
    if (options->seal_after_ms == 0)
        telemetry->options.seal_after_ms = SEAL_AFTER_MS;
    if (options->age_max_ms == 0)
        telemetry->options.age_max_ms = AGE_MAX_MS;
    pthread_mutex_init(&telemetry->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&telemetry->moved, &monotonic);
    pthread_condattr_destroy(&monotonic);
    tail_init(&telemetry->young);
    tail_init(&telemetry->sealing);
    return telemetry;
}

struct gh_telemetry *gh_telemetry_open(const struct gh_telemetry_options *options,
                                       struct gh_error *error)
{
    uint64_t sealed = 0, next = gh_pubsub_next(options->pubsub);
    struct gh_telemetry *telemetry = telemetry_new(options);
    if (telemetry == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "no memory for telemetry");
        return NULL;
    }
    if (gh_store_blocks_sealed(options->store, &sealed, error) != GH_OK)
        goto failed;
    if (sealed > next) {
        gh_log(GH_LOG_WARN, "telemetry",
               "the store has sealed to message %llu, the log ends before %llu: another log than "
               "before?",
               (unsigned long long)sealed, (unsigned long long)next);
        sealed = next;
    }
    telemetry->sealed_to = telemetry->read_to = sealed == 0 ? 1 : sealed;
    telemetry->sealed_at_ms = now_ms(telemetry);
    telemetry->follower = gh_follower_open(options->pubsub, "telemetry", telemetry->sealed_to);
    if (telemetry->follower == NULL ||
        pthread_create(&telemetry->thread, NULL, run, telemetry) != 0) {
        gh_error_set(error, GH_ERROR_MEMORY, "no memory for telemetry");
        goto failed;
    }
    return telemetry;
failed:
    telemetry_free(telemetry);
    return NULL;
}

void gh_telemetry_close(struct gh_telemetry *telemetry)
{
    if (telemetry == NULL)
        return;
    atomic_store(&telemetry->closing, true);
    gh_follower_wake(telemetry->follower);
    pthread_join(telemetry->thread, NULL);
    telemetry_free(telemetry);
}

enum gh_error_code gh_telemetry_seal(struct gh_telemetry *telemetry, struct gh_error *error)
{
    enum gh_error_code code = GH_OK;
    int64_t until_ns = gh_time_monotonic_ns() + SEAL_WAIT_S * GH_SECOND_NS;
    struct timespec until = {.tv_sec = until_ns / GH_SECOND_NS, .tv_nsec = until_ns % GH_SECOND_NS};
    uint64_t target = gh_pubsub_next(telemetry->options.pubsub);

    pthread_mutex_lock(&telemetry->lock);
    unsigned failures = telemetry->failures;
    if (telemetry->seal_wanted < target)
        telemetry->seal_wanted = target;
    gh_follower_wake(telemetry->follower);
    while (code == GH_OK && telemetry->sealed_to < target) {
        if (telemetry->failures != failures) {
            code = telemetry->failure.code;
            if (error != NULL)
                *error = telemetry->failure;
        } else if (pthread_cond_timedwait(&telemetry->moved, &telemetry->lock, &until) != 0) {
            code = gh_error_set(error, GH_ERROR_TIMEOUT, "telemetry could not be sealed in time");
        }
    }
    pthread_mutex_unlock(&telemetry->lock);
    return code;
}

struct gh_telemetry_status gh_telemetry_status(struct gh_telemetry *telemetry)
{
    pthread_mutex_lock(&telemetry->lock);
    struct gh_telemetry_status status = {.sealed_to = telemetry->sealed_to,
                                         .read_to = telemetry->read_to,
                                         .tail_bytes =
                                             telemetry->young.bytes + telemetry->sealing.bytes};
    pthread_mutex_unlock(&telemetry->lock);
    return status;
}
