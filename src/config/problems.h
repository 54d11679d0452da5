/* Collecting what is wrong, with its place. */
#ifndef CONFIG_PROBLEMS_H
#define CONFIG_PROBLEMS_H

#include "stepmill/config.h"
#include "tree.h"

/* Adds one, sorted by place. `place` NULL: the configuration as a whole. Never give it a secret's value. */
__attribute__((format(printf, 3, 4))) void problem_error(struct config_report *r, const struct place *place, const char *format,
                                                         ...);
__attribute__((format(printf, 3, 4))) void problem_warning(struct config_report *r, const struct place *place, const char *format,
                                                           ...);

#endif
