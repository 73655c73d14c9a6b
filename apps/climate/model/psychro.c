#include "apps/climate/model/psychro.h"
#include <math.h>

static const double zero_k = 273.15;
static const double triple_point_c = 0.01; /* ice below, water above: the branch of psychrolib */
static const double ratio_of_masses = 0.621945;
static const double w_min = 1e-7;

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

/* ln of the saturation pressure, ASHRAE Fundamentals 2017 ch. 1 eq. 5 (ice) and 6 (water). */
static double ln_saturation(double temperature_c)
{
    double k = clamp(temperature_c, -100.0, 200.0) + zero_k;
    if (temperature_c <= triple_point_c)
        return -5.6745359e3 / k + 6.3925247 - 9.677843e-3 * k + 6.2215701e-7 * k * k +
               2.0747825e-9 * k * k * k - 9.484024e-13 * k * k * k * k + 4.1635019 * log(k);
    return -5.8002206e3 / k + 1.3914993 - 4.8640239e-2 * k + 4.1764768e-5 * k * k -
           1.4452093e-8 * k * k * k + 6.5459673 * log(k);
}

/* Its derivative by temperature, for Newton's method. */
static double ln_saturation_slope(double temperature_c)
{
    double k = temperature_c + zero_k;
    if (temperature_c <= triple_point_c)
        return 5.6745359e3 / (k * k) - 9.677843e-3 + 2 * 6.2215701e-7 * k +
               3 * 2.0747825e-9 * k * k - 4 * 9.484024e-13 * k * k * k + 4.1635019 / k;
    return 5.8002206e3 / (k * k) - 4.8640239e-2 + 2 * 4.1764768e-5 * k - 3 * 1.4452093e-8 * k * k +
           6.5459673 / k;
}

double gh_psychro_saturation_pa(double temperature_c)
{
    return exp(ln_saturation(temperature_c));
}

static double w_of_vapour(double vapour_pa, double pressure_pa)
{
    return fmax(ratio_of_masses * vapour_pa / (pressure_pa - vapour_pa), w_min);
}

double gh_psychro_saturation_w(double temperature_c, double pressure_pa)
{
    return w_of_vapour(gh_psychro_saturation_pa(temperature_c), pressure_pa);
}

double gh_psychro_w(double temperature_c, double humidity, double pressure_pa)
{
    return w_of_vapour(humidity * gh_psychro_saturation_pa(temperature_c), pressure_pa);
}

double gh_psychro_w_of_enthalpy(double enthalpy_jkg, double temperature_c)
{
    return fmax((enthalpy_jkg / 1000.0 - 1.006 * temperature_c) / (2501.0 + 1.86 * temperature_c),
                w_min);
}

double gh_psychro_temperature_of_enthalpy(double enthalpy_jkg, double w)
{
    return (enthalpy_jkg / 1000.0 - 2501.0 * w) / (1.006 + 1.86 * w);
}

double gh_psychro_vapour_pa(double w, double pressure_pa)
{
    double bounded = fmax(w, w_min);
    return pressure_pa * bounded / (ratio_of_masses + bounded);
}

double gh_psychro_humidity(double temperature_c, double w, double pressure_pa)
{
    return gh_psychro_vapour_pa(w, pressure_pa) / gh_psychro_saturation_pa(temperature_c);
}

double gh_psychro_dew_point_c(double vapour_pa)
{
    enum { ROUNDS_MAX = 100 };
    double ln_vapour = log(fmax(vapour_pa, 1e-3)), dew_c = 0.0;
    for (int i = 0; i < ROUNDS_MAX; i++) {
        double step = (ln_saturation(dew_c) - ln_vapour) / ln_saturation_slope(dew_c);
        double next = clamp(dew_c - step, -100.0, 200.0);
        double moved = fabs(next - dew_c);
        dew_c = next;
        if (moved < 1e-4)
            break;
    }
    return dew_c;
}

/* Humidity ratio of air at `temperature_c` whose wet bulb is `wet_c` (eq. 33 and 35). */
static double w_of_wet_bulb(double temperature_c, double wet_c, double pressure_pa)
{
    double saturated = gh_psychro_saturation_w(wet_c, pressure_pa);
    if (wet_c >= 0.0)
        return ((2501.0 - 2.326 * wet_c) * saturated - 1.006 * (temperature_c - wet_c)) /
               (2501.0 + 1.86 * temperature_c - 4.186 * wet_c);
    return ((2830.0 - 0.24 * wet_c) * saturated - 1.006 * (temperature_c - wet_c)) /
           (2830.0 + 1.86 * temperature_c - 2.1 * wet_c);
}

double gh_psychro_wet_bulb_c(double temperature_c, double w, double pressure_pa)
{
    double low = gh_psychro_dew_point_c(gh_psychro_vapour_pa(w, pressure_pa)), high = temperature_c;
    while (high - low > 1e-3) {
        double middle = (low + high) / 2;
        if (w_of_wet_bulb(temperature_c, middle, pressure_pa) > w)
            high = middle;
        else
            low = middle;
    }
    return (low + high) / 2;
}

double gh_psychro_enthalpy_jkg(double temperature_c, double w)
{
    return 1000.0 * (1.006 * temperature_c + w * (2501.0 + 1.86 * temperature_c));
}

double gh_psychro_volume_m3kg(double temperature_c, double w, double pressure_pa)
{
    return 287.042 * (temperature_c + zero_k) * (1.0 + 1.607858 * w) / pressure_pa;
}

double gh_psychro_density_kgm3(double temperature_c, double w, double pressure_pa)
{
    return (1.0 + w) / gh_psychro_volume_m3kg(temperature_c, w, pressure_pa);
}

double gh_psychro_deficit_pa(double temperature_c, double w, double pressure_pa)
{
    return gh_psychro_saturation_pa(temperature_c) - gh_psychro_vapour_pa(w, pressure_pa);
}

double gh_psychro_altitude_pa(double altitude_m)
{
    return GH_PSYCHRO_SEA_LEVEL_PA * pow(1.0 - 2.25577e-5 * altitude_m, 5.2559);
}
