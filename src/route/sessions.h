/* Sessions: which device is connected where. One table for the server, asked at CONNECT, at the end
 * of a session, and whenever something must reach a device: a command, a new configuration, an
 * order to close. It is not on the way of a published message.
 *
 * A session lives on one event loop; nobody else touches it. Whoever wants something of it sends an
 * order, a letter to that loop, and the loop finds the session by device and serial: an order for a
 * session that has ended meanwhile is returned undelivered. A device has one session for each of
 * its client ids (in dialects that know one session only, one); entering a second one orders the
 * first to close (TAKEN_OVER).
 *
 * Memory: places are their owners'. Orders are made here and freed by gh_order_free.
 * Threads: any, a sharded lock inside. */
#ifndef GH_ROUTE_SESSIONS_H
#define GH_ROUTE_SESSIONS_H

#include "base/mailbox.h"
#include "base/slice.h"
#include "command/command.h"
#include "io/loop.h"
#include <assert.h>

struct gh_sessions;

enum gh_order_kind {
    GH_ORDER_COMMAND,    /* deliver `command` and complete it */
    GH_ORDER_CONFIG,     /* the configuration changed: send the newest */
    GH_ORDER_SETTINGS,   /* the device's settings changed: its log level, perhaps */
    GH_ORDER_TRACE,      /* somebody began or ended to read its packets */
    GH_ORDER_TAKEN_OVER, /* the rest are reasons to close */
    GH_ORDER_BLOCKED,
    GH_ORDER_DELETED,
    GH_ORDER_CREDENTIALS, /* the set changed: close unless the one in use is still there */
    GH_ORDER_REGISTRY,    /* its registry changed */
    GH_ORDER_POLICY,      /* what it may do has changed: read it again */
    GH_ORDER_KICKED,      /* an operator ends it */
    GH_ORDER_REVOKED,     /* its certificate, or the CA behind it, was revoked */
    GH_ORDER_BANNED,
    GH_ORDER_TENANT,  /* its tenant was disabled */
    GH_ORDER_NO_MQTT, /* its registry was, for MQTT */
    GH_ORDER_UNBOUND, /* from a gateway: come off unless it need not be bound */
};

struct gh_order {
    struct gh_letter letter;
    struct gh_port *port;
    enum gh_order_kind kind;
    uint64_t device, serial;
    struct gh_command *command; /* of COMMAND: the receiver completes it */
};

enum { GH_PRESENCE_PEER_MAX = 64, GH_PRESENCE_CREDENTIAL_MAX = 72, GH_PRESENCE_CLIENT_MAX = 64 };

/* What the operator sees of a session. */
struct gh_presence {
    uint64_t device, serial;
    int64_t registry, tenant;
    int64_t since_ms, expires_at_ms;
    const char *dialect;   /* static */
    const char *transport; /* "tls", "plain", "websocket", "websocket-plain", or "gateway": one
                            * speaks for it; static */
    uint64_t client_key;   /* of the client id; 0 where a device has one session only */
    char client[GH_PRESENCE_CLIENT_MAX]; /* the client id, or the gateway's id, cut */
    bool assigned;                       /* the client id is the server's choice */
    int version;                         /* of MQTT: 4 or 5 */
    char peer[GH_PRESENCE_PEER_MAX], credential[GH_PRESENCE_CREDENTIAL_MAX];
};

/* What `client_key` is for a client id. */
uint64_t gh_presence_client_key(struct gh_slice client_id);

struct gh_place;

/* A loop that has sessions. The owner keeps it as long as the table. */
struct gh_port {
    struct gh_loop *loop;
    void *context;
    void (*deliver)(struct gh_port *port,
                    struct gh_order *order); /* on the loop; takes the order */
    /* Fills what the place does not know itself. Any thread, with a lock of the table: nothing that
     * it reads may change while the place is in the table, but for what gh_sessions_hold lets. */
    void (*describe)(const struct gh_place *place, struct gh_presence *out);
};

/* A session's place in the table. It is embedded in the session's own block, which stays until the
 * place has left: what the session knows anyway is not kept twice. */
struct gh_place {
    struct gh_place *next; /* the table's */
    struct gh_port *port;
    uint64_t device, serial; /* serial 0: not in the table */
    uint64_t client_key;     /* as in the presence, and so on */
    uint64_t since_ms : 48;
    bool assigned : 1;
    bool replaced : 1; /* the table's: a newer one counts, and this one was told to close */
};
static_assert(sizeof(struct gh_place) <= 48, "a hundred thousand of them are idle");

static inline void gh_place_set_since(struct gh_place *place, int64_t now_ms)
{
    place->since_ms = (uint64_t)now_ms & ((UINT64_C(1) << 48) - 1);
}

/* NULL when there is no memory. */
struct gh_sessions *gh_sessions_open(void);
/* All have left. */
void gh_sessions_close(struct gh_sessions *sessions);

/* Rises with every order to close, delivered or not. A CONNECT reads it before it is checked
 * against the directory, and again after it has entered: when it rose in between, the check may
 * have seen a device that was blocked meanwhile, and is made again. */
uint64_t gh_sessions_epoch(struct gh_sessions *sessions);

/* Enters a session, whose port, device, client key and the like are set, and orders the one with
 * the same device and client key to close. Sets the serial, which is unique in the life of the
 * process. False when an assigned client id is in use: it takes nobody's place. On the port's loop.
 */
GH_MUST_USE bool gh_sessions_enter(struct gh_sessions *sessions, struct gh_place *place);
/* Takes the session out. On its loop. */
void gh_sessions_leave(struct gh_sessions *sessions, struct gh_place *place);
/* The place that an order is for; NULL when it has left. On its loop, where it then stays. */
struct gh_place *gh_sessions_place(struct gh_sessions *sessions, const struct gh_order *order);
/* In between nobody describes the place: for what is to change of the session. On its loop. */
void gh_sessions_hold(struct gh_sessions *sessions, const struct gh_place *place);
void gh_sessions_let(struct gh_sessions *sessions, const struct gh_place *place);

/* The device's newest session. */
bool gh_sessions_find(struct gh_sessions *sessions, uint64_t device, struct gh_presence *out);
/* Calls `each` for every session of the device, the newest first; it must not call back. */
void gh_sessions_of(struct gh_sessions *sessions, uint64_t device,
                    void (*each)(void *context, const struct gh_presence *presence), void *context);
/* How many sessions the device has. */
size_t gh_sessions_count_of(struct gh_sessions *sessions, uint64_t device);
size_t gh_sessions_count(struct gh_sessions *sessions);
/* Calls `each` for every session of the registry (0: of all); it must not call back into the table.
 */
void gh_sessions_each(struct gh_sessions *sessions, int64_t registry,
                      void (*each)(void *context, const struct gh_presence *presence),
                      void *context);

/* Sends an order that has no content to every session of the device. False when it has none or
 * there is no memory. */
bool gh_sessions_order(struct gh_sessions *sessions, uint64_t device, enum gh_order_kind kind);
/* The same to every session of a registry. */
void gh_sessions_order_registry(struct gh_sessions *sessions, int64_t registry,
                                enum gh_order_kind kind);
/* The same to every session of a tenant. */
void gh_sessions_order_tenant(struct gh_sessions *sessions, int64_t tenant,
                              enum gh_order_kind kind);
/* The same to those of a registry (0: of all the tenant's) for whose credential `wanted` says yes;
 * it must not call back into the table. */
void gh_sessions_order_where(struct gh_sessions *sessions, int64_t tenant, int64_t registry,
                             bool (*wanted)(void *context, struct gh_slice credential),
                             void *context, enum gh_order_kind kind);
/* Sends a command to its device's newest session, which completes it; completes it with
 * NOT_CONNECTED at once when there is none. Takes the command. */
void gh_sessions_command(struct gh_sessions *sessions, struct gh_command *command);

void gh_order_free(struct gh_order *order);
#endif
