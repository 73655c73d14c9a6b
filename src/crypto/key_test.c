#include "crypto/key.h"
#include "tests/check.h"
#include <stdio.h>
#include <string.h>

/* The PEM files are the seeds of the fuzz target too (fuzz/corpus/pem): throw-away keys made with
 * openssl for these tests. rsa-roca has a modulus built as RSALib builds its primes, 65537^a modulo
 * the first 126 primes, and is not a product of two primes. */
static const struct {
    const char *claim, *file;
    enum gh_key_kind kind; /* ANY: refused */
    enum gh_key_form form;
    unsigned bits;
    const char *why; /* part of the refusal */
} files[] = {
    {"P-256", "p256", GH_KEY_P256, GH_KEY_FORM_PUBLIC_KEY, 256, NULL},
    {"P-256 with a compressed point", "compressed", GH_KEY_P256, GH_KEY_FORM_PUBLIC_KEY, 256, NULL},
    {"P-256 in lines with CR and LF", "crlf", GH_KEY_P256, GH_KEY_FORM_PUBLIC_KEY, 256, NULL},
    {"P-256 in a certificate", "cert-p256", GH_KEY_P256, GH_KEY_FORM_CERTIFICATE, 256, NULL},
    {"RSA-2048", "rsa2048", GH_KEY_RSA, GH_KEY_FORM_PUBLIC_KEY, 2048, NULL},
    {"RSA-4096", "rsa4096", GH_KEY_RSA, GH_KEY_FORM_PUBLIC_KEY, 4096, NULL},
    {"RSA in a certificate", "cert-rsa", GH_KEY_RSA, GH_KEY_FORM_CERTIFICATE, 2048, NULL},
    {"P-384", "p384", GH_KEY_ANY, GH_KEY_FORM_ANY, 0, "not on the curve P-256"},
    {"secp256k1", "k256", GH_KEY_ANY, GH_KEY_FORM_ANY, 0, "not on the curve P-256"},
    {"P-256 spelt out", "explicit", GH_KEY_ANY, GH_KEY_FORM_ANY, 0, "spells its curve out"},
    {"a point that is not on the curve", "p256-off-curve", GH_KEY_ANY, GH_KEY_FORM_ANY, 0,
     "damaged"},
    {"a byte after the key", "p256-tail", GH_KEY_ANY, GH_KEY_FORM_ANY, 0, "damaged"},
    {"Ed25519", "ed25519", GH_KEY_ANY, GH_KEY_FORM_ANY, 0, "neither P-256 nor RSA"},
    {"RSA-PSS", "rsa-pss", GH_KEY_ANY, GH_KEY_FORM_ANY, 0, "neither P-256 nor RSA"},
    {"RSA-1024", "rsa1024", GH_KEY_ANY, GH_KEY_FORM_ANY, 0, "less than 2048"},
    {"RSA-2052", "rsa2052", GH_KEY_ANY, GH_KEY_FORM_ANY, 0, "whole number of bytes"},
    {"RSA-4104", "rsa4104", GH_KEY_ANY, GH_KEY_FORM_ANY, 0, "more than 4096"},
    {"RSA with exponent 3", "rsa-e3", GH_KEY_ANY, GH_KEY_FORM_ANY, 0, "exponent"},
    {"RSA with an even exponent", "rsa-e-even", GH_KEY_ANY, GH_KEY_FORM_ANY, 0, "exponent"},
    {"RSA with an exponent of 65 bits", "rsa-e-long", GH_KEY_ANY, GH_KEY_FORM_ANY, 0, "exponent"},
    {"an even modulus", "rsa-even", GH_KEY_ANY, GH_KEY_FORM_ANY, 0, "even"},
    {"a ROCA modulus", "rsa-roca", GH_KEY_ANY, GH_KEY_FORM_ANY, 0, "ROCA"},
    {"two blocks in one text", "two-blocks", GH_KEY_ANY, GH_KEY_FORM_ANY, 0, "exactly one"},
    {"text before the block", "text-before", GH_KEY_ANY, GH_KEY_FORM_ANY, 0, "exactly one"},
    {"a private key", "private", GH_KEY_ANY, GH_KEY_FORM_ANY, 0, "neither PUBLIC KEY"},
    {"an encrypted private key", "encrypted", GH_KEY_ANY, GH_KEY_FORM_ANY, 0, "encrypted"},
    {"PKCS#1 without its frame", "label", GH_KEY_ANY, GH_KEY_FORM_ANY, 0, "neither PUBLIC KEY"},
};

enum { TEXT_MAX = 4096 };

static struct gh_slice load(const char *name, char text[TEXT_MAX])
{
    char path[128];
    (void)snprintf(path, sizeof path, "fuzz/corpus/pem/%s.pem", name);
    FILE *file = fopen(path, "re");
    REQUIRE(path, file != NULL);
    size_t size = fread(text, 1, TEXT_MAX, file);
    (void)fclose(file);
    return gh_slice(text, size);
}

static void open_files(void)
{
    char text[TEXT_MAX];

    for (size_t i = 0; i < GH_COUNT(files); i++) {
        struct gh_error error = {0};
        struct gh_slice pem = load(files[i].file, text);
        struct gh_key *key = gh_key_open(pem, &error);
        CHECK(files[i].claim, (key != NULL) == (files[i].kind != GH_KEY_ANY));
        if (key == NULL) {
            CHECK(files[i].claim, error.code == GH_ERROR_INVALID);
            CHECK(files[i].claim, strstr(error.text, files[i].why) != NULL);
            continue;
        }
        CHECK(files[i].claim, gh_key_kind(key) == files[i].kind);
        CHECK(files[i].claim, gh_key_form(key) == files[i].form);
        CHECK(files[i].claim, gh_key_bits(key) == files[i].bits);
        gh_key_close(key);
        /* The last three bytes are a dash too few, or the line's end. */
        for (size_t cut = 0; cut + 3 < pem.size; cut++) {
            key = gh_key_open(gh_slice(text, cut), NULL);
            CHECK("a key cut short is no key", key == NULL);
            gh_key_close(key);
        }
    }
}

static void fingerprints(void)
{
    char text[TEXT_MAX], one[GH_SHA256_HEX_MAX], two[GH_SHA256_HEX_MAX];
    struct gh_key *plain = gh_key_open(load("p256", text), NULL);
    struct gh_key *compressed = gh_key_open(load("compressed", text), NULL);
    struct gh_key *other = gh_key_open(load("rsa2048", text), NULL);

    REQUIRE("the keys open", plain != NULL && compressed != NULL && other != NULL);
    CHECK("a key has a fingerprint", gh_key_fingerprint(plain, one));
    CHECK("a key has a fingerprint", gh_key_fingerprint(compressed, two));
    CHECK("one key has one fingerprint however it was written", strcmp(one, two) == 0);
    CHECK("a key has a fingerprint", gh_key_fingerprint(other, two));
    CHECK("another key has another", strcmp(one, two) != 0);
    CHECK("64 hex digits", strlen(one) == 64);
    CHECK("which is what openssl pkey -pubout -outform DER | sha256sum says",
          strcmp(two, "4f2222928b601bc2bb090e2622d93b03987ef8d42aa406bc511cb1e4f959bf20") == 0);
    gh_key_close(plain);
    gh_key_close(compressed);
    gh_key_close(other);
}

static struct gh_key *public_half(const struct gh_private_key *private_key)
{
    uint8_t block[2048];
    struct gh_buffer pem = gh_buffer_fixed(block, sizeof block);
    REQUIRE("the public half is written", gh_private_key_print_public(private_key, &pem));
    struct gh_key *key = gh_key_open(gh_buffer_slice(&pem), NULL);
    REQUIRE("and read", key != NULL);
    return key;
}

/* Writes the private key and reads it back. */
static struct gh_private_key *again(const struct gh_private_key *key)
{
    uint8_t block[4096];
    struct gh_buffer pem = gh_buffer_fixed(block, sizeof block);
    REQUIRE("the private key is written", gh_private_key_print(key, &pem));
    CHECK("as PKCS#8",
          gh_slice_starts(gh_buffer_slice(&pem), GH_SLICE("-----BEGIN PRIVATE KEY-----\n")));
    for (size_t cut = 0; cut + 3 < pem.size; cut += 7) {
        struct gh_private_key *part = gh_private_key_open(gh_slice(block, cut), NULL);
        CHECK("a private key cut short is none", part == NULL);
        gh_private_key_close(part);
    }
    struct gh_private_key *read = gh_private_key_open(gh_buffer_slice(&pem), NULL);
    REQUIRE("and read back", read != NULL);
    return read;
}

static void sign_and_verify(enum gh_key_kind kind)
{
    struct gh_error error = {0};
    struct gh_private_key *made = gh_private_key_generate(kind, &error);
    REQUIRE("a key is generated", made != NULL);
    struct gh_private_key *key = again(made);
    struct gh_key *check = public_half(made);
    uint8_t signature[GH_KEY_SIGNATURE_MAX + 1] = {0};
    size_t size = 0;
    struct gh_slice message = GH_SLICE("header.payload");

    REQUIRE("it signs", gh_private_key_sign(key, message, signature, &size));
    CHECK("the signature has the size of its algorithm", size == (kind == GH_KEY_P256 ? 64 : 256));
    CHECK("it verifies", gh_key_verify(check, message, gh_slice(signature, size)));
    CHECK("by its algorithm only",
          gh_key_verify_es256(check, message, gh_slice(signature, size)) == (kind == GH_KEY_P256));
    CHECK("by its algorithm only",
          gh_key_verify_rs256(check, message, gh_slice(signature, size)) == (kind == GH_KEY_RSA));
    CHECK("raw is not DER", !gh_key_verify_es256_der(check, message, gh_slice(signature, size)));
    CHECK("not for another message",
          !gh_key_verify(check, GH_SLICE("header.paylaod"), gh_slice(signature, size)));
    CHECK("one byte longer is refused",
          !gh_key_verify(check, message, gh_slice(signature, size + 1)));
    for (size_t cut = 0; cut < size; cut++) {
        CHECK("cut short is refused", !gh_key_verify(check, message, gh_slice(signature, cut)));
        signature[cut] ^= 0x10;
        CHECK("one bit flipped is refused",
              !gh_key_verify(check, message, gh_slice(signature, size)));
        signature[cut] ^= 0x10;
    }
    gh_private_key_close(made);
    gh_private_key_close(key);
    gh_key_close(check);
}

/* r and s of 0, n and above are refused before OpenSSL sees them (CVE-2022-21449 was one that was
 * not). */
static void ranges(void)
{
    static const char n[] = "\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"
                            "\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51";
    char text[TEXT_MAX];
    uint8_t signature[64];
    struct gh_key *key = gh_key_open(load("p256", text), NULL);

    REQUIRE("the key opens", key != NULL);
    for (size_t r = 0; r < 4; r++) {
        for (size_t s = 0; s < 4; s++) {
            memset(signature, 0, sizeof signature);
            for (size_t half = 0; half < 2; half++) {
                size_t which = half == 0 ? r : s;
                uint8_t *at = signature + 32 * half;
                if (which == 1)
                    at[31] = 1;
                else if (which == 2)
                    memcpy(at, n, 32);
                else if (which == 3)
                    memset(at, 0xff, 32);
            }
            CHECK("0, 1, n, 2^256-1 sign nothing",
                  !gh_key_verify(key, GH_SLICE("any"), gh_slice(signature, 64)));
        }
    }
    gh_key_close(key);
}

/* A key under a passphrase opens with that one and comes out the same. */
static void under_passphrase(void)
{
    struct gh_slice passphrase = GH_SLICE("twelve bytes and more");
    uint8_t blocks[3][8192];
    struct gh_buffer sealed = gh_buffer_fixed(blocks[0], sizeof blocks[0]),
                     before = gh_buffer_fixed(blocks[1], sizeof blocks[1]),
                     after = gh_buffer_fixed(blocks[2], sizeof blocks[2]);
    struct gh_private_key *key = gh_private_key_generate(GH_KEY_P256, NULL);
    REQUIRE("it is written", key != NULL && gh_private_key_print(key, &before) &&
                                 gh_private_key_print_encrypted(key, passphrase, &sealed));
    gh_private_key_close(key);
    struct gh_slice text = gh_buffer_slice(&sealed);
    CHECK("as PKCS#8", gh_slice_starts(text, GH_SLICE("-----BEGIN ENCRYPTED PRIVATE KEY-----")));
    CHECK("it is no plain key", gh_private_key_open(text, NULL) == NULL);
    key = gh_private_key_open_encrypted(text, passphrase, NULL);
    REQUIRE("it opens", key != NULL && gh_private_key_print(key, &after));
    CHECK("the same", gh_slice_equal(gh_buffer_slice(&before), gh_buffer_slice(&after)));
    gh_private_key_close(key);
    const struct {
        const char *claim;
        struct gh_slice text, passphrase;
    } rows[] = {
        {"with another passphrase", text, GH_SLICE("twelve bytes and less")},
        {"with none", text, {0}},
        {"a plain key", gh_buffer_slice(&before), passphrase},
        {"a cut one", gh_slice_sub(text, 0, text.size / 2), passphrase},
        {"nothing", {0}, passphrase},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++)
        CHECK(rows[i].claim,
              gh_private_key_open_encrypted(rows[i].text, rows[i].passphrase, NULL) == NULL);
}

int main(void)
{
    under_passphrase();
    open_files();
    fingerprints();
    sign_and_verify(GH_KEY_P256);
    sign_and_verify(GH_KEY_RSA);
    ranges();
    return check_report();
}
