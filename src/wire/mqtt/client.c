#include "wire/mqtt/client.h"
#include "base/time.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum phase { PHASE_NEW, PHASE_CONNECTING, PHASE_UP, PHASE_ENDED };

struct waiting {
    uint64_t token;
    uint16_t packet_id;
    uint8_t answer; /* enum gh_mqtt_type: PUBACK, SUBACK or UNSUBACK */
};

struct gh_mqtt_client {
    const struct gh_mqtt_client_limits *limits;
    const struct gh_mqtt_client_host *host;
    void *context;
    struct waiting *waiting;   /* room for inflight_max; NULL while nothing waits */
    int64_t sent_ns, asked_ns; /* last packet sent; CONNECT or PINGREQ without its answer */
    uint16_t waiting_count, last_id, keep_alive_s;
    uint8_t phase;
    bool asked;
};

const struct gh_mqtt_client_limits gh_mqtt_client_limits_default = {
    .packet_bytes_max = 1 << 20,
    .inflight_max = 32,
    .answer_ns = 30 * GH_SECOND_NS,
};

struct gh_mqtt_client *gh_mqtt_client_open(const struct gh_mqtt_client_limits *limits,
                                           const struct gh_mqtt_client_host *host, void *context)
{
    struct gh_mqtt_client *client = calloc(1, sizeof *client);

    assert(limits->inflight_max != 0 && limits->inflight_max < UINT16_MAX);
    if (client == NULL)
        return NULL;
    client->limits = limits;
    client->host = host;
    client->context = context;
    return client;
}

void gh_mqtt_client_close(struct gh_mqtt_client *client)
{
    if (client == NULL)
        return;
    free(client->waiting);
    free(client);
}

bool gh_mqtt_client_connected(const struct gh_mqtt_client *client)
{
    return client->phase == PHASE_UP;
}

size_t gh_mqtt_client_inflight(const struct gh_mqtt_client *client)
{
    return client->waiting_count;
}

static void fail(struct gh_mqtt_client *client, const char *detail)
{
    if (client->phase == PHASE_ENDED)
        return;
    client->phase = PHASE_ENDED;
    client->host->failed(client->context, detail);
}

bool gh_mqtt_client_connect(struct gh_mqtt_client *client, const struct gh_mqtt_connect *connect,
                            int64_t now_ns, struct gh_buffer *out)
{
    struct gh_mqtt_connect packet = *connect;

    assert(client->phase == PHASE_NEW);
    packet.version = GH_MQTT_V311;
    if (!gh_mqtt_write_connect(&packet, out))
        return false;
    client->phase = PHASE_CONNECTING;
    client->keep_alive_s = connect->keep_alive_s;
    client->sent_ns = client->asked_ns = now_ns;
    client->asked = true;
    return true;
}

void gh_mqtt_client_disconnect(struct gh_mqtt_client *client, struct gh_buffer *out)
{
    if (client->phase == PHASE_UP)
        gh_mqtt_write_empty(GH_MQTT_DISCONNECT, out);
    client->phase = PHASE_ENDED;
}

/* What waits for an answer. */

static size_t find(const struct gh_mqtt_client *client, uint16_t packet_id)
{
    size_t i = 0;
    while (i < client->waiting_count && client->waiting[i].packet_id != packet_id)
        i++;
    return i;
}

/* A free packet id that from now on waits for `answer`; 0 when full. */
static uint16_t wait_for(struct gh_mqtt_client *client, enum gh_mqtt_type answer, uint64_t token)
{
    size_t count_max = client->limits->inflight_max;

    if (client->phase != PHASE_UP || client->waiting_count == count_max)
        return 0;
    if (client->waiting == NULL)
        client->waiting = calloc(count_max, sizeof *client->waiting);
    if (client->waiting == NULL)
        return 0;
    do {
        client->last_id++;
    } while (client->last_id == 0 || find(client, client->last_id) < client->waiting_count);
    client->waiting[client->waiting_count++] =
        (struct waiting){.token = token, .packet_id = client->last_id, .answer = (uint8_t)answer};
    return client->last_id;
}

/* False when nothing with this id waits for this answer. */
static bool answered(struct gh_mqtt_client *client, enum gh_mqtt_type answer, uint16_t packet_id,
                     uint64_t *token)
{
    size_t i = find(client, packet_id);

    if (i == client->waiting_count || client->waiting[i].answer != answer)
        return false;
    *token = client->waiting[i].token;
    client->waiting_count--;
    memmove(client->waiting + i, client->waiting + i + 1,
            (client->waiting_count - i) * sizeof *client->waiting);
    if (client->waiting_count == 0) {
        free(client->waiting);
        client->waiting = NULL;
    }
    return true;
}

/* The packet did not fit after all: as if it had never been asked for. */
static void forget(struct gh_mqtt_client *client, enum gh_mqtt_type answer, uint16_t packet_id)
{
    uint64_t token;
    bool waited = answered(client, answer, packet_id, &token);
    assert(waited);
    (void)waited;
}

static bool fits(size_t size, const struct gh_buffer *out)
{
    return !out->overflow && size <= out->size_max - out->size;
}

enum gh_mqtt_client_sending gh_mqtt_client_publish(struct gh_mqtt_client *client,
                                                   struct gh_slice topic, struct gh_slice payload,
                                                   uint8_t qos, uint64_t token, int64_t now_ns,
                                                   struct gh_buffer *out)
{
    struct gh_mqtt_publish publish = {.topic = topic, .payload = payload, .qos = qos};

    assert(qos <= 1);
    if (client->phase != PHASE_UP)
        return GH_MQTT_CLIENT_GONE;
    if (!fits(gh_mqtt_publish_size(GH_MQTT_V311, &publish), out))
        return GH_MQTT_CLIENT_FULL;
    if (qos == 1) {
        publish.packet_id = wait_for(client, GH_MQTT_PUBACK, token);
        if (publish.packet_id == 0)
            return GH_MQTT_CLIENT_FULL;
    }
    if (!gh_mqtt_write_publish(GH_MQTT_V311, &publish, out)) {
        if (qos == 1)
            forget(client, GH_MQTT_PUBACK, publish.packet_id);
        return GH_MQTT_CLIENT_FULL;
    }
    client->sent_ns = now_ns;
    if (qos == 0)
        client->host->published(client->context, token);
    return GH_MQTT_CLIENT_SENT;
}

static uint16_t ask(struct gh_mqtt_client *client, enum gh_mqtt_type type,
                    const struct gh_mqtt_filter filters[], size_t count, int64_t now_ns,
                    struct gh_buffer *out)
{
    enum gh_mqtt_type answer = type == GH_MQTT_SUBSCRIBE ? GH_MQTT_SUBACK : GH_MQTT_UNSUBACK;
    uint16_t packet_id = wait_for(client, answer, 0);
    struct gh_mqtt_filters head = {.packet_id = packet_id};

    if (packet_id == 0)
        return 0;
    if (!gh_mqtt_write_filters(GH_MQTT_V311, type, &head, filters, count, out)) {
        forget(client, answer, packet_id);
        return 0;
    }
    client->sent_ns = now_ns;
    return packet_id;
}

uint16_t gh_mqtt_client_subscribe(struct gh_mqtt_client *client,
                                  const struct gh_mqtt_filter filters[], size_t count,
                                  int64_t now_ns, struct gh_buffer *out)
{
    return ask(client, GH_MQTT_SUBSCRIBE, filters, count, now_ns, out);
}

uint16_t gh_mqtt_client_unsubscribe(struct gh_mqtt_client *client,
                                    const struct gh_mqtt_filter filters[], size_t count,
                                    int64_t now_ns, struct gh_buffer *out)
{
    return ask(client, GH_MQTT_UNSUBSCRIBE, filters, count, now_ns, out);
}

void gh_mqtt_client_puback(struct gh_mqtt_client *client, uint16_t packet_id, int64_t now_ns,
                           struct gh_buffer *out)
{
    if (client->phase != PHASE_UP)
        return;
    if (!gh_mqtt_write_ack(GH_MQTT_V311, GH_MQTT_PUBACK,
                           (struct gh_mqtt_ack){.packet_id = packet_id}, out))
        fail(client, "no room for a PUBACK");
    client->sent_ns = now_ns;
}

/* Input. */

static void take_connack(struct gh_mqtt_client *client, const struct gh_mqtt_packet *packet)
{
    if (packet->connack.code != GH_MQTT_ACCEPTED)
        client->phase = PHASE_ENDED;
    else
        client->phase = PHASE_UP;
    client->asked = false;
    client->host->connected(client->context, packet->connack);
}

static void take_publish(struct gh_mqtt_client *client, const struct gh_mqtt_publish *publish,
                         int64_t now_ns, struct gh_buffer *out)
{
    if (publish->qos == 2) {
        fail(client, "a message with QoS 2");
        return;
    }
    client->host->message(client->context, publish);
    if (publish->qos == 1 && !client->limits->acknowledge_by_hand)
        gh_mqtt_client_puback(client, publish->packet_id, now_ns, out);
}

static void take_answer(struct gh_mqtt_client *client, const struct gh_mqtt_packet *packet)
{
    bool puback = packet->type == GH_MQTT_PUBACK;
    uint16_t packet_id = puback ? packet->ack.packet_id : packet->suback.packet_id;
    uint64_t token;

    if (!answered(client, packet->type, packet_id, &token))
        fail(client, "an acknowledgement of nothing");
    else if (packet->type == GH_MQTT_SUBACK)
        client->host->subscribed(client->context, packet_id, packet->suback.codes);
    else if (packet->type == GH_MQTT_UNSUBACK)
        client->host->unsubscribed(client->context, packet_id);
    else
        client->host->published(client->context, token);
}

static void take(struct gh_mqtt_client *client, const struct gh_mqtt_packet *packet, int64_t now_ns,
                 struct gh_buffer *out)
{
    if ((packet->type == GH_MQTT_CONNACK) != (client->phase == PHASE_CONNECTING)) {
        fail(client, "CONNACK is not the first packet, or not the only one of its kind");
        return;
    }
    switch (packet->type) {
    case GH_MQTT_CONNACK:
        take_connack(client, packet);
        break;
    case GH_MQTT_PUBLISH:
        take_publish(client, &packet->publish, now_ns, out);
        break;
    case GH_MQTT_PUBACK:
    case GH_MQTT_SUBACK:
    case GH_MQTT_UNSUBACK:
        take_answer(client, packet);
        break;
    case GH_MQTT_PINGRESP:
        client->asked = false;
        client->host->pong(client->context);
        break;
    default:
        fail(client, "an acknowledgement of QoS 2");
        break;
    }
}

size_t gh_mqtt_client_input(struct gh_mqtt_client *client, struct gh_slice bytes, int64_t now_ns,
                            struct gh_buffer *out)
{
    size_t consumed = 0;

    while (client->phase == PHASE_CONNECTING || client->phase == PHASE_UP) {
        struct gh_mqtt_frame frame;
        struct gh_mqtt_packet packet;
        enum gh_mqtt_frame_status status = gh_mqtt_frame_read(
            gh_slice_sub(bytes, consumed, bytes.size), client->limits->packet_bytes_max, &frame);
        if (status == GH_MQTT_FRAME_MORE)
            break;
        if (status != GH_MQTT_FRAME_OK) {
            fail(client, "a frame that is malformed or too large");
            break;
        }
        enum gh_mqtt_fault fault =
            gh_mqtt_packet_read(&frame, GH_MQTT_V311, GH_MQTT_CLIENT, &packet);
        if (fault != GH_MQTT_FAULT_NONE) {
            fail(client, gh_mqtt_fault_text(fault));
            break;
        }
        consumed += frame.size;
        take(client, &packet, now_ns, out);
    }
    return consumed;
}

/* Time. */

static int64_t answer_due_ns(const struct gh_mqtt_client *client)
{
    return client->asked && client->limits->answer_ns != 0
               ? client->asked_ns + client->limits->answer_ns
               : INT64_MAX;
}

static int64_t ping_due_ns(const struct gh_mqtt_client *client)
{
    return client->phase == PHASE_UP && !client->asked && client->keep_alive_s != 0
               ? client->sent_ns + client->keep_alive_s * GH_SECOND_NS
               : INT64_MAX;
}

int64_t gh_mqtt_client_deadline_ns(const struct gh_mqtt_client *client)
{
    int64_t answer_ns = answer_due_ns(client), ping_ns = ping_due_ns(client);
    if (client->phase == PHASE_NEW || client->phase == PHASE_ENDED)
        return INT64_MAX;
    return answer_ns < ping_ns ? answer_ns : ping_ns;
}

void gh_mqtt_client_tick(struct gh_mqtt_client *client, int64_t now_ns, struct gh_buffer *out)
{
    if (gh_mqtt_client_deadline_ns(client) > now_ns)
        return;
    if (answer_due_ns(client) <= now_ns) {
        fail(client,
             client->phase == PHASE_CONNECTING ? "no CONNACK in time" : "no PINGRESP in time");
        return;
    }
    if (!gh_mqtt_write_empty(GH_MQTT_PINGREQ, out)) {
        fail(client, "no room for a PINGREQ");
        return;
    }
    client->sent_ns = client->asked_ns = now_ns;
    client->asked = true;
}
