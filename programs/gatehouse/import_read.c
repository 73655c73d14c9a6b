#include "programs/gatehouse/import_read.h"
#include <string.h>

/* Appends one credential for each of several symmetric keys. */
static void add_several(json_t *credentials, const json_t *keys)
{
    const json_t *key;
    size_t at;
    json_array_foreach(keys, at, key)
    {
        json_array_append_new(credentials,
                              json_pack("{s:O}", "symmetric_key", (json_t *)(uintptr_t)key));
    }
}

/* The credentials of a line as the API wants them. */
static bool read_credentials(const json_t *row, json_t *credentials, bool *has_short_password,
                             struct gh_error *error)
{
    static const struct {
        const char *key, *member;
        bool may_be_several, is_password;
    } kinds[] = {{"password", "password", false, true},
                 {"public_key", "pem", false, false},
                 {"certificate", "pem", false, false},
                 {"symmetric_key", "symmetric_key", true, false}};
    for (size_t i = 0; i < GH_COUNT(kinds); i++) {
        const json_t *value = json_object_get(row, kinds[i].key);
        struct gh_slice text = {0};
        if (kinds[i].may_be_several && json_is_array(value)) {
            add_several(credentials, value);
            continue;
        }
        if (!gh_json_get_text(row, kinds[i].key, 0, &text, error))
            return false;
        if (value == NULL)
            continue;
        json_array_append_new(credentials,
                              json_pack("{s:o}", kinds[i].member, gh_json_new_text(text)));
        *has_short_password |= kinds[i].is_password && text.size < IMPORT_SHORT_PASSWORD_BYTES;
    }
    return true;
}

bool import_line_read(struct gh_slice text, struct import_line *out, struct gh_error *error)
{
    static const char *const keys[] = {"tenant",        "registry",   "id",
                                       "password",      "public_key", "certificate",
                                       "symmetric_key", "attributes"};
    struct gh_slice id = {0};
    json_t *credentials = json_array(), *attributes = NULL;
    *out = (struct import_line){.row = gh_json_read(text, error)};
    if (out->row != NULL && gh_json_only(out->row, keys, GH_COUNT(keys), error) &&
        gh_json_get_text(out->row, "tenant", GH_JSON_REQUIRED, &out->tenant, error) &&
        gh_json_get_text(out->row, "registry", GH_JSON_REQUIRED, &out->registry, error) &&
        gh_json_get_text(out->row, "id", GH_JSON_REQUIRED, &id, error) &&
        gh_json_get_object(out->row, "attributes", 0, &attributes, error) &&
        read_credentials(out->row, credentials, &out->has_short_password, error)) {
        out->device = json_pack("{s:o, s:O, s:O*}", "id", gh_json_new_text(id), "credentials",
                                credentials, "attributes", attributes);
        if (out->device == NULL)
            (void)gh_error_set(error, GH_ERROR_MEMORY, "no memory for the device");
    }
    json_decref(credentials);
    if (out->device != NULL)
        return true;
    import_line_release(out);
    return false;
}

void import_line_release(struct import_line *line)
{
    json_decref(line->device);
    json_decref(line->row);
    *line = (struct import_line){0};
}
