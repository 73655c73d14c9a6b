/* What the files of the front door share: the link of a connection, the view of a registry, the
 * task that carries blocking work to a worker and back. */
#ifndef GH_DIALECT_FRONT_INTERNAL_H
#define GH_DIALECT_FRONT_INTERNAL_H

#include "base/map.h"
#include "base/time.h"
#include "dialect/front.h"
#include "io/worker.h"
#include "observe/trace.h"
#include "observe/trail.h"
#include "policy/statement.h"
#include "pubsub/pubsub.h"
#include "registry/anchors.h"
#include "route/broker.h"
#include "route/quota.h"
#include "route/rate.h"
#include "route/sessions.h"
#include <assert.h>

/* A registry as its sessions on one loop see it, shared by them. Its texts live in its own block.
 */
struct view {
    int64_t registry, tenant;
    struct gh_quota *quota; /* of the tenant; NULL: no ceilings */
    size_t refs;
    bool reloading;
    struct gh_slice tenant_name, dialect_tenant, name, location, state_topic, activity_topic;
    int log_level; /* enum gh_device_log */
    struct gh_route *routes;
    size_t routes_count;
};

/* One loop's part of the front. */
struct front_port {
    struct gh_port port; /* first: route/ hands it back */
    struct gh_front *front;
    struct gh_map views; /* by registry number */
    int64_t received;    /* messages of the input at hand */
};

struct gh_front {
    struct gh_front_services services;
    struct front_port *ports; /* one per loop, in their order */
    struct gh_statements_shelf *statements;
};

struct feed {
    char *base; /* NULL: not subscribed */
    uint8_t qos;
};

struct sent_command {
    struct sent_command *next;
    struct gh_command *command;
    uint64_t token;
    int64_t deadline_ns;
};

/* What devices have to do with that subscribe configurations or commands, report documents faster
 * than they may, or speak for others. */
struct feeds {
    struct gateway *gateway; /* of a link's own device; NULL: it is none */
    struct feed config, commands;
    uint64_t token_last;   /* of a device that is no gateway */
    uint64_t config_token; /* of the version under way; 0: none */
    int64_t config_version;
    bool config_fetching, config_again;
    struct sent_command *sent;
    size_t sent_count;
    struct task *state; /* a reported document that waits for the device's rate; or NULL */
    int64_t state_ns;   /* until then */
};

/* What a device is called, one behind the other: its id, its credential's, its number unless the
 * dialect routes, its token's id, and its client id, cut, unless it is the same as its id. */
struct party_names {
    uint16_t ends[5];
    char text[];
};

/* A device that a connection speaks for: the one that connected, or one that a gateway attached
 * (front_gateway.c), which shares its connection with others. */
struct party {
    struct party_names *names; /* NULL before it is known */
    struct feeds *feeds;       /* NULL until it has something to do with them */
    struct gh_place place;     /* among the sessions; the device's number is always right */
    uint32_t ends_utc_s;       /* the token's end and the skew; for ever ends in 2100 */
    uint32_t ends_s;           /* the same, monotonic, rounded up */
    unsigned pending;          /* tasks and publications that point here */
    uint16_t slot;             /* 0: the connection's own device */
    uint8_t log_level;         /* its own; enum gh_device_log */
    bool gone; /* of an attached one: it is off, and freed when nothing is pending */
};

/* The block of one that a gateway attached; the connection's own stands in the link. */
struct attached {
    struct party party; /* its slot is not 0 */
    struct link *link;
};

static inline struct party *party_at(const struct gh_place *place)
{
    return (struct party *)((char *)(uintptr_t)place - offsetof(struct party, place));
}
static inline struct gh_slice party_name(const struct party *party, size_t which)
{
    const struct party_names *names = party->names;
    size_t from = names == NULL || which == 0 ? 0 : names->ends[which - 1];
    return names == NULL ? (struct gh_slice){0}
                         : gh_slice(names->text + from, names->ends[which] - from);
}
static inline struct gh_slice party_id(const struct party *party)
{
    return party_name(party, 0);
}
static inline struct gh_slice party_credential(const struct party *party)
{
    return party_name(party, 1);
}
/* The device's number in decimal; empty in a dialect that routes. */
static inline struct gh_slice party_number(const struct party *party)
{
    return party_name(party, 2);
}
/* The id of the access token that it came with; else empty. */
static inline struct gh_slice party_token(const struct party *party)
{
    return party_name(party, 3);
}

/* Of a dialect that routes. */
static inline struct gh_slice party_client(const struct party *party)
{
    struct gh_slice client = party_name(party, 4);
    return client.size > 0 ? client : party_id(party);
}

/* What a gateway's link has beside. */
struct gateway {
    struct party **slots; /* by slot; the first is not used */
    size_t slots_count, count;
    uint64_t token_last;   /* of all its devices: one may get the slot of another */
    struct gh_map by_name; /* id and number of each */
    int64_t due_ns;        /* nothing of them is due before */
    bool errors;           /* it subscribed its error reports */
};

/* What a CONNECT to the broker asks for, and what the broker has said to it already. */
struct asked {
    struct gh_broker_connect connect; /* its slices are behind, */
    uint8_t *made_id;                 /* or here: an assigned client id */
    uint32_t expiry_s;                /* before it was cut to what may be */
    bool early, early_present;        /* the broker answered before it returned */
    enum gh_error_code early_result;
    uint8_t text[];
};

/* Codes of a SUBACK or UNSUBACK that waits until its changes are safe. */
struct answer {
    size_t count;
    uint8_t codes[];
};

/* A topic that was decided about. */
struct heard {
    size_t size;
    uint8_t text[];
};

/* What messages leave behind: who has neither sent nor received one has none. */
struct traffic {
    struct heard *allowed; /* the last topic that it may publish to; or NULL */
    struct heard *heard;   /* the last one that it may receive from; or NULL */
    int64_t active_ns;     /* when its activity is to be noted again */
    struct gh_broker_hint hint;
};

/* What a link of a dialect that routes has beside (front_route.c). */
struct routed {
    struct gh_attachment *attachment; /* its session at the broker */
    struct gh_statements *statements; /* what it may do */
    union {
        struct asked *asked;   /* what CONNECT asked for, until it is admitted; then */
        struct answer *answer; /* of the SUBSCRIBE or UNSUBSCRIBE under way */
    };
    struct traffic *traffic; /* or NULL */
};
static_assert(sizeof(struct routed) <= 32, "a hundred thousand of them are idle");

/* Of a connection whose packets somebody reads, or may turn out to read (front_trace.c). */
struct tracing {
    uint64_t device; /* whose readers are told them; 0: it is not known yet */
    char *line;      /* of CONNECT, until then */
};

/* Its MQTT session stands behind it, in the same block. Its loop's part of the front stands in
 * `own`, where the table of sessions looks for it. */
struct link {
    struct gh_conn *conn; /* NULL once it is closed */
    struct view *view;
    struct party own;
    struct routed routed;    /* if the dialect routes */
    struct tracing *tracing; /* NULL: nobody reads */
    unsigned pending;        /* tasks and publications that point here */
    uint8_t dialect;         /* which of the front's, from 1 on; 0: not known yet */
    bool routes;             /* the dialect does, and that a CONNECT came through */
    uint8_t tries : 4;       /* of the authentication */
    bool closing : 1;        /* it is being closed and only good for its address */
    bool admitted : 1;
    bool throttled : 1;      /* its input was held for its rate */
    bool by_certificate : 1; /* what the handshake showed is what proved the device */
    /* Of one that routes: */
    bool attached : 1; /* the session at the broker is ours */
    bool assigned : 1; /* the client id is not the client's */
    bool pump : 1;     /* there may be something to send */
    bool held : 1;     /* something did not fit into the window or the output */
    bool policy_loading : 1, policy_again : 1;
};
static_assert(sizeof(struct link) <= 144, "a hundred thousand of them are idle");

static inline struct front_port *link_port(const struct link *link)
{
    return (struct front_port *)link->own.place.port;
}
static inline struct gh_session *link_session(const struct link *link)
{
    return (struct gh_session *)(uintptr_t)(link + 1);
}
/* NULL before it is known. */
static inline const struct gh_dialect *link_dialect(const struct link *link)
{
    return link->dialect == 0 ? NULL : link_port(link)->front->services.dialects[link->dialect - 1];
}
/* NULL: it speaks for itself alone. */
static inline struct gateway *link_gateway(const struct link *link)
{
    return link->own.feeds == NULL ? NULL : link->own.feeds->gateway;
}
static inline struct link *party_link(const struct party *party)
{
    return party->slot != 0
               ? ((const struct attached *)party)->link
               : (struct link *)((char *)(uintptr_t)party - offsetof(struct link, own));
}
static inline int64_t party_ends_ns(const struct party *party)
{
    return party->ends_s * GH_SECOND_NS;
}

/* From where, and to which of our names, a connection came; for policies. */
struct route_peer {
    struct gh_slice source; /* the address without its port or [ ] */
    struct gh_slice server; /* SNI; empty without */
};

/* Blocking work for a link: `work` on a worker with copies, then `done` on the loop, where the link
 * still is. */
struct task {
    struct gh_job job;
    struct gh_letter letter;
    struct link *link;
    struct party *party; /* of the link */
    struct gh_front *front;
    struct gh_loop *loop;
    void (*work)(struct task *task);
    void (*done)(struct task *task);
    struct gh_arena arena; /* the task's own: what it works on and what it found */
    struct gh_error error;
    enum gh_error_code code;
    uint64_t device;
    union {
        struct {
            struct gh_identity_claim claim;
            struct gh_identity_verdict verdict;
            struct gh_statements *statements; /* of a dialect that routes; given on */
            struct gh_slice client_id;
            struct route_peer peer;
            uint64_t epoch;
            bool routes, again; /* `again`: AUTH on a live connection */
        } identity;
        struct {
            struct gh_statements *statements;
            struct gh_slice client_id, credential, certificate;
            struct route_peer peer;
        } policy;
        struct {
            struct gh_slice data;
            int64_t version;
        } document;
        struct {
            struct gh_slice credential, token_id;
            bool found, revoked;
        } credential;
        struct {
            struct gh_identity_claim claim;
            struct gh_identity_verdict verdict;
            uint64_t epoch;
            unsigned tries;
        } attachment;
        struct {
            bool holds;
        } binding;
        int log_level;
        struct gh_registry registry;
    };
    uint16_t packet_id;
    uint8_t qos;
};

/* --- front.c */
void link_release(struct link *link);
/* After anything that may have written output or moved a deadline. */
void link_settle(struct link *link);
bool link_is_live(const struct link *link); /* connected, admitted and not ended */
bool party_is_live(const struct party *party);
struct gh_speaker party_speaker(const struct party *party);
/* An entry about this device. */
void party_note(const struct party *party, enum gh_trail_kind kind, const char *reason,
                struct gh_slice detail);
/* Tells its activity. */
void party_tell(const struct party *party, const struct gh_chronicle_entry *entry);
/* The same in short: a topic, "EVENTS" and the like. */
void party_told(const struct party *party, enum gh_chronicle_kind kind, struct gh_slice topic,
                const char *matter);
/* What it is called from now on; `client_id` is empty when it is the device's id, or there is none.
 * False without memory. */
GH_MUST_USE bool party_keep_names(struct party *party, const struct gh_principal *principal,
                                  struct gh_slice client_id);
void party_drop_names(struct party *party);
/* Fills a presence from a party, for the table of sessions. */
void party_describe(const struct gh_place *place, struct gh_presence *out);
/* How long its sign-in holds; changes what the table of sessions shows of it. */
void party_set_end(struct party *party, int64_t valid_until_s);
/* From here on the end is counted by the loop's clock. */
void party_begin_end(struct party *party);
/* Makes room for `feeds`; false without memory. */
GH_MUST_USE bool party_needs_feeds(struct party *party);
/* Its log level may have changed. */
void party_read_level(struct party *party);
/* About the link's own device. */
void link_note(const struct link *link, enum gh_trail_kind kind, const char *reason,
               struct gh_slice detail);
void link_end(struct link *link, enum gh_session_end why, const char *detail);
/* Ends the connection, or takes an attached device off it. */
void party_end(struct party *party, enum gh_session_end why, const char *detail);

/* --- front_trace.c: who reads the packets of this connection */
void link_trace_open(struct link *link);
void link_trace_close(struct link *link);
void link_trace_packet(struct link *link, bool inbound, struct gh_slice bytes);
/* It is that device's; also asks again whether somebody reads it. */
void link_trace_known(struct link *link, uint64_t device);

/* --- front_count.c: the counters by reason */
void front_count_open(struct gh_front *front);
/* `reason` is static. Kinds without a counter are passed over. */
void front_count(struct gh_front *front, enum gh_trail_kind kind, const char *reason);

/* --- front_task.c: NULL when there is no memory. task_start frees the task and says false when the
 * queue is full. */
struct task *task_open(struct link *link, size_t arena_max, void (*work)(struct task *),
                       void (*done)(struct task *));
/* The same for one of the link's devices. */
struct task *task_open_for(struct party *party, size_t arena_max, void (*work)(struct task *),
                           void (*done)(struct task *));
bool task_start(struct task *task);
/* For a task that is not started after all. */
void task_close(struct task *task);

/* --- front_connect.c */
void link_authenticate(struct link *link, const struct gh_mqtt_connect *connect);

/* --- front_publish.c */
void link_publish(struct link *link, const struct gh_mqtt_publish *publish);
/* The document that waited goes its way. */
void party_release_state(struct party *party);

/* --- front_subscribe.c */
void link_subscribe(struct link *link, const struct gh_mqtt_filters *filters);
void link_unsubscribe(struct link *link, const struct gh_mqtt_filters *filters);

/* --- front_feed.c: configuration and commands, to the device */
/* False: no memory. */
bool feed_subscribe(struct party *party, const struct gh_grant *grant);
/* Whether it was there. */
bool feed_unsubscribe(struct party *party, enum gh_feed which);
void link_delivered(struct link *link, uint64_t token, bool acknowledged);
void party_fetch_config(struct party *party);
/* There is room again: goes on with a configuration that did not fit. */
void link_retry_configs(struct link *link);
void party_command(struct party *party, struct gh_command *command);
/* Commands without an answer, a document that waited. */
void party_tick(struct party *party, int64_t now_ns);
/* When that is due; INT64_MAX: never. */
int64_t party_due_ns(const struct party *party);
/* It is over: completes its commands. */
void party_drop(struct party *party);
/* The set of credentials changed: ends unless the one in use is still there. */
void party_check_credential(struct party *party);
void party_free(struct party *party); /* what it holds */

/* --- front_gateway.c: devices that a gateway speaks for */
/* False: no memory. */
bool gateway_open(struct link *link);
void gateway_close(struct link *link);
/* The device of that id or number; NULL when it is not attached. */
struct party *gateway_party(const struct link *link, struct gh_slice name);
struct party *gateway_slot(const struct link *link, unsigned slot);
/* Walks the attached ones: `*at` begins at 1. NULL at the end. */
struct party *gateway_next(const struct link *link, size_t *at);
void gateway_attach(struct link *link, const struct gh_mqtt_publish *packet, struct gh_slice name);
void gateway_detach(struct link *link, const struct gh_mqtt_publish *packet, struct gh_slice name);
/* The connection is over. */
void gateway_leave(struct link *link, enum gh_session_end why);
void gateway_detach_party(struct party *party, const char *reason, const char *detail);
/* After the last task of a detached one. */
void gateway_forget(struct party *party);
/* A packet named a device that is not attached. */
void gateway_report_missing(struct link *link, struct gh_slice name, const char *packet,
                            struct gh_slice topic, uint16_t packet_id);
/* The device was unbound from a gateway. */
void gateway_check_binding(struct party *party);
void gateway_tick(struct link *link, int64_t now_ns);
/* Something of an attached one is due then. */
void gateway_due(struct link *link, int64_t at_ns);

/* --- front_route.c: sessions at the broker */
/* Whose statements are compiled. */
struct route_subject {
    const struct gh_principal *principal;
    const struct gh_device *device;
    struct gh_slice client_id;
    struct route_peer peer;
    struct gh_slice certificate; /* DER, when that is what proved the device; else empty */
    bool at_once;                /* on a loop: NULL unless its documents are remembered */
};
/* Keeps what CONNECT asks for; false when there is no memory. */
bool route_prepare(struct link *link, const struct gh_mqtt_connect *connect);
/* The documents that concern the device, compiled for this client id; NULL when they cannot be
 * read. On a worker. */
struct gh_statements *route_statements(struct gh_front *front, const struct route_subject *subject,
                                       struct gh_arena *arena, struct gh_error *error);
/* Copies; false at the arena's ceiling. */
bool route_peer_copy(const struct link *link, struct gh_arena *arena, struct route_peer *out);
/* Gives the connection the device's own id as client id when it has none [MQTT-3.1.3-6]. */
void route_assign(struct link *link);
bool route_is_assigned(const struct link *link);
/* Whether the broker has a session under the client id. */
bool route_name_is_taken(const struct link *link);
/* Assigns a client id that nobody else has; false when there is no memory. */
bool route_rename(struct link *link);
/* What policy says of the CONNECT: NULL, or why it is refused (static text). */
const char *route_refuses(const struct link *link);
/* Asks the broker for the session; the link is admitted or refused by and by. */
void route_attach(struct link *link);
void route_detach(struct link *link, enum gh_session_end why);
void route_free(struct link *link);
void route_publish(struct link *link, const struct gh_mqtt_publish *packet);
bool route_may(struct link *link, enum gh_device_action action, struct gh_slice resource);
void route_release(struct link *link, uint16_t packet_id);
/* The code for one filter. */
uint8_t route_subscribe(struct link *link, const struct gh_mqtt_filters *filters,
                        const struct gh_mqtt_filter *filter);
uint8_t route_unsubscribe(struct link *link, struct gh_slice filter);
/* Answers the packet with `codes` when its changes are safe. */
void route_answer(struct link *link, const uint8_t *codes, size_t count, bool subscribes);
void route_received(struct link *link, uint64_t token);
void route_delivered(struct link *link, uint64_t token, bool acknowledged);
/* Sends what there is to send. */
void route_pump(struct link *link);
void route_reload_policy(struct link *link);

/* --- front_connect.c */
void link_reauthenticate(struct link *link, struct gh_slice data);
/* It has its place, and its session where it routes: CONNACK. */
void link_admit(struct link *link, const struct gh_session_admission *admission);
/* After the verdict. */
void link_refuse(struct link *link, enum gh_session_refusal refusal, const char *reason,
                 const char *detail);

/* --- front_view.c */
struct view *view_acquire(struct front_port *port, const struct gh_registry *registry,
                          const struct gh_dialect *dialect);
void view_release(struct front_port *port, struct view *view);
/* Reads the registry again, for all its links on this loop. */
void view_reload(struct link *link);
#endif
