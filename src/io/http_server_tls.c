/* TLS of the HTTP server: certificate and key from files that may be renewed while it runs. */
#include "http_server_tls.h"

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "stepmill/clock.h"

enum { LOOK_EVERY_MS = 30000, FILES = 3 };

struct server_tls {
    const struct log *log;
    char *files[FILES]; /* certificate, key, authorities of clients (or NULL) */
    struct timespec changed[FILES];
    int64_t looked_ms;
    SSL_CTX *context;
};

static void read_times(const struct server_tls *t, struct timespec times[FILES])
{
    memset(times, 0, FILES * sizeof *times);
    for (int i = 0; i < FILES; i++) {
        struct stat st;

        if (t->files[i] && stat(t->files[i], &st) == 0)
            times[i] = st.st_mtim;
    }
}

static SSL_CTX *make_context(const struct server_tls *t)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    bool good;

    if (!context)
        return NULL;
    good = SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
           SSL_CTX_use_certificate_chain_file(context, t->files[0]) == 1 &&
           SSL_CTX_use_PrivateKey_file(context, t->files[1], SSL_FILETYPE_PEM) == 1 && SSL_CTX_check_private_key(context) == 1;
    if (good && t->files[2]) {
        STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(t->files[2]);

        good = names && SSL_CTX_load_verify_locations(context, t->files[2], NULL) == 1;
        SSL_CTX_set_client_CA_list(context, names); /* takes them over */
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"stepmill",
                                   8); /* else resumed sessions fail with client CAs */
    ERR_clear_error();
    if (good)
        return context;
    SSL_CTX_free(context);
    return NULL;
}

static void log_bad_files(const struct server_tls *t)
{
    log_error(t->log, "http.tls.files", LOG_TEXT("certificate", t->files[0]), LOG_TEXT("key", t->files[1]),
              LOG_TEXT("reason", "missing, unreadable, not PEM, or key and certificate do not match"));
}

struct error server_tls_new(const struct log *log, const struct http_server_options *o, struct server_tls **out)
{
    struct server_tls *t;

    *out = NULL;
    if (!o->certificate_file)
        return error_none();
    t = calloc(1, sizeof *t);
    if (t) {
        t->log = log;
        t->looked_ms = clock_mono_ms();
        t->files[0] = strdup(o->certificate_file);
        t->files[1] = strdup(o->key_file ? o->key_file : o->certificate_file);
        t->files[2] = o->ca_file ? strdup(o->ca_file) : NULL;
    }
    if (!t || !t->files[0] || !t->files[1] || (o->ca_file && !t->files[2])) {
        server_tls_free(t);
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory for the HTTP server");
    }
    read_times(t, t->changed);
    t->context = make_context(t);
    if (!t->context) {
        log_bad_files(t);
        server_tls_free(t);
        return error_make(CLASS_CONFIG, "bad_tls_file",
                          "a TLS file of the HTTP server is missing, unreadable, not PEM, or key and certificate do not match");
    }
    *out = t;
    return error_none();
}

void server_tls_free(struct server_tls *t)
{
    if (!t)
        return;
    for (int i = 0; i < FILES; i++)
        free(t->files[i]);
    SSL_CTX_free(t->context);
    free(t);
}

/* A certificate that is being replaced may not fit its key for a moment: the old pair stays, and we look again. */
static void follow_files(struct server_tls *t)
{
    struct timespec now[FILES];
    SSL_CTX *fresh;

    if (clock_mono_ms() - t->looked_ms < LOOK_EVERY_MS)
        return;
    t->looked_ms = clock_mono_ms();
    read_times(t, now);
    if (!memcmp(now, t->changed, sizeof now))
        return;
    fresh = make_context(t);
    if (!fresh) {
        log_bad_files(t);
        return;
    }
    SSL_CTX_free(t->context); /* open connections hold it */
    t->context = fresh;
    memcpy(t->changed, now, sizeof now);
}

struct bufferevent *server_tls_accept(struct server_tls *t, struct event_base *base)
{
    struct bufferevent *b;
    SSL *ssl;

    follow_files(t);
    ssl = SSL_new(t->context);
    if (!ssl)
        return NULL;
    b = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    if (!b)
        SSL_free(ssl);
    else
        bufferevent_openssl_set_allow_dirty_shutdown(b, 1); /* clients that just close are the rule; lengths tell what is whole */
    return b;
}
