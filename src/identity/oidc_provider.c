/* The provider's document and keys. */
#include "identity/oidc_internal.h"
#include "io/http_client.h"
#include "wire/base64.h"
#include "wire/json.h"
#include <stdio.h>
#include <string.h>

enum {
    ANSWER_MAX = 256 * 1024,
    FRESH_MS = 3600 * 1000,
    AGAIN_MS = 60 * 1000, /* between two fetches for keys that are not known */
    NUMBER_MAX = GH_KEY_RSA_BITS_MAX / 8,
};

void oidc_provider_clear(struct oidc_provider *provider)
{
    for (size_t i = 0; i < provider->keys_count; i++)
        gh_key_close(provider->keys[i].key);
    *provider = (struct oidc_provider){0};
}

json_t *oidc_fetch(struct gh_oidc *oidc, const char *url, const char *form,
                   const char *authorization, struct gh_error *error)
{
    const char *headers[] = {"accept: application/json",
                             form != NULL ? "content-type: application/x-www-form-urlencoded"
                                          : authorization,
                             form != NULL ? authorization : NULL, NULL};
    struct gh_http_client *client = gh_http_client_open(oidc->ca_path, error);
    struct gh_buffer body;
    json_t *answer = NULL;
    int status = 0;
    if (client == NULL)
        return NULL;
    gh_http_client_set_timeout(client, GH_OIDC_CALL_MS, GH_OIDC_CALL_MS);
    gh_buffer_init(&body, ANSWER_MAX);
    if (gh_http_client_call(client, form != NULL ? "POST" : "GET", url, headers,
                            gh_slice_text(form), &body, &status, error) != GH_OK)
        answer = NULL;
    else if (status != 200)
        gh_error_set(error, GH_ERROR_CONNECT, "%s answers with status %d", url, status);
    else
        answer = gh_json_read_limited(gh_buffer_slice(&body), ANSWER_MAX, error);
    gh_buffer_deinit(&body);
    gh_http_client_close(client);
    return answer;
}

/* An https URL of the document. */
static bool read_url(const json_t *document, const char *name, char out[OIDC_URL_MAX],
                     struct gh_error *error)
{
    struct gh_slice url = {0};
    if (gh_json_text(document, name, &url) && gh_slice_starts(url, GH_SLICE("https://")) &&
        url.size < OIDC_URL_MAX && gh_slice_find(url, '\0') == url.size) {
        (void)snprintf(out, OIDC_URL_MAX, "%.*s", GH_PRINT(url));
        return true;
    }
    gh_error_set(error, GH_ERROR_CONNECT, "the provider's document has no %s", name);
    return false;
}

static enum gh_error_code fetch_document(struct gh_oidc *oidc, struct oidc_provider *out,
                                         struct gh_error *error)
{
    char url[OIDC_URL_MAX];
    struct gh_slice issuer = {0};
    (void)snprintf(url, sizeof url, "%s/.well-known/openid-configuration", oidc->issuer);
    json_t *document = oidc_fetch(oidc, url, NULL, NULL, error);
    bool good = document != NULL;
    /* OpenID Connect Discovery 1.0 §4.3: it must be the issuer that was asked. */
    if (good && (!gh_json_text(document, "issuer", &issuer) ||
                 !gh_slice_equal(issuer, gh_slice_text(oidc->issuer)))) {
        gh_error_set(error, GH_ERROR_CONNECT, "the provider's document is of another issuer");
        good = false;
    }
    good = good && read_url(document, "authorization_endpoint", out->authorization, error) &&
           read_url(document, "token_endpoint", out->token, error) &&
           read_url(document, "jwks_uri", out->jwks, error);
    json_decref(document);
    return good ? GH_OK : error->code;
}

static bool read_number(const json_t *jwk, const char *name, uint8_t out[NUMBER_MAX], size_t *size)
{
    uint8_t block[NUMBER_MAX + 3];
    struct gh_buffer bytes = gh_buffer_fixed(block, sizeof block);
    struct gh_slice text = {0};
    if (!gh_json_text(jwk, name, &text) || !gh_base64_decode(text, GH_BASE64_STRICT_URL, &bytes) ||
        bytes.size > NUMBER_MAX)
        return false;
    memcpy(out, block, bytes.size);
    *size = bytes.size;
    return bytes.size > 0;
}

/* A key that signs, of a kind that is taken; NULL for any other. */
static struct gh_key *read_key(const json_t *jwk)
{
    static const struct {
        struct gh_slice kty;
        enum gh_key_kind kind;
        const char *first, *second;
    } kinds[] = {{GH_SLICE_INIT("EC"), GH_KEY_P256, "x", "y"},
                 {GH_SLICE_INIT("RSA"), GH_KEY_RSA, "n", "e"}};
    struct gh_slice kty = {0}, use = GH_SLICE("sig");
    struct gh_key_numbers numbers;
    if (!gh_json_text(jwk, "kty", &kty))
        return NULL;
    (void)gh_json_text(jwk, "use", &use);
    for (size_t i = 0; i < GH_COUNT(kinds); i++) {
        if (!gh_slice_equal(kty, kinds[i].kty) || !gh_slice_equal(use, GH_SLICE("sig")) ||
            !read_number(jwk, kinds[i].first, numbers.first, &numbers.first_size) ||
            !read_number(jwk, kinds[i].second, numbers.second, &numbers.second_size))
            continue;
        bool fits =
            kinds[i].kind == GH_KEY_RSA || (numbers.first_size == 32 && numbers.second_size == 32);
        return fits ? gh_key_from_numbers(kinds[i].kind, &numbers, NULL) : NULL;
    }
    return NULL;
}

static enum gh_error_code fetch_keys(struct gh_oidc *oidc, struct oidc_provider *out,
                                     struct gh_error *error)
{
    json_t *document = oidc_fetch(oidc, out->jwks, NULL, NULL, error), *list = NULL, *each;
    size_t i;
    if (document == NULL)
        return error->code;
    (void)gh_json_array(document, "keys", &list);
    json_array_foreach(list, i, each)
    {
        struct gh_slice kid = {0};
        if (out->keys_count == OIDC_KEYS_MAX)
            break;
        struct oidc_key *key = &out->keys[out->keys_count];
        (void)gh_json_text(each, "kid", &kid);
        if (kid.size > OIDC_KID_MAX || (key->key = read_key(each)) == NULL)
            continue;
        (void)snprintf(key->kid, sizeof key->kid, "%.*s", GH_PRINT(kid));
        out->keys_count++;
    }
    json_decref(document);
    return out->keys_count > 0 ? GH_OK
                               : gh_error_set(error, GH_ERROR_CONNECT,
                                              "the provider publishes no key that is taken here");
}

static enum gh_error_code fetch(struct gh_oidc *oidc, int64_t now_ms, struct gh_error *error)
{
    struct oidc_provider fetched = {.fetched_ms = now_ms};
    enum gh_error_code code = fetch_document(oidc, &fetched, error);
    if (code == GH_OK)
        code = fetch_keys(oidc, &fetched, error);
    if (code != GH_OK) {
        oidc_provider_clear(&fetched);
        return code;
    }
    oidc_provider_clear(&oidc->provider);
    oidc->provider = fetched;
    return GH_OK;
}

enum gh_error_code oidc_provider_refresh(struct gh_oidc *oidc, int64_t now_ms,
                                         struct gh_error *error)
{
    bool fresh = oidc->provider.fetched_ms != 0 && now_ms - oidc->provider.fetched_ms < FRESH_MS;
    return fresh ? GH_OK : fetch(oidc, now_ms, error);
}

static size_t find_keys(const struct oidc_provider *provider, struct gh_slice kid,
                        const struct gh_key *keys[OIDC_KEYS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < provider->keys_count; i++)
        if (kid.size == 0 || gh_slice_equal(gh_slice_text(provider->keys[i].kid), kid))
            keys[count++] = provider->keys[i].key;
    return count;
}

enum gh_error_code oidc_provider_keys(struct gh_oidc *oidc, struct gh_slice kid, int64_t now_ms,
                                      const struct gh_key *keys[OIDC_KEYS_MAX], size_t *count,
                                      struct gh_error *error)
{
    enum gh_error_code code = oidc_provider_refresh(oidc, now_ms, error);
    if (code != GH_OK)
        return code;
    *count = find_keys(&oidc->provider, kid, keys);
    if (*count == 0 && now_ms - oidc->provider.fetched_ms >= AGAIN_MS) {
        code = fetch(oidc, now_ms, error);
        *count = code == GH_OK ? find_keys(&oidc->provider, kid, keys) : 0;
    }
    return code;
}
