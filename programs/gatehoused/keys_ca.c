/* The built-in CA (vault/ca.h): its state, and what a root that is elsewhere has signed for it. */
#include "base/log.h"
#include "base/time.h"
#include "programs/gatehoused/keys_internal.h"

static int64_t now_s(void)
{
    return gh_time_utc_ms() / 1000;
}

bool keys_ca_open(struct keys *keys, struct gh_error *error)
{
    struct gh_issuer_parent parent;
    keys->ca = gh_ca_open(keys->keyring, keys->config->data, error);
    return keys->ca != NULL && gh_ca_tend(keys->ca, now_s(), NULL, error) == GH_OK &&
           keys_ca_parent(keys, &parent, error) == GH_OK;
}

void keys_ca_close(struct keys *keys)
{
    gh_ca_close(keys->ca);
    keys->ca = NULL;
}

enum gh_error_code keys_ca_parent(const struct keys *keys, struct gh_issuer_parent *out,
                                  struct gh_error *error)
{
    return gh_ca_parent(keys->ca, now_s(), out, error);
}

static enum gh_error_code not_a_request(struct gh_error *error)
{
    return gh_error_set(error, GH_ERROR_INVALID, "not a request");
}

enum gh_error_code keys_handle_ca_show(struct keys *keys, struct gh_cursor *at,
                                       struct gh_buffer *out, struct gh_error *error)
{
    struct gh_error why = {0};
    char line[GH_ERROR_LINE_MAX];
    bool changed = false;
    if (gh_cursor_left(at) != 0)
        return not_a_request(error);
    if (gh_ca_tend(keys->ca, now_s(), &changed, &why) != GH_OK)
        gh_log(GH_LOG_ERROR, "keys", "the built-in CA was not renewed: %s",
               gh_error_line(&why, line));
    else if (changed)
        gh_log(GH_LOG_INFO, "keys", "the root renewed the built-in CA");
    struct gh_ca_facts facts = gh_ca_facts(keys->ca);
    gh_buffer_u8(out, facts.root_online);
    gh_buffer_put32(out, facts.root_pem);
    gh_buffer_put32(out, facts.chain_pem);
    gh_buffer_put32(out, facts.list_der);
    return GH_OK;
}

enum gh_error_code keys_handle_ca_request(struct keys *keys, struct gh_cursor *at,
                                          struct gh_buffer *out, struct gh_error *error)
{
    return gh_cursor_left(at) == 0 ? gh_ca_request(keys->ca, out, error) : not_a_request(error);
}

enum gh_error_code keys_handle_ca_install(struct keys *keys, struct gh_cursor *at,
                                          struct gh_buffer *out, struct gh_error *error)
{
    struct gh_ca_delivery delivery;
    uint8_t removes;
    (void)out;
    if (!gh_cursor_take32(at, &delivery.certificate_pem) ||
        !gh_cursor_take32(at, &delivery.list_der) || !gh_cursor_u8(at, &removes) ||
        gh_cursor_left(at) != 0)
        return not_a_request(error);
    delivery.removes_root = removes != 0;
    enum gh_error_code code = gh_ca_install(keys->ca, &delivery, now_s(), error);
    if (code == GH_OK)
        gh_log(GH_LOG_INFO, "keys", "%s%s",
               delivery.certificate_pem.size > 0 ? "a new intermediate CA is in use"
                                                 : "a new list of the root is in use",
               delivery.removes_root ? "; the root's key is not here any more" : "");
    return code;
}

/* --- the asking end --- */

static enum gh_error_code ask_show(void *context, struct gh_buffer *block,
                                   struct gh_ca_facts *facts, struct gh_error *error)
{
    uint8_t online = 0;
    enum gh_error_code code = keys_ask(context, KEYS_CA_SHOW, (struct gh_slice){0}, block, error);
    struct gh_cursor at = gh_cursor(gh_buffer_slice(block));
    if (code == GH_OK &&
        (!gh_cursor_u8(&at, &online) || !gh_cursor_take32(&at, &facts->root_pem) ||
         !gh_cursor_take32(&at, &facts->chain_pem) || !gh_cursor_take32(&at, &facts->list_der)))
        code = gh_error_set(error, GH_ERROR_UNAVAILABLE, "the keys process answers something else");
    if (code == GH_OK)
        facts->root_online = online != 0;
    return code;
}

static enum gh_error_code ask_request(void *context, struct gh_buffer *public_key_pem,
                                      struct gh_error *error)
{
    return keys_ask(context, KEYS_CA_REQUEST, (struct gh_slice){0}, public_key_pem, error);
}

static enum gh_error_code ask_install(void *context, const struct gh_ca_delivery *delivery,
                                      struct gh_error *error)
{
    uint8_t nothing[1];
    struct gh_buffer fields, answer = gh_buffer_fixed(nothing, sizeof nothing);
    gh_buffer_init(&fields, KEYS_MESSAGE_MAX / 2);
    gh_buffer_put32(&fields, delivery->certificate_pem);
    gh_buffer_put32(&fields, delivery->list_der);
    gh_buffer_u8(&fields, delivery->removes_root);
    enum gh_error_code code =
        fields.overflow
            ? gh_error_set(error, GH_ERROR_LIMIT, "certificate or list are too large")
            : keys_ask(context, KEYS_CA_INSTALL, gh_buffer_slice(&fields), &answer, error);
    gh_buffer_deinit(&fields);
    return code;
}

static enum gh_error_code ask_list(void *context, int64_t number, struct gh_validity validity,
                                   struct gh_buffer *out, struct gh_error *error)
{
    uint8_t block[64];
    struct gh_buffer fields = gh_buffer_fixed(block, sizeof block);
    gh_buffer_put32(&fields, (struct gh_slice){0});
    gh_buffer_put32(&fields, (struct gh_slice){0});
    gh_buffer_u64(&fields, (uint64_t)number);
    gh_buffer_u64(&fields, (uint64_t)validity.from_s);
    gh_buffer_u64(&fields, (uint64_t)validity.to_s);
    return keys_ask(context, KEYS_CRL, gh_buffer_slice(&fields), out, error);
}

const struct gh_authorities_keeper keys_authorities_keeper = {
    .show = ask_show, .request = ask_request, .install = ask_install, .list = ask_list};
