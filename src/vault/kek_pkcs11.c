/* A key-encryption key in a PKCS#11 token (OASIS PKCS#11 2.40), found by a URI of RFC 7512. The
 * token makes the key and does the AES-GCM; the key cannot be read out of it. */
#include "vault/kek_internal.h"
#include <p11-kit/p11-kit.h>
#include <p11-kit/pkcs11.h>
#include <p11-kit/uri.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS_MAX = 64, PIN_MAX = 256, ID_BYTES = 4 };

struct gh_pkcs11_key {
    CK_FUNCTION_LIST **modules; /* ended by NULL; p11-kit's, of `path` or all */
    CK_FUNCTION_LIST *single[2];
    CK_FUNCTION_LIST *module; /* of the token found */
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE session; /* 0: none */
    CK_OBJECT_HANDLE key;
};

static enum gh_error_code failed(const char *what, CK_RV why, struct gh_error *error)
{
    return gh_error_set(error, GH_ERROR_KEYS, "PKCS#11: %s: %s", what, p11_kit_strerror(why));
}

static void token_close(struct gh_pkcs11_key *token)
{
    if (token == NULL)
        return;
    /* No C_Logout: it would end the logins of the process's other sessions with this token too. The
     * last session that closes ends the login. */
    if (token->session != 0)
        (void)token->module->C_CloseSession(token->session);
    if (token->single[0] != NULL) {
        p11_kit_module_finalize(token->single[0]);
        p11_kit_module_release(token->single[0]);
    } else if (token->modules != NULL) {
        p11_kit_modules_finalize_and_release(token->modules);
    }
    free(token);
}

static enum gh_error_code load_modules(struct gh_pkcs11_key *token, const char *path,
                                       struct gh_error *error)
{
    if (path == NULL) {
        token->modules = p11_kit_modules_load_and_initialize(0);
        return token->modules != NULL ? GH_OK
                                      : gh_error_set(error, GH_ERROR_KEYS, "PKCS#11: no module: %s",
                                                     p11_kit_message());
    }
    CK_FUNCTION_LIST *module = p11_kit_module_load(path, 0);
    if (module == NULL)
        return gh_error_set(error, GH_ERROR_KEYS, "PKCS#11: module %s: %s", path,
                            p11_kit_message());
    CK_RV why = p11_kit_module_initialize(module);
    if (why != CKR_OK) {
        p11_kit_module_release(module);
        return failed(path, why, error);
    }
    token->single[0] = module;
    token->modules = token->single;
    return GH_OK;
}

/* The one token that the URI means. */
static enum gh_error_code find_token(struct gh_pkcs11_key *token, const P11KitUri *uri,
                                     const char *text, struct gh_error *error)
{
    size_t found = 0;
    for (CK_FUNCTION_LIST **module = token->modules; *module != NULL; module++) {
        CK_SLOT_ID slots[SLOTS_MAX];
        CK_ULONG count = SLOTS_MAX;
        if ((*module)->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK)
            continue;
        for (CK_ULONG i = 0; i < count; i++) {
            CK_TOKEN_INFO info;
            if ((*module)->C_GetTokenInfo(slots[i], &info) != CKR_OK ||
                (info.flags & CKF_TOKEN_INITIALIZED) == 0 ||
                p11_kit_uri_match_token_info(uri, &info) != 1)
                continue;
            found++;
            token->module = *module;
            token->slot = slots[i];
        }
    }
    if (found == 1)
        return GH_OK;
    return gh_error_set(error, GH_ERROR_KEYS, "%s: %s", text,
                        found == 0 ? "there is no such token; is it plugged in?"
                                   : "more than one token is meant; name its serial too");
}

/* The PIN out of its file, without the line's end. */
static enum gh_error_code read_pin(const P11KitUri *uri, const char *text, struct gh_buffer *pin,
                                   struct gh_error *error)
{
    const char *source = p11_kit_uri_get_pin_source(uri);
    if (p11_kit_uri_get_pin_value(uri) != NULL)
        return gh_error_set(error, GH_ERROR_KEYS,
                            "a PIN does not belong into a URI; write it into a file of mode 0400 "
                            "and name that with pin-source=");
    if (source == NULL)
        return gh_error_set(error, GH_ERROR_KEYS, "%s: pin-source= is missing", text);
    if (strncmp(source, "file:", 5) == 0)
        source += 5;
    enum gh_error_code code = gh_kek_read_file(source, PIN_MAX, pin, error);
    while (code == GH_OK && pin->size > 0 && pin->data[pin->size - 1] == '\n')
        pin->size--;
    return code;
}

static enum gh_error_code log_in(struct gh_pkcs11_key *token, const P11KitUri *uri,
                                 const char *text, struct gh_error *error)
{
    uint8_t block[PIN_MAX + 1];
    struct gh_buffer pin = gh_buffer_fixed(block, sizeof block);
    enum gh_error_code code = read_pin(uri, text, &pin, error);
    if (code != GH_OK)
        return code;
    CK_RV why = token->module->C_OpenSession(token->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL,
                                             NULL, &token->session);
    if (why != CKR_OK)
        code = failed("no session", why, error);
    if (code == GH_OK) {
        why = token->module->C_Login(token->session, CKU_USER, block, (CK_ULONG)pin.size);
        if (why != CKR_OK && why != CKR_USER_ALREADY_LOGGED_IN)
            code = failed("the token refuses the PIN", why, error);
    }
    gh_secret_wipe(block, sizeof block);
    return code;
}

static enum gh_error_code token_open(struct gh_slice whole, struct gh_pkcs11_key **out,
                                     struct gh_error *error)
{
    char text[GH_KEK_TEXT_MAX + 1];
    snprintf(text, sizeof text, "%.*s", GH_PRINT(whole));
    P11KitUri *uri = p11_kit_uri_new();
    struct gh_pkcs11_key *token = calloc(1, sizeof *token);
    enum gh_error_code code = GH_OK;
    if (uri == NULL || token == NULL)
        code = gh_error_set(error, GH_ERROR_MEMORY, "no memory for the token");
    else if (p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, uri) != P11_KIT_URI_OK ||
             p11_kit_uri_any_unrecognized(uri))
        code = gh_error_set(error, GH_ERROR_KEYS, "%s: not a URI of RFC 7512", text);
    if (code == GH_OK)
        code = load_modules(token, p11_kit_uri_get_module_path(uri), error);
    if (code == GH_OK)
        code = find_token(token, uri, text, error);
    if (code == GH_OK)
        code = log_in(token, uri, text, error);
    p11_kit_uri_free(uri);
    if (code != GH_OK)
        token_close(token);
    else
        *out = token;
    return code;
}

/* Our keys are known by their CKA_ID, the KEK's number. */
static void id_of(const struct gh_kek_record *record, uint8_t id[ID_BYTES])
{
    struct gh_buffer out = gh_buffer_fixed(id, ID_BYTES);
    gh_buffer_u32(&out, record->number);
}

static CK_RV find_key(struct gh_pkcs11_key *token, const struct gh_kek_record *record,
                      CK_ULONG *count)
{
    uint8_t id[ID_BYTES];
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_OBJECT_HANDLE keys[2] = {0};
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &class, sizeof class}, {CKA_ID, id, sizeof id}};
    id_of(record, id);
    CK_RV why = token->module->C_FindObjectsInit(token->session, wanted, GH_COUNT(wanted));
    if (why != CKR_OK)
        return why;
    why = token->module->C_FindObjects(token->session, keys, GH_COUNT(keys), count);
    (void)token->module->C_FindObjectsFinal(token->session);
    token->key = keys[0];
    return why;
}

static CK_RV make_key(struct gh_pkcs11_key *token, const struct gh_kek_record *record)
{
    char label[] = "gatehouse key-encryption key";
    uint8_t id[ID_BYTES];
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ULONG size = GH_SEAL_KEY_BYTES;
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    CK_ATTRIBUTE with[] = {
        {CKA_LABEL, label, sizeof label - 1}, {CKA_ID, id, sizeof id},
        {CKA_VALUE_LEN, &size, sizeof size},  {CKA_TOKEN, &yes, sizeof yes},
        {CKA_PRIVATE, &yes, sizeof yes},      {CKA_SENSITIVE, &yes, sizeof yes},
        {CKA_EXTRACTABLE, &no, sizeof no},    {CKA_ENCRYPT, &yes, sizeof yes},
        {CKA_DECRYPT, &yes, sizeof yes},
    };
    id_of(record, id);
    return token->module->C_GenerateKey(token->session, &mechanism, with, GH_COUNT(with),
                                        &token->key);
}

static enum gh_error_code pkcs11_create(struct gh_kek *kek, const char *folder,
                                        const struct gh_kek_record *record, struct gh_slice detail,
                                        struct gh_buffer *material, struct gh_error *error)
{
    (void)folder, (void)detail, (void)material;
    enum gh_error_code code = token_open(record->text, &kek->token, error);
    CK_RV why = code == GH_OK ? make_key(kek->token, record) : CKR_OK;
    return why == CKR_OK ? code : failed("the token makes no AES-256 key", why, error);
}

static enum gh_error_code pkcs11_open(struct gh_kek *kek, const char *folder,
                                      const struct gh_kek_record *record, struct gh_slice detail,
                                      struct gh_error *error)
{
    CK_ULONG count = 0;
    (void)folder, (void)detail;
    enum gh_error_code code = token_open(record->text, &kek->token, error);
    CK_RV why = code == GH_OK ? find_key(kek->token, record, &count) : CKR_OK;
    if (why != CKR_OK)
        return failed("no search", why, error);
    if (code == GH_OK && count != 1)
        code = gh_error_set(error, GH_ERROR_KEYS,
                            "PKCS#11: the token holds %s key with id %08x; is it the right token?",
                            count == 0 ? "no" : "more than one", (unsigned)record->number);
    return code;
}

static enum gh_error_code pkcs11_destroy(const char *folder, const struct gh_kek_record *record,
                                         struct gh_slice detail, struct gh_error *error)
{
    struct gh_pkcs11_key *token = NULL;
    CK_ULONG count = 0;
    (void)folder, (void)detail;
    enum gh_error_code code = token_open(record->text, &token, error);
    if (code != GH_OK)
        return code;
    CK_RV why = find_key(token, record, &count);
    if (why == CKR_OK && count > 0)
        why = token->module->C_DestroyObject(token->session, token->key);
    token_close(token);
    return why == CKR_OK ? GH_OK : failed("the key is not destroyed", why, error);
}

void gh_kek_pkcs11_close(struct gh_kek *kek)
{
    token_close(kek->token);
    kek->token = NULL;
}

/* --- AES-256-GCM in the token --- */

static CK_GCM_PARAMS parameters(struct gh_slice nonce, struct gh_slice beside)
{
    return (CK_GCM_PARAMS){.iv_ptr = (uint8_t *)(uintptr_t)nonce.data,
                           .iv_len = (CK_ULONG)nonce.size,
                           .iv_bits = 8 * (CK_ULONG)nonce.size,
                           .aad_ptr = (uint8_t *)(uintptr_t)beside.data,
                           .aad_len = (CK_ULONG)beside.size,
                           .tag_bits = 8 * GH_SEAL_TAG_BYTES};
}

static bool token_seal(void *context, struct gh_slice nonce, struct gh_slice beside,
                       struct gh_slice plain, uint8_t *out)
{
    struct gh_pkcs11_key *token = context;
    CK_GCM_PARAMS gcm = parameters(nonce, beside);
    CK_MECHANISM mechanism = {CKM_AES_GCM, &gcm, sizeof gcm};
    CK_ULONG size = (CK_ULONG)(plain.size + GH_SEAL_TAG_BYTES);
    return token->module->C_EncryptInit(token->session, &mechanism, token->key) == CKR_OK &&
           token->module->C_Encrypt(token->session, (uint8_t *)(uintptr_t)plain.data,
                                    (CK_ULONG)plain.size, out, &size) == CKR_OK &&
           size == plain.size + GH_SEAL_TAG_BYTES;
}

static bool token_unseal(void *context, struct gh_slice nonce, struct gh_slice beside,
                         struct gh_slice text, uint8_t *out)
{
    struct gh_pkcs11_key *token = context;
    CK_GCM_PARAMS gcm = parameters(nonce, beside);
    CK_MECHANISM mechanism = {CKM_AES_GCM, &gcm, sizeof gcm};
    /* Some tokens ask for room for the tag as well, though it is not written. */
    uint8_t *block = malloc(text.size);
    CK_ULONG size = (CK_ULONG)text.size;
    bool opened = block != NULL &&
                  token->module->C_DecryptInit(token->session, &mechanism, token->key) == CKR_OK &&
                  token->module->C_Decrypt(token->session, (uint8_t *)(uintptr_t)text.data,
                                           (CK_ULONG)text.size, block, &size) == CKR_OK &&
                  size == text.size - GH_SEAL_TAG_BYTES;
    if (opened && size > 0)
        memcpy(out, block, size);
    if (block != NULL)
        gh_secret_wipe(block, text.size);
    free(block);
    return opened;
}

struct gh_seal_cipher gh_kek_pkcs11_cipher(struct gh_kek *kek)
{
    return (struct gh_seal_cipher){token_seal, token_unseal, kek->token};
}

const struct gh_kek_place gh_kek_pkcs11 = {"pkcs11", pkcs11_create, pkcs11_open, pkcs11_destroy};
