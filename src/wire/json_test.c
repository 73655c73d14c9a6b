#include "tests/check.h"
#include "wire/json.h"
#include <string.h>

/* RFC 8259 by section, and what we refuse beyond it. */
static const struct {
    const char *claim;
    struct gh_slice text;
    const char *error; /* part of the error text; NULL when the text is taken */
    const char *written;
} texts[] = {
    {"an object (§4)", GH_SLICE_INIT(" {\"b\" : 1 , \"a\":[ true,null ]}\n"), NULL,
     "{\"b\":1,\"a\":[true,null]}"},
    {"an empty object", GH_SLICE_INIT("{}"), NULL, "{}"},
    {"an empty list", GH_SLICE_INIT("[]"), NULL, "[]"},
    {"a scalar is a value (§2)", GH_SLICE_INIT("\"x\""), NULL, "\"x\""},
    {"the largest integer", GH_SLICE_INIT("9223372036854775807"), NULL, "9223372036854775807"},
    {"the smallest integer", GH_SLICE_INIT("-9223372036854775808"), NULL, "-9223372036854775808"},
    {"a real number stays short", GH_SLICE_INIT("[20.1,0.1,1e300,1.0,-0.0]"), NULL,
     "[20.1,0.1,1e+300,1.0,-0.0]"},
    {"a real number of 17 digits", GH_SLICE_INIT("0.30000000000000004"), NULL,
     "0.30000000000000004"},
    {"escapes (§7)", GH_SLICE_INIT("\"\\u00e9\\n\\\"\\\\\\/\\u0001\\u007f\""), NULL,
     "\"\xc3\xa9\\n\\\"\\\\/\\u0001\\u007f\""},
    {"a surrogate pair (§7)", GH_SLICE_INIT("\"\\ud83d\\ude00\""), NULL, "\"\xf0\x9f\x98\x80\""},
    {"brackets in a text do not nest",
     GH_SLICE_INIT("\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[{{{{{{\""), NULL,
     "\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[{{{{{{\""},
    {"nothing", GH_SLICE_INIT(""), "ends too early", NULL},
    {"a second value", GH_SLICE_INIT("{}{}"), "after the value", NULL},
    {"a byte after the value", GH_SLICE_INIT("[1]x"), "after the value", NULL},
    {"a NUL after the value", GH_SLICE_INIT("[1]\0"), "after the value", NULL},
    {"a member twice", GH_SLICE_INIT("{\"alg\":1,\"alg\":2}"), "twice", NULL},
    {"the same member twice by escape", GH_SLICE_INIT("{\"alg\":1,\"\\u0061lg\":2}"), "twice",
     NULL},
    {"a member twice, deep inside", GH_SLICE_INIT("[{\"a\":{\"b\":1,\"b\":1}}]"), "twice", NULL},
    {"an escaped NUL in a text", GH_SLICE_INIT("\"a\\u0000b\""), "NUL", NULL},
    {"an escaped NUL in a name", GH_SLICE_INIT("{\"a\\u0000b\":1}"), "NUL", NULL},
    {"a raw NUL", GH_SLICE_INIT("\"a\0b\""), "not JSON", NULL},
    {"a raw control character (§7)", GH_SLICE_INIT("\"a\nb\""), "not JSON", NULL},
    {"a lone surrogate", GH_SLICE_INIT("\"\\ud800\""), "not JSON", NULL},
    {"a surrogate in bytes", GH_SLICE_INIT("\"\xed\xa0\x80\""), "UTF-8", NULL},
    {"an overlong byte sequence", GH_SLICE_INIT("\"\xc0\xaf\""), "UTF-8", NULL},
    {"a byte order mark (§8.1)", GH_SLICE_INIT("\xef\xbb\xbf{}"), "not JSON", NULL},
    {"an integer beyond 64 bits", GH_SLICE_INIT("9223372036854775808"), "range", NULL},
    {"a real number beyond the range", GH_SLICE_INIT("1e400"), "range", NULL},
    {"a leading zero (§6)", GH_SLICE_INIT("01"), "JSON", NULL},
    {"NaN", GH_SLICE_INIT("NaN"), "not JSON", NULL},
    {"a trailing comma", GH_SLICE_INIT("[1,]"), "not JSON", NULL},
    {"single quotes", GH_SLICE_INIT("{'a':1}"), "not JSON", NULL},
    {"a comment", GH_SLICE_INIT("[1/**/]"), "not JSON", NULL},
};

static void reads_and_writes(void)
{
    for (size_t i = 0; i < GH_COUNT(texts); i++) {
        struct gh_error error = {0};
        struct gh_buffer out;
        gh_buffer_init(&out, 1024);
        json_t *value = gh_json_read(texts[i].text, &error);
        CHECK(texts[i].claim, (value != NULL) == (texts[i].error == NULL));
        if (value == NULL) {
            CHECK(texts[i].claim, error.code == GH_ERROR_INVALID);
            CHECK(texts[i].claim, strstr(error.text, texts[i].error) != NULL);
        } else if (texts[i].written != NULL) {
            CHECK(texts[i].claim, gh_json_write(value, &out));
            CHECK(texts[i].claim,
                  gh_slice_equal(gh_buffer_slice(&out), gh_slice_text(texts[i].written)));
        }
        json_decref(value);
        gh_buffer_deinit(&out);
    }
}

static void depth_and_size_are_bounded(void)
{
    uint8_t text[2 * (GH_JSON_DEPTH_MAX + 1)];
    struct gh_error error;
    for (size_t depth = GH_JSON_DEPTH_MAX; depth <= GH_JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        json_t *value = gh_json_read(gh_slice(text, 2 * depth), &error);
        CHECK("32 levels pass, 33 do not", (value != NULL) == (depth == GH_JSON_DEPTH_MAX));
        json_decref(value);
    }
    json_t *value = gh_json_read_limited(GH_SLICE("[1]"), 3, &error);
    CHECK("exactly the limit passes", value != NULL);
    json_decref(value);
    CHECK("one byte over does not", gh_json_read_limited(GH_SLICE("[1]"), 2, &error) == NULL);
    CHECK("no error wanted", gh_json_read(GH_SLICE("{"), NULL) == NULL);

    CHECK("the error does not quote the text",
          gh_json_read(GH_SLICE("{\"password\":\"sesame\" \"x\"}"), &error) == NULL &&
              strstr(error.text, "sesame") == NULL && strstr(error.text, "x") == NULL);
}

enum member_type { TEXT, U64, I64, BOOL, NUMBER, ARRAY, OBJECT };

static const struct {
    const char *claim;
    enum member_type type;
    const char *key;
    unsigned rule;
    const char *error; /* NULL when it is taken */
    bool written;      /* whether *out has a value then */
} members[] = {
    {"a text", TEXT, "text", GH_JSON_REQUIRED, NULL, true},
    {"an empty text", TEXT, "empty", GH_JSON_REQUIRED, NULL, true},
    {"a number is no text", TEXT, "one", GH_JSON_OPTIONAL, "\"one\" is not a text", false},
    {"a text that must be there", TEXT, "none", GH_JSON_REQUIRED, "\"none\" is missing", false},
    {"a text that need not", TEXT, "none", GH_JSON_OPTIONAL, NULL, false},
    {"null is absent", TEXT, "null", GH_JSON_OPTIONAL, NULL, false},
    {"null is missing", TEXT, "null", GH_JSON_REQUIRED, "\"null\" is missing", false},
    {"a whole number", U64, "one", GH_JSON_REQUIRED, NULL, true},
    {"a negative one", U64, "minus", GH_JSON_REQUIRED, "whole number from 0", false},
    {"a real number", U64, "real", GH_JSON_REQUIRED, "whole number from 0", false},
    {"digits as text", U64, "digits", GH_JSON_REQUIRED, "whole number from 0", false},
    {"digits as text, where allowed", U64, "digits", GH_JSON_REQUIRED | GH_JSON_OR_TEXT, NULL,
     true},
    {"text that is no number", U64, "text", GH_JSON_OR_TEXT, "whole number from 0", false},
    {"an empty text is no number", U64, "empty", GH_JSON_OR_TEXT, "whole number from 0", false},
    {"a signed number", I64, "minus", GH_JSON_REQUIRED, NULL, true},
    {"a signed number as text", I64, "minus_text", GH_JSON_OR_TEXT, NULL, true},
    {"the smallest as text", I64, "least", GH_JSON_OR_TEXT, NULL, true},
    {"beyond the largest as text", I64, "digits", GH_JSON_OR_TEXT, "a whole number", false},
    {"a lone minus", I64, "dash", GH_JSON_OR_TEXT, "a whole number", false},
    {"true", BOOL, "yes", GH_JSON_REQUIRED, NULL, true},
    {"a text is no bool", BOOL, "text", GH_JSON_OPTIONAL, "true or false", false},
    {"an integer is a number", NUMBER, "one", GH_JSON_REQUIRED, NULL, true},
    {"a text is no number", NUMBER, "digits", GH_JSON_REQUIRED, "a number", false},
    {"a list", ARRAY, "list", GH_JSON_REQUIRED, NULL, true},
    {"an object is no list", ARRAY, "object", GH_JSON_REQUIRED, "a list", false},
    {"an object", OBJECT, "object", GH_JSON_REQUIRED, NULL, true},
    {"a list is no object", OBJECT, "list", GH_JSON_REQUIRED, "an object", false},
};

static bool get_member(const json_t *object, size_t row, bool *written, struct gh_error *error)
{
    struct gh_slice text = {0};
    uint64_t u64 = 77;
    int64_t i64 = 77;
    bool boolean = false, found = false;
    double number = 77;
    json_t *value = NULL;
    const char *key = members[row].key;
    unsigned rule = members[row].rule;

    switch (members[row].type) {
    case TEXT:
        found = gh_json_get_text(object, key, rule, &text, error);
        *written = text.data != NULL;
        break;
    case U64:
        found = gh_json_get_u64(object, key, rule, &u64, error);
        *written = u64 != 77;
        break;
    case I64:
        found = gh_json_get_i64(object, key, rule, &i64, error);
        *written = i64 != 77;
        break;
    case BOOL:
        found = gh_json_get_bool(object, key, rule, &boolean, error);
        *written = boolean;
        break;
    case NUMBER:
        found = gh_json_get_number(object, key, rule, &number, error);
        *written = number != 77;
        break;
    case ARRAY:
        found = gh_json_get_array(object, key, rule, &value, error);
        *written = value != NULL;
        break;
    case OBJECT:
        found = gh_json_get_object(object, key, rule, &value, error);
        *written = value != NULL;
        break;
    }
    return found;
}

static void members_are_typed(void)
{
    struct gh_error error = {0};
    json_t *object = gh_json_read(
        GH_SLICE("{\"text\":\"t\",\"empty\":\"\",\"one\":1,\"minus\":-1,\"real\":1.5,\"null\":null,"
                 "\"yes\":true,"
                 "\"digits\":\"18446744073709551615\",\"minus_text\":\"-7\",\"dash\":\"-\","
                 "\"least\":\"-9223372036854775808\",\"list\":[],\"object\":{}}"),
        &error);
    REQUIRE("the sample is JSON", object != NULL);
    for (size_t i = 0; i < GH_COUNT(members); i++) {
        bool written = false;
        error.text[0] = '\0';
        CHECK(members[i].claim,
              get_member(object, i, &written, &error) == (members[i].error == NULL));
        CHECK(members[i].claim, written == members[i].written);
        if (members[i].error != NULL)
            CHECK(members[i].claim, strstr(error.text, members[i].error) != NULL);
    }

    uint64_t u64 = 5;
    struct gh_slice text = {0};
    CHECK("forgiving: another type", !gh_json_u64(object, "text", &u64) && u64 == 5);
    CHECK("forgiving: absent", !gh_json_text(object, "none", &text));
    CHECK("forgiving: there",
          gh_json_text(object, "text", &text) && gh_slice_equal(text, GH_SLICE("t")));
    CHECK("forgiving: no object", !gh_json_text(NULL, "none", &text));
    CHECK("strict: no object", !gh_json_get_text(NULL, "none", GH_JSON_OPTIONAL, &text, &error));

    static const char *const known[] = {"text", "one"};
    CHECK("a member too many is named",
          !gh_json_only(object, known, 2, &error) && strstr(error.text, "\"empty\"") != NULL);
    json_decref(object);
}

static void writing_fails_as_a_whole(void)
{
    struct gh_buffer out;
    gh_buffer_init(&out, 6);
    json_t *value = json_pack("{s:i}", "a", 1);
    CHECK("7 bytes in 6", !gh_json_write(value, &out) && out.overflow);
    json_decref(value);
    gh_buffer_clear(&out);
    CHECK("NULL is refused", !gh_json_write(NULL, &out));
    gh_buffer_deinit(&out);

    json_t *deep = json_array();
    for (int i = 0; i < 2 * GH_JSON_DEPTH_MAX; i++) {
        json_t *outer = json_array();
        json_array_append_new(outer, deep);
        deep = outer;
    }
    gh_buffer_init(&out, 1024);
    CHECK("a value nested too deep is refused", !gh_json_write(deep, &out));
    json_decref(deep);
    gh_buffer_deinit(&out);

    json_t *text = gh_json_new_text(GH_SLICE("\xff"));
    CHECK("a text that is not UTF-8", text == NULL);
    text = gh_json_new_text(gh_slice(NULL, 0));
    CHECK("an empty text", json_is_string(text) && gh_json_slice(text).size == 0);
    json_decref(text);
}

int main(void)
{
    reads_and_writes();
    depth_and_size_are_bounded();
    members_are_typed();
    writing_fails_as_a_whole();
    return check_report();
}
