/* The trail as a whole: deeds, checkpoints, and every way to bend what rests in the database, for
 * every kind of row. */
#include "audit/audit.h"
#include "base/log.h"
#include "tests/check.h"
#include <inttypes.h>
#include <sched.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct gh_error error;
static struct gh_private_key *secret;
static char public_pem[1024];
static struct gh_key *key;

static enum gh_error_code sign(void *context, const struct gh_audit_checkpoint *checkpoint,
                               uint8_t out[GH_AUDIT_SIGNATURE_BYTES], struct gh_error *why)
{
    uint8_t block[GH_AUDIT_MESSAGE_MAX], signature[GH_KEY_SIGNATURE_MAX];
    struct gh_buffer message = gh_buffer_fixed(block, sizeof block);
    size_t size;
    gh_audit_checkpoint_message(checkpoint, &message);
    if (!gh_private_key_sign(context, gh_buffer_slice(&message), signature, &size))
        return gh_error_set(why, GH_ERROR_KEYS, "no signature");
    memcpy(out, signature, GH_AUDIT_SIGNATURE_BYTES);
    return GH_OK;
}

static _Atomic int64_t clock_ms = 1000000;

static int64_t now(void)
{
    return atomic_fetch_add(&clock_ms, 1);
}

struct bed {
    const char *folder;
    bool syslog;
    struct gh_store *store;
    struct gh_audit *audit;
};

static void bed_open(struct bed *bed, enum gh_store_mode mode)
{
    char exported[512];
    bed->store = gh_store_open(bed->folder, mode, &error);
    REQUIRE(error.text, bed->store != NULL);
    snprintf(exported, sizeof exported, "%s/audit", bed->folder);
    const struct gh_audit_options options = {.store = bed->store,
                                             .signer = {secret, sign},
                                             .public_key_pem = gh_slice_text(public_pem),
                                             .detail_key = GH_SLICE("a key of its own"),
                                             .folder = exported,
                                             .syslog = bed->syslog,
                                             .rows_of_checkpoint = 100000,
                                             .seconds_of_checkpoint = 100000,
                                             .utc_ms = now};
    bed->audit = gh_audit_open(&options, &error);
    REQUIRE(error.text, bed->audit != NULL);
}

static void bed_close(struct bed *bed)
{
    gh_audit_close(bed->audit);
    gh_store_close(bed->store);
}

/* --- deeds --- */

static int64_t last_seq(struct bed *bed)
{
    int64_t first, last;
    REQUIRE("ends", gh_store_audit_ends(bed->store, &first, &last, &error) == GH_OK);
    return last;
}

static const struct gh_audit_note somebody = {.tenant = GH_SLICE_INIT("acme"),
                                              .method = GH_SLICE_INIT("session"),
                                              .face = GH_SLICE_INIT("api"),
                                              .action = GH_SLICE_INIT("devices.create"),
                                              .object = GH_SLICE_INIT("/api/v1/tenants/acme"),
                                              .actor = GH_SLICE_INIT("mary"),
                                              .source = GH_SLICE_INIT("192.0.2.7")};

enum change { NOTHING, ONCE, TWICE, FAILING };

static enum gh_error_code change(struct gh_store *store, enum change what)
{
    enum gh_error_code code = GH_OK;
    for (int i = 0; i < (int)what && what != FAILING; i++)
        code = gh_store_meta_put(store, GH_SLICE("k"), GH_SLICE("v"), &error);
    if (what == FAILING)
        code = gh_store_token_delete(store, GH_SLICE("there is none"), &error);
    return code;
}

/* What the deed does to the database, what became of it, and the rows that stand there then. */
static const struct {
    const char *claim;
    enum gh_audit_mode mode;
    enum change change;
    enum gh_error_code code;
    size_t rows;
    const char *results[2];
} deeds[] = {
    {"a change", GH_AUDIT_RIDE, ONCE, GH_OK, 1, {"done"}},
    {"two changes, one deed", GH_AUDIT_RIDE, TWICE, GH_OK, 1, {"done"}},
    {"no change", GH_AUDIT_RIDE, NOTHING, GH_OK, 1, {"done"}},
    {"refused", GH_AUDIT_RIDE, NOTHING, GH_ERROR_DENIED, 1, {"refused"}},
    {"not possible", GH_AUDIT_RIDE, NOTHING, GH_ERROR_EXISTS, 1, {"failed"}},
    {"a change that failed", GH_AUDIT_RIDE, FAILING, GH_ERROR_NOT_FOUND, 1, {"failed"}},
    {"failed after a change", GH_AUDIT_RIDE, ONCE, GH_ERROR_TIMEOUT, 2, {"done", "failed"}},
    {"told before", GH_AUDIT_AHEAD, NOTHING, GH_OK, 1, {"begun"}},
    {"told before, and failed", GH_AUDIT_AHEAD, NOTHING, GH_ERROR_TIMEOUT, 1, {"begun"}},
};

static void deeds_leave_rows(void)
{
    struct bed bed = {.folder = check_folder()};
    struct gh_arena arena;
    gh_arena_init(&arena, 1 << 20);
    bed_open(&bed, GH_STORE_CREATE);
    for (size_t i = 0; i < GH_COUNT(deeds); i++) {
        struct gh_audit_deed deed;
        struct gh_audit_entry *rows;
        size_t count;
        int64_t before = last_seq(&bed);
        gh_audit_deed_init(&deed, bed.audit, &somebody, GH_SLICE("{\"id\":\"x\"}"));
        CHECK(deeds[i].claim, gh_audit_begin(&deed, deeds[i].mode, &error) == GH_OK);
        (void)!change(bed.store, deeds[i].change);
        CHECK(deeds[i].claim, gh_audit_end(&deed, deeds[i].code, &error) == deeds[i].code);
        CHECK("ends once", gh_audit_end(&deed, deeds[i].code, &error) == deeds[i].code);
        const struct gh_audit_filter filter = {
            .after = before, .result = -1, .oldest_first = true, .limit = 9};
        REQUIRE("listed",
                gh_store_audit_list(bed.store, &filter, &arena, &rows, &count, &error) == GH_OK);
        if (!CHECK(deeds[i].claim, count == deeds[i].rows))
            continue;
        for (size_t at = 0; at < count; at++)
            CHECK(deeds[i].claim,
                  strcmp(gh_audit_result_name(rows[at].row.result), deeds[i].results[at]) == 0);
        CHECK("by name", gh_slice_equal(rows[0].actor_name, GH_SLICE("mary")) &&
                             gh_slice_equal(rows[0].source_name, GH_SLICE("192.0.2.7")));
        CHECK("with a digest", rows[0].row.detail.size == GH_AUDIT_DETAIL_BYTES);
    }
    bed_close(&bed);
    gh_arena_deinit(&arena);
}

/* A deed whose second half is done elsewhere: it rides there, not here. */
static void goes_on_elsewhere(void)
{
    struct bed bed = {.folder = check_folder()};
    struct gh_audit_deed deed;
    bed_open(&bed, GH_STORE_CREATE);
    gh_audit_deed_init(&deed, bed.audit, &somebody, (struct gh_slice){0});
    REQUIRE("begun", gh_audit_begin(&deed, GH_AUDIT_RIDE, &error) == GH_OK);
    gh_audit_pause(&deed);
    CHECK("somebody else's change", change(bed.store, ONCE) == GH_OK && last_seq(&bed) == 0);
    gh_audit_resume(&deed);
    CHECK("its own", change(bed.store, ONCE) == GH_OK && last_seq(&bed) == 1);
    gh_audit_pause(&deed);
    gh_audit_resume(&deed);
    CHECK("told once", gh_audit_end(&deed, GH_OK, &error) == GH_OK && last_seq(&bed) == 1);
    bed_close(&bed);
}

/* What a stranger sends is bounded; what somebody known does is not. */
static void strangers_are_bounded(void)
{
    struct bed bed = {.folder = check_folder()};
    struct gh_audit_note stranger = somebody;
    struct gh_audit_deed deed;
    stranger.actor = (struct gh_slice){0};
    bed_open(&bed, GH_STORE_CREATE);
    atomic_store(&clock_ms, 60000000);
    for (int i = 0; i < GH_AUDIT_STRANGERS_PER_MINUTE + 50; i++) {
        gh_audit_deed_init(&deed, bed.audit, &stranger, (struct gh_slice){0});
        CHECK("refused all the same",
              gh_audit_end(&deed, GH_ERROR_UNAUTHENTICATED, &error) == GH_ERROR_UNAUTHENTICATED);
    }
    CHECK("so many rows", last_seq(&bed) == GH_AUDIT_STRANGERS_PER_MINUTE);
    gh_audit_deed_init(&deed, bed.audit, &somebody, (struct gh_slice){0});
    CHECK("denied", gh_audit_end(&deed, GH_ERROR_DENIED, &error) == GH_ERROR_DENIED);
    CHECK("one more", last_seq(&bed) == GH_AUDIT_STRANGERS_PER_MINUTE + 1);
    atomic_store(&clock_ms, 60060000);
    gh_audit_deed_init(&deed, bed.audit, &stranger, (struct gh_slice){0});
    CHECK("in the next minute",
          gh_audit_end(&deed, GH_ERROR_UNAUTHENTICATED, &error) == GH_ERROR_UNAUTHENTICATED);
    CHECK("and how many were left out", last_seq(&bed) == GH_AUDIT_STRANGERS_PER_MINUTE + 3);
    bed_close(&bed);
}

/* --- tampering --- */

enum { ROWS = 12, CHECKPOINT_AT = 6, SIGNED = 10 };

/* Rows of every kind, 1 to ROWS, checkpoints at CHECKPOINT_AT and SIGNED, and when `cut`, the first
 * three gone behind a checkpoint of their own. */
static void make_rows(struct bed *bed, bool cut)
{
    static const enum gh_error_code codes[] = {GH_OK, GH_ERROR_DENIED, GH_ERROR_EXISTS};
    struct gh_audit_deed deed;
    bed_open(bed, GH_STORE_CREATE);
    for (int i = 1; last_seq(bed) < ROWS; i++) {
        struct gh_audit_note note = somebody;
        note.subject = i % 2 ? GH_SLICE("eve") : (struct gh_slice){0};
        gh_audit_deed_init(&deed, bed->audit, &note, GH_SLICE("sent"));
        enum gh_audit_mode mode = i % 4 == 3 ? GH_AUDIT_AHEAD : GH_AUDIT_RIDE;
        enum gh_error_code code = codes[i % 3];
        REQUIRE("begun", gh_audit_begin(&deed, mode, &error) == GH_OK);
        (void)!change(bed->store, code == GH_OK ? ONCE : NOTHING);
        REQUIRE("ended", gh_audit_end(&deed, code, &error) == code);
        int64_t seq = last_seq(bed), gone = 0;
        if (seq == 3 || seq == CHECKPOINT_AT || seq == SIGNED)
            REQUIRE("signed", gh_audit_checkpoint(bed->audit, &error) == GH_OK);
        if (seq == 7 && cut)
            REQUIRE("cut",
                    gh_audit_cut(bed->audit, 4, &somebody, &gone, &error) == GH_OK && gone == 3);
    }
}

static void run_sql(const char *folder, const char *text)
{
    char path[512], *why = NULL;
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/registry.db", folder);
    REQUIRE("the database", sqlite3_open(path, &db) == SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
        fprintf(stderr, "%s: %s\n", text, why);
    REQUIRE("changed", sqlite3_errcode(db) == SQLITE_OK);
    sqlite3_free(why);
    sqlite3_close(db);
}

static struct gh_audit_verdict verify(const char *folder, const struct gh_audit_checkpoint *kept,
                                      size_t kept_count)
{
    struct gh_audit_verdict verdict = {0};
    struct gh_store *store = gh_store_open(folder, GH_STORE_EXISTING, &error);
    struct gh_audit_pages pages = gh_audit_store_pages;
    REQUIRE(error.text, store != NULL);
    pages.context = store;
    CHECK("can be read", gh_audit_verify(&pages, key, kept, kept_count, &verdict, &error) == GH_OK);
    gh_store_close(store);
    return verdict;
}

static bool is(const struct gh_audit_verdict *verdict, enum gh_audit_fault fault, int64_t first)
{
    if (verdict->fault == fault && verdict->bad_first == first)
        return true;
    fprintf(stderr, "    %s, row %" PRId64 " (%s), not %s, row %" PRId64 "\n",
            gh_audit_fault_name(verdict->fault), verdict->bad_first, verdict->text,
            gh_audit_fault_name(fault), first);
    return false;
}

/* Trails with and without a cut, made once, whose last rows no checkpoint vouches for; and the
 * folder in which a copy is bent. */
static const char *made[2], *work;

static void make_trails(void)
{
    for (int cut = 0; cut <= 1; cut++) {
        struct bed bed = {.folder = made[cut] = check_folder()};
        make_rows(&bed, cut);
        bed_close(&bed);
        run_sql(bed.folder, "DELETE FROM audit_checkpoints WHERE seq > 10");
    }
    work = check_folder();
}

static void copy_trail(const char *from)
{
    static char block[1 << 20];
    char path[512];
    snprintf(path, sizeof path, "%s/registry.db", from);
    FILE *file = fopen(path, "r");
    REQUIRE("made", file != NULL);
    size_t size = fread(block, 1, sizeof block, file);
    REQUIRE("whole", feof(file));
    fclose(file);
    snprintf(path, sizeof path, "%s/registry.db", work);
    file = fopen(path, "w");
    REQUIRE("copied", file != NULL && fwrite(block, 1, size, file) == size && fclose(file) == 0);
}

static struct gh_audit_verdict bend(bool cut, const char *text)
{
    copy_trail(made[cut]);
    if (text != NULL)
        run_sql(work, text);
    return verify(work, NULL, 0);
}

static const char *const columns[] = {
    "at_ms = at_ms + 1",
    "tenant = tenant || 'x'",
    "method = 'token'",
    "face = 'x'",
    "action = 'x'",
    "object = ''",
    "actor = zeroblob(32)",
    "source = x''",
    "subject = zeroblob(32)",
    "detail = zeroblob(32)",
    "result = 3 - result",
    "code = code + 1",
    "hash = zeroblob(32)",
    "seq = seq + 100",
    "result = 77",
    "actor = x'01'",
    "code = -1",
};

static void bent(void)
{
    char text[256];
    for (int cut = 0; cut <= 1; cut++) {
        int from = cut ? 4 : 1;
        struct gh_audit_verdict verdict = bend(cut, NULL);
        CHECK("whole", is(&verdict, GH_AUDIT_WHOLE, 0) && verdict.last == ROWS + 0 &&
                           verdict.first == from && verdict.checked == SIGNED);
        for (int row = from; row <= ROWS; row++) {
            snprintf(text, sizeof text, "UPDATE audit SET action = 'y' WHERE seq = %d", row);
            verdict = bend(cut, text);
            CHECK("flipped", is(&verdict, GH_AUDIT_CHANGED, row));
            snprintf(text, sizeof text,
                     "UPDATE audit SET seq = -1 WHERE seq = %d;"
                     "UPDATE audit SET seq = %d WHERE seq = %d;"
                     "UPDATE audit SET seq = %d WHERE seq = -1",
                     row, row, row == ROWS ? row - 1 : row + 1, row == ROWS ? row - 1 : row + 1);
            verdict = bend(cut, text);
            CHECK("swapped", is(&verdict, GH_AUDIT_CHANGED, row == ROWS ? row - 1 : row));
            if (row == ROWS)
                continue;
            snprintf(text, sizeof text, "DELETE FROM audit WHERE seq = %d", row);
            verdict = bend(cut, text);
            /* With the first row gone it is the rows before the next one that are missing. */
            CHECK("dropped", is(&verdict, GH_AUDIT_MISSING, row == from ? 1 : row));
        }
    }
    for (size_t i = 0; i < GH_COUNT(columns); i++) {
        snprintf(text, sizeof text, "UPDATE audit SET %s WHERE seq = 5", columns[i]);
        struct gh_audit_verdict verdict = bend(false, text);
        bool moved = strncmp(columns[i], "seq", 3) == 0;
        CHECK(columns[i], is(&verdict, moved ? GH_AUDIT_MISSING : GH_AUDIT_CHANGED, 5));
    }
}

/* What only checkpoints show. */
static const struct {
    const char *claim, *text;
    bool cut;
    enum gh_audit_fault fault;
    int64_t row;
} others[] = {
    {"the end cut off", "DELETE FROM audit WHERE seq > 8", false, GH_AUDIT_TRUNCATED, 9},
    {"all cut off", "DELETE FROM audit", false, GH_AUDIT_TRUNCATED, 1},
    {"the beginning cut off", "DELETE FROM audit WHERE seq <= 6", false, GH_AUDIT_MISSING, 1},
    {"with its checkpoint before",
     "DELETE FROM audit WHERE seq <= 6; DELETE FROM audit_checkpoints WHERE seq < 6", false,
     GH_AUDIT_MISSING, 1},
    {"a checkpoint with another hash", "UPDATE audit_checkpoints SET hash = root WHERE seq = 6",
     false, GH_AUDIT_UNSIGNED, 6},
    {"a checkpoint of another row", "UPDATE audit_checkpoints SET seq = 5 WHERE seq = 6", false,
     GH_AUDIT_UNSIGNED, 5},
    {"a signature of another checkpoint",
     "UPDATE audit_checkpoints SET signature = (SELECT signature FROM audit_checkpoints WHERE seq "
     "= 3) WHERE seq = 6",
     false, GH_AUDIT_UNSIGNED, 6},
    {"the cut's checkpoint gone", "DELETE FROM audit_checkpoints WHERE seq = 3", true,
     GH_AUDIT_MISSING, 1},
    {"the cut's frontier bent", "UPDATE audit_checkpoints SET frontier = x'00' WHERE seq = 3", true,
     GH_AUDIT_REWRITTEN, 1},
};

static void shown_by_checkpoints(void)
{
    for (size_t i = 0; i < GH_COUNT(others); i++) {
        struct gh_audit_verdict verdict = bend(others[i].cut, others[i].text);
        CHECK(others[i].claim, is(&verdict, others[i].fault, others[i].row));
    }
}

/* Rows taken off the end together with their checkpoints: only what was exported shows it. */
static void shown_by_export(void)
{
    struct bed bed = {.folder = check_folder()};
    char path[512], text[8192];
    struct gh_arena arena;
    struct gh_audit_checkpoint *kept;
    size_t count;
    gh_arena_init(&arena, 1 << 20);
    make_rows(&bed, false);
    bed_close(&bed); /* makes and exports a last one */
    snprintf(path, sizeof path, "%s/audit/checkpoints.jsonl", bed.folder);
    FILE *file = fopen(path, "r");
    REQUIRE("exported", file != NULL);
    size_t size = fread(text, 1, sizeof text, file);
    fclose(file);
    REQUIRE("read", gh_audit_checkpoint_lines(gh_slice(text, size), &arena, &kept, &count,
                                              &error) == GH_OK);
    CHECK("all four", count == 4 && kept[3].seq == ROWS);
    struct gh_audit_verdict verdict = verify(bed.folder, kept, count);
    CHECK("whole", is(&verdict, GH_AUDIT_WHOLE, 0) && verdict.checkpoints == 8);
    run_sql(bed.folder,
            "DELETE FROM audit WHERE seq > 8; DELETE FROM audit_checkpoints WHERE seq > 8");
    verdict = verify(bed.folder, NULL, 0);
    CHECK("not seen without", is(&verdict, GH_AUDIT_WHOLE, 0));
    verdict = verify(bed.folder, kept, count);
    CHECK("seen with it", is(&verdict, GH_AUDIT_TRUNCATED, 9));
    CHECK("cut in its last line", gh_audit_checkpoint_lines(gh_slice(text, size - 3), &arena, &kept,
                                                            &count, &error) == GH_OK &&
                                      count == 3);
    text[0] = 'x';
    CHECK("what is none", gh_audit_checkpoint_lines(gh_slice(text, size), &arena, &kept, &count,
                                                    &error) == GH_ERROR_INVALID);
    gh_arena_deinit(&arena);
}

/* /dev of this process alone, empty. Not everywhere may it be made: in the sandbox of a build
 * server, say. */
static bool own_dev(void)
{
    return (unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) &&
           mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", "/dev", "tmpfs", 0, NULL) == 0;
}

/* What /dev/log gets is what the file gets, line by line. No thread runs before it. */
static void told_to_syslog(void)
{
    struct bed bed = {.folder = check_folder(), .syslog = true};
    const struct sockaddr_un log = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    char path[512], text[8192], line[4096];
    if (!own_dev()) {
        puts("skipped: syslog, as no /dev of its own can be made here");
        return;
    }
    int receiver = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    REQUIRE("a receiver", bind(receiver, (const struct sockaddr *)&log, sizeof log) == 0);
    make_rows(&bed, false);
    bed_close(&bed);
    snprintf(path, sizeof path, "%s/audit/checkpoints.jsonl", bed.folder);
    FILE *file = fopen(path, "r");
    REQUIRE("exported", file != NULL);
    struct gh_slice rest = gh_slice(text, fread(text, 1, sizeof text, file));
    fclose(file);
    size_t count = 0;
    for (; rest.size > 0; count++) {
        ssize_t size = recv(receiver, line, sizeof line, 0);
        struct gh_slice written = gh_slice_split(&rest, '\n');
        struct gh_slice told = gh_slice(line, size > 0 ? (size_t)size : 0);
        size_t head = told.size > written.size ? told.size - written.size : 0;
        CHECK("the same", gh_slice_equal(gh_slice_sub(told, head, told.size), written));
        CHECK("as authpriv.notice", gh_slice_starts(told, GH_SLICE("<85>")));
    }
    CHECK("all four", count == 4 && recv(receiver, line, sizeof line, 0) < 0);
    close(receiver);
}

/* A chain that was bent and calculated anew: the checkpoint shows it. */
static void rewritten(void)
{
    struct bed bed = {.folder = check_folder()};
    make_rows(&bed, false);
    bed_close(&bed);
    run_sql(bed.folder,
            "DELETE FROM audit_checkpoints WHERE seq > 10;"
            "CREATE TABLE kept AS SELECT * FROM audit_checkpoints;"
            "DELETE FROM audit WHERE seq > 6; DELETE FROM audit_checkpoints WHERE seq > 6");
    bed_open(&bed, GH_STORE_EXISTING);
    for (int i = 7; i <= ROWS; i++) {
        struct gh_audit_deed deed;
        gh_audit_deed_init(&deed, bed.audit, &somebody, GH_SLICE("another story"));
        REQUIRE("told", gh_audit_end(&deed, GH_OK, &error) == GH_OK);
    }
    bed_close(&bed);
    run_sql(bed.folder,
            "DELETE FROM audit_checkpoints; INSERT INTO audit_checkpoints SELECT * FROM "
            "kept; DROP TABLE kept");
    struct gh_audit_verdict verdict = verify(bed.folder, NULL, 0);
    CHECK("rewritten", is(&verdict, GH_AUDIT_REWRITTEN, 7));
}

/* The server itself: what does not hold is never signed. */
static void never_signed(void)
{
    struct bed bed = {.folder = check_folder()};
    struct gh_audit_state state;
    make_rows(&bed, false);
    run_sql(bed.folder, "UPDATE audit SET action = 'y' WHERE seq = 11");
    CHECK("refused", gh_audit_checkpoint(bed.audit, &error) == GH_ERROR_PRECONDITION);
    gh_audit_state(bed.audit, &state);
    CHECK("and said so",
          state.broken == GH_AUDIT_CHANGED && state.broken_seq == 11 && state.signed_seq == SIGNED);
    bed_close(&bed);
}

/* --- proofs, and persons --- */

static void proven(void)
{
    struct bed bed = {.folder = check_folder()};
    struct gh_arena arena;
    gh_arena_init(&arena, 4 << 20);
    make_rows(&bed, true);
    for (int64_t seq = 1; seq <= ROWS + 1; seq++) {
        struct gh_audit_proof proof = {0};
        struct gh_audit_entry entry;
        enum gh_error_code expected = seq <= 3 || seq > ROWS ? GH_ERROR_NOT_FOUND
                                      : seq > SIGNED         ? GH_ERROR_PRECONDITION
                                                             : GH_OK;
        enum gh_error_code code = gh_audit_prove(bed.store, seq, &arena, &proof, &error);
        if (!CHECK("proven or not", code == expected) || code != GH_OK)
            continue;
        json_t *text = gh_audit_proof_to_json(&proof);
        CHECK(error.text, gh_audit_proof_check(text, key, &arena, &entry, &error) == GH_OK &&
                              entry.row.seq == seq);
        json_object_set_new(json_object_get(text, "row"), "action", json_string("another"));
        CHECK("another row",
              gh_audit_proof_check(text, key, &arena, &entry, &error) == GH_ERROR_PRECONDITION);
        json_object_set_new(json_object_get(text, "checkpoint"), "seq", json_integer(seq + 1));
        CHECK("another checkpoint",
              gh_audit_proof_check(text, key, &arena, &entry, &error) == GH_ERROR_PRECONDITION);
        json_object_del(text, "path");
        CHECK("no proof",
              gh_audit_proof_check(text, key, &arena, &entry, &error) == GH_ERROR_INVALID);
        json_decref(text);
    }
    bed_close(&bed);
    gh_arena_deinit(&arena);
}

static void forgotten(void)
{
    struct bed bed = {.folder = check_folder()};
    struct gh_arena arena;
    struct gh_audit_entry *rows;
    size_t count;
    gh_arena_init(&arena, 1 << 20);
    make_rows(&bed, false);
    CHECK("nobody", gh_store_audit_forget(bed.store, GH_SLICE("nobody"), &somebody, &error) ==
                        GH_ERROR_NOT_FOUND);
    const struct gh_audit_note who = {.action = GH_SLICE("audit.forget")};
    CHECK("forgotten", gh_store_audit_forget(bed.store, GH_SLICE("mary"), &who, &error) == GH_OK);
    const struct gh_audit_filter all = {.result = -1, .limit = 100, .oldest_first = true};
    REQUIRE("listed", gh_store_audit_list(bed.store, &all, &arena, &rows, &count, &error) == GH_OK);
    CHECK("no name, the pseudonym stays, and a row that says so",
          count == ROWS + 1 && rows[0].actor_name.size == 0 &&
              rows[0].row.actor.size == GH_AUDIT_PSEUDONYM_BYTES && rows[0].subject_name.size > 0);
    bed_close(&bed);
    struct gh_audit_verdict verdict = verify(bed.folder, NULL, 0);
    CHECK("and the chain holds", is(&verdict, GH_AUDIT_WHOLE, 0));
    gh_arena_deinit(&arena);
}

/* --- a trail that cannot be written --- */

static void unwritable(void)
{
    struct bed bed = {.folder = check_folder()};
    struct gh_audit_deed deed;
    bed_open(&bed, GH_STORE_CREATE);
    run_sql(bed.folder,
            "ALTER TABLE audit RENAME TO audit_gone; ALTER TABLE meta RENAME TO meta_gone");
    gh_audit_deed_init(&deed, bed.audit, &somebody, (struct gh_slice){0});
    REQUIRE("not known yet", gh_audit_begin(&deed, GH_AUDIT_RIDE, &error) == GH_OK);
    CHECK("and the change fails with it", change(bed.store, ONCE) != GH_OK);
    CHECK("said", gh_audit_end(&deed, GH_ERROR_STORE_WRITE, &error) == GH_ERROR_AUDIT);
    for (int mode = GH_AUDIT_RIDE; mode <= GH_AUDIT_AHEAD; mode++) {
        gh_audit_deed_init(&deed, bed.audit, &somebody, (struct gh_slice){0});
        CHECK("nothing may be done",
              gh_audit_begin(&deed, (enum gh_audit_mode)mode, &error) == GH_ERROR_AUDIT);
        CHECK("and that is all", gh_audit_end(&deed, GH_ERROR_AUDIT, &error) == GH_ERROR_AUDIT);
    }
    run_sql(bed.folder,
            "ALTER TABLE audit_gone RENAME TO audit; ALTER TABLE meta_gone RENAME TO meta");
    gh_audit_deed_init(&deed, bed.audit, &somebody, (struct gh_slice){0});
    CHECK("recovers", gh_audit_begin(&deed, GH_AUDIT_RIDE, &error) == GH_OK);
    CHECK("by itself", change(bed.store, ONCE) == GH_OK);
    CHECK("with a row", gh_audit_end(&deed, GH_OK, &error) == GH_OK && last_seq(&bed) == 1);
    bed_close(&bed);
}

int main(void)
{
    struct gh_buffer pem = gh_buffer_fixed(public_pem, sizeof public_pem - 1);
    gh_log_set_level(getenv("LOUD") != NULL ? GH_LOG_INFO : GH_LOG_ERROR);
    secret = gh_private_key_generate(GH_KEY_P256, &error);
    REQUIRE("a key", secret != NULL && gh_private_key_print_public(secret, &pem));
    key = gh_key_open(gh_buffer_slice(&pem), &error);
    REQUIRE("its public half", key != NULL);
    deeds_leave_rows();
    goes_on_elsewhere();
    strangers_are_bounded();
    make_trails();
    bent();
    shown_by_checkpoints();
    shown_by_export();
    rewritten();
    never_signed();
    proven();
    forgotten();
    unwritable();
    told_to_syslog(); /* last: it takes /dev away */
    gh_key_close(key);
    gh_private_key_close(secret);
    return check_report();
}
