/* What a certificate says of its subject and issuer, part by part, under the names that policies
 * have for it. */
#include "crypto/openssl_internal.h"
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

static const struct {
    const char *name;
    int nid;
} parts[] = {
    {"CommonName", NID_commonName},
    {"Country", NID_countryName},
    {"Organization", NID_organizationName},
    {"OrganizationalUnit", NID_organizationalUnitName},
    {"State", NID_stateOrProvinceName},
    {"DistinguishedNameQualifier", NID_dnQualifier},
    {"SerialNumber", NID_serialNumber},
    {"Title", NID_title},
    {"Surname", NID_surname},
    {"GivenName", NID_givenName},
    {"Initials", NID_initials},
    {"Pseudonym", NID_pseudonym},
    {"GenerationQualifier", NID_generationQualifier},
};

static const struct {
    const char *name;
    int kind;
} alternatives[] = {
    {"RFC822Name", GEN_EMAIL},      {"DNSName", GEN_DNS},
    {"DirectoryName", GEN_DIRNAME}, {"UniformResourceIdentifier", GEN_URI},
    {"IPAddress", GEN_IPADD},
};

struct telling {
    bool (*tell)(void *context, const char *name, struct gh_slice value);
    void *context;
};

/* The first value goes by the bare name and by ".0", the others by ".1" to ".4". */
static bool tell(const struct telling *t, const char *whose, const char *part, int index,
                 struct gh_slice value)
{
    char name[96];
    if (index >= GH_CERTIFICATE_VALUES_MAX)
        return true;
    snprintf(name, sizeof name, "%s.%s", whose, part);
    if (index == 0 && !t->tell(t->context, name, value))
        return false;
    snprintf(name, sizeof name, "%s.%s.%d", whose, part, index);
    return t->tell(t->context, name, value);
}

/* What is not text counts as a value and is told to nobody. */
static bool tell_part(const struct telling *t, const char *whose, size_t part,
                      const X509_NAME *name)
{
    bool told = true;
    int at = -1;
    for (int index = 0; told; index++) {
        at = X509_NAME_get_index_by_NID(name, parts[part].nid, at);
        if (at < 0)
            break;
        unsigned char *text = NULL;
        int size =
            ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
        if (size > 0)
            told = tell(t, whose, parts[part].name, index, gh_slice(text, (size_t)size));
        OPENSSL_free(text);
    }
    return told;
}

static int write_name(BIO *bio, const void *name)
{
    return X509_NAME_print_ex(bio, name, 0,
                              XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) > 0;
}

static bool print_address(const ASN1_STRING *bytes, struct gh_buffer *out)
{
    char text[INET6_ADDRSTRLEN];
    int size = ASN1_STRING_length(bytes);
    if ((size != 4 && size != 16) ||
        inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(bytes), text,
                  sizeof text) == NULL)
        return false;
    return gh_buffer_put(out, gh_slice_text(text));
}

static bool print_alternative(const void *value, int kind, struct gh_buffer *out)
{
    if (kind == GEN_DIRNAME)
        return gh_bio_print(out, write_name, value);
    if (kind == GEN_IPADD)
        return print_address(value, out);
    return gh_buffer_put(out,
                         gh_slice(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)));
}

static bool tell_alternatives(const struct telling *t, const char *whose,
                              const GENERAL_NAMES *names)
{
    int seen[GH_COUNT(alternatives)] = {0}, kind;
    bool told = true;
    for (int i = 0; told && i < sk_GENERAL_NAME_num(names); i++) {
        const void *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &kind);
        for (size_t k = 0; k < GH_COUNT(alternatives); k++) {
            uint8_t block[1024];
            struct gh_buffer text = gh_buffer_fixed(block, sizeof block);
            if (alternatives[k].kind != kind)
                continue;
            int index = seen[k]++;
            if (print_alternative(value, kind, &text) && text.size > 0)
                told = tell(t, whose, alternatives[k].name, index, gh_buffer_slice(&text));
        }
    }
    return told;
}

static bool tell_extension(const struct telling *t, const char *whose, const X509 *native, int nid)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(native, nid, NULL, NULL);
    bool told = names == NULL || tell_alternatives(t, whose, names);
    GENERAL_NAMES_free(names);
    return told;
}

bool gh_certificate_tell(const struct gh_certificate *certificate,
                         bool (*tell_one)(void *context, const char *name, struct gh_slice value),
                         void *context)
{
    const struct telling t = {tell_one, context};
    const X509 *native = gh_certificate_native(certificate);
    uint8_t block[64];
    struct gh_buffer serial = gh_buffer_fixed(block, sizeof block);
    bool told = true;
    for (size_t i = 0; told && i < GH_COUNT(parts); i++)
        told = tell_part(&t, "Subject", i, X509_get_subject_name(native)) &&
               tell_part(&t, "Issuer", i, X509_get_issuer_name(native));
    told = told && tell_extension(&t, "Subject.AlternativeName", native, NID_subject_alt_name) &&
           tell_extension(&t, "Issuer.AlternativeName", native, NID_issuer_alt_name);
    if (told && gh_certificate_print_serial(certificate, &serial))
        told = tell_one(context, "SerialNumber", gh_buffer_slice(&serial));
    ERR_clear_error();
    return told;
}
