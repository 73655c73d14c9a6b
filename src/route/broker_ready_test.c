/* Who is told when that there is something to send: a wide publish is spread over turns of the
 * loop, and nobody else waits for it. */
#include "route/broker_rig_internal.h"

enum { FANS = 200, PER_TURN = 4, LEAVER = FANS - 1, FRIEND = FANS - 2 };

static struct rig rig;
static struct client publisher, bob, fans[FANS];
static char names[FANS][16];

/* On loop 0 only, where all of them are. */
static size_t served, served_in_turn, served_in_turn_max, served_before_bob, served_before_friend;
static int64_t turn_ns;
static _Atomic size_t served_all;

static void takes(struct client *client, const struct gh_delivery *delivery)
{
    int64_t now_ns = gh_loop_now_ns(rig.loops[0]); /* read once a turn */
    (void)delivery;
    if (client == &bob) {
        served_before_bob = served;
    } else {
        if (client == &fans[FRIEND])
            served_before_friend = served;
        served_in_turn = now_ns == turn_ns ? served_in_turn + 1 : 1;
        turn_ns = now_ns;
        served++;
        if (served_in_turn > served_in_turn_max)
            served_in_turn_max = served_in_turn;
    }
    atomic_fetch_add(&served_all, 1);
}

static void join(struct client *client, const char *name, const char *filter)
{
    client_init(client, &rig, name, 0);
    client->connect.expiry_s = 0;
    client->takes = takes;
    CHECK("new", !client_connect(client));
    if (filter != NULL)
        CHECK("subscribed", client_subscribe(client, filter, 0) == 0);
}

static void put(const char *topic)
{
    struct gh_broker_publish publish = rig_publish(topic, "x", 0);
    CHECK("posted",
          gh_attachment_publish(publisher.attachment, &publish, NULL, NULL) == GH_BROKER_POSTED);
}

/* All in one turn: to all; to bob; to one of them alone; and one of them goes. */
static void speak(void *context)
{
    (void)context;
    put("news");
    put("bob");
    put("friend");
    gh_attachment_detach(fans[LEAVER].attachment, &(struct gh_detach){0});
    fans[LEAVER].attachment = NULL;
    fans[LEAVER].attached = false;
}

int main(void)
{
    rig_init(&rig, check_folder(), 1);
    rig_open(&rig);
    join(&publisher, "publisher", NULL);
    join(&bob, "bob", "bob");
    for (size_t i = 0; i < FANS; i++) {
        snprintf(names[i], sizeof names[i], "fan-%zu", i);
        join(&fans[i], names[i], "news");
    }
    CHECK("subscribed", client_subscribe(&fans[FRIEND], "friend", 0) == 0);

    rig_on(&rig, 0, speak, NULL);
    RIG_AWAIT(&rig, "everybody gets what is for him", atomic_load(&served_all) == FANS - 1 + 1 + 1);
    rig_settle(&rig);
    CHECK("once", atomic_load(&served_all) == FANS + 1);
    CHECK("bob does not wait for the others", served_before_bob <= PER_TURN);
    CHECK("nor does who gets something of his own", served_before_friend <= PER_TURN + 1);
    CHECK("a turn serves a few", served_in_turn_max <= PER_TURN + 2); /* both of the friend's */

    for (size_t i = 0; i < FANS; i++) {
        if (fans[i].attachment != NULL)
            client_detach(&fans[i], (struct gh_detach){0});
        client_deinit(&fans[i]);
    }
    struct client *others[] = {&publisher, &bob};
    for (size_t i = 0; i < GH_COUNT(others); i++) {
        client_detach(others[i], (struct gh_detach){0});
        client_deinit(others[i]);
    }
    rig_close(&rig);
    return check_report();
}
