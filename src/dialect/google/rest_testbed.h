/* For the tests of rest_*.c: a directory and a pubsub over a temporary folder, callers, and a table
 * of requests that are asked one after the other, each with what its answer must say. Included by
 * one test program at a time; no server and no network. Threads: the test's own. */
#ifndef GH_DIALECT_GOOGLE_REST_TESTBED_H
#define GH_DIALECT_GOOGLE_REST_TESTBED_H

#include "base/log.h"
#include "base/time.h"
#include "dialect/google/rest_internal.h"
#include "pubsub/pubsub.h"
#include "tests/check.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TESTBED_SLOTS = 10,
    TESTBED_TEXT_MAX = 64 * 1024,
    TESTBED_SAYS_MAX = 8,
    TESTBED_ARENA_MAX = 16 * 1024 * 1024,
    TESTBED_ANSWER_S = 60, /* no answer takes as long, on any machine */
};

struct testbed {
    struct gh_google_services services;
    struct gh_tenant tenant, other;
    enum gh_command_outcome outcome; /* of the next command */
    char command[256];               /* the last one: "channel payload" */
    char *slots[TESTBED_SLOTS];      /* "$0" to "$9" in rows */
    int64_t ahead_ms;                /* of the real clock */
    bool hang_up;                    /* before the answer, once the call waits */
    void *waits;                     /* what the last call that waits is named by */
    struct google_pull_terms *terms; /* of pulls, as on behalf of a stream; or NULL */
};

/* One request. "$0" to "$9" in texts stand for what earlier rows kept. */
struct testbed_row {
    const char *claim;
    const char *method, *target, *body;
    int status;
    const struct gh_caller *caller;         /* NULL: an administrator */
    const char *says[TESTBED_SAYS_MAX];     /* parts of the answer's body */
    const char *says_not[TESTBED_SAYS_MAX]; /* and what is not in it */
    const char *keep;                       /* the text after "KEEP":" goes to the slot */
    int slot;
    int64_t later_ms; /* the clock goes on by this much before the request */
};

static struct testbed *testbed_now; /* the clock and the sender have no context of the test's */

static int64_t testbed_clock(void)
{
    return gh_time_utc_ms() + testbed_now->ahead_ms;
}

static void testbed_send(void *context, struct gh_command *command)
{
    struct testbed *bed = context;
    snprintf(bed->command, sizeof(bed->command), "%.*s %.*s", GH_PRINT(command->channel),
             GH_PRINT(command->payload));
    command->complete(command, bed->outcome);
}

static void testbed_tenant(struct testbed *bed, const char *name, struct gh_tenant *out)
{
    struct gh_error error;
    *out = (struct gh_tenant){.name = gh_slice_text(name)};
    REQUIRE("a tenant", gh_directory_tenant_create(bed->services.directory, out, &error) == GH_OK);
    out->google_project = out->name;
}

/* `clock` is the pubsub's; NULL: the real one. */
static void testbed_open_at(struct testbed *bed, const struct gh_log_clock *clock)
{
    struct gh_error error = {0};
    const char *folder = check_folder();
    *bed = (struct testbed){0};
    testbed_now = bed;
    gh_log_set_level(GH_LOG_ERROR);
    bed->services.store = gh_store_open(folder, GH_STORE_CREATE, &error);
    REQUIRE("the store opens", bed->services.store != NULL);
    bed->services.directory = gh_directory_open(bed->services.store, NULL, NULL, &error);
    REQUIRE("the directory opens", bed->services.directory != NULL);
    bed->services.pubsub = gh_pubsub_open(
        &(struct gh_pubsub_options){.folder = folder,
                                    .store = bed->services.store,
                                    .log.clock = clock == NULL ? (struct gh_log_clock){0} : *clock},
        &error);
    REQUIRE("the pubsub opens", bed->services.pubsub != NULL);
    bed->services.utc_ms = testbed_clock;
    bed->services.send_command = testbed_send;
    bed->services.command_context = bed;
    testbed_tenant(bed, "acme", &bed->tenant);
    testbed_tenant(bed, "other", &bed->other);
}

static inline void testbed_open(struct testbed *bed)
{
    testbed_open_at(bed, NULL);
}

static void testbed_close(struct testbed *bed)
{
    gh_pubsub_close(bed->services.pubsub);
    gh_directory_close(bed->services.directory);
    gh_store_close(bed->services.store);
    for (size_t i = 0; i < TESTBED_SLOTS; i++)
        free(bed->slots[i]);
}

static void testbed_keep(struct testbed *bed, int slot, struct gh_slice text)
{
    free(bed->slots[slot]);
    bed->slots[slot] = strndup((const char *)text.data, text.size);
}

/* The text with its slots filled in; the caller's to free. */
static char *testbed_fill(const struct testbed *bed, const char *text)
{
    struct gh_buffer out;
    gh_buffer_init(&out, TESTBED_TEXT_MAX);
    for (; text != NULL && *text != '\0'; text++) {
        if (text[0] == '$' && text[1] >= '0' && text[1] <= '9' && bed->slots[text[1] - '0'] != NULL)
            gh_buffer_put(&out, gh_slice_text(bed->slots[*++text - '0']));
        else
            gh_buffer_u8(&out, (uint8_t)*text);
    }
    gh_buffer_u8(&out, 0);
    REQUIRE("the row fits", !out.overflow);
    return (char *)out.data;
}

struct testbed_answer {
    pthread_mutex_t lock;
    pthread_cond_t there;
    bool finished;
    void (*gone)(void *context); /* of a call that waits */
    void *gone_context;
    struct google_call call;
};

static struct testbed_answer *testbed_answer_of(struct google_call *call)
{
    return (struct testbed_answer *)((char *)call - offsetof(struct testbed_answer, call));
}

static void testbed_on_gone(struct google_call *call, void (*fn)(void *context), void *context)
{
    testbed_answer_of(call)->gone = fn;
    testbed_answer_of(call)->gone_context = context;
    testbed_now->waits = context;
}

static void testbed_finish(struct google_call *call)
{
    struct testbed_answer *answer = testbed_answer_of(call);
    pthread_mutex_lock(&answer->lock);
    answer->finished = true;
    pthread_cond_signal(&answer->there);
    pthread_mutex_unlock(&answer->lock);
}

static void testbed_await(struct testbed_answer *answer)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += TESTBED_ANSWER_S;
    pthread_mutex_lock(&answer->lock);
    for (int waited = 0; waited == 0 && !answer->finished;)
        waited = pthread_cond_clockwait(&answer->there, &answer->lock, CLOCK_MONOTONIC, &until);
    REQUIRE("an answer comes", answer->finished);
    pthread_mutex_unlock(&answer->lock);
}

/* Asks and waits; returns the status, with the body as text in `*body` (the caller's to free). */
static int testbed_ask(struct testbed *bed, const struct gh_caller *caller, const char *method,
                       const char *target, const char *body, char **answer_body)
{
    static const struct gh_caller administrator = {.kind = GH_CALLER_TOKEN,
                                                   .name = GH_SLICE_INIT("root"),
                                                   .role = GH_SLICE_INIT("administrator")};
    struct gh_slice query = gh_slice_text(target), path = gh_slice_split(&query, '?');
    struct gh_arena arena;
    struct gh_buffer text;
    struct testbed_answer answer = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                    .there = PTHREAD_COND_INITIALIZER};
    gh_arena_init(&arena, TESTBED_ARENA_MAX);
    gh_buffer_init(&text, 2 * TESTBED_ARENA_MAX);
    answer.call = (struct google_call){.services = &bed->services,
                                       .arena = &arena,
                                       .method = gh_slice_text(method),
                                       .path = path,
                                       .query = query,
                                       .body = gh_slice_text(body),
                                       .peer = "127.0.0.1:1",
                                       .caller = caller == NULL ? administrator : *caller,
                                       .finish = testbed_finish,
                                       .on_gone = testbed_on_gone,
                                       .terms = bed->terms};
    google_call_run(&answer.call);
    if (bed->hang_up && answer.gone != NULL)
        answer.gone(answer.gone_context);
    testbed_await(&answer);
    int status = google_call_print(&answer.call, &text);
    gh_buffer_u8(&text, 0);
    *answer_body = (char *)text.data;
    google_call_deinit(&answer.call);
    gh_arena_deinit(&arena);
    return status;
}

static void testbed_says(const struct testbed *bed, const struct testbed_row *row, const char *body)
{
    for (size_t i = 0; i < TESTBED_SAYS_MAX && row->says[i] != NULL; i++) {
        char *part = testbed_fill(bed, row->says[i]);
        if (!CHECK(row->claim, strstr(body, part) != NULL))
            fprintf(stderr, "  wanted: %s\n  said:   %s\n", part, body);
        free(part);
    }
    for (size_t i = 0; i < TESTBED_SAYS_MAX && row->says_not[i] != NULL; i++) {
        if (!CHECK(row->claim, strstr(body, row->says_not[i]) == NULL))
            fprintf(stderr, "  unwanted: %s\n  said: %s\n", row->says_not[i], body);
    }
}

static void testbed_run(struct testbed *bed, const struct testbed_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct testbed_row *row = &rows[i];
        char *target = testbed_fill(bed, row->target), *body = testbed_fill(bed, row->body), *said;
        bed->ahead_ms += row->later_ms;
        int status = testbed_ask(bed, row->caller, row->method, target, body, &said);
        if (!CHECK(row->claim, status == row->status))
            fprintf(stderr, "  %s %s: %d instead of %d: %s\n", row->method, target, status,
                    row->status, said);
        testbed_says(bed, row, said);
        char quoted[64];
        snprintf(quoted, sizeof(quoted), "\"%s\":\"", row->keep == NULL ? "" : row->keep);
        const char *at = row->keep == NULL ? NULL : strstr(said, quoted);
        if (at != NULL) {
            at += strlen(quoted);
            testbed_keep(bed, row->slot, gh_slice(at, strcspn(at, "\"")));
        }
        CHECK(row->claim, row->keep == NULL || at != NULL);
        free(said);
        free(body);
        free(target);
    }
}
#endif
