#include "io/socket.h"
#include "base/time.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BACKLOG = 4096, HOST_TEXT_MAX = 64 };

static bool set_ip(const char *host, uint16_t port, struct gh_address *out)
{
    *out = (struct gh_address){0};
    if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    if (inet_pton(AF_INET, host, &out->name.ip4.sin_addr) == 1) {
        out->name.ip4.sin_family = AF_INET;
        out->name.ip4.sin_port = htons(port);
        out->size = sizeof out->name.ip4;
        return true;
    }
    if (inet_pton(AF_INET6, host, &out->name.ip6.sin6_addr) == 1) {
        out->name.ip6.sin6_family = AF_INET6;
        out->name.ip6.sin6_port = htons(port);
        out->size = sizeof out->name.ip6;
        return true;
    }
    return false;
}

static bool set_path(struct gh_slice path, struct gh_address *out)
{
    *out = (struct gh_address){0};
    if (path.size >= sizeof out->name.local.sun_path)
        return false;
    out->name.local.sun_family = AF_UNIX;
    memcpy(out->name.local.sun_path, path.data, path.size);
    out->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.size + 1);
    return true;
}

bool gh_address_parse(const char *text, struct gh_address *out)
{
    struct gh_slice whole = gh_slice_text(text);
    char host[HOST_TEXT_MAX];
    uint64_t port;

    if (whole.size > 0 && (whole.data[0] == '/' || whole.data[0] == '.'))
        return set_path(whole, out);
    const char *colon = strrchr(text, ':');
    if (colon == NULL || !gh_slice_to_u64(gh_slice_text(colon + 1), &port) || port > UINT16_MAX)
        return false;
    struct gh_slice name = gh_slice_sub(whole, 0, (size_t)(colon - text));
    bool is_bracketed = gh_slice_starts(name, GH_SLICE("[")) && gh_slice_ends(name, GH_SLICE("]"));
    if (is_bracketed)
        name = gh_slice_sub(name, 1, name.size - 2);
    if (name.size >= sizeof host || is_bracketed != (gh_slice_find(name, ':') < name.size))
        return false;
    snprintf(host, sizeof host, "%.*s", GH_PRINT(name));
    return set_ip(host, (uint16_t)port, out);
}

bool gh_address_is_loopback(const struct gh_address *address)
{
    switch (address->name.any.sa_family) {
    case AF_UNIX:
        return true;
    case AF_INET:
        return (ntohl(address->name.ip4.sin_addr.s_addr) >> 24) == IN_LOOPBACKNET;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(&address->name.ip6.sin6_addr);
    default:
        return false;
    }
}

uint16_t gh_address_port(const struct gh_address *address)
{
    switch (address->name.any.sa_family) {
    case AF_INET:
        return ntohs(address->name.ip4.sin_port);
    case AF_INET6:
        return ntohs(address->name.ip6.sin6_port);
    default:
        return 0;
    }
}

char *gh_address_print(const struct gh_address *address, char out[GH_ADDRESS_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN];
    unsigned port = gh_address_port(address);
    size_t path = offsetof(struct sockaddr_un, sun_path);

    switch (address->name.any.sa_family) {
    case AF_INET:
        inet_ntop(AF_INET, &address->name.ip4.sin_addr, host, sizeof host);
        snprintf(out, GH_ADDRESS_TEXT_MAX, "%s:%u", host, port);
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &address->name.ip6.sin6_addr, host, sizeof host);
        snprintf(out, GH_ADDRESS_TEXT_MAX, "[%s]:%u", host, port);
        break;
    default:
        if (address->size > path && address->name.local.sun_path[0] != '\0')
            snprintf(out, GH_ADDRESS_TEXT_MAX, "%.*s", (int)(address->size - path),
                     address->name.local.sun_path);
        else
            snprintf(out, GH_ADDRESS_TEXT_MAX, "unix");
    }
    return out;
}

static int fail(int fd, struct gh_error *error, enum gh_error_code code,
                const struct gh_address *address, const char *what)
{
    char text[GH_ADDRESS_TEXT_MAX];
    int reason = errno;

    if (fd >= 0)
        close(fd);
    gh_error_set(error, code, "%s: cannot %s: %s", gh_address_print(address, text), what,
                 strerror(reason));
    return -1;
}

static int stream_socket(const struct gh_address *address, int flags)
{
    int fd = socket(address->name.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (fd >= 0 && address->name.any.sa_family != AF_UNIX)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

/* A socket file that nobody listens on is left by a process that was killed. */
static void remove_stale(const struct gh_address *address)
{
    struct stat found;
    int fd;

    if (stat(address->name.local.sun_path, &found) != 0 || !S_ISSOCK(found.st_mode))
        return;
    fd = stream_socket(address, SOCK_NONBLOCK);
    if (fd >= 0 && connect(fd, &address->name.any, address->size) != 0 && errno == ECONNREFUSED)
        unlink(address->name.local.sun_path);
    if (fd >= 0)
        close(fd);
}

int gh_socket_listen(const struct gh_address *address, struct gh_error *error)
{
    bool is_local = address->name.any.sa_family == AF_UNIX;
    int fd = stream_socket(address, SOCK_NONBLOCK);

    if (fd < 0)
        return fail(fd, error, GH_ERROR_LISTEN, address, "make a socket");
    if (is_local)
        remove_stale(address);
    else /* restart while connections of the process before linger in TIME_WAIT */
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (address->name.any.sa_family == AF_INET6) /* "[::]" means IPv6; IPv4 has its own listener */
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int));
    /* The mode of a socket file is set before it has the name: fchmod decides what bind creates. */
    if (is_local && fchmod(fd, 0600) != 0)
        return fail(fd, error, GH_ERROR_LISTEN, address, "set the mode");
    if (bind(fd, &address->name.any, address->size) != 0)
        return fail(fd, error, GH_ERROR_LISTEN, address, "bind");
    if (listen(fd, BACKLOG) != 0)
        return fail(fd, error, GH_ERROR_LISTEN, address, "listen");
    return fd;
}

int gh_socket_dial(const struct gh_address *address, struct gh_error *error)
{
    int fd = stream_socket(address, SOCK_NONBLOCK);

    if (fd < 0)
        return fail(fd, error, GH_ERROR_CONNECT, address, "make a socket");
    if (connect(fd, &address->name.any, address->size) != 0 && errno != EINPROGRESS)
        return fail(fd, error, GH_ERROR_CONNECT, address, "connect");
    return fd;
}

static struct addrinfo *resolve(const char *host, uint16_t port, struct gh_error *error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found = NULL;
    char service[8];

    snprintf(service, sizeof service, "%u", (unsigned)port);
    int code = getaddrinfo(host, service, &hints, &found);
    if (code != 0) {
        gh_error_set(error, GH_ERROR_CONNECT, "%s: %s", host, gai_strerror(code));
        return NULL;
    }
    return found;
}

static struct gh_address address_of(const struct addrinfo *info)
{
    struct gh_address address = {.size = info->ai_addrlen};
    memcpy(&address.name, info->ai_addr, info->ai_addrlen);
    return address;
}

bool gh_address_resolve(const char *host, uint16_t port, struct gh_address *out,
                        struct gh_error *error)
{
    struct addrinfo *found = resolve(host, port, error);
    if (found == NULL)
        return false;
    *out = address_of(found);
    freeaddrinfo(found);
    return true;
}

/* Waits for a connect that has begun. */
static int finish_connect(int fd, const struct gh_address *address, int timeout_ms,
                          struct gh_error *error)
{
    struct pollfd waiting = {.fd = fd, .events = POLLOUT};
    int64_t until_ns = gh_time_monotonic_ns() + timeout_ms * GH_MS_NS;
    int ready = -1, failure = 0;
    socklen_t size = sizeof failure;

    for (int left_ms = timeout_ms; ready <= 0 && left_ms >= 0;
         left_ms = (int)((until_ns - gh_time_monotonic_ns()) / GH_MS_NS)) {
        ready = poll(&waiting, 1, left_ms);
        if (ready == 0 || (ready < 0 && errno != EINTR))
            break;
    }
    if (ready <= 0) {
        errno = ETIMEDOUT;
        return fail(fd, error, GH_ERROR_TIMEOUT, address, "connect");
    }
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size);
    errno = failure;
    if (failure != 0)
        return fail(fd, error, GH_ERROR_CONNECT, address, "connect");
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0)
        return fail(fd, error, GH_ERROR_CONNECT, address, "use the socket");
    return fd;
}

int gh_connect_tcp(const char *host, uint16_t port, int timeout_ms, struct gh_error *error)
{
    struct addrinfo *found = resolve(host, port, error);
    int fd = -1;

    for (struct addrinfo *at = found; fd < 0 && at != NULL; at = at->ai_next) {
        struct gh_address address = address_of(at);
        fd = gh_socket_dial(&address, error);
        if (fd >= 0)
            fd = finish_connect(fd, &address, timeout_ms, error);
    }
    if (found != NULL)
        freeaddrinfo(found);
    return fd;
}
