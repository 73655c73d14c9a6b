/* Does the time of a function tell what its input was? After dudect (Reparaz, Balasch and
 * Verbauwhede, "Dude, is my code constant time?", DATE 2017): two classes of input, measured in an
 * order that chance gives, and Welch's t of the two means. Above 4.5 the classes can be told apart;
 * below, not by this many measurements, which is no proof. What an interrupt has lengthened is cut
 * off: the slowest tenth of all. Threads: one. */
#ifndef GH_TEST_TIMING_H
#define GH_TEST_TIMING_H

#include <stddef.h>

/* The largest |t| that counts as "cannot be told apart". */
#define TIMING_T_MAX 4.5

/* Noise lifts |t| now and then, a difference lifts it every time: what is told apart by chance in
 * one round is not in another. So a measurement is taken `rounds` times, each in another order, and
 * the smallest counts; it ends with the first round that cannot tell them apart. */
struct timing {
    /* Does the work for an input of class 0 or 1; what is needed for it is there already. */
    void (*work)(void *context, int class);
    void *context;
    size_t samples; /* of a round */
    unsigned rounds;
};

/* The smallest |t|; infinite without memory. */
double timing_t(const struct timing *timing);
#endif
