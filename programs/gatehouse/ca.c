/* CAs of registries and certificates under them. */
#include "programs/gatehouse/cli.h"
#include "wire/base64.h"
#include "wire/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* {"pem": the file of the second argument}; NULL with cli->error set. */
static json_t *pem_body(struct cli *cli)
{
    struct gh_slice pem;
    if (!file_load(cli, cli->arguments[1], &pem))
        return NULL;
    json_t *text = gh_json_new_text(pem);
    if (text != NULL)
        return json_pack("{s:o}", "pem", text);
    gh_error_set(&cli->error, GH_ERROR_INVALID, "%s: is not PEM", cli->arguments[1]);
    return NULL;
}

int run_ca_file(struct cli *cli)
{
    json_t *body = pem_body(cli);
    return body != NULL ? cli_call(cli, body) : cli_fail(cli);
}

int run_ca_add(struct cli *cli)
{
    const char *list = cli_option(cli, "crl-url"), *responder = cli_option(cli, "ocsp-url");
    json_t *body = pem_body(cli);
    if (body == NULL)
        return cli_fail(cli);
    if (list != NULL)
        json_object_set_new(body, "crl_url", json_string(list));
    if (responder != NULL)
        json_object_set_new(body, "ocsp_url", json_string(responder));
    return cli_call(cli, body);
}

int run_ca_enable(struct cli *cli)
{
    return cli_call(cli, json_pack("{s:b}", "enabled", strcmp(cli->command->verb, "enable") == 0));
}

/* As it is: PEM or DER. */
int run_ca_crl(struct cli *cli)
{
    struct gh_slice bytes;
    struct gh_buffer text;
    if (!file_load(cli, cli->arguments[1], &bytes))
        return cli_fail(cli);
    if (gh_slice_starts(bytes, GH_SLICE("-----BEGIN ")))
        return cli_call(cli, json_pack("{s:o}", "pem", gh_json_new_text(bytes)));
    gh_buffer_init(&text, bytes.size * 2 + 16);
    gh_base64_encode(bytes, GH_BASE64_STANDARD, &text);
    json_t *body = json_pack("{s:o}", "der_base64", gh_json_new_text(gh_buffer_slice(&text)));
    gh_buffer_deinit(&text);
    return cli_call(cli, body);
}

int run_certificate_revoke(struct cli *cli)
{
    const char *reason = cli_option(cli, "reason");
    json_t *body = json_pack("{s:s}", "serial", cli->arguments[1]);
    if (reason != NULL)
        json_object_set_new(body, "reason", json_string(reason));
    return cli_call(cli, body);
}

/* The certificate and the CAs between it and the root, as one file. */
static bool write_chain(struct cli *cli, const char *path, const json_t *answer)
{
    const char *leaf = json_string_value(json_object_get(answer, "pem")),
               *chain = json_string_value(json_object_get(answer, "chain_pem"));
    const char *text =
        gh_arena_print(&cli->arena, "%s%s", leaf != NULL ? leaf : "", chain != NULL ? chain : "");
    return text != NULL && file_write(cli, path, gh_slice_text(text), 0644);
}

int run_certificate_issue(struct cli *cli)
{
    const char *days = cli_option(cli, "days"), *out = cli_option(cli, "out");
    json_t *answer = NULL, *body = pem_body(cli);
    if (body == NULL)
        return cli_fail(cli);
    if (days != NULL)
        json_object_set_new(body, "days", json_integer(atoi(days)));
    struct client *client = client_open(cli);
    bool good = client != NULL && client_call(client, "POST", cli_path(cli), body, &answer);
    if (good && out != NULL)
        good = write_chain(cli, out, answer);
    if (good)
        output_answer(cli, answer);
    if (good && out == NULL && cli_option(cli, "json") == NULL)
        fputs(json_string_value(json_object_get(answer, "pem")), stdout);
    json_decref(answer);
    json_decref(body);
    client_close(client);
    return good ? EXIT_SUCCESS : cli_fail(cli);
}

int run_device_enrol(struct cli *cli)
{
    const char *ttl = cli_option(cli, "ttl");
    long ttl_s = cli_seconds(ttl != NULL ? ttl : "1h");
    if (ttl_s == 0)
        return cli_usage(cli, "--ttl is a number with s, m, h or d behind it");
    return cli_call(cli, json_pack("{s:I}", "ttl_s", (json_int_t)ttl_s));
}

/* "never" takes the bound away. */
static void set_bound(struct cli *cli, json_t *body, const char *option, const char *member)
{
    const char *value = cli_option(cli, option);
    if (value != NULL)
        json_object_set_new(body, member,
                            strcmp(value, "never") == 0 ? json_null() : json_string(value));
}

int run_credential(struct cli *cli)
{
    json_t *body = json_object();
    if (strcmp(cli->command->verb, "limit") != 0)
        json_object_set_new(body, "disabled",
                            json_boolean(strcmp(cli->command->verb, "disable") == 0));
    set_bound(cli, body, "from", "valid_from");
    set_bound(cli, body, "expires", "expires_at");
    return cli_call(cli, body);
}
