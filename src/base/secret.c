#include "base/secret.h"
#include "base/log.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

struct gh_secret {
    size_t size, mapped;
    uint8_t bytes[];
};

/* A small RLIMIT_MEMLOCK must not stop the server: what is above it may be swapped. The one
 * variable of the process here: the operator is told once, not for each secret. */
static void lock(void *block, size_t size)
{
    static atomic_flag said = ATOMIC_FLAG_INIT;
    if (mlock(block, size) != 0 && !atomic_flag_test_and_set(&said))
        gh_log(GH_LOG_WARN, "secret",
               "secrets are not all locked in memory: raise LimitMEMLOCK= (ulimit -l), or use no "
               "swap, or an encrypted one");
}

struct gh_secret *gh_secret_open(struct gh_slice bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t mapped = (sizeof(struct gh_secret) + bytes.size + page - 1) / page * page;
    struct gh_secret *secret =
        mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (secret == MAP_FAILED)
        return NULL;
    lock(secret, mapped);
    (void)!madvise(secret, mapped, MADV_DONTDUMP);
    (void)!madvise(secret, mapped, MADV_WIPEONFORK);
    secret->size = bytes.size;
    secret->mapped = mapped;
    if (bytes.size != 0)
        memcpy(secret->bytes, bytes.data, bytes.size);
    return secret;
}

void gh_secret_close(struct gh_secret *secret)
{
    if (secret == NULL)
        return;
    size_t mapped = secret->mapped;
    gh_secret_wipe(secret, mapped);
    munmap(secret, mapped);
}

struct gh_slice gh_secret_bytes(const struct gh_secret *secret)
{
    return gh_slice(secret->bytes, secret->size);
}

bool gh_secret_equal(struct gh_slice a, struct gh_slice b)
{
    uint8_t difference = 0;
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++)
        difference |= (uint8_t)(a.data[i] ^ b.data[i]);
    return difference == 0;
}

void gh_secret_wipe(void *block, size_t size)
{
    if (size != 0)
        explicit_bzero(block, size);
}

void gh_random(void *block, size_t size)
{
    for (uint8_t *at = block; size > 0;) {
        size_t part = size < 256 ? size : 256; /* getentropy's limit */
        if (getentropy(at, part) != 0) {
            fputs("gatehouse: the kernel gives no random bytes\n", stderr);
            abort();
        }
        at += part;
        size -= part;
    }
}
