/* Safety rules that the simulator can switch off, to show that each is needed (tests/sim/README.md). In the product the constant
 * true: no switch is compiled in.
 */
#ifndef STEPMILL_RULE_H
#define STEPMILL_RULE_H

#ifdef STEPMILL_SIM
#include <stdbool.h>

bool rule_is_on(const char *name);
#define RULE(name) rule_is_on(#name)
#else
#define RULE(name) true
#endif

#endif
