/* For the tests of topics and subscriptions: a data folder with its store, two tenants, and clocks
 * that tests move by hand. Included by one test program at a time. Threads: the test's own. */
#ifndef GH_PUBSUB_PUBSUB_TESTBED_H
#define GH_PUBSUB_PUBSUB_TESTBED_H

#include "pubsub/log_disk.h"
#include "pubsub/pubsub.h"
#include "pubsub/waiter.h"
#include "store/registry.h"
#include "store/store.h"
#include "tests/check.h"
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One data folder with its store, tenant and clocks that tests move by hand. */
struct bed {
    const char *folder;
    struct gh_store *store;
    struct gh_pubsub *ps;
    int64_t tenant, other_tenant;
    struct gh_arena arena;
    struct disk disk;
};

static _Atomic int64_t mono_ns, utc_ms;
static _Atomic uint64_t looks; /* at the clock: a thread at rest takes none */

static inline int64_t test_mono(void *context)
{
    (void)context;
    looks++;
    return mono_ns;
}

static inline int64_t test_utc(void *context)
{
    (void)context;
    return utc_ms;
}

static inline void pass_s(struct bed *bed, int64_t seconds)
{
    mono_ns += seconds * 1000000000;
    utc_ms += seconds * 1000;
    gh_pubsub_wake(bed->ps);
}

static inline void start(struct bed *bed)
{
    struct gh_error error = {0};
    struct gh_pubsub_options options = {
        .folder = bed->folder,
        .store = bed->store,
        .log = {.segment_bytes = 256 * 1024,
                .files = &bed->disk.files,
                .clock = {.monotonic_ns = test_mono, .utc_ms = test_utc}}};
    bed->ps = gh_pubsub_open(&options, &error);
    if (bed->ps == NULL)
        fprintf(stderr, "%s\n", error.text);
    REQUIRE("pubsub opens", bed->ps != NULL);
}

static inline void restart(struct bed *bed)
{
    gh_pubsub_close(bed->ps);
    start(bed);
}

static inline int64_t tenant_make(struct bed *bed, const char *name)
{
    struct gh_error error = {0};
    struct gh_slice text = gh_slice_text(name);
    struct gh_tenant tenant = {
        .name = text, .google_project = text, .azure_hub = text, .aws_account = text};
    REQUIRE("a tenant", gh_store_tenant_create(bed->store, &tenant, &error) == GH_OK);
    return tenant.number;
}

static inline struct bed *bed_open(void)
{
    struct gh_error error = {0};
    struct bed *bed = calloc(1, sizeof *bed);
    REQUIRE("memory", bed != NULL);
    mono_ns = 1000000000;
    utc_ms = 1800000000000;
    bed->folder = check_folder();
    bed->store = gh_store_open(bed->folder, GH_STORE_CREATE, &error);
    if (bed->store == NULL)
        fprintf(stderr, "%s\n", error.text);
    REQUIRE("a store", bed->store != NULL);
    bed->tenant = tenant_make(bed, "demo-tenant");
    bed->other_tenant = tenant_make(bed, "other-tenant");
    gh_arena_init(&bed->arena, 64 << 20);
    disk_init(&bed->disk, 1);
    start(bed);
    return bed;
}

static inline void bed_close(struct bed *bed)
{
    gh_pubsub_close(bed->ps);
    gh_store_close(bed->store);
    gh_arena_deinit(&bed->arena);
    free(bed);
}

static inline void topic(struct bed *bed, const char *name)
{
    CHECK("a topic", gh_pubsub_topic_create(bed->ps, bed->tenant, gh_slice_text(name),
                                            GH_SLICE("{}"), &bed->arena, NULL, NULL) == GH_OK);
}

static inline void subscription(struct bed *bed, const char *name, const char *topic_name)
{
    struct gh_subscription what = {
        .tenant = bed->tenant, .name = gh_slice_text(name), .topic = gh_slice_text(topic_name)};
    CHECK("a subscription",
          gh_pubsub_subscription_create(bed->ps, &what, &bed->arena, NULL, NULL) == GH_OK);
}

static inline uint64_t publish(struct bed *bed, const char *topic_name, const char *data)
{
    struct gh_message_attribute attribute = {GH_SLICE("deviceId"), GH_SLICE("d1")};
    struct gh_message message = {.data = gh_slice_text(data),
                                 .attributes = &attribute,
                                 .attributes_count = 1,
                                 .ordering_key = GH_SLICE("key")};
    uint64_t id = 0;
    CHECK("published", gh_pubsub_publish_wait(bed->ps, bed->tenant, gh_slice_text(topic_name),
                                              &message, 1, &id, NULL) == GH_OK);
    return id;
}

static inline void publish_many(struct bed *bed, const char *topic_name, unsigned first,
                                unsigned count)
{
    static char texts[1000][16];
    static struct gh_message messages[1000];
    static uint64_t ids[1000];
    for (unsigned done = 0; done < count;) {
        unsigned batch = count - done < 1000 ? count - done : 1000;
        for (unsigned i = 0; i < batch; i++) {
            int size = snprintf(texts[i], sizeof texts[i], "%u", first + done + i);
            messages[i] = (struct gh_message){.data = gh_slice(texts[i], (size_t)size),
                                              .ordering_key = GH_SLICE("key")};
        }
        CHECK("published", gh_pubsub_publish_wait(bed->ps, bed->tenant, gh_slice_text(topic_name),
                                                  messages, batch, ids, NULL) == GH_OK);
        done += batch;
    }
}

static inline struct gh_pull pull(struct bed *bed, const char *name, size_t max)
{
    struct gh_pull pull = {.messages_max = max};
    CHECK("pulled",
          gh_pubsub_pull_wait(bed->ps, bed->tenant, gh_slice_text(name), &pull, NULL) == GH_OK);
    return pull;
}

/* The data of what a pull gives, "a b c", at once. */
static inline const char *pull_text(struct bed *bed, const char *name)
{
    static char text[1024];
    size_t used = 0;
    struct gh_pull got = pull(bed, name, 100);
    text[0] = '\0';
    for (size_t i = 0; i < got.count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%.*s", i == 0 ? "" : " ",
                                 GH_PRINT(got.messages[i].message.data));
    gh_pull_release(&got);
    return text;
}

static inline enum gh_error_code ack_text(struct bed *bed, const char *name, const char *id)
{
    struct gh_slice slice = gh_slice_text(id);
    return gh_pubsub_acknowledge_wait(bed->ps, bed->tenant, gh_slice_text(name), &slice, 1, NULL);
}

static inline enum gh_error_code ack_all(struct bed *bed, const char *name,
                                         const struct gh_pull *pulled)
{
    struct gh_slice ids[GH_PUBSUB_PULL_MAX];
    for (size_t i = 0; i < pulled->count; i++)
        ids[i] = gh_slice_text(pulled->messages[i].ack_id);
    return gh_pubsub_acknowledge_wait(bed->ps, bed->tenant, gh_slice_text(name), ids, pulled->count,
                                      NULL);
}
#endif
