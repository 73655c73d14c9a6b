/* The audit trail: verified, exported and proven, by way of a server that runs or on a data folder
 * that nobody serves. In either case the hashes are taken here, from the rows themselves. */
#include "audit/audit.h"
#include "base/time.h"
#include "programs/gatehouse/cli.h"
#include "wire/json.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where the rows come from: one of the two. */
struct origin {
    struct cli *cli;
    struct client *client;
    struct gh_store *store;
    struct gh_audit_pages pages;
    struct gh_key *key; /* that signs; NULL until it is known */
};

/* --- pages of a server --- */

/* GET of a list; what it holds is read into the arena by `read`, one thing of `size` bytes each. */
static enum gh_error_code fetch(struct cli *cli, struct client *client, const char *path,
                                const char *list, size_t size, struct gh_arena *arena,
                                enum gh_error_code (*read)(const json_t *value,
                                                           struct gh_arena *arena, void *out,
                                                           struct gh_error *error),
                                void **out, size_t *count)
{
    json_t *answer = NULL;
    *count = 0;
    if (!client_call(client, "GET", path, NULL, &answer))
        return cli->error.code;
    const json_t *values = json_object_get(answer, list);
    uint8_t *items = gh_arena_array(arena, json_array_size(values) + 1, size);
    enum gh_error_code code =
        items != NULL ? GH_OK : gh_error_set(&cli->error, GH_ERROR_MEMORY, "a page of rows");
    for (size_t i = 0; code == GH_OK && i < json_array_size(values); i++)
        code = read(json_array_get(values, i), arena, items + size * (*count)++, &cli->error);
    json_decref(answer);
    *out = items;
    return code;
}

static enum gh_error_code read_row(const json_t *value, struct gh_arena *arena, void *out,
                                   struct gh_error *error)
{
    return gh_audit_entry_from_json(value, arena, out, error);
}

static enum gh_error_code read_checkpoint(const json_t *value, struct gh_arena *arena, void *out,
                                          struct gh_error *error)
{
    return gh_audit_checkpoint_from_json(value, arena, out, error);
}

static enum gh_error_code server_rows(void *context, int64_t after, struct gh_arena *arena,
                                      struct gh_audit_entry **out, size_t *count,
                                      struct gh_error *error)
{
    struct origin *origin = context;
    char path[96];
    void *items = NULL;
    (void)error; /* it is the command line's own */
    snprintf(path, sizeof path, "/api/v1/audit?order=oldest&limit=500&after=%lld",
             (long long)after);
    enum gh_error_code code = fetch(origin->cli, origin->client, path, "rows", sizeof **out, arena,
                                    read_row, &items, count);
    *out = items;
    return code;
}

static enum gh_error_code server_checkpoints(void *context, int64_t after, struct gh_arena *arena,
                                             struct gh_audit_checkpoint **out, size_t *count,
                                             struct gh_error *error)
{
    struct origin *origin = context;
    char path[96];
    void *items = NULL;
    (void)error;
    snprintf(path, sizeof path, "/api/v1/audit/checkpoints?after=%lld", (long long)after);
    enum gh_error_code code = fetch(origin->cli, origin->client, path, "checkpoints", sizeof **out,
                                    arena, read_checkpoint, &items, count);
    *out = items;
    return code;
}

/* --- the origin --- */

static bool open_origin(struct cli *cli, struct origin *origin)
{
    *origin = (struct origin){.cli = cli};
    if (cli_option(cli, "server") != NULL || cli_is_served(cli)) {
        origin->client = client_open(cli);
        origin->pages = (struct gh_audit_pages){origin, server_rows, server_checkpoints};
        return origin->client != NULL;
    }
    origin->store = gh_store_open(cli_data(cli), GH_STORE_EXISTING, &cli->error);
    origin->pages = gh_audit_store_pages;
    origin->pages.context = origin->store;
    return origin->store != NULL;
}

static void close_origin(struct origin *origin)
{
    gh_key_close(origin->key);
    client_close(origin->client);
    if (origin->store != NULL)
        gh_store_close(origin->store);
}

/* The key that --key names; else the one that the server says, or that rests in the data folder:
 * then whoever can change the rows could change the key as well, which --key is for. */
static bool find_key(struct cli *cli, struct origin *origin)
{
    const char *path = cli_option(cli, "key");
    struct gh_slice pem = {0};
    json_t *answer = NULL;
    if (path == NULL && origin->client != NULL) {
        if (!client_call(origin->client, "GET", "/api/v1/audit/checkpoints?after=9007199254740992",
                         NULL, &answer))
            return false;
        (void)gh_json_text(answer, "key", &pem);
    } else if (!file_load(cli,
                          path != NULL
                              ? path
                              : gh_arena_print(&cli->arena, "%s/audit/key.pem", cli_data(cli)),
                          &pem)) {
        return false;
    }
    origin->key = gh_key_open(pem, &cli->error);
    json_decref(answer);
    return origin->key != NULL;
}

/* The checkpoints that were kept elsewhere: --checkpoints, or the file of the data folder when it
 * is there. */
static bool load_exported(struct cli *cli, struct gh_audit_checkpoint **rows, size_t *count)
{
    const char *path = cli_option(cli, "checkpoints");
    struct gh_slice text;
    *rows = NULL;
    *count = 0;
    if (path == NULL && cli_option(cli, "server") == NULL) {
        const char *own = gh_arena_print(&cli->arena, "%s/audit/checkpoints.jsonl", cli_data(cli));
        path = access(own, R_OK) == 0 ? own : NULL;
    }
    if (path == NULL)
        return true;
    if (!file_load(cli, path, &text))
        return false;
    if (gh_audit_checkpoint_lines(text, &cli->arena, rows, count, &cli->error) == GH_OK)
        return true;
    gh_error_set(&cli->error, GH_ERROR_INVALID, "%s: %.400s", path,
                 gh_arena_text(&cli->arena, gh_slice_text(cli->error.text)));
    return false;
}

/* --- verify --- */

static void print_verdict(const struct cli *cli, const struct gh_audit_verdict *verdict)
{
    if (cli_option(cli, "json") == NULL) {
        puts(verdict->text);
        if (verdict->bad_last > verdict->bad_first)
            printf("The rows %lld to %lld are concerned.\n", (long long)verdict->bad_first,
                   (long long)verdict->bad_last);
        return;
    }
    json_t *value = json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "verdict", gh_audit_fault_name(verdict->fault),
        "text", verdict->text, "first", (json_int_t)verdict->first, "last",
        (json_int_t)verdict->last, "bad_first", (json_int_t)verdict->bad_first, "bad_last",
        (json_int_t)verdict->bad_last, "signed_seq", (json_int_t)verdict->checked, "checkpoints",
        (json_int_t)verdict->checkpoints);
    json_dumpf(value, stdout, JSON_COMPACT);
    puts("");
    json_decref(value);
}

/* --proof FILE: one row, by what `audit prove` has printed and a key, with no trail at hand. */
static bool check_proof(struct cli *cli, struct origin *origin, const char *path)
{
    struct gh_audit_entry entry;
    struct gh_slice text;
    json_t *proof = NULL;
    bool good = find_key(cli, origin) && file_load(cli, path, &text) &&
                (proof = gh_json_read(text, &cli->error)) != NULL &&
                gh_audit_proof_check(proof, origin->key, &cli->arena, &entry, &cli->error) == GH_OK;
    if (good)
        printf("row %lld is the one that was signed: %.*s %.*s\n", (long long)entry.row.seq,
               GH_PRINT(entry.row.action), GH_PRINT(entry.row.object));
    json_decref(proof);
    return good;
}

int run_audit_verify(struct cli *cli)
{
    const char *proof = cli_option(cli, "proof");
    struct gh_audit_verdict verdict = {0};
    struct gh_audit_checkpoint *exported;
    struct origin origin = {.cli = cli};
    size_t count;
    bool good;
    if (proof != NULL && cli_option(cli, "key") != NULL) {
        good = check_proof(cli, &origin, proof);
    } else if (proof != NULL) {
        good = open_origin(cli, &origin) && check_proof(cli, &origin, proof);
    } else {
        good = open_origin(cli, &origin) && find_key(cli, &origin) &&
               load_exported(cli, &exported, &count) &&
               gh_audit_verify(&origin.pages, origin.key, exported, count, &verdict, &cli->error) ==
                   GH_OK;
        if (good)
            print_verdict(cli, &verdict);
    }
    close_origin(&origin);
    return !good ? cli_fail(cli) : verdict.fault == GH_AUDIT_WHOLE ? EXIT_SUCCESS : CLI_FAILED;
}

/* --- export --- */

/* What is to be printed, of --from, --to and --tenant. */
struct wanted {
    int64_t from_ms, to_ms;
    struct gh_slice tenant;
};

static bool read_wanted(struct cli *cli, struct wanted *wanted)
{
    const char *from = cli_option(cli, "from"), *to = cli_option(cli, "to");
    *wanted =
        (struct wanted){.to_ms = INT64_MAX, .tenant = gh_slice_text(cli_option(cli, "tenant"))};
    return (from == NULL || gh_time_parse(gh_slice_text(from), &wanted->from_ms)) &&
           (to == NULL || gh_time_parse(gh_slice_text(to), &wanted->to_ms));
}

static bool print_row(const struct gh_audit_entry *entry, const struct wanted *wanted)
{
    if (entry->row.at_ms < wanted->from_ms || entry->row.at_ms >= wanted->to_ms ||
        (wanted->tenant.size > 0 && !gh_slice_equal(entry->row.tenant, wanted->tenant)))
        return true;
    json_t *value = gh_audit_entry_to_json(entry);
    bool good = json_dumpf(value, stdout, JSON_COMPACT) == 0 && putchar('\n') != EOF;
    json_decref(value);
    return good;
}

/* All rows as JSON lines, oldest first. */
int run_audit_export(struct cli *cli)
{
    enum { PAGE_MAX = 16 * 1024 * 1024 };
    struct wanted wanted;
    struct origin origin;
    struct gh_arena arena;
    struct gh_audit_entry *rows;
    size_t count = 0;
    int64_t after = 0;
    if (!read_wanted(cli, &wanted))
        return cli_usage(cli, "--from and --to are times like 2026-11-24T03:30:00Z");
    gh_arena_init(&arena, PAGE_MAX);
    bool good = open_origin(cli, &origin);
    do {
        gh_arena_reset(&arena);
        good = good && origin.pages.rows(origin.pages.context, after, &arena, &rows, &count,
                                         &cli->error) == GH_OK;
        for (size_t i = 0; good && i < count; i++) {
            after = rows[i].row.seq;
            if (!print_row(&rows[i], &wanted))
                good = gh_error_set(&cli->error, GH_ERROR_FILE, "standard output: %s",
                                    strerror(errno)) == GH_OK;
        }
    } while (good && count > 0);
    close_origin(&origin);
    gh_arena_deinit(&arena);
    return good && fflush(stdout) == 0 ? EXIT_SUCCESS : cli_fail(cli);
}

/* --- prove --- */

static json_t *make_proof(struct cli *cli, struct origin *origin, uint64_t seq)
{
    struct gh_audit_proof proof = {0};
    json_t *answer = NULL;
    if (origin->client != NULL) {
        const char *path =
            gh_arena_print(&cli->arena, "/api/v1/audit/rows/%llu/proof", (unsigned long long)seq);
        (void)client_call(origin->client, "GET", path, NULL, &answer);
    } else if (gh_audit_prove(origin->store, (int64_t)seq, &cli->arena, &proof, &cli->error) ==
               GH_OK) {
        answer = gh_audit_proof_to_json(&proof);
    }
    return answer;
}

int run_audit_prove(struct cli *cli)
{
    struct origin origin;
    uint64_t seq;
    if (!gh_slice_to_u64(gh_slice_text(cli->arguments[0]), &seq) || seq == 0 || seq > INT64_MAX)
        return cli_usage(cli, "a row is named by its number");
    json_t *proof = open_origin(cli, &origin) ? make_proof(cli, &origin, seq) : NULL;
    close_origin(&origin);
    if (proof == NULL)
        return cli_fail(cli);
    json_dumpf(proof, stdout, JSON_INDENT(2));
    puts("");
    json_decref(proof);
    return EXIT_SUCCESS;
}

/* --- what its keepers do, by the server --- */

int run_audit_cut(struct cli *cli)
{
    uint64_t seq;
    if (!gh_slice_to_u64(gh_slice_text(cli->arguments[0]), &seq) || seq == 0 || seq > INT64_MAX)
        return cli_usage(cli, "a row is named by its number");
    return cli_call(cli, json_pack("{s:I}", "seq", (json_int_t)seq));
}

int run_audit_forget(struct cli *cli)
{
    return cli_call(cli, json_pack("{s:s}", "name", cli->arguments[0]));
}

/* --- rows of the command line's own --- */

bool cli_audit(struct cli *cli, struct gh_store *store, const char *action, const char *object)
{
    const char *name = gh_arena_print(&cli->arena, "uid %llu", (unsigned long long)geteuid());
    const struct gh_audit_note note = {.at_ms = gh_time_utc_ms(),
                                       .method = GH_SLICE("owner"),
                                       .face = GH_SLICE("command-line"),
                                       .action = gh_slice_text(action),
                                       .object = gh_slice_text(object),
                                       .actor = gh_slice_text(name),
                                       .result = GH_AUDIT_DONE};
    return gh_store_audit_append(store, &note, NULL, &cli->error) == GH_OK;
}
