#include "io/framing.h"
#include <assert.h>
#include <string.h>

void gh_framing_wrap(struct gh_framing *framing, struct gh_buffer *out)
{
    uint8_t head[GH_FRAMING_HEAD_MAX];
    size_t size = out->size - framing->framed;

    assert(framing->framed <= out->size);
    if (size == 0 || out->overflow)
        return;
    if (framing->is_finished) {
        out->size = framing->framed;
        return;
    }
    size_t head_size = framing->kind->head(framing, size, head);
    assert(head_size <= sizeof head);
    if (gh_buffer_reserve(out, head_size) == NULL)
        return; /* the overflow ends the connection */
    uint8_t *at = out->data + framing->framed;
    memmove(at + head_size, at, size);
    memcpy(at, head, head_size);
    gh_buffer_commit(out, head_size);
    framing->framed = out->size;
}

void gh_framing_say(struct gh_framing *framing, struct gh_buffer *out, struct gh_slice bytes)
{
    gh_framing_wrap(framing, out);
    gh_buffer_put(out, bytes);
    if (!out->overflow)
        framing->framed = out->size;
}

void gh_framing_finish(struct gh_framing *framing, enum gh_framing_end end, struct gh_buffer *out)
{
    if (framing->is_finished)
        return;
    gh_framing_wrap(framing, out);
    framing->kind->finish(framing, end, out);
    framing->is_finished = true;
}
