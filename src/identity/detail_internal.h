/* Details for the operator, shared by the files of identity/. They may repeat a stranger's text,
 * cut inside a character or full of controls, and go into logs, the trail and JSON: so a detail is
 * printable ASCII. */
#ifndef GH_IDENTITY_DETAIL_INTERNAL_H
#define GH_IDENTITY_DETAIL_INTERNAL_H

#include "base/slice.h"
#include <stdarg.h>

enum { GH_DETAIL_QUOTED_MAX = 64 }; /* how much of a stranger's text a detail repeats */

void gh_detail_print(char *out, size_t size, const char *format, va_list arguments);
static inline struct gh_slice gh_detail_quoted(struct gh_slice text)
{
    return gh_slice_sub(text, 0, GH_DETAIL_QUOTED_MAX);
}
#endif
