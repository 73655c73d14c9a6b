#include "programs/gatehouse/cli.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The script is made from the table of commands, so that it is never behind it. */

static void print_verbs(const char *noun)
{
    for (size_t i = 0; i < cli_commands_count; i++)
        if (strcmp(cli_commands[i].noun, noun) == 0 && cli_commands[i].verb != NULL)
            printf(" %s", cli_commands[i].verb);
}

static bool is_first_of_noun(size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(cli_commands[i].noun, cli_commands[index].noun) == 0)
            return false;
    return true;
}

/* Every option of every command, once a command's words are there. */
static void print_options(const struct cli_command *command)
{
    struct gh_slice rest = gh_slice_text(command->options);
    while (rest.size > 0) {
        struct gh_slice name = gh_slice_split(&rest, ' ');
        if (gh_slice_equal(name, gh_slice_text("…")))
            printf(" --data --server --ca --token-file --json");
        else if (name.size > 0)
            printf(" --%.*s", (int)(name.size - gh_slice_ends(name, GH_SLICE("!"))),
                   (const char *)name.data);
    }
}

int run_completion(struct cli *cli)
{
    if (strcmp(cli->arguments[0], "bash") != 0)
        return cli_usage(cli, "the only shell is bash");
    puts("# bash completion for gatehouse; source it, or put it into /etc/bash_completion.d/\n"
         "_gatehouse() {\n"
         "    local cur=${COMP_WORDS[COMP_CWORD]} words=\n"
         "    case \"$COMP_CWORD:${COMP_WORDS[1]}:${COMP_WORDS[2]}\" in");
    for (size_t i = 0; i < cli_commands_count; i++) {
        const struct cli_command *command = &cli_commands[i];
        if (command->verb != NULL)
            printf("    [3-9]:%s:%s | ??:%s:%s) words=\"", command->noun, command->verb,
                   command->noun, command->verb);
        else
            printf("    [2-9]:%s:* | ??:%s:*) words=\"", command->noun, command->noun);
        print_options(command);
        puts("\" ;;");
        if (command->verb != NULL && is_first_of_noun(i)) {
            printf("    2:%s:*) words=\"", command->noun);
            print_verbs(command->noun);
            puts("\" ;;");
        }
    }
    fputs("    1:*) words=\"", stdout);
    for (size_t i = 0; i < cli_commands_count; i++)
        if (is_first_of_noun(i))
            printf(" %s", cli_commands[i].noun);
    puts("\" ;;\n    esac\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
         "    [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$cur\"))\n"
         "}\n"
         "complete -F _gatehouse gatehouse");
    return EXIT_SUCCESS;
}
