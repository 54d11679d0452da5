/* One process of stepmill-fakes: its options, what it knows, and how a request becomes an answer. */
#ifndef FAKES_FAKES_H
#define FAKES_FAKES_H

#include "calls.h"
#include "chat.h"
#include "http.h"
#include "rules.h"
#include "template.h"
#include "toolbox.h"

struct options {
    struct text host; /* of --listen */
    int port;
    int processes;
    const char *script; /* NULL: none */
    struct duration model_latency, tool_latency;
    uint64_t seed;
    const char *api_key; /* NULL: any */
    const char *models;  /* names for GET /v1/models, with commas between */
    size_t call_bytes, request_bytes;
    bool quiet, log;
};

struct fakes {
    const struct options *options;
    struct shared *shared;
    struct span script; /* its text; empty: none */
    struct rule *rules, *outages;
    unsigned settings_seen; /* the settings_version they were read at */
    struct toolbox toolbox;
    uint64_t random;
};

enum delivery { DELIVER, DELIVER_NEVER, DELIVER_RESET, DELIVER_CLOSE, DELIVER_HALF, DELIVER_SLOWLY, DELIVER_ENDLESSLY };

/* What goes back, when and how. Start from {0}; `bytes` is freed by whoever got the answer. */
struct answer {
    struct text bytes; /* head and body */
    size_t head;       /* bytes of the head */
    enum delivery delivery;
    bool close; /* the connection ends with it */
    int64_t latency_us, interval_us;
    int status;
    enum call_kind kind; /* 0: neither a model nor a tool call */
    uint64_t call;       /* its position for calls_answered */
};

/* What rules and templates look at. */
struct view {
    const struct http_request *request;
    const struct chat *chat; /* NULL for a tool */
    struct template_values values;
    struct text user, tool_result, system; /* decoded; values point here */
    char scope[32];                        /* stands for the task where there is no key */
    regmatch_t found[10];
};

/* `f` starts from {0} but for options, shared and script. False: the script is wrong and `why` says how. */
bool fakes_init(struct fakes *f, struct text *why);
void fakes_free(struct fakes *f);

/* Every request comes here. */
void fakes_answer(struct fakes *f, const struct http_request *r, struct answer *a);

/* Chance and latency. */
bool fakes_lucky(struct fakes *f, double chance);
int64_t fakes_pick(struct fakes *f, struct duration d);

/* The kinds of request. */
void model_answer(struct fakes *f, const struct http_request *r, struct answer *a);
void tool_answer(struct fakes *f, const struct http_request *r, struct answer *a);
void control_answer(struct fakes *f, const struct http_request *r, struct answer *a);

/* Building answers. `extra`: further header lines or NULL. */
void answer_put(struct answer *a, int status, const char *type, struct span body, const char *extra);
void answer_error(struct answer *a, int status, const char *code, const char *message, const char *extra);
/* Applies a fault to an answer that is otherwise right: replaces it, or changes its delivery. Kinds that are about what a model
 * says (empty, huge, ...) must have been applied before. */
void answer_fault(struct fakes *f, struct answer *a, const struct fault *fault);

/* The first rule of the list that fits and whose times and chance allow it; fills view.values.capture. NULL: none. */
const struct rule *view_rule(struct fakes *f, const struct rule *list, struct view *v);
/* The scope that counts `times`. */
struct span view_scope(const struct view *v, enum rule_scope per);
/* Decodes what rules and templates need of a model call. */
void view_decode(struct view *v);
void view_free(struct view *v);

/* Directives of the prompt. True: `reply`, `fault` and `*latency` are set. False with `*why`: the directive is wrong. */
struct reply;
bool prompt_directive(struct fakes *f, struct view *v, struct reply *reply, struct fault *fault, struct duration *latency,
                      const char **why);
bool prompt_has_directive(struct span raw);

/* Keeps a copy of the request for GET /fakes/requests, when asked to. */
void record_request(struct fakes *f, const struct http_request *r);
void record_list(struct fakes *f, struct span prefix, size_t last, struct text *out);

#endif
