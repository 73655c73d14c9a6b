#include "io/http_client.h"
#include "io/http_server.h"
#include "io/rig_internal.h"
#include <stdio.h>

static struct rig rig;

static void answer(struct gh_exchange *exchange, int status, struct gh_slice body)
{
    gh_exchange_answer(exchange, &(struct gh_http_answer){.status = status, .body = body});
}

static void let_go(void *context)
{
    gh_exchange_unref(context);
}

/* "/never" is not answered; everything else with its method, one field and its body. */
static void handler(void *context, struct gh_exchange *exchange)
{
    static const uint8_t large[10000];
    const struct gh_http_request *request = gh_exchange_request(exchange);
    (void)context;
    if (gh_slice_equal(request->path, GH_SLICE("/never"))) {
        gh_exchange_on_gone(gh_exchange_ref(exchange), let_go, exchange);
    } else if (gh_slice_equal(request->path, GH_SLICE("/large"))) {
        answer(exchange, 200, gh_slice(large, sizeof large));
    } else if (gh_slice_equal(request->path, GH_SLICE("/moved"))) {
        gh_exchange_answer(
            exchange,
            &(struct gh_http_answer){.status = 302,
                                     .headers = (struct gh_http_header[]){{GH_SLICE("location"),
                                                                           GH_SLICE("/elsewhere")}},
                                     .headers_count = 1});
    } else {
        char *text = gh_arena_print(
            gh_exchange_arena(exchange), "%.*s|%.*s|%.*s|%.*s", GH_PRINT(request->method),
            GH_PRINT(gh_http_header_get(request, "x-mark")),
            GH_PRINT(gh_http_header_get(request, "content-type")), GH_PRINT(request->body));
        answer(exchange, gh_slice_equal(request->path, GH_SLICE("/missing")) ? 404 : 200,
               gh_slice_text(text));
    }
}

static const struct {
    const char *claim, *method, *path, *header, *body;
    enum gh_error_code code;
    int status;
    const char *answer;
} calls[] = {
    {"GET", "GET", "/a", NULL, "", GH_OK, 200, "GET|||"},
    {"a field", "GET", "/a", "X-Mark: m", "", GH_OK, 200, "GET|m||"},
    {"POST", "POST", "/a", "Content-Type: application/json", "{}", GH_OK, 200,
     "POST||application/json|{}"},
    {"a body has no type by itself", "PUT", "/a", NULL, "x", GH_OK, 200, "PUT|||x"},
    {"POST without a body", "POST", "/a", NULL, "", GH_OK, 200, "POST|||"},
    {"PATCH", "PATCH", "/a", NULL, "y", GH_OK, 200, "PATCH|||y"},
    {"DELETE", "DELETE", "/a", NULL, "", GH_OK, 200, "DELETE|||"},
    {"HEAD", "HEAD", "/a", NULL, "", GH_OK, 200, ""},
    {"any status is an answer", "GET", "/missing", NULL, "", GH_OK, 404, "GET|||"},
    {"a redirect is not followed", "GET", "/moved", NULL, "", GH_OK, 302, ""},
    {"an answer over the limit", "GET", "/large", NULL, "", GH_ERROR_LIMIT, 0, NULL},
    {"no answer in time", "GET", "/never", NULL, "", GH_ERROR_TIMEOUT, 0, NULL},
};

static void each_call(struct gh_http_client *client, const char *base)
{
    for (size_t i = 0; i < GH_COUNT(calls); i++) {
        const char *headers[] = {calls[i].header, NULL};
        struct gh_error error = {0};
        struct gh_buffer body;
        char url[256];
        int status = 0;
        gh_buffer_init(&body, 4096);
        snprintf(url, sizeof url, "%s%s", base, calls[i].path);
        gh_http_client_set_timeout(client, 0, calls[i].code == GH_ERROR_TIMEOUT ? 100 : 0);
        if (!CHECK(calls[i].claim, gh_http_client_call(client, calls[i].method, url, headers,
                                                       gh_slice_text(calls[i].body), &body, &status,
                                                       &error) == calls[i].code))
            printf("%s\n", error.text);
        CHECK(calls[i].claim, status == calls[i].status && error.code == calls[i].code);
        if (calls[i].answer != NULL &&
            !CHECK(calls[i].claim,
                   gh_slice_equal(gh_buffer_slice(&body), gh_slice_text(calls[i].answer))))
            printf("heard: %.*s\n", GH_PRINT(gh_buffer_slice(&body)));
        gh_buffer_deinit(&body);
    }
}

static enum gh_error_code get(struct gh_http_client *client, const char *url)
{
    struct gh_error error = {0};
    struct gh_buffer body;
    int status = 0;
    gh_buffer_init(&body, 4096);
    enum gh_error_code code =
        gh_http_client_call(client, "GET", url, NULL, (struct gh_slice){0}, &body, &status, &error);
    gh_buffer_deinit(&body);
    CHECK("words with every failure", (code == GH_OK) == (error.text[0] == '\0'));
    return code;
}

static void write_file(const char *path, struct gh_slice text)
{
    FILE *file = fopen(path, "w");
    REQUIRE("a file", file != NULL && fwrite(text.data, 1, text.size, file) == text.size);
    fclose(file);
}

static void trust(struct rig_pki *pki, uint16_t port)
{
    struct rig_pki other;
    char path[256], url[256];
    rig_pki_open(&other);
    snprintf(path, sizeof path, "%s/other.crt", check_folder());
    write_file(path, gh_buffer_slice(&other.ca));
    struct gh_http_client *stranger = gh_http_client_open(path, NULL);
    struct gh_http_client *system_wide = gh_http_client_open(NULL, NULL);
    struct gh_http_client *nowhere = gh_http_client_open("/nowhere/ca.crt", NULL);
    snprintf(url, sizeof url, "https://localhost:%u/a", port);
    CHECK("another root", get(stranger, url) == GH_ERROR_TLS);
    CHECK("a private root is not the system's", get(system_wide, url) == GH_ERROR_TLS);
    CHECK("no file", get(nowhere, url) == GH_ERROR_TLS);
    snprintf(path, sizeof path, "%s/ca.crt", check_folder());
    write_file(path, gh_buffer_slice(&pki->ca));
    struct gh_http_client *friend = gh_http_client_open(path, NULL);
    CHECK("the right one", get(friend, url) == GH_OK);
    snprintf(url, sizeof url, "https://127.0.0.2:%u/a", port);
    CHECK("an address that the certificate does not name", get(friend, url) != GH_OK);
    snprintf(url, sizeof url, "http://localhost:%u/a", port);
    CHECK("never without TLS", get(friend, url) == GH_ERROR_INVALID);
    CHECK("no url", get(friend, "::") != GH_OK);
    snprintf(url, sizeof url, "https://localhost:%u", port);
    gh_http_client_close(stranger);
    gh_http_client_close(system_wide);
    gh_http_client_close(nowhere);
    each_call(friend, url);
    gh_http_client_close(friend);
    rig_pki_close(&other);
}

int main(void)
{
    struct rig_pki pki;
    char path[256];
    signal(SIGPIPE, SIG_IGN);
    rig_pki_open(&pki);
    rig_start(&rig, 1);
    struct gh_http_server *server =
        gh_http_server_open(&(struct gh_http_server_config){.handler = handler}, NULL);
    struct gh_listener_protocol served = {&gh_http_protocol, server};
    struct gh_listener_config config = {.loops = rig.loops,
                                        .loops_count = rig.count,
                                        .address = "127.0.0.1:0",
                                        .tls = pki.server,
                                        .protocols = &served,
                                        .protocols_count = 1};
    struct gh_listener *secure = gh_listener_open(&config, NULL);
    snprintf(path, sizeof path, "%s/admin.sock", check_folder());
    config.address = path;
    config.tls = NULL;
    struct gh_listener *local = gh_listener_open(&config, NULL);
    REQUIRE("served", secure != NULL && local != NULL && gh_listener_port(local) == 0);
    uint16_t port = gh_listener_port(secure);

    trust(&pki, port);
    struct gh_http_client *client = gh_http_client_open_unix(path, NULL);
    each_call(client, "http://localhost");
    CHECK("the Unix socket has its own scheme",
          get(client, "https://localhost/a") == GH_ERROR_INVALID);
    gh_listener_close(secure);
    gh_listener_close(local);
    rig_stop(&rig);
    rig_close(&rig);
    CHECK("nobody there", get(client, "http://localhost/a") == GH_ERROR_CONNECT);
    CHECK("the path is gone with its listener", access(path, F_OK) != 0);
    gh_http_client_close(client);
    gh_http_server_close(server);
    rig_pki_close(&pki);
    return check_report();
}
