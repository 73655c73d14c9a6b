#include "base/metric.h"
#include <assert.h>
#include <string.h>

static const struct gh_metric_info table[] = {
#define GH_METRIC(name, kind, help) {#name, #kind, help},
#include "base/metric.def"
#undef GH_METRIC
};

const struct gh_metric_info *gh_metric_info(enum gh_metric metric)
{
    assert((size_t)metric < GH_METRIC_COUNT);
    return &table[metric];
}

static const struct gh_metric_info families[] = {
#define GH_METRIC_FAMILY(name, label, help) {#name, label, help},
#include "base/metric_family.def"
#undef GH_METRIC_FAMILY
};

const struct gh_metric_info *gh_metric_family_info(enum gh_metric_family family)
{
    assert((size_t)family < GH_METRIC_FAMILY_COUNT);
    return &families[family];
}

/* The counter of that label; takes the first free one. Labels are few, and what is counted here is
 * rare beside messages, so a walk is enough. */
static struct gh_metric_labelled *find(struct gh_metric_labelled *counters, const char *label)
{
    for (size_t i = 0; i < GH_METRIC_LABELS_MAX - 1; i++) {
        const char *there = NULL; /* becomes what another thread has put there meanwhile */
        if (atomic_compare_exchange_strong(&counters[i].label, &there, label) || there == label ||
            strcmp(there, label) == 0)
            return &counters[i];
    }
    atomic_store(&counters[GH_METRIC_LABELS_MAX - 1].label, "OTHER");
    return &counters[GH_METRIC_LABELS_MAX - 1];
}

void gh_metric_add_for(struct gh_metrics *metrics, enum gh_metric_family family, const char *label,
                       int64_t by)
{
    assert((size_t)family < GH_METRIC_FAMILY_COUNT);
    if (metrics != NULL)
        atomic_fetch_add_explicit(&find(metrics->families[family], label)->value, by,
                                  memory_order_relaxed);
}

const char *gh_metric_get_for(const struct gh_metrics *metrics, enum gh_metric_family family,
                              size_t index, int64_t *value)
{
    assert((size_t)family < GH_METRIC_FAMILY_COUNT);
    if (metrics == NULL || index >= GH_METRIC_LABELS_MAX)
        return NULL;
    const struct gh_metric_labelled *counter = &metrics->families[family][index];
    *value = atomic_load_explicit(&counter->value, memory_order_relaxed);
    return atomic_load(&counter->label);
}
