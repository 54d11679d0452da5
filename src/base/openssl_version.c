/* The version of OpenSSL at run time. */
#include <openssl/crypto.h>

#include "stepmill/versions.h"

const char *version_openssl(void) { return OpenSSL_version(OPENSSL_VERSION_STRING); }
