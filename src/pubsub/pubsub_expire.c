/* What goes by itself: subscriptions that nobody uses, snapshots whose time is over. */
#include "base/log.h"
#include "pubsub/pubsub_internal.h"
#include <string.h>

struct doomed {
    int64_t tenant;
    uint8_t name[GH_PUBSUB_NAME_MAX];
    size_t name_size;
};

static void doom(struct doomed *out, int64_t tenant, struct gh_slice name)
{
    out->tenant = tenant;
    out->name_size = name.size;
    memcpy(out->name, name.data, name.size);
}

/* The first whose time has come. Under `lock`. */
static bool find_subscription(const struct gh_pubsub *ps, int64_t now_ms, struct doomed *out)
{
    struct gh_slice key;
    void *value;
    for (size_t at = 0; gh_map_next(&ps->subscriptions, &at, &key, &value);) {
        const struct gh_pubsub_subscription *each = value;
        if (each->what.expires_after_ms == 0 || each->pulls != NULL ||
            now_ms - each->active_at_ms < each->what.expires_after_ms)
            continue;
        doom(out, each->what.tenant, each->what.name);
        return true;
    }
    return false;
}

static bool find_snapshot(const struct gh_pubsub *ps, int64_t now_ms, struct doomed *out)
{
    struct gh_slice key;
    void *value;
    for (size_t at = 0; gh_map_next(&ps->snapshots, &at, &key, &value);) {
        const struct gh_snapshot *each = &((const struct gh_pubsub_snapshot *)value)->what;
        if (each->expires_at_ms > now_ms)
            continue;
        doom(out, each->tenant, each->name);
        return true;
    }
    return false;
}

void gh_pubsub_expire(struct gh_pubsub *ps)
{
    static const struct {
        const char *what;
        bool (*find)(const struct gh_pubsub *ps, int64_t now_ms, struct doomed *out);
        enum gh_error_code (*remove)(struct gh_pubsub *ps, int64_t tenant, struct gh_slice name,
                                     struct gh_error *error);
    } kinds[] = {{"subscription", find_subscription, gh_pubsub_subscription_delete},
                 {"snapshot", find_snapshot, gh_pubsub_snapshot_delete}};
    struct gh_error error;
    struct doomed doomed;
    for (size_t i = 0; i < GH_COUNT(kinds); i++) {
        bool found = true;
        while (found) {
            pthread_mutex_lock(&ps->lock);
            found = kinds[i].find(ps, gh_pubsub_now_ms(ps), &doomed);
            pthread_mutex_unlock(&ps->lock);
            struct gh_slice name = gh_slice(doomed.name, found ? doomed.name_size : 0);
            enum gh_error_code code =
                found ? kinds[i].remove(ps, doomed.tenant, name, &error) : GH_OK;
            if (found)
                gh_log(code == GH_OK ? GH_LOG_INFO : GH_LOG_WARN, "pubsub",
                       "%s %.*s of tenant %lld has expired%s%s", kinds[i].what, GH_PRINT(name),
                       (long long)doomed.tenant,
                       code == GH_OK ? "" : " and stays: ", code == GH_OK ? "" : error.text);
            found = found && code == GH_OK; /* else with the next look */
        }
    }
}
