#include "identity/detail_internal.h"
#include <stdio.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the format is the caller's literal */
void gh_detail_print(char *out, size_t size, const char *format, va_list arguments)
{
    (void)vsnprintf(out, size, format, arguments);
    for (char *at = out; *at != '\0'; at++) {
        if (*at < 0x20 || *at > 0x7e)
            *at = '?';
    }
}
#pragma GCC diagnostic pop
