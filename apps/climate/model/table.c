#include "apps/climate/model/table.h"
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gh_table {
    char *text;
    char **fields; /* header first, then row after row */
    size_t columns, rows, capacity;
};

static char *read_whole(const char *path, size_t bytes_max, struct gh_error *error)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        gh_error_set(error, GH_ERROR_FILE, "%s: %s", path, strerror(errno));
        return NULL;
    }
    char *text = malloc(bytes_max + 2);
    size_t size = text == NULL ? 0 : fread(text, 1, bytes_max + 1, file);
    bool failed = ferror(file) != 0;
    fclose(file);
    if (text == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "%s: no memory for the table", path);
        return NULL;
    }
    if (failed || size > bytes_max || memchr(text, '\0', size) != NULL) {
        gh_error_set(error, GH_ERROR_FILE, "%s: not a table of at most %zu bytes of text", path,
                     bytes_max);
        free(text);
        return NULL;
    }
    text[size] = '\0';
    return text;
}

static bool add_field(struct gh_table *table, size_t count, char *field)
{
    if (count == table->capacity) {
        size_t capacity = table->capacity == 0 ? 256 : table->capacity * 2;
        char **fields = realloc(table->fields, capacity * sizeof *fields);
        if (fields == NULL)
            return false;
        table->fields = fields;
        table->capacity = capacity;
    }
    table->fields[count] = field;
    return true;
}

/* Cuts one line into fields behind the `*count` there are; yields how many it had, 0 without
 * memory. */
static size_t split_line(struct gh_table *table, char *line, size_t *count)
{
    size_t found = 0;
    char *rest = line, *field;
    while ((field = strsep(&rest, "\t")) != NULL) {
        if (!add_field(table, *count, field))
            return 0;
        ++*count;
        found++;
    }
    return found;
}

static bool split(struct gh_table *table, const char *path, struct gh_error *error)
{
    char *rest = table->text, *line;
    size_t number = 0, count = 0;
    while ((line = strsep(&rest, "\n")) != NULL) {
        number++;
        size_t length = strlen(line);
        if (length > 0 && line[length - 1] == '\r')
            line[length - 1] = '\0';
        if (line[0] == '\0')
            continue;
        size_t found = split_line(table, line, &count);
        if (table->columns == 0)
            table->columns = found;
        if (found == 0 || found != table->columns) {
            gh_error_set(error, GH_ERROR_FILE, "%s:%zu: %zu fields where the header has %zu", path,
                         number, found, table->columns);
            return false;
        }
    }
    if (table->columns == 0) {
        gh_error_set(error, GH_ERROR_FILE, "%s: there is no header line", path);
        return false;
    }
    table->rows = count / table->columns - 1;
    return true;
}

/* Takes `text`. */
static struct gh_table *table_of(char *text, const char *name, struct gh_error *error)
{
    struct gh_table *table = calloc(1, sizeof *table);
    if (table == NULL) {
        free(text);
        gh_error_set(error, GH_ERROR_MEMORY, "%s: no memory for the table", name);
        return NULL;
    }
    table->text = text;
    if (!split(table, name, error)) {
        gh_table_close(table);
        return NULL;
    }
    return table;
}

struct gh_table *gh_table_open(const char *path, size_t bytes_max, struct gh_error *error)
{
    char *text = read_whole(path, bytes_max, error);
    return text == NULL ? NULL : table_of(text, path, error);
}

struct gh_table *gh_table_read(struct gh_slice text, const char *name, struct gh_error *error)
{
    char *copy = malloc(text.size + 1);
    if (copy == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "%s: no memory for the table", name);
        return NULL;
    }
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return table_of(copy, name, error);
}

void gh_table_close(struct gh_table *table)
{
    if (table == NULL)
        return;
    free(table->fields);
    free(table->text);
    free(table);
}

size_t gh_table_rows(const struct gh_table *table)
{
    return table->rows;
}

bool gh_table_column(const struct gh_table *table, const char *name, size_t *out)
{
    for (size_t i = 0; i < table->columns; i++) {
        if (strcmp(table->fields[i], name) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

const char *gh_table_text(const struct gh_table *table, size_t row, size_t column)
{
    assert(row < table->rows);
    assert(column < table->columns);
    return table->fields[(row + 1) * table->columns + column];
}

bool gh_table_number(const struct gh_table *table, size_t row, size_t column, double *out)
{
    const char *text = gh_table_text(table, row, column);
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value))
        return false;
    *out = value;
    return true;
}
