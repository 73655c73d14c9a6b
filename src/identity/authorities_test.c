#include "identity/authorities.h"
#include "tests/check.h"
#include <pthread.h>
#include <stdio.h>
#include <time.h>

enum { PATIENCE_S = 20 };

/* The keys process: it has one intermediate CA at a time, and numbers its lists. */
struct keeper {
    const char *chain;
    bool fails;
    unsigned lists;
    void (*meanwhile)(struct keeper *keeper); /* NULL: nothing happens while it signs */
    struct gh_authorities *authorities;
    bool answered;
};

static enum gh_error_code show(void *context, struct gh_buffer *block, struct gh_ca_facts *facts,
                               struct gh_error *error)
{
    struct keeper *keeper = context;
    (void)error;
    gh_buffer_put(block, gh_slice_text(keeper->chain));
    facts->chain_pem = gh_buffer_slice(block);
    return GH_OK;
}

static enum gh_error_code list(void *context, int64_t number, struct gh_validity validity,
                               struct gh_buffer *out, struct gh_error *error)
{
    struct keeper *keeper = context;
    char text[64];
    if (keeper->meanwhile != NULL)
        keeper->meanwhile(keeper);
    if (keeper->fails)
        return gh_error_set(error, GH_ERROR_UNAVAILABLE, "the keeper does not answer");
    CHECK("a list is numbered by the second it begins in", number == validity.from_s);
    CHECK("a list is good for a day", validity.to_s - validity.from_s == 86400);
    int size = snprintf(text, sizeof text, "list %u", ++keeper->lists);
    gh_buffer_put(out, gh_slice(text, (size_t)size));
    return GH_OK;
}

static const struct gh_authorities_keeper calls = {.show = show, .list = list};

static void *ask_generation(void *context)
{
    return gh_authorities_generation(context) == 1 ? context : NULL;
}

/* Somebody else asks for the generation; bounded, so that a lock that is held tells itself. */
static void somebody_asks(struct keeper *keeper)
{
    struct timespec until;
    pthread_t thread;
    void *answer = NULL;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    REQUIRE("a thread starts",
            pthread_create(&thread, NULL, ask_generation, keeper->authorities) == 0);
    keeper->answered = pthread_timedjoin_np(thread, &answer, &until) == 0 && answer != NULL;
}

static void renewed(struct keeper *keeper)
{
    keeper->chain = "another while it signs";
    CHECK("the facts are read while a list is signed",
          gh_authorities_refresh(keeper->authorities, NULL) == GH_OK);
    keeper->meanwhile = NULL;
}

/* One after the other, of one keeper. */
static const struct step {
    const char *claim;
    int64_t now_s;
    const char *chain; /* NULL: as before */
    bool fails;
    void (*meanwhile)(struct keeper *keeper);
    const char *list; /* NULL: refused */
} steps[] = {
    {"the first is signed", 1000, NULL, false, NULL, "list 1"},
    {"it is kept", 1000 + 3599, NULL, false, NULL, "list 1"},
    {"an hour later it is signed anew", 1000 + 3600, NULL, false, NULL, "list 2"},
    {"and when the clock has gone back", 4599, NULL, false, NULL, "list 3"},
    {"another intermediate CA has another", 4600, "another", false, NULL, "list 4"},
    {"the same one again has not", 4601, "another", false, NULL, "list 4"},
    {"who does not answer refuses", 9000, NULL, true, NULL, NULL},
    {"and is asked again", 9000, NULL, false, NULL, "list 5"},
    {"renewed while it signs, the list goes out", 20000, NULL, false, renewed, "list 6"},
    {"and is not kept, as it may be the older one's", 20000, NULL, false, NULL, "list 7"},
    {"the one after it is", 20001, NULL, false, NULL, "list 7"},
};

static void take(struct keeper *keeper, const struct step *step)
{
    struct gh_arena arena;
    struct gh_slice out = {0};
    gh_arena_init(&arena, 4096);
    keeper->fails = step->fails;
    keeper->meanwhile = step->meanwhile;
    if (step->chain != NULL) {
        keeper->chain = step->chain;
        CHECK(step->claim, gh_authorities_refresh(keeper->authorities, NULL) == GH_OK);
    }
    enum gh_error_code code =
        gh_authorities_list(keeper->authorities, step->now_s, &arena, &out, NULL);
    if (step->list != NULL)
        CHECK(step->claim, code == GH_OK && gh_slice_equal(out, gh_slice_text(step->list)));
    else
        CHECK(step->claim, code == GH_ERROR_UNAVAILABLE);
    gh_arena_deinit(&arena);
}

static void lists(void)
{
    struct keeper keeper = {.chain = "the first"};
    keeper.authorities = gh_authorities_open(&calls, &keeper, NULL);
    REQUIRE("it opens", keeper.authorities != NULL);
    for (size_t i = 0; i < GH_COUNT(steps); i++)
        take(&keeper, &steps[i]);
    gh_authorities_close(keeper.authorities);
}

/* Refused or not, nothing is kept of a keeper that has no CA yet. */
static void without_intermediate(void)
{
    static const struct step none[] = {
        {"without a CA it is asked too", 1000, NULL, true, NULL, NULL},
        {"and again", 1000, NULL, false, NULL, "list 1"},
    };
    struct keeper keeper = {.chain = ""};
    keeper.authorities = gh_authorities_open(&calls, &keeper, NULL);
    REQUIRE("it opens", keeper.authorities != NULL);
    for (size_t i = 0; i < GH_COUNT(none); i++)
        take(&keeper, &none[i]);
    gh_authorities_close(keeper.authorities);
}

static void nobody_waits(void)
{
    static const struct step asked = {"it is signed", 1000, NULL, false, somebody_asks, "list 1"};
    struct keeper keeper = {.chain = "the first"};
    keeper.authorities = gh_authorities_open(&calls, &keeper, NULL);
    REQUIRE("it opens", keeper.authorities != NULL);
    take(&keeper, &asked);
    REQUIRE("the generation is told while a list is signed", keeper.answered);
    gh_authorities_close(keeper.authorities);
}

int main(void)
{
    nobody_waits(); /* first, as the others would wait for ever where it fails */
    lists();
    without_intermediate();
    return check_report();
}
