/* Checking a document before it is stored: the grammar decides, the warnings advise. */
#include "policy/statement_internal.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { SUBSCRIBE_BIT = 1u << GH_DEVICE_ACTION_SUBSCRIBE };

struct check {
    struct gh_statement_report *report;
    struct gh_resource resource;
    unsigned kinds;        /* of the statement's resources so far, bits */
    bool denies_receive;   /* some statement of the document denies receive */
    bool filter_deny_seen; /* some Deny stands on a filter that is not everything */
    size_t filter_deny_at;
};

static void warn(struct check *check, size_t statement, const char *format, ...) GH_PRINTF(3, 4);

static void warn(struct check *check, size_t statement, const char *format, ...)
{
    struct gh_statement_report *report = check->report;
    va_list arguments;
    if (report->warnings_count == GH_STATEMENT_WARNINGS_MAX)
        return;
    struct gh_statement_warning *warning = &report->warnings[report->warnings_count++];
    warning->statement = statement;
    va_start(arguments, format);
    vsnprintf(warning->text, sizeof warning->text, format, arguments);
    va_end(arguments);
}

/* `*` alone, whatever it is a resource of. */
static bool is_everything(const struct gh_resource *resource)
{
    return resource->count == 1 && resource->tokens[0] == GH_TOKEN_RUN;
}

static bool has_token(const struct gh_resource *resource, uint16_t token)
{
    for (size_t i = 0; i < resource->count; i++)
        if (resource->tokens[i] == token)
            return true;
    return false;
}

static void resource_warn(struct check *check, const struct gh_statement *statement,
                          struct gh_slice text)
{
    const struct gh_resource *resource = &check->resource;
    bool wild = has_token(resource, '+') || has_token(resource, '#');
    unsigned kinds = 0;

    for (unsigned k = 0; k < GH_RESOURCE_KIND_COUNT; k++)
        kinds |= resource->starts[k].count > 0 ? 1u << k : 0;
    check->kinds |= kinds;
    text = gh_slice_sub(text, 0, 80);
    if (kinds == 0)
        warn(check, statement->number, "\"%.*s\" is no client, topic or filter: without effect",
             GH_PRINT(text));
    for (size_t i = 0; i < resource->unresolved_count && i < GH_RESOURCE_UNRESOLVED_MAX; i++)
        warn(check, statement->number, "${%.*s} never has a value here: \"%.*s\" matches nothing",
             GH_PRINT(resource->unresolved[i]), GH_PRINT(text));
    if (wild && kinds == 1u << GH_RESOURCE_TOPIC)
        warn(check, statement->number,
             "+ and # are no wildcards in \"%.*s\": a topic never has them; write *",
             GH_PRINT(text));
    if (wild && statement->denies && (kinds & (1u << GH_RESOURCE_FILTER)) != 0)
        warn(check, statement->number,
             "\"%.*s\" denies only a filter with the same letters + and #; write *",
             GH_PRINT(text));
    if (statement->denies && (statement->actions & SUBSCRIBE_BIT) && !is_everything(resource) &&
        kinds == 1u << GH_RESOURCE_FILTER && !check->filter_deny_seen) {
        check->filter_deny_seen = true;
        check->filter_deny_at = statement->number;
    }
    if (!statement->denies && !statement->not_resource && is_everything(resource) &&
        (statement->actions & ~1u) == (((1u << GH_DEVICE_ACTION_COUNT) - 1) & ~1u))
        warn(check, statement->number, "allows everything in the tenant to every device");
}

/* An action whose kind of resource is not there does nothing. */
static void actions_warn(struct check *check, const struct gh_statement *statement)
{
    static const char *const needs[] = {[GH_RESOURCE_CLIENT] = "client/",
                                        [GH_RESOURCE_TOPIC] = "topic/",
                                        [GH_RESOURCE_FILTER] = "filter/ (topicfilter/ in an ARN)"};
    unsigned useful = 0;
    for (size_t a = 0; a < GH_DEVICE_ACTION_COUNT; a++)
        if ((statement->actions & (1u << a)) &&
            (check->kinds & (1u << gh_resource_kind_of((enum gh_device_action)a))))
            useful |= 1u << a;
    bool written_out = statement->actions != (1u << GH_DEVICE_ACTION_COUNT) - 1;
    for (size_t a = 0; written_out && !statement->not_resource && a < GH_DEVICE_ACTION_COUNT; a++)
        if ((statement->actions & ~useful) & (1u << a))
            warn(check, statement->number, "%s needs a resource that begins with %s",
                 gh_device_action_name((enum gh_device_action)a),
                 needs[gh_resource_kind_of((enum gh_device_action)a)]);
    if (statement->foreign != NULL)
        warn(check, statement->number, "action %.80s is not asked of devices: without effect",
             statement->foreign);
    if (statement->denies && (statement->actions & (1u << GH_DEVICE_ACTION_RECEIVE)))
        check->denies_receive = true;
}

static enum gh_error_code statement_check(struct check *check, const struct gh_document *document,
                                          size_t index, struct gh_error *error)
{
    struct gh_statement statement;
    enum gh_error_code code = gh_document_statement(document, index, &statement, error);

    check->kinds = 0;
    for (size_t i = 0; code == GH_OK && i < gh_statement_resources(&statement); i++) {
        struct gh_error why = {0};
        struct gh_slice text = gh_statement_resource(&statement, i);
        code = gh_resource_read(text, document->variables, &(struct gh_resource_values){0},
                                &check->resource, &why);
        if (code != GH_OK)
            return gh_error_set(error, code, "statement %zu: resource %zu: %.400s",
                                statement.number, i + 1, why.text);
        resource_warn(check, &statement, text);
        if (!document->variables && gh_slice_find(text, '$') + 1 < text.size &&
            text.data[gh_slice_find(text, '$') + 1] == '{')
            warn(check, statement.number,
                 "${ is text here: variables need \"Version\": \"2012-10-17\"");
    }
    if (code == GH_OK)
        actions_warn(check, &statement);
    return code;
}

enum gh_error_code gh_statements_check(struct gh_slice document_json,
                                       struct gh_statement_report *report, struct gh_error *error)
{
    struct gh_statement_report *own = malloc(sizeof *own);
    struct check *check = calloc(1, sizeof *check);
    struct gh_document document = {0};
    struct gh_error why = {0};
    enum gh_error_code code = GH_OK;

    if (own == NULL || check == NULL)
        code = gh_error_set(&why, GH_ERROR_MEMORY, "no memory for the check");
    if (code == GH_OK) {
        check->report = own;
        own->statements = own->warnings_count = 0;
        code = gh_document_open(document_json, &document, &why);
    }
    for (size_t i = 0; code == GH_OK && i < document.count; i++)
        code = statement_check(check, &document, i, &why);
    if (code == GH_OK && check->filter_deny_seen && !check->denies_receive)
        warn(check, check->filter_deny_at,
             "a wider filter such as # passes this Deny and brings the same messages; deny receive "
             "on the topics too");
    if (code == GH_OK) {
        own->statements = document.count;
        if (report != NULL)
            *report = *own;
    } else {
        gh_error_set(error, code, "%s", why.text);
    }
    gh_document_close(&document);
    free(check);
    free(own);
    return code;
}
