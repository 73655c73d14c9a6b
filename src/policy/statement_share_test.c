#include "policy/statement.h"
#include "tests/check.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUBLISH GH_DEVICE_ACTION_PUBLISH
#define DOCUMENT(statements) "{\"Version\":\"2012-10-17\",\"Statement\":[" statements "]}"
#define ALLOW(resource)                                                                            \
    "{\"Effect\":\"Allow\",\"Action\":\"publish\",\"Resource\":\"" resource "\"}"
#define DENY(resource) "{\"Effect\":\"Deny\",\"Action\":\"publish\",\"Resource\":\"" resource "\"}"

/* So many that they are looked up by their letters. */
#define MANY                                                                                                                 \
    ALLOW("topic/a1")                                                                                                        \
    "," ALLOW("topic/a2") "," ALLOW("topic/a3") "," ALLOW("topic/a4") "," ALLOW("topic/a5") "," ALLOW("topic/a6") "," ALLOW( \
        "topic/a7") "," ALLOW("topic/a8") "," ALLOW("topic/a9") "," ALLOW("topic/b1") "," ALLOW("topic/b2")

static const struct gh_attribute attributes[] = {
    {GH_SLICE_INIT("zone"), GH_SLICE_INIT("north")},
    {GH_SLICE_INIT("wild"), GH_SLICE_INIT("*")},
};
static const struct gh_attribute certificate[] = {
    {GH_SLICE_INIT("Subject.Organization"), GH_SLICE_INIT("A=B, C")},
};

static struct gh_statement_variables device(const char *id)
{
    return (struct gh_statement_variables){.tenant = GH_SLICE("acme"),
                                           .registry = GH_SLICE("plant"),
                                           .device = gh_slice_text(id),
                                           .client = GH_SLICE("c?*1"),
                                           .source = GH_SLICE("192.0.2.7"),
                                           .attributes = attributes,
                                           .attributes_count = GH_COUNT(attributes),
                                           .certificate = certificate,
                                           .certificate_count = GH_COUNT(certificate)};
}

static struct gh_statements *share(struct gh_statements_shelf *shelf, const char *json,
                                   const char *id)
{
    struct gh_statement_document document = {GH_SLICE_INIT("p"), gh_slice_text(json)};
    struct gh_statement_variables values = device(id);
    struct gh_error error = {0};
    struct gh_statements *statements = gh_statements_share(shelf, &document, 1, &values, &error);
    REQUIRE(error.text[0] != '\0' ? error.text : "shared", statements != NULL);
    return statements;
}

static bool may(const struct gh_statements *statements, const char *topic)
{
    return gh_statements_allow(statements, PUBLISH, gh_slice_text(topic), NULL);
}

/* --- what is decided is what would be without sharing, and some of it is shared --- */

static const struct {
    const char *claim, *statements;
    bool is_shared;
    const char *allowed, *denied; /* for the device pump-1; NULL: nothing to ask */
} cases[] = {
    {"no variable", ALLOW("topic/a/*"), true, "a/b", "b"},
    {"alone", ALLOW("topic/${device}"), true, "pump-1", "pump-2"},
    {"a value ends where the topic does", ALLOW("topic/${device}"), true, NULL, "pump-12"},
    {"the topic ends within a value", ALLOW("topic/${device}"), true, NULL, "pump"},
    {"before a run", ALLOW("topic/${device}/*"), true, "pump-1/t", "pump-2/t"},
    {"behind a run", ALLOW("topic/*/${device}"), true, "a/b/pump-1", "a/b/xpump-1"},
    {"behind a run, another of its size", ALLOW("topic/*/${device}"), true, "a/pump-1", "a/pump-2"},
    {"between runs", ALLOW("topic/*/${device}/*"), true, "a/pump-1/b", "a/pump-2/b"},
    {"between runs, with letters", ALLOW("topic/*-${device}-*"), true, "a-pump-1-b", "apump-1-b"},
    {"two of them", ALLOW("topic/${registry}/${device}/x"), true, "plant/pump-1/x", "plant/x/x"},
    {"two without a letter between", ALLOW("topic/${registry}${device}"), true, "plantpump-1",
     "plant/pump-1"},
    {"the same twice", ALLOW("topic/${device}/${device}"), true, "pump-1/pump-1", "pump-1/pump-2"},
    {"with any one character", ALLOW("topic/?${device}?"), true, "\xc3\xa9pump-1x", "pump-1x"},
    {"a run and a character before it", ALLOW("topic/*?${device}"), true, "apump-1", "pump-1"},
    {"a value is literal", ALLOW("topic/${client}"), true, "c?*1", "cxx1"},
    {"an attribute", ALLOW("topic/${attribute.zone}/x"), true, "north/x", "south/x"},
    {"two attributes are two variables", ALLOW("topic/${attribute.zone}/${attribute.wild}"), true,
     "north/*", "north/north"},
    {"what a certificate says is escaped", ALLOW("topic/${certificate.Subject.Organization}"), true,
     "A\\=B\\, C", "A=B, C"},
    {"a Deny", ALLOW("topic/*") "," DENY("topic/${device}/secret"), true, "pump-2/secret",
     "pump-1/secret"},
    {"NotResource",
     "{\"Effect\":\"Allow\",\"Action\":\"publish\",\"NotResource\":\"topic/${device}\"}", true,
     "pump-2", "pump-1"},
    {"many patterns", MANY "," ALLOW("topic/house/${device}"), true, "house/pump-1",
     "house/pump-2"},
    {"many, and few letters beside the variable", MANY "," ALLOW("topic/a/${device}/b"), true,
     "a/pump-1/b", "a/pump-2/b"},
    {"a variable without a value", ALLOW("topic/a") "," ALLOW("topic/${attribute.none}"), false,
     "a", "b"},
    {"an unknown one of AWS's", ALLOW("topic/a") "," ALLOW("topic/${iot:Unknown}"), true, "a", "b"},
    {"a Deny with one", ALLOW("topic/a") "," DENY("topic/${iot:Unknown}"), true, "a", "b"},
    {"a variable where the kind stands", ALLOW("*${device}"), false, "x/pump-1", "x/pump-2"},
};

static void check_cases(void)
{
    for (size_t i = 0; i < GH_COUNT(cases); i++) {
        struct gh_statements_shelf *shelf = gh_statements_shelf_open();
        char json[2048];
        REQUIRE("a shelf", shelf != NULL);
        snprintf(json, sizeof json, DOCUMENT("%s"), cases[i].statements);
        struct gh_statement_document document = {GH_SLICE_INIT("p"), gh_slice_text(json)};
        struct gh_statement_variables values = device("pump-1");
        struct gh_statements *alone = gh_statements_compile(&document, 1, &values, NULL);
        struct gh_statements *shared = share(shelf, json, "pump-1");
        CHECK(cases[i].claim, gh_statements_shelf_count(shelf) == (cases[i].is_shared ? 1 : 0));
        CHECK(cases[i].claim, gh_statements_personal(alone) == gh_statements_personal(shared));
        CHECK(cases[i].claim, cases[i].allowed == NULL ||
                                  (may(alone, cases[i].allowed) && may(shared, cases[i].allowed)));
        CHECK(cases[i].claim, !may(alone, cases[i].denied) && !may(shared, cases[i].denied));
        gh_statements_unref(alone);
        gh_statements_unref(shared);
        CHECK("what was asked for last stays",
              gh_statements_shelf_count(shelf) == (cases[i].is_shared ? 1 : 0));
        gh_statements_shelf_close(shelf);
    }
}

/* --- who has what --- */

static void check_lives(void)
{
    const char *own = DOCUMENT(ALLOW("topic/${device}/*")), *all = DOCUMENT(ALLOW("topic/*"));
    struct gh_statements_shelf *shelf = gh_statements_shelf_open();
    REQUIRE("a shelf", shelf != NULL);
    struct gh_statements *first = share(shelf, own, "pump-1");
    struct gh_statements *second = share(shelf, own, "pump-2");
    CHECK("two devices, one set", gh_statements_shelf_count(shelf) == 1);
    CHECK("each by its own name", may(first, "pump-1/a") && may(second, "pump-2/a"));
    CHECK("and by no other", !may(first, "pump-2/a") && !may(second, "pump-1/a"));

    struct gh_statements *changed = share(shelf, all, "pump-1");
    gh_statements_unref(first);
    CHECK("another document is another set", gh_statements_shelf_count(shelf) == 2);
    CHECK("for the one", may(changed, "pump-2/a"));
    CHECK("and not for the other", !may(second, "pump-1/a") && may(second, "pump-2/a"));
    gh_statements_unref(second);
    CHECK("the last user takes it away", gh_statements_shelf_count(shelf) == 1);
    struct gh_statements *again = share(shelf, own, "pump-3");
    CHECK("and it comes back", gh_statements_shelf_count(shelf) == 2 && may(again, "pump-3/a"));
    gh_statements_unref(again);

    struct gh_statements *kept = gh_statements_ref(changed);
    gh_statements_unref(changed);
    CHECK("a reference is a user", gh_statements_shelf_count(shelf) == 2 && may(kept, "x"));
    gh_statements_unref(kept);
    CHECK("what was asked for last stays", gh_statements_shelf_count(shelf) == 1);
    again = share(shelf, all, "pump-3");
    CHECK("until others are", gh_statements_shelf_count(shelf) == 1 && may(again, "x"));
    gh_statements_unref(again);
    gh_statements_shelf_close(shelf);
}

/* Where one document ends and the next begins is a part of what is compared; names are, too: they
 * stand in reasons. */
static void check_lists(void)
{
    static const struct {
        const char *claim, *name, *second; /* a second document; or NULL */
    } lists[] = {
        {"one document", "p", NULL},
        {"another name", "q", NULL},
        {"two documents", "p", DOCUMENT(ALLOW("topic/b"))},
    };
    struct gh_statements_shelf *shelf = gh_statements_shelf_open();
    struct gh_statements *made[GH_COUNT(lists)];
    struct gh_statement_variables values = device("pump-1");
    struct gh_policy_reason why;
    REQUIRE("a shelf", shelf != NULL);
    for (size_t i = 0; i < GH_COUNT(lists); i++) {
        struct gh_statement_document documents[] = {
            {gh_slice_text(lists[i].name), GH_SLICE_INIT(DOCUMENT(ALLOW("topic/a")))},
            {GH_SLICE_INIT("s"), gh_slice_text(lists[i].second != NULL ? lists[i].second : "")}};
        made[i] =
            gh_statements_share(shelf, documents, lists[i].second != NULL ? 2 : 1, &values, NULL);
        REQUIRE(lists[i].claim, made[i] != NULL);
        CHECK(lists[i].claim, gh_statements_shelf_count(shelf) == i + 1);
        CHECK(lists[i].claim, gh_statements_allow(made[i], PUBLISH, GH_SLICE("a"), &why) &&
                                  gh_slice_equal(why.document, gh_slice_text(lists[i].name)));
        CHECK(lists[i].claim, may(made[i], "b") == (lists[i].second != NULL));
    }
    struct gh_statements *none = gh_statements_share(shelf, NULL, 0, &values, NULL);
    CHECK("no documents deny", none != NULL && !may(none, "a"));
    gh_statements_unref(none);
    for (size_t i = 0; i < GH_COUNT(lists); i++)
        gh_statements_unref(made[i]);
    gh_statements_shelf_close(shelf);
}

static void check_strict(void)
{
    static const char *const denials[] = {DENY("topic/${source}/x"),
                                          DENY("topic/${iot:Unknown}/x")};
    for (size_t i = 0; i < GH_COUNT(denials); i++) {
        struct gh_statements_shelf *shelf = gh_statements_shelf_open();
        char json[512];
        snprintf(json, sizeof json, DOCUMENT(ALLOW("topic/*") ",%s"), denials[i]);
        struct gh_statement_document document = {GH_SLICE_INIT("p"), gh_slice_text(json)};
        struct gh_statement_variables values = device("pump-1");
        values.source = (struct gh_slice){0};
        struct gh_statements *lax = gh_statements_share(shelf, &document, 1, &values, NULL);
        size_t before = gh_statements_shelf_count(shelf);
        values.deny_unresolved = true;
        struct gh_statements *strict = gh_statements_share(shelf, &document, 1, &values, NULL);
        REQUIRE("both", lax != NULL && strict != NULL);
        CHECK("a Deny without a value denies only when told so",
              may(lax, "a/x") && !may(strict, "a/x"));
        gh_statements_unref(lax);
        gh_statements_unref(strict);
        CHECK("what is strict is not shared", gh_statements_shelf_count(shelf) == before);
        gh_statements_shelf_close(shelf);
    }
}

/* Eleven variables are shared, twelve are not, and both are right. */
static void check_most(void)
{
    for (size_t count = 11; count <= 12; count++) {
        struct gh_statements_shelf *shelf = gh_statements_shelf_open();
        struct gh_attribute many[12];
        char names[12][8], json[1024];
        size_t at = (size_t)sprintf(json, "%s",
                                    "{\"Version\":\"2012-10-17\",\"Statement\":[{"
                                    "\"Effect\":\"Allow\",\"Action\":\"publish\","
                                    "\"Resource\":\"topic/");
        for (size_t i = 0; i < count; i++) {
            snprintf(names[i], sizeof names[i], "a%zu", i);
            many[i] = (struct gh_attribute){gh_slice_text(names[i]), GH_SLICE("x")};
            at += (size_t)sprintf(json + at, "${attribute.a%zu}", i);
        }
        strcpy(json + at, "\"}]}");
        struct gh_statement_document document = {GH_SLICE_INIT("p"), gh_slice_text(json)};
        struct gh_statement_variables values = {.attributes = many, .attributes_count = count};
        struct gh_statements *made = gh_statements_share(shelf, &document, 1, &values, NULL);
        REQUIRE("many variables", made != NULL);
        CHECK("as many as there are bytes", gh_statements_shelf_count(shelf) == (count == 11));
        CHECK("allowed", may(made, count == 11 ? "xxxxxxxxxxx" : "xxxxxxxxxxxx"));
        CHECK("denied", !may(made, "xxxxxxxxxx"));
        gh_statements_unref(made);
        gh_statements_shelf_close(shelf);
    }
}

static void check_refused(void)
{
    struct gh_statements_shelf *shelf = gh_statements_shelf_open();
    struct gh_statement_document document = {GH_SLICE_INIT("p"), GH_SLICE_INIT("{")};
    struct gh_statement_variables values = device("pump-1");
    struct gh_error error = {0};
    CHECK("what is no document", gh_statements_share(shelf, &document, 1, &values, &error) == NULL);
    CHECK("is said", error.code == GH_ERROR_INVALID && strstr(error.text, "policy p") != NULL);
    CHECK("and does not stand there", gh_statements_shelf_count(shelf) == 0);
    gh_statements_shelf_close(shelf);
}

/* --- many at once --- */

static void *come_and_go(void *context)
{
    struct gh_statements_shelf *shelf = context;
    for (int i = 0; i < 500; i++) {
        struct gh_statements *made =
            share(shelf, i % 2 == 0 ? DOCUMENT(ALLOW("topic/${device}")) : DOCUMENT(ALLOW("*")),
                  "pump-1");
        if (!may(made, "pump-1"))
            abort();
        gh_statements_unref(made);
    }
    return NULL;
}

static void check_threads(void)
{
    struct gh_statements_shelf *shelf = gh_statements_shelf_open();
    pthread_t threads[4];
    for (size_t i = 0; i < GH_COUNT(threads); i++)
        REQUIRE("a thread", pthread_create(&threads[i], NULL, come_and_go, shelf) == 0);
    for (size_t i = 0; i < GH_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    CHECK("all but the last have gone", gh_statements_shelf_count(shelf) == 1);
    gh_statements_shelf_close(shelf);
}

int main(void)
{
    check_cases();
    check_lives();
    check_lists();
    check_strict();
    check_most();
    check_refused();
    check_threads();
    return check_report();
}
