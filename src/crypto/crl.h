/* Certificate revocation lists (RFC 5280 §5): the whole list of one CA, as it publishes it. Only
 * complete lists about the CA's own certificates: a delta, an indirect list or one about a part of
 * the certificates says less than a reader may think, and is refused. Memory: opened here, freed by
 * gh_crl_close. Reads no clock. Threads: a list never changes once it is open. */
#ifndef GH_CRYPTO_CRL_H
#define GH_CRYPTO_CRL_H

#include "crypto/certificate.h"

enum { GH_CRL_BYTES_MAX = 10 * 1024 * 1024 };

struct gh_crl;

/* DER, or PEM ("BEGIN X509 CRL"). Needs a crlNumber, a nextUpdate and version 2. NULL with
 * GH_ERROR_INVALID. */
GH_MUST_USE struct gh_crl *gh_crl_open(struct gh_slice bytes, struct gh_error *error);
void gh_crl_close(struct gh_crl *crl);

/* Whether it is the list of a CA of `issuer`'s name. */
bool gh_crl_named_by(const struct gh_crl *crl, const struct gh_certificate *issuer);
/* Whether `issuer` signed it, may sign CRLs (keyUsage) and has its name. */
GH_MUST_USE bool gh_crl_signed_by(const struct gh_crl *crl, const struct gh_certificate *issuer);
/* Whether it names this certificate, which `gh_crl_signed_by`'s issuer issued. */
GH_MUST_USE bool gh_crl_lists(const struct gh_crl *crl, const struct gh_certificate *certificate);
/* Whether it names this serial number, in lower-case hex without leading zeros. */
GH_MUST_USE bool gh_crl_lists_serial(const struct gh_crl *crl, struct gh_slice serial_hex);

int64_t gh_crl_this_update_s(const struct gh_crl *crl);
int64_t gh_crl_next_update_s(const struct gh_crl *crl);
size_t gh_crl_count(const struct gh_crl *crl);
/* crlNumber; INT64_MAX for a larger one. */
int64_t gh_crl_number(const struct gh_crl *crl);

enum { GH_CRL_SERIAL_MAX = 41 };
struct gh_crl_entry {
    char serial[GH_CRL_SERIAL_MAX]; /* lower-case hex without leading zeros */
    int reason;                     /* CRLReason; 0 when none is said */
    int64_t at_s;
};
/* False when the entry is damaged, or takes a certificate off an earlier list. */
GH_MUST_USE bool gh_crl_entry(const struct gh_crl *crl, size_t index, struct gh_crl_entry *out);
#endif
