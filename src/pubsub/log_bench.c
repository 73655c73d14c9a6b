/* How many appends a second the log makes durable with a given number outstanding, in a closed
 * loop: every answer appends the next.   log_bench FOLDER SECONDS BYTES OUTSTANDING Prints one JSON
 * line; latency is from the append to its answer. */
#include "base/time.h"
#include "pubsub/log.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { LATENCIES_MAX = 1 << 20 };

struct bench;
struct slot {
    struct gh_append append;
    struct bench *bench;
    int64_t at_ns;
};

struct bench {
    struct gh_log *log;
    _Atomic bool stopping;
    _Atomic size_t alive;
    uint64_t done, failed;
    uint32_t *latency_us; /* a ring of the newest */
};

static void append_next(struct slot *slot)
{
    slot->at_ns = gh_time_monotonic_ns();
    if (slot->bench->stopping || !gh_log_append(slot->bench->log, &slot->append))
        atomic_fetch_sub(&slot->bench->alive, 1);
}

static void answered(void *context, struct gh_letter *letter)
{
    struct slot *slot = (struct slot *)((char *)letter - offsetof(struct slot, append.done));
    struct bench *bench = context;
    int64_t took_ns = gh_time_monotonic_ns() - slot->at_ns;
    bench->latency_us[bench->done++ % LATENCIES_MAX] = (uint32_t)(took_ns / 1000);
    bench->failed += slot->append.result != GH_OK;
    append_next(slot);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    struct gh_error error;
    struct rusage usage;
    if (argc != 5) {
        fprintf(stderr, "usage: log_bench FOLDER SECONDS BYTES OUTSTANDING\n");
        return 2;
    }
    unsigned seconds = (unsigned)atoi(argv[2]);
    size_t bytes = (size_t)atoi(argv[3]), outstanding = (size_t)atoi(argv[4]);
    struct gh_log_options options = {.folder = argv[1], .bytes_max = UINT64_C(4) << 30};
    struct slot *slots = calloc(outstanding, sizeof *slots);
    uint8_t *body = malloc(bytes);
    bench.latency_us = calloc(LATENCIES_MAX, sizeof *bench.latency_us);
    bench.log = gh_log_open(&options, &error);
    if (slots == NULL || body == NULL || bench.latency_us == NULL || bench.log == NULL) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    memset(body, 'x', bytes);
    bench.alive = outstanding;
    int64_t begun_ns = gh_time_monotonic_ns();
    for (size_t i = 0; i < outstanding; i++) {
        slots[i].bench = &bench;
        slots[i].append = (struct gh_append){
            .reply = answered, .reply_context = &bench, .tag = 1, .body = gh_slice(body, bytes)};
        append_next(&slots[i]);
    }
    sleep(seconds);
    bench.stopping = true;
    while (bench.alive > 0)
        usleep(1000);
    double took_s = (double)(gh_time_monotonic_ns() - begun_ns) / 1e9;
    gh_log_close(bench.log);
    getrusage(RUSAGE_SELF, &usage);
    size_t kept = bench.done < LATENCIES_MAX ? bench.done : LATENCIES_MAX;
    qsort(bench.latency_us, kept, sizeof *bench.latency_us, by_number);
    double cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    printf("{\"bench\":\"log\",\"bytes\":%zu,\"outstanding\":%zu,\"seconds\":%.1f,\"appends_per_"
           "s\":%.0f,"
           "\"failed\":%llu,\"p50_us\":%u,\"p99_us\":%u,\"p999_us\":%u,\"cpu_s_per_million\":%.2f,"
           "\"resident_kib\":%ld}\n",
           bytes, outstanding, took_s, (double)bench.done / took_s,
           (unsigned long long)bench.failed, bench.latency_us[kept / 2],
           bench.latency_us[kept * 99 / 100], bench.latency_us[kept * 999 / 1000],
           cpu_s * 1e6 / (double)bench.done, usage.ru_maxrss);
    free(slots);
    free(body);
    free(bench.latency_us);
    return bench.failed > 0;
}
