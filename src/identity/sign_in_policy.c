#include "identity/sign_in_policy.h"
#include "store/store.h"
#include "wire/json.h"
#include <string.h>

enum { ARENA_MAX = 4 << 20 };

/* The house's is a meta value, a tenant's a document of its own; both are the same JSON. */
static const struct gh_slice name = GH_SLICE_INIT("sign-in");

static void read_policy(struct gh_slice text, struct gh_sign_in_policy *policy)
{
    json_t *object = gh_json_read(text, NULL);
    bool demanded = false;
    if (gh_json_bool(object, "second_factor", &demanded) && demanded)
        policy->second_factor = true;
    json_decref(object);
}

static enum gh_error_code read_house(struct gh_store *store, struct gh_arena *arena,
                                     struct gh_sign_in_policy *out, struct gh_error *error)
{
    struct gh_slice text;
    enum gh_error_code code = gh_store_meta_get(store, name, arena, &text, error);
    if (code == GH_OK)
        read_policy(text, out);
    return code == GH_ERROR_NOT_FOUND ? GH_OK : code;
}

/* Of one tenant, or of all together. */
static enum gh_error_code read_tenants(struct gh_store *store, int64_t tenant,
                                       struct gh_arena *arena, struct gh_sign_in_policy *out,
                                       struct gh_error *error)
{
    struct gh_document_row *rows;
    size_t count = 0;
    enum gh_error_code code =
        gh_store_document_list(store, tenant, name, arena, &rows, &count, error);
    for (size_t i = 0; code == GH_OK && i < count; i++)
        read_policy(rows[i].json, out);
    return code;
}

enum gh_error_code gh_sign_in_policy_get(struct gh_store *store, int64_t tenant,
                                         struct gh_sign_in_policy *out, struct gh_error *error)
{
    struct gh_arena arena;
    *out = (struct gh_sign_in_policy){0};
    gh_arena_init(&arena, ARENA_MAX);
    enum gh_error_code code = tenant == 0 ? read_house(store, &arena, out, error)
                                          : read_tenants(store, tenant, &arena, out, error);
    gh_arena_deinit(&arena);
    return code;
}

enum gh_error_code gh_sign_in_policy_put(struct gh_store *store, int64_t tenant,
                                         const struct gh_sign_in_policy *policy, int64_t now_ms,
                                         struct gh_error *error)
{
    struct gh_slice json =
        policy->second_factor ? GH_SLICE("{\"second_factor\":true}") : GH_SLICE("{}");
    if (tenant == 0)
        return gh_store_meta_put(store, name, json, error);
    struct gh_document_row row = {
        .tenant = tenant, .kind = name, .name = name, .json = json, .updated_at_ms = now_ms};
    return gh_store_document_put(store, &row, error);
}

enum gh_error_code gh_sign_in_policy_for(struct gh_store *store, int64_t tenant,
                                         struct gh_sign_in_policy *out, struct gh_error *error)
{
    struct gh_arena arena;
    *out = (struct gh_sign_in_policy){0};
    gh_arena_init(&arena, ARENA_MAX);
    enum gh_error_code code = read_house(store, &arena, out, error);
    if (code == GH_OK)
        code = read_tenants(store, tenant, &arena, out, error);
    gh_arena_deinit(&arena);
    return code;
}
