#include "identity/factor.h"
#include "base/secret.h"
#include "crypto/seal.h"
#include "identity/operator_internal.h"
#include "identity/sign_in_policy.h"
#include "identity/totp.h"
#include "wire/base32.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    RECOVERY_BYTES = 10,
    RECOVERY_LETTERS = 16,
    GROUP = 4,
    ROW_NAME_MAX = 32,
    SEAL_MAX = GH_TOTP_KEY_BYTES + GH_SEAL_EXTRA_BYTES,
    SEAL_KEY_NUMBER = 1,
};
static_assert(RECOVERY_LETTERS + RECOVERY_LETTERS / GROUP - 1 + 1 == GH_RECOVERY_CODE_MAX,
              "letters, dashes between groups, NUL");

static enum gh_error_code wrong(struct gh_error *error)
{
    return gh_error_set(error, GH_ERROR_UNAUTHENTICATED, "the second factor is wrong");
}

const char *gh_factor_name(enum gh_factor_kind kind)
{
    static const char *const names[] = {[GH_FACTOR_TOTP] = "totp",
                                        [GH_FACTOR_WEBAUTHN] = "webauthn",
                                        [GH_FACTOR_RECOVERY] = "recovery"};
    return names[kind];
}

enum gh_error_code gh_factors_of(struct gh_operators *operators, int64_t operator_number,
                                 struct gh_arena *arena, struct gh_factors *out,
                                 struct gh_error *error)
{
    size_t count = 0;
    *out = (struct gh_factors){0};
    enum gh_error_code code =
        gh_store_factor_list(operators->store, operator_number, arena, &out->rows, &count, error);
    for (size_t i = 0; code == GH_OK && i < count; i++) {
        struct gh_factor_row row = out->rows[i];
        if (row.kind == GH_FACTOR_RECOVERY) {
            out->recovery_left++;
            continue;
        }
        out->has_totp |= row.kind == GH_FACTOR_TOTP && row.confirmed;
        out->has_webauthn |= row.kind == GH_FACTOR_WEBAUTHN && row.confirmed;
        out->rows[out->count++] = row;
    }
    return code;
}

/* --- waiting: a guess is charged before it is looked at, so that guesses at once wait too */

static void waits_as(int64_t operator_number, uint8_t name[GH_SHA256_BYTES])
{
    operator_waits_as("factor", gh_slice(&operator_number, sizeof operator_number), name);
}

static enum gh_error_code charge(struct gh_operators *operators, int64_t operator_number,
                                 int64_t now_ms, int64_t *retry_after_s, struct gh_error *error)
{
    uint8_t name[GH_SHA256_BYTES];
    waits_as(operator_number, name);
    struct gh_slice key = gh_slice(name, sizeof name);
    (void)pthread_mutex_lock(&operators->lock);
    int64_t wait_ms = gh_delays_wait_ms(&operators->delays, key, now_ms);
    if (wait_ms == 0)
        gh_delays_wrong(&operators->delays, key, now_ms);
    (void)pthread_mutex_unlock(&operators->lock);
    *retry_after_s = 0;
    return wait_ms == 0 ? GH_OK : operator_must_wait(wait_ms, retry_after_s, error);
}

static void discharge(struct gh_operators *operators, int64_t operator_number)
{
    uint8_t name[GH_SHA256_BYTES];
    waits_as(operator_number, name);
    (void)pthread_mutex_lock(&operators->lock);
    gh_delays_clear(&operators->delays, gh_slice(name, sizeof name));
    (void)pthread_mutex_unlock(&operators->lock);
}

/* --- one-time codes */

/* Where the secret of an operator's one-time codes stands: it opens for no other operator. */
static struct gh_seal_place totp_place(int64_t operator_number, char name[ROW_NAME_MAX])
{
    (void)snprintf(name, ROW_NAME_MAX, "%lld", (long long)operator_number);
    return (struct gh_seal_place){.field = GH_SLICE("factors.secret"), .row = gh_slice_text(name)};
}

static bool totp_seal(struct gh_operators *operators, int64_t operator_number, struct gh_slice key,
                      struct gh_buffer *sealed)
{
    char name[ROW_NAME_MAX];
    uint8_t nonce[GH_SEAL_NONCE_BYTES];
    struct gh_seal_place place = totp_place(operator_number, name);
    struct gh_seal_cipher cipher =
        gh_seal_cipher(operator_key(operators, OPERATOR_KEY_FACTORS).data);
    gh_random(nonce, sizeof nonce);
    return gh_seal(&cipher, SEAL_KEY_NUMBER, &place, nonce, key, sealed) == GH_SEAL_OK;
}

/* The step that the code is of, or -1. */
static int64_t totp_step(struct gh_operators *operators, const struct gh_factor_row *row,
                         struct gh_slice code, int64_t now_ms)
{
    char name[ROW_NAME_MAX];
    uint8_t block[GH_TOTP_KEY_BYTES + 1]; /* opening reserves one more */
    struct gh_buffer key = gh_buffer_fixed(block, sizeof block);
    struct gh_seal_place place = totp_place(row->operator_number, name);
    struct gh_seal_cipher cipher =
        gh_seal_cipher(operator_key(operators, OPERATOR_KEY_FACTORS).data);
    int64_t step = -1;
    if (gh_unseal(&cipher, &place, row->secret, &key) == GH_SEAL_OK)
        step = gh_totp_check(gh_buffer_slice(&key), code, now_ms / 1000, row->counter);
    gh_secret_wipe(block, sizeof block);
    return step;
}

static bool label_valid(struct gh_slice label)
{
    for (size_t i = 0; i < label.size; i++)
        if (label.data[i] < ' ' || label.data[i] == 0x7f)
            return false;
    return label.size > 0 && label.size <= GH_FACTOR_LABEL_MAX;
}

/* Room for one more, and a label that can be shown. Offers that were never confirmed go. */
static enum gh_error_code make_room(struct gh_operators *operators, int64_t operator_number,
                                    struct gh_slice label, struct gh_arena *arena,
                                    struct gh_error *error)
{
    struct gh_factors factors;
    size_t kept = 0;
    if (!label_valid(label))
        return gh_error_set(error, GH_ERROR_INVALID, "label has 1 to %d bytes of plain text",
                            GH_FACTOR_LABEL_MAX);
    enum gh_error_code code = gh_factors_of(operators, operator_number, arena, &factors, error);
    for (size_t i = 0; code == GH_OK && i < factors.count; i++) {
        kept += factors.rows[i].confirmed;
        if (!factors.rows[i].confirmed)
            code = gh_store_factor_delete(operators->store, operator_number, factors.rows[i].number,
                                          error);
    }
    return code == GH_OK && kept >= GH_FACTORS_MAX
               ? gh_error_set(error, GH_ERROR_LIMIT, "an operator has at most %d second factors",
                              GH_FACTORS_MAX)
               : code;
}

/* What an authenticator app reads: the names are of letters that need no escape, but for '@'. */
static bool print_uri(struct gh_slice name, const char *secret, char out[GH_FACTOR_URI_MAX])
{
    int size = snprintf(out, GH_FACTOR_URI_MAX,
                        "otpauth://totp/Gatehouse:%.*s?secret=%s&issuer=Gatehouse&algorithm=SHA1"
                        "&digits=%d&period=%d",
                        GH_PRINT(name), secret, GH_TOTP_DIGITS, GH_TOTP_STEP_S);
    return size > 0 && size < GH_FACTOR_URI_MAX;
}

enum gh_error_code gh_factor_offer_totp(struct gh_operators *operators,
                                        const struct gh_operator_session *session,
                                        struct gh_slice label, int64_t now_ms,
                                        struct gh_arena *arena, struct gh_totp_offer *out,
                                        struct gh_error *error)
{
    uint8_t key[GH_TOTP_KEY_BYTES], block[SEAL_MAX];
    struct gh_buffer sealed = gh_buffer_fixed(block, sizeof block);
    struct gh_buffer text = gh_buffer_fixed(out->secret, sizeof out->secret);
    int64_t number = session->row.operator_number;

    enum gh_error_code code = make_room(operators, number, label, arena, error);
    if (code != GH_OK)
        return code;
    gh_random(key, sizeof key);
    bool good = totp_seal(operators, number, gh_slice(key, sizeof key), &sealed) &&
                gh_base32_encode(gh_slice(key, sizeof key), &text) && gh_buffer_u8(&text, '\0') &&
                print_uri(session->row.operator_name, out->secret, out->uri);
    gh_secret_wipe(key, sizeof key);
    if (!good)
        return gh_error_set(error, GH_ERROR_INTERNAL, "the secret of one-time codes");
    struct gh_factor_row row = {.operator_number = number,
                                .kind = GH_FACTOR_TOTP,
                                .label = label,
                                .secret = gh_buffer_slice(&sealed),
                                .created_at_ms = now_ms};
    code = gh_store_factor_create(operators->store, &row, error);
    out->factor = row.number;
    return code;
}

/* The row of that number, or NULL. */
static const struct gh_factor_row *find_row(const struct gh_factors *factors, int64_t number)
{
    for (size_t i = 0; i < factors->count; i++)
        if (factors->rows[i].number == number)
            return &factors->rows[i];
    return NULL;
}

enum gh_error_code gh_factor_confirm_totp(struct gh_operators *operators,
                                          const struct gh_operator_session *session, int64_t factor,
                                          struct gh_slice code, int64_t now_ms,
                                          struct gh_arena *arena, int64_t *retry_after_s,
                                          struct gh_error *error)
{
    struct gh_factors factors;
    int64_t number = session->row.operator_number;
    *retry_after_s = 0;
    enum gh_error_code result = gh_factors_of(operators, number, arena, &factors, error);
    if (result != GH_OK)
        return result;
    const struct gh_factor_row *row = find_row(&factors, factor);
    if (row == NULL || row->kind != GH_FACTOR_TOTP || row->confirmed)
        return gh_error_set(error, GH_ERROR_NOT_FOUND, "nothing of this number is to be confirmed");
    result = charge(operators, number, now_ms, retry_after_s, error);
    if (result != GH_OK)
        return result;
    int64_t step = totp_step(operators, row, code, now_ms);
    if (step < 0)
        return wrong(error);
    discharge(operators, number);
    return gh_store_factor_use(operators->store, row->number, step, now_ms, error);
}

/* --- security keys */

bool gh_factor_must_know_person(const struct gh_operator_session *session)
{
    return session->row.stage == GH_SIGN_IN_WHOLE;
}

enum gh_error_code gh_factor_challenge(struct gh_operators *operators,
                                       const struct gh_operator_session *session,
                                       uint8_t challenge[GH_WEBAUTHN_CHALLENGE_BYTES],
                                       struct gh_error *error)
{
    gh_random(challenge, GH_WEBAUTHN_CHALLENGE_BYTES);
    return gh_store_sign_in_challenge(operators->store, session->row.hash,
                                      gh_slice(challenge, GH_WEBAUTHN_CHALLENGE_BYTES), error);
}

/* The session's challenge, which is good for one answer, right or wrong. */
static enum gh_error_code take_challenge(struct gh_operators *operators,
                                         const struct gh_operator_session *session,
                                         struct gh_webauthn_site *site, struct gh_error *error)
{
    site->challenge = session->row.challenge;
    return gh_store_sign_in_challenge(operators->store, session->row.hash, (struct gh_slice){0},
                                      error);
}

enum gh_error_code gh_factor_add_webauthn(struct gh_operators *operators,
                                          const struct gh_operator_session *session,
                                          struct gh_slice label, struct gh_webauthn_site site,
                                          struct gh_slice client_data, struct gh_slice attestation,
                                          int64_t now_ms, struct gh_arena *arena,
                                          struct gh_error *error)
{
    struct gh_webauthn_credential credential;
    enum gh_error_code code =
        make_room(operators, session->row.operator_number, label, arena, error);
    if (code == GH_OK)
        code = take_challenge(operators, session, &site, error);
    if (code == GH_OK)
        code = gh_webauthn_register(&site, client_data, attestation, &credential, error);
    if (code != GH_OK)
        return code;
    struct gh_factor_row row = {.operator_number = session->row.operator_number,
                                .kind = GH_FACTOR_WEBAUTHN,
                                .label = label,
                                .confirmed = true,
                                .secret = credential.key,
                                .credential = credential.id,
                                .counter = credential.sign_count,
                                .created_at_ms = now_ms};
    return gh_store_factor_create(operators->store, &row, error);
}

/* --- recovery codes */

static void recovery_digest(const struct gh_operators *operators, struct gh_slice letters,
                            uint8_t out[GH_SHA256_BYTES])
{
    gh_hmac_sha256(operator_key(operators, OPERATOR_KEY_RECOVERY), letters, out);
}

/* The letters without what stands between them, as they were made; false for what is none. */
static bool recovery_read(struct gh_slice code, char letters[RECOVERY_LETTERS])
{
    size_t count = 0;
    for (size_t i = 0; i < code.size; i++) {
        uint8_t byte = code.data[i];
        if (byte == '-' || byte == ' ')
            continue;
        if (count == RECOVERY_LETTERS)
            return false;
        letters[count++] = (char)(byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte);
    }
    return count == RECOVERY_LETTERS;
}

static void recovery_make(char letters[RECOVERY_LETTERS], char code[GH_RECOVERY_CODE_MAX])
{
    uint8_t random[RECOVERY_BYTES];
    struct gh_buffer text = gh_buffer_fixed(letters, RECOVERY_LETTERS);
    size_t at = 0;
    gh_random(random, sizeof random);
    (void)gh_base32_encode(gh_slice(random, sizeof random), &text);
    gh_secret_wipe(random, sizeof random);
    for (size_t i = 0; i < RECOVERY_LETTERS; i++) {
        letters[i] = (char)(letters[i] >= 'A' ? letters[i] - 'A' + 'a' : letters[i]);
        if (i > 0 && i % GROUP == 0)
            code[at++] = '-';
        code[at++] = letters[i];
    }
    code[at] = '\0';
}

enum gh_error_code gh_factor_make_recovery(struct gh_operators *operators, int64_t operator_number,
                                           int64_t now_ms,
                                           char codes[GH_RECOVERY_CODES][GH_RECOVERY_CODE_MAX],
                                           struct gh_error *error)
{
    struct gh_factor_row rows[GH_RECOVERY_CODES];
    uint8_t digests[GH_RECOVERY_CODES][GH_SHA256_BYTES];
    char letters[RECOVERY_LETTERS];
    for (size_t i = 0; i < GH_RECOVERY_CODES; i++) {
        recovery_make(letters, codes[i]);
        recovery_digest(operators, gh_slice(letters, sizeof letters), digests[i]);
        rows[i] = (struct gh_factor_row){.operator_number = operator_number,
                                         .kind = GH_FACTOR_RECOVERY,
                                         .confirmed = true,
                                         .secret = gh_slice(digests[i], GH_SHA256_BYTES),
                                         .created_at_ms = now_ms};
    }
    gh_secret_wipe(letters, sizeof letters);
    return gh_store_factor_replace(operators->store, operator_number, GH_FACTOR_RECOVERY, rows,
                                   GH_RECOVERY_CODES, error);
}

/* Whether another one is left to be asked for. */
static bool has_another(const struct gh_factors *factors, int64_t number)
{
    for (size_t i = 0; i < factors->count; i++)
        if (factors->rows[i].confirmed && factors->rows[i].number != number)
            return true;
    return false;
}

enum gh_error_code gh_factor_remove(struct gh_operators *operators,
                                    const struct gh_operator_session *session, int64_t factor,
                                    struct gh_arena *arena, struct gh_error *error)
{
    struct gh_factors factors;
    struct gh_sign_in_policy policy;
    int64_t number = session->row.operator_number;
    enum gh_error_code code = gh_factors_of(operators, number, arena, &factors, error);
    if (code == GH_OK)
        code = gh_sign_in_policy_for(operators->store, session->row.tenant, &policy, error);
    if (code != GH_OK)
        return code;
    bool is_last = !has_another(&factors, factor);
    if (is_last && policy.second_factor && find_row(&factors, factor) != NULL)
        return gh_error_set(error, GH_ERROR_PRECONDITION,
                            "a second factor is demanded: add another one first");
    code = gh_store_factor_delete(operators->store, number, factor, error);
    return code == GH_OK && is_last ? gh_store_factor_replace(operators->store, number,
                                                              GH_FACTOR_RECOVERY, NULL, 0, error)
                                    : code;
}

/* --- proofs: each says whether one of the rows is proven, and spends it */

struct proving {
    struct gh_operators *operators;
    const struct gh_operator_session *session;
    const struct gh_factor_proof *proof;
    const struct gh_factor_row *rows; /* all of the operator's */
    size_t count;
    int64_t now_ms;
};

static enum gh_error_code prove_totp(const struct proving *proving, struct gh_error *error)
{
    for (size_t i = 0; i < proving->count; i++) {
        const struct gh_factor_row *row = &proving->rows[i];
        if (row->kind != GH_FACTOR_TOTP || !row->confirmed)
            continue;
        int64_t step = totp_step(proving->operators, row, proving->proof->code, proving->now_ms);
        if (step >= 0)
            return gh_store_factor_use(proving->operators->store, row->number, step,
                                       proving->now_ms, error);
    }
    return GH_ERROR_CONFLICT;
}

static enum gh_error_code prove_recovery(const struct proving *proving, struct gh_error *error)
{
    uint8_t digest[GH_SHA256_BYTES];
    char letters[RECOVERY_LETTERS];
    if (!recovery_read(proving->proof->code, letters))
        return GH_ERROR_CONFLICT;
    recovery_digest(proving->operators, gh_slice(letters, sizeof letters), digest);
    for (size_t i = 0; i < proving->count; i++) {
        const struct gh_factor_row *row = &proving->rows[i];
        if (row->kind == GH_FACTOR_RECOVERY &&
            gh_secret_equal(row->secret, gh_slice(digest, sizeof digest)))
            return gh_store_factor_delete(proving->operators->store, row->operator_number,
                                          row->number, error);
    }
    return GH_ERROR_CONFLICT;
}

static enum gh_error_code prove_webauthn(const struct proving *proving, struct gh_error *error)
{
    struct gh_webauthn_assertion assertion = *proving->proof->assertion;
    int64_t count = 0;
    assertion.site.person_known = gh_factor_must_know_person(proving->session);
    enum gh_error_code code =
        take_challenge(proving->operators, proving->session, &assertion.site, error);
    if (code != GH_OK)
        return code;
    for (size_t i = 0; i < proving->count; i++) {
        const struct gh_factor_row *row = &proving->rows[i];
        if (row->kind != GH_FACTOR_WEBAUTHN ||
            !gh_slice_equal(row->credential, assertion.credential))
            continue;
        /* A counter that does not rise is a copy of the key (§7.2 step 21). */
        return gh_webauthn_assert(&assertion, row->secret, &count, error) == GH_OK
                   ? gh_store_factor_use(proving->operators->store, row->number, count,
                                         proving->now_ms, error)
                   : GH_ERROR_CONFLICT;
    }
    return GH_ERROR_CONFLICT;
}

static enum gh_error_code (*const provers[])(const struct proving *, struct gh_error *) = {
    [GH_FACTOR_TOTP] = prove_totp,
    [GH_FACTOR_WEBAUTHN] = prove_webauthn,
    [GH_FACTOR_RECOVERY] = prove_recovery,
};

enum gh_error_code gh_factor_prove(struct gh_operators *operators,
                                   const struct gh_operator_session *session,
                                   const struct gh_factor_proof *proof, int64_t now_ms,
                                   struct gh_arena *arena, int64_t *retry_after_s,
                                   struct gh_error *error)
{
    struct gh_factor_row *rows;
    size_t count = 0;
    int64_t number = session->row.operator_number;
    enum gh_error_code code = charge(operators, number, now_ms, retry_after_s, error);
    if (code == GH_OK)
        code = gh_store_factor_list(operators->store, number, arena, &rows, &count, error);
    if (code != GH_OK)
        return code;
    const struct proving proving = {operators, session, proof, rows, count, now_ms};
    code = provers[proof->kind](&proving, error);
    if (code == GH_OK)
        discharge(operators, number);
    /* Somebody was faster with the same proof: as good as a wrong one. */
    return code == GH_ERROR_CONFLICT || code == GH_ERROR_NOT_FOUND ? wrong(error) : code;
}
