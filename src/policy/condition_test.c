#include "base/time.h"
#include "policy/condition.h"
#include "tests/check.h"
#include "wire/json.h"
#include <string.h>

/* 2026-11-24 is a Tuesday. `why` NULL: it holds. */
static const struct {
    const char *condition, *at, *address, *why;
} decisions[] = {
    {"{\"from\":\"2026-11-24T12:00:00Z\"}", "2026-11-24T12:00:00Z", "", NULL},
    {"{\"from\":\"2026-11-24T12:00:00Z\"}", "2026-11-24T11:59:59Z", "",
     "it holds from 2026-11-24T12:00:00Z"},
    {"{\"until\":\"2026-11-24T12:00:00Z\"}", "2026-11-24T11:59:59Z", "", NULL},
    {"{\"until\":\"2026-11-24T12:00:00Z\"}", "2026-11-24T12:00:00Z", "",
     "it held until 2026-11-24T12:00:00Z"},
    {"{\"until\":\"2026-11-24T12:00:00+02:00\"}", "2026-11-24T11:00:00Z", "",
     "it held until 2026-11-24T12:00:00+02:00"},
    {"{\"hours\":\"06:00-18:00\"}", "2026-11-24T06:00:00Z", "", NULL},
    {"{\"hours\":\"06:00-18:00\"}", "2026-11-24T17:59:59Z", "", NULL},
    {"{\"hours\":\"06:00-18:00\"}", "2026-11-24T18:00:00Z", "",
     "it holds at 06:00-18:00 UTC, and it is 18:00"},
    {"{\"hours\":\"06:00-24:00\"}", "2026-11-24T23:59:59Z", "", NULL},
    {"{\"hours\":\"22:00-06:00\"}", "2026-11-24T23:00:00Z", "", NULL},
    {"{\"hours\":\"22:00-06:00\"}", "2026-11-24T05:59:00Z", "", NULL},
    {"{\"hours\":\"22:00-06:00\"}", "2026-11-24T06:00:00Z", "",
     "it holds at 22:00-06:00 UTC, and it is 06:00"},
    {"{\"weekdays\":[\"mon\",\"tue\"]}", "2026-11-24T00:00:00Z", "", NULL},
    {"{\"weekdays\":[\"mon\",\"wed\"]}", "2026-11-24T00:00:00Z", "",
     "it holds on mon wed, and it is tue"},
    {"{\"weekdays\":[\"sun\"]}", "2026-11-29T23:59:59Z", "", NULL},
    {"{\"weekdays\":[\"thu\"]}", "1970-01-01T00:00:00Z", "", NULL},
    /* The night of Monday goes on until Tuesday's morning. */
    {"{\"weekdays\":[\"mon\"],\"hours\":\"22:00-06:00\"}", "2026-11-24T03:00:00Z", "", NULL},
    {"{\"weekdays\":[\"tue\"],\"hours\":\"22:00-06:00\"}", "2026-11-24T03:00:00Z", "",
     "it holds on tue, and it is mon"},
    {"{\"weekdays\":[\"wed\"],\"hours\":\"22:00-06:00\"}", "1970-01-01T03:00:00Z", "", NULL},
    {"{\"sources\":[\"10.1.0.0/16\"]}", "2026-11-24T00:00:00Z", "10.1.255.255", NULL},
    {"{\"sources\":[\"10.1.0.0/16\"]}", "2026-11-24T00:00:00Z", "10.2.0.0",
     "it does not hold for the address 10.2.0.0"},
    {"{\"sources\":[\"10.1.0.0/16\"]}", "2026-11-24T00:00:00Z", "[::ffff:10.1.2.3]", NULL},
    {"{\"sources\":[\"192.0.2.1\"]}", "2026-11-24T00:00:00Z", "192.0.2.1", NULL},
    {"{\"sources\":[\"192.0.2.1\"]}", "2026-11-24T00:00:00Z", "192.0.2.2",
     "it does not hold for the address 192.0.2.2"},
    {"{\"sources\":[\"0.0.0.0/0\"]}", "2026-11-24T00:00:00Z", "192.0.2.2", NULL},
    {"{\"sources\":[\"0.0.0.0/0\"]}", "2026-11-24T00:00:00Z", "2001:db8::1",
     "it does not hold for the address 2001:db8::1"},
    {"{\"sources\":[\"10.0.0.0/8\",\"2001:db8::/33\"]}", "2026-11-24T00:00:00Z",
     "[2001:db8:7fff::1]", NULL},
    {"{\"sources\":[\"2001:db8::/33\"]}", "2026-11-24T00:00:00Z", "2001:db8:8000::1",
     "it does not hold for the address 2001:db8:8000::1"},
    {"{\"sources\":[\"::/0\"]}", "2026-11-24T00:00:00Z", "",
     "it holds for some addresses, and this one is not known"},
    {"{\"sources\":[\"::/0\"]}", "2026-11-24T00:00:00Z", "unix:/run/x",
     "it holds for some addresses, and this one is not known"},
    /* All members must hold. */
    {"{\"weekdays\":[\"tue\"],\"hours\":\"06:00-18:00\",\"sources\":[\"10.0.0.0/8\"]}",
     "2026-11-24T12:00:00Z", "11.0.0.1", "it does not hold for the address 11.0.0.1"},
    /* What was stored and cannot be read. */
    {"{}", "2026-11-24T00:00:00Z", "", "it cannot be read"},
    {"[]", "2026-11-24T00:00:00Z", "", "it cannot be read"},
    {"{\"expression\":\"true\"}", "2026-11-24T00:00:00Z", "", "it cannot be read"},
    {"{\"hours\":1}", "2026-11-24T00:00:00Z", "", "it holds at  UTC, and it is 00:00"},
    {"{\"sources\":\"10.0.0.1\"}", "2026-11-24T00:00:00Z", "10.0.0.1",
     "it does not hold for the address 10.0.0.1"},
};

static const struct {
    const char *condition;
    bool good;
} texts[] = {
    {"{\"title\":\"at night\",\"hours\":\"22:00-06:00\"}", true},
    {"{\"from\":\"2026-01-01T00:00:00Z\",\"until\":\"2026-01-02T00:00:00Z\"}", true},
    {"{\"weekdays\":[\"mon\",\"sun\"],\"sources\":[\"::1\",\"10.0.0.0/0\",\"::/128\"]}", true},
    {"{}", false},
    {"{\"title\":\"alone\"}", false},
    {"{\"expression\":\"true\"}", false},
    {"[]", false},
    {"{\"from\":\"2026-01-02T00:00:00Z\",\"until\":\"2026-01-02T00:00:00Z\"}", false},
    {"{\"from\":\"yesterday\"}", false},
    {"{\"from\":\"\"}", false},
    {"{\"until\":1}", false},
    {"{\"hours\":\"6:00-18:00\"}", false},
    {"{\"hours\":\"06:00-06:00\"}", false},
    {"{\"hours\":\"24:00-06:00\"}", false},
    {"{\"hours\":\"06:60-07:00\"}", false},
    {"{\"hours\":\"06:00-24:01\"}", false},
    {"{\"hours\":\"\"}", false},
    {"{\"weekdays\":[]}", false},
    {"{\"weekdays\":[\"Mon\"]}", false},
    {"{\"weekdays\":\"mon\"}", false},
    {"{\"sources\":[]}", false},
    {"{\"sources\":[1]}", false},
    {"{\"sources\":[\"10.0.0.0/33\"]}", false},
    {"{\"sources\":[\"::/129\"]}", false},
    {"{\"sources\":[\"10.0.0.0/\"]}", false},
    {"{\"sources\":[\"10.0.0/8\"]}", false},
    {"{\"sources\":[\"example.org\"]}", false},
};

static void check_decision(size_t i)
{
    json_t *condition = gh_json_read(gh_slice_text(decisions[i].condition), NULL);
    struct gh_condition_facts facts = {.address = gh_slice_text(decisions[i].address)};
    char why[GH_CONDITION_WHY_MAX] = "";
    REQUIRE(decisions[i].at, gh_time_parse(gh_slice_text(decisions[i].at), &facts.now_ms));
    bool holds = gh_condition_holds(condition, &facts, why);
    CHECK(decisions[i].condition, holds == (decisions[i].why == NULL));
    if (decisions[i].why != NULL)
        CHECK(why, strcmp(why, decisions[i].why) == 0);
    json_decref(condition);
}

int main(void)
{
    char why[GH_CONDITION_WHY_MAX];
    struct gh_condition_facts facts = {0};
    CHECK("no condition holds", gh_condition_holds(NULL, &facts, why));
    for (size_t i = 0; i < GH_COUNT(decisions); i++)
        check_decision(i);
    for (size_t i = 0; i < GH_COUNT(texts); i++) {
        struct gh_error error = {0};
        json_t *condition = gh_json_read(gh_slice_text(texts[i].condition), NULL);
        REQUIRE(texts[i].condition, condition != NULL);
        enum gh_error_code code = gh_condition_check(condition, &error);
        CHECK(texts[i].condition, code == (texts[i].good ? GH_OK : GH_ERROR_INVALID));
        CHECK(texts[i].condition, texts[i].good || error.text[0] != '\0');
        json_decref(condition);
    }
    return check_report();
}
