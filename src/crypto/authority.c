#include "crypto/authority.h"
#include "base/secret.h"
#include "crypto/authority_internal.h"
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

enum {
    SERIAL_BYTES = 16,
    HOST_BYTES_MAX = 253, /* RFC 1035 §2.3.4, without the root's dot */
};

static enum gh_error_code broken(struct gh_error *error, const char *what)
{
    ERR_clear_error();
    return gh_error_set(error, GH_ERROR_INTERNAL, "OpenSSL cannot make the certificate: %s", what);
}

/* 128 random bits with the highest one clear (positive) and the next one set (never zero, one
 * length). */
static bool set_serial(X509 *certificate)
{
    uint8_t random[SERIAL_BYTES];
    gh_random(random, sizeof random);
    random[0] = (uint8_t)((random[0] & 0x3fu) | 0x40u);
    BIGNUM *number = BN_bin2bn(random, sizeof random, NULL);
    bool done =
        number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return done;
}

static bool set_validity(X509 *certificate, struct gh_validity validity)
{
    return ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)validity.from_s) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)validity.to_s) != NULL;
}

static bool set_subject(X509 *certificate, struct gh_slice name)
{
    return name.size == 0 ||
           X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                                      name.data, (int)name.size, -1, 0) == 1;
}

static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool done = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return done;
}

/* What each kind carries; the values are constants of ours, never text from outside. */
static const struct authority_extension root_template[] = {
    {NID_basic_constraints, "critical,CA:TRUE,pathlen:2"},
    {NID_key_usage, "critical,keyCertSign,cRLSign"},
    {NID_subject_key_identifier, "hash"},
};
static const struct authority_extension intermediate_template[] = {
    {NID_basic_constraints, "critical,CA:TRUE,pathlen:1"},
    {NID_key_usage, "critical,digitalSignature,keyCertSign,cRLSign"},
    {NID_ext_key_usage, "serverAuth,clientAuth"},
    {NID_subject_key_identifier, "hash"},
    {NID_authority_key_identifier, "keyid:always"},
};
static const struct authority_extension leaf_template[] = {
    {NID_basic_constraints, "critical,CA:FALSE"},
    {NID_key_usage, "critical,digitalSignature"},
    {NID_ext_key_usage, "serverAuth"},
    {NID_subject_key_identifier, "hash"},
    {NID_authority_key_identifier, "keyid:always"},
};

bool authority_extend(X509 *certificate, X509 *issuer, const struct authority_extension *rows,
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!add_extension(certificate, issuer, rows[i].nid, rows[i].value))
            return false;
    }
    return true;
}

bool authority_fill(X509 *made, X509 *issuer, struct gh_slice name, struct gh_validity validity,
                    EVP_PKEY *key)
{
    return X509_set_version(made, X509_VERSION_3) == 1 && set_serial(made) &&
           set_validity(made, validity) && set_subject(made, name) &&
           X509_set_issuer_name(made, X509_get_subject_name(issuer)) == 1 &&
           X509_set_pubkey(made, key) == 1;
}

static int write_certificate(BIO *bio, const void *certificate)
{
    return PEM_write_bio_X509(bio, certificate);
}

enum gh_error_code authority_finish(X509 *made, EVP_PKEY *key, struct gh_buffer *out,
                                    struct gh_error *error)
{
    if (X509_sign(made, key, EVP_sha256()) <= 0)
        return broken(error, "signature");
    return gh_bio_print(out, write_certificate, made)
               ? GH_OK
               : gh_error_set(error, GH_ERROR_MEMORY, "no room for the certificate's PEM");
}

struct gh_validity authority_cut(struct gh_validity asked, struct gh_validity outer)
{
    return (struct gh_validity){asked.from_s > outer.from_s ? asked.from_s : outer.from_s,
                                asked.to_s < outer.to_s ? asked.to_s : outer.to_s};
}

static bool name_valid(struct gh_slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] < 0x20 || name.data[i] == 0x7f)
            return false;
    }
    return name.size <= AUTHORITY_NAME_BYTES_MAX;
}

/* Appends the self-signed certificate of the root's template. */
static enum gh_error_code sign_root(struct gh_slice name, struct gh_validity validity,
                                    EVP_PKEY *key, struct gh_buffer *out, struct gh_error *error)
{
    X509 *root = X509_new();
    enum gh_error_code result = GH_OK;
    if (root == NULL || !authority_fill(root, root, name, validity, key) ||
        !authority_extend(root, root, root_template, GH_COUNT(root_template)))
        result = broken(error, "root");
    else
        result = authority_finish(root, key, out, error);
    X509_free(root);
    ERR_clear_error();
    return result;
}

static bool ca_name_valid(struct gh_slice name, struct gh_validity validity)
{
    return name.size > 0 && name_valid(name) && validity.from_s < validity.to_s;
}

enum gh_error_code gh_authority_create(struct gh_slice name, struct gh_validity validity,
                                       struct gh_buffer *key_pem, struct gh_buffer *certificate_pem,
                                       struct gh_error *error)
{
    if (!ca_name_valid(name, validity))
        return gh_error_set(error, GH_ERROR_INVALID,
                            "a root needs a name of 1 to 64 bytes and a validity that begins "
                            "before it ends");
    struct gh_private_key *key = gh_private_key_generate(GH_KEY_P256, error);
    if (key == NULL)
        return GH_ERROR_INTERNAL;
    enum gh_error_code result =
        sign_root(name, validity, gh_private_key_native(key), certificate_pem, error);
    if (result == GH_OK && !gh_private_key_print(key, key_pem))
        result = gh_error_set(error, GH_ERROR_MEMORY, "no room for the root's PEM");
    gh_private_key_close(key);
    return result;
}

struct gh_authority *gh_authority_open(struct gh_slice certificate_pem, struct gh_slice key_pem,
                                       struct gh_error *error)
{
    struct gh_certificate *certificate = gh_certificate_open(certificate_pem, error);
    struct gh_private_key *key = certificate == NULL ? NULL : gh_private_key_open(key_pem, error);
    struct gh_authority *authority = NULL;

    if (key == NULL)
        goto out;
    X509 *native = gh_certificate_native(certificate);
    if (X509_check_ca(native) != 1 ||
        X509_check_private_key(native, gh_private_key_native(key)) != 1) {
        (void)gh_error_set(error, GH_ERROR_INVALID,
                           "the CA certificate is no CA or its key is another one");
        goto out;
    }
    authority = calloc(1, sizeof *authority);
    if (authority == NULL) {
        (void)gh_error_set(error, GH_ERROR_MEMORY, "no memory for the authority");
        goto out;
    }
    authority->certificate = native;
    authority->key = gh_private_key_native(key);
    authority->validity = (struct gh_validity){gh_certificate_not_before_s(certificate),
                                               gh_certificate_not_after_s(certificate)};
    (void)X509_up_ref(native);
    (void)EVP_PKEY_up_ref(authority->key);
out:
    gh_private_key_close(key);
    gh_certificate_close(certificate);
    ERR_clear_error();
    return authority;
}

void gh_authority_close(struct gh_authority *authority)
{
    if (authority == NULL)
        return;
    X509_free(authority->certificate);
    EVP_PKEY_free(authority->key);
    free(authority);
}

struct gh_validity gh_authority_validity(const struct gh_authority *authority)
{
    return authority->validity;
}

bool authority_name(const struct gh_authority *authority, struct gh_buffer *out)
{
    struct gh_certificate *certificate = gh_certificate_adopt(authority->certificate);
    bool named = certificate != NULL && gh_certificate_print_common_name(certificate, out);
    gh_certificate_close(certificate);
    return named;
}

bool gh_authority_is_deep(const struct gh_authority *authority)
{
    long length = X509_get_pathlen(authority->certificate);
    return length < 0 || length >= 2; /* -1: no bound */
}

enum gh_error_code gh_authority_deepen(const struct gh_authority *root, struct gh_buffer *out,
                                       struct gh_error *error)
{
    uint8_t block[4 * AUTHORITY_NAME_BYTES_MAX];
    struct gh_buffer name = gh_buffer_fixed(block, sizeof block);
    return authority_name(root, &name)
               ? sign_root(gh_buffer_slice(&name), root->validity, root->key, out, error)
               : gh_error_set(error, GH_ERROR_INVALID, "the root has no name that can be kept");
}

enum gh_error_code gh_authority_certify(const struct gh_authority *root, struct gh_slice name,
                                        struct gh_slice public_key_pem, struct gh_validity validity,
                                        struct gh_buffer *out, struct gh_error *error)
{
    struct gh_validity inside = authority_cut(validity, root->validity);
    if (!ca_name_valid(name, inside))
        return gh_error_set(error, GH_ERROR_INVALID,
                            "an intermediate CA needs a name of 1 to 64 bytes and a time in which "
                            "the root is valid");
    struct gh_key *key = gh_key_open(public_key_pem, error);
    if (key == NULL)
        return GH_ERROR_INVALID;
    X509 *made = X509_new();
    enum gh_error_code result = GH_OK;
    if (made == NULL ||
        !authority_fill(made, root->certificate, name, inside, gh_key_native(key)) ||
        !authority_extend(made, root->certificate, intermediate_template,
                          GH_COUNT(intermediate_template)))
        result = broken(error, "intermediate CA");
    else
        result = authority_finish(made, root->key, out, error);
    X509_free(made);
    gh_key_close(key);
    ERR_clear_error();
    return result;
}

/* Letters, digits and inner hyphens in labels of 1 to 63, joined by dots (RFC 1123 §2.1); one "*"
 * may be the first label. */
static bool host_valid(struct gh_slice name)
{
    if (name.size == 0 || name.size > HOST_BYTES_MAX || name.data[name.size - 1] == '.')
        return false;
    struct gh_slice rest = name;
    for (bool first = true; rest.size > 0; first = false) {
        struct gh_slice label = gh_slice_split(&rest, '.');
        if (first && rest.size > 0 && gh_slice_equal(label, GH_SLICE("*")))
            continue;
        if (label.size == 0 || label.size > 63 || label.data[0] == '-' ||
            label.data[label.size - 1] == '-')
            return false;
        for (size_t i = 0; i < label.size; i++) {
            uint8_t byte = label.data[i];
            if (!(byte >= 'a' && byte <= 'z') && !(byte >= 'A' && byte <= 'Z') &&
                !(byte >= '0' && byte <= '9') && byte != '-')
                return false;
        }
    }
    return true;
}

/* An address into 4 or 16 bytes; 0 when it is none. */
static size_t to_address(struct gh_slice text, uint8_t out[16])
{
    char copy[INET6_ADDRSTRLEN];
    if (text.size >= sizeof copy)
        return 0;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (inet_pton(AF_INET, copy, out) == 1)
        return 4;
    return inet_pton(AF_INET6, copy, out) == 1 ? 16 : 0;
}

static GENERAL_NAME *to_general_name(struct gh_slice text)
{
    uint8_t address[16];
    size_t size = text.size == 0 ? 0 : to_address(text, address);
    if (size == 0 && !host_valid(text))
        return NULL;
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *value = size > 0 ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    bool done = name != NULL && value != NULL &&
                ASN1_STRING_set(value, size > 0 ? address : text.data,
                                (int)(size > 0 ? size : text.size)) == 1;
    if (!done) {
        GENERAL_NAME_free(name);
        ASN1_STRING_free(value);
        return NULL;
    }
    GENERAL_NAME_set0_value(name, size > 0 ? GEN_IPADD : GEN_DNS, value);
    return name;
}

/* The names as values, not as text of OpenSSL's configuration language, in which a name could say
 * more than it should. */
static enum gh_error_code add_names(X509 *certificate, const struct gh_leaf *leaf,
                                    struct gh_error *error)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    enum gh_error_code result = names == NULL ? GH_ERROR_MEMORY : GH_OK;

    for (size_t i = 0; result == GH_OK && i < leaf->names_count; i++) {
        GENERAL_NAME *name = to_general_name(leaf->names[i]);
        if (name == NULL) {
            result = gh_error_set(error, GH_ERROR_INVALID,
                                  "\"%.*s\" is neither a host name nor an address",
                                  GH_PRINT(gh_slice_sub(leaf->names[i], 0, HOST_BYTES_MAX)));
        } else if (sk_GENERAL_NAME_push(names, name) <= 0) {
            GENERAL_NAME_free(name);
            result = GH_ERROR_MEMORY;
        }
    }
    /* Critical when the subject is empty (RFC 5280 §4.2.1.6). */
    int critical = leaf->common_name.size == 0;
    if (result == GH_OK && X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, critical,
                                             X509V3_ADD_DEFAULT) != 1)
        result = broken(error, "names");
    if (result == GH_ERROR_MEMORY)
        (void)gh_error_set(error, result, "no memory for the certificate's names");
    GENERAL_NAMES_free(names);
    return result;
}

static enum gh_error_code check_leaf(const struct gh_authority *authority,
                                     const struct gh_leaf *leaf, struct gh_error *error)
{
    struct gh_validity asked = leaf->validity, outer = authority->validity;

    if (leaf->names_count == 0 || leaf->names_count > GH_AUTHORITY_NAMES_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "a leaf needs 1 to %d names",
                            GH_AUTHORITY_NAMES_MAX);
    if (!name_valid(leaf->common_name))
        return gh_error_set(error, GH_ERROR_INVALID,
                            "a common name has at most 64 bytes and no control characters");
    if (asked.from_s >= asked.to_s || asked.from_s < outer.from_s || asked.to_s > outer.to_s)
        return gh_error_set(error, GH_ERROR_INVALID,
                            "the leaf's validity is empty or not inside its issuer's");
    return GH_OK;
}

enum gh_error_code gh_authority_issue(const struct gh_authority *authority,
                                      const struct gh_leaf *leaf, struct gh_buffer *out,
                                      struct gh_error *error)
{
    enum gh_error_code result = check_leaf(authority, leaf, error);
    if (result != GH_OK)
        return result;
    struct gh_key *key = gh_key_open(leaf->public_key_pem, error);
    if (key == NULL)
        return GH_ERROR_INVALID;
    X509 *made = X509_new();

    if (made == NULL ||
        !authority_fill(made, authority->certificate, leaf->common_name, leaf->validity,
                        gh_key_native(key)) ||
        !authority_extend(made, authority->certificate, leaf_template, GH_COUNT(leaf_template)))
        result = broken(error, "leaf");
    if (result == GH_OK)
        result = add_names(made, leaf, error);
    if (result == GH_OK)
        result = authority_finish(made, authority->key, out, error);
    X509_free(made);
    gh_key_close(key);
    ERR_clear_error();
    return result;
}
