#include "identity/bearer.h"
#include "identity/access.h"
#include "identity/service_account.h"

static enum gh_error_code code_of(enum gh_identity_reason reason, struct gh_error *error)
{
    if (reason == GH_IDENTITY_UNAVAILABLE)
        return gh_error_set(error, GH_ERROR_UNAVAILABLE, "the token cannot be checked now");
    return reason == GH_IDENTITY_ACCEPTED
               ? GH_OK
               : gh_error_set(error, GH_ERROR_UNAUTHENTICATED, "the bearer token is not valid");
}

static enum gh_error_code check_service(const struct gh_bearer_services *services,
                                        const struct gh_bearer *bearer, struct gh_arena *arena,
                                        struct gh_caller *out, struct gh_identity_verdict *verdict,
                                        struct gh_error *error)
{
    const struct gh_service_proof proof = {.token = bearer->token,
                                           .issuer = gh_access_issuer(services->access),
                                           .now_ms = bearer->now_ms};
    return code_of(gh_service_check(services->store, &proof, arena, out, verdict), error);
}

static enum gh_error_code check_device(const struct gh_bearer_services *services,
                                       const struct gh_bearer *bearer, struct gh_arena *arena,
                                       struct gh_caller *out, struct gh_identity_verdict *verdict,
                                       struct gh_error *error)
{
    struct gh_identity_claim claim = {.token = bearer->token,
                                      .chain = bearer->chain,
                                      .chain_count = bearer->chain_count,
                                      .access = services->access,
                                      .access_taken = true,
                                      .over = GH_IDENTITY_OVER_HTTP,
                                      .policy = gh_jwt_native};
    enum gh_error_code code = code_of(
        gh_identity_device(services->directory, &claim, bearer->now_ms, arena, verdict), error);
    const struct gh_principal *principal = &verdict->principal;
    if (code != GH_OK)
        return code;
    char *member =
        gh_arena_print(arena, "device:%.*s/%.*s/%.*s", GH_PRINT(principal->tenant_name),
                       GH_PRINT(principal->registry_name), GH_PRINT(principal->device_id));
    if (member == NULL)
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory for the caller");
    *out = (struct gh_caller){.kind = GH_CALLER_DEVICE,
                              .name = gh_slice_text(member),
                              .member = gh_slice_text(member),
                              .tenant = principal->tenant,
                              .expires_at_ms = verdict->token_expires_at_s * 1000};
    return GH_OK;
}

enum gh_error_code gh_bearer_check(const struct gh_bearer_services *services,
                                   const struct gh_bearer *bearer, struct gh_arena *arena,
                                   struct gh_caller *out, struct gh_identity_verdict *verdict,
                                   struct gh_error *error)
{
    *out = (struct gh_caller){.kind = GH_CALLER_NOBODY};
    *verdict = (struct gh_identity_verdict){0};
    if (services->access == NULL || !gh_identity_is_token(bearer->token))
        return gh_token_check(services->store, bearer->token, bearer->now_ms, arena, out, error);
    return gh_service_is_token(bearer->token, arena)
               ? check_service(services, bearer, arena, out, verdict, error)
               : check_device(services, bearer, arena, out, verdict, error);
}

bool gh_bearer_refusal(const struct gh_identity_verdict *verdict, struct gh_trail_entry *out)
{
    const struct gh_device *device = verdict->device;
    if (verdict->reason == GH_IDENTITY_ACCEPTED)
        return false;
    out->kind = GH_TRAIL_REFUSAL;
    out->reason = gh_slice_text(gh_identity_reason_name(verdict->reason));
    out->detail = gh_slice_text(verdict->detail);
    out->tenant = verdict->principal.tenant_name;
    if (device != NULL) {
        out->device = device->number;
        out->tenant = device->tenant_name;
        out->registry = device->registry_name;
        out->device_id = device->id;
    }
    return true;
}
