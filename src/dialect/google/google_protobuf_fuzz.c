/* Any bytes as a message of each kind: what is read can be written, and reads the same again. */
#include "dialect/google/protobuf_internal.h"
#include "google.pb-c.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const types[] = {
    &google__device__descriptor,
    &google__device_registry__descriptor,
    &google__subscription__descriptor,
    &google__publish_request__descriptor,
    &google__streaming_pull_request__descriptor,
    &google__seek_request__descriptor,
    &google__set_iam_policy_request__descriptor,
    &google__update_topic_request__descriptor,
    &google__list_devices_request__descriptor,
};

/* A mask is asked with, never answered: one text when it is read, and not written. */
static bool has_mask(const ProtobufCMessageDescriptor *type)
{
    for (unsigned i = 0; i < type->n_fields; i++)
        if (type->fields[i].descriptor == &google__field_mask__descriptor)
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_arena arena;
    struct gh_error error = {0};
    struct gh_slice bytes, again;
    if (size == 0)
        return 0;
    const ProtobufCMessageDescriptor *type = types[data[0] % GH_COUNT(types)];
    bytes = gh_slice(data + 1, size - 1);
    gh_arena_init(&arena, 4 << 20);
    json_t *first = google_protobuf_read(type, bytes, &arena, &error);
    if (first != NULL) {
        /* Numbers without a name and durations with a part are read for the handlers to refuse, and
         * never written. */
        if (google_protobuf_write(type, first, &arena, &again, &error) == GH_OK) {
            json_t *second = google_protobuf_read(type, again, &arena, &error);
            assert(second != NULL || error.code == GH_ERROR_LIMIT || error.code == GH_ERROR_MEMORY);
            assert(second == NULL || has_mask(type) || json_equal(first, second));
            json_decref(second);
        }
    }
    assert(google_protobuf_texts_whole(type, bytes) || first == NULL);
    json_decref(first);
    gh_arena_deinit(&arena);
    return 0;
}
