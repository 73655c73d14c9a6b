#include "observe/absence_internal.h"
#include "wire/json.h"

static const char *const keys[] = {"topic", "rules"};
static const char *const rule_keys[] = {"registry", "device", "group", "after_s"};

static enum gh_error_code check_rule(const json_t *rule, size_t at, struct gh_error *error)
{
    struct absence_rule out = {0};
    if (!gh_json_only(rule, rule_keys, GH_COUNT(rule_keys), error) ||
        !gh_json_get_text(rule, "registry", 0, &out.registry, error) ||
        !gh_json_get_text(rule, "device", 0, &out.device, error) ||
        !gh_json_get_text(rule, "group", 0, &out.group, error) ||
        !gh_json_get_i64(rule, "after_s", GH_JSON_REQUIRED, &out.after_s, error))
        return error->code;
    if (out.device.size > 0 && out.registry.size == 0)
        return gh_error_set(error, GH_ERROR_INVALID, "rules[%zu]: a device needs its registry", at);
    if (out.group.size > 0 && out.registry.size > 0)
        return gh_error_set(error, GH_ERROR_INVALID,
                            "rules[%zu]: a group stands without a registry", at);
    if (out.after_s < GH_ABSENCE_AFTER_S_MIN || out.after_s > GH_ABSENCE_AFTER_S_MAX)
        return gh_error_set(error, GH_ERROR_RANGE, "rules[%zu].after_s is from %d to %d", at,
                            GH_ABSENCE_AFTER_S_MIN, GH_ABSENCE_AFTER_S_MAX);
    return GH_OK;
}

enum gh_error_code gh_absence_rules_check(const json_t *rules, struct gh_error *error)
{
    struct gh_slice topic;
    json_t *list = NULL;
    enum gh_error_code code = GH_OK;
    if (!gh_json_only(rules, keys, GH_COUNT(keys), error) ||
        !gh_json_get_text(rules, "topic", 0, &topic, error) ||
        !gh_json_get_array(rules, "rules", 0, &list, error))
        return error->code;
    if (json_array_size(list) > GH_ABSENCE_RULES_MAX)
        return gh_error_set(error, GH_ERROR_LIMIT, "rules: at most %d", GH_ABSENCE_RULES_MAX);
    for (size_t i = 0; code == GH_OK && i < json_array_size(list); i++)
        code = check_rule(json_array_get(list, i), i, error);
    return code;
}

bool absence_rule_read(const json_t *rules, size_t at, struct absence_rule *out)
{
    const json_t *rule = json_array_get(json_object_get(rules, "rules"), at);
    *out = (struct absence_rule){0};
    gh_json_text(rule, "registry", &out->registry);
    gh_json_text(rule, "device", &out->device);
    gh_json_text(rule, "group", &out->group);
    gh_json_i64(rule, "after_s", &out->after_s);
    return rule != NULL;
}

struct gh_slice absence_topic(const json_t *rules)
{
    struct gh_slice topic = {0};
    gh_json_text(rules, "topic", &topic);
    return topic;
}

enum nearness { TENANT, REGISTRY, GROUP, DEVICE };

/* Whether the rule fits the device, and how near it is. */
static enum gh_error_code fits(struct gh_store *store, const struct absence_rule *rule,
                               const struct gh_device *device, bool *fit, enum nearness *near,
                               struct gh_error *error)
{
    *near = rule->device.size > 0     ? DEVICE
            : rule->group.size > 0    ? GROUP
            : rule->registry.size > 0 ? REGISTRY
                                      : TENANT;
    if (*near == GROUP)
        return gh_store_group_has(store, rule->group, device->number, fit, error);
    *fit = (*near < REGISTRY || gh_slice_equal(rule->registry, device->registry_name)) &&
           (*near < DEVICE || gh_slice_equal(rule->device, device->id));
    return GH_OK;
}

enum gh_error_code absence_after(struct gh_store *store, const json_t *rules,
                                 const struct gh_device *device, int64_t *after_s,
                                 struct gh_error *error)
{
    struct absence_rule rule;
    enum nearness best = TENANT, near;
    *after_s = 0;
    for (size_t i = 0; absence_rule_read(rules, i, &rule); i++) {
        bool fit;
        enum gh_error_code code = fits(store, &rule, device, &fit, &near, error);
        if (code != GH_OK)
            return code;
        if (!fit || (*after_s != 0 && (near < best || (near == best && rule.after_s >= *after_s))))
            continue;
        best = near;
        *after_s = rule.after_s;
    }
    return GH_OK;
}
