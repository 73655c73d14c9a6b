/* Statements that devices share: what was compiled of the same documents stands here once. */
#include "base/map.h"
#include "policy/statement_internal.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { DIGEST_BYTES_MAX = GH_STATEMENT_DOCUMENTS_MAX * 2 * GH_STATEMENT_DOCUMENT_BYTES_MAX };

/* The rules that were asked for last stand there also while no device has them: a fleet whose
 * devices come and go, each alone, would have them compiled each time. */
struct gh_statements_shelf {
    pthread_mutex_t lock;
    struct gh_map rules;   /* by digest; each has one reference for each device */
    struct gh_rules *kept; /* one more reference; NULL: nothing was asked for yet */
};

struct gh_statements_shelf *gh_statements_shelf_open(void)
{
    struct gh_statements_shelf *shelf = calloc(1, sizeof *shelf);
    if (shelf == NULL)
        return NULL;
    pthread_mutex_init(&shelf->lock, NULL);
    gh_map_init(&shelf->rules);
    return shelf;
}

void gh_statements_shelf_close(struct gh_statements_shelf *shelf)
{
    if (shelf == NULL)
        return;
    if (shelf->kept != NULL)
        gh_shelf_unref(shelf->kept);
    assert(shelf->rules.count == 0);
    gh_map_deinit(&shelf->rules);
    pthread_mutex_destroy(&shelf->lock);
    free(shelf);
}

size_t gh_statements_shelf_count(struct gh_statements_shelf *shelf)
{
    pthread_mutex_lock(&shelf->lock);
    size_t count = shelf->rules.count;
    pthread_mutex_unlock(&shelf->lock);
    return count;
}

static struct gh_slice key_of(const struct gh_rules *rules)
{
    return gh_slice(rules->digest, sizeof rules->digest);
}

/* Lengths stand before what they are of, so that no two lists of documents are the same bytes. */
static bool digest_of(const struct gh_statement_document *documents, size_t count,
                      uint8_t out[GH_SHA256_BYTES])
{
    struct gh_buffer bytes;
    bool fits = true;
    gh_buffer_init(&bytes, DIGEST_BYTES_MAX);
    for (size_t i = 0; fits && i < count; i++)
        fits = gh_buffer_put32(&bytes, documents[i].name) &&
               gh_buffer_put32(&bytes, documents[i].json);
    if (fits)
        gh_sha256(gh_buffer_slice(&bytes), out);
    gh_buffer_deinit(&bytes);
    return fits;
}

/* With a reference; NULL: they do not stand there. */
static struct gh_rules *find(struct gh_statements_shelf *shelf, struct gh_slice digest)
{
    pthread_mutex_lock(&shelf->lock);
    struct gh_rules *rules = gh_map_get(&shelf->rules, digest);
    if (rules != NULL)
        atomic_fetch_add(&rules->refs, 1);
    pthread_mutex_unlock(&shelf->lock);
    return rules;
}

/* Of rules that the caller has a reference to. */
static void keep(struct gh_statements_shelf *shelf, struct gh_rules *rules)
{
    pthread_mutex_lock(&shelf->lock);
    struct gh_rules *before = shelf->kept;
    if (before != rules) {
        atomic_fetch_add(&rules->refs, 1);
        shelf->kept = rules;
    }
    pthread_mutex_unlock(&shelf->lock);
    if (before != rules && before != NULL)
        gh_shelf_unref(before);
}

/* Takes the rules; returns those that stand there now, with a reference, or NULL without memory. */
static struct gh_rules *put(struct gh_statements_shelf *shelf, struct gh_rules *made)
{
    pthread_mutex_lock(&shelf->lock);
    struct gh_rules *rules = gh_map_get(&shelf->rules, key_of(made));
    if (rules != NULL) { /* another worker was faster */
        atomic_fetch_add(&rules->refs, 1);
    } else if (gh_map_put(&shelf->rules, key_of(made), made, NULL)) {
        made->shelf = shelf;
        rules = made;
    }
    pthread_mutex_unlock(&shelf->lock);
    if (rules != made)
        gh_rules_free(made);
    return rules;
}

void gh_shelf_unref(struct gh_rules *rules)
{
    struct gh_statements_shelf *shelf = rules->shelf;
    pthread_mutex_lock(&shelf->lock);
    bool last = atomic_fetch_sub(&rules->refs, 1) == 1;
    if (last)
        gh_map_remove(&shelf->rules, key_of(rules));
    pthread_mutex_unlock(&shelf->lock);
    if (last)
        gh_rules_free(rules);
}

/* The rules of the documents, from the shelf or put there now, with a reference. NULL: they cannot
 * be shared, are not sound, or there is no memory. */
static struct gh_rules *take(struct gh_statements_shelf *shelf,
                             const struct gh_statement_document *documents, size_t count)
{
    uint8_t digest[GH_SHA256_BYTES];
    if (count > GH_STATEMENT_DOCUMENTS_MAX || !digest_of(documents, count, digest))
        return NULL;
    struct gh_rules *rules = find(shelf, gh_slice(digest, sizeof digest));
    if (rules != NULL)
        return rules;
    rules = gh_rules_compile(documents, count, NULL, NULL);
    if (rules == NULL || rules->variables.unfit) {
        if (rules != NULL)
            gh_rules_free(rules);
        return NULL;
    }
    memcpy(rules->digest, digest, sizeof digest);
    return put(shelf, rules);
}

struct gh_statements *gh_statements_share(struct gh_statements_shelf *shelf,
                                          const struct gh_statement_document *documents,
                                          size_t count,
                                          const struct gh_statement_variables *variables,
                                          struct gh_error *error)
{
    bool resolved;
    struct gh_rules *rules = variables->deny_unresolved ? NULL : take(shelf, documents, count);
    struct gh_statements *statements =
        rules == NULL ? NULL : gh_statements_of(rules, variables, &resolved);
    if (statements != NULL) {
        keep(shelf, rules);
        return statements;
    }
    if (rules != NULL)
        gh_shelf_unref(rules);
    /* Alone; and if there is no memory or a document is not sound, that says so. */
    return gh_statements_compile(documents, count, variables, error);
}
