/* Any bytes as a form of the authentication service: the first byte says which content type. A form
 * that is taken has a token; one that is not has a reason, in printable ASCII. */
#include "identity/oauth.h"
#include <stdlib.h>

static void require(bool held)
{
    if (!held)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = {"application/x-www-form-urlencoded",
                                        "application/x-www-form-urlencoded; charset=utf-8",
                                        "application/json"};
    struct gh_oauth_outcome outcome;
    struct gh_slice token, body = gh_slice(data, size);
    struct gh_arena arena;
    size_t type = size > 0 ? data[0] % GH_COUNT(types) : 0;
    struct gh_oauth_request request = {.body = gh_slice_sub(body, 1, size),
                                       .content_type = gh_slice_text(types[type])};
    gh_arena_init(&arena, 1 << 20);
    enum gh_oauth_error error = gh_oauth_form(&request, &arena, &token, &outcome);
    require(error == GH_OAUTH_OK ? token.size > 0 : outcome.reason[0] != '\0');
    require(error != GH_OAUTH_OK || type != 2);
    require(gh_oauth_error_info(error)->status >= 200);
    for (const char *at = outcome.detail; error != GH_OAUTH_OK && *at != '\0'; at++)
        require(*at >= ' ' && *at <= '~');
    gh_arena_deinit(&arena);
    return 0;
}
