#include "crypto/certificate.h"
#include "crypto/openssl_internal.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* SHA-1 counts 63 bits in OpenSSL and MD5 39: signatures that can be forged are no signatures. */
enum { SIGNATURE_STRENGTH_MIN = 80 };

struct gh_certificate {
    X509 *native;
    int64_t not_before_s, not_after_s;
    uint8_t digest[GH_SHA256_BYTES];
    bool has_digest;
};

static bool refuse(struct gh_error *error, const char *why)
{
    (void)gh_error_set(error, GH_ERROR_INVALID, "%s", why);
    return false;
}

bool gh_time_read(const ASN1_TIME *from, int64_t *out)
{
    struct tm parts;
    if (from == NULL || ASN1_TIME_to_tm(from, &parts) != 1)
        return false;
    *out = timegm(&parts);
    return true;
}

/* Takes `native`, also when it fails. */
static struct gh_certificate *wrap(X509 *native, struct gh_error *error)
{
    int64_t from, to;
    struct gh_certificate *certificate = NULL;
    if (native == NULL || !gh_time_read(X509_get0_notBefore(native), &from) ||
        !gh_time_read(X509_get0_notAfter(native), &to)) {
        (void)refuse(error, "the certificate is damaged");
    } else if ((certificate = calloc(1, sizeof *certificate)) == NULL) {
        (void)gh_error_set(error, GH_ERROR_MEMORY, "no memory for a certificate");
    } else {
        *certificate =
            (struct gh_certificate){.native = native, .not_before_s = from, .not_after_s = to};
        /* Makes OpenSSL read the extensions now: later calls from several threads only look. */
        (void)X509_get_extension_flags(native);
        native = NULL;
    }
    X509_free(native);
    ERR_clear_error();
    return certificate;
}

struct gh_certificate *gh_certificate_open_der(struct gh_slice der, struct gh_error *error)
{
    uint8_t digest[GH_SHA256_BYTES];
    struct gh_certificate *certificate = wrap(gh_x509_read(der, digest), error);
    if (certificate != NULL) {
        memcpy(certificate->digest, digest, sizeof digest);
        certificate->has_digest = true;
    }
    return certificate;
}

struct gh_certificate *gh_certificate_open(struct gh_slice pem, struct gh_error *error)
{
    unsigned char *der;
    long size;

    if (!gh_pem_read(pem, PEM_STRING_X509, NULL, &der, &size, error))
        return NULL;
    struct gh_certificate *certificate =
        gh_certificate_open_der(gh_slice(der, (size_t)size), error);
    OPENSSL_clear_free(der, (size_t)size);
    return certificate;
}

struct gh_certificate *gh_certificate_adopt(X509 *native)
{
    (void)X509_up_ref(native);
    return wrap(native, NULL);
}

bool gh_certificate_take(struct gh_slice *chain, struct gh_slice *pem)
{
    static const struct gh_slice end = GH_SLICE_INIT("-----END CERTIFICATE-----");
    const uint8_t *found =
        chain->size == 0 ? NULL : memmem(chain->data, chain->size, end.data, end.size);
    if (found == NULL)
        return false;
    size_t size = (size_t)(found - chain->data) + end.size;
    size += size < chain->size && chain->data[size] == '\n';
    *pem = gh_slice_sub(*chain, 0, size);
    *chain = gh_slice_sub(*chain, size, chain->size);
    return true;
}

void gh_certificate_close(struct gh_certificate *certificate)
{
    if (certificate == NULL)
        return;
    X509_free(certificate->native);
    free(certificate);
}

struct gh_slice gh_certificate_digest(const struct gh_certificate *certificate)
{
    return certificate->has_digest ? gh_slice(certificate->digest, sizeof certificate->digest)
                                   : (struct gh_slice){0};
}

X509 *gh_certificate_native(const struct gh_certificate *certificate)
{
    return certificate->native;
}

int64_t gh_certificate_not_before_s(const struct gh_certificate *certificate)
{
    return certificate->not_before_s;
}

int64_t gh_certificate_not_after_s(const struct gh_certificate *certificate)
{
    return certificate->not_after_s;
}

bool gh_certificate_fingerprint(const struct gh_certificate *certificate,
                                char out[GH_SHA256_HEX_MAX])
{
    unsigned char *der = NULL;
    int size = i2d_X509(certificate->native, &der);

    if (size > 0)
        (void)gh_sha256_hex(gh_slice(der, (size_t)size), out);
    OPENSSL_free(der);
    ERR_clear_error();
    return size > 0;
}

static int write_name(BIO *bio, const void *name)
{
    return X509_NAME_print_ex(bio, name, 0,
                              XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) > 0;
}

static bool print_name(const X509_NAME *name, struct gh_buffer *out)
{
    return X509_NAME_entry_count(name) == 0 || gh_bio_print(out, write_name, name);
}

bool gh_certificate_print_subject(const struct gh_certificate *certificate, struct gh_buffer *out)
{
    return print_name(X509_get_subject_name(certificate->native), out);
}

bool gh_certificate_print_issuer(const struct gh_certificate *certificate, struct gh_buffer *out)
{
    return print_name(X509_get_issuer_name(certificate->native), out);
}

bool gh_serial_print(const ASN1_INTEGER *serial, struct gh_buffer *out)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(serial, NULL);
    char *hex = number == NULL ? NULL : BN_bn2hex(number), *digits = hex;
    for (; digits != NULL && digits[0] == '0' && digits[1] != '\0'; digits++)
        ;
    for (char *at = digits; at != NULL && *at != '\0'; at++)
        *at = *at >= 'A' && *at <= 'F' ? (char)(*at - 'A' + 'a') : *at;
    bool done = digits != NULL && gh_buffer_put(out, gh_slice_text(digits));
    OPENSSL_free(hex);
    BN_free(number);
    ERR_clear_error();
    return done;
}

bool gh_certificate_print_serial(const struct gh_certificate *certificate, struct gh_buffer *out)
{
    return gh_serial_print(X509_get0_serialNumber(certificate->native), out);
}

bool gh_certificate_print_common_name(const struct gh_certificate *certificate,
                                      struct gh_buffer *out)
{
    const X509_NAME *subject = X509_get_subject_name(certificate->native);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    unsigned char *text = NULL;
    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
        return false;
    const X509_NAME_ENTRY *entry = X509_NAME_get_entry(subject, at);
    int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry));
    bool done = size > 0 && gh_buffer_put(out, gh_slice(text, (size_t)size));
    OPENSSL_free(text);
    ERR_clear_error();
    return done;
}

bool gh_certificate_has_name(const struct gh_certificate *certificate, struct gh_slice name)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate->native, NID_subject_alt_name, NULL, NULL);
    bool has = false;
    for (int i = 0; !has && i < sk_GENERAL_NAME_num(names); i++) {
        int kind;
        const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &kind);
        has = (kind == GEN_DNS || kind == GEN_URI) &&
              gh_slice_equal(
                  gh_slice(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)), name);
    }
    GENERAL_NAMES_free(names);
    ERR_clear_error();
    return has;
}

bool gh_certificate_print_uri(const struct gh_certificate *certificate, struct gh_slice begin,
                              struct gh_buffer *out)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate->native, NID_subject_alt_name, NULL, NULL);
    bool found = false, put = false;
    for (int i = 0; !found && i < sk_GENERAL_NAME_num(names); i++) {
        int kind;
        const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &kind);
        if (kind != GEN_URI)
            continue;
        struct gh_slice uri =
            gh_slice(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
        found = gh_slice_starts(uri, begin);
        put = found && gh_buffer_put(out, uri);
    }
    GENERAL_NAMES_free(names);
    ERR_clear_error();
    return put;
}

static int write_pem(BIO *bio, const void *native)
{
    return PEM_write_bio_X509(bio, native);
}

bool gh_certificate_print(const struct gh_certificate *certificate, struct gh_buffer *out)
{
    return gh_bio_print(out, write_pem, certificate->native);
}

const char *gh_certificate_signature_algorithm(const struct gh_certificate *certificate)
{
    int id = X509_get_signature_nid(certificate->native);
    return id == NID_undef ? "unknown" : OBJ_nid2ln(id);
}

struct gh_key *gh_certificate_key(const struct gh_certificate *certificate, struct gh_error *error)
{
    EVP_PKEY *native = X509_get0_pubkey(certificate->native);
    if (native == NULL) {
        (void)refuse(error, "the certificate's key is damaged or of an unknown kind");
        ERR_clear_error();
        return NULL;
    }
    return gh_key_adopt(native, GH_KEY_FORM_CERTIFICATE, error);
}

bool gh_certificate_signed_by(const struct gh_certificate *certificate,
                              const struct gh_certificate *issuer)
{
    int strength = 0;
    EVP_PKEY *key = X509_get0_pubkey(issuer->native);
    bool is = key != NULL && X509_check_issued(issuer->native, certificate->native) == X509_V_OK &&
              X509_get_signature_info(certificate->native, NULL, NULL, &strength, NULL) == 1 &&
              strength >= SIGNATURE_STRENGTH_MIN && X509_verify(certificate->native, key) == 1;
    ERR_clear_error();
    return is;
}

bool gh_certificate_print_der(const struct gh_certificate *certificate, struct gh_buffer *out)
{
    unsigned char *der = NULL;
    int size = i2d_X509(certificate->native, &der);
    bool done = size > 0 && gh_buffer_put(out, gh_slice(der, (size_t)size));
    OPENSSL_free(der);
    return done;
}

bool gh_certificate_equal(const struct gh_certificate *a, const struct gh_certificate *b)
{
    return X509_cmp(a->native, b->native) == 0;
}

static bool check_registry(const struct gh_certificate *certificate, int64_t now_s,
                           struct gh_error *error)
{
    uint32_t flags = X509_get_extension_flags(certificate->native);
    if ((flags & EXFLAG_INVALID) != 0)
        return refuse(error, "an extension of the certificate is damaged");
    if ((flags & EXFLAG_BCONS) != 0 && (flags & EXFLAG_CA) == 0)
        return refuse(error, "the certificate says that it is no CA (CA:FALSE)");
    if ((flags & EXFLAG_KUSAGE) != 0 &&
        (X509_get_key_usage(certificate->native) & KU_KEY_CERT_SIGN) == 0)
        return refuse(error, "the certificate may not sign certificates (keyUsage)");
    if (certificate->not_after_s < now_s)
        return refuse(error, "the certificate has expired");

    struct gh_key *key = gh_certificate_key(certificate, error);
    bool sound = key != NULL && gh_key_sound(key, error);
    gh_key_close(key);
    return sound;
}

enum gh_error_code gh_key_check_registry_certificate(struct gh_slice pem, int64_t now_s,
                                                     struct gh_error *error)
{
    struct gh_certificate *certificate = gh_certificate_open(pem, error);
    bool good = certificate != NULL && check_registry(certificate, now_s, error);

    gh_certificate_close(certificate);
    return good ? GH_OK : GH_ERROR_INVALID;
}

/* Whether one of the registry's certificates signed it, and none of them is it. */
static bool check_issuers(const struct gh_certificate *certificate,
                          const struct gh_credential_offer *offer, struct gh_error *error)
{
    bool is_signed = false;

    for (size_t i = 0; i < offer->registry_certificates_count; i++) {
        struct gh_certificate *issuer = gh_certificate_open(offer->registry_certificates[i], error);
        if (issuer == NULL)
            return false;
        bool same = gh_certificate_equal(certificate, issuer);
        is_signed = is_signed || gh_certificate_signed_by(certificate, issuer);
        gh_certificate_close(issuer);
        if (same)
            return refuse(error, "the certificate is one of the registry's own");
    }
    return is_signed || refuse(error, "the certificate is signed by none of the registry's");
}

static bool check_offered_certificate(const struct gh_credential_offer *offer, int64_t now_s,
                                      struct gh_credential_facts *out, struct gh_error *error)
{
    struct gh_certificate *certificate = gh_certificate_open(offer->pem, error);
    bool good = certificate != NULL;

    if (good && certificate->not_after_s < now_s)
        good = refuse(error, "the certificate has expired");
    if (good && offer->registry_certificates_count > 0)
        good = check_issuers(certificate, offer, error);
    if (good)
        out->not_after_s = certificate->not_after_s;
    gh_certificate_close(certificate);
    return good;
}

static bool check_content(const struct gh_key *key, const struct gh_credential_offer *offer,
                          struct gh_error *error)
{
    if (offer->kind != GH_KEY_ANY && offer->kind != gh_key_kind(key))
        return refuse(error, offer->kind == GH_KEY_P256 ? "the format says P-256, the key is RSA"
                                                        : "the format says RSA, the key is P-256");
    if (offer->form != GH_KEY_FORM_ANY && offer->form != gh_key_form(key))
        return refuse(error, offer->form == GH_KEY_FORM_PUBLIC_KEY
                                 ? "the format says public key, this is a certificate"
                                 : "the format says certificate, this is a bare public key");
    if (offer->registry_certificates_count > 0 && gh_key_form(key) != GH_KEY_FORM_CERTIFICATE)
        return refuse(error, "the registry takes certificates only, signed by one of its own");
    return gh_key_sound(key, error);
}

enum gh_error_code gh_key_check_credential(const struct gh_credential_offer *offer, int64_t now_s,
                                           struct gh_credential_facts *out, struct gh_error *error)
{
    struct gh_credential_facts facts = {0};
    struct gh_key *key = gh_key_open(offer->pem, error);

    if (key == NULL)
        return GH_ERROR_INVALID;
    bool good = check_content(key, offer, error);
    if (good && gh_key_form(key) == GH_KEY_FORM_CERTIFICATE)
        good = check_offered_certificate(offer, now_s, &facts, error);
    facts.kind = gh_key_kind(key);
    facts.form = gh_key_form(key);
    facts.bits = gh_key_bits(key);
    enum gh_error_code result = good ? GH_OK : GH_ERROR_INVALID;
    if (good && !gh_key_fingerprint(key, facts.fingerprint))
        result = gh_error_set(error, GH_ERROR_MEMORY, "no memory for the key's fingerprint");
    if (result == GH_OK && out != NULL)
        *out = facts;
    gh_key_close(key);
    return result;
}
