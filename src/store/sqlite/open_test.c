#include "base/hash.h"
#include "store/sqlite/sqlite_internal.h"
#include "tests/check.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *path_of(const char *folder, const char *name)
{
    static char path[4200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static enum gh_error_code opens(const char *folder, enum gh_store_mode mode)
{
    struct gh_error error = {0};
    struct gh_store *store = gh_store_open(folder, mode, &error);
    gh_store_close(store);
    return store != NULL ? GH_OK : error.code;
}

/* A database of about a MiB, closed well, and its folder. */
static const char *filled_folder(void)
{
    const char *folder = check_folder();
    struct gh_error error;
    char text[24000];
    memset(text, 'x', sizeof text);
    struct gh_store *store = gh_store_open(folder, GH_STORE_CREATE, &error);
    REQUIRE("a database is made", store != NULL);
    struct gh_link *link;
    REQUIRE("a write begins", gh_write_begin(store, &link, &error) == GH_OK);
    for (int i = 0; i < 40; i++) {
        char key[32];
        snprintf(key, sizeof key, "key %d", i);
        REQUIRE("a value is put", gh_meta_put(link, gh_slice_text(key), gh_slice(text, sizeof text),
                                              &error) == GH_OK);
    }
    REQUIRE("they are written", gh_write_end(link, GH_OK, &error) == GH_OK);
    gh_store_close(store);
    return folder;
}

static uint32_t file_sum(const char *path)
{
    static uint8_t bytes[8 << 20];
    int file = open(path, O_RDONLY);
    REQUIRE("the file is there", file >= 0);
    ssize_t size = read(file, bytes, sizeof bytes);
    close(file);
    return gh_hash_crc32c(0, gh_slice(bytes, (size_t)size));
}

static void overwrite(const char *path, off_t at, const void *bytes, size_t size)
{
    int file = open(path, O_WRONLY | O_CREAT, 0600);
    REQUIRE("the file is written", file >= 0 && pwrite(file, bytes, size, at) == (ssize_t)size);
    close(file);
}

static off_t file_size(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? info.st_size : -1;
}

static void damage_zero_header(const char *db)
{
    static const uint8_t zeros[100];
    overwrite(db, 0, zeros, sizeof zeros);
}

static void damage_text_file(const char *db)
{
    REQUIRE("cut", truncate(db, 0) == 0);
    overwrite(db, 0, "this is somebody's letter, not a database at all\n", 49);
}

static void damage_other_application(const char *db)
{
    overwrite(db, 68, "\0\0\0\1", 4);
}

static void damage_cut_in_half(const char *db)
{
    REQUIRE("cut", truncate(db, file_size(db) / 2) == 0);
}

static void damage_cut_to_one_page(const char *db)
{
    REQUIRE("cut", truncate(db, 4096) == 0);
}

static void damage_cut_inside_header(const char *db)
{
    REQUIRE("cut", truncate(db, 60) == 0);
}

static void damage_schema_page(const char *db)
{
    uint8_t noise[2000];
    memset(noise, 0xa5, sizeof noise);
    overwrite(db, 100, noise, sizeof noise);
}

static void damage_pages_in_the_middle(const char *db)
{
    uint8_t noise[3 * 4096];
    memset(noise, 0x5a, sizeof noise);
    overwrite(db, file_size(db) / 2 / 4096 * 4096, noise, sizeof noise);
}

static void damage_emptied_beside_log(const char *db)
{
    char log[4200];
    snprintf(log, sizeof log, "%s-wal", db);
    REQUIRE("cut", truncate(db, 0) == 0);
    overwrite(log, 0, "something", 9);
}

static void damage_newer_schema(const char *db)
{
    sqlite3 *other;
    REQUIRE("newer",
            sqlite3_open(db, &other) == SQLITE_OK &&
                sqlite3_exec(other, "PRAGMA user_version=99", NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(other);
}

static void damage_older_than_any(const char *db)
{
    sqlite3 *other;
    REQUIRE("older",
            sqlite3_open(db, &other) == SQLITE_OK &&
                sqlite3_exec(other, "PRAGMA user_version=0", NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(other);
}

static const struct {
    const char *claim;
    void (*damage)(const char *db);
    enum gh_error_code code;
} damages[] = {
    {"a zeroed header is refused", damage_zero_header, GH_ERROR_STORE_CORRUPT},
    {"a text file is refused", damage_text_file, GH_ERROR_STORE_CORRUPT},
    {"another program's database is refused", damage_other_application, GH_ERROR_STORE_CORRUPT},
    {"half a database is refused", damage_cut_in_half, GH_ERROR_STORE_CORRUPT},
    {"one page of a database is refused", damage_cut_to_one_page, GH_ERROR_STORE_CORRUPT},
    {"less than a header is refused", damage_cut_inside_header, GH_ERROR_STORE_CORRUPT},
    {"noise over the schema is refused", damage_schema_page, GH_ERROR_STORE_CORRUPT},
    {"noise in the middle is refused", damage_pages_in_the_middle, GH_ERROR_STORE_CORRUPT},
    {"an emptied file beside its log is refused", damage_emptied_beside_log,
     GH_ERROR_STORE_CORRUPT},
    {"a newer schema is refused as such", damage_newer_schema, GH_ERROR_STORE_NEWER},
    {"a schema without version is refused", damage_older_than_any, GH_ERROR_STORE_CORRUPT},
};

static void refuses_damage(void)
{
    for (size_t i = 0; i < GH_COUNT(damages); i++) {
        char db[4200];
        snprintf(db, sizeof db, "%s", path_of(filled_folder(), "registry.db"));
        char *folder = strdup(db);
        *strrchr(folder, '/') = '\0';
        damages[i].damage(db);
        uint32_t before = file_sum(db);
        CHECK(damages[i].claim, opens(folder, GH_STORE_CREATE) == damages[i].code);
        CHECK(damages[i].claim, opens(folder, GH_STORE_EXISTING) == damages[i].code);
        CHECK("what is refused is not overwritten", file_sum(db) == before);
        free(folder);
    }
}

/* With the write-ahead log full of changes, as after a crash: the refusal leaves both files alone.
 */
static void refuses_newer_after_crash(void)
{
    const char *folder = filled_folder();
    pid_t child = fork();
    if (child == 0) {
        struct gh_error error;
        struct gh_store *store = gh_store_open(folder, GH_STORE_EXISTING, &error);
        if (store == NULL || gh_link_run(&store->writer, "PRAGMA user_version=99", &error) != GH_OK)
            _exit(1);
        _exit(0); /* without close: the version stands in the write-ahead log only */
    }
    int status;
    REQUIRE("the child wrote", waitpid(child, &status, 0) == child && status == 0);
    char db[4200];
    snprintf(db, sizeof db, "%s", path_of(folder, "registry.db"));
    uint32_t before = file_sum(db), log_before = file_sum(path_of(folder, "registry.db-wal"));
    CHECK("a newer schema in the write-ahead log is refused",
          opens(folder, GH_STORE_EXISTING) == GH_ERROR_STORE_NEWER);
    CHECK("the database is not touched", file_sum(db) == before);
    CHECK("its write-ahead log is not touched",
          file_sum(path_of(folder, "registry.db-wal")) == log_before);
}

static void opens_and_creates(void)
{
    const char *folder = check_folder();
    CHECK("nothing is made unless asked", opens(folder, GH_STORE_EXISTING) == GH_ERROR_STORE_OPEN);
    CHECK("nothing was made", file_size(path_of(folder, "registry.db")) < 0);
    CHECK("it is made when asked", opens(folder, GH_STORE_CREATE) == GH_OK);
    CHECK("it opens again", opens(folder, GH_STORE_EXISTING) == GH_OK);
    CHECK("asking again keeps it", opens(folder, GH_STORE_CREATE) == GH_OK);
    CHECK("a clean close leaves no log", file_size(path_of(folder, "registry.db-wal")) < 0);
    struct stat info;
    REQUIRE("the file is there", stat(path_of(folder, "registry.db"), &info) == 0);
    CHECK("only its owner reads it", (info.st_mode & 0777) == 0600);

    struct gh_error error;
    struct gh_store *store = gh_store_open(folder, GH_STORE_EXISTING, &error);
    REQUIRE("it opens", store != NULL);
    REQUIRE("the log is there", stat(path_of(folder, "registry.db-wal"), &info) == 0);
    CHECK("only its owner reads the log", (info.st_mode & 0777) == 0600);
    CHECK("one process at a time", opens(folder, GH_STORE_EXISTING) == GH_ERROR_IN_USE);
    gh_store_close(store);
    CHECK("free again after the close", opens(folder, GH_STORE_EXISTING) == GH_OK);
    CHECK("a folder that is not there",
          opens(path_of(folder, "nowhere"), GH_STORE_CREATE) == GH_ERROR_STORE_OPEN);

    folder = check_folder();
    overwrite(path_of(folder, "registry.db"), 0, "", 0);
    CHECK("an empty file is no database yet",
          opens(folder, GH_STORE_EXISTING) == GH_ERROR_STORE_OPEN);
    CHECK("an empty file becomes one", opens(folder, GH_STORE_CREATE) == GH_OK);
}

/* As nobody, since root may write everywhere. */
static void needs_a_writable_folder(void)
{
    const char *folder = filled_folder();
    char db[4200];
    snprintf(db, sizeof db, "%s", path_of(folder, "registry.db"));
    const char *empty = check_folder();
    REQUIRE("modes", chmod(empty, 0555) == 0 && chmod(folder, 0555) == 0 && chmod(db, 0444) == 0 &&
                         chmod(path_of(folder, "registry.lock"), 0666) == 0);
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(3);
        bool new_refused = opens(empty, GH_STORE_CREATE) == GH_ERROR_STORE_OPEN;
        bool old_refused = opens(folder, GH_STORE_EXISTING) == GH_ERROR_STORE_OPEN;
        _exit((new_refused ? 0 : 1) + (old_refused ? 0 : 2));
    }
    int status;
    REQUIRE("the child ends", waitpid(child, &status, 0) == child);
    CHECK("a folder that cannot be written is refused",
          WIFEXITED(status) && WEXITSTATUS(status) == 0);
    REQUIRE("modes", chmod(empty, 0755) == 0 && chmod(folder, 0755) == 0);
}

/* The settings of security facts 6.4, on the writer and on a reader. */
static void is_set_up_safely(void)
{
    static const struct {
        const char *pragma;
        int64_t value;
    } settings[] = {
        {"PRAGMA foreign_keys", 1},   {"PRAGMA secure_delete", 1},
        {"PRAGMA trusted_schema", 0}, {"PRAGMA synchronous", 2},
        {"PRAGMA mmap_size", 0},      {"PRAGMA application_id", GH_STORE_APPLICATION_ID},
    };
    struct gh_error error;
    struct gh_store *store = gh_store_open(check_folder(), GH_STORE_CREATE, &error);
    struct gh_link *reader = NULL;
    REQUIRE("it opens", store != NULL && gh_read_begin(store, &reader, &error) == GH_OK);
    struct gh_link *links[] = {&store->writer, reader};
    for (size_t i = 0; i < 2 * GH_COUNT(settings); i++) {
        struct gh_sql q = gh_sql_open(links[i % 2], settings[i / 2].pragma);
        CHECK(settings[i / 2].pragma, gh_sql_next(&q) && gh_sql_int(&q) == settings[i / 2].value);
        CHECK(settings[i / 2].pragma, gh_sql_close(&q, &error) == GH_OK);
    }
    int defensive = 0;
    sqlite3_db_config(store->writer.db, SQLITE_DBCONFIG_DEFENSIVE, -1, &defensive);
    CHECK("defensive", defensive == 1);
    CHECK("extensions are off",
          gh_link_run(&store->writer, "SELECT load_extension('x')", &error) != GH_OK);
    CHECK("readers cannot write",
          gh_link_run(reader, "DELETE FROM meta", &error) == GH_ERROR_STORE_WRITE);
    CHECK("no other file can be attached",
          gh_link_run(&store->writer, "ATTACH 'x.db' AS x", &error) != GH_OK);
    gh_read_end(reader);
    gh_store_close(store);
}

/* A folder that version 1 left: what version 2 added is not there yet. */
/* What the migrations made since, dropped: whoever references before what is referenced. */
static const char back_to_version_1[] =
    "DROP TABLE snapshots;"
    "ALTER TABLE topics DROP COLUMN policy; ALTER TABLE topics DROP COLUMN retention_s;"
    "ALTER TABLE subscriptions DROP COLUMN rules; ALTER TABLE subscriptions DROP COLUMN policy;"
    "DROP TABLE absences; DROP TABLE audit; DROP TABLE audit_names; DROP TABLE audit_checkpoints;"
    "DROP TABLE factors; DROP INDEX operators_by_email; DROP INDEX operators_by_subject;"
    "DROP INDEX tokens_of_operator;"
    "ALTER TABLE operators DROP COLUMN email; ALTER TABLE operators DROP COLUMN provider;"
    "ALTER TABLE operators DROP COLUMN subject; ALTER TABLE sign_ins DROP COLUMN stage;"
    "ALTER TABLE sign_ins DROP COLUMN method; ALTER TABLE sign_ins DROP COLUMN proved_at_ms;"
    "ALTER TABLE sign_ins DROP COLUMN address; ALTER TABLE sign_ins DROP COLUMN agent;"
    "ALTER TABLE sign_ins DROP COLUMN challenge; ALTER TABLE tokens DROP COLUMN operator;"
    "ALTER TABLE tokens DROP COLUMN label; ALTER TABLE tokens DROP COLUMN permissions;"
    "ALTER TABLE tokens DROP COLUMN used_at_ms;"
    "DROP INDEX tokens_of_service_key; ALTER TABLE tokens DROP COLUMN service_key;"
    "DROP TABLE service_keys; DROP TABLE service_accounts;"
    "DROP TABLE credential_uses; DROP INDEX credentials_by_mark; DROP INDEX credentials_unmarked;"
    "DROP INDEX credentials_by_fingerprint;"
    "ALTER TABLE credentials DROP COLUMN mark; ALTER TABLE credentials DROP COLUMN disabled;"
    "ALTER TABLE credentials DROP COLUMN valid_from_ms;"
    "DROP TABLE gateway_uses; DROP TABLE certificate_uses; DROP TABLE house;"
    "DROP TABLE ocsp_answers;"
    "ALTER TABLE registries DROP COLUMN activity_topic; ALTER TABLE tenants DROP COLUMN disabled;"
    "DROP TABLE grants; DROP TABLE roles;"
    "DROP TABLE policy_attachments; DROP TABLE device_group_members; DROP TABLE device_groups;"
    "DROP TABLE policies; DROP TABLE data_keys; DROP TABLE spent;"
    "DROP TABLE enrolments; DROP TABLE issued; DROP TABLE revocations; DROP TABLE anchors;"
    "ALTER TABLE devices DROP COLUMN banned_until_ms;"
    "PRAGMA user_version=1";

static void comes_from_version_1(void)
{
    const char *folder = check_folder();
    struct gh_error error = {0};
    struct gh_arena arena;
    struct gh_tenant tenant = {.name = GH_SLICE("old"),
                               .google_project = GH_SLICE("old"),
                               .azure_hub = GH_SLICE("old"),
                               .aws_account = GH_SLICE("old")};
    struct gh_tenant got;
    struct gh_registry registry = {.name = GH_SLICE("things")};
    struct gh_device device = {.number = 7, .id = GH_SLICE("pump"), .credentials_count = 1};
    struct gh_device found;
    size_t failed, count;
    bool taken;
    gh_arena_init(&arena, 1 << 20);
    struct gh_store *store = gh_store_open(folder, GH_STORE_CREATE, &error);
    REQUIRE("a database", store != NULL);
    REQUIRE("a tenant", gh_store_tenant_create(store, &tenant, &error) == GH_OK);
    registry.tenant = tenant.number;
    REQUIRE("a registry", gh_store_registry_create(store, &registry, &error) == GH_OK);
    device.registry = registry.number;
    device.credentials[0] = (struct gh_credential){
        .id = GH_SLICE("k"), .format = GH_CREDENTIAL_ES256_PEM, .pem = GH_SLICE("PEM")};
    REQUIRE("a device",
            gh_store_devices_create(store, &device, 1, &failed, &taken, &error) == GH_OK);
    REQUIRE("taken back to version 1",
            gh_link_run(&store->writer, back_to_version_1, &error) == GH_OK);
    gh_store_close(store);

    store = gh_store_open(folder, GH_STORE_EXISTING, &error);
    REQUIRE(error.text, store != NULL);
    CHECK("its tenant is there",
          gh_store_tenant_find(store, GH_SLICE("old"), &arena, &got, &error) == GH_OK &&
              got.number == tenant.number);
    CHECK("its device is there", gh_store_device_get(store, 7, &arena, &found, &error) == GH_OK &&
                                     found.credentials_count == 1 && found.banned_until_ms == 0 &&
                                     gh_slice_equal(found.credentials[0].pem, GH_SLICE("PEM")));
    struct gh_policy_row row = {.tenant = tenant.number,
                                .name = GH_SLICE("p"),
                                .document = GH_SLICE("{}")},
                         *rows;
    CHECK("and takes policies",
          gh_store_policy_put(store, &row, (struct gh_slice){0}, 10, &error) == GH_OK &&
              gh_store_policy_attach(
                  store, row.name, &(struct gh_policy_target){.tenant = tenant.number, .device = 7},
                  10, &error) == GH_OK &&
              gh_store_policy_list(store, tenant.number, &arena, &rows, &count, &error) == GH_OK &&
              count == 1 && rows[0].attachments == 1);
    gh_store_close(store);
    store = gh_store_open(folder, GH_STORE_EXISTING, &error);
    CHECK("and opens again",
          store != NULL &&
              gh_store_policy_list(store, tenant.number, &arena, &rows, &count, &error) == GH_OK &&
              count == 1);
    gh_store_close(store);
    gh_arena_deinit(&arena);
}

int main(void)
{
    opens_and_creates();
    comes_from_version_1();
    refuses_damage();
    refuses_newer_after_crash();
    needs_a_writable_folder();
    is_set_up_safely();
    return check_report();
}
