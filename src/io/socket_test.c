#include "io/socket.h"
#include "tests/check.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *text;
    bool valid, is_loopback;
    const char *printed; /* NULL: as it was */
} addresses[] = {
    {"127.0.0.1:8883", true, true, NULL},
    {"127.9.9.9:0", true, true, NULL},
    {"localhost:1", true, true, "127.0.0.1:1"},
    {"0.0.0.0:65535", true, false, NULL},
    {"[::1]:0", true, true, NULL},
    {"[::]:8883", true, false, NULL},
    {"[2001:db8::1]:8883", true, false, NULL},
    {"/run/x.sock", true, true, NULL},
    {"./x.sock", true, true, NULL},
    {"::1:80", false, false, NULL},
    {"[127.0.0.1]:80", false, false, NULL},
    {"127.0.0.1", false, false, NULL},
    {"127.0.0.1:", false, false, NULL},
    {"127.0.0.1:65536", false, false, NULL},
    {"127.0.0.1:-1", false, false, NULL},
    {"127.0.0.1:8883x", false, false, NULL},
    {"127.0.0.256:1", false, false, NULL},
    {"example.com:1", false, false, NULL},
    {":1", false, false, NULL},
    {"", false, false, NULL},
};

static void each_address(void)
{
    for (size_t i = 0; i < GH_COUNT(addresses); i++) {
        struct gh_address address;
        char text[GH_ADDRESS_TEXT_MAX];
        const char *claim = addresses[i].text;
        if (!CHECK(claim, gh_address_parse(addresses[i].text, &address) == addresses[i].valid) ||
            !addresses[i].valid)
            continue;
        CHECK(claim, gh_address_is_loopback(&address) == addresses[i].is_loopback);
        const char *printed = addresses[i].printed != NULL ? addresses[i].printed : claim;
        CHECK(claim, strcmp(gh_address_print(&address, text), printed) == 0);
    }
    char longest[200] = "/";
    memset(longest + 1, 'a', sizeof longest - 2);
    struct gh_address address;
    CHECK("a path longer than the system takes", !gh_address_parse(longest, &address));
}

static void local_socket(void)
{
    char path[GH_ADDRESS_TEXT_MAX];
    struct gh_address address;
    struct gh_error error = {0};
    struct stat found;

    snprintf(path, sizeof path, "%s/s", check_folder());
    REQUIRE("a path", gh_address_parse(path, &address));
    int fd = gh_socket_listen(&address, &error);
    REQUIRE("listening", fd >= 0);
    CHECK("nobody else may connect", stat(path, &found) == 0 && (found.st_mode & 0777) == 0600);
    CHECK("the path is taken",
          gh_socket_listen(&address, &error) < 0 && error.code == GH_ERROR_LISTEN);
    close(fd); /* as a process that is killed leaves it */
    fd = gh_socket_listen(&address, &error);
    CHECK("a stale file is replaced", fd >= 0);
    close(fd);
    FILE *file = fopen(path, "r");
    CHECK("it is no plain file", file == NULL);
    unlink(path);
    file = fopen(path, "w");
    REQUIRE("a file", file != NULL);
    fclose(file);
    CHECK("a file that is no socket is kept", gh_socket_listen(&address, &error) < 0 &&
                                                  stat(path, &found) == 0 &&
                                                  S_ISREG(found.st_mode));
}

static void dialling(void)
{
    struct gh_address address;
    struct gh_error error = {0};
    socklen_t size = sizeof address.name;

    REQUIRE("an address", gh_address_parse("127.0.0.1:0", &address));
    int listening = gh_socket_listen(&address, &error);
    REQUIRE("listening", listening >= 0 && getsockname(listening, &address.name.any, &size) == 0);
    uint16_t port = gh_address_port(&address);
    CHECK("taken", gh_socket_listen(&address, &error) < 0 && error.code == GH_ERROR_LISTEN);
    int fd = gh_connect_tcp("localhost", port, 10000, &error);
    CHECK("connected by name", fd >= 0);
    close(fd);
    close(listening);
    CHECK("refused",
          gh_connect_tcp("127.0.0.1", port, 10000, &error) < 0 && error.code == GH_ERROR_CONNECT);
}

int main(void)
{
    each_address();
    local_socket();
    dialling();
    return check_report();
}
