/* The simulated models and tools: what arrives, whether it is carried out, what comes back and when. */
#ifndef SIM_HTTP_HOSTS_H
#define SIM_HTTP_HOSTS_H

#include "model_script.h"
#include "stepmill/http_client.h"

enum host_kind { HOST_MODEL, HOST_TOOL, HOST_NOBODY };

struct http_port;
struct sim_process;

/* One server; lasts as long as the history. */
struct http_host {
    enum host_kind kind;
    int number;        /* of the model, or of the tool in script_tool_names */
    int64_t out_until; /* an outage, in simulated time */
    int out_status;    /* that it answers meanwhile; 0: refuses connections */
};

/* One request on its way, then its answer on the way back. In the world's memory: it outlives its process. */
struct http_exchange {
    struct http_port *port;
    struct http_host *host;
    uint64_t id;
    struct ticket ticket;
    struct slice key;     /* Idempotency-Key, without quotes */
    struct slice task_id; /* of the key */
    int32_t seq;
    uint64_t body; /* hash */
    bool once;
    int64_t sent_ms;
    size_t max_body;
    /* the answer */
    struct error error;
    int status;
    struct slice head, body_text;
    bool sent; /* a byte may have left */
};

/* The host behind a URL: "http://model-<n>", "http://tool-<name>". */
struct http_host *http_host_of(struct slice url);
void http_hosts_init(void);
/* Ends all outages. */
void http_hosts_heal(void);
/* The request leaves now. */
void http_host_send(struct http_exchange *x);

/* http_client.c: the answer has come to its process, in a turn of its loop. */
void http_client_receive(void *exchange);
struct sim_process *http_port_process(const struct http_port *p);

#endif
