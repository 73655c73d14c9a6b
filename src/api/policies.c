#include "api/policies_internal.h"
#include "identity/certificate_facts.h"
#include "observe/trail.h"

static json_t *policy_to_json(const struct gh_policy_row *row, bool with_document)
{
    json_t *value =
        json_pack("{s:o, s:I, s:o, s:I, s:o, s:o}", "name", json_slice(row->name), "version",
                  (json_int_t)row->version, "etag", json_slice(row->etag), "attachments",
                  (json_int_t)row->attachments, "created_at", json_time(row->created_at_ms),
                  "updated_at", json_time(row->updated_at_ms));
    if (value != NULL && with_document)
        json_object_set_new(value, "document", gh_json_read(row->document, NULL));
    return value;
}

static void note_change(struct call *call, const char *what, struct gh_slice registry,
                        const struct gh_device *device)
{
    call_note(call, what, registry, device, call->captures[1]);
}

enum gh_error_code api_policy_list(struct call *call)
{
    struct gh_policy_row *rows;
    size_t count;
    enum gh_error_code code =
        gh_directory_policy_list(call->api->services.directory, call->tenant.number, call->arena,
                                 &rows, &count, &call->error);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, policy_to_json(&rows[i], false));
    call->answer = json_pack("{s:o}", "policies", list);
    return GH_OK;
}

static json_t *targets_to_json(const struct gh_policy_target *targets, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *target = json_object();
        if (targets[i].registry != 0)
            json_object_set_new(target, "registry", json_slice(targets[i].registry_name));
        if (targets[i].device != 0)
            json_object_set_new(target, "device", json_slice(targets[i].device_id));
        if (targets[i].credential.size > 0)
            json_object_set_new(target, "credential", json_slice(targets[i].credential));
        if (targets[i].group != 0)
            json_object_set_new(target, "group", json_slice(targets[i].group_name));
        json_array_append_new(list, target);
    }
    return list;
}

/* With the places where it is attached; {} is the whole tenant. */
enum gh_error_code api_policy_get(struct call *call)
{
    struct gh_directory *directory = call->api->services.directory;
    struct gh_policy_row row;
    struct gh_policy_target *targets;
    size_t count;
    enum gh_error_code code = gh_directory_policy_get(
        directory, call->tenant.number, call->captures[1], call->arena, &row, &call->error);
    if (code == GH_OK)
        code = gh_directory_policy_targets(directory, call->tenant.number, call->captures[1],
                                           call->arena, &targets, &count, &call->error);
    if (code != GH_OK)
        return code;
    call->answer = policy_to_json(&row, true);
    json_object_set_new(call->answer, "targets", targets_to_json(targets, count));
    return GH_OK;
}

static json_t *warnings_to_json(const struct gh_statement_report *report)
{
    json_t *list = json_array();
    for (size_t i = 0; i < report->warnings_count; i++)
        json_array_append_new(list, json_pack("{s:I, s:s}", "statement",
                                              (json_int_t)report->warnings[i].statement, "text",
                                              report->warnings[i].text));
    return list;
}

/* {"document": {…}, "etag"?}: creates or replaces; the answer has the warnings of the check. */
enum gh_error_code api_policy_put(struct call *call)
{
    static const char *const keys[] = {"document", "etag"};
    struct gh_statement_report *report = gh_arena_alloc(call->arena, sizeof *report);
    json_t *document = NULL;
    struct gh_slice etag = {0};
    struct gh_policy_row row;
    struct gh_buffer text;
    if (report == NULL)
        return call_fail(call, GH_ERROR_MEMORY, "policy");
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_object(call->body, "document", GH_JSON_REQUIRED, &document, &call->error) ||
        !gh_json_get_text(call->body, "etag", 0, &etag, &call->error))
        return call->error.code;
    gh_buffer_init(&text, GH_STATEMENT_DOCUMENT_BYTES_MAX);
    enum gh_error_code code = GH_OK;
    if (!gh_json_write(document, &text))
        code = call_fail(call, GH_ERROR_INVALID, "a policy document has at most %d bytes",
                         GH_STATEMENT_DOCUMENT_BYTES_MAX);
    if (code == GH_OK)
        code = gh_statements_check(gh_buffer_slice(&text), report, &call->error);
    if (code == GH_OK)
        code = gh_directory_policy_put(call->api->services.directory, call->tenant.number,
                                       call->captures[1], gh_buffer_slice(&text), etag, call->arena,
                                       &row, &call->error);
    gh_buffer_deinit(&text);
    if (code != GH_OK)
        return code;
    note_change(call, "POLICY_PUT", (struct gh_slice){0}, NULL);
    call->status = row.version == 1 ? 201 : 200;
    call->answer = policy_to_json(&row, false);
    json_object_set_new(call->answer, "warnings", warnings_to_json(report));
    return GH_OK;
}

enum gh_error_code api_policy_delete(struct call *call)
{
    enum gh_error_code code = gh_directory_policy_delete(
        call->api->services.directory, call->tenant.number, call->captures[1], &call->error);
    if (code == GH_OK)
        note_change(call, "POLICY_DELETED", (struct gh_slice){0}, NULL);
    return code;
}

/* --- attachments --- */

static enum gh_error_code find_group(struct call *call, struct gh_policy_target *target)
{
    struct gh_device_group group;
    if (target->group_name.size == 0)
        return GH_OK;
    enum gh_error_code code =
        gh_directory_group_find(call->api->services.directory, call->tenant.number,
                                target->group_name, call->arena, &group, &call->error);
    target->group = group.number;
    return code;
}

/* Who may attach to a device may not know whether there is one of another name. */
static enum gh_error_code find_device(struct call *call, const struct gh_policy_target *target,
                                      struct gh_device *device)
{
    enum gh_error_code code = gh_directory_device_find(
        call->api->services.directory, call->tenant.number, target->registry_name,
        (struct gh_slice){0}, target->device_id, call->arena, device, &call->error);
    bool may = code == GH_OK ? call_may_on_device(call, GH_PERMISSION_POLICIES_ATTACH, device)
                             : call_may(call, GH_PERMISSION_POLICIES_ATTACH, call->tenant.number);
    return may ? code
               : call_fail(call, GH_ERROR_DENIED, "%s",
                           gh_permission_name(GH_PERMISSION_POLICIES_ATTACH));
}

/* To what is more than one device attaches who may also write the policies of the tenant. */
static enum gh_error_code check_wide(struct call *call)
{
    static const enum gh_permission needed[] = {GH_PERMISSION_POLICIES_ATTACH,
                                                GH_PERMISSION_POLICIES_PUT};
    for (size_t i = 0; i < GH_COUNT(needed); i++)
        if (!call_may(call, needed[i], call->tenant.number))
            return call_fail(call, GH_ERROR_DENIED, "%s", gh_permission_name(needed[i]));
    return GH_OK;
}

/* {"registry"?, "device"?, "credential"?, "group"?}: the credential of the device, the device, the
 * group, else the registry, else the tenant. */
static enum gh_error_code read_target(struct call *call, struct gh_policy_target *out,
                                      struct gh_device *device)
{
    static const char *const keys[] = {"registry", "device", "credential", "group"};
    struct gh_directory *directory = call->api->services.directory;
    struct gh_registry registry;
    *out = (struct gh_policy_target){.tenant = call->tenant.number};
    *device = (struct gh_device){0};
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "registry", 0, &out->registry_name, &call->error) ||
        !gh_json_get_text(call->body, "device", 0, &out->device_id, &call->error) ||
        !gh_json_get_text(call->body, "credential", 0, &out->credential, &call->error) ||
        !gh_json_get_text(call->body, "group", 0, &out->group_name, &call->error))
        return call->error.code;
    if (out->credential.size > 0 && out->device_id.size == 0)
        return call_fail(call, GH_ERROR_INVALID, "credential needs device beside it");
    if (out->group_name.size > 0 && out->registry_name.size > 0)
        return call_fail(call, GH_ERROR_INVALID, "group stands alone");
    if (out->device_id.size > 0 && out->registry_name.size == 0)
        return call_fail(call, GH_ERROR_INVALID, "device needs registry beside it");
    enum gh_error_code code =
        out->device_id.size > 0 ? find_device(call, out, device) : check_wide(call);
    if (code == GH_OK && out->registry_name.size > 0)
        code =
            gh_directory_registry_find(directory, call->tenant.number, out->registry_name,
                                       (struct gh_slice){0}, call->arena, &registry, &call->error);
    if (code == GH_OK)
        code = find_group(call, out);
    if (code == GH_OK && out->registry_name.size > 0)
        out->registry = registry.number;
    out->device = device->number;
    return code;
}

static enum gh_error_code
change_target(struct call *call, const char *what,
              enum gh_error_code (*change)(struct gh_directory *, struct gh_slice,
                                           const struct gh_policy_target *, struct gh_error *))
{
    struct gh_policy_target target;
    struct gh_device device;
    enum gh_error_code code = read_target(call, &target, &device);
    if (code == GH_OK)
        code = change(call->api->services.directory, call->captures[1], &target, &call->error);
    if (code == GH_OK)
        note_change(call, what, target.registry_name, target.device != 0 ? &device : NULL);
    return code;
}

enum gh_error_code api_policy_attach(struct call *call)
{
    return change_target(call, "POLICY_ATTACHED", gh_directory_policy_attach);
}

enum gh_error_code api_policy_detach(struct call *call)
{
    return change_target(call, "POLICY_DETACHED", gh_directory_policy_detach);
}

/* --- what holds for a device --- */

/* The policies of the device, which is the path's unless it was found before. */
static enum gh_error_code effective(struct call *call, struct gh_device *device,
                                    struct gh_slice credential, struct gh_policy_row **rows,
                                    size_t *count)
{
    enum gh_error_code code = device->number != 0 ? GH_OK : call_device(call, device);
    struct gh_policy_target target = {.tenant = device->tenant,
                                      .registry = device->registry,
                                      .device = device->number,
                                      .credential = credential};
    return code == GH_OK ? gh_directory_policy_effective(call->api->services.directory, &target,
                                                         call->arena, rows, count, &call->error)
                         : code;
}

/* What the credential says, when it is a certificate that is registered with the device. */
static struct gh_certificate_facts facts_of(struct call *call, const struct gh_device *device,
                                            struct gh_slice credential)
{
    struct gh_certificate_facts facts = {0};
    for (size_t i = 0; i < device->credentials_count; i++) {
        const struct gh_credential *own = &device->credentials[i];
        bool is_certificate = own->format == GH_CREDENTIAL_RSA_X509_PEM ||
                              own->format == GH_CREDENTIAL_ES256_X509_PEM;
        if (is_certificate && gh_slice_equal(own->id, credential) &&
            !gh_certificate_facts_pem(own->pem, call->arena, &facts))
            return (struct gh_certificate_facts){0};
    }
    return facts;
}

enum gh_error_code policy_compile(struct call *call, struct gh_device *device,
                                  struct gh_slice client, struct gh_slice credential,
                                  const struct gh_policy_row *besides, struct gh_statements **out)
{
    struct gh_policy_row *rows;
    size_t count, used = 0;
    enum gh_error_code code = effective(call, device, credential, &rows, &count);
    if (code != GH_OK)
        return code;
    struct gh_statement_document *documents =
        gh_arena_array(call->arena, count + 1, sizeof *documents);
    if (documents == NULL)
        return call_fail(call, GH_ERROR_MEMORY, "policies");
    for (size_t i = 0; i < count; i++)
        if (besides == NULL || rows[i].number != besides->number)
            documents[used++] = (struct gh_statement_document){rows[i].name, rows[i].document};
    if (besides != NULL)
        documents[used++] = (struct gh_statement_document){besides->name, besides->document};
    struct gh_statement_variables variables = {.tenant = device->tenant_name,
                                               .registry = device->registry_name,
                                               .device = device->id,
                                               .client = client.size > 0 ? client : device->id,
                                               .attributes = device->attributes,
                                               .attributes_count = device->attributes_count};
    struct gh_certificate_facts facts = facts_of(call, device, credential);
    variables.certificate = facts.items;
    variables.certificate_count = facts.count;
    *out = gh_statements_compile(documents, used, &variables, &call->error);
    return *out != NULL ? GH_OK : call->error.code;
}

enum gh_error_code api_device_policies(struct call *call)
{
    struct gh_device device = {0};
    struct gh_policy_row *rows;
    size_t count;
    enum gh_error_code code = effective(call, &device, (struct gh_slice){0}, &rows, &count);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, policy_to_json(&rows[i], true));
    call->answer = json_pack("{s:o}", "policies", list);
    return GH_OK;
}

json_t *policy_unresolved(const struct gh_statements *statements)
{
    size_t count;
    const struct gh_statement_unresolved *rows = gh_statements_unresolved(statements, &count);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list,
                              json_pack("{s:o, s:I, s:o}", "policy", json_slice(rows[i].document),
                                        "statement", (json_int_t)rows[i].statement, "variable",
                                        json_slice(rows[i].variable)));
    return list;
}

static json_t *decision_to_json(const struct gh_statements *statements,
                                enum gh_device_action action, struct gh_slice resource)
{
    struct gh_policy_reason why;
    bool allowed = gh_statements_allow(statements, action, resource, &why);
    bool by_one = why.outcome != GH_POLICY_NO_MATCH;
    return json_pack("{s:b, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "allowed", allowed, "outcome",
                     gh_policy_outcome_name(why.outcome), "action", gh_device_action_name(action),
                     "resource", json_slice(resource), "policy",
                     by_one ? json_slice(why.document) : json_null(), "statement",
                     by_one ? json_integer((json_int_t)why.statement) : json_null(), "sid",
                     why.sid.size > 0 ? json_slice(why.sid) : json_null(), "unresolved",
                     policy_unresolved(statements));
}

/* {"action", "resource", "client"?, "credential"?}: what a session of the device would be told, and
 * why. */
enum gh_error_code api_device_explain(struct call *call)
{
    static const char *const keys[] = {"action", "resource", "client", "credential"};
    struct gh_slice name = {0}, resource = {0}, client = {0}, credential = {0};
    struct gh_device device = {0};
    enum gh_device_action action;
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "action", GH_JSON_REQUIRED, &name, &call->error) ||
        !gh_json_get_text(call->body, "resource", GH_JSON_REQUIRED, &resource, &call->error) ||
        !gh_json_get_text(call->body, "client", 0, &client, &call->error) ||
        !gh_json_get_text(call->body, "credential", 0, &credential, &call->error))
        return call->error.code;
    if (!gh_device_action_find(name, &action))
        return call_fail(call, GH_ERROR_INVALID,
                         "action is connect, publish, subscribe, receive or retain");
    if (client.size == 0 && action == GH_DEVICE_ACTION_CONNECT)
        client = resource;
    struct gh_statements *statements = NULL;
    enum gh_error_code code = policy_compile(call, &device, client, credential, NULL, &statements);
    if (code != GH_OK)
        return code;
    call->answer = decision_to_json(statements, action, resource);
    gh_statements_unref(statements);
    return GH_OK;
}
