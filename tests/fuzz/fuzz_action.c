/* Fuzzes what was decided about dead letters: bytes under our own schema are refused with a code or read as an action, which can
 * be written and read again as the same; its filter survives as terms.
 */
#include "fuzz_input.h"
#include "redrive.h"
#include "stepmill/action.h"
#include "stepmill/schemas.h"
#include "stepmill/wire_format.h"

static struct avro_plan *own_plan(void)
{
    struct schema *schema;
    struct avro_plan *plan;

    if (failed(schema_parse(own_schema_text(OWN_ACTION), &SCHEMA_LIMITS, &schema, NULL)) ||
        failed(avro_plan_new(schema, &action_reader, &plan, NULL)))
        bug("our own schema can't be read");
    schema_free(schema);
    return plan;
}

static bool same_lists(const struct action *a, const struct action *b)
{
    if (a->nletters != b->nletters || a->nfilter != b->nfilter || a->ncounts != b->ncounts)
        return false;
    for (size_t i = 0; i < a->nletters; i++)
        if (!slice_equal(a->letters[i].id, b->letters[i].id))
            return false;
    for (size_t i = 0; i < a->nfilter; i++)
        if (!slice_equal(a->filter[i].name, b->filter[i].name) || !slice_equal(a->filter[i].value, b->filter[i].value))
            return false;
    for (size_t i = 0; i < a->ncounts; i++)
        if (!slice_equal(a->counts[i].name, b->counts[i].name) || a->counts[i].n != b->counts[i].n)
            return false;
    return true;
}

static bool same(const struct action *a, const struct action *b)
{
    return slice_equal(a->id, b->id) && a->at_ms == b->at_ms && slice_equal(a->kind, b->kind) &&
           slice_equal(a->actor, b->actor) && slice_equal(a->actor_kind, b->actor_kind) && slice_equal(a->reason, b->reason) &&
           slice_equal(a->request, b->request) && slice_equal(a->letter, b->letter) && slice_equal(a->group, b->group) &&
           slice_equal(a->job, b->job) && slice_equal(a->name, b->name) && slice_equal(a->detail, b->detail) &&
           a->due_at_ms == b->due_at_ms && a->last == b->last && a->cap == b->cap && a->rate == b->rate &&
           a->canary == b->canary && a->from_start == b->from_start && a->redrives == b->redrives &&
           slice_equal(a->topic, b->topic) && slice_equal(a->task_id, b->task_id) && a->edited == b->edited && same_lists(a, b);
}

static void check_filter(const struct action *a, struct arena *arena)
{
    struct letter_filter filter, again;
    const struct action_term *terms;
    size_t n;

    if (!filter_from_terms(a->filter, a->nfilter, &filter))
        return;
    if (!filter_to_terms(&filter, arena, &terms, &n) || !filter_from_terms(terms, n, &again))
        bug("a filter that cannot be told again");
    if (again.statuses != filter.statuses || again.family != filter.family || again.from_ms != filter.from_ms ||
        again.to_ms != filter.to_ms || !slice_equal(again.text, filter.text) || !slice_equal(again.agent, filter.agent) ||
        !slice_equal(again.topic, filter.topic) || !slice_equal(again.group, filter.group) || !slice_equal(again.job, filter.job))
        bug("another filter than was told");
}

static void check_read(const struct avro_plan *plan, const struct action *a, struct arena *arena)
{
    struct buf bytes = BUF(2 * ACTION_SIZE_MAX);
    struct detail detail;
    struct action back;
    struct slice avro;
    uint32_t id;

    if (a->nletters > ACTION_LETTERS_MAX || a->nfilter > ACTION_TERMS_MAX || a->ncounts > ACTION_TERMS_MAX)
        bug("a list past its ceiling");
    action_put(&bytes, 7, a);
    if (bytes.failed || failed(wire_parse(buf_slice(&bytes), &id, &avro)) || id != 7)
        bug("an action without a wire header");
    if (failed(action_read(plan, avro, arena, &back, &detail)))
        bug("written, and yet refused: %s", detail.text);
    if (!same(a, &back))
        bug("another action was read than was written");
    if (!slice_equal(action_key(a), action_key(&back)))
        bug("the same action, another partition");
    if (action_kind_of(a->kind) != ACTION_KINDS && !slice_is(a->kind, action_kind_name(action_kind_of(a->kind))))
        bug("a kind under another name");
    buf_free(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct avro_plan *plan;
    struct fuzz_input in = fuzz_begin(data, size);
    struct arena *arena = arena_new(32 << 20);
    struct action a;
    struct detail detail;
    struct error error;

    if (!plan)
        plan = own_plan();
    if (!arena)
        abort();
    error = action_read(plan, fuzz_rest(&in), arena, &a, &detail);
    if (failed(error) && (error.class != CLASS_POISON || !error.code))
        bug("refused without a reason: %s", error.code ? error.code : "");
    if (!failed(error)) {
        check_read(plan, &a, arena);
        check_filter(&a, arena);
    }
    arena_free(arena);
    fuzz_end(&in);
    return 0;
}
