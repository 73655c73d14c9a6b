#include "base/slots.h"
#include "base/time.h"
#include "session/session_internal.h"
#include <stdlib.h>

const struct gh_session_limits gh_session_limits_default = {
    .connect_bytes_max = 16 << 10,
    .packet_bytes_max = 272 << 10, /* Google's 256 KiB payload and its topic */
    .inflight_in_max = 64,
    .inflight_out_max = 16,
    .inflight_out_bytes_max = 1 << 20,
    .topic_alias_in_max = 16,
    .topic_alias_out_max = 16,
    .qos_max = 2,
    .messages_per_second = 100,
    .messages_burst = 100,
    .connect_ns = 10 * GH_SECOND_NS,
    .idle_ns = 20 * 60 * GH_SECOND_NS,
    .repeat_ns = 20 * GH_SECOND_NS,
    .stall_ns = 60 * GH_SECOND_NS,
};

const struct gh_session_flow gh_session_no_flow;

/* The reader's view is never written: gh_session_flow stands before every write. */
static struct gh_session_flow *no_flow(void)
{
    return (struct gh_session_flow *)(uintptr_t)&gh_session_no_flow;
}

size_t gh_session_size(void)
{
    static_assert(_Alignof(struct gh_session) <= _Alignof(void *), "the header says so");
    return sizeof(struct gh_session);
}

struct gh_session *gh_session_init(void *room, const struct gh_session_limits *limits,
                                   const struct gh_session_host *host, void *context)
{
    struct gh_session *session = room;

    assert(limits->inflight_in_max != 0 && limits->inflight_out_max < UINT16_MAX);
    *session = (struct gh_session){.limits = limits,
                                   .host = host,
                                   .context = context,
                                   .flow = no_flow(),
                                   .version = GH_MQTT_V311,
                                   .receive_max = UINT16_MAX};
    return session;
}

struct gh_session *gh_session_open(const struct gh_session_limits *limits,
                                   const struct gh_session_host *host, void *context)
{
    void *room = malloc(sizeof(struct gh_session));
    return room == NULL ? NULL : gh_session_init(room, limits, host, context);
}

void gh_session_deinit(struct gh_session *session)
{
    gh_session_outbound_free(session);
    gh_session_inbound_free(session);
    gh_session_aliases_free(session);
    free(session->flow->extra);
    if (session->flow != no_flow())
        gh_slot_give(session->flow, sizeof *session->flow);
    session->flow = no_flow();
}

void gh_session_close(struct gh_session *session)
{
    if (session == NULL)
        return;
    gh_session_deinit(session);
    free(session);
}

bool gh_session_ended(const struct gh_session *session)
{
    return session->phase == GH_SESSION_ENDED;
}

bool gh_session_connected(const struct gh_session *session)
{
    return session->phase == GH_SESSION_UP;
}

enum gh_mqtt_version gh_session_version(const struct gh_session *session)
{
    return (enum gh_mqtt_version)session->version;
}

bool gh_session_speaks_5(const struct gh_session *session)
{
    return session->version == GH_MQTT_V5;
}

bool gh_session_throttled(const struct gh_session *session)
{
    return session->hold == GH_SESSION_HOLD_RATE;
}

void gh_session_trace(struct gh_session *session, bool on)
{
    session->traced = on;
}

struct gh_session_flow *gh_session_flow(struct gh_session *session)
{
    if (session->flow != no_flow())
        return session->flow;
    struct gh_session_flow *flow = gh_slot_take(sizeof *flow);
    if (flow != NULL)
        session->flow = flow;
    return flow;
}

struct gh_session_extra *gh_session_extra(struct gh_session *session)
{
    struct gh_session_flow *flow = gh_session_flow(session);
    if (flow != NULL && flow->extra == NULL)
        flow->extra = calloc(1, sizeof *flow->extra);
    return flow == NULL ? NULL : flow->extra;
}

void *gh_session_list_grow(void *list, uint16_t count, uint16_t *capacity, size_t entry_size)
{
    unsigned more = *capacity == 0 ? 4 : 2u * *capacity;

    if (count < *capacity)
        return list;
    if (count == UINT16_MAX)
        return NULL;
    more = more > UINT16_MAX ? UINT16_MAX : more;
    void *larger = realloc(list, more * entry_size);
    if (larger != NULL)
        *capacity = (uint16_t)more;
    return larger;
}

int64_t gh_session_after(int64_t from_ns, int64_t limit_ns)
{
    return limit_ns == 0 || from_ns > INT64_MAX - limit_ns ? INT64_MAX : from_ns + limit_ns;
}

/* Input. */

/* What the first byte already decides, before a body of 256 MB is waited for. */
static bool first_byte_ends(struct gh_session *session, uint8_t first, struct gh_buffer *out)
{
    unsigned type = first >> 4, qos = first >> 1 & 3u;

    if (session->phase == GH_SESSION_CONNECTING && type != GH_MQTT_CONNECT)
        gh_session_break(session, "the first packet is not CONNECT [MQTT-3.1.0-1]", out);
    else if (session->phase == GH_SESSION_UP && type == GH_MQTT_CONNECT)
        gh_session_break(session, "a second CONNECT [MQTT-3.1.0-2]", out);
    else if (type == GH_MQTT_PUBLISH && qos > session->limits->qos_max && qos <= 2)
        gh_session_end(session, GH_SESSION_END_QOS2,
                       "PUBLISH with a QoS that is not offered [/ MQTT-3.2.2-11]", out);
    return gh_session_ended(session);
}

static void trace(struct gh_session *session, struct gh_slice packet)
{
    if (session->traced)
        session->host->traced(session->context, true, packet);
}

static void refuse_packet(struct gh_session *session, const struct gh_mqtt_frame *frame,
                          struct gh_slice bytes, enum gh_mqtt_fault fault, struct gh_buffer *out)
{
    trace(session, gh_slice_sub(bytes, 0, frame->size));
    if (gh_session_ended(session))
        return;
    if (session->phase == GH_SESSION_CONNECTING)
        gh_session_refuse_fault(session, frame, fault, out);
    else
        gh_session_end_for_fault(session, fault, out);
}

/* Reads the packet at the start of `bytes`. False when there is none to handle: not whole yet, or
 * the session has ended over it. */
static bool next_packet(struct gh_session *session, struct gh_slice bytes, struct gh_buffer *out,
                        size_t *size, struct gh_mqtt_packet *packet)
{
    size_t size_max = session->phase == GH_SESSION_CONNECTING ? session->limits->connect_bytes_max
                                                              : session->limits->packet_bytes_max;
    struct gh_mqtt_frame frame;

    if (bytes.size == 0 || first_byte_ends(session, bytes.data[0], out))
        return false;
    switch (gh_mqtt_frame_read(bytes, size_max, &frame)) {
    case GH_MQTT_FRAME_MORE:
        return false;
    case GH_MQTT_FRAME_MALFORMED:
        gh_session_end_for(session, GH_SESSION_END_PROTOCOL, GH_MQTT_REASON_MALFORMED_PACKET,
                           "a malformed fixed header [MQTT-2.2.2-2 / MQTT-2.1.3-1]", out);
        return false;
    case GH_MQTT_FRAME_TOO_LARGE:
        gh_session_end(session, GH_SESSION_END_TOO_LARGE,
                       "a packet over the limit [/ MQTT-3.2.2-15]", out);
        return false;
    case GH_MQTT_FRAME_OK:
        break;
    }
    *size = frame.size;
    enum gh_mqtt_fault fault =
        gh_mqtt_packet_read(&frame, gh_session_version(session), GH_MQTT_SERVER, packet);
    if (fault != GH_MQTT_FAULT_NONE)
        refuse_packet(session, &frame, bytes, fault, out);
    else if ((frame.type == GH_MQTT_SUBSCRIBE || frame.type == GH_MQTT_UNSUBSCRIBE) &&
             packet->filters.count > GH_SESSION_FILTERS_MAX)
        gh_session_end(session, GH_SESSION_END_TOO_LARGE, "more than 1,024 filters in one packet",
                       out);
    return !gh_session_ended(session);
}

static void start_clock(struct gh_session *session, int64_t now_ns)
{
    if (session->clock_runs)
        return;
    session->clock_runs = true;
    session->in_ns = session->out_ns = now_ns;
}

size_t gh_session_input(struct gh_session *session, struct gh_slice bytes, int64_t now_ns,
                        struct gh_buffer *out)
{
    struct gh_mqtt_packet packet;
    size_t consumed = 0, size;

    start_clock(session, now_ns);
    while (!gh_session_ended(session) && consumed < bytes.size) {
        if (session->due != GH_SESSION_DUE_NOTHING) {
            gh_session_hold_input(session, GH_SESSION_HOLD_DUE, now_ns);
            break;
        }
        struct gh_slice rest = gh_slice_sub(bytes, consumed, bytes.size);
        if (!next_packet(session, rest, out, &size, &packet)) {
            session->hold = GH_SESSION_HOLD_NONE;
            break;
        }
        enum gh_session_hold hold = gh_session_obstacle(session, &packet, now_ns, out);
        if (hold != GH_SESSION_HOLD_NONE) {
            gh_session_hold_input(session, hold, now_ns);
            break;
        }
        session->hold = GH_SESSION_HOLD_NONE;
        session->in_ns = now_ns;
        if (gh_session_rules[packet.type].counts)
            gh_session_rate_take(session, now_ns);
        consumed += size;
        trace(session, gh_slice_sub(rest, 0, size));
        if (!gh_session_ended(session))
            gh_session_rules[packet.type].handle(session, &packet, out);
        start_clock(session, now_ns); /* a verdict may have come from inside */
    }
    return consumed;
}

/* Timeouts. Nothing of the peer's is overdue while the session itself holds the input back. */

static int64_t keep_alive_ends_ns(const struct gh_session *session)
{
    if (session->hold != GH_SESSION_HOLD_NONE)
        return INT64_MAX;
    return gh_session_after(session->in_ns,
                            session->keep_alive_s *
                                INT64_C(1500000000)); /* [MQTT-3.1.2-24 / MQTT-3.1.2-22] */
}

static int64_t idle_ends_ns(const struct gh_session *session)
{
    int64_t last_ns = session->in_ns > session->out_ns ? session->in_ns : session->out_ns;
    return session->hold != GH_SESSION_HOLD_NONE
               ? INT64_MAX
               : gh_session_after(last_ns, session->limits->idle_ns);
}

static int64_t stall_ends_ns(const struct gh_session *session)
{
    return session->hold != GH_SESSION_HOLD_ROOM
               ? INT64_MAX
               : gh_session_after(session->in_ns, session->limits->stall_ns);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t gh_session_deadline_ns(const struct gh_session *session)
{
    if (gh_session_ended(session))
        return INT64_MAX;
    if (!session->clock_runs)
        return 0;
    int64_t at = stall_ends_ns(session);
    if (session->phase != GH_SESSION_UP)
        return earlier(at, gh_session_after(session->in_ns, session->limits->connect_ns));
    at = earlier(at, earlier(keep_alive_ends_ns(session), idle_ends_ns(session)));
    if (session->hold == GH_SESSION_HOLD_RATE)
        at = earlier(at, gh_session_rate_next_ns(session));
    return earlier(at, gh_session_outbound_deadline_ns(session));
}

void gh_session_tick(struct gh_session *session, int64_t now_ns, struct gh_buffer *out)
{
    start_clock(session, now_ns);
    if (gh_session_ended(session))
        return;
    if (session->phase != GH_SESSION_UP &&
        gh_session_after(session->in_ns, session->limits->connect_ns) <= now_ns)
        gh_session_end(session, GH_SESSION_END_CONNECT_TIMEOUT,
                       session->phase == GH_SESSION_CONNECTING ? "no CONNECT in time"
                                                               : "no verdict in time",
                       out);
    else if (stall_ends_ns(session) <= now_ns)
        gh_session_end(session, GH_SESSION_END_NETWORK, "the peer does not read", NULL);
    if (session->phase != GH_SESSION_UP)
        return;
    if (keep_alive_ends_ns(session) <= now_ns)
        gh_session_end(session, GH_SESSION_END_KEEPALIVE,
                       "nothing for 1.5 times the keep-alive [MQTT-3.1.2-24 / MQTT-3.1.2-22]", out);
    else if (idle_ends_ns(session) <= now_ns)
        gh_session_end(session, GH_SESSION_END_IDLE, "no packet within the idle limit", out);
    else
        gh_session_outbound_repeat(session, now_ns, out);
    if (session->hold == GH_SESSION_HOLD_RATE && gh_session_rate_next_ns(session) <= now_ns)
        session->hold = GH_SESSION_HOLD_RATE_OVER;
}
