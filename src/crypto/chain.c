#include "crypto/chain.h"
#include "crypto/chain_internal.h"
#include "crypto/lint.h"
#include "crypto/openssl_internal.h"
#include <arpa/inet.h>
#include <assert.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>

enum { AUTH_LEVEL = 2, SUBJECT_MAX = 96 };

static enum gh_chain_reason say(struct gh_chain_verdict *out, enum gh_chain_reason reason,
                                const char *format, ...) GH_PRINTF(3, 4);

static enum gh_chain_reason say(struct gh_chain_verdict *out, enum gh_chain_reason reason,
                                const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(out->detail, sizeof out->detail, format, arguments);
    va_end(arguments);
    out->reason = reason;
    return reason;
}

/* Its subject in quotes, for the operator; cut. */
static const char *named(X509 *certificate, char block[SUBJECT_MAX])
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    block[0] = '\0';
    if (bio != NULL &&
        X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0) {
        long size = BIO_get_mem_data(bio, &text);
        (void)snprintf(block, SUBJECT_MAX, "\"%.*s\"", (int)size, size > 0 ? text : "");
    }
    BIO_free(bio);
    return block;
}

/* OpenSSL's verdicts that have a reason of their own; all others are UNSOUND. */
static const struct {
    int error;
    enum gh_chain_reason reason;
} reasons[] = {
    {X509_V_ERR_CERT_HAS_EXPIRED, GH_CHAIN_EXPIRED},
    {X509_V_ERR_CERT_NOT_YET_VALID, GH_CHAIN_NOT_YET_VALID},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, GH_CHAIN_UNTRUSTED},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, GH_CHAIN_UNTRUSTED},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, GH_CHAIN_UNTRUSTED},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, GH_CHAIN_UNTRUSTED},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, GH_CHAIN_UNTRUSTED},
    {X509_V_ERR_CERT_SIGNATURE_FAILURE, GH_CHAIN_UNTRUSTED},
    {X509_V_ERR_CERT_UNTRUSTED, GH_CHAIN_UNTRUSTED},
    {X509_V_ERR_HOSTNAME_MISMATCH, GH_CHAIN_HOST},
    {X509_V_ERR_IP_ADDRESS_MISMATCH, GH_CHAIN_HOST},
    {X509_V_ERR_OUT_OF_MEM, GH_CHAIN_MEMORY},
};

static enum gh_chain_reason refused(X509_STORE_CTX *path, struct gh_chain_verdict *out)
{
    char block[SUBJECT_MAX];
    int error = X509_STORE_CTX_get_error(path);
    X509 *at = X509_STORE_CTX_get_current_cert(path);
    enum gh_chain_reason reason = GH_CHAIN_UNSOUND;
    for (size_t i = 0; i < GH_COUNT(reasons); i++)
        if (reasons[i].error == error)
            reason = reasons[i].reason;
    return say(out, reason, "%s%s%s", at == NULL ? "" : named(at, block), at == NULL ? "" : ": ",
               X509_verify_cert_error_string(error));
}

static bool set_host(X509_VERIFY_PARAM *rules, const char *host)
{
    uint8_t address[sizeof(struct in6_addr)];
    /* A common name is no host name, neither for the host asked for nor for name constraints. */
    X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (host == NULL)
        return true;
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(rules, host) == 1;
    return X509_VERIFY_PARAM_set1_host(rules, host, 0) == 1;
}

static bool set_rules(X509_STORE_CTX *path, const struct gh_chain_question *question)
{
    X509_VERIFY_PARAM *rules = X509_STORE_CTX_get0_param(path);
    bool is_server = question->purpose == GH_CHAIN_SERVER;
    int depth = question->intermediates_max;
    /* The registered anchor is trusted whether or not it signed itself. */
    (void)X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_X509_STRICT | X509_V_FLAG_PARTIAL_CHAIN |
                                                 X509_V_FLAG_CHECK_SS_SIGNATURE);
    X509_VERIFY_PARAM_set_depth(rules, depth == 0  ? GH_CHAIN_INTERMEDIATES_MAX
                                       : depth < 0 ? 0
                                                   : depth);
    X509_VERIFY_PARAM_set_auth_level(rules, AUTH_LEVEL);
    X509_VERIFY_PARAM_set_time(rules, (time_t)question->now_s);
    return X509_VERIFY_PARAM_set_purpose(rules, is_server ? X509_PURPOSE_SSL_SERVER
                                                          : X509_PURPOSE_SSL_CLIENT) == 1 &&
           set_host(rules, question->host);
}

static X509_STORE *anchors_of(const struct gh_chain_question *question)
{
    X509_STORE *store = X509_STORE_new();
    for (size_t i = 0; store != NULL && i < question->anchors_count; i++)
        if (X509_STORE_add_cert(store, gh_certificate_native(question->anchors[i])) != 1) {
            X509_STORE_free(store);
            return NULL;
        }
    return store;
}

/* What the peer showed, without what was tried in vain. */
static STACK_OF(X509) * others_of(const struct gh_chain_question *question, const bool *excluded)
{
    STACK_OF(X509) *others = sk_X509_new_null();
    for (size_t i = 0; others != NULL && i < question->others_count; i++)
        if (!excluded[i] && sk_X509_push(others, gh_certificate_native(question->others[i])) <= 0) {
            sk_X509_free(others);
            return NULL;
        }
    return others;
}

/* A certificate holds to the end of its last second (RFC 5280 §4.1.2.5); OpenSSL leaves that second
 * out. */
static int allow_last_second(int is_good, X509_STORE_CTX *path)
{
    X509 *at = X509_STORE_CTX_get_current_cert(path);
    time_t now = X509_VERIFY_PARAM_get_time(X509_STORE_CTX_get0_param(path));
    if (is_good || at == NULL || X509_STORE_CTX_get_error(path) != X509_V_ERR_CERT_HAS_EXPIRED)
        return is_good;
    return ASN1_TIME_cmp_time_t(X509_get0_notAfter(at), now) == 0;
}

/* --- what OpenSSL does not look at */

static enum gh_chain_reason lint_path(STACK_OF(X509) * path,
                                      const struct gh_chain_question *question,
                                      struct gh_chain_verdict *out)
{
    char block[SUBJECT_MAX];
    int count = sk_X509_num(path);
    for (int i = 0; i < count; i++) {
        X509 *native = sk_X509_value(path, i);
        enum gh_lint_role role = i > 0 && i + 1 == count                ? GH_LINT_ANCHOR
                                 : i > 0                                ? GH_LINT_ISSUER
                                 : question->purpose == GH_CHAIN_SERVER ? GH_LINT_SERVER
                                                                        : GH_LINT_CLIENT;
        struct gh_certificate *certificate = gh_certificate_adopt(native);
        if (certificate == NULL)
            return say(out, GH_CHAIN_MEMORY, "no memory for a certificate");
        const char *broken = gh_lint(certificate, role);
        gh_certificate_close(certificate);
        if (broken != NULL)
            return say(out, GH_CHAIN_UNSOUND, "%s: %s", named(native, block), broken);
    }
    return GH_CHAIN_SOUND;
}

/* One certificate against the lists of its issuer. A list that has run out proves nothing. */
static enum gh_chain_reason check_lists(const struct gh_chain_question *question,
                                        const struct gh_certificate *certificate,
                                        const struct gh_certificate *issuer,
                                        struct gh_chain_verdict *out)
{
    char block[SUBJECT_MAX];
    for (size_t i = 0; i < question->crls_count; i++) {
        const struct gh_crl *crl = question->crls[i];
        if (!gh_crl_named_by(crl, issuer))
            continue;
        const char *name = named(gh_certificate_native(certificate), block);
        if (!gh_crl_signed_by(crl, issuer))
            return say(out, GH_CHAIN_UNSOUND,
                       "%s: the revocation list of its issuer is not signed by it", name);
        if (gh_crl_lists(crl, certificate))
            return say(out, GH_CHAIN_REVOKED, "%s is on its issuer's revocation list", name);
        if (gh_crl_next_update_s(crl) < question->now_s)
            return say(out, GH_CHAIN_CRL_EXPIRED,
                       "%s: the revocation list of its issuer has run out", name);
    }
    return GH_CHAIN_SOUND;
}

static enum gh_chain_reason check_revocation(STACK_OF(X509) * path,
                                             const struct gh_chain_question *question,
                                             struct gh_chain_verdict *out)
{
    enum gh_chain_reason reason = GH_CHAIN_SOUND;
    for (int i = 0; reason == GH_CHAIN_SOUND && i + 1 < sk_X509_num(path); i++) {
        struct gh_certificate *certificate = gh_certificate_adopt(sk_X509_value(path, i)),
                              *issuer = gh_certificate_adopt(sk_X509_value(path, i + 1));
        reason = certificate == NULL || issuer == NULL
                     ? say(out, GH_CHAIN_MEMORY, "no memory for a certificate")
                     : check_lists(question, certificate, issuer, out);
        gh_certificate_close(certificate);
        gh_certificate_close(issuer);
    }
    return reason;
}

static size_t find_anchor(X509 *last, const struct gh_chain_question *question)
{
    for (size_t i = 0; i < question->anchors_count; i++)
        if (X509_cmp(last, gh_certificate_native(question->anchors[i])) == 0)
            return i;
    assert(false && "the path ends at an anchor");
    return 0;
}

static bool find_dates(STACK_OF(X509) * path, struct gh_chain_verdict *out)
{
    out->from_s = INT64_MIN;
    out->to_s = INT64_MAX;
    for (int i = 0; i < sk_X509_num(path); i++) {
        int64_t from_s, to_s;
        if (!gh_time_read(X509_get0_notBefore(sk_X509_value(path, i)), &from_s) ||
            !gh_time_read(X509_get0_notAfter(sk_X509_value(path, i)), &to_s))
            return false;
        out->from_s = from_s > out->from_s ? from_s : out->from_s;
        out->to_s = to_s < out->to_s ? to_s : out->to_s;
    }
    return true;
}

static enum gh_chain_reason walk(X509_STORE_CTX *path, const struct gh_chain_question *question,
                                 struct gh_chain_verdict *out)
{
    if (X509_verify_cert(path) != 1)
        return refused(path, out);
    STACK_OF(X509) *built = X509_STORE_CTX_get0_chain(path);
    enum gh_chain_reason reason = lint_path(built, question, out);
    if (reason == GH_CHAIN_SOUND)
        reason = check_revocation(built, question, out);
    if (reason != GH_CHAIN_SOUND)
        return reason;
    if (!find_dates(built, out))
        return say(out, GH_CHAIN_UNSOUND, "a date cannot be read");
    int last = sk_X509_num(built) - 1;
    struct gh_buffer serial = gh_buffer_fixed(out->serial, sizeof out->serial - 1);
    out->anchor = find_anchor(sk_X509_value(built, last), question);
    if (last > 0 &&
        !gh_serial_print(X509_get0_serialNumber(sk_X509_value(built, last - 1)), &serial))
        return say(out, GH_CHAIN_MEMORY, "no memory for a serial number");
    out->serial[serial.size] = '\0';
    return say(out, GH_CHAIN_SOUND, "sound");
}

/* One attempt; `path` is left for whoever wants to know where it went. */
static enum gh_chain_reason attempt(X509_STORE_CTX *path, X509_STORE *store,
                                    STACK_OF(X509) * others,
                                    const struct gh_chain_question *question,
                                    struct gh_chain_verdict *out)
{
    if (others == NULL || path == NULL ||
        X509_STORE_CTX_init(path, store, gh_certificate_native(question->leaf), others) != 1 ||
        !set_rules(path, question))
        return say(out, GH_CHAIN_MEMORY, "the path cannot be set up");
    X509_STORE_CTX_set_verify_cb(path, allow_last_second);
    return walk(path, question, out);
}

/* Excludes the last of the peer's certificates on a path that led nowhere; false when there is none
 * on it. */
static bool exclude_last(X509_STORE_CTX *path, const struct gh_chain_question *question,
                         bool *excluded)
{
    STACK_OF(X509) *built = X509_STORE_CTX_get0_chain(path);
    for (int at = sk_X509_num(built) - 1; at > 0; at--)
        for (size_t i = 0; i < question->others_count; i++)
            if (!excluded[i] && X509_cmp(sk_X509_value(built, at),
                                         gh_certificate_native(question->others[i])) == 0) {
                excluded[i] = true;
                return true;
            }
    return false;
}

/* OpenSSL follows one way and does not turn back, so each way that fails is closed and the search
 * begins anew; a peer's few certificates bound it. The first verdict stands when none is better. */
static enum gh_chain_reason search(const struct gh_chain_question *question,
                                   struct gh_chain_verdict *out)
{
    bool excluded[GH_CHAIN_OTHERS_MAX] = {false}, again = true;
    *out = (struct gh_chain_verdict){.reason = GH_CHAIN_MEMORY};
    if (question->others_count > GH_CHAIN_OTHERS_MAX)
        return say(out, GH_CHAIN_UNSOUND, "more than %d certificates are shown",
                   GH_CHAIN_OTHERS_MAX);
    X509_STORE *store = anchors_of(question);
    if (store == NULL)
        return say(out, GH_CHAIN_MEMORY, "no memory for the anchors");
    for (int i = 0; again && i < GH_CHAIN_ATTEMPTS_MAX; i++) {
        struct gh_chain_verdict verdict;
        X509_STORE_CTX *path = X509_STORE_CTX_new();
        STACK_OF(X509) *others = others_of(question, excluded);
        enum gh_chain_reason reason = attempt(path, store, others, question, &verdict);
        if (i == 0 || reason == GH_CHAIN_SOUND)
            *out = verdict;
        again = reason != GH_CHAIN_SOUND && reason != GH_CHAIN_MEMORY &&
                exclude_last(path, question, excluded);
        X509_STORE_CTX_free(path);
        sk_X509_free(others);
    }
    X509_STORE_free(store);
    ERR_clear_error();
    return out->reason;
}

enum gh_chain_reason gh_chain_verify(const struct gh_chain_question *question,
                                     struct gh_chain_verdict *out)
{
    uint8_t name[GH_SHA256_BYTES];
    bool has_name = chain_name(question, name);
    if (has_name && chain_recall(name, question->now_s, out))
        return GH_CHAIN_SOUND;
    if (search(question, out) == GH_CHAIN_SOUND && has_name)
        chain_remember(name, out);
    return out->reason;
}
