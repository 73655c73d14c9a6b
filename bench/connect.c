#include "base/time.h"
#include "bench/load.h"
#include <inttypes.h>
#include <stdlib.h>

/* connect: TCP, TLS handshake, CONNECT, CONNACK, DISCONNECT, close, `count` times, `concurrency` at
 * a time, each with the next line of the clients' file, or with tickets the same few again and
 * again. idle: `count` connections that are held while the server's memory is read, then closed,
 * and the memory is read again. power-cut: idle ones that are all cut off at once, without a word,
 * and come back, RETURN_AT_ONCE at a time, until each has been let in; the figures are of the
 * coming back. All read CPU time before and settle_ms after. Latencies: from dialling to CONNACK.
 */

#define OWNER(type, member, pointer) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

enum { RETURN_AT_ONCE = 1000 };

/* Of a fleet's power cut. */
enum stage { STAGE_NONE, STAGE_BEFORE, STAGE_CUT, STAGE_BACK };

struct connecting {
    struct load *load;
    struct peer *peers;
    size_t slots, dialled, done, connected, refused, closed, retries;
    bool hold; /* idle */
    enum stage stage;
    struct gh_timer timer;
    int64_t start_ns, end_ns;
    struct latencies connack;
    struct usage before, held, cut, back, after;
};

static void read_usage(struct connecting *run, struct usage *usage)
{
    if (!processes_read(&run->load->processes, usage))
        load_fail(run->load, "a process of the server is gone");
}

static void settle(struct connecting *run, void (*then)(struct gh_timer *))
{
    gh_timer_set(run->load->loop, &run->timer,
                 load_now_ns() + run->load->options->settle_ms * GH_MS_NS, then);
}

static void dial_next(struct connecting *run, struct peer *peer)
{
    if (run->dialled == (size_t)run->load->options->count || run->load->failed)
        return;
    size_t row = run->dialled++;
    if (!run->hold && run->load->options->resume != 0)
        row = (size_t)(peer - run->peers); /* only who comes again has a ticket to show */
    load_name_peer(run->load, peer, row);
    (void)!peer_dial(peer);
}

static void on_settled(struct gh_timer *timer)
{
    struct connecting *run = OWNER(struct connecting, timer, timer);
    read_usage(run, &run->after);
    gh_loop_stop(run->load->loop);
}

/* All that were cut off are gone. */
static void come_back(struct gh_timer *timer)
{
    struct connecting *run = OWNER(struct connecting, timer, timer);
    read_usage(run, &run->cut);
    run->stage = STAGE_BACK;
    run->dialled = run->done = run->connected = run->closed = 0;
    run->connack = (struct latencies){.count = 0};
    run->start_ns = load_now_ns();
    for (size_t i = 0; i < RETURN_AT_ONCE && i < run->slots; i++)
        dial_next(run, &run->peers[i]);
}

static void cut_off(struct connecting *run)
{
    run->stage = STAGE_CUT;
    for (size_t i = 0; i < run->slots; i++)
        gh_conn_abort(run->peers[i].conn, "the power was cut");
}

static void on_held(struct gh_timer *timer)
{
    struct connecting *run = OWNER(struct connecting, timer, timer);
    if (run->stage == STAGE_BEFORE) {
        read_usage(run, &run->held);
        cut_off(run);
        return;
    }
    read_usage(run, run->stage == STAGE_BACK ? &run->back : &run->held);
    for (size_t i = 0; i < run->slots; i++)
        peer_leave(&run->peers[i]);
}

/* One more has its CONNACK or was refused. */
static void count_done(struct connecting *run)
{
    run->end_ns = load_now_ns();
    run->done++;
    if (run->hold && run->done == (size_t)run->load->options->count)
        settle(run, on_held);
}

static void up(struct peer *peer)
{
    struct connecting *run = peer->owner;
    run->connected++;
    latencies_note(&run->connack, load_now_ns() - peer->dialled_ns);
    count_done(run);
    if (!run->hold)
        peer_leave(peer);
    else if (run->dialled < run->slots)
        dial_next(run, &run->peers[run->dialled]);
}

/* False when it has nothing to do with a power cut: then it is for `gone`. */
static bool gone_in_cut(struct connecting *run, struct peer *peer)
{
    if (run->stage == STAGE_CUT) {
        if (++run->closed == run->slots)
            settle(run, come_back);
        return true;
    }
    if (run->stage != STAGE_BACK || peer->said_goodbye)
        return false;
    run->retries++; /* a device that is refused in the rush tries again */
    (void)!peer_dial(peer);
    return true;
}

static void gone(struct peer *peer, const char *why)
{
    struct connecting *run = peer->owner;
    if (gone_in_cut(run, peer))
        return;
    size_t count = (size_t)run->load->options->count;
    run->closed++;
    if (!peer->said_goodbye) {
        run->refused++;
        if (run->hold)
            load_fail(run->load, "client %.*s was closed: %s", GH_PRINT(peer->id), why);
        else
            count_done(run);
    }
    if (!run->hold)
        dial_next(run, peer);
    if (run->closed == count)
        settle(run, on_settled);
}

static const struct peer_events events = {.up = up, .gone = gone};

static struct connecting *begin(struct load *load, bool hold)
{
    const struct options *options = load->options;
    struct connecting *run = calloc(1, sizeof *run);
    if (options->count <= 0 || options->concurrency <= 0 || load->rows_count == 0) {
        load_fail(load, "--count, --concurrency and --clients are needed");
        free(run);
        return NULL;
    }
    size_t at_once =
        (size_t)(options->concurrency < options->count ? options->concurrency : options->count);
    run->load = load;
    run->hold = hold;
    run->slots = hold ? (size_t)options->count : at_once;
    run->peers = calloc(run->slots, sizeof *run->peers);
    for (size_t i = 0; i < run->slots; i++)
        run->peers[i] = (struct peer){.load = load, .events = &events, .owner = run, .number = i};
    read_usage(run, &run->before);
    run->start_ns = load_now_ns();
    for (size_t i = 0; i < at_once; i++)
        dial_next(run, &run->peers[i]);
    return run;
}

static void *start_connect(struct load *load)
{
    return begin(load, false);
}

static void *start_idle(struct load *load)
{
    return begin(load, true);
}

static void *start_power_cut(struct load *load)
{
    struct connecting *run = begin(load, true);
    if (run != NULL)
        run->stage = STAGE_BEFORE;
    return run;
}

static void print_common(const struct connecting *run, struct gh_buffer *out)
{
    double seconds = (double)(run->end_ns - run->start_ns) / 1e9;
    double cpu_s = run->after.cpu_s - run->before.cpu_s;
    gh_buffer_print(
        out,
        ",\"count\":%ld,\"concurrency\":%ld,\"connected\":%zu,\"refused\":%zu,\"seconds\":%.3f,"
        "\"connects_per_s\":%.0f,\"server_cpu_s\":%.2f,\"connects_per_server_cpu_s\":%.0f",
        run->load->options->count, run->load->options->concurrency, run->connected, run->refused,
        seconds, (double)run->connected / seconds, cpu_s,
        cpu_s > 0 ? (double)run->connected / cpu_s : 0.0);
    latencies_print(&run->connack, "connack", out);
    usage_print_memory(&run->before, "memory_before", out);
}

static void report_connect(void *state, struct gh_buffer *out)
{
    struct connecting *run = state;
    print_common(run, out);
    usage_print_memory(&run->after, "memory_after", out);
    gh_buffer_print(out, "}");
    free(run->peers);
    free(run);
}

static void report_idle(void *state, struct gh_buffer *out)
{
    struct connecting *run = state;
    double count = (double)(run->connected > 0 ? run->connected : 1);
    print_common(run, out);
    usage_print_memory(&run->held, "memory_held", out);
    usage_print_memory(&run->after, "memory_after", out);
    gh_buffer_print(out,
                    ",\"rss_bytes_per_connection\":%.0f,\"private_bytes_per_connection\":%.0f}",
                    ((double)run->held.rss_bytes - (double)run->before.rss_bytes) / count,
                    ((double)run->held.private_bytes - (double)run->before.private_bytes) / count);
    free(run->peers);
    free(run);
}

static void report_power_cut(void *state, struct gh_buffer *out)
{
    struct connecting *run = state;
    print_common(run, out);
    usage_print_memory(&run->back, "memory_held", out);
    usage_print_memory(&run->after, "memory_after", out);
    gh_buffer_print(out, ",\"back\":{\"seconds\":%.3f,\"server_cpu_s\":%.2f,\"retries\":%zu}}",
                    (double)(run->end_ns - run->start_ns) / 1e9, run->back.cpu_s - run->cut.cpu_s,
                    run->retries);
    free(run->peers);
    free(run);
}

const struct mode connect_mode = {.name = "connect",
                                  .help =
                                      "sign-ins, as fast as --concurrency gives: a storm of them",
                                  .start = start_connect,
                                  .report = report_connect};
const struct mode idle_mode = {.name = "idle",
                               .help = "connections that say nothing: what one costs in memory",
                               .start = start_idle,
                               .report = report_idle};
const struct mode power_cut_mode = {.name = "power-cut",
                                    .help = "all connections are cut at once and come back",
                                    .start = start_power_cut,
                                    .report = report_power_cut};
