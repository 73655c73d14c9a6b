/* What exports of Google IoT Core hold, gathered from files: the JSON of its REST API as back ends
 * and scripts kept it. Reads and decides nothing about a server; that is import_google.c. */
#ifndef GATEHOUSE_IMPORT_GOOGLE_H
#define GATEHOUSE_IMPORT_GOOGLE_H

#include "programs/gatehouse/cli.h"
#include <stdio.h>

struct google_export {
    json_t *registries; /* "projects/P/locations/L/registries/R" -> the registry, {} when only its
                           devices are known */
    json_t *devices;    /* the same -> id -> the device */
    json_t *bindings;   /* the same -> gateway -> array of devices, each by its id or number */
    size_t history;     /* older configs and states, which are not carried */
    size_t passed_over; /* documents that are no export */
    FILE *says;         /* where those are named; NULL: nowhere */
};

/* Empty, and named on standard error; google_export_deinit gives it back. */
void google_export_init(struct google_export *export);
void google_export_deinit(struct google_export *export);
/* Reads FILE, or every *.json and *.jsonl below FOLDER in the order of their names. `registry`
 * (NULL: none) is that of devices that do not say theirs. Documents that are no export are named
 * and passed over. False with cli->error for a file that cannot be read. */
bool google_export_read(struct cli *cli, struct google_export *export, const char *path,
                        const char *registry);
/* The same of an open file, which stays the caller's; `path` is what it is called. */
bool google_export_read_stream(struct cli *cli, struct google_export *export, FILE *file,
                               const char *path, const char *registry);
/* Puts all under another project: the names of registries and of their topics. */
void google_export_move(struct google_export *export, const char *project);

/* A registry or device in the one form in which it is compared: what is not there has its default,
 * enums are numbers, times are milliseconds, keys have no white space around them. New reference.
 */
json_t *google_registry_form(const json_t *registry);
json_t *google_device_form(const json_t *device);
#endif
