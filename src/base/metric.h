/* Metrics: the counters and gauges of one server, from the table metric.def. One block per server,
 * passed down; adding is one relaxed atomic addition. observe/ prints it for Prometheus. Threads:
 * any. */
#ifndef GH_BASE_METRIC_H
#define GH_BASE_METRIC_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum gh_metric {
#define GH_METRIC(name, kind, help) GH_METRIC_##name,
#include "base/metric.def"
#undef GH_METRIC
    GH_METRIC_COUNT
};

struct gh_metrics {
    _Atomic int64_t values[GH_METRIC_COUNT];
};

struct gh_metric_info {
    const char *name, *kind, *help;
};
const struct gh_metric_info *gh_metric_info(enum gh_metric metric);

/* `metrics` may be NULL: then nothing is counted. */
static inline void gh_metric_add(struct gh_metrics *metrics, enum gh_metric metric, int64_t by)
{
    if (metrics != NULL)
        atomic_fetch_add_explicit(&metrics->values[metric], by, memory_order_relaxed);
}
static inline void gh_metric_set(struct gh_metrics *metrics, enum gh_metric metric, int64_t value)
{
    if (metrics != NULL)
        atomic_store_explicit(&metrics->values[metric], value, memory_order_relaxed);
}
static inline int64_t gh_metric_get(const struct gh_metrics *metrics, enum gh_metric metric)
{
    return metrics == NULL ? 0
                           : atomic_load_explicit(&metrics->values[metric], memory_order_relaxed);
}
#endif
