/* The live trace of a device, as its connections give it. While anybody reads any trace, a new
 * connection tells its packets from the CONNECT on; as long as it is not known whose it is, the one
 * line of CONNECT is held, and forgotten when nobody reads that device. */
#include "dialect/front_internal.h"
#include <stdlib.h>
#include <string.h>

enum { HELD_BYTES_MAX = 32 * 1024 };

static struct gh_traces *traces_of(const struct link *link)
{
    return link_port(link)->front->services.traces;
}

static struct gh_trace_packet packet_of(const struct link *link, bool inbound,
                                        struct gh_slice bytes)
{
    return (struct gh_trace_packet){
        .at_ms = link_port(link)->front->services.utc_ms(),
        .inbound = inbound,
        .version = gh_session_version(link_session(link)),
        .bytes = bytes,
        .address = gh_slice_text(link->conn != NULL ? gh_conn_peer(link->conn) : "")};
}

void link_trace_open(struct link *link)
{
    if (gh_traces_any(traces_of(link)))
        gh_session_trace(link_session(link), true);
}

/* NULL without memory. */
static struct tracing *tracing_of(struct link *link)
{
    if (link->tracing == NULL)
        link->tracing = calloc(1, sizeof *link->tracing);
    return link->tracing;
}

void link_trace_close(struct link *link)
{
    if (link->tracing != NULL)
        free(link->tracing->line);
    free(link->tracing);
    link->tracing = NULL;
}

static void hold(struct link *link, struct gh_slice bytes)
{
    struct gh_trace_packet packet = packet_of(link, true, bytes);
    struct tracing *tracing = tracing_of(link);
    struct gh_buffer line;
    gh_buffer_init(&line, HELD_BYTES_MAX);
    if (tracing != NULL && tracing->line == NULL && gh_trace_line(&packet, false, &line) &&
        (tracing->line = malloc(line.size + 1)) != NULL) {
        memcpy(tracing->line, line.data, line.size);
        tracing->line[line.size] = '\0';
    }
    gh_buffer_deinit(&line);
}

void link_trace_packet(struct link *link, bool inbound, struct gh_slice bytes)
{
    struct gh_trace_packet packet = packet_of(link, inbound, bytes);
    if (link->tracing != NULL && link->tracing->device != 0)
        gh_traces_packet(traces_of(link), link->tracing->device, &packet);
    else if (inbound)
        hold(link, bytes);
}

void link_trace_known(struct link *link, uint64_t device)
{
    bool wanted = gh_traces_wants(traces_of(link), device) && tracing_of(link) != NULL;
    if (wanted) {
        struct tracing *tracing = link->tracing;
        if (tracing->line != NULL)
            gh_traces_line(traces_of(link), device, gh_slice_text(tracing->line));
        free(tracing->line);
        *tracing = (struct tracing){.device = device};
    } else {
        link_trace_close(link);
    }
    gh_session_trace(link_session(link), wanted);
}
