/* What a model's error answer means: whose fault it is, and whether waiting, another model or nothing helps (DELIVERY §5). */
#include "openai_error.h"

#include "openai_message.h"
#include "stepmill/json.h"
#include "stepmill/openai.h"

enum { MESSAGE_LOOKED_AT = 2048 }; /* bytes: it is searched for phrases on the loop thread */

/* What the body says, wherever its server puts it: {"error":{…}} (OpenAI, llama.cpp, new vLLM), [{"error":{…}}] (Gemini),
 * {"message":…} beside "object":"error" (old vLLM), {"error":"…"} (Ollama), {"detail":"…"} (FastAPI). */
struct said {
    struct slice message; /* raw */
    struct slice code, type;
    int64_t status; /* code, when it is a number; 0: not */
};

static bool is_one_of(struct slice s, const char *const *words)
{
    for (; *words; words++)
        if (slice_is(s, *words))
            return true;
    return false;
}

/* ASCII letters of either case. Messages are free text: what they say is looked for only where the codes are silent. */
static bool mentions(struct slice text, const char *words)
{
    size_t n = strlen(words);

    for (size_t i = 0; i + n <= text.len; i++) {
        size_t k = 0;

        while (k < n && (text.at[i + k] | 0x20) == (words[k] | 0x20))
            k++;
        if (k == n)
            return true;
    }
    return false;
}

static bool mentions_one_of(struct slice text, const char *const *phrases)
{
    for (; *phrases; phrases++)
        if (mentions(text, *phrases))
            return true;
    return false;
}

static void read_member(struct json *j, struct said *said)
{
    bool message = json_key_is(j, "message") || json_key_is(j, "detail"), code = json_key_is(j, "code"),
         type = json_key_is(j, "type");
    bool error = json_key_is(j, "error");

    if (!json_next(j))
        return;
    if (j->token == JSON_TOKEN_STRING && (message || error))
        said->message = utf8_cut(j->raw, MESSAGE_LOOKED_AT);
    else if (j->token == JSON_TOKEN_STRING && code)
        said->code = j->raw;
    else if (j->token == JSON_TOKEN_STRING && type)
        said->type = j->raw;
    else if (code && !json_int(j, 100, 599, &said->status))
        said->status = 0;
    if (!error || j->token != JSON_TOKEN_OBJECT)
        json_skip(j); /* an error object is entered instead: its members come next, also those of an error within */
}

static struct said read_error(struct slice body)
{
    struct json j = json_start(body);
    struct said said = {0};

    if (!json_next(&j))
        return said;
    if (j.token == JSON_TOKEN_ARRAY && !json_next(&j))
        return said;
    while (j.token != JSON_TOKEN_END && json_next(&j))
        if (j.token == JSON_TOKEN_KEY)
            read_member(&j, &said);
    return said;
}

static bool is_refusal(const struct said *said, int status)
{
    static const char *const words[] = {"content_filter",     "content_policy_violation",     "content_policy",
                                        "moderation_blocked", "ResponsibleAIPolicyViolation", NULL};
    static const char *const phrases[] = {"content management policy", "content policy", "your input was flagged",
                                          "data_inspection_failed", NULL};

    if (is_one_of(said->code, words) || is_one_of(said->type, words))
        return true;
    return (status == 400 || status == 403 || status == 422) && mentions_one_of(said->message, phrases);
}

static bool is_too_long(const struct said *said, int status)
{
    static const char *const words[] = {"context_length_exceeded", "exceed_context_size_error", "string_above_max_length", NULL};
    static const char *const phrases[] = {"maximum context length",
                                          "context length exceeded",
                                          "context window",
                                          "available context size",
                                          "prompt is too long",
                                          "reduce the length of the messages",
                                          NULL};

    if (is_one_of(said->code, words) || is_one_of(said->type, words))
        return true;
    return (status == 400 || status == 413 || status == 422) && mentions_one_of(said->message, phrases);
}

static bool is_unpaid(const struct said *said)
{
    static const char *const words[] = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active",
                                        "insufficient_balance", NULL};

    return is_one_of(said->code, words) || is_one_of(said->type, words);
}

static bool is_wrong_key(const struct said *said)
{
    static const char *const words[] = {"invalid_api_key", "authentication_error", NULL};
    static const char *const phrases[] = {"incorrect api key", "invalid api key", "api key not valid", NULL};

    return is_one_of(said->code, words) || is_one_of(said->type, words) || mentions_one_of(said->message, phrases);
}

static struct error unauthorized(void)
{
    return error_make(CLASS_WAIT, "model_unauthorized", "the provider does not accept the key of this model entry; check it");
}

static struct error not_found(void)
{
    return error_make(CLASS_WAIT, "model_not_found", "the provider knows no such model, or the URL of this entry is wrong");
}

static struct error quota_exceeded(void)
{
    return error_make(CLASS_WAIT, "model_quota_exceeded", "the provider's quota is used up or not paid for");
}

static struct error classify_4xx(int status, const struct said *said)
{
    if (status == 429 && is_unpaid(said))
        return quota_exceeded();
    if (status == 429)
        return error_make(CLASS_SLOW_DOWN, "model_rate_limited", "the provider asks for a pause");
    if (status == 401 || status == 407 || (status == 400 && is_wrong_key(said)))
        return unauthorized();
    if (status == 402 || ((status == 400 || status == 403) && is_unpaid(said)))
        return quota_exceeded();
    if (status == 403)
        return error_make(CLASS_WAIT, "model_forbidden", "the provider does not let this key use the model");
    if (status == 404 || status == 405 || status == 410 || slice_is(said->code, "model_not_found"))
        return not_found();
    if (status == 408)
        return error_make(CLASS_AGAIN, "model_http_408", "the provider waited too long for the request");
    if (status == 409)
        return error_make(CLASS_AGAIN, "model_http_409", "the provider reports a conflict");
    if (status == 425)
        return error_make(CLASS_AGAIN, "model_http_425", "the provider asks to send the request again");
    if (status == 413)
        return error_make(CLASS_REJECTED, "model_request_too_large", "the request is larger than the provider takes");
    return error_make(CLASS_REJECTED, "model_request_rejected", "the provider refuses the request as it is");
}

static struct error classify_5xx(int status)
{
    static const char text[] = "the provider failed";

    switch (status) {
    case 500:
        return error_make(CLASS_AGAIN, "model_http_500", text);
    case 502:
        return error_make(CLASS_AGAIN, "model_http_502", text);
    case 503:
        return error_make(CLASS_AGAIN, "model_http_503", text);
    case 504:
        return error_make(CLASS_AGAIN, "model_http_504", text);
    case 529:
        return error_make(CLASS_SLOW_DOWN, "model_overloaded", "the provider is overloaded and asks for a pause");
    default:
        return error_make(CLASS_AGAIN, "model_http_5xx", text);
    }
}

static struct error classify(int status, const struct said *said)
{
    if (status >= 400 && is_refusal(said, status))
        return error_make(CLASS_LIMIT, "refused", "the provider's content filter stopped the request");
    if (status >= 400 && is_too_long(said, status))
        return error_make(CLASS_REJECTED, "context_length_exceeded", "the messages are longer than the model takes");
    if (status >= 500 && status <= 599)
        return classify_5xx(status);
    if (status >= 400 && status <= 499)
        return classify_4xx(status, said);
    if (status >= 300 && status <= 399)
        return error_make(CLASS_WAIT, "model_redirected",
                          "the provider redirects to another address: the URL of this entry is wrong");
    return error_make(CLASS_AGAIN, "model_http_unexpected", "the provider answered with a status that has no meaning here");
}

struct error openai_classify(int status, struct slice body, char *message)
{
    struct said said = read_error(body);

    if (message)
        openai_message(said.message, body, message);
    return classify(status, &said);
}

struct error openai_error_in_answer(struct slice body)
{
    struct said said = read_error(body);

    if (said.status >= 400 || is_refusal(&said, 0) || is_too_long(&said, 0))
        return classify(said.status >= 400 ? (int)said.status : 400, &said);
    return error_make(CLASS_AGAIN, "model_answer_error", "the model's answer is an error under status 200");
}
