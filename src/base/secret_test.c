/* The pages of a secret as the kernel sees them, and that comparing one takes the same time
 * whatever the two are: measured beside a comparison that does not, so that the measure is known to
 * tell. */
#include "base/secret.h"
#include "tests/check.h"
#include "tests/timing.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* A sanitizer makes mlock do nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool locks = false;
#else
static const bool locks = true;
#endif

/* The line "VmFlags: …" of the mapping that begins at `address`. */
static bool flags_of(const void *address, char *line, size_t size)
{
    unsigned long long from, to, wanted = (unsigned long long)(uintptr_t)address & ~UINT64_C(4095);
    bool there = false;
    FILE *file = fopen("/proc/self/smaps", "re");
    while (file != NULL && fgets(line, (int)size, file) != NULL) {
        if (sscanf(line, "%llx-%llx ", &from, &to) == 2)
            there = from <= wanted && wanted < to;
        else if (there && strncmp(line, "VmFlags:", 8) == 0)
            break;
    }
    if (file != NULL)
        fclose(file);
    return there;
}

static void test_pages(void)
{
    static const struct {
        const char *claim, *flag;
    } flags[] = {
        {"is not in a core dump", " dd"}, {"is empty in a child", " wf"}, {"is locked", " lo"}};
    char line[4096];
    struct gh_secret *secret = gh_secret_open(GH_SLICE("nobody reads this"));
    REQUIRE("a secret", secret != NULL);
    REQUIRE("its mapping", flags_of(gh_secret_bytes(secret).data, line, sizeof line));
    for (size_t i = 0; i < GH_COUNT(flags); i++)
        if (locks || strcmp(flags[i].flag, " lo") != 0)
            CHECK(flags[i].claim, strstr(line, flags[i].flag) != NULL);
    CHECK("and it is what it was",
          gh_slice_equal(gh_secret_bytes(secret), GH_SLICE("nobody reads this")));
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(gh_secret_bytes(secret).size == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
    int status = -1;
    CHECK("a child has nothing of it", waitpid(child, &status, 0) == child && status == 0);
    gh_secret_close(secret);
}

/* What two secrets say on standard error when nothing may be locked any more. */
static size_t said_without_lock(char *said, size_t size)
{
    int ends[2];
    const struct rlimit nothing = {0, 0};
    REQUIRE("a pipe", pipe(ends) == 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        bool good = setrlimit(RLIMIT_MEMLOCK, &nothing) == 0 && dup2(ends[1], 2) == 2 &&
                    (geteuid() != 0 || setuid(65534) == 0); /* root may lock what it likes */
        for (int i = 0; good && i < 2; i++)
            good = gh_secret_open(GH_SLICE("still here")) != NULL;
        _exit(good ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    close(ends[1]);
    int status = -1;
    ssize_t got = read(ends[0], said, size - 1), more = got;
    while (more > 0 && (size_t)got < size - 1) {
        more = read(ends[0], said + got, size - 1 - (size_t)got);
        got += more > 0 ? more : 0;
    }
    said[got > 0 ? got : 0] = '\0';
    close(ends[0]);
    CHECK("it goes on", waitpid(child, &status, 0) == child && status == 0);
    return got > 0 ? (size_t)got : 0;
}

static void test_memory_lock(void)
{
    char said[4096];
    if (!locks)
        return;
    (void)said_without_lock(said, sizeof said);
    const char *first = strstr(said, "secrets are not all locked in memory");
    CHECK("the log says it", first != NULL);
    CHECK("once", first != NULL && strstr(first + 1, "secrets are not all locked") == NULL);
}

/* --- time */

enum { BYTES = 4096, ROUNDS = 8, SAMPLES = 8192 };

/* Two pairs: one that is equal, one that differs in its first byte. */
static uint8_t own[BYTES], shown[2][BYTES];
static volatile bool result;

static void compare(void *context, int class)
{
    (void)context;
    result = gh_secret_equal(gh_slice(own, sizeof own), gh_slice(shown[class], sizeof own));
}

static void compare_until_it_differs(void *context, int class)
{
    (void)context;
    bool equal = true;
    for (size_t i = 0; equal && i < sizeof own; i++)
        equal = own[i] == shown[class][i];
    result = equal;
}

/* Somebody else on the machine may spoil a round; so the best of some counts, and the sieve is
 * known to hold back what leaks. */
static double measured(void (*work)(void *context, int class))
{
    return timing_t(&(struct timing){.work = work, .samples = SAMPLES, .rounds = ROUNDS});
}

static void test_time(void)
{
    shown[1][0] = 1;
    double constant = measured(compare), leaky = measured(compare_until_it_differs);
    printf("|t| of comparing secrets %.1f, of a comparison that ends early %.1f\n", constant,
           leaky);
    CHECK("a comparison that ends early is told", leaky >= TIMING_T_MAX);
    CHECK("comparing secrets takes its time whatever they are", constant < TIMING_T_MAX);
}

int main(void)
{
    test_pages();
    test_memory_lock();
    test_time();
    return check_report();
}
