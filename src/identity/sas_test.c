/* Forms and signatures of shared access signatures. The signatures of the first rows are those that
 * another implementation computed, under a key of 32 zero bytes. */
#include "identity/sas.h"
#include "tests/check.h"
#include <stdio.h>
#include <string.h>

#define ZERO "SharedAccessSignature sr=0ne00000A0A/registrations/reg1"
#define SIG "&sig=ft5ymFUlnFsKwhFjTctPnRQR6lg4Wpx0yyaPWDpPN5g%3D"
#define AS_32 "&sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D"
static const uint8_t zero_key[32];

static void signatures(void)
{
    static const struct {
        const char *token, *resource;
        bool good;
    } rows[] = {
        {"SharedAccessSignature sr=myhub.azure-devices.net%2Fdevices%2Fdev1"
         "&sig=OIqcxHG72rXOgp5D8Y9%2BQzevJ663Q8zKe%2Fe9ZKCCAJQ%3D&se=1700000000",
         "myhub.azure-devices.net/devices/dev1", true},
        {"SharedAccessSignature sr=myhub.azure-devices.net%2fdevices%2fdev1"
         "&sig=tw19wEhsDfGcKiadFUC93vkKQ92%2BIVTE9hDKjNi4gmQ%3D&se=1700000000",
         "myhub.azure-devices.net/devices/dev1", true},
        {"SharedAccessSignature sr=myhub.azure-devices.net"
         "&sig=taElhBhzFpdJDVL%2BFYCJhkF7E4gM2U0ivdsQkXf2u30%3D&se=1700000000",
         "myhub.azure-devices.net", true},
        {ZERO SIG "&se=1700000000", "0ne00000A0A/registrations/reg1", true},
        {"SharedAccessSignature sig=ft5ymFUlnFsKwhFjTctPnRQR6lg4Wpx0yyaPWDpPN5g=&se=1700000000"
         "&skn=registration&sr=0ne00000A0A/registrations/reg1",
         "0ne00000A0A/registrations/reg1", true},
        {"SharedAccessSignature sr=0ne00000A0A%2Fregistrations%2Freg1"
         "&sig=FE9h4dp3BxouxgegxSUf478gHbhS%2FD2p4AJGwGbR40A%3D&se=1700000000",
         "0ne00000A0A/registrations/reg1", true},
        {ZERO SIG "&se=1700000001", "0ne00000A0A/registrations/reg1", false},
        {ZERO SIG "&se=01700000000", "0ne00000A0A/registrations/reg1", false},
        {ZERO AS_32 "&se=1700000000", "0ne00000A0A/registrations/reg1", false},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        struct gh_arena arena;
        struct gh_sas sas;
        gh_arena_init(&arena, 1 << 16);
        const char *why = gh_sas_read(gh_slice_text(rows[i].token), &arena, &sas);
        CHECK(rows[i].token, why == NULL);
        CHECK(rows[i].token, gh_slice_equal(sas.resource, gh_slice_text(rows[i].resource)));
        CHECK(rows[i].token,
              gh_sas_signed_by(&sas, gh_slice(zero_key, sizeof zero_key)) == rows[i].good);
        CHECK(rows[i].token, !gh_sas_signed_by(&sas, GH_SLICE("another key")));
        gh_arena_deinit(&arena);
    }
}

static void forms(void)
{
    static const struct {
        const char *what, *token, *why;
    } rows[] = {
        {"another scheme", "Bearer abc", "begin"},
        {"another case", "sharedaccesssignature sr=a" SIG "&se=1", "begin"},
        {"no field", "SharedAccessSignature ", "missing"},
        {"no expiry", "SharedAccessSignature sr=a" SIG, "missing"},
        {"no signature", "SharedAccessSignature sr=a&se=1", "missing"},
        {"no resource", "SharedAccessSignature se=1" SIG, "missing"},
        {"an empty resource", "SharedAccessSignature sr=&se=1" SIG, "sr"},
        {"a broken escape", "SharedAccessSignature sr=a%2&se=1" SIG, "sr"},
        {"an escaped NUL", "SharedAccessSignature sr=a%00b&se=1" SIG, "sr"},
        {"a field of nobody", "SharedAccessSignature sr=a&se=1&st=0" SIG, "besides"},
        {"an empty field", "SharedAccessSignature sr=a&&se=1" SIG, "besides"},
        {"a resource twice", "SharedAccessSignature sr=a&sr=b&se=1" SIG, "twice"},
        {"an expiry twice", "SharedAccessSignature sr=a&se=1&se=2" SIG, "twice"},
        {"a short signature", "SharedAccessSignature sr=a&se=1&sig=AAAA", "sig"},
        {"a long signature", "SharedAccessSignature sr=a&se=1" AS_32 "A", "sig"},
        {"no base64", "SharedAccessSignature sr=a&se=1&sig=%21%21", "sig"},
        {"a negative expiry", "SharedAccessSignature sr=a&se=-1" SIG, "se is"},
        {"a fraction", "SharedAccessSignature sr=a&se=1.5" SIG, "se is"},
        {"an empty expiry", "SharedAccessSignature sr=a&se=" SIG, "se is"},
        {"an expiry beyond all", "SharedAccessSignature sr=a&se=999999999999" SIG, "se is"},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        struct gh_arena arena;
        struct gh_sas sas;
        gh_arena_init(&arena, 1 << 16);
        const char *why = gh_sas_read(gh_slice_text(rows[i].token), &arena, &sas);
        CHECK(rows[i].what, why != NULL && strstr(why, rows[i].why) != NULL);
        gh_arena_deinit(&arena);
    }
}

static void too_long(void)
{
    static char token[GH_SAS_BYTES_MAX + 2];
    struct gh_arena arena;
    struct gh_sas sas;
    size_t head = (size_t)snprintf(token, sizeof token, ZERO);
    gh_arena_init(&arena, 1 << 16);
    memset(token + head, 'x', sizeof token - head - 1);
    const char *why = gh_sas_read(gh_slice(token, GH_SAS_BYTES_MAX + 1), &arena, &sas);
    CHECK("a token over the limit", why != NULL && strstr(why, "longer") != NULL);
    gh_arena_deinit(&arena);
}

int main(void)
{
    signatures();
    forms();
    too_long();
    return check_report();
}
