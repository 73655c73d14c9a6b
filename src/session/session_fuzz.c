/* Sequences of packets, answers of the host, messages and time, all chosen by the input, against a
 * model that keeps books: what the host owes the session, what the session owes the host, what is
 * in flight to the peer, and that everything sent is a whole packet that a client takes. */
#include "base/cursor.h"
#include "base/time.h"
#include "session/session.h"
#include "wire/mqtt/property.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    INFLIGHT_MAX = 5,
    ALIASES_MAX = 3,
    TOKENS_MAX = 4096,
    OUT_MAX = 256, /* little more than the headroom, so that it is full often */
    IDS = 65536,
    RESUMED_FIRST = 0x4000, /* ids of releases of earlier connections */
};

enum token_state { TOKEN_UNUSED, TOKEN_SENT, TOKEN_RECEIVED };

struct model {
    struct gh_session *session;
    struct gh_buffer out, input;
    int64_t now_ns;
    size_t sent_bytes; /* as traced, since the last drain */

    uint16_t owed[INFLIGHT_MAX], released[INFLIGHT_MAX]; /* answers that the host owes */
    uint8_t owed_qos[INFLIGHT_MAX];
    size_t owed_count, released_count;
    bool taken[IDS]; /* QoS 2 ids between `publish` and gh_session_complete */
    size_t filters_due;
    bool subscribe_due, unsubscribe_due, renewal_due;

    uint64_t token; /* the last one given */
    uint8_t tokens[TOKENS_MAX];
    size_t tokens_count; /* sent or received */

    bool flying[IDS]; /* ids of PUBLISH to the peer that it has not answered finally */
    size_t flying_count;
    uint32_t peer_bytes;
    uint16_t receive_max, alias_max;
    bool aliases[ALIASES_MAX];
    bool asked, connected, disconnected, ended;
};

static uint64_t answers_due(const struct model *model)
{
    return model->owed_count + model->released_count;
}

/* --- the host */

static void on_authenticate(void *context, const struct gh_mqtt_connect *connect)
{
    struct model *model = context;
    assert(!model->ended && !model->asked);
    assert(connect->level == (uint8_t)connect->version);
    assert(gh_session_version(model->session) == connect->version);
    model->asked = true;
    model->peer_bytes = connect->packet_bytes_max;
    model->receive_max = connect->version == GH_MQTT_V5 ? connect->receive_max : UINT16_MAX;
    model->alias_max = connect->topic_alias_max;
}

static void on_reauthenticate(void *context, struct gh_slice data)
{
    struct model *model = context;
    assert(!model->ended && !model->renewal_due);
    assert(gh_session_version(model->session) == GH_MQTT_V5);
    model->renewal_due = true;
    if (data.size == 5)
        gh_session_end(model->session, GH_SESSION_END_TOKEN_EXPIRED, "expired", &model->out);
}

static void on_publish(void *context, const struct gh_mqtt_publish *p)
{
    struct model *model = context;
    assert(!model->ended && gh_session_connected(model->session));
    assert(p->qos <= 2 && (p->qos != 0) == (p->packet_id != 0) && p->topic.size != 0);
    if (p->qos != 0) {
        assert(answers_due(model) < INFLIGHT_MAX);
        assert(!model->taken[p->packet_id]); /* each QoS 2 message once */
        model->taken[p->packet_id] = p->qos == 2;
        model->owed_qos[model->owed_count] = p->qos;
        model->owed[model->owed_count++] = p->packet_id;
    }
    if (p->payload.size == 3)
        gh_session_end(model->session, GH_SESSION_END_TOPIC_FORBIDDEN, "forbidden", &model->out);
}

static void on_release(void *context, uint16_t packet_id)
{
    struct model *model = context;
    assert(!model->ended && model->taken[packet_id] && answers_due(model) < INFLIGHT_MAX);
    model->released[model->released_count++] = packet_id;
}

static size_t count_filters(const struct gh_mqtt_filters *filters)
{
    struct gh_mqtt_filters at = *filters;
    struct gh_mqtt_filter filter;
    size_t count = 0;
    while (gh_mqtt_filter_next(&at, &filter))
        count++;
    assert(count == filters->count && count != 0 && count <= GH_SESSION_FILTERS_MAX);
    return count;
}

static void on_subscribe(void *context, const struct gh_mqtt_filters *filters)
{
    struct model *model = context;
    assert(!model->ended && !model->subscribe_due && !model->unsubscribe_due);
    model->subscribe_due = true;
    model->filters_due = count_filters(filters);
}

static void on_unsubscribe(void *context, const struct gh_mqtt_filters *filters)
{
    struct model *model = context;
    assert(!model->ended && !model->subscribe_due && !model->unsubscribe_due);
    model->unsubscribe_due = true;
    model->filters_due = count_filters(filters);
}

static void on_received(void *context, uint64_t token)
{
    struct model *model = context;
    assert(!model->ended && token <= model->token && model->tokens[token] == TOKEN_SENT);
    model->tokens[token] = TOKEN_RECEIVED;
    if (token % 3 == 0)
        gh_session_release(model->session, token, &model->out);
}

static void on_delivered(void *context, uint64_t token, bool acknowledged)
{
    struct model *model = context;
    assert(!model->ended && token <= model->token);
    if (model->tokens[token] == TOKEN_UNUSED) {
        assert(acknowledged && token == model->token); /* QoS 0, from inside the sending */
        return;
    }
    model->tokens[token] = TOKEN_UNUSED;
    model->tokens_count--;
}

static void on_heartbeat(void *context)
{
    struct model *model = context;
    assert(!model->ended);
}

/* The peer's last word about what flies to it. */
static void trace_in(struct model *model, const struct gh_mqtt_packet *packet)
{
    bool final = packet->type == GH_MQTT_PUBACK || packet->type == GH_MQTT_PUBCOMP ||
                 (packet->type == GH_MQTT_PUBREC && packet->ack.reason >= 0x80);
    if (!final || !model->flying[packet->ack.packet_id])
        return;
    model->flying[packet->ack.packet_id] = false;
    model->flying_count--;
}

static void trace_publish(struct model *model, const struct gh_mqtt_publish *p)
{
    struct gh_mqtt_property_value value;
    uint16_t alias = gh_mqtt_property_find(p->properties, GH_MQTT_PROPERTY_TOPIC_ALIAS, &value)
                         ? (uint16_t)value.number
                         : 0;
    assert(alias <= model->alias_max && alias <= ALIASES_MAX);
    assert(p->topic.size != 0 || model->aliases[alias - 1]);
    if (alias != 0)
        model->aliases[alias - 1] = true;
    if (p->qos == 0 || model->flying[p->packet_id])
        return;
    model->flying[p->packet_id] = true;
    model->flying_count++;
    if (gh_session_version(model->session) == GH_MQTT_V5)
        assert(model->flying_count <= model->receive_max);
}

static void trace_out(struct model *model, const struct gh_mqtt_packet *packet, size_t size)
{
    assert(!model->disconnected);
    assert((packet->type == GH_MQTT_CONNACK) == !model->connected);
    assert(model->peer_bytes == 0 || size <= model->peer_bytes);
    model->connected = true;
    model->disconnected = packet->type == GH_MQTT_DISCONNECT;
    model->sent_bytes += size;
    if (packet->type == GH_MQTT_PUBLISH)
        trace_publish(model, &packet->publish);
}

static void on_traced(void *context, bool inbound, struct gh_slice bytes)
{
    struct model *model = context;
    struct gh_mqtt_packet packet;
    struct gh_mqtt_frame frame;
    assert(!model->ended);
    enum gh_mqtt_frame_status status = gh_mqtt_frame_read(bytes, bytes.size, &frame);
    assert(status == GH_MQTT_FRAME_OK && frame.size == bytes.size);
    enum gh_mqtt_fault fault =
        gh_mqtt_packet_read(&frame, gh_session_version(model->session),
                            inbound ? GH_MQTT_SERVER : GH_MQTT_CLIENT, &packet);
    if (inbound && fault == GH_MQTT_FAULT_NONE)
        trace_in(model, &packet);
    if (inbound)
        return;
    assert(fault == GH_MQTT_FAULT_NONE);
    trace_out(model, &packet, frame.size);
}

static void on_end(void *context, enum gh_session_end why, const char *detail)
{
    struct model *model = context;
    assert(!model->ended && detail != NULL && gh_session_end_name(why) != NULL);
    assert(model->tokens_count == 0);
    model->ended = true;
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

#define LIMITS                                                                                     \
    .connect_bytes_max = 128, .packet_bytes_max = 256, .inflight_in_max = INFLIGHT_MAX,            \
    .inflight_out_max = 3, .inflight_out_bytes_max = 256, .topic_alias_in_max = 2,                 \
    .topic_alias_out_max = ALIASES_MAX, .messages_per_second = 40, .messages_burst = 60,           \
    .connect_ns = 10 * GH_SECOND_NS, .idle_ns = 100 * GH_SECOND_NS, .repeat_ns = 5 * GH_SECOND_NS, \
    .stall_ns = 20 * GH_SECOND_NS
static const struct gh_session_limits all = {LIMITS, .qos_max = 2};
static const struct gh_session_limits qos_1 = {LIMITS, .qos_max = 1, .keep_alive_max_s = 7};

/* --- orders of the input */

/* Everything in `out` was traced. */
static void drain(struct model *model)
{
    assert(!model->out.overflow && model->out.size == model->sent_bytes);
    gh_buffer_clear(&model->out);
    model->sent_bytes = 0;
}

static void offer(struct model *model)
{
    do {
        size_t consumed = gh_session_input(model->session, gh_buffer_slice(&model->input),
                                           model->now_ns, &model->out);
        assert(consumed <= model->input.size);
        gh_buffer_drop(&model->input, consumed);
    } while (gh_session_resumable(model->session, &model->out));
}

static bool is_up(const struct model *model)
{
    return gh_session_connected(model->session);
}

static void decide(struct model *model, uint8_t n)
{
    static const uint16_t received[] = {9, 2, 0x200, 5};
    struct gh_session_admission admission = gh_session_admission_default;
    if (n >= 240) {
        gh_session_refuse(model->session, (enum gh_session_refusal)(n % GH_SESSION_REFUSED_COUNT),
                          &model->out);
        return;
    }
    bool waits = model->asked && !model->ended && !is_up(model);
    admission.limits = n & 1 ? &qos_1 : NULL;
    admission.client_id = GH_SLICE("given");
    admission.has_session_expiry = n & 2;
    admission.retain_available = !(n & 4);
    admission.response_information = n & 8 ? GH_SLICE("answers/") : GH_SLICE("");
    admission.received = received;
    admission.received_count = n >> 4 & 3;
    for (size_t i = 0; waits && i < admission.received_count; i++)
        model->taken[received[i]] = true;
    gh_session_admit(model->session, &admission, &model->out);
}

/* Takes element `n` out of a list. */
static uint16_t take_out(uint16_t *list, size_t *count, size_t n)
{
    uint16_t taken = list[n];
    (*count)--;
    memmove(list + n, list + n + 1, (*count - n) * sizeof *list);
    return taken;
}

static void acknowledge(struct model *model, uint8_t n)
{
    static const uint8_t reasons[] = {0, 0, 0x10, 0x87};
    bool speaks_5 = gh_session_version(model->session) == GH_MQTT_V5;
    uint8_t reason = speaks_5 ? reasons[n >> 6] : 0;
    if (model->owed_count == 0) {
        gh_session_acknowledge(model->session, n, reason, &model->out);
        return;
    }
    size_t which = n % model->owed_count;
    uint8_t qos = model->owed_qos[which];
    memmove(model->owed_qos + which, model->owed_qos + which + 1, model->owed_count - which - 1);
    uint16_t packet_id = take_out(model->owed, &model->owed_count, which);
    if (qos == 2 && reason >= 0x80)
        model->taken[packet_id] = false;
    gh_session_acknowledge(model->session, packet_id, reason, &model->out);
}

static void complete(struct model *model, uint8_t n)
{
    uint16_t packet_id = n;
    if (model->released_count != 0) {
        packet_id = take_out(model->released, &model->released_count, n % model->released_count);
        model->taken[packet_id] = false;
    }
    gh_session_complete(model->session, packet_id, &model->out);
}

static void answer_filters(struct model *model, uint8_t n)
{
    uint8_t codes[GH_SESSION_FILTERS_MAX];
    memset(codes, n & 1 ? 0x87 : n % 3, sizeof codes);
    if (model->subscribe_due && !model->ended) {
        model->subscribe_due = false;
        gh_session_suback(model->session, codes, model->filters_due, &model->out);
    } else if (model->unsubscribe_due && !model->ended) {
        model->unsubscribe_due = false;
        memset(codes, n & 1 ? 0x11 : 0, sizeof codes);
        gh_session_unsuback(model->session, codes, model->filters_due, &model->out);
    } else {
        gh_session_suback(model->session, codes, 1, &model->out);
    }
}

static void renew(struct model *model, uint8_t n)
{
    model->renewal_due = false;
    gh_session_reauthenticated(model->session, n % 4 != 0, &model->out);
}

static void send_message(struct model *model, uint8_t n)
{
    static const struct gh_slice topics[] = {GH_SLICE_INIT("t"), GH_SLICE_INIT("alpha"),
                                             GH_SLICE_INIT("beta"), GH_SLICE_INIT("gamma"),
                                             GH_SLICE_INIT("delta")};
    static const uint32_t identifiers[60] = {
        1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
        21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
        41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60};
    static const uint8_t payload[600];
    struct gh_session_message message = {
        .topic = topics[n % GH_COUNT(topics)],
        .payload = gh_slice(payload, n & 0x40 ? 110 : n & 15),
        .properties = n & 0x20 ? GH_SLICE("\x01\x01\x26\0\1a\0\1b") : GH_SLICE(""),
        .identifiers = identifiers,
        .identifiers_count = n & 0x10 ? n % GH_COUNT(identifiers) : 0,
        .has_expiry = n & 0x08,
        .expiry_s = n,
        .qos = (uint8_t)(n % 3),
        .retain = n & 4,
    };
    uint64_t token = model->token + 1;
    if (token == TOKENS_MAX)
        return;
    model->token = token;
    if (message.qos != 0) {
        model->tokens[token] = TOKEN_SENT;
        model->tokens_count++;
    }
    enum gh_session_sending sending =
        gh_session_publish(model->session, &message, token, model->now_ns, &model->out);
    assert((sending == GH_SESSION_GONE) == !is_up(model));
    if (sending != GH_SESSION_SENT && message.qos != 0) {
        model->tokens[token] = TOKEN_UNUSED;
        model->tokens_count--;
    }
}

static void withdraw(struct model *model, uint8_t n)
{
    gh_session_withdraw(model->session, model->token - (model->token < n ? model->token : n));
}

static void release(struct model *model, uint8_t n)
{
    gh_session_release(model->session, model->token - (model->token < n ? model->token : n),
                       &model->out);
}

static void resume(struct model *model, uint8_t n)
{
    uint64_t token = model->token + 1;
    (void)n;
    if (token == TOKENS_MAX)
        return;
    model->token = token;
    model->tokens[token] = TOKEN_RECEIVED;
    model->tokens_count++;
    if (gh_session_resume_release(model->session, (uint16_t)(RESUMED_FIRST + token), token,
                                  &model->out) != GH_SESSION_SENT) {
        model->tokens[token] = TOKEN_UNUSED;
        model->tokens_count--;
    }
}

/* Time passes; never past the deadline without a tick. */
static void wait(struct model *model, uint8_t n)
{
    model->now_ns += n * GH_SECOND_NS / 8;
    if (gh_session_deadline_ns(model->session) <= model->now_ns)
        gh_session_tick(model->session, model->now_ns, &model->out);
}

static void end_or_drain(struct model *model, uint8_t n)
{
    if (n == 255)
        gh_session_end(model->session, GH_SESSION_END_KICKED, "kicked", &model->out);
    drain(model);
}

/* Packets that a peer sends, so that the input need not find each by itself. */

static void peer_connects(struct model *model, uint8_t n)
{
    uint8_t block[64];
    struct gh_buffer properties = gh_buffer_fixed(block, sizeof block);
    struct gh_mqtt_connect connect = {.version = n & 1 ? GH_MQTT_V5 : GH_MQTT_V311,
                                      .client_id = n & 2 ? GH_SLICE("a") : GH_SLICE(""),
                                      .clean = true,
                                      .keep_alive_s = n >> 4};
    if (n & 4)
        gh_mqtt_property_put_number(&properties, GH_MQTT_PROPERTY_TOPIC_ALIAS_MAXIMUM, 9);
    if (n & 8)
        gh_mqtt_property_put_text(&properties, GH_MQTT_PROPERTY_AUTH_METHOD, GH_SLICE("jwt"));
    if (n & 16)
        gh_mqtt_property_put_number(&properties, GH_MQTT_PROPERTY_RECEIVE_MAXIMUM, 2);
    if (n & 32)
        gh_mqtt_property_put_number(&properties, GH_MQTT_PROPERTY_MAXIMUM_PACKET_SIZE, 24);
    connect.properties = gh_buffer_slice(&properties);
    gh_mqtt_write_connect(&connect, &model->input);
    offer(model);
}

static void peer_publishes(struct model *model, uint8_t n)
{
    uint8_t qos = n % 3, alias = n >> 6;
    bool speaks_5 = gh_session_version(model->session) == GH_MQTT_V5;
    uint8_t block[8];
    struct gh_buffer properties = gh_buffer_fixed(block, sizeof block);
    struct gh_mqtt_publish publish = {.topic = GH_SLICE("up"),
                                      .qos = qos,
                                      .dup = qos != 0 && n & 0x20,
                                      .packet_id = qos != 0 ? 1 + (n >> 2 & 7) : 0};
    if (speaks_5 && alias != 0) {
        gh_mqtt_property_put_number(&properties, GH_MQTT_PROPERTY_TOPIC_ALIAS, alias);
        publish.topic_alias = alias;
        publish.properties = gh_buffer_slice(&properties);
        if (n & 2)
            publish.topic = GH_SLICE("");
    }
    gh_mqtt_write_publish(gh_session_version(model->session), &publish, &model->input);
    offer(model);
}

static void peer_answers(struct model *model, uint8_t n)
{
    static const enum gh_mqtt_type types[] = {GH_MQTT_PUBACK, GH_MQTT_PUBREC, GH_MQTT_PUBREL,
                                              GH_MQTT_PUBCOMP};
    enum gh_mqtt_type type = types[n % 4];
    bool refuses = n & 0x80 && type == GH_MQTT_PUBREC;
    struct gh_mqtt_ack ack = {.packet_id = 1 + (n >> 2 & 15), .reason = refuses ? 0x87 : 0};
    gh_mqtt_write_ack(gh_session_version(model->session), type, ack, &model->input);
    offer(model);
}

static void slow(struct model *model, uint8_t n)
{
    gh_session_slow(model->session, model->now_ns + n * 20 * GH_MS_NS);
}

static void (*const orders[])(struct model *model, uint8_t n) = {
    decide,       acknowledge,   complete,       answer_filters, renew,
    send_message, withdraw,      release,        resume,         wait,
    end_or_drain, peer_connects, peer_publishes, peer_answers,   slow,
};

/* One order of the input: a byte that says what happens, and its argument. */
static bool next_order(struct model *model, struct gh_cursor *at)
{
    uint8_t order, n;
    struct gh_slice bytes;

    if (!gh_cursor_u8(at, &order) || !gh_cursor_u8(at, &n))
        return false;
    if (order % 16 < GH_COUNT(orders)) {
        orders[order % 16](model, n);
    } else { /* n bytes arrive */
        if (!gh_cursor_take(at, n < gh_cursor_left(at) ? n : gh_cursor_left(at), &bytes))
            return false;
        gh_buffer_put(&model->input, bytes);
        offer(model);
    }
    if (gh_session_resumable(model->session, &model->out))
        offer(model);
    return true;
}

/* After each order. A tick at the deadline moves the deadline: nobody spins. */
static void check(struct model *model)
{
    assert(gh_session_ended(model->session) == model->ended);
    assert(gh_session_inflight_out(model->session) == model->tokens_count);
    assert(!model->out.overflow);
    int64_t due_ns = gh_session_deadline_ns(model->session);
    if (due_ns <= model->now_ns) {
        gh_session_tick(model->session, model->now_ns, &model->out);
        assert(gh_session_deadline_ns(model->session) > model->now_ns);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct model *model = calloc(1, sizeof *model);
    struct gh_cursor at = gh_cursor(gh_slice(data, size));

    assert(model != NULL);
    gh_buffer_init(&model->out, OUT_MAX);
    gh_buffer_init(&model->input, 1 << 20);
    model->session = gh_session_open(&all, &host, model);
    assert(model->session != NULL);
    gh_session_trace(model->session, true);
    while (next_order(model, &at))
        check(model);
    drain(model);
    gh_session_end(model->session, GH_SESSION_END_SHUTDOWN, "done", &model->out);
    assert(model->ended && gh_session_deadline_ns(model->session) == INT64_MAX);
    drain(model);
    gh_session_close(model->session);
    gh_buffer_deinit(&model->out);
    gh_buffer_deinit(&model->input);
    free(model);
    return 0;
}
