/* Between registry.c and registry_schemas.c. */
#ifndef REGISTRY_SCHEMAS_H
#define REGISTRY_SCHEMAS_H

#include "registry_private.h"

int64_t registry_pause_ms(struct registry *r, int32_t attempts);
void registry_note(struct registry *r, const struct registry_reply *reply);
void registry_free_schemas(struct registry *r);

#endif
