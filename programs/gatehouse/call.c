#include "base/secret.h"
#include "programs/gatehouse/cli.h"
#include "wire/base64.h"
#include "wire/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Commands that are one call of the API: the row says the method, the path and the columns; here
 * stand the bodies. */

int cli_call(struct cli *cli, json_t *body)
{
    struct client *client = client_open(cli);
    json_t *answer = NULL;
    bool good =
        client != NULL && client_call(client, cli->command->method, cli_path(cli), body, &answer);
    if (good)
        output_answer(cli, answer);
    json_decref(answer);
    json_decref(body);
    client_close(client);
    return good ? EXIT_SUCCESS : cli_fail(cli);
}

int run_call(struct cli *cli)
{
    return cli_call(cli, NULL);
}

void cli_put_option(struct cli *cli, json_t *body, const char *option, const char *key)
{
    const char *value = cli_option(cli, option);
    if (value != NULL)
        json_object_set_new(body, key, json_string(value));
}

int run_tenant_create(struct cli *cli)
{
    json_t *body = json_pack("{s:s}", "name", cli->arguments[0]);
    cli_put_option(cli, body, "google-project", "google_project");
    cli_put_option(cli, body, "azure-hub", "azure_hub");
    cli_put_option(cli, body, "aws-account", "aws_account");
    return cli_call(cli, body);
}

int run_tenant_enable(struct cli *cli)
{
    return cli_call(cli,
                    json_pack("{s:b}", "disabled", strcmp(cli->command->verb, "disable") == 0));
}

/* The last part of TENANT/REGISTRY[/DEVICE], as it is. */
static const char *last_part(const char *name, size_t index)
{
    for (size_t i = 0; i < index && name != NULL; i++) {
        name = strchr(name, '/');
        name = name == NULL ? NULL : name + 1;
    }
    return name;
}

int run_registry_create(struct cli *cli)
{
    const char *name = last_part(cli->arguments[0], 1), *route;
    json_t *routes = json_array();
    if (name == NULL)
        return cli_usage(cli, "the registry is named TENANT/REGISTRY");
    for (size_t i = 0; (route = cli_option_nth(cli, "route", i)) != NULL; i++) {
        const char *topic = strchr(route, '=');
        size_t channel = topic == NULL ? 0 : (size_t)(topic - route);
        json_array_append_new(routes, json_pack("{s:s%, s:s}", "channel", route, channel, "topic",
                                                topic == NULL ? route : topic + 1));
    }
    json_t *body = json_pack("{s:s, s:o}", "name", name, "routes", routes);
    cli_put_option(cli, body, "location", "location");
    cli_put_option(cli, body, "state-topic", "state_topic");
    cli_put_option(cli, body, "activity-topic", "activity_topic");
    return cli_call(cli, body);
}

static bool add_credentials(struct cli *cli, json_t *list, const char *option)
{
    const char *path, *expires = cli_option(cli, "expires");
    struct gh_slice pem;
    for (size_t i = 0; (path = cli_option_nth(cli, option, i)) != NULL; i++) {
        if (!file_load(cli, path, &pem))
            return false;
        json_t *credential = json_pack("{s:o}", "pem", gh_json_new_text(pem));
        if (expires != NULL)
            json_object_set_new(credential, "expires_at", json_string(expires));
        json_array_append_new(list, credential);
    }
    return true;
}

/* The first line of each file is a secret: a password, or a symmetric key in base64. */
static bool add_secrets(struct cli *cli, json_t *list, const char *option, const char *member)
{
    const char *path, *expires = cli_option(cli, "expires");
    struct gh_slice text;
    for (size_t i = 0; (path = cli_option_nth(cli, option, i)) != NULL; i++) {
        if (!file_load(cli, path, &text))
            return false;
        struct gh_slice rest = text, line = gh_slice_split(&rest, '\n');
        if (gh_slice_ends(line, GH_SLICE("\r")))
            line.size--;
        json_t *credential = json_pack("{s:o}", member, gh_json_new_text(line));
        if (text.size > 0)
            gh_secret_wipe((void *)(uintptr_t)text.data, text.size); /* our copy of the file */
        if (credential == NULL) {
            gh_error_set(&cli->error, GH_ERROR_INVALID, "%s: the secret is not UTF-8", path);
            return false;
        }
        if (expires != NULL)
            json_object_set_new(credential, "expires_at", json_string(expires));
        json_array_append_new(list, credential);
    }
    return true;
}

/* Two, so that one can be changed while the other is in use. */
static void add_symmetric_keys(struct cli *cli, json_t *list)
{
    const char *expires = cli_option(cli, "expires");
    for (size_t i = 0; i < 2 && cli_option(cli, "symmetric-key") != NULL; i++) {
        json_t *credential = json_pack("{s:b}", "symmetric_key", 1);
        if (expires != NULL)
            json_object_set_new(credential, "expires_at", json_string(expires));
        json_array_append_new(list, credential);
    }
}

int run_device_create(struct cli *cli)
{
    const char *name = last_part(cli->arguments[0], 2), *pair;
    json_t *credentials = json_array(), *attributes = json_object();
    if (name == NULL)
        return cli_usage(cli, "the device is named TENANT/REGISTRY/DEVICE");
    json_t *body = json_pack("{s:s, s:o, s:o}", "id", name, "credentials", credentials,
                             "attributes", attributes);
    if (!add_credentials(cli, credentials, "public-key") ||
        !add_credentials(cli, credentials, "certificate") ||
        !add_secrets(cli, credentials, "password-file", "password") ||
        !add_secrets(cli, credentials, "symmetric-key-file", "symmetric_key")) {
        json_decref(body);
        return cli_fail(cli);
    }
    add_symmetric_keys(cli, credentials);
    for (size_t i = 0; (pair = cli_option_nth(cli, "attribute", i)) != NULL; i++) {
        struct gh_slice rest = gh_slice_text(pair), key = gh_slice_split(&rest, '=');
        json_object_set_new(attributes, gh_arena_text(&cli->arena, key), gh_json_new_text(rest));
    }
    return cli_call(cli, body);
}

int run_device_update(struct cli *cli)
{
    return cli_call(cli, json_pack("{s:b}", "blocked", strcmp(cli->command->verb, "block") == 0));
}

/* The file as it is: JSON as `data`, anything else as `data_base64`. */
static json_t *payload_body(struct cli *cli)
{
    const char *path = cli_option(cli, "file");
    struct gh_slice bytes;
    struct gh_buffer text;
    if (!file_load(cli, path != NULL ? path : "-", &bytes))
        return NULL;
    gh_buffer_init(&text, bytes.size * 2 + 16);
    gh_base64_encode(bytes, GH_BASE64_STANDARD, &text);
    json_t *body = json_pack("{s:o}", "data_base64", gh_json_new_text(gh_buffer_slice(&text)));
    gh_buffer_deinit(&text);
    return body;
}

int run_device_config(struct cli *cli)
{
    const char *version = cli_option(cli, "if-version");
    json_t *body = payload_body(cli);
    if (body == NULL)
        return cli_fail(cli);
    if (version != NULL)
        json_object_set_new(body, "if_version", json_integer(atoll(version)));
    return cli_call(cli, body);
}

int run_device_command(struct cli *cli)
{
    json_t *body = payload_body(cli);
    if (body == NULL)
        return cli_fail(cli);
    cli_put_option(cli, body, "channel", "channel");
    return cli_call(cli, body);
}

long cli_seconds(const char *text)
{
    static const struct {
        char unit;
        long seconds;
    } units[] = {{'\0', 1}, {'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    char *end;
    long value = strtol(text, &end, 10);
    for (size_t i = 0; i < GH_COUNT(units); i++)
        if (*end == units[i].unit && (*end == '\0' || end[1] == '\0') && value > 0 &&
            value < 1000000)
            return value * units[i].seconds;
    return 0;
}

int run_token(struct cli *cli)
{
    const char *role = cli_option(cli, "role"), *ttl = cli_option(cli, "ttl");
    long ttl_s = cli_seconds(ttl != NULL ? ttl : "1h");
    json_t *body = json_object(), *answer = NULL;
    if (ttl_s == 0)
        return cli_usage(cli, "--ttl is a number with s, m, h or d behind it");
    json_object_set_new(body, "ttl_s", json_integer(ttl_s));
    if (role != NULL || cli_option(cli, "member") == NULL)
        json_object_set_new(body, "role", json_string(role != NULL ? role : "administrator"));
    cli_put_option(cli, body, "tenant", "tenant");
    cli_put_option(cli, body, "member", "member");
    struct client *client = client_open(cli);
    bool good = client != NULL && client_call(client, "POST", "/api/v1/tokens", body, &answer);
    if (good)
        puts(json_string_value(json_object_get(answer, "token")));
    json_decref(answer);
    json_decref(body);
    client_close(client);
    return good ? EXIT_SUCCESS : cli_fail(cli);
}

int run_token_key_rotate(struct cli *cli)
{
    json_t *body = json_object();
    cli_put_option(cli, body, "alg", "alg");
    return cli_call(cli, body);
}
