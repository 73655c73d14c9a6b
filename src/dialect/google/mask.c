#include "dialect/google/rest_internal.h"

enum { PATH_DEPTH_MAX = 4, PATH_PRINT_MAX = 64 };

/* The next path of a comma-separated mask, without the spaces around it. False at the end. */
static bool next_path(struct gh_slice *rest, struct gh_slice *out)
{
    if (rest->size == 0)
        return false;
    struct gh_slice path = gh_slice_split(rest, ',');
    while (path.size > 0 && path.data[0] == ' ')
        path = gh_slice_sub(path, 1, path.size);
    while (path.size > 0 && path.data[path.size - 1] == ' ')
        path.size--;
    *out = path;
    return true;
}

static enum gh_error_code unknown_path(struct google_call *call, const char *mask,
                                       struct gh_slice path)
{
    return google_fail(call, GH_ERROR_INVALID, "%s: \"%.*s\" is not a field that it may name", mask,
                       GH_PRINT(gh_slice_sub(path, 0, PATH_PRINT_MAX)));
}

enum gh_error_code google_mask_read(struct google_call *call, struct gh_slice mask,
                                    const struct google_mask_field *fields, size_t count,
                                    unsigned *bits)
{
    struct gh_slice rest = mask, path;
    *bits = 0;
    while (next_path(&rest, &path)) {
        size_t i = 0;
        while (i < count && !google_name_equal(path, fields[i].path))
            i++;
        if (i == count)
            return unknown_path(call, "updateMask", path);
        *bits |= fields[i].bits;
    }
    if (*bits == 0)
        return google_fail(call, GH_ERROR_INVALID, "updateMask: it must name a field");
    return GH_OK;
}

/* The member `name` of `object`, made when it is not there. */
static json_t *member(struct google_call *call, json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    if (value != NULL)
        return value;
    if (json_object_set_new(object, name, json_object()) != 0)
        call->write_failed = true;
    return json_object_get(object, name);
}

static enum gh_error_code copy_path(struct google_call *call, struct gh_slice path,
                                    const struct google_message *message, json_t *from, json_t *to)
{
    struct gh_slice rest = path;
    for (unsigned depth = 0; depth < PATH_DEPTH_MAX; depth++) {
        struct gh_slice name = gh_slice_split(&rest, '.');
        const struct google_field *field =
            message == NULL ? NULL : google_field_find(message, name);
        if (field == NULL || (rest.size != 0 && field->repeated))
            return unknown_path(call, "fieldMask", path);
        json_t *value = json_object_get(from, field->name); /* NULL: it has its default value */
        if (rest.size == 0) {
            if (value != NULL && json_object_set(to, field->name, value) != 0)
                call->write_failed = true;
            return GH_OK;
        }
        message = field->message;
        from = value;
        to = value == NULL ? NULL : member(call, to, field->name);
    }
    return unknown_path(call, "fieldMask", path);
}

enum gh_error_code google_mask_copy(struct google_call *call, struct gh_slice mask,
                                    const struct google_message *message, json_t *from, json_t *to)
{
    struct gh_slice rest = mask, path;
    while (next_path(&rest, &path)) {
        enum gh_error_code code = copy_path(call, path, message, from, to);
        if (code != GH_OK)
            return code;
    }
    return GH_OK;
}
