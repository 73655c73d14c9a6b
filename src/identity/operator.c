#include "identity/operator.h"
#include "base/secret.h"
#include "crypto/digest.h"
#include "identity/delay.h"
#include "store/store.h"
#include "wire/base64.h"
#include <arpa/inet.h>
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    COOKIE_BYTES = 32,
    SEEN_STEP_MS =
        60 * 1000, /* how exact the idle time is: one write a minute, not one a request */
    SOURCE_BYTES_MAX = 64,
    IPV6_SITE_BYTES = 7, /* a /56, which one subscriber may fill at will */
};

struct gh_operators {
    struct gh_store *store;
    struct gh_password_cost cost;
    pthread_mutex_t lock; /* guards what follows */
    struct gh_delays delays;
    unsigned checks;
};

struct gh_operators *gh_operators_open(struct gh_store *store, struct gh_password_cost cost)
{
    struct gh_operators *operators = calloc(1, sizeof *operators);
    if (operators == NULL)
        return NULL;
    operators->store = store;
    operators->cost = cost;
    gh_delays_init(&operators->delays, GH_OPERATOR_DELAYS_MAX);
    int failed = pthread_mutex_init(&operators->lock, NULL);
    assert(failed == 0);
    return operators;
}

void gh_operators_close(struct gh_operators *operators)
{
    if (operators == NULL)
        return;
    gh_delays_deinit(&operators->delays);
    (void)pthread_mutex_destroy(&operators->lock);
    free(operators);
}

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

static enum gh_error_code hash_new(const struct gh_operators *operators, struct gh_slice password,
                                   char phc[GH_PASSWORD_PHC_MAX], struct gh_error *error)
{
    if (password.size < GH_PASSWORD_BYTES_MIN || password.size > GH_PASSWORD_BYTES_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "a password has %d to %d bytes",
                            GH_PASSWORD_BYTES_MIN, GH_PASSWORD_BYTES_MAX);
    if (!gh_password_hash(password, operators->cost, phc))
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory to hash a password");
    return GH_OK;
}

enum gh_error_code gh_operators_create(struct gh_operators *operators, struct gh_slice name,
                                       struct gh_slice password, struct gh_slice role,
                                       int64_t now_ms, struct gh_error *error)
{
    char phc[GH_PASSWORD_PHC_MAX];

    if (!name_valid(name) || role.size == 0)
        return gh_error_set(error, GH_ERROR_INVALID,
                            "an operator has a role and a name of 1 to %d letters, digits, '.', "
                            "'-', '_', '@'",
                            GH_OPERATOR_NAME_MAX);
    enum gh_error_code result = hash_new(operators, password, phc, error);
    if (result != GH_OK)
        return result;
    struct gh_operator_row row = {
        .name = name, .password_hash = gh_slice_text(phc), .role = role, .created_at_ms = now_ms};
    return gh_store_operator_create(operators->store, &row, error);
}

enum gh_error_code gh_operators_set_password(struct gh_operators *operators, struct gh_slice name,
                                             struct gh_slice password, int64_t now_ms,
                                             struct gh_error *error)
{
    char phc[GH_PASSWORD_PHC_MAX];
    struct gh_operator_row row;
    struct gh_arena arena;

    (void)now_ms;
    enum gh_error_code result = hash_new(operators, password, phc, error);
    if (result != GH_OK)
        return result;
    gh_arena_init(&arena, 16 * 1024);
    result = gh_store_operator_find(operators->store, name, &arena, &row, error);
    if (result == GH_OK) {
        row.password_hash = gh_slice_text(phc);
        result = gh_store_operator_update(operators->store, &row, error);
    }
    gh_arena_deinit(&arena);
    return result;
}

/* The names under which an attempt is delayed: its account and its source. */
struct attempt {
    uint8_t account_block[8 + GH_SHA256_BYTES], source_block[8 + SOURCE_BYTES_MAX];
    struct gh_slice account, source;
};

static struct gh_slice delay_name(uint8_t *block, size_t size, const char *kind, struct gh_slice of)
{
    struct gh_buffer name = gh_buffer_fixed(block, size);
    (void)gh_buffer_put(&name, gh_slice_text(kind));
    (void)gh_buffer_put(&name, gh_slice_sub(of, 0, size - name.size));
    return gh_buffer_slice(&name);
}

static void attempt_fill(struct attempt *attempt, const struct gh_sign_in *sign_in)
{
    uint8_t digest[GH_SHA256_BYTES], address[16];
    char text[SOURCE_BYTES_MAX];
    struct gh_slice source = sign_in->source;

    gh_sha256(sign_in->name, digest);
    attempt->account = delay_name(attempt->account_block, sizeof attempt->account_block, "account ",
                                  gh_slice(digest, sizeof digest));
    if (source.size < sizeof text) {
        memcpy(text, source.data, source.size);
        text[source.size] = '\0';
        if (source.size > 0 && inet_pton(AF_INET6, text, address) == 1)
            source = gh_slice(address, IPV6_SITE_BYTES);
    }
    attempt->source =
        delay_name(attempt->source_block, sizeof attempt->source_block, "source ", source);
}

/* Whether the attempt is looked at now; then it holds one of the checks. */
static enum gh_error_code admit(struct gh_operators *operators, const struct attempt *attempt,
                                int64_t now_ms, int64_t *retry_after_s, struct gh_error *error)
{
    (void)pthread_mutex_lock(&operators->lock);
    int64_t account_ms = gh_delays_wait_ms(&operators->delays, attempt->account, now_ms);
    int64_t source_ms = gh_delays_wait_ms(&operators->delays, attempt->source, now_ms);
    int64_t wait_ms = account_ms > source_ms ? account_ms : source_ms;
    if (wait_ms == 0 && operators->checks >= GH_OPERATOR_CHECKS_MAX)
        wait_ms = 1000;
    if (wait_ms == 0)
        operators->checks++;
    (void)pthread_mutex_unlock(&operators->lock);

    *retry_after_s = (wait_ms + 999) / 1000;
    return wait_ms == 0 ? GH_OK
                        : gh_error_set(error, GH_ERROR_LIMIT, "too many attempts, wait %lld s",
                                       (long long)*retry_after_s);
}

static void settle(struct gh_operators *operators, const struct attempt *attempt, bool right,
                   bool decided, int64_t now_ms)
{
    (void)pthread_mutex_lock(&operators->lock);
    operators->checks--;
    if (right) {
        gh_delays_clear(&operators->delays, attempt->account);
    } else if (decided) {
        gh_delays_wrong(&operators->delays, attempt->account, now_ms);
        gh_delays_wrong(&operators->delays, attempt->source, now_ms);
    }
    (void)pthread_mutex_unlock(&operators->lock);
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
    bool right;

    if (found != GH_OK && found != GH_ERROR_NOT_FOUND)
        return found;
    right = found == GH_OK ? gh_password_verify(sign_in->password, row->password_hash)
                           : gh_password_verify_nobody(sign_in->password, operators->cost);
    return right && !row->disabled
               ? GH_OK
               : gh_error_set(error, GH_ERROR_UNAUTHENTICATED, "name or password is wrong");
}

static void fill_caller(struct gh_caller *caller, const struct gh_sign_in_row *row)
{
    *caller = (struct gh_caller){.kind = GH_CALLER_OPERATOR,
                                 .name = row->operator_name,
                                 .role = row->role,
                                 .tenant = row->tenant,
                                 .expires_at_ms = row->expires_at_ms};
}

static enum gh_error_code begin_session(struct gh_operators *operators,
                                        const struct gh_operator_row *row, int64_t now_ms,
                                        struct gh_sign_in_outcome *out, struct gh_error *error)
{
    uint8_t secret[COOKIE_BYTES], hash[GH_SHA256_BYTES];
    struct gh_buffer text = gh_buffer_fixed(out->cookie, sizeof out->cookie);

    gh_random(secret, sizeof secret);
    (void)gh_base64_encode(gh_slice(secret, sizeof secret), GH_BASE64_URL_NOPAD, &text);
    gh_secret_wipe(secret, sizeof secret);
    gh_sha256(gh_buffer_slice(&text), hash);
    (void)gh_buffer_u8(&text, '\0');
    assert(!text.overflow && text.size == GH_OPERATOR_COOKIE_MAX);

    struct gh_sign_in_row session = {.hash = gh_slice(hash, sizeof hash),
                                     .operator_number = row->number,
                                     .operator_name = row->name,
                                     .role = row->role,
                                     .tenant = row->tenant,
                                     .created_at_ms = now_ms,
                                     .seen_at_ms = now_ms,
                                     .expires_at_ms =
                                         now_ms + INT64_C(1000) * GH_OPERATOR_ABSOLUTE_S};
    enum gh_error_code result = gh_store_sign_in_create(operators->store, &session, error);
    if (result == GH_OK)
        fill_caller(&out->caller, &session);
    else
        gh_secret_wipe(out->cookie, sizeof out->cookie);
    return result;
}

/* A hash made with less than today's cost is made again while the password is at hand. That ends
 * the operator's other sessions, once. A failure changes nothing: the old hash stays good. */
static void renew_hash(struct gh_operators *operators, const struct gh_sign_in *sign_in,
                       const struct gh_operator_row *row)
{
    char phc[GH_PASSWORD_PHC_MAX];
    struct gh_operator_row renewed = *row;

    if (!gh_password_outdated(row->password_hash, operators->cost) ||
        !gh_password_hash(sign_in->password, operators->cost, phc))
        return;
    renewed.password_hash = gh_slice_text(phc);
    enum gh_error_code ignored = gh_store_operator_update(operators->store, &renewed, NULL);
    (void)ignored;
}

enum gh_error_code gh_operators_sign_in(struct gh_operators *operators,
                                        const struct gh_sign_in *sign_in, int64_t now_ms,
                                        struct gh_arena *arena, struct gh_sign_in_outcome *out,
                                        struct gh_error *error)
{
    struct attempt attempt;
    struct gh_operator_row row = {0};

    *out = (struct gh_sign_in_outcome){.caller = {.kind = GH_CALLER_NOBODY}};
    attempt_fill(&attempt, sign_in);
    enum gh_error_code result = admit(operators, &attempt, now_ms, &out->retry_after_s, error);
    if (result != GH_OK)
        return result;
    result = check_password(operators, sign_in, arena, &row, error);
    if (result == GH_OK)
        renew_hash(operators, sign_in, &row);
    settle(operators, &attempt, result == GH_OK, result == GH_ERROR_UNAUTHENTICATED, now_ms);
    if (result != GH_OK)
        return result;
    /* Old rows go when a new one comes; what is expired does not count even while it is still
     * there. */
    enum gh_error_code swept = gh_store_expire(operators->store, now_ms,
                                               now_ms - INT64_C(1000) * GH_OPERATOR_IDLE_S, NULL);
    (void)swept;
    return begin_session(operators, &row, now_ms, out, error);
}

/* The session of a cookie; `digest` is its hash. */
static enum gh_error_code find_session(struct gh_operators *operators, struct gh_slice cookie,
                                       int64_t now_ms, struct gh_arena *arena,
                                       uint8_t digest[GH_SHA256_BYTES], struct gh_sign_in_row *row,
                                       struct gh_error *error)
{
    struct gh_slice hash = gh_slice(digest, GH_SHA256_BYTES);
    enum gh_error_code found = GH_ERROR_NOT_FOUND;

    if (cookie.size == GH_OPERATOR_COOKIE_MAX - 1) {
        gh_sha256(cookie, digest);
        found = gh_store_sign_in_find(operators->store, hash, arena, row, error);
    }
    if (found != GH_OK && found != GH_ERROR_NOT_FOUND)
        return found;
    if (found == GH_ERROR_NOT_FOUND || !gh_secret_equal(row->hash, hash) ||
        row->operator_disabled || row->expires_at_ms <= now_ms ||
        row->seen_at_ms + INT64_C(1000) * GH_OPERATOR_IDLE_S <= now_ms)
        return gh_error_set(error, GH_ERROR_UNAUTHENTICATED, "the session has ended");
    return GH_OK;
}

enum gh_error_code gh_operators_look(struct gh_operators *operators, struct gh_slice cookie,
                                     int64_t now_ms, struct gh_arena *arena, struct gh_caller *out,
                                     struct gh_error *error)
{
    uint8_t digest[GH_SHA256_BYTES];
    struct gh_sign_in_row row;

    *out = (struct gh_caller){.kind = GH_CALLER_NOBODY};
    enum gh_error_code found = find_session(operators, cookie, now_ms, arena, digest, &row, error);
    if (found == GH_OK)
        fill_caller(out, &row);
    return found;
}

enum gh_error_code gh_operators_session(struct gh_operators *operators, struct gh_slice cookie,
                                        int64_t now_ms, struct gh_arena *arena,
                                        struct gh_caller *out, struct gh_error *error)
{
    uint8_t digest[GH_SHA256_BYTES];
    struct gh_sign_in_row row;

    *out = (struct gh_caller){.kind = GH_CALLER_NOBODY};
    enum gh_error_code found = find_session(operators, cookie, now_ms, arena, digest, &row, error);
    if (found != GH_OK)
        return found;
    if (now_ms - row.seen_at_ms >= SEEN_STEP_MS) {
        enum gh_error_code seen =
            gh_store_sign_in_seen(operators->store, gh_slice(digest, sizeof digest), now_ms, error);
        if (seen != GH_OK && seen != GH_ERROR_NOT_FOUND)
            return seen;
    }
    fill_caller(out, &row);
    return GH_OK;
}

enum gh_error_code gh_operators_sign_out(struct gh_operators *operators, struct gh_slice cookie,
                                         struct gh_error *error)
{
    uint8_t digest[GH_SHA256_BYTES];

    gh_sha256(cookie, digest);
    enum gh_error_code code =
        gh_store_sign_in_delete(operators->store, gh_slice(digest, sizeof digest), error);
    return code == GH_ERROR_NOT_FOUND ? GH_OK : code;
}
