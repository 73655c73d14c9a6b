/* Storeys 4 to 6 of the core: who may come (access tokens, the CA for devices, outside sign-in),
 * who stays away, the dialects that are built in, the front door and the API. */
#include "base/secret.h"
#ifdef GH_DIALECT_GOOGLE
#include "dialect/google/google.h"
#include "dialect/google/mqtt.h"
#include "dialect/google/push.h"
#endif
#ifdef GH_DIALECT_NATIVE
#include "dialect/native/mqtt.h"
#endif
#include "identity/oidc.h"
#include "io/rpc.h"
#include "observe/absence.h"
#include "observe/trace.h"
#include "programs/gatehoused/core_internal.h"
#include "route/broker.h"
#include "route/quota.h"
#include "route/rate.h"
#include "route/sessions.h"
#include <limits.h>
#include <stdio.h>

enum { RPC_MESSAGE_MAX = 10 * 1024 * 1024 /* what Pub/Sub takes in one publish */ };

/* --- who may come */

/* Its issuer is set when the listeners are bound. */
static bool open_access(struct core *core)
{
    struct gh_access_signer signer = keys_token_signer(&core->keys);
    core->access = gh_access_open(core->store, &signer, &core->error);
    return core->access != NULL;
}

/* The CA for devices, and the CAs above it: their keys are in the keys process. */
static bool open_issuing(struct core *core)
{
    struct gh_issuing_signer signer = keys_issuing_signer(&core->keys);
    core->authorities = gh_authorities_open(&keys_authorities_keeper, &core->keys, &core->error);
    if (core->authorities == NULL)
        return false;
    core->issuing = gh_issuing_open(core->directory, core->store, &signer, core->authorities);
    if (core->issuing == NULL)
        gh_error_set(&core->error, GH_ERROR_MEMORY, "the issuing CA");
    return core->issuing != NULL;
}

/* The outside provider, where there is one. Nothing is asked of it before somebody signs in. */
static bool open_oidc(struct core *core)
{
    const struct config *config = core->config;
    uint8_t block[8 * 1024]; /* a file is read in pieces of 4 KiB */
    struct gh_buffer text = gh_buffer_fixed(block, sizeof block);
    bool good = true;
    if (config->oidc_issuer[0] == '\0')
        return true;
    if (config->oidc_secret_file[0] != '\0')
        good = file_read(config->oidc_secret_file, CONFIG_TEXT_MAX, &text, &core->error) == GH_OK;
    struct gh_slice rest = gh_buffer_slice(&text);
    struct gh_oidc_options options = {
        .store = core->store,
        .issuer = config->oidc_issuer,
        .client_id = config->oidc_client_id,
        .secret = gh_slice_split(&rest, '\n'),
        .ca_path = config->oidc_ca_file[0] != '\0' ? config->oidc_ca_file : NULL,
        .by_email = config->oidc_by_email != 0};
    if (good)
        core->oidc = gh_oidc_open(&options, &core->error);
    gh_secret_wipe(block, sizeof block);
    return core->oidc != NULL;
}

static bool is_connected(void *context, uint64_t device)
{
    return gh_sessions_count_of(context, device) > 0;
}

static bool open_absence(struct core *core)
{
    const struct gh_absence_options options = {.store = core->store,
                                               .directory = core->directory,
                                               .pubsub = core->pubsub,
                                               .trail = core->trail,
                                               .metrics = &core->metrics,
                                               .is_connected = is_connected,
                                               .connected_context = core->sessions,
                                               .utc_ms = gh_time_utc_ms};
    core->absence = gh_absence_open(&options, &core->error);
    return core->absence != NULL;
}

/* --- the dialects */

static void send_command(void *context, struct gh_command *command)
{
    gh_sessions_command(context, command);
}

#ifdef GH_DIALECT_GOOGLE
/* The sender of messages that subscriptions push. */
static bool open_push(struct core *core)
{
    const struct config *config = core->config;
    for (size_t i = 0; i < config->push_hosts_count; i++)
        core->push_hosts[i] = config->push_hosts[i];
    const struct gh_google_push_options options = {
        .pubsub = core->pubsub,
        .directory = core->directory,
        .access = core->access,
        .hosts = core->push_hosts,
        .hosts_count = config->push_hosts_count,
        .ca_path = config->push_ca_count == 0 ? NULL : config->push_ca[0],
        .utc_ms = gh_time_utc_ms};
    core->push = gh_google_push_open(&options, &core->error);
    return core->push != NULL;
}
#endif

/* The faces of the dialects that are built in. Without any, the server still serves its own API. */
static bool open_dialects(struct core *core, struct gh_front_services *front,
                          struct gh_api_services *api)
{
    size_t count = 0;
#ifdef GH_DIALECT_GOOGLE
    if (!open_push(core))
        return false;
    struct gh_google_services google = {.directory = core->directory,
                                        .access = core->access,
                                        .store = core->store,
                                        .pubsub = core->pubsub,
                                        .workers = core->workers,
                                        .rates = core->rates,
                                        .quotas = core->quotas,
                                        .absence = core->absence,
                                        .bound_max = (size_t)core->config->google_bound_max,
                                        .gateways_max = (size_t)core->config->google_gateways_max,
                                        .push = core->push,
                                        .trail = core->trail,
                                        .audit = core->audit,
                                        .metrics = &core->metrics,
                                        .send_command = send_command,
                                        .command_context = core->sessions,
                                        .utc_ms = gh_time_utc_ms};
    core->google = gh_google_open(&google);
    if (core->google == NULL)
        return false;
    front->dialects[count++] = &gh_google_dialect;
    api->guests[api->guests_count++] =
        (struct gh_api_guest){(bool (*)(void *, struct gh_exchange *))gh_google_http, core->google};
    struct gh_rpc_config rpc = {.begin = (void (*)(void *, struct gh_rpc *))gh_google_rpc,
                                .context = core->google,
                                .message_max = RPC_MESSAGE_MAX};
    core->rpc = gh_rpc_server_open(&rpc, &core->error);
    if (core->rpc == NULL)
        return false;
    core->http2 = (struct gh_listener_protocol){&gh_rpc_protocol, core->rpc};
#endif
#ifdef GH_DIALECT_NATIVE
    front->dialects[count++] = &gh_native_dialect;
#endif
    (void)core, (void)front, (void)api, (void)count, (void)send_command;
    return true;
}

/* --- the front door and the API */

/* Of dialects that route: a connection carries what it can, and answers for its own queue. */
static struct gh_session_limits route_limits(const struct config *config)
{
    struct gh_session_limits limits = gh_session_limits_default;
    limits.packet_bytes_max = (size_t)config->device_packet_bytes_max;
    limits.inflight_in_max = (uint16_t)config->device_inflight_max;
    limits.inflight_out_max = (uint16_t)config->device_inflight_max;
    limits.inflight_out_bytes_max = 16 << 20;
    limits.messages_per_second = (uint32_t)config->device_messages_per_second;
    limits.messages_burst = 0;
    limits.idle_ns = 0;
    limits.repeat_ns = 0;
    return limits;
}

static struct gh_front_services front_services(struct core *core)
{
    struct gh_front_services front = {.directory = core->directory,
                                      .access = core->access,
                                      .pubsub = core->pubsub,
                                      .trail = core->trail,
                                      .sessions = core->sessions,
                                      .traces = core->traces,
                                      .workers = core->workers,
                                      .metrics = &core->metrics,
                                      .loops = core->loops,
                                      .loops_count = core->loops_count,
                                      .limits = gh_session_limits_default,
                                      .utc_ms = gh_time_utc_ms};
    front.limits.qos_max = 1; /* of dialects that do not route */
    front.limits.messages_per_second = (uint32_t)core->config->messages_per_second;
    front.route_limits = route_limits(core->config);
    front.broker = core->broker;
    front.quotas = core->quotas;
    front.rates = core->rates;
    front.attached_max = (size_t)core->config->google_attached_max;
    front.expiry_max_s = (uint32_t)core->config->device_session_expiry_max_s;
    front.sessions_of_device_max = (size_t)core->config->device_connections_max;
    return front;
}

static struct gh_api_services api_services(struct core *core)
{
    return (struct gh_api_services){.store = core->store,
                                    .directory = core->directory,
                                    .operators = core->operators,
                                    .oidc = core->oidc,
                                    .oidc_title = core->config->oidc_title[0] != '\0'
                                                      ? core->config->oidc_title
                                                      : core->config->oidc_issuer,
                                    .access = core->access,
                                    .pubsub = core->pubsub,
                                    .telemetry = core->telemetry,
                                    .trail = core->trail,
                                    .audit = core->audit,
                                    .sessions = core->sessions,
                                    .broker = core->broker,
                                    .traces = core->traces,
                                    .quotas = core->quotas,
                                    .rates = core->rates,
                                    .absence = core->absence,
                                    .authorities = core->authorities,
                                    .issuing = core->issuing,
                                    .workers = core->workers,
                                    .passwords = core->passwords,
                                    .metrics = &core->metrics,
                                    .loop = core->loops[0],
                                    .utc_ms = gh_time_utc_ms,
                                    .metrics_open = core->config->metrics_open != 0};
}

bool core_open_faces(struct core *core)
{
    core->sessions = gh_sessions_open();
    core->traces = gh_traces_open();
    struct gh_quota_limits quota = {(uint32_t)core->config->tenant_connections_max,
                                    (uint32_t)core->config->tenant_messages_per_second};
    core->quotas = gh_quotas_open(&quota);
    core->rates = core_open_rates(core->config);
    if (!open_access(core) || !open_issuing(core) || !open_oidc(core) || !open_absence(core))
        return false;
    struct gh_front_services front = front_services(core);
    struct gh_api_services api = api_services(core);
    if (core->sessions == NULL || core->traces == NULL || core->quotas == NULL ||
        core->rates == NULL || !open_dialects(core, &front, &api)) {
        gh_error_set(&core->error, GH_ERROR_MEMORY, "sessions or dialects");
        return false;
    }
    core->front = gh_front_open(&front);
    if (core->front == NULL) {
        gh_error_set(&core->error, GH_ERROR_MEMORY, "front");
        return false;
    }
    core->api = gh_api_open(&api, &core->error);
    return core->api != NULL && gh_absence_start(core->absence, &core->error);
}
