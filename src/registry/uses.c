/* When credentials were last used, gathered in memory beside the times of activity (activity.c),
 * and written with them: however often a device signs in, it costs one row in a second. */
#include "registry/anchors.h"
#include "registry/directory_internal.h"
#include <stdlib.h>
#include <string.h>

enum { KEY_BYTES_MAX = 8 + 128, BATCH_MAX = 1024 };

struct use {
    int64_t at_ms, not_before_ms, not_after_ms;
    bool dirty; /* not known to be in the database */
};

/* The device's number and the credential's id. */
struct use_key {
    uint8_t bytes[KEY_BYTES_MAX];
    size_t size;
};

static struct gh_activity_shard *shard_of(struct gh_activity_table *table, uint64_t device)
{
    return &table->shards[device % GH_ACTIVITY_SHARDS];
}

static bool key_make(struct use_key *key, uint64_t device, struct gh_slice credential)
{
    if (credential.size == 0 || credential.size > KEY_BYTES_MAX - sizeof device)
        return false;
    memcpy(key->bytes, &device, sizeof device);
    memcpy(key->bytes + sizeof device, credential.data, credential.size);
    key->size = sizeof device + credential.size;
    return true;
}

void gh_uses_note(struct gh_activity_table *table, const struct gh_credential_use *noted)
{
    struct use_key key;
    if (!key_make(&key, noted->device, noted->credential))
        return;
    struct gh_slice name = gh_slice(key.bytes, key.size);
    struct gh_activity_shard *shard = shard_of(table, noted->device);
    pthread_mutex_lock(&shard->lock);
    struct use *use = gh_map_get(&shard->uses, name);
    if (use == NULL && (use = calloc(1, sizeof *use)) != NULL &&
        !gh_map_put(&shard->uses, name, use, NULL)) {
        free(use);
        use = NULL;
    }
    if (use != NULL && noted->at_ms > use->at_ms) {
        use->at_ms = noted->at_ms;
        use->not_before_ms = noted->not_before_ms;
        use->not_after_ms = noted->not_after_ms;
        use->dirty = true;
    }
    pthread_mutex_unlock(&shard->lock);
}

void gh_uses_lay_over(struct gh_activity_table *table, struct gh_device *device)
{
    struct gh_activity_shard *shard = shard_of(table, device->number);
    struct use_key key;
    pthread_mutex_lock(&shard->lock);
    for (size_t i = 0; shard->uses.count > 0 && i < device->credentials_count; i++) {
        struct gh_credential *credential = &device->credentials[i];
        const struct use *use = key_make(&key, device->number, credential->id)
                                    ? gh_map_get(&shard->uses, gh_slice(key.bytes, key.size))
                                    : NULL;
        if (use != NULL && use->at_ms > credential->last_used_ms)
            credential->last_used_ms = use->at_ms;
    }
    pthread_mutex_unlock(&shard->lock);
}

/* --- flushing --- */

/* As in activity.c: of as many as wait. */
struct batch {
    size_t count, capacity;
    struct use_key *keys; /* behind the rows */
    struct gh_credential_use rows[];
};

/* NULL without memory. */
static struct batch *batch_open(size_t capacity)
{
    struct batch *batch;
    batch = malloc(sizeof *batch + capacity * (sizeof batch->rows[0] + sizeof *batch->keys));
    if (batch == NULL)
        return NULL;
    batch->count = 0;
    batch->capacity = capacity;
    batch->keys = (struct use_key *)(void *)&batch->rows[capacity];
    return batch;
}

/* The row of a use, whose texts borrow from its key. */
static void fill_row(struct gh_credential_use *row, const struct use *use,
                     const struct use_key *key)
{
    *row = (struct gh_credential_use){.at_ms = use->at_ms,
                                      .not_before_ms = use->not_before_ms,
                                      .not_after_ms = use->not_after_ms};
    memcpy(&row->device, key->bytes, sizeof row->device);
    row->credential =
        gh_slice_sub(gh_slice(key->bytes, key->size), sizeof row->device, KEY_BYTES_MAX);
    (void)gh_anchor_credential_split(row->credential, &row->anchor, &row->serial);
}

static void gather(struct gh_activity_table *table, struct batch *batch)
{
    batch->count = 0;
    for (size_t i = 0; i < GH_ACTIVITY_SHARDS && batch->count < batch->capacity; i++) {
        struct gh_activity_shard *shard = &table->shards[i];
        struct gh_slice name;
        size_t at = 0;
        void *value;
        pthread_mutex_lock(&shard->lock);
        while (batch->count < batch->capacity && gh_map_next(&shard->uses, &at, &name, &value)) {
            struct use *use = value;
            struct use_key *key = &batch->keys[batch->count];
            if (!use->dirty)
                continue;
            use->dirty = false;
            memcpy(key->bytes, name.data, name.size);
            key->size = name.size;
            fill_row(&batch->rows[batch->count++], use, key);
        }
        pthread_mutex_unlock(&shard->lock);
    }
}

/* As in activity.c: what was written and has not changed since goes, after a failure all of it is
 * dirty again. */
static void settle(struct gh_activity_table *table, const struct batch *batch, bool committed)
{
    pthread_rwlock_wrlock(&table->removal);
    for (size_t i = 0; i < batch->count; i++) {
        struct gh_activity_shard *shard = shard_of(table, batch->rows[i].device);
        struct gh_slice name = gh_slice(batch->keys[i].bytes, batch->keys[i].size);
        pthread_mutex_lock(&shard->lock);
        struct use *use = gh_map_get(&shard->uses, name);
        if (use != NULL && !committed) {
            use->dirty = true;
        } else if (use != NULL && !use->dirty) {
            gh_map_remove(&shard->uses, name);
            free(use);
        }
        pthread_mutex_unlock(&shard->lock);
    }
    pthread_rwlock_unlock(&table->removal);
}

enum gh_error_code gh_uses_flush(struct gh_activity_table *table, size_t waiting,
                                 struct gh_error *error)
{
    enum gh_error_code code = GH_OK;
    struct batch *batch = batch_open(waiting < BATCH_MAX ? waiting : BATCH_MAX);
    if (batch == NULL)
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory to write uses of credentials");
    for (size_t written = 0; code == GH_OK && written < waiting; written += batch->count) {
        gather(table, batch);
        if (batch->count == 0)
            break;
        code = gh_store_credential_uses_put(table->store, batch->rows, batch->count, error);
        settle(table, batch, code == GH_OK);
    }
    free(batch);
    return code;
}

void gh_uses_deinit(struct gh_activity_shard *shard)
{
    struct gh_slice name;
    size_t at = 0;
    void *value;
    while (gh_map_next(&shard->uses, &at, &name, &value))
        free(value);
    gh_map_deinit(&shard->uses);
}
