#include "base/log.h"
#include "base/time.h"
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

static const char *const level_names[] = {"error", "warn", "info", "debug"};

/* The one process-wide setting: a log line must be possible where no server exists yet. */
static atomic_int level_max = GH_LOG_INFO;

void gh_log_set_level(enum gh_log_level level)
{
    atomic_store_explicit(&level_max, (int)level, memory_order_relaxed);
}

bool gh_log_enabled(enum gh_log_level level)
{
    return (int)level <= atomic_load_explicit(&level_max, memory_order_relaxed);
}

/* Appends `text` with everything but printable ASCII as \xNN; cuts at the end of `line`. */
static size_t escape(char *line, size_t at, size_t size, const char *text)
{
    for (; *text != '\0' && at + 5 < size; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte >= 0x20 && byte < 0x7f)
            line[at++] = (char)byte;
        else
            at += (size_t)snprintf(line + at, size - at, "\\x%02x", byte);
    }
    return at;
}

void gh_log(enum gh_log_level level, const char *room, const char *format, ...)
{
    char message[GH_LOG_LINE_MAX], line[GH_LOG_LINE_MAX], when[GH_TIME_TEXT_MAX];
    va_list values;
    if (!gh_log_enabled(level))
        return;
    va_start(values, format);
    vsnprintf(message, sizeof message, format, values);
    va_end(values);
    int head = snprintf(line, sizeof line, "%s %-5s %s ", gh_time_print(gh_time_utc_ms(), when),
                        level_names[level], room);
    size_t size = escape(line, (size_t)head, sizeof line - 1, message);
    line[size++] = '\n';
    (void)!write(STDERR_FILENO, line, size);
}
