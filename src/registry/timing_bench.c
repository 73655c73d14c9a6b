/* bench-timing [SAMPLES [ROUNDS]]: whether the time of comparing tokens and of signing in tells
 * anything (tests/timing.h). For each pair of inputs prints what is compared, how many
 * measurements, |t| and whether it is below 4.5; and a comparison that leaks, to show that the
 * measure finds one. Exit code 1 when something tells. 1,000,000 measurements of each by default;
 * those with argon2id, which take milliseconds at a small cost, are a hundredth of it. One round
 * by default, which wants a quiet machine; tests/attacks/timing.test.mjs takes the smallest of
 * three. */
#include "base/secret.h"
#include "crypto/password.h"
#include "registry/password.h"
#include "tests/timing.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 1000000, SLOWER = 100, TOKEN_BYTES = 32, TAG_BYTES = 64, PAGE = 4096 };
static const struct gh_password_cost small_cost = {.memory_kib = 1024, .passes = 1, .lanes = 1};

/* A page apart, so that each lies in its page where the others lie in theirs: the time of a load
 * depends on the low bits of its address, which would be taken for a difference of the inputs. */
struct inputs {
    uint8_t own[PAGE], shown[4][PAGE];
    struct gh_device_passwords *passwords;
    char stored[GH_SECRET_STORED_MAX], phc[GH_PASSWORD_PHC_MAX];
};

static volatile bool outcome; /* so that no work is left out */

static void compare(struct inputs *in, size_t size, int which)
{
    outcome = gh_secret_equal(gh_slice(in->own, size), gh_slice(in->shown[which], size));
}

/* Shown are: the right one, and ones that differ in the first byte, in the last, in all. */
static void token_right_or_first(void *in, int class)
{
    compare(in, TOKEN_BYTES, class);
}

static void token_first_or_last(void *in, int class)
{
    compare(in, TOKEN_BYTES, 1 + class);
}

static void tag_right_or_all(void *in, int class)
{
    compare(in, TAG_BYTES, class == 0 ? 0 : 3);
}

static void leaky_right_or_first(void *context, int class)
{
    const struct inputs *in = context;
    size_t at = 0;
    while (at < TAG_BYTES && in->own[at] == in->shown[class][at])
        at++;
    outcome = at == TAG_BYTES;
}

/* A device that is there and a wrong secret; one that is not there. */
static void device_there_or_not(void *context, int class)
{
    struct inputs *in = context;
    struct gh_slice stored = gh_slice_text(in->stored);
    size_t which;
    outcome = gh_device_password_verify(in->passwords, GH_SLICE("a secret that is not its own"),
                                        &stored, class == 0 ? 1 : 0, &which);
}

/* Secrets of one size: one begins as the right one does, one does not. */
static void device_near_or_far(void *context, int class)
{
    struct inputs *in = context;
    struct gh_slice stored = gh_slice_text(in->stored);
    size_t which;
    outcome = gh_device_password_verify(in->passwords,
                                        class == 0 ? GH_SLICE("the secret of the device, no")
                                                   : GH_SLICE("another secret altogether, no"),
                                        &stored, 1, &which);
}

static void operator_there_or_not(void *context, int class)
{
    struct inputs *in = context;
    outcome = class == 0 ? gh_password_verify(GH_SLICE("a wrong password"), gh_slice_text(in->phc))
                         : gh_password_verify_nobody(GH_SLICE("a wrong password"), small_cost);
}

static const struct {
    const char *name;
    void (*work)(void *context, int class);
    size_t part; /* of the measurements */
    bool leaks;
} pairs[] = {
    {"token: the right one, or wrong in the first byte", token_right_or_first, 1, false},
    {"token: wrong in the first byte, or in the last", token_first_or_last, 1, false},
    {"tag of 64 bytes: the right one, or wrong in all", tag_right_or_all, 1, false},
    {"device: wrong secret, or no such device", device_there_or_not, 1, false},
    {"device: wrong secret that begins right, or not", device_near_or_far, 1, false},
    {"operator: wrong password, or no such operator", operator_there_or_not, SLOWER, false},
    {"(one that leaks: right, or wrong in the first byte)", leaky_right_or_first, 1, true},
};

static bool prepare(struct inputs *in)
{
    static const size_t differs[] = {[1] = 0, [2] = TOKEN_BYTES - 1};
    struct gh_error error = {0};
    gh_random(in->own, sizeof in->own);
    for (size_t i = 0; i < GH_COUNT(in->shown); i++)
        memcpy(in->shown[i], in->own, sizeof in->own);
    for (size_t i = 1; i < GH_COUNT(differs); i++)
        in->shown[i][differs[i]] ^= 1;
    for (size_t i = 0; i < sizeof in->own; i++)
        in->shown[3][i] ^= 0xff;
    in->passwords = gh_device_passwords_with(gh_slice(in->own, TOKEN_BYTES));
    return in->passwords != NULL &&
           gh_device_password_store(in->passwords, GH_SLICE("the secret of the device, really"),
                                    in->stored, &error) == GH_OK &&
           gh_password_hash(GH_SLICE("the right password"), small_cost, in->phc);
}

int main(int argc, char **argv)
{
    static struct inputs in;
    size_t samples = argc > 1 ? strtoul(argv[1], NULL, 10) : SAMPLES;
    unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1;
    bool good = samples >= SLOWER && rounds > 0 && prepare(&in), quiet = good;
    for (size_t i = 0; good && i < GH_COUNT(pairs); i++) {
        size_t count = samples / pairs[i].part;
        double t = timing_t(&(struct timing){pairs[i].work, &in, count, rounds});
        bool told = !(t < TIMING_T_MAX);
        printf("%-54s %8zu  |t| %8.2f  %s\n", pairs[i].name, count, t,
               told ? "can be told apart" : "cannot be told apart");
        quiet &= told == pairs[i].leaks;
    }
    gh_device_passwords_close(in.passwords);
    return quiet ? EXIT_SUCCESS : EXIT_FAILURE;
}
