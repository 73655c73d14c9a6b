#include "base/time.h"
#include "io/conn_internal.h"
#include "io/loop_internal.h"
#include <assert.h>

enum { SLOT_MASK = WHEEL_SLOTS - 1, FIRED_PER_TURN = 4096 };

static unsigned shift_of(unsigned level)
{
    return level * WHEEL_SLOT_BITS;
}

/* ---- lists */

static void push(struct gh_conn **list, struct gh_conn *conn)
{
    conn->next = *list;
    conn->link = list;
    if (conn->next != NULL)
        conn->next->link = &conn->next;
    *list = conn;
}

static void take_out(struct gh_conn *conn)
{
    *conn->link = conn->next;
    if (conn->next != NULL)
        conn->next->link = conn->link;
    else if (conn->is_shaking)
        conn->loop->shaking.end = conn->link;
    conn->is_armed = false;
}

void conn_wheel_add(struct gh_conn *conn)
{
    push(&conn->loop->wheel.quiet, conn);
}

void conn_wheel_remove(struct gh_conn *conn)
{
    assert(!conn->is_shaking);
    take_out(conn);
}

/* Listeners mostly grant the same time: then its place is at the end. */
void conn_wheel_begin_shaking(struct gh_conn *conn)
{
    struct conn_list *list = &conn->loop->shaking;
    struct gh_conn **link = list->end;

    assert(conn->limit_ns != 0);
    take_out(conn);
    conn->is_shaking = true;
    while (link != &list->first && conn_before(link)->limit_ns > conn->limit_ns)
        link = conn_before(link)->link;
    push(link, conn);
    if (conn->next == NULL)
        list->end = &conn->next;
}

void conn_wheel_end_shaking(struct gh_conn *conn)
{
    take_out(conn);
    conn->is_shaking = false;
    conn_wheel_add(conn);
}

void conn_wheel_line_up(struct gh_loop *loop)
{
    struct conn_wheel *wheel = &loop->wheel;
    struct gh_conn *const others[] = {wheel->quiet, wheel->due, loop->shaking.first};

    for (size_t i = 0; i < GH_COUNT(others); i++)
        for (struct gh_conn *conn = others[i]; conn != NULL; conn = conn->next)
            conn_set_pending(conn);
    for (size_t i = 0; i < GH_COUNT(wheel->slots); i++)
        for (struct gh_conn *conn = wheel->slots[i]; conn != NULL; conn = conn->next)
            conn_set_pending(conn);
}

/* ---- times */

/* When the slot comes round, as all in it hang there for the same round. */
static int64_t slot_at_ms(const struct conn_wheel *wheel, unsigned slot)
{
    unsigned shift = shift_of(slot / WHEEL_SLOTS);
    int64_t now = wheel->now_ms >> shift;
    return (now + (((int64_t)slot - now) & SLOT_MASK)) << shift;
}

/* The slot of the finest level that reaches so far; of the coarsest the last one in any case. */
static uint8_t slot_for(const struct conn_wheel *wheel, int64_t at_ms)
{
    unsigned level = 0;
    while (level < WHEEL_LEVELS - 1 &&
           (at_ms >> shift_of(level)) - (wheel->now_ms >> shift_of(level)) >= WHEEL_SLOTS)
        level++;
    int64_t at = at_ms >> shift_of(level);
    int64_t last = (wheel->now_ms >> shift_of(level)) + WHEEL_SLOTS - 1;
    return (uint8_t)(level * WHEEL_SLOTS + ((at < last ? at : last) & SLOT_MASK));
}

void conn_wheel_arm(struct gh_conn *conn, int64_t at_ns)
{
    struct conn_wheel *wheel = &conn->loop->wheel;
    int64_t at_ms = (at_ns + GH_MS_NS - 1) / GH_MS_NS;

    if (conn->is_shaking)
        return;
    if (at_ms <= wheel->now_ms)
        at_ms = wheel->now_ms + 1;
    if (conn->is_armed && slot_at_ms(wheel, conn->slot) <= at_ms)
        return;
    take_out(conn);
    conn->slot = slot_for(wheel, at_ms);
    conn->is_armed = true;
    push(&wheel->slots[conn->slot], conn);
    wheel->taken[conn->slot / WHEEL_SLOTS] |= UINT64_C(1) << (conn->slot & SLOT_MASK);
}

/* The bits from `first` on, and behind them those before it. */
static uint64_t from_slot(uint64_t taken, unsigned first)
{
    return first == 0 ? taken : taken >> first | taken << (WHEEL_SLOTS - first);
}

/* The next slot of the level in which somebody hangs; INT64_MAX: none. */
static int64_t next_of(struct conn_wheel *wheel, unsigned level)
{
    unsigned first = (unsigned)((wheel->now_ms >> shift_of(level)) + 1) & SLOT_MASK;
    uint64_t *taken = &wheel->taken[level];
    while (*taken != 0) {
        unsigned ahead = (unsigned)__builtin_ctzll(from_slot(*taken, first));
        unsigned slot = (first + ahead) & SLOT_MASK;
        if (wheel->slots[level * WHEEL_SLOTS + slot] != NULL)
            return slot_at_ms(wheel, level * WHEEL_SLOTS + slot);
        *taken &= ~(UINT64_C(1) << slot); /* who hung there has gone */
    }
    return INT64_MAX;
}

int64_t conn_wheel_next_ns(struct gh_loop *loop)
{
    int64_t next_ms = INT64_MAX / GH_MS_NS;
    const struct gh_conn *shaking = loop->shaking.first;

    if (loop->wheel.due != NULL)
        return 0;
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        int64_t at_ms = next_of(&loop->wheel, level);
        next_ms = at_ms < next_ms ? at_ms : next_ms;
    }
    while (shaking != NULL && shaking->phase == CONN_DEAD) /* a worker is still at its step */
        shaking = shaking->next;
    int64_t next_ns = next_ms * GH_MS_NS;
    return shaking != NULL && shaking->limit_ns < next_ns ? shaking->limit_ns : next_ns;
}

/* Those whose slots have come round since the last time, to where they are fired one by one. */
static void advance(struct conn_wheel *wheel, int64_t now_ms)
{
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        int64_t from = wheel->now_ms >> shift_of(level), to = now_ms >> shift_of(level);
        if (to - from > WHEEL_SLOTS)
            from = to - WHEEL_SLOTS;
        for (; from < to && wheel->taken[level] != 0; from++) {
            unsigned slot = (unsigned)(from + 1) & SLOT_MASK;
            struct gh_conn **list = &wheel->slots[level * WHEEL_SLOTS + slot];
            wheel->taken[level] &= ~(UINT64_C(1) << slot);
            for (struct gh_conn *conn; (conn = *list) != NULL;) {
                take_out(conn);
                push(&wheel->due, conn);
            }
        }
    }
    wheel->now_ms = now_ms;
}

void conn_wheel_turn(struct gh_loop *loop)
{
    struct conn_wheel *wheel = &loop->wheel;
    struct gh_conn *conn;

    advance(wheel, loop->now_ns / GH_MS_NS);
    for (unsigned i = 0; i < FIRED_PER_TURN && (conn = wheel->due) != NULL; i++) {
        take_out(conn);
        push(&wheel->quiet, conn);
        conn_on_time(conn);
    }
    for (conn = loop->shaking.first; conn != NULL && conn->limit_ns <= loop->now_ns;
         conn = conn->next)
        conn_on_time(conn);
}
