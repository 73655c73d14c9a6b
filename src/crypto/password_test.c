#include "crypto/password.h"
#include "tests/check.h"
#include <string.h>

/* Cheap on purpose; what the cost does is libargon2's business. */
static const struct gh_password_cost cheap = {.memory_kib = 64, .passes = 1, .lanes = 1};

static void hash_and_verify(void)
{
    char one[GH_PASSWORD_PHC_MAX], two[GH_PASSWORD_PHC_MAX];
    struct gh_slice password = GH_SLICE("correct horse battery");

    REQUIRE("a password is hashed", gh_password_hash(password, cheap, one));
    REQUIRE("and hashed again", gh_password_hash(password, cheap, two));
    CHECK("the string says argon2id and its cost",
          strncmp(one, "$argon2id$v=19$m=64,t=1,p=1$", 28) == 0);
    CHECK("two hashes have two salts", strcmp(one, two) != 0);
    CHECK("the password verifies", gh_password_verify(password, gh_slice_text(one)));
    CHECK("another one does not",
          !gh_password_verify(GH_SLICE("correct horse batterz"), gh_slice_text(one)));
    CHECK("a longer one does not",
          !gh_password_verify(GH_SLICE("correct horse battery "), gh_slice_text(one)));
    CHECK("an empty one does not", !gh_password_verify((struct gh_slice){0}, gh_slice_text(one)));
    for (size_t cut = 0; cut < strlen(one); cut++)
        CHECK("a hash cut short verifies nothing",
              !gh_password_verify(password, gh_slice(one, cut)));
    CHECK("nobody's password is never right", !gh_password_verify_nobody(password, cheap));
}

static void limits(void)
{
    char phc[GH_PASSWORD_PHC_MAX], block[GH_PASSWORD_BYTES_MAX + 1];

    memset(block, 'x', sizeof block);
    CHECK("an empty password has no hash", !gh_password_hash((struct gh_slice){0}, cheap, phc));
    CHECK("128 bytes pass", gh_password_hash(gh_slice(block, 128), cheap, phc));
    CHECK("129 do not match their first 128",
          !gh_password_verify(gh_slice(block, 129), gh_slice_text(phc)));
    CHECK("129 bytes do not pass", !gh_password_hash(gh_slice(block, 129), cheap, phc));
}

static void outdated(void)
{
    static const struct {
        const char *claim, *phc;
        bool outdated;
    } rows[] = {
        {"today's cost", "$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHRzYWx0$aGFzaA", false},
        {"more than today's", "$argon2id$v=19$m=131072,t=4,p=1$c2FsdHNhbHRzYWx0$aGFzaA", false},
        {"less memory", "$argon2id$v=19$m=19456,t=3,p=1$c2FsdHNhbHRzYWx0$aGFzaA", true},
        {"fewer passes", "$argon2id$v=19$m=65536,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaA", true},
        {"another function", "$argon2i$v=19$m=65536,t=3,p=1$c2FsdHNhbHRzYWx0$aGFzaA", true},
        {"no PHC string", "secret", true},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++)
        CHECK(rows[i].claim, gh_password_outdated(gh_slice_text(rows[i].phc), GH_PASSWORD_COST) ==
                                 rows[i].outdated);
}

static void made(void)
{
    char one[GH_PASSWORD_MADE_MAX], two[GH_PASSWORD_MADE_MAX];

    gh_password_make(one);
    gh_password_make(two);
    CHECK("four groups of five", strlen(one) == 23 && one[5] == '-' && one[11] == '-');
    CHECK("no two are the same", strcmp(one, two) != 0);
    CHECK("nothing that is mistaken for something else", strpbrk(one, "01lo") == NULL);
    CHECK("long enough to be taken", strlen(one) >= GH_PASSWORD_BYTES_MIN);
}

int main(void)
{
    hash_and_verify();
    limits();
    outdated();
    made();
    return check_report();
}
