/* A key-encryption key in a file of its own. */
#include "base/file.h"
#include "vault/kek_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum gh_error_code failed(const char *path, const char *why, struct gh_error *error)
{
    return gh_error_set(error, GH_ERROR_KEYS, "%s: %s", path, why);
}

static enum gh_error_code path_of(const char *folder, const struct gh_kek_record *record,
                                  struct gh_slice detail, char out[PATH_MAX],
                                  struct gh_error *error)
{
    int size = detail.size > 0 ? snprintf(out, PATH_MAX, "%.*s", GH_PRINT(detail))
                               : snprintf(out, PATH_MAX, "%s/keys/kek-%08x.key", folder,
                                          (unsigned)record->number);
    if (size < 0 || size >= PATH_MAX)
        return failed(folder, "the path is too long", error);
    if (detail.size > 0 && out[0] != '/')
        return failed(out, "the path of a key must begin with /", error);
    return GH_OK;
}

static enum gh_error_code file_open(struct gh_kek *kek, const char *folder,
                                    const struct gh_kek_record *record, struct gh_slice detail,
                                    struct gh_error *error)
{
    char path[PATH_MAX];
    uint8_t key[GH_SEAL_KEY_BYTES + 1];
    struct gh_buffer bytes = gh_buffer_fixed(key, sizeof key);
    enum gh_error_code code = path_of(folder, record, detail, path, error);
    if (code == GH_OK)
        code = gh_kek_read_file(path, GH_SEAL_KEY_BYTES, &bytes, error);
    if (code == GH_OK && bytes.size != GH_SEAL_KEY_BYTES)
        code = failed(path, "it is no key of 32 bytes", error);
    if (code == GH_OK)
        code = gh_kek_take(kek, key, error);
    gh_secret_wipe(key, sizeof key);
    return code;
}

static enum gh_error_code file_create(struct gh_kek *kek, const char *folder,
                                      const struct gh_kek_record *record, struct gh_slice detail,
                                      struct gh_buffer *material, struct gh_error *error)
{
    char path[PATH_MAX];
    uint8_t key[GH_SEAL_KEY_BYTES];
    (void)material;
    enum gh_error_code code = path_of(folder, record, detail, path, error);
    if (code != GH_OK)
        return code;
    if (detail.size > 0 && access(path, F_OK) == 0)
        return file_open(kek, folder, record, detail, error);
    gh_random(key, sizeof key);
    /* The key and its name are durable before it is used. */
    code = gh_file_make(path, gh_slice(key, sizeof key), 0400)
               ? gh_kek_take(kek, key, error)
               : failed(path, strerror(errno), error);
    gh_secret_wipe(key, sizeof key);
    return code;
}

/* What was written over the key may still lie beside it on a disk that writes elsewhere; that is
 * why a shredded tenant's key is wrapped as well. */
static enum gh_error_code file_destroy(const char *folder, const struct gh_kek_record *record,
                                       struct gh_slice detail, struct gh_error *error)
{
    char path[PATH_MAX];
    uint8_t random[GH_SEAL_KEY_BYTES];
    enum gh_error_code code = path_of(folder, record, detail, path, error);
    if (code != GH_OK || detail.size > 0)
        return code;
    if (chmod(path, 0600) != 0)
        return errno == ENOENT ? GH_OK : failed(path, strerror(errno), error);
    int file = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    gh_random(random, sizeof random);
    bool gone = file >= 0 && write(file, random, sizeof random) == sizeof random &&
                fsync(file) == 0 && gh_file_remove(path);
    int why = errno;
    if (file >= 0)
        close(file);
    return gone ? GH_OK : failed(path, strerror(why), error);
}

const struct gh_kek_place gh_kek_file = {"file", file_create, file_open, file_destroy};
