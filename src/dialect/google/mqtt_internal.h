/* What gateway.c and chronicle.c give to the table in mqtt.c, as gh_dialect names it. Memory and
 * threads: as dialect/dialect.h says. */
#ifndef GH_DIALECT_GOOGLE_MQTT_INTERNAL_H
#define GH_DIALECT_GOOGLE_MQTT_INTERNAL_H

#include "dialect/dialect.h"

void gh_google_attach(const struct gh_speaker *gateway, struct gh_slice device,
                      struct gh_slice payload, struct gh_arena *arena,
                      struct gh_identity_claim *out);
bool gh_google_report(const struct gh_speaker *gateway, const struct gh_report *report,
                      struct gh_buffer *topic, struct gh_buffer *payload);
bool gh_google_chronicle(const struct gh_speaker *speaker, const struct gh_chronicle_entry *entry,
                         struct gh_buffer *out);
#endif
