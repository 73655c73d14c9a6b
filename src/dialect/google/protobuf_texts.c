#include "base/cursor.h"
#include "dialect/google/protobuf_internal.h"
#include <string.h>

/* The wire format as far as lengths go (protobuf's description of its encoding). */

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

static bool take_varint(struct gh_cursor *at, uint64_t *value)
{
    uint8_t byte;
    *value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (!gh_cursor_u8(at, &byte))
            return false;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return true;
    }
    return false;
}

/* The next field's number and, when it has any, its bytes. False at the end and at what is
 * malformed. */
static bool take_field(struct gh_cursor *at, uint32_t *number, struct gh_slice *bytes)
{
    uint64_t tag, value;
    *bytes = (struct gh_slice){0};
    if (!take_varint(at, &tag) || tag > UINT32_MAX)
        return false;
    *number = (uint32_t)(tag >> 3);
    switch ((enum wire)(tag & 7)) {
    case WIRE_VARINT:
        return take_varint(at, &value);
    case WIRE_64:
        return gh_cursor_take(at, 8, bytes);
    case WIRE_BYTES:
        return take_varint(at, &value) && value <= gh_cursor_left(at) &&
               gh_cursor_take(at, (size_t)value, bytes);
    case WIRE_32:
        return gh_cursor_take(at, 4, bytes);
    }
    return false;
}

/* Recursion ends where our types do: none of them holds itself. */
bool google_protobuf_texts_whole(const ProtobufCMessageDescriptor *type, struct gh_slice bytes)
{
    struct gh_cursor at = gh_cursor(bytes);
    struct gh_slice value;
    uint32_t number;
    while (take_field(&at, &number, &value)) {
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field(type, number);
        if (field == NULL || value.size == 0)
            continue;
        if (field->type == PROTOBUF_C_TYPE_STRING && memchr(value.data, 0, value.size) != NULL)
            return false;
        if (field->type == PROTOBUF_C_TYPE_MESSAGE &&
            !google_protobuf_texts_whole(field->descriptor, value))
            return false;
    }
    return true;
}
