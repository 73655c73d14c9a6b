/* Lists and counts of devices. A list first walks an index for the keys of its page, then reads
 * those devices; what a condition costs is said at its statement. */
#include "store/sqlite/device_internal.h"
#include <assert.h>

enum {
    KEYS_ALL,
    KEYS_TENANT,
    KEYS_REGISTRY,
    KEYS_GIVEN,
    COUNT_ALL,
    COUNT_TENANT,
    COUNT_REGISTRY,
};

/* ?1 tenant, ?2 registry, ?3 ?4 the key after which the page begins; then the conditions, each
 * switched off by 0 or ''. The attributes are searched once per statement and make a set, so that a
 * search reads two tables from end to end and looks nothing up. */
#define CONDITIONS                                                                                 \
    "AND (?5 = '' OR d.id LIKE ?5 ESCAPE '\\' OR d.number IN "                                     \
    "     (SELECT device FROM attributes WHERE key LIKE ?5 ESCAPE '\\' OR value LIKE ?5 ESCAPE "   \
    "'\\')) "                                                                                      \
    "AND (?6 = 0 OR d.is_gateway = (?6 = 1)) "                                                     \
    "AND (?7 = 0 OR d.number IN (SELECT device FROM bindings WHERE gateway = ?7)) "                \
    "AND (?8 = 0 OR d.number IN (SELECT gateway FROM bindings WHERE device = ?8)) "
#define COLUMNS "SELECT d.number, d.registry, d.id FROM devices d "

static const char *const sql[] = {
    [KEYS_ALL] = COLUMNS "WHERE (d.registry, d.id) > (?3, ?4) AND ?1 = 0 AND ?2 = 0 " CONDITIONS
                         "ORDER BY d.registry, d.id",
    [KEYS_TENANT] =
        COLUMNS "WHERE d.tenant = ?1 AND (d.registry, d.id) > (?3, ?4) AND ?2 = 0 " CONDITIONS
                "ORDER BY d.tenant, d.registry, d.id",
    [KEYS_REGISTRY] = COLUMNS
    "WHERE d.registry = ?2 AND d.id > ?4 AND ?3 <= ?2 AND (?1 = 0 OR d.tenant = ?1) " CONDITIONS
    "ORDER BY d.registry, d.id",
    /* ?9 ids and ?10 numbers as JSON arrays. */
    [KEYS_GIVEN] = COLUMNS
    "WHERE d.number IN "
    "(SELECT g.number FROM devices g WHERE g.registry = ?2 "
    " AND g.id IN (SELECT value FROM json_each(?9)) "
    " UNION SELECT value FROM json_each(?10)) "
    "AND d.registry = ?2 AND d.id > ?4 AND ?3 <= ?2 AND (?1 = 0 OR d.tenant = ?1) " CONDITIONS
    "ORDER BY d.id",
    [COUNT_ALL] = "SELECT count(*) FROM devices",
    [COUNT_TENANT] = "SELECT count(*) FROM devices WHERE tenant = ?1",
    [COUNT_REGISTRY] = "SELECT count(*) FROM devices WHERE registry = ?1",
};

struct key {
    uint64_t number;
    int64_t registry;
};

/* "%text%" with LIKE's own signs escaped; empty for no text. */
static bool like_pattern(struct gh_arena *arena, struct gh_slice text, struct gh_slice *out)
{
    *out = (struct gh_slice){0};
    if (text.size == 0)
        return true;
    uint8_t *pattern = gh_arena_alloc(arena, 2 * text.size + 2);
    size_t size = 0;
    if (pattern == NULL)
        return false;
    pattern[size++] = '%';
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '%' || text.data[i] == '_' || text.data[i] == '\\')
            pattern[size++] = '\\';
        pattern[size++] = text.data[i];
    }
    pattern[size++] = '%';
    *out = gh_slice(pattern, size);
    return true;
}

/* Ids hold no sign that JSON escapes (registry/limits.h); one that does is no device's and is left
 * out. */
static bool json_plain(struct gh_slice id)
{
    for (size_t i = 0; i < id.size; i++)
        if (id.data[i] < ' ' || id.data[i] > '~' || id.data[i] == '"' || id.data[i] == '\\')
            return false;
    return id.size <= 255;
}

/* The ids and numbers of the query as two JSON arrays. */
static bool given_print(const struct gh_device_query *query, struct gh_buffer *ids,
                        struct gh_buffer *numbers)
{
    gh_buffer_print(ids, "[");
    for (size_t i = 0; i < query->ids_count; i++)
        if (json_plain(query->ids[i]))
            gh_buffer_print(ids, "%s\"%.*s\"", ids->size > 1 ? "," : "", GH_PRINT(query->ids[i]));
    gh_buffer_print(ids, "]");
    gh_buffer_print(numbers, "[");
    for (size_t i = 0; i < query->numbers_count; i++)
        if (query->numbers[i] <= INT64_MAX)
            gh_buffer_print(numbers, "%s%llu", numbers->size > 1 ? "," : "",
                            (unsigned long long)query->numbers[i]);
    gh_buffer_print(numbers, "]");
    return !ids->overflow && !numbers->overflow;
}

static bool is_given(const struct gh_device_query *query)
{
    return query->ids_count > 0 || query->numbers_count > 0;
}

static const char *keys_statement(const struct gh_device_query *query)
{
    if (is_given(query))
        return sql[KEYS_GIVEN];
    if (query->registry != 0)
        return sql[KEYS_REGISTRY];
    return sql[query->tenant != 0 ? KEYS_TENANT : KEYS_ALL];
}

/* A walk over the keys that a query means. */
struct walk {
    struct gh_sql q;
    struct gh_buffer ids, numbers;
    const struct gh_device_query *query;
};

static enum gh_error_code walk_begin(struct walk *walk, struct gh_link *link,
                                     const struct gh_device_query *query, int64_t after_registry,
                                     struct gh_slice after_id, struct gh_arena *arena,
                                     struct gh_error *error)
{
    enum { GIVEN_BYTES_MAX = 4 * 1024 * 1024 }; /* 10,000 ids of 255 bytes */
    struct gh_slice pattern;
    *walk = (struct walk){.query = query};
    gh_buffer_init(&walk->ids, GIVEN_BYTES_MAX);
    gh_buffer_init(&walk->numbers, GIVEN_BYTES_MAX);
    if (!like_pattern(arena, query->text, &pattern) ||
        (is_given(query) && !given_print(query, &walk->ids, &walk->numbers))) {
        gh_buffer_deinit(&walk->ids);
        gh_buffer_deinit(&walk->numbers);
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory for the list of devices");
    }
    walk->q = gh_sql_open(link, keys_statement(query));
    gh_sql_put_int(&walk->q, query->tenant);
    gh_sql_put_int(&walk->q, query->registry);
    gh_sql_put_int(&walk->q, after_registry);
    gh_sql_put_text(&walk->q, after_id);
    gh_sql_put_text(&walk->q, pattern);
    gh_sql_put_int(&walk->q, query->gateway);
    gh_sql_put_int(&walk->q, (int64_t)query->bound_to);
    gh_sql_put_int(&walk->q, (int64_t)query->gateways_of);
    if (is_given(query)) {
        gh_sql_put_text(&walk->q, gh_buffer_slice(&walk->ids));
        gh_sql_put_text(&walk->q, gh_buffer_slice(&walk->numbers));
    }
    return GH_OK;
}

static bool walk_next(struct walk *walk, struct key *key)
{
    while (gh_sql_next(&walk->q)) {
        key->number = (uint64_t)gh_sql_int(&walk->q);
        key->registry = gh_sql_int(&walk->q);
        if (walk->query->keep == NULL || walk->query->keep(walk->query->keep_context, key->number))
            return true;
    }
    return false;
}

static enum gh_error_code walk_end(struct walk *walk, struct gh_error *error)
{
    enum gh_error_code code = gh_sql_close(&walk->q, error);
    gh_buffer_deinit(&walk->ids);
    gh_buffer_deinit(&walk->numbers);
    return code;
}

/* The keys of one page, and whether others follow. */
static enum gh_error_code keys_read(struct gh_link *link, const struct gh_device_query *query,
                                    int64_t after_registry, struct gh_slice after_id,
                                    size_t page_size, struct gh_rows *keys, bool *more,
                                    struct gh_error *error)
{
    struct walk walk;
    struct key key, *kept;
    *more = false;
    enum gh_error_code code =
        walk_begin(&walk, link, query, after_registry, after_id, keys->arena, error);
    if (code != GH_OK)
        return code;
    while (walk_next(&walk, &key)) {
        *more = keys->count == page_size;
        if (*more || (kept = gh_rows_add(keys, &walk.q)) == NULL)
            break;
        *kept = key;
    }
    return walk_end(&walk, error);
}

static enum gh_error_code list(struct gh_link *link, const struct gh_device_query *query,
                               int64_t after_registry, struct gh_slice after_id,
                               struct gh_arena *arena, struct gh_device **out, size_t *count,
                               bool *more, struct gh_error *error)
{
    size_t used = arena->used, budget = (arena->size_max - used) / 4;
    size_t fit = budget / (sizeof **out + sizeof(struct key));
    size_t page_size = query->page_size < fit ? query->page_size : fit > 0 ? fit : 1;
    struct gh_rows keys = {.arena = arena, .item_size = sizeof(struct key)};
    enum gh_error_code code =
        keys_read(link, query, after_registry, after_id, page_size, &keys, more, error);
    if (code != GH_OK || keys.count == 0)
        return code;
    *out = gh_arena_array(arena, keys.count, sizeof **out);
    if (*out == NULL)
        return gh_error_set(error, GH_ERROR_MEMORY, "the list does not fit its memory limit");
    for (size_t i = 0; code == GH_OK && i < keys.count; i++) {
        if (i > 0 && arena->used - used > budget) {
            *more = true;
            break;
        }
        uint64_t number = ((struct key *)keys.items)[i].number;
        code = gh_device_read(link, number, query->parts, arena, &(*out)[i], error);
        *count += code == GH_OK;
    }
    return code;
}

enum gh_error_code gh_store_device_list(struct gh_store *store, const struct gh_device_query *query,
                                        int64_t after_registry, struct gh_slice after_id,
                                        struct gh_arena *arena, struct gh_device **out,
                                        size_t *count, bool *more, struct gh_error *error)
{
    struct gh_link *link;
    *out = NULL;
    *count = 0;
    *more = false;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    code = list(link, query, after_registry, after_id, arena, out, count, more, error);
    gh_read_end(link);
    return code;
}

/* Without conditions the index knows. */
static enum gh_error_code count_plain(struct gh_link *link, const struct gh_device_query *query,
                                      uint64_t *count, struct gh_error *error)
{
    struct gh_sql q;
    if (query->registry != 0) {
        q = gh_sql_open(link, sql[COUNT_REGISTRY]);
        gh_sql_put_int(&q, query->registry);
    } else if (query->tenant != 0) {
        q = gh_sql_open(link, sql[COUNT_TENANT]);
        gh_sql_put_int(&q, query->tenant);
    } else {
        q = gh_sql_open(link, sql[COUNT_ALL]);
    }
    *count = gh_sql_next(&q) ? (uint64_t)gh_sql_int(&q) : 0;
    return gh_sql_close(&q, error);
}

static enum gh_error_code count_walk(struct gh_link *link, const struct gh_device_query *query,
                                     uint64_t *count, struct gh_error *error)
{
    enum { PATTERN_BYTES_MAX = 64 * 1024 };
    struct walk walk;
    struct key key;
    struct gh_arena arena;
    gh_arena_init(&arena, PATTERN_BYTES_MAX);
    *count = 0;
    enum gh_error_code code =
        walk_begin(&walk, link, query, 0, (struct gh_slice){0}, &arena, error);
    if (code == GH_OK) {
        while (walk_next(&walk, &key))
            ++*count;
        code = walk_end(&walk, error);
    }
    gh_arena_deinit(&arena);
    return code;
}

enum gh_error_code gh_store_device_count(struct gh_store *store,
                                         const struct gh_device_query *query, uint64_t *count,
                                         struct gh_error *error)
{
    struct gh_link *link;
    bool plain = query->text.size == 0 && !is_given(query) && query->gateway == GH_GATEWAY_ANY &&
                 query->bound_to == 0 && query->gateways_of == 0 && query->keep == NULL &&
                 (query->registry == 0 || query->tenant == 0);
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    code = plain ? count_plain(link, query, count, error) : count_walk(link, query, count, error);
    gh_read_end(link);
    return code;
}
