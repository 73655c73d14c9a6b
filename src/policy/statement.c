#include "policy/statement.h"
#include "base/buffer.h"
#include "base/slots.h"
#include "policy/statement_internal.h"
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES_MAX = 8 << 20, PAIRS_PAY = 4 };

/* Where a statement comes from, for reasons. */
struct origin {
    uint32_t name_at, name_size, sid_at, sid_size;
    uint32_t number;
};

/* --- compiling --- */

struct compiler {
    struct gh_rules *out; /* until it is packed each list is a block */
    struct gh_buffer text;
    struct gh_resource_values by;
    struct gh_resource *resource; /* one at a time; too large for a worker's stack */
    bool memory_failed;
};

/* One more zeroed item; NULL without memory. */
static void *list_add(struct compiler *c, struct gh_rules_list *list, size_t item_size)
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
        uint16_t token = resource->tokens[at];
        uint16_t byte = token >= GH_TOKEN_VARIABLE
                            ? (uint16_t)(GH_VARIABLE_BYTE + token - GH_TOKEN_VARIABLE)
                        : token == GH_TOKEN_ONE ? 0
                                                : token;
        chunk->is_special |= token >= GH_TOKEN_ONE;
        c->memory_failed |= !gh_buffer_u8(&c->text, (uint8_t)byte);
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
    bool plain = !chunks[0].is_special, open = count == 2 && chunks[1].size == 0;
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
            list_add(c, &c->out->patterns[a][statement->denies ? GH_RULES_DENIES : GH_RULES_ALLOWS],
                     sizeof *to);
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
                                               document->variables, &c->by, c->resource, &why);
    if (code != GH_OK)
        return gh_error_set(error, code, "statement %zu: resource %zu: %.400s", statement->number,
                            index + 1, why.text);
    c->out->personal |= c->resource->personal;
    *usable = c->resource->unresolved_count == 0 ||
              (statement->denies && !statement->not_resource && c->by.values != NULL &&
               c->by.values->deny_unresolved);
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

static struct gh_slice text_at(const struct gh_rules *rules, uint32_t at, uint32_t size)
{
    return gh_slice_sub(rules->text, at, size);
}

/* `values` NULL: the rules have no variables, or nothing is compared. */
static struct gh_pattern_pool pool_of(const struct gh_rules *rules, const struct gh_slice *values)
{
    return (struct gh_pattern_pool){.text = rules->text.data,
                                    .chunks = rules->chunks.items,
                                    .members = rules->members.items,
                                    .values = values};
}

static bool index_make(struct gh_rules *rules)
{
    const struct gh_pattern_pool pool = pool_of(rules, NULL);
    uint32_t longest = 0;
    for (size_t a = 0; a < GH_DEVICE_ACTION_COUNT; a++)
        for (size_t e = 0; e < GH_RULES_EFFECTS; e++)
            if (rules->patterns[a][e].count > longest)
                longest = rules->patterns[a][e].count;
    if (longest < GH_INDEX_PATTERNS_MIN)
        return true;
    rules->index = calloc(GH_DEVICE_ACTION_COUNT, sizeof *rules->index);
    if (rules->index == NULL)
        return false;
    for (size_t a = 0; a < GH_DEVICE_ACTION_COUNT; a++)
        for (size_t e = 0; e < GH_RULES_EFFECTS; e++)
            if (!gh_pattern_index_make(&pool, rules->patterns[a][e].items,
                                       rules->patterns[a][e].count, &rules->index[a][e]))
                return false;
    return true;
}

/* Moves what the list holds to `*to`. */
static void list_pack(struct gh_rules_list *list, size_t item_size, uint8_t **to)
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
static struct gh_rules *pack(struct compiler *c)
{
    struct gh_rules *draft = c->out;
    struct gh_rules_list *patterns = &draft->patterns[0][0];
    size_t bytes = draft->members.count * sizeof(struct gh_pattern) +
                   draft->unresolved.count * sizeof(struct gh_statement_unresolved) +
                   draft->chunks.count * sizeof(struct gh_chunk) +
                   draft->origins.count * sizeof(struct origin) + c->text.size;
    for (size_t i = 0; i < (size_t)GH_DEVICE_ACTION_COUNT * GH_RULES_EFFECTS; i++)
        bytes += patterns[i].count * sizeof(struct gh_pattern);
    struct gh_rules *packed = malloc(sizeof *packed + bytes);
    if (packed == NULL)
        return NULL;
    memcpy(packed, draft, sizeof *packed);
    free(draft);
    uint8_t *to = (uint8_t *)(packed + 1);
    patterns = &packed->patterns[0][0];
    for (size_t i = 0; i < (size_t)GH_DEVICE_ACTION_COUNT * GH_RULES_EFFECTS; i++)
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

static void draft_free(struct gh_rules *draft)
{
    if (draft == NULL)
        return;
    for (size_t a = 0; a < GH_DEVICE_ACTION_COUNT; a++)
        for (size_t e = 0; e < GH_RULES_EFFECTS; e++)
            free(draft->patterns[a][e].items);
    free(draft->chunks.items);
    free(draft->members.items);
    free(draft->origins.items);
    free(draft->unresolved.items);
    free(draft);
}

/* Names in place of offsets, now that the text stays where it is. */
static void finish(struct gh_rules *rules)
{
    struct gh_statement_unresolved *rows = rules->unresolved.items;
    const struct origin *origins = rules->origins.items;
    for (size_t i = 0; i < rules->unresolved.count; i++) {
        const struct origin *origin = &origins[rows[i].document.size];
        rows[i].variable =
            text_at(rules, (uint32_t)rows[i].statement, (uint32_t)rows[i].variable.size);
        rows[i].document = text_at(rules, origin->name_at, origin->name_size);
        rows[i].statement = origin->number;
    }
}

struct gh_rules *gh_rules_compile(const struct gh_statement_document *documents, size_t count,
                                  const struct gh_statement_variables *values,
                                  struct gh_error *error)
{
    struct compiler c = {.out = calloc(1, sizeof *c.out), .resource = malloc(sizeof *c.resource)};
    enum gh_error_code code = GH_OK;

    if (c.out == NULL || c.resource == NULL)
        code = gh_error_set(error, GH_ERROR_MEMORY, "no memory for the policies");
    else if (count > GH_STATEMENT_DOCUMENTS_MAX)
        code = gh_error_set(error, GH_ERROR_LIMIT, "more than %d policies concern one device",
                            GH_STATEMENT_DOCUMENTS_MAX);
    gh_buffer_init(&c.text, TEXT_BYTES_MAX);
    c.by = (struct gh_resource_values){.values = values,
                                       .shared = values == NULL && c.out != NULL ? &c.out->variables
                                                                                 : NULL,
                                       .text = &c.text};
    for (size_t i = 0; code == GH_OK && i < count; i++)
        code = document_compile(&c, &documents[i], error);
    free(c.resource);
    struct gh_rules *packed = code == GH_OK ? pack(&c) : NULL;
    gh_buffer_deinit(&c.text);
    if (packed == NULL) {
        draft_free(c.out);
        if (code == GH_OK)
            (void)gh_error_set(error, GH_ERROR_MEMORY, "no memory for the policies");
        return NULL;
    }
    atomic_init(&packed->refs, 1);
    if (!index_make(packed)) {
        gh_rules_free(packed);
        (void)gh_error_set(error, GH_ERROR_MEMORY, "no memory for the policies");
        return NULL;
    }
    finish(packed);
    return packed;
}

void gh_rules_free(struct gh_rules *rules)
{
    for (size_t a = 0; rules->index != NULL && a < GH_DEVICE_ACTION_COUNT; a++)
        for (size_t e = 0; e < GH_RULES_EFFECTS; e++)
            gh_pattern_index_free(&rules->index[a][e]);
    free(rules->index);
    free(rules);
}

/* --- one device's --- */

static size_t bytes_of(size_t values_count, size_t text_size)
{
    const struct gh_statements *one = NULL;
    return sizeof *one + values_count * sizeof one->values[0] + text_size;
}

struct gh_statements *gh_statements_of(struct gh_rules *rules,
                                       const struct gh_statement_variables *values, bool *resolved)
{
    const struct gh_variables *variables = &rules->variables;
    struct gh_statements *statements = NULL;
    struct gh_buffer text;
    size_t ends[GH_VARIABLES_MAX];

    gh_buffer_init(&text, GH_VARIABLES_MAX * 2 * GH_STATEMENT_VALUE_BYTES_MAX);
    *resolved = true;
    for (size_t i = 0; i < variables->count && *resolved; i++) {
        *resolved = gh_variable_value(&variables->items[i], rules->text, values, &text);
        ends[i] = text.size;
    }
    if (*resolved)
        statements = gh_slot_take(bytes_of(variables->count, text.size));
    if (statements != NULL) {
        uint8_t *at = (uint8_t *)&statements->values[variables->count];
        atomic_init(&statements->refs, 1);
        statements->rules = rules;
        if (text.size > 0)
            memcpy(at, text.data, text.size);
        for (size_t i = 0, from = 0; i < variables->count; from = ends[i++])
            statements->values[i] = gh_slice(at + from, ends[i] - from);
    }
    gh_buffer_deinit(&text);
    return statements;
}

struct gh_statements *gh_statements_compile(const struct gh_statement_document *documents,
                                            size_t count,
                                            const struct gh_statement_variables *variables,
                                            struct gh_error *error)
{
    bool resolved;
    assert(variables != NULL);
    struct gh_rules *rules = gh_rules_compile(documents, count, variables, error);
    if (rules == NULL)
        return NULL;
    struct gh_statements *statements = gh_statements_of(rules, variables, &resolved);
    if (statements == NULL) {
        gh_rules_free(rules);
        (void)gh_error_set(error, GH_ERROR_MEMORY, "no memory for the policies");
    }
    return statements;
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
    size_t count = statements->rules->variables.count, text = 0;
    for (size_t i = 0; i < count; i++)
        text += statements->values[i].size;
    if (statements->rules->shelf != NULL)
        gh_shelf_unref(statements->rules);
    else
        gh_rules_free(statements->rules);
    gh_slot_give(statements, bytes_of(count, text));
}

bool gh_statements_personal(const struct gh_statements *statements)
{
    return statements->rules->personal;
}

const struct gh_statement_unresolved *
gh_statements_unresolved(const struct gh_statements *statements, size_t *count)
{
    *count = statements->rules->unresolved.count;
    return statements->rules->unresolved.items;
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
    const struct gh_rules *rules = statements->rules;
    const struct gh_rules_list *list =
        &rules->patterns[action][denies ? GH_RULES_DENIES : GH_RULES_ALLOWS];
    assert(rules->variables.count == 0);
    return (struct gh_pattern_list){pool_of(rules, NULL), list->items, list->count};
}

static const struct gh_pattern *find(const struct gh_statements *statements,
                                     enum gh_device_action action, int effect,
                                     struct gh_probe *probe)
{
    const struct gh_rules *rules = statements->rules;
    const struct gh_rules_list *list = &rules->patterns[action][effect];
    const struct gh_pattern_index *index =
        rules->index == NULL ? NULL : &rules->index[action][effect];
    const struct gh_pattern_pool pool =
        pool_of(rules, rules->variables.count > 0 ? statements->values : NULL);
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
    const struct gh_rules *rules = statements->rules;
    const struct origin *origin = (const struct origin *)rules->origins.items + pattern->statement;
    return (struct gh_policy_reason){.outcome = outcome,
                                     .document = text_at(rules, origin->name_at, origin->name_size),
                                     .sid = text_at(rules, origin->sid_at, origin->sid_size),
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
    const struct gh_rules_list *denies = &statements->rules->patterns[action][GH_RULES_DENIES];
    struct gh_probe probe = gh_probe(resource);
    if (denies->count > 0)
        found = find(statements, action, GH_RULES_DENIES, &probe);
    if (found == NULL && denies->count > 0 && action == GH_DEVICE_ACTION_SUBSCRIBE &&
        shared_filter(resource).size > 0) {
        struct gh_probe behind = gh_probe(shared_filter(resource));
        found = find(statements, action, GH_RULES_DENIES, &behind);
    }
    if (found != NULL) {
        explain(statements, found, GH_POLICY_DENY, why);
        return false;
    }
    found = find(statements, action, GH_RULES_ALLOWS, &probe);
    explain(statements, found, found != NULL ? GH_POLICY_ALLOW : GH_POLICY_NO_MATCH, why);
    return found != NULL;
}
