/* One call of Google's service API, without I/O: what was asked, by whom, and what is answered. The
 * shell (google.c) fills the first part, google_call_run does the rest on a worker thread and ends
 * in `finish`, at once or, for calls that wait, later and on another thread.
 *
 * A handler is a plain function behind one row of the route table: permission was checked, the body
 * read by its message table, the query's names looked at. Everything that it makes lives in the
 * call's arena; its JSON values hang on the call and go with it. */
#ifndef GH_DIALECT_GOOGLE_REST_INTERNAL_H
#define GH_DIALECT_GOOGLE_REST_INTERNAL_H

#include "audit/audit.h"
#include "base/arena.h"
#include "dialect/google/google.h"
#include "dialect/google/message_internal.h"
#include "policy/permission.h"
#include "registry/directory.h"
#include "route/rate.h"

enum {
    GOOGLE_CAPTURES_MAX = 5,
    GOOGLE_PAGE_SIZE_DEFAULT = 100,
    GOOGLE_PAGE_SIZE_MAX = 500,
    GOOGLE_ID_FILTERS_MAX = 10000,
    GOOGLE_PULL_BYTES_MAX = 8 * 1024 * 1024, /* of data, before base64 */
    GOOGLE_SETTINGS_BYTES_MAX = 16 * 1024,
};

/* How the patterns of a topic's and a subscription's routes begin. */
#define GOOGLE_TOPICS_PATTERN "/v1/projects/{p}/topics/"
#define GOOGLE_SUBSCRIPTIONS_PATTERN "/v1/projects/{p}/subscriptions/"

struct google_answers;
struct google_call;
struct google_status;
typedef enum gh_error_code google_handler(struct google_call *call);

/* The row that a call leaves in the audit trail. Every route but those of GET leaves one, in the
 * transaction of its change, unless it says otherwise. */
enum google_audit {
    GOOGLE_AUDIT_CHANGE,
    GOOGLE_AUDIT_NOT,   /* it changes nothing, or moves messages, which have a log of their own */
    GOOGLE_AUDIT_AHEAD, /* before it begins: what it does is not in the database */
};

struct google_route {
    const char *method, *pattern;
    enum google_audit audit;
    const char *group_pattern;     /* the same below groups/{g}, or NULL */
    enum gh_permission permission; /* GH_PERMISSION_COUNT: the handler decides */
    google_handler *handler;
    void (*waiting)(
        struct google_call *call);     /* instead of handler: calls google_call_end itself, once */
    const struct google_message *body; /* NULL: a body is not looked at */
    const char *parameters[10];        /* of the query, in lowerCamelCase */
};

/* How a stream pulls, beside what a pull over REST says. */
struct google_pull_terms {
    /* What may be taken now; no messages: the pull only waits. Asked before every piece of its
     * waiting, on any thread. */
    void (*room)(void *context, size_t *messages, size_t *bytes);
    void *context;
    uint32_t ack_deadline_s; /* 0: the subscription's */
    bool is_ordered;         /* the answer's: what the subscription says */
};

struct google_call {
    const struct gh_google_services *services;
    struct google_answers *answers; /* answers.h; NULL: nobody listens */
    struct gh_arena *arena;
    struct gh_slice method, path, query, body; /* as they were sent */
    /* Of gRPC: the body as a value, the call's to give back, and which handler must answer. */
    json_t *document;
    google_handler *handler;
    void (*waiting)(struct google_call *call);
    const char *peer;
    struct gh_caller caller;      /* NOBODY: no proof, or a wrong one */
    struct gh_slice token;        /* that it came with; at the HTTP bridge a device's */
    const struct gh_slice *chain; /* what the peer showed over TLS */
    size_t chain_count;
    void (*finish)(
        struct google_call *call); /* the answer is there; called once, from any thread */

    /* NULL, or has `fn` called exactly once when nobody waits for the answer any more, or it was
     * sent. */
    void (*on_gone)(struct google_call *call, void (*fn)(void *context), void *context);

    struct google_pull_terms *terms; /* of a pull on behalf of a stream; or NULL */
    struct gh_slice face;            /* for the audit trail: "google", "grpc" */
    struct gh_audit_deed deed;
    char action[GH_AUDIT_ACTION_MAX];

    int64_t now_ms;
    const struct google_route *route;
    const struct bridge_route *bridge_route;          /* instead, at the HTTP bridge */
    struct gh_slice project, location, registry_name; /* of the path; empty where it has none */
    struct gh_slice target; /* the last name of the path: device, topic, subscription */
    bool tenant_found, registry_found;
    struct gh_tenant tenant;
    struct gh_registry registry;
    struct gh_policy_scope scope; /* where the path points, for permissions */
    json_t *input;                /* the body, read by route->body: an object */
    json_t *output;               /* the answer; NULL: {} */
    bool write_failed;            /* a writer of message_internal.h had no memory */
    enum gh_error_code code;
    struct gh_error error;
    const struct google_status *status; /* of the failure; NULL: as its code says */
    const char *bad_field;              /* named in the failure's details; static; or NULL */
};

/* Sets the caller: NOBODY without a token or with a wrong one. Fails when the store does. */
GH_MUST_USE enum gh_error_code google_call_authenticate(struct google_call *call,
                                                        struct gh_slice token);
/* Who is calling, and that it may where the path points: before a handler runs, and again while it
 * waits, so that a token that is revoked or a right that goes ends the waiting. */
GH_MUST_USE enum gh_error_code google_call_judge(struct google_call *call);
/* From "Bearer X", or the API key of clients that were given one; empty when neither is there. */
struct gh_slice google_token_of(struct gh_slice authorization, struct gh_slice api_key);
const struct gh_google_services *google_services_of(const struct gh_google *google);
struct google_answers *google_answers_of(const struct gh_google *google);
/* Serves the call. */
void google_call_run(struct google_call *call);
/* Sets the outcome and calls `finish`. For handlers that wait. */
void google_call_end(struct google_call *call, enum gh_error_code code);
/* Prints the answer's body and returns its HTTP status. */
int google_call_print(struct google_call *call, struct gh_buffer *out);
/* The text of a call that failed, cut to `size`, for its peer; logs what is the operator's. */
const struct google_status *google_call_explain(struct google_call *call, char *out, size_t size);
/* Gives back what the call holds beside its arena. */
void google_call_deinit(struct google_call *call);

/* Sets call->error and returns the code. */
enum gh_error_code google_fail(struct google_call *call, enum gh_error_code code,
                               const char *format, ...) GH_PRINTF(3, 4);
/* Whether the caller has the permission where the path points, beside the route's own. */
GH_MUST_USE bool google_may(struct google_call *call, enum gh_permission permission);
/* Writes a change to the trail: what was done, to which device (NULL: none). */
void google_note(struct google_call *call, const struct gh_device *device, const char *what);

/* ---- rates (rest_rate.c) ---- */

/* LIMIT when one more is over the tenant's rate; otherwise it is counted. `number` as in
 * route/rate.h. */
GH_MUST_USE enum gh_error_code google_rate_check(struct google_call *call, int64_t tenant,
                                                 uint64_t number, enum gh_rate_kind kind);
/* The same for so many bytes at once: taken whole when one is within the rate. */
GH_MUST_USE enum gh_error_code
google_rate_check_bytes(struct google_call *call, const struct gh_rate_thing *bytes, size_t size);
/* The same for what the route does, by its permission. */
GH_MUST_USE enum gh_error_code google_rate_check_route(struct google_call *call);

/* ---- routes and the query (rest_route.c) ---- */

/* Sets the route and the names of the path; NOT_FOUND when no row fits. */
GH_MUST_USE enum gh_error_code google_route_find(struct google_call *call);
/* INVALID when the query names something that the route does not take. */
GH_MUST_USE enum gh_error_code google_parameters_check(struct google_call *call);

/* The same for a list of names, NULL at its end. */
GH_MUST_USE enum gh_error_code google_query_check(struct google_call *call,
                                                  const char *const names[], size_t count);

/* The first value under the name, in either spelling; empty when there is none. */
struct gh_slice google_query(const struct google_call *call, const char *name);
/* Walks the values under a repeated name; `*rest` begins as call->query. */
bool google_query_each(const struct google_call *call, struct gh_slice *rest, const char *name,
                       struct gh_slice *out);
/* A number from 0 to 2^31-1; absent is 0. */
GH_MUST_USE enum gh_error_code google_query_number(struct google_call *call, const char *name,
                                                   size_t *out);

/* ---- pages (page.c) ---- */

/* pageSize, with the default and cut to the maximum. */
GH_MUST_USE enum gh_error_code google_page_size(struct google_call *call, size_t *out);
/* The name after which this page of a Pub/Sub list begins, from pageToken; empty at the start. */
GH_MUST_USE enum gh_error_code google_page_token_read(struct google_call *call,
                                                      struct gh_slice *after);
/* Puts the token of the page after `last` into call->output. */
void google_put_page_token(struct google_call *call, struct gh_slice last);

/* ---- masks (mask.c) ---- */

struct google_mask_field {
    const char *path; /* lowerCamelCase, dots between */
    unsigned bits;
};
/* The paths of an update mask as bits; INVALID when it is empty or names another field. */
GH_MUST_USE enum gh_error_code google_mask_read(struct google_call *call, struct gh_slice mask,
                                                const struct google_mask_field *fields,
                                                size_t count, unsigned *bits);
/* Copies the members of `from` that the field mask names to `to`; INVALID for a path that `message`
 * does not have. */
GH_MUST_USE enum gh_error_code google_mask_copy(struct google_call *call, struct gh_slice mask,
                                                const struct google_message *message, json_t *from,
                                                json_t *to);

/* ---- collections of Pub/Sub (rest_collection.c) ---- */

struct google_collection {
    const char *name;            /* in paths and in answers: "topics" */
    size_t item_size, item_name; /* of what `list` gives: how large, and where its name stands */
    /* Those behind `after`, at most `limit`; of all topics when `topic` is empty. */
    enum gh_error_code (*list)(struct google_call *call, struct gh_slice topic,
                               struct gh_slice after, size_t limit, void **items, size_t *count);
    json_t *(*write)(struct google_call *call, const void *item);
};
/* A page of the tenant's, into call->output; and of the names of those that belong to the topic
 * which the path names. */
GH_MUST_USE enum gh_error_code google_collection_list(struct google_call *call,
                                                      const struct google_collection *collection);
GH_MUST_USE enum gh_error_code
google_collection_list_of_topic(struct google_call *call,
                                const struct google_collection *collection);
/* An update: the object under `member` (NULL: it is not there), and the mask as bits. */
GH_MUST_USE enum gh_error_code google_update_read(struct google_call *call, const char *member,
                                                  const struct google_mask_field *fields,
                                                  size_t count, json_t **given, unsigned *bits);
void google_put_name_and_topic(struct google_call *call, json_t *object, const char *collection,
                               struct gh_slice name, struct gh_slice topic);
/* messageRetentionDuration; 0 when it is not said. */
GH_MUST_USE enum gh_error_code google_retention_read(struct google_call *call,
                                                     const json_t *message, int64_t *retention_ms);
/* Labels: kept as the text of a JSON object, empty when there are none. */
GH_MUST_USE enum gh_error_code google_settings_read(struct google_call *call, json_t *message,
                                                    struct gh_slice *out);
void google_put_settings(struct google_call *call, json_t *object, struct gh_slice settings);

/* ---- errors (error.c) ---- */

struct google_status {
    const char *name; /* "NOT_FOUND" */
    int grpc, http;
    bool hidden; /* the text is the operator's; the peer gets a general one */
};
const struct google_status *google_status_of(enum gh_error_code code);

/* ---- names (name.c) ---- */

/* "projects/p/topics/t" to "t"; INVALID when it is another form or another project than the call's.
 */
GH_MUST_USE enum gh_error_code google_topic_read(struct google_call *call, const char *field,
                                                 struct gh_slice full, struct gh_slice *plain);
/* The same of another collection: "snapshots". */
GH_MUST_USE enum gh_error_code google_name_read(struct google_call *call, const char *field,
                                                const char *collection, struct gh_slice full,
                                                struct gh_slice *plain);
/* "projects/<the tenant's project>/<collection>/<name>"; NULL at the arena's ceiling. */
const char *google_name_print(struct google_call *call, const char *collection,
                              struct gh_slice name);
/* "cloudiot.devices.create": Google's spelling of a permission; NULL at the arena's ceiling. */
const char *google_permission_print(struct google_call *call, enum gh_permission permission);
GH_MUST_USE bool google_permission_read(struct gh_slice name, enum gh_permission *out);

/* ---- the HTTP bridge (bridge.c) ---- */

/* Whether the call is the bridge's; then its names are set. */
GH_MUST_USE bool google_bridge_find(struct google_call *call);
/* Serves it, by `token`. */
void google_bridge_run(struct google_call *call);

/* ---- messages of the device manager ---- */

extern const struct google_message google_registry_message, google_device_message,
    google_import_message;
extern const struct google_enum google_gateway_types, google_log_levels;

/* Settings of a registry from a message that was read; slices borrow from it. */
GH_MUST_USE enum gh_error_code google_registry_read(struct google_call *call, json_t *message,
                                                    struct gh_registry *out);
json_t *google_registry_write(struct google_call *call, const struct gh_registry *registry);
GH_MUST_USE enum gh_error_code google_device_read(struct google_call *call, json_t *message,
                                                  struct gh_device *out);
/* Its state, which only an import may bring. */
void google_device_read_state(json_t *message, struct gh_device *out);
json_t *google_device_write(struct google_call *call, const struct gh_device *device);
json_t *google_config_write(struct google_call *call, const struct gh_config *config);
json_t *google_state_write(struct google_call *call, const struct gh_state *state);

/* ---- handlers, by the file that has them ---- */

extern const struct google_message google_config_change_message, google_command_message,
    google_binding_message, google_policy_get_message, google_policy_set_message,
    google_policy_test_message;
google_handler google_registry_create, google_registry_get, google_registry_update,
    google_registry_delete, google_registry_list; /* rest_registry.c */
google_handler google_device_create, google_device_get, google_device_update, google_device_delete,
    google_device_list, google_gateway_bind, google_gateway_unbind;         /* rest_device.c */
google_handler google_device_import;                                        /* rest_import.c */
google_handler google_config_modify, google_config_versions, google_states; /* rest_document.c */
void google_command_send(struct google_call *call);
google_handler google_policy_get, google_policy_set, google_policy_test, google_pubsub_policy_get,
    google_pubsub_policy_set, google_pubsub_policy_test; /* rest_policy.c */
/* The policy of the topic or subscription that the path names; empty when it has none. NOT_FOUND
 * when there is no such, or the path names another thing. */
GH_MUST_USE enum gh_error_code google_pubsub_policy_find(struct google_call *call,
                                                         struct gh_slice *policy);

extern const struct google_message google_topic_message, google_publish_message,
    google_topic_update_message, google_subscription_message, google_subscription_update_message,
    google_push_message, google_push_config_message, google_pull_message,
    google_acknowledge_message, google_deadline_message, google_snapshot_create_message,
    google_snapshot_update_message, google_seek_message;
google_handler google_topic_create, google_topic_get, google_topic_update, google_topic_delete,
    google_topic_list, google_publish; /* rest_topic.c */
google_handler google_subscription_create, google_subscription_get, google_subscription_update,
    google_subscription_delete, google_subscription_list, google_topic_subscriptions,
    google_modify_push, google_detach;                     /* rest_subscription.c */
google_handler google_acknowledge, google_modify_deadline; /* rest_pull.c */
void google_pull(struct google_call *call);
/* There is room again: a pull that only waits looks anew. `context` is what `on_gone` was given;
 * between then and `finish`. */
void google_pull_wake(void *context);
google_handler google_snapshot_create, google_snapshot_get, google_snapshot_update,
    google_snapshot_delete, google_snapshot_list, google_topic_snapshots,
    google_seek; /* rest_snapshot.c */
struct gh_received;
/* google.pubsub.v1.PubsubMessage. */
json_t *google_message_write(struct google_call *call, const struct gh_received *received);
/* A push configuration (NULL, or without an endpoint: none) as the subscription keeps it, once it
 * is checked; and back, as a member of `object`. */
GH_MUST_USE enum gh_error_code google_push_read(struct google_call *call, json_t *config,
                                                struct gh_slice *out);
void google_put_push(struct google_call *call, json_t *object, struct gh_slice push);
/* A subscription has changed. */
void google_push_tell(const struct google_call *call);
/* The device that the path names, in the call's registry. */
GH_MUST_USE enum gh_error_code google_device_find(struct google_call *call, struct gh_device *out);
#endif
