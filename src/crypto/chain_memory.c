#include "crypto/chain_internal.h"
#include "crypto/openssl_internal.h"
#include <assert.h>
#include <pthread.h>
#include <string.h>

enum {
    PATHS = 4096,
    SHOWN_MAX = 16, /* certificates of a question: more are a rare thing, or an attack */
    NAME_BYTES_MAX = 16 + SHOWN_MAX * GH_SHA256_BYTES,
};

/* Each where the first bytes of its name say. */
static struct {
    pthread_mutex_t lock;
    struct place {
        uint8_t name[GH_SHA256_BYTES];
        int64_t from_s, to_s;
        size_t anchor;
        char serial[GH_CHAIN_SERIAL_MAX];
    } at[PATHS];
} memory = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct place *place_of(const uint8_t name[GH_SHA256_BYTES])
{
    return &memory.at[(name[0] | (size_t)name[1] << 8) % PATHS];
}

/* False when its bytes are not known (gh_certificate_digest). */
static bool put(struct gh_buffer *out, const struct gh_certificate *certificate)
{
    struct gh_slice digest = gh_certificate_digest(certificate);
    return digest.size > 0 && gh_buffer_put(out, digest);
}

bool chain_name(const struct gh_chain_question *question, uint8_t name[GH_SHA256_BYTES])
{
    uint8_t block[NAME_BYTES_MAX];
    struct gh_buffer all = gh_buffer_fixed(block, sizeof block);

    if (question->crls_count > 0 || question->host != NULL ||
        1 + question->others_count + question->anchors_count > SHOWN_MAX)
        return false;
    gh_buffer_u32(&all, (uint32_t)question->purpose);
    gh_buffer_u32(&all, (uint32_t)question->intermediates_max);
    gh_buffer_u32(&all, (uint32_t)question->others_count); /* where the anchors begin */
    bool known = put(&all, question->leaf);
    for (size_t i = 0; known && i < question->others_count; i++)
        known = put(&all, question->others[i]);
    for (size_t i = 0; known && i < question->anchors_count; i++)
        known = put(&all, question->anchors[i]);
    gh_sha256(gh_buffer_slice(&all), name);
    return known && !all.overflow;
}

bool chain_recall(const uint8_t name[GH_SHA256_BYTES], int64_t now_s, struct gh_chain_verdict *out)
{
    const struct place *place = place_of(name);
    pthread_mutex_lock(&memory.lock);
    bool known = memcmp(place->name, name, GH_SHA256_BYTES) == 0 && place->from_s <= now_s &&
                 now_s <= place->to_s;
    if (known) {
        *out = (struct gh_chain_verdict){.reason = GH_CHAIN_SOUND,
                                         .anchor = place->anchor,
                                         .from_s = place->from_s,
                                         .to_s = place->to_s,
                                         .detail = "sound"};
        memcpy(out->serial, place->serial, sizeof out->serial);
    }
    pthread_mutex_unlock(&memory.lock);
    return known;
}

void chain_remember(const uint8_t name[GH_SHA256_BYTES], const struct gh_chain_verdict *verdict)
{
    struct place *place = place_of(name);
    assert(verdict->reason == GH_CHAIN_SOUND);
    pthread_mutex_lock(&memory.lock);
    memcpy(place->name, name, GH_SHA256_BYTES);
    memcpy(place->serial, verdict->serial, sizeof place->serial);
    place->from_s = verdict->from_s;
    place->to_s = verdict->to_s;
    place->anchor = verdict->anchor;
    pthread_mutex_unlock(&memory.lock);
}
