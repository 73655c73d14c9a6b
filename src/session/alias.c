/* Topic aliases (MQTT 5.0 §3.3.2.3.4): numbers that stand for a topic within one connection and one
 * direction. The peer chooses those it sends, the session those towards the peer: the first topics
 * that come have them. */
#include "session/session_internal.h"
#include <stdlib.h>
#include <string.h>

/* An alias costs three bytes in each packet: for a topic of no more it is none worth. */
enum { TOPIC_BYTES_MIN = 4 };

static struct gh_slice topic_of(const struct gh_session_alias *alias)
{
    return gh_slice(alias->topic, alias->size);
}

static bool open_table(struct gh_session_aliases *aliases, uint16_t count)
{
    if (aliases->entries != NULL)
        return true;
    aliases->entries = calloc(count, sizeof *aliases->entries);
    aliases->count = aliases->entries == NULL ? 0 : count;
    return aliases->entries != NULL;
}

static void forget(struct gh_session_aliases *aliases, struct gh_session_alias *alias)
{
    aliases->bytes -= alias->size;
    free(alias->topic);
    *alias = (struct gh_session_alias){0};
}

static bool learn(struct gh_session_aliases *aliases, struct gh_session_alias *alias,
                  struct gh_slice topic)
{
    uint8_t *copy = malloc(topic.size);
    if (copy == NULL)
        return false;
    memcpy(copy, topic.data, topic.size);
    forget(aliases, alias);
    *alias = (struct gh_session_alias){copy, (uint16_t)topic.size};
    aliases->bytes += topic.size;
    return true;
}

/* A topic together with an alias gives the alias a new meaning. */
static bool learn_from_peer(struct gh_session *session, uint16_t alias, struct gh_slice topic,
                            struct gh_buffer *out)
{
    struct gh_session_aliases *aliases = &session->flow->extra->in;
    struct gh_session_alias *entry = &aliases->entries[alias - 1];

    if (gh_slice_equal(topic_of(entry), topic))
        return true;
    if (aliases->bytes - entry->size + topic.size > GH_SESSION_ALIAS_BYTES_MAX)
        gh_session_end(session, GH_SESSION_END_QUOTA, "too many bytes of topics with an alias",
                       out);
    else if (!learn(aliases, entry, topic))
        gh_session_end(session, GH_SESSION_END_OVERLOAD, "no memory for a topic alias", out);
    return !gh_session_ended(session);
}

bool gh_session_alias_resolve(struct gh_session *session, struct gh_mqtt_publish *publish,
                              struct gh_buffer *out)
{
    uint16_t alias = publish->topic_alias;

    if (alias > session->limits->topic_alias_in_max) {
        gh_session_end(session, GH_SESSION_END_TOPIC_ALIAS,
                       "a topic alias over Topic Alias Maximum [/ MQTT-3.3.2-9]", out);
        return false;
    }
    struct gh_session_extra *extra = gh_session_extra(session);
    if (extra == NULL || !open_table(&extra->in, session->limits->topic_alias_in_max)) {
        gh_session_end(session, GH_SESSION_END_OVERLOAD, "no memory for topic aliases", out);
        return false;
    }
    if (publish->topic.size != 0)
        return learn_from_peer(session, alias, publish->topic, out);
    publish->topic = topic_of(&extra->in.entries[alias - 1]);
    if (publish->topic.size == 0)
        gh_session_break(session, "a topic alias that stands for nothing (3.3.2.3.4)", out);
    return publish->topic.size != 0;
}

uint16_t gh_session_alias_choose(struct gh_session *session, struct gh_slice topic, bool *is_new)
{
    uint16_t count = session->alias_max < session->limits->topic_alias_out_max
                         ? session->alias_max /* [/ MQTT-3.1.2-26] */
                         : session->limits->topic_alias_out_max;

    *is_new = false;
    if (count == 0 || topic.size < TOPIC_BYTES_MIN)
        return 0; /* [/ MQTT-3.1.2-27] */
    struct gh_session_extra *extra = gh_session_extra(session);
    if (extra == NULL || !open_table(&extra->out, count))
        return 0; /* it goes without */
    struct gh_session_aliases *aliases = &extra->out;
    for (uint16_t i = 0; i < aliases->used; i++)
        if (gh_slice_equal(topic_of(&aliases->entries[i]), topic))
            return (uint16_t)(i + 1);
    *is_new = aliases->used < aliases->count &&
              aliases->bytes + topic.size <= GH_SESSION_ALIAS_BYTES_MAX &&
              learn(aliases, &aliases->entries[aliases->used], topic);
    return *is_new ? ++aliases->used : 0;
}

void gh_session_alias_undo(struct gh_session *session)
{
    struct gh_session_aliases *aliases = &session->flow->extra->out;
    assert(aliases->used != 0);
    forget(aliases, &aliases->entries[--aliases->used]);
}

static void free_table(struct gh_session_aliases *aliases)
{
    for (size_t i = 0; i < aliases->count; i++)
        free(aliases->entries[i].topic);
    free(aliases->entries);
    *aliases = (struct gh_session_aliases){0};
}

void gh_session_aliases_free(struct gh_session *session)
{
    if (session->flow->extra == NULL)
        return;
    free_table(&session->flow->extra->in);
    free_table(&session->flow->extra->out);
}
