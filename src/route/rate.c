#include "route/rate.h"
#include "base/map.h"
#include "base/time.h"
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

enum { SHARDS = 16, PRUNE_FROM = 1024 };

static const char *const names[] = {
    [GH_RATE_STATES] = "state updates", [GH_RATE_HTTP_EVENTS] = "events by HTTP"};

const struct gh_rate gh_rates_compat[GH_RATE_KIND_COUNT] = {
    [GH_RATE_STATES] = {1, 1000}, [GH_RATE_HTTP_EVENTS] = {6000, 60 * 1000}};

struct key {
    uint64_t device;
    uint64_t kind;
};

struct bucket {
    int64_t full_ns; /* when it is full again */
};

struct shard {
    pthread_mutex_t lock;
    struct gh_map buckets;
    size_t prune_at; /* so many entries are looked through for full ones */
};

struct gh_rates {
    struct gh_rate ceilings[GH_RATE_KIND_COUNT];
    struct shard shards[SHARDS];
};

const char *gh_rate_kind_name(enum gh_rate_kind kind)
{
    assert((size_t)kind < GH_COUNT(names));
    return names[kind];
}

struct gh_rates *gh_rates_open(const struct gh_rate ceilings[GH_RATE_KIND_COUNT])
{
    struct gh_rates *rates = calloc(1, sizeof *rates);
    if (rates == NULL)
        return NULL;
    for (size_t i = 0; i < GH_RATE_KIND_COUNT; i++)
        rates->ceilings[i] = ceilings[i];
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&rates->shards[i].lock, NULL);
        gh_map_init(&rates->shards[i].buckets);
        rates->shards[i].prune_at = PRUNE_FROM;
    }
    return rates;
}

void gh_rates_close(struct gh_rates *rates)
{
    if (rates == NULL)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        struct gh_slice key;
        size_t at = 0;
        for (void *bucket; gh_map_next(&rates->shards[i].buckets, &at, &key, &bucket);)
            free(bucket);
        gh_map_deinit(&rates->shards[i].buckets);
        pthread_mutex_destroy(&rates->shards[i].lock);
    }
    free(rates);
}

/* Forgets the buckets that are full: one that comes later begins full anyway. */
static void prune(struct shard *shard, int64_t now_ns)
{
    struct gh_slice key;
    size_t at = 0;
    if (shard->buckets.count < shard->prune_at)
        return;
    for (void *value; gh_map_next(&shard->buckets, &at, &key, &value);) {
        const struct bucket *bucket = value;
        if (bucket->full_ns <= now_ns)
            free(gh_map_remove(&shard->buckets, key));
    }
    shard->prune_at = 2 * shard->buckets.count;
    if (shard->prune_at < PRUNE_FROM)
        shard->prune_at = PRUNE_FROM;
}

/* NULL without memory. */
static struct bucket *bucket_of(struct shard *shard, const struct key *key, int64_t now_ns)
{
    struct gh_slice bytes = gh_slice(key, sizeof *key);
    struct bucket *bucket = gh_map_get(&shard->buckets, bytes);
    if (bucket != NULL)
        return bucket;
    prune(shard, now_ns);
    bucket = calloc(1, sizeof *bucket);
    if (bucket != NULL && !gh_map_put(&shard->buckets, bytes, bucket, NULL)) {
        free(bucket);
        bucket = NULL;
    }
    return bucket;
}

/* 0 when it is taken, else the time to the next one. */
static int64_t take(struct bucket *bucket, const struct gh_rate *ceiling, int64_t now_ns)
{
    int64_t period_ns = ceiling->period_ms * GH_MS_NS, each_ns = period_ns / ceiling->count;
    int64_t full_ns = bucket->full_ns;
    if (full_ns < now_ns || full_ns > now_ns + period_ns) /* full, or the clock was set back */
        full_ns = now_ns;
    if (full_ns - now_ns > period_ns - each_ns)
        return full_ns - now_ns - (period_ns - each_ns);
    bucket->full_ns = full_ns + each_ns;
    return 0;
}

bool gh_rates_take(struct gh_rates *rates, uint64_t device, enum gh_rate_kind kind, int64_t now_ms)
{
    return gh_rates_wait_ms(rates, device, kind, now_ms) == 0;
}

int64_t gh_rates_wait_ms(struct gh_rates *rates, uint64_t device, enum gh_rate_kind kind,
                         int64_t now_ms)
{
    const struct gh_rate *ceiling = &rates->ceilings[kind];
    struct shard *shard = &rates->shards[device % SHARDS]; /* numbers are random */
    struct key key = {device, kind};
    int64_t now_ns = now_ms * GH_MS_NS;
    if (ceiling->count == 0)
        return 0;
    pthread_mutex_lock(&shard->lock);
    struct bucket *bucket = bucket_of(shard, &key, now_ns);
    int64_t wait_ns = bucket == NULL ? 0 : take(bucket, ceiling, now_ns);
    pthread_mutex_unlock(&shard->lock);
    return (wait_ns + GH_MS_NS - 1) / GH_MS_NS;
}

size_t gh_rates_count(struct gh_rates *rates)
{
    size_t count = 0;
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&rates->shards[i].lock);
        count += rates->shards[i].buckets.count;
        pthread_mutex_unlock(&rates->shards[i].lock);
    }
    return count;
}
