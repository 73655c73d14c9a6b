/* Journal: how the changes of stored MQTT sessions stand in the log, beside the messages
 * (route/message.h). A record with the tag GH_JOURNAL_CHANGES is a run of changes without gaps;
 * each names its session by a number that is never given twice. Replaying all records, in the order
 * of the log, gives the sessions, their subscriptions, what is queued for them and what is
 * retained.
 *
 * DONE ends an entry for good, wherever it stands in the log: it may come before the message that
 * it ends. All others count in the order of the log.
 *
 * Pure: no I/O. Memory: what is read borrows from the record. Threads: any. */
#ifndef GH_ROUTE_JOURNAL_H
#define GH_ROUTE_JOURNAL_H

#include "base/buffer.h"

enum { GH_JOURNAL_MESSAGE = 1, GH_JOURNAL_CHANGES = 2 }; /* tags of records */

enum gh_journal_kind {
    GH_JOURNAL_SESSION = 1,  /* the session is there, with these settings */
    GH_JOURNAL_SESSION_GONE, /* it is not, nor anything of it */
    GH_JOURNAL_DETACHED,     /* its connection ended at `at_ms` */
    GH_JOURNAL_FILTER,       /* it subscribes `filter` with `options` and `identifier` */
    GH_JOURNAL_FILTER_GONE,
    GH_JOURNAL_DONE,          /* entry `sequence` is acknowledged or dropped */
    GH_JOURNAL_RECEIVED,      /* entry `sequence`: PUBREC came */
    GH_JOURNAL_TAKEN,         /* its QoS 2 publish `packet_id` was taken and not released */
    GH_JOURNAL_RELEASED,      /* it was released */
    GH_JOURNAL_RETAINED_GONE, /* `filter` (a topic) of `tenant` has no retained message */
    GH_JOURNAL_KIND_COUNT
};

/* A will that waits for the end of the connection. */
struct gh_journal_will {
    struct gh_slice topic, properties, payload;
    uint32_t delay_s, expiry_s;
    bool has_expiry, retain;
    uint8_t qos;
};

struct gh_journal_change {
    enum gh_journal_kind kind;
    uint64_t session; /* of all but RETAINED_GONE */
    int64_t tenant;   /* SESSION, RETAINED_GONE */
    /* SESSION */
    uint64_t device;
    struct gh_slice client_id;
    uint32_t expiry_s;
    uint64_t sequence_next; /* numbers below were given out */
    bool has_will;
    struct gh_journal_will will;
    /* SESSION (0: connected), DETACHED */
    int64_t at_ms;
    /* FILTER, FILTER_GONE, RETAINED_GONE */
    struct gh_slice filter;
    uint8_t options;
    uint32_t identifier;
    uint64_t sequence;  /* DONE, RECEIVED */
    uint16_t packet_id; /* TAKEN, RELEASED */
};

/* Appends; false with the overflow marked when it does not fit. */
bool gh_journal_write(struct gh_buffer *out, const struct gh_journal_change *change);

enum gh_journal_read { GH_JOURNAL_CHANGE, GH_JOURNAL_END, GH_JOURNAL_MALFORMED };
/* The next change; `*at` begins as the record's body. */
GH_MUST_USE enum gh_journal_read gh_journal_next(struct gh_slice *at,
                                                 struct gh_journal_change *out);
#endif
