/* Any bytes as a token: strict and lenient reading agree where strict accepts, nothing passes the
 * end, and what was read is written back as the same signing input. */
#include "wire/jose.h"
#include <stdlib.h>
#include <string.h>

static void require(bool held)
{
    if (!held)
        abort();
}

static void read_one(struct gh_slice token, bool lenient, struct gh_jose *out,
                     enum gh_jose_status *status)
{
    struct gh_arena arena;
    struct gh_jose_claims claims;

    gh_arena_init(&arena, 1 << 20);
    *status = gh_jose_read(token, lenient, &arena, out);
    require(gh_jose_status_text(*status) != NULL);
    if (*status == GH_JOSE_OK) {
        require(out->signing_input.size < token.size);
        require(out->payload.size <= token.size && out->signature.size <= token.size);
        require(out->kid.size <= GH_JOSE_KID_BYTES_MAX);
        enum gh_jose_status inner = gh_jose_claims(out->payload, &arena, &claims);
        require(inner == GH_JOSE_OK || inner == GH_JOSE_CLAIMS || inner == GH_JOSE_MEMORY);
        require(claims.expires_at.s >= 0 && claims.issued_at.s >= 0 && claims.not_before.s >= 0);
    }
    gh_arena_deinit(&arena);
}

/* Strictly read parts are the one encoding of their bytes. */
static void write_back(struct gh_slice token)
{
    struct gh_arena arena;
    struct gh_jose jose;
    struct gh_buffer out;

    gh_arena_init(&arena, 1 << 20);
    gh_buffer_init(&out, 2 * GH_JOSE_TOKEN_MAX);
    if (gh_jose_read(token, false, &arena, &jose) == GH_JOSE_OK) {
        require(gh_jose_begin_raw(&out, (struct gh_slice){0}, jose.payload));
        require(gh_jose_finish(&out, jose.signature));
        struct gh_slice made = gh_buffer_slice(&out);
        require(gh_slice_ends(token, made));
    }
    gh_buffer_deinit(&out);
    gh_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_slice token = gh_slice(data, size);
    struct gh_jose strict, lenient;
    enum gh_jose_status strict_status, lenient_status;

    read_one(token, false, &strict, &strict_status);
    read_one(token, true, &lenient, &lenient_status);
    require(strict_status != GH_JOSE_OK || lenient_status == GH_JOSE_OK);
    write_back(token);
    return 0;
}
