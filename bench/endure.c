#include "base/time.h"
#include "bench/load.h"
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* endure: a fleet of Google's dialect that outlives its server. Of the clients' file the first
 * `gateways` rows are gateways, the next `behind` rows for each are the devices bound to it, the
 * others connect themselves. Each publishes its numbers 0, 1, 2 … one after the other: the next
 * only when the last has its PUBACK, the same again after a reconnect. Each takes commands. Whoever
 * is closed dials again, for as long as the run lasts.
 *
 * Standard input steers: "rate N" (messages a second of all together; 0: the next as soon as the
 * last is acknowledged), "stop" (or its end): no new numbers, wait for what is unacknowledged,
 * leave, report. Each second standard output has a line on how it stands; the report has the count
 * of acknowledged messages of each row. A message is "ROW:NUMBER:MOMENT", the moment in ns of
 * CLOCK_MONOTONIC. */

enum {
    TICK_MS = 10,
    STATUS_TICKS = 1000 / TICK_MS,
    LINE_MAX = 64,
    TOPIC_MAX = 512,
    REDIAL_MS = 100, /* after a dial that failed: the server may be starting */
};
enum { WHAT_EVENT, WHAT_ATTACH, WHATS };

#define OWNER(type, member, pointer) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* A device, whoever carries its messages. */
struct unit {
    uint64_t acknowledged; /* and the number of the next message */
    bool ready;            /* may publish, and takes commands */
    bool in_flight;        /* sent, or waits for a connection to be sent on */
};

/* A connection and the devices that speak on it: `first` and, of a gateway, those behind it. */
struct carrier {
    struct peer peer;
    struct fleet *fleet;
    struct gh_timer redial;
    size_t first, behind, behind_from, attached;
};

struct fleet {
    struct load *load;
    struct unit *units;
    struct carrier *carriers;
    size_t units_count, carriers_count, next_dial, dialling, turn;
    size_t up, ready, in_flight;
    uint64_t acknowledged, sent, commands, closes;
    long rate, ticks;
    double due; /* messages that the rate allows and that are not sent */
    bool stopping;
    struct gh_timer tick;
    pthread_t steering;
};

/* --- names */

static size_t carrier_of(const struct fleet *fleet, size_t row)
{
    size_t gateways = (size_t)fleet->load->options->gateways;
    size_t behind = (size_t)fleet->load->options->behind;
    if (row < gateways)
        return row;
    return row < gateways * (1 + behind) ? (row - gateways) / behind : row - gateways * behind;
}

/* "/devices/ID/events" of the file, with `end` instead of "events". */
static struct gh_slice topic_of(const struct fleet *fleet, size_t row, const char *end,
                                struct gh_buffer *out)
{
    struct gh_slice events = fleet->load->rows[row].topic;
    size_t from = out->size;
    gh_buffer_put(out, gh_slice(events.data, events.size - strlen("events")));
    gh_buffer_print(out, "%s", end);
    return gh_slice(out->data + from, out->size - from);
}

/* --- messages */

static void send_event(struct fleet *fleet, size_t row)
{
    struct unit *unit = &fleet->units[row];
    struct peer *peer = &fleet->carriers[carrier_of(fleet, row)].peer;
    char text[LINE_MAX];
    int size = snprintf(text, sizeof text, "%zu:%" PRIu64 ":%" PRId64, row, unit->acknowledged,
                        load_now_ns());
    fleet->in_flight += !unit->in_flight;
    unit->in_flight = true;
    if (peer_publish(peer, fleet->load->rows[row].topic, gh_slice(text, (size_t)size), 1,
                     row * WHATS + WHAT_EVENT) == GH_MQTT_CLIENT_SENT)
        fleet->sent++;
    /* Otherwise the connection is going, and its successor sends it. */
}

/* What the rate allows by now goes to the devices in turn; those that are busy are passed over. */
static void produce(struct fleet *fleet)
{
    if (fleet->stopping || fleet->rate == 0)
        return;
    fleet->due += (double)fleet->rate * TICK_MS / 1000;
    for (size_t i = 0; i < fleet->units_count && fleet->due >= 1; i++) {
        size_t row = fleet->turn++ % fleet->units_count;
        if (!fleet->units[row].ready || fleet->units[row].in_flight)
            continue;
        send_event(fleet, row);
        fleet->due -= 1;
    }
    if (fleet->due > (double)fleet->rate) /* an outage is not made up for */
        fleet->due = (double)fleet->rate;
}

static void come_ready(struct fleet *fleet, size_t row)
{
    struct unit *unit = &fleet->units[row];
    unit->ready = true;
    fleet->ready++;
    if (unit->in_flight || (fleet->rate == 0 && !fleet->stopping))
        send_event(fleet, row);
}

/* --- the end */

static void leave_if_done(struct fleet *fleet)
{
    if (!fleet->stopping || fleet->in_flight > 0 || fleet->load->failed)
        return;
    gh_timer_cancel(fleet->load->loop, &fleet->tick);
    for (size_t i = 0; i < fleet->carriers_count; i++) {
        gh_timer_cancel(fleet->load->loop, &fleet->carriers[i].redial);
        peer_leave(&fleet->carriers[i].peer);
    }
    gh_loop_stop(fleet->load->loop);
}

/* --- connections */

static void dial(struct carrier *carrier);

static void on_redial(struct gh_timer *timer)
{
    dial(OWNER(struct carrier, redial, timer));
}

static void dial_later(struct carrier *carrier)
{
    if (!carrier->peer.said_goodbye)
        gh_timer_set(carrier->fleet->load->loop, &carrier->redial,
                     load_now_ns() + REDIAL_MS * GH_MS_NS, on_redial);
}

static void dial(struct carrier *carrier)
{
    struct fleet *fleet = carrier->fleet;
    struct gh_error error;
    if (fleet->dialling >= (size_t)fleet->load->options->concurrency ||
        !peer_try(&carrier->peer, &error)) {
        dial_later(carrier);
        return;
    }
    fleet->dialling++;
}

static void dial_first(struct fleet *fleet)
{
    while (fleet->next_dial < fleet->carriers_count &&
           fleet->dialling < (size_t)fleet->load->options->concurrency)
        dial(&fleet->carriers[fleet->next_dial++]);
}

/* Commands of all that the carrier speaks for, in one SUBSCRIBE. */
static void subscribe(struct carrier *carrier)
{
    struct fleet *fleet = carrier->fleet;
    struct gh_mqtt_filter *filters = calloc(1 + carrier->behind, sizeof *filters);
    struct gh_buffer text;
    gh_buffer_init(&text, (1 + carrier->behind) * TOPIC_MAX);
    bool good = filters != NULL && gh_buffer_reserve(&text, (1 + carrier->behind) * TOPIC_MAX);
    for (size_t i = 0; good && i <= carrier->behind; i++) {
        size_t row = i == 0 ? carrier->first : carrier->behind_from + i - 1;
        filters[i] =
            (struct gh_mqtt_filter){.filter = topic_of(fleet, row, "commands/#", &text), .qos = 1};
    }
    if (!good || !peer_subscribe(&carrier->peer, filters, 1 + carrier->behind))
        gh_conn_abort(carrier->peer.conn, "no room for SUBSCRIBE");
    gh_buffer_deinit(&text);
    free(filters);
}

static void attach(struct carrier *carrier)
{
    struct fleet *fleet = carrier->fleet;
    uint8_t text[TOPIC_MAX];
    for (size_t row = carrier->behind_from; row < carrier->behind_from + carrier->behind; row++) {
        struct gh_buffer topic = gh_buffer_fixed(text, sizeof text);
        if (peer_publish(&carrier->peer, topic_of(fleet, row, "attach", &topic), GH_SLICE("{}"), 1,
                         row * WHATS + WHAT_ATTACH) != GH_MQTT_CLIENT_SENT)
            return;
    }
}

static void up(struct peer *peer)
{
    struct carrier *carrier = OWNER(struct carrier, peer, peer);
    struct fleet *fleet = carrier->fleet;
    fleet->dialling--;
    fleet->up++;
    carrier->attached = 0;
    if (carrier->behind > 0)
        attach(carrier);
    else
        subscribe(carrier);
    dial_first(fleet);
}

static void subscribed(struct peer *peer, struct gh_slice codes)
{
    struct carrier *carrier = OWNER(struct carrier, peer, peer);
    for (size_t i = 0; i < codes.size; i++)
        if (codes.data[i] > 1) {
            load_fail(carrier->fleet->load, "%.*s may not subscribe to commands",
                      GH_PRINT(peer->id));
            return;
        }
    come_ready(carrier->fleet, carrier->first);
    for (size_t i = 0; i < carrier->behind; i++)
        come_ready(carrier->fleet, carrier->behind_from + i);
}

static void published(struct peer *peer, uint64_t token)
{
    struct carrier *carrier = OWNER(struct carrier, peer, peer);
    struct fleet *fleet = carrier->fleet;
    size_t row = (size_t)(token / WHATS);
    struct unit *unit = &fleet->units[row];
    if (token % WHATS == WHAT_ATTACH) {
        if (++carrier->attached == carrier->behind)
            subscribe(carrier);
        return;
    }
    unit->acknowledged++;
    unit->in_flight = false;
    fleet->in_flight--;
    fleet->acknowledged++;
    if (fleet->rate == 0 && !fleet->stopping)
        send_event(fleet, row);
    leave_if_done(fleet);
}

static void message(struct peer *peer, const struct gh_mqtt_publish *publish)
{
    struct carrier *carrier = OWNER(struct carrier, peer, peer);
    (void)publish;
    carrier->fleet->commands++;
}

static void not_ready(struct fleet *fleet, size_t row)
{
    fleet->ready -= fleet->units[row].ready;
    fleet->units[row].ready = false;
}

static void gone(struct peer *peer, const char *why)
{
    struct carrier *carrier = OWNER(struct carrier, peer, peer);
    struct fleet *fleet = carrier->fleet;
    (void)why;
    if (peer->was_up)
        fleet->up--;
    else
        fleet->dialling--;
    fleet->closes++;
    not_ready(fleet, carrier->first);
    for (size_t i = 0; i < carrier->behind; i++)
        not_ready(fleet, carrier->behind_from + i);
    dial_later(carrier);
}

static const struct peer_events events = {
    .up = up, .subscribed = subscribed, .published = published, .message = message, .gone = gone};

/* --- time and steering */

static void print_status(const struct fleet *fleet, struct gh_buffer *out)
{
    gh_buffer_print(out,
                    "\"connections\":%zu,\"up\":%zu,\"devices\":%zu,\"ready\":%zu,\"sent\":%" PRIu64
                    ",\"acknowledged\":%" PRIu64 ",\"in_flight\":%zu,\"commands\":%" PRIu64
                    ",\"closes\":%" PRIu64,
                    fleet->carriers_count, fleet->up, fleet->units_count, fleet->ready, fleet->sent,
                    fleet->acknowledged, fleet->in_flight, fleet->commands, fleet->closes);
}

static void on_tick(struct gh_timer *timer)
{
    struct fleet *fleet = OWNER(struct fleet, tick, timer);
    dial_first(fleet);
    produce(fleet);
    if (++fleet->ticks % STATUS_TICKS == 0) {
        uint8_t text[512];
        struct gh_buffer out = gh_buffer_fixed(text, sizeof text);
        print_status(fleet, &out);
        printf("{%.*s}\n", GH_PRINT(gh_buffer_slice(&out)));
        fflush(stdout);
    }
    gh_timer_set(fleet->load->loop, &fleet->tick, load_now_ns() + TICK_MS * GH_MS_NS, on_tick);
}

struct order {
    struct gh_letter letter;
    struct fleet *fleet;
    bool stop;
    long rate;
};

static void obey(struct gh_letter *letter)
{
    struct order *order = OWNER(struct order, letter, letter);
    struct fleet *fleet = order->fleet;
    if (order->stop)
        fleet->stopping = true;
    else
        fleet->rate = order->rate;
    for (size_t row = 0; fleet->rate == 0 && !fleet->stopping && row < fleet->units_count; row++)
        if (fleet->units[row].ready && !fleet->units[row].in_flight)
            send_event(fleet, row);
    leave_if_done(fleet);
    free(order);
}

/* The thread that reads standard input. */
static void *steer(void *context)
{
    struct fleet *fleet = context;
    char line[LINE_MAX];
    for (bool more = true; more;) {
        struct order *order = calloc(1, sizeof *order);
        if (order == NULL)
            abort();
        order->letter.open = obey;
        order->fleet = fleet;
        more = fgets(line, sizeof line, stdin) != NULL && strncmp(line, "stop", 4) != 0;
        order->stop = !more;
        if (more && sscanf(line, "rate %ld", &order->rate) != 1) {
            free(order);
            continue;
        }
        gh_loop_send(fleet->load->loop, &order->letter);
    }
    return NULL;
}

/* --- the mode */

static void make_carriers(struct fleet *fleet)
{
    const struct options *options = fleet->load->options;
    size_t gateways = (size_t)options->gateways, behind = (size_t)options->behind;
    for (size_t i = 0; i < fleet->carriers_count; i++) {
        struct carrier *carrier = &fleet->carriers[i];
        bool gateway = i < gateways;
        *carrier = (struct carrier){.fleet = fleet,
                                    .first = gateway ? i : i + gateways * behind,
                                    .behind = gateway ? behind : 0,
                                    .behind_from = gateways + i * behind};
        carrier->peer = (struct peer){.load = fleet->load, .events = &events, .number = i};
        load_name_peer(fleet->load, &carrier->peer, carrier->first);
    }
}

static void *start(struct load *load)
{
    const struct options *options = load->options;
    size_t behind = (size_t)(options->gateways * options->behind);
    struct fleet *fleet = calloc(1, sizeof *fleet);
    if (load->rows_count < behind + (size_t)options->gateways || load->rows_count == 0 ||
        options->concurrency <= 0 || options->window <= 2 * options->behind + 1) {
        load_fail(load, "endure needs --clients with a row for each gateway and each device behind "
                        "one, and a --window for two messages of each of these");
        free(fleet);
        return NULL;
    }
    fleet->load = load;
    fleet->rate = options->rate;
    fleet->units_count = load->rows_count;
    fleet->carriers_count = load->rows_count - behind;
    fleet->units = calloc(fleet->units_count, sizeof *fleet->units);
    fleet->carriers = calloc(fleet->carriers_count, sizeof *fleet->carriers);
    make_carriers(fleet);
    if (pthread_create(&fleet->steering, NULL, steer, fleet) != 0) {
        load_fail(load, "no thread for standard input");
        return NULL;
    }
    on_tick(&fleet->tick);
    return fleet;
}

static void report(void *state, struct gh_buffer *out)
{
    struct fleet *fleet = state;
    pthread_join(fleet->steering, NULL);
    gh_buffer_print(out, ",");
    print_status(fleet, out);
    gh_buffer_print(out, ",\"acknowledged_of\":[");
    for (size_t row = 0; row < fleet->units_count; row++)
        gh_buffer_print(out, "%s%" PRIu64, row == 0 ? "" : ",", fleet->units[row].acknowledged);
    gh_buffer_print(out, "]}");
    free(fleet->units);
    free(fleet->carriers);
    free(fleet);
}

const struct mode endure_mode = {
    .name = "endure",
    .help = "a fleet of Google's dialect that outlives its server; standard input steers",
    .start = start,
    .report = report};
