#include "programs/gatehoused/keys.h"
#include "base/log.h"
#include "base/secret.h"
#include "programs/gatehoused/keys_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* What may be asked. */
static const struct {
    const char *name; /* for the log */
    keys_handler *handle;
} kinds[KEYS_KINDS] = {
    [KEYS_CERTIFY] = {"certify", keys_handle_certify},
    [KEYS_PASSWORD_KEY] = {"password key", keys_handle_password_key},
    [KEYS_DATA_KEY_MAKE] = {"make a data key", keys_handle_data_key_make},
    [KEYS_DATA_KEY_OPEN] = {"open a data key", keys_handle_data_key_open},
    [KEYS_TOKEN_LIST] = {"token list", keys_handle_token_list},
    [KEYS_TOKEN_SIGN] = {"token sign", keys_handle_token_sign},
    [KEYS_TOKEN_ROTATE] = {"token rotate", keys_handle_token_rotate},
    [KEYS_ISSUER_CREATE] = {"make an issuing CA", keys_handle_issuer_create},
    [KEYS_ISSUE] = {"issue", keys_handle_issue},
    [KEYS_CRL] = {"revocation list", keys_handle_crl},
    [KEYS_OCSP] = {"status of a certificate", keys_handle_ocsp},
    [KEYS_KEK_RENEW] = {"a new key-encryption key", keys_handle_kek_renew},
    [KEYS_DATA_KEY_REWRAP] = {"seal a data key anew", keys_handle_data_key_rewrap},
    [KEYS_KEK_SETTLE] = {"the old key-encryption key goes", keys_handle_kek_settle},
    [KEYS_AUDIT_KEY] = {"key of the audit trail", keys_handle_audit_key},
    [KEYS_AUDIT_SIGN] = {"sign a checkpoint", keys_handle_audit_sign},
    [KEYS_CA_SHOW] = {"the built-in CA", keys_handle_ca_show},
    [KEYS_CA_REQUEST] = {"the next intermediate CA's key", keys_handle_ca_request},
    [KEYS_ISSUER_RENEW] = {"renew an issuing CA", keys_handle_issuer_renew},
    [KEYS_CA_INSTALL] = {"what the root signed", keys_handle_ca_install},
};

/* What the process holds; opened from top to bottom, closed the other way. */
static const struct {
    bool (*open)(struct keys *keys, struct gh_error *error);
    void (*close)(struct keys *keys);
} parts[] = {
    {keys_ring_open, keys_ring_close},
    {keys_ca_open, keys_ca_close},
    {keys_tokens_open, keys_tokens_close},
    {keys_audit_open, keys_audit_close},
};

enum gh_error_code file_read(const char *path, size_t size_max, struct gh_buffer *out,
                             struct gh_error *error)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return gh_error_set(error, GH_ERROR_FILE, "cannot open %s: %s", path, strerror(errno));
    for (;;) {
        uint8_t *to = gh_buffer_reserve(out, 4096);
        ssize_t got = to == NULL ? -1 : read(file, to, 4096);
        if (got <= 0) {
            close(file);
            return got == 0 && out->size <= size_max
                       ? GH_OK
                       : gh_error_set(error, GH_ERROR_FILE, "cannot read %s: %s", path,
                                      to == NULL ? "it is too large" : strerror(errno));
        }
        gh_buffer_commit(out, (size_t)got);
    }
}

/* Does what is asked; the answer's fields go behind what `out` holds already. */
static enum gh_error_code handle(struct keys *keys, struct gh_cursor *at, struct gh_buffer *out,
                                 struct gh_error *error)
{
    uint8_t kind;
    if (!gh_cursor_u8(at, &kind) || kind >= GH_COUNT(kinds) || kinds[kind].handle == NULL)
        return gh_error_set(error, GH_ERROR_INVALID, "there is no such request");
    enum gh_error_code code = kinds[kind].handle(keys, at, out, error);
    if (code == GH_OK && out->overflow)
        code = gh_error_set(error, GH_ERROR_MEMORY, "the answer does not fit");
    if (code != GH_OK)
        gh_log(GH_LOG_ERROR, "keys", "%s refused: %s", kinds[kind].name, error->text);
    return code;
}

/* False when the other end is gone or sends what is no message. */
static bool answer(int socket, struct keys *keys, struct gh_slice request)
{
    static uint8_t message[KEYS_MESSAGE_MAX];
    enum { HEAD_BYTES = 6 };
    struct gh_buffer head = gh_buffer_fixed(message, HEAD_BYTES);
    struct gh_buffer body = gh_buffer_fixed(message + HEAD_BYTES, sizeof message - HEAD_BYTES);
    struct gh_cursor at = gh_cursor(request);
    struct gh_error error = {0};
    uint32_t number;
    if (!gh_cursor_u32(&at, &number))
        return false;
    enum gh_error_code code = handle(keys, &at, &body, &error);
    if (code != GH_OK) {
        body = gh_buffer_fixed(message + HEAD_BYTES, sizeof message - HEAD_BYTES);
        gh_buffer_put(&body, gh_slice_text(error.text));
    }
    gh_buffer_u32(&head, number);
    gh_buffer_u16(&head, (uint16_t)code);
    size_t size = HEAD_BYTES + body.size;
    bool sent = send(socket, message, size, MSG_NOSIGNAL) == (ssize_t)size;
    gh_secret_wipe(message, sizeof message);
    return sent;
}

/* What the functions called before have left on the stack: OpenSSL's and our own. Not inlined, so
 * that its block lies where theirs were. */
__attribute__((noinline)) static void wipe_stack(void)
{
    enum { AS_DEEP_AS_ANY = 128 * 1024 };
    uint8_t below[AS_DEEP_AS_ANY];
    gh_secret_wipe(below, sizeof below);
}

static bool open_parts(struct keys *keys, struct gh_error *error)
{
    for (size_t i = 0; i < GH_COUNT(parts); i++)
        if (!parts[i].open(keys, error))
            return false;
    return true;
}

/* What a rotation writes is in the folder of keys. The module of a token, and the way to a TPM, are
 * not ours: with a KEK there the process stays as its parent left it. */
static bool confine(const struct keys *keys, struct gh_error *error)
{
    char folder[PATH_MAX];
    struct sandbox_path own = {folder, SANDBOX_READ | SANDBOX_WRITE | SANDBOX_CHANGE};
    snprintf(folder, sizeof folder, "%.*s/keys", PATH_MAX - 16, keys->config->data);
    for (size_t i = 0; i < gh_keyring_keks(keys->keyring); i++)
        if (!gh_slice_starts(gh_keyring_kek(keys->keyring, i).text, GH_SLICE("file")))
            return true;
    if (keys->config->sandbox == SANDBOX_ON)
        (void)sandbox_paths(&own, 1); /* core says whether there is Landlock */
    return sandbox_calls(SANDBOX_KEYS, keys->config->sandbox, error) == GH_OK;
}

int keys_run(const struct config *config, int socket)
{
    struct gh_error error = {0};
    char line[GH_ERROR_LINE_MAX];
    static uint8_t request[KEYS_MESSAGE_MAX];
    struct keys keys = {.config = config};
    prctl(PR_SET_NAME, "gatehoused:keys");
    bool opened = open_parts(&keys, &error) && confine(&keys, &error);
    if (!opened)
        gh_log(GH_LOG_ERROR, "keys", "%s", gh_error_line(&error, line));
    wipe_stack();
    while (opened) {
        ssize_t got = recv(socket, request, sizeof request, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || !answer(socket, &keys, gh_slice(request, (size_t)got)))
            break;
        gh_secret_wipe(request, (size_t)got);
        wipe_stack();
    }
    for (size_t i = GH_COUNT(parts); i > 0; i--)
        parts[i - 1].close(&keys);
    return opened ? EXIT_SUCCESS : EXIT_FAILURE;
}
