/* The memory of a crowd, given back. Readers are opened as many reads come at once, each with its
 * own schema, prepared statements and pages, in thousands of small blocks between those of whatever
 * else came with the crowd: as long as they stand there, the pages of the heap around them cannot
 * go back to the system. What a crowd has written comes behind it, for a while, and fills the
 * writer's pages: so the quiet begins when there is little of either. */
#include "store/sqlite/sqlite_internal.h"
#include <malloc.h>
#include <stdlib.h>

enum {
    CROWD_MIN = 1000, /* reads and rows written: fewer are no crowd */
    FEW = 20,         /* with fewer between two calls it is quiet, */
    QUIET_CALLS = 2,  /* and so many of these in a row are the end of a crowd */
};

/* The lock of reading is held. */
static bool is_due(struct gh_store *store, uint64_t written)
{
    uint64_t work = store->reads + written, since = work - store->work_seen;
    store->work_seen = work;
    store->quiet_calls = since < FEW ? store->quiet_calls + 1 : 0;
    store->crowd += since < FEW ? 0 : since;
    if (store->quiet_calls < QUIET_CALLS || store->crowd < CROWD_MIN)
        return false;
    store->crowd = 0;
    return true;
}

/* Takes the reader out of the pool; the lock is held. */
static void forget(struct gh_store *store, const struct gh_link *link)
{
    size_t at = 0;
    while (store->readers[at] != link)
        at++;
    store->readers[at] = store->readers[--store->readers_count];
}

bool gh_store_rest(struct gh_store *store)
{
    struct gh_link *gone[GH_STORE_READERS_MAX];
    size_t count = 0;
    pthread_mutex_lock(&store->write_lock);
    uint64_t written = (uint64_t)sqlite3_total_changes64(store->writer.db);
    pthread_mutex_unlock(&store->write_lock);
    pthread_mutex_lock(&store->read_lock);
    bool due = is_due(store, written);
    while (due && store->idle_count > 0) {
        gone[count] = store->idle[--store->idle_count];
        forget(store, gone[count++]);
    }
    pthread_mutex_unlock(&store->read_lock);
    for (size_t i = 0; i < count; i++) {
        gh_link_close(gone[i]);
        free(gone[i]);
    }
    if (!due)
        return false;
    pthread_mutex_lock(&store->write_lock);
    if (store->group == NULL)
        (void)sqlite3_db_release_memory(store->writer.db);
    pthread_mutex_unlock(&store->write_lock);
    (void)malloc_trim(0);
    return true;
}
