/* Base64: reads and writes RFC 4648 §4 (standard) and §5 (URL-safe). Strict where a signature
 * depends on the exact text, lenient where the clouds were lenient. It knows nothing of line breaks
 * or data URLs; white space is refused. Memory: results are appended to the caller's buffer.
 * Threads: any. */
#ifndef GH_WIRE_BASE64_H
#define GH_WIRE_BASE64_H

#include "base/buffer.h"

enum gh_base64_reading {
    GH_BASE64_STRICT_URL, /* `-` and `_`, no padding, spare bits zero: one text for each value (RFC
                             7515 §2) */
    GH_BASE64_ANY, /* both alphabets, even mixed; padding is optional but complete; spare bits
                      ignored */
};

enum gh_base64_writing {
    GH_BASE64_STANDARD, /* `+` and `/`, padded */
    GH_BASE64_URL_NOPAD,
};

/* Appends the bytes to `out`. False, and `out` keeps its size, when the text is not base64 or does
 * not fit; in the second case `out->overflow` is set. */
GH_MUST_USE bool gh_base64_decode(struct gh_slice text, enum gh_base64_reading reading,
                                  struct gh_buffer *out);

/* Appends the text to `out`; false when it does not fit. */
bool gh_base64_encode(struct gh_slice bytes, enum gh_base64_writing writing, struct gh_buffer *out);
#endif
