/* Slots of every size, those of a crowd, and from one thread to others. */
#include "base/slots.h"
#include "tests/check.h"
#include <pthread.h>
#include <stdint.h>
#include <string.h>

enum { PAGE_BYTES = 4096, CROWD = 5000, THREADS = 4, ROUNDS = 2000 };

static bool is_all(const unsigned char *bytes, size_t size, unsigned char value)
{
    size_t same = 0;
    while (same < size && bytes[same] == value)
        same++;
    return same == size;
}

/* Each is zeroed, its own, and aligned, also the one that was given back just now. */
static void test_sizes(void)
{
    for (size_t size = 0; size < GH_SLOT_BYTES_MAX + 100; size++) {
        for (int round = 0; round < 2; round++) {
            unsigned char *first = gh_slot_take(size), *second = gh_slot_take(size);
            REQUIRE("memory", first != NULL && second != NULL && first != second);
            CHECK("aligned as a pointer", (uintptr_t)first % sizeof(void *) == 0);
            CHECK("zeroed", is_all(first, size, 0) && is_all(second, size, 0));
            memset(first, 1, size);
            memset(second, 2, size);
            CHECK("a slot is its own", is_all(first, size, 1) && is_all(second, size, 2));
            gh_slot_give(first, size);
            gh_slot_give(second, size);
        }
    }
    gh_slot_give(NULL, 10);
}

/* What a crowd of one size takes: nearly its bytes and no more, and back to what was before. */
static void test_crowd(size_t size)
{
    static unsigned char *crowd[CROWD];
    size_t before = gh_slots_bytes();
    for (size_t i = 0; i < CROWD; i++) {
        crowd[i] = gh_slot_take(size);
        REQUIRE("memory", crowd[i] != NULL);
        memset(crowd[i], (int)(i % 251 + 1), size);
    }
    size_t taken = gh_slots_bytes() - before;
    bool own = true;
    for (size_t i = 0; i < CROWD; i++)
        own &= is_all(crowd[i], size, (unsigned char)(i % 251 + 1));
    CHECK("each is its own", own);
    CHECK("they stand close",
          GH_ADDRESS_SANITIZER ||
              (taken >= size * (CROWD - PAGE_BYTES / size) && taken <= size * CROWD * 12 / 10));
    for (size_t i = 0; i < CROWD; i += 2)
        gh_slot_give(crowd[i], size);
    for (size_t i = 0; i < CROWD; i += 2)
        REQUIRE("memory", (crowd[i] = gh_slot_take(size)) != NULL);
    CHECK("what was given back is taken first", gh_slots_bytes() - before == taken);
    for (size_t i = CROWD; i-- > 0;)
        gh_slot_give(crowd[i], size);
    CHECK("all pages but one have gone", gh_slots_bytes() - before <= PAGE_BYTES);
}

static void *mixes(void *context)
{
    uintptr_t seed = (uintptr_t)context;
    unsigned char *kept[16] = {0};
    for (size_t i = 0; i < ROUNDS; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t at = seed >> 33 & 15, size = 16 + at * 24;
        if (kept[at] == NULL && (kept[at] = gh_slot_take(size)) != NULL) {
            CHECK("zeroed", is_all(kept[at], size, 0));
            memset(kept[at], (int)at + 1, size);
        } else if (kept[at] != NULL) {
            CHECK("its own", is_all(kept[at], size, (unsigned char)(at + 1)));
            gh_slot_give(kept[at], size);
            kept[at] = NULL;
        }
    }
    for (size_t at = 0; at < 16; at++)
        gh_slot_give(kept[at], 16 + at * 24);
    return NULL;
}

static void *crossing[CROWD];

static void *give_all(void *ignored)
{
    (void)ignored;
    for (size_t i = 0; i < CROWD; i++)
        gh_slot_give(crossing[i], 96);
    return NULL;
}

static void test_threads(void)
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        REQUIRE("a thread", pthread_create(&threads[i], NULL, mixes, (void *)(i + 1)) == 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < CROWD; i++)
        REQUIRE("memory", (crossing[i] = gh_slot_take(96)) != NULL);
    REQUIRE("a thread", pthread_create(&threads[0], NULL, give_all, NULL) == 0);
    pthread_join(threads[0], NULL);
}

int main(void)
{
    static const size_t sizes[] = {8, 40, 88, 184, 312, 512};
    test_sizes();
    for (size_t i = 0; i < GH_COUNT(sizes); i++)
        test_crowd(sizes[i]);
    test_threads();
    return check_report();
}
