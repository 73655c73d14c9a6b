/* UTF-8: is it? Strict as RFC 3629 §4: no overlong forms, no surrogates, nothing above U+10FFFF. It
 * neither decodes nor normalises; U+0000 and non-characters are UTF-8. Threads: any. */
#ifndef GH_WIRE_UTF8_H
#define GH_WIRE_UTF8_H

#include "base/slice.h"

bool gh_utf8_valid(struct gh_slice text);
/* An MQTT string: UTF-8 without U+0000 (MQTT 3.1.1 §1.5.3). */
bool gh_utf8_valid_mqtt(struct gh_slice text);
#endif
