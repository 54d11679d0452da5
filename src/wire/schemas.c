/* Our own schemas: the texts that cmake/embed.cmake put into the library. */
#include "stepmill/schemas.h"

#include "stepmill/embedded.h"
#include "stepmill/error.h"

extern const struct embedded_file schema_files[];
extern const size_t schema_files_count;

static const struct {
    const char *name, *file;
} own[OWN_SCHEMAS] = {
    [OWN_TASK] = {"AgentTaskEvent", "AgentTaskEvent.avsc"},
    [OWN_RESULT] = {"AgentTaskResult", "AgentTaskResult.avsc"},
    [OWN_EVENT] = {"AgentEvent", "AgentEvent.avsc"},
    [OWN_ACTION] = {"DeadLetterAction", "DeadLetterAction.avsc"},
};

struct slice own_schema_text(enum own_schema which)
{
    struct slice text = embedded_find(schema_files, schema_files_count, own[which].file);

    if (!text.at)
        bug("schema %s is not embedded", own[which].file);
    return text;
}

const char *own_schema_name(enum own_schema which) { return own[which].name; }
