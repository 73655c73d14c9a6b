#include "dialect/google/mqtt.h"
#include "tests/check.h"
#include <stdio.h>
#include <string.h>

/* What a gateway asks for, what it is told, and its devices' activity, as text alone. */

static const struct gh_speaker gateway = {.id = GH_SLICE_INIT("g1"),
                                          .number = 7,
                                          .number_text = GH_SLICE_INIT("7"),
                                          .tenant = GH_SLICE_INIT("p"),
                                          .registry = GH_SLICE_INIT("r"),
                                          .location = GH_SLICE_INIT("l"),
                                          .is_gateway = true};
static const struct gh_speaker attached = {.id = GH_SLICE_INIT("d1"),
                                           .number = 8,
                                           .number_text = GH_SLICE_INIT("8"),
                                           .tenant = GH_SLICE_INIT("p"),
                                           .registry = GH_SLICE_INIT("r"),
                                           .location = GH_SLICE_INIT("l"),
                                           .through = GH_SLICE_INIT("g1")};

static const struct {
    const char *claim, *topic;
    const struct gh_speaker *speaker;
    enum gh_operation_kind kind;
    const char *device;
} publishes[] = {
    {"attach", "/devices/d1/attach", &gateway, GH_OPERATION_ATTACH, "d1"},
    {"detach", "/devices/d1/detach", &gateway, GH_OPERATION_DETACH, "d1"},
    {"by number", "/devices/8/attach", &gateway, GH_OPERATION_ATTACH, "8"},
    {"attach has no subfolder", "/devices/g1/attach/x", &gateway, GH_OPERATION_REFUSED, ""},
    {"of another device", "/devices/d1/events/a", &gateway, GH_OPERATION_OTHER, "d1"},
    {"its own", "/devices/g1/events", &gateway, GH_OPERATION_EVENT, ""},
    {"in the name of the device", "/devices/d1/events/a", &attached, GH_OPERATION_EVENT, ""},
    {"it attaches nobody", "/devices/d2/attach", &attached, GH_OPERATION_REFUSED, ""},
    {"not a device topic", "/things/d1/events", &gateway, GH_OPERATION_REFUSED, ""},
    {"no device", "/devices//events", &gateway, GH_OPERATION_REFUSED, ""},
};

static const struct {
    const char *claim, *filter;
    const struct gh_speaker *speaker;
    enum gh_feed feed;
    uint8_t qos;
} subscribes[] = {
    {"its error reports, at QoS 0", "/devices/g1/errors", &gateway, GH_FEED_ERRORS, 0},
    {"not those of a device", "/devices/d1/errors", &attached, GH_FEED_NONE, 0},
    {"another device", "/devices/d1/config", &gateway, GH_FEED_OTHER, 1},
    {"in its name", "/devices/d1/config", &attached, GH_FEED_CONFIG, 1},
    {"its commands", "/devices/d1/commands/#", &attached, GH_FEED_COMMANDS, 1},
    {"no wildcard for a device", "/devices/+/config", &gateway, GH_FEED_NONE, 0},
    {"nor for all", "/devices/#", &gateway, GH_FEED_NONE, 0},
};

static const struct {
    const char *claim, *payload, *token;
} attaches[] = {
    {"a token", "{\"authorization\":\"a.b.c\"}", "a.b.c"},
    {"nothing", "", ""},
    {"an empty object", "{}", ""},
    {"the samples' empty text", "{\"authorization\":\"\"}", ""},
    {"not a text", "{\"authorization\":7}", ""},
    {"no JSON", "a.b.c", ""},
};

static const struct {
    const char *claim;
    struct gh_report report;
    const char *json;
} reports[] = {
    {"the server detached it",
     {.kind = GH_REPORT_DETACHED, .device = GH_SLICE_INIT("light_switch_001")},
     "{\"error_type\":\"GATEWAY_DETACHMENT_DEVICE_ERROR\",\"description\":\"Device detached "
     "because "
     "of a device error.\",\"device_id\":\"light_switch_001\"}"},
    {"it is not attached",
     {.kind = GH_REPORT_MISSING,
      .device = GH_SLICE_INIT("light_switch_001"),
      .packet = "PUBLISH",
      .topic = GH_SLICE_INIT("/devices/light_switch_001/state"),
      .packet_id = 10},
     "{\"error_type\":\"GATEWAY_DEVICE_NOT_FOUND\",\"description\":\"The specified device with ID "
     "'light_switch_001' is not attached to the gateway.\",\"device_id\":\"light_switch_001\","
     "\"mqtt_message_info\":{\"message_type\":\"PUBLISH\",\"topic\":\"/devices/light_switch_001/"
     "state\",\"packet_id\":10}}"},
    {"without a packet id at QoS 0",
     {.kind = GH_REPORT_NOT_ATTACHED,
      .device = GH_SLICE_INIT("d1"),
      .packet = "PUBLISH",
      .topic = GH_SLICE_INIT("/devices/d1/attach")},
     "{\"error_type\":\"GATEWAY_ATTACHMENT_ERROR\",\"description\":\"The device with ID 'd1' could "
     "not be attached to the gateway.\",\"device_id\":\"d1\",\"mqtt_message_info\":{"
     "\"message_type\":\"PUBLISH\",\"topic\":\"/devices/d1/attach\"}}"},
};

static const struct {
    const char *claim;
    struct gh_chronicle_entry entry;
    const struct gh_speaker *speaker;
    const char *says[6];
} entries[] = {
    {"connected",
     {.kind = GH_CHRONICLE_CONNECT, .protocol = "MQTT", .at_ms = 1000},
     &gateway,
     {"\"eventType\":\"CONNECT\"", "\"severity\":\"INFO\"", "\"status\":{\"code\":0,",
      "\"logName\":\"projects/p/logs/cloudiot.googleapis.com%2Fdevice_activity\"",
      "\"device_num_id\":\"7\"", "\"labels\":{\"device_id\":\"g1\"}"}},
    {"taken over",
     {.kind = GH_CHRONICLE_DISCONNECT,
      .protocol = "MQTT",
      .reason = "TAKEN_OVER",
      .detail = "the device connected again",
      .by_server = true},
     &gateway,
     {"\"eventType\":\"DISCONNECT\"", "\"severity\":\"ERROR\"",
      "\"status\":{\"code\":6,\"description\":\"ALREADY_EXISTS\",\"message\":\"SERVER: the device "
      "connected again\"}",
      "\"disconnectType\":\"SERVER\"", "\"reason\":\"TAKEN_OVER\""}},
    {"closed by the client",
     {.kind = GH_CHRONICLE_DISCONNECT, .protocol = "MQTT", .reason = "CLIENT_CLOSED"},
     &gateway,
     {"\"severity\":\"INFO\"", "\"disconnectType\":\"CLIENT\"", "\"code\":0"}},
    {"attached",
     {.kind = GH_CHRONICLE_ATTACH, .protocol = "MQTT"},
     &attached,
     {"\"eventType\":\"ATTACH_TO_GATEWAY\"", "\"gateway\":{\"id\":\"g1\"}"}},
    {"published",
     {.kind = GH_CHRONICLE_PUBLISH, .protocol = "HTTP", .matter = "EVENTS"},
     &attached,
     {"\"publishFromDeviceTopicType\":\"EVENTS\"", "\"protocol\":\"HTTP\"",
      "\"severity\":\"DEBUG\""}},
    {"acknowledged a configuration",
     {.kind = GH_CHRONICLE_ACK,
      .protocol = "MQTT",
      .matter = "CONFIG",
      .topic = GH_SLICE_INIT("/devices/d1/config")},
     &attached,
     {"\"eventType\":\"PUBACK\"", "\"publishToDeviceTopicType\":\"CONFIG\"",
      "\"mqttTopic\":\"/devices/d1/config\""}},
};

static void asks(void)
{
    for (size_t i = 0; i < GH_COUNT(publishes); i++) {
        struct gh_mqtt_publish packet = {.topic = gh_slice_text(publishes[i].topic)};
        struct gh_operation operation = gh_google_dialect.publish(publishes[i].speaker, &packet);
        CHECK(publishes[i].claim, operation.kind == publishes[i].kind);
        CHECK(publishes[i].claim,
              gh_slice_equal(operation.device, gh_slice_text(publishes[i].device)));
    }
    for (size_t i = 0; i < GH_COUNT(subscribes); i++) {
        struct gh_grant grant = gh_google_dialect.subscribe(subscribes[i].speaker,
                                                            gh_slice_text(subscribes[i].filter), 1);
        CHECK(subscribes[i].claim, grant.feed == subscribes[i].feed);
        CHECK(subscribes[i].claim, grant.feed == GH_FEED_NONE || grant.qos == subscribes[i].qos);
    }
    for (size_t i = 0; i < GH_COUNT(attaches); i++) {
        struct gh_identity_claim claim;
        struct gh_arena arena;
        gh_arena_init(&arena, 1 << 16);
        gh_google_dialect.attach(&gateway, GH_SLICE("d1"), gh_slice_text(attaches[i].payload),
                                 &arena, &claim);
        CHECK(attaches[i].claim, gh_slice_equal(claim.token, gh_slice_text(attaches[i].token)));
        CHECK(attaches[i].claim, gh_slice_equal(claim.device, GH_SLICE("d1")) &&
                                     gh_slice_equal(claim.tenant, GH_SLICE("p")) &&
                                     gh_slice_equal(claim.registry, GH_SLICE("r")));
        gh_arena_deinit(&arena);
    }
}

static void is_told(void)
{
    for (size_t i = 0; i < GH_COUNT(reports); i++) {
        struct gh_buffer topic, payload;
        gh_buffer_init(&topic, 4096);
        gh_buffer_init(&payload, 4096);
        CHECK(reports[i].claim,
              gh_google_dialect.report(&gateway, &reports[i].report, &topic, &payload));
        CHECK(reports[i].claim,
              gh_slice_equal(gh_buffer_slice(&topic), GH_SLICE("/devices/g1/errors")));
        if (!CHECK(reports[i].claim,
                   gh_slice_equal(gh_buffer_slice(&payload), gh_slice_text(reports[i].json))))
            fprintf(stderr, "  %.*s\n", GH_PRINT(gh_buffer_slice(&payload)));
        gh_buffer_deinit(&payload);
        gh_buffer_deinit(&topic);
    }
}

static void is_logged(void)
{
    for (size_t i = 0; i < GH_COUNT(entries); i++) {
        struct gh_buffer text;
        gh_buffer_init(&text, 1 << 16);
        CHECK(entries[i].claim,
              gh_google_dialect.chronicle(entries[i].speaker, &entries[i].entry, &text));
        gh_buffer_u8(&text, 0);
        for (size_t k = 0; k < GH_COUNT(entries[i].says) && entries[i].says[k] != NULL; k++)
            if (!CHECK(entries[i].claim,
                       strstr((const char *)text.data, entries[i].says[k]) != NULL))
                fprintf(stderr, "  no %s in %s\n", entries[i].says[k], (const char *)text.data);
        gh_buffer_deinit(&text);
    }
}

int main(void)
{
    asks();
    is_told();
    is_logged();
    return check_report();
}
