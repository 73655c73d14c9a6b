/* Links of dialects that route: their sessions are the broker's, what they may do is policy's. */
#include "base/secret.h"
#include "base/slots.h"
#include "base/time.h"
#include "dialect/front_internal.h"
#include "identity/certificate_facts.h"
#include "wire/mqtt/property.h"
#include <stdlib.h>
#include <string.h>

enum {
    PUMP_MAX = 64,        /* messages that one link sends before others have their turn, */
    PUMP_LOOK = 8,        /* or, once it has sent so many (reading the clock costs, too), */
    PUMP_NS = 100 * 1000, /* what it sends in this time: thousands of identifiers are many */
    PROPERTIES_MAX = 64 * 1024,
    POLICY_ARENA_MAX = 4 << 20,
    ACTIVITY_MS = 1000, /* between two notes of a device's activity */
};

static struct gh_buffer *out_of(const struct link *link)
{
    return gh_conn_out(link->conn);
}

/* --- CONNECT */

static uint32_t granted_expiry(const struct link *link, const struct gh_mqtt_connect *connect)
{
    uint32_t expiry_max_s = link_port(link)->front->services.expiry_max_s;
    uint32_t asked_s = connect->version == GH_MQTT_V5 ? connect->session_expiry_s
                       : connect->clean               ? 0
                                                      : UINT32_MAX;
    return asked_s < expiry_max_s ? asked_s : expiry_max_s;
}

static struct gh_journal_will will_of(const struct gh_mqtt_connect *connect)
{
    struct gh_mqtt_property_value expiry;
    struct gh_journal_will will = {.topic = connect->will_topic,
                                   .payload = connect->will_payload,
                                   .properties = connect->will_properties,
                                   .delay_s = connect->will_delay_s,
                                   .retain = connect->will_retain,
                                   .qos = connect->will_qos};
    will.has_expiry =
        gh_mqtt_property_find(connect->will_properties, GH_MQTT_PROPERTY_MESSAGE_EXPIRY, &expiry);
    if (will.has_expiry)
        will.expiry_s = expiry.number;
    return will;
}

/* Properties that are passed on with a message. */
static bool passed_on(struct gh_slice properties, struct gh_buffer *into, struct gh_slice *out)
{
    *out = properties;
    if (properties.size == 0)
        return true;
    bool copied = gh_mqtt_property_copy(into, properties,
                                        GH_MQTT_PROPERTY_BIT(GH_MQTT_PROPERTY_TOPIC_ALIAS) |
                                            GH_MQTT_PROPERTY_BIT(GH_MQTT_PROPERTY_MESSAGE_EXPIRY) |
                                            GH_MQTT_PROPERTY_BIT(GH_MQTT_PROPERTY_WILL_DELAY) |
                                            GH_MQTT_PROPERTY_BIT(GH_MQTT_PROPERTY_SUBSCRIPTION_ID));
    *out = gh_buffer_slice(into);
    return copied;
}

/* NULL without memory. */
static struct asked *copy_asked(const struct gh_broker_connect *connect, uint32_t expiry_asked_s)
{
    const struct gh_journal_will *will = &connect->will;
    struct asked *asked = malloc(sizeof *asked + connect->client_id.size + will->topic.size +
                                 will->properties.size + will->payload.size);
    if (asked == NULL)
        return NULL;
    *asked = (struct asked){.connect = *connect, .expiry_s = expiry_asked_s};
    struct gh_broker_connect *copy = &asked->connect;
    struct gh_slice *parts[] = {&copy->client_id, &copy->will.topic, &copy->will.properties,
                                &copy->will.payload};
    uint8_t *at = asked->text;
    for (size_t i = 0; i < GH_COUNT(parts); i++) {
        if (parts[i]->size > 0)
            memcpy(at, parts[i]->data, parts[i]->size);
        parts[i]->data = at;
        at += parts[i]->size;
    }
    return asked;
}

static void free_asked(struct routed *routed)
{
    if (routed->asked != NULL)
        free(routed->asked->made_id);
    free(routed->asked);
    routed->asked = NULL;
}

void route_assign(struct link *link)
{
    struct routed *routed = &link->routed;
    link->assigned |= routed->asked->connect.client_id.size == 0;
    if (link->assigned)
        routed->asked->connect.client_id = party_id(&link->own);
}

bool route_is_assigned(const struct link *link)
{
    return link->assigned;
}

bool route_name_is_taken(const struct link *link)
{
    return gh_broker_has(link_port(link)->front->services.broker, link->own.place.device,
                         link->routed.asked->connect.client_id);
}

bool route_rename(struct link *link)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t random[8], *at;
    free(link->routed.asked->made_id);
    at = link->routed.asked->made_id = malloc(party_id(&link->own).size + 1 + 2 * sizeof random);
    if (at == NULL)
        return false;
    gh_random(random, sizeof random);
    memcpy(at, party_id(&link->own).data, party_id(&link->own).size);
    at += party_id(&link->own).size;
    *at++ = '-';
    for (size_t i = 0; i < sizeof random; i++) {
        *at++ = (uint8_t)digits[random[i] >> 4];
        *at++ = (uint8_t)digits[random[i] & 15];
    }
    link->routed.asked->connect.client_id =
        gh_slice(link->routed.asked->made_id, (size_t)(at - link->routed.asked->made_id));
    return true;
}

bool route_prepare(struct link *link, const struct gh_mqtt_connect *connect)
{
    struct routed *routed = &link->routed;
    struct gh_broker_connect wanted = {.client_id = connect->client_id,
                                       .clean_start = connect->clean,
                                       .expiry_s = granted_expiry(link, connect),
                                       .has_will = connect->has_will};
    struct gh_buffer properties;
    link->routes = true;
    gh_buffer_init(&properties, PROPERTIES_MAX);
    bool kept = true;
    if (connect->has_will) {
        wanted.will = will_of(connect);
        kept = passed_on(connect->will_properties, &properties, &wanted.will.properties);
    }
    if (kept)
        routed->asked = copy_asked(&wanted, connect->session_expiry_s);
    gh_buffer_deinit(&properties);
    return routed->asked != NULL;
}

bool route_peer_copy(const struct link *link, struct gh_arena *arena, struct route_peer *out)
{
    const struct gh_tls *tls = gh_conn_tls(link->conn);
    struct gh_slice peer = gh_slice_text(gh_conn_peer(link->conn)), server = {0};
    while (peer.size > 0 && peer.data[peer.size - 1] != ':')
        peer = gh_slice_sub(peer, 0, peer.size - 1);
    if (peer.size > 0)
        peer = gh_slice_sub(peer, 0, peer.size - 1);
    if (gh_slice_starts(peer, GH_SLICE("[")) && gh_slice_ends(peer, GH_SLICE("]")))
        peer = gh_slice_sub(peer, 1, peer.size - 2);
    if (tls != NULL)
        server = gh_tls_server_name(tls);
    return gh_arena_copy(arena, peer, &out->source) && gh_arena_copy(arena, server, &out->server);
}

/* What the certificate says, if one proved the device. */
static bool put_certificate(const struct route_subject *subject, struct gh_arena *arena,
                            struct gh_statement_variables *variables)
{
    struct gh_certificate_facts facts;
    if (subject->certificate.size == 0)
        return true;
    if (!gh_certificate_facts_der(subject->certificate, arena, &facts))
        return false;
    variables->certificate = facts.items;
    variables->certificate_count = facts.count;
    return true;
}

struct gh_statements *route_statements(struct gh_front *front, const struct route_subject *subject,
                                       struct gh_arena *arena, struct gh_error *error)
{
    const struct gh_principal *principal = subject->principal;
    struct gh_policy_row *rows;
    size_t count = 0;
    struct gh_policy_target target = {.tenant = principal->tenant,
                                      .registry = principal->registry,
                                      .device = principal->device,
                                      .credential = principal->credential_id};
    if (gh_directory_sign_in_policies(front->services.directory, &target, subject->at_once, arena,
                                      &rows, &count, error) != GH_OK)
        return NULL;
    struct gh_statement_document *documents = gh_arena_array(arena, count + 1, sizeof *documents);
    if (documents == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++)
        documents[i] = (struct gh_statement_document){rows[i].name, rows[i].document};
    struct gh_statement_variables variables = {
        .tenant = principal->tenant_name,
        .registry = principal->registry_name,
        .device = principal->device_id,
        .client = subject->client_id.size > 0 ? subject->client_id : principal->device_id,
        .source = subject->peer.source,
        .server = subject->peer.server,
        .attributes = subject->device->attributes,
        .attributes_count = subject->device->attributes_count};
    return put_certificate(subject, arena, &variables)
               ? gh_statements_share(front->statements, documents, count, &variables, error)
               : NULL;
}

/* --- decisions */

/* Says to the operator which statement, or that none, decided. */
static void note_denied(struct link *link, enum gh_device_action action, struct gh_slice resource,
                        const struct gh_policy_reason *why)
{
    char text[512];
    struct gh_buffer detail = gh_buffer_fixed(text, sizeof text);
    bool subscribes = action == GH_DEVICE_ACTION_SUBSCRIBE;
    if (why->outcome == GH_POLICY_DENY)
        gh_buffer_print(&detail, "%s: statement %zu of policy %.*s denies %.*s",
                        gh_device_action_name(action), why->statement, GH_PRINT(why->document),
                        (int)(resource.size < 300 ? resource.size : 300),
                        (const char *)resource.data);
    else
        gh_buffer_print(&detail, "%s: no statement allows %.*s", gh_device_action_name(action),
                        (int)(resource.size < 300 ? resource.size : 300),
                        (const char *)resource.data);
    gh_metric_add(link_port(link)->front->services.metrics, GH_METRIC_policy_denied_total, 1);
    link_note(link, subscribes ? GH_TRAIL_SUBSCRIBE_DENIED : GH_TRAIL_PUBLISH_DENIED, "POLICY",
              gh_buffer_slice(&detail));
}

bool route_may(struct link *link, enum gh_device_action action, struct gh_slice resource)
{
    struct gh_policy_reason why;
    if (gh_statements_allow(link->routed.statements, action, resource, &why))
        return true;
    note_denied(link, action, resource, &why);
    return false;
}

const char *route_refuses(const struct link *link)
{
    const struct routed *routed = &link->routed;
    const struct gh_broker_connect *connect = &routed->asked->connect;
    /* What the server assigns is as good as the device's own id. */
    struct gh_slice client = link->assigned ? party_id(&link->own) : connect->client_id;
    if (!gh_statements_allow(routed->statements, GH_DEVICE_ACTION_CONNECT, client, NULL))
        return "policy does not allow the client id to connect";
    if (!connect->has_will)
        return NULL;
    if (connect->will.topic.data[0] == '$' ||
        !gh_statements_allow(routed->statements, GH_DEVICE_ACTION_PUBLISH, connect->will.topic,
                             NULL))
        return "policy does not allow to publish the will";
    if (connect->will.retain && !gh_statements_allow(routed->statements, GH_DEVICE_ACTION_RETAIN,
                                                     connect->will.topic, NULL))
        return "policy does not allow to retain the will";
    return NULL;
}

/* NULL without memory: then nothing is remembered. */
static struct traffic *traffic_of(struct link *link)
{
    if (link->routed.traffic == NULL)
        link->routed.traffic = gh_slot_take(sizeof *link->routed.traffic);
    return link->routed.traffic;
}

/* A device publishes to few topics, mostly to the same, and what it gets comes in runs of one
 * topic: the last one that was allowed is kept, each way. */
static void remember(struct heard **kept, struct gh_slice topic)
{
    struct heard *copy = realloc(*kept, sizeof *copy + topic.size);
    if (copy == NULL)
        return;
    copy->size = topic.size;
    memcpy(copy->text, topic.data, topic.size);
    *kept = copy;
}

static bool is_same(const struct heard *kept, struct gh_slice topic)
{
    return kept != NULL && gh_slice_equal(gh_slice(kept->text, kept->size), topic);
}

static void forget_topics(struct routed *routed)
{
    struct traffic *traffic = routed->traffic;
    if (traffic == NULL)
        return;
    free(traffic->allowed);
    free(traffic->heard);
    traffic->allowed = traffic->heard = NULL;
}

/* --- the session at the broker */

static void take_attached(struct link *link, enum gh_error_code result, bool session_present)
{
    static const struct {
        enum gh_error_code code;
        enum gh_session_refusal refusal;
        const char *reason;
    } refusals[] = {
        {GH_ERROR_LIMIT, GH_SESSION_REFUSED_QUOTA, "SESSIONS_LIMIT"},
        {GH_ERROR_CONFLICT, GH_SESSION_REFUSED_BUSY, "TAKEN_OVER"},
        {GH_ERROR_LOG_FULL, GH_SESSION_REFUSED_UNAVAILABLE, "JOURNAL_FULL"},
    };
    struct routed *routed = &link->routed;
    struct gh_session_admission admission = gh_session_admission_default;
    if (link->conn == NULL || gh_session_ended(link_session(link)))
        return;
    if (result != GH_OK) {
        size_t i = 0;
        while (i < GH_COUNT(refusals) && refusals[i].code != result)
            i++;
        bool known = i < GH_COUNT(refusals);
        link_refuse(link, known ? refusals[i].refusal : GH_SESSION_REFUSED_UNAVAILABLE,
                    known ? refusals[i].reason : "UNAVAILABLE",
                    "the session cannot be had at the broker");
        link_settle(link);
        return;
    }
    link->attached = true;
    link->pump = true;
    admission.limits = &link_port(link)->front->services.route_limits;
    admission.session_present = session_present;
    if (link->assigned)
        admission.client_id = gh_attachment_client(routed->attachment);
    admission.has_session_expiry = routed->asked->expiry_s != routed->asked->connect.expiry_s;
    admission.session_expiry_s = routed->asked->connect.expiry_s;
    admission.received = gh_attachment_received(routed->attachment, &admission.received_count);
    free_asked(routed);
    link_admit(link, &admission);
    link_settle(link);
}

static void attached(void *context, enum gh_error_code result, bool session_present)
{
    struct link *link = context;
    struct routed *routed = &link->routed;
    if (routed->attachment != NULL) {
        take_attached(link, result, session_present);
        return;
    }
    routed->asked->early = true;
    routed->asked->early_result = result;
    routed->asked->early_present = session_present;
}

static void ready(void *context)
{
    struct link *link = context;
    link->pump = true;
    link_settle(link);
}

static void leave(void *context)
{
    struct link *link = context;
    link_end(link, GH_SESSION_END_TAKEN_OVER, "the client id connected again");
    link_settle(link);
}

static const struct gh_attachment_host host = {
    .attached = attached,
    .ready = ready,
    .leave = leave,
};

void route_attach(struct link *link)
{
    struct routed *routed = &link->routed;
    struct gh_broker_connect *connect = &routed->asked->connect;
    connect->tenant = link->view->tenant;
    connect->device = link->own.place.device;
    struct gh_attachment *attachment = gh_broker_connect(
        link_port(link)->front->services.broker, link_port(link)->port.loop, connect, &host, link);
    if (attachment == NULL) {
        link_refuse(link, GH_SESSION_REFUSED_UNAVAILABLE, "UNAVAILABLE", "no memory");
        return;
    }
    routed->attachment = attachment;
    if (routed->asked->early)
        take_attached(link, routed->asked->early_result, routed->asked->early_present);
}

void route_detach(struct link *link, enum gh_session_end why)
{
    struct routed *routed = &link->routed;
    struct gh_session_farewell farewell = gh_session_farewell(link_session(link));
    struct gh_detach detach = {.will = link->attached &&
                                       (why != GH_SESSION_END_CLIENT_CLOSED || farewell.will),
                               .has_expiry = farewell.has_expiry,
                               .expiry_s = farewell.expiry_s};
    struct gh_attachment *attachment = routed->attachment;
    routed->attachment = NULL;
    link->attached = false;
    if (detach.expiry_s > link_port(link)->front->services.expiry_max_s)
        detach.expiry_s = link_port(link)->front->services.expiry_max_s;
    if (attachment != NULL)
        gh_attachment_detach(attachment, &detach);
}

void route_free(struct link *link)
{
    struct routed *routed = &link->routed;
    if (!link->routes)
        return;
    gh_statements_unref(routed->statements);
    forget_topics(routed);
    gh_slot_give(routed->traffic, sizeof *routed->traffic);
    free_asked(routed); /* no answer: it would still be pending */
}

/* --- publishing */

static void note_activity(struct link *link)
{
    const struct gh_front_services *services = &link_port(link)->front->services;
    int64_t now_ns = gh_loop_now_ns(link_port(link)->port.loop);
    struct traffic *traffic = traffic_of(link);
    if (traffic != NULL && now_ns < traffic->active_ns)
        return;
    if (traffic != NULL)
        traffic->active_ns = now_ns + ACTIVITY_MS * GH_MS_NS;
    gh_directory_note(services->directory, link->own.place.device, GH_ACTIVITY_EVENT,
                      services->utc_ms());
}

static bool may_publish(struct link *link, const struct gh_mqtt_publish *packet)
{
    struct traffic *traffic = traffic_of(link);
    if (!packet->retain && traffic != NULL && is_same(traffic->allowed, packet->topic))
        return true;
    if (!route_may(link, GH_DEVICE_ACTION_PUBLISH, packet->topic) ||
        (packet->retain && !route_may(link, GH_DEVICE_ACTION_RETAIN, packet->topic)))
        return false;
    if (traffic != NULL)
        remember(&traffic->allowed, packet->topic);
    return true;
}

/* MQTT 5 has a word for it; in 3.1.1 there is only the end of the connection. */
static void refuse_publish(struct link *link, const struct gh_mqtt_publish *packet, uint8_t reason,
                           enum gh_session_end why, const char *detail)
{
    gh_metric_add(link_port(link)->front->services.metrics, GH_METRIC_messages_refused_total, 1);
    if (gh_session_version(link_session(link)) != GH_MQTT_V5)
        link_end(link, why, detail);
    else if (packet->qos > 0)
        gh_session_acknowledge(link_session(link), packet->packet_id, reason, out_of(link));
}

static void published(void *context, uint16_t packet_id, bool stored, bool matched)
{
    struct link *link = context;
    link->pending--;
    if (link->conn != NULL && !stored)
        link_end(link, GH_SESSION_END_OVERLOAD, "the journal cannot take the message");
    else if (link->conn != NULL)
        gh_session_acknowledge(link_session(link), packet_id,
                               matched ? GH_MQTT_REASON_SUCCESS
                                       : GH_MQTT_REASON_NO_MATCHING_SUBSCRIBERS,
                               out_of(link));
    link_settle(link);
    link_release(link);
}

static void answer_posted(struct link *link, const struct gh_mqtt_publish *packet,
                          enum gh_broker_posted posted)
{
    switch (posted) {
    case GH_BROKER_PENDING:
        return;
    case GH_BROKER_QUOTA:
        refuse_publish(link, packet, GH_MQTT_REASON_QUOTA_EXCEEDED, GH_SESSION_END_QUOTA,
                       "the tenant's retained messages are at their bound");
        link_note(link, GH_TRAIL_PUBLISH_DENIED, "RETAINED_LIMIT", packet->topic);
        return;
    case GH_BROKER_FAILED:
        if (packet->qos > 0)
            link_end(link, GH_SESSION_END_OVERLOAD, "the journal cannot take the message");
        return;
    case GH_BROKER_POSTED:
    case GH_BROKER_NOBODY:
        if (packet->qos > 0)
            gh_session_acknowledge(link_session(link), packet->packet_id,
                                   posted == GH_BROKER_POSTED
                                       ? GH_MQTT_REASON_SUCCESS
                                       : GH_MQTT_REASON_NO_MATCHING_SUBSCRIBERS,
                                   out_of(link));
        return;
    }
}

void route_publish(struct link *link, const struct gh_mqtt_publish *packet)
{
    struct routed *routed = &link->routed;
    struct gh_buffer properties;
    if (!may_publish(link, packet)) {
        refuse_publish(link, packet, GH_MQTT_REASON_NOT_AUTHORISED, GH_SESSION_END_TOPIC_FORBIDDEN,
                       "policy does not allow to publish there");
        return;
    }
    note_activity(link);
    gh_buffer_init(&properties, PROPERTIES_MAX);
    struct gh_broker_publish publish = {.topic = packet->topic,
                                        .payload = packet->payload,
                                        .qos = packet->qos,
                                        .retain = packet->retain,
                                        .has_expiry = packet->has_expiry,
                                        .expiry_s = packet->expiry_s,
                                        .packet_id = packet->packet_id};
    if (routed->traffic != NULL)
        publish.hint = &routed->traffic->hint;
    if (passed_on(packet->properties, &properties, &publish.properties)) {
        enum gh_broker_posted posted =
            gh_attachment_publish(routed->attachment, &publish, published, link);
        link->pending += posted == GH_BROKER_PENDING;
        answer_posted(link, packet, posted);
    } else {
        link_end(link, GH_SESSION_END_TOO_LARGE, "more than 65,536 bytes of properties");
    }
    gh_buffer_deinit(&properties);
}

static void released(void *context, uint16_t packet_id, bool stored, bool ignored)
{
    struct link *link = context;
    (void)ignored;
    link->pending--;
    if (link->conn != NULL && stored)
        gh_session_complete(link_session(link), packet_id, out_of(link));
    else if (link->conn != NULL)
        link_end(link, GH_SESSION_END_OVERLOAD, "the journal cannot take the release");
    link_settle(link);
    link_release(link);
}

void route_release(struct link *link, uint16_t packet_id)
{
    link->pending++;
    gh_attachment_release(link->routed.attachment, packet_id, released, link);
}

/* --- subscribing */

uint8_t route_subscribe(struct link *link, const struct gh_mqtt_filters *filters,
                        const struct gh_mqtt_filter *filter)
{
    struct gh_broker_filter wanted = {.filter = filter->filter,
                                      .qos = filter->qos,
                                      .no_local = filter->no_local,
                                      .retain_as_published = filter->retain_as_published,
                                      .retain_handling = filter->retain_handling,
                                      .identifier = filters->identifier};
    if (!route_may(link, GH_DEVICE_ACTION_SUBSCRIBE, filter->filter))
        return GH_MQTT_REASON_NOT_AUTHORISED;
    uint8_t code = gh_attachment_subscribe(link->routed.attachment, &wanted);
    if (code == GH_MQTT_REASON_QUOTA_EXCEEDED)
        link_note(link, GH_TRAIL_SUBSCRIBE_DENIED, "SUBSCRIPTIONS_LIMIT", filter->filter);
    return code;
}

uint8_t route_unsubscribe(struct link *link, struct gh_slice filter)
{
    return gh_attachment_unsubscribe(link->routed.attachment, filter)
               ? GH_MQTT_REASON_SUCCESS
               : GH_MQTT_REASON_NO_SUBSCRIPTION_EXISTED;
}

enum { ANSWER_UNSUBACK, ANSWER_SUBACK };

static void answered(void *context, uint16_t tag, bool stored, bool ignored)
{
    struct link *link = context;
    struct routed *routed = &link->routed;
    (void)ignored;
    link->pending--;
    if (link->conn != NULL && !stored)
        link_end(link, GH_SESSION_END_OVERLOAD, "the journal cannot take the subscription");
    else if (link->conn != NULL && tag == ANSWER_SUBACK)
        gh_session_suback(link_session(link), routed->answer->codes, routed->answer->count,
                          out_of(link));
    else if (link->conn != NULL)
        gh_session_unsuback(link_session(link), routed->answer->codes, routed->answer->count,
                            out_of(link));
    free(routed->answer);
    routed->answer = NULL;
    link->pump = true; /* retained messages, behind the SUBACK */
    link_settle(link);
    link_release(link);
}

void route_answer(struct link *link, const uint8_t *codes, size_t count, bool subscribes)
{
    struct routed *routed = &link->routed;
    routed->answer = malloc(sizeof *routed->answer + count);
    if (routed->answer == NULL) {
        link_end(link, GH_SESSION_END_OVERLOAD, "no memory for the answer");
        return;
    }
    routed->answer->count = count;
    memcpy(routed->answer->codes, codes, count);
    link->pump = false;
    link->pending++;
    gh_attachment_sync(routed->attachment, answered, link,
                       subscribes ? ANSWER_SUBACK : ANSWER_UNSUBACK);
}

/* --- delivering */

static enum gh_session_sending send_delivery(struct link *link, const struct gh_delivery *delivery)
{
    int64_t now_ns = gh_loop_now_ns(link_port(link)->port.loop);
    if (delivery->release)
        return gh_session_resume_release(link_session(link), delivery->packet_id, delivery->token,
                                         out_of(link));
    const struct gh_route_message *message = delivery->message;
    struct gh_session_message sending = {.topic = message->topic,
                                         .payload = message->payload,
                                         .properties = message->properties,
                                         .identifiers = delivery->identifiers,
                                         .identifiers_count = delivery->identifiers_count,
                                         .has_expiry = delivery->has_expiry,
                                         .expiry_s = delivery->expiry_s,
                                         .qos = delivery->qos,
                                         .retain = delivery->retain,
                                         .dup = delivery->dup,
                                         .packet_id = delivery->packet_id};
    return gh_session_publish(link_session(link), &sending, delivery->token, now_ns, out_of(link));
}

static bool may_receive(struct link *link, const struct gh_delivery *delivery)
{
    struct traffic *traffic = traffic_of(link);
    if (delivery->release || (traffic != NULL && is_same(traffic->heard, delivery->message->topic)))
        return true;
    if (!gh_statements_allow(link->routed.statements, GH_DEVICE_ACTION_RECEIVE,
                             delivery->message->topic, NULL))
        return false;
    if (traffic != NULL)
        remember(&traffic->heard, delivery->message->topic);
    return true;
}

static void note_dropped(struct link *link)
{
    size_t dropped = gh_attachment_dropped(link->routed.attachment);
    char text[64];
    struct gh_buffer detail = gh_buffer_fixed(text, sizeof text);
    if (dropped == 0)
        return;
    gh_buffer_print(&detail, "%zu messages", dropped);
    link_note(link, GH_TRAIL_SUBSCRIBE_DENIED, "QUEUE_FULL", gh_buffer_slice(&detail));
}

/* A turn of one link's sending. */
struct pump {
    int64_t now_ms, end_ns, sent;
    bool window_full;
};

/* False: nothing more goes out now. */
static bool send_next(struct link *link, struct pump *pump)
{
    const struct gh_front_services *services = &link_port(link)->front->services;
    struct gh_attachment *attachment = link->routed.attachment;
    struct gh_delivery delivery;
    if (!gh_attachment_next(attachment, pump->now_ms, pump->window_full, &delivery))
        return false;
    if (!may_receive(link, &delivery)) {
        gh_metric_add(services->metrics, GH_METRIC_policy_denied_total, 1);
        gh_attachment_done(attachment, delivery.token);
        return true;
    }
    switch (send_delivery(link, &delivery)) {
    case GH_SESSION_SENT:
        pump->sent++;
        gh_attachment_sent(attachment, delivery.token);
        return true;
    case GH_SESSION_TOO_LARGE:
        gh_attachment_done(attachment, delivery.token);
        return true;
    case GH_SESSION_FULL: /* the window, or the connection's output? QoS 0 tells */
        link->held = true;
        if (pump->window_full || delivery.qos == 0)
            return false;
        pump->window_full = true;
        return true;
    case GH_SESSION_GONE:
        break;
    }
    return false;
}

/* Whether the link has had its share of the turn, after `count` messages. */
static bool is_over(struct pump *pump, int count)
{
    if (count < PUMP_MAX && count % PUMP_LOOK != 0)
        return false;
    int64_t now_ns = gh_time_monotonic_ns();
    if (count == PUMP_LOOK)
        pump->end_ns = now_ns + PUMP_NS;
    return count == PUMP_MAX || now_ns >= pump->end_ns;
}

void route_pump(struct link *link)
{
    const struct gh_front_services *services = &link_port(link)->front->services;
    struct routed *routed = &link->routed;
    struct pump pump = {.now_ms = services->utc_ms()};
    bool more;
    int count = 0;
    link->pump = link->held = false;
    do
        more = link_is_live(link) && link->attached && send_next(link, &pump);
    while (more && !is_over(&pump, ++count));
    if (pump.sent > 0)
        gh_metric_add(services->metrics, GH_METRIC_messages_sent_total, pump.sent);
    if (more)
        gh_attachment_wake(routed->attachment);
    else if (count == 0 && link->attached)
        note_dropped(link);
}

static bool is_broker_token(uint64_t token)
{
    return (token & 3) == 2 && token >> 2 != 0;
}

void route_delivered(struct link *link, uint64_t token, bool acknowledged)
{
    struct routed *routed = &link->routed;
    if (!acknowledged || !is_broker_token(token) || !link->attached)
        return;
    gh_attachment_done(routed->attachment, token);
    link->pump = true;
}

static void received(void *context, uint64_t token, bool stored)
{
    struct link *link = context;
    link->pending--;
    if (link->conn != NULL && stored)
        gh_session_release(link_session(link), token, out_of(link));
    else if (link->conn != NULL)
        link_end(link, GH_SESSION_END_OVERLOAD, "the journal cannot take the receipt");
    link_settle(link);
    link_release(link);
}

void route_received(struct link *link, uint64_t token)
{
    if (!is_broker_token(token) || !link->attached) {
        gh_session_release(link_session(link), token, out_of(link));
        return;
    }
    link->pending++;
    gh_attachment_pubrec(link->routed.attachment, token, received, link);
}

/* --- policy that changes under a live session */

static void read_policy(struct task *task)
{
    struct gh_device device;
    struct gh_directory *directory = task->front->services.directory;
    task->code =
        gh_directory_device_get(directory, task->device, &task->arena, &device, &task->error);
    if (task->code != GH_OK)
        return;
    struct gh_principal principal = {.tenant = device.tenant,
                                     .registry = device.registry,
                                     .device = device.number,
                                     .tenant_name = device.tenant_name,
                                     .registry_name = device.registry_name,
                                     .device_id = device.id,
                                     .credential_id = task->policy.credential};
    const struct route_subject subject = {.principal = &principal,
                                          .device = &device,
                                          .client_id = task->policy.client_id,
                                          .peer = task->policy.peer,
                                          .certificate = task->policy.certificate};
    task->policy.statements = route_statements(task->front, &subject, &task->arena, &task->error);
}

static void policy_read(struct task *task)
{
    struct link *link = task->link;
    struct routed *routed = &link->routed;
    link->policy_loading = false;
    if (task->policy.statements == NULL || !link_is_live(link)) {
        gh_statements_unref(task->policy.statements);
        link_end(link, GH_SESSION_END_POLICY, "its policies cannot be read");
        return;
    }
    gh_statements_unref(routed->statements);
    routed->statements = task->policy.statements;
    forget_topics(routed);
    if (!gh_statements_allow(routed->statements, GH_DEVICE_ACTION_CONNECT, task->policy.client_id,
                             NULL))
        link_end(link, GH_SESSION_END_POLICY, "policy does not allow the client id any more");
    else if (link->policy_again)
        route_reload_policy(link);
}

/* The certificate of the handshake, for the task, when that is what proved the device. */
static bool copy_certificate(const struct link *link, struct task *task)
{
    struct gh_slice chain[GH_IDENTITY_CHAIN_MAX];
    size_t count = 0;
    if (!link->by_certificate)
        return true;
    if (!gh_tls_peer_chain(gh_conn_tls(link->conn), GH_IDENTITY_CHAIN_MAX, &task->arena, chain,
                           &count) ||
        count == 0)
        return false;
    task->policy.certificate = chain[0];
    return true;
}

void route_reload_policy(struct link *link)
{
    struct routed *routed = &link->routed;
    if (!link->routes || !link->attached || link->conn == NULL)
        return;
    link->policy_again = link->policy_loading;
    if (link->policy_loading)
        return;
    struct task *task = task_open(link, POLICY_ARENA_MAX, read_policy, policy_read);
    struct gh_slice client =
        link->assigned ? party_id(&link->own) : gh_attachment_client(routed->attachment);
    bool copied =
        task != NULL && gh_arena_copy(&task->arena, client, &task->policy.client_id) &&
        gh_arena_copy(&task->arena, party_credential(&link->own), &task->policy.credential) &&
        copy_certificate(link, task) && route_peer_copy(link, &task->arena, &task->policy.peer);
    if (task != NULL && !copied)
        task_close(task);
    link->policy_loading = copied && task_start(task);
    if (!link->policy_loading)
        link_end(link, GH_SESSION_END_POLICY, "its policies cannot be read now");
}
