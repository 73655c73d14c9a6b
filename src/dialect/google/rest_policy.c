#include "dialect/google/rest_internal.h"
#include "policy/binding.h"
#include "pubsub/pubsub.h"
#include "wire/base64.h"

/* google.iam.v1 on registries, topics and subscriptions. The etag is bytes: base64 in JSON.
 * Bindings that this grammar has no words for (policy/binding.h) are neither shown nor touched
 * here. */

static const struct google_field options_fields[] = {
    {.name = "requestedPolicyVersion", .type = GOOGLE_NUMBER}};
static const struct google_message options_message = GOOGLE_FIELDS(options_fields);
static const struct google_field get_fields[] = {
    {.name = "options", .type = GOOGLE_MESSAGE, .message = &options_message}};
const struct google_message google_policy_get_message = GOOGLE_FIELDS(get_fields);

/* A condition is taken here, so that policy/binding.h refuses it by its name. */
static const struct google_field condition_fields[] = {
    {.name = "expression"}, {.name = "title"}, {.name = "description"}, {.name = "location"}};
static const struct google_message condition_message = GOOGLE_FIELDS(condition_fields);
static const struct google_field binding_fields[] = {
    {.name = "role"},
    {.name = "members", .repeated = true},
    {.name = "condition", .type = GOOGLE_MESSAGE, .message = &condition_message},
};
static const struct google_message binding_message = GOOGLE_FIELDS(binding_fields);
static const struct google_field policy_fields[] = {
    {.name = "version", .type = GOOGLE_NUMBER},
    {.name = "bindings", .type = GOOGLE_MESSAGE, .repeated = true, .message = &binding_message},
    {.name = "etag", .type = GOOGLE_BYTES},
};
static const struct google_message policy_message = GOOGLE_FIELDS(policy_fields);
static const struct google_field set_fields[] = {
    {.name = "policy", .type = GOOGLE_MESSAGE, .message = &policy_message},
    {.name = "updateMask"},
};
const struct google_message google_policy_set_message = GOOGLE_FIELDS(set_fields);

static const struct google_field test_fields[] = {{.name = "permissions", .repeated = true}};
const struct google_message google_policy_test_message = GOOGLE_FIELDS(test_fields);

/* The stored policy and its etag; an empty policy is {}. */
static enum gh_error_code write_policy(struct google_call *call, struct gh_slice policy,
                                       struct gh_slice etag)
{
    json_t *bindings = NULL;
    call->output = policy.size == 0 ? json_object() : gh_json_read(policy, &call->error);
    if (call->output == NULL)
        return policy.size == 0 ? GH_ERROR_MEMORY : GH_ERROR_INTERNAL;
    if (gh_json_array(call->output, "bindings", &bindings))
        for (size_t i = json_array_size(bindings); i > 0; i--)
            if (gh_binding_is_native(json_array_get(bindings, i - 1)))
                json_array_remove(bindings, i - 1);
    if (json_array_size(bindings) == 0)
        json_object_del(call->output, "bindings");
    google_put_bytes(call->output, "etag", etag, &call->write_failed);
    return GH_OK;
}

/* Whose policy it is: what is stored there, and how it is replaced (when `etag` is empty or still
 * the stored one's; `*after` is the new one's). */
struct place {
    bool is_found;
    struct gh_slice policy, etag;
    enum gh_error_code (*store)(struct google_call *call, struct gh_slice policy,
                                struct gh_slice etag, struct gh_slice *after);
    const char *deed;
};

static enum gh_error_code store_of_registry(struct google_call *call, struct gh_slice policy,
                                            struct gh_slice etag, struct gh_slice *after)
{
    return gh_directory_registry_policy_set(call->services->directory, call->registry.number,
                                            policy, etag, call->arena, after, &call->error);
}

static struct place place_of_registry(const struct google_call *call)
{
    return (struct place){.is_found = call->registry_found,
                          .policy = call->registry.policy,
                          .etag = call->registry.policy_etag,
                          .store = store_of_registry,
                          .deed = "registries.setIamPolicy"};
}

/* The etag of a policy of Pub/Sub; empty at the arena's ceiling. */
static struct gh_slice etag_of(struct google_call *call, struct gh_slice policy)
{
    uint8_t *etag = gh_arena_alloc(call->arena, GH_PUBSUB_ETAG_BYTES);
    if (etag == NULL)
        return (struct gh_slice){0};
    gh_pubsub_etag(policy, etag);
    return gh_slice(etag, GH_PUBSUB_ETAG_BYTES);
}

static enum gh_error_code store_of_topic(struct google_call *call, struct gh_slice policy,
                                         struct gh_slice etag, struct gh_slice *after)
{
    struct gh_topic what = {
        .tenant = call->tenant.number, .name = call->target, .policy = policy, .policy_etag = etag};
    *after = etag_of(call, policy);
    return gh_pubsub_topic_update(call->services->pubsub, &what, GH_TOPIC_POLICY, call->arena, NULL,
                                  &call->error);
}

static enum gh_error_code store_of_subscription(struct google_call *call, struct gh_slice policy,
                                                struct gh_slice etag, struct gh_slice *after)
{
    struct gh_subscription what = {
        .tenant = call->tenant.number, .name = call->target, .policy = policy, .policy_etag = etag};
    *after = etag_of(call, policy);
    return gh_pubsub_subscription_update(call->services->pubsub, &what, GH_SUBSCRIPTION_POLICY,
                                         call->arena, NULL, &call->error);
}

enum gh_error_code google_pubsub_policy_find(struct google_call *call, struct gh_slice *policy)
{
    struct gh_pubsub *pubsub = call->services->pubsub;
    struct gh_subscription subscription = {0};
    struct gh_topic topic = {0};
    struct gh_slice collection = gh_slice_text(call->route->pattern);
    enum gh_error_code code = GH_ERROR_NOT_FOUND;
    *policy = (struct gh_slice){0};
    if (gh_slice_starts(collection, GH_SLICE(GOOGLE_TOPICS_PATTERN)))
        code = gh_pubsub_topic_get(pubsub, call->tenant.number, call->target, call->arena, &topic,
                                   &call->error);
    else if (gh_slice_starts(collection, GH_SLICE(GOOGLE_SUBSCRIPTIONS_PATTERN)))
        code = gh_pubsub_subscription_get(pubsub, call->tenant.number, call->target, call->arena,
                                          &subscription, &call->error);
    *policy = topic.policy.size != 0 ? topic.policy : subscription.policy;
    return code;
}

static enum gh_error_code place_of_pubsub(struct google_call *call, struct place *out)
{
    bool is_topic =
        gh_slice_starts(gh_slice_text(call->route->pattern), GH_SLICE(GOOGLE_TOPICS_PATTERN));
    *out = (struct place){.store = is_topic ? store_of_topic : store_of_subscription,
                          .deed = is_topic ? "pubsub.topics.setIamPolicy"
                                           : "pubsub.subscriptions.setIamPolicy"};
    enum gh_error_code code = google_pubsub_policy_find(call, &out->policy);
    out->is_found = code == GH_OK;
    out->etag = etag_of(call, out->policy);
    return code;
}

enum gh_error_code google_policy_get(struct google_call *call)
{
    struct place place = place_of_registry(call);
    return write_policy(call, place.policy, place.etag);
}

enum gh_error_code google_pubsub_policy_get(struct google_call *call)
{
    struct place place;
    enum gh_error_code code = place_of_pubsub(call, &place);
    return code == GH_OK ? write_policy(call, place.policy, place.etag) : code;
}

/* Only what the whole policy is made of may stand in the mask; the policy is replaced as a whole.
 */
static enum gh_error_code check_mask(struct google_call *call)
{
    static const struct google_mask_field fields[] = {
        {"bindings", 1}, {"etag", 2}, {"version", 4}, {"*", 8}};
    struct gh_slice mask = {0};
    unsigned bits;
    if (!gh_json_text(call->input, "updateMask", &mask) || mask.size == 0)
        return GH_OK;
    return google_mask_read(call, mask, fields, GH_COUNT(fields), &bits);
}

/* Appends to `kept` the stored bindings that this face does not show. */
static bool keep_native(struct gh_slice policy, json_t *kept)
{
    json_t *stored = gh_json_read(policy, NULL), *bindings = NULL, *each;
    bool appended = true;
    size_t i;
    if (gh_json_array(stored, "bindings", &bindings)) {
        json_array_foreach(bindings, i, each)
        {
            if (gh_binding_is_native(each))
                appended =
                    json_array_append(json_object_get(kept, "bindings"), each) == 0 && appended;
        }
    }
    json_decref(stored);
    return appended;
}

/* What was read is what is replaced: a change in between is a conflict for whoever sent an etag,
 * and for whoever did not when bindings that he does not see stand there. */
static struct gh_slice etag_before(const struct place *place, const json_t *given, bool has_native)
{
    struct gh_slice etag = gh_json_slice(json_object_get(given, "etag"));
    return etag.size == 0 && has_native ? place->etag : etag;
}

static enum gh_error_code set(struct google_call *call, const struct place *place)
{
    json_t *given = NULL;
    struct gh_buffer text;
    struct gh_slice etag;
    enum gh_error_code code = check_mask(call);
    if (code != GH_OK)
        return code;
    if (!gh_json_object(call->input, "policy", &given))
        return google_fail(call, GH_ERROR_INVALID, "policy: it must be given");
    json_t *kept = gh_bindings_check(given, NULL, &call->error);
    if (kept == NULL)
        return call->error.code;
    size_t shown = json_array_size(json_object_get(kept, "bindings"));
    if (!keep_native(place->policy, kept)) {
        json_decref(kept);
        return google_fail(call, GH_ERROR_MEMORY, "policy");
    }
    bool has_native = json_array_size(json_object_get(kept, "bindings")) > shown;
    gh_buffer_init(&text, GH_POLICY_BYTES_MAX);
    if (gh_json_write(kept, &text))
        code = place->store(call, gh_buffer_slice(&text), etag_before(place, given, has_native),
                            &etag);
    else
        code =
            google_fail(call, GH_ERROR_INVALID, "policy: more than %d bytes", GH_POLICY_BYTES_MAX);
    if (code == GH_OK) {
        google_note(call, NULL, place->deed);
        code = write_policy(call, gh_buffer_slice(&text), etag);
    }
    gh_buffer_deinit(&text);
    json_decref(kept);
    return code;
}

enum gh_error_code google_policy_set(struct google_call *call)
{
    struct place place = place_of_registry(call);
    return set(call, &place);
}

enum gh_error_code google_pubsub_policy_set(struct google_call *call)
{
    struct place place;
    enum gh_error_code code = place_of_pubsub(call, &place);
    return code == GH_OK ? set(call, &place) : code;
}

/* What the caller may do here, of what it asks for; nothing on what does not exist. */
static enum gh_error_code test(struct google_call *call, bool is_found)
{
    json_t *asked = NULL, *each, *granted = json_array();
    size_t i;
    gh_json_array(call->input, "permissions", &asked);
    json_array_foreach(asked, i, each)
    {
        enum gh_permission permission;
        if (is_found && google_permission_read(gh_json_slice(each), &permission) &&
            google_may(call, permission) && json_array_append(granted, each) != 0)
            call->write_failed = true;
    }
    call->output = json_object();
    google_put_value(call->output, "permissions", granted, &call->write_failed);
    return GH_OK;
}

enum gh_error_code google_policy_test(struct google_call *call)
{
    return test(call, call->registry_found);
}

enum gh_error_code google_pubsub_policy_test(struct google_call *call)
{
    struct place place;
    return test(call, place_of_pubsub(call, &place) == GH_OK);
}
