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

static json_t *write_snapshot(struct google_call *call, const void *item)
{
    const struct gh_snapshot *from = item;
    json_t *out = json_object();
    google_put_name_and_topic(call, out, "snapshots", from->name, from->topic);
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
    json_t *given;
    unsigned fields;
    enum gh_error_code code =
        google_update_read(call, "snapshot", mask_fields, GH_COUNT(mask_fields), &given, &fields);
    gh_json_i64(given, "expireTime", &what.expires_at_ms);
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

static enum gh_error_code list(struct google_call *call, struct gh_slice topic,
                               struct gh_slice after, size_t limit, void **items, size_t *count)
{
    struct gh_snapshot *list = NULL;
    enum gh_error_code code =
        gh_pubsub_snapshot_list(call->services->pubsub, call->tenant.number, topic, after, limit,
                                call->arena, &list, count, &call->error);
    *items = list;
    return code;
}

static const struct google_collection snapshots = {.name = "snapshots",
                                                   .item_size = sizeof(struct gh_snapshot),
                                                   .item_name = offsetof(struct gh_snapshot, name),
                                                   .list = list,
                                                   .write = write_snapshot};

enum gh_error_code google_snapshot_list(struct google_call *call)
{
    return google_collection_list(call, &snapshots);
}

enum gh_error_code google_topic_snapshots(struct google_call *call)
{
    return google_collection_list_of_topic(call, &snapshots);
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
