/* Our own schemas, as in the folder schemas/, embedded in the executable. */
#ifndef STEPMILL_SCHEMAS_H
#define STEPMILL_SCHEMAS_H

#include "bytes.h"

enum own_schema { OWN_TASK, OWN_RESULT, OWN_EVENT, OWN_ACTION, OWN_SCHEMAS };

/* The text as registered: lookups compare it byte by byte, so nothing may reformat it. */
struct slice own_schema_text(enum own_schema which);
/* "AgentTaskEvent", … */
const char *own_schema_name(enum own_schema which);

#endif
