/* The MQTT bridge of Google Cloud IoT Core: the device path in the client id, and the topics
 * /devices/{d}/events, state, config and commands, and those of gateways, attach, detach and errors
 * (docs/protocols/google.md). Pure functions over text. */
#ifndef GH_DIALECT_GOOGLE_MQTT_H
#define GH_DIALECT_GOOGLE_MQTT_H

#include "dialect/dialect.h"

enum {
    GH_GOOGLE_EVENT_BYTES_MAX = 262144,
    GH_GOOGLE_STATE_BYTES_MAX = 65536,
    GH_GOOGLE_PASSWORD_BYTES_MAX = 4096,
};

extern const struct gh_dialect gh_google_dialect;
#endif
