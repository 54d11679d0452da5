/* Versions of the libraries this program runs with, as they say it themselves; each function sits in the folder that uses the
 * library. */
#ifndef STEPMILL_VERSIONS_H
#define STEPMILL_VERSIONS_H

const char *version_openssl(void);
const char *version_yaml(void);
const char *version_jansson(void);
const char *version_hiredis(void);
const char *version_curl(void); /* with its TLS and HTTP/2 libraries */
const char *version_libevent(void);

#endif
