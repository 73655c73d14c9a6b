/* The audit trail over HTTP: its rows, whether they hold, checkpoints, proofs; and what its keepers
 * may do with it. Everything that is needed to take the hashes again is in the answers, so that a
 * client need not believe the server. */
#include "audit/audit.h"
#include "api/call_internal.h"

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 1000, CHECKPOINTS_MAX = 1000 };

static enum gh_error_code answer_rows(struct call *call, const struct gh_audit_entry *rows,
                                      size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, gh_audit_entry_to_json(&rows[i]));
    call->answer = json_pack("{s:o}", "rows", list);
    return GH_OK;
}

static enum gh_error_code read_order(struct call *call, struct gh_audit_filter *filter)
{
    struct gh_slice order = call_query(call, "order"), result = call_query(call, "result");
    enum gh_audit_result wanted;
    filter->oldest_first = gh_slice_equal(order, GH_SLICE("oldest"));
    if (order.size > 0 && !filter->oldest_first && !gh_slice_equal(order, GH_SLICE("newest")))
        return call_fail(call, GH_ERROR_INVALID, "order is newest or oldest");
    filter->result = -1;
    if (result.size == 0)
        return GH_OK;
    if (!gh_audit_result_parse(result, &wanted))
        return call_fail(call, GH_ERROR_INVALID, "result is done, refused, failed or begun");
    filter->result = (int)wanted;
    return GH_OK;
}

/* The rows of the house, or of the tenant that the path names: whoever sees one tenant sees no
 * others. */
enum gh_error_code api_audit_list(struct call *call)
{
    struct gh_audit_filter filter = {
        .tenant = call->tenant.number != 0 ? call->tenant.name : call_query(call, "tenant"),
        .actor = call_query(call, "actor"),
        .action = call_query(call, "action"),
        .object = call_query(call, "object")};
    struct gh_audit_entry *rows;
    uint64_t after, before, limit;
    size_t count;
    if (!call_query_u64(call, "after", 0, INT64_MAX, 0, &after) ||
        !call_query_u64(call, "before", 0, INT64_MAX, 0, &before) ||
        !call_query_u64(call, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, &limit) ||
        !call_query_time(call, "from", 0, &filter.from_ms) ||
        !call_query_time(call, "to", 0, &filter.to_ms) || read_order(call, &filter) != GH_OK)
        return call->error.code;
    filter.after = (int64_t)after;
    filter.before = (int64_t)before;
    filter.limit = (size_t)limit;
    enum gh_error_code code = gh_store_audit_list(call->api->services.store, &filter, call->arena,
                                                  &rows, &count, &call->error);
    return code == GH_OK ? answer_rows(call, rows, count) : code;
}

/* False when this server keeps no trail. */
static bool has_trail(struct call *call)
{
    if (call->api->services.audit == NULL)
        call_fail(call, GH_ERROR_UNSUPPORTED, "this server keeps no audit trail");
    return call->api->services.audit != NULL;
}

static json_t *state_to_json(const struct gh_audit_state *state)
{
    return json_pack("{s:b, s:I, s:o, s:I, s:I}", "writable", state->writable, "signed_seq",
                     (json_int_t)state->signed_seq, "signed_at", json_time(state->signed_at_ms),
                     "exported_seq", (json_int_t)state->exported_seq, "broken_seq",
                     (json_int_t)state->broken_seq);
}

/* Takes every hash again, here and now. */
enum gh_error_code api_audit_verify(struct call *call)
{
    struct gh_audit_pages pages = gh_audit_store_pages;
    struct gh_audit_verdict verdict;
    struct gh_audit_state state;
    if (!has_trail(call))
        return call->error.code;
    pages.context = call->api->services.store;
    enum gh_error_code code = gh_audit_verify(&pages, gh_audit_key(call->api->services.audit), NULL,
                                              0, &verdict, &call->error);
    if (code != GH_OK)
        return code;
    gh_audit_state(call->api->services.audit, &state);
    call->answer =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "verdict",
                  gh_audit_fault_name(verdict.fault), "text", verdict.text, "first",
                  (json_int_t)verdict.first, "last", (json_int_t)verdict.last, "bad_first",
                  (json_int_t)verdict.bad_first, "bad_last", (json_int_t)verdict.bad_last,
                  "signed_seq", (json_int_t)verdict.checked, "checkpoints",
                  (json_int_t)verdict.checkpoints, "trail", state_to_json(&state));
    return GH_OK;
}

enum gh_error_code api_audit_checkpoints(struct call *call)
{
    struct gh_audit_checkpoint *rows;
    uint64_t after;
    size_t count;
    if (!has_trail(call) || !call_query_u64(call, "after", 0, INT64_MAX, 0, &after))
        return call->error.code;
    enum gh_error_code code =
        gh_store_audit_checkpoint_list(call->api->services.store, (int64_t)after, CHECKPOINTS_MAX,
                                       call->arena, &rows, &count, &call->error);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, gh_audit_checkpoint_to_json(&rows[i], true));
    call->answer = json_pack("{s:o, s:o}", "checkpoints", list, "key",
                             json_slice(gh_audit_key_pem(call->api->services.audit)));
    return GH_OK;
}

enum gh_error_code api_audit_prove(struct call *call)
{
    struct gh_audit_proof proof = {0};
    uint64_t seq;
    if (!gh_slice_to_u64(call->captures[0], &seq) || seq == 0 || seq >= INT64_MAX)
        return call_fail(call, GH_ERROR_INVALID, "a row has a number from 1 on");
    enum gh_error_code code =
        gh_audit_prove(call->api->services.store, (int64_t)seq, call->arena, &proof, &call->error);
    if (code == GH_OK)
        call->answer = gh_audit_proof_to_json(&proof);
    return code;
}

/* Signs what there is now, for whoever is about to copy the data folder. */
enum gh_error_code api_audit_checkpoint(struct call *call)
{
    struct gh_audit_state state;
    if (!has_trail(call))
        return call->error.code;
    enum gh_error_code code = gh_audit_checkpoint(call->api->services.audit, &call->error);
    if (code != GH_OK)
        return code;
    gh_audit_state(call->api->services.audit, &state);
    call->answer = state_to_json(&state);
    return GH_OK;
}

/* {seq}: the rows up to the newest checkpoint at or before it go. */
enum gh_error_code api_audit_cut(struct call *call)
{
    static const char *const keys[] = {"seq"};
    int64_t seq = 0, cut;
    if (!has_trail(call) || !gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_i64(call->body, "seq", GH_JSON_REQUIRED, &seq, &call->error))
        return call->error.code;
    if (seq < 1)
        return call_fail(call, GH_ERROR_RANGE, "seq is a number from 1 on");
    enum gh_error_code code =
        gh_audit_cut(call->api->services.audit, seq, &call->deed.note, &cut, &call->error);
    if (code == GH_OK && cut == 0)
        code = call_fail(call, GH_ERROR_PRECONDITION,
                         "no checkpoint stands at or before row %lld: nothing was removed",
                         (long long)seq);
    if (code != GH_OK)
        return code;
    gh_audit_told(&call->deed);
    call->answer = json_pack("{s:I}", "cut", (json_int_t)cut);
    return GH_OK;
}

/* {name}: its pseudonym stays in the rows and can be tied to it no more. */
enum gh_error_code api_audit_forget(struct call *call)
{
    static const char *const keys[] = {"name"};
    struct gh_slice name;
    if (!has_trail(call) || !gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "name", GH_JSON_REQUIRED, &name, &call->error))
        return call->error.code;
    enum gh_error_code code =
        gh_store_audit_forget(call->api->services.store, name, &call->deed.note, &call->error);
    if (code == GH_OK)
        gh_audit_told(&call->deed);
    return code;
}
