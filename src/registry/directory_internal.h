/* What the files of the directory share. */
#ifndef GH_REGISTRY_DIRECTORY_INTERNAL_H
#define GH_REGISTRY_DIRECTORY_INTERNAL_H

#include "base/map.h"
#include "registry/directory.h"
#include "registry/recent.h"
#include "store/registry.h"
#include <pthread.h>
#include <stdatomic.h>

enum {
    GH_ACTIVITY_SHARDS = 16,
    GH_ACTIVITY_MESSAGE_MAX = 255,
};

/* The times noted and not yet known to be in the database. */
struct gh_activity_table {
    struct gh_store *store;
    struct gh_recent *recent; /* told when it may rest */
    struct gh_activity_shard {
        pthread_mutex_t lock;
        struct gh_map entries; /* device number (8 bytes) to struct entry */
        struct gh_map uses;    /* of credentials: uses.c */
    } shards[GH_ACTIVITY_SHARDS];
    /* Held for reading while a device is read from the store and the times are laid over it; for
     * writing while entries that were flushed are removed. So a reader never misses a time between
     * the two. */
    pthread_rwlock_t removal;
    pthread_mutex_t flushing; /* one flush at a time */
    pthread_t thread;
    pthread_mutex_t wake_lock; /* guards `stopping` */
    pthread_cond_t wake;
    bool stopping;
};

GH_MUST_USE bool gh_activity_open(struct gh_activity_table *table, struct gh_store *store,
                                  struct gh_recent *recent, struct gh_error *error);
/* Flushes. */
void gh_activity_close(struct gh_activity_table *table);
void gh_activity_note(struct gh_activity_table *table, uint64_t device, enum gh_activity what,
                      int64_t utc_ms, int code, struct gh_slice message);
GH_MUST_USE enum gh_error_code gh_activity_flush(struct gh_activity_table *table,
                                                 struct gh_error *error);
/* Around reading devices: begin, read, lay over each, end. False when the arena is at its ceiling.
 */
void gh_activity_read_begin(struct gh_activity_table *table);
GH_MUST_USE bool gh_activity_lay_over(struct gh_activity_table *table, struct gh_arena *arena,
                                      struct gh_device *device);
void gh_activity_read_end(struct gh_activity_table *table);

/* The mark of a secret of that tenant's device (marks.c); false without memory. Without a password
 * key there are no marks. */
GH_MUST_USE bool gh_mark_secret(const struct gh_directory *directory, int64_t tenant,
                                struct gh_credential *credential, struct gh_slice secret,
                                struct gh_arena *arena);

/* Uses of credentials (uses.c), beside the times. */
void gh_uses_note(struct gh_activity_table *table, const struct gh_credential_use *use);
void gh_uses_lay_over(struct gh_activity_table *table, struct gh_device *device);
/* About as many as `waiting` says: those that come meanwhile may wait for the next flush. */
GH_MUST_USE enum gh_error_code gh_uses_flush(struct gh_activity_table *table, size_t waiting,
                                             struct gh_error *error);
void gh_uses_deinit(struct gh_activity_shard *shard);

struct gh_directory {
    struct gh_store *store;
    struct gh_directory_watch watch;
    void *watch_context;
    struct gh_device_passwords *passwords; /* NULL: password credentials are refused */
    struct gh_sealing *sealing;            /* NULL: symmetric keys are refused */
    struct gh_recent *recent;
    struct gh_activity_table activity;
};

void gh_directory_tell_device(struct gh_directory *directory, uint64_t device,
                              enum gh_device_change what);
void gh_directory_tell_registry(struct gh_directory *directory, int64_t registry);
void gh_directory_tell_policies(struct gh_directory *directory, int64_t tenant, int64_t registry,
                                uint64_t device);

/* A fresh etag in the arena; none for an empty policy. INVALID for what is no policy by its size or
 * encoding. */
GH_MUST_USE enum gh_error_code gh_directory_etag_make(struct gh_slice policy,
                                                      struct gh_arena *arena, struct gh_slice *etag,
                                                      struct gh_error *error);

/* Checks format, PEM and signature of each credential and fills fingerprint, id and created_at_ms
 * (in the arena); those of `before` (may be NULL) whose PEM stays keep id and creation time. A
 * password's secret becomes the text that is stored. */
GH_MUST_USE enum gh_error_code gh_credentials_check(const struct gh_directory *directory,
                                                    struct gh_credential *credentials, size_t count,
                                                    const struct gh_registry *registry,
                                                    const struct gh_device *before, int64_t now_ms,
                                                    struct gh_arena *arena, struct gh_error *error);
/* The keys of the device's new symmetric credentials, whose ids and numbers are known now, become
 * what is stored; `secret` stays for the answer. */
GH_MUST_USE enum gh_error_code gh_credentials_seal(const struct gh_directory *directory,
                                                   struct gh_device *device, struct gh_arena *arena,
                                                   struct gh_error *error);
/* Certificates that may sign those of devices. */
GH_MUST_USE enum gh_error_code gh_certificates_check(const struct gh_slice *certificates,
                                                     size_t count, int64_t now_ms,
                                                     struct gh_error *error);

/* Page tokens: a position in a list, and a mark of the query that made it. */
struct gh_page {
    uint32_t query;
    int64_t number;
    struct gh_slice name;
};
GH_MUST_USE bool gh_page_print(const struct gh_page *page, struct gh_arena *arena,
                               struct gh_slice *out);
/* An empty token is the beginning. INVALID for what is no token or another query's. */
GH_MUST_USE enum gh_error_code gh_page_parse(struct gh_slice token, uint32_t query,
                                             struct gh_arena *arena, struct gh_page *out,
                                             struct gh_error *error);
#endif
