/* Share: the members of one shared subscription ($share/NAME/FILTER, MQTT 5.0 §4.8.2), of whom each
 * message goes to one. The turn goes round the members that are ready; when none is found, round
 * all of them, so that the messages wait in every member's queue alike.
 *
 * Members are nodes that the caller's subscription embeds. Nothing is allocated. Threads: the
 * caller locks. */
#ifndef GH_ROUTE_SHARE_H
#define GH_ROUTE_SHARE_H

#include <stdbool.h>
#include <stddef.h>

/* How many members one choice asks. In a larger group, one choice may miss the few that are ready;
 * the next begins where it ended, and so finds them within size / 64 choices. */
enum { GH_SHARE_LOOKS_MAX = 64 };

/* Zeroed before it is added for the first time; it must stay where it is while it is in a group. */
struct gh_share_member {
    struct gh_share_member *next, *previous; /* a ring; NULL: in no group */
};

struct gh_share {
    struct gh_share_member *ready; /* whose turn it is among the ready ones */
    struct gh_share_member *any;   /* whose turn it is when none is ready */
    size_t count;
};

void gh_share_init(struct gh_share *share);

/* The new member's first turn comes after everybody else's. It is in no group. */
void gh_share_add(struct gh_share *share, struct gh_share_member *member);
/* It is in this group. Whoever would have followed it has the next turn. */
void gh_share_remove(struct gh_share *share, struct gh_share_member *member);

/* Whose message this is; NULL when the group is empty. `ready` is asked at most GH_SHARE_LOOKS_MAX
 * times, of no member twice, and must not change the group. */
struct gh_share_member *
gh_share_choose(struct gh_share *share,
                bool (*ready)(void *context, const struct gh_share_member *member), void *context);
#endif
