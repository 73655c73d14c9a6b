#include "bench/measure.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Values under LATENCY_SUB have a bucket each; above, the top seven bits of the value choose. */
static size_t bucket_of(uint64_t ns)
{
    if (ns < LATENCY_SUB)
        return (size_t)ns;
    unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - 6;
    size_t bucket = (size_t)(shift + 1) * LATENCY_SUB + (size_t)((ns >> shift) - LATENCY_SUB);
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

static int64_t upper_edge_ns(size_t bucket)
{
    if (bucket < LATENCY_SUB)
        return (int64_t)bucket;
    size_t shift = bucket / LATENCY_SUB - 1;
    return (int64_t)((LATENCY_SUB + bucket % LATENCY_SUB + 1) << shift) - 1;
}

void latencies_note(struct latencies *latencies, int64_t ns)
{
    latencies->bucket[bucket_of(ns > 0 ? (uint64_t)ns : 0)]++;
    latencies->count++;
    if (ns > latencies->max_ns)
        latencies->max_ns = ns;
}

int64_t latencies_quantile_ns(const struct latencies *latencies, double q)
{
    uint64_t wanted = (uint64_t)(q * (double)latencies->count), passed = 0;
    if (latencies->count == 0)
        return 0;
    if (wanted >= latencies->count)
        wanted = latencies->count - 1;
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        passed += latencies->bucket[i];
        if (passed > wanted)
            return upper_edge_ns(i) < latencies->max_ns ? upper_edge_ns(i) : latencies->max_ns;
    }
    return latencies->max_ns;
}

void latencies_print(const struct latencies *latencies, const char *name, struct gh_buffer *out)
{
    if (latencies->count == 0)
        return;
    gh_buffer_print(out, ",\"%s_us\":{\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}", name,
                    (double)latencies_quantile_ns(latencies, 0.5) / 1e3,
                    (double)latencies_quantile_ns(latencies, 0.99) / 1e3,
                    (double)latencies_quantile_ns(latencies, 0.999) / 1e3,
                    (double)latencies->max_ns / 1e3);
}

bool processes_parse(const char *text, struct processes *out)
{
    struct gh_slice rest = gh_slice_text(text);
    *out = (struct processes){.count = 0};
    while (rest.size > 0) {
        uint64_t pid;
        if (out->count == PROCESSES_MAX || !gh_slice_to_u64(gh_slice_split(&rest, ','), &pid))
            return false;
        out->pid[out->count++] = (pid_t)pid;
    }
    return true;
}

/* The text of /proc/PID/NAME; empty when it cannot be read. */
static char *read_proc(pid_t pid, const char *name, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    FILE *file = fopen(path, "re");
    size_t got = file == NULL ? 0 : fread(text, 1, size - 1, file);
    text[got] = '\0';
    if (file != NULL)
        fclose(file);
    return text;
}

/* Fields 14 and 15 of /proc/PID/stat, behind the name in brackets, which may hold anything. */
static bool read_cpu(pid_t pid, double *cpu_s)
{
    char text[1024];
    unsigned long long user, kernel;
    const char *at = strrchr(read_proc(pid, "stat", text, sizeof text), ')');
    if (at == NULL || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
                             &user, &kernel) != 2)
        return false;
    *cpu_s += (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
    return true;
}

/* The number behind "\nKEY:" times 1024. */
static uint64_t kibibytes(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    return at == NULL ? 0 : strtoull(at + strlen(key), NULL, 10) * 1024;
}

static void read_memory(pid_t pid, struct usage *usage)
{
    char text[4096];
    read_proc(pid, "smaps_rollup", text, sizeof text);
    if (text[0] != '\0') {
        usage->rss_bytes += kibibytes(text, "\nRss:");
        usage->pss_bytes += kibibytes(text, "\nPss:");
        usage->private_bytes +=
            kibibytes(text, "\nPrivate_Clean:") + kibibytes(text, "\nPrivate_Dirty:");
        return;
    }
    usage->rss_bytes += kibibytes(read_proc(pid, "status", text, sizeof text), "\nVmRSS:");
}

bool processes_read(const struct processes *processes, struct usage *out)
{
    *out = (struct usage){.cpu_s = 0};
    for (size_t i = 0; i < processes->count; i++) {
        if (!read_cpu(processes->pid[i], &out->cpu_s))
            return false;
        read_memory(processes->pid[i], out);
    }
    return true;
}

void usage_print_memory(const struct usage *usage, const char *name, struct gh_buffer *out)
{
    gh_buffer_print(out, ",\"%s\":{\"rss_bytes\":%llu,\"pss_bytes\":%llu,\"private_bytes\":%llu}",
                    name, (unsigned long long)usage->rss_bytes,
                    (unsigned long long)usage->pss_bytes, (unsigned long long)usage->private_bytes);
}
