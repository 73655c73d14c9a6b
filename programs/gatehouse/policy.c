/* Device policies: checking on this side of the wire, putting, attaching, and asking the server
 * why. */
#include "policy/statement.h"
#include "programs/gatehouse/cli.h"
#include "wire/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static int check_file(struct cli *cli)
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
    if (cli_option(cli, "credential") != NULL)
        json_object_set_new(body, "credential", json_string(cli_option(cli, "credential")));
    if (cli_option(cli, "group") != NULL)
        json_object_set_new(body, "group", json_string(cli_option(cli, "group")));
    return cli_call(cli, body);
}

/* A device of the tenant of the group. */
int run_group_member(struct cli *cli)
{
    struct gh_slice group = gh_slice_text(cli->arguments[0]),
                    rest = gh_slice_text(cli->arguments[1]);
    struct gh_slice tenant = gh_slice_split(&rest, '/'), registry = gh_slice_split(&rest, '/');
    if (!gh_slice_equal(gh_slice_split(&group, '/'), tenant) || group.size == 0 || rest.size == 0)
        return cli_usage(cli, "a group TENANT/GROUP takes devices of its own tenant");
    return cli_call(cli, json_pack("{s:o, s:o}", "registry", gh_json_new_text(registry), "device",
                                   gh_json_new_text(rest)));
}

static const char *text_of(const json_t *answer, const char *key)
{
    const char *text = json_string_value(json_object_get(answer, key));
    return text != NULL ? text : "";
}

static void print_unresolved(const json_t *answer)
{
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(answer, "unresolved"), index, row)
    {
        printf("note: policy %s, statement %" JSON_INTEGER_FORMAT
               ": ${%s} has no value, so that resource matches nothing\n",
               text_of(row, "policy"), json_integer_value(json_object_get(row, "statement")),
               text_of(row, "variable"));
    }
}

/* "allow: policy base, statement 2 (own-topics)". */
static void print_decision(const json_t *answer)
{
    json_int_t statement = json_integer_value(json_object_get(answer, "statement"));
    const char *sid = text_of(answer, "sid");
    if (statement > 0)
        printf("%s: policy %s, statement %" JSON_INTEGER_FORMAT "%s%s%s\n",
               text_of(answer, "outcome"), text_of(answer, "policy"), statement,
               sid[0] != '\0' ? " (" : "", sid, sid[0] != '\0' ? ")" : "");
    else
        puts("no match: no statement allows it");
    print_unresolved(answer);
}

int run_policy_explain(struct cli *cli)
{
    const char *client_id = cli_option(cli, "client");
    json_t *answer = NULL, *body = json_pack("{s:s, s:s}", "action", cli->arguments[1], "resource",
                                             cli->arguments[2]);
    if (client_id != NULL)
        json_object_set_new(body, "client", json_string(client_id));
    if (cli_option(cli, "credential") != NULL)
        json_object_set_new(body, "credential", json_string(cli_option(cli, "credential")));
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

/* --- checking on the server --- */

static void print_bypasses(const json_t *answer)
{
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(answer, "bypasses"), index, row)
    {
        printf("warning: policy %s, statement %" JSON_INTEGER_FORMAT
               " denies a filter, and a subscription to ",
               text_of(row, "policy"), json_integer_value(json_object_get(row, "statement")));
        output_text(text_of(row, "filter"));
        printf(" passes it: it brings ");
        output_text(text_of(row, "topic"));
        puts("; deny receive on the topics too");
    }
    json_int_t undecided = json_integer_value(json_object_get(answer, "undecided"));
    if (undecided > 0)
        printf("note: %" JSON_INTEGER_FORMAT " denying statements are too much to decide about\n",
               undecided);
    if (index == 0 && undecided == 0)
        puts("no denied filter can be passed by");
}

/* "possible: receive a/b, subscribed to as a/#". */
static void print_question(const json_t *question)
{
    const char *filter = text_of(question, "filter"), *example = text_of(question, "example");
    if (!json_is_object(question))
        return;
    printf("%s: %s ", text_of(question, "answer"), text_of(question, "action"));
    output_text(example[0] != '\0' ? example : text_of(question, "topic"));
    if (filter[0] != '\0') {
        printf(", subscribed to as ");
        output_text(filter);
    }
    puts("");
}

static void print_check(const json_t *answer)
{
    print_question(json_object_get(answer, "question"));
    if (json_is_false(json_object_get(answer, "connect"))) {
        printf("note: as client ");
        output_text(text_of(answer, "client"));
        puts(" it may not even connect");
    }
    print_unresolved(answer);
    print_bypasses(answer);
}

static size_t parts_of(const char *name)
{
    size_t parts = 1;
    for (; *name != '\0'; name++)
        parts += *name == '/';
    return parts;
}

/* What is asked for, from the options; NULL after an error that was printed. */
static json_t *read_check(struct cli *cli, bool names_policy)
{
    const char *can = cli_option(cli, "can"), *device = cli_option(cli, "device"),
               *client_id = cli_option(cli, "client");
    if ((can != NULL) != (cli->arguments_count == 2)) {
        cli_usage(cli, "--can receive|publish TOPIC");
        return NULL;
    }
    json_t *body = json_object();
    if (can != NULL) {
        json_object_set_new(body, "action", json_string(can));
        json_object_set_new(body, "topic", json_string(cli->arguments[1]));
    }
    if (client_id != NULL)
        json_object_set_new(body, "client", json_string(client_id));
    if (cli_option(cli, "credential") != NULL)
        json_object_set_new(body, "credential", json_string(cli_option(cli, "credential")));
    if (device == NULL)
        return body;
    struct gh_slice rest = gh_slice_text(device), policy = gh_slice_text(cli->arguments[0]);
    struct gh_slice tenant = gh_slice_split(&rest, '/'), registry = gh_slice_split(&rest, '/');
    if (!names_policy || rest.size == 0 || !gh_slice_equal(gh_slice_split(&policy, '/'), tenant)) {
        json_decref(body);
        cli_usage(cli, "--device TENANT/REGISTRY/DEVICE stands beside a policy of that tenant");
        return NULL;
    }
    json_object_set_new(body, "registry", gh_json_new_text(registry));
    json_object_set_new(body, "device", gh_json_new_text(rest));
    return body;
}

static int check_server(struct cli *cli)
{
    const char *name = cli->arguments[0];
    bool names_policy = parts_of(name) == 2;
    json_t *answer = NULL, *body = read_check(cli, names_policy);
    if (body == NULL)
        return CLI_USAGE;
    const char *path =
        names_policy
            ? gh_arena_print(&cli->arena, "/api/v1/tenants/%s/policies/%s/check",
                             cli_part(cli, name, 0), cli_part(cli, name, 1))
            : gh_arena_print(&cli->arena, "/api/v1/tenants/%s/registries/%s/devices/%s/check",
                             cli_part(cli, name, 0), cli_part(cli, name, 1),
                             cli_part(cli, name, 2));
    struct client *client = client_open(cli);
    bool good = client != NULL && client_call(client, "POST", path, body, &answer);
    if (good && cli_option(cli, "json") != NULL)
        output_answer(cli, answer);
    else if (good)
        print_check(answer);
    json_decref(answer);
    json_decref(body);
    client_close(client);
    return good ? EXIT_SUCCESS : cli_fail(cli);
}

/* A file that is there is checked here; what has the form of a name, by the server. */
int run_policy_check(struct cli *cli)
{
    bool asks = cli_option(cli, "can") != NULL || cli_option(cli, "device") != NULL;
    if (cli->arguments_count == 0 || cli->arguments_count > 2)
        return cli_usage(cli, "one document or policy or device to check");
    const char *name = cli->arguments[0];
    bool is_file =
        strchr(name, '/') == NULL || name[0] == '/' || name[0] == '.' || access(name, F_OK) == 0;
    return is_file && !asks ? check_file(cli) : check_server(cli);
}

/* --- people and programs --- */

/* A member has a kind before its name, "user:a@b.c"; a role has none. */
int run_access_explain(struct cli *cli)
{
    const char *who = cli->arguments[0], *where = cli->arguments[2];
    struct gh_slice device = gh_slice_text(where);
    json_t *answer = NULL,
           *body = json_pack("{s:s, s:s}", strchr(who, ':') != NULL ? "member" : "role", who,
                             "permission", cli->arguments[1]);
    gh_slice_split(&device, '/');
    struct gh_slice registry = gh_slice_split(&device, '/');
    if (registry.size > 0)
        json_object_set_new(body, "registry", gh_json_new_text(registry));
    if (device.size > 0)
        json_object_set_new(body, "device", gh_json_new_text(device));
    static const char *const asked[] = {"group", "at", "address"};
    for (size_t i = 0; i < GH_COUNT(asked); i++)
        if (cli_option(cli, asked[i]) != NULL)
            json_object_set_new(body, asked[i], json_string(cli_option(cli, asked[i])));
    const char *path =
        gh_arena_print(&cli->arena, "/api/v1/tenants/%s/access/explain", cli_part(cli, where, 0));
    struct client *client = client_open(cli);
    bool good = client != NULL && client_call(client, "POST", path, body, &answer);
    if (good && cli_option(cli, "json") != NULL) {
        output_answer(cli, answer);
    } else if (good) {
        printf("%s: ", json_is_true(json_object_get(answer, "allowed")) ? "allow" : "deny");
        output_text(text_of(answer, "why"));
        puts("");
    }
    json_decref(answer);
    json_decref(body);
    client_close(client);
    return good ? EXIT_SUCCESS : cli_fail(cli);
}
