/* Commands about people: operators, their tokens, and what signing in demands. */
#include "base/secret.h"
#include "programs/gatehouse/cli.h"
#include "wire/json.h"
#include <stdio.h>
#include <string.h>

/* Options of these names become members of the body. */
static void set_options(struct cli *cli, json_t *body, const char *const names[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *value = cli_option(cli, names[i]);
        if (value != NULL)
            json_object_set_new(body, names[i], json_string(value));
    }
}

/* The first line of --password-file. */
static bool set_password(struct cli *cli, json_t *body)
{
    const char *path = cli_option(cli, "password-file");
    struct gh_slice text;
    if (path == NULL)
        return true;
    if (!file_load(cli, path, &text))
        return false;
    struct gh_slice rest = text, line = gh_slice_split(&rest, '\n');
    json_object_set_new(body, "password", gh_json_new_text(line));
    if (text.size > 0)
        gh_secret_wipe((void *)(uintptr_t)text.data, text.size); /* our copy of the file */
    return true;
}

int run_operator_create(struct cli *cli)
{
    static const char *const names[] = {"role", "tenant", "email"};
    if (cli_option(cli, "role") == NULL)
        return cli_usage(cli, "--role is missing");
    json_t *body = json_pack("{s:s}", "name", cli->arguments[0]);
    set_options(cli, body, names, GH_COUNT(names));
    if (cli_option(cli, "no-password") != NULL)
        json_object_set_new(body, "no_password", json_true());
    if (!set_password(cli, body)) {
        json_decref(body);
        return cli_fail(cli);
    }
    return cli_call(cli, body);
}

/* change, disable, enable */
int run_operator_update(struct cli *cli)
{
    static const char *const names[] = {"role", "tenant", "email", "provider", "subject"};
    json_t *body = json_object();
    if (strcmp(cli->command->verb, "change") == 0)
        set_options(cli, body, names, GH_COUNT(names));
    else
        json_object_set_new(body, "disabled",
                            json_boolean(strcmp(cli->command->verb, "disable") == 0));
    if (json_object_size(body) > 0)
        return cli_call(cli, body);
    json_decref(body);
    return cli_usage(cli, "say what changes");
}

int run_operator_token(struct cli *cli)
{
    static const char *const names[] = {"label", "tenant"};
    const char *ttl = cli_option(cli, "ttl"), *permission;
    long ttl_s = cli_seconds(ttl != NULL ? ttl : "30d");
    if (ttl_s == 0)
        return cli_usage(cli, "--ttl is a number with s, m, h or d behind it");
    json_t *body = json_pack("{s:I}", "ttl_s", (json_int_t)ttl_s), *list = json_array();
    set_options(cli, body, names, GH_COUNT(names));
    for (size_t i = 0; (permission = cli_option_nth(cli, "permission", i)) != NULL; i++)
        json_array_append_new(list, json_string(permission));
    if (json_array_size(list) > 0)
        json_object_set(body, "permissions", list);
    json_decref(list);
    return cli_call(cli, body);
}

/* Of the house, or of the tenant that is named. */
int run_sign_in(struct cli *cli)
{
    struct cli_command row = *cli->command;
    bool demands = strcmp(row.verb, "demand") == 0;
    bool second = cli_option(cli, "second-factor") != NULL,
         nothing = cli_option(cli, "nothing") != NULL;
    if (cli->arguments_count > 1)
        return cli_usage(cli, "too many arguments");
    if (demands && second == nothing)
        return cli_usage(cli, "say --second-factor or --nothing");
    if (cli->arguments_count == 1)
        row.path = gh_arena_print(&cli->arena, "/api/v1/tenants/%s/sign-in-policy",
                                  cli_part(cli, cli->arguments[0], 0));
    cli->command = &row;
    return cli_call(cli, demands ? json_pack("{s:b}", "second_factor", second) : NULL);
}
