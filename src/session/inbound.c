/* What each packet of the peer does. Its QoS 1 and 2 messages are kept as their ids, in order of
 * the id, with where the exchange stands:
 *
 *   QoS 1   PUBLISH -> IN_QOS1 -> host acknowledges -> PUBACK
 *   QoS 2   PUBLISH -> IN_QOS2 -> host acknowledges -> PUBREC -> IN_RECEIVED
 *           PUBREL -> IN_RELEASED -> host completes -> PUBCOMP
 *
 * Between PUBREC and PUBCOMP a PUBLISH with this id is the same message again. */
#include "session/session_internal.h"
#include "wire/mqtt/property.h"
#include <stdlib.h>
#include <string.h>

/* The list of ids. A message is mostly answered before the next one is read: the first needs no
 * memory. */

static struct gh_session_inbound *list_of(const struct gh_session *session)
{
    return session->flow->in_capacity > 0
               ? session->flow->in.list
               : (struct gh_session_inbound *)(uintptr_t)&session->flow->in.one;
}

/* Index of the first entry whose id is not smaller. */
static size_t place_of(const struct gh_session *session, uint16_t packet_id)
{
    size_t low = 0, high = session->flow->in_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list_of(session)[middle].packet_id < packet_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct gh_session_inbound *gh_session_inbound_find(const struct gh_session *session,
                                                   uint16_t packet_id)
{
    size_t i = place_of(session, packet_id);
    struct gh_session_inbound *list = list_of(session);
    return i < session->flow->in_count && list[i].packet_id == packet_id ? &list[i] : NULL;
}

static bool owes_answer(const struct gh_session_inbound *inbound)
{
    return inbound->state != GH_SESSION_IN_RECEIVED;
}

/* Room for one more. */
static bool make_room(struct gh_session *session)
{
    if (gh_session_flow(session) == NULL)
        return false;
    bool is_single = session->flow->in_capacity == 0;
    struct gh_session_inbound one = session->flow->in.one;
    if (is_single && session->flow->in_count == 0)
        return true;
    struct gh_session_inbound *list =
        gh_session_list_grow(is_single ? NULL : session->flow->in.list, session->flow->in_count,
                             &session->flow->in_capacity, sizeof *list);
    if (list == NULL)
        return false;
    session->flow->in.list = list;
    if (is_single)
        list[0] = one;
    return true;
}

static bool add(struct gh_session *session, struct gh_session_inbound added)
{
    if (!make_room(session))
        return false;
    struct gh_session_inbound *list = list_of(session);
    size_t i = place_of(session, added.packet_id);
    memmove(list + i + 1, list + i, (session->flow->in_count - i) * sizeof *list);
    list[i] = added;
    session->flow->in_count++;
    session->flow->in_due += owes_answer(&added);
    session->flow->in_counted += added.counted;
    return true;
}

static void set_state(struct gh_session *session, struct gh_session_inbound *inbound,
                      enum gh_session_inbound_state state)
{
    session->flow->in_due -= owes_answer(inbound);
    inbound->state = (uint8_t)state;
    session->flow->in_due += owes_answer(inbound);
}

static void remove_entry(struct gh_session *session, struct gh_session_inbound *inbound)
{
    size_t i = (size_t)(inbound - list_of(session));
    session->flow->in_due -= owes_answer(inbound);
    session->flow->in_counted -= inbound->counted;
    session->flow->in_count--;
    memmove(inbound, inbound + 1, (session->flow->in_count - i) * sizeof *inbound);
    if (session->flow->in_count == 0)
        gh_session_inbound_free(session);
}

void gh_session_inbound_free(struct gh_session *session)
{
    if (session->flow->in_count == 0 && session->flow->in_capacity == 0)
        return;
    if (session->flow->in_capacity > 0)
        free(session->flow->in.list);
    session->flow->in_count = session->flow->in_capacity = session->flow->in_due =
        session->flow->in_counted = 0;
}

static int by_id(const void *a, const void *b)
{
    const struct gh_session_inbound *left = a, *right = b;
    return (int)left->packet_id - (int)right->packet_id;
}

bool gh_session_inbound_restore(struct gh_session *session, const uint16_t *received, size_t count)
{
    assert(session->flow->in_count == 0 && count <= UINT16_MAX);
    if (count == 0)
        return true;
    if (gh_session_flow(session) == NULL)
        return false;
    struct gh_session_inbound *list = calloc(count, sizeof *list);
    if (list == NULL)
        return false;
    gh_session_inbound_free(session);
    session->flow->in.list = list;
    session->flow->in_count = session->flow->in_capacity = (uint16_t)count;
    for (size_t i = 0; i < count; i++) {
        assert(received[i] != 0);
        list[i] = (struct gh_session_inbound){received[i], GH_SESSION_IN_RECEIVED, false};
    }
    qsort(list, count, sizeof *list, by_id);
    for (size_t i = 1; i < count; i++)
        assert(list[i - 1].packet_id != list[i].packet_id);
    return true;
}

/* Answers. */

static void write_ack(struct gh_session *session, enum gh_mqtt_type type, uint16_t packet_id,
                      uint8_t reason, struct gh_buffer *out)
{
    size_t begin = out->size;
    gh_mqtt_write_ack(gh_session_version(session), type,
                      (struct gh_mqtt_ack){.packet_id = packet_id, .reason = reason}, out);
    gh_session_written(session, begin, out);
}

void gh_session_acknowledge(struct gh_session *session, uint16_t packet_id, uint8_t reason,
                            struct gh_buffer *out)
{
    struct gh_session_inbound *inbound = gh_session_inbound_find(session, packet_id);

    assert(reason < 0x80 || gh_session_speaks_5(session));
    if (inbound == NULL)
        return;
    if (inbound->state == GH_SESSION_IN_QOS1) {
        remove_entry(session, inbound);
        write_ack(session, GH_MQTT_PUBACK, packet_id, reason, out); /* [MQTT-4.3.2-2 / -4] */
    } else if (inbound->state == GH_SESSION_IN_QOS2) {
        if (reason >= 0x80)
            remove_entry(session, inbound); /* [/ MQTT-4.3.3-9] */
        else
            set_state(session, inbound, GH_SESSION_IN_RECEIVED);
        write_ack(session, GH_MQTT_PUBREC, packet_id, reason, out); /* [MQTT-4.3.3-2 / -8] */
    }
}

void gh_session_forgo(struct gh_session *session, uint16_t packet_id)
{
    struct gh_session_inbound *inbound = gh_session_inbound_find(session, packet_id);

    assert(!gh_session_speaks_5(session));
    if (inbound != NULL && inbound->state == GH_SESSION_IN_QOS1)
        remove_entry(session, inbound);
}

void gh_session_complete(struct gh_session *session, uint16_t packet_id, struct gh_buffer *out)
{
    struct gh_session_inbound *inbound = gh_session_inbound_find(session, packet_id);

    if (inbound == NULL || inbound->state != GH_SESSION_IN_RELEASED)
        return;
    remove_entry(session, inbound); /* the id is free again [MQTT-4.3.3-2 / MQTT-4.3.3-12] */
    write_ack(session, GH_MQTT_PUBCOMP, packet_id, GH_MQTT_REASON_SUCCESS, out);
}

/* PUBLISH and PUBREL. */

static bool over_receive_max(struct gh_session *session, struct gh_buffer *out)
{
    if (!gh_session_speaks_5(session) ||
        session->flow->in_counted < session->limits->inflight_in_max)
        return false;
    gh_session_end(session, GH_SESSION_END_RECEIVE_MAX,
                   "more publishes without an answer than Receive Maximum [/ MQTT-3.3.4-7]", out);
    return true;
}

/* A QoS 2 message again [MQTT-4.3.3-2 / MQTT-4.3.3-10]. While the host owes the PUBREC, that one
 * answers both. */
static void take_again(struct gh_session *session, struct gh_session_inbound *inbound,
                       struct gh_buffer *out)
{
    if (inbound->state == GH_SESSION_IN_QOS2)
        return;
    if (!inbound->counted && gh_session_speaks_5(session)) {
        if (over_receive_max(session, out))
            return;
        inbound->counted = true;
        session->flow->in_counted++;
    }
    write_ack(session, GH_MQTT_PUBREC, inbound->packet_id, GH_MQTT_REASON_SUCCESS, out);
}

/* An id that the peer still uses for a message of the other QoS [MQTT-2.3.1-2 / MQTT-2.2.1-3]. */
static void id_in_use(struct gh_session *session, const struct gh_mqtt_publish *publish,
                      struct gh_buffer *out)
{
    if (gh_session_speaks_5(session))
        write_ack(session, publish->qos == 1 ? GH_MQTT_PUBACK : GH_MQTT_PUBREC, publish->packet_id,
                  GH_MQTT_REASON_PACKET_ID_IN_USE, out);
    else
        gh_session_break(session, "a packet id that is in use [MQTT-2.3.1-2]", out);
}

static void take(struct gh_session *session, const struct gh_mqtt_publish *publish,
                 struct gh_buffer *out)
{
    struct gh_session_inbound *known = gh_session_inbound_find(session, publish->packet_id);
    struct gh_session_inbound added = {
        .packet_id = publish->packet_id,
        .state = publish->qos == 1 ? GH_SESSION_IN_QOS1 : GH_SESSION_IN_QOS2,
        .counted = gh_session_speaks_5(session),
    };

    if (known != NULL && publish->qos == 2 && known->state != GH_SESSION_IN_QOS1) {
        take_again(session, known, out);
        return;
    }
    if (known != NULL && known->state != added.state) {
        id_in_use(session, publish, out);
        return;
    }
    /* A repeat of what still waits for its PUBACK; that one will answer both. The same id without
     * DUP is another message of a careless client: delivered, and acknowledged a second time. */
    if (known != NULL && publish->dup)
        return;
    if (over_receive_max(session, out))
        return;
    if (add(session, added))
        session->host->publish(session->context, publish);
    else
        gh_session_end(session, GH_SESSION_END_OVERLOAD, "no memory for a message in flight", out);
}

static void handle_publish(struct gh_session *session, struct gh_mqtt_packet *packet,
                           struct gh_buffer *out)
{
    struct gh_mqtt_publish *publish = &packet->publish;

    if (publish->topic_alias != 0 && !gh_session_alias_resolve(session, publish, out))
        return;
    if (publish->retain && session->retain_refused)
        gh_session_end_for(session, GH_SESSION_END_PROTOCOL, GH_MQTT_REASON_RETAIN_NOT_SUPPORTED,
                           "RETAIN is not offered [/ MQTT-3.2.2-14]", out);
    else if (publish->qos == 0)
        session->host->publish(session->context, publish);
    else
        take(session, publish, out);
}

static void handle_pubrel(struct gh_session *session, struct gh_mqtt_packet *packet,
                          struct gh_buffer *out)
{
    uint16_t packet_id = packet->ack.packet_id;
    struct gh_session_inbound *inbound = gh_session_inbound_find(session, packet_id);

    if (session->limits->qos_max < 2) {
        gh_session_break(session, "an acknowledgement of QoS 2 for no message", out);
    } else if (inbound == NULL || inbound->state == GH_SESSION_IN_QOS1) {
        write_ack(session, GH_MQTT_PUBCOMP, packet_id, GH_MQTT_REASON_PACKET_ID_NOT_FOUND,
                  out); /* [MQTT-4.3.3-2 / MQTT-4.3.3-11] */
    } else if (inbound->state == GH_SESSION_IN_QOS2) {
        gh_session_break(session, "PUBREL before PUBREC [MQTT-4.3.3-1 / MQTT-4.3.3-4]", out);
    } else if (inbound->state == GH_SESSION_IN_RECEIVED) {
        set_state(session, inbound, GH_SESSION_IN_RELEASED);
        session->host->release(session->context, packet_id);
    } /* else the PUBCOMP that the host owes answers both */
}

/* SUBSCRIBE and UNSUBSCRIBE. */

static void handle_filters(struct gh_session *session, struct gh_mqtt_packet *packet,
                           struct gh_buffer *out)
{
    bool subscribes = packet->type == GH_MQTT_SUBSCRIBE;

    (void)out;
    session->due = subscribes ? GH_SESSION_DUE_SUBACK : GH_SESSION_DUE_UNSUBACK;
    session->due_id = packet->filters.packet_id;
    session->due_count = (uint16_t)packet->filters.count;
    if (subscribes)
        session->host->subscribe(session->context, &packet->filters);
    else
        session->host->unsubscribe(session->context, &packet->filters);
}

static void answer_filters(struct gh_session *session, enum gh_session_due due,
                           const uint8_t *codes, size_t count, struct gh_buffer *out)
{
    enum gh_mqtt_type type = due == GH_SESSION_DUE_SUBACK ? GH_MQTT_SUBACK : GH_MQTT_UNSUBACK;
    uint8_t told[GH_SESSION_FILTERS_MAX];
    size_t begin = out->size;

    if (gh_session_ended(session) || session->due != due)
        return;
    assert(count == session->due_count); /* [MQTT-3.8.4-5 / MQTT-3.8.4-6, MQTT-3.11.3-1] */
    for (size_t i = 0; i < count; i++) {
        bool refused_311 = codes[i] >= 0x80 && !gh_session_speaks_5(session);
        told[i] = refused_311 ? GH_MQTT_SUBACK_REFUSED : codes[i]; /* [MQTT-3.9.3-2] */
    }
    session->due = GH_SESSION_DUE_NOTHING;
    if (type == GH_MQTT_UNSUBACK && !gh_session_speaks_5(session))
        count = 0;
    gh_mqtt_write_suback(
        gh_session_version(session), type,
        (struct gh_mqtt_suback){.packet_id = session->due_id, .codes = gh_slice(told, count)},
        out); /* [MQTT-3.8.4-2, MQTT-3.10.4-4 / MQTT-3.10.4-5] */
    gh_session_written(session, begin, out);
}

void gh_session_suback(struct gh_session *session, const uint8_t *codes, size_t count,
                       struct gh_buffer *out)
{
    answer_filters(session, GH_SESSION_DUE_SUBACK, codes, count, out);
}

void gh_session_unsuback(struct gh_session *session, const uint8_t *codes, size_t count,
                         struct gh_buffer *out)
{
    answer_filters(session, GH_SESSION_DUE_UNSUBACK, codes, count, out);
}

/* The rest. */

static void handle_pingreq(struct gh_session *session, struct gh_mqtt_packet *packet,
                           struct gh_buffer *out)
{
    (void)packet;
    session->host->heartbeat(session->context);
    if (gh_session_ended(session))
        return;
    size_t begin = out->size; /* behind the callback, which may have sent something */
    gh_mqtt_write_empty(GH_MQTT_PINGRESP, out); /* [MQTT-3.12.4-1] */
    gh_session_written(session, begin, out);
}

static void handle_disconnect(struct gh_session *session, struct gh_mqtt_packet *packet,
                              struct gh_buffer *out)
{
    struct gh_mqtt_property_value expiry;
    bool has_expiry =
        gh_mqtt_property_find(packet->reason.properties, GH_MQTT_PROPERTY_SESSION_EXPIRY, &expiry);

    if (has_expiry && expiry.number != 0 && session->ephemeral) {
        gh_session_break(session, "a session that ends now cannot be kept after all (3.14.2.2.2)",
                         out);
        return;
    }
    session->farewell_will = packet->reason.reason != GH_MQTT_REASON_SUCCESS;
    session->farewell_expiry = has_expiry;
    session->expiry_s = has_expiry ? expiry.number : 0;
    gh_session_end(session, GH_SESSION_END_CLIENT_CLOSED, "DISCONNECT", NULL);
}

struct gh_session_farewell gh_session_farewell(const struct gh_session *session)
{
    return (struct gh_session_farewell){.will = session->farewell_will,
                                        .has_expiry = session->farewell_expiry,
                                        .expiry_s = session->expiry_s};
}

/* AUTH, which only a peer of MQTT 5 has. The first sign-in has one step, so it begins another one
 * or is out of place. */

static struct gh_slice method_of(const struct gh_session *session)
{
    return session->flow->extra == NULL
               ? (struct gh_slice){0}
               : gh_slice(session->flow->extra->method, session->flow->extra->method_size);
}

/* Empty when the block has none. */
static struct gh_slice text_of(struct gh_slice properties, enum gh_mqtt_property id)
{
    struct gh_mqtt_property_value value;
    bool found = gh_mqtt_property_find(properties, id, &value);
    return found ? value.text : (struct gh_slice){0};
}

static void handle_auth(struct gh_session *session, struct gh_mqtt_packet *packet,
                        struct gh_buffer *out)
{
    struct gh_slice properties = packet->reason.properties, method = method_of(session);
    struct gh_slice told = text_of(properties, GH_MQTT_PROPERTY_AUTH_METHOD);

    if (method.size == 0) {
        gh_session_break(session, "AUTH without a method in CONNECT [/ MQTT-4.12.0-7]", out);
    } else if (!gh_slice_equal(told, method)) {
        gh_session_break(session, "AUTH with another method [/ MQTT-4.12.1-1]", out);
    } else if (packet->reason.reason != GH_MQTT_REASON_REAUTHENTICATE) {
        gh_session_break(session, "AUTH that continues nothing [/ MQTT-4.12.0-3]", out);
    } else {
        session->due = GH_SESSION_DUE_REAUTHENTICATION;
        session->host->reauthenticate(session->context,
                                      text_of(properties, GH_MQTT_PROPERTY_AUTH_DATA));
    }
}

void gh_session_reauthenticated(struct gh_session *session, bool accepted, struct gh_buffer *out)
{
    uint8_t block[3 + GH_SESSION_AUTH_METHOD_BYTES_MAX];
    struct gh_buffer properties = gh_buffer_fixed(block, sizeof block);
    size_t begin = out->size;

    if (gh_session_ended(session) || session->due != GH_SESSION_DUE_REAUTHENTICATION)
        return;
    session->due = GH_SESSION_DUE_NOTHING;
    if (!accepted) { /* [/ MQTT-4.12.1-2] */
        gh_session_end(session, GH_SESSION_END_REFUSED, "what AUTH gave was not accepted", out);
        return;
    }
    gh_mqtt_property_put_text(&properties, GH_MQTT_PROPERTY_AUTH_METHOD,
                              method_of(session)); /* [/ MQTT-4.12.0-5] */
    gh_mqtt_write_reason(
        GH_MQTT_V5, GH_MQTT_AUTH,
        (struct gh_mqtt_reason){GH_MQTT_REASON_SUCCESS, gh_buffer_slice(&properties)}, out);
    gh_session_written(session, begin, out);
}

const struct gh_session_rule gh_session_rules[16] = {
    [GH_MQTT_CONNECT] = {gh_session_handle_connect, GH_SESSION_ANSWER_BYTES, false},
    [GH_MQTT_PUBLISH] = {handle_publish, GH_SESSION_ACK_BYTES, true},
    [GH_MQTT_PUBACK] = {gh_session_handle_puback, 0, false},
    [GH_MQTT_PUBREC] = {gh_session_handle_pubrec, GH_SESSION_ACK_BYTES, false},
    [GH_MQTT_PUBREL] = {handle_pubrel, GH_SESSION_ACK_BYTES, false},
    [GH_MQTT_PUBCOMP] = {gh_session_handle_pubcomp, 0, false},
    [GH_MQTT_SUBSCRIBE] = {handle_filters, GH_SESSION_ANSWER_BYTES, true},
    [GH_MQTT_UNSUBSCRIBE] = {handle_filters, GH_SESSION_ANSWER_BYTES, true},
    [GH_MQTT_PINGREQ] = {handle_pingreq, GH_SESSION_ANSWER_BYTES, true},
    [GH_MQTT_DISCONNECT] = {handle_disconnect, 0, false},
    [GH_MQTT_AUTH] = {handle_auth, GH_SESSION_ANSWER_BYTES, true},
};
