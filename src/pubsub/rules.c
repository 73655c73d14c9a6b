#include "pubsub/rules.h"
#include "wire/json.h"
#include <stddef.h>

enum kind { TEXT, BOOL, NUMBER, SMALL };

/* One row for each member: its name in the text, and where it stands. */
static const struct {
    const char *name;
    enum kind kind;
    size_t at;
} members[] = {
    {"filter", TEXT, offsetof(struct gh_subscription, filter)},
    {"ordered", BOOL, offsetof(struct gh_subscription, is_ordered)},
    {"retains_acked", BOOL, offsetof(struct gh_subscription, retains_acked)},
    {"detached", BOOL, offsetof(struct gh_subscription, is_detached)},
    {"dead_letter_topic", TEXT, offsetof(struct gh_subscription, dead_letter_topic)},
    {"dead_letter_project", TEXT, offsetof(struct gh_subscription, dead_letter_project)},
    {"attempts_max", SMALL, offsetof(struct gh_subscription, attempts_max)},
    {"backoff_min_ms", NUMBER, offsetof(struct gh_subscription, backoff_min_ms)},
    {"backoff_max_ms", NUMBER, offsetof(struct gh_subscription, backoff_max_ms)},
    {"expires_after_ms", NUMBER, offsetof(struct gh_subscription, expires_after_ms)},
    {"push", TEXT, offsetof(struct gh_subscription, push)},
};

/* NULL: it has its default, or there is no memory (`*failed`). */
static json_t *member_write(enum kind kind, const void *at, bool *failed)
{
    struct gh_slice text = kind == TEXT ? *(const struct gh_slice *)at : gh_slice(NULL, 0);
    int64_t number = kind == NUMBER  ? *(const int64_t *)at
                     : kind == SMALL ? (int64_t) * (const uint32_t *)at
                                     : 0;
    bool flag = kind == BOOL && *(const bool *)at;
    if (text.size == 0 && number == 0 && !flag)
        return NULL;
    json_t *value = flag          ? json_true()
                    : number != 0 ? json_integer(number)
                                  : gh_json_new_text(text);
    *failed |= value == NULL;
    return value;
}

bool gh_rules_write(const struct gh_subscription *from, struct gh_buffer *out)
{
    json_t *object = json_object();
    bool failed = object == NULL;
    for (size_t i = 0; !failed && i < GH_COUNT(members); i++) {
        json_t *value = member_write(members[i].kind, (const char *)from + members[i].at, &failed);
        if (value != NULL && json_object_set_new(object, members[i].name, value) != 0)
            failed = true;
    }
    bool written = !failed && (json_object_size(object) == 0 || gh_json_write(object, out));
    json_decref(object);
    return written;
}

static bool member_read(const json_t *object, const char *name, enum kind kind,
                        struct gh_arena *arena, void *at)
{
    struct gh_slice text;
    int64_t number = 0;
    switch (kind) {
    case TEXT:
        return !gh_json_text(object, name, &text) || gh_arena_copy(arena, text, at);
    case BOOL:
        gh_json_bool(object, name, at);
        return true;
    case NUMBER:
        gh_json_i64(object, name, at);
        return true;
    case SMALL:
        gh_json_i64(object, name, &number);
        *(uint32_t *)at = (uint32_t)number;
        return number >= 0 && number <= UINT32_MAX;
    }
    return false;
}

bool gh_rules_read(struct gh_slice text, struct gh_arena *arena, struct gh_subscription *out)
{
    struct gh_error error;
    if (text.size == 0)
        return true;
    json_t *object = gh_json_read(text, &error);
    bool read = json_is_object(object);
    for (size_t i = 0; read && i < GH_COUNT(members); i++)
        read = member_read(object, members[i].name, members[i].kind, arena,
                           (char *)out + members[i].at);
    json_decref(object);
    return read;
}
