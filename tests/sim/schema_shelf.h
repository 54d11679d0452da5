/* The schemas of the simulated registry, parsed and compiled once for the whole process. */
#ifndef SIM_SCHEMA_SHELF_H
#define SIM_SCHEMA_SHELF_H

#include "stepmill/avro_plan.h"
#include "stepmill/schemas.h"

enum {
    SCHEMA_TASK = 101,
    SCHEMA_RESULT = 102,
    SCHEMA_EVENT = 103,
    SCHEMA_SLOW = 104,    /* tasks by a foreign writer's schema, which the registry is slow to give out */
    SCHEMA_UNKNOWN = 999, /* 404 */
};

struct schema_shelf;

struct schema_shelf *schema_shelf_new(void);
void schema_shelf_free(struct schema_shelf *s);
/* NULL: there is no such schema. */
const struct avro_plan *schema_shelf_plan(struct schema_shelf *s, uint32_t id, const struct avro_record *reader);

#endif
