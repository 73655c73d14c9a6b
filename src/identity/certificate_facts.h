/* What a certificate says, as the variables of device policies (policy/statement.h) want it:
 * "Subject.CommonName", "Subject.OrganizationalUnit.1", "Issuer.Organization",
 * "Subject.AlternativeName.DNSName", "SerialNumber", each with its value. Grants nothing: whether
 * the certificate proved anything is identity/device.h's to say first. Memory: the arena's.
 * Threads: any. */
#ifndef GH_IDENTITY_CERTIFICATE_FACTS_H
#define GH_IDENTITY_CERTIFICATE_FACTS_H

#include "base/arena.h"
#include "store/records.h"

enum { GH_CERTIFICATE_FACTS_MAX = 128 /* further ones are left out */ };

struct gh_certificate_facts {
    const struct gh_attribute *items;
    size_t count;
};

/* False, and nothing in `out`, for what is no certificate or without memory. */
GH_MUST_USE bool gh_certificate_facts_der(struct gh_slice der, struct gh_arena *arena,
                                          struct gh_certificate_facts *out);
GH_MUST_USE bool gh_certificate_facts_pem(struct gh_slice pem, struct gh_arena *arena,
                                          struct gh_certificate_facts *out);
#endif
