#include "base/time.h"
#include "dialect/front_internal.h"
#include "identity/access.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What goes to a device: its configuration (the newest version, repeated until acknowledged at QoS
 * 1) and commands (now or never). Tokens of the session tell them, and the devices of one
 * connection, apart. */

enum {
    CONFIG_ARENA_MAX = 512 * 1024,
    TOPIC_MAX = 1024,
    RETRIES_MAX = 16, /* configurations that are tried again at a time */
};
enum { KIND_BITS = 2, SLOT_BITS = 14, KIND_COMMAND = 0, KIND_CONFIG = 1 };

/* A token is its number, the slot of its device, and its kind; the broker's end in 1 0. */
static uint64_t next_token(struct party *party, unsigned kind)
{
    struct gateway *gateway = link_gateway(party_link(party));
    uint64_t *last = gateway != NULL ? &gateway->token_last : &party->feeds->token_last;
    return ++*last << (KIND_BITS + SLOT_BITS) | (uint64_t)party->slot << KIND_BITS | kind;
}

static struct party *party_of(const struct link *link, uint64_t token)
{
    return gateway_slot(link, (unsigned)(token >> KIND_BITS) & ((1u << SLOT_BITS) - 1));
}

static struct feed *feed_of(struct party *party, enum gh_feed feed)
{
    return feed == GH_FEED_CONFIG ? &party->feeds->config : &party->feeds->commands;
}

bool party_needs_feeds(struct party *party)
{
    if (party->feeds == NULL)
        party->feeds = calloc(1, sizeof *party->feeds);
    return party->feeds != NULL;
}

bool feed_subscribe(struct party *party, const struct gh_grant *grant)
{
    char *base = strndup((const char *)grant->base.data, grant->base.size);
    if (base == NULL || !party_needs_feeds(party)) {
        free(base);
        return false;
    }
    struct feed *feed = feed_of(party, grant->feed);
    free(feed->base);
    *feed = (struct feed){base, grant->qos};
    return true;
}

bool feed_unsubscribe(struct party *party, enum gh_feed which)
{
    if (party->feeds == NULL)
        return false;
    struct feed *feed = feed_of(party, which);
    bool existed = feed->base != NULL;
    free(feed->base);
    *feed = (struct feed){0};
    if (which == GH_FEED_CONFIG && party->feeds->config_token != 0)
        gh_session_withdraw(link_session(party_link(party)), party->feeds->config_token);
    return existed;
}

void party_free(struct party *party)
{
    struct feeds *feeds = party->feeds;
    if (feeds != NULL && feeds->state != NULL)
        task_close(feeds->state);
    if (feeds != NULL) {
        free(feeds->config.base);
        free(feeds->commands.base);
    }
    free(feeds);
    party_drop_names(party);
    party->feeds = NULL;
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

static void send_config(struct party *party, int64_t version, struct gh_slice data)
{
    struct link *link = party_link(party);
    const struct gh_front_services *services = &link_port(link)->front->services;
    char detail[32];
    if (party->feeds->config_token != 0 && party->feeds->config_version != version)
        gh_session_withdraw(link_session(link), party->feeds->config_token);
    if (party->feeds->config_token == 0) /* the same version keeps its token */
        party->feeds->config_token = next_token(party, KIND_CONFIG);
    party->feeds->config_version = version;
    struct gh_session_message message = {.topic = gh_slice_text(party->feeds->config.base),
                                         .payload = data,
                                         .qos = party->feeds->config.qos};
    enum gh_session_sending sending =
        gh_session_publish(link_session(link), &message, party->feeds->config_token,
                           gh_loop_now_ns(link_port(link)->port.loop), gh_conn_out(link->conn));
    if (sending != GH_SESSION_SENT) {
        party->feeds->config_token = 0;
        party->feeds->config_again = sending == GH_SESSION_FULL; /* when there is room again */
        return;
    }
    gh_metric_add(services->metrics, GH_METRIC_messages_sent_total, 1);
    gh_directory_note(services->directory, party->place.device, GH_ACTIVITY_CONFIG_SEND,
                      services->utc_ms());
    int size = snprintf(detail, sizeof detail, "version %" PRId64, version);
    party_note(party, GH_TRAIL_CONFIG_SENT, "", gh_slice(detail, (size_t)size));
    party_told(party, GH_CHRONICLE_SEND, message.topic, "CONFIG");
}

static void config_read(struct task *task)
{
    struct party *party = task->party;
    party->feeds->config_fetching = false;
    if (!party_is_live(party) || party->feeds->config.base == NULL)
        return;
    if (task->code == GH_OK && task->document.version > 0)
        send_config(party, task->document.version, task->document.data);
    else if (task->code != GH_ERROR_NOT_FOUND)
        party_end(party, GH_SESSION_END_OVERLOAD, "the configuration cannot be read");
    if (party->feeds->config_again && party_is_live(party) &&
        gh_conn_out(party_link(party)->conn)->size == 0)
        party_fetch_config(party);
}

void party_fetch_config(struct party *party)
{
    if (party->feeds == NULL || party->feeds->config.base == NULL || !party_is_live(party))
        return;
    party->feeds->config_again = party->feeds->config_fetching;
    if (party->feeds->config_fetching)
        return;
    struct task *task = task_open_for(party, CONFIG_ARENA_MAX, read_config, config_read);
    party->feeds->config_fetching = task != NULL && task_start(task);
    if (!party->feeds->config_fetching)
        party_end(party, GH_SESSION_END_OVERLOAD, "the configuration cannot be read now");
}

static bool waits(const struct party *party)
{
    return party->feeds != NULL && party->feeds->config_again && !party->feeds->config_fetching;
}

void link_retry_configs(struct link *link)
{
    size_t at = 1, fetched = 0;
    if (waits(&link->own))
        party_fetch_config(&link->own);
    for (struct party *party;
         fetched < RETRIES_MAX && link_is_live(link) && (party = gateway_next(link, &at)) != NULL;)
        if (waits(party)) {
            party_fetch_config(party);
            fetched++;
        }
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

static void config_acknowledged(struct party *party, int64_t version)
{
    char detail[32];
    int size = snprintf(detail, sizeof detail, "version %" PRId64, version);
    struct task *task =
        task_open_for(party, CONFIG_ARENA_MAX, store_acknowledgement, acknowledgement_stored);
    party_note(party, GH_TRAIL_CONFIG_ACK, "", gh_slice(detail, (size_t)size));
    party_told(party, GH_CHRONICLE_ACK, gh_slice_text(party->feeds->config.base), "CONFIG");
    if (task == NULL)
        return;
    task->document.version = version;
    (void)task_start(task);
}

/* --- commands */

/* Takes the command of this token out of the list; NULL when it is not there. */
static struct gh_command *take_sent(struct party *party, uint64_t token)
{
    if (party->feeds == NULL)
        return NULL;
    for (struct sent_command **at = &party->feeds->sent; *at != NULL; at = &(*at)->next) {
        struct sent_command *sent = *at;
        if (sent->token != token)
            continue;
        struct gh_command *command = sent->command;
        *at = sent->next;
        party->feeds->sent_count--;
        free(sent);
        return command;
    }
    return NULL;
}

static void finish_command(struct party *party, uint64_t token, enum gh_command_outcome outcome)
{
    struct gh_command *command = take_sent(party, token);
    if (command == NULL)
        return;
    party_note(party, GH_TRAIL_COMMAND, gh_command_outcome_name(outcome), command->channel);
    command->complete(command, outcome);
}

static enum gh_command_outcome send_command(struct party *party, struct gh_command *command)
{
    struct link *link = party_link(party);
    static const enum gh_command_outcome outcomes[] = {
        [GH_SESSION_SENT] = GH_COMMAND_OK,
        [GH_SESSION_FULL] = GH_COMMAND_FULL,
        [GH_SESSION_TOO_LARGE] = GH_COMMAND_FULL,
        [GH_SESSION_GONE] = GH_COMMAND_NOT_CONNECTED,
    };
    char text[TOPIC_MAX];
    struct gh_buffer topic = gh_buffer_fixed(text, sizeof text);
    int64_t now_ns = gh_loop_now_ns(link_port(link)->port.loop);
    gh_buffer_put(&topic, gh_slice_text(party->feeds->commands.base));
    if (command->channel.size > 0)
        gh_buffer_u8(&topic, '/');
    gh_buffer_put(&topic, command->channel);
    struct sent_command *sent = topic.overflow || party->feeds->sent_count >= GH_FRONT_COMMANDS_MAX
                                    ? NULL
                                    : malloc(sizeof *sent);
    if (sent == NULL)
        return GH_COMMAND_FULL;
    uint64_t token = next_token(party, KIND_COMMAND);
    *sent = (struct sent_command){party->feeds->sent, command, token,
                                  now_ns + GH_COMMAND_ANSWER_S_MAX * GH_SECOND_NS};
    party->feeds->sent = sent;
    party->feeds->sent_count++;
    struct gh_session_message message = {.topic = gh_buffer_slice(&topic),
                                         .payload = command->payload,
                                         .qos = party->feeds->commands.qos};
    enum gh_session_sending sending =
        gh_session_publish(link_session(link), &message, token, now_ns, gh_conn_out(link->conn));
    if (sending != GH_SESSION_SENT)
        (void)take_sent(party, token);
    return outcomes[sending];
}

void party_command(struct party *party, struct gh_command *command)
{
    enum gh_command_outcome outcome = party->feeds == NULL || party->feeds->commands.base == NULL
                                          ? GH_COMMAND_NOT_SUBSCRIBED
                                          : GH_COMMAND_OK;
    if (outcome == GH_COMMAND_OK)
        outcome = send_command(party, command);
    if (outcome == GH_COMMAND_OK) { /* under way, or at QoS 0 complete already */
        gh_metric_add(link_port(party_link(party))->front->services.metrics,
                      GH_METRIC_messages_sent_total, 1);
        gateway_due(party_link(party), party_due_ns(party));
        party_told(party, GH_CHRONICLE_SEND, gh_slice_text(party->feeds->commands.base), "COMMAND");
        return;
    }
    party_note(party, GH_TRAIL_COMMAND, gh_command_outcome_name(outcome), command->channel);
    command->complete(command, outcome);
}

static void check_commands(struct party *party, int64_t now_ns)
{
    for (struct sent_command *sent = party->feeds->sent, *next; sent != NULL; sent = next) {
        next = sent->next;
        if (sent->deadline_ns > now_ns)
            continue;
        uint64_t token = sent->token;
        finish_command(party, token, GH_COMMAND_TIMEOUT);
        gh_session_withdraw(link_session(party_link(party)), token);
        next = party->feeds->sent; /* the list has changed: begin again */
    }
}

void party_tick(struct party *party, int64_t now_ns)
{
    if (party->feeds == NULL)
        return;
    check_commands(party, now_ns);
    if (party->feeds->state != NULL && party->feeds->state_ns <= now_ns)
        party_release_state(party);
}

int64_t party_due_ns(const struct party *party)
{
    if (party->feeds == NULL)
        return INT64_MAX;
    int64_t first = party->feeds->state != NULL ? party->feeds->state_ns : INT64_MAX;
    for (const struct sent_command *sent = party->feeds->sent; sent != NULL; sent = sent->next)
        if (sent->deadline_ns < first)
            first = sent->deadline_ns;
    return first;
}

void party_drop(struct party *party)
{
    while (party->feeds != NULL && party->feeds->sent != NULL)
        finish_command(party, party->feeds->sent->token, GH_COMMAND_NOT_CONNECTED);
}

void link_delivered(struct link *link, uint64_t token, bool acknowledged)
{
    struct party *party = party_of(link, token);
    if (party == NULL || party->feeds == NULL) /* it was detached meanwhile */
        return;
    if ((token & 3) == KIND_CONFIG && token == party->feeds->config_token) {
        party->feeds->config_token = 0;
        if (acknowledged && party->feeds->config.qos > 0)
            config_acknowledged(party, party->feeds->config_version);
    } else if ((token & 3) == KIND_COMMAND) {
        if (acknowledged && party->feeds->commands.qos > 0)
            party_told(party, GH_CHRONICLE_ACK, (struct gh_slice){0}, "COMMAND");
        finish_command(party, token, acknowledged ? GH_COMMAND_OK : GH_COMMAND_NOT_CONNECTED);
    }
    if (acknowledged)
        link_retry_configs(link);
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
    struct party *party = task->party;
    if ((!task->credential.found || task->credential.revoked) && party_is_live(party))
        party_end(party, GH_SESSION_END_CREDENTIAL_REMOVED,
                  task->credential.revoked
                      ? "the access token was revoked"
                      : "the credential in use was taken away, disabled or is no longer valid");
}

void party_check_credential(struct party *party)
{
    struct gh_slice serial;
    /* What came by a CA has an order of its own for revocations; a token for it may be taken back.
     */
    if (party_token(party).size == 0 &&
        gh_anchor_credential_read(party_credential(party), 0, &serial))
        return;
    if (party_credential(party).size == 0) /* its gateway speaks for it, without a token */
        return;
    struct task *task = task_open_for(party, CONFIG_ARENA_MAX, read_credentials, credentials_read);
    bool copied =
        task != NULL &&
        gh_arena_copy(&task->arena, party_credential(party), &task->credential.credential) &&
        gh_arena_copy(&task->arena, party_token(party), &task->credential.token_id);
    if (task != NULL && !copied)
        task_close(task);
    if (!copied || !task_start(task)) /* in doubt it must prove itself again */
        party_end(party, GH_SESSION_END_CREDENTIAL_REMOVED, "the keys of the device changed");
}
