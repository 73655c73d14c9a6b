#include "identity/jwk.h"
#include "tests/check.h"
#include "wire/json.h"
#include <string.h>

/* The key of RFC 7515 appendix A.3.1 and the one of RFC 7638 §3.1, as PEM; the thumbprint of the
 * second stands in §3.1. */
static const char curve[] = "-----BEGIN PUBLIC KEY-----\n"
                            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
                            "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
                            "-----END PUBLIC KEY-----\n";
static const char rsa[] = "-----BEGIN PUBLIC KEY-----\n"
                          "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA0vx7agoebGcQSuuPiLJX\n"
                          "ZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tS\n"
                          "oc/BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ/2W+5JsGY4Hc5n9yBXArwl93lqt\n"
                          "7/RN5w6Cf0h4QyQ5v+65YGjQR0/FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0\n"
                          "zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt+bFTWhAI4vMQFh6WeZu0f\n"
                          "M4lFd2NcRwr3XPksINHaQ+G/xBniIqbw0Ls1jF44+csFCur+kEgU8awapJzKnqDK\n"
                          "gwIDAQAB\n"
                          "-----END PUBLIC KEY-----\n";

static void describes(const char *pem, const char *thumbprint, const char *json)
{
    char found[GH_JWK_THUMBPRINT_MAX];
    struct gh_buffer text;
    struct gh_key *key = gh_key_open(gh_slice_text(pem), NULL);
    REQUIRE("the key opens", key != NULL);
    CHECK(thumbprint, gh_jwk_thumbprint(key, found) && strcmp(found, thumbprint) == 0);
    json_t *jwk = gh_jwk_new(key);
    gh_buffer_init(&text, 4096);
    CHECK(json,
          gh_json_write(jwk, &text) && gh_slice_equal(gh_buffer_slice(&text), gh_slice_text(json)));
    gh_buffer_deinit(&text);
    json_decref(jwk);
    gh_key_close(key);
}

int main(void)
{
    describes(curve, "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U",
              "{\"kty\":\"EC\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":\"x_"
              "FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\",\"use\":\"sig\",\"alg\":\"ES256\","
              "\"kid\":\"oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U\",\"crv\":\"P-256\"}");
    describes(
        rsa, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        "{\"kty\":\"RSA\",\"n\":"
        "\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_"
        "BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_"
        "FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-"
        "bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw\","
        "\"e\":\"AQAB\",\"use\":\"sig\",\"alg\":\"RS256\",\"kid\":\"NzbLsXh8uDCcd-6MNwXF4W_"
        "7noWXFZAfHkxZsRGC9Xs\"}");
    return check_report();
}
