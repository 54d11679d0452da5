/* Code under test without memory: the n-th allocation fails, for each n in turn (tests named test_memory.c link this).
 *
 * An operation does one thing that its module offers, from nothing to freed. It runs once for each of its allocations with that
 * one failing, and again with that one and all later ones failing. Each time it must say so, or have done its work in full all
 * the same; crash it must not, nor keep memory. Memory is counted where our own code takes and frees it, and jansson's too.
 */
#ifndef MEMORY_FAULTS_H
#define MEMORY_FAULTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stepmill/bytes.h"
#include "stepmill/error.h"

struct memory_operation {
    const char *name;
    bool (*run)(void); /* false: it was told that there is no memory */
    bool lenient;      /* by contract it never fails, but may give less */
};

/* Runs them as one cmocka group; returns what main returns. */
int memory_faults_run(const char *group, const struct memory_operation *operations, size_t n);

/* For operations: a part of what was done. What a run has seen must not differ from run to run. */
void saw(struct slice what);
void saw_number(int64_t what);
/* True when all is well. An error that is not internal "out_of_memory" fails the test: lack of memory is nobody's fault. */
bool fine(struct error e);
/* The buffer's content was done; it is freed. False: it failed. */
bool saw_buf(struct buf *b);

#endif
