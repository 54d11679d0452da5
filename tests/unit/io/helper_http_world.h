/* A loop, an HTTP client and the fake server together, and what a request brought. */
#ifndef STEPMILL_TEST_HELPER_HTTP_WORLD_H
#define STEPMILL_TEST_HELPER_HTTP_WORLD_H

#include "helper_http.h"
#include "stepmill/http_client.h"

struct world {
    struct http_fake fake;
    struct loop *loop;
    struct http_client *client;
    struct http_endpoint *endpoint; /* http://127.0.0.1:<fake>, NULL until needed */
    size_t max_connections;         /* of the endpoint; 0: default */
    char url[128];
};

/* What came of one request. Zero it, point `world` at the world, and send. */
struct got {
    struct world *world;
    uint64_t id;
    int count; /* completions */
    struct error error;
    char detail[512];
    int status, version;
    bool sent, reused;
    char body[64 * 1024];
    size_t body_len;
    char type[64], retry_after[64], last[64]; /* headers Content-Type, Retry-After, X-Last; "-" when absent */
    size_t head_len;
    struct ticket ticket;
    int64_t connected_us, first_byte_us, total_us;
};

void world_open(struct world *w);
void world_close(struct world *w);
struct http_endpoint *world_endpoint(struct world *w);
/* http_done whose ctx is a struct got. */
void got_answer(void *ctx, const struct http_answer *a);
/* A GET of `path` with done = got_answer, to be changed before sending. */
struct http_request get_request(struct got *g, const char *path);
void send_request(struct got *g, const struct http_request *r);
/* Turns the loop until `g` has its completion (fails after 20 s), and a little longer to catch a second one. */
void await(struct got *g);
/* All of it: send, wait. */
void fetch(struct world *w, struct got *g, const char *path);
/* Turns the loop for `ms`. */
void world_turn_for(struct world *w, int64_t ms);

#endif
