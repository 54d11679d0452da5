/* curl's easy handle: what is set once per endpoint, what per request, and how its result reads. */
#include <stdlib.h>
#include <strings.h>

#include "http_client_private.h"

enum {
    RECEIVE_BUFFER = 4096,   /* per running request: answers of models are a few KB */
    SEND_BUFFER = 16 * 1024, /* the least curl allows */
    USUAL_HEAD = 1000,       /* of an answer */
    CA_CACHE_S = 60,         /* then its file is read again */
    CONNECTION_AGE_S = 50,   /* an idle connection older than this is not used: servers commonly close at 60 */
};

/* One line of the answer's head. Lines after the head are trailers, and those do not count. */
static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
    struct request *r = ctx;
    size_t len = size * n;

    if (len >= 5 && !memcmp(line, "HTTP/", 5)) { /* an interim answer (1xx) came before, or nothing */
        buf_clear(&r->head);
        r->head_complete = false;
        return len;
    }
    if (r->head_complete)
        return len;
    if (len <= 2) {
        r->head_complete = true;
        return len;
    }
    if (!r->head.at)
        buf_reserve(&r->head, r->head.max < USUAL_HEAD ? r->head.max : USUAL_HEAD);
    buf_put(&r->head, line, len);
    r->too_large = r->head.failed;
    return r->head.failed ? 0 : len;
}

/* The size of the body is taken at once when the server tells it: no growing step by step, nothing left over. */
static void reserve_body(struct request *r)
{
    curl_off_t length = -1;

    curl_easy_getinfo(r->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (length > 0 && (uint64_t)length <= r->answer.max && !r->gzip)
        buf_reserve(&r->answer, (size_t)length);
}

static size_t on_body(char *bytes, size_t size, size_t n, void *ctx)
{
    struct request *r = ctx;
    size_t len = size * n;
    size_t room = r->answer.max - r->answer.len;

    if (!r->answer.at)
        reserve_body(r);
    buf_put(&r->answer, bytes, len < room ? len : room);
    r->too_large = len > room;
    return r->too_large || r->answer.failed ? 0 : len;
}

static size_t on_read(char *at, size_t size, size_t n, void *ctx)
{
    struct request *r = ctx;
    size_t room = size * n, len = 0;

    while (r->read_part < r->body_parts && len < room) {
        struct slice part = r->body[r->read_part];
        size_t left = part.len - r->read_at;
        size_t take = left < room - len ? left : room - len;

        if (take)
            memcpy(at + len, part.at + r->read_at, take);
        len += take;
        r->read_at += take;
        if (r->read_at == part.len) {
            r->read_part++;
            r->read_at = 0;
        }
    }
    return len;
}

/* curl begins the body again after a reused connection turned out to be dead. */
static int on_seek(void *ctx, curl_off_t offset, int origin)
{
    struct request *r = ctx;

    if (r->once || offset != 0 || origin != SEEK_SET)
        return CURL_SEEKFUNC_CANTSEEK;
    r->read_part = r->read_at = 0;
    return CURL_SEEKFUNC_OK;
}

/* The connection stands and the request goes out next: the last moment at which it is certain that no byte has left. */
static int on_connected(void *ctx, char *ip, char *own_ip, int port, int own_port)
{
    struct request *r = ctx;

    (void)ip;
    (void)own_ip;
    (void)port;
    (void)own_port;
    if (r->may_send && !r->may_send(r->ctx)) {
        r->held_back = true;
        return CURL_PREREQFUNC_ABORT;
    }
    r->sent = true;
    return CURL_PREREQFUNC_OK;
}

static void set_endpoint(CURL *easy, const struct http_endpoint *e)
{
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a name that nobody resolves is not waited for when its request ends */
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_SHARE, e->client->share);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BUFFER);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)SEND_BUFFER);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L); /* a long answer must survive what forgets idle connections on the way */
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)CONNECTION_AGE_S);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)e->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, socket_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, e->client);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, socket_close);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, e->client);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
    if (e->proxy)
        curl_easy_setopt(easy, CURLOPT_PROXY, e->proxy);
    if (e->proxy && !*e->proxy)
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "*"); /* else curl asks the environment, for each request */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     e->is_tls && !e->http1_only ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    if (e->ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, e->ca_file);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); /* the file alone decides */
        curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, (long)CA_CACHE_S);
    }
    if (e->cert_file) {
        curl_easy_setopt(easy, CURLOPT_SSLCERT, e->cert_file);
        curl_easy_setopt(easy, CURLOPT_SSLKEY, e->key_file ? e->key_file : e->cert_file);
    }
}

static CURLcode set_body(CURL *easy, const struct request *r)
{
    bool has_body = r->body_parts || !strcmp(r->method, "POST") || !strcmp(r->method, "PUT") || !strcmp(r->method, "PATCH");

    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L); /* undoes what the handle's last request was */
    if (!strcmp(r->method, "HEAD"))
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    if (has_body) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_size);
        /* One part: curl sends it from where it is, with the head in one packet if it is small. More: by on_read. */
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, r->body_size == 0 ? "" : r->body_parts == 1 ? r->body[0].at : NULL);
    }
    /* curl copies the name, so it is told only what it would not say by itself. */
    return curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, strcmp(r->method, has_body ? "POST" : "GET") ? r->method : NULL);
}

static bool set_request(CURL *easy, struct request *r)
{
    /* Those that copy can fail, for want of memory only. */
    if ((!r->is_usual && curl_easy_setopt(easy, CURLOPT_URL, r->url)) || set_body(easy, r) ||
        curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, r->gzip ? "gzip" : NULL))
        return false;
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, r->headers);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, (long)r->once); /* curl sends again by itself over reused connections only */
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, (long)(r->endpoint->is_tls && !r->endpoint->http1_only && !r->once));
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, r->detail);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, r);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, r);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(easy, CURLOPT_READDATA, r);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, r);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, r);
    return true;
}

/* True: r has the endpoint's usual URL, which is that of its first request. */
static bool has_usual_url(const struct request *r)
{
    struct http_endpoint *e = r->endpoint;

    if (e->usual_url)
        return !strcmp(e->usual_url, r->url);
    e->usual_url = strdup(r->url);
    e->parsed = curl_url();
    if (e->usual_url && e->parsed && curl_url_set(e->parsed, CURLUPART_URL, r->url, 0) == CURLUE_OK)
        return true;
    free(e->usual_url); /* curl will say what is wrong with it */
    e->usual_url = NULL;
    curl_url_cleanup(e->parsed);
    e->parsed = NULL;
    return false;
}

CURL *easy_take(struct request *r)
{
    struct http_endpoint *e = r->endpoint;
    CURL *easy;

    r->is_usual = has_usual_url(r);
    if (r->is_usual && e->pooled) {
        easy = e->pool[--e->pooled];
    } else {
        easy = curl_easy_init();
        if (easy)
            set_endpoint(easy, e);
        if (easy && r->is_usual)
            curl_easy_setopt(easy, CURLOPT_CURLU, e->parsed);
    }
    if (easy && !set_request(easy, r)) {
        curl_easy_cleanup(easy);
        return NULL;
    }
    return easy;
}

void easy_give(struct request *r)
{
    struct http_endpoint *e = r->endpoint;

    curl_easy_setopt(r->easy, CURLOPT_ERRORBUFFER, NULL); /* the request may be gone when curl closes the handle's connection */
    if (r->is_usual && e->pooled < EASY_POOL)
        e->pool[e->pooled++] = r->easy;
    else
        curl_easy_cleanup(r->easy);
    r->easy = NULL;
}

void easy_read_answer(struct request *r)
{
    long status = 0, version = 0, connects = 0;
    curl_off_t connect = 0, tls = 0, first_byte = 0;
    int64_t waited_us = r->started_us - r->began_us;

    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(r->easy, CURLINFO_HTTP_VERSION, &version);
    curl_easy_getinfo(r->easy, CURLINFO_NUM_CONNECTS, &connects);
    curl_easy_getinfo(r->easy, CURLINFO_CONNECT_TIME_T, &connect);
    curl_easy_getinfo(r->easy, CURLINFO_APPCONNECT_TIME_T, &tls);
    curl_easy_getinfo(r->easy, CURLINFO_STARTTRANSFER_TIME_T, &first_byte);
    r->status = status >= 200 ? (int)status : 0;
    if (r->status) {
        r->version = version == CURL_HTTP_VERSION_2_0 ? 20 : version == CURL_HTTP_VERSION_1_0 ? 10 : 11;
        r->endpoint->multiplexed = r->version == 20;
        r->first_byte_us = waited_us + first_byte;
    }
    r->reused = r->sent && connects == 0;
    if (r->sent)
        r->connected_us = waited_us + (tls > connect ? tls : connect);
}
