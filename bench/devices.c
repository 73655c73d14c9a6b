#include "base/time.h"
#include "bench/load.h"
#include "crypto/key.h"
#include "wire/jose.h"
#include "wire/json.h"
#include <stdio.h>
#include <stdlib.h>

/* Devices by Google's conventions: a P-256 key each, a line for `gatehouse device import`, and a
 * line of the clients' file with the device's path, a token signed by its key, and its topic for
 * events. The keys are not kept: the tokens outlive the benchmark. */

enum { TOKEN_LIFE_S = 20 * 3600, TEXT_MAX = 4096 };

struct devices {
    struct load *load;
    FILE *import, *clients;
    long made;
};

static bool write_import(struct devices *devices, const char *id, struct gh_slice pem)
{
    const struct options *options = devices->load->options;
    json_t *line = json_pack("{s:s, s:s, s:s, s:o}", "tenant", options->project, "registry",
                             options->registry, "id", id, "public_key", gh_json_new_text(pem));
    bool good = line != NULL && json_dumpf(line, devices->import, JSON_COMPACT) == 0 &&
                fputc('\n', devices->import) != EOF;
    json_decref(line);
    return good;
}

static bool write_client(struct devices *devices, const char *id, const struct gh_private_key *key)
{
    const struct options *options = devices->load->options;
    uint8_t text[TEXT_MAX], signature[GH_KEY_SIGNATURE_MAX];
    struct gh_buffer token = gh_buffer_fixed(text, sizeof text);
    int64_t now_s = gh_time_utc_ms() / 1000;
    struct gh_jose_issue issue = {.audience = gh_slice_text(options->project),
                                  .issued_at_s = now_s,
                                  .expires_at_s = now_s + TOKEN_LIFE_S};
    size_t size;
    return gh_jose_begin(&token, gh_private_key_algorithm(key), &issue) &&
           gh_private_key_sign(key, gh_buffer_slice(&token), signature, &size) &&
           gh_jose_finish(&token, gh_slice(signature, size)) &&
           fprintf(devices->clients,
                   "projects/%s/locations/%s/registries/%s/devices/%s\t%.*s\t/devices/%s/events\n",
                   options->project, options->location, options->registry, id,
                   GH_PRINT(gh_buffer_slice(&token)), id) > 0;
}

static bool make_device(struct devices *devices, long number)
{
    struct gh_error error = {0};
    uint8_t text[TEXT_MAX];
    struct gh_buffer pem = gh_buffer_fixed(text, sizeof text);
    struct gh_private_key *key = gh_private_key_generate(GH_KEY_P256, &error);
    char id[32];
    snprintf(id, sizeof id, "dev-%05ld", number);
    bool made = key != NULL && gh_private_key_print_public(key, &pem) &&
                write_import(devices, id, gh_buffer_slice(&pem)) && write_client(devices, id, key);
    gh_private_key_close(key);
    return made;
}

static void *start(struct load *load)
{
    const struct options *options = load->options;
    struct devices *devices = calloc(1, sizeof *devices);
    if (devices == NULL || options->import == NULL || options->clients == NULL) {
        load_fail(load, "devices needs --import FILE and --clients FILE");
        free(devices);
        return NULL;
    }
    devices->load = load;
    devices->import = fopen(options->import, "we");
    devices->clients = fopen(options->clients, "we");
    bool good = devices->import != NULL && devices->clients != NULL;
    while (good && devices->made < options->count)
        good = make_device(devices, devices->made++);
    good = devices->import != NULL && fclose(devices->import) == 0 && good;
    good = devices->clients != NULL && fclose(devices->clients) == 0 && good;
    if (!good)
        load_fail(load, "cannot write %s or %s", options->import, options->clients);
    return devices;
}

static void report(void *state, struct gh_buffer *out)
{
    struct devices *devices = state;
    gh_buffer_print(out, ",\"devices\":%ld}", devices->made);
    free(devices);
}

const struct mode devices_mode = {.name = "devices",
                                  .help = "no load: makes devices and their tokens",
                                  .offline = true,
                                  .start = start,
                                  .report = report};
