/* The authority's key, and the one thing done with it: certifying the server's own key. */
#include "base/secret.h"
#include "base/time.h"
#include "programs/gatehoused/keys_internal.h"
#include <limits.h>
#include <stdio.h>

bool keys_authority_open(struct keys *keys, struct gh_error *error)
{
    char key_path[PATH_MAX], certificate_path[PATH_MAX];
    const char *data = keys->config->data;
    struct gh_buffer key, certificate;
    gh_buffer_init(&key, 2 * KEYS_PEM_MAX);
    gh_buffer_init(&certificate, 2 * KEYS_PEM_MAX);
    snprintf(key_path, sizeof key_path, "%.*s/keys/ca.key", PATH_MAX - 16, data);
    snprintf(certificate_path, sizeof certificate_path, "%.*s/ca.crt", PATH_MAX - 16, data);
    if (file_read(certificate_path, KEYS_PEM_MAX, &certificate, error) == GH_OK &&
        file_read(key_path, KEYS_PEM_MAX, &key, error) == GH_OK)
        keys->authority =
            gh_authority_open(gh_buffer_slice(&certificate), gh_buffer_slice(&key), error);
    if (key.data != NULL)
        gh_secret_wipe(key.data, key.capacity);
    gh_buffer_deinit(&key);
    gh_buffer_deinit(&certificate);
    return keys->authority != NULL;
}

void keys_authority_close(struct keys *keys)
{
    gh_authority_close(keys->authority);
    keys->authority = NULL;
}

/* localhost and both loopback addresses always, then the configured names. */
static size_t collect_names(const struct config *config,
                            struct gh_slice names[GH_AUTHORITY_NAMES_MAX])
{
    static const char *const always[] = {"localhost", "127.0.0.1", "::1"};
    size_t count = 0;
    for (size_t i = 0; i < GH_COUNT(always); i++)
        names[count++] = gh_slice_text(always[i]);
    for (size_t i = 0; i < config->names_count; i++)
        names[count++] = gh_slice_text(config->names[i]);
    return count;
}

enum gh_error_code keys_handle_certify(struct keys *keys, struct gh_cursor *at,
                                       struct gh_buffer *out, struct gh_error *error)
{
    enum { DAY_S = 86400, CLOCK_SKEW_S = 3600 };
    struct gh_slice names[GH_AUTHORITY_NAMES_MAX], public_key;
    if (!gh_cursor_take32(at, &public_key) || gh_cursor_left(at) != 0)
        return gh_error_set(error, GH_ERROR_INVALID, "not a request");
    int64_t now_s = gh_time_utc_ms() / 1000;
    struct gh_leaf leaf = {
        .common_name = GH_SLICE("gatehouse"),
        .public_key_pem = public_key,
        .names = names,
        .names_count = collect_names(keys->config, names),
        .validity = {now_s - CLOCK_SKEW_S, now_s + keys->config->leaf_days * DAY_S}};
    return gh_authority_issue(keys->authority, &leaf, out, error);
}

enum gh_error_code keys_certify(struct keys_line *line, struct gh_slice public_key_pem,
                                struct gh_buffer *certificate_pem, struct gh_error *error)
{
    struct gh_buffer fields;
    gh_buffer_init(&fields, KEYS_MESSAGE_MAX);
    gh_buffer_put32(&fields, public_key_pem);
    enum gh_error_code code =
        keys_ask(line, KEYS_CERTIFY, gh_buffer_slice(&fields), certificate_pem, error);
    gh_buffer_deinit(&fields);
    return code;
}
