#include "base/log.h"
#include "base/time.h"
#include "observe/absence_internal.h"
#include "observe/deadlines.h"
#include "observe/trail.h"
#include "pubsub/pubsub.h"
#include "registry/directory.h"
#include "wire/json.h"
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ARENA_BYTES_MAX = 16 << 20,
    AWAY_MAX = 10000000, /* rows that are read at the start */
    PAGE_SIZE = 500,
    DATA_BYTES_MAX = 4096,
    IDLE_MS = 60 * 1000, /* the longest sleep; a clock that is set is noticed by then */
};

struct note {
    uint64_t device;
    enum gh_absence_event event;
    int64_t at_ms;
};

/* The rules of one tenant. */
struct rules {
    int64_t tenant;
    json_t *document;
    bool is_new; /* its devices are to be looked through */
};

struct away {
    int64_t since_ms;
    enum gh_absence_state state;
};

struct gh_absence {
    struct gh_absence_options options;
    struct gh_trail_watch *watch;
    pthread_t thread;
    bool started;
    int64_t started_ms;
    atomic_bool any_rules;

    pthread_mutex_t lock; /* around what follows, up to the blank line */
    pthread_cond_t wake;
    bool stopping, hurry; /* `hurry`: rules are new */
    struct note *notes;
    size_t notes_count;
    struct gh_map tenants; /* tenant -> struct rules */

    /* The thread's own. */
    struct note *taken;
    struct gh_deadlines deadlines;
    struct gh_map away; /* device -> struct away */
    struct gh_arena arena;
};

/* --- opening --- */

static struct away *away_of(const struct gh_absence *absence, uint64_t device)
{
    return gh_map_get(&absence->away, gh_slice(&device, sizeof device));
}

/* NULL without memory. */
static struct away *away_make(struct gh_absence *absence, uint64_t device, int64_t since_ms,
                              enum gh_absence_state state)
{
    struct away *away = away_of(absence, device);
    if (away == NULL && (away = calloc(1, sizeof *away)) != NULL &&
        !gh_map_put(&absence->away, gh_slice(&device, sizeof device), away, NULL)) {
        free(away);
        return NULL;
    }
    if (away != NULL)
        *away = (struct away){since_ms, state};
    return away;
}

static bool load(struct gh_absence *absence, struct gh_error *error)
{
    struct gh_absence_row *rows;
    size_t count;
    bool good = gh_store_absence_list(absence->options.store, 0, AWAY_MAX, &absence->arena, &rows,
                                      &count, error) == GH_OK;
    for (size_t i = 0; good && i < count; i++) {
        bool told = rows[i].state == GH_ABSENCE_TOLD;
        good = away_make(absence, rows[i].device, rows[i].since_ms, rows[i].state) != NULL &&
               (told || gh_deadlines_set(&absence->deadlines, rows[i].device, 0));
        if (!good)
            gh_error_set(error, GH_ERROR_MEMORY, "devices that are away");
    }
    gh_arena_reset(&absence->arena);
    return good;
}

struct gh_absence *gh_absence_open(const struct gh_absence_options *options, struct gh_error *error)
{
    struct gh_absence *absence = calloc(1, sizeof *absence);
    if (absence == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "alerts");
        return NULL;
    }
    absence->options = *options;
    absence->started_ms = options->utc_ms();
    pthread_mutex_init(&absence->lock, NULL);
    pthread_cond_init(&absence->wake, NULL);
    gh_map_init(&absence->tenants);
    gh_map_init(&absence->away);
    gh_deadlines_init(&absence->deadlines);
    gh_arena_init(&absence->arena, ARENA_BYTES_MAX);
    absence->notes = malloc(GH_ABSENCE_NOTES_MAX * sizeof *absence->notes);
    absence->taken = malloc(GH_ABSENCE_NOTES_MAX * sizeof *absence->taken);
    if (absence->notes == NULL || absence->taken == NULL)
        gh_error_set(error, GH_ERROR_MEMORY, "alerts");
    else if (load(absence, error))
        return absence;
    gh_absence_close(absence);
    return NULL;
}

static void map_close(struct gh_map *map, void (*close)(void *value))
{
    struct gh_slice key;
    size_t at = 0;
    for (void *value; gh_map_next(map, &at, &key, &value);)
        close(value);
    gh_map_deinit(map);
}

static void rules_close(void *value)
{
    struct rules *rules = value;
    json_decref(rules->document);
    free(rules);
}

void gh_absence_close(struct gh_absence *absence)
{
    if (absence == NULL)
        return;
    if (absence->watch != NULL)
        gh_trail_unwatch(absence->options.trail, absence->watch);
    if (absence->started) {
        pthread_mutex_lock(&absence->lock);
        absence->stopping = true;
        pthread_cond_signal(&absence->wake);
        pthread_mutex_unlock(&absence->lock);
        pthread_join(absence->thread, NULL);
    }
    map_close(&absence->tenants, rules_close);
    map_close(&absence->away, free);
    gh_deadlines_deinit(&absence->deadlines);
    gh_arena_deinit(&absence->arena);
    free(absence->notes);
    free(absence->taken);
    pthread_cond_destroy(&absence->wake);
    pthread_mutex_destroy(&absence->lock);
    free(absence);
}

/* --- what is heard --- */

void gh_absence_note(struct gh_absence *absence, uint64_t device, enum gh_absence_event event,
                     int64_t at_ms)
{
    if (device == 0 || !atomic_load_explicit(&absence->any_rules, memory_order_relaxed))
        return;
    pthread_mutex_lock(&absence->lock);
    if (absence->notes_count < GH_ABSENCE_NOTES_MAX)
        absence->notes[absence->notes_count++] = (struct note){device, event, at_ms};
    pthread_cond_signal(&absence->wake);
    pthread_mutex_unlock(&absence->lock);
}

static void noted(void *context, const struct gh_trail_entry *entry)
{
    bool came = entry->kind == GH_TRAIL_CONNECT || entry->kind == GH_TRAIL_ATTACH;
    if (came || entry->kind == GH_TRAIL_DISCONNECT || entry->kind == GH_TRAIL_DETACH)
        gh_absence_note(context, entry->device, came ? GH_ABSENCE_CAME : GH_ABSENCE_LEFT,
                        entry->at_ms);
}

bool gh_absence_set(struct gh_absence *absence, int64_t tenant, const json_t *rules)
{
    struct gh_slice key = gh_slice(&tenant, sizeof tenant);
    json_t *copy = json_deep_copy(rules);
    struct rules *made = calloc(1, sizeof *made);
    void *before = NULL;
    if (made != NULL)
        *made = (struct rules){tenant, copy, true};
    pthread_mutex_lock(&absence->lock);
    bool good = copy != NULL && made != NULL && gh_map_put(&absence->tenants, key, made, &before);
    atomic_store(&absence->any_rules, true);
    absence->hurry = true;
    pthread_cond_signal(&absence->wake);
    pthread_mutex_unlock(&absence->lock);
    if (before != NULL)
        rules_close(before);
    if (!good) {
        json_decref(copy);
        free(made);
    }
    return good;
}

/* A new reference to the rules of the tenant; NULL when it has none. */
static json_t *rules_of(struct gh_absence *absence, int64_t tenant)
{
    pthread_mutex_lock(&absence->lock);
    const struct rules *rules = gh_map_get(&absence->tenants, gh_slice(&tenant, sizeof tenant));
    json_t *document = rules == NULL ? NULL : json_incref(rules->document);
    pthread_mutex_unlock(&absence->lock);
    return document;
}

/* --- telling --- */

/* One device that is looked at. */
struct look {
    struct gh_device device;
    json_t *rules;    /* a reference, or NULL */
    int64_t after_ms; /* 0: nobody asks for it */
};

static void look_end(struct look *look)
{
    json_decref(look->rules);
}

/* NOT_FOUND when the device is gone. look_end in any case. */
static enum gh_error_code look_at(struct gh_absence *absence, uint64_t device, struct look *look,
                                  struct gh_error *error)
{
    int64_t after_s = 0;
    *look = (struct look){0};
    enum gh_error_code code = gh_directory_device_get(absence->options.directory, device,
                                                      &absence->arena, &look->device, error);
    if (code != GH_OK)
        return code;
    look->rules = rules_of(absence, look->device.tenant);
    if (look->rules != NULL)
        code = absence_after(absence->options.store, look->rules, &look->device, &after_s, error);
    look->after_ms = after_s * 1000;
    return code;
}

static int64_t last_heard_ms(const struct gh_device *device)
{
    const int64_t times[] = {device->last_heartbeat_ms, device->last_event_ms,
                             device->last_state_ms, device->last_gateway_ms};
    int64_t last = 0;
    for (size_t i = 0; i < GH_COUNT(times); i++)
        last = times[i] > last ? times[i] : last;
    return last;
}

static bool write_data(const struct look *look, const struct away *away, int64_t now_ms,
                       struct gh_buffer *out)
{
    char since[GH_TIME_TEXT_MAX], at[GH_TIME_TEXT_MAX];
    json_t *data = json_pack("{s:s, s:o, s:o, s:o, s:s, s:s, s:I}", "alert",
                             away->state == GH_ABSENCE_BACK ? "online" : "offline", "tenant",
                             gh_json_new_text(look->device.tenant_name), "registry",
                             gh_json_new_text(look->device.registry_name), "device",
                             gh_json_new_text(look->device.id), "last_seen_at",
                             gh_time_print(away->since_ms, since), "at", gh_time_print(now_ms, at),
                             "after_s", (json_int_t)(look->after_ms / 1000));
    bool good = gh_json_write(data, out);
    json_decref(data);
    return good;
}

/* The message on the alert topic. NOT_FOUND: there is no such topic. */
static enum gh_error_code publish(struct gh_absence *absence, const struct look *look,
                                  const struct away *away, int64_t now_ms, struct gh_error *error)
{
    char number[24];
    struct gh_buffer data;
    uint64_t id;
    struct gh_slice topic = absence_topic(look->rules);
    snprintf(number, sizeof number, "%llu", (unsigned long long)look->device.number);
    const struct gh_message_attribute attributes[] = {
        {GH_SLICE("alertType"),
         away->state == GH_ABSENCE_BACK ? GH_SLICE("online") : GH_SLICE("offline")},
        {GH_SLICE("deviceId"), look->device.id},
        {GH_SLICE("deviceNumId"), gh_slice_text(number)},
        {GH_SLICE("deviceRegistryId"), look->device.registry_name},
        {GH_SLICE("deviceRegistryLocation"), look->device.location},
        {GH_SLICE("projectId"), look->device.google_project},
    };
    if (topic.size == 0)
        return GH_OK;
    gh_buffer_init(&data, DATA_BYTES_MAX);
    enum gh_error_code code = gh_error_set(error, GH_ERROR_MEMORY, "an alert");
    if (write_data(look, away, now_ms, &data)) {
        const struct gh_message message = {.data = gh_buffer_slice(&data),
                                           .attributes = attributes,
                                           .attributes_count = GH_COUNT(attributes)};
        code = gh_pubsub_publish_wait(absence->options.pubsub, look->device.tenant, topic, &message,
                                      1, &id, error);
    }
    gh_buffer_deinit(&data);
    return code;
}

/* The lines in the log and in the device's trail. */
static void write_lines(struct gh_absence *absence, const struct look *look,
                        const struct away *away, int64_t now_ms)
{
    const struct gh_device *device = &look->device;
    bool back = away->state == GH_ABSENCE_BACK;
    char detail[96];
    int64_t gone_s = (now_ms - away->since_ms) / 1000;
    snprintf(detail, sizeof detail, "%s %lld s", back ? "away for" : "not heard of for",
             (long long)gone_s);
    gh_log(GH_LOG_WARN, "absence", "%.*s/%.*s/%.*s is %s, %s", GH_PRINT(device->tenant_name),
           GH_PRINT(device->registry_name), GH_PRINT(device->id), back ? "back" : "offline",
           detail);
    gh_metric_add(absence->options.metrics, GH_METRIC_offline_alerts_total, back ? 0 : 1);
    gh_trail_note(
        absence->options.trail,
        &(struct gh_trail_entry){.at_ms = now_ms,
                                 .device = device->number,
                                 .tenant = device->tenant_name,
                                 .registry = device->registry_name,
                                 .device_id = device->id,
                                 .kind = GH_TRAIL_ALERT,
                                 .reason = back ? GH_SLICE("ONLINE") : GH_SLICE("OFFLINE"),
                                 .detail = gh_slice_text(detail)});
}

static void forget(struct gh_absence *absence, uint64_t device)
{
    struct gh_error error;
    free(gh_map_remove(&absence->away, gh_slice(&device, sizeof device)));
    if (gh_store_absence_delete(absence->options.store, device, &error) != GH_OK)
        gh_log(GH_LOG_WARN, "absence", "an alert that is over stays stored: %s", error.text);
}

static enum gh_error_code keep(struct gh_absence *absence, uint64_t device, const struct away *away,
                               struct gh_error *error)
{
    const struct gh_absence_row row = {
        .device = device, .since_ms = away->since_ms, .state = away->state};
    return gh_store_absence_put(absence->options.store, &row, error);
}

/* Tells what is yet to be told, and writes down that it was. What fails for a time is due again. */
static void tell(struct gh_absence *absence, const struct look *look, struct away *away,
                 int64_t now_ms)
{
    struct gh_error error;
    uint64_t device = look->device.number;
    enum gh_error_code code = publish(absence, look, away, now_ms, &error);
    if (code == GH_ERROR_NOT_FOUND || code == GH_ERROR_INVALID) {
        struct gh_slice topic = absence_topic(look->rules);
        gh_log(GH_LOG_WARN, "absence", "tenant %.*s: the alert topic %.*s: %s",
               GH_PRINT(look->device.tenant_name), GH_PRINT(topic), error.text);
    } else if (code != GH_OK) {
        gh_log(GH_LOG_WARN, "absence", "an alert waits: %s", error.text);
        if (!gh_deadlines_set(&absence->deadlines, device, now_ms + GH_ABSENCE_RETRY_MS))
            gh_log(GH_LOG_WARN, "absence", "an alert is lost: no memory");
        return;
    }
    write_lines(absence, look, away, now_ms);
    if (away->state == GH_ABSENCE_BACK) {
        forget(absence, device);
        /* It may have gone again while its return was told. */
        if (look->after_ms != 0 &&
            !gh_deadlines_set(&absence->deadlines, device, now_ms + look->after_ms))
            gh_log(GH_LOG_WARN, "absence", "a device is not watched: no memory");
        return;
    }
    away->state = GH_ABSENCE_TOLD;
    if (keep(absence, device, away, &error) != GH_OK)
        gh_log(GH_LOG_WARN, "absence", "an alert may be told again: %s", error.text);
}

/* --- who is due --- */

/* It is away: written down first, so that whatever happens it is told. */
static enum gh_error_code leave(struct gh_absence *absence, const struct look *look,
                                int64_t since_ms, int64_t now_ms, struct gh_error *error)
{
    const struct away begun = {since_ms, GH_ABSENCE_TO_TELL};
    enum gh_error_code code = keep(absence, look->device.number, &begun, error);
    if (code != GH_OK)
        return code;
    struct away *away = away_make(absence, look->device.number, since_ms, GH_ABSENCE_TO_TELL);
    if (away == NULL)
        return gh_error_set(error, GH_ERROR_MEMORY, "a device that is away");
    tell(absence, look, away, now_ms);
    return GH_OK;
}

static enum gh_error_code is_due(struct gh_absence *absence, const struct look *look,
                                 int64_t now_ms, struct gh_error *error)
{
    const struct gh_device *device = &look->device;
    struct away *away = away_of(absence, device->number);
    if (away != NULL && away->state != GH_ABSENCE_TOLD) {
        tell(absence, look, away, now_ms);
        return GH_OK;
    }
    if (away != NULL || look->after_ms == 0 || device->blocked ||
        device->banned_until_ms > now_ms ||
        absence->options.is_connected(absence->options.connected_context, device->number))
        return GH_OK;
    int64_t heard_ms = last_heard_ms(device);
    if (heard_ms + look->after_ms > now_ms)
        return gh_deadlines_set(&absence->deadlines, device->number, heard_ms + look->after_ms)
                   ? GH_OK
                   : gh_error_set(error, GH_ERROR_MEMORY, "a deadline");
    return leave(absence, look, heard_ms > 0 ? heard_ms : now_ms - look->after_ms, now_ms, error);
}

static void visit(struct gh_absence *absence, uint64_t device, int64_t now_ms)
{
    struct gh_error error = {0};
    struct look look;
    enum gh_error_code code = look_at(absence, device, &look, &error);
    if (code == GH_OK)
        code = is_due(absence, &look, now_ms, &error);
    else if (code == GH_ERROR_NOT_FOUND)
        free(gh_map_remove(&absence->away, gh_slice(&device, sizeof device)));
    if (code != GH_OK && code != GH_ERROR_NOT_FOUND &&
        (!gh_deadlines_set(&absence->deadlines, device, now_ms + GH_ABSENCE_RETRY_MS)))
        gh_log(GH_LOG_WARN, "absence", "a device is not watched: %s", error.text);
    look_end(&look);
    gh_arena_reset(&absence->arena);
}

/* --- what came in --- */

/* It is here again: told when its absence was. */
static void came(struct gh_absence *absence, uint64_t device, int64_t now_ms)
{
    struct gh_error error;
    struct away *away = away_of(absence, device);
    if (away == NULL || away->state == GH_ABSENCE_BACK)
        return;
    away->state = GH_ABSENCE_BACK;
    if (keep(absence, device, away, &error) != GH_OK)
        gh_log(GH_LOG_WARN, "absence", "a return may be told again: %s", error.text);
    visit(absence, device, now_ms);
}

/* Its time begins. How much that is, is found out for those that somebody asks for. */
static void left(struct gh_absence *absence, uint64_t device, int64_t at_ms, int64_t now_ms)
{
    struct gh_error error = {0};
    struct look look;
    if (away_of(absence, device) == NULL &&
        look_at(absence, device, &look, &error) != GH_ERROR_NOT_FOUND) {
        bool unknown = error.code != GH_OK; /* the store failed: look again when it is due */
        int64_t due_ms = unknown ? now_ms + GH_ABSENCE_RETRY_MS : at_ms + look.after_ms;
        if ((unknown || look.after_ms != 0) &&
            !gh_deadlines_set(&absence->deadlines, device, due_ms))
            gh_log(GH_LOG_WARN, "absence", "a device is not watched: no memory");
        look_end(&look);
    }
    gh_arena_reset(&absence->arena);
}

static void take_notes(struct gh_absence *absence, int64_t now_ms)
{
    pthread_mutex_lock(&absence->lock);
    struct note *notes = absence->notes;
    size_t count = absence->notes_count;
    absence->notes = absence->taken;
    absence->taken = notes;
    absence->notes_count = 0;
    pthread_mutex_unlock(&absence->lock);
    for (size_t i = 0; i < count; i++) {
        if (notes[i].event != GH_ABSENCE_LEFT)
            came(absence, notes[i].device, now_ms);
        bool begins = notes[i].event == GH_ABSENCE_LEFT ||
                      (notes[i].event == GH_ABSENCE_HEARD &&
                       !gh_deadlines_has(&absence->deadlines, notes[i].device));
        if (begins)
            left(absence, notes[i].device, notes[i].at_ms, now_ms);
    }
}

/* --- new rules --- */

static void consider(struct gh_absence *absence, const json_t *rules,
                     const struct gh_device *device, int64_t now_ms)
{
    struct gh_error error;
    int64_t after_s, heard_ms = last_heard_ms(device);
    if (heard_ms == 0 ||
        absence_after(absence->options.store, rules, device, &after_s, &error) != GH_OK ||
        after_s == 0)
        return;
    /* Nobody could be heard before the start. */
    int64_t from_ms = heard_ms > absence->started_ms ? heard_ms : absence->started_ms;
    int64_t due_ms = from_ms + after_s * 1000;
    if (!gh_deadlines_set(&absence->deadlines, device->number, due_ms > now_ms ? due_ms : now_ms))
        gh_log(GH_LOG_WARN, "absence", "a device is not watched: no memory");
}

/* Nobody asks any more for some of those that are away: they are away for nobody. */
static void drop_unwatched(struct gh_absence *absence, int64_t tenant)
{
    struct gh_absence_row *rows;
    struct gh_arena arena;
    struct gh_error error = {0};
    size_t count = 0;
    gh_arena_init(&arena, ARENA_BYTES_MAX);
    if (gh_store_absence_list(absence->options.store, tenant, AWAY_MAX, &arena, &rows, &count,
                              &error) != GH_OK)
        gh_log(GH_LOG_WARN, "absence", "alerts that nobody asks for may stay: %s", error.text);
    for (size_t i = 0; i < count; i++) {
        struct look look;
        if (look_at(absence, rows[i].device, &look, &error) == GH_OK && look.after_ms == 0)
            forget(absence, rows[i].device);
        look_end(&look);
        gh_arena_reset(&absence->arena);
    }
    gh_arena_deinit(&arena);
}

/* All devices of a tenant, page by page. */
static void look_through(struct gh_absence *absence, int64_t tenant, int64_t now_ms)
{
    struct gh_device_query query = {.tenant = tenant, .page_size = PAGE_SIZE};
    struct gh_arena token;
    struct gh_error error = {0};
    json_t *rules = rules_of(absence, tenant);
    bool more = rules != NULL && json_array_size(json_object_get(rules, "rules")) > 0;
    gh_arena_init(&token, ARENA_BYTES_MAX);
    while (more) {
        struct gh_device *devices;
        struct gh_slice next = {0};
        size_t count;
        if (gh_directory_device_list(absence->options.directory, &query, &absence->arena, &devices,
                                     &count, &next, &error) != GH_OK) {
            gh_log(GH_LOG_WARN, "absence", "not all devices of a tenant are watched: %s",
                   error.text);
            break;
        }
        for (size_t i = 0; i < count; i++)
            consider(absence, rules, &devices[i], now_ms);
        more = next.size > 0 && gh_arena_copy(&token, next, &query.page_token);
        gh_arena_reset(&absence->arena);
    }
    gh_arena_deinit(&token);
    gh_arena_reset(&absence->arena);
    json_decref(rules);
}

/* A tenant whose rules are new; 0 when there is none. */
static int64_t take_new(struct gh_absence *absence)
{
    struct gh_slice key;
    size_t at = 0;
    int64_t tenant = 0;
    pthread_mutex_lock(&absence->lock);
    for (void *value; tenant == 0 && gh_map_next(&absence->tenants, &at, &key, &value);) {
        struct rules *rules = value;
        if (rules->is_new)
            tenant = rules->tenant;
        rules->is_new = false;
    }
    pthread_mutex_unlock(&absence->lock);
    return tenant;
}

/* --- the thread --- */

void gh_absence_step(struct gh_absence *absence)
{
    int64_t now_ms = absence->options.utc_ms();
    uint64_t device;
    for (int64_t tenant; (tenant = take_new(absence)) != 0;) {
        drop_unwatched(absence, tenant);
        look_through(absence, tenant, now_ms);
    }
    take_notes(absence, now_ms);
    while (gh_deadlines_take(&absence->deadlines, now_ms, &device))
        visit(absence, device, now_ms);
}

/* Until the next deadline, something new, or the end; false at the end. */
static bool sleep_until_due(struct gh_absence *absence)
{
    int64_t wait_ms = gh_deadlines_next(&absence->deadlines);
    int64_t now_ms = absence->options.utc_ms();
    wait_ms = wait_ms > now_ms + IDLE_MS ? IDLE_MS : wait_ms - now_ms;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    int64_t ns = until.tv_nsec + (wait_ms > 0 ? wait_ms : 0) * GH_MS_NS;
    until.tv_sec += ns / GH_SECOND_NS;
    until.tv_nsec = ns % GH_SECOND_NS;
    pthread_mutex_lock(&absence->lock);
    while (!absence->stopping && !absence->hurry && absence->notes_count == 0)
        if (pthread_cond_timedwait(&absence->wake, &absence->lock, &until) != 0)
            break;
    bool goes_on = !absence->stopping;
    absence->hurry = false;
    pthread_mutex_unlock(&absence->lock);
    return goes_on;
}

static void *work(void *context)
{
    struct gh_absence *absence = context;
    do {
        gh_absence_step(absence);
    } while (sleep_until_due(absence));
    return NULL;
}

bool gh_absence_start(struct gh_absence *absence, struct gh_error *error)
{
    absence->watch = gh_trail_watch(absence->options.trail, noted, absence);
    absence->started =
        absence->watch != NULL && pthread_create(&absence->thread, NULL, work, absence) == 0;
    if (!absence->started)
        gh_error_set(error, GH_ERROR_MEMORY, "the thread of alerts");
    return absence->started;
}
