#include "base/cursor.h"
#include "base/time.h"
#include "session/session.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OWED_MAX = 8, TOKENS_MAX = 4096 };

/* A host that answers as the input says, and keeps books: what it owes the session and the session
 * owes it. */
struct model {
    struct gh_session *session;
    struct gh_buffer out, input;
    int64_t now_ns;
    uint16_t owed[OWED_MAX]; /* ids of publishes not acknowledged yet */
    size_t owed_count;
    uint64_t token;             /* the last one given */
    bool in_flight[TOKENS_MAX]; /* QoS 1 tokens without their `delivered` */
    size_t in_flight_count;
    bool asked, connected, ended;
};

static void authenticate(void *context, const struct gh_mqtt_connect *connect)
{
    struct model *model = context;
    assert(!model->ended && !model->asked);
    assert(connect->level == GH_MQTT_V311);
    model->asked = true;
    if (connect->will_retain)
        gh_session_admit(model->session, &model->out);
}

static void publish(void *context, const struct gh_mqtt_publish *p)
{
    struct model *model = context;
    assert(!model->ended && gh_session_connected(model->session));
    assert(p->qos <= 1 && (p->qos == 1) == (p->packet_id != 0));
    if (p->qos == 1) {
        assert(model->owed_count < OWED_MAX);
        model->owed[model->owed_count++] = p->packet_id;
    }
    if (p->payload.size == 3)
        gh_session_end(model->session, GH_SESSION_END_TOPIC_FORBIDDEN, "forbidden");
}

static uint8_t subscribe(void *context, struct gh_slice filter, uint8_t qos)
{
    struct model *model = context;
    assert(!model->ended && filter.size != 0 && qos <= 2);
    if (filter.size == 7)
        gh_session_end(model->session, GH_SESSION_END_BLOCKED, "blocked");
    return filter.size % 3 == 0 ? GH_MQTT_SUBACK_REFUSED : filter.size % 2 == 0;
}

static void send_message(struct model *model, uint8_t qos, size_t size)
{
    static const uint8_t payload[600];
    uint64_t token = model->token + 1;

    if (token == TOKENS_MAX)
        return;
    model->token = token;
    model->in_flight[token] = qos == 1;
    model->in_flight_count += qos == 1;
    enum gh_session_sending sending =
        gh_session_publish(model->session, GH_SLICE("t"), gh_slice(payload, size), qos, token,
                           model->now_ns, &model->out);
    assert((sending == GH_SESSION_GONE) == !gh_session_connected(model->session));
    if (sending != GH_SESSION_SENT) {
        model->in_flight_count -= model->in_flight[token];
        model->in_flight[token] = false;
    }
}

static void subscribed(void *context, struct gh_slice filter, uint8_t granted)
{
    struct model *model = context;
    assert(!model->ended);
    if (granted <= 1)
        send_message(model, granted, filter.size);
}

static void unsubscribe(void *context, struct gh_slice filter)
{
    struct model *model = context;
    assert(!model->ended && filter.size != 0);
}

static void delivered(void *context, uint64_t token, bool acknowledged)
{
    struct model *model = context;
    assert(!model->ended && token <= model->token);
    if (!model->in_flight[token]) {
        assert(acknowledged && token == model->token); /* QoS 0, from inside the sending */
        return;
    }
    model->in_flight[token] = false;
    model->in_flight_count--;
}

static void heartbeat(void *context)
{
    struct model *model = context;
    assert(!model->ended);
}

static void ended(void *context, enum gh_session_end why, const char *detail)
{
    struct model *model = context;
    assert(!model->ended && detail != NULL && gh_session_end_name(why) != NULL);
    assert(model->in_flight_count == 0);
    model->ended = true;
}

static const struct gh_session_host host = {authenticate, publish,   subscribe, subscribed,
                                            unsubscribe,  delivered, heartbeat, ended};
static const struct gh_session_limits limits = {
    .connect_bytes_max = 128,
    .packet_bytes_max = 256,
    .inflight_in_max = OWED_MAX,
    .inflight_out_max = 3,
    .inflight_out_bytes_max = 256,
    .messages_per_second = 4,
    .messages_burst = 6,
    .connect_ns = 10 * GH_SECOND_NS,
    .idle_ns = 100 * GH_SECOND_NS,
    .repeat_ns = 5 * GH_SECOND_NS,
    .stall_ns = 20 * GH_SECOND_NS,
};

/* All that was sent is whole packets that a client takes; CONNACK comes first and once. */
static void drain(struct model *model)
{
    struct gh_slice rest = gh_buffer_slice(&model->out);
    struct gh_mqtt_frame frame;
    struct gh_mqtt_packet packet;

    assert(!model->out.overflow);
    while (rest.size != 0) {
        enum gh_mqtt_frame_status status = gh_mqtt_frame_read(rest, 1024, &frame);
        assert(status == GH_MQTT_FRAME_OK);
        enum gh_mqtt_fault fault =
            gh_mqtt_packet_read(&frame, GH_MQTT_V311, GH_MQTT_CLIENT, &packet);
        assert(fault == GH_MQTT_FAULT_NONE);
        assert((packet.type == GH_MQTT_CONNACK) == !model->connected);
        model->connected = true;
        rest = gh_slice_sub(rest, frame.size, rest.size);
    }
    gh_buffer_clear(&model->out);
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

static void acknowledge(struct model *model, size_t which)
{
    if (model->owed_count == 0)
        return;
    which %= model->owed_count;
    uint16_t packet_id = model->owed[which];
    model->owed_count--;
    memmove(model->owed + which, model->owed + which + 1,
            (model->owed_count - which) * sizeof model->owed[0]);
    gh_session_puback(model->session, packet_id, &model->out);
}

/* One order of the input: a byte that says what happens, and its argument. */
static bool next_order(struct model *model, struct gh_cursor *at)
{
    uint8_t order, n;
    struct gh_slice bytes;

    if (!gh_cursor_u8(at, &order) || !gh_cursor_u8(at, &n))
        return false;
    switch (order % 8) {
    case 0:
    case 1: /* n bytes arrive */
        if (!gh_cursor_take(at, n < gh_cursor_left(at) ? n : gh_cursor_left(at), &bytes))
            return false;
        gh_buffer_put(&model->input, bytes);
        offer(model);
        break;
    case 2:
        if (n < 250)
            gh_session_admit(model->session, &model->out);
        else
            gh_session_refuse(model->session, (uint8_t)(n - 249 > 5 ? 5 : n - 249), &model->out);
        break;
    case 3:
        acknowledge(model, n);
        break;
    case 4:
        send_message(model, order / 8 % 2, n * 2u);
        break;
    case 5:
        gh_session_withdraw(model->session, model->token - (model->token < n ? model->token : n));
        break;
    case 6: /* time passes; never past the deadline without a tick */
        model->now_ns += n * GH_SECOND_NS / 8;
        if (gh_session_deadline_ns(model->session) <= model->now_ns)
            gh_session_tick(model->session, model->now_ns, &model->out);
        break;
    default:
        drain(model);
        break;
    }
    if (gh_session_resumable(model->session, &model->out))
        offer(model);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct model model;
    struct gh_cursor at = gh_cursor(gh_slice(data, size));

    model = (struct model){0};
    gh_buffer_init(&model.out, 1024);
    gh_buffer_init(&model.input, 1 << 20);
    model.session = gh_session_open(&limits, &host, &model);
    assert(model.session != NULL);
    while (next_order(&model, &at)) {
        assert(gh_session_ended(model.session) == model.ended);
        assert(gh_session_inflight_out(model.session) == model.in_flight_count);
        /* A tick at the deadline moves the deadline: nobody spins. */
        int64_t due_ns = gh_session_deadline_ns(model.session);
        if (due_ns <= model.now_ns) {
            gh_session_tick(model.session, model.now_ns, &model.out);
            assert(gh_session_deadline_ns(model.session) > model.now_ns);
        }
    }
    drain(&model);
    gh_session_end(model.session, GH_SESSION_END_SHUTDOWN, "done");
    assert(model.ended && gh_session_deadline_ns(model.session) == INT64_MAX);
    gh_session_close(model.session);
    gh_buffer_deinit(&model.out);
    gh_buffer_deinit(&model.input);
    return 0;
}
