/* SUBSCRIBE and UNSUBSCRIBE: each filter goes to a feed of the device's own or to the broker. A
 * long list is worked off in parts, one for each turn of the loop, so that other connections wait
 * for a part only; it is answered as a whole [MQTT-3.8.4-5], and the session holds what comes
 * behind. */
#include "dialect/front_internal.h"
#include <stdlib.h>
#include <string.h>

enum { PART = 64 };

struct asking {
    struct gh_letter letter;
    struct link *link;
    struct gh_mqtt_filters whole, rest;
    bool subscribes;
    size_t count, due_count;
    unsigned due[GH_SESSION_FILTERS_MAX]; /* slots of those whose configuration is due */
    uint8_t codes[GH_SESSION_FILTERS_MAX];
    uint8_t bytes[]; /* the packet's, when it is not worked off at once */
};

/* What the filter gets, and of which device it is. */
static struct party *resolve(struct link *link, struct gh_slice filter, uint8_t qos,
                             struct gh_grant *grant)
{
    struct gh_speaker speaker = party_speaker(&link->own);
    *grant = link_dialect(link)->subscribe(&speaker, filter, qos);
    if (grant->feed != GH_FEED_OTHER)
        return &link->own;
    struct party *party = gateway_party(link, grant->device);
    if (party == NULL)
        return NULL;
    speaker = party_speaker(party);
    *grant = link_dialect(link)->subscribe(&speaker, filter, qos);
    return party;
}

static uint8_t subscribe(struct link *link, const struct gh_mqtt_filters *filters,
                         const struct gh_mqtt_filter *filter, struct gh_grant *grant,
                         struct party **party)
{
    *party = resolve(link, filter->filter, filter->qos, grant);
    if (*party == NULL) {
        gateway_report_missing(link, grant->device, "SUBSCRIBE", filter->filter,
                               filters->packet_id);
        grant->feed = GH_FEED_NONE;
        return GH_MQTT_REASON_NOT_AUTHORISED;
    }
    if (grant->feed == GH_FEED_ROUTE)
        return route_subscribe(link, filters, filter);
    if (grant->feed == GH_FEED_ERRORS) {
        link_gateway(link)->errors = true;
        return grant->qos;
    }
    if (grant->feed == GH_FEED_NONE)
        party_note(*party, GH_TRAIL_SUBSCRIBE_DENIED, "FILTER_FORBIDDEN", filter->filter);
    else if (link->routes && !route_may(link, GH_DEVICE_ACTION_SUBSCRIBE, filter->filter))
        grant->feed = GH_FEED_NONE;
    else if (feed_subscribe(*party, grant))
        return grant->qos;
    return GH_MQTT_REASON_NOT_AUTHORISED;
}

static void answer(struct link *link, const uint8_t *codes, size_t count, bool subscribes)
{
    struct gh_buffer *out = gh_conn_out(link->conn);
    if (link->routes)
        route_answer(link, codes, count, subscribes);
    else if (subscribes)
        gh_session_suback(link_session(link), codes, count, out);
    else
        gh_session_unsuback(link_session(link), codes, count, out);
}

static uint8_t unsubscribe(struct link *link, struct gh_slice filter)
{
    struct gh_grant grant;
    struct party *party = resolve(link, filter, 0, &grant);
    if (grant.feed == GH_FEED_ROUTE)
        return route_unsubscribe(link, filter);
    if (grant.feed == GH_FEED_ERRORS)
        link_gateway(link)->errors = false;
    return party != NULL && (grant.feed == GH_FEED_CONFIG || grant.feed == GH_FEED_COMMANDS) &&
                   feed_unsubscribe(party, grant.feed)
               ? GH_MQTT_REASON_SUCCESS
               : GH_MQTT_REASON_NO_SUBSCRIPTION_EXISTED;
}

/* False when nothing is left. */
static bool work_part(struct asking *asking)
{
    struct gh_mqtt_filter filter;
    struct gh_grant grant;
    struct party *party;
    for (int i = 0; i < PART; i++) {
        if (!gh_mqtt_filter_next(&asking->rest, &filter))
            return false;
        uint8_t *code = &asking->codes[asking->count++];
        if (!asking->subscribes) {
            *code = unsubscribe(asking->link, filter.filter);
            party_told(&asking->link->own, GH_CHRONICLE_UNSUBSCRIBE, filter.filter, NULL);
            continue;
        }
        *code = subscribe(asking->link, &asking->whole, &filter, &grant, &party);
        party_tell(party != NULL ? party : &asking->link->own,
                   &(struct gh_chronicle_entry){.kind = GH_CHRONICLE_SUBSCRIBE,
                                                .topic = filter.filter,
                                                .reason = *code <= 2      ? NULL
                                                          : party == NULL ? "NOT_ATTACHED"
                                                                          : "FILTER_FORBIDDEN"});
        if (grant.feed == GH_FEED_CONFIG && *code <= 2)
            asking->due[asking->due_count++] = party->slot;
    }
    return true;
}

static void finish(struct asking *asking)
{
    struct link *link = asking->link;
    answer(link, asking->codes, asking->count, asking->subscribes);
    for (size_t i = 0; i < asking->due_count && link_is_live(link); i++) {
        struct party *party = gateway_slot(link, asking->due[i]); /* fetching may have ended it */
        if (party != NULL)
            party_fetch_config(party); /* sent behind the SUBACK */
    }
}

static void open_asking(struct gh_letter *letter)
{
    struct asking *asking = (struct asking *)letter;
    struct link *link = asking->link;
    bool live = link_is_live(link);
    if (live && work_part(asking)) {
        gh_loop_send(link_port(link)->port.loop, &asking->letter);
        return;
    }
    link->pending--;
    if (live)
        finish(asking);
    free(asking);
    link_settle(link);
    link_release(link);
}

/* The rest of the list in later turns, from a copy: the packet is valid only now. */
static void go_on_later(const struct asking *begun)
{
    struct gh_slice entries = begun->rest.entries;
    struct link *link = begun->link;
    struct asking *asking = malloc(sizeof *asking + entries.size);
    if (asking == NULL) {
        link_end(link, GH_SESSION_END_OVERLOAD, "no memory for the list of filters");
        return;
    }
    memcpy(asking, begun, sizeof *asking);
    memcpy(asking->bytes, entries.data, entries.size);
    asking->rest.entries = gh_slice(asking->bytes, entries.size);
    asking->whole.entries = asking->whole.properties = (struct gh_slice){0};
    asking->letter.open = open_asking;
    link->pending++;
    gh_loop_send(link_port(link)->port.loop, &asking->letter);
}

static void ask(struct link *link, const struct gh_mqtt_filters *filters, bool subscribes)
{
    struct asking asking;
    asking.link = link;
    asking.whole = asking.rest = *filters;
    asking.subscribes = subscribes;
    asking.count = asking.due_count = 0;
    if (work_part(&asking) && asking.rest.entries.size > 0)
        go_on_later(&asking);
    else
        finish(&asking);
}

void link_subscribe(struct link *link, const struct gh_mqtt_filters *filters)
{
    ask(link, filters, true);
}

void link_unsubscribe(struct link *link, const struct gh_mqtt_filters *filters)
{
    ask(link, filters, false);
}
