#include "apps/climate/model/kpi.h"
#include <assert.h>
#include <math.h>

static const double zero_k = 273.15;
static const double frost_c = 5.0;
static const double window_s = 900.0; /* BOPTEST pele_tot: quarters of an hour */

void gh_mkt_add(struct gh_mkt *mkt, double temperature_c, double weight, double activation_k)
{
    assert(temperature_c > -zero_k);
    mkt->sum += weight * exp(-activation_k / (temperature_c + zero_k));
    mkt->weight += weight;
}

double gh_mkt_c(const struct gh_mkt *mkt, double activation_k)
{
    assert(mkt->weight > 0.0);
    return activation_k / -log(mkt->sum / mkt->weight) - zero_k;
}

static unsigned rise(int from, int to)
{
    return to > from ? (unsigned)(to - from) : 0;
}

static void count_starts(struct gh_kpi *kpi, const struct gh_kpi_sample *sample)
{
    kpi->starts += (kpi->heating == 0 && sample->heating > 0 ? 1U : 0U) +
                   (kpi->cooling == 0 && sample->cooling > 0 ? 1U : 0U);
    kpi->stage_starts += rise(kpi->heating, sample->heating) + rise(kpi->cooling, sample->cooling);
    kpi->heating = sample->heating;
    kpi->cooling = sample->cooling;
}

void gh_kpi_add(struct gh_kpi *kpi, const struct gh_kpi_limits *limits,
                const struct gh_kpi_sample *sample)
{
    double hours = sample->step_s / 3600.0, kilo_hours = hours / 1000.0;
    double watts =
        sample->heating_el_w + sample->cooling_el_w + sample->dryer_el_w + sample->fan_el_w;
    double beyond_k =
        fmax(0.0, fmax(limits->low_c - sample->air_c, sample->air_c - limits->high_c));

    if (kpi->hours <= 0.0) {
        kpi->air_min_c = sample->air_c;
        kpi->air_max_c = sample->air_c;
    }
    kpi->hours += hours;
    kpi->heating_kwh += sample->heating_el_w * kilo_hours;
    kpi->cooling_kwh += sample->cooling_el_w * kilo_hours;
    kpi->dryer_kwh += sample->dryer_el_w * kilo_hours;
    kpi->fan_kwh += sample->fan_el_w * kilo_hours;
    kpi->discomfort_kh += beyond_k * hours;
    kpi->hours_outside += beyond_k > 0.0 ? hours : 0.0;
    kpi->co2_ppmh += fmax(0.0, sample->co2_ppm - limits->co2_ppm) * hours;
    kpi->hours_humid += sample->humidity > limits->humidity ? hours : 0.0;
    kpi->hours_frost += sample->air_c < frost_c ? hours : 0.0;
    kpi->air_min_c = fmin(kpi->air_min_c, sample->air_c);
    kpi->air_max_c = fmax(kpi->air_max_c, sample->air_c);
    count_starts(kpi, sample);
    gh_mkt_add(&kpi->mkt, sample->air_c, sample->step_s, GH_MKT_DEFAULT_K);

    kpi->window_s += sample->step_s;
    kpi->window_j += watts * sample->step_s;
    if (kpi->window_s >= window_s) {
        kpi->peak_kw = fmax(kpi->peak_kw, kpi->window_j / kpi->window_s / 1000.0);
        kpi->window_s = 0.0;
        kpi->window_j = 0.0;
    }
}

double gh_kpi_total_kwh(const struct gh_kpi *kpi)
{
    return kpi->heating_kwh + kpi->cooling_kwh + kpi->dryer_kwh + kpi->fan_kwh;
}
