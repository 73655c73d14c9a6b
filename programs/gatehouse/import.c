/* Many devices from JSON Lines. Lines of one registry that stand together travel together; the
 * server adds all of such a batch or none and names the first that is wrong, which is reported by
 * its line and left out of the next try. */
#include "base/secret.h"
#include "programs/gatehouse/cli.h"
#include "programs/gatehouse/import_read.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BATCH_MAX = 1000,          /* devices, as the server takes them */
    BATCH_BYTES_MAX = 1 << 20, /* of their lines */
    SHORT_PASSWORDS_MAX = 50,  /* as each keeps the server busy */
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

/* Of the registry that the line names; given, NULL without memory. */
static char *path_of(const struct import_line *line)
{
    struct cli names = {0};
    char *path = NULL;
    gh_arena_init(&names.arena, LINE_BYTES_MAX); /* the command's own would grow with every line */
    const char *tenant = cli_part(&names, gh_arena_text(&names.arena, line->tenant), 0);
    const char *registry = cli_part(&names, gh_arena_text(&names.arena, line->registry), 0);
    if (asprintf(&path, "/api/v1/tenants/%s/registries/%s/import", tenant, registry) < 0)
        path = NULL;
    gh_arena_deinit(&names.arena);
    return path;
}

/* Whether the batch has no room for one more. */
static bool is_full(const struct import *import, size_t line_bytes, bool has_short_password)
{
    return import->count == BATCH_MAX || import->bytes + line_bytes > BATCH_BYTES_MAX ||
           (has_short_password && import->short_passwords == SHORT_PASSWORDS_MAX);
}

static void take_line(struct import *import, struct gh_slice text, size_t number)
{
    struct import_line line;
    if (!import_line_read(text, &line, &import->cli->error)) {
        report(import, number);
        return;
    }
    char *path = path_of(&line);
    if (path == NULL) {
        (void)gh_error_set(&import->cli->error, GH_ERROR_MEMORY, "no memory for the line");
        report(import, number);
        import_line_release(&line);
        return;
    }
    bool same = import->path != NULL && strcmp(import->path, path) == 0;
    if (import->count > 0 && (!same || is_full(import, text.size, line.has_short_password)))
        flush(import);
    free(import->path);
    import->path = path;
    import->devices[import->count] = json_incref(line.device);
    import->lines[import->count++] = number;
    import->bytes += text.size;
    import->short_passwords += line.has_short_password;
    import_line_release(&line);
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
