/* Any bytes as a file of `gatehouse device import`, line by line. What is read is what the API
 * takes: a device with an id and credentials of one member each, as many as the line has, that
 * survives being written and read. What is not read says why. */
#include "programs/gatehouse/import_read.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static size_t count_of(const json_t *row, const char *key)
{
    const json_t *value = json_object_get(row, key);
    return json_is_array(value) ? json_array_size(value) : value != NULL;
}

static bool has_short_password(const json_t *credentials)
{
    const json_t *one;
    size_t at;
    json_array_foreach(credentials, at, one)
    {
        const json_t *password = json_object_get(one, "password");
        if (password != NULL && json_string_length(password) < IMPORT_SHORT_PASSWORD_BYTES)
            return true;
    }
    return false;
}

static void check_credentials(const struct import_line *line, const json_t *credentials)
{
    static const char *const members[] = {"password", "pem", "symmetric_key"};
    const json_t *one;
    size_t at, wanted = count_of(line->row, "password") + count_of(line->row, "public_key") +
                        count_of(line->row, "certificate") + count_of(line->row, "symmetric_key");
    require(json_array_size(credentials) == wanted);
    json_array_foreach(credentials, at, one)
    {
        size_t known = 0;
        for (size_t i = 0; i < GH_COUNT(members); i++)
            known += json_object_get(one, members[i]) != NULL;
        require(json_object_size(one) == 1 && known == 1);
    }
    require(line->has_short_password == has_short_password(credentials));
}

static void check(const struct import_line *line)
{
    char *text = json_dumps(line->device, 0);
    json_t *again = text != NULL ? json_loads(text, 0, NULL) : NULL;
    require(again != NULL && json_equal(again, line->device));
    json_decref(again);
    free(text);
    require(json_is_string(json_object_get(line->device, "id")));
    check_credentials(line, json_object_get(line->device, "credentials"));
    require(json_equal(json_object_get(line->device, "attributes"),
                       json_object_get(line->row, "attributes")) ||
            json_object_get(line->device, "attributes") == NULL);
    require(
        gh_slice_equal(line->tenant,
                       gh_slice_text(json_string_value(json_object_get(line->row, "tenant")))) &&
        gh_slice_equal(line->registry,
                       gh_slice_text(json_string_value(json_object_get(line->row, "registry")))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_slice rest = gh_slice(data, size);
    while (rest.size > 0) {
        struct import_line line;
        struct gh_error error = {0};
        if (import_line_read(gh_slice_split(&rest, '\n'), &line, &error)) {
            check(&line);
            import_line_release(&line);
        } else {
            require(error.code != GH_OK && error.text[0] != '\0');
        }
    }
    return 0;
}
