/* Any bytes as a packet of either version and direction, which the first byte chooses: always one
 * object of JSON on one line. */
#include "observe/trace_line.h"
#include "wire/json.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_buffer line;
    if (size == 0 || size > 32768)
        return 0;
    struct gh_trace_packet packet = {.inbound = (data[0] & 1) != 0,
                                     .version = (data[0] & 2) != 0 ? GH_MQTT_V5 : GH_MQTT_V311,
                                     .bytes = gh_slice(data + 1, size - 1),
                                     .address = GH_SLICE("[::1]:1")};
    gh_buffer_init(&line, GH_TRACE_LINE_BYTES_MAX);
    if (gh_trace_line(&packet, (data[0] & 4) != 0, &line)) {
        json_t *value = gh_json_read(gh_buffer_slice(&line), NULL);
        assert(json_is_object(value));
        assert(gh_slice_find(gh_buffer_slice(&line), '\n') == line.size);
        json_decref(value);
    }
    gh_buffer_deinit(&line);
    return 0;
}
