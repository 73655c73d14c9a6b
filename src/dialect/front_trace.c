/* The live trace of a device, as its connections give it. While anybody reads any trace, a new
 * connection tells its packets from the CONNECT on; as long as it is not known whose it is, the one
 * line of CONNECT is held, and forgotten when nobody reads that device. */
#include "dialect/front_internal.h"
#include <stdlib.h>
#include <string.h>

enum { HELD_BYTES_MAX = 32 * 1024 };

static struct gh_traces *traces_of(const struct link *link)
{
    return link->port->front->services.traces;
}

static struct gh_trace_packet packet_of(const struct link *link, bool inbound,
                                        struct gh_slice bytes)
{
    return (struct gh_trace_packet){
        .at_ms = link->port->front->services.utc_ms(),
        .inbound = inbound,
        .version = gh_session_version(link->session),
        .bytes = bytes,
        .address = gh_slice_text(link->conn != NULL ? gh_conn_peer(link->conn) : "")};
}

void link_trace_open(struct link *link)
{
    if (gh_traces_any(traces_of(link)))
        gh_session_trace(link->session, true);
}

static void hold(struct link *link, struct gh_slice bytes)
{
    struct gh_trace_packet packet = packet_of(link, true, bytes);
    struct gh_buffer line;
    gh_buffer_init(&line, HELD_BYTES_MAX);
    if (link->held == NULL && gh_trace_line(&packet, false, &line) &&
        (link->held = malloc(line.size + 1)) != NULL) {
        memcpy(link->held, line.data, line.size);
        link->held[line.size] = '\0';
    }
    gh_buffer_deinit(&line);
}

void link_trace_packet(struct link *link, bool inbound, struct gh_slice bytes)
{
    struct gh_trace_packet packet = packet_of(link, inbound, bytes);
    if (link->traced != 0)
        gh_traces_packet(traces_of(link), link->traced, &packet);
    else if (inbound)
        hold(link, bytes);
}

void link_trace_known(struct link *link, uint64_t device)
{
    bool wanted = gh_traces_wants(traces_of(link), device);
    if (wanted && link->held != NULL)
        gh_traces_line(traces_of(link), device, gh_slice_text(link->held));
    free(link->held);
    link->held = NULL;
    link->traced = wanted ? device : 0;
    gh_session_trace(link->session, wanted);
}
