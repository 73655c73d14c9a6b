#include "route/sessions.h"
#include "tests/check.h"
#include <stdio.h>
#include <string.h>

enum { ORDERS_MAX = 8 };

/* Where the orders of the table's only loop come to. */
static struct {
    enum gh_order_kind kinds[ORDERS_MAX];
    uint64_t serials[ORDERS_MAX];
    size_t count;
} orders;

static void deliver(struct gh_port *port, struct gh_order *order)
{
    (void)port;
    if (orders.count < ORDERS_MAX) {
        orders.kinds[orders.count] = order->kind;
        orders.serials[orders.count] = order->serial;
    }
    orders.count++;
    gh_order_free(order);
}

/* A session of the test, and what it knows of itself. */
struct known {
    struct gh_place place;
    struct gh_presence shown;
};

static void describe(const struct gh_place *place, struct gh_presence *out)
{
    const struct known *known = (const struct known *)place;
    struct gh_presence said = *out;
    *out = known->shown;
    out->device = said.device;
    out->serial = said.serial;
    out->client_key = said.client_key;
    out->since_ms = said.since_ms;
    out->assigned = said.assigned;
}

static struct known named(struct gh_port *port, uint64_t device, const char *client, bool assigned)
{
    return (struct known){.place = {.port = port,
                                    .device = device,
                                    .client_key = gh_presence_client_key(gh_slice_text(client)),
                                    .assigned = assigned}};
}

/* The serial of the one that lost its place. */
static uint64_t check_places(struct gh_sessions *sessions, struct gh_port *port)
{
    struct known first = named(port, 1, "pump", true), second = named(port, 1, "pump", true),
                 other = named(port, 1, "pump-2", true), far = named(port, 2, "pump", true),
                 client = named(port, 1, "pump", false);
    CHECK("an assigned name is free", gh_sessions_enter(sessions, &first.place));
    CHECK("and then it is not",
          !gh_sessions_enter(sessions, &second.place) && second.place.serial == 0);
    CHECK("another name is", gh_sessions_enter(sessions, &other.place));
    CHECK("another device has its own", gh_sessions_enter(sessions, &far.place));
    CHECK("each counts", gh_sessions_count(sessions) == 3 &&
                             gh_sessions_count_of(sessions, 1) == 2 &&
                             gh_sessions_count_of(sessions, 2) == 1);
    uint64_t lost = first.place.serial;
    CHECK("who says the name takes its place", gh_sessions_enter(sessions, &client.place));
    CHECK("the count stays",
          gh_sessions_count(sessions) == 3 && gh_sessions_count_of(sessions, 1) == 2);
    const struct gh_order order = {.device = 1, .serial = lost};
    CHECK("its order still finds it", gh_sessions_place(sessions, &order) == &first.place);
    gh_sessions_leave(sessions, &first.place);
    CHECK("and then does not", gh_sessions_place(sessions, &order) == NULL);
    CHECK("the newer one is there", gh_sessions_count_of(sessions, 1) == 2);
    gh_sessions_leave(sessions, &client.place);
    gh_sessions_leave(sessions, &other.place);
    CHECK("free again", gh_sessions_enter(sessions, &second.place) && second.place.serial != 0);
    gh_sessions_leave(sessions, &second.place);
    gh_sessions_leave(sessions, &far.place);
    CHECK("none is left", gh_sessions_count(sessions) == 0);
    return lost;
}

/* What the session and its place know comes back as one. */
static void check_shown(struct gh_sessions *sessions, struct gh_port *port)
{
    struct known in = named(port, 9, "pump", false);
    struct gh_presence out;
    in.place.since_ms = 5;
    in.shown = (struct gh_presence){.registry = 3, .tenant = 4, .expires_at_ms = 6, .version = 5};
    snprintf(in.shown.credential, sizeof in.shown.credential, "key");
    REQUIRE("enters", gh_sessions_enter(sessions, &in.place));
    REQUIRE("found", gh_sessions_find(sessions, 9, &out));
    CHECK("its texts", strcmp(out.credential, "key") == 0);
    CHECK("its numbers", out.device == 9 && out.serial == in.place.serial &&
                             out.client_key == in.place.client_key && out.registry == 3 &&
                             out.tenant == 4 && out.since_ms == 5 && out.expires_at_ms == 6 &&
                             out.version == 5);
    gh_sessions_leave(sessions, &in.place);
    CHECK("gone", !gh_sessions_find(sessions, 9, &out));
}

static void count_presence(void *context, const struct gh_presence *presence)
{
    *(uint64_t *)context += presence->device;
}

/* Many, so that the chains are hung anew on the way up and in the end. */
static void check_crowd(struct gh_sessions *sessions, struct gh_port *port)
{
    enum { CROWD = 3000, OF_ONE = 3 };
    static struct known crowd[CROWD];
    uint64_t sum = 0, wanted = 0;
    bool found = true, newest = true;
    for (size_t i = 0; i < CROWD; i++) {
        char client[32];
        snprintf(client, sizeof client, "client %zu", i);
        crowd[i] = named(port, 1 + i / OF_ONE * 97, client, false);
        wanted += crowd[i].place.device;
        REQUIRE("enters", gh_sessions_enter(sessions, &crowd[i].place));
    }
    for (size_t i = 0; i < CROWD; i++) {
        const struct gh_order order = {.device = crowd[i].place.device,
                                       .serial = crowd[i].place.serial};
        struct gh_presence presence;
        found &= gh_sessions_place(sessions, &order) == &crowd[i].place;
        newest &= gh_sessions_find(sessions, order.device, &presence) &&
                  presence.serial == crowd[i / OF_ONE * OF_ONE + OF_ONE - 1].place.serial;
    }
    gh_sessions_each(sessions, 0, count_presence, &sum);
    CHECK("each is found by its order", found);
    CHECK("the newest of a device stands first", newest);
    CHECK("and all are shown", sum == wanted);
    CHECK("each counts", gh_sessions_count(sessions) == CROWD);
    for (size_t i = 0; i < CROWD; i++)
        gh_sessions_leave(sessions, &crowd[i].place);
    CHECK("all have left", gh_sessions_count(sessions) == 0);
}

int main(void)
{
    struct gh_error error;
    struct gh_port port = {.loop = gh_loop_open(&error), .deliver = deliver, .describe = describe};
    struct gh_sessions *sessions = gh_sessions_open();
    REQUIRE("a table and a loop", port.loop != NULL && sessions != NULL);
    check_shown(sessions, &port);
    check_crowd(sessions, &port);
    uint64_t lost = check_places(sessions, &port);
    gh_loop_close(port.loop); /* opens the letters */
    CHECK("one was told to close",
          orders.count == 1 && orders.kinds[0] == GH_ORDER_TAKEN_OVER && orders.serials[0] == lost);
    gh_sessions_close(sessions);
    return check_report();
}
