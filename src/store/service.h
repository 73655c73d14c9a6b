/* The store's half of service accounts: programs with an e-mail address for a name and keys of
 * which only the public halves are here. Called by identity/service_account.h alone, which owns the
 * rules. The promises of store/store.h hold. */
#ifndef GH_STORE_SERVICE_H
#define GH_STORE_SERVICE_H

#include "store/store.h"

struct gh_service_account {
    int64_t number; /* from 1, never reused */
    int64_t tenant;
    struct gh_slice tenant_name; /* read only */
    bool tenant_disabled;        /* the same */
    struct gh_slice email;       /* its name, unique in the house */
    struct gh_slice title;
    bool disabled;
    int64_t created_at_ms;
};

struct gh_service_key {
    int64_t number;  /* from 1, never reused */
    int64_t account; /* its number */
    struct gh_slice id;
    struct gh_slice public_key; /* PEM */
    bool disabled;
    int64_t created_at_ms;
    int64_t expires_at_ms;   /* 0: never */
    int64_t last_used_at_ms; /* 0: never; written from time to time */
};

/* Fills `number`. EXISTS when the address is taken, NOT_FOUND without the tenant, LIMIT for one
 * more than `accounts_max` of a tenant. */
GH_MUST_USE enum gh_error_code gh_store_service_create(struct gh_store *store,
                                                       struct gh_service_account *row,
                                                       size_t accounts_max, struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_service_find(struct gh_store *store, struct gh_slice email,
                                                     struct gh_arena *arena,
                                                     struct gh_service_account *out,
                                                     struct gh_error *error);
/* Of one tenant, by address. */
GH_MUST_USE enum gh_error_code gh_store_service_list(struct gh_store *store, int64_t tenant,
                                                     struct gh_arena *arena,
                                                     struct gh_service_account **out, size_t *count,
                                                     struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_service_disable(struct gh_store *store, int64_t number,
                                                        bool disabled, struct gh_error *error);
/* With its keys, and the tokens that were given for them. */
GH_MUST_USE enum gh_error_code gh_store_service_delete(struct gh_store *store, int64_t number,
                                                       struct gh_error *error);

/* Fills `number`. EXISTS when the account has that id, NOT_FOUND without the account, LIMIT for one
 * more than `keys_max`. */
GH_MUST_USE enum gh_error_code gh_store_service_key_add(struct gh_store *store,
                                                        struct gh_service_key *row, size_t keys_max,
                                                        struct gh_error *error);
/* In the order in which they came. */
GH_MUST_USE enum gh_error_code gh_store_service_key_list(struct gh_store *store, int64_t account,
                                                         struct gh_arena *arena,
                                                         struct gh_service_key **out, size_t *count,
                                                         struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_service_key_disable(struct gh_store *store, int64_t number,
                                                            bool disabled, struct gh_error *error);
/* With the tokens that were given for it. */
GH_MUST_USE enum gh_error_code gh_store_service_key_delete(struct gh_store *store, int64_t number,
                                                           struct gh_error *error);
/* Raises the time of last use; GH_OK also when the key is gone. */
GH_MUST_USE enum gh_error_code gh_store_service_key_used(struct gh_store *store, int64_t number,
                                                         int64_t at_ms, struct gh_error *error);
#endif
