/* Absence against a real store and message log; the clock and who is connected are the test's. */
#include "observe/absence_internal.h"
#include "observe/trail.h"
#include "pubsub/pubsub.h"
#include "registry/directory.h"
#include "tests/check.h"
#include "wire/json.h"
#include <stdio.h>
#include <string.h>

#define START_MS INT64_C(1700000000000)
enum { DEVICES = 4, LAMP = 0, DOOR, FAN, LONE, SECOND_MS = 1000 };

static int64_t now_ms;
static bool connected[DEVICES];

static struct {
    const char *folder;
    struct gh_store *store;
    struct gh_directory *directory;
    struct gh_pubsub *pubsub;
    struct gh_trail *trail;
    struct gh_absence *absence;
    struct gh_arena arena;
    int64_t tenant;
    struct gh_device devices[DEVICES];
} world;

static int64_t utc_ms(void)
{
    return now_ms;
}

static bool is_connected(void *context, uint64_t device)
{
    (void)context;
    for (size_t i = 0; i < DEVICES; i++)
        if (world.devices[i].number == device)
            return connected[i];
    return false;
}

static void open_absence(const char *rules)
{
    struct gh_error error = {0};
    const struct gh_absence_options options = {.store = world.store,
                                               .directory = world.directory,
                                               .pubsub = world.pubsub,
                                               .trail = world.trail,
                                               .is_connected = is_connected,
                                               .utc_ms = utc_ms};
    world.absence = gh_absence_open(&options, &error);
    REQUIRE("absence opens", world.absence != NULL);
    json_t *document = gh_json_read(gh_slice_text(rules), &error);
    REQUIRE("rules", gh_absence_rules_check(document, &error) == GH_OK &&
                         gh_absence_set(world.absence, world.tenant, document));
    json_decref(document);
}

static void set_up(void)
{
    static const char *const ids[] = {"lamp", "door", "fan-1", "lone"};
    struct gh_error error;
    struct gh_tenant tenant = {.name = GH_SLICE("site")};
    struct gh_registry halls = {.name = GH_SLICE("halls")}, yard = {.name = GH_SLICE("yard")};
    now_ms = START_MS;
    gh_arena_init(&world.arena, 16 << 20);
    world.folder = check_folder();
    world.store = gh_store_open(world.folder, GH_STORE_CREATE, &error);
    REQUIRE("a store", world.store != NULL);
    world.directory = gh_directory_open(world.store, NULL, NULL, &error);
    world.pubsub = gh_pubsub_open(
        &(struct gh_pubsub_options){.folder = world.folder, .store = world.store}, &error);
    world.trail = gh_trail_open(world.store, NULL, &error);
    REQUIRE("the rooms", world.directory != NULL && world.pubsub != NULL && world.trail != NULL);
    REQUIRE("a tenant", gh_directory_tenant_create(world.directory, &tenant, &error) == GH_OK);
    world.tenant = halls.tenant = yard.tenant = tenant.number;
    REQUIRE("registries",
            gh_directory_registry_create(world.directory, &halls, &error) == GH_OK &&
                gh_directory_registry_create(world.directory, &yard, &error) == GH_OK);
    for (size_t i = 0; i < DEVICES; i++) {
        world.devices[i] = (struct gh_device){.registry = i == LONE ? yard.number : halls.number,
                                              .id = gh_slice_text(ids[i])};
        REQUIRE("a device", gh_directory_device_create(world.directory, &world.devices[i],
                                                       &world.arena, &error) == GH_OK);
    }
}

static void note(size_t device, enum gh_absence_event event)
{
    connected[device] = event == GH_ABSENCE_CAME;
    gh_absence_note(world.absence, world.devices[device].number, event, now_ms);
}

static void step_after(int64_t ms)
{
    now_ms += ms;
    gh_absence_step(world.absence);
}

/* The alerts of the device so far, newest first: "-" offline, "+" online. */
static const char *told(size_t device)
{
    static char out[64];
    struct gh_trail_entry *entries;
    struct gh_error error;
    size_t count;
    struct gh_trail_filter filter = {
        .device = world.devices[device].number, .kinds = 1u << GH_TRAIL_ALERT, .limit = 50};
    REQUIRE("listed",
            gh_trail_list(world.trail, &filter, &world.arena, &entries, &count, &error) == GH_OK);
    for (size_t i = 0; i < count; i++)
        out[i] = gh_slice_equal(entries[i].reason, GH_SLICE("ONLINE")) ? '+' : '-';
    out[count] = '\0';
    return out;
}
#define TOLD(claim, device, expected) CHECK(claim, strcmp(told(device), expected) == 0)

static void tells_once(void)
{
    open_absence("{\"rules\":[{\"registry\":\"halls\",\"after_s\":10}]}");
    step_after(0);
    note(LAMP, GH_ABSENCE_CAME);
    note(LONE, GH_ABSENCE_CAME);
    step_after(60 * SECOND_MS);
    TOLD("who is connected is there", LAMP, "");
    note(LAMP, GH_ABSENCE_LEFT);
    note(LONE, GH_ABSENCE_LEFT);
    step_after(0);
    step_after(9999);
    TOLD("not before its time", LAMP, "");
    step_after(1);
    TOLD("at its time", LAMP, "-");
    TOLD("a registry that no rule is for", LONE, "");
    step_after(3600 * SECOND_MS);
    TOLD("once", LAMP, "-");
    note(LAMP, GH_ABSENCE_CAME);
    step_after(1);
    TOLD("and once that it is back", LAMP, "+-");
    note(LAMP, GH_ABSENCE_CAME);
    step_after(60 * SECOND_MS);
    TOLD("which is all", LAMP, "+-");
    note(LAMP, GH_ABSENCE_LEFT);
    step_after(0);
    note(LAMP, GH_ABSENCE_CAME);
    step_after(20 * SECOND_MS);
    TOLD("a short absence is none", LAMP, "+-");
    note(LAMP, GH_ABSENCE_LEFT);
    step_after(0);
    step_after(10 * SECOND_MS);
    TOLD("the next one", LAMP, "-+-");
}

static void hears_without_connections(void)
{
    note(FAN, GH_ABSENCE_HEARD);
    connected[FAN] = false;
    gh_directory_note(world.directory, world.devices[FAN].number, GH_ACTIVITY_EVENT, now_ms);
    step_after(0);
    now_ms += 6 * SECOND_MS;
    gh_directory_note(world.directory, world.devices[FAN].number, GH_ACTIVITY_EVENT, now_ms);
    step_after(9 * SECOND_MS);
    TOLD("what it sent later counts", FAN, "");
    step_after(SECOND_MS);
    TOLD("silent since then", FAN, "-");
    note(FAN, GH_ABSENCE_HEARD);
    connected[FAN] = false;
    step_after(0);
    TOLD("heard again", FAN, "+-");
}

static void survives_restarts(void)
{
    gh_absence_close(world.absence);
    open_absence("{\"rules\":[{\"registry\":\"halls\",\"after_s\":10}]}");
    step_after(0);
    step_after(9 * SECOND_MS);
    TOLD("after a start each has its full time", FAN, "+-");
    step_after(2 * SECOND_MS);
    TOLD("and not more", FAN, "-+-");
    TOLD("what was told is not told again", LAMP, "-+-");
    note(LAMP, GH_ABSENCE_CAME);
    step_after(0);
    TOLD("its return is", LAMP, "+-+-");
    struct gh_absence_row row = {.device = world.devices[DOOR].number,
                                 .since_ms = now_ms - 5000,
                                 .state = GH_ABSENCE_TO_TELL};
    struct gh_error error;
    REQUIRE("stored and not told, as by a crash",
            gh_store_absence_put(world.store, &row, &error) == GH_OK);
    gh_absence_close(world.absence);
    open_absence("{\"rules\":[{\"registry\":\"halls\",\"after_s\":10}]}");
    step_after(0);
    TOLD("is told after the start", DOOR, "-");
    step_after(60 * SECOND_MS);
    TOLD("once", DOOR, "-");
}

static size_t how_many_away(void)
{
    struct gh_absence_row *rows;
    struct gh_error error;
    size_t count;
    REQUIRE("listed", gh_store_absence_list(world.store, world.tenant, 100, &world.arena, &rows,
                                            &count, &error) == GH_OK);
    return count;
}

static void forgets_without_rules(void)
{
    json_t *none = json_pack("{s:[]}", "rules");
    CHECK("some are away", how_many_away() > 0);
    REQUIRE("no rules", gh_absence_set(world.absence, world.tenant, none));
    step_after(0);
    CHECK("for nobody", how_many_away() == 0);
    note(DOOR, GH_ABSENCE_CAME);
    step_after(0);
    TOLD("whose return is not told", DOOR, "-");
    json_decref(none);
}

static void takes_the_nearest_rule(void)
{
    static const struct {
        const char *claim, *rules;
        size_t device;
        int64_t after_s;
    } rows[] = {
        {"none", "{}", LAMP, 0},
        {"the tenant's", "{\"rules\":[{\"after_s\":9}]}", LONE, 9},
        {"the registry's", "{\"rules\":[{\"after_s\":9},{\"registry\":\"halls\",\"after_s\":90}]}",
         LAMP, 90},
        {"another registry's",
         "{\"rules\":[{\"registry\":\"halls\",\"after_s\":90},{\"after_s\":9}]}", LONE, 9},
        {"the device's",
         "{\"rules\":[{\"registry\":\"halls\",\"device\":\"lamp\",\"after_s\":500},"
         "{\"registry\":\"halls\",\"after_s\":5},{\"group\":\"doors\",\"after_s\":7}]}",
         LAMP, 500},
        {"the group's",
         "{\"rules\":[{\"registry\":\"halls\",\"after_s\":5},{\"group\":\"doors\",\"after_s\":7}]}",
         DOOR, 7},
        {"the shorter group's",
         "{\"rules\":[{\"group\":\"all\",\"after_s\":8},{\"group\":\"doors\",\"after_s\":7}]}",
         DOOR, 7},
        {"a group that it is not in", "{\"rules\":[{\"group\":\"doors\",\"after_s\":7}]}", LAMP, 0},
        {"a group that is not there", "{\"rules\":[{\"group\":\"x\",\"after_s\":7}]}", LAMP, 0},
    };
    static const char *const groups[] = {"doors", "all"};
    struct gh_error error;
    for (size_t i = 0; i < GH_COUNT(groups); i++) {
        struct gh_device_group group;
        REQUIRE("a group",
                gh_directory_group_create(world.directory, world.tenant, gh_slice_text(groups[i]),
                                          &error) == GH_OK &&
                    gh_directory_group_find(world.directory, world.tenant, gh_slice_text(groups[i]),
                                            &world.arena, &group, &error) == GH_OK &&
                    gh_directory_group_add(world.directory, &group, world.devices[DOOR].number,
                                           &error) == GH_OK);
    }
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        struct gh_device device;
        int64_t after_s = -1;
        json_t *rules = gh_json_read(gh_slice_text(rows[i].rules), &error);
        REQUIRE("found",
                gh_directory_device_get(world.directory, world.devices[rows[i].device].number,
                                        &world.arena, &device, &error) == GH_OK);
        CHECK(rows[i].claim, absence_after(world.store, rules, &device, &after_s, &error) == GH_OK);
        CHECK(rows[i].claim, after_s == rows[i].after_s);
        json_decref(rules);
    }
}

static void refuses_rules(void)
{
    static const char *const wrong[] = {
        "[]",
        "{\"rule\":[]}",
        "{\"topic\":7}",
        "{\"rules\":{}}",
        "{\"rules\":[{}]}",
        "{\"rules\":[{\"after_s\":0}]}",
        "{\"rules\":[{\"after_s\":7776001}]}",
        "{\"rules\":[{\"after_s\":5,\"device\":\"lamp\"}]}",
        "{\"rules\":[{\"after_s\":5,\"group\":\"g\",\"registry\":\"r\"}]}",
        "{\"rules\":[{\"after_s\":5,\"tenant\":\"x\"}]}",
    };
    struct gh_error error;
    for (size_t i = 0; i < GH_COUNT(wrong); i++) {
        json_t *rules = gh_json_read(gh_slice_text(wrong[i]), &error);
        CHECK(wrong[i], gh_absence_rules_check(rules, &error) != GH_OK);
        json_decref(rules);
    }
}

int main(void)
{
    set_up();
    tells_once();
    hears_without_connections();
    survives_restarts();
    forgets_without_rules();
    takes_the_nearest_rule();
    refuses_rules();
    gh_absence_close(world.absence);
    gh_trail_close(world.trail);
    gh_pubsub_close(world.pubsub);
    gh_directory_close(world.directory);
    gh_store_close(world.store);
    gh_arena_deinit(&world.arena);
    return check_report();
}
