#include "base/secret.h"
#include "io/http_client.h"
#include "programs/gatehouse/cli.h"
#include "wire/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ANSWER_MAX = 32 * 1024 * 1024, TOKEN_MAX = 4096 };

struct client {
    struct cli *cli;
    struct gh_http_client *http;
    const char *base;
    const char *authorization; /* "authorization: Bearer …", or NULL */
};

static const char *read_token(struct cli *cli, const char *path)
{
    struct gh_slice text;
    if (!file_load(cli, path, &text))
        return NULL;
    while (text.size > 0 && (text.data[text.size - 1] == '\n' || text.data[text.size - 1] == '\r'))
        text.size--;
    return gh_arena_print(&cli->arena, "authorization: Bearer %.*s", GH_PRINT(text));
}

static bool open_remote(struct client *client, const char *server)
{
    struct cli *cli = client->cli;
    const char *ca = cli_option(cli, "ca"), *token = cli_option(cli, "token-file");
    if (strncmp(server, "https://", 8) != 0 || token == NULL) {
        gh_error_set(&cli->error, GH_ERROR_USAGE,
                     "--server is https://HOST:PORT and needs --token-file");
        return false;
    }
    client->base = server;
    client->authorization = read_token(cli, token);
    if (client->authorization != NULL)
        client->http = gh_http_client_open(ca, &cli->error);
    return client->http != NULL;
}

static bool open_local(struct client *client)
{
    struct cli *cli = client->cli;
    const char *data = cli_data(cli);
    const char *path = gh_arena_print(&cli->arena, "%s/admin.sock", data);
    struct stat info;
    client->base = "http://localhost";
    if (stat(path, &info) != 0) {
        gh_error_set(&cli->error, GH_ERROR_CONNECT, "no server runs on the data folder %s (no %s)",
                     data, path);
        return false;
    }
    client->http = gh_http_client_open_unix(path, &cli->error);
    return client->http != NULL;
}

struct client *client_open(struct cli *cli)
{
    const char *server = cli_option(cli, "server");
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return NULL;
    client->cli = cli;
    if (server != NULL ? open_remote(client, server) : open_local(client))
        return client;
    client_close(client);
    return NULL;
}

void client_close(struct client *client)
{
    if (client == NULL)
        return;
    if (client->http != NULL)
        gh_http_client_close(client->http);
    free(client);
}

void client_authorize(struct client *client, const char *token)
{
    client->authorization = gh_arena_print(&client->cli->arena, "authorization: Bearer %s", token);
}

/* The server's own words when it refused, in either face's shape. */
static void read_error(struct client *client, const char *path, int status, const json_t *answer)
{
    struct gh_error *error = &client->cli->error;
    const json_t *body = json_object_get(answer, "error");
    const char *message = json_string_value(json_object_get(body, "message"));
    const char *code = json_string_value(json_object_get(body, "code"));
    int number = code != NULL && strncmp(code, "GH", 2) == 0 ? atoi(code + 2) : 0;
    enum gh_error_code fallback = status == 404   ? GH_ERROR_NOT_FOUND
                                  : status == 409 ? GH_ERROR_EXISTS
                                  : status == 401 ? GH_ERROR_UNAUTHENTICATED
                                  : status == 403 ? GH_ERROR_DENIED
                                  : status == 429 ? GH_ERROR_LIMIT
                                  : status >= 500 ? GH_ERROR_UNAVAILABLE
                                                  : GH_ERROR_INVALID;
    gh_error_set(error, number != 0 ? (enum gh_error_code)number : fallback, "%s",
                 message != NULL ? message : path);
}

bool client_call(struct client *client, const char *method, const char *path, const json_t *body,
                 json_t **answer)
{
    struct cli *cli = client->cli;
    const char *headers[] = {"content-type: application/json", client->authorization, NULL};
    struct gh_buffer in, out;
    int status = 0;
    gh_buffer_init(&in, ANSWER_MAX);
    gh_buffer_init(&out, ANSWER_MAX);
    if (body != NULL)
        gh_json_write(body, &out);
    char *url = NULL; /* not the arena's: a command may make a hundred thousand calls */
    enum gh_error_code code =
        asprintf(&url, "%s%s", client->base, path) > 0
            ? gh_http_client_call(client->http, method, url, headers, gh_buffer_slice(&out), &in,
                                  &status, &cli->error)
            : gh_error_set(&cli->error, GH_ERROR_MEMORY, "no memory for the call");
    json_t *value = NULL;
    free(url);
    if (code == GH_OK)
        value = gh_json_read(gh_buffer_slice(&in), NULL);
    gh_buffer_deinit(&in);
    if (out.data != NULL)
        gh_secret_wipe(out.data, out.size); /* it may have carried a password */
    gh_buffer_deinit(&out);
    bool good = code == GH_OK && status / 100 == 2;
    if (code == GH_OK && !good)
        read_error(client, path, status, value);
    if (good && answer != NULL)
        *answer = value;
    else
        json_decref(value);
    return good;
}

bool client_failed_index(struct gh_error *error, size_t count, size_t *index)
{
    char *end;
    if (strncmp(error->text, "devices[", 8) != 0)
        return false;
    *index = strtoul(error->text + 8, &end, 10);
    if (*index >= count || strncmp(end, "]: ", 3) != 0)
        return false;
    memmove(error->text, end + 3, strlen(end + 3) + 1);
    return true;
}

bool client_follow(struct client *client, const char *path,
                   bool (*take)(void *context, struct gh_slice piece), void *context)
{
    struct cli *cli = client->cli;
    const char *headers[] = {"accept: text/event-stream", client->authorization, NULL};
    struct gh_buffer refusal;
    int status = 0;
    gh_buffer_init(&refusal, ANSWER_MAX);
    enum gh_error_code code =
        gh_http_client_follow(client->http, gh_arena_print(&cli->arena, "%s%s", client->base, path),
                              headers, take, context, &refusal, &status, &cli->error);
    bool good = code == GH_OK && status / 100 == 2;
    if (code == GH_OK && !good) {
        json_t *value = gh_json_read(gh_buffer_slice(&refusal), NULL);
        read_error(client, path, status, value);
        json_decref(value);
    }
    gh_buffer_deinit(&refusal);
    return good;
}
