/* A sensor of the simulated hall: first-order lag, noise, quantisation.
 *
 * Deterministic: the noise comes from a generator whose state is part of the sensor, so a run is
 * repeated from its seed. Plain values, no memory. Threads: one at a time. */
#ifndef GH_CLIMATE_SENSOR_H
#define GH_CLIMATE_SENSOR_H

#include <stdbool.h>
#include <stdint.h>

/* splitmix64 (Steele, Lea, Flood 2014): small, seedable, no cryptography. */
uint64_t gh_sensor_random(uint64_t *state);
/* Standard normal, as the sum of twelve uniforms less six: bounded to six sigma. */
double gh_sensor_normal(uint64_t *state);

struct gh_sensor_kind {
    double lag_s, noise, quantum;
    double min, max; /* the range of the instrument; what lies beyond reads as its end */
};

struct gh_sensor {
    double value; /* of the lagging element */
    uint64_t random;
    bool settled;
};

/* The element follows the true value during `step_s`; the first call settles it. */
void gh_sensor_follow(struct gh_sensor *sensor, const struct gh_sensor_kind *kind, double truth,
                      double step_s);
/* One reading; draws noise. Needs one gh_sensor_follow before. */
double gh_sensor_read(struct gh_sensor *sensor, const struct gh_sensor_kind *kind);

/* The instruments of the demo warehouse: temperature (C), relative humidity (%), CO2 (ppm), PM2.5
 * (ug/m3). */
extern const struct gh_sensor_kind gh_sensor_temperature, gh_sensor_humidity, gh_sensor_co2,
    gh_sensor_dust;
#endif
