/* Psychrometrics: the state of moist air from temperature, humidity and pressure.
 *
 * The forms of ASHRAE Fundamentals, chapter 1, in SI. Not for records of legal weight below -100 or
 * above 200 C, where the vapour pressure correlation ends; arguments are cut to that range.
 * Humidity ratio `w` is kg of water per kg of dry air; relative humidity is a fraction of 1;
 * temperatures are Celsius, pressures pascal, energies joule per kg of dry air. No state, no
 * memory. Threads: any. */
#ifndef GH_CLIMATE_PSYCHRO_H
#define GH_CLIMATE_PSYCHRO_H

#define GH_PSYCHRO_SEA_LEVEL_PA 101325.0

/* Saturation pressure over ice up to the triple point, over water above. */
double gh_psychro_saturation_pa(double temperature_c);
/* Humidity ratio at saturation and at a relative humidity; never below 1e-7. */
double gh_psychro_saturation_w(double temperature_c, double pressure_pa);
double gh_psychro_w(double temperature_c, double humidity, double pressure_pa);
/* From an enthalpy at a temperature; and the temperature of an enthalpy at a humidity ratio. */
double gh_psychro_w_of_enthalpy(double enthalpy_jkg, double temperature_c);
double gh_psychro_temperature_of_enthalpy(double enthalpy_jkg, double w);
/* Partial pressure of the vapour. */
double gh_psychro_vapour_pa(double w, double pressure_pa);
double gh_psychro_humidity(double temperature_c, double w, double pressure_pa);
/* Dew point (frost point below 0.01 C) of a vapour pressure, within 0.001 K. */
double gh_psychro_dew_point_c(double vapour_pa);
/* Thermodynamic wet bulb, within 0.001 K. */
double gh_psychro_wet_bulb_c(double temperature_c, double w, double pressure_pa);
double gh_psychro_enthalpy_jkg(double temperature_c, double w);
/* Volume of moist air per kg of dry air; and its density. */
double gh_psychro_volume_m3kg(double temperature_c, double w, double pressure_pa);
double gh_psychro_density_kgm3(double temperature_c, double w, double pressure_pa);
/* Vapour pressure deficit to air of the same temperature. */
double gh_psychro_deficit_pa(double temperature_c, double w, double pressure_pa);
/* The standard atmosphere at an altitude. */
double gh_psychro_altitude_pa(double altitude_m);
#endif
