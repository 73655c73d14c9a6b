/* MQTT client: the device's side of one MQTT 3.1.1 connection as a state machine over bytes and
 * time, for the simulated fleet, the load generator and tests. It does no I/O and reads no clock.
 * It keeps packet ids, the inflight bound and the keep-alive; it is strict, and fails on what a
 * server must not send. It does not reconnect, keeps no payload (within a connection nothing is
 * repeated) and has no QoS 2.
 *
 * Memory: given by gh_mqtt_client_open, freed by gh_mqtt_client_close; the inflight list lives only
 * while something is in flight. Slices in callbacks are valid during the call. Limits and host
 * outlive the client. Threads: one at a time; any function but close and input may be called from
 * inside a callback. */
#ifndef GH_WIRE_MQTT_CLIENT_H
#define GH_WIRE_MQTT_CLIENT_H

#include "wire/mqtt/packet.h"

struct gh_mqtt_client;

struct gh_mqtt_client_limits {
    size_t packet_bytes_max;
    uint16_t inflight_max;    /* PUBLISH at QoS 1, SUBSCRIBE and UNSUBSCRIBE without their answer */
    int64_t answer_ns;        /* for CONNACK and PINGRESP; 0 waits for ever */
    bool acknowledge_by_hand; /* the host calls gh_mqtt_client_puback itself */
};
/* 1 MiB, 32, 30 s, by itself. */
extern const struct gh_mqtt_client_limits gh_mqtt_client_limits_default;

/* Every entry is set. */
struct gh_mqtt_client_host {
    void (*connected)(void *context,
                      struct gh_mqtt_connack connack); /* a code other than 0 is the end */
    void (*message)(void *context, const struct gh_mqtt_publish *publish);
    void (*published)(void *context, uint64_t token); /* PUBACK; at QoS 0 once queued */
    void (*subscribed)(void *context, uint16_t packet_id, struct gh_slice codes);
    void (*unsubscribed)(void *context, uint16_t packet_id);
    void (*pong)(void *context);
    void (*failed)(void *context, const char *detail); /* once; close the connection. Static text */
};

/* NULL when there is no memory. */
GH_MUST_USE struct gh_mqtt_client *gh_mqtt_client_open(const struct gh_mqtt_client_limits *limits,
                                                       const struct gh_mqtt_client_host *host,
                                                       void *context);
void gh_mqtt_client_close(struct gh_mqtt_client *client); /* calls nobody; NULL is allowed */

/* Queues CONNECT; its version is filled in. Once, first. False when it does not fit. */
bool gh_mqtt_client_connect(struct gh_mqtt_client *client, const struct gh_mqtt_connect *connect,
                            int64_t now_ns, struct gh_buffer *out);
/* Queues DISCONNECT; nothing happens afterwards. */
void gh_mqtt_client_disconnect(struct gh_mqtt_client *client, struct gh_buffer *out);

/* Handles the whole packets at the start of `bytes`; returns how many bytes it is done with. */
GH_MUST_USE size_t gh_mqtt_client_input(struct gh_mqtt_client *client, struct gh_slice bytes,
                                        int64_t now_ns, struct gh_buffer *out);
/* PINGREQ when the keep-alive is due, and timeouts. */
void gh_mqtt_client_tick(struct gh_mqtt_client *client, int64_t now_ns, struct gh_buffer *out);
int64_t gh_mqtt_client_deadline_ns(const struct gh_mqtt_client *client); /* INT64_MAX for never */

/* Admitted by CONNACK 0, neither failed nor disconnected. */
bool gh_mqtt_client_connected(const struct gh_mqtt_client *client);
size_t gh_mqtt_client_inflight(const struct gh_mqtt_client *client);

enum gh_mqtt_client_sending {
    GH_MQTT_CLIENT_SENT,
    GH_MQTT_CLIENT_FULL, /* inflight bound, room in `out`, or memory */
    GH_MQTT_CLIENT_GONE, /* not connected */
};
/* `qos` is 0 or 1. */
enum gh_mqtt_client_sending gh_mqtt_client_publish(struct gh_mqtt_client *client,
                                                   struct gh_slice topic, struct gh_slice payload,
                                                   uint8_t qos, uint64_t token, int64_t now_ns,
                                                   struct gh_buffer *out);
/* The packet id, as `subscribed` and `unsubscribed` give it back; 0 when full or gone. Of a filter
 * the text and the QoS count. */
uint16_t gh_mqtt_client_subscribe(struct gh_mqtt_client *client,
                                  const struct gh_mqtt_filter filters[], size_t count,
                                  int64_t now_ns, struct gh_buffer *out);
uint16_t gh_mqtt_client_unsubscribe(struct gh_mqtt_client *client,
                                    const struct gh_mqtt_filter filters[], size_t count,
                                    int64_t now_ns, struct gh_buffer *out);
void gh_mqtt_client_puback(struct gh_mqtt_client *client, uint16_t packet_id, int64_t now_ns,
                           struct gh_buffer *out);
#endif
