/* The asking end of the socket pair, in the core process. */
#include "base/cursor.h"
#include "base/secret.h"
#include "base/time.h"
#include "programs/gatehoused/keys.h"
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

void keys_line_init(struct keys_line *line, int socket)
{
    line->socket = socket;
    line->number = 0;
    pthread_mutex_init(&line->lock, NULL);
}

void keys_line_deinit(struct keys_line *line)
{
    pthread_mutex_destroy(&line->lock);
}

static enum gh_error_code silent(enum gh_error_code code, struct gh_error *error)
{
    return gh_error_set(error, code, "the keys process does not answer");
}

static enum gh_error_code send_question(struct keys_line *line, enum keys_kind kind,
                                        struct gh_slice fields, struct gh_error *error)
{
    uint8_t message[KEYS_MESSAGE_MAX];
    struct gh_buffer out = gh_buffer_fixed(message, sizeof message);
    gh_buffer_u32(&out, ++line->number);
    gh_buffer_u8(&out, (uint8_t)kind);
    gh_buffer_put(&out, fields);
    bool sent = !out.overflow && send(line->socket, out.data, out.size,
                                      MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)out.size;
    gh_secret_wipe(message, out.size);
    return sent ? GH_OK : silent(GH_ERROR_UNAVAILABLE, error);
}

/* The answer to the last question into `message`; those to earlier ones, whose time was over, are
 * dropped. */
static enum gh_error_code await_answer(struct keys_line *line, uint8_t message[KEYS_MESSAGE_MAX],
                                       struct gh_cursor *at, struct gh_error *error)
{
    int64_t until_ns = gh_time_monotonic_ns() + KEYS_ANSWER_MS_MAX * INT64_C(1000000);
    for (;;) {
        int64_t left_ms = (until_ns - gh_time_monotonic_ns()) / 1000000;
        struct pollfd readable = {.fd = line->socket, .events = POLLIN};
        int ready = left_ms <= 0 ? 0 : poll(&readable, 1, (int)left_ms);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready != 1)
            return silent(GH_ERROR_TIMEOUT, error);
        ssize_t got = recv(line->socket, message, KEYS_MESSAGE_MAX, 0);
        uint32_t number;
        *at = gh_cursor(gh_slice(message, got > 0 ? (size_t)got : 0));
        if (!gh_cursor_u32(at, &number))
            return gh_error_set(error, GH_ERROR_UNAVAILABLE, "the keys process has ended");
        if (number == line->number)
            return GH_OK;
        gh_secret_wipe(message, (size_t)got);
    }
}

enum gh_error_code keys_ask(struct keys_line *line, enum keys_kind kind, struct gh_slice fields,
                            struct gh_buffer *out, struct gh_error *error)
{
    uint8_t message[KEYS_MESSAGE_MAX];
    struct gh_cursor at = {0};
    uint16_t refused = 0;
    pthread_mutex_lock(&line->lock);
    enum gh_error_code code = send_question(line, kind, fields, error);
    if (code == GH_OK)
        code = await_answer(line, message, &at, error);
    pthread_mutex_unlock(&line->lock);
    if (code != GH_OK)
        return code;
    if (!gh_cursor_u16(&at, &refused))
        code = gh_error_set(error, GH_ERROR_UNAVAILABLE, "the keys process has ended");
    else if (refused != GH_OK)
        code = gh_error_set(error, (enum gh_error_code)refused, "%.*s", GH_PRINT(at.rest));
    else if (!gh_buffer_put(out, at.rest))
        code = gh_error_set(error, GH_ERROR_MEMORY, "the answer of the keys process does not fit");
    gh_secret_wipe(message, sizeof message);
    return code;
}
