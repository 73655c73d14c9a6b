#include "wire/proxy.h"
#include "base/attributes.h"
#include "base/cursor.h"
#include "base/hash.h"

enum {
    VERSION_2 = 0x20,
    COMMAND_LOCAL = 0,
    COMMAND_PROXY = 1,
    TRANSPORT_STREAM = 1,
    TLV_CRC32C = 0x03,
    CRC_BYTES = 4,
};

static const struct gh_slice signature = GH_SLICE_INIT("\r\n\r\n\0\r\nQUIT\n");

/* §2.2: the address block of each family; the upper half of the byte that names it. */
static const struct {
    enum gh_proxy_family family;
    size_t block_bytes;   /* source and destination, with their ports */
    size_t address_bytes; /* of one, as told to the caller */
} families[] = {
    {GH_PROXY_UNKNOWN, 0, 0},
    {GH_PROXY_IP4, 12, 4},
    {GH_PROXY_IP6, 36, 16},
    {GH_PROXY_UNIX, 216, 0},
};

static enum gh_proxy_status refuse(struct gh_proxy_header *out, const char *why)
{
    out->why = why;
    return GH_PROXY_REFUSED;
}

/* §2.2.5: over the whole header, with zeros in the place of the checksum. */
static bool checksum_holds(struct gh_slice header, struct gh_slice value)
{
    static const uint8_t zeros[CRC_BYTES];
    size_t at = (size_t)(value.data - header.data);
    struct gh_cursor cursor = gh_cursor(value);
    uint32_t said, crc = gh_hash_crc32c(0, gh_slice_sub(header, 0, at));

    crc = gh_hash_crc32c(crc, gh_slice(zeros, sizeof zeros));
    crc = gh_hash_crc32c(crc, gh_slice_sub(header, at + CRC_BYTES, header.size));
    return gh_cursor_u32(&cursor, &said) && said == crc;
}

static const char *walk_values(struct gh_slice header, struct gh_cursor at)
{
    while (gh_cursor_left(&at) > 0) {
        struct gh_slice value;
        uint8_t type;
        if (!gh_cursor_u8(&at, &type) || !gh_cursor_take16(&at, &value))
            return "a value that does not fit the header";
        if (type == TLV_CRC32C && (value.size != CRC_BYTES || !checksum_holds(header, value)))
            return "a wrong checksum";
    }
    return NULL;
}

/* The block behind the first 16 bytes. */
static enum gh_proxy_status read_block(struct gh_slice header, struct gh_cursor at, uint8_t command,
                                       uint8_t kind, struct gh_proxy_header *out)
{
    unsigned family = kind >> 4;
    struct gh_slice source, skipped;

    if (command == COMMAND_LOCAL) /* the family has no meaning and is passed over with its block */
        return GH_PROXY_OK;
    if (family >= GH_COUNT(families) || (family != 0 && (kind & 0x0fu) != TRANSPORT_STREAM))
        return refuse(out, "an address family that is not of a stream");
    size_t block = families[family].block_bytes, size = families[family].address_bytes;
    if (family == 0) /* what follows cannot be told apart */
        return GH_PROXY_OK;
    if (gh_cursor_left(&at) < block)
        return refuse(out, "an address block that is too short");
    out->family = families[family].family;
    if (size > 0) { /* source, destination, source port, destination port */
        bool is_read = gh_cursor_take(&at, size, &source) && gh_cursor_take(&at, size, &skipped) &&
                       gh_cursor_u16(&at, &out->port) && gh_cursor_take(&at, 2, &skipped);
        if (!is_read)
            return refuse(out, "an address block that is too short");
        out->address = source;
    } else if (!gh_cursor_take(&at, block, &skipped)) {
        return refuse(out, "an address block that is too short");
    }
    const char *why = walk_values(header, at);
    return why == NULL ? GH_PROXY_OK : refuse(out, why);
}

enum gh_proxy_status gh_proxy_read(struct gh_slice in, size_t size_max, struct gh_proxy_header *out)
{
    struct gh_cursor at = gh_cursor(in);
    struct gh_slice begin = gh_slice_sub(in, 0, signature.size), skipped;
    uint8_t command, kind;
    uint16_t length;

    *out = (struct gh_proxy_header){0};
    if (!gh_slice_equal(begin, gh_slice_sub(signature, 0, begin.size)))
        return refuse(out, "no header of the PROXY protocol, version 2");
    if (!gh_cursor_take(&at, signature.size, &skipped) || !gh_cursor_u8(&at, &command))
        return GH_PROXY_MORE;
    if ((command & 0xf0u) != VERSION_2 || (command & 0x0fu) > COMMAND_PROXY)
        return refuse(out, "an unknown version or command");
    if (!gh_cursor_u8(&at, &kind) || !gh_cursor_u16(&at, &length))
        return GH_PROXY_MORE;
    size_t head = in.size - gh_cursor_left(&at);
    if (head + length > size_max)
        return refuse(out, "a header above the limit");
    if (gh_cursor_left(&at) < length)
        return GH_PROXY_MORE;
    out->size = head + length;
    struct gh_slice header = gh_slice_sub(in, 0, out->size);
    return read_block(header, gh_cursor(gh_slice_sub(header, head, length)), command & 0x0fu, kind,
                      out);
}
