#include "crypto/lint.h"
#include "crypto/lint_internal.h"
#include "crypto/openssl_internal.h"
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

enum {
    CAS = GH_LINT_ANCHOR | GH_LINT_ISSUER,
    LEAVES = GH_LINT_CLIENT | GH_LINT_SERVER,
    ALL = CAS | LEAVES,
    SERIAL_OCTETS_MAX = 20,
};

struct subject {
    X509 *x;
    uint32_t flags; /* EXFLAG_* */
    enum gh_lint_role role;
};

/* --- the certificate itself */

static bool bad_version(const struct subject *s)
{
    return X509_get_version(s->x) != X509_VERSION_3;
}

static bool bad_serial(const struct subject *s)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(s->x);
    BIGNUM *number = ASN1_INTEGER_to_BN(serial, NULL);
    /* The octets of the DER, where a leading zero is one. */
    bool bad = number == NULL || BN_is_negative(number) || BN_is_zero(number) ||
               BN_num_bits(number) / 8 + 1 > SERIAL_OCTETS_MAX;
    BN_free(number);
    return bad;
}

static bool bad_key(const struct subject *s)
{
    EVP_PKEY *key = X509_get0_pubkey(s->x);
    int type = key == NULL ? EVP_PKEY_NONE : EVP_PKEY_get_base_id(key), is_explicit = 0;
    int bits = key == NULL ? 0 : EVP_PKEY_get_bits(key);
    char group[64] = "";
    if (type == EVP_PKEY_ED25519)
        return false;
    if (type == EVP_PKEY_RSA)
        return bits < GH_KEY_RSA_BITS_MIN || bits > GH_KEY_RSA_BITS_MAX || bits % 8 != 0;
    if (type != EVP_PKEY_EC)
        return true;
    (void)EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
                                 &is_explicit);
    (void)EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group,
                                         NULL);
    struct gh_slice name = gh_slice_text(group);
    return is_explicit != 0 || (!gh_slice_equal(name, GH_SLICE(SN_X9_62_prime256v1)) &&
                                !gh_slice_equal(name, GH_SLICE(SN_secp384r1)));
}

static bool bad_algorithm(const struct subject *s)
{
    const X509_ALGOR *outer;
    X509_get0_signature(NULL, &outer, s->x);
    return X509_ALGOR_cmp(outer, X509_get0_tbs_sigalg(s->x)) != 0;
}

static bool empty_subject(const struct subject *s)
{
    return X509_NAME_entry_count(X509_get_subject_name(s->x)) == 0;
}

static bool empty_issuer(const struct subject *s)
{
    return X509_NAME_entry_count(X509_get_issuer_name(s->x)) == 0;
}

/* --- extensions as such */

static bool repeated_extension(const struct subject *s)
{
    int count = X509_get_ext_count(s->x);
    for (int i = 0; i < count; i++) {
        const ASN1_OBJECT *id = X509_EXTENSION_get_object(X509_get_ext(s->x, i));
        if (X509_get_ext_by_OBJ(s->x, id, i) >= 0)
            return true;
    }
    return false;
}

static bool damaged_extension(const struct subject *s)
{
    if ((s->flags & EXFLAG_INVALID) != 0)
        return true;
    for (int i = 0; i < X509_get_ext_count(s->x); i++) {
        X509_EXTENSION *extension = X509_get_ext(s->x, i);
        if (X509V3_EXT_get(extension) == NULL)
            continue; /* unknown to OpenSSL: cannot be read */
        void *value = X509V3_EXT_d2i(extension);
        if (value == NULL)
            return true;
        const X509V3_EXT_METHOD *method = X509V3_EXT_get(extension);
        if (method->it != NULL)
            ASN1_item_free(value, ASN1_ITEM_ptr(method->it));
        else
            method->ext_free(value);
    }
    return false;
}

static bool unknown_critical(const struct subject *s)
{
    return (s->flags & EXFLAG_CRITICAL) != 0;
}

/* -1: absent, else whether it is critical. */
static int criticality(const struct subject *s, int nid)
{
    int at = X509_get_ext_by_NID(s->x, nid, -1);
    return at < 0 ? -1 : X509_EXTENSION_get_critical(X509_get_ext(s->x, at));
}

/* Extensions whose criticality RFC 5280 §4.2 leaves no choice. */
static const struct {
    int nid;
    bool critical;
    unsigned roles;
} criticalities[] = {
    {NID_authority_key_identifier, false, ALL},
    {NID_subject_key_identifier, false, ALL},
    {NID_info_access, false, ALL},
    {NID_sinfo_access, false, ALL},
    {NID_basic_constraints, true, CAS},
    {NID_name_constraints, true, CAS},
    {NID_policy_constraints, true, CAS},
    {NID_inhibit_any_policy, true, CAS},
    {NID_freshest_crl, false, ALL},
    {NID_ext_key_usage, false, LEAVES},
};

static bool wrong_criticality(const struct subject *s)
{
    for (size_t i = 0; i < GH_COUNT(criticalities); i++) {
        int is = criticality(s, criticalities[i].nid);
        if ((criticalities[i].roles & s->role) != 0 && is >= 0 &&
            (is != 0) != criticalities[i].critical)
            return true;
    }
    return false;
}

/* --- what it may do */

static bool no_ca(const struct subject *s)
{
    return (s->flags & EXFLAG_BCONS) == 0 || (s->flags & EXFLAG_CA) == 0;
}

static bool is_ca(const struct subject *s)
{
    return (s->flags & EXFLAG_CA) != 0;
}

static bool odd_path_length(const struct subject *s)
{
    BASIC_CONSTRAINTS *value = X509_get_ext_d2i(s->x, NID_basic_constraints, NULL, NULL);
    bool odd = value != NULL && value->pathlen != NULL &&
               (!value->ca || (value->pathlen->type & V_ASN1_NEG) != 0);
    BASIC_CONSTRAINTS_free(value);
    return odd;
}

static bool may_not_certify(const struct subject *s)
{
    return (s->flags & EXFLAG_KUSAGE) != 0 && (X509_get_key_usage(s->x) & KU_KEY_CERT_SIGN) == 0;
}

static bool empty_usage(const struct subject *s)
{
    return (s->flags & EXFLAG_KUSAGE) != 0 && X509_get_key_usage(s->x) == 0;
}

static bool leaf_certifies(const struct subject *s)
{
    return (s->flags & EXFLAG_KUSAGE) != 0 &&
           (X509_get_key_usage(s->x) & (KU_KEY_CERT_SIGN | KU_CRL_SIGN)) != 0;
}

static bool leaf_signs_nothing(const struct subject *s)
{
    return (s->flags & EXFLAG_KUSAGE) != 0 &&
           (X509_get_key_usage(s->x) & KU_DIGITAL_SIGNATURE) == 0;
}

static bool wrong_purpose(const struct subject *s)
{
    uint32_t wanted = s->role == GH_LINT_SERVER ? XKU_SSL_SERVER : XKU_SSL_CLIENT;
    return (s->flags & EXFLAG_XKUSAGE) != 0 && (X509_get_extended_key_usage(s->x) & wanted) == 0;
}

static bool any_purpose(const struct subject *s)
{
    return (s->flags & EXFLAG_XKUSAGE) != 0 &&
           (X509_get_extended_key_usage(s->x) & XKU_ANYEKU) != 0;
}

/* --- key identifiers (RFC 5280 §4.2.1.1, §4.2.1.2) */

static bool is_self_issued(const struct subject *s)
{
    return (s->flags & EXFLAG_SI) != 0;
}

static bool no_authority_key(const struct subject *s)
{
    return !is_self_issued(s) && X509_get0_authority_key_id(s->x) == NULL;
}

static bool authority_by_serial(const struct subject *s)
{
    return X509_get_ext_by_NID(s->x, NID_authority_key_identifier, -1) >= 0 &&
           (X509_get0_authority_key_id(s->x) == NULL || X509_get0_authority_serial(s->x) != NULL ||
            X509_get0_authority_issuer(s->x) != NULL);
}

static bool other_authority_key(const struct subject *s)
{
    const ASN1_OCTET_STRING *own = X509_get0_subject_key_id(s->x),
                            *issuer = X509_get0_authority_key_id(s->x);
    return is_self_issued(s) && own != NULL && issuer != NULL &&
           ASN1_OCTET_STRING_cmp(own, issuer) != 0;
}

static bool no_subject_key(const struct subject *s)
{
    return X509_get0_subject_key_id(s->x) == NULL;
}

/* --- constraints and names; lint_names.c */

static bool leaf_constrains(const struct subject *s)
{
    return criticality(s, NID_name_constraints) >= 0;
}

static bool bad_constraints(const struct subject *s)
{
    NAME_CONSTRAINTS *value = X509_get_ext_d2i(s->x, NID_name_constraints, NULL, NULL);
    bool bad = value != NULL && !lint_constraints_sound(value);
    NAME_CONSTRAINTS_free(value);
    return bad;
}

static bool bad_policy_constraints(const struct subject *s)
{
    POLICY_CONSTRAINTS *value = X509_get_ext_d2i(s->x, NID_policy_constraints, NULL, NULL);
    bool bad = value != NULL && value->requireExplicitPolicy == NULL &&
               value->inhibitPolicyMapping == NULL;
    POLICY_CONSTRAINTS_free(value);
    return bad;
}

static bool bad_names(const struct subject *s)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(s->x, NID_subject_alt_name, NULL, NULL);
    bool bad = names != NULL && !lint_names_sound(names);
    GENERAL_NAMES_free(names);
    return bad;
}

static bool nameless(const struct subject *s)
{
    return empty_subject(s) && criticality(s, NID_subject_alt_name) != 1;
}

static bool critical_beside_subject(const struct subject *s)
{
    return !empty_subject(s) && criticality(s, NID_subject_alt_name) == 1;
}

static bool other_common_name(const struct subject *s)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(s->x, NID_subject_alt_name, NULL, NULL);
    bool other = !lint_common_names_repeat(X509_get_subject_name(s->x), names);
    GENERAL_NAMES_free(names);
    return other;
}

static bool without_alternative_name(const struct subject *s)
{
    return criticality(s, NID_subject_alt_name) < 0;
}

static const struct rule {
    const char *words;
    bool (*broken)(const struct subject *s);
    unsigned roles;
} rules[] = {
    {"it is not of version 3", bad_version, ALL},
    {"its serial number is zero, negative or longer than 20 octets", bad_serial, ALL},
    {"its key is none of P-256, P-384, Ed25519 and RSA of 2048 to 4096 bits in whole bytes",
     bad_key, ALL},
    {"it names two different signature algorithms", bad_algorithm, ALL},
    {"an extension stands in it twice", repeated_extension, ALL},
    {"an extension is damaged", damaged_extension, ALL},
    {"a critical extension is unknown", unknown_critical, ALL},
    {"an extension is critical that must not be, or is not that must be", wrong_criticality, ALL},
    {"it has no issuer name", empty_issuer, ALL},
    {"a CA has no subject name", empty_subject, CAS},
    {"it is not marked as a CA (basicConstraints)", no_ca, CAS},
    {"its path length is negative or without CA:TRUE", odd_path_length, ALL},
    {"its key usage is empty", empty_usage, ALL},
    {"it may not sign certificates (keyUsage)", may_not_certify, CAS},
    {"it has no subject key identifier", no_subject_key, CAS},
    {"it has no authority key identifier", no_authority_key, ALL},
    {"its authority is named by serial number, or without a key identifier", authority_by_serial,
     ALL},
    {"it is its own issuer but names another key as its authority's", other_authority_key,
     GH_LINT_ANCHOR},
    {"its name constraints are empty or malformed", bad_constraints, CAS},
    {"its policy constraints are empty", bad_policy_constraints, CAS},
    {"it is a CA and no leaf", is_ca, LEAVES},
    {"a leaf carries name constraints", leaf_constrains, LEAVES},
    {"a leaf may sign certificates or CRLs (keyUsage)", leaf_certifies, LEAVES},
    {"it may not sign (keyUsage lacks digitalSignature)", leaf_signs_nothing, LEAVES},
    {"it is not for this purpose (extendedKeyUsage)", wrong_purpose, LEAVES},
    {"it is for any purpose (anyExtendedKeyUsage)", any_purpose, LEAVES},
    {"an alternative name is malformed", bad_names, ALL},
    {"it has no subject, and no critical alternative name either", nameless, LEAVES},
    {"its alternative name is critical although it has a subject", critical_beside_subject, LEAVES},
    {"a server is named in the subject alone", without_alternative_name, GH_LINT_SERVER},
    {"a common name is spelled otherwise than the alternative names", other_common_name,
     GH_LINT_SERVER},
};

static const char *run(const struct rule *table, size_t count, const struct subject *s)
{
    const char *words = NULL;
    for (size_t i = 0; words == NULL && i < count; i++)
        if ((table[i].roles & (unsigned)s->role) != 0 && table[i].broken(s))
            words = table[i].words;
    ERR_clear_error();
    return words;
}

static struct subject subject_of(const struct gh_certificate *certificate, enum gh_lint_role role)
{
    X509 *x = gh_certificate_native(certificate);
    return (struct subject){x, X509_get_extension_flags(x), role};
}

const char *gh_lint(const struct gh_certificate *certificate, enum gh_lint_role role)
{
    struct subject s = subject_of(certificate, role);
    return run(rules, GH_COUNT(rules), &s);
}

static bool no_constraints(const struct subject *s)
{
    return (s->flags & EXFLAG_BCONS) == 0;
}

static bool no_usage(const struct subject *s)
{
    return (s->flags & EXFLAG_KUSAGE) == 0;
}

static bool no_purpose(const struct subject *s)
{
    return (s->flags & EXFLAG_XKUSAGE) == 0;
}

static const struct rule issued_rules[] = {
    {"it does not say CA:FALSE (basicConstraints)", no_constraints, LEAVES},
    {"it does not say what its key is for (keyUsage)", no_usage, ALL},
    {"it does not say whom it proves (extendedKeyUsage)", no_purpose, LEAVES},
};

const char *gh_lint_issued(const struct gh_certificate *certificate, enum gh_lint_role role)
{
    struct subject s = subject_of(certificate, role);
    const char *words = run(rules, GH_COUNT(rules), &s);
    return words != NULL ? words : run(issued_rules, GH_COUNT(issued_rules), &s);
}

size_t gh_lint_rules(void)
{
    return GH_COUNT(rules);
}

const char *gh_lint_rule(size_t index)
{
    return rules[index].words;
}
