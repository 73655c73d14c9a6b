/* All sessions that have not ended, by device and client id: in chains, because a table of keys
 * takes three words for each of a hundred thousand. */
#include "base/hash.h"
#include "base/secret.h"
#include "route/broker_internal.h"
#include <stdlib.h>

enum { CHAINS_FIRST = 64, CHAIN_LENGTH = 2 /* on average at most */ };

/* Client ids are the peers' choice, so the hash has a key. */
static struct session **chain_of(const struct roster *roster, uint64_t device,
                                 struct gh_slice client_id)
{
    uint64_t hash = gh_hash_sip(roster->key, client_id) + device;
    return &roster->chains[hash & (roster->chains_count - 1)];
}

static struct session **chain_of_session(const struct roster *roster, const struct session *session)
{
    return chain_of(roster, session_device(session), session_client(session));
}

/* More chains, or fewer; without memory they stay as they are, and are longer. */
static void hang_anew(struct roster *roster, size_t chains_count)
{
    struct roster other = *roster;
    other.chains = calloc(chains_count, sizeof(struct session *));
    other.chains_count = chains_count;
    if (other.chains == NULL)
        return;
    for (size_t i = 0; i < roster->chains_count; i++)
        for (struct session *session; (session = roster->chains[i]) != NULL;) {
            struct session **chain = chain_of_session(&other, session);
            roster->chains[i] = session->roster_next;
            session->roster_next = *chain;
            *chain = session;
        }
    free(roster->chains);
    *roster = other;
}

bool roster_open(struct roster *roster)
{
    gh_random(roster->key, sizeof roster->key);
    hang_anew(roster, CHAINS_FIRST);
    return roster->chains != NULL;
}

void roster_close(struct roster *roster)
{
    free(roster->chains);
}

struct session *roster_find(const struct roster *roster, uint64_t device, struct gh_slice client_id)
{
    struct session *session = *chain_of(roster, device, client_id);
    while (session != NULL && !(session_device(session) == device &&
                                gh_slice_equal(session_client(session), client_id)))
        session = session->roster_next;
    return session;
}

void roster_add(struct roster *roster, struct session *session)
{
    if (roster->count++ >= CHAIN_LENGTH * roster->chains_count)
        hang_anew(roster, 2 * roster->chains_count);
    struct session **chain = chain_of_session(roster, session);
    session->roster_next = *chain;
    *chain = session;
}

void roster_remove(struct roster *roster, struct session *session)
{
    struct session **at = chain_of_session(roster, session);
    while (*at != NULL && *at != session)
        at = &(*at)->roster_next;
    if (*at == NULL)
        return;
    *at = session->roster_next;
    if (--roster->count == 0 && roster->chains_count > CHAINS_FIRST) /* of a crowd that has gone */
        hang_anew(roster, CHAINS_FIRST);
}

void roster_each(const struct roster *roster, void (*each)(void *context, struct session *session),
                 void *context)
{
    for (size_t i = 0; i < roster->chains_count; i++)
        for (struct session *session = roster->chains[i], *next; session != NULL; session = next) {
            next = session->roster_next; /* `each` may free it */
            each(context, session);
        }
}
