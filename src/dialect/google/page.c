#include "dialect/google/rest_internal.h"
#include "wire/base64.h"

/* Pages of a list. The directory makes its own tokens; the ones for Pub/Sub are made here: the path
 * and the last name of the page, so that a token is refused by any other list. */

enum { TOKEN_BYTES_MAX = 2048 };

enum gh_error_code google_page_size(struct google_call *call, size_t *out)
{
    enum gh_error_code code = google_query_number(call, "pageSize", out);
    if (code != GH_OK)
        return code;
    if (*out == 0)
        *out = GOOGLE_PAGE_SIZE_DEFAULT;
    if (*out > GOOGLE_PAGE_SIZE_MAX)
        *out = GOOGLE_PAGE_SIZE_MAX;
    return GH_OK;
}

/* What stands before the name in a token of this list. */
static bool token_prefix(struct google_call *call, struct gh_slice *out)
{
    const char *text = gh_arena_print(call->arena, "%.*s\n", GH_PRINT(call->path));
    *out = gh_slice_text(text);
    return text != NULL;
}

enum gh_error_code google_page_token_read(struct google_call *call, struct gh_slice *after)
{
    struct gh_slice token = google_query(call, "pageToken"), prefix, whole;
    struct gh_buffer bytes;
    enum gh_error_code code = GH_OK;
    *after = (struct gh_slice){0};
    if (token.size == 0)
        return GH_OK;
    gh_buffer_init(&bytes, TOKEN_BYTES_MAX);
    bool valid = gh_base64_decode(token, GH_BASE64_STRICT_URL, &bytes);
    if (!token_prefix(call, &prefix) ||
        !gh_arena_copy(call->arena, gh_buffer_slice(&bytes), &whole))
        code = google_fail(call, GH_ERROR_MEMORY, "pageToken");
    else if (!valid || !gh_slice_starts(whole, prefix) || whole.size == prefix.size)
        code = google_fail(call, GH_ERROR_INVALID, "pageToken: it is not of this list");
    else
        *after = gh_slice_sub(whole, prefix.size, whole.size);
    gh_buffer_deinit(&bytes);
    return code;
}

void google_put_page_token(struct google_call *call, struct gh_slice last)
{
    struct gh_buffer bytes, text;
    struct gh_slice prefix;
    gh_buffer_init(&bytes, TOKEN_BYTES_MAX);
    gh_buffer_init(&text, 2 * TOKEN_BYTES_MAX);
    if (token_prefix(call, &prefix) && gh_buffer_put(&bytes, prefix) &&
        gh_buffer_put(&bytes, last) &&
        gh_base64_encode(gh_buffer_slice(&bytes), GH_BASE64_URL_NOPAD, &text))
        google_put_text(call->output, "nextPageToken", gh_buffer_slice(&text), &call->write_failed);
    else
        call->write_failed = true;
    gh_buffer_deinit(&bytes);
    gh_buffer_deinit(&text);
}
