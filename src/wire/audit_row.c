#include "wire/audit_row.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { VERSION = 1, TEXTS = 9 };

static const char *const result_names[GH_AUDIT_RESULTS] = {
    [GH_AUDIT_DONE] = "done",
    [GH_AUDIT_REFUSED] = "refused",
    [GH_AUDIT_FAILED] = "failed",
    [GH_AUDIT_BEGUN] = "begun",
};

const char *gh_audit_result_name(enum gh_audit_result result)
{
    return (unsigned)result < GH_AUDIT_RESULTS ? result_names[result] : "unknown";
}

bool gh_audit_result_parse(struct gh_slice name, enum gh_audit_result *out)
{
    for (unsigned i = 0; i < GH_AUDIT_RESULTS; i++)
        if (gh_slice_equal(name, gh_slice_text(result_names[i]))) {
            *out = (enum gh_audit_result)i;
            return true;
        }
    return false;
}

/* The texts of a row in the order of the canonical form, with their bounds. `exact`: as long as
 * that, or empty. */
struct bounded {
    struct gh_slice text;
    size_t max;
    bool exact;
};

static void texts_of(const struct gh_audit_row *row, struct bounded out[TEXTS])
{
    const struct bounded all[TEXTS] = {
        {row->tenant, GH_AUDIT_NAME_MAX, false},
        {row->method, GH_AUDIT_WORD_MAX, false},
        {row->face, GH_AUDIT_WORD_MAX, false},
        {row->action, GH_AUDIT_ACTION_MAX, false},
        {row->object, GH_AUDIT_OBJECT_MAX, false},
        {row->actor, GH_AUDIT_PSEUDONYM_BYTES, true},
        {row->source, GH_AUDIT_PSEUDONYM_BYTES, true},
        {row->subject, GH_AUDIT_PSEUDONYM_BYTES, true},
        {row->detail, GH_AUDIT_DETAIL_BYTES, true},
    };
    memcpy(out, all, sizeof all);
}

bool gh_audit_row_valid(const struct gh_audit_row *row)
{
    struct bounded texts[TEXTS];
    texts_of(row, texts);
    for (size_t i = 0; i < TEXTS; i++)
        if (texts[i].text.size > texts[i].max ||
            (texts[i].exact && texts[i].text.size != 0 && texts[i].text.size != texts[i].max))
            return false;
    return row->seq > 0 && row->at_ms >= 0 && (unsigned)row->result < GH_AUDIT_RESULTS &&
           row->code >= 0 && row->code <= UINT16_MAX;
}

void gh_audit_row_encode(const struct gh_audit_row *row, struct gh_buffer *out)
{
    struct bounded texts[TEXTS];
    assert(gh_audit_row_valid(row));
    texts_of(row, texts);
    gh_buffer_u8(out, VERSION);
    gh_buffer_u64(out, (uint64_t)row->seq);
    gh_buffer_u64(out, (uint64_t)row->at_ms);
    gh_buffer_u8(out, (uint8_t)row->result);
    gh_buffer_u16(out, (uint16_t)row->code);
    for (size_t i = 0; i < TEXTS; i++)
        gh_buffer_put16(out, texts[i].text);
}

/* --- names of actions --- */

static bool is_capture(struct gh_slice part)
{
    return part.size > 0 && part.data[0] == '{';
}

/* The verb that a method of HTTP is, where the path does not say one. */
static const char *verb_of(struct gh_slice method)
{
    static const struct {
        struct gh_slice method;
        const char *verb;
    } verbs[] = {
        {GH_SLICE_INIT("POST"), "create"},  {GH_SLICE_INIT("PUT"), "put"},
        {GH_SLICE_INIT("PATCH"), "update"}, {GH_SLICE_INIT("DELETE"), "delete"},
        {GH_SLICE_INIT("GET"), "read"},
    };
    for (size_t i = 0; i < GH_COUNT(verbs); i++)
        if (gh_slice_equal(method, verbs[i].method))
            return verbs[i].verb;
    return "call";
}

/* The last two words of a path, captures left out; `verb` is what stands behind a colon. */
struct words {
    struct gh_slice last, before, verb;
    bool ends_in_capture;
};

/* What every path has, and no action is about: "api", ".well-known", "v1", "v1beta1". */
static bool is_prefix(struct gh_slice part)
{
    return gh_slice_equal(part, GH_SLICE("api")) || gh_slice_starts(part, GH_SLICE(".")) ||
           (part.size > 1 && part.data[0] == 'v' && part.data[1] >= '0' && part.data[1] <= '9');
}

static struct words words_of(struct gh_slice pattern)
{
    struct words words = {0};
    while (pattern.size > 0) {
        struct gh_slice part = gh_slice_split(&pattern, '/');
        struct gh_slice name = gh_slice_split(&part, ':');
        words.verb = part;
        words.ends_in_capture = is_capture(name);
        if (name.size == 0 || words.ends_in_capture || is_prefix(name))
            continue;
        words.before = words.last;
        words.last = name;
    }
    return words;
}

char *gh_audit_action(struct gh_slice http_method, struct gh_slice pattern,
                      char out[GH_AUDIT_ACTION_MAX])
{
    struct words words = words_of(pattern);
    bool is_post = gh_slice_equal(http_method, GH_SLICE("POST"));
    bool is_collection = gh_slice_ends(words.last, GH_SLICE("s"));
    if (words.verb.size > 0)
        snprintf(out, GH_AUDIT_ACTION_MAX, "%.*s.%.*s", GH_PRINT(words.last), GH_PRINT(words.verb));
    else if (is_post && !words.ends_in_capture && !is_collection && words.before.size > 0)
        snprintf(out, GH_AUDIT_ACTION_MAX, "%.*s.%.*s", GH_PRINT(words.before),
                 GH_PRINT(words.last));
    else
        snprintf(out, GH_AUDIT_ACTION_MAX, "%.*s.%s", GH_PRINT(words.last), verb_of(http_method));
    return out;
}
