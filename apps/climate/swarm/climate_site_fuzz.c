/* Any bytes as the saved state of the site: refused, or a site that can be stepped and saved again.
 */
#include "apps/climate/swarm/site.h"
#include "wire/json.h"
#include <assert.h>
#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gh_weather *weather;
    struct gh_error error;
    if (weather == NULL)
        weather = gh_weather_open_demo(&error);
    struct gh_site *site = gh_site_open(weather, 0, 1);
    json_t *saved = gh_json_read(gh_slice(data, size), &error);
    if (saved != NULL && gh_site_restore(site, saved, &error)) {
        gh_site_advance(site, gh_site_now_ms(site) + 600000);
        assert(isfinite(gh_site_hall(site, 0).air_c));
        json_decref(gh_site_save(site));
    }
    json_decref(saved);
    gh_site_close(site);
    return 0;
}
