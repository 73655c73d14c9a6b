#include "programs/gatehoused/core_paths.h"
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ALL = SANDBOX_READ | SANDBOX_WRITE | SANDBOX_CHANGE };

/* In the data folder. A rule holds for a file or folder that is there, so those that would be made
 * later are made first; SQLite takes an empty log as one that holds nothing. In the folder itself
 * files may be made and moved, but not read: what is read has a row. */
static const struct {
    const char *name;
    unsigned rights;
    enum { FOUND, FILE_MADE, FOLDER_MADE } how;
} own[] = {
    {"", SANDBOX_WRITE | SANDBOX_CHANGE, FOUND},
    {"registry.db", SANDBOX_READ | SANDBOX_WRITE, FOUND},
    {"registry.lock", SANDBOX_READ | SANDBOX_WRITE, FILE_MADE},
    {"registry.db-wal", SANDBOX_READ | SANDBOX_WRITE, FILE_MADE},
    {"registry.db-shm", SANDBOX_READ | SANDBOX_WRITE, FILE_MADE},
    {"log", ALL, FOLDER_MADE},
    {"sessions", ALL, FOLDER_MADE},
};

/* Of the system: names, addresses, time zones, the CAs of the world, and the C library's modules
 * for names, which are loaded when the first is asked for. */
static const struct sandbox_path of_system[] = {
    {"/etc", SANDBOX_READ},
    {"/usr", SANDBOX_READ},
    {"/lib", SANDBOX_READ},
    {"/lib64", SANDBOX_READ},
    {"/run/systemd/resolve", SANDBOX_READ},
    {"/run/resolvconf", SANDBOX_READ},
    {"/run/NetworkManager", SANDBOX_READ},
    {"/run/nscd", SANDBOX_READ},
    {"/sys/devices/system/cpu", SANDBOX_READ},
    {"/dev/urandom", SANDBOX_READ},
};

enum { NAMED_MAX = GH_COUNT(own) + CONFIG_LISTENERS_MAX + 8 };

struct list {
    struct sandbox_path of[NAMED_MAX + GH_COUNT(of_system)];
    char names[NAMED_MAX][PATH_MAX];
    size_t count, names_count;
};

/* A path that the configuration made; an empty one is none. */
static const char *add_named(struct list *list, unsigned rights, const char *folder,
                             const char *name)
{
    if (folder[0] == '\0' || list->names_count == NAMED_MAX)
        return folder;
    char *path = list->names[list->names_count++];
    snprintf(path, PATH_MAX, "%.*s%s%s", PATH_MAX - 32, folder, name[0] == '\0' ? "" : "/", name);
    list->of[list->count++] = (struct sandbox_path){path, rights};
    return path;
}

/* Nothing is made in a folder without a database, which is no data folder. */
static void add_own(struct list *list, const struct config *config)
{
    const char *data = config->data;
    char database[PATH_MAX];
    snprintf(database, sizeof database, "%.*s/registry.db", PATH_MAX - 32, data);
    bool is_data = access(database, F_OK) == 0;
    for (size_t i = 0; i < GH_COUNT(own); i++) {
        const char *path = add_named(list, own[i].rights, data, own[i].name);
        int file = is_data && own[i].how == FILE_MADE
                       ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)
                       : -1;
        if (file >= 0)
            close(file);
        if (is_data && own[i].how == FOLDER_MADE)
            (void)mkdir(path, 0700);
    }
    if (is_data)
        (void)mkdir(config->audit_folder, 0700);
    (void)add_named(list, ALL, config->audit_folder, "");
}

/* A Unix socket is made, and an old one removed, in its folder. */
static void add_socket(struct list *list, const char *address)
{
    if (address[0] != '/')
        return;
    char path[CONFIG_TEXT_MAX];
    snprintf(path, sizeof path, "%s", address);
    (void)add_named(list, SANDBOX_CHANGE, dirname(path), "");
}

int core_paths(const struct config *config)
{
    static struct list list;
    list.count = list.names_count = 0;
    add_own(&list, config);
    for (size_t i = 0; i < config->listen_count; i++)
        add_socket(&list, config->listen[i]);
    add_socket(&list, config->listen_plain);
    for (size_t i = 0; i < config->push_ca_count; i++)
        (void)add_named(&list, SANDBOX_READ, config->push_ca[i], "");
    (void)add_named(&list, SANDBOX_READ, config->breached_passwords, "");
    (void)add_named(&list, SANDBOX_READ, config->oidc_secret_file, "");
    (void)add_named(&list, SANDBOX_READ, config->oidc_ca_file, "");
    (void)add_named(&list, SANDBOX_READ, config->audit_webhook_ca, "");
    for (size_t i = 0; i < GH_COUNT(of_system); i++)
        list.of[list.count++] = of_system[i];
    return sandbox_paths(list.of, list.count);
}
