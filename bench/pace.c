#include "bench/pace.h"
#include "base/time.h"

static int64_t due_ns(const struct pace *pace, uint64_t number)
{
    /* Whole seconds apart, so that nothing overflows in a run of years. */
    uint64_t seconds = number / pace->rate, rest = number % pace->rate;
    return pace->start_ns +
           (int64_t)(seconds * (uint64_t)GH_SECOND_NS + rest * (uint64_t)GH_SECOND_NS / pace->rate);
}

static uint64_t number_of(const struct pace *pace, size_t publisher, uint64_t own)
{
    return own * pace->publishers + publisher;
}

int64_t pace_due_ns(const struct pace *pace, size_t publisher, uint64_t own)
{
    return due_ns(pace, number_of(pace, publisher, own));
}

bool pace_has_released(const struct pace *pace, size_t publisher, uint64_t own)
{
    return number_of(pace, publisher, own) < pace->released;
}

int64_t pace_next_ns(const struct pace *pace)
{
    return due_ns(pace, pace->released);
}

bool pace_release(struct pace *pace, int64_t now_ns, size_t *publisher)
{
    if (pace_next_ns(pace) > now_ns)
        return false;
    *publisher = (size_t)(pace->released++ % pace->publishers);
    return true;
}
