/* What the files of the broker share.
 *
 * - broker.c: open, stop, close; spaces (a tenant's topics), ports (a loop's part), status
 * - broker_batch.c: changes of sessions on their way to the journal
 * - broker_roster.c: all sessions by their names
 * - broker_session.c: connect, take over, detach, expiry, wills, the end of a session
 * - broker_pass_on.c: what a member of a shared group leaves behind at its end
 * - broker_subscribe.c: subscriptions, shared groups, which targets a topic has
 * - broker_publish.c: a publish: queues, record, commit
 * - broker_ready.c: telling a session's home that there is something to send
 * - broker_deliver.c: what a connection sends next; acknowledgements
 * - broker_fetch.c: bodies back from disk
 * - broker_retained.c: retained messages and the walk that sends them
 * - broker_load.c: the journal at start
 * - broker_clean.c: what is alive in old segments moves forward
 *
 * Locks, in the order in which they may be held together: broker, space (tree), group, retained,
 * session. A session's lock guards what its comment says; the rest of it is touched at home only.
 */
#ifndef GH_ROUTE_BROKER_INTERNAL_H
#define GH_ROUTE_BROKER_INTERNAL_H

#include "base/buffer.h"
#include "base/latch.h"
#include "base/map.h"
#include "route/broker.h"
#include "route/queue.h"
#include "route/retained_tree.h"
#include "route/share.h"
#include "route/topic_tree.h"
#include <assert.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

enum {
    /* Packet ids follow from sequence numbers; those above are the connection's own. */
    BROKER_PACKET_IDS = 60000,
    /* Flags of queue entries beside GH_TARGET_…: */
    ENTRY_DUP = GH_TARGET_SENT, /* was sent in an earlier connection */
    ENTRY_RESUME = 0x20,        /* its PUBREL must be sent in this one */
    LIVE_OVERHEAD_BYTES = 100,  /* of a record, for the estimate of what is alive */
};

/* Sessions by device and client id (broker_roster.c). */
struct roster {
    uint8_t key[16];
    struct session **chains;
    size_t chains_count, count; /* a power of two; sessions */
};

struct gh_broker {
    struct gh_broker_options options;
    struct gh_broker_limits limits;
    struct gh_log *log;
    struct gh_log_hold *hold;
    struct port *ports;
    size_t ports_count;
    pthread_mutex_t lock;    /* of the maps, the list and the numbers */
    struct gh_map spaces;    /* by tenant */
    struct roster roster;    /* of those that have not ended */
    struct gh_map by_number; /* of those with an inbox */
    uint64_t number_last;
    atomic_bool stopped;
    atomic_size_t sessions, connected, subscriptions, retained;
    atomic_int_fast64_t live_bytes; /* an estimate of what is alive in the journal */
    struct cleaner *cleaner;
    atomic_size_t queued; /* messages in queues, as far as no port has counted them */
};

/* The topics of one tenant. */
struct space {
    struct gh_broker *broker;
    int64_t tenant;
    atomic_size_t sessions;
    pthread_rwlock_t lock; /* tree, groups, relaxed */
    struct gh_topic_tree tree;
    struct gh_map groups; /* by their whole filter */
    struct gh_slice *relaxed;
    size_t relaxed_count;
    atomic_uint_fast64_t generation; /* rises with every change of the above */
    pthread_mutex_t retained_lock;   /* held while the record is appended: one order for both */
    struct gh_retained_tree retained;
    size_t retained_bytes;
};

/* A loop's part: touched on the loop only. */
struct port {
    struct gh_broker *broker;
    struct gh_loop *loop;
    struct gh_map matches; /* topic -> struct targets */
    size_t matches_weight;
    struct gh_buffer
        key; /* that is looked for in them: 64 KiB on the stack would be wiped each time */
    int64_t turn_ns, turn_ms; /* the loop's time at which UTC was read, and what it was */
    uint64_t matches_freed;   /* rises when one of them is: what is remembered elsewhere ends */
    struct gh_timer sweep;    /* forgets the stale ones, which hold sessions */
    struct batch *batch;      /* the open one */
    size_t batches_flying;    /* appended, not answered */
    struct gh_letter flush;
    bool flush_sent;
    struct session *line_first, **line_end; /* those to be told late, with a reference each */
    struct gh_letter line;
    bool line_posted;
    struct gh_timer retry;
    struct gh_buffer kept; /* changes whose record failed: written again by and by */
    /* Whose peer has acknowledged which entries in a row: they end with its next lock, or when
     * another has acknowledged, or so many have come. */
    struct gh_attachment *ending;
    uint64_t ending_first;
    size_t ending_count;
    /* Messages in queues, of what this loop has put in and ended; it may be "negative", the sum
     * over all ports counts. Written here alone, so without a locked instruction; anybody reads. */
    atomic_size_t queued;
    /* What its attachments lend until the next call. */
    uint32_t *identifiers;
    uint16_t *received;
    size_t identifiers_capacity, received_capacity;
};

/* What is in a subscription tree under a filter: a subscription, or a group of them. */
struct leaf {
    struct gh_topic_entry entry; /* first */
    bool is_group;
    atomic_uint refs;
};

struct subscription {
    struct leaf leaf; /* first */
    struct gh_share_member member;
    struct subscription *next, **link; /* of the session */
    struct session *session;           /* outlives it: removed before the session goes */
    struct group *group;               /* of a shared one */
    struct walk *walk;                 /* for it, under way; at the session's home */
    atomic_bool removed;
    bool no_local, retain_as_published;
    uint8_t qos;
    uint32_t identifier;
    uint32_t cleaned_pass;
    struct gh_slice filter; /* as subscribed, $share/… too */
    struct gh_slice inner;  /* without it */
    uint8_t text[];
};

struct group {
    struct leaf leaf; /* first */
    pthread_mutex_t lock;
    struct gh_share share;
    struct gh_slice key, inner;
    uint8_t text[];
};

struct target {
    struct leaf *leaf; /* a reference: a group, or the first subscription of its session */
    uint8_t qos;
    bool no_local, retain_as_published;
};

/* Who gets what is published to a topic, as of `generation`. */
struct targets {
    struct space *space;
    uint64_t generation;
    struct gh_slice topic; /* behind the list */
    size_t count;
    bool relaxed;
    struct target list[];
};

struct lane_item {
    struct gh_route_message *message;
    uint8_t flags;
};

/* QoS 0 that waits for the connection: a ring, never empty. */
struct lane {
    size_t bytes;
    uint32_t first, count, capacity;
    struct lane_item ring[];
};

struct taken {
    uint16_t packet_id;
    bool releasing;
};

/* Retained messages that a new subscription still has to get. */
struct walk {
    struct walk *next, **link;
    struct subscription *subscription;
    struct gh_slice filter;
    uint8_t qos;
    struct gh_slice after; /* malloc'd */
    uint8_t text[];
};

/* A session's will; its slices are here, too. */
struct kept_will {
    struct gh_journal_will will;
    int64_t at_ms; /* when it is to be published, UTC; 0: it does not wait for that */
    uint8_t text[];
};

/* What a session keeps for others to find, or for later. Only one has it that has subscribed, that
 * is stored, or that outlives its connection; once it is there it stays as long as the session. */
struct inbox {
    struct session *session;
    uint64_t number; /* of the session, in the journal */

    /* At home. */
    struct gh_timer timer;
    struct walk *walks;
    struct gh_route_message *current; /* what `next` lent, if others could take it away */
    uint64_t sent;                    /* went out, and is noted with the next lock; 0: none */
    struct gh_map *index;             /* of the subscriptions by filter; NULL: they are few */
    struct passing *passing;          /* while it ends */
    struct session *line_next;        /* in the line of the port that it stands in */
    bool fetching;

    /* Under the session's lock. */
    bool ready_posted, ready_urgent, in_line;
    uint32_t cleaned_pass; /* the cleaner's: it was written again in this pass */
    int64_t detached_at_ms;
    struct gh_letter ready; /* carries a reference while it is posted, */
    struct port *ready_at;  /* to this port */
    struct gh_queue queue;
    size_t queue_bytes;
    uint32_t bodies, inflight, dropped, dropped_told;
    uint64_t cursor;
    uint64_t sent_to;  /* what has this number or a higher one was never sent */
    struct lane *lane; /* NULL: nothing waits in it */
    struct subscription *subscriptions;
    struct taken *taken;
    uint32_t subscriptions_count;
    uint32_t identifiers_count; /* of subscriptions that have one */
    uint32_t taken_count, taken_capacity;
    uint32_t taken_flying; /* QoS 2 publishes whose record is under way */
};
static_assert(sizeof(struct inbox) <= 288, "a hundred thousand of them are idle");

/* There are as many as devices, and most have nothing to do: what is rare is a block of its own. */
struct session {
    atomic_uint refs;
    struct gh_latch lock; /* of what says so below */
    struct space *space;
    struct session *roster_next; /* under the broker's lock */

    /* At home. */
    struct gh_attachment *attachment, *claimant;
    struct kept_will *will; /* or NULL */

    /* Under the lock; changed at home. */
    struct port *home;
    struct inbox *inbox; /* NULL: it neither subscribes nor stays when its connection goes */
    uint32_t expiry_s;

    uint16_t client_size; /* of the client id; for ever */
    bool stored;          /* for ever */
    bool arriving;        /* at home: granted to a connection that has not heard of it yet */
    /* As those before: under the lock, changed at home. */
    bool gone : 1, live : 1, connected : 1;
    bool buried : 1; /* its end is in the journal, or on its way there */
    /* The device's number and the client id: what it is called. */
    uint8_t key[];
};
enum { SESSION_DEVICE_BYTES = 8 };
static_assert(offsetof(struct session, key) <= 73, "a hundred thousand of them are idle");

static inline struct gh_broker *broker_of(const struct session *session)
{
    return session->space->broker;
}
static inline struct session *session_of_timer(struct gh_timer *timer)
{
    return ((struct inbox *)((char *)timer - offsetof(struct inbox, timer)))->session;
}
static inline uint64_t session_device(const struct session *session)
{
    uint64_t device;
    static_assert(sizeof device == SESSION_DEVICE_BYTES, "it stands before the client id");
    memcpy(&device, session->key, sizeof device);
    return device;
}
static inline struct gh_slice session_client(const struct session *session)
{
    return gh_slice(session->key + SESSION_DEVICE_BYTES, session->client_size);
}
static inline struct gh_slice session_key(const struct session *session)
{
    return gh_slice(session->key, SESSION_DEVICE_BYTES + session->client_size);
}
static inline size_t session_lane_count(const struct session *session)
{
    const struct inbox *inbox = session->inbox;
    return inbox == NULL || inbox->lane == NULL ? 0 : inbox->lane->count;
}

/* What an attachment needs until it is answered. */
struct connecting {
    struct gh_letter letter; /* on its way to the session's home or back */
    struct gh_attachment *attachment;
    struct gh_broker_connect wanted; /* its slices are here, too */
    struct port *asked;
    enum gh_error_code result;
    uint8_t text[];
};

enum attachment_state { ATTACHMENT_WAITING, ATTACHMENT_HELD, ATTACHMENT_FAILED, ATTACHMENT_LEFT };

struct gh_attachment {
    struct port *port;
    struct session *session; /* a reference */
    const struct gh_attachment_host *host;
    void *context;
    struct connecting *connecting; /* of whoever has the letter; NULL once it is answered */
    /* Of its own loop: */
    enum attachment_state state;
    bool holds;      /* the session is this connection's, and at home here */
    bool travelling; /* somebody will come back to it: who has left is freed then */
    bool session_present;
};
static_assert(sizeof(struct gh_attachment) <= 48, "a hundred thousand of them are idle");

#define RETAINED_NOWHERE UINT64_MAX
struct retained {
    struct gh_route_message *message;
    uint64_t offset; /* 0: not durable yet; RETAINED_NOWHERE: it could not be written */
    uint32_t position;
};

/* --- broker.c */
struct port *port_of(struct gh_broker *broker, const struct gh_loop *loop);
struct space *space_of(struct gh_broker *broker, int64_t tenant); /* NULL: no memory */
int64_t broker_now_ms(const struct gh_broker *broker);
int64_t port_now_ms(struct port *port); /* the same, read once in each turn of its loop */
/* Sends; once the broker has stopped, when there are no threads any more, opens the letter here. */
void port_send(struct port *port, struct gh_letter *letter);
/* Counts one more queued message (+1), or one less (-1). `here`: the port on whose loop this is;
 * NULL: any thread. */
void broker_count_queued(struct gh_broker *broker, struct port *here, int by);
/* Counts what a stored session has in the journal: an estimate, for the cleaner. */
void broker_live(const struct session *session, size_t bytes, int sign);
size_t session_live_bytes(const struct session *session);

/* --- broker_batch.c */
struct waiter {
    struct waiter *next;
    void (*call)(struct waiter *waiter, bool stored); /* frees the waiter */
};
/* Queues a change; it is written at the end of this turn or soon after. */
void port_change(struct port *port, const struct gh_journal_change *change);
/* Calls the waiter when everything queued so far is safe; from inside when nothing is queued. */
void port_wait(struct port *port, struct waiter *waiter);
void port_flush(struct port *port);
void port_close(struct port *port);

/* --- broker_roster.c: under the broker's lock */
bool roster_open(struct roster *roster); /* false: no memory */
void roster_close(struct roster *roster);
/* NULL: there is none. */
struct session *roster_find(const struct roster *roster, uint64_t device,
                            struct gh_slice client_id);
/* There is none of its name. */
void roster_add(struct roster *roster, struct session *session);
/* Nothing happens when it is not there. */
void roster_remove(struct roster *roster, struct session *session);
/* `each` may free the session. */
void roster_each(const struct roster *roster, void (*each)(void *context, struct session *session),
                 void *context);

/* --- broker_session.c */
struct session *session_ref(struct session *session);
void session_unref(struct session *session);
struct session *session_new(struct space *space, uint64_t device, struct gh_slice client_id);
/* Makes its inbox, with its number in the journal; false without memory. */
GH_MUST_USE bool session_make_inbox(struct session *session, uint64_t number);
/* The same of one that lives, with a new number, unless it has one. At home. */
GH_MUST_USE bool session_needs_inbox(struct session *session);
/* The change that says all of the session but its subscriptions and queue. Its lock is held. */
struct gh_journal_change session_change(const struct session *session);
void session_set_timer(struct session *session);
void session_end(struct session *session); /* at home, without a connection */
bool session_keep_will(struct session *session, const struct gh_journal_will *will);

/* The last of it, when it has passed on what it had. */
void session_bury(struct session *session);

/* --- broker_ready.c */
/* Tells its home that there is something to send. Its lock is held. */
void session_notify(struct session *session);
/* The same, behind whatever is not late: one of many receivers, one that has had its share. */
void session_notify_late(struct session *session);
/* The same on the loop of `here`, without a letter when that is its home: ten thousand are many. */
void session_notify_wide(struct session *session, struct port *here);
/* Goes on with the port's line, if anybody stands in it. */
void port_serve_line(struct port *port);

/* --- broker_pass_on.c */
struct passing *passing_new(const struct inbox *inbox); /* NULL: it is in no group */
void passing_free(struct passing *passing);
/* Whether the shared subscription is one of those. */
bool passing_names(const struct passing *passing, struct gh_slice filter);
void session_pass_on(struct session *session); /* then session_bury */

/* --- broker_subscribe.c */
uint8_t session_subscribe(struct session *session, const struct gh_broker_filter *filter,
                          size_t subscriptions_max, bool *existed);
bool session_unsubscribe(struct session *session, struct gh_slice filter);
struct subscription *session_find(const struct session *session, struct gh_slice filter);
void session_unsubscribe_all(struct session *session);
uint8_t subscription_options(const struct subscription *subscription);
/* Who gets the topic: valid until the port's next call. NULL: no memory. A publisher mostly goes on
 * with its last topic: with a hint of its own that is found without a look-up. */
const struct targets *port_targets(struct port *port, struct space *space, struct gh_slice topic,
                                   struct gh_broker_hint *hint);
void port_forget_matches(struct port *port);
/* Whose turn it is, with a reference, and how it subscribed; NULL: nobody is there. */
struct session *group_choose(struct group *group, struct target *how);
void leaf_unref(struct leaf *leaf);

/* --- broker_publish.c */
struct publish_call {
    struct session *from; /* NULL: the server itself */
    void (*done)(void *context, uint16_t packet_id, bool stored, bool matched);
    void *context;
};
enum gh_broker_posted space_publish(struct port *port, struct space *space,
                                    const struct gh_broker_publish *publish,
                                    const struct publish_call *call);
/* One message for one session: retained ones, and what a lost member of a group had. Any thread,
 * for `port`. SENT: it is in its queue, or was dropped as that is full. SENDING: `call->done` will
 * say on the port's loop whether it is stored. */
enum session_sent { SESSION_GONE, SESSION_SENT, SESSION_SENDING, SESSION_FAILED };
enum session_sent session_send(struct port *port, struct session *session,
                               struct gh_route_message *message, uint8_t flags,
                               const struct publish_call *call);
void session_drop_body(struct session *session, struct gh_queue_entry *entry);
void session_add_taken(struct session *session, uint16_t packet_id);
void session_remove_taken(struct session *session, uint16_t packet_id);
void lane_clear(struct session *session);

/* --- broker_deliver.c */
/* What went out last and what was acknowledged is noted: before anything else is done to the
 * session. Its lock is held. */
void attachment_note(struct gh_attachment *attachment);
/* What `next` lent is the connection's no more. At home. */
void inbox_take_back(struct inbox *inbox);
/* Ends the entry, if it is there. The lock is held; `here` as of broker_count_queued. */
void session_end_entry(struct session *session, struct port *here, uint64_t sequence);

/* --- broker_fetch.c */
void session_fetch(struct session *session);

/* --- broker_retained.c */
/* The space's retained lock is held. False: over a bound. */
bool retained_fits(const struct space *space, const struct gh_broker_publish *publish);
bool retained_set(struct space *space, struct gh_route_message *message, uint64_t offset,
                  uint32_t position);
void retained_clear(struct space *space, struct gh_slice topic);
void retained_located(struct space *space, const struct gh_route_message *message, uint64_t offset,
                      uint32_t position);
void retained_free(struct space *space);
/* Sends some of what the session's walks have left. */
void session_walk(struct session *session);
void session_add_walk(struct session *session, struct subscription *subscription);
void session_free_walks(struct session *session);
void session_end_walk(struct subscription *subscription);

/* --- broker_load.c */
enum gh_error_code broker_load(struct gh_broker *broker, struct gh_error *error);

/* --- broker_clean.c */
struct cleaner *cleaner_open(struct gh_broker *broker);
void cleaner_close(struct cleaner *cleaner);
#endif
