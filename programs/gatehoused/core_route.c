/* Storey 5 of the core: the loops and workers that carry everything above, the broker, and the
 * rates of the configuration. */
#include "identity/operator.h"
#include "programs/gatehoused/core_internal.h"
#include "route/broker.h"
#include "route/rate.h"
#include <string.h>
#include <unistd.h>

enum { JOBS_MAX = 8192 };

bool core_open_threads(struct core *core)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    long wanted = core->config->loops > 0 ? core->config->loops : cores > 0 ? cores : 1;
    core->workers = gh_workers_open((unsigned)core->config->workers, JOBS_MAX, &core->error);
    core->passwords = gh_workers_open(GH_OPERATOR_THREADS,
                                      GH_OPERATOR_CHECKS_MAX - GH_OPERATOR_THREADS, &core->error);
    if (core->workers == NULL || core->passwords == NULL)
        return false;
    while (core->loops_count < (size_t)wanted && core->loops_count < CORE_LOOPS_MAX) {
        core->loops[core->loops_count] = gh_loop_open(&core->error);
        if (core->loops[core->loops_count] == NULL)
            return false;
        core->loops_count++;
    }
    return true;
}

static struct gh_broker_limits broker_limits(const struct config *config)
{
    struct gh_broker_limits limits = gh_broker_limits_default;
    limits.queue_messages_max = (size_t)config->device_queue_messages_max;
    limits.queue_bytes_max = (size_t)config->device_queue_bytes_max;
    limits.lane_messages_max = (size_t)config->device_qos0_messages_max;
    limits.lane_bytes_max = (size_t)config->device_qos0_bytes_max;
    limits.subscriptions_max = (size_t)config->device_subscriptions_max;
    limits.sessions_max = (size_t)config->tenant_sessions_max;
    limits.retained_messages_max = (size_t)config->tenant_retained_messages_max;
    limits.retained_bytes_max = (size_t)config->tenant_retained_bytes_max;
    limits.expiry_max_s = (uint32_t)config->device_session_expiry_max_s;
    return limits;
}

bool core_open_broker(struct core *core)
{
    struct gh_broker_options options = {.folder = core->config->data,
                                        .limits = broker_limits(core->config),
                                        .loops = core->loops,
                                        .loops_count = core->loops_count,
                                        .workers = core->workers,
                                        .metrics = &core->metrics,
                                        .utc_ms = gh_time_utc_ms};
    core->broker = gh_broker_open(&options, &core->error);
    return core->broker != NULL;
}

struct gh_rates *core_open_rates(const struct config *config)
{
    const long counts[GH_RATE_KIND_COUNT] = {
        [GH_RATE_STATES] = config->google_states_per_second,
        [GH_RATE_HTTP_EVENTS] = config->google_http_events_per_minute,
        [GH_RATE_DEVICE_UPDATES] = config->google_device_updates_per_second,
        [GH_RATE_REGISTRY_UPDATES] = config->google_registry_updates_per_second,
        [GH_RATE_READS] = config->google_reads_per_minute,
        [GH_RATE_CHANGES] = config->google_changes_per_minute,
        [GH_RATE_CONFIGS] = config->google_configs_per_minute,
        [GH_RATE_REQUESTS] = config->google_requests_per_minute,
        [GH_RATE_BYTES_IN] = config->google_bytes_in_per_second,
        [GH_RATE_BYTES_OUT] = config->google_bytes_out_per_second,
        [GH_RATE_CONFIG_INTERVAL] = config->google_config_interval_ms,
    };
    struct gh_rate ceilings[GH_RATE_KIND_COUNT];
    memcpy(ceilings, gh_rates_compat, sizeof ceilings);
    for (size_t i = 0; i < GH_RATE_KIND_COUNT; i++)
        ceilings[i].count = config->google_compat != 0 ? (uint32_t)counts[i] : 0;
    return gh_rates_open(ceilings);
}
