#include "io/rpc_internal.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void open_letter(struct gh_letter *letter);

struct gh_rpc *rpc_open(struct gh_loop *loop, struct http2 *owner, size_t message_max)
{
    struct gh_rpc *rpc = calloc(1, sizeof *rpc);

    if (rpc == NULL)
        return NULL;
    rpc->references = 1;
    rpc->loop = loop;
    rpc->owner = owner;
    rpc->letter.open = open_letter;
    gh_arena_init(&rpc->arena, GH_RPC_ARENA_BYTES_MAX);
    gh_buffer_init(&rpc->in, message_max + GH_GRPC_PREFIX_BYTES);
    gh_buffer_init(&rpc->out, GH_RPC_SEND_BYTES_MAX);
    pthread_mutex_init(&rpc->lock, NULL);
    rpc->headers = gh_arena_array(&rpc->arena, RPC_HEADERS_MAX, sizeof *rpc->headers);
    if (rpc->headers != NULL)
        return rpc;
    gh_rpc_unref(rpc);
    return NULL;
}

struct gh_rpc *gh_rpc_ref(struct gh_rpc *rpc)
{
    atomic_fetch_add_explicit(&rpc->references, 1, memory_order_relaxed);
    return rpc;
}

void gh_rpc_unref(struct gh_rpc *rpc)
{
    if (atomic_fetch_sub_explicit(&rpc->references, 1, memory_order_acq_rel) != 1)
        return;
    gh_arena_deinit(&rpc->arena);
    gh_buffer_deinit(&rpc->in);
    gh_buffer_deinit(&rpc->out);
    pthread_mutex_destroy(&rpc->lock);
    free(rpc);
}

const struct gh_rpc_head *gh_rpc_head_of(const struct gh_rpc *rpc)
{
    return &rpc->head;
}

struct gh_slice gh_rpc_header(const struct gh_rpc *rpc, const char *name)
{
    struct gh_slice value = {0};
    (void)gh_http_header_find(rpc->head.headers, rpc->head.headers_count, name, &value);
    return value;
}

struct gh_arena *gh_rpc_arena(struct gh_rpc *rpc)
{
    return &rpc->arena;
}

void gh_rpc_take(struct gh_rpc *rpc, const struct gh_rpc_taker *taker, void *context,
                 bool is_stream)
{
    assert(rpc->taker == NULL);
    rpc->taker = taker;
    rpc->context = context;
    if (is_stream && gh_rpc_header(rpc, "grpc-timeout").size == 0)
        rpc->deadline_ns = 0;
}

/* ---- from any thread to the loop */

/* Under the lock: while the call is not over its loop is there. */
static void post(struct gh_rpc *rpc)
{
    if (rpc->letter_is_away || rpc->loop == NULL)
        return;
    rpc->letter_is_away = true;
    gh_rpc_ref(rpc);
    gh_loop_send(rpc->loop, &rpc->letter);
}

bool gh_rpc_send(struct gh_rpc *rpc, struct gh_slice body)
{
    pthread_mutex_lock(&rpc->lock);
    bool is_taken = !rpc->is_ended && !rpc->is_over && gh_grpc_message_write(&rpc->out, body);
    if (is_taken)
        post(rpc);
    pthread_mutex_unlock(&rpc->lock);
    return is_taken;
}

void gh_rpc_end(struct gh_rpc *rpc, int status, struct gh_slice text)
{
    text = gh_slice_sub(text, 0, sizeof rpc->text);
    pthread_mutex_lock(&rpc->lock);
    if (!rpc->is_ended && !rpc->is_over) {
        rpc->is_ended = true;
        rpc->status = status;
        if (text.size != 0)
            memcpy(rpc->text, text.data, text.size);
        rpc->text_size = text.size;
        post(rpc);
    }
    pthread_mutex_unlock(&rpc->lock);
}

bool gh_rpc_is_over(struct gh_rpc *rpc)
{
    pthread_mutex_lock(&rpc->lock);
    bool is_over = rpc->is_over;
    pthread_mutex_unlock(&rpc->lock);
    return is_over;
}

/* ---- on the loop */

static void open_letter(struct gh_letter *letter)
{
    struct gh_rpc *rpc =
        (struct gh_rpc *)(void *)((char *)letter - offsetof(struct gh_rpc, letter));

    pthread_mutex_lock(&rpc->lock);
    rpc->letter_is_away = false;
    pthread_mutex_unlock(&rpc->lock);
    if (rpc->owner != NULL)
        http2_wake(rpc->owner, rpc);
    gh_rpc_unref(rpc);
}

static struct rpc_progress progress_of(const struct gh_rpc *rpc)
{
    return (struct rpc_progress){.waiting = rpc->out.size - rpc->out_at, .is_ended = rpc->is_ended};
}

struct rpc_progress rpc_progress(struct gh_rpc *rpc)
{
    pthread_mutex_lock(&rpc->lock);
    struct rpc_progress progress = progress_of(rpc);
    pthread_mutex_unlock(&rpc->lock);
    return progress;
}

struct rpc_progress rpc_take_bytes(struct gh_rpc *rpc, uint8_t *out, size_t size, size_t *taken)
{
    pthread_mutex_lock(&rpc->lock);
    struct gh_slice rest = gh_slice_sub(gh_buffer_slice(&rpc->out), rpc->out_at, size);
    if (rest.size != 0)
        memcpy(out, rest.data, rest.size);
    *taken = rest.size;
    rpc->out_at += rest.size;
    struct rpc_progress left = progress_of(rpc);
    if (left.waiting == 0) {
        gh_buffer_release(&rpc->out);
        rpc->out_at = 0;
    } else if (rpc->out_at > rpc->out.size / 2) {
        gh_buffer_drop(&rpc->out, rpc->out_at);
        rpc->out_at = 0;
    }
    pthread_mutex_unlock(&rpc->lock);
    return left;
}

void rpc_over(struct gh_rpc *rpc)
{
    rpc->owner = NULL;
    pthread_mutex_lock(&rpc->lock);
    rpc->is_over = true;
    pthread_mutex_unlock(&rpc->lock);
    if (rpc->taker != NULL && rpc->taker->gone != NULL)
        rpc->taker->gone(rpc->context, rpc);
    gh_rpc_unref(rpc);
}
