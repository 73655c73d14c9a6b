#include "pubsub/filter.h"
#include "wire/utf8.h"
#include <stdlib.h>
#include <string.h>

/* Steps work on one truth value: a test sets it, a jump passes over steps that cannot change the
 * outcome any more. No step is longer than its spelling, so that the text bounds them. */
enum op { OP_HAS, OP_EQUAL, OP_PREFIX, OP_NOT, OP_JUMP_FALSE, OP_JUMP_TRUE };

struct step {
    enum op op;
    struct gh_slice key, value;
    size_t to; /* of a jump: the step behind what it passes over */
};

struct gh_filter {
    size_t steps_count;
    struct step steps[GH_FILTER_BYTES_MAX];
    size_t texts_used;
    uint8_t texts[GH_FILTER_BYTES_MAX]; /* keys and values without their quotes */
};

struct reader {
    struct gh_slice text;
    size_t at;
    unsigned depth;
    struct gh_filter *filter;
    const char *wanted; /* what should have stood at `at` */
};

static bool refuse(struct reader *reader, const char *wanted)
{
    if (reader->wanted == NULL)
        reader->wanted = wanted;
    return false;
}

static int peek(struct reader *reader)
{
    while (reader->at < reader->text.size &&
           memchr(" \t\r\n", reader->text.data[reader->at], 4) != NULL)
        reader->at++;
    return reader->at < reader->text.size ? reader->text.data[reader->at] : -1;
}

static bool is_word_byte(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '_' || byte == '-';
}

/* The word that begins here, empty when none does. */
static struct gh_slice word_at(struct reader *reader)
{
    (void)peek(reader);
    size_t end = reader->at;
    while (end < reader->text.size && is_word_byte(reader->text.data[end]))
        end++;
    return gh_slice_sub(reader->text, reader->at, end - reader->at);
}

static bool take_word(struct reader *reader, const char *word)
{
    struct gh_slice found = word_at(reader);
    if (!gh_slice_equal(found, gh_slice_text(word)))
        return false;
    reader->at += found.size;
    return true;
}

static bool take_byte(struct reader *reader, uint8_t byte)
{
    if (peek(reader) != byte)
        return false;
    reader->at++;
    return true;
}

static void keep(struct gh_filter *filter, uint8_t byte)
{
    filter->texts[filter->texts_used++] = byte; /* never more than the filter's own text */
}

/* A text in quotes. */
static bool read_quoted(struct reader *reader, struct gh_slice *out)
{
    struct gh_filter *filter = reader->filter;
    size_t begin = filter->texts_used;
    if (!take_byte(reader, '"'))
        return refuse(reader, "a text in quotes");
    while (reader->at < reader->text.size) {
        uint8_t byte = reader->text.data[reader->at++];
        if (byte == '"') {
            *out = gh_slice(filter->texts + begin, filter->texts_used - begin);
            return true;
        }
        if (byte == '\\' && reader->at == reader->text.size)
            break;
        keep(filter, byte == '\\' ? reader->text.data[reader->at++] : byte);
    }
    return refuse(reader, "a closing quote");
}

static bool read_key(struct reader *reader, struct gh_slice *out)
{
    struct gh_filter *filter = reader->filter;
    if (peek(reader) == '"')
        return read_quoted(reader, out) && (out->size > 0 || refuse(reader, "a key"));
    struct gh_slice word = word_at(reader);
    if (word.size == 0)
        return refuse(reader, "an attribute's key");
    *out = gh_slice(filter->texts + filter->texts_used, word.size);
    for (size_t i = 0; i < word.size; i++)
        keep(filter, word.data[i]);
    reader->at += word.size;
    return true;
}

static size_t put(struct reader *reader, struct step step)
{
    reader->filter->steps[reader->filter->steps_count] = step;
    return reader->filter->steps_count++;
}

static bool read_prefix(struct reader *reader)
{
    struct step step = {.op = OP_PREFIX};
    if (!take_byte(reader, '(') || !take_word(reader, "attributes") || !take_byte(reader, '.'))
        return refuse(reader, "(attributes.KEY, \"value\")");
    if (!read_key(reader, &step.key))
        return false;
    if (!take_byte(reader, ','))
        return refuse(reader, "a comma");
    if (!read_quoted(reader, &step.value))
        return false;
    put(reader, step);
    return take_byte(reader, ')') || refuse(reader, "a closing parenthesis");
}

static bool read_attribute(struct reader *reader)
{
    struct step step = {.op = OP_HAS};
    if (take_byte(reader, ':')) {
        if (!read_key(reader, &step.key))
            return false;
        put(reader, step);
        return true;
    }
    if (!take_byte(reader, '.'))
        return refuse(reader, "a dot or a colon");
    if (!read_key(reader, &step.key))
        return false;
    bool differs = take_byte(reader, '!');
    if (!take_byte(reader, '='))
        return refuse(reader, "= or !=");
    step.op = OP_EQUAL;
    if (!read_quoted(reader, &step.value))
        return false;
    put(reader, step);
    if (differs)
        put(reader, (struct step){.op = OP_NOT});
    return true;
}

static bool read_any(struct reader *reader);

static bool read_term(struct reader *reader)
{
    if (++reader->depth > GH_FILTER_DEPTH_MAX)
        return refuse(reader, "less depth");
    bool read;
    if (take_byte(reader, '-') || take_word(reader, "NOT")) {
        read = read_term(reader);
        if (read)
            put(reader, (struct step){.op = OP_NOT});
    } else if (take_byte(reader, '(')) {
        read = read_any(reader) && (take_byte(reader, ')') || refuse(reader, "a parenthesis"));
    } else if (take_word(reader, "hasPrefix")) {
        read = read_prefix(reader);
    } else {
        read = take_word(reader, "attributes") ? read_attribute(reader)
                                               : refuse(reader, "attributes or hasPrefix");
    }
    reader->depth--;
    return read;
}

/* x, x AND y AND …, or x OR y OR …: the first operator decides which. */
static bool read_any(struct reader *reader)
{
    static const struct {
        const char *word;
        enum op jump;
    } operators[] = {{"AND", OP_JUMP_FALSE}, {"OR", OP_JUMP_TRUE}};
    if (!read_term(reader))
        return false;
    for (size_t i = 0; i < GH_COUNT(operators); i++) {
        size_t first = reader->filter->steps_count;
        while (take_word(reader, operators[i].word)) {
            put(reader, (struct step){.op = operators[i].jump});
            if (!read_term(reader))
                return false;
        }
        size_t end = reader->filter->steps_count;
        for (size_t at = first; at < end; at++) /* those of inner parentheses have their end */
            if (reader->filter->steps[at].op == operators[i].jump &&
                reader->filter->steps[at].to == 0)
                reader->filter->steps[at].to = end;
        if (end > first)
            return true;
    }
    return true;
}

struct gh_filter *gh_filter_open(struct gh_slice text, struct gh_error *error)
{
    if (text.size > GH_FILTER_BYTES_MAX || !gh_utf8_valid(text)) {
        gh_error_set(error, GH_ERROR_INVALID, "filter: at most %d bytes of UTF-8",
                     GH_FILTER_BYTES_MAX);
        return NULL;
    }
    struct gh_filter *filter = calloc(1, sizeof *filter);
    if (filter == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "no memory for a filter");
        return NULL;
    }
    struct reader reader = {.text = text, .filter = filter};
    if (read_any(&reader) &&
        (peek(&reader) < 0 || refuse(&reader, "its end, or parentheses around AND and OR")))
        return filter;
    gh_error_set(error, GH_ERROR_INVALID, "filter: %s is missing at byte %zu", reader.wanted,
                 reader.at + 1);
    gh_filter_close(filter);
    return NULL;
}

void gh_filter_close(struct gh_filter *filter)
{
    free(filter);
}

static bool test(const struct step *step, const struct gh_message *message)
{
    for (size_t i = 0; i < message->attributes_count; i++) {
        const struct gh_message_attribute *each = &message->attributes[i];
        if (gh_slice_equal(each->key, step->key))
            return step->op == OP_HAS ||
                   (step->op == OP_EQUAL ? gh_slice_equal(each->value, step->value)
                                         : gh_slice_starts(each->value, step->value));
    }
    return false;
}

bool gh_filter_matches(const struct gh_filter *filter, const struct gh_message *message)
{
    bool is_true = false;
    for (size_t at = 0; at < filter->steps_count;) {
        const struct step *step = &filter->steps[at++];
        if (step->op == OP_NOT)
            is_true = !is_true;
        else if (step->op == OP_JUMP_FALSE || step->op == OP_JUMP_TRUE)
            at = is_true == (step->op == OP_JUMP_TRUE) ? step->to : at;
        else
            is_true = test(step, message);
    }
    return is_true;
}
