#include "policy/statement.h"
#include "base/buffer.h"
#include "policy/statement_internal.h"
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES_MAX = 8 << 20, ALLOWS = 0, DENIES = 1, EFFECTS = 2, PAIRS_PAY = 4 };

/* A growing array of one type; what does not fit memory is remembered. */
struct list {
    void *items;
    uint32_t count, capacity;
};

/* Where a statement comes from, for reasons. */
struct origin {
    uint32_t name_at, name_size, sid_at, sid_size;
    uint32_t number;
};

/* Each connection may have one of its own, so a compiled one is a single block of just its size:
 * what its lists hold and the text stand behind it. */
struct gh_statements {
    atomic_uint refs;
    bool personal;
    struct gh_slice text; /* of patterns, names and sids */
    struct list chunks, members, origins, unresolved;
    struct list patterns[GH_DEVICE_ACTION_COUNT][EFFECTS]; /* struct gh_pattern */
    struct gh_pattern_index (*index)[EFFECTS];             /* by action; NULL: no list is long */
};

/* --- compiling --- */

struct compiler {
    struct gh_statements *out; /* until it is packed each list is a block */
    struct gh_buffer text;
    const struct gh_statement_variables *values;
    struct gh_resource *resource; /* one at a time; too large for a worker's stack */
    bool memory_failed;
};

/* One more zeroed item; NULL without memory. */
static void *list_add(struct compiler *c, struct list *list, size_t item_size)
{
    if (list->count == list->capacity) {
        uint32_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        void *items = realloc(list->items, capacity * item_size);
        if (items == NULL) {
            c->memory_failed = true;
            return NULL;
        }
        list->items = items;
        list->capacity = capacity;
    }
    void *item = (uint8_t *)list->items + list->count++ * item_size;
    memset(item, 0, item_size);
    return item;
}

static uint32_t text_add(struct compiler *c, struct gh_slice text)
{
    size_t at = c->text.size;
    c->memory_failed |= !gh_buffer_put(&c->text, text);
    return (uint32_t)at;
}

/* The chunk of tokens from `from` up to the next run or the end; returns where that is. */
static size_t chunk_add(struct compiler *c, const struct gh_resource *resource, size_t from)
{
    struct gh_chunk *chunk = list_add(c, &c->out->chunks, sizeof *chunk);
    size_t at = from;
    if (chunk == NULL)
        return resource->count;
    chunk->at = (uint32_t)c->text.size;
    for (; at < resource->count && resource->tokens[at] != GH_TOKEN_RUN; at++) {
        bool is_one = resource->tokens[at] == GH_TOKEN_ONE;
        chunk->has_one |= is_one;
        c->memory_failed |= !gh_buffer_u8(&c->text, is_one ? 0 : (uint8_t)resource->tokens[at]);
    }
    chunk->size = (uint32_t)(at - from);
    return at;
}

/* The literal ends of the tokens from `start` on, and the pairs between. */
static void ends_read(const struct gh_resource *resource, size_t start, struct gh_pattern *out)
{
    enum { WORD = sizeof out->head };
    const uint16_t *tokens = resource->tokens;
    uint8_t head[WORD] = {0}, head_mask[WORD] = {0}, tail[WORD] = {0}, tail_mask[WORD] = {0};

    for (size_t i = 0; i < WORD && start + i < resource->count; i++) {
        if (tokens[start + i] >= GH_TOKEN_RUN)
            break;
        head[i] = (uint8_t)tokens[start + i];
        head_mask[i] = 0xff;
    }
    for (size_t i = 1; i <= WORD && start + i <= resource->count; i++) {
        if (tokens[resource->count - i] >= GH_TOKEN_RUN)
            break;
        tail[WORD - i] = (uint8_t)tokens[resource->count - i];
        tail_mask[WORD - i] = 0xff;
    }
    memcpy(&out->head, head, WORD);
    memcpy(&out->head_mask, head_mask, WORD);
    memcpy(&out->tail, tail, WORD);
    memcpy(&out->tail_mask, tail_mask, WORD);
    for (size_t i = start + 1; i < resource->count; i++)
        if (tokens[i - 1] < GH_TOKEN_RUN && tokens[i] < GH_TOKEN_RUN)
            out->pairs |= gh_probe_pair((uint8_t)tokens[i - 1], (uint8_t)tokens[i]);
}

static enum gh_pattern_form form_of(const struct gh_chunk *chunks, size_t count)
{
    bool plain = !chunks[0].has_one, open = count == 2 && chunks[1].size == 0;
    if (open && chunks[0].size == 0)
        return GH_PATTERN_ANY;
    if (open && plain)
        return GH_PATTERN_PREFIX;
    return count == 1 && plain ? GH_PATTERN_EXACT : GH_PATTERN_GLOB;
}

/* The tokens from `start` on as a pattern. */
static struct gh_pattern pattern_make(struct compiler *c, const struct gh_resource *resource,
                                      size_t start)
{
    struct gh_pattern pattern = {.first = (uint32_t)c->out->chunks.count, .count = 1};

    ends_read(resource, start, &pattern);
    size_t at = chunk_add(c, resource, start);
    for (; at < resource->count && !c->memory_failed; pattern.count++)
        at = chunk_add(c, resource, at + 1);
    if (!c->memory_failed)
        pattern.form = (uint8_t)form_of(
            (const struct gh_chunk *)c->out->chunks.items + pattern.first, pattern.count);
    return pattern;
}

static void pattern_add(struct compiler *c, const struct gh_statement *statement, unsigned kind,
                        struct gh_pattern pattern)
{
    pattern.statement = (uint32_t)(c->out->origins.count - 1);
    for (size_t a = 0; a < GH_DEVICE_ACTION_COUNT; a++) {
        if (gh_resource_kind_of((enum gh_device_action)a) != kind ||
            !(statement->actions & (1u << a)))
            continue;
        struct gh_pattern *to =
            list_add(c, &c->out->patterns[a][statement->denies ? DENIES : ALLOWS], sizeof *to);
        if (to != NULL)
            *to = pattern;
    }
}

static void unresolved_add(struct compiler *c, const struct gh_statement *statement)
{
    for (size_t i = 0; i < c->resource->unresolved_count && i < GH_RESOURCE_UNRESOLVED_MAX; i++) {
        struct gh_statement_unresolved *row = list_add(c, &c->out->unresolved, sizeof *row);
        if (row == NULL)
            return;
        /* Offsets until the text stands still; gh_statements_finish makes slices of them. */
        row->variable = (struct gh_slice){NULL, c->resource->unresolved[i].size};
        row->statement = text_add(c, c->resource->unresolved[i]);
        row->denies = statement->denies;
        row->document.size = c->out->origins.count - 1;
    }
}

/* Reads the resource `index`. `*usable`: it takes part; without a value for a variable only a Deny
 * does that is told so. */
static enum gh_error_code resource_take(struct compiler *c, const struct gh_document *document,
                                        const struct gh_statement *statement, size_t index,
                                        bool *usable, struct gh_error *error)
{
    struct gh_error why = {0};
    enum gh_error_code code = gh_resource_read(gh_statement_resource(statement, index),
                                               document->variables, c->values, c->resource, &why);
    if (code != GH_OK)
        return gh_error_set(error, code, "statement %zu: resource %zu: %.400s", statement->number,
                            index + 1, why.text);
    c->out->personal |= c->resource->personal;
    *usable = c->resource->unresolved_count == 0 ||
              (statement->denies && !statement->not_resource && c->values->deny_unresolved);
    if (c->resource->unresolved_count > 0)
        unresolved_add(c, statement);
    return GH_OK;
}

static enum gh_error_code resources_compile(struct compiler *c, const struct gh_document *document,
                                            const struct gh_statement *statement,
                                            struct gh_error *error)
{
    enum gh_error_code code = GH_OK;
    for (size_t i = 0; code == GH_OK && i < gh_statement_resources(statement); i++) {
        bool usable = false;
        code = resource_take(c, document, statement, i, &usable, error);
        for (unsigned kind = 0; code == GH_OK && usable && kind < GH_RESOURCE_KIND_COUNT; kind++)
            for (size_t s = 0; s < c->resource->starts[kind].count; s++)
                pattern_add(c, statement, kind,
                            pattern_make(c, c->resource, c->resource->starts[kind].at[s]));
    }
    return code;
}

/* NotResource: for each kind one pattern that matches where none of the listed ones does. */
static enum gh_error_code not_resources_compile(struct compiler *c,
                                                const struct gh_document *document,
                                                const struct gh_statement *statement,
                                                struct gh_error *error)
{
    enum gh_error_code code = GH_OK;
    bool all_usable = true;
    for (unsigned kind = 0; code == GH_OK && kind < GH_RESOURCE_KIND_COUNT; kind++) {
        struct gh_pattern none_of = {.form = GH_PATTERN_NONE_OF,
                                     .first = (uint32_t)c->out->members.count};
        for (size_t i = 0; code == GH_OK && i < gh_statement_resources(statement); i++) {
            bool usable = false;
            uint32_t noted = c->out->unresolved.count;
            code = resource_take(c, document, statement, i, &usable, error);
            all_usable &= usable;
            if (kind > 0)
                c->out->unresolved.count = noted; /* noted once, not for each kind */
            for (size_t s = 0; code == GH_OK && usable && s < c->resource->starts[kind].count;
                 s++) {
                struct gh_pattern *member = list_add(c, &c->out->members, sizeof *member);
                if (member != NULL)
                    *member = pattern_make(c, c->resource, c->resource->starts[kind].at[s]);
            }
        }
        none_of.count = (uint32_t)c->out->members.count - none_of.first;
        if (statement->denies || all_usable)
            pattern_add(c, statement, kind, none_of);
    }
    return code;
}

static enum gh_error_code document_compile(struct compiler *c,
                                           const struct gh_statement_document *from,
                                           struct gh_error *error)
{
    struct gh_document document;
    struct gh_error why = {0};
    uint32_t name_at = text_add(c, from->name);
    enum gh_error_code code = gh_document_open(from->json, &document, &why);

    for (size_t i = 0; code == GH_OK && i < document.count; i++) {
        struct gh_statement statement;
        code = gh_document_statement(&document, i, &statement, &why);
        if (code != GH_OK)
            break;
        struct origin *origin = list_add(c, &c->out->origins, sizeof *origin);
        if (origin == NULL)
            break;
        *origin = (struct origin){.name_at = name_at,
                                  .name_size = (uint32_t)from->name.size,
                                  .sid_at = text_add(c, statement.sid),
                                  .sid_size = (uint32_t)statement.sid.size,
                                  .number = (uint32_t)statement.number};
        code = statement.not_resource ? not_resources_compile(c, &document, &statement, &why)
                                      : resources_compile(c, &document, &statement, &why);
    }
    gh_document_close(&document);
    if (code == GH_OK && c->memory_failed)
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory for the policies");
    return code == GH_OK
               ? GH_OK
               : gh_error_set(error, code, "policy %.*s: %.300s", GH_PRINT(from->name), why.text);
}

static struct gh_slice text_at(const struct gh_statements *statements, uint32_t at, uint32_t size)
{
    return gh_slice_sub(statements->text, at, size);
}

static struct gh_pattern_pool pool_of(const struct gh_statements *statements)
{
    return (struct gh_pattern_pool){.text = statements->text.data,
                                    .chunks = statements->chunks.items,
                                    .members = statements->members.items};
}

static bool index_make(struct gh_statements *statements)
{
    const struct gh_pattern_pool pool = pool_of(statements);
    uint32_t longest = 0;
    for (size_t a = 0; a < GH_DEVICE_ACTION_COUNT; a++)
        for (size_t e = 0; e < EFFECTS; e++)
            if (statements->patterns[a][e].count > longest)
                longest = statements->patterns[a][e].count;
    if (longest < GH_INDEX_PATTERNS_MIN)
        return true;
    statements->index = calloc(GH_DEVICE_ACTION_COUNT, sizeof *statements->index);
    if (statements->index == NULL)
        return false;
    for (size_t a = 0; a < GH_DEVICE_ACTION_COUNT; a++)
        for (size_t e = 0; e < EFFECTS; e++)
            if (!gh_pattern_index_make(&pool, statements->patterns[a][e].items,
                                       statements->patterns[a][e].count, &statements->index[a][e]))
                return false;
    return true;
}

/* Moves what the list holds to `*to`. */
static void list_pack(struct list *list, size_t item_size, uint8_t **to)
{
    size_t bytes = list->count * item_size;
    if (bytes > 0)
        memcpy(*to, list->items, bytes);
    free(list->items);
    list->items = *to;
    list->capacity = list->count;
    *to += bytes;
}

/* Takes the draft; NULL without memory, and the draft is left. In the order of alignment. */
static struct gh_statements *pack(struct compiler *c)
{
    struct gh_statements *draft = c->out;
    struct list *patterns = &draft->patterns[0][0];
    size_t bytes = draft->members.count * sizeof(struct gh_pattern) +
                   draft->unresolved.count * sizeof(struct gh_statement_unresolved) +
                   draft->chunks.count * sizeof(struct gh_chunk) +
                   draft->origins.count * sizeof(struct origin) + c->text.size;
    for (size_t i = 0; i < (size_t)GH_DEVICE_ACTION_COUNT * EFFECTS; i++)
        bytes += patterns[i].count * sizeof(struct gh_pattern);
    struct gh_statements *packed = malloc(sizeof *packed + bytes);
    if (packed == NULL)
        return NULL;
    memcpy(packed, draft, sizeof *packed);
    free(draft);
    uint8_t *to = (uint8_t *)(packed + 1);
    patterns = &packed->patterns[0][0];
    for (size_t i = 0; i < (size_t)GH_DEVICE_ACTION_COUNT * EFFECTS; i++)
        list_pack(&patterns[i], sizeof(struct gh_pattern), &to);
    list_pack(&packed->members, sizeof(struct gh_pattern), &to);
    list_pack(&packed->unresolved, sizeof(struct gh_statement_unresolved), &to);
    list_pack(&packed->chunks, sizeof(struct gh_chunk), &to);
    list_pack(&packed->origins, sizeof(struct origin), &to);
    if (c->text.size > 0)
        memcpy(to, c->text.data, c->text.size);
    packed->text = gh_slice(to, c->text.size);
    return packed;
}

static void draft_free(struct gh_statements *draft)
{
    if (draft == NULL)
        return;
    for (size_t a = 0; a < GH_DEVICE_ACTION_COUNT; a++)
        for (size_t e = 0; e < EFFECTS; e++)
            free(draft->patterns[a][e].items);
    free(draft->chunks.items);
    free(draft->members.items);
    free(draft->origins.items);
    free(draft->unresolved.items);
    free(draft);
}

/* Names in place of offsets, now that the text stays where it is. */
static void finish(struct gh_statements *statements)
{
    struct gh_statement_unresolved *rows = statements->unresolved.items;
    const struct origin *origins = statements->origins.items;
    for (size_t i = 0; i < statements->unresolved.count; i++) {
        const struct origin *origin = &origins[rows[i].document.size];
        rows[i].variable =
            text_at(statements, (uint32_t)rows[i].statement, (uint32_t)rows[i].variable.size);
        rows[i].document = text_at(statements, origin->name_at, origin->name_size);
        rows[i].statement = origin->number;
    }
}

struct gh_statements *gh_statements_compile(const struct gh_statement_document *documents,
                                            size_t count,
                                            const struct gh_statement_variables *variables,
                                            struct gh_error *error)
{
    struct compiler c = {.out = calloc(1, sizeof *c.out),
                         .values = variables,
                         .resource = malloc(sizeof *c.resource)};
    enum gh_error_code code = GH_OK;

    assert(variables != NULL);
    if (c.out == NULL || c.resource == NULL)
        code = gh_error_set(error, GH_ERROR_MEMORY, "no memory for the policies");
    else if (count > GH_STATEMENT_DOCUMENTS_MAX)
        code = gh_error_set(error, GH_ERROR_LIMIT, "more than %d policies concern one device",
                            GH_STATEMENT_DOCUMENTS_MAX);
    gh_buffer_init(&c.text, TEXT_BYTES_MAX);
    for (size_t i = 0; code == GH_OK && i < count; i++)
        code = document_compile(&c, &documents[i], error);
    free(c.resource);
    struct gh_statements *packed = code == GH_OK ? pack(&c) : NULL;
    gh_buffer_deinit(&c.text);
    if (packed == NULL) {
        draft_free(c.out);
        if (code == GH_OK)
            (void)gh_error_set(error, GH_ERROR_MEMORY, "no memory for the policies");
        return NULL;
    }
    atomic_init(&packed->refs, 1);
    if (!index_make(packed)) {
        gh_statements_unref(packed);
        (void)gh_error_set(error, GH_ERROR_MEMORY, "no memory for the policies");
        return NULL;
    }
    finish(packed);
    return packed;
}

struct gh_statements *gh_statements_ref(struct gh_statements *statements)
{
    unsigned before = atomic_fetch_add_explicit(&statements->refs, 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
    return statements;
}

void gh_statements_unref(struct gh_statements *statements)
{
    if (statements == NULL ||
        atomic_fetch_sub_explicit(&statements->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t a = 0; statements->index != NULL && a < GH_DEVICE_ACTION_COUNT; a++)
        for (size_t e = 0; e < EFFECTS; e++)
            gh_pattern_index_free(&statements->index[a][e]);
    free(statements->index);
    free(statements);
}

bool gh_statements_personal(const struct gh_statements *statements)
{
    return statements->personal;
}

const struct gh_statement_unresolved *
gh_statements_unresolved(const struct gh_statements *statements, size_t *count)
{
    *count = statements->unresolved.count;
    return statements->unresolved.items;
}

/* --- deciding --- */

const char *gh_policy_outcome_name(enum gh_policy_outcome outcome)
{
    static const char *const names[] = {
        [GH_POLICY_NO_MATCH] = "no match", [GH_POLICY_ALLOW] = "allow", [GH_POLICY_DENY] = "deny"};
    assert((size_t)outcome < GH_COUNT(names));
    return names[outcome];
}

struct gh_pattern_list gh_statements_patterns(const struct gh_statements *statements,
                                              enum gh_device_action action, bool denies)
{
    const struct list *list = &statements->patterns[action][denies ? DENIES : ALLOWS];
    return (struct gh_pattern_list){pool_of(statements), list->items, list->count};
}

static const struct gh_pattern *find(const struct gh_statements *statements,
                                     enum gh_device_action action, int effect,
                                     struct gh_probe *probe)
{
    const struct list *list = &statements->patterns[action][effect];
    const struct gh_pattern_index *index =
        statements->index == NULL ? NULL : &statements->index[action][effect];
    const struct gh_pattern_pool pool = pool_of(statements);
    if (index != NULL && index->entries != NULL)
        return gh_pattern_index_find(index, &pool, list->items, probe);
    if (list->count > PAIRS_PAY)
        gh_probe_read_pairs(probe);
    return gh_patterns_find(&pool, list->items, list->count, probe);
}

/* What stands behind $share/GROUP/, or nothing. */
static struct gh_slice shared_filter(struct gh_slice filter)
{
    if (!gh_slice_starts(filter, GH_SLICE("$share/")))
        return (struct gh_slice){0};
    gh_slice_split(&filter, '/');
    gh_slice_split(&filter, '/');
    return filter;
}

struct gh_policy_reason gh_statements_origin(const struct gh_statements *statements,
                                             const struct gh_pattern *pattern,
                                             enum gh_policy_outcome outcome)
{
    const struct origin *origin =
        (const struct origin *)statements->origins.items + pattern->statement;
    return (struct gh_policy_reason){.outcome = outcome,
                                     .document =
                                         text_at(statements, origin->name_at, origin->name_size),
                                     .sid = text_at(statements, origin->sid_at, origin->sid_size),
                                     .statement = origin->number};
}

static void explain(const struct gh_statements *statements, const struct gh_pattern *pattern,
                    enum gh_policy_outcome outcome, struct gh_policy_reason *why)
{
    if (why == NULL)
        return;
    *why = pattern == NULL ? (struct gh_policy_reason){.outcome = outcome}
                           : gh_statements_origin(statements, pattern, outcome);
}

bool gh_statements_allow(const struct gh_statements *statements, enum gh_device_action action,
                         struct gh_slice resource, struct gh_policy_reason *why)
{
    const struct gh_pattern *found = NULL;

    assert((size_t)action < GH_DEVICE_ACTION_COUNT);
    if (statements == NULL) {
        explain(NULL, NULL, GH_POLICY_NO_MATCH, why);
        return false;
    }
    const struct list *denies = &statements->patterns[action][DENIES];
    struct gh_probe probe = gh_probe(resource);
    if (denies->count > 0)
        found = find(statements, action, DENIES, &probe);
    if (found == NULL && denies->count > 0 && action == GH_DEVICE_ACTION_SUBSCRIBE &&
        shared_filter(resource).size > 0) {
        struct gh_probe behind = gh_probe(shared_filter(resource));
        found = find(statements, action, DENIES, &behind);
    }
    if (found != NULL) {
        explain(statements, found, GH_POLICY_DENY, why);
        return false;
    }
    found = find(statements, action, ALLOWS, &probe);
    explain(statements, found, found != NULL ? GH_POLICY_ALLOW : GH_POLICY_NO_MATCH, why);
    return found != NULL;
}
