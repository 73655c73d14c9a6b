/* The keys that sign access tokens (identity/access.h): for each algorithm one that signs, one that
 * will, and one that did and is still published. They are one secret of the keyring, which is
 * replaced as a whole: for each key a line "ES256 current CREATED RETIRED" (Unix seconds) and its
 * PEM. They sign nothing but access tokens: whatever else is brought here is refused. */
#include "base/log.h"
#include "base/secret.h"
#include "base/time.h"
#include "identity/access.h"
#include "programs/gatehoused/keys_internal.h"
#include "wire/base64.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADER_MAX = 256,
    /* As long as the last token of a retired key lives and as its set may be kept, and as much
     * again for clocks. */
    OVERLAP_S = 2 * (GH_ACCESS_TTL_S + GH_ACCESS_SKEW_S + GH_ACCESS_JWKS_MAX_AGE_S),
};

struct token_key {
    struct gh_private_key *key;
    char kid[GH_JWK_THUMBPRINT_MAX];
    enum gh_access_key_state state;
    int64_t created_at_s, retired_at_s; /* 0: not retired */
};

struct keys_tokens {
    struct gh_keyring *keyring;
    struct token_key of[GH_ACCESS_KEYS_MAX];
    size_t count;
};

static const char *const algorithms[] = {[GH_KEY_P256] = "ES256", [GH_KEY_RSA] = "RS256"};

/* --- the set in memory */

static void drop(struct keys_tokens *tokens, size_t at)
{
    gh_private_key_close(tokens->of[at].key);
    tokens->of[at] = tokens->of[--tokens->count];
}

static bool name_key(struct token_key *key)
{
    uint8_t block[KEYS_PEM_MAX];
    struct gh_buffer pem = gh_buffer_fixed(block, sizeof block);
    struct gh_key *public = gh_private_key_print_public(key->key, &pem)
                                ? gh_key_open(gh_buffer_slice(&pem), NULL)
                                : NULL;
    bool named = public != NULL && gh_jwk_thumbprint(public, key->kid);
    gh_key_close(public);
    return named;
}

/* Takes `key->key`. */
static bool add(struct keys_tokens *tokens, struct token_key *key, struct gh_error *error)
{
    if (key->key == NULL)
        return false;
    if (tokens->count < GH_ACCESS_KEYS_MAX && name_key(key)) {
        tokens->of[tokens->count++] = *key;
        return true;
    }
    gh_private_key_close(key->key);
    gh_error_set(error, GH_ERROR_INVALID, "there are too many token keys, or one without a name");
    return false;
}

static struct token_key *find(struct keys_tokens *tokens, enum gh_key_kind kind,
                              enum gh_access_key_state state)
{
    for (size_t i = 0; i < tokens->count; i++)
        if (tokens->of[i].state == state && gh_private_key_kind(tokens->of[i].key) == kind)
            return &tokens->of[i];
    return NULL;
}

static bool make(struct keys_tokens *tokens, enum gh_key_kind kind, enum gh_access_key_state state,
                 int64_t now_s, struct gh_error *error)
{
    struct token_key made = {
        .key = gh_private_key_generate(kind, error), .state = state, .created_at_s = now_s};
    return add(tokens, &made, error);
}

/* Takes out the keys of before whose time is over; whether there were any. */
static bool expire(struct keys_tokens *tokens, int64_t now_s)
{
    size_t before = tokens->count;
    for (size_t i = tokens->count; i > 0; i--)
        if (tokens->of[i - 1].state == GH_ACCESS_KEY_PREVIOUS &&
            now_s - tokens->of[i - 1].retired_at_s > OVERLAP_S)
            drop(tokens, i - 1);
    return tokens->count < before;
}

/* --- the file */

static bool print_all(const struct keys_tokens *tokens, struct gh_buffer *out)
{
    for (size_t i = 0; i < tokens->count; i++) {
        const struct token_key *key = &tokens->of[i];
        gh_buffer_print(out, "%s %s %lld %lld\n", algorithms[gh_private_key_kind(key->key)],
                        gh_access_key_state_name(key->state), (long long)key->created_at_s,
                        (long long)key->retired_at_s);
        if (!gh_private_key_print(key->key, out))
            return false;
    }
    return !out->overflow;
}

/* Into the keyring's memory; on the disk once that is saved. */
static bool put(const struct keys_tokens *tokens, struct gh_error *error)
{
    struct gh_buffer text;
    gh_buffer_init(&text, GH_KEYRING_SECRET_BYTES_MAX);
    bool good = print_all(tokens, &text);
    if (!good)
        gh_error_set(error, GH_ERROR_MEMORY, "no memory for the token keys");
    good = good && gh_keyring_put(tokens->keyring, GH_KEYRING_TOKENS, gh_buffer_slice(&text),
                                  error) == GH_OK;
    if (text.data != NULL)
        gh_secret_wipe(text.data, text.capacity);
    gh_buffer_deinit(&text);
    return good;
}

/* `before` is what the keyring goes on holding when it cannot be written: a later save, for another
 * secret's sake, must not bring keys that nobody knows of. */
static bool save(const struct keys_tokens *tokens, const struct keys_tokens *before,
                 struct gh_error *error)
{
    struct gh_error ignored = {0}; /* the first cause is the one to tell */
    if (!put(tokens, error))
        return false;
    if (gh_keyring_save(tokens->keyring, error) == GH_OK)
        return true;
    (void)!put(before, &ignored);
    return false;
}

static bool read_head(struct gh_slice line, struct token_key *out)
{
    uint64_t created, retired;
    (void)gh_slice_split(&line, ' '); /* the algorithm is the key's own */
    struct gh_slice state = gh_slice_split(&line, ' ');
    if (!gh_slice_to_u64(gh_slice_split(&line, ' '), &created) || !gh_slice_to_u64(line, &retired))
        return false;
    out->created_at_s = (int64_t)created;
    out->retired_at_s = (int64_t)retired;
    for (int i = GH_ACCESS_KEY_NEXT; i <= GH_ACCESS_KEY_PREVIOUS; i++) {
        out->state = (enum gh_access_key_state)i;
        if (gh_slice_equal(state, gh_slice_text(gh_access_key_state_name(out->state))))
            return true;
    }
    return false;
}

static bool read_all(struct keys_tokens *tokens, struct gh_slice text, struct gh_error *error)
{
    struct gh_error cause = {0};
    while (text.size > 0) {
        struct token_key key = {0};
        struct gh_slice head = gh_slice_split(&text, '\n'), from = text, line;
        do
            line = gh_slice_split(&text, '\n');
        while (text.size > 0 && !gh_slice_starts(line, GH_SLICE("-----END ")));
        if (!read_head(head, &key)) {
            gh_error_set(error, GH_ERROR_KEYS, "%s: a line is no head of a key", GH_KEYRING_TOKENS);
            return false;
        }
        key.key = gh_private_key_open(gh_slice_sub(from, 0, from.size - text.size), &cause);
        if (!add(tokens, &key, &cause)) {
            gh_error_set(error, GH_ERROR_KEYS, "%s: key %zu cannot be used: %s", GH_KEYRING_TOKENS,
                         tokens->count + 1, cause.text);
            return false;
        }
    }
    return true;
}

static bool load(struct keys_tokens *tokens, struct gh_error *error)
{
    const struct gh_secret *held = gh_keyring_get(tokens->keyring, GH_KEYRING_TOKENS);
    return held == NULL || read_all(tokens, gh_secret_bytes(held), error);
}

/* --- rotation */

/* The new set is on the disk before it is in use; when it cannot be written, all stays. */
static bool rotate(struct keys_tokens *tokens, enum gh_key_kind kind, int64_t now_s,
                   struct gh_error *error)
{
    struct keys_tokens changed = *tokens;
    struct token_key *previous = find(&changed, kind, GH_ACCESS_KEY_PREVIOUS);
    struct gh_private_key *gone = previous != NULL ? previous->key : NULL;
    struct token_key *next = find(&changed, kind, GH_ACCESS_KEY_NEXT);
    struct token_key *current = find(&changed, kind, GH_ACCESS_KEY_CURRENT);
    size_t made = 0;
    if (current != NULL) {
        current->state = GH_ACCESS_KEY_PREVIOUS;
        current->retired_at_s = now_s;
    }
    if (next != NULL)
        next->state = GH_ACCESS_KEY_CURRENT;
    if (previous != NULL) /* last, as it moves another one into its place */
        *previous = changed.of[--changed.count];
    bool good = next != NULL || make(&changed, kind, GH_ACCESS_KEY_CURRENT, now_s, error);
    made += good && next == NULL;
    good = good && make(&changed, kind, GH_ACCESS_KEY_NEXT, now_s, error);
    made += good;
    good = good && save(&changed, tokens, error);
    if (!good) {
        while (made > 0) {
            drop(&changed, changed.count - 1);
            made--;
        }
        return false;
    }
    gh_private_key_close(gone);
    *tokens = changed;
    gh_log(GH_LOG_INFO, "keys", "the %s keys of access tokens were rotated", algorithms[kind]);
    return true;
}

bool keys_tokens_open(struct keys *keys, struct gh_error *error)
{
    struct keys_tokens *tokens = calloc(1, sizeof *tokens);
    keys->tokens = tokens;
    if (tokens == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "no memory for the token keys");
        return false;
    }
    tokens->keyring = keys->keyring;
    if (!load(tokens, error))
        return false;
    return find(tokens, GH_KEY_P256, GH_ACCESS_KEY_CURRENT) != NULL ||
           rotate(tokens, GH_KEY_P256, gh_time_utc_ms() / 1000, error);
}

void keys_tokens_close(struct keys *keys)
{
    struct keys_tokens *tokens = keys->tokens;
    while (tokens != NULL && tokens->count > 0)
        drop(tokens, tokens->count - 1);
    free(tokens);
    keys->tokens = NULL;
}

/* --- what may be asked */

static enum gh_error_code not_a_request(struct gh_error *error)
{
    return gh_error_set(error, GH_ERROR_INVALID, "not a request");
}

enum gh_error_code keys_handle_token_list(struct keys *keys, struct gh_cursor *at,
                                          struct gh_buffer *out, struct gh_error *error)
{
    struct keys_tokens *tokens = keys->tokens;
    if (gh_cursor_left(at) != 0)
        return not_a_request(error);
    if (expire(tokens, gh_time_utc_ms() / 1000) && !save(tokens, tokens, error))
        return error->code;
    for (size_t i = 0; i < tokens->count; i++) {
        uint8_t block[KEYS_PEM_MAX];
        struct gh_buffer pem = gh_buffer_fixed(block, sizeof block);
        if (!gh_private_key_print_public(tokens->of[i].key, &pem))
            return gh_error_set(error, GH_ERROR_MEMORY, "no memory for a public key");
        gh_buffer_u8(out, (uint8_t)tokens->of[i].state);
        gh_buffer_u64(out, (uint64_t)tokens->of[i].created_at_s);
        gh_buffer_put32(out, gh_buffer_slice(&pem));
    }
    return GH_OK;
}

/* A signing input whose header is the one of a token that is made here, by this key. */
static bool is_token(const struct token_key *key, struct gh_slice message,
                     bool (*print_header)(const char *algorithm, const char *kid,
                                          struct gh_buffer *out))
{
    uint8_t header_block[HEADER_MAX], text_block[2 * HEADER_MAX];
    struct gh_buffer header = gh_buffer_fixed(header_block, sizeof header_block);
    struct gh_buffer text = gh_buffer_fixed(text_block, sizeof text_block);
    return print_header(algorithms[gh_private_key_kind(key->key)], key->kid, &header) &&
           gh_base64_encode(gh_buffer_slice(&header), GH_BASE64_URL_NOPAD, &text) &&
           gh_buffer_u8(&text, '.') && gh_slice_starts(message, gh_buffer_slice(&text));
}

enum gh_error_code keys_handle_token_sign(struct keys *keys, struct gh_cursor *at,
                                          struct gh_buffer *out, struct gh_error *error)
{
    uint8_t signature[GH_KEY_SIGNATURE_MAX];
    struct gh_slice kid, message;
    size_t size;
    if (!gh_cursor_take32(at, &kid) || !gh_cursor_take32(at, &message) || gh_cursor_left(at) != 0)
        return not_a_request(error);
    for (size_t i = 0; i < keys->tokens->count; i++) {
        const struct token_key *key = &keys->tokens->of[i];
        if (!gh_slice_equal(kid, gh_slice_text(key->kid)))
            continue;
        if (key->state != GH_ACCESS_KEY_CURRENT)
            break;
        if (!is_token(key, message, gh_access_header) &&
            !is_token(key, message, gh_access_identity_header))
            return gh_error_set(error, GH_ERROR_INVALID, "that is no token of ours");
        if (!gh_private_key_sign(key->key, message, signature, &size))
            return gh_error_set(error, GH_ERROR_MEMORY, "the token could not be signed");
        gh_buffer_put(out, gh_slice(signature, size));
        return GH_OK;
    }
    return gh_error_set(error, GH_ERROR_NOT_FOUND, "no current token key has that kid");
}

enum gh_error_code keys_handle_token_rotate(struct keys *keys, struct gh_cursor *at,
                                            struct gh_buffer *out, struct gh_error *error)
{
    uint8_t kind;
    (void)out;
    if (!gh_cursor_u8(at, &kind) || gh_cursor_left(at) != 0 ||
        (kind != GH_KEY_P256 && kind != GH_KEY_RSA))
        return not_a_request(error);
    (void)expire(keys->tokens, gh_time_utc_ms() / 1000);
    return rotate(keys->tokens, (enum gh_key_kind)kind, gh_time_utc_ms() / 1000, error)
               ? GH_OK
               : error->code;
}

/* --- the asking side: a gh_access_signer */

static enum gh_error_code ask_list(void *line, struct gh_arena *arena,
                                   struct gh_access_key_row rows[GH_ACCESS_KEYS_MAX], size_t *count,
                                   struct gh_error *error)
{
    struct gh_buffer answer;
    uint8_t state;
    uint64_t created_at_s;
    gh_buffer_init(&answer, KEYS_MESSAGE_MAX);
    enum gh_error_code code = keys_ask(line, KEYS_TOKEN_LIST, (struct gh_slice){0}, &answer, error);
    struct gh_cursor at = gh_cursor(gh_buffer_slice(&answer));
    *count = 0;
    while (code == GH_OK && gh_cursor_left(&at) > 0) {
        struct gh_slice pem;
        bool good = *count < GH_ACCESS_KEYS_MAX && gh_cursor_u8(&at, &state) &&
                    state <= GH_ACCESS_KEY_PREVIOUS && gh_cursor_u64(&at, &created_at_s) &&
                    gh_cursor_take32(&at, &pem) && gh_arena_copy(arena, pem, &rows[*count].pem);
        if (!good) {
            code = gh_error_set(error, GH_ERROR_INTERNAL, "the list of token keys cannot be read");
            break;
        }
        rows[*count].state = (enum gh_access_key_state)state;
        rows[(*count)++].created_at_s = (int64_t)created_at_s;
    }
    gh_buffer_deinit(&answer);
    return code;
}

static enum gh_error_code ask_sign(void *line, struct gh_slice kid, struct gh_slice message,
                                   struct gh_buffer *out, struct gh_error *error)
{
    struct gh_buffer fields;
    gh_buffer_init(&fields, KEYS_MESSAGE_MAX);
    gh_buffer_put32(&fields, kid);
    gh_buffer_put32(&fields, message);
    enum gh_error_code code =
        fields.overflow ? gh_error_set(error, GH_ERROR_MEMORY, "the token does not fit")
                        : keys_ask(line, KEYS_TOKEN_SIGN, gh_buffer_slice(&fields), out, error);
    gh_buffer_deinit(&fields);
    return code;
}

static enum gh_error_code ask_rotate(void *line, enum gh_key_kind kind, struct gh_error *error)
{
    uint8_t block[1] = {(uint8_t)kind}, nothing[1];
    struct gh_buffer answer = gh_buffer_fixed(nothing, sizeof nothing);
    return keys_ask(line, KEYS_TOKEN_ROTATE, gh_slice(block, sizeof block), &answer, error);
}

struct gh_access_signer keys_token_signer(struct keys_line *line)
{
    return (struct gh_access_signer){
        .context = line, .list = ask_list, .sign = ask_sign, .rotate = ask_rotate};
}
