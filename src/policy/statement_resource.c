/* One resource: its spelling (ours or an ARN), its variables, its wildcards. */
#include "policy/statement_internal.h"
#include <assert.h>
#include <string.h>

/* The words of the kinds; those of ARNs stand first in each row. */
static const char *const words[GH_RESOURCE_KIND_COUNT][2] = {
    [GH_RESOURCE_CLIENT] = {"client/", "client/"},
    [GH_RESOURCE_TOPIC] = {"topic/", "topic/"},
    [GH_RESOURCE_FILTER] = {"topicfilter/", "filter/"},
};

/* --- variables --- */

enum variable {
    TENANT,
    REGISTRY,
    DEVICE,
    CLIENT,
    SOURCE,
    SERVER,
    ATTACHED,
    ATTRIBUTE,
    CERTIFICATE
};
static const struct {
    const char *name, *end; /* for an attribute what stands before and behind its name */
    enum variable variable;
} variables_known[] = {
    {"tenant", NULL, TENANT},
    {"registry", NULL, REGISTRY},
    {"device", NULL, DEVICE},
    {"client", NULL, CLIENT},
    {"source", NULL, SOURCE},
    {"server", NULL, SERVER},
    {"attribute.", "", ATTRIBUTE},
    {"iot:ClientId", NULL, CLIENT},
    {"iot:Connection.Thing.ThingName", NULL, DEVICE},
    {"iot:Connection.Thing.IsAttached", NULL, ATTACHED},
    {"iot:Connection.Thing.Attributes[", "]", ATTRIBUTE},
    {"iot:DomainName", NULL, SERVER},
    {"aws:SourceIp", NULL, SOURCE},
    {"certificate.", "", CERTIFICATE},
    {"iot:Certificate.", "", CERTIFICATE},
};

static struct gh_slice attribute_value(const struct gh_statement_variables *values,
                                       struct gh_slice name)
{
    for (size_t i = 0; i < values->attributes_count; i++)
        if (gh_slice_equal(values->attributes[i].key, name))
            return values->attributes[i].value;
    return (struct gh_slice){0};
}

/* A value that could be read as a wildcard counts as absent, as at AWS. */
static struct gh_slice certificate_value(const struct gh_statement_variables *values,
                                         struct gh_slice name)
{
    for (size_t i = 0; i < values->certificate_count; i++) {
        struct gh_slice value = values->certificate[i].value;
        if (!gh_slice_equal_nocase(values->certificate[i].key, name))
            continue;
        for (size_t k = 0; k < value.size; k++)
            if (value.data[k] != '\0' && strchr("*$+?#", value.data[k]) != NULL)
                return (struct gh_slice){0};
        return value;
    }
    return (struct gh_slice){0};
}

static struct gh_slice value_of(const struct gh_statement_variables *values, enum variable variable,
                                struct gh_slice attribute)
{
    switch (variable) {
    case TENANT:
        return values->tenant;
    case REGISTRY:
        return values->registry;
    case DEVICE:
        return values->device;
    case CLIENT:
        return values->client;
    case SOURCE:
        return values->source;
    case SERVER:
        return values->server;
    case ATTACHED: /* what proved the device is the device's own, always */
        return GH_SLICE("true");
    case CERTIFICATE:
        return certificate_value(values, attribute);
    case ATTRIBUTE:
        break;
    }
    return attribute_value(values, attribute);
}

/* Whether there is such a variable at all; `*attribute` is what an attribute's is called. */
static bool variable_find(struct gh_slice name, enum variable *out, struct gh_slice *attribute)
{
    for (size_t i = 0; i < GH_COUNT(variables_known); i++) {
        struct gh_slice known = gh_slice_text(variables_known[i].name);
        *out = variables_known[i].variable;
        if (variables_known[i].end == NULL && gh_slice_equal_nocase(name, known))
            return true;
        if (variables_known[i].end == NULL ||
            !gh_slice_equal_nocase(gh_slice_sub(name, 0, known.size), known))
            continue;
        struct gh_slice end = gh_slice_text(variables_known[i].end);
        if (!gh_slice_ends(name, end) || name.size <= known.size + end.size)
            continue;
        *attribute = gh_slice_sub(name, known.size, name.size - known.size - end.size);
        return true;
    }
    return false;
}

/* What a certificate says stands in policies with a backslash before what names escape. */
static bool certificate_put(struct gh_buffer *out, struct gh_slice text)
{
    bool fits = true;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '\0' && strchr(",\"\\=<>;", text.data[i]) != NULL)
            fits = gh_buffer_u8(out, '\\') && fits;
        fits = gh_buffer_u8(out, text.data[i]) && fits;
    }
    return fits;
}

static bool value_put(const struct gh_statement_variables *values, enum variable variable,
                      struct gh_slice attribute, struct gh_buffer *out)
{
    struct gh_slice value = value_of(values, variable, attribute);
    bool usable = value.size > 0 && value.size <= GH_STATEMENT_VALUE_BYTES_MAX &&
                  gh_slice_find(value, '\0') == value.size; /* NUL is `?` inside a chunk */
    return usable &&
           (variable == CERTIFICATE ? certificate_put(out, value) : gh_buffer_put(out, value));
}

bool gh_variable_value(const struct gh_variable *variable, struct gh_slice text,
                       const struct gh_statement_variables *values, struct gh_buffer *out)
{
    return value_put(values, (enum variable)variable->which,
                     gh_slice_sub(text, variable->at, variable->size), out);
}

/* --- tokens --- */

struct reading {
    struct gh_slice text;
    size_t at;
    bool variables;
    const struct gh_resource_values *by;
    struct gh_resource *out;
    struct gh_error *error;
    bool full;
};

static void put(struct reading *r, uint16_t token)
{
    struct gh_resource *out = r->out;
    if (token == GH_TOKEN_RUN && out->count > 0 && out->tokens[out->count - 1] == GH_TOKEN_RUN)
        return;
    if (out->count == GH_RESOURCE_TOKENS_MAX)
        r->full = true;
    else
        out->tokens[out->count++] = token;
}

static void put_text(struct reading *r, struct gh_slice text)
{
    for (size_t i = 0; i < text.size; i++)
        put(r, text.data[i]);
}

/* The place of the variable among those that stay; GH_VARIABLES_MAX when there is none for it. */
static size_t place_of(const struct gh_resource_values *by, enum variable variable,
                       struct gh_slice attribute)
{
    struct gh_variables *all = by->shared;
    for (size_t i = 0; i < all->count; i++)
        if (all->items[i].which == variable &&
            gh_slice_equal(
                gh_slice_sub(gh_buffer_slice(by->text), all->items[i].at, all->items[i].size),
                attribute))
            return i;
    if (all->count == GH_VARIABLES_MAX)
        return GH_VARIABLES_MAX;
    all->items[all->count] =
        (struct gh_variable){(uint8_t)variable, (uint32_t)by->text->size, (uint32_t)attribute.size};
    return gh_buffer_put(by->text, attribute) ? all->count++ : GH_VARIABLES_MAX;
}

static void put_shared(struct reading *r, enum variable variable, struct gh_slice attribute)
{
    size_t place = place_of(r->by, variable, attribute);
    if (place < GH_VARIABLES_MAX)
        put(r, (uint16_t)(GH_TOKEN_VARIABLE + place));
    else
        r->by->shared->unfit = true;
}

static enum gh_error_code put_variable(struct reading *r, struct gh_slice name)
{
    struct gh_resource *out = r->out;
    struct gh_slice attribute = {0};
    uint8_t block[2 * GH_STATEMENT_VALUE_BYTES_MAX];
    struct gh_buffer value = gh_buffer_fixed(block, sizeof block);
    enum variable variable;
    bool known = variable_find(name, &variable, &attribute);

    if (!known && gh_slice_find(name, ':') == name.size)
        return gh_error_set(
            r->error, GH_ERROR_INVALID,
            "${%.*s} is none of tenant, registry, device, client, source, server, attribute.NAME, "
            "certificate.NAME",
            GH_PRINT(gh_slice_sub(name, 0, 64)));
    out->personal |= known && variable != TENANT && variable != REGISTRY;
    if (known && r->by->shared != NULL) {
        put_shared(r, variable, attribute);
        return GH_OK;
    }
    if (known && r->by->values == NULL) {
        put(r, 'x');
        return GH_OK;
    }
    if (known && value_put(r->by->values, variable, attribute, &value)) {
        put_text(r, gh_buffer_slice(&value));
        return GH_OK;
    }
    if (out->unresolved_count < GH_RESOURCE_UNRESOLVED_MAX)
        out->unresolved[out->unresolved_count] = name;
    out->unresolved_count++;
    put(r, GH_TOKEN_RUN);
    return GH_OK;
}

/* At a `$`: a variable, one of the three letters, or the `$` itself. */
static enum gh_error_code read_dollar(struct reading *r)
{
    struct gh_slice rest = gh_slice_sub(r->text, r->at, r->text.size);
    bool braces = gh_slice_starts(rest, GH_SLICE("${")),
         round = gh_slice_starts(rest, GH_SLICE("$("));

    if (r->variables && (braces || round) && rest.size >= 4 &&
        (rest.data[2] == '*' || rest.data[2] == '?' || rest.data[2] == '$') &&
        rest.data[3] == (braces ? '}' : ')')) {
        put(r, rest.data[2]);
        r->at += 4;
        return GH_OK;
    }
    if (!r->variables || !braces) {
        put(r, '$');
        r->at++;
        return GH_OK;
    }
    size_t end = gh_slice_find(rest, '}');
    if (end == rest.size || end == 2)
        return gh_error_set(r->error, GH_ERROR_INVALID, "a variable is not closed or has no name");
    r->at += end + 1;
    return put_variable(r, gh_slice_sub(rest, 2, end - 2));
}

static enum gh_error_code read_tokens(struct reading *r)
{
    enum gh_error_code code = GH_OK;
    while (code == GH_OK && r->at < r->text.size) {
        uint8_t byte = r->text.data[r->at];
        if (byte == '$') {
            code = read_dollar(r);
            continue;
        }
        put(r, byte == '*' ? GH_TOKEN_RUN : byte == '?' ? GH_TOKEN_ONE : byte);
        if (r->by->shared != NULL) /* never of JSON that is sound */
            r->by->shared->unfit |= byte >= GH_VARIABLE_BYTE;
        r->at++;
    }
    if (code == GH_OK && r->full)
        code = gh_error_set(r->error, GH_ERROR_LIMIT, "more than %d bytes with its variables",
                            GH_RESOURCE_TOKENS_MAX);
    return code;
}

/* --- the kind --- */

/* All ways in which the tokens can read `word`: what is left after it are the starts. A run that
 * is reached when the word has ended stands for all that could follow from it. */
static bool starts_find(struct gh_resource *resource, size_t token, struct gh_slice word,
                        struct gh_resource_starts *out)
{
    for (; word.size > 0; token++) {
        if (token == resource->count)
            return true;
        uint16_t t = resource->tokens[token];
        if (t == GH_TOKEN_RUN) {
            /* The run reads 0, 1, … letters of the word, and the rest goes on behind it. */
            for (size_t read = 0; read < word.size; read++)
                if (!starts_find(resource, token + 1, gh_slice_sub(word, read, word.size - read),
                                 out))
                    return false;
            word.size = 0;
            break;
        }
        resource->kind_varies |= t >= GH_TOKEN_VARIABLE;
        if (t != GH_TOKEN_ONE && t != word.data[0])
            return true;
        word = gh_slice_sub(word, 1, word.size);
    }
    for (size_t i = 0; i < out->count; i++)
        if (out->at[i] == token)
            return true;
    if (out->count == GH_RESOURCE_STARTS_MAX)
        return false;
    out->at[out->count++] = (uint16_t)token;
    return true;
}

/* Cuts "arn:PARTITION:iot:REGION:ACCOUNT:" off; a run may stand for several parts. */
static enum gh_error_code arn_cut(struct gh_slice *text, struct gh_error *error)
{
    enum { PARTS = 5 };
    struct gh_slice whole = *text, rest = *text, part = {0};
    bool run = false;

    for (int i = 0; i < PARTS && gh_slice_find(rest, ':') < rest.size; i++) {
        part = gh_slice_split(&rest, ':');
        bool is_pattern = gh_slice_find(part, '*') < part.size;
        run |= is_pattern;
        if (gh_slice_find(part, '$') < part.size)
            return gh_error_set(error, GH_ERROR_INVALID,
                                "variables stand only in the last part of an ARN");
        if (i == 2 && !is_pattern && !gh_slice_equal(part, GH_SLICE("iot"))) {
            *text = (struct gh_slice){0}; /* of another service: taken, without effect */
            return GH_OK;
        }
        if (i == PARTS - 1) {
            *text = rest;
            return GH_OK;
        }
    }
    bool is_all = gh_slice_ends(rest, GH_SLICE("*")) && gh_slice_find(rest, '/') == rest.size;
    if (!run && !is_all)
        return gh_error_set(error, GH_ERROR_INVALID,
                            "an ARN is arn:aws:iot:REGION:ACCOUNT:KIND/NAME, not \"%.*s\"",
                            GH_PRINT(gh_slice_sub(whole, 0, 128)));
    /* arn:aws:iot:* is everything; arn:aws:iot:*:topic/a has its run for region and account. */
    *text = is_all ? GH_SLICE("*") : rest;
    return GH_OK;
}

static enum gh_error_code kind_read(struct gh_resource *out, bool is_arn, struct gh_error *error)
{
    size_t found = 0;
    for (size_t kind = 0; kind < GH_RESOURCE_KIND_COUNT; kind++) {
        if (!starts_find(out, 0, gh_slice_text(words[kind][0]), &out->starts[kind]) ||
            (!is_arn && out->starts[kind].count == 0 &&
             !starts_find(out, 0, gh_slice_text(words[kind][1]), &out->starts[kind])))
            return gh_error_set(error, GH_ERROR_LIMIT, "too many wildcards before the kind");
        found += out->starts[kind].count;
    }
    return found > 0 || is_arn
               ? GH_OK
               : gh_error_set(error, GH_ERROR_INVALID,
                              "a resource is client/…, topic/…, filter/…, an ARN of AWS's, or *");
}

enum gh_error_code gh_resource_read(struct gh_slice text, bool variables,
                                    const struct gh_resource_values *by, struct gh_resource *out,
                                    struct gh_error *error)
{
    bool is_arn = gh_slice_starts(text, GH_SLICE("arn:"));
    enum gh_error_code code = GH_OK;

    out->count = out->unresolved_count = 0;
    out->personal = out->kind_varies = false;
    memset(out->starts, 0, sizeof out->starts);
    if (text.size == 0 || text.size > GH_STATEMENT_RESOURCE_BYTES_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "a resource has 1 to %d bytes",
                            GH_STATEMENT_RESOURCE_BYTES_MAX);
    if (is_arn)
        code = arn_cut(&text, error);
    struct reading r = {.text = text, .variables = variables, .by = by, .out = out, .error = error};
    if (code == GH_OK)
        code = read_tokens(&r);
    if (code == GH_OK)
        code = kind_read(out, is_arn, error);
    if (code == GH_OK && by->shared != NULL)
        by->shared->unfit |= out->kind_varies;
    return code;
}
