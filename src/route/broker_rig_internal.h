/* What the tests of the broker share: two loops on threads, workers, a journal in a folder on a
 * disk that can fail (pubsub/log_disk.h), and clients, who do what a connection does. A client acts
 * on its loop only; what it saw is guarded by the rig's lock. A test asks by RIG_AWAIT, whose every
 * wait ends. Tests only. */
#ifndef GH_ROUTE_BROKER_RIG_INTERNAL_H
#define GH_ROUTE_BROKER_RIG_INTERNAL_H

#include "base/time.h"
#include "pubsub/log_disk.h"
#include "route/broker_internal.h"
#include "tests/check.h"
#include <inttypes.h>
#include <stdarg.h>

enum { RIG_LOOPS = 2, RIG_PATIENCE_MS = 20 * 1000, RIG_TICK_MS = 2, RIG_TEXT_MAX = 128 };

struct rig {
    struct gh_loop *loops[RIG_LOOPS];
    pthread_t threads[RIG_LOOPS];
    struct gh_workers *workers;
    struct gh_broker *broker;
    struct gh_broker_options options;
    struct disk disk;
    pthread_mutex_t lock; /* of what clients saw */
    pthread_cond_t moved;
};

static _Atomic int64_t rig_ahead_ms; /* of the real time */
static inline int64_t rig_utc_ms(void)
{
    return gh_time_utc_ms() + atomic_load(&rig_ahead_ms);
}

static inline void rig_tick(struct rig *rig) /* the lock is held */
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += RIG_TICK_MS * GH_MS_NS;
    until.tv_sec += until.tv_nsec / GH_SECOND_NS;
    until.tv_nsec %= GH_SECOND_NS;
    pthread_cond_timedwait(&rig->moved, &rig->lock, &until);
}

/* Waits until the condition holds, evaluated under the lock; the program ends when it never does.
 */
#define RIG_AWAIT(rig, claim, condition)                                                           \
    do {                                                                                           \
        pthread_mutex_lock(&(rig)->lock);                                                          \
        int64_t rig_end_ns = gh_time_monotonic_ns() + RIG_PATIENCE_MS * GH_MS_NS;                  \
        while (!(condition) && gh_time_monotonic_ns() < rig_end_ns)                                \
            rig_tick(rig);                                                                         \
        bool rig_held = (condition);                                                               \
        pthread_mutex_unlock(&(rig)->lock);                                                        \
        check_require(claim, rig_held, #condition, __FILE__, __LINE__);                            \
    } while (0)

/* --- loops and the broker */

static inline void *rig_run(void *context)
{
    gh_loop_run(context);
    return NULL;
}

static inline void rig_init(struct rig *rig, const char *folder, uint64_t seed)
{
    memset(rig, 0, sizeof *rig);
    pthread_mutex_init(&rig->lock, NULL);
    pthread_cond_init(&rig->moved, NULL);
    disk_init(&rig->disk, seed);
    rig->options = (struct gh_broker_options){.folder = folder,
                                              .limits = gh_broker_limits_default,
                                              .loops = rig->loops,
                                              .loops_count = RIG_LOOPS,
                                              .utc_ms = rig_utc_ms};
    rig->options.log.files = &rig->disk.files;
    rig->options.log.segment_bytes = 64 * 1024;
    rig->options.log.retry_ms = 5;
}

static inline void rig_open(struct rig *rig)
{
    struct gh_error error = {0};
    rig->workers = gh_workers_open(1, 64, &error);
    REQUIRE("workers", rig->workers != NULL);
    for (size_t i = 0; i < RIG_LOOPS; i++)
        REQUIRE("a loop", (rig->loops[i] = gh_loop_open(&error)) != NULL);
    rig->options.workers = rig->workers;
    rig->broker = gh_broker_open(&rig->options, &error);
    if (rig->broker == NULL)
        fprintf(stderr, "%s\n", error.text);
    REQUIRE("a broker", rig->broker != NULL);
    for (size_t i = 0; i < RIG_LOOPS; i++)
        REQUIRE("its thread", pthread_create(&rig->threads[i], NULL, rig_run, rig->loops[i]) == 0);
}

/* Clients have detached. What the broker has in memory can still be looked at then. */
static inline void rig_stop(struct rig *rig)
{
    for (size_t i = 0; i < RIG_LOOPS; i++)
        gh_loop_stop(rig->loops[i]);
    for (size_t i = 0; i < RIG_LOOPS; i++)
        pthread_join(rig->threads[i], NULL);
    gh_workers_close(rig->workers);
    gh_broker_stop(rig->broker);
    for (size_t i = 0; i < RIG_LOOPS; i++)
        gh_loop_close(rig->loops[i]);
}

static inline void rig_free(struct rig *rig)
{
    gh_broker_close(rig->broker);
    rig->broker = NULL;
}

static inline void rig_close(struct rig *rig)
{
    rig_stop(rig);
    rig_free(rig);
}

struct rig_call {
    struct gh_letter letter; /* first */
    struct rig *rig;
    void (*run)(void *context);
    void *context;
    bool done;
};

static inline void rig_open_call(struct gh_letter *letter)
{
    struct rig_call *call = (struct rig_call *)letter;
    call->run(call->context);
    pthread_mutex_lock(&call->rig->lock);
    call->done = true;
    pthread_cond_broadcast(&call->rig->moved);
    pthread_mutex_unlock(&call->rig->lock);
}

/* Runs `run` on a loop and waits for its end. */
static inline void rig_on(struct rig *rig, size_t loop, void (*run)(void *context), void *context)
{
    struct rig_call call = {
        .letter.open = rig_open_call, .rig = rig, .run = run, .context = context};
    gh_loop_send(rig->loops[loop], &call.letter);
    pthread_mutex_lock(&rig->lock);
    while (!call.done)
        pthread_cond_wait(&rig->moved, &rig->lock);
    pthread_mutex_unlock(&rig->lock);
}

/* --- clients */

enum { CLIENT_TOKENS_MAX = 1024 };

struct client {
    struct rig *rig;
    const char *name;
    size_t loop;
    struct gh_broker_connect connect;
    atomic_bool stays; /* does not go when it is asked to leave */
    atomic_bool idle;  /* takes nothing */
    atomic_bool keeps; /* acknowledges nothing by itself */
    atomic_size_t window;
    /* Instead of noting and acknowledging, after gh_attachment_sent. */
    void (*takes)(struct client *client, const struct gh_delivery *delivery);

    /* Of its loop. */
    _Atomic(struct gh_attachment *) attachment;
    atomic_bool attached;
    size_t inflight;
    atomic_uint connection; /* counts them: what an older one was told does not count */

    /* Under the rig's lock. */
    unsigned answers, leaves, readies;
    enum gh_error_code result;
    bool present;
    char (*seen)[RIG_TEXT_MAX];
    size_t seen_count, seen_capacity;
    uint64_t tokens[CLIENT_TOKENS_MAX]; /* sent and not acknowledged */
    size_t tokens_count;
    unsigned stored, failed, matched; /* answers to its publishes, and the rest */
    unsigned synced, sync_failed;
};

static inline void client_init(struct client *client, struct rig *rig, const char *name,
                               size_t loop)
{
    *client = (struct client){.rig = rig, .name = name, .loop = loop, .window = 20};
    client->connect = (struct gh_broker_connect){.tenant = 7,
                                                 .device = 1,
                                                 .client_id = gh_slice(name, strlen(name)),
                                                 .expiry_s = UINT32_MAX};
}

static inline void client_deinit(struct client *client)
{
    free(client->seen);
    client->seen = NULL;
}

static inline void client_lock(struct client *client)
{
    pthread_mutex_lock(&client->rig->lock);
}

static inline void client_unlock(struct client *client)
{
    pthread_cond_broadcast(&client->rig->moved);
    pthread_mutex_unlock(&client->rig->lock);
}

static inline void client_note(struct client *client, const struct gh_delivery *delivery)
{
    char text[RIG_TEXT_MAX];
    const struct gh_route_message *message = delivery->message;
    int size = message == NULL
                   ? snprintf(text, sizeof text, "release #%u", delivery->packet_id)
                   : snprintf(text, sizeof text, "%.*s=%.*s q%u%s%s", GH_PRINT(message->topic),
                              message->payload.size > 40 ? 40 : (int)message->payload.size,
                              (const char *)message->payload.data, delivery->qos,
                              delivery->retain ? " r" : "", delivery->dup ? " d" : "");
    for (size_t i = 0; i < delivery->identifiers_count && size < RIG_TEXT_MAX - 8; i++)
        size += snprintf(text + size, sizeof text - (size_t)size, " i%u", delivery->identifiers[i]);
    client_lock(client);
    if (client->seen_count == client->seen_capacity) {
        client->seen_capacity = client->seen_capacity == 0 ? 64 : 2 * client->seen_capacity;
        client->seen = realloc(client->seen, client->seen_capacity * sizeof *client->seen);
        REQUIRE("memory", client->seen != NULL);
    }
    memcpy(client->seen[client->seen_count++], text, sizeof text);
    if (delivery->qos > 0 && client->keeps && client->tokens_count < CLIENT_TOKENS_MAX)
        client->tokens[client->tokens_count++] = delivery->token;
    client_unlock(client);
}

struct client_receipt {
    struct client *client;
    unsigned connection;
};

static inline void client_pump(struct client *client);

static inline void client_received(void *context, uint64_t token, bool stored)
{
    struct client_receipt *receipt = context;
    struct client *client = receipt->client;
    if (stored && client->connection == receipt->connection && client->attachment != NULL) {
        gh_attachment_done(client->attachment, token); /* PUBREL, PUBCOMP */
        client->inflight--;
        client_pump(client);
    }
    free(receipt);
}

static inline void client_acknowledge(struct client *client, uint64_t token, unsigned qos)
{
    if (qos == 1) {
        gh_attachment_done(client->attachment, token);
        client->inflight--;
    } else {
        struct client_receipt *receipt = malloc(sizeof *receipt);
        REQUIRE("memory", receipt != NULL);
        *receipt = (struct client_receipt){client, client->connection};
        gh_attachment_pubrec(client->attachment, token, client_received, receipt);
    }
}

static inline void client_pump(struct client *client)
{
    struct gh_delivery delivery;
    while (client->attached && !client->idle &&
           gh_attachment_next(client->attachment, rig_utc_ms(), client->inflight >= client->window,
                              &delivery)) {
        if (client->takes == NULL)
            client_note(client, &delivery);
        client->inflight += delivery.qos > 0;
        gh_attachment_sent(client->attachment, delivery.token);
        if (client->takes != NULL) {
            client->takes(client, &delivery);
            continue;
        }
        if (delivery.qos == 0 || client->keeps)
            continue;
        if (delivery.release) {
            gh_attachment_done(client->attachment, delivery.token);
            client->inflight--;
        } else {
            client_acknowledge(client, delivery.token, delivery.qos);
        }
    }
}

static inline void client_attached(void *context, enum gh_error_code result, bool present)
{
    struct client *client = context;
    client->attached = result == GH_OK;
    client_lock(client);
    client->answers++;
    client->result = result;
    client->present = present;
    client_unlock(client);
    if (client->attachment != NULL)
        client_pump(client);
}

static inline void client_ready(void *context)
{
    struct client *client = context;
    client_lock(client);
    client->readies++;
    client_unlock(client);
    client_pump(client);
}

static inline void client_do_detach(struct client *client, const struct gh_detach *detach)
{
    struct gh_attachment *attachment = client->attachment;
    client->attachment = NULL;
    client->attached = false;
    client->inflight = 0;
    client->connection++;
    if (attachment != NULL)
        gh_attachment_detach(attachment, detach);
}

static inline void client_leave(void *context)
{
    struct client *client = context;
    const struct gh_detach detach = {.will = true};
    client_lock(client);
    client->leaves++;
    client_unlock(client);
    if (!client->stays)
        client_do_detach(client, &detach);
}

static const struct gh_attachment_host client_host = {client_attached, client_ready, client_leave};

static inline void client_do_connect(void *context)
{
    struct client *client = context;
    assert(client->attachment == NULL);
    client->connection++;
    struct gh_attachment *attachment =
        gh_broker_connect(client->rig->broker, client->rig->loops[client->loop], &client->connect,
                          &client_host, client);
    client->attachment = attachment;
    client_lock(client);
    client->tokens_count = 0;
    client_unlock(client);
    REQUIRE("an attachment", attachment != NULL);
    client_pump(client);
}

/* Asks for the session; does not wait for the answer. */
static inline void client_ask(struct client *client)
{
    rig_on(client->rig, client->loop, client_do_connect, client);
}

/* Whether the session was there. */
static inline bool client_connect(struct client *client)
{
    client_lock(client);
    unsigned before = client->answers;
    client_unlock(client);
    client_ask(client);
    RIG_AWAIT(client->rig, client->name, client->answers > before);
    REQUIRE(client->name, client->result == GH_OK);
    return client->present;
}

struct client_detach {
    struct client *client;
    struct gh_detach detach;
};
static inline void client_run_detach(void *context)
{
    const struct client_detach *call = context;
    client_do_detach(call->client, &call->detach);
}

static inline void client_detach(struct client *client, struct gh_detach detach)
{
    struct client_detach call = {client, detach};
    rig_on(client->rig, client->loop, client_run_detach, &call);
}

struct client_subscribe {
    struct client *client;
    struct gh_broker_filter filter;
    uint8_t code;
    bool removes;
};

static inline void client_synced(void *context, uint16_t tag, bool stored, bool unused)
{
    struct client *client = context;
    (void)tag, (void)unused;
    client_lock(client);
    *(stored ? &client->synced : &client->sync_failed) += 1;
    client_unlock(client);
}

static inline void client_run_subscribe(void *context)
{
    struct client_subscribe *call = context;
    struct gh_attachment *attachment = call->client->attachment;
    if (call->removes)
        call->code = gh_attachment_unsubscribe(attachment, call->filter.filter);
    else
        call->code = gh_attachment_subscribe(attachment, &call->filter);
    gh_attachment_sync(attachment, client_synced, call->client, 1);
    client_pump(call->client);
}

static inline uint8_t client_change(struct client *client, const struct gh_broker_filter *filter,
                                    bool removes)
{
    struct client_subscribe call = {.client = client, .filter = *filter, .removes = removes};
    client_lock(client);
    unsigned before = client->synced + client->sync_failed;
    client_unlock(client);
    rig_on(client->rig, client->loop, client_run_subscribe, &call);
    RIG_AWAIT(client->rig, client->name, client->synced + client->sync_failed > before);
    return call.code;
}

static inline uint8_t client_subscribe(struct client *client, const char *filter, uint8_t qos)
{
    return client_change(client,
                         &(struct gh_broker_filter){.filter = gh_slice(filter, strlen(filter)),
                                                    .qos = qos,
                                                    .retain_handling = 0},
                         false);
}

static inline bool client_unsubscribe(struct client *client, const char *filter)
{
    return client_change(
        client, &(struct gh_broker_filter){.filter = gh_slice(filter, strlen(filter))}, true);
}

struct client_publish {
    struct client *client;
    struct gh_broker_publish publish;
    enum gh_broker_posted posted;
};

static inline void client_published(void *context, uint16_t packet_id, bool stored, bool matched)
{
    struct client *client = context;
    (void)packet_id;
    client_lock(client);
    *(stored ? &client->stored : &client->failed) += 1;
    client->matched += matched;
    client_unlock(client);
}

static inline void client_run_publish(void *context)
{
    struct client_publish *call = context;
    call->posted = gh_attachment_publish(call->client->attachment, &call->publish, client_published,
                                         call->client);
}

/* As gh_attachment_publish; PENDING is waited for and becomes POSTED or FAILED. */
static inline enum gh_broker_posted client_put(struct client *client,
                                               const struct gh_broker_publish *publish)
{
    struct client_publish call = {.client = client, .publish = *publish};
    client_lock(client);
    unsigned before = client->stored + client->failed, failed = client->failed;
    client_unlock(client);
    rig_on(client->rig, client->loop, client_run_publish, &call);
    if (call.posted != GH_BROKER_PENDING)
        return call.posted;
    RIG_AWAIT(client->rig, client->name, client->stored + client->failed > before);
    return client->failed > failed ? GH_BROKER_FAILED : GH_BROKER_POSTED;
}

/* Every QoS 2 publish that was taken is released. */
static inline void client_run_release(void *context)
{
    struct client *client = context;
    size_t count;
    const uint16_t *list = gh_attachment_received(client->attachment, &count);
    while (count-- > 0)
        gh_attachment_release(client->attachment, list[count], client_synced, client);
}

static inline struct gh_broker_publish rig_publish(const char *topic, const char *payload,
                                                   uint8_t qos)
{
    return (struct gh_broker_publish){.topic = gh_slice(topic, strlen(topic)),
                                      .payload = gh_slice(payload, strlen(payload)),
                                      .qos = qos};
}

static inline enum gh_broker_posted client_publish(struct client *client, const char *topic,
                                                   const char *payload, uint8_t qos)
{
    struct gh_broker_publish publish = rig_publish(topic, payload, qos);
    return client_put(client, &publish);
}

static inline enum gh_broker_posted client_retain(struct client *client, const char *topic,
                                                  const char *payload, uint8_t qos)
{
    struct gh_broker_publish publish = rig_publish(topic, payload, qos);
    publish.retain = true;
    return client_put(client, &publish);
}

static inline void client_await_seen(struct client *client, const char *claim, size_t count)
{
    int64_t end_ns = gh_time_monotonic_ns() + RIG_PATIENCE_MS * GH_MS_NS;
    pthread_mutex_lock(&client->rig->lock);
    while (client->seen_count < count && gh_time_monotonic_ns() < end_ns)
        rig_tick(client->rig);
    for (size_t i = 0; client->seen_count < count && i < client->seen_count; i++)
        fprintf(stderr, "  %s saw [%s]\n", client->name, client->seen[i]);
    bool enough = client->seen_count >= count;
    pthread_mutex_unlock(&client->rig->lock);
    REQUIRE(claim, enough);
}

/* Waits until exactly these have been seen, in this order, then forgets them. The list ends with
 * NULL. */
static inline void client_saw(struct client *client, const char *claim, ...)
{
    va_list list;
    const char *texts[64];
    size_t count = 0;
    va_start(list, claim);
    while (count < GH_COUNT(texts) && (texts[count] = va_arg(list, const char *)) != NULL)
        count++;
    va_end(list);
    client_await_seen(client, claim, count);
    client_lock(client);
    bool same = CHECK(claim, client->seen_count == count);
    for (size_t i = 0; i < count; i++)
        same &= CHECK(claim, strcmp(client->seen[i], texts[i]) == 0);
    for (size_t i = 0; i < client->seen_count && !same; i++)
        fprintf(stderr, "  %s saw [%s], expected [%s]\n", client->name, client->seen[i],
                i < count ? texts[i] : "");
    client->seen_count = 0;
    client_unlock(client);
}

static inline void client_run_nothing(void *context)
{
    (void)context;
}

/* Lets both loops open what is under way to them now, there and back. */
static inline void rig_settle(struct rig *rig)
{
    for (size_t i = 0; i < 3 * RIG_LOOPS; i++)
        rig_on(rig, i % RIG_LOOPS, client_run_nothing, NULL);
}

static inline bool rig_any_ending(struct rig *rig)
{
    pthread_mutex_lock(&rig->broker->lock);
    bool any = false;
    struct gh_slice key;
    size_t at = 0;
    for (void *session; !any && gh_map_next(&rig->broker->by_number, &at, &key, &session);)
        any = roster_find(&rig->broker->roster, session_device(session), session_client(session)) !=
              session;
    pthread_mutex_unlock(&rig->broker->lock);
    return any;
}

/* Lets sessions that have ended pass on what they had. */
static inline void rig_await_ends(struct rig *rig)
{
    RIG_AWAIT(rig, "sessions that have ended are over", !rig_any_ending(rig));
    rig_settle(rig);
}

static inline void client_run_pump(void *context)
{
    struct client *client = context;
    client_pump(client);
}

/* Takes again what it was told not to take. */
static inline void client_wake(struct client *client)
{
    client->idle = false;
    rig_on(client->rig, client->loop, client_run_pump, client);
}
#endif
