#include "io/http_server.h"
#include "io/peer_internal.h"

bool peer_certificates(const struct gh_tls *tls, struct gh_arena *arena,
                       const struct gh_slice **out, size_t *count)
{
    *out = NULL;
    *count = 0;
    if (tls == NULL || !gh_tls_has_peer_certificate(tls))
        return true;
    struct gh_slice *chain = gh_arena_array(arena, GH_EXCHANGE_CERTIFICATES_MAX, sizeof *chain);
    *out = chain;
    return chain != NULL &&
           gh_tls_peer_chain(tls, GH_EXCHANGE_CERTIFICATES_MAX, arena, chain, count);
}
