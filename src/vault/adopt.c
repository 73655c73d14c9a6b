/* Folders of versions before the keyring: their keys lay in files of their own. */
#include "base/file.h"
#include "vault/kek_internal.h"
#include "vault/keyring.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PASSWORD_KEY_BYTES = 32 };

/* A secret's name in the keyring is the name of its file before. */
static const char *const names[] = {GH_KEYRING_CA, GH_KEYRING_PASSWORDS, GH_KEYRING_TOKENS};
/* What a crash may have left of a file that was being replaced: keys that were never used. */
static const char *const drafts[] = {"token.keys.new"};

static void path_of(const char *folder, const char *name, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%.*s/keys/%s", PATH_MAX - 128, folder, name);
}

/* The file into the keyring; `*changed` when that is new. One that the keyring holds too is what a
 * crash left between saving and removing. */
static enum gh_error_code adopt(struct gh_keyring *keyring, const char *path, const char *name,
                                bool *changed, struct gh_error *error)
{
    struct gh_buffer bytes;
    const struct gh_secret *held = gh_keyring_get(keyring, name);
    if (access(path, F_OK) != 0)
        return GH_OK;
    gh_buffer_init(&bytes, GH_KEYRING_SECRET_BYTES_MAX + 1);
    enum gh_error_code code = gh_kek_read_file(path, GH_KEYRING_SECRET_BYTES_MAX, &bytes, error);
    if (code == GH_OK && held != NULL &&
        !gh_secret_equal(gh_secret_bytes(held), gh_buffer_slice(&bytes)))
        code = gh_error_set(error, GH_ERROR_KEYS,
                            "%s: the keyring holds another key of this name; take the file away",
                            path);
    if (code == GH_OK && held == NULL) {
        code = gh_keyring_put(keyring, name, gh_buffer_slice(&bytes), error);
        *changed = true;
    }
    if (bytes.data != NULL)
        gh_secret_wipe(bytes.data, bytes.capacity);
    gh_buffer_deinit(&bytes);
    return code;
}

/* Overwritten before it goes: the best that can be done on a disk that writes in place. */
static enum gh_error_code erase(const char *path, struct gh_error *error)
{
    uint8_t random[4096];
    struct stat info;
    if (access(path, F_OK) != 0)
        return GH_OK;
    (void)chmod(path, 0600);
    int file = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    bool done = file >= 0 && fstat(file, &info) == 0;
    for (off_t at = 0; done && at < info.st_size; at += (off_t)sizeof random) {
        size_t size =
            info.st_size - at < (off_t)sizeof random ? (size_t)(info.st_size - at) : sizeof random;
        gh_random(random, size);
        done = pwrite(file, random, size, at) == (ssize_t)size;
    }
    done = done && fsync(file) == 0 && gh_file_remove(path);
    int why = errno;
    if (file >= 0)
        close(file);
    return done ? GH_OK
                : gh_error_set(error, GH_ERROR_KEYS, "%s: cannot be removed: %s", path,
                               strerror(why));
}

/* Folders older than passwords of devices have no key for them. */
static enum gh_error_code complete(struct gh_keyring *keyring, bool *changed,
                                   struct gh_error *error)
{
    uint8_t key[PASSWORD_KEY_BYTES];
    if (gh_keyring_get(keyring, GH_KEYRING_PASSWORDS) != NULL)
        return GH_OK;
    *changed = true;
    gh_random(key, sizeof key);
    enum gh_error_code code =
        gh_keyring_put(keyring, GH_KEYRING_PASSWORDS, gh_slice(key, sizeof key), error);
    gh_secret_wipe(key, sizeof key);
    return code;
}

struct gh_keyring *gh_keyring_take_over(const char *data_folder, struct gh_error *error)
{
    char path[PATH_MAX];
    path_of(data_folder, GH_KEYRING_CA, path);
    bool changed = !gh_keyring_exists(data_folder);
    if (changed && access(path, F_OK) != 0) {
        gh_error_set(error, GH_ERROR_KEYS,
                     "%s: there is neither a keyring nor a key of the CA (make them with "
                     "`gatehouse init`)",
                     data_folder);
        return NULL;
    }
    struct gh_keyring *keyring = changed ? gh_keyring_create(data_folder, GH_SLICE("file"), error)
                                         : gh_keyring_open(data_folder, error);
    enum gh_error_code code = keyring == NULL ? GH_ERROR_KEYS : GH_OK;
    for (size_t i = 0; code == GH_OK && i < GH_COUNT(names); i++) {
        path_of(data_folder, names[i], path);
        code = adopt(keyring, path, names[i], &changed, error);
    }
    if (code == GH_OK)
        code = complete(keyring, &changed, error);
    if (code == GH_OK && changed)
        code = gh_keyring_save(keyring, error);
    for (size_t i = 0; code == GH_OK && i < GH_COUNT(names) + GH_COUNT(drafts); i++) {
        path_of(data_folder, i < GH_COUNT(names) ? names[i] : drafts[i - GH_COUNT(names)], path);
        code = erase(path, error);
    }
    if (code == GH_OK)
        return keyring;
    if (keyring != NULL && !gh_keyring_exists(data_folder)) {
        /* The next try makes another one: the new KEK is not left lying about. */
        struct gh_kek_record made = gh_keyring_kek(keyring, 0);
        struct gh_error ignored = {0}; /* the first cause is the one to tell */
        (void)!gh_kek_destroy(data_folder, &made, &ignored);
    }
    gh_keyring_close(keyring);
    return NULL;
}
