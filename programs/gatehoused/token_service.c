#include "programs/gatehoused/token_service.h"
#include "base/log.h"
#include <stdio.h>
#include <string.h>

/* The port's digits behind the last colon. */
static const char *port_of(const char *address)
{
    const char *colon = strrchr(address, ':');
    return colon != NULL ? colon + 1 : "";
}

static const char *choose(const char *const *addresses, size_t count)
{
    static const char *const usual[] = {"443", "8443"};
    for (size_t at = 0; at < GH_COUNT(usual); at++)
        for (size_t i = 0; i < count; i++)
            if (strcmp(port_of(addresses[i]), usual[at]) == 0)
                return addresses[i];
    return count > 0 ? addresses[0] : "localhost:443";
}

void token_issuer(const struct config *config, const char *const *addresses, size_t count,
                  char out[CONFIG_TEXT_MAX])
{
    enum { HOST_MAX = CONFIG_TEXT_MAX - 16 }; /* what scheme and port leave */
    static const char *const any[] = {"0.0.0.0", "[::]"};
    const char *address = choose(addresses, count), *port = port_of(address);
    char host[CONFIG_TEXT_MAX];
    snprintf(host, sizeof host, "%.*s", (int)(port - address - 1), address);
    for (size_t i = 0; i < GH_COUNT(any); i++)
        if (strcmp(host, any[i]) == 0)
            snprintf(host, sizeof host, "localhost");
    if (config->names_count > 0)
        snprintf(host, sizeof host, "%s", config->names[0]);
    if (config->issuer[0] != '\0')
        snprintf(out, CONFIG_TEXT_MAX, "%s", config->issuer);
    else if (strcmp(port, "443") == 0)
        snprintf(out, CONFIG_TEXT_MAX, "https://%.*s", HOST_MAX, host);
    else
        snprintf(out, CONFIG_TEXT_MAX, "https://%.*s:%.5s", HOST_MAX, host, port);
}

void token_keys_tend(struct gh_access *access, struct gh_audit *audit, long key_days, int64_t now_s)
{
    enum { DAY_S = 86400 };
    struct gh_access_key keys[GH_ACCESS_KEYS_MAX];
    struct gh_error error = {0};
    char line[GH_ERROR_LINE_MAX];
    enum gh_error_code code = gh_access_refresh(access, &error);
    size_t count = gh_access_keys(access, keys);
    for (size_t i = 0; code == GH_OK && i < count; i++) {
        /* The next key has been published since the last rotation, as long as a client may keep the
         * set; its age is that of the current one's turn. */
        if (keys[i].state != GH_ACCESS_KEY_NEXT ||
            now_s - keys[i].created_at_s < key_days * (int64_t)DAY_S)
            continue;
        bool is_rsa = strcmp(keys[i].algorithm, "RS256") == 0;
        code = gh_access_rotate(access, is_rsa ? GH_KEY_RSA : GH_KEY_P256, &error);
        if (code == GH_OK)
            gh_audit_tell(audit, "tokenKeys.rotate",
                          is_rsa ? "server/token-keys/RS256" : "server/token-keys/ES256");
    }
    if (code != GH_OK)
        gh_log(GH_LOG_ERROR, "core", "the keys of access tokens: %s", gh_error_line(&error, line));
}
