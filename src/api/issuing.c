/* The built-in CA for devices, as operators see it. */
#include "identity/issuing.h"
#include "api/call_internal.h"
#include "crypto/certificate.h"
#include "crypto/enrol.h"
#include "identity/authorities.h"
#include "observe/trail.h"
#include "wire/base64.h"

enum { LIST_MAX = 1000, LIST_DEFAULT = 100, TTL_S_DEFAULT = 3600, TEXT_MAX = 16 * 1024 };

static enum gh_error_code need_ca(struct call *call)
{
    return call->api->services.issuing != NULL
               ? GH_OK
               : call_fail(call, GH_ERROR_UNSUPPORTED, "this server has no built-in CA");
}

static void note(struct call *call, const struct gh_device *device, const char *what,
                 struct gh_slice more)
{
    call_note(call, what, device->registry_name, device, more);
}

enum gh_error_code api_tenant_ca(struct call *call)
{
    struct gh_anchor ca;
    enum gh_error_code code = need_ca(call);
    if (code == GH_OK)
        code = gh_issuing_ca(call->api->services.issuing, &call->tenant, true, call->arena, &ca,
                             &call->error);
    if (code == GH_OK)
        call->answer = anchor_to_json(&ca);
    return code;
}

static json_t *issued_to_json(const struct gh_issued *row)
{
    json_t *out = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "serial", json_slice(row->serial),
                            "device", json_slice(row->device_id), "not_before",
                            json_time(row->not_before_ms), "not_after",
                            json_time(row->not_after_ms), "issued_at", json_time(row->issued_at_ms),
                            "revoked_at", json_time(row->revoked ? row->revoked_at_ms : 0));
    if (out != NULL && row->pem.size > 0)
        json_object_set_new(out, "pem", json_slice(row->pem));
    return out;
}

/* The body of a PEM block of this label as DER; false for another one. */
static bool unwrap(struct gh_slice pem, struct gh_slice begin, struct gh_buffer *der)
{
    struct gh_slice rest = pem;
    uint8_t block[TEXT_MAX];
    struct gh_buffer text = gh_buffer_fixed(block, sizeof block);
    if (!gh_slice_starts(pem, begin))
        return false;
    gh_slice_split(&rest, '\n');
    while (rest.size > 0 && rest.data[0] != '-') {
        struct gh_slice line = gh_slice_split(&rest, '\n');
        if (line.size > 0 && line.data[line.size - 1] == '\r')
            line.size--;
        gh_buffer_put(&text, line);
    }
    return !text.overflow && gh_base64_decode(gh_buffer_slice(&text), GH_BASE64_ANY, der);
}

/* A certification request or a bare public key; `*key` in the arena. */
static enum gh_error_code read_key(struct call *call, struct gh_slice pem, struct gh_slice *key)
{
    struct gh_buffer der, public_key, name;
    enum gh_error_code code = GH_OK;
    gh_buffer_init(&der, TEXT_MAX);
    gh_buffer_init(&public_key, TEXT_MAX);
    gh_buffer_init(&name, TEXT_MAX);
    if (gh_slice_starts(pem, GH_SLICE("-----BEGIN PUBLIC KEY-----")))
        gh_buffer_put(&public_key, pem);
    else if (unwrap(pem, GH_SLICE("-----BEGIN CERTIFICATE REQUEST-----"), &der) ||
             unwrap(pem, GH_SLICE("-----BEGIN NEW CERTIFICATE REQUEST-----"), &der))
        code = gh_enrol_read(gh_buffer_slice(&der), &public_key, &name, &call->error);
    else
        code = call_fail(call, GH_ERROR_INVALID,
                         "pem: neither a certification request nor a public key");
    if (code == GH_OK &&
        (public_key.overflow || !gh_arena_copy(call->arena, gh_buffer_slice(&public_key), key)))
        code = call_fail(call, GH_ERROR_MEMORY, "the key");
    gh_buffer_deinit(&der);
    gh_buffer_deinit(&public_key);
    gh_buffer_deinit(&name);
    return code;
}

/* "chain_pem": the CAs between the certificate and the root, as a peer is shown them. An older CA
 * stands below the root itself. */
static enum gh_error_code add_chain(struct call *call, const struct gh_anchor *ca)
{
    struct gh_ca_facts facts;
    struct gh_slice pem;
    enum gh_error_code code =
        gh_authorities_facts(call->api->services.authorities, call->arena, &facts, &call->error);
    struct gh_certificate *issuing =
        code == GH_OK ? gh_certificate_open(ca->pem, &call->error) : NULL;
    char *text = gh_arena_print(call->arena, "%.*s", GH_PRINT(ca->pem));
    while (issuing != NULL && gh_certificate_take(&facts.chain_pem, &pem)) {
        struct gh_certificate *above = gh_certificate_open(pem, NULL);
        if (above != NULL && gh_certificate_signed_by(issuing, above))
            text = gh_arena_print(call->arena, "%.*s%.*s", GH_PRINT(ca->pem), GH_PRINT(pem));
        gh_certificate_close(above);
    }
    gh_certificate_close(issuing);
    if (code == GH_OK && text != NULL)
        json_object_set_new(call->answer, "chain_pem", json_slice(gh_slice_text(text)));
    return code;
}

/* {"pem": a certification request or a public key, "days"}. */
enum gh_error_code api_certificate_issue(struct call *call)
{
    static const char *const keys[] = {"pem", "days"};
    struct gh_slice pem = {0}, key = {0};
    struct gh_device device;
    struct gh_issued issued;
    struct gh_anchor ca;
    int64_t days = json_integer_value(json_object_get(call->body, "days"));
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "pem", GH_JSON_REQUIRED, &pem, &call->error))
        return call->error.code;
    enum gh_error_code code = need_ca(call);
    if (code == GH_OK)
        code = call_device(call, &device);
    if (code == GH_OK)
        code = read_key(call, pem, &key);
    if (code == GH_OK)
        code = gh_issuing_issue(call->api->services.issuing, &call->tenant, &device, key, days,
                                call->arena, &issued, &call->error);
    if (code == GH_OK)
        code = gh_issuing_ca(call->api->services.issuing, &call->tenant, false, call->arena, &ca,
                             &call->error);
    if (code != GH_OK)
        return code;
    note(call, &device, "CERTIFICATE_ISSUED", issued.serial);
    call->status = 201;
    call->answer = issued_to_json(&issued);
    json_object_set_new(call->answer, "ca", json_slice(ca.id));
    json_object_set_new(call->answer, "ca_pem", json_slice(ca.pem));
    return add_chain(call, &ca);
}

enum gh_error_code api_certificate_list(struct call *call)
{
    struct gh_device device;
    struct gh_issued *rows;
    uint64_t limit;
    size_t count;
    if (!call_query_u64(call, "limit", 1, LIST_MAX, LIST_DEFAULT, &limit))
        return call->error.code;
    enum gh_error_code code = need_ca(call);
    if (code == GH_OK)
        code = call_device(call, &device);
    if (code == GH_OK)
        code = gh_issuing_list(call->api->services.issuing, device.number, (size_t)limit,
                               call->arena, &rows, &count, &call->error);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, issued_to_json(&rows[i]));
    call->answer = json_pack("{s:o}", "certificates", list);
    return GH_OK;
}

/* {"ttl_s"}: a token for one enrolment. */
enum gh_error_code api_enrolment(struct call *call)
{
    static const char *const keys[] = {"ttl_s"};
    const json_t *ttl = json_object_get(call->body, "ttl_s");
    struct gh_slice token = {0};
    struct gh_device device;
    int64_t expires_at_ms = 0;
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error))
        return call->error.code;
    enum gh_error_code code = need_ca(call);
    if (code == GH_OK)
        code = call_device(call, &device);
    if (code == GH_OK)
        code = gh_issuing_enrolment(call->api->services.issuing, device.number,
                                    ttl == NULL ? TTL_S_DEFAULT : json_integer_value(ttl),
                                    call->arena, &token, &expires_at_ms, &call->error);
    if (code != GH_OK)
        return code;
    char *user = gh_arena_print(call->arena, "%.*s/%.*s/%.*s", GH_PRINT(device.tenant_name),
                                GH_PRINT(device.registry_name), GH_PRINT(device.id));
    note(call, &device, "ENROLMENT_TOKEN", (struct gh_slice){0});
    call->status = 201;
    call->answer =
        json_pack("{s:o, s:o, s:o}", "token", json_slice(token), "user_name",
                  json_slice(gh_slice_text(user)), "expires_at", json_time(expires_at_ms));
    return GH_OK;
}
