/* A heap that forgets: every block is wiped when it is given back, whoever had it, the libraries
 * too. What a peer sent has passed through buffers of TLS, HTTP, JSON and our own; so a secret is
 * in memory for as long as it is needed, and a dump made later does not hold it.
 *
 * The functions here take the place of the C library's for the whole process and use its allocator
 * underneath. The rest of the family (malloc, calloc, …) stays as it is. Threads: any. */
#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
const char *__asan_default_options(void);

/* The sanitizer's allocator, which keeps freed blocks for a while, wipes them by itself. */
const char *__asan_default_options(void)
{
    return "max_free_fill_size=2147483647:free_fill_byte=0";
}
#elif !defined(__SANITIZE_THREAD__)
/* Never made part of a caller: a block may be larger than what was asked for, and the fortified
 * functions would take the wiping of the rest for an overflow. */
#if __has_attribute(noipa)
#define APART __attribute__((noipa))
#else
#define APART __attribute__((noinline))
#endif

void __libc_free(void *block);

APART void free(void *block)
{
    if (block != NULL)
        explicit_bzero(block, malloc_usable_size(block));
    __libc_free(block);
}

APART void *realloc(void *block, size_t size)
{
    size_t usable = block == NULL ? 0 : malloc_usable_size(block);
    if (block != NULL && size == 0) {
        free(block);
        return NULL;
    }
    /* Much smaller moves too, as what is cut off would not be wiped. */
    if (block != NULL && size <= usable && size > usable / 2)
        return block;
    void *moved = malloc(size);
    if (moved == NULL || block == NULL)
        return moved;
    memcpy(moved, block, size < usable ? size : usable);
    free(block);
    return moved;
}
#endif
