#include "base/file.h"
#include "base/secret.h"
#include "base/time.h"
#include "programs/gatehouse/cli.h"
#include "store/store.h"
#include "vault/ca.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PEM_MAX = 16 * 1024, FILE_MAX = 32 * 1024 * 1024 };

bool file_write(struct cli *cli, const char *path, struct gh_slice bytes, unsigned mode)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    bool good = file >= 0 && write(file, bytes.data, bytes.size) == (ssize_t)bytes.size &&
                fsync(file) == 0 && gh_file_sync_name(path);
    if (!good)
        gh_error_set(&cli->error, GH_ERROR_FILE, "cannot write %s: %s", path, strerror(errno));
    if (file >= 0)
        close(file);
    return good;
}

bool file_load(struct cli *cli, const char *path, struct gh_slice *out)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    struct gh_buffer bytes;
    gh_buffer_init(&bytes, FILE_MAX);
    bool good = file != NULL;
    while (good && !feof(file)) {
        uint8_t *to = gh_buffer_reserve(&bytes, 65536);
        good = to != NULL && !ferror(file);
        if (good)
            gh_buffer_commit(&bytes, fread(to, 1, 65536, file));
    }
    good = good && gh_arena_copy(&cli->arena, gh_buffer_slice(&bytes), out);
    if (!good)
        gh_error_set(&cli->error, GH_ERROR_FILE, "cannot read %s: %s", path,
                     file == NULL ? strerror(errno) : "it is too large");
    if (file != NULL && file != stdin)
        fclose(file);
    gh_buffer_deinit(&bytes);
    return good;
}

bool init_exists(const char *data)
{
    char path[4096];
    struct stat info;
    snprintf(path, sizeof path, "%s/ca.crt", data);
    return stat(path, &info) == 0;
}

/* Makes the folder and those above it, mode 0700; an existing folder is fine. */
static bool make_folder(struct cli *cli, const char *path)
{
    char *copy = gh_arena_text(&cli->arena, gh_slice_text(path));
    for (char *at = copy + 1; *at != '\0'; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        (void)mkdir(copy, 0700);
        *at = '/';
    }
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return true;
    gh_error_set(&cli->error, GH_ERROR_FILE, "cannot make the folder %s: %s", path,
                 strerror(errno));
    return false;
}

/* The keyring with the root's key, the one under which the keys of issuing CAs will be sealed, and
 * the one under which the secrets of devices and the passwords of people are stored. */
static bool make_keyring(struct cli *cli, const char *data, struct gh_slice authority_key,
                         struct gh_slice passwords)
{
    const char *place = cli_option(cli, "kek");
    uint8_t issuing[GH_ISSUER_KEY_BYTES];
    gh_random(issuing, sizeof issuing);
    struct gh_keyring *keyring =
        gh_keyring_create(data, gh_slice_text(place != NULL ? place : "file"), &cli->error);
    bool made = keyring != NULL &&
                gh_keyring_put(keyring, GH_KEYRING_CA, authority_key, &cli->error) == GH_OK &&
                gh_keyring_put(keyring, GH_KEYRING_ISSUING, gh_slice(issuing, sizeof issuing),
                               &cli->error) == GH_OK &&
                gh_keyring_put(keyring, GH_KEYRING_PASSWORDS, passwords, &cli->error) == GH_OK &&
                gh_keyring_save(keyring, &cli->error) == GH_OK;
    gh_secret_wipe(issuing, sizeof issuing);
    gh_keyring_close(keyring);
    return made;
}

/* The root certifies the intermediate CA. A start does that too, should this be cut short. */
static bool make_intermediate(struct cli *cli, const char *data)
{
    struct gh_keyring *keyring = gh_keyring_open(data, &cli->error);
    struct gh_ca *ca = keyring != NULL ? gh_ca_open(keyring, data, &cli->error) : NULL;
    bool made = ca != NULL && gh_ca_tend(ca, gh_time_utc_ms() / 1000, NULL, &cli->error) == GH_OK;
    gh_ca_close(ca);
    gh_keyring_close(keyring);
    return made;
}

static bool make_authority(struct cli *cli, const char *data, struct gh_slice passwords)
{
    int64_t now_s = gh_time_utc_ms() / 1000;
    struct gh_validity validity = {now_s - 3600, now_s + GH_CA_ROOT_DAYS * INT64_C(86400)};
    struct gh_buffer key, certificate;
    gh_buffer_init(&key, PEM_MAX);
    gh_buffer_init(&certificate, PEM_MAX);
    bool made = make_folder(cli, gh_arena_print(&cli->arena, "%s/keys", data)) &&
                gh_authority_create(GH_SLICE("Gatehouse CA"), validity, &key, &certificate,
                                    &cli->error) == GH_OK &&
                make_keyring(cli, data, gh_buffer_slice(&key), passwords) &&
                file_write(cli, gh_arena_print(&cli->arena, "%s/ca.crt", data),
                           gh_buffer_slice(&certificate), 0644);
    if (key.data != NULL)
        gh_secret_wipe(key.data, key.capacity);
    gh_buffer_deinit(&key);
    gh_buffer_deinit(&certificate);
    return made;
}

static bool write_configuration(struct cli *cli, const char *data)
{
    struct gh_buffer text;
    const char *host;
    gh_buffer_init(&text, 64 * 1024);
    gh_buffer_put(
        &text,
        GH_SLICE("; Gatehouse. Every key is also an option of gatehoused; see gatehoused --help.\n"
                 "[server]\n"
                 "; listen = 127.0.0.1:8883\n"
                 "; listen = 127.0.0.1:8443\n\n"
                 "[tls]\n"
                 "; more names of this server in its certificate, beside localhost,\n"
                 "; 127.0.0.1 and ::1\n"));
    for (size_t i = 0; (host = cli_option_nth(cli, "host", i)) != NULL; i++)
        gh_buffer_print(&text, "name = %s\n", host);
    bool written = file_write(cli, gh_arena_print(&cli->arena, "%s/gatehouse.conf", data),
                              gh_buffer_slice(&text), 0600);
    gh_buffer_deinit(&text);
    return written;
}

/* With a password that is made here, or with --invite without any and an invitation to choose
 * one. */
static bool make_operator(struct cli *cli, const char *data, struct gh_slice key,
                          struct first_operator *first)
{
    bool invites = cli_option(cli, "invite") != NULL;
    int64_t now_ms = gh_time_utc_ms();
    struct gh_store *store = gh_store_open(data, GH_STORE_CREATE, &cli->error);
    struct gh_operators_options options = {.store = store, .cost = GH_PASSWORD_COST, .key = key};
    if (!invites)
        gh_password_make(first->password);
    struct gh_operator_draft draft = {.name = gh_slice_text(first->name),
                                      .password = gh_slice_text(first->password),
                                      .role = GH_SLICE("administrator")};
    struct gh_operators *operators = NULL;
    if (store != NULL)
        operators = gh_operators_open(&options, &cli->error);
    bool made = operators != NULL &&
                gh_operators_create(operators, &draft, now_ms, &cli->error) == GH_OK &&
                (!invites || gh_operators_invite(operators, draft.name, now_ms, first->invitation,
                                                 &cli->error) == GH_OK) &&
                cli_audit(cli, store, "house.create", "operators/{o}");
    gh_operators_close(operators);
    if (store != NULL)
        gh_store_close(store);
    return made;
}

bool init_folder(struct cli *cli, const char *data, struct first_operator *first)
{
    uint8_t passwords[32] = {0};
    struct gh_slice key = gh_slice(passwords, sizeof passwords);
    if (init_exists(data)) {
        gh_error_set(&cli->error, GH_ERROR_EXISTS, "%s is a data folder already", data);
        return false;
    }
    gh_random(passwords, sizeof passwords);
    /* ca.crt is what makes it a data folder, so it comes last but for what can be repeated. */
    bool made = make_folder(cli, data) && write_configuration(cli, data) &&
                make_operator(cli, data, key, first) && make_authority(cli, data, key) &&
                make_intermediate(cli, data);
    gh_secret_wipe(passwords, sizeof passwords);
    return made;
}

int run_init(struct cli *cli)
{
    const char *data = cli_data(cli), *name = cli_option(cli, "operator");
    struct first_operator first = {.name = name != NULL ? name : "admin"};
    if (!init_folder(cli, data, &first))
        return cli_fail(cli);
    printf("Data folder   %s\n"
           "Trust anchor  %s/ca.crt\n"
           "Operator      %s\n",
           data, data, first.name);
    if (first.password[0] != '\0')
        printf("Password      %s   (shown this once)\n", first.password);
    else
        printf("Invitation    https://localhost:8443/invitation#%s:%s\n"
               "              (or under another name of this server; good once, for %d minutes; "
               "`gatehouse operator invite %s` makes another)\n",
               first.name, first.invitation, GH_INVITATION_S / 60, first.name);
    gh_secret_wipe(&first, sizeof first);
    return EXIT_SUCCESS;
}
