#include "programs/gatehoused/core.h"
#include "base/log.h"
#ifdef GH_DIALECT_GOOGLE
#include "dialect/google/google.h"
#include "dialect/google/push.h"
#endif
#include "identity/oidc.h"
#include "identity/operator.h"
#include "io/rpc.h"
#include "observe/absence.h"
#include "observe/telemetry.h"
#include "observe/trace.h"
#include "observe/trail.h"
#include "programs/gatehoused/core_internal.h"
#include "programs/gatehoused/core_paths.h"
#include "programs/gatehoused/crls.h"
#include "programs/gatehoused/token_service.h"
#include "pubsub/pubsub.h"
#include "registry/directory.h"
#include "registry/password.h"
#include "registry/sealing.h"
#include "route/broker.h"
#include "route/quota.h"
#include "route/rate.h"
#include "route/sessions.h"
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum {
    TIDY_S = 3600,
    CALM_S = 15,
    CALM_HANDSHAKES_MAX = 64,
    CROWD_MIN = 500,
};

/* --- opening */

static bool open_ocsps(struct core *core)
{
    core->ocsps = ocsps_open(core->directory, core->config->crl_private != 0, &core->error);
    return core->ocsps != NULL;
}

/* In the order of the storeys. When all is open the process gives up the system calls that only a
 * start needs. */
static bool open_all(struct core *core)
{
    static bool (*const openers[])(struct core * core) = {
        core_open_memory,     core_open_threads,   core_open_broker,
        core_open_faces,      core_open_listeners, core_set_issuer,
        core_write_listeners, core_start_loops,    open_ocsps};
    for (size_t i = 0; i < GH_COUNT(openers); i++)
        if (!openers[i](core))
            return false;
    return sandbox_calls(SANDBOX_CORE, core->config->sandbox, &core->error) == GH_OK;
}

/* --- closing, from the rim inwards; each part may be missing */

static void core_close(struct core *core)
{
    core_close_rim(core);
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
    gh_tickets_close(core->tickets);
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
    gh_workers_close(core->workers); /* stopped at the rim; until here others might ask them */
    gh_workers_close(core->passwords);
    if (core->directory != NULL)
        gh_directory_close(core->directory);
    gh_device_passwords_close(core->device_passwords);
    gh_sealing_close(core->sealing);
    if (core->store != NULL)
        gh_store_close(core->store);
}

/* --- serving */

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
    gh_arena_init(&arena, CORE_PEM_MAX);
    if (gh_authorities_refresh(core->authorities, &core->error) != GH_OK ||
        gh_authorities_facts(core->authorities, &arena, &facts, &core->error) != GH_OK)
        gh_log(GH_LOG_WARN, "core", "the built-in CA was not looked after: %s",
               gh_error_line(&core->error, line));
    else if (now_ms - *said_ms >= CORE_DAY_S * INT64_C(1000) &&
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
    int64_t life_ns = core->config->leaf_days * CORE_DAY_S * GH_SECOND_NS;
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
        if (core->tls_generation != gh_authorities_generation(core->authorities) &&
            core_renew_tls(core))
            renew_ns = gh_time_monotonic_ns() + life_ns / 3 * 2;
        if (gh_time_monotonic_ns() < tidy_ns)
            continue;
        tidy_ns = gh_time_monotonic_ns() + TIDY_S * GH_SECOND_NS;
        expire(core);
        tend_authorities(core, gh_time_utc_ms(), &said_ms);
        token_keys_tend(core->access, core->audit, core->config->token_key_days,
                        gh_time_utc_ms() / 1000);
        if (gh_time_monotonic_ns() >= renew_ns && core_renew_tls(core))
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
    bool started = open_all(&core);
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
