/* Any bytes as the rules of absent devices: what passes the check can be read rule by rule, keeps
 * its bounds, and passes again when it was written and read; what does not pass says why. */
#include "observe/absence_internal.h"
#include "wire/json.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_rules(const json_t *rules)
{
    struct absence_rule rule;
    size_t count = 0;
    for (; absence_rule_read(rules, count, &rule); count++) {
        require(rule.after_s >= GH_ABSENCE_AFTER_S_MIN && rule.after_s <= GH_ABSENCE_AFTER_S_MAX);
        require(rule.device.size == 0 || rule.registry.size > 0);
        require(rule.group.size == 0 || (rule.registry.size == 0 && rule.device.size == 0));
    }
    require(count <= GH_ABSENCE_RULES_MAX &&
            count == json_array_size(json_object_get(rules, "rules")));
    (void)absence_topic(rules);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_error error = {0};
    struct gh_buffer text;
    json_t *rules = gh_json_read(gh_slice(data, size), NULL);
    if (rules == NULL)
        return 0;
    if (gh_absence_rules_check(rules, &error) == GH_OK) {
        check_rules(rules);
        gh_buffer_init(&text, GH_JSON_BYTES_MAX);
        require(gh_json_write(rules, &text));
        json_t *again = gh_json_read(gh_buffer_slice(&text), &error);
        require(again != NULL && gh_absence_rules_check(again, &error) == GH_OK &&
                json_equal(rules, again));
        json_decref(again);
        gh_buffer_deinit(&text);
    } else {
        require(error.code != GH_OK && error.text[0] != '\0');
    }
    json_decref(rules);
    return 0;
}
