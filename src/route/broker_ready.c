/* Telling a session's home that there is something to send.
 *
 * Home is told by a letter, at most one for each session, and calls the host when it opens it. What
 * goes to many at once, and what follows when a connection has had its share of a turn, is late:
 * its sessions stand in a line of the port, of which each turn of the loop serves the first few. So
 * the writes of a wide fan-out are spread over many turns, between which everybody else is served;
 * and a session in the line that gets something of its own is called at once for both. */
#include "base/time.h"
#include "route/broker_internal.h"

enum {
    LATE_PER_TURN = 4, /* sessions; each costs its host an encryption and a system call as well */
    LATE_NS = 100 * 1000, /* the session that passes it is the last of a turn */
};

static void ready(struct gh_letter *letter);

static void post(struct session *session, bool urgent)
{
    if (!session->live || atomic_load(&broker_of(session)->stopped))
        return;
    session->inbox->ready_urgent |= urgent;
    if (session->inbox->ready_posted)
        return;
    session->inbox->ready_posted = true;
    session->inbox->ready_at = session->home;
    session->inbox->ready.open = ready;
    session_ref(session);
    gh_loop_send(session->home->loop, &session->inbox->ready);
}

void session_notify(struct session *session)
{
    post(session, true);
}

void session_notify_late(struct session *session)
{
    if (!session->inbox->in_line)
        post(session, false);
}

static void call_host(struct gh_attachment *attachment)
{
    if (attachment != NULL && attachment->state == ATTACHMENT_HELD)
        attachment->host->ready(attachment->context);
}

/* --- the line */

static struct session *first_of_line(struct port *port)
{
    struct session *session = port->line_first;
    port->line_first = session->inbox->line_next;
    if (port->line_first == NULL)
        port->line_end = &port->line_first;
    return session;
}

static void serve_first(struct port *port)
{
    struct session *session = first_of_line(port);
    struct gh_attachment *attachment = NULL;
    gh_latch_take(&session->lock);
    session->inbox->in_line = false;
    if (session->home == port)
        attachment = session->live ? session->attachment : NULL;
    else
        session_notify_late(session);
    gh_latch_give(&session->lock);
    call_host(attachment);
    session_unref(session);
}

static void serve_line(struct gh_letter *letter)
{
    struct port *port = (struct port *)((char *)letter - offsetof(struct port, line));
    int64_t end_ns = gh_time_monotonic_ns() + LATE_NS;
    port->line_posted = false;
    for (int i = 0; i < LATE_PER_TURN && port->line_first != NULL; i++) {
        serve_first(port);
        if (gh_time_monotonic_ns() >= end_ns)
            break;
    }
    port_serve_line(port);
}

void port_serve_line(struct port *port)
{
    if (port->line_first == NULL || port->line_posted)
        return;
    if (atomic_load(&port->broker->stopped)) { /* there is nobody to serve any more */
        while (port->line_first != NULL)
            session_unref(first_of_line(port));
        return;
    }
    port->line_posted = true;
    port->line.open = serve_line;
    gh_loop_send(port->loop, &port->line);
}

/* With a reference of the session's; its lock is held, or it is marked. */
static void enter_line(struct port *port, struct session *session)
{
    session->inbox->line_next = NULL;
    *port->line_end = session;
    port->line_end = &session->inbox->line_next;
    port_serve_line(port);
}

void session_notify_wide(struct session *session, struct port *here)
{
    bool direct = session->home == here && session->live && !session->inbox->ready_posted &&
                  !session->inbox->in_line && !atomic_load(&here->broker->stopped);
    if (!direct) {
        session_notify_late(session);
        return;
    }
    session->inbox->in_line = true;
    enter_line(here, session_ref(session));
}

/* --- the letter, at what was home when it was sent */

static void ready(struct gh_letter *letter)
{
    struct inbox *inbox = (struct inbox *)((char *)letter - offsetof(struct inbox, ready));
    struct session *session = inbox->session;
    struct port *port = inbox->ready_at;
    struct gh_attachment *attachment = NULL;
    gh_latch_take(&session->lock);
    bool urgent = session->inbox->ready_urgent, enters = false;
    session->inbox->ready_posted = session->inbox->ready_urgent = false;
    if (session->home != port) /* it has moved while the letter was under way */
        post(session, urgent);
    else if (urgent)
        attachment = session->live ? session->attachment : NULL;
    else
        enters = session->live && !session->inbox->in_line;
    session->inbox->in_line |= enters;
    gh_latch_give(&session->lock);
    if (enters) { /* with the letter's reference */
        enter_line(port, session);
        return;
    }
    call_host(attachment);
    session_unref(session);
}
