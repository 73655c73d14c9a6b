#include "dialect/google/window.h"
#include <stdlib.h>

struct lease {
    size_t bytes;
    int64_t deadline_ns;
};

static size_t bound(int64_t asked)
{
    return asked <= 0 ? 0 : (uint64_t)asked > SIZE_MAX ? SIZE_MAX : (size_t)asked;
}

void google_window_init(struct google_window *window, int64_t messages_max, int64_t bytes_max)
{
    *window = (struct google_window){.messages_max = bound(messages_max),
                                     .bytes_max = bound(bytes_max),
                                     .earliest_ns = INT64_MAX};
    gh_map_init(&window->leases);
}

void google_window_deinit(struct google_window *window)
{
    struct gh_slice key;
    void *lease;
    for (size_t at = 0; gh_map_next(&window->leases, &at, &key, &lease);)
        free(lease);
    gh_map_deinit(&window->leases);
}

void google_window_drop(struct google_window *window, struct gh_slice ack_id)
{
    struct lease *lease = gh_map_remove(&window->leases, ack_id);
    if (lease == NULL)
        return;
    window->bytes -= lease->bytes;
    free(lease);
}

void google_window_add(struct google_window *window, struct gh_slice ack_id, size_t bytes,
                       int64_t deadline_ns)
{
    if (window->messages_max == 0 && window->bytes_max == 0)
        return;
    google_window_drop(window, ack_id);
    struct lease *lease = malloc(sizeof *lease);
    if (lease == NULL || !gh_map_put(&window->leases, ack_id, lease, NULL)) {
        free(lease);
        return;
    }
    *lease = (struct lease){.bytes = bytes, .deadline_ns = deadline_ns};
    window->bytes += bytes;
    if (deadline_ns < window->earliest_ns)
        window->earliest_ns = deadline_ns;
}

void google_window_extend(struct google_window *window, struct gh_slice ack_id, int64_t deadline_ns)
{
    struct lease *lease = gh_map_get(&window->leases, ack_id);
    if (lease == NULL)
        return;
    lease->deadline_ns = deadline_ns;
    if (deadline_ns < window->earliest_ns)
        window->earliest_ns = deadline_ns;
}

/* Lets go of those whose deadline has passed. */
static void expire(struct google_window *window, int64_t now_ns)
{
    struct gh_slice key;
    void *value;
    int64_t earliest_ns = INT64_MAX;
    if (now_ns < window->earliest_ns)
        return;
    for (size_t at = 0; gh_map_next(&window->leases, &at, &key, &value);) {
        const struct lease *lease = value;
        if (lease->deadline_ns <= now_ns)
            google_window_drop(window, key); /* the entry at hand may go */
        else if (lease->deadline_ns < earliest_ns)
            earliest_ns = lease->deadline_ns;
    }
    window->earliest_ns = earliest_ns;
}

/* `want`, or what is left of `max` when that is less. */
static size_t left(size_t max, size_t used, size_t want)
{
    size_t rest = max == 0 ? want : max > used ? max - used : 0;
    return rest < want ? rest : want;
}

void google_window_room(struct google_window *window, int64_t now_ns, size_t *messages,
                        size_t *bytes)
{
    expire(window, now_ns);
    *messages = left(window->messages_max, window->leases.count, *messages);
    *bytes = left(window->bytes_max, window->bytes, *bytes);
    if (*bytes == 0)
        *messages = 0;
}
