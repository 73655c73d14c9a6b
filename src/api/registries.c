#include "api/call_internal.h"

enum { PAGE_DEFAULT = 100, PAGE_MAX = 1000 };

static const struct {
    const char *name;
    int level;
} log_levels[] = {{"default", GH_DEVICE_LOG_DEFAULT},
                  {"none", GH_DEVICE_LOG_NONE},
                  {"error", GH_DEVICE_LOG_ERROR},
                  {"info", GH_DEVICE_LOG_INFO},
                  {"debug", GH_DEVICE_LOG_DEBUG}};

static const char *level_name(int level)
{
    for (size_t i = 0; i < GH_COUNT(log_levels); i++)
        if (log_levels[i].level == level)
            return log_levels[i].name;
    return "default";
}

static json_t *registry_to_json(struct call *call, const struct gh_registry *registry)
{
    struct gh_device_query query = {.registry = registry->number, .page_size = 1};
    uint64_t count = 0;
    json_t *routes = json_array();
    for (size_t i = 0; i < registry->routes_count; i++)
        json_array_append_new(routes, json_pack("{s:o, s:o}", "channel",
                                                json_slice(registry->routes[i].channel), "topic",
                                                json_slice(registry->routes[i].topic)));
    if (gh_directory_device_count(call->api->services.directory, &query, &count, NULL) != GH_OK)
        count = 0;
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:s, s:I, s:o}", "tenant",
                     json_slice(registry->tenant_name), "name", json_slice(registry->name),
                     "location", json_slice(registry->location), "routes", routes, "state_topic",
                     json_slice(registry->state_topic), "activity_topic",
                     json_slice(registry->activity_topic), "mqtt_enabled", registry->mqtt_enabled,
                     "http_enabled", registry->http_enabled, "log_level",
                     level_name(registry->log_level), "device_count", (json_int_t)count,
                     "created_at", json_time(registry->created_at_ms));
}

enum gh_error_code api_registry_list(struct call *call)
{
    struct gh_registry_query query = {.tenant = call->tenant.number};
    struct gh_registry *registries;
    struct gh_slice next;
    uint64_t page_size;
    size_t count;
    if (!call_query_u64(call, "page_size", 1, PAGE_MAX, PAGE_DEFAULT, &page_size))
        return call->error.code;
    query.page_size = (size_t)page_size;
    query.page_token = call_query(call, "page_token");
    enum gh_error_code code =
        gh_directory_registry_list(call->api->services.directory, &query, call->arena, &registries,
                                   &count, &next, &call->error);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, registry_to_json(call, &registries[i]));
    call->answer = json_pack("{s:o}", "registries", list);
    if (next.size > 0)
        json_object_set_new(call->answer, "next_page_token", json_slice(next));
    return GH_OK;
}

static enum gh_error_code read_routes(struct call *call, struct gh_registry *registry,
                                      unsigned *fields)
{
    static const char *const keys[] = {"channel", "topic"};
    json_t *list = NULL;
    if (!gh_json_get_array(call->body, "routes", 0, &list, &call->error))
        return call->error.code;
    if (list == NULL)
        return GH_OK;
    *fields |= GH_REGISTRY_ROUTES;
    registry->routes_count = json_array_size(list);
    registry->routes =
        gh_arena_array(call->arena, registry->routes_count + 1, sizeof *registry->routes);
    if (registry->routes == NULL)
        return call_fail(call, GH_ERROR_MEMORY, "routes");
    for (size_t i = 0; i < registry->routes_count; i++) {
        const json_t *item = json_array_get(list, i);
        if (!gh_json_only(item, keys, GH_COUNT(keys), &call->error) ||
            !gh_json_get_text(item, "channel", 0, &registry->routes[i].channel, &call->error) ||
            !gh_json_get_text(item, "topic", GH_JSON_REQUIRED, &registry->routes[i].topic,
                              &call->error))
            return call->error.code;
    }
    return GH_OK;
}

/* Reads what stands in the body; `*fields` says what did. */
static enum gh_error_code read_settings(struct call *call, struct gh_registry *registry,
                                        unsigned *fields)
{
    struct gh_slice level = {0};
    if (json_object_get(call->body, "state_topic") != NULL)
        *fields |= GH_REGISTRY_STATE_TOPIC;
    if (json_object_get(call->body, "activity_topic") != NULL)
        *fields |= GH_REGISTRY_ACTIVITY_TOPIC;
    if (json_object_get(call->body, "mqtt_enabled") != NULL)
        *fields |= GH_REGISTRY_MQTT;
    if (json_object_get(call->body, "http_enabled") != NULL)
        *fields |= GH_REGISTRY_HTTP;
    if (!gh_json_get_text(call->body, "state_topic", 0, &registry->state_topic, &call->error) ||
        !gh_json_get_text(call->body, "activity_topic", 0, &registry->activity_topic,
                          &call->error) ||
        !gh_json_get_bool(call->body, "mqtt_enabled", 0, &registry->mqtt_enabled, &call->error) ||
        !gh_json_get_bool(call->body, "http_enabled", 0, &registry->http_enabled, &call->error) ||
        !gh_json_get_text(call->body, "log_level", 0, &level, &call->error))
        return call->error.code;
    for (size_t i = 0; i < GH_COUNT(log_levels) && level.size > 0; i++) {
        if (!gh_slice_equal(level, gh_slice_text(log_levels[i].name)))
            continue;
        registry->log_level = log_levels[i].level;
        *fields |= GH_REGISTRY_LOG_LEVEL;
    }
    if (level.size > 0 && !(*fields & GH_REGISTRY_LOG_LEVEL))
        return call_fail(call, GH_ERROR_INVALID,
                         "log_level is none of default, none, error, info, debug");
    return read_routes(call, registry, fields);
}

enum gh_error_code api_registry_create(struct call *call)
{
    static const char *const keys[] = {"name",         "location",       "routes",
                                       "state_topic",  "activity_topic", "mqtt_enabled",
                                       "http_enabled", "log_level"};
    struct gh_registry registry = {
        .tenant = call->tenant.number, .mqtt_enabled = true, .http_enabled = true};
    unsigned fields = 0;
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "name", GH_JSON_REQUIRED, &registry.name, &call->error) ||
        !gh_json_get_text(call->body, "location", 0, &registry.location, &call->error))
        return call->error.code;
    enum gh_error_code code = read_settings(call, &registry, &fields);
    if (code == GH_OK)
        code = gh_directory_registry_create(call->api->services.directory, &registry, &call->error);
    if (code == GH_OK)
        code = gh_directory_registry_get(call->api->services.directory, registry.number,
                                         call->arena, &registry, &call->error);
    if (code != GH_OK)
        return code;
    call->status = 201;
    call->answer = registry_to_json(call, &registry);
    return GH_OK;
}

enum gh_error_code api_registry_get(struct call *call)
{
    struct gh_registry registry;
    enum gh_error_code code = call_registry(call, &registry);
    if (code == GH_OK)
        call->answer = registry_to_json(call, &registry);
    return code;
}

enum gh_error_code api_registry_update(struct call *call)
{
    static const char *const keys[] = {"routes",       "state_topic",  "activity_topic",
                                       "mqtt_enabled", "http_enabled", "log_level"};
    struct gh_registry registry, change = {0};
    unsigned fields = 0;
    enum gh_error_code code = call_registry(call, &registry);
    if (code == GH_OK && !gh_json_only(call->body, keys, GH_COUNT(keys), &call->error))
        code = call->error.code;
    if (code == GH_OK)
        code = read_settings(call, &change, &fields);
    if (code == GH_OK && fields == 0)
        code = call_fail(call, GH_ERROR_INVALID, "the body changes nothing");
    if (code == GH_OK)
        code = gh_directory_registry_update(call->api->services.directory, registry.number, fields,
                                            &change, call->arena, &registry, &call->error);
    if (code == GH_OK)
        call->answer = registry_to_json(call, &registry);
    return code;
}

enum gh_error_code api_registry_delete(struct call *call)
{
    struct gh_registry registry;
    enum gh_error_code code = call_registry(call, &registry);
    return code == GH_OK ? gh_directory_registry_delete(call->api->services.directory,
                                                        registry.number, &call->error)
                         : code;
}
