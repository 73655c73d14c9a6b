/* gatehouse: the operator's command line. Finds the command's row, reads its arguments and options,
 * runs it. */
#include "base/privilege.h"
#include "programs/gatehouse/cli.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_MAX = 64 * 1024 * 1024 };

static const char common[] = "data server ca token-file json!";

int cli_fail(struct cli *cli)
{
    char line[GH_ERROR_LINE_MAX];
    fprintf(stderr, "gatehouse: %s\n", gh_error_line(&cli->error, line));
    return cli->error.code == GH_ERROR_USAGE ? CLI_USAGE : CLI_FAILED;
}

static void print_usage(FILE *to, const struct cli_command *command)
{
    fprintf(to, "gatehouse %s%s%s %s", command->noun, command->verb != NULL ? " " : "",
            command->verb != NULL ? command->verb : "", command->arguments);
}

int cli_usage(struct cli *cli, const char *what)
{
    fprintf(stderr, "gatehouse: %s\nusage: ", what);
    print_usage(stderr, cli->command);
    fprintf(stderr, " [options]; see gatehouse %s --help\n", cli->command->noun);
    return CLI_USAGE;
}

static void print_options(const char *names)
{
    struct gh_slice rest = gh_slice_text(names);
    while (rest.size > 0) {
        struct gh_slice name = gh_slice_split(&rest, ' ');
        if (gh_slice_equal(name, gh_slice_text("…")))
            continue;
        bool flag = gh_slice_ends(name, GH_SLICE("!"));
        printf(" --%.*s%s", (int)(name.size - (flag ? 1 : 0)), (const char *)name.data,
               flag ? "" : " …");
    }
}

static bool is_asked_for(const struct cli_command *command, const char *noun, const char *verb)
{
    if (noun == NULL)
        return true;
    return strcmp(noun, command->noun) == 0 &&
           (verb == NULL || command->verb == NULL || strcmp(verb, command->verb) == 0);
}

/* All commands, or with their options those of one noun, or the one of a noun and a verb. */
static void print_help(const char *noun, const char *verb)
{
    static const char common_alone[] = "…";
    puts("usage: gatehouse COMMAND [ARGUMENTS] [OPTIONS]\n");
    for (size_t i = 0; i < cli_commands_count; i++) {
        const struct cli_command *command = &cli_commands[i];
        char words[128];
        if (!is_asked_for(command, noun, verb))
            continue;
        snprintf(words, sizeof words, "%s%s%s %s", command->noun, command->verb != NULL ? " " : "",
                 command->verb != NULL ? command->verb : "", command->arguments);
        printf("  %-44s %s\n", words, command->help);
        if (noun != NULL && command->options[0] != '\0' &&
            strcmp(command->options, common_alone) != 0) {
            printf("  %-44s", "");
            print_options(command->options);
            puts("");
        }
    }
    puts("\nWhere the server is: --data DIR (this host, by DIR/admin.sock; default $GATEHOUSE_DATA "
         "or\n"
         "~/.local/share/gatehouse), or --server https://HOST:PORT --ca FILE --token-file FILE.\n"
         "--json prints the answer as it is. Exit codes: 0 done, 1 refused or failed, 2 usage.");
}

int run_help(struct cli *cli)
{
    (void)cli;
    print_help(NULL, NULL);
    return EXIT_SUCCESS;
}

const char *cli_option_nth(const struct cli *cli, const char *name, size_t nth)
{
    for (size_t i = 0; i < cli->options_count; i++)
        if (strcmp(cli->options[i].name, name) == 0 && nth-- == 0)
            return cli->options[i].value;
    return NULL;
}

const char *cli_option(const struct cli *cli, const char *name)
{
    return cli_option_nth(cli, name, 0);
}

const char *cli_data(struct cli *cli)
{
    const char *given = cli_option(cli, "data"), *home = getenv("HOME");
    const char *base = getenv("XDG_DATA_HOME");
    if (given == NULL)
        given = getenv("GATEHOUSE_DATA");
    if (given != NULL && given[0] != '\0')
        return given;
    if (base != NULL && base[0] == '/')
        return gh_arena_print(&cli->arena, "%s/gatehouse", base);
    return gh_arena_print(&cli->arena, "%s/.local/share/gatehouse",
                          home != NULL ? home : "/var/lib");
}

static const struct cli_command *find_command(int argc, char **argv, int *words)
{
    for (size_t i = 0; i < cli_commands_count; i++) {
        const struct cli_command *command = &cli_commands[i];
        *words = command->verb != NULL ? 2 : 1;
        if (argc > *words && strcmp(argv[1], command->noun) == 0 &&
            (command->verb == NULL || strcmp(argv[2], command->verb) == 0))
            return command;
    }
    return NULL;
}

/* Whether `name` is among `names`; `*flag` when it takes no value. */
static bool lists(const char *names, struct gh_slice name, bool *flag)
{
    struct gh_slice rest = gh_slice_text(names);
    while (rest.size > 0) {
        struct gh_slice item = gh_slice_split(&rest, ' ');
        if (gh_slice_equal(item, gh_slice_text("…")) && lists(common, name, flag))
            return true;
        *flag = gh_slice_ends(item, GH_SLICE("!"));
        if (gh_slice_equal(gh_slice_sub(item, 0, item.size - (*flag ? 1 : 0)), name))
            return true;
    }
    return false;
}

static int read_arguments(struct cli *cli, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        bool flag = false;
        if (strncmp(argv[i], "--", 2) != 0) {
            if (cli->arguments_count == CLI_ARGUMENTS_MAX)
                return cli_usage(cli, "too many arguments");
            cli->arguments[cli->arguments_count++] = argv[i];
            continue;
        }
        struct gh_slice rest = gh_slice_text(argv[i] + 2);
        bool joined = gh_slice_find(rest, '=') < rest.size;
        struct gh_slice name = gh_slice_split(&rest, '=');
        if (!lists(cli->command->options, name, &flag))
            return cli_usage(cli,
                             gh_arena_print(&cli->arena, "option %s is not known here", argv[i]));
        if (cli->options_count == CLI_OPTIONS_MAX || (!flag && !joined && i + 1 == argc))
            return cli_usage(cli,
                             gh_arena_print(&cli->arena, "option %s lacks its value", argv[i]));
        cli->options[cli->options_count++] = (struct cli_option){
            gh_arena_text(&cli->arena, name), flag     ? ""
                                              : joined ? gh_arena_text(&cli->arena, rest)
                                                       : argv[++i]};
    }
    bool any = cli->command->arguments_count == CLI_ANY_ARGUMENTS;
    bool needs_one = cli->command->arguments[0] != '['; /* "[TENANT]" may be left out */
    if (any ? cli->arguments_count == 0 && needs_one
            : cli->arguments_count != cli->command->arguments_count)
        return cli_usage(cli, "an argument is missing or too many");
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct cli cli = {0};
    int words = 0;
    bool help = argc < 2;
    gh_privileges_shut(); /* capabilities stay: root opens the data folder of the service's user */
    for (int i = 1; i < argc; i++) {
        help = help || strcmp(argv[i], "--help") == 0;
        if (strcmp(argv[i], "--version") == 0) {
            puts("gatehouse " GH_VERSION);
            return EXIT_SUCCESS;
        }
    }
    if (help) {
        const char *noun = argc > 1 && argv[1][0] != '-' ? argv[1] : NULL;
        print_help(noun, noun != NULL && argc > 2 && argv[2][0] != '-' ? argv[2] : NULL);
        return argc < 2 ? CLI_USAGE : EXIT_SUCCESS;
    }
    gh_arena_init(&cli.arena, ARENA_MAX);
    cli.command = find_command(argc, argv, &words);
    if (cli.command == NULL) {
        fprintf(stderr, "gatehouse: there is no command \"%s%s%s\"; see gatehouse --help\n",
                argv[1], argc > 2 ? " " : "", argc > 2 ? argv[2] : "");
        return CLI_USAGE;
    }
    int code = read_arguments(&cli, argc - 1 - words, argv + 1 + words);
    if (code == EXIT_SUCCESS)
        code = cli.command->run(&cli);
    gh_arena_deinit(&cli.arena);
    return code;
}
