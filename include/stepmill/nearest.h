/* The right name for a mistyped one: of several candidates, the nearest by edit distance.
 *
 *     struct nearest n = nearest_to(typed);
 *     for each candidate: nearest_offer(&n, candidate);
 *     if (n.name) … "did you mean " n.name
 */
#ifndef STEPMILL_NEAREST_H
#define STEPMILL_NEAREST_H

#include "bytes.h"

struct nearest {
    struct slice typed;
    const char *name; /* the best so far that is near enough, or NULL; the caller's string */
    size_t distance;
};

struct nearest nearest_to(struct slice typed);
/* Near enough: at most a third of the longer name's letters differ (swapped neighbours count once), and at most 4. The first of
 * equals stays. */
void nearest_offer(struct nearest *n, const char *candidate);

/* Insertions, deletions, replacements and swaps of neighbours; SIZE_MAX when either is longer than 64 bytes. */
size_t edit_distance(struct slice a, struct slice b);

#endif
