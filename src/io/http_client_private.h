/* What the files of the HTTP client share: client → endpoints → shards (one curl multi each) → running requests.
 *
 * One curl multi slows with every handle and connection it holds, so an endpoint spreads its requests over shards of few handles.
 * A request goes to the first shard with room: the busy ones stay full and find idle connections, the others run empty and are
 * freed.
 */
#ifndef STEPMILL_IO_HTTP_CLIENT_PRIVATE_H
#define STEPMILL_IO_HTTP_CLIENT_PRIVATE_H

#include <curl/curl.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include "stepmill/http_client.h"
#include "stepmill/list.h"

enum {
    SHARD_REQUESTS = 64,       /* of one multi: see tests/bench/http for the figures behind it */
    SHARD_IDLE_MS = 60 * 1000, /* a shard without requests closes its connections after this */
    EASY_POOL = 256,           /* idle curl handles kept per endpoint */
};

/* One socket from its opening to its closing. libevent keeps watching it between two requests: that saves two system calls each.
 */
struct watch {
    struct event event;
    struct shard *shard; /* whose request uses it, NULL: idle */
    short events;        /* EV_READ, EV_WRITE: watched by libevent now */
    short wanted;        /* what curl asked for; 0: nothing */
    bool opened;         /* by open_socket, so close_socket will come */
};

struct slot {
    struct request *request; /* NULL: free */
    uint32_t generation;
    uint32_t next_free;
};

struct http_client {
    struct loop *loop;
    const struct log *log;
    CURLSH *share;    /* names and TLS sessions, for all shards */
    char *user_agent; /* the whole header line */
    size_t max_connections;
    struct list endpoints;
    struct list hungry;   /* endpoints with waiting requests, by turns */
    struct list finished; /* requests whose completion is due */
    struct loop_timer deliver;
    size_t load;        /* running requests that take a connection each */
    struct slot *slots; /* request id = generation << 32 | slot; slot 0 is not used */
    uint32_t slot_count;
    uint32_t slot_free;     /* first of the free ones, 0: none */
    struct watch **watches; /* by descriptor */
    size_t watch_count;
    struct http_client_stats stats;
};

struct http_endpoint {
    struct list_node node;   /* client.endpoints */
    struct list_node hungry; /* client.hungry */
    struct http_client *client;
    char *url;
    char *ca_file, *cert_file, *key_file;
    char *proxy; /* NULL: the environment's */
    int64_t connect_timeout_ms;
    size_t max_connections;
    bool http1_only;
    bool is_tls;
    bool multiplexed; /* the last answer came over HTTP/2 */
    bool closing;
    struct list shards; /* with room, the fullest first as far as known */
    struct list full;
    struct list waiting;
    size_t running;
    size_t outstanding; /* sent and not yet delivered */
    /* Nearly all requests of an endpoint have one URL: it is parsed once, and the pool's handles keep it. */
    char *usual_url;
    CURLU *parsed;
    CURL *pool[EASY_POOL];
    size_t pooled;
};

struct shard {
    struct list_node node; /* endpoint.shards or endpoint.full */
    struct http_endpoint *endpoint;
    CURLM *multi;
    struct list running;
    struct loop_timer timer; /* curl's next time-out */
    struct loop_timer idle;
};

struct request {
    struct list_node node; /* endpoint.waiting, shard.running or client.finished */
    struct http_endpoint *endpoint;
    struct shard *shard; /* running there, else NULL */
    CURL *easy;          /* NULL: not running */
    struct loop_timer timeout;
    uint64_t id;
    struct ticket ticket;
    http_done *done;
    void *ctx;
    bool (*may_send)(void *ctx);
    int64_t began_us;   /* http_send */
    int64_t started_us; /* given to curl */

    const char *method;
    const char *url;
    struct curl_slist *headers; /* in this allocation */
    struct slice body[HTTP_BODY_PARTS_MAX];
    size_t body_parts;
    size_t body_size;
    size_t read_part, read_at; /* how far curl has read */
    bool gzip;
    bool once;
    bool is_usual; /* of the endpoint's usual URL: its handle belongs to the pool */
    bool is_load;  /* counted in client.load */

    struct buf head;
    struct buf answer;
    bool head_complete;
    bool too_large;
    bool sent;
    bool held_back;
    bool reused;
    int status;
    int version;
    int64_t connected_us, first_byte_us;
    struct error error;
    char detail[CURL_ERROR_SIZE];
};

/* http_client.c */
/* Takes the request out of where it is; its completion comes later from the loop. `error` none: a whole answer is there. */
void request_finish(struct request *r, struct error error);
/* Starts what waits and fits. */
void client_start_waiting(struct http_client *c);
/* Calls the callbacks of finished requests; from the loop only, last in a callback: it may free the endpoint. */
void client_deliver(struct http_client *c);

/* http_client_request.c */
struct request *request_new(struct http_endpoint *e, const struct http_request *q);
void request_free(struct request *r);

/* http_client_easy.c */
/* A curl handle made ready for this request; NULL: out of memory. */
CURL *easy_take(struct request *r);
/* Back to the endpoint's pool. */
void easy_give(struct request *r);
/* Notes down status, version and times while the handle is still the request's. */
void easy_read_answer(struct request *r);
struct error easy_error(const struct request *r, CURLcode code);

/* http_client_shard.c */
/* False: out of memory; the request is then as before. */
bool shard_start(struct request *r);
/* Takes a running request off the network at once. */
void shard_stop(struct request *r);
void shard_free(struct shard *s);

/* http_client_socket.c */
int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *shard, void *unused);
curl_socket_t socket_open(void *client, curlsocktype purpose, struct curl_sockaddr *address);
int socket_close(void *client, curl_socket_t fd);
/* Forgets all sockets; after the last multi is gone. */
void sockets_free(struct http_client *c);
/* A socket of this shard is ready, or its time has come (CURL_SOCKET_TIMEOUT, 0). */
void shard_act(struct shard *s, curl_socket_t fd, int ready);

#endif
