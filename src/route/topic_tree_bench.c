/* What a match costs, and what a filter weighs: FILTERS filters, a third of each shape
 * ("site/S/device/D", "site/S/+/D", "site/S/device/D/command/#", every one with a D of its own),
 * then topics "site/S/device/D", of which one in three matches one filter. The same topics are
 * retained. Bytes are those asked of malloc, entries not included. Prints one JSON line.
 *
 *     topic_tree_bench FILTERS ROUNDS */
#include "base/time.h"
#include "route/retained_tree.h"
#include "route/topic_tree.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { TEXT_MAX = 64, SITES = 50, PIECE = 500 };

struct bench {
    struct gh_topic_tree tree;
    struct gh_retained_tree retained;
    struct gh_topic_entry *entries;
    char (*filters)[TEXT_MAX], (*topics)[TEXT_MAX];
    size_t count, visits;
};

static void visit(void *context, struct gh_topic_entry *entry)
{
    struct bench *bench = context;
    (void)entry;
    bench->visits++;
}

static bool visit_retained(void *context, struct gh_slice topic, void *value)
{
    struct bench *bench = context;
    (void)topic;
    (void)value;
    bench->visits++;
    return true;
}

/* In no order: what lies side by side in the tree does not in memory. */
static size_t shuffled(size_t i, size_t count)
{
    return (i * 2654435761u) % count;
}

static bool fill(struct bench *bench, size_t count)
{
    static const struct {
        const char *before, *after;
    } shapes[] = {{"device/", ""}, {"+/", ""}, {"device/", "/command/#"}};
    bench->entries = calloc(count, sizeof *bench->entries);
    bench->filters = calloc(count, sizeof *bench->filters);
    bench->topics = calloc(count, sizeof *bench->topics);
    if (bench->entries == NULL || bench->filters == NULL || bench->topics == NULL)
        return false;
    bench->count = count;
    for (size_t i = 0; i < count; i++) {
        size_t other = shuffled(i, 2 * count);
        snprintf(bench->filters[i], TEXT_MAX, "site/%zu/%s%zu%s", i % SITES,
                 shapes[i % GH_COUNT(shapes)].before, i, shapes[i % GH_COUNT(shapes)].after);
        snprintf(bench->topics[i], TEXT_MAX, "site/%zu/device/%zu", other % SITES, other);
    }
    return true;
}

static double add_all(struct bench *bench)
{
    int64_t begun_ns = gh_time_monotonic_ns();
    for (size_t i = 0; i < bench->count; i++) {
        size_t at = shuffled(i, bench->count);
        if (gh_topic_entry_added(&bench->entries[at]))
            continue;
        if (!gh_topic_tree_add(&bench->tree, gh_slice_text(bench->filters[at]),
                               &bench->entries[at]))
            exit(1);
    }
    return (double)(gh_time_monotonic_ns() - begun_ns) / (double)bench->count;
}

/* In pieces, of each the quickest round: what it costs when nothing else is on the machine. */
static double match_all(struct bench *bench, size_t rounds, size_t *touched)
{
    struct gh_slice *topics = calloc(bench->count, sizeof *topics);
    int64_t sum_ns = 0;
    if (topics == NULL)
        exit(1);
    for (size_t i = 0; i < bench->count; i++)
        topics[i] = gh_slice_text(bench->topics[i]);
    int64_t *best_ns = calloc(bench->count / PIECE + 1, sizeof *best_ns);
    if (best_ns == NULL)
        exit(1);
    for (size_t round = 0; round < rounds; round++)
        for (size_t from = 0; from < bench->count; from += PIECE) {
            size_t to = from + PIECE < bench->count ? from + PIECE : bench->count;
            int64_t begun_ns = gh_time_monotonic_ns();
            for (size_t i = from; i < to; i++)
                *touched += gh_topic_tree_match(&bench->tree, topics[i], visit, bench);
            int64_t took_ns = gh_time_monotonic_ns() - begun_ns, *best = &best_ns[from / PIECE];
            *best = round == 0 || took_ns < *best ? took_ns : *best;
        }
    for (size_t i = 0; i <= bench->count / PIECE; i++)
        sum_ns += best_ns[i];
    free(topics);
    free(best_ns);
    return (double)sum_ns / (double)bench->count;
}

static double retain_all(struct bench *bench)
{
    int64_t begun_ns = gh_time_monotonic_ns();
    for (size_t i = 0; i < bench->count; i++)
        if (!gh_retained_tree_put(&bench->retained, gh_slice_text(bench->topics[i]), bench, NULL))
            exit(1);
    return (double)(gh_time_monotonic_ns() - begun_ns) / (double)bench->count;
}

static double walk_all(struct bench *bench, struct gh_slice filter)
{
    bench->visits = 0;
    int64_t begun_ns = gh_time_monotonic_ns();
    (void)gh_retained_tree_walk(&bench->retained, filter, (struct gh_slice){0}, SIZE_MAX,
                                visit_retained, bench);
    return (double)(gh_time_monotonic_ns() - begun_ns) / (double)bench->visits;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    struct rusage usage;
    size_t touched = 0;
    if (argc != 3 || atoi(argv[1]) < SITES || atoi(argv[2]) < 1) {
        fprintf(stderr, "usage: topic_tree_bench FILTERS ROUNDS (at least %d, 1)\n", SITES);
        return 2;
    }
    size_t rounds = (size_t)atoi(argv[2]);
    gh_topic_tree_init(&bench.tree);
    gh_retained_tree_init(&bench.retained);
    if (!fill(&bench, (size_t)atoi(argv[1])))
        return 1;
    double add_ns = add_all(&bench), match_ns = match_all(&bench, rounds, &touched);
    double matches = (double)(rounds * bench.count), visits = (double)bench.visits;
    double put_ns = retain_all(&bench), again_ns = retain_all(&bench);
    double walk_ns = walk_all(&bench, GH_SLICE("#"));
    double jump_ns = walk_all(&bench, GH_SLICE("site/7/device/+"));
    size_t retained = gh_retained_tree_count(&bench.retained);
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"bench\":\"topic_tree\",\"filters\":%zu,\"add_ns\":%.0f,\"match_ns\":%.0f,"
           "\"nodes_per_match\":%.2f,\"visits_per_match\":%.2f,\"bytes_per_filter\":%.1f,"
           "\"retained\":%zu,\"retain_new_ns\":%.0f,\"retain_again_ns\":%.0f,\"walk_ns\":%.0f,"
           "\"walk_branch_ns\":%.0f,\"bytes_per_retained\":%.1f,\"resident_kib\":%ld}\n",
           gh_topic_tree_count(&bench.tree), add_ns, match_ns, (double)touched / matches,
           visits / matches,
           (double)gh_topic_tree_bytes(&bench.tree) / (double)gh_topic_tree_count(&bench.tree),
           retained, put_ns, again_ns, walk_ns, jump_ns,
           (double)gh_retained_tree_bytes(&bench.retained) / (double)retained, usage.ru_maxrss);
    gh_topic_tree_deinit(&bench.tree);
    gh_retained_tree_deinit(&bench.retained);
    free(bench.entries);
    free(bench.filters);
    free(bench.topics);
    return 0;
}
