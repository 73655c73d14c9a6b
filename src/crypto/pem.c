#include "crypto/openssl_internal.h"
#include <assert.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

static struct gh_slice trimmed(struct gh_slice text)
{
    const char *white = " \t\r\n";
    while (text.size > 0 && strchr(white, text.data[0]) != NULL && text.data[0] != '\0')
        text = gh_slice_sub(text, 1, text.size);
    while (text.size > 0 && strchr(white, text.data[text.size - 1]) != NULL &&
           text.data[text.size - 1] != '\0')
        text.size--;
    return text;
}

/* OpenSSL skips whatever stands before the first block and never looks at what follows it: two
 * readers could then see two different keys in one text. So the text is one block from its first
 * byte to its last. */
static bool one_block(struct gh_slice text)
{
    struct gh_slice begin = GH_SLICE("-----BEGIN "), dashes = GH_SLICE("-----");
    size_t lines_of_dashes = 0;

    if (!gh_slice_starts(text, begin) || !gh_slice_ends(text, dashes))
        return false;
    while (text.size > 0) {
        struct gh_slice line = gh_slice_split(&text, '\n');
        if (gh_slice_find(line, '\0') < line.size)
            return false;
        lines_of_dashes += gh_slice_starts(line, GH_SLICE("-"));
    }
    return lines_of_dashes == 2;
}

bool gh_pem_read(struct gh_slice pem, const char *label, char found[GH_PEM_LABEL_MAX],
                 unsigned char **der, long *size, struct gh_error *error)
{
    struct gh_slice text = trimmed(pem);
    char *name = NULL, *header = NULL;
    const char *why = NULL;

    *der = NULL;
    if (pem.size > GH_KEY_PEM_MAX)
        why = "the PEM text is longer than 16 KiB";
    else if (!one_block(text))
        why = "not exactly one PEM block (-----BEGIN … -----END …-----)";
    if (why != NULL) {
        (void)gh_error_set(error, GH_ERROR_INVALID, "%s", why);
        return false;
    }

    BIO *bio = BIO_new_mem_buf(text.data, (int)text.size);
    if (bio == NULL || PEM_read_bio(bio, &name, &header, der, size) != 1)
        why = "the PEM block is damaged";
    else if (header[0] != '\0')
        why = "the PEM block has headers or is encrypted";
    else if (strlen(name) >= GH_PEM_LABEL_MAX || (label != NULL && strcmp(name, label) != 0))
        why = "the PEM block is of another kind";
    if (why == NULL && found != NULL)
        memcpy(found, name, strlen(name) + 1);
    if (why != NULL) {
        (void)gh_error_set(error, GH_ERROR_INVALID, "%s", why);
        if (*der != NULL)
            OPENSSL_clear_free(*der, (size_t)*size);
        *der = NULL;
    }
    OPENSSL_free(name);
    OPENSSL_free(header);
    BIO_free(bio);
    ERR_clear_error();
    return why == NULL;
}

bool gh_bio_print(struct gh_buffer *out, int (*write)(BIO *bio, const void *object),
                  const void *object)
{
    /* The secure heap is not set up in every program; BIO_s_secmem falls back to the ordinary heap
     * and wipes in both cases. */
    BIO *bio = BIO_new(BIO_s_secmem());
    char *text = NULL;
    bool done = false;

    if (bio != NULL && write(bio, object) == 1) {
        long size = BIO_get_mem_data(bio, &text);
        done = size > 0 && gh_buffer_put(out, gh_slice(text, (size_t)size));
    }
    BIO_free(bio);
    ERR_clear_error();
    return done;
}
