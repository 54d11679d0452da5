/* Answers with holes: {{name}} is replaced by what the request says, {{name:number}} by the same when it is a JSON number (else
 * 0). A JSON string that is nothing but "{{name:number}}" loses its quotes: {"qty": "{{2:number}}"} becomes {"qty": 2}. */
#ifndef FAKES_TEMPLATE_H
#define FAKES_TEMPLATE_H

#include <jansson.h>

#include "text.h"

/* What the holes are filled from; what a request does not have is empty.
 * user, tool_result (of a model call), model, tool (of a tool call), key, task, step, hash (8 hex digits made from the key),
 * 0 to 9 (the rule's user_regex), param.NAME (of a tool call's params; not a string: as JSON). */
struct template_values {
    struct span user, tool_result, model, tool, key, task;
    struct span capture[10];
    size_t step;
    const json_t *params;
};

/* `in_json`: the template is JSON text and what is filled in gets escaped as the inside of a string. Unknown names stay as
 * written. */
void template_fill(struct text *out, struct span template, const struct template_values *v, bool in_json);

#endif
