/* Schemas and plans, made once. */
#include "schema_shelf.h"

#include <stdlib.h>

#include "stepmill/event_codec.h"
#include "stepmill/result_codec.h"
#include "stepmill/task_codec.h"

enum { PLANS = 3 };

struct schema_shelf {
    struct {
        const struct avro_record *reader;
        struct avro_plan *plan;
    } plans[PLANS];
};

static struct avro_plan *compile(enum own_schema which, const struct avro_record *reader)
{
    struct schema *schema;
    struct avro_plan *plan;

    if (failed(schema_parse(own_schema_text(which), &SCHEMA_LIMITS, &schema, NULL)))
        bug("our own schema does not parse");
    if (failed(avro_plan_new(schema, reader, &plan, NULL)))
        bug("our own schema does not compile");
    schema_free(schema);
    return plan;
}

struct schema_shelf *schema_shelf_new(void)
{
    struct schema_shelf *s = calloc(1, sizeof *s);

    if (!s)
        bug("no memory for the schemas");
    s->plans[0].reader = &task_reader;
    s->plans[0].plan = compile(OWN_TASK, &task_reader);
    s->plans[1].reader = &result_reader;
    s->plans[1].plan = compile(OWN_RESULT, &result_reader);
    s->plans[2].reader = &event_reader;
    s->plans[2].plan = compile(OWN_EVENT, &event_reader);
    return s;
}

void schema_shelf_free(struct schema_shelf *s)
{
    for (size_t i = 0; s && i < PLANS; i++)
        avro_plan_free(s->plans[i].plan);
    free(s);
}

const struct avro_plan *schema_shelf_plan(struct schema_shelf *s, uint32_t id, const struct avro_record *reader)
{
    if (id != SCHEMA_TASK && id != SCHEMA_RESULT && id != SCHEMA_EVENT && id != SCHEMA_SLOW)
        return NULL;
    for (size_t i = 0; i < PLANS; i++)
        if (s->plans[i].reader == reader)
            return s->plans[i].plan;
    bug("a reader that nobody has");
}
