#include "pubsub/message.h"
#include "tests/check.h"
#include <stdlib.h>
#include <string.h>

static uint8_t large[GH_MESSAGE_BYTES_MAX + 1];

static struct gh_slice of(size_t size)
{
    memset(large, 'a', sizeof large);
    return gh_slice(large, size);
}

static void check_limits(void)
{
    static struct gh_message_attribute many[GH_MESSAGE_ATTRIBUTES_MAX + 1];
    static char keys[GH_MESSAGE_ATTRIBUTES_MAX + 1][4];
    for (size_t i = 0; i < GH_COUNT(many); i++) {
        keys[i][0] = (char)('a' + i / 26);
        keys[i][1] = (char)('a' + i % 26);
        many[i].key = gh_slice(keys[i], 2);
    }
    struct gh_slice bad = GH_SLICE("\xff\xfe"), k = GH_SLICE("k"), v = GH_SLICE("v");
    const struct {
        const char *claim;
        size_t data, attributes, ordering_key, channel;
        struct gh_slice key, value;
        bool good;
    } cases[] = {
        {"data alone", 1, 0, 0, 0, k, v, true},
        {"an attribute alone", 0, 1, 0, 0, k, v, true},
        {"neither", 0, 0, 0, 0, k, v, false},
        {"the largest", GH_MESSAGE_BYTES_MAX, 0, 0, 0, k, v, true},
        {"one byte more", GH_MESSAGE_BYTES_MAX + 1, 0, 0, 0, k, v, false},
        {"attributes count too", GH_MESSAGE_BYTES_MAX - 1, 1, 0, 0, k, v, false},
        {"a hundred attributes", 1, GH_MESSAGE_ATTRIBUTES_MAX, 0, 0, GH_SLICE("aa"), v, true},
        {"a hundred and one", 1, GH_MESSAGE_ATTRIBUTES_MAX + 1, 0, 0, GH_SLICE("aa"), v, false},
        {"the longest key", 1, 1, 0, 0, of(256), v, true},
        {"a longer key", 1, 1, 0, 0, of(257), v, false},
        {"no key", 1, 1, 0, 0, of(0), v, false},
        {"a reserved key", 1, 1, 0, 0, GH_SLICE("googclient"), v, false},
        {"a key that is not UTF-8", 1, 1, 0, 0, bad, v, false},
        {"a key twice", 1, 2, 0, 0, GH_SLICE("ab"), v, false},
        {"an empty value", 1, 1, 0, 0, k, of(0), true},
        {"the longest value", 1, 1, 0, 0, k, of(1024), true},
        {"a longer value", 1, 1, 0, 0, k, of(1025), false},
        {"a value that is not UTF-8", 1, 1, 0, 0, k, bad, false},
        {"the longest ordering key", 1, 0, 1024, 0, k, v, true},
        {"a longer ordering key", 1, 0, 1025, 0, k, v, false},
        {"the longest channel", 1, 0, 0, 1024, k, v, true},
        {"a longer channel", 1, 0, 0, 1025, k, v, false},
    };
    for (size_t i = 0; i < GH_COUNT(cases); i++) {
        struct gh_error error = {0};
        many[0].key = cases[i].key;
        many[0].value = cases[i].value;
        struct gh_message message = {.data = of(cases[i].data),
                                     .attributes = many,
                                     .attributes_count = cases[i].attributes,
                                     .ordering_key = of(cases[i].ordering_key),
                                     .channel = of(cases[i].channel)};
        enum gh_error_code code = gh_message_check(&message, &error);
        CHECK(cases[i].claim,
              code == (cases[i].good ? GH_OK : GH_ERROR_INVALID) && code == error.code);
    }
}

static void check_bytes(void)
{
    struct gh_message_attribute attributes[] = {{GH_SLICE("deviceId"), GH_SLICE("hall-1")},
                                                {GH_SLICE("subFolder"), GH_SLICE("")}};
    struct gh_message message = {.data = GH_SLICE("{\"t\":1}"),
                                 .attributes = attributes,
                                 .attributes_count = 2,
                                 .ordering_key = GH_SLICE("key"),
                                 .device = UINT64_C(0x1122334455667788),
                                 .channel = GH_SLICE("climate")};
    struct gh_message_attribute room[GH_MESSAGE_ATTRIBUTES_MAX];
    struct gh_message again;
    struct gh_buffer buffer;
    gh_buffer_init(&buffer, 1024);
    CHECK("written", gh_message_encode(&message, &buffer));
    CHECK("as long as foretold", buffer.size == gh_message_encoded_bytes(&message));
    CHECK("read", gh_message_decode(gh_buffer_slice(&buffer), room, &again));
    CHECK("the same", gh_slice_equal(again.data, message.data) && again.attributes_count == 2 &&
                          again.device == message.device &&
                          gh_slice_equal(again.channel, message.channel) &&
                          gh_slice_equal(again.ordering_key, message.ordering_key));
    CHECK("an attribute by its key",
          gh_slice_equal(gh_message_attribute(&again, GH_SLICE("deviceId")), GH_SLICE("hall-1")) &&
              gh_message_attribute(&again, GH_SLICE("nothing")).size == 0);
    for (size_t cut = 0; cut < buffer.size - message.data.size; cut++) {
        uint8_t *exact = malloc(cut + 1);
        memcpy(exact, buffer.data, cut);
        CHECK("cut before the data it is refused",
              !gh_message_decode(gh_slice(exact, cut), room, &again));
        free(exact);
    }
    buffer.data[0] = 2;
    CHECK("another format is refused", !gh_message_decode(gh_buffer_slice(&buffer), room, &again));
    gh_buffer_deinit(&buffer);
}

int main(void)
{
    check_limits();
    check_bytes();
    return check_report();
}
