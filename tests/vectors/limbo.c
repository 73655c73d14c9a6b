/* Certification paths (x509-limbo's format), decided by crypto/chain.h as for a device CA: the same
 * function judges a device's certificate at sign-in and a server's in front of the linter.
 *
 * Differences are two kinds, each counted as unsupported and never an acceptance of what is
 * invalid. Where the set itself holds two answers, one by RFC 5280 and one by the rules of the
 * public web, the house follows the RFC or, when that is the safer one, the web; the case that says
 * otherwise is named in `conflicts_with`. And the linter is stricter than RFC 5280 in the rules of
 * `stricter`. */
#include "crypto/chain.h"
#include "crypto/lint.h"
#include "tests/vectors/vectors.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CERTIFICATES_MAX = 256 };

/* Rules of the linter (the end of their words) that refuse what RFC 5280 allows. */
static const struct {
    const char *words, *why;
} stricter[] = {
    {"it is a CA and no leaf", "a device or server is never a CA: a stolen one could make others"},
    {"unsuitable certificate purpose", "a CA in the place of a leaf has no key usage of one"},
    {"it has no authority key identifier", "not even a cross-signed anchor may lack it"},
};

struct chain_case {
    struct gh_certificate *certificates[CERTIFICATES_MAX];
    struct gh_crl *crls[8];
    size_t count, crls_count;
    bool readable;
    char detail[GH_CHAIN_DETAIL_MAX];
};

static struct gh_certificate *open_one(struct chain_case *c, struct gh_slice pem)
{
    struct gh_error error = {0};
    struct gh_certificate *certificate =
        c->count < CERTIFICATES_MAX ? gh_certificate_open(pem, &error) : NULL;
    if (certificate == NULL) {
        c->readable = false;
        (void)snprintf(c->detail, sizeof c->detail, "%.200s", error.text);
    } else {
        c->certificates[c->count++] = certificate;
    }
    return certificate;
}

static size_t open_list(struct chain_case *c, const json_t *list)
{
    size_t before = c->count;
    for (size_t i = 0; i < json_array_size(list); i++)
        (void)open_one(c, gh_slice_text(json_string_value(json_array_get(list, i))));
    return c->count - before;
}

static void open_crls(struct chain_case *c, const json_t *list)
{
    struct gh_error error = {0};
    for (size_t i = 0; i < json_array_size(list) && c->crls_count < GH_COUNT(c->crls); i++) {
        struct gh_crl *crl =
            gh_crl_open(gh_slice_text(json_string_value(json_array_get(list, i))), &error);
        if (crl != NULL) {
            c->crls[c->crls_count++] = crl;
            continue;
        }
        c->readable = false;
        (void)snprintf(c->detail, sizeof c->detail, "%.200s", error.text);
    }
}

/* "2024-03-01T00:00:00.999+00:00"; without one, now. Whole seconds, as certificates have them. */
static int64_t time_of(const json_t *item)
{
    const char *text = json_string_value(json_object_get(item, "validation_time"));
    struct tm parts = {0};
    if (text == NULL || strptime(text, "%Y-%m-%dT%H:%M:%S", &parts) == NULL)
        return (int64_t)time(NULL);
    return timegm(&parts);
}

static enum gh_chain_reason ask(struct chain_case *c, const json_t *item)
{
    struct gh_chain_verdict verdict = {.reason = GH_CHAIN_UNSOUND};
    const json_t *depth = json_object_get(item, "max_chain_depth"),
                 *name = json_object_get(item, "expected_peer_name");
    bool is_client = gh_slice_equal(vectors_text(item, "validation_kind"), GH_SLICE("CLIENT"));
    c->readable = true;
    size_t anchors = open_list(c, json_object_get(item, "trusted_certs"));
    size_t others = open_list(c, json_object_get(item, "untrusted_intermediates"));
    struct gh_certificate *leaf = open_one(c, vectors_text(item, "peer_certificate"));
    open_crls(c, json_object_get(item, "crls"));
    if (!c->readable || leaf == NULL)
        return GH_CHAIN_UNSOUND;
    struct gh_chain_question question = {
        .leaf = leaf,
        .anchors = (const struct gh_certificate *const *)c->certificates,
        .anchors_count = anchors,
        .others = (const struct gh_certificate *const *)c->certificates + anchors,
        .others_count = others,
        .crls = (const struct gh_crl *const *)c->crls,
        .crls_count = c->crls_count,
        .purpose = is_client ? GH_CHAIN_CLIENT : GH_CHAIN_SERVER,
        .host = is_client ? NULL : json_string_value(json_object_get(name, "value")),
        .now_s = time_of(item)};
    if (json_is_integer(depth))
        question.intermediates_max =
            json_integer_value(depth) == 0 ? -1 : (int)json_integer_value(depth);
    enum gh_chain_reason reason = gh_chain_verify(&question, &verdict);
    (void)snprintf(c->detail, sizeof c->detail, "%.200s", verdict.detail);
    return reason;
}

static const char *difference(const json_t *item, const struct chain_case *c, bool accepted,
                              bool expected)
{
    if (accepted == expected)
        return NULL;
    if (json_array_size(json_object_get(item, "conflicts_with")) > 0)
        return "the set has the opposite answer too, by other rules";
    for (size_t i = 0; i < GH_COUNT(stricter) && !accepted; i++)
        if (gh_slice_ends(gh_slice_text(c->detail), gh_slice_text(stricter[i].words)))
            return stricter[i].why;
    return NULL;
}

static void run_case(struct set *set, const json_t *item)
{
    static struct chain_case c;
    c = (struct chain_case){0};
    const char *id = json_string_value(json_object_get(item, "id"));
    bool accepted = ask(&c, item) == GH_CHAIN_SOUND;
    bool expected = gh_slice_equal(vectors_text(item, "expected_result"), GH_SLICE("SUCCESS"));
    const char *why = difference(item, &c, accepted, expected);
    if (why != NULL)
        printf("difference: %s %s: %s (%s)\n", set->name, id, accepted ? "accepted" : "refused",
               why);
    vectors_judge(set, id, c.detail, expected ? EXPECT_ACCEPT : EXPECT_REJECT,
                  why != NULL ? vectors_unsupported(why)
                  : accepted  ? ANSWER_ACCEPT
                              : ANSWER_REJECT);
    for (size_t i = 0; i < c.count; i++)
        gh_certificate_close(c.certificates[i]);
    for (size_t i = 0; i < c.crls_count; i++)
        gh_crl_close(c.crls[i]);
}

bool vectors_limbo(struct set *set, const json_t *file)
{
    const json_t *cases = json_object_get(file, "testcases"), *item;
    size_t index;
    if (!json_is_array(cases) ||
        json_object_get(json_array_get(cases, 0), "peer_certificate") == NULL)
        return false;
    json_array_foreach(cases, index, item)
    {
        run_case(set, item);
    }
    return true;
}
