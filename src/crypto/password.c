#include "crypto/password.h"
#include "base/secret.h"
#include <argon2.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { SALT_BYTES = 16, HASH_BYTES = 32 };

bool gh_password_hash(struct gh_slice password, struct gh_password_cost cost,
                      char phc[GH_PASSWORD_PHC_MAX])
{
    uint8_t salt[SALT_BYTES];

    phc[0] = '\0';
    if (password.size == 0 || password.size > GH_PASSWORD_BYTES_MAX)
        return false;
    gh_random(salt, sizeof salt);
    return argon2id_hash_encoded(cost.passes, cost.memory_kib, cost.lanes, password.data,
                                 password.size, salt, sizeof salt, HASH_BYTES, phc,
                                 GH_PASSWORD_PHC_MAX) == ARGON2_OK;
}

bool gh_password_verify(struct gh_slice password, struct gh_slice phc)
{
    char text[GH_PASSWORD_PHC_MAX];

    if (phc.size >= sizeof text || gh_slice_find(phc, '\0') < phc.size)
        return false;
    memcpy(text, phc.data, phc.size);
    text[phc.size] = '\0';
    /* A password over the maximum was never stored; cutting it keeps the work the same. */
    password = gh_slice_sub(password, 0, GH_PASSWORD_BYTES_MAX + 1);
    return argon2id_verify(text, password.data, password.size) == ARGON2_OK;
}

bool gh_password_verify_nobody(struct gh_slice password, struct gh_password_cost cost)
{
    static const uint8_t salt[SALT_BYTES] = "nobody has this";
    uint8_t hash[HASH_BYTES];

    password = gh_slice_sub(password, 0, GH_PASSWORD_BYTES_MAX + 1);
    (void)argon2id_hash_raw(cost.passes, cost.memory_kib, cost.lanes, password.data, password.size,
                            salt, sizeof salt, hash, sizeof hash);
    gh_secret_wipe(hash, sizeof hash);
    return false;
}

bool gh_password_derive(struct gh_slice password, struct gh_password_cost cost,
                        struct gh_slice salt, uint8_t out[32])
{
    static_assert(HASH_BYTES == 32, "as the header says");
    return argon2id_hash_raw(cost.passes, cost.memory_kib, cost.lanes, password.data, password.size,
                             salt.data, salt.size, out, HASH_BYTES) == ARGON2_OK;
}

bool gh_password_outdated(struct gh_slice phc, struct gh_password_cost cost)
{
    char text[GH_PASSWORD_PHC_MAX];
    struct gh_password_cost had;

    if (phc.size >= sizeof text)
        return true;
    memcpy(text, phc.data, phc.size);
    text[phc.size] = '\0';
    if (sscanf(text, "$argon2id$v=19$m=%9u,t=%9u,p=%9u$", &had.memory_kib, &had.passes,
               &had.lanes) != 3)
        return true;
    return had.memory_kib < cost.memory_kib || had.passes < cost.passes;
}

void gh_password_make(char out[GH_PASSWORD_MADE_MAX])
{
    static const char letters[] = "23456789abcdefghijkmnpqrstuvwxyz"; /* no 0 o, 1 l */
    static_assert(sizeof letters - 1 == 32, "one letter for five bits, without bias");
    enum { GROUPS = 4, GROUP = 5 };
    uint8_t random[GROUPS * GROUP];
    size_t at = 0;

    static_assert(GROUPS * (GROUP + 1) <= GH_PASSWORD_MADE_MAX, "groups and dashes fit");
    gh_random(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) {
        if (i > 0 && i % GROUP == 0)
            out[at++] = '-';
        out[at++] = letters[random[i] & 31u];
    }
    out[at] = '\0';
    gh_secret_wipe(random, sizeof random);
}
