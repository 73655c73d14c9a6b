/* What comes back from elsewhere: lines of checkpoints, a proof. Whatever is read is printed again
 * as the same; nothing that was not signed is taken for it. */
#include "audit/audit.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char public_pem[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/eOlO7Uhzdl5fqQUCUO2/hrDboQO\n"
    "sQPTmScMGjYxUzTBCW2pf5mVoW7OQluxb8Zos4F1rKOmW+iYUKgm5x8SvQ==\n"
    "-----END PUBLIC KEY-----\n";

static void lines(struct gh_slice text, struct gh_arena *arena)
{
    struct gh_audit_checkpoint *rows;
    struct gh_error error;
    size_t count;
    if (gh_audit_checkpoint_lines(text, arena, &rows, &count, &error) != GH_OK)
        return;
    for (size_t i = 0; i < count; i++) {
        struct gh_audit_checkpoint again;
        json_t *value = gh_audit_checkpoint_to_json(&rows[i], true);
        if (value != NULL) {
            enum gh_error_code code = gh_audit_checkpoint_from_json(value, arena, &again, &error);
            assert(code == GH_OK || code == GH_ERROR_INVALID);
            assert(code != GH_OK || (again.seq == rows[i].seq &&
                                     gh_slice_equal(again.signature, rows[i].signature)));
        }
        json_decref(value);
    }
}

static void proof(struct gh_slice text, struct gh_arena *arena)
{
    struct gh_audit_entry entry;
    struct gh_error error;
    json_t *value = gh_json_read(text, &error);
    struct gh_key *key = gh_key_open(gh_slice_text(public_pem), &error);
    assert(key != NULL);
    if (value != NULL) {
        enum gh_error_code code = gh_audit_proof_check(value, key, arena, &entry, &error);
        assert(code != GH_OK); /* nobody has the private half */
    }
    gh_key_close(key);
    json_decref(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_arena arena;
    gh_arena_init(&arena, 16 << 20);
    lines(gh_slice(data, size), &arena);
    proof(gh_slice(data, size), &arena);
    gh_arena_deinit(&arena);
    return 0;
}
