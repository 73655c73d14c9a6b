#include "programs/gatehoused/ocsps.h"
#include "base/log.h"
#include "base/time.h"
#include "crypto/ocsp.h"
#include "io/http_client.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum { ARENA_MAX = 4 << 20, ROWS_MAX = 64, CONNECT_MS = 2000, CALL_MS = 5000, PERIOD_S = 1 };

struct ocsps {
    struct gh_directory *directory;
    struct gh_http_client *client; /* the thread's */
    pthread_t thread;
    pthread_mutex_t lock; /* around what follows */
    pthread_cond_t wake;
    bool stops;
};

static enum gh_error_code ask(struct gh_http_client *client, const struct gh_ocsp_row *row,
                              struct gh_arena *arena, struct gh_ocsp_answer *out,
                              struct gh_error *error)
{
    static const char *const headers[] = {"content-type: application/ocsp-request", NULL};
    struct gh_buffer request, response;
    int status = 0;
    const char *url = gh_arena_text(arena, row->url);
    gh_buffer_init(&request, GH_OCSP_REQUEST_MAX);
    gh_buffer_init(&response, GH_OCSP_ANSWER_MAX);
    enum gh_error_code code =
        url != NULL ? gh_ocsp_ask_serial(row->serial, row->pem, &request, error)
                    : gh_error_set(error, GH_ERROR_MEMORY, "no memory for an address");
    if (code == GH_OK)
        code = gh_http_client_call(client, "POST", url, headers, gh_buffer_slice(&request),
                                   &response, &status, error);
    if (code == GH_OK && status != 200)
        code = gh_error_set(error, GH_ERROR_CONNECT, "the answer has status %d", status);
    if (code == GH_OK)
        code = gh_ocsp_check(gh_buffer_slice(&response), row->pem, row->serial,
                             gh_time_utc_ms() / 1000, out, error);
    gh_buffer_deinit(&response);
    gh_buffer_deinit(&request);
    return code;
}

static bool is_stopping(struct ocsps *ocsps)
{
    pthread_mutex_lock(&ocsps->lock);
    bool stops = ocsps->stops;
    pthread_mutex_unlock(&ocsps->lock);
    return stops;
}

static void ask_about(struct ocsps *ocsps, const struct gh_ocsp_row *row, struct gh_arena *arena)
{
    struct gh_ocsp_answer answer;
    struct gh_error error = {0};
    char line[GH_ERROR_LINE_MAX];
    bool answered = ask(ocsps->client, row, arena, &answer, &error) == GH_OK;
    if (!answered)
        gh_log(GH_LOG_WARN, "ocsps", "CA %.*s, certificate %.*s: %s", GH_PRINT(row->anchor_id),
               GH_PRINT(row->serial), gh_error_line(&error, line));
    if (gh_directory_ocsp_said(ocsps->directory, row, answered ? &answer : NULL, gh_time_utc_ms(),
                               &error) != GH_OK)
        gh_log(GH_LOG_ERROR, "ocsps", "%s", gh_error_line(&error, line));
}

static void ask_all(struct ocsps *ocsps)
{
    struct gh_arena arena;
    struct gh_ocsp_row *rows;
    struct gh_error error = {0};
    char line[GH_ERROR_LINE_MAX];
    size_t count = 0;
    gh_arena_init(&arena, ARENA_MAX);
    if (gh_directory_ocsp_due(ocsps->directory, gh_time_utc_ms(), ROWS_MAX, &arena, &rows, &count,
                              &error) != GH_OK)
        gh_log(GH_LOG_ERROR, "ocsps", "%s", gh_error_line(&error, line));
    for (size_t i = 0; i < count && !is_stopping(ocsps); i++)
        ask_about(ocsps, &rows[i], &arena);
    gh_arena_deinit(&arena);
}

static void *work(void *context)
{
    struct ocsps *ocsps = context;
    pthread_mutex_lock(&ocsps->lock);
    while (!ocsps->stops) {
        struct timespec until;
        pthread_mutex_unlock(&ocsps->lock);
        ask_all(ocsps);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += PERIOD_S;
        pthread_mutex_lock(&ocsps->lock);
        while (!ocsps->stops &&
               pthread_cond_timedwait(&ocsps->wake, &ocsps->lock, &until) != ETIMEDOUT) {
        }
    }
    pthread_mutex_unlock(&ocsps->lock);
    return NULL;
}

static void free_all(struct ocsps *ocsps)
{
    gh_http_client_close(ocsps->client);
    pthread_cond_destroy(&ocsps->wake);
    pthread_mutex_destroy(&ocsps->lock);
    free(ocsps);
}

struct ocsps *ocsps_open(struct gh_directory *directory, bool private_too, struct gh_error *error)
{
    struct ocsps *ocsps = calloc(1, sizeof *ocsps);
    pthread_condattr_t clock;
    if (ocsps == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "no memory to ask responders");
        return NULL;
    }
    ocsps->directory = directory;
    pthread_mutex_init(&ocsps->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&ocsps->wake, &clock);
    pthread_condattr_destroy(&clock);
    ocsps->client = gh_http_client_open_public(private_too, error);
    if (ocsps->client == NULL) {
        free_all(ocsps);
        return NULL;
    }
    gh_http_client_set_timeout(ocsps->client, CONNECT_MS, CALL_MS);
    if (pthread_create(&ocsps->thread, NULL, work, ocsps) == 0)
        return ocsps;
    gh_error_set(error, GH_ERROR_MEMORY, "no thread to ask responders");
    free_all(ocsps);
    return NULL;
}

void ocsps_close(struct ocsps *ocsps)
{
    if (ocsps == NULL)
        return;
    pthread_mutex_lock(&ocsps->lock);
    ocsps->stops = true;
    pthread_cond_signal(&ocsps->wake);
    pthread_mutex_unlock(&ocsps->lock);
    pthread_join(ocsps->thread, NULL);
    free_all(ocsps);
}
