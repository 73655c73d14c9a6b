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

static struct gh_presence presence_of(uint64_t device, const char *client, bool assigned)
{
    struct gh_presence presence = {.device = device,
                                   .client_key = gh_presence_client_key(gh_slice_text(client)),
                                   .assigned = assigned};
    snprintf(presence.client, sizeof presence.client, "%s", client);
    return presence;
}

/* The serial of the one that lost its place. */
static uint64_t check_places(struct gh_sessions *sessions, struct gh_port *port)
{
    struct gh_presence first = presence_of(1, "pump", true), second = presence_of(1, "pump", true),
                       other = presence_of(1, "pump-2", true), far = presence_of(2, "pump", true),
                       named = presence_of(1, "pump", false);
    CHECK("an assigned name is free", gh_sessions_enter(sessions, port, &first));
    CHECK("and then it is not", !gh_sessions_enter(sessions, port, &second) && second.serial == 0);
    CHECK("another name is", gh_sessions_enter(sessions, port, &other));
    CHECK("another device has its own", gh_sessions_enter(sessions, port, &far));
    CHECK("each counts", gh_sessions_count(sessions) == 3 &&
                             gh_sessions_count_of(sessions, 1) == 2 &&
                             gh_sessions_count_of(sessions, 2) == 1);
    CHECK("who says the name takes its place", gh_sessions_enter(sessions, port, &named));
    CHECK("the count stays", gh_sessions_count_of(sessions, 1) == 2);
    gh_sessions_leave(sessions, 1, first.serial); /* it was taken out by the one that came */
    CHECK("the newer one is there", gh_sessions_count_of(sessions, 1) == 2);
    gh_sessions_leave(sessions, 1, named.serial);
    gh_sessions_leave(sessions, 1, other.serial);
    CHECK("free again", gh_sessions_enter(sessions, port, &second) && second.serial != 0);
    gh_sessions_leave(sessions, 1, second.serial);
    gh_sessions_leave(sessions, 2, far.serial);
    CHECK("none is left", gh_sessions_count(sessions) == 0);
    return first.serial;
}

/* The texts come back as they were given, up to their bounds. */
static void check_texts(struct gh_sessions *sessions, struct gh_port *port)
{
    static const char *const transports[] = {"tls", "plain"};
    for (size_t i = 0; i < GH_COUNT(transports); i++) {
        struct gh_presence in = presence_of(9, "", false), out;
        in.registry = 3;
        in.tenant = 4;
        in.since_ms = 5;
        in.expires_at_ms = 6;
        in.version = 5;
        in.dialect = "native";
        in.transport = transports[i];
        memset(in.client, 'c', i * (sizeof in.client - 1));
        memset(in.peer, 'p', i * (sizeof in.peer - 1));
        memset(in.credential, 'k', i * (sizeof in.credential - 1));
        REQUIRE("enters", gh_sessions_enter(sessions, port, &in));
        REQUIRE("found", gh_sessions_find(sessions, 9, &out));
        CHECK("its texts", strcmp(in.client, out.client) == 0 && strcmp(in.peer, out.peer) == 0 &&
                               strcmp(in.credential, out.credential) == 0);
        CHECK("its numbers", out.serial == in.serial && out.client_key == in.client_key &&
                                 out.registry == 3 && out.tenant == 4 && out.since_ms == 5 &&
                                 out.expires_at_ms == 6 && out.version == 5);
        CHECK("its words", out.dialect == in.dialect && out.transport == transports[i]);
        gh_sessions_leave(sessions, 9, in.serial);
    }
}

int main(void)
{
    struct gh_error error;
    struct gh_port port = {.loop = gh_loop_open(&error), .deliver = deliver};
    struct gh_sessions *sessions = gh_sessions_open();
    REQUIRE("a table and a loop", port.loop != NULL && sessions != NULL);
    check_texts(sessions, &port);
    uint64_t lost = check_places(sessions, &port);
    gh_loop_close(port.loop); /* opens the letters */
    CHECK("one was told to close",
          orders.count == 1 && orders.kinds[0] == GH_ORDER_TAKEN_OVER && orders.serials[0] == lost);
    gh_sessions_close(sessions);
    return check_report();
}
