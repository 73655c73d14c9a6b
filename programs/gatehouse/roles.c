/* Custom roles, and who is bound to which role where. */
#include "programs/gatehouse/cli.h"
#include "wire/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES_MAX = 16 };

/* --- roles: TENANT/NAME, or NAME of the house --- */

static const char *role_path(struct cli *cli, const char *name)
{
    if (strchr(name, '/') == NULL)
        return gh_arena_print(&cli->arena, "/api/v1/roles/%s", cli_part(cli, name, 0));
    return gh_arena_print(&cli->arena, "/api/v1/tenants/%s/roles/%s", cli_part(cli, name, 0),
                          cli_part(cli, name, 1));
}

/* Calls `path` by the command's method, prints the answer, takes `body`. */
static int call_path(struct cli *cli, const char *path, json_t *body)
{
    json_t *answer = NULL;
    struct client *client = client_open(cli);
    bool good = client != NULL && client_call(client, cli->command->method, path, body, &answer);
    if (good)
        output_answer(cli, answer);
    json_decref(answer);
    json_decref(body);
    client_close(client);
    return good ? EXIT_SUCCESS : cli_fail(cli);
}

int run_role(struct cli *cli)
{
    return call_path(cli, role_path(cli, cli->arguments[0]), NULL);
}

int run_role_list(struct cli *cli)
{
    if (cli->arguments_count > 1)
        return cli_usage(cli, "the roles of one tenant, or without one those of the house");
    return call_path(cli,
                     cli->arguments_count == 0
                         ? "/api/v1/roles"
                         : gh_arena_print(&cli->arena, "/api/v1/tenants/%s/roles",
                                          cli_part(cli, cli->arguments[0], 0)),
                     NULL);
}

int run_role_put(struct cli *cli)
{
    const char *title = cli_option(cli, "title"), *etag = cli_option(cli, "if-etag");
    if (cli->arguments_count < 2)
        return cli_usage(cli, "a role and at least one permission of it");
    json_t *permissions = json_array(), *body = json_pack("{s:o}", "permissions", permissions);
    for (size_t i = 1; i < cli->arguments_count; i++)
        json_array_append_new(permissions, json_string(cli->arguments[i]));
    if (title != NULL)
        json_object_set_new(body, "title", json_string(title));
    if (etag != NULL)
        json_object_set_new(body, "etag", json_string(etag));
    return call_path(cli, role_path(cli, cli->arguments[0]), body);
}

/* --- bindings: of TENANT[/REGISTRY[/DEVICE]], of a group of the tenant, or of the house --- */

/* NULL after a wrong use that was said. */
static const char *bindings_path(struct cli *cli, size_t at)
{
    const char *where = at < cli->arguments_count ? cli->arguments[at] : NULL;
    if (cli->arguments_count < at || cli->arguments_count > at + 1) {
        cli_usage(cli, at == 0 ? "at most one place" : "a role, a member and at most one place");
        return NULL;
    }
    const char *group = cli_option(cli, "group"),
               *tenant = where != NULL ? cli_part(cli, where, 0) : "",
               *registry = where != NULL ? cli_part(cli, where, 1) : "",
               *device = where != NULL ? cli_part(cli, where, 2) : "";
    if (where == NULL)
        return "/api/v1/bindings";
    if (group != NULL && registry[0] != '\0') {
        cli_usage(cli, "--group is one of a TENANT");
        return NULL;
    }
    if (group != NULL) /* the part of a name without slashes is all of it, encoded */
        return gh_arena_print(&cli->arena, "/api/v1/tenants/%s/groups/%s/bindings", tenant,
                              cli_part(cli, group, 0));
    if (registry[0] == '\0')
        return gh_arena_print(&cli->arena, "/api/v1/tenants/%s/bindings", tenant);
    if (device[0] == '\0')
        return gh_arena_print(&cli->arena, "/api/v1/tenants/%s/registries/%s/bindings", tenant,
                              registry);
    return gh_arena_print(&cli->arena, "/api/v1/tenants/%s/registries/%s/devices/%s/bindings",
                          tenant, registry, device);
}

/* A line for each member. */
static json_t *lines_of(const json_t *answer)
{
    size_t i, k;
    json_t *binding, *member, *lines = json_array();
    json_array_foreach(json_object_get(answer, "bindings"), i, binding)
    {
        json_array_foreach(json_object_get(binding, "members"), k, member)
        {
            json_t *line =
                json_pack("{s:O, s:O}", "role", json_object_get(binding, "role"), "member", member);
            if (json_object_get(binding, "condition") != NULL)
                json_object_set(line, "condition", json_object_get(binding, "condition"));
            json_array_append_new(lines, line);
        }
    }
    return json_pack("{s:o}", "bindings", lines);
}

static void print_bindings(struct cli *cli, const json_t *answer)
{
    if (cli_option(cli, "json") != NULL) {
        output_answer(cli, answer);
        return;
    }
    json_t *lines = lines_of(answer);
    output_answer(cli, lines);
    json_decref(lines);
}

int run_binding_list(struct cli *cli)
{
    json_t *answer = NULL;
    const char *path = bindings_path(cli, 0);
    if (path == NULL)
        return CLI_USAGE;
    struct client *client = client_open(cli);
    bool good = client != NULL && client_call(client, "GET", path, NULL, &answer);
    if (good)
        print_bindings(cli, answer);
    json_decref(answer);
    client_close(client);
    return good ? EXIT_SUCCESS : cli_fail(cli);
}

static void put_option(struct cli *cli, json_t *condition, const char *name)
{
    if (cli_option(cli, name) != NULL)
        json_object_set_new(condition, name, json_string(cli_option(cli, name)));
}

/* What the options say; NULL when they say nothing. */
static json_t *read_condition(struct cli *cli)
{
    json_t *condition = json_object(), *sources = json_array(), *weekdays = json_array();
    const char *source, *days = cli_option(cli, "weekdays");
    put_option(cli, condition, "title");
    put_option(cli, condition, "from");
    put_option(cli, condition, "until");
    put_option(cli, condition, "hours");
    struct gh_slice rest = days != NULL ? gh_slice_text(days) : (struct gh_slice){0};
    while (rest.size > 0)
        json_array_append_new(weekdays, gh_json_new_text(gh_slice_split(&rest, ',')));
    for (size_t i = 0; (source = cli_option_nth(cli, "source", i)) != NULL; i++)
        json_array_append_new(sources, json_string(source));
    if (json_array_size(weekdays) > 0)
        json_object_set(condition, "weekdays", weekdays);
    if (json_array_size(sources) > 0)
        json_object_set(condition, "sources", sources);
    json_decref(weekdays);
    json_decref(sources);
    if (json_object_size(condition) > 0)
        return condition;
    json_decref(condition);
    return NULL;
}

static bool is_named(const json_t *list, const char *member, size_t *at)
{
    for (*at = 0; *at < json_array_size(list); ++*at) {
        const char *text = json_string_value(json_array_get(list, *at));
        if (text != NULL && strcmp(text, member) == 0)
            return true;
    }
    return false;
}

/* Into the binding of the same role on the same condition, or into a new one; takes `condition`. */
static void add(json_t *bindings, const char *role, const char *member, json_t *condition)
{
    size_t i, at;
    json_t *each, *members;
    json_array_foreach(bindings, i, each)
    {
        json_t *other = json_object_get(each, "condition");
        const char *name = json_string_value(json_object_get(each, "role"));
        bool same = condition == NULL ? other == NULL : json_equal(condition, other) == 1;
        if (!same || name == NULL || strcmp(name, role) != 0)
            continue;
        members = json_object_get(each, "members");
        if (!is_named(members, member, &at))
            json_array_append_new(members, json_string(member));
        json_decref(condition);
        return;
    }
    each = json_pack("{s:s, s:[s]}", "role", role, "members", member);
    if (condition != NULL)
        json_object_set_new(each, "condition", condition);
    json_array_append_new(bindings, each);
}

/* Out of every binding of the role, whatever its condition; false when it is in none. */
static bool take_out(json_t *bindings, const char *role, const char *member)
{
    bool found = false;
    size_t at;
    for (size_t i = json_array_size(bindings); i > 0; i--) {
        json_t *each = json_array_get(bindings, i - 1), *members = json_object_get(each, "members");
        const char *name = json_string_value(json_object_get(each, "role"));
        if (name == NULL || strcmp(name, role) != 0 || !is_named(members, member, &at))
            continue;
        found = true;
        json_array_remove(members, at);
        if (json_array_size(members) == 0)
            json_array_remove(bindings, i - 1);
    }
    return found;
}

/* Reads, changes and writes back what was read; `*again` when somebody else was faster. */
static bool change(struct cli *cli, struct client *client, const char *path, bool adds, bool *again)
{
    json_t *now = NULL, *answer = NULL;
    if (!client_call(client, "GET", path, NULL, &now))
        return false;
    json_t *bindings = json_object_get(now, "bindings");
    bool good = true;
    if (adds)
        add(bindings, cli->arguments[0], cli->arguments[1], read_condition(cli));
    else if (!take_out(bindings, cli->arguments[0], cli->arguments[1]))
        good = gh_error_set(&cli->error, GH_ERROR_NOT_FOUND, "%s does not have %s there",
                            cli->arguments[1], cli->arguments[0]) == GH_OK;
    if (good) {
        good = client_call(client, "PUT", path, now, &answer);
        *again = !good && cli->error.code == GH_ERROR_CONFLICT;
    }
    if (good)
        print_bindings(cli, answer);
    json_decref(answer);
    json_decref(now);
    return good;
}

static int run_change(struct cli *cli, bool adds)
{
    bool again = true, good = false;
    const char *path = bindings_path(cli, 2);
    if (path == NULL)
        return CLI_USAGE;
    struct client *client = client_open(cli);
    for (int i = 0; client != NULL && again && !good && i < TRIES_MAX; i++) {
        again = false;
        good = change(cli, client, path, adds, &again);
    }
    client_close(client);
    return good ? EXIT_SUCCESS : cli_fail(cli);
}

int run_binding_add(struct cli *cli)
{
    return run_change(cli, true);
}

int run_binding_remove(struct cli *cli)
{
    return run_change(cli, false);
}
