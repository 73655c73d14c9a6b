/* Certificate linter: whether a certificate is one that a device CA may be built on. OpenSSL proves
 * that a chain hangs together (crypto/chain.h); here is what it lets pass and should not: keys that
 * are too weak or of odd kinds, serial numbers that are none, extensions that contradict each other
 * or are malformed, constraints that do not constrain (RFC 5280 §4.1, §4.2; for names also RFC 1123
 * §2.1 and the rules for IP addresses in RFC 5280 §4.2.1.6 and §4.2.1.10). The rules are one table;
 * the first one that is broken is the answer.
 *
 * Runs when a CA is registered, before a certificate is issued, and over each chain with which a
 * device signs in. Looks at one certificate at a time and at no date. Memory: nothing is kept.
 * Threads: any. */
#ifndef GH_CRYPTO_LINT_H
#define GH_CRYPTO_LINT_H

#include "crypto/certificate.h"

/* What the certificate is used as; bits, so that a rule can name several. */
enum gh_lint_role {
    GH_LINT_ANCHOR = 1, /* trusted by itself: a root, or an intermediate that was registered */
    GH_LINT_ISSUER = 2, /* between anchor and leaf */
    GH_LINT_CLIENT = 4, /* a leaf that proves a device */
    GH_LINT_SERVER = 8, /* a leaf that proves a server */
};

/* NULL when every rule holds, else the broken one in words; static. */
const char *gh_lint(const struct gh_certificate *certificate, enum gh_lint_role role);

/* A leaf that is about to be issued or imported as an example of what the CA issues must also say
 * what it is for: basicConstraints, keyUsage with digitalSignature and extendedKeyUsage with the
 * purpose. At sign-in they may be absent (RFC 5280 §4.2.1.3, §4.2.1.9, §4.2.1.12), because the
 * certificates of fleets that exist often lack them. */
const char *gh_lint_issued(const struct gh_certificate *certificate, enum gh_lint_role role);

/* How many rules there are, and their words: for documentation and tests. */
size_t gh_lint_rules(void);
const char *gh_lint_rule(size_t index);
#endif
