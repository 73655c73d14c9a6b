/* A line of `gatehouse device import`: one device as a JSON object with tenant, registry, id,
 * attributes and what it proves itself with, turned into what the API takes. Reads only what it is
 * given. */
#ifndef GATEHOUSE_IMPORT_READ_H
#define GATEHOUSE_IMPORT_READ_H

#include "wire/json.h"

enum { IMPORT_SHORT_PASSWORD_BYTES = 20 }; /* below, each costs the server some 20 ms */

struct import_line {
    struct gh_slice tenant, registry; /* borrow from `row` */
    json_t *row;
    json_t *device; /* {"id", "credentials", "attributes"} for the API */
    bool has_short_password;
};

/* False with `error`, and nothing to release then. */
GH_MUST_USE bool import_line_read(struct gh_slice text, struct import_line *out,
                                  struct gh_error *error);
void import_line_release(struct import_line *line);
#endif
