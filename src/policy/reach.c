/* The walk: a breadth-first search over pairs of a topic and a filter that matches it, both written
 * letter by letter at once. What is kept of the letters so far is only where all automata stand, so
 * that pairs that nothing will ever tell apart are one state. */
#include "base/hash.h"
#include "policy/reach_internal.h"
#include "wire/mqtt/topic.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What reads the topic and what reads the filter. */
enum region { COVER, TOPIC_ALLOW, TOPIC_DENY, FILTER_ALLOW, FILTER_DENY, SHARED_DENY, REGIONS };
static const enum region topic_regions[] = {TOPIC_ALLOW, TOPIC_DENY};
static const enum region filter_regions[] = {FILTER_ALLOW, FILTER_DENY, SHARED_DENY};

/* Where the pair is. */
enum mode {
    TOPIC_FIRST, /* only a topic is looked for, and it has no letter yet */
    TOPIC_REST,
    FIRST,      /* at the beginning of the topic */
    LEVEL,      /* at the beginning of a later level */
    INSIDE,     /* in a level that the filter spells out */
    PLUS_FIRST, /* the filter has a + for the first level, the topic nothing yet */
    PLUS,
    HASH_FIRST, /* the filter ends in #, the topic has nothing yet */
    HASH,
    PREFIX, /* in "$share/" */
    GROUP,  /* in the name of the group, at its first letter when `letters` is 0 */
};

static const char prefix[] = "$share/";
enum { PREFIX_SIZE = sizeof prefix - 1, UNLIKE = 15 /* `letters`: no prefix any more */ };

/* One state, unpacked from its first word. */
struct place {
    enum mode mode;
    unsigned letters; /* of the prefix: read so far; of a plain filter: how many it has in common */
    bool shared;      /* behind $share/GROUP/ */
};

/* How a state was come by: for the witness. */
struct origin {
    uint32_t from, topic, filter; /* letters; 0: none */
};

struct search {
    struct gh_automaton automata[SHARED_DENY]; /* the shared form is denied by the same ones */
    size_t at[REGIONS], words;                 /* of a state; where its regions begin */
    uint32_t *letters; /* that tell something apart, and one for all others */
    size_t letters_count;
    uint64_t *states, *scratch;
    struct origin *origins;
    size_t count, capacity, states_max;
    uint32_t *table; /* of states, by their hash; 0 is free, else one more than the index */
    size_t table_size;
    bool memory_failed, full, with_hash; /* with_hash: the filter goes on with "/#" */
};

static const struct gh_automaton *automaton_of(const struct search *s, enum region region)
{
    return &s->automata[region == SHARED_DENY ? FILTER_DENY : region];
}

static uint64_t pack(struct place place)
{
    return (uint64_t)place.mode | (uint64_t)place.letters << 8 | (uint64_t)place.shared << 16;
}

static struct place unpack(uint64_t word)
{
    return (struct place){.mode = (enum mode)(word & 0xff),
                          .letters = (unsigned)(word >> 8 & 0xff),
                          .shared = (word >> 16 & 1) != 0};
}

/* --- the table of states --- */

static bool grow(struct search *s)
{
    size_t capacity = s->capacity == 0 ? 256 : s->capacity * 2;
    uint64_t *states = realloc(s->states, capacity * s->words * sizeof *states);
    if (states != NULL)
        s->states = states;
    struct origin *origins = realloc(s->origins, capacity * sizeof *origins);
    if (origins != NULL)
        s->origins = origins;
    uint32_t *table = calloc(capacity * 2, sizeof *table);
    if (states == NULL || origins == NULL || table == NULL) {
        free(table);
        s->memory_failed = true;
        return false;
    }
    free(s->table);
    s->table = table;
    s->table_size = capacity * 2;
    s->capacity = capacity;
    for (size_t i = 0; i < s->count; i++) {
        static const uint8_t key[16] = {0};
        uint64_t hash =
            gh_hash_sip(key, gh_slice(s->states + i * s->words, s->words * sizeof *s->states));
        while (table[hash & (s->table_size - 1)] != 0)
            hash++;
        table[hash & (s->table_size - 1)] = (uint32_t)i + 1;
    }
    return true;
}

/* Keeps the state unless it is known. */
static void keep(struct search *s, const uint64_t *state, struct origin origin)
{
    static const uint8_t key[16] = {0};
    size_t bytes = s->words * sizeof *state;
    uint64_t hash = gh_hash_sip(key, gh_slice(state, bytes));
    if (s->count == s->capacity && !grow(s))
        return;
    for (; s->table[hash & (s->table_size - 1)] != 0; hash++) {
        uint32_t known = s->table[hash & (s->table_size - 1)] - 1;
        if (memcmp(s->states + known * s->words, state, bytes) == 0)
            return;
    }
    if (s->count == s->states_max) {
        s->full = true;
        return;
    }
    memcpy(s->states + s->count * s->words, state, bytes);
    s->origins[s->count] = origin;
    s->table[hash & (s->table_size - 1)] = (uint32_t)++s->count;
}

/* --- from one state to the next --- */

static bool region_step(const struct search *s, enum region region, const uint64_t *from,
                        uint32_t letter, uint64_t *to)
{
    const struct gh_automaton *automaton = automaton_of(s, region);
    bool denies = region != TOPIC_ALLOW && region != FILTER_ALLOW;
    memset(to + s->at[region], 0, automaton->words * sizeof *to);
    gh_automaton_step(automaton, from + s->at[region], letter, to + s->at[region]);
    if (denies)
        return !gh_automaton_for_ever(automaton, to + s->at[region]);
    gh_automaton_settle(automaton, to + s->at[region]);
    return !gh_automaton_dead(automaton, to + s->at[region]);
}

static bool topic_step(const struct search *s, const uint64_t *from, uint32_t letter, uint64_t *to)
{
    memset(to + s->at[COVER], 0, gh_cover_words(&s->automata[COVER]) * sizeof *to);
    gh_cover_step(&s->automata[COVER], from + s->at[COVER], letter, to + s->at[COVER]);
    for (size_t i = 0; i < GH_COUNT(topic_regions); i++)
        if (!region_step(s, topic_regions[i], from, letter, to))
            return false;
    for (size_t i = 0; i < gh_cover_words(&s->automata[COVER]); i++)
        if (to[s->at[COVER] + i] != 0)
            return true;
    return false;
}

static bool filter_step(const struct search *s, bool shared, const uint64_t *from, uint32_t letter,
                        uint64_t *to)
{
    for (size_t i = 0; i < GH_COUNT(filter_regions); i++)
        if ((filter_regions[i] != SHARED_DENY || shared) &&
            !region_step(s, filter_regions[i], from, letter, to))
            return false;
    return true;
}

/* The pair with `topic` and `filter` written (0: nothing), when it may still come to something. */
static void move(struct search *s, size_t from, struct place place, uint32_t topic, uint32_t filter)
{
    const uint64_t *before = s->states + from * s->words;
    struct place was = unpack(before[0]);
    memcpy(s->scratch, before, s->words * sizeof *before);
    s->scratch[0] = pack(place);
    if (topic != 0 && !topic_step(s, before, topic, s->scratch))
        return;
    if (filter != 0 && !filter_step(s, was.shared, before, filter, s->scratch))
        return;
    if (place.shared && !was.shared) {
        const struct gh_automaton *deny = &s->automata[FILTER_DENY];
        if (gh_automaton_for_ever(deny, deny->start))
            return;
        memcpy(s->scratch + s->at[SHARED_DENY], deny->start, deny->words * sizeof *deny->start);
    }
    keep(s, s->scratch, (struct origin){(uint32_t)from, topic, filter});
}

/* The filter spells the letter out. */
static void spell(struct search *s, size_t from, struct place place, uint32_t letter)
{
    if (place.letters != UNLIKE && letter == (uint32_t)prefix[place.letters])
        place.letters++;
    else
        place.letters = UNLIKE;
    if (place.letters == PREFIX_SIZE)
        return; /* then it is the filter of a shared subscription, and matches other topics */
    place.mode = letter == '/' ? LEVEL : INSIDE;
    move(s, from, place, letter, letter);
}

static void level_next(struct search *s, size_t from, struct place place)
{
    bool first = place.mode == FIRST;
    struct place then = place;
    then.letters = UNLIKE;
    then.mode = first ? PLUS_FIRST : PLUS;
    move(s, from, then, 0, '+');
    then.mode = first ? HASH_FIRST : HASH;
    move(s, from, then, 0, '#');
    if (first && !place.shared)
        move(s, from, (struct place){.mode = PREFIX, .letters = 1}, 0, (uint32_t)prefix[0]);
}

/* What the letter does to a pair; the modes in which the filter has a wildcard or is ahead. */
static void letter_next(struct search *s, size_t from, struct place place, uint32_t letter)
{
    bool slash = letter == '/', first = place.mode == PLUS_FIRST || place.mode == HASH_FIRST;
    if (first && letter == '$')
        return;
    switch (place.mode) {
    case FIRST:
    case LEVEL:
    case INSIDE:
        spell(s, from, place, letter);
        return;
    case PLUS_FIRST:
    case PLUS:
        place.mode = slash ? LEVEL : PLUS;
        move(s, from, place, letter, slash ? letter : 0);
        return;
    case GROUP:
        if (slash && place.letters == 0)
            return;
        move(s, from,
             slash ? (struct place){.mode = FIRST, .letters = UNLIKE, .shared = true}
                   : (struct place){.mode = GROUP, .letters = 1},
             0, letter);
        return;
    case HASH_FIRST:
    case HASH:
        place.mode = HASH;
        break;
    case TOPIC_FIRST:
    case TOPIC_REST:
        place.mode = TOPIC_REST;
        break;
    case PREFIX:
        return;
    }
    move(s, from, place, letter, 0);
}

static void expand(struct search *s, size_t from)
{
    struct place place = unpack(s->states[from * s->words]);
    if (place.mode == PREFIX) {
        struct place then = {.mode = PREFIX, .letters = place.letters + 1};
        if (then.letters == PREFIX_SIZE)
            then = (struct place){.mode = GROUP};
        move(s, from, then, 0, (uint32_t)prefix[place.letters]);
        return;
    }
    if (place.mode == FIRST || place.mode == LEVEL)
        level_next(s, from, place);
    for (size_t i = 0; i < s->letters_count && !s->memory_failed && !s->full; i++)
        letter_next(s, from, place, s->letters[i]);
}

/* --- the end --- */

static bool filter_accepts(const struct search *s, const uint64_t *state, bool shared)
{
    return gh_automaton_accepts(&s->automata[FILTER_ALLOW], state + s->at[FILTER_ALLOW]) &&
           !gh_automaton_accepts(&s->automata[FILTER_DENY], state + s->at[FILTER_DENY]) &&
           (!shared ||
            !gh_automaton_accepts(&s->automata[FILTER_DENY], state + s->at[SHARED_DENY]));
}

/* The filter with "/#" behind it; it matches the same topic. */
static bool filter_accepts_hash(struct search *s, const uint64_t *state, bool shared)
{
    uint64_t *slash = s->scratch, *hash = s->scratch + s->words;
    memcpy(slash, state, s->words * sizeof *state);
    memcpy(hash, state, s->words * sizeof *state);
    return filter_step(s, shared, state, '/', slash) && filter_step(s, shared, slash, '#', hash) &&
           filter_accepts(s, hash, shared);
}

static bool accepts(struct search *s, size_t index)
{
    const uint64_t *state = s->states + index * s->words;
    struct place place = unpack(state[0]);
    bool level_end = place.mode == LEVEL || place.mode == INSIDE || place.mode == PLUS;
    if (!level_end && place.mode != HASH && place.mode != TOPIC_REST)
        return false;
    if (!gh_cover_accepts(&s->automata[COVER], state + s->at[COVER]) ||
        !gh_automaton_accepts(&s->automata[TOPIC_ALLOW], state + s->at[TOPIC_ALLOW]) ||
        gh_automaton_accepts(&s->automata[TOPIC_DENY], state + s->at[TOPIC_DENY]))
        return false;
    if (place.mode == TOPIC_REST || filter_accepts(s, state, place.shared))
        return true;
    /* "$share" and "/#" would make another filter of it. */
    bool can_hash = level_end && place.letters != PREFIX_SIZE - 1;
    s->with_hash = can_hash && filter_accepts_hash(s, state, place.shared);
    return s->with_hash;
}

/* --- before and after --- */

static bool letter_known(const struct search *s, uint32_t letter)
{
    for (size_t i = 0; i < s->letters_count; i++)
        if (s->letters[i] == letter)
            return true;
    return false;
}

static int letter_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The letters of all patterns, each once, and one that is in none of them. */
static void letters_gather(struct search *s)
{
    size_t total = 3, count = 0;
    for (size_t a = 0; a < GH_COUNT(s->automata); a++)
        total += s->automata[a].count;
    s->letters = malloc(total * sizeof *s->letters);
    if (s->letters == NULL) {
        s->memory_failed = true;
        return;
    }
    s->letters[count++] = '/';
    s->letters[count++] = '$';
    for (size_t a = 0; a < GH_COUNT(s->automata); a++)
        for (size_t i = 0; i < s->automata[a].count; i++) {
            const struct gh_node *node = &s->automata[a].nodes[i];
            if (node->kind == GH_NODE_LETTER && node->letter != '+' && node->letter != '#')
                s->letters[count++] = node->letter;
        }
    qsort(s->letters, count, sizeof *s->letters, letter_compare);
    for (size_t i = 0; i < count; i++)
        if (s->letters_count == 0 || s->letters[i] != s->letters[s->letters_count - 1])
            s->letters[s->letters_count++] = s->letters[i];
    uint32_t other = 'x';
    for (uint32_t next = 'a'; letter_known(s, other); next = next == 'z' ? 0x100 : next + 1)
        other = next;
    s->letters[s->letters_count++] = other;
}

/* The automata are filled; what stands in a state, and the first one. */
static void begin(struct search *s, enum mode mode)
{
    s->words = 1;
    for (size_t r = 0; r < REGIONS; r++) {
        struct gh_automaton *automaton = &s->automata[r == SHARED_DENY ? FILTER_DENY : r];
        if (r != SHARED_DENY)
            gh_automaton_finish(automaton);
        s->at[r] = s->words;
        s->words += r == COVER ? gh_cover_words(automaton) : automaton->words;
        s->memory_failed |= automaton->memory_failed;
        s->full |= automaton->odd;
    }
    letters_gather(s);
    s->scratch = calloc(2 * s->words, sizeof *s->scratch);
    size_t fit = GH_REACH_BYTES_MAX / (s->words * sizeof *s->states);
    s->states_max = s->states_max < fit ? s->states_max : fit;
    if (s->scratch == NULL || s->memory_failed) {
        s->memory_failed = true;
        return;
    }
    uint64_t *first = s->scratch;
    first[0] = pack((struct place){.mode = mode});
    gh_cover_start(&s->automata[COVER], first + s->at[COVER]);
    for (size_t r = TOPIC_ALLOW; r <= FILTER_DENY; r++) {
        const struct gh_automaton *automaton = &s->automata[r];
        memcpy(first + s->at[r], automaton->start, automaton->words * sizeof *first);
    }
    bool denied = gh_automaton_for_ever(&s->automata[TOPIC_DENY], first + s->at[TOPIC_DENY]) ||
                  gh_automaton_for_ever(&s->automata[FILTER_DENY], first + s->at[FILTER_DENY]);
    if (!denied)
        keep(s, first, (struct origin){0});
}

static void end(struct search *s)
{
    for (size_t a = 0; a < GH_COUNT(s->automata); a++)
        gh_automaton_deinit(&s->automata[a]);
    free(s->letters);
    free(s->states);
    free(s->scratch);
    free(s->origins);
    free(s->table);
    free(s);
}

static size_t letter_write(uint32_t letter, uint8_t out[4])
{
    if (letter < 0x80) {
        out[0] = (uint8_t)letter;
        return 1;
    }
    size_t size = letter < 0x800 ? 2 : letter < 0x10000 ? 3 : 4;
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size; i-- > 1; letter >>= 6)
        out[i] = (uint8_t)(0x80u | (letter & 0x3fu));
    out[0] = (uint8_t)(leads[size] | letter);
    return size;
}

/* The topic or the filter that led to the state, read from its end. */
static bool witness(const struct search *s, size_t index, bool filter, struct gh_arena *arena,
                    struct gh_slice *out)
{
    size_t count = 0, at;
    for (size_t i = index; i != 0; i = s->origins[i].from)
        count++;
    uint8_t *text = gh_arena_alloc(arena, count * 4 + 2), letter[4];
    if (text == NULL)
        return false;
    at = count * 4;
    for (size_t i = index; i != 0; i = s->origins[i].from) {
        uint32_t written = filter ? s->origins[i].filter : s->origins[i].topic;
        size_t size = written == 0 ? 0 : letter_write(written, letter);
        at -= size;
        memcpy(text + at, letter, size);
    }
    size_t size = count * 4 - at;
    if (filter && s->with_hash) {
        memcpy(text + count * 4, "/#", 2);
        size += 2;
    }
    *out = gh_slice(text + at, size);
    return true;
}

static bool run(struct search *s, struct gh_arena *arena, struct gh_reach *out)
{
    for (size_t i = 0; i < s->count && !s->memory_failed && !s->full; i++) {
        if (accepts(s, i)) {
            out->answer = GH_REACH_POSSIBLE;
            struct place place = unpack(s->states[i * s->words]);
            return witness(s, i, false, arena, &out->topic) &&
                   (place.mode == TOPIC_REST || witness(s, i, true, arena, &out->filter));
        }
        expand(s, i);
    }
    out->answer = s->full ? GH_REACH_UNKNOWN : GH_REACH_NEVER;
    return !s->memory_failed;
}

const char *gh_reach_answer_name(enum gh_reach_answer answer)
{
    static const char *const names[] = {[GH_REACH_NEVER] = "never",
                                        [GH_REACH_POSSIBLE] = "possible",
                                        [GH_REACH_UNKNOWN] = "unknown"};
    assert((size_t)answer < GH_COUNT(names));
    return names[answer];
}

static void take(struct search *s, const struct gh_statements *statements, enum region region,
                 enum gh_device_action action, bool denies)
{
    struct gh_pattern_list list = gh_statements_patterns(statements, action, denies);
    gh_automaton_patterns(&s->automata[region], &list);
}

/* A search with all but the cover; NULL without memory. */
static struct search *search_new(const struct gh_statements *statements,
                                 enum gh_device_action action, size_t states_max)
{
    struct search *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->states_max = states_max;
    take(s, statements, TOPIC_ALLOW, action, false);
    take(s, statements, TOPIC_DENY, action, true);
    if (action == GH_DEVICE_ACTION_RECEIVE) {
        take(s, statements, FILTER_ALLOW, GH_DEVICE_ACTION_SUBSCRIBE, false);
        take(s, statements, FILTER_DENY, GH_DEVICE_ACTION_SUBSCRIBE, true);
    }
    return s;
}

enum gh_error_code gh_statements_reach(const struct gh_statements *statements,
                                       enum gh_device_action action, struct gh_slice topics,
                                       struct gh_arena *arena, struct gh_reach *out,
                                       struct gh_error *error)
{
    *out = (struct gh_reach){0};
    if (action != GH_DEVICE_ACTION_PUBLISH && action != GH_DEVICE_ACTION_RECEIVE)
        return gh_error_set(error, GH_ERROR_INVALID, "what is asked for is publish or receive");
    if (!gh_mqtt_filter_valid(topics) || gh_slice_starts(topics, GH_SLICE("$share/")))
        return gh_error_set(error, GH_ERROR_INVALID, "\"%.*s\" is no topic and no topic filter",
                            GH_PRINT(gh_slice_sub(topics, 0, 128)));
    struct search *s = search_new(statements, action, GH_REACH_STATES_MAX);
    bool good = s != NULL;
    if (good) {
        gh_automaton_text(&s->automata[COVER], topics);
        begin(s, action == GH_DEVICE_ACTION_RECEIVE ? FIRST : TOPIC_FIRST);
        good = run(s, arena, out);
        end(s);
    }
    return good ? GH_OK : gh_error_set(error, GH_ERROR_MEMORY, "no memory to check the policies");
}

/* --- Deny that is passed by --- */

static bool has_wildcard(struct gh_slice text)
{
    return gh_slice_find(text, '+') < text.size || gh_slice_find(text, '#') < text.size;
}

/* The Deny is there to stop wide filters: it begins with a wildcard of MQTT's, or has one anywhere
 * behind a run. */
static bool stops_wide(const struct gh_pattern_list *list, const struct gh_pattern *pattern)
{
    const struct gh_chunk *chunks = &list->pool.chunks[pattern->first];
    if (chunks[0].size > 0)
        return has_wildcard(gh_slice(list->pool.text + chunks[0].at, 1));
    for (size_t i = 1; i < pattern->count; i++)
        if (has_wildcard(gh_slice(list->pool.text + chunks[i].at, chunks[i].size)))
            return true;
    return false;
}

static bool known(const struct gh_reach_bypasses *out, const struct gh_policy_reason *deny)
{
    for (size_t i = 0; i < out->count; i++)
        if (out->items[i].deny.statement == deny->statement &&
            gh_slice_equal(out->items[i].deny.document, deny->document))
            return true;
    return false;
}

static bool bypass_find(const struct gh_statements *statements, const struct gh_pattern_list *list,
                        const struct gh_pattern *pattern, struct gh_arena *arena,
                        struct gh_reach *reach)
{
    struct search *s = search_new(statements, GH_DEVICE_ACTION_RECEIVE, GH_REACH_BYPASS_STATES_MAX);
    if (s == NULL)
        return false;
    gh_automaton_pattern(&s->automata[COVER], &list->pool, pattern);
    begin(s, FIRST);
    bool good = run(s, arena, reach);
    end(s);
    return good;
}

enum gh_error_code gh_statements_bypasses(const struct gh_statements *statements,
                                          struct gh_arena *arena, struct gh_reach_bypasses *out,
                                          struct gh_error *error)
{
    struct gh_pattern_list list =
        gh_statements_patterns(statements, GH_DEVICE_ACTION_SUBSCRIBE, true);
    out->count = out->unknown = 0;
    for (size_t i = 0; i < list.count && out->count < GH_REACH_BYPASSES_MAX; i++) {
        const struct gh_pattern *pattern = &list.items[i];
        struct gh_reach reach = {0};
        if (pattern->form == GH_PATTERN_NONE_OF || stops_wide(&list, pattern))
            continue;
        struct gh_policy_reason deny = gh_statements_origin(statements, pattern, GH_POLICY_DENY);
        if (known(out, &deny))
            continue;
        if (!bypass_find(statements, &list, pattern, arena, &reach))
            return gh_error_set(error, GH_ERROR_MEMORY, "no memory to check the policies");
        out->unknown += reach.answer == GH_REACH_UNKNOWN;
        if (reach.answer == GH_REACH_POSSIBLE)
            out->items[out->count++] = (struct gh_reach_bypass){deny, reach.topic, reach.filter};
    }
    return GH_OK;
}
