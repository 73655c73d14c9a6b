#include "api/api.h"
#include "api/call_internal.h"
#include "api/feeds_internal.h"
#include "api/standing_internal.h"
#include "api/tenant_names_internal.h"
#include "api/tenant_settings_internal.h"
#include "api/trace_internal.h"
#include "observe/trail.h"
#include "pubsub/pubsub.h"
#include <stdlib.h>

struct gh_api *gh_api_open(const struct gh_api_services *services, struct gh_error *error)
{
    struct gh_api *api = calloc(1, sizeof *api);
    if (api == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "api");
        return NULL;
    }
    api->services = *services;
    api->started_ms = services->utc_ms();
    pthread_mutex_init(&api->settings_lock, NULL);
    api->hub = stream_hub_open(services->loop, services->utc_ms);
    api->tenants = tenant_names_open(services->directory);
    api->trace_streams = trace_streams_open(services);
    api->standing = standing_open(api);
    if (api->hub != NULL && api->tenants != NULL && api->trace_streams != NULL &&
        api->standing != NULL)
        api->tap = gh_pubsub_tap(services->pubsub, stream_tapped, api, NULL);
    if (api->tap != NULL)
        api->watch = gh_trail_watch(services->trail, stream_noted, api);
    if (api->watch == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "live streams");
        gh_api_close(api);
        return NULL;
    }
    if (!tenant_settings_load(api, error)) {
        gh_api_close(api);
        return NULL;
    }
    return api;
}

void gh_api_end_streams(struct gh_api *api)
{
    if (api->watch != NULL)
        gh_trail_unwatch(api->services.trail, api->watch);
    if (api->tap != NULL)
        gh_pubsub_untap(api->tap);
    api->watch = NULL;
    api->tap = NULL;
}

void gh_api_close(struct gh_api *api)
{
    if (api == NULL)
        return;
    gh_api_end_streams(api);
    stream_hub_close(api->hub);
    trace_streams_close(api->trace_streams);
    standing_close(api->standing);
    tenant_names_close(api->tenants);
    pthread_mutex_destroy(&api->settings_lock);
    free(api);
}
