/* The CAs above those of tenants: what operators see of them, and what the root, which may be
 * elsewhere, has signed for them (vault/ca.h). */
#include "identity/authorities.h"
#include "api/call_internal.h"
#include "crypto/crl.h"
#include "observe/trail.h"
#include "wire/base64.h"

enum { LIST_MAX = 64 * 1024 };

static enum gh_error_code need(struct call *call, struct gh_authorities **out)
{
    *out = call->api->services.authorities;
    return *out != NULL ? GH_OK
                        : call_fail(call, GH_ERROR_UNSUPPORTED, "this server has no built-in CA");
}

static json_t *encode(struct gh_slice der)
{
    struct gh_buffer text;
    gh_buffer_init(&text, 2 * LIST_MAX);
    (void)gh_base64_encode(der, GH_BASE64_STANDARD, &text);
    json_t *out = gh_json_new_text(gh_buffer_slice(&text));
    gh_buffer_deinit(&text);
    return out;
}

/* What the certificate's key is, and how its issuer has signed it. */
static void add_algorithms(json_t *out, struct gh_slice pem)
{
    struct gh_certificate *certificate = gh_certificate_open(pem, NULL);
    if (certificate == NULL)
        return;
    struct gh_key *key = gh_certificate_key(certificate, NULL);
    if (key != NULL && gh_key_kind(key) == GH_KEY_RSA)
        json_object_set_new(out, "key", json_sprintf("RSA, %u bits", gh_key_bits(key)));
    else if (key != NULL)
        json_object_set_new(out, "key", json_string("ECDSA, P-256"));
    gh_key_close(key);
    json_object_set_new(out, "signature_algorithm",
                        json_string(gh_certificate_signature_algorithm(certificate)));
    gh_certificate_close(certificate);
}

/* One object for each certificate of a chain. */
static void add_certificates(json_t *out, const char *role, struct gh_slice chain)
{
    struct gh_slice pem;
    while (gh_certificate_take(&chain, &pem)) {
        json_t *one = json_pack("{s:s}", "role", role);
        json_add_certificate(one, pem);
        add_algorithms(one, pem);
        json_array_append_new(out, one);
    }
}

/* The root's list: its number, when it was signed, and how many it names. */
static void add_list(json_t *out, struct gh_slice der)
{
    struct gh_crl *list = der.size > 0 ? gh_crl_open(der, NULL) : NULL;
    if (list == NULL)
        return;
    json_object_set_new(out, "crl_number", json_integer((json_int_t)gh_crl_number(list)));
    json_object_set_new(out, "crl_this_update", json_time(gh_crl_this_update_s(list) * 1000));
    json_object_set_new(out, "crl_revoked", json_integer((json_int_t)gh_crl_count(list)));
    gh_crl_close(list);
}

enum gh_error_code api_authorities_get(struct call *call)
{
    struct gh_authorities *authorities;
    struct gh_ca_facts facts;
    char warning[GH_CA_WARNING_MAX];
    enum gh_error_code code = need(call, &authorities);
    if (code == GH_OK)
        code = gh_authorities_facts(authorities, call->arena, &facts, &call->error);
    if (code != GH_OK)
        return code;
    struct gh_ca_times times = gh_ca_times(&facts);
    bool warns = gh_ca_warn(&facts, call->now_ms / 1000, warning);
    call->answer = json_pack("{s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "root_online",
                             facts.root_online, "root_not_after", json_time(times.root_s * 1000),
                             "intermediate_not_after", json_time(times.intermediate_s * 1000),
                             "crl_next_update", json_time(times.list_s * 1000), "warning",
                             warns ? json_string(warning) : json_null(), "root_pem",
                             json_slice(facts.root_pem), "intermediate_pem",
                             json_slice(facts.chain_pem), "crl_base64", encode(facts.list_der));
    json_t *certificates = json_array();
    add_certificates(certificates, "root", facts.root_pem);
    add_certificates(certificates, "intermediate", facts.chain_pem);
    json_object_set_new(call->answer, "certificates", certificates);
    add_list(call->answer, facts.list_der);
    return GH_OK;
}

enum gh_error_code api_authorities_request(struct call *call)
{
    struct gh_authorities *authorities;
    struct gh_slice pem;
    enum gh_error_code code = need(call, &authorities);
    if (code == GH_OK)
        code = gh_authorities_request(authorities, call->arena, &pem, &call->error);
    if (code == GH_OK)
        call->answer = json_pack("{s:o}", "public_key", json_slice(pem));
    return code;
}

/* {"pem": the certificate, or nothing, "crl_base64", "remove_root"}. */
enum gh_error_code api_authorities_install(struct call *call)
{
    static const char *const keys[] = {"pem", "crl_base64", "remove_root"};
    struct gh_authorities *authorities;
    struct gh_ca_delivery delivery = {.removes_root = false};
    struct gh_slice list;
    struct gh_buffer der;
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "pem", 0, &delivery.certificate_pem, &call->error) ||
        !gh_json_get_text(call->body, "crl_base64", GH_JSON_REQUIRED, &list, &call->error) ||
        !gh_json_get_bool(call->body, "remove_root", 0, &delivery.removes_root, &call->error))
        return call->error.code;
    enum gh_error_code code = need(call, &authorities);
    gh_buffer_init(&der, LIST_MAX);
    if (code == GH_OK && !gh_base64_decode(list, GH_BASE64_ANY, &der))
        code = call_fail(call, GH_ERROR_INVALID, "crl_base64: not base64");
    delivery.list_der = gh_buffer_slice(&der);
    if (code == GH_OK)
        code = gh_authorities_install(authorities, &delivery, &call->error);
    gh_buffer_deinit(&der);
    if (code != GH_OK)
        return code;
    gh_trail_note(call->api->services.trail,
                  &(struct gh_trail_entry){.at_ms = call->now_ms,
                                           .kind = GH_TRAIL_OPERATOR,
                                           .reason = delivery.removes_root
                                                         ? GH_SLICE("ROOT_REMOVED")
                                                         : GH_SLICE("CA_RENEWED"),
                                           .detail = call->caller.name,
                                           .address = gh_slice_text(call->request->peer)});
    return api_authorities_get(call);
}
