#include "bench/load.h"
#include "base/log.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { FILE_BYTES_MAX = 64 << 20, REPORT_BYTES_MAX = 1 << 20 };

void load_fail(struct load *load, const char *format, ...)
{
    va_list arguments;
    if (load->failed) /* what follows is a consequence */
        return;
    load->failed = true;
    va_start(arguments, format);
    fputs("gatehouse-swarm bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    if (load->loop != NULL)
        gh_loop_stop(load->loop);
}

/* The bytes are the caller's to free. */
static bool read_file(struct load *load, const char *path, struct gh_slice *out)
{
    FILE *file = fopen(path, "re");
    struct gh_buffer bytes;
    gh_buffer_init(&bytes, FILE_BYTES_MAX);
    bool good = file != NULL;
    while (good && !feof(file)) {
        uint8_t *to = gh_buffer_reserve(&bytes, 65536);
        good = to != NULL && !ferror(file);
        if (good)
            gh_buffer_commit(&bytes, fread(to, 1, 65536, file));
    }
    if (file != NULL)
        fclose(file);
    if (!good)
        load_fail(load, "cannot read %s: %s", path, strerror(errno));
    *out = gh_buffer_slice(&bytes);
    return good;
}

static bool read_clients(struct load *load, const char *path)
{
    struct gh_slice text;
    if (load->options->server == NULL)
        return true;
    if (!read_file(load, path, &text))
        return false;
    load->rows_text = text;
    for (size_t i = 0; i < text.size; i++)
        load->rows_count += text.data[i] == '\n';
    load->rows = calloc(load->rows_count + 1, sizeof *load->rows);
    for (size_t i = 0; load->rows != NULL && i < load->rows_count; i++) {
        struct gh_slice line = gh_slice_split(&text, '\n');
        load->rows[i].id = gh_slice_split(&line, '\t');
        load->rows[i].password = gh_slice_split(&line, '\t');
        load->rows[i].topic = gh_slice_split(&line, '\t');
        load->rows[i].user = line;
    }
    return load->rows != NULL;
}

struct gh_slice load_print_name(const char *template, size_t number, struct gh_buffer *out)
{
    size_t from = out->size;
    for (const char *at; (at = strstr(template, "{n}")) != NULL; template = at + 3)
        gh_buffer_print(out, "%.*s%zu", (int)(at - template), template, number);
    gh_buffer_print(out, "%s", template);
    return gh_slice(out->data + from, out->size - from);
}

/* As many as the options speak of. One fixed block, so that the rows may borrow from it. */
static bool make_clients(struct load *load)
{
    const struct options *options = load->options;
    const char *templates[] = {options->id, options->password, options->topic, options->user};
    size_t bytes = 1, count = (size_t)(options->publishers + options->subscribers);
    if (options->count > (long)count)
        count = (size_t)options->count;
    for (size_t i = 0; i < GH_COUNT(templates); i++)
        bytes += (strlen(templates[i]) * 8 + 32) * count;
    uint8_t *text = malloc(bytes);
    load->rows = calloc(count, sizeof *load->rows);
    if (text == NULL || load->rows == NULL)
        return false;
    load->rows_text = gh_slice(text, bytes);
    load->rows_count = count;
    struct gh_buffer out = gh_buffer_fixed(text, bytes);
    for (size_t i = 0; i < count; i++)
        load->rows[i] = (struct client_row){.id = load_print_name(options->id, i, &out),
                                            .password = load_print_name(options->password, i, &out),
                                            .topic = load_print_name(options->topic, i, &out),
                                            .user = load_print_name(options->user, i, &out)};
    return !out.overflow;
}

static bool read_server(struct load *load, const char *text)
{
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (colon == NULL || (size_t)(colon - text) >= sizeof load->host ||
        !gh_slice_to_u64(gh_slice_text(colon + 1), &port) || port == 0 || port > UINT16_MAX) {
        load_fail(load, "--server is ADDRESS:PORT");
        return false;
    }
    memcpy(load->host, text, (size_t)(colon - text));
    load->port = (uint16_t)port;
    return true;
}

void load_name_peer(const struct load *load, struct peer *peer, size_t row)
{
    const struct client_row *named = &load->rows[row % load->rows_count];
    peer->id = named->id;
    peer->user = named->user;
    peer->password = named->password;
    peer->tls = load->identities == NULL ? NULL : load->identities[row % load->rows_count];
}

static bool open_tls(struct load *load, struct gh_error *error)
{
    struct gh_slice ca = {0}, identities = {0};
    if (!read_file(load, load->options->ca, &ca))
        return false;
    load->tls = gh_tls_client_open(ca, error);
    if (load->tls != NULL && load->options->resume != 0)
        gh_tls_client_resume(load->tls);
    const char *path = load->options->identities;
    bool good = path == NULL ||
                (read_file(load, path, &identities) && load_open_identities(load, identities, ca));
    free((void *)(uintptr_t)ca.data);
    free((void *)(uintptr_t)identities.data);
    return good;
}

static bool open_load(struct load *load)
{
    const struct options *options = load->options;
    struct gh_error error = {0};
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    load->limits = gh_mqtt_client_limits_default;
    load->limits.inflight_max = (uint16_t)options->window;
    if (!(options->clients == NULL ? make_clients(load) : read_clients(load, options->clients)) ||
        (options->server != NULL && !read_server(load, options->server)))
        return false;
    if (options->pids != NULL && !processes_parse(options->pids, &load->processes)) {
        load_fail(load, "--pids is a list of numbers");
        return false;
    }
    if (options->ca != NULL && load->port != 0 && !open_tls(load, &error))
        return false;
    load->loop = gh_loop_open(&error);
    if (load->loop == NULL || (options->ca != NULL && load->port != 0 && load->tls == NULL))
        load_fail(load, "%s", error.text);
    return !load->failed;
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static double own_cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

int load_run(const struct mode *mode, const struct options *options)
{
    struct load load = {.options = options};
    struct gh_buffer out;
    bool opened = open_load(&load);
    if (opened && !mode->offline && load.port == 0) {
        load_fail(&load, "--server is missing");
        opened = false;
    }
    void *state = opened ? mode->start(&load) : NULL;
    if (state == NULL)
        return EXIT_FAILURE;
    if (!mode->offline)
        gh_loop_run(load.loop);
    gh_buffer_init(&out, REPORT_BYTES_MAX);
    gh_buffer_print(&out, "{\"mode\":\"%s\",\"load_cpu_s\":%.2f", mode->name, own_cpu_s());
    mode->report(state, &out);
    printf("%.*s\n", GH_PRINT(gh_buffer_slice(&out)));
    gh_buffer_deinit(&out);
    gh_loop_close(load.loop);
    gh_tls_context_unref(load.tls);
    for (size_t i = 0; load.identities != NULL && i < load.rows_count; i++)
        gh_tls_context_unref(load.identities[i]);
    free(load.identities);
    free((void *)(uintptr_t)load.rows_text.data);
    free(load.rows);
    return load.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
