/* Checking what policies come to: what a device can ever receive or publish, and which Deny it can
 * pass by. */
#include "policy/reach.h"
#include "api/policies_internal.h"

struct question {
    struct gh_slice action_name, topic, client, credential, registry, device;
    enum gh_device_action action;
};

static enum gh_error_code read_question(struct call *call, bool names_device, struct question *out)
{
    static const char *const keys[] = {"action",     "topic",    "client",
                                       "credential", "registry", "device"};
    *out = (struct question){0};
    if (!gh_json_only(call->body, keys, names_device ? GH_COUNT(keys) : 4, &call->error) ||
        !gh_json_get_text(call->body, "action", 0, &out->action_name, &call->error) ||
        !gh_json_get_text(call->body, "topic", 0, &out->topic, &call->error) ||
        !gh_json_get_text(call->body, "client", 0, &out->client, &call->error) ||
        !gh_json_get_text(call->body, "credential", 0, &out->credential, &call->error) ||
        !gh_json_get_text(call->body, "registry", 0, &out->registry, &call->error) ||
        !gh_json_get_text(call->body, "device", 0, &out->device, &call->error))
        return call->error.code;
    if ((out->action_name.size == 0) != (out->topic.size == 0))
        return call_fail(call, GH_ERROR_INVALID, "action and topic stand together");
    if ((out->registry.size == 0) != (out->device.size == 0))
        return call_fail(call, GH_ERROR_INVALID, "registry and device stand together");
    bool known =
        out->action_name.size == 0 || gh_device_action_find(out->action_name, &out->action);
    if (!known)
        return call_fail(call, GH_ERROR_INVALID, "action is publish or receive");
    return GH_OK;
}

static json_t *text_or_null(struct gh_slice text)
{
    return text.size > 0 ? json_slice(text) : json_null();
}

static enum gh_error_code answer_question(struct call *call, const struct gh_statements *statements,
                                          const struct question *question)
{
    struct gh_reach reach;
    if (question->topic.size == 0) {
        json_object_set_new(call->answer, "question", json_null());
        return GH_OK;
    }
    enum gh_error_code code = gh_statements_reach(statements, question->action, question->topic,
                                                  call->arena, &reach, &call->error);
    if (code == GH_OK)
        json_object_set_new(
            call->answer, "question",
            json_pack("{s:s, s:o, s:s, s:o, s:o}", "action",
                      gh_device_action_name(question->action), "topic", json_slice(question->topic),
                      "answer", gh_reach_answer_name(reach.answer), "example",
                      text_or_null(reach.topic), "filter", text_or_null(reach.filter)));
    return code;
}

static enum gh_error_code answer_bypasses(struct call *call, const struct gh_statements *statements)
{
    struct gh_reach_bypasses *found = gh_arena_alloc(call->arena, sizeof *found);
    json_t *list = json_array();
    enum gh_error_code code =
        found == NULL ? call_fail(call, GH_ERROR_MEMORY, "policies")
                      : gh_statements_bypasses(statements, call->arena, found, &call->error);
    json_object_set_new(call->answer, "bypasses", list);
    for (size_t i = 0; code == GH_OK && i < found->count; i++) {
        const struct gh_reach_bypass *item = &found->items[i];
        json_array_append_new(
            list, json_pack("{s:o, s:I, s:o, s:o, s:o}", "policy", json_slice(item->deny.document),
                            "statement", (json_int_t)item->deny.statement, "sid",
                            text_or_null(item->deny.sid), "topic", json_slice(item->topic),
                            "filter", json_slice(item->filter)));
    }
    if (code == GH_OK)
        json_object_set_new(call->answer, "undecided", json_integer((json_int_t)found->unknown));
    return code;
}

/* Takes the statements over. */
static enum gh_error_code answer(struct call *call, struct gh_statements *statements,
                                 struct gh_slice client, const struct question *question)
{
    bool connects = gh_statements_allow(statements, GH_DEVICE_ACTION_CONNECT, client, NULL);
    call->answer = json_pack("{s:o, s:b, s:o}", "client", json_slice(client), "connect", connects,
                             "unresolved", policy_unresolved(statements));
    enum gh_error_code code = answer_question(call, statements, question);
    if (code == GH_OK)
        code = answer_bypasses(call, statements);
    gh_statements_unref(statements);
    if (code != GH_OK) {
        json_decref(call->answer);
        call->answer = NULL;
    }
    return code;
}

/* {"action"?, "topic"?, "client"?, "credential"?}: about the policies that hold for the device. */
enum gh_error_code api_device_check(struct call *call)
{
    struct question question;
    struct gh_device device = {0};
    struct gh_statements *statements = NULL;
    enum gh_error_code code = read_question(call, false, &question);
    if (code == GH_OK)
        code =
            policy_compile(call, &device, question.client, question.credential, NULL, &statements);
    if (code != GH_OK)
        return code;
    return answer(call, statements, question.client.size > 0 ? question.client : device.id,
                  &question);
}

/* The document alone, for a device that is nobody's. */
static enum gh_error_code compile_alone(struct call *call, const struct gh_policy_row *row,
                                        struct gh_slice client, struct gh_statements **out)
{
    struct gh_statement_document document = {row->name, row->document};
    struct gh_statement_variables variables = {.tenant = call->tenant.name,
                                               .registry = GH_SLICE("REGISTRY"),
                                               .device = GH_SLICE("DEVICE"),
                                               .client = client};
    *out = gh_statements_compile(&document, 1, &variables, &call->error);
    return *out != NULL ? GH_OK : call->error.code;
}

/* {"registry"?, "device"?, "action"?, "topic"?, "client"?, "credential"?}: about the policy alone,
 * or about a device for which it holds besides those that do already. */
enum gh_error_code api_policy_check(struct call *call)
{
    struct gh_directory *directory = call->api->services.directory;
    struct question question;
    struct gh_policy_row row;
    struct gh_device device = {0};
    struct gh_statements *statements = NULL;
    enum gh_error_code code = read_question(call, true, &question);
    if (code == GH_OK)
        code = gh_directory_policy_get(directory, call->tenant.number, call->captures[1],
                                       call->arena, &row, &call->error);
    if (code == GH_OK && question.device.size > 0)
        code = gh_directory_device_find(directory, call->tenant.number, question.registry,
                                        (struct gh_slice){0}, question.device, call->arena, &device,
                                        &call->error);
    if (code != GH_OK)
        return code;
    if (question.client.size == 0)
        question.client = question.device.size > 0 ? device.id : GH_SLICE("DEVICE");
    code = question.device.size > 0 ? policy_compile(call, &device, question.client,
                                                     question.credential, &row, &statements)
                                    : compile_alone(call, &row, question.client, &statements);
    return code == GH_OK ? answer(call, statements, question.client, &question) : code;
}
