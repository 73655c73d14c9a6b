#include "programs/gatehoused/keys.h"
#include "base/cursor.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/time.h"
#include "crypto/authority.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE_MAX = 32 * 1024, PEM_MAX = 16 * 1024, ANSWER_MS_MAX = 10000, OP_CERTIFY = 1 };

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

static struct gh_authority *open_authority(const char *data, struct gh_error *error)
{
    char key_path[PATH_MAX], certificate_path[PATH_MAX];
    struct gh_buffer key, certificate;
    struct gh_authority *authority = NULL;
    gh_buffer_init(&key, 2 * PEM_MAX);
    gh_buffer_init(&certificate, 2 * PEM_MAX);
    snprintf(key_path, sizeof key_path, "%.*s/keys/ca.key", PATH_MAX - 16, data);
    snprintf(certificate_path, sizeof certificate_path, "%.*s/ca.crt", PATH_MAX - 16, data);
    if (file_read(certificate_path, PEM_MAX, &certificate, error) == GH_OK &&
        file_read(key_path, PEM_MAX, &key, error) == GH_OK)
        authority = gh_authority_open(gh_buffer_slice(&certificate), gh_buffer_slice(&key), error);
    if (key.data != NULL)
        gh_secret_wipe(key.data, key.capacity);
    gh_buffer_deinit(&key);
    gh_buffer_deinit(&certificate);
    return authority;
}

/* localhost and both loopback addresses always, then the configured names. */
static size_t collect_names(const struct config *config,
                            struct gh_slice names[GH_AUTHORITY_NAMES_MAX])
{
    static const char *const always[] = {"localhost", "127.0.0.1", "::1"};
    size_t count = 0;
    for (size_t i = 0; i < GH_COUNT(always); i++)
        names[count++] = gh_slice_text(always[i]);
    for (size_t i = 0; i < config->names_count; i++)
        names[count++] = gh_slice_text(config->names[i]);
    return count;
}

static enum gh_error_code certify(const struct config *config, const struct gh_authority *authority,
                                  struct gh_slice request, struct gh_buffer *out,
                                  struct gh_error *error)
{
    enum { DAY_S = 86400, CLOCK_SKEW_S = 3600 };
    struct gh_cursor at = gh_cursor(request);
    struct gh_slice names[GH_AUTHORITY_NAMES_MAX], public_key;
    uint8_t operation;
    if (!gh_cursor_u8(&at, &operation) || operation != OP_CERTIFY ||
        !gh_cursor_take32(&at, &public_key) || gh_cursor_left(&at) != 0)
        return gh_error_set(error, GH_ERROR_INVALID, "not a request");
    int64_t now_s = gh_time_utc_ms() / 1000;
    struct gh_leaf leaf = {.common_name = GH_SLICE("gatehouse"),
                           .public_key_pem = public_key,
                           .names = names,
                           .names_count = collect_names(config, names),
                           .validity = {now_s - CLOCK_SKEW_S, now_s + config->leaf_days * DAY_S}};
    return gh_authority_issue(authority, &leaf, out, error);
}

static bool answer(int socket, const struct config *config, const struct gh_authority *authority,
                   struct gh_slice request)
{
    uint8_t message[MESSAGE_MAX];
    struct gh_buffer leaf, out = gh_buffer_fixed(message, sizeof message);
    struct gh_error error = {0};
    gh_buffer_init(&leaf, PEM_MAX);
    enum gh_error_code code = certify(config, authority, request, &leaf, &error);
    if (code != GH_OK)
        gh_log(GH_LOG_ERROR, "keys", "request refused: %s", error.text);
    gh_buffer_u8(&out, code == GH_OK ? 0 : 1);
    gh_buffer_put32(&out, code == GH_OK ? gh_buffer_slice(&leaf) : gh_slice_text(error.text));
    gh_buffer_deinit(&leaf);
    return !out.overflow && send(socket, out.data, out.size, MSG_NOSIGNAL) == (ssize_t)out.size;
}

int keys_run(const struct config *config, int socket)
{
    struct gh_error error = {0};
    char line[GH_ERROR_LINE_MAX];
    static uint8_t request[MESSAGE_MAX];
    prctl(PR_SET_NAME, "gatehoused:keys");
    prctl(PR_SET_DUMPABLE, 0);
    struct gh_authority *authority = open_authority(config->data, &error);
    if (authority == NULL) {
        gh_log(GH_LOG_ERROR, "keys", "%s", gh_error_line(&error, line));
        return EXIT_FAILURE;
    }
    for (;;) {
        ssize_t got = recv(socket, request, sizeof request, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || !answer(socket, config, authority, gh_slice(request, (size_t)got)))
            break;
    }
    gh_authority_close(authority);
    return EXIT_SUCCESS;
}

enum gh_error_code keys_certify(int socket, struct gh_slice public_key_pem,
                                struct gh_buffer *certificate_pem, struct gh_error *error)
{
    uint8_t message[MESSAGE_MAX], status;
    struct gh_buffer out = gh_buffer_fixed(message, sizeof message);
    struct gh_slice text;
    gh_buffer_u8(&out, OP_CERTIFY);
    gh_buffer_put32(&out, public_key_pem);
    if (out.overflow || send(socket, out.data, out.size, MSG_NOSIGNAL) != (ssize_t)out.size)
        return gh_error_set(error, GH_ERROR_UNAVAILABLE, "the keys process does not answer");
    struct pollfd readable = {.fd = socket, .events = POLLIN};
    if (poll(&readable, 1, ANSWER_MS_MAX) != 1)
        return gh_error_set(error, GH_ERROR_TIMEOUT, "the keys process does not answer");
    ssize_t got = recv(socket, message, sizeof message, 0);
    struct gh_cursor at = gh_cursor(gh_slice(message, got > 0 ? (size_t)got : 0));
    if (!gh_cursor_u8(&at, &status) || !gh_cursor_take32(&at, &text))
        return gh_error_set(error, GH_ERROR_UNAVAILABLE, "the keys process has ended");
    if (status != 0)
        return gh_error_set(error, GH_ERROR_TLS, "the keys process: %.*s", GH_PRINT(text));
    return gh_buffer_put(certificate_pem, text)
               ? GH_OK
               : gh_error_set(error, GH_ERROR_MEMORY, "the certificate does not fit");
}
