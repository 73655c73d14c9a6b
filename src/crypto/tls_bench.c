/* What a server's side of a handshake costs, alone. bench-tls [COUNT [KIND]]: so many handshakes
 * (2,000) of each kind over a socket pair, P-256 keys and X25519: full, mutual (each with another
 * client's certificate), and both resumed with the ticket of the time before. Prints for each the
 * CPU microseconds of the server from its first byte to the freed state of its handshake, as one
 * JSON line. */
#include "base/time.h"
#include "crypto/issuer.h"
#include "crypto/key.h"
#include "crypto/ticket.h"
#include "crypto/tls.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PEM_MAX = 8192, COUNT = 2000, CLIENTS = 512 };

struct pem {
    uint8_t block[PEM_MAX];
    struct gh_buffer text;
};

static struct {
    struct pem ca, ca_key, leaf, leaf_key;
    struct gh_validity validity;
    struct gh_tls_desk *desk;
    struct gh_tickets *tickets;
    struct gh_tls_context *server, *clients[CLIENTS];
} rig;

static void require(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "bench-tls: %s\n", what);
    exit(1);
}

static struct gh_slice begin(struct pem *pem)
{
    pem->text = gh_buffer_fixed(pem->block, sizeof pem->block);
    return gh_buffer_slice(&pem->text);
}

/* A fresh key; its public half in `public_key`. */
static void make_key(struct pem *key, struct pem *public_key)
{
    struct gh_private_key *made = gh_private_key_generate(GH_KEY_P256, NULL);
    begin(key);
    begin(public_key);
    require(made != NULL && gh_private_key_print(made, &key->text) &&
                gh_private_key_print_public(made, &public_key->text),
            "no key");
    gh_private_key_close(made);
}

static struct gh_authority *make_server(void)
{
    struct gh_slice name = GH_SLICE("gate.example");
    struct pem public_key;
    int64_t now_s = gh_time_utc_ms() / 1000;
    rig.validity = (struct gh_validity){now_s - 60, now_s + 3600};
    begin(&rig.ca);
    begin(&rig.ca_key);
    require(gh_authority_create(GH_SLICE("Bench root"), rig.validity, &rig.ca_key.text,
                                &rig.ca.text, NULL) == GH_OK,
            "no root");
    struct gh_authority *root =
        gh_authority_open(gh_buffer_slice(&rig.ca.text), gh_buffer_slice(&rig.ca_key.text), NULL);
    make_key(&rig.leaf_key, &public_key);
    begin(&rig.leaf);
    struct gh_leaf leaf = {.public_key_pem = gh_buffer_slice(&public_key.text),
                           .names = &name,
                           .names_count = 1,
                           .validity = rig.validity};
    require(root != NULL && gh_authority_issue(root, &leaf, &rig.leaf.text, NULL) == GH_OK,
            "no leaf");
    gh_buffer_put(&rig.leaf.text, gh_buffer_slice(&rig.ca.text)); /* as gatehoused sends it */
    rig.server = gh_tls_server_open(gh_buffer_slice(&rig.leaf.text),
                                    gh_buffer_slice(&rig.leaf_key.text), NULL);
    rig.desk = gh_tls_desk_open();
    rig.tickets = gh_tickets_open(3600, gh_time_utc_ms);
    require(rig.server != NULL && rig.desk != NULL && rig.tickets != NULL &&
                gh_tls_server_resume(rig.server, rig.tickets),
            "no server");
    return root;
}

static void make_clients(const struct gh_authority *issuer, bool shows, bool resumes)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        char name[32];
        struct pem key, public_key, leaf;
        snprintf(name, sizeof name, "dev%zu", i);
        rig.clients[i] = gh_tls_client_open(gh_buffer_slice(&rig.ca.text), NULL);
        require(rig.clients[i] != NULL, "no client");
        if (resumes)
            gh_tls_client_resume(rig.clients[i]);
        if (!shows)
            continue;
        make_key(&key, &public_key);
        begin(&leaf);
        struct gh_device_leaf device = {.common_name = gh_slice_text(name),
                                        .uri = GH_SLICE("urn:bench"),
                                        .public_key_pem = gh_buffer_slice(&public_key.text),
                                        .validity = rig.validity};
        require(gh_issuer_issue(issuer, &device, &leaf.text, NULL) == GH_OK &&
                    gh_tls_client_present(rig.clients[i], gh_buffer_slice(&leaf.text),
                                          gh_buffer_slice(&key.text), NULL),
                "no certificate");
    }
}

static void free_clients(void)
{
    for (size_t i = 0; i < CLIENTS; i++)
        gh_tls_context_unref(rig.clients[i]);
}

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1000 * GH_MS_NS + now.tv_nsec;
}

/* A function of its own, so that a profile can be taken of it alone: valgrind --tool=callgrind
 * --toggle-collect=serve. NULL: its first step. */
__attribute__((noinline)) static struct gh_tls *serve(struct gh_tls *server, int fd, int64_t *took)
{
    int64_t begun = cpu_ns();
    enum gh_tls_status wanted = server == NULL ? GH_TLS_WANT_READ : GH_TLS_OK;
    if (server == NULL)
        server = gh_tls_open(rig.server, rig.desk, fd, NULL);
    require(server != NULL && gh_tls_handshake(server, NULL) == wanted, "not shaken");
    *took += cpu_ns() - begun;
    return server;
}

/* The server's nanoseconds. */
static int64_t shake(struct gh_tls_context *client_context, bool *resumed)
{
    int fds[2];
    uint8_t byte;
    size_t got;
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0, "no sockets");
    struct gh_tls *client = gh_tls_open(client_context, NULL, fds[1], "gate.example");
    require(client != NULL && gh_tls_handshake(client, NULL) == GH_TLS_WANT_READ, "no client");
    int64_t took = 0;
    struct gh_tls *server = serve(NULL, fds[0], &took);
    require(gh_tls_handshake(client, NULL) == GH_TLS_OK, "no Finished");
    (void)serve(server, fds[0], &took);
    *resumed = gh_tls_is_resumed(server);
    require(gh_tls_write(server, GH_SLICE("x"), &got) == GH_TLS_OK &&
                gh_tls_read(client, &byte, 1, &got) == GH_TLS_OK, /* the ticket comes before it */
            "no text");
    gh_tls_shutdown(client); /* else OpenSSL takes its ticket for a bad one */
    gh_tls_close(server);
    gh_tls_close(client);
    close(fds[0]);
    close(fds[1]);
    return took;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void measure(const struct gh_authority *issuer, const char *name, bool shows, bool resumes,
                    size_t count)
{
    size_t first = resumes ? CLIENTS : 10, resumed = 0; /* the first ones set things up */
    int64_t *took = calloc(count, sizeof *took);
    require(took != NULL, "no memory");
    make_clients(issuer, shows, resumes);
    for (size_t i = 0; i < first + count; i++) {
        bool is_resumed;
        int64_t one = shake(rig.clients[i % CLIENTS], &is_resumed);
        if (i < first)
            continue;
        took[i - first] = one;
        resumed += is_resumed;
    }
    free_clients();
    qsort(took, count, sizeof *took, compare);
    printf(",\"%s\":{\"us\":%.1f,\"resumed\":%zu}", name, (double)took[count / 2] / 1000.0,
           resumed);
    free(took);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"full", "resumed", "mutual", "mutual_resumed"};
    size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : COUNT;
    struct gh_authority *root = make_server();
    require(count > 0, "COUNT is a number above 0");
    printf("{\"count\":%zu", count);
    for (size_t i = 0; i < GH_COUNT(names); i++)
        if (argc <= 2 || strcmp(argv[2], names[i]) == 0)
            measure(root, names[i], i >= 2, i % 2 == 1, count);
    puts("}");
    gh_authority_close(root);
    gh_tls_context_unref(rig.server);
    gh_tls_desk_close(rig.desk);
    gh_tickets_close(rig.tickets);
    return 0;
}
