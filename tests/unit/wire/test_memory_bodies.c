/* wire without memory: what is said to models and tools and what they answer; tool files. */
#include "memory_faults.h"

#include <stdio.h>
#include <stdlib.h>

#include "helper_tools.h"
#include "stepmill/openai.h"

static const struct openai_tool tools[] = {{SLICE("search"), SLICE("Finds."), SLICE("{\"type\":\"object\"}")},
                                           {SLICE("pay"), SLICE("Pays."), {NULL, 0}}};

static bool messages(void)
{
    static const struct tool_call calls[] = {{SLICE("c1"), SLICE("se arch"), SLICE("{\"q\":1}")},
                                             {SLICE("c2"), SLICE("pay"), SLICE("not JSON")}};
    static const struct context_entry context[] = {{SLICE("colour"), SLICE("blue")}, {SLICE("meta.id"), SLICE("hidden")}};
    struct event_model_answered answer = {.content = SLICE("I look."), .calls = calls, .ncalls = 2};
    struct event_tool_answered told = {.call_id = SLICE("c1"), .content = SLICE("found \"it\"")};
    struct buf list = BUF(1 << 20);

    openai_put_system(&list, SLICE("You help."));
    openai_put_turn(&list, &(struct turn){SLICE("user"), SLICE("Hello.")});
    openai_put_user(&list, SLICE("Find it."), context, 2);
    for (int i = 0; i < 20; i++) {
        openai_put_assistant(&list, &answer);
        openai_put_tool(&list, &told);
    }
    return saw_buf(&list);
}

static bool request(void)
{
    struct openai_request r = {.model = SLICE("gpt-4o"),
                               .tools = tools,
                               .ntools = 2,
                               .has_temperature = true,
                               .temperature = 0.5,
                               .extra = SLICE("{\"top_p\":0.1,\"metadata\":{\"a\":[1,2]}}")};
    struct buf head = BUF(1 << 20);

    openai_put_head(&head, &r);
    openai_put_definition(&head, SLICE("You help."), tools, 2);
    return saw_buf(&head);
}

/* Whether the answer was read; an error in it is seen too. */
static bool read_answer(struct slice body)
{
    struct arena *arena = arena_new(1 << 20);
    struct openai_answer a;
    struct error e;
    bool done = arena != NULL;

    if (!done)
        return false;
    e = openai_parse(body, arena, &a);
    done = fine(e);
    if (done) {
        saw(a.content);
        saw_number(a.finish);
        for (size_t i = 0; i < a.ncalls; i++) {
            saw(a.calls[i].id);
            saw(a.calls[i].name);
            saw(a.calls[i].arguments);
        }
    }
    arena_free(arena);
    return done;
}

static bool answers(void)
{
    return read_answer(
               SLICE("{\"model\":\"m\",\"choices\":[{\"finish_reason\":\"stop\",\"message\":{\"content\":\"a \\u00e9\"}}],"
                     "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}")) &&
           read_answer(SLICE("{\"choices\":[{\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"part\"}],\"tool_calls\":["
                             "{\"id\":\"c\",\"function\":{\"name\":\"search\",\"arguments\":\"{\\\"q\\\":1}\"}},"
                             "{\"id\":\"c\",\"function\":{\"name\":\"pay\",\"arguments\":{\"n\":2}}}]}}]}"));
}

/* What an error means does not hang on memory; what the provider says about it is told whole, or not at all. */
static bool provider_error(void)
{
    char message[OPENAI_MESSAGE_MAX + 4];
    struct error e =
        openai_classify(429,
                        SLICE("{\"error\":{\"message\":\"Key sk-abcdefghijklmnopqrstuvwxyz012345 is out of \\u20ac.\","
                              "\"code\":\"insufficient_quota\"}}"),
                        message);

    if (e.class != CLASS_WAIT || strcmp(e.code, "model_quota_exceeded") != 0)
        fail_msg("without memory the error means something else: %s", e.code);
    saw(slice_of(message));
    return message[0] != '\0';
}

static bool tool_bodies(void)
{
    struct arena *arena = arena_new(1 << 20);
    struct buf b = BUF(1 << 10);
    struct slice text;
    bool cut, done = arena && tool_put_request(&b, SLICE("{\"q\":1}"));

    if (arena) {
        text = tool_answer_text(SLICE("an answer \xff that is not UTF-8, and longer than may be"), 40, arena, &cut);
        done = done && text.at;
        saw(text);
    }
    done = saw_buf(&b) && done;
    arena_free(arena);
    return done;
}

static struct tool_folder folder;

/* A set that lacks memory is refused, and not one that calls tools without their key. */
static bool tool_files(void)
{
    struct tool_report report;
    struct tool_set *set = tool_set_load(folder.path, &report);

    if (!set && !report.errors)
        fail_msg("no tools, and no problem");
    for (size_t i = 0; set && i < set->ntools; i++) {
        const struct tool_definition *t = &set->tools[i];

        saw(t->name);
        saw(t->version);
        saw(t->description);
        saw(t->parameters);
        saw(t->returns);
        saw(slice_of(t->endpoint));
        saw(slice_of(t->health_url));
        saw(slice_of(t->auth_header));
        saw(slice_of(t->auth_value));
    }
    tool_set_free(set);
    return set;
}

static void put_tool(const char *name, const char *auth)
{
    char text[1024], file[64];

    snprintf(text, sizeof text,
             "{\"name\": \"%s\", \"version\": \"1.0\", \"description\": \"Finds.\", \"parameters\": {\"type\": \"object\"},"
             " \"returns\": {\"type\": \"array\"}, \"endpoint\": \"https://tools.example/${STEPMILL_TEST_KEY}\","
             " \"health_url\": \"https://tools.example/health\", %s, \"timeout_ms\": 2500, \"repeatable\": true}",
             name, auth);
    snprintf(file, sizeof file, "%s.json", name);
    tool_folder_put(&folder, file, slice_of(text));
}

int main(void)
{
    static const struct memory_operation operations[] = {
        {"messages", messages, false},       {"request", request, false},
        {"answers", answers, false},         {"provider's error", provider_error, false},
        {"tool bodies", tool_bodies, false}, {"tool files", tool_files, false},
    };
    int failures;

    setenv("STEPMILL_TEST_KEY", "123", 1);
    folder = tool_folder_new();
    put_tool("a_key", "\"auth_type\": \"api_key\", \"auth\": {\"header\": \"X-Key\", \"value\": \"k-${STEPMILL_TEST_KEY}\"}");
    put_tool("bearer", "\"auth_type\": \"bearer\", \"auth\": {\"value_file\": \"secret.txt\"}");
    put_tool("free", "\"auth_type\": \"none\"");
    tool_folder_put(&folder, "secret.txt", SLICE("sk-1\n"));
    failures = memory_faults_run("bodies and tool files without memory", operations, sizeof operations / sizeof *operations);
    tool_folder_free(&folder);
    return failures;
}
