/* What a benchmark measures: latencies, as a histogram whose buckets are at most 1/64 wide, and
 * what the processes of a server have used, read out of /proc. Prints both as JSON members.
 * Threads: one at a time. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "base/buffer.h"
#include <sys/types.h>

enum {
    LATENCY_SUB = 64, /* buckets for each power of two */
    LATENCY_BUCKETS = 48 * LATENCY_SUB,
    PROCESSES_MAX = 16,
};

struct latencies {
    uint64_t count, bucket[LATENCY_BUCKETS];
    int64_t max_ns;
};

void latencies_note(struct latencies *latencies, int64_t ns);
/* The upper edge of the bucket that holds the quantile `q` of 0..1; 0 when nothing was noted. */
int64_t latencies_quantile_ns(const struct latencies *latencies, double q);
/* `"NAME_us":{"p50":…,"p99":…,"p999":…,"max":…}`, or nothing when nothing was noted; begins with a
 * comma. */
void latencies_print(const struct latencies *latencies, const char *name, struct gh_buffer *out);

struct processes {
    pid_t pid[PROCESSES_MAX];
    size_t count;
};

/* "12,13,14"; false when it is something else. */
GH_MUST_USE bool processes_parse(const char *text, struct processes *out);

/* Sums over the processes. */
struct usage {
    double cpu_s;       /* user and system, all threads, those that ended too */
    uint64_t rss_bytes; /* shared pages counted in each process */
    uint64_t pss_bytes; /* shared pages divided; 0 when /proc/PID/smaps_rollup is not readable */
    uint64_t private_bytes; /* pages that nobody else maps; 0 likewise */
};

/* False when a process is gone. */
GH_MUST_USE bool processes_read(const struct processes *processes, struct usage *out);
/* `"rss_bytes":…,"pss_bytes":…,"private_bytes":…` under a member `name`; begins with a comma. */
void usage_print_memory(const struct usage *usage, const char *name, struct gh_buffer *out);
#endif
