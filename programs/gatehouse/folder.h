/* A data folder that no server has, for commands that change its keys. */
#ifndef GATEHOUSE_FOLDER_H
#define GATEHOUSE_FOLDER_H

#include "programs/gatehouse/cli.h"
#include "store/store.h"
#include "vault/keyring.h"

/* The data folder with nobody else at it. */
struct folder {
    int lock;
    struct gh_keyring *keyring;
    struct gh_store *store;
    struct gh_arena arena; /* a large tenant's secrets, all at once */
};
/* False with cli->error set, as when a server has it; folder_close in any case. */
bool folder_open(struct cli *cli, struct folder *folder);
/* The same, with the row of the audit trail, which comes before the deed: a keyring is no part of
 * the database. */
bool folder_open_for(struct cli *cli, struct folder *folder, const char *action,
                     const char *object);
/* Returns the exit code for `good`. */
int folder_close(struct cli *cli, struct folder *folder, bool good);
#endif
