/* vectors [DIR...]: every vector set found under the folders, as a table "set, total, right,
 * unsupported, wrong". Without an argument: ../shared/security/vectors and ../shared/dialects
 * beside the source tree where they exist, and tests/vectors/data inside it. Exit code: 0, 1 when a
 * verdict is wrong or no case was found at all, 2 usage. */
#include "tests/vectors/vectors.h"
#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SETS_MAX = 256, PATH_BYTES_MAX = 4096, DEPTH_MAX = 8 };

struct table {
    struct set sets[SETS_MAX];
    size_t count;
    bool once; /* a set that is already there is not judged again */
};

/* What this program decides. A set that is in none of the folders is named in the table as absent.
 */
static const char *const known[] = {
    "google-jwt-vectors tokens",   "google-jwt-vectors registration",
    "device_jwt_policy",           "ecdsa_secp256r1_sha256_p1363_test",
    "ecdsa_secp256r1_sha256_test", "hmac_sha256_test",
    "json_web_crypto_test",        "json_web_key_test",
    "json_web_signature_test",     "limbo",
    "rsa_pkcs1_2048_sig_gen_test", "rsa_signature_2048_sha256_test",
};

static const char *unsupported_why = "";

enum answer vectors_unsupported(const char *why)
{
    unsupported_why = why;
    return ANSWER_UNSUPPORTED;
}

static void count_unsupported(struct set *set, const char *why, size_t count)
{
    size_t at = 0;
    while (at < VECTORS_REASONS_MAX - 1 && set->reasons[at].why != NULL &&
           strcmp(set->reasons[at].why, why) != 0)
        at++;
    set->reasons[at].why = why;
    set->reasons[at].count += count;
    set->unsupported += count;
}

void vectors_judge(struct set *set, const char *id, const char *why, enum expectation expected,
                   enum answer answer)
{
    set->total++;
    if (answer == ANSWER_UNSUPPORTED) {
        count_unsupported(set, unsupported_why, 1);
    } else if (expected == EXPECT_EITHER ||
               (expected == EXPECT_ACCEPT) == (answer == ANSWER_ACCEPT)) {
        set->right++;
    } else {
        set->wrong++;
        printf("wrong: %s %s (%s): %s\n", set->name, id, why,
               answer == ANSWER_ACCEPT ? "accepted" : "refused");
    }
}

void vectors_skip(struct set *set, size_t count)
{
    set->total += count;
    count_unsupported(set, "nothing here does this", count);
}

static struct set *add_set(struct table *table, const char *name, const char *part)
{
    if (table->count == SETS_MAX) {
        fprintf(stderr, "vectors: more than %d sets\n", SETS_MAX);
        exit(EXIT_FAILURE);
    }
    struct set *set = &table->sets[table->count++];
    *set = (struct set){0};
    (void)snprintf(set->name, sizeof set->name, "%s%s%s", name, part[0] == '\0' ? "" : " ", part);
    return set;
}

static bool has_set(const struct table *table, const char *name, const char *part)
{
    struct table one = {.count = 0};
    const struct set *wanted = add_set(&one, name, part);
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->sets[i].name, wanted->name) == 0)
            return true;
    }
    return false;
}

/* Sets that nothing here decides are one row for each folder. */
static void skip_file(struct table *table, const char *path, size_t cases)
{
    char folder[PATH_BYTES_MAX];
    (void)snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash != NULL)
        *slash = '\0';
    const char *name = strrchr(folder, '/');
    name = name == NULL ? folder : name + 1;
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->sets[i].name, name) == 0) {
            vectors_skip(&table->sets[i], cases);
            return;
        }
    }
    vectors_skip(add_set(table, name, ""), cases);
}

static size_t count_cases(const json_t *file)
{
    static const char *const lists[] = {"cases", "testcases", "vectors"};
    for (size_t i = 0; i < GH_COUNT(lists); i++) {
        if (json_is_array(json_object_get(file, lists[i])))
            return json_array_size(json_object_get(file, lists[i]));
    }
    return 1;
}

static void run_json(struct table *table, const char *path, const char *name)
{
    static const struct {
        const char *part;
        bool (*run)(struct set *set, const json_t *file);
    } formats[] = {{"", vectors_wycheproof},
                   {"tokens", vectors_google_tokens},
                   {"registration", vectors_google_registration},
                   {"", vectors_device_policy},
                   {"", vectors_limbo}};
    json_error_t error;
    json_t *file = json_load_file(path, JSON_ALLOW_NUL, &error);
    bool is_known = false;

    if (file == NULL) {
        printf("wrong: %s: not JSON: %s\n", path, error.text);
        struct set *set = add_set(table, name, "unreadable");
        set->total++;
        set->wrong++;
        return;
    }
    for (size_t i = 0; i < GH_COUNT(formats); i++) {
        if (table->once && has_set(table, name, formats[i].part)) {
            is_known = true;
            continue;
        }
        struct set *set = add_set(table, name, formats[i].part);
        if (formats[i].run(set, file))
            is_known = true;
        else
            table->count--;
    }
    if (!is_known)
        skip_file(table, path, count_cases(file));
    json_decref(file);
}

/* Known-answer text files: one "Count = n" line a case. */
static void run_text(struct table *table, const char *path)
{
    char line[8192];
    size_t cases = 0;
    FILE *file = fopen(path, "re");

    if (file == NULL)
        return;
    while (fgets(line, sizeof line, file) != NULL)
        cases += strncmp(line, "Count = ", 8) == 0;
    (void)fclose(file);
    if (cases > 0)
        skip_file(table, path, cases);
}

static void run_file(struct table *table, const char *path)
{
    char name[80];
    const char *base = strrchr(path, '/');
    base = base == NULL ? path : base + 1;
    const char *dot = strrchr(base, '.');

    if (dot == NULL)
        return;
    (void)snprintf(name, sizeof name, "%.*s", (int)(dot - base), base);
    if (strcmp(dot, ".json") == 0)
        run_json(table, path, name);
    else if (strcmp(dot, ".txt") == 0)
        run_text(table, path);
}

/* True when the folder is there. */
static bool run_folder(struct table *table, const char *folder, int depth)
{
    struct dirent **entries;
    int count = depth > DEPTH_MAX ? -1 : scandir(folder, &entries, NULL, alphasort);

    if (count < 0)
        return false;
    for (int i = 0; i < count; i++) {
        char path[PATH_BYTES_MAX];
        struct stat info;
        int size = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        bool hidden = entries[i]->d_name[0] == '.';
        free(entries[i]);
        if (hidden || size >= (int)sizeof path || stat(path, &info) != 0)
            continue;
        if (S_ISDIR(info.st_mode))
            (void)run_folder(table, path, depth + 1);
        else if (S_ISREG(info.st_mode))
            run_file(table, path);
    }
    free(entries);
    return true;
}

/* Why the unsupported cases are. */
static void print_reasons(const struct table *table)
{
    puts("\nunsupported:");
    for (size_t i = 0; i < table->count; i++)
        for (size_t at = 0; at < VECTORS_REASONS_MAX && table->sets[i].reasons[at].why != NULL;
             at++)
            printf("%-44s | %6zu | %s\n", table->sets[i].name, table->sets[i].reasons[at].count,
                   table->sets[i].reasons[at].why);
}

static int print_table(const struct table *table)
{
    struct set all = {.name = "all"};

    printf("%-44s | %6s | %6s | %11s | %6s\n", "set", "total", "right", "unsupported", "wrong");
    printf("%.44s-|--------|--------|-------------|-------\n",
           "--------------------------------------------");
    for (size_t i = 0; i < table->count; i++) {
        const struct set *set = &table->sets[i];
        printf("%-44s | %6zu | %6zu | %11zu | %6zu\n", set->name, set->total, set->right,
               set->unsupported, set->wrong);
        all.total += set->total;
        all.right += set->right;
        all.unsupported += set->unsupported;
        all.wrong += set->wrong;
    }
    for (size_t i = 0; i < GH_COUNT(known); i++) {
        if (!has_set(table, known[i], ""))
            printf("%-44s | skipped: in none of the folders\n", known[i]);
    }
    printf("%-44s | %6zu | %6zu | %11zu | %6zu\n", all.name, all.total, all.right, all.unsupported,
           all.wrong);
    print_reasons(table);
    return all.wrong == 0 && all.right > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    static const char *const defaults[] = {GH_VECTORS_SOURCE "/../shared/security/vectors",
                                           GH_VECTORS_SOURCE "/../shared/dialects",
                                           GH_VECTORS_SOURCE "/tests/vectors/data"};
    static struct table table;

    if (argc > 1 && argv[1][0] == '-') {
        (void)fputs("usage: vectors [DIR...]\n", stderr);
        return 2;
    }
    for (int i = 1; i < argc; i++) {
        if (!run_folder(&table, argv[i], 0)) {
            fprintf(stderr, "vectors: no folder %s\n", argv[i]);
            return 2;
        }
    }
    /* What lies in the tree lies in ../shared too. */
    table.once = argc == 1;
    for (size_t i = 0; argc == 1 && i < GH_COUNT(defaults); i++) {
        if (!run_folder(&table, defaults[i], 0))
            printf("skipped: no folder %s\n", defaults[i]);
    }
    return print_table(&table);
}
