#include "base/arena.h"
#include "base/buffer.h"
#include "base/cursor.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/mailbox.h"
#include "base/map.h"
#include "base/secret.h"
#include "base/time.h"
#include "tests/check.h"
#include <stdio.h>
#include <string.h>

static void slices(void)
{
    struct gh_slice rest = GH_SLICE("a/b//c");
    static const char *const parts[] = {"a", "b", "", "c"};
    for (size_t i = 0; i < GH_COUNT(parts); i++)
        CHECK("split in order",
              gh_slice_equal(gh_slice_split(&rest, '/'), gh_slice_text(parts[i])));
    CHECK("nothing is left", rest.size == 0);
    static const struct {
        const char *claim, *text;
        bool valid;
        uint64_t value;
    } numbers[] = {
        {"zero", "0", true, 0},
        {"the largest", "18446744073709551615", true, UINT64_MAX},
        {"one more", "18446744073709551616", false, 0},
        {"empty", "", false, 0},
        {"sign", "+1", false, 0},
        {"space", " 1", false, 0},
        {"letter", "1x", false, 0},
    };
    for (size_t i = 0; i < GH_COUNT(numbers); i++) {
        uint64_t value = 0;
        CHECK(numbers[i].claim,
              gh_slice_to_u64(gh_slice_text(numbers[i].text), &value) == numbers[i].valid);
        CHECK(numbers[i].claim, value == numbers[i].value);
    }
}

static void buffers(void)
{
    struct gh_buffer out;
    gh_buffer_init(&out, 300);
    CHECK("numbers", gh_buffer_u8(&out, 1) && gh_buffer_u16(&out, 0x0203) &&
                         gh_buffer_u32(&out, 4) && gh_buffer_u64(&out, 5) &&
                         gh_buffer_put16(&out, GH_SLICE("hi")) && gh_buffer_print(&out, "%d", 42));
    struct gh_cursor at = gh_cursor(gh_buffer_slice(&out));
    uint8_t u8 = 0;
    uint16_t u16 = 0;
    uint32_t u32 = 0;
    uint64_t u64 = 0;
    struct gh_slice text = {0};
    CHECK("read back", gh_cursor_u8(&at, &u8) && gh_cursor_u16(&at, &u16) &&
                           gh_cursor_u32(&at, &u32) && gh_cursor_u64(&at, &u64) &&
                           gh_cursor_take16(&at, &text));
    CHECK("same", u8 == 1 && u16 == 0x0203 && u32 == 4 && u64 == 5);
    CHECK("text", gh_slice_equal(text, GH_SLICE("hi")) && gh_slice_equal(at.rest, GH_SLICE("42")));
    CHECK("a read past the end takes nothing", !gh_cursor_u32(&at, &u32) && at.rest.size == 2);
    uint8_t many[400] = {0};
    size_t before = out.size;
    CHECK("past the ceiling is refused", !gh_buffer_put(&out, gh_slice(many, sizeof many)));
    CHECK("and so is what follows", out.overflow && !gh_buffer_u8(&out, 1) && out.size == before);
    gh_buffer_deinit(&out);
}

static void times(void)
{
    static const struct {
        const char *text;
        bool valid;
        int64_t utc_ms;
    } cases[] = {
        {"1970-01-01T00:00:00Z", true, 0},
        {"2033-05-18T03:33:20.000Z", true, 2000000000000},
        {"2033-05-18T05:33:20.123456789+02:00", true, 2000000000123},
        {"2024-02-29T12:00:00Z", true, 1709208000000},
        {"2023-02-29T12:00:00Z", false, 0},
        {"2023-02-28T24:00:00Z", false, 0},
        {"2023-02-28 12:00:00", false, 0},
        {"2023-02-28T12:00:00", false, 0},
        {"2023-02-28T12:00:00.Z", false, 0},
        {"2023-02-28T12:00:00+0200", false, 0},
        {"", false, 0},
    };
    for (size_t i = 0; i < GH_COUNT(cases); i++) {
        int64_t utc_ms = 0;
        CHECK(cases[i].text,
              gh_time_parse(gh_slice_text(cases[i].text), &utc_ms) == cases[i].valid);
        CHECK(cases[i].text, utc_ms == cases[i].utc_ms);
    }
    char text[GH_TIME_TEXT_MAX];
    CHECK("printed", strcmp(gh_time_print(2000000000123, text), "2033-05-18T03:33:20.123Z") == 0);
    CHECK("before 1970", strcmp(gh_time_print(-1, text), "1969-12-31T23:59:59.999Z") == 0);
}

static void hashes(void)
{
    uint8_t key[16], input[15];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof input; i++)
        input[i] = (uint8_t)i;
    CHECK("SipHash paper, appendix A",
          gh_hash_sip(key, gh_slice(input, sizeof input)) == 0xa129ca6149be45e5);
    /* Of the authors' vectors.h: no tail, all tail, no bytes. */
    CHECK("SipHash of 8 bytes", gh_hash_sip(key, gh_slice(input, 8)) == 0x93f5f5799a932462);
    CHECK("SipHash of 1 byte", gh_hash_sip(key, gh_slice(input, 1)) == 0x74f839c593dc67fd);
    CHECK("SipHash of nothing", gh_hash_sip(key, gh_slice(NULL, 0)) == 0x726fdb47dd0e0e31);
    CHECK("CRC-32C of 123456789", gh_hash_crc32c(0, GH_SLICE("123456789")) == 0xe3069283);
    CHECK("continued",
          gh_hash_crc32c(gh_hash_crc32c(0, GH_SLICE("1234")), GH_SLICE("56789")) == 0xe3069283);
}

static void maps(void)
{
    enum { ENTRIES = 1000 };
    static int values[ENTRIES];
    struct gh_map map;
    char key[16];
    gh_map_init(&map);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < ENTRIES; i++) {
            snprintf(key, sizeof key, "key-%d", i);
            CHECK("put", gh_map_put(&map, gh_slice_text(key), &values[i], NULL));
        }
        for (int i = 0; i < ENTRIES; i++) {
            snprintf(key, sizeof key, "key-%d", i);
            CHECK("get", gh_map_get(&map, gh_slice_text(key)) == &values[i]);
            if (i % 2 == 0)
                CHECK("remove", gh_map_remove(&map, gh_slice_text(key)) == &values[i]);
        }
        CHECK("half is left", map.count == ENTRIES / 2);
    }
    size_t at = 0, seen = 0;
    struct gh_slice name;
    for (void *value; gh_map_next(&map, &at, &name, &value);)
        seen++;
    CHECK("walk sees each once", seen == ENTRIES / 2);
    CHECK("what is not there", gh_map_get(&map, GH_SLICE("key-0")) == NULL);
    gh_map_deinit(&map);
}

static unsigned opened[3], opened_count;
struct numbered {
    struct gh_letter letter;
    unsigned number;
};
static void open_numbered(struct gh_letter *letter)
{
    opened[opened_count++] = ((struct numbered *)letter)->number;
}

static void mailboxes(void)
{
    struct gh_mailbox box;
    struct numbered letters[3];
    gh_mailbox_init(&box);
    for (unsigned i = 0; i < 3; i++) {
        letters[i] = (struct numbered){{.open = open_numbered}, i};
        CHECK("only the first wakes", gh_mailbox_send(&box, &letters[i].letter) == (i == 0));
    }
    CHECK("all arrive", gh_mailbox_deliver(&box) == 3);
    CHECK("in order", opened[0] == 0 && opened[1] == 1 && opened[2] == 2);
    CHECK("once", gh_mailbox_deliver(&box) == 0);
}

static void arenas(void)
{
    struct gh_arena arena;
    gh_arena_init(&arena, 10000);
    struct gh_slice copy;
    CHECK("copy",
          gh_arena_copy(&arena, GH_SLICE("abc"), &copy) && gh_slice_equal(copy, GH_SLICE("abc")));
    CHECK("text", strcmp(gh_arena_print(&arena, "%s-%d", "x", 7), "x-7") == 0);
    CHECK("ceiling", gh_arena_alloc(&arena, 10000) == NULL && gh_arena_alloc(&arena, 100) != NULL);
    CHECK("no overflow", gh_arena_array(&arena, SIZE_MAX / 2, 4) == NULL);
    gh_arena_reset(&arena);
    CHECK("whole again", gh_arena_alloc(&arena, 9000) != NULL);
    gh_arena_deinit(&arena);
}

static void errors(void)
{
    struct gh_error error;
    char line[GH_ERROR_LINE_MAX];
    CHECK("set returns the code",
          gh_error_set(&error, GH_ERROR_NOT_FOUND, "device %s", "d1") == GH_ERROR_NOT_FOUND);
    CHECK("line", strcmp(gh_error_line(&error, line), "GH2002 device d1; check the name") == 0);
    CHECK("secrets compare", gh_secret_equal(GH_SLICE("ab"), GH_SLICE("ab")) &&
                                 !gh_secret_equal(GH_SLICE("ab"), GH_SLICE("ac")) &&
                                 !gh_secret_equal(GH_SLICE("ab"), GH_SLICE("abc")));
}

int main(void)
{
    slices();
    buffers();
    times();
    hashes();
    maps();
    mailboxes();
    arenas();
    errors();
    return check_report();
}
