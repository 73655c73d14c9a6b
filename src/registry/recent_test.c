#include "registry/recent.h"
#include "store/registry.h"
#include "tests/check.h"
#include <stdio.h>

enum { ARENA_BYTES = 4 << 20, TEXT_BYTES = 3000, MANY = 2000 };

static struct gh_arena arena;
static struct gh_error error;
static struct gh_store *store;
static struct gh_recent *recent;

static bool text_copy(struct gh_arena *into, const void *from, void *to)
{
    return gh_arena_copy(into, *(const struct gh_slice *)from, to);
}

static const struct gh_recent_kind texts = {sizeof(struct gh_slice), text_copy};

static void begin(void)
{
    gh_arena_init(&arena, ARENA_BYTES);
    store = gh_store_open(check_folder(), GH_STORE_CREATE, &error);
    REQUIRE("a store", store != NULL);
    recent = gh_recent_open(store);
    REQUIRE("a table", recent != NULL);
}

static void end(void)
{
    gh_recent_close(recent);
    gh_store_close(store);
    gh_arena_deinit(&arena);
}

/* Any change that counts. */
static void change(void)
{
    static int names;
    char name[16];
    snprintf(name, sizeof name, "plant-%d", ++names);
    struct gh_slice text = gh_slice_text(name);
    struct gh_tenant tenant = {
        .name = text, .google_project = text, .azure_hub = text, .aws_account = text};
    REQUIRE("a change", gh_store_tenant_create(store, &tenant, &error) == GH_OK);
}

static enum gh_recent_answer find(const char *key, struct gh_slice *out, uint64_t *generation)
{
    return gh_recent_find(recent, &texts, gh_slice_text(key), &arena, out, generation);
}

static bool knows(const char *key, const char *value)
{
    uint64_t generation;
    struct gh_slice out;
    return find(key, &out, &generation) == GH_RECENT_FOUND &&
           gh_slice_equal(out, gh_slice_text(value));
}

static void keep(const char *key, const char *value)
{
    uint64_t generation;
    struct gh_slice out, text = gh_slice_text(value);
    if (find(key, &out, &generation) == GH_RECENT_UNKNOWN)
        gh_recent_keep(recent, &texts, gh_slice_text(key), &text, generation);
}

static void is_true_for_one_generation(void)
{
    uint64_t generation, later;
    struct gh_slice out, text = GH_SLICE("read before");
    begin();
    keep("a", "one");
    keep("b", "two");
    CHECK("each by its key", knows("a", "one") && knows("b", "two"));
    change();
    CHECK("a change takes all", !knows("a", "one") && gh_recent_bytes(recent) == 0);
    REQUIRE("a question", find("a", &out, &generation) == GH_RECENT_UNKNOWN);
    change(); /* between the question and its answer */
    REQUIRE("somebody else asks", find("b", &out, &later) == GH_RECENT_UNKNOWN);
    gh_recent_keep(recent, &texts, GH_SLICE("a"), &text, generation);
    CHECK("what may be older than the change is not kept", !knows("a", "read before"));
    REQUIRE("a question", find("a", &out, &generation) == GH_RECENT_UNKNOWN);
    change(); /* and nobody asks before the answer */
    gh_recent_keep(recent, &texts, GH_SLICE("a"), &text, generation);
    CHECK("nor found when nobody has asked in between", !knows("a", "read before"));
    end();
}

static void has_a_ceiling(void)
{
    static char value[TEXT_BYTES + 1];
    begin();
    for (size_t i = 0; i < TEXT_BYTES; i++)
        value[i] = 'x';
    keep("favourite", "stays");
    for (int i = 0; i < MANY; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        keep(key, value);
        if (i % 50 == 0)
            CHECK("what is looked at stays", knows("favourite", "stays"));
        if (gh_recent_bytes(recent) > GH_RECENT_BYTES_MAX)
            CHECK("never above the ceiling", false);
    }
    CHECK("the newest is there", knows("k1999", value));
    CHECK("the longest unused is not", !knows("k0", value));
    CHECK("most of the room is used", gh_recent_bytes(recent) > GH_RECENT_BYTES_MAX / 3);
    end();
}

static void gives_memory_back_in_quiet(void)
{
    begin();
    keep("a", "one");
    gh_recent_rest(recent);
    gh_recent_rest(recent);
    CHECK("one quiet call is not enough", gh_recent_bytes(recent) > 0 && knows("a", "one"));
    for (int i = 0; i < 3; i++)
        gh_recent_rest(recent);
    CHECK("then all goes", gh_recent_bytes(recent) == 0 && !knows("a", "one"));
    end();
}

static void says_when_the_arena_is_full(void)
{
    uint64_t generation;
    struct gh_slice out;
    struct gh_arena small;
    begin();
    keep("a", "a value of more bytes than the arena may have");
    gh_arena_init(&small, 16);
    CHECK("at its ceiling", gh_recent_find(recent, &texts, GH_SLICE("a"), &small, &out,
                                           &generation) == GH_RECENT_MEMORY);
    gh_arena_deinit(&small);
    end();
}

int main(void)
{
    is_true_for_one_generation();
    has_a_ceiling();
    gives_memory_back_in_quiet();
    says_when_the_arena_is_full();
    return check_report();
}
