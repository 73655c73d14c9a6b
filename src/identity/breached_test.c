#include "base/error.h"
#include "identity/breached.h"
#include "tests/check.h"
#include <stdio.h>

/* The digest is SHA-1 of "password". */
static const char list[] = "correct horse battery\n"
                           "12345678901234567890\r\n"
                           "\n"
                           "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8:9545824\n"
                           "the last one has no newline";

static const struct {
    const char *password;
    bool known;
} cases[] = {
    {"correct horse battery", true},
    {"12345678901234567890", true},
    {"password", true},
    {"the last one has no newline", true},
    {"", false},
    {"correct horse batter", false},
    {"5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8", false},
};

int main(void)
{
    struct gh_error error = {0};
    char path[4096];

    (void)snprintf(path, sizeof path, "%s/list", check_folder());
    CHECK("a file that is not there is said",
          gh_breached_open(path, &error) == NULL && error.code == GH_ERROR_FILE);
    FILE *file = fopen(path, "we");
    REQUIRE("a list", file != NULL && fwrite(list, 1, sizeof list - 1, file) == sizeof list - 1);
    REQUIRE("is written", fclose(file) == 0);
    struct gh_breached *breached = gh_breached_open(path, &error);
    REQUIRE(error.text, breached != NULL);
    for (size_t i = 0; i < GH_COUNT(cases); i++)
        CHECK(cases[i].password,
              gh_breached_has(breached, gh_slice_text(cases[i].password)) == cases[i].known);
    CHECK("without a list all are fine", !gh_breached_has(NULL, GH_SLICE("password")));
    gh_breached_close(breached);
    gh_breached_close(NULL);
    return check_report();
}
