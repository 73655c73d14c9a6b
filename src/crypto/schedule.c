#include "crypto/schedule.h"
#include "base/buffer.h"
#include "base/secret.h"
#include <assert.h>
#include <string.h>

enum { INFO_MAX = 2 + 1 + 64 + 1 + GH_SCHEDULE_SECRET_MAX + 1 };

/* What is wanted is never longer than one block of HMAC, so one is all that RFC 5869 §2.3 asks
 * for. */
bool gh_schedule_expand(enum gh_digest hash, struct gh_slice secret, struct gh_slice label,
                        struct gh_slice context, uint8_t *out, size_t size)
{
    static const struct gh_slice prefix = GH_SLICE_INIT("tls13 ");
    uint8_t block[INFO_MAX], bytes[GH_SCHEDULE_SECRET_MAX];
    struct gh_buffer info = gh_buffer_fixed(block, sizeof block);

    if (size > gh_digest_bytes(hash) || label.size > UINT8_MAX - prefix.size ||
        context.size > UINT8_MAX)
        return false;
    gh_buffer_u16(&info, (uint16_t)size);
    gh_buffer_u8(&info, (uint8_t)(prefix.size + label.size));
    gh_buffer_put(&info, prefix);
    gh_buffer_put(&info, label);
    gh_buffer_u8(&info, (uint8_t)context.size);
    gh_buffer_put(&info, context);
    gh_buffer_u8(&info, 1); /* the first block */
    if (info.overflow)
        return false;
    gh_hmac(hash, secret, gh_buffer_slice(&info), bytes);
    memcpy(out, bytes, size);
    gh_secret_wipe(bytes, sizeof bytes);
    return true;
}

bool gh_schedule_next(enum gh_digest hash, struct gh_slice salt, struct gh_slice material,
                      uint8_t *out)
{
    uint8_t nothing[GH_SCHEDULE_SECRET_MAX], derived[GH_SCHEDULE_SECRET_MAX];
    size_t bytes = gh_digest_bytes(hash);
    bool done = true;

    if (salt.size > 0) {
        gh_digest(hash, (struct gh_slice){0}, nothing);
        done = gh_schedule_expand(hash, salt, GH_SLICE("derived"), gh_slice(nothing, bytes),
                                  derived, bytes);
        salt = gh_slice(derived, bytes);
    }
    if (done)
        gh_hmac(hash, salt, material, out); /* RFC 5869 §2.2 */
    gh_secret_wipe(derived, sizeof derived);
    return done;
}

/* ---- who listens */

static _Thread_local struct gh_schedule_secrets *listener;

struct gh_schedule_secrets *gh_schedule_listen(struct gh_schedule_secrets *to)
{
    struct gh_schedule_secrets *before = listener;
    listener = to;
    return before;
}

void gh_schedule_tell(struct gh_slice label, struct gh_slice secret)
{
    static const struct gh_slice labels[] = {
        [GH_SCHEDULE_CLIENT_TRAFFIC] = GH_SLICE_INIT("c ap traffic"),
        [GH_SCHEDULE_SERVER_TRAFFIC] = GH_SLICE_INIT("s ap traffic"),
        [GH_SCHEDULE_RESUMPTION] = GH_SLICE_INIT("res master"),
    };
    static_assert(GH_COUNT(labels) == GH_SCHEDULE_SECRET_COUNT, "one for each");

    for (size_t i = 0; listener != NULL && i < GH_COUNT(labels); i++)
        if (gh_slice_equal(label, labels[i]) && secret.size <= GH_SCHEDULE_SECRET_MAX) {
            memcpy(listener->of[i].bytes, secret.data, secret.size);
            listener->of[i].size = secret.size;
        }
}
