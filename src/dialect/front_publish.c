#include "base/time.h"
#include "dialect/front_internal.h"
#include <stdlib.h>

enum { STATE_ARENA_MAX = 256 * 1024, GRPC_FAILED_PRECONDITION = 9 };

/* An event or a state's notification on its way to the log. */
struct posting {
    struct gh_publication publication; /* first */
    struct link *link;
    struct party *party;
    uint16_t packet_id; /* 0: nothing to acknowledge */
    bool is_event;
};

static void send_to_loop(void *context, struct gh_letter *done)
{
    gh_loop_send(context, done);
}

static void posting_done(struct gh_letter *letter)
{
    struct posting *posting = (struct posting *)letter;
    struct link *link = posting->link;
    const struct gh_front_services *services = &link_port(link)->front->services;
    struct party *party = posting->party;
    bool stored = posting->publication.result == GH_OK;
    link->pending--;
    if (stored && posting->is_event)
        party_told(party, GH_CHRONICLE_PUBLISH, (struct gh_slice){0}, "EVENTS");
    if (!stored)
        gh_metric_add(services->metrics, GH_METRIC_messages_refused_total, 1);
    if (stored && posting->is_event)
        gh_directory_note(services->directory, party->place.device, GH_ACTIVITY_EVENT,
                          posting->publication.at_ms);
    if (link->conn != NULL && posting->packet_id != 0) {
        if (stored)
            gh_session_acknowledge(link_session(link), posting->packet_id, GH_MQTT_REASON_SUCCESS,
                                   gh_conn_out(link->conn));
        else /* without PUBACK the device keeps the message and sends it again */
            link_end(link, GH_SESSION_END_OVERLOAD, "the message log cannot take the message");
    }
    free(posting);
    party->pending--;
    gateway_forget(party);
    link_settle(link);
    link_release(link);
}

static enum gh_error_code post(struct party *party, struct gh_slice topic,
                               const struct gh_message *message, uint16_t packet_id, bool is_event)
{
    struct link *link = party_link(party);
    const struct gh_front_services *services = &link_port(link)->front->services;
    struct posting *posting = calloc(1, sizeof *posting);
    if (posting == NULL)
        return GH_ERROR_MEMORY;
    posting->publication.done.open = posting_done;
    posting->publication.reply = send_to_loop;
    posting->publication.reply_context = link_port(link)->port.loop;
    posting->link = link;
    posting->party = party;
    posting->packet_id = packet_id;
    posting->is_event = is_event;
    link->pending++;
    party->pending++;
    enum gh_error_code code = gh_pubsub_publish(services->pubsub, link->view->tenant, topic,
                                                message, &posting->publication, NULL);
    if (code != GH_OK) {
        link->pending--;
        party->pending--;
        free(posting);
        gh_metric_add(services->metrics, GH_METRIC_messages_refused_total, 1);
    }
    return code;
}

/* The topic that the registry's routes give to the channel; empty when none fits. */
static struct gh_slice topic_of(const struct link *link, struct gh_slice channel)
{
    for (size_t i = 0; i < link->view->routes_count; i++)
        if (link_dialect(link)->route_fits(link->view->routes[i].channel, channel))
            return link->view->routes[i].topic;
    return (struct gh_slice){0};
}

static void no_topic(struct party *party, struct gh_slice channel, const char *why)
{
    struct link *link = party_link(party);
    const struct gh_front_services *services = &link_port(link)->front->services;
    gh_directory_note_error(services->directory, party->place.device, GRPC_FAILED_PRECONDITION,
                            gh_slice_text(why), services->utc_ms());
    party_note(party, GH_TRAIL_PUBLISH_DENIED, "NO_TELEMETRY_TOPIC", channel);
    link_end(link, GH_SESSION_END_NO_TELEMETRY_TOPIC, why);
}

static void publish_event(struct party *party, const struct gh_mqtt_publish *packet,
                          const struct gh_operation *operation)
{
    struct link *link = party_link(party);
    struct gh_message_attribute attributes[GH_DIALECT_ATTRIBUTES_MAX];
    struct gh_speaker speaker = party_speaker(party);
    struct gh_slice topic = topic_of(link, operation->channel);
    if (topic.size == 0) {
        no_topic(party, operation->channel, "the registry has no topic for this channel");
        return;
    }
    struct gh_message message = {
        .data = packet->payload,
        .attributes = attributes,
        .attributes_count = link_dialect(link)->attributes(&speaker, operation, attributes),
        .device = party->place.device,
        .channel = operation->channel};
    enum gh_error_code code = post(party, topic, &message, packet->packet_id, true);
    if (code == GH_ERROR_NOT_FOUND)
        no_topic(party, operation->channel, "the topic of the registry's route does not exist");
    else if (code == GH_ERROR_INVALID) {
        party_note(party, GH_TRAIL_PUBLISH_DENIED, "CHANNEL", operation->channel);
        link_end(link, GH_SESSION_END_TOPIC_FORBIDDEN, "the channel or the payload is not allowed");
    } else if (code != GH_OK && packet->qos > 0)
        link_end(link, GH_SESSION_END_OVERLOAD, "the queue of the message log is full");
}

static void store_state(struct task *task)
{
    task->code =
        gh_directory_state_set(task->front->services.directory, task->device, task->document.data,
                               task->front->services.utc_ms(), &task->error);
}

/* The notification is best effort: the state itself is safe in the device's history. */
static void notify_state(struct party *party, struct gh_slice data)
{
    struct link *link = party_link(party);
    struct gh_message_attribute attributes[GH_DIALECT_ATTRIBUTES_MAX];
    struct gh_operation operation = {.kind = GH_OPERATION_STATE};
    struct gh_speaker speaker = party_speaker(party);
    struct gh_message message = {
        .data = data,
        .attributes = attributes,
        .attributes_count = link_dialect(link)->attributes(&speaker, &operation, attributes)};
    if (link->view->state_topic.size > 0)
        (void)!post(party, link->view->state_topic, &message, 0, false);
}

static void state_stored(struct task *task)
{
    struct link *link = task->link;
    if (task->code == GH_OK && link->view != NULL)
        notify_state(task->party, task->document.data);
    if (task->code == GH_OK && link->view != NULL)
        party_told(task->party, GH_CHRONICLE_PUBLISH, (struct gh_slice){0}, "STATE");
    if (link->conn == NULL || task->qos == 0)
        return;
    if (task->code == GH_OK)
        gh_session_acknowledge(link_session(link), task->packet_id, GH_MQTT_REASON_SUCCESS,
                               gh_conn_out(link->conn));
    else
        link_end(link, GH_SESSION_END_OVERLOAD, "the state cannot be stored");
}

static void start_state(struct task *task)
{
    struct party *party = task->party;
    bool answered = task->qos > 0;
    if (!task_start(task) && answered)
        link_end(party_link(party), GH_SESSION_END_OVERLOAD, "the state cannot be stored now");
}

void party_release_state(struct party *party)
{
    struct task *task = party->feeds->state;
    party->feeds->state = NULL;
    start_state(task);
}

/* How long the device's rate makes it wait; in dialects that route there is none. */
static int64_t state_wait_ms(const struct party *party)
{
    const struct gh_front_services *services = &link_port(party_link(party))->front->services;
    if (services->rates == NULL || party_link(party)->routes)
        return 0;
    const struct gh_rate_thing states = {party_link(party)->view->tenant, party->place.device,
                                         GH_RATE_STATES};
    return gh_rates_wait_ms(services->rates, &states, services->utc_ms());
}

/* Over its rate, a device is slowed down by one document; what it sends on top ends it. */
static void hold_state(struct task *task, int64_t wait_ms, const struct gh_mqtt_publish *packet)
{
    struct party *party = task->party;
    if (!party_needs_feeds(party)) {
        if (task->qos > 0)
            link_end(party_link(party), GH_SESSION_END_OVERLOAD, "the state cannot be stored now");
        task_close(task);
        return;
    }
    if (party->feeds->state != NULL) {
        task_close(task);
        party_note(party, GH_TRAIL_PUBLISH_DENIED, "RATE", packet->topic);
        gh_session_forgo(link_session(party_link(party)), packet->packet_id);
        party_end(party, GH_SESSION_END_RATE, "it reports its state too often");
        return;
    }
    party->feeds->state = task;
    party->feeds->state_ns =
        gh_loop_now_ns(link_port(party_link(party))->port.loop) + wait_ms * GH_MS_NS;
    gateway_due(party_link(party), party->feeds->state_ns);
}

static void publish_state(struct party *party, const struct gh_mqtt_publish *packet)
{
    struct task *task = task_open_for(party, STATE_ARENA_MAX, store_state, state_stored);
    if (task == NULL || !gh_arena_copy(&task->arena, packet->payload, &task->document.data)) {
        if (task != NULL)
            task_close(task);
        if (packet->qos > 0)
            link_end(party_link(party), GH_SESSION_END_OVERLOAD, "the state cannot be stored now");
        return;
    }
    task->packet_id = packet->packet_id;
    task->qos = packet->qos;
    bool is_waiting = party->feeds != NULL && party->feeds->state != NULL;
    int64_t wait_ms = is_waiting ? 1 : state_wait_ms(party);
    if (wait_ms == 0)
        start_state(task);
    else
        hold_state(task, wait_ms, packet);
}

/* Over the tenant's rate: QoS 0 is dropped, QoS 1 and 2 are refused, in 3.1.1 by the end of the
 * connection, after which the device sends the message again. */
static void refuse_rate(struct link *link, const struct gh_mqtt_publish *packet)
{
    static const char reason[] = "TENANT_RATE";
    const struct gh_front_services *services = &link_port(link)->front->services;
    gh_metric_add(services->metrics, GH_METRIC_messages_refused_total, 1);
    if (gh_quota_tell(link->view->quota, gh_loop_now_ns(link_port(link)->port.loop)))
        link_note(link, GH_TRAIL_PUBLISH_DENIED, reason, packet->topic);
    else
        front_count(link_port(link)->front, GH_TRAIL_PUBLISH_DENIED, reason);
    if (packet->qos > 0 && gh_session_version(link_session(link)) == GH_MQTT_V5)
        gh_session_acknowledge(link_session(link), packet->packet_id, GH_MQTT_REASON_QUOTA_EXCEEDED,
                               gh_conn_out(link->conn));
    else if (packet->qos > 0)
        link_end(link, GH_SESSION_END_RATE, "the tenant is over its messages per second");
}

/* Over its bytes a second a device is slowed down as over its messages: what it sent is taken, and
 * the connection is read on when the rate allows. Of a gateway the bytes are of the device that
 * they speak for, and the gateway waits. */
static void pace(struct link *link, uint64_t device, const struct gh_mqtt_publish *packet)
{
    const struct gh_front_services *services = &link_port(link)->front->services;
    if (services->rates == NULL || link->routes)
        return;
    const struct gh_rate_thing bytes = {link->view->tenant, device, GH_RATE_BYTES_IN};
    int64_t wait_ms = gh_rates_charge_ms(services->rates, &bytes,
                                         (uint32_t)(packet->topic.size + packet->payload.size),
                                         services->utc_ms());
    if (wait_ms > 0)
        gh_session_slow(link_session(link),
                        gh_loop_now_ns(link_port(link)->port.loop) + wait_ms * GH_MS_NS);
}

/* What the packet asks for, and of which device; OTHER is left when that is not attached. */
static struct party *resolve(struct link *link, const struct gh_mqtt_publish *packet,
                             struct gh_operation *operation)
{
    struct gh_speaker speaker = party_speaker(&link->own);
    struct party *party = &link->own;
    *operation = link_dialect(link)->publish(&speaker, packet);
    if (operation->kind == GH_OPERATION_OTHER &&
        (party = gateway_party(link, operation->device)) != NULL) {
        speaker = party_speaker(party);
        *operation = link_dialect(link)->publish(&speaker, packet);
    }
    return party;
}

void link_publish(struct link *link, const struct gh_mqtt_publish *packet)
{
    if (link->view->quota != NULL &&
        !gh_quota_message(link->view->quota, gh_loop_now_ns(link_port(link)->port.loop))) {
        refuse_rate(link, packet);
        return;
    }
    struct gh_operation operation;
    struct party *party = resolve(link, packet, &operation);
    pace(link, party != NULL ? party->place.device : link->own.place.device, packet);
    link_port(link)->received++;
    if (link->routes && operation.kind != GH_OPERATION_ROUTE &&
        operation.kind != GH_OPERATION_REFUSED &&
        !route_may(link, GH_DEVICE_ACTION_PUBLISH, packet->topic)) {
        operation.kind = GH_OPERATION_REFUSED;
        operation.detail = "policy does not allow to publish there";
    }
    switch (operation.kind) {
    case GH_OPERATION_EVENT:
        publish_event(party, packet, &operation);
        break;
    case GH_OPERATION_STATE:
        publish_state(party, packet);
        break;
    case GH_OPERATION_OTHER: /* of a device that is not attached */
        gateway_report_missing(link, operation.device, "PUBLISH", packet->topic, packet->packet_id);
        gh_session_forgo(link_session(link), packet->packet_id);
        break;
    case GH_OPERATION_ATTACH:
        gateway_attach(link, packet, operation.device);
        break;
    case GH_OPERATION_DETACH:
        gateway_detach(link, packet, operation.device);
        break;
    case GH_OPERATION_ROUTE:
        route_publish(link, packet);
        break;
    case GH_OPERATION_TOO_LARGE:
        party_note(party, GH_TRAIL_PUBLISH_DENIED, "TOO_LARGE", packet->topic);
        link_end(link, GH_SESSION_END_TOO_LARGE, operation.detail);
        break;
    case GH_OPERATION_REFUSED:
        party_note(party, GH_TRAIL_PUBLISH_DENIED, "TOPIC_FORBIDDEN", packet->topic);
        link_end(link, GH_SESSION_END_TOPIC_FORBIDDEN, operation.detail);
        break;
    }
}
