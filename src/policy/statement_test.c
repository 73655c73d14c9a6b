#include "policy/statement.h"
#include "tests/check.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT GH_DEVICE_ACTION_CONNECT
#define PUBLISH GH_DEVICE_ACTION_PUBLISH
#define SUBSCRIBE GH_DEVICE_ACTION_SUBSCRIBE
#define RECEIVE GH_DEVICE_ACTION_RECEIVE
#define RETAIN GH_DEVICE_ACTION_RETAIN

static const struct gh_attribute attributes[] = {
    {GH_SLICE_INIT("zone"), GH_SLICE_INIT("north")},
    {GH_SLICE_INIT("wild"), GH_SLICE_INIT("*")},
    {GH_SLICE_INIT("empty"), GH_SLICE_INIT("")},
};
static const struct gh_attribute certificate[] = {
    {GH_SLICE_INIT("Subject.CommonName"), GH_SLICE_INIT("pump-1")},
    {GH_SLICE_INIT("Subject.Organization"), GH_SLICE_INIT("A=B, C")},
    {GH_SLICE_INIT("Subject.Title"), GH_SLICE_INIT("any#")},
};
static const struct gh_statement_variables values = {.tenant = GH_SLICE_INIT("acme"),
                                                     .registry = GH_SLICE_INIT("plant"),
                                                     .device = GH_SLICE_INIT("pump-1"),
                                                     .client = GH_SLICE_INIT("c?*1"),
                                                     .source = GH_SLICE_INIT("192.0.2.7"),
                                                     .attributes = attributes,
                                                     .attributes_count = GH_COUNT(attributes),
                                                     .certificate = certificate,
                                                     .certificate_count = GH_COUNT(certificate)};

static struct gh_statements *compile_with(const char *json,
                                          const struct gh_statement_variables *variables,
                                          struct gh_error *error)
{
    struct gh_statement_document document = {GH_SLICE_INIT("p"), gh_slice_text(json)};
    return gh_statements_compile(&document, 1, variables, error);
}

#define DOCUMENT(statements) "{\"Version\":\"2012-10-17\",\"Statement\":[" statements "]}"
#define ALLOW(action, resource)                                                                    \
    "{\"Effect\":\"Allow\",\"Action\":\"" action "\",\"Resource\":\"" resource "\"}"
#define DENY(action, resource)                                                                     \
    "{\"Effect\":\"Deny\",\"Action\":\"" action "\",\"Resource\":\"" resource "\"}"
#define ARN "arn:aws:iot:us-east-1:123456789012:"

/* --- decisions: one statement each unless the claim says more --- */

static const struct {
    const char *claim, *statements;
    enum gh_device_action action;
    const char *resource;
    bool allowed;
} cases[] = {
    /* Topic and topic filter, as AWS's guide tabulates them. */
    {"what a certificate says", ALLOW("publish", "topic/${certificate.Subject.CommonName}/x"),
     PUBLISH, "pump-1/x", true},
    {"by AWS's name", ALLOW("iot:Publish", ARN "topic/${iot:Certificate.Subject.CommonName}"),
     PUBLISH, "pump-1", true},
    {"what a name escapes is escaped",
     ALLOW("publish", "topic/${certificate.Subject.Organization}"), PUBLISH, "A\\=B\\, C", true},
    {"and not as it is", ALLOW("publish", "topic/${certificate.Subject.Organization}"), PUBLISH,
     "A=B, C", false},
    {"a wildcard in a certificate is absent",
     ALLOW("publish", "topic/${certificate.Subject.Title}"), PUBLISH, "any#", false},
    {"the case of its name does not matter",
     ALLOW("publish", "topic/${certificate.subject.commonname}/x"), PUBLISH, "pump-1/x", true},
    {"the peer's address", ALLOW("publish", "topic/${source}/a"), PUBLISH, "192.0.2.7/a", true},
    {"by AWS's name", ALLOW("iot:Publish", ARN "topic/${aws:SourceIp}"), PUBLISH, "192.0.2.7",
     true},
    {"a name that nobody asked for", ALLOW("publish", "topic/${server}*"), PUBLISH, "a", false},
    {"a device is attached to itself",
     ALLOW("iot:Publish", ARN "topic/${iot:Connection.Thing.IsAttached}"), PUBLISH, "true", true},
    {"what it does not say is absent", ALLOW("publish", "topic/${certificate.Subject.Surname}*"),
     PUBLISH, "a", false},
    {"+ in a policy is a letter", ALLOW("iot:Subscribe", ARN "topicfilter/some/+/topic"), SUBSCRIBE,
     "some/+/topic", true},
    {"+ in a policy is no wildcard", ALLOW("iot:Subscribe", ARN "topicfilter/some/+/topic"),
     SUBSCRIBE, "some/a/topic", false},
    {"* covers +", ALLOW("iot:Subscribe", ARN "topicfilter/some/*/topic"), SUBSCRIBE,
     "some/+/topic", true},
    {"* covers slashes", ALLOW("iot:Subscribe", ARN "topicfilter/some/*/topic"), SUBSCRIBE,
     "some/a/b/topic", true},
    {"a/* covers a/#", ALLOW("iot:Subscribe", ARN "topicfilter/a/*"), SUBSCRIBE, "a/#", true},
    {"a/* covers a/b/+", ALLOW("iot:Subscribe", ARN "topicfilter/a/*"), SUBSCRIBE, "a/b/+", true},
    {"? is one character each",
     ALLOW("iot:Publish", ARN "topic/some/????"
                              "?/topic"),
     PUBLISH, "some/abcde/topic", true},
    {"? is not none",
     ALLOW("iot:Publish", ARN "topic/some/????"
                              "?/topic"),
     PUBLISH, "some/abcd/topic", false},
    {"? is a slash too",
     ALLOW("iot:Publish", ARN "topic/some/????"
                              "?/topic"),
     PUBLISH, "some/ab/de/topic", true},
    {"? is a character of two bytes", ALLOW("publish", "topic/t?t"), PUBLISH, "t\xc3\xb6t", true},
    {"? is not two characters", ALLOW("publish", "topic/t?t"), PUBLISH, "toot", false},
    {"? at the end is a character of four bytes", ALLOW("publish", "topic/*-?"), PUBLISH,
     "a-\xf0\x9f\x9a\xb0", true},
    {"a is not a/", ALLOW("iot:Publish", ARN "topic/a"), PUBLISH, "a/", false},
    {"a is a", ALLOW("iot:Publish", ARN "topic/a"), PUBLISH, "a", true},
    {"a/# passes a Deny on a/restricted/*, as at AWS",
     DENY("iot:Subscribe", ARN "topicfilter/a/restricted/*") "," ALLOW("iot:Subscribe",
                                                                       ARN "topicfilter/a/*"),
     SUBSCRIBE, "a/#", true},
    {"a Deny on receive closes that hole",
     DENY("iot:Receive", ARN "topic/a/restricted/*") "," ALLOW("iot:*", "*"), RECEIVE,
     "a/restricted/x", false},
    {"receive does not use topicfilter", ALLOW("iot:Receive", ARN "topicfilter/a"), RECEIVE, "a",
     false},
    {"subscribe does not use topic", ALLOW("iot:Subscribe", ARN "topic/a"), SUBSCRIBE, "a", false},
    {"a shared subscription is compared as a whole",
     ALLOW("iot:Subscribe", ARN "topicfilter/$share/*/test/topic"), SUBSCRIBE,
     "$share/g/test/topic", true},
    {"the plain filter does not allow the shared one",
     ALLOW("iot:Subscribe", ARN "topicfilter/test/topic"), SUBSCRIBE, "$share/g/test/topic", false},
    {"a Deny on the plain filter denies the shared one",
     ALLOW("subscribe", "filter/*") "," DENY("subscribe", "filter/test/topic"), SUBSCRIBE,
     "$share/g/test/topic", false},
    {"and no other", ALLOW("subscribe", "filter/*") "," DENY("subscribe", "filter/test/topic"),
     SUBSCRIBE, "$share/g/test/topics", true},

    /* Evaluation. */
    {"nothing allows it", ALLOW("publish", "topic/a"), PUBLISH, "b", false},
    {"another action", ALLOW("publish", "topic/a"), RECEIVE, "a", false},
    {"a Deny wins before an Allow", DENY("publish", "topic/a") "," ALLOW("publish", "*"), PUBLISH,
     "a", false},
    {"a Deny wins behind an Allow", ALLOW("publish", "*") "," DENY("publish", "topic/a*"), PUBLISH,
     "ab", false},
    {"a Deny of another resource leaves it", ALLOW("publish", "*") "," DENY("publish", "topic/b"),
     PUBLISH, "a", true},
    {"retain is asked by itself", ALLOW("publish", "topic/a"), RETAIN, "a", false},
    {"iot:RetainPublish is retain", ALLOW("iot:RetainPublish", ARN "topic/a"), RETAIN, "a", true},

    /* Actions. */
    {"* is every action", ALLOW("*", "*"), CONNECT, "x", true},
    {"iot:* is every action", ALLOW("iot:*", "*"), RECEIVE, "x", true},
    {"letters of either case", ALLOW("IOT:publish", "*"), PUBLISH, "x", true},
    {"a wildcard in an action", ALLOW("iot:*Publish", "*"), RETAIN, "x", true},
    {"and what it does not name", ALLOW("iot:*Publish", "*"), RECEIVE, "x", false},
    {"an action of the control plane means nothing here", ALLOW("iot:GetThingShadow", "*"), PUBLISH,
     "x", false},
    {"lists of actions and resources",
     "{\"Effect\":\"Allow\",\"Action\":[\"publish\",\"receive\"],"
     "\"Resource\":[\"topic/a\",\"topic/b\"]}",
     RECEIVE, "b", true},
    {"NotAction is all the others",
     "{\"Effect\":\"Allow\",\"NotAction\":\"publish\",\"Resource\":\"*\"}", RECEIVE, "b", true},
    {"NotAction is not the one",
     "{\"Effect\":\"Allow\",\"NotAction\":\"publish\",\"Resource\":\"*\"}", PUBLISH, "b", false},
    {"NotResource is all the others",
     "{\"Effect\":\"Allow\",\"Action\":\"publish\",\"NotResource\":[\"topic/a\",\"topic/b*\"]}",
     PUBLISH, "c", true},
    {"NotResource is not the first",
     "{\"Effect\":\"Allow\",\"Action\":\"publish\",\"NotResource\":[\"topic/a\",\"topic/b*\"]}",
     PUBLISH, "a", false},
    {"NotResource is not the second",
     "{\"Effect\":\"Allow\",\"Action\":\"publish\",\"NotResource\":[\"topic/a\",\"topic/b*\"]}",
     PUBLISH, "bb", false},
    {"NotResource without a value allows nothing",
     "{\"Effect\":\"Allow\",\"Action\":\"publish\",\"NotResource\":\"topic/${attribute.none}\"}",
     PUBLISH, "c", false},
    {"Deny NotResource without a value denies all",
     ALLOW("publish", "*") ",{\"Effect\":\"Deny\",\"Action\":\"publish\","
                           "\"NotResource\":\"topic/${attribute.none}\"}",
     PUBLISH, "c", false},

    /* Kinds and ARNs. */
    {"connect asks for the client id", ALLOW("connect", "client/pump-?"), CONNECT, "pump-1", true},
    {"a topic is no client", ALLOW("connect", "topic/pump-1"), CONNECT, "pump-1", false},
    {"region and account are not compared", ALLOW("iot:Connect", "arn:aws-cn:iot:*:*:client/a"),
     CONNECT, "a", true},
    {"a star for region and account", ALLOW("iot:Connect", "arn:aws:iot:*:client/a"), CONNECT, "a",
     true},
    {"a star for all that follows", ALLOW("iot:Publish", "arn:aws:iot:*"), PUBLISH, "a", true},
    {"a star for the resource", ALLOW("iot:Publish", ARN "*"), PUBLISH, "a", true},
    {"topic* is topics and filters: the topic", ALLOW("iot:*", ARN "topic*"), PUBLISH, "a", true},
    {"topic* is topics and filters: the filter", ALLOW("iot:*", ARN "topic*"), SUBSCRIBE, "a",
     true},
    {"topic* is no client", ALLOW("iot:*", ARN "topic*"), CONNECT, "a", false},
    {"a star that ends in the kind or behind it: behind", ALLOW("iot:*", ARN "t*c/a"), PUBLISH,
     "x/c/a", true},
    {"a star that ends in the kind or behind it: in it", ALLOW("iot:*", ARN "t*c/a"), PUBLISH, "a",
     true},
    {"a star that ends in the kind or behind it: neither", ALLOW("iot:*", ARN "t*c/a"), PUBLISH,
     "b", false},
    {"a resource of another kind means nothing", ALLOW("iot:*", ARN "thing/a"), PUBLISH, "a",
     false},
    {"a colon in a topic", ALLOW("iot:*", ARN "topic/a:b"), PUBLISH, "a:b", true},
    {"an ARN of another service", ALLOW("iot:*", "arn:aws:s3:::*"), PUBLISH, "a", false},

    /* Wildcards. */
    {"a prefix of more than eight bytes", ALLOW("publish", "topic/measurements/*"), PUBLISH,
     "measurements/1", true},
    {"and one that differs behind the eighth", ALLOW("publish", "topic/measurements/*"), PUBLISH,
     "measuremenTs/1", false},
    {"a run may be empty", ALLOW("publish", "topic/a/*"), PUBLISH, "a/", true},
    {"a short resource is no prefix", ALLOW("publish", "topic/abc*"), PUBLISH, "ab", false},
    {"a suffix", ALLOW("publish", "topic/*/x"), PUBLISH, "a/b/x", true},
    {"a suffix that overlaps the front", ALLOW("publish", "topic/ab*ba"), PUBLISH, "aba", false},
    {"three chunks", ALLOW("publish", "topic/a*b*c"), PUBLISH, "a-b-b-c", true},
    {"three chunks in the wrong order", ALLOW("publish", "topic/a*b*c*d"), PUBLISH, "a-c-b-d",
     false},
    {"runs beside each other are one", ALLOW("publish", "topic/a***b"), PUBLISH, "ab", true},
    {"? and * together", ALLOW("publish", "topic/?*?"), PUBLISH, "a", false},
    {"? and * together, long enough", ALLOW("publish", "topic/?*?"), PUBLISH, "ab", true},
    {"? in a middle chunk", ALLOW("publish", "topic/*a?c*"), PUBLISH, "xxabxabcx", true},
    {"the empty topic", ALLOW("publish", "topic/*"), PUBLISH, "", true},

    /* Variables. */
    {"the device", ALLOW("publish", "topic/${device}/up"), PUBLISH, "pump-1/up", true},
    {"tenant and registry", ALLOW("publish", "topic/${tenant}/${registry}/*"), PUBLISH,
     "acme/plant/x", true},
    {"an attribute", ALLOW("publish", "topic/${attribute.zone}"), PUBLISH, "north", true},
    {"AWS's name of the thing", ALLOW("publish", "topic/${iot:Connection.Thing.ThingName}"),
     PUBLISH, "pump-1", true},
    {"AWS's attribute", ALLOW("publish", "topic/${iot:Connection.Thing.Attributes[zone]}"), PUBLISH,
     "north", true},
    {"AWS's client id", ALLOW("iot:Connect", ARN "client/${iot:ClientId}"), CONNECT, "c?*1", true},
    {"a client id with wildcards is literal", ALLOW("iot:Connect", ARN "client/${iot:ClientId}"),
     CONNECT, "cx--1", false},
    {"an attribute with a star is literal", ALLOW("publish", "topic/${attribute.wild}"), PUBLISH,
     "a", false},
    {"and matches itself", ALLOW("publish", "topic/${attribute.wild}"), PUBLISH, "*", true},
    {"a Deny by a literal star",
     ALLOW("publish", "*") "," DENY("publish", "topic/${attribute.wild}"), PUBLISH, "a", true},
    {"an attribute that is not there", ALLOW("publish", "topic/${attribute.none}*"), PUBLISH, "a",
     false},
    {"nor the text itself", ALLOW("publish", "topic/${attribute.none}"), PUBLISH,
     "${attribute.none}", false},
    {"an empty attribute is not there", ALLOW("publish", "topic/a${attribute.empty}"), PUBLISH, "a",
     false},
    {"a Deny without a value does not deny",
     ALLOW("publish", "*") "," DENY("publish", "topic/${attribute.none}"), PUBLISH, "a", true},
    {"another resource of the same statement still counts",
     "{\"Effect\":\"Allow\",\"Action\":\"publish\",\"Resource\":[\"topic/${attribute.none}\","
     "\"topic/b\"]}",
     PUBLISH, "b", true},
    {"a variable of AWS's that has no value here",
     ALLOW("publish", "topic/${iot:Certificate.Subject.CommonName}"), PUBLISH, "a", false},
    {"${*} is a star", ALLOW("publish", "topic/${*}"), PUBLISH, "*", true},
    {"${*} is no wildcard", ALLOW("publish", "topic/${*}"), PUBLISH, "a", false},
    {"$(?) as AWS's guide prints it", ALLOW("publish", "topic/$(?)"), PUBLISH, "?", true},
    {"${$} is a dollar", ALLOW("publish", "topic/${$}{device}"), PUBLISH, "${device}", true},
    {"a dollar alone", ALLOW("publish", "topic/$aws/x"), PUBLISH, "$aws/x", true},
};

static void check_cases(void)
{
    for (size_t i = 0; i < GH_COUNT(cases); i++) {
        char json[2048];
        struct gh_error error = {0};
        snprintf(json, sizeof json, DOCUMENT("%s"), cases[i].statements);
        struct gh_statements *statements = compile_with(json, &values, &error);
        CHECK(cases[i].claim, gh_statements_check(gh_slice_text(json), NULL, NULL) == GH_OK);
        CHECK(error.text[0] != '\0' ? error.text : cases[i].claim, statements != NULL);
        CHECK(cases[i].claim,
              gh_statements_allow(statements, cases[i].action, gh_slice_text(cases[i].resource),
                                  NULL) == cases[i].allowed);
        gh_statements_unref(statements);
    }
}

/* --- documents that are refused, and what is said about them --- */

static const struct {
    const char *claim, *json;
    enum gh_error_code code;
    const char *text;
} refused[] = {
    {"no JSON", "{", GH_ERROR_INVALID, "line"},
    {"no object", "[]", GH_ERROR_INVALID, ""},
    {"a member twice", "{\"Statement\":[],\"Statement\":[]}", GH_ERROR_INVALID, ""},
    {"an unknown element", "{\"Principal\":\"*\",\"Statement\":[" ALLOW("*", "*") "]}",
     GH_ERROR_INVALID, "Principal"},
    {"another version", "{\"Version\":\"2020-01-01\",\"Statement\":[" ALLOW("*", "*") "]}",
     GH_ERROR_INVALID, "Version"},
    {"no statement", "{\"Version\":\"2012-10-17\"}", GH_ERROR_INVALID, "Statement"},
    {"an empty list", DOCUMENT(""), GH_ERROR_INVALID, "empty"},
    {"a statement that is a text", DOCUMENT("\"a\""), GH_ERROR_INVALID, "statement 1"},
    {"a condition is refused, not passed over",
     DOCUMENT(ALLOW("*", "*") ",{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\","
                              "\"Condition\":{}}"),
     GH_ERROR_UNSUPPORTED, "statement 2: Condition"},
    {"an effect in small letters",
     DOCUMENT("{\"Effect\":\"allow\",\"Action\":\"*\",\"Resource\":\"*\"}"), GH_ERROR_INVALID,
     "Effect"},
    {"no effect", DOCUMENT("{\"Action\":\"*\",\"Resource\":\"*\"}"), GH_ERROR_INVALID, "Effect"},
    {"no action", DOCUMENT("{\"Effect\":\"Allow\",\"Resource\":\"*\"}"), GH_ERROR_INVALID,
     "Action"},
    {"both actions",
     DOCUMENT("{\"Effect\":\"Allow\",\"Action\":\"*\",\"NotAction\":\"*\",\"Resource\":\"*\"}"),
     GH_ERROR_INVALID, "Action"},
    {"no resource", DOCUMENT("{\"Effect\":\"Allow\",\"Action\":\"*\"}"), GH_ERROR_INVALID,
     "Resource"},
    {"an action that is none", DOCUMENT(ALLOW("publsh", "*")), GH_ERROR_INVALID, "publsh"},
    {"an action that is a number",
     DOCUMENT("{\"Effect\":\"Allow\",\"Action\":[1],\"Resource\":\"*\"}"), GH_ERROR_INVALID,
     "Action"},
    {"an empty list of resources",
     DOCUMENT("{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":[]}"), GH_ERROR_INVALID,
     "Resource"},
    {"a resource without a kind", DOCUMENT(ALLOW("publish", "a/b")), GH_ERROR_INVALID,
     "resource 1"},
    {"an empty resource", DOCUMENT(ALLOW("publish", "")), GH_ERROR_INVALID, "resource 1"},
    {"an ARN that is too short", DOCUMENT(ALLOW("publish", "arn:aws:iot:topic/a")),
     GH_ERROR_INVALID, "ARN"},
    {"an ARN without its account", DOCUMENT(ALLOW("publish", "arn:aws:iot:us-east-1:topic/*")),
     GH_ERROR_INVALID, "ARN"},
    {"a variable in the head of an ARN",
     DOCUMENT(ALLOW("publish", "arn:aws:iot:${tenant}:1:topic/a")), GH_ERROR_INVALID, "last part"},
    {"a variable that is not closed", DOCUMENT(ALLOW("publish", "topic/${device")),
     GH_ERROR_INVALID, "closed"},
    {"a variable without a name", DOCUMENT(ALLOW("publish", "topic/${}")), GH_ERROR_INVALID,
     "name"},
    {"a misspelt variable", DOCUMENT(ALLOW("publish", "topic/${devcie}")), GH_ERROR_INVALID,
     "devcie"},
    {"an attribute without a name", DOCUMENT(ALLOW("publish", "topic/${attribute.}")),
     GH_ERROR_INVALID, "attribute"},
};

static void check_refused(void)
{
    for (size_t i = 0; i < GH_COUNT(refused); i++) {
        struct gh_error error = {0};
        CHECK(refused[i].claim,
              gh_statements_check(gh_slice_text(refused[i].json), NULL, &error) == refused[i].code);
        CHECK(refused[i].claim, error.code == refused[i].code);
        CHECK(error.text, strstr(error.text, refused[i].text) != NULL);
        CHECK(refused[i].claim, compile_with(refused[i].json, &values, &error) == NULL);
        CHECK(error.text, strncmp(error.text, "policy p: ", 10) == 0);
    }
}

static const struct {
    const char *claim, *json, *text; /* NULL: nothing is said */
} warned[] = {
    {"a good document", DOCUMENT(ALLOW("publish", "topic/${device}/*")), NULL},
    {"all of AWS's", DOCUMENT(ALLOW("iot:Connect", ARN "client/${iot:ClientId}")), NULL},
    {"subscribe with topic/", DOCUMENT(ALLOW("subscribe", "topic/a")), "subscribe needs"},
    {"receive with topicfilter/", DOCUMENT(ALLOW("iot:Receive", ARN "topicfilter/a")),
     "receive needs"},
    {"MQTT wildcards in a topic", DOCUMENT(ALLOW("publish", "topic/a/#")), "no wildcards"},
    {"MQTT wildcards in a Deny", DOCUMENT(DENY("subscribe", "filter/a/#")), "same letters"},
    {"a Deny that a wider filter passes", DOCUMENT(DENY("subscribe", "filter/a/*")),
     "wider filter"},
    {"closed by a Deny on receive",
     DOCUMENT(DENY("subscribe", "filter/a/*") "," DENY("receive", "topic/a/*")), NULL},
    {"a variable that never has a value",
     DOCUMENT(ALLOW("publish", "topic/${aws:PrincipalTag/site}")), "never has a value"},
    {"variables without the version", "{\"Statement\":" ALLOW("publish", "topic/${device}") "}",
     "2012-10-17"},
    {"an action that is not for devices", DOCUMENT(ALLOW("iot:GetThingShadow", ARN "thing/a")),
     "without effect"},
    {"everything to everybody", DOCUMENT(ALLOW("*", "*")), "everything"},
};

static void check_warned(void)
{
    static struct gh_statement_report report;
    for (size_t i = 0; i < GH_COUNT(warned); i++) {
        bool said = false;
        REQUIRE(warned[i].claim,
                gh_statements_check(gh_slice_text(warned[i].json), &report, NULL) == GH_OK);
        for (size_t w = 0; w < report.warnings_count; w++)
            said |=
                warned[i].text != NULL && strstr(report.warnings[w].text, warned[i].text) != NULL;
        CHECK(report.warnings_count > 0 ? report.warnings[0].text : warned[i].claim,
              warned[i].text == NULL ? report.warnings_count == 0 : said);
    }
}

/* --- limits --- */

static char *repeat(const char *before, const char *one, size_t count, const char *after)
{
    char *text = malloc(strlen(before) + count * (strlen(one) + 1) + strlen(after) + 1);
    REQUIRE("memory", text != NULL);
    char *at = stpcpy(text, before);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            *at++ = ',';
        at = stpcpy(at, one);
    }
    strcpy(at, after);
    return text;
}

static enum gh_error_code check_freed(char *json)
{
    enum gh_error_code code = gh_statements_check(gh_slice_text(json), NULL, NULL);
    free(json);
    return code;
}

static void check_limits(void)
{
    const char *one = ALLOW("publish", "topic/a");
    char long_resource[GH_STATEMENT_RESOURCE_BYTES_MAX + 64];
    CHECK("100 statements",
          check_freed(repeat("{\"Statement\":[", one, GH_STATEMENT_STATEMENTS_MAX, "]}")) == GH_OK);
    CHECK("101 statements",
          check_freed(repeat("{\"Statement\":[", one, GH_STATEMENT_STATEMENTS_MAX + 1, "]}")) ==
              GH_ERROR_LIMIT);
    CHECK("100 resources",
          check_freed(repeat("{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":[",
                             "\"topic/a\"", GH_STATEMENT_LIST_MAX, "]}}")) == GH_OK);
    CHECK("101 resources",
          check_freed(repeat("{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":[",
                             "\"topic/a\"", GH_STATEMENT_LIST_MAX + 1, "]}}")) == GH_ERROR_LIMIT);
    CHECK("a document over its size",
          check_freed(repeat("{\"Id\":\"", "aaaaaaaaaaaaaaaa", 1300,
                             "\",\"Statement\":" ALLOW("publish", "topic/a") "}")) ==
              GH_ERROR_INVALID);
    for (size_t size = GH_STATEMENT_RESOURCE_BYTES_MAX; size <= GH_STATEMENT_RESOURCE_BYTES_MAX + 1;
         size++) {
        char json[sizeof long_resource + 128];
        memset(long_resource, 'a', size);
        memcpy(long_resource, "topic/", 6);
        long_resource[size] = '\0';
        snprintf(json, sizeof json,
                 DOCUMENT("{\"Effect\":\"Allow\",\"Action\":\"publish\","
                          "\"Resource\":\"%s\"}"),
                 long_resource);
        CHECK("the longest resource and one over it",
              (gh_statements_check(gh_slice_text(json), NULL, NULL) == GH_OK) ==
                  (size == GH_STATEMENT_RESOURCE_BYTES_MAX));
    }
}

/* --- what a decision says about itself --- */

static void check_reasons(void)
{
    const struct gh_statement_document documents[] = {
        {GH_SLICE_INIT("first"),
         GH_SLICE_INIT(DOCUMENT(ALLOW("publish", "topic/a") "," ALLOW("receive", "topic/*")))},
        {GH_SLICE_INIT("second"),
         GH_SLICE_INIT(DOCUMENT("{\"Sid\":\"keep-out\",\"Effect\":\"Deny\",\"Action\":\"receive\","
                                "\"Resource\":[\"topic/x\",\"topic/${attribute.none}\"]}"))},
    };
    struct gh_policy_reason why;
    struct gh_error error = {0};
    size_t count = 0;
    struct gh_statements *s =
        gh_statements_compile(documents, GH_COUNT(documents), &values, &error);
    REQUIRE("two documents", s != NULL);
    CHECK("allowed", gh_statements_allow(s, RECEIVE, GH_SLICE("a"), &why));
    CHECK("by the first, statement 2", why.outcome == GH_POLICY_ALLOW &&
                                           gh_slice_equal(why.document, GH_SLICE("first")) &&
                                           why.statement == 2 && why.sid.size == 0);
    CHECK("denied", !gh_statements_allow(s, RECEIVE, GH_SLICE("x"), &why));
    CHECK("by the second, by its name",
          why.outcome == GH_POLICY_DENY && gh_slice_equal(why.document, GH_SLICE("second")) &&
              why.statement == 1 && gh_slice_equal(why.sid, GH_SLICE("keep-out")));
    CHECK("not allowed", !gh_statements_allow(s, PUBLISH, GH_SLICE("b"), &why));
    CHECK("by nothing", why.outcome == GH_POLICY_NO_MATCH && why.document.size == 0);
    const struct gh_statement_unresolved *rows = gh_statements_unresolved(s, &count);
    CHECK("what had no value is told",
          count == 1 && gh_slice_equal(rows[0].variable, GH_SLICE("attribute.none")) &&
              gh_slice_equal(rows[0].document, GH_SLICE("second")) && rows[0].statement == 1 &&
              rows[0].denies);
    CHECK("an attribute makes it personal", gh_statements_personal(s));
    gh_statements_unref(s);

    struct gh_statement_variables strict = values;
    strict.deny_unresolved = true;
    s = gh_statements_compile(documents, GH_COUNT(documents), &strict, &error);
    REQUIRE("strict", s != NULL);
    CHECK("a Deny without a value denies when told so",
          !gh_statements_allow(s, RECEIVE, GH_SLICE("a"), &why) && why.outcome == GH_POLICY_DENY);
    gh_statements_unref(s);

    s = compile_with(DOCUMENT(ALLOW("publish", "topic/${tenant}/${registry}")), &values, &error);
    CHECK("tenant and registry are the same for all", s != NULL && !gh_statements_personal(s));
    gh_statements_unref(s);
    s = gh_statements_compile(NULL, 0, &values, &error);
    CHECK("no documents deny", s != NULL && !gh_statements_allow(s, CONNECT, GH_SLICE("a"), NULL));
    gh_statements_unref(s);
    CHECK("nothing denies", !gh_statements_allow(NULL, CONNECT, GH_SLICE("a"), &why) &&
                                why.outcome == GH_POLICY_NO_MATCH);
    gh_statements_unref(NULL);
}

/* AWS's ${ without the version is text. */
static void check_versions(void)
{
    struct gh_error error = {0};
    struct gh_statements *s = compile_with(
        "{\"Version\":\"2008-10-17\",\"Statement\":" ALLOW("publish", "topic/${device}") "}",
        &values, &error);
    REQUIRE("the old version", s != NULL);
    CHECK("${device} is itself", gh_statements_allow(s, PUBLISH, GH_SLICE("${device}"), NULL));
    CHECK("and no variable", !gh_statements_allow(s, PUBLISH, GH_SLICE("pump-1"), NULL));
    gh_statements_unref(s);
}

/* --- the matcher against the plainest one there is --- */

static bool slow_match(const char *pattern, const char *text)
{
    if (*pattern == '\0')
        return *text == '\0';
    if (*pattern == '*')
        return slow_match(pattern + 1, text) || (*text != '\0' && slow_match(pattern, text + 1));
    return *text != '\0' && (*pattern == '?' || *pattern == *text) &&
           slow_match(pattern + 1, text + 1);
}

static void check_against_slow(void)
{
    static const char letters[] = "ab*?";
    unsigned wrong = 0;
    for (unsigned p = 0; p < 4096; p++) { /* every pattern of six letters, some ends cut off */
        char pattern[8], json[256];
        size_t size = 1 + p % 6;
        for (size_t i = 0; i < size; i++)
            pattern[i] = letters[(p >> (2 * i)) & 3];
        pattern[size] = '\0';
        snprintf(json, sizeof json,
                 DOCUMENT("{\"Effect\":\"Allow\",\"Action\":\"publish\","
                          "\"Resource\":\"topic/%s\"}"),
                 pattern);
        struct gh_statements *s = compile_with(json, &values, NULL);
        REQUIRE(pattern, s != NULL);
        for (unsigned t = 0; t < 128; t++) { /* every text of a and b up to six letters */
            char text[8];
            size_t length = t % 7;
            for (size_t i = 0; i < length; i++)
                text[i] = (t >> i) & 1 ? 'b' : 'a';
            text[length] = '\0';
            wrong += gh_statements_allow(s, PUBLISH, gh_slice(text, length), NULL) !=
                     slow_match(pattern, text);
        }
        gh_statements_unref(s);
    }
    CHECK("every pattern decides as the plain matcher does", wrong == 0);
}

/* Many runs over a long topic that nearly fits: linear, or this never ends. */
static void check_bounded(void)
{
    enum { TOPIC = 65535 };
    char json[1400], *topic = malloc(TOPIC);
    REQUIRE("memory", topic != NULL);
    char *at = stpcpy(json, "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"publish\","
                            "\"Resource\":\"topic/");
    for (int i = 0; i < 250; i++)
        at = stpcpy(at, "*aa");
    strcpy(at, "*b*\"}}");
    memset(topic, 'a', TOPIC);
    struct gh_statements *s = compile_with(json, &values, NULL);
    REQUIRE("many runs", s != NULL);
    for (int i = 0; i < 20; i++)
        CHECK("no match, at once", !gh_statements_allow(s, PUBLISH, gh_slice(topic, TOPIC), NULL));
    topic[TOPIC - 1] = 'b';
    CHECK("a match", gh_statements_allow(s, PUBLISH, gh_slice(topic, TOPIC), NULL));
    gh_statements_unref(s);
    free(topic);
}

/* --- many patterns, which are looked up by their letters --- */

static void text_draw(uint32_t *seed, const char *letters, size_t size, char *out)
{
    for (size_t i = 0; i < size; i++) {
        *seed = *seed * 1103515245u + 12345u;
        out[i] = letters[*seed / 65536u % strlen(letters)];
    }
    out[size] = '\0';
}

static void check_many(void)
{
    enum { ROUNDS = 60, PATTERNS = 40, TEXTS = 200 };
    char patterns[PATTERNS][16], json[4096], text[16];
    uint32_t seed = 3;
    size_t wrong = 0, allowed = 0;
    for (size_t round = 0; round < ROUNDS; round++) {
        size_t at = 0;
        for (size_t i = 0; i < PATTERNS; i++) {
            text_draw(&seed, "aabb/*?", 3 + seed % 11, patterns[i]);
            at += (size_t)snprintf(json + at, sizeof json - at, "%s\"topic/%s\"",
                                   i == 0 ? "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":"
                                            "\"publish\",\"Resource\":["
                                          : ",",
                                   patterns[i]);
        }
        snprintf(json + at, sizeof json - at, "]}}");
        struct gh_statements *s = compile_with(json, &values, NULL);
        REQUIRE("many patterns", s != NULL);
        for (size_t i = 0; i < TEXTS; i++) {
            bool slow = false;
            text_draw(&seed, "aab/", 1 + seed / 7 % 12, text);
            for (size_t k = 0; k < PATTERNS && !slow; k++)
                slow = slow_match(patterns[k], text);
            wrong += slow != gh_statements_allow(s, PUBLISH, gh_slice_text(text), NULL);
            allowed += slow;
        }
        gh_statements_unref(s);
    }
    CHECK("many patterns decide as one by one", wrong == 0);
    CHECK("some are allowed, some not",
          allowed > ROUNDS * TEXTS / 10 && allowed < ROUNDS * TEXTS / 10 * 9);
}

/* One value, many threads: for the thread sanitizer. */
static void *ask(void *shared)
{
    struct gh_statements *s = gh_statements_ref(shared);
    for (int i = 0; i < 1000; i++)
        CHECK("every thread gets the same answer",
              gh_statements_allow(s, PUBLISH, GH_SLICE("pump-1/x"), NULL));
    gh_statements_unref(s);
    return NULL;
}

static void check_threads(void)
{
    pthread_t threads[4];
    struct gh_statements *s =
        compile_with(DOCUMENT(ALLOW("publish", "topic/${device}/*")), &values, NULL);
    for (size_t i = 0; i < GH_COUNT(threads); i++)
        REQUIRE("a thread", pthread_create(&threads[i], NULL, ask, s) == 0);
    for (size_t i = 0; i < GH_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    gh_statements_unref(s);
}

static void check_names(void)
{
    enum gh_device_action action;
    for (size_t i = 0; i < GH_DEVICE_ACTION_COUNT; i++)
        CHECK("every action is found by its name",
              gh_device_action_find(gh_slice_text(gh_device_action_name((enum gh_device_action)i)),
                                    &action) &&
                  action == (enum gh_device_action)i);
    CHECK("and by AWS's",
          gh_device_action_find(GH_SLICE("iot:retainpublish"), &action) && action == RETAIN);
    CHECK("what is none", !gh_device_action_find(GH_SLICE("*"), &action));
    CHECK("outcomes have names", strcmp(gh_policy_outcome_name(GH_POLICY_DENY), "deny") == 0);
}

int main(void)
{
    check_cases();
    check_refused();
    check_warned();
    check_limits();
    check_reasons();
    check_versions();
    check_against_slow();
    check_bounded();
    check_many();
    check_threads();
    check_names();
    return check_report();
}
