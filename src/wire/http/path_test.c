#include "tests/check.h"
#include "wire/http/path.h"
#include "wire/http/query.h"

#define DEVICE "/v1/projects/{p}/registries/{r}/devices/{d}"

static const struct {
    const char *claim, *pattern, *path;
    bool matches;
    const char *captures[3];
} paths[] = {
    {"literal", "/healthz", "/healthz", true, {NULL}},
    {"literal, another", "/healthz", "/health", false, {NULL}},
    {"root", "/", "/", true, {NULL}},
    {"root is not a folder of all", "/", "/a", false, {NULL}},
    {"a literal may be encoded", "/a~b", "/a%7Eb", true, {NULL}},
    {"segments", DEVICE, "/v1/projects/a/registries/b/devices/c", true, {"a", "b", "c"}},
    {"shorter", DEVICE, "/v1/projects/a/registries/b/devices", false, {NULL}},
    {"longer", DEVICE, "/v1/projects/a/registries/b/devices/c/d", false, {NULL}},
    {"a slash behind", DEVICE, "/v1/projects/a/registries/b/devices/c/", false, {NULL}},
    {"an empty segment", DEVICE, "/v1/projects//registries/b/devices/c", false, {NULL}},
    {"decoded after splitting", "/t/{t}", "/t/a%2Fb%20c", true, {"a/b c"}},
    {"plus stays plus in a path", "/t/{t}", "/t/a+b", true, {"a+b"}},
    {"small hexadecimal", "/t/{t}", "/t/%e2%82%ac", true, {"\xe2\x82\xac"}},
    {"a broken escape", "/t/{t}", "/t/%4", false, {NULL}},
    {"an escape that is none", "/t/{t}", "/t/%zz", false, {NULL}},
    {"NUL", "/t/{t}", "/t/a%00b", false, {NULL}},
    {"verb", "/d/{d}:send", "/d/x:send", true, {"x"}},
    {"verb, another", "/d/{d}:send", "/d/x:bind", false, {NULL}},
    {"verb without a name", "/d/{d}:send", "/d/:send", false, {NULL}},
    {"no verb where one is wanted", "/d/{d}:send", "/d/x", false, {NULL}},
    {"the last colon is the verb's", "/d/{d}:send", "/d/a:b:send", true, {"a:b"}},
    {"without a verb the colon is the segment's",
     "/p/{p}/x",
     "/p/example.com:a/x",
     true,
     {"example.com:a"}},
    {"the rest", "/files/{f*}", "/files/a/b%20c", true, {"a/b c"}},
    {"the rest may be empty", "/files/{f*}", "/files/", true, {""}},
    {"the rest needs its slash", "/files/{f*}", "/files", false, {NULL}},
    {"the rest with a verb",
     "/v1/{name*}:publish",
     "/v1/projects/p/topics/t:publish",
     true,
     {"projects/p/topics/t"}},
};

static void each_path(void)
{
    struct gh_arena arena;
    gh_arena_init(&arena, 4096);
    for (size_t i = 0; i < GH_COUNT(paths); i++) {
        struct gh_slice captures[3] = {{0}};
        CHECK(paths[i].claim, gh_path_match(paths[i].pattern, gh_slice_text(paths[i].path),
                                            captures, 3, &arena) == paths[i].matches);
        for (size_t at = 0; paths[i].matches && at < 3 && paths[i].captures[at] != NULL; at++)
            CHECK(paths[i].claim,
                  gh_slice_equal(captures[at], gh_slice_text(paths[i].captures[at])));
        gh_arena_reset(&arena);
    }
    gh_arena_deinit(&arena);
}

static const struct {
    const char *claim, *query, *name, *value; /* NULL: none */
} queries[] = {
    {"one", "a=b", "a", "b"},
    {"the second", "a=b&c=d", "c", "d"},
    {"the first of two", "a=1&a=2", "a", "1"},
    {"no value", "a&b=1", "a", ""},
    {"absent", "ab=1", "a", NULL},
    {"empty query", "", "a", NULL},
    {"a plus is a space", "a=b+c", "a", "b c"},
    {"an encoded plus is a plus", "a=b%2Bc+d", "a", "b+c d"},
    {"an encoded ampersand", "a=b%26c=d", "a", "b&c=d"},
    {"an encoded name", "update%5Fmask=x", "update_mask", "x"},
    {"a value with equals signs", "a=b==", "a", "b=="},
    {"a broken escape", "a=%x", "a", NULL},
    {"empty pairs", "&&a=1&", "a", "1"},
};

static void each_query(void)
{
    struct gh_arena arena;
    gh_arena_init(&arena, 4096);
    for (size_t i = 0; i < GH_COUNT(queries); i++) {
        struct gh_slice value = {0};
        bool found = gh_query_get(gh_slice_text(queries[i].query), queries[i].name, &arena, &value);
        CHECK(queries[i].claim, found == (queries[i].value != NULL));
        if (found && queries[i].value != NULL)
            CHECK(queries[i].claim, gh_slice_equal(value, gh_slice_text(queries[i].value)));
    }
    struct gh_slice rest = GH_SLICE("id=1&x=2&id=3"), value = {0}, name = {0};
    CHECK("repeats", gh_query_each(&rest, "id", &arena, &value) && value.data[0] == '1');
    CHECK("repeats", gh_query_each(&rest, "id", &arena, &value) && value.data[0] == '3');
    CHECK("the end", !gh_query_each(&rest, "id", &arena, &value));
    rest = GH_SLICE("a=1&=2&b=3");
    CHECK("all pairs", gh_query_next(&rest, &arena, &name, &value) && name.data[0] == 'a');
    CHECK("but the nameless", gh_query_next(&rest, &arena, &name, &value) && name.data[0] == 'b');
    gh_arena_deinit(&arena);
}

static void no_memory(void)
{
    struct gh_slice value = {0};
    struct gh_arena arena;
    gh_arena_init(&arena, 0);
    CHECK("nothing to decode needs no memory",
          gh_path_match("/{a}", GH_SLICE("/abc"), &value, 1, &arena));
    CHECK("an arena at its ceiling is no match",
          !gh_path_match("/{a}", GH_SLICE("/a%20c"), &value, 1, &arena));
    gh_arena_deinit(&arena);
}

int main(void)
{
    each_path();
    each_query();
    no_memory();
    return check_report();
}
