/* Rows of the audit trail. The head of the chain is read inside the transaction that adds to it, so
 * that the numbers and hashes of writes that share a commit follow each other, and one that is
 * taken back leaves no gap. */
#include "store/audit.h"
#include "base/secret.h"
#include "store/sqlite/sqlite_internal.h"
#include <string.h>

enum {
    AUDIT_HEAD,
    AUDIT_CREATE,
    AUDIT_NAME_USE,
    AUDIT_NAME_CREATE,
    AUDIT_NAME_DELETE,
    AUDIT_NAMES_CUT,
    AUDIT_ENDS,
    AUDIT_LIST_NEWEST,
    AUDIT_LIST_OLDEST,
    AUDIT_CUT,
    CHECKPOINT_CREATE,
    CHECKPOINT_LIST,
    CHECKPOINT_AT,
    CHECKPOINT_CUT,
};

enum { SALT_BYTES = 16, NAME_BYTES_MAX = 512 };

/* ?1 after, ?2 before, ?3 from, ?4 to, ?5 tenant, ?6 actor, ?7 action, ?8 object, ?9 result, ?10
 * limit. What begins with a text lies between it and the text with the last code point behind it.
 */
#define LIST                                                                                       \
    "SELECT r.seq, at_ms, tenant, method, face, action, object, actor, source, subject, detail, "  \
    "result, code, hash, a.text, s.text, u.text FROM audit r "                                     \
    "LEFT JOIN audit_names a ON a.pseudonym = actor "                                              \
    "LEFT JOIN audit_names s ON s.pseudonym = source "                                             \
    "LEFT JOIN audit_names u ON u.pseudonym = subject "                                            \
    "WHERE r.seq > ?1 AND r.seq < ?2 AND at_ms >= ?3 AND at_ms < ?4 "                              \
    "AND (?5 = '' OR tenant = ?5) "                                                                \
    "AND (?6 = '' OR actor = (SELECT pseudonym FROM audit_names WHERE text = ?6)) "                \
    "AND (?7 = '' OR substr(action, 1, length(?7)) = ?7) "                                         \
    "AND (?8 = '' OR substr(object, 1, length(?8)) = ?8) AND (?9 < 0 OR result = ?9) "
#define CHECKPOINT                                                                                 \
    "SELECT seq, at_ms, hash, root, frontier, key_id, signature FROM audit_checkpoints "

static const char *const sql[] = {
    [AUDIT_HEAD] = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1",
    [AUDIT_CREATE] = "INSERT INTO audit(seq, at_ms, tenant, method, face, action, object, actor, "
                     "source, subject, detail, result, code, hash) "
                     "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    [AUDIT_NAME_USE] = "UPDATE audit_names SET last_seq = ?2 WHERE text = ?1 RETURNING pseudonym",
    [AUDIT_NAME_CREATE] = "INSERT INTO audit_names(text, salt, pseudonym, last_seq) "
                          "VALUES(?1, ?2, ?3, ?4)",
    [AUDIT_NAME_DELETE] = "DELETE FROM audit_names WHERE text = ?1",
    [AUDIT_NAMES_CUT] = "DELETE FROM audit_names WHERE last_seq <= ?1",
    [AUDIT_ENDS] = "SELECT (SELECT min(seq) FROM audit), (SELECT max(seq) FROM audit)",
    [AUDIT_LIST_NEWEST] = LIST "ORDER BY r.seq DESC LIMIT ?10",
    [AUDIT_LIST_OLDEST] = LIST "ORDER BY r.seq LIMIT ?10",
    [AUDIT_CUT] = "DELETE FROM audit WHERE seq <= ?1",
    [CHECKPOINT_CREATE] = "INSERT INTO audit_checkpoints(seq, at_ms, hash, root, frontier, key_id, "
                          "signature) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [CHECKPOINT_LIST] = CHECKPOINT "WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    [CHECKPOINT_AT] = CHECKPOINT "WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1",
    [CHECKPOINT_CUT] = "DELETE FROM audit_checkpoints WHERE seq < ?1",
};

/* --- adding --- */

/* At most `max` bytes, not cut inside a character of UTF-8. */
static struct gh_slice cut(struct gh_slice text, size_t max)
{
    size_t size = text.size;
    if (size > max)
        for (size = max; size > 0 && (text.data[size] & 0xc0) == 0x80;)
            size--;
    return gh_slice(text.data, size);
}

/* A name that was not there, under a salt of its own. */
static enum gh_error_code name_create(struct gh_link *link, struct gh_slice name, int64_t seq,
                                      uint8_t out[GH_AUDIT_PSEUDONYM_BYTES], struct gh_error *error)
{
    uint8_t block[SALT_BYTES + NAME_BYTES_MAX];
    struct gh_buffer salted = gh_buffer_fixed(block, sizeof block);
    gh_random(gh_buffer_reserve(&salted, SALT_BYTES), SALT_BYTES);
    gh_buffer_commit(&salted, SALT_BYTES);
    gh_buffer_put(&salted, name);
    assert(!salted.overflow);
    gh_sha256(gh_buffer_slice(&salted), out);
    struct gh_sql q = gh_sql_open(link, sql[AUDIT_NAME_CREATE]);
    gh_sql_put_text(&q, name);
    gh_sql_put_bytes(&q, gh_slice(block, SALT_BYTES));
    gh_sql_put_bytes(&q, gh_slice(out, GH_AUDIT_PSEUDONYM_BYTES));
    gh_sql_put_int(&q, seq);
    return gh_sql_run(&q, NULL, error);
}

/* The pseudonym of a name, empty for an empty one. */
static enum gh_error_code pseudonym(struct gh_link *link, struct gh_slice name, int64_t seq,
                                    uint8_t block[GH_AUDIT_PSEUDONYM_BYTES], struct gh_slice *out,
                                    struct gh_error *error)
{
    name = cut(name, NAME_BYTES_MAX);
    *out = (struct gh_slice){0};
    if (name.size == 0)
        return GH_OK;
    struct gh_sql q = gh_sql_open(link, sql[AUDIT_NAME_USE]);
    gh_sql_put_text(&q, name);
    gh_sql_put_int(&q, seq);
    bool found = gh_sql_next(&q);
    struct gh_slice stored = found ? gh_sql_borrow(&q) : (struct gh_slice){0};
    if (stored.size == GH_AUDIT_PSEUDONYM_BYTES)
        memcpy(block, stored.data, GH_AUDIT_PSEUDONYM_BYTES);
    while (found && gh_sql_next(&q))
        continue;
    enum gh_error_code code = gh_sql_close(&q, error);
    if (code == GH_OK && !found)
        code = name_create(link, name, seq, block, error);
    *out = gh_slice(block, GH_AUDIT_PSEUDONYM_BYTES);
    return code;
}

static enum gh_error_code head(struct gh_link *link, int64_t *seq, struct gh_merkle_hash *hash,
                               struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[AUDIT_HEAD]);
    *seq = 0;
    *hash = (struct gh_merkle_hash){0};
    if (gh_sql_next(&q)) {
        *seq = gh_sql_int(&q);
        struct gh_slice stored = gh_sql_borrow(&q);
        if (stored.size == sizeof hash->bytes)
            memcpy(hash->bytes, stored.data, sizeof hash->bytes);
    }
    return gh_sql_close(&q, error);
}

static enum gh_error_code row_create(struct gh_link *link, const struct gh_audit_row *row,
                                     const struct gh_merkle_hash *before, struct gh_error *error)
{
    uint8_t block[GH_AUDIT_ROW_BYTES_MAX];
    struct gh_buffer form = gh_buffer_fixed(block, sizeof block);
    gh_audit_row_encode(row, &form);
    assert(!form.overflow);
    struct gh_merkle_hash hash = gh_chain_next(before, gh_buffer_slice(&form));
    struct gh_sql q = gh_sql_open(link, sql[AUDIT_CREATE]);
    gh_sql_put_int(&q, row->seq);
    gh_sql_put_int(&q, row->at_ms);
    gh_sql_put_text(&q, row->tenant);
    gh_sql_put_text(&q, row->method);
    gh_sql_put_text(&q, row->face);
    gh_sql_put_text(&q, row->action);
    gh_sql_put_text(&q, row->object);
    gh_sql_put_bytes(&q, row->actor);
    gh_sql_put_bytes(&q, row->source);
    gh_sql_put_bytes(&q, row->subject);
    gh_sql_put_bytes(&q, row->detail);
    gh_sql_put_int(&q, row->result);
    gh_sql_put_int(&q, row->code);
    gh_sql_put_bytes(&q, gh_slice(hash.bytes, sizeof hash.bytes));
    return gh_sql_run(&q, NULL, error);
}

enum gh_error_code gh_audit_add(struct gh_link *link, const struct gh_audit_note *note,
                                int64_t *seq, struct gh_error *error)
{
    uint8_t actor[GH_AUDIT_PSEUDONYM_BYTES], source[GH_AUDIT_PSEUDONYM_BYTES],
        subject[GH_AUDIT_PSEUDONYM_BYTES];
    struct gh_merkle_hash before;
    struct gh_audit_row row = {.at_ms = note->at_ms,
                               .tenant = cut(note->tenant, GH_AUDIT_NAME_MAX),
                               .method = cut(note->method, GH_AUDIT_WORD_MAX),
                               .face = cut(note->face, GH_AUDIT_WORD_MAX),
                               .action = cut(note->action, GH_AUDIT_ACTION_MAX),
                               .object = cut(note->object, GH_AUDIT_OBJECT_MAX),
                               .detail = note->detail,
                               .result = note->result,
                               .code = note->code};
    enum gh_error_code code = head(link, &row.seq, &before, error);
    row.seq++;
    if (code == GH_OK)
        code = pseudonym(link, note->actor, row.seq, actor, &row.actor, error);
    if (code == GH_OK)
        code = pseudonym(link, note->source, row.seq, source, &row.source, error);
    if (code == GH_OK)
        code = pseudonym(link, note->subject, row.seq, subject, &row.subject, error);
    if (code == GH_OK)
        code = row_create(link, &row, &before, error);
    *seq = row.seq;
    return code;
}

enum gh_error_code gh_store_audit_append(struct gh_store *store, const struct gh_audit_note *note,
                                         int64_t *seq, struct gh_error *error)
{
    struct gh_link *link;
    int64_t added;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    code = gh_write_end(link, gh_audit_add(link, note, &added, error), error);
    if (code == GH_OK && seq != NULL)
        *seq = added;
    return code;
}

/* --- reading --- */

static void filter_put(struct gh_sql *q, const struct gh_audit_filter *filter)
{
    gh_sql_put_int(q, filter->after);
    gh_sql_put_int(q, filter->before == 0 ? INT64_MAX : filter->before);
    gh_sql_put_int(q, filter->from_ms);
    gh_sql_put_int(q, filter->to_ms == 0 ? INT64_MAX : filter->to_ms);
    gh_sql_put_text(q, filter->tenant);
    gh_sql_put_text(q, filter->actor);
    gh_sql_put_text(q, filter->action);
    gh_sql_put_text(q, filter->object);
    gh_sql_put_int(q, filter->result);
    gh_sql_put_int(q, (int64_t)filter->limit);
}

static void hash_read(struct gh_sql *q, struct gh_merkle_hash *out)
{
    struct gh_slice stored = gh_sql_borrow(q);
    if (stored.size == sizeof out->bytes)
        memcpy(out->bytes, stored.data, sizeof out->bytes);
}

static void entry_read(struct gh_sql *q, struct gh_arena *arena, struct gh_audit_entry *entry)
{
    struct gh_audit_row *row = &entry->row;
    row->seq = gh_sql_int(q);
    row->at_ms = gh_sql_int(q);
    row->tenant = gh_sql_text(q, arena);
    row->method = gh_sql_text(q, arena);
    row->face = gh_sql_text(q, arena);
    row->action = gh_sql_text(q, arena);
    row->object = gh_sql_text(q, arena);
    row->actor = gh_sql_text(q, arena);
    row->source = gh_sql_text(q, arena);
    row->subject = gh_sql_text(q, arena);
    row->detail = gh_sql_text(q, arena);
    row->result = (enum gh_audit_result)gh_sql_int(q);
    row->code = (int)gh_sql_int(q);
    hash_read(q, &entry->hash);
    entry->actor_name = gh_sql_text(q, arena);
    entry->source_name = gh_sql_text(q, arena);
    entry->subject_name = gh_sql_text(q, arena);
}

enum gh_error_code gh_store_audit_list(struct gh_store *store, const struct gh_audit_filter *filter,
                                       struct gh_arena *arena, struct gh_audit_entry **out,
                                       size_t *count, struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_audit_entry *entry;
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q =
        gh_sql_open(link, sql[filter->oldest_first ? AUDIT_LIST_OLDEST : AUDIT_LIST_NEWEST]);
    filter_put(&q, filter);
    while (gh_sql_next(&q) && (entry = gh_rows_add(&rows, &q)) != NULL)
        entry_read(&q, arena, entry);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}

enum gh_error_code gh_store_audit_ends(struct gh_store *store, int64_t *first, int64_t *last,
                                       struct gh_error *error)
{
    struct gh_link *link;
    *first = *last = 0;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[AUDIT_ENDS]);
    if (gh_sql_next(&q)) {
        *first = gh_sql_int(&q);
        *last = gh_sql_int(&q);
    }
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    return code;
}

/* --- checkpoints --- */

enum gh_error_code gh_store_audit_checkpoint_put(struct gh_store *store,
                                                 const struct gh_audit_checkpoint *row,
                                                 struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[CHECKPOINT_CREATE]);
    gh_sql_put_int(&q, row->seq);
    gh_sql_put_int(&q, row->at_ms);
    gh_sql_put_bytes(&q, gh_slice(row->hash.bytes, sizeof row->hash.bytes));
    gh_sql_put_bytes(&q, gh_slice(row->root.bytes, sizeof row->root.bytes));
    gh_sql_put_bytes(&q, row->frontier);
    gh_sql_put_text(&q, row->key_id);
    gh_sql_put_bytes(&q, row->signature);
    return gh_write_end(link, gh_sql_run(&q, NULL, error), error);
}

static void checkpoint_read(struct gh_sql *q, struct gh_arena *arena,
                            struct gh_audit_checkpoint *row)
{
    row->seq = gh_sql_int(q);
    row->at_ms = gh_sql_int(q);
    hash_read(q, &row->hash);
    hash_read(q, &row->root);
    row->frontier = gh_sql_text(q, arena);
    row->key_id = gh_sql_text(q, arena);
    row->signature = gh_sql_text(q, arena);
}

enum gh_error_code gh_store_audit_checkpoint_list(struct gh_store *store, int64_t after,
                                                  size_t limit, struct gh_arena *arena,
                                                  struct gh_audit_checkpoint **out, size_t *count,
                                                  struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_audit_checkpoint *row;
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[CHECKPOINT_LIST]);
    gh_sql_put_int(&q, after);
    gh_sql_put_int(&q, (int64_t)limit);
    while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL)
        checkpoint_read(&q, arena, row);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}

static enum gh_error_code checkpoint_at(struct gh_link *link, int64_t seq, struct gh_arena *arena,
                                        struct gh_audit_checkpoint *out, struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[CHECKPOINT_AT]);
    gh_sql_put_int(&q, seq);
    bool found = gh_sql_next(&q);
    if (found)
        checkpoint_read(&q, arena, out);
    enum gh_error_code code = gh_sql_close(&q, error);
    return code == GH_OK && !found
               ? gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no checkpoint yet")
               : code;
}

enum gh_error_code gh_store_audit_checkpoint_at(struct gh_store *store, int64_t seq,
                                                struct gh_arena *arena,
                                                struct gh_audit_checkpoint *out,
                                                struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    *out = (struct gh_audit_checkpoint){0};
    if (code != GH_OK)
        return code;
    code = checkpoint_at(link, seq, arena, out, error);
    gh_read_end(link);
    return code;
}

/* --- what goes --- */

static enum gh_error_code run_below(struct gh_link *link, int statement, int64_t seq,
                                    struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[statement]);
    gh_sql_put_int(&q, seq);
    return gh_sql_run(&q, NULL, error);
}

static enum gh_error_code cut_rows(struct gh_link *link, int64_t seq,
                                   const struct gh_audit_note *note, struct gh_error *error)
{
    static const int statements[] = {AUDIT_CUT, CHECKPOINT_CUT, AUDIT_NAMES_CUT};
    struct gh_audit_checkpoint checkpoint = {0};
    struct gh_arena arena;
    int64_t added;
    gh_arena_init(&arena, 64 * 1024);
    enum gh_error_code code = checkpoint_at(link, seq, &arena, &checkpoint, error);
    gh_arena_deinit(&arena);
    if (code == GH_OK && checkpoint.seq != seq)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no checkpoint at row %lld",
                            (long long)seq);
    /* The note first: the chain goes on from a row that is still there. */
    if (code == GH_OK)
        code = gh_audit_add(link, note, &added, error);
    for (size_t i = 0; code == GH_OK && i < GH_COUNT(statements); i++)
        code = run_below(link, statements[i], seq, error);
    return code;
}

enum gh_error_code gh_store_audit_cut(struct gh_store *store, int64_t seq,
                                      const struct gh_audit_note *note, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    atomic_store(&store->erased, true);
    return gh_write_end(link, cut_rows(link, seq, note, error), error);
}

static enum gh_error_code forget(struct gh_link *link, struct gh_slice name,
                                 const struct gh_audit_note *note, struct gh_error *error)
{
    int64_t changed = 0, added;
    enum gh_error_code code = gh_audit_add(link, note, &added, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[AUDIT_NAME_DELETE]);
    gh_sql_put_text(&q, name);
    code = gh_sql_run(&q, &changed, error);
    return code == GH_OK && changed == 0
               ? gh_error_set(error, GH_ERROR_NOT_FOUND, "the audit trail knows no such name")
               : code;
}

enum gh_error_code gh_store_audit_forget(struct gh_store *store, struct gh_slice name,
                                         const struct gh_audit_note *note, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    atomic_store(&store->erased, true);
    return gh_write_end(link, forget(link, name, note, error), error);
}
