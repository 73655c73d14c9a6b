/* The tenants' names by number, for those who may not wait for the store: the live streams are fed
 * on the log's thread. Read once at start, added to with every tenant made; a name stays as long as
 * the API does. Threads: any. */
#ifndef GH_API_TENANT_NAMES_INTERNAL_H
#define GH_API_TENANT_NAMES_INTERNAL_H

#include "base/slice.h"

struct gh_directory;
struct tenant_names;

struct tenant_names *tenant_names_open(struct gh_directory *directory);
void tenant_names_close(struct tenant_names *names);
void tenant_names_add(struct tenant_names *names, int64_t number, struct gh_slice name);
/* Empty when there is none of that number. */
struct gh_slice tenant_names_get(struct tenant_names *names, int64_t number);
#endif
