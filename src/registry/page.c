#include "base/buffer.h"
#include "base/cursor.h"
#include "registry/directory_internal.h"
#include "wire/base64.h"

enum { VERSION = 1, TOKEN_BYTES_MAX = 512 };

bool gh_page_print(const struct gh_page *page, struct gh_arena *arena, struct gh_slice *out)
{
    uint8_t block[TOKEN_BYTES_MAX], text[2 * TOKEN_BYTES_MAX];
    struct gh_buffer bytes = gh_buffer_fixed(block, sizeof block);
    struct gh_buffer token = gh_buffer_fixed(text, sizeof text);
    gh_buffer_u8(&bytes, VERSION);
    gh_buffer_u32(&bytes, page->query);
    gh_buffer_u64(&bytes, (uint64_t)page->number);
    gh_buffer_put(&bytes, page->name);
    return !bytes.overflow &&
           gh_base64_encode(gh_buffer_slice(&bytes), GH_BASE64_URL_NOPAD, &token) &&
           gh_arena_copy(arena, gh_buffer_slice(&token), out);
}

enum gh_error_code gh_page_parse(struct gh_slice token, uint32_t query, struct gh_arena *arena,
                                 struct gh_page *out, struct gh_error *error)
{
    uint8_t block[TOKEN_BYTES_MAX], version;
    struct gh_buffer bytes = gh_buffer_fixed(block, sizeof block);
    uint64_t number;
    *out = (struct gh_page){.query = query};
    if (token.size == 0)
        return GH_OK;
    bool read = gh_base64_decode(token, GH_BASE64_STRICT_URL, &bytes);
    struct gh_cursor at = gh_cursor(gh_buffer_slice(&bytes));
    if (!read || !gh_cursor_u8(&at, &version) || version != VERSION ||
        !gh_cursor_u32(&at, &out->query) || !gh_cursor_u64(&at, &number) || number > INT64_MAX ||
        at.rest.size > GH_ID_BYTES_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "page token: not one of ours");
    if (out->query != query)
        return gh_error_set(error, GH_ERROR_INVALID,
                            "page token: it belongs to a list with other conditions");
    out->number = (int64_t)number;
    if (!gh_arena_copy(arena, at.rest, &out->name))
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory for the page token");
    return GH_OK;
}
