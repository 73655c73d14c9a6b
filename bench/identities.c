#include "base/time.h"
#include "bench/load.h"
#include "crypto/issuer.h"
#include "crypto/key.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* certificates: a CA of its own, and a key and certificate for each of --count devices, named as
 * --id says, in one file after the other. Read again by the other modes, one TLS context for each:
 * a client that shows its own. */

enum { LIFE_S = 24 * 3600, PEM_MAX = 4096, NAME_MAX_BYTES = 128 };

static const struct gh_slice key_end = GH_SLICE_INIT("-----END PRIVATE KEY-----\n");

struct certificates {
    struct load *load;
    FILE *out;
    struct gh_authority *ca;
    long made;
};

static bool write_file(const char *path, struct gh_slice text)
{
    FILE *file = fopen(path, "we");
    bool good = file != NULL && fwrite(text.data, 1, text.size, file) == text.size;
    return file != NULL && fclose(file) == 0 && good;
}

static bool make_ca(struct certificates *certificates, struct gh_validity validity)
{
    const struct options *options = certificates->load->options;
    uint8_t key_block[PEM_MAX], block[PEM_MAX];
    struct gh_buffer key = gh_buffer_fixed(key_block, sizeof key_block),
                     pem = gh_buffer_fixed(block, sizeof block);
    struct gh_error error = {0};
    if (gh_authority_create(GH_SLICE("Bench devices"), validity, &key, &pem, &error) != GH_OK)
        return false;
    certificates->ca = gh_authority_open(gh_buffer_slice(&pem), gh_buffer_slice(&key), &error);
    return certificates->ca != NULL && write_file(options->ca, gh_buffer_slice(&pem)) &&
           write_file(options->ca_key, gh_buffer_slice(&key));
}

static bool make_leaf(struct certificates *certificates, struct gh_validity validity, long number)
{
    uint8_t public_block[PEM_MAX], key_block[PEM_MAX], block[PEM_MAX], id_block[NAME_MAX_BYTES];
    struct gh_buffer public_key = gh_buffer_fixed(public_block, sizeof public_block),
                     private_key = gh_buffer_fixed(key_block, sizeof key_block),
                     pem = gh_buffer_fixed(block, sizeof block),
                     id = gh_buffer_fixed(id_block, sizeof id_block);
    struct gh_error error = {0};
    struct gh_private_key *key = gh_private_key_generate(GH_KEY_P256, &error);
    struct gh_device_leaf leaf = {.uri = GH_SLICE("urn:bench"), .validity = validity};
    leaf.common_name = load_print_name(certificates->load->options->id, (size_t)number, &id);
    bool made = key != NULL && gh_private_key_print_public(key, &public_key) &&
                gh_private_key_print(key, &private_key);
    leaf.public_key_pem = gh_buffer_slice(&public_key);
    made = made && gh_issuer_issue(certificates->ca, &leaf, &pem, &error) == GH_OK &&
           fprintf(certificates->out, "%.*s%.*s", GH_PRINT(gh_buffer_slice(&pem)),
                   GH_PRINT(gh_buffer_slice(&private_key))) > 0;
    gh_private_key_close(key);
    return made;
}

static void *start(struct load *load)
{
    const struct options *options = load->options;
    struct certificates *certificates = calloc(1, sizeof *certificates);
    int64_t now_s = gh_time_utc_ms() / 1000;
    struct gh_validity validity = {now_s - 3600, now_s + LIFE_S};
    if (certificates == NULL || options->identities == NULL || options->ca == NULL ||
        options->ca_key == NULL || options->id == NULL) {
        load_fail(load, "certificates needs --identities, --ca, --ca-key and --id");
        free(certificates);
        return NULL;
    }
    certificates->load = load;
    certificates->out = fopen(options->identities, "we");
    bool good = certificates->out != NULL && make_ca(certificates, validity);
    while (good && certificates->made < options->count)
        good = make_leaf(certificates, validity, certificates->made++);
    good = certificates->out != NULL && fclose(certificates->out) == 0 && good;
    gh_authority_close(certificates->ca);
    if (!good)
        load_fail(load, "cannot make the certificates");
    return certificates;
}

static void report(void *state, struct gh_buffer *out)
{
    struct certificates *certificates = state;
    gh_buffer_print(out, ",\"certificates\":%ld}", certificates->made);
    free(certificates);
}

const struct mode certificates_mode = {.name = "certificates",
                                       .help = "no load: makes a CA and the clients' certificates",
                                       .offline = true,
                                       .start = start,
                                       .report = report};

/* --- reading */

static size_t find(struct gh_slice text, struct gh_slice what)
{
    const uint8_t *at = memmem(text.data, text.size, what.data, what.size);
    return at == NULL ? text.size : (size_t)(at - text.data);
}

bool load_open_identities(struct load *load, struct gh_slice text, struct gh_slice ca)
{
    size_t max = load->rows_count, count = 0;
    load->identities = calloc(max + 1, sizeof *load->identities);
    while (load->identities != NULL && count < max && text.size > 0) {
        struct gh_error error = {0};
        size_t end = find(text, key_end) + key_end.size;
        struct gh_slice one = gh_slice_sub(text, 0, end);
        text = gh_slice_sub(text, end, text.size);
        struct gh_tls_context *context = gh_tls_client_open(ca, &error);
        if (context == NULL || !gh_tls_client_present(context, one, one, &error)) {
            load_fail(load, "identity %zu: %s", count, error.text);
            return false;
        }
        if (load->options->resume != 0)
            gh_tls_client_resume(context);
        load->identities[count++] = context;
    }
    if (count < max)
        load_fail(load, "there are %zu identities for %zu clients", count, max);
    return count == max;
}
