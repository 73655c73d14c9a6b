#include "identity/certificate_facts.h"
#include "tests/check.h"
#include <string.h>

/* Made once by the openssl command line, valid for a hundred years, signed by itself. */
static const char pem[] = "-----BEGIN CERTIFICATE-----\n"
                          "MIIDLDCCAtKgAwIBAgIDChssMAoGCCqGSM49BAMCMIHAMQswCQYDVQQGEwJOTzEd\n"
                          "MBsGA1UECgwURXhhbXBsZSA9IFdvcmtzLCBMdGQxDjAMBgNVBAsMBVB1bXBzMRQw\n"
                          "EgYDVQQLDAtOaWdodCArIERheTEOMAwGA1UECwwFVGhpcmQxDzANBgNVBAMMBnB1\n"
                          "bXAtMTENMAsGA1UEBRMEUy00MjEQMA4GA1UEDAwHUHLDvGZlcjEPMA0GA1UEBAwG\n"
                          "TmFuc2VuMQwwCgYDVQQqDANFdmExCzAJBgNVBCsMAkVOMCAXDTI2MTEyNjIwNTcw\n"
                          "NloYDzIxMjYxMTAyMjA1NzA2WjCBwDELMAkGA1UEBhMCTk8xHTAbBgNVBAoMFEV4\n"
                          "YW1wbGUgPSBXb3JrcywgTHRkMQ4wDAYDVQQLDAVQdW1wczEUMBIGA1UECwwLTmln\n"
                          "aHQgKyBEYXkxDjAMBgNVBAsMBVRoaXJkMQ8wDQYDVQQDDAZwdW1wLTExDTALBgNV\n"
                          "BAUTBFMtNDIxEDAOBgNVBAwMB1Byw7xmZXIxDzANBgNVBAQMBk5hbnNlbjEMMAoG\n"
                          "A1UEKgwDRXZhMQswCQYDVQQrDAJFTjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IA\n"
                          "BH8F9GOIaEUKpH8wF8vgmLjN9ABj2Qu5XVqan6c2LzRarlFBgA5LdyfeVNlT1D5C\n"
                          "qFRohTVmriHbXpcpU2coxPejgbYwgbMwcwYDVR0RBGwwaoIScHVtcC0xLmV4YW1w\n"
                          "bGUub3Jngg1iLmV4YW1wbGUub3JngQ1hQGV4YW1wbGUub3Jnhgp1cm46cHVtcDox\n"
                          "hwTAAAIHhxAgAQ24AAAAAAAAAAAAAAAHpBIwEDEOMAwGA1UEAwwFaW5uZXIwHQYD\n"
                          "VR0SBBYwFIISaXNzdWVyLmV4YW1wbGUub3JnMB0GA1UdDgQWBBTRM5b6FCrnYe4J\n"
                          "JAOn5ATnMv9I+DAKBggqhkjOPQQDAgNIADBFAiBW5JUYsK5W05gC3gVLKj3agMU7\n"
                          "L9Npy8rNh1pMyoGcVwIhAP+lW7r7osecd44y/zAXZMtl+gXd+cLuw8VSkhycnF9Z\n"
                          "-----END CERTIFICATE-----\n";

/* NULL: it says nothing of that name. */
static const struct {
    const char *name, *value;
} facts_said[] = {
    {"Subject.CommonName", "pump-1"},
    {"Subject.CommonName.0", "pump-1"},
    {"Subject.CommonName.1", NULL},
    {"Subject.Country", "NO"},
    {"Subject.Organization", "Example = Works, Ltd"},
    {"Subject.OrganizationalUnit", "Pumps"},
    {"Subject.OrganizationalUnit.0", "Pumps"},
    {"Subject.OrganizationalUnit.1", "Night + Day"},
    {"Subject.OrganizationalUnit.2", "Third"},
    {"Subject.OrganizationalUnit.3", NULL},
    {"Subject.SerialNumber", "S-42"},
    {"Subject.Title", "Pr\xc3\xbc"
                      "fer"},
    {"Subject.Surname", "Nansen"},
    {"Subject.GivenName", "Eva"},
    {"Subject.Initials", "EN"},
    {"Subject.State", NULL},
    {"Subject.Pseudonym", NULL},
    {"Issuer.CommonName", "pump-1"},
    {"Issuer.OrganizationalUnit.1", "Night + Day"},
    {"Subject.AlternativeName.DNSName", "pump-1.example.org"},
    {"Subject.AlternativeName.DNSName.1", "b.example.org"},
    {"Subject.AlternativeName.RFC822Name", "a@example.org"},
    {"Subject.AlternativeName.UniformResourceIdentifier", "urn:pump:1"},
    {"Subject.AlternativeName.IPAddress", "192.0.2.7"},
    {"Subject.AlternativeName.IPAddress.1", "2001:db8::7"},
    {"Subject.AlternativeName.DirectoryName", "CN=inner"},
    {"Issuer.AlternativeName.DNSName", "issuer.example.org"},
    {"SerialNumber", "a1b2c"},
};

static const char *find(const struct gh_certificate_facts *facts, const char *name, size_t *size)
{
    for (size_t i = 0; i < facts->count; i++)
        if (gh_slice_equal(facts->items[i].key, gh_slice_text(name))) {
            *size = facts->items[i].value.size;
            return (const char *)facts->items[i].value.data;
        }
    return NULL;
}

int main(void)
{
    struct gh_arena arena, small;
    struct gh_certificate_facts facts;
    gh_arena_init(&arena, 1 << 20);
    gh_arena_init(&small, 64);
    REQUIRE("a certificate", gh_certificate_facts_pem(gh_slice_text(pem), &arena, &facts));
    for (size_t i = 0; i < GH_COUNT(facts_said); i++) {
        size_t size = 0;
        const char *value = find(&facts, facts_said[i].name, &size);
        CHECK(facts_said[i].name, (value != NULL) == (facts_said[i].value != NULL));
        if (value != NULL && facts_said[i].value != NULL)
            CHECK(facts_said[i].name, size == strlen(facts_said[i].value) &&
                                          memcmp(value, facts_said[i].value, size) == 0);
    }
    CHECK("what is no certificate says nothing",
          !gh_certificate_facts_pem(GH_SLICE("nothing"), &arena, &facts) && facts.count == 0);
    CHECK("nor is DER", !gh_certificate_facts_der(gh_slice_text(pem), &arena, &facts));
    CHECK("without memory nothing is said",
          !gh_certificate_facts_pem(gh_slice_text(pem), &small, &facts) && facts.count == 0);
    gh_arena_deinit(&arena);
    gh_arena_deinit(&small);
    return check_report();
}
