#include "route/share.h"
#include <assert.h>

void gh_share_init(struct gh_share *share)
{
    *share = (struct gh_share){0};
}

void gh_share_add(struct gh_share *share, struct gh_share_member *member)
{
    struct gh_share_member *at = share->ready;

    assert(member->next == NULL);
    if (at == NULL) {
        member->next = member->previous = member;
        share->ready = share->any = member;
    } else {
        member->next = at;
        member->previous = at->previous;
        at->previous->next = member;
        at->previous = member;
    }
    share->count++;
}

void gh_share_remove(struct gh_share *share, struct gh_share_member *member)
{
    assert(member->next != NULL);
    assert(share->count > 0);
    if (share->ready == member)
        share->ready = member->next;
    if (share->any == member)
        share->any = member->next;
    if (--share->count == 0)
        share->ready = share->any = NULL;
    member->previous->next = member->next;
    member->next->previous = member->previous;
    *member = (struct gh_share_member){0};
}

struct gh_share_member *
gh_share_choose(struct gh_share *share,
                bool (*ready)(void *context, const struct gh_share_member *member), void *context)
{
    size_t looks = share->count < GH_SHARE_LOOKS_MAX ? share->count : GH_SHARE_LOOKS_MAX;

    while (looks-- > 0) {
        struct gh_share_member *member = share->ready;
        share->ready = member->next;
        if (ready(context, member))
            return member;
    }
    struct gh_share_member *member = share->any;
    if (member != NULL)
        share->any = member->next;
    return member;
}
