#include "io/websocket.h"
#include "crypto/digest.h"
#include "wire/base64.h"
#include "wire/http/write.h"
#include "wire/websocket.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_BYTES = 16, KEY_TEXT_BYTES = 24 };

/* ---- the framing */

struct websocket {
    struct gh_framing framing;
    struct gh_websocket socket;
};
static_assert((int)GH_WEBSOCKET_HEAD_MAX <= (int)GH_FRAMING_HEAD_MAX, "a head fits");

static enum gh_framing_status on_read(struct gh_framing *framing, uint8_t *bytes, size_t *size,
                                      struct gh_buffer *out)
{
    static const enum gh_framing_status statuses[] = {
        [GH_WEBSOCKET_OPEN] = GH_FRAMING_OPEN,
        [GH_WEBSOCKET_ENDED] = GH_FRAMING_ENDED,
        [GH_WEBSOCKET_REFUSED] = GH_FRAMING_BROKEN,
    };
    struct websocket *own = (struct websocket *)(void *)framing;
    struct gh_buffer answers;

    /* An answer is no longer than what asks for it; the payload may have begun before. */
    gh_buffer_init(&answers, *size + 2 * (GH_WEBSOCKET_CONTROL_MAX + GH_WEBSOCKET_HEAD_MAX));
    enum gh_websocket_status status = gh_websocket_read(&own->socket, bytes, *size, size, &answers);
    if (answers.size > 0)
        gh_framing_say(framing, out, gh_buffer_slice(&answers));
    out->overflow |= answers.overflow; /* no memory */
    gh_buffer_deinit(&answers);
    framing->why = own->socket.why;
    framing->is_finished |= status != GH_WEBSOCKET_OPEN; /* the close frame is among the answers */
    return statuses[status];
}

static size_t on_head(struct gh_framing *framing, size_t size, uint8_t out[GH_FRAMING_HEAD_MAX])
{
    (void)framing;
    return gh_websocket_head(GH_WEBSOCKET_BINARY, size, out);
}

static void on_finish(struct gh_framing *framing, enum gh_framing_end end, struct gh_buffer *out)
{
    static const uint16_t codes[] = {
        [GH_FRAMING_NORMAL] = GH_WEBSOCKET_NORMAL,
        [GH_FRAMING_GOING_AWAY] = GH_WEBSOCKET_GOING_AWAY,
        [GH_FRAMING_UNACCEPTABLE] = GH_WEBSOCKET_UNSUPPORTED,
    };
    uint8_t block[GH_WEBSOCKET_HEAD_MAX];
    struct gh_buffer close = gh_buffer_fixed(block, sizeof block);

    gh_websocket_write_close(&close, codes[end]);
    gh_framing_say(framing, out, gh_buffer_slice(&close));
}

static void on_close(struct gh_framing *framing)
{
    struct websocket *own = (struct websocket *)(void *)framing;
    gh_websocket_deinit(&own->socket);
    free(own);
}

static const struct gh_framing_kind kind = {
    .name = "websocket",
    .read = on_read,
    .head = on_head,
    .finish = on_finish,
    .close = on_close,
};

/* ---- the handshake */

/* What the request says, of the fields that count here. */
struct request {
    struct gh_slice key, version, origin, host, subprotocol;
    size_t keys, versions, origins;
    bool connection_upgrade;
};

static struct gh_slice trimmed(struct gh_slice text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = gh_slice_sub(text, 1, text.size);
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
        text.size--;
    return text;
}

static bool is_among(struct gh_slice text, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (gh_slice_equal(text, gh_slice_text(list[i])))
            return true;
    return false;
}

/* The first that the client offers and we know; the field may come several times. */
static void note_subprotocols(struct request *out, struct gh_slice offered,
                              const struct gh_websocket_config *config)
{
    while (out->subprotocol.size == 0 && offered.size > 0) {
        struct gh_slice name = trimmed(gh_slice_split(&offered, ','));
        if (is_among(name, config->subprotocols, config->subprotocols_count))
            out->subprotocol = name;
    }
}

static struct request request_of(const struct gh_http_head *head,
                                 const struct gh_websocket_config *config)
{
    struct request out = {0};

    for (size_t i = 0; i < head->headers_count; i++) {
        struct gh_slice name = head->headers[i].name, value = head->headers[i].value;
        if (gh_slice_equal_nocase(name, GH_SLICE("sec-websocket-key"))) {
            out.key = value;
            out.keys++;
        } else if (gh_slice_equal_nocase(name, GH_SLICE("sec-websocket-version"))) {
            out.version = value;
            out.versions++;
        } else if (gh_slice_equal_nocase(name, GH_SLICE("sec-websocket-protocol"))) {
            note_subprotocols(&out, value, config);
        } else if (gh_slice_equal_nocase(name, GH_SLICE("origin"))) {
            out.origin = value;
            out.origins++;
        } else if (gh_slice_equal_nocase(name, GH_SLICE("host"))) {
            out.host = value;
        } else if (gh_slice_equal_nocase(name, GH_SLICE("connection"))) {
            out.connection_upgrade |= gh_http_list_has(value, "upgrade");
        }
    }
    return out;
}

static bool key_is_valid(struct gh_slice key)
{
    uint8_t block[KEY_BYTES + 2];
    struct gh_buffer bytes = gh_buffer_fixed(block, sizeof block);
    return key.size == KEY_TEXT_BYTES && gh_base64_decode(key, GH_BASE64_ANY, &bytes) &&
           bytes.size == KEY_BYTES;
}

/* Host without the port that the scheme has anyhow. */
static struct gh_slice without_port(struct gh_slice authority, struct gh_slice port)
{
    if (gh_slice_ends(authority, port))
        authority.size -= port.size;
    return authority;
}

/* On a plain listener the scheme is the proxy's affair: either may stand in front of it. */
static bool origin_is_own(const struct request *request, bool is_secure)
{
    static const struct {
        struct gh_slice scheme, port;
        bool is_secure;
    } schemes[] = {
        {GH_SLICE_INIT("https://"), GH_SLICE_INIT(":443"), true},
        {GH_SLICE_INIT("http://"), GH_SLICE_INIT(":80"), false},
    };

    for (size_t i = 0; i < GH_COUNT(schemes); i++) {
        if (!gh_slice_starts(request->origin, schemes[i].scheme) ||
            (is_secure && !schemes[i].is_secure))
            continue;
        struct gh_slice authority =
            gh_slice_sub(request->origin, schemes[i].scheme.size, request->origin.size);
        return authority.size > 0 &&
               gh_slice_equal_nocase(without_port(authority, schemes[i].port),
                                     without_port(request->host, schemes[i].port));
    }
    return false;
}

static bool origin_is_allowed(const struct request *request,
                              const struct gh_websocket_config *config, bool is_secure)
{
    if (request->origins == 0)
        return true;
    if (request->origins > 1)
        return false;
    return origin_is_own(request, is_secure) ||
           is_among(request->origin, config->origins, config->origins_count) ||
           is_among(GH_SLICE("*"), config->origins, config->origins_count);
}

static struct gh_websocket_refusal judge(const struct gh_http_head *head,
                                         const struct request *request,
                                         const struct gh_websocket_config *config, bool is_secure)
{
    const struct {
        bool holds;
        struct gh_websocket_refusal otherwise;
    } rules[] = {
        {is_among(head->path, config->paths, config->paths_count),
         {404, "no WebSocket under this path"}},
        {gh_slice_equal(head->method, GH_SLICE("GET")) && head->minor > 0 &&
             head->framing == GH_HTTP_NO_BODY,
         {400, "an upgrade is an HTTP/1.1 GET without a body"}},
        {request->connection_upgrade, {400, "Connection does not name the upgrade"}},
        {request->versions == 1 && gh_slice_equal(request->version, GH_SLICE("13")),
         {426, "not version 13 of WebSocket"}},
        {request->keys == 1 && key_is_valid(request->key), {400, "not one key of 16 bytes"}},
        {request->subprotocol.size > 0, {400, "no subprotocol that is known"}},
        {origin_is_allowed(request, config, is_secure), {403, "a page of another origin"}},
    };

    for (size_t i = 0; i < GH_COUNT(rules); i++)
        if (!rules[i].holds)
            return rules[i].otherwise;
    return (struct gh_websocket_refusal){0};
}

/* RFC 6455 §4.2.2: the key and a fixed text, digested. */
static void write_accept(struct gh_buffer *out, struct gh_slice key)
{
    static const char fixed[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t text[KEY_TEXT_BYTES + sizeof fixed - 1], digest[GH_SHA1_BYTES], accept[32];
    struct gh_buffer encoded = gh_buffer_fixed(accept, sizeof accept);

    memcpy(text, key.data, KEY_TEXT_BYTES);
    memcpy(text + KEY_TEXT_BYTES, fixed, sizeof fixed - 1);
    gh_sha1(gh_slice(text, sizeof text), digest);
    gh_base64_encode(gh_slice(digest, sizeof digest), GH_BASE64_STANDARD, &encoded);
    gh_http_write_header(out, GH_SLICE("sec-websocket-accept"), gh_buffer_slice(&encoded));
}

bool gh_websocket_is_asked(const struct gh_http_head *head)
{
    for (size_t i = 0; i < head->headers_count; i++)
        if (gh_slice_equal_nocase(head->headers[i].name, GH_SLICE("upgrade")) &&
            gh_http_list_has(head->headers[i].value, "websocket"))
            return true;
    return false;
}

struct gh_websocket_refusal gh_websocket_upgrade(struct gh_conn *conn,
                                                 const struct gh_websocket_config *config,
                                                 const struct gh_http_head *head)
{
    struct request request = request_of(head, config);
    struct gh_websocket_refusal refusal = judge(head, &request, config, gh_conn_is_secure(conn));
    struct gh_buffer *out = gh_conn_out(conn);
    struct websocket *own;

    if (refusal.status != 0)
        return refusal;
    if ((own = calloc(1, sizeof *own)) == NULL)
        return (struct gh_websocket_refusal){503, "no memory for a WebSocket"};
    own->framing.kind = &kind;
    gh_websocket_init(&own->socket, GH_WEBSOCKET_FRAME_BYTES_MAX);
    gh_http_write_status(out, 101);
    gh_http_write_header(out, GH_SLICE("upgrade"), GH_SLICE("websocket"));
    gh_http_write_header(out, GH_SLICE("connection"), GH_SLICE("Upgrade"));
    write_accept(out, request.key);
    gh_http_write_header(out, GH_SLICE("sec-websocket-protocol"), request.subprotocol);
    gh_http_write_end(out);
    gh_conn_upgrade(conn, &own->framing, config->protocol, config->context);
    return (struct gh_websocket_refusal){0};
}
