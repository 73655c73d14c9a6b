#include "crypto/issuer.h"
#include "base/secret.h"
#include "crypto/authority_internal.h"
#include <assert.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

enum {
    NONCE_BYTES = 12,
    TAG_BYTES = 16,
    KEY_PEM_MAX = 1024,
    SERIAL_HEX_MAX = 41,
    URI_BYTES_MAX = 1024
};

static enum gh_error_code broken(struct gh_error *error, const char *what)
{
    ERR_clear_error();
    return gh_error_set(error, GH_ERROR_INTERNAL, "OpenSSL cannot make the %s", what);
}

/* --- sealing --- */

bool gh_issuer_key_of_root(const struct gh_authority *root, uint8_t out[GH_ISSUER_KEY_BYTES])
{
    static_assert((int)GH_ISSUER_KEY_BYTES == (int)GH_SHA256_BYTES, "the key is an HMAC");
    unsigned char *der = NULL;
    int size = i2d_PrivateKey(root->key, &der);
    if (size > 0)
        gh_hmac_sha256(gh_slice(der, (size_t)size), GH_SLICE("gatehouse issuing keys, 1"), out);
    OPENSSL_clear_free(der, size > 0 ? (size_t)size : 0);
    return size > 0;
}

/* AES-256-GCM over `in`; `tag` is written or compared. */
static bool run_gcm(bool seals, const uint8_t key[GH_SHA256_BYTES], const uint8_t *nonce,
                    struct gh_slice extra, struct gh_slice in, uint8_t *out, uint8_t *tag)
{
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    int size = 0, rest = 0;
    bool done = cipher != NULL &&
                EVP_CipherInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, nonce, seals) == 1 &&
                EVP_CipherUpdate(cipher, NULL, &size, extra.data, (int)extra.size) == 1 &&
                EVP_CipherUpdate(cipher, out, &size, in.data, (int)in.size) == 1 &&
                (seals || EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1) &&
                EVP_CipherFinal_ex(cipher, out + size, &rest) == 1 &&
                (!seals || EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, tag) == 1);
    EVP_CIPHER_CTX_free(cipher);
    ERR_clear_error();
    return done;
}

static bool seal(const uint8_t key[GH_ISSUER_KEY_BYTES], struct gh_slice certificate_pem,
                 struct gh_slice plain, struct gh_buffer *out)
{
    uint8_t nonce[NONCE_BYTES], tag[TAG_BYTES], text[KEY_PEM_MAX];
    gh_random(nonce, sizeof nonce);
    return plain.size <= sizeof text &&
           run_gcm(true, key, nonce, certificate_pem, plain, text, tag) &&
           gh_buffer_put(out, gh_slice(nonce, sizeof nonce)) &&
           gh_buffer_put(out, gh_slice(tag, sizeof tag)) &&
           gh_buffer_put(out, gh_slice(text, plain.size));
}

struct gh_authority *gh_issuer_open(const uint8_t key[GH_ISSUER_KEY_BYTES],
                                    struct gh_slice certificate_pem, struct gh_slice sealed_key,
                                    struct gh_error *error)
{
    uint8_t tag[TAG_BYTES], plain[KEY_PEM_MAX];
    struct gh_authority *issuer = NULL;
    struct gh_slice text = gh_slice_sub(sealed_key, NONCE_BYTES + TAG_BYTES, sealed_key.size);
    bool opened = text.size > 0 && text.size <= sizeof plain;
    if (opened) {
        memcpy(tag, sealed_key.data + NONCE_BYTES, TAG_BYTES);
        opened = run_gcm(false, key, sealed_key.data, certificate_pem, text, plain, tag);
    }
    if (opened)
        issuer = gh_authority_open(certificate_pem, gh_slice(plain, text.size), error);
    else
        (void)gh_error_set(error, GH_ERROR_INVALID,
                           "the issuing CA's key cannot be opened with the keyring of this server");
    gh_secret_wipe(plain, sizeof plain);
    return issuer;
}

/* --- the issuing CA --- */

static const struct authority_extension issuer_template[] = {
    {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
    {NID_key_usage, "critical,keyCertSign,cRLSign"},
    {NID_ext_key_usage, "clientAuth"},
    {NID_subject_key_identifier, "hash"},
    {NID_authority_key_identifier, "keyid:always"},
};

static bool push_excluded(NAME_CONSTRAINTS *constraints, int kind, struct gh_slice value)
{
    GENERAL_SUBTREE *tree = GENERAL_SUBTREE_new();
    ASN1_STRING *text = kind == GEN_IPADD ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    bool done =
        tree != NULL && text != NULL && ASN1_STRING_set(text, value.data, (int)value.size) == 1;
    if (done) {
        GENERAL_NAME_set0_value(tree->base, kind, text);
        text = NULL;
        done = sk_GENERAL_SUBTREE_push(constraints->excludedSubtrees, tree) > 0;
    }
    if (!done)
        GENERAL_SUBTREE_free(tree);
    ASN1_STRING_free(text);
    return done;
}

/* No host, no address: whatever the key signs, no device takes it for a server. */
static bool exclude_servers(X509 *certificate)
{
    static const uint8_t zeros[32] = {0};
    NAME_CONSTRAINTS *constraints = NAME_CONSTRAINTS_new();
    bool done = constraints != NULL &&
                (constraints->excludedSubtrees = sk_GENERAL_SUBTREE_new_null()) != NULL &&
                push_excluded(constraints, GEN_DNS, GH_SLICE("")) &&
                push_excluded(constraints, GEN_IPADD, gh_slice(zeros, 8)) &&
                push_excluded(constraints, GEN_IPADD, gh_slice(zeros, 32)) &&
                X509_add1_ext_i2d(certificate, NID_name_constraints, constraints, 1,
                                  X509V3_ADD_DEFAULT) == 1;
    NAME_CONSTRAINTS_free(constraints);
    return done;
}

static enum gh_error_code create(const struct gh_authority *parent, struct gh_slice name,
                                 struct gh_validity validity, EVP_PKEY *key,
                                 struct gh_buffer *certificate_pem, struct gh_error *error)
{
    X509 *made = X509_new();
    enum gh_error_code result = GH_OK;
    if (made == NULL ||
        !authority_fill(made, parent->certificate, name, authority_cut(validity, parent->validity),
                        key) ||
        !authority_extend(made, parent->certificate, issuer_template, GH_COUNT(issuer_template)) ||
        !exclude_servers(made))
        result = broken(error, "issuing CA");
    else
        result = authority_finish(made, parent->key, certificate_pem, error);
    X509_free(made);
    ERR_clear_error();
    return result;
}

/* The certificate over this key, and the key sealed for it. */
static enum gh_error_code create_over(const struct gh_issuer_parent *parent,
                                      const struct gh_private_key *key, struct gh_slice name,
                                      struct gh_validity validity,
                                      struct gh_buffer *certificate_pem,
                                      struct gh_buffer *sealed_key, struct gh_error *error)
{
    uint8_t block[KEY_PEM_MAX];
    struct gh_buffer plain = gh_buffer_fixed(block, sizeof block);
    enum gh_error_code result = create(parent->authority, name, validity,
                                       gh_private_key_native(key), certificate_pem, error);
    if (result == GH_OK && (!gh_private_key_print(key, &plain) ||
                            !seal(parent->sealing_key, gh_buffer_slice(certificate_pem),
                                  gh_buffer_slice(&plain), sealed_key)))
        result = gh_error_set(error, GH_ERROR_MEMORY, "the CA's key cannot be sealed");
    gh_secret_wipe(block, sizeof block);
    return result;
}

enum gh_error_code gh_issuer_create(const struct gh_issuer_parent *parent, struct gh_slice name,
                                    struct gh_validity validity, struct gh_buffer *certificate_pem,
                                    struct gh_buffer *sealed_key, struct gh_error *error)
{
    struct gh_private_key *key = gh_private_key_generate(GH_KEY_P256, error);
    if (key == NULL)
        return GH_ERROR_INTERNAL;
    enum gh_error_code result =
        create_over(parent, key, name, validity, certificate_pem, sealed_key, error);
    gh_private_key_close(key);
    return result;
}

enum gh_error_code gh_issuer_renew(const struct gh_issuer_parent *parent,
                                   const struct gh_authority *issuer, struct gh_validity validity,
                                   struct gh_buffer *certificate_pem, struct gh_buffer *sealed_key,
                                   struct gh_error *error)
{
    uint8_t block[4 * AUTHORITY_NAME_BYTES_MAX];
    struct gh_buffer name = gh_buffer_fixed(block, sizeof block);
    (void)EVP_PKEY_up_ref(issuer->key);
    struct gh_private_key *key = gh_private_key_adopt(issuer->key, error);
    if (key == NULL)
        return GH_ERROR_INTERNAL;
    enum gh_error_code result =
        authority_name(issuer, &name)
            ? create_over(parent, key, gh_buffer_slice(&name), validity, certificate_pem,
                          sealed_key, error)
            : gh_error_set(error, GH_ERROR_INVALID, "the CA has no name that can be kept");
    gh_private_key_close(key);
    return result;
}

/* --- leaves --- */

static const struct authority_extension device_template[] = {
    {NID_basic_constraints, "critical,CA:FALSE"},
    {NID_key_usage, "critical,digitalSignature"},
    {NID_ext_key_usage, "clientAuth"},
    {NID_subject_key_identifier, "hash"},
    {NID_authority_key_identifier, "keyid:always"},
};

/* The URI made of both texts; false without memory. */
static bool set_uri(GENERAL_NAME *name, struct gh_slice place, const char *rest)
{
    ASN1_STRING *value = ASN1_IA5STRING_new();
    uint8_t block[URI_BYTES_MAX];
    struct gh_buffer uri = gh_buffer_fixed(block, sizeof block);
    bool done = value != NULL && gh_buffer_put(&uri, place) &&
                gh_buffer_put(&uri, gh_slice_text(rest)) &&
                ASN1_STRING_set(value, uri.data, (int)uri.size) == 1;
    if (done)
        GENERAL_NAME_set0_value(name, GEN_URI, value);
    else
        ASN1_STRING_free(value);
    return done;
}

/* One name; NULL without memory. */
static GENERAL_NAMES *uri_alone(struct gh_slice place, const char *rest)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    if (names != NULL && name != NULL && set_uri(name, place, rest) &&
        sk_GENERAL_NAME_push(names, name) > 0)
        return names;
    GENERAL_NAME_free(name);
    GENERAL_NAMES_free(names);
    return NULL;
}

static bool add_uri(X509 *made, struct gh_slice uri)
{
    GENERAL_NAMES *names = uri_alone(uri, "");
    bool done = names != NULL &&
                X509_add1_ext_i2d(made, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
    GENERAL_NAMES_free(names);
    return done;
}

static bool push_access(AUTHORITY_INFO_ACCESS *list, int method, struct gh_slice pki,
                        const char *rest)
{
    ACCESS_DESCRIPTION *row = ACCESS_DESCRIPTION_new();
    if (row != NULL && set_uri(row->location, pki, rest)) {
        ASN1_OBJECT_free(row->method);
        row->method = OBJ_nid2obj(method);
        if (sk_ACCESS_DESCRIPTION_push(list, row) > 0)
            return true;
    }
    ACCESS_DESCRIPTION_free(row);
    return false;
}

/* Where the issuer and the status of the leaf are found (RFC 5280 §4.2.2.1). */
static bool add_access(X509 *made, struct gh_slice pki)
{
    AUTHORITY_INFO_ACCESS *list = AUTHORITY_INFO_ACCESS_new();
    bool done = list != NULL && push_access(list, NID_ad_OCSP, pki, "/ocsp") &&
                push_access(list, NID_ad_ca_issuers, pki, "/ca.cer") &&
                X509_add1_ext_i2d(made, NID_info_access, list, 0, X509V3_ADD_DEFAULT) == 1;
    AUTHORITY_INFO_ACCESS_free(list);
    return done;
}

/* NULL without memory. */
static DIST_POINT *list_place(struct gh_slice pki)
{
    DIST_POINT *point = DIST_POINT_new();
    DIST_POINT_NAME *name = DIST_POINT_NAME_new();
    GENERAL_NAMES *place = uri_alone(pki, "/ca.crl");
    if (point == NULL || name == NULL || place == NULL) {
        DIST_POINT_free(point);
        DIST_POINT_NAME_free(name);
        GENERAL_NAMES_free(place);
        return NULL;
    }
    name->type = 0; /* a full name, not one below the issuer's */
    name->name.fullname = place;
    point->distpoint = name;
    return point;
}

/* Where the issuer's list is found (RFC 5280 §4.2.1.13). */
static bool add_list_place(X509 *made, struct gh_slice pki)
{
    CRL_DIST_POINTS *points = CRL_DIST_POINTS_new();
    DIST_POINT *point = list_place(pki);
    bool done = points != NULL && point != NULL && sk_DIST_POINT_push(points, point) > 0;
    if (!done)
        DIST_POINT_free(point);
    done = done &&
           X509_add1_ext_i2d(made, NID_crl_distribution_points, points, 0, X509V3_ADD_DEFAULT) == 1;
    CRL_DIST_POINTS_free(points);
    return done;
}

enum gh_error_code gh_issuer_issue(const struct gh_authority *issuer,
                                   const struct gh_device_leaf *leaf, struct gh_buffer *out,
                                   struct gh_error *error)
{
    /* A longer id (RFC 5280 A.1) stands in the URI alone; so does one with a dot, which verifiers
     * take for a host name, and the issuing CA is forbidden those. */
    enum { NAME_BYTES_MAX = 64 };
    struct gh_validity validity = authority_cut(leaf->validity, issuer->validity);
    struct gh_slice id = leaf->common_name;
    bool fits = id.size <= NAME_BYTES_MAX && gh_slice_find(id, '.') == id.size;
    struct gh_slice name = fits ? id : GH_SLICE("device");
    if (leaf->uri.size == 0 || validity.from_s >= validity.to_s)
        return gh_error_set(error, GH_ERROR_INVALID,
                            "the certificate has no name, or the issuing CA has expired");
    struct gh_key *key = gh_key_open(leaf->public_key_pem, error);
    if (key == NULL)
        return GH_ERROR_INVALID;
    X509 *made = X509_new();
    enum gh_error_code result = GH_OK;
    if (made == NULL ||
        !authority_fill(made, issuer->certificate, name, validity, gh_key_native(key)) ||
        !authority_extend(made, issuer->certificate, device_template, GH_COUNT(device_template)) ||
        !add_uri(made, leaf->uri) ||
        (leaf->pki.size > 0 && (!add_access(made, leaf->pki) || !add_list_place(made, leaf->pki))))
        result = broken(error, "certificate");
    else
        result = authority_finish(made, issuer->key, out, error);
    X509_free(made);
    gh_key_close(key);
    ERR_clear_error();
    return result;
}

/* --- the list --- */

static ASN1_INTEGER *to_serial(struct gh_slice hex)
{
    char text[SERIAL_HEX_MAX];
    BIGNUM *number = NULL;
    if (hex.size == 0 || hex.size >= sizeof text)
        return NULL;
    memcpy(text, hex.data, hex.size);
    text[hex.size] = '\0';
    ASN1_INTEGER *serial =
        BN_hex2bn(&number, text) == (int)hex.size ? BN_to_ASN1_INTEGER(number, NULL) : NULL;
    BN_free(number);
    return serial;
}

static bool add_entry(X509_CRL *list, const struct gh_revoked *row)
{
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_INTEGER *serial = to_serial(row->serial);
    ASN1_TIME *at = ASN1_TIME_set(NULL, (time_t)row->at_s);
    ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();
    bool done = entry != NULL && serial != NULL && at != NULL && reason != NULL &&
                X509_REVOKED_set_serialNumber(entry, serial) == 1 &&
                X509_REVOKED_set_revocationDate(entry, at) == 1;
    if (done && row->reason != 0)
        done = ASN1_ENUMERATED_set(reason, row->reason) == 1 &&
               X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, reason, 0, 0) == 1;
    done = done && X509_CRL_add0_revoked(list, entry) == 1;
    if (!done)
        X509_REVOKED_free(entry);
    ASN1_INTEGER_free(serial);
    ASN1_TIME_free(at);
    ASN1_ENUMERATED_free(reason);
    return done;
}

static bool set_times(X509_CRL *list, struct gh_validity validity)
{
    ASN1_TIME *from = ASN1_TIME_set(NULL, (time_t)validity.from_s),
              *to = ASN1_TIME_set(NULL, (time_t)validity.to_s);
    bool done = from != NULL && to != NULL && X509_CRL_set1_lastUpdate(list, from) == 1 &&
                X509_CRL_set1_nextUpdate(list, to) == 1;
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    return done;
}

static bool set_number(X509_CRL *list, X509 *issuer, int64_t number)
{
    ASN1_INTEGER *value = ASN1_INTEGER_new();
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, NULL, NULL, list, 0);
    X509_EXTENSION *key =
        X509V3_EXT_conf_nid(NULL, &context, NID_authority_key_identifier, "keyid:always");
    bool done = value != NULL && key != NULL && ASN1_INTEGER_set_int64(value, number) == 1 &&
                X509_CRL_add1_ext_i2d(list, NID_crl_number, value, 0, 0) == 1 &&
                X509_CRL_add_ext(list, key, -1) == 1;
    X509_EXTENSION_free(key);
    ASN1_INTEGER_free(value);
    return done;
}

enum gh_error_code gh_issuer_crl(const struct gh_authority *issuer, int64_t number,
                                 struct gh_validity validity, const struct gh_revoked *revoked,
                                 size_t count, struct gh_buffer *out, struct gh_error *error)
{
    if (count > GH_ISSUER_REVOKED_MAX)
        return gh_error_set(error, GH_ERROR_LIMIT, "a revocation list has at most %d entries",
                            GH_ISSUER_REVOKED_MAX);
    X509_CRL *list = X509_CRL_new();
    unsigned char *der = NULL;
    bool made = list != NULL && X509_CRL_set_version(list, X509_CRL_VERSION_2) == 1 &&
                X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer->certificate)) == 1 &&
                set_times(list, validity) && set_number(list, issuer->certificate, number);
    for (size_t i = 0; made && i < count; i++)
        made = add_entry(list, &revoked[i]);
    made = made && X509_CRL_sort(list) == 1 && X509_CRL_sign(list, issuer->key, EVP_sha256()) > 0;
    int size = made ? i2d_X509_CRL(list, &der) : 0;
    enum gh_error_code result = size <= 0 ? broken(error, "revocation list")
                                : gh_buffer_put(out, gh_slice(der, (size_t)size))
                                    ? GH_OK
                                    : gh_error_set(error, GH_ERROR_MEMORY, "no room for the list");
    OPENSSL_free(der);
    X509_CRL_free(list);
    ERR_clear_error();
    return result;
}
