/* Service accounts of a tenant and their keys (identity/service_account.h). */
#include "api/call_internal.h"
#include "base/secret.h"
#include "base/time.h"
#include "identity/access.h"
#include "identity/service_account.h"

enum { PRIVATE_PEM_BYTES_MAX = 4096 };
#define UNIVERSE "googleapis.com" /* what the libraries expect where nothing else is configured */

static struct gh_store *store_of(const struct call *call)
{
    return call->api->services.store;
}

static json_t *account_to_json(const struct gh_service_account *account)
{
    return json_pack("{s:o, s:o, s:b, s:o, s:o}", "email", json_slice(account->email), "title",
                     json_slice(account->title), "disabled", account->disabled, "member",
                     json_sprintf("serviceAccount:%.*s", GH_PRINT(account->email)), "created_at",
                     json_time(account->created_at_ms));
}

static json_t *key_to_json(const struct call *call, const struct gh_service_key *key)
{
    bool expired = key->expires_at_ms != 0 && key->expires_at_ms <= call->now_ms;
    return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o}", "id", json_slice(key->id), "state",
                     key->disabled ? "disabled"
                     : expired     ? "expired"
                                   : "enabled",
                     "expires_at", json_time(key->expires_at_ms), "last_used_at",
                     json_time(key->last_used_at_ms), "created_at", json_time(key->created_at_ms),
                     "public_key", json_slice(key->public_key));
}

/* The account of the path, by its name or address. That of another tenant is not found. */
static enum gh_error_code find(struct call *call, struct gh_service_account *out)
{
    struct gh_slice email;
    enum gh_error_code code =
        gh_service_email(&call->tenant, call->captures[1], call->arena, &email, &call->error);
    if (code == GH_OK)
        code = gh_store_service_find(store_of(call), email, call->arena, out, &call->error);
    if (code == GH_OK && out->tenant != call->tenant.number)
        return call_fail(call, GH_ERROR_NOT_FOUND, "service account %.*s", GH_PRINT(email));
    return code;
}

static void note(struct call *call, const char *what, const struct gh_service_account *account,
                 struct gh_slice key)
{
    char *more = gh_arena_print(call->arena, "%.*s%s%.*s", GH_PRINT(account->email),
                                key.size > 0 ? ", key " : "", GH_PRINT(key));
    call_note(call, what, (struct gh_slice){0}, NULL, gh_slice_text(more));
}

enum gh_error_code api_service_account_list(struct call *call)
{
    struct gh_service_account *rows;
    size_t count;
    enum gh_error_code code = gh_store_service_list(store_of(call), call->tenant.number,
                                                    call->arena, &rows, &count, &call->error);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, account_to_json(&rows[i]));
    call->answer = json_pack("{s:o}", "service_accounts", list);
    return GH_OK;
}

enum gh_error_code api_service_account_create(struct call *call)
{
    static const char *const keys[] = {"name", "title"};
    struct gh_service_account account = {.created_at_ms = call->now_ms};
    struct gh_slice name;
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "name", GH_JSON_REQUIRED, &name, &call->error) ||
        !gh_json_get_text(call->body, "title", 0, &account.title, &call->error))
        return call->error.code;
    enum gh_error_code code =
        gh_service_email(&call->tenant, name, call->arena, &account.email, &call->error);
    if (code == GH_OK)
        code = gh_service_create(store_of(call), &call->tenant, &account, &call->error);
    if (code != GH_OK)
        return code;
    note(call, "SERVICE_ACCOUNT_CREATED", &account, (struct gh_slice){0});
    call->status = 201;
    call->answer = account_to_json(&account);
    return GH_OK;
}

enum gh_error_code api_service_account_get(struct call *call)
{
    struct gh_service_account account;
    enum gh_error_code code = find(call, &account);
    if (code == GH_OK)
        call->answer = account_to_json(&account);
    return code;
}

/* The one member of a change. */
static bool read_disabled(struct call *call, bool *out)
{
    static const char *const keys[] = {"disabled"};
    return gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) &&
           gh_json_get_bool(call->body, "disabled", GH_JSON_REQUIRED, out, &call->error);
}

enum gh_error_code api_service_account_update(struct call *call)
{
    struct gh_service_account account;
    bool disabled;
    enum gh_error_code code = find(call, &account);
    if (code != GH_OK || !read_disabled(call, &disabled))
        return code != GH_OK ? code : call->error.code;
    code = gh_store_service_disable(store_of(call), account.number, disabled, &call->error);
    if (code != GH_OK)
        return code;
    account.disabled = disabled;
    note(call, "SERVICE_ACCOUNT_UPDATED", &account, (struct gh_slice){0});
    call->answer = account_to_json(&account);
    return GH_OK;
}

enum gh_error_code api_service_account_delete(struct call *call)
{
    struct gh_service_account account;
    enum gh_error_code code = find(call, &account);
    if (code == GH_OK)
        code = gh_store_service_delete(store_of(call), account.number, &call->error);
    if (code == GH_OK)
        note(call, "SERVICE_ACCOUNT_DELETED", &account, (struct gh_slice){0});
    return code;
}

/* --- keys --- */

enum gh_error_code api_service_key_list(struct call *call)
{
    struct gh_service_account account;
    struct gh_service_key *rows;
    size_t count;
    enum gh_error_code code = find(call, &account);
    if (code == GH_OK)
        code = gh_store_service_key_list(store_of(call), account.number, call->arena, &rows, &count,
                                         &call->error);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, key_to_json(call, &rows[i]));
    call->answer = json_pack("{s:o}", "keys", list);
    return GH_OK;
}

/* The file that Google's client libraries read. */
static json_t *key_file(struct call *call, const struct gh_service_account *account,
                        const struct gh_service_key *key, struct gh_slice private_pem,
                        struct gh_slice universe)
{
    struct gh_slice issuer = gh_access_issuer(call->api->services.access);
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "type", "service_account",
                     "project_id", json_slice(call->tenant.google_project), "private_key_id",
                     json_slice(key->id), "private_key", json_slice(private_pem), "client_email",
                     json_slice(account->email), "client_id",
                     json_sprintf("1%020lld", (long long)account->number), "auth_uri",
                     json_sprintf("%.*s/oauth2/auth", GH_PRINT(issuer)), "token_uri",
                     json_sprintf("%.*s/oauth2/token", GH_PRINT(issuer)), "universe_domain",
                     json_slice(universe));
}

static bool read_key(struct call *call, struct gh_service_key *key, struct gh_slice *universe)
{
    static const char *const keys[] = {"id", "public_key", "expires_at", "universe_domain"};
    struct gh_slice expires = {0};
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "id", 0, &key->id, &call->error) ||
        !gh_json_get_text(call->body, "public_key", 0, &key->public_key, &call->error) ||
        !gh_json_get_text(call->body, "expires_at", 0, &expires, &call->error) ||
        !gh_json_get_text(call->body, "universe_domain", 0, universe, &call->error))
        return false;
    if (expires.size == 0 || gh_time_parse(expires, &key->expires_at_ms))
        return true;
    call_fail(call, GH_ERROR_INVALID, "expires_at is not a time like 2026-11-24T03:30:00Z");
    return false;
}

enum gh_error_code api_service_key_create(struct call *call)
{
    struct gh_service_account account;
    struct gh_service_key key = {.created_at_ms = call->now_ms};
    struct gh_slice universe = GH_SLICE(UNIVERSE);
    uint8_t block[PRIVATE_PEM_BYTES_MAX];
    struct gh_buffer private_pem = gh_buffer_fixed(block, sizeof block);
    enum gh_error_code code = find(call, &account);
    if (code != GH_OK || !read_key(call, &key, &universe))
        return code != GH_OK ? code : call->error.code;
    key.account = account.number;
    code = gh_service_key_create(store_of(call), &key, &private_pem, call->arena, &call->error);
    if (code == GH_OK) {
        note(call, "SERVICE_KEY_CREATED", &account, key.id);
        call->status = 201;
        call->answer = key_to_json(call, &key);
        if (private_pem.size > 0) /* in this answer, and never again */
            json_object_set_new(
                call->answer, "key_file",
                key_file(call, &account, &key, gh_buffer_slice(&private_pem), universe));
    }
    gh_secret_wipe(block, sizeof block);
    return code;
}

/* The account and key of the path. */
static enum gh_error_code find_key(struct call *call, struct gh_service_account *account,
                                   struct gh_service_key *out)
{
    struct gh_service_key *rows;
    size_t count;
    enum gh_error_code code = find(call, account);
    if (code == GH_OK)
        code = gh_store_service_key_list(store_of(call), account->number, call->arena, &rows,
                                         &count, &call->error);
    if (code != GH_OK)
        return code;
    for (size_t i = 0; i < count; i++)
        if (gh_slice_equal(rows[i].id, call->captures[2])) {
            *out = rows[i];
            return GH_OK;
        }
    return call_fail(call, GH_ERROR_NOT_FOUND, "the account has no key %.*s",
                     GH_PRINT(gh_slice_sub(call->captures[2], 0, GH_SERVICE_KEY_ID_MAX)));
}

enum gh_error_code api_service_key_update(struct call *call)
{
    struct gh_service_account account;
    struct gh_service_key key;
    bool disabled;
    enum gh_error_code code = find_key(call, &account, &key);
    if (code != GH_OK || !read_disabled(call, &disabled))
        return code != GH_OK ? code : call->error.code;
    code = gh_store_service_key_disable(store_of(call), key.number, disabled, &call->error);
    if (code != GH_OK)
        return code;
    key.disabled = disabled;
    note(call, "SERVICE_KEY_UPDATED", &account, key.id);
    call->answer = key_to_json(call, &key);
    return GH_OK;
}

enum gh_error_code api_service_key_delete(struct call *call)
{
    struct gh_service_account account;
    struct gh_service_key key;
    enum gh_error_code code = find_key(call, &account, &key);
    if (code == GH_OK)
        code = gh_store_service_key_delete(store_of(call), key.number, &call->error);
    if (code == GH_OK)
        note(call, "SERVICE_KEY_DELETED", &account, key.id);
    return code;
}
