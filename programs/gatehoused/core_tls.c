/* The server's certificate: of a key that is made here and lives as short as it, certified by the
 * keys process. */
#include "base/log.h"
#include "base/secret.h"
#include "programs/gatehoused/core_internal.h"
#include <string.h>

/* Lets devices see that the server's certificate holds, as OCSP stapling. Without it clients that
 * ask get no answer, as with most servers, so a failure is a line of the log. */
static void staple(struct core *core, struct gh_tls_context *tls, struct gh_slice leaf,
                   struct gh_slice issuer)
{
    char line[GH_ERROR_LINE_MAX];
    struct gh_error error = {0};
    struct gh_buffer answer;
    gh_buffer_init(&answer, CORE_PEM_MAX);
    int64_t to_s = gh_time_utc_ms() / 1000 + core->config->leaf_days * CORE_DAY_S;
    if (keys_vouch(&core->keys, leaf, issuer, to_s, &answer, &error) != GH_OK ||
        !gh_tls_server_staple(tls, gh_buffer_slice(&answer)))
        gh_log(GH_LOG_WARN, "core", "there is no OCSP answer to staple: %s",
               gh_error_line(&error, line));
    gh_buffer_deinit(&answer);
}

/* The chain that a handshake shows: the leaf and the intermediate CA. The root is what the peer has
 * to have already. */
static struct gh_tls_context *open_tls(struct core *core, struct gh_slice leaf,
                                       struct gh_slice issuer, struct gh_slice key)
{
    struct gh_buffer chain;
    gh_buffer_init(&chain, CORE_PEM_MAX);
    gh_buffer_put(&chain, leaf);
    gh_buffer_put(&chain, issuer);
    struct gh_tls_context *tls = gh_tls_server_open(gh_buffer_slice(&chain), key, &core->error);
    if (tls != NULL)
        staple(core, tls, leaf, issuer);
    gh_buffer_deinit(&chain);
    return tls;
}

/* A fresh key of our own, certified by the keys process. */
bool core_make_tls(struct core *core, struct gh_tls_context **out)
{
    struct gh_buffer key_pem, public_pem, leaf, issuer;
    struct gh_private_key *key = gh_private_key_generate(GH_KEY_P256, &core->error);
    gh_buffer_init(&key_pem, CORE_PEM_MAX);
    gh_buffer_init(&public_pem, CORE_PEM_MAX);
    gh_buffer_init(&leaf, CORE_PEM_MAX);
    gh_buffer_init(&issuer, CORE_PEM_MAX);
    *out = NULL;
    core->tls_generation = gh_authorities_generation(core->authorities);
    if (key != NULL && gh_private_key_print(key, &key_pem) &&
        gh_private_key_print_public(key, &public_pem) &&
        keys_certify(&core->keys, gh_buffer_slice(&public_pem), &leaf, &issuer, &core->error) ==
            GH_OK)
        *out = open_tls(core, gh_buffer_slice(&leaf), gh_buffer_slice(&issuer),
                        gh_buffer_slice(&key_pem));
    if (key_pem.data != NULL)
        gh_secret_wipe(key_pem.data, key_pem.capacity);
    gh_private_key_close(key);
    gh_buffer_deinit(&key_pem);
    gh_buffer_deinit(&public_pem);
    gh_buffer_deinit(&leaf);
    gh_buffer_deinit(&issuer);
    return *out != NULL;
}

bool core_renew_tls(struct core *core)
{
    struct gh_tls_context *tls;
    char line[GH_ERROR_LINE_MAX];
    if (!core_make_tls(core, &tls)) {
        gh_log(GH_LOG_ERROR, "core", "the server's certificate was not renewed: %s",
               gh_error_line(&core->error, line));
        return false;
    }
    for (size_t i = 0; i < core->listeners_count; i++)
        if (strcmp(core->kinds[i], "tls") == 0)
            gh_listener_set_tls(core->listeners[i], tls);
    gh_tls_context_unref(core->tls);
    core->tls = tls;
    gh_log(GH_LOG_INFO, "core", "the server's certificate was renewed");
    gh_audit_tell(core->audit, "keys.certify", "server/certificate");
    return true;
}
