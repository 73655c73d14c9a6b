#include "tests/check.h"
#include <ftw.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FOLDERS_MAX = 64 };

static atomic_size_t passed, failed;
static char folders[FOLDERS_MAX][PATH_MAX];
static size_t folders_count;

bool check_that(const char *claim, bool held, const char *text, const char *file, int line)
{
    if (held) {
        atomic_fetch_add(&passed, 1);
        return true;
    }
    atomic_fetch_add(&failed, 1);
    fprintf(stderr, "%s:%d: %s: not so: %s\n", file, line, claim, text);
    return false;
}

void check_require(const char *claim, bool held, const char *text, const char *file, int line)
{
    if (!check_that(claim, held, text, file, line))
        exit(check_report());
}

int check_report(void)
{
    size_t good = atomic_load(&passed), bad = atomic_load(&failed);
    printf("%zu passed, %zu failed\n", good, bad);
    return bad == 0 && good > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int remove_entry(const char *path, const struct stat *info, int flag, struct FTW *walk)
{
    (void)info, (void)flag, (void)walk;
    return remove(path);
}

static void remove_folders(void)
{
    for (size_t i = 0; i < folders_count; i++)
        nftw(folders[i], remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *check_folder(void)
{
    const char *under = getenv("TMPDIR");
    char *path = folders[folders_count];
    REQUIRE("folders left", folders_count < FOLDERS_MAX);
    snprintf(path, PATH_MAX, "%s/gatehouse-test-XXXXXX", under ? under : "/tmp");
    REQUIRE("temporary folder", mkdtemp(path) != NULL);
    if (folders_count++ == 0)
        atexit(remove_folders);
    return path;
}
