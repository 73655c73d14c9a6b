#include "dialect/google/rest_internal.h"
#include "pubsub/pubsub.h"

/* What the collections of Pub/Sub (topics, subscriptions, snapshots) do alike: a page of them, what
 * an update names, names, labels and retention. */

/* ---- lists ---- */

static struct gh_slice name_of(const struct google_collection *collection, const void *item)
{
    return *(const struct gh_slice *)(const void *)((const char *)item + collection->item_name);
}

static json_t *write_name(struct google_call *call, const struct google_collection *collection,
                          const void *item)
{
    const char *name = google_name_print(call, collection->name, name_of(collection, item));
    return name == NULL ? NULL : json_string(name);
}

/* One page into call->output: of the tenant's, whole, or of a topic's, by their names. */
static enum gh_error_code list(struct google_call *call, const struct google_collection *collection,
                               struct gh_slice topic)
{
    struct gh_slice after;
    size_t limit, count = 0;
    void *items = NULL;
    enum gh_error_code code = google_page_size(call, &limit);
    if (code == GH_OK)
        code = google_page_token_read(call, &after);
    if (code == GH_OK)
        code = collection->list(call, topic, after, limit, &items, &count);
    if (code != GH_OK)
        return code;
    json_t *out = json_array();
    const char *item = items;
    for (size_t i = 0; i < count; i++, item += collection->item_size)
        google_append(out,
                      topic.size > 0 ? write_name(call, collection, item)
                                     : collection->write(call, item),
                      &call->write_failed);
    call->output = json_object();
    google_put_value(call->output, collection->name, out, &call->write_failed);
    if (count == limit)
        google_put_page_token(call, name_of(collection, item - collection->item_size));
    return GH_OK;
}

enum gh_error_code google_collection_list(struct google_call *call,
                                          const struct google_collection *collection)
{
    return list(call, collection, (struct gh_slice){0});
}

enum gh_error_code google_collection_list_of_topic(struct google_call *call,
                                                   const struct google_collection *collection)
{
    struct gh_topic topic;
    enum gh_error_code code = gh_pubsub_topic_get(call->services->pubsub, call->tenant.number,
                                                  call->target, call->arena, &topic, &call->error);
    return code == GH_OK ? list(call, collection, topic.name) : code;
}

/* ---- updates ---- */

enum gh_error_code google_update_read(struct google_call *call, const char *member,
                                      const struct google_mask_field *fields, size_t count,
                                      json_t **given, unsigned *bits)
{
    struct gh_slice mask = {0};
    *given = NULL;
    gh_json_text(call->input, "updateMask", &mask);
    gh_json_object(call->input, member, given);
    return google_mask_read(call, mask, fields, count, bits);
}

/* ---- what they say of themselves ---- */

void google_put_name_and_topic(struct google_call *call, json_t *object, const char *collection,
                               struct gh_slice name, struct gh_slice topic)
{
    bool is_gone = gh_slice_equal(topic, GH_SLICE(GH_PUBSUB_DELETED_TOPIC));
    const char *full = google_name_print(call, collection, name);
    const char *full_topic =
        is_gone ? GH_PUBSUB_DELETED_TOPIC : google_name_print(call, "topics", topic);
    call->write_failed |= full == NULL || full_topic == NULL;
    google_put_text(object, "name", gh_slice_text(full), &call->write_failed);
    google_put_text(object, "topic", gh_slice_text(full_topic), &call->write_failed);
}

enum gh_error_code google_retention_read(struct google_call *call, const json_t *message,
                                         int64_t *retention_ms)
{
    *retention_ms = 0;
    gh_json_i64(message, "messageRetentionDuration", retention_ms);
    return *retention_ms == 0 || (*retention_ms >= GH_PUBSUB_RETENTION_MIN_MS &&
                                  *retention_ms <= GH_PUBSUB_RETENTION_MAX_MS)
               ? GH_OK
               : google_fail(call, GH_ERROR_INVALID,
                             "messageRetentionDuration: 10 minutes to 31 days");
}

enum gh_error_code google_settings_read(struct google_call *call, json_t *message,
                                        struct gh_slice *out)
{
    json_t *labels = NULL;
    struct gh_buffer text;
    *out = (struct gh_slice){0};
    if (!gh_json_object(message, "labels", &labels) || json_object_size(labels) == 0)
        return GH_OK;
    json_t *settings = json_pack("{s:O}", "labels", labels);
    gh_buffer_init(&text, GOOGLE_SETTINGS_BYTES_MAX);
    enum gh_error_code code = GH_OK;
    if (settings == NULL)
        code = google_fail(call, GH_ERROR_MEMORY, "labels");
    else if (!gh_json_write(settings, &text))
        code = google_fail(call, GH_ERROR_INVALID, "labels: more than %d bytes",
                           GOOGLE_SETTINGS_BYTES_MAX);
    else if (!gh_arena_copy(call->arena, gh_buffer_slice(&text), out))
        code = google_fail(call, GH_ERROR_MEMORY, "labels");
    gh_buffer_deinit(&text);
    json_decref(settings);
    return code;
}

void google_put_settings(struct google_call *call, json_t *object, struct gh_slice settings)
{
    json_t *labels = NULL;
    if (settings.size == 0)
        return;
    json_t *kept = gh_json_read(settings, NULL);
    if (kept == NULL)
        call->write_failed = true;
    else if (gh_json_object(kept, "labels", &labels))
        google_put_value(object, "labels", json_incref(labels), &call->write_failed);
    json_decref(kept);
}
