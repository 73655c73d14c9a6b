#include "base/time.h"
#include "identity/credential_internal.h"
#include <stdio.h>

static const enum gh_identity_reason reasons[] = {
    [GH_CREDENTIAL_ENABLED] = GH_IDENTITY_ACCEPTED,
    [GH_CREDENTIAL_DISABLED] = GH_IDENTITY_CREDENTIAL_DISABLED,
    [GH_CREDENTIAL_NOT_YET_VALID] = GH_IDENTITY_CREDENTIAL_NOT_YET_VALID,
    [GH_CREDENTIAL_EXPIRED] = GH_IDENTITY_CREDENTIAL_EXPIRED,
};

enum gh_identity_reason gh_identity_check_credential(const struct gh_credential *credential,
                                                     int64_t now_ms,
                                                     struct gh_identity_verdict *out)
{
    enum gh_credential_state state = gh_credential_state(credential, now_ms);
    char time[GH_TIME_TEXT_MAX];
    if (state == GH_CREDENTIAL_ENABLED)
        return GH_IDENTITY_ACCEPTED;
    if (state == GH_CREDENTIAL_DISABLED)
        snprintf(out->detail, sizeof out->detail, "credential %.*s is disabled",
                 GH_PRINT(credential->id));
    else if (state == GH_CREDENTIAL_NOT_YET_VALID)
        snprintf(out->detail, sizeof out->detail, "credential %.*s is valid from %s",
                 GH_PRINT(credential->id), gh_time_print(credential->valid_from_ms, time));
    else
        snprintf(out->detail, sizeof out->detail, "credential %.*s expired at %s",
                 GH_PRINT(credential->id), gh_time_print(credential->expires_at_ms, time));
    out->reason = reasons[state];
    return out->reason;
}
