/* kill -9 at random moments: a child appends and says on a pipe which appends were answered; after
 * its death the parent opens the log and looks for every one of them, once, whole and in order. */
#include "pubsub/log.h"
#include "tests/check.h"
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KILLS = 40, OUTSTANDING = 64, TAG = 3, BODY_BYTES_MAX = 600, SEED = 20261124 };

static struct gh_log *open_log(const char *folder)
{
    struct gh_error error = {0};
    struct gh_log_options options = {.folder = folder, .segment_bytes = 256 * 1024};
    struct gh_log *log = gh_log_open(&options, &error);
    if (log == NULL)
        fprintf(stderr, "%s\n", error.text);
    return log;
}

/* A body that says its number and is recognised by it. */
static size_t body_write(uint64_t number, uint8_t out[BODY_BYTES_MAX])
{
    size_t size = 8 + number * 131 % (BODY_BYTES_MAX - 8);
    memset(out, (int)(number & 0xff), size);
    memcpy(out, &number, 8);
    return size;
}

static bool body_read(struct gh_slice body, uint64_t *number)
{
    uint8_t want[BODY_BYTES_MAX];
    if (body.size < 8)
        return false;
    memcpy(number, body.data, 8);
    return gh_slice_equal(body, gh_slice(want, body_write(*number, want)));
}

struct slot {
    struct gh_append append;
    uint64_t number;
    uint8_t body[BODY_BYTES_MAX];
};

struct child {
    struct gh_log *log;
    int pipe;
    _Atomic uint64_t number;
    struct slot slots[OUTSTANDING];
};

static void append_next(struct child *child, struct slot *slot)
{
    slot->number = child->number++;
    slot->append.body = gh_slice(slot->body, body_write(slot->number, slot->body));
    if (!gh_log_append(child->log, &slot->append))
        _exit(3);
}

/* On the log thread: tells the parent, then appends again. */
static void answered(void *context, struct gh_letter *letter)
{
    struct child *child = context;
    struct slot *slot = (struct slot *)((char *)letter - offsetof(struct slot, append.done));
    uint64_t report[2] = {slot->number, slot->append.offset};
    if (slot->append.result != GH_OK || write(child->pipe, report, sizeof report) != sizeof report)
        _exit(4);
    append_next(child, slot);
}

static _Noreturn void child_run(const char *folder, int pipe, uint64_t number)
{
    static struct child child;
    child.pipe = pipe;
    child.number = number;
    child.log = open_log(folder);
    if (child.log == NULL)
        _exit(2);
    for (size_t i = 0; i < OUTSTANDING; i++) {
        child.slots[i].append =
            (struct gh_append){.reply = answered, .reply_context = &child, .tag = TAG};
        append_next(&child, &child.slots[i]);
    }
    for (;;)
        pause();
}

/* offset -> number, as answered; 0: not. */
struct history {
    uint64_t *numbers;
    size_t capacity;
    uint64_t answered, highest;
};

static void note(struct history *history, uint64_t number, uint64_t offset)
{
    if (offset >= history->capacity) {
        size_t capacity = 2 * offset + 1024;
        history->numbers = realloc(history->numbers, capacity * sizeof *history->numbers);
        REQUIRE("memory", history->numbers != NULL);
        memset(history->numbers + history->capacity, 0,
               (capacity - history->capacity) * sizeof *history->numbers);
        history->capacity = capacity;
    }
    CHECK("an offset is given once", history->numbers[offset] == 0);
    history->numbers[offset] = number;
    history->answered++;
    if (number > history->highest)
        history->highest = number;
}

static void live_and_die(const char *folder, uint64_t moment, struct history *history)
{
    int pipes[2];
    uint64_t report[2];
    REQUIRE("a pipe", pipe(pipes) == 0);
    pid_t child = fork();
    REQUIRE("a child", child >= 0);
    if (child == 0) {
        close(pipes[0]);
        child_run(folder, pipes[1], history->highest + 1 + OUTSTANDING);
    }
    close(pipes[1]);
    for (uint64_t seen = 0; read(pipes[0], report, sizeof report) == sizeof report; seen++) {
        note(history, report[0], report[1]);
        if (seen == moment)
            kill(child, SIGKILL); /* what it still answers before it dies is read too */
    }
    int status = 0;
    CHECK("the child is gone", waitpid(child, &status, 0) == child);
    CHECK("by our hand", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(pipes[0]);
}

static void look(const char *folder, const struct history *history, int kill)
{
    char claim[96];
    struct gh_log_record record;
    uint64_t found = 0, last = 0, number = 0;
    struct gh_log *log = open_log(folder);
    REQUIRE("the log opens after kill -9", log != NULL);
    struct gh_log_reader *reader = gh_log_reader_open(log);
    REQUIRE("a reader", reader != NULL);
    snprintf(claim, sizeof claim, "after kill %d, seed %d", kill, SEED);
    while (gh_log_reader_next(reader, TAG, &record) == GH_LOG_READ_RECORD) {
        CHECK(claim, record.offset > last && body_read(record.body, &number));
        if (record.offset < history->capacity && history->numbers[record.offset] != 0) {
            CHECK(claim, history->numbers[record.offset] == number);
            found++;
        }
        last = record.offset;
    }
    CHECK(claim,
          found == history->answered); /* all that were answered; offsets rise, so none twice */
    CHECK(claim, gh_log_status(log).damaged == 0);
    gh_log_reader_close(reader);
    gh_log_close(log);
}

int main(void)
{
    const char *folder = check_folder();
    struct history history = {0};
    uint64_t random = SEED;
    for (int kill = 0; kill < KILLS; kill++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        live_and_die(folder, (random >> 33) % 1500, &history);
        look(folder, &history, kill);
    }
    CHECK("there was something to lose", history.answered > KILLS * 100);
    free(history.numbers);
    return check_report();
}
