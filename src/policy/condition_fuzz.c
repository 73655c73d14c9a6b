/* The input is an address, a line feed and a condition. What passes the check must decide the same
 * twice and say why it does not hold; what does not pass it never holds for an unknown member. */
#include "policy/condition.h"
#include "wire/json.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_slice rest = gh_slice(data, size);
    struct gh_condition_facts facts = {.address = gh_slice_split(&rest, '\n'),
                                       .now_ms = INT64_C(1764000000000) + (int64_t)size * 3600000};
    struct gh_error error = {0};
    json_t *condition = gh_json_read(rest, NULL);
    if (condition == NULL)
        return 0;
    char why[GH_CONDITION_WHY_MAX] = "", again[GH_CONDITION_WHY_MAX] = "";
    bool holds = gh_condition_holds(condition, &facts, why);
    if (holds != gh_condition_holds(condition, &facts, again) || holds != (why[0] == '\0'))
        abort();
    if (gh_condition_check(condition, &error) != GH_OK && error.text[0] == '\0')
        abort();
    json_decref(condition);
    return 0;
}
