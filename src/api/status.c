#include "api/call_internal.h"
#include "identity/token.h"
#include "route/broker.h"
#include "route/sessions.h"

enum gh_error_code api_health(struct call *call)
{
    call->answer = json_pack("{s:s}", "status", "serving");
    return GH_OK;
}

enum gh_error_code api_status(struct call *call)
{
    const struct gh_api_services *services = &call->api->services;
    struct gh_device_query query = {.tenant = call->caller.tenant, .page_size = 1};
    uint64_t devices = 0;
    if (!call_may(call, GH_PERMISSION_STATUS_READ, call->caller.tenant))
        return call_fail(call, GH_ERROR_DENIED, "status.read");
    enum gh_error_code code =
        gh_directory_device_count(services->directory, &query, &devices, &call->error);
    if (code != GH_OK)
        return code;
    call->answer =
        json_pack("{s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:I}", "version", GH_VERSION, "started_at",
                  json_time(call->api->started_ms), "now", json_time(call->now_ms), "devices",
                  (json_int_t)devices, "connected",
                  (json_int_t)gh_sessions_count(services->sessions), "messages_received",
                  (json_int_t)gh_metric_get(services->metrics, GH_METRIC_messages_received_total),
                  "messages_stored",
                  (json_int_t)gh_metric_get(services->metrics, GH_METRIC_messages_stored_total),
                  "log_bytes", (json_int_t)gh_metric_get(services->metrics, GH_METRIC_log_bytes));
    return GH_OK;
}

/* Whether a scraper's token, an operator's session or the local door lets it read the metrics. */
static bool may_read_metrics(struct call *call)
{
    return call->api->services.metrics_open || call->local ||
           (call_authenticate(call) == GH_OK && call_may(call, GH_PERMISSION_METRICS_READ, 0));
}

/* Gauges that are read when somebody asks. */
static void take_broker_gauges(const struct gh_api_services *services)
{
    struct gh_broker_status status = gh_broker_status(services->broker);
    const struct {
        enum gh_metric metric;
        size_t value;
    } gauges[] = {
        {GH_METRIC_broker_sessions, status.sessions},
        {GH_METRIC_broker_sessions_connected, status.connected},
        {GH_METRIC_broker_subscriptions, status.subscriptions},
        {GH_METRIC_broker_retained_messages, status.retained},
        {GH_METRIC_broker_queued_messages, status.queued},
        {GH_METRIC_broker_journal_bytes, (size_t)status.journal_bytes},
    };
    for (size_t i = 0; i < GH_COUNT(gauges); i++)
        gh_metric_set(services->metrics, gauges[i].metric, (int64_t)gauges[i].value);
}

static void print_metrics(const struct gh_metrics *metrics, struct gh_buffer *text)
{
    for (enum gh_metric i = 0; i < GH_METRIC_COUNT; i++) {
        const struct gh_metric_info *info = gh_metric_info(i);
        gh_buffer_print(text, "# HELP gatehouse_%s %s\n# TYPE gatehouse_%s %s\ngatehouse_%s %lld\n",
                        info->name, info->help, info->name, info->kind, info->name,
                        (long long)gh_metric_get(metrics, i));
    }
}

static void print_families(const struct gh_metrics *metrics, struct gh_buffer *text)
{
    for (enum gh_metric_family i = 0; i < GH_METRIC_FAMILY_COUNT; i++) {
        const struct gh_metric_info *info = gh_metric_family_info(i);
        const char *label;
        int64_t value;
        gh_buffer_print(text, "# HELP gatehouse_%s %s\n# TYPE gatehouse_%s counter\n", info->name,
                        info->help, info->name);
        for (size_t at = 0; (label = gh_metric_get_for(metrics, i, at, &value)) != NULL; at++)
            gh_buffer_print(text, "gatehouse_%s{%s=\"%s\"} %lld\n", info->name, info->kind, label,
                            (long long)value);
    }
}

enum gh_error_code api_metrics(struct call *call)
{
    const struct gh_api_services *services = &call->api->services;
    struct gh_buffer text;
    if (!may_read_metrics(call))
        return call_fail(call, GH_ERROR_UNAUTHENTICATED,
                         "/metrics needs a token with the role metrics");
    if (services->broker != NULL)
        take_broker_gauges(services);
    gh_buffer_init(&text, 256 * 1024);
    print_metrics(services->metrics, &text);
    print_families(services->metrics, &text);
    gh_exchange_answer(
        call->exchange,
        &(struct gh_http_answer){.status = 200,
                                 .content_type = "text/plain; version=0.0.4; charset=utf-8",
                                 .body = gh_buffer_slice(&text)});
    gh_buffer_deinit(&text);
    call->taken = true;
    return GH_OK;
}
