/* TLS to Redis: the certificate must be trusted and must carry the name. (hiredis' own set-up checks no name.) */
#include <arpa/inet.h>
#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "redis_private.h"

static struct error bad_files(void)
{
    return error_make(CLASS_CONFIG, "redis_tls_files",
                      "a file of redis.tls is missing, unreadable, not PEM, or key and certificate don't match");
}

static SSL_CTX *make_context(const struct redis_options *o)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    const char *key = o->key_file ? o->key_file : o->cert_file;
    bool good;

    if (!context)
        return NULL;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    good = SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1;
    if (o->ca_file)
        good = good && SSL_CTX_load_verify_locations(context, o->ca_file, NULL) == 1;
    else
        good = good && SSL_CTX_set_default_verify_paths(context) == 1;
    if (o->cert_file)
        good = good && SSL_CTX_use_certificate_chain_file(context, o->cert_file) == 1 &&
               SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1 && SSL_CTX_check_private_key(context) == 1;
    ERR_clear_error();
    if (good)
        return context;
    SSL_CTX_free(context);
    return NULL;
}

struct error redis_tls_check(const struct redis *r)
{
    SSL_CTX *context = make_context(&r->options);

    SSL_CTX_free(context);
    return context ? error_none() : bad_files();
}

static bool expect_name(SSL *ssl, const char *name)
{
    struct in6_addr room;
    bool address = inet_pton(AF_INET, name, &room) == 1 || inet_pton(AF_INET6, name, &room) == 1;

    if (address)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

struct error redis_tls_untrusted(void)
{
    return error_make(CLASS_CONFIG, "redis_tls_untrusted",
                      "the certificate of Redis is not trusted: look at redis.tls.ca_file and at the name");
}

/* hiredis takes the SSL only if it returns well; near by, the whole handshake may be over (and lost) before it returns. */
static struct error begin(struct link *k, SSL *ssl, const char **detail)
{
    long result;

    if (redisInitiateSSL(&k->async->c, ssl) == REDIS_OK) {
        k->ssl = ssl;
        return error_none();
    }
    result = SSL_get_verify_result(ssl);
    SSL_free(ssl);
    *detail = result == X509_V_OK ? k->async->c.errstr : X509_verify_cert_error_string(result);
    return result == X509_V_OK ? error_make(CLASS_WAIT, "redis_unreachable", "Redis can't be reached, or does not speak TLS")
                               : redis_tls_untrusted();
}

struct error redis_tls_start(struct link *k, const char **detail)
{
    const struct redis *r = k->redis;
    SSL_CTX *context = make_context(&r->options);
    SSL *ssl = context ? SSL_new(context) : NULL;

    SSL_CTX_free(context); /* the SSL holds it */
    if (!ssl || !expect_name(ssl, r->options.server_name ? r->options.server_name : r->address.host)) {
        SSL_free(ssl);
        return bad_files();
    }
    return begin(k, ssl, detail);
}

const char *redis_tls_failure(const struct link *k)
{
    long result = k->ssl ? SSL_get_verify_result(k->ssl) : X509_V_OK;

    return result == X509_V_OK ? NULL : X509_verify_cert_error_string(result);
}
