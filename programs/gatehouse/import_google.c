/* `gatehouse import google`: compares exports of Google IoT Core with what the server has, shows
 * what it would do, and does it. Everything goes through the server's own face of Google's API, so
 * that its rules hold. What is there already is not made again, so a run that was interrupted is
 * simply run again. */
#include "programs/gatehouse/import_google.h"
#include "wire/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH_MAX = 200,           /* devices of one call … */
    BATCH_BYTES_MAX = 1 << 20, /* … and what their JSON may come to */
    LISTED_MAX = 10,           /* lines of a kind, without --list */
    PAGE_SIZE = 100,           /* a config may have 64 KiB */
    TOKEN_TTL_S = 24 * 3600,
    RATE_TRIES_MAX = 90, /* a second each: a minute's rate is free again by then */
};

enum kind { TOPICS, REGISTRIES, DEVICES, BINDINGS, KIND_COUNT };
static const char *const kind_names[] = {"topics", "registries", "devices", "bindings"};

struct counts {
    size_t create, change, keep, listed;
};

struct import {
    struct cli *cli;
    struct client *client;
    struct google_export export;
    struct counts counts[KIND_COUNT];
    /* What is to be done. Topics: names. Registries and devices: [registry, id or "", document,
     * mask], the mask null for what is new. Bindings: [registry, gateway, device]. */
    json_t *todo[KIND_COUNT];
    size_t numbers, configs; /* that cannot be carried: too large; of devices that are there */
    size_t done, refused, total;
    bool progress, lists;
};

/* --- calls --- */

/* Ids hold '+' and '%'; everything but letters, digits and -._~/ is percent-encoded. */
static char *encoded(const char *text)
{
    struct gh_buffer out;
    gh_buffer_init(&out, 3 * strlen(text) + 1);
    if (text[0] == '\0')
        return strdup("");
    for (const char *at = text; *at != '\0'; at++) {
        bool plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                     (*at >= '0' && *at <= '9') || strchr("-._~/", *at) != NULL;
        if (plain)
            gh_buffer_u8(&out, (uint8_t)*at);
        else
            gh_buffer_print(&out, "%%%02X", (unsigned)(unsigned char)*at);
    }
    char *copy = strndup((const char *)out.data, out.size);
    gh_buffer_deinit(&out);
    return copy;
}

/* The server's word for a rate (a full gateway is a limit too, and waiting does not help). */
static bool is_too_fast(const struct import *import)
{
    const struct gh_error *error = &import->cli->error;
    return error->code == GH_ERROR_LIMIT && strncmp(error->text, "over the rate of", 16) == 0;
}

/* A call that waits while it is over a rate: of changes in a second, or of all in a minute. */
static bool call_patiently(struct import *import, const char *method, const char *path,
                           const json_t *body, json_t **answer)
{
    const struct timespec second = {.tv_sec = 1};
    for (int tries = 0; tries < RATE_TRIES_MAX; tries++) {
        if (client_call(import->client, method, path, body, answer))
            return true;
        if (!is_too_fast(import))
            return false;
        nanosleep(&second, NULL);
    }
    return false;
}

/* A call at "/v1/NAME[/devices/ID]SUFFIX". */
static bool call(struct import *import, const char *method, const char *name, const char *device,
                 const char *suffix, const json_t *body, json_t **answer)
{
    char *path = NULL, *first = encoded(name), *second = encoded(device != NULL ? device : "");
    bool good = first != NULL && second != NULL &&
                asprintf(&path, "/v1/%s%s%s%s", first, device != NULL ? "/devices/" : "", second,
                         suffix) > 0 &&
                call_patiently(import, method, path, body, answer);
    free(first);
    free(second);
    free(path);
    return good;
}

/* Whether the thing is there; `*answer` then. `*failed` when that could not be found out. */
static bool exists(struct import *import, const char *name, json_t **answer, bool *failed)
{
    *answer = NULL;
    bool there = call(import, "GET", name, NULL, "", NULL, answer);
    *failed = !there && import->cli->error.code != GH_ERROR_NOT_FOUND;
    return there;
}

/* All pages of a list of devices, as id -> device; NULL when it failed. */
static json_t *list_devices(struct import *import, const char *registry, const char *filter)
{
    json_t *all = json_object(), *page, *device;
    char *token = strdup("");
    size_t i;
    for (bool more = true; more && all != NULL;) {
        char *suffix = NULL;
        if (asprintf(&suffix, "/devices?pageSize=%d%s&pageToken=%s", PAGE_SIZE, filter, token) <
                0 ||
            !call(import, "GET", registry, NULL, suffix, NULL, &page)) {
            json_decref(all);
            all = NULL;
            page = NULL;
        }
        json_array_foreach(json_object_get(page, "devices"), i, device)
        {
            json_object_set(all, json_string_value(json_object_get(device, "id")), device);
        }
        const char *next = json_string_value(json_object_get(page, "nextPageToken"));
        more = next != NULL && next[0] != '\0';
        free(token);
        token = more ? encoded(next) : strdup("");
        free(suffix);
        json_decref(page);
    }
    free(token);
    return all;
}

/* --- the plan --- */

/* A line of the plan; without --list the first few of a kind. */
static void tell(struct import *import, enum kind kind, const char *sign, const char *name,
                 const char *more)
{
    if (import->counts[kind].listed++ >= LISTED_MAX && !import->lists)
        return;
    printf("  %s ", sign);
    output_text(name);
    if (more[0] != '\0') {
        fputs(": ", stdout);
        output_text(more);
    }
    putchar('\n');
}

static void plan(struct import *import, enum kind kind, const char *name, json_t *todo,
                 const char *mask)
{
    if (mask == NULL)
        import->counts[kind].create++;
    else
        import->counts[kind].change++;
    tell(import, kind, mask == NULL ? "+" : "~", name, mask != NULL ? mask : "");
    json_array_append_new(import->todo[kind], todo);
}

/* The fields that differ, as a mask; empty when none does. `fields` are names of the form. */
static char *mask_of(const json_t *wanted, const json_t *there, const char *const fields[],
                     size_t count)
{
    struct gh_buffer out;
    gh_buffer_init(&out, 512);
    for (size_t i = 0; i < count; i++)
        if (!json_equal(json_object_get(wanted, fields[i]), json_object_get(there, fields[i])))
            gh_buffer_print(&out, "%s%s", out.size > 0 ? "," : "", fields[i]);
    char *copy = strndup(out.size > 0 ? (const char *)out.data : "", out.size);
    gh_buffer_deinit(&out);
    return copy;
}

static bool plan_topic(struct import *import, const json_t *config)
{
    const char *name = json_string_value(json_object_get(config, "pubsubTopicName"));
    json_t *answer = NULL;
    size_t i;
    json_t *each;
    bool failed = false;
    if (name == NULL)
        return true;
    json_array_foreach(import->todo[TOPICS], i, each)
    {
        if (strcmp(json_string_value(each), name) == 0)
            return true;
    }
    if (exists(import, name, &answer, &failed))
        import->counts[TOPICS].keep++;
    else if (!failed)
        plan(import, TOPICS, name, json_string(name), NULL);
    json_decref(answer);
    return !failed;
}

static bool plan_topics(struct import *import, const json_t *registry)
{
    size_t i;
    json_t *config;
    bool good = plan_topic(import, json_object_get(registry, "stateNotificationConfig"));
    json_array_foreach(json_object_get(registry, "eventNotificationConfigs"), i, config)
    {
        good = good && plan_topic(import, config);
    }
    return good;
}

/* `*is_there`: the server has the registry. */
static bool plan_registry(struct import *import, const char *name, json_t *registry, bool *is_there)
{
    static const char *const fields[] = {"event_notification_configs",
                                         "state_notification_config",
                                         "mqtt_config",
                                         "http_config",
                                         "log_level",
                                         "credentials"};
    json_t *there;
    bool failed;
    if (!plan_topics(import, registry))
        return false;
    *is_there = exists(import, name, &there, &failed);
    if (failed)
        return false;
    json_t *wanted = google_registry_form(registry), *now = google_registry_form(there);
    /* Where only its devices are known, nothing is said about the registry's settings. */
    bool is_known = json_object_size(registry) > 0;
    char *mask = *is_there && is_known ? mask_of(wanted, now, fields, GH_COUNT(fields)) : NULL;
    if (!*is_there || (mask != NULL && mask[0] != '\0'))
        plan(import, REGISTRIES, name, json_pack("[s, s, O, s?]", name, "", registry, mask), mask);
    else
        import->counts[REGISTRIES].keep++;
    free(mask);
    json_decref(wanted);
    json_decref(now);
    json_decref(there);
    return true;
}

static void plan_device(struct import *import, const char *registry, const char *id, json_t *device,
                        const json_t *there)
{
    static const char *const fields[] = {"credentials", "blocked", "metadata", "log_level",
                                         "gateway_config.gateway_auth_method"};
    if (there == NULL) {
        plan(import, DEVICES, id, json_pack("[s, s, O, n]", registry, id, device), NULL);
        return;
    }
    json_t *wanted = google_device_form(device), *now = google_device_form(there);
    char *mask = mask_of(wanted, now, fields, GH_COUNT(fields));
    if (!json_equal(json_object_get(wanted, "config"), json_object_get(now, "config")))
        import->configs++;
    if (mask != NULL && mask[0] != '\0')
        plan(import, DEVICES, id, json_pack("[s, s, O, s]", registry, id, device, mask), mask);
    else
        import->counts[DEVICES].keep++;
    free(mask);
    json_decref(wanted);
    json_decref(now);
}

static bool plan_devices(struct import *import, const char *registry, bool is_there)
{
    const char *id;
    json_t *device, *wanted = json_object_get(import->export.devices, registry);
    if (json_object_size(wanted) == 0)
        return true;
    json_t *there = is_there ? list_devices(import, registry,
                                            "&fieldMask=credentials,blocked,metadata,log_level,"
                                            "gateway_config,config")
                             : json_object();
    if (there == NULL)
        return false;
    json_object_foreach(wanted, id, device)
    {
        plan_device(import, registry, id, device, json_object_get(there, id));
    }
    json_decref(there);
    return true;
}

/* What is bound to a gateway already, by ids and numbers; {} when there is no such gateway. */
static json_t *bound_to(struct import *import, const char *registry, const char *gateway)
{
    char *id = encoded(gateway), *filter = NULL;
    json_t *devices = NULL, *device, *out = json_object();
    const char *key;
    if (id != NULL && asprintf(&filter, "&gatewayListOptions.associationsGatewayId=%s", id) > 0)
        devices = list_devices(import, registry, filter);
    json_object_foreach(devices, key, device)
    {
        json_object_set_new(out, key, json_true());
        json_object_set_new(out, json_string_value(json_object_get(device, "numId")), json_true());
    }
    json_decref(devices);
    free(filter);
    free(id);
    return out;
}

static void plan_bindings(struct import *import, const char *registry, bool is_there)
{
    const char *gateway;
    json_t *devices, *device;
    size_t i;
    json_object_foreach(json_object_get(import->export.bindings, registry), gateway, devices)
    {
        json_t *bound = is_there ? bound_to(import, registry, gateway) : json_object();
        json_array_foreach(devices, i, device)
        {
            const char *id = json_string_value(device);
            if (json_object_get(bound, id) != NULL)
                import->counts[BINDINGS].keep++;
            else
                plan(import, BINDINGS, id, json_pack("[s, s, s]", registry, gateway, id), NULL);
        }
        json_decref(bound);
    }
}

static bool make_plan(struct import *import)
{
    const char *name;
    json_t *registry;
    json_object_foreach(import->export.registries, name, registry)
    {
        bool is_there;
        if (!plan_registry(import, name, registry, &is_there) ||
            !plan_devices(import, name, is_there))
            return false;
        plan_bindings(import, name, is_there);
    }
    return true;
}

static size_t print_plan(const struct import *import)
{
    size_t work = 0;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        const struct counts *counts = &import->counts[i];
        if (counts->listed > LISTED_MAX && !import->lists)
            printf("  … and %zu more (--list)\n", counts->listed - LISTED_MAX);
        printf("%-11s create %zu, change %zu, keep %zu\n", kind_names[i], counts->create,
               counts->change, counts->keep);
        work += counts->create + counts->change;
    }
    return work;
}

/* What a person would look for and not find. */
static void print_left(const struct import *import)
{
    const struct {
        size_t count;
        const char *what;
    } left[] = {
        {import->export.history, "older configs and states: the newest of each device is carried"},
        {import->configs,
         "configs of devices that are here already and have another one: it stays as it is"},
        {import->numbers, "numeric ids over 63 bits: these devices get new ones"},
        {import->export.passed_over, "documents or devices in the files, named above"},
    };
    for (size_t i = 0; i < GH_COUNT(left); i++)
        if (left[i].count > 0)
            printf("not carried: %zu %s\n", left[i].count, left[i].what);
}

/* --- doing it --- */

static void report(struct import *import, const char *what, const char *name)
{
    char text[GH_ERROR_LINE_MAX];
    fprintf(stderr, "%s%s %s: %s\n", import->progress ? "\r\033[K" : "", what, name,
            gh_error_line(&import->cli->error, text));
    import->refused++;
}

/* Whether it is of no use to go on. */
static bool is_over(const struct import *import)
{
    enum gh_error_code code = import->cli->error.code;
    return code == GH_ERROR_CONNECT || code == GH_ERROR_DENIED || code == GH_ERROR_UNAUTHENTICATED;
}

static void step(struct import *import, size_t count)
{
    import->done += count;
    if (import->progress)
        fprintf(stderr, "\r%zu of %zu, %zu refused", import->done, import->total, import->refused);
}

static const char *part(const json_t *todo, size_t index)
{
    return json_string_value(json_array_get(todo, index));
}

static bool make_topics(struct import *import)
{
    size_t i;
    json_t *name, *empty = json_object();
    bool over = false;
    json_array_foreach(import->todo[TOPICS], i, name)
    {
        if (over)
            break;
        if (!call(import, "PUT", json_string_value(name), NULL, "", empty, NULL)) {
            report(import, "topic", json_string_value(name));
            over = is_over(import);
        }
        step(import, 1);
    }
    json_decref(empty);
    return !over;
}

/* A copy without what the server makes itself, or what the method takes elsewhere. */
static json_t *without(const json_t *object, const char *const keys[], size_t count)
{
    json_t *copy = json_copy((json_t *)(uintptr_t)object);
    for (size_t i = 0; i < count; i++)
        json_object_del(copy, keys[i]);
    return copy;
}

/* The registry's id and its parent, "projects/P/locations/L/registries". */
static const char *split_name(const char *name, char **parent)
{
    const char *slash = strrchr(name, '/');
    *parent = strndup(name, (size_t)(slash - name));
    return slash + 1;
}

/* A new one comes without its CA certificates: devices that are older than these need not be signed
 * by them. They are put in when the devices are there. */
static bool make_registry(struct import *import, const json_t *todo)
{
    static const char *const left[] = {"name", "credentials"};
    char *parent;
    const char *id = split_name(part(todo, 0), &parent);
    json_t *registry = json_array_get(todo, 2), *body = without(registry, left, GH_COUNT(left));
    json_object_set_new(body, "id", json_string(id));
    bool good = parent != NULL && call(import, "POST", parent, NULL, "", body, NULL);
    if (good && json_array_size(json_object_get(registry, "credentials")) > 0)
        json_array_set_new((json_t *)(uintptr_t)todo, 3, json_string("credentials"));
    json_decref(body);
    free(parent);
    return good;
}

static bool change_registry(struct import *import, const json_t *todo)
{
    static const char *const left[] = {"name", "id"};
    char *suffix = NULL;
    json_t *body = without(json_array_get(todo, 2), left, GH_COUNT(left));
    bool good = asprintf(&suffix, "?updateMask=%s", part(todo, 3)) > 0 &&
                call(import, "PATCH", part(todo, 0), NULL, suffix, body, NULL);
    free(suffix);
    json_decref(body);
    return good;
}

/* `changes`: those that are there, else those that are not. */
static bool do_registries(struct import *import, bool changes)
{
    size_t i;
    json_t *todo;
    json_array_foreach(import->todo[REGISTRIES], i, todo)
    {
        bool is_change = part(todo, 3) != NULL;
        if (is_change != changes)
            continue;
        if (!(changes ? change_registry : make_registry)(import, todo)) {
            report(import, "registry", part(todo, 0));
            if (is_over(import))
                return false;
        }
        step(import, 1);
    }
    return true;
}

/* --- devices --- */

struct batch {
    json_t *devices, *ids; /* arrays side by side */
    const char *registry;
    size_t bytes;
};

/* Sends the batch until it is taken, each time without the one that was refused. */
static bool send(struct import *import, struct batch *batch)
{
    size_t count = json_array_size(batch->devices), wrong;
    bool over = false;
    while (!over && json_array_size(batch->devices) > 0) {
        json_t *body = json_pack("{s:O}", "devices", batch->devices);
        bool good = call(import, "POST", batch->registry, NULL, "/devices:import", body, NULL);
        json_decref(body);
        if (good)
            break;
        if (!client_failed_index(&import->cli->error, json_array_size(batch->devices), &wrong)) {
            report(import, "devices of", batch->registry);
            import->refused += json_array_size(batch->devices) - 1;
            over = is_over(import);
            break;
        }
        report(import, "device", json_string_value(json_array_get(batch->ids, wrong)));
        json_array_remove(batch->devices, wrong);
        json_array_remove(batch->ids, wrong);
    }
    json_array_clear(batch->devices);
    json_array_clear(batch->ids);
    batch->bytes = 0;
    step(import, count);
    return !over;
}

/* What the server takes of an exported device. */
static json_t *new_device(const json_t *device)
{
    static const char *const left[] = {"name",          "lastHeartbeatTime", "lastEventTime",
                                       "lastStateTime", "lastConfigAckTime", "lastConfigSendTime",
                                       "lastErrorTime", "lastErrorStatus"};
    json_t *body = without(device, left, GH_COUNT(left));
    const char *number = json_string_value(json_object_get(body, "numId"));
    if (number != NULL && strtoull(number, NULL, 10) > INT64_MAX)
        json_object_del(body, "numId");
    return body;
}

static bool make_devices(struct import *import)
{
    struct batch batch = {.devices = json_array(), .ids = json_array()};
    size_t i;
    json_t *todo;
    bool good = true;
    json_array_foreach(import->todo[DEVICES], i, todo)
    {
        if (!good || part(todo, 3) != NULL)
            continue;
        json_t *device = new_device(json_array_get(todo, 2));
        char *text = json_dumps(device, JSON_COMPACT);
        size_t bytes = text != NULL ? strlen(text) : 0;
        free(text);
        if (json_array_size(batch.devices) > 0 &&
            (strcmp(batch.registry, part(todo, 0)) != 0 || batch.bytes + bytes > BATCH_BYTES_MAX ||
             json_array_size(batch.devices) == BATCH_MAX))
            good = send(import, &batch);
        batch.registry = part(todo, 0);
        batch.bytes += bytes;
        json_array_append_new(batch.devices, device);
        json_array_append_new(batch.ids, json_string(part(todo, 1)));
    }
    good = good && send(import, &batch);
    json_decref(batch.devices);
    json_decref(batch.ids);
    return good;
}

static bool change_devices(struct import *import)
{
    static const char *const left[] = {"config", "state", "numId"};
    size_t i;
    json_t *todo;
    json_array_foreach(import->todo[DEVICES], i, todo)
    {
        char *suffix = NULL;
        if (part(todo, 3) == NULL)
            continue;
        json_t *whole = new_device(json_array_get(todo, 2)),
               *body = without(whole, left, GH_COUNT(left));
        bool good = asprintf(&suffix, "?updateMask=%s", part(todo, 3)) > 0 &&
                    call(import, "PATCH", part(todo, 0), part(todo, 1), suffix, body, NULL);
        json_decref(body);
        json_decref(whole);
        free(suffix);
        if (!good) {
            report(import, "device", part(todo, 1));
            if (is_over(import))
                return false;
        }
        step(import, 1);
    }
    return true;
}

static bool bind_devices(struct import *import)
{
    size_t i;
    json_t *todo;
    json_array_foreach(import->todo[BINDINGS], i, todo)
    {
        json_t *body =
            json_pack("{s:s, s:s}", "gatewayId", part(todo, 1), "deviceId", part(todo, 2));
        bool good = call(import, "POST", part(todo, 0), NULL, ":bindDeviceToGateway", body, NULL);
        json_decref(body);
        if (!good) {
            report(import, "binding of", part(todo, 2));
            if (is_over(import))
                return false;
        }
        step(import, 1);
    }
    return true;
}

/* In an order in which each finds what it needs. */
static void apply(struct import *import)
{
    bool good = make_topics(import) && do_registries(import, false) && make_devices(import) &&
                change_devices(import) && bind_devices(import) && do_registries(import, true);
    if (import->progress)
        fputs("\r\033[K", stderr);
    printf("%zu done, %zu refused%s\n", import->done - import->refused, import->refused,
           good ? "" : "; ended early: run it again to go on");
}

/* --- the command --- */

/* The local door knows its owner; Google's face of the API wants a token from everybody. */
static bool authorize(struct import *import)
{
    json_t *answer = NULL, *body;
    if (cli_option(import->cli, "server") != NULL)
        return true;
    body = json_pack("{s:s, s:i}", "role", "administrator", "ttl_s", (int)TOKEN_TTL_S);
    bool good = client_call(import->client, "POST", "/api/v1/tokens", body, &answer);
    if (good)
        client_authorize(import->client, json_string_value(json_object_get(answer, "token")));
    json_decref(answer);
    json_decref(body);
    return good;
}

static bool read_files(struct import *import)
{
    struct cli *cli = import->cli;
    const char *project = cli_option(cli, "project"), *id;
    json_t *devices, *device;
    const char *name;
    for (size_t i = 0; i < cli->arguments_count; i++)
        if (!google_export_read(cli, &import->export, cli->arguments[i],
                                cli_option(cli, "registry")))
            return false;
    if (project != NULL)
        google_export_move(&import->export, project);
    json_object_foreach(import->export.devices, name, devices)
    {
        json_object_foreach(devices, id, device)
        {
            const char *number = json_string_value(json_object_get(device, "numId"));
            import->numbers += number != NULL && strtoull(number, NULL, 10) > INT64_MAX;
        }
    }
    return true;
}

/* --apply, or a person who says so. */
static bool is_wanted(const struct import *import)
{
    char answer[16];
    if (cli_option(import->cli, "apply") != NULL)
        return true;
    if (isatty(STDIN_FILENO) != 1) {
        puts("nothing was changed; --apply does it");
        return false;
    }
    fputs("Do it? [y/N] ", stdout);
    fflush(stdout);
    return fgets(answer, sizeof answer, stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

static bool run(struct import *import)
{
    if (!read_files(import))
        return false;
    import->client = client_open(import->cli);
    if (import->client == NULL || !authorize(import) || !make_plan(import))
        return false;
    import->total = print_plan(import);
    print_left(import);
    if (import->total == 0)
        puts("nothing to do");
    else if (is_wanted(import))
        apply(import);
    return true;
}

int run_import_google(struct cli *cli)
{
    struct import import = {.cli = cli,
                            .lists = cli_option(cli, "list") != NULL,
                            .progress = isatty(STDERR_FILENO) == 1};
    if (cli->arguments_count == 0)
        return cli_usage(cli, "a file or folder to read");
    google_export_init(&import.export);
    for (size_t i = 0; i < KIND_COUNT; i++)
        import.todo[i] = json_array();
    bool good = run(&import);
    for (size_t i = 0; i < KIND_COUNT; i++)
        json_decref(import.todo[i]);
    google_export_deinit(&import.export);
    client_close(import.client);
    if (!good)
        return cli_fail(cli);
    return import.refused == 0 ? EXIT_SUCCESS : CLI_FAILED;
}
