/* Device policies: checking on this side of the wire, putting, attaching, and asking the server
 * why. */
#include "policy/statement.h"
#include "programs/gatehouse/cli.h"
#include "wire/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The file as a JSON object, checked by the same code as the server's; the caller's to decref. */
static json_t *load_document(struct cli *cli, const char *path, struct gh_statement_report *report)
{
    struct gh_slice text;
    struct gh_error why = {0};
    if (!file_load(cli, path, &text))
        return NULL;
    json_t *document = gh_json_read(text, &why);
    if (document != NULL && gh_statements_check(text, report, &why) == GH_OK)
        return document;
    json_decref(document);
    gh_error_set(&cli->error, why.code, "%s: %.400s", path, why.text);
    return NULL;
}

static void print_warnings(const char *path, const struct gh_statement_report *report)
{
    for (size_t i = 0; i < report->warnings_count; i++) {
        const struct gh_statement_warning *warning = &report->warnings[i];
        if (warning->statement > 0)
            fprintf(stderr, "%s: statement %zu: warning: %s\n", path, warning->statement,
                    warning->text);
        else
            fprintf(stderr, "%s: warning: %s\n", path, warning->text);
    }
}

int run_policy_check(struct cli *cli)
{
    static struct gh_statement_report report;
    const char *path = cli->arguments[0];
    json_t *document = load_document(cli, path, &report);
    if (document == NULL)
        return cli_fail(cli);
    json_decref(document);
    print_warnings(path, &report);
    printf("%s: %zu statement%s, %zu warning%s\n", path, report.statements,
           report.statements == 1 ? "" : "s", report.warnings_count,
           report.warnings_count == 1 ? "" : "s");
    return EXIT_SUCCESS;
}

int run_policy_put(struct cli *cli)
{
    static struct gh_statement_report report;
    const char *path = cli->arguments[1], *etag = cli_option(cli, "if-etag");
    json_t *document = load_document(cli, path, &report);
    if (document == NULL)
        return cli_fail(cli);
    print_warnings(path, &report);
    json_t *body = json_pack("{s:o}", "document", document);
    if (etag != NULL)
        json_object_set_new(body, "etag", json_string(etag));
    return cli_call(cli, body);
}

/* TENANT[/REGISTRY[/DEVICE]] in the tenant of the policy. */
int run_policy_target(struct cli *cli)
{
    struct gh_slice policy = gh_slice_text(cli->arguments[0]),
                    rest = gh_slice_text(cli->arguments[1]);
    struct gh_slice tenant = gh_slice_split(&rest, '/'), registry = gh_slice_split(&rest, '/');
    if (!gh_slice_equal(gh_slice_split(&policy, '/'), tenant) || policy.size == 0)
        return cli_usage(cli, "a policy TENANT/NAME is attached within its own tenant");
    json_t *body = json_object();
    if (registry.size > 0)
        json_object_set_new(body, "registry", gh_json_new_text(registry));
    if (rest.size > 0)
        json_object_set_new(body, "device", gh_json_new_text(rest));
    return cli_call(cli, body);
}

static const char *text_of(const json_t *answer, const char *key)
{
    const char *text = json_string_value(json_object_get(answer, key));
    return text != NULL ? text : "";
}

/* "allow: policy base, statement 2 (own-topics)". */
static void print_decision(const json_t *answer)
{
    json_int_t statement = json_integer_value(json_object_get(answer, "statement"));
    const char *sid = text_of(answer, "sid");
    size_t index;
    json_t *row;
    if (statement > 0)
        printf("%s: policy %s, statement %" JSON_INTEGER_FORMAT "%s%s%s\n",
               text_of(answer, "outcome"), text_of(answer, "policy"), statement,
               sid[0] != '\0' ? " (" : "", sid, sid[0] != '\0' ? ")" : "");
    else
        puts("no match: no statement allows it");
    json_array_foreach(json_object_get(answer, "unresolved"), index, row)
    {
        printf("note: policy %s, statement %" JSON_INTEGER_FORMAT
               ": ${%s} has no value, so that resource matches nothing\n",
               text_of(row, "policy"), json_integer_value(json_object_get(row, "statement")),
               text_of(row, "variable"));
    }
}

int run_policy_explain(struct cli *cli)
{
    const char *client_id = cli_option(cli, "client");
    json_t *answer = NULL, *body = json_pack("{s:s, s:s}", "action", cli->arguments[1], "resource",
                                             cli->arguments[2]);
    if (client_id != NULL)
        json_object_set_new(body, "client", json_string(client_id));
    struct client *client = client_open(cli);
    bool good = client != NULL && client_call(client, "POST", cli_path(cli), body, &answer);
    if (good && cli_option(cli, "json") != NULL)
        output_answer(cli, answer);
    else if (good)
        print_decision(answer);
    json_decref(answer);
    json_decref(body);
    client_close(client);
    return good ? EXIT_SUCCESS : cli_fail(cli);
}
