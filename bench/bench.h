/* `gatehouse-swarm bench`: load on any MQTT 3.1.1 broker. Its works are the modes of bench/load.h;
 * this is what the program and its shell completion need of it. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

/* argv[0] is the word `bench`. The exit code: 0 all that was sent came, 1 not, 2 usage. */
int bench_main(int argc, char **argv);
/* " pairs fan-in …" and " --server --ca …", to standard output. */
void bench_print_works(void);
void bench_print_options(void);
#endif
