/* The clocks, one function each. Only io, worker and cli read them; core gets time as an argument. */
#ifndef STEPMILL_CLOCK_H
#define STEPMILL_CLOCK_H

#include <stdint.h>

int64_t clock_mono_ms(void); /* CLOCK_MONOTONIC: deadlines and waits */
int64_t clock_mono_us(void);
int64_t clock_boot_ms(void); /* CLOCK_BOOTTIME: goes on while the machine is suspended */
int64_t clock_wall_ms(void); /* CLOCK_REALTIME, Unix epoch: what is written into records */
int64_t clock_wall_us(void);
int64_t clock_thread_us(void); /* CPU time of the calling thread */

#endif
