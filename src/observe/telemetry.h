/* Telemetry: the devices' events kept for queries by device, channel and time. Young records live
 * in memory, older ones in the store as sealed blocks (one device, in order of time, compressed;
 * observe/block.h). The message log is the truth behind the memory: what is not sealed yet is read
 * from it again at start, so nothing stored is missed and a record appears once, before and after a
 * crash and while a block is being sealed.
 *
 * It follows the log at its own pace on one thread and never holds up a publisher; when sealing is
 * slow it reads on later. Its memory is bounded by `tail_bytes_max`. What the payload means is the
 * reader's business.
 *
 * Memory: results live in the caller's arena. Threads: any; a query blocks (SQL): worker threads
 * only. */
#ifndef GH_OBSERVE_TELEMETRY_H
#define GH_OBSERVE_TELEMETRY_H

#include "base/arena.h"
#include "base/error.h"
#include "base/metric.h"

struct gh_pubsub;
struct gh_store;
struct gh_telemetry;

struct gh_telemetry_options {
    struct gh_pubsub *pubsub; /* both outlive the telemetry */
    struct gh_store *store;
    size_t
        tail_bytes_max; /* memory of what is not sealed; 0: 64 MiB. At half of it sealing begins */
    int64_t
        seal_after_ms;  /* and at this age, so that a restart reads little again; 0: 10 minutes */
    int64_t age_max_ms; /* sealed blocks older than this go; 0: 90 days */
    int64_t (*utc_ms)(void *context); /* NULL: the system's clock */
    void *utc_context;
    struct gh_metrics *metrics;
};
GH_MUST_USE struct gh_telemetry *gh_telemetry_open(const struct gh_telemetry_options *options,
                                                   struct gh_error *error);
/* Ends the thread. What is not sealed stays in the log. */
void gh_telemetry_close(struct gh_telemetry *telemetry);

struct gh_telemetry_record {
    int64_t at_ms; /* when it was published, UTC */
    uint64_t id;   /* the message's id; rises with every message */
    struct gh_slice channel, payload;
};
struct gh_telemetry_query {
    uint64_t device;
    int64_t from_ms, to_ms; /* [from, to); to_ms 0: no end */
    bool has_channel;       /* false: all channels */
    struct gh_slice channel;
    size_t limit; /* the newest so many of the range; 0: 500, more than GH_TELEMETRY_LIMIT_MAX is
                     cut */
};
enum { GH_TELEMETRY_LIMIT_MAX = 5000 };
struct gh_telemetry_answer {
    const struct gh_telemetry_record *records; /* ascending by time, then id */
    size_t count;
    bool truncated; /* the range may hold older ones than these (limit, or arena) */
};
/* Sees everything that was acknowledged before the call. STORE_* when the store fails, TIMEOUT when
 * reading the log is far behind. */
GH_MUST_USE enum gh_error_code
gh_telemetry_query(struct gh_telemetry *telemetry, const struct gh_telemetry_query *query,
                   struct gh_arena *arena, struct gh_telemetry_answer *out, struct gh_error *error);

/* Seals all that is in memory now and waits for it: before a backup, and in tests. */
GH_MUST_USE enum gh_error_code gh_telemetry_seal(struct gh_telemetry *telemetry,
                                                 struct gh_error *error);
struct gh_telemetry_status {
    uint64_t sealed_to, read_to; /* message ids */
    size_t tail_bytes;
};
struct gh_telemetry_status gh_telemetry_status(struct gh_telemetry *telemetry);
#endif
