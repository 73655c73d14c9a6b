#include "observe/trace.h"
#include "tests/check.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* A reader that takes as many lines as it is allowed to. */
struct reader {
    int allowed, taken;
    char last[256], before[256];
};

static bool take(void *context, struct gh_slice line)
{
    struct reader *reader = context;
    if (reader->allowed == 0)
        return false;
    reader->allowed--;
    reader->taken++;
    memcpy(reader->before, reader->last, sizeof reader->before);
    snprintf(reader->last, sizeof reader->last, "%.*s", GH_PRINT(line));
    return true;
}

static void tell(struct gh_traces *traces, uint64_t device)
{
    struct gh_trace_packet packet = {.inbound = true,
                                     .version = GH_MQTT_V311,
                                     .bytes = GH_SLICE("\x30\x05\x00\x01"
                                                       "ahi")};
    gh_traces_packet(traces, device, &packet);
}

static void check_readers(void)
{
    struct gh_traces *traces = gh_traces_open();
    struct reader plain = {.allowed = 100}, full = {.allowed = 100}, other = {.allowed = 100};
    REQUIRE("traces", traces != NULL);
    CHECK("nobody", !gh_traces_any(traces) && !gh_traces_any(NULL) && !gh_traces_wants(traces, 7));
    tell(traces, 7);
    struct gh_tracer *one = gh_traces_join(traces, 7, false, take, &plain);
    struct gh_tracer *two = gh_traces_join(traces, 7, true, take, &full);
    struct gh_tracer *three = gh_traces_join(traces, 8, false, take, &other);
    REQUIRE("readers", one != NULL && two != NULL && three != NULL);
    CHECK("somebody", gh_traces_any(traces) && gh_traces_wants(traces, 7) &&
                          gh_traces_wants(traces, 8) && !gh_traces_wants(traces, 9));
    tell(traces, 7);
    CHECK("each once", plain.taken == 1 && full.taken == 1 && other.taken == 0);
    CHECK("payloads to whom asked", strstr(plain.last, "\"payload\":") == NULL &&
                                        strstr(full.last, "\"payload\":\"hi\"") != NULL);
    gh_traces_line(traces, 7, GH_SLICE("{\"held\":1}"));
    CHECK("a line already made, to all",
          strcmp(plain.last, "{\"held\":1}") == 0 && strcmp(full.last, "{\"held\":1}") == 0);
    gh_traces_leave(traces, one);
    tell(traces, 7);
    CHECK("who left is told no more", plain.taken == 2 && full.taken == 3);
    gh_traces_leave(traces, two);
    CHECK("and nobody reads the device", !gh_traces_wants(traces, 7));
    gh_traces_leave(traces, three);
    CHECK("nobody again", !gh_traces_any(traces));
    gh_traces_close(traces);
}

static void check_slow(void)
{
    struct gh_traces *traces = gh_traces_open();
    struct reader slow = {.allowed = 1}, quick = {.allowed = 100};
    struct gh_tracer *one = gh_traces_join(traces, 7, false, take, &slow);
    struct gh_tracer *two = gh_traces_join(traces, 7, false, take, &quick);
    REQUIRE("readers", one != NULL && two != NULL);
    for (int i = 0; i < 5; i++)
        tell(traces, 7);
    CHECK("the slow one loses, the quick one does not", slow.taken == 1 && quick.taken == 5);
    slow.allowed = 1; /* room for the note alone */
    tell(traces, 7);
    CHECK("what was lost is told first", strcmp(slow.last, "{\"dropped\":4}") == 0);
    slow.allowed = 10;
    tell(traces, 7);
    CHECK("and what was lost behind it",
          strcmp(slow.before, "{\"dropped\":1}") == 0 && strstr(slow.last, "PUBLISH") != NULL);
    tell(traces, 7);
    CHECK("once", strstr(slow.before, "PUBLISH") != NULL);
    gh_traces_leave(traces, one);
    gh_traces_leave(traces, two);
    gh_traces_close(traces);
}

static void check_bound(void)
{
    struct gh_traces *traces = gh_traces_open();
    struct reader reader = {.allowed = 100};
    struct gh_tracer *tracers[GH_TRACE_READERS_MAX];
    for (size_t i = 0; i < GH_TRACE_READERS_MAX; i++) {
        tracers[i] = gh_traces_join(traces, 7, false, take, &reader);
        REQUIRE("a reader", tracers[i] != NULL);
    }
    CHECK("one too many", gh_traces_join(traces, 7, false, take, &reader) == NULL);
    gh_traces_leave(traces, tracers[10]);
    tracers[10] = gh_traces_join(traces, 7, false, take, &reader);
    CHECK("room again", tracers[10] != NULL);
    for (size_t i = 0; i < GH_TRACE_READERS_MAX; i++)
        gh_traces_leave(traces, tracers[i]);
    gh_traces_close(traces);
}

static void *tell_many(void *traces)
{
    for (int i = 0; i < 2000; i++)
        tell(traces, 7);
    return NULL;
}

/* Readers come and go while loops tell. */
static void check_threads(void)
{
    struct gh_traces *traces = gh_traces_open();
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++)
        REQUIRE("a thread", pthread_create(&threads[i], NULL, tell_many, traces) == 0);
    for (int i = 0; i < 500; i++) {
        struct reader reader = {.allowed = 3};
        struct gh_tracer *tracer = gh_traces_join(traces, 7, i % 2 == 0, take, &reader);
        REQUIRE("a reader", tracer != NULL);
        gh_traces_leave(traces, tracer);
        CHECK("no more than it took", reader.taken <= 3);
    }
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    gh_traces_close(traces);
}

int main(void)
{
    check_readers();
    check_slow();
    check_bound();
    check_threads();
    return check_report();
}
