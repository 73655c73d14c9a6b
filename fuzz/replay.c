/* Runs a fuzz target over every file of the folders named: the corpus as a regression test, without
 * libFuzzer. A file that crashes the target is named on standard error before it runs in `-v`. */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return 0;
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    uint8_t *data =
        malloc(size > 0 ? (size_t)size : 1); /* exact, so that ASan sees one byte too many */
    if (size < 0 || data == NULL || fread(data, 1, (size_t)size, file) != (size_t)size) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(EXIT_FAILURE);
    }
    fclose(file);
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    return 1;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        if (folder == NULL) {
            fprintf(stderr, "cannot open %s\n", argv[i]);
            return EXIT_FAILURE;
        }
        for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
            char path[PATH_MAX];
            if (entry->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            count += replay_file(path);
        }
        closedir(folder);
    }
    printf("%d passed, 0 failed\n", count);
    return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
