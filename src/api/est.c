/* Enrolment over Secure Transport (RFC 7030, with the plain base64 of RFC 8951), and what the
 * built-in CA publishes. A device enrols with HTTP Basic: user name TENANT/REGISTRY/DEVICE,
 * password its one-time token; or with a certificate that lets it in anyway, which is also how it
 * enrols again. What was wrong stands in the device's log; the device is told 401 or 403 and
 * nothing else.
 *
 * The optional label is the tenant. Of a request only the key counts; a common name, where it has
 * one, must be the device's id, so that nobody believes to have got another certificate. */
#include "api/call_internal.h"
#include "crypto/certificate.h"
#include "crypto/enrol.h"
#include "identity/authorities.h"
#include "identity/device.h"
#include "identity/issuing.h"
#include "observe/trail.h"
#include "wire/base64.h"
#include <stdio.h>
#include <string.h>

enum { BAG_MAX = 64 * 1024, BODY_MAX = 32 * 1024, CACERTS_MAX = 24 };

/* Who is enrolling, and where its certificate comes from. */
struct enrolment {
    struct gh_tenant tenant;
    struct gh_device device;
    struct gh_slice tenant_name, registry_name, device_id;
};

static enum gh_error_code answer_raw(struct call *call, int status, const char *type,
                                     struct gh_slice body, const struct gh_http_header *header)
{
    if (!call_settle(call, status < 400 ? GH_OK : GH_ERROR_UNAUTHENTICATED))
        return call->error.code;
    gh_exchange_answer(call->exchange, &(struct gh_http_answer){.status = status,
                                                                .content_type = type,
                                                                .body = body,
                                                                .headers = header,
                                                                .headers_count = header != NULL});
    gh_metric_add(call->api->services.metrics, GH_METRIC_http_requests_total, 1);
    call->taken = true;
    return GH_OK;
}

/* One vague answer for whoever could not prove who it is. */
static enum gh_error_code answer_unknown(struct call *call)
{
    static const struct gh_http_header ask = {GH_SLICE_INIT("www-authenticate"),
                                              GH_SLICE_INIT("Basic realm=\"enrolment\"")};
    return answer_raw(call, 401, "text/plain", GH_SLICE("not authorised\n"), &ask);
}

static void note(struct call *call, const struct enrolment *e, enum gh_trail_kind kind,
                 const char *reason, struct gh_slice detail)
{
    gh_trail_note(call->api->services.trail,
                  &(struct gh_trail_entry){.at_ms = call->now_ms,
                                           .device = e->device.number,
                                           .tenant = e->tenant_name,
                                           .registry = e->registry_name,
                                           .device_id = e->device_id,
                                           .kind = kind,
                                           .reason = gh_slice_text(reason),
                                           .detail = detail,
                                           .address = gh_slice_text(call->request->peer)});
}

/* Certificates as EST carries them: degenerate PKCS #7 in base64, lines of 64. */
static enum gh_error_code answer_bag(struct call *call, const struct gh_slice *certificates,
                                     size_t count)
{
    static const struct gh_http_header encoding = {GH_SLICE_INIT("content-transfer-encoding"),
                                                   GH_SLICE_INIT("base64")};
    struct gh_buffer der, text, lines;
    gh_buffer_init(&der, BAG_MAX);
    gh_buffer_init(&text, 2 * BAG_MAX);
    gh_buffer_init(&lines, 2 * BAG_MAX);
    enum gh_error_code code = gh_enrol_write(certificates, count, &der, &call->error);
    if (code == GH_OK) {
        gh_base64_encode(gh_buffer_slice(&der), GH_BASE64_STANDARD, &text);
        for (struct gh_slice rest = gh_buffer_slice(&text); rest.size > 0;
             rest = gh_slice_sub(rest, 64, rest.size)) {
            gh_buffer_put(&lines, gh_slice_sub(rest, 0, 64));
            gh_buffer_u8(&lines, '\n');
        }
        code = answer_raw(call, 200, "application/pkcs7-mime; smime-type=certs-only",
                          gh_buffer_slice(&lines), &encoding);
    }
    gh_buffer_deinit(&der);
    gh_buffer_deinit(&text);
    gh_buffer_deinit(&lines);
    return code;
}

static enum gh_error_code find_label(struct call *call, struct gh_tenant *out)
{
    return gh_directory_tenant_find(call->api->services.directory, call->captures[0], call->arena,
                                    out, &call->error);
}

/* The root, the intermediate CAs that are good, and with a label the tenant's CA: all that is
 * needed to build a path (RFC 7030 §4.1.3). */
enum gh_error_code api_est_cacerts(struct call *call)
{
    struct gh_api_services *services = &call->api->services;
    struct gh_slice certificates[CACERTS_MAX];
    struct gh_ca_facts facts;
    struct gh_tenant tenant;
    struct gh_anchor ca;
    size_t count = 0;
    enum gh_error_code code =
        gh_authorities_facts(services->authorities, call->arena, &facts, &call->error);
    if (code != GH_OK)
        return code;
    certificates[count++] = facts.root_pem;
    while (count < CACERTS_MAX - 1 && gh_certificate_take(&facts.chain_pem, &certificates[count]))
        count++;
    if (call->captures[0].size > 0) { /* nobody learns here which tenants there are */
        if (find_label(call, &tenant) == GH_OK &&
            gh_issuing_ca(services->issuing, &tenant, false, call->arena, &ca, &call->error) ==
                GH_OK)
            certificates[count++] = ca.pem;
    }
    return answer_bag(call, certificates, count);
}

/* P-256 with SHA-256 is what is liked best (RFC 7030 §4.5.2): ecdsa-with-SHA256, and an
 * attribute id-ecPublicKey with secp256r1. */
enum gh_error_code api_est_csrattrs(struct call *call)
{
    static const uint8_t der[] = {0x30, 0x21, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
                                  0x04, 0x03, 0x02, 0x30, 0x15, 0x06, 0x07, 0x2a, 0x86,
                                  0x48, 0xce, 0x3d, 0x02, 0x01, 0x31, 0x0a, 0x06, 0x08,
                                  0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    uint8_t block[64];
    struct gh_buffer text = gh_buffer_fixed(block, sizeof block);
    gh_base64_encode(gh_slice(der, sizeof der), GH_BASE64_STANDARD, &text);
    gh_buffer_u8(&text, '\n');
    return answer_raw(call, 200, "application/csrattrs", gh_buffer_slice(&text), NULL);
}

/* --- who it is --- */

/* "Basic base64(user:password)"; both in the arena. */
static bool read_basic(struct call *call, struct gh_slice *user, struct gh_slice *password)
{
    struct gh_slice value = gh_http_header_get(call->request, "authorization"), pair;
    uint8_t block[4096];
    struct gh_buffer text = gh_buffer_fixed(block, sizeof block);
    if (!gh_slice_equal_nocase(gh_slice_sub(value, 0, 6), GH_SLICE("basic ")) ||
        !gh_base64_decode(gh_slice_sub(value, 6, value.size), GH_BASE64_ANY, &text) ||
        !gh_arena_copy(call->arena, gh_buffer_slice(&text), &pair))
        return false;
    *user = gh_slice_split(&pair, ':');
    *password = pair;
    return user->size > 0 && password->size > 0;
}

/* TENANT/REGISTRY/DEVICE, by this separator. */
static bool read_name(struct gh_slice name, uint8_t separator, struct enrolment *e)
{
    e->tenant_name = gh_slice_split(&name, separator);
    e->registry_name = gh_slice_split(&name, separator);
    e->device_id = name;
    return e->tenant_name.size > 0 && e->registry_name.size > 0 && e->device_id.size > 0 &&
           gh_slice_find(name, separator) == name.size;
}

static bool label_fits(const struct call *call, const struct enrolment *e)
{
    return call->captures[0].size == 0 || gh_slice_equal(call->captures[0], e->tenant_name);
}

static enum gh_error_code find_device(struct call *call, struct enrolment *e)
{
    struct gh_directory *directory = call->api->services.directory;
    enum gh_error_code code =
        gh_directory_tenant_find(directory, e->tenant_name, call->arena, &e->tenant, &call->error);
    return code == GH_OK ? gh_directory_device_find(directory, e->tenant.number, e->registry_name,
                                                    (struct gh_slice){0}, e->device_id, call->arena,
                                                    &e->device, &call->error)
                         : code;
}

/* By token. False when it does not open the door, with the reason noted. */
static bool prove_by_token(struct call *call, struct enrolment *e)
{
    struct gh_slice user = {0}, password = {0};
    if (!read_basic(call, &user, &password) || !read_name(user, '/', e) || !label_fits(call, e))
        return false;
    char detail[GH_IDENTITY_DETAIL_MAX] = "the device is blocked";
    enum gh_identity_reason reason = GH_IDENTITY_BLOCKED;
    if (find_device(call, e) != GH_OK) {
        reason = e->tenant.number == 0 ? GH_IDENTITY_UNKNOWN_TENANT : GH_IDENTITY_UNKNOWN_DEVICE;
        snprintf(detail, sizeof detail, "%.200s", call->error.text);
    } else if (e->tenant.disabled) {
        reason = GH_IDENTITY_TENANT_DISABLED;
        snprintf(detail, sizeof detail, "the tenant is disabled");
    } else if (!e->device.blocked) {
        reason = gh_issuing_redeem(call->api->services.issuing, e->device.number, password, detail);
    }
    if (reason != GH_IDENTITY_ACCEPTED)
        note(call, e, GH_TRAIL_REFUSAL, gh_identity_reason_name(reason), gh_slice_text(detail));
    return reason == GH_IDENTITY_ACCEPTED;
}

/* By the certificate of the handshake, as at every other sign-in. A certificate of the built-in CA
 * says itself whose it is; with another one the Basic user name does. */
static bool prove_by_certificate(struct call *call, struct enrolment *e)
{
    const struct gh_http_request *request = call->request;
    struct gh_identity_verdict verdict;
    struct gh_slice user = {0}, password = {0}, name = {0};
    if (request->certificates_count == 0)
        return false;
    bool named = gh_identity_certificate_name(request->certificates[0], call->arena, &name)
                     ? read_name(name, ':', e)
                     : read_basic(call, &user, &password) && read_name(user, '/', e);
    if (!named || !label_fits(call, e))
        return false;
    struct gh_identity_claim claim = {.by = GH_IDENTITY_BY_TENANT_NAME,
                                      .tenant = e->tenant_name,
                                      .registry = e->registry_name,
                                      .device = e->device_id,
                                      .over = GH_IDENTITY_OVER_HTTP,
                                      .by_certificate = true,
                                      .chain = request->certificates,
                                      .chain_count = request->certificates_count};
    bool good = gh_identity_device(call->api->services.directory, &claim, call->now_ms, call->arena,
                                   &verdict) == GH_IDENTITY_ACCEPTED &&
                find_device(call, e) == GH_OK;
    if (!good && verdict.device != NULL)
        e->device = *verdict.device;
    if (!good)
        note(call, e, GH_TRAIL_REFUSAL, gh_identity_reason_name(verdict.reason),
             gh_slice_text(verdict.detail));
    return good;
}

/* --- enrolment --- */

/* The body without its white space, decoded. */
static bool read_body_der(struct call *call, struct gh_buffer *der)
{
    struct gh_buffer text;
    struct gh_slice body = call->request->body;
    gh_buffer_init(&text, BODY_MAX);
    for (size_t i = 0; i < body.size && !text.overflow; i++)
        if (strchr(" \t\r\n", body.data[i]) == NULL || body.data[i] == '\0')
            gh_buffer_u8(&text, body.data[i]);
    bool good = !text.overflow && text.size > 0 &&
                gh_base64_decode(gh_buffer_slice(&text), GH_BASE64_ANY, der);
    gh_buffer_deinit(&text);
    return good;
}

static enum gh_error_code read_request(struct call *call, const struct enrolment *e,
                                       struct gh_slice *key)
{
    struct gh_buffer der, pem, name;
    gh_buffer_init(&der, BODY_MAX);
    gh_buffer_init(&pem, BODY_MAX);
    gh_buffer_init(&name, BODY_MAX);
    enum gh_error_code code = read_body_der(call, &der)
                                  ? gh_enrol_read(gh_buffer_slice(&der), &pem, &name, &call->error)
                                  : call_fail(call, GH_ERROR_INVALID, "the body is not base64");
    if (code == GH_OK && name.size > 0 && !gh_slice_equal(gh_buffer_slice(&name), e->device_id))
        code =
            call_fail(call, GH_ERROR_INVALID, "the request's common name is not the device's id");
    if (code == GH_OK && !gh_arena_copy(call->arena, gh_buffer_slice(&pem), key))
        code = call_fail(call, GH_ERROR_MEMORY, "the request");
    gh_buffer_deinit(&der);
    gh_buffer_deinit(&pem);
    gh_buffer_deinit(&name);
    return code;
}

static enum gh_error_code enrol(struct call *call, struct enrolment *e)
{
    struct gh_slice key = {0};
    struct gh_issued issued;
    call_deed_device(call, e->tenant_name, e->registry_name, e->device_id);
    enum gh_error_code code = read_request(call, e, &key);
    if (code == GH_OK)
        code = gh_audit_begin(&call->deed, GH_AUDIT_RIDE, &call->error);
    if (code == GH_OK)
        code = gh_issuing_issue(call->api->services.issuing, &e->tenant, &e->device, key, 0,
                                call->arena, &issued, &call->error);
    if (code != GH_OK) {
        note(call, e, GH_TRAIL_REFUSAL, "ENROLMENT", gh_slice_text(call->error.text));
        return code;
    }
    char *detail = gh_arena_print(call->arena, "EST, %.*s", GH_PRINT(issued.serial));
    note(call, e, GH_TRAIL_OPERATOR, "CERTIFICATE_ISSUED", gh_slice_text(detail));
    return answer_bag(call, &issued.pem, 1);
}

enum gh_error_code api_est_enroll(struct call *call)
{
    struct enrolment e = {0};
    if (!prove_by_token(call, &e) && !prove_by_certificate(call, &e))
        return answer_unknown(call);
    return enrol(call, &e);
}

enum gh_error_code api_est_reenroll(struct call *call)
{
    struct enrolment e = {0};
    return prove_by_certificate(call, &e) ? enrol(call, &e) : answer_unknown(call);
}

/* --- what the CA publishes --- */

enum gh_error_code api_pki_crl(struct call *call)
{
    struct gh_tenant tenant;
    struct gh_slice der = {0};
    enum gh_error_code code = find_label(call, &tenant);
    if (code == GH_OK)
        code =
            gh_issuing_crl(call->api->services.issuing, &tenant, call->arena, &der, &call->error);
    if (code == GH_ERROR_NOT_FOUND)
        return call_fail(call, code, "there is no such list");
    return code == GH_OK ? answer_raw(call, 200, "application/pkix-crl", der, NULL) : code;
}

/* With how long it may be kept (RFC 5019 §6.2). */
static enum gh_error_code answer_ocsp(struct call *call, struct gh_slice request)
{
    struct gh_tenant tenant;
    struct gh_slice der = {0};
    int64_t max_age_s = 0;
    enum gh_error_code code = find_label(call, &tenant);
    if (code == GH_OK)
        code = gh_issuing_ocsp(call->api->services.issuing, &tenant, request, call->arena, &der,
                               &max_age_s, &call->error);
    if (code == GH_ERROR_NOT_FOUND)
        return call_fail(call, code, "there is no such CA");
    const struct gh_http_header keep = {
        GH_SLICE("cache-control"),
        gh_slice_text(gh_arena_print(call->arena, "max-age=%lld, public, must-revalidate",
                                     (long long)max_age_s))};
    return code == GH_OK ? answer_raw(call, 200, "application/ocsp-response", der,
                                      max_age_s > 0 && keep.value.size > 0 ? &keep : NULL)
                         : code;
}

enum gh_error_code api_pki_ocsp(struct call *call)
{
    return answer_ocsp(call, call->request->body);
}

/* The request in base64 as the last part of the path (RFC 6960 A.1). */
enum gh_error_code api_pki_ocsp_get(struct call *call)
{
    struct gh_buffer der;
    gh_buffer_init(&der, BODY_MAX);
    bool read = gh_base64_decode(call->captures[1], GH_BASE64_ANY, &der);
    enum gh_error_code code =
        answer_ocsp(call, read ? gh_buffer_slice(&der) : (struct gh_slice){0});
    gh_buffer_deinit(&der);
    return code;
}

/* What the root has revoked of the intermediate CAs, and the like of those about the CAs of
 * tenants: for whoever checks a whole path. */
enum gh_error_code api_pki_root_crl(struct call *call)
{
    struct gh_ca_facts facts;
    enum gh_error_code code =
        gh_authorities_facts(call->api->services.authorities, call->arena, &facts, &call->error);
    return code == GH_OK ? answer_raw(call, 200, "application/pkix-crl", facts.list_der, NULL)
                         : code;
}

enum gh_error_code api_pki_intermediate_crl(struct call *call)
{
    struct gh_slice der = {0};
    enum gh_error_code code = gh_authorities_list(
        call->api->services.authorities, call->now_ms / 1000, call->arena, &der, &call->error);
    return code == GH_OK ? answer_raw(call, 200, "application/pkix-crl", der, NULL) : code;
}

static enum gh_error_code find_ca(struct call *call, struct gh_anchor *ca)
{
    struct gh_tenant tenant;
    enum gh_error_code code = find_label(call, &tenant);
    if (code == GH_OK)
        code = gh_issuing_ca(call->api->services.issuing, &tenant, false, call->arena, ca,
                             &call->error);
    return code == GH_ERROR_NOT_FOUND ? call_fail(call, code, "there is no such CA") : code;
}

enum gh_error_code api_pki_ca(struct call *call)
{
    struct gh_anchor ca;
    enum gh_error_code code = find_ca(call, &ca);
    return code == GH_OK ? answer_raw(call, 200, "application/x-pem-file", ca.pem, NULL) : code;
}

enum gh_error_code api_pki_ca_der(struct call *call)
{
    struct gh_anchor ca;
    struct gh_buffer der;
    enum gh_error_code code = find_ca(call, &ca);
    if (code != GH_OK)
        return code;
    gh_buffer_init(&der, BODY_MAX);
    struct gh_certificate *certificate = gh_certificate_open(ca.pem, &call->error);
    code = certificate != NULL && gh_certificate_print_der(certificate, &der)
               ? answer_raw(call, 200, "application/pkix-cert", gh_buffer_slice(&der), NULL)
               : call_fail(call, GH_ERROR_MEMORY, "the certificate");
    gh_certificate_close(certificate);
    gh_buffer_deinit(&der);
    return code;
}
