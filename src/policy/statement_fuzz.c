/* The input is three parts with a zero byte between them: a resource to decide about, a client id
 * and a document. What passes the check must compile, and the decision must be the same twice, and
 * when the statements are shared with other devices. */
#include "policy/statement.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gh_attribute attributes[] = {
        {GH_SLICE_INIT("zone"), GH_SLICE_INIT("north*")}, {GH_SLICE_INIT("none"), {NULL, 0}}};
    struct gh_slice rest = gh_slice(data, size);
    struct gh_slice resource = gh_slice_split(&rest, '\0'), client = gh_slice_split(&rest, '\0');
    struct gh_statement_variables values = {.tenant = GH_SLICE("acme"),
                                            .registry = GH_SLICE("plant"),
                                            .device = GH_SLICE("pump-1"),
                                            .client = client,
                                            .attributes = attributes,
                                            .attributes_count = GH_COUNT(attributes),
                                            .deny_unresolved = size % 2 == 1};
    struct gh_statement_document document = {GH_SLICE("p"), rest};
    struct gh_error error = {0};
    enum gh_error_code code = gh_statements_check(rest, NULL, &error);
    struct gh_statements *statements = gh_statements_compile(&document, 1, &values, &error);

    /* Only a resource that its variables blow up passes the one and not the other. */
    if ((code == GH_OK) != (statements != NULL) && error.code != GH_ERROR_LIMIT)
        abort();
    if (statements == NULL)
        return 0;
    struct gh_statements_shelf *shelf = gh_statements_shelf_open();
    struct gh_statements *shared =
        shelf == NULL ? NULL : gh_statements_share(shelf, &document, 1, &values, &error);
    if (shared == NULL)
        abort();
    for (int action = 0; action < GH_DEVICE_ACTION_COUNT; action++) {
        struct gh_policy_reason why;
        bool allowed =
            gh_statements_allow(statements, (enum gh_device_action)action, resource, &why);
        if (allowed != (why.outcome == GH_POLICY_ALLOW) ||
            allowed !=
                gh_statements_allow(statements, (enum gh_device_action)action, resource, NULL) ||
            allowed != gh_statements_allow(shared, (enum gh_device_action)action, resource, NULL))
            abort();
    }
    gh_statements_unref(shared);
    gh_statements_shelf_close(shelf);
    gh_statements_unref(statements);
    return 0;
}
