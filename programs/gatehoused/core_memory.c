/* Storeys 2 to 4 of the core: the store, the directory with its keys, the log with its topics, what
 * is kept of telemetry, the trail and the audit. */
#include "base/secret.h"
#include "identity/operator.h"
#include "observe/telemetry.h"
#include "observe/trail.h"
#include "programs/gatehoused/core_internal.h"
#include "pubsub/pubsub.h"
#include "registry/directory.h"
#include "registry/password.h"
#include "registry/sealing.h"
#include "route/broker.h"

/* --- the directory's watch: set before the front is there */

static void device_changed(void *context, uint64_t device, enum gh_device_change what)
{
    struct core *core = context;
    if (core->front != NULL)
        gh_front_device_changed(core->front, device, what);
    if (core->broker != NULL && what == GH_DEVICE_CHANGE_DELETED)
        gh_broker_forget(core->broker, device);
}

static void registry_changed(void *context, int64_t registry)
{
    struct core *core = context;
    if (core->front != NULL)
        gh_front_registry_changed(core->front, registry);
}

static void policies_changed(void *context, int64_t tenant, int64_t registry, uint64_t device)
{
    struct core *core = context;
    if (core->front != NULL)
        gh_front_policies_changed(core->front, tenant, registry, device);
}

static void tenant_disabled(void *context, int64_t tenant)
{
    struct core *core = context;
    if (core->front != NULL)
        gh_front_tenant_disabled(core->front, tenant);
}

static void credentials_refused(void *context, int64_t tenant, int64_t registry,
                                bool (*refused)(void *asked, struct gh_slice credential),
                                void *asked)
{
    struct core *core = context;
    if (core->front != NULL)
        gh_front_credentials_refused(core->front, tenant, registry, refused, asked);
}

static const struct gh_directory_watch watch = {.device_changed = device_changed,
                                                .registry_changed = registry_changed,
                                                .tenant_disabled = tenant_disabled,
                                                .credentials_refused = credentials_refused,
                                                .policies_changed = policies_changed};

/* --- opening */

/* The key comes from the keys process; copies of it, and keys made of it, stay here, locked. */
static bool open_passwords(struct core *core)
{
    uint8_t block[256];
    struct gh_buffer key = gh_buffer_fixed(block, sizeof block);
    const char *breached = core->config->breached_passwords;
    if (keys_password_key(&core->keys, &key, &core->error) == GH_OK) {
        struct gh_operators_options operators = {.store = core->store,
                                                 .cost = GH_PASSWORD_COST,
                                                 .key = gh_buffer_slice(&key),
                                                 .metrics = &core->metrics,
                                                 .breached = breached[0] != '\0' ? breached : NULL};
        core->operators = gh_operators_open(&operators, &core->error);
        core->device_passwords = gh_device_passwords_with(gh_buffer_slice(&key));
        if (core->device_passwords == NULL)
            gh_error_set(&core->error, GH_ERROR_MEMORY, "no memory for the passwords of devices");
    }
    gh_secret_wipe(block, sizeof block);
    return core->device_passwords != NULL && core->operators != NULL;
}

/* Its signer is the keys process, which alone has the key. */
static bool open_audit(struct core *core)
{
    struct gh_buffer keys;
    struct gh_audit_options options = {
        .store = core->store,
        .signer = keys_audit_signer(&core->keys),
        .folder = core->config->audit_folder,
        .webhook = core->config->audit_webhook,
        .webhook_ca = core->config->audit_webhook_ca,
        .syslog = core->config->audit_syslog != 0,
        .rows_of_checkpoint = (int)core->config->audit_checkpoint_rows,
        .seconds_of_checkpoint = (int)core->config->audit_checkpoint_s,
        .keep_days = (int)core->config->audit_keep_days,
        .metrics = &core->metrics,
        .utc_ms = gh_time_utc_ms};
    gh_buffer_init(&keys, CORE_PEM_MAX);
    if (keys_audit_key(&core->keys, &keys, &options.public_key_pem, &options.detail_key,
                       &core->error) == GH_OK)
        core->audit = gh_audit_open(&options, &core->error);
    if (keys.data != NULL)
        gh_secret_wipe(keys.data, keys.capacity);
    gh_buffer_deinit(&keys);
    return core->audit != NULL;
}

bool core_open_memory(struct core *core)
{
    core->store = gh_store_open(core->config->data, GH_STORE_EXISTING, &core->error);
    if (core->store == NULL)
        return false;
    core->sealing = gh_sealing_open(core->store, &keys_sealing, &core->keys);
    if (!open_passwords(core) || core->sealing == NULL)
        return false;
    core->directory = gh_directory_open(core->store, &watch, core, &core->error);
    if (core->directory == NULL)
        return false;
    gh_directory_use_passwords(core->directory, core->device_passwords);
    gh_directory_use_sealing(core->directory, core->sealing);
    if (gh_directory_mark_symmetric(core->directory, &core->error) != GH_OK)
        return false;
    struct gh_pubsub_options pubsub = {
        .folder = core->config->data,
        .store = core->store,
        .metrics = &core->metrics,
        .log = {.bytes_max = (uint64_t)core->config->log_bytes_max,
                .age_max_ms = core->config->log_age_days * CORE_DAY_S * INT64_C(1000)}};
    core->pubsub = gh_pubsub_open(&pubsub, &core->error);
    if (core->pubsub == NULL)
        return false;
    struct gh_telemetry_options telemetry = {
        .pubsub = core->pubsub, .store = core->store, .metrics = &core->metrics};
    core->telemetry = gh_telemetry_open(&telemetry, &core->error);
    if (core->telemetry == NULL)
        return false;
    core->trail = gh_trail_open(core->store, &core->metrics, &core->error);
    return core->trail != NULL && open_audit(core);
}
