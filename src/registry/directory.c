#include "registry/directory.h"
#include "base/hash.h"
#include "base/secret.h"
#include "base/time.h"
#include "registry/directory_internal.h"
#include "registry/sealing.h"
#include "wire/utf8.h"
#include <stdio.h>
#include <stdlib.h>

struct gh_directory *gh_directory_open(struct gh_store *store,
                                       const struct gh_directory_watch *watch, void *context,
                                       struct gh_error *error)
{
    struct gh_directory *directory = calloc(1, sizeof *directory);
    if (directory == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "no memory for the directory");
        return NULL;
    }
    directory->store = store;
    directory->watch_context = context;
    if (watch != NULL)
        directory->watch = *watch;
    directory->recent = gh_recent_open(store);
    if (directory->recent == NULL)
        gh_error_set(error, GH_ERROR_MEMORY, "no memory for the directory");
    if (directory->recent != NULL &&
        gh_activity_open(&directory->activity, store, directory->recent, error))
        return directory;
    gh_recent_close(directory->recent);
    free(directory);
    return NULL;
}

void gh_directory_close(struct gh_directory *directory)
{
    if (directory == NULL)
        return;
    gh_activity_close(&directory->activity);
    gh_recent_close(directory->recent);
    free(directory);
}

void gh_directory_tell_device(struct gh_directory *directory, uint64_t device,
                              enum gh_device_change what)
{
    if (directory->watch.device_changed != NULL)
        directory->watch.device_changed(directory->watch_context, device, what);
}

void gh_directory_tell_registry(struct gh_directory *directory, int64_t registry)
{
    if (directory->watch.registry_changed != NULL)
        directory->watch.registry_changed(directory->watch_context, registry);
}

void gh_directory_tell_policies(struct gh_directory *directory, int64_t tenant, int64_t registry,
                                uint64_t device)
{
    if (directory->watch.policies_changed != NULL)
        directory->watch.policies_changed(directory->watch_context, tenant, registry, device);
}

void gh_directory_use_passwords(struct gh_directory *directory,
                                struct gh_device_passwords *passwords)
{
    directory->passwords = passwords;
}

void gh_directory_use_sealing(struct gh_directory *directory, struct gh_sealing *sealing)
{
    directory->sealing = sealing;
}

struct gh_sealing *gh_directory_sealing(const struct gh_directory *directory)
{
    return directory->sealing;
}

struct gh_device_passwords *gh_directory_passwords(const struct gh_directory *directory)
{
    return directory->passwords;
}

/* --- tenants --- */

/* A name in a dialect that was not given is the tenant's own. */
static void name_default(struct gh_slice *name, struct gh_slice fallback)
{
    if (name->size == 0)
        *name = fallback;
}

enum gh_error_code gh_directory_tenant_create(struct gh_directory *directory,
                                              struct gh_tenant *tenant, struct gh_error *error)
{
    if (!gh_tenant_name_valid(tenant->name))
        return gh_error_set(
            error, GH_ERROR_INVALID,
            "name: 1 to %d of a-z A-Z 0-9 - . _, beginning with a letter or digit, not only digits",
            GH_TENANT_NAME_BYTES_MAX);
    name_default(&tenant->google_project, tenant->name);
    name_default(&tenant->azure_hub, tenant->name);
    name_default(&tenant->aws_account, tenant->name);
    const struct {
        const char *field;
        struct gh_slice name;
    } names[] = {{"google_project", tenant->google_project},
                 {"azure_hub", tenant->azure_hub},
                 {"aws_account", tenant->aws_account}};
    for (size_t i = 0; i < GH_COUNT(names); i++)
        if (!gh_dialect_name_valid(names[i].name))
            return gh_error_set(
                error, GH_ERROR_INVALID,
                "%s: 1 to %d of a-z A-Z 0-9 - . _ :, beginning with a letter or digit",
                names[i].field, GH_DIALECT_NAME_BYTES_MAX);
    tenant->policy = tenant->policy_etag = (struct gh_slice){0};
    tenant->created_at_ms = gh_time_utc_ms();
    return gh_store_tenant_create(directory->store, tenant, error);
}

enum gh_error_code gh_directory_tenant_get(struct gh_directory *directory, int64_t number,
                                           struct gh_arena *arena, struct gh_tenant *out,
                                           struct gh_error *error)
{
    return gh_store_tenant_get(directory->store, number, arena, out, error);
}

enum gh_error_code gh_directory_tenant_find(struct gh_directory *directory, struct gh_slice name,
                                            struct gh_arena *arena, struct gh_tenant *out,
                                            struct gh_error *error)
{
    return gh_store_tenant_find(directory->store, name, arena, out, error);
}

enum gh_error_code gh_directory_tenant_find_google(struct gh_directory *directory,
                                                   struct gh_slice project, struct gh_arena *arena,
                                                   struct gh_tenant *out, struct gh_error *error)
{
    uint64_t number;
    enum gh_error_code code =
        gh_store_tenant_find_google(directory->store, project, arena, out, error);
    if (code != GH_ERROR_NOT_FOUND || !gh_slice_to_u64(project, &number) || number > INT64_MAX)
        return code;
    return gh_store_tenant_get(directory->store, (int64_t)number, arena, out, error);
}

enum gh_error_code gh_directory_tenant_list(struct gh_directory *directory, struct gh_arena *arena,
                                            struct gh_tenant **out, size_t *count,
                                            struct gh_error *error)
{
    return gh_store_tenant_list(directory->store, arena, out, count, error);
}

enum gh_error_code gh_directory_tenant_delete(struct gh_directory *directory, int64_t number,
                                              struct gh_error *error)
{
    enum gh_error_code code = gh_store_tenant_delete(directory->store, number, error);
    if (code != GH_OK)
        return code;
    if (directory->sealing != NULL)
        gh_sealing_forget(directory->sealing, number);
    gh_store_tidy(directory->store); /* the data key leaves the write-ahead log now, not later */
    return GH_OK;
}

enum gh_error_code gh_directory_tenant_disable(struct gh_directory *directory, int64_t number,
                                               bool disabled, struct gh_error *error)
{
    enum gh_error_code code = gh_store_tenant_disable(directory->store, number, disabled, error);
    if (code == GH_OK && disabled && directory->watch.tenant_disabled != NULL)
        directory->watch.tenant_disabled(directory->watch_context, number);
    return code;
}

enum gh_error_code gh_directory_etag_make(struct gh_slice policy, struct gh_arena *arena,
                                          struct gh_slice *etag, struct gh_error *error)
{
    uint64_t random;
    *etag = (struct gh_slice){0};
    if (policy.size > GH_POLICY_BYTES_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "policy: more than %d bytes",
                            GH_POLICY_BYTES_MAX);
    if (!gh_utf8_valid(policy))
        return gh_error_set(error, GH_ERROR_INVALID, "policy: not UTF-8");
    if (policy.size == 0)
        return GH_OK;
    gh_random(&random, sizeof random);
    char *text = gh_arena_print(arena, "%016llx", (unsigned long long)random);
    *etag = gh_slice_text(text);
    return text != NULL ? GH_OK : gh_error_set(error, GH_ERROR_MEMORY, "no memory for the policy");
}

enum gh_error_code gh_directory_tenant_policy_set(struct gh_directory *directory, int64_t number,
                                                  struct gh_slice policy,
                                                  struct gh_slice etag_before,
                                                  struct gh_arena *arena, struct gh_slice *etag,
                                                  struct gh_error *error)
{
    enum gh_error_code code = gh_directory_etag_make(policy, arena, etag, error);
    if (code != GH_OK)
        return code;
    return gh_store_tenant_policy_set(directory->store, number, policy, *etag, etag_before, error);
}

/* --- registries --- */

static bool log_level_valid(int level)
{
    return level == GH_DEVICE_LOG_DEFAULT || level == GH_DEVICE_LOG_NONE ||
           level == GH_DEVICE_LOG_ERROR || level == GH_DEVICE_LOG_INFO ||
           level == GH_DEVICE_LOG_DEBUG;
}

static enum gh_error_code registry_check(const struct gh_registry *registry, unsigned fields,
                                         struct gh_error *error)
{
    enum gh_error_code code = GH_OK;
    if (fields & GH_REGISTRY_ROUTES)
        code = gh_routes_check(registry->routes, registry->routes_count, error);
    if (code == GH_OK && (fields & GH_REGISTRY_STATE_TOPIC) &&
        (registry->state_topic.size > GH_TOPIC_BYTES_MAX ||
         !gh_utf8_valid_mqtt(registry->state_topic)))
        code = gh_error_set(error, GH_ERROR_INVALID, "state topic: at most %d bytes of UTF-8",
                            GH_TOPIC_BYTES_MAX);
    if (code == GH_OK && (fields & GH_REGISTRY_ACTIVITY_TOPIC) &&
        (registry->activity_topic.size > GH_TOPIC_BYTES_MAX ||
         !gh_utf8_valid_mqtt(registry->activity_topic)))
        code = gh_error_set(error, GH_ERROR_INVALID, "activity topic: at most %d bytes of UTF-8",
                            GH_TOPIC_BYTES_MAX);
    if (code == GH_OK && (fields & GH_REGISTRY_LOG_LEVEL) && !log_level_valid(registry->log_level))
        code = gh_error_set(error, GH_ERROR_INVALID, "log level: %d is none", registry->log_level);
    if (code == GH_OK && (fields & GH_REGISTRY_CERTIFICATES))
        code = gh_certificates_check(registry->certificates, registry->certificates_count,
                                     gh_time_utc_ms(), error);
    return code;
}

enum {
    REGISTRY_FIELDS_ALL = GH_REGISTRY_ROUTES | GH_REGISTRY_STATE_TOPIC | GH_REGISTRY_MQTT |
                          GH_REGISTRY_HTTP | GH_REGISTRY_LOG_LEVEL | GH_REGISTRY_CERTIFICATES |
                          GH_REGISTRY_ACTIVITY_TOPIC,
};

enum gh_error_code gh_directory_registry_create(struct gh_directory *directory,
                                                struct gh_registry *registry,
                                                struct gh_error *error)
{
    if (!gh_id_valid(registry->name))
        return gh_error_set(
            error, GH_ERROR_INVALID,
            "registry id: %d to %d of a-z A-Z 0-9 - . _ + ~ %%, beginning with a letter and not "
            "with goog",
            GH_ID_BYTES_MIN, GH_ID_BYTES_MAX);
    if (!gh_location_valid(registry->location))
        return gh_error_set(error, GH_ERROR_INVALID, "location: at most %d of a-z A-Z 0-9 -",
                            GH_LOCATION_BYTES_MAX);
    enum gh_error_code code = registry_check(registry, REGISTRY_FIELDS_ALL, error);
    if (code != GH_OK)
        return code;
    registry->policy = registry->policy_etag = (struct gh_slice){0};
    registry->created_at_ms = gh_time_utc_ms();
    return gh_store_registry_create(directory->store, registry, error);
}

enum gh_error_code gh_directory_registry_get(struct gh_directory *directory, int64_t number,
                                             struct gh_arena *arena, struct gh_registry *out,
                                             struct gh_error *error)
{
    return gh_store_registry_get(directory->store, number, arena, out, error);
}

enum gh_error_code gh_directory_registry_find(struct gh_directory *directory, int64_t tenant,
                                              struct gh_slice name, struct gh_slice location,
                                              struct gh_arena *arena, struct gh_registry *out,
                                              struct gh_error *error)
{
    return gh_store_registry_find(directory->store, tenant, name, location, arena, out, error);
}

enum gh_error_code gh_directory_registry_update(struct gh_directory *directory, int64_t number,
                                                unsigned fields, const struct gh_registry *change,
                                                struct gh_arena *arena, struct gh_registry *out,
                                                struct gh_error *error)
{
    if (fields == 0 || (fields & ~(unsigned)REGISTRY_FIELDS_ALL) != 0)
        return gh_error_set(error, GH_ERROR_INVALID,
                            "nothing to update, or a field that cannot be");
    enum gh_error_code code = registry_check(change, fields, error);
    if (code == GH_OK)
        code = gh_store_registry_update(directory->store, number, fields, change, error);
    if (code != GH_OK)
        return code;
    gh_directory_tell_registry(directory, number);
    return out == NULL ? GH_OK : gh_store_registry_get(directory->store, number, arena, out, error);
}

enum gh_error_code gh_directory_registry_delete(struct gh_directory *directory, int64_t number,
                                                struct gh_error *error)
{
    return gh_store_registry_delete(directory->store, number, error);
}

enum gh_error_code gh_directory_registry_list(struct gh_directory *directory,
                                              const struct gh_registry_query *query,
                                              struct gh_arena *arena, struct gh_registry **out,
                                              size_t *count, struct gh_slice *next,
                                              struct gh_error *error)
{
    struct gh_page page;
    bool more = false;
    *next = (struct gh_slice){0};
    if (query->page_size == 0 || query->page_size > GH_PAGE_SIZE_MAX)
        return gh_error_set(error, GH_ERROR_RANGE, "page size: 1 to %d", GH_PAGE_SIZE_MAX);
    uint32_t mark = gh_hash_crc32c((uint32_t)query->tenant, query->location);
    enum gh_error_code code = gh_page_parse(query->page_token, mark, arena, &page, error);
    if (code == GH_OK)
        code = gh_store_registry_list(directory->store, query, page.number, page.name, arena, out,
                                      count, &more, error);
    if (code != GH_OK || !more)
        return code;
    const struct gh_registry *last = &(*out)[*count - 1];
    struct gh_page at = {.query = mark, .number = last->tenant, .name = last->name};
    return gh_page_print(&at, arena, next)
               ? GH_OK
               : gh_error_set(error, GH_ERROR_MEMORY, "no memory for the page token");
}

enum gh_error_code gh_directory_registry_policy_set(struct gh_directory *directory, int64_t number,
                                                    struct gh_slice policy,
                                                    struct gh_slice etag_before,
                                                    struct gh_arena *arena, struct gh_slice *etag,
                                                    struct gh_error *error)
{
    enum gh_error_code code = gh_directory_etag_make(policy, arena, etag, error);
    if (code != GH_OK)
        return code;
    return gh_store_registry_policy_set(directory->store, number, policy, *etag, etag_before,
                                        error);
}

/* --- documents --- */

static enum gh_error_code document_check(const char *what, struct gh_slice data, size_t size_max,
                                         struct gh_error *error)
{
    return data.size <= size_max
               ? GH_OK
               : gh_error_set(error, GH_ERROR_INVALID, "%s: more than %zu bytes", what, size_max);
}

enum gh_error_code gh_directory_config_set(struct gh_directory *directory, uint64_t device,
                                           struct gh_slice data, int64_t if_version,
                                           struct gh_config *out, struct gh_error *error)
{
    int64_t version = 0, now_ms = gh_time_utc_ms();
    enum gh_error_code code = document_check("config", data, GH_CONFIG_BYTES_MAX, error);
    if (code == GH_OK && if_version < 0)
        code = gh_error_set(error, GH_ERROR_INVALID, "version: is negative");
    if (code == GH_OK)
        code = gh_store_config_set(directory->store, device, data, if_version, now_ms, &version,
                                   error);
    if (code != GH_OK)
        return code;
    if (out != NULL)
        *out = (struct gh_config){.version = version, .updated_at_ms = now_ms, .data = data};
    gh_directory_tell_device(directory, device, GH_DEVICE_CHANGE_CONFIG);
    return GH_OK;
}

static size_t history_limit(size_t limit)
{
    return limit == 0 || limit > GH_DEVICE_HISTORY_MAX ? GH_DEVICE_HISTORY_MAX : limit;
}

enum gh_error_code gh_directory_config_list(struct gh_directory *directory, uint64_t device,
                                            size_t limit, struct gh_arena *arena,
                                            struct gh_config **out, size_t *count,
                                            struct gh_error *error)
{
    return gh_store_config_list(directory->store, device, history_limit(limit), arena, out, count,
                                error);
}

enum gh_error_code gh_directory_config_acknowledged(struct gh_directory *directory, uint64_t device,
                                                    int64_t version, int64_t utc_ms,
                                                    struct gh_error *error)
{
    gh_directory_note(directory, device, GH_ACTIVITY_CONFIG_ACK, utc_ms);
    return gh_store_config_acknowledged(directory->store, device, version, utc_ms, error);
}

enum gh_error_code gh_directory_state_set(struct gh_directory *directory, uint64_t device,
                                          struct gh_slice data, int64_t utc_ms,
                                          struct gh_error *error)
{
    enum gh_error_code code = document_check("state", data, GH_STATE_BYTES_MAX, error);
    if (code == GH_OK)
        code = gh_store_state_set(directory->store, device, data, utc_ms, error);
    if (code == GH_OK)
        gh_directory_note(directory, device, GH_ACTIVITY_STATE, utc_ms);
    return code;
}

enum gh_error_code gh_directory_state_list(struct gh_directory *directory, uint64_t device,
                                           size_t limit, struct gh_arena *arena,
                                           struct gh_state **out, size_t *count,
                                           struct gh_error *error)
{
    return gh_store_state_list(directory->store, device, history_limit(limit), arena, out, count,
                               error);
}

/* --- activity --- */

void gh_directory_note(struct gh_directory *directory, uint64_t device, enum gh_activity what,
                       int64_t utc_ms)
{
    gh_activity_note(&directory->activity, device, what, utc_ms, 0, (struct gh_slice){0});
}

void gh_directory_note_use(struct gh_directory *directory, const struct gh_credential_use *use)
{
    gh_uses_note(&directory->activity, use);
}

void gh_directory_note_error(struct gh_directory *directory, uint64_t device, int code,
                             struct gh_slice message, int64_t utc_ms)
{
    gh_activity_note(&directory->activity, device, GH_ACTIVITY_ERROR, utc_ms, code, message);
}

enum gh_error_code gh_directory_flush(struct gh_directory *directory, struct gh_error *error)
{
    return gh_activity_flush(&directory->activity, error);
}
