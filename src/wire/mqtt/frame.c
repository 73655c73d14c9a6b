#include "wire/mqtt/frame.h"
#include "base/cursor.h"
#include <assert.h>

enum { LENGTH_BYTES_MAX = 4 }; /* 3.1.1 §2.2.3: at most 268 435 455 */

/* Fixed header flags (3.1.1 §2.2.2, table 2.2); the types not named here carry 0. Whether AUTH (15)
 * is allowed depends on the version, which the packet codec is told. */
static const uint8_t flags_fixed[16] = {
    [GH_MQTT_PUBREL] = 0x02,
    [GH_MQTT_SUBSCRIBE] = 0x02,
    [GH_MQTT_UNSUBSCRIBE] = 0x02,
};

static const char *const type_names[16] = {
    [GH_MQTT_CONNECT] = "CONNECT",   [GH_MQTT_CONNACK] = "CONNACK",
    [GH_MQTT_PUBLISH] = "PUBLISH",   [GH_MQTT_PUBACK] = "PUBACK",
    [GH_MQTT_PUBREC] = "PUBREC",     [GH_MQTT_PUBREL] = "PUBREL",
    [GH_MQTT_PUBCOMP] = "PUBCOMP",   [GH_MQTT_SUBSCRIBE] = "SUBSCRIBE",
    [GH_MQTT_SUBACK] = "SUBACK",     [GH_MQTT_UNSUBSCRIBE] = "UNSUBSCRIBE",
    [GH_MQTT_UNSUBACK] = "UNSUBACK", [GH_MQTT_PINGREQ] = "PINGREQ",
    [GH_MQTT_PINGRESP] = "PINGRESP", [GH_MQTT_DISCONNECT] = "DISCONNECT",
    [GH_MQTT_AUTH] = "AUTH",
};

static bool first_byte_valid(uint8_t first)
{
    unsigned type = first >> 4, flags = first & 0x0fu;
    if (type == GH_MQTT_PUBLISH)
        return (flags & 0x06u) != 0x06u; /* QoS 3 does not exist [MQTT-3.3.1-4] */
    return type != 0 && flags == flags_fixed[type];
}

enum gh_mqtt_frame_status gh_mqtt_frame_read(struct gh_slice in, size_t size_max,
                                             struct gh_mqtt_frame *out)
{
    struct gh_cursor at = gh_cursor(in);
    uint8_t first, byte;
    size_t length = 0, length_bytes = 0;

    assert(out != NULL);
    if (!gh_cursor_u8(&at, &first))
        return GH_MQTT_FRAME_MORE;
    if (!first_byte_valid(first))
        return GH_MQTT_FRAME_MALFORMED;
    do {
        if (length_bytes == LENGTH_BYTES_MAX)
            return GH_MQTT_FRAME_MALFORMED;
        if (!gh_cursor_u8(&at, &byte))
            return GH_MQTT_FRAME_MORE;
        length |= (size_t)(byte & 0x7fu) << (7 * length_bytes++);
    } while (byte & 0x80u);

    if (1 + length_bytes + length > size_max)
        return GH_MQTT_FRAME_TOO_LARGE;
    struct gh_slice body;
    if (!gh_cursor_take(&at, length, &body))
        return GH_MQTT_FRAME_MORE;
    *out = (struct gh_mqtt_frame){.type = (enum gh_mqtt_type)(first >> 4),
                                  .flags = (uint8_t)(first & 0x0fu),
                                  .body = body,
                                  .size = 1 + length_bytes + length};
    return GH_MQTT_FRAME_OK;
}

const char *gh_mqtt_type_name(enum gh_mqtt_type type)
{
    return (size_t)type < GH_COUNT(type_names) && type_names[type] != NULL ? type_names[type]
                                                                           : "reserved";
}
