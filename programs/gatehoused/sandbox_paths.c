/* Landlock (Linux 5.13 and later, Documentation/userspace-api/landlock.rst). Debian's headers know
 * the first two of its ABI levels and the C library none of its calls, so the numbers that are
 * missing stand here. */
#include "programs/gatehoused/sandbox.h"
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* struct landlock_ruleset_attr as of ABI 6; older kernels are given the members that they know. */
struct ruleset {
    uint64_t fs, net, scoped;
};

#define FS_TRUNCATE (UINT64_C(1) << 14)
#define FS_IOCTL_DEV (UINT64_C(1) << 15)
#define SCOPE_SIGNAL (UINT64_C(1) << 1)

/* By ABI level: what is ruled, and so refused wherever no rule allows it. */
static const struct {
    uint64_t fs, scoped;
    size_t size; /* of struct ruleset */
} levels[] = {
    [1] = {(UINT64_C(1) << 13) - 1, 0, 8},
    [2] = {LANDLOCK_ACCESS_FS_REFER, 0, 8},
    [3] = {FS_TRUNCATE, 0, 8},
    [4] = {0, 0, 16},
    [5] = {FS_IOCTL_DEV, 0, 16},
    [6] = {0, SCOPE_SIGNAL, 24},
};

/* Of every process. A sanitizer reads in order to look for leaks and to name what it found. */
static const struct sandbox_path for_all[] = {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    {"/proc", SANDBOX_READ},
    {"/proc/self/exe", SANDBOX_READ},
    {"/usr", SANDBOX_READ},
    {"/lib", SANDBOX_READ},
#endif
    {"/dev/null", SANDBOX_READ | SANDBOX_WRITE}};

/* What is possible for a file; the rest is for folders. */
static const uint64_t of_files =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE;

/* Execution, devices and pipes are in none: nobody needs them. */
static uint64_t access_of(unsigned rights)
{
    uint64_t access = 0;
    if (rights & SANDBOX_READ)
        access |= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    if (rights & SANDBOX_WRITE)
        access |= LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE;
    if (rights & SANDBOX_CHANGE)
        access |= LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |
                  LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                  LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REFER;
    return access;
}

/* A path that is not there, or cannot be ruled, stays refused. */
static void allow(int ruleset, const struct sandbox_path *path, uint64_t ruled)
{
    struct stat found;
    int file = open(path->beneath, O_PATH | O_CLOEXEC);
    if (file < 0)
        return;
    struct landlock_path_beneath_attr rule = {.allowed_access = access_of(path->rights) & ruled,
                                              .parent_fd = file};
    if (fstat(file, &found) == 0 && !S_ISDIR(found.st_mode))
        rule.allowed_access &= of_files;
    if (rule.allowed_access != 0)
        (void)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    close(file);
}

int sandbox_paths(const struct sandbox_path *paths, size_t count)
{
    struct ruleset ruled = {0};
    long abi =
        syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
    size_t size = 0;
    for (size_t i = 1; i < GH_COUNT(levels) && (long)i <= abi; i++) {
        ruled.fs |= levels[i].fs;
        ruled.scoped |= levels[i].scoped;
        size = levels[i].size;
    }
    if (size == 0)
        return 0;
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &ruled, size, 0);
    if (ruleset < 0)
        return 0;
    for (size_t i = 0; i < count; i++)
        allow(ruleset, &paths[i], ruled.fs);
    for (size_t i = 0; i < GH_COUNT(for_all); i++)
        allow(ruleset, &for_all[i], ruled.fs);
    bool enforced = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                    syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    close(ruleset);
    return enforced ? (int)abi : 0;
}
