#include "base/log.h"
#include "base/secret.h"
#include "base/time.h"
#include "dialect/front_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IDENTITY_ARENA_MAX = 1 << 20, TRIES_MAX = 8 };

/* A refusal, for the operator: in the log, and in the trail of the device when it is known. */
static void note_refusal(const struct link *link, const struct gh_identity_claim *claim,
                         const struct gh_identity_verdict *verdict, const char *reason,
                         const char *detail)
{
    const struct gh_front_services *services = &link->port->front->services;
    const char *peer = link->conn != NULL ? gh_conn_peer(link->conn) : "";
    bool known = verdict != NULL && verdict->device != NULL;
    gh_metric_add(services->metrics, GH_METRIC_connects_refused_total, 1);
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

static void refuse(struct link *link, uint8_t connack_code)
{
    if (link->conn != NULL)
        gh_session_refuse(link->session, connack_code, gh_conn_out(link->conn));
}

static void check_identity(struct task *task)
{
    (void)!gh_identity_device(task->front->services.directory, &task->identity.claim,
                              task->front->services.utc_ms(), &task->arena,
                              &task->identity.verdict);
}

/* Moves the names of an accepted device into the link's one block. */
static bool keep_names(struct link *link, const struct gh_principal *principal)
{
    char number[24];
    size_t id = principal->device_id.size, credential = principal->credential_id.size;
    int digits = snprintf(number, sizeof number, "%llu", (unsigned long long)principal->device);
    char *block = malloc(id + credential + (size_t)digits);
    if (block == NULL)
        return false;
    memcpy(block, principal->device_id.data, id);
    if (credential > 0)
        memcpy(block + id, principal->credential_id.data, credential);
    memcpy(block + id + credential, number, (size_t)digits);
    free(link->names);
    link->names = block;
    link->device_id = gh_slice(block, id);
    link->credential = gh_slice(block + id, credential);
    link->number_text = gh_slice(block + id + credential, (size_t)digits);
    link->device = principal->device;
    return true;
}

static void copy_text(char *to, size_t size, struct gh_slice from)
{
    size_t length = from.size < size ? from.size : size - 1;
    if (length > 0)
        memcpy(to, from.data, length);
    to[length] = '\0';
}

/* Takes its place among the sessions; false when there is no memory. */
static bool enter(struct link *link, int64_t now_ms)
{
    const struct gh_front_services *services = &link->port->front->services;
    struct gh_presence presence = {.device = link->device,
                                   .registry = link->view->registry,
                                   .tenant = link->view->tenant,
                                   .since_ms = now_ms,
                                   .expires_at_ms = link->expires_at_ms,
                                   .dialect = link->dialect->name};
    copy_text(presence.peer, sizeof presence.peer, gh_slice_text(gh_conn_peer(link->conn)));
    copy_text(presence.credential, sizeof presence.credential, link->credential);
    if (!gh_sessions_enter(services->sessions, &link->port->port, &presence))
        return false;
    link->serial = presence.serial;
    void *before;
    if (!gh_map_put(&link->port->links, gh_slice(&link->device, sizeof link->device), link,
                    &before)) {
        gh_sessions_leave(services->sessions, link->device, link->serial);
        link->serial = 0;
        return false;
    }
    /* The one before on this loop finds its order by pointer no more, so it is ended here. */
    if (before != NULL && before != link)
        link_end(before, GH_SESSION_END_TAKEN_OVER, "the device connected again");
    return true;
}

static void leave(struct link *link)
{
    gh_sessions_leave(link->port->front->services.sessions, link->device, link->serial);
    gh_map_remove(&link->port->links, gh_slice(&link->device, sizeof link->device));
    link->serial = 0;
}

static void admit(struct link *link, int64_t now_ms)
{
    const struct gh_front_services *services = &link->port->front->services;
    int64_t left_ms = link->expires_at_ms - now_ms;
    link->expires_ns = gh_loop_now_ns(link->port->port.loop) + left_ms * GH_MS_NS;
    gh_metric_add(services->metrics, GH_METRIC_connects_accepted_total, 1);
    gh_metric_add(services->metrics, GH_METRIC_sessions_open, 1);
    link_note(link, GH_TRAIL_CONNECT, link->dialect->name, link->credential);
    gh_session_admit(link->session, gh_conn_out(link->conn));
}

static void identity_checked(struct task *task);

static bool start_check(struct link *link, const struct gh_identity_claim *claim)
{
    struct task *task = task_open(link, IDENTITY_ARENA_MAX, check_identity, identity_checked);
    if (task == NULL)
        return false;
    struct gh_identity_claim *copy = &task->identity.claim;
    *copy = *claim;
    if (!gh_arena_copy(&task->arena, claim->tenant, &copy->tenant) ||
        !gh_arena_copy(&task->arena, claim->registry, &copy->registry) ||
        !gh_arena_copy(&task->arena, claim->location, &copy->location) ||
        !gh_arena_copy(&task->arena, claim->device, &copy->device) ||
        !gh_arena_copy(&task->arena, claim->token, &copy->token) ||
        !gh_arena_copy(&task->arena, claim->secret, &copy->secret)) {
        task_close(task);
        return false;
    }
    copy->policy.audience = copy->tenant;
    link->epoch = gh_sessions_epoch(link->port->front->services.sessions);
    return task_start(task);
}

/* True when the directory did not change between the check and the entry: whatever changes later
 * finds the session. */
static bool check_still_holds(struct link *link)
{
    return gh_sessions_epoch(link->port->front->services.sessions) == link->epoch;
}

static void decide(struct link *link, struct task *task)
{
    struct gh_identity_verdict *verdict = &task->identity.verdict;
    int64_t now_ms = task->front->services.utc_ms();
    if (link->conn == NULL || gh_session_ended(link->session))
        return;
    if (verdict->reason != GH_IDENTITY_ACCEPTED) {
        note_refusal(link, &task->identity.claim, verdict, gh_identity_reason_name(verdict->reason),
                     verdict->detail);
        refuse(link, link->dialect->refusal(verdict->reason));
        return;
    }
    view_release(link->port, link->view);
    link->view = view_acquire(link->port, verdict->registry, link->dialect);
    link->expires_at_ms = verdict->valid_until_s * 1000;
    if (link->view == NULL || !keep_names(link, &verdict->principal) || !enter(link, now_ms)) {
        refuse(link, GH_MQTT_REFUSED_UNAVAILABLE);
        return;
    }
    if (check_still_holds(link)) {
        admit(link, now_ms);
        return;
    }
    leave(link);
    if (++link->tries >= TRIES_MAX || !start_check(link, &task->identity.claim)) {
        note_refusal(link, &task->identity.claim, verdict, "UNAVAILABLE",
                     "the directory keeps changing");
        refuse(link, GH_MQTT_REFUSED_UNAVAILABLE);
    }
}

static void identity_checked(struct task *task)
{
    struct gh_slice token = task->identity.claim.token, secret = task->identity.claim.secret;
    decide(task->link, task);
    if (token.size > 0) /* the copy in the task's own arena */
        gh_secret_wipe((void *)(uintptr_t)token.data, token.size);
    if (secret.size > 0)
        gh_secret_wipe((void *)(uintptr_t)secret.data, secret.size);
}

void link_authenticate(struct link *link, const struct gh_mqtt_connect *connect)
{
    const struct gh_front_services *services = &link->port->front->services;
    struct gh_identity_claim claim = {0};
    const char *why = "";
    for (size_t i = 0; i < GH_FRONT_DIALECTS_MAX && services->dialects[i] != NULL; i++) {
        if (!services->dialects[i]->recognise(connect))
            continue;
        link->dialect = services->dialects[i];
        break;
    }
    if (link->dialect == NULL) {
        claim.device = connect->client_id;
        note_refusal(link, &claim, NULL, "CLIENT_ID", "no dialect knows a client id like this one");
        refuse(link, GH_MQTT_REFUSED_CLIENT_ID);
        return;
    }
    uint8_t code = link->dialect->claim(connect, &claim, &why);
    if (code != GH_MQTT_ACCEPTED) {
        if (claim.device.size == 0)
            claim.device = connect->client_id;
        note_refusal(link, &claim, NULL,
                     code == GH_MQTT_REFUSED_CLIENT_ID ? "CLIENT_ID" : "NO_TOKEN", why);
        refuse(link, code);
    } else if (!start_check(link, &claim)) {
        note_refusal(link, &claim, NULL, "UNAVAILABLE", "the queue of checks is full");
        refuse(link, GH_MQTT_REFUSED_UNAVAILABLE);
    }
}
