#include "programs/gatehouse/passphrase.h"
#include "base/secret.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

/* --- typed */

/* The terminal with what is typed not shown, and the signals of its keys held back meanwhile. */
struct quiet {
    int terminal, signals;
    struct termios shown;
    sigset_t before;
};

static bool quiet_begin(struct quiet *quiet)
{
    sigset_t held;
    sigemptyset(&held);
    sigaddset(&held, SIGINT);
    sigaddset(&held, SIGQUIT);
    sigaddset(&held, SIGTSTP);
    sigaddset(&held, SIGTERM);
    sigaddset(&held, SIGHUP);
    quiet->terminal = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (quiet->terminal < 0)
        return false;
    quiet->signals = signalfd(-1, &held, SFD_CLOEXEC);
    if (quiet->signals >= 0 && tcgetattr(quiet->terminal, &quiet->shown) == 0) {
        struct termios hidden = quiet->shown;
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        sigprocmask(SIG_BLOCK, &held, &quiet->before);
        tcsetattr(quiet->terminal, TCSAFLUSH, &hidden);
        return true;
    }
    if (quiet->signals >= 0)
        close(quiet->signals);
    close(quiet->terminal);
    return false;
}

/* A signal that was held back comes now. */
static void quiet_end(struct quiet *quiet)
{
    (void)!write(quiet->terminal, "\n", 1);
    tcsetattr(quiet->terminal, TCSAFLUSH, &quiet->shown);
    close(quiet->terminal);
    close(quiet->signals);
    sigprocmask(SIG_SETMASK, &quiet->before, NULL);
}

enum typed { TYPED, TYPED_NOTHING, TYPED_TOO_MUCH, TYPED_SIGNAL };

/* Without its end. False when the text was cut at the room that there is, and is not to be used:
 * who knows only its beginning would have it. */
static bool cut_line(char line[GH_KEY_PASSPHRASE_BYTES_MAX])
{
    size_t size = strcspn(line, "\n");
    bool whole = line[size] == '\n' || size + 1 < GH_KEY_PASSPHRASE_BYTES_MAX;
    line[size] = '\0';
    return whole;
}

static bool too_long(struct cli *cli)
{
    gh_error_set(&cli->error, GH_ERROR_INVALID, "a passphrase has less than %d bytes",
                 GH_KEY_PASSPHRASE_BYTES_MAX - 1);
    return false;
}

/* A line, which a terminal gives as a whole. */
static enum typed read_line(const struct quiet *quiet, char out[GH_KEY_PASSPHRASE_BYTES_MAX])
{
    struct pollfd ready[] = {{.fd = quiet->signals, .events = POLLIN},
                             {.fd = quiet->terminal, .events = POLLIN}};
    if (poll(ready, GH_COUNT(ready), -1) < 0)
        return errno == EINTR ? TYPED_SIGNAL : TYPED_NOTHING;
    if (ready[0].revents != 0)
        return TYPED_SIGNAL;
    ssize_t size = read(quiet->terminal, out, GH_KEY_PASSPHRASE_BYTES_MAX - 1);
    out[size > 0 ? size : 0] = '\0';
    if (size <= 0)
        return TYPED_NOTHING;
    return cut_line(out) ? TYPED : TYPED_TOO_MUCH;
}

/* Asks again after a signal that did not end the program, as when it was stopped and goes on. */
static bool ask_hidden(struct cli *cli, const char *prompt, char out[GH_KEY_PASSPHRASE_BYTES_MAX])
{
    enum typed typed;
    do {
        struct quiet quiet;
        if (!quiet_begin(&quiet)) {
            gh_error_set(
                &cli->error, GH_ERROR_FILE,
                "there is no terminal to ask for the passphrase; give --passphrase-file FILE");
            return false;
        }
        (void)!write(quiet.terminal, prompt, strlen(prompt));
        typed = read_line(&quiet, out);
        quiet_end(&quiet);
    } while (typed == TYPED_SIGNAL);
    if (typed == TYPED_NOTHING)
        gh_error_set(&cli->error, GH_ERROR_INVALID, "no passphrase was given");
    return typed == TYPED_TOO_MUCH ? too_long(cli) : typed == TYPED;
}

/* --- in a file */

/* The first line of a file that nobody else can read. */
static bool read_file(struct cli *cli, const char *path, char out[GH_KEY_PASSPHRASE_BYTES_MAX])
{
    struct stat info;
    FILE *file = fopen(path, "re");
    bool own = file != NULL && fstat(fileno(file), &info) == 0 && (info.st_mode & 077) == 0;
    bool got = own && fgets(out, GH_KEY_PASSPHRASE_BYTES_MAX, file) != NULL;
    if (!got)
        gh_error_set(&cli->error, GH_ERROR_FILE, "cannot read %s: %s", path,
                     file == NULL ? strerror(errno)
                     : own        ? "it is empty"
                                  : "others can read it; set 0400");
    if (file != NULL)
        fclose(file);
    return got && (cut_line(out) || too_long(cli));
}

static bool repeated(struct cli *cli, const char *passphrase)
{
    char again[GH_KEY_PASSPHRASE_BYTES_MAX];
    bool got = ask_hidden(cli, "Once more: ", again);
    bool same = got && strcmp(passphrase, again) == 0;
    if (got && !same)
        gh_error_set(&cli->error, GH_ERROR_INVALID, "the two are not the same");
    gh_secret_wipe(again, sizeof again);
    return same;
}

bool passphrase_get(struct cli *cli, bool is_new, char out[GH_KEY_PASSPHRASE_BYTES_MAX])
{
    const char *path = cli_option(cli, "passphrase-file");
    bool got = path != NULL ? read_file(cli, path, out)
                            : ask_hidden(cli, "Passphrase of the root's key: ", out);
    if (!got || !is_new)
        return got;
    if (strlen(out) < GH_KEY_PASSPHRASE_BYTES_MIN) {
        gh_error_set(&cli->error, GH_ERROR_INVALID, "a passphrase has at least %d bytes",
                     GH_KEY_PASSPHRASE_BYTES_MIN);
        return false;
    }
    return path != NULL || repeated(cli, out);
}
