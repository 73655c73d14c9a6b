#include "policy/reach.h"
#include "tests/check.h"
#include "wire/mqtt/topic.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUBLISH GH_DEVICE_ACTION_PUBLISH
#define RECEIVE GH_DEVICE_ACTION_RECEIVE
#define SUBSCRIBE GH_DEVICE_ACTION_SUBSCRIBE

static struct gh_statements *compile(const char *statements)
{
    static const struct gh_statement_variables values = {.tenant = GH_SLICE_INIT("acme"),
                                                         .registry = GH_SLICE_INIT("plant"),
                                                         .device = GH_SLICE_INIT("pump*1"),
                                                         .client = GH_SLICE_INIT("c+1")};
    struct gh_error error = {0};
    char json[8192];
    snprintf(json, sizeof json, "{\"Version\":\"2012-10-17\",\"Statement\":[%s]}", statements);
    struct gh_statement_document document = {GH_SLICE_INIT("p"), gh_slice_text(json)};
    struct gh_statements *made = gh_statements_compile(&document, 1, &values, &error);
    if (made == NULL)
        fprintf(stderr, "%s\n%s\n", json, error.text);
    return made;
}

#define S(effect, action, resource)                                                                \
    "{\"Effect\":\"" effect "\",\"Action\":\"" action "\",\"Resource\":\"" resource "\"}"
#define ALLOW(action, resource) S("Allow", action, resource)
#define DENY(action, resource) S("Deny", action, resource)
#define OPEN ALLOW("subscribe", "filter/*") "," ALLOW("receive", "topic/*")

static const struct {
    const char *claim, *statements;
    enum gh_device_action action;
    const char *topics;
    enum gh_reach_answer answer;
    const char *topic, *filter; /* the witness; NULL: any */
} cases[] = {
    {"its own topic", ALLOW("publish", "topic/${registry}/${device}/*"), PUBLISH, "plant/pump*1/up",
     GH_REACH_POSSIBLE, "plant/pump*1/up", NULL},
    {"a star in a name is a letter", ALLOW("publish", "topic/${registry}/${device}/*"), PUBLISH,
     "plant/pumpx1/up", GH_REACH_NEVER, NULL, NULL},
    {"some topic below a filter", ALLOW("publish", "topic/a/b/*"), PUBLISH, "a/#",
     GH_REACH_POSSIBLE, "a/b/", NULL},
    {"none below another", ALLOW("publish", "topic/a/b/*"), PUBLISH, "b/#", GH_REACH_NEVER, NULL,
     NULL},
    {"a star goes over slashes", ALLOW("publish", "topic/a*z"), PUBLISH, "+/+/+", GH_REACH_POSSIBLE,
     "a//z", NULL},
    {"all of it denied in two halves",
     ALLOW("publish", "topic/a/?") "," DENY("publish", "topic/a/*"), PUBLISH, "#", GH_REACH_NEVER,
     NULL, NULL},
    {"a hole in the Deny", ALLOW("publish", "topic/a/*") "," DENY("publish", "topic/a/?*"), PUBLISH,
     "#", GH_REACH_POSSIBLE, "a/", NULL},
    {"letters of four bytes", ALLOW("publish", "topic/\xf0\x9f\x9a\xb0/?"), PUBLISH, "+/\xc3\xb6",
     GH_REACH_POSSIBLE, "\xf0\x9f\x9a\xb0/\xc3\xb6", NULL},
    {"# is not for topics with a dollar", ALLOW("publish", "topic/$*"), PUBLISH, "#",
     GH_REACH_NEVER, NULL, NULL},
    {"no NotResource leaves it open",
     "{\"Effect\":\"Allow\",\"Action\":\"publish\",\"NotResource\":[\"topic/a*\",\"topic/b\"]}",
     PUBLISH, "b", GH_REACH_NEVER, NULL, NULL},
    {"NotResource allows the others",
     "{\"Effect\":\"Allow\",\"Action\":\"publish\",\"NotResource\":[\"topic/a*\",\"topic/b\"]}",
     PUBLISH, "b/+", GH_REACH_POSSIBLE, "b/", NULL},
    {"receive needs a subscription", ALLOW("receive", "topic/*"), RECEIVE, "a", GH_REACH_NEVER,
     NULL, NULL},
    {"a subscription needs receive", ALLOW("subscribe", "filter/*"), RECEIVE, "a", GH_REACH_NEVER,
     NULL, NULL},
    {"both together", OPEN, RECEIVE, "a", GH_REACH_POSSIBLE, "a", NULL},
    {"+ in a policy lets + in", ALLOW("subscribe", "filter/a/+") "," ALLOW("receive", "topic/*"),
     RECEIVE, "a/b", GH_REACH_POSSIBLE, "a/b", "a/+"},
    {"+ is one level", ALLOW("subscribe", "filter/a/+") "," ALLOW("receive", "topic/*"), RECEIVE,
     "a/b/c", GH_REACH_NEVER, NULL, NULL},
    {"a/# brings a", ALLOW("subscribe", "filter/a/#") "," ALLOW("receive", "topic/*"), RECEIVE, "a",
     GH_REACH_POSSIBLE, "a", "a/#"},
    {"a Deny on the filter is passed by a wider one", DENY("subscribe", "filter/secret") "," OPEN,
     RECEIVE, "secret", GH_REACH_POSSIBLE, "secret", NULL},
    {"a Deny of receive is not",
     DENY("receive", "topic/secret") "," DENY("subscribe", "filter/secret") "," OPEN, RECEIVE,
     "secret", GH_REACH_NEVER, NULL, NULL},
    {"only a shared subscription brings it",
     ALLOW("subscribe", "filter/$share/*") "," ALLOW("receive", "topic/*"), RECEIVE, "a",
     GH_REACH_POSSIBLE, "a", NULL},
    {"a group has a name", ALLOW("subscribe", "filter/$share//a") "," ALLOW("receive", "topic/*"),
     RECEIVE, "a", GH_REACH_NEVER, NULL, NULL},
    {"a Deny holds behind $share",
     ALLOW("subscribe", "filter/$share/g/a") "," DENY("subscribe", "filter/a") "," ALLOW("receive",
                                                                                         "topic/*"),
     RECEIVE, "a", GH_REACH_NEVER, NULL, NULL},
    {"a filter is whole", ALLOW("subscribe", "filter/a#") "," ALLOW("receive", "topic/*"), RECEIVE,
     "#", GH_REACH_NEVER, NULL, NULL},
    {"nothing at all", DENY("*", "*"), RECEIVE, "#", GH_REACH_NEVER, NULL, NULL},
};

static void test_cases(void)
{
    for (size_t i = 0; i < GH_COUNT(cases); i++) {
        struct gh_arena arena;
        struct gh_reach reach;
        struct gh_error error = {0};
        struct gh_statements *statements = compile(cases[i].statements);
        gh_arena_init(&arena, 1 << 20);
        REQUIRE(cases[i].claim, statements != NULL);
        CHECK(cases[i].claim,
              gh_statements_reach(statements, cases[i].action, gh_slice_text(cases[i].topics),
                                  &arena, &reach, &error) == GH_OK);
        if (!CHECK(cases[i].claim, reach.answer == cases[i].answer))
            printf("  %s: %.*s by %.*s\n", gh_reach_answer_name(reach.answer),
                   GH_PRINT(reach.topic), GH_PRINT(reach.filter));
        if (cases[i].topic != NULL)
            CHECK(cases[i].claim, gh_slice_equal(reach.topic, gh_slice_text(cases[i].topic)));
        if (cases[i].filter != NULL)
            CHECK(cases[i].claim, gh_slice_equal(reach.filter, gh_slice_text(cases[i].filter)));
        gh_arena_deinit(&arena);
        gh_statements_unref(statements);
    }
}

static void test_questions(void)
{
    struct gh_arena arena;
    struct gh_reach reach;
    struct gh_error error = {0};
    struct gh_statements *statements = compile(OPEN);
    gh_arena_init(&arena, 1 << 20);
    CHECK("a wrong filter is refused",
          gh_statements_reach(statements, RECEIVE, GH_SLICE("a/#/b"), &arena, &reach, &error) ==
              GH_ERROR_INVALID);
    CHECK("a shared filter is no set of topics",
          gh_statements_reach(statements, RECEIVE, GH_SLICE("$share/g/a"), &arena, &reach,
                              &error) == GH_ERROR_INVALID);
    CHECK("only publish and receive are asked for",
          gh_statements_reach(statements, SUBSCRIBE, GH_SLICE("a"), &arena, &reach, &error) ==
              GH_ERROR_INVALID);
    gh_arena_deinit(&arena);
    gh_statements_unref(statements);
}

/* --- Deny that is passed by --- */

static const struct {
    const char *claim, *statements;
    size_t count, statement;
} bypasses[] = {
    {"# passes a Deny of one topic", DENY("subscribe", "filter/secret") "," OPEN, 1, 1},
    {"and of all below it", OPEN "," DENY("subscribe", "filter/a/secret/*"), 1, 3},
    {"not when receive is denied too",
     DENY("subscribe", "filter/secret") "," DENY("receive", "topic/secret") "," OPEN, 0, 0},
    {"not when nothing wider is allowed",
     DENY("subscribe", "filter/a/secret") "," ALLOW("subscribe", "filter/b/*") "," ALLOW("receive",
                                                                                         "topic/*"),
     0, 0},
    {"not when the wide ones are denied",
     DENY("subscribe", "filter/a/secret") "," ALLOW("subscribe", "filter/a/*") "," DENY(
         "subscribe", "filter/*#") "," DENY("subscribe", "filter/*+*") "," ALLOW("receive",
                                                                                 "topic/*"),
     0, 0},
    {"a Deny of # is there to be passed", DENY("subscribe", "filter/#") "," OPEN, 0, 0},
    {"one finding for a statement",
     "{\"Effect\":\"Deny\",\"Action\":\"subscribe\",\"Resource\":[\"filter/a\",\"filter/"
     "b\"]}," OPEN,
     1, 1},
};

static void test_bypasses(void)
{
    static struct gh_reach_bypasses found;
    for (size_t i = 0; i < GH_COUNT(bypasses); i++) {
        struct gh_arena arena;
        struct gh_error error = {0};
        struct gh_statements *statements = compile(bypasses[i].statements);
        gh_arena_init(&arena, 1 << 20);
        REQUIRE(bypasses[i].claim, statements != NULL);
        CHECK(bypasses[i].claim,
              gh_statements_bypasses(statements, &arena, &found, &error) == GH_OK);
        if (!CHECK(bypasses[i].claim, found.count == bypasses[i].count && found.unknown == 0))
            for (size_t b = 0; b < found.count; b++)
                printf("  %zu: %.*s by %.*s\n", found.items[b].deny.statement,
                       GH_PRINT(found.items[b].topic), GH_PRINT(found.items[b].filter));
        if (found.count == 1)
            CHECK(bypasses[i].claim,
                  found.items[0].deny.statement == bypasses[i].statement &&
                      gh_statements_allow(statements, SUBSCRIBE, found.items[0].filter, NULL) &&
                      gh_statements_allow(statements, RECEIVE, found.items[0].topic, NULL) &&
                      gh_mqtt_filter_matches(found.items[0].filter, found.items[0].topic));
        gh_arena_deinit(&arena);
        gh_statements_unref(statements);
    }
}

/* --- every topic and every filter of a small alphabet, tried one by one --- */

enum { WORD_MAX = 4, WORDS_MAX = 4096, ROUNDS = 1500 };

struct words {
    char text[WORDS_MAX][WORD_MAX + 1];
    size_t count;
};

static void words_make(struct words *out, const char *letters, bool (*valid)(struct gh_slice))
{
    char word[WORD_MAX + 1] = {0};
    size_t kinds = strlen(letters), at[WORD_MAX];
    for (size_t size = 1; size <= WORD_MAX; size++) {
        memset(at, 0, sizeof at);
        for (size_t i = 0; i < size;) {
            for (size_t k = 0; k < size; k++)
                word[k] = letters[at[k]];
            word[size] = '\0';
            if (valid(gh_slice_text(word))) {
                REQUIRE("the words fit", out->count < WORDS_MAX);
                memcpy(out->text[out->count++], word, sizeof word);
            }
            for (i = 0; i < size && ++at[i] == kinds; i++)
                at[i] = 0;
        }
    }
}

static uint32_t draw(uint64_t *seed, uint32_t below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(*seed >> 33) % below;
}

static void resource_draw(uint64_t *seed, bool filter, char *out)
{
    const char *letters = filter ? "ab/*?+#" : "ab/*?*a";
    size_t size = 1 + draw(seed, 4);
    out += sprintf(out, filter ? "filter/" : "topic/");
    for (size_t i = 0; i < size; i++)
        *out++ = letters[draw(seed, 7)];
    *out = '\0';
}

static struct gh_statements *policy_draw(uint64_t *seed, enum gh_device_action action, char *json)
{
    char resource[2][32], *at = json;
    size_t count = 2 + draw(seed, 4);
    for (size_t i = 0; i < count; i++) {
        bool filter = action == RECEIVE && (i == 0 || draw(seed, 2) == 0);
        for (size_t r = 0; r < 2; r++)
            resource_draw(seed, filter, resource[r]);
        at += sprintf(at, "%s{\"Effect\":\"%s\",\"Action\":\"%s\",\"%sResource\":[\"%s\",\"%s\"]}",
                      i > 0 ? "," : "", i < 2 || draw(seed, 3) == 0 ? "Allow" : "Deny",
                      filter ? "subscribe" : gh_device_action_name(action),
                      draw(seed, 8) == 0 ? "Not" : "", resource[0], resource[1]);
    }
    return compile(json);
}

/* Whether one of the topics below `topics` is reached by one of the filters. */
static bool tried(const struct gh_statements *statements, enum gh_device_action action,
                  const char *topics, const struct words *names, const struct words *filters)
{
    static size_t open[WORDS_MAX];
    size_t open_count = 0;
    for (size_t f = 0; action == RECEIVE && f < filters->count; f++)
        if (gh_statements_allow(statements, SUBSCRIBE, gh_slice_text(filters->text[f]), NULL))
            open[open_count++] = f;
    for (size_t t = 0; t < names->count; t++) {
        struct gh_slice topic = gh_slice_text(names->text[t]);
        if (!gh_mqtt_filter_matches(gh_slice_text(topics), topic) ||
            !gh_statements_allow(statements, action, topic, NULL))
            continue;
        if (action == PUBLISH)
            return true;
        for (size_t f = 0; f < open_count; f++)
            if (gh_mqtt_filter_matches(gh_slice_text(filters->text[open[f]]), topic))
                return true;
    }
    return false;
}

/* The witness, by the code that decides about sessions. */
static bool holds(const struct gh_statements *statements, enum gh_device_action action,
                  const char *topics, const struct gh_reach *reach)
{
    struct gh_slice group, inner = reach->filter;
    if (!gh_mqtt_topic_valid(reach->topic) ||
        !gh_mqtt_filter_matches(gh_slice_text(topics), reach->topic) ||
        !gh_statements_allow(statements, action, reach->topic, NULL))
        return false;
    if (action == PUBLISH)
        return true;
    if (gh_slice_starts(inner, GH_SLICE("$share/")) &&
        !gh_mqtt_share_split(reach->filter, &group, &inner))
        return false;
    return gh_mqtt_filter_valid(reach->filter) && gh_mqtt_filter_matches(inner, reach->topic) &&
           gh_statements_allow(statements, SUBSCRIBE, reach->filter, NULL);
}

static void test_against_trying(void)
{
    static struct words names, filters;
    uint64_t seed = 7;
    size_t answers[3] = {0}, wrong = 0;
    words_make(&names, "abc/", gh_mqtt_topic_valid);
    words_make(&filters, "abc/+#", gh_mqtt_filter_valid);
    for (size_t round = 0; round < ROUNDS; round++) {
        enum gh_device_action action = round % 3 == 0 ? PUBLISH : RECEIVE;
        char json[4096];
        struct gh_arena arena;
        struct gh_reach reach;
        struct gh_error error = {0};
        const char *topics = filters.text[draw(&seed, (uint32_t)filters.count)];
        struct gh_statements *statements = policy_draw(&seed, action, json);
        REQUIRE("the policy compiles", statements != NULL);
        gh_arena_init(&arena, 1 << 20);
        bool good = gh_statements_reach(statements, action, gh_slice_text(topics), &arena, &reach,
                                        &error) == GH_OK;
        good = good && (reach.answer == GH_REACH_POSSIBLE
                            ? holds(statements, action, topics, &reach)
                            : reach.answer == GH_REACH_NEVER &&
                                  !tried(statements, action, topics, &names, &filters));
        answers[reach.answer]++;
        if (!good && wrong++ < 5)
            printf("round %zu: %s %s says %s, %.*s by %.*s: %s\n", round,
                   gh_device_action_name(action), topics, gh_reach_answer_name(reach.answer),
                   GH_PRINT(reach.topic), GH_PRINT(reach.filter), json);
        gh_arena_deinit(&arena);
        gh_statements_unref(statements);
    }
    printf("never %zu, possible %zu, unknown %zu\n", answers[GH_REACH_NEVER],
           answers[GH_REACH_POSSIBLE], answers[GH_REACH_UNKNOWN]);
    CHECK("every answer is what trying finds", wrong == 0);
    CHECK("both answers are tried",
          answers[GH_REACH_NEVER] > ROUNDS / 5 && answers[GH_REACH_POSSIBLE] > ROUNDS / 5);
}

int main(void)
{
    test_cases();
    test_questions();
    test_bypasses();
    test_against_trying();
    return check_report();
}
