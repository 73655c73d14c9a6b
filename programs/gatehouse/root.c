/* The root of the built-in CA: where it is, taking it out of the house, and what it signs. Its key
 * is used in this process alone; a server that runs gets what was signed (vault/ca.h). */
#include "base/file.h"
#include "base/secret.h"
#include "base/time.h"
#include "crypto/certificate.h"
#include "programs/gatehouse/folder.h"
#include "programs/gatehouse/passphrase.h"
#include "vault/ca.h"
#include "wire/base64.h"
#include "wire/json.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_MAX = 16 * 1024, LIST_MAX = 64 * 1024 };

static int64_t now_s(void)
{
    return gh_time_utc_ms() / 1000;
}

/* --- the root's key --- */

/* Out of --root FILE, for the root of this certificate. */
static struct gh_authority *open_exported(struct cli *cli, const char *path,
                                          struct gh_slice root_pem)
{
    char passphrase[GH_KEY_PASSPHRASE_BYTES_MAX];
    uint8_t block[KEY_MAX];
    struct gh_buffer plain = gh_buffer_fixed(block, sizeof block);
    struct gh_slice sealed;
    struct gh_authority *root = NULL;
    struct gh_private_key *key = NULL;
    if (file_load(cli, path, &sealed) && passphrase_get(cli, false, passphrase))
        key = gh_private_key_open_encrypted(sealed, gh_slice_text(passphrase), &cli->error);
    if (key != NULL && gh_private_key_print(key, &plain))
        root = gh_authority_open(root_pem, gh_buffer_slice(&plain), &cli->error);
    gh_private_key_close(key);
    gh_secret_wipe(block, sizeof block);
    gh_secret_wipe(passphrase, sizeof passphrase);
    return root;
}

/* Out of --root FILE, or of the keyring while it is there. */
static struct gh_authority *open_root(struct cli *cli, const struct gh_keyring *keyring,
                                      struct gh_slice root_pem)
{
    const char *path = cli_option(cli, "root");
    const struct gh_secret *key = gh_keyring_get(keyring, GH_KEYRING_CA);
    if (path != NULL)
        return open_exported(cli, path, root_pem);
    if (key != NULL)
        return gh_authority_open(root_pem, gh_secret_bytes(key), &cli->error);
    gh_error_set(&cli->error, GH_ERROR_PRECONDITION,
                 "the root is offline: its key is not here; bring it with `gatehouse ca %s --root "
                 "FILE`",
                 cli->command->verb);
    return NULL;
}

/* --- the CA, which a server has or nobody --- */

struct house {
    bool served;
    struct client *client;      /* served */
    struct folder folder;       /* else */
    struct gh_keyring *keyring; /* read in either case */
    struct gh_ca *ca;
};

static bool house_open(struct cli *cli, struct house *house)
{
    *house = (struct house){.served = cli_is_served(cli), .folder = {.lock = -1}};
    if (house->served) {
        house->client = client_open(cli);
        house->keyring = house->client != NULL ? gh_keyring_open(cli_data(cli), &cli->error) : NULL;
    } else if (folder_open_for(cli, &house->folder, "ca.install", "ca")) {
        house->keyring = house->folder.keyring;
    }
    if (house->keyring != NULL)
        house->ca = gh_ca_open(house->keyring, cli_data(cli), &cli->error);
    return house->ca != NULL &&
           (house->served || gh_ca_tend(house->ca, now_s(), NULL, &cli->error) == GH_OK);
}

static int house_close(struct cli *cli, struct house *house, bool good)
{
    gh_ca_close(house->ca);
    if (!house->served)
        return folder_close(cli, &house->folder, good);
    gh_keyring_close(house->keyring);
    client_close(house->client);
    return good ? EXIT_SUCCESS : cli_fail(cli);
}

static bool house_request(struct cli *cli, struct house *house, struct gh_slice *public_key)
{
    struct gh_buffer pem;
    json_t *answer = NULL;
    gh_buffer_init(&pem, KEY_MAX);
    bool good = house->served
                    ? client_call(house->client, "POST", "/api/v1/ca/request", NULL, &answer)
                    : gh_ca_request(house->ca, &pem, &cli->error) == GH_OK;
    const char *text = json_string_value(json_object_get(answer, "public_key"));
    if (text != NULL)
        gh_buffer_put(&pem, gh_slice_text(text));
    good = good && gh_arena_copy(&cli->arena, gh_buffer_slice(&pem), public_key);
    gh_buffer_deinit(&pem);
    json_decref(answer);
    return good;
}

static bool send_delivery(struct house *house, const struct gh_ca_delivery *delivery)
{
    struct gh_buffer list;
    gh_buffer_init(&list, 2 * LIST_MAX);
    gh_base64_encode(delivery->list_der, GH_BASE64_STANDARD, &list);
    json_t *body = json_pack("{s:o, s:b}", "crl_base64", gh_json_new_text(gh_buffer_slice(&list)),
                             "remove_root", delivery->removes_root);
    if (delivery->certificate_pem.size > 0)
        json_object_set_new(body, "pem", gh_json_new_text(delivery->certificate_pem));
    bool good = client_call(house->client, "POST", "/api/v1/ca/install", body, NULL);
    json_decref(body);
    gh_buffer_deinit(&list);
    return good;
}

/* Has the root sign the order, and the house take it. */
static bool carry_out(struct cli *cli, struct house *house, const struct gh_authority *root,
                      const struct gh_ca_order *order, bool removes_root)
{
    struct gh_buffer certificate, list;
    gh_buffer_init(&certificate, KEY_MAX);
    gh_buffer_init(&list, LIST_MAX);
    bool good = gh_ca_sign(root, order, now_s(), &certificate, &list, &cli->error) == GH_OK;
    struct gh_ca_delivery delivery = {.certificate_pem = gh_buffer_slice(&certificate),
                                      .list_der = gh_buffer_slice(&list),
                                      .removes_root = removes_root};
    if (good)
        good = house->served ? send_delivery(house, &delivery)
                             : gh_ca_install(house->ca, &delivery, now_s(), &cli->error) == GH_OK;
    gh_buffer_deinit(&certificate);
    gh_buffer_deinit(&list);
    return good;
}

/* --- the commands --- */

static void print_time(const char *label, int64_t at_s, const char *without)
{
    char text[GH_TIME_TEXT_MAX];
    printf("%-20s %.10s\n", label, at_s != 0 ? gh_time_print(at_s * 1000, text) : without);
}

/* Reads only, so it works while the server runs. */
int run_ca_status(struct cli *cli)
{
    char warning[GH_CA_WARNING_MAX];
    struct gh_keyring *keyring = gh_keyring_open(cli_data(cli), &cli->error);
    struct gh_ca *ca = keyring != NULL ? gh_ca_open(keyring, cli_data(cli), &cli->error) : NULL;
    if (ca != NULL) {
        struct gh_ca_facts facts = gh_ca_facts(ca);
        struct gh_ca_times times = gh_ca_times(&facts);
        printf("%-20s %s\n", "Root",
               facts.root_online ? "online: its key is in the keyring"
                                 : "offline: its key is elsewhere");
        print_time("Root until", times.root_s, "");
        print_time("Intermediate until", times.intermediate_s, "next start");
        print_time("Root's list until", times.list_s, "next start");
        if (gh_ca_warn(&facts, now_s(), warning))
            printf("%-20s %s\n", "Attention", warning);
    }
    bool good = ca != NULL;
    gh_ca_close(ca);
    gh_keyring_close(keyring);
    return good ? EXIT_SUCCESS : cli_fail(cli);
}

/* A file that was not there, for its owner alone to read. */
static bool write_new(struct cli *cli, const char *path, struct gh_slice bytes)
{
    bool written = gh_file_make(path, bytes, 0400);
    if (!written)
        gh_error_set(&cli->error, GH_ERROR_FILE, "cannot write %s: %s", path, strerror(errno));
    return written;
}

static bool export_root(struct cli *cli, const struct gh_keyring *keyring, const char *path)
{
    char passphrase[GH_KEY_PASSPHRASE_BYTES_MAX];
    struct gh_buffer sealed;
    const struct gh_secret *secret = gh_keyring_get(keyring, GH_KEYRING_CA);
    struct gh_private_key *key =
        secret != NULL ? gh_private_key_open(gh_secret_bytes(secret), &cli->error) : NULL;
    if (secret == NULL)
        gh_error_set(&cli->error, GH_ERROR_NOT_FOUND,
                     "the root is offline: the file that it was exported to is the one to copy");
    gh_buffer_init(&sealed, KEY_MAX);
    bool done = key != NULL && passphrase_get(cli, true, passphrase) &&
                cli_tell_export(cli, GH_KEYRING_CA) &&
                gh_private_key_print_encrypted(key, gh_slice_text(passphrase), &sealed) &&
                write_new(cli, path, gh_buffer_slice(&sealed));
    gh_secret_wipe(passphrase, sizeof passphrase);
    gh_private_key_close(key);
    gh_buffer_deinit(&sealed);
    return done;
}

int run_ca_export_root(struct cli *cli)
{
    const char *path = cli_option(cli, "out");
    if (path == NULL)
        return cli_usage(cli, "--out is missing");
    struct gh_keyring *keyring = gh_keyring_open(cli_data(cli), &cli->error);
    bool done = keyring != NULL && export_root(cli, keyring, path);
    gh_keyring_close(keyring);
    if (!done)
        return cli_fail(cli);
    printf("%-20s %s, encrypted; make a second copy, then run `gatehouse ca remove-root --root "
           "FILE`\n",
           "Root's key", path);
    return EXIT_SUCCESS;
}

/* Copies of the keyring from before still have the root's key: a new key-encryption key makes them
 * useless. One in a file of the operator's own is not ours to replace or to remove: `own_file` is
 * its path then, else NULL. */
static int rotate_after(struct cli *cli, const char *own_file)
{
    if (own_file == NULL)
        return run_keys_rotate(cli);
    printf(
        "Copies of the keyring from before still hold it, for whoever has the key-encryption key\n"
        "in %s. That file is yours, so this is too:\n"
        "  1. stop the server, if it runs\n"
        "  2. gatehouse keys migrate --to file:PATH, another path than that one\n"
        "  3. remove %s and its copies\n",
        own_file, own_file);
    return EXIT_SUCCESS;
}

/* The path of a key-encryption key at file:PATH, in the arena; NULL when it is elsewhere. */
static const char *own_file_of(struct cli *cli, const struct gh_keyring *keyring)
{
    static const struct gh_slice prefix = GH_SLICE_INIT("file:");
    struct gh_slice place = gh_keyring_kek(keyring, 0).text;
    return gh_slice_starts(place, prefix)
               ? gh_arena_text(&cli->arena, gh_slice_sub(place, prefix.size, place.size))
               : NULL;
}

int run_ca_remove_root(struct cli *cli)
{
    struct house house;
    const char *path = cli_option(cli, "root");
    if (path == NULL)
        return cli_usage(cli, "--root is missing: the file of `gatehouse ca export-root`");
    const char *own_file = NULL;
    bool good = house_open(cli, &house);
    if (good && gh_keyring_get(house.keyring, GH_KEYRING_CA) == NULL) {
        gh_error_set(&cli->error, GH_ERROR_PRECONDITION, "the root is offline already");
        good = false;
    }
    if (good) {
        struct gh_ca_facts facts = gh_ca_facts(house.ca);
        struct gh_ca_order order = {.list_der = facts.list_der};
        struct gh_authority *root = open_exported(cli, path, facts.root_pem);
        own_file = own_file_of(cli, house.keyring);
        good = root != NULL && carry_out(cli, &house, root, &order, true);
        gh_authority_close(root);
    }
    int code = house_close(cli, &house, good);
    if (code != EXIT_SUCCESS)
        return code;
    puts("The root is offline: its key is not in the data folder any more.");
    return rotate_after(cli, own_file);
}

/* CRLReason of the words for it; -1 for others. */
static int reason_of(const char *word)
{
    static const struct {
        const char *word;
        int reason;
    } rows[] = {{"unspecified", 0},
                {"key_compromise", 1},
                {"ca_compromise", 2},
                {"superseded", 4},
                {"cessation_of_operation", 5}};
    for (size_t i = 0; i < GH_COUNT(rows); i++)
        if (strcmp(rows[i].word, word) == 0)
            return rows[i].reason;
    return -1;
}

/* What is asked of the root; its texts are in the arena or borrow from the facts. */
static bool make_order(struct cli *cli, struct house *house, const struct gh_ca_facts *facts,
                       struct gh_ca_order *order)
{
    const char *reason = cli_option(cli, "revoke");
    struct gh_slice chain = facts->chain_pem;
    *order = (struct gh_ca_order){.list_der = facts->list_der};
    if (reason != NULL) {
        order->reason = reason_of(reason);
        if (!gh_certificate_take(&chain, &order->revoked_pem))
            return true;
    }
    return cli_option(cli, "list-only") != NULL ||
           house_request(cli, house, &order->public_key_pem);
}

int run_ca_renew(struct cli *cli)
{
    struct house house;
    const char *reason = cli_option(cli, "revoke");
    if (reason != NULL && (reason_of(reason) < 0 || cli_option(cli, "list-only") != NULL))
        return cli_usage(cli, "--revoke is unspecified, key_compromise, ca_compromise, superseded "
                              "or cessation_of_operation, and needs a new intermediate CA");
    bool good = house_open(cli, &house);
    if (good) {
        struct gh_ca_facts facts = gh_ca_facts(house.ca);
        struct gh_authority *root = open_root(cli, house.keyring, facts.root_pem);
        struct gh_ca_order order;
        good = root != NULL && make_order(cli, &house, &facts, &order) &&
               carry_out(cli, &house, root, &order, false);
        gh_authority_close(root);
    }
    int code = house_close(cli, &house, good);
    return code == EXIT_SUCCESS ? run_ca_status(cli) : code;
}
