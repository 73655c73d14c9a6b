#include "pubsub/filter.h"
#include "tests/check.h"
#include <stdio.h>

/* Asked of a message with deviceId=d1, kind=temperature, "a b"="c", empty="". */
static const struct gh_message_attribute attributes[] = {
    {GH_SLICE_INIT("deviceId"), GH_SLICE_INIT("d1")},
    {GH_SLICE_INIT("kind"), GH_SLICE_INIT("temperature")},
    {GH_SLICE_INIT("a b"), GH_SLICE_INIT("c\"d")},
    {GH_SLICE_INIT("empty"), GH_SLICE_INIT("")},
};

static const struct {
    const char *text;
    bool matches;
} cases[] = {
    {"attributes:deviceId", true},
    {"attributes:other", false},
    {"attributes:empty", true},
    {"attributes.empty = \"\"", true},
    {"attributes.other = \"\"", false},
    {"attributes.deviceId = \"d1\"", true},
    {"attributes.deviceId=\"d1\"", true},
    {"attributes.deviceId = \"d2\"", false},
    {"attributes.deviceId != \"d2\"", true},
    {"attributes.deviceId != \"d1\"", false},
    {"attributes.other != \"x\"", true},
    {"hasPrefix(attributes.kind, \"temp\")", true},
    {"hasPrefix(attributes.kind, \"hum\")", false},
    {"hasPrefix( attributes.kind , \"\" )", true},
    {"hasPrefix(attributes.other, \"\")", false},
    {"attributes:\"a b\"", true},
    {"attributes.\"a b\" = \"c\\\"d\"", true},
    {"NOT attributes:other", true},
    {"-attributes:deviceId", false},
    {"NOT NOT attributes:deviceId", true},
    {"attributes:deviceId AND attributes:kind", true},
    {"attributes:deviceId AND attributes:other", false},
    {"attributes:other OR attributes:kind", true},
    {"attributes:other OR attributes:another", false},
    {"attributes:other AND attributes:kind AND attributes:deviceId", false},
    {"attributes:other AND (attributes:kind OR attributes:deviceId)", false},
    {"attributes:kind AND (attributes:other OR attributes:deviceId)", true},
    {"(attributes:other AND attributes:kind) OR attributes:deviceId", true},
    {"(attributes:deviceId OR attributes:kind) AND attributes:other", false},
    {"NOT (attributes:other OR attributes:another) AND attributes:kind", true},
    {"(attributes:other AND attributes:x) OR (attributes:y AND attributes:kind)", false},
    {"((attributes:deviceId))", true},
    {"\tattributes:deviceId\n", true},
};

static const char *const refused[] = {
    "",
    " ",
    "attributes",
    "attributes.",
    "attributes:",
    "attributes:\"\"",
    "attributes.x",
    "attributes.x = y",
    "attributes.x = \"y",
    "attributes.x = \"y\\",
    "attributes.x == \"y\"",
    "attributes.x < \"y\"",
    "attribute:x",
    "data = \"x\"",
    "hasPrefix(attributes.x)",
    "hasPrefix(attributes.x, y)",
    "hasPrefix(attributes.x, \"y\"",
    "hasPrefix(attributes:x, \"y\")",
    "attributes:x AND",
    "attributes:x AND AND attributes:y",
    "attributes:x and attributes:y",
    "attributes:x attributes:y",
    "attributes:x AND attributes:y OR attributes:z",
    "attributes:x OR attributes:y AND attributes:z",
    "(attributes:x",
    "attributes:x)",
    "()",
    "NOT",
    "attributes:x \xff",
};

static void check_depth(void)
{
    struct gh_error error = {0};
    char text[GH_FILTER_BYTES_MAX + 64];
    for (int depth = GH_FILTER_DEPTH_MAX - 2; depth <= GH_FILTER_DEPTH_MAX + 1; depth++) {
        int size = snprintf(text, sizeof text, "%.*sattributes:x", depth,
                            "----------------------------------------------------------------");
        struct gh_filter *filter = gh_filter_open(gh_slice(text, (size_t)size), &error);
        CHECK("its depth is bounded", (filter != NULL) == (depth < GH_FILTER_DEPTH_MAX));
        gh_filter_close(filter);
    }
    int size = snprintf(text, sizeof text, "attributes:%0*d", GH_FILTER_BYTES_MAX - 11, 7);
    struct gh_filter *filter = gh_filter_open(gh_slice(text, (size_t)size), &error);
    CHECK("256 bytes", filter != NULL && size == GH_FILTER_BYTES_MAX);
    gh_filter_close(filter);
    text[size] = '0';
    CHECK("not more", gh_filter_open(gh_slice(text, (size_t)size + 1), &error) == NULL);
}

int main(void)
{
    struct gh_message message = {.attributes = attributes,
                                 .attributes_count = GH_COUNT(attributes)};
    for (size_t i = 0; i < GH_COUNT(cases); i++) {
        struct gh_error error = {0};
        struct gh_filter *filter = gh_filter_open(gh_slice_text(cases[i].text), &error);
        if (!CHECK(cases[i].text, filter != NULL))
            fprintf(stderr, "  %s\n", error.text);
        else
            CHECK(cases[i].text, gh_filter_matches(filter, &message) == cases[i].matches);
        gh_filter_close(filter);
    }
    for (size_t i = 0; i < GH_COUNT(refused); i++) {
        struct gh_error error = {0};
        struct gh_filter *filter = gh_filter_open(gh_slice_text(refused[i]), &error);
        CHECK(refused[i], filter == NULL && error.code == GH_ERROR_INVALID);
        gh_filter_close(filter);
    }
    check_depth();
    return check_report();
}
