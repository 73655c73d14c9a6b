#include "crypto/enrol.h"
#include "crypto/openssl_internal.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>

static int write_public(BIO *bio, const void *key)
{
    return PEM_write_bio_PUBKEY(bio, (EVP_PKEY *)(uintptr_t)key);
}

static bool put_common_name(const X509_REQ *request, struct gh_buffer *out)
{
    const X509_NAME *subject = X509_REQ_get_subject_name(request);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    unsigned char *text = NULL;
    if (at < 0)
        return true;
    int size =
        ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    bool done = size >= 0 && gh_buffer_put(out, gh_slice(text, (size_t)size));
    OPENSSL_free(text);
    return done;
}

static const char *read_request(const X509_REQ *request, struct gh_buffer *public_key_pem,
                                struct gh_buffer *common_name)
{
    EVP_PKEY *key = X509_REQ_get0_pubkey((X509_REQ *)(uintptr_t)request);
    if (key == NULL || X509_REQ_verify((X509_REQ *)(uintptr_t)request, key) != 1)
        return "the request is not signed by its own key";
    if (!gh_bio_print(public_key_pem, write_public, key))
        return "the request's key cannot be read";
    if (!put_common_name(request, common_name))
        return "the request's common name cannot be read";
    return NULL;
}

enum gh_error_code gh_enrol_read(struct gh_slice der, struct gh_buffer *public_key_pem,
                                 struct gh_buffer *common_name, struct gh_error *error)
{
    const unsigned char *at = der.data;
    X509_REQ *request = der.size == 0 || der.size > GH_ENROL_REQUEST_MAX
                            ? NULL
                            : d2i_X509_REQ(NULL, &at, (long)der.size);
    const char *why = request == NULL || at != der.data + der.size
                          ? "the body is not a certification request (PKCS #10)"
                          : read_request(request, public_key_pem, common_name);
    X509_REQ_free(request);
    ERR_clear_error();
    if (why != NULL)
        return gh_error_set(error, GH_ERROR_INVALID, "%s", why);
    struct gh_key *key = gh_key_open(gh_buffer_slice(public_key_pem), error);
    bool sound = key != NULL && gh_key_sound(key, error);
    gh_key_close(key);
    return sound ? GH_OK : GH_ERROR_INVALID;
}

enum gh_error_code gh_enrol_write(const struct gh_slice *certificates, size_t count,
                                  struct gh_buffer *out, struct gh_error *error)
{
    PKCS7 *bag = PKCS7_new();
    unsigned char *der = NULL;
    bool made = bag != NULL && PKCS7_set_type(bag, NID_pkcs7_signed) == 1 &&
                PKCS7_content_new(bag, NID_pkcs7_data) == 1 && PKCS7_set_detached(bag, 1) == 1;
    for (size_t i = 0; made && i < count; i++) {
        struct gh_certificate *one = gh_certificate_open(certificates[i], error);
        made = one != NULL && PKCS7_add_certificate(bag, gh_certificate_native(one)) == 1;
        gh_certificate_close(one);
    }
    int size = made ? i2d_PKCS7(bag, &der) : 0;
    bool done = size > 0 && gh_buffer_put(out, gh_slice(der, (size_t)size));
    OPENSSL_free(der);
    PKCS7_free(bag);
    ERR_clear_error();
    return done ? GH_OK : gh_error_set(error, GH_ERROR_MEMORY, "the certificates cannot be packed");
}
