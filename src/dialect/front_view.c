#include "dialect/front_internal.h"
#include <stdlib.h>

/* Views are shared by the links of one loop and touched by it alone, so that an event finds its
 * topic without a lock. A registry that changes is read once for all of them. */

enum { VIEW_ARENA_MAX = 256 * 1024 };

struct view_block {
    struct view view;
    struct gh_arena arena;
};

static struct view_block *block_of(struct view *view)
{
    return (struct view_block *)view;
}

static struct gh_slice key_of(const int64_t *registry)
{
    return gh_slice(registry, sizeof *registry);
}

static bool copy_texts(struct view_block *block, const struct gh_registry *registry,
                       const struct gh_dialect *dialect)
{
    struct view *view = &block->view;
    struct gh_arena *arena = &block->arena;
    view->routes_count = registry->routes_count;
    view->routes = gh_arena_array(arena, registry->routes_count + 1, sizeof *view->routes);
    if (view->routes == NULL || !gh_arena_copy(arena, registry->tenant_name, &view->tenant_name) ||
        !gh_arena_copy(arena, dialect->tenant_name(registry), &view->dialect_tenant) ||
        !gh_arena_copy(arena, registry->name, &view->name) ||
        !gh_arena_copy(arena, registry->location, &view->location) ||
        !gh_arena_copy(arena, registry->state_topic, &view->state_topic) ||
        !gh_arena_copy(arena, registry->activity_topic, &view->activity_topic))
        return false;
    for (size_t i = 0; i < registry->routes_count; i++)
        if (!gh_arena_copy(arena, registry->routes[i].channel, &view->routes[i].channel) ||
            !gh_arena_copy(arena, registry->routes[i].topic, &view->routes[i].topic))
            return false;
    return true;
}

static bool fill(struct view_block *block, const struct gh_registry *registry,
                 const struct gh_dialect *dialect)
{
    gh_arena_reset(&block->arena);
    block->view.log_level = registry->log_level;
    return copy_texts(block, registry, dialect);
}

struct view *view_acquire(struct front_port *port, const struct gh_registry *registry,
                          const struct gh_dialect *dialect)
{
    struct view *view = gh_map_get(&port->views, key_of(&registry->number));
    if (view != NULL) {
        view->refs++;
        return view;
    }
    struct view_block *block = calloc(1, sizeof *block);
    if (block == NULL)
        return NULL;
    struct gh_quotas *quotas = port->front->services.quotas;
    gh_arena_init(&block->arena, VIEW_ARENA_MAX);
    block->view.registry = registry->number; /* for ever: what the sessions show */
    block->view.tenant = registry->tenant;
    block->view.refs = 1;
    block->view.quota = quotas != NULL ? gh_quotas_of(quotas, registry->tenant) : NULL;
    if ((quotas != NULL && block->view.quota == NULL) || !fill(block, registry, dialect) ||
        !gh_map_put(&port->views, key_of(&registry->number), &block->view, NULL)) {
        gh_arena_deinit(&block->arena);
        free(block);
        return NULL;
    }
    return &block->view;
}

void view_release(struct front_port *port, struct view *view)
{
    if (view == NULL || --view->refs > 0)
        return;
    gh_map_remove(&port->views, key_of(&view->registry));
    gh_arena_deinit(&block_of(view)->arena);
    free(view);
}

static void read_registry(struct task *task)
{
    task->code = gh_directory_registry_get(task->front->services.directory, (int64_t)task->device,
                                           &task->arena, &task->registry, &task->error);
}

static void registry_read(struct task *task)
{
    struct link *asker = task->link;
    struct view *view = asker->view;
    view->reloading = false;
    if (task->code != GH_OK || !fill(block_of(view), &task->registry, link_dialect(asker))) {
        link_end(asker, GH_SESSION_END_OVERLOAD, "the registry cannot be read");
        return;
    }
    if (!task->registry.mqtt_enabled)
        gh_sessions_order_registry(task->front->services.sessions, view->registry,
                                   GH_ORDER_NO_MQTT);
}

void view_reload(struct link *link)
{
    if (link->view->reloading)
        return;
    struct task *task = task_open(link, VIEW_ARENA_MAX * 4, read_registry, registry_read);
    if (task != NULL)
        task->device = (uint64_t)link->view->registry;
    link->view->reloading = task != NULL && task_start(task);
    if (!link->view->reloading)
        link_end(link, GH_SESSION_END_OVERLOAD, "the registry cannot be read now");
}
