/* When the keys of access tokens change, and what the audit trail is told of it. */
#include "programs/gatehoused/token_service.h"
#include "store/audit.h"
#include "tests/check.h"
#include <string.h>

#define MADE_S INT64_C(1700000000)
enum { DAY_S = 86400, KEY_DAYS = 30, KEYS = 4, PEM_BYTES = 1024, ARENA_BYTES = 1 << 20 };

static struct gh_error error;

/* --- a holder of a current and a next key of each kind */

static const enum gh_key_kind kinds[KEYS] = {GH_KEY_P256, GH_KEY_P256, GH_KEY_RSA, GH_KEY_RSA};

static struct {
    struct gh_private_key *of[KEYS];
    int64_t now_s, next_s[KEYS]; /* when the next key of the kind was made, at both of its places */
} held;

static enum gh_error_code list(void *context, struct gh_arena *arena,
                               struct gh_access_key_row rows[GH_ACCESS_KEYS_MAX], size_t *count,
                               struct gh_error *why)
{
    (void)context;
    for (size_t i = 0; i < KEYS; i++) {
        char block[PEM_BYTES];
        struct gh_buffer pem = gh_buffer_fixed(block, sizeof block);
        if (!gh_private_key_print_public(held.of[i], &pem) ||
            !gh_arena_copy(arena, gh_buffer_slice(&pem), &rows[i].pem))
            return gh_error_set(why, GH_ERROR_MEMORY, "no memory");
        rows[i].state = i % 2 == 0 ? GH_ACCESS_KEY_CURRENT : GH_ACCESS_KEY_NEXT;
        rows[i].created_at_s = held.next_s[i];
    }
    *count = KEYS;
    return GH_OK;
}

static enum gh_error_code rotate(void *context, enum gh_key_kind kind, struct gh_error *why)
{
    (void)context, (void)why;
    for (size_t i = 0; i < KEYS; i++)
        if (kinds[i] == kind)
            held.next_s[i] = held.now_s;
    return GH_OK;
}

static enum gh_error_code sign_checkpoint(void *context,
                                          const struct gh_audit_checkpoint *checkpoint,
                                          uint8_t out[GH_AUDIT_SIGNATURE_BYTES],
                                          struct gh_error *why)
{
    uint8_t block[GH_AUDIT_MESSAGE_MAX], signature[GH_KEY_SIGNATURE_MAX];
    struct gh_buffer message = gh_buffer_fixed(block, sizeof block);
    size_t size;
    (void)context;
    gh_audit_checkpoint_message(checkpoint, &message);
    if (!gh_private_key_sign(held.of[0], gh_buffer_slice(&message), signature, &size))
        return gh_error_set(why, GH_ERROR_KEYS, "no signature");
    memcpy(out, signature, GH_AUDIT_SIGNATURE_BYTES);
    return GH_OK;
}

static int64_t utc_ms(void)
{
    return held.now_s * 1000;
}

/* --- the rows */

static struct {
    struct gh_store *store;
    struct gh_audit *audit;
    struct gh_access *access;
} world;

static void world_open(void)
{
    static char block[PEM_BYTES];
    struct gh_buffer pem = gh_buffer_fixed(block, sizeof block);
    const struct gh_access_signer signer = {.list = list, .rotate = rotate};
    for (size_t i = 0; i < KEYS; i++) {
        held.of[i] = gh_private_key_generate(kinds[i], &error);
        REQUIRE(error.text, held.of[i] != NULL);
        held.next_s[i] = i < 2 ? MADE_S : MADE_S + DAY_S; /* RSA's a day later */
    }
    world.store = gh_store_open(check_folder(), GH_STORE_CREATE, &error);
    REQUIRE(error.text, world.store != NULL);
    REQUIRE("printed", gh_private_key_print_public(held.of[0], &pem));
    const struct gh_audit_options options = {.store = world.store,
                                             .signer = {NULL, sign_checkpoint},
                                             .public_key_pem = gh_buffer_slice(&pem),
                                             .utc_ms = utc_ms};
    world.audit = gh_audit_open(&options, &error);
    REQUIRE(error.text, world.audit != NULL);
    world.access = gh_access_open(world.store, &signer, &error);
    REQUIRE(error.text, world.access != NULL);
}

static void world_close(void)
{
    gh_access_close(world.access);
    gh_audit_close(world.audit);
    gh_store_close(world.store);
    for (size_t i = 0; i < KEYS; i++)
        gh_private_key_close(held.of[i]);
}

/* Whether the trail has so many rows of rotations, the newest of `object`. */
static bool trail_says(size_t rows, const char *object)
{
    const struct gh_audit_filter filter = {
        .action = GH_SLICE("tokenKeys.rotate"), .result = GH_AUDIT_DONE, .limit = 10};
    struct gh_audit_entry *entries;
    struct gh_arena arena;
    size_t count;
    gh_arena_init(&arena, ARENA_BYTES);
    REQUIRE("listed",
            gh_store_audit_list(world.store, &filter, &arena, &entries, &count, &error) == GH_OK);
    bool says = count == rows &&
                (rows == 0 || (gh_slice_equal(entries[0].row.object, gh_slice_text(object)) &&
                               gh_slice_equal(entries[0].row.method, GH_SLICE("system"))));
    gh_arena_deinit(&arena);
    return says;
}

int main(void)
{
    static const struct {
        const char *claim;
        int64_t at_s;
        size_t rows;
        const char *object;
    } steps[] = {
        {"before their time nothing changes", KEY_DAYS * DAY_S - 1, 0, NULL},
        {"the key of a kind whose time has come", KEY_DAYS * DAY_S, 1, "server/token-keys/ES256"},
        {"once", KEY_DAYS * DAY_S + 3600, 1, "server/token-keys/ES256"},
        {"each kind in its own time", (KEY_DAYS + 1) * DAY_S, 2, "server/token-keys/RS256"},
        {"and again", 2 * KEY_DAYS * DAY_S, 3, "server/token-keys/ES256"},
    };
    world_open();
    for (size_t i = 0; i < GH_COUNT(steps); i++) {
        held.now_s = MADE_S + steps[i].at_s;
        token_keys_tend(world.access, world.audit, KEY_DAYS, held.now_s);
        CHECK(steps[i].claim, trail_says(steps[i].rows, steps[i].object));
    }
    world_close();
    return check_report();
}
