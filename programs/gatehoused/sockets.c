#include "programs/gatehoused/sockets.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

static const struct {
    const char *name;
    bool is_plain, expects_proxy;
} purposes[] = {
    {"plain", true, false},
    {"plain-proxy", true, true},
    {"tls-proxy", false, true},
};

static struct config_socket socket_named(int fd, const char *name)
{
    struct config_socket socket = {.fd = fd};
    for (size_t i = 0; i < GH_COUNT(purposes); i++)
        if (strcmp(name, purposes[i].name) == 0) {
            socket.is_plain = purposes[i].is_plain;
            socket.expects_proxy = purposes[i].expects_proxy;
        }
    return socket;
}

static enum gh_error_code take(struct config *config, int count, char **names,
                               struct gh_error *error)
{
    if (count > CONFIG_LISTENERS_MAX)
        return gh_error_set(error, GH_ERROR_LISTEN, "%d sockets of the service manager, at most %d",
                            count, CONFIG_LISTENERS_MAX);
    for (int i = 0; i < count; i++) {
        int fd = SD_LISTEN_FDS_START + i, flags = fcntl(fd, F_GETFL);
        if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0 || flags < 0 ||
            fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
            return gh_error_set(
                error, GH_ERROR_LISTEN,
                "descriptor %d (%s) of the service manager is no listening stream socket", fd,
                names[i]);
        config->sockets[config->sockets_count++] = socket_named(fd, names[i]);
    }
    return GH_OK;
}

enum gh_error_code sockets_take(struct config *config, struct gh_error *error)
{
    char **names = NULL;
    int count = sd_listen_fds_with_names(1, &names);
    if (count < 0)
        return gh_error_set(error, GH_ERROR_LISTEN, "sockets of the service manager: %s",
                            strerror(-count));
    enum gh_error_code code = take(config, count, names, error);
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
    return code;
}

void sockets_close(const struct config *config)
{
    for (size_t i = 0; i < config->sockets_count; i++)
        close(config->sockets[i].fd);
}
