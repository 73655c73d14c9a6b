#include "session/session.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum phase {
    PHASE_CONNECT,      /* nothing came yet, or only a part of the CONNECT */
    PHASE_AUTHENTICATE, /* the host has the CONNECT and owes a verdict */
    PHASE_UP,
    PHASE_ENDED,
};

/* What keeps the next packet waiting. */
enum hold {
    HOLD_NONE,
    HOLD_VERDICT,
    HOLD_INFLIGHT,
    HOLD_RATE,
    HOLD_RATE_OVER, /* was HOLD_RATE; the time has passed */
    HOLD_ROOM,
};

/* A QoS 1 message that the peer has not acknowledged. */
struct outbound {
    uint64_t token;
    int64_t sent_ns;
    uint8_t *packet; /* as it was sent; NULL when nothing is repeated */
    size_t size;
    uint16_t packet_id;
};

struct gh_session {
    const struct gh_session_limits *limits;
    const struct gh_session_host *host;
    void *context;
    struct outbound *out; /* in the order of sending */
    uint16_t *in;         /* packet ids in the order of arrival; one may stand twice */
    size_t out_bytes;
    int64_t in_ns, out_ns; /* last packet in each direction; of the phase's begin before PHASE_UP */
    int64_t hold_ns;       /* when input was first held */
    int64_t rate_ns;       /* when the throttle's bucket is full again */
    uint16_t out_count, out_capacity, in_count, in_capacity;
    uint16_t last_id, keep_alive_s;
    uint8_t phase, hold;
    bool
        clock_runs; /* in_ns is set; false at the start and after a verdict, until the next `now` */
};
static_assert(sizeof(struct gh_session) <= 160, "the header promises a small idle session");

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
    .connect_ns = 10 * INT64_C(1000000000),
    .idle_ns = 20 * 60 * INT64_C(1000000000),
    .repeat_ns = 20 * INT64_C(1000000000),
    .stall_ns = 60 * INT64_C(1000000000),
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

static void free_inflight(struct outbound *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(out[i].packet);
    free(out);
}

void gh_session_close(struct gh_session *session)
{
    if (session == NULL)
        return;
    free_inflight(session->out, session->out_count);
    free(session->in);
    free(session);
}

bool gh_session_ended(const struct gh_session *session)
{
    return session->phase == PHASE_ENDED;
}

bool gh_session_connected(const struct gh_session *session)
{
    return session->phase == PHASE_UP;
}

size_t gh_session_inflight_out(const struct gh_session *session)
{
    return session->out_count;
}

void gh_session_end(struct gh_session *session, enum gh_session_end why, const char *detail)
{
    struct outbound *out = session->out;
    size_t count = session->out_count;

    if (gh_session_ended(session))
        return;
    session->phase = PHASE_ENDED; /* first: the callbacks below find a session that does nothing */
    session->out = NULL;
    session->out_count = session->out_capacity = 0;
    free(session->in);
    session->in = NULL;
    session->in_count = session->in_capacity = 0;
    for (size_t i = 0; i < count; i++)
        session->host->delivered(session->context, out[i].token, false);
    free_inflight(out, count);
    session->host->end(session->context, why, detail);
}

/* The list grows by doubling while something is in flight and is given back when nothing is. NULL
 * when there is no memory; the list is as before then. */
static void *with_room(void *list, uint16_t count, uint16_t *capacity, size_t size)
{
    if (count < *capacity)
        return list;
    unsigned more = *capacity == 0 ? 4 : 2u * *capacity;
    void *larger = realloc(list, (more > UINT16_MAX ? UINT16_MAX : more) * size);
    if (larger != NULL)
        *capacity = (uint16_t)(more > UINT16_MAX ? UINT16_MAX : more);
    return larger;
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
    uint16_t *in =
        with_room(session->in, session->in_count, &session->in_capacity, sizeof *session->in);
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

/* Outbound. */

static size_t find_out(const struct gh_session *session, uint16_t packet_id)
{
    size_t i = 0;
    while (i < session->out_count && session->out[i].packet_id != packet_id)
        i++;
    return i;
}

static void remove_out(struct gh_session *session, size_t i)
{
    free(session->out[i].packet);
    session->out_bytes -= session->out[i].size;
    session->out_count--;
    memmove(session->out + i, session->out + i + 1,
            (session->out_count - i) * sizeof *session->out);
    if (session->out_count == 0) {
        free(session->out);
        session->out = NULL;
        session->out_capacity = 0;
    }
}

static uint16_t next_id(struct gh_session *session)
{
    do {
        session->last_id++;
    } while (session->last_id == 0 || find_out(session, session->last_id) < session->out_count);
    return session->last_id;
}

static size_t room(const struct gh_buffer *out)
{
    return out->overflow ? 0 : out->size_max - out->size;
}

/* What the publishes already taken will need for their PUBACKs. */
static size_t owed(const struct gh_session *session)
{
    return (size_t)session->in_count * PUBACK_BYTES;
}

/* `out` took less than the room promised: the system has no memory. */
static void check_written(struct gh_session *session, const struct gh_buffer *out)
{
    if (out->overflow)
        gh_session_end(session, GH_SESSION_END_OVERLOAD, "no memory for the output queue");
}

/* Throttle: a token bucket kept as one time, at which it is full again (generic cell rate
 * algorithm, ITU-T I.371 annex A). A message fits when the bucket is not more than a burst away
 * from full. */

static int64_t rate_interval_ns(const struct gh_session_limits *limits)
{
    return INT64_C(1000000000) / limits->messages_per_second;
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

static enum hold obstacle(const struct gh_session *session, const struct gh_mqtt_packet *packet,
                          int64_t now_ns, const struct gh_buffer *out)
{
    const struct rule *rule = &rules[packet->type];

    if (room(out) < owed(session) + rule->room)
        return HOLD_ROOM;
    if (rule->counts && session->limits->messages_per_second != 0 && rate_next_ns(session) > now_ns)
        return HOLD_RATE;
    if (packet->type == GH_MQTT_PUBLISH && packet->publish.qos == 1 &&
        session->in_count >= session->limits->inflight_in_max &&
        !(packet->publish.dup && find_in(session, packet->publish.packet_id) < session->in_count))
        return HOLD_INFLIGHT;
    return HOLD_NONE;
}

static void handle_connect(struct gh_session *session, const struct gh_mqtt_packet *packet,
                           int64_t now_ns, struct gh_buffer *out)
{
    (void)now_ns, (void)out;
    if (session->phase != PHASE_CONNECT) {
        gh_session_end(session, GH_SESSION_END_PROTOCOL, "a second CONNECT [MQTT-3.1.0-2]");
        return;
    }
    session->phase = PHASE_AUTHENTICATE;
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
    size_t i = find_out(session, packet->packet_id);

    (void)now_ns, (void)out;
    if (i == session->out_count)
        return; /* of a message withdrawn, or a second PUBACK after a repetition */
    uint64_t token = session->out[i].token;
    remove_out(session, i);
    session->host->delivered(session->context, token, true);
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
    uint8_t codes[GH_SESSION_FILTERS_MAX], qos;
    struct gh_slice filter;
    size_t count = 0;

    (void)now_ns;
    while (!gh_session_ended(session) && gh_mqtt_filter_next(&at, &filter, &qos)) {
        uint8_t granted = session->host->subscribe(session->context, filter, qos);
        assert(granted <= 1 || granted == GH_MQTT_SUBACK_REFUSED);
        codes[count++] = granted == GH_MQTT_SUBACK_REFUSED || granted < qos ? granted : qos;
    }
    if (gh_session_ended(session))
        return;
    gh_mqtt_write_suback((struct gh_mqtt_suback){at.packet_id, gh_slice(codes, count)}, out);
    check_written(session, out);
    at = packet->filters;
    for (size_t i = 0; !gh_session_ended(session) && gh_mqtt_filter_next(&at, &filter, &qos); i++)
        session->host->subscribed(session->context, filter, codes[i]);
}

static void handle_unsubscribe(struct gh_session *session, const struct gh_mqtt_packet *packet,
                               int64_t now_ns, struct gh_buffer *out)
{
    struct gh_mqtt_filters at = packet->filters;
    struct gh_slice filter;
    uint8_t qos;

    (void)now_ns;
    while (!gh_session_ended(session) && gh_mqtt_filter_next(&at, &filter, &qos))
        session->host->unsubscribe(session->context, filter);
    if (gh_session_ended(session))
        return;
    gh_mqtt_write_ack(GH_MQTT_UNSUBACK, at.packet_id, out);
    check_written(session, out);
}

static void handle_pingreq(struct gh_session *session, const struct gh_mqtt_packet *packet,
                           int64_t now_ns, struct gh_buffer *out)
{
    (void)packet, (void)now_ns;
    session->host->heartbeat(session->context);
    if (gh_session_ended(session))
        return;
    gh_mqtt_write_empty(GH_MQTT_PINGRESP, out);
    check_written(session, out);
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
    gh_mqtt_write_connack((struct gh_mqtt_connack){.code = code}, out);
    gh_session_end(session, GH_SESSION_END_REFUSED, detail);
}

static void end_for_fault(struct gh_session *session, const struct gh_mqtt_packet *packet,
                          enum gh_mqtt_fault fault, struct gh_buffer *out)
{
    const char *detail = gh_mqtt_fault_text(fault);

    if (session->phase == PHASE_CONNECT && fault == GH_MQTT_FAULT_PROTOCOL)
        refuse(session, GH_MQTT_REFUSED_LEVEL, detail, out);
    else if (session->phase == PHASE_CONNECT && fault == GH_MQTT_FAULT_CLIENT_ID)
        refuse(session, GH_MQTT_REFUSED_CLIENT_ID, detail, out);
    else if (packet->type == GH_MQTT_CONNECT && session->phase != PHASE_CONNECT)
        gh_session_end(session, GH_SESSION_END_PROTOCOL, "a second CONNECT [MQTT-3.1.0-2]");
    else
        gh_session_end(session, GH_SESSION_END_PROTOCOL, detail);
}

/* What the first byte already decides, before a body of 256 MB is waited for. */
static bool first_byte_ends(struct gh_session *session, uint8_t first)
{
    unsigned type = first >> 4;

    if (session->phase == PHASE_CONNECT && type != GH_MQTT_CONNECT)
        gh_session_end(session, GH_SESSION_END_PROTOCOL,
                       "the first packet is not CONNECT [MQTT-3.1.0-1]");
    else if (session->phase == PHASE_UP && type == GH_MQTT_CONNECT)
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
    size_t size_max = session->phase == PHASE_CONNECT ? session->limits->connect_bytes_max
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

static void hold_input(struct gh_session *session, enum hold hold, int64_t now_ns)
{
    if (session->hold == HOLD_NONE)
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
        if (session->phase == PHASE_AUTHENTICATE) {
            hold_input(session, HOLD_VERDICT, now_ns);
            break;
        }
        if (!next_packet(session, gh_slice_sub(bytes, consumed, bytes.size), out, &size, &packet)) {
            session->hold = HOLD_NONE;
            break;
        }
        enum hold hold = obstacle(session, &packet, now_ns, out);
        if (hold != HOLD_NONE) {
            hold_input(session, hold, now_ns);
            break;
        }
        session->hold = HOLD_NONE;
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
    switch ((enum hold)session->hold) {
    case HOLD_VERDICT:
        return session->phase == PHASE_UP;
    case HOLD_INFLIGHT:
        return session->phase == PHASE_UP && session->in_count < session->limits->inflight_in_max;
    case HOLD_ROOM:
        return !gh_session_ended(session) && room(out) >= owed(session) + ANSWER_BYTES_MAX;
    case HOLD_RATE_OVER:
        return session->phase == PHASE_UP;
    case HOLD_NONE:
    case HOLD_RATE:
        break;
    }
    return false;
}

/* Timeouts. INT64_MAX for what is off; nothing is overdue while the session itself holds the input
 * back. */

static int64_t after(int64_t from_ns, int64_t limit_ns)
{
    return limit_ns == 0 || from_ns > INT64_MAX - limit_ns ? INT64_MAX : from_ns + limit_ns;
}

static int64_t keep_alive_ends_ns(const struct gh_session *session)
{
    if (session->hold != HOLD_NONE)
        return INT64_MAX;
    return after(session->in_ns, session->keep_alive_s * INT64_C(1500000000)); /* [MQTT-3.1.2-24] */
}

static int64_t idle_ends_ns(const struct gh_session *session)
{
    int64_t last_ns = session->in_ns > session->out_ns ? session->in_ns : session->out_ns;
    return session->hold != HOLD_NONE ? INT64_MAX : after(last_ns, session->limits->idle_ns);
}

static int64_t stall_ends_ns(const struct gh_session *session)
{
    return session->hold != HOLD_ROOM ? INT64_MAX
                                      : after(session->hold_ns, session->limits->stall_ns);
}

static int64_t repeats_ns(const struct gh_session *session, const struct outbound *outbound)
{
    return outbound->packet == NULL ? INT64_MAX
                                    : after(outbound->sent_ns, session->limits->repeat_ns);
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
    if (session->phase != PHASE_UP)
        return earlier(at, after(session->in_ns, session->limits->connect_ns));
    at = earlier(at, earlier(keep_alive_ends_ns(session), idle_ends_ns(session)));
    if (session->hold == HOLD_RATE)
        at = earlier(at, rate_next_ns(session));
    for (size_t i = 0; i < session->out_count; i++)
        at = earlier(at, repeats_ns(session, &session->out[i]));
    return at;
}

static void repeat(struct gh_session *session, int64_t now_ns, struct gh_buffer *out)
{
    for (size_t i = 0; i < session->out_count; i++) {
        struct outbound *outbound = &session->out[i];
        if (repeats_ns(session, outbound) > now_ns)
            continue;
        outbound->sent_ns = now_ns; /* also when there is no room: the next turn is soon enough */
        if (outbound->size + gh_session_headroom(session) > room(out))
            continue;
        outbound->packet[0] |= 0x08; /* DUP [MQTT-3.3.1-1] */
        gh_buffer_put(out, gh_slice(outbound->packet, outbound->size));
        session->out_ns = now_ns;
    }
    check_written(session, out);
}

void gh_session_tick(struct gh_session *session, int64_t now_ns, struct gh_buffer *out)
{
    start_clock(session, now_ns);
    if (gh_session_ended(session))
        return;
    if (session->phase != PHASE_UP && after(session->in_ns, session->limits->connect_ns) <= now_ns)
        gh_session_end(session, GH_SESSION_END_CONNECT_TIMEOUT,
                       session->phase == PHASE_CONNECT ? "no CONNECT in time"
                                                       : "no verdict in time");
    else if (stall_ends_ns(session) <= now_ns)
        gh_session_end(session, GH_SESSION_END_NETWORK, "the peer does not read");
    if (session->phase != PHASE_UP)
        return;
    if (keep_alive_ends_ns(session) <= now_ns)
        gh_session_end(session, GH_SESSION_END_KEEPALIVE, "nothing for 1.5 times the keep-alive");
    else if (idle_ends_ns(session) <= now_ns)
        gh_session_end(session, GH_SESSION_END_IDLE, "no packet within the idle limit");
    else
        repeat(session, now_ns, out);
    if (session->hold == HOLD_RATE && rate_next_ns(session) <= now_ns)
        session->hold = HOLD_RATE_OVER;
}

/* Answers of the host. */

void gh_session_admit(struct gh_session *session, struct gh_buffer *out)
{
    if (session->phase != PHASE_AUTHENTICATE)
        return;
    session->phase = PHASE_UP;
    session->clock_runs = false; /* what the verdict took is not the peer's silence */
    gh_mqtt_write_connack((struct gh_mqtt_connack){.code = GH_MQTT_ACCEPTED}, out);
    check_written(session, out);
}

void gh_session_refuse(struct gh_session *session, uint8_t connack_code, struct gh_buffer *out)
{
    assert(connack_code > GH_MQTT_ACCEPTED && connack_code <= GH_MQTT_REFUSED_UNAUTHORISED);
    if (session->phase == PHASE_AUTHENTICATE)
        refuse(session, connack_code, "refused by the verdict", out);
}

void gh_session_puback(struct gh_session *session, uint16_t packet_id, struct gh_buffer *out)
{
    size_t i = find_in(session, packet_id);

    if (i == session->in_count)
        return;
    remove_in(session, i);
    gh_mqtt_write_ack(GH_MQTT_PUBACK, packet_id, out);
    check_written(session, out);
}

/* Keeps what a repetition needs, as it goes over the wire. False when there is no memory or no
 * place. */
static bool add_out(struct gh_session *session, const struct gh_mqtt_publish *publish, size_t size,
                    uint64_t token, int64_t now_ns)
{
    const struct gh_session_limits *limits = session->limits;
    struct outbound added = {.token = token, .sent_ns = now_ns, .packet_id = publish->packet_id};

    struct outbound *list =
        with_room(session->out, session->out_count, &session->out_capacity, sizeof *session->out);
    if (list == NULL)
        return false;
    session->out = list;
    if (limits->repeat_ns != 0) {
        added.packet = malloc(size);
        if (added.packet == NULL)
            return false;
        struct gh_buffer copy = gh_buffer_fixed(added.packet, size);
        gh_mqtt_write_publish(publish, &copy);
        assert(copy.size == size && !copy.overflow);
        added.size = size;
    }
    session->out_bytes += added.size;
    list[session->out_count++] = added;
    return true;
}

static bool inflight_out_full(const struct gh_session *session, size_t size)
{
    const struct gh_session_limits *limits = session->limits;
    return session->out_count >= limits->inflight_out_max ||
           (session->out_count != 0 && limits->repeat_ns != 0 &&
            session->out_bytes + size > limits->inflight_out_bytes_max);
}

enum gh_session_sending gh_session_publish(struct gh_session *session, struct gh_slice topic,
                                           struct gh_slice payload, uint8_t qos, uint64_t token,
                                           int64_t now_ns, struct gh_buffer *out)
{
    struct gh_mqtt_publish publish = {.topic = topic, .payload = payload, .qos = qos};
    size_t size = gh_mqtt_publish_size(&publish);

    assert(qos <= 1);
    if (!gh_session_connected(session))
        return GH_SESSION_GONE;
    if (topic.size > UINT16_MAX || size > GH_MQTT_BODY_BYTES_MAX ||
        size + gh_session_headroom(session) > out->size_max)
        return GH_SESSION_TOO_LARGE;
    if (size + gh_session_headroom(session) > room(out) ||
        (qos == 1 && inflight_out_full(session, size)))
        return GH_SESSION_FULL;
    if (qos == 1) {
        publish.packet_id = next_id(session);
        if (!add_out(session, &publish, size, token, now_ns))
            return GH_SESSION_FULL;
    }
    session->out_ns = now_ns;
    gh_mqtt_write_publish(&publish, out);
    check_written(session, out);
    if (gh_session_ended(session))
        return GH_SESSION_GONE;
    if (qos == 0)
        session->host->delivered(session->context, token, true);
    return GH_SESSION_SENT;
}

bool gh_session_withdraw(struct gh_session *session, uint64_t token)
{
    for (size_t i = 0; i < session->out_count; i++) {
        if (session->out[i].token != token)
            continue;
        remove_out(session, i);
        session->host->delivered(session->context, token, false);
        return true;
    }
    return false;
}
