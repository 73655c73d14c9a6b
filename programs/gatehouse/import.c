/* Many devices from JSON Lines. Lines of one registry that stand together travel together; the
 * server adds all of such a batch or none and names the first that is wrong, which is reported by
 * its line and left out of the next try. */
#include "base/secret.h"
#include "programs/gatehouse/cli.h"
#include "wire/json.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BATCH_MAX = 1000,          /* devices, as the server takes them */
    BATCH_BYTES_MAX = 1 << 20, /* of their lines */
    SHORT_PASSWORD_BYTES = 20, /* below, each costs the server some 20 ms … */
    SHORT_PASSWORDS_MAX = 50,  /* … so that fewer travel together */
    LINE_BYTES_MAX = 512 * 1024,
};

struct import {
    struct cli *cli;
    struct client *client;
    char *path; /* of the registry that the batch goes to */
    json_t *devices[BATCH_MAX];
    size_t lines[BATCH_MAX];
    size_t count, bytes, short_passwords;
    size_t added, refused;
    bool stopped; /* the server cannot be reached or refuses everything */
    bool progress;
};

static void report(struct import *import, size_t line)
{
    char text[GH_ERROR_LINE_MAX];
    fprintf(stderr, "%s%s:%zu: %s\n", import->progress ? "\r" : "", import->cli->arguments[0], line,
            gh_error_line(&import->cli->error, text));
    import->refused++;
}

static bool post(struct import *import, size_t from, size_t count)
{
    json_t *list = json_array(), *body = json_pack("{s:o}", "devices", list);
    for (size_t i = from; i < from + count; i++)
        json_array_append(list, import->devices[i]);
    bool good = client_call(import->client, "POST", import->path, body, NULL);
    json_decref(body);
    return good;
}

/* Sends the devices [from, to); a wrong one divides them into those before and those behind it. */
static void send_part(struct import *import, size_t from, size_t to)
{
    while (from < to && !import->stopped) {
        size_t index;
        if (post(import, from, to - from)) {
            import->added += to - from;
            return;
        }
        if (!client_failed_index(&import->cli->error, to - from, &index)) {
            import->stopped = import->cli->error.code == GH_ERROR_CONNECT ||
                              import->cli->error.code == GH_ERROR_DENIED ||
                              import->cli->error.code == GH_ERROR_UNAUTHENTICATED;
            report(import, import->lines[from]);
            import->refused += to - from - 1; /* told once for all of them */
            return;
        }
        report(import, import->lines[from + index]);
        size_t wrong = from + index;
        if (index > 0 && post(import, from, index)) {
            import->added += index;
        } else if (index > 0) {
            report(import, import->lines[from]);
            import->refused += index - 1;
        }
        from = wrong + 1;
    }
}

static void flush(struct import *import)
{
    send_part(import, 0, import->count);
    for (size_t i = 0; i < import->count; i++)
        json_decref(import->devices[i]);
    import->count = import->bytes = import->short_passwords = 0;
    if (import->progress)
        fprintf(stderr, "\r%zu devices added, %zu refused", import->added, import->refused);
}

/* The credentials of a line as the API wants them. */
static bool read_credentials(struct cli *cli, const json_t *row, json_t *credentials,
                             bool *is_short)
{
    static const struct {
        const char *key, *member;
    } kinds[] = {{"password", "password"},
                 {"public_key", "pem"},
                 {"certificate", "pem"},
                 {"symmetric_key", "symmetric_key"}};
    const json_t *several = json_object_get(row, "symmetric_key"), *key;
    size_t at;
    json_array_foreach(several, at, key)
    {
        json_array_append_new(credentials,
                              json_pack("{s:O}", "symmetric_key", (json_t *)(uintptr_t)key));
    }
    for (size_t i = 0; i < GH_COUNT(kinds); i++) {
        struct gh_slice text = {0};
        if (json_is_array(json_object_get(row, kinds[i].key)) && several != NULL &&
            strcmp(kinds[i].key, "symmetric_key") == 0)
            continue;
        if (!gh_json_get_text(row, kinds[i].key, 0, &text, &cli->error))
            return false;
        if (json_object_get(row, kinds[i].key) == NULL)
            continue;
        json_array_append_new(credentials,
                              json_pack("{s:o}", kinds[i].member, gh_json_new_text(text)));
        *is_short |= i == 0 && text.size < SHORT_PASSWORD_BYTES;
    }
    return true;
}

/* Reads a line into `*device` (given) and `*path`. */
static bool read_line(struct cli *cli, struct gh_slice line, json_t **device, char **path,
                      bool *is_short)
{
    static const char *const keys[] = {"tenant",        "registry",   "id",
                                       "password",      "public_key", "certificate",
                                       "symmetric_key", "attributes"};
    struct gh_slice tenant = {0}, registry = {0}, id = {0};
    json_t *row = gh_json_read(line, &cli->error), *credentials = json_array(), *attributes = NULL;
    *is_short = false;
    bool good = row != NULL && gh_json_only(row, keys, GH_COUNT(keys), &cli->error) &&
                gh_json_get_text(row, "tenant", GH_JSON_REQUIRED, &tenant, &cli->error) &&
                gh_json_get_text(row, "registry", GH_JSON_REQUIRED, &registry, &cli->error) &&
                gh_json_get_text(row, "id", GH_JSON_REQUIRED, &id, &cli->error) &&
                gh_json_get_object(row, "attributes", 0, &attributes, &cli->error) &&
                read_credentials(cli, row, credentials, is_short);
    if (good) {
        struct gh_arena arena; /* the command's own would grow with every line */
        gh_arena_init(&arena, LINE_BYTES_MAX);
        struct cli names = {.arena = arena};
        const char *t = cli_part(&names, gh_arena_text(&names.arena, tenant), 0);
        const char *r = cli_part(&names, gh_arena_text(&names.arena, registry), 0);
        good = asprintf(path, "/api/v1/tenants/%s/registries/%s/import", t, r) > 0;
        gh_arena_deinit(&names.arena);
        *device = json_pack("{s:o, s:O, s:O*}", "id", gh_json_new_text(id), "credentials",
                            credentials, "attributes", attributes);
    }
    json_decref(credentials);
    json_decref(row);
    return good;
}

static void take_line(struct import *import, struct gh_slice line, size_t number)
{
    json_t *device = NULL;
    char *path = NULL;
    bool is_short;
    if (!read_line(import->cli, line, &device, &path, &is_short)) {
        report(import, number);
        return;
    }
    bool same = import->path != NULL && strcmp(import->path, path) == 0;
    if (import->count > 0 &&
        (!same || import->count == BATCH_MAX || import->bytes + line.size > BATCH_BYTES_MAX ||
         (is_short && import->short_passwords == SHORT_PASSWORDS_MAX)))
        flush(import);
    free(import->path);
    import->path = path;
    import->devices[import->count] = device;
    import->lines[import->count++] = number;
    import->bytes += line.size;
    import->short_passwords += is_short;
}

static void read_lines(struct import *import, FILE *file)
{
    char *text = NULL;
    size_t capacity = 0, number = 0;
    ssize_t size;
    while (!import->stopped && (size = getline(&text, &capacity, file)) >= 0) {
        struct gh_slice line = gh_slice(text, (size_t)size);
        number++;
        while (line.size > 0 &&
               (line.data[line.size - 1] == '\n' || line.data[line.size - 1] == '\r'))
            line.size--;
        if (line.size > 0)
            take_line(import, line, number);
    }
    flush(import);
    if (text != NULL)
        gh_secret_wipe(text, capacity);
    free(text);
}

int run_device_import(struct cli *cli)
{
    const char *path = cli->arguments[0];
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    struct import *import = calloc(1, sizeof *import);
    int code = CLI_FAILED;
    if (file == NULL || import == NULL) {
        gh_error_set(&cli->error, GH_ERROR_FILE, "cannot read %s: %s", path, strerror(errno));
        cli_fail(cli);
    } else if ((import->client = client_open(cli)) == NULL) {
        cli_fail(cli);
    } else {
        import->cli = cli;
        import->progress = isatty(STDERR_FILENO) == 1;
        read_lines(import, file);
        if (import->progress)
            fputs("\r\033[K", stderr);
        printf("%zu devices added, %zu refused\n", import->added, import->refused);
        code = import->refused == 0 ? EXIT_SUCCESS : CLI_FAILED;
        client_close(import->client);
    }
    if (import != NULL)
        free(import->path);
    free(import);
    if (file != NULL && file != stdin)
        fclose(file);
    return code;
}
