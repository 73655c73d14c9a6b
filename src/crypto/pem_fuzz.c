/* Any bytes where an operator uploads a key or a certificate: whatever opens keeps the rules. */
#include "crypto/certificate.h"
#include <stdlib.h>
#include <string.h>

static void require(bool held)
{
    if (!held)
        abort();
}

static void as_key(struct gh_slice pem)
{
    struct gh_error error = {0};
    char fingerprint[GH_SHA256_HEX_MAX];
    struct gh_key *key = gh_key_open(pem, &error);

    require((key == NULL) == (error.code != GH_OK));
    if (key != NULL) {
        require(gh_key_fingerprint(key, fingerprint));
        require(strlen(fingerprint) == 64);
        require(gh_key_kind(key) == GH_KEY_P256
                    ? gh_key_bits(key) == 256
                    : gh_key_bits(key) >= GH_KEY_RSA_BITS_MIN &&
                          gh_key_bits(key) <= GH_KEY_RSA_BITS_MAX && gh_key_bits(key) % 8 == 0);
        require(!gh_key_verify(key, GH_SLICE("message"), GH_SLICE("signature")));
    }
    gh_key_close(key);
}

static void as_certificate(struct gh_slice pem)
{
    struct gh_certificate *certificate = gh_certificate_open(pem, NULL);
    uint8_t block[4096];
    struct gh_buffer text = gh_buffer_fixed(block, sizeof block);

    if (certificate == NULL)
        return;
    (void)!gh_certificate_print_subject(certificate, &text);
    (void)!gh_certificate_signed_by(certificate, certificate);
    require(gh_certificate_equal(certificate, certificate));
    struct gh_key *key = gh_certificate_key(certificate, NULL);
    gh_key_close(key);
    gh_certificate_close(certificate);
}

/* A block and what is left behind it are the text. */
static void as_chain(struct gh_slice pem)
{
    struct gh_slice rest = pem, block;
    while (gh_certificate_take(&rest, &block)) {
        require(block.size > 0 && block.size + rest.size == pem.size);
        pem = rest;
    }
}

static void as_offer(struct gh_slice pem)
{
    struct gh_credential_offer offer = {.pem = pem, .registry_certificates = &pem};
    struct gh_credential_facts facts;
    struct gh_error error;

    (void)!gh_key_check_credential(&offer, 1800000000, &facts, &error);
    offer.registry_certificates_count = 1;
    require(gh_key_check_credential(&offer, 1800000000, &facts, &error) != GH_OK);
    (void)!gh_key_check_registry_certificate(pem, 1800000000, &error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_slice pem = gh_slice(data, size);

    as_key(pem);
    as_certificate(pem);
    as_offer(pem);
    as_chain(pem);
    struct gh_private_key *key = gh_private_key_open(pem, NULL);
    gh_private_key_close(key);
    return 0;
}
