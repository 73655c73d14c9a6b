#include "identity/invitation.h"
#include "store/store.h"
#include "tests/check.h"
#include <string.h>

#define START_MS INT64_C(1700000000000)
#define OLD "a long enough password"
#define NEW "another password, chosen"
static const struct gh_password_cost cheap = {.memory_kib = 64, .passes = 1, .lanes = 1};

static struct gh_store *store;
static struct gh_operators *operators;

static void make(const char *name, const char *password)
{
    const struct gh_operator_draft draft = {.name = gh_slice_text(name),
                                            .password = gh_slice_text(password),
                                            .role = GH_SLICE("viewer")};
    REQUIRE("made", gh_operators_create(operators, &draft, START_MS, NULL) == GH_OK);
}

static void invite(const char *name, char out[GH_INVITATION_MAX])
{
    REQUIRE("invited",
            gh_operators_invite(operators, gh_slice_text(name), START_MS, out, NULL) == GH_OK);
}

static enum gh_error_code accept(const char *name, const char *invitation, const char *password,
                                 int64_t now_ms)
{
    const struct gh_acceptance acceptance = {gh_slice_text(name), gh_slice_text(invitation),
                                             gh_slice_text(password)};
    struct gh_error error = {0};
    enum gh_error_code looked = gh_operators_invited(operators, &acceptance, now_ms, &error);
    enum gh_error_code code = gh_operators_accept(operators, &acceptance, now_ms, &error);
    CHECK("looking says no more and no less",
          (looked == GH_OK) == (code == GH_OK || code == GH_ERROR_INVALID));
    CHECK("one text for whatever is wrong with it",
          code != GH_ERROR_UNAUTHENTICATED ||
              strcmp(error.text, "the invitation is not good, or not any more") == 0);
    return code;
}

static enum gh_error_code sign_in(const char *name, const char *password, int64_t now_ms,
                                  char *cookie)
{
    struct gh_sign_in_outcome out;
    struct gh_arena arena;
    const struct gh_sign_in attempt = {.name = gh_slice_text(name),
                                       .password = gh_slice_text(password)};
    gh_arena_init(&arena, 1 << 16);
    enum gh_error_code code = gh_operators_sign_in(operators, &attempt, now_ms, &arena, &out, NULL);
    if (code == GH_OK)
        memcpy(cookie, out.cookie, sizeof out.cookie);
    gh_arena_deinit(&arena);
    return code;
}

/* Bob's invitation, which stays good through all of this. */
static void refused(void)
{
    enum { END_MS = GH_INVITATION_S * 1000 };
    char invitation[GH_INVITATION_MAX], bent[GH_INVITATION_MAX];
    invite("bob", invitation);
    const struct {
        const char *claim, *name, *invitation, *password;
        int64_t after_ms;
        enum gh_error_code code;
    } rows[] = {
        {"another's", "alice", invitation, NEW, 0, GH_ERROR_UNAUTHENTICATED},
        {"nobody's", "nobody", invitation, NEW, 0, GH_ERROR_UNAUTHENTICATED},
        {"none", "bob", "", NEW, 0, GH_ERROR_UNAUTHENTICATED},
        {"when it has ended", "bob", invitation, NEW, END_MS, GH_ERROR_UNAUTHENTICATED},
        {"with a password that is too short", "bob", invitation, "short", 0, GH_ERROR_INVALID},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++)
        CHECK(rows[i].claim, accept(rows[i].name, rows[i].invitation, rows[i].password,
                                    START_MS + rows[i].after_ms) == rows[i].code);
    for (size_t i = 0; i + 1 < sizeof invitation; i++) {
        memcpy(bent, invitation, sizeof bent);
        bent[i] = bent[i] == 'A' ? 'B' : 'A';
        CHECK("every letter counts", accept("bob", bent, NEW, START_MS) != GH_OK);
        memcpy(bent, invitation, sizeof bent);
        bent[i] = '\0';
        CHECK("and all are needed", accept("bob", bent, NEW, START_MS) == GH_ERROR_UNAUTHENTICATED);
    }
    CHECK("a moment before its end",
          accept("bob", invitation, NEW, START_MS + END_MS - 1) == GH_OK);
    CHECK("once", accept("bob", invitation, OLD, START_MS) == GH_ERROR_UNAUTHENTICATED);
}

static void accepted(void)
{
    char invitation[GH_INVITATION_MAX], cookie[GH_OPERATOR_COOKIE_MAX];
    struct gh_operator_session found;
    struct gh_arena arena;
    gh_arena_init(&arena, 1 << 16);
    make("carol", "");
    CHECK("without a password nobody is in", sign_in("carol", "", START_MS, cookie) != GH_OK);
    invite("carol", invitation);
    CHECK("the first one", accept("carol", invitation, OLD, START_MS) == GH_OK);
    CHECK("is hers", sign_in("carol", OLD, START_MS + 1000, cookie) == GH_OK);
    invite("carol", invitation);
    CHECK("another one", accept("carol", invitation, NEW, START_MS) == GH_OK);
    CHECK("ends her sessions", gh_operators_session(operators, gh_slice_text(cookie), START_MS,
                                                    &arena, &found, NULL) != GH_OK);
    invite("carol", invitation);
    REQUIRE("a password by another way",
            gh_operators_set_password(operators, GH_SLICE("carol"), GH_SLICE(OLD), NULL) == GH_OK);
    CHECK("ends an invitation",
          accept("carol", invitation, NEW, START_MS) == GH_ERROR_UNAUTHENTICATED);
    invite("carol", invitation);
    struct gh_operator_row row;
    REQUIRE("her row",
            gh_store_operator_find(store, GH_SLICE("carol"), &arena, &row, NULL) == GH_OK);
    row.disabled = true;
    REQUIRE("disabled", gh_store_operator_update(store, &row, NULL) == GH_OK);
    CHECK("and so does disabling her",
          accept("carol", invitation, NEW, START_MS) == GH_ERROR_UNAUTHENTICATED);
    CHECK("nobody is invited who is not there",
          gh_operators_invite(operators, GH_SLICE("nobody"), START_MS, invitation, NULL) ==
              GH_ERROR_NOT_FOUND);
    gh_arena_deinit(&arena);
}

int main(void)
{
    struct gh_error error = {0};
    store = gh_store_open(check_folder(), GH_STORE_CREATE, &error);
    REQUIRE("the store opens", store != NULL);
    const struct gh_operators_options options = {
        .store = store, .cost = cheap, .key = GH_SLICE("0123456789abcdef0123456789abcdef")};
    operators = gh_operators_open(&options, &error);
    REQUIRE("the operators open", operators != NULL);
    make("alice", OLD);
    make("bob", OLD);
    refused();
    accepted();
    gh_operators_close(operators);
    gh_store_close(store);
    return check_report();
}
