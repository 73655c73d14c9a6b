/* What a program gives up at its start, before it reads anything that comes from outside, so that
 * whoever takes it over has less. None of it can be taken back. Lists of system calls and paths are
 * each program's own (programs/gatehoused/sandbox.h). Threads: before any other one is started. */
#ifndef GH_BASE_PRIVILEGE_H
#define GH_BASE_PRIVILEGE_H

/* Nothing that is executed gives new privileges, no other process of this user looks into this one,
 * and no core file is written; for what it starts too, but for being looked into. */
void gh_privileges_shut(void);
/* The same, and all capabilities. Then root opens other people's files no more. */
void gh_privileges_drop(void);
#endif
