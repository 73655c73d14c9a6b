/* The part of the linter that reads names: alternative names, constraints on them, common names.
 * Nobody outside the folder includes this. */
#ifndef GH_CRYPTO_LINT_INTERNAL_H
#define GH_CRYPTO_LINT_INTERNAL_H

#include "base/slice.h"
#include <openssl/x509v3.h>

/* Each name is one that can exist: host names in letters, digits and hyphens with at most one
 * wildcard, as the whole first of three labels at least; addresses of 4 or 16 bytes; mail addresses
 * with one "@"; URIs with a scheme. At least one name, and kinds that are not read pass. */
bool lint_names_sound(const GENERAL_NAMES *names);
/* Each constraint is one that constrains: some subtree is there, host names without a leading dot
 * or wildcard, addresses with a mask of leading ones, mail without a wildcard, no minimum or
 * maximum. */
bool lint_constraints_sound(const NAME_CONSTRAINTS *constraints);
/* No common name is an alternative name (host or address) in another spelling: an address with
 * leading zeros or in hex, a host in other letters or not in ASCII. */
bool lint_common_names_repeat(const X509_NAME *subject, const GENERAL_NAMES *names);
#endif
