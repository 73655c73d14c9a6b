/* Checkpoints out of the house. The file is only ever appended to, and synced: whoever keeps it on
 * another machine, or on a medium that is written once, sees every truncation. */
#include "audit/audit_internal.h"
#include "base/log.h"
#include "io/http_client.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

enum { AT_ONCE = 100, ARENA_MAX = 1024 * 1024, HOOK_MS = 5000 };

static bool print_line(const struct gh_audit_checkpoint *checkpoint, struct gh_buffer *out)
{
    json_t *value = gh_audit_checkpoint_to_json(checkpoint, false);
    bool good = gh_json_write(value, out);
    json_decref(value);
    return good;
}

/* --- the file --- */

static bool file_failed(const struct gh_audit *audit, const char *name, struct gh_error *error)
{
    gh_error_set(error, GH_ERROR_FILE, "%.3000s/%s: %s", audit->folder, name, strerror(errno));
    return false;
}

static int file_open(const struct gh_audit *audit, const char *name, int flags)
{
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/%s", audit->folder, name);
    return open(path, flags | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* Writes whole, and waits for the disk. Closes the file. */
static bool file_put(int file, struct gh_slice bytes)
{
    bool good =
        file >= 0 && write(file, bytes.data, bytes.size) == (ssize_t)bytes.size && fsync(file) == 0;
    int why = errno;
    if (file >= 0)
        close(file);
    errno = why;
    return good;
}

/* The number in the last whole line; a part of a line behind it, which a crash has left, is cut
 * off, as what was never there. */
static bool last_line(struct gh_audit *audit, struct gh_error *error)
{
    uint8_t block[2 * GH_AUDIT_LINE_MAX];
    struct stat info;
    int file = file_open(audit, "checkpoints.jsonl", O_RDWR);
    bool good = file >= 0 && fstat(file, &info) == 0;
    off_t from =
        good && info.st_size > (off_t)sizeof block ? info.st_size - (off_t)sizeof block : 0;
    ssize_t size = good ? pread(file, block, sizeof block, from) : 0;
    while (size > 0 && block[size - 1] != '\n')
        size--;
    good = good && size >= 0 && ftruncate(file, from + size) == 0;
    struct gh_slice line = {0}, rest = gh_slice(block, size > 0 ? (size_t)size : 0);
    while (rest.size > 0)
        line = gh_slice_split(&rest, '\n');
    json_t *value = line.size > 0 ? gh_json_read(line, NULL) : NULL;
    audit->sent_seq[AUDIT_WAY_FILE] = (int64_t)json_integer_value(json_object_get(value, "seq"));
    audit->state.exported_seq = audit->sent_seq[AUDIT_WAY_FILE];
    json_decref(value);
    if (!good)
        (void)file_failed(audit, "checkpoints.jsonl", error);
    if (file >= 0)
        close(file);
    return good;
}

bool audit_export_open(struct gh_audit *audit, struct gh_error *error)
{
    if (audit->syslog)
        openlog("gatehouse-audit", LOG_PID, LOG_AUTHPRIV);
    if (audit->folder[0] == '\0')
        return true;
    if (mkdir(audit->folder, 0700) != 0 && errno != EEXIST)
        return file_failed(audit, "", error);
    if (!file_put(file_open(audit, "key.pem", O_WRONLY | O_TRUNC),
                  gh_buffer_slice(&audit->key_pem)))
        return file_failed(audit, "key.pem", error);
    return last_line(audit, error);
}

static bool to_file(struct gh_audit *audit, const struct gh_audit_checkpoint *checkpoint,
                    struct gh_error *error)
{
    uint8_t block[GH_AUDIT_LINE_MAX];
    struct gh_buffer line = gh_buffer_fixed(block, sizeof block);
    if (!print_line(checkpoint, &line) || !gh_buffer_put(&line, GH_SLICE("\n")) ||
        !file_put(file_open(audit, "checkpoints.jsonl", O_WRONLY | O_APPEND),
                  gh_buffer_slice(&line)))
        return file_failed(audit, "checkpoints.jsonl", error);
    pthread_mutex_lock(&audit->lock);
    audit->state.exported_seq = checkpoint->seq;
    pthread_mutex_unlock(&audit->lock);
    return true;
}

static bool file_is_there(const struct gh_audit *audit)
{
    return audit->folder[0] != '\0';
}

/* --- syslog and the web hook: what is new since the start --- */

static bool to_syslog(struct gh_audit *audit, const struct gh_audit_checkpoint *checkpoint,
                      struct gh_error *error)
{
    uint8_t block[GH_AUDIT_LINE_MAX];
    struct gh_buffer line = gh_buffer_fixed(block, sizeof block);
    (void)audit;
    if (!print_line(checkpoint, &line)) {
        gh_error_set(error, GH_ERROR_MEMORY, "a line for syslog");
        return false;
    }
    syslog(LOG_NOTICE, "%.*s", GH_PRINT(gh_buffer_slice(&line)));
    return true;
}

static bool syslog_is_there(const struct gh_audit *audit)
{
    return audit->syslog;
}

static bool to_hook(struct gh_audit *audit, const struct gh_audit_checkpoint *checkpoint,
                    struct gh_error *error)
{
    static const char *const headers[] = {"content-type: application/json", NULL};
    uint8_t block[GH_AUDIT_LINE_MAX], answer_block[4096];
    struct gh_buffer line = gh_buffer_fixed(block, sizeof block);
    struct gh_buffer answer = gh_buffer_fixed(answer_block, sizeof answer_block);
    struct gh_http_client *client =
        gh_http_client_open(audit->webhook_ca[0] != '\0' ? audit->webhook_ca : NULL, error);
    int status = 0;
    if (client == NULL || !print_line(checkpoint, &line)) {
        gh_http_client_close(client);
        return false;
    }
    gh_http_client_set_timeout(client, HOOK_MS, HOOK_MS);
    enum gh_error_code code = gh_http_client_call(client, "POST", audit->webhook, headers,
                                                  gh_buffer_slice(&line), &answer, &status, error);
    gh_http_client_close(client);
    if (code == GH_OK && (status < 200 || status > 299))
        code = gh_error_set(error, GH_ERROR_CONNECT, "the web hook answers %d", status);
    return code == GH_OK;
}

static bool hook_is_there(const struct gh_audit *audit)
{
    return audit->webhook[0] != '\0';
}

/* --- all of them: one that takes nothing keeps none from the others --- */

static const struct {
    bool (*is_there)(const struct gh_audit *audit);
    bool (*put)(struct gh_audit *audit, const struct gh_audit_checkpoint *checkpoint,
                struct gh_error *error);
} ways[AUDIT_WAYS] = {
    [AUDIT_WAY_FILE] = {file_is_there, to_file},
    [AUDIT_WAY_SYSLOG] = {syslog_is_there, to_syslog},
    [AUDIT_WAY_HOOK] = {hook_is_there, to_hook},
};

static bool export_by(struct gh_audit *audit, enum audit_way way, struct gh_error *error)
{
    struct gh_audit_checkpoint *rows;
    struct gh_arena arena;
    size_t count = 0;
    gh_arena_init(&arena, ARENA_MAX);
    bool good = gh_store_audit_checkpoint_list(audit->store, audit->sent_seq[way], AT_ONCE, &arena,
                                               &rows, &count, error) == GH_OK;
    for (size_t i = 0; good && i < count; i++) {
        good = ways[way].put(audit, &rows[i], error);
        audit->sent_seq[way] = good ? rows[i].seq : audit->sent_seq[way];
    }
    gh_arena_deinit(&arena);
    return good;
}

void audit_export(struct gh_audit *audit)
{
    for (enum audit_way way = 0; way < AUDIT_WAYS; way++) {
        struct gh_error error = {0};
        if (!ways[way].is_there(audit) || audit->sent_seq[way] >= audit->state.signed_seq ||
            export_by(audit, way, &error))
            continue;
        gh_metric_add(audit->metrics, GH_METRIC_audit_export_failures_total, 1);
        gh_log(GH_LOG_WARN, "audit", "a checkpoint did not leave the house: %s", error.text);
    }
}
