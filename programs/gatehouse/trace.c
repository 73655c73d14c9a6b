/* gatehouse device trace: server-sent events, one line for each. */
#include "base/buffer.h"
#include "programs/gatehouse/cli.h"
#include "wire/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 1 << 20 };

struct reader {
    bool as_json;
    uint64_t left;         /* packets until the end; 0: no end */
    struct gh_buffer line; /* what of a line has come */
};

static bool stands_in_front(const char *name)
{
    return strcmp(name, "at") == 0 || strcmp(name, "direction") == 0 || strcmp(name, "type") == 0;
}

/* "12:30:01.250 in  PUBLISH     topic=a/b qos=1 packet_id=7 payload_size=12 …" */
static void print_packet(const json_t *packet)
{
    const char *at = json_string_value(json_object_get(packet, "at")), *name;
    const char *direction = json_string_value(json_object_get(packet, "direction"));
    const char *type = json_string_value(json_object_get(packet, "type"));
    json_t *value;
    printf("%.12s %-3s %-11s", at != NULL && strlen(at) > 11 ? at + 11 : "-",
           direction != NULL ? direction : "", type != NULL ? type : "-");
    json_object_foreach((json_t *)(uintptr_t)packet, name, value)
    {
        char *text = stands_in_front(name)   ? NULL
                     : json_is_string(value) ? strdup(json_string_value(value))
                                             : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        if (text != NULL) {
            printf(" %s=", name);
            output_text(text);
        }
        free(text);
    }
    puts("");
}

static void print_event(const struct reader *reader, struct gh_slice data)
{
    json_t *event = gh_json_read(data, NULL);
    const json_t *dropped = json_object_get(event, "dropped");
    if (reader->as_json)
        printf("%.*s\n", GH_PRINT(data));
    else if (dropped != NULL)
        printf("(%lld packets were dropped: this reader is too slow)\n",
               (long long)json_integer_value(dropped));
    else if (event != NULL)
        print_packet(event);
    fflush(stdout);
    json_decref(event);
}

/* False when it was the last packet wanted. */
static bool take_line(struct reader *reader, struct gh_slice line)
{
    static const struct gh_slice data = GH_SLICE_INIT("data: ");
    if (!gh_slice_starts(line, data))
        return true;
    print_event(reader, gh_slice_sub(line, data.size, line.size));
    return reader->left == 0 || --reader->left > 0;
}

static bool take_piece(void *context, struct gh_slice piece)
{
    struct reader *reader = context;
    while (piece.size > 0) {
        size_t end = gh_slice_find(piece, '\n');
        gh_buffer_put(&reader->line, gh_slice_sub(piece, 0, end));
        if (end == piece.size)
            return true;
        piece = gh_slice_sub(piece, end + 1, piece.size);
        bool more = take_line(reader, gh_buffer_slice(&reader->line));
        gh_buffer_clear(&reader->line);
        if (!more)
            return false;
    }
    return true;
}

int run_device_trace(struct cli *cli)
{
    struct reader reader = {.as_json = cli_option(cli, "json") != NULL};
    const char *path = cli_path(cli), *count = cli_option(cli, "count");
    if (count != NULL && (!gh_slice_to_u64(gh_slice_text(count), &reader.left) || reader.left == 0))
        return cli_usage(cli, "--count is the number of packets after which it ends");
    if (cli_option(cli, "payloads") != NULL)
        path = gh_arena_print(&cli->arena, "%s?payloads=true", path);
    gh_buffer_init(&reader.line, LINE_MAX_BYTES);
    struct client *client = client_open(cli);
    bool good = client != NULL && client_follow(client, path, take_piece, &reader);
    client_close(client);
    gh_buffer_deinit(&reader.line);
    return good ? EXIT_SUCCESS : cli_fail(cli);
}
