#include "dialect/google/rest_testbed.h"
#include "io/worker.h"

/* A pull on behalf of a stream, over a clock that stands still: a pull that waits for its time
 * to be over waits for ever. */

static int64_t standing(void *context)
{
    (void)context;
    return GH_SECOND_NS;
}

static int64_t utc(void *context)
{
    (void)context;
    return gh_time_utc_ms();
}

/* A stream whose window is full when it is looked at first. Its messages are acknowledged before
 * the pull that is to wait for that has begun. */
struct full {
    struct testbed *bed;
    unsigned looks;
};

static void room(void *context, size_t *messages, size_t *bytes)
{
    struct full *full = context;
    (void)bytes;
    if (full->looks++ > 0)
        return;
    *messages = 0;
    google_pull_wake(full->bed->waits);
}

static const struct testbed_row rows[] = {
    {"a topic", "PUT", "/v1/projects/acme/topics/telemetry", "{}", 200,
     .says = {"projects/acme/topics/telemetry"}},
    {"a subscription", "PUT", "/v1/projects/acme/subscriptions/backend",
     "{\"topic\":\"projects/acme/topics/telemetry\"}", 200,
     .says = {"projects/acme/subscriptions/backend"}},
    {"a message", "POST", "/v1/projects/acme/topics/telemetry:publish",
     "{\"messages\":[{\"data\":\"aGk=\"}]}", 200, .says = {"messageIds"}},
};
static const struct testbed_row woken[] = {
    {"it looks for room again at once, and takes what there is", "POST",
     "/v1/projects/acme/subscriptions/backend:pull", "{\"maxMessages\":10}", 200,
     .says = {"\"data\":\"aGk=\""}},
};

int main(void)
{
    static const struct gh_log_clock clock = {.monotonic_ns = standing, .utc_ms = utc};
    struct testbed bed;
    struct gh_error error;
    struct full full = {.bed = &bed};
    struct google_pull_terms terms = {.room = room, .context = &full};
    testbed_open_at(&bed, &clock);
    bed.services.workers = gh_workers_open(1, 16, &error);
    REQUIRE("a worker", bed.services.workers != NULL);
    testbed_run(&bed, rows, GH_COUNT(rows));
    bed.terms = &terms;
    testbed_run(&bed, woken, GH_COUNT(woken));
    CHECK("two looks", full.looks == 2);
    gh_workers_stop(bed.services.workers);
    testbed_close(&bed); /* its pulls ask them until here */
    gh_workers_close(bed.services.workers);
    return check_report();
}
