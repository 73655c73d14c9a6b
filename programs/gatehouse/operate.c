/* Commands for whoever runs the fleet: what is connected, and what is done about it. */
#include "programs/gatehouse/cli.h"
#include <stdio.h>
#include <stdlib.h>

int run_connection_show(struct cli *cli)
{
    struct client *client = client_open(cli);
    json_t *answer = NULL;
    bool good =
        client != NULL && client_call(client, cli->command->method, cli_path(cli), NULL, &answer);
    client_close(client);
    if (!good)
        return cli_fail(cli);
    const json_t *list = json_object_get(answer, cli->command->list);
    if (cli_option(cli, "json") != NULL) {
        output_answer(cli, answer);
    } else if (json_array_size(list) == 0) {
        puts("no connection, and no session is kept");
    } else {
        for (size_t i = 0; i < json_array_size(list); i++) {
            if (i > 0)
                puts("");
            output_thing(cli, json_array_get(list, i));
        }
    }
    json_decref(answer);
    return EXIT_SUCCESS;
}

int run_device_ban(struct cli *cli)
{
    const char *text = cli_option(cli, "for");
    long for_s = text == NULL ? 0 : cli_seconds(text);
    if (text != NULL && for_s == 0)
        return cli_usage(cli, "--for is a number with s, m, h or d behind it");
    return cli_call(cli,
                    for_s > 0 ? json_pack("{s:I}", "for_s", (json_int_t)for_s) : json_object());
}

int run_tenant_relax(struct cli *cli)
{
    bool none = cli_option(cli, "none") != NULL;
    if (none == (cli->arguments_count > 1))
        return cli_usage(cli, "name the topic filters, or say --none");
    json_t *list = json_array();
    for (size_t i = 1; i < cli->arguments_count; i++)
        json_array_append_new(list, json_string(cli->arguments[i]));
    return cli_call(cli, json_pack("{s:o}", "relaxed", list));
}

static bool read_number(struct gh_slice text, uint64_t *number)
{
    return gh_slice_to_u64(text, number) && *number <= UINT32_MAX;
}

/* --rate KEY=N and --no-compat; NULL when there are none or one is no number. */
static json_t *read_rates(struct cli *cli, bool *good)
{
    json_t *rates = json_object();
    const char *text;
    if (cli_option(cli, "no-compat") != NULL)
        json_object_set_new(rates, "compat", json_false());
    for (size_t i = 0; (text = cli_option_nth(cli, "rate", i)) != NULL; i++) {
        struct gh_slice rest = gh_slice_text(text), key = gh_slice_split(&rest, '=');
        uint64_t number = 0;
        *good = *good && read_number(rest, &number);
        json_object_set_new(rates, gh_arena_text(&cli->arena, key),
                            json_integer((json_int_t)number));
    }
    if (json_object_size(rates) > 0)
        return rates;
    json_decref(rates);
    return NULL;
}

/* The options that were given as an object; NULL when there are none or one is no number. */
static json_t *read_limits(struct cli *cli, bool *good)
{
    static const struct {
        const char *option, *key;
    } limits[] = {{"connections", "connections_max"},
                  {"messages-per-second", "messages_per_second"}};
    json_t *body = cli_option(cli, "default") != NULL ? json_object() : NULL;
    *good = true;
    for (size_t i = 0; i < GH_COUNT(limits); i++) {
        const char *text = cli_option(cli, limits[i].option);
        uint64_t number;
        if (text == NULL)
            continue;
        *good = *good && read_number(gh_slice_text(text), &number);
        if (!*good)
            continue;
        body = body != NULL ? body : json_object();
        json_object_set_new(body, limits[i].key, json_integer((json_int_t)number));
    }
    json_t *rates = read_rates(cli, good);
    if (rates != NULL) {
        body = body != NULL ? body : json_object();
        json_object_set_new(body, "rates", rates);
    }
    return body;
}

int run_tenant_limits(struct cli *cli)
{
    bool good;
    json_t *body = read_limits(cli, &good), *answer = NULL;
    if (!good || (cli_option(cli, "default") != NULL && json_object_size(body) > 0)) {
        json_decref(body);
        return cli_usage(cli, "give numbers, or --default alone");
    }
    struct client *client = client_open(cli);
    good = client != NULL &&
           client_call(client, body != NULL ? "PUT" : "GET", cli_path(cli), body, &answer);
    if (good)
        output_answer(cli, answer);
    json_decref(answer);
    json_decref(body);
    client_close(client);
    return good ? EXIT_SUCCESS : cli_fail(cli);
}
