#include "vault/keyring.h"
#include "base/file.h"
#include "vault/kek_internal.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 2 * 1024 * 1024 };

static const struct gh_slice known_text = GH_SLICE_INIT("gatehouse keyring");
static const struct gh_slice known_field = GH_SLICE_INIT("keyring check");
static const struct gh_slice secret_field = GH_SLICE_INIT("keyring secret");

struct held_kek {
    struct gh_kek_record record; /* its slices are in `text` and `material` */
    struct gh_buffer text, material;
    struct gh_kek *kek; /* NULL for an old one that is not there any more */
};

struct gh_keyring {
    char folder[PATH_MAX - 64], path[PATH_MAX];
    struct held_kek keks[GH_KEYRING_KEKS_MAX];
    size_t keks_count;
    struct {
        char name[GH_KEYRING_NAME_BYTES_MAX + 1];
        struct gh_secret *secret;
    } secrets[GH_KEYRING_SECRETS_MAX];
    size_t secrets_count;
};

/* --- opening and closing --- */

static bool path_of(const char *folder, char out[PATH_MAX])
{
    int size = snprintf(out, PATH_MAX, "%s/keys/keyring", folder);
    return size > 0 && size < PATH_MAX - 64;
}

bool gh_keyring_exists(const char *data_folder)
{
    char path[PATH_MAX];
    return path_of(data_folder, path) && access(path, F_OK) == 0;
}

static struct gh_keyring *keyring_new(const char *folder, struct gh_error *error)
{
    struct gh_keyring *keyring = calloc(1, sizeof *keyring);
    if (keyring == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "no memory for the keyring");
        return NULL;
    }
    if (path_of(folder, keyring->path)) {
        snprintf(keyring->folder, sizeof keyring->folder, "%.*s", (int)sizeof keyring->folder - 1,
                 folder);
        return keyring;
    }
    gh_error_set(error, GH_ERROR_KEYS, "%s: the path is too long", folder);
    free(keyring);
    return NULL;
}

static void kek_release(struct held_kek *held)
{
    gh_kek_close(held->kek);
    gh_buffer_deinit(&held->text);
    gh_buffer_deinit(&held->material);
    *held = (struct held_kek){0};
}

void gh_keyring_close(struct gh_keyring *keyring)
{
    if (keyring == NULL)
        return;
    for (size_t i = 0; i < keyring->keks_count; i++)
        kek_release(&keyring->keks[i]);
    for (size_t i = 0; i < keyring->secrets_count; i++)
        gh_secret_close(keyring->secrets[i].secret);
    free(keyring);
}

/* Takes copies of the record's text and, when it has any, material. */
static bool kek_hold(struct held_kek *held, const struct gh_kek_record *record)
{
    gh_buffer_init(&held->text, GH_KEK_TEXT_MAX);
    gh_buffer_init(&held->material, GH_KEK_MATERIAL_MAX);
    gh_buffer_put(&held->text, record->text);
    gh_buffer_put(&held->material, record->material);
    held->record = (struct gh_kek_record){record->number, gh_buffer_slice(&held->text),
                                          gh_buffer_slice(&held->material)};
    return !held->text.overflow && !held->material.overflow;
}

static enum gh_error_code kek_make(struct gh_keyring *keyring, struct gh_slice text,
                                   struct held_kek *held, struct gh_error *error)
{
    struct gh_kek_record record = {.text = text};
    do
        gh_random(&record.number, sizeof record.number);
    while (record.number == 0 ||
           (keyring->keks_count > 0 && keyring->keks[0].record.number == record.number));
    if (!kek_hold(held, &record))
        return gh_error_set(error, GH_ERROR_KEYS, "the place of a key has at most %d bytes",
                            GH_KEK_TEXT_MAX);
    held->kek = gh_kek_create(keyring->folder, &held->record, &held->material, error);
    held->record.material = gh_buffer_slice(&held->material);
    return held->kek != NULL ? GH_OK : GH_ERROR_KEYS;
}

struct gh_keyring *gh_keyring_create(const char *data_folder, struct gh_slice text,
                                     struct gh_error *error)
{
    struct gh_keyring *keyring = keyring_new(data_folder, error);
    if (keyring == NULL)
        return NULL;
    keyring->keks_count = 1;
    if (kek_make(keyring, text, &keyring->keks[0], error) == GH_OK)
        return keyring;
    gh_keyring_close(keyring);
    return NULL;
}

/* --- sealing --- */

static struct gh_seal_place check_place(uint32_t number, char row[16])
{
    snprintf(row, 16, "%08x", (unsigned)number);
    return (struct gh_seal_place){0, known_field, gh_slice_text(row)};
}

static enum gh_error_code seal_with(struct held_kek *held, const struct gh_seal_place *place,
                                    struct gh_slice plain, struct gh_buffer *out,
                                    struct gh_error *error)
{
    uint8_t nonce[GH_SEAL_NONCE_BYTES];
    struct gh_seal_cipher cipher = gh_kek_cipher(held->kek);
    gh_random(nonce, sizeof nonce);
    return gh_seal(&cipher, held->record.number, place, nonce, plain, out) == GH_SEAL_OK
               ? GH_OK
               : gh_error_set(error, GH_ERROR_KEYS, "the key-encryption key %.*s does not encrypt",
                              GH_PRINT(held->record.text));
}

enum gh_error_code gh_keyring_seal(struct gh_keyring *keyring, const struct gh_seal_place *place,
                                   struct gh_slice plain, struct gh_buffer *out,
                                   struct gh_error *error)
{
    return seal_with(&keyring->keks[0], place, plain, out, error);
}

enum gh_error_code gh_keyring_unseal(struct gh_keyring *keyring, const struct gh_seal_place *place,
                                     struct gh_slice sealed, struct gh_buffer *out,
                                     struct gh_error *error)
{
    static const char *const why[] = {[GH_SEAL_MALFORMED] = "it is damaged",
                                      [GH_SEAL_UNKNOWN] = "a newer Gatehouse wrote it",
                                      [GH_SEAL_REFUSED] =
                                          "it was changed, or belongs somewhere else",
                                      [GH_SEAL_FAILED] = "the key does not answer"};
    struct gh_sealed read = {0};
    enum gh_seal_status status = gh_sealed_read(sealed, &read);
    for (size_t i = 0; status == GH_SEAL_OK && i < keyring->keks_count; i++) {
        struct held_kek *held = &keyring->keks[i];
        if (held->record.number != read.key || held->kek == NULL)
            continue;
        struct gh_seal_cipher cipher = gh_kek_cipher(held->kek);
        status = gh_unseal(&cipher, place, sealed, out);
        if (status == GH_SEAL_OK)
            return GH_OK;
    }
    if (status == GH_SEAL_OK)
        return gh_error_set(error, GH_ERROR_KEYS,
                            "%.*s %.*s: sealed under key-encryption key %08x, which is not here",
                            GH_PRINT(place->field), GH_PRINT(place->row), (unsigned)read.key);
    return gh_error_set(error, GH_ERROR_KEYS, "%.*s %.*s cannot be opened: %s",
                        GH_PRINT(place->field), GH_PRINT(place->row), why[status]);
}

/* --- reading the file --- */

static enum gh_error_code kek_read(struct gh_keyring *keyring,
                                   const struct gh_keyring_form_kek *form, struct held_kek *held,
                                   struct gh_error *error)
{
    char row[16];
    uint8_t block[64];
    struct gh_buffer plain = gh_buffer_fixed(block, sizeof block);
    struct gh_seal_place place = check_place(form->record.number, row);
    if (!kek_hold(held, &form->record))
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory for the keyring");
    held->kek = gh_kek_open(keyring->folder, &held->record, error);
    if (held->kek == NULL)
        return GH_ERROR_KEYS;
    struct gh_seal_cipher cipher = gh_kek_cipher(held->kek);
    enum gh_seal_status status = gh_unseal(&cipher, &place, form->check, &plain);
    if (status == GH_SEAL_OK && gh_slice_equal(gh_buffer_slice(&plain), known_text))
        return GH_OK;
    gh_kek_close(held->kek);
    held->kek = NULL;
    return gh_error_set(error, GH_ERROR_KEYS,
                        "%s: the key at %.*s is not the key-encryption key %08x of this keyring",
                        keyring->path, GH_PRINT(held->record.text), (unsigned)held->record.number);
}

static enum gh_error_code secret_read(struct gh_keyring *keyring,
                                      const struct gh_keyring_form_secret *form,
                                      struct gh_error *error)
{
    static uint8_t block[GH_KEYRING_SECRET_BYTES_MAX + 1];
    char name[GH_KEYRING_NAME_BYTES_MAX + 1];
    struct gh_buffer plain = gh_buffer_fixed(block, sizeof block);
    struct gh_seal_place place = {0, secret_field, form->name};
    snprintf(name, sizeof name, "%.*s", GH_PRINT(form->name));
    enum gh_error_code code = gh_keyring_unseal(keyring, &place, form->sealed, &plain, error);
    if (code == GH_OK)
        code = gh_keyring_put(keyring, name, gh_buffer_slice(&plain), error);
    gh_secret_wipe(block, sizeof block);
    return code;
}

static enum gh_error_code read_form(struct gh_keyring *keyring, const struct gh_keyring_form *form,
                                    struct gh_error *error)
{
    enum gh_error_code code = GH_OK;
    for (size_t i = 0; code == GH_OK && i < form->keks_count; i++) {
        struct gh_error why = {0};
        keyring->keks_count++;
        code = kek_read(keyring, &form->keks[i], &keyring->keks[i], &why);
        if (code != GH_OK && i == 0)
            gh_error_set(error, code, "%s", why.text);
        else
            code = GH_OK; /* an old one may be destroyed already */
    }
    for (size_t i = 0; code == GH_OK && i < form->secrets_count; i++)
        code = secret_read(keyring, &form->secrets[i], error);
    return code;
}

struct gh_keyring *gh_keyring_open(const char *data_folder, struct gh_error *error)
{
    struct gh_keyring *keyring = keyring_new(data_folder, error);
    struct gh_keyring_form *form = calloc(1, sizeof *form);
    struct gh_buffer bytes;
    gh_buffer_init(&bytes, FILE_BYTES_MAX + 1);
    bool opened = false;
    if (keyring != NULL && form == NULL)
        gh_error_set(error, GH_ERROR_MEMORY, "no memory for the keyring");
    else if (keyring != NULL &&
             gh_kek_read_file(keyring->path, FILE_BYTES_MAX, &bytes, error) == GH_OK) {
        if (!gh_keyring_form_read(gh_buffer_slice(&bytes), form))
            gh_error_set(error, GH_ERROR_KEYS,
                         "%s: it is no keyring, is damaged, or was written by a newer Gatehouse",
                         keyring->path);
        else
            opened = read_form(keyring, form, error) == GH_OK;
    }
    gh_buffer_deinit(&bytes);
    free(form);
    if (opened)
        return keyring;
    gh_keyring_close(keyring);
    return NULL;
}

/* --- writing the file --- */

static enum gh_error_code write_file(const struct gh_keyring *keyring, struct gh_slice bytes,
                                     struct gh_error *error)
{
    return gh_file_replace(keyring->path, bytes, 0600)
               ? GH_OK
               : gh_error_set(error, GH_ERROR_KEYS, "%s: cannot be written: %s", keyring->path,
                              strerror(errno));
}

/* Everything sealed into `seals`, one behind the other; `form` points into it. */
static enum gh_error_code make_form(struct gh_keyring *keyring, struct gh_keyring_form *form,
                                    struct gh_buffer *seals, struct gh_error *error)
{
    size_t ends[GH_KEYRING_KEKS_MAX + GH_KEYRING_SECRETS_MAX], ends_count = 0, from = 0;
    enum gh_error_code code = GH_OK;
    for (size_t i = 0; code == GH_OK && i < keyring->keks_count; i++) {
        char row[16];
        struct gh_seal_place place = check_place(keyring->keks[i].record.number, row);
        if (keyring->keks[i].kek != NULL) /* one that is gone needs no check any more */
            code = seal_with(&keyring->keks[i], &place, known_text, seals, error);
        ends[ends_count++] = seals->size;
    }
    for (size_t i = 0; code == GH_OK && i < keyring->secrets_count; i++) {
        struct gh_seal_place place = {0, secret_field, gh_slice_text(keyring->secrets[i].name)};
        code = gh_keyring_seal(keyring, &place, gh_secret_bytes(keyring->secrets[i].secret), seals,
                               error);
        ends[ends_count++] = seals->size;
    }
    for (size_t i = 0; code == GH_OK && i < ends_count; from = ends[i++]) {
        struct gh_slice sealed = gh_slice_sub(gh_buffer_slice(seals), from, ends[i] - from);
        if (i < keyring->keks_count)
            form->keks[i] = (struct gh_keyring_form_kek){keyring->keks[i].record, sealed};
        else
            form->secrets[i - keyring->keks_count] = (struct gh_keyring_form_secret){
                gh_slice_text(keyring->secrets[i - keyring->keks_count].name), sealed};
    }
    form->keks_count = keyring->keks_count;
    form->secrets_count = keyring->secrets_count;
    return code;
}

enum gh_error_code gh_keyring_save(struct gh_keyring *keyring, struct gh_error *error)
{
    struct gh_keyring_form *form = calloc(1, sizeof *form);
    struct gh_buffer seals, bytes;
    gh_buffer_init(&seals, FILE_BYTES_MAX);
    gh_buffer_init(&bytes, FILE_BYTES_MAX);
    enum gh_error_code code =
        form == NULL ? gh_error_set(error, GH_ERROR_MEMORY, "no memory for the keyring")
                     : make_form(keyring, form, &seals, error);
    if (code == GH_OK) {
        gh_keyring_form_write(form, &bytes);
        code = bytes.overflow ? gh_error_set(error, GH_ERROR_MEMORY, "no memory for the keyring")
                              : write_file(keyring, gh_buffer_slice(&bytes), error);
    }
    gh_buffer_deinit(&seals);
    gh_buffer_deinit(&bytes);
    free(form);
    return code;
}

/* --- secrets --- */

static size_t find(const struct gh_keyring *keyring, const char *name)
{
    size_t i = 0;
    while (i < keyring->secrets_count && strcmp(keyring->secrets[i].name, name) != 0)
        i++;
    return i;
}

const struct gh_secret *gh_keyring_get(const struct gh_keyring *keyring, const char *name)
{
    size_t at = find(keyring, name);
    return at < keyring->secrets_count ? keyring->secrets[at].secret : NULL;
}

enum gh_error_code gh_keyring_put(struct gh_keyring *keyring, const char *name,
                                  struct gh_slice bytes, struct gh_error *error)
{
    size_t at = find(keyring, name), name_size = strlen(name);
    assert(name_size > 0 && name_size <= GH_KEYRING_NAME_BYTES_MAX);
    if (at == GH_KEYRING_SECRETS_MAX || bytes.size > GH_KEYRING_SECRET_BYTES_MAX)
        return gh_error_set(error, GH_ERROR_LIMIT,
                            "the keyring holds at most %d secrets of %d bytes",
                            GH_KEYRING_SECRETS_MAX, GH_KEYRING_SECRET_BYTES_MAX);
    struct gh_secret *secret = gh_secret_open(bytes);
    if (secret == NULL)
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory for the keyring");
    gh_secret_close(keyring->secrets[at].secret);
    keyring->secrets[at].secret = secret;
    snprintf(keyring->secrets[at].name, sizeof keyring->secrets[at].name, "%s", name);
    keyring->secrets_count += at == keyring->secrets_count;
    return GH_OK;
}

void gh_keyring_drop(struct gh_keyring *keyring, const char *name)
{
    size_t at = find(keyring, name);
    if (at == keyring->secrets_count)
        return;
    gh_secret_close(keyring->secrets[at].secret);
    for (keyring->secrets_count--; at < keyring->secrets_count; at++)
        keyring->secrets[at] = keyring->secrets[at + 1];
    keyring->secrets[at].secret = NULL;
}

size_t gh_keyring_count(const struct gh_keyring *keyring)
{
    return keyring->secrets_count;
}

const char *gh_keyring_name(const struct gh_keyring *keyring, size_t index)
{
    assert(index < keyring->secrets_count);
    return keyring->secrets[index].name;
}

/* --- rotation --- */

size_t gh_keyring_keks(const struct gh_keyring *keyring)
{
    return keyring->keks_count;
}

struct gh_kek_record gh_keyring_kek(const struct gh_keyring *keyring, size_t index)
{
    assert(index < keyring->keks_count);
    return keyring->keks[index].record;
}

enum gh_error_code gh_keyring_rotate(struct gh_keyring *keyring, struct gh_slice text,
                                     struct gh_error *error)
{
    struct held_kek made = {0};
    if (keyring->keks_count > 1)
        return gh_error_set(error, GH_ERROR_PRECONDITION,
                            "a rotation is under way already; it has to be ended first");
    enum gh_error_code code = kek_make(keyring, text, &made, error);
    if (code != GH_OK) {
        kek_release(&made);
        return code;
    }
    keyring->keks[1] = keyring->keks[0];
    keyring->keks[0] = made;
    keyring->keks_count = 2;
    code = gh_keyring_save(keyring, error);
    if (code == GH_OK)
        return GH_OK;
    struct gh_error ignored = {0}; /* the first cause is the one to tell */
    (void)!gh_kek_destroy(keyring->folder, &keyring->keks[0].record, &ignored);
    kek_release(&keyring->keks[0]);
    keyring->keks[0] = keyring->keks[1];
    keyring->keks[1] = (struct held_kek){0};
    keyring->keks_count = 1;
    return code;
}

enum gh_error_code gh_keyring_renew(struct gh_keyring *keyring, struct gh_error *error)
{
    char text[GH_KEK_TEXT_MAX + 1];
    struct gh_slice place = keyring->keks[0].record.text;
    if (keyring->keks_count > 1)
        return GH_OK;
    if (gh_slice_starts(place, GH_SLICE("file:")))
        return gh_error_set(error, GH_ERROR_PRECONDITION,
                            "%.*s holds the key in use; put the new one elsewhere with "
                            "`gatehouse keys migrate --to file:PATH`",
                            GH_PRINT(place));
    snprintf(text, sizeof text, "%.*s", GH_PRINT(place)); /* the record moves */
    return gh_keyring_rotate(keyring, gh_slice_text(text), error);
}

enum gh_error_code gh_keyring_settle(struct gh_keyring *keyring, struct gh_error *error)
{
    if (keyring->keks_count < 2)
        return GH_OK;
    /* In this order, so that a crash in between leaves a rotation to end and no forgotten key. */
    struct held_kek *old = &keyring->keks[1];
    gh_kek_close(old->kek);
    old->kek = NULL;
    enum gh_error_code code = gh_kek_destroy(keyring->folder, &old->record, error);
    if (code != GH_OK)
        return code;
    kek_release(old);
    keyring->keks_count = 1;
    return gh_keyring_save(keyring, error);
}
