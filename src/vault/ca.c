#include "vault/ca.h"
#include "base/file.h"
#include "base/time.h"
#include "crypto/crl.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DAY_S INT64_C(86400)

enum {
    CLOCK_SKEW_S = 3600,
    LIST_OLD_DAYS = 30,
    LIST_WARN_DAYS = 60,
    INTERMEDIATE_WARN_DAYS = 180,
};

struct gh_ca {
    struct gh_keyring *keyring;
    char path[PATH_MAX]; /* of the root's certificate */
    struct gh_buffer root_pem;
    struct gh_authority *intermediate; /* NULL: none yet */
};

/* --- the root's certificate, a file --- */

static enum gh_error_code read_root(struct gh_ca *ca, struct gh_error *error)
{
    int file = open(ca->path, O_RDONLY | O_CLOEXEC);
    uint8_t *to = gh_buffer_reserve(&ca->root_pem, GH_CA_PEM_MAX);
    ssize_t got = file < 0 || to == NULL ? -1 : read(file, to, GH_CA_PEM_MAX);
    int why = errno;
    if (file >= 0)
        close(file);
    if (got < 0)
        return gh_error_set(error, GH_ERROR_FILE, "cannot read %s: %s", ca->path, strerror(why));
    gh_buffer_commit(&ca->root_pem, (size_t)got);
    return GH_OK;
}

/* Who trusts the CA reads the one or the other, whole. */
static enum gh_error_code write_root(const struct gh_ca *ca, struct gh_slice pem,
                                     struct gh_error *error)
{
    return gh_file_replace(ca->path, pem, 0644)
               ? GH_OK
               : gh_error_set(error, GH_ERROR_FILE, "cannot write %s: %s", ca->path,
                              strerror(errno));
}

/* --- opening and closing --- */

static struct gh_slice secret_of(const struct gh_ca *ca, const char *name)
{
    const struct gh_secret *secret = gh_keyring_get(ca->keyring, name);
    return secret != NULL ? gh_secret_bytes(secret) : (struct gh_slice){0};
}

static bool open_intermediate(struct gh_ca *ca, struct gh_error *error)
{
    struct gh_slice key = secret_of(ca, GH_KEYRING_INTERMEDIATE), current;
    struct gh_slice chain = secret_of(ca, GH_KEYRING_INTERMEDIATE_CHAIN);
    gh_authority_close(ca->intermediate);
    ca->intermediate = NULL;
    if (key.size == 0)
        return true;
    if (secret_of(ca, GH_KEYRING_ISSUING).size != GH_ISSUER_KEY_BYTES ||
        !gh_certificate_take(&chain, &current)) {
        (void)gh_error_set(error, GH_ERROR_KEYS, "the keyring holds half of the built-in CA");
        return false;
    }
    ca->intermediate = gh_authority_open(current, key, error);
    return ca->intermediate != NULL;
}

struct gh_ca *gh_ca_open(struct gh_keyring *keyring, const char *data_folder,
                         struct gh_error *error)
{
    struct gh_ca *ca = calloc(1, sizeof *ca);
    if (ca == NULL) {
        (void)gh_error_set(error, GH_ERROR_MEMORY, "no memory for the built-in CA");
        return NULL;
    }
    ca->keyring = keyring;
    snprintf(ca->path, sizeof ca->path, "%.*s/ca.crt", PATH_MAX - 16, data_folder);
    gh_buffer_init(&ca->root_pem, GH_CA_PEM_MAX);
    if (read_root(ca, error) == GH_OK && open_intermediate(ca, error))
        return ca;
    gh_ca_close(ca);
    return NULL;
}

void gh_ca_close(struct gh_ca *ca)
{
    if (ca == NULL)
        return;
    gh_authority_close(ca->intermediate);
    gh_buffer_deinit(&ca->root_pem);
    free(ca);
}

/* --- what is known of it --- */

struct gh_ca_facts gh_ca_facts(const struct gh_ca *ca)
{
    return (struct gh_ca_facts){.root_online = secret_of(ca, GH_KEYRING_CA).size > 0,
                                .root_pem = gh_buffer_slice(&ca->root_pem),
                                .chain_pem = secret_of(ca, GH_KEYRING_INTERMEDIATE_CHAIN),
                                .list_der = secret_of(ca, GH_KEYRING_ROOT_LIST)};
}

static int64_t end_of(struct gh_slice chain)
{
    struct gh_slice pem;
    struct gh_certificate *certificate =
        gh_certificate_take(&chain, &pem) ? gh_certificate_open(pem, NULL) : NULL;
    int64_t at_s = certificate != NULL ? gh_certificate_not_after_s(certificate) : 0;
    gh_certificate_close(certificate);
    return at_s;
}

struct gh_ca_times gh_ca_times(const struct gh_ca_facts *facts)
{
    struct gh_crl *list = facts->list_der.size > 0 ? gh_crl_open(facts->list_der, NULL) : NULL;
    struct gh_ca_times times = {.root_s = end_of(facts->root_pem),
                                .intermediate_s = end_of(facts->chain_pem),
                                .list_s = list != NULL ? gh_crl_next_update_s(list) : 0};
    gh_crl_close(list);
    return times;
}

bool gh_ca_warn(const struct gh_ca_facts *facts, int64_t now_s, char out[GH_CA_WARNING_MAX])
{
    struct gh_ca_times times = gh_ca_times(facts);
    const struct {
        const char *what;
        int64_t end_s;
        int days;
        const char *command;
    } rows[] = {
        {"intermediate CA", times.intermediate_s, INTERMEDIATE_WARN_DAYS, "renew --root FILE"},
        {"list of revoked intermediate CAs", times.list_s, LIST_WARN_DAYS,
         "renew --list-only --root FILE"},
    };
    for (size_t i = 0; !facts->root_online && i < GH_COUNT(rows); i++) {
        char when[GH_TIME_TEXT_MAX];
        if (rows[i].end_s - now_s >= rows[i].days * DAY_S)
            continue;
        snprintf(out, GH_CA_WARNING_MAX,
                 "the %s of the built-in CA %s at %.10s; the root's key is not here: run "
                 "`gatehouse ca %s`",
                 rows[i].what, rows[i].end_s > now_s ? "runs out" : "ran out",
                 gh_time_print(rows[i].end_s * 1000, when), rows[i].command);
        return true;
    }
    return false;
}

enum gh_error_code gh_ca_parent(const struct gh_ca *ca, int64_t now_s, struct gh_issuer_parent *out,
                                struct gh_error *error)
{
    if (ca->intermediate == NULL)
        return gh_error_set(error, GH_ERROR_KEYS,
                            "the keyring holds neither an intermediate CA nor the key of the root "
                            "that could make one");
    if (gh_authority_validity(ca->intermediate).to_s <= now_s)
        return gh_error_set(error, GH_ERROR_KEYS,
                            "the intermediate CA has run out; renew it with `gatehouse ca renew "
                            "--root FILE`");
    *out = (struct gh_issuer_parent){ca->intermediate, secret_of(ca, GH_KEYRING_ISSUING).data};
    return GH_OK;
}

/* --- the next intermediate CA: asked for --- */

static bool print_public(struct gh_slice key_pem, struct gh_buffer *out, struct gh_error *error)
{
    struct gh_private_key *key = gh_private_key_open(key_pem, error);
    bool printed = key != NULL && gh_private_key_print_public(key, out);
    gh_private_key_close(key);
    return printed;
}

enum gh_error_code gh_ca_request(struct gh_ca *ca, struct gh_buffer *public_key_pem,
                                 struct gh_error *error)
{
    uint8_t block[4096];
    struct gh_buffer pem = gh_buffer_fixed(block, sizeof block);
    struct gh_private_key *key = NULL;
    if (secret_of(ca, GH_KEYRING_INTERMEDIATE_NEXT).size == 0) {
        key = gh_private_key_generate(GH_KEY_P256, error);
        bool kept = key != NULL && gh_private_key_print(key, &pem) &&
                    gh_keyring_put(ca->keyring, GH_KEYRING_INTERMEDIATE_NEXT, gh_buffer_slice(&pem),
                                   error) == GH_OK &&
                    gh_keyring_save(ca->keyring, error) == GH_OK;
        gh_private_key_close(key);
        gh_secret_wipe(block, sizeof block);
        if (!kept)
            return GH_ERROR_KEYS;
    }
    return print_public(secret_of(ca, GH_KEYRING_INTERMEDIATE_NEXT), public_key_pem, error)
               ? GH_OK
               : GH_ERROR_KEYS;
}

/* --- signed --- */

/* A name of its own for each, by its key, so that nobody takes one for another. */
static enum gh_error_code certify(const struct gh_authority *root, struct gh_slice public_key_pem,
                                  int64_t now_s, struct gh_buffer *out, struct gh_error *error)
{
    char name[64], mark[GH_SHA256_HEX_MAX];
    struct gh_key *key = gh_key_open(public_key_pem, error);
    bool known = key != NULL && gh_key_fingerprint(key, mark);
    gh_key_close(key);
    if (!known)
        return gh_error_set(error, GH_ERROR_INVALID, "what is to be certified is no key");
    snprintf(name, sizeof name, "Gatehouse intermediate CA %.8s", mark);
    struct gh_validity validity = {now_s - CLOCK_SKEW_S, now_s + GH_CA_INTERMEDIATE_DAYS * DAY_S};
    return gh_authority_certify(root, gh_slice_text(name), public_key_pem, validity, out, error);
}

/* The rows of a list, with the texts of their serial numbers. */
struct rows {
    struct gh_revoked of[GH_ISSUER_REVOKED_MAX];
    struct gh_crl_entry texts[GH_ISSUER_REVOKED_MAX];
    size_t count;
    int64_t number; /* of the list that they are from */
};

static void add_row(struct rows *rows, const struct gh_crl_entry *entry)
{
    struct gh_crl_entry *text = &rows->texts[rows->count];
    *text = *entry;
    rows->of[rows->count++] =
        (struct gh_revoked){gh_slice_text(text->serial), entry->reason, entry->at_s};
}

static enum gh_error_code read_list(struct gh_slice der, struct rows *rows, struct gh_error *error)
{
    struct gh_crl_entry entry;
    struct gh_crl *list = gh_crl_open(der, error);
    bool good = list != NULL && gh_crl_count(list) < GH_ISSUER_REVOKED_MAX;
    for (size_t i = 0; good && i < gh_crl_count(list); i++) {
        good = gh_crl_entry(list, i, &entry);
        if (good)
            add_row(rows, &entry);
    }
    if (good)
        rows->number = gh_crl_number(list);
    gh_crl_close(list);
    return good ? GH_OK : gh_error_set(error, GH_ERROR_INVALID, "the list before is damaged");
}

static enum gh_error_code add_revoked(const struct gh_ca_order *order, int64_t now_s,
                                      struct rows *rows, struct gh_error *error)
{
    struct gh_crl_entry entry = {.reason = order->reason, .at_s = now_s};
    struct gh_buffer serial = gh_buffer_fixed(entry.serial, sizeof entry.serial - 1);
    struct gh_certificate *certificate = gh_certificate_open(order->revoked_pem, error);
    bool known = certificate != NULL && gh_certificate_print_serial(certificate, &serial);
    gh_certificate_close(certificate);
    if (!known)
        return gh_error_set(error, GH_ERROR_INVALID, "what is to be revoked is no certificate");
    add_row(rows, &entry);
    return GH_OK;
}

static enum gh_error_code sign_list(const struct gh_authority *root,
                                    const struct gh_ca_order *order, int64_t now_s,
                                    struct gh_buffer *out, struct gh_error *error)
{
    struct rows *rows = calloc(1, sizeof *rows);
    struct gh_validity validity = {now_s - CLOCK_SKEW_S, now_s + GH_CA_LIST_DAYS * DAY_S};
    enum gh_error_code code =
        rows != NULL ? GH_OK : gh_error_set(error, GH_ERROR_MEMORY, "no memory for the list");
    if (code == GH_OK && order->list_der.size > 0)
        code = read_list(order->list_der, rows, error);
    if (code == GH_OK && order->revoked_pem.size > 0)
        code = add_revoked(order, now_s, rows, error);
    if (code == GH_OK)
        code = gh_issuer_crl(root, rows->number + 1, validity, rows->of, rows->count, out, error);
    free(rows);
    return code;
}

enum gh_error_code gh_ca_sign(const struct gh_authority *root, const struct gh_ca_order *order,
                              int64_t now_s, struct gh_buffer *certificate_pem,
                              struct gh_buffer *list_der, struct gh_error *error)
{
    enum gh_error_code code = GH_OK;
    if (order->public_key_pem.size > 0)
        code = certify(root, order->public_key_pem, now_s, certificate_pem, error);
    return code == GH_OK ? sign_list(root, order, now_s, list_der, error) : code;
}

/* --- installed --- */

static enum gh_error_code check_list(const struct gh_ca *ca, const struct gh_crl *list,
                                     const struct gh_certificate *root, int64_t now_s,
                                     struct gh_error *error)
{
    struct gh_slice der = secret_of(ca, GH_KEYRING_ROOT_LIST);
    struct gh_crl *before = der.size > 0 ? gh_crl_open(der, NULL) : NULL;
    int64_t number = before != NULL ? gh_crl_number(before) : 0;
    gh_crl_close(before);
    if (!gh_crl_signed_by(list, root))
        return gh_error_set(error, GH_ERROR_INVALID, "the list is not signed by the root");
    if (gh_crl_number(list) <= number || gh_crl_next_update_s(list) <= now_s)
        return gh_error_set(error, GH_ERROR_INVALID,
                            "the list is no newer than the one that is here, or has run out");
    return GH_OK;
}

/* Whether the root has signed it and it may be used now. */
static bool is_good(const struct gh_certificate *certificate, const struct gh_certificate *root,
                    const struct gh_crl *list, int64_t now_s)
{
    return gh_certificate_signed_by(certificate, root) && !gh_crl_lists(list, certificate) &&
           gh_certificate_not_before_s(certificate) <= now_s &&
           gh_certificate_not_after_s(certificate) > now_s;
}

/* The first one is what will be in use and has to be good; of the others the good ones stay. */
static enum gh_error_code make_chain(const struct gh_slice parts[2],
                                     const struct gh_certificate *root, const struct gh_crl *list,
                                     int64_t now_s, struct gh_buffer *out, struct gh_error *error)
{
    struct gh_slice rest, pem;
    for (size_t i = 0; i < 2; i++)
        for (rest = parts[i]; gh_certificate_take(&rest, &pem);) {
            struct gh_certificate *certificate = gh_certificate_open(pem, NULL);
            bool good = certificate != NULL && is_good(certificate, root, list, now_s);
            gh_certificate_close(certificate);
            if (good)
                gh_buffer_put(out, pem);
            else if (out->size == 0)
                return gh_error_set(error, GH_ERROR_PRECONDITION,
                                    "the intermediate CA that would be in use is not signed by "
                                    "the root, not valid now, or revoked: renew it with this list");
        }
    return out->size > 0 && !out->overflow
               ? GH_OK
               : gh_error_set(error, GH_ERROR_INVALID, "there is no intermediate CA to be used");
}

/* Whether the certificate is a CA's, and over the key that was asked for. */
static enum gh_error_code check_key(const struct gh_ca *ca, struct gh_slice certificate_pem,
                                    struct gh_error *error)
{
    struct gh_slice key = secret_of(ca, GH_KEYRING_INTERMEDIATE_NEXT);
    if (key.size == 0)
        return gh_error_set(error, GH_ERROR_PRECONDITION, "no intermediate CA was asked for");
    struct gh_authority *made = gh_authority_open(certificate_pem, key, error);
    bool fits = made != NULL;
    gh_authority_close(made);
    return fits ? GH_OK : GH_ERROR_INVALID;
}

/* Into the keyring, all with one write. */
static enum gh_error_code keep(struct gh_ca *ca, const struct gh_ca_delivery *delivery,
                               struct gh_slice chain, struct gh_error *error)
{
    struct gh_keyring *keyring = ca->keyring;
    enum gh_error_code code =
        gh_keyring_put(keyring, GH_KEYRING_ROOT_LIST, delivery->list_der, error);
    if (code == GH_OK)
        code = gh_keyring_put(keyring, GH_KEYRING_INTERMEDIATE_CHAIN, chain, error);
    if (code == GH_OK && delivery->certificate_pem.size > 0) {
        code = gh_keyring_put(keyring, GH_KEYRING_INTERMEDIATE,
                              secret_of(ca, GH_KEYRING_INTERMEDIATE_NEXT), error);
        gh_keyring_drop(keyring, GH_KEYRING_INTERMEDIATE_NEXT);
    }
    if (code == GH_OK && delivery->removes_root)
        gh_keyring_drop(keyring, GH_KEYRING_CA);
    if (code == GH_OK)
        code = gh_keyring_save(keyring, error);
    return open_intermediate(ca, error) ? code : GH_ERROR_KEYS;
}

enum gh_error_code gh_ca_install(struct gh_ca *ca, const struct gh_ca_delivery *delivery,
                                 int64_t now_s, struct gh_error *error)
{
    struct gh_buffer chain;
    struct gh_slice parts[2] = {delivery->certificate_pem,
                                secret_of(ca, GH_KEYRING_INTERMEDIATE_CHAIN)};
    struct gh_certificate *root = gh_certificate_open(gh_buffer_slice(&ca->root_pem), error);
    struct gh_crl *list = root != NULL ? gh_crl_open(delivery->list_der, error) : NULL;
    gh_buffer_init(&chain, GH_KEYRING_SECRET_BYTES_MAX);
    enum gh_error_code code =
        list != NULL ? check_list(ca, list, root, now_s, error) : GH_ERROR_INVALID;
    if (code == GH_OK && delivery->certificate_pem.size > 0)
        code = check_key(ca, delivery->certificate_pem, error);
    if (code == GH_OK)
        code = make_chain(parts, root, list, now_s, &chain, error);
    if (code == GH_OK)
        code = keep(ca, delivery, gh_buffer_slice(&chain), error);
    gh_buffer_deinit(&chain);
    gh_crl_close(list);
    gh_certificate_close(root);
    return code;
}

/* --- while the root is online --- */

static enum gh_error_code deepen(struct gh_ca *ca, const struct gh_authority *root,
                                 struct gh_error *error)
{
    struct gh_buffer pem;
    if (gh_authority_is_deep(root))
        return GH_OK;
    gh_buffer_init(&pem, GH_CA_PEM_MAX);
    enum gh_error_code code = gh_authority_deepen(root, &pem, error);
    if (code == GH_OK)
        code = write_root(ca, gh_buffer_slice(&pem), error);
    if (code == GH_OK) {
        gh_buffer_clear(&ca->root_pem);
        gh_buffer_put(&ca->root_pem, gh_buffer_slice(&pem));
    }
    gh_buffer_deinit(&pem);
    return code;
}

/* A folder of a version before has keys of issuing CAs that this one opens. */
static enum gh_error_code complete(struct gh_ca *ca, const struct gh_authority *root,
                                   struct gh_error *error)
{
    uint8_t key[GH_ISSUER_KEY_BYTES];
    if (secret_of(ca, GH_KEYRING_ISSUING).size > 0)
        return GH_OK;
    enum gh_error_code code =
        gh_issuer_key_of_root(root, key)
            ? gh_keyring_put(ca->keyring, GH_KEYRING_ISSUING, gh_slice(key, sizeof key), error)
            : gh_error_set(error, GH_ERROR_MEMORY, "no memory for the built-in CA");
    gh_secret_wipe(key, sizeof key);
    return code;
}

static enum gh_error_code renew(struct gh_ca *ca, const struct gh_authority *root, bool list_only,
                                int64_t now_s, struct gh_error *error)
{
    struct gh_buffer public_key, certificate, list;
    gh_buffer_init(&public_key, GH_CA_PEM_MAX);
    gh_buffer_init(&certificate, GH_CA_PEM_MAX);
    gh_buffer_init(&list, GH_KEYRING_SECRET_BYTES_MAX);
    enum gh_error_code code = list_only ? GH_OK : gh_ca_request(ca, &public_key, error);
    struct gh_ca_order order = {.public_key_pem = gh_buffer_slice(&public_key),
                                .list_der = secret_of(ca, GH_KEYRING_ROOT_LIST)};
    if (code == GH_OK)
        code = gh_ca_sign(root, &order, now_s, &certificate, &list, error);
    if (code == GH_OK)
        code =
            gh_ca_install(ca,
                          &(struct gh_ca_delivery){.certificate_pem = gh_buffer_slice(&certificate),
                                                   .list_der = gh_buffer_slice(&list)},
                          now_s, error);
    gh_buffer_deinit(&public_key);
    gh_buffer_deinit(&certificate);
    gh_buffer_deinit(&list);
    return code;
}

static bool intermediate_due(const struct gh_ca *ca, int64_t now_s)
{
    if (ca->intermediate == NULL)
        return true;
    struct gh_validity life = gh_authority_validity(ca->intermediate);
    return life.to_s - now_s < (life.to_s - life.from_s) / 3;
}

enum gh_error_code gh_ca_tend(struct gh_ca *ca, int64_t now_s, bool *changed,
                              struct gh_error *error)
{
    struct gh_ca_facts facts = gh_ca_facts(ca);
    bool due = intermediate_due(ca, now_s);
    bool list_due = gh_ca_times(&facts).list_s - now_s < (GH_CA_LIST_DAYS - LIST_OLD_DAYS) * DAY_S;
    if (changed != NULL)
        *changed = false;
    if (!facts.root_online)
        return GH_OK;
    struct gh_authority *root =
        gh_authority_open(facts.root_pem, secret_of(ca, GH_KEYRING_CA), error);
    if (root == NULL)
        return GH_ERROR_KEYS;
    bool shallow = !gh_authority_is_deep(root);
    enum gh_error_code code = deepen(ca, root, error);
    if (code == GH_OK)
        code = complete(ca, root, error);
    if (code == GH_OK && (due || list_due))
        code = renew(ca, root, !due, now_s, error);
    if (changed != NULL)
        *changed = shallow || due || list_due;
    gh_authority_close(root);
    return code;
}
