#include "pubsub/delivery.h"
#include "tests/check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check_story(void)
{
    struct gh_delivery d;
    struct gh_delivery_entry e;
    gh_delivery_init(&d, 10, 4, 3);
    CHECK("nothing waits",
          !gh_delivery_lease(&d, 100, &e) && gh_delivery_deadline_ns(&d) == INT64_MAX);
    for (uint64_t i = 10; i < 14; i++)
        CHECK("added", gh_delivery_has_room(&d) && gh_delivery_add(&d, i, (uint32_t)i * 2, 0));
    CHECK("full", !gh_delivery_has_room(&d) && d.read_to == 14);
    CHECK("twice is once", gh_delivery_add(&d, 12, 24, 0) && d.count == 4);
    CHECK("lowest first",
          gh_delivery_lease(&d, 100, &e) && e.offset == 10 && e.position == 20 && e.attempts == 1);
    CHECK("then the next", gh_delivery_lease(&d, 90, &e) && e.offset == 11);
    CHECK("then the next", gh_delivery_lease(&d, 200, &e) && e.offset == 12);
    CHECK("not more than allowed", !gh_delivery_lease(&d, 100, &e));
    CHECK("the nearest deadline", gh_delivery_deadline_ns(&d) == 90);

    gh_delivery_expire(&d, 89);
    CHECK("not before its deadline", d.waiting.count == 1);
    gh_delivery_expire(&d, 90);
    CHECK("comes again with its attempt counted",
          gh_delivery_lease(&d, 300, &e) && e.offset == 11 && e.attempts == 2);
    CHECK("an older attempt moves nothing", !gh_delivery_nack(&d, 11, 1, 95));
    CHECK("a nack", gh_delivery_nack(&d, 11, 2, 95) && d.waiting.count == 2);
    CHECK("only a lease can be extended",
          !gh_delivery_extend(&d, 11, 2, 500) && !gh_delivery_extend(&d, 99, 1, 500));
    CHECK("an extension", gh_delivery_extend(&d, 10, 1, 500) && gh_delivery_deadline_ns(&d) == 200);

    CHECK("out of order", gh_delivery_ack_begin(&d, 12) && gh_delivery_ack_done(&d, 12));
    CHECK("the cursor stays at the lowest", gh_delivery_acked_to(&d) == 10);
    CHECK("acknowledged twice", !gh_delivery_ack_begin(&d, 12));
    CHECK("acknowledged long ago", !gh_delivery_ack_begin(&d, 3));
    CHECK("begun", gh_delivery_ack_begin(&d, 10));
    CHECK("not handed out meanwhile", gh_delivery_lease(&d, 1, &e) && e.offset == 11);
    gh_delivery_ack_failed(&d, 10);
    gh_delivery_expire(&d, 500);
    CHECK("failed: it comes again",
          gh_delivery_lease(&d, 600, &e) && e.offset == 10 && e.attempts == 2);
    gh_delivery_unlease(&d, 10);
    CHECK("a lease that was not one does not count",
          gh_delivery_lease(&d, 600, &e) && e.attempts == 2);
    gh_delivery_ack_begin(&d, 10) ? (void)gh_delivery_ack_done(&d, 10) : (void)0;
    CHECK("the cursor moves", gh_delivery_acked_to(&d) == 11);
    CHECK("a late acknowledgement counts",
          gh_delivery_ack_begin(&d, 11) && gh_delivery_ack_done(&d, 11));
    gh_delivery_drop(&d, 13);
    CHECK("empty: the cursor is where reading is", gh_delivery_acked_to(&d) == 14 && d.count == 0);
    gh_delivery_deinit(&d);
}

static void check_ahead(void)
{
    struct gh_delivery d;
    gh_delivery_init(&d, 10, 100, 100);
    CHECK("acknowledged ahead of reading",
          gh_delivery_ack_begin(&d, 15) && gh_delivery_ack_done(&d, 15));
    CHECK("and another", gh_delivery_ack_begin(&d, 12) && gh_delivery_ack_done(&d, 12));
    CHECK("is remembered", !gh_delivery_ack_begin(&d, 15));
    for (uint64_t i = 10; i < 20; i++)
        CHECK("read", gh_delivery_add(&d, i, 0, 0));
    CHECK("and not delivered", d.count == 8 && d.acked == NULL);
    gh_delivery_drop_below(&d, 18);
    CHECK("dropped", d.count == 2 && gh_delivery_acked_to(&d) == 18);
    gh_delivery_deinit(&d);
}

/* Against a plain table: what each offset's state must be. */
static void check_model(unsigned seed)
{
    enum { OFFSETS = 300, STEPS = 20000 };
    struct {
        enum gh_delivery_state state;
        bool known, acked;
        int64_t deadline;
        unsigned attempts;
    } model[OFFSETS] = {0};
    char claim[64];
    struct gh_delivery d;
    struct gh_delivery_entry e;
    uint64_t next = 0;
    int64_t now = 0;
    srand(seed);
    snprintf(claim, sizeof claim, "as the model, seed %u", seed);
    gh_delivery_init(&d, 0, OFFSETS, OFFSETS);
    for (int step = 0; step < STEPS; step++) {
        uint64_t o = (uint64_t)rand() % OFFSETS;
        int what = rand() % 8;
        now += rand() % 3;
        if (what == 0 && next < OFFSETS) {
            CHECK(claim, gh_delivery_add(&d, next, 0, 0));
            if (!model[next].acked)
                model[next].state = GH_DELIVERY_WAITING;
            model[next++].known = true;
        } else if (what <= 2) {
            uint64_t lowest = 0;
            while (lowest < OFFSETS && model[lowest].state != GH_DELIVERY_WAITING)
                lowest++;
            bool leased = gh_delivery_lease(&d, now + 50, &e);
            CHECK(claim, leased == (lowest < OFFSETS) && (!leased || e.offset == lowest));
            if (leased) {
                model[lowest].state = GH_DELIVERY_LEASED;
                model[lowest].deadline = now + 50;
                CHECK(claim, e.attempts == ++model[lowest].attempts);
            }
        } else if (what == 3) {
            bool is = model[o].state == GH_DELIVERY_LEASED;
            int64_t deadline = rand() % 2 ? 0 : now + 80;
            CHECK(claim,
                  (deadline == 0 ? gh_delivery_nack(&d, o, model[o].attempts, now)
                                 : gh_delivery_extend(&d, o, model[o].attempts, deadline)) == is);
            if (is) {
                model[o].deadline = deadline;
                model[o].state = deadline == 0 ? GH_DELIVERY_WAITING : GH_DELIVERY_LEASED;
            }
        } else if (what == 4) {
            bool is = model[o].state != GH_DELIVERY_FREE || (!model[o].known && !model[o].acked);
            if (model[o].state == GH_DELIVERY_WAITING)
                model[o].deadline = 0;
            CHECK(claim, gh_delivery_ack_begin(&d, o) == is);
            if (is && rand() % 4 == 0) {
                gh_delivery_ack_failed(&d, o);
                if (model[o].state != GH_DELIVERY_FREE)
                    model[o].state = GH_DELIVERY_LEASED;
            } else if (is) {
                CHECK(claim, gh_delivery_ack_done(&d, o));
                model[o].state = GH_DELIVERY_FREE;
                model[o].acked = true;
            }
        } else if (what == 5) {
            gh_delivery_expire(&d, now);
            for (size_t i = 0; i < OFFSETS; i++)
                if (model[i].state == GH_DELIVERY_LEASED && model[i].deadline <= now)
                    model[i].state = GH_DELIVERY_WAITING;
        }
    }
    size_t count = 0;
    uint64_t lowest = next;
    for (size_t i = 0; i < OFFSETS; i++) {
        count += model[i].state != GH_DELIVERY_FREE;
        if (model[i].state != GH_DELIVERY_FREE && i < lowest)
            lowest = i;
    }
    CHECK(claim, d.count == count && gh_delivery_acked_to(&d) == lowest);
    gh_delivery_deinit(&d);
}

/* Gives the next batch as text: the offsets in order, "1 2 5". */
static const char *batch(struct gh_delivery *d, int64_t deadline_ns, size_t max)
{
    static char text[256];
    struct gh_delivery_entry e;
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < max && gh_delivery_lease(d, deadline_ns, &e); i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%d", i == 0 ? "" : " ",
                                 (int)e.offset);
    gh_delivery_batch_end(d);
    return text;
}

static bool acked(struct gh_delivery *d, uint64_t offset)
{
    return gh_delivery_ack_begin(d, offset) && gh_delivery_ack_done(d, offset);
}

/* 1, 3, 5, 7 have the key 10; 2, 6 the key 20; 4 has none. */
static void begin_chains(struct gh_delivery *d)
{
    static const uint64_t keys[] = {10, 20, 10, 0, 10, 20, 10};
    gh_delivery_init(d, 1, 100, 100);
    for (uint64_t i = 0; i < GH_COUNT(keys); i++)
        CHECK("added", gh_delivery_add(d, i + 1, 0, keys[i]));
}

static void check_order(void)
{
    struct gh_delivery d;
    uint64_t next;
    begin_chains(&d);
    CHECK("a batch takes of a chain in order", !strcmp(batch(&d, 100, 3), "1 2 3"));
    CHECK("no other batch takes of it", !strcmp(batch(&d, 100, 9), "4"));
    CHECK("one of two is acknowledged", acked(&d, 1));
    CHECK("still not", !strcmp(batch(&d, 100, 9), ""));
    CHECK("all are", acked(&d, 3) && acked(&d, 2));
    CHECK("then the rest", !strcmp(batch(&d, 100, 9), "5 6 7"));
    CHECK("a nack brings back the later ones too", gh_delivery_nack(&d, 5, 1, 50));
    CHECK("in order", !strcmp(batch(&d, 100, 9), "5 7"));
    CHECK("ahead of its turn it is not durable", !gh_delivery_ack_begin(&d, 7));
    CHECK("nor again", !gh_delivery_ack_begin(&d, 7));
    CHECK("a nack of the earlier takes it back", gh_delivery_nack(&d, 5, 2, 60));
    CHECK("both again", !strcmp(batch(&d, 100, 9), "5 7"));
    CHECK("ahead", !gh_delivery_ack_begin(&d, 7));
    CHECK("with the earlier its turn comes", gh_delivery_ack_begin(&d, 5) &&
                                                 gh_delivery_ack_next(&d, 5, &next) && next == 7 &&
                                                 !gh_delivery_ack_next(&d, 7, &next));
    CHECK("done", gh_delivery_ack_done(&d, 5) && gh_delivery_ack_done(&d, 7));
    gh_delivery_expire(&d, 100);
    CHECK("a deadline that passes", !strcmp(batch(&d, 200, 9), "4 6"));
    CHECK("all", acked(&d, 4) && acked(&d, 6) && d.count == 0 && d.chains.count == 0);
    gh_delivery_deinit(&d);
}

static void check_failures(void)
{
    struct gh_delivery d;
    struct gh_delivery_entry e;
    begin_chains(&d);
    d.rules = (struct gh_delivery_rules){.failures_max = 5, .pause_min_ns = 10, .pause_max_ns = 35};
    static const int64_t pauses[] = {10, 20, 35, 35};
    int64_t now = 1000;
    for (uint32_t i = 0; i < GH_COUNT(pauses); i++) {
        CHECK("handed out", gh_delivery_lease(&d, now + 100, &e) && e.offset == 1 &&
                                e.failures == i && e.attempts == i + 1);
        gh_delivery_batch_end(&d);
        CHECK("fails", gh_delivery_nack(&d, 1, i + 1, now));
        CHECK("pauses", gh_delivery_deadline_ns(&d) == now + pauses[i]);
        gh_delivery_expire(&d, now + pauses[i] - 1);
        CHECK("not before its time, nor its chain",
              d.waiting.count == 2 && d.entries[d.waiting.slots[0]].offset == 2);
        gh_delivery_expire(&d, now += pauses[i]);
    }
    CHECK("once more", gh_delivery_lease(&d, now + 100, &e) && e.offset == 1);
    gh_delivery_batch_end(&d);
    gh_delivery_expire(&d, now + 100);
    CHECK("dead", d.dead.count == 1 && gh_delivery_take_dead(&d, &e) && e.failures == 5 &&
                      !gh_delivery_take_dead(&d, &e));
    gh_delivery_revive(&d, 1, now + 500);
    gh_delivery_expire(&d, now + 500);
    CHECK("it lives on when it cannot be forwarded",
          gh_delivery_lease(&d, now + 600, &e) && e.offset == 1);
    gh_delivery_batch_end(&d);
    CHECK("dead again", gh_delivery_nack(&d, 1, e.attempts, now + 550) &&
                            gh_delivery_take_dead(&d, &e) && e.offset == 1);
    CHECK("its chain waits", !strcmp(batch(&d, now + 900, 1), "2"));
    CHECK("until it is forwarded",
          gh_delivery_ack_done(&d, 1) && !strcmp(batch(&d, now + 900, 9), "3 4 5 7"));
    gh_delivery_deinit(&d);
}

static void check_seek(void)
{
    struct gh_delivery d;
    begin_chains(&d);
    CHECK("some are acknowledged", !strcmp(batch(&d, 100, 3), "1 2 3") && acked(&d, 2) &&
                                       gh_delivery_ack_begin(&d, 30) &&
                                       gh_delivery_ack_done(&d, 30));
    CHECK("forward", gh_delivery_seek(&d, 3, UINT64_MAX) && d.read_to == 8);
    CHECK("what is left waits", !strcmp(batch(&d, 100, 99), "3 4 5 6 7"));
    CHECK("what was acknowledged ahead stays so", !gh_delivery_ack_begin(&d, 30));
    CHECK("back", gh_delivery_seek(&d, 2, 6) && d.read_to == 6);
    CHECK("from there on it is read again", !strcmp(batch(&d, 100, 99), "3 4 5"));
    CHECK("as the acknowledged ones", gh_delivery_ack_begin(&d, 30));
    CHECK("beyond what was read", gh_delivery_seek(&d, 50, UINT64_MAX) && d.read_to == 50);
    CHECK("nothing", d.count == 0 && d.chains.count == 0);
    gh_delivery_deinit(&d);
}

/* Whatever happens: per key in order, no key in two batches at a time, everything acknowledged in
 * the end. */
static void check_order_model(unsigned seed)
{
    enum { OFFSETS = 200, KEYS = 5, BATCH = 7 };
    struct {
        uint64_t offset;
        uint32_t attempt;
    } out[OFFSETS];
    struct gh_delivery d;
    struct gh_delivery_entry e;
    uint64_t done_of[KEYS] = {0}, next;
    size_t outs = 0;
    char claim[64];
    snprintf(claim, sizeof claim, "order, seed %u", seed);
    srand(seed);
    gh_delivery_init(&d, 1, OFFSETS, OFFSETS);
    for (uint64_t i = 1; i <= OFFSETS; i++)
        CHECK(claim, gh_delivery_add(&d, i, 0, 1 + (uint64_t)rand() % KEYS));
    for (int64_t now = 0; d.count > 0 && now < 100000; now++) {
        uint64_t last[KEYS] = {0};
        for (size_t i = 0; i < BATCH && rand() % 2 && gh_delivery_lease(&d, now + 40, &e); i++) {
            uint64_t key = gh_delivery_key(&e) - 1;
            CHECK(claim, e.offset > last[key] && e.offset > done_of[key]);
            last[key] = e.offset;
            if (outs < OFFSETS) {
                out[outs].offset = e.offset;
                out[outs++].attempt = e.attempts;
            }
        }
        gh_delivery_batch_end(&d);
        for (size_t i = 0; i < outs;) {
            int what = rand() % 16;
            uint64_t offset = out[i].offset;
            if (what == 0)
                (void)gh_delivery_nack(&d, offset, out[i].attempt, now);
            if (what >= 1 && what < 8 && gh_delivery_ack_begin(&d, offset))
                while (gh_delivery_ack_next(&d, offset, &next))
                    offset = next;
            if (what < 8)
                out[i] = out[--outs];
            else
                i++;
        }
        for (size_t i = 0; i < d.entries_used; i++)
            if (d.entries[i].state == GH_DELIVERY_ACKING && rand() % 2) {
                uint64_t key = gh_delivery_key(&d.entries[i]) - 1;
                if (d.entries[i].before != UINT32_MAX / 2)
                    continue; /* they are written in order */
                CHECK(claim, d.entries[i].offset > done_of[key]);
                done_of[key] = d.entries[i].offset;
                CHECK(claim, gh_delivery_ack_done(&d, d.entries[i].offset));
            }
        gh_delivery_expire(&d, now);
    }
    CHECK(claim, d.count == 0 && d.chains.count == 0);
    gh_delivery_deinit(&d);
}

int main(void)
{
    check_story();
    check_order();
    check_seek();
    check_failures();
    for (unsigned seed = 1; seed <= 10; seed++)
        check_order_model(seed);
    check_ahead();
    for (unsigned seed = 1; seed <= 10; seed++)
        check_model(seed);
    return check_report();
}
