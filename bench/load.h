/* The load generator behind bench/bench.h: one thread, one loop, many MQTT clients. What its parts
 * share: the options, the clients' file, one connection as a peer, and the opener that brings many
 * of them up.
 *
 * A broker is told apart by its clients alone: a file with a line for each, with client id,
 * password (may be empty), topic and perhaps user name, split by tabs; or templates of the four, in
 * which {n} is the client's number (without a file). For Gatehouse's Google dialect `devices`
 * writes the file, with a token for each device; for a broker that lets everybody in any names do.
 *
 * Accounting is exact: each message carries its publisher's number, its own and the moment of
 * sending; what a subscriber receives twice, never, or behind a later one of the same publisher is
 * counted. Exit codes: 0 all that was sent came, 1 not, 2 usage. Memory: all of it lives until the
 * report, which frees it. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "bench/measure.h"
#include "io/conn.h"
#include "wire/mqtt/client.h"

enum { HEADER_BYTES = 24 }; /* of a message: run, publisher, number, moment of sending */

struct client_row {
    struct gh_slice id, password, topic, user; /* without a user: any, if there is a password */
};

struct options {
    const char *server, *ca, *clients, *pids;           /* all modes */
    const char *identities, *ca_key;                    /* certificates of the clients */
    const char *id, *user, *password, *topic;           /* templates instead of the file */
    const char *filter, *pull, *token;                  /* publish */
    const char *project, *registry, *location, *import; /* devices */
    long publishers, window, size, subscribers, pullers, rate, lag_max, qos;
    long count, concurrency, seconds_ms, settle_ms;
    long stored, fan_out, resume, kill; /* 0 or 1 */
    const char *folder;                 /* disk */
    long gateways, behind;              /* endure */
};

struct load {
    const struct options *options;
    struct gh_loop *loop;
    struct gh_tls_context *tls;         /* NULL: plain */
    struct gh_tls_context **identities; /* NULL, or one for each row: it shows a certificate */
    char host[64];
    uint16_t port;
    struct gh_slice rows_text; /* the file, or what the templates gave */
    struct client_row *rows;   /* borrow from rows_text */
    size_t rows_count;
    struct processes processes;
    struct gh_mqtt_client_limits limits;
    bool failed; /* said why on standard error */
};

/* Says it on standard error and ends the run with exit code 1. */
void load_fail(struct load *load, const char *format, ...) GH_PRINTF(2, 3);
/* Wall time that the generator reads once a call. */
int64_t load_now_ns(void);

/* `template` with the number for each {n}, appended to `out`. */
struct gh_slice load_print_name(const char *template, size_t number, struct gh_buffer *out);
struct peer;
/* Who the peer is: row number `row` of the clients, modulo their count. */
void load_name_peer(const struct load *load, struct peer *peer, size_t row);
/* identities.c: a TLS context for each row; both texts are borrowed for the call. */
GH_MUST_USE bool load_open_identities(struct load *load, struct gh_slice text, struct gh_slice ca);

/* ---- peer.c: one MQTT connection */

struct peer;
struct peer_events {
    void (*up)(struct peer *peer); /* CONNACK 0, or SUBACK when there is a filter */
    void (*subscribed)(struct peer *peer, struct gh_slice codes); /* of peer_subscribe; or NULL */
    void (*published)(struct peer *peer, uint64_t token);         /* may be NULL */
    void (*written)(struct peer *peer); /* all that it had to say; may be NULL */
    void (*message)(struct peer *peer, const struct gh_mqtt_publish *publish); /* may be NULL */
    void (*gone)(struct peer *peer, const char *why); /* closed, for whatever reason */
};

struct peer {
    struct load *load;
    const struct peer_events *events;
    void *owner;
    struct gh_tls_context *tls;                 /* NULL: the load's */
    struct gh_slice id, user, password, filter; /* filter: subscribed to at QoS 1 before it is up */
    struct gh_conn *conn;                       /* NULL when closed */
    struct gh_mqtt_client *client;
    int64_t dialled_ns;
    size_t number; /* among its kind */
    bool is_up, said_goodbye;
    bool was_up; /* in `gone` */
};

/* Dials; `up` or `gone` comes later. False when there is no socket to be had. */
GH_MUST_USE bool peer_dial(struct peer *peer);
/* The same for whoever tries again: the run goes on when it fails. */
GH_MUST_USE bool peer_try(struct peer *peer, struct gh_error *error);
/* Of one that is up; false when it does not fit. */
GH_MUST_USE bool peer_subscribe(struct peer *peer, const struct gh_mqtt_filter filters[],
                                size_t count);
GH_MUST_USE enum gh_mqtt_client_sending peer_publish(struct peer *peer, struct gh_slice topic,
                                                     struct gh_slice payload, uint8_t qos,
                                                     uint64_t token);
/* DISCONNECT, close_notify, FIN. */
void peer_leave(struct peer *peer);

/* Dials `count` peers, `concurrency` at a time; the owner of the peers calls opener_up. */
struct opener {
    struct peer *peers;
    size_t count, next, up, concurrency;
    void (*all_up)(struct opener *opener);
};
void opener_start(struct opener *opener);
void opener_up(struct opener *opener);

/* ---- the modes */
struct mode {
    const char *name, *help;
    bool offline; /* needs no server */
    struct {      /* instead of the defaults, when it has publishers */
        long publishers, subscribers, window, fan_out;
        const char *filter;
        long rate;
    } shape;
    /* Queues the first work; the loop runs afterwards until gh_loop_stop. NULL after load_fail. */
    void *(*start)(struct load *load);
    /* One JSON object, behind `{"mode":"…"`; frees the state. */
    void (*report)(void *state, struct gh_buffer *out);
};
extern const struct mode publish_mode, connect_mode, idle_mode, devices_mode;
extern const struct mode store_mode, collect_mode, disk_mode;
extern const struct mode certificates_mode, hold_mode, endure_mode, power_cut_mode;
/* publish_mode with the options of a shape. */
extern const struct mode pairs_mode, fan_in_mode, fan_out_mode, fleet_mode, latency_mode;
/* load.c: runs it and prints its report. The exit code. */
int load_run(const struct mode *mode, const struct options *options);

/* ---- pull.c: the consumer that pulls over HTTP */
struct pullers;
struct pulled {
    void *context;
    void (*message)(void *context, struct gh_slice payload);
};
/* `count` connections that pull and acknowledge options->pull with the bearer token, until
 * pullers_stop. NULL after load_fail. */
GH_MUST_USE struct pullers *pullers_start(struct load *load, size_t count,
                                          const struct pulled *pulled);
/* Whether all that was pulled is acknowledged. */
bool pullers_settled(const struct pullers *pullers);
/* Closes the connections. NULL is allowed. */
void pullers_stop(struct pullers *pullers);
/* After the loop has ended. */
void pullers_close(struct pullers *pullers);
#endif
