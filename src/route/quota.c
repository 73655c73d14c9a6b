#include "route/quota.h"
#include "base/map.h"
#include "base/time.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct gh_quota {
    _Atomic uint32_t connections_max, messages_per_second;
    atomic_size_t connections;
    _Atomic int64_t full_ns; /* when the bucket is full again */
    _Atomic int64_t told_ns;
};

struct gh_quotas {
    struct gh_quota_limits limits;
    pthread_mutex_t lock;
    struct gh_map by_tenant;
};

struct gh_quotas *gh_quotas_open(const struct gh_quota_limits *limits)
{
    struct gh_quotas *quotas = calloc(1, sizeof *quotas);
    if (quotas == NULL)
        return NULL;
    quotas->limits = *limits;
    pthread_mutex_init(&quotas->lock, NULL);
    gh_map_init(&quotas->by_tenant);
    return quotas;
}

void gh_quotas_close(struct gh_quotas *quotas)
{
    struct gh_slice key;
    size_t at = 0;
    if (quotas == NULL)
        return;
    for (void *quota; gh_map_next(&quotas->by_tenant, &at, &key, &quota);)
        free(quota);
    gh_map_deinit(&quotas->by_tenant);
    pthread_mutex_destroy(&quotas->lock);
    free(quotas);
}

struct gh_quota_limits gh_quotas_limits(const struct gh_quotas *quotas)
{
    return quotas->limits;
}

static void set(struct gh_quota *quota, const struct gh_quota_limits *limits)
{
    atomic_store(&quota->connections_max, limits->connections_max);
    atomic_store(&quota->messages_per_second, limits->messages_per_second);
}

struct gh_quota *gh_quotas_of(struct gh_quotas *quotas, int64_t tenant)
{
    struct gh_slice key = gh_slice(&tenant, sizeof tenant);
    pthread_mutex_lock(&quotas->lock);
    struct gh_quota *quota = gh_map_get(&quotas->by_tenant, key);
    if (quota == NULL && (quota = calloc(1, sizeof *quota)) != NULL) {
        set(quota, &quotas->limits);
        if (!gh_map_put(&quotas->by_tenant, key, quota, NULL)) {
            free(quota);
            quota = NULL;
        }
    }
    pthread_mutex_unlock(&quotas->lock);
    return quota;
}

bool gh_quotas_set(struct gh_quotas *quotas, int64_t tenant, const struct gh_quota_limits *limits)
{
    struct gh_quota *quota = gh_quotas_of(quotas, tenant);
    if (quota != NULL)
        set(quota, limits != NULL ? limits : &quotas->limits);
    return quota != NULL;
}

bool gh_quota_enter(struct gh_quota *quota, bool replaces)
{
    uint32_t max = atomic_load(&quota->connections_max);
    if (atomic_fetch_add(&quota->connections, 1) < max || max == 0 || replaces)
        return true;
    atomic_fetch_sub(&quota->connections, 1);
    return false;
}

void gh_quota_leave(struct gh_quota *quota)
{
    atomic_fetch_sub(&quota->connections, 1);
}

bool gh_quota_message(struct gh_quota *quota, int64_t now_ns)
{
    uint32_t rate = atomic_load_explicit(&quota->messages_per_second, memory_order_relaxed);
    int64_t full_ns = atomic_load_explicit(&quota->full_ns, memory_order_relaxed), next_ns;
    if (rate == 0)
        return true;
    do {
        next_ns = (full_ns > now_ns ? full_ns : now_ns) + GH_SECOND_NS / rate;
        if (next_ns > now_ns + GH_SECOND_NS)
            return false;
    } while (!atomic_compare_exchange_weak(&quota->full_ns, &full_ns, next_ns));
    return true;
}

bool gh_quota_tell(struct gh_quota *quota, int64_t now_ns)
{
    int64_t told_ns = atomic_load(&quota->told_ns);
    return (told_ns == 0 || now_ns - told_ns >= GH_QUOTA_TELL_S * GH_SECOND_NS) &&
           atomic_compare_exchange_strong(&quota->told_ns, &told_ns, now_ns);
}

struct gh_quota_limits gh_quota_limits(const struct gh_quota *quota)
{
    return (struct gh_quota_limits){atomic_load(&quota->connections_max),
                                    atomic_load(&quota->messages_per_second)};
}

size_t gh_quota_connections(const struct gh_quota *quota)
{
    return atomic_load(&quota->connections);
}
