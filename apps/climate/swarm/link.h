/* Link: one device's MQTT connection, kept up.
 *
 * Speaks as unmodified firmware would to the Google dialect: TLS with a verified server, client id
 * projects/P/locations/L/registries/R/devices/ID, a JWT signed with the device's own key as the
 * password, commands and configuration subscribed. It comes back by itself after a loss (1 s
 * doubling to 32 s, with jitter) and renews the token by reconnecting before it expires. A publish
 * that finds no connection, or too many unanswered ones, is dropped: readings grow stale, the next
 * one follows. Memory: embedded in its owner's, which outlives the loop. Threads: the loop's. */
#ifndef GH_CLIMATE_LINK_H
#define GH_CLIMATE_LINK_H

#include "base/error.h"
#include "crypto/key.h"
#include "crypto/tls.h"
#include "io/conn.h"
#include "wire/mqtt/client.h"

/* What all links of a fleet share; borrowed. */
struct gh_link_place {
    struct gh_loop *loop;
    const char *host;        /* an address */
    const char *server_name; /* whom the certificate must name */
    uint16_t port;
    struct gh_tls_context *tls;
    const char *project, *location, *registry;
    int64_t token_ttl_s; /* 60 .. 86400 */
};

struct gh_link {
    const struct gh_link_place *place;
    const char *device;
    struct gh_private_key *key;
    /* A command came: its payload is valid during the call. */
    void (*command)(struct gh_link *link, struct gh_slice payload);
    /* private */
    struct gh_timer timer; /* to connect, or to renew */
    struct gh_conn *conn;
    struct gh_mqtt_client *client;
    unsigned attempts;
    uint64_t random; /* jitter */
    bool wanted, renewing;
    uint64_t sent, acknowledged, dropped, connects;
};

/* Before: zeroed, then `place`, `device`, `key`, `command` and `random` set. Connects after
 * `delay_ms`. */
void gh_link_start(struct gh_link *link, int64_t delay_ms);
/* Says DISCONNECT, and does not come back until the next start. */
void gh_link_stop(struct gh_link *link);
bool gh_link_is_wanted(const struct gh_link *link);
bool gh_link_is_connected(const struct gh_link *link);
/* QoS 1 to /devices/ID/<tail>. False when it was dropped. */
bool gh_link_publish(struct gh_link *link, const char *tail, struct gh_slice payload);

/* The password of a CONNECT at `now_s`: a JWT for `audience`, signed with `key`, appended. */
GH_MUST_USE bool gh_link_print_token(const struct gh_private_key *key, const char *audience,
                                     int64_t now_s, int64_t ttl_s, struct gh_buffer *out);
/* How long to wait after the `attempts`th loss in a row. */
int64_t gh_link_pause_ms(unsigned attempts, uint64_t *random);
#endif
