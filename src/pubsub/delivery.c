#include "pubsub/delivery.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { NO_SLOT = UINT32_MAX / 2 };

static_assert(sizeof(struct gh_delivery_entry) == 48, "64 with its places, as the header says");

struct gh_delivery_chain {
    uint64_t key;
    uint32_t first, last; /* by offset; NO_SLOT when it is empty */
    uint32_t out;         /* entries that neither wait nor stand behind others */
    bool is_at_hand;
    struct gh_delivery_chain *next_at_hand;
};

void gh_delivery_init(struct gh_delivery *delivery, uint64_t read_to, size_t waiting_max,
                      size_t leases_max)
{
    *delivery = (struct gh_delivery){.free_slot = NO_SLOT,
                                     .waiting_max = waiting_max,
                                     .leases_max = leases_max,
                                     .read_to = read_to};
    gh_map_init(&delivery->chains);
}

void gh_delivery_deinit(struct gh_delivery *delivery)
{
    free(delivery->entries);
    free(delivery->index);
    free(delivery->waiting.slots);
    free(delivery->leased.slots);
    free(delivery->dead.slots);
    free(delivery->acked);
    struct gh_slice key;
    void *chain;
    for (size_t at = 0; gh_map_next(&delivery->chains, &at, &key, &chain);)
        free(chain);
    gh_map_deinit(&delivery->chains);
}

/* Heaps. `place` of an entry follows it. */

static bool before(const struct gh_delivery *delivery, const struct gh_delivery_heap *heap,
                   uint32_t a, uint32_t b)
{
    const struct gh_delivery_entry *x = &delivery->entries[a], *y = &delivery->entries[b];
    return heap == &delivery->leased ? x->deadline_ns < y->deadline_ns : x->offset < y->offset;
}

static void put(struct gh_delivery *delivery, struct gh_delivery_heap *heap, size_t place,
                uint32_t slot)
{
    heap->slots[place] = slot;
    delivery->entries[slot].place = (uint32_t)place;
}

static void rise(struct gh_delivery *delivery, struct gh_delivery_heap *heap, size_t place)
{
    uint32_t slot = heap->slots[place];
    for (; place > 0 && before(delivery, heap, slot, heap->slots[(place - 1) / 2]);
         place = (place - 1) / 2)
        put(delivery, heap, place, heap->slots[(place - 1) / 2]);
    put(delivery, heap, place, slot);
}

static void sink(struct gh_delivery *delivery, struct gh_delivery_heap *heap, size_t place)
{
    uint32_t slot = heap->slots[place];
    for (size_t child; (child = 2 * place + 1) < heap->count; place = child) {
        if (child + 1 < heap->count &&
            before(delivery, heap, heap->slots[child + 1], heap->slots[child]))
            child++;
        if (!before(delivery, heap, heap->slots[child], slot))
            break;
        put(delivery, heap, place, heap->slots[child]);
    }
    put(delivery, heap, place, slot);
}

static bool heap_room(struct gh_delivery_heap *heap, size_t wanted)
{
    if (wanted <= heap->capacity)
        return true;
    size_t capacity = heap->capacity == 0 ? 16 : heap->capacity;
    while (capacity < wanted)
        capacity *= 2;
    uint32_t *slots = reallocarray(heap->slots, capacity, sizeof *slots);
    if (slots == NULL)
        return false;
    heap->slots = slots;
    heap->capacity = capacity;
    return true;
}

static void heap_add(struct gh_delivery *delivery, struct gh_delivery_heap *heap, uint32_t slot)
{
    assert(heap->count < heap->capacity); /* each has room for every entry */
    heap->slots[heap->count] = slot;
    rise(delivery, heap, heap->count++);
}

static void heap_remove(struct gh_delivery *delivery, struct gh_delivery_heap *heap, uint32_t slot)
{
    size_t place = delivery->entries[slot].place;
    assert(place < heap->count && heap->slots[place] == slot);
    uint32_t moved = heap->slots[--heap->count];
    if (moved == slot)
        return;
    put(delivery, heap, place, moved);
    rise(delivery, heap, place);
    sink(delivery, heap, delivery->entries[moved].place);
}

/* The index by offset. */

static size_t index_home(const struct gh_delivery *delivery, uint64_t offset)
{
    return (size_t)(offset * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (delivery->index_capacity - 1);
}

/* Where `offset` stands, or the empty place where it would. */
static size_t index_find(const struct gh_delivery *delivery, uint64_t offset)
{
    size_t mask = delivery->index_capacity - 1;
    size_t at = index_home(delivery, offset);
    while (delivery->index[at] != 0 && delivery->entries[delivery->index[at] - 1].offset != offset)
        at = (at + 1) & mask;
    return at;
}

static uint32_t find(const struct gh_delivery *delivery, uint64_t offset)
{
    if (delivery->index_capacity == 0)
        return NO_SLOT;
    size_t at = index_find(delivery, offset);
    return delivery->index[at] == 0 ? NO_SLOT : delivery->index[at] - 1;
}

/* Closes the gap, so that no marks of the deleted are needed. */
static void index_remove(struct gh_delivery *delivery, uint64_t offset)
{
    size_t mask = delivery->index_capacity - 1;
    size_t gap = index_find(delivery, offset);
    for (size_t at = (gap + 1) & mask; delivery->index[at] != 0; at = (at + 1) & mask) {
        size_t home = index_home(delivery, delivery->entries[delivery->index[at] - 1].offset);
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            delivery->index[gap] = delivery->index[at];
            gap = at;
        }
    }
    delivery->index[gap] = 0;
}

static bool index_room(struct gh_delivery *delivery)
{
    if (4 * (delivery->count + 1) <= 3 * delivery->index_capacity)
        return true;
    size_t capacity = delivery->index_capacity == 0 ? 32 : 2 * delivery->index_capacity;
    uint32_t *grown = calloc(capacity, sizeof *grown);
    if (grown == NULL)
        return false;
    free(delivery->index);
    delivery->index = grown;
    delivery->index_capacity = capacity;
    for (size_t slot = 0; slot < delivery->entries_used; slot++)
        if (delivery->entries[slot].state != GH_DELIVERY_FREE)
            grown[index_find(delivery, delivery->entries[slot].offset)] = (uint32_t)slot + 1;
    return true;
}

/* A free entry, with room in the heaps and the index for it; NO_SLOT: no memory. */
static uint32_t entry_new(struct gh_delivery *delivery)
{
    uint32_t slot = delivery->free_slot;
    if (!index_room(delivery) || !heap_room(&delivery->waiting, delivery->count + 1) ||
        !heap_room(&delivery->leased, delivery->count + 1) ||
        !heap_room(&delivery->dead, delivery->count + 1))
        return NO_SLOT;
    if (slot != NO_SLOT) {
        delivery->free_slot = delivery->entries[slot].place;
        return slot;
    }
    if (delivery->entries_used == delivery->entries_capacity) {
        size_t capacity = delivery->entries_capacity == 0 ? 16 : 2 * delivery->entries_capacity;
        void *entries = reallocarray(delivery->entries, capacity, sizeof *delivery->entries);
        if (entries == NULL)
            return NO_SLOT;
        delivery->entries = entries;
        delivery->entries_capacity = capacity;
    }
    return (uint32_t)delivery->entries_used++;
}

/* Chains. */

static bool waits(enum gh_delivery_state state)
{
    return state == GH_DELIVERY_WAITING || state == GH_DELIVERY_BEHIND;
}

static struct gh_delivery_heap *heap_of(struct gh_delivery *delivery, enum gh_delivery_state state)
{
    switch (state) {
    case GH_DELIVERY_WAITING:
        return &delivery->waiting;
    case GH_DELIVERY_LEASED:
    case GH_DELIVERY_PAUSED:
        return &delivery->leased;
    case GH_DELIVERY_DEAD:
        return &delivery->dead;
    default:
        return NULL;
    }
}

/* From one state to another, with the heaps and counts that go with them; its chain is settled by
 * the caller. A new entry comes from FREE, one that ends goes there. */
static void turn(struct gh_delivery *delivery, uint32_t slot, enum gh_delivery_state state)
{
    struct gh_delivery_entry *entry = &delivery->entries[slot];
    enum gh_delivery_state before = (enum gh_delivery_state)entry->state;
    struct gh_delivery_heap *from = heap_of(delivery, before), *to = heap_of(delivery, state);
    if (from != NULL)
        heap_remove(delivery, from, slot);
    entry->state = (uint8_t)state;
    if (to != NULL)
        heap_add(delivery, to, slot);
    delivery->waiting_count -= waits(before);
    delivery->waiting_count += waits(state);
    if (entry->chain == NULL)
        return;
    entry->chain->out -= before != GH_DELIVERY_FREE && !waits(before);
    entry->chain->out += state != GH_DELIVERY_FREE && !waits(state);
}

static struct gh_slice key_of(const uint64_t *key)
{
    return gh_slice(key, sizeof *key);
}

/* NULL: no memory. */
static struct gh_delivery_chain *chain_find(struct gh_delivery *delivery, uint64_t key)
{
    struct gh_delivery_chain *chain = gh_map_get(&delivery->chains, key_of(&key));
    if (chain != NULL || (chain = calloc(1, sizeof *chain)) == NULL)
        return chain;
    chain->key = key;
    chain->first = chain->last = NO_SLOT;
    if (gh_map_put(&delivery->chains, key_of(&chain->key), chain, NULL))
        return chain;
    free(chain);
    return NULL;
}

/* In the order of offsets, which is almost always at its end. */
static void chain_join(struct gh_delivery *delivery, struct gh_delivery_chain *chain, uint32_t slot)
{
    struct gh_delivery_entry *entries = delivery->entries, *entry = &entries[slot];
    entry->chain = chain;
    entry->before = chain->last;
    while (entry->before != NO_SLOT && entries[entry->before].offset > entry->offset)
        entry->before = entries[entry->before].before;
    entry->behind = entry->before == NO_SLOT ? chain->first : entries[entry->before].behind;
    *(entry->before == NO_SLOT ? &chain->first : &entries[entry->before].behind) = slot;
    *(entry->behind == NO_SLOT ? &chain->last : &entries[entry->behind].before) = slot;
}

static void chain_part(struct gh_delivery *delivery, uint32_t slot)
{
    struct gh_delivery_entry *entries = delivery->entries, *entry = &entries[slot];
    struct gh_delivery_chain *chain = entry->chain;
    *(entry->before == NO_SLOT ? &chain->first : &entries[entry->before].behind) = entry->behind;
    *(entry->behind == NO_SLOT ? &chain->last : &entries[entry->behind].before) = entry->before;
    entry->chain = NULL;
}

/* Its first waiting message may be handed out when nothing of it is out, or when what is out is of
 * the batch that is being made. An empty chain goes. */
static void chain_settle(struct gh_delivery *delivery, struct gh_delivery_chain *chain)
{
    if (chain == NULL)
        return;
    if (chain->first == NO_SLOT && !chain->is_at_hand) {
        gh_map_remove(&delivery->chains, key_of(&chain->key));
        free(chain);
        return;
    }
    uint32_t slot = chain->first;
    while (slot != NO_SLOT && !waits((enum gh_delivery_state)delivery->entries[slot].state))
        slot = delivery->entries[slot].behind;
    if (slot == NO_SLOT)
        return;
    bool is_open = chain->out == 0 || chain->is_at_hand;
    enum gh_delivery_state state = is_open ? GH_DELIVERY_WAITING : GH_DELIVERY_BEHIND;
    if (delivery->entries[slot].state != state)
        turn(delivery, slot, state);
    uint32_t next = delivery->entries[slot].behind; /* it was first until this one came back */
    if (next != NO_SLOT && delivery->entries[next].state == GH_DELIVERY_WAITING)
        turn(delivery, next, GH_DELIVERY_BEHIND);
}

/* To any state, with what follows from it for the chain. */
static void settle(struct gh_delivery *delivery, uint32_t slot, enum gh_delivery_state state)
{
    turn(delivery, slot, state);
    chain_settle(delivery, delivery->entries[slot].chain);
}

/* In a chain it may stand behind others. */
static void wait_again(struct gh_delivery *delivery, uint32_t slot)
{
    bool is_chained = delivery->entries[slot].chain != NULL;
    settle(delivery, slot, is_chained ? GH_DELIVERY_BEHIND : GH_DELIVERY_WAITING);
}

static void entry_free(struct gh_delivery *delivery, uint32_t slot)
{
    struct gh_delivery_entry *entry = &delivery->entries[slot];
    struct gh_delivery_chain *chain = entry->chain;
    turn(delivery, slot, GH_DELIVERY_FREE);
    if (chain != NULL)
        chain_part(delivery, slot);
    index_remove(delivery, entry->offset);
    entry->place = delivery->free_slot;
    delivery->free_slot = slot;
    delivery->count--;
    chain_settle(delivery, chain);
}

bool gh_delivery_has_room(const struct gh_delivery *delivery)
{
    return delivery->waiting_count < delivery->waiting_max;
}

uint64_t gh_delivery_key(const struct gh_delivery_entry *entry)
{
    return entry->chain == NULL ? 0 : entry->chain->key;
}

/* Index of the first acknowledged offset not below `offset`. */
static size_t acked_place(const struct gh_delivery *delivery, uint64_t offset)
{
    size_t low = 0, high = delivery->acked_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (delivery->acked[middle] < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_acked(const struct gh_delivery *delivery, uint64_t offset)
{
    size_t at = acked_place(delivery, offset);
    return at < delivery->acked_count && delivery->acked[at] == offset;
}

void gh_delivery_read_to(struct gh_delivery *delivery, uint64_t offset)
{
    if (offset <= delivery->read_to)
        return;
    delivery->read_to = offset;
    if (delivery->acked_count == 0)
        return;
    size_t passed = acked_place(delivery, offset);
    if (passed == delivery->acked_count) {
        free(delivery->acked);
        delivery->acked = NULL;
        delivery->acked_count = delivery->acked_capacity = 0;
    } else if (passed > 4096) { /* in steps, as each moves the rest */
        delivery->acked_count -= passed;
        memmove(delivery->acked, delivery->acked + passed,
                delivery->acked_count * sizeof *delivery->acked);
    }
}

bool gh_delivery_add(struct gh_delivery *delivery, uint64_t offset, uint32_t position, uint64_t key)
{
    struct gh_delivery_chain *chain = NULL;
    if (is_acked(delivery, offset) || find(delivery, offset) != NO_SLOT) {
        gh_delivery_read_to(delivery, offset + 1);
        return true;
    }
    if (key != 0 && (chain = chain_find(delivery, key)) == NULL)
        return false;
    uint32_t slot = entry_new(delivery);
    if (slot == NO_SLOT) {
        chain_settle(delivery, chain);
        return false;
    }
    delivery->entries[slot] = (struct gh_delivery_entry){.offset = offset, .position = position};
    delivery->index[index_find(delivery, offset)] = slot + 1;
    delivery->count++;
    if (chain != NULL)
        chain_join(delivery, chain, slot);
    wait_again(delivery, slot);
    gh_delivery_read_to(delivery, offset + 1);
    return true;
}

void gh_delivery_recall(struct gh_delivery *delivery, uint64_t offset, uint32_t attempts,
                        uint16_t failures)
{
    uint32_t slot = find(delivery, offset);
    if (slot == NO_SLOT)
        return;
    delivery->entries[slot].attempts = attempts;
    delivery->entries[slot].failures = failures;
}

bool gh_delivery_lease(struct gh_delivery *delivery, int64_t deadline_ns,
                       struct gh_delivery_entry *out)
{
    if (delivery->waiting.count == 0 ||
        delivery->count - delivery->waiting_count >= delivery->leases_max)
        return false;
    uint32_t slot = delivery->waiting.slots[0];
    struct gh_delivery_entry *entry = &delivery->entries[slot];
    struct gh_delivery_chain *chain = entry->chain;
    if (chain != NULL && !chain->is_at_hand) {
        chain->is_at_hand = true;
        chain->next_at_hand = delivery->at_hand;
        delivery->at_hand = chain;
    }
    entry->deadline_ns = deadline_ns;
    entry->attempts++;
    settle(delivery, slot, GH_DELIVERY_LEASED);
    *out = *entry;
    return true;
}

void gh_delivery_batch_end(struct gh_delivery *delivery)
{
    for (struct gh_delivery_chain *next; delivery->at_hand != NULL; delivery->at_hand = next) {
        struct gh_delivery_chain *chain = delivery->at_hand;
        next = chain->next_at_hand;
        chain->is_at_hand = false;
        chain_settle(delivery, chain);
    }
}

void gh_delivery_unlease(struct gh_delivery *delivery, uint64_t offset)
{
    uint32_t slot = find(delivery, offset);
    assert(slot != NO_SLOT && delivery->entries[slot].state == GH_DELIVERY_LEASED);
    delivery->entries[slot].attempts--;
    wait_again(delivery, slot);
}

/* Twice as long with every failure. */
static int64_t pause_ns(const struct gh_delivery *delivery, unsigned failures)
{
    int64_t pause = delivery->rules.pause_min_ns;
    for (unsigned i = 1; i < failures && pause < delivery->rules.pause_max_ns; i++)
        pause *= 2;
    return pause < delivery->rules.pause_max_ns ? pause : delivery->rules.pause_max_ns;
}

/* A lease has ended without an acknowledgement. */
static void fail(struct gh_delivery *delivery, uint32_t slot, int64_t now_ns)
{
    struct gh_delivery_entry *entries = delivery->entries, *entry = &entries[slot];
    enum gh_delivery_state state = GH_DELIVERY_BEHIND;
    turn(delivery, slot, GH_DELIVERY_BEHIND); /* out of the heap, as its deadline changes */
    if (entry->failures < UINT16_MAX)
        entry->failures++;
    entry->deadline_ns = now_ns + pause_ns(delivery, entry->failures);
    if (delivery->rules.failures_max != 0 && entry->failures >= delivery->rules.failures_max)
        state = GH_DELIVERY_DEAD;
    else if (entry->deadline_ns > now_ns)
        state = GH_DELIVERY_PAUSED;
    else if (entry->chain == NULL)
        state = GH_DELIVERY_WAITING;
    for (uint32_t later = entry->chain == NULL ? NO_SLOT : entry->behind; later != NO_SLOT;
         later = entries[later].behind)
        if (entries[later].state == GH_DELIVERY_LEASED || entries[later].state == GH_DELIVERY_EARLY)
            turn(delivery, later, GH_DELIVERY_BEHIND); /* which is not its own failure */
    settle(delivery, slot, state);
}

/* The slot of that attempt's lease, NO_SLOT when there is none any more. */
static uint32_t lease_find(const struct gh_delivery *delivery, uint64_t offset, uint32_t attempt)
{
    uint32_t slot = find(delivery, offset);
    if (slot == NO_SLOT || delivery->entries[slot].state != GH_DELIVERY_LEASED ||
        delivery->entries[slot].attempts != attempt)
        return NO_SLOT;
    return slot;
}

bool gh_delivery_extend(struct gh_delivery *delivery, uint64_t offset, uint32_t attempt,
                        int64_t deadline_ns)
{
    uint32_t slot = lease_find(delivery, offset, attempt);
    if (slot == NO_SLOT)
        return false;
    heap_remove(delivery, &delivery->leased, slot);
    delivery->entries[slot].deadline_ns = deadline_ns;
    heap_add(delivery, &delivery->leased, slot);
    return true;
}

bool gh_delivery_nack(struct gh_delivery *delivery, uint64_t offset, uint32_t attempt,
                      int64_t now_ns)
{
    uint32_t slot = lease_find(delivery, offset, attempt);
    if (slot == NO_SLOT)
        return false;
    fail(delivery, slot, now_ns);
    return true;
}

void gh_delivery_expire(struct gh_delivery *delivery, int64_t now_ns)
{
    while (delivery->leased.count > 0 &&
           delivery->entries[delivery->leased.slots[0]].deadline_ns <= now_ns) {
        uint32_t slot = delivery->leased.slots[0];
        if (delivery->entries[slot].state == GH_DELIVERY_LEASED)
            fail(delivery, slot, now_ns);
        else
            wait_again(delivery, slot);
    }
}

int64_t gh_delivery_deadline_ns(const struct gh_delivery *delivery)
{
    return delivery->leased.count == 0 ? INT64_MAX
                                       : delivery->entries[delivery->leased.slots[0]].deadline_ns;
}

bool gh_delivery_take_dead(struct gh_delivery *delivery, struct gh_delivery_entry *out)
{
    if (delivery->dead.count == 0)
        return false;
    uint32_t slot = delivery->dead.slots[0];
    settle(delivery, slot, GH_DELIVERY_ACKING);
    *out = delivery->entries[slot];
    return true;
}

void gh_delivery_revive(struct gh_delivery *delivery, uint64_t offset, int64_t deadline_ns)
{
    uint32_t slot = find(delivery, offset);
    if (slot == NO_SLOT || delivery->entries[slot].state != GH_DELIVERY_ACKING)
        return;
    delivery->entries[slot].deadline_ns = deadline_ns;
    settle(delivery, slot, GH_DELIVERY_PAUSED);
}

/* Whether all of its chain before it are being acknowledged. */
static bool is_its_turn(const struct gh_delivery *delivery, uint32_t slot)
{
    const struct gh_delivery_entry *entries = delivery->entries;
    uint32_t before = entries[slot].chain == NULL ? NO_SLOT : entries[slot].before;
    return before == NO_SLOT || entries[before].state == GH_DELIVERY_ACKING;
}

bool gh_delivery_ack_begin(struct gh_delivery *delivery, uint64_t offset)
{
    uint32_t slot = find(delivery, offset);
    if (slot == NO_SLOT)
        return offset >= delivery->read_to && !is_acked(delivery, offset);
    enum gh_delivery_state state = (enum gh_delivery_state)delivery->entries[slot].state;
    if (!is_its_turn(delivery, slot)) {
        if (state == GH_DELIVERY_LEASED)
            settle(delivery, slot, GH_DELIVERY_EARLY);
        return false;
    }
    settle(delivery, slot, GH_DELIVERY_ACKING);
    if (waits(state)) /* a late acknowledgement counts */
        delivery->entries[slot].deadline_ns = 0;
    return true;
}

bool gh_delivery_ack_next(struct gh_delivery *delivery, uint64_t offset, uint64_t *next)
{
    uint32_t slot = find(delivery, offset);
    if (slot == NO_SLOT || delivery->entries[slot].chain == NULL)
        return false;
    uint32_t behind = delivery->entries[slot].behind;
    if (behind == NO_SLOT || delivery->entries[behind].state != GH_DELIVERY_EARLY ||
        !is_its_turn(delivery, behind))
        return false;
    settle(delivery, behind, GH_DELIVERY_ACKING);
    *next = delivery->entries[behind].offset;
    return true;
}

bool gh_delivery_ack_done(struct gh_delivery *delivery, uint64_t offset)
{
    uint32_t slot = find(delivery, offset);
    if (slot != NO_SLOT) {
        entry_free(delivery, slot);
        return true;
    }
    size_t at = acked_place(delivery, offset);
    if (offset < delivery->read_to || (at < delivery->acked_count && delivery->acked[at] == offset))
        return true;
    if (delivery->acked_count == delivery->acked_capacity) {
        size_t capacity = delivery->acked_capacity == 0 ? 64 : 2 * delivery->acked_capacity;
        uint64_t *acked = reallocarray(delivery->acked, capacity, sizeof *acked);
        if (acked == NULL)
            return false;
        delivery->acked = acked;
        delivery->acked_capacity = capacity;
    }
    memmove(delivery->acked + at + 1, delivery->acked + at,
            (delivery->acked_count - at) * sizeof *delivery->acked);
    delivery->acked[at] = offset;
    delivery->acked_count++;
    return true;
}

void gh_delivery_ack_failed(struct gh_delivery *delivery, uint64_t offset)
{
    uint32_t slot = find(delivery, offset);
    if (slot == NO_SLOT || delivery->entries[slot].state != GH_DELIVERY_ACKING)
        return;
    settle(delivery, slot, GH_DELIVERY_LEASED); /* its deadline may have passed: then it waits */
}

void gh_delivery_drop(struct gh_delivery *delivery, uint64_t offset)
{
    uint32_t slot = find(delivery, offset);
    if (slot != NO_SLOT)
        entry_free(delivery, slot);
}

void gh_delivery_drop_below(struct gh_delivery *delivery, uint64_t offset)
{
    for (size_t slot = 0; slot < delivery->entries_used; slot++)
        if (delivery->entries[slot].state != GH_DELIVERY_FREE &&
            delivery->entries[slot].offset < offset)
            entry_free(delivery, (uint32_t)slot);
    gh_delivery_read_to(delivery, offset);
}

bool gh_delivery_seek(struct gh_delivery *delivery, uint64_t from, uint64_t again_from)
{
    struct gh_delivery next;
    uint64_t read_to = delivery->read_to < again_from ? delivery->read_to : again_from;
    bool done = true;
    gh_delivery_init(&next, from, delivery->waiting_max, delivery->leases_max);
    next.rules = delivery->rules;
    for (size_t i = 0; done && i < delivery->entries_used; i++) {
        const struct gh_delivery_entry *entry = &delivery->entries[i];
        if (entry->state == GH_DELIVERY_FREE || entry->offset < from || entry->offset >= again_from)
            continue;
        done = gh_delivery_add(&next, entry->offset, entry->position, gh_delivery_key(entry));
        gh_delivery_recall(&next, entry->offset, entry->attempts, 0);
    }
    next.read_to = from > read_to ? from : read_to;
    for (size_t i = 0; done && i < delivery->acked_count; i++)
        if (delivery->acked[i] < again_from)
            done = gh_delivery_ack_done(&next, delivery->acked[i]);
    if (!done) {
        gh_delivery_deinit(&next);
        return false;
    }
    gh_delivery_deinit(delivery);
    *delivery = next;
    return true;
}

uint64_t gh_delivery_acked_to(const struct gh_delivery *delivery)
{
    uint64_t lowest = delivery->read_to;
    for (size_t slot = 0; slot < delivery->entries_used; slot++)
        if (delivery->entries[slot].state != GH_DELIVERY_FREE &&
            delivery->entries[slot].offset < lowest)
            lowest = delivery->entries[slot].offset;
    return lowest;
}
