/* Marks the branch that is a safety rule of DELIVERY: if (RULE(name) && …). In the product it is always true and costs nothing;
 * the simulator's build can switch one rule off and must then find the violation (tests/sim/README.md has the table). */
#ifndef STEPMILL_RULE_H
#define STEPMILL_RULE_H

#include <stdbool.h>

#ifdef STEPMILL_SIM
bool sim_rule_is_on(const char *name);
#define RULE(name) sim_rule_is_on(#name)
/* A limit so high that no history would reach it is low in the simulator. */
#define LIMIT(product, sim) (sim)
#else
#define RULE(name)          true
#define LIMIT(product, sim) (product)
#endif

#endif
