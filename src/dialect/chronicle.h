/* Chronicle: the activity of a registry's devices, told on a topic of its own in the form in which
 * the dialect's cloud logged it: connects and disconnects, attachments, and what they publish and
 * subscribe. How much is told is the device's log level, or its registry's. Best effort: what the
 * log cannot take at once is dropped. Who was refused, and why, is in the trail (observe/trail.h),
 * never here.
 *
 * Memory: an entry is copied by the publication. Threads: any; never blocks. */
#ifndef GH_DIALECT_CHRONICLE_H
#define GH_DIALECT_CHRONICLE_H

#include "base/buffer.h"
#include "store/records.h"

enum gh_chronicle_kind {
    GH_CHRONICLE_CONNECT,
    GH_CHRONICLE_DISCONNECT,
    GH_CHRONICLE_ATTACH, /* to a gateway */
    GH_CHRONICLE_DETACH,
    GH_CHRONICLE_PUBLISH, /* from the device */
    GH_CHRONICLE_SEND,    /* to the device */
    GH_CHRONICLE_ACK,     /* by the device, of what was sent */
    GH_CHRONICLE_SUBSCRIBE,
    GH_CHRONICLE_UNSUBSCRIBE,
    GH_CHRONICLE_HEARTBEAT,
    GH_CHRONICLE_KIND_COUNT
};

struct gh_chronicle_entry {
    enum gh_chronicle_kind kind;
    const char *protocol; /* "MQTT" or "HTTP" */
    const char *reason;   /* stable name of what went wrong, or of the end; NULL: all is well */
    const char *detail;   /* text; NULL: none */
    bool by_server;       /* of DISCONNECT and DETACH */
    struct gh_slice topic;
    const char *matter; /* of PUBLISH, SEND and ACK: "EVENTS", "STATE", "CONFIG", "COMMAND" */
    int64_t at_ms;      /* made by gh_chronicle_write, as the next */
    uint64_t sequence;  /* rising in the life of the process */
};

struct gh_dialect;
struct gh_pubsub;
struct gh_speaker;

struct gh_chronicle {
    const struct gh_dialect *dialect;
    struct gh_pubsub *pubsub;
    int64_t tenant;
    struct gh_slice topic;            /* empty: nothing is told */
    int device_level, registry_level; /* enum gh_device_log */
    int64_t now_ms;
};

/* Writes the entry if its level is asked for. */
void gh_chronicle_write(const struct gh_chronicle *chronicle, const struct gh_speaker *speaker,
                        const struct gh_chronicle_entry *entry);
/* Whether something went wrong: a reason that is not that of an orderly end. */
bool gh_chronicle_failed(const struct gh_chronicle_entry *entry);
#endif
