/* What the lower rooms tell the live streams; `context` is the gh_api. Short, and safe on the log's
 * and the trail's threads. */
#ifndef GH_API_FEEDS_INTERNAL_H
#define GH_API_FEEDS_INTERNAL_H

struct gh_tapped;
struct gh_trail_entry;

void stream_tapped(void *api, const struct gh_tapped *tapped);
void stream_noted(void *api, const struct gh_trail_entry *entry);
#endif
