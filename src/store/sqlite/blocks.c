/* Telemetry blocks and the mark up to which the message log is sealed in them. */
#include "base/cursor.h"
#include "store/sqlite/sqlite_internal.h"

enum { BLOCK_CREATE, BLOCK_LIST, BLOCK_TRIM };

static const char *const sql[] = {
    [BLOCK_CREATE] = "INSERT INTO blocks(device, first_ms, last_ms, count, bytes) "
                     "VALUES(?1, ?2, ?3, ?4, ?5)",
    [BLOCK_LIST] = "SELECT number, device, first_ms, last_ms, count, bytes FROM blocks "
                   "WHERE device = ?1 AND last_ms >= ?2 AND last_ms <= ?4 AND first_ms < ?3 "
                   "ORDER BY last_ms DESC, first_ms DESC LIMIT ?5",
    [BLOCK_TRIM] = "DELETE FROM blocks "
                   "WHERE number IN (SELECT number FROM blocks WHERE last_ms < ?1 LIMIT ?2)",
};

static const char sealed_key[] = "telemetry.sealed_offset";

enum { TRIM_BLOCKS_MAX = 256 }; /* per call */

static enum gh_error_code create(struct gh_link *link, const struct gh_block_row *block,
                                 struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[BLOCK_CREATE]);
    gh_sql_put_int(&q, (int64_t)block->device);
    gh_sql_put_int(&q, block->first_ms);
    gh_sql_put_int(&q, block->last_ms);
    gh_sql_put_int(&q, (int64_t)block->count);
    gh_sql_put_bytes(&q, block->bytes);
    return gh_sql_run(&q, NULL, error);
}

enum gh_error_code gh_store_blocks_put(struct gh_store *store, const struct gh_block_row *blocks,
                                       size_t count, uint64_t sealed_offset, struct gh_error *error)
{
    struct gh_link *link;
    uint8_t mark[8];
    struct gh_buffer value = gh_buffer_fixed(mark, sizeof mark);
    gh_buffer_u64(&value, sealed_offset);
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    for (size_t i = 0; code == GH_OK && i < count; i++)
        code = create(link, &blocks[i], error);
    if (code == GH_OK)
        code = gh_meta_put(link, gh_slice_text(sealed_key), gh_buffer_slice(&value), error);
    return gh_write_end(link, code, error);
}

enum gh_error_code gh_store_blocks_sealed(struct gh_store *store, uint64_t *offset,
                                          struct gh_error *error)
{
    struct gh_arena arena;
    struct gh_slice value;
    gh_arena_init(&arena, 4096);
    *offset = 0;
    enum gh_error_code code =
        gh_store_meta_get(store, gh_slice_text(sealed_key), &arena, &value, error);
    struct gh_cursor at = gh_cursor(value);
    if (code == GH_OK && !gh_cursor_u64(&at, offset))
        code = gh_error_set(error, GH_ERROR_STORE_CORRUPT, "%s: %s has the wrong size", store->path,
                            sealed_key);
    gh_arena_deinit(&arena);
    return code == GH_ERROR_NOT_FOUND ? GH_OK : code;
}

static struct gh_sql list_open(struct gh_link *link, uint64_t device, int64_t from_ms,
                               int64_t to_ms, int64_t last_ms_max, int64_t limit)
{
    struct gh_sql q = gh_sql_open(link, sql[BLOCK_LIST]);
    gh_sql_put_int(&q, (int64_t)device);
    gh_sql_put_int(&q, from_ms);
    gh_sql_put_int(&q, to_ms);
    gh_sql_put_int(&q, last_ms_max);
    gh_sql_put_int(&q, limit);
    return q;
}

/* All but the bytes. */
static void block_read(struct gh_sql *q, struct gh_block_row *block)
{
    block->number = gh_sql_int(q);
    block->device = (uint64_t)gh_sql_int(q);
    block->first_ms = gh_sql_int(q);
    block->last_ms = gh_sql_int(q);
    block->count = (uint64_t)gh_sql_int(q);
}

enum gh_error_code gh_store_blocks_list(struct gh_store *store, uint64_t device, int64_t from_ms,
                                        int64_t to_ms, int64_t last_ms_max, size_t limit,
                                        struct gh_arena *arena, struct gh_block_row **out,
                                        size_t *count, struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_link *link;
    struct gh_block_row *row;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = list_open(link, device, from_ms, to_ms, last_ms_max, (int64_t)limit);
    while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL) {
        block_read(&q, row);
        row->bytes = gh_sql_text(&q, arena);
    }
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}

enum gh_error_code
gh_store_blocks_each(struct gh_store *store, uint64_t device, int64_t from_ms, int64_t to_ms,
                     bool (*visit)(void *context, const struct gh_block_row *block), void *context,
                     struct gh_error *error)
{
    struct gh_link *link;
    struct gh_block_row block;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = list_open(link, device, from_ms, to_ms, INT64_MAX, -1);
    while (gh_sql_next(&q)) {
        block_read(&q, &block);
        block.bytes = gh_sql_borrow(&q);
        if (!visit(context, &block))
            break;
    }
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    return code;
}

enum gh_error_code gh_store_blocks_trim(struct gh_store *store, int64_t before_ms, size_t *removed,
                                        struct gh_error *error)
{
    struct gh_link *link;
    int64_t changed = 0;
    *removed = 0;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[BLOCK_TRIM]);
    gh_sql_put_int(&q, before_ms);
    gh_sql_put_int(&q, TRIM_BLOCKS_MAX);
    code = gh_write_end(link, gh_sql_run(&q, &changed, error), error);
    *removed = code == GH_OK ? (size_t)changed : 0;
    return code;
}
