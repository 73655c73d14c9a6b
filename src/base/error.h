/* Errors that reach a person. A failing function fills one `gh_error`: a stable code, what failed
 * and where in words; what to do comes from the table error.def. Module results that nobody reads
 * stay small enums of their module. Threads: any. */
#ifndef GH_BASE_ERROR_H
#define GH_BASE_ERROR_H

#include "base/slice.h"

enum gh_error_code {
    GH_OK = 0,
#define GH_ERROR(number, name, http, meaning, action) GH_ERROR_##name = number,
#include "base/error.def"
#undef GH_ERROR
};

enum { GH_ERROR_TEXT_MAX = 512 };

struct gh_error {
    enum gh_error_code code;
    char text[GH_ERROR_TEXT_MAX]; /* what and where, one line, no secrets */
};

/* Fills `error` (which may be NULL) and returns `code`, so that a function can `return
 * gh_error_set(…)`. */
enum gh_error_code gh_error_set(struct gh_error *error, enum gh_error_code code, const char *format,
                                ...) GH_PRINTF(3, 4);

/* The row of the table; the text is static. Unknown codes read as INTERNAL. */
struct gh_error_info {
    enum gh_error_code code;
    int http_status;
    const char *name, *meaning, *action;
};
const struct gh_error_info *gh_error_info(enum gh_error_code code);

enum { GH_ERROR_LINE_MAX = GH_ERROR_TEXT_MAX + 256 };
/* "GH4003 registry.db: schema 9, this program knows 3; run that version or newer". Returns `out`.
 */
char *gh_error_line(const struct gh_error *error, char out[GH_ERROR_LINE_MAX]);
#endif
