/* Counters by reason: what the trail says of one device, /metrics says of all. */
#include "dialect/front_internal.h"
#include <assert.h>

static const struct {
    bool counted;
    enum gh_metric_family family;
} families[] = {
    [GH_TRAIL_DISCONNECT] = {true, GH_METRIC_FAMILY_disconnects_total},
    [GH_TRAIL_REFUSAL] = {true, GH_METRIC_FAMILY_connects_refused_total},
    [GH_TRAIL_PUBLISH_DENIED] = {true, GH_METRIC_FAMILY_publishes_denied_total},
    [GH_TRAIL_SUBSCRIBE_DENIED] = {true, GH_METRIC_FAMILY_subscribes_denied_total},
};

/* Reasons that are the front door's own; those of identity and session are in their enumerations.
 */
static const struct {
    enum gh_trail_kind kind;
    const char *reason;
} reasons[] = {
    {GH_TRAIL_REFUSAL, "POLICY"},
    {GH_TRAIL_REFUSAL, "NO_TOKEN"},
    {GH_TRAIL_REFUSAL, "SESSIONS_LIMIT"},
    {GH_TRAIL_REFUSAL, "TENANT_CONNECTIONS"},
    {GH_TRAIL_REFUSAL, "TENANT_REQUESTS"},
    {GH_TRAIL_REFUSAL, "TAKEN_OVER"},
    {GH_TRAIL_REFUSAL, "JOURNAL_FULL"},
    {GH_TRAIL_REFUSAL, "ATTACHED_LIMIT"},
    {GH_TRAIL_PUBLISH_DENIED, "POLICY"},
    {GH_TRAIL_PUBLISH_DENIED, "TOPIC_FORBIDDEN"},
    {GH_TRAIL_PUBLISH_DENIED, "TOO_LARGE"},
    {GH_TRAIL_PUBLISH_DENIED, "CHANNEL"},
    {GH_TRAIL_PUBLISH_DENIED, "NO_TELEMETRY_TOPIC"},
    {GH_TRAIL_PUBLISH_DENIED, "RETAINED_LIMIT"},
    {GH_TRAIL_PUBLISH_DENIED, "RATE"},
    {GH_TRAIL_PUBLISH_DENIED, "NOT_ATTACHED"},
    {GH_TRAIL_PUBLISH_DENIED, "TENANT_RATE"},
    {GH_TRAIL_SUBSCRIBE_DENIED, "POLICY"},
    {GH_TRAIL_SUBSCRIBE_DENIED, "QUEUE_FULL"},
    {GH_TRAIL_SUBSCRIBE_DENIED, "SUBSCRIPTIONS_LIMIT"},
};

static_assert(GH_IDENTITY_REASON_COUNT + GH_SESSION_REFUSED_COUNT + GH_COUNT(reasons) <
                      GH_METRIC_LABELS_MAX &&
                  (int)GH_SESSION_END_COUNT < GH_METRIC_LABELS_MAX,
              "no reason is counted as OTHER");

static void add(struct gh_front *front, enum gh_trail_kind kind, const char *reason, int64_t by)
{
    if ((size_t)kind < GH_COUNT(families) && families[kind].counted)
        gh_metric_add_for(front->services.metrics, families[kind].family, reason, by);
}

/* Every reason is there from the start, so that a rate has a beginning. */
void front_count_open(struct gh_front *front)
{
    for (int i = GH_IDENTITY_ACCEPTED + 1; i < GH_IDENTITY_REASON_COUNT; i++)
        add(front, GH_TRAIL_REFUSAL, gh_identity_reason_name((enum gh_identity_reason)i), 0);
    for (int i = 0; i < GH_SESSION_REFUSED_COUNT; i++)
        add(front, GH_TRAIL_REFUSAL, gh_session_refusal_name((enum gh_session_refusal)i), 0);
    for (int i = 0; i < GH_SESSION_END_COUNT; i++)
        add(front, GH_TRAIL_DISCONNECT, gh_session_end_name((enum gh_session_end)i), 0);
    for (size_t i = 0; i < GH_COUNT(reasons); i++)
        add(front, reasons[i].kind, reasons[i].reason, 0);
}

void front_count(struct gh_front *front, enum gh_trail_kind kind, const char *reason)
{
    add(front, kind, reason, 1);
}
