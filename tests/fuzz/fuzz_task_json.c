/* Fuzzes `stepmill produce`: a line of JSON that is taken and passes the check becomes Avro that the worker reads as the same
 * task.
 */
#include "fuzz_input.h"
#include "stepmill/input_hash.h"
#include "stepmill/schemas.h"
#include "stepmill/task_json.h"
#include "stepmill/wire_format.h"

static const int64_t NOW_MS = INT64_C(1795247251000);

static struct avro_plan *own_plan(void)
{
    struct schema *schema;
    struct avro_plan *plan;

    if (failed(schema_parse(own_schema_text(OWN_TASK), &SCHEMA_LIMITS, &schema, NULL)) ||
        failed(avro_plan_new(schema, &task_reader, &plan, NULL)))
        bug("our own schema can't be read");
    schema_free(schema);
    return plan;
}

static void check_written(const struct avro_plan *plan, const struct task_input *task, struct arena *arena)
{
    struct buf bytes = BUF(1 << 20);
    struct detail detail;
    struct task_input back;
    struct digest ours, theirs;
    struct slice avro;
    uint32_t id;

    task_put(&bytes, 7, task);
    if (bytes.failed || failed(wire_parse(buf_slice(&bytes), &id, &avro)) || id != 7)
        bug("a task without a wire header");
    if (failed(task_read(plan, avro, SLICE("search"), arena, &back, &detail)))
        bug("checked, and yet refused: %s", detail.text);
    theirs = input_hash(&back);
    ours = input_hash(task);
    if (task->ncontext < 2 && memcmp(&ours, &theirs, sizeof ours) != 0) /* only a read context is sorted */
        bug("another task was read than was written");
    if (back.created_at_ms != task->created_at_ms || back.deadline_at_ms != task->deadline_at_ms ||
        back.max_steps != task->max_steps || back.ncontext != task->ncontext || !slice_equal(back.prompt, task->prompt))
        bug("a field is lost on the way");
    buf_free(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct avro_plan *plan;
    struct fuzz_input in = fuzz_begin(data, size);
    struct arena *arena = arena_new(4 << 20);
    struct task_input task = {.task_id = SLICE("t"),
                              .source_agent = SLICE("cli"),
                              .target_agent = SLICE("search"),
                              .session_id = SLICE("s"),
                              .prompt = SLICE("p"),
                              .max_steps = -1,
                              .token_budget = -1,
                              .created_at_ms = NOW_MS,
                              .deadline_at_ms = -1};
    struct detail detail;

    if (!plan)
        plan = own_plan();
    if (arena && !failed(task_json_read(fuzz_rest(&in), NOW_MS, arena, &task, &detail)) &&
        !failed(task_check(&task, SLICE("search"), &detail)))
        check_written(plan, &task, arena);
    arena_free(arena);
    fuzz_end(&in);
    return 0;
}
