#include "route/sessions.h"
#include "base/hash.h"
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    SHARDS = 16,
    CHAINS_FIRST = 16,
    CHAIN_LENGTH = 2, /* on average at most */
};

/* Places hang in chains by their device, the newest first. A device's number is the server's, and
 * random: it needs no hash. */
struct shard {
    pthread_mutex_t lock;
    struct gh_place **chains;
    size_t chains_count, count; /* a power of two; places */
};

struct gh_sessions {
    atomic_uint_fast64_t serial_last, epoch;
    atomic_size_t count;
    struct shard shards[SHARDS];
};

static struct shard *shard_of(struct gh_sessions *sessions, uint64_t device)
{
    return &sessions->shards[device % SHARDS];
}

static struct gh_place **chain_of(const struct shard *shard, uint64_t device)
{
    return &shard->chains[device / SHARDS & (shard->chains_count - 1)];
}

/* The next one from here on that counts and is the device's; NULL at the end. */
static struct gh_place *counting(struct gh_place *place, uint64_t device)
{
    while (place != NULL && (place->device != device || place->replaced))
        place = place->next;
    return place;
}

static struct gh_place *first_of(const struct shard *shard, uint64_t device)
{
    return counting(*chain_of(shard, device), device);
}

/* More chains, or fewer; without memory they stay as they are, and are longer. The order of each
 * device's places is kept. */
static void hang_anew(struct shard *shard, size_t chains_count)
{
    struct shard wide = {.chains = calloc(chains_count, sizeof(struct gh_place *)),
                         .chains_count = chains_count};
    if (wide.chains == NULL)
        return;
    for (size_t i = 0; i < shard->chains_count; i++)
        for (struct gh_place *place; (place = shard->chains[i]) != NULL;) {
            struct gh_place **at = chain_of(&wide, place->device);
            shard->chains[i] = place->next;
            while (*at != NULL)
                at = &(*at)->next;
            place->next = NULL;
            *at = place;
        }
    free(shard->chains);
    shard->chains = wide.chains;
    shard->chains_count = chains_count;
}

static struct gh_presence presence_of(const struct gh_place *place)
{
    struct gh_presence presence = {.device = place->device,
                                   .serial = place->serial,
                                   .client_key = place->client_key,
                                   .since_ms = place->since_ms,
                                   .assigned = place->assigned};
    place->port->describe(place, &presence);
    return presence;
}

uint64_t gh_presence_client_key(struct gh_slice client_id)
{
    static const uint8_t key[16] = {0};
    return gh_hash_sip(key, client_id) | 1;
}

struct gh_sessions *gh_sessions_open(void)
{
    struct gh_sessions *sessions = calloc(1, sizeof *sessions);
    bool complete = sessions != NULL;
    for (size_t i = 0; sessions != NULL && i < SHARDS; i++) {
        pthread_mutex_init(&sessions->shards[i].lock, NULL);
        hang_anew(&sessions->shards[i], CHAINS_FIRST);
        complete &= sessions->shards[i].chains != NULL;
    }
    if (complete)
        return sessions;
    gh_sessions_close(sessions);
    return NULL;
}

void gh_sessions_close(struct gh_sessions *sessions)
{
    if (sessions == NULL)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        assert(sessions->shards[i].count == 0);
        free(sessions->shards[i].chains);
        pthread_mutex_destroy(&sessions->shards[i].lock);
    }
    free(sessions);
}

static void open_order(struct gh_letter *letter)
{
    struct gh_order *order = (struct gh_order *)letter;
    order->port->deliver(order->port, order);
}

/* Sends one order to the session; its shard is locked. */
static bool send_order(const struct gh_place *place, enum gh_order_kind kind,
                       struct gh_command *command)
{
    struct gh_order *order = calloc(1, sizeof *order);
    if (order == NULL)
        return false;
    *order = (struct gh_order){.letter.open = open_order,
                               .port = place->port,
                               .kind = kind,
                               .device = place->device,
                               .serial = place->serial,
                               .command = command};
    gh_loop_send(place->port->loop, &order->letter);
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

bool gh_sessions_enter(struct gh_sessions *sessions, struct gh_place *place)
{
    struct shard *shard = shard_of(sessions, place->device);
    assert(place->serial == 0);
    pthread_mutex_lock(&shard->lock);
    struct gh_place *before = first_of(shard, place->device);
    while (before != NULL && before->client_key != place->client_key)
        before = counting(before->next, place->device);
    if (before != NULL && place->assigned) {
        pthread_mutex_unlock(&shard->lock);
        return false;
    }
    if (before != NULL) {
        before->replaced = true;
        send_order(before, GH_ORDER_TAKEN_OVER, NULL);
    } else {
        atomic_fetch_add(&sessions->count, 1);
    }
    if (shard->count++ >= CHAIN_LENGTH * shard->chains_count)
        hang_anew(shard, 2 * shard->chains_count);
    struct gh_place **chain = chain_of(shard, place->device);
    place->serial = atomic_fetch_add(&sessions->serial_last, 1) + 1;
    place->replaced = false;
    place->next = *chain;
    *chain = place;
    pthread_mutex_unlock(&shard->lock);
    return true;
}

void gh_sessions_leave(struct gh_sessions *sessions, struct gh_place *place)
{
    struct shard *shard = shard_of(sessions, place->device);
    assert(place->serial != 0);
    pthread_mutex_lock(&shard->lock);
    struct gh_place **at = chain_of(shard, place->device);
    while (*at != place)
        at = &(*at)->next;
    *at = place->next;
    place->serial = 0;
    if (!place->replaced)
        atomic_fetch_sub(&sessions->count, 1);
    if (--shard->count == 0 && shard->chains_count > CHAINS_FIRST) /* of a crowd that has gone */
        hang_anew(shard, CHAINS_FIRST);
    pthread_mutex_unlock(&shard->lock);
}

struct gh_place *gh_sessions_place(struct gh_sessions *sessions, const struct gh_order *order)
{
    struct shard *shard = shard_of(sessions, order->device);
    pthread_mutex_lock(&shard->lock);
    struct gh_place *place = *chain_of(shard, order->device);
    while (place != NULL && place->serial != order->serial)
        place = place->next;
    pthread_mutex_unlock(&shard->lock);
    return place;
}

void gh_sessions_hold(struct gh_sessions *sessions, const struct gh_place *place)
{
    pthread_mutex_lock(&shard_of(sessions, place->device)->lock);
}

void gh_sessions_let(struct gh_sessions *sessions, const struct gh_place *place)
{
    pthread_mutex_unlock(&shard_of(sessions, place->device)->lock);
}

bool gh_sessions_find(struct gh_sessions *sessions, uint64_t device, struct gh_presence *out)
{
    struct shard *shard = shard_of(sessions, device);
    pthread_mutex_lock(&shard->lock);
    const struct gh_place *place = first_of(shard, device);
    if (place != NULL)
        *out = presence_of(place);
    pthread_mutex_unlock(&shard->lock);
    return place != NULL;
}

void gh_sessions_of(struct gh_sessions *sessions, uint64_t device,
                    void (*each)(void *context, const struct gh_presence *presence), void *context)
{
    struct shard *shard = shard_of(sessions, device);
    pthread_mutex_lock(&shard->lock);
    for (const struct gh_place *place = first_of(shard, device); place != NULL;
         place = counting(place->next, device)) {
        struct gh_presence presence = presence_of(place);
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

/* Calls `visit` for each session of the range with its shard locked. */
static void visit_all(struct gh_sessions *sessions, struct range range,
                      void (*visit)(void *context, const struct gh_place *place,
                                    const struct gh_presence *presence),
                      void *context)
{
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &sessions->shards[i];
        pthread_mutex_lock(&shard->lock);
        for (size_t chain = 0; chain < shard->chains_count; chain++)
            for (const struct gh_place *place = shard->chains[chain]; place != NULL;
                 place = place->next) {
                if (place->replaced)
                    continue;
                struct gh_presence presence = presence_of(place);
                if ((range.registry == 0 || presence.registry == range.registry) &&
                    (range.tenant == 0 || presence.tenant == range.tenant))
                    visit(context, place, &presence);
            }
        pthread_mutex_unlock(&shard->lock);
    }
}

struct each {
    void (*call)(void *context, const struct gh_presence *presence);
    void *context;
};

static void visit_presence(void *context, const struct gh_place *place,
                           const struct gh_presence *presence)
{
    const struct each *each = context;
    (void)place;
    each->call(each->context, presence);
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
    for (const struct gh_place *place = first_of(shard, device); place != NULL;
         place = counting(place->next, device))
        sent |= send_order(place, kind, NULL);
    pthread_mutex_unlock(&shard->lock);
    return sent;
}

static void visit_order(void *context, const struct gh_place *place,
                        const struct gh_presence *presence)
{
    (void)presence;
    send_order(place, *(const enum gh_order_kind *)context, NULL);
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

static void visit_where(void *context, const struct gh_place *place,
                        const struct gh_presence *presence)
{
    const struct where *where = context;
    if (where->wanted(where->context, gh_slice_text(presence->credential)))
        send_order(place, where->kind, NULL);
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
    const struct gh_place *place = first_of(shard, command->device);
    bool sent = place != NULL && send_order(place, GH_ORDER_COMMAND, command);
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
