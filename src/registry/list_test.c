/* Lists of devices: order, pages, filters, tokens, and the ceiling of the arena. */
#include "registry/directory.h"
#include "tests/check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICES = 250 };

static struct gh_directory *directory;
static struct gh_arena arena;
static struct gh_error error;
static int64_t tenants[2], registries[3]; /* the first tenant has two registries, the second one */
static uint64_t numbers[DEVICES];         /* of the first registry */

static void fill(void)
{
    static struct gh_device devices[DEVICES];
    static struct gh_attribute attributes[DEVICES];
    static char ids[DEVICES][32], halls[DEVICES][32];
    for (int i = 0; i < 2; i++) {
        char name[16];
        snprintf(name, sizeof name, "tenant-%d", i);
        struct gh_tenant tenant = {.name = gh_slice_text(name)};
        REQUIRE("a tenant", gh_directory_tenant_create(directory, &tenant, &error) == GH_OK);
        tenants[i] = tenant.number;
    }
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "reg-%d", i);
        struct gh_registry registry = {.tenant = tenants[i / 2], .name = gh_slice_text(name)};
        REQUIRE("a registry", gh_directory_registry_create(directory, &registry, &error) == GH_OK);
        registries[i] = registry.number;
        for (int j = 0; j < DEVICES; j++) {
            snprintf(ids[j], sizeof ids[j], "%s-%03d", j % 2 ? "Pump" : "fan_", (j * 37) % DEVICES);
            snprintf(halls[j], sizeof halls[j], "hall-%d", j % 10);
            attributes[j] = (struct gh_attribute){GH_SLICE("place"), gh_slice_text(halls[j])};
            devices[j] = (struct gh_device){.registry = registries[i],
                                            .id = gh_slice_text(ids[j]),
                                            .attributes = &attributes[j],
                                            .attributes_count = 1};
        }
        REQUIRE("devices", gh_directory_device_create_all(directory, devices, DEVICES, &arena, NULL,
                                                          &error) == GH_OK);
        for (int j = 0; i == 0 && j < DEVICES; j++)
            numbers[j] = devices[j].number;
    }
}

/* All pages of a query: how many devices, in order and each once. */
static size_t walk(struct gh_device_query query, size_t *pages)
{
    struct gh_device *list, last = {0};
    struct gh_slice next = {0};
    size_t count, seen = 0;
    *pages = 0;
    do {
        query.page_token = next;
        if (!CHECK("a page", gh_directory_device_list(directory, &query, &arena, &list, &count,
                                                      &next, &error) == GH_OK))
            break;
        CHECK("no longer than asked for", count <= query.page_size);
        CHECK("a page that has a next one is not empty", next.size == 0 || count > 0);
        for (size_t i = 0; i < count; last = list[i++], seen++)
            CHECK("by registry and id",
                  last.registry < list[i].registry || (last.registry == list[i].registry &&
                                                       gh_slice_compare(last.id, list[i].id) < 0));
        ++*pages;
    } while (next.size > 0);
    return seen;
}

static bool keep_even(void *context, uint64_t device)
{
    ++*(unsigned *)context;
    return device % 2 == 0;
}

static void lists_by_condition(void)
{
    const struct {
        const char *claim;
        struct gh_device_query query;
        size_t count;
    } lists[] = {
        {"all", {0}, 3 * DEVICES},
        {"of a tenant", {.tenant = tenants[0]}, 2 * DEVICES},
        {"of the other tenant", {.tenant = tenants[1]}, DEVICES},
        {"of a registry", {.registry = registries[1]}, DEVICES},
        {"of a registry and its tenant",
         {.registry = registries[1], .tenant = tenants[0]},
         DEVICES},
        {"of a registry and another tenant", {.registry = registries[1], .tenant = tenants[1]}, 0},
        {"of a registry that is not there", {.registry = 999}, 0},
        {"part of an id", {.registry = registries[0], .text = GH_SLICE("Pump-")}, DEVICES / 2},
        {"in either case", {.registry = registries[0], .text = GH_SLICE("pUMP")}, DEVICES / 2},
        {"an underscore means itself",
         {.registry = registries[0], .text = GH_SLICE("fan_")},
         DEVICES / 2},
        {"not any character", {.registry = registries[0], .text = GH_SLICE("fa__")}, 0},
        {"a percent sign means itself", {.registry = registries[0], .text = GH_SLICE("%")}, 0},
        {"a backslash means itself", {.registry = registries[0], .text = GH_SLICE("\\")}, 0},
        {"part of an attribute's value", {.text = GH_SLICE("all-7")}, 3 * DEVICES / 10},
        {"part of an attribute's key", {.tenant = tenants[1], .text = GH_SLICE("plac")}, DEVICES},
        {"nowhere", {.text = GH_SLICE("nowhere")}, 0},
        {"SQL is text", {.text = GH_SLICE("' OR 1=1 --")}, 0},
    };
    static const size_t page_sizes[] = {1, 7, DEVICES, 1000};
    for (size_t i = 0; i < GH_COUNT(lists); i++)
        for (size_t j = lists[i].count > DEVICES ? 1 : 0; j < GH_COUNT(page_sizes); j++) {
            struct gh_device_query query = lists[i].query;
            size_t pages;
            uint64_t total;
            query.page_size = page_sizes[j];
            CHECK(lists[i].claim, walk(query, &pages) == lists[i].count);
            CHECK("as few pages as can be",
                  pages == (lists[i].count + page_sizes[j] - 1) / page_sizes[j] ||
                      lists[i].count == 0);
            CHECK(lists[i].claim,
                  gh_directory_device_count(directory, &query, &total, &error) == GH_OK &&
                      total == lists[i].count);
            gh_arena_reset(&arena);
        }
}

static void lists_what_is_kept(void)
{
    unsigned asked = 0;
    size_t pages, even = 0;
    uint64_t total;
    struct gh_device_query query = {
        .registry = registries[0], .keep = keep_even, .keep_context = &asked, .page_size = 10};
    for (int i = 0; i < DEVICES; i++)
        even += numbers[i] % 2 == 0;
    CHECK("each device kept is listed", walk(query, &pages) == even && pages == (even + 9) / 10);
    CHECK("and counted",
          gh_directory_device_count(directory, &query, &total, &error) == GH_OK && total == even);
    asked = 0;
    struct gh_device *list;
    struct gh_slice next;
    size_t count;
    query.page_size = 1;
    CHECK("a page asks no further than it must",
          gh_directory_device_list(directory, &query, &arena, &list, &count, &next, &error) ==
                  GH_OK &&
              count == 1 && asked < DEVICES / 2);
}

static void lists_given_ids(void)
{
    struct gh_slice ids[] = {GH_SLICE("Pump-037"), GH_SLICE("fan_-000"), GH_SLICE("not-there"),
                             GH_SLICE("a\"b"), GH_SLICE("Pump-037")};
    struct gh_device_query query = {
        .registry = registries[0], .ids = ids, .ids_count = GH_COUNT(ids), .page_size = 10};
    size_t pages;
    uint64_t total;
    CHECK("by ids, each once", walk(query, &pages) == 2);
    CHECK("counted",
          gh_directory_device_count(directory, &query, &total, &error) == GH_OK && total == 2);
    query.page_size = 1;
    CHECK("in pages", walk(query, &pages) == 2 && pages == 2);
    query.numbers = numbers;
    query.numbers_count = 100;
    query.page_size = 30;
    CHECK("or by numbers", walk(query, &pages) == 100); /* both ids are among them */
    query.ids_count = 0;
    query.registry = registries[1];
    CHECK("of that registry only", walk(query, &pages) == 0);
    query.registry = 0;
    struct gh_device *list;
    struct gh_slice next;
    size_t count;
    CHECK("not without a registry",
          gh_directory_device_list(directory, &query, &arena, &list, &count, &next, &error) ==
              GH_ERROR_INVALID);
    uint64_t beyond[] = {UINT64_MAX, 0};
    query = (struct gh_device_query){
        .registry = registries[0], .numbers = beyond, .numbers_count = 2, .page_size = 5};
    CHECK("numbers beyond all", walk(query, &pages) == 0);
}

static void refuses_tokens(void)
{
    struct gh_device_query query = {.registry = registries[0], .page_size = 10};
    struct gh_device *list;
    struct gh_slice token, next;
    size_t count;
    REQUIRE("a page", gh_directory_device_list(directory, &query, &arena, &list, &count, &token,
                                               &error) == GH_OK &&
                          token.size > 0);
    query.page_token = token;
    query.page_size = 20;
    CHECK("a token goes with another page size",
          gh_directory_device_list(directory, &query, &arena, &list, &count, &next, &error) ==
              GH_OK);
    struct gh_device_query others[] = {query, query, query, query};
    others[0].registry = registries[1];
    others[1].text = GH_SLICE("pump");
    others[2].tenant = tenants[0];
    others[3].gateway = GH_GATEWAY_NONE;
    for (size_t i = 0; i < GH_COUNT(others); i++)
        CHECK("a token of another list",
              gh_directory_device_list(directory, &others[i], &arena, &list, &count, &next,
                                       &error) == GH_ERROR_INVALID);
    for (size_t size = 1; size < token.size && size < 18; size++) {
        query.page_token = gh_slice(token.data, size);
        CHECK("a part of a token",
              gh_directory_device_list(directory, &query, &arena, &list, &count, &next, &error) ==
                  GH_ERROR_INVALID);
    }
    query.page_token = GH_SLICE("!!!");
    CHECK("no token", gh_directory_device_list(directory, &query, &arena, &list, &count, &next,
                                               &error) == GH_ERROR_INVALID);
    query.page_token = (struct gh_slice){0};
    query.page_size = GH_PAGE_SIZE_MAX;
    CHECK("the largest page", gh_directory_device_list(directory, &query, &arena, &list, &count,
                                                       &next, &error) == GH_OK);
    query.page_size = GH_PAGE_SIZE_MAX + 1;
    CHECK("a larger one", gh_directory_device_list(directory, &query, &arena, &list, &count, &next,
                                                   &error) == GH_ERROR_RANGE);
}

/* Parts that are not asked for are not read, and a small arena makes short pages. */
static void reads_parts(void)
{
    static uint8_t data[32 * 1024];
    struct gh_arena small;
    struct gh_device_query query = {.registry = registries[2], .page_size = 100};
    struct gh_device *list;
    struct gh_slice next;
    size_t count, used, pages = 0, seen = 0;
    REQUIRE("devices", gh_directory_device_list(directory, &query, &arena, &list, &count, &next,
                                                &error) == GH_OK &&
                           count == 100);
    for (size_t i = 0; i < 20; i++)
        REQUIRE("a config",
                gh_directory_config_set(directory, list[i].number, gh_slice(data, sizeof data), 0,
                                        NULL, &error) == GH_OK);
    gh_arena_init(&small, 1 << 20);
    CHECK("without parts", gh_directory_device_list(directory, &query, &small, &list, &count, &next,
                                                    &error) == GH_OK &&
                               count == 100 && list[0].attributes_count == 0 &&
                               list[0].config.data.size == 0 && list[0].config.version == 2);
    used = small.used;
    gh_arena_reset(&small);
    CHECK("a list without data is small", used < 256 * 1024);
    query.parts = GH_DEVICE_PART_ALL;
    next = (struct gh_slice){0};
    do {
        query.page_token = next;
        struct gh_slice after;
        REQUIRE("a page", gh_directory_device_list(directory, &query, &small, &list, &count, &after,
                                                   &error) == GH_OK);
        CHECK("with its parts", list[0].attributes_count == 1);
        seen += count;
        pages++;
        REQUIRE("kept", gh_arena_copy(&arena, after, &next));
        gh_arena_reset(&small);
    } while (next.size > 0);
    CHECK("all in the end", seen == DEVICES && pages > 3);
    gh_arena_deinit(&small);
}

int main(void)
{
    gh_arena_init(&arena, 64 << 20);
    struct gh_store *store = gh_store_open(check_folder(), GH_STORE_CREATE, &error);
    REQUIRE("the store opens", store != NULL);
    directory = gh_directory_open(store, NULL, NULL, &error);
    REQUIRE("the directory opens", directory != NULL);
    fill();
    lists_by_condition();
    lists_what_is_kept();
    lists_given_ids();
    refuses_tokens();
    reads_parts();
    gh_directory_close(directory);
    gh_store_close(store);
    gh_arena_deinit(&arena);
    return check_report();
}
