/* Messages to the peer. QoS 0 goes into the output queue and is forgotten; QoS 1 and 2 are kept as
 * their id and token until the peer's last word:
 *
 *   QoS 1   PUBLISH -> OUT_QOS1 -> PUBACK
 *   QoS 2   PUBLISH -> OUT_QOS2 -> PUBREC -> OUT_RECEIVED -> host releases -> PUBREL
 *           -> OUT_RELEASED -> PUBCOMP
 *
 * Where the limits ask for repetition their bytes are kept too. */
#include "session/session_internal.h"
#include "wire/mqtt/property.h"
#include <stdlib.h>
#include <string.h>

/* What is in flight. Peers mostly acknowledge in order: what ends at the front costs no move. */

static struct gh_session_outbound *entry_at(const struct gh_session *session, size_t i)
{
    return &session->flow->out[session->flow->out_first + i];
}

size_t gh_session_inflight_out(const struct gh_session *session)
{
    size_t count = 0;
    for (size_t i = 0; i < session->flow->out_count; i++)
        count += !entry_at(session, i)->withdrawn;
    return count;
}

static struct gh_session_outbound *find(const struct gh_session *session, uint16_t packet_id)
{
    for (size_t i = 0; i < session->flow->out_count; i++)
        if (entry_at(session, i)->packet_id == packet_id)
            return entry_at(session, i);
    return NULL;
}

static struct gh_session_outbound *find_token(const struct gh_session *session, uint64_t token)
{
    for (size_t i = 0; i < session->flow->out_count; i++)
        if (entry_at(session, i)->token == token && !entry_at(session, i)->withdrawn)
            return entry_at(session, i);
    return NULL;
}

static uint16_t next_id(struct gh_session *session)
{
    do {
        session->flow->last_id++;
    } while (session->flow->last_id == 0 || find(session, session->flow->last_id) != NULL);
    return session->flow->last_id; /* [MQTT-2.3.1-4 / MQTT-2.2.1-4] */
}

static bool repeats(const struct gh_session *session)
{
    return session->limits->repeat_ns != 0 && !gh_session_speaks_5(session);
}

static bool full(const struct gh_session *session, size_t size)
{
    const struct gh_session_limits *limits = session->limits;
    return session->flow->out_count >= limits->inflight_out_max ||
           session->flow->out_counted >=
               session->receive_max || /* [/ MQTT-3.3.4-9, MQTT-4.9.0-2] */
           (session->flow->out_count != 0 && repeats(session) &&
            session->flow->out_bytes + size > limits->inflight_out_bytes_max);
}

/* Room for one more at the end: those before `out_first` give theirs when they are half of all. */
static bool make_room(struct gh_session *session)
{
    if (gh_session_flow(session) == NULL)
        return false;
    unsigned used = (unsigned)session->flow->out_first + session->flow->out_count;
    if (used < session->flow->out_capacity)
        return true;
    if (session->flow->out_first > session->flow->out_capacity / 2 || used == UINT16_MAX) {
        memmove(session->flow->out, entry_at(session, 0),
                session->flow->out_count * sizeof *session->flow->out);
        session->flow->out_first = 0;
        used = session->flow->out_count;
    }
    struct gh_session_outbound *list =
        gh_session_list_grow(session->flow->out, (uint16_t)used, &session->flow->out_capacity,
                             sizeof *session->flow->out);
    if (list == NULL)
        return false;
    session->flow->out = list;
    return true;
}

static bool add(struct gh_session *session, struct gh_session_outbound added)
{
    if (!make_room(session))
        return false;
    *entry_at(session, session->flow->out_count++) = added;
    session->flow->out_bytes += added.size;
    session->flow->out_counted += added.counted;
    return true;
}

/* Adds it, with what a repetition needs as it goes over the wire. False when there is no memory. */
static bool add_publish(struct gh_session *session, const struct gh_mqtt_publish *publish,
                        size_t size, uint64_t token, int64_t now_ns)
{
    struct gh_session_outbound added = {
        .token = token,
        .sent_ns = now_ns,
        .packet_id = publish->packet_id,
        .state = publish->qos == 1 ? GH_SESSION_OUT_QOS1 : GH_SESSION_OUT_QOS2,
        .counted = true,
    };

    if (repeats(session)) {
        added.packet = malloc(size);
        if (added.packet == NULL)
            return false;
        struct gh_buffer copy = gh_buffer_fixed(added.packet, size);
        gh_mqtt_write_publish(gh_session_version(session), publish, &copy);
        assert(copy.size == size && !copy.overflow);
        added.size = (uint32_t)size;
    }
    if (add(session, added))
        return true;
    free(added.packet);
    return false;
}

static void forget_packet(struct gh_session *session, struct gh_session_outbound *outbound)
{
    free(outbound->packet);
    session->flow->out_bytes -= outbound->size;
    outbound->packet = NULL;
    outbound->size = 0;
}

static void remove_entry(struct gh_session *session, struct gh_session_outbound *outbound)
{
    size_t i = (size_t)(outbound - entry_at(session, 0));
    forget_packet(session, outbound);
    session->flow->out_counted -= outbound->counted;
    if (outbound->state == GH_SESSION_OUT_RECEIVED)
        session->flow->out_due--;
    session->flow->out_count--;
    if (session->flow->out_count == 0)
        gh_session_outbound_free(session);
    else if (i == 0)
        session->flow->out_first++;
    else
        memmove(outbound, outbound + 1, (session->flow->out_count - i) * sizeof *outbound);
}

void gh_session_outbound_free(struct gh_session *session)
{
    if (session->flow->out_capacity == 0)
        return;
    for (size_t i = 0; i < session->flow->out_count; i++)
        free(entry_at(session, i)->packet);
    free(session->flow->out);
    session->flow->out = NULL;
    session->flow->out_first = session->flow->out_count = session->flow->out_capacity =
        session->flow->out_counted = session->flow->out_due = 0;
    session->flow->out_bytes = 0;
}

/* Sending. */

static size_t properties_bytes(const struct gh_session_message *message)
{
    enum { ALIAS_BYTES = 3, EXPIRY_BYTES = 5, IDENTIFIER_BYTES = 5 };
    return ALIAS_BYTES + EXPIRY_BYTES + message->identifiers_count * IDENTIFIER_BYTES +
           message->properties.size;
}

/* The block of a PUBLISH of MQTT 5: what the session and the subscription add, then what the
 * message brought. */
static void put_properties(const struct gh_session_message *message, uint16_t alias,
                           struct gh_buffer *block)
{
    if (alias != 0)
        gh_mqtt_property_put_number(block, GH_MQTT_PROPERTY_TOPIC_ALIAS, alias);
    if (message->has_expiry) /* [/ MQTT-3.3.2-6] */
        gh_mqtt_property_put_number(block, GH_MQTT_PROPERTY_MESSAGE_EXPIRY, message->expiry_s);
    for (size_t i = 0; i < message->identifiers_count; i++) /* [/ MQTT-3.3.4-3, -4] */
        gh_mqtt_property_put_number(block, GH_MQTT_PROPERTY_SUBSCRIPTION_ID,
                                    message->identifiers[i]);
    gh_buffer_put(block, message->properties);
}

/* Whether a PUBLISH of `size` bytes goes out now. */
static enum gh_session_sending admits(const struct gh_session *session,
                                      const struct gh_mqtt_publish *publish, size_t size,
                                      const struct gh_buffer *out)
{
    size_t needed = size + gh_session_headroom(session);

    if (size > GH_MQTT_BODY_BYTES_MAX || needed > out->size_max ||
        (session->peer_bytes != 0 && size > session->peer_bytes)) /* [/ MQTT-3.1.2-24, -25] */
        return GH_SESSION_TOO_LARGE;
    if (needed > gh_session_room(out) || (publish->qos != 0 && full(session, size)))
        return GH_SESSION_FULL;
    return GH_SESSION_SENT;
}

static enum gh_session_sending send_publish(struct gh_session *session,
                                            struct gh_mqtt_publish *publish, uint64_t token,
                                            int64_t now_ns, struct gh_buffer *out)
{
    size_t size = gh_mqtt_publish_size(gh_session_version(session), publish), begin = out->size;
    enum gh_session_sending sending = admits(session, publish, size, out);

    if (sending != GH_SESSION_SENT)
        return sending;
    if (gh_buffer_reserve(out, size) ==
        NULL) { /* before it is in flight: `delivered` stays silent */
        gh_session_written(session, begin, out);
        return GH_SESSION_GONE;
    }
    if (publish->qos != 0) {
        if (gh_session_flow(session) == NULL)
            return GH_SESSION_FULL;
        if (publish->packet_id == 0)
            publish->packet_id = next_id(session);
        if (!add_publish(session, publish, size, token, now_ns))
            return GH_SESSION_FULL;
    }
    session->out_ns = now_ns;
    gh_mqtt_write_publish(gh_session_version(session), publish, out);
    gh_session_written(session, begin, out);
    return GH_SESSION_SENT;
}

/* To a peer of MQTT 5: with its alias and its own properties. */
static enum gh_session_sending send_publish_5(struct gh_session *session,
                                              const struct gh_session_message *message,
                                              struct gh_mqtt_publish *publish, uint64_t token,
                                              int64_t now_ns, struct gh_buffer *out)
{
    uint8_t space[256];
    bool alias_is_new, is_small = properties_bytes(message) <= sizeof space;
    struct gh_buffer block = gh_buffer_fixed(space, sizeof space);
    uint16_t alias = gh_session_alias_choose(session, message->topic, &alias_is_new);

    if (!is_small)
        gh_buffer_init(&block, properties_bytes(message));
    put_properties(message, alias, &block);
    publish->properties = gh_buffer_slice(&block);
    publish->topic_alias = alias;
    if (alias != 0 && !alias_is_new)
        publish->topic = (struct gh_slice){0};
    enum gh_session_sending sending = block.overflow
                                          ? GH_SESSION_FULL /* no memory */
                                          : send_publish(session, publish, token, now_ns, out);
    if (alias_is_new && sending != GH_SESSION_SENT)
        gh_session_alias_undo(session);
    gh_buffer_deinit(&block);
    return sending;
}

/* Whether the id is in flight as the oldest or the newest, where a host that repeats itself shows:
 * a walk through all of them for each message is a seventh of a busy receiver's time. */
static bool is_at_end(const struct gh_session *session, uint16_t packet_id)
{
    return session->flow->out_count > 0 &&
           (entry_at(session, 0)->packet_id == packet_id ||
            entry_at(session, session->flow->out_count - 1)->packet_id == packet_id);
}

enum gh_session_sending gh_session_publish(struct gh_session *session,
                                           const struct gh_session_message *message, uint64_t token,
                                           int64_t now_ns, struct gh_buffer *out)
{
    struct gh_mqtt_publish publish = {.topic = message->topic,
                                      .payload = message->payload,
                                      .qos = message->qos,
                                      .dup = message->dup && message->qos != 0, /* [MQTT-3.3.1-2] */
                                      .retain = message->retain,
                                      .packet_id = message->qos != 0 ? message->packet_id : 0};
    enum gh_session_sending sending;

    assert(message->qos <= 2);
    if (!gh_session_connected(session))
        return GH_SESSION_GONE; /* [/ MQTT-3.2.0-1] */
    assert(publish.packet_id == 0 || !is_at_end(session, publish.packet_id));
    if (message->topic.size > UINT16_MAX)
        return GH_SESSION_TOO_LARGE;
    if (gh_session_speaks_5(session))
        sending = send_publish_5(session, message, &publish, token, now_ns, out);
    else
        sending = send_publish(session, &publish, token, now_ns, out);
    if (sending == GH_SESSION_SENT && message->qos == 0 && !gh_session_ended(session))
        session->host->delivered(session->context, token, true);
    return sending;
}

static void write_pubrel(struct gh_session *session, uint16_t packet_id, uint8_t reason,
                         struct gh_buffer *out)
{
    size_t begin = out->size;
    gh_mqtt_write_ack(gh_session_version(session), GH_MQTT_PUBREL,
                      (struct gh_mqtt_ack){.packet_id = packet_id, .reason = reason}, out);
    gh_session_written(session, begin, out);
}

static void release(struct gh_session *session, struct gh_session_outbound *outbound,
                    struct gh_buffer *out)
{
    if (outbound->state == GH_SESSION_OUT_RECEIVED)
        session->flow->out_due--;
    outbound->state = GH_SESSION_OUT_RELEASED;
    outbound->sent_ns = session->in_ns;
    write_pubrel(session, outbound->packet_id, GH_MQTT_REASON_SUCCESS,
                 out); /* [MQTT-4.3.3-1 / MQTT-4.3.3-4] */
}

void gh_session_release(struct gh_session *session, uint64_t token, struct gh_buffer *out)
{
    struct gh_session_outbound *outbound = find_token(session, token);

    if (outbound != NULL && outbound->state == GH_SESSION_OUT_RECEIVED)
        release(session, outbound, out);
}

enum gh_session_sending gh_session_resume_release(struct gh_session *session, uint16_t packet_id,
                                                  uint64_t token, struct gh_buffer *out)
{
    /* Not against the Receive Maximum: the peer counts publishes of this connection (5.0 4.9). */
    struct gh_session_outbound added = {.token = token,
                                        .packet_id = packet_id,
                                        .sent_ns = session->in_ns,
                                        .state = GH_SESSION_OUT_RELEASED};

    if (!gh_session_connected(session))
        return GH_SESSION_GONE;
    assert(packet_id != 0 && find(session, packet_id) == NULL);
    if (session->flow->out_count >= session->limits->inflight_out_max ||
        GH_SESSION_ACK_BYTES + gh_session_headroom(session) > gh_session_room(out) ||
        !add(session, added))
        return GH_SESSION_FULL;
    write_pubrel(session, packet_id, GH_MQTT_REASON_SUCCESS, out); /* [MQTT-4.4.0-1] */
    return GH_SESSION_SENT;
}

bool gh_session_withdraw(struct gh_session *session, uint64_t token)
{
    struct gh_session_outbound *outbound = find_token(session, token);

    if (outbound == NULL || outbound->state > GH_SESSION_OUT_QOS2)
        return false;
    if (outbound->state == GH_SESSION_OUT_QOS1 && !gh_session_speaks_5(session)) {
        remove_entry(session, outbound);
    } else {
        outbound->withdrawn = true;
        forget_packet(session, outbound);
    }
    session->host->delivered(session->context, token, false);
    return true;
}

/* Answers of the peer. */

static void finish(struct gh_session *session, struct gh_session_outbound *outbound)
{
    uint64_t token = outbound->token;
    bool withdrawn = outbound->withdrawn;
    remove_entry(session, outbound);
    if (!withdrawn)
        session->host->delivered(session->context, token, true);
}

/* [/ MQTT-4.4.0-2]: a refusal is an answer like any other. */
void gh_session_handle_puback(struct gh_session *session, struct gh_mqtt_packet *packet,
                              struct gh_buffer *out)
{
    struct gh_session_outbound *outbound = find(session, packet->ack.packet_id);

    if (outbound == NULL)
        return; /* of a message withdrawn, or a second PUBACK after a repetition */
    if (outbound->state == GH_SESSION_OUT_QOS1)
        finish(session, outbound);
    else
        gh_session_break(session, "PUBACK for QoS 2 [MQTT-4.3.3-2 / MQTT-4.3.3-8]", out);
}

static bool lacks_qos2(struct gh_session *session, const struct gh_session_outbound *outbound,
                       struct gh_buffer *out)
{
    if (outbound != NULL || session->limits->qos_max == 2)
        return false;
    gh_session_break(session, "an acknowledgement of QoS 2 for no message", out);
    return true;
}

void gh_session_handle_pubrec(struct gh_session *session, struct gh_mqtt_packet *packet,
                              struct gh_buffer *out)
{
    uint16_t packet_id = packet->ack.packet_id;
    struct gh_session_outbound *outbound = find(session, packet_id);

    if (lacks_qos2(session, outbound, out))
        return;
    if (outbound == NULL) {
        if (packet->ack.reason < 0x80)
            write_pubrel(session, packet_id, GH_MQTT_REASON_PACKET_ID_NOT_FOUND, out);
    } else if (outbound->state == GH_SESSION_OUT_QOS1) {
        gh_session_break(session, "PUBREC for QoS 1 [MQTT-4.3.2-2 / MQTT-4.3.2-4]", out);
    } else if (outbound->state == GH_SESSION_OUT_RELEASED) {
        write_pubrel(session, packet_id, GH_MQTT_REASON_SUCCESS, out);
    } else if (outbound->state == GH_SESSION_OUT_RECEIVED) {
        return; /* the PUBREL that the host owes answers both */
    } else if (packet->ack.reason >= 0x80) {
        finish(session, outbound);
    } else {
        forget_packet(session, outbound); /* never again [/ MQTT-4.3.3-6] */
        outbound->state = GH_SESSION_OUT_RECEIVED;
        session->flow->out_due++;
        if (outbound->withdrawn)
            release(session, outbound, out);
        else
            session->host->received(session->context, outbound->token);
    }
}

void gh_session_handle_pubcomp(struct gh_session *session, struct gh_mqtt_packet *packet,
                               struct gh_buffer *out)
{
    struct gh_session_outbound *outbound = find(session, packet->ack.packet_id);

    if (lacks_qos2(session, outbound, out) || outbound == NULL)
        return; /* a second PUBCOMP after a repetition, or of a PUBREL for nothing */
    if (outbound->state == GH_SESSION_OUT_RELEASED)
        finish(session, outbound);
    else
        gh_session_break(session, "PUBCOMP before PUBREL [MQTT-4.3.3-2 / MQTT-4.3.3-11]", out);
}

void gh_session_outbound_drop(struct gh_session *session)
{
    while (session->flow->out_count != 0) {
        uint64_t token = entry_at(session, 0)->token;
        bool withdrawn = entry_at(session, 0)->withdrawn;
        remove_entry(session, entry_at(session, 0));
        if (!withdrawn)
            session->host->delivered(session->context, token, false);
    }
}

/* Repetition in 3.1.1. */

static int64_t repeat_due_ns(const struct gh_session *session,
                             const struct gh_session_outbound *outbound)
{
    if (outbound->packet == NULL && outbound->state != GH_SESSION_OUT_RELEASED)
        return INT64_MAX;
    return gh_session_after(outbound->sent_ns, session->limits->repeat_ns);
}

static void repeat(struct gh_session *session, struct gh_session_outbound *outbound,
                   struct gh_buffer *out)
{
    size_t begin = out->size;

    if (outbound->state == GH_SESSION_OUT_RELEASED) {
        write_pubrel(session, outbound->packet_id, GH_MQTT_REASON_SUCCESS, out);
        return;
    }
    outbound->packet[0] |= 0x08; /* DUP [MQTT-3.3.1-1] */
    gh_buffer_put(out, gh_slice(outbound->packet, outbound->size));
    gh_session_written(session, begin, out);
}

void gh_session_outbound_repeat(struct gh_session *session, int64_t now_ns, struct gh_buffer *out)
{
    if (!repeats(session))
        return;
    for (size_t i = 0; i < session->flow->out_count; i++) {
        struct gh_session_outbound *outbound = entry_at(session, i);
        if (repeat_due_ns(session, outbound) > now_ns)
            continue;
        outbound->sent_ns = now_ns; /* also when there is no room: the next turn is soon enough */
        if (GH_SESSION_ACK_BYTES + outbound->size + gh_session_headroom(session) >
            gh_session_room(out))
            continue;
        session->out_ns = now_ns;
        repeat(session, outbound, out);
    }
}

int64_t gh_session_outbound_deadline_ns(const struct gh_session *session)
{
    int64_t at_ns = INT64_MAX;
    if (!repeats(session))
        return at_ns;
    for (size_t i = 0; i < session->flow->out_count; i++) {
        int64_t due_ns = repeat_due_ns(session, entry_at(session, i));
        at_ns = due_ns < at_ns ? due_ns : at_ns;
    }
    return at_ns;
}
