#include "io/crowd.h"
#include "base/map.h"
#include "io/network.h"
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

enum { IP6_NETWORK_BYTES = 8 }; /* /64 */

struct gh_crowd {
    pthread_mutex_t lock;
    size_t per_address_max;
    struct gh_map counts; /* address -> its count, as a number in the pointer */
};

struct gh_crowd *gh_crowd_open(size_t per_address_max, struct gh_error *error)
{
    struct gh_crowd *crowd = calloc(1, sizeof *crowd);

    if (crowd == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "counts of addresses");
        return NULL;
    }
    crowd->per_address_max = per_address_max != 0 ? per_address_max : GH_CROWD_PER_ADDRESS_MAX;
    gh_map_init(&crowd->counts);
    pthread_mutex_init(&crowd->lock, NULL);
    return crowd;
}

void gh_crowd_close(struct gh_crowd *crowd)
{
    if (crowd == NULL)
        return;
    assert(crowd->counts.count == 0);
    gh_map_deinit(&crowd->counts);
    pthread_mutex_destroy(&crowd->lock);
    free(crowd);
}

/* Empty when the peer is not counted. */
static struct gh_slice key_of(const struct gh_address *peer)
{
    struct gh_slice bytes = gh_address_bytes(peer);

    if (gh_address_is_loopback(peer))
        return (struct gh_slice){0};
    return peer->name.any.sa_family == AF_INET6 ? gh_slice_sub(bytes, 0, IP6_NETWORK_BYTES) : bytes;
}

static size_t count_of(const struct gh_crowd *crowd, struct gh_slice key)
{
    return (size_t)(uintptr_t)gh_map_get(&crowd->counts, key);
}

enum gh_crowd_verdict gh_crowd_enter(struct gh_crowd *crowd, const struct gh_address *peer)
{
    struct gh_slice key = key_of(peer);

    if (key.size == 0)
        return GH_CROWD_FREE;
    pthread_mutex_lock(&crowd->lock);
    size_t count = count_of(crowd, key);
    bool enters = count < crowd->per_address_max &&
                  gh_map_put(&crowd->counts, key, (void *)(uintptr_t)(count + 1), NULL);
    pthread_mutex_unlock(&crowd->lock);
    return enters ? GH_CROWD_COUNTED : GH_CROWD_FULL;
}

void gh_crowd_leave(struct gh_crowd *crowd, const struct gh_address *peer)
{
    struct gh_slice key = key_of(peer);

    pthread_mutex_lock(&crowd->lock);
    size_t count = count_of(crowd, key);
    assert(count > 0);
    if (count == 1) {
        gh_map_remove(&crowd->counts, key);
    } else {
        bool replaced = gh_map_put(&crowd->counts, key, (void *)(uintptr_t)(count - 1), NULL);
        assert(replaced); /* the key is there: nothing is allocated */
        (void)replaced;
    }
    pthread_mutex_unlock(&crowd->lock);
}

size_t gh_crowd_addresses(struct gh_crowd *crowd)
{
    pthread_mutex_lock(&crowd->lock);
    size_t count = crowd->counts.count;
    pthread_mutex_unlock(&crowd->lock);
    return count;
}
