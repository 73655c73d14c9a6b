#include "identity/gateway.h"
#include <stdio.h>

static enum gh_identity_reason refuse(struct gh_identity_verdict *out,
                                      enum gh_identity_reason reason, const char *why)
{
    out->reason = reason;
    snprintf(out->detail, sizeof out->detail, "%s", why);
    return reason;
}

static bool wants_token(const struct gh_device *gateway)
{
    return gateway->gateway_auth == GH_GATEWAY_AUTH_TOKEN ||
           gateway->gateway_auth == GH_GATEWAY_AUTH_BOTH;
}

static bool wants_binding(const struct gh_device *gateway)
{
    return gateway->gateway_auth == GH_GATEWAY_AUTH_ASSOCIATION ||
           gateway->gateway_auth == GH_GATEWAY_AUTH_BOTH;
}

static enum gh_identity_reason check_pair(struct gh_directory *directory,
                                          const struct gh_device *gateway,
                                          struct gh_identity_verdict *out)
{
    struct gh_error error;
    bool bound = false;
    if (!gateway->is_gateway || gateway->gateway_auth == GH_GATEWAY_AUTH_NONE)
        return refuse(out, GH_IDENTITY_GATEWAY,
                      "the gateway has no authentication method: nobody may attach");
    if (out->device->is_gateway)
        return refuse(out, GH_IDENTITY_GATEWAY, "a gateway cannot be attached");
    if (!wants_binding(gateway))
        return GH_IDENTITY_ACCEPTED;
    if (gh_directory_gateway_bound(directory, gateway->number, out->device->number, &bound,
                                   &error) != GH_OK)
        return refuse(out, GH_IDENTITY_UNAVAILABLE, "the store did not answer");
    return bound ? GH_IDENTITY_ACCEPTED
                 : refuse(out, GH_IDENTITY_NOT_BOUND, "the device is not bound to this gateway");
}

enum gh_identity_reason gh_identity_attach(struct gh_directory *directory, uint64_t gateway,
                                           const struct gh_identity_claim *claim, int64_t now_ms,
                                           struct gh_arena *arena, struct gh_identity_verdict *out)
{
    struct gh_identity_claim asked = *claim;
    struct gh_device speaker;
    struct gh_error error;
    *out = (struct gh_identity_verdict){0};
    if (gh_directory_device_get(directory, gateway, arena, &speaker, &error) != GH_OK)
        return refuse(out, GH_IDENTITY_UNAVAILABLE, "the gateway cannot be read");
    asked.vouched = !wants_token(&speaker);
    enum gh_identity_reason reason = gh_identity_device(directory, &asked, now_ms, arena, out);
    if (reason == GH_IDENTITY_TOKEN_MALFORMED && claim->token.size == 0)
        return refuse(out, reason, "the gateway's method asks for the device's token");
    return reason == GH_IDENTITY_ACCEPTED ? check_pair(directory, &speaker, out) : reason;
}

enum gh_error_code gh_identity_still_attached(struct gh_directory *directory, uint64_t gateway,
                                              uint64_t device, struct gh_arena *arena, bool *holds,
                                              struct gh_error *error)
{
    struct gh_device speaker;
    *holds = false;
    enum gh_error_code code = gh_directory_device_get(directory, gateway, arena, &speaker, error);
    if (code != GH_OK)
        return code;
    *holds = !wants_binding(&speaker);
    return *holds ? GH_OK : gh_directory_gateway_bound(directory, gateway, device, holds, error);
}
