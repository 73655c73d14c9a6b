#include "base/log.h"
#include "base/time.h"
#include "io/rpc_internal.h"
#include <assert.h>
#include <stdlib.h>

enum {
    OUTPUT_BYTES_HIGH = 64 * 1024, /* with more than that unwritten, calls have to wait */
    OUTPUT_BYTES_MAX = 1024 * 1024,
    MESSAGE_BYTES_DEFAULT = 1024 * 1024,
};

struct gh_rpc_server {
    struct gh_rpc_config config; /* without zeros */
};

struct rpc_conn {
    struct gh_conn *conn;
    struct http2 *http2;
};

struct gh_rpc_server *gh_rpc_server_open(const struct gh_rpc_config *config, struct gh_error *error)
{
    struct gh_rpc_server *server = calloc(1, sizeof *server);

    assert(config->begin != NULL);
    if (server == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "gRPC server");
        return NULL;
    }
    struct gh_rpc_config *own = &server->config;
    *own = *config;
    own->message_max = own->message_max != 0 ? own->message_max : MESSAGE_BYTES_DEFAULT;
    own->answer_ms = own->answer_ms != 0 ? own->answer_ms : 120 * 1000;
    own->idle_ms = own->idle_ms != 0 ? own->idle_ms : 300 * 1000;
    return server;
}

void gh_rpc_server_close(struct gh_rpc_server *server)
{
    free(server);
}

/* Writes what there is, and closes when it is time to. */
static void flush(struct rpc_conn *rpc)
{
    struct gh_buffer *out = gh_conn_out(rpc->conn);

    http2_write(rpc->http2, out, OUTPUT_BYTES_HIGH);
    gh_conn_dirty(rpc->conn);
    const char *why = http2_why(rpc->http2);
    if (why != NULL) {
        gh_log(GH_LOG_DEBUG, "rpc", "%s: %s", gh_conn_peer(rpc->conn), why);
        gh_conn_close_why(rpc->conn, why);
        return;
    }
    gh_conn_set_deadline(rpc->conn, http2_deadline(rpc->http2));
}

static void on_wake(void *context)
{
    flush(context);
}

static void *open_conn(void *context, struct gh_conn *conn)
{
    const struct gh_rpc_server *server = context;
    struct rpc_conn *rpc = calloc(1, sizeof *rpc);

    if (rpc == NULL)
        return NULL;
    rpc->conn = conn;
    struct http2_setup setup = {.config = &server->config,
                                .loop = gh_conn_loop(conn),
                                .metrics = gh_conn_metrics(conn),
                                .peer = gh_conn_peer(conn),
                                .tls = gh_conn_tls(conn),
                                .wake = on_wake,
                                .context = rpc};
    rpc->http2 = http2_open(&setup, gh_loop_now_ns(gh_conn_loop(conn)));
    if (rpc->http2 != NULL)
        return rpc;
    free(rpc);
    return NULL;
}

static size_t on_input(void *state, struct gh_slice bytes)
{
    struct rpc_conn *rpc = state;

    /* While much is unwritten nothing is read: what a peer asks for it has to take. */
    if (gh_conn_out(rpc->conn)->size > OUTPUT_BYTES_HIGH)
        return 0;
    http2_read(rpc->http2, bytes, gh_loop_now_ns(gh_conn_loop(rpc->conn)));
    flush(rpc);
    return bytes.size;
}

static void on_tick(void *state)
{
    struct rpc_conn *rpc = state;

    http2_tick(rpc->http2, gh_conn_out(rpc->conn)->size, gh_loop_now_ns(gh_conn_loop(rpc->conn)));
    flush(rpc);
}

static void on_drained(void *state)
{
    struct rpc_conn *rpc = state;

    flush(rpc);
    gh_conn_resume(rpc->conn);
}

static void on_stopping(void *state)
{
    struct rpc_conn *rpc = state;

    http2_stop(rpc->http2);
    flush(rpc);
}

static void on_closed(void *state, const char *why)
{
    struct rpc_conn *rpc = state;
    (void)why;
    http2_close(rpc->http2);
    free(rpc);
}

const struct gh_protocol gh_rpc_protocol = {
    .name = "grpc",
    .output_max = OUTPUT_BYTES_MAX,
    .open = open_conn,
    .input = on_input,
    .tick = on_tick,
    .drained = on_drained,
    .stopping = on_stopping,
    .closed = on_closed,
};
