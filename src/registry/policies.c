/* The directory's device policies: names, sizes, etags, and who is told. */
#include "base/secret.h"
#include "base/time.h"
#include "registry/anchors.h"
#include "registry/directory_internal.h"
#include "wire/utf8.h"
#include <stdio.h>

enum { TOLD_MAX = 64 /* of a policy's targets one by one; with more the whole tenant is told */ };

static void tell_target(struct gh_directory *directory, const struct gh_policy_target *target)
{
    gh_directory_tell_policies(directory, target->tenant, target->group != 0 ? 0 : target->registry,
                               target->device);
}

/* Everybody whom the policy concerns. What cannot be read is told too much rather than nothing. */
static void tell_targets(struct gh_directory *directory, int64_t tenant, struct gh_slice name,
                         struct gh_arena *arena)
{
    struct gh_policy_target *targets;
    size_t count;
    if (gh_store_policy_targets(directory->store, tenant, name, arena, &targets, &count, NULL) !=
            GH_OK ||
        count > TOLD_MAX) {
        gh_directory_tell_policies(directory, tenant, 0, 0);
        return;
    }
    for (size_t i = 0; i < count; i++)
        tell_target(directory, &targets[i]);
}

static enum gh_error_code put_check(struct gh_slice name, struct gh_slice document,
                                    struct gh_error *error)
{
    if (!gh_policy_name_valid(name))
        return gh_error_set(error, GH_ERROR_INVALID,
                            "policy name: 1 to %d of a-z A-Z 0-9 _ + = , . @ -",
                            GH_POLICY_NAME_BYTES_MAX);
    if (document.size == 0 || document.size > GH_DEVICE_POLICY_BYTES_MAX ||
        !gh_utf8_valid(document))
        return gh_error_set(error, GH_ERROR_INVALID, "policy document: 1 to %d bytes of UTF-8",
                            GH_DEVICE_POLICY_BYTES_MAX);
    return GH_OK;
}

enum gh_error_code gh_directory_policy_put(struct gh_directory *directory, int64_t tenant,
                                           struct gh_slice name, struct gh_slice document,
                                           struct gh_slice etag_before, struct gh_arena *arena,
                                           struct gh_policy_row *out, struct gh_error *error)
{
    char etag[24];
    uint64_t random;
    struct gh_policy_row row = {.tenant = tenant, .name = name, .document = document};
    enum gh_error_code code = put_check(name, document, error);
    if (code != GH_OK)
        return code;
    gh_random(&random, sizeof random);
    snprintf(etag, sizeof etag, "%016llx", (unsigned long long)random);
    row.etag = gh_slice_text(etag);
    row.updated_at_ms = gh_time_utc_ms();
    code = gh_store_policy_put(directory->store, &row, etag_before, GH_POLICIES_MAX, error);
    if (code != GH_OK)
        return code;
    tell_targets(directory, tenant, name, arena);
    return out == NULL ? GH_OK
                       : gh_store_policy_get(directory->store, tenant, name, arena, out, error);
}

enum gh_error_code gh_directory_policy_get(struct gh_directory *directory, int64_t tenant,
                                           struct gh_slice name, struct gh_arena *arena,
                                           struct gh_policy_row *out, struct gh_error *error)
{
    return gh_store_policy_get(directory->store, tenant, name, arena, out, error);
}

enum gh_error_code gh_directory_policy_list(struct gh_directory *directory, int64_t tenant,
                                            struct gh_arena *arena, struct gh_policy_row **out,
                                            size_t *count, struct gh_error *error)
{
    return gh_store_policy_list(directory->store, tenant, arena, out, count, error);
}

/* Nobody is told: what can be deleted is attached nowhere. */
enum gh_error_code gh_directory_policy_delete(struct gh_directory *directory, int64_t tenant,
                                              struct gh_slice name, struct gh_error *error)
{
    return gh_store_policy_delete(directory->store, tenant, name, error);
}

enum gh_error_code gh_directory_policy_attach(struct gh_directory *directory, struct gh_slice name,
                                              const struct gh_policy_target *target,
                                              struct gh_error *error)
{
    struct gh_policy_target checked = *target;
    struct gh_slice serial;
    checked.credential_of_ca = gh_anchor_credential_read(target->credential, 0, &serial);
    enum gh_error_code code =
        gh_store_policy_attach(directory->store, name, &checked, GH_POLICIES_OF_TARGET_MAX, error);
    if (code == GH_OK)
        tell_target(directory, target);
    return code;
}

enum gh_error_code gh_directory_policy_detach(struct gh_directory *directory, struct gh_slice name,
                                              const struct gh_policy_target *target,
                                              struct gh_error *error)
{
    enum gh_error_code code = gh_store_policy_detach(directory->store, name, target, error);
    if (code == GH_OK)
        tell_target(directory, target);
    return code;
}

enum gh_error_code gh_directory_policy_targets(struct gh_directory *directory, int64_t tenant,
                                               struct gh_slice name, struct gh_arena *arena,
                                               struct gh_policy_target **out, size_t *count,
                                               struct gh_error *error)
{
    return gh_store_policy_targets(directory->store, tenant, name, arena, out, count, error);
}

enum gh_error_code gh_directory_policy_effective(struct gh_directory *directory,
                                                 const struct gh_policy_target *target,
                                                 struct gh_arena *arena, struct gh_policy_row **out,
                                                 size_t *count, struct gh_error *error)
{
    return gh_store_policy_effective(directory->store, target, arena, out, count, error);
}
