/* The version of OpenSSL at run time. */
#include "stepmill/versions.h"

#include <openssl/crypto.h>

const char *version_openssl(void) { return OpenSSL_version(OPENSSL_VERSION_STRING); }
