/* Random histories of the broker: publishers and subscribers at QoS 1 and 2 who lose packets and
 * connections and change loops, subscriptions that come and go, retained messages, and a cleaner
 * that never rests; then the server ends, in order or by a loss of power, and begins again.
 *
 * Held against a model: what was acknowledged is there, at QoS 2 once; subscriptions and retained
 * messages are as they were last acknowledged, or as asked for later. After an orderly end the
 * broker is what it was before, word for word.
 *
 * Environment: GH_BROKER_SEEDS (how many histories), GH_BROKER_SEED (only this one). */
#include "base/log.h"
#include "route/broker_dump_internal.h"
#include "route/broker_rig_internal.h"

enum {
    SEEDS = 240,
    FIRST_SEED = 1000,
    LIVES = 3,
    OPERATIONS = 120,
    PUBLISHERS = 2,
    SHARER = 3, /* this subscriber and the next share one subscription at QoS 1 */
    SUBSCRIBERS = 5,
    TOPICS = 3,
    MESSAGES_MAX = LIVES * OPERATIONS,
    FILTERS = 6,
    RETAINED = 4,
    PACKET_IDS = 65536,
    DROPS = 8, /* one packet in so many is lost */
};

static uint64_t random_next(uint64_t *random) /* xorshift64 */
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random >> 11;
}

static unsigned below(uint64_t *random, unsigned bound)
{
    return (unsigned)(random_next(random) % bound);
}

/* Under the rig's lock once its publisher has it. */
struct message {
    struct publisher *publisher;
    unsigned number, topic;
    uint8_t qos;
    uint16_t packet_id;
    bool received, done; /* PUBREC came (QoS 2); all is over */
};

struct publisher {
    struct client client; /* first */
    char name[16];
    uint64_t random; /* of what its loop draws */
    bool lossy;
    uint16_t packet_id;
};

struct subscriber {
    struct client client; /* first */
    char name[16];
    uint64_t random;
    bool lossy;
    uint8_t qos;
    bool held[PACKET_IDS];        /* QoS 2: taken and not released */
    unsigned taken[MESSAGES_MAX]; /* how often the application got it */
};

/* A filter or a retained topic of one client who changes them in turn. */
struct wish {
    unsigned last, safe; /* values given; the newest that was acknowledged */
};

struct history {
    struct rig rig;
    uint64_t seed, random;
    bool power; /* it ends by a loss of power */
    struct publisher publishers[PUBLISHERS];
    struct subscriber subscribers[SUBSCRIBERS];
    struct client turner; /* subscribes and unsubscribes */
    struct wish filters[FILTERS], retained[RETAINED];
    struct message messages[MESSAGES_MAX];
    unsigned messages_count;
    char claim[64];
};

/* --- subscribers: on their loops */

static bool lost(struct subscriber *subscriber)
{
    return subscriber->lossy && below(&subscriber->random, DROPS) == 0;
}

static void receipt_done(void *context, uint64_t token, bool stored)
{
    struct client_receipt *receipt = context;
    struct subscriber *subscriber = (struct subscriber *)receipt->client;
    struct client *client = &subscriber->client;
    if (stored && client->connection == receipt->connection && !lost(subscriber)) {
        uint16_t id = (uint16_t)(((token >> 2) - 1) % BROKER_PACKET_IDS + 1);
        subscriber->held[id] = false; /* PUBREL came */
        if (!lost(subscriber)) {
            gh_attachment_done(client->attachment, token);
            client->inflight--;
            client_pump(client);
        }
    }
    free(receipt);
}

static void take(struct subscriber *subscriber, const struct gh_delivery *delivery)
{
    char text[16] = "";
    struct gh_slice payload = delivery->message->payload;
    memcpy(text, payload.data, payload.size < 15 ? payload.size : 15);
    unsigned number = (unsigned)atoi(text);
    REQUIRE("a message of this history", number < MESSAGES_MAX);
    subscriber->taken[number]++;
}

static void subscriber_takes(struct client *client, const struct gh_delivery *delivery)
{
    struct subscriber *subscriber = (struct subscriber *)client;
    if (delivery->release)
        subscriber->held[delivery->packet_id] = false;
    else if (delivery->qos < 2 || !subscriber->held[delivery->packet_id])
        take(subscriber, delivery);
    if (delivery->qos == 2 && !delivery->release)
        subscriber->held[delivery->packet_id] = true;
    if (lost(subscriber))
        return;
    if (delivery->qos < 2 || delivery->release) {
        gh_attachment_done(client->attachment, delivery->token);
        client->inflight -= delivery->qos > 0;
        return;
    }
    struct client_receipt *receipt = malloc(sizeof *receipt);
    REQUIRE("memory", receipt != NULL);
    *receipt = (struct client_receipt){client, client->connection};
    gh_attachment_pubrec(client->attachment, delivery->token, receipt_done, receipt);
}

/* --- publishers: on their loops */

static bool lost_by(struct publisher *publisher)
{
    return publisher->lossy && below(&publisher->random, DROPS) == 0;
}

static void released(void *context, uint16_t packet_id, bool stored, bool unused)
{
    struct message *message = context;
    (void)packet_id, (void)unused;
    client_lock(&message->publisher->client);
    message->done |= stored;
    client_unlock(&message->publisher->client);
}

/* PUBACK or PUBREC, which may get lost on its way. */
static void published(void *context, uint16_t packet_id, bool stored, bool matched)
{
    struct message *message = context;
    (void)packet_id, (void)matched;
    client_lock(&message->publisher->client);
    if (stored && !lost_by(message->publisher))
        *(message->qos == 1 ? &message->done : &message->received) = true;
    client_unlock(&message->publisher->client);
}

static void send(struct message *message)
{
    char topic[16], payload[200];
    struct client *client = &message->publisher->client;
    snprintf(topic, sizeof topic, "t/%u", message->topic);
    memset(payload, '.', sizeof payload);
    payload[snprintf(payload, sizeof payload, "%u ", message->number)] = '.';
    struct gh_broker_publish publish = {.topic = gh_slice(topic, strlen(topic)),
                                        .payload = gh_slice(payload, sizeof payload),
                                        .qos = message->qos,
                                        .packet_id = message->packet_id};
    enum gh_broker_posted posted =
        gh_attachment_publish(client->attachment, &publish, published, message);
    if (posted == GH_BROKER_POSTED || posted == GH_BROKER_NOBODY)
        published(message, message->packet_id, true, true);
}

static bool is_received(const struct client *client, uint16_t packet_id)
{
    size_t count;
    const uint16_t *list = gh_attachment_received(client->attachment, &count);
    for (size_t i = 0; i < count; i++)
        if (list[i] == packet_id)
            return true;
    return false;
}

struct resuming {
    struct history *history;
    struct publisher *publisher;
    bool resends; /* after a reconnect, as a client with a stored session does */
};

static void run_resume(void *context)
{
    const struct resuming *resuming = context;
    struct client *client = &resuming->publisher->client;
    for (size_t i = 0; i < resuming->history->messages_count && client->attached; i++) {
        struct message *message = &resuming->history->messages[i];
        client_lock(client);
        bool done = message->done, was_received = message->received;
        client_unlock(client);
        if (message->publisher != resuming->publisher || done)
            continue;
        if (was_received)
            gh_attachment_release(client->attachment, message->packet_id, released, message);
        else if (resuming->resends && is_received(client, message->packet_id))
            published(message, message->packet_id, true, true); /* not taken twice */
        else if (resuming->resends)
            send(message);
    }
}

static void run_send(void *context)
{
    struct message *message = context;
    if (message->publisher->client.attached)
        send(message);
}

/* --- operations */

/* The power may be gone: then the session cannot be had. */
static void reconnect(struct history *history, struct client *client)
{
    if (client->attachment != NULL)
        client_detach(client, (struct gh_detach){0});
    client->loop = below(&history->random, RIG_LOOPS);
    client_lock(client);
    unsigned before = client->answers;
    client_unlock(client);
    client_ask(client);
    RIG_AWAIT(&history->rig, history->claim, client->answers > before);
    if (client->result != GH_OK)
        client_detach(client, (struct gh_detach){0});
}

static void resume(struct history *history, struct publisher *publisher, bool resends)
{
    struct resuming resuming = {history, publisher, resends};
    rig_on(&history->rig, publisher->client.loop, run_resume, &resuming);
}

static void do_publish(struct history *history)
{
    struct publisher *publisher = &history->publishers[below(&history->random, PUBLISHERS)];
    struct message *message = &history->messages[history->messages_count];
    if (publisher->client.attachment == NULL || history->messages_count == MESSAGES_MAX)
        return;
    *message = (struct message){.publisher = publisher,
                                .number = history->messages_count,
                                .topic = below(&history->random, TOPICS),
                                .qos = (uint8_t)(1 + below(&history->random, 2)),
                                .packet_id = ++publisher->packet_id};
    history->messages_count++;
    rig_on(&history->rig, publisher->client.loop, run_send, message);
}

static void do_release(struct history *history)
{
    resume(history, &history->publishers[below(&history->random, PUBLISHERS)], false);
}

static void do_reconnect_publisher(struct history *history)
{
    struct publisher *publisher = &history->publishers[below(&history->random, PUBLISHERS)];
    reconnect(history, &publisher->client);
    resume(history, publisher, true);
}

static void do_reconnect_subscriber(struct history *history)
{
    struct client *client = &history->subscribers[below(&history->random, SUBSCRIBERS)].client;
    if (client->attachment != NULL && below(&history->random, 3) == 0)
        client_detach(client, (struct gh_detach){0}); /* for a while */
    else
        reconnect(history, client);
}

/* The second sharer begins anew: what it has goes to the first. */
static void do_end_sharer(struct history *history)
{
    struct client *client = &history->subscribers[SHARER + 1].client;
    client->connect.clean_start = true;
    reconnect(history, client);
    client->connect.clean_start = false;
    if (client->attachment != NULL)
        (void)client_subscribe(client, "$share/g/t/#", 1);
}

static void do_turn(struct history *history)
{
    char filter[16];
    struct client *client = &history->turner;
    unsigned which = below(&history->random, FILTERS);
    struct wish *wish = &history->filters[which];
    if (client->attachment == NULL || below(&history->random, 6) == 0) {
        reconnect(history, client);
        return;
    }
    snprintf(filter, sizeof filter, "f/%u", which);
    unsigned failed = client->sync_failed;
    wish->last++;
    if (wish->last % 2 == 1)
        (void)client_subscribe(client, filter, 1);
    else
        (void)client_unsubscribe(client, filter);
    if (client->sync_failed == failed)
        wish->safe = wish->last;
}

static void do_retain(struct history *history)
{
    char topic[16], payload[16] = "";
    unsigned which = below(&history->random, RETAINED);
    struct wish *wish = &history->retained[which];
    if (history->turner.attachment == NULL)
        return;
    snprintf(topic, sizeof topic, "r/%u", which);
    if (++wish->last % 3 != 0) /* every third clears */
        snprintf(payload, sizeof payload, "%u", wish->last);
    if (client_retain(&history->turner, topic, payload, 1) <= GH_BROKER_PENDING)
        wish->safe = wish->last;
}

static void (*const operations[])(struct history *history) = {
    do_publish,    do_publish,
    do_publish,    do_publish,
    do_publish,    do_publish,
    do_release,    do_turn,
    do_retain,     do_reconnect_publisher,
    do_turn,       do_retain,
    do_publish,    do_reconnect_subscriber,
    do_end_sharer,
};

/* --- what must be true after a restart */

struct subscribed {
    struct history *history;
    bool there[FILTERS];
};

static void note_filters(void *context, const struct gh_broker_view *view)
{
    struct subscribed *subscribed = context;
    if (!gh_slice_equal(view->client_id, GH_SLICE("turner")))
        return;
    for (size_t i = 0; i < view->subscriptions_count; i++)
        subscribed->there[view->subscriptions[i].filter.data[2] - '0'] = true;
}

static void check_filters(struct history *history)
{
    struct subscribed subscribed = {.history = history};
    gh_broker_each(history->rig.broker, 0, note_filters, &subscribed);
    for (size_t i = 0; i < FILTERS; i++) {
        struct wish *wish = &history->filters[i];
        bool as_safe = subscribed.there[i] == (wish->safe % 2 == 1);
        CHECK(history->claim, as_safe || wish->last > wish->safe);
        wish->safe = wish->last += (wish->last % 2 == 1) != subscribed.there[i];
    }
}

static bool clears_between(const struct wish *wish)
{
    for (unsigned value = wish->safe; value <= wish->last; value++)
        if (value % 3 == 0)
            return true;
    return false;
}

static void check_retained(struct history *history)
{
    char topic[16], text[16];
    struct space *space = space_of(history->rig.broker, 7);
    for (size_t i = 0; i < RETAINED; i++) {
        struct wish *wish = &history->retained[i];
        snprintf(topic, sizeof topic, "r/%zu", i);
        pthread_mutex_lock(&space->retained_lock);
        struct retained *there =
            gh_retained_tree_get(&space->retained, gh_slice(topic, strlen(topic)));
        text[0] = '\0';
        if (there != NULL)
            snprintf(text, sizeof text, "%.*s", GH_PRINT(there->message->payload));
        pthread_mutex_unlock(&space->retained_lock);
        unsigned value = (unsigned)atoi(text);
        if (there == NULL)
            CHECK(history->claim, clears_between(wish));
        else
            CHECK(history->claim, value >= wish->safe && value <= wish->last);
        wish->last += 3 - wish->last % 3; /* a value that clears, and is not known to be safe */
        wish->safe = there == NULL ? wish->last : value;
    }
}

static void check_taken(struct history *history)
{
    for (size_t m = 0; m < history->messages_count; m++)
        CHECK(history->claim,
              history->subscribers[SHARER].taken[m] + history->subscribers[SHARER + 1].taken[m] >=
                  1);
    for (size_t i = 0; i < SHARER; i++)
        for (size_t m = 0; m < history->messages_count; m++) {
            struct subscriber *subscriber = &history->subscribers[i];
            unsigned taken = subscriber->taken[m];
            bool once = history->messages[m].qos == 2 && subscriber->qos == 2;
            if (!CHECK(history->claim, once ? taken == 1 : taken >= 1))
                fprintf(stderr, "  %s took message %zu (QoS %u) %u times\n", subscriber->name, m,
                        history->messages[m].qos, taken);
        }
}

/* --- one history */

static void start_client(struct history *history, struct client *client, const char *name)
{
    client_init(client, &history->rig, name, below(&history->random, RIG_LOOPS));
    client->connect.expiry_s = 100 * 1000;
    CHECK(history->claim, !client_connect(client));
}

static void set_lossy(struct history *history, bool lossy)
{
    for (size_t i = 0; i < PUBLISHERS; i++)
        history->publishers[i].lossy = lossy;
    for (size_t i = 0; i < SUBSCRIBERS; i++)
        history->subscribers[i].lossy = lossy;
}

static void start(struct history *history)
{
    for (size_t i = 0; i < PUBLISHERS; i++) {
        struct publisher *publisher = &history->publishers[i];
        publisher->random = random_next(&history->random) | 1;
        snprintf(publisher->name, sizeof publisher->name, "publisher%zu", i);
        start_client(history, &publisher->client, publisher->name);
    }
    for (size_t i = 0; i < SUBSCRIBERS; i++) {
        struct subscriber *subscriber = &history->subscribers[i];
        subscriber->random = random_next(&history->random) | 1;
        subscriber->qos = i == 0 || i >= SHARER ? 1 : 2;
        snprintf(subscriber->name, sizeof subscriber->name, "subscriber%zu", i);
        start_client(history, &subscriber->client, subscriber->name);
        subscriber->client.takes = subscriber_takes;
        (void)client_subscribe(&subscriber->client, i < SHARER ? "t/#" : "$share/g/t/#",
                               subscriber->qos);
    }
    start_client(history, &history->turner, "turner");
}

static void detach_all(struct history *history)
{
    struct client *all[PUBLISHERS + SUBSCRIBERS + 1] = {&history->turner};
    for (size_t i = 0; i < PUBLISHERS; i++)
        all[1 + i] = &history->publishers[i].client;
    for (size_t i = 0; i < SUBSCRIBERS; i++)
        all[1 + PUBLISHERS + i] = &history->subscribers[i].client;
    for (size_t i = 0; i < GH_COUNT(all); i++)
        if (all[i]->attachment != NULL)
            client_detach(all[i], (struct gh_detach){0});
    if (history->power) /* without it nothing ends */
        rig_settle(&history->rig);
    else
        rig_await_ends(&history->rig);
}

static bool is_dead(struct history *history)
{
    pthread_mutex_lock(&history->rig.disk.lock);
    bool dead = history->rig.disk.dead;
    pthread_mutex_unlock(&history->rig.disk.lock);
    return dead;
}

static void set_power(struct history *history, int64_t dies_after, bool dead)
{
    struct disk *disk = &history->rig.disk;
    pthread_mutex_lock(&disk->lock);
    disk->dies_after = dies_after;
    disk->dead = dead;
    pthread_mutex_unlock(&disk->lock);
}

static void live(struct history *history)
{
    unsigned more = 10; /* operations without power */
    set_lossy(history, true);
    if (history->power)
        set_power(history, 1 + below(&history->random, 400), false);
    for (unsigned i = 0; i < OPERATIONS && more > 0; i++) {
        operations[below(&history->random, GH_COUNT(operations))](history);
        more -= history->power && is_dead(history);
    }
    if (history->power)
        set_power(history, -1, true);
    detach_all(history);
}

static void restart(struct history *history)
{
    struct gh_buffer before, after;
    gh_buffer_init(&before, SIZE_MAX / 2);
    gh_buffer_init(&after, SIZE_MAX / 2);
    rig_stop(&history->rig);
    broker_dump(history->rig.broker, &before);
    rig_free(&history->rig);
    if (history->power)
        disk_power_returns(&history->rig.disk);
    rig_open(&history->rig);
    broker_dump(history->rig.broker, &after);
    bool same = gh_slice_equal(gh_buffer_slice(&before), gh_buffer_slice(&after));
    if (!history->power && !CHECK(history->claim, same))
        fprintf(stderr, "before:\n%.*safter:\n%.*s", GH_PRINT(gh_buffer_slice(&before)),
                GH_PRINT(gh_buffer_slice(&after)));
    check_filters(history);
    check_retained(history);
    gh_buffer_deinit(&before);
    gh_buffer_deinit(&after);
}

static bool all_done(struct history *history)
{
    for (size_t i = 0; i < history->messages_count; i++)
        if (!history->messages[i].done)
            return false;
    return true;
}

static bool all_received(struct history *history)
{
    for (size_t i = 0; i < history->messages_count; i++)
        if (!history->messages[i].done && !history->messages[i].received)
            return false;
    return true;
}

/* Shows what is left when it does not come to its end. */
static void await_empty(struct history *history)
{
    struct gh_buffer text;
    struct gh_broker *broker = history->rig.broker;
    int64_t end_ns = gh_time_monotonic_ns() + RIG_PATIENCE_MS * GH_MS_NS;
    while (gh_broker_status(broker).queued > 0 && gh_time_monotonic_ns() < end_ns)
        rig_settle(&history->rig);
    if (CHECK(history->claim, gh_broker_status(broker).queued == 0))
        return;
    gh_buffer_init(&text, SIZE_MAX / 2);
    broker_dump(broker, &text);
    for (size_t i = 0; i < SUBSCRIBERS; i++) {
        struct client *client = &history->subscribers[i].client;
        struct session *session = client->attachment == NULL ? NULL : client->attachment->session;
        gh_buffer_print(&text, "%s: attached %d, in flight %zu of %zu", client->name,
                        client->attached, client->inflight,
                        session == NULL ? (size_t)0 : session->inbox->inflight);
        if (session != NULL)
            gh_buffer_print(&text, ", cursor %" PRIu64 ", live %d, fetching %d, posted %d",
                            session->inbox->cursor, session->live, session->inbox->fetching,
                            session->inbox->ready_posted);
        gh_buffer_print(&text, "\n");
    }
    fprintf(stderr, "%.*s", GH_PRINT(gh_buffer_slice(&text)));
    gh_buffer_deinit(&text);
}

/* Nothing is lost any more: everything comes to its end. */
static void finish(struct history *history)
{
    set_lossy(history, false);
    for (size_t i = 0; i < SUBSCRIBERS; i++)
        reconnect(history, &history->subscribers[i].client);
    for (size_t i = 0; i < PUBLISHERS; i++) {
        reconnect(history, &history->publishers[i].client);
        resume(history, &history->publishers[i], true);
    }
    RIG_AWAIT(&history->rig, history->claim, all_received(history));
    for (size_t i = 0; i < PUBLISHERS; i++)
        resume(history, &history->publishers[i], false);
    RIG_AWAIT(&history->rig, history->claim, all_done(history));
    await_empty(history);
    detach_all(history);
    rig_close(&history->rig);
    disk_power_returns(&history->rig.disk); /* frees what it remembers */
    check_taken(history);
}

static void run_history(const char *folders, uint64_t seed, bool power)
{
    char folder[256];
    struct history *history = calloc(1, sizeof *history);
    REQUIRE("memory", history != NULL);
    history->seed = seed;
    history->random = seed * 0x9e3779b97f4a7c15u | 1;
    history->power = power;
    snprintf(history->claim, sizeof history->claim, "seed %" PRIu64 "%s", seed,
             power ? ", power is lost" : "");
    snprintf(folder, sizeof folder, "%s/%" PRIu64, folders, seed);
    REQUIRE("a folder", mkdir(folder, 0700) == 0);
    rig_init(&history->rig, folder, seed);
    history->rig.disk.remembers = power;
    history->rig.options.log.segment_bytes = 8 * 1024;
    history->rig.options.clean_slack_bytes = 1;
    history->rig.options.clean_period_ms = 1;
    history->rig.options.limits.bodies_max = below(&history->random, 3) == 0 ? 1000 : 1;
    rig_open(&history->rig);
    start(history);
    for (unsigned i = 0; i < LIVES; i++) {
        live(history);
        restart(history);
        detach_all(history);
    }
    finish(history);
    free(history);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

int main(void)
{
    uint64_t seeds = number_of("GH_BROKER_SEEDS", SEEDS), one = number_of("GH_BROKER_SEED", 0);
    uint64_t first = one > 0 ? one : FIRST_SEED;
    const char *folders = check_folder();
    gh_log_set_level(GH_LOG_ERROR);
    for (uint64_t seed = first; seed < first + (one > 0 ? 1 : seeds); seed++) {
        run_history(folders, seed, seed % 4 != 0);
    }
    return check_report();
}
