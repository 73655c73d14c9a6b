#include "dialect/google/message_internal.h"
#include "tests/check.h"

/* A message with a field of every type. */
static const struct google_enum_value level_values[] = {{"UNSET", 0}, {"NONE", 10}, {"DEBUG", 40}};
static const struct google_enum levels = GOOGLE_VALUES(level_values);
static const struct google_field inner_fields[] = {
    {.name = "pubsubTopicName"},
    {.name = "pushEndpoint", .type = GOOGLE_REFUSED},
};
static const struct google_message inner = GOOGLE_FIELDS(inner_fields);
static const struct google_field fields[] = {
    {.name = "id"},
    {.name = "binaryData", .type = GOOGLE_BYTES},
    {.name = "blocked", .type = GOOGLE_BOOL},
    {.name = "versionToUpdate", .type = GOOGLE_NUMBER},
    {.name = "logLevel", .type = GOOGLE_ENUM, .values = &levels},
    {.name = "expirationTime", .type = GOOGLE_TIME},
    {.name = "messageRetentionDuration", .type = GOOGLE_DURATION},
    {.name = "metadata", .type = GOOGLE_TEXT_MAP},
    {.name = "config", .type = GOOGLE_MESSAGE, .message = &inner},
    {.name = "routes", .type = GOOGLE_MESSAGE, .message = &inner, .repeated = true},
    {.name = "lastEventTime", .output = true},
    {.name = "filter", .type = GOOGLE_REFUSED},
};
static const struct google_message message = GOOGLE_FIELDS(fields);

static const struct {
    const char *claim, *in;
    const char *out; /* NULL: refused */
    enum gh_error_code code;
    const char *text; /* how the refusal begins */
} cases[] = {
    {"an empty message", "{}", "{}", GH_OK, NULL},
    {"camelCase", "{\"binaryData\":\"aGk=\"}", "{\"binaryData\":\"hi\"}", GH_OK, NULL},
    {"snake_case", "{\"binary_data\":\"aGk=\"}", "{\"binaryData\":\"hi\"}", GH_OK, NULL},
    {"nested snake_case", "{\"config\":{\"pubsub_topic_name\":\"t\"}}",
     "{\"config\":{\"pubsubTopicName\":\"t\"}}", GH_OK, NULL},
    {"both spellings", "{\"binaryData\":\"\",\"binary_data\":\"\"}", NULL, GH_ERROR_INVALID,
     "binaryData: given in both"},
    {"an unknown field", "{\"colour\":1}", NULL, GH_ERROR_INVALID, "colour: there is no such"},
    {"an unknown nested field", "{\"routes\":[{\"colour\":1}]}", NULL, GH_ERROR_INVALID,
     "routes.colour: there is no such"},
    {"other capitals", "{\"Id\":\"x\"}", NULL, GH_ERROR_INVALID, "Id: there is no such"},
    {"null is absent", "{\"id\":null,\"routes\":null}", "{}", GH_OK, NULL},
    {"output only", "{\"lastEventTime\":\"whatever\",\"last_event_time\":3}", "{}", GH_OK, NULL},

    {"base64 without padding", "{\"binaryData\":\"aGk\"}", "{\"binaryData\":\"hi\"}", GH_OK, NULL},
    {"base64 of the URL alphabet", "{\"binaryData\":\"Pj4-\"}", "{\"binaryData\":\">>>\"}", GH_OK,
     NULL},
    {"base64 of the standard alphabet", "{\"binaryData\":\"Pj4+\"}", "{\"binaryData\":\">>>\"}",
     GH_OK, NULL},
    {"not base64", "{\"binaryData\":\"a!\"}", NULL, GH_ERROR_INVALID,
     "binaryData: it must be base64"},
    {"bytes that are no text", "{\"binaryData\":1}", NULL, GH_ERROR_INVALID,
     "binaryData: it must be"},

    {"a bool", "{\"blocked\":true}", "{\"blocked\":true}", GH_OK, NULL},
    {"a bool as text", "{\"blocked\":\"true\"}", NULL, GH_ERROR_INVALID,
     "blocked: it must be true"},

    {"int64 as text", "{\"versionToUpdate\":\"7\"}", "{\"versionToUpdate\":7}", GH_OK, NULL},
    {"int64 as number", "{\"versionToUpdate\":7}", "{\"versionToUpdate\":7}", GH_OK, NULL},
    {"int64 as real", "{\"versionToUpdate\":7.0}", "{\"versionToUpdate\":7}", GH_OK, NULL},
    {"int64 below zero", "{\"versionToUpdate\":\"-7\"}", "{\"versionToUpdate\":-7}", GH_OK, NULL},
    {"the largest int64", "{\"versionToUpdate\":\"9223372036854775807\"}",
     "{\"versionToUpdate\":9223372036854775807}", GH_OK, NULL},
    {"one more", "{\"versionToUpdate\":\"9223372036854775808\"}", NULL, GH_ERROR_INVALID,
     "versionToUpdate:"},
    {"a fraction", "{\"versionToUpdate\":7.5}", NULL, GH_ERROR_INVALID,
     "versionToUpdate: it must be an integer"},
    {"an empty number", "{\"versionToUpdate\":\"\"}", NULL, GH_ERROR_INVALID, "versionToUpdate:"},
    {"two signs", "{\"versionToUpdate\":\"--7\"}", NULL, GH_ERROR_INVALID, "versionToUpdate:"},

    {"an enum by name", "{\"logLevel\":\"DEBUG\"}", "{\"logLevel\":40}", GH_OK, NULL},
    {"an enum by number", "{\"logLevel\":40}", "{\"logLevel\":40}", GH_OK, NULL},
    {"an enum by a number as text", "{\"logLevel\":\"40\"}", "{\"logLevel\":40}", GH_OK, NULL},
    {"an unknown name", "{\"logLevel\":\"TRACE\"}", NULL, GH_ERROR_INVALID,
     "logLevel: it must be a value"},
    {"an unknown number", "{\"logLevel\":41}", NULL, GH_ERROR_INVALID, "logLevel:"},
    {"an enum below zero", "{\"logLevel\":-1}", NULL, GH_ERROR_INVALID, "logLevel:"},

    {"a time as Node sends it", "{\"expirationTime\":\"2033-05-18T03:33:20.000Z\"}",
     "{\"expirationTime\":2000000000000}", GH_OK, NULL},
    {"a time with an offset", "{\"expirationTime\":\"2033-05-18T05:33:20+02:00\"}",
     "{\"expirationTime\":2000000000000}", GH_OK, NULL},
    {"the beginning of time", "{\"expirationTime\":\"1970-01-01T00:00:00Z\"}",
     "{\"expirationTime\":0}", GH_OK, NULL},
    {"a time as number", "{\"expirationTime\":2000000000}", NULL, GH_ERROR_INVALID,
     "expirationTime:"},

    {"a duration", "{\"messageRetentionDuration\":\"600s\"}",
     "{\"messageRetentionDuration\":600000}", GH_OK, NULL},
    {"a duration with a fraction", "{\"messageRetentionDuration\":\"1.5s\"}",
     "{\"messageRetentionDuration\":1500}", GH_OK, NULL},
    {"a duration in nanoseconds", "{\"messageRetentionDuration\":\"0.000000001s\"}",
     "{\"messageRetentionDuration\":0}", GH_OK, NULL},
    {"a duration in minutes", "{\"messageRetentionDuration\":\"10m\"}", NULL, GH_ERROR_INVALID,
     "messageRet"},
    {"a point without digits", "{\"messageRetentionDuration\":\"1.s\"}", NULL, GH_ERROR_INVALID,
     "messageRet"},
    {"no seconds", "{\"messageRetentionDuration\":\"s\"}", NULL, GH_ERROR_INVALID, "messageRet"},

    {"a map", "{\"metadata\":{\"a_b\":\"c\"}}", "{\"metadata\":{\"a_b\":\"c\"}}", GH_OK, NULL},
    {"a map of numbers", "{\"metadata\":{\"a\":1}}", NULL, GH_ERROR_INVALID,
     "metadata: it must be"},
    {"a list", "{\"routes\":[{},{}]}", "{\"routes\":[{},{}]}", GH_OK, NULL},
    {"a list that is none", "{\"routes\":{}}", NULL, GH_ERROR_INVALID, "routes: it must be a list"},
    {"an object that is none", "{\"config\":[]}", NULL, GH_ERROR_INVALID, "config: it must be"},
    {"no object at all", "[]", NULL, GH_ERROR_INVALID, "the body must be"},

    {"what is not served but empty", "{\"filter\":\"\",\"config\":{\"pushEndpoint\":\"\"}}",
     "{\"config\":{}}", GH_OK, NULL},
    {"what is not served", "{\"filter\":\"x\"}", NULL, GH_ERROR_UNSUPPORTED, "filter"},
    {"what is not served, nested", "{\"config\":{\"pushEndpoint\":\"https://x\"}}", NULL,
     GH_ERROR_UNSUPPORTED, "config.pushEndpoint"},
};

static void check_reading(void)
{
    for (size_t i = 0; i < GH_COUNT(cases); i++) {
        struct gh_error error = {0};
        json_t *in = gh_json_read(gh_slice_text(cases[i].in), &error);
        REQUIRE(cases[i].claim, in != NULL);
        json_t *out = google_message_read(&message, in, &error);
        CHECK(cases[i].claim, (out != NULL) == (cases[i].out != NULL));
        if (out != NULL) {
            struct gh_buffer text;
            gh_buffer_init(&text, 4096);
            CHECK(cases[i].claim, gh_json_write(out, &text));
            CHECK(cases[i].claim,
                  cases[i].out != NULL &&
                      gh_slice_equal(gh_buffer_slice(&text), gh_slice_text(cases[i].out)));
            gh_buffer_deinit(&text);
        } else {
            CHECK(cases[i].claim, error.code == cases[i].code);
            CHECK(cases[i].claim,
                  cases[i].text != NULL &&
                      gh_slice_starts(gh_slice_text(error.text), gh_slice_text(cases[i].text)));
        }
        json_decref(out);
        json_decref(in);
    }
}

static void check_bytes_beyond_text(void)
{
    struct gh_error error;
    json_t *in = json_pack("{s:s}", "binaryData", "AP/+");
    json_t *out = google_message_read(&message, in, &error);
    struct gh_slice bytes = gh_json_slice(json_object_get(out, "binaryData"));
    CHECK("bytes hold NUL and what is not UTF-8",
          gh_slice_equal(bytes, gh_slice("\x00\xff\xfe", 3)));
    json_decref(out);
    json_decref(in);
}

static void check_writing(void)
{
    json_t *out = json_object();
    bool failed = false;
    struct gh_buffer text;
    google_put_text(out, "text", GH_SLICE(""), &failed);
    google_put_bytes(out, "bytes", GH_SLICE(""), &failed);
    google_put_bool(out, "bool", false, &failed);
    google_put_int64(out, "number", 0, &failed);
    google_put_time(out, "time", 0, &failed);
    google_put_enum(out, "enum", &levels, 0, &failed);
    google_put_value(out, "list", json_array(), &failed);
    CHECK("defaults are left out", json_object_size(out) == 0 && !failed);

    google_put_text(out, "text", GH_SLICE("t"), &failed);
    google_put_bytes(out, "bytes", gh_slice("\xfb\xff\xfe\xff", 4), &failed);
    google_put_bool(out, "bool", true, &failed);
    google_put_int64(out, "number", INT64_MAX, &failed);
    google_put_int32(out, "small", 5, &failed);
    google_put_time(out, "time", INT64_C(2000000000123), &failed);
    google_put_seconds(out, "duration", 600, &failed);
    google_put_enum(out, "enum", &levels, 40, &failed);
    gh_buffer_init(&text, 4096);
    CHECK("it can be written", gh_json_write(out, &text) && !failed);
    CHECK("as protobuf writes it",
          gh_slice_equal(gh_buffer_slice(&text),
                         GH_SLICE("{\"text\":\"t\",\"bytes\":\"+//+/w==\",\"bool\":true,"
                                  "\"number\":\"9223372036854775807\",\"small\":5,"
                                  "\"time\":\"2033-05-18T03:33:20.123Z\",\"duration\":\"600s\","
                                  "\"enum\":\"DEBUG\"}")));
    gh_buffer_deinit(&text);
    google_put_text(out, "bad", GH_SLICE("\xff"), &failed);
    CHECK("a text that is not UTF-8 is a failure", failed);
    json_decref(out);
}

int main(void)
{
    check_reading();
    check_bytes_beyond_text();
    check_writing();
    return check_report();
}
