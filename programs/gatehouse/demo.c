#include "programs/gatehouse/demo.h"
#include "base/buffer.h"
#include "base/secret.h"
#include "crypto/key.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HALLS = 3, PEM_MAX = 16 * 1024, TOKEN_TTL_S = 90 * 86400 };

static const char *const equipment[] = {"climate-a", "climate-b",   "air",         "heating",
                                        "cooling",   "ventilation", "dehumidifier"};

/* GH_ERROR_EXISTS is as good as made. */
static bool make(struct client *client, struct cli *cli, const char *method, const char *path,
                 json_t *body)
{
    bool made = client_call(client, method, path, body, NULL) || cli->error.code == GH_ERROR_EXISTS;
    json_decref(body);
    return made;
}

static bool make_token(struct cli *cli, struct client *client, const char *role, char *out,
                       size_t size)
{
    json_t *answer = NULL;
    json_t *body =
        json_pack("{s:s, s:s, s:i}", "role", role, "tenant", DEMO_TENANT, "ttl_s", TOKEN_TTL_S);
    bool made = client_call(client, "POST", "/api/v1/tokens", body, &answer);
    if (made)
        snprintf(out, size, "%s", json_string_value(json_object_get(answer, "token")));
    else if (cli->error.code == GH_OK)
        gh_error_set(&cli->error, GH_ERROR_INTERNAL, "no token");
    json_decref(answer);
    json_decref(body);
    return made;
}

/* Topics and the subscription are Pub/Sub's, so they are made over its REST face. */
static bool make_topics(struct cli *cli, struct client *client)
{
    char token[256];
    if (!make_token(cli, client, "administrator", token, sizeof token))
        return false;
    client_authorize(client, token);
    return make(client, cli, "PUT", "/v1/projects/" DEMO_TENANT "/topics/telemetry",
                json_object()) &&
           make(client, cli, "PUT", "/v1/projects/" DEMO_TENANT "/topics/state", json_object()) &&
           make(client, cli, "PUT", "/v1/projects/" DEMO_TENANT "/subscriptions/" DEMO_SUBSCRIPTION,
                json_pack("{s:s, s:i}", "topic", "projects/" DEMO_TENANT "/topics/telemetry",
                          "ackDeadlineSeconds", 60));
}

static bool make_folder(struct cli *cli, const char *path)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return true;
    gh_error_set(&cli->error, GH_ERROR_FILE, "cannot make the folder %s: %s", path,
                 strerror(errno));
    return false;
}

/* The device's own key: kept when it is there. Appends the public half. */
static bool make_key(struct cli *cli, const char *path, enum gh_key_kind kind,
                     struct gh_buffer *public_pem)
{
    struct gh_private_key *key = NULL;
    struct gh_buffer pem;
    struct gh_slice stored;
    bool good;
    gh_buffer_init(&pem, PEM_MAX);
    if (access(path, F_OK) == 0) {
        if (file_load(cli, path, &stored))
            key = gh_private_key_open(stored, &cli->error);
        good = key != NULL;
    } else {
        key = gh_private_key_generate(kind, &cli->error);
        good = key != NULL && gh_private_key_print(key, &pem) &&
               file_write(cli, path, gh_buffer_slice(&pem), 0600);
    }
    good = good && gh_private_key_print_public(key, public_pem);
    if (pem.data != NULL)
        gh_secret_wipe(pem.data, pem.capacity);
    gh_private_key_close(key);
    gh_buffer_deinit(&pem);
    return good;
}

static bool make_device(struct cli *cli, struct client *client, const char *data, const char *id,
                        const char *hall, const char *kind, enum gh_key_kind key_kind)
{
    const char *path = gh_arena_print(&cli->arena, "%s/demo/keys/%s.pem", data, id);
    struct gh_buffer public_pem;
    gh_buffer_init(&public_pem, PEM_MAX);
    bool made = make_key(cli, path, key_kind, &public_pem);
    if (made)
        made = make(client, cli, "POST",
                    "/api/v1/tenants/" DEMO_TENANT "/registries/" DEMO_REGISTRY "/devices",
                    json_pack("{s:s, s:[{s:s%}], s:{s:s, s:s}}", "id", id, "credentials", "pem",
                              (const char *)public_pem.data, public_pem.size, "attributes", "hall",
                              hall, "kind", kind));
    gh_buffer_deinit(&public_pem);
    return made;
}

static bool make_devices(struct cli *cli, struct client *client, const char *data)
{
    char id[64], hall[32];
    for (int h = 1; h <= HALLS; h++) {
        for (size_t i = 0; i < GH_COUNT(equipment); i++) {
            const char *kind = strncmp(equipment[i], "climate", 7) == 0 ? "climate" : equipment[i];
            snprintf(hall, sizeof hall, "hall-%d", h);
            snprintf(id, sizeof id, "hall-%d-%s", h, equipment[i]);
            if (!make_device(cli, client, data, id, hall, kind,
                             i % 2 == 0 ? GH_KEY_P256 : GH_KEY_RSA))
                return false;
        }
    }
    return make_device(cli, client, data, "site-weather", "outdoors", "weather", GH_KEY_P256);
}

static bool make_back_end_token(struct cli *cli, struct client *client, const char *data)
{
    char token[256];
    bool made = make_token(cli, client, "device-controller", token, sizeof token) &&
                file_write(cli, gh_arena_print(&cli->arena, "%s/demo/climate.token", data),
                           gh_slice_text(token), 0600);
    gh_secret_wipe(token, sizeof token);
    return made;
}

bool demo_prepare(struct cli *cli, const char *data)
{
    struct client *client = client_open(cli);
    bool ready =
        client != NULL && make_folder(cli, gh_arena_print(&cli->arena, "%s/demo", data)) &&
        make_folder(cli, gh_arena_print(&cli->arena, "%s/demo/keys", data)) &&
        make(client, cli, "POST", "/api/v1/tenants", json_pack("{s:s}", "name", DEMO_TENANT)) &&
        make(client, cli, "POST", "/api/v1/tenants/" DEMO_TENANT "/registries",
             json_pack("{s:s, s:s, s:[{s:s, s:s}], s:s}", "name", DEMO_REGISTRY, "location",
                       DEMO_LOCATION, "routes", "channel", "", "topic", "telemetry", "state_topic",
                       "state")) &&
        make_devices(cli, client, data) && make_back_end_token(cli, client, data) &&
        make_topics(cli, client);
    client_close(client);
    return ready;
}
