#include "vault/kek.h"
#include "vault/kek_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct gh_kek_place *const places[] = {&gh_kek_file, &gh_kek_pkcs11, &gh_kek_tpm};

/* The place that the text names; NULL with the cause. */
static const struct gh_kek_place *place_of(struct gh_slice text, struct gh_slice *detail,
                                           struct gh_error *error)
{
    *detail = text;
    struct gh_slice name = gh_slice_split(detail, ':');
    for (size_t i = 0; text.size <= GH_KEK_TEXT_MAX && i < GH_COUNT(places); i++)
        if (gh_slice_equal(name, gh_slice_text(places[i]->name)))
            return places[i];
    gh_error_set(error, GH_ERROR_KEYS,
                 "\"%.*s\" is no place for a key: file, file:PATH, pkcs11:URI, tpm or "
                 "tpm:pcrs=N;tcti=NAME",
                 GH_PRINT(gh_slice_sub(text, 0, text.size < 200 ? text.size : 200)));
    return NULL;
}

static struct gh_kek *kek_new(const struct gh_kek_place *place, struct gh_error *error)
{
    struct gh_kek *kek = calloc(1, sizeof *kek);
    if (kek == NULL)
        gh_error_set(error, GH_ERROR_MEMORY, "no memory for the key-encryption key");
    else
        kek->place = place;
    return kek;
}

struct gh_kek *gh_kek_create(const char *data_folder, const struct gh_kek_record *record,
                             struct gh_buffer *material, struct gh_error *error)
{
    struct gh_slice detail;
    const struct gh_kek_place *place = place_of(record->text, &detail, error);
    struct gh_kek *kek = place == NULL ? NULL : kek_new(place, error);
    if (kek == NULL)
        return NULL;
    enum gh_error_code code = place->create(kek, data_folder, record, detail, material, error);
    if (code == GH_OK && material->overflow)
        code = gh_error_set(error, GH_ERROR_MEMORY, "no memory for the key-encryption key");
    if (code == GH_OK)
        return kek;
    gh_kek_close(kek);
    return NULL;
}

struct gh_kek *gh_kek_open(const char *data_folder, const struct gh_kek_record *record,
                           struct gh_error *error)
{
    struct gh_slice detail;
    const struct gh_kek_place *place = place_of(record->text, &detail, error);
    struct gh_kek *kek = place == NULL ? NULL : kek_new(place, error);
    if (kek == NULL || place->open(kek, data_folder, record, detail, error) == GH_OK)
        return kek;
    gh_kek_close(kek);
    return NULL;
}

void gh_kek_close(struct gh_kek *kek)
{
    if (kek == NULL)
        return;
    gh_secret_close(kek->key);
    gh_kek_pkcs11_close(kek);
    free(kek);
}

struct gh_seal_cipher gh_kek_cipher(struct gh_kek *kek)
{
    return kek->key != NULL ? gh_seal_cipher(gh_secret_bytes(kek->key).data)
                            : gh_kek_pkcs11_cipher(kek);
}

enum gh_error_code gh_kek_destroy(const char *data_folder, const struct gh_kek_record *record,
                                  struct gh_error *error)
{
    struct gh_slice detail;
    const struct gh_kek_place *place = place_of(record->text, &detail, error);
    return place == NULL ? GH_ERROR_KEYS : place->destroy(data_folder, record, detail, error);
}

enum gh_error_code gh_kek_take(struct gh_kek *kek, uint8_t key[GH_SEAL_KEY_BYTES],
                               struct gh_error *error)
{
    kek->key = gh_secret_open(gh_slice(key, GH_SEAL_KEY_BYTES));
    gh_secret_wipe(key, GH_SEAL_KEY_BYTES);
    return kek->key != NULL
               ? GH_OK
               : gh_error_set(error, GH_ERROR_MEMORY, "no memory for the key-encryption key");
}

enum gh_error_code gh_kek_read_file(const char *path, size_t size_max, struct gh_buffer *out,
                                    struct gh_error *error)
{
    struct stat info;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0)
        return gh_error_set(error, GH_ERROR_KEYS, "%s: %s", path, strerror(errno));
    bool known = fstat(file, &info) == 0 && S_ISREG(info.st_mode);
    uint8_t *to = gh_buffer_reserve(out, size_max + 1);
    ssize_t got = known && to != NULL ? read(file, to, size_max + 1) : -1;
    close(file);
    if (got < 0)
        return gh_error_set(error, GH_ERROR_KEYS, "%s: it cannot be read", path);
    if ((info.st_mode & 077) != 0) {
        gh_secret_wipe(to, (size_t)got);
        return gh_error_set(error, GH_ERROR_KEYS, "%s: others can read it (mode %04o); set 0400",
                            path, (unsigned)(info.st_mode & 07777));
    }
    if ((size_t)got > size_max) {
        gh_secret_wipe(to, (size_t)got);
        return gh_error_set(error, GH_ERROR_KEYS, "%s: more than %zu bytes", path, size_max);
    }
    gh_buffer_commit(out, (size_t)got);
    return GH_OK;
}
