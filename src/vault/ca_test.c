/* The built-in CA at rest: with the root online, offline, and in a folder of a version before there
 * were intermediate CAs. */
#include "crypto/chain.h"
#include "crypto/crl.h"
#include "tests/check.h"
#include "vault/ca.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { PEM_MAX = 16 * 1024 };
#define DAY INT64_C(86400)
#define NOW INT64_C(1800000000)

static struct gh_slice of(const struct gh_buffer *buffer)
{
    return gh_buffer_slice(buffer);
}

/* A data folder with its CA, and the root's key by itself, as somebody has it in a safe. */
struct house {
    char folder[PATH_MAX - 64];
    struct gh_keyring *keyring;
    struct gh_ca *ca;
    struct gh_buffer key, public_key, certificate, list;
    struct gh_authority *root;
};

static void write_root(const struct house *house, struct gh_slice pem)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/ca.crt", house->folder);
    FILE *file = fopen(path, "we");
    REQUIRE("the root's certificate",
            file != NULL && fwrite(pem.data, 1, pem.size, file) == pem.size && fclose(file) == 0);
}

static void house_new(struct house *house, struct gh_slice root_pem, struct gh_slice key)
{
    static int count;
    char keys[PATH_MAX];
    snprintf(house->folder, sizeof house->folder, "%s/house-%d", check_folder(), ++count);
    snprintf(keys, sizeof keys, "%s/keys", house->folder);
    REQUIRE("a folder", mkdir(house->folder, 0700) == 0 && mkdir(keys, 0700) == 0);
    write_root(house, root_pem);
    house->keyring = gh_keyring_create(house->folder, GH_SLICE("file"), NULL);
    REQUIRE("a keyring", house->keyring != NULL &&
                             gh_keyring_put(house->keyring, GH_KEYRING_CA, key, NULL) == GH_OK &&
                             gh_keyring_save(house->keyring, NULL) == GH_OK);
    house->ca = gh_ca_open(house->keyring, house->folder, NULL);
    REQUIRE("a CA", house->ca != NULL);
    struct gh_buffer *all[] = {&house->public_key, &house->certificate, &house->list};
    for (size_t i = 0; i < GH_COUNT(all); i++)
        gh_buffer_init(all[i], PEM_MAX);
    gh_buffer_init(&house->key, PEM_MAX);
    gh_buffer_put(&house->key, key);
    house->root = gh_authority_open(root_pem, key, NULL);
    REQUIRE("the root opens", house->root != NULL);
}

static void house_open(struct house *house, const char *name)
{
    struct gh_buffer key, pem;
    struct gh_validity years = {NOW - DAY, NOW + GH_CA_ROOT_DAYS * DAY};
    gh_buffer_init(&key, PEM_MAX);
    gh_buffer_init(&pem, PEM_MAX);
    REQUIRE("a root", gh_authority_create(gh_slice_text(name), years, &key, &pem, NULL) == GH_OK);
    house_new(house, of(&pem), of(&key));
    gh_buffer_deinit(&key);
    gh_buffer_deinit(&pem);
}

static void house_close(struct house *house)
{
    gh_ca_close(house->ca);
    gh_keyring_close(house->keyring);
    gh_authority_close(house->root);
    gh_buffer_deinit(&house->key);
    gh_buffer_deinit(&house->public_key);
    gh_buffer_deinit(&house->certificate);
    gh_buffer_deinit(&house->list);
}

/* The house as another process finds it. */
static void reopen(struct house *house)
{
    gh_ca_close(house->ca);
    gh_keyring_close(house->keyring);
    house->keyring = gh_keyring_open(house->folder, NULL);
    REQUIRE("the keyring opens again", house->keyring != NULL);
    house->ca = gh_ca_open(house->keyring, house->folder, NULL);
    REQUIRE("and the CA", house->ca != NULL);
}

static size_t chain_length(const struct house *house)
{
    struct gh_slice chain = gh_ca_facts(house->ca).chain_pem, pem;
    size_t count = 0;
    while (gh_certificate_take(&chain, &pem))
        count++;
    return count;
}

static int64_t list_number(const struct house *house)
{
    struct gh_crl *list = gh_crl_open(gh_ca_facts(house->ca).list_der, NULL);
    int64_t number = list != NULL ? gh_crl_number(list) : 0;
    gh_crl_close(list);
    return number;
}

static bool tends(struct house *house, int64_t now_s)
{
    bool changed;
    return gh_ca_tend(house->ca, now_s, &changed, NULL) == GH_OK && changed;
}

/* A server's leaf by the CA of now leads to this root, past the intermediate CA, or does not. */
static bool leads_to(const struct house *house, struct gh_slice root_pem, int64_t now_s)
{
    const struct gh_slice host = GH_SLICE("localhost");
    struct gh_issuer_parent parent;
    struct gh_slice chain = gh_ca_facts(house->ca).chain_pem, middle_pem = {0};
    struct gh_buffer key, pem;
    struct gh_chain_verdict verdict = {.reason = GH_CHAIN_UNTRUSTED};
    struct gh_private_key *own = gh_private_key_generate(GH_KEY_P256, NULL);
    gh_buffer_init(&key, PEM_MAX);
    gh_buffer_init(&pem, PEM_MAX);
    REQUIRE("it certifies", own != NULL && gh_private_key_print_public(own, &key) &&
                                gh_ca_parent(house->ca, now_s, &parent, NULL) == GH_OK &&
                                gh_certificate_take(&chain, &middle_pem));
    struct gh_leaf leaf = {.public_key_pem = of(&key),
                           .names = &host,
                           .names_count = 1,
                           .validity = {now_s, now_s + 7 * DAY}};
    REQUIRE("a leaf", gh_authority_issue(parent.authority, &leaf, &pem, NULL) == GH_OK);
    struct gh_certificate *end = gh_certificate_open(of(&pem), NULL),
                          *middle = gh_certificate_open(middle_pem, NULL),
                          *root = gh_certificate_open(root_pem, NULL);
    const struct gh_certificate *anchor = root, *other = middle;
    struct gh_crl *list = gh_crl_open(gh_ca_facts(house->ca).list_der, NULL);
    const struct gh_crl *lists = list;
    struct gh_chain_question question = {.leaf = end,
                                         .others = &other,
                                         .others_count = 1,
                                         .anchors = &anchor,
                                         .anchors_count = 1,
                                         .crls = &lists,
                                         .crls_count = 1,
                                         .purpose = GH_CHAIN_SERVER,
                                         .host = "localhost",
                                         .now_s = now_s};
    bool sound = gh_chain_verify(&question, &verdict) == GH_CHAIN_SOUND;
    gh_crl_close(list);
    gh_certificate_close(end);
    gh_certificate_close(middle);
    gh_certificate_close(root);
    gh_private_key_close(own);
    gh_buffer_deinit(&key);
    gh_buffer_deinit(&pem);
    return sound;
}

static void online(void)
{
    struct house house, other;
    struct gh_issuer_parent parent;
    house_open(&house, "root");
    house_open(&other, "another root");
    CHECK("without an intermediate CA nothing is certified",
          gh_ca_parent(house.ca, NOW, &parent, NULL) == GH_ERROR_KEYS);
    CHECK("the root makes it", tends(&house, NOW) && chain_length(&house) == 1);
    CHECK("once", !tends(&house, NOW + 29 * DAY) && list_number(&house) == 1);
    CHECK("what it certifies leads to the root",
          leads_to(&house, gh_ca_facts(house.ca).root_pem, NOW));
    CHECK("and to no other", !leads_to(&house, gh_ca_facts(other.ca).root_pem, NOW));
    reopen(&house);
    CHECK("it is there again",
          !tends(&house, NOW) && leads_to(&house, gh_ca_facts(house.ca).root_pem, NOW));
    CHECK("a list is renewed after a month",
          tends(&house, NOW + 31 * DAY) && list_number(&house) == 2 && chain_length(&house) == 1);
    int64_t late_s = NOW + 7 * 365 * DAY;
    CHECK("the intermediate CA in the last third of its life",
          tends(&house, late_s) && chain_length(&house) == 2);
    CHECK("the new one certifies", leads_to(&house, gh_ca_facts(house.ca).root_pem, late_s));
    late_s = NOW + 14 * 365 * DAY;
    CHECK("one that has run out goes", tends(&house, late_s) && chain_length(&house) == 2);
    house_close(&house);
    house_close(&other);
}

/* The root signs outside of the house. */
static enum gh_error_code sign(struct house *house, const struct house *by, bool with_key,
                               struct gh_slice revoked, int64_t now_s)
{
    gh_buffer_clear(&house->public_key);
    gh_buffer_clear(&house->certificate);
    gh_buffer_clear(&house->list);
    if (with_key)
        REQUIRE("a key is asked for", gh_ca_request(house->ca, &house->public_key, NULL) == GH_OK);
    struct gh_ca_order order = {.public_key_pem = of(&house->public_key),
                                .list_der = gh_ca_facts(house->ca).list_der,
                                .revoked_pem = revoked,
                                .reason = 1};
    return gh_ca_sign(by->root, &order, now_s, &house->certificate, &house->list, NULL);
}

static enum gh_error_code install(struct house *house, bool removes_root, int64_t now_s)
{
    struct gh_ca_delivery delivery = {of(&house->certificate), of(&house->list), removes_root};
    return gh_ca_install(house->ca, &delivery, now_s, NULL);
}

static bool holds_root(const struct house *house)
{
    return gh_keyring_get(house->keyring, GH_KEYRING_CA) != NULL;
}

static void offline(void)
{
    struct house house;
    char warning[GH_CA_WARNING_MAX];
    uint8_t block[PEM_MAX];
    struct gh_issuer_parent parent;
    house_open(&house, "root");
    REQUIRE("it is made", tends(&house, NOW));
    REQUIRE("a list is signed", sign(&house, &house, false, (struct gh_slice){0}, NOW) == GH_OK);
    CHECK("it takes the root's key away", install(&house, true, NOW) == GH_OK);
    CHECK("which is gone", !holds_root(&house) && !gh_ca_facts(house.ca).root_online);
    reopen(&house);
    CHECK("for good", !holds_root(&house));
    CHECK("everything goes on", leads_to(&house, gh_ca_facts(house.ca).root_pem, NOW));
    CHECK("what is due is not renewed", !tends(&house, NOW + 7 * 365 * DAY));
    struct gh_buffer first = gh_buffer_fixed(block, sizeof block);
    REQUIRE("a key is asked for", gh_ca_request(house.ca, &first, NULL) == GH_OK);
    reopen(&house);
    int64_t later_s = NOW + 9 * 365 * DAY;
    REQUIRE("the root signs", sign(&house, &house, true, (struct gh_slice){0}, later_s) == GH_OK);
    CHECK("the key that was asked for", gh_slice_equal(of(&first), of(&house.public_key)));
    CHECK("it is taken", install(&house, false, later_s) == GH_OK && chain_length(&house) == 2);
    CHECK("once", install(&house, false, later_s) == GH_ERROR_INVALID);
    CHECK("it certifies", leads_to(&house, gh_ca_facts(house.ca).root_pem, later_s));
    struct gh_ca_facts facts = gh_ca_facts(house.ca);
    CHECK("nothing to warn of", !gh_ca_warn(&facts, later_s, warning));
    CHECK("but of the list, later", gh_ca_warn(&facts, later_s + 320 * DAY, warning) &&
                                        strstr(warning, "list") != NULL &&
                                        strstr(warning, "runs out") != NULL);
    int64_t end_s = later_s + GH_CA_INTERMEDIATE_DAYS * DAY;
    CHECK("and of the intermediate CA", gh_ca_warn(&facts, end_s - 100 * DAY, warning) &&
                                            strstr(warning, "intermediate") != NULL);
    CHECK("which certifies to its end",
          gh_ca_parent(house.ca, end_s - 1, &parent, NULL) == GH_OK &&
              gh_ca_parent(house.ca, end_s, &parent, NULL) == GH_ERROR_KEYS);
    CHECK("and can be renewed after it",
          sign(&house, &house, true, (struct gh_slice){0}, end_s) == GH_OK &&
              install(&house, false, end_s) == GH_OK && chain_length(&house) == 1 &&
              gh_ca_parent(house.ca, end_s, &parent, NULL) == GH_OK);
    house_close(&house);
}

/* What is no work of this root, or not of now, is not taken, and changes nothing. */
static void refused(void)
{
    struct house house, other;
    house_open(&house, "root");
    house_open(&other, "root"); /* of the same name */
    REQUIRE("both are made", tends(&house, NOW) && tends(&other, NOW));
    const struct {
        const char *claim;
        const struct house *by;
        bool with_key, revokes;
        int64_t signed_s, now_s;
        enum gh_error_code code;
    } rows[] = {
        {"a list by another root", &other, false, false, NOW, NOW, GH_ERROR_INVALID},
        {"a certificate by another root", &other, true, false, NOW, NOW, GH_ERROR_INVALID},
        {"a list that has run out", &house, false, false, NOW, NOW + 366 * DAY, GH_ERROR_INVALID},
        {"a certificate that is not valid yet", &house, true, false, NOW + 3 * DAY, NOW,
         GH_ERROR_PRECONDITION},
        {"a list that revokes what is in use", &house, false, true, NOW, NOW,
         GH_ERROR_PRECONDITION},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        struct gh_slice chain = gh_ca_facts(house.ca).chain_pem, current;
        REQUIRE("one is in use", gh_certificate_take(&chain, &current));
        REQUIRE(rows[i].claim,
                sign(&house, rows[i].by, rows[i].with_key,
                     rows[i].revokes ? current : (struct gh_slice){0}, rows[i].signed_s) == GH_OK);
        CHECK(rows[i].claim, install(&house, true, rows[i].now_s) == rows[i].code);
        CHECK("the root stays", holds_root(&house));
        CHECK("and the list", list_number(&house) == 1 && chain_length(&house) == 1);
    }
    REQUIRE("over another house's key",
            sign(&other, &house, true, (struct gh_slice){0}, NOW) == GH_OK);
    REQUIRE("asked here too", sign(&house, &house, true, (struct gh_slice){0}, NOW) == GH_OK);
    gh_buffer_clear(&house.certificate);
    gh_buffer_put(&house.certificate, of(&other.certificate));
    CHECK("a certificate over another key", install(&house, false, NOW) == GH_ERROR_INVALID);
    house_close(&house);
    house_close(&other);
}

static void revoked(void)
{
    struct house house;
    uint8_t block[PEM_MAX];
    struct gh_buffer before = gh_buffer_fixed(block, sizeof block);
    house_open(&house, "root");
    REQUIRE("it is made", tends(&house, NOW));
    gh_buffer_put(&before, gh_ca_facts(house.ca).chain_pem);
    REQUIRE("the next one, and the first revoked",
            sign(&house, &house, true, of(&before), NOW + DAY) == GH_OK);
    CHECK("is taken", install(&house, false, NOW + DAY) == GH_OK);
    CHECK("and is alone", chain_length(&house) == 1);
    struct gh_certificate *old = gh_certificate_open(of(&before), NULL);
    struct gh_crl *list = gh_crl_open(gh_ca_facts(house.ca).list_der, NULL);
    CHECK("the list says so", list != NULL && old != NULL && gh_crl_lists(list, old));
    gh_crl_close(list);
    REQUIRE("another list", sign(&house, &house, false, (struct gh_slice){0}, NOW + DAY) == GH_OK);
    CHECK("is taken", install(&house, false, NOW + DAY) == GH_OK);
    list = gh_crl_open(gh_ca_facts(house.ca).list_der, NULL);
    CHECK("and says it still", list != NULL && gh_crl_lists(list, old) && gh_crl_count(list) == 1);
    gh_crl_close(list);
    gh_certificate_close(old);
    house_close(&house);
}

static void read_file(const char *path, struct gh_buffer *out)
{
    FILE *file = fopen(path, "re");
    uint8_t *to = gh_buffer_reserve(out, PEM_MAX / 2);
    REQUIRE("a file of the test", file != NULL && to != NULL);
    gh_buffer_commit(out, fread(to, 1, PEM_MAX / 2, file));
    fclose(file);
}

/* A root of path length 1, and a key of an issuing CA sealed as it was sealed then. */
static void of_before(void)
{
    struct house house;
    uint8_t sealing_key[GH_ISSUER_KEY_BYTES];
    struct gh_buffer root, key, ca, sealed;
    struct gh_buffer *all[] = {&root, &key, &ca, &sealed};
    for (size_t i = 0; i < GH_COUNT(all); i++)
        gh_buffer_init(all[i], PEM_MAX);
    read_file("tests/data/shallow-root/ca.crt", &root);
    read_file("tests/data/shallow-root/ca.key", &key);
    house_new(&house, of(&root), of(&key));
    struct gh_issuer_parent before = {house.root, sealing_key};
    REQUIRE("an issuing CA of then", gh_issuer_key_of_root(house.root, sealing_key) &&
                                         gh_issuer_create(&before, GH_SLICE("Devices of acme"),
                                                          (struct gh_validity){NOW, NOW + DAY}, &ca,
                                                          &sealed, NULL) == GH_OK);
    CHECK("it is taken over", tends(&house, NOW) && !tends(&house, NOW));
    struct gh_issuer_parent parent;
    REQUIRE("and certifies", gh_ca_parent(house.ca, NOW, &parent, NULL) == GH_OK);
    struct gh_authority *issuer = gh_issuer_open(parent.sealing_key, of(&ca), of(&sealed), NULL);
    CHECK("the issuing CA's key opens", issuer != NULL);
    gh_authority_close(issuer);
    CHECK("who has the root of then trusts the server", leads_to(&house, of(&root), NOW));
    struct gh_slice now = gh_ca_facts(house.ca).root_pem;
    CHECK("the root has another certificate", !gh_slice_equal(now, of(&root)));
    CHECK("which does too", leads_to(&house, now, NOW));
    struct gh_authority *deep = gh_authority_open(now, of(&key), NULL);
    CHECK("over the same key, for the same time",
          deep != NULL && gh_authority_is_deep(deep) && !gh_authority_is_deep(house.root) &&
              gh_authority_validity(deep).to_s == gh_authority_validity(house.root).to_s);
    gh_authority_close(deep);
    reopen(&house);
    CHECK("in its file too", gh_ca_facts(house.ca).root_pem.size > 0 && !tends(&house, NOW));
    house_close(&house);
    for (size_t i = 0; i < GH_COUNT(all); i++)
        gh_buffer_deinit(all[i]);
}

int main(void)
{
    online();
    offline();
    refused();
    revoked();
    of_before();
    return check_report();
}
