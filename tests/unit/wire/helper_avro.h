/* What the tests of Avro share: schemas and plans in one call, hex to bytes. */
#ifndef HELPER_AVRO_H
#define HELPER_AVRO_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stepmill/avro_plan.h"
#include "stepmill/event_codec.h"
#include "stepmill/result_codec.h"
#include "stepmill/schema.h"
#include "stepmill/schemas.h"
#include "stepmill/task_codec.h"

/* These fail the test when something is wrong. */
struct schema *schema_of(const char *text);
struct avro_plan *plan_of(const char *text, const struct avro_record *reader);
struct avro_plan *own_plan(enum own_schema which, const struct avro_record *reader);
/* Free with free(). */
struct slice bytes_of(const char *hex);
/* A copy of exactly its size, so that asan sees each byte read beyond it. Free with free(). */
struct slice exact(struct slice s);

void assert_slice(struct slice s, const char *text);
void assert_fails(struct error e, const char *code);
void assert_fine(struct error e, const char *detail);

#endif
