/* Why a session ends, what the peer is told about it, and the way out. */
#include "session/session_internal.h"
#include "wire/mqtt/property.h"

/* `reason` of the DISCONNECT to a peer of MQTT 5; 0: none is sent. `told`: the detail is about the
 * peer's own packets and goes with it as reason string; why a person or a policy ended it does not.
 */
static const struct {
    const char *name;
    uint8_t reason;
    bool told;
} ends[] = {
    [GH_SESSION_END_CLIENT_CLOSED] = {"CLIENT_CLOSED", 0, false},
    [GH_SESSION_END_NETWORK] = {"NETWORK", 0, false},
    [GH_SESSION_END_CONNECT_TIMEOUT] = {"CONNECT_TIMEOUT", 0, false},
    [GH_SESSION_END_KEEPALIVE] = {"KEEPALIVE", GH_MQTT_REASON_KEEP_ALIVE_TIMEOUT, false},
    [GH_SESSION_END_IDLE] = {"IDLE", GH_MQTT_REASON_ADMINISTRATIVE_ACTION, false},
    [GH_SESSION_END_PROTOCOL] = {"PROTOCOL", GH_MQTT_REASON_PROTOCOL_ERROR, true},
    [GH_SESSION_END_TOO_LARGE] = {"TOO_LARGE", GH_MQTT_REASON_PACKET_TOO_LARGE, true},
    [GH_SESSION_END_QOS2] = {"QOS2", GH_MQTT_REASON_QOS_NOT_SUPPORTED, true},
    [GH_SESSION_END_REFUSED] = {"REFUSED", GH_MQTT_REASON_NOT_AUTHORISED, false},
    [GH_SESSION_END_TAKEN_OVER] = {"TAKEN_OVER", GH_MQTT_REASON_SESSION_TAKEN_OVER, false},
    [GH_SESSION_END_TOKEN_EXPIRED] = {"TOKEN_EXPIRED", GH_MQTT_REASON_MAXIMUM_CONNECT_TIME, false},
    [GH_SESSION_END_BLOCKED] = {"BLOCKED", GH_MQTT_REASON_ADMINISTRATIVE_ACTION, false},
    [GH_SESSION_END_DELETED] = {"DELETED", GH_MQTT_REASON_ADMINISTRATIVE_ACTION, false},
    [GH_SESSION_END_CREDENTIAL_REMOVED] = {"CREDENTIAL_REMOVED",
                                           GH_MQTT_REASON_ADMINISTRATIVE_ACTION, false},
    [GH_SESSION_END_REGISTRY_DISABLED] = {"REGISTRY_DISABLED", GH_MQTT_REASON_ADMINISTRATIVE_ACTION,
                                          false},
    [GH_SESSION_END_TOPIC_FORBIDDEN] = {"TOPIC_FORBIDDEN", GH_MQTT_REASON_NOT_AUTHORISED, false},
    [GH_SESSION_END_NO_TELEMETRY_TOPIC] = {"NO_TELEMETRY_TOPIC",
                                           GH_MQTT_REASON_IMPLEMENTATION_SPECIFIC, false},
    [GH_SESSION_END_RATE] = {"RATE", GH_MQTT_REASON_MESSAGE_RATE_TOO_HIGH, false},
    [GH_SESSION_END_OVERLOAD] = {"OVERLOAD", GH_MQTT_REASON_QUOTA_EXCEEDED, false},
    [GH_SESSION_END_SHUTDOWN] = {"SHUTDOWN", GH_MQTT_REASON_SERVER_SHUTTING_DOWN, false},
    [GH_SESSION_END_KICKED] = {"KICKED", GH_MQTT_REASON_ADMINISTRATIVE_ACTION, false},
    [GH_SESSION_END_BANNED] = {"BANNED", GH_MQTT_REASON_ADMINISTRATIVE_ACTION, false},
    [GH_SESSION_END_TENANT_DISABLED] = {"TENANT_DISABLED", GH_MQTT_REASON_ADMINISTRATIVE_ACTION,
                                        false},
    [GH_SESSION_END_POLICY] = {"POLICY", GH_MQTT_REASON_NOT_AUTHORISED, false},
    [GH_SESSION_END_RECEIVE_MAX] = {"RECEIVE_MAX", GH_MQTT_REASON_RECEIVE_MAXIMUM_EXCEEDED, true},
    [GH_SESSION_END_TOPIC_ALIAS] = {"TOPIC_ALIAS", GH_MQTT_REASON_TOPIC_ALIAS_INVALID, true},
    [GH_SESSION_END_QUOTA] = {"QUOTA", GH_MQTT_REASON_QUOTA_EXCEEDED, false},
};
static_assert(GH_COUNT(ends) == GH_SESSION_END_COUNT, "every end has a row");

const char *gh_session_end_name(enum gh_session_end why)
{
    assert((size_t)why < GH_COUNT(ends));
    return ends[why].name;
}

static bool fits(const struct gh_session *session, size_t size, const struct gh_buffer *out)
{
    return size <= gh_session_room(out) &&
           (session->peer_bytes == 0 || size <= session->peer_bytes);
}

/* The reason string only when it was not declined and stays within the peer's Maximum Packet Size
 * [/ MQTT-3.14.2-3]. */
static void write_disconnect(struct gh_session *session, uint8_t reason, const char *text,
                             struct gh_buffer *out)
{
    enum { TEXT_MAX = 256, AROUND_TEXT = 3 + 1 + 2 + 3 };
    uint8_t block[TEXT_MAX + 3];
    struct gh_buffer properties = gh_buffer_fixed(block, sizeof block);
    struct gh_slice string = gh_slice_text(text);
    size_t begin = out->size;

    if (!fits(session, GH_SESSION_FAREWELL_BYTES, out))
        return;
    if (string.size != 0 && string.size <= TEXT_MAX && session->hears_problems &&
        fits(session, AROUND_TEXT + string.size, out))
        gh_mqtt_property_put_text(&properties, GH_MQTT_PROPERTY_REASON_STRING, string);
    gh_mqtt_write_reason(GH_MQTT_V5, GH_MQTT_DISCONNECT,
                         (struct gh_mqtt_reason){reason, gh_buffer_slice(&properties)}, out);
    if (session->traced && out->size > begin)
        session->host->traced(session->context, false,
                              gh_slice_sub(gh_buffer_slice(out), begin, out->size));
}

void gh_session_end_for(struct gh_session *session, enum gh_session_end why, uint8_t reason,
                        const char *detail, struct gh_buffer *out)
{
    bool hears = session->phase == GH_SESSION_UP && gh_session_speaks_5(session);

    if (gh_session_ended(session))
        return;
    session->phase = GH_SESSION_ENDED; /* first: callbacks find a session that does nothing */
    /* DISCONNECT goes out only behind a CONNACK that accepted [/ MQTT-3.14.0-1], as the last packet
     * [/ MQTT-3.14.4-1]. */
    if (hears && reason != 0 && out != NULL)
        write_disconnect(session, reason, ends[why].told ? detail : NULL, out);
    gh_session_inbound_free(session);
    gh_session_outbound_drop(session);
    session->host->end(session->context, why, detail);
}

void gh_session_end(struct gh_session *session, enum gh_session_end why, const char *detail,
                    struct gh_buffer *out)
{
    assert((size_t)why < GH_COUNT(ends));
    gh_session_end_for(session, why, ends[why].reason, detail, out);
}

void gh_session_break(struct gh_session *session, const char *detail, struct gh_buffer *out)
{
    gh_session_end(session, GH_SESSION_END_PROTOCOL, detail, out);
}

void gh_session_end_for_fault(struct gh_session *session, enum gh_mqtt_fault fault,
                              struct gh_buffer *out)
{
    uint8_t reason = gh_mqtt_fault_reason(fault); /* [/ MQTT-4.13.1-1] */
    bool of_alias = reason == GH_MQTT_REASON_TOPIC_ALIAS_INVALID;

    gh_session_end_for(session, of_alias ? GH_SESSION_END_TOPIC_ALIAS : GH_SESSION_END_PROTOCOL,
                       reason, gh_mqtt_fault_text(fault), out);
}

void gh_session_written(struct gh_session *session, size_t begin, struct gh_buffer *out)
{
    if (out->overflow) {
        gh_session_end(session, GH_SESSION_END_OVERLOAD, "no memory for the output queue", NULL);
        return;
    }
    if (session->peer_bytes != 0 && out->size - begin > session->peer_bytes) {
        out->size = begin; /* [/ MQTT-3.1.2-24] */
        gh_session_end(session, GH_SESSION_END_TOO_LARGE,
                       "an answer over the peer's Maximum Packet Size [/ MQTT-3.1.2-24]", out);
        return;
    }
    if (session->traced && out->size > begin)
        session->host->traced(session->context, false,
                              gh_slice_sub(gh_buffer_slice(out), begin, out->size));
}
