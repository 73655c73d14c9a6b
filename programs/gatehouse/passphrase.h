/* The passphrase under which the root's key lies in its file: the first line of --passphrase-file,
 * or what the person at the terminal types, unseen. */
#ifndef GATEHOUSE_PASSPHRASE_H
#define GATEHOUSE_PASSPHRASE_H

#include "crypto/key.h"
#include "programs/gatehouse/cli.h"

/* A new one has some length, and is typed twice. The caller wipes `out`, in any case. False with
 * cli->error set. A signal that ends or stops the program does so with the terminal as it was
 * before. */
bool passphrase_get(struct cli *cli, bool is_new, char out[GH_KEY_PASSPHRASE_BYTES_MAX]);
#endif
