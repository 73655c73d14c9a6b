#include "policy/condition.h"
#include "base/time.h"
#include "wire/json.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { DAY_MINUTES = 24 * 60, MINUTE_MS = 60 * 1000, PRINT_MAX = 64 };

/* 1970-01-01 was a Thursday. */
static const char *const weekdays[] = {"thu", "fri", "sat", "sun", "mon", "tue", "wed"};

/* --- reading the members --- */

/* "06:30" to minutes. */
static bool read_minutes(struct gh_slice text, int *out)
{
    uint64_t hour, minute;
    if (text.size != 5 || text.data[2] != ':' ||
        !gh_slice_to_u64(gh_slice_sub(text, 0, 2), &hour) ||
        !gh_slice_to_u64(gh_slice_sub(text, 3, 2), &minute) || minute > 59 ||
        hour * 60 + minute > DAY_MINUTES)
        return false;
    *out = (int)(hour * 60 + minute);
    return true;
}

static bool read_hours(struct gh_slice text, int *from, int *to)
{
    return text.size == 11 && text.data[5] == '-' && read_minutes(gh_slice_sub(text, 0, 5), from) &&
           read_minutes(gh_slice_sub(text, 6, 5), to) && *from != *to && *from != DAY_MINUTES;
}

struct network {
    uint8_t bytes[16]; /* IPv4 as ::ffff:a.b.c.d */
    unsigned bits;
};

static bool read_address(struct gh_slice text, struct network *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char host[INET6_ADDRSTRLEN];
    if (text.size > 1 && text.data[0] == '[' && text.data[text.size - 1] == ']')
        text = gh_slice_sub(text, 1, text.size - 2);
    if (text.size == 0 || text.size >= sizeof host || memchr(text.data, '\0', text.size) != NULL)
        return false;
    snprintf(host, sizeof host, "%.*s", GH_PRINT(text));
    out->bits = 128;
    if (inet_pton(AF_INET6, host, out->bytes) == 1)
        return true;
    memcpy(out->bytes, mapped, sizeof mapped);
    return inet_pton(AF_INET, host, out->bytes + sizeof mapped) == 1;
}

/* An address, or a network as ADDRESS/BITS. */
static bool read_network(struct gh_slice text, struct network *out)
{
    struct gh_slice bits = text;
    struct gh_slice host = gh_slice_split(&bits, '/');
    uint64_t count;
    if (!read_address(host, out))
        return false;
    if (host.size == text.size)
        return true;
    unsigned most = gh_slice_find(host, ':') < host.size ? 128 : 32;
    if (!gh_slice_to_u64(bits, &count) || count > most)
        return false;
    out->bits = 128 - most + (unsigned)count;
    return true;
}

static bool contains(const struct network *network, const struct network *address)
{
    unsigned whole = network->bits / 8, rest = network->bits % 8;
    if (memcmp(network->bytes, address->bytes, whole) != 0)
        return false;
    return rest == 0 || (network->bytes[whole] ^ address->bytes[whole]) >> (8 - rest) == 0;
}

static bool weekday_find(struct gh_slice name, size_t *out)
{
    for (*out = 0; *out < GH_COUNT(weekdays); ++*out)
        if (gh_slice_equal(name, gh_slice_text(weekdays[*out])))
            return true;
    return false;
}

/* --- deciding --- */

/* Each says whether its member holds, and fills `why` when not. */

static bool from_holds(const json_t *value, const struct gh_condition_facts *facts, char *why)
{
    int64_t at_ms;
    if (gh_time_parse(gh_json_slice(value), &at_ms) && facts->now_ms >= at_ms)
        return true;
    snprintf(why, GH_CONDITION_WHY_MAX, "it holds from %.*s",
             GH_PRINT(gh_slice_sub(gh_json_slice(value), 0, PRINT_MAX)));
    return false;
}

static bool until_holds(const json_t *value, const struct gh_condition_facts *facts, char *why)
{
    int64_t at_ms;
    if (gh_time_parse(gh_json_slice(value), &at_ms) && facts->now_ms < at_ms)
        return true;
    snprintf(why, GH_CONDITION_WHY_MAX, "it held until %.*s",
             GH_PRINT(gh_slice_sub(gh_json_slice(value), 0, PRINT_MAX)));
    return false;
}

static int64_t minutes_of(int64_t now_ms)
{
    return now_ms >= 0 ? now_ms / MINUTE_MS : 0;
}

static bool hours_hold(const json_t *value, const struct gh_condition_facts *facts, char *why)
{
    int from, to, now = (int)(minutes_of(facts->now_ms) % DAY_MINUTES);
    bool good = read_hours(gh_json_slice(value), &from, &to);
    if (good && (from < to ? now >= from && now < to : now >= from || now < to))
        return true;
    snprintf(why, GH_CONDITION_WHY_MAX, "it holds at %.*s UTC, and it is %02d:%02d",
             GH_PRINT(gh_slice_sub(gh_json_slice(value), 0, PRINT_MAX)), now / 60, now % 60);
    return false;
}

/* The day on which the hours began that now are. */
static size_t weekday_of(const json_t *condition, int64_t now_ms)
{
    int64_t minutes = minutes_of(now_ms);
    int from, to, now = (int)(minutes % DAY_MINUTES);
    bool before = read_hours(gh_json_slice(json_object_get(condition, "hours")), &from, &to) &&
                  to < from && now < to;
    return (size_t)(minutes / DAY_MINUTES + (int64_t)GH_COUNT(weekdays) - (before ? 1 : 0)) %
           GH_COUNT(weekdays);
}

static bool weekdays_hold(const json_t *condition, const json_t *value,
                          const struct gh_condition_facts *facts, char *why)
{
    size_t today = weekday_of(condition, facts->now_ms), day, i;
    char text[PRINT_MAX] = "";
    struct gh_buffer list = gh_buffer_fixed(text, sizeof text - 1);
    json_t *each;
    json_array_foreach(value, i, each)
    {
        if (!weekday_find(gh_json_slice(each), &day))
            continue;
        if (day == today)
            return true;
        gh_buffer_print(&list, "%s%s", list.size > 0 ? " " : "", weekdays[day]);
    }
    snprintf(why, GH_CONDITION_WHY_MAX, "it holds on %.*s, and it is %s",
             GH_PRINT(gh_buffer_slice(&list)), weekdays[today]);
    return false;
}

static bool sources_hold(const json_t *value, const struct gh_condition_facts *facts, char *why)
{
    struct network address, network;
    size_t i;
    json_t *each;
    if (!read_address(facts->address, &address)) {
        snprintf(why, GH_CONDITION_WHY_MAX,
                 "it holds for some addresses, and this one is not known");
        return false;
    }
    json_array_foreach(value, i, each)
    {
        if (read_network(gh_json_slice(each), &network) && contains(&network, &address))
            return true;
    }
    snprintf(why, GH_CONDITION_WHY_MAX, "it does not hold for the address %.*s",
             GH_PRINT(gh_slice_sub(facts->address, 0, PRINT_MAX)));
    return false;
}

static bool member_holds(const json_t *condition, const char *name, const json_t *value,
                         const struct gh_condition_facts *facts, char *why)
{
    static const struct {
        const char *name;
        bool (*holds)(const json_t *value, const struct gh_condition_facts *facts, char *why);
    } members[] = {
        {"from", from_holds},
        {"until", until_holds},
        {"hours", hours_hold},
        {"sources", sources_hold},
    };
    for (size_t i = 0; i < GH_COUNT(members); i++)
        if (strcmp(name, members[i].name) == 0)
            return members[i].holds(value, facts, why);
    if (strcmp(name, "weekdays") == 0)
        return weekdays_hold(condition, value, facts, why);
    if (strcmp(name, "title") == 0)
        return true;
    snprintf(why, GH_CONDITION_WHY_MAX, "it cannot be read");
    return false;
}

bool gh_condition_holds(const json_t *condition, const struct gh_condition_facts *facts,
                        char why[GH_CONDITION_WHY_MAX])
{
    const char *name;
    json_t *value;
    if (condition == NULL)
        return true;
    if (!json_is_object(condition) || json_object_size(condition) == 0) {
        snprintf(why, GH_CONDITION_WHY_MAX, "it cannot be read");
        return false;
    }
    json_object_foreach((json_t *)(uintptr_t)condition, name, value)
    {
        if (!member_holds(condition, name, value, facts, why))
            return false;
    }
    return true;
}

/* --- checking --- */

/* A list of texts that all are `valid`. */
static enum gh_error_code check_list(const json_t *condition, const char *name, size_t most,
                                     bool (*valid)(struct gh_slice text), const char *what,
                                     struct gh_error *error)
{
    json_t *list = NULL, *each;
    size_t i;
    if (!gh_json_get_array(condition, name, GH_JSON_OPTIONAL, &list, error))
        return error->code;
    if (list != NULL && (json_array_size(list) == 0 || json_array_size(list) > most))
        return gh_error_set(error, GH_ERROR_INVALID, "condition.%s: 1 to %zu of them", name, most);
    json_array_foreach(list, i, each)
    {
        if (!json_is_string(each) || !valid(gh_json_slice(each)))
            return gh_error_set(error, GH_ERROR_INVALID, "condition.%s: \"%.*s\" is not %s", name,
                                GH_PRINT(gh_slice_sub(gh_json_slice(each), 0, PRINT_MAX)), what);
    }
    return GH_OK;
}

static bool weekday_valid(struct gh_slice text)
{
    size_t day;
    return weekday_find(text, &day);
}

static bool network_valid(struct gh_slice text)
{
    struct network network;
    return read_network(text, &network);
}

static enum gh_error_code check_window(const json_t *condition, struct gh_error *error)
{
    struct gh_slice from = {0}, until = {0}, hours = {0};
    int64_t from_ms = INT64_MIN, until_ms = INT64_MAX;
    int first, last;
    if (!gh_json_get_text(condition, "from", GH_JSON_OPTIONAL, &from, error) ||
        !gh_json_get_text(condition, "until", GH_JSON_OPTIONAL, &until, error) ||
        !gh_json_get_text(condition, "hours", GH_JSON_OPTIONAL, &hours, error))
        return error->code;
    if ((json_object_get(condition, "from") != NULL && !gh_time_parse(from, &from_ms)) ||
        (json_object_get(condition, "until") != NULL && !gh_time_parse(until, &until_ms)))
        return gh_error_set(error, GH_ERROR_INVALID,
                            "condition.from, condition.until: times like 2026-11-24T03:30:00Z");
    if (from_ms >= until_ms)
        return gh_error_set(error, GH_ERROR_INVALID, "condition.until lies before condition.from");
    if (json_object_get(condition, "hours") != NULL && !read_hours(hours, &first, &last))
        return gh_error_set(error, GH_ERROR_INVALID, "condition.hours: as in 06:00-18:30, UTC");
    return GH_OK;
}

enum gh_error_code gh_condition_check(const json_t *condition, struct gh_error *error)
{
    static const char *const keys[] = {"title", "from", "until", "hours", "weekdays", "sources"};
    struct gh_slice title = {0};
    if (!gh_json_only(condition, keys, GH_COUNT(keys), error) ||
        !gh_json_get_text(condition, "title", GH_JSON_OPTIONAL, &title, error))
        return error->code;
    if (title.size > GH_CONDITION_TITLE_BYTES_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "condition.title: at most %d bytes",
                            GH_CONDITION_TITLE_BYTES_MAX);
    if (json_object_size(condition) == (json_object_get(condition, "title") != NULL ? 1 : 0))
        return gh_error_set(
            error, GH_ERROR_INVALID,
            "condition: at least one of from, until, hours, weekdays and sources is needed");
    enum gh_error_code code = check_window(condition, error);
    if (code == GH_OK)
        code = check_list(condition, "weekdays", GH_COUNT(weekdays), weekday_valid,
                          "one of mon tue wed thu fri sat sun", error);
    return code == GH_OK ? check_list(condition, "sources", GH_CONDITION_SOURCES_MAX, network_valid,
                                      "an address or a network like 10.1.0.0/16", error)
                         : code;
}
