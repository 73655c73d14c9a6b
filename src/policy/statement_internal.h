/* What reading, compiling and deciding share. A document is opened once, its statements are read
 * one by one, and each resource becomes tokens: a byte, any run of bytes, any one character. */
#ifndef GH_POLICY_STATEMENT_INTERNAL_H
#define GH_POLICY_STATEMENT_INTERNAL_H

#include "base/buffer.h"
#include "crypto/digest.h"
#include "policy/statement.h"
#include <assert.h>
#include <jansson.h>
#include <stdatomic.h>

/* What a resource names; each action asks for one of them. */
enum gh_resource_kind {
    GH_RESOURCE_CLIENT,
    GH_RESOURCE_TOPIC,
    GH_RESOURCE_FILTER,
    GH_RESOURCE_KIND_COUNT
};
enum gh_resource_kind gh_resource_kind_of(enum gh_device_action action);

/* --- statement_read.c: the document --- */

struct gh_document {
    json_t *root;
    json_t *statements; /* an array or one object; borrowed from the root */
    size_t count;
    bool variables; /* "Version" is 2012-10-17: ${ means a variable */
    bool versioned; /* there is a "Version" */
};
GH_MUST_USE enum gh_error_code gh_document_open(struct gh_slice json, struct gh_document *out,
                                                struct gh_error *error);
void gh_document_close(struct gh_document *document);

struct gh_statement {
    size_t number; /* from 1 */
    struct gh_slice sid;
    bool denies, not_resource;
    unsigned actions;    /* bits 1u << enum gh_device_action, NotAction turned over */
    json_t *resources;   /* a text or an array of texts; borrowed from the document */
    const char *foreign; /* an action that has no effect here, or NULL; borrowed */
};
/* The statement `index` (from 0) and the form of all its fields but the resources. */
GH_MUST_USE enum gh_error_code gh_document_statement(const struct gh_document *document,
                                                     size_t index, struct gh_statement *out,
                                                     struct gh_error *error);
/* How many resources a statement has, and one of them; empty for what is no text. */
size_t gh_statement_resources(const struct gh_statement *statement);
struct gh_slice gh_statement_resource(const struct gh_statement *statement, size_t index);

/* --- statement_resource.c: one resource --- */

enum {
    GH_VARIABLES_MAX = 11, /* different ones, of documents that devices share */
    GH_VARIABLE_BYTE =
        0xf5, /* the first of the bytes that stand for them: UTF-8 has none of these */
};
static_assert(GH_VARIABLE_BYTE + GH_VARIABLES_MAX == 256, "a byte for each variable");

/* The variables of documents that are compiled for more than one device, by their places. */
struct gh_variables {
    struct gh_variable {
        uint8_t which;     /* statement_resource.c knows */
        uint32_t at, size; /* the name of an attribute, in the text */
    } items[GH_VARIABLES_MAX];
    uint8_t count;
    bool unfit; /* they cannot be shared: too many, or one that may say what kind a resource is */
};
/* Appends what stands in place of the variable. False: it has no value that can be used. */
GH_MUST_USE bool gh_variable_value(const struct gh_variable *variable, struct gh_slice text,
                                   const struct gh_statement_variables *values,
                                   struct gh_buffer *out);

enum {
    GH_TOKEN_RUN = 256,      /* `*` */
    GH_TOKEN_ONE = 257,      /* `?` */
    GH_TOKEN_VARIABLE = 258, /* and its place */
    GH_RESOURCE_TOKENS_MAX = 4096,
    GH_RESOURCE_STARTS_MAX = 16,
    GH_RESOURCE_UNRESOLVED_MAX = 4, /* kept by name */
};

struct gh_resource {
    uint16_t tokens[GH_RESOURCE_TOKENS_MAX]; /* never two runs beside each other */
    size_t count;
    /* For each kind, from which tokens on the pattern may go when the word of the kind has been
     * read; each start is an alternative, and none means that it is no resource of that kind. */
    struct gh_resource_starts {
        uint16_t at[GH_RESOURCE_STARTS_MAX];
        size_t count;
    } starts[GH_RESOURCE_KIND_COUNT];
    size_t unresolved_count; /* variables without a value; the first ones by name */
    struct gh_slice unresolved[GH_RESOURCE_UNRESOLVED_MAX];
    bool personal;    /* mentions device, client or an attribute */
    bool kind_varies; /* a variable that has stayed one may be a part of the word of the kind */
};

/* What is put in for variables. */
struct gh_resource_values {
    /* NULL: every variable that exists has a value, and only the form is checked. */
    const struct gh_statement_variables *values;
    /* Or they stay variables, which are noted here, the names of attributes in `text`. */
    struct gh_variables *shared;
    struct gh_buffer *text;
};
/* In `out` an unresolved variable stands for any run. INVALID or LIMIT for what breaks the grammar.
 */
GH_MUST_USE enum gh_error_code gh_resource_read(struct gh_slice text, bool variables,
                                                const struct gh_resource_values *by,
                                                struct gh_resource *out, struct gh_error *error);

/* --- statement_glob.c: matching --- */

/* A pattern is chunks of literal bytes with any run between them; inside a chunk `?` is a NUL and a
 * variable that is put in when it is matched the byte of its place. */
struct gh_chunk {
    uint32_t at, size; /* in the text of the patterns */
    bool is_special;   /* there is a `?` or a variable in it */
};

enum gh_pattern_form {
    GH_PATTERN_ANY,    /* `*` */
    GH_PATTERN_EXACT,  /* one chunk */
    GH_PATTERN_PREFIX, /* one chunk and a run */
    GH_PATTERN_GLOB,   /* chunks with runs between them */
    GH_PATTERN_NONE_OF /* of `count` patterns from `first` on */
};

/* What is known of a resource before any pattern is looked at, so that most patterns are passed by
 * with three comparisons of words. */
struct gh_probe {
    struct gh_slice resource;
    uint64_t head, tail; /* the first and the last eight bytes; those that are not there are zero */
    uint64_t pairs;      /* a bit for each two bytes beside each other; all until they were read */
};
struct gh_probe gh_probe(struct gh_slice resource);
void gh_probe_read_pairs(struct gh_probe *probe);
uint64_t gh_probe_pair(uint8_t first, uint8_t second); /* its bit */

struct gh_pattern {
    uint64_t head, head_mask, tail, tail_mask; /* what stands at the ends */
    uint64_t pairs;                            /* what must be somewhere */
    uint32_t first, count;                     /* chunks; of NONE_OF patterns */
    uint32_t statement;
    uint8_t form; /* enum gh_pattern_form */
};

/* What all patterns of a value stand in. */
struct gh_pattern_pool {
    const uint8_t *text;
    const struct gh_chunk *chunks;
    const struct gh_pattern *members; /* of NONE_OF */
    const struct gh_slice *values;    /* of the variables, by place; NULL: there are none */
};

/* Whether that one pattern matches. */
bool gh_pattern_matches(const struct gh_pattern_pool *pool, const struct gh_pattern *pattern,
                        const struct gh_probe *probe);

/* --- statement_index.c: many patterns --- */

/* Many patterns are not tried one by one: each hangs under the four letters beside each other in it
 * that are the rarest among all, and those of the resource are looked up. */
enum {
    GH_INDEX_PATTERNS_MIN = 12, /* fewer are tried one by one */
    GH_INDEX_PATTERNS_MAX = UINT16_MAX - 1,
    GH_INDEX_GRAM = 4, /* letters */
};
struct gh_pattern_index {
    struct gh_index_entry {
        uint32_t gram; /* its letters */
        uint16_t next; /* one more than the next pattern of the slot, 0 for none */
    } * entries;       /* of each pattern; NULL: there is no index */
    uint16_t *slots;   /* by the hash: one more than the first pattern */
    uint32_t shift;    /* from a hash to a slot */
    uint16_t unkeyed;  /* the first of those without four letters */
};
/* Leaves `out` empty where there are few patterns. False without memory. */
GH_MUST_USE bool gh_pattern_index_make(const struct gh_pattern_pool *pool,
                                       const struct gh_pattern *patterns, size_t count,
                                       struct gh_pattern_index *out);
void gh_pattern_index_free(struct gh_pattern_index *index);
/* A pattern that matches, or NULL; the index is there. */
const struct gh_pattern *gh_pattern_index_find(const struct gh_pattern_index *index,
                                               const struct gh_pattern_pool *pool,
                                               const struct gh_pattern *patterns,
                                               const struct gh_probe *probe);

/* --- statement.c: documents that were compiled --- */

/* A growing array of one type. */
struct gh_rules_list {
    void *items;
    uint32_t count, capacity;
};
enum { GH_RULES_ALLOWS, GH_RULES_DENIES, GH_RULES_EFFECTS };

/* Immutable. A single block of just its size: what the lists hold and the text stand behind it. */
struct gh_rules {
    atomic_uint refs; /* of those on a shelf the shelf's lock guards it */
    bool personal;
    struct gh_slice text; /* of patterns, names and sids */
    struct gh_rules_list chunks, members, origins, unresolved;
    struct gh_rules_list patterns[GH_DEVICE_ACTION_COUNT][GH_RULES_EFFECTS];
    struct gh_pattern_index (*index)[GH_RULES_EFFECTS]; /* by action; NULL: no list is long */
    struct gh_variables variables;                      /* that who decides puts in */
    struct gh_statements_shelf *shelf;                  /* where they stand; NULL: nowhere */
    uint8_t digest[GH_SHA256_BYTES];                    /* of the documents, on a shelf */
};
/* `values` NULL: for every device, unless `variables.unfit` says that they cannot be. */
GH_MUST_USE struct gh_rules *gh_rules_compile(const struct gh_statement_document *documents,
                                              size_t count,
                                              const struct gh_statement_variables *values,
                                              struct gh_error *error);
void gh_rules_free(struct gh_rules *rules);

/* What one device may do: rules, and its values of their variables, which stand behind. */
struct gh_statements {
    atomic_uint refs;
    struct gh_rules *rules;
    struct gh_slice values[];
};
/* Takes the reference to the rules. NULL when there is no memory, or when a variable has no value,
 * which `*resolved` tells apart; then the reference is left. */
GH_MUST_USE struct gh_statements *gh_statements_of(struct gh_rules *rules,
                                                   const struct gh_statement_variables *values,
                                                   bool *resolved);

/* --- statement_share.c --- */

/* The rules of a shelf: gives one reference back. */
void gh_shelf_unref(struct gh_rules *rules);

/* The patterns of what was compiled for one device alone, for who looks at the languages and not at
 * one resource. */
struct gh_pattern_list {
    struct gh_pattern_pool pool;
    const struct gh_pattern *items;
    size_t count;
};
struct gh_pattern_list gh_statements_patterns(const struct gh_statements *statements,
                                              enum gh_device_action action, bool denies);
/* Where a pattern comes from; the outcome is the caller's word. */
struct gh_policy_reason gh_statements_origin(const struct gh_statements *statements,
                                             const struct gh_pattern *pattern,
                                             enum gh_policy_outcome outcome);

/* The first of the patterns that matches, or NULL. Linear in the resource for patterns without `?`;
 * with one at most its size times the chunk's. */
const struct gh_pattern *gh_patterns_find(const struct gh_pattern_pool *pool,
                                          const struct gh_pattern *patterns, size_t count,
                                          const struct gh_probe *probe);
#endif
