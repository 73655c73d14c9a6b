/* Between protobuf on the wire and the JSON documents of message_internal.h, driven by the
 * descriptors that protoc-c makes of proto/google.proto: names in lowerCamelCase, enums by name,
 * 64-bit numbers as text, bytes as base64, times and durations as text, a field mask as one text, a
 * pair list as an object. Default values are left out. Memory: bytes and structs of protobuf lie in
 * the arena, JSON values are the caller's. Threads: any. */
#ifndef GH_DIALECT_GOOGLE_PROTOBUF_INTERNAL_H
#define GH_DIALECT_GOOGLE_PROTOBUF_INTERNAL_H

#include "base/arena.h"
#include "base/error.h"
#include "wire/json.h"
#include <protobuf-c/protobuf-c.h>

/* A new object. NULL with INVALID (malformed, a text that is not UTF-8 or holds a NUL), UNSUPPORTED
 * (a field that the message here does not have) or LIMIT (it needs more than the arena gives). */
GH_MUST_USE json_t *google_protobuf_read(const ProtobufCMessageDescriptor *type,
                                         struct gh_slice bytes, struct gh_arena *arena,
                                         struct gh_error *error);
/* Whether no text of the message holds a NUL, at which protobuf-c's strings would end: such a text
 * must be refused, not cut. What is malformed is left to the decoder to refuse (protobuf_texts.c).
 */
GH_MUST_USE bool google_protobuf_texts_whole(const ProtobufCMessageDescriptor *type,
                                             struct gh_slice bytes);
/* Members that the type does not have are left out; NULL is the empty message. INTERNAL when a
 * member is of another kind than its field, LIMIT as above. */
GH_MUST_USE enum gh_error_code google_protobuf_write(const ProtobufCMessageDescriptor *type,
                                                     json_t *object, struct gh_arena *arena,
                                                     struct gh_slice *out, struct gh_error *error);
#endif
