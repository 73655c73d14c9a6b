#include "apps/climate/model/kpi.h"
#include "apps/climate/model/sensor.h"
#include "apps/climate/model/table.h"
#include "tests/check.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Columns: readings (comma separated), dH, R, MKT, mean. */
static void check_mkt(void)
{
    struct gh_error error;
    struct gh_table *table = gh_table_open("tests/data/climate/mkt_reference.tsv", 1 << 16, &error);
    REQUIRE("MKT reference", table != NULL && gh_table_rows(table) == 24);
    for (size_t row = 0; row < gh_table_rows(table); row++) {
        double heat, gas, expected, mean;
        REQUIRE("numbers", gh_table_number(table, row, 1, &heat) &&
                               gh_table_number(table, row, 2, &gas) &&
                               gh_table_number(table, row, 3, &expected) &&
                               gh_table_number(table, row, 4, &mean));
        struct gh_mkt first = {0}, second = {0};
        const char *text = gh_table_text(table, row, 0);
        for (int i = 0; *text != '\0'; i++) {
            char *end;
            gh_mkt_add(i % 2 == 0 ? &first : &second, strtod(text, &end), 1, heat / gas);
            text = *end == ',' ? end + 1 : end;
        }
        struct gh_mkt whole = {first.sum + second.sum, first.weight + second.weight};
        CHECK(gh_table_text(table, row, 0), fabs(gh_mkt_c(&whole, heat / gas) - expected) < 1e-5);
        CHECK("never below the mean", gh_mkt_c(&whole, heat / gas) >= mean - 1e-9);
    }
    gh_table_close(table);
}

static const struct gh_kpi_limits limits = {
    .low_c = 15, .high_c = 25, .humidity = 0.65, .co2_ppm = 1000};

static void check_sums(void)
{
    struct gh_kpi kpi = {0};
    struct gh_kpi_sample sample = {.step_s = 60, .air_c = 14, .humidity = 0.7, .co2_ppm = 1100};
    for (int minute = 0; minute < 60; minute++) {
        sample.heating = minute % 20 < 10 ? 2 : 0;
        sample.heating_el_w = sample.heating > 0 ? 30e3 : 0;
        gh_kpi_add(&kpi, &limits, &sample);
    }
    CHECK("an hour 1 K below",
          fabs(kpi.discomfort_kh - 1) < 1e-9 && fabs(kpi.hours_outside - 1) < 1e-9);
    CHECK("an hour 100 ppm above", fabs(kpi.co2_ppmh - 100) < 1e-6);
    CHECK("an hour too humid", fabs(kpi.hours_humid - 1) < 1e-9);
    CHECK("three starts of two compressors", kpi.starts == 3 && kpi.stage_starts == 6);
    CHECK("half an hour of 30 kW", fabs(gh_kpi_total_kwh(&kpi) - 15) < 1e-9);
    /* minutes 0-9 on, 10-14 off: ten of fifteen; the quarter from 15 has 20-29: ten again */
    CHECK("the peak is a mean of a quarter of an hour", fabs(kpi.peak_kw - 20) < 1e-9);
    CHECK("no frost", kpi.hours_frost <= 0);
}

static void check_sensor(void)
{
    struct gh_sensor one = {.random = 7}, same = {.random = 7}, other = {.random = 8};
    double sum = 0, square = 0;
    int differ = 0;
    gh_sensor_follow(&one, &gh_sensor_temperature, 20, 60);
    gh_sensor_follow(&same, &gh_sensor_temperature, 20, 60);
    gh_sensor_follow(&other, &gh_sensor_temperature, 20, 60);
    for (int i = 0; i < 10000; i++) {
        double read = gh_sensor_read(&one, &gh_sensor_temperature);
        CHECK("a seed repeats its readings",
              fabs(read - gh_sensor_read(&same, &gh_sensor_temperature)) <= 0);
        differ += fabs(read - gh_sensor_read(&other, &gh_sensor_temperature)) > 0.05;
        CHECK("readings are tenths", fabs(read * 10 - round(read * 10)) < 1e-9);
        sum += read;
        square += (read - 20) * (read - 20);
    }
    CHECK("another seed reads otherwise", differ > 1000);
    CHECK("no bias", fabs(sum / 10000 - 20) < 0.005);
    /* noise 0.05 and rounding to 0.1 (0.0289) together */
    CHECK("noise of its size", fabs(sqrt(square / 10000) - 0.0577) < 0.005);
    gh_sensor_follow(&one, &gh_sensor_temperature, 30, 120);
    CHECK("after one lag 63 % of a step is seen", fabs(one.value - 26.3212) < 1e-3);
}

int main(void)
{
    check_mkt();
    check_sums();
    check_sensor();
    return check_report();
}
