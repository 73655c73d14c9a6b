#include "base/mailbox.h"
#include <stddef.h>

void gh_mailbox_init(struct gh_mailbox *box)
{
    atomic_init(&box->newest, NULL);
}

bool gh_mailbox_send(struct gh_mailbox *box, struct gh_letter *letter)
{
    struct gh_letter *before = atomic_load_explicit(&box->newest, memory_order_relaxed);
    do
        letter->next = before;
    while (!atomic_compare_exchange_weak_explicit(&box->newest, &before, letter,
                                                  memory_order_seq_cst, memory_order_relaxed));
    return before == NULL;
}

struct gh_letter *gh_mailbox_take(struct gh_mailbox *box)
{
    struct gh_letter *newest = atomic_exchange_explicit(&box->newest, NULL, memory_order_acquire);
    struct gh_letter *oldest = NULL;
    while (newest != NULL) {
        struct gh_letter *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

unsigned gh_mailbox_deliver(struct gh_mailbox *box)
{
    unsigned count = 0;
    for (struct gh_letter *letter = gh_mailbox_take(box), *next; letter != NULL; letter = next) {
        next = letter->next; /* opening may free or send it again */
        letter->open(letter);
        count++;
    }
    return count;
}
