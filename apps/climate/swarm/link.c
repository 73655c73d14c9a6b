#include "apps/climate/swarm/link.h"
#include "apps/climate/model/sensor.h"
#include "base/log.h"
#include "base/time.h"
#include "wire/jose.h"
#include <assert.h>
#include <stdio.h>

enum {
    KEEP_ALIVE_S = 60,
    TEXT_MAX = 512,   /* of a client id or topic */
    TOKEN_MAX = 4096, /* an RSA signature of 512 bytes and the claims */
    OUTPUT_MAX = 64 * 1024,
};

/* Eight unanswered publishes are a stuck server; more would only be older readings. */
static const struct gh_mqtt_client_limits limits = {
    .packet_bytes_max = 300 * 1024, .inflight_max = 8, .answer_ns = 30 * GH_SECOND_NS};

int64_t gh_link_pause_ms(unsigned attempts, uint64_t *random)
{
    const unsigned doublings_max = 5; /* 32 s */
    unsigned doublings = attempts < doublings_max ? attempts : doublings_max;
    return (INT64_C(1000) << doublings) + (int64_t)(gh_sensor_random(random) % 1000);
}

bool gh_link_print_token(const struct gh_private_key *key, const char *audience, int64_t now_s,
                         int64_t ttl_s, struct gh_buffer *out)
{
    uint8_t signature[GH_KEY_SIGNATURE_MAX];
    size_t size;
    struct gh_jose_issue issue = {
        .audience = gh_slice_text(audience), .issued_at_s = now_s, .expires_at_s = now_s + ttl_s};
    return gh_jose_begin(out, gh_private_key_algorithm(key), &issue) &&
           gh_private_key_sign(key, gh_buffer_slice(out), signature, &size) &&
           gh_jose_finish(out, gh_slice(signature, size));
}

static void later(struct gh_link *link, int64_t delay_ms, void (*fire)(struct gh_timer *timer))
{
    gh_timer_set(link->place->loop, &link->timer,
                 gh_loop_now_ns(link->place->loop) + delay_ms * GH_MS_NS, fire);
}

static struct gh_link *link_of_timer(struct gh_timer *timer)
{
    return (struct gh_link *)((char *)timer - offsetof(struct gh_link, timer));
}

/* Ends the connection in order; `closed` decides what follows. */
static void hang_up(struct gh_link *link, const char *why)
{
    if (link->conn == NULL)
        return;
    if (gh_mqtt_client_connected(link->client))
        gh_mqtt_client_disconnect(link->client, gh_conn_out(link->conn));
    gh_conn_dirty(link->conn);
    gh_conn_close_why(link->conn, why);
}

static void renew(struct gh_timer *timer)
{
    struct gh_link *link = link_of_timer(timer);
    link->renewing = true;
    hang_up(link, "the token is renewed");
}

/* The client's callbacks. */
static void on_connected(void *context, struct gh_mqtt_connack connack)
{
    struct gh_link *link = context;
    char commands[TEXT_MAX], config[TEXT_MAX];
    if (connack.code != GH_MQTT_ACCEPTED) {
        gh_log(GH_LOG_WARN, "swarm", "%s: the server refused the connection with CONNACK %u",
               link->device, connack.code);
        gh_conn_close_why(link->conn, "refused by the server");
        return;
    }
    snprintf(commands, sizeof commands, "/devices/%s/commands/#", link->device);
    snprintf(config, sizeof config, "/devices/%s/config", link->device);
    const struct gh_mqtt_filter filters[] = {
        {.filter = gh_slice_text(config), .qos = 1},
        {.filter = gh_slice_text(commands), .qos = 1},
    };
    if (gh_mqtt_client_subscribe(link->client, filters, GH_COUNT(filters),
                                 gh_loop_now_ns(link->place->loop), gh_conn_out(link->conn)) == 0) {
        gh_conn_close_why(link->conn, "cannot subscribe");
        return;
    }
    link->connects++;
    link->attempts = 0;
    /* Between 80 and 90 % of the token's life, so that a fleet does not renew in one moment. */
    int64_t life_ms = link->place->token_ttl_s * 1000;
    later(link,
          life_ms * 8 / 10 + (int64_t)(gh_sensor_random(&link->random) % (uint64_t)(life_ms / 10)),
          renew);
}

static void on_message(void *context, const struct gh_mqtt_publish *publish)
{
    struct gh_link *link = context;
    char prefix[TEXT_MAX];
    snprintf(prefix, sizeof prefix, "/devices/%s/commands", link->device);
    if (gh_slice_starts(publish->topic, gh_slice_text(prefix)))
        link->command(link, publish->payload);
}

static void on_published(void *context, uint64_t token)
{
    struct gh_link *link = context;
    (void)token;
    link->acknowledged++;
}

static void on_subscribed(void *context, uint16_t packet_id, struct gh_slice codes)
{
    struct gh_link *link = context;
    (void)packet_id;
    for (size_t i = 0; i < codes.size; i++) {
        if (codes.data[i] == GH_MQTT_SUBACK_REFUSED)
            gh_log(GH_LOG_WARN, "swarm", "%s: the server refused the subscription to %s",
                   link->device, i == 0 ? "config" : "commands");
    }
}

static void on_unsubscribed(void *context, uint16_t packet_id)
{
    (void)context;
    (void)packet_id;
}

static void on_pong(void *context)
{
    (void)context;
}

static void on_failed(void *context, const char *detail)
{
    struct gh_link *link = context;
    gh_conn_close_why(link->conn, detail);
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

/* What the client queued is written, and its next deadline kept. */
static void flush(struct gh_link *link)
{
    int64_t at_ns = gh_mqtt_client_deadline_ns(link->client);
    gh_conn_dirty(link->conn);
    gh_conn_set_deadline(link->conn, at_ns == INT64_MAX ? 0 : at_ns);
}

/* The connection's callbacks. */
static void *on_open(void *context, struct gh_conn *conn)
{
    struct gh_link *link = context;
    link->client = gh_mqtt_client_open(&limits, &host, link);
    if (link->client == NULL)
        return NULL;
    link->conn = conn;
    return link;
}

static void on_established(void *state)
{
    struct gh_link *link = state;
    char client_id[TEXT_MAX];
    struct gh_buffer token;
    gh_buffer_init(&token, TOKEN_MAX);
    const struct gh_link_place *place = link->place;
    snprintf(client_id, sizeof client_id, "projects/%s/locations/%s/registries/%s/devices/%s",
             place->project, place->location, place->registry, link->device);
    bool signed_ = gh_link_print_token(link->key, place->project, gh_time_utc_ms() / 1000,
                                       place->token_ttl_s, &token);
    struct gh_mqtt_connect connect = {.client_id = gh_slice_text(client_id),
                                      .has_user_name = true,
                                      .user_name = GH_SLICE("unused"),
                                      .has_password = true,
                                      .password = gh_buffer_slice(&token),
                                      .clean = true,
                                      .keep_alive_s = KEEP_ALIVE_S};
    if (signed_ && gh_mqtt_client_connect(link->client, &connect, gh_loop_now_ns(place->loop),
                                          gh_conn_out(link->conn)))
        flush(link);
    else
        gh_conn_close_why(link->conn, "cannot sign a token");
    gh_buffer_deinit(&token);
}

static size_t on_input(void *state, struct gh_slice bytes)
{
    struct gh_link *link = state;
    size_t used = gh_mqtt_client_input(link->client, bytes, gh_loop_now_ns(link->place->loop),
                                       gh_conn_out(link->conn));
    flush(link);
    return used;
}

static void on_tick(void *state)
{
    struct gh_link *link = state;
    gh_mqtt_client_tick(link->client, gh_loop_now_ns(link->place->loop), gh_conn_out(link->conn));
    flush(link);
}

static void dial(struct gh_timer *timer);

static void on_closed(void *state, const char *why)
{
    struct gh_link *link = state;
    bool renewing = link->renewing;
    gh_mqtt_client_close(link->client);
    link->client = NULL;
    link->conn = NULL;
    link->renewing = false;
    gh_timer_cancel(link->place->loop, &link->timer);
    if (!link->wanted)
        return;
    if (renewing) {
        later(link, 0, dial);
        return;
    }
    gh_log(link->attempts == 0 ? GH_LOG_WARN : GH_LOG_DEBUG, "swarm", "%s: connection lost: %s",
           link->device, why);
    later(link, gh_link_pause_ms(link->attempts++, &link->random), dial);
}

static const struct gh_protocol protocol = {
    .name = "mqtt",
    .output_max = OUTPUT_MAX,
    .open = on_open,
    .input = on_input,
    .tick = on_tick,
    .established = on_established,
    .closed = on_closed,
};

static void dial(struct gh_timer *timer)
{
    struct gh_link *link = link_of_timer(timer);
    const struct gh_link_place *place = link->place;
    struct gh_error error = {0};
    if (gh_conn_connect(place->loop, place->host, place->port, place->tls, place->server_name,
                        &protocol, link, &error) != NULL)
        return;
    gh_log(link->attempts == 0 ? GH_LOG_WARN : GH_LOG_DEBUG, "swarm", "%s: %s", link->device,
           error.text);
    gh_mqtt_client_close(link->client); /* `closed` does not come for a refused dial */
    link->client = NULL;
    link->conn = NULL;
    later(link, gh_link_pause_ms(link->attempts++, &link->random), dial);
}

void gh_link_start(struct gh_link *link, int64_t delay_ms)
{
    assert(!link->wanted);
    link->wanted = true;
    link->attempts = 0;
    if (link->conn == NULL)
        later(link, delay_ms, dial);
}

void gh_link_stop(struct gh_link *link)
{
    link->wanted = false;
    gh_timer_cancel(link->place->loop, &link->timer);
    hang_up(link, "ended here");
}

bool gh_link_is_wanted(const struct gh_link *link)
{
    return link->wanted;
}

bool gh_link_is_connected(const struct gh_link *link)
{
    return link->client != NULL && gh_mqtt_client_connected(link->client);
}

bool gh_link_publish(struct gh_link *link, const char *tail, struct gh_slice payload)
{
    char topic[TEXT_MAX];
    if (!gh_link_is_connected(link)) {
        link->dropped++;
        return false;
    }
    snprintf(topic, sizeof topic, "/devices/%s/%s", link->device, tail);
    if (gh_mqtt_client_publish(link->client, gh_slice_text(topic), payload, 1, link->sent,
                               gh_loop_now_ns(link->place->loop),
                               gh_conn_out(link->conn)) != GH_MQTT_CLIENT_SENT) {
        link->dropped++;
        return false;
    }
    link->sent++;
    flush(link);
    return true;
}
