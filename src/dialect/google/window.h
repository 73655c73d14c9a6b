/* What one StreamingPull stream has been given and has not answered: the client says how many
 * messages and bytes of them it takes at a time. A message leaves the window when it is
 * acknowledged or given back, or when its deadline has passed, as it is somebody else's then.
 *
 * No I/O and no clock: the caller brings the time. Memory: its own, an entry for each message, at
 * most as many as the client asked for. Threads: one at a time. */
#ifndef GH_DIALECT_GOOGLE_WINDOW_H
#define GH_DIALECT_GOOGLE_WINDOW_H

#include "base/map.h"

struct google_window {
    size_t messages_max, bytes_max; /* 0: no bound; without either nothing is remembered */
    size_t bytes;
    int64_t earliest_ns;  /* no deadline is before */
    struct gh_map leases; /* by ackId */
};

void google_window_init(struct google_window *window, int64_t messages_max, int64_t bytes_max);
void google_window_deinit(struct google_window *window);
/* One more was sent. Without memory it is not counted. */
void google_window_add(struct google_window *window, struct gh_slice ack_id, size_t bytes,
                       int64_t deadline_ns);
void google_window_extend(struct google_window *window, struct gh_slice ack_id,
                          int64_t deadline_ns);
void google_window_drop(struct google_window *window, struct gh_slice ack_id);
/* Lowers both to what there is room for; 0 messages when there is none for bytes either. */
void google_window_room(struct google_window *window, int64_t now_ns, size_t *messages,
                        size_t *bytes);
#endif
