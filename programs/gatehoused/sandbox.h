/* The sandbox of the server's processes: what each may still do once it has started, should hostile
 * bytes take it over.
 *
 *     all       no capabilities, no new privileges, no core dump, not to be looked into
 *               (base/privilege.h)
 *     seccomp   a list of system calls for each process (sandbox_calls.c); any other one ends the
 *               process, and memory is never writable and executable
 *     Landlock  a list of paths (sandbox_paths.c); best effort, as kernels differ
 *
 * Filters are inherited and only ever added to, so the parent's list is the union of its
 * children's; it reads nothing that comes from outside. Nothing here can be undone. Not for limits
 * of CPU or memory, which are the service manager's. docs/security/sandbox.md says what it does not
 * do. Threads: each function says. */
#ifndef GATEHOUSED_SANDBOX_H
#define GATEHOUSED_SANDBOX_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>

/* [server] sandbox, --sandbox */
enum sandbox_mode {
    SANDBOX_ON,
    SANDBOX_LOG, /* for development: calls that are not listed are done, and the kernel logs them */
    SANDBOX_OFF, /* for development: neither seccomp nor Landlock */
};

enum sandbox_process { SANDBOX_PARENT, SANDBOX_KEYS, SANDBOX_CORE };

/* What a process may do beneath a path; each says what it adds. */
enum sandbox_right {
    SANDBOX_READ = 1,   /* files and folders */
    SANDBOX_WRITE = 2,  /* write and truncate files that are there or are made */
    SANDBOX_CHANGE = 4, /* make, move and remove files, folders and sockets */
};

/* `beneath` may be a file or a folder; one that is not there is left out. */
struct sandbox_path {
    const char *beneath;
    unsigned rights;
};

/* False when there is no such mode. */
GH_MUST_USE bool sandbox_mode_read(const char *name, enum sandbox_mode *out);

/* From then on the calling thread, and what it starts, reaches these paths alone. The ABI level of
 * the kernel's Landlock; 0 where it has none: the caller says so once and goes on. Before any other
 * thread is started. */
int sandbox_paths(const struct sandbox_path *paths, size_t count);

/* The list of system calls, for all threads. SANDBOX with the reason when the kernel refuses. */
GH_MUST_USE enum gh_error_code sandbox_calls(enum sandbox_process process, enum sandbox_mode mode,
                                             struct gh_error *error);
#endif
