/* The issuing CA end to end: made, sealed, opened, issuing, revoking; and what the path, the
 * linter, the list and the responder say of it. */
#include "crypto/chain.h"
#include "crypto/chain_internal.h"
#include "crypto/issuer.h"
#include "crypto/lint.h"
#include "crypto/ocsp.h"
#include "tests/check.h"
#include <string.h>

enum { PEM_MAX = 8192, DAY_S = 86400 };
static const int64_t now_s = 1800000000;

static struct world {
    struct gh_buffer root_pem, root_key, middle_pem, middle_key, ca_pem, sealed, leaf_pem,
        public_pem;
    struct gh_authority *root, *middle, *issuer;
    uint8_t sealing_key[GH_ISSUER_KEY_BYTES];
} w;

static struct gh_slice of(const struct gh_buffer *buffer)
{
    return gh_buffer_slice(buffer);
}

static void make_middle(struct gh_validity years)
{
    struct gh_private_key *key = gh_private_key_generate(GH_KEY_P256, NULL);
    REQUIRE("a key", key != NULL && gh_private_key_print(key, &w.middle_key) &&
                         gh_private_key_print_public(key, &w.public_pem));
    gh_private_key_close(key);
    REQUIRE("an intermediate CA",
            gh_authority_certify(w.root, GH_SLICE("Middle"), of(&w.public_pem), years,
                                 &w.middle_pem, NULL) == GH_OK);
    w.middle = gh_authority_open(of(&w.middle_pem), of(&w.middle_key), NULL);
    REQUIRE("it opens", w.middle != NULL);
    gh_buffer_clear(&w.public_pem);
}

static void make(void)
{
    struct gh_buffer *all[] = {&w.root_pem, &w.root_key, &w.middle_pem, &w.middle_key,
                               &w.ca_pem,   &w.sealed,   &w.leaf_pem,   &w.public_pem};
    for (size_t i = 0; i < GH_COUNT(all); i++)
        gh_buffer_init(all[i], PEM_MAX);
    struct gh_validity years = {now_s - DAY_S, now_s + 1000 * (int64_t)DAY_S};
    REQUIRE("a root",
            gh_authority_create(GH_SLICE("Root"), years, &w.root_key, &w.root_pem, NULL) == GH_OK);
    w.root = gh_authority_open(of(&w.root_pem), of(&w.root_key), NULL);
    REQUIRE("it opens", w.root != NULL);
    make_middle(years);
    struct gh_issuer_parent parent = {w.middle, w.sealing_key};
    REQUIRE("an issuing CA", gh_issuer_create(&parent, GH_SLICE("Devices"), years, &w.ca_pem,
                                              &w.sealed, NULL) == GH_OK);
    w.issuer = gh_issuer_open(w.sealing_key, of(&w.ca_pem), of(&w.sealed), NULL);
    REQUIRE("its key opens", w.issuer != NULL);
    struct gh_private_key *key = gh_private_key_generate(GH_KEY_P256, NULL);
    REQUIRE("a key", key != NULL && gh_private_key_print_public(key, &w.public_pem));
    gh_private_key_close(key);
    struct gh_device_leaf leaf = {.common_name = GH_SLICE("pump.1"),
                                  .uri = GH_SLICE("gatehouse:device:t:r:pump.1"),
                                  .public_key_pem = of(&w.public_pem),
                                  .pki = GH_SLICE("http://pki.example/pki/t"),
                                  .validity = {now_s - 60, now_s + 7 * DAY_S}};
    REQUIRE("a leaf", gh_issuer_issue(w.issuer, &leaf, &w.leaf_pem, NULL) == GH_OK);
}

/* A sealed key opens under its sealing key, for its certificate, and whole. */
static void check_seal(void)
{
    uint8_t copy[GH_ISSUER_SEALED_MAX];
    struct gh_error error = {0};
    memcpy(copy, w.sealed.data, w.sealed.size);
    for (size_t i = 0; i < w.sealed.size; i++) {
        copy[i] ^= 1;
        CHECK("one bit off", gh_issuer_open(w.sealing_key, of(&w.ca_pem),
                                            gh_slice(copy, w.sealed.size), &error) == NULL);
        copy[i] ^= 1;
        CHECK("cut",
              gh_issuer_open(w.sealing_key, of(&w.ca_pem), gh_slice(copy, i), &error) == NULL);
    }
    CHECK("for another certificate",
          gh_issuer_open(w.sealing_key, of(&w.root_pem), of(&w.sealed), &error) == NULL);
    memset(copy, 1, GH_ISSUER_KEY_BYTES);
    CHECK("under another key", gh_issuer_open(copy, of(&w.ca_pem), of(&w.sealed), &error) == NULL);
}

static void check_path(void)
{
    struct gh_certificate *leaf = gh_certificate_open(of(&w.leaf_pem), NULL),
                          *ca = gh_certificate_open(of(&w.ca_pem), NULL),
                          *middle = gh_certificate_open(of(&w.middle_pem), NULL),
                          *root = gh_certificate_open(of(&w.root_pem), NULL);
    REQUIRE("all open", leaf != NULL && ca != NULL && middle != NULL && root != NULL);
    CHECK("the leaf is sound", gh_lint_issued(leaf, GH_LINT_CLIENT) == NULL);
    CHECK("the CA is sound", gh_lint_issued(ca, GH_LINT_ANCHOR) == NULL);
    CHECK("and the one above", gh_lint_issued(middle, GH_LINT_ANCHOR) == NULL);
    const struct gh_certificate *both[] = {middle, ca};
    CHECK("a leaf is no CA", gh_lint(leaf, GH_LINT_ANCHOR) != NULL);
    CHECK("a client is no server", gh_lint(leaf, GH_LINT_SERVER) != NULL);
    const struct {
        const char *claim;
        const struct gh_certificate *anchor;
        size_t between; /* of `both` */
        int64_t at_s;
        enum gh_chain_purpose purpose;
        enum gh_chain_reason reason;
    } rows[] = {
        {"by the CA", ca, 0, now_s, GH_CHAIN_CLIENT, GH_CHAIN_SOUND},
        {"by the intermediate CA", middle, 2, now_s, GH_CHAIN_CLIENT, GH_CHAIN_SOUND},
        {"by the root, both between", root, 2, now_s, GH_CHAIN_CLIENT, GH_CHAIN_SOUND},
        {"by the root, one between", root, 1, now_s, GH_CHAIN_CLIENT, GH_CHAIN_UNTRUSTED},
        {"by the root, nothing between", root, 0, now_s, GH_CHAIN_CLIENT, GH_CHAIN_UNTRUSTED},
        {"at its last second", ca, 0, now_s + 7 * DAY_S, GH_CHAIN_CLIENT, GH_CHAIN_SOUND},
        {"a second later", ca, 0, now_s + 7 * DAY_S + 1, GH_CHAIN_CLIENT, GH_CHAIN_EXPIRED},
        {"before it begins", ca, 0, now_s - 61, GH_CHAIN_CLIENT, GH_CHAIN_NOT_YET_VALID},
        {"as a server", ca, 0, now_s, GH_CHAIN_SERVER, GH_CHAIN_UNSOUND},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        struct gh_chain_verdict verdict;
        struct gh_chain_question question = {.leaf = leaf,
                                             .others = both,
                                             .others_count = rows[i].between,
                                             .anchors = &rows[i].anchor,
                                             .anchors_count = 1,
                                             .purpose = rows[i].purpose,
                                             .now_s = rows[i].at_s};
        CHECK(rows[i].claim, gh_chain_verify(&question, &verdict) == rows[i].reason);
        CHECK("says why", verdict.detail[0] != '\0');
    }
    gh_certificate_close(leaf);
    gh_certificate_close(ca);
    gh_certificate_close(middle);
    gh_certificate_close(root);
}

/* What is remembered answers the same question only, and only while the path holds. */
static void check_memory(void)
{
    struct gh_certificate *leaf = gh_certificate_open(of(&w.leaf_pem), NULL),
                          *ca = gh_certificate_open(of(&w.ca_pem), NULL),
                          *middle = gh_certificate_open(of(&w.middle_pem), NULL),
                          *root = gh_certificate_open(of(&w.root_pem), NULL);
    REQUIRE("all open", leaf != NULL && ca != NULL && middle != NULL && root != NULL);
    const struct gh_certificate *others[] = {middle, ca}, *turned[] = {ca, middle};
    const struct gh_certificate *anchors[] = {middle, root}, *swapped[] = {root, middle};
    const struct gh_crl *lists[1] = {NULL};
    const struct gh_chain_question first = {.leaf = leaf, others, 2, anchors, 2, .now_s = now_s};
    const struct {
        const char *claim;
        struct gh_chain_question question;
        bool has_name;
    } rows[] = {
        {"another leaf", {.leaf = ca, others, 2, anchors, 2}, true},
        {"one shown less", {.leaf = leaf, others, 1, anchors, 2}, true},
        {"one shown that was an anchor", {.leaf = leaf, others, 2, anchors + 1, 1}, true},
        {"in another order", {.leaf = leaf, turned, 2, anchors, 2}, true},
        {"other numbers of anchors", {.leaf = leaf, others, 2, swapped, 2}, true},
        {"for a server", {.leaf = leaf, others, 2, anchors, 2, .purpose = GH_CHAIN_SERVER}, true},
        {"shorter paths", {.leaf = leaf, others, 2, anchors, 2, .intermediates_max = 1}, true},
        {"with lists", {.leaf = leaf, others, 2, anchors, 2, lists, 1}, false},
        {"for a host", {.leaf = leaf, others, 2, anchors, 2, .host = "a"}, false},
    };
    uint8_t name[GH_SHA256_BYTES], other[GH_SHA256_BYTES];
    struct gh_chain_verdict told, known;
    REQUIRE("a name", chain_name(&first, name));
    CHECK("not asked yet", !chain_recall(name, now_s, &known));
    REQUIRE("sound", gh_chain_verify(&first, &told) == GH_CHAIN_SOUND);
    REQUIRE("remembered", chain_recall(name, now_s, &known));
    CHECK("the same verdict", known.reason == told.reason && known.anchor == told.anchor &&
                                  strcmp(known.serial, told.serial) == 0 &&
                                  known.serial[0] != '\0');
    CHECK("for as long as the leaf holds",
          chain_recall(name, now_s - 60, &known) && chain_recall(name, now_s + 7 * DAY_S, &known));
    CHECK("not before", !chain_recall(name, now_s - 61, &known));
    CHECK("nor after", !chain_recall(name, now_s + 7 * DAY_S + 1, &known));
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        CHECK(rows[i].claim, chain_name(&rows[i].question, other) == rows[i].has_name);
        CHECK(rows[i].claim, !rows[i].has_name || memcmp(other, name, sizeof name) != 0);
    }
    gh_certificate_close(leaf);
    gh_certificate_close(ca);
    gh_certificate_close(middle);
    gh_certificate_close(root);
}

static void check_list(void)
{
    uint8_t block[64];
    struct gh_buffer serial = gh_buffer_fixed(block, sizeof block), der;
    struct gh_certificate *leaf = gh_certificate_open(of(&w.leaf_pem), NULL),
                          *ca = gh_certificate_open(of(&w.ca_pem), NULL),
                          *root = gh_certificate_open(of(&w.root_pem), NULL);
    REQUIRE("a serial", gh_certificate_print_serial(leaf, &serial));
    struct gh_revoked rows[] = {{of(&serial), 1, now_s - 5}, {GH_SLICE("1f"), 0, now_s - 9}};
    gh_buffer_init(&der, PEM_MAX);
    REQUIRE("a list", gh_issuer_crl(w.issuer, 7, (struct gh_validity){now_s, now_s + DAY_S}, rows,
                                    2, &der, NULL) == GH_OK);
    struct gh_crl *crl = gh_crl_open(of(&der), NULL);
    REQUIRE("it opens", crl != NULL);
    CHECK("number", gh_crl_number(crl) == 7);
    CHECK("two", gh_crl_count(crl) == 2);
    CHECK("of the CA", gh_crl_signed_by(crl, ca) && !gh_crl_signed_by(crl, root));
    CHECK("lists the leaf", gh_crl_lists(crl, leaf) && gh_crl_lists_serial(crl, of(&serial)));
    CHECK("and the other", gh_crl_lists_serial(crl, GH_SLICE("1f")));
    CHECK("and no third", !gh_crl_lists_serial(crl, GH_SLICE("1e")));
    const struct gh_certificate *anchor = ca;
    const struct gh_crl *lists = crl;
    struct gh_chain_verdict verdict;
    struct gh_chain_question question = {.leaf = leaf,
                                         .anchors = &anchor,
                                         .anchors_count = 1,
                                         .crls = &lists,
                                         .crls_count = 1,
                                         .now_s = now_s};
    CHECK("revoked", gh_chain_verify(&question, &verdict) == GH_CHAIN_REVOKED);
    for (size_t cut = 0; cut < der.size; cut++)
        CHECK("a cut list is none", gh_crl_open(gh_slice(der.data, cut), NULL) == NULL);
    gh_crl_close(crl);
    gh_buffer_deinit(&der);
    gh_certificate_close(leaf);
    gh_certificate_close(ca);
    gh_certificate_close(root);
}

/* The answer as who asked reads it: at its time, about its certificate, from its CA, and whole. */
static void check_answers(struct gh_slice request, struct gh_slice good, struct gh_slice serial)
{
    uint8_t copy[PEM_MAX];
    struct gh_buffer asked, revoked;
    struct gh_ocsp_answer got, bad = {.status = GH_OCSP_REVOKED,
                                      .reason = 4,
                                      .revoked_at_s = now_s - 5,
                                      .validity = {now_s, now_s + 60}};
    gh_buffer_init(&asked, PEM_MAX);
    gh_buffer_init(&revoked, PEM_MAX);
    CHECK("by its number the same is asked",
          gh_ocsp_ask_serial(serial, of(&w.ca_pem), &asked, NULL) == GH_OK &&
              gh_slice_equal(of(&asked), request));
    CHECK("good", gh_ocsp_check(good, of(&w.ca_pem), serial, now_s, &got, NULL) == GH_OK &&
                      got.status == GH_OCSP_GOOD && got.validity.to_s == now_s + 60);
    CHECK("too late", gh_ocsp_check(good, of(&w.ca_pem), serial, now_s + 61 + GH_OCSP_SKEW_S, &got,
                                    NULL) == GH_ERROR_INVALID);
    CHECK("too early", gh_ocsp_check(good, of(&w.ca_pem), serial, now_s - 1 - GH_OCSP_SKEW_S, &got,
                                     NULL) == GH_ERROR_INVALID);
    CHECK("of another", gh_ocsp_check(good, of(&w.ca_pem), GH_SLICE("1234"), now_s, &got, NULL) ==
                            GH_ERROR_INVALID);
    CHECK("of another CA",
          gh_ocsp_check(good, of(&w.root_pem), serial, now_s, &got, NULL) == GH_ERROR_INVALID);
    CHECK("no number",
          gh_ocsp_check(good, of(&w.ca_pem), GH_SLICE("x"), now_s, &got, NULL) == GH_ERROR_INVALID);
    REQUIRE("revoked", gh_ocsp_sign(w.issuer, request, &bad, &revoked, NULL) == GH_OK);
    CHECK("revoked",
          gh_ocsp_check(of(&revoked), of(&w.ca_pem), serial, now_s, &got, NULL) == GH_OK &&
              got.status == GH_OCSP_REVOKED && got.reason == 4 && got.revoked_at_s == now_s - 5);
    memcpy(copy, good.data, good.size);
    for (size_t i = 0; i < good.size; i++) {
        copy[i] ^= 1;
        CHECK("one bit off never says more", gh_ocsp_check(gh_slice(copy, good.size), of(&w.ca_pem),
                                                           serial, now_s, &got, NULL) != GH_OK ||
                                                 got.status == GH_OCSP_GOOD);
        copy[i] ^= 1;
        CHECK("cut", gh_ocsp_check(gh_slice(copy, i), of(&w.ca_pem), serial, now_s, &got, NULL) ==
                         GH_ERROR_INVALID);
    }
    gh_buffer_deinit(&asked);
    gh_buffer_deinit(&revoked);
}

static void check_responder(void)
{
    char serial[GH_OCSP_SERIAL_MAX];
    struct gh_buffer request, answer;
    struct gh_ocsp_answer good = {.status = GH_OCSP_GOOD, .validity = {now_s, now_s + 60}};
    gh_buffer_init(&request, PEM_MAX);
    gh_buffer_init(&answer, PEM_MAX);
    REQUIRE("a request", gh_ocsp_ask(of(&w.leaf_pem), of(&w.ca_pem), &request, NULL) == GH_OK);
    CHECK("is read", gh_ocsp_read(of(&request), of(&w.ca_pem), serial, NULL) == GH_OK);
    CHECK("is another CA's",
          gh_ocsp_read(of(&request), of(&w.root_pem), serial, NULL) == GH_ERROR_NOT_FOUND);
    CHECK("is answered", gh_ocsp_sign(w.issuer, of(&request), &good, &answer, NULL) == GH_OK);
    CHECK("by its CA alone", gh_ocsp_sign(w.root, of(&request), &good, &answer, NULL) != GH_OK);
    REQUIRE("read again", gh_ocsp_read(of(&request), of(&w.ca_pem), serial, NULL) == GH_OK);
    check_answers(of(&request), of(&answer), gh_slice_text(serial));
    for (size_t cut = 0; cut < request.size; cut++)
        CHECK("a cut request is none", gh_ocsp_read(gh_slice(request.data, cut), of(&w.ca_pem),
                                                    serial, NULL) == GH_ERROR_INVALID);
    gh_buffer_deinit(&request);
    gh_buffer_deinit(&answer);
}

int main(void)
{
    make();
    check_seal();
    check_path();
    check_memory();
    check_list();
    check_responder();
    gh_authority_close(w.issuer);
    gh_authority_close(w.middle);
    gh_authority_close(w.root);
    struct gh_buffer *all[] = {&w.root_pem, &w.root_key, &w.middle_pem, &w.middle_key,
                               &w.ca_pem,   &w.sealed,   &w.leaf_pem,   &w.public_pem};
    for (size_t i = 0; i < GH_COUNT(all); i++)
        gh_buffer_deinit(all[i]);
    return check_report();
}
