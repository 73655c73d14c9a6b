/* The operator's log: one line an event, on standard error, "<UTC> <level> <room> <message>". Bytes
 * that came from outside may be printed into the message: control characters and bytes that are not
 * ASCII are escaped, and a line has at most GH_LOG_LINE_MAX bytes. Secrets never are. Threads: any;
 * a line is one write, so lines never mix. */
#ifndef GH_BASE_LOG_H
#define GH_BASE_LOG_H

#include "base/attributes.h"
#include <stdbool.h>

enum { GH_LOG_LINE_MAX = 2048 };

enum gh_log_level { GH_LOG_ERROR, GH_LOG_WARN, GH_LOG_INFO, GH_LOG_DEBUG };

/* Lines above this level are dropped; INFO at the start. Set it before other threads start. */
void gh_log_set_level(enum gh_log_level level);
bool gh_log_enabled(enum gh_log_level level);

void gh_log(enum gh_log_level level, const char *room, const char *format, ...) GH_PRINTF(3, 4);
#endif
