/* What keeps the peer's next packet waiting: an answer that the host owes, too much in flight, the
 * rate, or no room for its answer in the output queue. */
#include "base/time.h"
#include "session/session_internal.h"

size_t gh_session_room(const struct gh_buffer *out)
{
    return out->overflow ? 0 : out->size_max - out->size;
}

/* What the packets already taken will need for their answers, and a DISCONNECT. An answer that lets
 * no packet pass before it has its room from then on: gh_session_headroom keeps messages out of it.
 */
static size_t owed(const struct gh_session *session)
{
    size_t acks = (size_t)session->flow->in_due + session->flow->out_due;
    return acks * GH_SESSION_ACK_BYTES + GH_SESSION_FAREWELL_BYTES;
}

size_t gh_session_headroom(const struct gh_session *session)
{
    size_t acks = (size_t)session->limits->inflight_in_max + session->limits->inflight_out_max;
    return acks * GH_SESSION_ACK_BYTES + GH_SESSION_ANSWER_BYTES + GH_SESSION_FAREWELL_BYTES;
}

/* Throttle: a token bucket kept as one time, at which it is full again (generic cell rate
 * algorithm, ITU-T I.371 annex A). A message fits when the bucket is not more than a burst away
 * from full. */

static int64_t rate_interval_ns(const struct gh_session_limits *limits)
{
    return GH_SECOND_NS / limits->messages_per_second;
}

/* How far from full the bucket may be for one more. */
static int64_t rate_burst_ns(const struct gh_session_limits *limits)
{
    uint32_t burst =
        limits->messages_burst != 0 ? limits->messages_burst : limits->messages_per_second;
    return limits->messages_per_second == 0 ? 0 : rate_interval_ns(limits) * (burst - 1);
}

int64_t gh_session_rate_next_ns(const struct gh_session *session)
{
    return session->rate_ns - rate_burst_ns(session->limits);
}

void gh_session_slow(struct gh_session *session, int64_t until_ns)
{
    int64_t full_ns = until_ns + rate_burst_ns(session->limits);
    if (full_ns > session->rate_ns)
        session->rate_ns = full_ns;
}

void gh_session_rate_take(struct gh_session *session, int64_t now_ns)
{
    int64_t from_ns = session->rate_ns > now_ns ? session->rate_ns : now_ns;
    if (session->limits->messages_per_second != 0)
        session->rate_ns = from_ns + rate_interval_ns(session->limits);
}

/* Whether the host would owe one answer more for this packet. */
static bool adds_answer(const struct gh_session *session, const struct gh_mqtt_packet *packet)
{
    const struct gh_session_inbound *known;

    if (packet->type == GH_MQTT_PUBREL) {
        known = gh_session_inbound_find(session, packet->ack.packet_id);
        return known != NULL && known->state == GH_SESSION_IN_RECEIVED;
    }
    if (packet->type != GH_MQTT_PUBLISH || packet->publish.qos == 0)
        return false;
    known = gh_session_inbound_find(session, packet->publish.packet_id);
    return known == NULL || (packet->publish.qos == 1 && !packet->publish.dup);
}

enum gh_session_hold gh_session_obstacle(const struct gh_session *session,
                                         const struct gh_mqtt_packet *packet, int64_t now_ns,
                                         const struct gh_buffer *out)
{
    const struct gh_session_rule *rule = &gh_session_rules[packet->type];
    const struct gh_session_limits *limits = session->limits;

    /* Over its Receive Maximum a peer of MQTT 5 is not held but ended, when the packet is handled.
     */
    if (gh_session_room(out) < owed(session) + rule->room)
        return GH_SESSION_HOLD_ROOM;
    if (rule->counts && gh_session_rate_next_ns(session) > now_ns)
        return GH_SESSION_HOLD_RATE;
    bool ends =
        packet->type == GH_MQTT_PUBLISH && session->flow->in_counted >= limits->inflight_in_max;
    if (session->flow->in_due >= limits->inflight_in_max && adds_answer(session, packet) && !ends)
        return GH_SESSION_HOLD_INFLIGHT;
    return GH_SESSION_HOLD_NONE;
}

void gh_session_hold_input(struct gh_session *session, enum gh_session_hold hold, int64_t now_ns)
{
    if (session->hold == GH_SESSION_HOLD_NONE && session->phase == GH_SESSION_UP)
        session->in_ns = now_ns;
    session->hold = (uint8_t)hold;
}

bool gh_session_resumable(const struct gh_session *session, const struct gh_buffer *out)
{
    switch ((enum gh_session_hold)session->hold) {
    case GH_SESSION_HOLD_DUE:
        return session->phase == GH_SESSION_UP && session->due == GH_SESSION_DUE_NOTHING;
    case GH_SESSION_HOLD_INFLIGHT:
        return session->phase == GH_SESSION_UP &&
               session->flow->in_due < session->limits->inflight_in_max;
    case GH_SESSION_HOLD_ROOM:
        return !gh_session_ended(session) &&
               gh_session_room(out) >= owed(session) + GH_SESSION_ANSWER_BYTES;
    case GH_SESSION_HOLD_RATE_OVER:
        return session->phase == GH_SESSION_UP;
    case GH_SESSION_HOLD_NONE:
    case GH_SESSION_HOLD_RATE:
        break;
    }
    return false;
}
