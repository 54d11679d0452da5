/* Messages and requests as jansson reads them: what was put in is what a server will read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "stepmill/json.h"
#include "stepmill/openai.h"

enum { LIST_MAX = 1 << 20 };

/* The list between brackets, read by a strict parser. */
static json_t *read_list(struct buf *list)
{
    struct buf text = BUF(LIST_MAX);
    json_t *value;

    assert_false(list->failed);
    buf_put_byte(&text, '[');
    buf_put_slice(&text, buf_slice(list));
    buf_put_byte(&text, ']');
    value = json_loadb(text.at, text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    assert_non_null(value);
    buf_free(&text);
    return value;
}

static const char *member(const json_t *messages, size_t i, const char *name)
{
    return json_string_value(json_object_get(json_array_get(messages, i), name));
}

static void a_conversation_in_order(void **state)
{
    const struct context_entry context[] = {
        {SLICE("a"), SLICE("1 \"quoted\"")}, {SLICE("meta.trace"), SLICE("hidden")}, {SLICE("z\n"), SLICE("\xc3\xa9")}};
    const struct tool_call calls[] = {{SLICE("call_1"), SLICE("lookup"), SLICE("{\"q\": [1, \"\\u00e9\"]}")},
                                      {SLICE("call_2"), SLICE("notify"), SLICE("{}")}};
    const struct event_model_answered asks = {.calls = calls, .ncalls = 2}, says = {.content = SLICE("done \"now\"\n")};
    const struct event_tool_answered answer = {.call_id = SLICE("call_1"), .content = SLICE("{\"rows\":[1,2]}")};
    struct buf list = BUF(LIST_MAX);
    json_t *m, *call;

    (void)state;
    openai_put_system(&list, SLICE("You are \"it\"."));
    openai_put_turn(&list, &(struct turn){SLICE("user"), SLICE("before")});
    openai_put_turn(&list, &(struct turn){SLICE("assistant"), SLICE("earlier")});
    openai_put_user(&list, SLICE("What\tnow?"), context, 3);
    openai_put_assistant(&list, &asks);
    openai_put_tool(&list, &answer);
    openai_put_assistant(&list, &says);
    m = read_list(&list);
    assert_int_equal(json_array_size(m), 7);
    assert_string_equal(member(m, 0, "role"), "system");
    assert_string_equal(member(m, 0, "content"), "You are \"it\".");
    assert_string_equal(member(m, 1, "role"), "user");
    assert_string_equal(member(m, 2, "role"), "assistant");
    assert_string_equal(member(m, 2, "content"), "earlier");
    assert_string_equal(member(m, 3, "role"), "user");
    assert_string_equal(member(m, 3, "content"), "Context:\n{\"a\":\"1 \\\"quoted\\\"\",\"z\\n\":\"\xc3\xa9\"}\n\nWhat\tnow?");
    assert_true(json_is_null(json_object_get(json_array_get(m, 4), "content")));
    call = json_array_get(json_object_get(json_array_get(m, 4), "tool_calls"), 0);
    assert_string_equal(json_string_value(json_object_get(call, "id")), "call_1");
    assert_string_equal(json_string_value(json_object_get(call, "type")), "function");
    assert_string_equal(json_string_value(json_object_get(json_object_get(call, "function"), "name")), "lookup");
    /* as the model wrote them, white space and escapes too */
    assert_string_equal(json_string_value(json_object_get(json_object_get(call, "function"), "arguments")),
                        "{\"q\": [1, \"\\u00e9\"]}");
    assert_string_equal(member(m, 5, "role"), "tool");
    assert_string_equal(member(m, 5, "tool_call_id"), "call_1");
    assert_string_equal(member(m, 5, "content"), "{\"rows\":[1,2]}");
    assert_string_equal(member(m, 6, "content"), "done \"now\"\n");
    assert_null(json_object_get(json_array_get(m, 6), "tool_calls"));
    json_decref(m);
    buf_free(&list);
}

static void without_context_the_prompt_stands_alone(void **state)
{
    const struct context_entry hidden[] = {{SLICE("meta.a"), SLICE("1")}, {SLICE("meta."), SLICE("2")}};
    struct buf list = BUF(LIST_MAX);
    json_t *m;

    (void)state;
    openai_put_system(&list, SLICE("")); /* nothing */
    openai_put_user(&list, SLICE("p"), NULL, 0);
    openai_put_user(&list, SLICE("p\0q"), hidden, 2);
    openai_put_assistant(&list, &(struct event_model_answered){.content = {NULL, 0}});
    openai_put_tool(&list, &(struct event_tool_answered){.call_id = SLICE("c"), .content = {NULL, 0}});
    m = read_list(&list);
    assert_string_equal(member(m, 0, "content"), "p");
    assert_int_equal(json_string_length(json_object_get(json_array_get(m, 1), "content")), 3);
    assert_string_equal(member(m, 2, "content"), ""); /* null is allowed only beside tool calls */
    assert_string_equal(member(m, 3, "content"), "");
    json_decref(m);
    buf_free(&list);
}

/* What servers refuse to read back must not stay in the conversation, or the task can never go on. */
static void a_models_slips_are_made_readable(void **state)
{
    static const struct {
        const char *name, *arguments, *want_name, *want_arguments;
    } cases[] = {
        {"functions.search", "{}", "functions_search", "{}"},
        {"", "{\"a\":1", "unnamed", "{\"invalid_arguments\":\"{\\\"a\\\":1\"}"},
        {"a b\n\xc3\xa9", "[1]", "a_b___", "{\"invalid_arguments\":\"[1]\"}"},
        {"x", "not json \x01", "x", "{\"invalid_arguments\":\"not json \\u0001\"}"},
        {"0123456789012345678901234567890123456789012345678901234567890123456789", "{} ",
         "0123456789012345678901234567890123456789012345678901234567890123", "{} "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tool_call call = {SLICE("c"), slice_of(cases[i].name), slice_of(cases[i].arguments)};
        struct buf list = BUF(LIST_MAX);
        json_t *m, *function;

        openai_put_assistant(&list, &(struct event_model_answered){.calls = &call, .ncalls = 1, .content = SLICE("")});
        m = read_list(&list);
        function = json_object_get(json_array_get(json_object_get(json_array_get(m, 0), "tool_calls"), 0), "function");
        assert_string_equal(json_string_value(json_object_get(function, "name")), cases[i].want_name);
        assert_string_equal(json_string_value(json_object_get(function, "arguments")), cases[i].want_arguments);
        assert_true(json_valid_object(slice_of(json_string_value(json_object_get(function, "arguments")))));
        assert_string_equal(member(m, 0, "content"), "");
        json_decref(m);
        buf_free(&list);
    }
}

static void a_full_list_says_so(void **state)
{
    const struct context_entry context[] = {{SLICE("k"), SLICE("a value that is long enough to need room of its own")}};
    const size_t whole =
        strlen("{'role':'user','content':'Context:\\n{\\'k\\':\\'a value that is long enough to need room of its own\\'}"
               "\\n\\nprompt'}");
    char arguments[300];
    const struct tool_call call = {SLICE("c"), SLICE("n"), {arguments, sizeof arguments}};

    (void)state;
    memset(arguments, 'x', sizeof arguments); /* not JSON: wrapped first, in a buffer of the same ceiling */
    for (size_t max = 0; max < 400; max++) {
        struct buf list = BUF(max), other = BUF(max);

        openai_put_user(&list, SLICE("prompt"), context, 1);
        assert_int_equal(list.failed, max < whole);
        openai_put_assistant(&other, &(struct event_model_answered){.calls = &call, .ncalls = 1});
        assert_true(other.failed);
        buf_free(&list);
        buf_free(&other);
    }
}

static json_t *read_request(const struct openai_request *request)
{
    struct buf body = BUF(LIST_MAX);
    json_t *value;

    openai_put_head(&body, request);
    buf_put_text(&body, "{\"role\":\"user\",\"content\":\"p\"}");
    buf_put_slice(&body, OPENAI_TAIL);
    assert_false(body.failed);
    value = json_loadb(body.at, body.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(value);
    buf_free(&body);
    return value;
}

static void a_request_holds_what_was_asked(void **state)
{
    const struct openai_tool tools[] = {{SLICE("lookup"), SLICE("Finds \"x\""), SLICE("{\"type\":\"object\",\"properties\":{}}")},
                                        {SLICE("ping"), {NULL, 0}, {NULL, 0}}};
    json_t *r = read_request(&(struct openai_request){.model = SLICE("gpt-4o"),
                                                      .tools = tools,
                                                      .ntools = 2,
                                                      .has_temperature = true,
                                                      .temperature = 0.2,
                                                      .has_seed = true,
                                                      .seed = -7,
                                                      .has_max_tokens = true,
                                                      .max_tokens = 512,
                                                      .extra = SLICE("{\"top_p\": 0.9, \"a\\\"b\":[1,{\"c\":2}]}")});
    json_t *function = json_object_get(json_array_get(json_object_get(r, "tools"), 0), "function");

    (void)state;
    assert_string_equal(json_string_value(json_object_get(r, "model")), "gpt-4o");
    assert_true(json_is_false(json_object_get(r, "stream")));
    assert_true(json_real_value(json_object_get(r, "temperature")) == 0.2);
    assert_int_equal(json_integer_value(json_object_get(r, "seed")), -7);
    assert_int_equal(json_integer_value(json_object_get(r, "max_tokens")), 512);
    assert_true(json_real_value(json_object_get(r, "top_p")) == 0.9);
    assert_int_equal(json_array_size(json_object_get(r, "a\"b")), 2);
    assert_int_equal(json_array_size(json_object_get(r, "tools")), 2);
    assert_string_equal(json_string_value(json_object_get(function, "name")), "lookup");
    assert_string_equal(json_string_value(json_object_get(function, "description")), "Finds \"x\"");
    assert_true(json_is_object(json_object_get(function, "parameters")));
    function = json_object_get(json_array_get(json_object_get(r, "tools"), 1), "function");
    assert_int_equal(json_object_size(function), 1);
    assert_int_equal(json_array_size(json_object_get(r, "messages")), 1);
    json_decref(r);
}

static void what_is_not_set_is_not_sent(void **state)
{
    json_t *r = read_request(&(struct openai_request){.model = SLICE("m"), .temperature = 1, .seed = 1, .max_tokens = 1});

    (void)state;
    assert_int_equal(json_object_size(r), 3); /* model, stream, messages */
    json_decref(r);
}

static void extra_counts_but_never_twice(void **state)
{
    json_t *r =
        read_request(&(struct openai_request){.model = SLICE("m"),
                                              .has_temperature = true,
                                              .temperature = 1,
                                              .has_seed = true,
                                              .seed = 1,
                                              .has_max_tokens = true,
                                              .max_tokens = 100,
                                              .extra = SLICE("{\"temperature\":0.5,\"model\":\"other\",\"messages\":[],"
                                                             "\"stream\":true,\"max_completion_tokens\":9,\"seed\":null}")});

    (void)state;
    assert_true(json_real_value(json_object_get(r, "temperature")) == 0.5);
    assert_string_equal(json_string_value(json_object_get(r, "model")), "other");
    assert_true(json_is_null(json_object_get(r, "seed")));
    assert_null(json_object_get(r, "max_tokens"));
    assert_int_equal(json_integer_value(json_object_get(r, "max_completion_tokens")), 9);
    assert_true(json_is_false(json_object_get(r, "stream")));
    assert_int_equal(json_array_size(json_object_get(r, "messages")), 1);
    json_decref(r);
}

static void real_numbers_are_written_short_and_exact(void **state)
{
    static const struct {
        double value;
        const char *want;
    } cases[] = {{0, "0"}, {0.2, "0.2"}, {1, "1"}, {1.0 / 3, "0.3333333333333333"}, {0.1 + 0.2, "0.30000000000000004"}, {2, "2"}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf head = BUF(1000);
        char want[64];

        openai_put_head(&head,
                        &(struct openai_request){.model = SLICE("m"), .has_temperature = true, .temperature = cases[i].value});
        snprintf(want, sizeof want, ",\"temperature\":%s,", cases[i].want);
        assert_non_null(strstr(buf_text(&head), want));
        buf_free(&head);
    }
}

/* Two definitions that differ anywhere have different texts, even if their parts joined are equal. */
static void definitions_are_told_apart(void **state)
{
    const struct openai_tool ab[] = {{SLICE("a"), SLICE("b"), SLICE("{}")}}, ba[] = {{SLICE("ab"), {NULL, 0}, SLICE("{}")}};
    struct buf one = BUF(1000), two = BUF(1000);

    (void)state;
    openai_put_definition(&one, SLICE("p"), ab, 1);
    openai_put_definition(&two, SLICE("p"), ba, 1);
    assert_string_not_equal(buf_text(&one), buf_text(&two));
    assert_true(json_valid_object(buf_slice(&one)) && json_valid_object(buf_slice(&two)));
    buf_free(&one);
    buf_free(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_conversation_in_order),          cmocka_unit_test(without_context_the_prompt_stands_alone),
        cmocka_unit_test(a_models_slips_are_made_readable), cmocka_unit_test(a_full_list_says_so),
        cmocka_unit_test(a_request_holds_what_was_asked),   cmocka_unit_test(what_is_not_set_is_not_sent),
        cmocka_unit_test(extra_counts_but_never_twice),     cmocka_unit_test(real_numbers_are_written_short_and_exact),
        cmocka_unit_test(definitions_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
