/* The grammar of a document: what may stand in it and what each field means. */
#include "policy/statement_internal.h"
#include "wire/json.h"
#include <assert.h>

static const struct action {
    const char *native, *aws;
    enum gh_resource_kind kind;
} actions[] = {
    [GH_DEVICE_ACTION_CONNECT] = {"connect", "iot:Connect", GH_RESOURCE_CLIENT},
    [GH_DEVICE_ACTION_PUBLISH] = {"publish", "iot:Publish", GH_RESOURCE_TOPIC},
    [GH_DEVICE_ACTION_SUBSCRIBE] = {"subscribe", "iot:Subscribe", GH_RESOURCE_FILTER},
    [GH_DEVICE_ACTION_RECEIVE] = {"receive", "iot:Receive", GH_RESOURCE_TOPIC},
    [GH_DEVICE_ACTION_RETAIN] = {"retain", "iot:RetainPublish", GH_RESOURCE_TOPIC},
};
static_assert(GH_COUNT(actions) == GH_DEVICE_ACTION_COUNT, "a row for each action");

enum { ACTIONS_ALL = (1u << GH_DEVICE_ACTION_COUNT) - 1 };

const char *gh_device_action_name(enum gh_device_action action)
{
    assert((size_t)action < GH_COUNT(actions));
    return actions[action].native;
}

bool gh_device_action_find(struct gh_slice name, enum gh_device_action *out)
{
    for (size_t i = 0; i < GH_COUNT(actions); i++) {
        if (!gh_slice_equal_nocase(name, gh_slice_text(actions[i].native)) &&
            !gh_slice_equal_nocase(name, gh_slice_text(actions[i].aws)))
            continue;
        *out = (enum gh_device_action)i;
        return true;
    }
    return false;
}

enum gh_resource_kind gh_resource_kind_of(enum gh_device_action action)
{
    assert((size_t)action < GH_COUNT(actions));
    return actions[action].kind;
}

/* --- the document --- */

enum gh_error_code gh_document_open(struct gh_slice json, struct gh_document *out,
                                    struct gh_error *error)
{
    static const char *const keys[] = {"Version", "Id", "Statement"};
    static const char *const versions[] = {"2012-10-17", "2008-10-17"};
    struct gh_slice version = {0}, id = {0};

    *out = (struct gh_document){0};
    out->root = gh_json_read_limited(json, GH_STATEMENT_DOCUMENT_BYTES_MAX, error);
    if (out->root == NULL)
        return error->code;
    if (!gh_json_only(out->root, keys, GH_COUNT(keys), error) ||
        !gh_json_get_text(out->root, "Version", 0, &version, error) ||
        !gh_json_get_text(out->root, "Id", 0, &id, error))
        return error->code;
    out->versioned = version.size > 0;
    out->variables = gh_slice_equal(version, gh_slice_text(versions[0]));
    if (out->versioned && !out->variables && !gh_slice_equal(version, gh_slice_text(versions[1])))
        return gh_error_set(error, GH_ERROR_INVALID, "Version is \"%s\" or \"%s\"", versions[0],
                            versions[1]);
    out->statements = json_object_get(out->root, "Statement");
    out->count = json_is_array(out->statements) ? json_array_size(out->statements) : 1;
    if (!json_is_array(out->statements) && !json_is_object(out->statements))
        return gh_error_set(error, GH_ERROR_INVALID, "Statement is a list of statements");
    if (out->count == 0)
        return gh_error_set(error, GH_ERROR_INVALID, "Statement is empty");
    if (out->count > GH_STATEMENT_STATEMENTS_MAX)
        return gh_error_set(error, GH_ERROR_LIMIT, "Statement: more than %d statements",
                            GH_STATEMENT_STATEMENTS_MAX);
    return GH_OK;
}

void gh_document_close(struct gh_document *document)
{
    json_decref(document->root);
    *document = (struct gh_document){0};
}

/* --- a statement --- */

/* Names of actions are short; any two pointers do. Letters of either case. */
static bool name_matches(struct gh_slice pattern, struct gh_slice name)
{
    size_t p = 0, n = 0, star = SIZE_MAX, mark = 0;
    while (n < name.size) {
        struct gh_slice a = gh_slice_sub(pattern, p, 1), b = gh_slice_sub(name, n, 1);
        if (p < pattern.size && pattern.data[p] == '*') {
            star = p++;
            mark = n;
        } else if (p < pattern.size && (pattern.data[p] == '?' || gh_slice_equal_nocase(a, b))) {
            p++, n++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            n = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.size && pattern.data[p] == '*')
        p++;
    return p == pattern.size;
}

/* The bits that one action means; none for one of AWS's that is not for devices. */
static enum gh_error_code action_read(struct gh_slice name, struct gh_statement *out,
                                      unsigned *bits, struct gh_error *error)
{
    enum { NAME_BYTES_MAX = 128 };
    unsigned found = 0;

    if (name.size == 0 || name.size > NAME_BYTES_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "statement %zu: an action has 1 to %d bytes",
                            out->number, NAME_BYTES_MAX);
    for (size_t i = 0; i < GH_COUNT(actions); i++)
        if (name_matches(name, gh_slice_text(actions[i].native)) ||
            name_matches(name, gh_slice_text(actions[i].aws)))
            found |= 1u << i;
    *bits |= found;
    if (found == 0 && gh_slice_find(name, ':') == name.size)
        return gh_error_set(error, GH_ERROR_INVALID,
                            "statement %zu: \"%.*s\" is none of connect, publish, subscribe, "
                            "receive, retain, * or AWS's iot:…",
                            out->number, GH_PRINT(name));
    if (found == 0)
        out->foreign = (const char *)name.data;
    return GH_OK;
}

/* A text, or a list of 1 to GH_STATEMENT_LIST_MAX texts. */
static enum gh_error_code list_check(const json_t *value, const char *field, size_t number,
                                     struct gh_error *error)
{
    size_t count = json_is_array(value) ? json_array_size(value) : 1;
    bool texts = count > 0;
    for (size_t i = 0; texts && i < count; i++)
        texts = json_is_string(json_is_array(value) ? json_array_get(value, i) : value);
    if (!texts)
        return gh_error_set(error, GH_ERROR_INVALID,
                            "statement %zu: %s is a text or a list of texts", number, field);
    if (count > GH_STATEMENT_LIST_MAX)
        return gh_error_set(error, GH_ERROR_LIMIT, "statement %zu: %s has more than %d entries",
                            number, field, GH_STATEMENT_LIST_MAX);
    return GH_OK;
}

/* The one of the two fields that is there; both or none is an error. */
static enum gh_error_code either(const json_t *item, const char *field, const char *negated,
                                 struct gh_statement *out, json_t **value, bool *is_negated,
                                 struct gh_error *error)
{
    json_t *plain = json_object_get(item, field), *turned = json_object_get(item, negated);
    if ((plain != NULL) == (turned != NULL))
        return gh_error_set(error, GH_ERROR_INVALID, "statement %zu: one of %s and %s is needed",
                            out->number, field, negated);
    *is_negated = turned != NULL;
    *value = *is_negated ? turned : plain;
    return list_check(*value, *is_negated ? negated : field, out->number, error);
}

static enum gh_error_code actions_read(const json_t *item, struct gh_statement *out,
                                       struct gh_error *error)
{
    json_t *list = NULL;
    bool negated = false;
    unsigned bits = 0;
    enum gh_error_code code = either(item, "Action", "NotAction", out, &list, &negated, error);
    size_t count = json_is_array(list) ? json_array_size(list) : 1;
    for (size_t i = 0; code == GH_OK && i < count; i++)
        code = action_read(gh_json_slice(json_is_array(list) ? json_array_get(list, i) : list), out,
                           &bits, error);
    out->actions = negated ? ACTIONS_ALL & ~bits : bits;
    if (negated)
        out->foreign = NULL;
    return code;
}

static enum gh_error_code fields_read(const json_t *item, struct gh_statement *out,
                                      struct gh_error *error)
{
    static const char *const keys[] = {"Sid",       "Effect",   "Action",
                                       "NotAction", "Resource", "NotResource"};
    struct gh_error why = {0};
    struct gh_slice effect = {0};

    if (json_is_object(item) && json_object_get(item, "Condition") != NULL)
        return gh_error_set(error, GH_ERROR_UNSUPPORTED,
                            "statement %zu: Condition is not served; a statement that needs one "
                            "cannot be stored",
                            out->number);
    if (!gh_json_only(item, keys, GH_COUNT(keys), &why) ||
        !gh_json_get_text(item, "Sid", 0, &out->sid, &why) ||
        !gh_json_get_text(item, "Effect", GH_JSON_REQUIRED, &effect, &why))
        return gh_error_set(error, why.code, "statement %zu: %.400s", out->number, why.text);
    if (out->sid.size > GH_STATEMENT_SID_BYTES_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "statement %zu: Sid has more than %d bytes",
                            out->number, GH_STATEMENT_SID_BYTES_MAX);
    out->denies = gh_slice_equal(effect, GH_SLICE("Deny"));
    if (!out->denies && !gh_slice_equal(effect, GH_SLICE("Allow")))
        return gh_error_set(error, GH_ERROR_INVALID,
                            "statement %zu: Effect is \"Allow\" or \"Deny\"", out->number);
    return GH_OK;
}

enum gh_error_code gh_document_statement(const struct gh_document *document, size_t index,
                                         struct gh_statement *out, struct gh_error *error)
{
    const json_t *item = json_is_array(document->statements)
                             ? json_array_get(document->statements, index)
                             : document->statements;

    *out = (struct gh_statement){.number = index + 1};
    enum gh_error_code code = fields_read(item, out, error);
    if (code == GH_OK)
        code = actions_read(item, out, error);
    return code != GH_OK ? code
                         : either(item, "Resource", "NotResource", out, &out->resources,
                                  &out->not_resource, error);
}

size_t gh_statement_resources(const struct gh_statement *statement)
{
    return json_is_array(statement->resources) ? json_array_size(statement->resources) : 1;
}

struct gh_slice gh_statement_resource(const struct gh_statement *statement, size_t index)
{
    return gh_json_slice(json_is_array(statement->resources)
                             ? json_array_get(statement->resources, index)
                             : statement->resources);
}
