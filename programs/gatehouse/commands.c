#include "programs/gatehouse/cli.h"

#define TENANT "/api/v1/tenants/{0}"
#define REGISTRY TENANT "/registries/{1}"
#define DEVICE REGISTRY "/devices/{2}"

const struct cli_command cli_commands[] = {
    {"init", NULL, "", 0, "data host operator", "make a data folder: CA, keys, first operator",
     run_init, NULL, NULL, NULL, NULL},
    {"up", NULL, "", 0, "data demo host operator speed listen",
     "start the server in the foreground; --demo warehouse with a simulated site", run_up, NULL,
     NULL, NULL, NULL},
    {"token", NULL, "", 0, "… role tenant ttl member", "print a bearer token for scripts",
     run_token, NULL, NULL, NULL, NULL},
    {"status", NULL, "", 0, "…", "what the server is doing", run_call, "GET", "/api/v1/status",
     NULL, "version started_at devices connected messages_received messages_stored log_bytes"},

    {"operator", "password", "NAME", 1, "…", "give an operator a new password, shown once",
     run_call, "POST", "/api/v1/operators/{0}/password", NULL, "name password"},

    {"tenant", "create", "NAME", 1, "… google-project azure-hub aws-account", "add a tenant",
     run_tenant_create, "POST", "/api/v1/tenants", NULL,
     "name google_project azure_hub aws_account created_at"},
    {"tenant", "list", "", 0, "…", "list the tenants", run_call, "GET", "/api/v1/tenants",
     "tenants", "name google_project azure_hub aws_account created_at"},
    {"tenant", "show", "TENANT", 1, "…", "show a tenant", run_call, "GET", TENANT, NULL,
     "name google_project azure_hub aws_account created_at"},
    {"tenant", "delete", "TENANT", 1, "…", "delete an empty tenant", run_call, "DELETE", TENANT,
     NULL, ""},

    {"registry", "create", "TENANT/REGISTRY", 1, "… location route state-topic",
     "add a registry; --route [CHANNEL=]TOPIC, repeatable", run_registry_create, "POST",
     TENANT "/registries", NULL, "name location state_topic created_at"},
    {"registry", "list", "TENANT", 1, "…", "list the registries of a tenant", run_call, "GET",
     TENANT "/registries", "registries",
     "name location device_count mqtt_enabled state_topic created_at"},
    {"registry", "show", "TENANT/REGISTRY", 1, "…", "show a registry", run_call, "GET", REGISTRY,
     NULL,
     "name location device_count routes state_topic mqtt_enabled http_enabled log_level "
     "created_at"},
    {"registry", "delete", "TENANT/REGISTRY", 1, "…", "delete an empty registry", run_call,
     "DELETE", REGISTRY, NULL, ""},

    {"device", "create", "TENANT/REGISTRY/DEVICE", 1, "… public-key certificate expires attribute",
     "add a device with its keys; --attribute KEY=VALUE, repeatable", run_device_create, "POST",
     REGISTRY "/devices", NULL, "id number credentials created_at"},
    {"device", "import", "FILE", 1, "…", "add many devices from JSON Lines", run_device_import,
     NULL, NULL, NULL, NULL},
    {"device", "list", "TENANT/REGISTRY", 1, "… filter state page-size page-token",
     "list the devices of a registry", run_call, "GET", REGISTRY "/devices", "devices",
     "id number connection.state connection.address last_event_at last_refusal.reason blocked"},
    {"device", "show", "TENANT/REGISTRY/DEVICE", 1, "…", "show a device", run_call, "GET", DEVICE,
     NULL,
     "id number blocked connection.state connection.since connection.address connection.credential "
     "connection.expires_at credentials attributes last_event_at last_state_at last_heartbeat_at "
     "last_refusal "
     "config state created_at"},
    {"device", "delete", "TENANT/REGISTRY/DEVICE", 1, "…",
     "delete a device; it is disconnected at once", run_call, "DELETE", DEVICE, NULL, ""},
    {"device", "block", "TENANT/REGISTRY/DEVICE", 1, "…",
     "disconnect a device and refuse it from now on", run_device_update, "PATCH", DEVICE, NULL,
     "id blocked connection.state"},
    {"device", "unblock", "TENANT/REGISTRY/DEVICE", 1, "…", "let a blocked device connect again",
     run_device_update, "PATCH", DEVICE, NULL, "id blocked connection.state"},
    {"device", "log", "TENANT/REGISTRY/DEVICE", 1, "… from to limit kind",
     "connects, disconnects and refusals with their reasons", run_call, "GET", DEVICE "/log",
     "entries", "at kind reason detail address"},
    {"device", "telemetry", "TENANT/REGISTRY/DEVICE", 1, "… from to limit channel",
     "the device's events", run_call, "GET", DEVICE "/telemetry", "records", "at channel data"},
    {"device", "configs", "TENANT/REGISTRY/DEVICE", 1, "…",
     "the last versions of the configuration", run_call, "GET", DEVICE "/configs", "configs",
     "version updated_at acknowledged_at data"},
    {"device", "config", "TENANT/REGISTRY/DEVICE", 1, "… file if-version",
     "write a new configuration from --file (- is standard input)", run_device_config, "POST",
     DEVICE "/config", NULL, "version updated_at"},
    {"device", "states", "TENANT/REGISTRY/DEVICE", 1, "…",
     "the last states that the device reported", run_call, "GET", DEVICE "/states", "states",
     "updated_at data"},
    {"device", "command", "TENANT/REGISTRY/DEVICE", 1, "… file channel",
     "send --file (- is standard input) to the connected device", run_device_command, "POST",
     DEVICE "/commands", NULL, ""},

    {"fleet", NULL, "", 0, "… filter state tenant registry page-size page-token",
     "devices of all registries", run_call, "GET", "/api/v1/devices", "devices",
     "tenant registry id connection.state connection.address last_event_at last_refusal.reason "
     "blocked"},
    {"refusals", NULL, "", 0, "… limit", "who was refused lately, and exactly why", run_call, "GET",
     "/api/v1/refusals", "entries", "at tenant registry device reason detail address"},
    {"zone", "list", "", 0, "…", "the zones of the climate application", run_call, "GET",
     "/api/v1/zones", "zones",
     "tenant zone season mode reading.temperature_c reading.humidity_pct reading.co2_ppm "
     "updated_at"},
    {"zone", "show", "TENANT/ZONE", 1, "…", "show a zone", run_call, "GET", TENANT "/zones/{1}",
     NULL, "zone name season mode band reading outdoor probes equipment alarms updated_at"},
    {"completion", NULL, "bash", 1, "", "print the completion script of a shell", run_completion,
     NULL, NULL, NULL, NULL},
    {"help", NULL, "", 0, "", "this list", run_help, NULL, NULL, NULL, NULL},
};
const size_t cli_commands_count = GH_COUNT(cli_commands);
