/* The directory's devices: what is allowed, and who is told. */
#include "base/buffer.h"
#include "base/hash.h"
#include "base/secret.h"
#include "base/time.h"
#include "registry/directory_internal.h"
#include "registry/sealing.h"

enum { GATEWAY_AUTH_MAX = 3, NUMBER_TRIES_MAX = 3, CREATE_ALL_MAX = 10000 };

enum {
    FIELDS_ALL = GH_DEVICE_BLOCKED | GH_DEVICE_CREDENTIALS | GH_DEVICE_ATTRIBUTES |
                 GH_DEVICE_LOG_LEVEL | GH_DEVICE_GATEWAY_AUTH | GH_DEVICE_BAN,
};

static uint64_t number_draw(void)
{
    uint64_t number = 0;
    while (number == 0) {
        gh_random(&number, sizeof number);
        number >>= 1; /* 63 bits: positive in SQL and in every client's int64 */
    }
    return number;
}

static enum gh_error_code fields_check(const struct gh_device *device, unsigned fields,
                                       struct gh_error *error)
{
    if ((fields & GH_DEVICE_LOG_LEVEL) && device->log_level != GH_DEVICE_LOG_DEFAULT &&
        device->log_level != GH_DEVICE_LOG_NONE && device->log_level != GH_DEVICE_LOG_ERROR &&
        device->log_level != GH_DEVICE_LOG_INFO && device->log_level != GH_DEVICE_LOG_DEBUG)
        return gh_error_set(error, GH_ERROR_INVALID, "log level: %d is none", device->log_level);
    if ((fields & GH_DEVICE_GATEWAY_AUTH) &&
        (device->gateway_auth < 0 || device->gateway_auth > GATEWAY_AUTH_MAX))
        return gh_error_set(error, GH_ERROR_INVALID, "gateway authentication: %d is none",
                            device->gateway_auth);
    if ((fields & GH_DEVICE_BAN) && device->banned_until_ms < 0)
        return gh_error_set(error, GH_ERROR_RANGE, "the end of a ban is before 1970");
    if (fields & GH_DEVICE_ATTRIBUTES)
        return gh_attributes_check(device->attributes, device->attributes_count, error);
    return GH_OK;
}

/* --- creating --- */

static enum gh_error_code create_check(const struct gh_directory *directory,
                                       struct gh_device *device, const struct gh_registry *registry,
                                       int64_t now_ms, struct gh_arena *arena,
                                       struct gh_error *error)
{
    if (!gh_id_valid(device->id))
        return gh_error_set(
            error, GH_ERROR_INVALID,
            "device id: %d to %d of a-z A-Z 0-9 - . _ + ~ %%, beginning with a letter and not "
            "with goog",
            GH_ID_BYTES_MIN, GH_ID_BYTES_MAX);
    if (device->config.data.size > GH_CONFIG_BYTES_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "config: more than %d bytes",
                            GH_CONFIG_BYTES_MAX);
    enum gh_error_code code = fields_check(device, FIELDS_ALL, error);
    if (code == GH_OK)
        code = gh_credentials_check(directory, device->credentials, device->credentials_count,
                                    registry, NULL, now_ms, arena, error);
    device->created_at_ms = now_ms;
    device->tenant = registry->tenant;
    return code;
}

/* Checks all; devices of one registry that stand together read it once. */
static enum gh_error_code create_check_all(struct gh_directory *directory,
                                           struct gh_device *devices, size_t count,
                                           struct gh_arena *arena, size_t *failed,
                                           struct gh_error *error)
{
    struct gh_registry registry = {0};
    int64_t now_ms = gh_time_utc_ms();
    enum gh_error_code code = GH_OK;
    for (size_t i = 0; code == GH_OK && i < count; i++) {
        *failed = i;
        if (registry.number == 0 || devices[i].registry != registry.number)
            code = gh_store_registry_get(directory->store, devices[i].registry, arena, &registry,
                                         error);
        if (code == GH_OK)
            code = create_check(directory, &devices[i], &registry, now_ms, arena, error);
    }
    return code;
}

/* What is to be sealed, or NULL when there is nothing of that kind. */
static struct gh_sealing *sealing_for(const struct gh_directory *directory,
                                      const struct gh_device *devices, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < devices[i].credentials_count; j++)
            if (devices[i].credentials[j].format == GH_CREDENTIAL_SYMMETRIC)
                return directory->sealing;
    return NULL;
}

/* What is sealed is bound to the device's number, so it is sealed anew with each draw. */
static enum gh_error_code numbers_draw(struct gh_directory *directory, struct gh_device *devices,
                                       size_t count, struct gh_arena *arena, size_t *failed,
                                       struct gh_error *error)
{
    enum gh_error_code code = GH_OK;
    for (size_t i = 0; code == GH_OK && i < count; i++) {
        *failed = i;
        if (!devices[i].keeps_number)
            devices[i].number = number_draw();
        code = gh_credentials_seal(directory, &devices[i], arena, error);
    }
    return code;
}

enum gh_error_code gh_directory_device_create_all(struct gh_directory *directory,
                                                  struct gh_device *devices, size_t count,
                                                  struct gh_arena *arena, size_t *failed,
                                                  struct gh_error *error)
{
    size_t at = 0;
    bool number_taken = true;
    if (count > CREATE_ALL_MAX)
        return gh_error_set(error, GH_ERROR_RANGE, "more than %d devices at once", CREATE_ALL_MAX);
    enum gh_error_code code = create_check_all(directory, devices, count, arena, &at, error);
    bool valid = code == GH_OK;
    struct gh_sealing *sealing = valid ? sealing_for(directory, devices, count) : NULL;
    gh_sealing_hold(sealing);
    for (int tries = 0; valid && number_taken && tries < NUMBER_TRIES_MAX; tries++) {
        code = numbers_draw(directory, devices, count, arena, &at, error);
        if (code != GH_OK)
            break;
        code = gh_store_devices_create(directory->store, devices, count, &at, &number_taken, error);
        if (number_taken && devices[at].keeps_number) {
            code = gh_error_set(error, GH_ERROR_EXISTS, "another device has or had the number %llu",
                                (unsigned long long)devices[at].number);
            break;
        }
    }
    gh_sealing_release(sealing);
    if (failed != NULL)
        *failed = at;
    return code;
}

enum gh_error_code gh_directory_device_create(struct gh_directory *directory,
                                              struct gh_device *device, struct gh_arena *arena,
                                              struct gh_error *error)
{
    return gh_directory_device_create_all(directory, device, 1, arena, NULL, error);
}

/* --- reading --- */

/* The arena's ceiling is the only way in which the laying over fails. */
static enum gh_error_code lay_over(struct gh_directory *directory, struct gh_arena *arena,
                                   struct gh_device *devices, size_t count, struct gh_error *error)
{
    for (size_t i = 0; i < count; i++)
        if (!gh_activity_lay_over(&directory->activity, arena, &devices[i]))
            return gh_error_set(error, GH_ERROR_MEMORY, "the answer does not fit its memory limit");
    return GH_OK;
}

enum gh_error_code gh_directory_device_get(struct gh_directory *directory, uint64_t number,
                                           struct gh_arena *arena, struct gh_device *out,
                                           struct gh_error *error)
{
    gh_activity_read_begin(&directory->activity);
    enum gh_error_code code = gh_store_device_get(directory->store, number, arena, out, error);
    if (code == GH_OK)
        code = lay_over(directory, arena, out, 1, error);
    gh_activity_read_end(&directory->activity);
    return code;
}

enum gh_error_code gh_directory_device_find(struct gh_directory *directory, int64_t tenant,
                                            struct gh_slice registry_name, struct gh_slice location,
                                            struct gh_slice id_or_number, struct gh_arena *arena,
                                            struct gh_device *out, struct gh_error *error)
{
    uint64_t number;
    if (!gh_slice_to_u64(id_or_number, &number) || number > INT64_MAX)
        number = 0; /* an id begins with a letter, so digits that are no number find nothing */
    gh_activity_read_begin(&directory->activity);
    enum gh_error_code code = gh_store_device_find(
        directory->store, tenant, registry_name, location, id_or_number, number, arena, out, error);
    if (code == GH_OK)
        code = lay_over(directory, arena, out, 1, error);
    gh_activity_read_end(&directory->activity);
    return code;
}

/* A mark of everything in the query but the page. */
static uint32_t query_mark(const struct gh_device_query *query)
{
    uint8_t block[64];
    struct gh_buffer fixed = gh_buffer_fixed(block, sizeof block);
    gh_buffer_u64(&fixed, (uint64_t)query->tenant);
    gh_buffer_u64(&fixed, (uint64_t)query->registry);
    gh_buffer_u64(&fixed, query->bound_to);
    gh_buffer_u64(&fixed, query->gateways_of);
    gh_buffer_u64(&fixed, query->numbers_count);
    gh_buffer_u64(&fixed, query->ids_count);
    gh_buffer_u8(&fixed, (uint8_t)query->gateway);
    uint32_t mark = gh_hash_crc32c(0, gh_buffer_slice(&fixed));
    mark = gh_hash_crc32c(mark, query->text);
    for (size_t i = 0; i < query->ids_count; i++)
        mark = gh_hash_crc32c(mark, query->ids[i]);
    return gh_hash_crc32c(
        mark, gh_slice(query->numbers, query->numbers_count * sizeof query->numbers[0]));
}

static enum gh_error_code query_check(const struct gh_device_query *query, struct gh_error *error)
{
    enum { TEXT_BYTES_MAX = 1024 };
    if (query->ids_count > GH_PAGE_SIZE_MAX || query->numbers_count > GH_PAGE_SIZE_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "device ids: more than %d", GH_PAGE_SIZE_MAX);
    if (query->ids_count + query->numbers_count > 0 && query->registry == 0)
        return gh_error_set(error, GH_ERROR_INVALID, "device ids: only within a registry");
    if (query->text.size > TEXT_BYTES_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "filter: more than %d bytes", TEXT_BYTES_MAX);
    return GH_OK;
}

enum gh_error_code gh_directory_device_list(struct gh_directory *directory,
                                            const struct gh_device_query *query,
                                            struct gh_arena *arena, struct gh_device **out,
                                            size_t *count, struct gh_slice *next,
                                            struct gh_error *error)
{
    struct gh_page page;
    bool more = false;
    *out = NULL;
    *count = 0;
    *next = (struct gh_slice){0};
    if (query->page_size == 0 || query->page_size > GH_PAGE_SIZE_MAX)
        return gh_error_set(error, GH_ERROR_RANGE, "page size: 1 to %d", GH_PAGE_SIZE_MAX);
    enum gh_error_code code = query_check(query, error);
    if (code == GH_OK)
        code = gh_page_parse(query->page_token, query_mark(query), arena, &page, error);
    if (code != GH_OK)
        return code;
    gh_activity_read_begin(&directory->activity);
    code = gh_store_device_list(directory->store, query, page.number, page.name, arena, out, count,
                                &more, error);
    if (code == GH_OK)
        code = lay_over(directory, arena, *out, *count, error);
    gh_activity_read_end(&directory->activity);
    if (code != GH_OK || !more)
        return code;
    const struct gh_device *last = &(*out)[*count - 1];
    struct gh_page at = {.query = page.query, .number = last->registry, .name = last->id};
    return gh_page_print(&at, arena, next)
               ? GH_OK
               : gh_error_set(error, GH_ERROR_MEMORY, "no memory for the page token");
}

enum gh_error_code gh_directory_device_count(struct gh_directory *directory,
                                             const struct gh_device_query *query, uint64_t *count,
                                             struct gh_error *error)
{
    enum gh_error_code code = query_check(query, error);
    return code == GH_OK ? gh_store_device_count(directory->store, query, count, error) : code;
}

/* --- changing --- */

/* The credentials of `change` checked against the registry and those there now; `*checked` is a
 * copy with ids. */
static enum gh_error_code credentials_prepare(struct gh_directory *directory, uint64_t number,
                                              const struct gh_device *change,
                                              struct gh_arena *arena, struct gh_device *checked,
                                              struct gh_error *error)
{
    struct gh_device before;
    struct gh_registry registry;
    *checked = *change;
    enum gh_error_code code = gh_store_device_get(directory->store, number, arena, &before, error);
    if (code == GH_OK)
        code = gh_store_registry_get(directory->store, before.registry, arena, &registry, error);
    if (code == GH_OK)
        code = gh_credentials_check(directory, checked->credentials, checked->credentials_count,
                                    &registry, &before, gh_time_utc_ms(), arena, error);
    if (code != GH_OK)
        return code;
    checked->number = before.number;
    checked->tenant = before.tenant;
    checked->registry = before.registry;
    return gh_credentials_seal(directory, checked, arena, error);
}

static void tell_update(struct gh_directory *directory, uint64_t number, unsigned fields,
                        const struct gh_device *change)
{
    if (fields & GH_DEVICE_BLOCKED)
        gh_directory_tell_device(directory, number,
                                 change->blocked ? GH_DEVICE_CHANGE_BLOCKED
                                                 : GH_DEVICE_CHANGE_UNBLOCKED);
    if ((fields & GH_DEVICE_BAN) && change->banned_until_ms > gh_time_utc_ms())
        gh_directory_tell_device(directory, number, GH_DEVICE_CHANGE_BANNED);
    if (fields & GH_DEVICE_CREDENTIALS)
        gh_directory_tell_device(directory, number, GH_DEVICE_CHANGE_CREDENTIALS);
    if (fields & ~(unsigned)(GH_DEVICE_BLOCKED | GH_DEVICE_CREDENTIALS | GH_DEVICE_BAN))
        gh_directory_tell_device(directory, number, GH_DEVICE_CHANGE_SETTINGS);
}

enum gh_error_code gh_directory_device_update(struct gh_directory *directory, uint64_t number,
                                              unsigned fields, const struct gh_device *change,
                                              struct gh_arena *arena, struct gh_device *out,
                                              struct gh_error *error)
{
    struct gh_device checked;
    if (fields == 0 || (fields & ~(unsigned)FIELDS_ALL) != 0)
        return gh_error_set(error, GH_ERROR_INVALID,
                            "nothing to update, or a field that cannot be");
    enum gh_error_code code = fields_check(change, fields, error);
    struct gh_sealing *sealing = fields & GH_DEVICE_CREDENTIALS ? directory->sealing : NULL;
    gh_sealing_hold(sealing); /* what is kept of before is not sealed anew meanwhile */
    if (code == GH_OK && (fields & GH_DEVICE_CREDENTIALS)) {
        code = credentials_prepare(directory, number, change, arena, &checked, error);
        change = &checked;
    }
    if (code == GH_OK)
        code = gh_store_device_update(directory->store, number, fields, change, error);
    gh_sealing_release(sealing);
    if (code != GH_OK)
        return code;
    tell_update(directory, number, fields, change);
    if (fields & GH_DEVICE_ATTRIBUTES)
        gh_directory_tell_policies(directory, 0, 0, number);
    if (out == NULL)
        return GH_OK;
    code = gh_directory_device_get(directory, number, arena, out, error);
    if (code == GH_OK && (fields & GH_DEVICE_CREDENTIALS))
        gh_directory_show_new_keys(change, out);
    return code;
}

enum gh_error_code gh_directory_credential_holder(struct gh_directory *directory, uint64_t device,
                                                  const struct gh_credential *credential,
                                                  uint64_t *holder, struct gh_error *error)
{
    return gh_store_credential_holder(directory->store, device, credential, holder, error);
}

void gh_directory_show_new_keys(const struct gh_device *made, struct gh_device *read)
{
    for (size_t i = 0; i < read->credentials_count; i++)
        for (size_t j = 0; j < made->credentials_count; j++)
            if (read->credentials[i].format == GH_CREDENTIAL_SYMMETRIC &&
                gh_slice_equal(read->credentials[i].id, made->credentials[j].id))
                read->credentials[i].secret = made->credentials[j].secret;
}

enum gh_error_code gh_directory_device_delete(struct gh_directory *directory, uint64_t number,
                                              struct gh_error *error)
{
    enum gh_error_code code = gh_store_device_delete(directory->store, number, error);
    if (code == GH_OK)
        gh_directory_tell_device(directory, number, GH_DEVICE_CHANGE_DELETED);
    return code;
}

/* --- gateways --- */

enum gh_error_code gh_directory_gateway_bind(struct gh_directory *directory, uint64_t gateway,
                                             uint64_t device,
                                             const struct gh_gateway_limits *limits,
                                             struct gh_error *error)
{
    enum gh_error_code code =
        gh_store_gateway_bind(directory->store, gateway, device, limits, error);
    if (code == GH_OK)
        gh_directory_tell_device(directory, device, GH_DEVICE_CHANGE_SETTINGS);
    return code;
}

enum gh_error_code gh_directory_gateway_unbind(struct gh_directory *directory, uint64_t gateway,
                                               uint64_t device, struct gh_error *error)
{
    enum gh_error_code code = gh_store_gateway_unbind(directory->store, gateway, device, error);
    if (code == GH_OK)
        gh_directory_tell_device(directory, device, GH_DEVICE_CHANGE_UNBOUND);
    return code;
}

enum gh_error_code gh_directory_gateway_bound(struct gh_directory *directory, uint64_t gateway,
                                              uint64_t device, bool *bound, struct gh_error *error)
{
    return gh_store_gateway_bound(directory->store, gateway, device, bound, error);
}

enum gh_error_code gh_directory_gateway_used(struct gh_directory *directory, uint64_t device,
                                             uint64_t gateway, int64_t utc_ms,
                                             struct gh_error *error)
{
    return gh_store_gateway_used(directory->store, device, gateway, utc_ms, error);
}
