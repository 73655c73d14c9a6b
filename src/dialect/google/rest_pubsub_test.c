#include "dialect/google/rest_testbed.h"

/* The part of Pub/Sub that back ends of IoT Core use, as Google's Node client asks for it. */

#define TOPICS "/v1/projects/acme/topics"
#define SUBSCRIPTIONS "/v1/projects/acme/subscriptions"
#define SNAPSHOTS "/v1/projects/acme/snapshots"
#define QUERY "?$alt=json%3Benum-encoding=int"

static const struct gh_caller consumer = {.kind = GH_CALLER_TOKEN,
                                          .name = GH_SLICE_INIT("c"),
                                          .role = GH_SLICE_INIT("device-controller")};
static const struct gh_caller publisher = {
    .kind = GH_CALLER_TOKEN, .name = GH_SLICE_INIT("p@x.y"), .member = GH_SLICE_INIT("user:p@x.y")};
static const struct gh_caller provisioner = {
    .kind = GH_CALLER_TOKEN, .name = GH_SLICE_INIT("p"), .role = GH_SLICE_INIT("provisioner")};

static const struct testbed_row topic_rows[] = {
    {"create a topic", "PUT", TOPICS "/telemetry" QUERY, "{\"labels\":{},\"tags\":{}}", 200,
     .says = {"{\"name\":\"projects/acme/topics/telemetry\"}"}},
    {"create it again", "PUT", TOPICS "/telemetry", "{}", 409, .says = {"ALREADY_EXISTS"}},
    {"with labels and no body but them", "PUT", TOPICS "/labelled", "{\"labels\":{\"a\":\"b\"}}",
     200, .says = {"\"labels\":{\"a\":\"b\"}"}},
    {"a short name", "PUT", TOPICS "/ab", "{}", 400, .says = {"INVALID_ARGUMENT"}},
    {"a reserved name", "PUT", TOPICS "/google1", "{}", 400, .says = {"INVALID_ARGUMENT"}},
    {"with a schema", "PUT", TOPICS "/schematic", "{\"schemaSettings\":{\"schema\":\"s\"}}", 501,
     .says = {"UNIMPLEMENTED", "schemaSettings"}},
    {"with too little retention", "PUT", TOPICS "/keeping",
     "{\"messageRetentionDuration\":\"599s\"}", 400, .says = {"messageRetentionDuration"}},
    {"with retention", "PUT", TOPICS "/keeping", "{\"messageRetentionDuration\":\"600s\"}", 200,
     .says = {"\"messageRetentionDuration\":\"600s\""}},
    {"update", "PATCH", TOPICS "/keeping",
     "{\"topic\":{\"labels\":{\"c\":\"d\"}},\"updateMask\":\"labels,message_retention_duration\"}",
     200, .says = {"\"labels\":{\"c\":\"d\"}"}, .says_not = {"Retention"}},
    {"update without a mask", "PATCH", TOPICS "/keeping", "{}", 400, .says = {"updateMask"}},
    {"update of nothing", "PATCH", TOPICS "/nothing", "{\"topic\":{},\"updateMask\":\"labels\"}",
     404, .says = {"NOT_FOUND"}},
    {"and away", "DELETE", TOPICS "/keeping", "", 200, .says = {"{}"}},
    {"get", "GET", TOPICS "/labelled" QUERY, "", 200, .says = {"\"labels\":{\"a\":\"b\"}"}},
    {"get what is not there", "GET", TOPICS "/nothing", "", 404, .says = {"NOT_FOUND"}},
    {"list", "GET", TOPICS, "", 200, .says = {"topics/telemetry", "topics/labelled"},
     .says_not = {"nextPageToken"}},
    {"the first page", "GET", TOPICS "?pageSize=1", "", 200, .says = {"labelled"},
     .says_not = {"telemetry\""}, .keep = "nextPageToken", .slot = 1},
    {"the second page", "GET", TOPICS "?pageSize=1&pageToken=$1", "", 200, .says = {"telemetry"},
     .says_not = {"labelled"}},
    {"a token that is none", "GET", TOPICS "?pageToken=abc", "", 400, .says = {"pageToken"}},
    {"a token of another list", "GET", SUBSCRIPTIONS "?pageToken=$1", "", 400,
     .says = {"pageToken"}},
    {"an empty policy", "GET", TOPICS "/telemetry:getIamPolicy", "", 200, .says = {"etag"},
     .says_not = {"bindings"}, .keep = "etag", .slot = 2},
    {"a policy", "POST", TOPICS "/telemetry:setIamPolicy",
     "{\"policy\":{\"bindings\":[{\"role\":\"roles/"
     "pubsub.publisher\",\"members\":[\"user:p@x.y\"]}],\"etag\":\"$2\"}}",
     200, .says = {"roles/pubsub.publisher", "etag"}},
    {"with an old etag", "POST", TOPICS "/telemetry:setIamPolicy",
     "{\"policy\":{\"bindings\":[],\"etag\":\"$2\"}}", 409, .says = {"ABORTED"}},
    {"who may publish", "POST", TOPICS "/telemetry:publish", "{\"messages\":[{\"data\":\"AA==\"}]}",
     200, .caller = &publisher, .says = {"messageIds"}},
    {"to this topic alone", "POST", TOPICS "/labelled:publish",
     "{\"messages\":[{\"data\":\"AA==\"}]}", 403, .caller = &publisher,
     .says = {"PERMISSION_DENIED"}},
    {"and does not read its policy", "GET", TOPICS "/telemetry:getIamPolicy", "", 403,
     .caller = &publisher, .says = {"pubsub.topics.getIamPolicy"}},
    {"is told so", "POST", TOPICS "/telemetry:testIamPermissions",
     "{\"permissions\":[\"pubsub.topics.publish\",\"pubsub.topics.delete\"]}", 200,
     .caller = &publisher, .says = {"{\"permissions\":[\"pubsub.topics.publish\"]}"}},
    {"a policy of nothing", "GET", TOPICS "/nothing:getIamPolicy", "", 404, .says = {"NOT_FOUND"}},
};

static const struct testbed_row subscription_rows[] = {
    {"create as the Node client does", "PUT", SUBSCRIPTIONS "/climate" QUERY,
     "{\"labels\":{},\"tags\":{},\"topic\":\"projects/acme/topics/"
     "telemetry\",\"pushConfig\":{\"attributes\":{},\"pushEndpoint\":\"\"},"
     "\"ackDeadlineSeconds\":30,\"enableMessageOrdering\":false,\"filter\":\"\","
     "\"retainAckedMessages\":false}",
     200,
     .says = {"\"name\":\"projects/acme/subscriptions/climate\"",
              "\"topic\":\"projects/acme/topics/telemetry\"", "\"ackDeadlineSeconds\":30",
              "\"messageRetentionDuration\":\"604800s\""}},
    {"create it again", "PUT", SUBSCRIPTIONS "/climate",
     "{\"topic\":\"projects/acme/topics/telemetry\"}", 409, .says = {"ALREADY_EXISTS"}},
    {"without a topic", "PUT", SUBSCRIPTIONS "/second", "{}", 400, .says = {"topic"}},
    {"of a topic that is not there", "PUT", SUBSCRIPTIONS "/second",
     "{\"topic\":\"projects/acme/topics/nothing\"}", 404, .says = {"NOT_FOUND"}},
    {"of another project's topic", "PUT", SUBSCRIPTIONS "/second",
     "{\"topic\":\"projects/other/topics/telemetry\"}", 400, .says = {"another project"}},
    {"with push to a host that is not listed", "PUT", SUBSCRIPTIONS "/second",
     "{\"topic\":\"projects/acme/topics/telemetry\",\"pushConfig\":{\"pushEndpoint\":\"https://x/"
     "\"}}",
     400, .says = {"FAILED_PRECONDITION", "pushEndpoint"}},
    {"with push in the clear", "PUT", SUBSCRIPTIONS "/second",
     "{\"topic\":\"projects/acme/topics/telemetry\",\"pushConfig\":{\"pushEndpoint\":\"http://x/"
     "\"}}",
     400, .says = {"INVALID_ARGUMENT", "https"}},
    {"exactly once", "PUT", SUBSCRIPTIONS "/second",
     "{\"topic\":\"projects/acme/topics/telemetry\",\"enableExactlyOnceDelivery\":true}", 501,
     .says = {"UNIMPLEMENTED", "enableExactlyOnceDelivery"}},
    {"with a filter that is none", "PUT", SUBSCRIPTIONS "/second",
     "{\"topic\":\"projects/acme/topics/telemetry\",\"filter\":\"attributes\"}", 400,
     .says = {"INVALID_ARGUMENT", "filter"}},
    {"with dead letters to nowhere", "PUT", SUBSCRIPTIONS "/second",
     "{\"topic\":\"projects/acme/topics/"
     "telemetry\",\"deadLetterPolicy\":{\"deadLetterTopic\":\"projects/acme/topics/nothing\"}}",
     404, .says = {"deadLetterTopic"}},
    {"with four attempts", "PUT", SUBSCRIPTIONS "/second",
     "{\"topic\":\"projects/acme/topics/"
     "telemetry\",\"deadLetterPolicy\":{\"deadLetterTopic\":\"projects/acme/topics/"
     "labelled\",\"maxDeliveryAttempts\":4}}",
     400, .says = {"maxDeliveryAttempts"}},
    {"with everything", "PUT", SUBSCRIPTIONS "/whole",
     "{\"topic\":\"projects/acme/topics/"
     "telemetry\",\"filter\":\"attributes:k\",\"enableMessageOrdering\":true,"
     "\"retainAckedMessages\":true,\"retryPolicy\":{},\"expirationPolicy\":{\"ttl\":\"86400s\"},"
     "\"deadLetterPolicy\":{\"deadLetterTopic\":\"projects/acme/topics/labelled\"}}",
     200,
     .says = {"\"filter\":\"attributes:k\"", "\"enableMessageOrdering\":true",
              "\"retainAckedMessages\":true",
              "\"retryPolicy\":{\"minimumBackoff\":\"10s\",\"maximumBackoff\":\"600s\"}",
              "\"expirationPolicy\":{\"ttl\":\"86400s\"}",
              "{\"deadLetterTopic\":\"projects/acme/topics/labelled\",\"maxDeliveryAttempts\":5}"}},
    {"some of it away", "PATCH", SUBSCRIPTIONS "/whole",
     "{\"subscription\":{\"expirationPolicy\":{}},\"updateMask\":\"retryPolicy,deadLetterPolicy,"
     "expirationPolicy,retain_acked_messages\"}",
     200, .says = {"\"enableMessageOrdering\":true", "\"expirationPolicy\":{}"},
     .says_not = {"retryPolicy", "deadLetter", "retain"}},
    {"its filter is for ever", "PATCH", SUBSCRIPTIONS "/whole",
     "{\"subscription\":{},\"updateMask\":\"filter\"}", 400, .says = {"updateMask"}},
    {"detached", "POST", SUBSCRIPTIONS "/whole:detach", "", 200, .says = {"{}"}},
    {"says so", "GET", SUBSCRIPTIONS "/whole", "", 200, .says = {"\"detached\":true"}},
    {"is not pulled from", "POST", SUBSCRIPTIONS "/whole:pull", "{\"maxMessages\":1}", 400,
     .says = {"FAILED_PRECONDITION"}},
    {"and away", "DELETE", SUBSCRIPTIONS "/whole", "", 200, .says = {"{}"}},
    {"a deadline too short", "PUT", SUBSCRIPTIONS "/second",
     "{\"topic\":\"projects/acme/topics/telemetry\",\"ackDeadlineSeconds\":9}", 400,
     .says = {"ackDeadlineSeconds"}},
    {"a retention too long", "PUT", SUBSCRIPTIONS "/second",
     "{\"topic\":\"projects/acme/topics/telemetry\",\"messageRetentionDuration\":\"2678401s\"}",
     400, .says = {"messageRetentionDuration"}},
    {"with nothing but a topic, labels and a retention", "PUT", SUBSCRIPTIONS "/second",
     "{\"topic\":\"projects/acme/topics/"
     "telemetry\",\"labels\":{\"a\":\"b\"},\"message_retention_duration\":\"600s\","
     "\"expirationPolicy\":{}}",
     200,
     .says = {"\"ackDeadlineSeconds\":10", "\"messageRetentionDuration\":\"600s\"",
              "\"labels\":{\"a\":\"b\"}"}},
    {"get", "GET", SUBSCRIPTIONS "/climate", "", 200, .says = {"\"ackDeadlineSeconds\":30"}},
    {"list", "GET", SUBSCRIPTIONS, "", 200,
     .says = {"subscriptions/climate", "subscriptions/second"}, .says_not = {"nextPageToken"}},
    {"the first page", "GET", SUBSCRIPTIONS "?pageSize=1", "", 200, .says = {"climate"},
     .says_not = {"second"}, .keep = "nextPageToken", .slot = 1},
    {"the second page", "GET", SUBSCRIPTIONS "?pageSize=1&pageToken=$1", "", 200,
     .says = {"second"}, .says_not = {"climate"}},
    {"the topic's subscriptions", "GET", TOPICS "/telemetry/subscriptions", "", 200,
     .says = {"{\"subscriptions\":[\"projects/acme/subscriptions/climate\",\"projects/acme/"
              "subscriptions/"
              "second\"]}"}},
    {"a topic without any", "GET", TOPICS "/labelled/subscriptions", "", 200, .says = {"{}"}},
    {"subscriptions of no topic", "GET", TOPICS "/nothing/subscriptions", "", 404,
     .says = {"NOT_FOUND"}},
    {"update", "PATCH", SUBSCRIPTIONS "/climate",
     "{\"subscription\":{\"ackDeadlineSeconds\":60},\"updateMask\":\"ack_deadline_seconds\"}", 200,
     .says = {"\"ackDeadlineSeconds\":60"}},
    {"update of what cannot change", "PATCH", SUBSCRIPTIONS "/climate",
     "{\"subscription\":{},\"updateMask\":\"topic\"}", 400, .says = {"updateMask"}},
    {"update without a mask", "PATCH", SUBSCRIPTIONS "/climate",
     "{\"subscription\":{\"ackDeadlineSeconds\":60}}", 400, .says = {"updateMask"}},
    {"labels away", "PATCH", SUBSCRIPTIONS "/second",
     "{\"subscription\":{},\"updateMask\":\"labels\"}", 200, .says = {"second"},
     .says_not = {"labels"}},
    {"push off", "POST", SUBSCRIPTIONS "/climate:modifyPushConfig", "{\"pushConfig\":{}}", 200,
     .says = {"{}"}},
    {"push on", "POST", SUBSCRIPTIONS "/climate:modifyPushConfig",
     "{\"pushConfig\":{\"pushEndpoint\":\"https://x/\"}}", 400, .says = {"FAILED_PRECONDITION"}},
    {"push off on nothing", "POST", SUBSCRIPTIONS "/nothing:modifyPushConfig", "{}", 404,
     .says = {"NOT_FOUND"}},
    {"seek", "POST", SUBSCRIPTIONS "/climate:seek", "{\"time\":\"2026-01-01T00:00:00Z\"}", 200,
     .says = {"{}"}},
    {"seek nowhere", "POST", SUBSCRIPTIONS "/climate:seek", "{}", 400, .says = {"snapshot"}},
    {"a snapshot", "PUT", SNAPSHOTS "/snap",
     "{\"subscription\":\"projects/acme/subscriptions/climate\",\"labels\":{\"a\":\"b\"}}", 200,
     .says = {"\"name\":\"projects/acme/snapshots/snap\"",
              "\"topic\":\"projects/acme/topics/telemetry\"", "\"expireTime\":\"20",
              "\"labels\":{\"a\":\"b\"}"}},
    {"of nothing", "PUT", SNAPSHOTS "/other",
     "{\"subscription\":\"projects/acme/subscriptions/nothing\"}", 404, .says = {"NOT_FOUND"}},
    {"it is there", "GET", SNAPSHOTS "/snap", "", 200, .says = {"expireTime"}},
    {"its labels change", "PATCH", SNAPSHOTS "/snap",
     "{\"snapshot\":{\"labels\":{\"c\":\"d\"}},\"updateMask\":\"labels\"}", 200,
     .says = {"\"labels\":{\"c\":\"d\"}"}},
    {"all snapshots", "GET", SNAPSHOTS, "", 200, .says = {"{\"snapshots\":[{\"name\":"}},
    {"those of a topic", "GET", TOPICS "/telemetry/snapshots", "", 200,
     .says = {"{\"snapshots\":[\"projects/acme/snapshots/snap\"]}"}},
    {"seek to it", "POST", SUBSCRIPTIONS "/climate:seek",
     "{\"snapshot\":\"projects/acme/snapshots/snap\"}", 200, .says = {"{}"}},
    {"it goes", "DELETE", SNAPSHOTS "/snap", "", 200, .says = {"{}"}},
    {"it is gone", "GET", SNAPSHOTS "/snap", "", 404, .says = {"NOT_FOUND"}},
    {"delete", "DELETE", SUBSCRIPTIONS "/second", "", 200, .says = {"{}"}},
    {"delete it again", "DELETE", SUBSCRIPTIONS "/second", "", 404, .says = {"NOT_FOUND"}},
};

static const struct testbed_row message_rows[] = {
    {"nothing to pull", "POST", SUBSCRIPTIONS "/climate:pull",
     "{\"maxMessages\":10,\"returnImmediately\":true}", 200, .says = {"{}"}},
    {"publish two", "POST", TOPICS "/telemetry:publish" QUERY,
     "{\"messages\":[{\"data\":\"b25l\",\"attributes\":{\"k\":\"v\"},\"orderingKey\":\"o\"},{"
     "\"attributes\":{\"only\":\"attributes\"}}]}",
     200, .says = {"{\"messageIds\":[\"", "\",\""}},
    {"publish nothing", "POST", TOPICS "/telemetry:publish", "{\"messages\":[]}", 400,
     .says = {"messages"}},
    {"publish an empty message", "POST", TOPICS "/telemetry:publish", "{\"messages\":[{}]}", 400,
     .says = {"INVALID_ARGUMENT"}},
    {"publish to nothing", "POST", TOPICS "/nothing:publish",
     "{\"messages\":[{\"data\":\"AA==\"}]}", 404, .says = {"NOT_FOUND"}},
    {"publish with a reserved attribute", "POST", TOPICS "/telemetry:publish",
     "{\"messages\":[{\"attributes\":{\"googx\":\"y\"}}]}", 400, .says = {"INVALID_ARGUMENT"}},
    {"pull one", "POST", SUBSCRIPTIONS "/climate:pull" QUERY, "{\"maxMessages\":1}", 200,
     .caller = &consumer,
     .says = {"\"data\":\"b25l\"", "\"attributes\":{\"k\":\"v\"}", "\"messageId\":\"",
              "\"publishTime\":\"", "\"orderingKey\":\"o\""},
     .says_not = {"deliveryAttempt"}, .keep = "ackId", .slot = 1},
    {"pull the rest", "POST", SUBSCRIPTIONS "/climate:pull", "{\"max_messages\":100}", 200,
     .caller = &consumer, .says = {"\"only\":\"attributes\""}, .says_not = {"b25l", "\"data\""},
     .keep = "ackId", .slot = 2},
    {"acknowledge the first", "POST", SUBSCRIPTIONS "/climate:acknowledge", "{\"ackIds\":[\"$1\"]}",
     200, .caller = &consumer, .says = {"{}"}},
    {"acknowledge it twice", "POST", SUBSCRIPTIONS "/climate:acknowledge", "{\"ack_ids\":[\"$1\"]}",
     200, .caller = &consumer, .says = {"{}"}},
    {"a malformed ackId", "POST", SUBSCRIPTIONS "/climate:acknowledge", "{\"ackIds\":[\"x\"]}", 400,
     .caller = &consumer, .says = {"INVALID_ARGUMENT"}},
    {"no ackId", "POST", SUBSCRIPTIONS "/climate:acknowledge", "{}", 400, .caller = &consumer,
     .says = {"ackIds"}},
    {"a longer deadline", "POST", SUBSCRIPTIONS "/climate:modifyAckDeadline",
     "{\"ackIds\":[\"$2\"],\"ackDeadlineSeconds\":600}", 200, .caller = &consumer, .says = {"{}"}},
    {"a deadline too long", "POST", SUBSCRIPTIONS "/climate:modifyAckDeadline",
     "{\"ackIds\":[\"$2\"],\"ackDeadlineSeconds\":601}", 400, .caller = &consumer,
     .says = {"ackDeadlineSeconds"}},
    {"give the second back", "POST", SUBSCRIPTIONS "/climate:modifyAckDeadline",
     "{\"ackIds\":[\"$2\"],\"ackDeadlineSeconds\":0}", 200, .caller = &consumer, .says = {"{}"}},
    {"it comes again, the first does not", "POST", SUBSCRIPTIONS "/climate:pull",
     "{\"maxMessages\":100,\"returnImmediately\":true}", 200, .caller = &consumer,
     .says = {"\"only\":\"attributes\""}, .says_not = {"b25l"}},
    {"pull none", "POST", SUBSCRIPTIONS "/climate:pull", "{}", 400, .caller = &consumer,
     .says = {"maxMessages"}},
    {"pull from nothing", "POST", SUBSCRIPTIONS "/nothing:pull", "{\"maxMessages\":1}", 404,
     .caller = &consumer, .says = {"NOT_FOUND"}},
    {"a consumer publishes nothing", "POST", TOPICS "/telemetry:publish",
     "{\"messages\":[{\"data\":\"AA==\"}]}", 403, .caller = &consumer,
     .says = {"PERMISSION_DENIED", "pubsub.topics.publish"}},
    {"a provisioner of devices sees no messages", "POST", SUBSCRIPTIONS "/climate:pull",
     "{\"maxMessages\":1}", 403, .caller = &provisioner, .says = {"PERMISSION_DENIED"}},
    {"delete the topic", "DELETE", TOPICS "/telemetry", "", 200, .says = {"{}"}},
    {"its subscription says so", "GET", SUBSCRIPTIONS "/climate", "", 200,
     .says = {"\"topic\":\"_deleted-topic_\""}},
};

/* A pull that would wait for half a minute ends at once when its consumer hangs up, and what is
 * published later is for the next one. */
static void check_hang_up(struct testbed *bed)
{
    char *said;
    bed->hang_up = true;
    int status = testbed_ask(bed, &consumer, "POST", SUBSCRIPTIONS "/climate:pull",
                             "{\"maxMessages\":1}", &said);
    CHECK("a pull that was given up", status == 200 && strcmp(said, "{}") == 0);
    free(said);
    bed->hang_up = false;
}

int main(void)
{
    struct testbed bed;
    testbed_open(&bed);
    testbed_run(&bed, topic_rows, GH_COUNT(topic_rows));
    testbed_run(&bed, subscription_rows, GH_COUNT(subscription_rows));
    check_hang_up(&bed);
    testbed_run(&bed, message_rows, GH_COUNT(message_rows));
    testbed_close(&bed);
    return check_report();
}
