/* Certificates as data (RFC 5280): dates, names, key, and who signed whom; and the rules for a
 * credential that is about to be registered (Google IoT Core "Key formats", and Gatehouse's strict
 * additions). Not for path validation during a handshake, which is crypto/tls.h. Reads no clock:
 * `now_s` is an argument. Memory: opened by gh_certificate_open, freed by gh_certificate_close;
 * inputs are borrowed during the call. Threads: a certificate never changes once it is open. */
#ifndef GH_CRYPTO_CERTIFICATE_H
#define GH_CRYPTO_CERTIFICATE_H

#include "crypto/key.h"

struct gh_certificate;

/* Exactly one "BEGIN CERTIFICATE" block; its key need not be one that gh_key_open takes. NULL with
 * GH_ERROR_INVALID. */
GH_MUST_USE struct gh_certificate *gh_certificate_open(struct gh_slice pem, struct gh_error *error);
/* The same from DER, as a handshake brings it: nothing may stand behind it. */
GH_MUST_USE struct gh_certificate *gh_certificate_open_der(struct gh_slice der,
                                                           struct gh_error *error);
void gh_certificate_close(struct gh_certificate *certificate);
/* Takes the first block off a chain of PEM, with the line end behind it; false when there is none
 * any more. What it holds is for gh_certificate_open to say. */
GH_MUST_USE bool gh_certificate_take(struct gh_slice *chain, struct gh_slice *pem);

/* Unix seconds. */
int64_t gh_certificate_not_before_s(const struct gh_certificate *certificate);
int64_t gh_certificate_not_after_s(const struct gh_certificate *certificate);
/* SHA-256 over the DER certificate, lower-case hex; false when memory is short. */
GH_MUST_USE bool gh_certificate_fingerprint(const struct gh_certificate *certificate,
                                            char out[GH_SHA256_HEX_MAX]);
/* Appends the subject as RFC 2253 text ("CN=climate-1,O=Example"). */
GH_MUST_USE bool gh_certificate_print_subject(const struct gh_certificate *certificate,
                                              struct gh_buffer *out);
/* The same for the name of its issuer. */
GH_MUST_USE bool gh_certificate_print_issuer(const struct gh_certificate *certificate,
                                             struct gh_buffer *out);
/* Appends the serial number in lower-case hex without leading zeros. */
GH_MUST_USE bool gh_certificate_print_serial(const struct gh_certificate *certificate,
                                             struct gh_buffer *out);
/* Appends the one common name of its subject; false when there is none, more than one, or it is not
 * text of UTF-8. */
GH_MUST_USE bool gh_certificate_print_common_name(const struct gh_certificate *certificate,
                                                  struct gh_buffer *out);
/* Whether `name` is among its alternative names, as a host name or a URI, byte for byte. */
GH_MUST_USE bool gh_certificate_has_name(const struct gh_certificate *certificate,
                                         struct gh_slice name);
/* Appends the first of its alternative names that is a URI and begins so; false without one. */
GH_MUST_USE bool gh_certificate_print_uri(const struct gh_certificate *certificate,
                                          struct gh_slice begin, struct gh_buffer *out);
/* Tells what it says of its subject and its issuer, by the names that AWS IoT's policies have for
 * that: "Subject.CommonName", "Issuer.Organization", "Subject.AlternativeName.DNSName",
 * "SerialNumber" (hex). Of several values the first goes by the bare name, all by their index, from
 * ".0"; no more than GH_CERTIFICATE_VALUES_MAX. Alternative names of more than 1,024 bytes are left
 * out. False when `tell` said so. */
enum { GH_CERTIFICATE_VALUES_MAX = 5 };
GH_MUST_USE bool gh_certificate_tell(const struct gh_certificate *certificate,
                                     bool (*tell)(void *context, const char *name,
                                                  struct gh_slice value),
                                     void *context);
/* Appends it as PEM. */
GH_MUST_USE bool gh_certificate_print(const struct gh_certificate *certificate,
                                      struct gh_buffer *out);
/* Appends its DER. */
GH_MUST_USE bool gh_certificate_print_der(const struct gh_certificate *certificate,
                                          struct gh_buffer *out);
/* "ecdsa-with-SHA256", "sha256WithRSAEncryption": the name in its OID's registration; static. */
const char *gh_certificate_signature_algorithm(const struct gh_certificate *certificate);
/* Its key under the rules of gh_key_open; the caller closes it. */
GH_MUST_USE struct gh_key *gh_certificate_key(const struct gh_certificate *certificate,
                                              struct gh_error *error);
/* True when the issuer's name is the subject of `issuer`, the key identifiers agree where both have
 * one, a keyUsage of the issuer allows it, and the signature verifies under the issuer's key with a
 * digest better than SHA-1. Looks at no date. */
GH_MUST_USE bool gh_certificate_signed_by(const struct gh_certificate *certificate,
                                          const struct gh_certificate *issuer);
bool gh_certificate_equal(const struct gh_certificate *a, const struct gh_certificate *b);

/* A certificate offered as the root of trust of a registry: CA flag where the extension is there,
 * not expired, a key by our rules. GH_OK, or GH_ERROR_INVALID with the rule broken. */
GH_MUST_USE enum gh_error_code gh_key_check_registry_certificate(struct gh_slice pem, int64_t now_s,
                                                                 struct gh_error *error);

/* A credential offered for a device. */
struct gh_credential_offer {
    enum gh_key_kind kind; /* what the caller says it is; ANY: whatever it is */
    enum gh_key_form form;
    struct gh_slice pem;
    /* PEM; when there is one, only certificates signed by one of them pass. */
    const struct gh_slice *registry_certificates;
    size_t registry_certificates_count;
};
struct gh_credential_facts {
    enum gh_key_kind kind;
    enum gh_key_form form;
    unsigned bits;
    char fingerprint[GH_SHA256_HEX_MAX]; /* of the public key, as gh_key_fingerprint */
    int64_t not_after_s;                 /* of the certificate; 0 for a bare key */
};

/* Content must match `kind` and `form`; a certificate must not be expired; with registry
 * certificates only a certificate passes, signed by one of them and equal to none. GH_OK and `*out`
 * (unless NULL), or GH_ERROR_INVALID with the rule broken. */
GH_MUST_USE enum gh_error_code gh_key_check_credential(const struct gh_credential_offer *offer,
                                                       int64_t now_s,
                                                       struct gh_credential_facts *out,
                                                       struct gh_error *error);
#endif
