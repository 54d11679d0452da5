/* What all processes of one stepmill-fakes share: counters, the calls seen, the last requests, and the rules set at run time.
 *
 * One anonymous mapping, made before the processes part. Counters are atomic; everything else is read and written under the
 * lock, which survives the death of the process that holds it. */
#ifndef FAKES_SHARED_H
#define FAKES_SHARED_H

#include <pthread.h>
#include <stdatomic.h>

#include "ring.h"

enum { RULES_TEXT_MAX = 1 << 20, CALL_BUCKETS = 1 << 20 };

struct stats {
    atomic_ullong accepted, refused, requests, control, bad_requests, faults, abandoned, bytes_in, bytes_out;
    atomic_ullong model_calls, model_answered, tool_calls, tool_answered, tool_effects, no_key;
    atomic_llong connections, connections_max, pending;
};

struct shared {
    pthread_mutex_t lock;
    struct stats stats;
    int64_t started_us;
    atomic_uint settings_version;            /* raised whenever `rules` or `outages` changed */
    unsigned rules_version, outages_version; /* `times` of a rule are counted afresh when it is set again */
    atomic_uint task_notes;                  /* how many calls_note_task left behind: 0 spares the look-up */
    char rules[RULES_TEXT_MAX]; /* JSON texts, checked before they are put here; empty: the start-up script applies */
    char outages[RULES_TEXT_MAX];
    struct ring calls, requests;
    uint64_t buckets[CALL_BUCKETS]; /* newest call of each chain, by position in `calls` */
};

/* Ends the process when the memory is not to be had. `request_bytes` 0: requests are not kept. */
struct shared *shared_new(size_t call_bytes, size_t request_bytes);
void shared_free(struct shared *s);

void shared_lock(struct shared *s);
void shared_unlock(struct shared *s);

/* Counters, calls, requests and outages as at the start; connections and answers on their way stay counted. */
void shared_reset(struct shared *s);

int64_t wall_us(void);  /* since 1970 */
int64_t clock_us(void); /* monotonic, the same clock in all processes */

#endif
