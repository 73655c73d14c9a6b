#include "bench/load.h"
#include "wire/base64.h"
#include "wire/http/body.h"
#include "wire/json.h"
#include <stdlib.h>

enum { BODY_BYTES_MAX = 8 << 20, PULL_MESSAGES = 1000 };

enum asked { PULL, ACKNOWLEDGE };

struct puller {
    struct pullers *pullers;
    struct gh_conn *conn;
    enum asked asked;
    bool head_seen;
    int status;
    size_t taken; /* of the answer at hand */
    struct gh_http_body body_state;
    struct gh_buffer body, ask, payload;
};

struct pullers {
    struct load *load;
    struct pulled pulled;
    size_t count, unacknowledged; /* messages that were taken and not yet acknowledged */
    bool stopping;
    struct puller puller[];
};

static void ask(struct puller *puller, enum asked what, struct gh_slice body)
{
    const struct options *options = puller->pullers->load->options;
    struct gh_buffer *out = gh_conn_out(puller->conn);
    puller->asked = what;
    puller->head_seen = false;
    gh_buffer_print(out,
                    "POST %s:%s HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer %s\r\n"
                    "content-type: application/json\r\ncontent-length: %zu\r\n\r\n",
                    options->pull, what == PULL ? "pull" : "acknowledge", options->token,
                    body.size);
    gh_buffer_put(out, body);
    gh_conn_dirty(puller->conn);
}

static void ask_pull(struct puller *puller)
{
    char body[64];
    struct gh_buffer text = gh_buffer_fixed(body, sizeof body);
    gh_buffer_print(&text, "{\"maxMessages\":%d}", PULL_MESSAGES);
    ask(puller, PULL, gh_buffer_slice(&text));
}

/* One received message: hands its data on, and puts its id behind the others. */
static bool take(struct puller *puller, const json_t *received)
{
    struct gh_slice id, data;
    json_t *message;
    if (!gh_json_text(received, "ackId", &id) || !gh_json_object(received, "message", &message) ||
        !gh_json_text(message, "data", &data))
        return false;
    gh_buffer_clear(&puller->payload);
    if (!gh_base64_decode(data, GH_BASE64_ANY, &puller->payload))
        return false;
    puller->pullers->pulled.message(puller->pullers->pulled.context,
                                    gh_buffer_slice(&puller->payload));
    gh_buffer_print(&puller->ask, "%s\"%.*s\"",
                    puller->ask.data[puller->ask.size - 1] == '[' ? "" : ",", GH_PRINT(id));
    puller->pullers->unacknowledged++;
    puller->taken++;
    return true;
}

static bool take_all(struct puller *puller)
{
    struct gh_error error = {0};
    json_t *answer = gh_json_read(gh_buffer_slice(&puller->body), &error), *list = NULL;
    bool good = answer != NULL;
    gh_buffer_clear(&puller->ask);
    gh_buffer_put(&puller->ask, GH_SLICE("{\"ackIds\":["));
    (void)gh_json_array(answer, "receivedMessages", &list);
    for (size_t i = 0; good && i < json_array_size(list); i++)
        good = take(puller, json_array_get(list, i));
    gh_buffer_put(&puller->ask, GH_SLICE("]}"));
    if (good && json_array_size(list) > 0)
        ask(puller, ACKNOWLEDGE, gh_buffer_slice(&puller->ask));
    else if (good)
        ask_pull(puller);
    json_decref(answer);
    return good && !puller->ask.overflow;
}

static void answered(struct puller *puller)
{
    struct pullers *pullers = puller->pullers;
    if (puller->status != 200) {
        load_fail(pullers->load, "%s answered %d: %.*s", pullers->load->options->pull,
                  puller->status, GH_PRINT(gh_slice_sub(gh_buffer_slice(&puller->body), 0, 200)));
    } else if (puller->asked == PULL) {
        if (!take_all(puller))
            load_fail(pullers->load, "what was pulled cannot be read");
    } else {
        pullers->unacknowledged -= puller->taken;
        puller->taken = 0;
        ask_pull(puller);
    }
}

/* --- the connection's protocol */

static void *open_puller(void *context, struct gh_conn *conn)
{
    struct puller *puller = context;
    puller->conn = conn;
    ask_pull(puller);
    return puller;
}

static size_t read_head(struct puller *puller, struct gh_slice bytes)
{
    struct gh_http_head head;
    switch (gh_http_head_read(bytes, GH_HTTP_RESPONSE, GH_HTTP_HEAD_BYTES_MAX, &head)) {
    case GH_HTTP_MORE:
        return 0;
    case GH_HTTP_REFUSED:
        load_fail(puller->pullers->load, "an answer is not HTTP: %s", head.why);
        return bytes.size;
    case GH_HTTP_OK:
        break;
    }
    puller->head_seen = true;
    puller->status = head.status;
    gh_buffer_clear(&puller->body);
    gh_http_body_init(&puller->body_state, &head);
    return head.size;
}

static size_t input(void *state, struct gh_slice bytes)
{
    struct puller *puller = state;
    size_t head = 0, body = 0;
    if (!puller->head_seen)
        head = read_head(puller, bytes);
    if (!puller->head_seen)
        return head;
    struct gh_slice rest = gh_slice_sub(bytes, head, bytes.size);
    enum gh_http_status status = gh_http_body_read(&puller->body_state, rest, &puller->body, &body);
    if (status == GH_HTTP_REFUSED)
        load_fail(puller->pullers->load, "an answer's body is malformed or too long");
    else if (status == GH_HTTP_OK && !puller->pullers->stopping)
        answered(puller);
    return head + body;
}

static void closed(void *state, const char *why)
{
    struct puller *puller = state;
    puller->conn = NULL;
    if (!puller->pullers->stopping)
        load_fail(puller->pullers->load, "a puller's connection was closed: %s", why);
}

static const struct gh_protocol protocol = {
    .name = "http", .input_max = 256 * 1024, .open = open_puller, .input = input, .closed = closed};

struct pullers *pullers_start(struct load *load, size_t count, const struct pulled *pulled)
{
    struct pullers *pullers = calloc(1, sizeof *pullers + count * sizeof pullers->puller[0]);
    struct gh_error error;
    if (pullers == NULL) {
        load_fail(load, "no memory");
        return NULL;
    }
    pullers->load = load;
    pullers->pulled = *pulled;
    pullers->count = count;
    for (size_t i = 0; i < count; i++) {
        struct puller *puller = &pullers->puller[i];
        puller->pullers = pullers;
        gh_buffer_init(&puller->body, BODY_BYTES_MAX);
        gh_buffer_init(&puller->ask, BODY_BYTES_MAX);
        gh_buffer_init(&puller->payload, BODY_BYTES_MAX);
        if (gh_conn_connect(load->loop, load->host, load->port, load->tls, NULL, &protocol, puller,
                            &error) == NULL)
            load_fail(load, "cannot dial: %s", error.text);
    }
    return pullers;
}

bool pullers_settled(const struct pullers *pullers)
{
    return pullers->unacknowledged == 0;
}

void pullers_stop(struct pullers *pullers)
{
    if (pullers == NULL)
        return;
    pullers->stopping = true;
    for (size_t i = 0; i < pullers->count; i++)
        if (pullers->puller[i].conn != NULL)
            gh_conn_close_why(pullers->puller[i].conn, "left");
}

void pullers_close(struct pullers *pullers)
{
    for (size_t i = 0; pullers != NULL && i < pullers->count; i++) {
        gh_buffer_deinit(&pullers->puller[i].body);
        gh_buffer_deinit(&pullers->puller[i].ask);
        gh_buffer_deinit(&pullers->puller[i].payload);
    }
    free(pullers);
}
