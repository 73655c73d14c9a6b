#include "base/slots.h"
#include "base/latch.h"
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    PAGE_BYTES = 4096, /* what goes back to the system at a time; its pages are no larger */
    REGION_BYTES = 1 << 20,
    STEP_BYTES = 8, /* between two sizes */
    SIZES = GH_SLOT_BYTES_MAX / STEP_BYTES,
    USES_MALLOC = GH_ADDRESS_SANITIZER,
};

/* At the begin of a page; its slots follow. */
struct page {
    struct page *next, **link; /* of those with room; NULL: it is full */
    struct slot *free;         /* given back */
    uint16_t size;             /* of its slots */
    uint16_t used, begun;      /* slots: taken, ever taken */
};

struct slot {
    struct slot *next;
};

/* The pages of one size that have room. */
struct shelf {
    struct gh_latch lock;
    struct page *room;
};

/* Pages that nobody has: the rest of the newest region, and those that the system took back, whose
 * addresses stay ours. */
struct stock {
    struct gh_latch lock;
    char *fresh, *fresh_end;
    void **back;
    size_t back_count, back_capacity;
    size_t pages_out;
};

/* As malloc's, they are the process's. */
static struct shelf shelves[SIZES];
static struct stock stock;

static size_t rounded(size_t size)
{
    return size == 0 ? STEP_BYTES : (size + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES;
}

static struct shelf *shelf_of(size_t size)
{
    return &shelves[size / STEP_BYTES - 1];
}

static size_t slots_max(size_t size)
{
    return (PAGE_BYTES - sizeof(struct page)) / size;
}

static struct page *page_of(void *slot)
{
    return (struct page *)((uintptr_t)slot & ~(uintptr_t)(PAGE_BYTES - 1));
}

/* --- pages */

static bool open_region(void)
{
    char *region =
        mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (region == MAP_FAILED)
        return false;
    (void)madvise(region, REGION_BYTES, MADV_NOHUGEPAGE); /* or none would ever go back */
    stock.fresh = region;
    stock.fresh_end = region + REGION_BYTES;
    return true;
}

/* Zeroed; NULL without memory. */
static struct page *page_take(void)
{
    struct page *page = NULL;
    gh_latch_take(&stock.lock);
    if (stock.back_count > 0) {
        page = stock.back[--stock.back_count];
    } else if (stock.fresh != stock.fresh_end || open_region()) {
        page = (struct page *)(void *)stock.fresh;
        stock.fresh += PAGE_BYTES;
    }
    stock.pages_out += page != NULL;
    gh_latch_give(&stock.lock);
    return page;
}

/* Room for one more address; the stock's lock is held. */
static bool back_has_room(void)
{
    if (stock.back_count < stock.back_capacity)
        return true;
    size_t capacity = stock.back_capacity == 0 ? 256 : 2 * stock.back_capacity;
    void **back = reallocarray(stock.back, capacity, sizeof *back);
    if (back == NULL)
        return false;
    stock.back = back;
    stock.back_capacity = capacity;
    return true;
}

/* False: it stays where it is. */
static bool page_give(struct page *page)
{
    gh_latch_take(&stock.lock);
    bool gone = back_has_room() && madvise(page, PAGE_BYTES, MADV_DONTNEED) == 0;
    if (gone) {
        stock.back[stock.back_count++] = page;
        stock.pages_out--;
    }
    gh_latch_give(&stock.lock);
    return gone;
}

/* --- slots; the shelf's lock is held */

static void enter_room(struct shelf *shelf, struct page *page)
{
    page->next = shelf->room;
    page->link = &shelf->room;
    if (page->next != NULL)
        page->next->link = &page->next;
    shelf->room = page;
}

static void leave_room(struct page *page)
{
    *page->link = page->next;
    if (page->next != NULL)
        page->next->link = page->link;
    page->link = NULL;
}

/* Dirty only by what stood in it of ours, when it was given back before. */
static void *take_from(struct page *page)
{
    struct slot *slot = page->free;
    if (slot != NULL)
        page->free = slot->next;
    else
        slot = (struct slot *)(void *)((char *)(page + 1) + (size_t)page->begun++ * page->size);
    if (++page->used == slots_max(page->size))
        leave_room(page);
    slot->next = NULL;
    return slot;
}

void *gh_slot_take(size_t wanted)
{
    size_t size = rounded(wanted);
    if (USES_MALLOC || size > GH_SLOT_BYTES_MAX)
        return calloc(1, size);
    struct shelf *shelf = shelf_of(size);
    void *slot = NULL;
    gh_latch_take(&shelf->lock);
    if (shelf->room == NULL) {
        struct page *page = page_take();
        if (page != NULL) {
            page->size = (uint16_t)size;
            enter_room(shelf, page);
        }
    }
    if (shelf->room != NULL)
        slot = take_from(shelf->room);
    gh_latch_give(&shelf->lock);
    return slot;
}

/* The last page with room stays, so that a connection that comes and goes alone costs no page. */
static void settle(struct shelf *shelf, struct page *page)
{
    bool is_last = shelf->room == page && page->next == NULL;
    if (page->used > 0 || is_last)
        return;
    leave_room(page);
    if (!page_give(page))
        enter_room(shelf, page);
}

void gh_slot_give(void *given, size_t wanted)
{
    size_t size = rounded(wanted);
    if (given == NULL)
        return;
    explicit_bzero(given, wanted);
    if (USES_MALLOC || size > GH_SLOT_BYTES_MAX) {
        free(given);
        return;
    }
    struct shelf *shelf = shelf_of(size);
    struct page *page = page_of(given);
    struct slot *slot = given;
    gh_latch_take(&shelf->lock);
    assert(page->size == size && page->used > 0 && page->free != slot);
    slot->next = page->free;
    page->free = slot;
    page->used--;
    if (page->link == NULL)
        enter_room(shelf, page);
    settle(shelf, page);
    gh_latch_give(&shelf->lock);
}

size_t gh_slots_bytes(void)
{
    gh_latch_take(&stock.lock);
    size_t bytes = stock.pages_out * PAGE_BYTES;
    gh_latch_give(&stock.lock);
    return bytes;
}
