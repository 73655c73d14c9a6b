/* What the files of the packet codec share: connect.c, publish.c and subscribe.c hold the schemas,
 * packet.c the table of types. Nobody else includes this. */
#ifndef GH_WIRE_MQTT_PACKET_INTERNAL_H
#define GH_WIRE_MQTT_PACKET_INTERNAL_H

#include "base/cursor.h"
#include "wire/mqtt/packet.h"

/* Readers: `at` stands at the start of the body; they set their member of `out` and leave `at`
 * behind the last field. */
enum gh_mqtt_fault gh_mqtt_read_connect(struct gh_cursor *at, uint8_t flags,
                                        struct gh_mqtt_packet *out);
enum gh_mqtt_fault gh_mqtt_read_connack(struct gh_cursor *at, uint8_t flags,
                                        struct gh_mqtt_packet *out);
enum gh_mqtt_fault gh_mqtt_read_publish(struct gh_cursor *at, uint8_t flags,
                                        struct gh_mqtt_packet *out);
enum gh_mqtt_fault gh_mqtt_read_ack(struct gh_cursor *at, uint8_t flags,
                                    struct gh_mqtt_packet *out);
enum gh_mqtt_fault gh_mqtt_read_subscribe(struct gh_cursor *at, uint8_t flags,
                                          struct gh_mqtt_packet *out);
enum gh_mqtt_fault gh_mqtt_read_unsubscribe(struct gh_cursor *at, uint8_t flags,
                                            struct gh_mqtt_packet *out);
enum gh_mqtt_fault gh_mqtt_read_suback(struct gh_cursor *at, uint8_t flags,
                                       struct gh_mqtt_packet *out);

/* UTF-8 with its 16-bit length. */
enum gh_mqtt_fault gh_mqtt_read_string(struct gh_cursor *at, struct gh_slice *out);
/* 16 bits, not 0 [MQTT-2.3.1-1]. */
enum gh_mqtt_fault gh_mqtt_read_packet_id(struct gh_cursor *at, uint16_t *out);

/* Makes room for a whole packet with a body of `body_size` bytes and writes its fixed header; the
 * body then fits. False marks the overflow and writes nothing. */
bool gh_mqtt_write_header(enum gh_mqtt_type type, uint8_t flags, size_t body_size,
                          struct gh_buffer *out);
/* Fixed header and body. */
size_t gh_mqtt_packet_size(size_t body_size);
#endif
