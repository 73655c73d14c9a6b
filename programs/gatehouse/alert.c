/* Alerts about devices that are away. */
#include "programs/gatehouse/cli.h"
#include "wire/json.h"
#include <string.h>

/* "10m", "halls=10m", "halls/lamp=30s" or "group:doors=1m"; NULL for another form. */
static json_t *read_rule(const char *text)
{
    struct gh_slice rest = gh_slice_text(text), place = {0}, device = {0};
    const char *equals = strrchr(text, '=');
    if (equals != NULL)
        place = gh_slice(text, (size_t)(equals - text));
    long after_s = cli_seconds(equals != NULL ? equals + 1 : text);
    if (after_s == 0 || (equals != NULL && place.size == 0))
        return NULL;
    json_t *rule = json_pack("{s:I}", "after_s", (json_int_t)after_s);
    const struct gh_slice group = GH_SLICE("group:");
    if (gh_slice_starts(place, group)) {
        place = gh_slice_sub(place, group.size, place.size);
        json_object_set_new(rule, "group", gh_json_new_text(place));
    } else if (place.size > 0) {
        rest = place;
        place = gh_slice_split(&rest, '/');
        device = rest;
        json_object_set_new(rule, "registry", gh_json_new_text(place));
        if (device.size > 0)
            json_object_set_new(rule, "device", gh_json_new_text(device));
    }
    return rule;
}

/* NULL after a wrong use that was said. */
static json_t *read_rules(struct cli *cli)
{
    const char *text, *topic = cli_option(cli, "topic");
    json_t *rules = json_array(), *rule;
    for (size_t i = 0; (text = cli_option_nth(cli, "offline", i)) != NULL; i++) {
        rule = read_rule(text);
        if (rule == NULL) {
            json_decref(rules);
            cli_usage(cli, "--offline is TIME or PLACE=TIME, a time like 10m");
            return NULL;
        }
        json_array_append_new(rules, rule);
    }
    if ((json_array_size(rules) == 0) != (cli_option(cli, "none") != NULL)) {
        json_decref(rules);
        cli_usage(cli, "say whose silence is to be told by --offline, or --none alone");
        return NULL;
    }
    return json_pack("{s:s, s:o}", "topic", topic != NULL ? topic : "", "rules", rules);
}

int run_alert_set(struct cli *cli)
{
    json_t *body = read_rules(cli);
    return body != NULL ? cli_call(cli, body) : CLI_USAGE;
}
