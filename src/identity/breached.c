#include "identity/breached.h"
#include "crypto/digest.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEX_DIGITS = 2 * GH_SHA1_BYTES, KEPT_BYTES = 8 };

struct gh_breached {
    uint64_t *marks; /* rising */
    size_t count, capacity;
};

static uint64_t mark_of_digest(const uint8_t *digest)
{
    uint64_t mark = 0;
    for (size_t i = 0; i < KEPT_BYTES; i++)
        mark = mark << 8 | digest[i];
    return mark;
}

static uint64_t mark_of(struct gh_slice password)
{
    uint8_t digest[GH_SHA1_BYTES];
    gh_sha1(password, digest);
    return mark_of_digest(digest);
}

static int hex_value(uint8_t digit)
{
    return digit >= '0' && digit <= '9'   ? digit - '0'
           : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
           : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10
                                          : -1;
}

/* 40 hex digits, alone or with a colon behind them. */
static bool digest_read(struct gh_slice line, uint8_t digest[GH_SHA1_BYTES])
{
    if (line.size < HEX_DIGITS || (line.size > HEX_DIGITS && line.data[HEX_DIGITS] != ':'))
        return false;
    for (size_t i = 0; i < GH_SHA1_BYTES; i++) {
        int high = hex_value(line.data[2 * i]), low = hex_value(line.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        digest[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static enum gh_error_code add(struct gh_breached *breached, struct gh_slice line)
{
    uint8_t digest[GH_SHA1_BYTES];

    if (breached->count == GH_BREACHED_MAX)
        return GH_ERROR_LIMIT;
    if (breached->count == breached->capacity) {
        size_t capacity = breached->capacity == 0 ? 1024 : 2 * breached->capacity;
        uint64_t *marks = realloc(breached->marks, capacity * sizeof *marks);
        if (marks == NULL)
            return GH_ERROR_MEMORY;
        breached->marks = marks;
        breached->capacity = capacity;
    }
    breached->marks[breached->count++] =
        digest_read(line, digest) ? mark_of_digest(digest) : mark_of(line);
    return GH_OK;
}

static int by_value(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;
    return one < other ? -1 : one > other;
}

static enum gh_error_code read_lines(struct gh_breached *breached, FILE *file, const char *path,
                                     struct gh_error *error)
{
    enum gh_error_code code = GH_OK;
    char *line = NULL;
    size_t room = 0;
    ssize_t size;

    while (code == GH_OK && (size = getline(&line, &room, file)) >= 0) {
        while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r'))
            size--;
        if (size > 0)
            code = add(breached, gh_slice(line, (size_t)size));
    }
    if (code == GH_OK && ferror(file))
        code = GH_ERROR_FILE;
    if (code != GH_OK)
        gh_error_set(error, code, "the list of known passwords %s: %s", path,
                     code == GH_ERROR_LIMIT    ? "it has too many lines"
                     : code == GH_ERROR_MEMORY ? "no memory for it"
                                               : strerror(errno));
    free(line);
    return code;
}

struct gh_breached *gh_breached_open(const char *path, struct gh_error *error)
{
    struct gh_breached *breached = calloc(1, sizeof *breached);
    FILE *file = fopen(path, "re");
    enum gh_error_code code = GH_ERROR_MEMORY;

    if (file == NULL)
        code = gh_error_set(error, GH_ERROR_FILE, "the list of known passwords %s: %s", path,
                            strerror(errno));
    else if (breached != NULL)
        code = read_lines(breached, file, path, error);
    if (file != NULL)
        (void)fclose(file);
    if (code == GH_OK) {
        if (breached->count > 0)
            qsort(breached->marks, breached->count, sizeof *breached->marks, by_value);
        return breached;
    }
    gh_breached_close(breached);
    return NULL;
}

void gh_breached_close(struct gh_breached *breached)
{
    if (breached == NULL)
        return;
    free(breached->marks);
    free(breached);
}

bool gh_breached_has(const struct gh_breached *breached, struct gh_slice password)
{
    uint64_t mark = mark_of(password);
    return breached != NULL && breached->count > 0 &&
           bsearch(&mark, breached->marks, breached->count, sizeof mark, by_value) != NULL;
}
