#include "dialect/chronicle.h"
#include "dialect/dialect.h"
#include "pubsub/pubsub.h"
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRY_BYTES_MAX = 16 * 1024 };

/* From which level on an entry is told that tells of no failure. */
static const int levels[] = {
    [GH_CHRONICLE_CONNECT] = GH_DEVICE_LOG_INFO,
    [GH_CHRONICLE_DISCONNECT] = GH_DEVICE_LOG_INFO,
    [GH_CHRONICLE_ATTACH] = GH_DEVICE_LOG_INFO,
    [GH_CHRONICLE_DETACH] = GH_DEVICE_LOG_INFO,
    [GH_CHRONICLE_PUBLISH] = GH_DEVICE_LOG_DEBUG,
    [GH_CHRONICLE_SEND] = GH_DEVICE_LOG_DEBUG,
    [GH_CHRONICLE_ACK] = GH_DEVICE_LOG_DEBUG,
    [GH_CHRONICLE_SUBSCRIBE] = GH_DEVICE_LOG_DEBUG,
    [GH_CHRONICLE_UNSUBSCRIBE] = GH_DEVICE_LOG_DEBUG,
    [GH_CHRONICLE_HEARTBEAT] = GH_DEVICE_LOG_DEBUG,
};

static atomic_uint_fast64_t sequence_last;

bool gh_chronicle_failed(const struct gh_chronicle_entry *entry)
{
    return entry->reason != NULL && strcmp(entry->reason, "CLIENT_CLOSED") != 0;
}

static bool wanted(const struct gh_chronicle *chronicle, const struct gh_chronicle_entry *entry)
{
    int level = chronicle->device_level != GH_DEVICE_LOG_DEFAULT ? chronicle->device_level
                                                                 : chronicle->registry_level;
    int needed = gh_chronicle_failed(entry) ? (int)GH_DEVICE_LOG_ERROR : levels[entry->kind];
    return chronicle->topic.size > 0 && chronicle->dialect->chronicle != NULL && level >= needed;
}

static void posted(void *context, struct gh_letter *letter)
{
    (void)context;
    free((struct gh_publication *)(void *)letter);
}

static_assert(offsetof(struct gh_publication, done) == 0, "a publication is found by its letter");

static void post(const struct gh_chronicle *chronicle, const struct gh_message *message)
{
    struct gh_publication *publication = calloc(1, sizeof *publication);
    if (publication == NULL)
        return;
    publication->reply = posted;
    if (gh_pubsub_publish(chronicle->pubsub, chronicle->tenant, chronicle->topic, message,
                          publication, NULL) != GH_OK)
        free(publication);
}

void gh_chronicle_write(const struct gh_chronicle *chronicle, const struct gh_speaker *speaker,
                        const struct gh_chronicle_entry *entry)
{
    static const struct gh_operation whose = {.kind = GH_OPERATION_STATE};
    struct gh_message_attribute attributes[GH_DIALECT_ATTRIBUTES_MAX];
    struct gh_chronicle_entry told = *entry;
    struct gh_buffer text;
    if (!wanted(chronicle, entry))
        return;
    told.at_ms = chronicle->now_ms;
    told.sequence = atomic_fetch_add(&sequence_last, 1) + 1;
    gh_buffer_init(&text, ENTRY_BYTES_MAX);
    if (chronicle->dialect->chronicle(speaker, &told, &text)) {
        struct gh_message message = {
            .data = gh_buffer_slice(&text),
            .attributes = attributes,
            .attributes_count = chronicle->dialect->attributes(speaker, &whose, attributes)};
        post(chronicle, &message);
    }
    gh_buffer_deinit(&text);
}
