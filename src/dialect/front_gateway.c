/* Gateways: one connection that speaks for many devices. Each attached device has its place among
 * the sessions as one that connected itself, so that configurations, commands and orders find it;
 * what it is sent goes out on the gateway's connection. A device that attaches elsewhere or
 * connects itself takes that place over and comes off here. */
#include "base/log.h"
#include "base/secret.h"
#include "base/time.h"
#include "dialect/front_internal.h"
#include "identity/gateway.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ATTACH_ARENA_MAX = 1 << 20,
    ATTACHED_MAX_DEFAULT = 1000,
    TRIES_MAX = 8,
    REPORT_BYTES_MAX = 4096,
    SLOTS_FIRST = 16,
};

static const struct gh_front_services *services_of(const struct link *link)
{
    return &link_port(link)->front->services;
}

/* --- who is attached */

bool gateway_open(struct link *link)
{
    if (link_gateway(link) != NULL)
        return true;
    struct gateway *gateway = calloc(1, sizeof *gateway);
    if (gateway == NULL || !party_needs_feeds(&link->own)) {
        free(gateway);
        return false;
    }
    gh_map_init(&gateway->by_name);
    gateway->due_ns = INT64_MAX;
    link->own.feeds->gateway = gateway;
    return true;
}

/* The connection is over and nothing of it is under way. */
void gateway_close(struct link *link)
{
    struct gateway *gateway = link_gateway(link);
    if (gateway == NULL)
        return;
    gh_map_deinit(&gateway->by_name);
    free(gateway->slots);
    free(gateway);
    link->own.feeds->gateway = NULL;
}

struct party *gateway_party(const struct link *link, struct gh_slice name)
{
    return link_gateway(link) == NULL ? NULL : gh_map_get(&link_gateway(link)->by_name, name);
}

struct party *gateway_slot(const struct link *link, unsigned slot)
{
    if (slot == 0)
        return (struct party *)&link->own;
    const struct gateway *gateway = link_gateway(link);
    return gateway != NULL && slot < gateway->slots_count ? gateway->slots[slot] : NULL;
}

struct party *gateway_next(const struct link *link, size_t *at)
{
    const struct gateway *gateway = link_gateway(link);
    for (; gateway != NULL && *at < gateway->slots_count; ++*at)
        if (gateway->slots[*at] != NULL)
            return gateway->slots[(*at)++];
    return NULL;
}

/* A free slot; 0 when there is no memory. */
static unsigned free_slot(struct gateway *gateway)
{
    size_t slot = 1;
    while (slot < gateway->slots_count && gateway->slots[slot] != NULL)
        slot++;
    if (slot >= gateway->slots_count) {
        size_t count = gateway->slots_count == 0 ? SLOTS_FIRST : 2 * gateway->slots_count;
        struct party **slots = realloc(gateway->slots, count * sizeof *slots);
        if (slots == NULL)
            return 0;
        memset(slots + gateway->slots_count, 0, (count - gateway->slots_count) * sizeof *slots);
        gateway->slots = slots;
        gateway->slots_count = count;
    }
    return (unsigned)slot;
}

static bool is_full(const struct link *link)
{
    size_t max = services_of(link)->attached_max;
    return link_gateway(link)->count >= (max == 0 ? ATTACHED_MAX_DEFAULT : max);
}

void gateway_due(struct link *link, int64_t at_ns)
{
    if (link_gateway(link) != NULL && at_ns < link_gateway(link)->due_ns)
        link_gateway(link)->due_ns = at_ns;
}

/* --- reports */

static void report(struct link *link, const struct gh_report *what)
{
    char topic[512], text[REPORT_BYTES_MAX];
    struct gh_speaker speaker = party_speaker(&link->own);
    struct gh_buffer to = gh_buffer_fixed(topic, sizeof topic);
    struct gh_buffer payload = gh_buffer_fixed(text, sizeof text);
    if (!link_gateway(link)->errors || !link_is_live(link) ||
        !link_dialect(link)->report(&speaker, what, &to, &payload))
        return;
    struct gh_session_message message = {.topic = gh_buffer_slice(&to),
                                         .payload = gh_buffer_slice(&payload)};
    (void)!gh_session_publish(link_session(link), &message, 0,
                              gh_loop_now_ns(link_port(link)->port.loop), gh_conn_out(link->conn));
}

void gateway_report_missing(struct link *link, struct gh_slice name, const char *packet,
                            struct gh_slice topic, uint16_t packet_id)
{
    party_note(&link->own, GH_TRAIL_PUBLISH_DENIED, "NOT_ATTACHED", topic);
    report(link, &(struct gh_report){.kind = GH_REPORT_MISSING,
                                     .device = name,
                                     .packet = packet,
                                     .topic = topic,
                                     .packet_id = packet_id});
}

/* --- attaching */

/* Its place among the sessions; the one that it had elsewhere is taken over. */
static void enter(struct party *party)
{
    struct link *link = party_link(party);
    const struct gh_front_services *services = services_of(link);
    party->place.port = &link_port(link)->port;
    gh_place_set_since(&party->place, services->utc_ms());
    bool entered = gh_sessions_enter(services->sessions, &party->place);
    assert(entered); /* it has no name that could be in use */
    (void)entered;
}

static void set_expiry(struct party *party, int64_t valid_until_s)
{
    party_set_end(party, valid_until_s);
    party_begin_end(party);
    gateway_due(party_link(party), party_ends_ns(party));
}

static void leave(struct party *party)
{
    struct link *link = party_link(party);
    struct gateway *gateway = link_gateway(link);
    gh_sessions_leave(services_of(link)->sessions, &party->place);
    gh_map_remove(&gateway->by_name, party_id(party));
    gh_map_remove(&gateway->by_name, party_number(party));
    gateway->slots[party->slot] = NULL;
    gateway->count--;
    party->gone = true;
}

/* NULL when there is no memory. */
static struct party *add(struct link *link, const struct gh_identity_verdict *verdict)
{
    struct gateway *gateway = link_gateway(link);
    struct attached *attached = calloc(1, sizeof *attached);
    unsigned slot = attached == NULL ? 0 : free_slot(gateway);
    if (slot == 0) {
        free(attached);
        return NULL;
    }
    struct party *party = &attached->party;
    attached->link = link;
    party->slot = (uint16_t)slot;
    struct gh_principal principal = verdict->principal;
    principal.token_id = (struct gh_slice){0}; /* the gateway's is what is watched */
    if (!party_keep_names(party, &principal, (struct gh_slice){0})) {
        free(party);
        return NULL;
    }
    party->log_level = (uint8_t)verdict->device->log_level;
    set_expiry(party, verdict->valid_until_s);
    bool named = gh_map_put(&gateway->by_name, party_id(party), party, NULL) &&
                 gh_map_put(&gateway->by_name, party_number(party), party, NULL);
    if (!named) {
        gh_map_remove(&gateway->by_name, party_id(party));
        gh_map_remove(&gateway->by_name, party_number(party));
        party_free(party);
        free(party);
        return NULL;
    }
    enter(party);
    gateway->slots[slot] = party;
    gateway->count++;
    return party;
}

static void check_attachment(struct task *task)
{
    struct gh_directory *directory = task->front->services.directory;
    struct gh_identity_verdict *verdict = &task->attachment.verdict;
    int64_t now_ms = task->front->services.utc_ms();
    if (gh_identity_attach(directory, task->device, &task->attachment.claim, now_ms, &task->arena,
                           verdict) == GH_IDENTITY_ACCEPTED)
        task->code = gh_directory_gateway_used(directory, verdict->device->number, task->device,
                                               now_ms, &task->error);
}

static void attachment_checked(struct task *task);

static bool start_check(struct link *link, const struct gh_identity_claim *claim,
                        const struct gh_mqtt_publish *packet, unsigned tries)
{
    struct task *task = task_open(link, ATTACH_ARENA_MAX, check_attachment, attachment_checked);
    if (task == NULL)
        return false;
    struct gh_identity_claim *copy = &task->attachment.claim;
    *copy = *claim;
    if (!gh_arena_copy(&task->arena, claim->tenant, &copy->tenant) ||
        !gh_arena_copy(&task->arena, claim->registry, &copy->registry) ||
        !gh_arena_copy(&task->arena, claim->location, &copy->location) ||
        !gh_arena_copy(&task->arena, claim->device, &copy->device) ||
        !gh_arena_copy(&task->arena, claim->token, &copy->token)) {
        task_close(task);
        return false;
    }
    copy->policy.audience = copy->tenant;
    task->packet_id = packet->packet_id;
    task->qos = packet->qos;
    task->attachment.tries = tries;
    task->attachment.epoch = gh_sessions_epoch(services_of(link)->sessions);
    return task_start(task);
}

/* Of a device that is there: what it would be if it were attached. */
static void tell_refused(struct link *link, const struct gh_identity_verdict *verdict,
                         const char *reason, const char *detail)
{
    const struct gh_device *device = verdict->device;
    if (device == NULL)
        return;
    struct gh_principal principal = {.device_id = device->id, .device = device->number};
    struct attached refused = {
        /* its slot is nobody's: it is not the connection's own device */
        .link = link,
        .party = {.slot = UINT16_MAX, .log_level = (uint8_t)device->log_level}};
    if (party_keep_names(&refused.party, &principal, (struct gh_slice){0}))
        party_tell(&refused.party, &(struct gh_chronicle_entry){.kind = GH_CHRONICLE_ATTACH,
                                                                .reason = reason,
                                                                .detail = detail});
    party_free(&refused.party);
}

static void refuse(struct task *task, const char *reason, const char *detail)
{
    struct link *link = task->link;
    const struct gh_identity_verdict *verdict = &task->attachment.verdict;
    const struct gh_identity_claim *claim = &task->attachment.claim;
    char topic[600];
    int size = snprintf(topic, sizeof topic, "/devices/%.*s/attach", GH_PRINT(claim->device));
    size = size < (int)sizeof topic ? size : (int)sizeof topic - 1;
    gh_log(GH_LOG_WARN, "front", "gateway %.*s may not attach %.*s: %s, %s",
           GH_PRINT(party_id(&link->own)), GH_PRINT(claim->device), reason, detail);
    front_count(link_port(link)->front, GH_TRAIL_REFUSAL, reason);
    gh_trail_note(
        services_of(link)->trail,
        &(struct gh_trail_entry){
            .at_ms = services_of(link)->utc_ms(),
            .device = verdict->device != NULL ? verdict->device->number : 0,
            .tenant = link->view->tenant_name,
            .registry = link->view->name,
            .device_id = verdict->device != NULL ? verdict->device->id : claim->device,
            .kind = GH_TRAIL_REFUSAL,
            .reason = gh_slice_text(reason),
            .detail = gh_slice_text(detail),
            .address = gh_slice_text(link->conn != NULL ? gh_conn_peer(link->conn) : "")});
    tell_refused(link, verdict, reason, detail);
    gh_session_forgo(link_session(link), task->packet_id);
    report(link, &(struct gh_report){.kind = GH_REPORT_NOT_ATTACHED,
                                     .device = claim->device,
                                     .packet = "PUBLISH",
                                     .topic = gh_slice(topic, (size_t)size),
                                     .packet_id = task->packet_id});
}

/* NULL, or why it cannot be. A device that is attached already shows its new token. */
static const char *settle(struct link *link, const struct gh_identity_verdict *verdict)
{
    struct party *party = gateway_party(link, verdict->device->id);
    if (party != NULL && party->place.device == verdict->device->number) {
        struct gh_sessions *sessions = services_of(link)->sessions;
        gh_sessions_hold(sessions, &party->place);
        set_expiry(party, verdict->valid_until_s);
        gh_sessions_let(sessions, &party->place);
        return NULL;
    }
    if (party != NULL) /* the device of that name before it was deleted */
        gateway_detach_party(party, "DELETED", "the device was deleted");
    if (is_full(link))
        return "the gateway has as many devices attached as it may";
    party = add(link, verdict);
    if (party == NULL)
        return "there is no memory";
    party_note(party, GH_TRAIL_ATTACH, "", party_id(&link->own));
    party_told(party, GH_CHRONICLE_ATTACH, (struct gh_slice){0}, NULL);
    return NULL;
}

static void attachment_checked(struct task *task)
{
    struct link *link = task->link;
    const struct gh_identity_verdict *verdict = &task->attachment.verdict;
    struct gh_mqtt_publish packet = {.packet_id = task->packet_id, .qos = task->qos};
    const char *why;
    if (!link_is_live(link))
        return;
    if (verdict->reason != GH_IDENTITY_ACCEPTED) {
        refuse(task, gh_identity_reason_name(verdict->reason), verdict->detail);
    } else if (gh_sessions_epoch(services_of(link)->sessions) != task->attachment.epoch) {
        /* The directory changed between the check and the entry: it is checked again. */
        if (task->attachment.tries >= TRIES_MAX ||
            !start_check(link, &task->attachment.claim, &packet, task->attachment.tries + 1))
            refuse(task, "UNAVAILABLE", "the directory keeps changing");
    } else if ((why = settle(link, verdict)) != NULL) {
        refuse(task, "ATTACHED_LIMIT", why);
    } else if (task->qos > 0) {
        gh_session_acknowledge(link_session(link), task->packet_id, GH_MQTT_REASON_SUCCESS,
                               gh_conn_out(link->conn));
    }
    if (task->attachment.claim.token.size > 0) /* the copy in the task's own arena */
        gh_secret_wipe((void *)(uintptr_t)task->attachment.claim.token.data,
                       task->attachment.claim.token.size);
}

void gateway_attach(struct link *link, const struct gh_mqtt_publish *packet, struct gh_slice name)
{
    struct gh_identity_claim claim = {0};
    struct gh_speaker speaker = party_speaker(&link->own);
    struct gh_arena arena;
    gh_arena_init(&arena, ATTACH_ARENA_MAX);
    link_dialect(link)->attach(&speaker, name, packet->payload, &arena, &claim);
    if (!start_check(link, &claim, packet, 0)) {
        gh_session_forgo(link_session(link), packet->packet_id);
        report(link, &(struct gh_report){.kind = GH_REPORT_NOT_ATTACHED,
                                         .device = name,
                                         .packet = "PUBLISH",
                                         .topic = packet->topic,
                                         .packet_id = packet->packet_id});
    }
    gh_arena_deinit(&arena);
}

/* --- detaching */

static void withdraw(struct party *party)
{
    party_drop(party);
    if (party->feeds != NULL && party->feeds->config_token != 0)
        gh_session_withdraw(link_session(party_link(party)), party->feeds->config_token);
}

static void tell_detached(const struct party *party, const char *reason, const char *detail)
{
    party_tell(party,
               &(struct gh_chronicle_entry){
                   .kind = GH_CHRONICLE_DETACH,
                   .reason = reason,
                   .detail = detail,
                   .by_server = !gh_slice_equal(gh_slice_text(reason), GH_SLICE("CLIENT_CLOSED"))});
}

static void detach(struct party *party, const char *reason, const char *detail)
{
    withdraw(party);
    party_note(party, GH_TRAIL_DETACH, reason, gh_slice_text(detail));
    tell_detached(party, reason, detail);
    leave(party);
}

void gateway_forget(struct party *party)
{
    if (!party->gone || party->pending > 0)
        return;
    party_free(party);
    free(party);
}

void gateway_detach_party(struct party *party, const char *reason, const char *detail)
{
    struct link *link = party_link(party);
    if (party->gone)
        return;
    detach(party, reason, detail);
    report(link, &(struct gh_report){.kind = GH_REPORT_DETACHED, .device = party_id(party)});
    gateway_forget(party);
}

void gateway_detach(struct link *link, const struct gh_mqtt_publish *packet, struct gh_slice name)
{
    struct party *party = gateway_party(link, name);
    if (party == NULL) {
        gateway_report_missing(link, name, "PUBLISH", packet->topic, packet->packet_id);
        gh_session_forgo(link_session(link), packet->packet_id);
        return;
    }
    detach(party, "CLIENT_CLOSED", "its gateway detached it");
    gateway_forget(party);
    if (packet->qos > 0)
        gh_session_acknowledge(link_session(link), packet->packet_id, GH_MQTT_REASON_SUCCESS,
                               gh_conn_out(link->conn));
}

void gateway_leave(struct link *link, enum gh_session_end why)
{
    size_t at = 1;
    for (struct party *party; (party = gateway_next(link, &at)) != NULL;) {
        party_drop(party);
        party_note(party, GH_TRAIL_DETACH, gh_session_end_name(why),
                   GH_SLICE("its gateway is gone"));
        tell_detached(party, gh_session_end_name(why), "its gateway is gone");
        leave(party);
        gateway_forget(party);
    }
}

/* --- what becomes of an attached one */

static void read_binding(struct task *task)
{
    task->code =
        gh_identity_still_attached(task->front->services.directory, task->link->own.place.device,
                                   task->device, &task->arena, &task->binding.holds, &task->error);
}

static void binding_read(struct task *task)
{
    if (!task->binding.holds && party_is_live(task->party))
        gateway_detach_party(task->party, "UNBOUND", "the device was unbound from the gateway");
}

void gateway_check_binding(struct party *party)
{
    struct task *task = task_open_for(party, ATTACH_ARENA_MAX, read_binding, binding_read);
    if (task == NULL || !task_start(task)) /* in doubt it must attach again */
        gateway_detach_party(party, "UNBOUND", "the binding cannot be read now");
}

void gateway_tick(struct link *link, int64_t now_ns)
{
    size_t at = 1;
    if (link_gateway(link) == NULL || now_ns < link_gateway(link)->due_ns)
        return;
    link_gateway(link)->due_ns = INT64_MAX;
    for (struct party *party; (party = gateway_next(link, &at)) != NULL;) {
        if (now_ns >= party_ends_ns(party)) {
            gateway_detach_party(party, gh_session_end_name(GH_SESSION_END_TOKEN_EXPIRED),
                                 "the token's time is over");
            continue;
        }
        unsigned slot = party->slot;
        party_tick(party, now_ns);
        if (gateway_slot(link, slot) != party) /* that ended it, or all of them */
            continue;
        gateway_due(link, party_due_ns(party));
        gateway_due(link, party_ends_ns(party));
    }
}
