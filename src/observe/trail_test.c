#include "base/time.h"
#include "observe/trail.h"
#include "tests/check.h"
#include <pthread.h>
#include <sched.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gh_arena arena;
static struct gh_error error;
static struct gh_metrics metrics;

static struct gh_trail_entry entry_of(uint64_t device, enum gh_trail_kind kind, const char *reason)
{
    return (struct gh_trail_entry){.device = device,
                                   .tenant = GH_SLICE("demo"),
                                   .registry = GH_SLICE("warehouse"),
                                   .device_id = GH_SLICE("hall-1-air"),
                                   .kind = kind,
                                   .reason = gh_slice_text(reason),
                                   .detail = GH_SLICE("in detail"),
                                   .address = GH_SLICE("127.0.0.1:4242")};
}

static size_t count_of(struct gh_trail *trail, struct gh_trail_filter filter,
                       struct gh_trail_entry **entries)
{
    size_t count = 0;
    if (filter.limit == 0)
        filter.limit = 10000;
    CHECK("listed", gh_trail_list(trail, &filter, &arena, entries, &count, &error) == GH_OK);
    for (size_t i = 1; i < count; i++)
        CHECK("newest first, each once", (*entries)[i].sequence < (*entries)[i - 1].sequence);
    return count;
}

static void shows_at_once_and_after(void)
{
    const char *folder = check_folder();
    struct gh_trail_entry *got;
    struct gh_store *store = gh_store_open(folder, GH_STORE_CREATE, &error);
    struct gh_trail *trail = gh_trail_open(store, &metrics, &error);
    REQUIRE("the trail opens", trail != NULL);
    struct gh_trail_entry first = entry_of(5, GH_TRAIL_REFUSAL, "SIGNATURE"),
                          second = entry_of(5, GH_TRAIL_CONNECT, "");
    second.at_ms = 7;
    gh_trail_note(trail, &first);
    gh_trail_note(trail, &second);
    for (int round = 0; round < 3; round++) {
        CHECK("both are seen", count_of(trail, (struct gh_trail_filter){.device = 5}, &got) == 2);
        CHECK("as they were noted",
              got[1].kind == GH_TRAIL_REFUSAL &&
                  gh_slice_equal(got[1].reason, GH_SLICE("SIGNATURE")) &&
                  gh_slice_equal(got[1].tenant, GH_SLICE("demo")) &&
                  gh_slice_equal(got[1].registry, GH_SLICE("warehouse")) &&
                  gh_slice_equal(got[1].device_id, GH_SLICE("hall-1-air")) &&
                  gh_slice_equal(got[1].detail, GH_SLICE("in detail")) &&
                  gh_slice_equal(got[1].address, GH_SLICE("127.0.0.1:4242")) && got[1].at_ms > 0 &&
                  got[0].at_ms == 7);
        CHECK("another device's are not",
              count_of(trail, (struct gh_trail_filter){.device = 6}, &got) == 0);
        if (round == 0) {
            CHECK("written", gh_trail_flush(trail, &error) == GH_OK);
        } else if (round == 1) {
            gh_trail_close(trail);
            gh_store_close(store);
            store = gh_store_open(folder, GH_STORE_EXISTING, &error);
            trail = gh_trail_open(store, &metrics, &error);
            REQUIRE("it opens again", trail != NULL);
        }
    }
    struct gh_trail_entry third = entry_of(6, GH_TRAIL_DISCONNECT, "IDLE");
    gh_trail_note(trail, &third);
    gh_trail_close(trail); /* writes what is pending */
    trail = gh_trail_open(store, &metrics, &error);
    CHECK("a close writes",
          trail != NULL && count_of(trail, (struct gh_trail_filter){0}, &got) == 3);
    CHECK("sequences go on after a restart", got[0].sequence > got[1].sequence);
    gh_trail_close(trail);
    gh_store_close(store);
}

/* The same conditions over entries of which half are written and half are not. */
static void filters_both_halves(void)
{
    struct gh_trail_entry *got;
    struct gh_store *store = gh_store_open(check_folder(), GH_STORE_CREATE, &error);
    struct gh_trail *trail = gh_trail_open(store, NULL, &error);
    REQUIRE("the trail opens", trail != NULL);
    for (int i = 0; i < 40; i++) {
        struct gh_trail_entry entry =
            entry_of(1 + (uint64_t)i % 4, i % 2 ? GH_TRAIL_CONNECT : GH_TRAIL_REFUSAL, "R");
        entry.at_ms = 100 + i;
        if (i % 4 == 3)
            entry.tenant = GH_SLICE("other");
        gh_trail_note(trail, &entry);
        if (i == 19)
            CHECK("written", gh_trail_flush(trail, &error) == GH_OK);
    }
    static const struct {
        const char *claim;
        struct gh_trail_filter filter;
        size_t count;
        int64_t newest_ms;
    } lists[] = {
        {"all", {0}, 40, 139},
        {"one device", {.device = 2}, 10, 137},
        {"one tenant", {.tenant = GH_SLICE_INIT("other")}, 10, 139},
        {"one kind", {.kinds = 1u << GH_TRAIL_REFUSAL}, 20, 138},
        {"two kinds", {.kinds = 1u << GH_TRAIL_REFUSAL | 1u << GH_TRAIL_CONNECT}, 40, 139},
        {"a kind that is not there", {.kinds = 1u << GH_TRAIL_COMMAND}, 0, 0},
        {"a time", {.from_ms = 110, .to_ms = 130}, 20, 129},
        {"a limit inside the new half", {.limit = 5}, 5, 139},
        {"a limit across both", {.limit = 30}, 30, 139},
        {"one device and a limit", {.device = 2, .limit = 7}, 7, 137},
        {"a page below a written one", {.before = 11}, 10, 109},
        {"a page below a new one", {.before = 31}, 30, 129},
    };
    for (size_t i = 0; i < GH_COUNT(lists); i++) {
        size_t count = count_of(trail, lists[i].filter, &got);
        CHECK(lists[i].claim,
              count == lists[i].count && (count == 0 || got[0].at_ms == lists[i].newest_ms));
    }
    size_t count;
    CHECK("no limit", gh_trail_list(trail, &(struct gh_trail_filter){0}, &arena, &got, &count,
                                    &error) == GH_ERROR_RANGE);
    struct gh_arena small;
    gh_arena_init(&small, 1024);
    CHECK("an arena at its ceiling",
          gh_trail_list(trail, &(struct gh_trail_filter){.limit = 40}, &small, &got, &count,
                        &error) == GH_ERROR_MEMORY);
    gh_arena_deinit(&small);
    gh_trail_close(trail);
    gh_store_close(store);
}

static void cuts_long_texts(void)
{
    static char text[4000];
    struct gh_trail_entry *got;
    struct gh_store *store = gh_store_open(check_folder(), GH_STORE_CREATE, &error);
    struct gh_trail *trail = gh_trail_open(store, NULL, &error);
    REQUIRE("the trail opens", trail != NULL);
    struct gh_trail_entry entry = entry_of(1, GH_TRAIL_REFUSAL, "R");
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 2 == 0 ? 'x' : 'y';
    memcpy(text + GH_TRAIL_TEXT_MAX - 1, "\xc3\xa4", 2); /* a character across the limit */
    entry.detail = gh_slice(text, sizeof text);
    gh_trail_note(trail, &entry);
    CHECK("cut before the character", count_of(trail, (struct gh_trail_filter){0}, &got) == 1 &&
                                          got[0].detail.size == GH_TRAIL_TEXT_MAX - 1);
    CHECK("written", gh_trail_flush(trail, &error) == GH_OK &&
                         count_of(trail, (struct gh_trail_filter){0}, &got) == 1);
    gh_trail_close(trail);
    gh_store_close(store);
}

/* --- watches --- */

struct seen {
    atomic_int count;
    int64_t last;
    bool in_order;
};

static void see(void *context, const struct gh_trail_entry *entry)
{
    struct seen *seen = context;
    seen->in_order = seen->in_order && entry->sequence > seen->last;
    seen->last = entry->sequence;
    atomic_fetch_add(&seen->count, 1);
}

static void shows_watches_each_once(void)
{
    enum { NOTES = 3000 };
    struct seen seen[2] = {{.in_order = true}, {.in_order = true}};
    struct gh_store *store = gh_store_open(check_folder(), GH_STORE_CREATE, &error);
    struct gh_trail *trail = gh_trail_open(store, NULL, &error);
    REQUIRE("the trail opens", trail != NULL);
    struct gh_trail_watch *first = gh_trail_watch(trail, see, &seen[0]),
                          *second = gh_trail_watch(trail, see, &seen[1]);
    REQUIRE("watches", first != NULL && second != NULL);
    for (int i = 0; i < NOTES; i++) {
        struct gh_trail_entry entry = entry_of(1, GH_TRAIL_CONNECT, "");
        gh_trail_note(trail, &entry);
    }
    CHECK("written", gh_trail_flush(trail, &error) == GH_OK);
    gh_trail_unwatch(trail, first);
    struct gh_trail_entry entry = entry_of(1, GH_TRAIL_DISCONNECT, "");
    gh_trail_note(trail, &entry);
    CHECK("written", gh_trail_flush(trail, &error) == GH_OK);
    CHECK("a watch sees each, in order",
          atomic_load(&seen[1].count) == NOTES + 1 && seen[1].in_order);
    CHECK("and nothing after it left", atomic_load(&seen[0].count) == NOTES && seen[0].in_order);
    gh_trail_close(trail);
    gh_store_close(store);
}

/* Whether so many have been shown, within a time that no machine needs. */
static bool shown(struct seen *seen, int count)
{
    int64_t until_ns = gh_time_monotonic_ns() + 30 * GH_SECOND_NS;
    while (atomic_load(&seen->count) < count && gh_time_monotonic_ns() < until_ns)
        sched_yield();
    return atomic_load(&seen->count) == count;
}

/* Nobody hurries it, and what is noted while it rests does not wake it. */
static void shows_by_itself(void)
{
    struct seen seen = {.in_order = true};
    struct gh_store *store = gh_store_open(check_folder(), GH_STORE_CREATE, &error);
    struct gh_trail *trail = gh_trail_open(store, NULL, &error);
    REQUIRE("the trail opens", trail != NULL);
    struct gh_trail_watch *watch = gh_trail_watch(trail, see, &seen);
    REQUIRE("a watch", watch != NULL);
    for (int i = 1; i <= 50; i++) {
        struct gh_trail_entry entry = entry_of(1, GH_TRAIL_CONNECT, "");
        gh_trail_note(trail, &entry);
        if (i % 10 == 0)
            CHECK("what was noted together is shown, and the next after it", shown(&seen, i));
    }
    gh_trail_unwatch(trail, watch);
    gh_trail_close(trail);
    gh_store_close(store);
}

/* --- a store that refuses --- */

/* From another connection, as another process might: no room for new pages, or room again. */
static void other_writer(const char *folder, sqlite3 **other, const char *text)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/registry.db", folder);
    if (*other == NULL)
        REQUIRE("another connection", sqlite3_open(path, other) == SQLITE_OK);
    REQUIRE(text, sqlite3_exec(*other, text, NULL, NULL, NULL) == SQLITE_OK);
}

static void drops_what_does_not_fit(void)
{
    const char *folder = check_folder();
    sqlite3 *other = NULL;
    struct gh_trail_entry *got;
    struct gh_store *store = gh_store_open(folder, GH_STORE_CREATE, &error);
    struct gh_trail *trail = gh_trail_open(store, &metrics, &error);
    REQUIRE("the trail opens", trail != NULL);
    int64_t noted = gh_metric_get(&metrics, GH_METRIC_trail_noted_total);
    int64_t dropped = gh_metric_get(&metrics, GH_METRIC_trail_dropped_total);
    other_writer(folder, &other,
                 "BEGIN IMMEDIATE"); /* the store waits for the lock, the queue grows */
    for (int i = 0; i < GH_TRAIL_PENDING_MAX + 100; i++) {
        struct gh_trail_entry entry = entry_of(1 + (uint64_t)i % 100, GH_TRAIL_CONNECT, "");
        gh_trail_note(trail, &entry);
    }
    CHECK("the queue has its bound",
          gh_metric_get(&metrics, GH_METRIC_trail_noted_total) - noted == GH_TRAIL_PENDING_MAX);
    CHECK("the rest is counted",
          gh_metric_get(&metrics, GH_METRIC_trail_dropped_total) - dropped == 100);
    CHECK("what is in memory is seen",
          count_of(trail, (struct gh_trail_filter){.device = 1}, &got) > 100);
    other_writer(folder, &other, "COMMIT");
    CHECK("it goes on by itself", gh_trail_flush(trail, &error) == GH_OK);
    CHECK("nothing of the queue was lost", count_of(trail, (struct gh_trail_filter){.device = 1},
                                                    &got) == (GH_TRAIL_PENDING_MAX + 99) / 100);
    sqlite3_close(other);
    gh_trail_close(trail);
    gh_store_close(store);
}

/* --- many threads --- */

enum { THREADS = 4, NOTES_EACH = 2000 };

struct noter {
    struct gh_trail *trail;
    pthread_t thread;
    uint64_t device;
    unsigned missed;
};

/* Each thread must see its own entry at once. */
static void *note_and_look(void *context)
{
    struct noter *noter = context;
    struct gh_arena own;
    gh_arena_init(&own, 1 << 20);
    for (int i = 0; i < NOTES_EACH; i++) {
        struct gh_trail_entry entry = entry_of(noter->device, GH_TRAIL_CONNECT, ""), *got;
        size_t count = 0;
        entry.at_ms = i + 1;
        gh_trail_note(noter->trail, &entry);
        if (i % 100 != 0)
            continue;
        struct gh_trail_filter filter = {.device = noter->device, .limit = 3};
        bool listed = gh_trail_list(noter->trail, &filter, &own, &got, &count, NULL) == GH_OK;
        noter->missed +=
            !listed || count == 0 || got[0].at_ms != i + 1 || (count > 1 && got[1].at_ms != i);
        gh_arena_reset(&own);
    }
    gh_arena_deinit(&own);
    return NULL;
}

static void takes_from_many_threads(void)
{
    struct noter noters[THREADS];
    struct gh_trail_entry *got;
    struct gh_store *store = gh_store_open(check_folder(), GH_STORE_CREATE, &error);
    struct gh_trail *trail = gh_trail_open(store, NULL, &error);
    REQUIRE("the trail opens", trail != NULL);
    for (size_t i = 0; i < THREADS; i++) {
        noters[i] = (struct noter){.trail = trail, .device = i + 1};
        REQUIRE("a thread",
                pthread_create(&noters[i].thread, NULL, note_and_look, &noters[i]) == 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(noters[i].thread, NULL);
        CHECK("each sees its own at once", noters[i].missed == 0);
    }
    CHECK("written", gh_trail_flush(trail, &error) == GH_OK);
    CHECK("the newest 1,000 of a device are kept",
          count_of(trail, (struct gh_trail_filter){.device = 1}, &got) == 1000);
    gh_trail_close(trail);
    gh_store_close(store);
}

/* --- what is noted while the watches are shown what was before --- */

enum { ECHOES = 20 };

struct echo {
    struct gh_trail *trail;
    int64_t newest;
    unsigned seen, wrong;
};

/* Notes one more for each that it sees: after what this turn shows, before what it writes. */
static void note_again(void *context, const struct gh_trail_entry *entry)
{
    struct echo *echo = context;
    struct gh_trail_entry next = entry_of(1, GH_TRAIL_CONNECT, "");
    echo->wrong += entry->sequence != echo->newest + 1 || entry->device != 1;
    echo->newest = entry->sequence;
    if (++echo->seen < ECHOES)
        gh_trail_note(echo->trail, &next);
}

static void shows_what_comes_before_a_write(void)
{
    struct gh_store *store = gh_store_open(check_folder(), GH_STORE_CREATE, &error);
    struct echo echo = {.trail = gh_trail_open(store, NULL, &error)};
    struct gh_trail_entry first = entry_of(1, GH_TRAIL_CONNECT, ""), *got;
    REQUIRE("the trail opens", echo.trail != NULL);
    struct gh_trail_watch *watch = gh_trail_watch(echo.trail, note_again, &echo);
    REQUIRE("a watch", watch != NULL);
    gh_trail_note(echo.trail, &first);
    for (int i = 0; i < ECHOES; i++) /* each brings a write into the turn that shows */
        CHECK("written", gh_trail_flush(echo.trail, &error) == GH_OK);
    gh_trail_unwatch(echo.trail, watch);
    CHECK("each is shown once, before it is written", echo.seen == ECHOES && echo.wrong == 0);
    CHECK("each is kept",
          count_of(echo.trail, (struct gh_trail_filter){.device = 1}, &got) == ECHOES);
    gh_trail_close(echo.trail);
    gh_store_close(store);
}

static void names_kinds(void)
{
    for (int kind = GH_TRAIL_CONNECT; kind < GH_TRAIL_KIND_END; kind++) {
        enum gh_trail_kind parsed;
        const char *name = gh_trail_kind_name((enum gh_trail_kind)kind);
        CHECK(name, gh_trail_kind_parse(gh_slice_text(name), &parsed) && (int)parsed == kind);
    }
    enum gh_trail_kind parsed;
    CHECK("no kind", !gh_trail_kind_parse(GH_SLICE("nothing"), &parsed) &&
                         !gh_trail_kind_parse(GH_SLICE(""), &parsed));
}

int main(void)
{
    gh_arena_init(&arena, 64 << 20);
    names_kinds();
    shows_at_once_and_after();
    filters_both_halves();
    cuts_long_texts();
    shows_watches_each_once();
    shows_by_itself();
    shows_what_comes_before_a_write();
    drops_what_does_not_fit();
    takes_from_many_threads();
    gh_arena_deinit(&arena);
    return check_report();
}
