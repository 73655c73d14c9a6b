#include "base/log.h"
#include "store/sqlite/sqlite_internal.h"
#include "tests/check.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gh_store *open_new(void)
{
    struct gh_error error;
    struct gh_store *store = gh_store_open(check_folder(), GH_STORE_CREATE, &error);
    REQUIRE("the store opens", store != NULL);
    return store;
}

static bool has(struct gh_store *store, const char *key)
{
    struct gh_arena arena;
    struct gh_slice value;
    gh_arena_init(&arena, 1 << 20);
    bool there = gh_store_meta_get(store, gh_slice_text(key), &arena, &value, NULL) == GH_OK;
    gh_arena_deinit(&arena);
    return there;
}

static enum gh_error_code put(struct gh_store *store, const char *key, size_t size,
                              struct gh_error *error)
{
    char *bytes = calloc(1, size);
    REQUIRE("memory", bytes != NULL);
    enum gh_error_code code =
        gh_store_meta_put(store, gh_slice_text(key), gh_slice(bytes, size), error);
    free(bytes);
    return code;
}

static void keeps_or_takes_back(void)
{
    struct gh_store *store = open_new();
    struct gh_link *link;
    struct gh_error error;
    REQUIRE("a write begins", gh_write_begin(store, &link, &error) == GH_OK);
    REQUIRE("it writes", gh_meta_put(link, GH_SLICE("kept"), GH_SLICE("1"), &error) == GH_OK);
    CHECK("nobody sees it before the commit", !has(store, "kept"));
    CHECK("it is kept", gh_write_end(link, GH_OK, &error) == GH_OK && has(store, "kept"));
    REQUIRE("a write begins", gh_write_begin(store, &link, &error) == GH_OK);
    REQUIRE("it writes", gh_meta_put(link, GH_SLICE("refused"), GH_SLICE("1"), &error) == GH_OK);
    CHECK("a refused write keeps its code",
          gh_write_end(link, GH_ERROR_EXISTS, &error) == GH_ERROR_EXISTS);
    CHECK("a refused write leaves nothing", !has(store, "refused"));
    gh_store_close(store);
}

/* Writers that wait for each other: every third refuses its own write. */
enum { WRITERS = 16, ROUNDS = 12 };

struct writer {
    struct gh_store *store;
    pthread_t thread;
    int number;
    unsigned wrong;
};

static void *writer_run(void *context)
{
    struct writer *writer = context;
    for (int round = 0; round < ROUNDS; round++) {
        char key[64];
        struct gh_link *link;
        struct gh_error error;
        enum gh_error_code wanted = round % 3 == 2 ? GH_ERROR_CONFLICT : GH_OK;
        snprintf(key, sizeof key, "%d/%d", writer->number, round);
        if (gh_write_begin(writer->store, &link, &error) != GH_OK)
            return context;
        bool wrote = gh_meta_put(link, gh_slice_text(key), GH_SLICE("x"), &error) == GH_OK;
        writer->wrong += !wrote;
        writer->wrong += gh_write_end(link, wanted, &error) != wanted;
        writer->wrong += has(writer->store, key) != (wanted == GH_OK);
    }
    return NULL;
}

static int64_t commits; /* counted by SQLite's hook, on the writer's connection, under its lock */

static int count_commit(void *context)
{
    (void)context;
    commits++;
    return 0;
}

static void shares_commits(void)
{
    struct gh_store *store = open_new();
    struct writer writers[WRITERS];
    sqlite3_commit_hook(store->writer.db, count_commit, NULL);
    commits = 0;
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.store = store, .number = i};
        REQUIRE("a thread", pthread_create(&writers[i].thread, NULL, writer_run, &writers[i]) == 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        void *failed;
        pthread_join(writers[i].thread, &failed);
        CHECK("each write is there once it returned, each refused one is not",
              failed == NULL && writers[i].wrong == 0);
    }
    printf("%d writes in %lld commits\n", WRITERS * ROUNDS * 2 / 3, (long long)commits);
    CHECK("writers share commits", commits < WRITERS * ROUNDS * 2 / 3);
    gh_store_close(store);
}

/* PRAGMA max_page_count makes SQLite report a full disk at that size. */
static void limit_pages(struct gh_store *store, int more)
{
    char text[64];
    sqlite3_stmt *pages;
    REQUIRE("pages", sqlite3_prepare_v2(store->writer.db, "PRAGMA page_count", -1, &pages, NULL) ==
                             SQLITE_OK &&
                         sqlite3_step(pages) == SQLITE_ROW);
    int count = sqlite3_column_int(pages, 0);
    sqlite3_finalize(pages);
    snprintf(text, sizeof text, "PRAGMA max_page_count=%d", more < 0 ? 1 << 30 : count + more);
    REQUIRE("a limit", gh_link_run(&store->writer, text, NULL) == GH_OK);
}

static void survives_a_full_disk(void)
{
    struct gh_store *store = open_new();
    struct gh_error error;
    REQUIRE("before", put(store, "before", 10, &error) == GH_OK);
    limit_pages(store, 2);
    for (int i = 0; i < 3; i++)
        CHECK("a full disk refuses the write",
              put(store, "large", 100000, &error) == GH_ERROR_STORE_WRITE);
    CHECK("nothing of it is there", !has(store, "large"));
    CHECK("what was there still is", has(store, "before"));
    limit_pages(store, -1);
    CHECK("with space it goes on by itself",
          put(store, "large", 100000, &error) == GH_OK && has(store, "large"));
    gh_store_close(store);
}

/* One writer of a group fills the disk: whoever was told GH_OK is there, whoever was not is not. */
static void *fill_run(void *context)
{
    struct writer *writer = context;
    for (int round = 0; round < ROUNDS; round++) {
        char key[64];
        struct gh_error error;
        snprintf(key, sizeof key, "%d/%d", writer->number, round);
        enum gh_error_code code = put(writer->store, key, round % 2 ? 50000 : 10, &error);
        writer->wrong += code != GH_OK && code != GH_ERROR_STORE_WRITE;
        writer->wrong += (code == GH_OK) != has(writer->store, key);
    }
    return NULL;
}

static void tells_the_whole_group(void)
{
    struct gh_store *store = open_new();
    struct writer writers[WRITERS];
    struct gh_error error;
    limit_pages(store, 40);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.store = store, .number = i};
        REQUIRE("a thread", pthread_create(&writers[i].thread, NULL, fill_run, &writers[i]) == 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
        CHECK("on a full disk each answer is true", writers[i].wrong == 0);
    }
    limit_pages(store, -1);
    CHECK("and it goes on afterwards", put(store, "after", 50000, &error) == GH_OK);
    gh_store_close(store);
}

/* A transaction that SQLite gave up (here: rolled back behind the store's back) fails for its
 * writer. */
static void notices_a_lost_transaction(void)
{
    struct gh_store *store = open_new();
    struct gh_link *link;
    struct gh_error error;
    REQUIRE("a write begins", gh_write_begin(store, &link, &error) == GH_OK);
    REQUIRE("it writes", gh_meta_put(link, GH_SLICE("lost"), GH_SLICE("1"), &error) == GH_OK);
    REQUIRE("rolled back", gh_link_run(link, "ROLLBACK", &error) == GH_OK);
    CHECK("its end says so", gh_write_end(link, GH_OK, &error) == GH_ERROR_STORE_WRITE);
    CHECK("nothing is there", !has(store, "lost"));
    CHECK("the next one is well", put(store, "next", 1, &error) == GH_OK && has(store, "next"));
    gh_store_close(store);
}

/* Readers see whole commits only: the two values always agree. */
struct pair_reader {
    struct gh_store *store;
    pthread_t thread;
    atomic_bool *end;
    unsigned wrong, looks;
};

static int64_t value_of(struct gh_link *link, const char *text)
{
    struct gh_sql q = gh_sql_open(link, text);
    int64_t value = gh_sql_next(&q) ? gh_sql_int(&q) : -1;
    return gh_sql_close(&q, NULL) == GH_OK ? value : -2;
}

static void *pair_run(void *context)
{
    static const char *const sql[] = {"SELECT value FROM meta WHERE key = 'a'",
                                      "SELECT value FROM meta WHERE key = 'b'"};
    struct pair_reader *reader = context;
    while (!atomic_load(reader->end) || reader->looks == 0) {
        struct gh_link *link;
        if (gh_read_begin(reader->store, &link, NULL) != GH_OK) {
            reader->wrong++;
            break;
        }
        int64_t first = value_of(link, sql[0]);
        reader->wrong += first != value_of(link, sql[1]);
        reader->looks++;
        gh_read_end(link);
    }
    return NULL;
}

static void readers_see_whole_commits(void)
{
    enum { READERS = 6, WRITES = 60 };
    struct gh_store *store = open_new();
    struct pair_reader readers[READERS];
    atomic_bool end = false;
    for (int i = 0; i < READERS; i++) {
        readers[i] = (struct pair_reader){.store = store, .end = &end};
        REQUIRE("a thread", pthread_create(&readers[i].thread, NULL, pair_run, &readers[i]) == 0);
    }
    for (int i = 0; i < WRITES; i++) {
        struct gh_link *link;
        struct gh_error error;
        char value[16];
        snprintf(value, sizeof value, "%d", i);
        REQUIRE("a write begins", gh_write_begin(store, &link, &error) == GH_OK);
        enum gh_error_code code = gh_meta_put(link, GH_SLICE("a"), gh_slice_text(value), &error);
        if (code == GH_OK)
            code = gh_meta_put(link, GH_SLICE("b"), gh_slice_text(value), &error);
        CHECK("both are written", gh_write_end(link, code, &error) == GH_OK);
    }
    atomic_store(&end, true);
    for (int i = 0; i < READERS; i++) {
        pthread_join(readers[i].thread, NULL);
        CHECK("a reader sees both or neither", readers[i].wrong == 0 && readers[i].looks > 0);
    }
    CHECK("the pool has its bound", store->readers_count <= GH_STORE_READERS_MAX);
    gh_store_close(store);
}

/* Erased rows leave the disk: neither the database nor its write-ahead log holds the text
 * afterwards. */
static bool file_holds(const char *path, const char *text)
{
    static char bytes[16 << 20];
    FILE *file = fopen(path, "rb");
    size_t size = file == NULL ? 0 : fread(bytes, 1, sizeof bytes, file);
    if (file != NULL)
        fclose(file);
    return memmem(bytes, size, text, strlen(text)) != NULL;
}

static void erases(void)
{
    struct gh_store *store = open_new();
    struct gh_error error;
    char log[4200];
    struct gh_operator_row operator= {.name = GH_SLICE("ann"),
                                      .role = GH_SLICE("viewer"),
                                      .password_hash = GH_SLICE("SECRET-OF-ANN")};
    snprintf(log, sizeof log, "%s-wal", store->path);
    REQUIRE("created", gh_store_operator_create(store, &operator, & error) == GH_OK);
    CHECK("it is on the disk first", file_holds(log, "SECRET-OF-ANN"));
    REQUIRE("deleted", gh_store_operator_delete(store, operator.number, &error) == GH_OK);
    gh_store_tidy(store);
    CHECK("the database does not hold it", !file_holds(store->path, "SECRET-OF-ANN"));
    CHECK("nor does the write-ahead log", !file_holds(log, "SECRET-OF-ANN"));
    gh_store_close(store);
}

static int cached_bytes(const struct gh_store *store)
{
    int used = 0, most;
    sqlite3_db_status(store->writer.db, SQLITE_DBSTATUS_CACHE_USED, &used, &most, 0);
    return used;
}

/* What a crowd wrote, behind its reads, does not stay in the writer's pages. */
static void check_rests_after_writing(struct gh_store *store)
{
    struct gh_link *link;
    struct gh_error error;
    char key[32], value[256] = "";
    REQUIRE("a write begins", gh_write_begin(store, &link, &error) == GH_OK);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "row %d", i);
        REQUIRE("a row", gh_meta_put(link, gh_slice_text(key), gh_slice(value, sizeof value),
                                     &error) == GH_OK);
    }
    REQUIRE("and ends", gh_write_end(link, GH_OK, &error) == GH_OK);
    int before = cached_bytes(store);
    CHECK("much was written just now", !gh_store_rest(store));
    CHECK("once is not enough", !gh_store_rest(store));
    CHECK("twice is", gh_store_rest(store));
    CHECK("its pages have gone", before > 256 * 1024 && cached_bytes(store) < before / 4);
}

/* After many reads and two calls without one its readers go, those in use excepted. */
static void rests(void)
{
    enum { AT_ONCE = GH_STORE_READERS_MAX };
    struct gh_link *links[AT_ONCE];
    struct gh_error error;
    struct gh_store *store = open_new();
    for (int i = 0; i < 1000; i += AT_ONCE) {
        for (size_t k = 0; k < AT_ONCE; k++)
            REQUIRE("a read", gh_read_begin(store, &links[k], &error) == GH_OK);
        for (size_t k = 0; k < AT_ONCE; k++)
            gh_read_end(links[k]);
    }
    REQUIRE("one that lasts", gh_read_begin(store, &links[0], &error) == GH_OK);
    CHECK("there were reads", store->readers_count == AT_ONCE && !gh_store_rest(store));
    CHECK("once is not enough", !gh_store_rest(store));
    CHECK("twice is", gh_store_rest(store));
    CHECK("the one in use stays", store->readers_count == 1 && store->idle_count == 0);
    struct gh_sql q = gh_sql_open(links[0], "SELECT count(*) FROM sqlite_schema");
    CHECK("and reads", gh_sql_next(&q) && gh_sql_int(&q) > 0);
    CHECK("to its end", gh_sql_close(&q, &error) == GH_OK);
    gh_read_end(links[0]);
    for (int i = 0; i < 5; i++)
        CHECK("few reads are no reason", !gh_store_rest(store));
    REQUIRE("another", gh_read_begin(store, &links[0], &error) == GH_OK &&
                           gh_read_begin(store, &links[1], &error) == GH_OK);
    CHECK("opens what it needs", store->readers_count == 2);
    gh_read_end(links[0]);
    gh_read_end(links[1]);
    check_rests_after_writing(store);
    gh_store_close(store);
}

int main(void)
{
    rests();
    keeps_or_takes_back();
    shares_commits();
    survives_a_full_disk();
    tells_the_whole_group();
    notices_a_lost_transaction();
    readers_see_whole_commits();
    erases();
    return check_report();
}
