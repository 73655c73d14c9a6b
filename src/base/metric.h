/* Metrics: the counters and gauges of one server, from the table metric.def. One block per server,
 * passed down; adding is one relaxed atomic addition. Families (metric_family.def) are counters
 * that a label keeps apart. The API prints both for Prometheus. Threads: any. */
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

enum gh_metric_family {
#define GH_METRIC_FAMILY(name, label, help) GH_METRIC_FAMILY_##name,
#include "base/metric_family.def"
#undef GH_METRIC_FAMILY
    GH_METRIC_FAMILY_COUNT
};

enum { GH_METRIC_LABELS_MAX = 128 }; /* of a family; the last is OTHER, for those that come after */

/* One counter of a family. */
struct gh_metric_labelled {
    const char *_Atomic label; /* NULL: free */
    _Atomic int64_t value;
};

/* Begins as zeros. */
struct gh_metrics {
    _Atomic int64_t values[GH_METRIC_COUNT];
    struct gh_metric_labelled families[GH_METRIC_FAMILY_COUNT][GH_METRIC_LABELS_MAX];
};

struct gh_metric_info {
    const char *name, *kind, *help;
};
const struct gh_metric_info *gh_metric_info(enum gh_metric metric);
/* `kind` is the name of the label. */
const struct gh_metric_info *gh_metric_family_info(enum gh_metric_family family);

/* Adds to the family's counter of that label, which is made when it is new; 0 makes it only, so
 * that it is there before anything happened. `label` is static text of capital letters, digits and
 * underscores. `metrics` may be NULL. */
void gh_metric_add_for(struct gh_metrics *metrics, enum gh_metric_family family, const char *label,
                       int64_t by);
/* The `index`th label of the family, from 0, and its value; NULL behind the last. */
const char *gh_metric_get_for(const struct gh_metrics *metrics, enum gh_metric_family family,
                              size_t index, int64_t *value);

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
