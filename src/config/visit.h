/* Walking over all options of a loaded configuration. */
#ifndef CONFIG_VISIT_H
#define CONFIG_VISIT_H

#include "options.h"
#include "tree.h"

/* Every option of every agent and model, in the order of the table, set or not; of kafka's properties those that are set. `base`
 * is what value_is_set and value_write take. */
void visit_options(const struct config *c,
                   void (*each)(void *context, const struct option *o, const char *path, const void *base), void *context);

/* The `base` of the same option in another configuration; NULL: that agent, model or property is not there. */
const void *visit_find(const struct config *c, const struct option *o, const char *path);

#endif
