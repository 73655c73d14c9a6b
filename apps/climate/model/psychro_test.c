#include "apps/climate/model/psychro.h"
#include "apps/climate/model/table.h"
#include "tests/check.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The functions of the reference table that this module has, by psychrolib's names. Temperatures,
 * pressures and specific humidities that are plain arithmetic (GetTKelvinFromTCelsius and the like)
 * are not ours. */
static double saturation_w(const double a[])
{
    return gh_psychro_saturation_w(a[0], a[1]);
}
static double saturation_pa(const double a[])
{
    return gh_psychro_saturation_pa(a[0]);
}
static double saturation_enthalpy(const double a[])
{
    return gh_psychro_enthalpy_jkg(a[0], gh_psychro_saturation_w(a[0], a[1]));
}
static double dry_enthalpy(const double a[])
{
    return gh_psychro_enthalpy_jkg(a[0], 0.0);
}
static double dry_volume(const double a[])
{
    return gh_psychro_volume_m3kg(a[0], 0.0, a[1]);
}
static double dry_density(const double a[])
{
    return gh_psychro_density_kgm3(a[0], 0.0, a[1]);
}
static double temperature_of_enthalpy(const double a[])
{
    return gh_psychro_temperature_of_enthalpy(a[0], a[1]);
}
static double w_of_enthalpy(const double a[])
{
    return gh_psychro_w_of_enthalpy(a[0], a[1]);
}
static double enthalpy(const double a[])
{
    return gh_psychro_enthalpy_jkg(a[0], a[1]);
}
static double volume(const double a[])
{
    return gh_psychro_volume_m3kg(a[0], a[1], a[2]);
}
static double density(const double a[])
{
    return gh_psychro_density_kgm3(a[0], a[1], a[2]);
}
static double altitude_pa(const double a[])
{
    return gh_psychro_altitude_pa(a[0]);
}
/* "15.0,VapPres" expects the dew point of saturated air at the expected temperature back. */
static double dew_point(const double a[])
{
    return gh_psychro_dew_point_c(gh_psychro_saturation_pa(a[1]));
}

static const struct {
    const char *name;
    double (*run)(const double arguments[]);
} functions[] = {
    {"GetSatVapPres", saturation_pa},
    {"GetSatHumRatio", saturation_w},
    {"GetSatAirEnthalpy", saturation_enthalpy},
    {"GetTDewPointFromVapPres", dew_point},
    {"GetDryAirEnthalpy", dry_enthalpy},
    {"GetDryAirVolume", dry_volume},
    {"GetDryAirDensity", dry_density},
    {"GetTDryBulbFromEnthalpyAndHumRatio", temperature_of_enthalpy},
    {"GetHumRatioFromEnthalpyAndTDryBulb", w_of_enthalpy},
    {"GetMoistAirEnthalpy", enthalpy},
    {"GetMoistAirVolume", volume},
    {"GetMoistAirDensity", density},
    {"GetStandardAtmPressure", altitude_pa},
};

static struct gh_table *open_table(const char *path)
{
    struct gh_error error;
    struct gh_table *table = gh_table_open(path, 1 << 20, &error);
    REQUIRE(path, table != NULL);
    return table;
}

static void check_row(const struct gh_table *table, size_t row, double (*run)(const double[]))
{
    char claim[128];
    double arguments[3] = {0}, expected, tolerance;
    const char *text = gh_table_text(table, row, 1);
    REQUIRE("numbers", gh_table_number(table, row, 2, &expected) &&
                           gh_table_number(table, row, 4, &tolerance));
    for (int i = 0; i < 3 && *text != '\0'; i++) {
        char *end;
        arguments[i] = strtod(text, &end);
        text = *end == ',' ? end + 1 : "";
        if (strcmp(text, "VapPres") == 0) {
            arguments[1] = expected;
            break;
        }
    }
    if (strcmp(gh_table_text(table, row, 3), "rel") == 0)
        tolerance *= fabs(expected);
    snprintf(claim, sizeof claim, "%s(%s)", gh_table_text(table, row, 0),
             gh_table_text(table, row, 1));
    CHECK(claim, fabs(run(arguments) - expected) <= tolerance);
}

static void check_reference(void)
{
    struct gh_table *table = open_table("tests/data/climate/psychro_reference.tsv");
    size_t checked = 0;
    for (size_t row = 0; row < gh_table_rows(table); row++) {
        for (size_t i = 0; i < GH_COUNT(functions); i++) {
            if (strcmp(gh_table_text(table, row, 0), functions[i].name) == 0) {
                check_row(table, row, functions[i].run);
                checked++;
            }
        }
    }
    /* 51 rows, less kelvin (2), standard temperature (6), station pressure (1), specific humidity
     * (2) and temperature of a volume (1). */
    CHECK("39 of the 51 rows are ours", checked == 39);
    gh_table_close(table);
}

static bool near(double value, double expected, double relative, double absolute)
{
    return fabs(value - expected) <= fmax(relative * fabs(expected), absolute);
}

static void check_grid(void)
{
    struct gh_table *table = open_table("tests/data/climate/psychro_grid.tsv");
    CHECK("238 states", gh_table_rows(table) == 238);
    for (size_t row = 0; row < gh_table_rows(table); row++) {
        char claim[64];
        double v[10];
        for (size_t i = 0; i < GH_COUNT(v); i++)
            REQUIRE("a number", gh_table_number(table, row, i, &v[i]));
        double t = v[0], humidity = v[1], p = v[2], w = gh_psychro_w(t, humidity, p);
        snprintf(claim, sizeof claim, "%g C, %g, %g Pa", t, humidity, p);
        /* the absolute parts are half a digit of the table's rounding */
        CHECK(claim, near(w, v[3], 1e-4, 6e-8));
        CHECK(claim, near(gh_psychro_wet_bulb_c(t, w, p), v[4], 0, 0.005));
        CHECK(claim,
              near(gh_psychro_dew_point_c(humidity * gh_psychro_saturation_pa(t)), v[5], 0, 0.005));
        CHECK(claim, near(gh_psychro_vapour_pa(w, p), v[6], 1e-4, 0.006));
        CHECK(claim, near(gh_psychro_enthalpy_jkg(t, w), v[7], 1e-4, 0.6));
        CHECK(claim, near(gh_psychro_volume_m3kg(t, w, p), v[8], 1e-4, 6e-6));
        CHECK(claim, near(gh_psychro_deficit_pa(t, w, p), v[9], 1e-4, 0.006));
        CHECK(claim, near(gh_psychro_humidity(t, w, p), humidity, 1e-9, 0));
    }
    gh_table_close(table);
}

int main(void)
{
    check_reference();
    check_grid();
    for (double t = -60; t <= 60; t += 0.7) {
        double dew = gh_psychro_dew_point_c(gh_psychro_saturation_pa(t));
        CHECK("the dew point of saturated air is its temperature", fabs(dew - t) < 1e-3);
    }
    CHECK("no vapour at all has a dew point still", gh_psychro_dew_point_c(0.0) >= -100.0);
    return check_report();
}
