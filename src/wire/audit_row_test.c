#include "tests/check.h"
#include "wire/audit_row.h"
#include <stdio.h>
#include <string.h>

static const struct {
    const char *method, *pattern, *action;
} actions[] = {
    {"POST", "/api/v1/tenants/{t}/registries/{r}/devices", "devices.create"},
    {"PATCH", "/api/v1/tenants/{t}/registries/{r}/devices/{d}", "devices.update"},
    {"DELETE", "/api/v1/tenants/{t}/registries/{r}/devices/{d}", "devices.delete"},
    {"POST", "/api/v1/tenants/{t}/registries/{r}/devices/{d}/ban", "devices.ban"},
    {"DELETE", "/api/v1/tenants/{t}/registries/{r}/devices/{d}/ban", "ban.delete"},
    {"POST", "/api/v1/tenants/{t}/registries/{r}/import", "registries.import"},
    {"PUT", "/api/v1/tenants/{t}/limits", "limits.put"},
    {"POST", "/api/v1/keys/rotate", "keys.rotate"},
    {"POST", "/oauth2/token", "oauth2.token"},
    {"POST", "/api/v1/session", "session.create"},
    {"GET", "/api/v1/stream", "stream.read"},
    {"POST", "/.well-known/est/{t}/simpleenroll", "est.simpleenroll"},
    {"POST", "/v1/projects/{p}/locations/{l}/registries/{r}/devices/{d}:modifyCloudToDeviceConfig",
     "devices.modifyCloudToDeviceConfig"},
    {"PUT", "/v1/projects/{p}/topics/{t}", "topics.put"},
    {"", "/", ".call"},
};

static void names(void)
{
    char text[GH_AUDIT_ACTION_MAX];
    for (size_t i = 0; i < GH_COUNT(actions); i++)
        CHECK(actions[i].action, strcmp(gh_audit_action(gh_slice_text(actions[i].method),
                                                        gh_slice_text(actions[i].pattern), text),
                                        actions[i].action) == 0);
    for (int i = 0; i < GH_AUDIT_RESULTS; i++) {
        enum gh_audit_result got;
        const char *name = gh_audit_result_name((enum gh_audit_result)i);
        CHECK(name, gh_audit_result_parse(gh_slice_text(name), &got) && (int)got == i);
    }
}

static const uint8_t filler[GH_AUDIT_OBJECT_MAX + 1] = {'a'};

/* The form written out by hand. */
static void form(void)
{
    static const uint8_t person[GH_AUDIT_PSEUDONYM_BYTES] = {0xaa};
    static const uint8_t expected[] = {
        1, 0,    0,    0,   0, 0,   0,   0,   7,   0, 0, 0,   0,   0,   0,   1,   2,
        1, 0x0b, 0xba, 0,   4, 'a', 'c', 'm', 'e', 0, 5, 't', 'o', 'k', 'e', 'n', 0,
        3, 'a',  'p',  'i', 0, 3,   'd', '.', 'c', 0, 2, '/', 'x', 0,   32,  0xaa};
    struct gh_audit_row row = {.seq = 7,
                               .at_ms = 258,
                               .tenant = GH_SLICE("acme"),
                               .method = GH_SLICE("token"),
                               .face = GH_SLICE("api"),
                               .action = GH_SLICE("d.c"),
                               .object = GH_SLICE("/x"),
                               .actor = gh_slice(person, sizeof person),
                               .result = GH_AUDIT_REFUSED,
                               .code = 3002};
    uint8_t block[GH_AUDIT_ROW_BYTES_MAX];
    struct gh_buffer out = gh_buffer_fixed(block, sizeof block);
    REQUIRE("valid", gh_audit_row_valid(&row));
    gh_audit_row_encode(&row, &out);
    CHECK("the size", out.size == sizeof expected + 31 + 6);
    CHECK("the bytes", memcmp(out.data, expected, sizeof expected) == 0);
}

/* Each field at its bound, and past it. */
static void bounds(void)
{
    struct gh_audit_row full = {.seq = INT64_MAX,
                                .at_ms = INT64_MAX,
                                .tenant = gh_slice(filler, GH_AUDIT_NAME_MAX),
                                .method = gh_slice(filler, GH_AUDIT_WORD_MAX),
                                .face = gh_slice(filler, GH_AUDIT_WORD_MAX),
                                .action = gh_slice(filler, GH_AUDIT_ACTION_MAX),
                                .object = gh_slice(filler, GH_AUDIT_OBJECT_MAX),
                                .actor = gh_slice(filler, GH_AUDIT_PSEUDONYM_BYTES),
                                .source = gh_slice(filler, GH_AUDIT_PSEUDONYM_BYTES),
                                .subject = gh_slice(filler, GH_AUDIT_PSEUDONYM_BYTES),
                                .detail = gh_slice(filler, GH_AUDIT_DETAIL_BYTES),
                                .result = GH_AUDIT_BEGUN,
                                .code = UINT16_MAX};
    uint8_t block[GH_AUDIT_ROW_BYTES_MAX];
    struct gh_buffer out = gh_buffer_fixed(block, sizeof block);
    REQUIRE("all at their bounds", gh_audit_row_valid(&full));
    gh_audit_row_encode(&full, &out);
    CHECK("fits", !out.overflow);
    struct gh_slice *texts[] = {&full.tenant, &full.method,  &full.face,
                                &full.action, &full.object,  &full.actor,
                                &full.source, &full.subject, &full.detail};
    for (size_t i = 0; i < GH_COUNT(texts); i++) {
        texts[i]->size++;
        CHECK("one byte more", !gh_audit_row_valid(&full));
        texts[i]->size--;
    }
    full.actor.size = 31;
    CHECK("half a pseudonym", !gh_audit_row_valid(&full));
    full.actor.size = 0;
    CHECK("nobody", gh_audit_row_valid(&full));
    full.seq = 0;
    CHECK("no row 0", !gh_audit_row_valid(&full));
    full.seq = 1;
    full.code = UINT16_MAX + 1;
    CHECK("no such code", !gh_audit_row_valid(&full));
}

int main(void)
{
    names();
    form();
    bounds();
    return check_report();
}
