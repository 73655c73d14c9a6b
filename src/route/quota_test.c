#include "base/time.h"
#include "route/quota.h"
#include "tests/check.h"
#include <pthread.h>
#include <stdatomic.h>

static const struct gh_quota_limits two = {.connections_max = 2, .messages_per_second = 10};

static void check_places(void)
{
    struct gh_quotas *quotas = gh_quotas_open(&two);
    struct gh_quota *quota = gh_quotas_of(quotas, 7), *other = gh_quotas_of(quotas, 8);
    REQUIRE("quotas", quotas != NULL && quota != NULL && other != NULL && quota != other);
    CHECK("one for each tenant", gh_quotas_of(quotas, 7) == quota);
    CHECK("two places", gh_quota_enter(quota, false) && gh_quota_enter(quota, false));
    CHECK("and no third", !gh_quota_enter(quota, false) && gh_quota_connections(quota) == 2);
    CHECK("another tenant has its own", gh_quota_enter(other, false));
    CHECK("a place for who replaces", gh_quota_enter(quota, true));
    gh_quota_leave(quota);
    gh_quota_leave(quota);
    CHECK("given back", gh_quota_enter(quota, false) && gh_quota_connections(quota) == 2);
    struct gh_quota_limits three = {.connections_max = 3};
    CHECK("its own ceiling", gh_quotas_set(quotas, 7, &three) && gh_quota_enter(quota, false) &&
                                 !gh_quota_enter(quota, false) &&
                                 gh_quota_limits(quota).connections_max == 3);
    CHECK("the server's again", gh_quotas_set(quotas, 7, NULL) &&
                                    gh_quota_limits(quota).connections_max == 2 &&
                                    gh_quota_connections(quota) == 3);
    struct gh_quota_limits none = {0};
    CHECK("no ceiling", gh_quotas_set(quotas, 8, &none));
    for (int i = 0; i < 100; i++)
        CHECK("no ceiling", gh_quota_enter(other, false));
    gh_quotas_close(quotas);
}

static int taken(struct gh_quota *quota, int64_t now_ns, int tries)
{
    int count = 0;
    for (int i = 0; i < tries; i++)
        count += gh_quota_message(quota, now_ns);
    return count;
}

static void check_rate(void)
{
    struct gh_quotas *quotas = gh_quotas_open(&two);
    struct gh_quota *quota = gh_quotas_of(quotas, 7);
    int64_t now_ns = 5 * GH_SECOND_NS;
    REQUIRE("a quota", quota != NULL);
    CHECK("one second's worth at once", taken(quota, now_ns, 50) == 10);
    CHECK("then as time goes by", taken(quota, now_ns + GH_SECOND_NS / 10, 50) == 1);
    CHECK("half a second later", taken(quota, now_ns + GH_SECOND_NS * 6 / 10, 50) == 5);
    CHECK("silence saves up no more", taken(quota, now_ns + 100 * GH_SECOND_NS, 50) == 10);
    struct gh_quota_limits none = {0};
    CHECK("no limit", gh_quotas_set(quotas, 7, &none) && taken(quota, now_ns, 5000) == 5000);
    CHECK("told once", gh_quota_tell(quota, now_ns) && !gh_quota_tell(quota, now_ns) &&
                           !gh_quota_tell(quota, now_ns + (GH_QUOTA_TELL_S - 1) * GH_SECOND_NS));
    CHECK("and again", gh_quota_tell(quota, now_ns + GH_QUOTA_TELL_S * GH_SECOND_NS));
    gh_quotas_close(quotas);
}

static atomic_int inside, most;

static void *come_and_go(void *quota)
{
    for (int i = 0; i < 5000; i++) {
        if (!gh_quota_enter(quota, false))
            continue;
        int now = atomic_fetch_add(&inside, 1) + 1, before = atomic_load(&most);
        while (now > before && !atomic_compare_exchange_weak(&most, &before, now)) {
        }
        atomic_fetch_sub(&inside, 1);
        gh_quota_leave(quota);
    }
    return NULL;
}

/* Loops share a tenant's quota. */
static void check_threads(void)
{
    struct gh_quotas *quotas = gh_quotas_open(&two);
    struct gh_quota *quota = gh_quotas_of(quotas, 7);
    pthread_t threads[4];
    REQUIRE("a quota", quota != NULL);
    for (size_t i = 0; i < 4; i++)
        REQUIRE("a thread", pthread_create(&threads[i], NULL, come_and_go, quota) == 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK("never more than there are places", atomic_load(&most) >= 1 && atomic_load(&most) <= 2);
    CHECK("all given back", gh_quota_connections(quota) == 0);
    gh_quotas_close(quotas);
}

int main(void)
{
    check_places();
    check_rate();
    check_threads();
    return check_report();
}
