#include "wire/cose.h"
#include "wire/cbor.h"
#include <assert.h>

/* Labels of a key map; the places of what was read. */
enum { KTY, ALG, CRV, X, Y, MEMBERS };
static const int64_t labels[MEMBERS] = {[KTY] = 1, [ALG] = 3, [CRV] = -1, [X] = -2, [Y] = -3};

static const struct {
    int64_t kty, alg, crv;
    unsigned members; /* one bit for each place */
} kinds[] = {
    {2, GH_COSE_ES256, 1, 1 << KTY | 1 << ALG | 1 << CRV | 1 << X | 1 << Y}, /* EC2, P-256 */
    {1, GH_COSE_EDDSA, 6, 1 << KTY | 1 << ALG | 1 << CRV | 1 << X},          /* OKP, Ed25519 */
};

/* What the members said; each at its place. */
struct members {
    unsigned seen;
    int64_t numbers[MEMBERS];
    struct gh_slice bytes[MEMBERS];
};

static bool read_member(struct gh_cursor *at, struct members *members)
{
    struct gh_cbor_item item;
    int64_t label;
    size_t place = 0;

    if (!gh_cbor_read(at, &item) || !gh_cbor_integer(&item, &label))
        return false;
    while (place < MEMBERS && labels[place] != label)
        place++;
    if (place == MEMBERS || (members->seen & 1u << place) != 0 || !gh_cbor_read(at, &item))
        return false;
    members->seen |= 1u << place;
    if (place < X)
        return gh_cbor_integer(&item, &members->numbers[place]);
    members->bytes[place] = item.bytes;
    return item.kind == GH_CBOR_BYTES && item.bytes.size == GH_COSE_NUMBER_BYTES;
}

bool gh_cose_key_read(struct gh_cursor *at, struct gh_cose_key *out)
{
    struct members members = {0};
    struct gh_cbor_item map;

    assert(out != NULL);
    if (!gh_cbor_read(at, &map) || map.kind != GH_CBOR_MAP || map.value > MEMBERS)
        return false;
    for (uint64_t i = 0; i < map.value; i++)
        if (!read_member(at, &members))
            return false;
    for (size_t i = 0; i < GH_COUNT(kinds); i++) {
        if (members.seen != kinds[i].members || members.numbers[KTY] != kinds[i].kty ||
            members.numbers[ALG] != kinds[i].alg || members.numbers[CRV] != kinds[i].crv)
            continue;
        *out = (struct gh_cose_key){.algorithm = (enum gh_cose_algorithm)kinds[i].alg,
                                    .x = members.bytes[X],
                                    .y = members.bytes[Y]};
        return true;
    }
    return false;
}
