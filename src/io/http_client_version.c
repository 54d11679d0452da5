/* The version of libcurl at run time. */
#include <curl/curl.h>
#include <string.h>

#include "stepmill/versions.h"

const char *version_curl(void)
{
    const char *text = curl_version(); /* "libcurl/7.88.1 OpenSSL/3.0 …" */

    return strncmp(text, "libcurl/", strlen("libcurl/")) ? text : text + strlen("libcurl/");
}
