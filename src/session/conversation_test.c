/* The client core and the session core talk to each other through bounded pipes that deliver in
 * pieces, under virtual time: whatever the pieces, the delays and the full queues, every message
 * with QoS 1 arrives once and is acknowledged once, in both directions. */
#include "base/time.h"
#include "session/session.h"
#include "tests/check.h"
#include "wire/mqtt/client.h"
#include <stdio.h>

enum { MESSAGES = 200, SEEDS = 50, TURNS_MAX = 200000, WAITING_MAX = 8 };

struct world {
    struct gh_session *session;
    struct gh_mqtt_client *client;
    struct gh_buffer up, down;              /* sent, not on the way yet */
    struct gh_buffer at_session, at_client; /* arrived, not consumed */
    int64_t now_ns;
    uint64_t random;
    uint16_t waiting[WAITING_MAX]; /* publishes that the host has not stored yet */
    size_t waiting_count;
    unsigned up_next, up_seen, up_done; /* messages of the client: next, received, acknowledged */
    unsigned down_next, down_seen, down_done; /* and of the server */
    bool subscribed, ended;
};

/* splitmix64 */
static uint64_t next_random(struct world *world)
{
    uint64_t z = (world->random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint64_t number_of(struct gh_slice payload)
{
    uint64_t number = UINT64_MAX;
    bool read = gh_slice_to_u64(payload, &number);
    return read ? number : UINT64_MAX;
}

/* The server's host. */

static void authenticate(void *context, const struct gh_mqtt_connect *connect)
{
    struct world *world = context;
    (void)connect;
    gh_session_admit(world->session, &gh_session_admission_default, &world->down);
}

static void session_publish(void *context, const struct gh_mqtt_publish *publish)
{
    struct world *world = context;
    CHECK("up: in order, once", number_of(publish->payload) == world->up_seen);
    world->up_seen++;
    world->waiting[world->waiting_count++] = publish->packet_id;
}

static void session_subscribe(void *context, const struct gh_mqtt_filters *filters)
{
    struct world *world = context;
    struct gh_mqtt_filters at = *filters;
    struct gh_mqtt_filter filter;
    CHECK("one filter", gh_mqtt_filter_next(&at, &filter));
    world->subscribed = filter.qos == 1;
    gh_session_suback(world->session, &filter.qos, 1, &world->down);
}

static void session_unsubscribe(void *context, const struct gh_mqtt_filters *filters)
{
    (void)context, (void)filters;
}

static void session_reauthenticate(void *context, struct gh_slice data)
{
    (void)context, (void)data;
}

static void session_release(void *context, uint16_t packet_id)
{
    (void)context, (void)packet_id;
}

static void session_received(void *context, uint64_t token)
{
    (void)context, (void)token;
}

static void session_traced(void *context, bool inbound, struct gh_slice packet)
{
    (void)context, (void)inbound, (void)packet;
}

static void session_delivered(void *context, uint64_t token, bool acknowledged)
{
    struct world *world = context;
    CHECK("down: acknowledged in order, once", acknowledged && token == world->down_done);
    world->down_done++;
}

static void session_heartbeat(void *context)
{
    (void)context;
}

static void session_end(void *context, enum gh_session_end why, const char *detail)
{
    struct world *world = context;
    world->ended = true;
    CHECK(detail, why == GH_SESSION_END_CLIENT_CLOSED);
}

static const struct gh_session_host session_host = {
    .authenticate = authenticate,
    .reauthenticate = session_reauthenticate,
    .publish = session_publish,
    .release = session_release,
    .subscribe = session_subscribe,
    .unsubscribe = session_unsubscribe,
    .received = session_received,
    .delivered = session_delivered,
    .heartbeat = session_heartbeat,
    .traced = session_traced,
    .end = session_end,
};

/* The client's host. */

static void client_connected(void *context, struct gh_mqtt_connack connack)
{
    struct world *world = context;
    struct gh_mqtt_filter filter = {.filter = GH_SLICE("down"), .qos = 1};
    CHECK("admitted", connack.code == GH_MQTT_ACCEPTED);
    CHECK("asks for messages",
          gh_mqtt_client_subscribe(world->client, &filter, 1, world->now_ns, &world->up) != 0);
}

static void client_message(void *context, const struct gh_mqtt_publish *publish)
{
    struct world *world = context;
    if (publish->dup && number_of(publish->payload) < world->down_seen)
        return; /* repeated while its PUBACK was on the way */
    CHECK("down: in order, once", number_of(publish->payload) == world->down_seen);
    world->down_seen++;
}

static void client_published(void *context, uint64_t token)
{
    struct world *world = context;
    CHECK("up: acknowledged in order, once", token == world->up_done);
    world->up_done++;
}

static void client_subscribed(void *context, uint16_t packet_id, struct gh_slice codes)
{
    (void)context, (void)packet_id;
    CHECK("granted", codes.size == 1 && codes.data[0] == 1);
}

static void client_unsubscribed(void *context, uint16_t packet_id)
{
    (void)context, (void)packet_id;
}

static void client_pong(void *context)
{
    (void)context;
}

static void client_failed(void *context, const char *detail)
{
    (void)context;
    CHECK(detail, false);
}

static const struct gh_mqtt_client_host client_host = {
    client_connected,    client_message, client_published, client_subscribed,
    client_unsubscribed, client_pong,    client_failed};

static const struct gh_session_limits limits = {
    .connect_bytes_max = 64,
    .packet_bytes_max = 64,
    .inflight_in_max = WAITING_MAX,
    .inflight_out_max = 4,
    .inflight_out_bytes_max = 64,
    .qos_max = 2,
    .messages_per_second = 50,
    .messages_burst = 5,
    .connect_ns = 60 * GH_SECOND_NS,
    .idle_ns = 1200 * GH_SECOND_NS,
    .repeat_ns = GH_SECOND_NS,
    .stall_ns = 60 * GH_SECOND_NS,
};

/* A piece of what was sent arrives. */
static void carry(struct world *world, struct gh_buffer *from, struct gh_buffer *to)
{
    size_t size = next_random(world) % 24;
    struct gh_slice piece = gh_slice_sub(gh_buffer_slice(from), 0, size);
    if (piece.size == 0)
        return;
    gh_buffer_put(to, piece);
    gh_buffer_drop(from, piece.size);
}

static void session_turn(struct world *world)
{
    if (world->waiting_count != 0 && next_random(world) % 2 == 0) {
        gh_session_acknowledge(world->session, world->waiting[0], 0, &world->down);
        world->waiting_count--;
        for (size_t i = 0; i < world->waiting_count; i++)
            world->waiting[i] = world->waiting[i + 1];
    }
    if (gh_session_deadline_ns(world->session) <= world->now_ns)
        gh_session_tick(world->session, world->now_ns, &world->down);
    size_t consumed = gh_session_input(world->session, gh_buffer_slice(&world->at_session),
                                       world->now_ns, &world->down);
    gh_buffer_drop(&world->at_session, consumed);
    char text[16];
    int size = snprintf(text, sizeof text, "%u", world->down_next);
    struct gh_session_message message = {
        .topic = GH_SLICE("down"), .payload = gh_slice(text, (size_t)size), .qos = 1};
    if (world->subscribed && world->down_next < MESSAGES &&
        gh_session_publish(world->session, &message, world->down_next, world->now_ns,
                           &world->down) == GH_SESSION_SENT)
        world->down_next++;
}

static void client_turn(struct world *world)
{
    char text[16];
    int size = snprintf(text, sizeof text, "%u", world->up_next);

    gh_mqtt_client_tick(world->client, world->now_ns, &world->up);
    size_t consumed = gh_mqtt_client_input(world->client, gh_buffer_slice(&world->at_client),
                                           world->now_ns, &world->up);
    gh_buffer_drop(&world->at_client, consumed);
    if (world->up_next < MESSAGES &&
        gh_mqtt_client_publish(world->client, GH_SLICE("up"), gh_slice(text, (size_t)size), 1,
                               world->up_next, world->now_ns, &world->up) == GH_MQTT_CLIENT_SENT)
        world->up_next++;
}

static bool finished(const struct world *world)
{
    return world->up_done == MESSAGES && world->down_done == MESSAGES;
}

static void talk(struct world *world)
{
    for (unsigned turn = 0; turn < TURNS_MAX && !finished(world) && !world->ended; turn++) {
        world->now_ns += (int64_t)(next_random(world) % 4) * GH_MS_NS;
        carry(world, &world->up, &world->at_session);
        session_turn(world);
        carry(world, &world->down, &world->at_client);
        client_turn(world);
    }
    CHECK("all messages arrived", world->up_seen == MESSAGES && world->down_seen == MESSAGES);
    CHECK("all were acknowledged", finished(world));
    CHECK("no queue overflowed", !world->up.overflow && !world->down.overflow);
}

static void say_goodbye(struct world *world)
{
    gh_mqtt_client_disconnect(world->client, &world->up);
    for (unsigned turn = 0; turn < TURNS_MAX && !world->ended; turn++) {
        world->now_ns += GH_MS_NS;
        carry(world, &world->up, &world->at_session);
        session_turn(world);
    }
    CHECK("the session ended as the client wished", world->ended);
}

static void run_seed(uint64_t seed)
{
    struct world world = {.random = seed};
    struct gh_mqtt_connect connect = {.client_id = GH_SLICE("a"), .clean = true, .keep_alive_s = 5};
    struct gh_buffer *buffers[] = {&world.up, &world.down, &world.at_session, &world.at_client};

    for (size_t i = 0; i < GH_COUNT(buffers); i++)
        gh_buffer_init(buffers[i], i < 2 ? GH_SESSION_FILTERS_MAX + 448 : 1 << 16);
    world.session = gh_session_open(&limits, &session_host, &world);
    world.client = gh_mqtt_client_open(&gh_mqtt_client_limits_default, &client_host, &world);
    REQUIRE("there is memory", world.session != NULL && world.client != NULL);
    REQUIRE("CONNECT fits", gh_mqtt_client_connect(world.client, &connect, 0, &world.up));
    talk(&world);
    say_goodbye(&world);
    if (!finished(&world) || !world.ended)
        printf("  seed %llu\n", (unsigned long long)seed);
    gh_session_close(world.session);
    gh_mqtt_client_close(world.client);
    for (size_t i = 0; i < GH_COUNT(buffers); i++)
        gh_buffer_deinit(buffers[i]);
}

int main(void)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run_seed(seed);
    return check_report();
}
