/* Base32 (RFC 4648 §6), upper case and without padding, as authenticator apps take the secrets of
 * one-time codes. Written only: nothing that comes in is base32. Memory: the caller's. Threads:
 * any. */
#ifndef GH_WIRE_BASE32_H
#define GH_WIRE_BASE32_H

#include "base/buffer.h"

/* Appends the text; false when it does not fit. */
bool gh_base32_encode(struct gh_slice bytes, struct gh_buffer *out);
#endif
