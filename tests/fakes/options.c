/* Reading the command line. */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: stepmill-fakes [options]\n"
    "\n"
    "A fake model (OpenAI chat.completions) and fake tools on one port, for tests, demos, benchmarks and development without a "
    "key.\n"
    "\n"
    "  --listen HOST:PORT     address (default 127.0.0.1:28090); port 0 takes a free one. The first line of stdout names it\n"
    "  --processes N          N processes share the port and all counts (default 1)\n"
    "  --script FILE          rules in JSON: what to answer to which call\n"
    "  --model-latency TIME   default latency of the model, e.g. 300ms or 100ms..2s (default 300ms)\n"
    "  --tool-latency TIME    default latency of the tools (default 20ms)\n"
    "  --seed N               of chance, latencies and ids (default 1)\n"
    "  --api-key KEY          model calls without this bearer token get 401 (default: any)\n"
    "  --models A,B           what GET /v1/models lists; any name is answered (default gpt-4o,gpt-4o-mini)\n"
    "  --calls-memory MIB     for counting calls per Idempotency-Key; when full, the oldest are forgotten (default 256)\n"
    "  --record MIB           for GET /fakes/requests (default 16; 0: do not keep requests)\n"
    "  --log                  a line on stderr for each request\n"
    "  --quiet                nothing on stdout\n"
    "  --help, --version\n"
    "\n"
    "  POST /v1/chat/completions   without rules: a call of the request's first tool, then an answer of 1,400 bytes\n"
    "  POST /tools/NAME            any name; {\"params\": {...}}\n"
    "  GET  /fakes/calls?prefix=   calls per Idempotency-Key     GET /fakes/stats, /fakes/requests?prefix=&last=\n"
    "  POST /fakes/rules, /fakes/faults, /fakes/reset\n"
    "\n"
    "A prompt can direct the model itself: [[fake: steps=3 tools=a,b latency=1s fail=500x2]]. tests/fakes/README.md has all of "
    "it.\n";

static bool split_address(struct options *o, const char *address)
{
    const char *colon = strrchr(address, ':');
    int64_t port;

    if (!colon || !span_number(span_of(colon + 1), &port) || port > 65535)
        return false;
    o->host.len = 0;
    if (address[0] == '[' && colon > address + 1 && colon[-1] == ']')
        text_add(&o->host, address + 1, (size_t)(colon - address) - 2);
    else
        text_add(&o->host, address, (size_t)(colon - address));
    o->port = (int)port;
    return true;
}

static bool number(const char *words, int64_t from, int64_t to, int64_t *n)
{
    return span_number(span_of(words), n) && *n >= from && *n <= to;
}

/* False: the value is wrong. */
static bool set(struct options *o, int option, const char *value)
{
    int64_t n = 0;
    bool ok = true;

    switch (option) {
    case 'l':
        return split_address(o, value);
    case 'p':
        ok = number(value, 1, 64, &n);
        o->processes = (int)n;
        return ok;
    case 's':
        o->script = value;
        return true;
    case 'm':
        return duration_parse(span_of(value), &o->model_latency);
    case 't':
        return duration_parse(span_of(value), &o->tool_latency);
    case 'S':
        ok = number(value, 0, INT64_MAX, &n);
        o->seed = (uint64_t)n;
        return ok;
    case 'k':
        o->api_key = value;
        return true;
    case 'M':
        o->models = value;
        return true;
    case 'c':
        ok = number(value, 1, 4000, &n);
        o->call_bytes = (size_t)n << 20;
        return ok;
    case 'r':
        ok = number(value, 0, 4000, &n);
        o->request_bytes = (size_t)n << 20;
        return ok;
    case 'L':
        return o->log = true;
    default:
        return o->quiet = true;
    }
}

enum options_outcome options_read(struct options *o, int argc, char **argv)
{
    static const struct option known[] = {
        {"listen", 1, NULL, 'l'},       {"processes", 1, NULL, 'p'}, {"script", 1, NULL, 's'},  {"model-latency", 1, NULL, 'm'},
        {"tool-latency", 1, NULL, 't'}, {"seed", 1, NULL, 'S'},      {"api-key", 1, NULL, 'k'}, {"models", 1, NULL, 'M'},
        {"calls-memory", 1, NULL, 'c'}, {"record", 1, NULL, 'r'},    {"log", 0, NULL, 'L'},     {"quiet", 0, NULL, 'q'},
        {"help", 0, NULL, 'h'},         {"version", 0, NULL, 'v'},   {NULL, 0, NULL, 0}};
    int option, which = 0;

    *o = (struct options){.processes = 1,
                          .seed = 1,
                          .models = "gpt-4o,gpt-4o-mini",
                          .call_bytes = 256 << 20,
                          .request_bytes = 16 << 20,
                          .model_latency = {300000, 300000},
                          .tool_latency = {20000, 20000}};
    split_address(o, "127.0.0.1:28090");
    while ((option = getopt_long(argc, argv, "h", known, &which)) != -1) {
        if (option == 'h' || option == 'v') {
            fputs(option == 'h' ? help : "stepmill-fakes " STEPMILL_VERSION "\n", stdout);
            return OPTIONS_SHOWN;
        }
        if (option == '?' || !set(o, option, optarg)) {
            if (option != '?')
                fprintf(stderr, "stepmill-fakes: --%s does not take \"%s\"; see --help\n", known[which].name, optarg);
            return OPTIONS_WRONG;
        }
    }
    if (optind == argc)
        return OPTIONS_RUN;
    fprintf(stderr, "stepmill-fakes: unexpected \"%s\"; see --help\n", argv[optind]);
    return OPTIONS_WRONG;
}
