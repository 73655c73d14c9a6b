#include "base/buffer.h"
#include "programs/gatehouse/cli.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 24, CELL_MAX = 60, NAME_MAX_BYTES = 128 };

/* "connection.state" of an object. */
static const json_t *member(const json_t *value, struct gh_slice path)
{
    while (path.size > 0 && value != NULL) {
        char name[64];
        struct gh_slice part = gh_slice_split(&path, '.');
        snprintf(name, sizeof name, "%.*s", GH_PRINT(part));
        value = json_object_get(value, name);
    }
    return value;
}

/* One cell as text; the caller frees it. */
static char *cell(const json_t *value)
{
    char number[64];
    if (value == NULL || json_is_null(value))
        return strdup("-");
    if (json_is_string(value))
        return strdup(json_string_length(value) > 0 ? json_string_value(value) : "-");
    if (json_is_integer(value)) {
        snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return strdup(number);
    }
    if (json_is_real(value)) {
        snprintf(number, sizeof number, "%g", json_real_value(value));
        return strdup(number);
    }
    if (json_is_boolean(value))
        return strdup(json_is_true(value) ? "yes" : "no");
    return json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
}

/* A terminal never sees what a device or file may have put into a text. */
static void print_cell(const char *text, int width)
{
    int printed = 0;
    for (const char *at = text; *at != '\0'; at++, printed++)
        putchar((unsigned char)*at < 0x20 || *at == 0x7f ? '?' : *at);
    for (; printed < width; printed++)
        putchar(' ');
}

void output_text(const char *text)
{
    print_cell(text, 0);
}

static size_t split_columns(const char *columns, struct gh_slice out[COLUMNS_MAX])
{
    struct gh_slice rest = gh_slice_text(columns);
    size_t count = 0;
    while (rest.size > 0 && count < COLUMNS_MAX)
        out[count++] = gh_slice_split(&rest, ' ');
    return count;
}

static void print_list(const json_t *list, const char *columns)
{
    struct gh_slice names[COLUMNS_MAX];
    size_t count = split_columns(columns, names), rows = json_array_size(list);
    int widths[COLUMNS_MAX] = {0};
    for (size_t column = 0; column < count; column++) {
        widths[column] = (int)names[column].size;
        for (size_t row = 0; row < rows; row++) {
            char *text = cell(member(json_array_get(list, row), names[column]));
            int size = text == NULL ? 0 : (int)strlen(text);
            if (size > widths[column])
                widths[column] = size > CELL_MAX ? CELL_MAX : size;
            free(text);
        }
    }
    for (size_t column = 0; column < count; column++)
        printf("%-*.*s  ", widths[column], GH_PRINT(names[column]));
    puts("");
    for (size_t row = 0; row < rows; row++) {
        for (size_t column = 0; column < count; column++) {
            char *text = cell(member(json_array_get(list, row), names[column]));
            print_cell(text != NULL ? text : "", column + 1 < count ? widths[column] : 0);
            fputs("  ", stdout);
            free(text);
        }
        puts("");
    }
}

static void print_member(const char *name, const json_t *value);

/* A list of things: each with its number, from 1. */
static void print_members(const char *name, const json_t *list)
{
    char inner[NAME_MAX_BYTES];
    for (size_t i = 0; i < json_array_size(list); i++) {
        snprintf(inner, sizeof inner, "%s.%zu", name, i + 1);
        print_member(inner, json_array_get(list, i));
    }
}

/* A value in a line, a thing in a line for each of its members. */
static void print_member(const char *name, const json_t *value)
{
    if (json_is_array(value) && json_is_object(json_array_get(value, 0))) {
        print_members(name, value);
        return;
    }
    if (json_object_size(value) > 0) {
        void *at = json_object_iter((json_t *)value); /* which it does not change */
        for (; at != NULL; at = json_object_iter_next((json_t *)value, at)) {
            char inner[NAME_MAX_BYTES];
            snprintf(inner, sizeof inner, "%s.%s", name, json_object_iter_key(at));
            print_member(inner, json_object_iter_value(at));
        }
        return;
    }
    bool is_empty = json_is_object(value) || (json_is_array(value) && json_array_size(value) == 0);
    char *text = cell(is_empty ? NULL : value);
    print_cell(name, 27);
    putchar(' ');
    print_cell(text != NULL ? text : "", 0);
    puts("");
    free(text);
}

static void print_thing(const json_t *thing, const char *columns)
{
    struct gh_slice names[COLUMNS_MAX];
    size_t count = split_columns(columns, names);
    for (size_t i = 0; i < count; i++) {
        char name[NAME_MAX_BYTES];
        snprintf(name, sizeof name, "%.*s", GH_PRINT(names[i]));
        print_member(name, member(thing, names[i]));
    }
}

void output_thing(const struct cli *cli, const json_t *thing)
{
    print_thing(thing, cli->command->columns);
}

void output_answer(const struct cli *cli, const json_t *answer)
{
    const struct cli_command *command = cli->command;
    if (cli_option(cli, "json") != NULL) {
        json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
        puts("");
        return;
    }
    if (command->list == NULL) {
        print_thing(answer, command->columns);
        return;
    }
    print_list(json_object_get(answer, command->list), command->columns);
    const char *next = json_string_value(json_object_get(answer, "next_page_token"));
    if (next != NULL && next[0] != '\0')
        fprintf(stderr, "there is more: --page-token %s\n", next);
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           strchr("-._~", c) != NULL;
}

static const char *encode(struct cli *cli, struct gh_slice part)
{
    char *out = gh_arena_alloc(&cli->arena, part.size * 3 + 1);
    if (out == NULL)
        return "";
    char *at = out;
    for (size_t i = 0; i < part.size; i++) {
        char c = (char)part.data[i];
        if (is_plain(c) && c != '\0')
            *at++ = c;
        else
            at += sprintf(at, "%%%02X", (unsigned char)c);
    }
    return out;
}

const char *cli_part(struct cli *cli, const char *name, size_t index)
{
    struct gh_slice rest = gh_slice_text(name), part = {0};
    for (size_t i = 0; i <= index; i++) /* the last part keeps what slashes it has */
        part = i == 2 ? rest : gh_slice_split(&rest, '/');
    return encode(cli, part);
}

const char *cli_path(struct cli *cli)
{
    static const char *const query_options[] = {
        "filter", "state",  "tenant", "registry", "page-size", "page-token", "from",
        "to",     "limit",  "kind",   "channel",  "device",    "after",      "before",
        "actor",  "action", "object", "result",   "order"};
    struct gh_buffer out;
    const char *name = cli->arguments_count > 0 ? cli->arguments[0] : "";
    struct gh_slice second = gh_slice_text(cli->arguments_count > 1 ? cli->arguments[1] : "");
    char separator = '?';
    gh_buffer_init(&out, 16 * 1024);
    for (const char *at = cli->command->path; *at != '\0'; at++) {
        if (*at != '{') {
            gh_buffer_u8(&out, (uint8_t)*at);
            continue;
        }
        gh_buffer_put(&out,
                      gh_slice_text(at[1] == '+' ? encode(cli, second)
                                                 : cli_part(cli, name, (size_t)(at[1] - '0'))));
        at += 2;
    }
    bool is_get = cli->command->method != NULL && strcmp(cli->command->method, "GET") == 0;
    for (size_t i = 0; is_get && i < GH_COUNT(query_options); i++) {
        const char *value = cli_option(cli, query_options[i]);
        if (value == NULL)
            continue;
        gh_buffer_u8(&out, (uint8_t)separator);
        for (const char *at = query_options[i]; *at != '\0'; at++) /* page-size asks page_size */
            gh_buffer_u8(&out, *at == '-' ? '_' : (uint8_t)*at);
        gh_buffer_print(&out, "=%s", encode(cli, gh_slice_text(value)));
        separator = '&';
    }
    char *text = gh_arena_text(&cli->arena, gh_buffer_slice(&out));
    gh_buffer_deinit(&out);
    return text != NULL ? text : "";
}
