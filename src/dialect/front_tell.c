/* The activity of the devices, for those who follow it (dialect/chronicle.h). */
#include "dialect/front_internal.h"

enum { LEVEL_ARENA_MAX = 512 * 1024 };

void party_tell(const struct party *party, const struct gh_chronicle_entry *entry)
{
    const struct link *link = party_link(party);
    const struct gh_front_services *services = &link_port(link)->front->services;
    if (link->view->activity_topic.size == 0 || link_dialect(link)->chronicle == NULL)
        return;
    struct gh_speaker speaker = party_speaker(party);
    struct gh_chronicle chronicle = {.dialect = link_dialect(link),
                                     .pubsub = services->pubsub,
                                     .tenant = link->view->tenant,
                                     .topic = link->view->activity_topic,
                                     .device_level = party->log_level,
                                     .registry_level = link->view->log_level,
                                     .now_ms = services->utc_ms()};
    struct gh_chronicle_entry told = *entry;
    told.protocol = "MQTT";
    gh_chronicle_write(&chronicle, &speaker, &told);
}

void party_told(const struct party *party, enum gh_chronicle_kind kind, struct gh_slice topic,
                const char *matter)
{
    party_tell(party, &(struct gh_chronicle_entry){.kind = kind, .topic = topic, .matter = matter});
}

static void read_level(struct task *task)
{
    struct gh_device device;
    task->code = gh_directory_device_get(task->front->services.directory, task->device,
                                         &task->arena, &device, &task->error);
    if (task->code == GH_OK)
        task->log_level = device.log_level;
}

static void level_read(struct task *task)
{
    if (task->code == GH_OK)
        task->party->log_level = (uint8_t)task->log_level;
}

void party_read_level(struct party *party)
{
    if (link_dialect(party_link(party))->chronicle == NULL)
        return;
    struct task *task = task_open_for(party, LEVEL_ARENA_MAX, read_level, level_read);
    if (task != NULL)
        (void)task_start(task); /* else the level before holds on */
}
