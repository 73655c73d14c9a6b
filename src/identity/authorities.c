#include "identity/authorities.h"
#include <pthread.h>
#include <stdlib.h>

enum {
    FACTS_BYTES_MAX = 64 * 1024,
    LIST_BYTES_MAX = 4096,
    NAME_BYTES_MAX = 1024,
    LIST_LIFE_S = 86400,
    LIST_KEPT_S = 3600,
};

struct gh_authorities {
    struct gh_authorities_keeper keeper;
    void *context;
    pthread_mutex_t lock; /* guards what follows */
    struct gh_buffer block;
    struct gh_ca_facts facts; /* borrow from `block` */
    struct gh_buffer name;    /* of the intermediate CA */
    uint64_t generation;
    /* Guards what follows, and is held while the list is signed: who wants the list waits for the
     * one that is being made, and nobody else does. Taken before `lock`. */
    pthread_mutex_t list_lock;
    struct gh_buffer list;
    int64_t list_made_s;      /* 0: there is none */
    uint64_t list_generation; /* as it was when the list was asked for */
};

struct gh_authorities *gh_authorities_open(const struct gh_authorities_keeper *keeper,
                                           void *context, struct gh_error *error)
{
    struct gh_authorities *authorities = calloc(1, sizeof *authorities);
    if (authorities == NULL) {
        (void)gh_error_set(error, GH_ERROR_MEMORY, "no memory for the built-in CA");
        return NULL;
    }
    authorities->keeper = *keeper;
    authorities->context = context;
    pthread_mutex_init(&authorities->lock, NULL);
    pthread_mutex_init(&authorities->list_lock, NULL);
    gh_buffer_init(&authorities->block, FACTS_BYTES_MAX);
    gh_buffer_init(&authorities->list, LIST_BYTES_MAX);
    gh_buffer_init(&authorities->name, NAME_BYTES_MAX);
    if (gh_authorities_refresh(authorities, error) == GH_OK)
        return authorities;
    gh_authorities_close(authorities);
    return NULL;
}

void gh_authorities_close(struct gh_authorities *authorities)
{
    if (authorities == NULL)
        return;
    gh_buffer_deinit(&authorities->block);
    gh_buffer_deinit(&authorities->list);
    gh_buffer_deinit(&authorities->name);
    pthread_mutex_destroy(&authorities->list_lock);
    pthread_mutex_destroy(&authorities->lock);
    free(authorities);
}

/* Another intermediate CA than before. */
static void take_chain(struct gh_authorities *authorities, struct gh_slice chain)
{
    struct gh_slice pem;
    struct gh_certificate *certificate =
        gh_certificate_take(&chain, &pem) ? gh_certificate_open(pem, NULL) : NULL;
    gh_buffer_clear(&authorities->name);
    if (certificate != NULL && !gh_certificate_print_subject(certificate, &authorities->name))
        gh_buffer_clear(&authorities->name);
    gh_certificate_close(certificate);
    authorities->generation++;
}

bool gh_authorities_issued(struct gh_authorities *authorities,
                           const struct gh_certificate *certificate)
{
    uint8_t block[NAME_BYTES_MAX];
    struct gh_buffer issuer = gh_buffer_fixed(block, sizeof block);
    bool printed = gh_certificate_print_issuer(certificate, &issuer);
    pthread_mutex_lock(&authorities->lock);
    bool issued =
        printed && gh_slice_equal(gh_buffer_slice(&issuer), gh_buffer_slice(&authorities->name));
    pthread_mutex_unlock(&authorities->lock);
    return issued;
}

enum gh_error_code gh_authorities_refresh(struct gh_authorities *authorities,
                                          struct gh_error *error)
{
    struct gh_buffer block;
    struct gh_ca_facts facts = {0};
    gh_buffer_init(&block, FACTS_BYTES_MAX);
    enum gh_error_code code = authorities->keeper.show(authorities->context, &block, &facts, error);
    if (code != GH_OK) {
        gh_buffer_deinit(&block);
        return code;
    }
    pthread_mutex_lock(&authorities->lock);
    if (!gh_slice_equal(authorities->facts.chain_pem, facts.chain_pem))
        take_chain(authorities, facts.chain_pem);
    gh_buffer_deinit(&authorities->block);
    authorities->block = block;
    authorities->facts = facts;
    pthread_mutex_unlock(&authorities->lock);
    return GH_OK;
}

uint64_t gh_authorities_generation(struct gh_authorities *authorities)
{
    pthread_mutex_lock(&authorities->lock);
    uint64_t generation = authorities->generation;
    pthread_mutex_unlock(&authorities->lock);
    return generation;
}

enum gh_error_code gh_authorities_facts(struct gh_authorities *authorities, struct gh_arena *arena,
                                        struct gh_ca_facts *out, struct gh_error *error)
{
    pthread_mutex_lock(&authorities->lock);
    const struct gh_ca_facts *facts = &authorities->facts;
    out->root_online = facts->root_online;
    bool copied = gh_arena_copy(arena, facts->root_pem, &out->root_pem) &&
                  gh_arena_copy(arena, facts->chain_pem, &out->chain_pem) &&
                  gh_arena_copy(arena, facts->list_der, &out->list_der);
    pthread_mutex_unlock(&authorities->lock);
    return copied ? GH_OK : gh_error_set(error, GH_ERROR_MEMORY, "no memory for the CAs");
}

enum gh_error_code gh_authorities_request(struct gh_authorities *authorities,
                                          struct gh_arena *arena, struct gh_slice *out,
                                          struct gh_error *error)
{
    struct gh_buffer pem;
    gh_buffer_init(&pem, GH_CA_PEM_MAX);
    enum gh_error_code code = authorities->keeper.request(authorities->context, &pem, error);
    if (code == GH_OK && !gh_arena_copy(arena, gh_buffer_slice(&pem), out))
        code = gh_error_set(error, GH_ERROR_MEMORY, "no memory for the key");
    gh_buffer_deinit(&pem);
    return code;
}

enum gh_error_code gh_authorities_install(struct gh_authorities *authorities,
                                          const struct gh_ca_delivery *delivery,
                                          struct gh_error *error)
{
    enum gh_error_code code = authorities->keeper.install(authorities->context, delivery, error);
    return code == GH_OK ? gh_authorities_refresh(authorities, error) : code;
}

/* A list of another intermediate CA than the one of now is no use, nor is one from the future. */
static bool list_is_fresh(const struct gh_authorities *authorities, uint64_t generation,
                          int64_t now_s)
{
    int64_t age_s = now_s - authorities->list_made_s;
    return authorities->list_made_s != 0 && authorities->list_generation == generation &&
           age_s >= 0 && age_s < LIST_KEPT_S;
}

/* The number of a list is the second in which it was signed, so that it grows across restarts. */
static enum gh_error_code sign_list(struct gh_authorities *authorities, uint64_t generation,
                                    int64_t now_s, struct gh_error *error)
{
    struct gh_validity validity = {now_s, now_s + LIST_LIFE_S};
    gh_buffer_clear(&authorities->list);
    enum gh_error_code code =
        authorities->keeper.list(authorities->context, now_s, validity, &authorities->list, error);
    authorities->list_made_s = code == GH_OK ? now_s : 0;
    authorities->list_generation = generation;
    return code;
}

enum gh_error_code gh_authorities_list(struct gh_authorities *authorities, int64_t now_s,
                                       struct gh_arena *arena, struct gh_slice *out,
                                       struct gh_error *error)
{
    enum gh_error_code code = GH_OK;
    pthread_mutex_lock(&authorities->list_lock);
    uint64_t generation = gh_authorities_generation(authorities);
    if (!list_is_fresh(authorities, generation, now_s))
        code = sign_list(authorities, generation, now_s, error);
    if (code == GH_OK && !gh_arena_copy(arena, gh_buffer_slice(&authorities->list), out))
        code = gh_error_set(error, GH_ERROR_MEMORY, "no memory for the list");
    pthread_mutex_unlock(&authorities->list_lock);
    return code;
}
