#include "base/metric.h"
#include <assert.h>

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
