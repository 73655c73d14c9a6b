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
    CHECK("an older attempt moves nothing", !gh_delivery_extend(&d, 11, 1, 0));
    CHECK("a nack", gh_delivery_extend(&d, 11, 2, 0) && d.waiting.count == 2);
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
            CHECK(claim, gh_delivery_extend(&d, o, model[o].attempts, deadline) == is);
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

int main(void)
{
    check_story();
    check_ahead();
    for (unsigned seed = 1; seed <= 10; seed++)
        check_model(seed);
    return check_report();
}
