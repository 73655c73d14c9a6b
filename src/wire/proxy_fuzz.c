/* A header as it grows: no prefix of it may be taken or refused otherwise than the whole. */
#include "wire/proxy.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_proxy_header whole, part;
    enum gh_proxy_status status = gh_proxy_read(gh_slice(data, size), GH_PROXY_HEADER_MAX, &whole);
    size_t step = size / 64 + 1;

    if (status == GH_PROXY_OK && (whole.size > size || whole.size > GH_PROXY_HEADER_MAX ||
                                  whole.address.size != (whole.family == GH_PROXY_IP4   ? 4u
                                                         : whole.family == GH_PROXY_IP6 ? 16u
                                                                                        : 0u)))
        abort();
    for (size_t cut = 0; cut < size; cut += step) {
        enum gh_proxy_status early = gh_proxy_read(gh_slice(data, cut), GH_PROXY_HEADER_MAX, &part);
        if (early == GH_PROXY_MORE)
            continue;
        if (early != status || part.size != whole.size || part.why != whole.why)
            abort();
    }
    return 0;
}
