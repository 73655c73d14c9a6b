#include "route/share.h"
#include "tests/check.h"
#include <stdio.h>
#include <string.h>

enum { MEMBERS = 200 };

struct group {
    struct gh_share share;
    struct gh_share_member members[MEMBERS];
    bool ready[MEMBERS];
    size_t asked;
};

static size_t index_of(const struct group *group, const struct gh_share_member *member)
{
    return (size_t)(member - group->members);
}

static bool is_ready(void *context, const struct gh_share_member *member)
{
    struct group *group = context;
    group->asked++;
    return group->ready[index_of(group, member)];
}

/* Members are a, b, c, …: `+a` adds, `-a` removes, `!a` is ready from now on, `?a` is not; `*a`:
 * the choice falls on a, `*.` on nobody. New members are ready. */
static const struct {
    const char *claim, *script;
} turns[] = {
    {"an empty group has nobody", "*."},
    {"one has every turn", "+a *a *a"},
    {"the turn goes round", "+a +b +c *a *b *c *a *b"},
    {"a new member comes last", "+a +b *a +c *b *a *c *b"},
    {"who is not ready is passed over", "+a +b +c ?b *a *c *a *c !b *a *b"},
    {"when nobody is ready the turn goes round all", "+a +b +c ?a ?b ?c *a *b *c *a"},
    {"the follower of who leaves is next", "+a +b +c *a -b *c *a"},
    {"who has left has no turn", "+a +b *a -a *b *b -b *."},
    {"nor among those who are not ready", "+a +b +c ?a ?b ?c *a -b *c *a"},
    {"who comes back is new", "+a +b -a +a *b *a"},
};

static void check_turns(void)
{
    for (size_t i = 0; i < GH_COUNT(turns); i++) {
        struct group group = {0};
        gh_share_init(&group.share);
        for (const char *at = turns[i].script; *at != '\0'; at += at[2] == ' ' ? 3 : 2) {
            size_t who = (size_t)(at[1] - 'a');
            if (at[0] == '*') {
                struct gh_share_member *member = gh_share_choose(&group.share, is_ready, &group);
                CHECK(turns[i].claim,
                      at[1] == '.' ? member == NULL : member == &group.members[who]);
            } else if (at[0] == '+') {
                gh_share_add(&group.share, &group.members[who]);
                group.ready[who] = true;
            } else if (at[0] == '-') {
                gh_share_remove(&group.share, &group.members[who]);
            } else {
                group.ready[who] = at[0] == '!';
            }
        }
    }
}

static void check_bounds(void)
{
    static struct group group;
    size_t chosen[MEMBERS] = {0}, choices = 0;

    gh_share_init(&group.share);
    for (size_t i = 0; i < MEMBERS; i++) {
        gh_share_add(&group.share, &group.members[i]);
        group.ready[i] = true;
    }
    for (size_t i = 0; i < 3 * MEMBERS; i++)
        chosen[index_of(&group, gh_share_choose(&group.share, is_ready, &group))]++;
    for (size_t i = 0; i < MEMBERS; i++)
        CHECK("everybody has the same", chosen[i] == 3);
    memset(group.ready, 0, sizeof group.ready);
    group.ready[150] = true;
    do {
        group.asked = 0;
        choices++;
    } while (index_of(&group, gh_share_choose(&group.share, is_ready, &group)) != 150 &&
             choices < MEMBERS);
    CHECK("the one who is ready is found soon", choices <= 1 + MEMBERS / GH_SHARE_LOOKS_MAX);
    group.ready[150] = false;
    group.asked = 0;
    CHECK("somebody is chosen", gh_share_choose(&group.share, is_ready, &group) != NULL);
    CHECK("a choice asks no more than it may", group.asked == GH_SHARE_LOOKS_MAX);
}

int main(void)
{
    check_turns();
    check_bounds();
    return check_report();
}
