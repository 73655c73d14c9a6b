/* Key figures of a run: what the equipment used and what the goods felt.
 *
 * The definitions of IBPSA BOPTEST (tdis, ener, pele) beside those of storage practice (mean
 * kinetic temperature of USP <1079>, hours above a humidity limit, compressor starts). Feed one
 * sample per step; the sums hold at any step length. Plain values, no memory. Threads: one at a
 * time. */
#ifndef GH_CLIMATE_KPI_H
#define GH_CLIMATE_KPI_H

#include <stddef.h>

/* Activation energy over the gas constant: 83.144 kJ/mol over 8.3144 J/(mol K). */
#define GH_MKT_DEFAULT_K 10000.0

/* Mean kinetic temperature in streaming form; windows are merged by adding both fields. */
struct gh_mkt {
    double sum, weight; /* of exp(-H/(R T)); any unit of weight: readings or seconds */
};
void gh_mkt_add(struct gh_mkt *mkt, double temperature_c, double weight, double activation_k);
/* Needs weight > 0. */
double gh_mkt_c(const struct gh_mkt *mkt, double activation_k);

struct gh_kpi_limits {
    double low_c, high_c, humidity, co2_ppm; /* humidity as a fraction */
};

struct gh_kpi_sample {
    double step_s;
    double air_c, humidity, co2_ppm;
    double heating_el_w, cooling_el_w, dryer_el_w, fan_el_w;
    int heating, cooling; /* stages running */
};

struct gh_kpi {
    double hours;
    double heating_kwh, cooling_kwh, dryer_kwh, fan_kwh;
    double discomfort_kh, hours_outside;       /* K h beyond the band; hours beyond it */
    double co2_ppmh, hours_humid, hours_frost; /* below 5 C */
    double air_min_c, air_max_c;
    unsigned starts;       /* of a unit: heating or cooling from nothing */
    unsigned stage_starts; /* of each compressor */
    double peak_kw;        /* largest mean of a quarter of an hour */
    struct gh_mkt mkt;
    /* the sample before, and the quarter of an hour under way */
    int heating, cooling;
    double window_s, window_j;
};

void gh_kpi_add(struct gh_kpi *kpi, const struct gh_kpi_limits *limits,
                const struct gh_kpi_sample *sample);
double gh_kpi_total_kwh(const struct gh_kpi *kpi);
#endif
