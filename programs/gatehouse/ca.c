/* CAs of registries and certificates under them. */
#include "programs/gatehouse/cli.h"
#include "wire/base64.h"
#include "wire/json.h"
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
    const char *url = cli_option(cli, "crl-url");
    json_t *body = pem_body(cli);
    if (body == NULL)
        return cli_fail(cli);
    if (url != NULL)
        json_object_set_new(body, "crl_url", json_string(url));
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
