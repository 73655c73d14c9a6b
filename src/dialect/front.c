#include "base/slots.h"
#include "base/time.h"
#include "dialect/front_internal.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX = GH_FRONT_PACKET_BYTES_MAX + 64 * 1024, OUTPUT_MAX = 2 * 1024 * 1024 };

bool link_is_live(const struct link *link)
{
    return link->conn != NULL && link->own.place.serial != 0 &&
           gh_session_connected(link_session(link));
}

bool party_is_live(const struct party *party)
{
    return party->place.serial != 0 && !party->gone && link_is_live(party_link(party));
}

struct gh_speaker party_speaker(const struct party *party)
{
    const struct link *link = party_link(party);
    bool is_own = party == &link->own;
    return (struct gh_speaker){.id = party_id(party),
                               .number = party->place.device,
                               .number_text = party_number(party),
                               .tenant = link->view->dialect_tenant,
                               .registry = link->view->name,
                               .location = link->view->location,
                               .is_gateway = is_own && link_gateway(link) != NULL,
                               .through = is_own ? (struct gh_slice){0} : party_id(&link->own)};
}

void party_note(const struct party *party, enum gh_trail_kind kind, const char *reason,
                struct gh_slice detail)
{
    const struct link *link = party_link(party);
    front_count(link_port(link)->front, kind, reason);
    gh_trail_note(
        link_port(link)->front->services.trail,
        &(struct gh_trail_entry){
            .at_ms = link_port(link)->front->services.utc_ms(),
            .device = party->place.device,
            .tenant = link->view->tenant_name,
            .registry = link->view->name,
            .device_id = party_id(party),
            .kind = kind,
            .reason = gh_slice_text(reason),
            .detail = detail,
            .address = gh_slice_text(link->conn != NULL ? gh_conn_peer(link->conn) : "")});
}

void party_set_end(struct party *party, int64_t valid_until_s)
{
    int64_t within_s = valid_until_s < UINT32_MAX ? valid_until_s : UINT32_MAX;
    party->ends_utc_s = within_s > 0 ? (uint32_t)within_s : 0;
}

void party_begin_end(struct party *party)
{
    const struct front_port *port = link_port(party_link(party));
    int64_t left_ms = party->ends_utc_s * INT64_C(1000) - port->front->services.utc_ms();
    int64_t at_ns = gh_loop_now_ns(port->port.loop) + left_ms * GH_MS_NS;
    int64_t at_s = at_ns > 0 ? (at_ns + GH_SECOND_NS - 1) / GH_SECOND_NS : 0;
    party->ends_s = at_s < UINT32_MAX ? (uint32_t)at_s : UINT32_MAX;
}

void link_note(const struct link *link, enum gh_trail_kind kind, const char *reason,
               struct gh_slice detail)
{
    party_note(&link->own, kind, reason, detail);
}

void link_end(struct link *link, enum gh_session_end why, const char *detail)
{
    if (link->conn != NULL)
        gh_session_end(link_session(link), why, detail, gh_conn_out(link->conn));
}

void party_end(struct party *party, enum gh_session_end why, const char *detail)
{
    if (party == &party_link(party)->own)
        link_end(party_link(party), why, detail);
    else
        gateway_detach_party(party, gh_session_end_name(why), detail);
}

void link_settle(struct link *link)
{
    if (link->conn == NULL)
        return;
    if (link->routes && link->pump && link->attached)
        route_pump(link);
    struct gh_buffer *out = gh_conn_out(link->conn);
    if (out->size > 0)
        gh_conn_dirty(link->conn);
    if (gh_session_ended(link_session(link)))
        return;
    if (gh_session_resumable(link_session(link), out))
        gh_conn_resume(link->conn);
    int64_t deadline_ns = gh_session_deadline_ns(link_session(link));
    int64_t own_ns = party_due_ns(&link->own);
    if (own_ns < deadline_ns)
        deadline_ns = own_ns;
    if (link_gateway(link) != NULL && link_gateway(link)->due_ns < deadline_ns)
        deadline_ns = link_gateway(link)->due_ns;
    if (link->admitted && party_ends_ns(&link->own) < deadline_ns)
        deadline_ns = party_ends_ns(&link->own);
    gh_conn_set_deadline(link->conn, deadline_ns == INT64_MAX ? 0
                                     : deadline_ns > 0        ? deadline_ns
                                                              : 1);
}

void link_release(struct link *link)
{
    if (link->conn != NULL || link->pending > 0)
        return;
    gh_session_deinit(link_session(link));
    view_release(link_port(link), link->view);
    route_free(link);
    gateway_close(link);
    party_free(&link->own);
    link_trace_close(link);
    gh_slot_give(link, sizeof *link + gh_session_size());
}

/* --- the session's host: one line each */

static void on_authenticate(void *link, const struct gh_mqtt_connect *connect)
{
    link_authenticate(link, connect);
}

static void on_publish(void *link, const struct gh_mqtt_publish *publish)
{
    link_publish(link, publish);
}

static void on_subscribe(void *link, const struct gh_mqtt_filters *filters)
{
    link_subscribe(link, filters);
}

static void on_unsubscribe(void *link, const struct gh_mqtt_filters *filters)
{
    link_unsubscribe(link, filters);
}

static void on_reauthenticate(void *link, struct gh_slice data)
{
    link_reauthenticate(link, data);
}

static void on_release(void *context, uint16_t packet_id)
{
    struct link *link = context;
    if (link->routes)
        route_release(link, packet_id);
    else
        gh_session_complete(link_session(link), packet_id, gh_conn_out(link->conn));
}

static void on_received(void *context, uint64_t token)
{
    struct link *link = context;
    if (link->routes)
        route_received(link, token);
    else
        gh_session_release(link_session(link), token, gh_conn_out(link->conn));
}

static void on_traced(void *link, bool inbound, struct gh_slice packet)
{
    link_trace_packet(link, inbound, packet);
}

static void on_delivered(void *context, uint64_t token, bool acknowledged)
{
    struct link *link = context;
    if ((token & 3) == 2)
        route_delivered(link, token, acknowledged);
    else
        link_delivered(link, token, acknowledged);
}

static void on_heartbeat(void *context)
{
    struct link *link = context;
    const struct gh_front_services *services = &link_port(link)->front->services;
    gh_directory_note(services->directory, link->own.place.device, GH_ACTIVITY_HEARTBEAT,
                      services->utc_ms());
}

/* Takes the link out of the sessions and says so; the connection is another matter. */
static void leave(struct link *link, enum gh_session_end why, const char *detail)
{
    const struct gh_front_services *services = &link_port(link)->front->services;
    if (link->own.place.serial == 0)
        return;
    gh_sessions_leave(services->sessions, &link->own.place);
    if (link->view->quota != NULL)
        gh_quota_leave(link->view->quota);
    if (!link->admitted) { /* refusals were noted where they were decided */
        if (why != GH_SESSION_END_REFUSED)
            link_note(link, GH_TRAIL_REFUSAL, gh_session_end_name(why), gh_slice_text(detail));
        return;
    }
    link->admitted = false;
    gh_metric_add(services->metrics, GH_METRIC_sessions_open, -1);
    link_note(link, GH_TRAIL_DISCONNECT, gh_session_end_name(why), gh_slice_text(detail));
    party_tell(&link->own,
               &(struct gh_chronicle_entry){.kind = GH_CHRONICLE_DISCONNECT,
                                            .reason = gh_session_end_name(why),
                                            .detail = detail,
                                            .by_server = why != GH_SESSION_END_CLIENT_CLOSED &&
                                                         why != GH_SESSION_END_NETWORK});
}

static void on_end(void *context, enum gh_session_end why, const char *detail)
{
    struct link *link = context;
    if (why == GH_SESSION_END_PROTOCOL || why == GH_SESSION_END_TOO_LARGE)
        gh_metric_add(link_port(link)->front->services.metrics, GH_METRIC_packets_malformed_total,
                      1);
    leave(link, why, detail);
    if (link->routes)
        route_detach(link, why);
    party_drop(&link->own);
    gateway_leave(link, why);
    if (link->conn != NULL && !link->closing)
        gh_conn_close_why(link->conn, gh_session_end_name(why));
}

static const struct gh_session_host host = {
    .authenticate = on_authenticate,
    .reauthenticate = on_reauthenticate,
    .publish = on_publish,
    .release = on_release,
    .subscribe = on_subscribe,
    .unsubscribe = on_unsubscribe,
    .received = on_received,
    .delivered = on_delivered,
    .heartbeat = on_heartbeat,
    .traced = on_traced,
    .end = on_end,
};

/* --- the connection's protocol */

static bool claims(uint8_t first)
{
    return first == 0x10;
}

static struct front_port *port_of(struct gh_front *front, const struct gh_loop *loop)
{
    for (size_t i = 0; i < front->services.loops_count; i++)
        if (front->ports[i].port.loop == loop)
            return &front->ports[i];
    assert(false && "a loop that the front does not know");
    return NULL;
}

static void *open_link(void *context, struct gh_conn *conn)
{
    struct gh_front *front = context;
    struct link *link = gh_slot_take(sizeof *link + gh_session_size());
    if (link == NULL)
        return NULL;
    link->own.place.port = &port_of(front, gh_conn_loop(conn))->port;
    link->conn = conn;
    gh_session_init(link_session(link), &front->services.limits, &host, link);
    link_trace_open(link);
    return link;
}

/* Once for each time that it is slowed down. */
static void count_throttle(struct link *link)
{
    bool throttled = gh_session_throttled(link_session(link));
    if (throttled && !link->throttled)
        gh_metric_add(link_port(link)->front->services.metrics, GH_METRIC_devices_throttled_total,
                      1);
    link->throttled = throttled;
}

static size_t input(void *state, struct gh_slice bytes)
{
    struct link *link = state;
    size_t consumed =
        gh_session_input(link_session(link), bytes, gh_loop_now_ns(link_port(link)->port.loop),
                         gh_conn_out(link->conn));
    if (link_port(link)->received > 0) /* loops share the counter: not for each message */
        gh_metric_add(link_port(link)->front->services.metrics, GH_METRIC_messages_received_total,
                      link_port(link)->received);
    link_port(link)->received = 0;
    count_throttle(link);
    link_settle(link);
    return consumed;
}

static void tick(void *state)
{
    struct link *link = state;
    int64_t now_ns = gh_loop_now_ns(link_port(link)->port.loop);
    if (link->admitted && now_ns >= party_ends_ns(&link->own))
        link_end(link, GH_SESSION_END_TOKEN_EXPIRED, "the token's time is over");
    party_tick(&link->own, now_ns);
    gateway_tick(link, now_ns);
    gh_session_tick(link_session(link), now_ns, gh_conn_out(link->conn));
    link_settle(link);
}

static void drained(void *state)
{
    struct link *link = state;
    link_retry_configs(link);
    if (link->routes)
        link->pump |= link->held;
    link_settle(link);
}

static void closed(void *state, const char *why)
{
    struct link *link = state;
    link->closing = true;
    if (!gh_session_ended(link_session(link)))
        gh_session_end(link_session(link), GH_SESSION_END_NETWORK, why, NULL);
    link->conn = NULL;
    link_release(link);
}

const struct gh_protocol gh_front_protocol = {
    .name = "mqtt",
    .input_max = INPUT_MAX,
    .output_max = OUTPUT_MAX,
    .claims = claims,
    .open = open_link,
    .input = input,
    .tick = tick,
    .drained = drained,
    .closed = closed,
};

/* --- orders from elsewhere */

static const struct {
    enum gh_session_end why;
    const char *detail;
} closing_orders[] = {
    [GH_ORDER_TAKEN_OVER] = {GH_SESSION_END_TAKEN_OVER, "the device connected again"},
    [GH_ORDER_BLOCKED] = {GH_SESSION_END_BLOCKED, "the device was blocked"},
    [GH_ORDER_DELETED] = {GH_SESSION_END_DELETED, "the device was deleted"},
    [GH_ORDER_KICKED] = {GH_SESSION_END_KICKED, "an operator ended it"},
    [GH_ORDER_REVOKED] = {GH_SESSION_END_CREDENTIAL_REMOVED,
                          "its certificate, or the CA behind it, was revoked"},
    [GH_ORDER_BANNED] = {GH_SESSION_END_BANNED, "an operator banned the device"},
    [GH_ORDER_TENANT] = {GH_SESSION_END_TENANT_DISABLED, "its tenant was disabled"},
};

/* For a session that is admitted. What concerns a connection as a whole comes to its own device
 * too. */
static void obey(struct party *party, const struct gh_order *order)
{
    struct link *link = party_link(party);
    bool is_own = party == &link->own;
    if (order->kind == GH_ORDER_COMMAND)
        party_command(party, order->command);
    else if (order->kind == GH_ORDER_CONFIG)
        party_fetch_config(party);
    else if (order->kind == GH_ORDER_SETTINGS)
        party_read_level(party);
    else if (order->kind == GH_ORDER_CREDENTIALS)
        party_check_credential(party);
    else if (order->kind == GH_ORDER_UNBOUND && !is_own)
        gateway_check_binding(party);
    else if (order->kind == GH_ORDER_REGISTRY && is_own)
        view_reload(link);
    else if (order->kind == GH_ORDER_NO_MQTT && is_own)
        link_end(link, GH_SESSION_END_REGISTRY_DISABLED, "MQTT was disabled for the registry");
    else if (order->kind == GH_ORDER_POLICY && is_own)
        route_reload_policy(link);
    else if (order->kind == GH_ORDER_TRACE && is_own)
        link_trace_known(link, link->own.place.device);
}

static void deliver(struct gh_port *port, struct gh_order *order)
{
    struct front_port *front_port = (struct front_port *)port;
    struct gh_place *place = gh_sessions_place(front_port->front->services.sessions, order);
    struct party *party = place != NULL ? party_at(place) : NULL;
    struct link *link = party != NULL ? party_link(party) : NULL;
    bool closes = (size_t)order->kind < GH_COUNT(closing_orders) &&
                  closing_orders[order->kind].detail != NULL;
    bool live = party != NULL && party_is_live(party);
    bool harmless = order->kind == GH_ORDER_TRACE || order->kind == GH_ORDER_SETTINGS;
    if (link != NULL && (live || harmless) && !closes)
        obey(party, order);
    else if (link != NULL && closes) /* also while it waits for its session */
        party_end(party, closing_orders[order->kind].why, closing_orders[order->kind].detail);
    else if (order->kind == GH_ORDER_COMMAND)
        order->command->complete(order->command, GH_COMMAND_NOT_CONNECTED);
    else if (link != NULL) /* what it was checked against has changed since */
        link_end(link, GH_SESSION_END_OVERLOAD, "it changed while it connected");
    if (link != NULL)
        link_settle(link);
    gh_order_free(order);
}

struct gh_front *gh_front_open(const struct gh_front_services *services)
{
    struct gh_front *front = calloc(1, sizeof *front);
    if (front == NULL)
        return NULL;
    front->services = *services;
    front_count_open(front);
    front->ports = calloc(services->loops_count, sizeof *front->ports);
    front->statements = gh_statements_shelf_open();
    if (front->ports == NULL || front->statements == NULL) {
        gh_statements_shelf_close(front->statements);
        free(front->ports);
        free(front);
        return NULL;
    }
    for (size_t i = 0; i < services->loops_count; i++) {
        struct front_port *port = &front->ports[i];
        port->front = front;
        port->port = (struct gh_port){
            .loop = services->loops[i], .deliver = deliver, .describe = party_describe};
        gh_map_init(&port->views);
    }
    return front;
}

void gh_front_close(struct gh_front *front)
{
    if (front == NULL)
        return;
    for (size_t i = 0; i < front->services.loops_count; i++)
        gh_map_deinit(&front->ports[i].views);
    gh_statements_shelf_close(front->statements);
    free(front->ports);
    free(front);
}

void gh_front_device_changed(void *context, uint64_t device, enum gh_device_change what)
{
    static const enum gh_order_kind orders[] = {
        [GH_DEVICE_CHANGE_BLOCKED] = GH_ORDER_BLOCKED,
        [GH_DEVICE_CHANGE_DELETED] = GH_ORDER_DELETED,
        [GH_DEVICE_CHANGE_CREDENTIALS] = GH_ORDER_CREDENTIALS,
        [GH_DEVICE_CHANGE_CONFIG] = GH_ORDER_CONFIG,
        [GH_DEVICE_CHANGE_SETTINGS] = GH_ORDER_SETTINGS,
        [GH_DEVICE_CHANGE_BANNED] = GH_ORDER_BANNED,
        [GH_DEVICE_CHANGE_UNBOUND] = GH_ORDER_UNBOUND,
    };
    struct gh_front *front = context;
    if ((size_t)what < GH_COUNT(orders) && orders[what] != GH_ORDER_COMMAND)
        gh_sessions_order(front->services.sessions, device, orders[what]);
}

void gh_front_registry_changed(void *context, int64_t registry)
{
    struct gh_front *front = context;
    gh_sessions_order_registry(front->services.sessions, registry, GH_ORDER_REGISTRY);
}

void gh_front_policies_changed(void *context, int64_t tenant, int64_t registry, uint64_t device)
{
    struct gh_front *front = context;
    struct gh_sessions *sessions = front->services.sessions;
    if (device != 0)
        gh_sessions_order(sessions, device, GH_ORDER_POLICY);
    else if (registry != 0)
        gh_sessions_order_registry(sessions, registry, GH_ORDER_POLICY);
    else
        gh_sessions_order_tenant(sessions, tenant, GH_ORDER_POLICY);
}

void gh_front_tenant_disabled(void *context, int64_t tenant)
{
    struct gh_front *front = context;
    gh_sessions_order_tenant(front->services.sessions, tenant, GH_ORDER_TENANT);
}

void gh_front_credentials_refused(void *context, int64_t tenant, int64_t registry,
                                  bool (*refused)(void *asked, struct gh_slice credential),
                                  void *asked)
{
    struct gh_front *front = context;
    gh_sessions_order_where(front->services.sessions, tenant, registry, refused, asked,
                            GH_ORDER_REVOKED);
}
