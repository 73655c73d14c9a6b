/* The directory as sign-ins ask it: the same rows, without the times of activity, and remembered
 * (registry/recent.h). */
#include "base/buffer.h"
#include "registry/directory_internal.h"

enum { KEY_BYTES_MAX = 512 };

/* --- how what is remembered is copied --- */

/* The texts of a value, by where they stand in it, copied from `from` to `to`, which is already the
 * same but for them. */
static bool copy_texts(struct gh_arena *arena, const void *from, void *to, const uint16_t *places,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct gh_slice *text = (const void *)((const char *)from + places[i]);
        struct gh_slice *copy = (void *)((char *)to + places[i]);
        if (!gh_arena_copy(arena, *text, copy))
            return false;
    }
    return true;
}

#define PLACE(type, member) offsetof(struct type, member)

static bool tenant_copy(struct gh_arena *arena, const void *from, void *to)
{
    static const uint16_t texts[] = {PLACE(gh_tenant, name),      PLACE(gh_tenant, google_project),
                                     PLACE(gh_tenant, azure_hub), PLACE(gh_tenant, aws_account),
                                     PLACE(gh_tenant, policy),    PLACE(gh_tenant, policy_etag)};
    *(struct gh_tenant *)to = *(const struct gh_tenant *)from;
    return copy_texts(arena, from, to, texts, GH_COUNT(texts));
}

static bool routes_copy(struct gh_arena *arena, const struct gh_registry *from,
                        struct gh_registry *to)
{
    static const uint16_t texts[] = {PLACE(gh_route, channel), PLACE(gh_route, topic)};
    bool copied = true;
    to->routes = gh_arena_array(arena, from->routes_count + 1, sizeof *to->routes);
    for (size_t i = 0; to->routes != NULL && copied && i < from->routes_count; i++)
        copied = copy_texts(arena, &from->routes[i], &to->routes[i], texts, GH_COUNT(texts));
    return copied && to->routes != NULL;
}

static bool registry_copy(struct gh_arena *arena, const void *from, void *to)
{
    static const uint16_t texts[] = {
        PLACE(gh_registry, tenant_name), PLACE(gh_registry, google_project),
        PLACE(gh_registry, name),        PLACE(gh_registry, location),
        PLACE(gh_registry, state_topic), PLACE(gh_registry, activity_topic),
        PLACE(gh_registry, policy),      PLACE(gh_registry, policy_etag)};
    const struct gh_registry *registry = from;
    struct gh_registry *copy = to;
    *copy = *registry;
    bool copied = copy_texts(arena, from, to, texts, GH_COUNT(texts));
    for (size_t i = 0; copied && i < registry->certificates_count; i++)
        copied = gh_arena_copy(arena, registry->certificates[i], &copy->certificates[i]);
    return copied && routes_copy(arena, registry, copy);
}

static bool attributes_copy(struct gh_arena *arena, const struct gh_device *from,
                            struct gh_device *to)
{
    static const uint16_t texts[] = {PLACE(gh_attribute, key), PLACE(gh_attribute, value)};
    bool copied = true;
    to->attributes = gh_arena_array(arena, from->attributes_count + 1, sizeof *to->attributes);
    for (size_t i = 0; to->attributes != NULL && copied && i < from->attributes_count; i++)
        copied =
            copy_texts(arena, &from->attributes[i], &to->attributes[i], texts, GH_COUNT(texts));
    return copied && to->attributes != NULL;
}

/* As the store fills it: all other texts are empty. */
static bool device_copy(struct gh_arena *arena, const void *from, void *to)
{
    static const uint16_t texts[] = {PLACE(gh_device, id)};
    static const uint16_t of_credential[] = {PLACE(gh_credential, id), PLACE(gh_credential, pem),
                                             PLACE(gh_credential, fingerprint),
                                             PLACE(gh_credential, mark)};
    const struct gh_device *device = from;
    struct gh_device *copy = to;
    *copy = *device;
    bool copied = copy_texts(arena, from, to, texts, GH_COUNT(texts));
    for (size_t i = 0; copied && i < device->credentials_count; i++)
        copied = copy_texts(arena, &device->credentials[i], &copy->credentials[i], of_credential,
                            GH_COUNT(of_credential));
    return copied && attributes_copy(arena, device, copy);
}

/* The policies of all devices of a registry. */
struct shared_policies {
    bool personal; /* devices of the tenant may have others: these are not read then */
    struct gh_policy_row *rows;
    size_t count;
};

static bool policies_copy(struct gh_arena *arena, const void *from, void *to)
{
    static const uint16_t texts[] = {PLACE(gh_policy_row, name), PLACE(gh_policy_row, document),
                                     PLACE(gh_policy_row, etag)};
    const struct shared_policies *policies = from;
    struct shared_policies *copy = to;
    bool copied = true;
    *copy = *policies;
    copy->rows = gh_arena_array(arena, policies->count + 1, sizeof *copy->rows);
    for (size_t i = 0; copy->rows != NULL && copied && i < policies->count; i++) {
        copy->rows[i] = policies->rows[i];
        copied = copy_texts(arena, &policies->rows[i], &copy->rows[i], texts, GH_COUNT(texts));
    }
    return copied && copy->rows != NULL;
}

static const struct gh_recent_kind tenants = {sizeof(struct gh_tenant), tenant_copy},
                                   registries = {sizeof(struct gh_registry), registry_copy},
                                   devices = {sizeof(struct gh_device), device_copy},
                                   policies = {sizeof(struct shared_policies), policies_copy};

/* --- asking --- */

/* One question: its key, and where the answer goes. */
struct question {
    struct gh_directory *directory;
    const struct gh_recent_kind *kind;
    struct gh_buffer key;
    uint8_t block[KEY_BYTES_MAX];
    uint64_t generation;
};

/* A key begins with the kind's letter and, where there is one, the number inside which the names
 * are read; texts go with their sizes. Names of devices are far shorter than the block, and one
 * that does not fit is not remembered. */
static void question_begin(struct question *question, struct gh_directory *directory,
                           const struct gh_recent_kind *kind, char letter, int64_t number)
{
    question->directory = directory;
    question->kind = kind;
    question->key = gh_buffer_fixed(question->block, sizeof question->block);
    gh_buffer_u8(&question->key, (uint8_t)letter);
    gh_buffer_u64(&question->key, (uint64_t)number);
}

/* GH_OK: it was remembered. NOT_FOUND: the store is to be asked; UNAVAILABLE instead when the
 * question is not to wait. */
static enum gh_error_code question_recall(struct question *question, bool at_once,
                                          struct gh_arena *arena, void *out, struct gh_error *error)
{
    enum gh_recent_answer answer =
        question->key.overflow
            ? GH_RECENT_UNKNOWN
            : gh_recent_find(question->directory->recent, question->kind,
                             gh_buffer_slice(&question->key), arena, out, &question->generation);
    if (answer == GH_RECENT_MEMORY)
        return gh_error_set(error, GH_ERROR_MEMORY, "the answer does not fit its memory limit");
    if (answer == GH_RECENT_UNKNOWN && at_once)
        return gh_error_set(error, GH_ERROR_UNAVAILABLE, "it is not remembered");
    return answer == GH_RECENT_FOUND ? GH_OK : GH_ERROR_NOT_FOUND;
}

static enum gh_error_code question_keep(struct question *question, enum gh_error_code code,
                                        const void *value)
{
    if (code == GH_OK && !question->key.overflow)
        gh_recent_keep(question->directory->recent, question->kind, gh_buffer_slice(&question->key),
                       value, question->generation);
    return code;
}

enum gh_error_code gh_directory_sign_in_tenant(struct gh_directory *directory, bool by_project,
                                               struct gh_slice name, bool at_once,
                                               struct gh_arena *arena, struct gh_tenant *out,
                                               struct gh_error *error)
{
    struct question question;
    question_begin(&question, directory, &tenants, by_project ? 'g' : 't', 0);
    gh_buffer_put(&question.key, name);
    enum gh_error_code code = question_recall(&question, at_once, arena, out, error);
    if (code != GH_ERROR_NOT_FOUND)
        return code;
    code = by_project ? gh_directory_tenant_find_google(directory, name, arena, out, error)
                      : gh_directory_tenant_find(directory, name, arena, out, error);
    return question_keep(&question, code, out);
}

enum gh_error_code gh_directory_sign_in_registry(struct gh_directory *directory, int64_t tenant,
                                                 struct gh_slice name, struct gh_slice location,
                                                 bool at_once, struct gh_arena *arena,
                                                 struct gh_registry *out, struct gh_error *error)
{
    struct question question;
    question_begin(&question, directory, &registries, 'r', tenant);
    gh_buffer_put16(&question.key, name);
    gh_buffer_put(&question.key, location);
    enum gh_error_code code = question_recall(&question, at_once, arena, out, error);
    if (code != GH_ERROR_NOT_FOUND)
        return code;
    code = gh_directory_registry_find(directory, tenant, name, location, arena, out, error);
    return question_keep(&question, code, out);
}

/* What is the tenant's and the registry's is never kept with the device: it was read at another
 * moment, and would be true for longer than it is. */
static void surround(struct gh_device *device, const struct gh_tenant *tenant,
                     const struct gh_registry *registry)
{
    device->tenant_name = tenant->name;
    device->google_project = tenant->google_project;
    device->tenant_disabled = tenant->disabled;
    device->registry_name = registry->name;
    device->location = registry->location;
}

enum gh_error_code gh_directory_sign_in_device(struct gh_directory *directory,
                                               const struct gh_tenant *tenant,
                                               const struct gh_registry *registry,
                                               struct gh_slice id_or_number, bool at_once,
                                               struct gh_arena *arena, struct gh_device *out,
                                               struct gh_error *error)
{
    struct question question;
    uint64_t number;
    question_begin(&question, directory, &devices, 'd', registry->number);
    gh_buffer_put(&question.key, id_or_number);
    if (at_once) {
        enum gh_error_code recalled = question_recall(&question, true, arena, out, error);
        surround(out, tenant, registry);
        return recalled;
    }
    if (!gh_slice_to_u64(id_or_number, &number) || number > INT64_MAX)
        number = 0; /* an id begins with a letter, so digits that are no number find nothing */
    question.generation = gh_store_generation(directory->store);
    enum gh_error_code code = gh_store_device_sign_in(directory->store, registry->number,
                                                      id_or_number, number, arena, out, error);
    code = question_keep(&question, code, out);
    surround(out, tenant, registry);
    return code;
}

static enum gh_error_code shared_read(struct gh_directory *directory,
                                      const struct gh_policy_target *target, struct gh_arena *arena,
                                      struct shared_policies *out, struct gh_error *error)
{
    const struct gh_policy_target all = {.tenant = target->tenant, .registry = target->registry};
    *out = (struct shared_policies){0};
    enum gh_error_code code =
        gh_store_policy_personal(directory->store, target->tenant, &out->personal, error);
    return code != GH_OK || out->personal
               ? code
               : gh_store_policy_effective(directory->store, &all, arena, &out->rows, &out->count,
                                           error);
}

enum gh_error_code gh_directory_sign_in_policies(struct gh_directory *directory,
                                                 const struct gh_policy_target *target,
                                                 bool at_once, struct gh_arena *arena,
                                                 struct gh_policy_row **out, size_t *count,
                                                 struct gh_error *error)
{
    struct question question;
    struct shared_policies shared;
    question_begin(&question, directory, &policies, 'p', target->tenant);
    gh_buffer_u64(&question.key, (uint64_t)target->registry);
    enum gh_error_code code = question_recall(&question, at_once, arena, &shared, error);
    if (code == GH_ERROR_NOT_FOUND)
        code = question_keep(&question, shared_read(directory, target, arena, &shared, error),
                             &shared);
    if (code != GH_OK)
        return code;
    *out = shared.rows;
    *count = shared.count;
    if (!shared.personal)
        return GH_OK;
    return at_once ? gh_error_set(error, GH_ERROR_UNAVAILABLE, "it is not remembered")
                   : gh_store_policy_effective(directory->store, target, arena, out, count, error);
}
