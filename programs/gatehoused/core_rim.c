/* The rim of the core: HTTP with its WebSocket, the listeners of the configuration and of the
 * service manager, the operator's own door, and the loops' threads. */
#include "base/log.h"
#include "programs/gatehoused/core_internal.h"
#include "programs/gatehoused/token_service.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

enum { BODY_MAX = 2 * 1024 * 1024 };

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

bool core_open_listeners(struct core *core)
{
    char admin[PATH_MAX];
    core->door = (struct gh_api_door){.api = core->api};
    core->local_door = (struct gh_api_door){.api = core->api, .local = true};
    core->http = open_http(core, &core->door, set_websocket(core));
    core->local_http = open_http(core, &core->local_door, NULL);
    core->crowd = gh_crowd_open((size_t)core->config->address_connections_max, &core->error);
    if (core->http == NULL || core->local_http == NULL || core->crowd == NULL ||
        !read_networks(core) || !core_open_tickets(core) || !core_make_tls(core, &core->tls))
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

bool core_set_issuer(struct core *core)
{
    const char *addresses[CORE_LISTENERS_MAX];
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

bool core_write_listeners(struct core *core)
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

bool core_start_loops(struct core *core)
{
    for (; core->threads_count < core->loops_count; core->threads_count++)
        if (pthread_create(&core->threads[core->threads_count], NULL, run_loop,
                           core->loops[core->threads_count]) != 0) {
            gh_error_set(&core->error, GH_ERROR_MEMORY, "cannot start a thread");
            return false;
        }
    return true;
}

/* --- closing; each part may be missing */

void core_close_rim(struct core *core)
{
    ocsps_close(core->ocsps);
    for (size_t i = 0; i < core->listeners_count; i++)
        gh_listener_close(core->listeners[i]);
    for (size_t i = 0; i < core->loops_count; i++)
        gh_loop_stop(core->loops[i]);
    for (size_t i = 0; i < core->threads_count; i++)
        pthread_join(core->threads[i], NULL);
    gh_workers_stop(core->workers);
    gh_workers_stop(core->passwords); /* the workers hand on to these */
    if (core->api != NULL)
        gh_api_end_streams(core->api);
}
