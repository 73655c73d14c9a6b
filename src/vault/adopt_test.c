#include "tests/check.h"
#include "vault/keyring.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH = 512 };
static char data[PATH - 64];

static void put(const char *name, const char *text, mode_t mode)
{
    char path[PATH];
    snprintf(path, sizeof path, "%s/keys/%s", data, name);
    FILE *file = fopen(path, "we");
    REQUIRE("a file",
            file != NULL && fputs(text, file) >= 0 && fclose(file) == 0 && chmod(path, mode) == 0);
}

static bool there(const char *name)
{
    char path[PATH];
    snprintf(path, sizeof path, "%s/keys/%s", data, name);
    return access(path, F_OK) == 0;
}

static bool says(const char *words)
{
    struct gh_error error = {0};
    struct gh_keyring *keyring = gh_keyring_take_over(data, &error);
    bool as_said = keyring == NULL && strstr(error.text, words) != NULL;
    if (!as_said)
        fprintf(stderr, "said: %s\n", error.text);
    gh_keyring_close(keyring);
    return as_said;
}

static bool opens(const char *ca, const char *passwords)
{
    struct gh_error error = {0};
    struct gh_keyring *keyring = gh_keyring_take_over(data, &error);
    if (keyring == NULL)
        fprintf(stderr, "%s\n", error.text);
    bool right = keyring != NULL && gh_keyring_count(keyring) == 2 &&
                 gh_slice_equal(gh_secret_bytes(gh_keyring_get(keyring, GH_KEYRING_CA)),
                                gh_slice_text(ca)) &&
                 (passwords == NULL ||
                  gh_slice_equal(gh_secret_bytes(gh_keyring_get(keyring, GH_KEYRING_PASSWORDS)),
                                 gh_slice_text(passwords)));
    gh_keyring_close(keyring);
    return right && !there(GH_KEYRING_CA) && !there(GH_KEYRING_PASSWORDS);
}

static void make_folder(void)
{
    static int count;
    char keys[PATH];
    snprintf(data, sizeof data, "%.400s/%d", check_folder(), ++count);
    snprintf(keys, sizeof keys, "%s/keys", data);
    REQUIRE("a data folder", mkdir(data, 0700) == 0 && mkdir(keys, 0700) == 0);
}

int main(void)
{
    make_folder();
    CHECK("an empty folder is none", says("neither a keyring nor a key") && !there("keyring"));
    put(GH_KEYRING_CA, "the authority", 0644);
    CHECK("a key that others could read is not trusted", says("others can read it"));

    make_folder();
    put(GH_KEYRING_CA, "the authority", 0600);
    put(GH_KEYRING_PASSWORDS, "0123456789abcdef0123456789abcdef", 0400);
    CHECK("keys in files move into the keyring",
          opens("the authority", "0123456789abcdef0123456789abcdef"));
    CHECK("once", opens("the authority", "0123456789abcdef0123456789abcdef"));
    put(GH_KEYRING_CA, "the authority", 0600);
    CHECK("a crash before the file was removed",
          opens("the authority", "0123456789abcdef0123456789abcdef"));
    put(GH_KEYRING_CA, "another one", 0600);
    CHECK("two keys of one name are not chosen from", says("holds another key of this name"));

    make_folder();
    put(GH_KEYRING_CA, "the authority", 0600);
    CHECK("a folder without a password key gets one", opens("the authority", NULL));
    return check_report();
}
