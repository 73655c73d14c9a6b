#include "registry/password.h"
#include "tests/check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gh_device_passwords *passwords;
static struct gh_error error;

#define LONG_A "0123456789abcdef0123"
#define LONG_B "0123456789abcdef0124"

static struct gh_slice stored_of(const char *secret, char text[GH_SECRET_STORED_MAX])
{
    REQUIRE("it is stored",
            gh_device_password_store(passwords, gh_slice_text(secret), text, &error) == GH_OK);
    return gh_slice_text(text);
}

static bool verify(const char *secret, const struct gh_slice *stored, size_t count, size_t *which)
{
    return gh_device_password_verify(passwords, gh_slice_text(secret), stored, count, which);
}

/* --- one secret against one stored text --- */

static const struct {
    const char *claim, *stored, *shown;
    bool right;
} cases[] = {
    {"a long one", LONG_A, LONG_A, true},
    {"another long one", LONG_A, LONG_B, false},
    {"a long one cut off", LONG_A "4", LONG_A, false},
    {"a long one with more behind it", LONG_A, LONG_A "4", false},
    {"a short one", "password", "password", true},
    {"another short one", "password", "passwore", false},
    {"a short one cut below the minimum", "password", "passwor", false},
    {"the longest short one", "0123456789abcdef012", "0123456789abcdef012", true},
    {"a short one shown as a long one", "password", "password------------", false},
    {"a long one shown as a short one", LONG_A, "0123456789abcdef012", false},
    {"nothing", LONG_A, "", false},
};

static void check_cases(void)
{
    for (size_t i = 0; i < GH_COUNT(cases); i++) {
        char text[GH_SECRET_STORED_MAX];
        struct gh_slice stored = stored_of(cases[i].stored, text);
        size_t which = 9;
        CHECK(cases[i].claim, verify(cases[i].shown, &stored, 1, &which) == cases[i].right);
        CHECK(cases[i].claim, which == (cases[i].right ? 0 : 9));
        CHECK("the secret is not in the stored text", strstr(text, cases[i].stored) == NULL);
    }
}

static void check_sizes(void)
{
    static const struct {
        size_t size;
        bool taken;
    } sizes[] = {{0, false}, {7, false},  {8, true},   {19, true},
                 {20, true}, {128, true}, {129, false}};
    char secret[130], text[GH_SECRET_STORED_MAX];
    size_t which;
    memset(secret, 's', sizeof secret);
    for (size_t i = 0; i < GH_COUNT(sizes); i++) {
        enum gh_error_code code =
            gh_device_password_store(passwords, gh_slice(secret, sizes[i].size), text, &error);
        CHECK("sizes at the bounds", code == (sizes[i].taken ? GH_OK : GH_ERROR_INVALID));
    }
    struct gh_slice stored;
    REQUIRE("128 bytes",
            gh_device_password_store(passwords, gh_slice(secret, 128), text, &error) == GH_OK);
    stored = gh_slice_text(text);
    CHECK("129 bytes are not the first 128",
          !gh_device_password_verify(passwords, gh_slice(secret, 129), &stored, 1, &which));
    CHECK("20 bytes are stored by HMAC",
          strncmp(text, "$hmac-sha256$v=1$", 17) == 0 && strlen(text) == 17 + 32 + 1 + 64);
    stored_of("password", text);
    CHECK("8 bytes by argon2id at 19 MiB",
          strncmp(text, "$argon2id$v=19$m=19456,t=2,p=1$", 31) == 0);
}

/* Two generations side by side, and credentials of other kinds between them. */
static void check_generations(void)
{
    char a[GH_SECRET_STORED_MAX], b[GH_SECRET_STORED_MAX], c[GH_SECRET_STORED_MAX];
    struct gh_slice stored[] = {stored_of(LONG_A, a), stored_of("password", b),
                                stored_of(LONG_B, c)};
    size_t which = 9;
    CHECK("the first", verify(LONG_A, stored, 3, &which) && which == 0);
    CHECK("the second", verify("password", stored, 3, &which) && which == 1);
    CHECK("the second again, remembered", verify("password", stored, 3, &which) && which == 1);
    CHECK("the third", verify(LONG_B, stored, 3, &which) && which == 2);
    CHECK("no device", !verify(LONG_A, NULL, 0, &which));
    CHECK("no device, a short one", !verify("password", NULL, 0, &which));
}

/* What was remembered does not outlive the credential. */
static void check_replaced(void)
{
    char a[GH_SECRET_STORED_MAX], b[GH_SECRET_STORED_MAX];
    struct gh_slice before = stored_of("password", a), after = stored_of("passwore", b);
    size_t which;
    CHECK("the old one", verify("password", &before, 1, &which));
    CHECK("not with the new text", !verify("password", &after, 1, &which));
    CHECK("the same secret has another text each time",
          !gh_slice_equal(stored_of("password", b), gh_slice_text(a)));
}

static void check_damaged(void)
{
    static const char *const texts[] = {"",
                                        "$",
                                        "$argon2id$",
                                        "$argon2id$v=19$m=19456,t=2,p=1$xx$yy",
                                        "$hmac-sha256$v=1$",
                                        "$hmac-sha256$v=1$00$00",
                                        LONG_A,
                                        "password"};
    size_t which;
    for (size_t i = 0; i < GH_COUNT(texts); i++) {
        struct gh_slice stored = gh_slice_text(texts[i]);
        CHECK("a damaged text is nobody's, long", !verify(LONG_A, &stored, 1, &which));
        CHECK("a damaged text is nobody's, short", !verify("password", &stored, 1, &which));
    }
}

/* --- the key --- */

static void check_key(void)
{
    static const char key[] = "another key, of 32 bytes as well";
    char text[GH_SECRET_STORED_MAX];
    size_t which;
    struct gh_device_passwords *first = gh_device_passwords_with(gh_slice_text(key));
    struct gh_device_passwords *second = gh_device_passwords_with(gh_slice_text(key));
    REQUIRE("opened", first != NULL && second != NULL);
    REQUIRE("stored", gh_device_password_store(first, GH_SLICE(LONG_A), text, &error) == GH_OK);
    struct gh_slice stored = gh_slice_text(text);
    CHECK("the same key verifies after a restart",
          gh_device_password_verify(second, GH_SLICE(LONG_A), &stored, 1, &which));
    CHECK("another key verifies nothing",
          !gh_device_password_verify(passwords, GH_SLICE(LONG_A), &stored, 1, &which));
    gh_device_passwords_close(first);
    gh_device_passwords_close(second);
}

int main(void)
{
    passwords = gh_device_passwords_with(GH_SLICE("a key of 32 bytes for the tests.."));
    REQUIRE("passwords", passwords != NULL);
    check_cases();
    check_sizes();
    check_generations();
    check_replaced();
    check_damaged();
    check_key();
    gh_device_passwords_close(passwords);
    return check_report();
}
