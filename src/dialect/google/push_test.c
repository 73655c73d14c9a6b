/* Where messages may be pushed, and what a request says. */
#include "dialect/google/push_internal.h"
#include "tests/check.h"
#include <string.h>

static const struct {
    const char *url;
    enum gh_error_code code;
} urls[] = {
    {"https://one.example/", GH_OK},
    {"https://one.example", GH_OK},
    {"https://ONE.example:443/a?b", GH_OK},
    {"https://two.example:8443/a", GH_OK},
    {"https://one.example?b", GH_OK},
    {"https://two.example/", GH_ERROR_PRECONDITION},
    {"https://one.example:8443/", GH_ERROR_PRECONDITION},
    {"https://x.one.example/", GH_ERROR_PRECONDITION},
    {"https://one.example.evil.test/", GH_ERROR_PRECONDITION},
    {"https://127.0.0.1/", GH_ERROR_PRECONDITION},
    {"https://[::1]/", GH_ERROR_PRECONDITION},
    {"http://one.example/", GH_ERROR_INVALID},
    {"https://", GH_ERROR_INVALID},
    {"https:///a", GH_ERROR_INVALID},
    {"https://evil.test@one.example/", GH_ERROR_INVALID},
    {"https://one.example\\@evil.test/", GH_ERROR_INVALID},
    {"https://one.example /", GH_ERROR_INVALID},
    {"https://one.example/\r\nhost: x", GH_ERROR_INVALID},
    {"file:///etc/passwd", GH_ERROR_INVALID},
    {"", GH_ERROR_INVALID},
};

static void check_hosts(void)
{
    static const char *const hosts[] = {"one.example", "two.example:8443"};
    struct gh_error error = {0};
    const struct gh_google_push_options options = {.hosts = hosts, .hosts_count = GH_COUNT(hosts)};
    for (size_t i = 0; i < GH_COUNT(urls); i++)
        CHECK(urls[i].url,
              google_push_allows(&options, gh_slice_text(urls[i].url), &error) == urls[i].code);
    CHECK("nobody pushes", gh_google_push_allows(NULL, GH_SLICE("https://one.example/"), &error) ==
                               GH_ERROR_PRECONDITION);
}

static bool has_header(const struct google_push_request *request, const char *wanted)
{
    for (const char **each = request->headers; *each != NULL; each++)
        if (strcmp(*each, wanted) == 0)
            return true;
    return false;
}

static void check_requests(void)
{
    static const struct gh_message_attribute attributes[] = {
        {GH_SLICE_INIT("k"), GH_SLICE_INIT("v")},
        {GH_SLICE_INIT("x y"), GH_SLICE_INIT("no name of a field")},
        {GH_SLICE_INIT("evil"), GH_SLICE_INIT("a\r\nb: c")}};
    const struct gh_received received = {.message = {.data = GH_SLICE("hi"),
                                                     .attributes = attributes,
                                                     .attributes_count = GH_COUNT(attributes)},
                                         .id = 7,
                                         .at_ms = 1800000000000,
                                         .attempt = 3};
    struct google_push_message message = {.received = &received,
                                          .subscription = GH_SLICE("projects/p/subscriptions/s"),
                                          .has_attempts = true};
    const struct gh_google_push_options options = {0};
    struct google_push_request request;
    struct gh_error error = {0};
    struct gh_arena arena;
    gh_arena_init(&arena, 1 << 20);
    message.config = GH_SLICE("{\"pushEndpoint\":\"https://x/\"}");
    CHECK("wrapped",
          google_push_request_make(&options, &message, &arena, &request, &error) == GH_OK &&
              strcmp(request.url, "https://x/") == 0 &&
              has_header(&request, "content-type: application/json") &&
              gh_slice_equal(
                  request.body,
                  GH_SLICE("{\"message\":{\"data\":\"aGk=\",\"attributes\":{\"k\":\"v\",\"x y\":"
                           "\"no name of a field\",\"evil\":\"a\\r\\nb: c\"},\"messageId\":\"7\","
                           "\"publishTime\":\"2027-01-15T08:00:00.000Z\",\"message_id\":\"7\","
                           "\"publish_time\":\"2027-01-15T08:00:00.000Z\"},\"subscription\":"
                           "\"projects/p/subscriptions/s\",\"deliveryAttempt\":3}")));
    message.config = GH_SLICE("{\"pushEndpoint\":\"https://x/\",\"noWrapper\":{}}");
    CHECK("bare", google_push_request_make(&options, &message, &arena, &request, &error) == GH_OK &&
                      gh_slice_equal(request.body, GH_SLICE("hi")) &&
                      !has_header(&request, "k: v"));
    message.config =
        GH_SLICE("{\"pushEndpoint\":\"https://x/\",\"noWrapper\":{\"writeMetadata\":true}}");
    CHECK("with what the envelope says",
          google_push_request_make(&options, &message, &arena, &request, &error) == GH_OK &&
              has_header(&request, "k: v") && has_header(&request, "x-goog-pubsub-message-id: 7"));
    for (const char **each = request.headers; *each != NULL; each++)
        CHECK("no field is broken", strchr(*each, '\n') == NULL && strstr(*each, "x y") == NULL);
    message.config = GH_SLICE("{\"pushEndpoint\":\"https://x/\",\"oidcToken\":{}}");
    CHECK("nothing signs", google_push_request_make(&options, &message, &arena, &request, &error) ==
                               GH_ERROR_PRECONDITION);
    gh_arena_deinit(&arena);
}

int main(void)
{
    check_hosts();
    check_requests();
    return check_report();
}
