#include "pubsub/log.h"
#include "pubsub/log_disk.h"
#include "pubsub/segment.h"
#include "tests/check.h"
#include <dirent.h>
#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>

enum { TAG = 3, OTHER_TAG = 4, MANY = 400 };

static _Atomic int64_t clock_ms = 1000000;

static int64_t test_utc_ms(void *context)
{
    (void)context;
    return clock_ms;
}

static struct gh_log_options options_for(const char *folder, struct disk *disk)
{
    return (struct gh_log_options){.folder = folder,
                                   .segment_bytes = 16 * 1024,
                                   .clock = {.utc_ms = test_utc_ms},
                                   .files = disk == NULL ? NULL : &disk->files};
}

static struct gh_log *open_log(const char *folder, struct disk *disk)
{
    struct gh_error error = {0};
    struct gh_log_options options = options_for(folder, disk);
    struct gh_log *log = gh_log_open(&options, &error);
    if (log == NULL)
        fprintf(stderr, "%s\n", error.text);
    REQUIRE("the log opens", log != NULL);
    return log;
}

/* "record 17 ......" with a length that depends on the number. */
static struct gh_slice text_of(uint64_t number)
{
    static char text[1024];
    size_t size = (size_t)snprintf(text, sizeof text, "record %" PRIu64 " ", number);
    size_t more = number * 37 % 700;
    memset(text + size, '.', more);
    return gh_slice(text, size + more);
}

static void append_many(struct gh_log *log, uint64_t first, size_t count, uint32_t tag)
{
    for (uint64_t i = first; i < first + count; i++) {
        uint64_t offset = 0;
        CHECK("an append succeeds", gh_log_append_wait(log, tag, text_of(i), &offset) == GH_OK);
        CHECK("offsets count up", offset == i);
    }
}

/* Reads from `first` and checks that records first, first + 1, ... come, whole and in order. */
static uint64_t read_all(struct gh_log *log, uint64_t first, uint32_t tag)
{
    struct gh_log_record record;
    struct gh_log_reader *reader = gh_log_reader_open(log);
    struct gh_buffer buffer;
    uint64_t count = 0, last = 0;
    REQUIRE("a reader", reader != NULL);
    gh_buffer_init(&buffer, 1 << 20);
    gh_log_reader_seek(reader, first);
    while (gh_log_reader_next(reader, tag, &record) == GH_LOG_READ_RECORD) {
        struct gh_log_record again = {0};
        CHECK("in order", record.offset > last && record.offset >= first);
        CHECK("whole", gh_slice_equal(record.body, text_of(record.offset)));
        CHECK("fetched alone it is the same",
              gh_log_fetch(log, record.offset, record.position, &buffer, &again) ==
                      GH_LOG_FETCHED &&
                  gh_slice_equal(again.body, text_of(record.offset)) && again.tag == record.tag);
        CHECK("not at another place", gh_log_fetch(log, record.offset, record.position + 1, &buffer,
                                                   &again) == GH_LOG_FETCH_GONE);
        last = record.offset;
        count++;
    }
    CHECK("at the end the position is the end", gh_log_reader_offset(reader) == gh_log_next(log));
    gh_buffer_deinit(&buffer);
    gh_log_reader_close(reader);
    return count;
}

static void check_reopen(void)
{
    const char *folder = check_folder();
    struct gh_log *log = open_log(folder, NULL);
    struct gh_log_options options = options_for(folder, NULL);
    struct gh_error error;

    CHECK("a new log is empty", gh_log_next(log) == 1 && read_all(log, 1, GH_LOG_ANY_TAG) == 0);
    CHECK("one process at a time",
          gh_log_open(&options, &error) == NULL && error.code == GH_ERROR_IN_USE);
    append_many(log, 1, MANY, TAG);
    CHECK("all are read", read_all(log, 1, GH_LOG_ANY_TAG) == MANY);
    CHECK("there are several segments", gh_log_status(log).segments > 5);
    gh_log_close(log);

    for (int round = 0; round < 2; round++) { /* with the index files, and without */
        log = open_log(folder, NULL);
        CHECK("all are there after a restart", read_all(log, 1, GH_LOG_ANY_TAG) == MANY);
        CHECK("from the middle", read_all(log, MANY / 2, TAG) == MANY / 2 + 1);
        CHECK("none of a tag that is not there", read_all(log, 1, OTHER_TAG) == 0);
        CHECK("the next offset goes on", gh_log_next(log) == MANY + 1);
        CHECK("nothing was damaged", gh_log_status(log).damaged == 0);
        gh_log_close(log);
        DIR *entries = opendir(folder);
        for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
            char path[1024];
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            if (strstr(entry->d_name, ".idx") != NULL)
                CHECK("an index file goes", unlink(path) == 0);
        }
        closedir(entries);
    }
}

static void check_tags(void)
{
    struct gh_log *log = open_log(check_folder(), NULL);
    append_many(log, 1, 100, TAG);
    append_many(log, 101, 3, OTHER_TAG);
    append_many(log, 104, 100, TAG);
    CHECK("the few of one tag", read_all(log, 1, OTHER_TAG) == 3);
    CHECK("the many of the other", read_all(log, 1, TAG) == 200);

    struct gh_log_record record;
    struct gh_log_reader *reader = gh_log_reader_open(log);
    gh_log_reader_seek(reader, 102);
    CHECK("sought", gh_log_reader_next(reader, OTHER_TAG, &record) == GH_LOG_READ_RECORD &&
                        record.offset == 102);
    CHECK("the next", gh_log_reader_next(reader, OTHER_TAG, &record) == GH_LOG_READ_RECORD);
    CHECK("the end", gh_log_reader_next(reader, OTHER_TAG, &record) == GH_LOG_READ_END);
    append_many(log, 204, 1, OTHER_TAG);
    CHECK("a reader at the end sees what comes",
          gh_log_reader_next(reader, OTHER_TAG, &record) == GH_LOG_READ_RECORD &&
              record.offset == 204);
    gh_log_reader_seek(reader, 101);
    CHECK("and back", gh_log_reader_next(reader, OTHER_TAG, &record) == GH_LOG_READ_RECORD &&
                          record.offset == 101);
    gh_log_reader_close(reader);
    gh_log_close(log);
}

static void check_times(void)
{
    struct gh_log *log = open_log(check_folder(), NULL);
    clock_ms = 5000;
    for (uint64_t i = 1; i <= 200; i++) {
        clock_ms = 5000 + (int64_t)i * 10;
        append_many(log, i, 1, TAG);
    }
    CHECK("before all", gh_log_offset_at(log, 0) == 1);
    CHECK("exactly", gh_log_offset_at(log, 5000 + 77 * 10) == 77);
    CHECK("between", gh_log_offset_at(log, 5000 + 77 * 10 + 1) == 78);
    CHECK("after all", gh_log_offset_at(log, 100000) == 201);
    clock_ms = 1;
    append_many(log, 201, 1, TAG);
    CHECK("a clock that steps back does not make time go back",
          gh_log_offset_at(log, 7000) == 200 && gh_log_offset_at(log, 7001) == 202);
    gh_log_close(log);
    clock_ms = 1000000;
}

static void settle(struct gh_log *log) /* the log thread has seen everything before */
{
    gh_log_tidy(log);
    CHECK("settled", gh_log_append_wait(log, TAG, GH_SLICE("settle"), NULL) == GH_OK);
    CHECK("settled", gh_log_append_wait(log, TAG, GH_SLICE("settle"), NULL) == GH_OK);
}

static void check_clock_step(void)
{
    struct gh_log_record record;
    struct gh_error error;
    struct gh_log_options options = options_for(check_folder(), NULL);
    options.age_max_ms = 1000;
    clock_ms = 4000000000000; /* a clock in the year 2096 */
    struct gh_log *log = gh_log_open(&options, &error);
    append_many(log, 1, 100, TAG);
    clock_ms = 1800000000000;
    append_many(log, 101, 100, TAG);
    struct gh_log_reader *reader = gh_log_reader_open(log);
    gh_log_reader_seek(reader, 101);
    CHECK("a clock set right by more than a minute is followed",
          gh_log_reader_next(reader, TAG, &record) == GH_LOG_READ_RECORD &&
              record.at_ms == 1800000000000);
    gh_log_reader_close(reader);
    CHECK("all are read", read_all(log, 1, TAG) == 200);
    gh_log_close(log);
    log = gh_log_open(&options, &error);
    append_many(log, 201, 100, TAG);
    clock_ms += 5000;
    settle(log);
    CHECK("records of the future do not hold up retention", gh_log_status(log).first > 200);
    gh_log_close(log);
    clock_ms = 1000000;
}

static void check_old_segments_wait(void)
{
    struct gh_error error;
    struct gh_log_options options = options_for(check_folder(), NULL);
    options.age_max_ms = 1000;
    struct gh_log *log = gh_log_open(&options, &error);
    append_many(log, 1, 200, TAG);
    gh_log_close(log);
    clock_ms += 5000;
    log = gh_log_open(&options, &error);
    /* Answered after the thread has been around: what it would do at its start is done. */
    CHECK("one more", gh_log_append_wait(log, TAG, GH_SLICE("x"), NULL) == GH_OK &&
                          gh_log_append_wait(log, TAG, GH_SLICE("x"), NULL) == GH_OK);
    struct gh_log_hold *hold = gh_log_hold_open(log, "a late reader", 1);
    settle(log);
    CHECK("who opens the log can still hold what is old", gh_log_status(log).first == 1);
    gh_log_hold_close(hold);
    settle(log);
    CHECK("and then it goes", gh_log_status(log).first > 1);
    gh_log_close(log);
    clock_ms = 1000000;
}

struct collector {
    atomic_uint stored, failed;
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

static void collect(void *context, struct gh_letter *letter)
{
    struct collector *collector = context;
    struct gh_append *append =
        (struct gh_append *)((char *)letter - offsetof(struct gh_append, done));
    pthread_mutex_lock(&collector->lock);
    atomic_fetch_add(append->result == GH_OK ? &collector->stored : &collector->failed, 1);
    pthread_cond_broadcast(&collector->changed);
    pthread_mutex_unlock(&collector->lock);
}

static void await_all(struct collector *collector, unsigned count)
{
    pthread_mutex_lock(&collector->lock);
    while (collector->stored + collector->failed < count)
        pthread_cond_wait(&collector->changed, &collector->lock);
    pthread_mutex_unlock(&collector->lock);
}

static struct collector collector_new(void)
{
    return (struct collector){.lock = PTHREAD_MUTEX_INITIALIZER,
                              .changed = PTHREAD_COND_INITIALIZER};
}

/* While one sync stands still, all that is appended waits, invisible, and goes with the next. */
static void check_group_commit(void)
{
    struct disk disk;
    disk_init(&disk, 1);
    struct gh_log_options options = options_for(check_folder(), &disk);
    struct gh_error error;
    static struct gh_append appends[64];
    struct collector collector = collector_new();
    options.queue_count_max = 64;
    struct gh_log *log = gh_log_open(&options, &error);
    REQUIRE("the log opens", log != NULL);
    append_many(log, 1, 1, TAG);

    disk_hold(&disk, true);
    for (unsigned i = 0; i < GH_COUNT(appends); i++) {
        appends[i] = (struct gh_append){
            .reply = collect, .reply_context = &collector, .tag = TAG, .body = GH_SLICE("x")};
        CHECK("an append is taken", gh_log_append(log, &appends[i]));
        if (i == 0)
            disk_await_sync(&disk);
    }
    struct gh_append more = {.reply = collect, .reply_context = &collector, .tag = TAG};
    CHECK("a full queue refuses", !gh_log_append(log, &more));
    CHECK("nothing is visible or answered before the sync",
          gh_log_next(log) == 2 && read_all(log, 1, TAG) == 1 && collector.stored == 0);
    unsigned syncs = disk.syncs;
    disk_hold(&disk, false);
    await_all(&collector, GH_COUNT(appends));
    CHECK("all are stored", collector.stored == GH_COUNT(appends) && gh_log_next(log) == 66);
    CHECK("with two syncs", disk.syncs - syncs == 2);
    CHECK("the queue has room again", gh_log_append(log, &more));
    await_all(&collector, GH_COUNT(appends) + 1);

    struct gh_append large = {.reply = collect, .reply_context = &collector, .tag = TAG};
    large.body = gh_slice(&disk, (size_t)17 * 1024 * 1024); /* refused by its size, never read */
    CHECK("a record over the limit is refused", !gh_log_append(log, &large));
    gh_log_close(log);
}

static void append_fails(struct gh_log *log, const char *claim)
{
    static const uint8_t lost[4096]; /* more than any record that was stored */
    CHECK(claim,
          gh_log_append_wait(log, TAG, gh_slice(lost, sizeof lost), NULL) == GH_ERROR_LOG_FULL);
    CHECK(claim, gh_log_status(log).full);
}

static void check_full_disk(void)
{
    struct disk disk;
    disk_init(&disk, 2);
    struct gh_log *log = open_log(check_folder(), &disk);
    append_many(log, 1, 20, TAG);
    disk_set(&disk, 0, 0, 0);
    uint64_t next = 21; /* the segment's zeros may take some more */
    while (gh_log_append_wait(log, TAG, text_of(next), NULL) == GH_OK)
        next++;
    append_fails(log, "a full disk refuses");
    CHECK("what was stored is still read", read_all(log, 1, TAG) == next - 1);
    disk_set(&disk, 100, 0, 0);
    append_fails(log, "half a record on the disk is no record");
    disk_set(&disk, INT64_MAX / 2, 0, 0);
    append_many(log, next, 100, TAG);
    CHECK("it recovers by itself", !gh_log_status(log).full && read_all(log, 1, TAG) == next + 99);
    gh_log_close(log);
}

static void check_full_at_open_and_probe(void)
{
    struct disk disk;
    struct gh_error error;
    disk_init(&disk, 3);
    disk_set(&disk, 0, 0, 0);
    struct gh_log_options options = options_for(check_folder(), &disk);
    options.retry_ms = 1;
    struct gh_log *log = gh_log_open(&options, &error);
    REQUIRE("a full disk does not keep the log from opening", log != NULL);
    append_fails(log, "but from writing");
    disk_set(&disk, INT64_MAX / 2, 0, 0);
    while (gh_log_status(log).full) /* ends within some retries, or CTest ends it */
        sched_yield();
    append_many(log, 1, 10, TAG);
    CHECK("recovered without an append", read_all(log, 1, TAG) == 10);
    gh_log_close(log);
}

static void check_write_error(void)
{
    const char *folder = check_folder();
    struct disk disk;
    disk_init(&disk, 4);
    struct gh_log *log = open_log(folder, &disk);
    append_many(log, 1, 5, TAG);
    disk_set(&disk, INT64_MAX / 2, 1, 0);
    append_fails(log, "EIO of a write refuses");
    append_many(log, 6, 5, TAG);
    CHECK("no gap", read_all(log, 1, TAG) == 10 && gh_log_status(log).segments == 1);
    gh_log_close(log);
}

/* After a failed fdatasync the segment is left: what it holds unsynced is never trusted. */
static void check_sync_error(void)
{
    const char *folder = check_folder();
    struct disk disk;
    disk_init(&disk, 5);
    struct gh_log *log = open_log(folder, &disk);
    append_many(log, 1, 5, TAG);
    disk_set(&disk, INT64_MAX / 2, 0, 1);
    append_fails(log, "EIO of a sync refuses");
    CHECK("what was durable stays", read_all(log, 1, TAG) == 5);
    append_many(log, 6, 5, TAG);
    CHECK("the next goes to a new segment", gh_log_status(log).segments == 2);
    CHECK("no gap, nothing twice", read_all(log, 1, TAG) == 10);
    disk_set(&disk, INT64_MAX / 2, 0, 3);
    append_fails(log, "again");
    append_fails(log, "and when the new segment cannot be synced");
    append_fails(log, "nor the next");
    append_many(log, 11, 5, TAG);
    gh_log_close(log);
    log = open_log(folder, &disk);
    CHECK("nor after a restart", read_all(log, 1, TAG) == 15 && gh_log_status(log).damaged == 0);
    gh_log_close(log);

    disk_init(&disk,
              6); /* the very first sync of a segment's records fails: its name is used again */
    folder = check_folder();
    log = open_log(folder, &disk);
    disk_set(&disk, INT64_MAX / 2, 0, 0);
    append_many(log, 1, 1, TAG);
    gh_log_close(log);
    char path[1024];
    snprintf(path, sizeof path, "%s/%020d.seg", folder, 1);
    CHECK("cut to its header", truncate(path, 64) == 0);
    log = open_log(folder, &disk);
    disk_set(&disk, INT64_MAX / 2, 0, 1);
    append_fails(log, "the first record's sync");
    append_many(log, 1, 3, TAG);
    CHECK("one segment, three records",
          gh_log_status(log).segments == 1 && read_all(log, 1, TAG) == 3);
    gh_log_close(log);
}

static void change_file(const char *folder, int base, long at, const void *bytes, size_t size)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%020d.seg", folder, base);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    struct stat about;
    REQUIRE("the segment", file >= 0 && fstat(file, &about) == 0);
    CHECK("changed", pwrite(file, bytes, size, at < 0 ? about.st_size + at : at) == (ssize_t)size);
    close(file);
}

static void check_torn_tail(void)
{
    const char *folder = check_folder();
    struct gh_log *log = open_log(folder, NULL);
    append_many(log, 1, 10, TAG);
    gh_log_close(log);
    change_file(folder, 1, -1, "garbage behind the last record", 30);
    log = open_log(folder, NULL);
    CHECK("the last record was hit, the others stay", gh_log_next(log) == 10);
    CHECK("a torn tail is no damage", gh_log_status(log).damaged == 0);
    append_many(log, 10, 5, TAG);
    CHECK("it goes on", read_all(log, 1, TAG) == 14);
    gh_log_close(log);
    log = open_log(folder, NULL);
    CHECK("also after a restart", read_all(log, 1, TAG) == 14 && gh_log_status(log).damaged == 0);
    gh_log_close(log);
}

static void check_damaged_middle(void)
{
    const char *folder = check_folder();
    struct gh_log *log = open_log(folder, NULL);
    append_many(log, 1, 10, TAG);
    gh_log_close(log);
    change_file(folder, 1, 64 + 50, "#",
                1); /* in the second record: the first has 32 + 9 + 37 bytes */
    log = open_log(folder, NULL);
    CHECK("damage in the middle of the last segment is counted", gh_log_status(log).damaged == 1);
    CHECK("the rest is read", read_all(log, 1, TAG) == 9);
    append_many(log, 11, 200, TAG);
    CHECK("later appends go to another segment", read_all(log, 1, TAG) == 209);
    CHECK("it is reported once", gh_log_status(log).damaged == 1);
    gh_log_close(log);

    change_file(folder, 11, 64 + 40, "######", 6); /* an old segment: found when it is read */
    log = open_log(folder, NULL);
    CHECK("others' damage costs their records only", read_all(log, 1, TAG) == 208);
    CHECK("and is counted when it is met", gh_log_status(log).damaged == 2);
    gh_log_close(log);

    change_file(folder, 11, 20, "##", 2); /* its header */
    log = open_log(folder, NULL);
    uint64_t left = read_all(log, 1, TAG);
    CHECK("a segment without a header is stepped over", left > 9 && left < 208);
    append_many(log, 211, 5, TAG);
    gh_log_close(log);
}

/* What the folder has lost is said, not passed over. */
static void check_missing_segment(void)
{
    const char *folder = check_folder();
    struct gh_log *log = open_log(folder, NULL);
    char path[1024];
    append_many(log, 1, 200, TAG);
    gh_log_close(log);
    DIR *entries = opendir(folder);
    int removed = 0, base;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        const char *end = strstr(entry->d_name, ".seg");
        base = end == NULL ? 0 : (int)strtoul(entry->d_name, NULL, 10);
        if (base > 1 && base < 100 && removed == 0) {
            snprintf(path, sizeof path, "%s/%020d.seg", folder, base);
            removed += unlink(path) == 0;
        }
    }
    closedir(entries);
    CHECK("one is gone", removed == 1);
    log = open_log(folder, NULL);
    CHECK("it is counted", gh_log_status(log).damaged == 1);
    CHECK("the others are read", read_all(log, 1, TAG) > 100 && gh_log_next(log) == 201);
    gh_log_close(log);
}

static void check_foreign(void)
{
    const char *folder = check_folder();
    struct gh_error error;
    struct gh_log_options options = options_for(folder, NULL);
    struct gh_log *log = open_log(folder, NULL);
    append_many(log, 1, 10, TAG);
    gh_log_close(log);

    change_file(folder, 1, 0, "SQLite 3 db.", 12);
    CHECK("what is not a segment is refused",
          gh_log_open(&options, &error) == NULL && error.code == GH_ERROR_LOG_OPEN);
    change_file(folder, 1, 0, "GHLOGSEG\0\0\0\1", 12);
    log = gh_log_open(&options, &error);
    CHECK("and was not touched", log != NULL && gh_log_next(log) == 11);
    gh_log_close(log);

    struct gh_segment_header newer;
    uint8_t bytes[64];
    char path[1024];
    snprintf(path, sizeof path, "%s/%020d.seg", folder, 1);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    CHECK("header", read(file, bytes, 64) == 64);
    close(file);
    CHECK("header", gh_segment_header_read(gh_slice(bytes, 64), &newer) == GH_SEGMENT_OURS);
    newer.version = 9;
    gh_segment_header_write(&newer, bytes);
    change_file(folder, 1, 0, bytes, 64);
    CHECK("a newer format is refused",
          gh_log_open(&options, &error) == NULL && error.code == GH_ERROR_STORE_NEWER);

    snprintf(path, sizeof path, "%s/file", check_folder());
    file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    close(file);
    options.folder = path;
    CHECK("a file is no folder",
          gh_log_open(&options, &error) == NULL && error.code == GH_ERROR_LOG_OPEN);
}

static void check_retention(void)
{
    struct gh_error error;
    struct gh_log_options options = options_for(check_folder(), NULL);
    options.age_max_ms = 1000;
    options.bytes_max = 200 * 1024;
    struct gh_log *log = gh_log_open(&options, &error);
    REQUIRE("the log opens", log != NULL);
    append_many(log, 1, 100, TAG);
    struct gh_log_hold *hold = gh_log_hold_open(log, "a test", 50);
    clock_ms += 2000;
    settle(log);
    struct gh_log_status status = gh_log_status(log);
    CHECK("old segments go, held ones stay", status.first > 1 && status.first <= 50);
    struct gh_log_reader *reader = gh_log_reader_open(log);
    struct gh_log_record record;
    CHECK("a reader of what is gone begins with what is there",
          gh_log_reader_next(reader, TAG, &record) == GH_LOG_READ_RECORD &&
              record.offset == status.first);
    gh_log_hold_move(hold, 100);
    settle(log);
    CHECK("a hold moves on", gh_log_status(log).first > 50 && gh_log_status(log).first <= 100);
    CHECK("a reader in a removed segment reads on",
          gh_log_reader_next(reader, TAG, &record) == GH_LOG_READ_RECORD);
    gh_log_reader_close(reader);
    uint64_t next = gh_log_next(log);
    for (size_t i = 0; i < 1000; i++)
        CHECK("stored", gh_log_append_wait(log, TAG, text_of(next + i), NULL) == GH_OK);
    settle(log);
    status = gh_log_status(log);
    CHECK("the size is a ceiling for holders too",
          status.first > 100 && status.bytes <= 220 * 1024);
    gh_log_hold_close(hold);
    gh_log_close(log);
    clock_ms = 1000000;
}

/* Its holder comes after open and goes before close: in between only, something may go. */
static void check_retention_waits(void)
{
    struct gh_error error;
    struct gh_log_options options = options_for(check_folder(), NULL);
    options.age_max_ms = 1;
    options.keeps_unheld = true;
    for (unsigned round = 0; round < 3; round++) {
        struct gh_log *log = gh_log_open(&options, &error);
        REQUIRE("the log opens", log != NULL);
        if (round == 0)
            append_many(log, 1, 100, TAG);
        clock_ms += 2000;
        settle(log);
        CHECK("nothing goes while nobody holds anything", gh_log_status(log).first == 1);
        struct gh_log_hold *hold = gh_log_hold_open(log, "a test", round < 2 ? 1 : 50);
        settle(log);
        CHECK("what is held stays", (gh_log_status(log).first == 1) == (round < 2));
        gh_log_hold_close(hold);
        gh_log_close(log);
    }
    clock_ms = 1000000;
}

/* What the watcher sees is what was appended, before the appender hears of it. */
static _Atomic uint64_t watched;

static void watch(void *context, const struct gh_log_record *records, size_t count)
{
    (void)context;
    for (size_t i = 0; i < count; i++)
        if (records[i].offset == watched + 1 && gh_slice_equal(records[i].body, GH_SLICE("seen")))
            watched = records[i].offset;
}

static void check_watch(void)
{
    struct gh_error error;
    struct gh_log_options options = options_for(check_folder(), NULL);
    options.watch.committed = watch;
    struct gh_log *log = gh_log_open(&options, &error);
    for (uint64_t i = 1; i <= 10; i++) {
        CHECK("stored", gh_log_append_wait(log, TAG, GH_SLICE("seen"), NULL) == GH_OK);
        CHECK("seen before", watched == i);
    }
    gh_log_close(log);
}

enum { OFFSETS_MAX = 20000 };

/* Every answered offset is read once, in order and whole; others may be there (they were written,
 * and the answer was lost with the power). */
static void check_answered(struct gh_log *log, const bool answered[OFFSETS_MAX], uint64_t seed)
{
    char claim[96];
    snprintf(claim, sizeof claim,
             "what was answered before the loss of power is there (seed %" PRIu64 ")", seed);
    struct gh_log_record record;
    struct gh_log_reader *reader = gh_log_reader_open(log);
    uint64_t want = 1;
    REQUIRE("a reader", reader != NULL);
    while (gh_log_reader_next(reader, TAG, &record) == GH_LOG_READ_RECORD) {
        REQUIRE("within the test", record.offset < OFFSETS_MAX);
        for (; want < record.offset; want++)
            CHECK(claim, !answered[want]);
        CHECK(claim, record.offset == want);
        CHECK("whole", gh_slice_equal(record.body, text_of(record.offset)));
        want = record.offset + 1;
    }
    for (; want < OFFSETS_MAX; want++)
        CHECK(claim, !answered[want]);
    gh_log_reader_close(reader);
}

/* Appends groups until the power is gone. */
static void append_until_dead(struct gh_log *log, struct disk *disk, bool answered[OFFSETS_MAX])
{
    static struct gh_append appends[16];
    static uint8_t bodies[16][1024];
    uint64_t next = gh_log_next(log);
    for (bool alive = true; alive;) {
        struct collector collector = collector_new();
        unsigned count = 1 + (unsigned)(disk_random(disk) % GH_COUNT(appends));
        for (unsigned i = 0; i < count; i++) {
            struct gh_slice text = text_of(next + i);
            memcpy(bodies[i], text.data, text.size);
            appends[i] = (struct gh_append){.reply = collect,
                                            .reply_context = &collector,
                                            .tag = TAG,
                                            .body = gh_slice(bodies[i], text.size)};
            CHECK("taken", gh_log_append(log, &appends[i]));
        }
        await_all(&collector, count);
        for (unsigned i = 0; i < count; i++) {
            alive = alive && appends[i].result == GH_OK;
            if (appends[i].result == GH_OK)
                answered[appends[i].offset] = true;
        }
        next += count;
    }
}

/* Power goes at a random operation. What was answered before is there; nothing is there twice. */
static void lose_power(uint64_t seed)
{
    static char folder[1024];
    static bool answered[OFFSETS_MAX];
    struct disk disk;
    snprintf(folder, sizeof folder, "%s/log", check_folder());
    memset(answered, 0, sizeof answered);
    disk_init(&disk, seed);
    disk.remembers = true;
    for (int life = 0; life < 6; life++) {
        struct gh_log *log = open_log(folder, &disk);
        check_answered(log, answered, seed);
        pthread_mutex_lock(&disk.lock);
        disk.dies_after = (int64_t)(disk_random(&disk) % 200);
        pthread_mutex_unlock(&disk.lock);
        append_until_dead(log, &disk, answered);
        gh_log_close(log);
        disk_power_returns(&disk);
    }
}

int main(void)
{
    check_reopen();
    check_tags();
    check_times();
    check_clock_step();
    check_old_segments_wait();
    check_group_commit();
    check_full_disk();
    check_full_at_open_and_probe();
    check_write_error();
    check_sync_error();
    check_torn_tail();
    check_damaged_middle();
    check_missing_segment();
    check_foreign();
    check_retention();
    check_retention_waits();
    check_watch();
    for (uint64_t seed = 1; seed <= 20; seed++)
        lose_power(seed);
    return check_report();
}
