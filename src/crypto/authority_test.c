/* The authority and the certificates that it makes; crypto/certificate.h is tested here too, as it
 * needs somebody who issues. */
#include "crypto/authority.h"
#include "crypto/certificate.h"
#include "tests/check.h"
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

enum { PEM_MAX = 4096 };
#define NOW INT64_C(1800000000)
#define DAY INT64_C(86400)

struct pem {
    uint8_t block[PEM_MAX];
    struct gh_buffer text;
};

static void pem_init(struct pem *pem)
{
    pem->text = gh_buffer_fixed(pem->block, sizeof pem->block);
}

static struct gh_slice of(const struct pem *pem)
{
    return gh_buffer_slice(&pem->text);
}

/* A root with its key, and a leaf of it for a fresh key, by name and time. */
struct family {
    struct pem root_key, root, leaf_key, leaf;
    struct gh_authority *authority;
};

static void make_public(enum gh_key_kind kind, struct pem *out)
{
    struct gh_private_key *key = gh_private_key_generate(kind, NULL);
    REQUIRE("a key for the leaf", key != NULL);
    pem_init(out);
    REQUIRE("its public half", gh_private_key_print_public(key, &out->text));
    gh_private_key_close(key);
}

static enum gh_error_code issue(const struct family *family, const struct gh_slice *names,
                                size_t count, struct gh_validity validity, struct pem *out,
                                struct gh_error *error)
{
    struct gh_leaf leaf = {.common_name = GH_SLICE("localhost"),
                           .public_key_pem = of(&family->leaf_key),
                           .names = names,
                           .names_count = count,
                           .validity = validity};
    pem_init(out);
    return gh_authority_issue(family->authority, &leaf, &out->text, error);
}

static void family_open(struct family *family, const char *name, enum gh_key_kind kind,
                        struct gh_validity leaf)
{
    static const struct gh_slice names[] = {GH_SLICE_INIT("localhost"), GH_SLICE_INIT("127.0.0.1")};
    struct gh_error error = {0};

    pem_init(&family->root_key);
    pem_init(&family->root);
    REQUIRE("a root is made",
            gh_authority_create(gh_slice_text(name),
                                (struct gh_validity){NOW - 100 * DAY, NOW + 3650 * DAY},
                                &family->root_key.text, &family->root.text, &error) == GH_OK);
    family->authority = gh_authority_open(of(&family->root), of(&family->root_key), &error);
    REQUIRE("and opened", family->authority != NULL);
    make_public(kind, &family->leaf_key);
    REQUIRE("and issues a leaf",
            issue(family, names, GH_COUNT(names), leaf, &family->leaf, &error) == GH_OK);
}

static X509 *native(struct gh_slice pem)
{
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    REQUIRE("OpenSSL reads the certificate", certificate != NULL);
    return certificate;
}

static bool has_text(const X509 *certificate, const char *wanted)
{
    char *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    (void)X509_print(bio, (X509 *)(uintptr_t)certificate);
    (void)BIO_write(bio, "", 1);
    (void)BIO_get_mem_data(bio, &text);
    bool found = strstr(text, wanted) != NULL;
    BIO_free(bio);
    return found;
}

/* OpenSSL's own judgement over the chain, strict, for a TLS server. */
static bool chain_valid(struct gh_slice root, struct gh_slice leaf, int64_t now_s)
{
    X509 *anchor = native(root), *end = native(leaf);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    (void)X509_STORE_add_cert(store, anchor);
    (void)X509_STORE_CTX_init(context, store, end, NULL);
    X509_VERIFY_PARAM *rules = X509_STORE_CTX_get0_param(context);
    (void)X509_VERIFY_PARAM_set_purpose(rules, X509_PURPOSE_SSL_SERVER);
    (void)X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_X509_STRICT);
    X509_VERIFY_PARAM_set_time(rules, now_s);
    X509_VERIFY_PARAM_set_auth_level(rules, 2);
    bool valid = X509_verify_cert(context) == 1;
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    X509_free(anchor);
    X509_free(end);
    return valid;
}

static void check_profile(const struct family *family)
{
    static const char *const root_says[] = {"Version: 3",
                                            "CA:TRUE, pathlen:2",
                                            "Certificate Sign, CRL Sign",
                                            "id-ecPublicKey",
                                            "ecdsa-with-SHA256",
                                            "Subject: CN=test root",
                                            "Subject Key Identifier"};
    static const char *const leaf_says[] = {"CA:FALSE",
                                            "Digital Signature",
                                            "TLS Web Server Authentication",
                                            "DNS:localhost, IP Address:127.0.0.1",
                                            "Authority Key Identifier",
                                            "Issuer: CN=test root"};
    X509 *root = native(of(&family->root)), *leaf = native(of(&family->leaf));

    for (size_t i = 0; i < GH_COUNT(root_says); i++)
        CHECK(root_says[i], has_text(root, root_says[i]));
    for (size_t i = 0; i < GH_COUNT(leaf_says); i++)
        CHECK(leaf_says[i], has_text(leaf, leaf_says[i]));
    CHECK("a serial has 16 bytes", ASN1_STRING_length(X509_get0_serialNumber(leaf)) == 16);
    CHECK("and no two have the same",
          ASN1_INTEGER_cmp(X509_get0_serialNumber(root), X509_get0_serialNumber(leaf)) != 0);
    CHECK("the leaf may not sign", X509_check_ca(leaf) == 0);
    CHECK("the chain is valid", chain_valid(of(&family->root), of(&family->leaf), NOW));
    CHECK("not after its end", !chain_valid(of(&family->root), of(&family->leaf), NOW + 31 * DAY));
    X509_free(root);
    X509_free(leaf);
}

static void check_names(const struct family *family)
{
    static const struct {
        const char *claim, *name;
        bool good;
    } rows[] = {
        {"a host", "gatehouse.example", true},
        {"one label", "gatehouse", true},
        {"an IPv4 address", "192.0.2.1", true},
        {"an IPv6 address", "::1", true},
        {"a wildcard for one label", "*.example.org", true},
        {"a wildcard alone", "*", false},
        {"a wildcard in the middle", "a.*.org", false},
        {"half a wildcard", "a*.example.org", false},
        {"the empty name", "", false},
        {"a dot at the end", "example.org.", false},
        {"two dots", "example..org", false},
        {"a dot at the beginning", ".example.org", false},
        {"a hyphen at the end", "example-.org", false},
        {"an underscore", "a_b.example.org", false},
        {"a space", "a b", false},
        {"OpenSSL's configuration language", "localhost,DNS:evil.example", false},
        {"a label of 64", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.org",
         false},
    };
    struct pem out;

    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        struct gh_slice name = gh_slice_text(rows[i].name);
        struct gh_error error = {0};
        enum gh_error_code code =
            issue(family, &name, 1, (struct gh_validity){NOW, NOW + DAY}, &out, &error);
        CHECK(rows[i].claim, code == (rows[i].good ? GH_OK : GH_ERROR_INVALID));
        CHECK(rows[i].claim, rows[i].good == (out.text.size > 0));
    }
    struct gh_slice with_nul = gh_slice("a\0b", 3), host = GH_SLICE("localhost");
    CHECK("a NUL in a name",
          issue(family, &with_nul, 1, (struct gh_validity){NOW, NOW + DAY}, &out, NULL) != GH_OK);
    CHECK("no name at all",
          issue(family, NULL, 0, (struct gh_validity){NOW, NOW + DAY}, &out, NULL) != GH_OK);
    CHECK("a leaf ends when its root does",
          issue(family, &host, 1, (struct gh_validity){NOW, NOW + 3650 * DAY}, &out, NULL) ==
              GH_OK);
    CHECK("not a second later",
          issue(family, &host, 1, (struct gh_validity){NOW, NOW + 3650 * DAY + 1}, &out, NULL) !=
              GH_OK);
    CHECK("nor begins before it",
          issue(family, &host, 1, (struct gh_validity){NOW - 101 * DAY, NOW}, &out, NULL) != GH_OK);
    CHECK("nor ends before it begins",
          issue(family, &host, 1, (struct gh_validity){NOW, NOW}, &out, NULL) != GH_OK);
}

static void check_authority(const struct family *family, const struct family *other)
{
    struct pem key, certificate;
    struct gh_validity year = {NOW, NOW + 365 * DAY};
    struct gh_error error = {0};

    pem_init(&key);
    pem_init(&certificate);
    CHECK("a root has a name", gh_authority_create((struct gh_slice){0}, year, &key.text,
                                                   &certificate.text, &error) != GH_OK);
    CHECK("a root without life is refused",
          gh_authority_create(GH_SLICE("x"), (struct gh_validity){NOW, NOW}, &key.text,
                              &certificate.text, &error) != GH_OK);
    CHECK("another root's key does not open it",
          gh_authority_open(of(&family->root), of(&other->root_key), &error) == NULL);
    CHECK("a leaf is no authority",
          gh_authority_open(of(&family->leaf), of(&family->root_key), &error) == NULL);
    CHECK("a certificate is no key",
          gh_authority_open(of(&family->root), of(&family->root), &error) == NULL);
}

static void check_certificate(const struct family *family, const struct family *other)
{
    struct gh_certificate *root = gh_certificate_open(of(&family->root), NULL);
    struct gh_certificate *leaf = gh_certificate_open(of(&family->leaf), NULL);
    struct gh_certificate *stranger = gh_certificate_open(of(&other->root), NULL);
    uint8_t block[256];
    struct gh_buffer subject = gh_buffer_fixed(block, sizeof block);

    REQUIRE("certificates open", root != NULL && leaf != NULL && stranger != NULL);
    CHECK("the leaf is signed by its root", gh_certificate_signed_by(leaf, root));
    CHECK("the root by itself", gh_certificate_signed_by(root, root));
    CHECK("the root not by the leaf", !gh_certificate_signed_by(root, leaf));
    CHECK("the leaf not by itself", !gh_certificate_signed_by(leaf, leaf));
    CHECK("nor by a root of the same name", !gh_certificate_signed_by(leaf, stranger));
    CHECK("dates come out in seconds", gh_certificate_not_before_s(root) == NOW - 100 * DAY &&
                                           gh_certificate_not_after_s(root) == NOW + 3650 * DAY);
    CHECK("the subject is printed", gh_certificate_print_subject(root, &subject));
    CHECK("the subject is printed",
          gh_slice_equal(gh_buffer_slice(&subject), GH_SLICE("CN=test root")));
    CHECK("so are the issuer and how it signed",
          gh_certificate_print_issuer(root, &subject) &&
              gh_slice_equal(gh_buffer_slice(&subject), GH_SLICE("CN=test rootCN=test root")) &&
              strcmp(gh_certificate_signature_algorithm(root), "ecdsa-with-SHA256") == 0);
    CHECK("a certificate equals itself", gh_certificate_equal(root, root));
    CHECK("and no other", !gh_certificate_equal(root, stranger));
    for (size_t cut = 0; cut + 3 < family->leaf.text.size; cut++) {
        struct gh_certificate *part = gh_certificate_open(gh_slice(family->leaf.block, cut), NULL);
        CHECK("a certificate cut short is none", part == NULL);
        gh_certificate_close(part);
    }
    gh_certificate_close(root);
    gh_certificate_close(leaf);
    gh_certificate_close(stranger);
}

/* google.md 3.3 beyond its nine vectors. `last` has a leaf that has ended. */
static void check_credentials(const struct family *family, const struct family *rsa,
                              const struct family *last)
{
    struct gh_slice roots[] = {of(&rsa->root), of(&family->root)};
    const struct {
        const char *claim;
        struct gh_slice pem;
        enum gh_key_kind kind;
        enum gh_key_form form;
        size_t roots;
        enum gh_error_code code;
    } rows[] = {
        {"a bare key", of(&family->leaf_key), GH_KEY_P256, GH_KEY_FORM_PUBLIC_KEY, 0, GH_OK},
        {"whatever it is", of(&rsa->leaf_key), GH_KEY_ANY, GH_KEY_FORM_ANY, 0, GH_OK},
        {"RSA as P-256", of(&rsa->leaf_key), GH_KEY_P256, GH_KEY_FORM_PUBLIC_KEY, 0,
         GH_ERROR_INVALID},
        {"P-256 as RSA", of(&family->leaf_key), GH_KEY_RSA, GH_KEY_FORM_PUBLIC_KEY, 0,
         GH_ERROR_INVALID},
        {"a key as certificate", of(&family->leaf_key), GH_KEY_P256, GH_KEY_FORM_CERTIFICATE, 0,
         GH_ERROR_INVALID},
        {"a certificate as key", of(&family->leaf), GH_KEY_P256, GH_KEY_FORM_PUBLIC_KEY, 0,
         GH_ERROR_INVALID},
        {"a certificate in a registry without any", of(&family->leaf), GH_KEY_P256,
         GH_KEY_FORM_CERTIFICATE, 0, GH_OK},
        {"signed by one of two", of(&family->leaf), GH_KEY_P256, GH_KEY_FORM_CERTIFICATE, 2, GH_OK},
        {"an RSA key under a P-256 root", of(&rsa->leaf), GH_KEY_RSA, GH_KEY_FORM_CERTIFICATE, 1,
         GH_OK},
        {"signed by the other one only", of(&family->leaf), GH_KEY_P256, GH_KEY_FORM_CERTIFICATE, 1,
         GH_ERROR_INVALID},
        {"one of the registry's own", of(&family->root), GH_KEY_P256, GH_KEY_FORM_CERTIFICATE, 2,
         GH_ERROR_INVALID},
        {"a bare key where certificates are asked for", of(&family->leaf_key), GH_KEY_P256,
         GH_KEY_FORM_PUBLIC_KEY, 2, GH_ERROR_INVALID},
        {"an expired certificate", of(&last->leaf), GH_KEY_P256, GH_KEY_FORM_CERTIFICATE, 0,
         GH_ERROR_INVALID},
    };

    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        struct gh_credential_offer offer = {rows[i].kind, rows[i].form, rows[i].pem, roots,
                                            rows[i].roots};
        struct gh_credential_facts facts = {0};
        struct gh_error error = {0};
        CHECK(rows[i].claim, gh_key_check_credential(&offer, NOW, &facts, &error) == rows[i].code);
        CHECK(rows[i].claim, (error.text[0] == '\0') == (rows[i].code == GH_OK));
        CHECK(rows[i].claim, (facts.bits > 0) == (rows[i].code == GH_OK));
    }
}

static void check_chains(void)
{
    static const char end[] = "-----END CERTIFICATE-----";
    static const struct {
        const char *claim, *text;
        size_t blocks, rest;
    } rows[] = {
        {"nothing", "", 0, 0},
        {"what has no end", "-----BEGIN CERTIFICATE-----\nAAAA", 0, 32},
        {"one, without a line end", "a-----END CERTIFICATE-----", 1, 0},
        {"one", "a-----END CERTIFICATE-----\n", 1, 0},
        {"two", "a-----END CERTIFICATE-----\nb-----END CERTIFICATE-----\n", 2, 0},
        {"and something behind them", "a-----END CERTIFICATE-----\nb", 1, 1},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        struct gh_slice rest = gh_slice_text(rows[i].text), pem;
        size_t blocks = 0;
        for (; gh_certificate_take(&rest, &pem); blocks++)
            CHECK(rows[i].claim, pem.size >= sizeof end && (pem.data[0] == 'a') == (blocks == 0));
        CHECK(rows[i].claim, blocks == rows[i].blocks && rest.size == rows[i].rest);
    }
}

/* A bare key and the certificate of the same key are read in two ways and are one key. */
static void check_fingerprints(const struct family *family)
{
    char one[GH_SHA256_HEX_MAX] = "1", two[GH_SHA256_HEX_MAX] = "2";
    struct gh_key *bare = gh_key_open(of(&family->leaf_key), NULL);
    struct gh_key *certified = gh_key_open(of(&family->leaf), NULL);
    REQUIRE("both open", bare != NULL && certified != NULL);
    CHECK("both have a fingerprint",
          gh_key_fingerprint(bare, one) && gh_key_fingerprint(certified, two));
    CHECK("the same one", strcmp(one, two) == 0);
    gh_key_close(bare);
    gh_key_close(certified);
}

static void check_registry_certificates(const struct family *family, const struct family *last)
{
    char text[PEM_MAX];
    FILE *file = fopen("fuzz/corpus/pem/cert-sha1.pem", "re");
    REQUIRE("the file is there", file != NULL);
    struct gh_slice weak = gh_slice(text, fread(text, 1, sizeof text, file));
    (void)fclose(file);
    struct gh_certificate *sha1 = gh_certificate_open(weak, NULL);

    CHECK("a root may be a registry's",
          gh_key_check_registry_certificate(of(&family->root), NOW, NULL) == GH_OK);
    CHECK("a leaf may not",
          gh_key_check_registry_certificate(of(&family->leaf), NOW, NULL) == GH_ERROR_INVALID);
    CHECK("an expired one may not",
          gh_key_check_registry_certificate(of(&last->root), NOW + 3651 * DAY, NULL) ==
              GH_ERROR_INVALID);
    CHECK("a key is no certificate",
          gh_key_check_registry_certificate(of(&family->leaf_key), NOW, NULL) == GH_ERROR_INVALID);
    REQUIRE("a certificate with SHA-1 is read", sha1 != NULL);
    CHECK("its signature counts for nothing", !gh_certificate_signed_by(sha1, sha1));
    gh_certificate_close(sha1);
}

int main(void)
{
    static struct family family, rsa, last;

    family_open(&family, "test root", GH_KEY_P256, (struct gh_validity){NOW, NOW + 30 * DAY});
    family_open(&rsa, "test root", GH_KEY_RSA, (struct gh_validity){NOW, NOW + 30 * DAY});
    family_open(&last, "old root", GH_KEY_P256, (struct gh_validity){NOW - DAY, NOW - 1});
    check_profile(&family);
    check_names(&family);
    check_authority(&family, &rsa);
    check_certificate(&family, &rsa);
    check_credentials(&family, &rsa, &last);
    check_chains();
    check_fingerprints(&family);
    check_fingerprints(&rsa);
    check_registry_certificates(&family, &last);
    gh_authority_close(family.authority);
    gh_authority_close(rsa.authority);
    gh_authority_close(last.authority);
    return check_report();
}
