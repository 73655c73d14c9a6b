/* A key-encryption key sealed by a TPM 2.0 (TCG TPM 2.0 Library, Part 3): 32 random bytes as a
 * data object under the storage primary key of the owner's hierarchy, which the TPM makes again
 * from its seed whenever it is asked. What crosses the bus is encrypted to that key. The object's
 * two halves are the material; only this TPM can load them. */
#include "base/cursor.h"
#include "vault/kek_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#define TCTI_DEFAULT "device:/dev/tpmrm0"
enum { TCTI_MAX = 512, PCRS = 24, PCR_BYTES = 3 };

struct tpm {
    char name[TCTI_MAX];
    TPML_PCR_SELECTION pcrs; /* count 0: none */
    TSS2_TCTI_CONTEXT *tcti;
    ESYS_CONTEXT *esys;
    ESYS_TR primary, session;
};

static enum gh_error_code failed(const struct tpm *tpm, const char *what, TSS2_RC why,
                                 struct gh_error *error)
{
    return gh_error_set(error, GH_ERROR_KEYS, "TPM %s: %s: %s", tpm->name, what,
                        Tss2_RC_Decode(why));
}

/* "pcrs=0,7;tcti=device:/dev/tpmrm0": both may be missing, the TCTI is last and takes the rest. */
static bool read_detail(struct gh_slice detail, struct tpm *tpm)
{
    const struct gh_slice pcrs = GH_SLICE("pcrs="), tcti = GH_SLICE("tcti=");
    snprintf(tpm->name, sizeof tpm->name, TCTI_DEFAULT);
    if (gh_slice_starts(detail, pcrs)) {
        struct gh_slice list = gh_slice_split(&detail, ';');
        list = gh_slice_sub(list, pcrs.size, list.size);
        TPMS_PCR_SELECTION *bank = &tpm->pcrs.pcrSelections[0];
        *bank = (TPMS_PCR_SELECTION){.hash = TPM2_ALG_SHA256, .sizeofSelect = PCR_BYTES};
        tpm->pcrs.count = 1;
        if (list.size == 0)
            return false;
        while (list.size > 0) {
            uint64_t pcr;
            if (!gh_slice_to_u64(gh_slice_split(&list, ','), &pcr) || pcr >= PCRS)
                return false;
            bank->pcrSelect[pcr / 8] |= (uint8_t)(1u << pcr % 8);
        }
    }
    if (gh_slice_starts(detail, tcti)) {
        int size = snprintf(tpm->name, sizeof tpm->name, "%.*s",
                            GH_PRINT(gh_slice_sub(detail, tcti.size, detail.size)));
        return size > 0 && (size_t)size < sizeof tpm->name;
    }
    return detail.size == 0;
}

static void tpm_close(struct tpm *tpm)
{
    if (tpm->esys != NULL) {
        if (tpm->session != ESYS_TR_NONE)
            (void)Esys_FlushContext(tpm->esys, tpm->session);
        if (tpm->primary != ESYS_TR_NONE)
            (void)Esys_FlushContext(tpm->esys, tpm->primary);
        Esys_Finalize(&tpm->esys);
    }
    if (tpm->tcti != NULL)
        Tss2_TctiLdr_Finalize(&tpm->tcti);
}

/* The storage primary key: P-256, restricted decryption, AES-128-CFB (TCG EK credential profile's
 * template of a storage root key, so that it is the same one at every start). */
static TSS2_RC make_primary(struct tpm *tpm)
{
    static const TPM2B_SENSITIVE_CREATE sensitive;
    static const TPM2B_DATA outside;
    static const TPML_PCR_SELECTION none;
    static const TPM2B_PUBLIC template = {
        .publicArea = {
            .type = TPM2_ALG_ECC,
            .nameAlg = TPM2_ALG_SHA256,
            .objectAttributes = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT |
                                TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                                TPMA_OBJECT_NODA,
            .parameters.eccDetail = {.symmetric = {.algorithm = TPM2_ALG_AES,
                                                   .keyBits.aes = 128,
                                                   .mode.aes = TPM2_ALG_CFB},
                                     .scheme.scheme = TPM2_ALG_NULL,
                                     .curveID = TPM2_ECC_NIST_P256,
                                     .kdf.scheme = TPM2_ALG_NULL},
        }};
    return Esys_CreatePrimary(tpm->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                              ESYS_TR_NONE, &sensitive, &template, &outside, &none, &tpm->primary,
                              NULL, NULL, NULL, NULL);
}

/* A session salted with the primary key, whose parameters are encrypted; `type` is HMAC for work
 * under the primary, POLICY for an object that is bound to PCRs. */
static TSS2_RC start_session(struct tpm *tpm, TPM2_SE type, TPMA_SESSION attributes)
{
    const TPMT_SYM_DEF aes = {
        .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB};
    TSS2_RC why =
        Esys_StartAuthSession(tpm->esys, tpm->primary, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                              ESYS_TR_NONE, NULL, type, &aes, TPM2_ALG_SHA256, &tpm->session);
    if (why == TSS2_RC_SUCCESS)
        why = Esys_TRSess_SetAttributes(tpm->esys, tpm->session, attributes, 0xff);
    return why;
}

static void end_session(struct tpm *tpm)
{
    (void)Esys_FlushContext(tpm->esys, tpm->session);
    tpm->session = ESYS_TR_NONE;
}

static enum gh_error_code tpm_open(struct tpm *tpm, struct gh_slice detail, struct gh_error *error)
{
    tpm->primary = tpm->session = ESYS_TR_NONE;
    if (!read_detail(detail, tpm))
        return gh_error_set(error, GH_ERROR_KEYS, "tpm:%.*s: not pcrs=N,N;tcti=NAME",
                            GH_PRINT(detail));
    TSS2_RC why = Tss2_TctiLdr_Initialize(tpm->name, &tpm->tcti);
    if (why != TSS2_RC_SUCCESS)
        return failed(tpm, "no way to it", why, error);
    why = Esys_Initialize(&tpm->esys, tpm->tcti, NULL);
    if (why == TSS2_RC_SUCCESS) {
        /* Needed once where no firmware did it; refused harmlessly everywhere else. */
        why = Esys_Startup(tpm->esys, TPM2_SU_CLEAR);
        why = why == TPM2_RC_INITIALIZE ? TSS2_RC_SUCCESS : why;
    }
    if (why == TSS2_RC_SUCCESS)
        why = make_primary(tpm);
    return why == TSS2_RC_SUCCESS ? GH_OK : failed(tpm, "no storage key", why, error);
}

/* The policy of an object that opens while the PCRs are as they are now. */
static TSS2_RC policy_digest(struct tpm *tpm, TPM2B_DIGEST *out)
{
    TPM2B_DIGEST *digest = NULL;
    static const TPM2B_DIGEST as_now;
    TSS2_RC why = start_session(tpm, TPM2_SE_TRIAL, 0);
    if (why == TSS2_RC_SUCCESS)
        why = Esys_PolicyPCR(tpm->esys, tpm->session, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                             &as_now, &tpm->pcrs);
    if (why == TSS2_RC_SUCCESS)
        why = Esys_PolicyGetDigest(tpm->esys, tpm->session, ESYS_TR_NONE, ESYS_TR_NONE,
                                   ESYS_TR_NONE, &digest);
    if (why == TSS2_RC_SUCCESS)
        *out = *digest;
    Esys_Free(digest);
    end_session(tpm);
    return why;
}

static TSS2_RC seal_key(struct tpm *tpm, const uint8_t key[GH_SEAL_KEY_BYTES],
                        TPM2B_PRIVATE **private, TPM2B_PUBLIC **public)
{
    static const TPM2B_DATA outside;
    static const TPML_PCR_SELECTION none;
    TPM2B_SENSITIVE_CREATE sensitive = {.sensitive.data.size = GH_SEAL_KEY_BYTES};
    TPM2B_PUBLIC template = {
        .publicArea = {.type = TPM2_ALG_KEYEDHASH,
                       .nameAlg = TPM2_ALG_SHA256,
                       .objectAttributes =
                           TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_NODA,
                       .parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL}};
    TSS2_RC why = TSS2_RC_SUCCESS;
    if (tpm->pcrs.count > 0)
        why = policy_digest(tpm, &template.publicArea.authPolicy);
    else
        template.publicArea.objectAttributes |= TPMA_OBJECT_USERWITHAUTH;
    memcpy(sensitive.sensitive.data.buffer, key, GH_SEAL_KEY_BYTES);
    if (why == TSS2_RC_SUCCESS)
        why = start_session(tpm, TPM2_SE_HMAC, TPMA_SESSION_DECRYPT | TPMA_SESSION_CONTINUESESSION);
    if (why == TSS2_RC_SUCCESS)
        why =
            Esys_Create(tpm->esys, tpm->primary, tpm->session, ESYS_TR_NONE, ESYS_TR_NONE,
                        &sensitive, &template, &outside, &none, private, public, NULL, NULL, NULL);
    gh_secret_wipe(&sensitive, sizeof sensitive);
    return why;
}

static enum gh_error_code tpm_create(struct gh_kek *kek, const char *folder,
                                     const struct gh_kek_record *record, struct gh_slice detail,
                                     struct gh_buffer *material, struct gh_error *error)
{
    struct tpm tpm = {0};
    uint8_t key[GH_SEAL_KEY_BYTES], block[GH_KEK_MATERIAL_MAX];
    TPM2B_PRIVATE *private = NULL;
    TPM2B_PUBLIC *public = NULL;
    size_t size = 0;
    (void)folder, (void)record;
    gh_random(key, sizeof key);
    enum gh_error_code code = tpm_open(&tpm, detail, error);
    TSS2_RC why = code == GH_OK ? seal_key(&tpm, key, &private, &public) : TSS2_RC_SUCCESS;
    if (code == GH_OK && why == TSS2_RC_SUCCESS)
        why = Tss2_MU_TPM2B_PUBLIC_Marshal(public, block, sizeof block, &size);
    if (code == GH_OK && why == TSS2_RC_SUCCESS)
        why = Tss2_MU_TPM2B_PRIVATE_Marshal(private, block, sizeof block, &size);
    if (why != TSS2_RC_SUCCESS)
        code = failed(&tpm, "it does not seal", why, error);
    if (code == GH_OK)
        gh_buffer_put(material, gh_slice(block, size));
    if (code == GH_OK)
        code = gh_kek_take(kek, key, error);
    gh_secret_wipe(key, sizeof key);
    Esys_Free(private);
    Esys_Free(public);
    tpm_close(&tpm);
    return code;
}

static TSS2_RC unseal(struct tpm *tpm, ESYS_TR object, TPM2B_SENSITIVE_DATA **out)
{
    static const TPM2B_DIGEST as_now;
    bool bound = tpm->pcrs.count > 0;
    TSS2_RC why = start_session(tpm, bound ? TPM2_SE_POLICY : TPM2_SE_HMAC,
                                TPMA_SESSION_ENCRYPT | TPMA_SESSION_CONTINUESESSION);
    if (why == TSS2_RC_SUCCESS && bound)
        why = Esys_PolicyPCR(tpm->esys, tpm->session, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                             &as_now, &tpm->pcrs);
    return why != TSS2_RC_SUCCESS
               ? why
               : Esys_Unseal(tpm->esys, object, tpm->session, ESYS_TR_NONE, ESYS_TR_NONE, out);
}

static enum gh_error_code load_and_unseal(struct tpm *tpm, struct gh_slice material,
                                          TPM2B_SENSITIVE_DATA **out, struct gh_error *error)
{
    TPM2B_PUBLIC public = {0};
    TPM2B_PRIVATE private = {0};
    ESYS_TR object = ESYS_TR_NONE;
    size_t at = 0;
    TSS2_RC why = Tss2_MU_TPM2B_PUBLIC_Unmarshal(material.data, material.size, &at, &public);
    if (why == TSS2_RC_SUCCESS)
        why = Tss2_MU_TPM2B_PRIVATE_Unmarshal(material.data, material.size, &at, &private);
    if (why != TSS2_RC_SUCCESS)
        return failed(tpm, "the sealed key is damaged", why, error);
    why = Esys_Load(tpm->esys, tpm->primary, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &private,
                    &public, &object);
    if (why != TSS2_RC_SUCCESS)
        return failed(tpm, "the key was sealed by another TPM, or this one was cleared", why,
                      error);
    why = unseal(tpm, object, out);
    (void)Esys_FlushContext(tpm->esys, object);
    if (why == TSS2_RC_SUCCESS)
        return GH_OK;
    return failed(tpm,
                  tpm->pcrs.count > 0 ? "it does not unseal; are the PCRs what they were?"
                                      : "it does not unseal",
                  why, error);
}

static enum gh_error_code tpm_unseal(struct gh_kek *kek, const char *folder,
                                     const struct gh_kek_record *record, struct gh_slice detail,
                                     struct gh_error *error)
{
    struct tpm tpm = {0};
    TPM2B_SENSITIVE_DATA *data = NULL;
    (void)folder;
    enum gh_error_code code = tpm_open(&tpm, detail, error);
    if (code == GH_OK)
        code = load_and_unseal(&tpm, record->material, &data, error);
    if (code == GH_OK && data->size != GH_SEAL_KEY_BYTES)
        code = gh_error_set(error, GH_ERROR_KEYS, "TPM %s: what it unseals is no key", tpm.name);
    if (code == GH_OK)
        code = gh_kek_take(kek, data->buffer, error);
    if (data != NULL)
        gh_secret_wipe(data, sizeof *data);
    Esys_Free(data);
    tpm_close(&tpm);
    return code;
}

/* The blob was all there is, and the keyring drops it. */
static enum gh_error_code tpm_destroy(const char *folder, const struct gh_kek_record *record,
                                      struct gh_slice detail, struct gh_error *error)
{
    (void)folder, (void)record, (void)detail, (void)error;
    return GH_OK;
}

const struct gh_kek_place gh_kek_tpm = {"tpm", tpm_create, tpm_unseal, tpm_destroy};
