/* Error answers as providers and servers really write them: class, code, and a message without keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "stepmill/openai.h"
#include "stepmill/utf8.h"

struct refusal {
    int status;
    const char *body;
    enum error_class class;
    const char *code, *message;
};

/* clang-format off: status, body, then what is made of it */
static const struct refusal refusals[] = {
    /* OpenAI */
    {429,
     "{\"error\":{\"message\":\"Rate limit reached for "
     "gpt-4o\",\"type\":\"requests\",\"param\":null,\"code\":\"rate_limit_exceeded\"}}",
     CLASS_SLOW_DOWN, "model_rate_limited", "Rate limit reached for gpt-4o"},
    {429,
     "{\"error\":{\"message\":\"You exceeded your current "
     "quota\",\"type\":\"insufficient_quota\",\"param\":null,\"code\":\"insufficient_quota\"}}",
     CLASS_WAIT, "model_quota_exceeded", "You exceeded your current quota"},
    {401,
     "{\"error\":{\"message\":\"Incorrect API key provided: sk-proj-abcd1234efgh5678. You can find it at "
     "https://x.example/keys.\",\"code\":\"invalid_api_key\"}}",
     CLASS_WAIT, "model_unauthorized", "Incorrect API key provided: [hidden]. You can find it at https://x.example/keys."},
    {404,
     "{\"error\":{\"message\":\"The model `gpt-9` does not "
     "exist\",\"type\":\"invalid_request_error\",\"code\":\"model_not_found\"}}",
     CLASS_WAIT, "model_not_found", "The model `gpt-9` does not exist"},
    {400,
     "{\"error\":{\"message\":\"This model's maximum context length is 8192 "
     "tokens.\",\"type\":\"invalid_request_error\",\"param\":\"messages\",\"code\":\"context_length_exceeded\"}}",
     CLASS_REJECTED, "context_length_exceeded", "This model's maximum context length is 8192 tokens."},
    {400,
     "{\"error\":{\"message\":\"Invalid "
     "'temperature'\",\"type\":\"invalid_request_error\",\"param\":\"temperature\",\"code\":null}}",
     CLASS_REJECTED, "model_request_rejected", "Invalid 'temperature'"},
    {403, "{\"error\":{\"message\":\"Country not supported\",\"code\":\"unsupported_country_region_territory\"}}", CLASS_WAIT,
     "model_forbidden", "Country not supported"},
    {500, "{\"error\":{\"message\":\"The server had an error\",\"type\":\"server_error\"}}", CLASS_AGAIN, "model_http_500",
     "The server had an error"},
    {503, "", CLASS_AGAIN, "model_http_503", ""},
    /* Azure */
    {400,
     "{\"error\":{\"message\":\"The response was filtered due to the prompt triggering Azure OpenAI's content management "
     "policy.\",\"type\":null,\"param\":\"prompt\",\"code\":\"content_filter\",\"status\":400,\"innererror\":{\"code\":"
     "\"ResponsibleAIPolicyViolation\",\"message\":\"inner\"}}}",
     CLASS_LIMIT, "refused", "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."},
    {400, "{\"error\":{\"code\":\"content_policy_violation\",\"message\":\"no\"}}", CLASS_LIMIT, "refused", "no"},
    /* OpenRouter: one user's input must not close the endpoint for all */
    {403,
     "{\"error\":{\"code\":403,\"message\":\"The model requires moderation and your input was "
     "flagged\",\"metadata\":{\"reasons\":[\"x\"]}}}",
     CLASS_LIMIT, "refused", "The model requires moderation and your input was flagged"},
    {402, "{\"error\":{\"code\":402,\"message\":\"Insufficient credits\"}}", CLASS_WAIT, "model_quota_exceeded",
     "Insufficient credits"},
    /* vLLM, old and new */
    {400,
     "{\"object\":\"error\",\"message\":\"This model's maximum context length is 4096 tokens. However, you requested 5000 "
     "tokens.\",\"type\":\"BadRequestError\",\"param\":null,\"code\":400}",
     CLASS_REJECTED, "context_length_exceeded",
     "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens."},
    {404, "{\"error\":{\"message\":\"The model `x` does not exist.\",\"type\":\"NotFoundError\",\"param\":null,\"code\":404}}",
     CLASS_WAIT, "model_not_found", "The model `x` does not exist."},
    {422, "{\"detail\":[{\"loc\":[\"body\",\"messages\"],\"msg\":\"field required\"}]}", CLASS_REJECTED, "model_request_rejected",
     NULL},
    {404, "{\"detail\":\"Not Found\"}", CLASS_WAIT, "model_not_found", "Not Found"},
    /* Ollama */
    {404, "{\"error\":\"model 'llama9' not found\"}", CLASS_WAIT, "model_not_found", "model 'llama9' not found"},
    /* llama.cpp */
    {503, "{\"error\":{\"code\":503,\"message\":\"Loading model\",\"type\":\"unavailable_error\"}}", CLASS_AGAIN,
     "model_http_503", "Loading model"},
    {400,
     "{\"error\":{\"code\":400,\"message\":\"the request exceeds the available context size, try increasing "
     "it\",\"type\":\"exceed_context_size_error\",\"n_prompt_tokens\":9,\"n_ctx\":8}}",
     CLASS_REJECTED, "context_length_exceeded", "the request exceeds the available context size, try increasing it"},
    /* Gemini: an array, and a wrong key under 400 */
    {429, "[{\"error\":{\"code\":429,\"message\":\"Resource exhausted\",\"status\":\"RESOURCE_EXHAUSTED\"}}]", CLASS_SLOW_DOWN,
     "model_rate_limited", "Resource exhausted"},
    {400,
     "[{\"error\":{\"code\":400,\"message\":\"API key not valid. Please pass a valid API "
     "key.\",\"status\":\"INVALID_ARGUMENT\"}}]",
     CLASS_WAIT, "model_unauthorized", "API key not valid. Please pass a valid API key."},
    /* Anthropic behind a gateway */
    {529, "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}", CLASS_SLOW_DOWN,
     "model_overloaded", "Overloaded"},
    /* proxies */
    {502, "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n</html>", CLASS_AGAIN, "model_http_502",
     "<html> <head><title>502 Bad Gateway</title></head> </html>"},
    {504, "upstream timed out", CLASS_AGAIN, "model_http_504", "upstream timed out"},
    {520, "", CLASS_AGAIN, "model_http_5xx", ""},
    {408, "", CLASS_AGAIN, "model_http_408", ""},
    {409, "", CLASS_AGAIN, "model_http_409", ""},
    {413, "", CLASS_REJECTED, "model_request_too_large", ""},
    {405, "", CLASS_WAIT, "model_not_found", ""},
    {418, "{\"error\":{\"message\":\"tea\"}}", CLASS_REJECTED, "model_request_rejected", "tea"},
    {301, "", CLASS_WAIT, "model_redirected", ""},
    {204, "", CLASS_AGAIN, "model_http_unexpected", ""},
    /* an error that talks about others' troubles is still what its status says */
    {500, "{\"error\":{\"message\":\"invalid api key in our vault\"}}", CLASS_AGAIN, "model_http_500",
     "invalid api key in our vault"},
    {429, "{\"error\":{\"message\":\"try again within the context window\"}}", CLASS_SLOW_DOWN, "model_rate_limited",
     "try again within the context window"},
    {502, "{\"error\":{\"message\":\"outer\",\"error\":{\"message\":\"inner\",\"code\":\"context_length_exceeded\"}}}",
     CLASS_REJECTED, "context_length_exceeded", "inner"},
    {400, "{\"error\":{\"param\":{\"message\":\"deep\",\"code\":\"content_filter\"},\"message\":\"top\"}}", CLASS_REJECTED,
     "model_request_rejected", "top"},
};
/* clang-format on */

static void each_refusal_has_its_class(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        char message[OPENAI_MESSAGE_MAX + 4];
        struct error e = openai_classify(refusals[i].status, slice_of(refusals[i].body), message);

        if (e.class != refusals[i].class || strcmp(e.code, refusals[i].code) != 0)
            fail_msg("%d %s: %s %s", refusals[i].status, refusals[i].body, error_class_name(e.class), e.code);
        if (refusals[i].message)
            assert_string_equal(message, refusals[i].message);
        assert_true(openai_classify(refusals[i].status, slice_of(refusals[i].body), NULL).class == e.class);
    }
}

static void keys_are_hidden_and_names_are_not(void **state)
{
    static const char *const cases[][2] = {
        {"key sk-abcdef123456 is bad", "key [hidden] is bad"},
        {"\"sk-proj-A1_b2-C3d4e5f6\"", "\"[hidden]\""},
        {"Authorization: Bearer abc", "Authorization: Bearer [hidden]"},
        {"key=AIzaSyA1234 api_key=sk-12345678", "key=[hidden] api_key=[hidden]"},
        {"0123456789abcdef0123456789abcdef", "[hidden]"},
        {"eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.abc", "[hidden]"},
        {"(abcd****wxyz)", "([hidden])"},
        {"gpt-4o-mini-2024-07-18 on 2026-01-01T00:00:00Z", "gpt-4o-mini-2024-07-18 on 2026-01-01T00:00:00Z"},
        {"meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-8B-Instruct"},
        {"request 123e4567-e89b-12d3-a456-426614174000", "request 123e4567-e89b-12d3-a456-426614174000"},
        {"skip-level sk- task-12345678", "skip-level sk- task-12345678"},
        {"internationalizationalities", "internationalizationalities"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char message[OPENAI_MESSAGE_MAX + 4];

        assert_int_equal(openai_classify(500, slice_of(cases[i][0]), message).class, CLASS_AGAIN);
        assert_string_equal(message, cases[i][1]);
    }
}

static void messages_are_one_bounded_line(void **state)
{
    static char body[5000];
    char message[OPENAI_MESSAGE_MAX + 4];

    (void)state;
    for (int filler = 1; filler < 256; filler++) {
        memset(body, filler, sizeof body - 1);
        memcpy(body, "start\r\n\t of", 11);
        assert_int_equal(openai_classify(500, slice_of(body), message).class, CLASS_AGAIN);
        assert_true(strlen(message) <= OPENAI_MESSAGE_MAX + 3);
        assert_true(utf8_valid(slice_of(message)));
        assert_memory_equal(message, "start", 5);
        for (const char *c = message; *c; c++)
            assert_true((unsigned char)*c >= ' ' && *c != 0x7f);
    }
    assert_int_equal(openai_classify(500, SLICE("{\"error\":\"a\\nb\\u0000c\\ud83d\\ude00\"}"), message).class, CLASS_AGAIN);
    assert_string_equal(message, "a b c\xf0\x9f\x98\x80");
    assert_int_equal(openai_classify(500, (struct slice){NULL, 0}, message).class, CLASS_AGAIN);
    assert_string_equal(message, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_refusal_has_its_class),
        cmocka_unit_test(keys_are_hidden_and_names_are_not),
        cmocka_unit_test(messages_are_one_bounded_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
