/* Seals: secrets that have to be read again, encrypted where they are kept (AES-256-GCM, NIST SP
 * 800-38D). A seal is bound to its place, so that it opens nowhere else: a row that is copied to
 * another device, tenant or field is refused.
 *
 *     u8 version 1, u8 algorithm 1 (AES-256-GCM), u32 key number, nonce of 12 bytes,
 *     the text encrypted, tag of 16 bytes
 *
 * What is authenticated beside the text: the first 6 bytes, u64 tenant, text16 field, text16 row.
 * Which key the number means is the caller's to know. Nonces are random, so that one key may seal
 * 2^32 texts (SP 800-38D §8.3) and no counter has to survive a crash.
 *
 * No I/O and no randomness here: the nonce is an argument. A cipher is a table, so that the same
 * format serves a key in this process and one that never leaves its token. Memory: output goes to
 * the caller's buffer, which is the caller's to wipe. Threads: any. */
#ifndef GH_CRYPTO_SEAL_H
#define GH_CRYPTO_SEAL_H

#include "base/buffer.h"

enum {
    GH_SEAL_KEY_BYTES = 32,
    GH_SEAL_NONCE_BYTES = 12,
    GH_SEAL_TAG_BYTES = 16,
    GH_SEAL_HEAD_BYTES = 6,
    GH_SEAL_EXTRA_BYTES = GH_SEAL_HEAD_BYTES + GH_SEAL_NONCE_BYTES + GH_SEAL_TAG_BYTES,
    GH_SEAL_NAME_BYTES_MAX = 128, /* of a field and of a row */
    GH_SEAL_TEXT_BYTES_MAX = 64 * 1024,
    GH_SEAL_BESIDE_BYTES_MAX = GH_SEAL_HEAD_BYTES + 8 + 2 * (2 + GH_SEAL_NAME_BYTES_MAX),
};

/* Where a sealed text lives. The row names one thing for good: a number or id that is never given
 * again. */
struct gh_seal_place {
    int64_t tenant; /* 0: the server's own */
    struct gh_slice field, row;
};

/* A seal read; its slices borrow. */
struct gh_sealed {
    uint32_t key;
    struct gh_slice nonce, text; /* the tag stands at the end of `text` */
};

enum gh_seal_status {
    GH_SEAL_OK,
    GH_SEAL_MALFORMED, /* too short or too long for any */
    GH_SEAL_UNKNOWN,   /* of a version or algorithm that this program does not know */
    GH_SEAL_REFUSED,   /* another key or place, or somebody changed it */
    GH_SEAL_FAILED,    /* no memory, no room in the buffer, or the token does not answer */
};

/* AES-256-GCM under one key. `seal` writes `plain.size` bytes and the tag; `open` reads them and
 * writes the plain text, saying false when the tag is wrong, with nothing of use written. */
struct gh_seal_cipher {
    bool (*seal)(void *context, struct gh_slice nonce, struct gh_slice beside,
                 struct gh_slice plain, uint8_t *out);
    bool (*open)(void *context, struct gh_slice nonce, struct gh_slice beside, struct gh_slice text,
                 uint8_t *out);
    void *context;
};
/* A key of GH_SEAL_KEY_BYTES in this process, borrowed as long as the cipher is used. */
struct gh_seal_cipher gh_seal_cipher(const uint8_t *key);

/* Reads the form; nothing is decrypted. MALFORMED or UNKNOWN when it is none. */
GH_MUST_USE enum gh_seal_status gh_sealed_read(struct gh_slice sealed, struct gh_sealed *out);

/* Appends the seal of `plain` to `out`. The nonce must never come twice with one key. FAILED, also
 * for a text or name over its limit. */
GH_MUST_USE enum gh_seal_status gh_seal(const struct gh_seal_cipher *cipher, uint32_t key,
                                        const struct gh_seal_place *place,
                                        const uint8_t nonce[GH_SEAL_NONCE_BYTES],
                                        struct gh_slice plain, struct gh_buffer *out);
/* Appends the plain text of `sealed` to `out`; nothing unless OK. */
GH_MUST_USE enum gh_seal_status gh_unseal(const struct gh_seal_cipher *cipher,
                                          const struct gh_seal_place *place, struct gh_slice sealed,
                                          struct gh_buffer *out);
#endif
