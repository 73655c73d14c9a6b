/* Dialect: what one cloud's firmware says on the wire, as a table of pure functions. The front door
 * (dialect/front.h) speaks MQTT and knows devices, events, documents and commands; a dialect turns
 * its cloud's client ids, topics and filters into those nouns and back. It does no I/O and keeps no
 * state, so a dialect is tested with text alone, and taking its folder away takes nothing else
 * away.
 *
 * Memory: slices that come out borrow from what went in, or from the arena given. Threads: any. */
#ifndef GH_DIALECT_DIALECT_H
#define GH_DIALECT_DIALECT_H

#include "dialect/chronicle.h"
#include "identity/device.h"
#include "pubsub/message.h"
#include "session/session.h"

enum gh_operation_kind {
    GH_OPERATION_EVENT,    /* goes to the log */
    GH_OPERATION_STATE,    /* replaces the reported document */
    GH_OPERATION_OTHER,    /* of `device`: ask again in its name */
    GH_OPERATION_ATTACH,   /* the gateway speaks for `device` from now on */
    GH_OPERATION_DETACH,   /* and no more */
    GH_OPERATION_ROUTE,    /* goes to whoever subscribes the topic */
    GH_OPERATION_REFUSED,  /* not allowed: the connection is closed */
    GH_OPERATION_TOO_LARGE /* over the dialect's payload limit: the connection is closed */
};

/* What a PUBLISH asks for. */
struct gh_operation {
    enum gh_operation_kind kind;
    struct gh_slice channel; /* the subfolder; empty when there is none */
    struct gh_slice device;  /* of OTHER, ATTACH and DETACH: its id or number */
    const char *detail;      /* for the operator when it is refused; static text */
};

enum gh_feed {
    GH_FEED_NONE,
    GH_FEED_CONFIG,
    GH_FEED_COMMANDS,
    GH_FEED_OTHER,  /* of another device: ask again in its name */
    GH_FEED_ERRORS, /* reports to a gateway */
    GH_FEED_ROUTE,  /* what others publish */
};

/* What a SUBSCRIBE gets. */
struct gh_grant {
    enum gh_feed feed; /* NONE: refused */
    uint8_t qos;       /* granted */
    /* Messages of the feed go to `base`, or to `base`/channel when they have a channel. */
    struct gh_slice base;
    struct gh_slice device; /* of OTHER: its id or number */
};

/* What a gateway is told that went wrong with one of its devices. */
enum gh_report_kind {
    GH_REPORT_NOT_ATTACHED, /* it could not be attached */
    GH_REPORT_DETACHED,     /* the server took it off */
    GH_REPORT_MISSING,      /* a packet named it though it is not attached */
    GH_REPORT_KIND_COUNT
};
struct gh_report {
    enum gh_report_kind kind;
    struct gh_slice device;
    const char *packet; /* "PUBLISH": which packet it was; NULL: none */
    struct gh_slice topic;
    uint16_t packet_id; /* 0: it had none */
};

/* The connected device as a dialect needs it. */
struct gh_speaker {
    struct gh_slice id;
    uint64_t number;
    struct gh_slice number_text;                /* empty in a dialect that routes */
    struct gh_slice tenant, registry, location; /* the tenant by the dialect's own name for it */
    bool is_gateway;                            /* it may speak for others */
    struct gh_slice through; /* id of the gateway that speaks for it; empty: it speaks itself */
};

enum { GH_DIALECT_ATTRIBUTES_MAX = 8 };

struct gh_dialect {
    const char *name; /* "google" */
    /* Its sessions are MQTT's own: client ids, stored sessions, wills, free topics between devices,
     * all as policy allows (policy/statement.h). Otherwise a device has one clean session. */
    bool routes;
    /* Whether this CONNECT is of this dialect; the first in the server's list that says so has it.
     */
    bool (*recognise)(const struct gh_mqtt_connect *connect);
    /* Reads who the CONNECT says it is; identity/device.h decides whether that is so. False when it
     * is to be refused at once, with `*refusal` and `*why` (static text). */
    bool (*claim)(const struct gh_mqtt_connect *connect, struct gh_identity_claim *out,
                  enum gh_session_refusal *refusal, const char **why);
    /* What an AUTH on a live connection claims; NULL: there is no such thing. */
    void (*renew)(const struct gh_speaker *speaker, struct gh_slice data,
                  struct gh_identity_claim *out);
    /* What the peer is told of a refusal that identity decided. */
    enum gh_session_refusal (*refusal)(enum gh_identity_reason reason);
    /* The tenant by the dialect's own name for it. */
    struct gh_slice (*tenant_name)(const struct gh_registry *registry);
    struct gh_operation (*publish)(const struct gh_speaker *speaker,
                                   const struct gh_mqtt_publish *publish);
    struct gh_grant (*subscribe)(const struct gh_speaker *speaker, struct gh_slice filter,
                                 uint8_t qos);
    /* The attributes that go with an event or a state into its topic; how many were written. */
    size_t (*attributes)(const struct gh_speaker *speaker, const struct gh_operation *operation,
                         struct gh_message_attribute out[GH_DIALECT_ATTRIBUTES_MAX]);
    /* Gateways; both NULL where there are none. What an ATTACH claims of its device (its token may
     * be empty), and a report as topic and payload, appended; false when there is no memory. */
    void (*attach)(const struct gh_speaker *gateway, struct gh_slice device,
                   struct gh_slice payload, struct gh_arena *arena, struct gh_identity_claim *out);
    bool (*report)(const struct gh_speaker *gateway, const struct gh_report *report,
                   struct gh_buffer *topic, struct gh_buffer *payload);
    /* An entry of its activity (dialect/chronicle.h) as the cloud logged it, appended; false when
     * there is no memory. NULL: nothing is told. */
    bool (*chronicle)(const struct gh_speaker *speaker, const struct gh_chronicle_entry *entry,
                      struct gh_buffer *out);
    /* Whether events of `channel` go the way of a route with `pattern`. */
    bool (*route_fits)(struct gh_slice pattern, struct gh_slice channel);
};
#endif
