/* A session with many filters: found again, replaced and taken out, whatever their number. */
#include "route/broker_rig_internal.h"

enum { FILTERS = 200, NAME_MAX_BYTES = 32 };

static struct rig rig;
static struct client alice, bob;

static const char *name(char *into, size_t number)
{
    snprintf(into, NAME_MAX_BYTES, "f/%zu", number);
    return into;
}

/* Exactly those from `first` on, each `step`th, are subscribed to, at this QoS. */
static void check_all(const char *claim, size_t first, size_t step, uint8_t qos)
{
    char text[NAME_MAX_BYTES], expected[RIG_TEXT_MAX];
    size_t count = 0;
    for (size_t i = 0; i < FILTERS; i++)
        CHECK(claim, client_publish(&alice, name(text, i), "x", 1) != GH_BROKER_FAILED);
    for (size_t i = first; i < FILTERS; i += step)
        count++;
    RIG_AWAIT(&rig, claim, bob.seen_count >= count);
    rig_settle(&rig);
    client_lock(&bob);
    CHECK(claim, bob.seen_count == count);
    for (size_t i = 0; i < count && i < bob.seen_count; i++) {
        snprintf(expected, sizeof expected, "%s=x q%u", name(text, first + i * step), qos);
        CHECK(claim, strcmp(bob.seen[i], expected) == 0);
    }
    bob.seen_count = 0;
    client_unlock(&bob);
}

int main(void)
{
    char text[NAME_MAX_BYTES];
    rig_init(&rig, check_folder(), 1);
    rig.options.limits.subscriptions_max = FILTERS;
    rig_open(&rig);
    client_init(&alice, &rig, "alice", 0);
    client_init(&bob, &rig, "bob", 0);
    bob.connect.expiry_s = 0;
    CHECK("new", !client_connect(&alice) && !client_connect(&bob));
    for (size_t i = 0; i < FILTERS; i++)
        CHECK("taken", client_subscribe(&bob, name(text, i), 0) == 0);
    CHECK("over the bound", client_subscribe(&bob, "one/more", 0) == 0x97);
    check_all("each is there", 0, 1, 0);
    for (size_t i = 0; i < FILTERS; i++)
        CHECK("replaced", client_subscribe(&bob, name(text, i), 1) == 1);
    check_all("each is replaced, none doubled", 0, 1, 1);
    for (size_t i = FILTERS; i-- > 0;)
        if (i % 2 == 0)
            CHECK("was there", client_unsubscribe(&bob, name(text, i)));
    check_all("the others stay", 1, 2, 1);
    for (size_t i = 0; i < FILTERS; i++)
        CHECK("there or not", client_unsubscribe(&bob, name(text, i)) == (i % 2 == 1));
    check_all("none is left", FILTERS, 1, 1);
    CHECK("and one may come again", client_subscribe(&bob, "f/7", 1) == 1);
    check_all("it did", 7, FILTERS, 1);
    client_detach(&bob, (struct gh_detach){0});
    client_detach(&alice, (struct gh_detach){0});
    client_deinit(&bob);
    client_deinit(&alice);
    rig_close(&rig);
    return check_report();
}
