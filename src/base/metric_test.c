#include "base/metric.h"
#include "tests/check.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 4, ROUNDS = 1000 };
static const enum gh_metric_family family = GH_METRIC_FAMILY_connects_refused_total;

static int64_t value_of(const struct gh_metrics *metrics, const char *label)
{
    int64_t value, found = -1;
    const char *name;
    for (size_t i = 0; (name = gh_metric_get_for(metrics, family, i, &value)) != NULL; i++)
        if (strcmp(name, label) == 0) {
            CHECK("a label stands once", found == -1);
            found = value;
        }
    return found;
}

static void *count(void *metrics)
{
    static const char *const labels[] = {"BLOCKED", "BANNED", "SECRET"};
    for (size_t i = 0; i < ROUNDS; i++)
        gh_metric_add_for(metrics, family, labels[i % 3], 1);
    return NULL;
}

static void check_families(void)
{
    static struct gh_metrics metrics;
    char twin[] = "BLOCKED"; /* the same text elsewhere */
    int64_t value;
    CHECK("nothing at first", gh_metric_get_for(&metrics, family, 0, &value) == NULL);
    gh_metric_add_for(&metrics, family, "BLOCKED", 0);
    CHECK("there with nothing counted", value_of(&metrics, "BLOCKED") == 0);
    gh_metric_add_for(&metrics, family, twin, 2);
    CHECK("labels are compared by their text", value_of(&metrics, "BLOCKED") == 2);
    CHECK("a label of one family is none of another",
          gh_metric_get_for(&metrics, GH_METRIC_FAMILY_disconnects_total, 0, &value) == NULL);
    gh_metric_add_for(NULL, family, "BLOCKED", 1);
    CHECK("without metrics nothing is counted", gh_metric_get_for(NULL, family, 0, &value) == NULL);
}

/* What comes behind the bound is counted together. */
static void check_bound(void)
{
    enum { MANY = GH_METRIC_LABELS_MAX + 36 };
    static struct gh_metrics metrics;
    static char labels[MANY][8];
    int64_t value, sum = 0;
    size_t count = 0;
    for (size_t i = 0; i < MANY; i++) {
        snprintf(labels[i], sizeof labels[i], "L%zu", i);
        gh_metric_add_for(&metrics, family, labels[i], 1);
    }
    while (gh_metric_get_for(&metrics, family, count, &value) != NULL) {
        sum += value;
        count++;
    }
    CHECK("a bounded number of labels", count == GH_METRIC_LABELS_MAX);
    CHECK("nothing is lost", sum == MANY);
    CHECK("the rest is OTHER", value_of(&metrics, "OTHER") == MANY - (GH_METRIC_LABELS_MAX - 1));
}

static void check_threads(void)
{
    static struct gh_metrics metrics;
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        REQUIRE("a thread", pthread_create(&threads[i], NULL, count, &metrics) == 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK("every count of every thread", value_of(&metrics, "BLOCKED") +
                                                 value_of(&metrics, "BANNED") +
                                                 value_of(&metrics, "SECRET") ==
                                             THREADS * ROUNDS);
}

int main(void)
{
    check_families();
    check_bound();
    check_threads();
    return check_report();
}
