#include "apps/climate/model/sensor.h"
#include <math.h>

const struct gh_sensor_kind gh_sensor_temperature = {
    .lag_s = 120, .noise = 0.05, .quantum = 0.1, .min = -40, .max = 85};
const struct gh_sensor_kind gh_sensor_humidity = {
    .lag_s = 120, .noise = 0.5, .quantum = 0.1, .min = 0, .max = 100};
const struct gh_sensor_kind gh_sensor_co2 = {
    .lag_s = 60, .noise = 5, .quantum = 1, .min = 0, .max = 10000};
const struct gh_sensor_kind gh_sensor_dust = {
    .lag_s = 60, .noise = 0.3, .quantum = 0.1, .min = 0, .max = 1000};

uint64_t gh_sensor_random(uint64_t *state)
{
    uint64_t mixed = *state += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

double gh_sensor_normal(uint64_t *state)
{
    double sum = -6.0;
    for (int i = 0; i < 12; i++)
        sum += (double)(gh_sensor_random(state) >> 11) * 0x1p-53;
    return sum;
}

void gh_sensor_follow(struct gh_sensor *sensor, const struct gh_sensor_kind *kind, double truth,
                      double step_s)
{
    if (!sensor->settled) {
        sensor->value = truth;
        sensor->settled = true;
        return;
    }
    sensor->value += (truth - sensor->value) * (1.0 - exp(-step_s / kind->lag_s));
}

double gh_sensor_read(struct gh_sensor *sensor, const struct gh_sensor_kind *kind)
{
    double noisy = sensor->value + kind->noise * gh_sensor_normal(&sensor->random);
    double bounded = fmin(kind->max, fmax(kind->min, noisy));
    return round(bounded / kind->quantum) * kind->quantum;
}
