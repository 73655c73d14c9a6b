/* Calls that last, with everything around them played: what judges a call, the exchange that it
 * has, the loop's timer and the workers (--wrap). So the timer's time comes when the test says
 * so. */
#include "api/call_internal.h"
#include "api/standing_internal.h"
#include "io/loop.h"
#include "tests/check.h"
#include <string.h>

enum { CALLS = 3, NOW_MS = 1700000000 };

/* The name is io's; what is in it is this test's. */
struct gh_exchange {
    int refs, finished;
    struct gh_http_request request;
};

static struct {
    struct gh_api api;
    void (*on_timer)(struct gh_timer *timer);
    struct gh_timer *timer;
    int64_t now_ns, due_ns;
    bool queue_is_full, workers_are_busy;
    struct gh_job *held;
    size_t submitted, judged;
    struct call last; /* as it was judged */
    enum gh_error_code verdict;
    struct standing_call *leaves; /* while the next one is judged */
} world;

/* --- what is played */

enum gh_error_code __wrap_call_judge(struct call *call);
struct gh_exchange *__wrap_gh_exchange_ref(struct gh_exchange *exchange);
void __wrap_gh_exchange_unref(struct gh_exchange *exchange);
const struct gh_http_request *__wrap_gh_exchange_request(const struct gh_exchange *exchange);
void __wrap_gh_exchange_finish(struct gh_exchange *exchange);
void __wrap_gh_timer_set(struct gh_loop *loop, struct gh_timer *timer, int64_t at_ns,
                         void (*run)(struct gh_timer *timer));
int64_t __wrap_gh_loop_now_ns(const struct gh_loop *loop);
bool __wrap_gh_workers_submit(struct gh_workers *workers, struct gh_job *job);

enum gh_error_code __wrap_call_judge(struct call *call)
{
    world.judged++;
    world.last = *call;
    standing_leave(world.leaves);
    world.leaves = NULL;
    return world.verdict;
}

struct gh_exchange *__wrap_gh_exchange_ref(struct gh_exchange *exchange)
{
    exchange->refs++;
    return exchange;
}

void __wrap_gh_exchange_unref(struct gh_exchange *exchange)
{
    exchange->refs--;
}

const struct gh_http_request *__wrap_gh_exchange_request(const struct gh_exchange *exchange)
{
    CHECK("the exchange of a call that is judged is kept", exchange->refs > 0);
    return &exchange->request;
}

void __wrap_gh_exchange_finish(struct gh_exchange *exchange)
{
    CHECK("the exchange that is finished is kept", exchange->refs > 0);
    exchange->finished++;
}

void __wrap_gh_timer_set(struct gh_loop *loop, struct gh_timer *timer, int64_t at_ns,
                         void (*run)(struct gh_timer *timer))
{
    (void)loop;
    world.timer = timer;
    world.due_ns = at_ns;
    world.on_timer = run;
}

int64_t __wrap_gh_loop_now_ns(const struct gh_loop *loop)
{
    (void)loop;
    return world.now_ns;
}

bool __wrap_gh_workers_submit(struct gh_workers *workers, struct gh_job *job)
{
    (void)workers;
    if (world.queue_is_full)
        return false;
    world.submitted++;
    world.held = job;
    return true;
}

static int64_t utc_ms(void)
{
    return NOW_MS;
}

/* --- the world */

static void world_open(void)
{
    static char loop; /* an address is all that is asked of it */
    memset(&world, 0, sizeof world);
    world.api.services.loop = (struct gh_loop *)(void *)&loop;
    world.api.services.utc_ms = utc_ms;
    world.api.standing = standing_open(&world.api);
    REQUIRE("it opens", world.api.standing != NULL);
}

static void worker_comes(void)
{
    struct gh_job *job = world.held;
    world.held = NULL;
    if (job != NULL)
        job->run(job);
}

/* The timer runs on the loop, its job on a worker. */
static void time_comes(void)
{
    world.now_ns = world.due_ns;
    world.on_timer(world.timer);
    if (!world.workers_are_busy)
        worker_comes();
    CHECK("the timer is set anew, half a second later",
          world.due_ns == world.now_ns + INT64_C(500000000));
}

static struct standing_call *join(struct gh_exchange *exchange)
{
    const struct call call = {.api = &world.api, .exchange = exchange};
    struct standing_call *one = standing_join(world.api.standing, &call);
    REQUIRE("it joins", one != NULL);
    CHECK("its exchange is kept", exchange->refs == 1);
    return one;
}

/* --- claims */

static const struct {
    const char *claim;
    enum gh_error_code verdict;
    bool ends;
} verdicts[] = {
    {"who may still goes on", GH_OK, false},
    {"whose token or session has ended is finished", GH_ERROR_UNAUTHENTICATED, true},
    {"whose right is gone is finished", GH_ERROR_DENIED, true},
    {"whose tenant is gone is finished", GH_ERROR_NOT_FOUND, true},
    {"without an answer of the store nothing is decided", GH_ERROR_STORE_WRITE, false},
    {"nor when it is late", GH_ERROR_TIMEOUT, false},
    {"nor when it cannot be asked", GH_ERROR_UNAVAILABLE, false},
    {"nor without memory", GH_ERROR_MEMORY, false},
    {"nor by a fault of ours", GH_ERROR_INTERNAL, false},
};

static void judged(void)
{
    for (size_t i = 0; i < GH_COUNT(verdicts); i++) {
        struct gh_exchange exchange = {0};
        world_open();
        struct standing_call *one = join(&exchange);
        world.verdict = verdicts[i].verdict;
        time_comes();
        CHECK(verdicts[i].claim, exchange.finished == verdicts[i].ends);
        time_comes();
        CHECK(verdicts[i].claim, exchange.finished == verdicts[i].ends);
        CHECK("what is finished is judged no more", world.judged == (verdicts[i].ends ? 1u : 2u));
        standing_leave(one);
        CHECK("who has left keeps no exchange", exchange.refs == 0);
        standing_close(world.api.standing);
    }
}

/* As its request came: whatever the judge of a call looks at. */
static void judged_alike(void)
{
    static char route; /* an address is all that is asked of it */
    struct gh_exchange exchange = {0};
    struct call call = {.api = &world.api,
                        .exchange = &exchange,
                        .route = (const struct route *)(const void *)&route,
                        .local = true,
                        .captures = {GH_SLICE("acme"), GH_SLICE("hall")}};
    world_open();
    struct standing_call *one = standing_join(world.api.standing, &call);
    REQUIRE("it joins", one != NULL);
    time_comes();
    CHECK("by the same API", world.last.api == &world.api);
    CHECK("with the same exchange", world.last.exchange == &exchange);
    CHECK("and its request", world.last.request == &exchange.request);
    CHECK("for the same route", world.last.route == call.route);
    CHECK("with what its path names", gh_slice_equal(world.last.captures[0], GH_SLICE("acme")) &&
                                          gh_slice_equal(world.last.captures[1], GH_SLICE("hall")));
    CHECK("from where it came", world.last.local);
    CHECK("now", world.last.now_ms == NOW_MS);
    CHECK("and does not count as seen", world.last.looks);
    standing_leave(one);
    standing_close(world.api.standing);
}

static void counted(void)
{
    struct gh_exchange exchanges[CALLS] = {0};
    struct standing_call *calls[CALLS];
    world_open();
    time_comes();
    CHECK("nobody stands: no worker is asked", world.submitted == 0);
    for (size_t i = 0; i < CALLS; i++)
        calls[i] = join(&exchanges[i]);
    time_comes();
    CHECK("all are judged, by one job", world.submitted == 1 && world.judged == CALLS);
    standing_leave(calls[1]); /* out of the middle */
    time_comes();
    CHECK("who has left is not", world.judged == CALLS + 2);
    CHECK("and has nothing", exchanges[1].refs == 0);
    world.leaves = calls[0]; /* the last one of the list, while the first is judged */
    time_comes();
    CHECK("who leaves meanwhile is there to its end", exchanges[0].refs == 0);
    standing_leave(NULL);
    standing_close(world.api.standing);
    CHECK("closing leaves nothing", exchanges[2].refs == 0);
}

static void busy(void)
{
    struct gh_exchange exchange = {0};
    world_open();
    struct standing_call *one = join(&exchange);
    world.queue_is_full = true;
    time_comes();
    CHECK("a full queue judges nobody", world.judged == 0);
    world.queue_is_full = false;
    world.workers_are_busy = true;
    time_comes();
    CHECK("the next time is another try", world.submitted == 1);
    time_comes();
    CHECK("one job at a time", world.submitted == 1);
    worker_comes();
    CHECK("which judges when it comes to it", world.judged == 1);
    time_comes();
    CHECK("and then there is another", world.submitted == 2);
    worker_comes();
    standing_leave(one);
    standing_close(world.api.standing);
}

int main(void)
{
    judged();
    judged_alike();
    counted();
    busy();
    return check_report();
}
