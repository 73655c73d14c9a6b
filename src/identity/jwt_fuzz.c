/* Any bytes as a device's token, under a P-256 key and in both policies. Every outcome has a name
 * and a detail in printable ASCII; what the strict policy accepts, the lenient one does too. */
#include "identity/jwt.h"
#include <stdlib.h>
#include <string.h>

/* The key and the clock of the seeds (google-jwt-vectors.json), so that some of them are accepted.
 */
static const char key_pem[] = "-----BEGIN PUBLIC KEY-----\n"
                              "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE15bUhWC3ZlMeiuD8ZysiOTOLxP+A\n"
                              "Mhrvn5JhZUuquhLyOqUom0LvVd9Kpl01p4sTVzCXPbZZC64Ruwek9nJGNw==\n"
                              "-----END PUBLIC KEY-----\n";

static void require(bool held)
{
    if (!held)
        abort();
}

static enum gh_jwt_verdict verify(struct gh_slice token, const struct gh_jwt_policy *base)
{
    static const struct gh_key *key;
    struct gh_jwt_policy policy = *base;
    struct gh_jwt_outcome outcome;
    struct gh_arena arena;

    if (key == NULL)
        key = gh_key_open(gh_slice_text(key_pem), NULL);
    policy.audience = GH_SLICE("my-project");
    gh_arena_init(&arena, 1 << 20);
    enum gh_jwt_verdict verdict =
        gh_jwt_verify(token, &key, 1, &policy, 1700000010, &arena, &outcome);
    require(gh_jwt_verdict_name(verdict)[0] != '\0' && outcome.detail[0] != '\0');
    for (const char *at = outcome.detail; *at != '\0'; at++)
        require(*at >= ' ' && *at <= '~');
    gh_arena_deinit(&arena);
    return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_slice token = gh_slice(data, size);
    enum gh_jwt_verdict google = verify(token, &gh_jwt_google);
    enum gh_jwt_verdict strict = verify(token, &gh_jwt_native);

    /* The one thing in which the Google dialect is the stricter one is an array as audience. */
    require(strict != GH_JWT_ACCEPTED || google == GH_JWT_ACCEPTED || google == GH_JWT_AUDIENCE);
    return 0;
}
