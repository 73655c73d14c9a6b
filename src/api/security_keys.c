/* Security keys: what a browser is asked, and what it answers. The site is the one that the browser
 * itself says it speaks to: its requests' Host. A key answers for no other site than the one where
 * it was registered, whatever is asked. */
#include "api/session_internal.h"
#include "wire/base64.h"

enum { PART_MAX = 16 * 1024, TIMEOUT_MS = 120000 };

static bool site_of(struct call *call, struct gh_webauthn_site *out)
{
    struct gh_slice host = gh_http_header_get(call->request, "host");
    bool in_brackets = host.size > 0 && host.data[0] == '['; /* an IPv6 address, no name */
    char *origin = gh_arena_print(call->arena, "https://%.*s", GH_PRINT(host));
    *out = (struct gh_webauthn_site){.rp_id = gh_slice_sub(host, 0, gh_slice_find(host, ':')),
                                     .origin = gh_slice_text(origin)};
    if (host.size > 0 && !in_brackets && origin != NULL)
        return true;
    call_fail(call, GH_ERROR_PRECONDITION, "a security key needs a site with a name");
    return false;
}

static json_t *base64_json(struct gh_slice bytes)
{
    struct gh_buffer text;
    gh_buffer_init(&text, 2 * PART_MAX);
    gh_base64_encode(bytes, GH_BASE64_URL_NOPAD, &text);
    json_t *value = json_slice(gh_buffer_slice(&text));
    gh_buffer_deinit(&text);
    return value;
}

/* A member in base64url, decoded into the arena. */
static bool read_part(struct call *call, const json_t *object, const char *key,
                      struct gh_slice *out)
{
    struct gh_slice text;
    struct gh_buffer bytes;
    if (!gh_json_get_text(object, key, GH_JSON_REQUIRED, &text, &call->error))
        return false;
    gh_buffer_init(&bytes, PART_MAX);
    bool good = gh_base64_decode(text, GH_BASE64_STRICT_URL, &bytes) &&
                gh_arena_copy(call->arena, gh_buffer_slice(&bytes), out);
    gh_buffer_deinit(&bytes);
    if (!good)
        call_fail(call, GH_ERROR_INVALID, "%s is no base64url, or too long", key);
    return good;
}

enum gh_error_code security_key_read(struct call *call, const json_t *object,
                                     const struct gh_webauthn_assertion **out)
{
    struct gh_webauthn_assertion *assertion = gh_arena_alloc(call->arena, sizeof *assertion);
    if (assertion == NULL)
        return call_fail(call, GH_ERROR_MEMORY, "no memory for the call");
    *out = assertion;
    return site_of(call, &assertion->site) &&
                   read_part(call, object, "credential", &assertion->credential) &&
                   read_part(call, object, "client_data", &assertion->client_data) &&
                   read_part(call, object, "authenticator_data", &assertion->authenticator_data) &&
                   read_part(call, object, "signature", &assertion->signature)
               ? GH_OK
               : call->error.code;
}

/* The ids of the keys that the operator has. */
static json_t *credentials_to_json(const struct gh_factors *factors)
{
    json_t *list = json_array();
    for (size_t i = 0; i < factors->count; i++)
        if (factors->rows[i].kind == GH_FACTOR_WEBAUTHN)
            json_array_append_new(list, base64_json(factors->rows[i].credential));
    return list;
}

/* {challenge, rp_id, credentials, timeout_ms, user_verification} */
static enum gh_error_code answer_challenge(struct call *call)
{
    uint8_t challenge[GH_WEBAUTHN_CHALLENGE_BYTES];
    struct gh_operators *operators = call->api->services.operators;
    struct gh_webauthn_site site;
    struct gh_factors factors;
    if (!site_of(call, &site))
        return call->error.code;
    enum gh_error_code code = gh_factors_of(operators, call->session.row.operator_number,
                                            call->arena, &factors, &call->error);
    if (code == GH_OK)
        code = gh_factor_challenge(operators, &call->session, challenge, &call->error);
    if (code == GH_OK)
        call->answer =
            json_pack("{s:o, s:o, s:o, s:i, s:s}", "challenge",
                      base64_json(gh_slice(challenge, sizeof challenge)), "rp_id",
                      json_slice(site.rp_id), "credentials", credentials_to_json(&factors),
                      "timeout_ms", TIMEOUT_MS, "user_verification", "preferred");
    return code;
}

enum gh_error_code api_session_challenge(struct call *call)
{
    enum gh_error_code code = answer_challenge(call);
    if (code == GH_OK && gh_factor_must_know_person(&call->session))
        json_object_set_new(call->answer, "user_verification", json_string("required"));
    return code;
}

/* The same with whom the new key is to be of. */
enum gh_error_code api_factor_challenge(struct call *call)
{
    enum gh_error_code code = answer_challenge(call);
    if (code != GH_OK)
        return code;
    char *number =
        gh_arena_print(call->arena, "%lld", (long long)call->session.row.operator_number);
    json_object_set_new(call->answer, "user",
                        json_pack("{s:o, s:o}", "id", base64_json(gh_slice_text(number)), "name",
                                  json_slice(call->session.row.operator_name)));
    return GH_OK;
}

enum gh_error_code api_factor_webauthn(struct call *call)
{
    static const char *const keys[] = {"label", "client_data", "attestation"};
    struct gh_slice label = GH_SLICE("Security key"), client_data, attestation;
    struct gh_webauthn_site site;
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "label", 0, &label, &call->error) ||
        !read_part(call, call->body, "client_data", &client_data) ||
        !read_part(call, call->body, "attestation", &attestation) || !site_of(call, &site))
        return call->error.code;
    enum gh_error_code code =
        gh_factor_add_webauthn(call->api->services.operators, &call->session, label, site,
                               client_data, attestation, call->now_ms, call->arena, &call->error);
    return code == GH_OK ? account_factor_added(call, gh_factor_name(GH_FACTOR_WEBAUTHN)) : code;
}
