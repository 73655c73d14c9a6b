/* The native dialect: a plain MQTT client, 3.1.1 or 5.0, with a credential and a policy.
 *
 * User name TENANT/REGISTRY/DEVICE; password: the device's secret, a JWT (aud = tenant, sub =
 * device), a shared access signature made from one of its symmetric keys (identity/sas.h), or an
 * access token that this server gave it (identity/access.h); in MQTT 5 instead of the
 * password an authentication method "JWT" with the token as its data, which can then be renewed on
 * the live connection. The client id is free, within policy; an empty one stands for the device's
 * id.
 *
 * Topics are the tenant's own, as policy allows, and go to whoever subscribes. Those that begin
 * with
 * `$` are not for devices, but for the platform's services:
 *   publish    $gatehouse/events, $gatehouse/events/CHANNEL (the registry's routes),
 * $gatehouse/state subscribe  $gatehouse/config, $gatehouse/commands/# Policy is asked for these
 * too. Pure functions. Threads: any. */
#ifndef GH_DIALECT_NATIVE_MQTT_H
#define GH_DIALECT_NATIVE_MQTT_H

#include "dialect/dialect.h"

enum { GH_NATIVE_PASSWORD_BYTES_MAX = 4096, GH_NATIVE_STATE_BYTES_MAX = 64 * 1024 };

extern const struct gh_dialect gh_native_dialect;
#endif
