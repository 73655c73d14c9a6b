/* Who is there, as plain values: the principal is a device that proved who it is, the caller is a
 * person or program at the HTTP API. identity/ fills them, once per CONNECT or request; policy,
 * session, route, the dialects and the API read them. They grant nothing by themselves: what a
 * caller may do is policy's, how long a principal holds stands in the verdict beside it, and the
 * directory's watch says when it is withdrawn earlier. Memory: slices are the arena's in which the
 * value was made; the copy functions move it into a longer-lived one. Threads: values. */
#ifndef GH_REGISTRY_PRINCIPAL_H
#define GH_REGISTRY_PRINCIPAL_H

#include "base/arena.h"

struct gh_principal {
    int64_t tenant, registry; /* numbers in the directory */
    uint64_t device;
    struct gh_slice tenant_name, registry_name, location, device_id;
    struct gh_slice credential_id; /* which of the device's credentials verified */
    struct gh_slice token_id;      /* `jti` of the access token that it came with; else empty */
    int log_level; /* the device's, or its registry's where the device says nothing */
    bool is_gateway;
};
/* False at the arena's ceiling. */
GH_MUST_USE bool gh_principal_copy(const struct gh_principal *from, struct gh_arena *arena,
                                   struct gh_principal *out);

enum gh_caller_kind {
    GH_CALLER_NOBODY,   /* no proof was brought, or a wrong one */
    GH_CALLER_TOKEN,    /* a bearer token */
    GH_CALLER_DEVICE,   /* a device with an access token: what bindings give its member */
    GH_CALLER_OPERATOR, /* a signed-in operator with a session cookie */
    GH_CALLER_LOCAL,    /* the operating system's owner of the data folder, by DIR/admin.sock */
};

struct gh_caller {
    enum gh_caller_kind kind;
    struct gh_slice name;    /* for the trail: the operator's name, or the token's member */
    struct gh_slice member;  /* IAM member, "serviceAccount:climate"; empty when there is none */
    struct gh_slice role;    /* "administrator" … as policy/ lists them */
    int64_t tenant;          /* the only tenant it may touch; 0: all */
    int64_t expires_at_ms;   /* 0: never */
    int64_t operator_number; /* of an operator and of an operator's token; else 0 */
    /* Those it is limited to, by name, with a space between; empty: no limit of its own. */
    struct gh_slice permissions;
};
GH_MUST_USE bool gh_caller_copy(const struct gh_caller *from, struct gh_arena *arena,
                                struct gh_caller *out);
#endif
