#include "dialect/google/rest_internal.h"
#include "pubsub/pubsub.h"

/* google.pubsub.v1.Subscriber: what subscriptions are. What would change the delivery and is not
 * served (exactly once, transforms, other sinks) is refused, not ignored. */

static const struct google_field dead_letter_fields[] = {
    {.name = "deadLetterTopic"}, {.name = "maxDeliveryAttempts", .type = GOOGLE_NUMBER}};
static const struct google_message dead_letter_message = GOOGLE_FIELDS(dead_letter_fields);
static const struct google_field retry_fields[] = {
    {.name = "minimumBackoff", .type = GOOGLE_DURATION},
    {.name = "maximumBackoff", .type = GOOGLE_DURATION}};
static const struct google_message retry_message = GOOGLE_FIELDS(retry_fields);
static const struct google_field expiration_fields[] = {{.name = "ttl", .type = GOOGLE_DURATION}};
static const struct google_message expiration_message = GOOGLE_FIELDS(expiration_fields);
static const struct google_field subscription_fields[] = {
    {.name = "name"},
    {.name = "topic"},
    {.name = "pushConfig", .type = GOOGLE_MESSAGE, .message = &google_push_config_message},
    {.name = "bigqueryConfig", .type = GOOGLE_REFUSED},
    {.name = "cloudStorageConfig", .type = GOOGLE_REFUSED},
    {.name = "ackDeadlineSeconds", .type = GOOGLE_NUMBER},
    {.name = "retainAckedMessages", .type = GOOGLE_BOOL},
    {.name = "messageRetentionDuration", .type = GOOGLE_DURATION},
    {.name = "labels", .type = GOOGLE_TEXT_MAP},
    {.name = "tags", .type = GOOGLE_REFUSED},
    {.name = "enableMessageOrdering", .type = GOOGLE_BOOL},
    {.name = "expirationPolicy", .type = GOOGLE_MESSAGE, .message = &expiration_message},
    {.name = "filter"},
    {.name = "deadLetterPolicy", .type = GOOGLE_MESSAGE, .message = &dead_letter_message},
    {.name = "retryPolicy", .type = GOOGLE_MESSAGE, .message = &retry_message},
    {.name = "detached", .output = true},
    {.name = "enableExactlyOnceDelivery", .type = GOOGLE_REFUSED},
    {.name = "topicMessageRetentionDuration", .output = true},
    {.name = "state", .output = true},
    {.name = "analyticsHubSubscriptionInfo", .output = true},
    {.name = "messageTransforms", .type = GOOGLE_REFUSED},
};
const struct google_message google_subscription_message = GOOGLE_FIELDS(subscription_fields);

static const struct google_field update_fields[] = {
    {.name = "subscription", .type = GOOGLE_MESSAGE, .message = &google_subscription_message},
    {.name = "updateMask"},
};
static const struct google_field push_fields[] = {
    {.name = "pushConfig", .type = GOOGLE_MESSAGE, .message = &google_push_config_message}};
const struct google_message google_subscription_update_message = GOOGLE_FIELDS(update_fields);
const struct google_message google_push_message = GOOGLE_FIELDS(push_fields);

static const struct google_mask_field mask_fields[] = {
    {"ackDeadlineSeconds", GH_SUBSCRIPTION_DEADLINE},
    {"messageRetentionDuration", GH_SUBSCRIPTION_RETENTION},
    {"labels", GH_SUBSCRIPTION_SETTINGS},
    {"retainAckedMessages", GH_SUBSCRIPTION_RETAINS},
    {"deadLetterPolicy", GH_SUBSCRIPTION_DEAD_LETTER},
    {"retryPolicy", GH_SUBSCRIPTION_BACKOFF},
    {"expirationPolicy", GH_SUBSCRIPTION_EXPIRY},
    {"pushConfig", GH_SUBSCRIPTION_PUSH},
};

enum {
    ATTEMPTS_DEFAULT = GH_PUBSUB_ATTEMPTS_MIN,
    BACKOFF_MIN_DEFAULT_MS = 10 * 1000,
    BACKOFF_MAX_DEFAULT_MS = GH_PUBSUB_BACKOFF_MAX_MS,
};
static const int64_t expiry_default_ms = INT64_C(31) * 24 * 3600 * 1000;

/* ---- subscriptions ---- */

static void put_policies(struct google_call *call, json_t *out, const struct gh_subscription *from)
{
    bool *failed = &call->write_failed;
    if (from->dead_letter_topic.size > 0) {
        json_t *policy = json_object();
        const char *topic = google_name_print(call, "topics", from->dead_letter_topic);
        *failed |= topic == NULL;
        google_put_text(policy, "deadLetterTopic", gh_slice_text(topic), failed);
        google_put_int32(policy, "maxDeliveryAttempts", (int)from->attempts_max, failed);
        google_put_value(out, "deadLetterPolicy", policy, failed);
    }
    if (from->backoff_max_ms > 0) {
        json_t *policy = json_object();
        google_put_seconds(policy, "minimumBackoff", from->backoff_min_ms / 1000, failed);
        google_put_seconds(policy, "maximumBackoff", from->backoff_max_ms / 1000, failed);
        google_put_value(out, "retryPolicy", policy, failed);
    }
    /* Without a ttl it says that the subscription never expires. */
    json_t *expiry = json_object();
    if (from->expires_after_ms > 0)
        google_put_seconds(expiry, "ttl", from->expires_after_ms / 1000, failed);
    if (json_object_set_new(out, "expirationPolicy", expiry) != 0)
        *failed = true;
}

static json_t *write_subscription(struct google_call *call, const void *item)
{
    const struct gh_subscription *from = item;
    json_t *out = json_object();
    bool *failed = &call->write_failed;
    google_put_name_and_topic(call, out, "subscriptions", from->name, from->topic);
    google_put_int32(out, "ackDeadlineSeconds", (int)from->ack_deadline_s, failed);
    google_put_seconds(out, "messageRetentionDuration", from->retention_ms / 1000, failed);
    google_put_settings(call, out, from->settings);
    google_put_bool(out, "retainAckedMessages", from->retains_acked, failed);
    google_put_bool(out, "enableMessageOrdering", from->is_ordered, failed);
    google_put_text(out, "filter", from->filter, failed);
    put_policies(call, out, from);
    google_put_push(call, out, from->push);
    google_put_bool(out, "detached", from->is_detached, failed);
    google_put_text(out, "state", GH_SLICE("ACTIVE"), failed);
    return out;
}

/* The topic must be there, and the caller may publish to it: forwarding is done on his behalf. */
static enum gh_error_code read_dead_letter(struct google_call *call, json_t *in,
                                           struct gh_subscription *out)
{
    struct gh_slice topic = {0};
    int64_t attempts = 0;
    json_t *policy = NULL;
    if (!gh_json_object(in, "deadLetterPolicy", &policy))
        return GH_OK;
    gh_json_text(policy, "deadLetterTopic", &topic);
    gh_json_i64(policy, "maxDeliveryAttempts", &attempts);
    attempts = attempts == 0 ? ATTEMPTS_DEFAULT : attempts;
    if (attempts < GH_PUBSUB_ATTEMPTS_MIN || attempts > GH_PUBSUB_ATTEMPTS_MAX)
        return google_fail(call, GH_ERROR_INVALID, "deadLetterPolicy.maxDeliveryAttempts: %d to %d",
                           GH_PUBSUB_ATTEMPTS_MIN, GH_PUBSUB_ATTEMPTS_MAX);
    enum gh_error_code code =
        google_topic_read(call, "deadLetterPolicy.deadLetterTopic", topic, &out->dead_letter_topic);
    if (code != GH_OK)
        return code;
    if (!google_may(call, GH_PERMISSION_TOPICS_PUBLISH))
        return google_fail(call, GH_ERROR_DENIED, "the caller does not have pubsub.topics.publish");
    if (!gh_pubsub_topic_exists(call->services->pubsub, call->tenant.number,
                                out->dead_letter_topic))
        return google_fail(call, GH_ERROR_NOT_FOUND,
                           "deadLetterPolicy.deadLetterTopic: the topic does not exist");
    out->attempts_max = (uint32_t)attempts;
    out->dead_letter_project = call->tenant.google_project;
    return GH_OK;
}

static void read_backoff(json_t *in, struct gh_subscription *out)
{
    json_t *policy = NULL;
    if (!gh_json_object(in, "retryPolicy", &policy))
        return;
    out->backoff_min_ms = BACKOFF_MIN_DEFAULT_MS;
    out->backoff_max_ms = BACKOFF_MAX_DEFAULT_MS;
    gh_json_i64(policy, "minimumBackoff", &out->backoff_min_ms);
    gh_json_i64(policy, "maximumBackoff", &out->backoff_max_ms);
    if (out->backoff_max_ms == 0) /* at once, as without a policy */
        out->backoff_min_ms = 0;
}

/* What is said of it in `in`; 0 and empty where nothing is said. */
static enum gh_error_code read_settings(struct google_call *call, json_t *in,
                                        struct gh_subscription *out)
{
    int64_t deadline_s = 0;
    json_t *expiry = NULL, *push = NULL;
    gh_json_i64(in, "ackDeadlineSeconds", &deadline_s);
    gh_json_bool(in, "retainAckedMessages", &out->retains_acked);
    gh_json_bool(in, "enableMessageOrdering", &out->is_ordered);
    gh_json_text(in, "filter", &out->filter);
    if (deadline_s != 0 &&
        (deadline_s < GH_PUBSUB_DEADLINE_MIN_S || deadline_s > GH_PUBSUB_DEADLINE_MAX_S))
        return google_fail(call, GH_ERROR_INVALID, "ackDeadlineSeconds: %d to %d",
                           GH_PUBSUB_DEADLINE_MIN_S, GH_PUBSUB_DEADLINE_MAX_S);
    out->ack_deadline_s = (uint32_t)deadline_s;
    out->expires_after_ms = expiry_default_ms;
    if (gh_json_object(in, "expirationPolicy", &expiry)) {
        out->expires_after_ms = 0;
        gh_json_i64(expiry, "ttl", &out->expires_after_ms);
    }
    read_backoff(in, out);
    gh_json_object(in, "pushConfig", &push);
    enum gh_error_code code = google_retention_read(call, in, &out->retention_ms);
    if (code == GH_OK)
        code = read_dead_letter(call, in, out);
    if (code == GH_OK)
        code = google_push_read(call, push, &out->push);
    return code == GH_OK ? google_settings_read(call, in, &out->settings) : code;
}

enum gh_error_code google_subscription_create(struct google_call *call)
{
    struct gh_subscription what = {.tenant = call->tenant.number, .name = call->target}, made;
    struct gh_slice topic = {0};
    enum gh_error_code code = read_settings(call, call->input, &what);
    if (code != GH_OK)
        return code;
    gh_json_text(call->input, "topic", &topic);
    code = google_topic_read(call, "topic", topic, &what.topic);
    if (code != GH_OK)
        return code;
    if (!google_may(call, GH_PERMISSION_TOPICS_ATTACH))
        return google_fail(call, GH_ERROR_DENIED,
                           "the caller does not have pubsub.topics.attachSubscription");
    code = gh_pubsub_subscription_create(call->services->pubsub, &what, call->arena, &made,
                                         &call->error);
    if (code != GH_OK)
        return code;
    google_push_tell(call);
    google_note(call, NULL, "pubsub.subscriptions.create");
    call->output = write_subscription(call, &made);
    return GH_OK;
}

enum gh_error_code google_subscription_get(struct google_call *call)
{
    struct gh_subscription subscription;
    enum gh_error_code code =
        gh_pubsub_subscription_get(call->services->pubsub, call->tenant.number, call->target,
                                   call->arena, &subscription, &call->error);
    if (code == GH_OK)
        call->output = write_subscription(call, &subscription);
    return code;
}

enum gh_error_code google_subscription_update(struct google_call *call)
{
    struct gh_subscription what = {0}, after;
    json_t *given;
    unsigned fields;
    enum gh_error_code code = google_update_read(call, "subscription", mask_fields,
                                                 GH_COUNT(mask_fields), &given, &fields);
    if (code == GH_OK)
        code = read_settings(call, given, &what);
    if (code != GH_OK)
        return code;
    what.tenant = call->tenant.number;
    what.name = call->target;
    code = gh_pubsub_subscription_update(call->services->pubsub, &what, fields, call->arena, &after,
                                         &call->error);
    if (code != GH_OK)
        return code;
    google_push_tell(call);
    google_note(call, NULL, "pubsub.subscriptions.update");
    call->output = write_subscription(call, &after);
    return GH_OK;
}

enum gh_error_code google_subscription_delete(struct google_call *call)
{
    enum gh_error_code code = gh_pubsub_subscription_delete(
        call->services->pubsub, call->tenant.number, call->target, &call->error);
    if (code != GH_OK)
        return code;
    google_push_tell(call);
    google_note(call, NULL, "pubsub.subscriptions.delete");
    return GH_OK;
}

static enum gh_error_code list(struct google_call *call, struct gh_slice topic,
                               struct gh_slice after, size_t limit, void **items, size_t *count)
{
    struct gh_subscription *list = NULL;
    enum gh_error_code code =
        gh_pubsub_subscription_list(call->services->pubsub, call->tenant.number, topic, after,
                                    limit, call->arena, &list, count, &call->error);
    *items = list;
    return code;
}

static const struct google_collection subscriptions = {.name = "subscriptions",
                                                       .item_size = sizeof(struct gh_subscription),
                                                       .item_name =
                                                           offsetof(struct gh_subscription, name),
                                                       .list = list,
                                                       .write = write_subscription};

enum gh_error_code google_subscription_list(struct google_call *call)
{
    return google_collection_list(call, &subscriptions);
}

enum gh_error_code google_topic_subscriptions(struct google_call *call)
{
    return google_collection_list_of_topic(call, &subscriptions);
}

/* Changes one thing of the subscription that the path names. */
static enum gh_error_code change_one(struct google_call *call, struct gh_subscription *what,
                                     unsigned field, const char *deed)
{
    what->tenant = call->tenant.number;
    what->name = call->target;
    enum gh_error_code code = gh_pubsub_subscription_update(call->services->pubsub, what, field,
                                                            call->arena, NULL, &call->error);
    if (code == GH_OK) {
        google_push_tell(call);
        google_note(call, NULL, deed);
    }
    return code;
}

enum gh_error_code google_modify_push(struct google_call *call)
{
    struct gh_subscription what = {0};
    json_t *config = NULL;
    gh_json_object(call->input, "pushConfig", &config);
    enum gh_error_code code = google_push_read(call, config, &what.push);
    return code == GH_OK
               ? change_one(call, &what, GH_SUBSCRIPTION_PUSH, "pubsub.subscriptions.update")
               : code;
}

enum gh_error_code google_detach(struct google_call *call)
{
    struct gh_subscription what = {.is_detached = true};
    return change_one(call, &what, GH_SUBSCRIPTION_DETACHED, "pubsub.topics.detachSubscription");
}
