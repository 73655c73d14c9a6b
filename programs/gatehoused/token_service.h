/* What the program decides for access tokens (identity/access.h): under which address this server
 * issues them, and when their keys change. Threads: the main one. */
#ifndef GATEHOUSED_TOKEN_SERVICE_H
#define GATEHOUSED_TOKEN_SERVICE_H

#include "audit/audit.h"
#include "identity/access.h"
#include "programs/gatehoused/config.h"

/* [oauth] issuer, or "https://HOST:PORT" of the listener on 443 or 8443, else of the first one:
 * with the first name of [tls] as HOST where there is one, and without the port when it is 443.
 * `addresses` are those of the TLS listeners. One issuer for all listeners, and never what a
 * request says: an assertion for another server must not fit here. */
void token_issuer(const struct config *config, const char *const *addresses, size_t count,
                  char out[CONFIG_TEXT_MAX]);

/* Rotates the keys that have signed for `key_days`, which the audit trail is told, and lets go of
 * those whose time is over; says in the log what did not work. Called every hour. */
void token_keys_tend(struct gh_access *access, struct gh_audit *audit, long key_days,
                     int64_t now_s);
#endif
