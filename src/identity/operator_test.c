#include "identity/factor.h"
#include "identity/sign_in_policy.h"
#include "identity/totp.h"
#include "store/registry.h"
#include "store/store.h"
#include "tests/check.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define START_MS INT64_C(1700000000000)
#define RIGHT "a long enough password"
static const struct gh_password_cost cheap = {.memory_kib = 64, .passes = 1, .lanes = 1};
static const struct gh_slice server_key = GH_SLICE_INIT("0123456789abcdef0123456789abcdef");

static struct {
    struct gh_store *store;
    struct gh_operators *operators;
    struct gh_arena arena;
    struct gh_metrics metrics;
} world;

static struct gh_operators *open_operators(struct gh_password_cost cost)
{
    struct gh_operators_options options = {
        .store = world.store, .cost = cost, .key = server_key, .metrics = &world.metrics};
    return gh_operators_open(&options, NULL);
}

static int64_t checks_so_far(void)
{
    return atomic_load(&world.metrics.values[GH_METRIC_password_checks_total]);
}

static enum gh_error_code try(const char *name, const char *password, const char *source,
                              int64_t now_ms, struct gh_sign_in_outcome *out)
{
    struct gh_sign_in sign_in = {.name = gh_slice_text(name),
                                 .password = gh_slice_text(password),
                                 .source = gh_slice_text(source)};
    struct gh_error error = {0};
    enum gh_error_code code =
        gh_operators_sign_in(world.operators, &sign_in, now_ms, &world.arena, out, &error);
    CHECK("nobody comes in without a word",
          (code == GH_OK) == (out->session.caller.kind == GH_CALLER_OPERATOR));
    CHECK("a cookie comes with a session only", (code == GH_OK) == (out->cookie[0] != '\0'));
    CHECK("one text for a wrong name and a wrong password",
          code != GH_ERROR_UNAUTHENTICATED || strcmp(error.text, "name or password is wrong") == 0);
    CHECK("a wait is said in seconds", (code == GH_ERROR_LIMIT) == (out->retry_after_s > 0));
    return code;
}

static enum gh_error_code session(const char *cookie, int64_t now_ms, struct gh_caller *out)
{
    struct gh_operator_session found;
    enum gh_error_code code = gh_operators_session(world.operators, gh_slice_text(cookie), now_ms,
                                                   &world.arena, &found, NULL);
    *out = found.caller;
    return code;
}

static enum gh_error_code make(const char *name, const char *password, const char *role)
{
    struct gh_operator_draft draft = {.name = gh_slice_text(name),
                                      .password = gh_slice_text(password),
                                      .role = gh_slice_text(role)};
    return gh_operators_create(world.operators, &draft, START_MS, NULL);
}

static void create(void)
{
    static const struct {
        const char *claim, *name, *password, *role;
        enum gh_error_code code;
    } rows[] = {
        {"an operator", "alice", RIGHT, "administrator", GH_OK},
        {"another", "bob@example.org", RIGHT, "viewer", GH_OK},
        {"the same again", "alice", RIGHT, "administrator", GH_ERROR_EXISTS},
        {"no name", "", RIGHT, "viewer", GH_ERROR_INVALID},
        {"a name with a blank", "a b", RIGHT, "viewer", GH_ERROR_INVALID},
        {"a name with a quote", "a'--", RIGHT, "viewer", GH_ERROR_INVALID},
        {"no role", "carol", RIGHT, "", GH_ERROR_INVALID},
        {"a password of 14 bytes, alone", "carol", "12345678901234", "viewer", GH_ERROR_INVALID},
        {"a password of 15 bytes", "carol", "123456789012345", "viewer", GH_OK},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++)
        CHECK(rows[i].claim, make(rows[i].name, rows[i].password, rows[i].role) == rows[i].code);
}

static void sessions(void)
{
    struct gh_sign_in_outcome first, second;
    struct gh_caller caller;
    int64_t now_ms = START_MS;

    REQUIRE("the right password", try("alice", RIGHT, "192.0.2.1", now_ms, &first) == GH_OK);
    CHECK("the caller is she",
          gh_slice_equal(first.session.caller.name, GH_SLICE("alice")) &&
              gh_slice_equal(first.session.caller.role, GH_SLICE("administrator")) &&
              first.session.caller.tenant == 0);
    REQUIRE("and again", try("alice", RIGHT, "192.0.2.1", now_ms, &second) == GH_OK);
    CHECK("each session has its own secret", strcmp(first.cookie, second.cookie) != 0);
    CHECK("43 letters", strlen(first.cookie) == 43);
    CHECK("the cookie is known", session(first.cookie, now_ms, &caller) == GH_OK);
    CHECK("as hers",
          caller.kind == GH_CALLER_OPERATOR && gh_slice_equal(caller.name, GH_SLICE("alice")));
    for (size_t cut = 0; cut < 43; cut++) {
        first.cookie[cut] ^= 1;
        CHECK("another cookie is not",
              session(first.cookie, now_ms, &caller) == GH_ERROR_UNAUTHENTICATED);
        CHECK("and yields nobody", caller.kind == GH_CALLER_NOBODY);
        first.cookie[cut] ^= 1;
    }
    CHECK("signed out",
          gh_operators_sign_out(world.operators, gh_slice_text(second.cookie), NULL) == GH_OK);
    CHECK("it is unknown", session(second.cookie, now_ms, &caller) == GH_ERROR_UNAUTHENTICATED);
    CHECK("signing out twice is no error",
          gh_operators_sign_out(world.operators, gh_slice_text(second.cookie), NULL) == GH_OK);

    /* Every 29 minutes a look: it lives to its absolute end and not beyond. */
    int64_t end_ms = START_MS + INT64_C(1000) * GH_OPERATOR_ABSOLUTE_S;
    while (now_ms + 29 * 60000 < end_ms) {
        now_ms += 29 * 60000;
        CHECK("seen often enough it lives", session(first.cookie, now_ms, &caller) == GH_OK);
    }
    CHECK("for 12 h", session(first.cookie, end_ms - 1, &caller) == GH_OK);
    CHECK("and no longer", session(first.cookie, end_ms, &caller) == GH_ERROR_UNAUTHENTICATED);
    REQUIRE("a new one", try("alice", RIGHT, "192.0.2.1", end_ms, &first) == GH_OK);
    CHECK("idle for 30 min it ends",
          session(first.cookie, end_ms + 30 * 60000, &caller) == GH_ERROR_UNAUTHENTICATED);
}

/* While strangers guess at her name, her browser waits for its own guesses only. */
static void known_browser(const char *browser, int64_t now_ms)
{
    struct gh_sign_in sign_in = {.name = GH_SLICE("alice"),
                                 .password = GH_SLICE(RIGHT),
                                 .source = GH_SLICE("198.51.100.7"),
                                 .browser = gh_slice_text(browser)};
    struct gh_sign_in_outcome out;
    CHECK("she is in from a browser that is known",
          gh_operators_sign_in(world.operators, &sign_in, now_ms, &world.arena, &out, NULL) ==
              GH_OK);
    sign_in.password = GH_SLICE("a wrong password");
    CHECK("a wrong one there is wrong",
          gh_operators_sign_in(world.operators, &sign_in, now_ms, &world.arena, &out, NULL) ==
              GH_ERROR_UNAUTHENTICATED);
    CHECK("and waits", gh_operators_sign_in(world.operators, &sign_in, now_ms, &world.arena, &out,
                                            NULL) == GH_ERROR_LIMIT);
}

/* 1,000 wrong guesses within 60 s from 50 addresses: at most ten are looked at. */
static void guessing(void)
{
    struct gh_sign_in_outcome out;
    int64_t now_ms = START_MS + INT64_C(86400000);
    struct gh_caller caller;
    char source[32], cookie[GH_OPERATOR_COOKIE_MAX], browser[GH_BROWSER_MAX];
    size_t looked_at = 0;

    REQUIRE("she is in", try("alice", RIGHT, "192.0.2.1", now_ms, &out) == GH_OK);
    memcpy(cookie, out.cookie, sizeof cookie);
    memcpy(browser, out.browser, sizeof browser);
    int64_t checked = checks_so_far();
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(source, sizeof source, "198.51.100.%d", i % 50);
        enum gh_error_code code = try("alice", "a wrong password", source, now_ms + i * 60, &out);
        looked_at += code == GH_ERROR_UNAUTHENTICATED;
        CHECK("never in", code != GH_OK);
    }
    CHECK("at most ten guesses reach argon2id", looked_at > 0 && looked_at <= 10);
    CHECK("as the counter says", checks_so_far() - checked == (int64_t)looked_at);
    now_ms += 60000;
    known_browser(browser, now_ms);
    CHECK("a known session goes on", session(cookie, now_ms, &caller) == GH_OK);
    CHECK("the right password waits too",
          try("alice", RIGHT, "192.0.2.1", now_ms, &out) == GH_ERROR_LIMIT);
    CHECK("at most 300 s", out.retry_after_s <= 300);
    now_ms += out.retry_after_s * 1000;
    CHECK("and then is right", try("alice", RIGHT, "192.0.2.1", now_ms, &out) == GH_OK);
    CHECK("a wrong one from elsewhere", try("alice", "a wrong password", "203.0.113.1", now_ms,
                                            &out) == GH_ERROR_UNAUTHENTICATED);
    CHECK("waits", try("alice", RIGHT, "192.0.2.1", now_ms, &out) == GH_ERROR_LIMIT);
    CHECK("a second only: the right one had cleared the account", out.retry_after_s == 1);
    CHECK("the source waits for itself",
          try("bob@example.org", RIGHT, "203.0.113.1", now_ms, &out) == GH_ERROR_LIMIT);
}

/* One address that guesses at many accounts waits for itself; the accounts do not exist. */
static void spraying(void)
{
    struct gh_sign_in_outcome out;
    int64_t now_ms = START_MS + INT64_C(2 * 86400000);
    char name[32], source[64];
    size_t looked_at = 0;

    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "nobody%d", i);
        (void)snprintf(source, sizeof source, "2001:db8:0:%x::%x", i % 256, i);
        looked_at += try(name, "a wrong password", source, now_ms + i * 60, &out) ==
                     GH_ERROR_UNAUTHENTICATED;
    }
    CHECK("one IPv6 site is one source", looked_at > 0 && looked_at <= 10);
    CHECK("another address does not wait",
          try("alice", RIGHT, "192.0.2.2", now_ms + 60000, &out) == GH_OK);
    CHECK("a name that no operator can have is unknown",
          try("a'; DROP TABLE operators; --", RIGHT, "192.0.2.3", now_ms, &out) ==
              GH_ERROR_UNAUTHENTICATED);
    CHECK("an empty password is wrong",
          try("bob@example.org", "", "192.0.2.4", now_ms, &out) == GH_ERROR_UNAUTHENTICATED);
}

static void passwords(void)
{
    struct gh_sign_in_outcome out;
    struct gh_caller caller;
    int64_t now_ms = START_MS + INT64_C(3 * 86400000);

    REQUIRE("bob is in", try("bob@example.org", RIGHT, "192.0.2.9", now_ms, &out) == GH_OK);
    char cookie[GH_OPERATOR_COOKIE_MAX];
    memcpy(cookie, out.cookie, sizeof cookie);
    CHECK("too short a password",
          gh_operators_set_password(world.operators, GH_SLICE("bob@example.org"), GH_SLICE("short"),
                                    NULL) == GH_ERROR_INVALID);
    CHECK("of nobody",
          gh_operators_set_password(world.operators, GH_SLICE("nobody"),
                                    GH_SLICE("another password"), NULL) == GH_ERROR_NOT_FOUND);
    CHECK("changed", gh_operators_set_password(world.operators, GH_SLICE("bob@example.org"),
                                               GH_SLICE("another password"), NULL) == GH_OK);
    CHECK("his sessions end", session(cookie, now_ms, &caller) == GH_ERROR_UNAUTHENTICATED);
    CHECK("the new one is right",
          try("bob@example.org", "another password", "192.0.2.9", now_ms, &out) == GH_OK);
    CHECK("the old one is wrong",
          try("bob@example.org", RIGHT, "192.0.2.9", now_ms, &out) == GH_ERROR_UNAUTHENTICATED);

    /* The cost rises: the next sign-in hashes again, and the password stays. */
    struct gh_operators *dearer =
        open_operators((struct gh_password_cost){.memory_kib = 128, .passes = 1, .lanes = 1});
    struct gh_sign_in sign_in = {.name = GH_SLICE("bob@example.org"),
                                 .password = GH_SLICE("another password"),
                                 .source = GH_SLICE("192.0.2.9")};
    struct gh_operator_row row;
    REQUIRE("with a higher cost", dearer != NULL);
    CHECK("he is in",
          gh_operators_sign_in(dearer, &sign_in, now_ms, &world.arena, &out, NULL) == GH_OK);
    REQUIRE("his row",
            gh_store_operator_find(world.store, sign_in.name, &world.arena, &row, NULL) == GH_OK);
    CHECK("has the new cost",
          gh_slice_starts(row.password_hash, GH_SLICE("$peppered$$argon2id$v=19$m=128,")));
    CHECK("and the password is right still",
          gh_operators_sign_in(dearer, &sign_in, now_ms, &world.arena, &out, NULL) == GH_OK);
    char plain[GH_PASSWORD_PHC_MAX];
    REQUIRE("a hash of before", gh_password_hash(sign_in.password, cheap, plain));
    row.password_hash = gh_slice_text(plain);
    REQUIRE("is stored", gh_store_operator_update(world.store, &row, NULL) == GH_OK);
    CHECK("a password without pepper is right",
          gh_operators_sign_in(dearer, &sign_in, now_ms, &world.arena, &out, NULL) == GH_OK);
    REQUIRE("his row",
            gh_store_operator_find(world.store, sign_in.name, &world.arena, &row, NULL) == GH_OK);
    CHECK("and is peppered from then on", gh_slice_starts(row.password_hash, GH_SLICE("$pepp")));
    CHECK("his session goes on", gh_operators_session(dearer, gh_slice_text(out.cookie), now_ms,
                                                      &world.arena, &out.session, NULL) == GH_OK);
    row.disabled = true;
    REQUIRE("disabled", gh_store_operator_update(world.store, &row, NULL) == GH_OK);
    CHECK("he is out", gh_operators_sign_in(dearer, &sign_in, now_ms, &world.arena, &out, NULL) ==
                           GH_ERROR_UNAUTHENTICATED);
    gh_operators_close(dearer);
}

/* Many at once: each gets an answer, nobody gets another one's session, and the work is bounded. */
static void *rush(void *argument)
{
    const char *source = argument;
    struct gh_sign_in sign_in = {.name = GH_SLICE("carol"),
                                 .password = GH_SLICE("123456789012345"),
                                 .source = gh_slice_text(source)};
    struct gh_sign_in_outcome out;
    struct gh_operator_session found;
    struct gh_arena arena;

    gh_arena_init(&arena, 1 << 20);
    for (int i = 0; i < 20; i++) {
        enum gh_error_code code = gh_operators_sign_in(
            world.operators, &sign_in, START_MS + INT64_C(4 * 86400000), &arena, &out, NULL);
        CHECK("in, or a second's wait",
              code == GH_OK || (code == GH_ERROR_LIMIT && out.retry_after_s == 1));
        if (code == GH_OK)
            CHECK("with a session that is known",
                  gh_operators_session(world.operators, gh_slice_text(out.cookie),
                                       START_MS + INT64_C(4 * 86400000), &arena, &found,
                                       NULL) == GH_OK &&
                      gh_slice_equal(found.caller.name, GH_SLICE("carol")));
        gh_arena_reset(&arena);
    }
    gh_arena_deinit(&arena);
    return NULL;
}

static void rushes(void)
{
    static char sources[4][16] = {"192.0.2.21", "192.0.2.22", "192.0.2.23", "192.0.2.24"};
    pthread_t threads[GH_COUNT(sources)];
    for (size_t i = 0; i < GH_COUNT(sources); i++)
        REQUIRE("a thread starts", pthread_create(&threads[i], NULL, rush, sources[i]) == 0);
    for (size_t i = 0; i < GH_COUNT(sources); i++)
        (void)pthread_join(threads[i], NULL);
}

/* All places taken: whoever comes is refused at once; some are kept for known browsers. */
static void places(void)
{
    int64_t now_ms = START_MS + INT64_C(5 * 86400000), wait_s;
    struct gh_attempt attempts[GH_OPERATOR_CHECKS_MAX + 1];
    struct gh_sign_in_outcome out;
    char names[GH_OPERATOR_CHECKS_MAX + 1][16], browser[GH_BROWSER_MAX];
    size_t taken = 0;

    REQUIRE("alice is in", try("alice", RIGHT, "192.0.2.31", now_ms, &out) == GH_OK);
    memcpy(browser, out.browser, sizeof browser);
    for (; taken <= GH_OPERATOR_CHECKS_MAX; taken++) {
        (void)snprintf(names[taken], sizeof names[taken], "n%zu", taken);
        struct gh_sign_in sign_in = {.name = gh_slice_text(names[taken]),
                                     .source = GH_SLICE("192.0.2.32")};
        enum gh_error_code code =
            gh_operators_admit(world.operators, &sign_in, now_ms, &attempts[taken], &wait_s, NULL);
        if (code == GH_ERROR_UNAVAILABLE)
            break;
        CHECK("a place", code == GH_OK);
    }
    CHECK("those that are not kept", taken == GH_OPERATOR_CHECKS_MAX - GH_OPERATOR_CHECKS_KEPT);
    CHECK("come again in a second", wait_s == 1);
    struct gh_sign_in alice = {.name = GH_SLICE("alice"), .browser = gh_slice_text(browser)};
    CHECK("a known browser finds one",
          gh_operators_admit(world.operators, &alice, now_ms, &attempts[taken], &wait_s, NULL) ==
              GH_OK);
    struct gh_attempt second;
    CHECK("but not two at once", gh_operators_admit(world.operators, &alice, now_ms, &second,
                                                    &wait_s, NULL) == GH_ERROR_LIMIT);
    for (size_t i = 0; i <= taken; i++)
        gh_operators_withdraw(world.operators, &attempts[i]);
    CHECK("free again", try("alice", RIGHT, "192.0.2.31", now_ms, &out) == GH_OK);
}

/* The key out of the text that is shown, as an authenticator app reads it. */
static void read_base32(const char *text, uint8_t out[GH_TOTP_KEY_BYTES])
{
    uint32_t pending = 0;
    unsigned bits = 0;
    size_t size = 0;
    for (; *text != '\0'; text++) {
        uint32_t value = *text >= 'A' ? (uint32_t)(*text - 'A') : (uint32_t)(*text - '2' + 26);
        pending = (pending << 5 | value) & 0xfffu;
        bits += 5;
        if (bits >= 8 && size < GH_TOTP_KEY_BYTES) {
            bits -= 8;
            out[size++] = (uint8_t)(pending >> bits);
        }
    }
}

static enum gh_error_code show(const struct gh_operator_session *session, enum gh_factor_kind kind,
                               const char *code, int64_t now_ms)
{
    struct gh_factor_proof proof = {.kind = kind, .code = gh_slice_text(code)};
    int64_t wait_s;
    return gh_factor_prove(world.operators, session, &proof, now_ms, &world.arena, &wait_s, NULL);
}

static void second_factor(void)
{
    int64_t now_ms = START_MS + INT64_C(6 * 86400000), wait_s;
    struct gh_sign_in_outcome out, whole;
    struct gh_totp_offer offer;
    struct gh_caller caller;
    uint8_t key_bytes[GH_TOTP_KEY_BYTES];
    struct gh_slice key = gh_slice(key_bytes, sizeof key_bytes);
    char code[GH_TOTP_DIGITS + 1];

    REQUIRE("alice is in", try("alice", RIGHT, "192.0.2.41", now_ms, &out) == GH_OK);
    REQUIRE("an offer", gh_factor_offer_totp(world.operators, &out.session, GH_SLICE("phone"),
                                             now_ms, &world.arena, &offer, NULL) == GH_OK);
    read_base32(offer.secret, key_bytes);
    CHECK("the same for a picture", strstr(offer.uri, offer.secret) != NULL);
    REQUIRE("before it is confirmed it is not asked for",
            try("alice", RIGHT, "192.0.2.41", now_ms, &whole) == GH_OK);
    CHECK("a wrong code confirms nothing",
          gh_factor_confirm_totp(world.operators, &out.session, offer.factor, GH_SLICE("000000"),
                                 now_ms, &world.arena, &wait_s, NULL) == GH_ERROR_UNAUTHENTICATED);
    gh_totp_code(key, now_ms / 30000, code);
    CHECK("and has to wait",
          gh_factor_confirm_totp(world.operators, &out.session, offer.factor, gh_slice_text(code),
                                 now_ms, &world.arena, &wait_s, NULL) == GH_ERROR_LIMIT &&
              wait_s == 1);
    now_ms += 1000;
    CHECK("the right one does",
          gh_factor_confirm_totp(world.operators, &out.session, offer.factor, gh_slice_text(code),
                                 now_ms, &world.arena, &wait_s, NULL) == GH_OK);

    now_ms += 60000;
    struct gh_sign_in sign_in = {.name = GH_SLICE("alice"), .password = GH_SLICE(RIGHT)};
    REQUIRE("the password alone", gh_operators_sign_in(world.operators, &sign_in, now_ms,
                                                       &world.arena, &out, NULL) == GH_OK);
    CHECK("is not enough now", out.session.row.stage == GH_SIGN_IN_NEEDS_FACTOR &&
                                   out.session.caller.kind == GH_CALLER_NOBODY &&
                                   out.browser[0] == '\0');
    CHECK("the step of before is spent",
          show(&out.session, GH_FACTOR_TOTP, code, now_ms) == GH_ERROR_UNAUTHENTICATED);
    now_ms += 1000;
    gh_totp_code(key, now_ms / 30000, code);
    CHECK("the code of now", show(&out.session, GH_FACTOR_TOTP, code, now_ms) == GH_OK);
    CHECK("counts once",
          show(&out.session, GH_FACTOR_TOTP, code, now_ms) == GH_ERROR_UNAUTHENTICATED);
    CHECK("then comes a wait", show(&out.session, GH_FACTOR_TOTP, code, now_ms) == GH_ERROR_LIMIT);
    CHECK("the session goes on",
          gh_operators_go_on(world.operators, &out.session, GH_SIGN_IN_WHOLE, "totp", now_ms,
                             &world.arena, &whole, NULL) == GH_OK);
    CHECK("under another secret", strcmp(whole.cookie, out.cookie) != 0);
    CHECK("the old one is of no use",
          session(out.cookie, now_ms, &caller) == GH_ERROR_UNAUTHENTICATED);
    CHECK("the new one is hers",
          session(whole.cookie, now_ms, &caller) == GH_OK && caller.kind == GH_CALLER_OPERATOR);
    CHECK("it says how", gh_slice_equal(whole.session.row.method, GH_SLICE("password+totp")));
    REQUIRE("another sign-in", gh_operators_sign_in(world.operators, &sign_in, now_ms, &world.arena,
                                                    &out, NULL) == GH_OK);
    CHECK("does not wait for its second factor for ever",
          session(out.cookie, now_ms + GH_OPERATOR_STEP_S * 1000, &caller) ==
              GH_ERROR_UNAUTHENTICATED);
}

/* A session that goes on for hours: what it may do without a proof anew ends after ten minutes. */
static void proof(void)
{
    static const struct {
        const char *claim;
        int64_t after_ms; /* the proof */
        bool proven;
    } rows[] = {
        {"at once", 0, true},
        {"ten minutes less a millisecond later", INT64_C(10) * 60000 - 1, true},
        {"ten minutes later no more", INT64_C(10) * 60000, false},
        {"nor hours later", INT64_C(11) * 3600000, false},
    };
    int64_t now_ms = START_MS + INT64_C(9 * 86400000);
    struct gh_sign_in sign_in = {.name = GH_SLICE("alice"), .password = GH_SLICE(RIGHT)};
    struct gh_sign_in_outcome out, anew;
    REQUIRE("alice is in", gh_operators_sign_in(world.operators, &sign_in, now_ms, &world.arena,
                                                &out, NULL) == GH_OK);
    for (size_t i = 0; i < GH_COUNT(rows); i++)
        CHECK(rows[i].claim, gh_operator_session_is_proven(
                                 &out.session, now_ms + rows[i].after_ms) == rows[i].proven);
    now_ms += INT64_C(20) * 60000;
    struct gh_operator_session seen;
    REQUIRE("twenty minutes later",
            gh_operators_session(world.operators, gh_slice_text(out.cookie), now_ms, &world.arena,
                                 &seen, NULL) == GH_OK);
    CHECK("being seen is no proof", !gh_operator_session_is_proven(&seen, now_ms));
    REQUIRE("the password anew",
            gh_operators_go_on(world.operators, &seen, GH_SIGN_IN_WHOLE, "password", now_ms,
                               &world.arena, &anew, NULL) == GH_OK);
    for (size_t i = 0; i < GH_COUNT(rows); i++)
        CHECK(rows[i].claim, gh_operator_session_is_proven(
                                 &anew.session, now_ms + rows[i].after_ms) == rows[i].proven);
}

static void recovery(void)
{
    int64_t now_ms = START_MS + INT64_C(7 * 86400000);
    char codes[GH_RECOVERY_CODES][GH_RECOVERY_CODE_MAX];
    struct gh_sign_in sign_in = {.name = GH_SLICE("alice"), .password = GH_SLICE(RIGHT)};
    struct gh_sign_in_outcome out;
    struct gh_factors factors;

    REQUIRE("the password", gh_operators_sign_in(world.operators, &sign_in, now_ms, &world.arena,
                                                 &out, NULL) == GH_OK);
    int64_t number = out.session.row.operator_number;
    REQUIRE("ten codes",
            gh_factor_make_recovery(world.operators, number, now_ms, codes, NULL) == GH_OK);
    CHECK("each another", strcmp(codes[0], codes[9]) != 0 && strlen(codes[0]) == 19);
    CHECK("one of them", show(&out.session, GH_FACTOR_RECOVERY, codes[3], now_ms) == GH_OK);
    CHECK("once",
          show(&out.session, GH_FACTOR_RECOVERY, codes[3], now_ms) == GH_ERROR_UNAUTHENTICATED);
    now_ms += 1000;
    CHECK("part of one is none",
          show(&out.session, GH_FACTOR_RECOVERY, "aaaa", now_ms) == GH_ERROR_UNAUTHENTICATED);
    REQUIRE("listed",
            gh_factors_of(world.operators, number, &world.arena, &factors, NULL) == GH_OK);
    CHECK("nine are left", factors.recovery_left == 9 && factors.count == 1 && factors.has_totp);
    int64_t last = factors.rows[0].number;
    struct gh_sign_in_policy policy = {.second_factor = true};
    REQUIRE("demanded", gh_sign_in_policy_put(world.store, 0, &policy, now_ms, NULL) == GH_OK);
    CHECK("where one is demanded the last stays",
          gh_factor_remove(world.operators, &out.session, last, &world.arena, NULL) ==
              GH_ERROR_PRECONDITION);
    CHECK("one that is not there is not there",
          gh_factor_remove(world.operators, &out.session, last + 1000, &world.arena, NULL) ==
              GH_ERROR_NOT_FOUND);
    policy.second_factor = false;
    REQUIRE("not demanded", gh_sign_in_policy_put(world.store, 0, &policy, now_ms, NULL) == GH_OK);
    CHECK("the last factor goes",
          gh_factor_remove(world.operators, &out.session, last, &world.arena, NULL) == GH_OK);
    REQUIRE("listed",
            gh_factors_of(world.operators, number, &world.arena, &factors, NULL) == GH_OK);
    CHECK("and the codes with it", factors.recovery_left == 0 && factors.count == 0);
}

/* What a right password alone brings. */
static enum gh_sign_in_stage try_stage(const char *name, const char *password, int64_t now_ms)
{
    struct gh_sign_in sign_in = {.name = gh_slice_text(name), .password = gh_slice_text(password)};
    struct gh_sign_in_outcome out;
    REQUIRE("the password is right", gh_operators_sign_in(world.operators, &sign_in, now_ms,
                                                          &world.arena, &out, NULL) == GH_OK);
    return out.session.row.stage;
}

static void demanded(void)
{
    int64_t now_ms = START_MS + INT64_C(8 * 86400000);
    struct gh_sign_in sign_in = {.name = GH_SLICE("alice"), .password = GH_SLICE(RIGHT)};
    struct gh_sign_in_policy policy = {.second_factor = true};
    struct gh_tenant tenant = {.name = GH_SLICE("acme"),
                               .google_project = GH_SLICE("acme"),
                               .azure_hub = GH_SLICE("acme"),
                               .aws_account = GH_SLICE("acme")};
    struct gh_sign_in_outcome out;

    REQUIRE("a tenant", gh_store_tenant_create(world.store, &tenant, NULL) == GH_OK);
    static const bool of_tenant[] = {false, true};
    for (size_t i = 0; i < GH_COUNT(of_tenant); i++) {
        int64_t where = of_tenant[i] ? tenant.number : 0;
        policy.second_factor = true;
        REQUIRE("demanded",
                gh_sign_in_policy_put(world.store, where, &policy, now_ms, NULL) == GH_OK);
        REQUIRE("the password", gh_operators_sign_in(world.operators, &sign_in, now_ms,
                                                     &world.arena, &out, NULL) == GH_OK);
        CHECK("lets her add a factor and no more", out.session.row.stage == GH_SIGN_IN_MUST_ENROL &&
                                                       out.session.caller.kind == GH_CALLER_NOBODY);
        CHECK("twelve bytes will do then",
              make(i == 0 ? "dora" : "emil", "123456789012", "viewer") == GH_OK);
        policy.second_factor = false;
        REQUIRE("not demanded",
                gh_sign_in_policy_put(world.store, where, &policy, now_ms, NULL) == GH_OK);
        CHECK("she is in", gh_operators_sign_in(world.operators, &sign_in, now_ms, &world.arena,
                                                &out, NULL) == GH_OK &&
                               out.session.row.stage == GH_SIGN_IN_WHOLE);
        CHECK("twelve bytes alone are not enough",
              try_stage(i == 0 ? "dora" : "emil", "123456789012", now_ms) == GH_SIGN_IN_MUST_ENROL);
    }
}

int main(void)
{
    struct gh_error error = {0};

    gh_arena_init(&world.arena, 16 << 20);
    world.store = gh_store_open(check_folder(), GH_STORE_CREATE, &error);
    REQUIRE("the store opens", world.store != NULL);
    world.operators = open_operators(cheap);
    REQUIRE("the operators open", world.operators != NULL);
    create();
    sessions();
    guessing();
    spraying();
    passwords();
    rushes();
    places();
    second_factor();
    recovery();
    demanded();
    proof();
    gh_operators_close(world.operators);
    gh_store_close(world.store);
    gh_arena_deinit(&world.arena);
    return check_report();
}
