/* For the tests of the packet codec: a table of wire bytes, each read, written back, and cut short
 * at every byte. */
#ifndef GH_WIRE_MQTT_PACKET_TESTBED_H
#define GH_WIRE_MQTT_PACKET_TESTBED_H

#include "tests/check.h"
#include "wire/mqtt/packet_again.h"
#include <stdio.h>

struct testbed_case {
    const char *claim;
    enum gh_mqtt_reader reader;
    struct gh_slice wire;
    enum gh_mqtt_fault fault;
    /* How many of its bodies cut short are packets too: a payload may end anywhere. */
    size_t shorter;
};

enum { TESTBED_BYTES_MAX = 256 };

/* The bytes written are those expected, and no buffer that is too small gets a part of them. */
static void testbed_writes_back(enum gh_mqtt_version version, const struct testbed_case *row,
                                const struct gh_mqtt_packet *packet, struct gh_slice wire)
{
    uint8_t block[TESTBED_BYTES_MAX];

    for (size_t size = 0; size <= wire.size; size++) {
        struct gh_buffer out = gh_buffer_fixed(block, size);
        bool written = again_write(version, packet, &out);
        CHECK(row->claim, written == (size == wire.size));
        CHECK(row->claim, out.overflow == !written);
        CHECK(row->claim, written ? gh_slice_equal(gh_buffer_slice(&out), wire) : out.size == 0);
    }
    if (packet->type == GH_MQTT_PUBLISH)
        CHECK(row->claim, gh_mqtt_publish_size(version, &packet->publish) == wire.size);
}

/* A body cut short, under a length that fits it, is a packet `shorter` times and is refused
 * otherwise. */
static void testbed_cuts(enum gh_mqtt_version version, const struct testbed_case *row,
                         struct gh_mqtt_frame frame)
{
    struct gh_mqtt_packet packet;
    size_t taken = 0, size = frame.body.size;

    for (size_t cut = 0; cut < size; cut++) {
        frame.body.size = cut;
        frame.size = cut + (cut < 128 ? 2 : 3);
        taken += gh_mqtt_packet_read(&frame, version, row->reader, &packet) == GH_MQTT_FAULT_NONE;
    }
    CHECK(row->claim, taken == row->shorter);
}

/* `again` is what is written for it: mostly the same bytes. */
static void testbed_run(enum gh_mqtt_version version, const struct testbed_case *row,
                        struct gh_slice again)
{
    struct gh_mqtt_frame frame, none;
    struct gh_mqtt_packet packet;

    REQUIRE(row->claim, row->wire.size <= TESTBED_BYTES_MAX);
    REQUIRE(row->claim,
            gh_mqtt_frame_read(row->wire, TESTBED_BYTES_MAX, &frame) == GH_MQTT_FRAME_OK &&
                frame.size == row->wire.size);
    for (size_t cut = 0; cut < row->wire.size; cut++)
        CHECK(row->claim, gh_mqtt_frame_read(gh_slice_sub(row->wire, 0, cut), TESTBED_BYTES_MAX,
                                             &none) == GH_MQTT_FRAME_MORE);
    enum gh_mqtt_fault fault = gh_mqtt_packet_read(&frame, version, row->reader, &packet);
    if (!CHECK(row->claim, fault == row->fault))
        printf("  %s\n", gh_mqtt_fault_text(fault));
    if (fault == GH_MQTT_FAULT_NONE && row->fault == GH_MQTT_FAULT_NONE) {
        testbed_writes_back(version, row, &packet, again);
        testbed_cuts(version, row, frame);
    }
}
#endif
