/* Service accounts: programs that sign in with a key file. */
#include "base/secret.h"
#include "programs/gatehouse/cli.h"
#include "wire/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int run_service_account_create(struct cli *cli)
{
    const char *name = strchr(cli->arguments[0], '/');
    if (name == NULL)
        return cli_usage(cli, "a service account is TENANT/NAME");
    json_t *body = json_pack("{s:s}", "name", name + 1);
    cli_put_option(cli, body, "title", "title");
    return cli_call(cli, body);
}

/* Where --out says, readable for nobody else, or standard output. */
static bool write_key_file(struct cli *cli, const json_t *file)
{
    const char *path = cli_option(cli, "out");
    char *text = json_dumps(file, JSON_INDENT(2));
    bool good = text != NULL;
    if (!good)
        gh_error_set(&cli->error, GH_ERROR_MEMORY, "no memory for the key file");
    else if (path != NULL)
        good = file_write(cli, path, gh_slice_text(text), 0600);
    else
        good = puts(text) >= 0;
    if (text != NULL)
        gh_secret_wipe(text, strlen(text));
    free(text);
    return good;
}

static bool add_public_key(struct cli *cli, json_t *body)
{
    const char *path = cli_option(cli, "public-key");
    struct gh_slice pem;
    if (path == NULL)
        return true;
    if (!file_load(cli, path, &pem))
        return false;
    json_object_set_new(body, "public_key", gh_json_new_text(pem));
    return true;
}

int run_service_key_create(struct cli *cli)
{
    json_t *body = json_object(), *answer = NULL, *file;
    cli_put_option(cli, body, "id", "id");
    cli_put_option(cli, body, "expires", "expires_at");
    cli_put_option(cli, body, "universe", "universe_domain");
    bool good = add_public_key(cli, body);
    struct client *client = good ? client_open(cli) : NULL;
    good = client != NULL && client_call(client, "POST", cli_path(cli), body, &answer);
    if (good && (file = json_object_get(answer, "key_file")) != NULL) {
        good = write_key_file(cli, file);
        json_object_del(answer, "key_file");
    }
    /* Standard output is the file's when it goes there. */
    if (good && (cli_option(cli, "out") != NULL || cli_option(cli, "public-key") != NULL))
        output_answer(cli, answer);
    json_decref(answer);
    json_decref(body);
    client_close(client);
    return good ? EXIT_SUCCESS : cli_fail(cli);
}
