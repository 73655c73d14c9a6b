#include "wire/mqtt/reason.h"
#include "wire/mqtt/packet_internal.h"

/* Packet types as bits of the table's columns. */
#define IN(type) (1u << GH_MQTT_##type)
enum {
    CONNACK = IN(CONNACK),
    PUBACK = IN(PUBACK) | IN(PUBREC), /* the two have the same codes */
    PUBREL = IN(PUBREL) | IN(PUBCOMP),
    SUBACK = IN(SUBACK),
    UNSUBACK = IN(UNSUBACK),
    DISCONNECT = IN(DISCONNECT),
    AUTH = IN(AUTH),
    /* What a server answers to a publish, a subscribe and an unsubscribe. */
    ANSWERS = PUBACK | SUBACK | UNSUBACK,
};

/* Table 2-6, with who may send which code in which packet: tables 3-1 (CONNACK), 3-4 to 3-7
 * (acknowledgements), 3-8 (SUBACK), 3-9 (UNSUBACK), 3-10 (DISCONNECT) and 3-11 (AUTH). The standard
 * lists 0x8C for DISCONNECT in table 2-6 but not in 3-10; it passes. */
static const struct {
    const char *name;
    uint16_t to_server, to_client;
} codes[] = {
    [GH_MQTT_REASON_SUCCESS] = {"Success", PUBACK | PUBREL | DISCONNECT,
                                CONNACK | ANSWERS | PUBREL | DISCONNECT | AUTH},
    [GH_MQTT_REASON_GRANTED_QOS_1] = {"Granted QoS 1", 0, SUBACK},
    [GH_MQTT_REASON_GRANTED_QOS_2] = {"Granted QoS 2", 0, SUBACK},
    [GH_MQTT_REASON_DISCONNECT_WITH_WILL] = {"Disconnect with Will Message", DISCONNECT, 0},
    [GH_MQTT_REASON_NO_MATCHING_SUBSCRIBERS] = {"No matching subscribers", 0, PUBACK},
    [GH_MQTT_REASON_NO_SUBSCRIPTION_EXISTED] = {"No subscription existed", 0, UNSUBACK},
    [GH_MQTT_REASON_CONTINUE_AUTHENTICATION] = {"Continue authentication", AUTH, AUTH},
    [GH_MQTT_REASON_REAUTHENTICATE] = {"Re-authenticate", AUTH, 0},
    [GH_MQTT_REASON_UNSPECIFIED] = {"Unspecified error", PUBACK | DISCONNECT,
                                    CONNACK | ANSWERS | DISCONNECT},
    [GH_MQTT_REASON_MALFORMED_PACKET] = {"Malformed Packet", DISCONNECT, CONNACK | DISCONNECT},
    [GH_MQTT_REASON_PROTOCOL_ERROR] = {"Protocol Error", DISCONNECT, CONNACK | DISCONNECT},
    [GH_MQTT_REASON_IMPLEMENTATION_SPECIFIC] = {"Implementation specific error",
                                                PUBACK | DISCONNECT,
                                                CONNACK | ANSWERS | DISCONNECT},
    [GH_MQTT_REASON_UNSUPPORTED_VERSION] = {"Unsupported Protocol Version", 0, CONNACK},
    [GH_MQTT_REASON_CLIENT_ID_INVALID] = {"Client Identifier not valid", 0, CONNACK},
    [GH_MQTT_REASON_BAD_CREDENTIALS] = {"Bad User Name or Password", 0, CONNACK},
    [GH_MQTT_REASON_NOT_AUTHORISED] = {"Not authorized", PUBACK, CONNACK | ANSWERS | DISCONNECT},
    [GH_MQTT_REASON_SERVER_UNAVAILABLE] = {"Server unavailable", 0, CONNACK},
    [GH_MQTT_REASON_SERVER_BUSY] = {"Server busy", 0, CONNACK | DISCONNECT},
    [GH_MQTT_REASON_BANNED] = {"Banned", 0, CONNACK},
    [GH_MQTT_REASON_SERVER_SHUTTING_DOWN] = {"Server shutting down", 0, DISCONNECT},
    [GH_MQTT_REASON_BAD_AUTHENTICATION_METHOD] = {"Bad authentication method", 0,
                                                  CONNACK | DISCONNECT},
    [GH_MQTT_REASON_KEEP_ALIVE_TIMEOUT] = {"Keep Alive timeout", 0, DISCONNECT},
    [GH_MQTT_REASON_SESSION_TAKEN_OVER] = {"Session taken over", 0, DISCONNECT},
    [GH_MQTT_REASON_TOPIC_FILTER_INVALID] = {"Topic Filter invalid", 0,
                                             SUBACK | UNSUBACK | DISCONNECT},
    [GH_MQTT_REASON_TOPIC_NAME_INVALID] = {"Topic Name invalid", PUBACK | DISCONNECT,
                                           CONNACK | PUBACK | DISCONNECT},
    [GH_MQTT_REASON_PACKET_ID_IN_USE] = {"Packet Identifier in use", PUBACK, ANSWERS},
    [GH_MQTT_REASON_PACKET_ID_NOT_FOUND] = {"Packet Identifier not found", PUBREL, PUBREL},
    [GH_MQTT_REASON_RECEIVE_MAXIMUM_EXCEEDED] = {"Receive Maximum exceeded", DISCONNECT,
                                                 DISCONNECT},
    [GH_MQTT_REASON_TOPIC_ALIAS_INVALID] = {"Topic Alias invalid", DISCONNECT, DISCONNECT},
    [GH_MQTT_REASON_PACKET_TOO_LARGE] = {"Packet too large", DISCONNECT, CONNACK | DISCONNECT},
    [GH_MQTT_REASON_MESSAGE_RATE_TOO_HIGH] = {"Message rate too high", DISCONNECT, DISCONNECT},
    [GH_MQTT_REASON_QUOTA_EXCEEDED] = {"Quota exceeded", PUBACK | DISCONNECT,
                                       CONNACK | PUBACK | SUBACK | DISCONNECT},
    [GH_MQTT_REASON_ADMINISTRATIVE_ACTION] = {"Administrative action", DISCONNECT, DISCONNECT},
    [GH_MQTT_REASON_PAYLOAD_FORMAT_INVALID] = {"Payload format invalid", PUBACK | DISCONNECT,
                                               CONNACK | PUBACK | DISCONNECT},
    [GH_MQTT_REASON_RETAIN_NOT_SUPPORTED] = {"Retain not supported", 0, CONNACK | DISCONNECT},
    [GH_MQTT_REASON_QOS_NOT_SUPPORTED] = {"QoS not supported", 0, CONNACK | DISCONNECT},
    [GH_MQTT_REASON_USE_ANOTHER_SERVER] = {"Use another server", 0, CONNACK | DISCONNECT},
    [GH_MQTT_REASON_SERVER_MOVED] = {"Server moved", 0, CONNACK | DISCONNECT},
    [GH_MQTT_REASON_SHARED_NOT_SUPPORTED] = {"Shared Subscriptions not supported", 0,
                                             SUBACK | DISCONNECT},
    [GH_MQTT_REASON_CONNECTION_RATE_EXCEEDED] = {"Connection rate exceeded", 0,
                                                 CONNACK | DISCONNECT},
    [GH_MQTT_REASON_MAXIMUM_CONNECT_TIME] = {"Maximum connect time", 0, DISCONNECT},
    [GH_MQTT_REASON_IDENTIFIERS_NOT_SUPPORTED] = {"Subscription Identifiers not supported", 0,
                                                  SUBACK | DISCONNECT},
    [GH_MQTT_REASON_WILDCARDS_NOT_SUPPORTED] = {"Wildcard Subscriptions not supported", 0,
                                                SUBACK | DISCONNECT},
};

const char *gh_mqtt_reason_name(uint8_t code)
{
    return code < GH_COUNT(codes) && codes[code].name != NULL ? codes[code].name : "reserved";
}

bool gh_mqtt_reason_allowed(uint8_t code, enum gh_mqtt_type type, enum gh_mqtt_reader reader)
{
    if (code >= GH_COUNT(codes))
        return false;
    unsigned types = reader == GH_MQTT_SERVER ? codes[code].to_server : codes[code].to_client;
    return (types & 1u << type) != 0;
}
