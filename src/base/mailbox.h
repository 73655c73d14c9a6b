/* Mailbox: letters from many threads to one. A letter is embedded in what it delivers; sending is
 * one compare-and-swap and never blocks or fails, taking empties the box and yields the letters in
 * the order in which they were sent. The bound is the number of letters that the senders own.
 * Waking the receiver is the rim's business: `gh_mailbox_send` says whether the box was empty. */
#ifndef GH_BASE_MAILBOX_H
#define GH_BASE_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>

struct gh_letter {
    struct gh_letter *next;
    void (*open)(struct gh_letter *letter); /* run by the receiver; the letter is its own again */
};

struct gh_mailbox {
    _Atomic(struct gh_letter *) newest;
};

void gh_mailbox_init(struct gh_mailbox *box);
/* Any thread. True when the box was empty: the receiver may be asleep. */
bool gh_mailbox_send(struct gh_mailbox *box, struct gh_letter *letter);
/* The receiver. Oldest first, chained by `next`; NULL when there is none. */
struct gh_letter *gh_mailbox_take(struct gh_mailbox *box);
/* The receiver. Takes all and opens each; returns how many. */
unsigned gh_mailbox_deliver(struct gh_mailbox *box);
#endif
