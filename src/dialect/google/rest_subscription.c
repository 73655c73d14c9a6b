#include "base/log.h"
#include "dialect/google/rest_internal.h"
#include "io/worker.h"
#include "pubsub/pubsub.h"
#include <pthread.h>

/* google.pubsub.v1.Subscriber: subscriptions that are pulled. What would change the delivery and is
 * not served (push, filters, ordering, dead letters, exactly once) is refused, not ignored. */

static const struct google_field push_config_fields[] = {
    {.name = "attributes", .type = GOOGLE_REFUSED},
    {.name = "pushEndpoint", .type = GOOGLE_REFUSED},
    {.name = "oidcToken", .type = GOOGLE_REFUSED},
    {.name = "pubsubWrapper", .type = GOOGLE_REFUSED},
    {.name = "noWrapper", .type = GOOGLE_REFUSED},
};
static const struct google_message push_config_message = GOOGLE_FIELDS(push_config_fields);
static const struct google_field expiration_fields[] = {{.name = "ttl", .type = GOOGLE_REFUSED}};
static const struct google_message expiration_message = GOOGLE_FIELDS(expiration_fields);
static const struct google_field subscription_fields[] = {
    {.name = "name"},
    {.name = "topic"},
    {.name = "pushConfig", .type = GOOGLE_MESSAGE, .message = &push_config_message},
    {.name = "bigqueryConfig", .type = GOOGLE_REFUSED},
    {.name = "cloudStorageConfig", .type = GOOGLE_REFUSED},
    {.name = "ackDeadlineSeconds", .type = GOOGLE_NUMBER},
    {.name = "retainAckedMessages", .type = GOOGLE_REFUSED},
    {.name = "messageRetentionDuration", .type = GOOGLE_DURATION},
    {.name = "labels", .type = GOOGLE_TEXT_MAP},
    {.name = "tags", .type = GOOGLE_REFUSED},
    {.name = "enableMessageOrdering", .type = GOOGLE_REFUSED},
    /* Subscriptions never expire here: a policy without a ttl says just that. */
    {.name = "expirationPolicy", .type = GOOGLE_MESSAGE, .message = &expiration_message},
    {.name = "filter", .type = GOOGLE_REFUSED},
    {.name = "deadLetterPolicy", .type = GOOGLE_REFUSED},
    {.name = "retryPolicy", .type = GOOGLE_REFUSED},
    {.name = "detached", .type = GOOGLE_REFUSED},
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
static const struct google_field pull_fields[] = {
    {.name = "maxMessages", .type = GOOGLE_NUMBER},
    {.name = "returnImmediately", .type = GOOGLE_BOOL},
};
static const struct google_field acknowledge_fields[] = {{.name = "ackIds", .repeated = true}};
static const struct google_field deadline_fields[] = {
    {.name = "ackIds", .repeated = true},
    {.name = "ackDeadlineSeconds", .type = GOOGLE_NUMBER},
};
static const struct google_field push_fields[] = {
    {.name = "pushConfig", .type = GOOGLE_MESSAGE, .message = &push_config_message}};
const struct google_message google_subscription_update_message = GOOGLE_FIELDS(update_fields);
const struct google_message google_pull_message = GOOGLE_FIELDS(pull_fields);
const struct google_message google_acknowledge_message = GOOGLE_FIELDS(acknowledge_fields);
const struct google_message google_deadline_message = GOOGLE_FIELDS(deadline_fields);
const struct google_message google_push_message = GOOGLE_FIELDS(push_fields);

enum { MASK_DEADLINE = 1, MASK_RETENTION = 2, MASK_LABELS = 4 };
static const struct google_mask_field mask_fields[] = {
    {"ackDeadlineSeconds", MASK_DEADLINE},
    {"messageRetentionDuration", MASK_RETENTION},
    {"labels", MASK_LABELS},
};

/* ---- subscriptions ---- */

static json_t *write_subscription(struct google_call *call, const struct gh_subscription *from)
{
    json_t *out = json_object();
    bool is_gone = gh_slice_equal(from->topic, GH_SLICE(GH_PUBSUB_DELETED_TOPIC));
    const char *name = google_name_print(call, "subscriptions", from->name);
    const char *topic =
        is_gone ? GH_PUBSUB_DELETED_TOPIC : google_name_print(call, "topics", from->topic);
    call->write_failed |= name == NULL || topic == NULL;
    google_put_text(out, "name", gh_slice_text(name), &call->write_failed);
    google_put_text(out, "topic", gh_slice_text(topic), &call->write_failed);
    google_put_int32(out, "ackDeadlineSeconds", (int)from->ack_deadline_s, &call->write_failed);
    google_put_seconds(out, "messageRetentionDuration", from->retention_ms / 1000,
                       &call->write_failed);
    google_put_settings(call, out, from->settings);
    google_put_text(out, "state", GH_SLICE("ACTIVE"), &call->write_failed);
    return out;
}

/* What is said of it in `in`; 0 and empty where nothing is said. */
static enum gh_error_code read_settings(struct google_call *call, json_t *in,
                                        struct gh_subscription *out)
{
    int64_t deadline_s = 0;
    gh_json_i64(in, "ackDeadlineSeconds", &deadline_s);
    gh_json_i64(in, "messageRetentionDuration", &out->retention_ms);
    if (deadline_s != 0 &&
        (deadline_s < GH_PUBSUB_DEADLINE_MIN_S || deadline_s > GH_PUBSUB_DEADLINE_MAX_S))
        return google_fail(call, GH_ERROR_INVALID, "ackDeadlineSeconds: %d to %d",
                           GH_PUBSUB_DEADLINE_MIN_S, GH_PUBSUB_DEADLINE_MAX_S);
    if (out->retention_ms != 0 && (out->retention_ms < GH_PUBSUB_RETENTION_MIN_MS ||
                                   out->retention_ms > GH_PUBSUB_RETENTION_MAX_MS))
        return google_fail(call, GH_ERROR_INVALID,
                           "messageRetentionDuration: 10 minutes to 31 days");
    out->ack_deadline_s = (uint32_t)deadline_s;
    return google_settings_read(call, in, &out->settings);
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
    struct gh_slice mask = {0};
    json_t *given = NULL;
    unsigned fields;
    gh_json_text(call->input, "updateMask", &mask);
    gh_json_object(call->input, "subscription", &given);
    enum gh_error_code code =
        google_mask_read(call, mask, mask_fields, GH_COUNT(mask_fields), &fields);
    if (code == GH_OK)
        code = read_settings(call, given, &what);
    if (code != GH_OK)
        return code;
    struct gh_subscription change = {.tenant = call->tenant.number, .name = call->target};
    if ((fields & MASK_DEADLINE) != 0) /* named and absent: the default */
        change.ack_deadline_s =
            what.ack_deadline_s == 0 ? GH_PUBSUB_DEADLINE_MIN_S : what.ack_deadline_s;
    if ((fields & MASK_RETENTION) != 0)
        change.retention_ms =
            what.retention_ms == 0 ? GH_PUBSUB_RETENTION_DEFAULT_MS : what.retention_ms;
    if ((fields & MASK_LABELS) != 0)
        change.settings = what.settings.size == 0 ? GH_SLICE("{}") : what.settings;
    code = gh_pubsub_subscription_update(call->services->pubsub, &change, call->arena, &after,
                                         &call->error);
    if (code != GH_OK)
        return code;
    google_note(call, NULL, "pubsub.subscriptions.update");
    call->output = write_subscription(call, &after);
    return GH_OK;
}

enum gh_error_code google_subscription_delete(struct google_call *call)
{
    enum gh_error_code code = gh_pubsub_subscription_delete(
        call->services->pubsub, call->tenant.number, call->target, &call->error);
    if (code == GH_OK)
        google_note(call, NULL, "pubsub.subscriptions.delete");
    return code;
}

enum gh_error_code google_subscription_list(struct google_call *call)
{
    struct gh_subscription *subscriptions = NULL;
    struct gh_slice after;
    size_t size, count = 0;
    enum gh_error_code code = google_page_size(call, &size);
    if (code == GH_OK)
        code = google_page_token_read(call, &after);
    if (code == GH_OK)
        code = gh_pubsub_subscription_list(call->services->pubsub, call->tenant.number,
                                           (struct gh_slice){0}, after, size, call->arena,
                                           &subscriptions, &count, &call->error);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        google_append(list, write_subscription(call, &subscriptions[i]), &call->write_failed);
    call->output = json_object();
    google_put_value(call->output, "subscriptions", list, &call->write_failed);
    if (count == size)
        google_put_page_token(call, subscriptions[count - 1].name);
    return GH_OK;
}

/* An empty push configuration, the only one that passes the message table, means pull. */
enum gh_error_code google_modify_push(struct google_call *call)
{
    struct gh_subscription subscription;
    return gh_pubsub_subscription_get(call->services->pubsub, call->tenant.number, call->target,
                                      call->arena, &subscription, &call->error);
}

/* ---- pulling ---- */

/* A consumer waits in pieces, and between them is asked again whether it may: one whose token was
 * revoked, or whose right has gone, does not wait for its messages. */
enum { PIECE_MS = 500 };

struct pulling {
    struct gh_job job; /* first: `run` is given its address */
    struct gh_pull pull;
    struct google_call *call;
    int64_t left_ms;      /* to wait after this piece */
    pthread_mutex_t lock; /* around what follows */
    bool started, replied, gone;
};

static json_t *write_received(struct google_call *call, const struct gh_received *received)
{
    json_t *out = json_object(), *message = json_object(), *attributes = json_object();
    const struct gh_message *from = &received->message;
    google_put_bytes(message, "data", from->data, &call->write_failed);
    for (size_t i = 0; i < from->attributes_count; i++) {
        const struct gh_message_attribute *each = &from->attributes[i];
        if (json_object_setn_new_nocheck(attributes, (const char *)each->key.data, each->key.size,
                                         gh_json_new_text(each->value)) != 0)
            call->write_failed = true;
    }
    google_put_value(message, "attributes", attributes, &call->write_failed);
    google_put_int64(message, "messageId", (int64_t)received->id, &call->write_failed);
    google_put_time(message, "publishTime", received->at_ms, &call->write_failed);
    google_put_text(message, "orderingKey", from->ordering_key, &call->write_failed);
    google_put_text(out, "ackId", gh_slice_text(received->ack_id), &call->write_failed);
    google_put_value(out, "message", message, &call->write_failed);
    return out;
}

static void write_messages(struct google_call *call, const struct gh_pull *pull)
{
    json_t *list = json_array();
    for (size_t i = 0; i < pull->count; i++)
        google_append(list, write_received(call, &pull->messages[i]), &call->write_failed);
    call->output = json_object();
    google_put_value(call->output, "receivedMessages", list, &call->write_failed);
}

static void pull_answer(struct pulling *pulling)
{
    struct google_call *call = pulling->call;
    enum gh_error_code code = pulling->pull.result;
    if (code == GH_OK)
        write_messages(call, &pulling->pull);
    else
        google_fail(call, code, "the subscription is gone, or the server is draining");
    gh_pull_release(&pulling->pull);
    google_call_end(call, code);
}

/* Messages on their way to a consumer that has gone are for the next one, now and not at their
 * deadline. */
static void give_back(struct pulling *pulling)
{
    struct google_call *call = pulling->call;
    size_t count = pulling->pull.count;
    struct gh_error error;
    struct gh_slice *ids = gh_arena_array(call->arena, count + 1, sizeof(*ids));
    if (ids == NULL || count == 0)
        return;
    for (size_t i = 0; i < count; i++)
        ids[i] = gh_slice_text(pulling->pull.messages[i].ack_id);
    if (gh_pubsub_modify_deadline_wait(call->services->pubsub, call->tenant.number, call->target,
                                       ids, count, 0, &error) != GH_OK)
        gh_log(GH_LOG_WARN, "google", "messages stay leased: %s", error.text);
}

static void pull_on(struct pulling *pulling);

static void run_answer(struct gh_job *job)
{
    struct pulling *pulling = (struct pulling *)job;
    pthread_mutex_lock(&pulling->lock);
    bool gone = pulling->gone;
    pthread_mutex_unlock(&pulling->lock);
    if (gone)
        give_back(pulling);
    else if (pulling->pull.result == GH_OK && pulling->pull.count == 0 && pulling->left_ms > 0) {
        pull_on(pulling);
        return;
    }
    pull_answer(pulling);
}

/* On the pubsub's thread, which has better things to do than base64. */
static void pull_done(void *context, struct gh_letter *letter)
{
    struct pulling *pulling = context;
    struct gh_workers *workers = pulling->call->services->workers;
    (void)letter;
    pthread_mutex_lock(&pulling->lock);
    pulling->replied = true;
    pthread_mutex_unlock(&pulling->lock);
    pulling->job.run = run_answer;
    if (workers == NULL || !gh_workers_submit(workers, &pulling->job))
        pull_answer(pulling);
}

/* The consumer hung up, or has its answer. */
static void pull_gone(void *context)
{
    struct pulling *pulling = context;
    pthread_mutex_lock(&pulling->lock);
    pulling->gone = true;
    if (pulling->started && !pulling->replied)
        gh_pubsub_pull_cancel(pulling->call->services->pubsub, &pulling->pull);
    pthread_mutex_unlock(&pulling->lock);
}

static enum gh_error_code pull_start(struct google_call *call, struct pulling *pulling)
{
    enum gh_error_code code;
    pulling->pull.wait_ms = pulling->left_ms < PIECE_MS ? pulling->left_ms : PIECE_MS;
    pulling->left_ms -= pulling->pull.wait_ms;
    pthread_mutex_lock(&pulling->lock);
    pulling->replied = false;
    if (pulling->gone)
        code = google_fail(call, GH_ERROR_UNAVAILABLE, "the consumer has gone");
    else
        code = gh_pubsub_pull(call->services->pubsub, call->tenant.number, call->target,
                              &pulling->pull, &call->error);
    pulling->started = code == GH_OK;
    pthread_mutex_unlock(&pulling->lock); /* from here on an answered pull may be gone */
    return code;
}

/* The next piece. */
static void pull_on(struct pulling *pulling)
{
    struct google_call *call = pulling->call;
    gh_pull_release(&pulling->pull);
    enum gh_error_code code = google_call_judge(call);
    if (code == GH_OK)
        code = pull_start(call, pulling);
    if (code != GH_OK)
        google_call_end(call, code);
}

void google_pull(struct google_call *call)
{
    int64_t messages_max = 0;
    bool immediately = false;
    struct pulling *pulling = gh_arena_alloc(call->arena, sizeof(*pulling));
    gh_json_i64(call->input, "maxMessages", &messages_max);
    gh_json_bool(call->input, "returnImmediately", &immediately);
    if (pulling == NULL || messages_max < 1) {
        google_call_end(call, pulling == NULL
                                  ? google_fail(call, GH_ERROR_MEMORY, "the pull")
                                  : google_fail(call, GH_ERROR_INVALID, "maxMessages: at least 1"));
        return;
    }
    pulling->call = call;
    pthread_mutex_init(&pulling->lock, NULL);
    pulling->pull.reply = pull_done;
    pulling->pull.reply_context = pulling;
    pulling->pull.messages_max =
        messages_max > GH_PUBSUB_PULL_MAX ? GH_PUBSUB_PULL_MAX : (size_t)messages_max;
    pulling->pull.bytes_max = GOOGLE_PULL_BYTES_MAX;
    pulling->left_ms = immediately ? 0 : INT64_C(1000) * GH_PUBSUB_WAIT_MAX_S;
    if (call->on_gone != NULL)
        call->on_gone(call, pull_gone, pulling);
    enum gh_error_code code = pull_start(call, pulling);
    if (code != GH_OK)
        google_call_end(call, code);
}

/* ---- acknowledging ---- */

static enum gh_error_code read_ack_ids(struct google_call *call, struct gh_slice **out,
                                       size_t *count)
{
    json_t *ids = NULL, *each;
    size_t i;
    gh_json_array(call->input, "ackIds", &ids);
    *count = json_array_size(ids);
    if (*count == 0)
        return google_fail(call, GH_ERROR_INVALID, "ackIds: at least one");
    *out = gh_arena_array(call->arena, *count, sizeof(**out));
    if (*out == NULL)
        return google_fail(call, GH_ERROR_MEMORY, "ackIds");
    json_array_foreach(ids, i, each)(*out)[i] = gh_json_slice(each);
    return GH_OK;
}

enum gh_error_code google_acknowledge(struct google_call *call)
{
    struct gh_slice *ids;
    size_t count;
    enum gh_error_code code = read_ack_ids(call, &ids, &count);
    return code != GH_OK ? code
                         : gh_pubsub_acknowledge_wait(call->services->pubsub, call->tenant.number,
                                                      call->target, ids, count, &call->error);
}

enum gh_error_code google_modify_deadline(struct google_call *call)
{
    struct gh_slice *ids;
    size_t count;
    int64_t deadline_s = 0;
    gh_json_i64(call->input, "ackDeadlineSeconds", &deadline_s);
    if (deadline_s < 0 || deadline_s > GH_PUBSUB_DEADLINE_MAX_S)
        return google_fail(call, GH_ERROR_INVALID, "ackDeadlineSeconds: 0 to %d",
                           GH_PUBSUB_DEADLINE_MAX_S);
    enum gh_error_code code = read_ack_ids(call, &ids, &count);
    return code != GH_OK
               ? code
               : gh_pubsub_modify_deadline_wait(call->services->pubsub, call->tenant.number,
                                                call->target, ids, count, (uint32_t)deadline_s,
                                                &call->error);
}
