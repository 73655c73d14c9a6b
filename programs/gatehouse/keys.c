/* The keys at rest, looked at and changed: by the server when one runs, else here. */
#include "base/secret.h"
#include "programs/gatehouse/folder.h"
#include "registry/sealing.h"
#include "store/registry.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static void print_kek(const struct gh_kek_record *kek, const char *label)
{
    printf("%-20s %08x at %.*s\n", label, (unsigned)kek->number, GH_PRINT(kek->text));
}

/* Reads only, so it works while the server runs. */
int run_keys_status(struct cli *cli)
{
    struct gh_keyring *keyring = gh_keyring_open(cli_data(cli), &cli->error);
    if (keyring == NULL)
        return cli_fail(cli);
    for (size_t i = 0; i < gh_keyring_keks(keyring); i++) {
        struct gh_kek_record kek = gh_keyring_kek(keyring, i);
        print_kek(&kek, i == 0 ? "Key-encryption key" : "Before it");
    }
    printf("%-20s", "Secrets");
    for (size_t i = 0; i < gh_keyring_count(keyring); i++)
        printf(" %s", gh_keyring_name(keyring, i));
    puts("");
    if (gh_keyring_keks(keyring) > 1)
        puts("A rotation is not ended; end it with `gatehouse keys rotate`.");
    gh_keyring_close(keyring);
    return EXIT_SUCCESS;
}

/* All data keys under the current KEK; then the old one goes. */
static bool end_rotation(struct cli *cli, struct folder *folder)
{
    size_t count = 0;
    if (gh_sealing_rewrap(folder->store, folder->keyring, &folder->arena, &count, &cli->error) !=
            GH_OK ||
        gh_keyring_settle(folder->keyring, &cli->error) != GH_OK)
        return false;
    struct gh_kek_record kek = gh_keyring_kek(folder->keyring, 0);
    print_kek(&kek, "Key-encryption key");
    printf("%-20s %zu of the keyring, %zu data keys of tenants\n", "Sealed anew",
           gh_keyring_count(folder->keyring), count);
    return true;
}

static bool rotate_tenant(struct cli *cli, struct folder *folder, const char *name)
{
    struct gh_tenant tenant;
    size_t count = 0;
    struct gh_sealing *sealing =
        gh_sealing_open(folder->store, &gh_sealing_keyring, folder->keyring);
    bool done =
        sealing != NULL &&
        gh_store_tenant_find(folder->store, gh_slice_text(name), &folder->arena, &tenant,
                             &cli->error) == GH_OK &&
        gh_sealing_rotate(sealing, tenant.number, &folder->arena, &count, &cli->error) == GH_OK;
    gh_sealing_close(sealing);
    if (done)
        printf("%-20s %zu secrets of tenant %s\n", "Sealed anew", count, name);
    return done;
}

/* To the same place without `place`. A rotation that is under way is ended first; without `place`
 * it is what was asked for. */
static int rotate_to(struct cli *cli, const char *place)
{
    struct folder folder;
    bool good =
        folder_open_for(cli, &folder, place == NULL ? "keys.rotate" : "keys.migrate", "keys");
    if (good && place == NULL) {
        good = gh_keyring_renew(folder.keyring, &cli->error) == GH_OK;
    } else if (good) {
        good = (gh_keyring_keks(folder.keyring) == 1 || end_rotation(cli, &folder)) &&
               gh_keyring_rotate(folder.keyring, gh_slice_text(place), &cli->error) == GH_OK;
    }
    return folder_close(cli, &folder, good && end_rotation(cli, &folder));
}

/* --- by the server that runs */

bool cli_is_served(struct cli *cli)
{
    const char *path = gh_arena_print(&cli->arena, "%s/lock", cli_data(cli));
    int lock = open(path, O_RDWR | O_CLOEXEC);
    bool served = lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (lock >= 0)
        close(lock);
    return served;
}

static int rotate_served(struct cli *cli, const char *tenant)
{
    const char *path = tenant == NULL
                           ? "/api/v1/keys/rotate"
                           : gh_arena_print(&cli->arena, "/api/v1/tenants/%s/keys/rotate",
                                            cli_part(cli, tenant, 0));
    struct client *client = client_open(cli);
    json_t *answer = NULL;
    bool good = client != NULL && client_call(client, "POST", path, NULL, &answer);
    if (good && tenant == NULL)
        printf("%-20s %lld data keys of tenants\n", "Sealed anew",
               (long long)json_integer_value(json_object_get(answer, "data_keys")));
    else if (good)
        printf("%-20s %lld secrets of tenant %s\n", "Sealed anew",
               (long long)json_integer_value(json_object_get(answer, "secrets")), tenant);
    json_decref(answer);
    client_close(client);
    return good ? EXIT_SUCCESS : cli_fail(cli);
}

int run_keys_rotate(struct cli *cli)
{
    const char *tenant = cli_option(cli, "tenant");
    struct folder folder;
    if (cli_is_served(cli))
        return rotate_served(cli, tenant);
    if (tenant == NULL)
        return rotate_to(cli, NULL);
    bool good = folder_open_for(cli, &folder, "keys.rotate",
                                gh_arena_print(&cli->arena, "tenants/%s/keys", tenant));
    return folder_close(cli, &folder, good && rotate_tenant(cli, &folder, tenant));
}

int run_keys_migrate(struct cli *cli)
{
    const char *place = cli_option(cli, "to");
    return place == NULL ? cli_usage(cli, "--to is missing") : rotate_to(cli, place);
}

/* A folder without a database has no trail any more: then the keys are all that is left to save. */
bool cli_tell_export(struct cli *cli, const char *name)
{
    const char *database = gh_arena_print(&cli->arena, "%s/registry.db", cli_data(cli));
    if (cli_is_served(cli)) {
        json_t *body = json_pack("{s:s}", "name", name);
        struct client *client = client_open(cli);
        bool told =
            client != NULL && client_call(client, "POST", "/api/v1/keys/export", body, NULL);
        client_close(client);
        json_decref(body);
        return told;
    }
    if (access(database, F_OK) != 0)
        return true;
    struct gh_store *store = gh_store_open(cli_data(cli), GH_STORE_EXISTING, &cli->error);
    const char *object = gh_arena_print(&cli->arena, "keys/%s", name);
    bool told = store != NULL && cli_audit(cli, store, "keys.export", object);
    if (store != NULL)
        gh_store_close(store);
    return told;
}

int run_keys_export(struct cli *cli)
{
    if (!cli_tell_export(cli, cli->arguments[0]))
        return cli_fail(cli);
    struct gh_keyring *keyring = gh_keyring_open(cli_data(cli), &cli->error);
    if (keyring == NULL)
        return cli_fail(cli);
    const struct gh_secret *secret = gh_keyring_get(keyring, cli->arguments[0]);
    bool done = secret != NULL;
    if (!done)
        gh_error_set(&cli->error, GH_ERROR_NOT_FOUND, "the keyring holds no %s", cli->arguments[0]);
    else if (fwrite(gh_secret_bytes(secret).data, 1, gh_secret_bytes(secret).size, stdout) !=
                 gh_secret_bytes(secret).size ||
             fflush(stdout) != 0)
        done = gh_error_set(&cli->error, GH_ERROR_FILE, "standard output: %s", strerror(errno)) ==
               GH_OK;
    gh_keyring_close(keyring);
    return done ? EXIT_SUCCESS : cli_fail(cli);
}
