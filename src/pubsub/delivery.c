#include "pubsub/delivery.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { NO_SLOT = UINT32_MAX / 2 };

static_assert(sizeof(struct gh_delivery_entry) == 32, "bytes an entry, as the header says");

void gh_delivery_init(struct gh_delivery *delivery, uint64_t read_to, size_t waiting_max,
                      size_t leases_max)
{
    *delivery = (struct gh_delivery){.free_slot = NO_SLOT,
                                     .waiting_max = waiting_max,
                                     .leases_max = leases_max,
                                     .read_to = read_to};
}

void gh_delivery_deinit(struct gh_delivery *delivery)
{
    free(delivery->entries);
    free(delivery->index);
    free(delivery->waiting.slots);
    free(delivery->leased.slots);
    free(delivery->acked);
}

/* Heaps. `place` of an entry follows it. */

static bool before(const struct gh_delivery *delivery, const struct gh_delivery_heap *heap,
                   uint32_t a, uint32_t b)
{
    const struct gh_delivery_entry *x = &delivery->entries[a], *y = &delivery->entries[b];
    return heap == &delivery->waiting ? x->offset < y->offset : x->deadline_ns < y->deadline_ns;
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
    assert(heap->count < heap->capacity); /* both have room for every entry */
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

/* A free entry, with room in both heaps and the index for it; NO_SLOT: no memory. */
static uint32_t entry_new(struct gh_delivery *delivery)
{
    uint32_t slot = delivery->free_slot;
    if (!index_room(delivery) || !heap_room(&delivery->waiting, delivery->count + 1) ||
        !heap_room(&delivery->leased, delivery->count + 1))
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

static void entry_free(struct gh_delivery *delivery, uint32_t slot)
{
    struct gh_delivery_entry *entry = &delivery->entries[slot];
    if (entry->state == GH_DELIVERY_WAITING)
        heap_remove(delivery, &delivery->waiting, slot);
    if (entry->state == GH_DELIVERY_LEASED)
        heap_remove(delivery, &delivery->leased, slot);
    index_remove(delivery, entry->offset);
    entry->state = GH_DELIVERY_FREE;
    entry->place = delivery->free_slot;
    delivery->free_slot = slot;
    delivery->count--;
}

bool gh_delivery_has_room(const struct gh_delivery *delivery)
{
    return delivery->waiting.count < delivery->waiting_max;
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

bool gh_delivery_add(struct gh_delivery *delivery, uint64_t offset, uint32_t position,
                     uint32_t attempts)
{
    if (is_acked(delivery, offset) || find(delivery, offset) != NO_SLOT) {
        gh_delivery_read_to(delivery, offset + 1);
        return true;
    }
    uint32_t slot = entry_new(delivery);
    if (slot == NO_SLOT)
        return false;
    delivery->entries[slot] = (struct gh_delivery_entry){
        .offset = offset, .position = position, .attempts = attempts, .state = GH_DELIVERY_WAITING};
    delivery->index[index_find(delivery, offset)] = slot + 1;
    delivery->count++;
    heap_add(delivery, &delivery->waiting, slot);
    gh_delivery_read_to(delivery, offset + 1);
    return true;
}

/* From any state to waiting. */
static void wait_again(struct gh_delivery *delivery, uint32_t slot)
{
    if (delivery->entries[slot].state == GH_DELIVERY_LEASED)
        heap_remove(delivery, &delivery->leased, slot);
    delivery->entries[slot].state = GH_DELIVERY_WAITING;
    heap_add(delivery, &delivery->waiting, slot);
}

bool gh_delivery_lease(struct gh_delivery *delivery, int64_t deadline_ns,
                       struct gh_delivery_entry *out)
{
    if (delivery->waiting.count == 0 ||
        delivery->count - delivery->waiting.count >= delivery->leases_max)
        return false;
    uint32_t slot = delivery->waiting.slots[0];
    struct gh_delivery_entry *entry = &delivery->entries[slot];
    heap_remove(delivery, &delivery->waiting, slot);
    entry->state = GH_DELIVERY_LEASED;
    entry->deadline_ns = deadline_ns;
    entry->attempts++;
    heap_add(delivery, &delivery->leased, slot);
    *out = *entry;
    return true;
}

void gh_delivery_unlease(struct gh_delivery *delivery, uint64_t offset)
{
    uint32_t slot = find(delivery, offset);
    assert(slot != NO_SLOT && delivery->entries[slot].state == GH_DELIVERY_LEASED);
    delivery->entries[slot].attempts--;
    wait_again(delivery, slot);
}

bool gh_delivery_extend(struct gh_delivery *delivery, uint64_t offset, uint32_t attempt,
                        int64_t deadline_ns)
{
    uint32_t slot = find(delivery, offset);
    if (slot == NO_SLOT || delivery->entries[slot].state != GH_DELIVERY_LEASED ||
        delivery->entries[slot].attempts != attempt)
        return false;
    if (deadline_ns == 0) {
        wait_again(delivery, slot);
        return true;
    }
    heap_remove(delivery, &delivery->leased, slot);
    delivery->entries[slot].deadline_ns = deadline_ns;
    heap_add(delivery, &delivery->leased, slot);
    return true;
}

void gh_delivery_expire(struct gh_delivery *delivery, int64_t now_ns)
{
    while (delivery->leased.count > 0 &&
           delivery->entries[delivery->leased.slots[0]].deadline_ns <= now_ns)
        wait_again(delivery, delivery->leased.slots[0]);
}

int64_t gh_delivery_deadline_ns(const struct gh_delivery *delivery)
{
    return delivery->leased.count == 0 ? INT64_MAX
                                       : delivery->entries[delivery->leased.slots[0]].deadline_ns;
}

bool gh_delivery_ack_begin(struct gh_delivery *delivery, uint64_t offset)
{
    uint32_t slot = find(delivery, offset);
    if (slot == NO_SLOT)
        return offset >= delivery->read_to && !is_acked(delivery, offset);
    struct gh_delivery_entry *entry = &delivery->entries[slot];
    if (entry->state == GH_DELIVERY_LEASED)
        heap_remove(delivery, &delivery->leased, slot);
    else if (entry->state == GH_DELIVERY_WAITING) { /* a late acknowledgement counts */
        heap_remove(delivery, &delivery->waiting, slot);
        entry->deadline_ns = 0;
    }
    entry->state = GH_DELIVERY_ACKING;
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
    delivery->entries[slot].state =
        GH_DELIVERY_LEASED; /* its deadline may have passed: then it waits */
    heap_add(delivery, &delivery->leased, slot);
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

uint64_t gh_delivery_acked_to(const struct gh_delivery *delivery)
{
    uint64_t lowest = delivery->read_to;
    for (size_t slot = 0; slot < delivery->entries_used; slot++)
        if (delivery->entries[slot].state != GH_DELIVERY_FREE &&
            delivery->entries[slot].offset < lowest)
            lowest = delivery->entries[slot].offset;
    return lowest;
}
