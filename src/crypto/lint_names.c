#include "crypto/lint_internal.h"
#include <arpa/inet.h>
#include <string.h>

enum { HOST_BYTES_MAX = 253, LABEL_BYTES_MAX = 63, WILDCARD_LABELS_MIN = 3 };

static struct gh_slice of(const ASN1_STRING *text)
{
    return gh_slice(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
}

static bool is_label_byte(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-';
}

static bool label_sound(struct gh_slice label)
{
    if (label.size == 0 || label.size > LABEL_BYTES_MAX || label.data[0] == '-' ||
        label.data[label.size - 1] == '-')
        return false;
    for (size_t i = 0; i < label.size; i++)
        if (!is_label_byte(label.data[i]))
            return false;
    return true;
}

/* RFC 1123 §2.1. */
static bool host_sound(struct gh_slice host, bool may_be_wild)
{
    size_t labels = 0;
    bool is_wild = false;
    if (host.size == 0 || host.size > HOST_BYTES_MAX || host.data[host.size - 1] == '.')
        return false;
    while (host.size > 0) {
        struct gh_slice label = gh_slice_split(&host, '.');
        bool star = labels++ == 0 && may_be_wild && gh_slice_equal(label, GH_SLICE("*"));
        is_wild |= star;
        if (!star && !label_sound(label))
            return false;
    }
    return !is_wild || labels >= WILDCARD_LABELS_MIN;
}

static bool is_ascii(struct gh_slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    return true;
}

static bool mail_sound(struct gh_slice mail)
{
    struct gh_slice host = mail;
    struct gh_slice local = gh_slice_split(&host, '@');
    return is_ascii(mail) && local.size > 0 && host_sound(host, false);
}

static bool uri_sound(struct gh_slice uri)
{
    size_t scheme = gh_slice_find(uri, ':');
    return is_ascii(uri) && scheme > 0 && scheme + 1 < uri.size &&
           label_sound(gh_slice_sub(uri, 0, scheme));
}

static bool name_sound(const GENERAL_NAME *name)
{
    int kind;
    const void *value = GENERAL_NAME_get0_value(name, &kind);
    switch (kind) {
    case GEN_DNS:
        return host_sound(of(value), true);
    case GEN_IPADD:
        return of(value).size == 4 || of(value).size == 16;
    case GEN_EMAIL:
        return mail_sound(of(value));
    case GEN_URI:
        return uri_sound(of(value));
    default:
        return true;
    }
}

bool lint_names_sound(const GENERAL_NAMES *names)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
        if (!name_sound(sk_GENERAL_NAME_value(names, i)))
            return false;
    return sk_GENERAL_NAME_num(names) > 0;
}

/* Address and mask; the mask is ones and then zeros. */
static bool network_sound(struct gh_slice network)
{
    bool ended = false;
    if (network.size != 8 && network.size != 32)
        return false;
    for (size_t i = network.size / 2; i < network.size; i++)
        for (int bit = 7; bit >= 0; bit--) {
            bool one = (network.data[i] >> bit & 1) != 0;
            if (one && ended)
                return false;
            ended |= !one;
        }
    return true;
}

/* A mailbox, a host, or with a leading dot the hosts below a domain (RFC 5280 §4.2.1.10). */
static bool mail_constraint_sound(struct gh_slice mail)
{
    if (gh_slice_find(mail, '*') < mail.size)
        return false;
    if (gh_slice_find(mail, '@') < mail.size)
        return mail_sound(mail);
    return host_sound(gh_slice_sub(mail, mail.size > 0 && mail.data[0] == '.', mail.size), false);
}

static bool uri_constraint_sound(struct gh_slice host)
{
    return host_sound(gh_slice_sub(host, host.size > 0 && host.data[0] == '.', host.size), false);
}

static bool constraint_sound(const GENERAL_NAME *base)
{
    int kind;
    const void *value = GENERAL_NAME_get0_value(base, &kind);
    switch (kind) {
    case GEN_DNS: /* the empty one is all hosts */
        return of(value).size == 0 || host_sound(of(value), false);
    case GEN_IPADD:
        return network_sound(of(value));
    case GEN_EMAIL:
        return mail_constraint_sound(of(value));
    case GEN_URI:
        return uri_constraint_sound(of(value));
    default:
        return true;
    }
}

static bool subtrees_sound(const STACK_OF(GENERAL_SUBTREE) * trees)
{
    for (int i = 0; i < sk_GENERAL_SUBTREE_num(trees); i++) {
        const GENERAL_SUBTREE *tree = sk_GENERAL_SUBTREE_value(trees, i);
        if (tree->maximum != NULL ||
            (tree->minimum != NULL && ASN1_INTEGER_get(tree->minimum) != 0))
            return false;
        if (!constraint_sound(tree->base))
            return false;
    }
    return true;
}

bool lint_constraints_sound(const NAME_CONSTRAINTS *constraints)
{
    int permitted = sk_GENERAL_SUBTREE_num(constraints->permittedSubtrees),
        excluded = sk_GENERAL_SUBTREE_num(constraints->excludedSubtrees);
    return (permitted > 0 || excluded > 0) && subtrees_sound(constraints->permittedSubtrees) &&
           subtrees_sound(constraints->excludedSubtrees);
}

/* Whether `text` is an address, also in the spellings that only inet_aton(3) takes. */
static bool is_address(const char *text)
{
    struct in_addr four;
    struct in6_addr six;
    return inet_aton(text, &four) == 1 || inet_pton(AF_INET6, text, &six) == 1;
}

static bool is_canonical_address(const char *text)
{
    uint8_t address[sizeof(struct in6_addr)];
    char printed[INET6_ADDRSTRLEN];
    int family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
    return inet_pton(family, text, address) == 1 &&
           inet_ntop(family, address, printed, sizeof printed) != NULL &&
           strcmp(text, printed) == 0;
}

static bool is_host_in_other_letters(struct gh_slice text, const GENERAL_NAMES *names)
{
    bool other = false;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int kind;
        const void *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &kind);
        if (kind == GEN_DNS && gh_slice_equal(of(value), text))
            return false;
        other |= kind == GEN_DNS && (!is_ascii(text) || gh_slice_equal_nocase(of(value), text));
    }
    return other;
}

static bool common_name_sound(const ASN1_STRING *name, const GENERAL_NAMES *names)
{
    char copy[HOST_BYTES_MAX + 1];
    struct gh_slice text = of(name);
    if (is_host_in_other_letters(text, names))
        return false;
    if (text.size >= sizeof copy)
        return true;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return !is_address(copy) || is_canonical_address(copy);
}

bool lint_common_names_repeat(const X509_NAME *subject, const GENERAL_NAMES *names)
{
    for (int at = -1; (at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0;)
        if (!common_name_sound(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), names))
            return false;
    return true;
}
