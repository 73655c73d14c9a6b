#include "dialect/google/rest_internal.h"
#include "pubsub/pubsub.h"

/* google.pubsub.v1.Subscriber: snapshots and seeking. */

static const struct google_field create_fields[] = {{.name = "name"},
                                                    {.name = "subscription"},
                                                    {.name = "labels", .type = GOOGLE_TEXT_MAP},
                                                    {.name = "tags", .type = GOOGLE_REFUSED}};
static const struct google_field snapshot_fields[] = {
    {.name = "name"},
    {.name = "topic", .output = true},
    {.name = "expireTime", .type = GOOGLE_TIME},
    {.name = "labels", .type = GOOGLE_TEXT_MAP},
};
static const struct google_message snapshot_message = GOOGLE_FIELDS(snapshot_fields);
static const struct google_field update_fields[] = {
    {.name = "snapshot", .type = GOOGLE_MESSAGE, .message = &snapshot_message},
    {.name = "updateMask"},
};
static const struct google_field seek_fields[] = {{.name = "time", .type = GOOGLE_TIME},
                                                  {.name = "snapshot"}};
const struct google_message google_snapshot_create_message = GOOGLE_FIELDS(create_fields);
const struct google_message google_snapshot_update_message = GOOGLE_FIELDS(update_fields);
const struct google_message google_seek_message = GOOGLE_FIELDS(seek_fields);

static const struct google_mask_field mask_fields[] = {
    {"labels", GH_SNAPSHOT_SETTINGS},
    {"expireTime", GH_SNAPSHOT_EXPIRY},
};

static json_t *write_snapshot(struct google_call *call, const struct gh_snapshot *from)
{
    json_t *out = json_object();
    bool is_gone = gh_slice_equal(from->topic, GH_SLICE(GH_PUBSUB_DELETED_TOPIC));
    const char *name = google_name_print(call, "snapshots", from->name);
    const char *topic =
        is_gone ? GH_PUBSUB_DELETED_TOPIC : google_name_print(call, "topics", from->topic);
    call->write_failed |= name == NULL || topic == NULL;
    google_put_text(out, "name", gh_slice_text(name), &call->write_failed);
    google_put_text(out, "topic", gh_slice_text(topic), &call->write_failed);
    google_put_time(out, "expireTime", from->expires_at_ms, &call->write_failed);
    google_put_settings(call, out, from->settings);
    return out;
}

enum gh_error_code google_snapshot_create(struct google_call *call)
{
    struct gh_snapshot what = {.tenant = call->tenant.number, .name = call->target}, made;
    struct gh_slice full = {0}, subscription;
    gh_json_text(call->input, "subscription", &full);
    enum gh_error_code code =
        google_name_read(call, "subscription", "subscriptions", full, &subscription);
    if (code == GH_OK && !google_may(call, GH_PERMISSION_SUBSCRIPTIONS_CONSUME))
        code = google_fail(call, GH_ERROR_DENIED,
                           "the caller does not have pubsub.subscriptions.consume");
    if (code == GH_OK)
        code = google_settings_read(call, call->input, &what.settings);
    if (code == GH_OK)
        code = gh_pubsub_snapshot_create(call->services->pubsub, &what, subscription, call->arena,
                                         &made, &call->error);
    if (code != GH_OK)
        return code;
    google_note(call, NULL, "pubsub.snapshots.create");
    call->output = write_snapshot(call, &made);
    return GH_OK;
}

enum gh_error_code google_snapshot_get(struct google_call *call)
{
    struct gh_snapshot snapshot;
    enum gh_error_code code =
        gh_pubsub_snapshot_get(call->services->pubsub, call->tenant.number, call->target,
                               call->arena, &snapshot, &call->error);
    if (code == GH_OK)
        call->output = write_snapshot(call, &snapshot);
    return code;
}

enum gh_error_code google_snapshot_update(struct google_call *call)
{
    struct gh_snapshot what = {.tenant = call->tenant.number, .name = call->target}, after;
    struct gh_slice mask = {0};
    json_t *given = NULL;
    unsigned fields;
    gh_json_text(call->input, "updateMask", &mask);
    gh_json_object(call->input, "snapshot", &given);
    gh_json_i64(given, "expireTime", &what.expires_at_ms);
    enum gh_error_code code =
        google_mask_read(call, mask, mask_fields, GH_COUNT(mask_fields), &fields);
    if (code == GH_OK)
        code = google_settings_read(call, given, &what.settings);
    if (code == GH_OK)
        code = gh_pubsub_snapshot_update(call->services->pubsub, &what, fields, call->arena, &after,
                                         &call->error);
    if (code != GH_OK)
        return code;
    google_note(call, NULL, "pubsub.snapshots.update");
    call->output = write_snapshot(call, &after);
    return GH_OK;
}

enum gh_error_code google_snapshot_delete(struct google_call *call)
{
    enum gh_error_code code = gh_pubsub_snapshot_delete(call->services->pubsub, call->tenant.number,
                                                        call->target, &call->error);
    if (code == GH_OK)
        google_note(call, NULL, "pubsub.snapshots.delete");
    return code;
}

/* One page of the tenant's, or of a topic's when `topic` is not empty, into call->output: whole, or
 * by their names. */
static enum gh_error_code list(struct google_call *call, struct gh_slice topic, bool whole)
{
    struct gh_snapshot *snapshots = NULL;
    struct gh_slice after;
    size_t size, count = 0;
    enum gh_error_code code = google_page_size(call, &size);
    if (code == GH_OK)
        code = google_page_token_read(call, &after);
    if (code == GH_OK)
        code = gh_pubsub_snapshot_list(call->services->pubsub, call->tenant.number, topic, after,
                                       size, call->arena, &snapshots, &count, &call->error);
    if (code != GH_OK)
        return code;
    json_t *items = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *item = write_snapshot(call, &snapshots[i]);
        google_append(items, whole ? item : json_incref(json_object_get(item, "name")),
                      &call->write_failed);
        if (!whole)
            json_decref(item);
    }
    call->output = json_object();
    google_put_value(call->output, "snapshots", items, &call->write_failed);
    if (count == size)
        google_put_page_token(call, snapshots[count - 1].name);
    return GH_OK;
}

enum gh_error_code google_snapshot_list(struct google_call *call)
{
    return list(call, (struct gh_slice){0}, true);
}

enum gh_error_code google_topic_snapshots(struct google_call *call)
{
    struct gh_topic topic;
    enum gh_error_code code = gh_pubsub_topic_get(call->services->pubsub, call->tenant.number,
                                                  call->target, call->arena, &topic, &call->error);
    return code == GH_OK ? list(call, topic.name, false) : code;
}

enum gh_error_code google_seek(struct google_call *call)
{
    struct gh_slice full = {0}, snapshot = {0};
    int64_t at_ms = 0;
    bool by_time = gh_json_i64(call->input, "time", &at_ms);
    bool by_snapshot = gh_json_text(call->input, "snapshot", &full) && full.size > 0;
    if (by_time == by_snapshot)
        return google_fail(call, GH_ERROR_INVALID, "time or snapshot: one of them");
    enum gh_error_code code =
        by_time ? GH_OK : google_name_read(call, "snapshot", "snapshots", full, &snapshot);
    if (code == GH_OK && by_snapshot && !google_may(call, GH_PERMISSION_SNAPSHOTS_SEEK))
        code = google_fail(call, GH_ERROR_DENIED, "the caller does not have pubsub.snapshots.seek");
    if (code == GH_OK)
        code = gh_pubsub_seek_wait(call->services->pubsub, call->tenant.number, call->target,
                                   snapshot, at_ms, &call->error);
    if (code == GH_OK)
        google_note(call, NULL, "pubsub.subscriptions.seek");
    return code;
}
