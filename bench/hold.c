#include "base/time.h"
#include "bench/load.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* hold: `count` connections, each with the next line of the clients' file. When all are up it says
 * "held" on standard output and waits until the server has closed every one of them; the report has
 * the moments of closing, in ns of CLOCK_MONOTONIC, so that whoever made the server do it knows
 * when that was. */

struct holding {
    struct load *load;
    struct peer *peers;
    struct opener opener;
    int64_t *closed_ns; /* in the order of closing */
    size_t closed, count;
    bool held;
};

static void all_up(struct opener *opener)
{
    struct holding *run = (void *)((char *)opener - offsetof(struct holding, opener));
    run->held = true;
    fputs("held\n", stdout);
    fflush(stdout);
}

static void up(struct peer *peer)
{
    struct holding *run = peer->owner;
    opener_up(&run->opener);
}

static void gone(struct peer *peer, const char *why)
{
    struct holding *run = peer->owner;
    if (!run->held) {
        load_fail(run->load, "client %.*s was closed: %s", GH_PRINT(peer->id), why);
        return;
    }
    run->closed_ns[run->closed++] = load_now_ns();
    if (run->closed == run->count)
        gh_loop_stop(run->load->loop);
}

static const struct peer_events events = {.up = up, .gone = gone};

static void *start(struct load *load)
{
    const struct options *options = load->options;
    struct holding *run = calloc(1, sizeof *run);
    size_t count = (size_t)options->count;
    if (options->count <= 0 || options->concurrency <= 0 || load->rows_count < count) {
        load_fail(load, "--count, --concurrency and as many clients are needed");
        free(run);
        return NULL;
    }
    run->load = load;
    run->count = count;
    run->peers = calloc(count, sizeof *run->peers);
    run->closed_ns = calloc(count, sizeof *run->closed_ns);
    for (size_t i = 0; i < count; i++) {
        run->peers[i] = (struct peer){.load = load, .events = &events, .owner = run, .number = i};
        load_name_peer(load, &run->peers[i], i);
    }
    size_t at_once = (size_t)options->concurrency < count ? (size_t)options->concurrency : count;
    run->opener = (struct opener){
        .peers = run->peers, .count = count, .concurrency = at_once, .all_up = all_up};
    opener_start(&run->opener);
    return run;
}

static void report(void *state, struct gh_buffer *out)
{
    struct holding *run = state;
    size_t count = run->closed;
    gh_buffer_print(out, ",\"held\":%zu,\"closed\":%zu", run->count, count);
    if (count > 0) /* texts: a number of JSON's readers has 53 bits */
        gh_buffer_print(out,
                        ",\"closed_ns\":{\"first\":\"%" PRId64 "\",\"p50\":\"%" PRId64
                        "\",\"p99\":\"%" PRId64 "\",\"max\":\"%" PRId64 "\"}",
                        run->closed_ns[0], run->closed_ns[count / 2],
                        run->closed_ns[count - 1 - count / 100], run->closed_ns[count - 1]);
    gh_buffer_print(out, "}");
    free(run->closed_ns);
    free(run->peers);
    free(run);
}

const struct mode hold_mode = {
    .name = "hold",
    .help = "connections that stay until the broker closes them, and when it did",
    .start = start,
    .report = report};
