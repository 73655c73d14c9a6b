#include "programs/gatehoused/crls.h"
#include "base/log.h"
#include "crypto/crl.h"
#include "io/http_client.h"

enum { ARENA_MAX = 16 * 1024 * 1024, CONNECT_MS = 5000, CALL_MS = 30000 };

static enum gh_error_code fetch(struct gh_http_client *client, struct gh_directory *directory,
                                struct gh_anchor *anchor, struct gh_arena *arena,
                                struct gh_error *error)
{
    int status = 0;
    size_t revoked = 0;
    struct gh_buffer list;
    const char *url = gh_arena_text(arena, anchor->crl_url);
    if (url == NULL)
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory for an address");
    gh_buffer_init(&list, GH_CRL_BYTES_MAX);
    enum gh_error_code code =
        gh_http_client_call(client, "GET", url, NULL, (struct gh_slice){0}, &list, &status, error);
    if (code == GH_OK && status != 200)
        code = gh_error_set(error, GH_ERROR_CONNECT, "the answer has status %d", status);
    if (code == GH_OK)
        code = gh_directory_crl_import(directory, anchor, gh_buffer_slice(&list), &revoked, error);
    gh_buffer_deinit(&list);
    return code;
}

void crls_fetch(struct gh_directory *directory, bool private_too)
{
    struct gh_arena arena;
    struct gh_anchor *anchors = NULL;
    struct gh_error error = {0};
    char line[GH_ERROR_LINE_MAX];
    size_t count = 0;
    gh_arena_init(&arena, ARENA_MAX);
    struct gh_http_client *client = gh_http_client_open_public(private_too, &error);
    if (client == NULL ||
        gh_directory_anchor_list_fetched(directory, &arena, &anchors, &count, &error) != GH_OK)
        gh_log(GH_LOG_ERROR, "crls", "%s", gh_error_line(&error, line));
    else
        gh_http_client_set_timeout(client, CONNECT_MS, CALL_MS);
    for (size_t i = 0; i < count; i++) {
        if (fetch(client, directory, &anchors[i], &arena, &error) == GH_OK)
            gh_log(GH_LOG_INFO, "crls", "list of CA %.*s was read", GH_PRINT(anchors[i].id));
        else
            gh_log(GH_LOG_WARN, "crls", "list of CA %.*s from %.*s was not read: %s",
                   GH_PRINT(anchors[i].id), GH_PRINT(anchors[i].crl_url),
                   gh_error_line(&error, line));
    }
    gh_http_client_close(client);
    gh_arena_deinit(&arena);
}
