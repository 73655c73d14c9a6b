/* Who is this device: from what a CONNECT or request claims to a principal, or to a refusal with
 * its exact reason. The order is that of Google IoT Core's bridge: form of the token, lookup,
 * whether device and registry may connect at all, then signature, audience and times. The peer is
 * told nothing but yes or no (and whether the token was malformed); `detail` is for the operator. A
 * device that does not exist costs one verification against a key of nobody, so that time does not
 * tell names apart.
 *
 * A claim carries a token, its own or one that we gave it (identity/access.h), or, where the
 * dialect knows passwords, a secret, which is compared with each of the device's password
 * credentials (two generations may stand side by side), a shared access signature made from one of
 * its symmetric keys (identity/shared_key.c), or the chain of certificates that the peer
 * showed in its handshake (identity/certificate.c).
 *
 * Memory: all texts are the arena's. Threads: any; it blocks on the store, so it runs on worker
 * threads, but for a claim that is to be decided at once. */
#ifndef GH_IDENTITY_DEVICE_H
#define GH_IDENTITY_DEVICE_H

#include "identity/jwt.h"
#include "registry/directory.h"
#include "registry/principal.h"

enum gh_identity_reason {
    GH_IDENTITY_ACCEPTED,
    GH_IDENTITY_UNKNOWN_TENANT,
    GH_IDENTITY_UNKNOWN_REGISTRY,
    GH_IDENTITY_UNKNOWN_DEVICE,
    GH_IDENTITY_TENANT_DISABLED,
    GH_IDENTITY_BLOCKED,
    GH_IDENTITY_BANNED, /* by an operator, for a time or until it is lifted; decided last, so that
                           only the device itself can be told */
    GH_IDENTITY_MQTT_DISABLED,
    GH_IDENTITY_HTTP_DISABLED,
    GH_IDENTITY_NO_CREDENTIAL,      /* the device has none */
    GH_IDENTITY_CREDENTIAL_EXPIRED, /* signed by a credential that has expired */
    GH_IDENTITY_CREDENTIAL_NOT_YET_VALID,
    GH_IDENTITY_CREDENTIAL_DISABLED, /* by an operator */
    GH_IDENTITY_TOKEN_MALFORMED,
    GH_IDENTITY_TOKEN_HEADER,
    GH_IDENTITY_ALGORITHM,
    GH_IDENTITY_SIGNATURE,
    GH_IDENTITY_CLAIMS,
    GH_IDENTITY_AUDIENCE,
    GH_IDENTITY_SUBJECT,
    GH_IDENTITY_LIFETIME,
    GH_IDENTITY_TOKEN_EXPIRED,
    GH_IDENTITY_TOKEN_NOT_YET_VALID,
    GH_IDENTITY_SECRET, /* it is none of the device's passwords */
    GH_IDENTITY_ISSUER,
    GH_IDENTITY_TOKEN_REVOKED,
    GH_IDENTITY_TOKEN_REPLAYED, /* an id that may be used once was used before */
    GH_IDENTITY_TOKEN_BINDING,  /* bound to a certificate that is not the connection's */
    GH_IDENTITY_SCOPE,          /* the access token is not good for this */
    GH_IDENTITY_CERTIFICATE, /* it, or its chain, breaks a rule (crypto/chain.h, crypto/lint.h) */
    GH_IDENTITY_CERTIFICATE_UNKNOWN, /* not registered, and signed by no CA of the registry */
    GH_IDENTITY_CERTIFICATE_EXPIRED,
    GH_IDENTITY_CERTIFICATE_NOT_YET_VALID,
    GH_IDENTITY_CERTIFICATE_NAME, /* it is another device's */
    GH_IDENTITY_CERTIFICATE_REVOKED,
    GH_IDENTITY_REVOCATION_UNKNOWN, /* the CA's revocation list has run out, or its responder has
                                     * not said that the certificate is good */
    GH_IDENTITY_CA_NOT_VERIFIED,
    GH_IDENTITY_CA_DISABLED,
    GH_IDENTITY_GATEWAY,         /* the gateway may speak for nobody, or the device is itself one */
    GH_IDENTITY_NOT_BOUND,       /* to the gateway that wants to speak for it */
    GH_IDENTITY_UNKNOWN_ACCOUNT, /* there is no service account of that address */
    GH_IDENTITY_ACCOUNT_DISABLED,
    GH_IDENTITY_UNAVAILABLE, /* the store or memory failed: nothing was decided; try again later */
    GH_IDENTITY_REASON_COUNT,
};
/* "TOKEN_EXPIRED": stable, written to the trail. Static. */
const char *gh_identity_reason_name(enum gh_identity_reason reason);
/* What a token was refused for, or ACCEPTED. */
enum gh_identity_reason gh_identity_reason_of_token(enum gh_jwt_verdict verdict);

enum gh_identity_by { GH_IDENTITY_BY_TENANT_NAME, GH_IDENTITY_BY_GOOGLE_PROJECT };
enum gh_identity_over {
    GH_IDENTITY_OVER_MQTT,
    GH_IDENTITY_OVER_HTTP,
    GH_IDENTITY_OVER_TOKEN, /* at the token endpoint: whatever the registry takes */
};

struct gh_access;

struct gh_identity_claim {
    enum gh_identity_by by; /* how `tenant` is to be read */
    struct gh_slice tenant, registry;
    struct gh_slice location; /* empty: any */
    struct gh_slice device;   /* id, or number in decimal */
    struct gh_slice token;    /* a secret, never to be logged */
    struct gh_slice secret;   /* instead of `token`; never to be logged */
    struct gh_slice sas;      /* instead of both (identity/sas.h); never to be logged */
    struct gh_slice resource; /* what `sas` has to be for; empty: TENANT/REGISTRY/DEVICE */
    /* What the peer showed and proved to hold the key of, DER, the leaf first. */
    const struct gh_slice *chain;
    size_t chain_count;
    /* The claim is made by the chain, which may still be missing, instead of by token or secret;
     * otherwise the leaf is only what a token may be bound to. */
    bool by_certificate;
    /* Only a yes, and only from what the directory remembers (gh_directory_sign_in_…): whatever
     * else it is, UNAVAILABLE, and then it is to be asked again without this. Never waits; for
     * secrets of GH_SECRET_LONG_BYTES_MIN and more. */
    bool at_once;
    bool vouched; /* instead of all: a gateway speaks for it (identity/gateway.h) */
    enum gh_identity_over over;
    /* Where our own access tokens are taken (identity/access.h): who verifies them; NULL: nowhere.
     * With an empty `device` the token's subject says who it is. */
    struct gh_access *access;
    bool access_taken;           /* the dialect takes them, wherever there is an `access` */
    struct gh_jwt_policy policy; /* an empty audience stands for `tenant` as claimed */
};

/* `valid_until_s` where nothing ends: 2100-01-01, which as nanoseconds still fits 64 bits. */
#define GH_IDENTITY_FOR_EVER_S INT64_C(4102444800)

/* Whether the password of a CONNECT is to be claimed as `token`: it has the form of a signed JWT
 * ("eyJ" and two dots), which no made secret has. */
bool gh_identity_is_token(struct gh_slice password);

enum { GH_IDENTITY_DETAIL_MAX = GH_JWT_DETAIL_MAX, GH_IDENTITY_CHAIN_MAX = 8 };

/* The alternative name (URI) by which a certificate of the built-in CA names its device: tenant,
 * registry and device, each for a "%.*s". */
#define GH_IDENTITY_URI "gatehouse:device:%.*s:%.*s:%.*s"

struct gh_identity_verdict {
    enum gh_identity_reason reason;
    char detail[GH_IDENTITY_DETAIL_MAX];
    /* ACCEPTED: all of it. Refused: what was found before the refusal, so that it is written to the
     * page of the right device; numbers are 0 and pointers NULL where nothing was found. */
    struct gh_principal principal;
    const struct gh_registry *registry;
    const struct gh_device *device; /* without documents and times (gh_directory_sign_in_device) */
    struct gh_slice token_id;       /* `jti` of a device's own token; empty when it had none */
    int64_t token_expires_at_s;     /* `exp`; 0 without a token */
    /* `exp` and the skew; for a secret or a certificate its own end or GH_IDENTITY_FOR_EVER_S. The
     * connection ends then. What policy needs stands in `principal` and `device` (attributes). */
    int64_t valid_until_s;
    int64_t not_before_s, not_after_s; /* of a certificate that proved it; else 0 */
};

/* Whether the claim may be asked with `at_once`: a secret whose comparison takes microseconds. */
bool gh_identity_is_quick(const struct gh_identity_claim *claim);

/* Decides; returns `out->reason`. `now_ms` is UTC. */
GH_MUST_USE enum gh_identity_reason gh_identity_device(struct gh_directory *directory,
                                                       const struct gh_identity_claim *claim,
                                                       int64_t now_ms, struct gh_arena *arena,
                                                       struct gh_identity_verdict *out);
#endif
