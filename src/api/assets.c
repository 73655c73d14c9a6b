#include "api/assets.h"
#include "api/api.h"
#include "api/assets_internal.h"
#include "io/http_server.h"
#include "wire/http/path.h"
#include <string.h>

/* Of every answer. What is no page of the console loads nothing and stands in no frame, should a
 * browser ever take it for one. */
static const struct gh_http_header security[] = {
    {GH_SLICE_INIT("content-security-policy"),
     GH_SLICE_INIT("default-src 'none'; frame-ancestors 'none'")},
    {GH_SLICE_INIT("strict-transport-security"), GH_SLICE_INIT("max-age=31536000")},
    {GH_SLICE_INIT("x-content-type-options"), GH_SLICE_INIT("nosniff")},
    {GH_SLICE_INIT("referrer-policy"), GH_SLICE_INIT("no-referrer")},
    {GH_SLICE_INIT("cross-origin-opener-policy"), GH_SLICE_INIT("same-origin")},
    {GH_SLICE_INIT("cross-origin-resource-policy"), GH_SLICE_INIT("same-origin")},
};

const struct gh_http_header *gh_api_headers(size_t *count)
{
    *count = GH_COUNT(security);
    return security;
}

/* What a page may ask of the machine before it. The console needs nothing of it; security keys stay
 * allowed, as they are by default. */
#define NO_PERMISSIONS                                                                             \
    "camera=(), microphone=(), geolocation=(), display-capture=(), usb=(), serial=(), hid=(), "    \
    "midi=(), payment=(), clipboard-read=()"

static const struct gh_asset *find_asset(struct gh_slice path)
{
    size_t low = 0, high = gh_assets_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = gh_slice_compare(path, gh_slice_text(gh_assets[middle].path));
        if (order == 0)
            return &gh_assets[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* Whether the list of a header names `word` (weak tags count as the same). */
static bool lists(struct gh_slice list, struct gh_slice word)
{
    while (list.size > 0) {
        struct gh_slice item = gh_slice_split(&list, ',');
        while (item.size > 0 && item.data[0] == ' ')
            item = gh_slice_sub(item, 1, item.size);
        if (gh_slice_starts(item, GH_SLICE("W/")))
            item = gh_slice_sub(item, 2, item.size);
        if (gh_slice_equal(gh_slice_split(&item, ';'), word))
            return true;
    }
    return false;
}

void assets_answer(struct gh_exchange *exchange)
{
    const struct gh_http_request *request = gh_exchange_request(exchange);
    struct gh_slice path;
    if (!gh_slice_equal(request->method, GH_SLICE("GET")) &&
        !gh_slice_equal(request->method, GH_SLICE("HEAD"))) {
        gh_exchange_answer(exchange, &(struct gh_http_answer){.status = 405});
        return;
    }
    if (gh_slice_equal(request->path, GH_SLICE("/api/v1/openapi.json"))) {
        gh_exchange_answer(exchange, &(struct gh_http_answer){.status = 200,
                                                              .content_type = "application/json",
                                                              .body = openapi_document()});
        return;
    }
    const struct gh_asset *asset =
        gh_path_decode(request->path, gh_exchange_arena(exchange), &path) ? find_asset(path) : NULL;
    if (asset == NULL)
        asset = find_asset(GH_SLICE("/index.html"));
    if (asset == NULL) {
        gh_exchange_answer(exchange, &(struct gh_http_answer){.status = 404});
        return;
    }
    struct gh_slice etag = gh_slice_text(asset->etag);
    bool gzip = asset->gzip != NULL &&
                lists(gh_http_header_get(request, "accept-encoding"), GH_SLICE("gzip"));
    const struct gh_http_header headers[] = {
        {GH_SLICE("etag"), etag},
        {GH_SLICE("cache-control"),
         asset->immutable ? GH_SLICE("public, max-age=31536000, immutable") : GH_SLICE("no-cache")},
        {GH_SLICE("content-security-policy"), gh_slice_text(gh_assets_policy)},
        {GH_SLICE("cross-origin-embedder-policy"), GH_SLICE("require-corp")},
        {GH_SLICE("permissions-policy"), GH_SLICE(NO_PERMISSIONS)},
        {GH_SLICE("vary"), GH_SLICE("accept-encoding")},
        {GH_SLICE("content-encoding"), GH_SLICE("gzip")},
    };
    bool same = lists(gh_http_header_get(request, "if-none-match"), etag);
    gh_exchange_answer(exchange, &(struct gh_http_answer){
                                     .status = same ? 304 : 200,
                                     .content_type = asset->content_type,
                                     .body = same   ? (struct gh_slice){0}
                                             : gzip ? gh_slice(asset->gzip, asset->gzip_size)
                                                    : gh_slice(asset->data, asset->size),
                                     .headers = headers,
                                     .headers_count = GH_COUNT(headers) - (gzip && !same ? 0 : 1)});
}
