#include "crypto/ocsp.h"
#include "crypto/authority_internal.h"
#include <openssl/err.h>
#include <openssl/ocsp.h>

static OCSP_REQUEST *read_request(struct gh_slice der)
{
    const unsigned char *at = der.data;
    OCSP_REQUEST *request = der.size == 0 || der.size > GH_OCSP_REQUEST_MAX
                                ? NULL
                                : d2i_OCSP_REQUEST(NULL, &at, (long)der.size);
    if (request != NULL && at == der.data + der.size && OCSP_request_onereq_count(request) == 1)
        return request;
    OCSP_REQUEST_free(request);
    return NULL;
}

static OCSP_CERTID *id_of(OCSP_REQUEST *request)
{
    return OCSP_onereq_get0_id(OCSP_request_onereq_get0(request, 0));
}

/* Whether the id names this issuer, by the digest that the request chose. */
static bool names_issuer(OCSP_CERTID *id, X509 *issuer)
{
    ASN1_OBJECT *algorithm = NULL;
    ASN1_INTEGER *serial = NULL;
    if (OCSP_id_get0_info(NULL, &algorithm, NULL, &serial, id) != 1)
        return false;
    const EVP_MD *digest = EVP_get_digestbyobj(algorithm);
    OCSP_CERTID *own = digest == NULL ? NULL
                                      : OCSP_cert_id_new(digest, X509_get_subject_name(issuer),
                                                         X509_get0_pubkey_bitstr(issuer), serial);
    bool same = own != NULL && OCSP_id_cmp(own, id) == 0;
    OCSP_CERTID_free(own);
    return same;
}

enum gh_error_code gh_ocsp_read(struct gh_slice request_der, struct gh_slice issuer_pem,
                                char serial[GH_OCSP_SERIAL_MAX], struct gh_error *error)
{
    struct gh_buffer text = gh_buffer_fixed(serial, GH_OCSP_SERIAL_MAX - 1);
    ASN1_INTEGER *number = NULL;
    OCSP_REQUEST *request = read_request(request_der);
    struct gh_certificate *issuer = gh_certificate_open(issuer_pem, error);
    enum gh_error_code result = GH_OK;
    if (request == NULL || issuer == NULL)
        result = gh_error_set(error, GH_ERROR_INVALID, "not an OCSP request about one certificate");
    else if (!names_issuer(id_of(request), gh_certificate_native(issuer)))
        result = gh_error_set(error, GH_ERROR_NOT_FOUND, "the request is about another CA's");
    else if (OCSP_id_get0_info(NULL, NULL, NULL, &number, id_of(request)) != 1 ||
             !gh_serial_print(number, &text))
        result = gh_error_set(error, GH_ERROR_INVALID, "the serial number is none");
    serial[text.size] = '\0';
    gh_certificate_close(issuer);
    OCSP_REQUEST_free(request);
    ERR_clear_error();
    return result;
}

/* The request about `id`, which is taken. */
static enum gh_error_code print_request(OCSP_CERTID *id, struct gh_buffer *out,
                                        struct gh_error *error)
{
    OCSP_REQUEST *request = OCSP_REQUEST_new();
    unsigned char *der = NULL;
    bool made = request != NULL && id != NULL && OCSP_request_add0_id(request, id) != NULL;
    if (!made)
        OCSP_CERTID_free(id);
    int size = made ? i2d_OCSP_REQUEST(request, &der) : 0;
    bool done = size > 0 && gh_buffer_put(out, gh_slice(der, (size_t)size));
    OPENSSL_free(der);
    OCSP_REQUEST_free(request);
    ERR_clear_error();
    return done ? GH_OK
                : gh_error_set(error, GH_ERROR_INTERNAL, "OpenSSL cannot make an OCSP request");
}

enum gh_error_code gh_ocsp_ask(struct gh_slice certificate_pem, struct gh_slice issuer_pem,
                               struct gh_buffer *out, struct gh_error *error)
{
    struct gh_certificate *leaf = gh_certificate_open(certificate_pem, error);
    struct gh_certificate *issuer = leaf == NULL ? NULL : gh_certificate_open(issuer_pem, error);
    OCSP_CERTID *id = issuer == NULL ? NULL
                                     : OCSP_cert_to_id(EVP_sha1(), gh_certificate_native(leaf),
                                                       gh_certificate_native(issuer));
    gh_certificate_close(issuer);
    gh_certificate_close(leaf);
    return print_request(id, out, error);
}

/* How a request names the certificate of this serial number. SHA-1 is no signature here, and what
 * every responder knows. NULL when it is none. */
static OCSP_CERTID *id_of_serial(struct gh_slice serial, const struct gh_certificate *issuer)
{
    char hex[GH_OCSP_SERIAL_MAX];
    BIGNUM *number = NULL;
    struct gh_buffer text = gh_buffer_fixed(hex, sizeof hex - 1);
    if (!gh_buffer_put(&text, serial))
        return NULL;
    hex[text.size] = '\0';
    X509 *native = gh_certificate_native(issuer);
    ASN1_INTEGER *value = text.size > 0 && BN_hex2bn(&number, hex) == (int)text.size
                              ? BN_to_ASN1_INTEGER(number, NULL)
                              : NULL;
    OCSP_CERTID *id = value == NULL ? NULL
                                    : OCSP_cert_id_new(EVP_sha1(), X509_get_subject_name(native),
                                                       X509_get0_pubkey_bitstr(native), value);
    BN_free(number);
    ASN1_INTEGER_free(value);
    return id;
}

enum gh_error_code gh_ocsp_ask_serial(struct gh_slice serial, struct gh_slice issuer_pem,
                                      struct gh_buffer *out, struct gh_error *error)
{
    struct gh_certificate *issuer = gh_certificate_open(issuer_pem, error);
    OCSP_CERTID *id = issuer == NULL ? NULL : id_of_serial(serial, issuer);
    gh_certificate_close(issuer);
    return print_request(id, out, error);
}

/* Whether the CA itself signed, or whom it delegated that to, with a certificate that is valid at
 * the time (RFC 6960 §4.2.2.2). */
static bool is_signed(OCSP_BASICRESP *basic, X509 *issuer, int64_t now_s)
{
    enum { AUTH_LEVEL = 2 }; /* of whoever signs: 112 bits, no SHA-1 */
    STACK_OF(X509) *known = sk_X509_new_null();
    X509_STORE *store = X509_STORE_new();
    bool good = known != NULL && store != NULL && sk_X509_push(known, issuer) > 0 &&
                X509_STORE_add_cert(store, issuer) == 1 &&
                X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1;
    if (good) {
        X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), (time_t)now_s);
        X509_VERIFY_PARAM_set_auth_level(X509_STORE_get0_param(store), AUTH_LEVEL);
        good = OCSP_basic_verify(basic, known, store, OCSP_NOEXPLICIT) == 1;
    }
    X509_STORE_free(store);
    sk_X509_free(known);
    return good;
}

/* What is said about `id`; false when nothing is. */
static bool find_status(OCSP_BASICRESP *basic, OCSP_CERTID *id, struct gh_ocsp_answer *out)
{
    static const enum gh_ocsp_status statuses[] = {
        [V_OCSP_CERTSTATUS_GOOD] = GH_OCSP_GOOD,
        [V_OCSP_CERTSTATUS_REVOKED] = GH_OCSP_REVOKED,
        [V_OCSP_CERTSTATUS_UNKNOWN] = GH_OCSP_UNKNOWN,
    };
    ASN1_GENERALIZEDTIME *revoked = NULL, *from = NULL, *to = NULL;
    int status, reason = 0;
    if (OCSP_resp_find_status(basic, id, &status, &reason, &revoked, &from, &to) != 1 ||
        status < 0 || (size_t)status >= GH_COUNT(statuses) ||
        !gh_time_read(from, &out->validity.from_s))
        return false;
    out->status = statuses[status];
    out->reason = reason > 0 ? reason : 0;
    if (to == NULL)
        out->validity.to_s = out->validity.from_s + GH_OCSP_UNSAID_LIFE_S;
    return (to == NULL || gh_time_read(to, &out->validity.to_s)) &&
           (out->status != GH_OCSP_REVOKED || gh_time_read(revoked, &out->revoked_at_s));
}

static const char *judge(OCSP_BASICRESP *basic, const struct gh_certificate *issuer,
                         struct gh_slice serial, int64_t now_s, struct gh_ocsp_answer *out)
{
    OCSP_CERTID *id = basic == NULL ? NULL : id_of_serial(serial, issuer);
    const char *why = NULL;
    *out = (struct gh_ocsp_answer){.status = GH_OCSP_UNKNOWN};
    if (id == NULL)
        why = "it is no OCSP answer, or refuses to answer";
    else if (!is_signed(basic, gh_certificate_native(issuer), now_s))
        why = "it is signed neither by the CA nor by whom the CA delegated that to";
    else if (!find_status(basic, id, out))
        why = "it says nothing about the certificate";
    else if (out->validity.from_s > now_s + GH_OCSP_SKEW_S ||
             out->validity.to_s + GH_OCSP_SKEW_S < now_s)
        why = "it is not valid now";
    OCSP_CERTID_free(id);
    return why;
}

enum gh_error_code gh_ocsp_check(struct gh_slice response_der, struct gh_slice issuer_pem,
                                 struct gh_slice serial, int64_t now_s, struct gh_ocsp_answer *out,
                                 struct gh_error *error)
{
    const unsigned char *at = response_der.data;
    struct gh_certificate *issuer = gh_certificate_open(issuer_pem, error);
    if (issuer == NULL)
        return GH_ERROR_INVALID;
    OCSP_RESPONSE *response = response_der.size == 0 || response_der.size > GH_OCSP_ANSWER_MAX
                                  ? NULL
                                  : d2i_OCSP_RESPONSE(NULL, &at, (long)response_der.size);
    bool answers = response != NULL && at == response_der.data + response_der.size &&
                   OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL;
    OCSP_BASICRESP *basic = answers ? OCSP_response_get1_basic(response) : NULL;
    const char *why = judge(basic, issuer, serial, now_s, out);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    gh_certificate_close(issuer);
    ERR_clear_error();
    return why == NULL ? GH_OK : gh_error_set(error, GH_ERROR_INVALID, "the answer: %s", why);
}

static bool add_status(OCSP_BASICRESP *basic, OCSP_CERTID *id, const struct gh_ocsp_answer *answer)
{
    static const int statuses[] = {[GH_OCSP_GOOD] = V_OCSP_CERTSTATUS_GOOD,
                                   [GH_OCSP_REVOKED] = V_OCSP_CERTSTATUS_REVOKED,
                                   [GH_OCSP_UNKNOWN] = V_OCSP_CERTSTATUS_UNKNOWN};
    bool revoked = answer->status == GH_OCSP_REVOKED;
    ASN1_TIME *at = revoked ? ASN1_TIME_set(NULL, (time_t)answer->revoked_at_s) : NULL,
              *from = ASN1_TIME_set(NULL, (time_t)answer->validity.from_s),
              *to = ASN1_TIME_set(NULL, (time_t)answer->validity.to_s);
    int reason = revoked && answer->reason != 0 ? answer->reason : OCSP_REVOKED_STATUS_NOSTATUS;
    bool done =
        from != NULL && to != NULL && (!revoked || at != NULL) &&
        OCSP_basic_add1_status(basic, id, statuses[answer->status], reason, at, from, to) != NULL;
    ASN1_TIME_free(at);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    return done;
}

enum gh_error_code gh_ocsp_sign(const struct gh_authority *authority, struct gh_slice request_der,
                                const struct gh_ocsp_answer *answer, struct gh_buffer *out,
                                struct gh_error *error)
{
    OCSP_REQUEST *request = read_request(request_der);
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_RESPONSE *response = NULL;
    unsigned char *der = NULL;
    bool made = request != NULL && basic != NULL &&
                names_issuer(id_of(request), authority->certificate) &&
                add_status(basic, id_of(request), answer) && OCSP_copy_nonce(basic, request) > 0 &&
                OCSP_basic_sign(basic, authority->certificate, authority->key, EVP_sha256(), NULL,
                                OCSP_NOCERTS) == 1 &&
                (response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic)) != NULL;
    int size = made ? i2d_OCSP_RESPONSE(response, &der) : 0;
    bool done = size > 0 && gh_buffer_put(out, gh_slice(der, (size_t)size));
    OPENSSL_free(der);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    OCSP_REQUEST_free(request);
    ERR_clear_error();
    return done ? GH_OK
                : gh_error_set(error, GH_ERROR_INVALID, "the OCSP request cannot be answered");
}

bool gh_ocsp_refuse(bool malformed, struct gh_buffer *out)
{
    unsigned char *der = NULL;
    OCSP_RESPONSE *response = OCSP_response_create(
        malformed ? OCSP_RESPONSE_STATUS_MALFORMEDREQUEST : OCSP_RESPONSE_STATUS_TRYLATER, NULL);
    int size = response == NULL ? 0 : i2d_OCSP_RESPONSE(response, &der);
    bool done = size > 0 && gh_buffer_put(out, gh_slice(der, (size_t)size));
    OPENSSL_free(der);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    return done;
}
