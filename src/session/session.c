#include "base/time.h"
#include "session/session_internal.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    PUBACK_BYTES = 4,
    ANSWER_BYTES_MAX = 4 + GH_SESSION_FILTERS_MAX + 1, /* a SUBACK */
};

const struct gh_session_limits gh_session_limits_default = {
    .connect_bytes_max = 16 << 10,
    .packet_bytes_max = 272 << 10, /* Google's 256 KiB payload and its topic */
    .inflight_in_max = 64,
    .inflight_out_max = 16,
    .inflight_out_bytes_max = 1 << 20,
    .messages_per_second = 100,
    .messages_burst = 100,
    .connect_ns = 10 * GH_SECOND_NS,
    .idle_ns = 20 * 60 * GH_SECOND_NS,
    .repeat_ns = 20 * GH_SECOND_NS,
    .stall_ns = 60 * GH_SECOND_NS,
};

static const char *const end_names[] = {
    [GH_SESSION_END_CLIENT_CLOSED] = "CLIENT_CLOSED",
    [GH_SESSION_END_NETWORK] = "NETWORK",
    [GH_SESSION_END_CONNECT_TIMEOUT] = "CONNECT_TIMEOUT",
    [GH_SESSION_END_KEEPALIVE] = "KEEPALIVE",
    [GH_SESSION_END_IDLE] = "IDLE",
    [GH_SESSION_END_PROTOCOL] = "PROTOCOL",
    [GH_SESSION_END_TOO_LARGE] = "TOO_LARGE",
    [GH_SESSION_END_QOS2] = "QOS2",
    [GH_SESSION_END_REFUSED] = "REFUSED",
    [GH_SESSION_END_TAKEN_OVER] = "TAKEN_OVER",
    [GH_SESSION_END_TOKEN_EXPIRED] = "TOKEN_EXPIRED",
    [GH_SESSION_END_BLOCKED] = "BLOCKED",
    [GH_SESSION_END_DELETED] = "DELETED",
    [GH_SESSION_END_CREDENTIAL_REMOVED] = "CREDENTIAL_REMOVED",
    [GH_SESSION_END_REGISTRY_DISABLED] = "REGISTRY_DISABLED",
    [GH_SESSION_END_TOPIC_FORBIDDEN] = "TOPIC_FORBIDDEN",
    [GH_SESSION_END_NO_TELEMETRY_TOPIC] = "NO_TELEMETRY_TOPIC",
    [GH_SESSION_END_RATE] = "RATE",
    [GH_SESSION_END_OVERLOAD] = "OVERLOAD",
    [GH_SESSION_END_SHUTDOWN] = "SHUTDOWN",
};
static_assert(GH_COUNT(end_names) == GH_SESSION_END_COUNT, "every end has a name");

const char *gh_session_end_name(enum gh_session_end why)
{
    assert((size_t)why < GH_COUNT(end_names));
    return end_names[why];
}

struct gh_session *gh_session_open(const struct gh_session_limits *limits,
                                   const struct gh_session_host *host, void *context)
{
    struct gh_session *session = calloc(1, sizeof *session);

    assert(limits->inflight_in_max != 0 && limits->inflight_out_max < UINT16_MAX);
    if (session == NULL)
        return NULL;
    session->limits = limits;
    session->host = host;
    session->context = context;
    return session;
}

void gh_session_close(struct gh_session *session)
{
    if (session == NULL)
        return;
    gh_session_outbound_free(session);
    free(session->in);
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

void gh_session_end(struct gh_session *session, enum gh_session_end why, const char *detail)
{
    if (gh_session_ended(session))
        return;
    session->phase = GH_SESSION_ENDED; /* first: callbacks find a session that does nothing */
    free(session->in);
    session->in = NULL;
    session->in_count = session->in_capacity = 0;
    gh_session_outbound_drop(session);
    session->host->end(session->context, why, detail);
}

void *gh_session_list_grow(void *list, uint16_t count, uint16_t *capacity, size_t entry_size)
{
    unsigned more = *capacity == 0 ? 4 : 2u * *capacity;

    if (count < *capacity)
        return list;
    more = more > UINT16_MAX ? UINT16_MAX : more;
    void *larger = realloc(list, more * entry_size);
    if (larger != NULL)
        *capacity = (uint16_t)more;
    return larger;
}

size_t gh_session_room(const struct gh_buffer *out)
{
    return out->overflow ? 0 : out->size_max - out->size;
}

void gh_session_check_written(struct gh_session *session, const struct gh_buffer *out)
{
    if (out->overflow)
        gh_session_end(session, GH_SESSION_END_OVERLOAD, "no memory for the output queue");
}

int64_t gh_session_after(int64_t from_ns, int64_t limit_ns)
{
    return limit_ns == 0 || from_ns > INT64_MAX - limit_ns ? INT64_MAX : from_ns + limit_ns;
}

/* Inbound QoS 1. */

static size_t find_in(const struct gh_session *session, uint16_t packet_id)
{
    size_t i = 0;
    while (i < session->in_count && session->in[i] != packet_id)
        i++;
    return i;
}

static bool add_in(struct gh_session *session, uint16_t packet_id)
{
    uint16_t *in = gh_session_list_grow(session->in, session->in_count, &session->in_capacity,
                                        sizeof *session->in);
    if (in == NULL)
        return false;
    session->in = in;
    in[session->in_count++] = packet_id;
    return true;
}

static void remove_in(struct gh_session *session, size_t i)
{
    session->in_count--;
    memmove(session->in + i, session->in + i + 1, (session->in_count - i) * sizeof *session->in);
    if (session->in_count == 0) {
        free(session->in);
        session->in = NULL;
        session->in_capacity = 0;
    }
}

/* What the publishes already taken will need for their PUBACKs. */
static size_t owed(const struct gh_session *session)
{
    return (size_t)session->in_count * PUBACK_BYTES;
}

/* Throttle: a token bucket kept as one time, at which it is full again (generic cell rate
 * algorithm, ITU-T I.371 annex A). A message fits when the bucket is not more than a burst away
 * from full. */

static int64_t rate_interval_ns(const struct gh_session_limits *limits)
{
    return GH_SECOND_NS / limits->messages_per_second;
}

static int64_t rate_next_ns(const struct gh_session *session)
{
    const struct gh_session_limits *limits = session->limits;
    uint32_t burst =
        limits->messages_burst != 0 ? limits->messages_burst : limits->messages_per_second;
    return session->rate_ns - rate_interval_ns(limits) * (burst - 1);
}

static void rate_take(struct gh_session *session, int64_t now_ns)
{
    int64_t from_ns = session->rate_ns > now_ns ? session->rate_ns : now_ns;
    if (session->limits->messages_per_second != 0)
        session->rate_ns = from_ns + rate_interval_ns(session->limits);
}

/* How each type is treated, and by what. Room: bytes of the answer. */
struct rule {
    void (*handle)(struct gh_session *session, const struct gh_mqtt_packet *packet, int64_t now_ns,
                   struct gh_buffer *out);
    uint8_t room;
    bool counts; /* against the rate */
};
static const struct rule rules[16];

static enum gh_session_hold obstacle(const struct gh_session *session,
                                     const struct gh_mqtt_packet *packet, int64_t now_ns,
                                     const struct gh_buffer *out)
{
    const struct rule *rule = &rules[packet->type];

    if (gh_session_room(out) < owed(session) + rule->room)
        return GH_SESSION_HOLD_ROOM;
    if (rule->counts && session->limits->messages_per_second != 0 && rate_next_ns(session) > now_ns)
        return GH_SESSION_HOLD_RATE;
    if (packet->type == GH_MQTT_PUBLISH && packet->publish.qos == 1 &&
        session->in_count >= session->limits->inflight_in_max &&
        !(packet->publish.dup && find_in(session, packet->publish.packet_id) < session->in_count))
        return GH_SESSION_HOLD_INFLIGHT;
    return GH_SESSION_HOLD_NONE;
}

static void handle_connect(struct gh_session *session, const struct gh_mqtt_packet *packet,
                           int64_t now_ns, struct gh_buffer *out)
{
    (void)now_ns, (void)out;
    if (session->phase != GH_SESSION_CONNECTING) {
        gh_session_end(session, GH_SESSION_END_PROTOCOL, "a second CONNECT [MQTT-3.1.0-2]");
        return;
    }
    session->phase = GH_SESSION_AUTHENTICATING;
    session->keep_alive_s = packet->connect.keep_alive_s;
    session->host->authenticate(session->context, &packet->connect);
}

static void handle_publish(struct gh_session *session, const struct gh_mqtt_packet *packet,
                           int64_t now_ns, struct gh_buffer *out)
{
    const struct gh_mqtt_publish *publish = &packet->publish;

    (void)now_ns, (void)out;
    if (publish->qos == 1) {
        /* A repeat of what still waits for its PUBACK; that one will answer both. The same id
         * without DUP is another message of a careless client: delivered, and acknowledged a second
         * time. */
        if (publish->dup && find_in(session, publish->packet_id) < session->in_count)
            return;
        if (!add_in(session, publish->packet_id)) {
            gh_session_end(session, GH_SESSION_END_OVERLOAD, "no memory for a message in flight");
            return;
        }
    }
    session->host->publish(session->context, publish);
}

static void handle_puback(struct gh_session *session, const struct gh_mqtt_packet *packet,
                          int64_t now_ns, struct gh_buffer *out)
{
    (void)now_ns, (void)out;
    gh_session_outbound_acknowledged(session, packet->ack.packet_id);
}

static void handle_qos2(struct gh_session *session, const struct gh_mqtt_packet *packet,
                        int64_t now_ns, struct gh_buffer *out)
{
    (void)packet, (void)now_ns, (void)out;
    gh_session_end(session, GH_SESSION_END_PROTOCOL, "an acknowledgement of QoS 2 for no message");
}

static void handle_subscribe(struct gh_session *session, const struct gh_mqtt_packet *packet,
                             int64_t now_ns, struct gh_buffer *out)
{
    struct gh_mqtt_filters at = packet->filters;
    uint8_t codes[GH_SESSION_FILTERS_MAX];
    struct gh_mqtt_filter filter;
    size_t count = 0;

    (void)now_ns;
    while (!gh_session_ended(session) && gh_mqtt_filter_next(&at, &filter)) {
        uint8_t granted = session->host->subscribe(session->context, filter.filter, filter.qos);
        assert(granted <= 1 || granted == GH_MQTT_SUBACK_REFUSED);
        codes[count++] =
            granted == GH_MQTT_SUBACK_REFUSED || granted < filter.qos ? granted : filter.qos;
    }
    if (gh_session_ended(session))
        return;
    gh_mqtt_write_suback(
        GH_MQTT_V311, GH_MQTT_SUBACK,
        (struct gh_mqtt_suback){.packet_id = at.packet_id, .codes = gh_slice(codes, count)}, out);
    gh_session_check_written(session, out);
    at = packet->filters;
    for (size_t i = 0; !gh_session_ended(session) && gh_mqtt_filter_next(&at, &filter); i++)
        session->host->subscribed(session->context, filter.filter, codes[i]);
}

static void handle_unsubscribe(struct gh_session *session, const struct gh_mqtt_packet *packet,
                               int64_t now_ns, struct gh_buffer *out)
{
    struct gh_mqtt_filters at = packet->filters;
    struct gh_mqtt_filter filter;

    (void)now_ns;
    while (!gh_session_ended(session) && gh_mqtt_filter_next(&at, &filter))
        session->host->unsubscribe(session->context, filter.filter);
    if (gh_session_ended(session))
        return;
    gh_mqtt_write_suback(GH_MQTT_V311, GH_MQTT_UNSUBACK,
                         (struct gh_mqtt_suback){.packet_id = at.packet_id}, out);
    gh_session_check_written(session, out);
}

static void handle_pingreq(struct gh_session *session, const struct gh_mqtt_packet *packet,
                           int64_t now_ns, struct gh_buffer *out)
{
    (void)packet, (void)now_ns;
    session->host->heartbeat(session->context);
    if (gh_session_ended(session))
        return;
    gh_mqtt_write_empty(GH_MQTT_PINGRESP, out);
    gh_session_check_written(session, out);
}

static void handle_disconnect(struct gh_session *session, const struct gh_mqtt_packet *packet,
                              int64_t now_ns, struct gh_buffer *out)
{
    (void)packet, (void)now_ns, (void)out;
    gh_session_end(session, GH_SESSION_END_CLIENT_CLOSED, "DISCONNECT");
}

static const struct rule rules[16] = {
    [GH_MQTT_CONNECT] = {handle_connect, ANSWER_BYTES_MAX, false},
    [GH_MQTT_PUBLISH] = {handle_publish, PUBACK_BYTES, true},
    [GH_MQTT_PUBACK] = {handle_puback, 0, false},
    [GH_MQTT_PUBREC] = {handle_qos2, 0, false},
    [GH_MQTT_PUBREL] = {handle_qos2, 0, false},
    [GH_MQTT_PUBCOMP] = {handle_qos2, 0, false},
    [GH_MQTT_SUBSCRIBE] = {handle_subscribe, ANSWER_BYTES_MAX, true},
    [GH_MQTT_UNSUBSCRIBE] = {handle_unsubscribe, ANSWER_BYTES_MAX, true},
    [GH_MQTT_PINGREQ] = {handle_pingreq, ANSWER_BYTES_MAX, true},
    [GH_MQTT_DISCONNECT] = {handle_disconnect, 0, false},
};

size_t gh_session_headroom(const struct gh_session *session)
{
    return (size_t)session->limits->inflight_in_max * PUBACK_BYTES + ANSWER_BYTES_MAX;
}

static void refuse(struct gh_session *session, uint8_t code, const char *detail,
                   struct gh_buffer *out)
{
    gh_mqtt_write_connack(GH_MQTT_V311, (struct gh_mqtt_connack){.code = code}, out);
    gh_session_end(session, GH_SESSION_END_REFUSED, detail);
}

static void end_for_fault(struct gh_session *session, const struct gh_mqtt_packet *packet,
                          enum gh_mqtt_fault fault, struct gh_buffer *out)
{
    const char *detail = gh_mqtt_fault_text(fault);

    if (session->phase == GH_SESSION_CONNECTING && fault == GH_MQTT_FAULT_PROTOCOL)
        refuse(session, GH_MQTT_REFUSED_LEVEL, detail, out);
    else if (session->phase == GH_SESSION_CONNECTING && fault == GH_MQTT_FAULT_CLIENT_ID)
        refuse(session, GH_MQTT_REFUSED_CLIENT_ID, detail, out);
    else if (packet->type == GH_MQTT_CONNECT && session->phase != GH_SESSION_CONNECTING)
        gh_session_end(session, GH_SESSION_END_PROTOCOL, "a second CONNECT [MQTT-3.1.0-2]");
    else
        gh_session_end(session, GH_SESSION_END_PROTOCOL, detail);
}

/* What the first byte already decides, before a body of 256 MB is waited for. */
static bool first_byte_ends(struct gh_session *session, uint8_t first)
{
    unsigned type = first >> 4;

    if (session->phase == GH_SESSION_CONNECTING && type != GH_MQTT_CONNECT)
        gh_session_end(session, GH_SESSION_END_PROTOCOL,
                       "the first packet is not CONNECT [MQTT-3.1.0-1]");
    else if (session->phase == GH_SESSION_UP && type == GH_MQTT_CONNECT)
        gh_session_end(session, GH_SESSION_END_PROTOCOL, "a second CONNECT [MQTT-3.1.0-2]");
    else if (type == GH_MQTT_PUBLISH && (first & 0x06u) == 0x04u)
        gh_session_end(session, GH_SESSION_END_QOS2, "PUBLISH with QoS 2");
    return gh_session_ended(session);
}

/* Reads the packet at the start of `bytes`. False when there is none to handle: not whole yet, or
 * the session has ended over it. */
static bool next_packet(struct gh_session *session, struct gh_slice bytes, struct gh_buffer *out,
                        size_t *size, struct gh_mqtt_packet *packet)
{
    size_t size_max = session->phase == GH_SESSION_CONNECTING ? session->limits->connect_bytes_max
                                                              : session->limits->packet_bytes_max;
    struct gh_mqtt_frame frame;

    if (bytes.size == 0 || first_byte_ends(session, bytes.data[0]))
        return false;
    switch (gh_mqtt_frame_read(bytes, size_max, &frame)) {
    case GH_MQTT_FRAME_MORE:
        return false;
    case GH_MQTT_FRAME_MALFORMED:
        gh_session_end(session, GH_SESSION_END_PROTOCOL, "a malformed fixed header (2.2)");
        return false;
    case GH_MQTT_FRAME_TOO_LARGE:
        gh_session_end(session, GH_SESSION_END_TOO_LARGE, "a packet over the limit");
        return false;
    case GH_MQTT_FRAME_OK:
        break;
    }
    *size = frame.size;
    enum gh_mqtt_fault fault = gh_mqtt_packet_read(&frame, GH_MQTT_V311, GH_MQTT_SERVER, packet);
    if (fault == GH_MQTT_FAULT_NONE && frame.type == GH_MQTT_CONNECT &&
        packet->connect.version != GH_MQTT_V311)
        fault = GH_MQTT_FAULT_PROTOCOL; /* the codec knows MQTT 5, this session does not */
    if (fault != GH_MQTT_FAULT_NONE)
        end_for_fault(session, packet, fault, out);
    else if ((frame.type == GH_MQTT_SUBSCRIBE || frame.type == GH_MQTT_UNSUBSCRIBE) &&
             packet->filters.count > GH_SESSION_FILTERS_MAX)
        gh_session_end(session, GH_SESSION_END_TOO_LARGE, "more than 64 filters in one packet");
    return !gh_session_ended(session);
}

static void start_clock(struct gh_session *session, int64_t now_ns)
{
    if (session->clock_runs)
        return;
    session->clock_runs = true;
    session->in_ns = session->out_ns = now_ns;
}

static void hold_input(struct gh_session *session, enum gh_session_hold hold, int64_t now_ns)
{
    if (session->hold == GH_SESSION_HOLD_NONE)
        session->hold_ns = now_ns;
    session->hold = (uint8_t)hold;
}

size_t gh_session_input(struct gh_session *session, struct gh_slice bytes, int64_t now_ns,
                        struct gh_buffer *out)
{
    struct gh_mqtt_packet packet;
    size_t consumed = 0, size;

    start_clock(session, now_ns);
    while (!gh_session_ended(session) && consumed < bytes.size) {
        if (session->phase == GH_SESSION_AUTHENTICATING) {
            hold_input(session, GH_SESSION_HOLD_VERDICT, now_ns);
            break;
        }
        if (!next_packet(session, gh_slice_sub(bytes, consumed, bytes.size), out, &size, &packet)) {
            session->hold = GH_SESSION_HOLD_NONE;
            break;
        }
        enum gh_session_hold hold = obstacle(session, &packet, now_ns, out);
        if (hold != GH_SESSION_HOLD_NONE) {
            hold_input(session, hold, now_ns);
            break;
        }
        session->hold = GH_SESSION_HOLD_NONE;
        session->in_ns = now_ns;
        if (rules[packet.type].counts)
            rate_take(session, now_ns);
        consumed += size;
        rules[packet.type].handle(session, &packet, now_ns, out);
        start_clock(session, now_ns); /* a verdict may have come from inside */
    }
    return consumed;
}

bool gh_session_resumable(const struct gh_session *session, const struct gh_buffer *out)
{
    switch ((enum gh_session_hold)session->hold) {
    case GH_SESSION_HOLD_VERDICT:
        return session->phase == GH_SESSION_UP;
    case GH_SESSION_HOLD_INFLIGHT:
        return session->phase == GH_SESSION_UP &&
               session->in_count < session->limits->inflight_in_max;
    case GH_SESSION_HOLD_ROOM:
        return !gh_session_ended(session) &&
               gh_session_room(out) >= owed(session) + ANSWER_BYTES_MAX;
    case GH_SESSION_HOLD_RATE_OVER:
        return session->phase == GH_SESSION_UP;
    case GH_SESSION_HOLD_NONE:
    case GH_SESSION_HOLD_RATE:
        break;
    }
    return false;
}

/* Timeouts. Nothing of the peer's is overdue while the session itself holds the input back. */

static int64_t keep_alive_ends_ns(const struct gh_session *session)
{
    if (session->hold != GH_SESSION_HOLD_NONE)
        return INT64_MAX;
    return gh_session_after(session->in_ns,
                            session->keep_alive_s * INT64_C(1500000000)); /* [MQTT-3.1.2-24] */
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
               : gh_session_after(session->hold_ns, session->limits->stall_ns);
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
        at = earlier(at, rate_next_ns(session));
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
                                                               : "no verdict in time");
    else if (stall_ends_ns(session) <= now_ns)
        gh_session_end(session, GH_SESSION_END_NETWORK, "the peer does not read");
    if (session->phase != GH_SESSION_UP)
        return;
    if (keep_alive_ends_ns(session) <= now_ns)
        gh_session_end(session, GH_SESSION_END_KEEPALIVE, "nothing for 1.5 times the keep-alive");
    else if (idle_ends_ns(session) <= now_ns)
        gh_session_end(session, GH_SESSION_END_IDLE, "no packet within the idle limit");
    else
        gh_session_outbound_repeat(session, now_ns, out);
    if (session->hold == GH_SESSION_HOLD_RATE && rate_next_ns(session) <= now_ns)
        session->hold = GH_SESSION_HOLD_RATE_OVER;
}

/* Answers of the host. */

void gh_session_admit(struct gh_session *session, struct gh_buffer *out)
{
    if (session->phase != GH_SESSION_AUTHENTICATING)
        return;
    session->phase = GH_SESSION_UP;
    session->clock_runs = false; /* what the verdict took is not the peer's silence */
    gh_mqtt_write_connack(GH_MQTT_V311, (struct gh_mqtt_connack){.code = GH_MQTT_ACCEPTED}, out);
    gh_session_check_written(session, out);
}

void gh_session_refuse(struct gh_session *session, uint8_t connack_code, struct gh_buffer *out)
{
    assert(connack_code > GH_MQTT_ACCEPTED && connack_code <= GH_MQTT_REFUSED_UNAUTHORISED);
    if (session->phase == GH_SESSION_AUTHENTICATING)
        refuse(session, connack_code, "refused by the verdict", out);
}

void gh_session_puback(struct gh_session *session, uint16_t packet_id, struct gh_buffer *out)
{
    size_t i = find_in(session, packet_id);

    if (i == session->in_count)
        return;
    remove_in(session, i);
    gh_mqtt_write_ack(GH_MQTT_V311, GH_MQTT_PUBACK, (struct gh_mqtt_ack){.packet_id = packet_id},
                      out);
    gh_session_check_written(session, out);
}
