#include "apps/climate/model/table.h"
#include "tests/check.h"
#include <stdio.h>
#include <string.h>

static const struct {
    const char *claim, *text;
    size_t rows;
    bool valid;
} cases[] = {
    {"a header and two rows", "a\tb\n1\t2\n3\t4\n", 2, true},
    {"a header alone is a table without rows", "a\tb\n", 0, true},
    {"the last line needs no end", "a\tb\n1\t2", 1, true},
    {"line ends of two bytes", "a\tb\r\n1\t2\r\n", 1, true},
    {"empty lines are skipped", "a\tb\n\n1\t2\n\n", 1, true},
    {"a field too few", "a\tb\n1\n", 0, false},
    {"a field too many", "a\tb\n1\t2\t3\n", 0, false},
    {"nothing at all", "", 0, false},
    {"longer than the limit", "a\tb\n111111111111111111111111111111111111111111111\t2\n", 0, false},
};

static const struct {
    const char *claim, *field;
    bool valid;
} numbers[] = {
    {"a number", "-1.5", true}, {"an exponent", "1e-3", true}, {"text behind it", "1.5x", false},
    {"nothing", "", false},     {"not finite", "inf", false},  {"not a number", "nan", false},
};

int main(void)
{
    enum { BYTES_MAX = 48 };
    char path[512];
    struct gh_error error;
    snprintf(path, sizeof path, "%s/table.tsv", check_folder());
    for (size_t i = 0; i < GH_COUNT(cases); i++) {
        FILE *file = fopen(path, "w");
        REQUIRE(cases[i].claim, file != NULL);
        fputs(cases[i].text, file);
        fclose(file);
        struct gh_table *table = gh_table_open(path, BYTES_MAX, &error);
        CHECK(cases[i].claim, (table != NULL) == cases[i].valid);
        if (table != NULL)
            CHECK(cases[i].claim, gh_table_rows(table) == cases[i].rows);
        gh_table_close(table);
    }
    for (size_t i = 0; i < GH_COUNT(numbers); i++) {
        double value;
        size_t column = 0;
        FILE *file = fopen(path, "w");
        REQUIRE(numbers[i].claim, file != NULL);
        fprintf(file, "key\tvalue\nx\t%s\n", numbers[i].field);
        fclose(file);
        struct gh_table *table = gh_table_open(path, BYTES_MAX, &error);
        REQUIRE(numbers[i].claim, table != NULL && gh_table_column(table, "value", &column));
        CHECK(numbers[i].claim, gh_table_number(table, 0, column, &value) == numbers[i].valid);
        CHECK("another column is not there", !gh_table_column(table, "other", &column));
        gh_table_close(table);
    }
    CHECK("no file", gh_table_open("tests/data/climate/absent.tsv", BYTES_MAX, &error) == NULL);
    return check_report();
}
