#include "base/secret.h"
#include "base/time.h"
#include "bench/load.h"
#include "bench/pace.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

/* Publishers at full speed, each with a window of messages that are not yet acknowledged and, with
 * MQTT subscribers, received by each of them; or at a given rate (bench/pace.h). Who receives
 * (perhaps): an MQTT subscriber for each publisher, some for all with --filter, or pullers over
 * HTTP. With a receiver the publishers pause while more than lag_max messages are on their way. So
 * what is measured is carried from end to end and not piled up, and no server drops for want of
 * queue space.
 *
 * CPU time is read when everybody is connected and again settle_ms after the last answer, so that
 * the server's deferred work is in it. Latencies: from the moment of sending (at a rate: from when
 * the message was due) to its PUBACK, and to its receiver. At a rate the report also has what the
 * generator itself adds to them: from when a message was due until it was written to its socket. */

enum {
    CHECK_NS = 1000 * 1000,
    DRAIN_MS = 30 * 1000,
    FILLER_BYTES = 1 << 20,
    FILLER_STEP = 4099, /* odd, and not near the size of a message */
    CONCURRENCY = 32,
};

/* The numbers of one publisher's messages that one receiver got. */
struct seen {
    uint8_t *bits;
    size_t size;
    uint64_t next; /* behind the highest */
};

struct publisher {
    uint64_t sent, acked, delivered; /* delivered: sum over the receivers */
    uint64_t written;                /* at a rate: what of `sent` is at its socket */
};

enum phase { OPENING, RUNNING, ENDING, SETTLING, OVER };

struct publish {
    struct load *load;
    struct opener publishers, subscribers;
    struct publisher *publisher;
    struct seen *seen;          /* for each receiver, each publisher */
    uint64_t receivers, copies; /* copies: receivers of each message */
    struct pullers *pullers;
    uint8_t *payload, *filler;
    uint32_t mark; /* of this run's messages: an earlier run may have left some */
    enum phase phase;
    bool receives, paused;
    struct gh_timer timer, due, deadline;
    struct pace pace; /* with a rate */
    int64_t start_ns, stop_ns, last_ack_ns, last_receipt_ns;
    uint64_t sent, acked, received, duplicates, disordered, alien;
    struct latencies ack, delivery, lateness;
    struct usage before, after;
};

#define OWNER(type, member, pointer) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static void write_u64(uint8_t *at, uint64_t value)
{
    for (int i = 7; i >= 0; i--, value >>= 8)
        at[i] = (uint8_t)value;
}

static uint64_t read_number(const uint8_t *at, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | at[i];
    return value;
}

/* --- sending */

static bool is_paced(const struct publish *run)
{
    return run->pace.rate > 0;
}

static enum gh_mqtt_client_sending send_one(struct publish *run, struct peer *peer)
{
    struct publisher *publisher = &run->publisher[peer->number];
    uint64_t number = publisher->sent;
    int64_t from_ns = is_paced(run) ? pace_due_ns(&run->pace, peer->number, number) : load_now_ns();
    struct gh_slice topic = run->load->rows[peer->number].topic;
    write_u64(run->payload, (uint64_t)run->mark << 32 | peer->number);
    write_u64(run->payload + 8, number);
    write_u64(run->payload + 16, (uint64_t)from_ns);
    memcpy(run->payload + HEADER_BYTES, run->filler + run->sent * FILLER_STEP % FILLER_BYTES,
           (size_t)run->load->options->size - HEADER_BYTES);
    enum gh_mqtt_client_sending sending =
        peer_publish(peer, topic, gh_slice(run->payload, (size_t)run->load->options->size),
                     (uint8_t)run->load->options->qos, (uint64_t)from_ns);
    if (sending == GH_MQTT_CLIENT_SENT) {
        publisher->sent++;
        run->sent++;
    }
    return sending;
}

static bool lags(const struct publish *run)
{
    return run->receives &&
           run->sent - run->received / run->copies >= (uint64_t)run->load->options->lag_max;
}

/* Whether the publisher's window is full. */
static bool waits(const struct publish *run, const struct publisher *publisher)
{
    uint64_t done = publisher->delivered / run->copies;
    if (run->subscribers.count == 0) /* the client keeps the window of what has no PUBACK */
        return false;
    if (run->load->options->qos > 0 && publisher->acked < done)
        done = publisher->acked;
    return publisher->sent - done >= (uint64_t)run->load->options->window;
}

static bool has_next(const struct publish *run, const struct peer *peer)
{
    return run->phase == RUNNING &&
           (!is_paced(run) ||
            pace_has_released(&run->pace, peer->number, run->publisher[peer->number].sent));
}

/* Sends as much as the window and the pace allow. */
static void pump(struct publish *run, struct peer *peer)
{
    while (has_next(run, peer)) {
        if (lags(run)) {
            run->paused = true;
            return;
        }
        if (waits(run, &run->publisher[peer->number]) || send_one(run, peer) != GH_MQTT_CLIENT_SENT)
            return;
    }
}

static void pump_all(struct publish *run)
{
    run->paused = false;
    for (size_t i = 0; i < run->publishers.count; i++)
        pump(run, &run->publishers.peers[i]);
}

static void on_due(struct gh_timer *timer)
{
    struct publish *run = OWNER(struct publish, due, timer);
    int64_t now_ns = gh_loop_now_ns(run->load->loop);
    if (run->phase != RUNNING)
        return;
    for (size_t number; pace_release(&run->pace, now_ns, &number);)
        pump(run, &run->publishers.peers[number]);
    gh_timer_set(run->load->loop, timer, pace_next_ns(&run->pace), on_due);
}

static void written(struct peer *peer)
{
    struct publish *run = peer->owner;
    struct publisher *publisher = &run->publisher[peer->number];
    if (!is_paced(run) || publisher->written == publisher->sent)
        return;
    for (int64_t now_ns = load_now_ns(); publisher->written < publisher->sent; publisher->written++)
        latencies_note(&run->lateness,
                       now_ns - pace_due_ns(&run->pace, peer->number, publisher->written));
}

/* --- the end */

static void on_settled(struct gh_timer *timer)
{
    struct publish *run = OWNER(struct publish, timer, timer);
    run->phase = OVER;
    if (!processes_read(&run->load->processes, &run->after))
        load_fail(run->load, "a process of the server is gone");
    for (size_t i = 0; i < run->publishers.count; i++)
        peer_leave(&run->publishers.peers[i]);
    for (size_t i = 0; i < run->subscribers.count; i++)
        peer_leave(&run->subscribers.peers[i]);
    pullers_stop(run->pullers);
    gh_loop_stop(run->load->loop);
}

static void on_check(struct gh_timer *timer);

/* Called after whatever may have been the last. */
static void check_complete(struct publish *run)
{
    if (run->phase != ENDING || run->acked < run->sent)
        return;
    if (run->receives && run->received < run->sent * run->copies)
        return;
    if (run->pullers != NULL && !pullers_settled(run->pullers)) {
        gh_timer_set(run->load->loop, &run->timer, gh_loop_now_ns(run->load->loop) + CHECK_NS,
                     on_check);
        return;
    }
    run->phase = SETTLING;
    gh_timer_cancel(run->load->loop, &run->deadline);
    gh_timer_set(run->load->loop, &run->timer,
                 gh_loop_now_ns(run->load->loop) + run->load->options->settle_ms * GH_MS_NS,
                 on_settled);
}

static void on_deadline(struct gh_timer *timer)
{
    struct publish *run = OWNER(struct publish, deadline, timer);
    load_fail(run->load,
              "not complete %d s after the last message: sent %" PRIu64 ", acknowledged %" PRIu64
              ", received %" PRIu64,
              DRAIN_MS / 1000, run->sent, run->acked, run->received);
}

static void on_check(struct gh_timer *timer)
{
    check_complete(OWNER(struct publish, timer, timer));
}

static void on_stop(struct gh_timer *timer)
{
    struct publish *run = OWNER(struct publish, timer, timer);
    run->phase = ENDING;
    run->stop_ns = load_now_ns();
    gh_timer_set(run->load->loop, &run->deadline, run->stop_ns + DRAIN_MS * GH_MS_NS, on_deadline);
    gh_timer_set(run->load->loop, &run->timer, run->stop_ns + CHECK_NS, on_check);
}

/* --- answers */

static void published(struct peer *peer, uint64_t token)
{
    struct publish *run = peer->owner;
    run->last_ack_ns = load_now_ns();
    if (run->load->options->qos > 0)
        latencies_note(&run->ack, run->last_ack_ns - (int64_t)token);
    run->acked++;
    run->publisher[peer->number].acked++;
    if (run->phase == RUNNING && run->load->options->qos > 0)
        pump(run, peer);
    check_complete(run);
}

/* False when the number was there before, or there is no memory. */
static bool see(struct seen *seen, uint64_t number)
{
    size_t at = (size_t)(number / 8);
    uint8_t bit = (uint8_t)(1u << number % 8);
    if (at >= seen->size) {
        size_t size = at * 2 + 1024;
        uint8_t *bits = realloc(seen->bits, size);
        if (bits == NULL)
            return false;
        memset(bits + seen->size, 0, size - seen->size);
        seen->bits = bits;
        seen->size = size;
    }
    if ((seen->bits[at] & bit) != 0)
        return false;
    seen->bits[at] |= bit;
    return true;
}

static void receive(struct publish *run, size_t receiver, struct gh_slice payload)
{
    run->last_receipt_ns = load_now_ns();
    uint64_t publisher =
        payload.size < HEADER_BYTES ? UINT64_MAX : read_number(payload.data + 4, 4);
    if (publisher >= run->publishers.count || read_number(payload.data, 4) != run->mark) {
        run->alien++;
        return;
    }
    uint64_t number = read_number(payload.data + 8, 8);
    struct seen *seen = &run->seen[receiver * run->publishers.count + publisher];
    if (!see(seen, number)) {
        run->duplicates++;
        return;
    }
    if (number < seen->next)
        run->disordered++;
    else
        seen->next = number + 1;
    run->received++;
    run->publisher[publisher].delivered++;
    latencies_note(&run->delivery,
                   run->last_receipt_ns - (int64_t)read_number(payload.data + 16, 8));
    if (run->paused && !lags(run))
        pump_all(run);
    else if (run->phase == RUNNING && run->subscribers.count > 0)
        pump(run, &run->publishers.peers[publisher]);
    check_complete(run);
}

static void message(struct peer *peer, const struct gh_mqtt_publish *publish)
{
    receive(peer->owner, peer->number, publish->payload);
}

static void pulled(void *context, struct gh_slice payload)
{
    receive(context, 0, payload);
}

static void gone(struct peer *peer, const char *why)
{
    struct publish *run = peer->owner;
    if (run->phase != OVER)
        load_fail(run->load, "client %.*s was closed: %s", GH_PRINT(peer->id), why);
}

/* --- the beginning: subscribers, then publishers, then pullers */

static void begin_pace(struct publish *run)
{
    run->pace = (struct pace){.start_ns = run->start_ns,
                              .rate = (uint64_t)run->load->options->rate,
                              .publishers = run->publishers.count};
    /* By default the kernel may wake a thread up to 50 microseconds late, to save power. */
    (void)prctl(PR_SET_TIMERSLACK, 1UL);
    gh_timer_set(run->load->loop, &run->due, run->start_ns, on_due);
}

static void begin(struct publish *run)
{
    const struct options *options = run->load->options;
    struct pulled taker = {.context = run, .message = pulled};
    if (options->pull != NULL) {
        run->pullers = pullers_start(run->load, (size_t)options->pullers, &taker);
        if (run->pullers == NULL)
            return;
    }
    if (!processes_read(&run->load->processes, &run->before)) {
        load_fail(run->load, "a process of the server is gone");
        return;
    }
    run->phase = RUNNING;
    run->start_ns = load_now_ns();
    gh_timer_set(run->load->loop, &run->timer, run->start_ns + options->seconds_ms * GH_MS_NS,
                 on_stop);
    if (options->rate > 0)
        begin_pace(run);
    else
        pump_all(run);
}

static void publishers_up(struct opener *opener)
{
    begin(OWNER(struct publish, publishers, opener));
}

static void subscribers_up(struct opener *opener)
{
    opener_start(&OWNER(struct publish, subscribers, opener)->publishers);
}

static void publisher_up(struct peer *peer)
{
    opener_up(&((struct publish *)peer->owner)->publishers);
}

static void subscriber_up(struct peer *peer)
{
    opener_up(&((struct publish *)peer->owner)->subscribers);
}

static const struct peer_events publisher_events = {
    .up = publisher_up, .published = published, .written = written, .gone = gone};
static const struct peer_events subscriber_events = {
    .up = subscriber_up, .message = message, .gone = gone};

static void fill(struct publish *run, struct opener *opener, size_t first_row,
                 const struct peer_events *events, void (*all_up)(struct opener *))
{
    for (size_t i = 0; i < opener->count; i++) {
        const struct client_row *row = &run->load->rows[first_row + i];
        opener->peers[i] = (struct peer){.load = run->load,
                                         .events = events,
                                         .owner = run,
                                         .id = row->id,
                                         .user = row->user,
                                         .password = row->password,
                                         .number = i};
    }
    opener->concurrency = CONCURRENCY;
    opener->all_up = all_up;
}

/* Readings as sensors write them, with random digits: a server that compresses what it stores has
 * its usual work. Each message begins elsewhere in the text. */
static uint8_t *make_filler(size_t message_bytes)
{
    static const char reading[] =
        "{\"temperature_c\":20.01,\"humidity_pct\":50.2,\"co2_ppm\":612,\"pm25_ugm3\":7.13,"
        "\"power_w\":24000,\"sequence\":4711042,\"site_time\":\"2026-11-24T05:07:33.060Z\"}";
    size_t size = FILLER_BYTES + message_bytes;
    uint8_t *filler = malloc(size);
    uint64_t random = 88172645463325252u; /* xorshift64, the same in every run */
    for (size_t i = 0; filler != NULL && i < size; i++) {
        filler[i] = (uint8_t)reading[i % (sizeof reading - 1)];
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        if (filler[i] >= '0' && filler[i] <= '9' && (random >> 32) % 2 == 0)
            filler[i] = (uint8_t)('0' + random % 10);
    }
    return filler;
}

static void *start(struct load *load)
{
    const struct options *options = load->options;
    size_t publishers = (size_t)options->publishers, subscribers = (size_t)options->subscribers;
    struct publish *run = calloc(1, sizeof *run);
    if (options->size < HEADER_BYTES || publishers == 0 ||
        publishers + subscribers > load->rows_count ||
        (subscribers > 0 && subscribers != publishers && options->filter == NULL)) {
        load_fail(
            load,
            "a message has at least %d bytes; each client needs its line in the clients' file; "
            "fewer subscribers than publishers need --filter",
            HEADER_BYTES);
        free(run);
        return NULL;
    }
    run->load = load;
    gh_random(&run->mark, sizeof run->mark);
    run->receives = subscribers > 0 || options->pull != NULL;
    run->receivers = subscribers > 0 ? subscribers : 1;
    run->copies = options->fan_out != 0 && subscribers > 0 ? subscribers : 1;
    run->publishers.count = publishers;
    run->subscribers.count = subscribers;
    run->publishers.peers = calloc(publishers, sizeof(struct peer));
    run->subscribers.peers = calloc(subscribers + 1, sizeof(struct peer));
    run->publisher = calloc(publishers, sizeof *run->publisher);
    run->seen = calloc(run->receivers * publishers, sizeof *run->seen);
    run->payload = calloc(1, (size_t)options->size);
    run->filler = make_filler((size_t)options->size);
    fill(run, &run->publishers, 0, &publisher_events, publishers_up);
    fill(run, &run->subscribers, publishers, &subscriber_events, subscribers_up);
    for (size_t i = 0; i < subscribers; i++) {
        run->subscribers.peers[i].filter =
            options->filter != NULL ? gh_slice_text(options->filter) : load->rows[i].topic;
    }
    opener_start(subscribers > 0 ? &run->subscribers : &run->publishers);
    return run;
}

static void report(void *state, struct gh_buffer *out)
{
    struct publish *run = state;
    const struct options *options = run->load->options;
    double ack_s = (double)(run->last_ack_ns - run->start_ns) / 1e9;
    double receipt_s = (double)(run->last_receipt_ns - run->start_ns) / 1e9;
    double cpu_s = run->after.cpu_s - run->before.cpu_s;
    gh_buffer_print(
        out,
        ",\"publishers\":%ld,\"subscribers\":%ld,\"pullers\":%ld,\"window\":%ld,\"bytes\":%ld,"
        "\"qos\":%ld,\"rate\":%ld,\"seconds\":%.3f,\"sent\":%" PRIu64 ",\"acked\":%" PRIu64
        ",\"received\":%" PRIu64 ",\"duplicates\":%" PRIu64 ",\"disordered\":%" PRIu64
        ",\"alien\":%" PRIu64 ",\"overdue\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"acked_per_s\":%.0f",
        options->publishers, options->subscribers, run->pullers != NULL ? options->pullers : 0,
        options->window, options->size, options->qos, options->rate, ack_s, run->sent, run->acked,
        run->received, run->duplicates, run->disordered, run->alien,
        run->pace.released - (is_paced(run) ? run->sent : 0),
        run->receives ? run->sent * run->copies - run->received : run->sent - run->acked,
        (double)run->acked / ack_s);
    if (run->receives)
        gh_buffer_print(out, ",\"received_per_s\":%.0f", (double)run->received / receipt_s);
    gh_buffer_print(out, ",\"server_cpu_s\":%.2f,\"server_cpu_s_per_million\":%.2f", cpu_s,
                    cpu_s * 1e6 / (double)(run->sent > 0 ? run->sent : 1));
    if (run->received > 0)
        gh_buffer_print(out, ",\"server_cpu_us_per_delivery\":%.3f",
                        cpu_s * 1e6 / (double)run->received);
    latencies_print(&run->ack, "puback", out);
    latencies_print(&run->delivery, "delivery", out);
    latencies_print(&run->lateness, "lateness", out);
    usage_print_memory(&run->after, "memory", out);
    gh_buffer_print(out, "}");
    for (size_t i = 0; i < run->receivers * run->publishers.count; i++)
        free(run->seen[i].bits);
    free(run->seen);
    pullers_close(run->pullers);
    free(run->publisher);
    free(run->publishers.peers);
    free(run->subscribers.peers);
    free(run->payload);
    free(run->filler);
    free(run);
}

#define PUBLISHES .start = start, .report = report
const struct mode publish_mode = {
    .name = "publish", .help = "a shape of your own, by the options of messages", PUBLISHES};
const struct mode pairs_mode = {.name = "pairs",
                                .help = "50 publishers, each to a subscriber of its own",
                                .shape = {50, 50, 20, 0, NULL, 0},
                                PUBLISHES};
const struct mode fan_in_mode = {.name = "fan-in",
                                 .help = "200 publishers to one subscriber",
                                 .shape = {200, 1, 20, 0, "load/#", 0},
                                 PUBLISHES};
const struct mode fan_out_mode = {.name = "fan-out",
                                  .help = "one publisher, 200 subscribers to each message",
                                  .shape = {1, 200, 20, 1, "load/#", 0},
                                  PUBLISHES};
const struct mode fleet_mode = {
    .name = "fleet",
    .help = "1,000 publishers with one message under way each, to one subscriber",
    .shape = {1000, 1, 1, 0, "load/#", 0},
    PUBLISHES};
const struct mode latency_mode = {.name = "latency",
                                  .help = "pairs at an exact rate: how long a message takes",
                                  .shape = {50, 50, 500, 0, NULL, 20000},
                                  PUBLISHES};
