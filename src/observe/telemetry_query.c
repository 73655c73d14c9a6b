#include "base/time.h"
#include "observe/block.h"
#include "observe/telemetry_internal.h"
#include "store/store.h"
#include <string.h>
#include <time.h>

enum { LIMIT_DEFAULT = 500, CATCH_UP_S = 10 };

/* The newest records found so far, newest first. */
struct newest {
    const struct gh_telemetry_query *query;
    struct gh_arena *arena;
    struct gh_telemetry_record *records;
    size_t count, limit;
    bool truncated;
    bool damaged;
    struct gh_block block;
};

static int compare(const struct gh_telemetry_record *a, const struct gh_telemetry_record *b)
{
    if (a->at_ms != b->at_ms)
        return a->at_ms < b->at_ms ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

static bool wanted(const struct gh_telemetry_query *query, const struct gh_telemetry_record *record)
{
    return record->at_ms >= query->from_ms && (query->to_ms == 0 || record->at_ms < query->to_ms) &&
           (!query->has_channel || gh_slice_equal(record->channel, query->channel));
}

/* Where `record` belongs; `*there`: it is there already. */
static size_t place_of(const struct newest *newest, const struct gh_telemetry_record *record,
                       bool *there)
{
    size_t low = 0, high = newest->count;
    *there = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(&newest->records[middle], record);
        if (order == 0) {
            *there = true;
            return middle;
        }
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Takes a record that is wanted, unless it is older than all that fit. False: the arena is full;
 * what is older is left out from here on. */
static bool take(struct newest *newest, const struct gh_telemetry_record *record)
{
    struct gh_telemetry_record copy = *record;
    bool there;
    size_t at = place_of(newest, record, &there);
    if (there)
        return true;
    if (at == newest->limit) {
        newest->truncated = true;
        return true;
    }
    if (!gh_arena_copy(newest->arena, record->channel, &copy.channel) ||
        !gh_arena_copy(newest->arena, record->payload, &copy.payload)) {
        newest->truncated = true;
        newest->limit = newest->count;
        return newest->limit > 0;
    }
    if (newest->count == newest->limit)
        newest->truncated = true;
    else
        newest->count++;
    memmove(newest->records + at + 1, newest->records + at,
            (newest->count - at - 1) * sizeof *newest->records);
    newest->records[at] = copy;
    return true;
}

/* Full, and everything at or before `at_ms` is older. */
static bool is_enough(const struct newest *newest, int64_t at_ms)
{
    return newest->count == newest->limit &&
           (newest->count == 0 || at_ms < newest->records[newest->count - 1].at_ms);
}

static void look_in_memory(struct newest *newest, const struct gh_telemetry_tail *tail)
{
    const struct gh_telemetry_series *series =
        gh_map_get(&tail->series, gh_telemetry_key(&newest->query->device));
    if (series == NULL)
        return;
    /* All of them: where the clock stepped back the order of ids is not that of times. */
    for (const struct gh_telemetry_node *node = series->newest; node != NULL; node = node->older) {
        struct gh_telemetry_record record = gh_telemetry_record_of(node);
        if (wanted(newest->query, &record) && !take(newest, &record))
            return;
    }
}

static bool look_in_block(void *context, const struct gh_block_row *row)
{
    struct newest *newest = context;
    if (is_enough(newest, row->last_ms)) {
        newest->truncated = true;
        return false;
    }
    if (!gh_block_open(&newest->block, row->bytes)) {
        newest->damaged = true;
        return false;
    }
    for (size_t i = newest->block.count; i-- > 0;) {
        const struct gh_telemetry_record *record = &newest->block.records[i];
        if (wanted(newest->query, record) && !take(newest, record))
            return false;
    }
    return true;
}

/* Until all is read that was stored before the query. */
static enum gh_error_code catch_up(struct gh_telemetry *telemetry, struct gh_error *error)
{
    uint64_t target = gh_pubsub_next(telemetry->options.pubsub);
    int64_t until_ns = gh_time_monotonic_ns() + CATCH_UP_S * GH_SECOND_NS;
    struct timespec until = {.tv_sec = until_ns / GH_SECOND_NS, .tv_nsec = until_ns % GH_SECOND_NS};
    while (telemetry->read_to < target)
        if (pthread_cond_timedwait(&telemetry->moved, &telemetry->lock, &until) != 0)
            return gh_error_set(error, GH_ERROR_TIMEOUT,
                                "telemetry is still reading the message log (at %llu of %llu)",
                                (unsigned long long)telemetry->read_to, (unsigned long long)target);
    return GH_OK;
}

enum gh_error_code gh_telemetry_query(struct gh_telemetry *telemetry,
                                      const struct gh_telemetry_query *query,
                                      struct gh_arena *arena, struct gh_telemetry_answer *out,
                                      struct gh_error *error)
{
    struct newest newest = {.query = query, .arena = arena, .limit = LIMIT_DEFAULT};
    int64_t to_ms = query->to_ms == 0 ? INT64_MAX : query->to_ms;

    *out = (struct gh_telemetry_answer){.records = NULL};
    if (query->limit != 0)
        newest.limit =
            query->limit < GH_TELEMETRY_LIMIT_MAX ? query->limit : GH_TELEMETRY_LIMIT_MAX;
    newest.records = gh_arena_array(arena, newest.limit + 1, sizeof *newest.records);
    if (newest.records == NULL)
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory for a query of telemetry");

    pthread_mutex_lock(&telemetry->lock);
    enum gh_error_code code = catch_up(telemetry, error);
    if (code == GH_OK) {
        look_in_memory(&newest, &telemetry->young);
        look_in_memory(&newest, &telemetry->sealing);
    }
    pthread_mutex_unlock(&telemetry->lock);
    gh_block_init(&newest.block);
    if (code == GH_OK && query->from_ms < to_ms)
        code = gh_store_blocks_each(telemetry->options.store, query->device, query->from_ms, to_ms,
                                    look_in_block, &newest, error);
    gh_block_deinit(&newest.block);
    if (code == GH_OK && newest.damaged)
        code = gh_error_set(error, GH_ERROR_STORE_CORRUPT,
                            "a block of telemetry of device %llu is damaged",
                            (unsigned long long)query->device);
    if (code != GH_OK)
        return code;
    for (size_t i = 0; i < newest.count / 2; i++) { /* ascending */
        struct gh_telemetry_record swap = newest.records[i];
        newest.records[i] = newest.records[newest.count - 1 - i];
        newest.records[newest.count - 1 - i] = swap;
    }
    *out = (struct gh_telemetry_answer){
        .records = newest.records, .count = newest.count, .truncated = newest.truncated};
    return GH_OK;
}
