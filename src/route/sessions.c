#include "route/sessions.h"
#include "base/hash.h"
#include "base/map.h"
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { SHARDS = 16 };

/* The sessions of one device are a list, the newest first; the map has its head. */
struct entry {
    struct entry *next;
    struct gh_port *port;
    uint64_t device, serial, client_key; /* as in gh_presence, and so on */
    int64_t registry, tenant, since_ms, expires_at_ms;
    const char *dialect, *transport;
    uint8_t version;
    bool assigned;
    uint8_t client_size, peer_size; /* with their NUL */
    char text[];                    /* client, peer, credential: most are far from their bounds */
};
static_assert(GH_PRESENCE_CLIENT_MAX <= UINT8_MAX && GH_PRESENCE_PEER_MAX <= UINT8_MAX,
              "sizes fit their bytes");

/* NULL without memory. */
static struct entry *entry_new(struct gh_port *port, const struct gh_presence *presence)
{
    size_t client = strlen(presence->client) + 1, peer = strlen(presence->peer) + 1,
           credential = strlen(presence->credential) + 1;
    struct entry *entry = malloc(sizeof *entry + client + peer + credential);
    if (entry == NULL)
        return NULL;
    *entry = (struct entry){.port = port,
                            .device = presence->device,
                            .serial = presence->serial,
                            .client_key = presence->client_key,
                            .registry = presence->registry,
                            .tenant = presence->tenant,
                            .since_ms = presence->since_ms,
                            .expires_at_ms = presence->expires_at_ms,
                            .dialect = presence->dialect,
                            .transport = presence->transport,
                            .version = (uint8_t)presence->version,
                            .assigned = presence->assigned,
                            .client_size = (uint8_t)client,
                            .peer_size = (uint8_t)peer};
    memcpy(entry->text, presence->client, client);
    memcpy(entry->text + client, presence->peer, peer);
    memcpy(entry->text + client + peer, presence->credential, credential);
    return entry;
}

static const char *credential_of(const struct entry *entry)
{
    return entry->text + entry->client_size + entry->peer_size;
}

static struct gh_presence presence_of(const struct entry *entry)
{
    struct gh_presence presence = {.device = entry->device,
                                   .serial = entry->serial,
                                   .client_key = entry->client_key,
                                   .registry = entry->registry,
                                   .tenant = entry->tenant,
                                   .since_ms = entry->since_ms,
                                   .expires_at_ms = entry->expires_at_ms,
                                   .dialect = entry->dialect,
                                   .transport = entry->transport,
                                   .version = entry->version,
                                   .assigned = entry->assigned};
    memcpy(presence.client, entry->text, entry->client_size);
    memcpy(presence.peer, entry->text + entry->client_size, entry->peer_size);
    strcpy(presence.credential, credential_of(entry));
    return presence;
}

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

uint64_t gh_presence_client_key(struct gh_slice client_id)
{
    static const uint8_t key[16] = {0};
    return gh_hash_sip(key, client_id) | 1;
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

static void free_list(struct entry *entry)
{
    for (struct entry *next; entry != NULL; entry = next) {
        next = entry->next;
        free(entry);
    }
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
            free_list(value);
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
                               .device = entry->device,
                               .serial = entry->serial,
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

/* Takes an entry out of the list; NULL when it is not there. */
static bool has_client(const struct entry *list, uint64_t client_key)
{
    while (list != NULL && list->client_key != client_key)
        list = list->next;
    return list != NULL;
}

static struct entry *unlink_client(struct entry **list, uint64_t client_key)
{
    for (struct entry **at = list; *at != NULL; at = &(*at)->next)
        if ((*at)->client_key == client_key) {
            struct entry *found = *at;
            *at = found->next;
            return found;
        }
    return NULL;
}

static struct entry *unlink_serial(struct entry **list, uint64_t serial)
{
    for (struct entry **at = list; *at != NULL; at = &(*at)->next)
        if ((*at)->serial == serial) {
            struct entry *found = *at;
            *at = found->next;
            return found;
        }
    return NULL;
}

bool gh_sessions_enter(struct gh_sessions *sessions, struct gh_port *port,
                       struct gh_presence *presence)
{
    struct shard *shard = shard_of(sessions, presence->device);
    struct gh_slice key = key_of(&presence->device);
    presence->serial = atomic_fetch_add(&sessions->serial_last, 1) + 1;
    struct entry *entry = entry_new(port, presence);
    if (entry == NULL)
        return false;
    pthread_mutex_lock(&shard->lock);
    struct entry *list = gh_map_get(&shard->by_device, key);
    bool taken = presence->assigned && has_client(list, presence->client_key);
    if (taken)
        presence->serial = 0;
    entry->next = list;
    if (taken || !gh_map_put(&shard->by_device, key, entry, NULL)) {
        pthread_mutex_unlock(&shard->lock);
        free(entry);
        return false;
    }
    struct entry *before = unlink_client(&entry->next, presence->client_key);
    if (before != NULL)
        send_order(before, GH_ORDER_TAKEN_OVER, NULL);
    else
        atomic_fetch_add(&sessions->count, 1);
    pthread_mutex_unlock(&shard->lock);
    free(before);
    return true;
}

void gh_sessions_leave(struct gh_sessions *sessions, uint64_t device, uint64_t serial)
{
    struct shard *shard = shard_of(sessions, device);
    pthread_mutex_lock(&shard->lock);
    struct entry *list = gh_map_get(&shard->by_device, key_of(&device)), *head = list;
    struct entry *gone = unlink_serial(&list, serial);
    if (gone != NULL && list == NULL)
        gh_map_remove(&shard->by_device, key_of(&device));
    else if (gone != NULL && list != head) /* replaces: needs no memory */
        (void)!gh_map_put(&shard->by_device, key_of(&device), list, NULL);
    if (gone != NULL)
        atomic_fetch_sub(&sessions->count, 1);
    pthread_mutex_unlock(&shard->lock);
    free(gone);
}

bool gh_sessions_find(struct gh_sessions *sessions, uint64_t device, struct gh_presence *out)
{
    struct shard *shard = shard_of(sessions, device);
    pthread_mutex_lock(&shard->lock);
    const struct entry *entry = gh_map_get(&shard->by_device, key_of(&device));
    if (entry != NULL)
        *out = presence_of(entry);
    pthread_mutex_unlock(&shard->lock);
    return entry != NULL;
}

void gh_sessions_of(struct gh_sessions *sessions, uint64_t device,
                    void (*each)(void *context, const struct gh_presence *presence), void *context)
{
    struct shard *shard = shard_of(sessions, device);
    pthread_mutex_lock(&shard->lock);
    for (const struct entry *entry = gh_map_get(&shard->by_device, key_of(&device)); entry != NULL;
         entry = entry->next) {
        struct gh_presence presence = presence_of(entry);
        each(context, &presence);
    }
    pthread_mutex_unlock(&shard->lock);
}

static void count_one(void *context, const struct gh_presence *presence)
{
    (void)presence;
    ++*(size_t *)context;
}

size_t gh_sessions_count_of(struct gh_sessions *sessions, uint64_t device)
{
    size_t count = 0;
    gh_sessions_of(sessions, device, count_one, &count);
    return count;
}

size_t gh_sessions_count(struct gh_sessions *sessions)
{
    return atomic_load(&sessions->count);
}

/* Which sessions: 0 is any. */
struct range {
    int64_t tenant, registry;
};

/* Calls `visit` for each entry of the range with its shard locked. */
static void visit_all(struct gh_sessions *sessions, struct range range,
                      void (*visit)(void *context, const struct entry *entry), void *context)
{
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &sessions->shards[i];
        struct gh_slice key;
        size_t at = 0;
        pthread_mutex_lock(&shard->lock);
        for (void *value; gh_map_next(&shard->by_device, &at, &key, &value);)
            for (const struct entry *entry = value; entry != NULL; entry = entry->next)
                if ((range.registry == 0 || entry->registry == range.registry) &&
                    (range.tenant == 0 || entry->tenant == range.tenant))
                    visit(context, entry);
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
    struct gh_presence presence = presence_of(entry);
    each->call(each->context, &presence);
}

void gh_sessions_each(struct gh_sessions *sessions, int64_t registry,
                      void (*call)(void *context, const struct gh_presence *presence),
                      void *context)
{
    struct each each = {call, context};
    visit_all(sessions, (struct range){.registry = registry}, visit_presence, &each);
}

bool gh_sessions_order(struct gh_sessions *sessions, uint64_t device, enum gh_order_kind kind)
{
    struct shard *shard = shard_of(sessions, device);
    bool sent = false;
    assert(kind != GH_ORDER_COMMAND);
    count_epoch(sessions, kind);
    pthread_mutex_lock(&shard->lock);
    for (const struct entry *entry = gh_map_get(&shard->by_device, key_of(&device)); entry != NULL;
         entry = entry->next)
        sent |= send_order(entry, kind, NULL);
    pthread_mutex_unlock(&shard->lock);
    return sent;
}

static void visit_order(void *context, const struct entry *entry)
{
    send_order(entry, *(const enum gh_order_kind *)context, NULL);
}

void gh_sessions_order_registry(struct gh_sessions *sessions, int64_t registry,
                                enum gh_order_kind kind)
{
    count_epoch(sessions, kind);
    visit_all(sessions, (struct range){.registry = registry}, visit_order, &kind);
}

void gh_sessions_order_tenant(struct gh_sessions *sessions, int64_t tenant, enum gh_order_kind kind)
{
    count_epoch(sessions, kind);
    visit_all(sessions, (struct range){.tenant = tenant}, visit_order, &kind);
}

struct where {
    bool (*wanted)(void *context, struct gh_slice credential);
    void *context;
    enum gh_order_kind kind;
};

static void visit_where(void *context, const struct entry *entry)
{
    const struct where *where = context;
    if (where->wanted(where->context, gh_slice_text(credential_of(entry))))
        send_order(entry, where->kind, NULL);
}

void gh_sessions_order_where(struct gh_sessions *sessions, int64_t tenant, int64_t registry,
                             bool (*wanted)(void *context, struct gh_slice credential),
                             void *context, enum gh_order_kind kind)
{
    struct where where = {wanted, context, kind};
    count_epoch(sessions, kind);
    visit_all(sessions, (struct range){.tenant = tenant, .registry = registry}, visit_where,
              &where);
}

static bool send_command(struct gh_sessions *sessions, struct gh_command *command)
{
    struct shard *shard = shard_of(sessions, command->device);
    pthread_mutex_lock(&shard->lock);
    const struct entry *entry = gh_map_get(&shard->by_device, key_of(&command->device));
    bool sent = entry != NULL && send_order(entry, GH_ORDER_COMMAND, command);
    pthread_mutex_unlock(&shard->lock);
    return sent;
}

void gh_sessions_command(struct gh_sessions *sessions, struct gh_command *command)
{
    if (!send_command(sessions, command))
        command->complete(command, GH_COMMAND_NOT_CONNECTED);
}

void gh_order_free(struct gh_order *order)
{
    free(order);
}
