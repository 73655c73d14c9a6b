/* Records of TLS 1.3 after the handshake (RFC 8446 §5): protects what is sent and opens what has
 * come, with the keys that somebody else has agreed on, and serves what may still follow in a
 * connection's life: KeyUpdate in both directions (§4.6.3), alerts (§6), and nothing else; a server
 * that asks for no certificate later gets no other message. A connection costs two keys and two
 * numbers instead of OpenSSL's 10 KiB.
 *
 * AES-128-GCM, AES-256-GCM and ChaCha20-Poly1305, by OpenSSL's EVP. Pure: no I/O, no clock, no
 * randomness. A record is opened in place once it is there as a whole; what breaks a rule ends the
 * connection with the alert that the RFC names. Our own key is renewed before a key's limit
 * (§5.5), a peer's when the peer says so.
 *
 * Memory: a gh_record owns its keys and wipes them; the cipher contexts are a desk's, which all
 * connections of one thread share. Threads: a record and the desk that it is used with one at a
 * time. */
#ifndef GH_CRYPTO_RECORD_H
#define GH_CRYPTO_RECORD_H

#include "base/buffer.h"
#include "crypto/schedule.h"

enum {
    GH_RECORD_HEAD_BYTES = 5,
    GH_RECORD_TEXT_MAX = 16384,                         /* §5.1 */
    GH_RECORD_BYTES_MAX = 5 + GH_RECORD_TEXT_MAX + 256, /* §5.2 */
    /* What gh_record_write appends at most beside the text: a KeyUpdate as well. */
    GH_RECORD_OVERHEAD_MAX = (5 + 1 + 16) + (5 + 5 + 1 + 16),
    GH_RECORD_SECRET_MAX = GH_SCHEDULE_SECRET_MAX,
    GH_RECORD_IDLE_MAX = 32, /* records in a row that bring no data */
};

enum gh_record_suite {
    GH_RECORD_AES_128_GCM_SHA256,
    GH_RECORD_AES_256_GCM_SHA384,
    GH_RECORD_CHACHA20_POLY1305_SHA256,
    GH_RECORD_SUITE_COUNT,
};
/* By its number in the registry (0x1301 to 0x1303). */
GH_MUST_USE bool gh_record_suite_find(unsigned number, enum gh_record_suite *out);
/* "TLS_AES_128_GCM_SHA256"; static. */
const char *gh_record_suite_name(enum gh_record_suite suite);
/* Of its secrets. */
enum gh_digest gh_record_suite_hash(enum gh_record_suite suite);

enum gh_record_type { GH_RECORD_ALERT = 21, GH_RECORD_HANDSHAKE = 22, GH_RECORD_DATA = 23 };

/* §6; those that are sent from here. */
enum gh_record_alert {
    GH_RECORD_CLOSE_NOTIFY = 0,
    GH_RECORD_UNEXPECTED_MESSAGE = 10,
    GH_RECORD_BAD_RECORD_MAC = 20,
    GH_RECORD_OVERFLOW = 22,
    GH_RECORD_ILLEGAL_PARAMETER = 47,
    GH_RECORD_DECODE_ERROR = 50,
    GH_RECORD_INTERNAL_ERROR = 80,
    GH_RECORD_NO_ALERT = 255, /* the peer has sent one itself */
};

struct gh_record_desk;
/* NULL without memory. */
GH_MUST_USE struct gh_record_desk *gh_record_desk_open(void);
void gh_record_desk_close(struct gh_record_desk *desk); /* NULL is allowed */

/* What a handshake has led to: application_traffic_secret_0 of each side, and how many records
 * each has sent under it. */
struct gh_record_keys {
    enum gh_record_suite suite;
    const uint8_t *read_secret, *write_secret;
    uint64_t read_count, write_count;
    size_t text_max; /* of a record that is sent (RFC 6066 §4); at most GH_RECORD_TEXT_MAX */
};

struct gh_record;
/* NULL without memory. */
GH_MUST_USE struct gh_record *gh_record_open(const struct gh_record_keys *keys);
void gh_record_close(struct gh_record *record); /* NULL is allowed */
size_t gh_record_text_max(const struct gh_record *record);
enum gh_record_suite gh_record_suite_of(const struct gh_record *record);

enum gh_record_status {
    GH_RECORD_MORE,   /* not yet a whole record; nothing was consumed */
    GH_RECORD_TEXT,   /* `text` lies within the bytes */
    GH_RECORD_IDLE,   /* consumed, and brought nothing for the reader */
    GH_RECORD_END,    /* close_notify */
    GH_RECORD_BROKEN, /* send `alert` and close */
};

struct gh_record_opened {
    size_t size;                /* of the record on the wire */
    struct gh_slice text;       /* TEXT: never empty */
    enum gh_record_alert alert; /* BROKEN */
};

/* Opens the record at the start of `bytes`, in place. After END or BROKEN nothing may be read. */
GH_MUST_USE enum gh_record_status gh_record_read(struct gh_record *record,
                                                 struct gh_record_desk *desk, uint8_t *bytes,
                                                 size_t size, struct gh_record_opened *out);
/* Appends one record with `text` (at most gh_record_text_max bytes), behind a KeyUpdate when one is
 * due. False when the buffer is full or OpenSSL has failed: then nothing may be written any more.
 */
GH_MUST_USE bool gh_record_write(struct gh_record *record, struct gh_record_desk *desk,
                                 enum gh_record_type type, struct gh_slice text,
                                 struct gh_buffer *out);
/* The same for an alert. */
GH_MUST_USE bool gh_record_write_alert(struct gh_record *record, struct gh_record_desk *desk,
                                       enum gh_record_alert alert, struct gh_buffer *out);
/* Sends a KeyUpdate before the next record; with `asks` the peer is to do the same. */
void gh_record_renew(struct gh_record *record, bool asks);
#endif
