/* What one decision costs. bench-statement [STATEMENTS]: policies of that many statements (100), of
 * exact topics, prefixes, suffixes, globs, or all of them by turns; prints for each form, for the
 * topic of the last statement and for one that none allows, the nanoseconds of the median, the 99th
 * and the 99.9th percentile, measured in runs of 64 decisions, as one JSON line. */
#include "base/time.h"
#include "policy/statement.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS = 20000, RUN = 64 };

/* A resource and a topic are what stands before and behind the number of the statement. */
static const struct form {
    const char *name, *resource[2], *topic[2];
} forms[] = {
    {"exact", {"topic/site/", "/temperature"}, {"site/", "/temperature"}},
    {"prefix", {"topic/site/", "/*"}, {"site/", "/temperature/celsius"}},
    {"suffix", {"topic/*/room-", ""}, {"site/a/b/room-", ""}},
    {"glob", {"topic/site/*/room-", "/*"}, {"site/a/b/room-", "/c"}},
    {"mixed", {NULL, NULL}, {"site/a/b/room-", "/c"}}, /* the four by turns */
};
enum { PURE = GH_COUNT(forms) - 1 };

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static struct gh_statements *policy_of(const struct form *form, int statements)
{
    struct gh_statement_document document = {.name = GH_SLICE("p")};
    struct gh_statement_variables values = {0};
    struct gh_error error = {0};
    char *json = malloc(GH_STATEMENT_DOCUMENT_BYTES_MAX);
    size_t at = (size_t)sprintf(json, "{\"Statement\":[");
    for (int i = 0; i < statements; i++) {
        /* The last one is a glob, which the topic of the mixed form is made for. */
        const struct form *by =
            form->resource[0] != NULL ? form : &forms[(size_t)(statements - i + 2) % PURE];
        at += (size_t)sprintf(json + at,
                              "%s{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"%s%d%s\"}",
                              i > 0 ? "," : "", by->resource[0], i, by->resource[1]);
    }
    strcpy(json + at, "]}");
    document.json = gh_slice_text(json);
    struct gh_statements *made = gh_statements_compile(&document, 1, &values, &error);
    if (made == NULL) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
    free(json);
    return made;
}

static void measure(const struct form *form, const char *topic, const char *which, int statements)
{
    static int64_t took[RUNS];
    struct gh_statements *policy = policy_of(form, statements);
    struct gh_slice resource = gh_slice_text(topic);
    unsigned allowed = 0;
    for (int run = 0; run < RUNS; run++) {
        int64_t begun = gh_time_monotonic_ns();
        for (int i = 0; i < RUN; i++)
            allowed += gh_statements_allow(policy, GH_DEVICE_ACTION_PUBLISH, resource, NULL);
        took[run] = gh_time_monotonic_ns() - begun;
    }
    qsort(took, RUNS, sizeof took[0], compare);
    bool first = form == forms && strcmp(which, "last") == 0;
    printf("%s\"%s_%s_ns\":{\"p50\":%.0f,\"p99\":%.0f,\"p99.9\":%.0f,\"allowed\":%s}",
           first ? "" : ",", form->name, which, (double)took[RUNS / 2] / RUN,
           (double)took[RUNS / 100 * 99] / RUN, (double)took[RUNS / 1000 * 999] / RUN,
           allowed > 0 ? "true" : "false");
    gh_statements_unref(policy);
}

int main(int argc, char **argv)
{
    int statements = argc > 1 ? atoi(argv[1]) : GH_STATEMENT_STATEMENTS_MAX;
    char topic[128];
    printf("{\"statements\":%d,", statements);
    for (size_t i = 0; i < GH_COUNT(forms); i++) {
        snprintf(topic, sizeof topic, "%s%d%s", forms[i].topic[0], statements - 1,
                 forms[i].topic[1]);
        measure(&forms[i], topic, "last", statements);
        snprintf(topic, sizeof topic, "%sx%s", forms[i].topic[0], forms[i].topic[1]);
        measure(&forms[i], topic, "none", statements);
    }
    puts("}");
    return 0;
}
