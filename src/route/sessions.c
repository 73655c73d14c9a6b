#include "route/sessions.h"
#include "base/map.h"
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { SHARDS = 16 };

struct entry {
    struct gh_port *port;
    struct gh_presence presence;
};

struct shard {
    pthread_mutex_t lock;
    struct gh_map by_device;
};

struct gh_sessions {
    atomic_uint_fast64_t serial_last, epoch;
    atomic_size_t count;
    struct shard shards[SHARDS];
};

/* The device's number as a key; lives in the caller. */
static struct gh_slice key_of(const uint64_t *device)
{
    return gh_slice(device, sizeof *device);
}

static struct shard *shard_of(struct gh_sessions *sessions, uint64_t device)
{
    return &sessions->shards[device % SHARDS];
}

struct gh_sessions *gh_sessions_open(void)
{
    struct gh_sessions *sessions = calloc(1, sizeof *sessions);
    if (sessions == NULL)
        return NULL;
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&sessions->shards[i].lock, NULL);
        gh_map_init(&sessions->shards[i].by_device);
    }
    return sessions;
}

void gh_sessions_close(struct gh_sessions *sessions)
{
    if (sessions == NULL)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &sessions->shards[i];
        struct gh_slice key;
        size_t at = 0;
        for (void *value; gh_map_next(&shard->by_device, &at, &key, &value);)
            free(value);
        gh_map_deinit(&shard->by_device);
        pthread_mutex_destroy(&shard->lock);
    }
    free(sessions);
}

static void open_order(struct gh_letter *letter)
{
    struct gh_order *order = (struct gh_order *)letter;
    order->port->deliver(order->port, order);
}

/* Sends one order to the session of `entry`; its shard is locked. */
static bool send_order(const struct entry *entry, enum gh_order_kind kind,
                       struct gh_command *command)
{
    struct gh_order *order = calloc(1, sizeof *order);
    if (order == NULL)
        return false;
    *order = (struct gh_order){.letter.open = open_order,
                               .port = entry->port,
                               .kind = kind,
                               .device = entry->presence.device,
                               .serial = entry->presence.serial,
                               .command = command};
    gh_loop_send(entry->port->loop, &order->letter);
    return true;
}

uint64_t gh_sessions_epoch(struct gh_sessions *sessions)
{
    return atomic_load(&sessions->epoch);
}

static void count_epoch(struct gh_sessions *sessions, enum gh_order_kind kind)
{
    if (kind >= GH_ORDER_BLOCKED)
        atomic_fetch_add(&sessions->epoch, 1);
}

bool gh_sessions_enter(struct gh_sessions *sessions, struct gh_port *port,
                       struct gh_presence *presence)
{
    struct shard *shard = shard_of(sessions, presence->device);
    struct entry *entry = malloc(sizeof *entry);
    void *before = NULL;
    if (entry == NULL)
        return false;
    presence->serial = atomic_fetch_add(&sessions->serial_last, 1) + 1;
    *entry = (struct entry){port, *presence};
    pthread_mutex_lock(&shard->lock);
    bool entered = gh_map_put(&shard->by_device, key_of(&presence->device), entry, &before);
    if (before != NULL)
        send_order(before, GH_ORDER_TAKEN_OVER, NULL);
    pthread_mutex_unlock(&shard->lock);
    if (entered && before == NULL)
        atomic_fetch_add(&sessions->count, 1);
    free(entered ? before : entry);
    return entered;
}

void gh_sessions_leave(struct gh_sessions *sessions, uint64_t device, uint64_t serial)
{
    struct shard *shard = shard_of(sessions, device);
    pthread_mutex_lock(&shard->lock);
    struct entry *entry = gh_map_get(&shard->by_device, key_of(&device));
    if (entry != NULL && entry->presence.serial == serial) {
        gh_map_remove(&shard->by_device, key_of(&device));
        atomic_fetch_sub(&sessions->count, 1);
        free(entry);
    }
    pthread_mutex_unlock(&shard->lock);
}

bool gh_sessions_find(struct gh_sessions *sessions, uint64_t device, struct gh_presence *out)
{
    struct shard *shard = shard_of(sessions, device);
    pthread_mutex_lock(&shard->lock);
    const struct entry *entry = gh_map_get(&shard->by_device, key_of(&device));
    if (entry != NULL)
        *out = entry->presence;
    pthread_mutex_unlock(&shard->lock);
    return entry != NULL;
}

size_t gh_sessions_count(struct gh_sessions *sessions)
{
    return atomic_load(&sessions->count);
}

/* Calls `visit` for each entry of the registry (0: all) with its shard locked. */
static void visit_all(struct gh_sessions *sessions, int64_t registry,
                      void (*visit)(void *context, const struct entry *entry), void *context)
{
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &sessions->shards[i];
        struct gh_slice key;
        size_t at = 0;
        pthread_mutex_lock(&shard->lock);
        for (void *value; gh_map_next(&shard->by_device, &at, &key, &value);) {
            const struct entry *entry = value;
            if (registry == 0 || entry->presence.registry == registry)
                visit(context, entry);
        }
        pthread_mutex_unlock(&shard->lock);
    }
}

struct each {
    void (*call)(void *context, const struct gh_presence *presence);
    void *context;
};

static void visit_presence(void *context, const struct entry *entry)
{
    const struct each *each = context;
    each->call(each->context, &entry->presence);
}

void gh_sessions_each(struct gh_sessions *sessions, int64_t registry,
                      void (*call)(void *context, const struct gh_presence *presence),
                      void *context)
{
    struct each each = {call, context};
    visit_all(sessions, registry, visit_presence, &each);
}

static bool order_device(struct gh_sessions *sessions, uint64_t device, enum gh_order_kind kind,
                         struct gh_command *command)
{
    struct shard *shard = shard_of(sessions, device);
    pthread_mutex_lock(&shard->lock);
    const struct entry *entry = gh_map_get(&shard->by_device, key_of(&device));
    bool sent = entry != NULL && send_order(entry, kind, command);
    pthread_mutex_unlock(&shard->lock);
    return sent;
}

bool gh_sessions_order(struct gh_sessions *sessions, uint64_t device, enum gh_order_kind kind)
{
    assert(kind != GH_ORDER_COMMAND);
    count_epoch(sessions, kind);
    return order_device(sessions, device, kind, NULL);
}

static void visit_order(void *context, const struct entry *entry)
{
    send_order(entry, *(const enum gh_order_kind *)context, NULL);
}

void gh_sessions_order_registry(struct gh_sessions *sessions, int64_t registry,
                                enum gh_order_kind kind)
{
    count_epoch(sessions, kind);
    visit_all(sessions, registry, visit_order, &kind);
}

void gh_sessions_command(struct gh_sessions *sessions, struct gh_command *command)
{
    if (!order_device(sessions, command->device, GH_ORDER_COMMAND, command))
        command->complete(command, GH_COMMAND_NOT_CONNECTED);
}

void gh_order_free(struct gh_order *order)
{
    free(order);
}
