/* Actions: written, read by avro-c against schemas/, read back by us; their keys and ids. */
#include "helper_avro.h"

#include <stdio.h>
#include <stdlib.h>

#include <avro.h>

#include "stepmill/action.h"
#include "stepmill/wire_format.h"

static const struct action_letter letters[] = {{SLICE("t:0:1")}, {SLICE("t:1:2")}};
static const struct action_term filter[] = {{SLICE("agent"), SLICE("search")}};
static const struct action_count counts[] = {{SLICE("eligible"), 7}, {SLICE("parked"), 1}};

static struct action full(void)
{
    return (struct action){.id = SLICE("0198c0de-0000-7000-8000-000000000001"),
                           .at_ms = 1767225600123,
                           .kind = SLICE("job_requested"),
                           .actor = SLICE("ann"),
                           .actor_kind = SLICE("user"),
                           .reason = SLICE("fixed \xe2\x98\x95"),
                           .request = SLICE("r-1"),
                           .letter = SLICE("t:0:1"),
                           .group = SLICE("0123456789abcdef"),
                           .job = SLICE("j-1"),
                           .name = SLICE("n"),
                           .detail = SLICE("d"),
                           .due_at_ms = 1767229200000,
                           .letters = letters,
                           .nletters = 2,
                           .last = true,
                           .filter = filter,
                           .nfilter = 1,
                           .counts = counts,
                           .ncounts = 2,
                           .cap = 100,
                           .rate = 20,
                           .canary = 3,
                           .from_start = true,
                           .redrives = 2,
                           .topic = SLICE("agent.tasks.search"),
                           .task_id = SLICE("t-9"),
                           .edited = true};
}

/* avro-c decodes the bytes by our schema and encodes them again: the same bytes must come out, with none left over. */
static void assert_avro_c_agrees(struct slice avro)
{
    struct slice text = own_schema_text(OWN_ACTION);
    avro_schema_t schema;
    avro_value_iface_t *class;
    avro_value_t value;
    char *again = malloc(avro.len + 1);
    avro_reader_t reader = avro_reader_memory(avro.at, (int64_t)avro.len);
    avro_writer_t writer = avro_writer_memory(again, (int64_t)avro.len + 1);

    assert_int_equal(avro_schema_from_json_length(text.at, text.len, &schema), 0);
    class = avro_generic_class_from_schema(schema);
    assert_int_equal(avro_generic_value_new(class, &value), 0);
    if (avro_value_read(reader, &value))
        fail_msg("avro-c: %s", avro_strerror());
    assert_int_equal(avro_value_write(writer, &value), 0);
    assert_int_equal(avro_writer_tell(writer), avro.len);
    assert_memory_equal(again, avro.at, avro.len);
    avro_value_decref(&value);
    avro_value_iface_decref(class);
    avro_schema_decref(schema);
    avro_reader_free(reader);
    avro_writer_free(writer);
    free(again);
}

static struct slice encode(struct buf *b, const struct action *a)
{
    struct slice avro;
    uint32_t id;

    action_put(b, 7, a);
    assert_false(b->failed);
    assert_fine(wire_parse(buf_slice(b), &id, &avro), "");
    assert_int_equal(id, 7);
    return avro;
}

static void assert_round_trip(const struct action *in)
{
    struct avro_plan *plan = own_plan(OWN_ACTION, &action_reader);
    struct arena *arena = arena_new(1 << 20);
    struct buf a = BUF(1 << 20), b = BUF(1 << 20);
    struct slice avro = encode(&a, in), copy = exact(avro);
    struct action out;
    struct detail detail;

    assert_avro_c_agrees(avro);
    assert_fine(action_read(plan, copy, arena, &out, &detail), detail.text);
    assert_true(slice_equal(encode(&b, &out), avro));
    assert_int_equal(out.due_at_ms, in->due_at_ms);
    assert_int_equal(out.nletters, in->nletters);
    assert_int_equal(out.edited, in->edited);
    buf_free(&a);
    buf_free(&b);
    free((void *)(uintptr_t)copy.at);
    arena_free(arena);
    avro_plan_free(plan);
}

static void actions_go_there_and_back(void **state)
{
    struct action bare = {.id = SLICE("i"), .kind = SLICE("noted"), .actor = SLICE("a"), .due_at_ms = -1}, all = full();

    (void)state;
    assert_round_trip(&bare);
    assert_round_trip(&all);
}

static void kinds_have_names_of_their_own(void **state)
{
    (void)state;
    for (enum action_kind k = 0; k < ACTION_KINDS; k++)
        assert_int_equal(action_kind_of(slice_of(action_kind_name(k))), k);
    assert_int_equal(action_kind_of(SLICE("melted")), ACTION_KINDS);
}

/* What one thing is decided by lies in one partition: a job's own records by the job, what it did to a letter by the letter. */
static void keys_keep_things_in_order(void **state)
{
    struct action a = full();

    (void)state;
    assert_slice(action_key(&a), "j-1");
    a.kind = SLICE("redriven");
    assert_slice(action_key(&a), "t:0:1");
    a.kind = SLICE("skipped");
    assert_slice(action_key(&a), "t:0:1");
    a = (struct action){.kind = SLICE("group_resolved"), .group = SLICE("g"), .id = SLICE("i")};
    assert_slice(action_key(&a), "g");
    a = (struct action){.kind = SLICE("exported"), .id = SLICE("i")};
    assert_slice(action_key(&a), "i");
}

static void ids_follow_from_what_is_asked(void **state)
{
    char a[37], b[37];

    (void)state;
    action_id_of(a, SLICE("ann"), SLICE("key"), SLICE("x"));
    action_id_of(b, SLICE("ann"), SLICE("key"), SLICE("x"));
    assert_string_equal(a, b);
    assert_int_equal(a[14], '8');
    action_id_of(b, SLICE("annk"), SLICE("ey"), SLICE("x"));
    assert_string_not_equal(a, b);
    action_new_id(a, 1);
    action_new_id(b, 1);
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), 36);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(actions_go_there_and_back),
        cmocka_unit_test(kinds_have_names_of_their_own),
        cmocka_unit_test(keys_keep_things_in_order),
        cmocka_unit_test(ids_follow_from_what_is_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
