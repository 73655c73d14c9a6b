/* Dialect: what one cloud's firmware says on the wire, as a table of pure functions. The front door
 * (dialect/front.h) speaks MQTT and knows devices, events, documents and commands; a dialect turns its
 * cloud's client ids, topics and filters into those nouns and back. It does no I/O and keeps no state, so
 * a dialect is tested with text alone, and taking its folder away takes nothing else away.
 *
 * Memory: slices that come out borrow from what went in, or from the arena given. Threads: any. */
#ifndef GH_DIALECT_DIALECT_H
#define GH_DIALECT_DIALECT_H

#include "base/arena.h"
#include "wire/mqtt/packet.h"

/* Who a CONNECT says it is, in the core's nouns; identity/device.h decides whether that is so. */
struct gh_claim {
    struct gh_slice project;  /* the tenant, by this dialect's own name for it */
    struct gh_slice location; /* empty when the dialect has none */
    struct gh_slice registry;
    struct gh_slice device; /* id, or number in decimal */
    struct gh_slice token;  /* the proof: a secret, never to be logged */
};

enum gh_operation_kind {
    GH_OPERATION_EVENT,    /* goes to the log */
    GH_OPERATION_STATE,    /* replaces the reported document */
    GH_OPERATION_REFUSED,  /* not allowed: the connection is closed */
    GH_OPERATION_TOO_LARGE /* over the dialect's payload limit: the connection is closed */
};

/* What a PUBLISH asks for. */
struct gh_operation {
    enum gh_operation_kind kind;
    struct gh_slice channel; /* the subfolder; empty when there is none */
    const char *detail;      /* for the operator when it is refused; static text */
};

enum gh_feed { GH_FEED_NONE, GH_FEED_CONFIG, GH_FEED_COMMANDS };

/* What a SUBSCRIBE gets. */
struct gh_grant {
    enum gh_feed feed; /* NONE: refused */
    uint8_t qos;       /* granted */
    /* Messages of the feed go to `base`, or to `base`/channel when they have a channel. */
    struct gh_slice base;
};

/* The connected device as a dialect needs it. */
struct gh_speaker {
    struct gh_slice id;
    uint64_t number;
    bool is_gateway;
};

struct gh_dialect {
    const char *name; /* "google" */
    /* Whether this CONNECT is of this dialect; the first in the server's list that says so has it. */
    bool (*recognise)(const struct gh_mqtt_connect *connect);
    /* Reads the claim. Returns 0, or the CONNACK code to refuse with and then `*why` (static text). */
    uint8_t (*claim)(const struct gh_mqtt_connect *connect, struct gh_claim *out, const char **why);
    struct gh_operation (*publish)(const struct gh_speaker *speaker, const struct gh_mqtt_publish *publish);
    struct gh_grant (*subscribe)(const struct gh_speaker *speaker, struct gh_slice filter, uint8_t qos);
};
#endif
