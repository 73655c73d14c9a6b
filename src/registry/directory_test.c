#include "base/time.h"
#include "crypto/authority.h"
#include "crypto/key.h"
#include "registry/directory.h"
#include "registry/password.h"
#include "tests/check.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gh_store *store;
static struct gh_directory *directory;
static struct gh_arena arena;
static struct gh_error error;
static const char *folder;

/* What the watch was told last, by whatever thread; read when no other thread writes. */
static pthread_mutex_t telling = PTHREAD_MUTEX_INITIALIZER;
static struct {
    uint64_t device;
    enum gh_device_change what;
    unsigned device_changes, registry_changes;
} told;

static void device_changed(void *context, uint64_t device, enum gh_device_change what)
{
    (void)context;
    pthread_mutex_lock(&telling);
    told.device = device;
    told.what = what;
    told.device_changes++;
    pthread_mutex_unlock(&telling);
}

static void registry_changed(void *context, int64_t registry)
{
    (void)context, (void)registry;
    pthread_mutex_lock(&telling);
    told.registry_changes++;
    pthread_mutex_unlock(&telling);
}

static const struct gh_directory_watch watch = {.device_changed = device_changed,
                                                .registry_changed = registry_changed};

static void open_all(void)
{
    store = gh_store_open(folder, GH_STORE_CREATE, &error);
    REQUIRE("the store opens", store != NULL);
    directory = gh_directory_open(store, &watch, NULL, &error);
    REQUIRE("the directory opens", directory != NULL);
}

static void close_all(void)
{
    gh_directory_close(directory);
    gh_store_close(store);
}

static bool same(struct gh_slice a, const char *text)
{
    return gh_slice_equal(a, gh_slice_text(text));
}

static int64_t tenant_make(const char *name)
{
    struct gh_tenant tenant = {.name = gh_slice_text(name)};
    REQUIRE("a tenant", gh_directory_tenant_create(directory, &tenant, &error) == GH_OK);
    return tenant.number;
}

static int64_t registry_make(int64_t tenant, const char *name)
{
    struct gh_registry registry = {.tenant = tenant,
                                   .name = gh_slice_text(name),
                                   .location = GH_SLICE("europe-west1"),
                                   .mqtt_enabled = true,
                                   .http_enabled = true};
    REQUIRE("a registry", gh_directory_registry_create(directory, &registry, &error) == GH_OK);
    return registry.number;
}

static uint64_t device_make(int64_t registry, const char *id)
{
    struct gh_device device = {.registry = registry, .id = gh_slice_text(id)};
    REQUIRE("a device", gh_directory_device_create(directory, &device, &arena, &error) == GH_OK);
    return device.number;
}

/* A fresh public key as PEM, in the arena. */
static struct gh_slice key_make(enum gh_key_kind kind)
{
    struct gh_buffer out;
    struct gh_slice pem = {0};
    gh_buffer_init(&out, GH_KEY_PEM_MAX);
    struct gh_private_key *key = gh_private_key_generate(kind, &error);
    REQUIRE("a key", key != NULL && gh_private_key_print_public(key, &out) &&
                         gh_arena_copy(&arena, gh_buffer_slice(&out), &pem));
    gh_private_key_close(key);
    gh_buffer_deinit(&out);
    return pem;
}

static enum gh_error_code tenant_code(const char *name, const char *project)
{
    struct gh_tenant tenant = {.name = gh_slice_text(name),
                               .google_project = gh_slice_text(project)};
    return gh_directory_tenant_create(directory, &tenant, &error);
}

static void keeps_tenants(void)
{
    struct gh_tenant got, *all;
    struct gh_slice etag, etag_2;
    size_t count;
    char number[32];
    CHECK("created", tenant_code("acme", "acme-project-1") == GH_OK);
    CHECK("the name is taken", tenant_code("acme", "other") == GH_ERROR_EXISTS);
    CHECK("its project is taken", tenant_code("other", "acme-project-1") == GH_ERROR_EXISTS);
    CHECK("a name that is none", tenant_code("a/b", "x") == GH_ERROR_INVALID);
    CHECK("a project that is none", tenant_code("x", "a/b") == GH_ERROR_INVALID);
    CHECK("found",
          gh_directory_tenant_find(directory, GH_SLICE("acme"), &arena, &got, &error) == GH_OK &&
              same(got.google_project, "acme-project-1") && same(got.azure_hub, "acme") &&
              same(got.aws_account, "acme") && got.created_at_ms > 0 && got.policy.size == 0);
    CHECK("found by project", gh_directory_tenant_find_google(directory, GH_SLICE("acme-project-1"),
                                                              &arena, &got, &error) == GH_OK &&
                                  same(got.name, "acme"));
    snprintf(number, sizeof number, "%lld", (long long)got.number);
    CHECK("found by number", gh_directory_tenant_find_google(directory, gh_slice_text(number),
                                                             &arena, &got, &error) == GH_OK &&
                                 same(got.name, "acme"));
    CHECK("not by name", gh_directory_tenant_find_google(directory, GH_SLICE("acme"), &arena, &got,
                                                         &error) == GH_ERROR_NOT_FOUND);
    CHECK("not by another number",
          gh_directory_tenant_find_google(directory, GH_SLICE("99999999999999999999"), &arena, &got,
                                          &error) == GH_ERROR_NOT_FOUND);
    int64_t tenant = tenant_make("aaa");
    CHECK("listed by name",
          gh_directory_tenant_list(directory, &arena, &all, &count, &error) == GH_OK &&
              count == 2 && same(all[0].name, "aaa") && same(all[1].name, "acme"));
    CHECK("a policy",
          gh_directory_tenant_policy_set(directory, tenant, GH_SLICE("{}"), (struct gh_slice){0},
                                         &arena, &etag, &error) == GH_OK &&
              etag.size > 0);
    CHECK("the etag before",
          gh_directory_tenant_policy_set(directory, tenant, GH_SLICE("{ }"), etag, &arena, &etag_2,
                                         &error) == GH_OK &&
              !gh_slice_equal(etag, etag_2));
    CHECK("an older etag",
          gh_directory_tenant_policy_set(directory, tenant, GH_SLICE("{}"), etag, &arena, &etag_2,
                                         &error) == GH_ERROR_CONFLICT);
    CHECK("the policy is read",
          gh_directory_tenant_get(directory, tenant, &arena, &got, &error) == GH_OK &&
              same(got.policy, "{ }"));
    CHECK("deleted",
          gh_directory_tenant_delete(directory, tenant, &error) == GH_OK &&
              gh_directory_tenant_delete(directory, tenant, &error) == GH_ERROR_NOT_FOUND);
    CHECK("numbers are not given twice", tenant_make("aab") > tenant);
}

static void keeps_registries(void)
{
    int64_t tenant = tenant_make("reg-tenant");
    struct gh_route routes[] = {{GH_SLICE("alerts"), GH_SLICE("projects/p/topics/alerts")},
                                {GH_SLICE(""), GH_SLICE("projects/p/topics/all")}};
    struct gh_registry row = {.tenant = tenant,
                              .name = GH_SLICE("warehouse"),
                              .location = GH_SLICE("europe-west1"),
                              .routes = routes,
                              .routes_count = 2,
                              .state_topic = GH_SLICE("projects/p/topics/state"),
                              .mqtt_enabled = true,
                              .log_level = GH_DEVICE_LOG_INFO};
    struct gh_registry got;
    struct gh_slice etag;
    CHECK("created",
          gh_directory_registry_create(directory, &row, &error) == GH_OK && row.number > 0);
    CHECK("taken, in any location",
          gh_directory_registry_create(directory,
                                       &(struct gh_registry){.tenant = tenant,
                                                             .name = row.name,
                                                             .location = GH_SLICE("us-central1")},
                                       &error) == GH_ERROR_EXISTS);
    CHECK("found",
          gh_directory_registry_find(directory, tenant, GH_SLICE("warehouse"),
                                     GH_SLICE("europe-west1"), &arena, &got, &error) == GH_OK &&
              got.number == row.number && same(got.tenant_name, "reg-tenant") &&
              got.routes_count == 2 && same(got.routes[0].channel, "alerts") &&
              same(got.routes[1].topic, "projects/p/topics/all") &&
              same(got.state_topic, "projects/p/topics/state") && got.mqtt_enabled &&
              !got.http_enabled && got.log_level == GH_DEVICE_LOG_INFO);
    CHECK("any location",
          gh_directory_registry_find(directory, tenant, GH_SLICE("warehouse"), (struct gh_slice){0},
                                     &arena, &got, &error) == GH_OK);
    CHECK("another location", gh_directory_registry_find(directory, tenant, GH_SLICE("warehouse"),
                                                         GH_SLICE("us-central1"), &arena, &got,
                                                         &error) == GH_ERROR_NOT_FOUND);
    struct gh_registry change = {.http_enabled = true, .log_level = GH_DEVICE_LOG_DEBUG};
    unsigned before = told.registry_changes;
    CHECK("only the fields named change",
          gh_directory_registry_update(directory, row.number, GH_REGISTRY_HTTP | GH_REGISTRY_ROUTES,
                                       &change, &arena, &got, &error) == GH_OK &&
              got.http_enabled && got.mqtt_enabled && got.log_level == GH_DEVICE_LOG_INFO &&
              got.routes_count == 0 && same(got.state_topic, "projects/p/topics/state"));
    CHECK("the watch is told", told.registry_changes == before + 1);
    CHECK("no field", gh_directory_registry_update(directory, row.number, 0, &change, &arena, NULL,
                                                   &error) == GH_ERROR_INVALID);
    CHECK("a field that is none",
          gh_directory_registry_update(directory, row.number, 1u << 10, &change, &arena, NULL,
                                       &error) == GH_ERROR_INVALID);
    change.log_level = 11;
    CHECK("a level that is none",
          gh_directory_registry_update(directory, row.number, GH_REGISTRY_LOG_LEVEL, &change,
                                       &arena, NULL, &error) == GH_ERROR_INVALID);
    CHECK("the watch is not told of a refusal", told.registry_changes == before + 1);
    CHECK("no such registry",
          gh_directory_registry_update(directory, 999, GH_REGISTRY_HTTP, &change, &arena, NULL,
                                       &error) == GH_ERROR_NOT_FOUND);
    CHECK("a policy",
          gh_directory_registry_policy_set(directory, row.number, GH_SLICE("{}"),
                                           (struct gh_slice){0}, &arena, &etag, &error) == GH_OK);
    CHECK("a wrong etag",
          gh_directory_registry_policy_set(directory, row.number, GH_SLICE("{}"), GH_SLICE("x"),
                                           &arena, &etag, &error) == GH_ERROR_CONFLICT);
    CHECK("a tenant with registries stays",
          gh_directory_tenant_delete(directory, tenant, &error) == GH_ERROR_PRECONDITION);
    uint64_t device = device_make(row.number, "only");
    CHECK("a registry with devices stays",
          gh_directory_registry_delete(directory, row.number, &error) == GH_ERROR_PRECONDITION);
    CHECK("empty again",
          gh_directory_device_delete(directory, device, &error) == GH_OK &&
              gh_directory_registry_delete(directory, row.number, &error) == GH_OK &&
              gh_directory_registry_delete(directory, row.number, &error) == GH_ERROR_NOT_FOUND);
    row.name = GH_SLICE("goog-1");
    CHECK("an id that is none",
          gh_directory_registry_create(directory, &row, &error) == GH_ERROR_INVALID);
    row.name = GH_SLICE("orphan");
    row.tenant = 999;
    CHECK("no tenant", gh_directory_registry_create(directory, &row, &error) == GH_ERROR_NOT_FOUND);
}

static void pages_registries(void)
{
    int64_t tenant = tenant_make("pages-tenant");
    struct gh_registry_query query = {.tenant = tenant, .page_size = 3};
    struct gh_registry *page;
    struct gh_slice next = {0};
    size_t count, seen = 0;
    for (int i = 0; i < 7; i++) {
        char name[16];
        snprintf(name, sizeof name, "reg-%d", 6 - i);
        registry_make(tenant, name);
    }
    do {
        query.page_token = next;
        REQUIRE("a page", gh_directory_registry_list(directory, &query, &arena, &page, &count,
                                                     &next, &error) == GH_OK);
        for (size_t i = 0; i < count; i++, seen++)
            CHECK("by name", page[i].name.data[4] == '0' + (int)seen);
    } while (next.size > 0);
    CHECK("each once", seen == 7);
    query.page_token = (struct gh_slice){0};
    query.page_size = 7;
    CHECK("a page that takes all has no next",
          gh_directory_registry_list(directory, &query, &arena, &page, &count, &next, &error) ==
                  GH_OK &&
              count == 7 && next.size == 0);
    query.page_size = 0;
    CHECK("no page size", gh_directory_registry_list(directory, &query, &arena, &page, &count,
                                                     &next, &error) == GH_ERROR_RANGE);
}

static enum gh_error_code device_code(struct gh_device device)
{
    return gh_directory_device_create(directory, &device, &arena, &error);
}

static void keeps_devices(void)
{
    int64_t tenant = tenant_make("dev-tenant"), registry = registry_make(tenant, "devices");
    struct gh_attribute attributes[] = {{GH_SLICE("kind"), GH_SLICE("climate")},
                                        {GH_SLICE("hall"), GH_SLICE("hall-1")}};
    struct gh_device row = {
        .registry = registry,
        .id = GH_SLICE("hall-1-air"),
        .attributes = attributes,
        .attributes_count = 2,
        .credentials_count = 2,
        .credentials = {
            {.format = GH_CREDENTIAL_ES256_PEM, .pem = key_make(GH_KEY_P256), .expires_at_ms = 99},
            {.format = GH_CREDENTIAL_RSA_PEM, .pem = key_make(GH_KEY_RSA)}}};
    struct gh_device got;
    CHECK("created", gh_directory_device_create(directory, &row, &arena, &error) == GH_OK &&
                         row.number > 0 && row.number <= INT64_MAX && row.tenant == tenant &&
                         row.config.version == 1);
    CHECK("the id is taken",
          device_code((struct gh_device){.registry = registry, .id = row.id}) == GH_ERROR_EXISTS);
    CHECK("found by id",
          gh_directory_device_find(directory, tenant, GH_SLICE("devices"), (struct gh_slice){0},
                                   row.id, &arena, &got, &error) == GH_OK &&
              got.number == row.number);
    CHECK("with all it has",
          same(got.tenant_name, "dev-tenant") && same(got.registry_name, "devices") &&
              same(got.location, "europe-west1") && got.attributes_count == 2 &&
              same(got.attributes[0].key, "hall") && same(got.attributes[1].value, "climate") &&
              got.config.version == 1 && got.config.data.size == 0 && !got.state.present &&
              !got.blocked && got.created_at_ms == row.created_at_ms);
    CHECK("and its credentials",
          got.credentials_count == 2 && got.credentials[0].expires_at_ms == 99 &&
              got.credentials[0].fingerprint.size == 64 && got.credentials[0].id.size == 16 &&
              gh_slice_equal(got.credentials[1].pem, row.credentials[1].pem) &&
              got.credentials[1].created_at_ms == row.created_at_ms);
    char number[32];
    snprintf(number, sizeof number, "%llu", (unsigned long long)row.number);
    CHECK("found by number",
          gh_directory_device_find(directory, tenant, GH_SLICE("devices"), GH_SLICE("europe-west1"),
                                   gh_slice_text(number), &arena, &got, &error) == GH_OK &&
              same(got.id, "hall-1-air"));
    CHECK("not in another tenant",
          gh_directory_device_find(directory, tenant + 1, GH_SLICE("devices"), (struct gh_slice){0},
                                   gh_slice_text(number), &arena, &got,
                                   &error) == GH_ERROR_NOT_FOUND);
    CHECK("not in another location",
          gh_directory_device_find(directory, tenant, GH_SLICE("devices"), GH_SLICE("us-central1"),
                                   row.id, &arena, &got, &error) == GH_ERROR_NOT_FOUND);
    CHECK("not by another number",
          gh_directory_device_find(directory, tenant, GH_SLICE("devices"), (struct gh_slice){0},
                                   GH_SLICE("17"), &arena, &got, &error) == GH_ERROR_NOT_FOUND);
    CHECK("an id that is none",
          device_code((struct gh_device){.registry = registry, .id = GH_SLICE("ab")}) ==
              GH_ERROR_INVALID);
    CHECK("no registry", device_code((struct gh_device){.registry = 999, .id = GH_SLICE("abc")}) ==
                             GH_ERROR_NOT_FOUND);
    CHECK("deleted", gh_directory_device_delete(directory, row.number, &error) == GH_OK &&
                         told.device == row.number && told.what == GH_DEVICE_CHANGE_DELETED);
    CHECK("gone",
          gh_directory_device_get(directory, row.number, &arena, &got, &error) ==
                  GH_ERROR_NOT_FOUND &&
              gh_directory_device_delete(directory, row.number, &error) == GH_ERROR_NOT_FOUND);
    CHECK("the same id has another number", device_make(registry, "hall-1-air") != row.number);
}

static void updates_devices(void)
{
    int64_t registry = registry_make(tenant_make("upd-tenant"), "updates");
    struct gh_slice keys[] = {key_make(GH_KEY_P256), key_make(GH_KEY_P256)};
    struct gh_device row = {.registry = registry,
                            .id = GH_SLICE("abc"),
                            .credentials_count = 1,
                            .credentials = {{.format = GH_CREDENTIAL_ES256_PEM, .pem = keys[0]}}};
    REQUIRE("a device", gh_directory_device_create(directory, &row, &arena, &error) == GH_OK);
    struct gh_device got, change = {.blocked = true, .log_level = GH_DEVICE_LOG_DEBUG};
    CHECK("blocked", gh_directory_device_update(directory, row.number, GH_DEVICE_BLOCKED, &change,
                                                &arena, &got, &error) == GH_OK &&
                         got.blocked && got.log_level == GH_DEVICE_LOG_DEFAULT &&
                         got.credentials_count == 1);
    CHECK("the watch knows", told.device == row.number && told.what == GH_DEVICE_CHANGE_BLOCKED);
    change.blocked = false;
    CHECK("unblocked", gh_directory_device_update(directory, row.number, GH_DEVICE_BLOCKED, &change,
                                                  &arena, &got, &error) == GH_OK &&
                           !got.blocked && told.what == GH_DEVICE_CHANGE_UNBLOCKED);
    CHECK("settings", gh_directory_device_update(directory, row.number, GH_DEVICE_LOG_LEVEL,
                                                 &change, &arena, &got, &error) == GH_OK &&
                          got.log_level == GH_DEVICE_LOG_DEBUG &&
                          told.what == GH_DEVICE_CHANGE_SETTINGS);
    change.credentials[0] =
        (struct gh_credential){.format = GH_CREDENTIAL_ES256_PEM, .pem = keys[1]};
    change.credentials[1] = (struct gh_credential){
        .format = GH_CREDENTIAL_ES256_PEM, .pem = keys[0], .expires_at_ms = 5};
    change.credentials_count = 2;
    CHECK("a second key", gh_directory_device_update(directory, row.number, GH_DEVICE_CREDENTIALS,
                                                     &change, &arena, &got, &error) == GH_OK &&
                              got.credentials_count == 2 &&
                              told.what == GH_DEVICE_CHANGE_CREDENTIALS);
    CHECK("a key that stays keeps its id",
          gh_slice_equal(got.credentials[1].id, row.credentials[0].id) &&
              got.credentials[1].created_at_ms == row.credentials[0].created_at_ms &&
              got.credentials[1].expires_at_ms == 5);
    change.credentials[2] = change.credentials[1];
    change.credentials_count = 3;
    CHECK("three, one of them twice",
          gh_directory_device_update(directory, row.number, GH_DEVICE_CREDENTIALS, &change, &arena,
                                     &got, &error) == GH_OK &&
              !gh_slice_equal(got.credentials[1].id, got.credentials[2].id));
    change.credentials_count = 0;
    CHECK("none", gh_directory_device_update(directory, row.number, GH_DEVICE_CREDENTIALS, &change,
                                             &arena, &got, &error) == GH_OK &&
                      got.credentials_count == 0);
    struct gh_attribute attribute = {GH_SLICE("hall"), GH_SLICE("hall-9")};
    change.attributes = &attribute;
    change.attributes_count = 1;
    CHECK("attributes", gh_directory_device_update(directory, row.number, GH_DEVICE_ATTRIBUTES,
                                                   &change, &arena, &got, &error) == GH_OK &&
                            got.attributes_count == 1 && same(got.attributes[0].value, "hall-9"));
    unsigned before = told.device_changes;
    attribute.key = GH_SLICE("9");
    CHECK("an attribute that is none",
          gh_directory_device_update(directory, row.number,
                                     GH_DEVICE_ATTRIBUTES | GH_DEVICE_BLOCKED, &change, &arena,
                                     &got, &error) == GH_ERROR_INVALID);
    CHECK("no field", gh_directory_device_update(directory, row.number, 0, &change, &arena, &got,
                                                 &error) == GH_ERROR_INVALID);
    CHECK("no device", gh_directory_device_update(directory, 1, GH_DEVICE_BLOCKED, &change, &arena,
                                                  &got, &error) == GH_ERROR_NOT_FOUND);
    CHECK("the watch is not told of refusals", told.device_changes == before);
}

static void checks_credentials(void)
{
    int64_t registry = registry_make(tenant_make("cred-tenant"), "credentials");
    struct gh_slice p256 = key_make(GH_KEY_P256), rsa = key_make(GH_KEY_RSA),
                    third = key_make(GH_KEY_P256);
    const struct {
        const char *claim;
        struct gh_credential credential;
        size_t count;
        enum gh_error_code code;
    } offers[] = {
        {"an ES256 key", {.format = GH_CREDENTIAL_ES256_PEM, .pem = p256}, 1, GH_OK},
        {"an RSA key", {.format = GH_CREDENTIAL_RSA_PEM, .pem = rsa}, 1, GH_OK},
        {"three", {.format = GH_CREDENTIAL_ES256_PEM, .pem = third}, 3, GH_OK},
        {"an RSA key said to be ES256",
         {.format = GH_CREDENTIAL_ES256_PEM, .pem = rsa},
         1,
         GH_ERROR_INVALID},
        {"an ES256 key said to be RSA",
         {.format = GH_CREDENTIAL_RSA_PEM, .pem = p256},
         1,
         GH_ERROR_INVALID},
        {"a key said to be a certificate",
         {.format = GH_CREDENTIAL_ES256_X509_PEM, .pem = p256},
         1,
         GH_ERROR_INVALID},
        {"no format", {.pem = p256}, 1, GH_ERROR_INVALID},
        {"an unknown format", {.format = 7, .pem = p256}, 1, GH_ERROR_INVALID},
        {"a symmetric key where none are kept",
         {.format = GH_CREDENTIAL_SYMMETRIC},
         1,
         GH_ERROR_PRECONDITION},
        {"a password where none are kept",
         {.format = GH_CREDENTIAL_PASSWORD, .secret = GH_SLICE("0123456789abcdef0123")},
         1,
         GH_ERROR_PRECONDITION},
        {"half a key",
         {.format = GH_CREDENTIAL_ES256_PEM, .pem = gh_slice(p256.data, p256.size / 2)},
         1,
         GH_ERROR_INVALID},
        {"no key", {.format = GH_CREDENTIAL_ES256_PEM}, 1, GH_ERROR_INVALID},
        {"an expiry before 1970",
         {.format = GH_CREDENTIAL_ES256_PEM, .pem = p256, .expires_at_ms = -1},
         1,
         GH_ERROR_INVALID},
    };
    for (size_t i = 0; i < GH_COUNT(offers); i++) {
        char id[16];
        snprintf(id, sizeof id, "dev-%zu", i);
        struct gh_device device = {
            .registry = registry, .id = gh_slice_text(id), .credentials_count = offers[i].count};
        for (size_t j = 0; j < offers[i].count; j++)
            device.credentials[j] = offers[i].credential;
        CHECK(offers[i].claim, device_code(device) == offers[i].code);
    }
    struct gh_device four = {.registry = registry, .id = GH_SLICE("four"), .credentials_count = 4};
    CHECK("four", device_code(four) == GH_ERROR_INVALID);
}

static bool is_password(const struct gh_credential *credential, const char *id)
{
    return credential->format == GH_CREDENTIAL_PASSWORD && credential->secret.size == 0 &&
           credential->fingerprint.size == 0 && gh_slice_starts(credential->id, GH_SLICE("pw-")) &&
           gh_slice_starts(credential->pem, GH_SLICE("$hmac-sha256$")) &&
           (id == NULL || same(credential->id, id));
}

static void keeps_passwords(void)
{
    static const char secret[] = "0123456789abcdef0123", other[] = "0123456789abcdef0124";
    struct gh_device_passwords *kept = gh_device_passwords_with(GH_SLICE("key of a test"));
    struct gh_device device = {.registry = registry_make(tenant_make("pw-tenant"), "passwords"),
                               .id = GH_SLICE("pump"),
                               .credentials_count = 1,
                               .credentials = {{.format = GH_CREDENTIAL_PASSWORD,
                                                .secret = gh_slice_text(secret),
                                                .expires_at_ms = 7}}};
    struct gh_device change = {0}, after;
    REQUIRE("passwords", kept != NULL);
    gh_directory_use_passwords(directory, kept);
    REQUIRE("a device with a password",
            gh_directory_device_create(directory, &device, &arena, &error) == GH_OK);
    REQUIRE("it is read",
            gh_directory_device_get(directory, device.number, &arena, &after, &error) == GH_OK);
    CHECK("the secret is stored as a digest", after.credentials_count == 1 &&
                                                  is_password(&after.credentials[0], NULL) &&
                                                  after.credentials[0].expires_at_ms == 7);
    const char *id = gh_arena_text(&arena, after.credentials[0].id);

    change.credentials[0] = after.credentials[0];
    change.credentials[0].expires_at_ms = 9;
    change.credentials[1] =
        (struct gh_credential){.format = GH_CREDENTIAL_PASSWORD, .secret = gh_slice_text(other)};
    change.credentials_count = 2;
    REQUIRE("a second generation",
            gh_directory_device_update(directory, device.number, GH_DEVICE_CREDENTIALS, &change,
                                       &arena, &after, &error) == GH_OK);
    CHECK("the first stays what it was",
          after.credentials_count == 2 && is_password(&after.credentials[0], id) &&
              after.credentials[0].expires_at_ms == 9 &&
              after.credentials[0].created_at_ms == device.created_at_ms &&
              is_password(&after.credentials[1], NULL) && !same(after.credentials[1].id, id));

    const struct {
        const char *claim;
        struct gh_credential credential;
    } wrong[] = {
        {"a stored text that was never made here",
         {.format = GH_CREDENTIAL_PASSWORD,
          .pem = GH_SLICE("$hmac-sha256$v=1$00112233445566778899aabbccddeeff$00")}},
        {"neither secret nor text", {.format = GH_CREDENTIAL_PASSWORD}},
        {"a secret that is too short",
         {.format = GH_CREDENTIAL_PASSWORD, .secret = GH_SLICE("1234567")}},
    };
    for (size_t i = 0; i < GH_COUNT(wrong); i++) {
        change.credentials[0] = wrong[i].credential;
        change.credentials_count = 1;
        CHECK(wrong[i].claim,
              gh_directory_device_update(directory, device.number, GH_DEVICE_CREDENTIALS, &change,
                                         &arena, NULL, &error) == GH_ERROR_INVALID);
    }
    gh_directory_use_passwords(directory, NULL);
    gh_device_passwords_close(kept);
}

/* A registry with a certificate takes only devices with certificates that it signed. */
static void checks_signed_certificates(void)
{
    struct gh_buffer key_pem, root_pem, other_key_pem, other_pem, leaf_pem;
    struct gh_buffer *buffers[] = {&key_pem, &root_pem, &other_key_pem, &other_pem, &leaf_pem};
    for (size_t i = 0; i < GH_COUNT(buffers); i++)
        gh_buffer_init(buffers[i], GH_KEY_PEM_MAX);
    int64_t now_s = gh_time_utc_ms() / 1000;
    struct gh_validity validity = {.from_s = now_s - 3600, .to_s = now_s + 86400};
    REQUIRE("a root",
            gh_authority_create(GH_SLICE("root"), validity, &key_pem, &root_pem, &error) == GH_OK);
    REQUIRE("another", gh_authority_create(GH_SLICE("other"), validity, &other_key_pem, &other_pem,
                                           &error) == GH_OK);
    struct gh_authority *authority =
        gh_authority_open(gh_buffer_slice(&root_pem), gh_buffer_slice(&key_pem), &error);
    struct gh_slice name = GH_SLICE("device.example");
    struct gh_leaf leaf = {.public_key_pem = key_make(GH_KEY_P256),
                           .names = &name,
                           .names_count = 1,
                           .validity = validity};
    REQUIRE("a leaf",
            authority != NULL && gh_authority_issue(authority, &leaf, &leaf_pem, &error) == GH_OK);

    int64_t tenant = tenant_make("cert-tenant"), open_registry = registry_make(tenant, "open");
    struct gh_registry registry = {.tenant = tenant,
                                   .name = GH_SLICE("signed"),
                                   .certificates_count = 1,
                                   .certificates = {gh_buffer_slice(&other_pem)}};
    struct gh_registry got;
    CHECK("a registry with a certificate",
          gh_directory_registry_create(directory, &registry, &error) == GH_OK);
    struct gh_device device = {.registry = registry.number,
                               .id = GH_SLICE("abc"),
                               .credentials_count = 1,
                               .credentials = {{.format = GH_CREDENTIAL_ES256_X509_PEM,
                                                .pem = gh_buffer_slice(&leaf_pem)}}};
    CHECK("signed by another", device_code(device) == GH_ERROR_INVALID);
    struct gh_registry change = {
        .certificates_count = 2,
        .certificates = {gh_buffer_slice(&other_pem), gh_buffer_slice(&root_pem)}};
    CHECK("both roots",
          gh_directory_registry_update(directory, registry.number, GH_REGISTRY_CERTIFICATES,
                                       &change, &arena, &got, &error) == GH_OK &&
              got.certificates_count == 2 &&
              gh_slice_equal(got.certificates[1], gh_buffer_slice(&root_pem)));
    CHECK("signed by one of them",
          gh_directory_device_create(directory, &device, &arena, &error) == GH_OK);
    struct gh_device bare = {
        .registry = registry.number,
        .id = GH_SLICE("bare"),
        .credentials_count = 1,
        .credentials = {{.format = GH_CREDENTIAL_ES256_PEM, .pem = leaf.public_key_pem}}};
    CHECK("a bare key is refused there", device_code(bare) == GH_ERROR_INVALID);
    bare.registry = open_registry;
    CHECK("elsewhere the key is the other device's", device_code(bare) == GH_ERROR_EXISTS);
    bare.credentials[0].pem = key_make(GH_KEY_P256);
    CHECK("and one of its own is taken", device_code(bare) == GH_OK);
    change.certificates_count = 1;
    CHECK("the signer goes",
          gh_directory_registry_update(directory, registry.number, GH_REGISTRY_CERTIFICATES,
                                       &change, &arena, &got, &error) == GH_OK);
    device.credentials[0].expires_at_ms = 5;
    CHECK("who was there already stays",
          gh_directory_device_update(directory, device.number, GH_DEVICE_CREDENTIALS, &device,
                                     &arena, NULL, &error) == GH_OK);
    change.certificates[0] = leaf.public_key_pem;
    CHECK("a key is no certificate",
          gh_directory_registry_update(directory, registry.number, GH_REGISTRY_CERTIFICATES,
                                       &change, &arena, NULL, &error) == GH_ERROR_INVALID);
    gh_authority_close(authority);
    for (size_t i = 0; i < GH_COUNT(buffers); i++)
        gh_buffer_deinit(buffers[i]);
}

static void keeps_documents(void)
{
    static uint8_t large[GH_CONFIG_BYTES_MAX + 1];
    int64_t registry = registry_make(tenant_make("doc-tenant"), "documents");
    uint64_t device = device_make(registry, "abc");
    struct gh_config config, *configs;
    struct gh_state *states;
    struct gh_device got;
    size_t count;
    CHECK("version 1 is there",
          gh_directory_config_list(directory, device, 0, &arena, &configs, &count, &error) ==
                  GH_OK &&
              count == 1 && configs[0].version == 1 && configs[0].data.size == 0);
    for (int64_t version = 2; version <= 14; version++) {
        char text[16];
        snprintf(text, sizeof text, "c%lld", (long long)version);
        CHECK("the next version",
              gh_directory_config_set(directory, device, gh_slice_text(text),
                                      version % 2 ? 0 : version - 1, &config, &error) == GH_OK &&
                  config.version == version && told.device == device &&
                  told.what == GH_DEVICE_CHANGE_CONFIG);
    }
    unsigned before = told.device_changes;
    CHECK("an older version", gh_directory_config_set(directory, device, GH_SLICE("x"), 13, &config,
                                                      &error) == GH_ERROR_CONFLICT);
    CHECK("a negative version", gh_directory_config_set(directory, device, GH_SLICE("x"), -1,
                                                        &config, &error) == GH_ERROR_INVALID);
    CHECK("64 KiB and one",
          gh_directory_config_set(directory, device, gh_slice(large, sizeof large), 0, &config,
                                  &error) == GH_ERROR_INVALID);
    CHECK("no device", gh_directory_config_set(directory, 1, GH_SLICE("x"), 0, &config, &error) ==
                           GH_ERROR_NOT_FOUND);
    CHECK("the watch is not told of refusals", told.device_changes == before);
    CHECK("64 KiB", gh_directory_config_set(directory, device, gh_slice(large, sizeof large - 1), 0,
                                            NULL, &error) == GH_OK);
    CHECK("ten are kept, newest first",
          gh_directory_config_list(directory, device, 0, &arena, &configs, &count, &error) ==
                  GH_OK &&
              count == 10 && configs[0].version == 15 && configs[9].version == 6 &&
              same(configs[1].data, "c14"));
    CHECK("as many as asked", gh_directory_config_list(directory, device, 2, &arena, &configs,
                                                       &count, &error) == GH_OK &&
                                  count == 2);
    CHECK("acknowledged",
          gh_directory_config_acknowledged(directory, device, 15, 1000, &error) == GH_OK);
    CHECK("the first time counts",
          gh_directory_config_acknowledged(directory, device, 15, 2000, &error) == GH_OK &&
              gh_directory_device_get(directory, device, &arena, &got, &error) == GH_OK &&
              got.config.version == 15 && got.config.acknowledged_at_ms == 1000 &&
              got.last_config_ack_ms == 2000);
    CHECK("no state yet",
          gh_directory_state_list(directory, device, 0, &arena, &states, &count, &error) == GH_OK &&
              count == 0);
    for (int i = 1; i <= 12; i++) {
        char text[16];
        snprintf(text, sizeof text, "s%d", i);
        CHECK("a state", gh_directory_state_set(directory, device, gh_slice_text(text), 100 + i,
                                                &error) == GH_OK);
    }
    CHECK("ten are kept, newest first",
          gh_directory_state_list(directory, device, 0, &arena, &states, &count, &error) == GH_OK &&
              count == 10 && same(states[0].data, "s12") && same(states[9].data, "s3"));
    CHECK("the device has the newest",
          gh_directory_device_get(directory, device, &arena, &got, &error) == GH_OK &&
              got.state.present && got.state.updated_at_ms == 112 && got.last_state_ms == 112 &&
              same(got.state.data, "s12"));
    CHECK("64 KiB and one", gh_directory_state_set(directory, device, gh_slice(large, sizeof large),
                                                   1, &error) == GH_ERROR_INVALID);
    CHECK("an empty state is one",
          gh_directory_state_set(directory, device, (struct gh_slice){0}, 200, &error) == GH_OK &&
              gh_directory_device_get(directory, device, &arena, &got, &error) == GH_OK &&
              got.state.present && got.state.data.size == 0);
    CHECK("no device",
          gh_directory_state_set(directory, 1, GH_SLICE("x"), 1, &error) == GH_ERROR_NOT_FOUND &&
              gh_directory_state_list(directory, 1, 0, &arena, &states, &count, &error) ==
                  GH_ERROR_NOT_FOUND &&
              gh_directory_config_list(directory, 1, 0, &arena, &configs, &count, &error) ==
                  GH_ERROR_NOT_FOUND);
}

static void binds_gateways(void)
{
    int64_t tenant = tenant_make("gw-tenant"), registry = registry_make(tenant, "gateways");
    struct gh_device gateway = {
        .registry = registry, .id = GH_SLICE("gate"), .is_gateway = true, .gateway_auth = 2};
    REQUIRE("a gateway", gh_directory_device_create(directory, &gateway, &arena, &error) == GH_OK);
    uint64_t device = device_make(registry, "dev"),
             foreign = device_make(registry_make(tenant, "elsewhere"), "dev");
    uint64_t g = gateway.number;
    bool bound;
    CHECK("bound", gh_directory_gateway_bind(directory, g, device, &(struct gh_gateway_limits){0},
                                             &error) == GH_OK);
    CHECK("bound twice",
          gh_directory_gateway_bind(directory, g, device, &(struct gh_gateway_limits){0}, &error) ==
              GH_OK);
    CHECK("is bound",
          gh_directory_gateway_bound(directory, g, device, &bound, &error) == GH_OK && bound);
    CHECK("not the other way round",
          gh_directory_gateway_bind(directory, device, g, &(struct gh_gateway_limits){0}, &error) ==
              GH_ERROR_INVALID);
    CHECK("no gateway to itself",
          gh_directory_gateway_bind(directory, g, g, &(struct gh_gateway_limits){0}, &error) ==
              GH_ERROR_INVALID);
    CHECK("not across registries",
          gh_directory_gateway_bind(directory, g, foreign, &(struct gh_gateway_limits){0},
                                    &error) == GH_ERROR_INVALID);
    CHECK("not what is not there",
          gh_directory_gateway_bind(directory, g, 1, &(struct gh_gateway_limits){0}, &error) ==
              GH_ERROR_NOT_FOUND);
    struct gh_device_query query = {.registry = registry, .page_size = 10, .bound_to = g};
    struct gh_device *list;
    struct gh_slice next;
    size_t count;
    CHECK("listed as bound", gh_directory_device_list(directory, &query, &arena, &list, &count,
                                                      &next, &error) == GH_OK &&
                                 count == 1 && list[0].number == device);
    query = (struct gh_device_query){.registry = registry, .page_size = 10, .gateways_of = device};
    CHECK("listed as gateway of", gh_directory_device_list(directory, &query, &arena, &list, &count,
                                                           &next, &error) == GH_OK &&
                                      count == 1 && list[0].number == g && list[0].is_gateway);
    query =
        (struct gh_device_query){.registry = registry, .page_size = 10, .gateway = GH_GATEWAY_ONLY};
    CHECK("gateways only", gh_directory_device_list(directory, &query, &arena, &list, &count, &next,
                                                    &error) == GH_OK &&
                               count == 1 && list[0].number == g);
    query.gateway = GH_GATEWAY_NONE;
    CHECK("no gateways", gh_directory_device_list(directory, &query, &arena, &list, &count, &next,
                                                  &error) == GH_OK &&
                             count == 1 && list[0].number == device);
    CHECK("neither can go",
          gh_directory_device_delete(directory, g, &error) == GH_ERROR_PRECONDITION &&
              gh_directory_device_delete(directory, device, &error) == GH_ERROR_PRECONDITION);
    CHECK("unbound, twice", gh_directory_gateway_unbind(directory, g, device, &error) == GH_OK &&
                                gh_directory_gateway_unbind(directory, g, device, &error) == GH_OK);
    CHECK("both can go", gh_directory_device_delete(directory, g, &error) == GH_OK &&
                             gh_directory_device_delete(directory, device, &error) == GH_OK);
}

/* One binding of several that are made at the same time. */
struct binder {
    pthread_t thread;
    uint64_t gateway, device;
    enum gh_error_code code;
};

static void *bind_one(void *argument)
{
    struct binder *binder = argument;
    struct gh_error refused;
    binder->code =
        gh_directory_gateway_bind(directory, binder->gateway, binder->device,
                                  &(struct gh_gateway_limits){.devices_max = 3}, &refused);
    return NULL;
}

static void binds_within_limits(void)
{
    int64_t registry = registry_make(tenant_make("limit-tenant"), "gateways");
    struct gh_device gateways[2] = {
        {.registry = registry, .id = GH_SLICE("first"), .is_gateway = true, .gateway_auth = 1},
        {.registry = registry, .id = GH_SLICE("second"), .is_gateway = true, .gateway_auth = 1}};
    struct binder binders[8] = {0};
    const struct gh_gateway_limits one = {.gateways_max = 1};
    size_t bound = 0, refused = 0;
    for (size_t i = 0; i < GH_COUNT(gateways); i++)
        REQUIRE("a gateway",
                gh_directory_device_create(directory, &gateways[i], &arena, &error) == GH_OK);
    for (size_t i = 0; i < GH_COUNT(binders); i++) {
        char id[16];
        snprintf(id, sizeof id, "dev-%zu", i);
        binders[i].gateway = gateways[0].number;
        binders[i].device = device_make(registry, id);
    }
    for (size_t i = 0; i < GH_COUNT(binders); i++)
        REQUIRE("a thread", pthread_create(&binders[i].thread, NULL, bind_one, &binders[i]) == 0);
    for (size_t i = 0; i < GH_COUNT(binders); i++) {
        pthread_join(binders[i].thread, NULL);
        bound += binders[i].code == GH_OK;
        refused += binders[i].code == GH_ERROR_LIMIT;
    }
    CHECK("as many as it may, however many bind at once", bound == 3 && refused == 5);
    for (size_t i = 0; i < GH_COUNT(binders); i++) {
        bool is_bound = true;
        CHECK("what was refused is not bound",
              gh_directory_gateway_bound(directory, gateways[0].number, binders[i].device,
                                         &is_bound, &error) == GH_OK &&
                  is_bound == (binders[i].code == GH_OK));
        CHECK("the device has one gateway at most",
              gh_directory_gateway_bind(directory, gateways[1].number, binders[i].device, &one,
                                        &error) == (is_bound ? GH_ERROR_LIMIT : GH_OK));
    }
}

/* Times are exact at once, written by a flush, and there after a restart. */
static void notes_activity(void)
{
    int64_t registry = registry_make(tenant_make("act-tenant"), "activity");
    uint64_t device = device_make(registry, "abc"), gone = device_make(registry, "gone");
    struct gh_device got;
    char message[400];
    memset(message, 'm', sizeof message);
    gh_directory_note(directory, device, GH_ACTIVITY_EVENT, 500);
    gh_directory_note(directory, device, GH_ACTIVITY_EVENT, 400);
    gh_directory_note(directory, device, GH_ACTIVITY_HEARTBEAT, 600);
    gh_directory_note_error(directory, device, 9, gh_slice(message, sizeof message), 700);
    gh_directory_note(directory, gone, GH_ACTIVITY_EVENT, 500);
    CHECK("deleted before the flush", gh_directory_device_delete(directory, gone, &error) == GH_OK);
    for (int round = 0; round < 3; round++) {
        CHECK("read", gh_directory_device_get(directory, device, &arena, &got, &error) == GH_OK);
        CHECK("the latest counts",
              got.last_event_ms == 500 && got.last_heartbeat_ms == 600 && got.last_state_ms == 0);
        CHECK("the error is cut", got.last_error_ms == 700 && got.last_error_code == 9 &&
                                      got.last_error_message.size == 255);
        if (round == 0) {
            CHECK("flushed", gh_directory_flush(directory, &error) == GH_OK);
        } else if (round == 1) {
            close_all();
            open_all();
        }
    }
    gh_directory_note(directory, device, GH_ACTIVITY_EVENT, 450);
    CHECK("an older note changes nothing",
          gh_directory_flush(directory, &error) == GH_OK &&
              gh_directory_device_get(directory, device, &arena, &got, &error) == GH_OK &&
              got.last_event_ms == 500 && got.last_error_code == 9);
    gh_directory_note_error(directory, device, 5, (struct gh_slice){0}, 800);
    gh_directory_note(directory, device, GH_ACTIVITY_CONFIG_SEND, 900);
    close_all();
    open_all();
    CHECK("a close flushes",
          gh_directory_device_get(directory, device, &arena, &got, &error) == GH_OK &&
              got.last_error_code == 5 && got.last_error_message.size == 0 &&
              got.last_config_send_ms == 900);
}

static void creates_many(void)
{
    enum { MANY = 1000 };
    static struct gh_device devices[MANY];
    static char ids[MANY][16];
    int64_t registry = registry_make(tenant_make("many-tenant"), "many");
    struct gh_device_query query = {.registry = registry};
    uint64_t total;
    size_t failed;
    for (int i = 0; i < MANY; i++) {
        snprintf(ids[i], sizeof ids[i], "dev-%04d", i);
        devices[i] = (struct gh_device){.registry = registry, .id = gh_slice_text(ids[i])};
    }
    strcpy(ids[500], "dev-0007");
    CHECK("one of many exists",
          gh_directory_device_create_all(directory, devices, MANY, &arena, &failed, &error) ==
                  GH_ERROR_EXISTS &&
              failed == 500);
    CHECK("none was made",
          gh_directory_device_count(directory, &query, &total, &error) == GH_OK && total == 0);
    devices[3].id = GH_SLICE("x");
    CHECK("one of many is refused",
          gh_directory_device_create_all(directory, devices, MANY, &arena, &failed, &error) ==
                  GH_ERROR_INVALID &&
              failed == 3);
    strcpy(ids[500], "dev-0500");
    devices[3].id = gh_slice_text(ids[3]);
    CHECK("all of many", gh_directory_device_create_all(directory, devices, MANY, &arena, &failed,
                                                        &error) == GH_OK);
    CHECK("all are there",
          gh_directory_device_count(directory, &query, &total, &error) == GH_OK && total == MANY);
}

int main(void)
{
    gh_arena_init(&arena, 64 << 20);
    folder = check_folder();
    open_all();
    keeps_tenants();
    keeps_registries();
    pages_registries();
    keeps_devices();
    updates_devices();
    checks_credentials();
    keeps_passwords();
    checks_signed_certificates();
    keeps_documents();
    binds_gateways();
    binds_within_limits();
    notes_activity();
    creates_many();
    close_all();
    gh_arena_deinit(&arena);
    return check_report();
}
