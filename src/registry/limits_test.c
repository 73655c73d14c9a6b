#include "registry/limits.h"
#include "tests/check.h"
#include <string.h>

/* Google IoT Core "Quotas and limits": at each limit, and one past it. */
static const struct {
    const char *claim;
    bool (*valid)(struct gh_slice name);
    const char *text;
    size_t repeat; /* 0: the text as it is; else so many times its last byte */
    bool holds;
} names[] = {
    {"an id of two bytes", gh_id_valid, "ab", 0, false},
    {"an id of three bytes", gh_id_valid, "abc", 0, true},
    {"an id of 255 bytes", gh_id_valid, "ab", 254, true},
    {"an id of 256 bytes", gh_id_valid, "ab", 255, false},
    {"an empty id", gh_id_valid, "", 0, false},
    {"an id of all signs", gh_id_valid, "aZ09-._+~%", 0, true},
    {"an id that begins with a digit", gh_id_valid, "1abc", 0, false},
    {"an id that begins with a sign", gh_id_valid, "_abc", 0, false},
    {"an id with a slash", gh_id_valid, "a/bc", 0, false},
    {"an id with a colon", gh_id_valid, "a:bc", 0, false},
    {"an id with a space", gh_id_valid, "a bc", 0, false},
    {"an id with a letter outside ASCII", gh_id_valid,
     "a\xc3\xa4"
     "bc",
     0, false},
    {"an id of goog", gh_id_valid, "goog", 0, false},
    {"an id that begins with goog", gh_id_valid, "google-1", 0, false},
    {"an id that holds goog later", gh_id_valid, "a-goog", 0, true},
    {"an id of goo", gh_id_valid, "goo", 0, true},
    {"a tenant of one letter", gh_tenant_name_valid, "a", 0, true},
    {"a tenant of 63 bytes", gh_tenant_name_valid, "ab", 62, true},
    {"a tenant of 64 bytes", gh_tenant_name_valid, "ab", 63, false},
    {"a tenant with a first digit", gh_tenant_name_valid, "3com", 0, true},
    {"a tenant of digits is a number", gh_tenant_name_valid, "1234", 0, false},
    {"a tenant without name", gh_tenant_name_valid, "", 0, false},
    {"a tenant with a slash", gh_tenant_name_valid, "a/b", 0, false},
    {"an account number", gh_dialect_name_valid, "123456789012", 0, true},
    {"a host", gh_dialect_name_valid, "hub-1.example.com", 0, true},
    {"a project of a domain", gh_dialect_name_valid, "example.com:project-1", 0, true},
    {"a dialect name of 255 bytes", gh_dialect_name_valid, "ab", 254, true},
    {"a dialect name of 256 bytes", gh_dialect_name_valid, "ab", 255, false},
    {"no location", gh_location_valid, "", 0, true},
    {"a location", gh_location_valid, "europe-west1", 0, true},
    {"a location of 64 bytes", gh_location_valid, "ab", 63, true},
    {"a location of 65 bytes", gh_location_valid, "ab", 64, false},
    {"a location with a slash", gh_location_valid, "europe/west", 0, false},
    {"no channel", gh_channel_valid, "", 0, true},
    {"a channel of levels", gh_channel_valid, "a/b/c", 0, true},
    {"a channel with a first slash", gh_channel_valid, "/a", 0, false},
    {"a channel with a plus", gh_channel_valid, "a/+", 0, false},
    {"a channel with a hash", gh_channel_valid, "a/#", 0, false},
    {"a channel with a control character", gh_channel_valid, "a\nb", 0, false},
    {"a channel of half a character", gh_channel_valid, "a\xc3", 0, false},
    {"a channel with a letter outside ASCII", gh_channel_valid, "a\xc3\xa4", 0, true},
    {"a channel of 256 bytes", gh_channel_valid, "ab", 255, true},
    {"a channel of 257 bytes", gh_channel_valid, "ab", 256, false},
};

static char filler[300 * 1024];

static struct gh_slice long_name(const char *text, size_t repeat)
{
    size_t size = strlen(text);
    if (repeat == 0)
        return gh_slice_text(text);
    memcpy(filler, text, size - 1);
    memset(filler + size - 1, text[size - 1], repeat);
    return gh_slice(filler, size - 1 + repeat);
}

static bool attributes_hold(size_t count, size_t key_size, size_t value_size)
{
    static struct gh_attribute attributes[GH_ATTRIBUTES_MAX + 1];
    static char keys[GH_ATTRIBUTES_MAX + 1][GH_ATTRIBUTE_KEY_BYTES_MAX + 1];
    for (size_t i = 0; i < count; i++) {
        memset(keys[i], 'k', key_size);
        for (size_t digit = 0, rest = i; digit < 3 && digit + 1 < key_size; digit++, rest /= 10)
            keys[i][digit + 1] = (char)('0' + rest % 10);
        attributes[i] =
            (struct gh_attribute){gh_slice(keys[i], key_size), gh_slice(filler, value_size)};
    }
    return gh_attributes_check(attributes, count, NULL) == GH_OK;
}

static void checks_attributes(void)
{
    memset(filler, 'v', sizeof filler);
    CHECK("none", attributes_hold(0, 0, 0));
    CHECK("500 pairs", attributes_hold(500, 8, 8));
    CHECK("501 pairs", !attributes_hold(501, 8, 8));
    CHECK("a key of one byte", attributes_hold(1, 1, 8));
    CHECK("a key of no byte", !attributes_hold(1, 0, 8));
    CHECK("a key of 128 bytes", attributes_hold(1, 128, 8));
    CHECK("a key of 129 bytes", !attributes_hold(1, 129, 8));
    CHECK("an empty value", attributes_hold(1, 8, 0));
    CHECK("a value of 32 KiB", attributes_hold(1, 8, 32 * 1024));
    CHECK("a value of 32 KiB and one", !attributes_hold(1, 8, 32 * 1024 + 1));
    CHECK("256 KiB together", attributes_hold(8, 8, 32 * 1024 - 8));
    CHECK("more than 256 KiB together", !attributes_hold(9, 8, 32 * 1024 - 8));
    static const struct gh_attribute twice[] = {{GH_SLICE_INIT("key"), GH_SLICE_INIT("1")},
                                                {GH_SLICE_INIT("key"), GH_SLICE_INIT("2")}};
    CHECK("a key twice", gh_attributes_check(twice, 2, NULL) == GH_ERROR_INVALID);
    static const struct gh_attribute bad[] = {
        {GH_SLICE_INIT("1key"), GH_SLICE_INIT("")},
        {GH_SLICE_INIT("k y"), GH_SLICE_INIT("")},
        {GH_SLICE_INIT("key"), GH_SLICE_INIT("\xff")},
        {GH_SLICE_INIT("key"), GH_SLICE_INIT("a\0b")},
    };
    for (size_t i = 0; i < GH_COUNT(bad); i++)
        CHECK("a key or value that is none",
              gh_attributes_check(&bad[i], 1, NULL) == GH_ERROR_INVALID);
}

static void checks_routes(void)
{
    struct gh_route routes[GH_REGISTRY_ROUTES_MAX + 1];
    for (size_t i = 0; i < GH_COUNT(routes); i++)
        routes[i] = (struct gh_route){GH_SLICE("alerts"), GH_SLICE("projects/p/topics/t")};
    CHECK("none", gh_routes_check(routes, 0, NULL) == GH_OK);
    CHECK("ten", gh_routes_check(routes, 10, NULL) == GH_OK);
    CHECK("eleven", gh_routes_check(routes, 11, NULL) == GH_ERROR_INVALID);
    routes[2].channel = (struct gh_slice){0};
    CHECK("a catch-all at the end", gh_routes_check(routes, 3, NULL) == GH_OK);
    CHECK("a route behind the catch-all", gh_routes_check(routes, 4, NULL) == GH_ERROR_INVALID);
    routes[0].topic = (struct gh_slice){0};
    CHECK("no topic", gh_routes_check(routes, 1, NULL) == GH_ERROR_INVALID);
    routes[0].topic = gh_slice(filler, GH_TOPIC_BYTES_MAX);
    CHECK("the longest topic", gh_routes_check(routes, 1, NULL) == GH_OK);
    routes[0].topic = gh_slice(filler, GH_TOPIC_BYTES_MAX + 1);
    CHECK("a longer topic", gh_routes_check(routes, 1, NULL) == GH_ERROR_INVALID);
    routes[0] = (struct gh_route){GH_SLICE("/alerts"), GH_SLICE("t")};
    CHECK("a channel with a first slash", gh_routes_check(routes, 1, NULL) == GH_ERROR_INVALID);
}

int main(void)
{
    for (size_t i = 0; i < GH_COUNT(names); i++)
        CHECK(names[i].claim,
              names[i].valid(long_name(names[i].text, names[i].repeat)) == names[i].holds);
    checks_attributes();
    checks_routes();
    return check_report();
}
