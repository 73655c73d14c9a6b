/* The inside of topics and subscriptions, shared by its files: definitions (pubsub_topics.c,
 * pubsub_subscriptions.c, pubsub_snapshots.c; pubsub_definitions.c what they do alike), publishing
 * and taps (pubsub.c), followers (pubsub_follow.c), the calls of consumers (pubsub_calls.c,
 * pubsub_seek.c), the thread that serves them (pubsub_service.c), dead letters (pubsub_forward.c),
 * what goes by itself (pubsub_expire.c), and what survives a restart (pubsub_checkpoint.c).
 *
 * Three locks, taken in this order: `admin` serialises changes of definitions, over SQL; `lock`
 * guards deliveries and waiting pulls, and is the service thread's while it works; `names` guards
 * the tables of names, for moments. Definitions change under all three, so one of the latter two is
 * enough to read them. */
#ifndef GH_PUBSUB_PUBSUB_INTERNAL_H
#define GH_PUBSUB_PUBSUB_INTERNAL_H

#include "base/map.h"
#include "pubsub/delivery.h"
#include "pubsub/journal.h"
#include "pubsub/pubsub.h"
#include <pthread.h>

struct gh_pubsub_topic {
    struct gh_topic topic; /* first, in all three; its slices are allocated */
    struct gh_pubsub_subscription *subscriptions;
};

struct gh_pubsub_subscription {
    struct gh_subscription
        what; /* its slices are allocated; topic GH_PUBSUB_DELETED_TOPIC once it is gone */
    uint64_t first_offset;
    struct gh_pubsub_subscription *next_of_topic;
    struct gh_delivery delivery;
    struct gh_filter *filter; /* NULL: none */
    int64_t active_at_ms;     /* a consumer was last seen, or it was made */
    bool live; /* it has all that the service thread has read; otherwise `reader` catches up */
    struct gh_log_reader *reader;
    struct gh_pull *pulls, **pulls_end; /* waiting, oldest first */
};

struct gh_pubsub_snapshot {
    struct gh_snapshot what; /* its slices are allocated */
    uint64_t from_offset;    /* what it needs begins there */
};

struct gh_tap {
    struct gh_pubsub *owner;
    struct gh_tap *next;
    gh_pubsub_tap_fn *fn;
    void *context;
};

struct gh_pubsub {
    struct gh_log *log;
    struct gh_store *store;
    struct gh_metrics *metrics;
    struct gh_log_clock clock;
    const struct gh_log_files *files;
    char *folder; /* of the log and the checkpoint */

    pthread_mutex_t admin, lock;
    pthread_rwlock_t names;
    struct gh_map topics, subscriptions; /* by tenant and name */
    struct gh_map topics_by_number, subscriptions_by_number;
    struct gh_map snapshots; /* by tenant and name */

    pthread_mutex_t taps_lock;
    struct gh_tap *taps;
    size_t taps_count;
    uint64_t tapped_to; /* the first offset taps have not seen */

    pthread_mutex_t grown_lock;
    pthread_cond_t grown; /* something was stored, or a follower is to wake */

    /* The way to the service thread. */
    struct gh_mailbox inbox;
    int bell;
    _Atomic bool closing;
    _Atomic uint32_t calls; /* pulls and acknowledgements under way */
    pthread_t thread;

    /* Under `lock`. */
    struct gh_log_reader *reader; /* of all topics */
    uint64_t read_to;
    bool behind; /* the log has more than `read_to` */
    struct gh_log_hold *hold;
    struct gh_buffer fetched;
    uint8_t ack_key[GH_JOURNAL_KEY_BYTES];
    size_t acks_under_way; /* journal records that are being written */
    uint64_t replay_from;  /* journal records below are applied */
    uint64_t journalled;   /* acknowledged since the last checkpoint */
    bool changed;          /* since the last checkpoint */
    int64_t checkpoint_at_ns, hold_at_ns, retry_at_ns, expire_at_ns;
};

enum {
    GH_PUBSUB_JOURNAL_TAG = UINT32_MAX / 2, /* of the journal's records; topics have their number */
    GH_PUBSUB_STATE_BYTES_MAX = 8 * 1024 * 1024, /* of one subscription's state */
    GH_PUBSUB_WAITING_MAX = 4096, /* messages known to a subscription and not handed out */
};

int64_t gh_pubsub_now_ns(const struct gh_pubsub *ps);
int64_t gh_pubsub_now_ms(const struct gh_pubsub *ps);
void gh_pubsub_ring(struct gh_pubsub *ps);
/* To the service thread; also as the reply function of its appends. */
void gh_pubsub_send(void *ps, struct gh_letter *letter);

/* Tables. The key of a name is its tenant and its bytes; of a number its four bytes. */
enum { GH_PUBSUB_KEY_MAX = 8 + GH_PUBSUB_NAME_MAX };
struct gh_slice gh_pubsub_name_key(int64_t tenant, struct gh_slice name,
                                   uint8_t out[GH_PUBSUB_KEY_MAX]);
struct gh_slice gh_pubsub_number_key(const uint32_t *number);
/* As gh_pubsub_named. */
struct gh_pubsub_topic *gh_pubsub_topic_named(const struct gh_pubsub *ps, int64_t tenant,
                                              struct gh_slice name);
struct gh_pubsub_subscription *gh_pubsub_subscription_named(const struct gh_pubsub *ps,
                                                            int64_t tenant, struct gh_slice name);
/* Allocated copy; false: no memory. */
GH_MUST_USE bool gh_pubsub_copy(struct gh_slice from, struct gh_slice *out);
void gh_pubsub_uncopy(struct gh_slice slice);

/* ---- what the three kinds of definitions do alike (pubsub_definitions.c) */

/* A definition is what callers see: struct gh_topic, gh_subscription, gh_snapshot. An entry of the
 * kind's table begins with one, whose slices are allocated. */
struct gh_pubsub_kind {
    const char *noun;    /* "topic" */
    size_t size;         /* of a definition */
    size_t tenant;       /* where its tenant stands */
    const size_t *texts; /* and where its slices, the name first */
    size_t texts_count;
    /* Whether it is in the list of that topic; may be NULL. */
    bool (*is_of)(const void *what, struct gh_slice topic);
};
/* A part of a list: of one tenant, by name, behind `after`; `topic` empty: of all topics. */
struct gh_pubsub_part {
    int64_t tenant;
    struct gh_slice topic, after;
    size_t limit;
};

/* Allocates the texts of `from` anew in `out`. False: no memory, nothing is allocated. */
GH_MUST_USE bool gh_pubsub_texts_copy(const struct gh_pubsub_kind *kind, const void *from,
                                      void *out);
void gh_pubsub_texts_free(const struct gh_pubsub_kind *kind, void *what);
/* A copy in an arena, for the caller; `out` may be NULL. */
GH_MUST_USE enum gh_error_code gh_pubsub_give(const struct gh_pubsub_kind *kind, const void *what,
                                              struct gh_arena *arena, void *out,
                                              struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_pubsub_name_check(const struct gh_pubsub_kind *kind,
                                                    struct gh_slice name, struct gh_error *error);
/* NOT_FOUND. */
enum gh_error_code gh_pubsub_none(const struct gh_pubsub_kind *kind, struct gh_slice name,
                                  struct gh_error *error);
/* NULL: there is none. Under `names` or `lock`. */
void *gh_pubsub_named(const struct gh_map *table, int64_t tenant, struct gh_slice name);
/* These two without `names`. */
GH_MUST_USE enum gh_error_code gh_pubsub_get(struct gh_pubsub *ps,
                                             const struct gh_pubsub_kind *kind,
                                             const struct gh_map *table, int64_t tenant,
                                             struct gh_slice name, struct gh_arena *arena,
                                             void *out, struct gh_error *error);
/* `*out` becomes an array of definitions. */
GH_MUST_USE enum gh_error_code
gh_pubsub_list(struct gh_pubsub *ps, const struct gh_pubsub_kind *kind, const struct gh_map *table,
               const struct gh_pubsub_part *part, struct gh_arena *arena, void **out, size_t *count,
               struct gh_error *error);
/* Exchanges a definition in its table with `other`, under `lock` and `names`. */
void gh_pubsub_exchange(struct gh_pubsub *ps, const struct gh_pubsub_kind *kind, void *what,
                        void *other);

/* Whether `etag` is empty, or the policy's. */
GH_MUST_USE bool gh_pubsub_etag_fits(struct gh_slice policy, struct gh_slice etag);

/* Definitions, from the store at open. */
GH_MUST_USE enum gh_error_code gh_pubsub_topics_load(struct gh_pubsub *ps, struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_pubsub_subscriptions_load(struct gh_pubsub *ps,
                                                            struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_pubsub_snapshots_load(struct gh_pubsub *ps,
                                                        struct gh_error *error);
void gh_pubsub_snapshots_free(struct gh_pubsub *ps);
void gh_pubsub_topics_free(struct gh_pubsub *ps);
void gh_pubsub_subscriptions_free(struct gh_pubsub *ps);
/* Into the topic's list. Under `lock`. */
void gh_pubsub_topic_join(struct gh_pubsub *ps, struct gh_pubsub_subscription *subscription);
void gh_pubsub_topic_part(struct gh_pubsub *ps, struct gh_pubsub_subscription *subscription);
/* The topic of these is gone. Under all locks. */
void gh_pubsub_orphan(struct gh_pubsub *ps, struct gh_pubsub_topic *topic);
void gh_pubsub_snapshots_orphan(struct gh_pubsub *ps, uint32_t topic);

/* For how long messages are delivered: as the subscription says, or its topic. Under `lock`. */
int64_t gh_pubsub_kept_ms(const struct gh_pubsub *ps,
                          const struct gh_pubsub_subscription *subscription);
/* The key of an ordering key, 0 for none. */
uint64_t gh_pubsub_order_key(struct gh_slice ordering_key);
/* The delivery begins anew at `read_to`, with the subscription's rules. Under `lock`. */
void gh_pubsub_delivery_begin(struct gh_pubsub_subscription *subscription, uint64_t read_to);
/* Its rules have changed. Under `lock`. */
void gh_pubsub_rules_apply(struct gh_pubsub_subscription *subscription);

/* A subscription's state, as a checkpoint has it. Under `lock`. */
void gh_pubsub_state_write(const struct gh_pubsub *ps, struct gh_pubsub_subscription *subscription,
                           struct gh_buffer *out);
/* Replaces the state of the subscription that the bytes name, or of `other` unless that is NULL.
 * Passes over what belongs to nobody. Under `lock`; false: they are not right, or no memory. */
GH_MUST_USE bool gh_pubsub_state_read(struct gh_pubsub *ps, struct gh_cursor *at, uint32_t format,
                                      struct gh_pubsub_subscription *other);

/* Reads the checkpoint and the journal behind it into the deliveries. */
GH_MUST_USE enum gh_error_code gh_pubsub_restore(struct gh_pubsub *ps, struct gh_error *error);
/* Saves the deliveries. Under `lock`. False: it could not be written; the journal still has
 * everything. */
bool gh_pubsub_checkpoint(struct gh_pubsub *ps);

void *gh_pubsub_service_run(void *ps);
/* Ends a call: the caller has its struct again. */
void gh_pubsub_pull_end(struct gh_pubsub *ps, struct gh_pull *pull, enum gh_error_code result);
/* What a letter of a call does on the service thread, under `lock`. */
void gh_pubsub_pull_open(struct gh_letter *letter);
/* Ends all waiting pulls of a subscription. Under `lock`. */
void gh_pubsub_pulls_end(struct gh_pubsub *ps, struct gh_pubsub_subscription *subscription,
                         enum gh_error_code result);

/* Counts a call in; the subscription's number, 0 with `error` filled. */
GH_MUST_USE uint32_t gh_pubsub_call_begin(struct gh_pubsub *ps, int64_t tenant,
                                          struct gh_slice name, struct gh_error *error);
void gh_pubsub_call_end(struct gh_pubsub *ps);
/* Writes the acknowledgement of a message whose acknowledgement has begun. Under `lock`. */
void gh_pubsub_ack_one(struct gh_pubsub *ps, uint32_t subscription, uint64_t offset);

/* Sends the dead messages of a subscription on. Under `lock`. */
void gh_pubsub_bury(struct gh_pubsub *ps, struct gh_pubsub_subscription *subscription);
/* Deletes subscriptions and snapshots whose time has come. On the service thread, without locks. */
void gh_pubsub_expire(struct gh_pubsub *ps);

void gh_pubsub_ack_id_write(const struct gh_pubsub *ps, uint32_t subscription, uint64_t offset,
                            uint32_t attempt, char out[GH_PUBSUB_ACK_ID_BYTES + 1]);
GH_MUST_USE bool gh_pubsub_ack_id_read(const struct gh_pubsub *ps, uint32_t subscription,
                                       struct gh_slice text, uint64_t *offset, uint32_t *attempt);
#endif
