#include "base/time.h"
#include "bench/load.h"

int64_t load_now_ns(void)
{
    return gh_time_monotonic_ns();
}

static void settle(struct peer *peer)
{
    if (peer->conn == NULL || peer->client == NULL)
        return;
    int64_t deadline_ns = gh_mqtt_client_deadline_ns(peer->client);
    if (gh_conn_out(peer->conn)->size > 0)
        gh_conn_dirty(peer->conn);
    gh_conn_set_deadline(peer->conn, deadline_ns == INT64_MAX ? 0 : deadline_ns);
}

/* --- the client's host */

static void come_up(struct peer *peer)
{
    peer->is_up = true;
    peer->events->up(peer);
}

static void on_connected(void *context, struct gh_mqtt_connack connack)
{
    static const char *const refusals[] = {
        "",
        "CONNACK 1: level",
        "CONNACK 2: client id",
        "CONNACK 3: unavailable",
        "CONNACK 4: credentials",
        "CONNACK 5: not authorised",
    };
    struct peer *peer = context;
    if (connack.code != GH_MQTT_ACCEPTED) {
        gh_conn_close_why(peer->conn, connack.code < GH_COUNT(refusals) ? refusals[connack.code]
                                                                        : "CONNACK with a code");
        return;
    }
    if (peer->filter.size == 0) {
        come_up(peer);
        return;
    }
    struct gh_mqtt_filter filter = {.filter = peer->filter, .qos = 1};
    if (gh_mqtt_client_subscribe(peer->client, &filter, 1, gh_loop_now_ns(peer->load->loop),
                                 gh_conn_out(peer->conn)) == 0)
        gh_conn_abort(peer->conn, "no room for SUBSCRIBE");
}

static void on_subscribed(void *context, uint16_t packet_id, struct gh_slice codes)
{
    struct peer *peer = context;
    (void)packet_id;
    if (peer->is_up && peer->events->subscribed != NULL)
        peer->events->subscribed(peer, codes);
    else if (codes.size == 1 && codes.data[0] == 1)
        come_up(peer);
    else
        gh_conn_close_why(peer->conn, "SUBSCRIBE refused");
}

static void on_published(void *context, uint64_t token)
{
    struct peer *peer = context;
    if (peer->events->published != NULL)
        peer->events->published(peer, token);
}

static void on_message(void *context, const struct gh_mqtt_publish *publish)
{
    struct peer *peer = context;
    if (peer->events->message != NULL)
        peer->events->message(peer, publish);
}

static void on_unsubscribed(void *context, uint16_t packet_id)
{
    (void)context, (void)packet_id;
}

static void on_pong(void *context)
{
    (void)context;
}

static void on_failed(void *context, const char *detail)
{
    struct peer *peer = context;
    gh_conn_abort(peer->conn, detail);
}

static const struct gh_mqtt_client_host host = {
    .connected = on_connected,
    .message = on_message,
    .published = on_published,
    .subscribed = on_subscribed,
    .unsubscribed = on_unsubscribed,
    .pong = on_pong,
    .failed = on_failed,
};

/* --- the connection's protocol */

static void *open_peer(void *context, struct gh_conn *conn)
{
    struct peer *peer = context;
    struct gh_mqtt_connect connect = {
        .client_id = peer->id,
        .clean = peer->load->options->stored == 0,
        .keep_alive_s = 600,
        .has_user_name = peer->password.size > 0 || peer->user.size > 0,
        .user_name = peer->user.size > 0 ? peer->user : GH_SLICE("unused"),
        .has_password = peer->password.size > 0,
        .password = peer->password};
    peer->conn = conn;
    peer->client = gh_mqtt_client_open(&peer->load->limits, &host, peer);
    if (peer->client == NULL)
        return NULL;
    if (!gh_mqtt_client_connect(peer->client, &connect, load_now_ns(), gh_conn_out(conn)))
        return NULL;
    settle(peer);
    return peer;
}

static size_t input(void *state, struct gh_slice bytes)
{
    struct peer *peer = state;
    size_t consumed = gh_mqtt_client_input(peer->client, bytes, gh_loop_now_ns(peer->load->loop),
                                           gh_conn_out(peer->conn));
    settle(peer);
    return consumed;
}

static void drained(void *state)
{
    struct peer *peer = state;
    if (peer->events->written != NULL)
        peer->events->written(peer);
}

static void tick(void *state)
{
    struct peer *peer = state;
    gh_mqtt_client_tick(peer->client, gh_loop_now_ns(peer->load->loop), gh_conn_out(peer->conn));
    settle(peer);
}

static void closed(void *state, const char *why)
{
    struct peer *peer = state;
    gh_mqtt_client_close(peer->client);
    peer->client = NULL;
    peer->conn = NULL;
    peer->was_up = peer->is_up;
    peer->is_up = false;
    peer->events->gone(peer, why);
}

static const struct gh_protocol protocol = {.name = "mqtt",
                                            .open = open_peer,
                                            .input = input,
                                            .tick = tick,
                                            .drained = drained,
                                            .closed = closed};

bool peer_try(struct peer *peer, struct gh_error *error)
{
    peer->dialled_ns = load_now_ns();
    peer->is_up = peer->said_goodbye = false;
    if (gh_conn_connect(peer->load->loop, peer->load->host, peer->load->port,
                        peer->tls != NULL ? peer->tls : peer->load->tls, NULL, &protocol, peer,
                        error) != NULL)
        return true;
    gh_mqtt_client_close(peer->client);
    peer->client = NULL;
    peer->conn = NULL;
    return false;
}

bool peer_dial(struct peer *peer)
{
    struct gh_error error;
    if (peer_try(peer, &error))
        return true;
    load_fail(peer->load, "cannot dial: %s", error.text);
    return false;
}

enum gh_mqtt_client_sending peer_publish(struct peer *peer, struct gh_slice topic,
                                         struct gh_slice payload, uint8_t qos, uint64_t token)
{
    enum gh_mqtt_client_sending sent =
        peer->client == NULL
            ? GH_MQTT_CLIENT_GONE
            : gh_mqtt_client_publish(peer->client, topic, payload, qos, token,
                                     gh_loop_now_ns(peer->load->loop), gh_conn_out(peer->conn));
    if (sent == GH_MQTT_CLIENT_SENT)
        gh_conn_dirty(peer->conn);
    return sent;
}

bool peer_subscribe(struct peer *peer, const struct gh_mqtt_filter filters[], size_t count)
{
    if (peer->client == NULL ||
        gh_mqtt_client_subscribe(peer->client, filters, count, gh_loop_now_ns(peer->load->loop),
                                 gh_conn_out(peer->conn)) == 0)
        return false;
    gh_conn_dirty(peer->conn);
    return true;
}

void peer_leave(struct peer *peer)
{
    if (peer->conn == NULL || peer->said_goodbye)
        return;
    peer->said_goodbye = true;
    gh_mqtt_client_disconnect(peer->client, gh_conn_out(peer->conn));
    gh_conn_close_why(peer->conn, "left");
}

/* --- many */

static void dial_next(struct opener *opener)
{
    if (opener->next < opener->count)
        (void)!peer_dial(&opener->peers[opener->next++]);
}

void opener_start(struct opener *opener)
{
    for (size_t i = 0; i < opener->concurrency; i++)
        dial_next(opener);
}

void opener_up(struct opener *opener)
{
    if (++opener->up == opener->count)
        opener->all_up(opener);
    else
        dial_next(opener);
}
