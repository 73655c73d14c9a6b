#include "apps/climate/keep/keep.h"
#include "tests/check.h"
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static bool reads_as(const char *path, const char *text)
{
    struct gh_buffer buffer;
    struct gh_error error;
    gh_buffer_init(&buffer, 64);
    bool same = gh_keep_read(path, &buffer, &error) == GH_KEEP_OK &&
                gh_slice_equal(gh_buffer_slice(&buffer), gh_slice_text(text));
    gh_buffer_deinit(&buffer);
    return same;
}

int main(void)
{
    char path[512], beside[520], nowhere[600], longer[100];
    struct gh_error error = {0};
    struct gh_buffer buffer;
    snprintf(path, sizeof path, "%s/state.json", check_folder());
    snprintf(beside, sizeof beside, "%s.new", path);
    snprintf(nowhere, sizeof nowhere, "%s/absent/state.json", check_folder());
    snprintf(longer, sizeof longer, "%065d", 0);

    gh_buffer_init(&buffer, 64);
    CHECK("no file is a first start", gh_keep_read(path, &buffer, &error) == GH_KEEP_ABSENT);
    CHECK("a file is written", gh_keep_write(path, GH_SLICE("one"), &error) == GH_KEEP_OK);
    CHECK("and read back", reads_as(path, "one"));
    CHECK("nothing is left beside it", access(beside, F_OK) != 0);
    struct stat about;
    CHECK("only the owner reads it", stat(path, &about) == 0 && (about.st_mode & 0777) == 0600);

    /* A kill while the new text was being written leaves the part beside the file. */
    FILE *part = fopen(beside, "w");
    REQUIRE("a part beside it", part != NULL);
    fputs("tw", part);
    fclose(part);
    CHECK("the old text stands", reads_as(path, "one"));
    CHECK("and is replaced whole", gh_keep_write(path, GH_SLICE("two"), &error) == GH_KEEP_OK);
    CHECK("by the new one", reads_as(path, "two"));

    CHECK("a folder that is not there fails",
          gh_keep_write(nowhere, GH_SLICE("x"), &error) == GH_KEEP_FAILED);
    CHECK("a full name is longer than the buffer",
          gh_keep_write(path, gh_slice_text(longer), &error) == GH_KEEP_OK);
    CHECK("and refused when read", gh_keep_read(path, &buffer, &error) == GH_KEEP_FAILED);
    gh_buffer_deinit(&buffer);
    return check_report();
}
