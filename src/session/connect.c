/* From CONNECT to CONNACK: what the session keeps of the one, what it says in the other, and the
 * codes of a refusal. */
#include "session/session_internal.h"
#include "wire/mqtt/property.h"
#include <string.h>

static const struct {
    const char *name;
    uint8_t code;   /* 3.1.1 §3.2.2.3 */
    uint8_t reason; /* 5.0 §3.2.2.2 */
} refusals[] = {
    [GH_SESSION_REFUSED_LEVEL] = {"LEVEL", 1, GH_MQTT_REASON_UNSUPPORTED_VERSION},
    [GH_SESSION_REFUSED_CLIENT_ID] = {"CLIENT_ID", 2, GH_MQTT_REASON_CLIENT_ID_INVALID},
    [GH_SESSION_REFUSED_UNAVAILABLE] = {"UNAVAILABLE", 3, GH_MQTT_REASON_SERVER_UNAVAILABLE},
    [GH_SESSION_REFUSED_BUSY] = {"BUSY", 3, GH_MQTT_REASON_SERVER_BUSY},
    [GH_SESSION_REFUSED_QUOTA] = {"QUOTA", 3, GH_MQTT_REASON_QUOTA_EXCEEDED},
    [GH_SESSION_REFUSED_RATE] = {"RATE", 3, GH_MQTT_REASON_CONNECTION_RATE_EXCEEDED},
    [GH_SESSION_REFUSED_CREDENTIALS] = {"CREDENTIALS", 4, GH_MQTT_REASON_BAD_CREDENTIALS},
    [GH_SESSION_REFUSED_UNAUTHORISED] = {"UNAUTHORISED", 5, GH_MQTT_REASON_NOT_AUTHORISED},
    [GH_SESSION_REFUSED_BANNED] = {"BANNED", 5, GH_MQTT_REASON_BANNED},
    [GH_SESSION_REFUSED_AUTH_METHOD] = {"AUTH_METHOD", 5, GH_MQTT_REASON_BAD_AUTHENTICATION_METHOD},
    [GH_SESSION_REFUSED_WILL_TOPIC] = {"WILL_TOPIC", 5, GH_MQTT_REASON_TOPIC_NAME_INVALID},
    [GH_SESSION_REFUSED_WILL_SIZE] = {"WILL_SIZE", 3, GH_MQTT_REASON_PACKET_TOO_LARGE},
    [GH_SESSION_REFUSED_WILL_QOS] = {"WILL_QOS", 5, GH_MQTT_REASON_QOS_NOT_SUPPORTED},
    [GH_SESSION_REFUSED_WILL_RETAIN] = {"WILL_RETAIN", 5, GH_MQTT_REASON_RETAIN_NOT_SUPPORTED},
};
static_assert(GH_COUNT(refusals) == GH_SESSION_REFUSED_COUNT, "every refusal has a row");

const struct gh_session_admission gh_session_admission_default = {
    .retain_available = true,
    .wildcard_available = true,
    .identifiers_available = true,
    .shared_available = true,
};

const char *gh_session_refusal_name(enum gh_session_refusal refusal)
{
    assert((size_t)refusal < GH_COUNT(refusals));
    return refusals[refusal].name;
}

/* CONNACK with a code that is not 0, and the end behind it [MQTT-3.2.2-5 / MQTT-3.2.2-7]. */
static void refuse(struct gh_session *session, uint8_t code, enum gh_session_end why,
                   const char *detail, struct gh_buffer *out)
{
    size_t begin = out->size;
    gh_mqtt_write_connack(gh_session_version(session), (struct gh_mqtt_connack){.code = code}, out);
    gh_session_written(session, begin, out);
    gh_session_end(session, why, detail, NULL);
}

static void refuse_for(struct gh_session *session, enum gh_session_refusal refusal,
                       const char *detail, struct gh_buffer *out)
{
    uint8_t code = gh_session_speaks_5(session) ? refusals[refusal].reason : refusals[refusal].code;
    refuse(session, code, GH_SESSION_END_REFUSED, detail, out);
}

void gh_session_refuse(struct gh_session *session, enum gh_session_refusal refusal,
                       struct gh_buffer *out)
{
    assert((size_t)refusal < GH_COUNT(refusals));
    if (session->phase == GH_SESSION_AUTHENTICATING)
        refuse_for(session, refusal, "refused by the verdict", out);
}

/* Protocol name and level as MQTT 5 writes them: what else is wrong can be said in its CONNACK. */
static bool says_5(const struct gh_mqtt_frame *frame)
{
    return gh_slice_starts(frame->body, GH_SLICE("\0\4MQTT\5"));
}

void gh_session_refuse_fault(struct gh_session *session, const struct gh_mqtt_frame *frame,
                             enum gh_mqtt_fault fault, struct gh_buffer *out)
{
    const char *detail = gh_mqtt_fault_text(fault);

    if (fault == GH_MQTT_FAULT_PROTOCOL) { /* [MQTT-3.1.2-2] */
        refuse_for(session, GH_SESSION_REFUSED_LEVEL, detail, out);
    } else if (fault == GH_MQTT_FAULT_CLIENT_ID) { /* [MQTT-3.1.3-8] */
        refuse_for(session, GH_SESSION_REFUSED_CLIENT_ID, detail, out);
    } else if (says_5(frame)) { /* [/ MQTT-3.1.4-1] */
        session->version = GH_MQTT_V5;
        refuse(session, gh_mqtt_fault_reason(fault), GH_SESSION_END_PROTOCOL, detail, out);
    } else { /* [MQTT-3.1.4-1] */
        gh_session_end_for_fault(session, fault, out);
    }
}

static bool keep_method(struct gh_session *session, struct gh_slice method)
{
    struct gh_session_extra *extra = gh_session_extra(session);
    if (extra == NULL)
        return false;
    memcpy(extra->method, method.data, method.size);
    extra->method_size = (uint8_t)method.size;
    return true;
}

static void keep(struct gh_session *session, const struct gh_mqtt_connect *connect)
{
    session->version = (uint8_t)connect->version;
    session->keep_alive_s = connect->keep_alive_s;
    session->clean = connect->clean;
    if (!gh_session_speaks_5(session))
        return;
    session->receive_max = connect->receive_max;
    session->peer_bytes = connect->packet_bytes_max;
    session->alias_max = connect->topic_alias_max;
    session->unnamed = connect->client_id.size == 0;
    session->ephemeral = connect->session_expiry_s == 0;
    session->hears_problems = connect->request_problem;
    session->asks_response = connect->request_response;
    session->will_qos = (uint8_t)(connect->will_qos & 3u);
    session->will_retain = connect->will_retain;
}

void gh_session_handle_connect(struct gh_session *session, struct gh_mqtt_packet *packet,
                               struct gh_buffer *out)
{
    const struct gh_mqtt_connect *connect = &packet->connect;

    keep(session, connect);
    session->phase = GH_SESSION_AUTHENTICATING;
    session->due = GH_SESSION_DUE_VERDICT;
    if (connect->has_auth && (connect->auth_method.size == 0 ||
                              connect->auth_method.size > GH_SESSION_AUTH_METHOD_BYTES_MAX))
        refuse_for(session, GH_SESSION_REFUSED_AUTH_METHOD,
                   "an authentication method that nobody knows [/ MQTT-4.12.0-1]", out);
    else if (connect->has_auth && !keep_method(session, connect->auth_method))
        refuse_for(session, GH_SESSION_REFUSED_UNAVAILABLE, "no memory", out);
    else
        session->host->authenticate(session->context, connect);
}

/* What a server says of itself where the default would be wrong (5.0 §3.2.2.3). */
static void put_limits(const struct gh_session *session,
                       const struct gh_session_admission *admission, struct gh_buffer *block)
{
    const struct gh_session_limits *limits = session->limits;
    const struct {
        bool told;
        enum gh_mqtt_property id;
        uint32_t number;
    } rows[] = {
        {admission->has_session_expiry, GH_MQTT_PROPERTY_SESSION_EXPIRY,
         admission->session_expiry_s},
        {limits->inflight_in_max < UINT16_MAX, GH_MQTT_PROPERTY_RECEIVE_MAXIMUM,
         limits->inflight_in_max},
        {limits->qos_max < 2, GH_MQTT_PROPERTY_MAXIMUM_QOS, limits->qos_max},
        {!admission->retain_available, GH_MQTT_PROPERTY_RETAIN_AVAILABLE, 0},
        {limits->packet_bytes_max <= UINT32_MAX, GH_MQTT_PROPERTY_MAXIMUM_PACKET_SIZE,
         (uint32_t)limits->packet_bytes_max},
        {limits->topic_alias_in_max != 0, GH_MQTT_PROPERTY_TOPIC_ALIAS_MAXIMUM,
         limits->topic_alias_in_max},
        {!admission->wildcard_available, GH_MQTT_PROPERTY_WILDCARD_AVAILABLE, 0},
        {!admission->identifiers_available, GH_MQTT_PROPERTY_IDENTIFIERS_AVAILABLE, 0},
        {!admission->shared_available, GH_MQTT_PROPERTY_SHARED_AVAILABLE, 0},
        {session->keep_alive_s == limits->keep_alive_max_s && limits->keep_alive_max_s != 0,
         GH_MQTT_PROPERTY_SERVER_KEEP_ALIVE, limits->keep_alive_max_s},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++)
        if (rows[i].told)
            gh_mqtt_property_put_number(block, rows[i].id, rows[i].number);
}

static void put_texts(const struct gh_session *session,
                      const struct gh_session_admission *admission, size_t room,
                      struct gh_buffer *block)
{
    enum { AROUND_BLOCK = 1 + 4 + 2 + 4, AROUND_TEXT = 3 };
    const struct gh_session_extra *extra = session->flow->extra;
    struct gh_slice information = admission->response_information;

    if (session->unnamed) /* [/ MQTT-3.2.2-16] */
        gh_mqtt_property_put_text(block, GH_MQTT_PROPERTY_ASSIGNED_CLIENT_ID, admission->client_id);
    if (extra != NULL && extra->method_size != 0) /* [/ MQTT-4.12.0-5] */
        gh_mqtt_property_put_text(block, GH_MQTT_PROPERTY_AUTH_METHOD,
                                  gh_slice(extra->method, extra->method_size));
    if (session->asks_response && information.size != 0 &&
        AROUND_BLOCK + block->size + AROUND_TEXT + information.size <= room)
        gh_mqtt_property_put_text(block, GH_MQTT_PROPERTY_RESPONSE_INFORMATION, information);
}

static void write_connack(struct gh_session *session, const struct gh_session_admission *admission,
                          struct gh_buffer *out)
{
    enum { BLOCK_MAX = 256 };
    struct gh_mqtt_connack connack = {.session_present = admission->session_present};
    struct gh_buffer block;
    size_t begin = out->size, room = gh_session_room(out);

    gh_buffer_init(&block,
                   BLOCK_MAX + admission->client_id.size + admission->response_information.size);
    if (gh_session_speaks_5(session)) {
        if (session->peer_bytes != 0 && session->peer_bytes < room)
            room = session->peer_bytes;
        put_limits(session, admission, &block);
        put_texts(session, admission, room, &block);
        connack.properties = gh_buffer_slice(&block);
    }
    out->overflow |= block.overflow; /* no memory */
    gh_mqtt_write_connack(gh_session_version(session), connack, out);
    gh_buffer_deinit(&block);
    gh_session_written(session, begin, out);
}

void gh_session_admit(struct gh_session *session, const struct gh_session_admission *admission,
                      struct gh_buffer *out)
{
    bool speaks_5 = gh_session_speaks_5(session);

    if (session->phase != GH_SESSION_AUTHENTICATING)
        return;
    assert(!(admission->session_present && session->clean));     /* [MQTT-3.2.2-1 / MQTT-3.2.2-2] */
    assert(!session->unnamed || admission->client_id.size != 0); /* [/ MQTT-3.1.3-7] */
    if (admission->limits != NULL)
        session->limits = admission->limits;
    const struct gh_session_limits *limits = session->limits;
    assert(limits->inflight_in_max != 0 && limits->inflight_out_max < UINT16_MAX);
    if (speaks_5 && session->will_qos > limits->qos_max) {
        refuse_for(session, GH_SESSION_REFUSED_WILL_QOS,
                   "a will with a QoS that is not offered [/ MQTT-3.2.2-12]", out);
        return;
    }
    if (speaks_5 && session->will_retain && !admission->retain_available) {
        refuse_for(session, GH_SESSION_REFUSED_WILL_RETAIN,
                   "a will with RETAIN, which is not offered [/ MQTT-3.2.2-13]", out);
        return;
    }
    if (!gh_session_inbound_restore(session, admission->received, admission->received_count)) {
        refuse_for(session, GH_SESSION_REFUSED_UNAVAILABLE, "no memory", out);
        return;
    }
    session->retain_refused = speaks_5 && !admission->retain_available;
    if (speaks_5 && limits->keep_alive_max_s != 0 &&
        (session->keep_alive_s == 0 || session->keep_alive_s > limits->keep_alive_max_s))
        session->keep_alive_s = limits->keep_alive_max_s; /* [/ MQTT-3.2.2-21] */
    write_connack(session, admission, out);
    if (gh_session_ended(session))
        return;
    session->phase = GH_SESSION_UP; /* behind the CONNACK, so that no DISCONNECT comes before it */
    session->due = GH_SESSION_DUE_NOTHING;
    session->clock_runs = false; /* what the verdict took is not the peer's silence */
}
