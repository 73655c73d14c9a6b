#include "dialect/google/mqtt.h"
#include "tests/check.h"

enum { TAKEN = -1 };

/* Client ids, topics and filters of docs/protocols/google.md 1.2 and 1.5. */
static const struct {
    const char *claim, *client_id, *password;
    int refusal;                  /* enum gh_session_refusal, or TAKEN */
    enum gh_mqtt_version version; /* 0: 3.1.1 */
} connects[] = {
    {"the device path", "projects/p/locations/l/registries/r/devices/d", "a.b.c", TAKEN, 0},
    {"MQTT 5", "projects/p/locations/l/registries/r/devices/d", "a.b.c", GH_SESSION_REFUSED_LEVEL,
     GH_MQTT_V5},
    {"no password", "projects/p/locations/l/registries/r/devices/d", NULL,
     GH_SESSION_REFUSED_CREDENTIALS, 0},
    {"an empty password", "projects/p/locations/l/registries/r/devices/d", "",
     GH_SESSION_REFUSED_CREDENTIALS, 0},
    {"seven segments", "projects/p/locations/l/registries/r/devices", "a.b.c",
     GH_SESSION_REFUSED_CLIENT_ID, 0},
    {"an empty device", "projects/p/locations/l/registries/r/devices/", "a.b.c",
     GH_SESSION_REFUSED_CLIENT_ID, 0},
    {"nine segments", "projects/p/locations/l/registries/r/devices/d/x", "a.b.c",
     GH_SESSION_REFUSED_CLIENT_ID, 0},
    {"a slash at the end", "projects/p/locations/l/registries/r/devices/d/", "a.b.c",
     GH_SESSION_REFUSED_CLIENT_ID, 0},
    {"another word", "projects/p/regions/l/registries/r/devices/d", "a.b.c",
     GH_SESSION_REFUSED_CLIENT_ID, 0},
    {"words in capitals", "projects/p/Locations/l/registries/r/devices/d", "a.b.c",
     GH_SESSION_REFUSED_CLIENT_ID, 0},
    {"an empty project", "projects//locations/l/registries/r/devices/d", "a.b.c",
     GH_SESSION_REFUSED_CLIENT_ID, 0},
};

static const struct {
    const char *claim, *topic;
    size_t size;
    enum gh_operation_kind kind;
    const char *channel;
} publishes[] = {
    {"telemetry", "/devices/d1/events", 1, GH_OPERATION_EVENT, ""},
    {"telemetry with a subfolder", "/devices/d1/events/alerts", 1, GH_OPERATION_EVENT, "alerts"},
    {"several levels", "/devices/d1/events/a/b", 1, GH_OPERATION_EVENT, "a/b"},
    {"by number", "/devices/77/events", 1, GH_OPERATION_EVENT, ""},
    {"state", "/devices/d1/state", 1, GH_OPERATION_STATE, ""},
    {"state has no subfolders", "/devices/d1/state/x", 1, GH_OPERATION_REFUSED, ""},
    {"of another device", "/devices/d2/events", 1, GH_OPERATION_REFUSED, ""},
    {"of another number", "/devices/78/events", 1, GH_OPERATION_REFUSED, ""},
    {"without the leading slash", "devices/d1/events", 1, GH_OPERATION_REFUSED, ""},
    {"a Pub/Sub topic", "projects/p/topics/t", 1, GH_OPERATION_REFUSED, ""},
    {"foo", "/foo", 1, GH_OPERATION_REFUSED, ""},
    {"config is for subscribing", "/devices/d1/config", 1, GH_OPERATION_REFUSED, ""},
    {"attach by a device", "/devices/d1/attach", 1, GH_OPERATION_REFUSED, ""},
    {"the largest event", "/devices/d1/events", GH_GOOGLE_EVENT_BYTES_MAX, GH_OPERATION_EVENT, ""},
    {"one byte more", "/devices/d1/events", GH_GOOGLE_EVENT_BYTES_MAX + 1, GH_OPERATION_TOO_LARGE,
     ""},
    {"the largest state", "/devices/d1/state", GH_GOOGLE_STATE_BYTES_MAX, GH_OPERATION_STATE, ""},
    {"one byte more", "/devices/d1/state", GH_GOOGLE_STATE_BYTES_MAX + 1, GH_OPERATION_TOO_LARGE,
     ""},
};

static const struct {
    const char *claim, *filter;
    uint8_t qos;
    enum gh_feed feed;
    uint8_t granted;
    const char *base;
} subscribes[] = {
    {"config", "/devices/d1/config", 1, GH_FEED_CONFIG, 1, "/devices/d1/config"},
    {"config by number", "/devices/77/config", 0, GH_FEED_CONFIG, 0, "/devices/77/config"},
    {"QoS 2 is granted as 1", "/devices/d1/config", 2, GH_FEED_CONFIG, 1, "/devices/d1/config"},
    {"commands", "/devices/d1/commands/#", 0, GH_FEED_COMMANDS, 0, "/devices/d1/commands"},
    {"one subfolder of commands", "/devices/d1/commands/a", 0, GH_FEED_NONE, 0, ""},
    {"commands without the wildcard", "/devices/d1/commands", 0, GH_FEED_NONE, 0, ""},
    {"everything", "#", 0, GH_FEED_NONE, 0, ""},
    {"another device", "/devices/d2/config", 0, GH_FEED_NONE, 0, ""},
    {"any device", "/devices/+/config", 0, GH_FEED_NONE, 0, ""},
};

int main(void)
{
    const struct gh_dialect *google = &gh_google_dialect;
    struct gh_speaker speaker = {.id = GH_SLICE("d1"), .number = 77};
    static uint8_t payload[GH_GOOGLE_EVENT_BYTES_MAX + 1];

    for (size_t i = 0; i < GH_COUNT(connects); i++) {
        struct gh_identity_claim claim;
        const char *why = "";
        enum gh_session_refusal refusal = GH_SESSION_REFUSED_COUNT;
        struct gh_mqtt_connect connect = {
            .version = connects[i].version == GH_MQTT_V5 ? GH_MQTT_V5 : GH_MQTT_V311,
            .client_id = gh_slice_text(connects[i].client_id),
            .password = gh_slice_text(connects[i].password),
            .has_password = connects[i].password != NULL};
        CHECK(connects[i].claim, google->recognise(&connect));
        bool taken = google->claim(&connect, &claim, &refusal, &why);
        CHECK(connects[i].claim, taken == (connects[i].refusal == TAKEN));
        CHECK(connects[i].claim, taken || (int)refusal == connects[i].refusal);
        if (taken)
            CHECK(connects[i].claim, gh_slice_equal(claim.device, GH_SLICE("d")) &&
                                         gh_slice_equal(claim.tenant, GH_SLICE("p")));
    }
    for (size_t i = 0; i < GH_COUNT(publishes); i++) {
        struct gh_mqtt_publish packet = {.topic = gh_slice_text(publishes[i].topic),
                                         .payload = gh_slice(payload, publishes[i].size)};
        struct gh_operation operation = google->publish(&speaker, &packet);
        CHECK(publishes[i].claim, operation.kind == publishes[i].kind);
        CHECK(publishes[i].claim,
              gh_slice_equal(operation.channel, gh_slice_text(publishes[i].channel)));
        CHECK(publishes[i].claim,
              (operation.detail != NULL) == (operation.kind >= GH_OPERATION_REFUSED));
    }
    for (size_t i = 0; i < GH_COUNT(subscribes); i++) {
        struct gh_grant grant =
            google->subscribe(&speaker, gh_slice_text(subscribes[i].filter), subscribes[i].qos);
        CHECK(subscribes[i].claim, grant.feed == subscribes[i].feed);
        if (grant.feed != GH_FEED_NONE)
            CHECK(subscribes[i].claim,
                  grant.qos == subscribes[i].granted &&
                      gh_slice_equal(grant.base, gh_slice_text(subscribes[i].base)));
    }
    struct gh_message_attribute attributes[GH_DIALECT_ATTRIBUTES_MAX];
    struct gh_operation event = {.kind = GH_OPERATION_EVENT}, state = {.kind = GH_OPERATION_STATE};
    CHECK("an event has subFolder, also when empty",
          google->attributes(&speaker, &event, attributes) == 6);
    CHECK("a state has none", google->attributes(&speaker, &state, attributes) == 5);
    CHECK("a catch-all fits", google->route_fits(GH_SLICE(""), GH_SLICE("a")));
    CHECK("equal fits", google->route_fits(GH_SLICE("a"), GH_SLICE("a")));
    CHECK("below does not", !google->route_fits(GH_SLICE("a"), GH_SLICE("a/b")));
    return check_report();
}
