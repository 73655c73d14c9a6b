/* What one turn of a loop does, and in which order: what is read on one connection for another of
 * the same loop is written in that turn, and before the answer. */
#include "io/conn.h"
#include "io/rig_internal.h"
#include <stdlib.h>

enum { CONNS_MAX = 3, WRITES_MAX = 16 };

/* Connections by the order in which they were accepted. `a` sends to the second, `b` to the first;
 * `c` to both, by a letter that sends another: that one is for the next turn. */
struct seat {
    struct gh_conn *conn;
    size_t number;
};

struct post {
    struct gh_letter letter;
    struct gh_loop *loop;
    size_t to;
    bool again;
};

static struct seat *seats[CONNS_MAX];
static size_t seats_count;
static struct tally opened = TALLY, written = TALLY;
/* Of the loop's thread; read by others after `written` was awaited. */
static struct {
    size_t number;
    int64_t turn_ns; /* the clock is read once a turn */
} writes[WRITES_MAX];
static size_t writes_count;

static void *open_seat(void *context, struct gh_conn *conn)
{
    struct seat *seat = calloc(1, sizeof *seat);
    REQUIRE("room", seat != NULL && context == seats && seats_count < CONNS_MAX);
    *seat = (struct seat){.conn = conn, .number = seats_count};
    seats[seats_count++] = seat;
    return seat;
}

static void say(struct seat *seat, const char *text)
{
    gh_buffer_print(gh_conn_out(seat->conn), "%s\n", text);
    gh_conn_dirty(seat->conn);
}

static void deliver(struct gh_letter *letter)
{
    struct post *post = (struct post *)(void *)letter;
    say(seats[post->to], "told");
    if (!post->again) {
        free(post);
        return;
    }
    post->again = false;
    post->to = 0;
    gh_loop_send(post->loop, &post->letter);
}

static size_t on_input(void *state, struct gh_slice bytes)
{
    static const struct {
        uint8_t word;
        size_t to;
        bool again;
    } words[] = {{'a', 1, false}, {'b', 0, false}, {'c', 1, true}};
    struct seat *seat = state;
    for (size_t i = 0; i < GH_COUNT(words); i++) {
        if (bytes.data[0] != words[i].word)
            continue;
        struct post *post = malloc(sizeof *post);
        REQUIRE("a letter", post != NULL);
        *post = (struct post){.letter.open = deliver,
                              .loop = gh_conn_loop(seat->conn),
                              .to = words[i].to,
                              .again = words[i].again};
        gh_loop_send(post->loop, &post->letter);
    }
    say(seat, "answer");
    if (bytes.data[0] == 'o')
        tally_add(&opened);
    return bytes.size;
}

static void on_drained(void *state)
{
    const struct seat *seat = state;
    if (writes_count < WRITES_MAX) {
        writes[writes_count].number = seat->number;
        writes[writes_count++].turn_ns = gh_loop_now_ns(gh_conn_loop(seat->conn));
    }
    tally_add(&written);
}

static void on_closed(void *state, const char *why)
{
    (void)why;
    free(state);
}

static bool claims(uint8_t first_byte)
{
    return first_byte >= 'a' && first_byte <= 'z';
}

static const struct gh_protocol sitting = {.name = "sitting",
                                           .claims = claims,
                                           .open = open_seat,
                                           .input = on_input,
                                           .drained = on_drained,
                                           .closed = on_closed};

static const struct {
    const char *claim;
    size_t from;
    const char *word;
    size_t count;
    size_t order[3];   /* of writes, by the connection's number */
    bool same_turn[3]; /* as the write before it */
} rows[] = {
    {"the one who is told, then the answer", 0, "a", 2, {1, 0}, {false, true}},
    {"also by the connection that came later", 1, "b", 2, {0, 1}, {false, true}},
    {"what it tells itself is one write with the answer", 0, "b", 1, {0}, {false}},
    {"nobody is told: the answer alone", 2, "x", 1, {2}, {false}},
    {"a letter of a letter is for the next turn", 2, "c", 3, {1, 2, 0}, {false, true, false}},
};

static void run(const struct gh_listener_protocol *served)
{
    struct rig rig;
    struct peer peers[CONNS_MAX];
    rig_start(&rig, 1);
    struct gh_listener_config config = {.loops = rig.loops,
                                        .loops_count = rig.count,
                                        .address = "127.0.0.1:0",
                                        .protocols = served,
                                        .protocols_count = 1};
    struct gh_listener *listener = gh_listener_open(&config, NULL);
    REQUIRE("a listener", listener != NULL);
    for (size_t i = 0; i < CONNS_MAX; i++) { /* one after the other, so that each has its number */
        peers[i] = peer_open(gh_listener_port(listener), NULL);
        CHECK("a first word", peer_say(&peers[i], "o"));
        REQUIRE("it sits", tally_wait(&opened, i + 1) && tally_wait(&written, i + 1));
    }
    size_t before = CONNS_MAX;
    for (size_t i = 0; i < GH_COUNT(rows); before += rows[i++].count) {
        CHECK("said", peer_say(&peers[rows[i].from], rows[i].word));
        REQUIRE(rows[i].claim, tally_wait(&written, before + rows[i].count));
        for (size_t j = 0; j < rows[i].count; j++) {
            CHECK(rows[i].claim, writes[before + j].number == rows[i].order[j]);
            bool same = writes[before + j].turn_ns == writes[before + j - 1].turn_ns;
            CHECK(rows[i].claim, same == rows[i].same_turn[j]);
        }
    }
    gh_listener_close(listener);
    rig_stop(&rig);
    rig_close(&rig);
    CHECK("and no write more", tally_get(&written) == before);
    for (size_t i = 0; i < CONNS_MAX; i++)
        peer_close(&peers[i]);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* the peers' */
    run(&(const struct gh_listener_protocol){&sitting, seats});
    return check_report();
}
