#include "base/error.h"
#include <stdarg.h>
#include <stdio.h>

static const struct gh_error_info table[] = {
#define GH_ERROR(number, name, http, meaning, action) {number, http, #name, meaning, action},
#include "base/error.def"
#undef GH_ERROR
};

enum gh_error_code gh_error_set(struct gh_error *error, enum gh_error_code code, const char *format,
                                ...)
{
    va_list values;
    if (error == NULL)
        return code;
    error->code = code;
    va_start(values, format);
    vsnprintf(error->text, sizeof error->text, format, values);
    va_end(values);
    return code;
}

const struct gh_error_info *gh_error_info(enum gh_error_code code)
{
    const struct gh_error_info *internal = NULL;
    for (size_t i = 0; i < GH_COUNT(table); i++) {
        if (table[i].code == code)
            return &table[i];
        if (table[i].code == GH_ERROR_INTERNAL)
            internal = &table[i];
    }
    return internal;
}

char *gh_error_line(const struct gh_error *error, char out[GH_ERROR_LINE_MAX])
{
    const struct gh_error_info *info = gh_error_info(error->code);
    snprintf(out, GH_ERROR_LINE_MAX, "GH%d %s; %s", (int)error->code,
             error->text[0] != '\0' ? error->text : info->meaning, info->action);
    return out;
}
