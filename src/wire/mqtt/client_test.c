#include "base/time.h"
#include "tests/check.h"
#include "wire/mqtt/client.h"
#include <stdio.h>

/* A client and what it told its host. */
struct world {
    struct gh_mqtt_client *client;
    struct gh_buffer out, events;
    int64_t now_ns;
};

static void connected(void *context, struct gh_mqtt_connack connack)
{
    struct world *world = context;
    gh_buffer_print(&world->events, "connected %u;", connack.code);
}

static void message(void *context, const struct gh_mqtt_publish *p)
{
    struct world *world = context;
    gh_buffer_print(&world->events, "message %.*s=%.*s q%u;", GH_PRINT(p->topic),
                    GH_PRINT(p->payload), p->qos);
}

static void published(void *context, uint64_t token)
{
    struct world *world = context;
    gh_buffer_print(&world->events, "published %llu;", (unsigned long long)token);
}

static void subscribed(void *context, uint16_t packet_id, struct gh_slice codes)
{
    struct world *world = context;
    gh_buffer_print(&world->events, "subscribed %u", packet_id);
    for (size_t i = 0; i < codes.size; i++)
        gh_buffer_print(&world->events, " %02x", codes.data[i]);
    gh_buffer_print(&world->events, ";");
}

static void unsubscribed(void *context, uint16_t packet_id)
{
    struct world *world = context;
    gh_buffer_print(&world->events, "unsubscribed %u;", packet_id);
}

static void pong(void *context)
{
    struct world *world = context;
    gh_buffer_print(&world->events, "pong;");
}

static void failed(void *context, const char *detail)
{
    struct world *world = context;
    gh_buffer_print(&world->events, "failed;");
    CHECK("a failure says why", detail != NULL && detail[0] != '\0');
}

static const struct gh_mqtt_client_host host = {connected,    message, published, subscribed,
                                                unsubscribed, pong,    failed};
static const struct gh_mqtt_client_limits by_itself = {
    .packet_bytes_max = 64, .inflight_max = 2, .answer_ns = 30 * GH_SECOND_NS};
static const struct gh_mqtt_client_limits by_hand = {.packet_bytes_max = 64,
                                                     .inflight_max = 2,
                                                     .answer_ns = 30 * GH_SECOND_NS,
                                                     .acknowledge_by_hand = true};

enum what {
    OPEN, /* CONNECT with client id "a" and `n` s of keep-alive */
    IN,   /* `bytes` arrive, one by one */
    AT,   /* it is `n` ms; tick */
    SEND0,
    SEND1, /* `bytes` to topic "t" with token `n` */
    FULL1,
    SUBSCRIBE,   /* filter `bytes` with QoS 1; the packet id is `n` */
    UNSUBSCRIBE, /* the same */
    ACK,         /* id `n` by hand */
    BYE,
    DUE, /* the deadline is `n` ms; -1 never */
};

struct step {
    enum what what;
    int64_t n;
    struct gh_slice bytes, out;
    const char *events;
};

#define BYTES GH_SLICE_INIT
#define NO_BYTES                                                                                   \
    {                                                                                              \
        NULL, 0                                                                                    \
    }
#define CONNECT_60                                                                                 \
    "\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01"                                                       \
    "a"
#define UP                                                                                         \
    {OPEN, 60, NO_BYTES, BYTES(CONNECT_60), NULL},                                                 \
    {                                                                                              \
        IN, 0, BYTES("\x20\x02\0\0"), NO_BYTES, "connected 0;"                                     \
    }

static const struct step life[] = {
    {DUE, -1, NO_BYTES, NO_BYTES, NULL},
    UP,
    {SUBSCRIBE, 1, BYTES("c/#"),
     BYTES("\x82\x08\0\x01\0\x03"
           "c/#\x01"),
     NULL},
    {IN, 0, BYTES("\x90\x03\0\x01\x80"), NO_BYTES, "subscribed 1 80;"},
    {SEND1, 7, BYTES("x"), BYTES("\x32\x06\0\x01t\0\x02x"), NULL},
    {SEND1, 8, BYTES("y"), BYTES("\x32\x06\0\x01t\0\x03y"), NULL},
    {FULL1, 9, BYTES("z"), NO_BYTES, NULL},
    {SUBSCRIBE, 0, BYTES("d"), NO_BYTES, NULL},
    {IN, 0, BYTES("\x40\x02\0\x03\x40\x02\0\x02"), NO_BYTES, "published 8;published 7;"},
    {SEND0, 9, BYTES("z"), BYTES("\x30\x04\0\x01tz"), "published 9;"},
    {UNSUBSCRIBE, 4, BYTES("c/#"),
     BYTES("\xa2\x07\0\x04\0\x03"
           "c/#"),
     NULL},
    {IN, 0, BYTES("\xb0\x02\0\x04"), NO_BYTES, "unsubscribed 4;"},
    {BYE, 0, NO_BYTES, BYTES("\xe0\0"), NULL},
    {IN, 0, BYTES("\xd0\0"), NO_BYTES, NULL},
    {DUE, -1, NO_BYTES, NO_BYTES, NULL},
};
static const struct step messages[] = {
    UP,
    {IN, 0, BYTES("\x30\x04\0\x01tx\x32\x06\0\x01t\0\x09y"), BYTES("\x40\x02\0\x09"),
     "message t=x q0;message t=y q1;"},
};
static const struct step messages_by_hand[] = {
    UP,
    {IN, 0, BYTES("\x32\x06\0\x01t\0\x09y"), NO_BYTES, "message t=y q1;"},
    {ACK, 9, NO_BYTES, BYTES("\x40\x02\0\x09"), NULL},
};
static const struct step keep_alive[] = {
    UP,
    {DUE, 60000, NO_BYTES, NO_BYTES, NULL},
    {AT, 59999, NO_BYTES, NO_BYTES, NULL},
    {SEND0, 1, BYTES("x"), BYTES("\x30\x04\0\x01tx"), "published 1;"},
    {DUE, 119999, NO_BYTES, NO_BYTES, NULL},
    {AT, 119999, NO_BYTES, BYTES("\xc0\0"), NULL},
    {DUE, 149999, NO_BYTES, NO_BYTES, NULL},
    {IN, 0, BYTES("\xd0\0"), NO_BYTES, "pong;"},
    {AT, 179999, NO_BYTES, BYTES("\xc0\0"), NULL},
    {AT, 209999, NO_BYTES, NO_BYTES, "failed;"},
    {DUE, -1, NO_BYTES, NO_BYTES, NULL},
};
static const struct step no_connack[] = {
    {OPEN, 0, NO_BYTES,
     BYTES("\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01"
           "a"),
     NULL},
    {SUBSCRIBE, 0, BYTES("c"), NO_BYTES, NULL},
    {AT, 29999, NO_BYTES, NO_BYTES, NULL},
    {AT, 30000, NO_BYTES, NO_BYTES, "failed;"},
};
static const struct step refused[] = {
    {OPEN, 60, NO_BYTES, BYTES(CONNECT_60), NULL},
    {IN, 0, BYTES("\x20\x02\0\x05\xd0\0"), NO_BYTES, "connected 5;"},
    {DUE, -1, NO_BYTES, NO_BYTES, NULL},
};
static const struct step not_connack_first[] = {
    {OPEN, 60, NO_BYTES, BYTES(CONNECT_60), NULL},
    {IN, 0, BYTES("\xd0\0"), NO_BYTES, "failed;"},
};
static const struct step connack_twice[] = {UP,
                                            {IN, 0, BYTES("\x20\x02\0\0"), NO_BYTES, "failed;"}};
static const struct step ack_of_nothing[] = {UP,
                                             {IN, 0, BYTES("\x40\x02\0\x01"), NO_BYTES, "failed;"}};
static const struct step ack_of_another_kind[] = {
    UP,
    {SEND1, 1, BYTES("x"), BYTES("\x32\x06\0\x01t\0\x01x"), NULL},
    {IN, 0, BYTES("\x90\x03\0\x01\0"), NO_BYTES, "failed;"},
};
static const struct step qos_2[] = {UP,
                                    {IN, 0, BYTES("\x34\x05\0\x01t\0\x01"), NO_BYTES, "failed;"}};
static const struct step malformed[] = {UP, {IN, 0, BYTES("\x30\x03\0\x01#"), NO_BYTES, "failed;"}};
static const struct step too_large[] = {UP, {IN, 0, BYTES("\x30\x3f"), NO_BYTES, "failed;"}};

#define SCRIPT(steps) steps, GH_COUNT(steps)
static const struct {
    const char *claim;
    const struct gh_mqtt_client_limits *limits;
    const struct step *steps;
    size_t count;
} scripts[] = {
    {"connect, subscribe, publish, unsubscribe, disconnect", &by_itself, SCRIPT(life)},
    {"messages are acknowledged", &by_itself, SCRIPT(messages)},
    {"or the host does it", &by_hand, SCRIPT(messages_by_hand)},
    {"PINGREQ when nothing was sent for the keep-alive", &by_itself, SCRIPT(keep_alive)},
    {"no CONNACK in time", &by_itself, SCRIPT(no_connack)},
    {"a refusal is the end", &by_itself, SCRIPT(refused)},
    {"another packet before CONNACK", &by_itself, SCRIPT(not_connack_first)},
    {"CONNACK twice", &by_itself, SCRIPT(connack_twice)},
    {"PUBACK of nothing", &by_itself, SCRIPT(ack_of_nothing)},
    {"SUBACK of a PUBLISH", &by_itself, SCRIPT(ack_of_another_kind)},
    {"QoS 2", &by_itself, SCRIPT(qos_2)},
    {"a malformed packet", &by_itself, SCRIPT(malformed)},
    {"a packet over the limit", &by_itself, SCRIPT(too_large)},
};

static void arrive(struct world *world, struct gh_slice bytes)
{
    struct gh_buffer input;
    gh_buffer_init(&input, 1024);
    for (size_t i = 0; i < bytes.size; i++) {
        gh_buffer_put(&input, gh_slice_sub(bytes, i, 1));
        size_t consumed = gh_mqtt_client_input(world->client, gh_buffer_slice(&input),
                                               world->now_ns, &world->out);
        gh_buffer_drop(&input, consumed);
    }
    gh_buffer_deinit(&input);
}

static bool send_message(struct world *world, const struct step *step)
{
    uint8_t qos = step->what == SEND0 ? 0 : 1;
    return gh_mqtt_client_publish(world->client, GH_SLICE("t"), step->bytes, qos, (uint64_t)step->n,
                                  world->now_ns, &world->out) ==
           (step->what == FULL1 ? GH_MQTT_CLIENT_FULL : GH_MQTT_CLIENT_SENT);
}

static bool step_holds(struct world *world, const struct step *step)
{
    struct gh_mqtt_connect connect = {.client_id = GH_SLICE("a"), .clean = true};
    struct gh_mqtt_filter asked = {.filter = step->bytes, .qos = 1};

    switch (step->what) {
    case OPEN:
        connect.keep_alive_s = (uint16_t)step->n;
        return gh_mqtt_client_connect(world->client, &connect, world->now_ns, &world->out);
    case IN:
        arrive(world, step->bytes);
        break;
    case AT:
        world->now_ns = step->n * GH_MS_NS;
        gh_mqtt_client_tick(world->client, world->now_ns, &world->out);
        break;
    case SEND0:
    case SEND1:
    case FULL1:
        return send_message(world, step);
    case SUBSCRIBE:
        return gh_mqtt_client_subscribe(world->client, &asked, 1, world->now_ns, &world->out) ==
               step->n;
    case UNSUBSCRIBE:
        return gh_mqtt_client_unsubscribe(world->client, &asked, 1, world->now_ns, &world->out) ==
               step->n;
    case ACK:
        gh_mqtt_client_puback(world->client, (uint16_t)step->n, world->now_ns, &world->out);
        break;
    case BYE:
        gh_mqtt_client_disconnect(world->client, &world->out);
        break;
    case DUE:
        return gh_mqtt_client_deadline_ns(world->client) ==
               (step->n < 0 ? INT64_MAX : step->n * GH_MS_NS);
    }
    return true;
}

static void run_script(size_t row)
{
    struct world world = {0};
    world.client = gh_mqtt_client_open(scripts[row].limits, &host, &world);
    REQUIRE("there is memory", world.client != NULL);
    gh_buffer_init(&world.out, 1024);
    gh_buffer_init(&world.events, 1024);
    for (size_t i = 0; i < scripts[row].count; i++) {
        const struct step *step = &scripts[row].steps[i];
        struct gh_slice told = gh_slice_text(step->events);
        bool held = CHECK(scripts[row].claim, step_holds(&world, step));
        held &= CHECK(scripts[row].claim, gh_slice_equal(gh_buffer_slice(&world.out), step->out));
        held &= CHECK(scripts[row].claim, gh_slice_equal(gh_buffer_slice(&world.events), told));
        if (!held)
            printf("  step %zu: %zu bytes out, told \"%.*s\"\n", i, world.out.size,
                   GH_PRINT(gh_buffer_slice(&world.events)));
        gh_buffer_clear(&world.out);
        gh_buffer_clear(&world.events);
    }
    gh_mqtt_client_close(world.client);
    gh_buffer_deinit(&world.out);
    gh_buffer_deinit(&world.events);
}

/* What does not fit was never asked for: its id is free and nothing waits. */
static void no_room(void)
{
    struct world world = {0};
    struct gh_mqtt_filter asked = {.filter = GH_SLICE("c")};
    uint8_t block[4];
    struct gh_buffer tiny = gh_buffer_fixed(block, sizeof block);

    world.client = gh_mqtt_client_open(&by_itself, &host, &world);
    REQUIRE("there is memory", world.client != NULL);
    gh_buffer_init(&world.out, 1024);
    gh_buffer_init(&world.events, 1024);
    CHECK(
        "CONNECT does not fit",
        !gh_mqtt_client_connect(world.client, &(struct gh_mqtt_connect){.clean = true}, 0, &tiny));
    gh_buffer_clear(&tiny);
    CHECK("and can be tried again",
          gh_mqtt_client_connect(world.client, &(struct gh_mqtt_connect){.clean = true}, 0,
                                 &world.out));
    arrive(&world, GH_SLICE("\x20\x02\0\0"));
    CHECK("no room for a message", gh_mqtt_client_publish(world.client, asked.filter, GH_SLICE(""),
                                                          1, 1, 0, &tiny) == GH_MQTT_CLIENT_FULL);
    CHECK("no room for a filter", gh_mqtt_client_subscribe(world.client, &asked, 1, 0, &tiny) == 0);
    CHECK("nothing waits", gh_mqtt_client_inflight(world.client) == 0);
    gh_mqtt_client_close(world.client);
    gh_buffer_deinit(&world.out);
    gh_buffer_deinit(&world.events);
}

int main(void)
{
    for (size_t i = 0; i < GH_COUNT(scripts); i++)
        run_script(i);
    no_room();
    return check_report();
}
