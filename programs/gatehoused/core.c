#include "programs/gatehoused/core.h"
#include "api/api.h"
#include "audit/audit.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/time.h"
#include "dialect/front.h"
#ifdef GH_DIALECT_GOOGLE
#include "dialect/google/google.h"
#include "dialect/google/mqtt.h"
#include "dialect/google/push.h"
#endif
#ifdef GH_DIALECT_NATIVE
#include "dialect/native/mqtt.h"
#endif
#include "identity/oidc.h"
#include "identity/operator.h"
#include "io/http_server.h"
#include "io/listener.h"
#include "io/rpc.h"
#include "io/worker.h"
#include "observe/absence.h"
#include "observe/telemetry.h"
#include "observe/trace.h"
#include "observe/trail.h"
#include "programs/gatehoused/core_paths.h"
#include "programs/gatehoused/crls.h"
#include "programs/gatehoused/keys.h"
#include "programs/gatehoused/ocsps.h"
#include "programs/gatehoused/token_service.h"
#include "pubsub/pubsub.h"
#include "registry/directory.h"
#include "registry/password.h"
#include "registry/sealing.h"
#include "route/broker.h"
#include "route/quota.h"
#include "route/rate.h"
#include "route/sessions.h"
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum {
    LOOPS_MAX = 256,
    LISTENERS_MAX = 2 * CONFIG_LISTENERS_MAX + 2,
    JOBS_MAX = 8192,
    BODY_MAX = 2 * 1024 * 1024,
    RPC_MESSAGE_MAX = 10 * 1024 * 1024, /* what Pub/Sub takes in one publish */
    PEM_MAX = 64 * 1024,
    TIDY_S = 3600,
    CALM_S = 15,
    CALM_HANDSHAKES_MAX = 64,
    CROWD_MIN = 500,
    DAY_S = 86400,
};

struct core {
    const struct config *config;
    struct keys_line keys;
    struct gh_metrics metrics;
    struct gh_store *store;
    struct gh_device_passwords *device_passwords;
    struct gh_sealing *sealing;
    struct gh_broker *broker;
    struct gh_directory *directory;
    struct gh_pubsub *pubsub;
    struct gh_telemetry *telemetry;
    struct gh_trail *trail;
    struct gh_audit *audit;
    struct gh_operators *operators;
    struct gh_oidc *oidc;
    struct gh_access *access;
    struct gh_authorities *authorities;
    struct gh_issuing *issuing;
    struct ocsps *ocsps;
    struct gh_workers *workers, *passwords;
    struct gh_sessions *sessions;
    struct gh_traces *traces;
    struct gh_quotas *quotas;
    struct gh_rates *rates;
    struct gh_absence *absence;
    struct gh_front *front;
#ifdef GH_DIALECT_GOOGLE
    struct gh_google *google;
    struct gh_google_push *push;
    const char *push_hosts[CONFIG_NAMES_MAX];
#endif
    struct gh_api *api;
    struct gh_api_door door, local_door;
    struct gh_http_server *http, *local_http;
    struct gh_rpc_server *rpc; /* gRPC; NULL without a dialect that has it */
    struct gh_listener_protocol http2;
    struct gh_websocket_config websocket;
    const char *origins[CONFIG_NAMES_MAX];
    struct gh_network proxy_from[CONFIG_NAMES_MAX];
    struct gh_crowd *crowd;
    struct gh_tls_context *tls;
    uint64_t tls_generation; /* of the intermediate CA that certified it */
    struct gh_loop *loops[LOOPS_MAX];
    pthread_t threads[LOOPS_MAX];
    size_t loops_count, threads_count;
    struct gh_listener *listeners[LISTENERS_MAX];
    const char *kinds[LISTENERS_MAX]; /* "tls", "plain", "admin" */
    size_t listeners_count;
    struct gh_error error;
};

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

/* --- opening: each step says false with core->error filled */

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
    gh_buffer_init(&keys, PEM_MAX);
    if (keys_audit_key(&core->keys, &keys, &options.public_key_pem, &options.detail_key,
                       &core->error) == GH_OK)
        core->audit = gh_audit_open(&options, &core->error);
    if (keys.data != NULL)
        gh_secret_wipe(keys.data, keys.capacity);
    gh_buffer_deinit(&keys);
    return core->audit != NULL;
}

static bool open_memory(struct core *core)
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
                .age_max_ms = core->config->log_age_days * DAY_S * INT64_C(1000)}};
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

static bool open_threads(struct core *core)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    long wanted = core->config->loops > 0 ? core->config->loops : cores > 0 ? cores : 1;
    core->workers = gh_workers_open((unsigned)core->config->workers, JOBS_MAX, &core->error);
    core->passwords = gh_workers_open(GH_OPERATOR_THREADS,
                                      GH_OPERATOR_CHECKS_MAX - GH_OPERATOR_THREADS, &core->error);
    if (core->workers == NULL || core->passwords == NULL)
        return false;
    while (core->loops_count < (size_t)wanted && core->loops_count < LOOPS_MAX) {
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

static bool open_broker(struct core *core)
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

static struct gh_rates *open_rates(const struct config *config)
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

static bool open_faces(struct core *core)
{
    core->sessions = gh_sessions_open();
    core->traces = gh_traces_open();
    struct gh_quota_limits quota = {(uint32_t)core->config->tenant_connections_max,
                                    (uint32_t)core->config->tenant_messages_per_second};
    core->quotas = gh_quotas_open(&quota);
    core->rates = open_rates(core->config);
    if (!open_access(core) || !open_issuing(core) || !open_oidc(core) || !open_absence(core))
        return false;
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
    struct gh_api_services api = {.store = core->store,
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

/* Where MQTT is spoken over WebSocket, and by which names (IANA's registry of subprotocols). */
static const char *const websocket_paths[] = {"/mqtt", "/"};
static const char *const websocket_subprotocols[] = {"mqtt", "mqttv3.1"};

static const struct gh_websocket_config *set_websocket(struct core *core)
{
    for (size_t i = 0; i < core->config->origins_count; i++)
        core->origins[i] = core->config->origins[i];
    core->websocket =
        (struct gh_websocket_config){.protocol = &gh_front_protocol,
                                     .context = core->front,
                                     .paths = websocket_paths,
                                     .paths_count = GH_COUNT(websocket_paths),
                                     .subprotocols = websocket_subprotocols,
                                     .subprotocols_count = GH_COUNT(websocket_subprotocols),
                                     .origins = core->origins,
                                     .origins_count = core->config->origins_count};
    return &core->websocket;
}

static struct gh_http_server *open_http(struct core *core, struct gh_api_door *door,
                                        const struct gh_websocket_config *websocket)
{
    struct gh_http_server_config http = {
        .handler = gh_api_http, .context = door, .body_max = BODY_MAX, .websocket = websocket};
    http.headers = gh_api_headers(&http.headers_count);
    if (websocket != NULL && core->rpc != NULL) /* not at the operator's own door */
        http.http2 = &core->http2;
    return gh_http_server_open(&http, &core->error);
}

/* Lets devices see that the server's certificate holds, as OCSP stapling. Without it clients that
 * ask get no answer, as with most servers, so a failure is a line of the log. */
static void staple(struct core *core, struct gh_tls_context *tls, struct gh_slice leaf,
                   struct gh_slice issuer)
{
    char line[GH_ERROR_LINE_MAX];
    struct gh_error error = {0};
    struct gh_buffer answer;
    gh_buffer_init(&answer, PEM_MAX);
    int64_t to_s = gh_time_utc_ms() / 1000 + core->config->leaf_days * DAY_S;
    if (keys_vouch(&core->keys, leaf, issuer, to_s, &answer, &error) != GH_OK ||
        !gh_tls_server_staple(tls, gh_buffer_slice(&answer)))
        gh_log(GH_LOG_WARN, "core", "there is no OCSP answer to staple: %s",
               gh_error_line(&error, line));
    gh_buffer_deinit(&answer);
}

/* The chain that a handshake shows: the leaf and the intermediate CA. The root is what the peer has
 * to have already. */
static struct gh_tls_context *open_tls(struct core *core, struct gh_slice leaf,
                                       struct gh_slice issuer, struct gh_slice key)
{
    struct gh_buffer chain;
    gh_buffer_init(&chain, PEM_MAX);
    gh_buffer_put(&chain, leaf);
    gh_buffer_put(&chain, issuer);
    struct gh_tls_context *tls = gh_tls_server_open(gh_buffer_slice(&chain), key, &core->error);
    if (tls != NULL)
        staple(core, tls, leaf, issuer);
    gh_buffer_deinit(&chain);
    return tls;
}

/* A fresh key of our own, certified by the keys process. */
static bool make_tls(struct core *core, struct gh_tls_context **out)
{
    struct gh_buffer key_pem, public_pem, leaf, issuer;
    struct gh_private_key *key = gh_private_key_generate(GH_KEY_P256, &core->error);
    gh_buffer_init(&key_pem, PEM_MAX);
    gh_buffer_init(&public_pem, PEM_MAX);
    gh_buffer_init(&leaf, PEM_MAX);
    gh_buffer_init(&issuer, PEM_MAX);
    *out = NULL;
    core->tls_generation = gh_authorities_generation(core->authorities);
    if (key != NULL && gh_private_key_print(key, &key_pem) &&
        gh_private_key_print_public(key, &public_pem) &&
        keys_certify(&core->keys, gh_buffer_slice(&public_pem), &leaf, &issuer, &core->error) ==
            GH_OK)
        *out = open_tls(core, gh_buffer_slice(&leaf), gh_buffer_slice(&issuer),
                        gh_buffer_slice(&key_pem));
    if (key_pem.data != NULL)
        gh_secret_wipe(key_pem.data, key_pem.capacity);
    gh_private_key_close(key);
    gh_buffer_deinit(&key_pem);
    gh_buffer_deinit(&public_pem);
    gh_buffer_deinit(&leaf);
    gh_buffer_deinit(&issuer);
    return *out != NULL;
}

static bool read_networks(struct core *core)
{
    for (size_t i = 0; i < core->config->proxy_from_count; i++)
        if (!gh_network_parse(core->config->proxy_from[i], &core->proxy_from[i])) {
            gh_error_set(&core->error, GH_ERROR_CONFIG,
                         "proxy_from %s: not a network (10.0.0.0/8, 2001:db8::/32, 192.0.2.1)",
                         core->config->proxy_from[i]);
            return false;
        }
    return true;
}

/* Cuts ",proxy" off the end of `address`; whether it was there. */
static bool take_proxy_mark(char *address)
{
    struct gh_slice text = gh_slice_text(address), mark = GH_SLICE(",proxy");
    if (!gh_slice_ends(text, mark))
        return false;
    address[text.size - mark.size] = '\0';
    return true;
}

/* What is common to all. */
static struct gh_listener_config
listener_config(struct core *core, const struct gh_listener_protocol *protocols, size_t count)
{
    return (struct gh_listener_config){.loops = core->loops,
                                       .loops_count = core->loops_count,
                                       .keeps_openssl = core->config->tls_own_records == 0,
                                       .protocols = protocols,
                                       .protocols_count = count,
                                       .proxy_from = core->proxy_from,
                                       .proxy_from_count = core->config->proxy_from_count,
                                       .connections_max = (size_t)core->config->connections_max,
                                       .handshakes_max = (size_t)core->config->handshakes_max,
                                       .crowd = core->crowd,
                                       .workers = core->workers,
                                       .metrics = &core->metrics};
}

static bool open_listener(struct core *core, const char *kind,
                          const struct gh_listener_config *config)
{
    struct gh_listener *opened = gh_listener_open(config, &core->error);
    if (opened == NULL)
        return false;
    core->kinds[core->listeners_count] = kind;
    core->listeners[core->listeners_count++] = opened;
    return true;
}

/* An address of the configuration. */
static bool open_address(struct core *core, const char *text, struct gh_tls_context *tls,
                         struct gh_listener_config config)
{
    char address[CONFIG_TEXT_MAX];
    snprintf(address, sizeof address, "%s", text);
    config.address = address;
    config.tls = tls;
    config.expects_proxy = take_proxy_mark(address);
    if (config.expects_proxy && address[0] != '/' && config.proxy_from_count == 0) {
        gh_error_set(&core->error, GH_ERROR_CONFIG,
                     "%s: a listener that expects the PROXY protocol needs proxy_from", text);
        return false;
    }
    return open_listener(core, tls != NULL ? "tls" : "plain", &config);
}

/* A socket of the service manager's. */
static bool open_inherited(struct core *core, const struct config_socket *socket,
                           struct gh_listener_config config)
{
    config.socket = socket->fd;
    config.tls = socket->is_plain ? NULL : core->tls;
    config.expects_proxy = socket->expects_proxy;
    return open_listener(core, socket->is_plain ? "plain" : "tls", &config);
}

static bool open_listeners(struct core *core)
{
    char admin[PATH_MAX];
    core->door = (struct gh_api_door){.api = core->api};
    core->local_door = (struct gh_api_door){.api = core->api, .local = true};
    core->http = open_http(core, &core->door, set_websocket(core));
    core->local_http = open_http(core, &core->local_door, NULL);
    core->crowd = gh_crowd_open((size_t)core->config->address_connections_max, &core->error);
    if (core->http == NULL || core->local_http == NULL || core->crowd == NULL ||
        !read_networks(core) || !make_tls(core, &core->tls))
        return false;
    struct gh_listener_protocol both[] = {{&gh_front_protocol, core->front},
                                          {&gh_http_protocol, core->http}};
    struct gh_listener_protocol local[] = {{&gh_http_protocol, core->local_http}};
    struct gh_listener_config open = listener_config(core, both, GH_COUNT(both));
    for (size_t i = 0; i < core->config->listen_count; i++)
        if (!open_address(core, core->config->listen[i], core->tls, open))
            return false;
    for (size_t i = 0; i < core->config->sockets_count; i++)
        if (!open_inherited(core, &core->config->sockets[i], open))
            return false;
    if (core->config->listen_plain[0] != '\0' &&
        !open_address(core, core->config->listen_plain, NULL, open))
        return false;
    snprintf(admin, sizeof admin, "%.*s/admin.sock", PATH_MAX - 16, core->config->data);
    struct gh_listener_config door = listener_config(core, local, GH_COUNT(local));
    door.address = admin;
    return open_listener(core, "admin", &door);
}

static bool set_issuer(struct core *core)
{
    const char *addresses[LISTENERS_MAX];
    char issuer[CONFIG_TEXT_MAX];
    size_t count = 0;
    for (size_t i = 0; i < core->listeners_count; i++)
        if (strcmp(core->kinds[i], "tls") == 0)
            addresses[count++] = gh_listener_address(core->listeners[i]);
    token_issuer(core->config, addresses, count, issuer);
    gh_log(GH_LOG_INFO, "core", "access tokens are issued by %s", issuer);
    const char *place = core->config->pki_place[0] != '\0' ? core->config->pki_place : issuer;
    if (gh_access_set_issuer(core->access, gh_slice_text(issuer)) &&
        gh_issuing_set_place(core->issuing, gh_slice_text(place)))
        return true;
    gh_error_set(&core->error, GH_ERROR_MEMORY, "the issuer");
    return false;
}

/* DIR/listeners: what is really bound, for whoever let the kernel choose the port. */
static bool write_listeners(struct core *core)
{
    char path[PATH_MAX], draft[PATH_MAX];
    snprintf(path, sizeof path, "%.*s/listeners", PATH_MAX - 32, core->config->data);
    snprintf(draft, sizeof draft, "%.*s/listeners.new", PATH_MAX - 32, core->config->data);
    FILE *file = fopen(draft, "we");
    bool good = file != NULL;
    for (size_t i = 0; good && i < core->listeners_count; i++)
        good =
            fprintf(file, "%s %s\n", core->kinds[i], gh_listener_address(core->listeners[i])) > 0;
    good = file != NULL && fclose(file) == 0 && good && rename(draft, path) == 0;
    if (!good)
        gh_error_set(&core->error, GH_ERROR_FILE, "cannot write %s", path);
    return good;
}

static void *run_loop(void *loop)
{
    prctl(PR_SET_NAME, "loop");
    gh_loop_run(loop);
    return NULL;
}

static bool start_loops(struct core *core)
{
    for (; core->threads_count < core->loops_count; core->threads_count++)
        if (pthread_create(&core->threads[core->threads_count], NULL, run_loop,
                           core->loops[core->threads_count]) != 0) {
            gh_error_set(&core->error, GH_ERROR_MEMORY, "cannot start a thread");
            return false;
        }
    return true;
}

static bool open_ocsps(struct core *core)
{
    core->ocsps = ocsps_open(core->directory, core->config->crl_private != 0, &core->error);
    return core->ocsps != NULL;
}

/* --- closing, from the rim inwards; each part may be missing */

static void close_rim(struct core *core)
{
    ocsps_close(core->ocsps);
    for (size_t i = 0; i < core->listeners_count; i++)
        gh_listener_close(core->listeners[i]);
    for (size_t i = 0; i < core->loops_count; i++)
        gh_loop_stop(core->loops[i]);
    for (size_t i = 0; i < core->threads_count; i++)
        pthread_join(core->threads[i], NULL);
    if (core->workers != NULL)
        gh_workers_close(core->workers);
    if (core->passwords != NULL) /* the workers hand on to these */
        gh_workers_close(core->passwords);
    if (core->api != NULL)
        gh_api_end_streams(core->api);
}

static void core_close(struct core *core)
{
    close_rim(core);
    if (core->telemetry != NULL)
        gh_telemetry_close(core->telemetry);
#ifdef GH_DIALECT_GOOGLE
    gh_google_push_close(core->push);
#endif
    gh_absence_close(core->absence); /* it may wait for the log */
    if (core->pubsub != NULL)
        gh_pubsub_close(core->pubsub);
    gh_broker_stop(core->broker);
    for (size_t i = 0; i < core->loops_count; i++)
        gh_loop_close(
            core->loops[i]); /* opens the last letters: completions of the log and the workers */
    gh_api_close(core->api);
#ifdef GH_DIALECT_GOOGLE
    if (core->google != NULL)
        gh_google_close(core->google);
#endif
    gh_front_close(core->front);
    gh_broker_close(core->broker);
    if (core->http != NULL)
        gh_http_server_close(core->http);
    if (core->local_http != NULL)
        gh_http_server_close(core->local_http);
    if (core->rpc != NULL)
        gh_rpc_server_close(core->rpc);
    gh_tls_context_unref(core->tls);
    gh_crowd_close(core->crowd); /* the loops are closed: all have left */
    if (core->operators != NULL)
        gh_operators_close(core->operators);
    gh_oidc_close(core->oidc);
    gh_issuing_close(core->issuing);
    gh_authorities_close(core->authorities);
    gh_traces_close(core->traces);
    gh_quotas_close(core->quotas);
    gh_rates_close(core->rates);
    gh_access_close(core->access);
    gh_sessions_close(core->sessions);
    gh_audit_close(core->audit);
    if (core->trail != NULL)
        gh_trail_close(core->trail);
    if (core->directory != NULL)
        gh_directory_close(core->directory);
    gh_device_passwords_close(core->device_passwords);
    gh_sealing_close(core->sealing);
    if (core->store != NULL)
        gh_store_close(core->store);
}

/* --- serving */

static bool renew_tls(struct core *core)
{
    struct gh_tls_context *tls;
    char line[GH_ERROR_LINE_MAX];
    if (!make_tls(core, &tls)) {
        gh_log(GH_LOG_ERROR, "core", "the server's certificate was not renewed: %s",
               gh_error_line(&core->error, line));
        return false;
    }
    for (size_t i = 0; i < core->listeners_count; i++)
        if (strcmp(core->kinds[i], "tls") == 0)
            gh_listener_set_tls(core->listeners[i], tls);
    gh_tls_context_unref(core->tls);
    core->tls = tls;
    gh_log(GH_LOG_INFO, "core", "the server's certificate was renewed");
    gh_audit_tell(core->audit, "keys.certify", "server/certificate");
    return true;
}

/* Takes out tokens and sessions whose time is over. */
static void expire(struct core *core)
{
    int64_t now_ms = gh_time_utc_ms();
    char line[GH_ERROR_LINE_MAX];
    if (gh_store_expire(core->store, now_ms, now_ms - GH_OPERATOR_IDLE_S * INT64_C(1000),
                        &core->error) != GH_OK)
        gh_log(GH_LOG_WARN, "core", "expired tokens were not removed: %s",
               gh_error_line(&core->error, line));
}

/* Lets the keys process renew what is due of the built-in CA; once a day the log says what it
 * cannot renew because the root is elsewhere. */
static void tend_authorities(struct core *core, int64_t now_ms, int64_t *said_ms)
{
    struct gh_arena arena;
    struct gh_ca_facts facts;
    char line[GH_ERROR_LINE_MAX], warning[GH_CA_WARNING_MAX];
    gh_arena_init(&arena, PEM_MAX);
    if (gh_authorities_refresh(core->authorities, &core->error) != GH_OK ||
        gh_authorities_facts(core->authorities, &arena, &facts, &core->error) != GH_OK)
        gh_log(GH_LOG_WARN, "core", "the built-in CA was not looked after: %s",
               gh_error_line(&core->error, line));
    else if (now_ms - *said_ms >= DAY_S * INT64_C(1000) &&
             gh_ca_warn(&facts, now_ms / 1000, warning)) {
        gh_log(GH_LOG_WARN, "core", "%s", warning);
        *said_ms = now_ms;
    }
    gh_arena_deinit(&arena);
}

/* Gives the memory that a crowd of connections took back to the system, once it is over: freed
 * blocks lie between others, and the allocator keeps their pages of itself. */
static void give_back(struct core *core, int64_t *opened_before)
{
    int64_t opened = gh_metric_get(&core->metrics, GH_METRIC_connections_opened_total);
    if (opened - *opened_before < CROWD_MIN ||
        gh_metric_get(&core->metrics, GH_METRIC_handshakes_open) > CALM_HANDSHAKES_MAX)
        return;
    *opened_before = opened;
    malloc_trim(0);
}

/* Until SIGTERM or SIGINT; tidies every hour, renews the certificate at two thirds of its life and,
 * when that failed, with the next tidying; soon also when there is another intermediate CA. */
static void serve(struct core *core, const sigset_t *stop)
{
    int64_t life_ns = core->config->leaf_days * DAY_S * GH_SECOND_NS;
    int64_t renew_ns = gh_time_monotonic_ns() + life_ns / 3 * 2;
    int64_t tidy_ns = gh_time_monotonic_ns() + TIDY_S * GH_SECOND_NS, opened = 0;
    int64_t fetch_s = core->config->crl_fetch_s, fetch_ns = gh_time_monotonic_ns(), said_ms = 0;
    tend_authorities(core, gh_time_utc_ms(), &said_ms);
    for (;;) {
        const struct timespec until = {.tv_sec = fetch_s < CALM_S ? fetch_s : CALM_S};
        if (sigtimedwait(stop, NULL, &until) > 0)
            return;
        give_back(core, &opened);
        if (gh_time_monotonic_ns() >= fetch_ns) {
            crls_fetch(core->directory, core->config->crl_private != 0);
            fetch_ns = gh_time_monotonic_ns() + fetch_s * GH_SECOND_NS;
        }
        if (core->tls_generation != gh_authorities_generation(core->authorities) && renew_tls(core))
            renew_ns = gh_time_monotonic_ns() + life_ns / 3 * 2;
        if (gh_time_monotonic_ns() < tidy_ns)
            continue;
        tidy_ns = gh_time_monotonic_ns() + TIDY_S * GH_SECOND_NS;
        expire(core);
        tend_authorities(core, gh_time_utc_ms(), &said_ms);
        token_keys_tend(core->access, core->audit, core->config->token_key_days,
                        gh_time_utc_ms() / 1000);
        if (gh_time_monotonic_ns() >= renew_ns && renew_tls(core))
            renew_ns = gh_time_monotonic_ns() + life_ns / 3 * 2;
    }
}

static void say_ready(struct core *core, int ready)
{
    for (size_t i = 0; i < core->listeners_count; i++)
        gh_log(GH_LOG_INFO, "core", "listening on %s", gh_listener_address(core->listeners[i]));
    (void)!write(ready, "r", 1); /* first: who hears of it may kill us at once */
    puts("ready");
    fflush(stdout);
    sd_notify(0, "READY=1");
}

/* The paths at once, as what starts a thread comes after; the calls once all that a start needs is
 * done. */
static void confine_paths(const struct config *config)
{
    int landlock = config->sandbox == SANDBOX_ON ? core_paths(config) : 0;
    if (landlock > 0)
        gh_log(GH_LOG_INFO, "core", "confined to its paths (Landlock ABI %d)", landlock);
    else
        gh_log(GH_LOG_WARN, "core", "not confined to its paths: %s",
               config->sandbox == SANDBOX_ON ? "this kernel has no Landlock"
                                             : "the configuration's sandbox is not \"on\"");
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int core_run(const struct config *config, int keys, int ready)
{
    static struct core core;
    char line[GH_ERROR_LINE_MAX];
    sigset_t stop;
    core.config = config;
    keys_line_init(&core.keys, keys);
    prctl(PR_SET_NAME, "gatehoused:core");
    mallopt(M_ARENA_MAX, 2); /* threads share; what a burst took is given back sooner */
    raise_file_limit();
    signal(SIGXFSZ,
           SIG_IGN); /* a limit of the size of files is a write that fails, as a full disk */
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    confine_paths(config);
    bool started = open_memory(&core) && open_threads(&core) && open_broker(&core) &&
                   open_faces(&core) && open_listeners(&core) && set_issuer(&core) &&
                   write_listeners(&core) && start_loops(&core) && open_ocsps(&core) &&
                   sandbox_calls(SANDBOX_CORE, config->sandbox, &core.error) == GH_OK;
    if (started) {
        gh_audit_tell(core.audit, "keys.certify", "server/certificate");
        say_ready(&core, ready);
        serve(&core, &stop);
        sd_notify(0, "STOPPING=1");
    } else {
        gh_log(GH_LOG_ERROR, "core", "%s", gh_error_line(&core.error, line));
    }
    core_close(&core);
    keys_line_deinit(&core.keys);
    return started ? EXIT_SUCCESS : EXIT_FAILURE;
}
