#include "identity/token.h"
#include "store/store.h"
#include "tests/check.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#define NOW_MS INT64_C(1700000000000)

static void grants(struct gh_store *store)
{
    static const struct {
        const char *claim;
        struct gh_token_grant grant;
        enum gh_error_code code;
    } rows[] = {
        {"neither role nor member", {.role = GH_SLICE_INIT(""), .ttl_s = 60}, GH_ERROR_INVALID},
        {"a member alone", {.member = GH_SLICE_INIT("user:a@b.c"), .ttl_s = 60}, GH_OK},
        {"no lifetime", {.role = GH_SLICE_INIT("viewer"), .ttl_s = 0}, GH_ERROR_INVALID},
        {"a year", {.role = GH_SLICE_INIT("viewer"), .ttl_s = GH_TOKEN_TTL_S_MAX}, GH_OK},
        {"longer",
         {.role = GH_SLICE_INIT("viewer"), .ttl_s = GH_TOKEN_TTL_S_MAX + 1},
         GH_ERROR_INVALID},
    };
    char text[GH_TOKEN_TEXT_MAX];
    struct gh_error error;

    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        CHECK(rows[i].claim,
              gh_token_mint(store, &rows[i].grant, NOW_MS, text, &error) == rows[i].code);
        CHECK(rows[i].claim, (text[0] != '\0') == (rows[i].code == GH_OK));
    }
}

static enum gh_error_code check(struct gh_store *store, struct gh_slice text, int64_t now_ms,
                                struct gh_arena *arena, struct gh_caller *out)
{
    struct gh_error error = {0};
    enum gh_error_code code = gh_token_check(store, text, now_ms, arena, out, &error);
    CHECK("nobody without a token", code == GH_OK || out->kind == GH_CALLER_NOBODY);
    CHECK("one text for every refusal",
          code == GH_OK || strcmp(error.text, "the bearer token is not valid") == 0);
    return code;
}

static void life(struct gh_store *store, char text[GH_TOKEN_TEXT_MAX])
{
    struct gh_token_grant grant = {.role = GH_SLICE("device-controller"),
                                   .member = GH_SLICE("serviceAccount:climate"),
                                   .ttl_s = 3600};
    struct gh_caller caller;
    struct gh_arena arena;

    gh_arena_init(&arena, 1 << 20);
    REQUIRE("a token", gh_token_mint(store, &grant, NOW_MS, text, NULL) == GH_OK);
    struct gh_slice token = gh_slice_text(text);
    CHECK("47 letters behind a prefix",
          token.size == 47 && gh_slice_starts(token, GH_SLICE("ght_")));
    CHECK("it is known", check(store, token, NOW_MS, &arena, &caller) == GH_OK);
    CHECK("with what was granted", caller.kind == GH_CALLER_TOKEN && caller.tenant == 0 &&
                                       gh_slice_equal(caller.role, grant.role) &&
                                       gh_slice_equal(caller.member, grant.member) &&
                                       gh_slice_equal(caller.name, grant.member));
    CHECK("to the last millisecond",
          check(store, token, NOW_MS + 3599999, &arena, &caller) == GH_OK);
    CHECK("and no longer",
          check(store, token, NOW_MS + 3600000, &arena, &caller) == GH_ERROR_UNAUTHENTICATED);
    for (size_t i = 0; i < token.size; i++) {
        char other[GH_TOKEN_TEXT_MAX + 1];
        memcpy(other, text, GH_TOKEN_TEXT_MAX);
        CHECK("cut short", check(store, gh_slice(text, i), NOW_MS, &arena, &caller) != GH_OK);
        other[i] = other[i] == 'A' ? 'B' : 'A';
        CHECK("another letter",
              check(store, gh_slice(other, token.size), NOW_MS, &arena, &caller) != GH_OK);
    }
    char longer[GH_TOKEN_TEXT_MAX + 1];
    (void)snprintf(longer, sizeof longer, "%sA", text);
    CHECK("a letter more", check(store, gh_slice_text(longer), NOW_MS, &arena, &caller) != GH_OK);
    gh_arena_deinit(&arena);
}

/* Whoever reads the data folder has no token. */
static void at_rest(const char *folder, const char *text)
{
    static char block[4 << 20];
    DIR *entries = opendir(folder);
    size_t files = 0;

    REQUIRE("the folder is there", entries != NULL);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        char path[4096];
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        FILE *file = fopen(path, "re");
        if (file == NULL)
            continue;
        size_t size = fread(block, 1, sizeof block, file);
        (void)fclose(file);
        files++;
        CHECK("no file holds the token", memmem(block, size, text, strlen(text)) == NULL);
        CHECK("nor its secret part", memmem(block, size, text + 4, 16) == NULL);
    }
    (void)closedir(entries);
    CHECK("some files were searched", files > 0);
}

int main(void)
{
    char text[GH_TOKEN_TEXT_MAX];
    const char *folder = check_folder();
    struct gh_error error = {0};
    struct gh_caller caller;
    struct gh_arena arena;
    struct gh_store *store = gh_store_open(folder, GH_STORE_CREATE, &error);

    REQUIRE("the store opens", store != NULL);
    grants(store);
    life(store, text);
    at_rest(folder, text);
    gh_arena_init(&arena, 1 << 20);
    CHECK("taken back", gh_token_revoke(store, gh_slice_text(text), &error) == GH_OK);
    CHECK("it is unknown", check(store, gh_slice_text(text), NOW_MS, &arena, &caller) != GH_OK);
    CHECK("taking it back again is no error",
          gh_token_revoke(store, gh_slice_text(text), &error) == GH_OK);
    gh_arena_deinit(&arena);
    gh_store_close(store);
    return check_report();
}
