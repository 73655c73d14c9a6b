#include "base/time.h"
#include "programs/gatehouse/import_google.h"
#include "wire/json.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DEPTH_MAX = 16, REGISTRY_PARTS = 6, NAME_MAX_BYTES = 1024 };

/* One reading: where it is, for messages and for devices that do not say whose they are. */
struct reading {
    struct cli *cli;
    struct google_export *export;
    const char *path, *registry;
    size_t document;
};

void google_export_init(struct google_export *export)
{
    *export = (struct google_export){.registries = json_object(),
                                     .devices = json_object(),
                                     .bindings = json_object(),
                                     .says = stderr};
}

void google_export_deinit(struct google_export *export)
{
    json_decref(export->registries);
    json_decref(export->devices);
    json_decref(export->bindings);
}

/* --- names --- */

/* The registry of "projects/P/locations/L/registries/R[/…]" into `out`; false for another form. */
static bool registry_of(const char *name, char out[NAME_MAX_BYTES])
{
    static const char *const words[] = {"projects", "locations", "registries"};
    struct gh_slice rest = gh_slice_text(name != NULL ? name : "");
    struct gh_slice whole = rest;
    for (size_t i = 0; i < REGISTRY_PARTS; i++) {
        struct gh_slice part = gh_slice_split(&rest, '/');
        if (part.size == 0 || (i % 2 == 0 && !gh_slice_equal(part, gh_slice_text(words[i / 2]))))
            return false;
    }
    size_t size = rest.size > 0 ? whole.size - rest.size - 1 : whole.size;
    if (size > 0 && whole.data[size - 1] == '/')
        size--;
    if (size >= NAME_MAX_BYTES)
        return false;
    snprintf(out, NAME_MAX_BYTES, "%.*s", (int)size, name);
    return true;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* The object under `name`, made when there is none. */
static json_t *member(json_t *object, const char *name, json_t *(*make)(void))
{
    json_t *value = json_object_get(object, name);
    if (value != NULL)
        return value;
    json_object_set_new(object, name, make());
    return json_object_get(object, name);
}

/* --- documents --- */

static bool pass_over(struct reading *reading, const char *why)
{
    if (reading->export->says != NULL)
        fprintf(reading->export->says, "%s: document %zu %s; it is passed over\n", reading->path,
                reading->document, why);
    reading->export->passed_over++;
    return false;
}

static bool take_registry(struct reading *reading, json_t *registry)
{
    char name[NAME_MAX_BYTES];
    if (!registry_of(text_of(registry, "name"), name))
        return pass_over(reading, "is a registry without its name");
    json_object_set(reading->export->registries, name, registry);
    return true;
}

/* `parent` is what the page around it says, or NULL. */
static bool take_device(struct reading *reading, json_t *device, const char *parent)
{
    char name[NAME_MAX_BYTES];
    const char *id = text_of(device, "id");
    if (!registry_of(text_of(device, "name"), name) && !registry_of(parent, name) &&
        !registry_of(reading->registry, name))
        return pass_over(reading, "has a device that does not say its registry (--registry)");
    if (id == NULL)
        return pass_over(reading, "has a device without an id");
    member(reading->export->registries, name, json_object);
    json_object_set(member(reading->export->devices, name, json_object), id, device);
    return true;
}

/* A page of what is bound to a gateway, with the gateway's id put into it. */
static bool take_bound(struct reading *reading, const json_t *page, const char *gateway)
{
    char name[NAME_MAX_BYTES];
    size_t i;
    json_t *device;
    const char *parent = text_of(page, "parent");
    json_array_foreach(json_object_get(page, "devices"), i, device)
    {
        const char *id = json_is_string(device) ? json_string_value(device) : text_of(device, "id");
        if ((!registry_of(text_of(device, "name"), name) && !registry_of(parent, name) &&
             !registry_of(reading->registry, name)) ||
            id == NULL)
            return pass_over(reading, "binds a device without its registry or id");
        json_t *of = member(reading->export->bindings, name, json_object);
        json_array_append_new(member(of, gateway, json_array), json_string(id));
    }
    return true;
}

/* The body of bindDeviceToGateway, with its `parent`. */
static bool take_binding(struct reading *reading, const json_t *binding)
{
    char name[NAME_MAX_BYTES];
    const char *gateway = text_of(binding, "gatewayId"), *device = text_of(binding, "deviceId");
    if (!registry_of(text_of(binding, "parent"), name) && !registry_of(reading->registry, name))
        return pass_over(reading, "is a binding that does not say its registry (--registry)");
    json_t *of = member(reading->export->bindings, name, json_object);
    json_array_append_new(member(of, gateway, json_array), json_string(device));
    return true;
}

static bool take_page(struct reading *reading, const json_t *page)
{
    size_t i;
    json_t *each;
    const char *gateway = text_of(page, "gatewayId");
    if (gateway != NULL)
        return take_bound(reading, page, gateway);
    json_array_foreach(json_object_get(page, "devices"), i, each)
    {
        take_device(reading, each, text_of(page, "parent"));
    }
    return true;
}

static bool take(struct reading *reading, json_t *document, size_t depth)
{
    size_t i;
    json_t *each, *list;
    struct google_export *export = reading->export;
    json_t *registries = json_object_get(document, "deviceRegistries");
    if (json_is_array(document) || json_is_array(registries)) {
        list = json_is_array(document) ? document : registries;
        json_array_foreach(list, i, each)
        {
            if (depth < DEPTH_MAX)
                take(reading, each, depth + 1);
        }
        return true;
    }
    if (json_is_array(json_object_get(document, "devices")))
        return take_page(reading, document);
    if ((list = json_object_get(document, "deviceConfigs")) != NULL ||
        (list = json_object_get(document, "deviceStates")) != NULL) {
        export->history += json_array_size(list);
        return true;
    }
    if (text_of(document, "gatewayId") != NULL && text_of(document, "deviceId") != NULL)
        return take_binding(reading, document);
    if (json_object_get(document, "numId") != NULL)
        return take_device(reading, document, NULL);
    if (text_of(document, "id") != NULL && text_of(document, "name") != NULL)
        return take_registry(reading, document);
    return json_object_size(document) == 0 && json_is_object(document)
               ? true /* an empty page */
               : pass_over(reading, "is no registry, device or page of these");
}

/* --- files --- */

/* The next byte that is no white space, left in the stream; false at its end. */
static bool skip_space(FILE *file)
{
    int byte;
    do {
        byte = fgetc(file);
    } while (byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n');
    return byte != EOF && ungetc(byte, file) != EOF;
}

/* One JSON document after the other, with or without line ends between them. */
static bool read_stream(struct reading *reading, FILE *file)
{
    json_error_t wrong;
    bool good = true;
    for (reading->document = 1; good && skip_space(file); reading->document++) {
        json_t *document =
            json_loadf(file, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &wrong);
        good = document != NULL;
        if (good)
            take(reading, document, 0);
        else
            gh_error_set(&reading->cli->error, GH_ERROR_INVALID, "%s: document %zu, line %d: %s",
                         reading->path, reading->document, wrong.line, wrong.text);
        json_decref(document);
    }
    return good;
}

bool google_export_read_stream(struct cli *cli, struct google_export *export, FILE *file,
                               const char *path, const char *registry)
{
    struct reading reading = {.cli = cli, .export = export, .path = path, .registry = registry};
    return read_stream(&reading, file);
}

static bool read_file(struct reading *reading)
{
    FILE *file = fopen(reading->path, "re");
    if (file == NULL)
        return gh_error_set(&reading->cli->error, GH_ERROR_FILE, "cannot read %s: %s",
                            reading->path, strerror(errno)) == GH_OK;
    bool good = read_stream(reading, file);
    fclose(file);
    return good;
}

static int is_wanted(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return entry->d_name[0] != '.' &&
           (dot == NULL || strcmp(dot, ".json") == 0 || strcmp(dot, ".jsonl") == 0);
}

static bool read_path(struct reading *reading, size_t depth);

static bool read_folder(struct reading *reading, size_t depth)
{
    struct dirent **entries;
    const char *folder = reading->path;
    int count = scandir(folder, &entries, is_wanted, alphasort);
    bool good = count >= 0;
    if (!good)
        gh_error_set(&reading->cli->error, GH_ERROR_FILE, "cannot read %s: %s", folder,
                     strerror(errno));
    for (int i = 0; i < count; i++) {
        reading->path = gh_arena_print(&reading->cli->arena, "%s/%s", folder, entries[i]->d_name);
        good = good && read_path(reading, depth + 1);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return good;
}

static bool read_path(struct reading *reading, size_t depth)
{
    struct stat info;
    const char *dot = strrchr(reading->path, '.');
    if (stat(reading->path, &info) == 0 && S_ISDIR(info.st_mode))
        return depth >= DEPTH_MAX || read_folder(reading, depth);
    return (depth > 0 && dot == NULL) || read_file(reading);
}

bool google_export_read(struct cli *cli, struct google_export *export, const char *path,
                        const char *registry)
{
    struct reading reading = {.cli = cli, .export = export, .path = path, .registry = registry};
    return read_path(&reading, 0);
}

/* --- another project --- */

/* "projects/P/rest" under another project; NULL for another form. New reference. */
static json_t *moved(const char *name, const char *project)
{
    struct gh_slice rest = gh_slice_text(name != NULL ? name : "");
    if (!gh_slice_equal(gh_slice_split(&rest, '/'), GH_SLICE("projects")))
        return NULL;
    gh_slice_split(&rest, '/');
    return json_sprintf("projects/%s/%.*s", project, GH_PRINT(rest));
}

static void move_topic(json_t *config, const char *project)
{
    json_t *topic = moved(text_of(config, "pubsubTopicName"), project);
    if (topic != NULL)
        json_object_set_new(config, "pubsubTopicName", topic);
}

/* Every key of the object, in place. */
static void move_keys(json_t **object, const char *project)
{
    const char *key;
    json_t *value, *out = json_object();
    json_object_foreach(*object, key, value)
    {
        json_t *name = moved(key, project);
        json_object_set(out, name != NULL ? json_string_value(name) : key, value);
        json_decref(name);
    }
    json_decref(*object);
    *object = out;
}

void google_export_move(struct google_export *export, const char *project)
{
    const char *key;
    json_t *registry, *config;
    size_t i;
    json_object_foreach(export->registries, key, registry)
    {
        json_array_foreach(json_object_get(registry, "eventNotificationConfigs"), i, config)
        {
            move_topic(config, project);
        }
        move_topic(json_object_get(registry, "stateNotificationConfig"), project);
    }
    move_keys(&export->registries, project);
    move_keys(&export->devices, project);
    move_keys(&export->bindings, project);
}

/* --- one form --- */

static const struct {
    const char *name;
    int number;
} enum_values[] = {
    {"RSA_X509_PEM", 1},
    {"ES256_PEM", 2},
    {"RSA_PEM", 3},
    {"ES256_X509_PEM", 4},
    {"X509_CERTIFICATE_PEM", 1},
    {"NONE", 10},
    {"ERROR", 20},
    {"INFO", 30},
    {"DEBUG", 40},
    {"GATEWAY", 1},
    {"ASSOCIATION_ONLY", 1},
    {"DEVICE_AUTH_TOKEN_ONLY", 2},
    {"ASSOCIATION_AND_DEVICE_AUTH_TOKEN", 3},
    {"MQTT_DISABLED", 2},
    {"HTTP_DISABLED", 2},
};

/* Names that are not listed, and those that say "unspecified", "enabled" or "no gateway", are 0. */
static json_t *number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    const char *name = json_string_value(value);
    json_int_t number = json_integer_value(value);
    for (size_t i = 0; name != NULL && i < GH_COUNT(enum_values); i++)
        if (strcmp(name, enum_values[i].name) == 0)
            number = enum_values[i].number;
    return json_integer(number);
}

/* Of states that are on or off, 1 (on) is the default too. */
static json_t *is_off(const json_t *object, const char *config, const char *key)
{
    json_t *number = number_of(json_object_get(object, config), key);
    bool off = json_integer_value(number) == 2;
    json_decref(number);
    return json_boolean(off);
}

static json_t *trimmed(const char *text)
{
    struct gh_slice rest = gh_slice_text(text != NULL ? text : "");
    while (rest.size > 0 && strchr(" \t\r\n", rest.data[rest.size - 1]) != NULL)
        rest.size--;
    return gh_json_new_text(rest);
}

/* 1970-01-01T00:00:00Z is how IoT Core wrote "never". */
static json_t *time_of(const json_t *object, const char *key)
{
    const char *text = text_of(object, key);
    int64_t ms = 0;
    if (text != NULL && !gh_time_parse(gh_slice_text(text), &ms))
        ms = 0;
    return json_integer(ms);
}

static json_t *copy_or(const json_t *object, const char *key, json_t *fallback)
{
    json_t *value = json_object_get(object, key);
    if (value == NULL)
        return fallback;
    json_decref(fallback);
    return json_incref(value);
}

static json_t *credentials_form(const json_t *device)
{
    size_t i;
    json_t *each, *list = json_array();
    json_array_foreach(json_object_get(device, "credentials"), i, each)
    {
        const json_t *key = json_object_get(each, "publicKey");
        json_array_append_new(list, json_pack("{s:o, s:o, s:o}", "format", number_of(key, "format"),
                                              "key", trimmed(text_of(key, "key")), "expires",
                                              time_of(each, "expirationTime")));
    }
    return list;
}

json_t *google_device_form(const json_t *device)
{
    const json_t *gateway = json_object_get(device, "gatewayConfig"),
                 *config = json_object_get(device, "config");
    return json_pack("{s:o, s:b, s:o, s:o, s:o, s:o, s:o}", "credentials", credentials_form(device),
                     "blocked", json_is_true(json_object_get(device, "blocked")), "metadata",
                     copy_or(device, "metadata", json_object()), "log_level",
                     number_of(device, "logLevel"), "gateway_type",
                     number_of(gateway, "gatewayType"), "gateway_config.gateway_auth_method",
                     number_of(gateway, "gatewayAuthMethod"), "config",
                     copy_or(config, "binaryData", json_string("")));
}

static json_t *certificates_form(const json_t *registry)
{
    size_t i;
    json_t *each, *list = json_array();
    json_array_foreach(json_object_get(registry, "credentials"), i, each)
    {
        json_array_append_new(
            list, trimmed(text_of(json_object_get(each, "publicKeyCertificate"), "certificate")));
    }
    return list;
}

static json_t *routes_form(const json_t *registry)
{
    size_t i;
    json_t *each, *list = json_array();
    json_array_foreach(json_object_get(registry, "eventNotificationConfigs"), i, each)
    {
        json_array_append_new(list, json_pack("[o, o]",
                                              copy_or(each, "subfolderMatches", json_string("")),
                                              copy_or(each, "pubsubTopicName", json_string(""))));
    }
    return list;
}

json_t *google_registry_form(const json_t *registry)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "event_notification_configs",
                     routes_form(registry), "state_notification_config",
                     copy_or(json_object_get(registry, "stateNotificationConfig"),
                             "pubsubTopicName", json_string("")),
                     "mqtt_config", is_off(registry, "mqttConfig", "mqttEnabledState"),
                     "http_config", is_off(registry, "httpConfig", "httpEnabledState"), "log_level",
                     number_of(registry, "logLevel"), "credentials", certificates_form(registry));
}
