/* The proof that one row belongs to a signed checkpoint, made and checked. */
#include "audit/audit.h"
#include <string.h>

enum { PAGE_BYTES_MAX = 16 * 1024 * 1024 };

/* The leaves from the oldest row that is there to the checkpoint. */
static enum gh_error_code read_leaves(struct gh_store *store, int64_t first, int64_t last,
                                      struct gh_merkle_hash *out, struct gh_error *error)
{
    struct gh_audit_entry *rows;
    struct gh_arena arena;
    size_t count = 0;
    int64_t seq = first - 1;
    enum gh_error_code code = GH_OK;
    gh_arena_init(&arena, PAGE_BYTES_MAX);
    while (code == GH_OK && seq < last) {
        gh_arena_reset(&arena);
        code = gh_audit_store_pages.rows(store, seq, &arena, &rows, &count, error);
        for (size_t i = 0; code == GH_OK && i < count && seq < last; i++) {
            uint8_t block[GH_AUDIT_ROW_BYTES_MAX];
            struct gh_buffer form = gh_buffer_fixed(block, sizeof block);
            if (rows[i].row.seq != ++seq || !gh_audit_row_valid(&rows[i].row))
                code = gh_error_set(error, GH_ERROR_PRECONDITION,
                                    "the audit trail does not hold at row %lld", (long long)seq);
            else
                gh_audit_row_encode(&rows[i].row, &form);
            out[seq - first] = gh_merkle_leaf(gh_buffer_slice(&form));
        }
        if (code == GH_OK && count == 0)
            code = gh_error_set(error, GH_ERROR_PRECONDITION, "row %lld is missing",
                                (long long)seq + 1);
    }
    gh_arena_deinit(&arena);
    return code;
}

/* The tree of the rows that are gone. */
static enum gh_error_code read_cut(struct gh_store *store, int64_t first, struct gh_arena *arena,
                                   struct gh_merkle *out, struct gh_error *error)
{
    struct gh_audit_checkpoint at;
    *out = (struct gh_merkle){0};
    if (first <= 1)
        return GH_OK;
    enum gh_error_code code = gh_store_audit_checkpoint_at(store, first - 1, arena, &at, error);
    if (code == GH_OK &&
        (at.seq != first - 1 || !gh_merkle_load(out, (uint64_t)at.seq, at.frontier)))
        code = gh_error_set(error, GH_ERROR_PRECONDITION, "the checkpoint of the cut is not there");
    return code;
}

enum gh_error_code gh_audit_prove(struct gh_store *store, int64_t seq, struct gh_arena *arena,
                                  struct gh_audit_proof *out, struct gh_error *error)
{
    const struct gh_audit_filter filter = {
        .after = seq - 1, .before = seq + 1, .result = -1, .limit = 1};
    struct gh_audit_entry *entry;
    struct gh_merkle cut;
    int64_t first, last;
    size_t count = 0;
    enum gh_error_code code = gh_store_audit_list(store, &filter, arena, &entry, &count, error);
    if (code == GH_OK && count == 0)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no row %lld", (long long)seq);
    if (code == GH_OK)
        code = gh_store_audit_checkpoint_at(store, INT64_MAX, arena, &out->checkpoint, error);
    if (code == GH_ERROR_NOT_FOUND && count == 1)
        code = GH_OK;
    if (code == GH_OK && out->checkpoint.seq < seq)
        code = gh_error_set(error, GH_ERROR_PRECONDITION,
                            "no checkpoint covers row %lld yet; wait for the next one",
                            (long long)seq);
    if (code == GH_OK)
        code = gh_store_audit_ends(store, &first, &last, error);
    if (code == GH_OK)
        code = read_cut(store, first, arena, &cut, error);
    if (code != GH_OK)
        return code;
    size_t leaves_count = (size_t)(out->checkpoint.seq - first + 1);
    struct gh_merkle_hash *leaves = gh_arena_array(arena, leaves_count, sizeof *leaves);
    if (leaves == NULL)
        return gh_error_set(error, GH_ERROR_MEMORY, "the rows do not fit the memory");
    code = read_leaves(store, first, out->checkpoint.seq, leaves, error);
    if (code != GH_OK)
        return code;
    gh_merkle_prove(&cut, leaves, leaves_count, (uint64_t)seq - 1, &out->path);
    out->entry = *entry;
    return GH_OK;
}

json_t *gh_audit_proof_to_json(const struct gh_audit_proof *proof)
{
    json_t *path = json_array();
    for (size_t i = 0; i < proof->path.count; i++)
        json_array_append_new(path, gh_audit_hex(gh_slice(proof->path.nodes[i].bytes,
                                                          sizeof proof->path.nodes[i].bytes)));
    return json_pack("{s:o, s:o, s:o}", "row", gh_audit_entry_to_json(&proof->entry), "path", path,
                     "checkpoint", gh_audit_checkpoint_to_json(&proof->checkpoint, false));
}

static bool read_path(const json_t *list, struct gh_arena *arena, struct gh_merkle_path *out)
{
    size_t count = json_array_size(list);
    out->count = 0;
    if (!json_is_array(list) || count > GH_MERKLE_LEVELS_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct gh_slice node;
        json_t *one = json_pack("{s:O}", "node", json_array_get(list, i));
        bool good = gh_audit_unhex(one, "node", GH_SHA256_BYTES, arena, &node) && node.size > 0;
        json_decref(one);
        if (!good)
            return false;
        memcpy(out->nodes[out->count++].bytes, node.data, node.size);
    }
    return true;
}

enum gh_error_code gh_audit_proof_check(const json_t *proof, const struct gh_key *key,
                                        struct gh_arena *arena, struct gh_audit_entry *out,
                                        struct gh_error *error)
{
    struct gh_audit_checkpoint checkpoint;
    struct gh_merkle_path path;
    uint8_t block[GH_AUDIT_ROW_BYTES_MAX];
    struct gh_buffer form = gh_buffer_fixed(block, sizeof block);
    if (gh_audit_entry_from_json(json_object_get(proof, "row"), arena, out, error) != GH_OK ||
        gh_audit_checkpoint_from_json(json_object_get(proof, "checkpoint"), arena, &checkpoint,
                                      error) != GH_OK ||
        !read_path(json_object_get(proof, "path"), arena, &path) || !gh_audit_row_valid(&out->row))
        return gh_error_set(error, GH_ERROR_INVALID, "this is no proof of a row");
    if (!gh_audit_checkpoint_signed(&checkpoint, key))
        return gh_error_set(error, GH_ERROR_PRECONDITION,
                            "the checkpoint of the proof is not signed by this key");
    gh_audit_row_encode(&out->row, &form);
    struct gh_merkle_hash leaf = gh_merkle_leaf(gh_buffer_slice(&form));
    return gh_merkle_check(&leaf, (uint64_t)out->row.seq - 1, (uint64_t)checkpoint.seq, &path,
                           &checkpoint.root)
               ? GH_OK
               : gh_error_set(error, GH_ERROR_PRECONDITION,
                              "row %lld is not the one that was signed", (long long)out->row.seq);
}
