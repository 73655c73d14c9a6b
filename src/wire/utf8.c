#include "wire/utf8.h"

/* RFC 3629 §4: by first byte, how many bytes follow and what range the second has. */
struct lead {
    uint8_t first_min, first_max, following, second_min, second_max;
};
static const struct lead leads[] = {
    {0x00, 0x7f, 0, 0, 0},       {0xc2, 0xdf, 1, 0x80, 0xbf}, {0xe0, 0xe0, 2, 0xa0, 0xbf},
    {0xe1, 0xec, 2, 0x80, 0xbf}, {0xed, 0xed, 2, 0x80, 0x9f}, {0xee, 0xef, 2, 0x80, 0xbf},
    {0xf0, 0xf0, 3, 0x90, 0xbf}, {0xf1, 0xf3, 3, 0x80, 0xbf}, {0xf4, 0xf4, 3, 0x80, 0x8f},
};

/* Size of the character at the start of `text`; 0 when there is none. */
static size_t character_size(struct gh_slice text)
{
    const struct lead *lead = NULL;
    for (size_t i = 0; i < GH_COUNT(leads) && lead == NULL; i++) {
        if (text.data[0] >= leads[i].first_min && text.data[0] <= leads[i].first_max)
            lead = &leads[i];
    }
    if (lead == NULL || text.size <= lead->following)
        return 0;
    for (size_t i = 1; i <= lead->following; i++) {
        uint8_t low = i == 1 ? lead->second_min : 0x80, high = i == 1 ? lead->second_max : 0xbf;
        if (text.data[i] < low || text.data[i] > high)
            return 0;
    }
    return 1u + lead->following;
}

bool gh_utf8_valid(struct gh_slice text)
{
    for (size_t i = 0; i < text.size;) {
        bool ascii = text.data[i] < 0x80; /* nearly always: spares the table */
        size_t size = ascii ? 1 : character_size(gh_slice_sub(text, i, text.size));
        if (size == 0)
            return false;
        i += size;
    }
    return true;
}

bool gh_utf8_valid_mqtt(struct gh_slice text)
{
    return gh_slice_find(text, '\0') == text.size && gh_utf8_valid(text);
}
