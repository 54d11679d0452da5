/* curl's result codes in our classes: what the caller must do about each. */
#include "http_client_private.h"

enum { CODE_TOO_LARGE = 100 }; /* CURLE_TOO_LARGE, not in curl 7.88's header */

static struct error stopped_by_us(const struct request *r)
{
    if (r->too_large)
        return error_make(CLASS_AGAIN, "too_large", "the answer is larger than allowed");
    return error_make(CLASS_INTERNAL, "out_of_memory", "no memory for the answer");
}

static struct error config_error(CURLcode code)
{
    switch ((int)code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
        return error_make(CLASS_CONFIG, "tls_not_trusted", "the server's certificate is not trusted or is for another name");
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
        return error_make(CLASS_CONFIG, "tls_files", "a CA, certificate or key file could not be used");
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY:
        return error_make(CLASS_CONFIG, "proxy_failed", "the proxy could not be found or refused to connect");
    default:
        return error_make(CLASS_CONFIG, "bad_url", "the URL can't be used");
    }
}

struct error easy_error(const struct request *r, CURLcode code)
{
    if (r->held_back)
        return error_make(CLASS_LOST, "held_back", "the request was held back before a byte of it was sent");
    switch ((int)code) {
    case CURLE_OK:
        return error_none();
    case CURLE_COULDNT_RESOLVE_HOST:
        return error_make(CLASS_AGAIN, "name_not_found", "the server's name could not be resolved");
    case CURLE_COULDNT_CONNECT:
        return error_make(CLASS_AGAIN, "connect_failed", "no connection to the server");
    case CURLE_OPERATION_TIMEDOUT: /* the whole request has a timer of ours */
        return error_make(CLASS_AGAIN, "connect_timeout", "the connection was not made in time");
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CIPHER:
        return error_make(CLASS_AGAIN, "tls_failed", "the TLS handshake failed");
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_SEND_FAIL_REWIND:
        return error_make(CLASS_AGAIN, "connection_lost", "the connection was lost before the whole answer came");
    case CURLE_WEIRD_SERVER_REPLY:
        return error_make(CLASS_AGAIN, "bad_answer", "the server's answer is not HTTP");
    case CURLE_BAD_CONTENT_ENCODING:
        return error_make(CLASS_AGAIN, "bad_encoding", "the answer could not be unpacked");
    case CURLE_WRITE_ERROR:
        return stopped_by_us(r);
    case CODE_TOO_LARGE:
        return error_make(CLASS_AGAIN, "too_large", "the answer is larger than allowed");
    case CURLE_OUT_OF_MEMORY:
        if (r->sent && !r->head_complete) /* what curl before 8.6 says of a header line longer than 100 KB */
            return error_make(CLASS_AGAIN, "too_large", "the answer is larger than allowed");
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory for the request");
    case CURLE_UNSUPPORTED_PROTOCOL:
        if (r->sent) /* an answer without a status line (HTTP/0.9) */
            return error_make(CLASS_AGAIN, "bad_answer", "the server's answer is not HTTP");
        return config_error(code);
    case CURLE_URL_MALFORMAT:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY:
        return config_error(code);
    default:
        return error_make(CLASS_INTERNAL, "http_failed", "curl failed in a way we did not foresee");
    }
}
