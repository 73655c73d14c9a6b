/* Topics, subscriptions and snapshots over the message log (Google Pub/Sub's model, v1): a topic
 * takes messages, a subscription hands out those published after it was made, each at least once,
 * until they are acknowledged. Pushing them to somebody is a dialect's: it pulls on his behalf.
 * Names are plain ("telemetry", not "projects/p/topics/telemetry") and belong to a tenant; the
 * paths, JSON and error bodies of a cloud belong to its dialect.
 *
 * Durability: a publish is answered after its record is on disk; an acknowledgement after its
 * journal record is. After a crash an acknowledged message does not come back, every other one
 * does. Delivery: a pulled message is leased until its deadline; then, or on a deadline of 0
 * (nack), it is delivered again with its attempt counted up. Leases live in memory: after a restart
 * what was not acknowledged is delivered again. How often a message has failed is saved twice a
 * minute and at the end. A seek is answered after it is on disk.
 *
 * Bounds: messages of a publish and their sizes (message.h), appends in the log's queue, per
 * subscription the leases (GH_PUBSUB_LEASES_MAX; past it a pull waits), waiting pulls
 * (GH_PUBSUB_PULLS_MAX), pulls and calls of all (GH_PUBSUB_CALLS_MAX; past them UNAVAILABLE). What
 * a subscription has not handed out yet is not in memory but in the log.
 *
 * Memory: slices given are borrowed for the call only, except where a struct says otherwise;
 * results are the caller's arena's or live inside the call's struct until it is released.
 * Threads: any. The functions that end in _wait and those on definitions block (SQL, fdatasync):
 * worker threads only. */
#ifndef GH_PUBSUB_PUBSUB_H
#define GH_PUBSUB_PUBSUB_H

#include "base/arena.h"
#include "base/metric.h"
#include "pubsub/filter.h"
#include "pubsub/log.h"
#include "pubsub/message.h"

struct gh_pubsub;
struct gh_store;

enum {
    GH_PUBSUB_NAME_MIN = 3,
    GH_PUBSUB_NAME_MAX = 255,
    GH_PUBSUB_DEADLINE_MIN_S = 10,
    GH_PUBSUB_DEADLINE_MAX_S = 600,
    GH_PUBSUB_WAIT_MAX_S = 30,
    GH_PUBSUB_LEASES_MAX = 50000,
    GH_PUBSUB_CALLS_MAX = 4096,
    GH_PUBSUB_PULLS_MAX = 256,   /* waiting on one subscription */
    GH_PUBSUB_ACK_ID_BYTES = 48, /* text of one ackId */
    GH_PUBSUB_PULL_MAX = 1000,
    GH_PUBSUB_ATTEMPTS_MIN = 5, /* deliveries before a message is a dead letter */
    GH_PUBSUB_ATTEMPTS_MAX = 100,
    GH_PUBSUB_SNAPSHOTS_MAX = 5000, /* of all tenants together */
    GH_PUBSUB_ETAG_BYTES = 8,
};
#define GH_PUBSUB_RETENTION_MIN_MS (INT64_C(10) * 60 * 1000)
#define GH_PUBSUB_RETENTION_DEFAULT_MS (INT64_C(7) * 24 * 3600 * 1000)
#define GH_PUBSUB_RETENTION_MAX_MS (INT64_C(31) * 24 * 3600 * 1000)
#define GH_PUBSUB_BACKOFF_MAX_MS (INT64_C(600) * 1000)
#define GH_PUBSUB_EXPIRY_MIN_MS (INT64_C(24) * 3600 * 1000)
#define GH_PUBSUB_SNAPSHOT_MS (INT64_C(7) * 24 * 3600 * 1000)
#define GH_PUBSUB_SNAPSHOT_MIN_MS (INT64_C(3600) * 1000)
/* What a subscription says of its topic once that is deleted. */
#define GH_PUBSUB_DELETED_TOPIC "_deleted-topic_"

struct gh_pubsub_options {
    const char *folder;        /* the data folder; the log goes to folder/log */
    struct gh_store *store;    /* topics and subscriptions; outlives the pubsub */
    struct gh_log_options log; /* without `folder` and `watch`; zeros are the defaults */
    struct gh_metrics *metrics;
};
GH_MUST_USE struct gh_pubsub *gh_pubsub_open(const struct gh_pubsub_options *options,
                                             struct gh_error *error);
/* Answers waiting pulls and calls with UNAVAILABLE, writes what is queued, saves the subscriptions'
 * state. */
void gh_pubsub_close(struct gh_pubsub *ps);
struct gh_log_status gh_pubsub_log_status(const struct gh_pubsub *ps);

/* 3-255 characters, a letter first, then letters, digits, -_.~+%, not beginning with "goog". */
bool gh_pubsub_name_valid(struct gh_slice name);

struct gh_topic {
    uint32_t number; /* never used again */
    int64_t tenant;
    struct gh_slice name;
    struct gh_slice settings; /* JSON of the dialect's (labels and the like), kept as given */
    int64_t created_at_ms;
    int64_t retention_ms;   /* its subscriptions can seek back so far; 0: only what they keep */
    struct gh_slice policy; /* bindings of the dialect's; empty: none */
    struct gh_slice policy_etag; /* of a change: what must stand there before; empty: anything */
};
/* EXISTS, INVALID, STORE_WRITE. `out` may be NULL. */
GH_MUST_USE enum gh_error_code gh_pubsub_topic_create(struct gh_pubsub *ps, int64_t tenant,
                                                      struct gh_slice name,
                                                      struct gh_slice settings,
                                                      struct gh_arena *arena, struct gh_topic *out,
                                                      struct gh_error *error);
/* Changes those of settings, retention_ms (0 or its limits) and policy that `fields` names.
 * CONFLICT when the policy has another etag than was said. */
enum { GH_TOPIC_SETTINGS = 1, GH_TOPIC_RETENTION = 2, GH_TOPIC_POLICY = 4 };
GH_MUST_USE enum gh_error_code gh_pubsub_topic_update(struct gh_pubsub *ps,
                                                      const struct gh_topic *what, unsigned fields,
                                                      struct gh_arena *arena, struct gh_topic *out,
                                                      struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_pubsub_topic_get(struct gh_pubsub *ps, int64_t tenant,
                                                   struct gh_slice name, struct gh_arena *arena,
                                                   struct gh_topic *out, struct gh_error *error);
/* In the order of names, those after `after` (empty: from the start), at most `limit`. */
GH_MUST_USE enum gh_error_code gh_pubsub_topic_list(struct gh_pubsub *ps, int64_t tenant,
                                                    struct gh_slice after, size_t limit,
                                                    struct gh_arena *arena, struct gh_topic **out,
                                                    size_t *count, struct gh_error *error);
/* Its subscriptions stay and keep what they have. */
GH_MUST_USE enum gh_error_code gh_pubsub_topic_delete(struct gh_pubsub *ps, int64_t tenant,
                                                      struct gh_slice name, struct gh_error *error);
/* Never blocks on the store; for the way of a message. */
bool gh_pubsub_topic_exists(struct gh_pubsub *ps, int64_t tenant, struct gh_slice name);

struct gh_subscription {
    uint32_t number;
    int64_t tenant;
    struct gh_slice name;
    uint32_t topic_number;
    struct gh_slice topic; /* GH_PUBSUB_DELETED_TOPIC once that is gone */
    uint32_t ack_deadline_s;
    int64_t retention_ms;
    struct gh_slice settings; /* JSON of the dialect's (labels and the like), kept as given */
    int64_t created_at_ms;
    /* For ever: */
    struct gh_slice filter; /* pubsub/filter.h: others are passed over; empty: all are delivered */
    bool is_ordered;        /* by the ordering keys of messages (pubsub/delivery.h) */
    /* To be changed: */
    bool retains_acked; /* acknowledged messages can be sought back for retention_ms */
    bool is_detached;   /* for ever: nothing comes any more, and what there was is gone */
    struct gh_slice dead_letter_topic;      /* of the tenant; empty: none */
    struct gh_slice dead_letter_project;    /* what forwarded messages call the tenant */
    uint32_t attempts_max;                  /* deliveries, then it goes to that topic */
    int64_t backoff_min_ms, backoff_max_ms; /* before a redelivery; 0: none */
    int64_t expires_after_ms;               /* without a pull it is deleted; 0: never */
    struct gh_slice push;        /* JSON of the dialect's: whom it is pushed to; empty: nobody */
    struct gh_slice policy;      /* bindings of the dialect's; empty: none */
    struct gh_slice policy_etag; /* of a change: what must stand there before; empty: anything */
};
enum {
    GH_SUBSCRIPTION_DEADLINE = 1,
    GH_SUBSCRIPTION_RETENTION = 2,
    GH_SUBSCRIPTION_SETTINGS = 4,
    GH_SUBSCRIPTION_RETAINS = 8,
    GH_SUBSCRIPTION_DEAD_LETTER = 16,
    GH_SUBSCRIPTION_BACKOFF = 32,
    GH_SUBSCRIPTION_EXPIRY = 64,
    GH_SUBSCRIPTION_PUSH = 128,
    GH_SUBSCRIPTION_DETACHED = 256,
    GH_SUBSCRIPTION_POLICY = 512,
};
/* Uses all of `what` but its numbers, creation, detachment and policy; ack_deadline_s 0 is 10,
 * retention_ms 0 is 7 days. The dead letter topic is looked up by name whenever it is needed. */
GH_MUST_USE enum gh_error_code gh_pubsub_subscription_create(struct gh_pubsub *ps,
                                                             const struct gh_subscription *what,
                                                             struct gh_arena *arena,
                                                             struct gh_subscription *out,
                                                             struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_pubsub_subscription_get(struct gh_pubsub *ps, int64_t tenant,
                                                          struct gh_slice name,
                                                          struct gh_arena *arena,
                                                          struct gh_subscription *out,
                                                          struct gh_error *error);
/* `topic` empty: of all topics. */
GH_MUST_USE enum gh_error_code
gh_pubsub_subscription_list(struct gh_pubsub *ps, int64_t tenant, struct gh_slice topic,
                            struct gh_slice after, size_t limit, struct gh_arena *arena,
                            struct gh_subscription **out, size_t *count, struct gh_error *error);
/* Changes what `fields` names; a deadline or retention of 0 is the default. CONFLICT when the
 * policy has another etag than was said. */
GH_MUST_USE enum gh_error_code
gh_pubsub_subscription_update(struct gh_pubsub *ps, const struct gh_subscription *what,
                              unsigned fields, struct gh_arena *arena, struct gh_subscription *out,
                              struct gh_error *error);
/* Of all tenants, those that are pushed. */
GH_MUST_USE enum gh_error_code gh_pubsub_subscription_pushed(struct gh_pubsub *ps,
                                                             struct gh_arena *arena,
                                                             struct gh_subscription **out,
                                                             size_t *count, struct gh_error *error);
/* Waiting pulls end with NOT_FOUND. */
GH_MUST_USE enum gh_error_code gh_pubsub_subscription_delete(struct gh_pubsub *ps, int64_t tenant,
                                                             struct gh_slice name,
                                                             struct gh_error *error);

/* What the operator asks of a subscription. */
struct gh_subscription_backlog {
    uint64_t leased,
        waiting; /* handed out; known and not handed out (the log may hold more behind `read_to`) */
    uint64_t acked_to; /* everything of its topic below this offset is acknowledged or expired */
    uint64_t read_to;
};
GH_MUST_USE enum gh_error_code gh_pubsub_subscription_backlog(struct gh_pubsub *ps, int64_t tenant,
                                                              struct gh_slice name,
                                                              struct gh_subscription_backlog *out,
                                                              struct gh_error *error);

/* Names a policy text: whoever read it can tell whether it was changed since. */
void gh_pubsub_etag(struct gh_slice policy, uint8_t out[GH_PUBSUB_ETAG_BYTES]);

/* What a subscription had not acknowledged at a moment. It keeps those messages until it expires,
 * the longer the older they are: 7 days less the age of the oldest. */
struct gh_snapshot {
    uint32_t number;
    int64_t tenant;
    struct gh_slice name;
    uint32_t topic_number;
    struct gh_slice topic;    /* GH_PUBSUB_DELETED_TOPIC once that is gone */
    struct gh_slice settings; /* JSON of the dialect's */
    int64_t expires_at_ms;
};
/* Uses tenant, name and settings. NOT_FOUND without the subscription, PRECONDITION when it would
 * expire within an hour or the subscription is detached. */
GH_MUST_USE enum gh_error_code
gh_pubsub_snapshot_create(struct gh_pubsub *ps, const struct gh_snapshot *what,
                          struct gh_slice subscription, struct gh_arena *arena,
                          struct gh_snapshot *out, struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_pubsub_snapshot_get(struct gh_pubsub *ps, int64_t tenant,
                                                      struct gh_slice name, struct gh_arena *arena,
                                                      struct gh_snapshot *out,
                                                      struct gh_error *error);
/* `topic` empty: of all topics. */
GH_MUST_USE enum gh_error_code gh_pubsub_snapshot_list(struct gh_pubsub *ps, int64_t tenant,
                                                       struct gh_slice topic, struct gh_slice after,
                                                       size_t limit, struct gh_arena *arena,
                                                       struct gh_snapshot **out, size_t *count,
                                                       struct gh_error *error);
/* Changes those of settings and expires_at_ms (at most 7 days from now) that `fields` names. */
enum { GH_SNAPSHOT_SETTINGS = 1, GH_SNAPSHOT_EXPIRY = 2 };
GH_MUST_USE enum gh_error_code
gh_pubsub_snapshot_update(struct gh_pubsub *ps, const struct gh_snapshot *what, unsigned fields,
                          struct gh_arena *arena, struct gh_snapshot *out, struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_pubsub_snapshot_delete(struct gh_pubsub *ps, int64_t tenant,
                                                         struct gh_slice name,
                                                         struct gh_error *error);

/* To a snapshot of the same topic: what it holds and what came after is to be delivered. To a time
 * (snapshot empty): what was published before is acknowledged, what came after is not, as far as it
 * is kept: what was acknowledged comes back when the subscription retains it or the topic does. A
 * time to come is the present. */
GH_MUST_USE enum gh_error_code gh_pubsub_seek_wait(struct gh_pubsub *ps, int64_t tenant,
                                                   struct gh_slice subscription,
                                                   struct gh_slice snapshot, int64_t at_ms,
                                                   struct gh_error *error);

struct gh_publication {
    struct gh_letter done; /* `open` is the caller's; given to `reply` on the log thread, once */
    void (*reply)(void *context, struct gh_letter *done);
    void *reply_context;
    /* Valid from the reply on. */
    enum gh_error_code result; /* GH_OK, or GH_ERROR_LOG_FULL */
    uint64_t id;               /* the messageId, as a decimal */
    int64_t at_ms;             /* the publishTime */
    /* The pubsub's own. */
    struct gh_append append;
    uint8_t *bytes;
};
/* Copies the message. GH_OK: the reply will come. NOT_FOUND (no such topic), INVALID, UNAVAILABLE
 * (queue full), MEMORY: it will not. Never blocks. */
GH_MUST_USE enum gh_error_code gh_pubsub_publish(struct gh_pubsub *ps, int64_t tenant,
                                                 struct gh_slice topic,
                                                 const struct gh_message *message,
                                                 struct gh_publication *publication,
                                                 struct gh_error *error);
/* All of them in order, at most GH_MESSAGES_PER_PUBLISH_MAX and GH_MESSAGE_BYTES_MAX together;
 * `ids` has room for `count`. When it fails some may be stored: the publisher repeats (at least
 * once). */
GH_MUST_USE enum gh_error_code gh_pubsub_publish_wait(struct gh_pubsub *ps, int64_t tenant,
                                                      struct gh_slice topic,
                                                      const struct gh_message *messages,
                                                      size_t count, uint64_t *ids,
                                                      struct gh_error *error);

struct gh_received {
    struct gh_message message;
    uint64_t id;
    int64_t at_ms;
    uint32_t attempt; /* 1, and one more for each time that it was given back or expired */
    char ack_id[GH_PUBSUB_ACK_ID_BYTES + 1];
};

struct gh_pull {
    struct gh_letter
        done; /* `open` is the caller's; given to `reply` on the pubsub's thread, once */
    void (*reply)(void *context, struct gh_letter *done);
    void *reply_context;
    size_t messages_max;     /* 1 to GH_PUBSUB_PULL_MAX, more is cut */
    size_t bytes_max;        /* of answers' data, at least one message is given; 0: 8 MiB */
    uint32_t ack_deadline_s; /* of what it gives; 0: the subscription's */
    bool only_waits; /* it takes nothing, and ends when its time is over or it is cancelled */
    int64_t wait_ms; /* 0: return immediately; more than GH_PUBSUB_WAIT_MAX_S is cut */
    /* Valid from the reply to gh_pull_release. */
    enum gh_error_code
        result; /* GH_OK (perhaps without messages), NOT_FOUND, UNAVAILABLE, MEMORY */
    const struct gh_received *messages;
    size_t count;
    /* The pubsub's own. */
    struct gh_arena arena;
    struct gh_letter inbound;
    struct gh_pubsub *owner;
    struct gh_pull *next;
    uint32_t subscription;
    int64_t until_ns;
    _Atomic bool cancelled;
};
/* GH_OK: the reply will come. NOT_FOUND, INVALID, PRECONDITION (detached), UNAVAILABLE: it will
 * not.
 */
GH_MUST_USE enum gh_error_code gh_pubsub_pull(struct gh_pubsub *ps, int64_t tenant,
                                              struct gh_slice subscription, struct gh_pull *pull,
                                              struct gh_error *error);
/* The reply comes soon, without messages unless they were on their way. Between pull and reply,
 * once. */
void gh_pubsub_pull_cancel(struct gh_pubsub *ps, struct gh_pull *pull);
/* Gives the messages back; after the reply. */
void gh_pull_release(struct gh_pull *pull);
/* Pulls and waits. Release it also when it failed. */
GH_MUST_USE enum gh_error_code gh_pubsub_pull_wait(struct gh_pubsub *ps, int64_t tenant,
                                                   struct gh_slice subscription,
                                                   struct gh_pull *pull, struct gh_error *error);

struct gh_acknowledge {
    struct gh_letter
        done; /* `open` is the caller's; given to `reply` on the pubsub's thread, once */
    void (*reply)(void *context, struct gh_letter *done);
    void *reply_context;
    enum gh_error_code result; /* from the reply on: GH_OK, LOG_FULL, NOT_FOUND, UNAVAILABLE */
    struct gh_ack_work *work;  /* the pubsub's own */
};
/* The reply comes when the acknowledgement is on disk. Late and repeated acknowledgements are fine.
 * A malformed or foreign ackId refuses the whole call with INVALID and changes nothing. */
GH_MUST_USE enum gh_error_code gh_pubsub_acknowledge(struct gh_pubsub *ps, int64_t tenant,
                                                     struct gh_slice subscription,
                                                     const struct gh_slice *ack_ids, size_t count,
                                                     struct gh_acknowledge *call,
                                                     struct gh_error *error);
/* `deadline_s` from now, 0 to GH_PUBSUB_DEADLINE_MAX_S; 0 gives the messages back at once. */
GH_MUST_USE enum gh_error_code
gh_pubsub_modify_deadline(struct gh_pubsub *ps, int64_t tenant, struct gh_slice subscription,
                          const struct gh_slice *ack_ids, size_t count, uint32_t deadline_s,
                          struct gh_acknowledge *call, struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_pubsub_acknowledge_wait(struct gh_pubsub *ps, int64_t tenant,
                                                          struct gh_slice subscription,
                                                          const struct gh_slice *ack_ids,
                                                          size_t count, struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_pubsub_modify_deadline_wait(struct gh_pubsub *ps, int64_t tenant,
                                                              struct gh_slice subscription,
                                                              const struct gh_slice *ack_ids,
                                                              size_t count, uint32_t deadline_s,
                                                              struct gh_error *error);

/* A stored message on its way past. Borrowed for the call. */
struct gh_tapped {
    struct gh_message message;
    uint64_t id;
    int64_t at_ms;
    int64_t tenant;        /* 0 when the topic is gone (replay only) */
    struct gh_slice topic; /* empty then */
};
typedef void gh_pubsub_tap_fn(void *context, const struct gh_tapped *tapped);
struct gh_tap;
/* `fn` sees every message stored from now on, in order, on the log thread, before its publisher
 * hears of it: it must be short and must not call back into the pubsub. `*from` (may be NULL) is
 * the first id that it can see. NULL: no memory, or GH_PUBSUB_TAPS_MAX reached. */
enum { GH_PUBSUB_TAPS_MAX = 64 };
GH_MUST_USE struct gh_tap *gh_pubsub_tap(struct gh_pubsub *ps, gh_pubsub_tap_fn *fn, void *context,
                                         uint64_t *from);
/* After it returns `fn` runs no more. Not from inside `fn`. */
void gh_pubsub_untap(struct gh_tap *tap);

/* Follows the stored messages of all topics from an id on, at its own pace: for consumers that keep
 * up by themselves and must not miss any (telemetry). One thread at a time. */
struct gh_follower;
GH_MUST_USE struct gh_follower *gh_follower_open(struct gh_pubsub *ps, const char *name,
                                                 uint64_t from);
void gh_follower_close(struct gh_follower *follower);
/* As gh_log_reader_next; `out` is valid until the next call. */
GH_MUST_USE enum gh_log_read gh_follower_next(struct gh_follower *follower, struct gh_tapped *out);
/* Everything below was read. */
uint64_t gh_follower_at(const struct gh_follower *follower);
/* Segments from `from` on are still needed. */
void gh_follower_hold(struct gh_follower *follower, uint64_t from);
/* Waits until something is stored at or above gh_follower_at, `timeout_ms` pass, or
 * gh_follower_wake. */
void gh_follower_wait(struct gh_follower *follower, int64_t timeout_ms);
/* Ends the wait at hand, or the next one. Any thread. */
void gh_follower_wake(struct gh_follower *follower);
/* The first id not yet stored. */
uint64_t gh_pubsub_next(const struct gh_pubsub *ps);

/* The clock was moved by hand (tests): deadlines are looked at again. */
void gh_pubsub_wake(struct gh_pubsub *ps);
#endif
