#include "identity/delay.h"
#include "crypto/digest.h"
#include <assert.h>
#include <stdlib.h>

enum { KEY_BYTES = 16, DOUBLINGS_MAX = 9 };
static_assert(1 << (DOUBLINGS_MAX - 1) < GH_DELAY_S_MAX && 1 << DOUBLINGS_MAX > GH_DELAY_S_MAX,
              "no more doublings than reach the longest delay");

struct gh_delay {
    struct gh_delay *before, *after; /* by last wrong guess */
    uint8_t key[GH_SHA256_BYTES];
    unsigned wrong;
    int64_t last_ms, until_ms;
};

void gh_delays_init(struct gh_delays *delays, size_t names_max)
{
    assert(names_max > 0);
    *delays = (struct gh_delays){.names_max = names_max};
    gh_map_init(&delays->names);
}

static void unlink_entry(struct gh_delays *delays, struct gh_delay *entry)
{
    *(entry->before == NULL ? &delays->quiet_first : &entry->before->after) = entry->after;
    *(entry->after == NULL ? &delays->quiet_last : &entry->after->before) = entry->before;
    entry->before = entry->after = NULL;
}

static void link_last(struct gh_delays *delays, struct gh_delay *entry)
{
    entry->before = delays->quiet_last;
    *(delays->quiet_last == NULL ? &delays->quiet_first : &delays->quiet_last->after) = entry;
    delays->quiet_last = entry;
}

static void forget(struct gh_delays *delays, struct gh_delay *entry)
{
    void *removed = gh_map_remove(&delays->names, gh_slice(entry->key, KEY_BYTES));
    assert(removed == entry);
    unlink_entry(delays, entry);
    free(entry);
}

void gh_delays_deinit(struct gh_delays *delays)
{
    while (delays->quiet_first != NULL)
        forget(delays, delays->quiet_first);
    gh_map_deinit(&delays->names);
}

/* The entry of a name, unless it is long enough ago to be forgotten. */
static struct gh_delay *find(struct gh_delays *delays, struct gh_slice name, int64_t now_ms)
{
    uint8_t digest[GH_SHA256_BYTES];

    gh_sha256(name, digest);
    struct gh_delay *entry = gh_map_get(&delays->names, gh_slice(digest, KEY_BYTES));
    if (entry != NULL && now_ms - entry->last_ms >= GH_DELAY_FORGET_MS) {
        forget(delays, entry);
        entry = NULL;
    }
    return entry;
}

int64_t gh_delays_wait_ms(struct gh_delays *delays, struct gh_slice name, int64_t now_ms)
{
    struct gh_delay *entry = find(delays, name, now_ms);
    return entry != NULL && entry->until_ms > now_ms ? entry->until_ms - now_ms : 0;
}

static struct gh_delay *add(struct gh_delays *delays, struct gh_slice name)
{
    if (delays->names.count >= delays->names_max)
        forget(delays, delays->quiet_first);
    struct gh_delay *entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return NULL;
    gh_sha256(name, entry->key);
    if (!gh_map_put(&delays->names, gh_slice(entry->key, KEY_BYTES), entry, NULL)) {
        free(entry);
        return NULL;
    }
    link_last(delays, entry);
    return entry;
}

void gh_delays_wrong(struct gh_delays *delays, struct gh_slice name, int64_t now_ms)
{
    struct gh_delay *entry = find(delays, name, now_ms);
    if (entry == NULL && (entry = add(delays, name)) == NULL)
        return;
    unlink_entry(delays, entry);
    link_last(delays, entry);
    int64_t delay_s = entry->wrong >= DOUBLINGS_MAX ? GH_DELAY_S_MAX : INT64_C(1) << entry->wrong;
    entry->wrong++;
    entry->last_ms = now_ms;
    entry->until_ms = now_ms + (delay_s < GH_DELAY_S_MAX ? delay_s : GH_DELAY_S_MAX) * 1000;
}

void gh_delays_clear(struct gh_delays *delays, struct gh_slice name)
{
    uint8_t digest[GH_SHA256_BYTES];

    gh_sha256(name, digest);
    struct gh_delay *entry = gh_map_get(&delays->names, gh_slice(digest, KEY_BYTES));
    if (entry != NULL)
        forget(delays, entry);
}
