/* The command line: what its commands share. A command is a row of a table (commands.c): its words,
 * its options, its help, and what it calls. Options may stand anywhere after the words, as --name
 * VALUE or --name=VALUE. Exit codes: 0 done, 1 refused or failed, 2 usage. Threads: one. */
#ifndef GATEHOUSE_CLI_H
#define GATEHOUSE_CLI_H

#include "base/arena.h"
#include "base/error.h"
#include "identity/invitation.h"
#include <jansson.h>

enum { CLI_ARGUMENTS_MAX = 72, CLI_OPTIONS_MAX = 32, CLI_FAILED = 1, CLI_USAGE = 2 };

/* `arguments_count` of a command that takes one and more. */
#define CLI_ANY_ARGUMENTS SIZE_MAX

struct cli_option {
    const char *name, *value; /* value "" for a flag */
};

struct cli {
    const struct cli_command *command;
    const char *arguments[CLI_ARGUMENTS_MAX];
    size_t arguments_count;
    struct cli_option options[CLI_OPTIONS_MAX];
    size_t options_count;
    struct gh_arena arena;
    struct gh_error error;
};

struct cli_command {
    const char *noun, *verb; /* verb NULL: the noun alone */
    const char *arguments;   /* for the help: "TENANT/REGISTRY" */
    size_t arguments_count;
    const char
        *options; /* names, separated by spaces; a trailing ! marks a flag; "…" the common ones */
    const char *help;
    int (*run)(struct cli *cli);
    /* For commands that are one call and one table (cli_call). */
    const char *method,
        *path;        /* "/api/v1/tenants/{0}/registries/{1}" by the parts of the first argument */
    const char *list; /* the member that is the list; NULL: the answer is one thing */
    const char *columns; /* "id number connection.state last_event_at" */
};

extern const struct cli_command cli_commands[];
extern const size_t cli_commands_count;

/* NULL when it was not given. Repeated options: the `nth` (from 0) of that name. */
const char *cli_option(const struct cli *cli, const char *name);
const char *cli_option_nth(const struct cli *cli, const char *name, size_t nth);
/* --data, or $GATEHOUSE_DATA, or the user's data folder. */
const char *cli_data(struct cli *cli);
/* Prints "gatehouse: …" on standard error and returns the exit code for it. */
int cli_fail(struct cli *cli);
int cli_usage(struct cli *cli, const char *what);

/* --- client.c: calls to the API, by DIR/admin.sock or --server */

struct client;
struct client *client_open(struct cli *cli);
void client_close(struct client *client);
/* The calls that follow carry this bearer token. */
void client_authorize(struct client *client, const char *token);
/* `body` may be NULL. `*answer` (may be NULL) is the caller's to json_decref. False with cli->error
 * set, for every status but 2xx. */
bool client_call(struct client *client, const char *method, const char *path, const json_t *body,
                 json_t **answer);

/* Of a call with many devices that was refused for one: its index in "devices[N]: …", and the text
 * behind that alone. False for an error of the whole. */
bool client_failed_index(struct gh_error *error, size_t count, size_t *index);

/* A stream of events: `take` gets its pieces as they come and says false to end it. False with
 * cli->error set when it was refused or broke. */
bool client_follow(struct client *client, const char *path,
                   bool (*take)(void *context, struct gh_slice piece), void *context);

/* --- output.c */

/* A terminal never sees what a device may have put into a text. */
void output_text(const char *text);

/* Prints the answer: as JSON with --json, else as a table of the command's columns. */
void output_answer(const struct cli *cli, const json_t *answer);
/* One thing as lines of name and value, of the command's columns. */
void output_thing(const struct cli *cli, const json_t *thing);
/* The part `index` of "TENANT/REGISTRY/DEVICE", percent-encoded for a path; "" when it is not
 * there. */
const char *cli_part(struct cli *cli, const char *name, size_t index);
/* The command's path with its parts filled in. */
const char *cli_path(struct cli *cli);

/* "90s", "15m", "1h", "30d" or seconds; 0 when it is none. */
long cli_seconds(const char *text);
/* The option's value under `key`, when it was given. */
void cli_put_option(struct cli *cli, json_t *body, const char *option, const char *key);
/* Calls the command's row with `body` (given, may be NULL), prints the answer, returns the exit
 * code. */
int cli_call(struct cli *cli, json_t *body);

/* --- the commands */
int run_call(struct cli *cli);          /* call.c: method, path, list, columns */
int run_tenant_create(struct cli *cli); /* call.c */
int run_tenant_enable(struct cli *cli); /* call.c */
int run_registry_create(struct cli *cli);
int run_device_create(struct cli *cli);
int run_device_import(struct cli *cli); /* import.c */
int run_import_google(struct cli *cli); /* import_google.c */
int run_device_update(struct cli *cli);
int run_device_config(struct cli *cli);
int run_device_command(struct cli *cli);
int run_token(struct cli *cli);
int run_token_key_rotate(struct cli *cli);
int run_tenant_relax(struct cli *cli); /* operate.c */
int run_tenant_limits(struct cli *cli);
int run_alert_set(struct cli *cli);       /* alert.c */
int run_connection_show(struct cli *cli); /* operate.c */
int run_device_ban(struct cli *cli);
int run_device_trace(struct cli *cli); /* trace.c */
int run_policy_put(struct cli *cli);   /* policy.c */
int run_policy_check(struct cli *cli);
int run_policy_target(struct cli *cli); /* attach and detach */
int run_policy_explain(struct cli *cli);
int run_access_explain(struct cli *cli);
int run_group_member(struct cli *cli); /* add and remove */
int run_role(struct cli *cli);         /* roles.c: show and delete */
int run_role_list(struct cli *cli);
int run_role_put(struct cli *cli);
int run_binding_list(struct cli *cli);
int run_binding_add(struct cli *cli);
int run_binding_remove(struct cli *cli);
int run_init(struct cli *cli);        /* init.c */
int run_up(struct cli *cli);          /* up.c */
int run_keys_status(struct cli *cli); /* keys.c */
int run_keys_rotate(struct cli *cli);
int run_keys_migrate(struct cli *cli);
int run_keys_export(struct cli *cli);
int run_service_account_create(struct cli *cli); /* service.c */
int run_service_key_create(struct cli *cli);
int run_ca_status(struct cli *cli); /* root.c */
int run_ca_export_root(struct cli *cli);
int run_ca_remove_root(struct cli *cli);
int run_ca_renew(struct cli *cli);
int run_ca_add(struct cli *cli); /* ca.c */
int run_ca_file(struct cli *cli);
int run_ca_enable(struct cli *cli); /* enable and disable */
int run_ca_crl(struct cli *cli);
int run_certificate_revoke(struct cli *cli);
int run_certificate_issue(struct cli *cli);
int run_device_enrol(struct cli *cli);
int run_credential(struct cli *cli);
int run_operator_create(struct cli *cli); /* people.c */
int run_operator_update(struct cli *cli); /* change, disable and enable */
int run_operator_token(struct cli *cli);
int run_sign_in(struct cli *cli);      /* show and demand */
int run_audit_verify(struct cli *cli); /* audit.c */
int run_audit_export(struct cli *cli);
int run_audit_prove(struct cli *cli);
int run_audit_cut(struct cli *cli);
int run_audit_forget(struct cli *cli);
int run_completion(struct cli *cli); /* completion.c */
int run_help(struct cli *cli);       /* main.c */

/* --- keys.c */
/* Whether a server has the data folder. */
bool cli_is_served(struct cli *cli);
/* That a secret of the keyring leaves the house gets its row in the audit trail, before it does. */
bool cli_tell_export(struct cli *cli, const char *name);

/* --- audit.c */
struct gh_store;
/* What was done to a data folder that nobody serves leaves a row in its audit trail. */
bool cli_audit(struct cli *cli, struct gh_store *store, const char *action, const char *object);

/* --- init.c */
/* What lets the first operator in, which the caller shows once and wipes: one of them, the other
 * is empty. */
struct first_operator {
    const char *name;
    char password[GH_PASSWORD_MADE_MAX], invitation[GH_INVITATION_MAX];
};
/* Makes the data folder: CA, configuration, database, first operator. */
bool init_folder(struct cli *cli, const char *data, struct first_operator *first);
bool init_exists(const char *data);

/* --- files */
bool file_write(struct cli *cli, const char *path, struct gh_slice bytes, unsigned mode);
bool file_load(struct cli *cli, const char *path, struct gh_slice *out);
#endif
