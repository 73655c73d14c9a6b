/* A client and a server that keep their sessions, over connections that break: everything in the
 * pipes is lost, work of the host under way is done or not, and both go on as the standards say
 * (3.1.1 §4.4, 5.0 §4.4): publishes and PUBRELs again with their ids. Whatever the pieces, the
 * delays and the breaks, in both versions and both directions each QoS 2 message arrives once, each
 * QoS 1 message at least once, and all of them in their order. */
#include "base/time.h"
#include "session/session.h"
#include "tests/check.h"
#include "wire/mqtt/property.h"
#include <stdio.h>
#include <string.h>

enum {
    MESSAGES = 100,
    SEEDS = 200,
    TURNS_MAX = 200000,
    BREAK_ONE_IN = 150, /* turns */
    IDS = 16,
    WINDOW = 6,          /* messages in flight; 3.1.1 has no Receive Maximum to keep */
    INFLIGHT_MAX = 4,    /* of the session, in and out */
    RECEIVE_MAX = 2,     /* of the client */
    QUEUE = 2 * IDS + 8, /* work that waits */
};

/* A message of one side that the other has not finally answered. */
struct flight {
    unsigned number;
    uint16_t id;
    uint8_t qos;
    bool released; /* PUBREC came */
    bool sent;     /* in this connection */
};

/* What each side keeps across connections, and what only lasts as long as one. */
struct side {
    struct flight flights[WINDOW];
    size_t flights_count;
    uint16_t last_id;
    unsigned next, seen; /* messages: the next one to send, those that arrived */
    bool has[IDS];       /* QoS 2 ids that arrived and were not released */
};

struct work {
    enum gh_mqtt_type type;
    uint64_t id; /* or token */
    unsigned number;
    uint8_t qos;
};

struct world {
    struct gh_session *session;
    enum gh_mqtt_version version;
    struct gh_buffer up, down, at_session, at_client;
    int64_t now_ns;
    uint64_t random, seed;
    struct side host, client;
    struct work host_work[QUEUE], client_work[QUEUE]; /* in order */
    size_t host_count, client_count;
    bool unanswered[IDS]; /* publishes of this connection without the client's last word */
    bool connected, knows_alias, used_alias, ended;
    unsigned connections;
};

/* splitmix64 */
static uint64_t next_random(struct world *world)
{
    uint64_t z = (world->random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static bool one_in(struct world *world, unsigned n)
{
    return next_random(world) % n == 0;
}

static unsigned number_of(struct gh_slice payload)
{
    uint64_t number = MESSAGES;
    CHECK("a payload is its number", gh_slice_to_u64(payload, &number));
    return (unsigned)number;
}

static size_t count_of(const bool ids[IDS])
{
    size_t count = 0;
    for (size_t id = 0; id < IDS; id++)
        count += ids[id];
    return count;
}

/* --- what both sides do */

static struct flight *find(struct side *side, uint16_t id)
{
    for (size_t i = 0; i < side->flights_count; i++)
        if (side->flights[i].id == id)
            return &side->flights[i];
    return NULL;
}

static void forget(struct side *side, struct flight *flight)
{
    size_t i = (size_t)(flight - side->flights);
    side->flights_count--;
    memmove(flight, flight + 1, (side->flights_count - i) * sizeof *flight);
}

/* The next message takes off: QoS 1 or 2, with an id that is free. */
static void take_off(struct side *side)
{
    do
        side->last_id = (uint16_t)(side->last_id % (IDS - 1) + 1);
    while (find(side, side->last_id) != NULL);
    side->flights[side->flights_count++] =
        (struct flight){.number = side->next, .id = side->last_id, .qos = side->next % 3 ? 2 : 1};
    side->next++;
}

/* A message has come to stay. */
static void arrive(struct side *side, unsigned number, uint8_t qos)
{
    if (qos == 1 && number < side->seen)
        return; /* at least once */
    CHECK("each once and in order", number == side->seen);
    side->seen++;
}

static struct work take_work(struct work *list, size_t *count)
{
    struct work first = list[0];
    (*count)--;
    memmove(list, list + 1, *count * sizeof *list);
    return first;
}

/* --- the host of the session */

static void on_authenticate(void *context, const struct gh_mqtt_connect *connect)
{
    struct world *world = context;
    struct gh_session_admission admission = gh_session_admission_default;
    uint16_t received[IDS];
    size_t count = 0;
    CHECK("the version", connect->version == world->version);
    for (uint16_t id = 1; id < IDS; id++)
        if (world->host.has[id])
            received[count++] = id;
    admission.session_present = world->connections > 1;
    admission.received = received;
    admission.received_count = count;
    gh_session_admit(world->session, &admission, &world->down);
}

static void on_publish(void *context, const struct gh_mqtt_publish *p)
{
    struct world *world = context;
    CHECK("an id that was released", p->qos == 1 || !world->host.has[p->packet_id]);
    CHECK("the topic behind its alias", gh_slice_equal(p->topic, GH_SLICE("upward")));
    world->host_work[world->host_count++] =
        (struct work){GH_MQTT_PUBLISH, p->packet_id, number_of(p->payload), p->qos};
}

static void on_release(void *context, uint16_t packet_id)
{
    struct world *world = context;
    world->host_work[world->host_count++] = (struct work){GH_MQTT_PUBREL, packet_id, 0, 2};
}

static void on_received(void *context, uint64_t token)
{
    struct world *world = context;
    world->host_work[world->host_count++] = (struct work){GH_MQTT_PUBREC, token, 0, 2};
}

static void on_delivered(void *context, uint64_t token, bool acknowledged)
{
    struct world *world = context;
    struct flight *flight = find(&world->host, (uint16_t)token);
    if (!acknowledged)
        return; /* the connection ended */
    if (CHECK("in flight", flight != NULL))
        forget(&world->host, flight);
}

static void on_end(void *context, enum gh_session_end why, const char *detail)
{
    struct world *world = context;
    world->ended = true;
    CHECK(detail, why == GH_SESSION_END_NETWORK);
}

static void on_filters(void *context, const struct gh_mqtt_filters *filters)
{
    (void)context, (void)filters;
}

static void on_data(void *context, struct gh_slice data)
{
    (void)context, (void)data;
}

static void on_heartbeat(void *context)
{
    (void)context;
}

static void on_traced(void *context, bool inbound, struct gh_slice packet)
{
    (void)context, (void)inbound, (void)packet;
}

static const struct gh_session_host host = {
    .authenticate = on_authenticate,
    .reauthenticate = on_data,
    .publish = on_publish,
    .release = on_release,
    .subscribe = on_filters,
    .unsubscribe = on_filters,
    .received = on_received,
    .delivered = on_delivered,
    .heartbeat = on_heartbeat,
    .traced = on_traced,
    .end = on_end,
};

static const struct gh_session_limits limits = {
    .connect_bytes_max = 64,
    .packet_bytes_max = 64,
    .inflight_in_max = INFLIGHT_MAX,
    .inflight_out_max = INFLIGHT_MAX,
    .topic_alias_in_max = 1,
    .topic_alias_out_max = 1,
    .qos_max = 2,
    .connect_ns = 60 * GH_SECOND_NS,
    .stall_ns = 60 * GH_SECOND_NS,
};

/* What was begun becomes durable, and the session is told. */
static void finish_work(struct world *world)
{
    struct work work = take_work(world->host_work, &world->host_count);
    uint16_t id = (uint16_t)work.id;
    struct flight *flight;

    if (work.type == GH_MQTT_PUBLISH) {
        arrive(&world->host, work.number, work.qos);
        world->host.has[id] |= work.qos == 2;
        gh_session_acknowledge(world->session, id, 0, &world->down);
    } else if (work.type == GH_MQTT_PUBREL) {
        world->host.has[id] = false;
        gh_session_complete(world->session, id, &world->down);
    } else {
        flight = find(&world->host, id);
        if (CHECK("in flight", flight != NULL))
            flight->released = true;
        gh_session_release(world->session, work.id, &world->down);
    }
}

/* In order: what flies already, then what is new. The token is the id. */
static void host_sends(struct world *world)
{
    for (size_t i = 0; i < world->host.flights_count; i++) {
        struct flight *flight = &world->host.flights[i];
        char text[16];
        int size = snprintf(text, sizeof text, "%u", flight->number);
        struct gh_session_message message = {.topic = GH_SLICE("downward"),
                                             .payload = gh_slice(text, (size_t)size),
                                             .qos = flight->qos,
                                             .dup = world->connections > 1,
                                             .packet_id = flight->id};
        if (flight->sent)
            continue;
        flight->sent = GH_SESSION_SENT ==
                       (flight->released ? gh_session_resume_release(world->session, flight->id,
                                                                     flight->id, &world->down)
                                         : gh_session_publish(world->session, &message, flight->id,
                                                              world->now_ns, &world->down));
        if (!flight->sent)
            return;
    }
    if (world->host.next < MESSAGES && world->host.flights_count < INFLIGHT_MAX)
        take_off(&world->host);
}

static void session_turn(struct world *world)
{
    if (world->host_count != 0 && one_in(world, 3))
        finish_work(world);
    if (gh_session_deadline_ns(world->session) <= world->now_ns)
        gh_session_tick(world->session, world->now_ns, &world->down);
    size_t consumed = gh_session_input(world->session, gh_buffer_slice(&world->at_session),
                                       world->now_ns, &world->down);
    gh_buffer_drop(&world->at_session, consumed);
    if (gh_session_connected(world->session))
        host_sends(world);
}

/* --- the client */

static void client_answers(struct world *world, enum gh_mqtt_type type, uint16_t id)
{
    world->client_work[world->client_count++] = (struct work){type, id, 0, 0};
}

static void client_takes(struct world *world, const struct gh_mqtt_publish *p)
{
    struct gh_mqtt_property_value alias;
    bool has_alias = gh_mqtt_property_find(p->properties, GH_MQTT_PROPERTY_TOPIC_ALIAS, &alias);
    CHECK("the alias that was allowed", !has_alias || alias.number == 1);
    CHECK("a topic, or an alias that was given one",
          gh_slice_equal(p->topic, GH_SLICE("downward")) || (has_alias && world->knows_alias));
    world->knows_alias |= has_alias;
    world->unanswered[p->packet_id] = true;
    CHECK("within Receive Maximum",
          world->version == GH_MQTT_V311 || count_of(world->unanswered) <= RECEIVE_MAX);
    if (p->qos == 1 || !world->client.has[p->packet_id])
        arrive(&world->client, number_of(p->payload), p->qos);
    world->client.has[p->packet_id] |= p->qos == 2;
    client_answers(world, p->qos == 1 ? GH_MQTT_PUBACK : GH_MQTT_PUBREC, p->packet_id);
}

static void client_is_connected(struct world *world, const struct gh_mqtt_connack *connack)
{
    CHECK("accepted", connack->code == 0);
    CHECK("the session is there", connack->session_present == (world->connections > 1));
    world->connected = true;
}

static void client_handles(struct world *world, const struct gh_mqtt_packet *packet)
{
    uint16_t id = packet->ack.packet_id;
    struct flight *flight;

    switch (packet->type) {
    case GH_MQTT_CONNACK:
        client_is_connected(world, &packet->connack);
        break;
    case GH_MQTT_PUBLISH:
        client_takes(world, &packet->publish);
        break;
    case GH_MQTT_PUBACK:
    case GH_MQTT_PUBCOMP:
        flight = find(&world->client, id);
        if (CHECK("in flight", flight != NULL))
            forget(&world->client, flight);
        break;
    case GH_MQTT_PUBREC:
        flight = find(&world->client, id);
        if (CHECK("in flight", flight != NULL))
            flight->released = true;
        client_answers(world, GH_MQTT_PUBREL, id);
        break;
    case GH_MQTT_PUBREL:
        world->client.has[id] = false;
        client_answers(world, GH_MQTT_PUBCOMP, id);
        break;
    default:
        CHECK("a packet that nobody asked for", false);
    }
}

static void client_reads(struct world *world)
{
    struct gh_mqtt_frame frame;
    struct gh_mqtt_packet packet;

    while (gh_mqtt_frame_read(gh_buffer_slice(&world->at_client), 64, &frame) == GH_MQTT_FRAME_OK) {
        enum gh_mqtt_fault fault =
            gh_mqtt_packet_read(&frame, world->version, GH_MQTT_CLIENT, &packet);
        REQUIRE("a packet", fault == GH_MQTT_FAULT_NONE);
        client_handles(world, &packet);
        gh_buffer_drop(&world->at_client, frame.size);
    }
}

static void client_publishes(struct world *world, struct flight *flight)
{
    char text[16];
    int size = snprintf(text, sizeof text, "%u", flight->number);
    struct gh_mqtt_publish publish = {.topic = GH_SLICE("upward"),
                                      .payload = gh_slice(text, (size_t)size),
                                      .qos = flight->qos,
                                      .dup = world->connections > 1,
                                      .packet_id = flight->id};
    if (world->version == GH_MQTT_V5) {
        publish.topic_alias = 1;
        publish.properties = GH_SLICE("\x23\0\x01");
        if (world->used_alias)
            publish.topic = GH_SLICE("");
        world->used_alias = true;
    }
    gh_mqtt_write_publish(world->version, &publish, &world->up);
}

static void client_sends(struct world *world)
{
    size_t window = world->version == GH_MQTT_V5 ? INFLIGHT_MAX : WINDOW;
    for (size_t i = 0; i < world->client.flights_count; i++) {
        struct flight *flight = &world->client.flights[i];
        if (!flight->sent && flight->released)
            gh_mqtt_write_ack(world->version, GH_MQTT_PUBREL,
                              (struct gh_mqtt_ack){.packet_id = flight->id}, &world->up);
        else if (!flight->sent)
            client_publishes(world, flight);
        flight->sent = true;
    }
    if (world->client.next < MESSAGES && world->client.flights_count < window)
        take_off(&world->client);
}

static void client_turn(struct world *world)
{
    client_reads(world);
    if (!world->connected)
        return;
    if (world->client_count != 0 && one_in(world, 2)) {
        struct work work = take_work(world->client_work, &world->client_count);
        gh_mqtt_write_ack(world->version, work.type,
                          (struct gh_mqtt_ack){.packet_id = (uint16_t)work.id}, &world->up);
        if (work.type == GH_MQTT_PUBACK || work.type == GH_MQTT_PUBCOMP)
            world->unanswered[work.id] = false;
    }
    if (one_in(world, 2))
        client_sends(world);
}

/* --- connections */

static void connect(struct world *world)
{
    uint8_t block[16];
    struct gh_buffer properties = gh_buffer_fixed(block, sizeof block);
    struct gh_mqtt_connect connect = {
        .version = world->version, .client_id = GH_SLICE("c"), .clean = world->connections == 0};

    gh_mqtt_property_put_number(&properties, GH_MQTT_PROPERTY_RECEIVE_MAXIMUM, RECEIVE_MAX);
    gh_mqtt_property_put_number(&properties, GH_MQTT_PROPERTY_TOPIC_ALIAS_MAXIMUM, 5);
    gh_mqtt_property_put_number(&properties, GH_MQTT_PROPERTY_SESSION_EXPIRY, 60);
    connect.properties = gh_buffer_slice(&properties);
    world->session = gh_session_open(&limits, &host, world);
    REQUIRE("there is memory", world->session != NULL);
    world->connections++;
    gh_mqtt_write_connect(&connect, &world->up);
}

static void land(struct side *side)
{
    for (size_t i = 0; i < side->flights_count; i++)
        side->flights[i].sent = false;
}

/* The line breaks. Of the host's work a part is done, which its session does not hear any more. */
static void disconnect(struct world *world)
{
    struct gh_buffer *buffers[] = {&world->up, &world->down, &world->at_session, &world->at_client};
    gh_session_end(world->session, GH_SESSION_END_NETWORK, "the line broke", NULL);
    CHECK("no queue overflowed", !world->up.overflow && !world->down.overflow);
    while (world->host_count != 0 && one_in(world, 2))
        finish_work(world);
    CHECK("nothing is sent behind the end", gh_session_ended(world->session));
    gh_session_close(world->session);
    for (size_t i = 0; i < GH_COUNT(buffers); i++)
        gh_buffer_clear(buffers[i]);
    memset(world->unanswered, 0, sizeof world->unanswered);
    world->host_count = world->client_count = 0;
    world->connected = world->knows_alias = world->used_alias = world->ended = false;
    land(&world->host);
    land(&world->client);
}

static bool is_done(const struct side *sender, const struct side *receiver)
{
    return sender->next == MESSAGES && sender->flights_count == 0 && receiver->seen == MESSAGES &&
           count_of(receiver->has) == 0;
}

static bool all_done(const struct world *world)
{
    return is_done(&world->client, &world->host) && is_done(&world->host, &world->client);
}

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

static void run_seed(uint64_t seed)
{
    struct world world = {.random = seed, .version = seed % 2 ? GH_MQTT_V5 : GH_MQTT_V311};
    struct gh_buffer *buffers[] = {&world.up, &world.down, &world.at_session, &world.at_client};

    for (size_t i = 0; i < GH_COUNT(buffers); i++)
        gh_buffer_init(buffers[i], i == 1 ? GH_SESSION_FILTERS_MAX + 256 : 1 << 16);
    connect(&world);
    for (unsigned turn = 0; turn < TURNS_MAX && !all_done(&world) && !world.ended; turn++) {
        world.now_ns += (int64_t)(next_random(&world) % 4) * GH_MS_NS;
        carry(&world, &world.up, &world.at_session);
        session_turn(&world);
        carry(&world, &world.down, &world.at_client);
        client_turn(&world);
        if (one_in(&world, BREAK_ONE_IN) && !world.ended) {
            disconnect(&world);
            connect(&world);
        }
    }
    if (!CHECK("all arrived, and nothing is left", all_done(&world)))
        printf("  seed %llu: %u up, %u down, %u connections\n", (unsigned long long)seed,
               world.host.seen, world.client.seen, world.connections);
    disconnect(&world);
    for (size_t i = 0; i < GH_COUNT(buffers); i++)
        gh_buffer_deinit(buffers[i]);
}

int main(void)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run_seed(seed);
    return check_report();
}
