/* The thin layer under every unit test: a claim, a condition, a count. A test program is a table
 * and a loop of CHECKs, and ends with `return check_report();`. A failed claim prints where and
 * which, and the program goes on, so that one run shows every wrong row. Threads: CHECK from any
 * thread. */
#ifndef GH_TEST_CHECK_H
#define GH_TEST_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#define GH_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Counts `condition` under `claim` (text, may be made at run time). Yields the condition. */
#define CHECK(claim, condition) check_that((claim), (condition), #condition, __FILE__, __LINE__)
/* The same, and ends the program when it does not hold: for what every later row needs. */
#define REQUIRE(claim, condition)                                                                  \
    check_require((claim), (condition), #condition, __FILE__, __LINE__)

bool check_that(const char *claim, bool held, const char *text, const char *file, int line);
void check_require(const char *claim, bool held, const char *text, const char *file, int line);

/* Prints "N passed, M failed"; 0 when nothing failed and something ran, else 1: the exit code. */
int check_report(void);

/* A new empty folder under $TMPDIR or /tmp, removed with all it holds when the program ends. The
 * text is the program's for its whole life. */
const char *check_folder(void);
#endif
