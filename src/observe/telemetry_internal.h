/* The inside of telemetry, shared by the thread that reads and seals (telemetry.c) and the queries
 * (telemetry_query.c).
 *
 * A record is in one of three places: in `young` (read from the log), in `sealing` (on its way into
 * the store), or in the store. It leaves `sealing` after it is in the store, and queries look at
 * memory first and at the store then, so they may meet it twice, which its time and id tell, and
 * never miss it. */
#ifndef GH_OBSERVE_TELEMETRY_INTERNAL_H
#define GH_OBSERVE_TELEMETRY_INTERNAL_H

#include "base/map.h"
#include "observe/telemetry.h"
#include "pubsub/pubsub.h"
#include <pthread.h>

/* A record in memory; channel and payload stand behind it. */
struct gh_telemetry_node {
    struct gh_telemetry_node *older, *newer;
    int64_t at_ms;
    uint64_t id;
    uint32_t channel_bytes, payload_bytes;
    uint8_t bytes[];
};

/* What of one device is in memory. */
struct gh_telemetry_series {
    uint64_t device;
    struct gh_telemetry_node *oldest, *newest;
};

struct gh_telemetry_tail {
    struct gh_map series; /* by device, 8 bytes */
    size_t bytes;
};

struct gh_telemetry {
    struct gh_telemetry_options options;
    struct gh_follower *follower;
    pthread_t thread;
    _Atomic bool closing;

    pthread_mutex_t lock;
    pthread_cond_t moved; /* read_to or sealed_to moved, or sealing failed */
    struct gh_telemetry_tail young, sealing;
    uint64_t read_to,
        sealed_to;        /* ids: everything below is in memory or the store; is in the store */
    uint64_t sealing_to;  /* what sealed_to becomes; 0: nothing is being sealed */
    uint64_t seal_wanted; /* somebody waits for sealed_to to get here */
    unsigned failures;
    struct gh_error failure;
    int64_t sealed_at_ms, retry_at_ns, trim_at_ns;
};

struct gh_slice gh_telemetry_key(const uint64_t *device);
struct gh_telemetry_record gh_telemetry_record_of(const struct gh_telemetry_node *node);
#endif
