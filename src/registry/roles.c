/* The directory's custom roles, and the bindings of groups and devices. */
#include "base/secret.h"
#include "base/time.h"
#include "registry/directory_internal.h"
#include "wire/utf8.h"
#include <stdio.h>

enum gh_error_code gh_directory_role_put(struct gh_directory *directory,
                                         const struct gh_custom_role *role,
                                         struct gh_slice etag_before, bool *made,
                                         struct gh_error *error)
{
    struct gh_custom_role row = *role;
    char etag[24];
    uint64_t random;
    bool unasked;
    if (!gh_policy_name_valid(row.name))
        return gh_error_set(error, GH_ERROR_INVALID,
                            "role name: 1 to %d of a-z A-Z 0-9 _ + = , . @ -",
                            GH_POLICY_NAME_BYTES_MAX);
    if (row.title.size > GH_ROLE_TITLE_BYTES_MAX || !gh_utf8_valid(row.title))
        return gh_error_set(error, GH_ERROR_INVALID, "role title: at most %d bytes of UTF-8",
                            GH_ROLE_TITLE_BYTES_MAX);
    gh_random(&random, sizeof random);
    snprintf(etag, sizeof etag, "%016llx", (unsigned long long)random);
    row.etag = gh_slice_text(etag);
    row.updated_at_ms = gh_time_utc_ms();
    return gh_store_role_put(directory->store, &row, etag_before, GH_ROLES_MAX,
                             made != NULL ? made : &unasked, error);
}

enum gh_error_code gh_directory_role_list(struct gh_directory *directory, int64_t tenant,
                                          struct gh_arena *arena, struct gh_custom_role **out,
                                          size_t *count, struct gh_error *error)
{
    return gh_store_role_list(directory->store, tenant, arena, out, count, error);
}

enum gh_error_code gh_directory_role_get(struct gh_directory *directory, int64_t tenant,
                                         struct gh_slice name, struct gh_arena *arena,
                                         struct gh_custom_role *out, struct gh_error *error)
{
    struct gh_custom_role *rows;
    size_t count;
    enum gh_error_code code =
        gh_store_role_list(directory->store, tenant, arena, &rows, &count, error);
    *out = (struct gh_custom_role){0};
    if (code != GH_OK)
        return code;
    for (size_t i = 0; i < count; i++)
        if (rows[i].tenant == tenant && gh_slice_equal(rows[i].name, name)) {
            *out = rows[i];
            return GH_OK;
        }
    return gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no role %.*s", GH_PRINT(name));
}

enum gh_error_code gh_directory_role_delete(struct gh_directory *directory, int64_t tenant,
                                            struct gh_slice name, struct gh_error *error)
{
    if (!gh_policy_name_valid(name))
        return gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such role");
    return gh_store_role_delete(directory->store, tenant, name, gh_time_utc_ms(), error);
}

enum gh_error_code gh_directory_house_policy_get(struct gh_directory *directory,
                                                 struct gh_arena *arena, struct gh_slice *policy,
                                                 struct gh_slice *etag, struct gh_error *error)
{
    return gh_store_house_policy_get(directory->store, arena, policy, etag, error);
}

enum gh_error_code gh_directory_house_policy_set(struct gh_directory *directory,
                                                 struct gh_slice policy,
                                                 struct gh_slice etag_before,
                                                 struct gh_arena *arena, struct gh_slice *etag,
                                                 struct gh_error *error)
{
    enum gh_error_code code = gh_directory_etag_make(policy, arena, etag, error);
    return code == GH_OK
               ? gh_store_house_policy_set(directory->store, policy, *etag, etag_before, error)
               : code;
}

enum gh_error_code gh_directory_grant_get(struct gh_directory *directory, struct gh_grant_row *row,
                                          struct gh_arena *arena, struct gh_error *error)
{
    return gh_store_grant_get(directory->store, row, arena, error);
}

enum gh_error_code gh_directory_grant_set(struct gh_directory *directory,
                                          const struct gh_grant_row *row,
                                          struct gh_slice etag_before, struct gh_arena *arena,
                                          struct gh_slice *etag, struct gh_error *error)
{
    struct gh_grant_row kept = *row;
    enum gh_error_code code = gh_directory_etag_make(row->policy, arena, etag, error);
    kept.etag = *etag;
    return code == GH_OK ? gh_store_grant_set(directory->store, &kept, etag_before, error) : code;
}

enum gh_error_code gh_directory_grants_of_device(struct gh_directory *directory, uint64_t device,
                                                 struct gh_arena *arena, struct gh_grant_row **out,
                                                 size_t *count, struct gh_error *error)
{
    return gh_store_grants_of_device(directory->store, device, arena, out, count, error);
}
