/* Subscriptions, the groups of shared ones, and who gets what is published to a topic.
 *
 * A tenant's tree is behind a lock that writers take for a moment. Readers hardly ever come there:
 * each loop remembers the targets of the topics it has seen, as of the tree's generation. */
#include "base/time.h"
#include "route/broker_internal.h"
#include "wire/mqtt/reason.h"
#include "wire/mqtt/topic.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    MATCHES_MAX = 16 * 1024,          /* topics that a loop remembers */
    MATCHES_WEIGHT_MAX = 1024 * 1024, /* and targets of them */
    INDEXED_MIN = 32,                 /* subscriptions of a session */
    OPTION_NO_LOCAL = 0x04,
    OPTION_AS_PUBLISHED = 0x08,
};

#define SWEEP_NS (10 * GH_SECOND_NS)

static struct subscription *subscription_of(struct leaf *leaf)
{
    assert(!leaf->is_group);
    return (struct subscription *)leaf;
}

static struct group *group_of(struct leaf *leaf)
{
    assert(leaf->is_group);
    return (struct group *)leaf;
}

void leaf_unref(struct leaf *leaf)
{
    if (atomic_fetch_sub_explicit(&leaf->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (leaf->is_group)
        pthread_mutex_destroy(&group_of(leaf)->lock);
    else
        session_unref(subscription_of(leaf)->session);
    free(leaf);
}

uint8_t subscription_options(const struct subscription *subscription)
{
    return (uint8_t)(subscription->qos | (subscription->no_local ? OPTION_NO_LOCAL : 0) |
                     (subscription->retain_as_published ? OPTION_AS_PUBLISHED : 0));
}

/* --- groups: the space is locked for writing */

static struct group *group_enter(struct space *space, struct gh_slice filter, struct gh_slice inner)
{
    struct group *group = gh_map_get(&space->groups, filter);
    if (group != NULL)
        return group;
    group = calloc(1, sizeof *group + filter.size);
    if (group == NULL)
        return NULL;
    memcpy(group->text, filter.data, filter.size);
    group->key = gh_slice(group->text, filter.size);
    group->inner = gh_slice_sub(group->key, filter.size - inner.size, inner.size);
    group->leaf.is_group = true;
    atomic_init(&group->leaf.refs, 1);
    pthread_mutex_init(&group->lock, NULL);
    gh_share_init(&group->share);
    if (gh_map_put(&space->groups, group->key, group, NULL)) {
        if (gh_topic_tree_add(&space->tree, group->inner, &group->leaf.entry))
            return group;
        gh_map_remove(&space->groups, group->key);
    }
    leaf_unref(&group->leaf);
    return NULL;
}

static void group_leave(struct space *space, struct subscription *subscription)
{
    struct group *group = subscription->group;
    pthread_mutex_lock(&group->lock);
    gh_share_remove(&group->share, &subscription->member);
    bool empty = group->share.count == 0;
    pthread_mutex_unlock(&group->lock);
    if (!empty)
        return;
    gh_topic_tree_remove(&space->tree, group->inner, &group->leaf.entry);
    gh_map_remove(&space->groups, group->key);
    leaf_unref(&group->leaf);
}

static struct subscription *of_member(const struct gh_share_member *member)
{
    return (struct subscription *)((char *)(uintptr_t)member -
                                   offsetof(struct subscription, member));
}

static bool member_ready(void *context, const struct gh_share_member *member)
{
    struct session *session = of_member(member)->session;
    const struct gh_broker_limits *limits = &broker_of(session)->limits;
    (void)context;
    gh_latch_take(&session->lock);
    bool ready = session->live &&
                 gh_queue_count(&session->inbox->queue) < limits->queue_messages_max &&
                 session->inbox->queue_bytes < limits->queue_bytes_max;
    gh_latch_give(&session->lock);
    return ready;
}

struct session *group_choose(struct group *group, struct target *how)
{
    struct session *session = NULL;
    pthread_mutex_lock(&group->lock);
    struct gh_share_member *member = gh_share_choose(&group->share, member_ready, NULL);
    if (member != NULL) {
        const struct subscription *subscription = of_member(member);
        *how = (struct target){.qos = subscription->qos,
                               .retain_as_published = subscription->retain_as_published};
        session = session_ref(subscription->session);
    }
    pthread_mutex_unlock(&group->lock);
    return session;
}

/* --- subscribe and unsubscribe, at the session's home */

/* A few are looked through; many have an index, so that a client with thousands of filters holds
 * its loop up no longer than another. Without memory for it they are looked through as well. */
struct subscription *session_find(const struct session *session, struct gh_slice filter)
{
    const struct inbox *inbox = session->inbox;
    if (inbox == NULL)
        return NULL;
    if (inbox->index != NULL)
        return gh_map_get(inbox->index, filter);
    struct subscription *at = inbox->subscriptions;
    while (at != NULL && !gh_slice_equal(at->filter, filter))
        at = at->next;
    return at;
}

static void drop_index(struct inbox *inbox)
{
    if (inbox->index == NULL)
        return;
    gh_map_deinit(inbox->index);
    free(inbox->index);
    inbox->index = NULL;
}

static void make_index(struct inbox *inbox)
{
    bool complete = (inbox->index = malloc(sizeof *inbox->index)) != NULL;
    if (!complete)
        return;
    gh_map_init(inbox->index);
    for (struct subscription *s = inbox->subscriptions; s != NULL && complete; s = s->next)
        complete = gh_map_put(inbox->index, s->filter, s, NULL);
    if (!complete)
        drop_index(inbox);
}

/* It is in the list already. */
static void index_add(struct inbox *inbox, struct subscription *made)
{
    if (inbox->index != NULL && !gh_map_put(inbox->index, made->filter, made, NULL))
        drop_index(inbox);
    else if (inbox->index == NULL && inbox->subscriptions_count % INDEXED_MIN == 0)
        make_index(inbox);
}

static void index_remove(struct inbox *inbox, const struct subscription *gone)
{
    if (inbox->index != NULL)
        (void)gh_map_remove(inbox->index, gone->filter);
    if (inbox->subscriptions_count < INDEXED_MIN / 2)
        drop_index(inbox);
}

static struct subscription *subscription_new(struct session *session, struct gh_slice filter)
{
    struct gh_slice name, inner;
    struct subscription *made = calloc(1, sizeof *made + filter.size);
    if (made == NULL)
        return NULL;
    memcpy(made->text, filter.data, filter.size);
    made->filter = made->inner = gh_slice(made->text, filter.size);
    if (gh_mqtt_share_split(made->filter, &name, &inner))
        made->inner = inner;
    made->session = session_ref(session);
    atomic_init(&made->leaf.refs, 1);
    atomic_init(&made->removed, false);
    return made;
}

static void set_options(struct subscription *subscription, const struct gh_broker_filter *filter)
{
    subscription->qos = filter->qos;
    subscription->no_local = filter->no_local;
    subscription->retain_as_published = filter->retain_as_published;
    subscription->identifier = filter->identifier;
}

/* The space is locked for writing; matching, choosing a member and the session's views read them.
 */
static void change_options(struct subscription *subscription, const struct gh_broker_filter *filter)
{
    struct group *group = subscription->group;
    if (group != NULL)
        pthread_mutex_lock(&group->lock);
    gh_latch_take(&subscription->session->lock);
    subscription->session->inbox->identifiers_count -= subscription->identifier != 0;
    set_options(subscription, filter);
    subscription->session->inbox->identifiers_count += subscription->identifier != 0;
    gh_latch_give(&subscription->session->lock);
    if (group != NULL)
        pthread_mutex_unlock(&group->lock);
}

/* Into the tree or its group; the space is locked for writing. */
static bool enter_tree(struct space *space, struct subscription *made)
{
    if (made->inner.size == made->filter.size)
        return gh_topic_tree_add(&space->tree, made->inner, &made->leaf.entry);
    made->group = group_enter(space, made->filter, made->inner);
    if (made->group == NULL)
        return false;
    pthread_mutex_lock(&made->group->lock);
    gh_share_add(&made->group->share, &made->member);
    pthread_mutex_unlock(&made->group->lock);
    return true;
}

static void leave_tree(struct space *space, struct subscription *gone)
{
    atomic_store(&gone->removed, true);
    if (gone->group != NULL)
        group_leave(space, gone);
    else
        gh_topic_tree_remove(&space->tree, gone->inner, &gone->leaf.entry);
}

static uint8_t add(struct session *session, const struct gh_broker_filter *filter,
                   size_t subscriptions_max)
{
    struct space *space = session->space;
    if (!session_needs_inbox(session))
        return GH_MQTT_REASON_UNSPECIFIED;
    struct inbox *inbox = session->inbox;
    if (inbox->subscriptions_count >= subscriptions_max)
        return GH_MQTT_REASON_QUOTA_EXCEEDED;
    struct subscription *made = subscription_new(session, filter->filter);
    if (made == NULL)
        return GH_MQTT_REASON_UNSPECIFIED;
    set_options(made, filter);
    pthread_rwlock_wrlock(&space->lock);
    bool entered = enter_tree(space, made);
    atomic_fetch_add(&space->generation, 1);
    pthread_rwlock_unlock(&space->lock);
    if (!entered) {
        leaf_unref(&made->leaf);
        return GH_MQTT_REASON_UNSPECIFIED;
    }
    gh_latch_take(&session->lock);
    made->next = inbox->subscriptions;
    made->link = &inbox->subscriptions;
    if (made->next != NULL)
        made->next->link = &made->next;
    inbox->subscriptions = made;
    inbox->subscriptions_count++;
    inbox->identifiers_count += made->identifier != 0;
    gh_latch_give(&session->lock);
    index_add(inbox, made);
    atomic_fetch_add(&broker_of(session)->subscriptions, 1);
    broker_live(session, made->filter.size + LIVE_OVERHEAD_BYTES, 1);
    return filter->qos;
}

static bool is_as_wanted(const struct subscription *there, const struct gh_broker_filter *wanted)
{
    return there->qos == wanted->qos && there->no_local == wanted->no_local &&
           there->retain_as_published == wanted->retain_as_published &&
           there->identifier == wanted->identifier;
}

uint8_t session_subscribe(struct session *session, const struct gh_broker_filter *filter,
                          size_t subscriptions_max, bool *existed)
{
    struct space *space = session->space;
    struct subscription *there = session_find(session, filter->filter);
    *existed = there != NULL;
    if (there == NULL)
        return add(session, filter, subscriptions_max);
    if (is_as_wanted(there, filter)) /* and what all loops remember of the tree stays true */
        return filter->qos;
    pthread_rwlock_wrlock(&space->lock); /* [MQTT-3.8.4-3]: replaced, the flow is not interrupted */
    change_options(there, filter);
    atomic_fetch_add(&space->generation, 1);
    pthread_rwlock_unlock(&space->lock);
    return filter->qos;
}

static void take_out(struct session *session, struct subscription *gone)
{
    struct space *space = session->space;
    session_end_walk(gone); /* [MQTT-3.10.4-2] */
    gh_latch_take(&session->lock);
    *gone->link = gone->next;
    if (gone->next != NULL)
        gone->next->link = gone->link;
    session->inbox->subscriptions_count--;
    session->inbox->identifiers_count -= gone->identifier != 0;
    gh_latch_give(&session->lock);
    index_remove(session->inbox, gone);
    pthread_rwlock_wrlock(&space->lock);
    leave_tree(space, gone);
    atomic_fetch_add(&space->generation, 1);
    pthread_rwlock_unlock(&space->lock);
    atomic_fetch_sub(&broker_of(session)->subscriptions, 1);
    broker_live(session, gone->filter.size + LIVE_OVERHEAD_BYTES, -1);
    leaf_unref(&gone->leaf);
}

bool session_unsubscribe(struct session *session, struct gh_slice filter)
{
    struct subscription *gone = session_find(session, filter);
    if (gone == NULL)
        return false;
    take_out(session, gone);
    return true;
}

void session_unsubscribe_all(struct session *session)
{
    while (session->inbox != NULL && session->inbox->subscriptions != NULL)
        take_out(session, session->inbox->subscriptions);
}

/* --- who gets a topic */

struct collecting {
    struct leaf **list;
    size_t count, capacity;
    bool failed;
};

static void collect(void *context, struct gh_topic_entry *entry)
{
    struct collecting *collecting = context;
    struct leaf *leaf = (struct leaf *)entry;
    if (collecting->count == collecting->capacity) {
        size_t wanted = collecting->capacity == 0 ? 16 : 2 * collecting->capacity;
        struct leaf **list = reallocarray(collecting->list, wanted, sizeof *list);
        if (list == NULL) {
            collecting->failed = true;
            return;
        }
        collecting->list = list;
        collecting->capacity = wanted;
    }
    atomic_fetch_add_explicit(&leaf->refs, 1, memory_order_relaxed);
    collecting->list[collecting->count++] = leaf;
}

/* Groups stay apart; subscriptions of one session stand together. */
static uintptr_t whose(const struct leaf *leaf)
{
    return leaf->is_group ? (uintptr_t)leaf
                          : (uintptr_t)((const struct subscription *)leaf)->session;
}

static int by_session(const void *a, const void *b)
{
    uintptr_t first = whose(*(struct leaf *const *)a), second = whose(*(struct leaf *const *)b);
    return first < second ? -1 : first > second;
}

/* One message for each session, whatever number of its subscriptions match, at the highest QoS of
 * them ([MQTT-3.3.5-1]; 5.0: [MQTT-3.3.4-2]). */
static size_t merge(struct collecting *found, struct target *list)
{
    size_t count = 0;
    if (found->count > 1)
        qsort(found->list, found->count, sizeof *found->list, by_session);
    for (size_t i = 0; i < found->count; i++) {
        struct leaf *leaf = found->list[i];
        if (leaf->is_group) {
            list[count++] = (struct target){.leaf = leaf};
            continue;
        }
        const struct subscription *s = subscription_of(leaf);
        struct target *last = count == 0 ? NULL : &list[count - 1];
        if (last == NULL || whose(last->leaf) != whose(leaf)) {
            list[count++] = (struct target){leaf, s->qos, s->no_local, s->retain_as_published};
            continue;
        }
        last->qos = s->qos > last->qos ? s->qos : last->qos;
        last->no_local &= s->no_local;
        last->retain_as_published |= s->retain_as_published;
        leaf_unref(leaf);
    }
    return count;
}

static bool is_relaxed(const struct space *space, struct gh_slice topic)
{
    for (size_t i = 0; i < space->relaxed_count; i++)
        if (gh_mqtt_filter_matches(space->relaxed[i], topic))
            return true;
    return false;
}

static void free_targets(struct port *port, struct targets *targets)
{
    port->matches_freed++;
    for (size_t i = 0; i < targets->count; i++)
        leaf_unref(targets->list[i].leaf);
    free(targets);
}

static struct targets *match(struct space *space, struct gh_slice topic)
{
    struct collecting found = {0};
    struct targets *targets = NULL;
    pthread_rwlock_rdlock(&space->lock);
    uint64_t generation = atomic_load(&space->generation);
    bool relaxed = is_relaxed(space, topic);
    gh_topic_tree_match(&space->tree, topic, collect, &found);
    if (!found.failed)
        targets = malloc(sizeof *targets + found.count * sizeof targets->list[0] + topic.size);
    if (targets != NULL) {
        targets->space = space;
        targets->generation = generation;
        targets->relaxed = relaxed;
        targets->topic = gh_slice(&targets->list[found.count], topic.size);
        memcpy(&targets->list[found.count], topic.data, topic.size);
        targets->count = merge(&found, targets->list); /* reads what the lock guards */
    }
    pthread_rwlock_unlock(&space->lock);
    for (size_t i = 0; targets == NULL && i < found.count; i++)
        leaf_unref(found.list[i]);
    free(found.list);
    return targets;
}

static bool is_current(const struct targets *targets)
{
    return targets->generation == atomic_load(&targets->space->generation);
}

void port_forget_matches(struct port *port)
{
    struct gh_slice key;
    size_t at = 0;
    for (void *targets; gh_map_next(&port->matches, &at, &key, &targets);)
        free_targets(port, targets);
    gh_map_deinit(&port->matches);
    gh_map_init(&port->matches);
    port->matches_weight = 0;
}

/* What is stale holds sessions that may have ended: it goes even when its topic never comes again.
 */
static void sweep(struct gh_timer *timer)
{
    struct port *port = (struct port *)((char *)timer - offsetof(struct port, sweep));
    struct gh_slice key;
    size_t at = 0;
    for (void *targets; gh_map_next(&port->matches, &at, &key, &targets);) {
        if (is_current(targets))
            continue;
        port->matches_weight -= ((struct targets *)targets)->count;
        gh_map_remove(&port->matches, key);
        free_targets(port, targets);
    }
    if (port->matches.count > 0)
        gh_timer_set(port->loop, timer, gh_loop_now_ns(port->loop) + SWEEP_NS, sweep);
}

static bool remember(struct port *port, struct gh_slice key, struct targets *targets)
{
    void *before = NULL;
    if (!gh_map_put(&port->matches, key, targets, &before))
        return false;
    port->matches_weight += targets->count;
    if (before != NULL) {
        port->matches_weight -= ((struct targets *)before)->count;
        free_targets(port, before);
    }
    if (!gh_timer_is_set(&port->sweep))
        gh_timer_set(port->loop, &port->sweep, gh_loop_now_ns(port->loop) + SWEEP_NS, sweep);
    return true;
}

static const struct targets *find_targets(struct port *port, struct space *space,
                                          struct gh_slice topic)
{
    gh_buffer_clear(&port->key);
    gh_buffer_u64(&port->key, (uint64_t)space->tenant);
    if (!gh_buffer_put(&port->key, topic))
        return NULL;
    struct gh_slice key = gh_buffer_slice(&port->key);
    struct targets *targets = gh_map_get(&port->matches, key);
    if (targets != NULL && is_current(targets))
        return targets;
    if (port->matches.count >= MATCHES_MAX || port->matches_weight >= MATCHES_WEIGHT_MAX)
        port_forget_matches(port);
    targets = match(space, topic);
    if (targets != NULL && !remember(port, key, targets)) {
        free_targets(port, targets);
        return NULL;
    }
    return targets;
}

const struct targets *port_targets(struct port *port, struct space *space, struct gh_slice topic,
                                   struct gh_broker_hint *hint)
{
    const struct targets *targets = hint == NULL ? NULL : hint->targets;
    if (targets != NULL && hint->freed == port->matches_freed && targets->space == space &&
        is_current(targets) && gh_slice_equal(targets->topic, topic))
        return targets;
    targets = find_targets(port, space, topic);
    if (hint != NULL)
        *hint = (struct gh_broker_hint){targets, port->matches_freed};
    return targets;
}
