/* Broker: MQTT sessions and the messages between them. A session is what MQTT calls so: client id,
 * subscriptions, what is queued and in flight; it may outlive its connection. The broker matches
 * topics, queues, keeps retained messages and wills, and makes durable what was promised. It does
 * not know packets (session/session.h) and decides no rights: its host, the front door, asks policy
 * before it publishes, subscribes and sends.
 *
 * Who sees what: a tenant's topics are its own; sessions belong to a device, so that a client id
 * chosen by another device is another session.
 *
 * Durability. A publish at QoS 1 or 2 is answered when it is safe for every stored session it goes
 * to, for the topic's retained message, and for its publisher's QoS 2 state: one record, one sync
 * for all that arrived meanwhile. Topics that match one of the tenant's relaxed filters are
 * answered at once and written soon. Sessions with expiry 0 end with their connection and cost no
 * disk. A message for a stored session is sent after it is safe; its packet id follows from its
 * sequence number, so that it is the same after a restart, and PUBREL waits until PUBREC is safe:
 * exactly once holds across restarts of either side.
 *
 * Threads. Every session has a home: the loop of its connection, or of the last one. A connection
 * on another loop first fetches the session from there. Any loop may put messages into its queue
 * (a lock of the session's own, held for moments); everything else happens at home. What blocks
 * (reading bodies back from disk, cleaning the journal) runs on workers and a thread of its own.
 *
 * Bounds: struct gh_broker_limits. A session whose queue is full loses the newest message, counted
 * (messages_dropped_total, gh_attachment_dropped); nobody else waits for it.
 *
 * Memory: bodies are in memory for live sessions up to `bodies_max` each, for retained messages,
 * and for whatever has no record; the others are read back when they are sent. */
#ifndef GH_ROUTE_BROKER_H
#define GH_ROUTE_BROKER_H

#include "base/error.h"
#include "base/metric.h"
#include "io/loop.h"
#include "io/worker.h"
#include "pubsub/log.h"
#include "route/journal.h"
#include "route/message.h"

struct gh_broker;
struct gh_attachment; /* one connection's hold on its session */

struct gh_broker_limits {
    size_t queue_messages_max; /* QoS 1 and 2 that one session has not done with */
    size_t queue_bytes_max;    /* their payloads */
    size_t lane_messages_max;  /* QoS 0 that wait for one connection */
    size_t lane_bytes_max;
    size_t bodies_max;        /* queued messages of one session with their body in memory */
    size_t subscriptions_max; /* of one session */
    size_t sessions_max;      /* of one tenant */
    size_t retained_messages_max, retained_bytes_max; /* of one tenant */
    uint32_t expiry_max_s; /* of a session; UINT32_MAX: they may stay for ever */
};
/* 1,000,000 and 256 MiB; 10,000 and 8 MiB; 1,000; 10,000; 1,000,000; 100,000 and 256 MiB; for ever.
 */
extern const struct gh_broker_limits gh_broker_limits_default;

struct gh_broker_options {
    const char *folder;        /* the data folder; the journal goes to folder/sessions */
    struct gh_log_options log; /* without folder, watch, age_max_ms, bytes_max */
    struct gh_broker_limits limits;
    int64_t clean_slack_bytes; /* of dead records in the journal that are left alone; 0: 64 MiB */
    int64_t clean_period_ms;   /* how often the journal is looked at; 0: 1,000 */
    struct gh_loop *const *loops;
    size_t loops_count;
    struct gh_workers *workers;
    struct gh_metrics *metrics;
    int64_t (*utc_ms)(void);
};
/* Replays the journal. NULL with `error` filled. The loops are not running yet. */
GH_MUST_USE struct gh_broker *gh_broker_open(const struct gh_broker_options *options,
                                             struct gh_error *error);
/* The loops and the workers have ended. Writes what is pending. */
void gh_broker_stop(struct gh_broker *broker);  /* before gh_loop_close: no more disk */
void gh_broker_close(struct gh_broker *broker); /* after it */

/* Topics that match one of the filters are relaxed for the tenant from now on. Any thread. False
 * when there is no memory. */
GH_MUST_USE bool gh_broker_relax(struct gh_broker *broker, int64_t tenant,
                                 const struct gh_slice filters[], size_t count);

/* --- connections
 *
 * All on the connection's loop. The callbacks come on that loop too, and never from inside another
 * function of the broker, except `leave` (from connect and detach) and where said. */

struct gh_attachment_host {
    /* The answer to gh_broker_connect, once: the session is this connection's. Not GH_OK: it cannot
     * be had (LIMIT, MEMORY, LOG_FULL; CONFLICT: yet another connection took it); detach then. May
     * come from inside gh_broker_connect. */
    void (*attached)(void *context, enum gh_error_code result, bool session_present);
    /* There may be something to send: gh_attachment_next. */
    void (*ready)(void *context);
    /* Another connection takes the session over: end, then detach, at once or later. */
    void (*leave)(void *context);
};

struct gh_broker_connect {
    int64_t tenant;
    uint64_t device;
    struct gh_slice client_id;
    bool clean_start;
    uint32_t expiry_s; /* 0: ends with the connection; UINT32_MAX: never */
    bool has_will;
    struct gh_journal_will will;
};

/* NULL when there is no memory, and no callback then. Slices are copied. */
GH_MUST_USE struct gh_attachment *gh_broker_connect(struct gh_broker *broker, struct gh_loop *loop,
                                                    const struct gh_broker_connect *connect,
                                                    const struct gh_attachment_host *host,
                                                    void *context);
struct gh_detach {
    bool will; /* publish it (after its delay) */
    bool has_expiry;
    uint32_t expiry_s; /* instead of the one at CONNECT */
};
/* The connection has ended, or gives up waiting. Frees the attachment. */
void gh_attachment_detach(struct gh_attachment *attachment, const struct gh_detach *detach);

/* QoS 2 publishes that were taken in earlier connections and not released: for
 * gh_session_admission. Borrowed until the next call for an attachment of the loop. */
const uint16_t *gh_attachment_received(const struct gh_attachment *attachment, size_t *count);

/* --- publishing */

/* Whom a publisher's last topic concerned. It is the publisher's, who keeps it zeroed until its
 * first message, uses it on one loop, and does not look into it. */
struct gh_broker_hint {
    const void *targets;
    uint64_t freed;
};

struct gh_broker_publish {
    struct gh_slice topic, payload;
    struct gh_slice properties; /* what is passed on: neither alias, expiry nor identifiers */
    uint8_t qos;
    bool retain, has_expiry;
    uint32_t expiry_s;
    uint16_t packet_id;
    struct gh_broker_hint *hint; /* NULL: none is kept */
};
enum gh_broker_posted {
    GH_BROKER_POSTED,  /* done; at QoS 1 and 2 it may be acknowledged */
    GH_BROKER_NOBODY,  /* the same, and nobody subscribes (MQTT 5 reason 0x10) */
    GH_BROKER_PENDING, /* `done` will be called */
    GH_BROKER_QUOTA,   /* over the bound of the retained messages: refused */
    GH_BROKER_FAILED,  /* no memory, or the journal is full: not taken */
};
/* `done` is called once for PENDING, on the loop, even when the attachment has been detached: then
 * with `context` that must still be there. `stored` false: not taken, must not be acknowledged. */
GH_MUST_USE enum gh_broker_posted
gh_attachment_publish(struct gh_attachment *attachment, const struct gh_broker_publish *publish,
                      void (*done)(void *context, uint16_t packet_id, bool stored, bool matched),
                      void *context);
/* PUBREL: forgets the packet id. Calls `done` when that is safe, perhaps from inside. */
void gh_attachment_release(struct gh_attachment *attachment, uint16_t packet_id,
                           void (*done)(void *context, uint16_t packet_id, bool stored, bool),
                           void *context);
/* A publish that comes from the server itself, at home on `loop`. */
GH_MUST_USE enum gh_broker_posted gh_broker_publish(struct gh_broker *broker, struct gh_loop *loop,
                                                    int64_t tenant,
                                                    const struct gh_broker_publish *publish);

/* --- subscribing */

struct gh_broker_filter {
    struct gh_slice filter; /* valid; $share/… too */
    uint8_t qos;
    bool no_local, retain_as_published;
    uint8_t retain_handling;
    uint32_t identifier;
};
/* The granted QoS, or the reason code: 0x97 over a bound, 0x80 without memory. What is retained is
 * sent by gh_attachment_next from then on, so do not pump before SUBACK. */
uint8_t gh_attachment_subscribe(struct gh_attachment *attachment,
                                const struct gh_broker_filter *filter);
/* False when there was no such subscription. */
bool gh_attachment_unsubscribe(struct gh_attachment *attachment, struct gh_slice filter);
/* Calls `done` when all changes so far are safe: at once, from inside, when nothing is stored. */
void gh_attachment_sync(struct gh_attachment *attachment,
                        void (*done)(void *context, uint16_t tag, bool stored, bool), void *context,
                        uint16_t tag);

/* --- delivering */

struct gh_delivery {
    uint64_t token;     /* bits 0 and 1 are 1 0: hosts have the other patterns for their own */
    bool release;       /* not a message: the PUBREL of packet_id, after a reconnect */
    uint16_t packet_id; /* 0 at QoS 0 */
    const struct gh_route_message *message; /* borrowed until the next call on the attachment */
    uint8_t qos;
    bool retain, dup;
    bool has_expiry;
    uint32_t expiry_s; /* what is left */
    const uint32_t *identifiers;
    size_t identifiers_count;
};
/* The next thing to send; false when there is nothing now (`ready` will tell). Says the same until
 * sent or dropped. `qos0_only` when the connection's window has no room for more. */
GH_MUST_USE bool gh_attachment_next(struct gh_attachment *attachment, int64_t now_ms,
                                    bool qos0_only, struct gh_delivery *out);
/* It went out. QoS 0 is over with it. */
void gh_attachment_sent(struct gh_attachment *attachment, uint64_t token);
/* It never will: not allowed, too large. Also for what was sent: PUBACK, PUBCOMP. Of QoS 1 and 2 it
 * may be noted only with the next call for an attachment of the same loop: call gh_attachment_next
 * or gh_attachment_wake in the same turn. */
void gh_attachment_done(struct gh_attachment *attachment, uint64_t token);
/* PUBREC: calls `done` when that is safe, perhaps from inside. */
void gh_attachment_pubrec(struct gh_attachment *attachment, uint64_t token,
                          void (*done)(void *context, uint64_t token, bool stored), void *context);

/* `ready` will come again, in another turn, behind those that have had less. */
void gh_attachment_wake(struct gh_attachment *attachment);
/* The client id, borrowed as long as the attachment. */
struct gh_slice gh_attachment_client(const struct gh_attachment *attachment);
/* Messages that the session lost to a full queue since it was asked last. */
size_t gh_attachment_dropped(struct gh_attachment *attachment);

/* --- what the operator sees. Any thread. */

struct gh_broker_view {
    struct gh_slice client_id;
    int64_t tenant;
    uint64_t device;
    bool connected, stored;
    uint32_t expiry_s;
    int64_t detached_at_ms;
    size_t queued, queued_bytes, inflight, lane, dropped, subscriptions_count;
    const struct gh_broker_filter *subscriptions; /* at most GH_BROKER_VIEW_FILTERS_MAX */
};
enum { GH_BROKER_VIEW_FILTERS_MAX = 100 };
/* Calls `each` for every session of the device (0: of all), with a lock held: it must not call
 * back. */
void gh_broker_each(struct gh_broker *broker, uint64_t device,
                    void (*each)(void *context, const struct gh_broker_view *view), void *context);
/* Whether the device has a session of that name, stored or not. */
bool gh_broker_has(struct gh_broker *broker, uint64_t device, struct gh_slice client_id);
/* The sessions of a deleted device end, with all they have. */
void gh_broker_forget(struct gh_broker *broker, uint64_t device);

struct gh_broker_status {
    size_t sessions, connected, subscriptions, retained, queued;
    uint64_t journal_bytes;
};
struct gh_broker_status gh_broker_status(struct gh_broker *broker);
#endif
