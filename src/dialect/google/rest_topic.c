#include "dialect/google/rest_internal.h"
#include "pubsub/pubsub.h"

/* google.pubsub.v1.Publisher: topics, and publishing to them. */

static const struct google_field topic_fields[] = {
    {.name = "name"},
    {.name = "labels", .type = GOOGLE_TEXT_MAP},
    {.name = "tags", .type = GOOGLE_REFUSED},
    {.name = "messageStoragePolicy", .type = GOOGLE_REFUSED},
    {.name = "kmsKeyName", .type = GOOGLE_REFUSED},
    {.name = "schemaSettings", .type = GOOGLE_REFUSED},
    {.name = "satisfiesPzs", .output = true},
    {.name = "messageRetentionDuration", .type = GOOGLE_DURATION},
    {.name = "ingestionDataSourceSettings", .type = GOOGLE_REFUSED},
    {.name = "messageTransforms", .type = GOOGLE_REFUSED},
    {.name = "state", .output = true},
};
static const struct google_field message_fields[] = {
    {.name = "data", .type = GOOGLE_BYTES},
    {.name = "attributes", .type = GOOGLE_TEXT_MAP},
    {.name = "messageId", .output = true},
    {.name = "publishTime", .output = true},
    {.name = "orderingKey"},
};
static const struct google_message pubsub_message = GOOGLE_FIELDS(message_fields);
static const struct google_field publish_fields[] = {
    {.name = "messages", .type = GOOGLE_MESSAGE, .repeated = true, .message = &pubsub_message}};

const struct google_message google_topic_message = GOOGLE_FIELDS(topic_fields);
static const struct google_field update_fields[] = {
    {.name = "topic", .type = GOOGLE_MESSAGE, .message = &google_topic_message},
    {.name = "updateMask"},
};
const struct google_message google_topic_update_message = GOOGLE_FIELDS(update_fields);
const struct google_message google_publish_message = GOOGLE_FIELDS(publish_fields);

/* ---- topics ---- */

static json_t *write_topic(struct google_call *call, const void *item)
{
    const struct gh_topic *topic = item;
    json_t *out = json_object();
    const char *name = google_name_print(call, "topics", topic->name);
    call->write_failed |= name == NULL;
    google_put_text(out, "name", gh_slice_text(name), &call->write_failed);
    google_put_settings(call, out, topic->settings);
    google_put_seconds(out, "messageRetentionDuration", topic->retention_ms / 1000,
                       &call->write_failed);
    return out;
}

/* Labels and retention of a topic that a message speaks of. */
static enum gh_error_code read_topic(struct google_call *call, json_t *in, struct gh_topic *out)
{
    *out = (struct gh_topic){.tenant = call->tenant.number, .name = call->target};
    enum gh_error_code code = google_retention_read(call, in, &out->retention_ms);
    return code == GH_OK ? google_settings_read(call, in, &out->settings) : code;
}

enum gh_error_code google_topic_create(struct google_call *call)
{
    struct gh_topic what, topic;
    struct gh_pubsub *pubsub = call->services->pubsub;
    enum gh_error_code code = read_topic(call, call->input, &what);
    if (code != GH_OK)
        return code;
    code = gh_pubsub_topic_create(pubsub, call->tenant.number, call->target, what.settings,
                                  call->arena, &topic, &call->error);
    if (code == GH_OK && what.retention_ms != 0)
        code = gh_pubsub_topic_update(pubsub, &what, GH_TOPIC_RETENTION, call->arena, &topic,
                                      &call->error);
    if (code != GH_OK)
        return code;
    google_note(call, NULL, "pubsub.topics.create");
    call->output = write_topic(call, &topic);
    return GH_OK;
}

enum gh_error_code google_topic_get(struct google_call *call)
{
    struct gh_topic topic;
    enum gh_error_code code = gh_pubsub_topic_get(call->services->pubsub, call->tenant.number,
                                                  call->target, call->arena, &topic, &call->error);
    if (code == GH_OK)
        call->output = write_topic(call, &topic);
    return code;
}

enum gh_error_code google_topic_update(struct google_call *call)
{
    static const struct google_mask_field fields[] = {
        {"labels", GH_TOPIC_SETTINGS}, {"messageRetentionDuration", GH_TOPIC_RETENTION}};
    struct gh_topic what, after;
    json_t *given;
    unsigned named;
    enum gh_error_code code =
        google_update_read(call, "topic", fields, GH_COUNT(fields), &given, &named);
    if (code == GH_OK)
        code = read_topic(call, given, &what);
    if (code == GH_OK)
        code = gh_pubsub_topic_update(call->services->pubsub, &what, named, call->arena, &after,
                                      &call->error);
    if (code != GH_OK)
        return code;
    google_note(call, NULL, "pubsub.topics.update");
    call->output = write_topic(call, &after);
    return GH_OK;
}

enum gh_error_code google_topic_delete(struct google_call *call)
{
    enum gh_error_code code = gh_pubsub_topic_delete(call->services->pubsub, call->tenant.number,
                                                     call->target, &call->error);
    if (code == GH_OK)
        google_note(call, NULL, "pubsub.topics.delete");
    return code;
}

static enum gh_error_code list(struct google_call *call, struct gh_slice topic,
                               struct gh_slice after, size_t limit, void **items, size_t *count)
{
    struct gh_topic *list = NULL;
    (void)topic; /* it is a list of all topics */
    enum gh_error_code code =
        gh_pubsub_topic_list(call->services->pubsub, call->tenant.number, after, limit, call->arena,
                             &list, count, &call->error);
    *items = list;
    return code;
}

static const struct google_collection topics = {.name = "topics",
                                                .item_size = sizeof(struct gh_topic),
                                                .item_name = offsetof(struct gh_topic, name),
                                                .list = list,
                                                .write = write_topic};

enum gh_error_code google_topic_list(struct google_call *call)
{
    return google_collection_list(call, &topics);
}

/* ---- publishing ---- */

/* Borrows from the request, and its attributes from the arena. */
static enum gh_error_code read_message(struct google_call *call, json_t *in, struct gh_message *out)
{
    json_t *attributes = NULL, *value;
    const char *key;
    struct gh_message_attribute *list;
    out->data = gh_json_slice(json_object_get(in, "data"));
    gh_json_text(in, "orderingKey", &out->ordering_key);
    gh_json_object(in, "attributes", &attributes);
    if (json_object_size(attributes) > GH_MESSAGE_ATTRIBUTES_MAX)
        return google_fail(call, GH_ERROR_INVALID, "messages.attributes: at most %d",
                           GH_MESSAGE_ATTRIBUTES_MAX);
    list = gh_arena_array(call->arena, json_object_size(attributes) + 1, sizeof(*list));
    if (list == NULL)
        return google_fail(call, GH_ERROR_MEMORY, "messages.attributes");
    json_object_foreach(attributes, key, value)
    {
        list[out->attributes_count++] =
            (struct gh_message_attribute){gh_slice_text(key), gh_json_slice(value)};
    }
    out->attributes = list;
    return GH_OK;
}

static enum gh_error_code read_messages(struct google_call *call, struct gh_message **out,
                                        size_t *count)
{
    json_t *messages = NULL, *each;
    size_t i;
    gh_json_array(call->input, "messages", &messages);
    *count = json_array_size(messages);
    if (*count == 0 || *count > GH_MESSAGES_PER_PUBLISH_MAX)
        return google_fail(call, GH_ERROR_INVALID, "messages: 1 to %d",
                           GH_MESSAGES_PER_PUBLISH_MAX);
    *out = gh_arena_array(call->arena, *count, sizeof(**out));
    if (*out == NULL)
        return google_fail(call, GH_ERROR_MEMORY, "messages");
    json_array_foreach(messages, i, each)
    {
        enum gh_error_code code = read_message(call, each, &(*out)[i]);
        if (code == GH_OK)
            code = gh_message_check(&(*out)[i], &call->error);
        if (code != GH_OK)
            return code;
    }
    return GH_OK;
}

enum gh_error_code google_publish(struct google_call *call)
{
    struct gh_message *messages = NULL;
    size_t count;
    enum gh_error_code code = read_messages(call, &messages, &count);
    if (code != GH_OK)
        return code;
    uint64_t *ids = gh_arena_array(call->arena, count, sizeof(*ids));
    if (ids == NULL)
        return google_fail(call, GH_ERROR_MEMORY, "messages");
    code = gh_pubsub_publish_wait(call->services->pubsub, call->tenant.number, call->target,
                                  messages, count, ids, &call->error);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        google_append(list, json_sprintf("%llu", (unsigned long long)ids[i]), &call->write_failed);
    call->output = json_object();
    google_put_value(call->output, "messageIds", list, &call->write_failed);
    return GH_OK;
}
