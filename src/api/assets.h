/* The console's files, part of the program: a table in read-only memory, made at build time from
 * console/ by cmake/console.cmake (library gh_console). With GH_CONSOLE=OFF the table holds one
 * page that says how to build the console.
 *
 * Not for: serving. The API looks a path up and answers with the fields as they are. `immutable`
 * files carry a digest of their content in their name and may be cached for ever; the others are
 * to be asked for again with their ETag. Unknown paths are the console's own (/devices/…): the
 * answer is index.html, whatever a path looks like: device ids contain dots and percent signs.
 * Memory: static. Threads: any. */
#ifndef GH_API_ASSETS_H
#define GH_API_ASSETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gh_asset {
    const char *path;         /* "/index.html", "/assets/index-Dq3fX1.js" */
    const char *content_type; /* with its charset */
    const char *etag;         /* with its quotes, strong */
    const uint8_t *data;
    size_t size;
    const uint8_t *gzip; /* the same for clients that accept gzip; NULL when it saves nothing */
    size_t gzip_size;
    bool immutable;
};

/* Sorted by path, bytewise. */
extern const struct gh_asset gh_assets[];
extern const size_t gh_assets_count;

/* The Content-Security-Policy under which the console is built and tested; to be sent with HTML. */
extern const char gh_assets_policy[];
#endif
