#include "io/http_client.h"
#include "io/network.h"
#include <assert.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

struct gh_http_client {
    CURL *curl;
    char *ca_path, *socket_path; /* own copies; NULL: the system's anchors, no Unix socket */
    int connect_ms, call_ms;
    bool is_plain, private_too;
    char text[CURL_ERROR_SIZE];
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void start_curl(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static char *copy_of(const char *text)
{
    return text == NULL ? NULL : strdup(text);
}

static struct gh_http_client *client_open(const char *ca_path, const char *socket_path,
                                          struct gh_error *error)
{
    struct gh_http_client *client = calloc(1, sizeof *client);

    /* libcurl's own rule: once per process, before anything else of it. */
    pthread_once(&curl_once, start_curl);
    if (client != NULL) {
        *client = (struct gh_http_client){.curl = curl_easy_init(),
                                          .ca_path = copy_of(ca_path),
                                          .socket_path = copy_of(socket_path),
                                          .connect_ms = GH_HTTP_CLIENT_CONNECT_MS,
                                          .call_ms = GH_HTTP_CLIENT_CALL_MS};
        if (client->curl != NULL && (client->ca_path != NULL) == (ca_path != NULL) &&
            (client->socket_path != NULL) == (socket_path != NULL))
            return client;
    }
    gh_http_client_close(client);
    gh_error_set(error, GH_ERROR_MEMORY, "HTTP client");
    return NULL;
}

struct gh_http_client *gh_http_client_open(const char *ca_pem_path, struct gh_error *error)
{
    return client_open(ca_pem_path, NULL, error);
}

struct gh_http_client *gh_http_client_open_unix(const char *socket_path, struct gh_error *error)
{
    return client_open(NULL, socket_path, error);
}

struct gh_http_client *gh_http_client_open_public(bool private_too, struct gh_error *error)
{
    struct gh_http_client *client = client_open(NULL, NULL, error);
    if (client != NULL) {
        client->is_plain = true;
        client->private_too = private_too;
    }
    return client;
}

/* RFC 6890: this host, private, shared, link-local, multicast and reserved. */
static bool is_public(const struct curl_sockaddr *address)
{
    static const char *const closed[] = {
        "0.0.0.0/8",      "10.0.0.0/8",    "100.64.0.0/10", "127.0.0.0/8",
        "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",  "192.168.0.0/16",
        "198.18.0.0/15",  "224.0.0.0/3",   "::/128",        "::1/128",
        "fc00::/7",       "fe80::/10",     "ff00::/8",      "64:ff9b::/96",
    };
    const void *from = &address->addr;
    const struct sockaddr_in *four = from;
    const struct sockaddr_in6 *six = from;
    bool is_six = address->family == AF_INET6;
    struct gh_address to;
    struct gh_network network;
    if (!gh_address_set(is_six ? gh_slice(&six->sin6_addr, 16) : gh_slice(&four->sin_addr, 4), 80,
                        &to))
        return false;
    for (size_t i = 0; i < GH_COUNT(closed); i++)
        if (gh_network_parse(closed[i], &network) && gh_network_has(&network, &to))
            return false;
    return true;
}

/* Where the name has led, whatever it was. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    const struct gh_http_client *client = context;
    (void)purpose;
    if (!client->private_too && !is_public(address))
        return CURL_SOCKET_BAD;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static bool set_public(struct gh_http_client *client)
{
    return curl_easy_setopt(client->curl, CURLOPT_OPENSOCKETFUNCTION, open_socket) == CURLE_OK &&
           curl_easy_setopt(client->curl, CURLOPT_OPENSOCKETDATA, client) == CURLE_OK;
}

void gh_http_client_close(struct gh_http_client *client)
{
    if (client == NULL)
        return;
    curl_easy_cleanup(client->curl);
    free(client->ca_path);
    free(client->socket_path);
    free(client);
}

void gh_http_client_set_timeout(struct gh_http_client *client, int connect_ms, int call_ms)
{
    client->connect_ms = connect_ms != 0 ? connect_ms : GH_HTTP_CLIENT_CONNECT_MS;
    client->call_ms = call_ms != 0 ? call_ms : GH_HTTP_CLIENT_CALL_MS;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct gh_buffer *body = context;
    return gh_buffer_put(body, gh_slice(bytes, size * count)) ? size * count : 0;
}

/* Everything of a call but its headers. The handle keeps its connections, not its options. */
static bool set_options(struct gh_http_client *client, const char *method, const char *url,
                        struct gh_slice body, struct gh_buffer *answer_body)
{
    CURL *curl = client->curl;
    bool is_head = strcmp(method, "HEAD") == 0, has_body = body.size > 0;
    bool may_have_body = strcmp(method, "GET") != 0 && !is_head;

    curl_easy_reset(curl);
    bool done =
        curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR,
                         client->socket_path != NULL || client->is_plain ? "http" : "https") ==
            CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->socket_path) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)client->connect_ms) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)client->call_ms) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->text) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer_body) == CURLE_OK;
    if (done && client->is_plain)
        done = set_public(client);
    if (done && client->ca_path != NULL) /* this file alone, not the system's folder as well */
        done = curl_easy_setopt(curl, CURLOPT_CAINFO, client->ca_path) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_CAPATH, NULL) == CURLE_OK;
    if (done && is_head)
        done = curl_easy_setopt(curl, CURLOPT_NOBODY, 1L) == CURLE_OK;
    if (done && (has_body || may_have_body))
        done =
            curl_easy_setopt(curl, CURLOPT_POSTFIELDS, has_body ? (const char *)body.data : "") ==
                CURLE_OK &&
            curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.size) == CURLE_OK;
    return done &&
           curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, is_head ? NULL : method) == CURLE_OK;
}

static enum gh_error_code code_of(CURLcode result)
{
    switch (result) {
    case CURLE_OK:
        return GH_OK;
    case CURLE_OPERATION_TIMEDOUT:
        return GH_ERROR_TIMEOUT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return GH_ERROR_TLS;
    case CURLE_WRITE_ERROR:
        return GH_ERROR_LIMIT;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return GH_ERROR_INVALID;
    case CURLE_OUT_OF_MEMORY:
        return GH_ERROR_MEMORY;
    default:
        return GH_ERROR_CONNECT;
    }
}

/* OpenSSL writes to a socket that the peer may have closed: the signal stays on this thread,
 * blocked, and is taken back before the mask is what it was. */
static CURLcode perform(CURL *curl)
{
    static const struct timespec no_time = {0};
    sigset_t pipe_signal, before, waiting;

    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    sigpending(&waiting);
    bool was_waiting = sigismember(&waiting, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    CURLcode result = curl_easy_perform(curl);
    if (!was_waiting)
        (void)sigtimedwait(&pipe_signal, NULL, &no_time);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

struct following {
    CURL *curl;
    bool (*take)(void *context, struct gh_slice piece);
    void *context;
    struct gh_buffer *refusal;
    bool ended;
};

static size_t on_piece(char *bytes, size_t size, size_t count, void *context)
{
    struct following *following = context;
    struct gh_slice piece = gh_slice(bytes, size * count);
    long status = 0;
    curl_easy_getinfo(following->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status / 100 != 2)
        return gh_buffer_put(following->refusal, piece) ? piece.size : 0;
    following->ended = !following->take(following->context, piece);
    return following->ended ? 0 : piece.size;
}

/* Makes the request that is set up, but for its headers. */
static enum gh_error_code run(struct gh_http_client *client, const char *method, const char *url,
                              const char *const *headers, bool ready, CURLcode *result,
                              struct gh_error *error)
{
    /* Without "Expect:" libcurl would wait a second for 100 Continue before larger bodies. */
    struct curl_slist *list = curl_slist_append(NULL, "Expect:"), *longer = list;

    /* Nor does a body have the type of a form unless `headers` says so. */
    if (list != NULL)
        longer = curl_slist_append(list, "Content-Type:");
    for (size_t i = 0; longer != NULL && headers != NULL && headers[i] != NULL; i++)
        if ((longer = curl_slist_append(list, headers[i])) != NULL)
            list = longer;
    client->text[0] = '\0';
    if (longer == NULL || !ready ||
        curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, list) != CURLE_OK) {
        curl_slist_free_all(list);
        return gh_error_set(error, GH_ERROR_INVALID, "%s %s: the request cannot be made", method,
                            url);
    }
    *result = perform(client->curl);
    curl_slist_free_all(list);
    return GH_OK;
}

static enum gh_error_code fail(struct gh_http_client *client, const char *method, const char *url,
                               CURLcode result, struct gh_error *error)
{
    return gh_error_set(error, code_of(result), "%s %s: %s", method, url,
                        client->text[0] != '\0' ? client->text : curl_easy_strerror(result));
}

enum gh_error_code gh_http_client_call(struct gh_http_client *client, const char *method,
                                       const char *url, const char *const *headers,
                                       struct gh_slice body, struct gh_buffer *answer_body,
                                       int *status, struct gh_error *error)
{
    CURLcode result = CURLE_OK;
    long answered = 0;
    bool ready = set_options(client, method, url, body, answer_body);
    enum gh_error_code code = run(client, method, url, headers, ready, &result, error);

    if (code != GH_OK || result != CURLE_OK)
        return code != GH_OK ? code : fail(client, method, url, result, error);
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &answered);
    *status = (int)answered;
    return GH_OK;
}

enum gh_error_code gh_http_client_follow(struct gh_http_client *client, const char *url,
                                         const char *const *headers,
                                         bool (*take)(void *context, struct gh_slice piece),
                                         void *context, struct gh_buffer *refusal, int *status,
                                         struct gh_error *error)
{
    struct following following = {client->curl, take, context, refusal, false};
    CURLcode result = CURLE_OK;
    long answered = 0;
    bool ready = set_options(client, "GET", url, (struct gh_slice){0}, refusal) &&
                 curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, 0L) == CURLE_OK &&
                 curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, on_piece) == CURLE_OK &&
                 curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, (void *)&following) == CURLE_OK;
    enum gh_error_code code = run(client, "GET", url, headers, ready, &result, error);

    if (code != GH_OK || (result != CURLE_OK && !following.ended))
        return code != GH_OK ? code : fail(client, "GET", url, result, error);
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &answered);
    *status = (int)answered;
    return GH_OK;
}
