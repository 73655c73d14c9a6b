/* How long the broker takes to open: stored sessions with one to three subscriptions each, and
 * messages that are queued for them.   broker_bench FOLDER SESSIONS MESSAGES BYTES
 * Writes the journal as the broker does (every message a record, changes in runs), ends, and opens
 * it in a process of its own, whose memory it prints. One JSON line. */
#include "base/time.h"
#include "route/broker.h"
#include <assert.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FLYING_MAX = 4096, RUN_CHANGES = 100, TENANT = 1 };

struct writer {
    struct gh_log *log;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    size_t flying;
};

struct record {
    struct gh_append append; /* first */
    struct gh_route_message *message;
    struct gh_buffer changes;
};

static void written(void *context, struct gh_letter *letter)
{
    struct writer *writer = context;
    struct record *record = (struct record *)letter;
    assert(record->append.result == GH_OK);
    gh_route_message_unref(record->message);
    gh_buffer_deinit(&record->changes);
    free(record);
    pthread_mutex_lock(&writer->lock);
    writer->flying--;
    pthread_cond_signal(&writer->moved);
    pthread_mutex_unlock(&writer->lock);
}

static void wait_for(struct writer *writer, size_t flying_max)
{
    pthread_mutex_lock(&writer->lock);
    while (writer->flying > flying_max)
        pthread_cond_wait(&writer->moved, &writer->lock);
    writer->flying++;
    pthread_mutex_unlock(&writer->lock);
}

static void append(struct writer *writer, struct record *record)
{
    bool message = record->message != NULL;
    record->append = (struct gh_append){.reply = written,
                                        .reply_context = writer,
                                        .tag = message ? GH_JOURNAL_MESSAGE : GH_JOURNAL_CHANGES,
                                        .body = message ? gh_route_message_record(record->message)
                                                        : gh_buffer_slice(&record->changes)};
    wait_for(writer, FLYING_MAX);
    bool taken = gh_log_append(writer->log, &record->append);
    assert(taken);
}

static struct record *record_new(void)
{
    struct record *record = calloc(1, sizeof *record);
    assert(record != NULL);
    gh_buffer_init(&record->changes, SIZE_MAX / 2);
    return record;
}

static void write_session(struct gh_buffer *out, uint64_t number)
{
    char client[32], filter[64];
    int size = snprintf(client, sizeof client, "client-%08llu", (unsigned long long)number);
    gh_journal_write(out, &(struct gh_journal_change){.kind = GH_JOURNAL_SESSION,
                                                      .session = number,
                                                      .tenant = TENANT,
                                                      .device = number,
                                                      .client_id = gh_slice(client, (size_t)size),
                                                      .expiry_s = UINT32_MAX,
                                                      .sequence_next = 1,
                                                      .at_ms = 1});
    for (uint64_t i = 0; i <= number % 3; i++) {
        size = snprintf(filter, sizeof filter, "site/%llu/device/%llu/%llu/#",
                        (unsigned long long)(number % 100), (unsigned long long)number,
                        (unsigned long long)i);
        gh_journal_write(out, &(struct gh_journal_change){.kind = GH_JOURNAL_FILTER,
                                                          .session = number,
                                                          .filter = gh_slice(filter, (size_t)size),
                                                          .options = 1});
    }
}

static void write_sessions(struct writer *writer, uint64_t sessions)
{
    struct record *record = record_new();
    for (uint64_t number = 1; number <= sessions; number++) {
        write_session(&record->changes, number);
        if (number % RUN_CHANGES == 0 || number == sessions) {
            append(writer, record);
            record = record_new();
        }
    }
    gh_buffer_deinit(&record->changes);
    free(record);
}

static void write_messages(struct writer *writer, uint64_t sessions, uint64_t messages,
                           size_t bytes)
{
    char topic[64];
    uint8_t *payload = calloc(1, bytes + 1);
    assert(payload != NULL);
    for (uint64_t i = 0; i < messages; i++) {
        uint64_t number = i % sessions + 1;
        int size = snprintf(topic, sizeof topic, "site/%llu/device/%llu/0/x",
                            (unsigned long long)(number % 100), (unsigned long long)number);
        struct gh_route_draft draft = {.tenant = TENANT,
                                       .topic = gh_slice(topic, (size_t)size),
                                       .payload = gh_slice(payload, bytes),
                                       .qos = 1,
                                       .published_at_ms = 1,
                                       .recorded = true,
                                       .targets_max = 1};
        struct record *record = record_new();
        record->message = gh_route_message_new(&draft);
        assert(record->message != NULL);
        gh_route_message_add(
            record->message,
            &(struct gh_route_target){.session = number, .sequence = i / sessions + 1, .flags = 1});
        append(writer, record);
    }
    free(payload);
}

static void build(const char *folder, uint64_t sessions, uint64_t messages, size_t bytes)
{
    char path[PATH_MAX];
    struct gh_error error = {0};
    struct writer writer = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};
    snprintf(path, sizeof path, "%s/sessions", folder);
    writer.log = gh_log_open(
        &(struct gh_log_options){.folder = path, .segment_bytes = 16u << 20, .keeps_unheld = true},
        &error);
    if (writer.log == NULL) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
    write_sessions(&writer, sessions);
    write_messages(&writer, sessions, messages, bytes);
    wait_for(&writer, 0);
    gh_log_close(writer.log);
}

/* In a child, so that its memory is its own. */
static int open_broker(const char *folder)
{
    struct gh_error error = {0};
    struct rusage usage;
    struct gh_loop *loops[2] = {gh_loop_open(&error), gh_loop_open(&error)};
    struct gh_broker_options options = {.folder = folder,
                                        .limits = gh_broker_limits_default,
                                        .loops = loops,
                                        .loops_count = 2,
                                        .utc_ms = gh_time_utc_ms};
    options.workers = gh_workers_open(1, 64, &error);
    int64_t began_ns = gh_time_monotonic_ns();
    struct gh_broker *broker = gh_broker_open(&options, &error);
    int64_t took_ns = gh_time_monotonic_ns() - began_ns;
    if (broker == NULL) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    struct gh_broker_status status = gh_broker_status(broker);
    getrusage(RUSAGE_SELF, &usage);
    double cpu_s = (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 +
                   (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
    printf("{\"bench\":\"broker_open\",\"sessions\":%zu,\"subscriptions\":%zu,\"queued\":%zu,"
           "\"journal_bytes\":%llu,\"open_ms\":%lld,\"cpu_s\":%.2f,\"peak_kib\":%ld}\n",
           status.sessions, status.subscriptions, status.queued,
           (unsigned long long)status.journal_bytes, (long long)(took_ns / GH_MS_NS), cpu_s,
           usage.ru_maxrss);
    return 0; /* the process ends with it: nothing is closed */
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: broker_bench FOLDER SESSIONS MESSAGES BYTES\n");
        return 2;
    }
    if (mkdir(argv[1], 0700) == 0)
        build(argv[1], strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10),
              (size_t)strtoull(argv[4], NULL, 10));
    int status = 1;
    pid_t child = fork();
    if (child == 0) {
        status = open_broker(argv[1]);
        fflush(stdout);
        _exit(status);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0 ? 0 : 1;
}
