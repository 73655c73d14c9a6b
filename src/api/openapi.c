#include "api/assets_internal.h"

/* The document is taken in as it stands in the source tree; GH_OPENAPI_FILE is its path, from
 * CMake. */
__asm__(".section .rodata\n"
        ".global gh_openapi_begin\n"
        "gh_openapi_begin:\n"
        ".incbin \"" GH_OPENAPI_FILE "\"\n"
        ".global gh_openapi_end\n"
        "gh_openapi_end:\n"
        ".byte 0\n"
        ".previous\n");

extern const uint8_t gh_openapi_begin[], gh_openapi_end[];

struct gh_slice openapi_document(void)
{
    return gh_slice(gh_openapi_begin, (size_t)(gh_openapi_end - gh_openapi_begin));
}
