/* Any bytes as a record of a message; what is read is written again and must be the same. */
#include "route/message.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_route_message read;
    struct gh_route_target target;
    size_t count = 0;
    if (!gh_route_message_read(gh_slice(data, size), &read))
        return 0;
    struct gh_route_draft draft = {.tenant = read.tenant,
                                   .topic = read.topic,
                                   .properties = read.properties,
                                   .payload = read.payload,
                                   .qos = read.qos,
                                   .retained = read.retained,
                                   .published_at_ms = read.published_at_ms,
                                   .expires_at_ms = read.expires_at_ms,
                                   .publisher = read.publisher,
                                   .packet_id = read.packet_id,
                                   .recorded = true,
                                   .targets_max = gh_route_targets_count(&read)};
    struct gh_route_message *again = gh_route_message_new(&draft);
    if (again == NULL)
        return 0;
    for (struct gh_slice at = read.targets; gh_route_target_next(&at, &target); count++)
        gh_route_message_add(again, &target);
    assert(count == draft.targets_max);
    assert(gh_slice_equal(gh_route_message_record(again), gh_slice(data, size)));
    gh_route_message_unref(again);
    return 0;
}
