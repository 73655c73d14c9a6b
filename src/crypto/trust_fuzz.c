/* Any bytes where a peer or an operator sends a certificate, a list, an enrolment request or an
 * OCSP request in DER: nothing of it may do harm, and what opens can be asked everything. */
#include "crypto/chain.h"
#include "crypto/enrol.h"
#include "crypto/lint.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_slice der = gh_slice(data, size);
    struct gh_buffer key, name;
    as_certificate(der);
    as_list(der);
    gh_buffer_init(&key, 64 * 1024);
    gh_buffer_init(&name, 64 * 1024);
    (void)!gh_enrol_read(der, &key, &name, NULL);
    gh_buffer_deinit(&key);
    gh_buffer_deinit(&name);
    return 0;
}
