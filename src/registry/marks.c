/* Marks: equal for equal secrets, so that one on two devices is found. Every secret gets its mark
 * when it is registered; one that was stored before there were marks gets it here, at the first
 * moment when it can be read: a symmetric key at start, a password when its device shows it. */
#include "base/log.h"
#include "base/secret.h"
#include "registry/directory_internal.h"
#include "registry/password.h"
#include "registry/sealing.h"
#include <stdio.h>

enum {
    SCOPE_MAX = 32,
    PAGE_ROWS = 500,
    PAGE_BYTES_MAX = 4 << 20,
    KEY_BYTES_MAX = 64 + 4, /* what gh_directory_symmetric_key writes */
};

/* Random secrets are compared over the whole fleet. What a person may have thought of is compared
 * inside its tenant alone: elsewhere the refusal would answer guesses at the passwords of
 * strangers. */
bool gh_mark_secret(const struct gh_directory *directory, int64_t tenant,
                    struct gh_credential *credential, struct gh_slice secret,
                    struct gh_arena *arena)
{
    char scope[SCOPE_MAX] = "", mark[GH_SECRET_MARK_MAX];
    if (directory->passwords == NULL)
        return true;
    if (secret.size < GH_SECRET_LONG_BYTES_MIN && credential->format == GH_CREDENTIAL_PASSWORD)
        snprintf(scope, sizeof scope, "%lld", (long long)tenant);
    return gh_device_password_mark(directory->passwords, gh_slice_text(scope), secret, mark) &&
           gh_arena_copy(arena, gh_slice_text(mark), &credential->mark);
}

/* Two devices that had one secret before there were marks keep it: who they are stands here. */
static void tell_shared(struct gh_directory *directory, uint64_t device,
                        const struct gh_credential *credential)
{
    uint64_t holder = 0;
    if (gh_store_credential_holder(directory->store, device, credential, &holder, NULL) == GH_OK &&
        holder != 0)
        gh_log(GH_LOG_WARN, "registry",
               "devices %llu and %llu have the same secret: give one of them another",
               (unsigned long long)device, (unsigned long long)holder);
}

void gh_directory_mark_used(struct gh_directory *directory, const struct gh_device *device,
                            const struct gh_credential *credential, struct gh_slice secret)
{
    struct gh_credential marked = *credential;
    struct gh_error error = {0};
    struct gh_arena arena;
    if (credential->mark.size > 0 || directory->passwords == NULL)
        return;
    gh_arena_init(&arena, GH_SECRET_MARK_MAX);
    if (gh_mark_secret(directory, device->tenant, &marked, secret, &arena)) {
        struct gh_credential_mark row = {
            .device = device->number, .credential = marked.id, .mark = marked.mark};
        if (gh_store_credential_marks_put(directory->store, &row, 1, &error) != GH_OK)
            gh_log(GH_LOG_WARN, "registry", "a secret has no mark yet: %s", error.text);
        tell_shared(directory, device->number, &marked);
    }
    gh_arena_deinit(&arena);
}

/* Fills in the mark; the row stays without one when its key cannot be opened. */
static void mark_row(struct gh_directory *directory, struct gh_credential_mark *row,
                     struct gh_arena *arena)
{
    uint8_t block[KEY_BYTES_MAX];
    struct gh_buffer key = gh_buffer_fixed(block, sizeof block);
    struct gh_device device = {.number = row->device, .tenant = row->tenant};
    struct gh_credential credential = {
        .format = GH_CREDENTIAL_SYMMETRIC, .id = row->credential, .pem = row->sealed};
    struct gh_error error = {0};
    if (gh_directory_symmetric_key(directory, &device, &credential, &key, &error) != GH_OK)
        gh_log(GH_LOG_WARN, "registry", "credential %.*s of device %llu has no mark: %s",
               GH_PRINT(row->credential), (unsigned long long)row->device, error.text);
    else if (gh_mark_secret(directory, row->tenant, &credential, gh_buffer_slice(&key), arena))
        row->mark = credential.mark;
    gh_secret_wipe(block, sizeof block);
}

enum gh_error_code gh_directory_mark_symmetric(struct gh_directory *directory,
                                               struct gh_error *error)
{
    struct gh_credential_mark *rows, last = {0};
    uint8_t id[GH_CREDENTIAL_ID_MAX];
    size_t count = PAGE_ROWS, total = 0;
    enum gh_error_code code = GH_OK;
    struct gh_arena arena;
    if (directory->passwords == NULL || directory->sealing == NULL)
        return GH_OK;
    gh_arena_init(&arena, PAGE_BYTES_MAX);
    while (code == GH_OK && count == PAGE_ROWS) {
        struct gh_buffer kept = gh_buffer_fixed(id, sizeof id);
        code = gh_store_credential_unmarked(directory->store, &last, PAGE_ROWS, &arena, &rows,
                                            &count, error);
        for (size_t i = 0; code == GH_OK && i < count; i++)
            mark_row(directory, &rows[i], &arena);
        if (code == GH_OK && count > 0)
            code = gh_store_credential_marks_put(directory->store, rows, count, error);
        if (code == GH_OK && count > 0 && gh_buffer_put(&kept, rows[count - 1].credential))
            last = (struct gh_credential_mark){.device = rows[count - 1].device,
                                               .credential = gh_buffer_slice(&kept)};
        total += count;
        gh_arena_reset(&arena);
    }
    gh_arena_deinit(&arena);
    if (total > 0)
        gh_log(GH_LOG_INFO, "registry", "%zu symmetric keys were given their marks", total);
    return code;
}
