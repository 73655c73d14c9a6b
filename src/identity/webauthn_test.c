#include "base/buffer.h"
#include "identity/webauthn.h"
#include "tests/check.h"
#include <stdio.h>
#include <string.h>

/* Made by another implementation (Node's crypto), for console.example.org and the challenge
 * SHA-256("a challenge"): registration of a key, then an assertion with the counter at 7. */
static const char es256_att[] =
    "a363666d74646e6f6e656761747453746d74a068617574684461746158945f38703760b33cab22c7"
    "c4333d5ac417c06168f7159b593356f08c0d68fe2a6e450000000100000000000000000000000000"
    "0000000010d27185cdbe110dd74a7ceed3b6a91d60a5010203262001215820938115355e3cd60654"
    "40db8c23ea7684f8893de58d1a20bb6a3deb05c40beefe225820e108e75dfe2391ae8fadea24e38d"
    "48c908f4ce3b05b5b3152601ecc937438462";
static const char es256_auth[] =
    "5f38703760b33cab22c7c4333d5ac417c06168f7159b593356f08c0d68fe2a6e0500000007";
static const char es256_sig[] =
    "3046022100c1aa40a90acc849d69890edeb047305548d70b14e1b0a00fab893bdefacdb1be022100"
    "9d0a778579333659cfe731a3e33f0b541d5e9118717309ed1fb5efc7c2b81e41";
static const char eddsa_att[] =
    "a363666d74646e6f6e656761747453746d74a068617574684461746158715f38703760b33cab22c7"
    "c4333d5ac417c06168f7159b593356f08c0d68fe2a6e450000000100000000000000000000000000"
    "0000000010852a5ae9afef3da68a8cb2519e89bb4ea4010103272006215820e733bd818554053892"
    "7c0633453b596c79abdc9abda4e9fc95a9d4f921b0c3bb";
static const char eddsa_auth[] =
    "5f38703760b33cab22c7c4333d5ac417c06168f7159b593356f08c0d68fe2a6e0500000007";
static const char eddsa_sig[] =
    "00f00ed8d8e478c65541bad07230e1d1d36b4216b7fd7487b59df2951dcf6539e1b424e4c0380c23"
    "9451107369d31a503b8b1687a7b0afe16eef10ea12e4f20a";

/* Of a key that was touched and did not ask who it was (UP without UV). */
static const char touched_att[] =
    "a363666d74646e6f6e656761747453746d74a068617574684461746158715f38703760b33cab22c7"
    "c4333d5ac417c06168f7159b593356f08c0d68fe2a6e410000000100000000000000000000000000"
    "00000000101b626ccb34674e9159d2c3167394300ea40101032720062158205e0634497c76aba466"
    "837a0a9854ba186335af77f0b0f1658ec7ff089ee4deaa";
static const char touched_auth[] =
    "5f38703760b33cab22c7c4333d5ac417c06168f7159b593356f08c0d68fe2a6e0100000007";
static const char touched_sig[] =
    "c99a5206dac592aebbd384c694f083611f65c6af53f379e72155bdce5d45218f9241fee1466c99d7"
    "9f53b6df95d4fb02b06a0f0e15cccc31330439deeaf5080f";

static const struct gh_slice rp_id = GH_SLICE_INIT("console.example.org");
static const struct gh_slice origin = GH_SLICE_INIT("https://console.example.org:8443");

static struct gh_slice unhex(const char *hex, uint8_t *out)
{
    size_t size = 0;
    for (unsigned byte; sscanf(hex, "%2x", &byte) == 1; hex += 2)
        out[size++] = (uint8_t)byte;
    return gh_slice(out, size);
}

static struct gh_slice challenge(void)
{
    static uint8_t block[32];
    return unhex("e7c4db9900e030238c6696ed0535a386a66aef8d7999d9502b462a721a30153d", block);
}

static const char *client(char block[512], const char *type, const char *text, const char *from,
                          const char *more)
{
    (void)snprintf(block, 512, "{\"type\":\"%s\",\"challenge\":\"%s\",\"origin\":\"%s\"%s}", type,
                   text, from, more);
    return block;
}

#define CHALLENGE_TEXT "58TbmQDgMCOMZpbtBTWjhqZq7415mdlQK0YqchowFT0"
#define ORIGIN "https://console.example.org:8443"
#define GOOD_MORE ",\"crossOrigin\":false"

static const struct {
    const char *claim, *type, *challenge, *origin, *more;
    bool good;
} clients[] = {
    {"as it should be", "webauthn.create", CHALLENGE_TEXT, ORIGIN, GOOD_MORE, true},
    {"with members of the future", "webauthn.create", CHALLENGE_TEXT, ORIGIN, ",\"new\":[1]", true},
    {"of the other ceremony", "webauthn.get", CHALLENGE_TEXT, ORIGIN, GOOD_MORE, false},
    {"another challenge", "webauthn.create", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", ORIGIN,
     GOOD_MORE, false},
    {"no challenge", "webauthn.create", "", ORIGIN, GOOD_MORE, false},
    {"another site", "webauthn.create", CHALLENGE_TEXT, "https://console.example.com:8443",
     GOOD_MORE, false},
    {"another port", "webauthn.create", CHALLENGE_TEXT, "https://console.example.org", GOOD_MORE,
     false},
    {"without TLS", "webauthn.create", CHALLENGE_TEXT, "http://console.example.org:8443", GOOD_MORE,
     false},
    {"in a frame of another site", "webauthn.create", CHALLENGE_TEXT, ORIGIN,
     ",\"crossOrigin\":true", false},
    {"an origin twice", "webauthn.create", CHALLENGE_TEXT, ORIGIN,
     ",\"origin\":\"https://evil.example\"", false},
};

static void registration(void)
{
    uint8_t block[512];
    char text[512];
    struct gh_webauthn_site site = {.rp_id = rp_id, .origin = origin, .challenge = challenge()};
    struct gh_webauthn_credential out;
    struct gh_slice attestation = unhex(es256_att, block);
    for (size_t i = 0; i < GH_COUNT(clients); i++)
        CHECK(
            clients[i].claim,
            (gh_webauthn_register(&site,
                                  gh_slice_text(client(text, clients[i].type, clients[i].challenge,
                                                       clients[i].origin, clients[i].more)),
                                  attestation, &out, NULL) == GH_OK) == clients[i].good);
    struct gh_slice said =
        gh_slice_text(client(text, "webauthn.create", CHALLENGE_TEXT, ORIGIN, GOOD_MORE));
    for (size_t cut = 0; cut < attestation.size; cut++)
        CHECK("every byte is needed",
              gh_webauthn_register(&site, said, gh_slice(attestation.data, cut), &out, NULL) ==
                  GH_ERROR_INVALID);
    site.rp_id = GH_SLICE("example.org");
    CHECK("for another site",
          gh_webauthn_register(&site, said, attestation, &out, NULL) == GH_ERROR_INVALID);
    site = (struct gh_webauthn_site){.rp_id = rp_id, .origin = origin};
    CHECK("when nothing was asked",
          gh_webauthn_register(&site, said, attestation, &out, NULL) == GH_ERROR_INVALID);
    site.challenge = challenge();
    block[attestation.size - 1] ^= 1; /* of y: the point leaves the curve */
    CHECK("a point that is not on the curve",
          gh_webauthn_register(&site, said, attestation, &out, NULL) == GH_ERROR_INVALID);
}

static void assertion_of(const char *att, const char *auth, const char *sig, bool knows_person)
{
    uint8_t blocks[3][512];
    char text[512];
    struct gh_webauthn_site site = {.rp_id = rp_id, .origin = origin, .challenge = challenge()};
    struct gh_webauthn_credential made;
    int64_t count = 0;
    char created[512];
    REQUIRE("registered",
            gh_webauthn_register(&site,
                                 gh_slice_text(client(created, "webauthn.create", CHALLENGE_TEXT,
                                                      ORIGIN, GOOD_MORE)),
                                 unhex(att, blocks[0]), &made, NULL) == GH_OK);
    CHECK("its counter", made.sign_count == 1 && made.id.size == 16);
    struct gh_webauthn_assertion assertion = {
        .site = site,
        .credential = made.id,
        .client_data =
            gh_slice_text(client(text, "webauthn.get", CHALLENGE_TEXT, ORIGIN, GOOD_MORE)),
        .authenticator_data = unhex(auth, blocks[1]),
        .signature = unhex(sig, blocks[2])};
    CHECK("it proves", gh_webauthn_assert(&assertion, made.key, &count, NULL) == GH_OK);
    CHECK("and has counted", count == 7);
    assertion.site.person_known = true;
    CHECK("and that it knew its person, where it did",
          (gh_webauthn_assert(&assertion, made.key, &count, NULL) == GH_OK) == knows_person);
    assertion.site.person_known = false;
    for (size_t i = 0; i < assertion.authenticator_data.size; i++) {
        blocks[1][i] ^= 0x10;
        CHECK("every byte is signed",
              gh_webauthn_assert(&assertion, made.key, &count, NULL) == GH_ERROR_INVALID);
        blocks[1][i] ^= 0x10;
    }
    for (size_t i = 0; i < assertion.signature.size; i++) {
        blocks[2][i] ^= 0x10;
        CHECK("every byte of the signature counts",
              gh_webauthn_assert(&assertion, made.key, &count, NULL) == GH_ERROR_INVALID);
        blocks[2][i] ^= 0x10;
    }
    assertion.site.challenge = (struct gh_slice){0};
    CHECK("not when nothing was asked",
          gh_webauthn_assert(&assertion, made.key, &count, NULL) == GH_ERROR_INVALID);
}

int main(void)
{
    registration();
    assertion_of(es256_att, es256_auth, es256_sig, true);
    assertion_of(eddsa_att, eddsa_auth, eddsa_sig, true);
    assertion_of(touched_att, touched_auth, touched_sig, false);
    return check_report();
}
