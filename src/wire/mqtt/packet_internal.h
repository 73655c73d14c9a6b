/* What the files of the packet codec share: connect.c, publish.c, subscribe.c and disconnect.c
 * hold the schemas, property.c and reason.c the tables of properties and reason codes, packet.c the
 * table of types. Nobody else includes this. */
#ifndef GH_WIRE_MQTT_PACKET_INTERNAL_H
#define GH_WIRE_MQTT_PACKET_INTERNAL_H

#include "base/cursor.h"
#include "wire/mqtt/packet.h"
#include "wire/mqtt/property.h"

/* A packet while it is read: the cursor stands behind what was read so far. */
struct gh_mqtt_reading {
    struct gh_cursor at;
    enum gh_mqtt_type type;
    uint8_t flags;
    enum gh_mqtt_version version;
    enum gh_mqtt_reader reader;
};

/* Readers: `in` stands at the start of the body; they set their whole member of `out` and leave the
 * cursor behind the last field. */
typedef enum gh_mqtt_fault gh_mqtt_body_reader(struct gh_mqtt_reading *in,
                                               struct gh_mqtt_packet *out);
gh_mqtt_body_reader gh_mqtt_read_connect, gh_mqtt_read_connack, gh_mqtt_read_publish,
    gh_mqtt_read_ack, gh_mqtt_read_subscribe, gh_mqtt_read_unsubscribe, gh_mqtt_read_suback,
    gh_mqtt_read_unsuback, gh_mqtt_read_reason;

/* UTF-8 with its 16-bit length. */
enum gh_mqtt_fault gh_mqtt_read_string(struct gh_cursor *at, struct gh_slice *out);
/* 16 bits, not 0 [MQTT-2.3.1-1]. */
enum gh_mqtt_fault gh_mqtt_read_packet_id(struct gh_cursor *at, uint16_t *out);
/* A variable byte integer in as few bytes as it needs [MQTT-1.5.5-1]. */
enum gh_mqtt_fault gh_mqtt_read_integer(struct gh_cursor *at, uint32_t *out);
bool gh_mqtt_put_integer(struct gh_buffer *out, size_t value);
size_t gh_mqtt_integer_size(size_t value);

/* Where properties stand: a packet type, or 0 for the will inside a CONNECT. */
enum { GH_MQTT_WILL = 0 };
/* Called for each property in its order. */
typedef void gh_mqtt_property_taker(const struct gh_mqtt_property_value *value,
                                    struct gh_mqtt_packet *out);
/* Reads the length and the properties behind it in one pass: validates each for `place` and hands
 * it to `take`, unless that is NULL. Reads nothing in 3.1.1. */
enum gh_mqtt_fault gh_mqtt_read_properties(struct gh_mqtt_reading *in, unsigned place,
                                           gh_mqtt_property_taker *take, struct gh_mqtt_packet *out,
                                           struct gh_slice *properties);
/* What the block and its length take on the wire; 0 in 3.1.1. */
size_t gh_mqtt_properties_size(enum gh_mqtt_version version, struct gh_slice properties);
bool gh_mqtt_put_properties(enum gh_mqtt_version version, struct gh_slice properties,
                            struct gh_buffer *out);

/* Whether `reader` may be sent this code in this type of packet of MQTT 5. */
bool gh_mqtt_reason_allowed(uint8_t code, enum gh_mqtt_type type, enum gh_mqtt_reader reader);

/* Makes room for a whole packet with a body of `body_size` bytes and writes its fixed header; the
 * body then fits. False marks the overflow and writes nothing. */
bool gh_mqtt_write_header(enum gh_mqtt_type type, uint8_t flags, size_t body_size,
                          struct gh_buffer *out);
/* Fixed header and body. */
size_t gh_mqtt_packet_size(size_t body_size);
#endif
