#include "dialect/native/mqtt.h"
#include "tests/check.h"

/* User names, proofs and topics of docs/protocols/native.md. */
static const struct {
    const char *claim, *user_name, *password, *method;
    bool recognised;
    int refusal; /* enum gh_session_refusal; -1: taken */
    bool token;
} connects[] = {
    {"a secret", "acme/plant/pump-1", "a secret", NULL, true, -1, false},
    {"a token has the form of one", "acme/plant/pump-1", "eyJh.eyJi.c", NULL, true, -1, true},
    {"a token as authentication data", "acme/plant/pump-1", "eyJh.eyJi.c", "JWT", true, -1, true},
    {"the method in small letters", "acme/plant/pump-1", "eyJh.eyJi.c", "jwt", true, -1, true},
    {"another method", "acme/plant/pump-1", "x", "SCRAM-SHA-1", true,
     GH_SESSION_REFUSED_AUTH_METHOD, false},
    {"no password: by certificate", "acme/plant/pump-1", NULL, NULL, true, -1, false},
    {"an empty password: the same", "acme/plant/pump-1", "", NULL, true, -1, false},
    {"no authentication data", "acme/plant/pump-1", "", "JWT", true, GH_SESSION_REFUSED_CREDENTIALS,
     false},
    {"two segments", "acme/plant", "x", NULL, false, 0, false},
    {"four segments", "acme/plant/pump-1/x", "x", NULL, false, 0, false},
    {"an empty segment", "acme//pump-1", "x", NULL, false, 0, false},
    {"a slash at the end", "acme/plant/", "x", NULL, false, 0, false},
    {"no user name", NULL, "x", NULL, false, 0, false},
};

static const struct {
    const char *claim, *topic;
    size_t payload;
    enum gh_operation_kind kind;
    const char *channel;
} publishes[] = {
    {"a free topic", "plant/pump-1/pressure", 10, GH_OPERATION_ROUTE, ""},
    {"a $ inside is nothing special", "plant/$x", 10, GH_OPERATION_ROUTE, ""},
    {"an empty first level", "/plant", 10, GH_OPERATION_ROUTE, ""},
    {"an event", "$gatehouse/events", 10, GH_OPERATION_EVENT, ""},
    {"an event of a channel", "$gatehouse/events/air/in", 10, GH_OPERATION_EVENT, "air/in"},
    {"a state", "$gatehouse/state", 64 << 10, GH_OPERATION_STATE, ""},
    {"a state that is too large", "$gatehouse/state", (64 << 10) + 1, GH_OPERATION_TOO_LARGE, ""},
    {"a state has no channels", "$gatehouse/state/x", 10, GH_OPERATION_REFUSED, ""},
    {"config is not published", "$gatehouse/config", 10, GH_OPERATION_REFUSED, ""},
    {"$SYS is not a device's", "$SYS/x", 10, GH_OPERATION_REFUSED, ""},
    {"only a dollar", "$", 10, GH_OPERATION_REFUSED, ""},
};

static const struct {
    const char *claim, *filter;
    enum gh_feed feed;
    uint8_t asked, granted;
    const char *base;
} subscribes[] = {
    {"a free filter", "plant/#", GH_FEED_ROUTE, 2, 2, ""},
    {"everything", "#", GH_FEED_ROUTE, 0, 0, ""},
    {"a shared one", "$share/workers/plant/#", GH_FEED_ROUTE, 1, 1, ""},
    {"the configuration", "$gatehouse/config", GH_FEED_CONFIG, 2, 1, "$gatehouse/config"},
    {"commands", "$gatehouse/commands/#", GH_FEED_COMMANDS, 1, 1, "$gatehouse/commands"},
    {"commands without #", "$gatehouse/commands", GH_FEED_NONE, 1, 1, ""},
    {"a wildcard in the platform's own", "$gatehouse/+", GH_FEED_NONE, 1, 1, ""},
    {"$SYS", "$SYS/#", GH_FEED_NONE, 1, 1, ""},
};

static void check_connects(void)
{
    for (size_t i = 0; i < GH_COUNT(connects); i++) {
        struct gh_identity_claim claim;
        const char *why = "";
        enum gh_session_refusal refusal = GH_SESSION_REFUSED_COUNT;
        bool auth = connects[i].method != NULL;
        struct gh_slice proof = gh_slice_text(connects[i].password);
        struct gh_mqtt_connect connect = {.version = auth ? GH_MQTT_V5 : GH_MQTT_V311,
                                          .has_user_name = connects[i].user_name != NULL,
                                          .user_name = gh_slice_text(connects[i].user_name),
                                          .has_password = !auth && connects[i].password != NULL,
                                          .has_auth = auth,
                                          .auth_method = gh_slice_text(connects[i].method),
                                          .auth_data = auth ? proof : (struct gh_slice){0},
                                          .password = auth ? (struct gh_slice){0} : proof};
        CHECK(connects[i].claim, gh_native_dialect.recognise(&connect) == connects[i].recognised);
        if (!connects[i].recognised)
            continue;
        bool taken = gh_native_dialect.claim(&connect, &claim, &refusal, &why);
        CHECK(connects[i].claim, taken == (connects[i].refusal == -1));
        CHECK(connects[i].claim, taken || (int)refusal == connects[i].refusal);
        if (!taken)
            continue;
        CHECK(connects[i].claim, gh_slice_equal(claim.tenant, GH_SLICE("acme")) &&
                                     gh_slice_equal(claim.registry, GH_SLICE("plant")) &&
                                     gh_slice_equal(claim.device, GH_SLICE("pump-1")));
        CHECK(connects[i].claim, gh_slice_equal(claim.policy.audience, GH_SLICE("acme")) &&
                                     gh_slice_equal(claim.policy.subject, GH_SLICE("pump-1")));
        CHECK(connects[i].claim,
              gh_slice_equal(connects[i].token ? claim.token : claim.secret, proof));
        CHECK(connects[i].claim, claim.by_certificate == (proof.size == 0));
        CHECK(connects[i].claim, (connects[i].token ? claim.secret : claim.token).size == 0);
    }
}

int main(void)
{
    static const uint8_t bytes[(64 << 10) + 1];
    struct gh_speaker speaker = {.id = GH_SLICE("pump-1")};
    check_connects();
    for (size_t i = 0; i < GH_COUNT(publishes); i++) {
        struct gh_mqtt_publish packet = {.topic = gh_slice_text(publishes[i].topic),
                                         .payload = gh_slice(bytes, publishes[i].payload)};
        struct gh_operation operation = gh_native_dialect.publish(&speaker, &packet);
        CHECK(publishes[i].claim, operation.kind == publishes[i].kind);
        CHECK(publishes[i].claim,
              gh_slice_equal(operation.channel, gh_slice_text(publishes[i].channel)));
    }
    for (size_t i = 0; i < GH_COUNT(subscribes); i++) {
        struct gh_grant grant = gh_native_dialect.subscribe(
            &speaker, gh_slice_text(subscribes[i].filter), subscribes[i].asked);
        CHECK(subscribes[i].claim, grant.feed == subscribes[i].feed);
        CHECK(subscribes[i].claim,
              grant.feed == GH_FEED_NONE || grant.qos == subscribes[i].granted);
        CHECK(subscribes[i].claim, gh_slice_equal(grant.base, gh_slice_text(subscribes[i].base)));
    }
    return check_report();
}
