#include "programs/gatehouse/folder.h"
#include "base/lock.h"
#include "store/registry.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARENA_MAX = 1024 * 1024 * 1024 };

static bool folder_lock(struct cli *cli, const char *data, struct folder *folder)
{
    folder->lock = gh_lock_take(gh_arena_print(&cli->arena, "%s/lock", data), 0);
    if (folder->lock >= 0)
        return true;
    if (errno == EWOULDBLOCK)
        gh_error_set(&cli->error, GH_ERROR_IN_USE,
                     "data folder %s is served; its keys are changed while the server is stopped",
                     data);
    else
        gh_error_set(&cli->error, GH_ERROR_FILE, "data folder %s: %s", data, strerror(errno));
    return false;
}

bool folder_open(struct cli *cli, struct folder *folder)
{
    const char *data = cli_data(cli);
    *folder = (struct folder){.lock = -1};
    gh_arena_init(&folder->arena, ARENA_MAX);
    if (!folder_lock(cli, data, folder))
        return false;
    folder->keyring = gh_keyring_take_over(data, &cli->error);
    if (folder->keyring != NULL)
        folder->store = gh_store_open(data, GH_STORE_EXISTING, &cli->error);
    return folder->store != NULL;
}

int folder_close(struct cli *cli, struct folder *folder, bool good)
{
    if (folder->store != NULL) {
        gh_store_tidy(folder->store); /* keys that went leave the write-ahead log too */
        gh_store_close(folder->store);
    }
    gh_keyring_close(folder->keyring);
    gh_arena_deinit(&folder->arena);
    if (folder->lock >= 0)
        close(folder->lock);
    return good ? EXIT_SUCCESS : cli_fail(cli);
}

bool folder_open_for(struct cli *cli, struct folder *folder, const char *action, const char *object)
{
    return folder_open(cli, folder) && cli_audit(cli, folder->store, action, object);
}
