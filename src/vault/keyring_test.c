#include "tests/check.h"
#include "vault/keyring.h"
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>
#include <unistd.h>

enum { TEXT_MAX = 600 };
#define SOFTHSM "/usr/lib/softhsm/libsofthsm2.so"

extern char **environ;

/* --- the places: a real token and a real TPM, both in software --- */

static char folder[256], token_uri[TEXT_MAX], tpm_text[TEXT_MAX], tpm_bound_text[TEXT_MAX];
static pid_t tpm_process;

static bool run(const char *const arguments[])
{
    pid_t child;
    int status;
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
    int why = posix_spawnp(&child, arguments[0], &quiet, NULL, (char *const *)(uintptr_t)arguments,
                           environ);
    posix_spawn_file_actions_destroy(&quiet);
    return why == 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    (void)unlink(path);
    FILE *file = fopen(path, "we");
    REQUIRE("a file of the test",
            file != NULL && fputs(text, file) >= 0 && fclose(file) == 0 && chmod(path, mode) == 0);
}

static bool start_token(void)
{
    char path[TEXT_MAX], text[2 * TEXT_MAX];
    snprintf(path, sizeof path, "%s/tokens", folder);
    mkdir(path, 0700);
    snprintf(text, sizeof text, "directories.tokendir = %s\nobjectstore.backend = file\n", path);
    snprintf(path, sizeof path, "%s/softhsm2.conf", folder);
    write_file(path, text, 0600);
    setenv("SOFTHSM2_CONF", path, 1);
    snprintf(path, sizeof path, "%s/pin", folder);
    write_file(path, "4321\n", 0400);
    snprintf(token_uri, sizeof token_uri,
             "pkcs11:token=gatehouse?module-path=" SOFTHSM "&pin-source=file:%s/pin", folder);
    return access(SOFTHSM, R_OK) == 0 &&
           run((const char *const[]){"softhsm2-util", "--init-token", "--free", "--label",
                                     "gatehouse", "--pin", "4321", "--so-pin", "8765", NULL});
}

static void stop_tpm(void)
{
    if (tpm_process > 0)
        kill(tpm_process, SIGTERM);
    tpm_process = 0;
}

/* It returns once its sockets are there. */
static bool start_tpm(void)
{
    char state[TEXT_MAX], server[TEXT_MAX], control[TEXT_MAX], pid[TEXT_MAX], path[300];
    snprintf(path, sizeof path, "%s/tpm", folder);
    mkdir(path, 0700);
    snprintf(state, sizeof state, "dir=%s", path);
    snprintf(server, sizeof server, "type=unixio,path=%s/sock", path);
    snprintf(control, sizeof control, "type=unixio,path=%s/sock.ctrl", path);
    snprintf(pid, sizeof pid, "file=%s/pid", path);
    snprintf(tpm_text, sizeof tpm_text, "tpm:tcti=swtpm:path=%.400s/sock", path);
    snprintf(tpm_bound_text, sizeof tpm_bound_text, "tpm:pcrs=7,16;tcti=swtpm:path=%.400s/sock",
             path);
    if (!run((const char *const[]){"swtpm", "socket", "--tpm2", "--tpmstate", state, "--server",
                                   server, "--ctrl", control, "--flags",
                                   "not-need-init,startup-clear", "--daemon", "--pid", pid, NULL}))
        return false;
    snprintf(path, sizeof path, "%s/tpm/pid", folder);
    FILE *file = fopen(path, "re");
    int number = 0;
    bool known = file != NULL && fscanf(file, "%d", &number) == 1;
    if (file != NULL)
        fclose(file);
    tpm_process = (pid_t)number;
    return known;
}

/* --- a keyring of its own for each row --- */

static const char *data_folder(void)
{
    static char path[TEXT_MAX];
    static int count;
    char keys[TEXT_MAX + 8];
    snprintf(path, sizeof path, "%s/data-%d", folder, ++count);
    snprintf(keys, sizeof keys, "%s/keys", path);
    REQUIRE("a data folder", mkdir(path, 0700) == 0 && mkdir(keys, 0700) == 0);
    return path;
}

static struct gh_keyring *keyring_make(const char *data, const char *text)
{
    struct gh_error error = {0};
    struct gh_keyring *keyring = gh_keyring_create(data, gh_slice_text(text), &error);
    if (keyring == NULL)
        fprintf(stderr, "%s\n", error.text);
    REQUIRE("a keyring", keyring != NULL);
    REQUIRE("a secret in it",
            gh_keyring_put(keyring, "ca.key", GH_SLICE("the authority"), &error) == GH_OK &&
                gh_keyring_save(keyring, &error) == GH_OK);
    return keyring;
}

static bool holds(const struct gh_keyring *keyring, const char *name, const char *text)
{
    const struct gh_secret *secret = keyring == NULL ? NULL : gh_keyring_get(keyring, name);
    return secret != NULL && gh_slice_equal(gh_secret_bytes(secret), gh_slice_text(text));
}

static bool refused(const char *data, const char *words)
{
    struct gh_error error = {0};
    struct gh_keyring *keyring = gh_keyring_open(data, &error);
    bool as_said =
        keyring == NULL && error.code == GH_ERROR_KEYS && strstr(error.text, words) != NULL;
    if (!as_said)
        fprintf(stderr, "said: %s\n", error.text);
    gh_keyring_close(keyring);
    return as_said;
}

static const struct gh_seal_place tenant_place = {7, GH_SLICE_INIT("data key"), GH_SLICE_INIT("1")};

/* Making, opening again, sealing for others, rotating: the same at every place. */
static void test_place(const char *claim, const char *text, const char *next)
{
    uint8_t sealed_block[256], plain_block[64];
    struct gh_buffer sealed = gh_buffer_fixed(sealed_block, sizeof sealed_block);
    struct gh_buffer plain = gh_buffer_fixed(plain_block, sizeof plain_block);
    struct gh_error error = {0};
    char data[TEXT_MAX];
    snprintf(data, sizeof data, "%s", data_folder());
    struct gh_keyring *keyring = keyring_make(data, text);
    REQUIRE(claim, gh_keyring_seal(keyring, &tenant_place, GH_SLICE("a data key"), &sealed,
                                   &error) == GH_OK);
    gh_keyring_close(keyring);

    keyring = gh_keyring_open(data, &error);
    CHECK(claim, holds(keyring, "ca.key", "the authority"));
    REQUIRE(claim, keyring != NULL);
    CHECK(claim, gh_keyring_unseal(keyring, &tenant_place, gh_buffer_slice(&sealed), &plain,
                                   &error) == GH_OK &&
                     gh_slice_equal(gh_buffer_slice(&plain), GH_SLICE("a data key")));

    CHECK(claim, gh_keyring_rotate(keyring, gh_slice_text(next), &error) == GH_OK);
    CHECK(claim, gh_keyring_rotate(keyring, gh_slice_text(next), &error) == GH_ERROR_PRECONDITION);
    gh_keyring_close(keyring);
    keyring = gh_keyring_open(data, &error); /* a crash in the middle of a rotation */
    REQUIRE(claim, keyring != NULL && gh_keyring_keks(keyring) == 2);
    plain.size = 0;
    CHECK(claim, gh_keyring_unseal(keyring, &tenant_place, gh_buffer_slice(&sealed), &plain,
                                   &error) == GH_OK);
    CHECK(claim, gh_keyring_settle(keyring, &error) == GH_OK && gh_keyring_keks(keyring) == 1);
    plain.size = 0;
    CHECK("what was sealed under a KEK that is gone stays closed",
          gh_keyring_unseal(keyring, &tenant_place, gh_buffer_slice(&sealed), &plain, &error) ==
                  GH_ERROR_KEYS &&
              plain.size == 0 && strstr(error.text, "which is not here") != NULL);
    gh_keyring_close(keyring);
    keyring = gh_keyring_open(data, &error);
    CHECK(claim, holds(keyring, "ca.key", "the authority") && gh_keyring_keks(keyring) == 1);
    gh_keyring_close(keyring);
}

static void kek_path(const struct gh_keyring *keyring, const char *data, char out[TEXT_MAX])
{
    snprintf(out, TEXT_MAX, "%.400s/keys/kek-%08x.key", data,
             (unsigned)gh_keyring_kek(keyring, 0).number);
}

static void test_file_refusals(void)
{
    char data[TEXT_MAX], path[TEXT_MAX], ring[TEXT_MAX + 16];
    struct gh_error error = {0};
    struct stat info;
    snprintf(data, sizeof data, "%s", data_folder());
    snprintf(ring, sizeof ring, "%s/keys/keyring", data);
    CHECK("no keyring", !gh_keyring_exists(data) && refused(data, "No such file"));
    struct gh_keyring *keyring = keyring_make(data, "file");
    kek_path(keyring, data, path);
    gh_keyring_close(keyring);
    CHECK("the key is for its owner to read alone",
          stat(path, &info) == 0 && (info.st_mode & 0777) == 0400 && info.st_size == 32);
    CHECK("and so is the keyring", stat(ring, &info) == 0 && (info.st_mode & 0777) == 0600);

    chmod(path, 0440);
    CHECK("a key that a group can read", refused(data, "others can read it (mode 0440)"));
    write_file(path, "0123456789abcdef0123456789abcde", 0400);
    CHECK("a key of 31 bytes", refused(data, "no key of 32 bytes"));
    write_file(path, "0123456789abcdef0123456789abcdef0", 0400);
    CHECK("a key of 33 bytes", refused(data, "more than 32 bytes"));
    write_file(path, "0123456789abcdef0123456789abcdef", 0400);
    CHECK("another key", refused(data, "is not the key-encryption key"));
    unlink(path);
    CHECK("no key", refused(data, "No such file"));
    chmod(ring, 0644);
    CHECK("a keyring that others can read", refused(data, "others can read it"));
    write_file(ring, "GHKR\x02", 0600);
    CHECK("a keyring of a newer version", refused(data, "newer Gatehouse"));
    CHECK("a place that is none",
          gh_keyring_create(data, GH_SLICE("cloud:x"), &error) == NULL &&
              strstr(error.text, "\"cloud:x\" is no place for a key") != NULL);
    CHECK("a path that is relative",
          gh_keyring_create(data, GH_SLICE("file:kek"), &error) == NULL &&
              strstr(error.text, "must begin with /") != NULL);
}

static void test_token_refusals(void)
{
    char data[TEXT_MAX], pin[TEXT_MAX], text[TEXT_MAX];
    struct gh_error error = {0};
    snprintf(data, sizeof data, "%s", data_folder());
    snprintf(pin, sizeof pin, "%s/pin", folder);
    gh_keyring_close(keyring_make(data, token_uri));
    write_file(pin, "4322\n", 0400);
    CHECK("a wrong PIN", refused(data, "the token refuses the PIN"));
    chmod(pin, 0444);
    CHECK("a PIN that others can read", refused(data, "others can read it"));
    unlink(pin);
    CHECK("no PIN", refused(data, "No such file"));
    write_file(pin, "4321\n", 0400);
    const struct {
        const char *claim, *text, *words;
    } rows[] = {
        {"a token that is not there",
         "pkcs11:token=elsewhere?module-path=" SOFTHSM "&pin-source=file:/dev/null",
         "there is no such token"},
        {"a PIN in the URI", "pkcs11:token=gatehouse?module-path=" SOFTHSM "&pin-value=4321",
         "does not belong into a URI"},
        {"no PIN in the URI", "pkcs11:token=gatehouse?module-path=" SOFTHSM,
         "pin-source= is missing"},
        {"a module that is not there", "pkcs11:token=gatehouse?module-path=/nowhere.so",
         "/nowhere.so"},
        {"no URI", "pkcs11:token", "not a URI"},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        bool as_said = gh_keyring_create(data, gh_slice_text(rows[i].text), &error) == NULL &&
                       strstr(error.text, rows[i].words) != NULL;
        if (!CHECK(rows[i].claim, as_said))
            fprintf(stderr, "said: %s\n", error.text);
    }
    snprintf(text, sizeof text, "%s/tokens", folder); /* another token of the same name */
    char away[TEXT_MAX + 8];
    snprintf(away, sizeof away, "%s-away", text);
    REQUIRE("the token is taken away", rename(text, away) == 0 && mkdir(text, 0700) == 0);
    CHECK("the token is gone", refused(data, "there is no such token"));
    REQUIRE("another token",
            run((const char *const[]){"softhsm2-util", "--init-token", "--free", "--label",
                                      "gatehouse", "--pin", "4321", "--so-pin", "8765", NULL}));
    CHECK("another token of that name", refused(data, "the token holds no key with id"));
}

/* PCR 16, which is there for tests. */
static bool extend_pcr(void)
{
    static const TPML_DIGEST_VALUES digest = {
        .count = 1, .digests = {{.hashAlg = TPM2_ALG_SHA256, .digest.sha256 = {1}}}};
    TSS2_TCTI_CONTEXT *tcti = NULL;
    ESYS_CONTEXT *esys = NULL;
    char name[TEXT_MAX];
    snprintf(name, sizeof name, "swtpm:path=%s/tpm/sock", folder);
    bool done = Tss2_TctiLdr_Initialize(name, &tcti) == TSS2_RC_SUCCESS &&
                Esys_Initialize(&esys, tcti, NULL) == TSS2_RC_SUCCESS &&
                Esys_PCR_Extend(esys, ESYS_TR_PCR16, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                                &digest) == TSS2_RC_SUCCESS;
    if (esys != NULL)
        Esys_Finalize(&esys);
    if (tcti != NULL)
        Tss2_TctiLdr_Finalize(&tcti);
    return done;
}

static void test_tpm_refusals(void)
{
    char data[TEXT_MAX], bound[TEXT_MAX], path[TEXT_MAX], away[TEXT_MAX];
    struct gh_error error = {0};
    snprintf(data, sizeof data, "%s", data_folder());
    gh_keyring_close(keyring_make(data, tpm_text));
    snprintf(bound, sizeof bound, "%s", data_folder());
    gh_keyring_close(keyring_make(bound, tpm_bound_text));
    CHECK("PCRs that are none", gh_keyring_create(data, GH_SLICE("tpm:pcrs=24"), &error) == NULL &&
                                    strstr(error.text, "not pcrs=") != NULL);
    CHECK("a PCR changes", extend_pcr());
    CHECK("other PCRs than at the sealing", refused(bound, "are the PCRs what they were?"));
    stop_tpm();
    snprintf(path, sizeof path, "%s/tpm", folder);
    snprintf(away, sizeof away, "%s/tpm-away", folder);
    REQUIRE("its state is taken away", rename(path, away) == 0);
    CHECK("no TPM", refused(data, "no way to it"));
    REQUIRE("another TPM", start_tpm());
    CHECK("another TPM's key", refused(data, "was sealed by another TPM"));
}

/* The file as bytes: every prefix is refused, and a secret that moved to another name too. */
static void test_form(void)
{
    static struct gh_keyring_form form;
    static uint8_t bytes[8192];
    char data[TEXT_MAX], ring[TEXT_MAX + 16];
    struct gh_error error = {0};
    snprintf(data, sizeof data, "%s", data_folder());
    struct gh_keyring *keyring = keyring_make(data, "file");
    REQUIRE("a second secret",
            gh_keyring_put(keyring, "xx.key", GH_SLICE("second"), &error) == GH_OK &&
                gh_keyring_save(keyring, &error) == GH_OK);
    gh_keyring_close(keyring);
    snprintf(ring, sizeof ring, "%s/keys/keyring", data);
    FILE *file = fopen(ring, "re");
    size_t size = file == NULL ? 0 : fread(bytes, 1, sizeof bytes, file);
    if (file != NULL)
        fclose(file);
    struct gh_slice whole = gh_slice(bytes, size);
    REQUIRE("what was written is read",
            gh_keyring_form_read(whole, &form) && form.secrets_count == 2);
    CHECK("no secret in clear", memmem(bytes, size, "the authority", 13) == NULL);
    for (size_t cut = 0; cut < size; cut++)
        CHECK("a cut keyring", !gh_keyring_form_read(gh_slice_sub(whole, 0, cut), &form));
    bytes[size] = 0;
    CHECK("one byte too many", !gh_keyring_form_read(gh_slice(bytes, size + 1), &form));

    REQUIRE("read again", gh_keyring_form_read(whole, &form));
    struct gh_slice name = form.secrets[0].name;
    form.secrets[0].name = form.secrets[1].name;
    form.secrets[1].name = name;
    static uint8_t swapped[8192];
    struct gh_buffer out = gh_buffer_fixed(swapped, sizeof swapped);
    gh_keyring_form_write(&form, &out);
    file = fopen(ring, "we");
    REQUIRE("written",
            file != NULL && fwrite(out.data, 1, out.size, file) == out.size && fclose(file) == 0);
    CHECK("secrets that changed their names", refused(data, "was changed, or belongs"));
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    setenv("TSS2_LOG", "all+NONE", 1); /* the library's own lines about refusals that are wanted */
    snprintf(folder, sizeof folder, "%s", check_folder());
    char path_text[TEXT_MAX];
    snprintf(path_text, sizeof path_text, "file:%s/elsewhere.key", folder);
    test_place("file", "file", "file");
    test_place("file:PATH", path_text, "file");
    test_file_refusals();
    test_form();
    if (start_token()) {
        test_place("pkcs11", token_uri, token_uri);
        test_place("file to pkcs11", "file", token_uri);
        test_token_refusals();
    } else {
        fputs("softhsm2 is missing: keys in a token are not tried\n", stderr);
    }
    if (start_tpm()) {
        test_place("tpm", tpm_text, tpm_text);
        test_place("tpm with PCRs", tpm_bound_text, "file");
        test_tpm_refusals();
    } else {
        fputs("swtpm is missing: keys in a TPM are not tried\n", stderr);
    }
    stop_tpm();
    return check_report();
}
