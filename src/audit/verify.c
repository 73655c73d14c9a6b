#include "audit/verify.h"
#include <stdio.h>
#include <string.h>

enum { PAGE_ROWS = 500, PAGE_BYTES_MAX = 16 * 1024 * 1024 };

static const char *const fault_names[] = {
    [GH_AUDIT_WHOLE] = "whole",         [GH_AUDIT_CHANGED] = "changed",
    [GH_AUDIT_MISSING] = "missing",     [GH_AUDIT_TRUNCATED] = "truncated",
    [GH_AUDIT_REWRITTEN] = "rewritten", [GH_AUDIT_UNSIGNED] = "unsigned",
};

const char *gh_audit_fault_name(enum gh_audit_fault fault)
{
    return (unsigned)fault < GH_COUNT(fault_names) ? fault_names[fault] : "unknown";
}

char *gh_audit_cut_object(int64_t seq, char out[GH_AUDIT_CUT_OBJECT_MAX])
{
    snprintf(out, GH_AUDIT_CUT_OBJECT_MAX, "audit/rows/1-%lld", (long long)seq);
    return out;
}

/* --- row by row --- */

bool gh_audit_follow_from(struct gh_audit_follow *follow,
                          const struct gh_audit_checkpoint *checkpoint)
{
    *follow = (struct gh_audit_follow){0};
    if (checkpoint == NULL)
        return true;
    follow->seq = checkpoint->seq;
    follow->hash = checkpoint->hash;
    if (!gh_merkle_load(&follow->tree, (uint64_t)checkpoint->seq, checkpoint->frontier))
        return false;
    struct gh_merkle_hash root = gh_merkle_root(&follow->tree);
    return gh_merkle_equal(&root, &checkpoint->root);
}

enum gh_audit_fault gh_audit_follow_row(struct gh_audit_follow *follow,
                                        const struct gh_audit_entry *entry)
{
    uint8_t block[GH_AUDIT_ROW_BYTES_MAX];
    struct gh_buffer form = gh_buffer_fixed(block, sizeof block);
    if (entry->row.seq != follow->seq + 1)
        return GH_AUDIT_MISSING;
    if (!gh_audit_row_valid(&entry->row))
        return GH_AUDIT_CHANGED;
    gh_audit_row_encode(&entry->row, &form);
    struct gh_merkle_hash hash = gh_chain_next(&follow->hash, gh_buffer_slice(&form));
    if (!gh_merkle_equal(&hash, &entry->hash))
        return GH_AUDIT_CHANGED;
    struct gh_merkle_hash leaf = gh_merkle_leaf(gh_buffer_slice(&form));
    gh_merkle_add(&follow->tree, &leaf);
    follow->seq++;
    follow->hash = hash;
    return GH_AUDIT_WHOLE;
}

/* --- pages of a store --- */

static enum gh_error_code store_rows(void *context, int64_t after, struct gh_arena *arena,
                                     struct gh_audit_entry **out, size_t *count,
                                     struct gh_error *error)
{
    const struct gh_audit_filter filter = {
        .after = after, .result = -1, .oldest_first = true, .limit = PAGE_ROWS};
    return gh_store_audit_list(context, &filter, arena, out, count, error);
}

static enum gh_error_code store_checkpoints(void *context, int64_t after, struct gh_arena *arena,
                                            struct gh_audit_checkpoint **out, size_t *count,
                                            struct gh_error *error)
{
    return gh_store_audit_checkpoint_list(context, after, PAGE_ROWS, arena, out, count, error);
}

const struct gh_audit_pages gh_audit_store_pages = {.rows = store_rows,
                                                    .checkpoints = store_checkpoints};

/* --- a whole trail --- */

/* Checkpoints one after the other: a page, and where in it. */
struct stream {
    struct gh_arena arena;
    struct gh_audit_checkpoint *items;
    size_t count, at;
    bool ended;
};

struct verifier {
    const struct gh_audit_pages *pages;
    const struct gh_key *key;
    struct stream stored, exported; /* the second is one page from the start */
    struct gh_audit_follow follow;
    bool begun;
    int64_t cut; /* the rows up to here are gone; 0: none */
    bool cut_told;
    struct gh_audit_verdict *verdict;
    struct gh_error *error;
};

/* The next checkpoint of a stream, NULL at its end; `*code` says whether that could be known. */
static const struct gh_audit_checkpoint *peek(struct verifier *verifier, struct stream *stream,
                                              enum gh_error_code *code)
{
    *code = GH_OK;
    if (stream->at < stream->count)
        return &stream->items[stream->at];
    if (stream->ended)
        return NULL;
    int64_t after = stream->count == 0 ? 0 : stream->items[stream->count - 1].seq;
    gh_arena_reset(&stream->arena);
    stream->at = stream->count = 0;
    *code = verifier->pages->checkpoints(verifier->pages->context, after, &stream->arena,
                                         &stream->items, &stream->count, verifier->error);
    stream->ended = *code != GH_OK || stream->count == 0;
    return stream->ended ? NULL : &stream->items[0];
}

static void find(struct verifier *verifier, enum gh_audit_fault fault, int64_t first, int64_t last)
{
    static const struct {
        const char *before, *after;
    } words[] = {
        [GH_AUDIT_CHANGED] = {"row", " is not as it was written"},
        [GH_AUDIT_MISSING] = {"row", " is missing"},
        [GH_AUDIT_TRUNCATED] = {"the trail ends before row", ", which a checkpoint vouches for"},
        [GH_AUDIT_REWRITTEN] = {"the rows from", " on do not fit the checkpoint that was signed"},
        [GH_AUDIT_UNSIGNED] = {"the checkpoint at row", " is not signed by the key of this trail"},
    };
    struct gh_audit_verdict *verdict = verifier->verdict;
    verdict->fault = fault;
    verdict->bad_first = first;
    verdict->bad_last = last;
    snprintf(verdict->text, sizeof verdict->text, "%s %lld%s", words[fault].before,
             (long long)first, words[fault].after);
}

/* A checkpoint of the row that the verifier stands at, or of one that is cut. */
static void hold_against(struct verifier *verifier, const struct gh_audit_checkpoint *checkpoint)
{
    struct gh_merkle_hash root = gh_merkle_root(&verifier->follow.tree);
    if (!gh_audit_checkpoint_signed(checkpoint, verifier->key)) {
        find(verifier, GH_AUDIT_UNSIGNED, checkpoint->seq, checkpoint->seq);
        return;
    }
    if (!gh_merkle_equal(&checkpoint->hash, &verifier->follow.hash) ||
        !gh_merkle_equal(&checkpoint->root, &root)) {
        find(verifier, GH_AUDIT_REWRITTEN, verifier->verdict->checked + 1, checkpoint->seq);
        return;
    }
    verifier->verdict->checkpoints++;
    verifier->verdict->checked = checkpoint->seq;
}

static bool is_whole(const struct verifier *verifier)
{
    return verifier->verdict->fault == GH_AUDIT_WHOLE;
}

/* All checkpoints of a stream up to the row that the verifier stands at. */
static enum gh_error_code hold_stream(struct verifier *verifier, struct stream *stream)
{
    const struct gh_audit_checkpoint *checkpoint;
    enum gh_error_code code;
    while ((checkpoint = peek(verifier, stream, &code)) != NULL &&
           checkpoint->seq <= verifier->follow.seq && is_whole(verifier)) {
        if (checkpoint->seq == verifier->follow.seq)
            hold_against(verifier, checkpoint);
        stream->at++; /* one of a row before the cut has nothing to be compared with */
    }
    return code;
}

static enum gh_error_code hold_all(struct verifier *verifier)
{
    enum gh_error_code code = hold_stream(verifier, &verifier->stored);
    return code == GH_OK && is_whole(verifier) ? hold_stream(verifier, &verifier->exported) : code;
}

/* Where the rows begin: at the first, or behind the oldest checkpoint that is kept, when that is
 * one of a cut. */
static enum gh_error_code begin(struct verifier *verifier, int64_t first)
{
    enum gh_error_code code;
    if (first <= 1)
        return gh_audit_follow_from(&verifier->follow, NULL) ? GH_OK : GH_ERROR_INTERNAL;
    const struct gh_audit_checkpoint *oldest = peek(verifier, &verifier->stored, &code);
    if (code != GH_OK)
        return code;
    if (oldest == NULL || oldest->seq != first - 1) {
        find(verifier, GH_AUDIT_MISSING, 1, first - 1);
        return GH_OK;
    }
    verifier->cut = oldest->seq;
    if (!gh_audit_follow_from(&verifier->follow, oldest))
        find(verifier, GH_AUDIT_REWRITTEN, 1, oldest->seq);
    return is_whole(verifier) ? hold_all(verifier) : GH_OK;
}

static bool tells_of_cut(const struct verifier *verifier, const struct gh_audit_row *row)
{
    char object[GH_AUDIT_CUT_OBJECT_MAX];
    return gh_slice_equal(row->action, GH_SLICE(GH_AUDIT_CUT_ACTION)) &&
           gh_slice_equal(row->object, gh_slice_text(gh_audit_cut_object(verifier->cut, object)));
}

static enum gh_error_code take_row(struct verifier *verifier, const struct gh_audit_entry *entry)
{
    enum gh_audit_fault fault = gh_audit_follow_row(&verifier->follow, entry);
    if (fault != GH_AUDIT_WHOLE) {
        int64_t next = verifier->follow.seq + 1;
        find(verifier, fault, next,
             fault == GH_AUDIT_MISSING && entry->row.seq > next ? entry->row.seq - 1 : next);
        return GH_OK;
    }
    verifier->cut_told = verifier->cut_told || tells_of_cut(verifier, &entry->row);
    return hold_all(verifier);
}

static enum gh_error_code take_rows(struct verifier *verifier)
{
    struct gh_arena arena;
    struct gh_audit_entry *rows;
    size_t count = 0;
    enum gh_error_code code;
    gh_arena_init(&arena, PAGE_BYTES_MAX);
    do {
        gh_arena_reset(&arena);
        code = verifier->pages->rows(verifier->pages->context, verifier->follow.seq, &arena, &rows,
                                     &count, verifier->error);
        if (code == GH_OK && !verifier->begun && count > 0) {
            verifier->begun = true;
            code = begin(verifier, rows[0].row.seq);
            verifier->verdict->first = rows[0].row.seq;
        }
        for (size_t i = 0; code == GH_OK && is_whole(verifier) && i < count; i++)
            code = take_row(verifier, &rows[i]);
    } while (code == GH_OK && is_whole(verifier) && count > 0);
    gh_arena_deinit(&arena);
    return code;
}

/* A checkpoint of a row behind the last one. A server that runs goes on adding both, rows before
 * checkpoints: so the rows are read on once more before it is said that they are gone. */
static enum gh_error_code read_on(struct verifier *verifier, struct stream *stream)
{
    enum gh_error_code code;
    const struct gh_audit_checkpoint *beyond;
    while ((beyond = peek(verifier, stream, &code)) != NULL && is_whole(verifier)) {
        int64_t seq = beyond->seq;
        bool good = gh_audit_checkpoint_signed(beyond, verifier->key);
        code = take_rows(verifier);
        if (code != GH_OK || !is_whole(verifier))
            return code;
        if (verifier->follow.seq < seq)
            find(verifier, good ? GH_AUDIT_TRUNCATED : GH_AUDIT_UNSIGNED,
                 good ? verifier->follow.seq + 1 : seq, seq);
    }
    return code;
}

/* What is left when the rows have ended: nothing may be. */
static enum gh_error_code end(struct verifier *verifier)
{
    enum gh_error_code code = read_on(verifier, &verifier->stored);
    if (code == GH_OK && is_whole(verifier))
        code = read_on(verifier, &verifier->exported);
    if (is_whole(verifier) && verifier->cut != 0 && !verifier->cut_told)
        find(verifier, GH_AUDIT_MISSING, 1, verifier->cut);
    return code;
}

enum gh_error_code gh_audit_verify(const struct gh_audit_pages *pages, const struct gh_key *key,
                                   const struct gh_audit_checkpoint *exported,
                                   size_t exported_count, struct gh_audit_verdict *out,
                                   struct gh_error *error)
{
    struct verifier verifier = {.pages = pages, .key = key, .verdict = out, .error = error};
    union { /* the stream only reads what it is given */
        const struct gh_audit_checkpoint *given;
        struct gh_audit_checkpoint *items;
    } file = {.given = exported};
    *out = (struct gh_audit_verdict){0};
    verifier.exported =
        (struct stream){.items = file.items, .count = exported_count, .ended = true};
    gh_arena_init(&verifier.stored.arena, PAGE_BYTES_MAX);
    enum gh_error_code code = take_rows(&verifier);
    if (code == GH_OK && is_whole(&verifier))
        code = end(&verifier);
    gh_arena_deinit(&verifier.stored.arena);
    out->last = verifier.follow.seq;
    if (code == GH_OK && is_whole(&verifier))
        snprintf(out->text, sizeof out->text,
                 "%lld rows are as they were written; signed up to row %lld",
                 (long long)(out->last == 0 ? 0 : out->last - out->first + 1),
                 (long long)out->checked);
    return code;
}
