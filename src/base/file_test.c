#include "base/file.h"
#include "tests/check.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROOM = 512 };

static char *in_folder(const char *name, char out[ROOM])
{
    snprintf(out, ROOM, "%s/%s", check_folder(), name);
    return out;
}

static bool reads_as(const char *path, const char *text, unsigned mode)
{
    char read[64] = "";
    struct stat about;
    FILE *file = fopen(path, "r");
    bool same = file != NULL && fstat(fileno(file), &about) == 0 && (about.st_mode & 07777) == mode;
    size_t size = file != NULL ? fread(read, 1, sizeof read - 1, file) : 0;
    if (file != NULL)
        fclose(file);
    return same && size == strlen(text) && strcmp(read, text) == 0;
}

static void replaced(void)
{
    char path[ROOM], beside[ROOM + 8];
    in_folder("kept", path);
    snprintf(beside, sizeof beside, "%s.new", path);
    CHECK("a first one is written", gh_file_replace(path, GH_SLICE("one"), 0600));
    CHECK("with its mode", reads_as(path, "one", 0600));
    FILE *part = fopen(beside, "w"); /* as a kill leaves it */
    REQUIRE("a part beside it", part != NULL && fputs("tw", part) >= 0 && fclose(part) == 0);
    CHECK("the old one stands", reads_as(path, "one", 0600));
    CHECK("and is replaced whole", gh_file_replace(path, GH_SLICE("two"), 0644));
    CHECK("by the new one, in its mode", reads_as(path, "two", 0644));
    CHECK("nothing is left beside it", access(beside, F_OK) != 0);
}

static void made_once(void)
{
    char path[ROOM];
    CHECK("it is made", gh_file_make(in_folder("once", path), GH_SLICE("one"), 0400));
    CHECK("and not a second time", !gh_file_make(path, GH_SLICE("two"), 0400) && errno == EEXIST);
    CHECK("it stays as it was", reads_as(path, "one", 0400));
    CHECK("it is removed", gh_file_remove(path) && access(path, F_OK) != 0);
    CHECK("once", !gh_file_remove(path) && errno == ENOENT);
}

static void refused(void)
{
    char path[ROOM], longest[PATH_MAX + 1];
    memset(longest, 'x', PATH_MAX);
    longest[PATH_MAX] = '\0';
    in_folder("absent/kept", path);
    CHECK("no folder to make it in", !gh_file_make(path, GH_SLICE("x"), 0600) && errno == ENOENT);
    CHECK("nor to replace in", !gh_file_replace(path, GH_SLICE("x"), 0600) && errno == ENOENT);
    CHECK("nor to sync", !gh_file_sync_name(path) && errno == ENOENT);
    CHECK("a name that is too long",
          !gh_file_replace(longest, GH_SLICE("x"), 0600) && errno == ENAMETOOLONG);
    in_folder("link", path);
    REQUIRE("a link", symlink("/dev/null", path) == 0);
    CHECK("no link is followed", !gh_file_make(path, GH_SLICE("x"), 0600) && errno == EEXIST);
    CHECK("a name without a folder is in this one", gh_file_sync_name("kept"));
}

int main(void)
{
    replaced();
    made_once();
    refused();
    return check_report();
}
