/* Messages to the peer: QoS 0 goes into the output queue and is forgotten, QoS 1 is kept as the
 * bytes that were sent until its PUBACK comes, it is withdrawn, or the session ends. */
#include "session/session_internal.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

size_t gh_session_inflight_out(const struct gh_session *session)
{
    return session->out_count;
}

static size_t find(const struct gh_session *session, uint16_t packet_id)
{
    size_t i = 0;
    while (i < session->out_count && session->out[i].packet_id != packet_id)
        i++;
    return i;
}

static uint16_t next_id(struct gh_session *session)
{
    do {
        session->last_id++;
    } while (session->last_id == 0 || find(session, session->last_id) < session->out_count);
    return session->last_id;
}

static bool full(const struct gh_session *session, size_t size)
{
    const struct gh_session_limits *limits = session->limits;
    return session->out_count >= limits->inflight_out_max ||
           (session->out_count != 0 && limits->repeat_ns != 0 &&
            session->out_bytes + size > limits->inflight_out_bytes_max);
}

/* Keeps what a repetition needs, as it goes over the wire. False when there is no memory. */
static bool add(struct gh_session *session, const struct gh_mqtt_publish *publish, size_t size,
                uint64_t token, int64_t now_ns)
{
    struct gh_session_outbound added = {
        .token = token, .sent_ns = now_ns, .packet_id = publish->packet_id};
    struct gh_session_outbound *list = gh_session_list_grow(
        session->out, session->out_count, &session->out_capacity, sizeof *session->out);

    if (list == NULL)
        return false;
    session->out = list;
    if (session->limits->repeat_ns != 0) {
        added.packet = malloc(size);
        if (added.packet == NULL)
            return false;
        struct gh_buffer copy = gh_buffer_fixed(added.packet, size);
        gh_mqtt_write_publish(GH_MQTT_V311, publish, &copy);
        assert(copy.size == size && !copy.overflow);
        added.size = size;
    }
    session->out_bytes += added.size;
    list[session->out_count++] = added;
    return true;
}

static void remove_entry(struct gh_session *session, size_t i)
{
    free(session->out[i].packet);
    session->out_bytes -= session->out[i].size;
    session->out_count--;
    memmove(session->out + i, session->out + i + 1,
            (session->out_count - i) * sizeof *session->out);
    if (session->out_count == 0)
        gh_session_outbound_free(session);
}

enum gh_session_sending gh_session_publish(struct gh_session *session, struct gh_slice topic,
                                           struct gh_slice payload, uint8_t qos, uint64_t token,
                                           int64_t now_ns, struct gh_buffer *out)
{
    struct gh_mqtt_publish publish = {.topic = topic, .payload = payload, .qos = qos};
    size_t size = gh_mqtt_publish_size(GH_MQTT_V311, &publish);

    assert(qos <= 1);
    if (!gh_session_connected(session))
        return GH_SESSION_GONE;
    if (topic.size > UINT16_MAX || size > GH_MQTT_BODY_BYTES_MAX ||
        size + gh_session_headroom(session) > out->size_max)
        return GH_SESSION_TOO_LARGE;
    if (size + gh_session_headroom(session) > gh_session_room(out) ||
        (qos == 1 && full(session, size)))
        return GH_SESSION_FULL;
    if (gh_buffer_reserve(out, size) ==
        NULL) { /* before it is in flight: `delivered` stays silent */
        gh_session_check_written(session, out);
        return GH_SESSION_GONE;
    }
    if (qos == 1) {
        publish.packet_id = next_id(session);
        if (!add(session, &publish, size, token, now_ns))
            return GH_SESSION_FULL;
    }
    session->out_ns = now_ns;
    gh_mqtt_write_publish(GH_MQTT_V311, &publish, out);
    if (qos == 0)
        session->host->delivered(session->context, token, true);
    return GH_SESSION_SENT;
}

bool gh_session_withdraw(struct gh_session *session, uint64_t token)
{
    for (size_t i = 0; i < session->out_count; i++) {
        if (session->out[i].token != token)
            continue;
        remove_entry(session, i);
        session->host->delivered(session->context, token, false);
        return true;
    }
    return false;
}

void gh_session_outbound_acknowledged(struct gh_session *session, uint16_t packet_id)
{
    size_t i = find(session, packet_id);

    if (i == session->out_count)
        return; /* of a message withdrawn, or a second PUBACK after a repetition */
    uint64_t token = session->out[i].token;
    remove_entry(session, i);
    session->host->delivered(session->context, token, true);
}

void gh_session_outbound_drop(struct gh_session *session)
{
    while (session->out_count != 0)
        gh_session_withdraw(session, session->out[0].token);
}

void gh_session_outbound_free(struct gh_session *session)
{
    for (size_t i = 0; i < session->out_count; i++)
        free(session->out[i].packet);
    free(session->out);
    session->out = NULL;
    session->out_count = session->out_capacity = 0;
    session->out_bytes = 0;
}

static int64_t repeat_due_ns(const struct gh_session *session,
                             const struct gh_session_outbound *outbound)
{
    if (outbound->packet == NULL)
        return INT64_MAX;
    return gh_session_after(outbound->sent_ns, session->limits->repeat_ns);
}

void gh_session_outbound_repeat(struct gh_session *session, int64_t now_ns, struct gh_buffer *out)
{
    for (size_t i = 0; i < session->out_count; i++) {
        struct gh_session_outbound *outbound = &session->out[i];
        if (repeat_due_ns(session, outbound) > now_ns)
            continue;
        outbound->sent_ns = now_ns; /* also when there is no room: the next turn is soon enough */
        if (outbound->size + gh_session_headroom(session) > gh_session_room(out))
            continue;
        outbound->packet[0] |= 0x08; /* DUP [MQTT-3.3.1-1] */
        gh_buffer_put(out, gh_slice(outbound->packet, outbound->size));
        session->out_ns = now_ns;
    }
    gh_session_check_written(session, out);
}

int64_t gh_session_outbound_deadline_ns(const struct gh_session *session)
{
    int64_t at_ns = INT64_MAX;
    for (size_t i = 0; i < session->out_count; i++) {
        int64_t due_ns = repeat_due_ns(session, &session->out[i]);
        at_ns = due_ns < at_ns ? due_ns : at_ns;
    }
    return at_ns;
}
