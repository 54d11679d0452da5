/* Plans for Avro records on threads that may wait. */
#include "plans.h"

#include <stdlib.h>

#include "stepmill/wire_format.h"

enum { SLICE_MS = 500, COMPLAIN_SLICES = 20, FIELDS_MAX = 2000 };

struct plans {
    const struct log *log;
    struct loop *loop;
    struct http_client *client;
    struct registry *registry;
};

struct error plans_open(const struct config *config, const struct log *log, struct plans **out)
{
    struct plans *p = calloc(1, sizeof *p);
    struct error error = error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for the schema registry's client");

    *out = NULL;
    if (!p)
        return error;
    p->log = log;
    p->loop = loop_new();
    if (p->loop)
        error = http_client_new(p->loop, log, &(struct http_client_options){0}, &p->client);
    if (p->loop && !failed(error))
        error = registry_new(&(struct registry_options){.loop = p->loop,
                                                        .client = p->client,
                                                        .log = log,
                                                        .config = &config->registry,
                                                        .limits = {.bytes = (size_t)config->limits.schema, .fields = FIELDS_MAX}},
                             &p->registry);
    if (failed(error)) {
        plans_close(p);
        return error;
    }
    *out = p;
    return error_none();
}

void plans_close(struct plans *p)
{
    if (!p)
        return;
    registry_free(p->registry);
    http_client_free(p->client);
    loop_free(p->loop);
    free(p);
}

struct error plans_for(struct plans *p, struct slice value, const struct avro_record *reader, int64_t patience_ms,
                       const atomic_bool *stop, const struct avro_plan **plan, struct slice *avro, uint32_t *schema_id)
{
    struct error error = wire_parse(value, schema_id, avro);
    int64_t slice_ms = patience_ms >= 0 && patience_ms < SLICE_MS ? patience_ms : SLICE_MS;
    const struct schema *schema;
    struct detail detail;

    for (int tries = 1; !failed(error); tries++) {
        error = registry_fetch(p->registry, *schema_id, slice_ms, &schema, &detail);
        if (error.class == CLASS_POISON || error.class == CLASS_INTERNAL)
            return error;
        if (!failed(error))
            return registry_plan(p->registry, *schema_id, reader, plan, &detail);
        if (atomic_load(stop) || (patience_ms >= 0 && tries * slice_ms >= patience_ms))
            return error;
        if (tries % COMPLAIN_SLICES == 0)
            log_warn(p->log, "dlq.schema_pending", LOG_INT("schema_id", *schema_id), LOG_ERROR(error),
                     LOG_TEXT("detail", detail.text));
        error = error_none();
    }
    return error;
}
