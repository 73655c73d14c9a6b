#include "wire/mqtt/packet_testbed.h"
#include "wire/mqtt/property.h"
#include <string.h>

#define NONE GH_MQTT_FAULT_NONE

/* Bytes written out from MQTT 5.0 chapter 3. Each property by itself, where it may stand and what
 * it may be, is in property_test.c. */
static const struct testbed_case cases[] = {
    /* §3.1 CONNECT */
    {"CONNECT, figure 3-6: session expiry 10, will, user name, password", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10!\0\x04MQTT\x05\xce\0\x0a\x05\x11\0\0\0\x0a\0\x01"
                   "a\0\0\x01t\0\x01w\0\x01u\0\x02pw"),
     NONE, 0},
    {"CONNECT, nothing but a client id", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x0e\0\x04MQTT\x05\x02\0\0\0\0\x01"
                   "a"),
     NONE, 0},
    {"CONNECT, empty client id without clean start", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x0d\0\x04MQTT\x05\0\0\x0a\0\0\0"), NONE, 0},
    {"CONNECT, password without user name [3.1.2.9]", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x12\0\x04MQTT\x05"
                   "B\0\x0a\0\0\x01"
                   "a\0\x02\0\xff"),
     NONE, 0},
    {"CONNECT, every property", GH_MQTT_SERVER,
     GH_SLICE_INIT(
         "\x10"
         "9\0\x04MQTT\x05\x02\0\x0a+\x11\xff\xff\xff\xff!\0\x14'\0\0\x04\0\x22\0\x0a\x19\x01\x17\0&"
         "\0\x01k\0\x01v&\0\x01k\0\x01v\x15\0\x01m\x16\0\x02\0\xff\0\x01"
         "a"),
     NONE, 0},
    {"CONNECT, every property of a will", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10@\0\x04MQTT\x05"
                   "6\0\x0a\0\0\x01"
                   "a+\x18\0\0\0\x1e\x01\x01\x02\0\0\0<\x03\0\x0atext/plain\x08\0\x03r/"
                   "t\x09\0\x02\0\x01&\0\x01k\0\x01v\0\x01t\0\x01w"),
     NONE, 0},
    {"CONNECT, reserved flag", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x0e\0\x04MQTT\x05\x03\0\x0a\0\0\x01"
                   "a"),
     GH_MQTT_FAULT_CONNECT_FLAGS, 0},
    {"CONNECT, will QoS without will", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x0e\0\x04MQTT\x05\x0a\0\x0a\0\0\x01"
                   "a"),
     GH_MQTT_FAULT_CONNECT_FLAGS, 0},
    {"CONNECT, will retain without will", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x0e\0\x04MQTT\x05\x22\0\x0a\0\0\x01"
                   "a"),
     GH_MQTT_FAULT_CONNECT_FLAGS, 0},
    {"CONNECT, will QoS 3", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x14\0\x04MQTT\x05\x1e\0\x0a\0\0\x01"
                   "a\0\0\x01t\0\0"),
     GH_MQTT_FAULT_CONNECT_FLAGS, 0},
    {"CONNECT, MQTT 5 under the name of 3.1", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x10\0\x06MQIsdp\x05\x02\0\x0a\0\0\x01"
                   "a"),
     GH_MQTT_FAULT_PROTOCOL, 0},
    {"CONNECT, level 6", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x0e\0\x04MQTT\x06\x02\0\x0a\0\0\x01"
                   "a"),
     GH_MQTT_FAULT_PROTOCOL, 0},
    {"CONNECT, without properties as in 3.1.1", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x0d\0\x04MQTT\x05\x02\0\x0a\0\x01"
                   "a"),
     GH_MQTT_FAULT_TRUNCATED, 0},
    {"CONNECT, properties longer than the packet", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x0e\0\x04MQTT\x05\x02\0\x0a\x7f\0\x01"
                   "a"),
     GH_MQTT_FAULT_TRUNCATED, 0},
    {"CONNECT, length of properties in two bytes where one does", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x0f\0\x04MQTT\x05\x02\0\x0a\x80\0\0\x01"
                   "a"),
     GH_MQTT_FAULT_INTEGER, 0},
    {"CONNECT, length of properties in five bytes", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x12\0\x04MQTT\x05\x02\0\x0a\x80\x80\x80\x80\x01\0\x01"
                   "a"),
     GH_MQTT_FAULT_INTEGER, 0},
    {"CONNECT, length of the packet in two bytes where one does", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x8e\0\0\x04MQTT\x05\x02\0\x0a\0\0\x01"
                   "a"),
     GH_MQTT_FAULT_INTEGER, 0},
    {"CONNECT, will topic with a wildcard", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x14\0\x04MQTT\x05\x06\0\x0a\0\0\x01"
                   "a\0\0\x01#\0\0"),
     GH_MQTT_FAULT_TOPIC, 0},
    {"CONNECT, will without topic", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x13\0\x04MQTT\x05\x06\0\x0a\0\0\x01"
                   "a\0\0\0\0\0"),
     GH_MQTT_FAULT_TOPIC, 0},
    {"CONNECT, will property in the packet", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x13\0\x04MQTT\x05\x02\0\x0a\x05\x18\0\0\0\x1e\0\x01"
                   "a"),
     GH_MQTT_FAULT_PROPERTY, 0},
    {"CONNECT, property of the packet in the will", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x19\0\x04MQTT\x05\x06\0\x0a\0\0\x01"
                   "a\x05\x11\0\0\0\x01\0\x01t\0\0"),
     GH_MQTT_FAULT_PROPERTY, 0},
    {"CONNECT, authentication data without method [3.1.2.11.10]", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x12\0\x04MQTT\x05\x02\0\x0a\x04\x16\0\x01"
                   "d\0\x01"
                   "a"),
     GH_MQTT_FAULT_AUTH_METHOD, 0},
    {"CONNECT, client id with a surrogate", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x10\0\x04MQTT\x05\x02\0\x0a\0\0\x03\xed\xa0\x80"), GH_MQTT_FAULT_UTF8, 0},
    {"CONNECT, a byte behind the payload", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x0f\0\x04MQTT\x05\x02\0\x0a\0\0\x01"
                   "ax"),
     GH_MQTT_FAULT_TRAILING, 0},
    {"CONNECT to a client", GH_MQTT_CLIENT,
     GH_SLICE_INIT("\x10\x0e\0\x04MQTT\x05\x02\0\x0a\0\0\x01"
                   "a"),
     GH_MQTT_FAULT_TYPE, 0},
    /* §3.2 CONNACK */
    {"CONNACK, success", GH_MQTT_CLIENT, GH_SLICE_INIT(" \x03\0\0\0"), NONE, 0},
    {"CONNACK, session present", GH_MQTT_CLIENT, GH_SLICE_INIT(" \x03\x01\0\0"), NONE, 0},
    {"CONNACK, every property but authentication", GH_MQTT_CLIENT,
     GH_SLICE_INIT(" :\0\x00"
                   "7\x11\0\0\0<!\0\x0a$\x01%\0'\0\0\0d\x12\0\x02id\x22\0\x05\x1f\0\x03why&"
                   "\0\x01k\0\x01v(\0)\0*\0\x13\0\x1e\x1a\0\x01r\x1c\0\x01s"),
     NONE, 0},
    {"CONNACK, authentication", GH_MQTT_CLIENT,
     GH_SLICE_INIT(" \x0b\0\0\x08\x15\0\x01m\x16\0\x01"
                   "d"),
     NONE, 0},
    {"CONNACK, not authorized", GH_MQTT_CLIENT, GH_SLICE_INIT(" \x08\0\x87\x05\x1f\0\x02no"), NONE,
     0},
    {"CONNACK, a code of 3.1.1", GH_MQTT_CLIENT, GH_SLICE_INIT(" \x03\0\x05\0"), GH_MQTT_FAULT_CODE,
     0},
    {"CONNACK, a code of DISCONNECT", GH_MQTT_CLIENT, GH_SLICE_INIT(" \x03\0\x8e\0"),
     GH_MQTT_FAULT_CODE, 0},
    {"CONNACK, reserved flags", GH_MQTT_CLIENT, GH_SLICE_INIT(" \x03\x02\0\0"), GH_MQTT_FAULT_CODE,
     0},
    {"CONNACK, refused with session present [MQTT-3.2.2-6]", GH_MQTT_CLIENT,
     GH_SLICE_INIT(" \x03\x01\x87\0"), GH_MQTT_FAULT_CODE, 0},
    {"CONNACK, without properties as in 3.1.1", GH_MQTT_CLIENT, GH_SLICE_INIT(" \x02\0\0"),
     GH_MQTT_FAULT_TRUNCATED, 0},
    {"CONNACK, maximum QoS 2 [MQTT-3.2.2-9]", GH_MQTT_CLIENT, GH_SLICE_INIT(" \x05\0\0\x02$\x02"),
     GH_MQTT_FAULT_PROPERTY_VALUE, 0},
    {"CONNACK, a byte behind", GH_MQTT_CLIENT, GH_SLICE_INIT(" \x04\0\0\0x"),
     GH_MQTT_FAULT_TRAILING, 0},
    {"CONNACK to a server", GH_MQTT_SERVER, GH_SLICE_INIT(" \x03\0\0\0"), GH_MQTT_FAULT_TYPE, 0},
    /* §3.3 PUBLISH */
    {"PUBLISH, figure 3-9: a/b, id 10", GH_MQTT_SERVER,
     GH_SLICE_INIT("2\x08\0\x03"
                   "a/b\0\x0a\0"),
     NONE, 0},
    {"PUBLISH, QoS 0 with payload", GH_MQTT_SERVER,
     GH_SLICE_INIT("0\x08\0\x03"
                   "a/b\0hi"),
     NONE, 2},
    {"PUBLISH, a payload that looks like properties", GH_MQTT_SERVER,
     GH_SLICE_INIT("0\x07\0\x01"
                   "a\0#\0\x01"),
     NONE, 3},
    {"PUBLISH, every property, QoS 2, retained, DUP", GH_MQTT_SERVER,
     GH_SLICE_INIT(
         "=$\0\x01"
         "a\0\x01\x1d\x01\x01\x02\0\0\0<#\0\x03\x08\0\x01r\x09\0\x01\0&\0\x01k\0\x01v\x03\0\x01"
         "c!"),
     NONE, 1},
    {"PUBLISH, an alias instead of a topic [3.3.2.1]", GH_MQTT_SERVER,
     GH_SLICE_INIT("0\x06\0\0\x03#\0\x01"), NONE, 0},
    {"PUBLISH, two subscription identifiers to a client", GH_MQTT_CLIENT,
     GH_SLICE_INIT("0\x0b\0\x01"
                   "a\x07\x0b\x01\x0b\xff\xff\xff\x7f"),
     NONE, 0},
    {"PUBLISH, a subscription identifier to a server [MQTT-3.3.4-6]", GH_MQTT_SERVER,
     GH_SLICE_INIT("0\x06\0\x01"
                   "a\x02\x0b\x01"),
     GH_MQTT_FAULT_PROPERTY_DIRECTION, 0},
    {"PUBLISH, subscription identifier 0", GH_MQTT_CLIENT,
     GH_SLICE_INIT("0\x06\0\x01"
                   "a\x02\x0b\0"),
     GH_MQTT_FAULT_PROPERTY_VALUE, 0},
    {"PUBLISH, subscription identifier in two bytes where one does", GH_MQTT_CLIENT,
     GH_SLICE_INIT("0\x07\0\x01"
                   "a\x03\x0b\x81\0"),
     GH_MQTT_FAULT_INTEGER, 0},
    {"PUBLISH, subscription identifier of five bytes", GH_MQTT_CLIENT,
     GH_SLICE_INIT("0\x0a\0\x01"
                   "a\x06\x0b\x80\x80\x80\x80\x01"),
     GH_MQTT_FAULT_INTEGER, 0},
    {"PUBLISH, neither topic nor alias", GH_MQTT_SERVER, GH_SLICE_INIT("0\x03\0\0\0"),
     GH_MQTT_FAULT_NO_TOPIC, 0},
    {"PUBLISH, alias 0 [MQTT-3.3.2-8]", GH_MQTT_SERVER,
     GH_SLICE_INIT("0\x07\0\x01"
                   "a\x03#\0\0"),
     GH_MQTT_FAULT_TOPIC_ALIAS, 0},
    {"PUBLISH, two aliases", GH_MQTT_SERVER,
     GH_SLICE_INIT("0\x0a\0\x01"
                   "a\x06#\0\x01#\0\x01"),
     GH_MQTT_FAULT_PROPERTY_TWICE, 0},
    {"PUBLISH, response topic with a wildcard [MQTT-3.3.2-14]", GH_MQTT_SERVER,
     GH_SLICE_INIT("0\x0a\0\x01"
                   "a\x06\x08\0\x03r/+"),
     GH_MQTT_FAULT_TOPIC, 0},
    {"PUBLISH, response topic empty [MQTT-4.7.3-1]", GH_MQTT_SERVER,
     GH_SLICE_INIT("0\x07\0\x01"
                   "a\x03\x08\0\0"),
     GH_MQTT_FAULT_TOPIC, 0},
    {"PUBLISH, NUL in the response topic", GH_MQTT_SERVER,
     GH_SLICE_INIT("0\x09\0\x01"
                   "a\x05\x08\0\x02r\0"),
     GH_MQTT_FAULT_UTF8, 0},
    {"PUBLISH, wildcard", GH_MQTT_SERVER,
     GH_SLICE_INIT("0\x06\0\x03"
                   "a/#\0"),
     GH_MQTT_FAULT_TOPIC, 0},
    {"PUBLISH, topic is not UTF-8", GH_MQTT_SERVER, GH_SLICE_INIT("0\x05\0\x02\xc3(\0"),
     GH_MQTT_FAULT_UTF8, 0},
    {"PUBLISH, DUP at QoS 0", GH_MQTT_SERVER,
     GH_SLICE_INIT("8\x04\0\x01"
                   "a\0"),
     GH_MQTT_FAULT_DUP, 0},
    {"PUBLISH, packet id 0 [MQTT-2.2.1-3]", GH_MQTT_SERVER,
     GH_SLICE_INIT("2\x06\0\x01"
                   "a\0\0\0"),
     GH_MQTT_FAULT_PACKET_ID, 0},
    {"PUBLISH, without properties as in 3.1.1", GH_MQTT_SERVER,
     GH_SLICE_INIT("0\x03\0\x01"
                   "a"),
     GH_MQTT_FAULT_TRUNCATED, 0},
    {"PUBLISH, a property nobody knows", GH_MQTT_SERVER,
     GH_SLICE_INIT("0\x06\0\x01"
                   "a\x02~\x01"),
     GH_MQTT_FAULT_PROPERTY, 0},
    {"PUBLISH, property 0", GH_MQTT_SERVER,
     GH_SLICE_INIT("0\x05\0\x01"
                   "a\x01\0"),
     GH_MQTT_FAULT_PROPERTY, 0},
    {"PUBLISH, an identifier in two bytes", GH_MQTT_SERVER,
     GH_SLICE_INIT("0\x07\0\x01"
                   "a\x03\x81\0\x01"),
     GH_MQTT_FAULT_PROPERTY, 0},
    {"PUBLISH, payload format 2", GH_MQTT_SERVER,
     GH_SLICE_INIT("0\x06\0\x01"
                   "a\x02\x01\x02"),
     GH_MQTT_FAULT_PROPERTY_VALUE, 0},
    /* §3.4 to §3.7: PUBACK, PUBREC, PUBREL, PUBCOMP */
    {"PUBACK of two bytes: success", GH_MQTT_SERVER, GH_SLICE_INIT("@\x02\x01\x02"), NONE, 0},
    {"PUBACK of three bytes", GH_MQTT_CLIENT, GH_SLICE_INIT("@\x03\0\x01\x97"), NONE, 1},
    {"PUBACK with properties", GH_MQTT_SERVER,
     GH_SLICE_INIT("@\x11\0\x01\x97\x0d\x1f\0\x03why&\0\x01k\0\x01v"), NONE, 2},
    {"PUBACK, id 0", GH_MQTT_SERVER, GH_SLICE_INIT("@\x02\0\0"), GH_MQTT_FAULT_PACKET_ID, 0},
    {"PUBACK, a code of CONNACK", GH_MQTT_CLIENT, GH_SLICE_INIT("@\x03\0\x01\x84"),
     GH_MQTT_FAULT_CODE, 0},
    {"PUBACK, a property twice", GH_MQTT_SERVER,
     GH_SLICE_INIT("@\x0c\0\x01\x97\x08\x1f\0\x01"
                   "a\x1f\0\x01"
                   "a"),
     GH_MQTT_FAULT_PROPERTY_TWICE, 0},
    {"PUBACK, a byte behind", GH_MQTT_SERVER, GH_SLICE_INIT("@\x05\0\x01\x97\0x"),
     GH_MQTT_FAULT_TRAILING, 0},
    {"PUBREC of two bytes: success", GH_MQTT_SERVER, GH_SLICE_INIT("P\x02\x01\x02"), NONE, 0},
    {"PUBREC of three bytes", GH_MQTT_CLIENT, GH_SLICE_INIT("P\x03\0\x01\x97"), NONE, 1},
    {"PUBREC with properties", GH_MQTT_SERVER,
     GH_SLICE_INIT("P\x11\0\x01\x97\x0d\x1f\0\x03why&\0\x01k\0\x01v"), NONE, 2},
    {"PUBREC, id 0", GH_MQTT_SERVER, GH_SLICE_INIT("P\x02\0\0"), GH_MQTT_FAULT_PACKET_ID, 0},
    {"PUBREC, a code of CONNACK", GH_MQTT_CLIENT, GH_SLICE_INIT("P\x03\0\x01\x84"),
     GH_MQTT_FAULT_CODE, 0},
    {"PUBREC, a property twice", GH_MQTT_SERVER,
     GH_SLICE_INIT("P\x0c\0\x01\x97\x08\x1f\0\x01"
                   "a\x1f\0\x01"
                   "a"),
     GH_MQTT_FAULT_PROPERTY_TWICE, 0},
    {"PUBREC, a byte behind", GH_MQTT_SERVER, GH_SLICE_INIT("P\x05\0\x01\x97\0x"),
     GH_MQTT_FAULT_TRAILING, 0},
    {"PUBREL of two bytes: success", GH_MQTT_SERVER, GH_SLICE_INIT("b\x02\x01\x02"), NONE, 0},
    {"PUBREL of three bytes", GH_MQTT_CLIENT, GH_SLICE_INIT("b\x03\0\x01\x92"), NONE, 1},
    {"PUBREL with properties", GH_MQTT_SERVER,
     GH_SLICE_INIT("b\x11\0\x01\x92\x0d\x1f\0\x03why&\0\x01k\0\x01v"), NONE, 2},
    {"PUBREL, id 0", GH_MQTT_SERVER, GH_SLICE_INIT("b\x02\0\0"), GH_MQTT_FAULT_PACKET_ID, 0},
    {"PUBREL, a code of CONNACK", GH_MQTT_CLIENT, GH_SLICE_INIT("b\x03\0\x01\x84"),
     GH_MQTT_FAULT_CODE, 0},
    {"PUBREL, a property twice", GH_MQTT_SERVER,
     GH_SLICE_INIT("b\x0c\0\x01\x92\x08\x1f\0\x01"
                   "a\x1f\0\x01"
                   "a"),
     GH_MQTT_FAULT_PROPERTY_TWICE, 0},
    {"PUBREL, a byte behind", GH_MQTT_SERVER, GH_SLICE_INIT("b\x05\0\x01\x92\0x"),
     GH_MQTT_FAULT_TRAILING, 0},
    {"PUBCOMP of two bytes: success", GH_MQTT_SERVER, GH_SLICE_INIT("p\x02\x01\x02"), NONE, 0},
    {"PUBCOMP of three bytes", GH_MQTT_CLIENT, GH_SLICE_INIT("p\x03\0\x01\x92"), NONE, 1},
    {"PUBCOMP with properties", GH_MQTT_SERVER,
     GH_SLICE_INIT("p\x11\0\x01\x92\x0d\x1f\0\x03why&\0\x01k\0\x01v"), NONE, 2},
    {"PUBCOMP, id 0", GH_MQTT_SERVER, GH_SLICE_INIT("p\x02\0\0"), GH_MQTT_FAULT_PACKET_ID, 0},
    {"PUBCOMP, a code of CONNACK", GH_MQTT_CLIENT, GH_SLICE_INIT("p\x03\0\x01\x84"),
     GH_MQTT_FAULT_CODE, 0},
    {"PUBCOMP, a property twice", GH_MQTT_SERVER,
     GH_SLICE_INIT("p\x0c\0\x01\x92\x08\x1f\0\x01"
                   "a\x1f\0\x01"
                   "a"),
     GH_MQTT_FAULT_PROPERTY_TWICE, 0},
    {"PUBCOMP, a byte behind", GH_MQTT_SERVER, GH_SLICE_INIT("p\x05\0\x01\x92\0x"),
     GH_MQTT_FAULT_TRAILING, 0},
    {"PUBACK, no matching subscribers", GH_MQTT_CLIENT, GH_SLICE_INIT("@\x03\0\x01\x10"), NONE, 1},
    {"PUBACK, no matching subscribers from a client", GH_MQTT_SERVER,
     GH_SLICE_INIT("@\x03\0\x01\x10"), GH_MQTT_FAULT_CODE, 0},
    {"PUBACK, empty", GH_MQTT_SERVER, GH_SLICE_INIT("@\0"), GH_MQTT_FAULT_TRUNCATED, 0},
    /* §3.8 SUBSCRIBE */
    {"SUBSCRIBE, figure 3-21: a/b QoS 1, c/d QoS 2", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x82\x0f\0\x0a\0\0\x03"
                   "a/b\x01\0\x03"
                   "c/d\x02"),
     NONE, 1},
    {"SUBSCRIBE, identifier and every option", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x82 \0\x01\x0a\x0b\x80\x01&\0\x01k\0\x01v\0\x01"
                   "a-\0\x0c$share/g/b/#\x18"),
     NONE, 1},
    {"SUBSCRIBE, no filter [MQTT-3.8.3-2]", GH_MQTT_SERVER, GH_SLICE_INIT("\x82\x03\0\x01\0"),
     GH_MQTT_FAULT_NO_FILTER, 0},
    {"SUBSCRIBE, id 0", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x82\x07\0\0\0\0\x01"
                   "a\0"),
     GH_MQTT_FAULT_PACKET_ID, 0},
    {"SUBSCRIBE, QoS 3", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x82\x07\0\x01\0\0\x01"
                   "a\x03"),
     GH_MQTT_FAULT_QOS, 0},
    {"SUBSCRIBE, retain handling 3", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x82\x07\0\x01\0\0\x01"
                   "a0"),
     GH_MQTT_FAULT_RETAIN_HANDLING, 0},
    {"SUBSCRIBE, reserved option bit 6 [MQTT-3.8.3-5]", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x82\x07\0\x01\0\0\x01"
                   "a@"),
     GH_MQTT_FAULT_OPTIONS, 0},
    {"SUBSCRIBE, reserved option bit 7 of the second", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x82\x0b\0\x01\0\0\x01"
                   "a\0\0\x01"
                   "b\x80"),
     GH_MQTT_FAULT_OPTIONS, 0},
    {"SUBSCRIBE, No Local on a shared subscription [MQTT-3.8.3-4]", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x82\x10\0\x01\0\0\x0a$share/g/a\x04"), GH_MQTT_FAULT_NO_LOCAL, 0},
    {"SUBSCRIBE, a share without a name [MQTT-4.8.2-1]", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x82\x0f\0\x01\0\0\x09$share//a\0"), GH_MQTT_FAULT_FILTER, 0},
    {"SUBSCRIBE, a share with a wildcard in its name [MQTT-4.8.2-2]", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x82\x10\0\x01\0\0\x0a$share/+/a\0"), GH_MQTT_FAULT_FILTER, 0},
    {"SUBSCRIBE, a share without a filter", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x82\x0e\0\x01\0\0\x08$share/g\0"), GH_MQTT_FAULT_FILTER, 0},
    {"SUBSCRIBE, empty filter", GH_MQTT_SERVER, GH_SLICE_INIT("\x82\x06\0\x01\0\0\0\0"),
     GH_MQTT_FAULT_FILTER, 0},
    {"SUBSCRIBE, filter is not UTF-8", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x82\x07\0\x01\0\0\x01\x80\0"), GH_MQTT_FAULT_UTF8, 0},
    {"SUBSCRIBE, identifier 0", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x82\x09\0\x01\x02\x0b\0\0\x01"
                   "a\0"),
     GH_MQTT_FAULT_PROPERTY_VALUE, 0},
    {"SUBSCRIBE, two identifiers", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x82\x0b\0\x01\x04\x0b\x01\x0b\x02\0\x01"
                   "a\0"),
     GH_MQTT_FAULT_PROPERTY_TWICE, 0},
    {"SUBSCRIBE, reason string", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x82\x0b\0\x01\x04\x1f\0\x01"
                   "a\0\x01"
                   "a\0"),
     GH_MQTT_FAULT_PROPERTY, 0},
    {"SUBSCRIBE to a client", GH_MQTT_CLIENT,
     GH_SLICE_INIT("\x82\x07\0\x01\0\0\x01"
                   "a\0"),
     GH_MQTT_FAULT_TYPE, 0},
    /* §3.9 SUBACK */
    {"SUBACK, every code", GH_MQTT_CLIENT,
     GH_SLICE_INIT("\x90\x1c\0\x01\x0d\x1f\0\x03why&"
                   "\0\x01k\0\x01v\0\x01\x02\x80\x83\x87\x8f\x91\x97\x9e\xa1\xa2"),
     NONE, 11},
    {"SUBACK, code 3", GH_MQTT_CLIENT, GH_SLICE_INIT("\x90\x04\0\x01\0\x03"), GH_MQTT_FAULT_CODE,
     0},
    {"SUBACK, a code of UNSUBACK", GH_MQTT_CLIENT, GH_SLICE_INIT("\x90\x04\0\x01\0\x11"),
     GH_MQTT_FAULT_CODE, 0},
    {"SUBACK, no code", GH_MQTT_CLIENT, GH_SLICE_INIT("\x90\x03\0\x01\0"), GH_MQTT_FAULT_TRUNCATED,
     0},
    {"SUBACK, id 0", GH_MQTT_CLIENT, GH_SLICE_INIT("\x90\x04\0\0\0\0"), GH_MQTT_FAULT_PACKET_ID, 0},
    {"SUBACK to a server", GH_MQTT_SERVER, GH_SLICE_INIT("\x90\x04\0\x01\0\0"), GH_MQTT_FAULT_TYPE,
     0},
    /* §3.10 UNSUBSCRIBE */
    {"UNSUBSCRIBE, figure 3-28: a/b, c/d", GH_MQTT_SERVER,
     GH_SLICE_INIT("\xa2\x0d\0\x0a\0\0\x03"
                   "a/b\0\x03"
                   "c/d"),
     NONE, 1},
    {"UNSUBSCRIBE, a shared one with a property", GH_MQTT_SERVER,
     GH_SLICE_INIT("\xa2\x16\0\x0a\x07&\0\x01k\0\x01v\0\x0a$share/g/a"), NONE, 0},
    {"UNSUBSCRIBE, no filter [MQTT-3.10.3-2]", GH_MQTT_SERVER, GH_SLICE_INIT("\xa2\x03\0\x01\0"),
     GH_MQTT_FAULT_NO_FILTER, 0},
    {"UNSUBSCRIBE, id 0", GH_MQTT_SERVER,
     GH_SLICE_INIT("\xa2\x06\0\0\0\0\x01"
                   "a"),
     GH_MQTT_FAULT_PACKET_ID, 0},
    {"UNSUBSCRIBE, subscription identifier", GH_MQTT_SERVER,
     GH_SLICE_INIT("\xa2\x08\0\x01\x02\x0b\x01\0\x01"
                   "a"),
     GH_MQTT_FAULT_PROPERTY, 0},
    {"UNSUBSCRIBE, a wildcard inside a level", GH_MQTT_SERVER,
     GH_SLICE_INIT("\xa2\x07\0\x01\0\0\x02"
                   "a+"),
     GH_MQTT_FAULT_FILTER, 0},
    /* §3.11 UNSUBACK */
    {"UNSUBACK, every code", GH_MQTT_CLIENT,
     GH_SLICE_INIT("\xb0\x10\0\x01\x06\x1f\0\x03why\0\x11\x80\x83\x87\x8f\x91"), NONE, 6},
    {"UNSUBACK, as in 3.1.1", GH_MQTT_CLIENT, GH_SLICE_INIT("\xb0\x02\0\x01"),
     GH_MQTT_FAULT_TRUNCATED, 0},
    {"UNSUBACK, no code", GH_MQTT_CLIENT, GH_SLICE_INIT("\xb0\x03\0\x01\0"),
     GH_MQTT_FAULT_TRUNCATED, 0},
    {"UNSUBACK, a code of SUBACK", GH_MQTT_CLIENT, GH_SLICE_INIT("\xb0\x04\0\x01\0\x01"),
     GH_MQTT_FAULT_CODE, 0},
    {"UNSUBACK to a server", GH_MQTT_SERVER, GH_SLICE_INIT("\xb0\x04\0\x01\0\0"),
     GH_MQTT_FAULT_TYPE, 0},
    /* §3.12 and §3.13 */
    {"PINGREQ", GH_MQTT_SERVER, GH_SLICE_INIT("\xc0\0"), NONE, 0},
    {"PINGRESP", GH_MQTT_CLIENT, GH_SLICE_INIT("\xd0\0"), NONE, 0},
    {"PINGREQ with a body", GH_MQTT_SERVER, GH_SLICE_INIT("\xc0\x01\0"), GH_MQTT_FAULT_TRAILING, 0},
    {"PINGREQ to a client", GH_MQTT_CLIENT, GH_SLICE_INIT("\xc0\0"), GH_MQTT_FAULT_TYPE, 0},
    {"PINGRESP to a server", GH_MQTT_SERVER, GH_SLICE_INIT("\xd0\0"), GH_MQTT_FAULT_TYPE, 0},
    /* §3.14 DISCONNECT */
    {"DISCONNECT, empty: normal", GH_MQTT_SERVER, GH_SLICE_INIT("\xe0\0"), NONE, 0},
    {"DISCONNECT, empty from a server", GH_MQTT_CLIENT, GH_SLICE_INIT("\xe0\0"), NONE, 0},
    {"DISCONNECT, with will message, from a client", GH_MQTT_SERVER, GH_SLICE_INIT("\xe0\x01\x04"),
     NONE, 1},
    {"DISCONNECT, a client changes the session expiry", GH_MQTT_SERVER,
     GH_SLICE_INIT("\xe0\x07\0\x05\x11\0\0\0\x05"), NONE, 2},
    {"DISCONNECT, a server says where to go", GH_MQTT_CLIENT,
     GH_SLICE_INIT("\xe0\x1d\x9c\x1b\x1f\0\x04"
                   "full\x1c\0\x0aother:8883&\0\x01k\0\x01v"),
     NONE, 2},
    {"DISCONNECT, bad authentication method as in table 2-6", GH_MQTT_CLIENT,
     GH_SLICE_INIT("\xe0\x01\x8c"), NONE, 1},
    {"DISCONNECT, session expiry from a server [MQTT-3.14.2-2]", GH_MQTT_CLIENT,
     GH_SLICE_INIT("\xe0\x07\0\x05\x11\0\0\0\x05"), GH_MQTT_FAULT_PROPERTY_DIRECTION, 0},
    {"DISCONNECT, with will message, from a server", GH_MQTT_CLIENT, GH_SLICE_INIT("\xe0\x01\x04"),
     GH_MQTT_FAULT_CODE, 0},
    {"DISCONNECT, taken over, from a client", GH_MQTT_SERVER, GH_SLICE_INIT("\xe0\x01\x8e"),
     GH_MQTT_FAULT_CODE, 0},
    {"DISCONNECT, a code of CONNACK", GH_MQTT_CLIENT, GH_SLICE_INIT("\xe0\x01\x84"),
     GH_MQTT_FAULT_CODE, 0},
    {"DISCONNECT, a byte behind", GH_MQTT_SERVER, GH_SLICE_INIT("\xe0\x03\0\0x"),
     GH_MQTT_FAULT_TRAILING, 0},
    {"DISCONNECT, properties longer than the packet", GH_MQTT_SERVER,
     GH_SLICE_INIT("\xe0\x02\0\x05"), GH_MQTT_FAULT_TRUNCATED, 0},
    /* §3.15 AUTH */
    {"AUTH, continue, to a server", GH_MQTT_SERVER,
     GH_SLICE_INIT("\xf0\x0a\x18\x08\x15\0\x01m\x16\0\x01"
                   "d"),
     NONE, 0},
    {"AUTH, continue, to a client, with a reason", GH_MQTT_CLIENT,
     GH_SLICE_INIT("\xf0\x11\x18\x0f\x15\0\x01m\x1f\0\x01w&\0\x01k\0\x01v"), NONE, 1},
    {"AUTH, re-authenticate", GH_MQTT_SERVER,
     GH_SLICE_INIT("\xf0\x0c\x19\x0a\x15\0\x01m\x16\0\x03jwt"), NONE, 0},
    {"AUTH, success", GH_MQTT_CLIENT, GH_SLICE_INIT("\xf0\x06\0\x04\x15\0\x01m"), NONE, 1},
    {"AUTH, success said by nothing", GH_MQTT_CLIENT, GH_SLICE_INIT("\xf0\0"), NONE, 0},
    {"AUTH, success from a client", GH_MQTT_SERVER, GH_SLICE_INIT("\xf0\x06\0\x04\x15\0\x01m"),
     GH_MQTT_FAULT_CODE, 0},
    {"AUTH, nothing from a client means success", GH_MQTT_SERVER, GH_SLICE_INIT("\xf0\0"),
     GH_MQTT_FAULT_CODE, 0},
    {"AUTH, re-authenticate from a server", GH_MQTT_CLIENT,
     GH_SLICE_INIT("\xf0\x06\x19\x04\x15\0\x01m"), GH_MQTT_FAULT_CODE, 0},
    {"AUTH, without properties", GH_MQTT_SERVER, GH_SLICE_INIT("\xf0\x01\x18"),
     GH_MQTT_FAULT_TRUNCATED, 0},
    {"AUTH, without method [3.15.2.2.2]", GH_MQTT_SERVER,
     GH_SLICE_INIT("\xf0\x06\x18\x04\x16\0\x01"
                   "d"),
     GH_MQTT_FAULT_AUTH_METHOD, 0},
    {"AUTH, a code that is none", GH_MQTT_SERVER, GH_SLICE_INIT("\xf0\x06\x01\x04\x15\0\x01m"),
     GH_MQTT_FAULT_CODE, 0},
};

/* What may be said shorter, and is when it is written. */
static const struct {
    struct testbed_case row;
    struct gh_slice shortest;
} longer[] = {
    {{"PUBACK, success written out", GH_MQTT_SERVER, GH_SLICE_INIT("@\x03\0\x01\0"), NONE, 1},
     GH_SLICE_INIT("@\x02\0\x01")},
    {{"PUBACK, success and no properties written out", GH_MQTT_SERVER,
      GH_SLICE_INIT("@\x04\0\x01\0\0"), NONE, 2},
     GH_SLICE_INIT("@\x02\0\x01")},
    {{"PUBREL, a reason and no properties written out", GH_MQTT_SERVER,
      GH_SLICE_INIT("b\x04\0\x01\x92\0"), NONE, 2},
     GH_SLICE_INIT("b\x03\0\x01\x92")},
    {{"DISCONNECT, normal written out", GH_MQTT_SERVER, GH_SLICE_INIT("\xe0\x01\0"), NONE, 1},
     GH_SLICE_INIT("\xe0\0")},
    {{"DISCONNECT, normal and no properties written out", GH_MQTT_SERVER,
      GH_SLICE_INIT("\xe0\x02\0\0"), NONE, 2},
     GH_SLICE_INIT("\xe0\0")},
};

static struct gh_mqtt_packet read_case(const char *claim, struct gh_mqtt_frame *frame)
{
    struct gh_mqtt_packet packet = {0};
    size_t i = 0;
    while (i < GH_COUNT(cases) && strcmp(cases[i].claim, claim) != 0)
        i++;
    REQUIRE(claim, i < GH_COUNT(cases));
    REQUIRE(claim, gh_mqtt_frame_read(cases[i].wire, TESTBED_BYTES_MAX, frame) == GH_MQTT_FRAME_OK);
    REQUIRE(claim, gh_mqtt_packet_read(frame, GH_MQTT_V5, cases[i].reader, &packet) == NONE);
    return packet;
}

/* A CONNECT is read by what it says, not by what is expected. */
static void connect_names_its_version(void)
{
    struct gh_mqtt_frame frame;
    struct gh_mqtt_packet packet;
    read_case("CONNECT, nothing but a client id", &frame);
    CHECK("5 where 4 is expected",
          gh_mqtt_packet_read(&frame, GH_MQTT_V311, GH_MQTT_SERVER, &packet) == NONE &&
              packet.connect.version == GH_MQTT_V5 && packet.connect.level == 5);
    struct gh_slice old = GH_SLICE("\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01"
                                   "a");
    REQUIRE("a frame", gh_mqtt_frame_read(old, 64, &frame) == GH_MQTT_FRAME_OK);
    CHECK("4 where 5 is expected",
          gh_mqtt_packet_read(&frame, GH_MQTT_V5, GH_MQTT_SERVER, &packet) == NONE &&
              packet.connect.version == GH_MQTT_V311 && packet.connect.properties.size == 0);
    CHECK("defaults hold in 3.1.1 too", packet.connect.receive_max == 65535 &&
                                            packet.connect.request_problem &&
                                            packet.connect.session_expiry_s == 0);
}

static void connect_fields(void)
{
    struct gh_mqtt_frame frame;
    struct gh_mqtt_connect c = read_case("CONNECT, nothing but a client id", &frame).connect;
    CHECK("defaults", c.session_expiry_s == 0 && c.receive_max == 65535 &&
                          c.packet_bytes_max == 0 && c.topic_alias_max == 0 && c.request_problem &&
                          !c.request_response && !c.has_auth && !c.has_will);
    c = read_case("CONNECT, every property", &frame).connect;
    CHECK("numbers", c.session_expiry_s == UINT32_MAX && c.receive_max == 20 &&
                         c.packet_bytes_max == 1024 && c.topic_alias_max == 10);
    CHECK("switches", !c.request_problem && c.request_response);
    CHECK("authentication", c.has_auth && gh_slice_equal(c.auth_method, GH_SLICE("m")) &&
                                gh_slice_equal(c.auth_data, GH_SLICE("\0\xff")));
    c = read_case("CONNECT, every property of a will", &frame).connect;
    CHECK("will", c.has_will && c.will_delay_s == 30 && c.will_qos == 2 && c.will_retain);
    struct gh_mqtt_property_value value;
    CHECK("the will's block is whole",
          gh_mqtt_property_find(c.will_properties, GH_MQTT_PROPERTY_CONTENT_TYPE, &value) &&
              gh_slice_equal(value.text, GH_SLICE("text/plain")));
    c = read_case("CONNECT, figure 3-6: session expiry 10, will, user name, password", &frame)
            .connect;
    CHECK("figure 3-6", c.session_expiry_s == 10 && c.keep_alive_s == 10 && c.clean &&
                            c.will_qos == 1 && gh_slice_equal(c.will_topic, GH_SLICE("t")) &&
                            gh_slice_equal(c.will_payload, GH_SLICE("w")) &&
                            gh_slice_equal(c.user_name, GH_SLICE("u")) &&
                            gh_slice_equal(c.password, GH_SLICE("pw")));
}

static void publish_fields(void)
{
    struct gh_mqtt_frame frame;
    struct gh_mqtt_publish p =
        read_case("PUBLISH, every property, QoS 2, retained, DUP", &frame).publish;
    CHECK("flags", p.qos == 2 && p.retain && p.dup && p.packet_id == 1);
    CHECK("decoded", p.topic_alias == 3 && p.has_expiry && p.expiry_s == 60 && p.payload_is_text);
    CHECK("payload", gh_slice_equal(p.payload, GH_SLICE("!")));
    p = read_case("PUBLISH, figure 3-9: a/b, id 10", &frame).publish;
    CHECK("defaults", p.topic_alias == 0 && !p.has_expiry && !p.payload_is_text &&
                          p.properties.size == 0 && p.packet_id == 10);
}

static void filter_options(void)
{
    struct gh_mqtt_frame frame;
    struct gh_mqtt_filters at = read_case("SUBSCRIBE, identifier and every option", &frame).filters;
    struct gh_mqtt_filter f;
    CHECK("head", at.packet_id == 1 && at.count == 2 && at.identifier == 128);
    CHECK("first", gh_mqtt_filter_next(&at, &f) && f.qos == 1 && f.no_local &&
                       f.retain_as_published && f.retain_handling == 2 &&
                       gh_slice_equal(f.filter, GH_SLICE("a")));
    CHECK("second", gh_mqtt_filter_next(&at, &f) && f.qos == 0 && !f.no_local &&
                        f.retain_as_published && f.retain_handling == 1);
    CHECK("no third", !gh_mqtt_filter_next(&at, &f));
}

/* One message for subscribers of both versions: what 3.1.1 does not have is left out. */
static void written_for_the_older(void)
{
    static const struct gh_mqtt_publish publish = {.topic = GH_SLICE_INIT("t"),
                                                   .payload = GH_SLICE_INIT("p"),
                                                   .properties = GH_SLICE_INIT("\x01\x01")};
    struct gh_mqtt_reason reason = {.reason = GH_MQTT_REASON_SERVER_BUSY};
    struct gh_mqtt_ack ack = {.packet_id = 1, .reason = GH_MQTT_REASON_QUOTA_EXCEEDED};
    struct gh_mqtt_suback suback = {.packet_id = 1, .codes = GH_SLICE("\x11")};
    struct gh_mqtt_filters head = {.packet_id = 1, .properties = GH_SLICE("\x0b\x01")};
    struct gh_mqtt_filter filter = {.filter = GH_SLICE("f"), .qos = 1, .no_local = true};
    uint8_t block[64];
    struct gh_buffer out = gh_buffer_fixed(block, sizeof block);

    gh_mqtt_write_publish(GH_MQTT_V311, &publish, &out);
    CHECK("PUBLISH", gh_slice_equal(gh_buffer_slice(&out), GH_SLICE("\x30\x04\0\x01tp")));
    CHECK("its size", gh_mqtt_publish_size(GH_MQTT_V311, &publish) == 6);
    gh_buffer_clear(&out);
    gh_mqtt_write_reason(GH_MQTT_V311, GH_MQTT_DISCONNECT, reason, &out);
    CHECK("DISCONNECT", gh_slice_equal(gh_buffer_slice(&out), GH_SLICE("\xe0\0")));
    gh_buffer_clear(&out);
    gh_mqtt_write_ack(GH_MQTT_V311, GH_MQTT_PUBACK, ack, &out);
    CHECK("PUBACK", gh_slice_equal(gh_buffer_slice(&out), GH_SLICE("\x40\x02\0\x01")));
    gh_buffer_clear(&out);
    gh_mqtt_write_suback(GH_MQTT_V311, GH_MQTT_UNSUBACK, suback, &out);
    CHECK("UNSUBACK", gh_slice_equal(gh_buffer_slice(&out), GH_SLICE("\xb0\x02\0\x01")));
    gh_buffer_clear(&out);
    gh_mqtt_write_filters(GH_MQTT_V311, GH_MQTT_SUBSCRIBE, &head, &filter, 1, &out);
    CHECK("SUBSCRIBE", gh_slice_equal(gh_buffer_slice(&out), GH_SLICE("\x82\x06\0\x01\0\x01"
                                                                      "f\x01")));
}

/* §4.13 and the sections of the packets; each fault has a name, a reason and a text. */
static void faults(void)
{
    static const struct {
        enum gh_mqtt_fault fault;
        uint8_t reason;
    } reasons[] = {
        {GH_MQTT_FAULT_NONE, 0x00},           {GH_MQTT_FAULT_TRUNCATED, 0x81},
        {GH_MQTT_FAULT_TYPE, 0x82},           {GH_MQTT_FAULT_PROTOCOL, 0x84},
        {GH_MQTT_FAULT_TOPIC, 0x90},          {GH_MQTT_FAULT_FILTER, 0x8f},
        {GH_MQTT_FAULT_PROPERTY, 0x81},       {GH_MQTT_FAULT_PROPERTY_TWICE, 0x82},
        {GH_MQTT_FAULT_PROPERTY_VALUE, 0x82}, {GH_MQTT_FAULT_OPTIONS, 0x81},
        {GH_MQTT_FAULT_TOPIC_ALIAS, 0x94},    {GH_MQTT_FAULT_NO_LOCAL, 0x82},
        {GH_MQTT_FAULT_CLIENT_ID, 0x85},
    };
    for (size_t i = 0; i < GH_COUNT(reasons); i++)
        CHECK(gh_mqtt_fault_name(reasons[i].fault),
              gh_mqtt_fault_reason(reasons[i].fault) == reasons[i].reason);
    for (unsigned f = 0; f < GH_MQTT_FAULT_COUNT; f++) {
        REQUIRE("a name", gh_mqtt_fault_name((enum gh_mqtt_fault)f) != NULL);
        CHECK("a text", gh_mqtt_fault_text((enum gh_mqtt_fault)f)[0] != '\0');
        CHECK("a failure has a failing reason",
              (gh_mqtt_fault_reason((enum gh_mqtt_fault)f) >= 0x80) == (f != 0));
    }
}

static void reasons(void)
{
    CHECK("quota", strcmp(gh_mqtt_reason_name(0x97), "Quota exceeded") == 0);
    CHECK("the last",
          strcmp(gh_mqtt_reason_name(0xa2), "Wildcard Subscriptions not supported") == 0);
    CHECK("behind the last", strcmp(gh_mqtt_reason_name(0xa3), "reserved") == 0);
    CHECK("between", strcmp(gh_mqtt_reason_name(0x03), "reserved") == 0);
}

int main(void)
{
    for (size_t i = 0; i < GH_COUNT(cases); i++)
        testbed_run(GH_MQTT_V5, &cases[i], cases[i].wire);
    for (size_t i = 0; i < GH_COUNT(longer); i++)
        testbed_run(GH_MQTT_V5, &longer[i].row, longer[i].shortest);
    connect_names_its_version();
    connect_fields();
    publish_fields();
    filter_options();
    written_for_the_older();
    faults();
    reasons();
    return check_report();
}
