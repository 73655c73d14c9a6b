#include "identity/operator.h"
#include "store/store.h"
#include "tests/check.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define START_MS INT64_C(1700000000000)
#define RIGHT "a long enough password"
static const struct gh_password_cost cheap = {.memory_kib = 64, .passes = 1, .lanes = 1};

static struct {
    struct gh_store *store;
    struct gh_operators *operators;
    struct gh_arena arena;
} world;

static enum gh_error_code try(const char *name, const char *password, const char *source,
                              int64_t now_ms, struct gh_sign_in_outcome *out)
{
    struct gh_sign_in sign_in = {gh_slice_text(name), gh_slice_text(password),
                                 gh_slice_text(source)};
    struct gh_error error = {0};
    enum gh_error_code code =
        gh_operators_sign_in(world.operators, &sign_in, now_ms, &world.arena, out, &error);
    CHECK("nobody comes in without a word",
          (code == GH_OK) == (out->caller.kind == GH_CALLER_OPERATOR));
    CHECK("a cookie comes with a session only", (code == GH_OK) == (out->cookie[0] != '\0'));
    CHECK("one text for a wrong name and a wrong password",
          code != GH_ERROR_UNAUTHENTICATED || strcmp(error.text, "name or password is wrong") == 0);
    CHECK("a wait is said in seconds", (code == GH_ERROR_LIMIT) == (out->retry_after_s > 0));
    return code;
}

static enum gh_error_code session(const char *cookie, int64_t now_ms, struct gh_caller *out)
{
    return gh_operators_session(world.operators, gh_slice_text(cookie), now_ms, &world.arena, out,
                                NULL);
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
        {"a password of 11 bytes", "carol", "12345678901", "viewer", GH_ERROR_INVALID},
        {"a password of 12 bytes", "carol", "123456789012", "viewer", GH_OK},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++)
        CHECK(rows[i].claim,
              gh_operators_create(world.operators, gh_slice_text(rows[i].name),
                                  gh_slice_text(rows[i].password), gh_slice_text(rows[i].role),
                                  START_MS, NULL) == rows[i].code);
}

static void sessions(void)
{
    struct gh_sign_in_outcome first, second;
    struct gh_caller caller;
    int64_t now_ms = START_MS;

    REQUIRE("the right password", try("alice", RIGHT, "192.0.2.1", now_ms, &first) == GH_OK);
    CHECK("the caller is she", gh_slice_equal(first.caller.name, GH_SLICE("alice")) &&
                                   gh_slice_equal(first.caller.role, GH_SLICE("administrator")) &&
                                   first.caller.tenant == 0);
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

/* 1,000 wrong guesses within 60 s from 50 addresses: at most ten are looked at. */
static void guessing(void)
{
    struct gh_sign_in_outcome out;
    int64_t now_ms = START_MS + INT64_C(86400000);
    struct gh_caller caller;
    char source[32], cookie[GH_OPERATOR_COOKIE_MAX];
    size_t looked_at = 0;

    REQUIRE("she is in", try("alice", RIGHT, "192.0.2.1", now_ms, &out) == GH_OK);
    memcpy(cookie, out.cookie, sizeof cookie);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(source, sizeof source, "198.51.100.%d", i % 50);
        enum gh_error_code code = try("alice", "a wrong password", source, now_ms + i * 60, &out);
        looked_at += code == GH_ERROR_UNAUTHENTICATED;
        CHECK("never in", code != GH_OK);
    }
    CHECK("at most ten guesses reach argon2id", looked_at > 0 && looked_at <= 10);
    now_ms += 60000;
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
                                    now_ms, NULL) == GH_ERROR_INVALID);
    CHECK("of nobody", gh_operators_set_password(world.operators, GH_SLICE("nobody"),
                                                 GH_SLICE("another password"), now_ms,
                                                 NULL) == GH_ERROR_NOT_FOUND);
    CHECK("changed",
          gh_operators_set_password(world.operators, GH_SLICE("bob@example.org"),
                                    GH_SLICE("another password"), now_ms, NULL) == GH_OK);
    CHECK("his sessions end", session(cookie, now_ms, &caller) == GH_ERROR_UNAUTHENTICATED);
    CHECK("the new one is right",
          try("bob@example.org", "another password", "192.0.2.9", now_ms, &out) == GH_OK);
    CHECK("the old one is wrong",
          try("bob@example.org", RIGHT, "192.0.2.9", now_ms, &out) == GH_ERROR_UNAUTHENTICATED);

    /* The cost rises: the next sign-in hashes again, and the password stays. */
    struct gh_operators *dearer = gh_operators_open(
        world.store, (struct gh_password_cost){.memory_kib = 128, .passes = 1, .lanes = 1});
    struct gh_sign_in sign_in = {GH_SLICE("bob@example.org"), GH_SLICE("another password"),
                                 GH_SLICE("192.0.2.9")};
    struct gh_operator_row row;
    REQUIRE("with a higher cost", dearer != NULL);
    CHECK("he is in",
          gh_operators_sign_in(dearer, &sign_in, now_ms, &world.arena, &out, NULL) == GH_OK);
    REQUIRE("his row",
            gh_store_operator_find(world.store, sign_in.name, &world.arena, &row, NULL) == GH_OK);
    CHECK("has the new cost",
          gh_slice_starts(row.password_hash, GH_SLICE("$argon2id$v=19$m=128,")));
    CHECK("and the password is right still",
          gh_operators_sign_in(dearer, &sign_in, now_ms, &world.arena, &out, NULL) == GH_OK);
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
    struct gh_sign_in sign_in = {GH_SLICE("carol"), GH_SLICE("123456789012"),
                                 gh_slice_text(source)};
    struct gh_sign_in_outcome out;
    struct gh_caller caller;
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
                                       START_MS + INT64_C(4 * 86400000), &arena, &caller,
                                       NULL) == GH_OK &&
                      gh_slice_equal(caller.name, GH_SLICE("carol")));
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

int main(void)
{
    struct gh_error error = {0};

    gh_arena_init(&world.arena, 16 << 20);
    world.store = gh_store_open(check_folder(), GH_STORE_CREATE, &error);
    REQUIRE("the store opens", world.store != NULL);
    world.operators = gh_operators_open(world.store, cheap);
    REQUIRE("the operators open", world.operators != NULL);
    create();
    sessions();
    guessing();
    spraying();
    passwords();
    rushes();
    gh_operators_close(world.operators);
    gh_store_close(world.store);
    gh_arena_deinit(&world.arena);
    return check_report();
}
