#include "base/secret.h"
#include "identity/breached.h"
#include "identity/operator_internal.h"
#include "identity/sign_in_policy.h"
#include "wire/base64.h"
#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SOURCE_BYTES_MAX = 64,
    IPV6_SITE_BYTES = 7,
    ARENA_MAX = 64 * 1024,
    BUSY_MS = 1000,
};

static const struct gh_slice peppered = GH_SLICE_INIT("$peppered$");

static bool make_keys(struct gh_operators *operators, struct gh_slice key)
{
    static const char *const uses[OPERATOR_KEYS] = {
        [OPERATOR_KEY_PASSWORDS] = "operators: passwords, 1",
        [OPERATOR_KEY_BROWSERS] = "operators: browsers, 1",
        [OPERATOR_KEY_FACTORS] = "operators: factors, 1",
        [OPERATOR_KEY_RECOVERY] = "operators: recovery, 1",
        [OPERATOR_KEY_INVITATIONS] = "operators: invitations, 1",
    };
    uint8_t made[GH_SHA256_BYTES];
    bool good = true;
    for (size_t i = 0; good && i < OPERATOR_KEYS; i++) {
        gh_hmac_sha256(key, gh_slice_text(uses[i]), made);
        operators->keys[i] = gh_secret_open(gh_slice(made, sizeof made));
        good = operators->keys[i] != NULL;
    }
    gh_secret_wipe(made, sizeof made);
    return good;
}

struct gh_slice operator_key(const struct gh_operators *operators, enum operator_key key)
{
    return gh_secret_bytes(operators->keys[key]);
}

struct gh_operators *gh_operators_open(const struct gh_operators_options *options,
                                       struct gh_error *error)
{
    struct gh_operators *operators = calloc(1, sizeof *operators);
    if (operators == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "operators");
        return NULL;
    }
    operators->store = options->store;
    operators->cost = options->cost;
    operators->metrics = options->metrics;
    gh_delays_init(&operators->delays, GH_OPERATOR_DELAYS_MAX);
    int failed = pthread_mutex_init(&operators->lock, NULL);
    assert(failed == 0);
    bool good = make_keys(operators, options->key);
    if (!good)
        gh_error_set(error, GH_ERROR_MEMORY, "the keys of operators");
    if (good && options->breached != NULL)
        good = (operators->breached = gh_breached_open(options->breached, error)) != NULL;
    if (good)
        return operators;
    gh_operators_close(operators);
    return NULL;
}

void gh_operators_close(struct gh_operators *operators)
{
    if (operators == NULL)
        return;
    for (size_t i = 0; i < OPERATOR_KEYS; i++)
        gh_secret_close(operators->keys[i]);
    gh_breached_close(operators->breached);
    gh_delays_deinit(&operators->delays);
    (void)pthread_mutex_destroy(&operators->lock);
    free(operators);
}

/* --- accounts */

static bool name_valid(struct gh_slice name)
{
    struct gh_slice others = GH_SLICE(".-_@");

    for (size_t i = 0; i < name.size; i++) {
        uint8_t byte = name.data[i];
        if (!(byte >= 'a' && byte <= 'z') && !(byte >= 'A' && byte <= 'Z') &&
            !(byte >= '0' && byte <= '9') && gh_slice_find(others, byte) == others.size)
            return false;
    }
    return name.size > 0 && name.size <= GH_OPERATOR_NAME_MAX;
}

enum gh_error_code gh_operator_email_check(struct gh_slice email, struct gh_error *error)
{
    size_t at = gh_slice_find(email, '@');
    bool good = email.size <= GH_OPERATOR_EMAIL_MAX && at > 0 && at + 1 < email.size;
    for (size_t i = 0; good && i < email.size; i++)
        good = email.data[i] > ' ' && email.data[i] < 0x7f && (email.data[i] != '@' || i == at) &&
               !(email.data[i] >= 'A' && email.data[i] <= 'Z');
    return email.size == 0 || good
               ? GH_OK
               : gh_error_set(error, GH_ERROR_INVALID,
                              "an e-mail address is NAME@HOST in small letters, at most %d bytes",
                              GH_OPERATOR_EMAIL_MAX);
}

/* HMAC of the password: what argon2id gets. */
static void pepper(const struct gh_operators *operators, struct gh_slice password,
                   uint8_t out[GH_SHA256_BYTES])
{
    gh_hmac_sha256(operator_key(operators, OPERATOR_KEY_PASSWORDS), password, out);
}

/* The text to store; the buffer is of OPERATOR_STORED_MAX bytes. */
static bool hash_print(const struct gh_operators *operators, struct gh_slice password,
                       struct gh_buffer *out)
{
    uint8_t mac[GH_SHA256_BYTES];
    char phc[GH_PASSWORD_PHC_MAX];

    pepper(operators, password, mac);
    bool made = gh_password_hash(gh_slice(mac, sizeof mac), operators->cost, phc) &&
                gh_buffer_put(out, peppered) && gh_buffer_put(out, gh_slice_text(phc));
    gh_secret_wipe(mac, sizeof mac);
    return made;
}

static enum gh_error_code hash_new(const struct gh_operators *operators, struct gh_slice password,
                                   size_t bytes_min, struct gh_buffer *out, struct gh_error *error)
{
    if (password.size < bytes_min || password.size > GH_PASSWORD_BYTES_MAX)
        return gh_error_set(error, GH_ERROR_INVALID,
                            "a password has %d to %d bytes, and %d at least without a second "
                            "factor",
                            GH_PASSWORD_BYTES_MIN, GH_PASSWORD_BYTES_MAX,
                            GH_OPERATOR_ALONE_BYTES_MIN);
    if (gh_breached_has(operators->breached, password))
        return gh_error_set(error, GH_ERROR_INVALID,
                            "this password is in a list of known ones: choose another");
    if (!hash_print(operators, password, out))
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory to hash a password");
    return GH_OK;
}

enum gh_error_code gh_operators_create(struct gh_operators *operators,
                                       const struct gh_operator_draft *draft, int64_t now_ms,
                                       struct gh_error *error)
{
    char block[OPERATOR_STORED_MAX];
    struct gh_buffer stored = gh_buffer_fixed(block, sizeof block);
    struct gh_sign_in_policy policy;

    if (!name_valid(draft->name) || draft->role.size == 0)
        return gh_error_set(error, GH_ERROR_INVALID,
                            "an operator has a role and a name of 1 to %d letters, digits, '.', "
                            "'-', '_', '@'",
                            GH_OPERATOR_NAME_MAX);
    enum gh_error_code result = gh_operator_email_check(draft->email, error);
    if (result == GH_OK)
        result = gh_sign_in_policy_for(operators->store, draft->tenant, &policy, error);
    if (result == GH_OK && draft->password.size > 0)
        result =
            hash_new(operators, draft->password,
                     policy.second_factor ? GH_PASSWORD_BYTES_MIN : GH_OPERATOR_ALONE_BYTES_MIN,
                     &stored, error);
    if (result != GH_OK)
        return result;
    struct gh_operator_row row = {.name = draft->name,
                                  .password_hash = gh_buffer_slice(&stored),
                                  .role = draft->role,
                                  .tenant = draft->tenant,
                                  .email = draft->email,
                                  .created_at_ms = now_ms};
    return gh_store_operator_create(operators->store, &row, error);
}

/* Whether somebody needs, or has, more than the password. */
static enum gh_error_code second_factor(struct gh_operators *operators,
                                        const struct gh_operator_row *row, struct gh_arena *arena,
                                        bool *has, bool *demanded, struct gh_error *error)
{
    struct gh_factors factors;
    struct gh_sign_in_policy policy = {0};
    enum gh_error_code code = gh_factors_of(operators, row->number, arena, &factors, error);
    if (code == GH_OK)
        code = gh_sign_in_policy_for(operators->store, row->tenant, &policy, error);
    *has = code == GH_OK && (factors.has_totp || factors.has_webauthn);
    *demanded = policy.second_factor;
    return code;
}

enum gh_error_code operator_hash_new(struct gh_operators *operators,
                                     const struct gh_operator_row *row, struct gh_slice password,
                                     struct gh_arena *arena, struct gh_buffer *out,
                                     struct gh_error *error)
{
    bool has = false, demanded = false;
    enum gh_error_code result = second_factor(operators, row, arena, &has, &demanded, error);
    return result == GH_OK
               ? hash_new(operators, password,
                          has || demanded ? GH_PASSWORD_BYTES_MIN : GH_OPERATOR_ALONE_BYTES_MIN,
                          out, error)
               : result;
}

enum gh_error_code gh_operators_set_password(struct gh_operators *operators, struct gh_slice name,
                                             struct gh_slice password, struct gh_error *error)
{
    char block[OPERATOR_STORED_MAX];
    struct gh_buffer stored = gh_buffer_fixed(block, sizeof block);
    struct gh_operator_row row;
    struct gh_arena arena;

    gh_arena_init(&arena, ARENA_MAX);
    enum gh_error_code result = gh_store_operator_find(operators->store, name, &arena, &row, error);
    if (result == GH_OK)
        result = operator_hash_new(operators, &row, password, &arena, &stored, error);
    if (result == GH_OK) {
        row.password_hash = gh_buffer_slice(&stored);
        result = gh_store_operator_update(operators->store, &row, error);
    }
    gh_arena_deinit(&arena);
    return result;
}

/* --- who waits */

void operator_waits_as(const char *kind, struct gh_slice of, uint8_t out[GH_SHA256_BYTES])
{
    uint8_t digest[GH_SHA256_BYTES];
    char block[96];
    struct gh_buffer name = gh_buffer_fixed(block, sizeof block);

    gh_sha256(of, digest);
    (void)gh_buffer_put(&name, gh_slice_text(kind));
    (void)gh_buffer_put(&name, gh_slice(digest, sizeof digest));
    gh_sha256(gh_buffer_slice(&name), out);
}

enum gh_error_code operator_must_wait(int64_t wait_ms, int64_t *retry_after_s,
                                      struct gh_error *error)
{
    *retry_after_s = (wait_ms + 999) / 1000;
    return gh_error_set(error, GH_ERROR_LIMIT, "too many attempts, wait %lld s",
                        (long long)*retry_after_s);
}

/* Of an IPv6 address the site, which one subscriber may fill at will. */
static void source_waits_as(struct gh_slice source, uint8_t out[GH_SHA256_BYTES])
{
    uint8_t address[16];
    char text[SOURCE_BYTES_MAX];

    if (source.size > 0 && source.size < sizeof text) {
        memcpy(text, source.data, source.size);
        text[source.size] = '\0';
        if (inet_pton(AF_INET6, text, address) == 1)
            source = gh_slice(address, IPV6_SITE_BYTES);
    }
    operator_waits_as("source", source, out);
}

static void attempt_fill(const struct gh_operators *operators, const struct gh_sign_in *sign_in,
                         int64_t now_ms, struct gh_attempt *attempt)
{
    uint8_t nonce[GH_BROWSER_NONCE_BYTES];

    attempt->known = gh_browser_check(operator_key(operators, OPERATOR_KEY_BROWSERS), sign_in->name,
                                      sign_in->browser, now_ms, nonce);
    if (attempt->known)
        operator_waits_as("browser", gh_slice(nonce, sizeof nonce), attempt->subject);
    else
        operator_waits_as("account", sign_in->name, attempt->subject);
    source_waits_as(sign_in->source, attempt->source);
}

static struct gh_slice digest_slice(const uint8_t digest[GH_SHA256_BYTES])
{
    return gh_slice(digest, GH_SHA256_BYTES);
}

/* The place of a subject's check, or `checks`. */
static size_t find_under_way(const struct gh_operators *operators,
                             const uint8_t subject[GH_SHA256_BYTES])
{
    for (size_t i = 0; i < operators->checks; i++)
        if (memcmp(operators->under_way[i], subject, GH_SHA256_BYTES) == 0)
            return i;
    return operators->checks;
}

static int64_t wait_of(struct gh_operators *operators, const struct gh_attempt *attempt,
                       int64_t now_ms)
{
    int64_t subject_ms =
        gh_delays_wait_ms(&operators->delays, digest_slice(attempt->subject), now_ms);
    int64_t source_ms = attempt->known ? 0
                                       : gh_delays_wait_ms(&operators->delays,
                                                           digest_slice(attempt->source), now_ms);
    int64_t wait_ms = subject_ms > source_ms ? subject_ms : source_ms;
    /* One check of an account at a time, or guesses at once would not wait for each other. */
    return wait_ms == 0 && find_under_way(operators, attempt->subject) < operators->checks
               ? BUSY_MS
               : wait_ms;
}

enum gh_error_code gh_operators_admit(struct gh_operators *operators,
                                      const struct gh_sign_in *sign_in, int64_t now_ms,
                                      struct gh_attempt *attempt, int64_t *retry_after_s,
                                      struct gh_error *error)
{
    *retry_after_s = 0;
    attempt_fill(operators, sign_in, now_ms, attempt);
    (void)pthread_mutex_lock(&operators->lock);
    size_t places = GH_OPERATOR_CHECKS_MAX - (attempt->known ? 0 : GH_OPERATOR_CHECKS_KEPT);
    int64_t wait_ms = wait_of(operators, attempt, now_ms);
    bool has_place = operators->checks < places;
    if (wait_ms == 0 && has_place)
        memcpy(operators->under_way[operators->checks++], attempt->subject, GH_SHA256_BYTES);
    (void)pthread_mutex_unlock(&operators->lock);

    if (wait_ms == 0 && has_place)
        return GH_OK;
    gh_metric_add(operators->metrics, GH_METRIC_sign_ins_refused_total, 1);
    if (wait_ms > 0)
        return operator_must_wait(wait_ms, retry_after_s, error);
    *retry_after_s = BUSY_MS / 1000;
    return gh_error_set(error, GH_ERROR_UNAVAILABLE, "too many sign-ins at once");
}

static void leave(struct gh_operators *operators, const struct gh_attempt *attempt)
{
    size_t place = find_under_way(operators, attempt->subject);
    assert(place < operators->checks);
    operators->checks--;
    memmove(operators->under_way[place], operators->under_way[operators->checks], GH_SHA256_BYTES);
}

void gh_operators_withdraw(struct gh_operators *operators, const struct gh_attempt *attempt)
{
    (void)pthread_mutex_lock(&operators->lock);
    leave(operators, attempt);
    (void)pthread_mutex_unlock(&operators->lock);
}

static void settle(struct gh_operators *operators, const struct gh_attempt *attempt,
                   enum gh_error_code result, int64_t now_ms)
{
    (void)pthread_mutex_lock(&operators->lock);
    leave(operators, attempt);
    if (result == GH_OK) {
        gh_delays_clear(&operators->delays, digest_slice(attempt->subject));
    } else if (result == GH_ERROR_UNAUTHENTICATED) {
        gh_delays_wrong(&operators->delays, digest_slice(attempt->subject), now_ms);
        if (!attempt->known)
            gh_delays_wrong(&operators->delays, digest_slice(attempt->source), now_ms);
    }
    (void)pthread_mutex_unlock(&operators->lock);
}

/* --- the check */

/* Whether it is the password of the text that is stored; one argon2id in any case. */
static bool verify(const struct gh_operators *operators, struct gh_slice password,
                   struct gh_slice stored)
{
    uint8_t mac[GH_SHA256_BYTES];
    bool right;

    pepper(operators, password, mac);
    if (stored.size == 0)
        right = gh_password_verify_nobody(gh_slice(mac, sizeof mac), operators->cost);
    else if (gh_slice_starts(stored, peppered))
        right = gh_password_verify(gh_slice(mac, sizeof mac),
                                   gh_slice_sub(stored, peppered.size, stored.size));
    else /* of before passwords were peppered */
        right = gh_password_verify(password, stored);
    gh_secret_wipe(mac, sizeof mac);
    return right;
}

/* GH_OK when the password is right; the same work whether or not there is such an operator. */
static enum gh_error_code check_password(struct gh_operators *operators,
                                         const struct gh_sign_in *sign_in, struct gh_arena *arena,
                                         struct gh_operator_row *row, struct gh_error *error)
{
    enum gh_error_code found =
        name_valid(sign_in->name)
            ? gh_store_operator_find(operators->store, sign_in->name, arena, row, error)
            : GH_ERROR_NOT_FOUND;
    if (found != GH_OK && found != GH_ERROR_NOT_FOUND)
        return found;
    gh_metric_add(operators->metrics, GH_METRIC_password_checks_total, 1);
    bool right = verify(operators, sign_in->password,
                        found == GH_OK ? row->password_hash : (struct gh_slice){0});
    return right && !row->disabled
               ? GH_OK
               : gh_error_set(error, GH_ERROR_UNAUTHENTICATED, "name or password is wrong");
}

/* A hash of before, or of less than today's cost, is made again while the password is at hand. A
 * failure changes nothing: the old one stays good. */
static void renew_hash(struct gh_operators *operators, const struct gh_sign_in *sign_in,
                       const struct gh_operator_row *row)
{
    char block[OPERATOR_STORED_MAX];
    struct gh_buffer stored = gh_buffer_fixed(block, sizeof block);

    if (gh_slice_starts(row->password_hash, peppered) &&
        !gh_password_outdated(gh_slice_sub(row->password_hash, peppered.size, OPERATOR_STORED_MAX),
                              operators->cost))
        return;
    if (!hash_print(operators, sign_in->password, &stored))
        return;
    enum gh_error_code ignored = gh_store_operator_rehash(
        operators->store, row->number, row->password_hash, gh_buffer_slice(&stored), NULL);
    (void)ignored;
}

enum gh_error_code gh_operators_let_in(struct gh_operators *operators,
                                       const struct gh_operator_row *row,
                                       const struct gh_sign_in *sign_in, const char *method,
                                       int64_t now_ms, struct gh_arena *arena,
                                       struct gh_sign_in_outcome *out, struct gh_error *error)
{
    bool has = false, demanded = false;
    *out = (struct gh_sign_in_outcome){.session.caller.kind = GH_CALLER_NOBODY};
    enum gh_error_code result = second_factor(operators, row, arena, &has, &demanded, error);
    if (result != GH_OK)
        return result;
    /* Chosen beside a second factor that is gone since. */
    demanded |= sign_in->password.size > 0 && sign_in->password.size < GH_OPERATOR_ALONE_BYTES_MIN;
    /* Old rows go when a new one comes; what is expired does not count even while it is still
     * there. */
    enum gh_error_code swept = gh_store_expire(operators->store, now_ms,
                                               now_ms - INT64_C(1000) * GH_OPERATOR_IDLE_S, NULL);
    (void)swept;
    struct gh_sign_in_row session = {
        .operator_number = row->number,
        .operator_name = row->name,
        .role = row->role,
        .tenant = row->tenant,
        .created_at_ms = now_ms,
        .seen_at_ms = now_ms,
        .expires_at_ms = now_ms + INT64_C(1000) * GH_OPERATOR_ABSOLUTE_S,
        .stage = has        ? GH_SIGN_IN_NEEDS_FACTOR
                 : demanded ? GH_SIGN_IN_MUST_ENROL
                            : GH_SIGN_IN_WHOLE,
        .method = gh_slice_text(method),
        .proved_at_ms = now_ms,
        .address = sign_in->source,
        .agent = gh_slice_sub(sign_in->agent, 0, GH_OPERATOR_AGENT_MAX)};
    return operator_session_begin(operators, &session, (struct gh_slice){0}, arena, out, error);
}

/* The check of an attempt that was let through, with what follows from it for the next. */
static enum gh_error_code check_attempt(struct gh_operators *operators,
                                        const struct gh_sign_in *sign_in,
                                        const struct gh_attempt *attempt, int64_t now_ms,
                                        struct gh_arena *arena, struct gh_operator_row *row,
                                        struct gh_error *error)
{
    enum gh_error_code result = check_password(operators, sign_in, arena, row, error);
    if (result == GH_OK)
        renew_hash(operators, sign_in, row);
    else
        gh_metric_add(operators->metrics, GH_METRIC_sign_ins_refused_total, 1);
    settle(operators, attempt, result, now_ms);
    return result;
}

enum gh_error_code gh_operators_check(struct gh_operators *operators,
                                      const struct gh_sign_in *sign_in,
                                      const struct gh_attempt *attempt, int64_t now_ms,
                                      struct gh_arena *arena, struct gh_sign_in_outcome *out,
                                      struct gh_error *error)
{
    struct gh_operator_row row = {0};

    *out = (struct gh_sign_in_outcome){.session.caller.kind = GH_CALLER_NOBODY};
    enum gh_error_code result =
        check_attempt(operators, sign_in, attempt, now_ms, arena, &row, error);
    return result == GH_OK ? gh_operators_let_in(operators, &row, sign_in, "password", now_ms,
                                                 arena, out, error)
                           : result;
}

enum gh_error_code gh_operators_confirm(struct gh_operators *operators,
                                        const struct gh_sign_in *sign_in,
                                        const struct gh_attempt *attempt, int64_t now_ms,
                                        struct gh_arena *arena, struct gh_error *error)
{
    struct gh_operator_row row = {0};
    return check_attempt(operators, sign_in, attempt, now_ms, arena, &row, error);
}

enum gh_error_code gh_operators_sign_in(struct gh_operators *operators,
                                        const struct gh_sign_in *sign_in, int64_t now_ms,
                                        struct gh_arena *arena, struct gh_sign_in_outcome *out,
                                        struct gh_error *error)
{
    struct gh_attempt attempt;

    *out = (struct gh_sign_in_outcome){.session.caller.kind = GH_CALLER_NOBODY};
    enum gh_error_code result =
        gh_operators_admit(operators, sign_in, now_ms, &attempt, &out->retry_after_s, error);
    return result == GH_OK
               ? gh_operators_check(operators, sign_in, &attempt, now_ms, arena, out, error)
               : result;
}
