/* What gateway.c gives to the table in mqtt.c: gh_dialect.attach and gh_dialect.report. Memory and
 * threads: as dialect/dialect.h says. */
#ifndef GH_DIALECT_GOOGLE_MQTT_INTERNAL_H
#define GH_DIALECT_GOOGLE_MQTT_INTERNAL_H

#include "dialect/dialect.h"

void gh_google_attach(const struct gh_speaker *gateway, struct gh_slice device,
                      struct gh_slice payload, struct gh_arena *arena,
                      struct gh_identity_claim *out);
bool gh_google_report(const struct gh_speaker *gateway, const struct gh_report *report,
                      struct gh_buffer *topic, struct gh_buffer *payload);
#endif
