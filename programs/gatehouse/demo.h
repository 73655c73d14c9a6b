/* The demo warehouse: what has to be there before the simulated site and the climate back end can
 * run, made through the public API like anyone would. Repeating it changes nothing that is there.
 */
#ifndef GATEHOUSE_DEMO_H
#define GATEHOUSE_DEMO_H

#include "programs/gatehouse/cli.h"

#define DEMO_TENANT "demo"
#define DEMO_REGISTRY "warehouse"
#define DEMO_LOCATION "europe-west1"
#define DEMO_SUBSCRIPTION "climate"

/* Tenant, registry, topics, subscription, a device and a key (data/demo/keys/ID.pem) for each of
 * the site's, and a token for the back end (data/demo/climate.token). False with cli->error set. */
bool demo_prepare(struct cli *cli, const char *data);
#endif
