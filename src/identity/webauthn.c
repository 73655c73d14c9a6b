#include "identity/webauthn.h"
#include "base/secret.h"
#include "crypto/key.h"
#include "wire/base64.h"
#include "wire/json.h"
#include "wire/webauthn.h"
#include <string.h>

static enum gh_error_code refuse(struct gh_error *error, const char *why)
{
    return gh_error_set(error, GH_ERROR_INVALID, "security key: %s", why);
}

static bool is_challenge(struct gh_slice text, struct gh_slice challenge)
{
    uint8_t block[GH_WEBAUTHN_CHALLENGE_BYTES + 3];
    struct gh_buffer bytes = gh_buffer_fixed(block, sizeof block);
    return challenge.size == GH_WEBAUTHN_CHALLENGE_BYTES &&
           gh_base64_decode(text, GH_BASE64_STRICT_URL, &bytes) &&
           gh_secret_equal(gh_buffer_slice(&bytes), challenge);
}

/* What the browser says it was asked and by whom (§5.8.1). */
static const char *client_refused(const struct gh_webauthn_site *site, const json_t *client,
                                  const char *type)
{
    struct gh_slice said_type = {0}, challenge = {0}, origin = {0};
    bool crosses = false;
    if (!gh_json_text(client, "type", &said_type) ||
        !gh_slice_equal(said_type, gh_slice_text(type)))
        return "the answer is of another kind";
    if (!gh_json_text(client, "challenge", &challenge) || !is_challenge(challenge, site->challenge))
        return "the challenge is another one";
    if (!gh_json_text(client, "origin", &origin) || !gh_slice_equal(origin, site->origin))
        return "the origin is another one";
    return gh_json_bool(client, "crossOrigin", &crosses) && crosses ? "it was asked in a frame"
                                                                    : NULL;
}

static enum gh_error_code check_client(const struct gh_webauthn_site *site,
                                       struct gh_slice client_data, const char *type,
                                       struct gh_error *error)
{
    json_t *client = gh_json_read_limited(client_data, GH_WEBAUTHN_CLIENT_BYTES_MAX, error);
    const char *why =
        client == NULL ? "what the browser says is no JSON" : client_refused(site, client, type);
    json_decref(client);
    return why == NULL ? GH_OK : refuse(error, why);
}

static enum gh_error_code check_data(const struct gh_webauthn_site *site,
                                     const struct gh_webauthn_data *data, struct gh_error *error)
{
    uint8_t hash[GH_SHA256_BYTES];
    gh_sha256(site->rp_id, hash);
    if (!gh_slice_equal(data->rp_hash, gh_slice(hash, sizeof hash)))
        return refuse(error, "it is for another site");
    if ((data->flags & GH_WEBAUTHN_PRESENT) == 0)
        return refuse(error, "nobody was there");
    if (site->person_known && (data->flags & GH_WEBAUTHN_VERIFIED) == 0)
        return refuse(error, "it did not ask who was there");
    return GH_OK;
}

/* Opens a key of ES256; NULL for numbers that are no point of the curve. */
static struct gh_key *open_es256(const struct gh_cose_key *cose)
{
    struct gh_key_numbers numbers = {.first_size = GH_COSE_NUMBER_BYTES,
                                     .second_size = GH_COSE_NUMBER_BYTES};
    memcpy(numbers.first, cose->x.data, GH_COSE_NUMBER_BYTES);
    memcpy(numbers.second, cose->y.data, GH_COSE_NUMBER_BYTES);
    return gh_key_from_numbers(GH_KEY_P256, &numbers, NULL);
}

static bool key_usable(const struct gh_cose_key *cose)
{
    if (cose->algorithm == GH_COSE_EDDSA)
        return true; /* any 32 bytes; wrong ones verify nothing */
    struct gh_key *key = open_es256(cose);
    gh_key_close(key);
    return key != NULL;
}

enum gh_error_code gh_webauthn_register(const struct gh_webauthn_site *site,
                                        struct gh_slice client_data, struct gh_slice attestation,
                                        struct gh_webauthn_credential *out, struct gh_error *error)
{
    struct gh_slice bytes;
    struct gh_webauthn_data data;
    enum gh_error_code code = check_client(site, client_data, "webauthn.create", error);
    if (code != GH_OK)
        return code;
    if (!gh_webauthn_attestation_read(attestation, &bytes) || !gh_webauthn_data_read(bytes, &data))
        return refuse(error, "its answer is malformed, or of an algorithm that is not taken");
    code = check_data(site, &data, error);
    if (code != GH_OK)
        return code;
    if (data.credential.size == 0 || !key_usable(&data.key))
        return refuse(error, "there is no public key in its answer");
    *out = (struct gh_webauthn_credential){
        .id = data.credential, .key = data.key_bytes, .sign_count = data.sign_count};
    return GH_OK;
}

static bool verify(const struct gh_cose_key *cose, struct gh_slice message,
                   struct gh_slice signature)
{
    if (cose->algorithm == GH_COSE_EDDSA)
        return gh_ed25519_verify(cose->x, message, signature);
    struct gh_key *key = open_es256(cose);
    bool good = key != NULL && gh_key_verify_es256_der(key, message, signature);
    gh_key_close(key);
    return good;
}

/* What was signed: the authenticator's data and the digest of the browser's. */
static bool signed_text(const struct gh_webauthn_assertion *assertion, struct gh_buffer *out)
{
    uint8_t hash[GH_SHA256_BYTES];
    gh_sha256(assertion->client_data, hash);
    return gh_buffer_put(out, assertion->authenticator_data) &&
           gh_buffer_put(out, gh_slice(hash, sizeof hash));
}

enum gh_error_code gh_webauthn_assert(const struct gh_webauthn_assertion *assertion,
                                      struct gh_slice key, int64_t *sign_count,
                                      struct gh_error *error)
{
    struct gh_webauthn_data data;
    struct gh_cose_key cose;
    struct gh_cursor at = gh_cursor(key);
    struct gh_buffer message;
    enum gh_error_code code =
        check_client(&assertion->site, assertion->client_data, "webauthn.get", error);
    if (code != GH_OK)
        return code;
    if (!gh_webauthn_data_read(assertion->authenticator_data, &data))
        return refuse(error, "its answer is malformed");
    code = check_data(&assertion->site, &data, error);
    if (code != GH_OK)
        return code;
    gh_buffer_init(&message, GH_WEBAUTHN_CLIENT_BYTES_MAX);
    bool good = gh_cose_key_read(&at, &cose) && gh_cursor_left(&at) == 0 &&
                signed_text(assertion, &message) &&
                verify(&cose, gh_buffer_slice(&message), assertion->signature);
    gh_buffer_deinit(&message);
    *sign_count = data.sign_count;
    return good ? GH_OK : refuse(error, "the signature is wrong");
}
