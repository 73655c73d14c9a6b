#include "tests/check.h"
#include "vault/keyring.h"
#include <dirent.h>
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

/* What the keyring holds after it was taken over; NULL: it does not matter, "": nothing. */
static bool opens(const char *ca, const char *passwords, const char *tokens)
{
    const struct {
        const char *name, *text;
    } rows[] = {
        {GH_KEYRING_CA, ca}, {GH_KEYRING_PASSWORDS, passwords}, {GH_KEYRING_TOKENS, tokens}};
    struct gh_error error = {0};
    struct gh_keyring *keyring = gh_keyring_take_over(data, &error);
    if (keyring == NULL)
        fprintf(stderr, "%s\n", error.text);
    bool right = keyring != NULL && !there("token.keys.new");
    for (size_t i = 0; right && i < GH_COUNT(rows); i++) {
        const struct gh_secret *held = gh_keyring_get(keyring, rows[i].name);
        struct gh_slice bytes = held != NULL ? gh_secret_bytes(held) : GH_SLICE("");
        right = !there(rows[i].name) &&
                (rows[i].text == NULL || gh_slice_equal(bytes, gh_slice_text(rows[i].text)));
    }
    gh_keyring_close(keyring);
    return right;
}

static size_t count_files(void)
{
    char keys[PATH];
    snprintf(keys, sizeof keys, "%s/keys", data);
    DIR *folder = opendir(keys);
    REQUIRE("the folder of keys", folder != NULL);
    size_t count = 0;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
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
    CHECK("and no key-encryption key is left behind", count_files() == 1);

    make_folder();
    put(GH_KEYRING_CA, "the authority", 0600);
    put(GH_KEYRING_PASSWORDS, "0123456789abcdef0123456789abcdef", 0400);
    CHECK("keys in files move into the keyring",
          opens("the authority", "0123456789abcdef0123456789abcdef", ""));
    CHECK("once", opens("the authority", "0123456789abcdef0123456789abcdef", ""));
    put(GH_KEYRING_CA, "the authority", 0600);
    CHECK("a crash before the file was removed",
          opens("the authority", "0123456789abcdef0123456789abcdef", ""));
    put(GH_KEYRING_CA, "another one", 0600);
    CHECK("two keys of one name are not chosen from", says("holds another key of this name"));

    make_folder();
    put(GH_KEYRING_CA, "the authority", 0600);
    CHECK("a folder without a password key gets one", opens("the authority", NULL, ""));
    put(GH_KEYRING_TOKENS, "the token keys", 0600);
    put("token.keys.new", "a draft", 0600);
    CHECK("a secret that came later moves into the keyring that is there",
          opens("the authority", NULL, "the token keys"));
    CHECK("and stays", opens("the authority", NULL, "the token keys"));
    put(GH_KEYRING_TOKENS, "the token keys", 0644);
    CHECK("what others could read meanwhile is not trusted",
          says("others can read it") && there(GH_KEYRING_TOKENS));
    return check_report();
}
