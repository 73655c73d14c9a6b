#include "store/sqlite/sqlite_internal.h"
#include <assert.h>
#include <string.h>

enum {
    CACHE_KIB_WRITER = 1024, /* page cache; with four readers 2 MiB in all */
    CACHE_KIB_READER = 256,
    LOOKASIDE_BYTES = 256, /* SQLite's small allocations: 64 of 256 bytes instead of 100 of 1200 */
    LOOKASIDE_COUNT = 64,
    VALUE_BYTES_MAX = 64 * 1024 * 1024,
    BUSY_MS = 5000, /* another process that only looks, as a backup does */
};

/* What every connection is set to (security facts 6.4). */
static const char *const settings[] = {
    "PRAGMA foreign_keys=ON",    "PRAGMA trusted_schema=OFF", "PRAGMA secure_delete=ON",
    "PRAGMA cell_size_check=ON", "PRAGMA temp_store=MEMORY",  "PRAGMA synchronous=FULL",
    "PRAGMA mmap_size=0",
};

static const struct {
    int option, value;
} switches[] = {
    {SQLITE_DBCONFIG_DEFENSIVE, 1},
    {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
    {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
    {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
    {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
    {SQLITE_DBCONFIG_DQS_DML, 0},
    {SQLITE_DBCONFIG_DQS_DDL, 0},
};

/* Tables that no sign-in reads, and that are written all the time. What is not named here counts:
 * a table that is forgotten makes sign-ins slower, not wrong. */
static const char *const aside[] = {
    "absences",
    "activity",
    "audit",
    "audit_names",
    "audit_checkpoints",
    "blocks",
    "certificate_uses",
    "configs",
    "credential_uses",
    "gateway_uses",
    "meta",
    "ocsp_answers",
    "sign_ins",
    "spent",
    "states",
    "tokens",
    "trail",
};

/* SQLite asks for leave while it prepares a statement, and names each table that it will write,
 * those of references that are followed included. */
static int note_write(void *context, int action, const char *table, const char *column,
                      const char *database, const char *trigger)
{
    struct gh_link *link = context;
    bool writes = action == SQLITE_INSERT || action == SQLITE_UPDATE || action == SQLITE_DELETE;
    (void)column, (void)database, (void)trigger;
    for (size_t i = 0; writes && i < GH_COUNT(aside); i++)
        writes = strcmp(table, aside[i]) != 0;
    link->changes |= writes;
    return SQLITE_OK;
}

static enum gh_error_code configure(struct gh_link *link, bool writes, struct gh_error *error)
{
    sqlite3_busy_timeout(link->db, BUSY_MS);
    sqlite3_extended_result_codes(link->db, 1);
    sqlite3_limit(link->db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(link->db, SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX);
    sqlite3_db_config(link->db, SQLITE_DBCONFIG_LOOKASIDE, NULL, LOOKASIDE_BYTES, LOOKASIDE_COUNT);
    if (writes)
        sqlite3_set_authorizer(link->db, note_write, link);
    for (size_t i = 0; i < GH_COUNT(switches); i++) {
        int code = sqlite3_db_config(link->db, switches[i].option, switches[i].value, NULL);
        if (code != SQLITE_OK)
            return gh_link_failed(link, code, error);
    }
    for (size_t i = 0; i < GH_COUNT(settings); i++) {
        enum gh_error_code code = gh_link_run(link, settings[i], error);
        if (code != GH_OK)
            return code;
    }
    char cache[64];
    sqlite3_snprintf(sizeof cache, cache, "PRAGMA cache_size=-%d",
                     writes ? CACHE_KIB_WRITER : CACHE_KIB_READER);
    return gh_link_run(link, cache, error);
}

enum gh_error_code gh_link_open(struct gh_link *link, struct gh_store *store, int flags,
                                struct gh_error *error)
{
    *link = (struct gh_link){.store = store};
    int code = sqlite3_open_v2(store->path, &link->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) {
        gh_link_failed(link, code, error);
        gh_link_close(link);
        return gh_error_set(error, GH_ERROR_STORE_OPEN, "%s: %s", store->path,
                            sqlite3_errstr(code));
    }
    bool writes = (flags & SQLITE_OPEN_READWRITE) != 0;
    enum gh_error_code result;
    if (writes && sqlite3_db_readonly(link->db, "main") == 1)
        result = gh_error_set(error, GH_ERROR_STORE_OPEN, "%s: not writable", store->path);
    else
        result = configure(link, writes, error);
    if (result != GH_OK)
        gh_link_close(link);
    return result;
}

void gh_link_close(struct gh_link *link)
{
    for (size_t i = 0; i < GH_STORE_STATEMENTS_MAX; i++)
        sqlite3_finalize(link->slots[i].statement);
    sqlite3_close(link->db);
    *link = (struct gh_link){0};
}

/* SQLite's primary codes that mean something to the caller; the others are our own faults. */
static const struct {
    int sqlite;
    enum gh_error_code code;
} meanings[] = {
    {SQLITE_CORRUPT, GH_ERROR_STORE_CORRUPT}, {SQLITE_NOTADB, GH_ERROR_STORE_CORRUPT},
    {SQLITE_FULL, GH_ERROR_STORE_WRITE},      {SQLITE_IOERR, GH_ERROR_STORE_WRITE},
    {SQLITE_READONLY, GH_ERROR_STORE_WRITE},  {SQLITE_CANTOPEN, GH_ERROR_STORE_WRITE},
    {SQLITE_PERM, GH_ERROR_STORE_WRITE},      {SQLITE_NOMEM, GH_ERROR_MEMORY},
    {SQLITE_BUSY, GH_ERROR_UNAVAILABLE},      {SQLITE_LOCKED, GH_ERROR_UNAVAILABLE},
    {SQLITE_TOOBIG, GH_ERROR_RANGE},
};

enum gh_error_code gh_link_failed(const struct gh_link *link, int code, struct gh_error *error)
{
    enum gh_error_code meaning = GH_ERROR_INTERNAL;
    for (size_t i = 0; i < GH_COUNT(meanings); i++)
        if (meanings[i].sqlite == (code & 0xff))
            meaning = meanings[i].code;
    if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY ||
        code == SQLITE_CONSTRAINT_ROWID)
        return gh_error_set(error, GH_ERROR_EXISTS, "the name is taken");
    if (code == SQLITE_CONSTRAINT_FOREIGNKEY)
        return gh_error_set(error, GH_ERROR_PRECONDITION, "something else refers to it");
    return gh_error_set(error, meaning, "%s: %s (SQLite code %d)", link->store->path,
                        link->db == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(link->db), code);
}

enum gh_error_code gh_link_run(struct gh_link *link, const char *text, struct gh_error *error)
{
    int code = sqlite3_exec(link->db, text, NULL, NULL, NULL);
    return code == SQLITE_OK ? GH_OK : gh_link_failed(link, code, error);
}

/* The slot of this statement, prepared at its first use. */
static struct gh_link_slot *slot_of(struct gh_link *link, const char *text, int *code)
{
    size_t at = ((uintptr_t)text >> 3) * 31 % GH_STORE_STATEMENTS_MAX;
    for (size_t tries = 0; tries < GH_STORE_STATEMENTS_MAX; tries++) {
        struct gh_link_slot *slot = &link->slots[(at + tries) % GH_STORE_STATEMENTS_MAX];
        if (slot->text == text)
            return slot;
        if (slot->text != NULL)
            continue;
        link->changes = false;
        *code = sqlite3_prepare_v3(link->db, text, -1, SQLITE_PREPARE_PERSISTENT, &slot->statement,
                                   NULL);
        slot->changes = link->changes;
        if (*code == SQLITE_OK)
            slot->text = text;
        return slot;
    }
    assert(false && "more statements than slots");
    return NULL;
}

struct gh_sql gh_sql_open(struct gh_link *link, const char *text)
{
    struct gh_sql q = {.link = link, .result = SQLITE_OK};
    const struct gh_link_slot *slot = slot_of(link, text, &q.result);
    q.statement = slot->statement;
    link->changed |= slot->changes;
    return q;
}

/* Remembers the first failure; a programmer's mistake (no such parameter) is an assertion. */
static void bound(struct gh_sql *q, int code)
{
    assert(code != SQLITE_RANGE && code != SQLITE_MISUSE);
    if (q->result == SQLITE_OK)
        q->result = code;
}

void gh_sql_put_int(struct gh_sql *q, int64_t value)
{
    if (q->result == SQLITE_OK)
        bound(q, sqlite3_bind_int64(q->statement, ++q->put_at, value));
}

void gh_sql_put_text(struct gh_sql *q, struct gh_slice text)
{
    const char *bytes = text.size == 0 ? "" : (const char *)text.data; /* NULL would bind NULL */
    if (q->result == SQLITE_OK)
        bound(q, sqlite3_bind_text64(q->statement, ++q->put_at, bytes, text.size, SQLITE_STATIC,
                                     SQLITE_UTF8));
}

void gh_sql_put_bytes(struct gh_sql *q, struct gh_slice bytes)
{
    const void *data = bytes.size == 0 ? "" : (const void *)bytes.data;
    if (q->result == SQLITE_OK)
        bound(q, sqlite3_bind_blob64(q->statement, ++q->put_at, data, bytes.size, SQLITE_STATIC));
}

void gh_sql_put_null(struct gh_sql *q)
{
    if (q->result == SQLITE_OK)
        bound(q, sqlite3_bind_null(q->statement, ++q->put_at));
}

void gh_sql_put_reference(struct gh_sql *q, int64_t number)
{
    if (number == 0)
        gh_sql_put_null(q);
    else
        gh_sql_put_int(q, number);
}

bool gh_sql_next(struct gh_sql *q)
{
    if ((q->result != SQLITE_OK && q->result != SQLITE_ROW) || q->memory_failed)
        return false;
    q->take_at = 0;
    q->result = sqlite3_step(q->statement);
    return q->result == SQLITE_ROW;
}

int64_t gh_sql_int(struct gh_sql *q)
{
    return sqlite3_column_int64(q->statement, q->take_at++);
}

bool gh_sql_bool(struct gh_sql *q)
{
    return gh_sql_int(q) != 0;
}

struct gh_slice gh_sql_borrow(struct gh_sql *q)
{
    const void *data = sqlite3_column_blob(q->statement, q->take_at);
    int size = sqlite3_column_bytes(q->statement, q->take_at++);
    return gh_slice(data, data == NULL ? 0 : (size_t)size);
}

struct gh_slice gh_sql_text(struct gh_sql *q, struct gh_arena *arena)
{
    struct gh_slice copy = {0};
    struct gh_slice value = gh_sql_borrow(q);
    if (value.size > 0 && !gh_arena_copy(arena, value, &copy))
        q->memory_failed = true;
    return copy;
}

void gh_sql_skip(struct gh_sql *q, int columns)
{
    q->take_at += columns;
}

enum gh_error_code gh_sql_close(struct gh_sql *q, struct gh_error *error)
{
    enum gh_error_code code = GH_OK;
    if (q->result != SQLITE_OK && q->result != SQLITE_ROW && q->result != SQLITE_DONE)
        code = gh_link_failed(q->link, q->result, error);
    else if (q->memory_failed)
        code = gh_error_set(error, GH_ERROR_MEMORY, "the answer does not fit its memory limit");
    if (q->statement != NULL) {
        sqlite3_reset(q->statement);
        sqlite3_clear_bindings(q->statement);
    }
    q->statement = NULL;
    return code;
}

enum gh_error_code gh_sql_run(struct gh_sql *q, int64_t *changed, struct gh_error *error)
{
    while (gh_sql_next(q))
        continue;
    if (changed != NULL)
        *changed = q->result == SQLITE_DONE ? sqlite3_changes64(q->link->db) : 0;
    return gh_sql_close(q, error);
}

bool gh_sql_etag_same(struct gh_slice stored, struct gh_slice before)
{
    if (gh_slice_equal(before, GH_SLICE("-")))
        return stored.size == 0;
    return before.size == 0 || gh_slice_equal(stored, before);
}

void *gh_rows_add(struct gh_rows *rows, struct gh_sql *q)
{
    enum { CAPACITY_FIRST = 8 };
    if (rows->count == rows->capacity) {
        size_t capacity = rows->capacity == 0 ? CAPACITY_FIRST : 2 * rows->capacity;
        void *items = gh_arena_array(rows->arena, capacity, rows->item_size);
        if (items == NULL) {
            q->memory_failed = true;
            return NULL;
        }
        if (rows->count > 0)
            memcpy(items, rows->items, rows->count * rows->item_size);
        rows->items = items;
        rows->capacity = capacity;
    }
    return (char *)rows->items + rows->count++ * rows->item_size;
}
