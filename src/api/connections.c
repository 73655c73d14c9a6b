#include "api/call_internal.h"
#include "identity/device.h"
#include "observe/trail.h"
#include "route/broker.h"
#include "route/sessions.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Who is connected, and who would be: live connections of every dialect, and the sessions that the
 * broker keeps for clients that are away. A page is the smallest rows behind the one before, by
 * device number and client: both tables are walked once for it and only the page is kept. */

enum {
    PAGE_DEFAULT = 100,
    PAGE_MAX = 500,
    LOOKUPS_MAX = 5000,
    CURSOR_TEXT = 32,
    SCRATCH_MAX = 1 << 20
};

struct cursor {
    uint64_t device, client_key;
};

struct row {
    struct cursor at;
    bool live, has_session;
    struct gh_presence presence;   /* live */
    struct gh_broker_view session; /* has_session; without its slices */
    json_t *client, *subscriptions;
};

enum wanted_state { ANY_STATE, CONNECTED, OFFLINE };

struct page {
    int64_t tenant, registry; /* registry 0: any */
    uint64_t device;          /* 0: any */
    enum wanted_state state;
    struct cursor after;
    struct row **rows; /* sorted */
    size_t count, max;
    struct gh_arena *arena;
    bool no_memory;
};

static int compare(struct cursor a, struct cursor b)
{
    if (a.device != b.device)
        return a.device < b.device ? -1 : 1;
    return a.client_key == b.client_key ? 0 : a.client_key < b.client_key ? -1 : 1;
}

static void clear_row(struct row *row)
{
    json_decref(row->client);
    json_decref(row->subscriptions);
    *row = (struct row){0};
}

/* The row of that cursor, made when it belongs to the page; NULL when it does not. */
static struct row *row_at(struct page *page, struct cursor at)
{
    size_t low = 0, high = page->count;
    if (compare(at, page->after) <= 0)
        return NULL;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare(page->rows[middle]->at, at);
        if (order == 0)
            return page->rows[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == page->max)
        return NULL;
    struct row *row;
    if (page->count == page->max) {
        row = page->rows[--page->count];
        clear_row(row);
    } else if ((row = gh_arena_alloc(page->arena, sizeof *row)) == NULL) {
        page->no_memory = true;
        return NULL;
    }
    memmove(&page->rows[low + 1], &page->rows[low], (page->count - low) * sizeof(struct row *));
    page->rows[low] = row;
    page->count++;
    row->at = at;
    return row;
}

static json_t *subscription_to_json(const struct gh_broker_filter *filter)
{
    json_t *value =
        json_pack("{s:o, s:i}", "filter", json_slice(filter->filter), "qos", (int)filter->qos);
    if (value != NULL && filter->no_local)
        json_object_set_new(value, "no_local", json_true());
    if (value != NULL && filter->retain_as_published)
        json_object_set_new(value, "retain_as_published", json_true());
    if (value != NULL && filter->identifier != 0)
        json_object_set_new(value, "identifier", json_integer(filter->identifier));
    return value;
}

static void take_session(void *context, const struct gh_broker_view *view)
{
    struct page *page = context;
    if (view->tenant != page->tenant || (page->state == CONNECTED && !view->connected) ||
        (page->state == OFFLINE && view->connected))
        return;
    struct row *row =
        row_at(page, (struct cursor){view->device, gh_presence_client_key(view->client_id)});
    if (row == NULL || row->has_session)
        return;
    row->has_session = true;
    row->session = *view;
    row->client = json_slice(view->client_id);
    row->subscriptions = json_array();
    for (size_t i = 0; i < view->subscriptions_count && i < GH_BROKER_VIEW_FILTERS_MAX; i++)
        json_array_append_new(row->subscriptions, subscription_to_json(&view->subscriptions[i]));
}

static void take_presence(void *context, const struct gh_presence *presence)
{
    struct page *page = context;
    if (presence->tenant != page->tenant || page->state == OFFLINE ||
        (page->registry != 0 && presence->registry != page->registry))
        return;
    struct row *row = row_at(page, (struct cursor){presence->device, presence->client_key});
    if (row == NULL)
        return;
    row->live = true;
    row->presence = *presence;
}

/* Fills the page with what comes behind `after`. */
static void fill(struct call *call, struct page *page)
{
    const struct gh_api_services *services = &call->api->services;
    page->count = 0;
    if (services->broker != NULL)
        gh_broker_each(services->broker, page->device, take_session, page);
    if (page->device != 0)
        gh_sessions_of(services->sessions, page->device, take_presence, page);
    else
        gh_sessions_each(services->sessions, page->registry, take_presence, page);
}

static void add_presence(json_t *value, const struct gh_presence *presence)
{
    bool ends = presence->expires_at_ms < GH_IDENTITY_FOR_EVER_S * 1000;
    json_object_set_new(value, "address", json_string(presence->peer));
    json_object_set_new(value, "since", json_time(presence->since_ms));
    json_object_set_new(value, "mqtt", json_string(presence->version == 5 ? "5.0" : "3.1.1"));
    json_object_set_new(value, "dialect", json_string(presence->dialect));
    json_object_set_new(value, "transport", json_string(presence->transport));
    json_object_set_new(value, "credential", json_string(presence->credential));
    json_object_set_new(value, "expires_at",
                        ends ? json_time(presence->expires_at_ms) : json_null());
}

static void add_session(json_t *value, const struct row *row)
{
    const struct gh_broker_view *session = &row->session;
    const struct {
        const char *name;
        size_t number;
    } numbers[] = {
        {"subscriptions_count", session->subscriptions_count},
        {"queued", session->queued},
        {"queued_bytes", session->queued_bytes},
        {"in_flight", session->inflight},
        {"waiting_qos0", session->lane},
        {"dropped", session->dropped},
    };
    json_object_set_new(value, "stored", json_boolean(session->stored));
    json_object_set_new(value, "session_expiry_s",
                        session->expiry_s == UINT32_MAX ? json_null()
                                                        : json_integer(session->expiry_s));
    if (!row->live)
        json_object_set_new(value, "away_since", json_time(session->detached_at_ms));
    for (size_t i = 0; i < GH_COUNT(numbers); i++)
        json_object_set_new(value, numbers[i].name, json_integer((json_int_t)numbers[i].number));
    json_object_set(value, "subscriptions", row->subscriptions);
}

static json_t *row_to_json(struct call *call, const struct row *row, const struct gh_device *device)
{
    bool connected = row->live || (row->has_session && row->session.connected);
    json_t *value = json_pack("{s:o, s:o, s:o, s:s}", "tenant", json_slice(device->tenant_name),
                              "registry", json_slice(device->registry_name), "device",
                              json_slice(device->id), "state", connected ? "connected" : "offline");
    if (value == NULL)
        return NULL;
    json_object_set_new(value, "client_id",
                        row->client != NULL ? json_incref(row->client)
                                            : json_string(row->presence.client));
    if (row->live)
        add_presence(value, &row->presence);
    if (row->has_session)
        add_session(value, row);
    json_object_set_new(value, "last_refusal", call_last_refusal(call, device->number));
    return value;
}

/* Reads the device unless it is the one of the row before. */
static bool know_device(struct call *call, uint64_t number, struct gh_arena *scratch,
                        struct gh_device *device)
{
    if (device->number == number)
        return true;
    gh_arena_reset(scratch);
    return gh_directory_device_get(call->api->services.directory, number, scratch, device, NULL) ==
           GH_OK;
}

/* Names the rows of the page and appends those of the wanted registry, up to `limit` in all. False
 * when it stopped before the page's last row. */
static bool append_rows(struct call *call, struct page *page, size_t limit, json_t *list)
{
    struct gh_device device = {0};
    struct gh_arena scratch;
    size_t i = 0;
    gh_arena_init(&scratch, SCRATCH_MAX);
    for (; i < page->count && json_array_size(list) < limit; i++) {
        const struct row *row = page->rows[i];
        page->after = row->at;
        if (know_device(call, row->at.device, &scratch, &device) &&
            (page->registry == 0 || device.registry == page->registry))
            json_array_append_new(list, row_to_json(call, row, &device));
    }
    gh_arena_deinit(&scratch);
    return i == page->count;
}

static bool read_cursor(struct call *call, struct cursor *out)
{
    struct gh_slice text = call_query(call, "page_token");
    char copy[CURSOR_TEXT + 1] = "";
    if (text.size == 0)
        return true;
    if (text.size == CURSOR_TEXT)
        memcpy(copy, text.data, CURSOR_TEXT);
    if (strspn(copy, "0123456789abcdef") == CURSOR_TEXT &&
        sscanf(copy, "%16" SCNx64 "%16" SCNx64, &out->device, &out->client_key) == 2)
        return true;
    call_fail(call, GH_ERROR_INVALID, "page_token is none of this list");
    return false;
}

static bool read_state(struct call *call, enum wanted_state *out)
{
    static const char *const names[] = {
        [ANY_STATE] = "", [CONNECTED] = "connected", [OFFLINE] = "offline"};
    struct gh_slice state = call_query(call, "state");
    for (size_t i = 0; i < GH_COUNT(names); i++)
        if (gh_slice_equal(state, gh_slice_text(names[i]))) {
            *out = (enum wanted_state)i;
            return true;
        }
    call_fail(call, GH_ERROR_INVALID, "state is connected or offline");
    return false;
}

static enum gh_error_code list_rows(struct call *call, struct page *page)
{
    uint64_t limit;
    if (!call_query_u64(call, "limit", 1, PAGE_MAX, PAGE_DEFAULT, &limit) ||
        !read_cursor(call, &page->after) || !read_state(call, &page->state))
        return call->error.code;
    page->max = (size_t)limit + 1; /* one more tells whether there is more */
    page->arena = call->arena;
    page->rows = gh_arena_array(call->arena, page->max, sizeof(struct row *));
    if (page->rows == NULL)
        return call_fail(call, GH_ERROR_MEMORY, "connections");
    json_t *list = json_array();
    bool more = true;
    for (size_t lookups = 0; more && lookups < LOOKUPS_MAX; lookups += page->max) {
        fill(call, page);
        more = !append_rows(call, page, (size_t)limit, list) || page->count == page->max;
        for (size_t i = 0; i < page->count; i++)
            clear_row(page->rows[i]);
        if (json_array_size(list) == limit)
            break;
    }
    if (page->no_memory) {
        json_decref(list);
        return call_fail(call, GH_ERROR_MEMORY, "connections");
    }
    call->answer = json_pack("{s:o}", "connections", list);
    if (more) {
        char next[CURSOR_TEXT + 1];
        snprintf(next, sizeof next, "%016" PRIx64 "%016" PRIx64, page->after.device,
                 page->after.client_key);
        json_object_set_new(call->answer, "next_page_token", json_string(next));
    }
    return GH_OK;
}

/* ?registry and ?device narrow it, ?state says which. */
enum gh_error_code api_connection_list(struct call *call)
{
    struct gh_directory *directory = call->api->services.directory;
    struct gh_slice registry_name = call_query(call, "registry"),
                    device_id = call_query(call, "device");
    struct page page = {.tenant = call->tenant.number};
    struct gh_registry registry;
    struct gh_device device;
    enum gh_error_code code = GH_OK;
    if (device_id.size > 0 && registry_name.size == 0)
        return call_fail(call, GH_ERROR_INVALID, "device needs registry beside it");
    if (device_id.size > 0) {
        code = gh_directory_device_find(directory, page.tenant, registry_name, (struct gh_slice){0},
                                        device_id, call->arena, &device, &call->error);
        page.device = code == GH_OK ? device.number : 0;
    } else if (registry_name.size > 0) {
        code =
            gh_directory_registry_find(directory, page.tenant, registry_name, (struct gh_slice){0},
                                       call->arena, &registry, &call->error);
        page.registry = code == GH_OK ? registry.number : 0;
    }
    return code == GH_OK ? list_rows(call, &page) : code;
}

enum gh_error_code api_device_connections(struct call *call)
{
    struct gh_device device;
    enum gh_error_code code = call_device(call, &device);
    struct page page = {.tenant = call->tenant.number, .device = code == GH_OK ? device.number : 0};
    return code == GH_OK ? list_rows(call, &page) : code;
}
