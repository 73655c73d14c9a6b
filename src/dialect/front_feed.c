#include "base/time.h"
#include "dialect/front_internal.h"
#include "identity/access.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What goes to a device: its configuration (the newest version, repeated until acknowledged at QoS
 * 1) and commands (now or never). Tokens of the session tell them apart: odd is a configuration's
 * version. */

enum { CONFIG_ARENA_MAX = 512 * 1024, TOPIC_MAX = 1024 };

static uint64_t config_token(int64_t version)
{
    return (uint64_t)version << 1 | 1;
}

static struct feed *feed_of(struct link *link, enum gh_feed feed)
{
    return feed == GH_FEED_CONFIG ? &link->config : &link->commands;
}

bool feed_subscribe(struct link *link, const struct gh_grant *grant)
{
    struct feed *feed = feed_of(link, grant->feed);
    char *base = strndup((const char *)grant->base.data, grant->base.size);
    if (base == NULL)
        return false;
    free(feed->base);
    *feed = (struct feed){base, grant->qos};
    return true;
}

bool feed_unsubscribe(struct link *link, enum gh_feed which)
{
    struct feed *feed = feed_of(link, which);
    bool existed = feed->base != NULL;
    free(feed->base);
    *feed = (struct feed){0};
    if (which == GH_FEED_CONFIG && link->config_token != 0)
        gh_session_withdraw(link->session, link->config_token);
    return existed;
}

/* --- configuration */

static void read_config(struct task *task)
{
    struct gh_config *configs;
    size_t count = 0;
    task->code = gh_directory_config_list(task->front->services.directory, task->device, 1,
                                          &task->arena, &configs, &count, &task->error);
    if (task->code == GH_OK && count == 1) {
        task->document.data = configs[0].data;
        task->document.version = configs[0].version;
    }
}

static void send_config(struct link *link, int64_t version, struct gh_slice data)
{
    const struct gh_front_services *services = &link->port->front->services;
    char detail[32];
    if (link->config_token != 0 && link->config_token != config_token(version))
        gh_session_withdraw(link->session, link->config_token);
    link->config_token = config_token(version);
    struct gh_session_message message = {
        .topic = gh_slice_text(link->config.base), .payload = data, .qos = link->config.qos};
    enum gh_session_sending sending =
        gh_session_publish(link->session, &message, link->config_token,
                           gh_loop_now_ns(link->port->port.loop), gh_conn_out(link->conn));
    if (sending != GH_SESSION_SENT) {
        link->config_token = 0;
        link->config_again = sending == GH_SESSION_FULL; /* when the output has drained */
        return;
    }
    gh_metric_add(services->metrics, GH_METRIC_messages_sent_total, 1);
    gh_directory_note(services->directory, link->device, GH_ACTIVITY_CONFIG_SEND,
                      services->utc_ms());
    int size = snprintf(detail, sizeof detail, "version %" PRId64, version);
    link_note(link, GH_TRAIL_CONFIG_SENT, "", gh_slice(detail, (size_t)size));
}

static void config_read(struct task *task)
{
    struct link *link = task->link;
    link->config_fetching = false;
    if (!link_is_live(link) || link->config.base == NULL)
        return;
    if (task->code == GH_OK && task->document.version > 0)
        send_config(link, task->document.version, task->document.data);
    else if (task->code != GH_ERROR_NOT_FOUND)
        link_end(link, GH_SESSION_END_OVERLOAD, "the configuration cannot be read");
    if (link->config_again && link_is_live(link) && gh_conn_out(link->conn)->size == 0)
        link_fetch_config(link);
}

void link_fetch_config(struct link *link)
{
    if (link->config.base == NULL || !link_is_live(link))
        return;
    link->config_again = link->config_fetching;
    if (link->config_fetching)
        return;
    struct task *task = task_open(link, CONFIG_ARENA_MAX, read_config, config_read);
    link->config_fetching = task != NULL && task_start(task);
    if (!link->config_fetching)
        link_end(link, GH_SESSION_END_OVERLOAD, "the configuration cannot be read now");
}

static void store_acknowledgement(struct task *task)
{
    task->code = gh_directory_config_acknowledged(task->front->services.directory, task->device,
                                                  task->document.version,
                                                  task->front->services.utc_ms(), &task->error);
}

static void acknowledgement_stored(struct task *task)
{
    (void)task; /* a device that was deleted meanwhile has nothing to acknowledge */
}

static void config_acknowledged(struct link *link, int64_t version)
{
    char detail[32];
    int size = snprintf(detail, sizeof detail, "version %" PRId64, version);
    struct task *task =
        task_open(link, CONFIG_ARENA_MAX, store_acknowledgement, acknowledgement_stored);
    link_note(link, GH_TRAIL_CONFIG_ACK, "", gh_slice(detail, (size_t)size));
    if (task == NULL)
        return;
    task->document.version = version;
    (void)task_start(task);
}

/* --- commands */

/* Takes the command of this token out of the list; NULL when it is not there. */
static struct gh_command *take_sent(struct link *link, uint64_t token)
{
    for (struct sent_command **at = &link->sent; *at != NULL; at = &(*at)->next) {
        struct sent_command *sent = *at;
        if (sent->token != token)
            continue;
        struct gh_command *command = sent->command;
        *at = sent->next;
        link->sent_count--;
        free(sent);
        return command;
    }
    return NULL;
}

static void finish_command(struct link *link, uint64_t token, enum gh_command_outcome outcome)
{
    struct gh_command *command = take_sent(link, token);
    if (command == NULL)
        return;
    link_note(link, GH_TRAIL_COMMAND, gh_command_outcome_name(outcome), command->channel);
    command->complete(command, outcome);
}

static enum gh_command_outcome send_command(struct link *link, struct gh_command *command)
{
    static const enum gh_command_outcome outcomes[] = {
        [GH_SESSION_SENT] = GH_COMMAND_OK,
        [GH_SESSION_FULL] = GH_COMMAND_FULL,
        [GH_SESSION_TOO_LARGE] = GH_COMMAND_FULL,
        [GH_SESSION_GONE] = GH_COMMAND_NOT_CONNECTED,
    };
    char text[TOPIC_MAX];
    struct gh_buffer topic = gh_buffer_fixed(text, sizeof text);
    int64_t now_ns = gh_loop_now_ns(link->port->port.loop);
    gh_buffer_put(&topic, gh_slice_text(link->commands.base));
    if (command->channel.size > 0)
        gh_buffer_u8(&topic, '/');
    gh_buffer_put(&topic, command->channel);
    struct sent_command *sent =
        topic.overflow || link->sent_count >= GH_FRONT_COMMANDS_MAX ? NULL : malloc(sizeof *sent);
    if (sent == NULL)
        return GH_COMMAND_FULL;
    uint64_t token = ++link->token_last
                     << 2; /* 0 0; a configuration's ends in 1, the broker's in 1 0 */
    *sent = (struct sent_command){link->sent, command, token,
                                  now_ns + GH_COMMAND_ANSWER_S_MAX * GH_SECOND_NS};
    link->sent = sent;
    link->sent_count++;
    struct gh_session_message message = {
        .topic = gh_buffer_slice(&topic), .payload = command->payload, .qos = link->commands.qos};
    enum gh_session_sending sending =
        gh_session_publish(link->session, &message, token, now_ns, gh_conn_out(link->conn));
    if (sending != GH_SESSION_SENT)
        (void)take_sent(link, token);
    return outcomes[sending];
}

void link_command(struct link *link, struct gh_command *command)
{
    enum gh_command_outcome outcome =
        link->commands.base == NULL ? GH_COMMAND_NOT_SUBSCRIBED : GH_COMMAND_OK;
    if (outcome == GH_COMMAND_OK)
        outcome = send_command(link, command);
    if (outcome == GH_COMMAND_OK) { /* under way, or at QoS 0 complete already */
        gh_metric_add(link->port->front->services.metrics, GH_METRIC_messages_sent_total, 1);
        return;
    }
    link_note(link, GH_TRAIL_COMMAND, gh_command_outcome_name(outcome), command->channel);
    command->complete(command, outcome);
}

int64_t link_commands_deadline_ns(const struct link *link)
{
    int64_t first = INT64_MAX;
    for (const struct sent_command *sent = link->sent; sent != NULL; sent = sent->next)
        if (sent->deadline_ns < first)
            first = sent->deadline_ns;
    return first;
}

void link_check_commands(struct link *link, int64_t now_ns)
{
    for (struct sent_command *sent = link->sent, *next; sent != NULL; sent = next) {
        next = sent->next;
        if (sent->deadline_ns > now_ns)
            continue;
        uint64_t token = sent->token;
        finish_command(link, token, GH_COMMAND_TIMEOUT);
        gh_session_withdraw(link->session, token);
        next = link->sent; /* the list has changed: begin again */
    }
}

void link_drop_commands(struct link *link)
{
    while (link->sent != NULL)
        finish_command(link, link->sent->token, GH_COMMAND_NOT_CONNECTED);
}

void link_delivered(struct link *link, uint64_t token, bool acknowledged)
{
    if (token & 1) {
        bool current = token == link->config_token;
        if (current)
            link->config_token = 0;
        if (acknowledged && link->config.qos > 0)
            config_acknowledged(link, (int64_t)(token >> 1));
        return;
    }
    finish_command(link, token, acknowledged ? GH_COMMAND_OK : GH_COMMAND_NOT_CONNECTED);
}

/* --- the credential in use */

static void read_credentials(struct task *task)
{
    struct gh_device device;
    struct gh_slice serial;
    task->code = gh_directory_device_get(task->front->services.directory, task->device,
                                         &task->arena, &device, &task->error);
    task->credential.found = gh_anchor_credential_read(task->credential.credential, 0, &serial);
    for (size_t i = 0; task->code == GH_OK && i < device.credentials_count; i++)
        if (gh_slice_equal(device.credentials[i].id, task->credential.credential))
            task->credential.found =
                gh_credential_state(&device.credentials[i], task->front->services.utc_ms()) ==
                GH_CREDENTIAL_ENABLED;
    task->credential.revoked =
        task->credential.token_id.size > 0 &&
        gh_access_is_revoked(task->front->services.access, task->credential.token_id);
}

static void credentials_read(struct task *task)
{
    struct link *link = task->link;
    if ((!task->credential.found || task->credential.revoked) && link_is_live(link))
        link_end(link, GH_SESSION_END_CREDENTIAL_REMOVED,
                 task->credential.revoked
                     ? "the access token was revoked"
                     : "the credential in use was taken away, disabled or is no longer valid");
}

void link_check_credential(struct link *link)
{
    struct gh_slice serial;
    /* What came by a CA has an order of its own for revocations; a token for it may be taken back.
     */
    if (link->token_id.size == 0 && gh_anchor_credential_read(link->credential, 0, &serial))
        return;
    struct task *task = task_open(link, CONFIG_ARENA_MAX, read_credentials, credentials_read);
    bool copied = task != NULL &&
                  gh_arena_copy(&task->arena, link->credential, &task->credential.credential) &&
                  gh_arena_copy(&task->arena, link->token_id, &task->credential.token_id);
    if (task != NULL && !copied)
        task_close(task);
    if (!copied || !task_start(task)) /* in doubt it must prove itself again */
        link_end(link, GH_SESSION_END_CREDENTIAL_REMOVED, "the keys of the device changed");
}
