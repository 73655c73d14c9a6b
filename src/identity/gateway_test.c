#include "base/log.h"
#include "base/time.h"
#include "identity/gateway.h"
#include "tests/check.h"

/* The rules of the methods over a directory in a temporary folder. Tokens that verify are for
 * device_test.c; here a token is there or not. */

static struct gh_store *store;
static struct gh_directory *directory;
static struct gh_arena arena;
static int64_t registry;

static uint64_t make(const char *id, bool is_gateway, int auth, bool blocked)
{
    struct gh_error error;
    struct gh_device device = {.registry = registry,
                               .id = gh_slice_text(id),
                               .is_gateway = is_gateway,
                               .gateway_auth = auth,
                               .blocked = blocked};
    REQUIRE(id, gh_directory_device_create(directory, &device, &arena, &error) == GH_OK);
    return device.number;
}

static enum gh_identity_reason attach(uint64_t gateway, const char *device, const char *token)
{
    struct gh_identity_verdict verdict;
    struct gh_identity_claim claim = {.by = GH_IDENTITY_BY_TENANT_NAME,
                                      .over = GH_IDENTITY_OVER_MQTT,
                                      .tenant = GH_SLICE("acme"),
                                      .registry = GH_SLICE("rrr"),
                                      .device = gh_slice_text(device),
                                      .token = gh_slice_text(token),
                                      .policy = gh_jwt_google};
    return gh_identity_attach(directory, gateway, &claim, gh_time_utc_ms(), &arena, &verdict);
}

static void decides(void)
{
    enum { NOBODY, BY_BINDING, BY_TOKEN, BY_BOTH, PLAIN, GATEWAYS };
    static const struct {
        const char *claim;
        int gateway;
        const char *device, *token;
        enum gh_identity_reason reason;
    } rows[] = {
        {"bound", BY_BINDING, "bound", "", GH_IDENTITY_ACCEPTED},
        {"a token is not looked at", BY_BINDING, "bound", "nonsense", GH_IDENTITY_ACCEPTED},
        {"not bound", BY_BINDING, "loose", "", GH_IDENTITY_NOT_BOUND},
        {"blocked", BY_BINDING, "blocked", "", GH_IDENTITY_BLOCKED},
        {"not there", BY_BINDING, "nobody", "", GH_IDENTITY_UNKNOWN_DEVICE},
        {"itself a gateway", BY_BINDING, "gate-1", "", GH_IDENTITY_GATEWAY},
        {"no token", BY_TOKEN, "bound", "", GH_IDENTITY_TOKEN_MALFORMED},
        {"a wrong token", BY_TOKEN, "bound", "nonsense", GH_IDENTITY_TOKEN_MALFORMED},
        {"both, without a token", BY_BOTH, "bound", "", GH_IDENTITY_TOKEN_MALFORMED},
        {"no method", NOBODY, "bound", "", GH_IDENTITY_GATEWAY},
        {"no gateway", PLAIN, "bound", "", GH_IDENTITY_GATEWAY},
    };
    static const char *const ids[] = {"gate-0", "gate-1", "gate-2", "gate-3", "plain"};
    uint64_t gateways[GATEWAYS];
    struct gh_error error;
    bool holds = true;
    for (int i = 0; i < GATEWAYS; i++)
        gateways[i] = make(ids[i], i != PLAIN, i == PLAIN ? 0 : i, false);
    uint64_t bound = make("bound", false, 0, false), blocked = make("blocked", false, 0, true);
    make("loose", false, 0, false);
    for (int i = 0; i < PLAIN; i++)
        REQUIRE("bound",
                gh_directory_gateway_bind(directory, gateways[i], bound,
                                          &(struct gh_gateway_limits){0}, &error) == GH_OK &&
                    gh_directory_gateway_bind(directory, gateways[i], blocked,
                                              &(struct gh_gateway_limits){0}, &error) == GH_OK);
    for (size_t i = 0; i < GH_COUNT(rows); i++)
        CHECK(rows[i].claim,
              attach(gateways[rows[i].gateway], rows[i].device, rows[i].token) == rows[i].reason);
    CHECK("it stays while it is bound",
          gh_identity_still_attached(directory, gateways[BY_BINDING], bound, &arena, &holds,
                                     &error) == GH_OK &&
              holds);
    REQUIRE("unbound",
            gh_directory_gateway_unbind(directory, gateways[BY_BINDING], bound, &error) == GH_OK &&
                gh_directory_gateway_unbind(directory, gateways[BY_TOKEN], bound, &error) == GH_OK);
    CHECK("and not then", gh_identity_still_attached(directory, gateways[BY_BINDING], bound, &arena,
                                                     &holds, &error) == GH_OK &&
                              !holds);
    CHECK("where it need not be bound it stays",
          gh_identity_still_attached(directory, gateways[BY_TOKEN], bound, &arena, &holds,
                                     &error) == GH_OK &&
              holds);
}

static void remembers_the_gateway(void)
{
    struct gh_error error;
    struct gh_device got;
    uint64_t gateway = make("last-gate", true, 1, false), device = make("last", false, 0, false);
    CHECK("never attached",
          gh_directory_device_get(directory, device, &arena, &got, &error) == GH_OK &&
              got.last_gateway_ms == 0 && got.last_gateway.size == 0);
    CHECK("attached",
          gh_directory_gateway_used(directory, device, gateway, 1000, &error) == GH_OK &&
              gh_directory_gateway_used(directory, device, gateway, 2000, &error) == GH_OK &&
              gh_directory_device_get(directory, device, &arena, &got, &error) == GH_OK);
    CHECK("by the gateway, at the later time",
          got.last_gateway_ms == 2000 && gh_slice_equal(got.last_gateway, GH_SLICE("last-gate")));
}

int main(void)
{
    struct gh_error error;
    struct gh_tenant acme = {.name = GH_SLICE("acme")};
    struct gh_registry made = {.name = GH_SLICE("rrr"), .mqtt_enabled = true};
    gh_log_set_level(GH_LOG_ERROR);
    gh_arena_init(&arena, 16 << 20);
    store = gh_store_open(check_folder(), GH_STORE_CREATE, &error);
    REQUIRE("a store", store != NULL);
    directory = gh_directory_open(store, NULL, NULL, &error);
    REQUIRE("a directory", directory != NULL);
    REQUIRE("a tenant", gh_directory_tenant_create(directory, &acme, &error) == GH_OK);
    made.tenant = acme.number;
    REQUIRE("a registry", gh_directory_registry_create(directory, &made, &error) == GH_OK);
    registry = made.number;
    decides();
    remembers_the_gateway();
    gh_directory_close(directory);
    gh_store_close(store);
    gh_arena_deinit(&arena);
    return check_report();
}
