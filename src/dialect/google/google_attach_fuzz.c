#include "dialect/google/mqtt.h"

/* Any payload of an attach message, and as a device's id in a report: a token or none. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gh_speaker gateway = {.id = GH_SLICE_INIT("g"), .is_gateway = true};
    struct gh_identity_claim claim;
    struct gh_arena arena;
    struct gh_buffer topic, payload;
    struct gh_slice bytes = gh_slice(data, size);
    gh_arena_init(&arena, 1 << 20);
    gh_buffer_init(&topic, 1 << 16);
    gh_buffer_init(&payload, 1 << 20);
    gh_google_dialect.attach(&gateway, GH_SLICE("d"), bytes, &arena, &claim);
    if (claim.token.size > size || !gh_slice_equal(claim.device, GH_SLICE("d")))
        __builtin_trap();
    const struct gh_report report = {
        .kind = GH_REPORT_MISSING, .device = bytes, .packet = "PUBLISH", .topic = bytes};
    if (gh_google_dialect.report(&gateway, &report, &topic, &payload) && payload.size == 0)
        __builtin_trap();
    gh_buffer_deinit(&payload);
    gh_buffer_deinit(&topic);
    gh_arena_deinit(&arena);
    return 0;
}
