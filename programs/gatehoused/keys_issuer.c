/* The issuing CAs of tenants: made, and used, with keys that this process alone can unseal. */
#include "base/time.h"
#include "crypto/issuer.h"
#include "crypto/ocsp.h"
#include "programs/gatehoused/keys_internal.h"

enum { DAY_S = 86400, CLOCK_SKEW_S = 3600, ISSUER_DAYS = 3 * 365 };

static enum gh_error_code not_a_request(struct gh_error *error)
{
    return gh_error_set(error, GH_ERROR_INVALID, "not a request");
}

/* The issuing CA of a request: its certificate and its sealed key. */
static struct gh_authority *open_issuer(const struct keys *keys, struct gh_cursor *at,
                                        struct gh_error *error)
{
    struct gh_slice certificate, sealed;
    struct gh_issuer_parent parent;
    if (!gh_cursor_take32(at, &certificate) || !gh_cursor_take32(at, &sealed))
        (void)not_a_request(error);
    else if (keys_ca_parent(keys, &parent, error) == GH_OK)
        return gh_issuer_open(parent.sealing_key, certificate, sealed, error);
    return NULL;
}

/* The same, where an empty one means the intermediate CA. The issuing CA is `*own`, to be closed.
 */
static const struct gh_authority *open_any(const struct keys *keys, struct gh_cursor *at,
                                           struct gh_authority **own, struct gh_error *error)
{
    static const uint8_t empty[8] = {0}; /* no certificate, no key */
    struct gh_issuer_parent parent;
    *own = NULL;
    if (!gh_slice_starts(at->rest, gh_slice(empty, sizeof empty)))
        return *own = open_issuer(keys, at, error);
    at->rest = gh_slice_sub(at->rest, sizeof empty, at->rest.size);
    return keys_ca_parent(keys, &parent, error) == GH_OK ? parent.authority : NULL;
}

static struct gh_validity issuer_validity(void)
{
    int64_t now_s = gh_time_utc_ms() / 1000;
    return (struct gh_validity){now_s - CLOCK_SKEW_S, now_s + ISSUER_DAYS * (int64_t)DAY_S};
}

/* A new one of this name, or `before` anew: certificate and sealed key. */
static enum gh_error_code make_issuer(const struct keys *keys, struct gh_slice name,
                                      const struct gh_authority *before, struct gh_buffer *out,
                                      struct gh_error *error)
{
    struct gh_buffer pem, sealed;
    struct gh_issuer_parent parent;
    enum gh_error_code code = keys_ca_parent(keys, &parent, error);
    if (code != GH_OK)
        return code;
    gh_buffer_init(&pem, KEYS_PEM_MAX);
    gh_buffer_init(&sealed, GH_ISSUER_SEALED_MAX);
    code = before == NULL
               ? gh_issuer_create(&parent, name, issuer_validity(), &pem, &sealed, error)
               : gh_issuer_renew(&parent, before, issuer_validity(), &pem, &sealed, error);
    if (code == GH_OK) {
        gh_buffer_put32(out, gh_buffer_slice(&pem));
        gh_buffer_put32(out, gh_buffer_slice(&sealed));
    }
    gh_buffer_deinit(&pem);
    gh_buffer_deinit(&sealed);
    return code;
}

enum gh_error_code keys_handle_issuer_create(struct keys *keys, struct gh_cursor *at,
                                             struct gh_buffer *out, struct gh_error *error)
{
    struct gh_slice name;
    return gh_cursor_take32(at, &name) && gh_cursor_left(at) == 0
               ? make_issuer(keys, name, NULL, out, error)
               : not_a_request(error);
}

enum gh_error_code keys_handle_issuer_renew(struct keys *keys, struct gh_cursor *at,
                                            struct gh_buffer *out, struct gh_error *error)
{
    struct gh_authority *issuer = open_issuer(keys, at, error);
    if (issuer == NULL)
        return error->code;
    enum gh_error_code code = gh_cursor_left(at) == 0
                                  ? make_issuer(keys, (struct gh_slice){0}, issuer, out, error)
                                  : not_a_request(error);
    gh_authority_close(issuer);
    return code;
}

enum gh_error_code keys_handle_issue(struct keys *keys, struct gh_cursor *at, struct gh_buffer *out,
                                     struct gh_error *error)
{
    struct gh_device_leaf leaf;
    uint64_t from, to;
    struct gh_authority *issuer = open_issuer(keys, at, error);
    if (issuer == NULL)
        return GH_ERROR_INVALID;
    enum gh_error_code code = GH_ERROR_INVALID;
    if (gh_cursor_take32(at, &leaf.common_name) && gh_cursor_take32(at, &leaf.uri) &&
        gh_cursor_take32(at, &leaf.public_key_pem) && gh_cursor_take32(at, &leaf.pki) &&
        gh_cursor_u64(at, &from) && gh_cursor_u64(at, &to) && gh_cursor_left(at) == 0) {
        leaf.validity = (struct gh_validity){(int64_t)from, (int64_t)to};
        code = gh_issuer_issue(issuer, &leaf, out, error);
    } else {
        code = not_a_request(error);
    }
    gh_authority_close(issuer);
    return code;
}

static bool read_revoked(struct gh_cursor *at, struct gh_revoked *out)
{
    uint8_t reason;
    uint64_t when;
    if (!gh_cursor_take16(at, &out->serial) || !gh_cursor_u8(at, &reason) ||
        !gh_cursor_u64(at, &when))
        return false;
    out->reason = reason;
    out->at_s = (int64_t)when;
    return true;
}

enum gh_error_code keys_handle_crl(struct keys *keys, struct gh_cursor *at, struct gh_buffer *out,
                                   struct gh_error *error)
{
    static struct gh_revoked rows[GH_ISSUER_REVOKED_MAX];
    uint64_t number, from, to;
    size_t count = 0;
    struct gh_authority *own;
    const struct gh_authority *issuer = open_any(keys, at, &own, error);
    if (issuer == NULL)
        return error->code;
    bool read = gh_cursor_u64(at, &number) && gh_cursor_u64(at, &from) && gh_cursor_u64(at, &to);
    while (read && gh_cursor_left(at) > 0)
        read = count < GH_ISSUER_REVOKED_MAX && read_revoked(at, &rows[count++]);
    enum gh_error_code code = read ? gh_issuer_crl(issuer, (int64_t)number,
                                                   (struct gh_validity){(int64_t)from, (int64_t)to},
                                                   rows, count, out, error)
                                   : not_a_request(error);
    gh_authority_close(own);
    return code;
}

static bool read_ocsp(struct gh_cursor *at, struct gh_slice *request, struct gh_ocsp_answer *answer)
{
    uint8_t status, reason;
    uint64_t when, from, to;
    if (!gh_cursor_take32(at, request) || !gh_cursor_u8(at, &status) ||
        !gh_cursor_u8(at, &reason) || !gh_cursor_u64(at, &when) || !gh_cursor_u64(at, &from) ||
        !gh_cursor_u64(at, &to) || gh_cursor_left(at) != 0 || status > GH_OCSP_UNKNOWN)
        return false;
    *answer = (struct gh_ocsp_answer){.status = (enum gh_ocsp_status)status,
                                      .reason = reason,
                                      .revoked_at_s = (int64_t)when,
                                      .validity = {(int64_t)from, (int64_t)to}};
    return true;
}

enum gh_error_code keys_handle_ocsp(struct keys *keys, struct gh_cursor *at, struct gh_buffer *out,
                                    struct gh_error *error)
{
    struct gh_slice request;
    struct gh_ocsp_answer answer;
    struct gh_authority *own;
    const struct gh_authority *issuer = open_any(keys, at, &own, error);
    if (issuer == NULL)
        return error->code;
    enum gh_error_code code = read_ocsp(at, &request, &answer)
                                  ? gh_ocsp_sign(issuer, request, &answer, out, error)
                                  : not_a_request(error);
    gh_authority_close(own);
    return code;
}

/* --- the asking end --- */

/* Takes the memory of `fields`. */
static enum gh_error_code ask(struct keys_line *line, enum keys_kind kind, struct gh_buffer *fields,
                              struct gh_buffer *out, struct gh_error *error)
{
    enum gh_error_code code = fields->overflow
                                  ? gh_error_set(error, GH_ERROR_LIMIT, "the request is too large")
                                  : keys_ask(line, kind, gh_buffer_slice(fields), out, error);
    gh_buffer_deinit(fields);
    return code;
}

/* Asks for an issuing CA; takes the memory of `fields`. */
static enum gh_error_code ask_issuer(struct keys_line *line, enum keys_kind kind,
                                     struct gh_buffer *fields, struct gh_buffer *certificate_pem,
                                     struct gh_buffer *sealed_key, struct gh_error *error)
{
    struct gh_buffer answer;
    struct gh_slice pem, sealed;
    gh_buffer_init(&answer, KEYS_MESSAGE_MAX);
    enum gh_error_code code = ask(line, kind, fields, &answer, error);
    struct gh_cursor at = gh_cursor(gh_buffer_slice(&answer));
    if (code == GH_OK &&
        (!gh_cursor_take32(&at, &pem) || !gh_cursor_take32(&at, &sealed) ||
         !gh_buffer_put(certificate_pem, pem) || !gh_buffer_put(sealed_key, sealed)))
        code = gh_error_set(error, GH_ERROR_UNAVAILABLE, "the keys process answers something else");
    gh_buffer_deinit(&answer);
    return code;
}

static enum gh_error_code ask_create(void *context, struct gh_slice name,
                                     struct gh_buffer *certificate_pem,
                                     struct gh_buffer *sealed_key, struct gh_error *error)
{
    struct gh_buffer fields;
    gh_buffer_init(&fields, KEYS_MESSAGE_MAX);
    gh_buffer_put32(&fields, name);
    return ask_issuer(context, KEYS_ISSUER_CREATE, &fields, certificate_pem, sealed_key, error);
}

static enum gh_error_code ask_renew(void *context, const struct gh_anchor *ca,
                                    struct gh_buffer *certificate_pem, struct gh_buffer *sealed_key,
                                    struct gh_error *error)
{
    struct gh_buffer fields;
    gh_buffer_init(&fields, KEYS_MESSAGE_MAX);
    gh_buffer_put32(&fields, ca->pem);
    gh_buffer_put32(&fields, ca->key);
    return ask_issuer(context, KEYS_ISSUER_RENEW, &fields, certificate_pem, sealed_key, error);
}

static enum gh_error_code ask_issue(void *context, const struct gh_issuing_leaf *leaf,
                                    struct gh_buffer *out, struct gh_error *error)
{
    struct gh_buffer fields;
    gh_buffer_init(&fields, KEYS_MESSAGE_MAX);
    gh_buffer_put32(&fields, leaf->certificate_pem);
    gh_buffer_put32(&fields, leaf->sealed_key);
    gh_buffer_put32(&fields, leaf->common_name);
    gh_buffer_put32(&fields, leaf->uri);
    gh_buffer_put32(&fields, leaf->public_key_pem);
    gh_buffer_put32(&fields, leaf->pki);
    gh_buffer_u64(&fields, (uint64_t)leaf->from_s);
    gh_buffer_u64(&fields, (uint64_t)leaf->to_s);
    return ask(context, KEYS_ISSUE, &fields, out, error);
}

static enum gh_error_code ask_crl(void *context, const struct gh_anchor *ca, int64_t from_s,
                                  int64_t to_s, const struct gh_revocation *rows, size_t count,
                                  struct gh_buffer *out, struct gh_error *error)
{
    struct gh_buffer fields;
    gh_buffer_init(&fields, KEYS_MESSAGE_MAX);
    gh_buffer_put32(&fields, ca->pem);
    gh_buffer_put32(&fields, ca->key);
    gh_buffer_u64(&fields, (uint64_t)ca->crl_number);
    gh_buffer_u64(&fields, (uint64_t)from_s);
    gh_buffer_u64(&fields, (uint64_t)to_s);
    for (size_t i = 0; i < count; i++) {
        gh_buffer_put16(&fields, rows[i].serial);
        gh_buffer_u8(&fields, (uint8_t)rows[i].reason);
        gh_buffer_u64(&fields, (uint64_t)(rows[i].at_ms / 1000));
    }
    return ask(context, KEYS_CRL, &fields, out, error);
}

static enum gh_error_code ask_ocsp(void *context, const struct gh_anchor *ca,
                                   struct gh_slice request, const struct gh_ocsp_answer *answer,
                                   struct gh_buffer *out, struct gh_error *error)
{
    struct gh_buffer fields;
    gh_buffer_init(&fields, KEYS_MESSAGE_MAX);
    gh_buffer_put32(&fields, ca != NULL ? ca->pem : (struct gh_slice){0});
    gh_buffer_put32(&fields, ca != NULL ? ca->key : (struct gh_slice){0});
    gh_buffer_put32(&fields, request);
    gh_buffer_u8(&fields, (uint8_t)answer->status);
    gh_buffer_u8(&fields, (uint8_t)answer->reason);
    gh_buffer_u64(&fields, (uint64_t)answer->revoked_at_s);
    gh_buffer_u64(&fields, (uint64_t)answer->validity.from_s);
    gh_buffer_u64(&fields, (uint64_t)answer->validity.to_s);
    return ask(context, KEYS_OCSP, &fields, out, error);
}

enum gh_error_code keys_vouch(struct keys_line *line, struct gh_slice certificate_pem,
                              struct gh_slice issuer_pem, int64_t to_s, struct gh_buffer *out,
                              struct gh_error *error)
{
    struct gh_buffer request;
    int64_t now_s = gh_time_utc_ms() / 1000;
    struct gh_ocsp_answer answer = {.status = GH_OCSP_GOOD,
                                    .validity = {now_s - CLOCK_SKEW_S, to_s}};
    gh_buffer_init(&request, GH_OCSP_REQUEST_MAX);
    enum gh_error_code code = gh_ocsp_ask(certificate_pem, issuer_pem, &request, error);
    if (code == GH_OK)
        code = ask_ocsp(line, NULL, gh_buffer_slice(&request), &answer, out, error);
    gh_buffer_deinit(&request);
    return code;
}

struct gh_issuing_signer keys_issuing_signer(struct keys_line *line)
{
    return (struct gh_issuing_signer){.context = line,
                                      .create = ask_create,
                                      .renew = ask_renew,
                                      .issue = ask_issue,
                                      .crl = ask_crl,
                                      .ocsp = ask_ocsp};
}
