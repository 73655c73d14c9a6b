#include "base/log.h"
#include "base/secret.h"
#include "base/slots.h"
#include "base/time.h"
#include "dialect/front_internal.h"
#include "route/rate.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    IDENTITY_ARENA_MAX = 1 << 20,
    ROUTED_ARENA_MAX = 4 << 20,
    CHAIN_ARENA_MAX = 128 * 1024,
    TRIES_MAX = 8,
};

/* A refusal, for the operator: in the log, and in the trail of the device when it is known. */
static void note_refusal(const struct link *link, const struct gh_identity_claim *claim,
                         const struct gh_identity_verdict *verdict, const char *reason,
                         const char *detail)
{
    const struct gh_front_services *services = &link_port(link)->front->services;
    const char *peer = link->conn != NULL ? gh_conn_peer(link->conn) : "";
    bool known = verdict != NULL && verdict->device != NULL;
    front_count(link_port(link)->front, GH_TRAIL_REFUSAL, reason);
    gh_log(GH_LOG_WARN, "front", "refused %.*s/%.*s/%.*s from %s: %s, %s", GH_PRINT(claim->tenant),
           GH_PRINT(claim->registry), GH_PRINT(claim->device), peer, reason, detail);
    gh_trail_note(services->trail,
                  &(struct gh_trail_entry){
                      .at_ms = services->utc_ms(),
                      .device = known ? verdict->device->number : 0,
                      .tenant = known ? verdict->device->tenant_name : claim->tenant,
                      .registry = known ? verdict->device->registry_name : claim->registry,
                      .device_id = known ? verdict->device->id : claim->device,
                      .kind = GH_TRAIL_REFUSAL,
                      .reason = gh_slice_text(reason),
                      .detail = gh_slice_text(detail),
                      .address = gh_slice_text(peer)});
}

static void refuse(struct link *link, enum gh_session_refusal refusal)
{
    if (link->conn != NULL)
        gh_session_refuse(link_session(link), refusal, gh_conn_out(link->conn));
}

static void check_identity(struct task *task)
{
    struct gh_identity_verdict *verdict = &task->identity.verdict;
    if (gh_identity_device(task->front->services.directory, &task->identity.claim,
                           task->front->services.utc_ms(), &task->arena,
                           verdict) != GH_IDENTITY_ACCEPTED ||
        !task->identity.routes)
        return;
    const struct gh_identity_claim *claim = &task->identity.claim;
    const struct route_subject subject = {
        .principal = &verdict->principal,
        .device = verdict->device,
        .client_id = task->identity.client_id,
        .peer = task->identity.peer,
        .at_once = claim->at_once,
        .certificate = claim->by_certificate ? claim->chain[0] : (struct gh_slice){0}};
    task->identity.statements = route_statements(task->front, &subject, &task->arena, &task->error);
}

void party_drop_names(struct party *party)
{
    struct party_names *names = party->names;
    if (names != NULL)
        gh_slot_give(names, sizeof *names + names->ends[GH_COUNT(names->ends) - 1]);
    party->names = NULL;
}

bool party_keep_names(struct party *party, const struct gh_principal *principal,
                      struct gh_slice client_id)
{
    char number[24];
    int digits =
        party_link(party)->routes /* such a dialect has no word for it */
            ? 0
            : snprintf(number, sizeof number, "%llu", (unsigned long long)principal->device);
    if (gh_slice_equal(client_id, principal->device_id))
        client_id.size = 0;
    const struct gh_slice texts[] = {principal->device_id, principal->credential_id,
                                     gh_slice(number, (size_t)digits), principal->token_id,
                                     gh_slice_sub(client_id, 0, GH_PRESENCE_CLIENT_MAX - 1)};
    size_t size = 0;
    for (size_t i = 0; i < GH_COUNT(texts); i++)
        size += texts[i].size;
    /* Each has a bound far below. */
    struct party_names *names = size > UINT16_MAX ? NULL : gh_slot_take(sizeof *names + size);
    if (names == NULL)
        return false;
    for (size_t i = 0, at = 0; i < GH_COUNT(texts); i++) {
        if (texts[i].size > 0)
            memcpy(names->text + at, texts[i].data, texts[i].size);
        at += texts[i].size;
        names->ends[i] = (uint16_t)at;
    }
    party_drop_names(party);
    party->names = names;
    party->place.device = principal->device;
    return true;
}

static void copy_text(char *to, size_t size, struct gh_slice from)
{
    size_t length = from.size < size ? from.size : size - 1;
    if (length > 0)
        memcpy(to, from.data, length);
    to[length] = '\0';
}

static uint64_t client_key(const struct link *link)
{
    return !link->routes ? 0 : gh_presence_client_key(link->routed.asked->connect.client_id);
}

/* The server chose its client id: such a connection takes nobody's place. */
static bool is_assigned(const struct link *link)
{
    return link->routes && route_is_assigned(link);
}

static void leave(struct link *link)
{
    if (link->view->quota != NULL)
        gh_quota_leave(link->view->quota);
    gh_sessions_leave(link_port(link)->front->services.sessions, &link->own.place);
}

struct search {
    uint64_t client_key;
    bool found;
};

static void find_client(void *context, const struct gh_presence *presence)
{
    struct search *search = context;
    search->found |= presence->client_key == search->client_key;
}

/* Takes a place in the tenant's quota. */
static bool has_place(struct link *link)
{
    struct search same = {client_key(link), false};
    if (link->view->quota == NULL)
        return true;
    gh_sessions_of(link_port(link)->front->services.sessions, link->own.place.device, find_client,
                   &same);
    return gh_quota_enter(link->view->quota, same.found && !is_assigned(link));
}

/* Counts the connection, where the dialect's cloud had a rate of these. */
static bool is_within_rate(const struct link *link)
{
    const struct gh_front_services *services = &link_port(link)->front->services;
    const struct gh_rate_thing requests = {link->view->tenant, 0, GH_RATE_REQUESTS};
    return services->rates == NULL || link->routes ||
           gh_rates_take(services->rates, &requests, services->utc_ms());
}

static const char *transport_of(const struct gh_conn *conn)
{
    bool is_secure = gh_conn_is_secure(conn);
    if (gh_conn_framing(conn) != NULL) /* the only one so far */
        return is_secure ? "websocket" : "websocket-plain";
    return is_secure ? "tls" : "plain";
}

void party_describe(const struct gh_place *place, struct gh_presence *out)
{
    const struct party *party = party_at(place);
    const struct link *link = party_link(party);
    bool is_own = party == &link->own;
    out->registry = link->view->registry;
    out->tenant = link->view->tenant;
    out->expires_at_ms = party->ends_utc_s * INT64_C(1000);
    out->dialect = link_dialect(link)->name;
    out->transport = is_own ? transport_of(link->conn) : "gateway";
    out->version = (int)gh_session_version(link_session(link));
    copy_text(out->peer, sizeof out->peer, gh_slice_text(gh_conn_peer(link->conn)));
    copy_text(out->credential, sizeof out->credential, party_credential(party));
    copy_text(out->client, sizeof out->client,
              !is_own        ? party_id(&link->own)
              : link->routes ? party_client(party)
                             : (struct gh_slice){0});
}

static bool enter_as(struct link *link, int64_t now_ms)
{
    struct gh_place *place = &link->own.place;
    gh_place_set_since(place, now_ms);
    place->client_key = client_key(link);
    place->assigned = is_assigned(link);
    return gh_sessions_enter(link_port(link)->front->services.sessions, place);
}

/* Under another name, which nobody has; false without memory. */
static bool enter_renamed(struct link *link, int64_t now_ms)
{
    const struct gh_principal principal = {.device = link->own.place.device,
                                           .device_id = party_id(&link->own),
                                           .credential_id = party_credential(&link->own),
                                           .token_id = party_token(&link->own)};
    return route_rename(link) &&
           party_keep_names(&link->own, &principal, link->routed.asked->connect.client_id) &&
           enter_as(link, now_ms);
}

/* Takes its place among the sessions; false when there is no memory, and then its place in the
 * quota is given back. An assigned client id is another one when somebody has it: a connection that
 * enters here, or a session at the broker, which is asked after the place is taken, so that of two
 * that come at once only one keeps the name. */
static bool enter(struct link *link, int64_t now_ms)
{
    bool entered = enter_as(link, now_ms);
    if (entered && is_assigned(link) && route_name_is_taken(link)) {
        gh_sessions_leave(link_port(link)->front->services.sessions, &link->own.place);
        entered = false;
    }
    if (entered || enter_renamed(link, now_ms)) {
        /* A reader who came before finds it by order. */
        link_trace_known(link, link->own.place.device);
        return true;
    }
    if (link->view->quota != NULL)
        gh_quota_leave(link->view->quota);
    return false;
}

void link_admit(struct link *link, const struct gh_session_admission *admission)
{
    const struct gh_front_services *services = &link_port(link)->front->services;
    party_begin_end(&link->own);
    link->admitted = true;
    gh_metric_add(services->metrics, GH_METRIC_connects_accepted_total, 1);
    gh_metric_add(services->metrics, GH_METRIC_sessions_open, 1);
    link_note(link, GH_TRAIL_CONNECT, link_dialect(link)->name, party_credential(&link->own));
    party_told(&link->own, GH_CHRONICLE_CONNECT, (struct gh_slice){0}, NULL);
    gh_session_admit(link_session(link), admission, gh_conn_out(link->conn));
}

void link_refuse(struct link *link, enum gh_session_refusal refusal, const char *reason,
                 const char *detail)
{
    gh_log(GH_LOG_WARN, "front", "refused %.*s/%.*s/%.*s: %s, %s",
           GH_PRINT(link->view->tenant_name), GH_PRINT(link->view->name),
           GH_PRINT(party_id(&link->own)), reason, detail);
    link_note(link, GH_TRAIL_REFUSAL, reason, gh_slice_text(detail));
    if (link->own.place.serial != 0)
        leave(link);
    refuse(link, refusal);
}

static void identity_checked(struct task *task);

static bool copy_chain(struct task *task, const struct gh_identity_claim *claim,
                       struct gh_identity_claim *copy)
{
    struct gh_slice *chain = gh_arena_array(&task->arena, claim->chain_count + 1, sizeof *chain);
    copy->chain = chain;
    for (size_t i = 0; chain != NULL && i < claim->chain_count; i++)
        if (!gh_arena_copy(&task->arena, claim->chain[i], &chain[i]))
            return false;
    return chain != NULL;
}

/* The task keeps copies: the packet is gone when it runs. */
static bool copy_claim(struct task *task, const struct gh_identity_claim *claim)
{
    struct gh_identity_claim *copy = &task->identity.claim;
    *copy = *claim;
    bool copied = gh_arena_copy(&task->arena, claim->tenant, &copy->tenant) &&
                  gh_arena_copy(&task->arena, claim->registry, &copy->registry) &&
                  gh_arena_copy(&task->arena, claim->location, &copy->location) &&
                  gh_arena_copy(&task->arena, claim->device, &copy->device) &&
                  gh_arena_copy(&task->arena, claim->token, &copy->token) &&
                  gh_arena_copy(&task->arena, claim->secret, &copy->secret) &&
                  gh_arena_copy(&task->arena, claim->sas, &copy->sas) &&
                  gh_arena_copy(&task->arena, claim->resource, &copy->resource) &&
                  copy_chain(task, claim, copy);
    copy->access = task->front->services.access;
    copy->policy.audience = copy->tenant;
    if (claim->policy.subject.size > 0)
        copy->policy.subject = copy->device;
    return copied;
}

static bool has_certificate(const struct link *link)
{
    const struct gh_tls *tls = gh_conn_tls(link->conn);
    return tls != NULL && gh_tls_has_peer_certificate(tls);
}

/* On the loop, without a worker: a yes, and all that it takes is remembered. What is not known yet,
 * and every no, is for a worker, so that a refusal takes its time whoever is named. True: it is
 * done, and the task is gone. */
static bool decide_at_once(struct task *task)
{
    struct gh_identity_claim *claim = &task->identity.claim;
    if (task->identity.again || !gh_identity_is_quick(claim))
        return false;
    claim->at_once = true;
    check_identity(task);
    claim->at_once = false;
    if (task->identity.verdict.reason != GH_IDENTITY_ACCEPTED ||
        (task->identity.routes && task->identity.statements == NULL))
        return false;
    identity_checked(task);
    task_close(task);
    return true;
}

static bool start_check(struct link *link, const struct gh_identity_claim *claim, bool again)
{
    size_t arena_max = link->routes ? ROUTED_ARENA_MAX : IDENTITY_ARENA_MAX;
    struct task *task = task_open(link, arena_max, check_identity, identity_checked);
    if (task == NULL)
        return false;
    bool copied = copy_claim(task, claim);
    task->identity.again = again;
    task->identity.routes = link->routes && !again;
    if (copied && task->identity.routes)
        copied = gh_arena_copy(&task->arena, link->routed.asked->connect.client_id,
                               &task->identity.client_id) &&
                 route_peer_copy(link, &task->arena, &task->identity.peer);
    if (!copied) {
        task_close(task);
        return false;
    }
    task->identity.epoch = gh_sessions_epoch(link_port(link)->front->services.sessions);
    return decide_at_once(task) || task_start(task);
}

/* True when the directory did not change between the check and the entry: whatever changes later
 * finds the session. */
static bool check_still_holds(const struct task *task)
{
    return gh_sessions_epoch(task->front->services.sessions) == task->identity.epoch;
}

/* --- after the verdict */

struct counting {
    uint64_t client_key;
    size_t others;
};

static void count_others(void *context, const struct gh_presence *presence)
{
    struct counting *counting = context;
    counting->others += presence->client_key != counting->client_key;
}

/* NULL, or what policy and the device's ceiling say against it. */
static const char *refused_route(struct link *link, struct task *task,
                                 enum gh_session_refusal *refusal)
{
    const struct gh_front_services *services = &link_port(link)->front->services;
    struct counting counting = {client_key(link), 0};
    gh_statements_unref(link->routed.statements);
    link->routed.statements = task->identity.statements;
    task->identity.statements = NULL;
    *refusal = GH_SESSION_REFUSED_UNAVAILABLE;
    if (link->routed.statements == NULL)
        return "its policies cannot be read";
    *refusal = GH_SESSION_REFUSED_UNAUTHORISED;
    const char *why = route_refuses(link);
    if (why != NULL)
        return why;
    gh_sessions_of(services->sessions, link->own.place.device, count_others, &counting);
    *refusal = GH_SESSION_REFUSED_QUOTA;
    return counting.others >= services->sessions_of_device_max
               ? "the device has as many connections as it may"
               : NULL;
}

/* Who it is and where: kept in the link. False when there is no memory. */
static bool settle_in(struct link *link, const struct gh_identity_verdict *verdict)
{
    struct gh_slice client_id = {0};
    if (link->routes)
        client_id = link->routed.asked->connect.client_id;
    view_release(link_port(link), link->view);
    link->view = view_acquire(link_port(link), verdict->registry, link_dialect(link));
    party_set_end(&link->own, verdict->valid_until_s);
    link->own.log_level = (uint8_t)verdict->device->log_level;
    if (link->view == NULL || !party_keep_names(&link->own, &verdict->principal, client_id) ||
        (verdict->principal.is_gateway && link_dialect(link)->attach != NULL &&
         !gateway_open(link)))
        return false;
    if (link->routes)
        route_assign(link);
    return true;
}

static void decide(struct link *link, struct task *task)
{
    struct gh_identity_verdict *verdict = &task->identity.verdict;
    int64_t now_ms = task->front->services.utc_ms();
    enum gh_session_refusal refusal;
    const char *why = NULL;
    if (link->conn == NULL || gh_session_ended(link_session(link)))
        return;
    if (verdict->device != NULL)
        link_trace_known(link, verdict->device->number);
    if (verdict->reason != GH_IDENTITY_ACCEPTED) {
        note_refusal(link, &task->identity.claim, verdict, gh_identity_reason_name(verdict->reason),
                     verdict->detail);
        refuse(link, link_dialect(link)->refusal(verdict->reason));
        return;
    }
    link->by_certificate = task->identity.claim.by_certificate;
    if (!settle_in(link, verdict)) {
        refuse(link, GH_SESSION_REFUSED_UNAVAILABLE);
        return;
    }
    if (link->routes && (why = refused_route(link, task, &refusal)) != NULL) {
        link_refuse(link, refusal,
                    refusal == GH_SESSION_REFUSED_UNAUTHORISED ? "POLICY"
                                                               : gh_session_refusal_name(refusal),
                    why);
        return;
    }
    if (!is_within_rate(link)) {
        link_refuse(link, GH_SESSION_REFUSED_QUOTA, "TENANT_REQUESTS",
                    "the tenant's devices connect or ask more often than they may");
        return;
    }
    if (!has_place(link)) {
        link_refuse(link, GH_SESSION_REFUSED_QUOTA, "TENANT_CONNECTIONS",
                    "the tenant has as many connections as it may");
        return;
    }
    if (!enter(link, now_ms)) {
        refuse(link, GH_SESSION_REFUSED_UNAVAILABLE);
        return;
    }
    if (check_still_holds(task)) {
        if (link->routes)
            route_attach(link);
        else
            link_admit(link, &gh_session_admission_default);
        return;
    }
    leave(link);
    if (++link->tries >= TRIES_MAX || !start_check(link, &task->identity.claim, false)) {
        note_refusal(link, &task->identity.claim, verdict, "UNAVAILABLE",
                     "the directory keeps changing");
        refuse(link, GH_SESSION_REFUSED_UNAVAILABLE);
    }
}

/* --- a token that is renewed on a live connection */

/* False without memory. */
static bool renew(struct link *link, const struct gh_identity_verdict *verdict)
{
    struct gh_sessions *sessions = link_port(link)->front->services.sessions;
    gh_sessions_hold(sessions, &link->own.place);
    bool kept = party_keep_names(&link->own, &verdict->principal, party_client(&link->own));
    if (kept)
        party_set_end(&link->own, verdict->valid_until_s);
    gh_sessions_let(sessions, &link->own.place);
    return kept;
}

static void decide_again(struct link *link, struct task *task)
{
    struct gh_identity_verdict *verdict = &task->identity.verdict;
    bool same = verdict->reason == GH_IDENTITY_ACCEPTED &&
                verdict->principal.device == link->own.place.device;
    if (!link_is_live(link))
        return;
    if (same && renew(link, verdict)) {
        link->by_certificate = task->identity.claim.by_certificate;
        route_reload_policy(link); /* the new credential may have policies of its own */
        party_begin_end(&link->own);
        link_note(link, GH_TRAIL_CONNECT, "RENEWED", party_credential(&link->own));
    } else {
        note_refusal(link, &task->identity.claim, verdict, gh_identity_reason_name(verdict->reason),
                     verdict->detail);
    }
    gh_session_reauthenticated(link_session(link), same, gh_conn_out(link->conn));
    if (same && !check_still_holds(task)) /* its key may have gone meanwhile */
        party_check_credential(&link->own);
}

/* With what the handshake brought, where it decides: the claim is made by it, or by a token that
 * may be bound to it. */
static bool start_with_certificate(struct link *link, struct gh_identity_claim *claim, bool again)
{
    struct gh_slice chain[GH_IDENTITY_CHAIN_MAX];
    struct gh_arena arena;
    bool may_be_bound = claim->access_taken && claim->token.size > 0;
    if (!has_certificate(link) || (!claim->by_certificate && !may_be_bound))
        return start_check(link, claim, again);
    gh_arena_init(&arena, CHAIN_ARENA_MAX);
    claim->chain = chain;
    bool read = gh_tls_peer_chain(gh_conn_tls(link->conn), GH_IDENTITY_CHAIN_MAX, &arena, chain,
                                  &claim->chain_count);
    if (!read)
        claim->chain_count = 0; /* a token that is not bound does not need it */
    bool started = (read || may_be_bound) && start_check(link, claim, again);
    claim->chain = NULL;
    claim->chain_count = 0;
    gh_arena_deinit(&arena);
    return started;
}

void link_reauthenticate(struct link *link, struct gh_slice data)
{
    struct gh_identity_claim claim;
    struct gh_speaker speaker = party_speaker(&link->own);
    bool started = false;
    if (link_dialect(link)->renew != NULL) {
        link_dialect(link)->renew(&speaker, data, &claim);
        started = start_with_certificate(link, &claim, true);
    }
    if (!started)
        gh_session_reauthenticated(link_session(link), false, gh_conn_out(link->conn));
}

static void wipe(struct gh_slice secret)
{
    if (secret.size > 0) /* the copy in the task's own arena */
        gh_secret_wipe((void *)(uintptr_t)secret.data, secret.size);
}

static void identity_checked(struct task *task)
{
    struct gh_slice token = task->identity.claim.token, secret = task->identity.claim.secret,
                    sas = task->identity.claim.sas;
    if (task->identity.again)
        decide_again(task->link, task);
    else
        decide(task->link, task);
    gh_statements_unref(task->identity.statements);
    wipe(token);
    wipe(secret);
    wipe(sas);
}

/* Its number, from 1 on; 0: nobody's. */
static uint8_t recognise(const struct gh_front_services *services,
                         const struct gh_mqtt_connect *connect)
{
    for (uint8_t i = 0; i < GH_FRONT_DIALECTS_MAX && services->dialects[i] != NULL; i++)
        if (services->dialects[i]->recognise(connect))
            return (uint8_t)(i + 1);
    return 0;
}

void link_authenticate(struct link *link, const struct gh_mqtt_connect *connect)
{
    const struct gh_front_services *services = &link_port(link)->front->services;
    struct gh_identity_claim claim = {0};
    enum gh_session_refusal refusal = GH_SESSION_REFUSED_UNAVAILABLE;
    const char *why = "";
    link->dialect = recognise(services, connect);
    if (link_dialect(link) == NULL) {
        claim.device = connect->client_id;
        bool named = connect->has_user_name;
        note_refusal(link, &claim, NULL, named ? "CLIENT_ID" : "NO_TOKEN",
                     named ? "no dialect knows a client id and user name like these"
                           : "there is no user name");
        refuse(link, named ? GH_SESSION_REFUSED_CLIENT_ID : GH_SESSION_REFUSED_CREDENTIALS);
        return;
    }
    if (!link_dialect(link)->claim(connect, &claim, &refusal, &why)) {
        if (claim.device.size == 0)
            claim.device = connect->client_id;
        note_refusal(link, &claim, NULL,
                     refusal == GH_SESSION_REFUSED_CREDENTIALS ? "NO_TOKEN"
                                                               : gh_session_refusal_name(refusal),
                     why);
        refuse(link, refusal);
    } else if (claim.by_certificate && !has_certificate(link)) {
        note_refusal(link, &claim, NULL, "NO_TOKEN",
                     "there is neither a password nor a client certificate");
        refuse(link, GH_SESSION_REFUSED_CREDENTIALS);
    } else if ((link_dialect(link)->routes && !route_prepare(link, connect)) ||
               !start_with_certificate(link, &claim, false)) {
        note_refusal(link, &claim, NULL, "UNAVAILABLE", "the queue of checks is full");
        refuse(link, GH_SESSION_REFUSED_UNAVAILABLE);
    }
}
