#include "tests/timing.h"
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

enum { WARM_UP = 100 };

struct moments {
    double count, mean, squares; /* Welford's */
};

static uint64_t ticks(void)
{
#if defined(__x86_64__)
    unsigned core;
    return __rdtscp(&core);
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
#endif
}

/* The order of the classes; any sequence without a pattern does. */
static int next_class(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (int)(*state >> 32 & 1);
}

static int by_value(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static void add(struct moments *moments, double value)
{
    double difference = value - moments->mean;
    moments->count += 1;
    moments->mean += difference / moments->count;
    moments->squares += difference * (value - moments->mean);
}

static double t_of(const struct moments of[2])
{
    if (of[0].count < 2 || of[1].count < 2)
        return INFINITY;
    double error = of[0].squares / (of[0].count - 1) / of[0].count +
                   of[1].squares / (of[1].count - 1) / of[1].count;
    double apart = fabs(of[0].mean - of[1].mean);
    return error > 0 ? apart / sqrt(error) : apart > 0 ? INFINITY : 0;
}

/* The tick above which the slowest tenth lies. */
static uint64_t cut(const uint64_t *took, size_t count, uint64_t *sorted)
{
    for (size_t i = 0; i < count; i++)
        sorted[i] = took[i];
    qsort(sorted, count, sizeof *sorted, by_value);
    return sorted[count * 9 / 10];
}

static double measure(const struct timing *timing, uint64_t seed)
{
    uint64_t state = seed;
    uint64_t *took = calloc(2 * timing->samples, sizeof *took);
    unsigned char *classes = calloc(timing->samples, 1);
    struct moments of[2] = {{0}};
    for (int i = 0; i < WARM_UP; i++)
        timing->work(timing->context, next_class(&state));
    for (size_t i = 0; took != NULL && classes != NULL && i < timing->samples; i++) {
        int class = next_class(&state);
        uint64_t from = ticks();
        timing->work(timing->context, class);
        took[i] = ticks() - from;
        classes[i] = (unsigned char)class;
    }
    if (took != NULL && classes != NULL) {
        uint64_t most = cut(took, timing->samples, took + timing->samples);
        for (size_t i = 0; i < timing->samples; i++)
            if (took[i] <= most)
                add(&of[classes[i]], (double)took[i]);
    }
    free(took);
    free(classes);
    return t_of(of);
}

double timing_t(const struct timing *timing)
{
    double least = INFINITY;
    for (unsigned round = 1; round <= timing->rounds && !(least < TIMING_T_MAX); round++)
        least = fmin(least, measure(timing, UINT64_C(0x9e3779b97f4a7c15) * round));
    return least;
}
