/* The server's own certificate. */
#include "base/time.h"
#include "crypto/certificate.h"
#include "programs/gatehoused/keys_internal.h"

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

static enum gh_error_code issue_leaf(const struct keys *keys, struct gh_slice public_key,
                                     struct gh_buffer *pem, struct gh_error *error)
{
    enum { DAY_S = 86400, CLOCK_SKEW_S = 3600 };
    struct gh_slice names[GH_AUTHORITY_NAMES_MAX];
    struct gh_issuer_parent parent;
    int64_t now_s = gh_time_utc_ms() / 1000, from_s = now_s - CLOCK_SKEW_S;
    enum gh_error_code code = keys_ca_parent(keys, &parent, error);
    if (code != GH_OK)
        return code;
    struct gh_validity issuer = gh_authority_validity(parent.authority);
    int64_t to_s = now_s + keys->config->leaf_days * DAY_S;
    struct gh_leaf leaf = {.common_name = GH_SLICE("gatehouse"),
                           .public_key_pem = public_key,
                           .names = names,
                           .names_count = collect_names(keys->config, names),
                           .validity = {from_s > issuer.from_s ? from_s : issuer.from_s,
                                        to_s < issuer.to_s ? to_s : issuer.to_s}};
    return gh_authority_issue(parent.authority, &leaf, pem, error);
}

enum gh_error_code keys_handle_certify(struct keys *keys, struct gh_cursor *at,
                                       struct gh_buffer *out, struct gh_error *error)
{
    struct gh_slice public_key, chain = gh_ca_facts(keys->ca).chain_pem, issuer = {0};
    struct gh_buffer pem;
    if (!gh_cursor_take32(at, &public_key) || gh_cursor_left(at) != 0)
        return gh_error_set(error, GH_ERROR_INVALID, "not a request");
    gh_buffer_init(&pem, KEYS_PEM_MAX);
    enum gh_error_code code = issue_leaf(keys, public_key, &pem, error);
    if (code == GH_OK && gh_certificate_take(&chain, &issuer)) {
        gh_buffer_put32(out, gh_buffer_slice(&pem));
        gh_buffer_put32(out, issuer);
    }
    gh_buffer_deinit(&pem);
    return code;
}

enum gh_error_code keys_certify(struct keys_line *line, struct gh_slice public_key_pem,
                                struct gh_buffer *certificate_pem, struct gh_buffer *issuer_pem,
                                struct gh_error *error)
{
    struct gh_buffer fields, answer;
    struct gh_slice pem, issuer;
    gh_buffer_init(&fields, KEYS_MESSAGE_MAX);
    gh_buffer_init(&answer, KEYS_MESSAGE_MAX);
    gh_buffer_put32(&fields, public_key_pem);
    enum gh_error_code code =
        keys_ask(line, KEYS_CERTIFY, gh_buffer_slice(&fields), &answer, error);
    struct gh_cursor at = gh_cursor(gh_buffer_slice(&answer));
    if (code == GH_OK &&
        (!gh_cursor_take32(&at, &pem) || !gh_cursor_take32(&at, &issuer) ||
         !gh_buffer_put(certificate_pem, pem) || !gh_buffer_put(issuer_pem, issuer)))
        code = gh_error_set(error, GH_ERROR_UNAVAILABLE, "the keys process answers something else");
    gh_buffer_deinit(&fields);
    gh_buffer_deinit(&answer);
    return code;
}
