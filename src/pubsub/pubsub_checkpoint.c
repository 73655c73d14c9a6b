/* What survives a restart: a checkpoint of all deliveries, and the journal records behind it. */
#include "base/log.h"
#include "base/secret.h"
#include "pubsub/pubsub_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHECKPOINT_BYTES_MAX = 256 * 1024 * 1024, PATH_BYTES_MAX = 4096 };

static char *path_of(const struct gh_pubsub *ps, const char *name, char out[PATH_BYTES_MAX])
{
    snprintf(out, PATH_BYTES_MAX, "%s/%s", ps->folder, name);
    return out;
}

static int by_offset(const void *a, const void *b)
{
    const struct gh_delivery_entry *x = *(const struct gh_delivery_entry *const *)a;
    const struct gh_delivery_entry *y = *(const struct gh_delivery_entry *const *)b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* In the order of their offsets, which is the fastest to read into chains again; in any when there
 * is no memory to sort. */
static void entries_write(const struct gh_delivery *delivery, struct gh_buffer *out)
{
    const struct gh_delivery_entry **sorted = calloc(delivery->count + 1, sizeof *sorted);
    size_t count = 0;
    for (size_t i = 0; sorted != NULL && i < delivery->entries_used; i++)
        if (delivery->entries[i].state != GH_DELIVERY_FREE)
            sorted[count++] = &delivery->entries[i];
    if (sorted != NULL)
        qsort(sorted, count, sizeof *sorted, by_offset);
    else
        count = delivery->entries_used;
    for (size_t i = 0; i < count; i++) {
        const struct gh_delivery_entry *entry = sorted != NULL ? sorted[i] : &delivery->entries[i];
        if (entry->state != GH_DELIVERY_FREE)
            gh_checkpoint_entry(out, &(struct gh_checkpoint_entry){.offset = entry->offset,
                                                                   .key = gh_delivery_key(entry),
                                                                   .position = entry->position,
                                                                   .attempts = entry->attempts,
                                                                   .failures = entry->failures});
    }
    free(sorted);
}

void gh_pubsub_state_write(const struct gh_pubsub *ps, struct gh_pubsub_subscription *subscription,
                           struct gh_buffer *out)
{
    struct gh_delivery *delivery = &subscription->delivery;
    if (subscription->live)
        gh_delivery_read_to(delivery, ps->read_to);
    gh_checkpoint_subscription(out, &(struct gh_checkpoint_subscription){
                                        .number = subscription->what.number,
                                        .topic = subscription->what.topic_number,
                                        .read_to = delivery->read_to,
                                        .active_at_ms = (uint64_t)subscription->active_at_ms});
    gh_buffer_u32(out, (uint32_t)delivery->count);
    entries_write(delivery, out);
    gh_buffer_u32(out, (uint32_t)delivery->acked_count);
    for (size_t i = 0; i < delivery->acked_count; i++)
        gh_buffer_u64(out, delivery->acked[i]);
}

/* Written beside the old one, which it then replaces whole. */
static bool file_replace(const struct gh_pubsub *ps, struct gh_slice bytes)
{
    const struct gh_log_files *files = ps->files;
    char path[PATH_BYTES_MAX], next[PATH_BYTES_MAX];
    path_of(ps, "subscriptions.state", path);
    path_of(ps, "subscriptions.next", next);
    int file = files->open(files->context, next, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0)
        return false;
    bool written = true;
    for (size_t done = 0; written && done < bytes.size;) {
        long put =
            files->write(files->context, file, bytes.data + done, bytes.size - done, (int64_t)done);
        written = put > 0 || (put < 0 && errno == EINTR);
        done += put > 0 ? (size_t)put : 0;
    }
    written = written && files->sync_data(files->context, file) == 0;
    files->close(files->context, file);
    if (!written || files->rename(files->context, next, path) != 0) {
        files->remove(files->context, next);
        return false;
    }
    int folder = files->open(files->context, ps->folder, O_RDONLY | O_DIRECTORY, 0);
    if (folder < 0)
        return false;
    bool synced = files->sync_all(files->context, folder) == 0;
    files->close(files->context, folder);
    return synced;
}

bool gh_pubsub_checkpoint(struct gh_pubsub *ps)
{
    struct gh_buffer out;
    struct gh_slice key;
    void *subscription;

    /* Only this room writes journal records: with none under way all that are there are applied. */
    if (ps->acks_under_way == 0 && ps->reader != NULL)
        ps->replay_from = gh_log_next(ps->log);
    struct gh_checkpoint checkpoint = {.replay_from = ps->replay_from,
                                       .count = (uint32_t)ps->subscriptions.count};
    memcpy(checkpoint.ack_key, ps->ack_key, sizeof checkpoint.ack_key);
    gh_buffer_init(&out, CHECKPOINT_BYTES_MAX);
    gh_checkpoint_begin(&out, &checkpoint);
    for (size_t at = 0; gh_map_next(&ps->subscriptions, &at, &key, &subscription);)
        gh_pubsub_state_write(ps, subscription, &out);
    bool saved = gh_checkpoint_end(&out) && file_replace(ps, gh_buffer_slice(&out));
    gh_buffer_deinit(&out);
    if (saved) {
        ps->changed = false;
        ps->journalled = 0;
    }
    return saved;
}

/* Makes room for the state of the subscription that `head` names. */
static void state_begin(struct gh_pubsub_subscription *subscription,
                        const struct gh_checkpoint_subscription *head)
{
    gh_pubsub_delivery_begin(subscription, 0);
    subscription->live = false;
    if (head->active_at_ms != 0)
        subscription->active_at_ms = (int64_t)head->active_at_ms;
    if (subscription->what.topic_number == 0) /* deleted: the store does not know it any more */
        subscription->what.topic_number = head->topic;
}

bool gh_pubsub_state_read(struct gh_pubsub *ps, struct gh_cursor *at, uint32_t format,
                          struct gh_pubsub_subscription *other)
{
    struct gh_checkpoint_subscription head;
    struct gh_checkpoint_entry entry;
    uint32_t count;
    uint64_t offset, next = gh_log_next(ps->log);

    if (!gh_checkpoint_subscription_read(at, format, &head) || !gh_cursor_u32(at, &count))
        return false;
    struct gh_pubsub_subscription *subscription = other;
    if (other == NULL)
        subscription = gh_map_get(&ps->subscriptions_by_number, gh_pubsub_number_key(&head.number));
    struct gh_delivery *delivery = subscription == NULL ? NULL : &subscription->delivery;
    if (subscription != NULL)
        state_begin(subscription, &head);
    for (uint32_t i = 0; i < count; i++) {
        if (!gh_checkpoint_entry_read(at, format, &entry))
            return false;
        if (subscription == NULL || entry.offset >= next)
            continue;
        if (!gh_delivery_add(delivery, entry.offset, entry.position,
                             subscription->what.is_ordered ? entry.key : 0))
            return false;
        gh_delivery_recall(delivery, entry.offset, entry.attempts, (uint16_t)entry.failures);
    }
    if (subscription != NULL)
        gh_delivery_read_to(delivery, head.read_to < next ? head.read_to : next);
    if (!gh_cursor_u32(at, &count))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!gh_cursor_u64(at, &offset))
            return false;
        if (subscription != NULL && offset < next && !gh_delivery_ack_done(delivery, offset))
            return false;
    }
    return true;
}

enum load { LOADED, LOAD_NOTHING, LOAD_DAMAGED };

static enum load checkpoint_parse(struct gh_pubsub *ps, struct gh_slice bytes)
{
    struct gh_checkpoint checkpoint;
    struct gh_cursor at;
    if (!gh_checkpoint_open(bytes, &at, &checkpoint))
        return LOAD_DAMAGED;
    memcpy(ps->ack_key, checkpoint.ack_key, sizeof ps->ack_key);
    for (uint32_t i = 0; i < checkpoint.count; i++)
        if (!gh_pubsub_state_read(ps, &at, checkpoint.format, NULL))
            return LOAD_DAMAGED;
    ps->replay_from = checkpoint.replay_from;
    return LOADED;
}

static enum load checkpoint_load(struct gh_pubsub *ps)
{
    char path[PATH_BYTES_MAX];
    struct stat about;
    enum load outcome = LOAD_DAMAGED;
    int file =
        ps->files->open(ps->files->context, path_of(ps, "subscriptions.state", path), O_RDONLY, 0);
    if (file < 0)
        return errno == ENOENT ? LOAD_NOTHING : LOAD_DAMAGED;
    if (fstat(file, &about) == 0 && about.st_size > 0 && about.st_size <= CHECKPOINT_BYTES_MAX) {
        size_t size = (size_t)about.st_size;
        uint8_t *bytes = malloc(size);
        if (bytes != NULL &&
            ps->files->read(ps->files->context, file, bytes, size, 0) == (long)size)
            outcome = checkpoint_parse(ps, gh_slice(bytes, size));
        free(bytes);
    }
    ps->files->close(ps->files->context, file);
    return outcome;
}

/* Without a checkpoint everything is learnt from the log: each delivery begins where its
 * subscription did. */
static void begin_again(struct gh_pubsub *ps)
{
    struct gh_slice key;
    void *value;
    uint64_t next = gh_log_next(ps->log);
    for (size_t at = 0; gh_map_next(&ps->subscriptions, &at, &key, &value);) {
        struct gh_pubsub_subscription *subscription = value;
        uint64_t first = subscription->first_offset < next ? subscription->first_offset : next;
        gh_pubsub_delivery_begin(subscription, first);
    }
    ps->replay_from = 1;
}

static bool ack_replay(struct gh_pubsub *ps, struct gh_slice body)
{
    struct gh_journal_ack ack;
    uint64_t offset;
    if (!gh_journal_ack_read(body, &ack))
        return false;
    struct gh_pubsub_subscription *subscription =
        gh_map_get(&ps->subscriptions_by_number, gh_pubsub_number_key(&ack.subscription));
    while (subscription != NULL && gh_journal_ack_next(&ack, &offset))
        if (!gh_delivery_ack_done(&subscription->delivery, offset))
            return false;
    return subscription == NULL || ack.left == 0;
}

static bool seek_replay(struct gh_pubsub *ps, struct gh_slice body)
{
    struct gh_journal_seek seek;
    if (!gh_journal_seek_read(body, &seek))
        return false;
    struct gh_pubsub_subscription *subscription =
        gh_map_get(&ps->subscriptions_by_number, gh_pubsub_number_key(&seek.subscription));
    return subscription == NULL ||
           gh_delivery_seek(&subscription->delivery, seek.from, seek.again_from);
}

static bool state_replay(struct gh_pubsub *ps, struct gh_slice body)
{
    struct gh_cursor at;
    return gh_journal_state_open(body, &at) &&
           gh_pubsub_state_read(ps, &at, GH_CHECKPOINT_FORMAT, NULL);
}

static enum gh_error_code replay(struct gh_pubsub *ps, struct gh_error *error)
{
    struct gh_log_record record;
    enum gh_log_read step;
    struct gh_log_reader *reader = gh_log_reader_open(ps->log);
    if (reader == NULL)
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory to read the log");
    gh_log_reader_seek(reader, ps->replay_from);
    do {
        step = gh_log_reader_next(reader, GH_PUBSUB_JOURNAL_TAG, &record);
        if (step == GH_LOG_READ_RECORD && !ack_replay(ps, record.body) &&
            !seek_replay(ps, record.body) && !state_replay(ps, record.body))
            gh_log(GH_LOG_ERROR, "pubsub",
                   "journal record %llu is not understood; its messages may be delivered again",
                   (unsigned long long)record.offset);
    } while (step == GH_LOG_READ_RECORD || step == GH_LOG_READ_PAUSE);
    gh_log_reader_close(reader);
    if (step == GH_LOG_READ_FAILED)
        return gh_error_set(error, GH_ERROR_LOG_OPEN, "the journal in %s cannot be read",
                            ps->folder);
    ps->replay_from = gh_log_next(ps->log);
    return GH_OK;
}

enum gh_error_code gh_pubsub_restore(struct gh_pubsub *ps, struct gh_error *error)
{
    gh_random(ps->ack_key, sizeof ps->ack_key); /* of a first start, or when the old one is lost */
    enum load loaded = checkpoint_load(ps);
    if (loaded == LOAD_DAMAGED)
        gh_log(
            GH_LOG_WARN, "pubsub",
            "%s/subscriptions.state is not whole; acknowledgements are read from the log instead",
            ps->folder);
    if (loaded != LOADED)
        begin_again(ps);
    return replay(ps, error);
}
