#include "base/time.h"
#include "bench/load.h"
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a PUBACK is worth. store: a subscriber leaves a stored session, publishers fill its queue
 * with `count` messages at QoS 1, and with --kill the broker's processes are killed the moment the
 * last PUBACK is there. collect: the subscriber comes back and takes what the broker still has; a
 * message is its number, so what was acknowledged and never comes is lost. disk: what writing 4 KiB
 * and fdatasync take, on the disk of --folder. */

#define OWNER(type, member, pointer) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

enum {
    NUMBER_BYTES = 8,
    QUIET_NS_LOOK = 100 * 1000 * 1000,
    MISSING_FACTOR = 10, /* so much longer is waited while messages are missing */
    DISK_BYTES = 4096,
    DISK_FILE_BYTES = 16 << 20,
};

struct storing {
    struct load *load;
    struct peer subscriber;
    struct opener publishers;
    struct gh_timer timer;
    uint8_t *payload, *seen;
    uint64_t sent, acked, received, duplicates;
    int64_t start_ns, end_ns;
    struct usage before, after;
    bool over;
};

static size_t count_of(const struct storing *run)
{
    return (size_t)run->load->options->count;
}

static void finish(struct storing *run)
{
    run->over = true;
    gh_loop_stop(run->load->loop);
}

static void gone(struct peer *peer, const char *why)
{
    struct storing *run = peer->owner;
    if (!run->over)
        load_fail(run->load, "client %.*s was closed: %s", GH_PRINT(peer->id), why);
}

/* --- store */

static void pump(struct storing *run, struct peer *peer)
{
    const struct load *load = run->load;
    struct gh_slice payload = gh_slice(run->payload, (size_t)load->options->size);
    while (run->sent < count_of(run)) {
        memcpy(run->payload, &run->sent, NUMBER_BYTES);
        if (peer_publish(peer, load->rows[peer->number].topic, payload, 1, run->sent) !=
            GH_MQTT_CLIENT_SENT)
            return;
        run->sent++;
    }
}

static void end_storing(struct storing *run)
{
    const struct processes *processes = &run->load->processes;
    run->end_ns = load_now_ns();
    if (!processes_read(processes, &run->after))
        load_fail(run->load, "a process of the server is gone");
    for (size_t i = 0; run->load->options->kill != 0 && i < processes->count; i++)
        kill(processes->pid[i], SIGKILL);
    finish(run);
}

static void published(struct peer *peer, uint64_t number)
{
    struct storing *run = peer->owner;
    (void)number;
    if (++run->acked == count_of(run))
        end_storing(run);
    else
        pump(run, peer);
}

static void publisher_up(struct peer *peer)
{
    opener_up(&((struct storing *)peer->owner)->publishers);
}

static void publishers_up(struct opener *opener)
{
    struct storing *run = OWNER(struct storing, publishers, opener);
    if (!processes_read(&run->load->processes, &run->before)) {
        load_fail(run->load, "a process of the server is gone");
        return;
    }
    run->start_ns = load_now_ns();
    for (size_t i = 0; i < opener->count; i++)
        pump(run, &opener->peers[i]);
}

static void subscribed(struct peer *peer)
{
    peer_leave(peer);
}

static void subscriber_gone(struct peer *peer, const char *why)
{
    if (peer->said_goodbye)
        opener_start(&((struct storing *)peer->owner)->publishers);
    else
        gone(peer, why);
}

static const struct peer_events publisher_events = {
    .up = publisher_up, .published = published, .gone = gone};
static const struct peer_events leaving_events = {.up = subscribed, .gone = subscriber_gone};

/* The subscriber is the client behind the publishers. */
static struct storing *begin(struct load *load, const struct peer_events *events)
{
    const struct options *options = load->options;
    size_t publishers = (size_t)options->publishers;
    struct storing *run = calloc(1, sizeof *run);
    if (run == NULL || options->count <= 0 || options->size < NUMBER_BYTES ||
        load->rows_count <= publishers) {
        load_fail(load, "--count is needed, and a client more than publishers");
        free(run);
        return NULL;
    }
    run->load = load;
    run->payload = calloc(1, (size_t)options->size);
    run->seen = calloc(count_of(run), 1);
    run->publishers = (struct opener){.peers = calloc(publishers, sizeof(struct peer)),
                                      .count = publishers,
                                      .concurrency = publishers,
                                      .all_up = publishers_up};
    run->subscriber = (struct peer){.load = load, .events = events, .owner = run};
    load_name_peer(load, &run->subscriber, publishers);
    for (size_t i = 0; i < publishers; i++) {
        struct peer *peer = &run->publishers.peers[i];
        *peer = (struct peer){.load = load, .events = &publisher_events, .owner = run, .number = i};
        load_name_peer(load, peer, i);
    }
    return run;
}

static void *start_store(struct load *load)
{
    struct storing *run = begin(load, &leaving_events);
    if (run == NULL)
        return NULL;
    run->subscriber.filter = gh_slice_text(load->options->filter);
    (void)!peer_dial(&run->subscriber);
    return run;
}

static void free_run(struct storing *run)
{
    free(run->publishers.peers);
    free(run->payload);
    free(run->seen);
    free(run);
}

static void report_store(void *state, struct gh_buffer *out)
{
    struct storing *run = state;
    double seconds = (double)(run->end_ns - run->start_ns) / 1e9;
    double cpu_s = run->after.cpu_s - run->before.cpu_s;
    gh_buffer_print(out,
                    ",\"count\":%ld,\"acked\":%" PRIu64 ",\"seconds\":%.3f,\"acked_per_s\":%.0f,"
                    "\"server_cpu_us_per_message\":%.3f",
                    run->load->options->count, run->acked, seconds, (double)run->acked / seconds,
                    cpu_s * 1e6 / (double)(run->acked > 0 ? run->acked : 1));
    usage_print_memory(&run->after, "memory", out);
    gh_buffer_print(out, "}");
    free_run(run);
}

const struct mode store_mode = {
    .name = "store",
    .help = "fills the queue of an absent subscriber; with --kill kills the broker then",
    .start = start_store,
    .report = report_store,
    .shape = {50, 0, 20, 0, "load/#", 0}};

/* --- collect */

static void look(struct gh_timer *timer)
{
    struct storing *run = OWNER(struct storing, timer, timer);
    int64_t now_ns = load_now_ns(), quiet_ns = run->load->options->settle_ms * GH_MS_NS;
    if (run->received < count_of(run))
        quiet_ns *= MISSING_FACTOR;
    if (now_ns - run->end_ns >= quiet_ns)
        finish(run);
    else
        gh_timer_set(run->load->loop, timer, now_ns + QUIET_NS_LOOK, look);
}

static void collector_up(struct peer *peer)
{
    struct storing *run = peer->owner;
    run->start_ns = run->end_ns = load_now_ns();
    look(&run->timer);
}

static void collected(struct peer *peer, const struct gh_mqtt_publish *publish)
{
    struct storing *run = peer->owner;
    uint64_t number = UINT64_MAX;
    if (publish->payload.size >= NUMBER_BYTES)
        memcpy(&number, publish->payload.data, NUMBER_BYTES);
    if (number >= count_of(run))
        return;
    run->end_ns = load_now_ns();
    if (run->seen[number]++ > 0)
        run->duplicates++;
    else
        run->received++;
}

static const struct peer_events collecting_events = {
    .up = collector_up, .message = collected, .gone = gone};

static void *start_collect(struct load *load)
{
    struct storing *run = begin(load, &collecting_events);
    if (run != NULL)
        (void)!peer_dial(&run->subscriber);
    return run;
}

static void report_collect(void *state, struct gh_buffer *out)
{
    struct storing *run = state;
    gh_buffer_print(
        out,
        ",\"count\":%ld,\"received\":%" PRIu64 ",\"duplicates\":%" PRIu64 ",\"lost\":%" PRIu64 "}",
        run->load->options->count, run->received, run->duplicates, count_of(run) - run->received);
    free_run(run);
}

const struct mode collect_mode = {.name = "collect",
                                  .help = "takes what `store` left: how much of it is lost",
                                  .start = start_collect,
                                  .report = report_collect,
                                  .shape = {50, 0, 20, 0, NULL, 0}};

/* --- disk */

struct disk {
    struct load *load;
    struct latencies sync;
};

static bool write_blocks(struct disk *disk, int file)
{
    static uint8_t block[DISK_BYTES];
    bool good = true;
    for (off_t at = 0; good && at < DISK_FILE_BYTES; at += DISK_BYTES)
        good = pwrite(file, block, sizeof block, at) == sizeof block;
    good = good && fsync(file) == 0;
    for (long i = 0; good && i < disk->load->options->count; i++) {
        int64_t from_ns = load_now_ns();
        good = pwrite(file, block, sizeof block, i * DISK_BYTES % DISK_FILE_BYTES) ==
                   (ssize_t)sizeof block &&
               fdatasync(file) == 0;
        latencies_note(&disk->sync, load_now_ns() - from_ns);
    }
    return good;
}

static void *start_disk(struct load *load)
{
    struct disk *disk = calloc(1, sizeof *disk);
    const char *folder = load->options->folder;
    int file = folder == NULL ? -1 : open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (disk != NULL)
        disk->load = load;
    if (disk == NULL || file < 0 || !write_blocks(disk, file))
        load_fail(load, "--folder names no folder to write into");
    if (file >= 0)
        close(file);
    return disk;
}

static void report_disk(void *state, struct gh_buffer *out)
{
    struct disk *disk = state;
    latencies_print(&disk->sync, "fdatasync", out);
    gh_buffer_print(out, "}");
    free(disk);
}

const struct mode disk_mode = {.name = "disk",
                               .help = "no load: what a write and fdatasync of 4 KiB take",
                               .offline = true,
                               .start = start_disk,
                               .report = report_disk};
