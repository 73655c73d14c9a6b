/* Hashes that are not cryptography: SipHash-2-4 for tables whose keys come from outside, CRC-32C
 * for records on disk. Threads: any. */
#ifndef GH_BASE_HASH_H
#define GH_BASE_HASH_H

#include "base/slice.h"

/* SipHash-2-4 (Aumasson, Bernstein 2012) under a 128-bit key. */
uint64_t gh_hash_sip(const uint8_t key[16], struct gh_slice bytes);

/* CRC-32C (Castagnoli; RFC 3720 B.4). `crc` continues an earlier value; 0 begins. */
uint32_t gh_hash_crc32c(uint32_t crc, struct gh_slice bytes);
#endif
