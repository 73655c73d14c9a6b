#include "crypto/crl.h"
#include "crypto/openssl_internal.h"
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <time.h>

struct gh_crl {
    X509_CRL *native;
    ASN1_INTEGER *number;
    int64_t this_update_s, next_update_s;
};

static X509_CRL *read_native(struct gh_slice bytes)
{
    const unsigned char *at = bytes.data;
    X509_CRL *native = NULL;
    if (bytes.size == 0 || bytes.size > GH_CRL_BYTES_MAX)
        return NULL;
    if (bytes.data[0] == 0x30) {
        native = d2i_X509_CRL(NULL, &at, (long)bytes.size);
        if (native != NULL && at == bytes.data + bytes.size)
            return native;
        X509_CRL_free(native);
        return NULL;
    }
    BIO *bio = BIO_new_mem_buf(bytes.data, (int)bytes.size);
    native = bio == NULL ? NULL : PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return native;
}

/* NULL, or why the list is not one that is read here. */
static const char *refused(struct gh_crl *crl)
{
    X509_CRL *native = crl->native;
    if (X509_CRL_get_version(native) != X509_CRL_VERSION_2)
        return "the list is not of version 2";
    if (!gh_time_read(X509_CRL_get0_lastUpdate(native), &crl->this_update_s) ||
        !gh_time_read(X509_CRL_get0_nextUpdate(native), &crl->next_update_s))
        return "the list does not say until when it holds (nextUpdate)";
    crl->number = X509_CRL_get_ext_d2i(native, NID_crl_number, NULL, NULL);
    if (crl->number == NULL)
        return "the list has no number (crlNumber)";
    for (int i = 0; i < X509_CRL_get_ext_count(native); i++)
        if (X509_EXTENSION_get_critical(X509_CRL_get_ext(native, i)))
            return "the list has a critical extension: it is a delta, indirect or of a part only";
    return NULL;
}

struct gh_crl *gh_crl_open(struct gh_slice bytes, struct gh_error *error)
{
    struct gh_crl *crl = calloc(1, sizeof *crl);
    const char *why = "the list is damaged, or larger than 10 MiB";
    if (crl == NULL) {
        (void)gh_error_set(error, GH_ERROR_MEMORY, "no memory for a revocation list");
        return NULL;
    }
    crl->native = read_native(bytes);
    if (crl->native != NULL)
        why = refused(crl);
    ERR_clear_error();
    if (why == NULL) {
        /* OpenSSL sorts the entries at the first look-up: done now, later threads only look. */
        X509_REVOKED *found;
        ASN1_INTEGER *zero = ASN1_INTEGER_new();
        if (zero != NULL)
            (void)X509_CRL_get0_by_serial(crl->native, &found, zero);
        ASN1_INTEGER_free(zero);
        return crl;
    }
    (void)gh_error_set(error, GH_ERROR_INVALID, "%s", why);
    gh_crl_close(crl);
    return NULL;
}

void gh_crl_close(struct gh_crl *crl)
{
    if (crl == NULL)
        return;
    X509_CRL_free(crl->native);
    ASN1_INTEGER_free(crl->number);
    free(crl);
}

bool gh_crl_named_by(const struct gh_crl *crl, const struct gh_certificate *issuer)
{
    return X509_NAME_cmp(X509_CRL_get_issuer(crl->native),
                         X509_get_subject_name(gh_certificate_native(issuer))) == 0;
}

bool gh_crl_signed_by(const struct gh_crl *crl, const struct gh_certificate *issuer)
{
    X509 *native = gh_certificate_native(issuer);
    EVP_PKEY *key = X509_get0_pubkey(native);
    bool may = (X509_get_extension_flags(native) & EXFLAG_KUSAGE) == 0 ||
               (X509_get_key_usage(native) & KU_CRL_SIGN) != 0;
    bool is = may && key != NULL && gh_crl_named_by(crl, issuer) &&
              X509_CRL_verify(crl->native, key) == 1;
    ERR_clear_error();
    return is;
}

/* 1: revoked; 2 is "removed from the list" (RFC 5280 §5.3.1). */
bool gh_crl_lists(const struct gh_crl *crl, const struct gh_certificate *certificate)
{
    X509_REVOKED *found;
    X509 *native = gh_certificate_native(certificate);
    return X509_CRL_get0_by_serial(crl->native, &found, X509_get_serialNumber(native)) == 1;
}

bool gh_crl_lists_serial(const struct gh_crl *crl, struct gh_slice serial_hex)
{
    char text[64];
    BIGNUM *number = NULL;
    X509_REVOKED *found;
    bool is = false;
    if (serial_hex.size == 0 || serial_hex.size >= sizeof text)
        return false;
    for (size_t i = 0; i < serial_hex.size; i++)
        text[i] = (char)serial_hex.data[i];
    text[serial_hex.size] = '\0';
    if (BN_hex2bn(&number, text) == (int)serial_hex.size) {
        ASN1_INTEGER *serial = BN_to_ASN1_INTEGER(number, NULL);
        is = serial != NULL && X509_CRL_get0_by_serial(crl->native, &found, serial) == 1;
        ASN1_INTEGER_free(serial);
    }
    BN_free(number);
    ERR_clear_error();
    return is;
}

int64_t gh_crl_this_update_s(const struct gh_crl *crl)
{
    return crl->this_update_s;
}

int64_t gh_crl_next_update_s(const struct gh_crl *crl)
{
    return crl->next_update_s;
}

size_t gh_crl_count(const struct gh_crl *crl)
{
    int count = sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl->native));
    return count < 0 ? 0 : (size_t)count;
}

int64_t gh_crl_number(const struct gh_crl *crl)
{
    int64_t number;
    bool fits = ASN1_INTEGER_get_int64(&number, crl->number) == 1;
    ERR_clear_error();
    return fits ? number : INT64_MAX;
}

bool gh_crl_entry(const struct gh_crl *crl, size_t index, struct gh_crl_entry *out)
{
    enum { REMOVE_FROM_CRL = 8 };
    X509_REVOKED *entry = sk_X509_REVOKED_value(X509_CRL_get_REVOKED(crl->native), (int)index);
    struct gh_buffer serial = gh_buffer_fixed(out->serial, sizeof out->serial - 1);
    ASN1_ENUMERATED *reason = X509_REVOKED_get_ext_d2i(entry, NID_crl_reason, NULL, NULL);
    out->reason = reason == NULL ? 0 : (int)ASN1_ENUMERATED_get(reason);
    ASN1_ENUMERATED_free(reason);
    bool good = gh_serial_print(X509_REVOKED_get0_serialNumber(entry), &serial) &&
                gh_time_read(X509_REVOKED_get0_revocationDate(entry), &out->at_s) &&
                out->reason != REMOVE_FROM_CRL;
    out->serial[serial.size] = '\0';
    ERR_clear_error();
    return good;
}
