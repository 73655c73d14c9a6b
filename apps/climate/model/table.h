/* Tables of tab-separated text with one header line: the weather years and the reference values.
 *
 * Not a general TSV reader: no quoting, no embedded tabs or line ends. A line with another number
 * of fields than the header is an error that names the line. The table owns its text; the fields
 * handed out borrow from it and are NUL-terminated. Threads: any number may read one table. */
#ifndef GH_CLIMATE_TABLE_H
#define GH_CLIMATE_TABLE_H

#include "base/error.h"

struct gh_table;

/* Reads a file of at most `bytes_max` bytes; NULL with `error` when it cannot. */
GH_MUST_USE struct gh_table *gh_table_open(const char *path, size_t bytes_max,
                                           struct gh_error *error);
/* The same over text in memory, which is copied; `name` stands for the file in errors. */
GH_MUST_USE struct gh_table *gh_table_read(struct gh_slice text, const char *name,
                                           struct gh_error *error);
void gh_table_close(struct gh_table *table);

/* Data rows, the header not counted. */
size_t gh_table_rows(const struct gh_table *table);
/* The column's index; false when the header does not name it. */
GH_MUST_USE bool gh_table_column(const struct gh_table *table, const char *name, size_t *out);
/* `row` < rows, `column` from gh_table_column. */
const char *gh_table_text(const struct gh_table *table, size_t row, size_t column);
/* False when the whole field is not one finite number. */
GH_MUST_USE bool gh_table_number(const struct gh_table *table, size_t row, size_t column,
                                 double *out);
#endif
