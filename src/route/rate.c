#include "route/rate.h"
#include "base/map.h"
#include "base/time.h"
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { SHARDS = 16, PRUNE_FROM = 1024 };

static const struct {
    const char *name, *key;
} kinds[] = {
    [GH_RATE_STATES] = {"state updates", "states_per_second"},
    [GH_RATE_HTTP_EVENTS] = {"events by HTTP", "http_events_per_minute"},
    [GH_RATE_DEVICE_UPDATES] = {"device updates", "device_updates_per_second"},
    [GH_RATE_REGISTRY_UPDATES] = {"registry updates", "registry_updates_per_second"},
    [GH_RATE_READS] = {"reads", "reads_per_minute"},
    [GH_RATE_CHANGES] = {"creations and deletions", "changes_per_minute"},
    [GH_RATE_CONFIGS] = {"config updates", "configs_per_minute"},
    [GH_RATE_REQUESTS] = {"connections and requests of devices", "requests_per_minute"},
    [GH_RATE_BYTES_IN] = {"bytes from a device", "bytes_in_per_second"},
    [GH_RATE_BYTES_OUT] = {"bytes to a device", "bytes_out_per_second"},
    [GH_RATE_CONFIG_INTERVAL] = {"configs of a device", "config_interval_ms"},
};
static_assert(GH_COUNT(kinds) == GH_RATE_KIND_COUNT, "a name for each kind");

enum { SECOND_MS = 1000, MINUTE_MS = 60 * 1000, THROUGHPUT = 512 * 1024 };
const struct gh_rate gh_rates_compat[GH_RATE_KIND_COUNT] = {
    [GH_RATE_STATES] = {1, SECOND_MS},
    [GH_RATE_HTTP_EVENTS] = {6000, MINUTE_MS},
    [GH_RATE_DEVICE_UPDATES] = {1, SECOND_MS},
    [GH_RATE_REGISTRY_UPDATES] = {1, SECOND_MS},
    [GH_RATE_READS] = {30000, MINUTE_MS},
    [GH_RATE_CHANGES] = {3000, MINUTE_MS},
    [GH_RATE_CONFIGS] = {6000, MINUTE_MS},
    [GH_RATE_REQUESTS] = {60000, MINUTE_MS},
    [GH_RATE_BYTES_IN] = {THROUGHPUT, SECOND_MS},
    [GH_RATE_BYTES_OUT] = {THROUGHPUT, SECOND_MS},
    [GH_RATE_CONFIG_INTERVAL] = {1000, SECOND_MS}};

struct key {
    int64_t tenant;
    uint64_t number;
    uint64_t kind;
};

struct bucket {
    int64_t full_ns; /* when it is full again */
    int64_t at_ns;   /* when it was asked last */
};

struct shard {
    pthread_mutex_t lock;
    struct gh_map buckets;
    size_t prune_at; /* so many entries are looked through for full ones */
};

struct gh_rates {
    struct gh_rate ceilings[GH_RATE_KIND_COUNT];
    struct shard shards[SHARDS];
    atomic_bool any_own; /* a tenant has, or had, ceilings of its own */
    pthread_mutex_t own_lock;
    struct gh_map own; /* tenant -> uint32_t[GH_RATE_KIND_COUNT] */
};

const char *gh_rate_kind_name(enum gh_rate_kind kind)
{
    assert((size_t)kind < GH_COUNT(kinds));
    return kinds[kind].name;
}

const char *gh_rate_kind_key(enum gh_rate_kind kind)
{
    assert((size_t)kind < GH_COUNT(kinds));
    return kinds[kind].key;
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
    pthread_mutex_init(&rates->own_lock, NULL);
    gh_map_init(&rates->own);
    return rates;
}

/* Frees the values too. */
static void map_close(struct gh_map *map)
{
    struct gh_slice key;
    size_t at = 0;
    for (void *value; gh_map_next(map, &at, &key, &value);)
        free(value);
    gh_map_deinit(map);
}

void gh_rates_close(struct gh_rates *rates)
{
    if (rates == NULL)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        map_close(&rates->shards[i].buckets);
        pthread_mutex_destroy(&rates->shards[i].lock);
    }
    map_close(&rates->own);
    pthread_mutex_destroy(&rates->own_lock);
    free(rates);
}

bool gh_rates_set(struct gh_rates *rates, int64_t tenant, const uint32_t counts[GH_RATE_KIND_COUNT])
{
    const size_t size = GH_RATE_KIND_COUNT * sizeof *counts;
    struct gh_slice key = gh_slice(&tenant, sizeof tenant);
    pthread_mutex_lock(&rates->own_lock);
    uint32_t *own = gh_map_get(&rates->own, key);
    if (counts == NULL) {
        free(gh_map_remove(&rates->own, key));
    } else if (own == NULL && (own = malloc(size)) != NULL &&
               !gh_map_put(&rates->own, key, own, NULL)) {
        free(own);
        own = NULL;
    }
    if (counts != NULL && own != NULL)
        memcpy(own, counts, size);
    atomic_store(&rates->any_own, true);
    pthread_mutex_unlock(&rates->own_lock);
    return counts == NULL || own != NULL;
}

void gh_rates_counts(struct gh_rates *rates, int64_t tenant, uint32_t out[GH_RATE_KIND_COUNT])
{
    for (size_t i = 0; i < GH_RATE_KIND_COUNT; i++)
        out[i] = rates->ceilings[i].count;
    pthread_mutex_lock(&rates->own_lock);
    const uint32_t *own = gh_map_get(&rates->own, gh_slice(&tenant, sizeof tenant));
    if (own != NULL)
        memcpy(out, own, GH_RATE_KIND_COUNT * sizeof *own);
    pthread_mutex_unlock(&rates->own_lock);
}

uint32_t gh_rates_own(struct gh_rates *rates, int64_t tenant, enum gh_rate_kind kind)
{
    uint32_t count = rates->ceilings[kind].count;
    if (!atomic_load_explicit(&rates->any_own, memory_order_acquire))
        return count;
    pthread_mutex_lock(&rates->own_lock);
    const uint32_t *own = gh_map_get(&rates->own, gh_slice(&tenant, sizeof tenant));
    if (own != NULL)
        count = own[kind];
    pthread_mutex_unlock(&rates->own_lock);
    return count;
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

static void charge(struct bucket *bucket, const struct gh_rate *ceiling, uint32_t amount)
{
    bucket->full_ns += ceiling->period_ms * GH_MS_NS * amount / ceiling->count;
}

/* 0 when one more is within the rate, else the time until one is. */
static int64_t wait_ns(struct bucket *bucket, const struct gh_rate *ceiling, int64_t now_ns)
{
    int64_t period_ns = ceiling->period_ms * GH_MS_NS, each_ns = period_ns / ceiling->count;
    bool set_back = now_ns < bucket->at_ns - period_ns;
    if (bucket->full_ns < now_ns || set_back)
        bucket->full_ns = now_ns;
    bucket->at_ns = now_ns;
    int64_t over_ns = bucket->full_ns - now_ns - (period_ns - each_ns);
    return over_ns > 0 ? over_ns : 0;
}

/* Counts `amount` when one is within the rate, or (`anyway`) in any case. 0 when it was counted,
 * else the time until one is; with `anyway` the time until the next is. */
static int64_t count_ms(struct gh_rates *rates, const struct gh_rate_thing *thing, uint32_t amount,
                        bool anyway, int64_t now_ms)
{
    struct gh_rate ceiling = {gh_rates_own(rates, thing->tenant, thing->kind),
                              rates->ceilings[thing->kind].period_ms};
    struct shard *shard = &rates->shards[thing->number % SHARDS]; /* devices' are random */
    struct key key = {thing->tenant, thing->number, thing->kind};
    int64_t now_ns = now_ms * GH_MS_NS, wait = 0;
    if (ceiling.count == 0)
        return 0;
    pthread_mutex_lock(&shard->lock);
    struct bucket *bucket = bucket_of(shard, &key, now_ns);
    if (bucket != NULL)
        wait = wait_ns(bucket, &ceiling, now_ns);
    if (bucket != NULL && (anyway || wait == 0))
        charge(bucket, &ceiling, amount);
    if (bucket != NULL && anyway)
        wait = wait_ns(bucket, &ceiling, now_ns);
    pthread_mutex_unlock(&shard->lock);
    return (wait + GH_MS_NS - 1) / GH_MS_NS;
}

bool gh_rates_take(struct gh_rates *rates, const struct gh_rate_thing *thing, int64_t now_ms)
{
    return count_ms(rates, thing, 1, false, now_ms) == 0;
}

int64_t gh_rates_wait_ms(struct gh_rates *rates, const struct gh_rate_thing *thing, int64_t now_ms)
{
    return count_ms(rates, thing, 1, false, now_ms);
}

int64_t gh_rates_charge_ms(struct gh_rates *rates, const struct gh_rate_thing *thing,
                           uint32_t amount, int64_t now_ms)
{
    return count_ms(rates, thing, amount, true, now_ms);
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
