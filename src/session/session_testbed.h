/* A testbed for conversations in bytes: one session, a host that writes down what it is told and
 * answers as the script says, and scripts as tables of steps. What the session would not take yet
 * is offered again, as a connection would. For the test programs of this folder. */
#ifndef GH_SESSION_SESSION_TESTBED_H
#define GH_SESSION_SESSION_TESTBED_H

#include "base/time.h"
#include "session/session.h"
#include "tests/check.h"
#include <stdio.h>

struct world {
    struct gh_session *session;
    struct gh_buffer out, input, events;
    int64_t now_ns;
    bool admits, acknowledges; /* the host answers `authenticate` and `publish` at once */
    bool waits; /* and does not answer the rest at once: subscriptions, `release`, `received` */
};

enum what {
    IN,       /* `bytes` arrive */
    AT,       /* it is `n` ms; tick */
    ADMIT,    /* as the admission says, or the default */
    REFUSE,   /* for enum gh_session_refusal `n` */
    RENEW,    /* the answer to AUTH: `n` */
    ACK,      /* the publish with id `n` is safe */
    ANSWER,   /* the same with the reason that is bytes[0] */
    FORGO,    /* the publish with id `n` is not answered */
    COMPLETE, /* the release of id `n` */
    SUBACK,   /* the codes `bytes` */
    UNSUBACK,
    SEND0, /* `bytes` to topic "t" with token `n` */
    SEND1,
    SEND2,
    FULL1, /* as SEND1, and it must be refused as full */
    SEND,  /* the message with token `n` */
    FULL,
    TOO_BIG,  /* and it must be refused as too large */
    RELEASE,  /* token `n` */
    RESUME,   /* the release of id and token `n` */
    WITHDRAW, /* token `n` */
    END,      /* from outside, for reason `n` */
    WAIT,     /* from here on the host answers later: `n` */
    TRACE,    /* `n` */
    SLOW,     /* until `n` ms */
    HELD,     /* `n` bytes of input wait */
    DUE,      /* the deadline is `n` ms; -1 never */
    FAREWELL, /* `n`: bit 0 the will, bit 1 an expiry of bytes[0] seconds */
};

struct step {
    enum what what;
    int64_t n;
    struct gh_slice bytes; /* or an admission or message, by WITH */
    struct gh_slice out;   /* what is sent in this step */
    const char *events;    /* what the host is told in it; NULL is nothing */
};
#define WITH(object)                                                                               \
    {                                                                                              \
        (const uint8_t *)&(object), sizeof(object)                                                 \
    }

struct script {
    const char *claim;
    const struct gh_session_limits *limits;
    const struct step *steps;
    size_t count;
};
#define SCRIPT(steps) steps, GH_COUNT(steps)
#define BYTES GH_SLICE_INIT
#define NO_BYTES                                                                                   \
    {                                                                                              \
        NULL, 0                                                                                    \
    }
/* Steps whose only effect is what they send, or what the host is told. */
#define TOLD(bytes, events)                                                                        \
    {                                                                                              \
        IN, 0, BYTES(bytes), NO_BYTES, events                                                      \
    }
#define BOTH(bytes, out, events)                                                                   \
    {                                                                                              \
        IN, 0, BYTES(bytes), BYTES(out), events                                                    \
    }
#define DOES(what, n, out)                                                                         \
    {                                                                                              \
        what, n, NO_BYTES, BYTES(out), NULL                                                        \
    }

static void on_authenticate(void *context, const struct gh_mqtt_connect *connect)
{
    struct world *world = context;
    gh_buffer_print(&world->events, "authenticate %.*s keep=%u;", GH_PRINT(connect->client_id),
                    connect->keep_alive_s);
    if (world->admits)
        gh_session_admit(world->session, &gh_session_admission_default, &world->out);
}

static void on_reauthenticate(void *context, struct gh_slice data)
{
    struct world *world = context;
    gh_buffer_print(&world->events, "reauthenticate %.*s;", GH_PRINT(data));
}

static void on_publish(void *context, const struct gh_mqtt_publish *p)
{
    struct world *world = context;
    gh_buffer_print(&world->events, "publish %.*s=%.*s q%u id%u%s;", GH_PRINT(p->topic),
                    GH_PRINT(p->payload), p->qos, p->packet_id, p->retain ? " retain" : "");
    if (gh_slice_equal(p->topic, GH_SLICE("forbidden")))
        gh_session_end(world->session, GH_SESSION_END_TOPIC_FORBIDDEN, "forbidden", &world->out);
    else if (world->acknowledges && p->qos != 0)
        gh_session_acknowledge(world->session, p->packet_id, 0, &world->out);
}

static void on_release(void *context, uint16_t packet_id)
{
    struct world *world = context;
    gh_buffer_print(&world->events, "release %u;", packet_id);
    if (!world->waits)
        gh_session_complete(world->session, packet_id, &world->out);
}

/* Grants what is asked, but nothing to "no"; behind "config" comes a message. */
static void on_subscribe(void *context, const struct gh_mqtt_filters *filters)
{
    struct world *world = context;
    struct gh_mqtt_filters at = *filters;
    struct gh_mqtt_filter filter;
    uint8_t codes[GH_SESSION_FILTERS_MAX];
    size_t count = 0, configs = 0;
    while (gh_mqtt_filter_next(&at, &filter)) {
        bool refused = gh_slice_equal(filter.filter, GH_SLICE("no"));
        gh_buffer_print(&world->events, "subscribe %.*s q%u;", GH_PRINT(filter.filter), filter.qos);
        configs += gh_slice_equal(filter.filter, GH_SLICE("config"));
        codes[count++] = refused ? GH_MQTT_REASON_NOT_AUTHORISED : filter.qos;
    }
    if (world->waits)
        return;
    gh_session_suback(world->session, codes, count, &world->out);
    struct gh_session_message config = {
        .topic = GH_SLICE("config"), .payload = GH_SLICE("c"), .qos = 1};
    if (configs != 0)
        CHECK("a message from inside a callback",
              gh_session_publish(world->session, &config, 99, world->now_ns, &world->out) ==
                  GH_SESSION_SENT);
}

static void on_unsubscribe(void *context, const struct gh_mqtt_filters *filters)
{
    struct world *world = context;
    struct gh_mqtt_filters at = *filters;
    struct gh_mqtt_filter filter;
    uint8_t codes[GH_SESSION_FILTERS_MAX];
    size_t count = 0;
    while (gh_mqtt_filter_next(&at, &filter)) {
        bool unknown = gh_slice_equal(filter.filter, GH_SLICE("no"));
        gh_buffer_print(&world->events, "unsubscribe %.*s;", GH_PRINT(filter.filter));
        codes[count++] = unknown ? GH_MQTT_REASON_NO_SUBSCRIPTION_EXISTED : 0;
    }
    if (!world->waits)
        gh_session_unsuback(world->session, codes, count, &world->out);
}

static void on_received(void *context, uint64_t token)
{
    struct world *world = context;
    gh_buffer_print(&world->events, "received %llu;", (unsigned long long)token);
    if (!world->waits)
        gh_session_release(world->session, token, &world->out);
}

static void on_delivered(void *context, uint64_t token, bool acknowledged)
{
    struct world *world = context;
    gh_buffer_print(&world->events, "%s %llu;", acknowledged ? "delivered" : "dropped",
                    (unsigned long long)token);
}

static void on_heartbeat(void *context)
{
    struct world *world = context;
    gh_buffer_print(&world->events, "heartbeat;");
}

static void on_traced(void *context, bool inbound, struct gh_slice packet)
{
    struct world *world = context;
    gh_buffer_print(&world->events, "%s", inbound ? "<" : ">");
    for (size_t i = 0; i < packet.size; i++)
        gh_buffer_print(&world->events, "%02x", packet.data[i]);
    gh_buffer_print(&world->events, ";");
}

static void on_end(void *context, enum gh_session_end why, const char *detail)
{
    struct world *world = context;
    gh_buffer_print(&world->events, "end %s;", gh_session_end_name(why));
    CHECK("an end says more than its name", detail != NULL);
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

static inline void world_begin(struct world *world, const struct gh_session_limits *limits)
{
    *world = (struct world){0};
    world->session = gh_session_open(limits, &host, world);
    REQUIRE("there is memory", world->session != NULL);
    gh_buffer_init(&world->out, 4096);
    gh_buffer_init(&world->input, 1 << 16);
    gh_buffer_init(&world->events, 1 << 20);
}

static inline void world_end(struct world *world)
{
    gh_session_close(world->session);
    gh_buffer_deinit(&world->out);
    gh_buffer_deinit(&world->input);
    gh_buffer_deinit(&world->events);
}

/* Offers what waits, as long as the session goes on with it. */
static inline void offer(struct world *world)
{
    do {
        size_t consumed = gh_session_input(world->session, gh_buffer_slice(&world->input),
                                           world->now_ns, &world->out);
        gh_buffer_drop(&world->input, consumed);
    } while (gh_session_resumable(world->session, &world->out));
}

static inline void arrive(struct world *world, struct gh_slice bytes)
{
    gh_buffer_put(&world->input, bytes);
    offer(world);
}

static inline enum gh_session_sending send_text(struct world *world, struct gh_slice text,
                                                uint8_t qos, uint64_t token)
{
    struct gh_session_message message = {.topic = GH_SLICE("t"), .payload = text, .qos = qos};
    return gh_session_publish(world->session, &message, token, world->now_ns, &world->out);
}

static inline void send_step(struct world *world, const struct step *step)
{
    struct gh_session_message plain = {
        .topic = GH_SLICE("t"),
        .payload = step->bytes,
        .qos = (uint8_t)(step->what == SEND2 ? 2 : step->what != SEND0),
    };
    bool goes = step->out.size != 0, is_plain = step->what < SEND;
    enum gh_session_sending sending =
        gh_session_publish(world->session, is_plain ? &plain : (const void *)step->bytes.data,
                           (uint64_t)step->n, world->now_ns, &world->out);
    CHECK("sent, full, too large or not connected",
          sending == (step->what == FULL || step->what == FULL1 ? GH_SESSION_FULL
                      : step->what == TOO_BIG                   ? GH_SESSION_TOO_LARGE
                      : goes                                    ? GH_SESSION_SENT
                                                                : GH_SESSION_GONE));
}

static inline void answer(struct world *world, const struct step *step)
{
    struct gh_session *session = world->session;
    struct gh_buffer *out = &world->out;
    uint16_t id = (uint16_t)step->n;
    uint8_t first = step->bytes.size != 0 ? step->bytes.data[0] : 0;

    switch (step->what) {
    case ADMIT:
        gh_session_admit(session,
                         step->bytes.size != 0 ? (const void *)step->bytes.data
                                               : &gh_session_admission_default,
                         out);
        break;
    case REFUSE:
        gh_session_refuse(session, (enum gh_session_refusal)step->n, out);
        break;
    case RENEW:
        gh_session_reauthenticated(session, step->n != 0, out);
        break;
    case ACK:
    case ANSWER:
        gh_session_acknowledge(session, id, first, out);
        break;
    case FORGO:
        gh_session_forgo(session, id);
        break;
    case COMPLETE:
        gh_session_complete(session, id, out);
        break;
    case SUBACK:
        gh_session_suback(session, step->bytes.data, step->bytes.size, out);
        break;
    case UNSUBACK:
        gh_session_unsuback(session, step->bytes.data, step->bytes.size, out);
        break;
    case RELEASE:
        gh_session_release(session, (uint64_t)step->n, out);
        break;
    case RESUME:
        CHECK("resumed", gh_session_resume_release(session, id, id, out) ==
                             (step->out.size != 0 ? GH_SESSION_SENT : GH_SESSION_FULL));
        break;
    case WITHDRAW:
        CHECK("found only when told",
              gh_session_withdraw(session, (uint64_t)step->n) == (step->events != NULL));
        break;
    case END:
        gh_session_end(session, (enum gh_session_end)step->n, "from outside", out);
        break;
    case SLOW:
        gh_session_slow(world->session, step->n * GH_MS_NS);
        break;
    case TRACE:
        gh_session_trace(session, step->n != 0);
        break;
    default:
        send_step(world, step);
        break;
    }
}

static inline bool said_farewell(const struct world *world, const struct step *step)
{
    struct gh_session_farewell farewell = gh_session_farewell(world->session);
    return farewell.will == ((step->n & 1) != 0) && farewell.has_expiry == ((step->n & 2) != 0) &&
           farewell.expiry_s == (step->bytes.size != 0 ? step->bytes.data[0] : 0);
}

static inline bool step_holds(struct world *world, const struct step *step)
{
    int64_t due_ns = step->n < 0 ? INT64_MAX : step->n * GH_MS_NS;

    switch (step->what) {
    case HELD:
        return world->input.size == (size_t)step->n;
    case DUE:
        return gh_session_deadline_ns(world->session) == due_ns;
    case FAREWELL:
        return said_farewell(world, step);
    case WAIT:
        world->waits = step->n != 0;
        break;
    case IN:
        arrive(world, step->bytes);
        break;
    case AT:
        world->now_ns = step->n * GH_MS_NS;
        gh_session_tick(world->session, world->now_ns, &world->out);
        break;
    default:
        answer(world, step);
        break;
    }
    if (gh_session_resumable(world->session, &world->out))
        offer(world);
    return true;
}

static inline void run_script(const struct script *script)
{
    struct world world;
    world_begin(&world, script->limits);
    for (size_t i = 0; i < script->count; i++) {
        const struct step *step = &script->steps[i];
        struct gh_slice told = gh_slice_text(step->events);
        bool held = CHECK(script->claim, step_holds(&world, step));
        held &= CHECK(script->claim, gh_slice_equal(gh_buffer_slice(&world.out), step->out));
        held &= CHECK(script->claim, gh_slice_equal(gh_buffer_slice(&world.events), told));
        if (!held) {
            printf("  step %zu: told \"%.*s\", deadline %lld ms, %zu bytes held, sent", i,
                   GH_PRINT(gh_buffer_slice(&world.events)),
                   (long long)(gh_session_deadline_ns(world.session) / GH_MS_NS), world.input.size);
            for (size_t at = 0; at < world.out.size; at++)
                printf(" %02x", world.out.data[at]);
            printf("\n");
        }
        gh_buffer_clear(&world.out);
        gh_buffer_clear(&world.events);
    }
    world_end(&world);
}
#endif
