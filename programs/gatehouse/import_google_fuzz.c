/* Any bytes as a file of exports of Google IoT Core. Its first line is the registry of devices that
 * do not say theirs, or empty; the rest are documents. What was gathered must hang together, also
 * under another project, and the form of a thing must survive being written and read. */
#include "programs/gatehouse/import_google.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_BYTES_MAX = 1 << 20, BYTES_MAX = 1 << 16 };

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_form(const json_t *thing, json_t *(*form_of)(const json_t *thing))
{
    json_t *form = form_of(thing);
    char *text = json_dumps(thing, JSON_ENCODE_ANY);
    json_t *again = text == NULL ? NULL : json_loads(text, JSON_DECODE_ANY, NULL);
    json_t *form_again = form_of(again);
    require(form != NULL && again != NULL && json_equal(form, form_again));
    json_decref(form_again);
    json_decref(again);
    free(text);
    json_decref(form);
}

static void check_bindings(const json_t *gateways)
{
    const char *gateway;
    json_t *devices, *device;
    size_t i;
    json_object_foreach((json_t *)(uintptr_t)gateways, gateway, devices)
    {
        require(json_array_size(devices) > 0);
        json_array_foreach(devices, i, device)
        {
            require(json_is_string(device));
        }
    }
}

/* Every registry is an object under a whole name that begins with `prefix`; every device is in one
 * of them. */
static void check(const struct google_export *export, const char *prefix)
{
    const char *name, *id;
    json_t *registry, *devices, *device, *gateways;
    json_object_foreach(export->registries, name, registry)
    {
        require(json_is_object(registry) && strncmp(name, prefix, strlen(prefix)) == 0 &&
                strstr(name, "/registries/") != NULL);
        check_form(registry, google_registry_form);
    }
    json_object_foreach(export->devices, name, devices)
    {
        require(json_object_get(export->registries, name) != NULL);
        json_object_foreach(devices, id, device)
        {
            require(strcmp(id, json_string_value(json_object_get(device, "id"))) == 0);
            check_form(device, google_device_form);
        }
    }
    json_object_foreach(export->bindings, name, gateways)
    {
        check_bindings(gateways);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_slice rest = gh_slice(data, size);
    struct gh_slice first = gh_slice_split(&rest, '\n');
    struct google_export export;
    struct cli cli = {0};
    char *registry = first.size == 0 ? NULL : strndup((const char *)first.data, first.size);
    FILE *file = rest.size == 0 || size > BYTES_MAX
                     ? NULL
                     : fmemopen((void *)(uintptr_t)rest.data, rest.size, "r");
    if (file != NULL) {
        gh_arena_init(&cli.arena, ARENA_BYTES_MAX);
        google_export_init(&export);
        export.says = NULL;
        bool good = google_export_read_stream(&cli, &export, file, "input", registry);
        require(good || cli.error.text[0] != '\0');
        check(&export, "projects/");
        google_export_move(&export, "other");
        check(&export, "projects/other/");
        google_export_deinit(&export);
        gh_arena_deinit(&cli.arena);
        fclose(file);
    }
    free(registry);
    return 0;
}
