/* SUBSCRIBE and UNSUBSCRIBE: each filter goes to a feed of the device's own or to the broker. */
#include "dialect/front_internal.h"

/* What the filter gets, and of which device it is. */
static struct party *resolve(struct link *link, struct gh_slice filter, uint8_t qos,
                             struct gh_grant *grant)
{
    struct gh_speaker speaker = party_speaker(&link->own);
    *grant = link->dialect->subscribe(&speaker, filter, qos);
    if (grant->feed != GH_FEED_OTHER)
        return &link->own;
    struct party *party = gateway_party(link, grant->device);
    if (party == NULL)
        return NULL;
    speaker = party_speaker(party);
    *grant = link->dialect->subscribe(&speaker, filter, qos);
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
        link->gateway->errors = true;
        return grant->qos;
    }
    if (grant->feed == GH_FEED_NONE)
        party_note(*party, GH_TRAIL_SUBSCRIBE_DENIED, "FILTER_FORBIDDEN", filter->filter);
    else if (link->routed != NULL && !route_may(link, GH_DEVICE_ACTION_SUBSCRIBE, filter->filter))
        grant->feed = GH_FEED_NONE;
    else if (feed_subscribe(*party, grant))
        return grant->qos;
    return GH_MQTT_REASON_NOT_AUTHORISED;
}

static void answer(struct link *link, const uint8_t *codes, size_t count, bool subscribes)
{
    struct gh_buffer *out = gh_conn_out(link->conn);
    if (link->routed != NULL)
        route_answer(link, codes, count, subscribes);
    else if (subscribes)
        gh_session_suback(link->session, codes, count, out);
    else
        gh_session_unsuback(link->session, codes, count, out);
}

void link_subscribe(struct link *link, const struct gh_mqtt_filters *filters)
{
    struct gh_mqtt_filters at = *filters;
    struct gh_mqtt_filter filter;
    struct gh_grant grant;
    struct party *party;
    unsigned due[GH_SESSION_FILTERS_MAX]; /* by their slots: fetching may end one */
    uint8_t codes[GH_SESSION_FILTERS_MAX];
    size_t count = 0, due_count = 0;
    while (gh_mqtt_filter_next(&at, &filter)) {
        codes[count] = subscribe(link, filters, &filter, &grant, &party);
        party_tell(party != NULL ? party : &link->own,
                   &(struct gh_chronicle_entry){.kind = GH_CHRONICLE_SUBSCRIBE,
                                                .topic = filter.filter,
                                                .reason = codes[count] <= 2 ? NULL
                                                          : party == NULL   ? "NOT_ATTACHED"
                                                                            : "FILTER_FORBIDDEN"});
        if (grant.feed == GH_FEED_CONFIG && codes[count] <= 2)
            due[due_count++] = party->slot;
        count++;
    }
    answer(link, codes, count, true);
    for (size_t i = 0; i < due_count && link_is_live(link); i++) /* sent behind the SUBACK */
        if ((party = gateway_slot(link, due[i])) != NULL)
            party_fetch_config(party);
}

static uint8_t unsubscribe(struct link *link, struct gh_slice filter)
{
    struct gh_grant grant;
    struct party *party = resolve(link, filter, 0, &grant);
    if (grant.feed == GH_FEED_ROUTE)
        return route_unsubscribe(link, filter);
    if (grant.feed == GH_FEED_ERRORS)
        link->gateway->errors = false;
    return party != NULL && (grant.feed == GH_FEED_CONFIG || grant.feed == GH_FEED_COMMANDS) &&
                   feed_unsubscribe(party, grant.feed)
               ? GH_MQTT_REASON_SUCCESS
               : GH_MQTT_REASON_NO_SUBSCRIPTION_EXISTED;
}

void link_unsubscribe(struct link *link, const struct gh_mqtt_filters *filters)
{
    struct gh_mqtt_filters at = *filters;
    struct gh_mqtt_filter filter;
    uint8_t codes[GH_SESSION_FILTERS_MAX];
    size_t count = 0;
    while (gh_mqtt_filter_next(&at, &filter)) {
        codes[count++] = unsubscribe(link, filter.filter);
        party_told(&link->own, GH_CHRONICLE_UNSUBSCRIBE, filter.filter, NULL);
    }
    answer(link, codes, count, false);
}
