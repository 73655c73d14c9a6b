/* SUBSCRIBE and UNSUBSCRIBE: each filter goes to a feed of the device's own or to the broker. */
#include "dialect/front_internal.h"

static uint8_t subscribe(struct link *link, const struct gh_mqtt_filters *filters,
                         const struct gh_mqtt_filter *filter, struct gh_grant *grant)
{
    struct gh_speaker speaker = link_speaker(link);
    *grant = link->dialect->subscribe(&speaker, filter->filter, filter->qos);
    if (grant->feed == GH_FEED_ROUTE)
        return route_subscribe(link, filters, filter);
    if (grant->feed == GH_FEED_NONE)
        link_note(link, GH_TRAIL_SUBSCRIBE_DENIED, "FILTER_FORBIDDEN", filter->filter);
    else if (link->routed != NULL && !route_may(link, GH_DEVICE_ACTION_SUBSCRIBE, filter->filter))
        grant->feed = GH_FEED_NONE;
    else if (feed_subscribe(link, grant))
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
    uint8_t codes[GH_SESSION_FILTERS_MAX];
    size_t count = 0;
    bool config = false;
    while (gh_mqtt_filter_next(&at, &filter)) {
        codes[count] = subscribe(link, filters, &filter, &grant);
        config |= grant.feed == GH_FEED_CONFIG && codes[count] <= 2;
        count++;
    }
    answer(link, codes, count, true);
    if (config && link_is_live(link)) /* sent behind the SUBACK */
        link_fetch_config(link);
}

static uint8_t unsubscribe(struct link *link, struct gh_slice filter)
{
    struct gh_speaker speaker = link_speaker(link);
    struct gh_grant grant = link->dialect->subscribe(&speaker, filter, 0);
    if (grant.feed == GH_FEED_ROUTE)
        return route_unsubscribe(link, filter);
    return grant.feed != GH_FEED_NONE && feed_unsubscribe(link, grant.feed)
               ? GH_MQTT_REASON_SUCCESS
               : GH_MQTT_REASON_NO_SUBSCRIPTION_EXISTED;
}

void link_unsubscribe(struct link *link, const struct gh_mqtt_filters *filters)
{
    struct gh_mqtt_filters at = *filters;
    struct gh_mqtt_filter filter;
    uint8_t codes[GH_SESSION_FILTERS_MAX];
    size_t count = 0;
    while (gh_mqtt_filter_next(&at, &filter))
        codes[count++] = unsubscribe(link, filter.filter);
    answer(link, codes, count, false);
}
