#include "apps/climate/swarm/site_internal.h"
#include <string.h>

static const char *const kinds[] = {
    [GH_SITE_SILENT] = "silent",
    [GH_SITE_STUCK] = "stuck",
    [GH_SITE_DEAD] = "dead",
    [GH_SITE_OFFLINE] = "offline",
};

static bool find_device(const struct gh_site *site, struct gh_slice id, size_t *out)
{
    for (size_t i = 0; i < GH_SITE_DEVICES; i++) {
        if (gh_slice_equal(id, gh_slice_text(site->devices[i].id))) {
            *out = i;
            return true;
        }
    }
    return false;
}

static bool find_kind(struct gh_slice name, enum gh_site_fault_kind *out)
{
    for (size_t i = 0; i < GH_COUNT(kinds); i++) {
        if (gh_slice_equal(name, gh_slice_text(kinds[i]))) {
            *out = (enum gh_site_fault_kind)i;
            return true;
        }
    }
    return false;
}

/* "600" or "600-3600". */
static bool read_span(struct gh_slice text, uint64_t *from_s, uint64_t *to_s)
{
    const uint64_t second_max = UINT64_C(10) * 366 * 86400;
    struct gh_slice rest = text, first = gh_slice_split(&rest, '-');
    *to_s = second_max;
    if (!gh_slice_to_u64(first, from_s) || *from_s > second_max)
        return false;
    if (first.size == text.size)
        return true;
    return gh_slice_to_u64(rest, to_s) && *to_s > *from_s && *to_s <= second_max;
}

bool gh_site_add_fault(struct gh_site *site, const char *text, struct gh_error *error)
{
    struct gh_slice rest = gh_slice_text(text);
    struct gh_slice id = gh_slice_split(&rest, '='), kind = gh_slice_split(&rest, '@');
    struct gh_site_fault fault;
    uint64_t from_s, to_s;
    if (site->faults_count == GH_SITE_FAULTS_MAX) {
        gh_error_set(error, GH_ERROR_USAGE, "more than %d faults", GH_SITE_FAULTS_MAX);
        return false;
    }
    if (!find_device(site, id, &fault.device) || !find_kind(kind, &fault.kind) ||
        !read_span(rest, &from_s, &to_s)) {
        gh_error_set(error, GH_ERROR_USAGE,
                     "fault '%s' is not ID=silent|stuck|dead|offline@SECONDS[-SECONDS]", text);
        return false;
    }
    fault.from_ms = site->start_ms + (int64_t)from_s * 1000;
    fault.to_ms = site->start_ms + (int64_t)to_s * 1000;
    site->faults[site->faults_count++] = fault;
    return true;
}
