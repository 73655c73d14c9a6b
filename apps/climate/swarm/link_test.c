#include "apps/climate/swarm/link.h"
#include "tests/check.h"
#include "wire/jose.h"

static void check_token(enum gh_key_kind kind, const char *algorithm)
{
    struct gh_error error;
    struct gh_private_key *key = gh_private_key_generate(kind, &error);
    struct gh_buffer token, pem;
    struct gh_arena arena;
    struct gh_jose jose;
    struct gh_jose_claims claims;
    REQUIRE(algorithm, key != NULL);
    gh_buffer_init(&token, 4096);
    gh_buffer_init(&pem, 4096);
    gh_arena_init(&arena, 64 * 1024);
    REQUIRE(algorithm, gh_link_print_token(key, "demo", 1700000000, 3600, &token));
    REQUIRE(algorithm, gh_jose_read(gh_buffer_slice(&token), false, &arena, &jose) == GH_JOSE_OK &&
                           gh_jose_claims(jose.payload, &arena, &claims) == GH_JOSE_OK);
    CHECK("signed by the key's own algorithm",
          gh_slice_equal(jose.algorithm, gh_slice_text(algorithm)));
    CHECK("for the project", claims.audiences_count == 1 && !claims.audience_is_array &&
                                 gh_slice_equal(claims.audiences[0], GH_SLICE("demo")));
    CHECK("for its life", claims.issued_at.s == 1700000000 && claims.expires_at.s == 1700003600);
    REQUIRE("public half", gh_private_key_print_public(key, &pem));
    struct gh_key *public = gh_key_open(gh_buffer_slice(&pem), &error);
    CHECK("and verifies",
          public != NULL && gh_key_verify(public, jose.signing_input, jose.signature));
    gh_key_close(public);
    gh_private_key_close(key);
    gh_arena_deinit(&arena);
    gh_buffer_deinit(&token);
    gh_buffer_deinit(&pem);
}

int main(void)
{
    static const int64_t base_ms[] = {1000, 2000, 4000, 8000, 16000, 32000, 32000, 32000};
    uint64_t random = 1;
    bool differs = false;
    check_token(GH_KEY_P256, "ES256");
    check_token(GH_KEY_RSA, "RS256");
    for (unsigned attempts = 0; attempts < GH_COUNT(base_ms); attempts++) {
        int64_t first = gh_link_pause_ms(attempts, &random),
                second = gh_link_pause_ms(attempts, &random);
        CHECK("1 s doubling to 32 s, and a second of jitter",
              first >= base_ms[attempts] && first < base_ms[attempts] + 1000);
        differs = differs || first != second;
    }
    CHECK("jitter", differs);
    return check_report();
}
