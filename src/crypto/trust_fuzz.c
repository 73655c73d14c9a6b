/* Any bytes where a peer or an operator sends a certificate, a list, an enrolment request, or a
 * responder an OCSP answer, in DER: nothing of it may do harm, and what opens can be asked
 * everything. */
#include "crypto/chain.h"
#include "crypto/enrol.h"
#include "crypto/lint.h"
#include "crypto/ocsp.h"

static bool take(void *context, const char *name, struct gh_slice value)
{
    size_t *told = context;
    *told += name[0] != '\0' && value.size > 0;
    return *told < 100;
}

static void as_certificate(struct gh_slice der)
{
    struct gh_certificate *certificate = gh_certificate_open_der(der, NULL);
    struct gh_chain_verdict verdict;
    if (certificate == NULL)
        return;
    const struct gh_certificate *one = certificate;
    struct gh_chain_question question = {.leaf = one,
                                         .others = &one,
                                         .others_count = 1,
                                         .anchors = &one,
                                         .anchors_count = 1,
                                         .now_s = 1800000000};
    (void)!gh_chain_verify(&question, &verdict);
    for (unsigned role = GH_LINT_ANCHOR; role <= GH_LINT_SERVER; role *= 2)
        (void)gh_lint_issued(certificate, (enum gh_lint_role)role);
    (void)!gh_certificate_has_name(certificate, GH_SLICE("device"));
    size_t told = 0;
    (void)!gh_certificate_tell(certificate, take, &told);
    gh_certificate_close(certificate);
}

static void as_list(struct gh_slice der)
{
    struct gh_crl *crl = gh_crl_open(der, NULL);
    struct gh_crl_entry entry;
    for (size_t i = 0; crl != NULL && i < gh_crl_count(crl); i++)
        if (gh_crl_entry(crl, i, &entry))
            (void)!gh_crl_lists_serial(crl, gh_slice_text(entry.serial));
    gh_crl_close(crl);
}

/* A CA of this file alone; its private half was never written down. */
static const char issuer[] = "-----BEGIN CERTIFICATE-----\n"
                             "MIIBdjCCARygAwIBAgIBATAKBggqhkjOPQQDAjARMQ8wDQYDVQQDDAZGdXp6ZWQw\n"
                             "IBcNMjYxMTI2MjM1MzMxWhgPMjEyNjExMDIyMzUzMzFaMBExDzANBgNVBAMMBkZ1\n"
                             "enplZDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLO2P+8/OhH+TFN9XQAV97tC\n"
                             "kfLo7t0ceU4XgsG5pEor4S7f6JttY27wfqjxgJz8N5gaAE4Hx6zI51Mw78/zi7ij\n"
                             "YzBhMB0GA1UdDgQWBBR2EzE3RP0cBja4fAGOaBJUXCTBUTAfBgNVHSMEGDAWgBR2\n"
                             "EzE3RP0cBja4fAGOaBJUXCTBUTAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQE\n"
                             "AwIBBjAKBggqhkjOPQQDAgNIADBFAiAcB9UgQwhpbZd+DTW404j9+N3d/a5pUPOy\n"
                             "s3+xm9sydQIhAI0Dc59E5oKz5UkKNBbKtSx3Pd7U9s1Qg9wf4NaddP+9\n"
                             "-----END CERTIFICATE-----\n";

static void as_answer(struct gh_slice der)
{
    struct gh_ocsp_answer answer;
    (void)!gh_ocsp_check(der, gh_slice_text(issuer), GH_SLICE("1234"), 1800000000, &answer, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_slice der = gh_slice(data, size);
    struct gh_buffer key, name;
    as_certificate(der);
    as_list(der);
    as_answer(der);
    gh_buffer_init(&key, 64 * 1024);
    gh_buffer_init(&name, 64 * 1024);
    (void)!gh_enrol_read(der, &key, &name, NULL);
    gh_buffer_deinit(&key);
    gh_buffer_deinit(&name);
    return 0;
}
